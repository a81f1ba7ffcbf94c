/** Stages where something is wrong: bounded mailboxes, graphs that end, crashes with demand outstanding, misuse, large numbers. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Queue, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  Actor,
  ActorContext,
  type ActorRef,
  ActorSystem,
  Control,
  ExitReason,
  Interceptor,
  Stage,
  Supervisor
} from "effect-otp"
import { Counter, counter, doubler, range, settle, Sink, spawnSink, subscribed, told } from "./stages.ts"

class Feed extends Stage.Producer<Feed>()("test/Feed", Schema.Int) {}

/** Lets everybody who has something to do do it. */
const quiet = Effect.forEach(range(1, 200), () => Effect.yieldNow, { discard: true })

const eventsOf = (letters: ReadonlyArray<{ readonly payload: unknown }>) =>
  letters.flatMap(({ payload }) => (payload as { readonly events?: ReadonlyArray<number> }).events ?? [])

/** A consumer that adds up what it gets, however long that takes. */
const collecting = (options: Parameters<typeof Sink.behavior>[1], got: Array<number>) =>
  Sink.behavior(
    Effect.succeed(
      Sink.of({
        events: (batch) =>
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => void got.push(...batch))
          ),
        Sync: () => {},
        Crash: () => Effect.die("crash")
      })
    ),
    options
  )

describe("bounded mailboxes", () => {
  it("a consumer's mailbox drops nothing: refused where it is written", () => {
    const mailboxes = [
      { capacity: 1, overflow: "drop-newest" },
      { capacity: 1, overflow: "drop-oldest" },
      { bytes: 1, overflow: "reject" },
      { whileRestarting: 0 }
    ] as const
    for (const mailbox of mailboxes) {
      assert.throws(() => collecting({ mailbox }, []), /mailbox.*how many there are is said by maxDemand/)
    }
  })

  it.effect("a producer and a consumer that both have room for one message do not wait for each other", () =>
    Effect.gen(function* () {
      const got: Array<number> = []
      const mailbox = { capacity: 1 }
      const producer = yield* Actor.spawn(counter({ last: 199, mailbox }))
      const consumer = yield* Actor.spawn(collecting({ mailbox }, got))
      yield* Stage.subscribe(consumer, { to: producer, maxDemand: 10, minDemand: 9 })
      while (got.length < 200) yield* Effect.yieldNow
      assert.deepStrictEqual(got, range(0, 199))
    })
  )

  it.effect("a producer whose mailbox drops does not forget what it was asked for", () =>
    Effect.gen(function* () {
      const got: Array<number> = []
      const producer = yield* Actor.spawn(counter({ last: 99, mailbox: { capacity: 2, overflow: "drop-newest" } }))
      const consumer = yield* Actor.spawn(collecting({}, got))
      yield* Stage.subscribe(consumer, { to: producer, maxDemand: 10, minDemand: 9 })
      yield* Actor.suspend(producer)
      for (let n = 0; n < 10; n++) yield* producer.tell.Sync()
      yield* quiet
      yield* Actor.resume(producer)
      while (got.length < 100) yield* Effect.yieldNow
      assert.deepStrictEqual(got, range(0, 99))
    })
  )

  it.effect("a restart that discards messages discards no demand and no end", () =>
    Effect.gen(function* () {
      const log = yield* told
      const mailbox = { onRestart: "discard" } as const
      const intensity = { restarts: 2, within: "1 second" } as const
      const Tree = Supervisor.make("counting", { intensity, children: [counter({ last: -1, mailbox })] })
      yield* Effect.gen(function* () {
        const producer = yield* Counter
        const consumer = yield* spawnSink(log)
        const subscription = yield* Stage.subscribe(consumer, { to: producer, demand: "manual", cancel: "temporary" })
        yield* Actor.suspend(producer)
        yield* producer.tell.Crash()
        yield* Stage.ask(subscription, 5)
        yield* Actor.resume(producer)
        yield* quiet
        assert.strictEqual((yield* Stage.status(producer)).consumers[0]?.pending, 5)
        yield* Actor.suspend(producer)
        yield* producer.tell.Crash()
        yield* Stage.cancel(subscription)
        yield* Actor.resume(producer)
        yield* quiet
        assert.deepStrictEqual((yield* Stage.status(producer)).consumers, [])
        assert.deepStrictEqual(log.cancelled, ["Normal"])
      }).pipe(Effect.provide(Supervisor.layer(Tree)))
    })
  )
})

describe("graphs that end", () => {
  class Left extends Stage.ProducerConsumer<Left>()("test/Left", { takes: Schema.Int, emits: Schema.Int }) {}
  class Right extends Stage.ProducerConsumer<Right>()("test/Right", { takes: Schema.Int, emits: Schema.Int }) {}

  for (const dispatcher of ["broadcast", "demand"] as const) {
    it.effect(`R11 a diamond ends when all of it has been taken: ${dispatcher}`, () =>
      Effect.gen(function* () {
        const got: Array<number> = []
        const accumulate = { dispatcher, demand: "accumulate" } as const
        const feed = yield* Actor.spawn(Feed.from(Stream.range(1, 100), accumulate))
        const left = yield* Actor.spawn(Left.behavior(Effect.succeed(Left.of({ events: (batch) => batch }))))
        const slowly = Right.of({
          events: (batch) =>
            Effect.as(
              quiet,
              batch.map((n) => n + 1_000)
            )
        })
        const right = yield* Actor.spawn(Right.behavior(Effect.succeed(slowly)))
        const last = yield* Actor.spawn(collecting({}, got))
        for (const each of [left, right] as const)
          yield* Stage.subscribe(last, { to: each as typeof left, maxDemand: 8 })
        for (const each of [left, right] as const) {
          yield* Stage.subscribe(each as typeof left, { to: feed, maxDemand: 10 })
        }
        yield* Stage.setDemand(feed, "forward")
        assert.deepStrictEqual(yield* last.ended, ExitReason.Normal)
        assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
        const sorted = got.map((n) => n % 1_000).sort((a, b) => a - b)
        assert.deepStrictEqual(sorted, dispatcher === "demand" ? range(1, 100) : range(1, 100).flatMap((n) => [n, n]))
      })
    )
  }

  it.effect("a failure of one of several producers ends their consumer at once", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* Actor.spawn(counter({ last: -1 })), yield* Actor.spawn(counter({ last: -1 }))]
      const log = yield* told
      const consumer = yield* spawnSink(log)
      yield* Stage.subscribe(consumer, { to: one })
      yield* Stage.subscribe(consumer, { to: two })
      yield* Effect.ignore(one.ask.Crash())
      assert.strictEqual((yield* consumer.ended)._tag, "Failed")
      yield* two.ask.Sync()
      assert.deepStrictEqual((yield* Stage.status(two)).consumers, [])
    })
  )

  it.effect("several producers: each is asked for its own, nobody is forgotten", () =>
    Effect.gen(function* () {
      const got: Array<number> = []
      const feeds = yield* Effect.forEach([0, 1, 2], (n) =>
        Actor.spawn(Feed.from(Stream.range(n * 1_000, n * 1_000 + 499)))
      )
      const consumer = yield* Actor.spawn(collecting({}, got))
      for (const feed of feeds) yield* Stage.subscribe(consumer, { to: feed, maxDemand: 10 })
      yield* consumer.ended
      assert.lengthOf(got, 1_500)
      for (const n of [0, 1, 2]) {
        assert.deepStrictEqual(
          got.filter((each) => Math.trunc(each / 1_000) === n),
          range(n * 1_000, n * 1_000 + 499)
        )
      }
      // Nobody had to wait for another's end.
      const firsts = [0, 1_000, 2_000].map((first) => got.indexOf(first))
      assert.isBelow(Math.max(...firsts), 100)
    })
  )

  it.effect("a producer-consumer that crashes while it waits to be emptied ends once it is", () =>
    Effect.gen(function* () {
      class Crashing extends Stage.ProducerConsumer<Crashing>()(
        "test/Crashing",
        { takes: Schema.Int, emits: Schema.Int },
        { Crash: {}, Sync: {} }
      ) {}
      const CrashingLive = Crashing.behavior(
        Effect.succeed(
          Crashing.of({
            events: (batch) => batch.flatMap((n) => [n, n, n]),
            Crash: () => Effect.die("crash"),
            Sync: () => {}
          })
        )
      )
      const producer = yield* Actor.spawn(counter({ last: 5 }))
      yield* Effect.gen(function* () {
        const middle = yield* Crashing
        const log = yield* told
        const consumer = yield* spawnSink(log)
        const subscription = yield* Stage.subscribe(consumer, { to: middle, demand: "manual" })
        yield* Stage.subscribe(middle, { to: producer })
        yield* Stage.ask(subscription, 1)
        assert.deepStrictEqual(yield* Queue.take(log.batches), [0])
        yield* Actor.stop(producer)
        yield* middle.ask.Sync()
        yield* Effect.ignore(middle.ask.Crash())
        yield* middle.ask.Sync()
        yield* Stage.ask(subscription, 100)
        assert.deepStrictEqual(yield* consumer.ended, ExitReason.Shutdown())
        assert.lengthOf((yield* Queue.clear(log.batches)).flat(), 17)
      }).pipe(
        Effect.provide(
          Supervisor.layer(
            Supervisor.make("middle", { children: [Supervisor.child(CrashingLive, { restart: "transient" })] })
          )
        )
      )
    })
  )
})

describe("restarts of several", () => {
  for (const strategy of ["one-for-one", "one-for-all", "rest-for-one"] as const) {
    for (const crashing of ["producer", "consumer"] as const) {
      for (const delivery of ["at-most-once", "at-least-once"] as const) {
        it.effect(
          `${strategy}, the ${crashing} crashes, ${delivery}: nothing more than the batch at hand is lost`,
          () =>
            Effect.gen(function* () {
              const got: Array<number> = []
              let crashes = 3
              const SinkLive = Sink.behavior(
                Effect.succeed(
                  Sink.of({
                    events: (batch) => {
                      if (crashing === "consumer" && batch.some((n) => n % 10 === 5) && crashes-- > 0)
                        throw new Error("crash")
                      got.push(...batch)
                    },
                    Sync: () => {},
                    Crash: () => {}
                  })
                ),
                { subscribeTo: [{ to: Counter, maxDemand: 6, minDemand: 4, delivery }] }
              )
              const Tree = Supervisor.make("counting", {
                strategy,
                intensity: { restarts: 100, within: "1 second" },
                children: [counter({ last: 99 }), SinkLive]
              })
              yield* Effect.gen(function* () {
                const producer = yield* Counter
                while (got.at(-1) !== 99) {
                  if (crashing === "producer" && crashes-- > 0) yield* Effect.ignore(producer.ask.Crash())
                  else yield* Effect.yieldNow
                }
                const missing = range(0, 99).filter((n) => !got.includes(n))
                assert.deepStrictEqual(
                  got,
                  range(0, 99).filter((n) => !missing.includes(n))
                )
                if (delivery === "at-least-once" || crashing === "producer") assert.deepStrictEqual(missing, [])
                else assert.lengthOf(missing, 6)
                yield* quiet
                const pending = (yield* Stage.status(producer)).consumers.map((each) => each.pending)
                assert.deepStrictEqual(pending, [6])
              }).pipe(Effect.provide(Supervisor.layer(Tree)))
            })
        )
      }
    }
  }
})

describe("misuse", () => {
  it.effect("only what takes its demand by hand is asked by hand, for a number that is one", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: -1 }))
      const manual = yield* subscribed(producer, { demand: "manual" })
      const automatic = yield* subscribed(producer, { maxDemand: 10 })
      for (const count of [0, -1, 1.5, Number.NaN, Infinity, 2 ** 60]) {
        const exit = yield* Effect.exit(Stage.ask(manual.subscription, count))
        assert.include(String(exit), "must be a whole number of 1 or more", `${count}`)
      }
      const exit = yield* Effect.exit(Stage.ask(automatic.subscription, 5))
      assert.include(String(exit), "InvalidStageOption")
      yield* settle(producer)
      assert.deepStrictEqual(
        (yield* Stage.status(producer)).consumers.map(({ pending }) => pending),
        [0, 10]
      )
    })
  )

  it.effect("a selector or a partition where the producer has none is refused", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: -1 }))
      const selecting = yield* Effect.flip(subscribed(producer, { selector: (n) => n > 1, cancel: "temporary" }))
      assert.strictEqual(selecting._tag === "SubscriptionRefused" && selecting.reason, "no-broadcast")
      const parted = yield* Effect.flip(subscribed(producer, { partition: 1, cancel: "temporary" }))
      assert.strictEqual(parted._tag === "SubscriptionRefused" && parted.reason, "no-partitions")
      assert.include(parted.message, "it has no partitions")
    })
  )

  it("partitions that there cannot be are refused", () => {
    for (const partitions of [-1, 1.5, Number.NaN, Infinity, ["a", "a"], []]) {
      assert.throws(() => counter({ dispatcher: { partitions } }), /dispatcher/)
    }
  })

  it.effect("a selector that throws ends its own subscription, and loses nobody's events", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ dispatcher: "broadcast", last: -1 }))
      const one = yield* subscribed(producer)
      const bad = yield* subscribed(producer, {
        selector: () => {
          throw new Error("selector")
        }
      })
      const two = yield* subscribed(producer)
      yield* producer.ask.Queue({ events: [1, 2] })
      assert.strictEqual((yield* bad.ref.ended)._tag, "Failed")
      assert.deepStrictEqual(yield* Queue.take(one.batches), [1, 2])
      assert.deepStrictEqual(yield* Queue.take(two.batches), [1, 2])
    })
  )

  it.effect("an event for an unknown partition crashes who emits it, also while nobody asks", () =>
    Effect.gen(function* () {
      const dispatcher = { partitions: ["even"], by: (n: number) => (n % 2 === 0 ? "even" : "odd") }
      const producer = yield* Actor.spawn(counter({ dispatcher, last: -1 }))
      yield* producer.ask.Queue({ events: [2, 4] })
      const error = yield* Effect.flip(producer.ask.Queue({ events: [6, 7] }))
      assert.strictEqual(error.reason._tag, "HandlerFailed")
    })
  )
})

describe("holding demand back", () => {
  it.effect("at least once: what was asked for before goes on its way", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: 99 }))
      const gate = yield* Queue.unbounded<void>()
      const got: Array<number> = []
      const consumer = yield* Actor.spawn(
        Sink.behavior(
          Effect.succeed(
            Sink.of({
              events: (batch) =>
                Effect.andThen(
                  Queue.take(gate),
                  Effect.sync(() => void got.push(...batch))
                ),
              Sync: () => {},
              Crash: () => {}
            })
          )
        )
      )
      yield* Stage.subscribe(consumer, { to: producer, delivery: "at-least-once", maxDemand: 10, minDemand: 8 })
      yield* Stage.setDemand(producer, "accumulate")
      yield* producer.ask.Sync()
      for (let n = 0; n < 50; n++) yield* Queue.offer(gate, undefined)
      yield* quiet
      assert.deepStrictEqual(got, range(0, 9))
      yield* Stage.setDemand(producer, "forward")
      while (got.length < 100) yield* Effect.yieldNow
      assert.deepStrictEqual(got, range(0, 99))
    })
  )
})

describe("subscribing", () => {
  it.effect("who gives up subscribing leaves no subscription behind", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: -1 }))
      const log = yield* told
      const consumer = yield* spawnSink(log)
      yield* Actor.suspend(producer)
      const fiber = yield* Effect.forkScoped(Effect.exit(Stage.subscribe(consumer, { to: producer })))
      yield* quiet
      yield* TestClock.adjust("6 seconds")
      const exit = yield* Fiber.join(fiber)
      assert.isTrue(Exit.isFailure(exit))
      assert.include(String(exit), "Timeout")
      yield* Actor.resume(producer)
      yield* settle(producer, consumer)
      assert.deepStrictEqual((yield* Stage.status(producer)).consumers, [])
      assert.deepStrictEqual((yield* Stage.status(consumer)).producers, [])
      assert.strictEqual(consumer.status, "running")
    })
  )

  it.effect("who gives up before the consumer has heard of it has not subscribed it", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: -1 }))
      const log = yield* told
      const consumer = yield* spawnSink(log)
      yield* Actor.suspend(consumer)
      const fiber = yield* Effect.forkScoped(Stage.subscribe(consumer, { to: producer }))
      yield* quiet
      yield* Fiber.interrupt(fiber)
      yield* Actor.resume(consumer)
      yield* settle(producer, consumer)
      assert.deepStrictEqual((yield* Stage.status(producer)).consumers, [])
      assert.deepStrictEqual((yield* Stage.status(consumer)).producers, [])
    })
  )
})

describe("stopping one of them", () => {
  it.effect("a consumer that drains handles what it was sent, asks for no more, and loses nothing", () =>
    Effect.gen(function* () {
      const got: Array<number> = []
      const producer = yield* Actor.spawn(counter())
      const consumer = yield* Actor.spawn(collecting({}, got))
      yield* Stage.subscribe(consumer, { to: producer, maxDemand: 10, minDemand: 5 })
      while (got.length < 50) yield* Effect.yieldNow
      assert.deepStrictEqual(yield* Actor.drain(consumer), ExitReason.Normal)
      yield* producer.ask.Sync()
      assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
      const rest = yield* Stage.stream(producer).pipe(Stream.take(1), Stream.runCollect)
      assert.deepStrictEqual(got, range(0, got.length - 1))
      assert.deepStrictEqual(rest, [got.length])
    })
  )

  for (const delivery of ["at-most-once", "at-least-once"] as const) {
    it.effect(`${delivery}: what is emitted while a consumer drains, and what it was not sent yet, is for others`, () =>
      Effect.gen(function* () {
        const gate = yield* Queue.unbounded<void>()
        const begun = yield* Queue.unbounded<ReadonlyArray<number>>()
        const producer = yield* Actor.spawn(counter({ last: -1 }))
        const consumer = yield* Actor.spawn(
          Sink.behavior(
            Effect.succeed(
              Sink.of({
                events: (batch) => Effect.andThen(Queue.offer(begun, batch), Queue.take(gate)),
                Sync: () => {},
                Crash: () => {}
              })
            )
          )
        )
        yield* Stage.subscribe(consumer, { to: producer, delivery, maxDemand: 10, minDemand: 9 })
        yield* producer.ask.Queue({ events: [1, 2] })
        assert.deepStrictEqual(yield* Queue.take(begun), [1])
        const draining = yield* Effect.forkScoped(Actor.drain(consumer))
        yield* quiet
        yield* producer.ask.Queue({ events: [3, 4] })
        yield* Queue.offerAll(gate, [undefined, undefined])
        assert.deepStrictEqual(yield* Fiber.join(draining), ExitReason.Normal)
        yield* producer.ask.Sync()
        assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
        const mine = [1, ...(yield* Queue.clear(begun)).flat()]
        const rest = yield* Stage.stream(producer).pipe(Stream.take(4 - mine.length), Stream.runCollect)
        assert.deepStrictEqual([...mine, ...rest], [1, 2, 3, 4])
      })
    )
  }

  it.effect("a stage that is suspended holds the others up, and goes on", () =>
    Effect.gen(function* () {
      for (const which of ["producer", "middle", "consumer"] as const) {
        const log = yield* told
        const gotten = yield* Queue.unbounded<ReadonlyArray<number>>()
        const producer = yield* Actor.spawn(counter({ last: 50 }))
        const middle = yield* Actor.spawn(doubler(gotten))
        const consumer = yield* spawnSink(log)
        yield* Stage.subscribe(consumer, { to: middle, maxDemand: 4, cancel: "temporary" })
        const held: ActorRef.ActorRef<never> = { producer, middle, consumer }[which] as never
        yield* Actor.suspend(held)
        const subscribing = yield* Effect.forkScoped(Stage.subscribe(middle, { to: producer, maxDemand: 4 }))
        yield* quiet
        assert.strictEqual(yield* Queue.size(log.batches), 0)
        yield* Actor.resume(held)
        yield* Fiber.join(subscribing)
        const all: Array<number> = []
        while (all.length < 102) all.push(...(yield* Queue.take(log.batches)))
        assert.deepStrictEqual(
          all,
          range(0, 50).flatMap((n) => [n, n])
        )
      }
    })
  )

  it.effect("a behavior replaced while it runs keeps subscriptions and demand", () =>
    Effect.gen(function* () {
      const got: Array<number> = []
      const producer = yield* Actor.spawn(counter({ last: -1 }))
      const consumer = yield* Actor.spawn(collecting({}, got))
      yield* Stage.subscribe(consumer, { to: producer, maxDemand: 4, minDemand: 2 })
      yield* producer.ask.Queue({ events: [1, 2] })
      yield* quiet
      const negated = Sink.of({
        events: (batch) => void got.push(...batch.map((n) => -n)),
        Sync: () => {},
        Crash: () => {}
      })
      yield* Control.replaceBehavior(consumer, Sink.behavior(Effect.succeed(negated)))
      yield* Control.replaceBehavior(producer, counter({ last: 5 }))
      yield* quiet
      assert.deepStrictEqual(got, [1, 2, -0, -1, -2, -3, -4, -5])
    })
  )

  it.effect("a killed middle is a dead end for nobody else", () =>
    Effect.gen(function* () {
      const gotten = yield* Queue.unbounded<ReadonlyArray<number>>()
      const producer = yield* Actor.spawn(counter({ last: 9 }))
      const middle = yield* Actor.spawn(doubler(gotten))
      const other = yield* subscribed(producer, { maxDemand: 2 })
      const log = yield* told
      const consumer = yield* spawnSink(log)
      yield* Stage.subscribe(consumer, { to: middle, cancel: "transient" })
      yield* Stage.subscribe(middle, { to: producer, maxDemand: 2 })
      yield* Actor.kill(middle)
      assert.strictEqual((yield* consumer.ended)._tag, "Killed")
      yield* settle(producer, other.ref)
      yield* settle(producer, other.ref)
      assert.lengthOf((yield* Stage.status(producer)).consumers, 1)
      assert.strictEqual(other.ref.status, "running")
    })
  )
})

describe("large numbers", () => {
  it.effect("R73 many events that nobody wants are passed over quickly", () =>
    Effect.gen(function* () {
      const nobody = yield* Actor.spawn(counter({ dispatcher: { partitions: 1, by: () => undefined }, last: -1 }))
      const one = yield* subscribed(nobody, { partition: 0, maxDemand: 1 })
      yield* nobody.ask.Queue({ events: range(1, 200_000) })
      const picky = yield* Actor.spawn(counter({ dispatcher: "broadcast", last: -1 }))
      const two = yield* subscribed(picky, { selector: (n) => n === 200_000, maxDemand: 1 })
      yield* picky.ask.Queue({ events: range(1, 200_000) })
      assert.deepStrictEqual(yield* Queue.take(two.batches), [200_000])
      assert.deepStrictEqual(yield* Queue.clear(one.batches), [])
    })
  )

  it.effect(
    "a million events through three stages, one after the other, need no more memory than a few",
    () =>
      Effect.gen(function* () {
        const LAST = 1_000_000
        const done = yield* Deferred.make<number>()
        const feed = yield* Actor.spawn(Feed.from(Stream.range(1, LAST)))
        class Same extends Stage.ProducerConsumer<Same>()("test/Same", { takes: Schema.Int, emits: Schema.Int }) {}
        const same = yield* Actor.spawn(Same.behavior(Effect.succeed(Same.of({ events: (batch) => batch }))))
        let sum = 0
        let most = 0
        const last = yield* Actor.spawn(
          Sink.behavior(
            Effect.succeed(
              Sink.of({
                events: (batch) => {
                  for (const n of batch) sum += n
                  return Effect.map(Stage.status(same), ({ buffered }) => void (most = Math.max(most, buffered)))
                },
                cancelled: () => Deferred.succeed(done, sum),
                Sync: () => {},
                Crash: () => {}
              })
            )
          )
        )
        yield* Stage.subscribe(last, { to: same })
        yield* Stage.subscribe(same, { to: feed })
        assert.strictEqual(yield* Deferred.await(done), (LAST * (LAST + 1)) / 2)
        assert.isAtMost(most, 1_000)
      }),
    30_000
  )
})

class Job extends Actor.Service<Job>()("test/Job", { Finish: {} }) {}
class Jobs extends Stage.ConsumerSupervisor<Jobs, number>()("test/Jobs", Job) {}

describe("a child for each event", () => {
  it.effect("STAGE-11 an event whose child does not start is a dead letter, and its place is free", () =>
    Effect.gen(function* () {
      const started: Array<number> = []
      const JobLive = Job.behavior((n: number) =>
        Effect.gen(function* () {
          if (n % 2 === 1) return yield* Effect.die("odd")
          started.push(n)
          yield* (yield* Job.self).tell.Finish()
          return Job.of({ Finish: () => ActorContext.stop })
        })
      )
      const Tree = Supervisor.make("work", {
        children: [counter({ last: 9 }), Jobs.child(JobLive, { subscribeTo: [{ to: Counter, maxDemand: 1 }] })]
      })
      yield* Effect.gen(function* () {
        while (started.length < 5) yield* Effect.yieldNow
        yield* quiet
        assert.deepStrictEqual(started, [0, 2, 4, 6, 8])
        const letters = yield* ActorSystem.deadLetters
        assert.deepStrictEqual(eventsOf(letters), [1, 3, 5, 7, 9])
      }).pipe(Effect.provide(Supervisor.layer(Tree)))
    })
  )

  it.effect(
    "STAGE-11 such a dead letter can be had again: a child is started for it, beside those that demand counts",
    () =>
      Effect.gen(function* () {
        const started: Array<number> = []
        let broken = true
        const JobLive = Job.behavior((n: number) =>
          Effect.gen(function* () {
            if (n === 1 && broken) return yield* Effect.die("broken")
            started.push(n)
            return Job.of({ Finish: () => ActorContext.stop })
          })
        )
        const Tree = Supervisor.make("work", {
          children: [counter({ last: 9 }), Jobs.child(JobLive, { subscribeTo: [{ to: Counter, maxDemand: 2 }] })]
        })
        yield* Effect.gen(function* () {
          yield* quiet
          assert.deepStrictEqual(started, [0, 2])
          broken = false
          const [letter] = yield* ActorSystem.deadLetters
          assert.strictEqual(letter?.reason._tag, "NotStarted")
          yield* ActorSystem.replay(letter!)
          yield* quiet
          assert.deepStrictEqual(started, [0, 2, 1])
          const [producer] = [yield* Counter]
          assert.deepStrictEqual(
            (yield* Stage.status(producer)).consumers.map(({ pending }) => pending),
            [0]
          )
        }).pipe(Effect.provide(Supervisor.layer(Tree)))
      })
  )

  it.effect(
    "STAGE-11 a child that crashes more often than it may costs no more than its siblings, and the next events come",
    () =>
      Effect.gen(function* () {
        const started: Array<number> = []
        const JobLive = Job.behavior((n: number) =>
          Effect.gen(function* () {
            started.push(n)
            yield* Actor.continueWith(n === 0 ? Effect.die("crash") : ActorContext.stop)
            return Job.of({ Finish: () => {} })
          })
        )
        const Tree = Supervisor.make("work", {
          children: [counter({ last: 3 }), Jobs.child(JobLive, { subscribeTo: [{ to: Counter, maxDemand: 1 }] })]
        })
        yield* Effect.gen(function* () {
          for (let n = 0; n < 1_000 && started.at(-1) !== 3; n++) yield* Effect.yieldNow
          assert.deepStrictEqual(started, [0, 0, 1, 2, 3])
        }).pipe(Effect.provide(Supervisor.layer(Tree)))
      })
  )
})

describe("broadcast", () => {
  it.effect("STAGE-08 who joins late gets what is emitted from then on, at a pace that is everybody's", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ dispatcher: "broadcast", last: -1 }))
      const one = yield* subscribed(producer, { maxDemand: 10, minDemand: 0 })
      yield* producer.ask.Queue({ events: [1, 2] })
      const late = yield* subscribed(producer, { demand: "manual" })
      yield* producer.ask.Queue({ events: [3, 4, 5] })
      yield* settle(one.ref)
      assert.deepStrictEqual(yield* Queue.clear(one.batches), [[1, 2]])
      yield* Stage.ask(late.subscription, 2)
      assert.deepStrictEqual(yield* Queue.take(late.batches), [3, 4])
      assert.deepStrictEqual(yield* Queue.take(one.batches), [3, 4])
      yield* Actor.stop(late.ref)
      assert.deepStrictEqual(yield* Queue.take(one.batches), [5])
    })
  )
})

describe("interceptors", () => {
  it.effect("see what stages say to each other about demand", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const Watching = Interceptor.make({
        handle: (next, call) => {
          seen.push(call.tag)
          return next
        }
      })
      const producer = yield* Actor.spawn(counter({ last: 3 }).pipe(Interceptor.apply(Watching)))
      const one = yield* subscribed(producer, { maxDemand: 4, minDemand: 2, cancel: "temporary" })
      assert.deepStrictEqual(yield* Queue.takeN(one.batches, 2), [
        [0, 1],
        [2, 3]
      ])
      yield* Stage.cancel(one.subscription)
      yield* producer.ask.Sync()
      assert.deepStrictEqual(seen, ["Subscribe", "Confirm", "Ask", "Ask", "Cancel", "Sync"])
    })
  )
})
