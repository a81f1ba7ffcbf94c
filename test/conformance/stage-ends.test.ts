/** STAGE: what becomes of consumers, producers and their events when one of them ends. */
import { assert, describe, it } from "@effect/vitest"
import { Array, Effect, Queue, Schema, Stream } from "effect"
import { Actor, ActorContext, type ActorRef, ActorSystem, ExitReason, Stage, Supervisor } from "effect-otp"
import {
  Counter,
  counter,
  Doubler,
  doubler,
  range,
  settle,
  Sink,
  sink,
  spawnSink,
  subscribed,
  told
} from "../work/stages.ts"

describe("cancel", () => {
  const ends = {
    "in order": [(ref: ActorRef.ActorRef<Counter>) => Actor.stop(ref), "Shutdown"],
    "with a crash": [(ref: ActorRef.ActorRef<Counter>) => Effect.ignore(ref.ask.Crash()), "Failed"]
  } as const
  const outcomes = {
    permanent: { "in order": "Shutdown", "with a crash": "Failed" },
    transient: { "in order": "runs", "with a crash": "Failed" },
    temporary: { "in order": "runs", "with a crash": "runs" }
  } as const
  for (const cancel of ["permanent", "transient", "temporary"] as const) {
    for (const way of ["in order", "with a crash"] as const) {
      it.effect(`STAGE-10 a ${cancel} subscription, when the producer ends ${way}: ${outcomes[cancel][way]}`, () =>
        Effect.gen(function* () {
          const producer = yield* Actor.spawn(counter({ last: 9 }))
          const { batches, cancelled, ref } = yield* subscribed(producer, { cancel, maxDemand: 20 })
          assert.deepStrictEqual(yield* Queue.take(batches), range(0, 9))
          yield* ends[way][0](producer)
          yield* producer.ended
          const outcome = outcomes[cancel][way]
          if (outcome === "runs") yield* ref.ask.Sync()
          else assert.strictEqual((yield* ref.ended)._tag, outcome)
          assert.deepStrictEqual(cancelled, [ends[way][1]])
          assert.strictEqual(ref.status, outcome === "runs" ? "running" : "stopped")
        })
      )
    }
  }

  it.effect("STAGE-10 by hand: what is on its way comes first, then the consumer ends with the reason", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: -1 }))
      const one = yield* subscribed(producer)
      const two = yield* subscribed(producer, { cancel: "transient" })
      yield* producer.tell.Queue({ events: [1, 2, 3] })
      yield* Stage.cancel(one.subscription, ExitReason.Shutdown("enough"))
      assert.deepStrictEqual(yield* one.ref.ended, ExitReason.Shutdown("enough"))
      assert.deepStrictEqual(yield* Queue.clear(one.batches), [[1, 2, 3]])
      yield* Stage.cancel(two.subscription)
      yield* Stage.cancel(two.subscription)
      yield* settle(producer, two.ref)
      assert.deepStrictEqual([two.ref.status, two.cancelled], ["running", ["Normal"]])
      assert.deepStrictEqual((yield* Stage.status(producer)).consumers, [])
    })
  )

  it.effect("STAGE-10 a subscription to one that has ended ends at once", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter())
      yield* Actor.stop(producer)
      const log = yield* told
      const consumer = yield* spawnSink(log)
      const error = yield* Effect.flip(Stage.subscribe(consumer, { to: producer, cancel: "temporary" }))
      assert.strictEqual(error._tag === "SubscriptionRefused" && error.reason, "not-running")
      yield* consumer.ask.Sync()
      assert.deepStrictEqual(log.cancelled, ["Shutdown"])
      assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
    })
  )

  it.effect("a consumer that ends leaves its demand, which is not asked for again", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const producer = yield* Actor.spawn(counter({ asked, last: -1 }))
      const one = yield* subscribed(producer, { maxDemand: 10 })
      yield* Actor.stop(one.ref)
      yield* settle(producer)
      const two = yield* subscribed(producer, { maxDemand: 15 })
      assert.deepStrictEqual(asked, [10, 5])
      yield* producer.ask.Queue({ events: range(1, 20) })
      yield* settle(producer, two.ref)
      assert.deepStrictEqual((yield* Queue.clear(two.batches)).flat(), range(1, 20))
    })
  )

  it.effect("a producer-consumer gives on what it has taken in before it ends with its producer", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: 99 }))
      const got = yield* Queue.unbounded<ReadonlyArray<number>>()
      const middle = yield* Actor.spawn(doubler(got))
      const log = yield* told
      const last = yield* spawnSink(log)
      yield* Stage.subscribe(middle, { to: producer, maxDemand: 100, minDemand: 80 })
      yield* Queue.size(got)
      yield* Actor.stop(producer)
      assert.strictEqual(yield* Queue.size(got), 0)
      yield* Stage.subscribe(last, { to: middle, maxDemand: 10 })
      assert.deepStrictEqual(yield* last.ended, ExitReason.Shutdown())
      const twice = Array.flatMap(range(0, 99), (n) => [n, n])
      assert.deepStrictEqual((yield* Queue.clear(log.batches)).flat(), twice)
      assert.deepStrictEqual(yield* middle.ended, ExitReason.Shutdown())
    })
  )

  it.effect("what nobody has taken of one that ends is a dead letter", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: -1 }))
      yield* producer.ask.Queue({ events: [1, 2] })
      yield* Actor.stop(producer)
      const letters = yield* ActorSystem.deadLetters
      assert.deepStrictEqual(
        letters.map(({ payload, reason }) => [payload, reason._tag]),
        [[{ events: [1, 2] }, "NotRunning"]]
      )
    })
  )
})

/**
 * What a sink in a tree with a counter gets that crashes at 5, `crashes` times, and what the counter was asked for in all,
 * once nothing happens any more.
 */
const outcomeOf = (options: {
  readonly crashes: number
  readonly delivery?: "at-least-once"
  readonly redeliver?: number
}) => {
  const got: Array<number> = []
  const asked: Array<number> = []
  let { crashes } = options
  const { delivery = "at-most-once", redeliver = 0 } = options
  const SinkLive = Sink.behavior(
    Effect.succeed(
      Sink.of({
        events: (batch) => {
          if (batch.includes(5) && crashes-- > 0) throw new Error("crash")
          got.push(...batch)
        },
        Sync: () => {},
        Crash: () => Effect.die("crash")
      })
    ),
    { subscribeTo: [{ to: Counter, maxDemand: 4, minDemand: 2, delivery }], mailbox: { redeliver } }
  )
  const Tree = Supervisor.make("counting", {
    intensity: { restarts: 10, within: "1 second" },
    children: [counter({ last: 19, asked }), SinkLive]
  })
  return Effect.gen(function* () {
    const [producer, consumer] = [yield* Counter, yield* Sink]
    while (got.at(-1) !== 19) yield* settle(producer, consumer)
    yield* settle(producer, consumer)
    const { consumers } = yield* Stage.status(producer)
    const { producers } = yield* Stage.status(consumer)
    const pending = [...consumers, ...producers].map((each) => each.pending)
    return { got, asked: asked.reduce((sum, count) => sum + count, 0), pending }
  }).pipe(Effect.provide(Supervisor.layer(Tree)))
}

describe("restarts", () => {
  // As much as was handled or lost, and the 4 that it waits for.
  const full = { asked: 24, pending: [4, 4] }

  it.effect("a crash loses the batch at hand, and no demand", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* outcomeOf({ crashes: 1 }), { got: [...range(0, 3), ...range(6, 19)], ...full })
    })
  )

  it.effect("a mailbox that redelivers has the batch tried again", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* outcomeOf({ crashes: 2, redeliver: 2 }), { got: range(0, 19), ...full })
    })
  )

  it.effect("at least once: the next run gets what was not handled, in order, and nothing is asked for twice", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* outcomeOf({ crashes: 3, delivery: "at-least-once" }), {
        got: range(0, 19),
        ...full
      })
    })
  )

  it.effect("at least once: what a consumer leaves unhandled goes to another, before all else", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: 9 }))
      const delivery = "at-least-once"
      const one = yield* subscribed(producer, { delivery, maxDemand: 6, minDemand: 4 }, 2)
      assert.deepStrictEqual(yield* Queue.takeN(one.batches, 2), [
        [0, 1],
        [2, 3]
      ])
      yield* Actor.kill(one.ref)
      const two = yield* subscribed(producer, { delivery, maxDemand: 3, minDemand: 0 })
      yield* settle(producer, two.ref)
      assert.deepStrictEqual((yield* Queue.clear(two.batches)).flat(), range(2, 9))
    })
  )

  it.effect("a producer that crashes is asked again for what it owed; its buffer and consumers stay", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const Tree = Supervisor.make("counting", {
        intensity: { restarts: 2, within: "1 second" },
        children: [counter({ asked, last: -1 })]
      })
      yield* Effect.gen(function* () {
        const producer = yield* Counter
        const one = yield* subscribed(producer, { maxDemand: 4, minDemand: 0, demand: "manual" })
        yield* producer.ask.Queue({ events: [1, 2, 3] })
        yield* Effect.ignore(producer.ask.Crash())
        yield* producer.ask.Sync()
        assert.deepStrictEqual(asked, [])
        yield* Stage.ask(one.subscription, 8)
        assert.deepStrictEqual(yield* Queue.take(one.batches), [1, 2, 3])
        assert.deepStrictEqual(asked, [5])
        yield* Effect.ignore(producer.ask.Crash())
        yield* producer.ask.Sync()
        yield* producer.ask.Sync()
        assert.deepStrictEqual(asked, [5, 5])
        assert.deepStrictEqual(one.cancelled, [])
      }).pipe(Effect.provide(Supervisor.layer(Tree)))
    })
  )

  it.effect("a subscription made from outside outlives a restart of the consumer", () =>
    Effect.gen(function* () {
      const log = yield* told
      const Tree = Supervisor.make("counting", { children: [counter({ last: -1 }), sink(log)] })
      yield* Effect.gen(function* () {
        const [producer, consumer] = [yield* Counter, yield* Sink]
        yield* Stage.subscribe(consumer, { to: producer, maxDemand: 4 })
        yield* Effect.ignore(consumer.ask.Crash())
        yield* producer.ask.Queue({ events: range(1, 10) })
        yield* settle(producer, consumer)
        assert.deepStrictEqual((yield* Queue.clear(log.batches)).flat(), range(1, 10))
      }).pipe(Effect.provide(Supervisor.layer(Tree)))
    })
  )

  it.effect("what an init subscribes to no more is cancelled", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: -1 }))
      let runs = 0
      const SinkLive = Sink.behavior(
        Effect.gen(function* () {
          if (runs++ === 0) yield* Sink.subscribe({ to: producer })
          return Sink.of({ events: () => {}, Sync: () => {}, Crash: () => Effect.die("crash") })
        })
      )
      const Tree = Supervisor.make("counting", { children: [SinkLive] })
      yield* Effect.gen(function* () {
        const consumer = yield* Sink
        assert.lengthOf((yield* Stage.status(consumer)).producers, 1)
        yield* Effect.ignore(consumer.ask.Crash())
        yield* settle(consumer, producer)
        assert.deepStrictEqual((yield* Stage.status(consumer)).producers, [])
        assert.deepStrictEqual((yield* Stage.status(producer)).consumers, [])
        assert.strictEqual(consumer.status, "running")
      }).pipe(Effect.provide(Supervisor.layer(Tree)))
    })
  )
})

describe("restarts in the middle", () => {
  it.effect("a producer-consumer that crashes loses its batch, or gets it again, and what waits for demand stays", () =>
    Effect.gen(function* () {
      for (const delivery of ["at-most-once", "at-least-once"] as const) {
        let crashes = 1
        const log = yield* told
        const Middle = Doubler.behavior(
          Effect.succeed(
            Doubler.of({
              events: (batch) => {
                if (batch.includes(6) && crashes-- > 0) throw new Error("crash")
                return batch.flatMap((n) => [n, n])
              },
              Sync: () => {}
            })
          ),
          { subscribeTo: [{ to: Counter, maxDemand: 8, minDemand: 6, delivery }] }
        )
        const Tree = Supervisor.make("doubling", { children: [counter({ last: 29 }), Middle, sink(log)] })
        const got = yield* Effect.gen(function* () {
          const [producer, middle, consumer] = [yield* Counter, yield* Doubler, yield* Sink]
          yield* settle(producer)
          yield* Stage.subscribe(consumer, { to: middle, maxDemand: 3, minDemand: 0 })
          const all: Array<number> = []
          while (all.at(-1) !== 29) all.push(...(yield* Queue.take(log.batches)))
          return all
        }).pipe(Effect.provide(Supervisor.layer(Tree)))
        const kept = range(0, 29).filter((n) => delivery === "at-least-once" || (n !== 6 && n !== 7))
        const twice = kept.flatMap((n) => [n, n])
        assert.deepStrictEqual(got, twice.slice(0, got.length))
      }
    })
  )

  it.effect("at least once: what waits in the mailbox of one that crashes is not handled twice", () =>
    Effect.gen(function* () {
      const log = yield* told
      const Tree = Supervisor.make("counting", { children: [counter({ last: -1 }), sink(log)] })
      yield* Effect.gen(function* () {
        const [producer, consumer] = [yield* Counter, yield* Sink]
        yield* Stage.subscribe(consumer, { to: producer, delivery: "at-least-once" })
        yield* Actor.suspend(consumer)
        yield* consumer.tell.Crash()
        yield* producer.ask.Queue({ events: [1, 2] })
        yield* producer.ask.Queue({ events: [3] })
        yield* Actor.resume(consumer)
        yield* settle(producer)
        yield* settle(producer, consumer)
        assert.deepStrictEqual(yield* Queue.clear(log.batches), [[1, 2], [3]])
      }).pipe(Effect.provide(Supervisor.layer(Tree)))
    })
  )

  it.effect("a mailbox that a restart discards costs events, which are dead letters, and no demand", () =>
    Effect.gen(function* () {
      const got: Array<number> = []
      const SinkLive = Sink.behavior(
        Effect.succeed(
          Sink.of({
            events: (batch) => {
              if (batch.includes(0)) throw new Error("crash")
              got.push(...batch)
            },
            Sync: () => {},
            Crash: () => {}
          })
        ),
        { subscribeTo: [{ to: Counter, maxDemand: 10, minDemand: 8 }], mailbox: { onRestart: "discard" } }
      )
      const Tree = Supervisor.make("counting", { children: [counter({ last: 99 }), SinkLive] })
      yield* Effect.gen(function* () {
        const [producer, consumer] = [yield* Counter, yield* Sink]
        while (got.at(-1) !== 99) yield* settle(producer)
        assert.deepStrictEqual(got, range(10, 99))
        const lost = (yield* ActorSystem.deadLetters).flatMap(
          ({ payload }) => (payload as { readonly events: ReadonlyArray<number> }).events
        )
        assert.deepStrictEqual(lost, range(2, 9))
        yield* settle(producer, consumer)
        assert.strictEqual((yield* Stage.status(producer)).consumers[0]!.pending, 10)
      }).pipe(Effect.provide(Supervisor.layer(Tree)))
    })
  )

  it.effect(
    "at least once: a producer that ends gives all that it has sent, one that ends in order waits until it is handled",
    () =>
      Effect.gen(function* () {
        const delivery = "at-least-once"
        const crashed = yield* Actor.spawn(counter({ last: 9 }))
        const log = yield* told
        const consumer = yield* spawnSink(log)
        const taken = { delivery, cancel: "temporary", maxDemand: 10, minDemand: 8 } as const
        const subscription = yield* Stage.subscribe(consumer, { ...taken, to: crashed, demand: "manual" })
        yield* Actor.suspend(consumer)
        yield* Stage.ask(subscription, 4)
        yield* Stage.ask(subscription, 6)
        yield* crashed.ask.Sync()
        yield* Actor.stop(crashed)
        yield* Actor.resume(consumer)
        while (log.cancelled.length === 0) yield* consumer.ask.Sync()
        assert.deepStrictEqual((yield* Queue.clear(log.batches)).flat(), range(0, 9))

        class Ten extends Stage.Producer<Ten>()("test/Ten", Schema.Int) {}
        const ten = yield* Actor.spawn(Ten.from(Stream.range(0, 9)))
        const stuck = yield* told
        const one = yield* spawnSink(stuck, 2)
        // More than there is: so it knows that this was all.
        yield* Stage.subscribe(one, { ...taken, maxDemand: 12, minDemand: 10, to: ten })
        yield* Queue.takeN(stuck.batches, 2)
        assert.strictEqual(ten.status, "running")
        yield* Actor.kill(one)
        assert.deepStrictEqual(yield* Stream.runCollect(Stage.stream(ten)), range(2, 9))
        assert.deepStrictEqual(yield* ten.ended, ExitReason.Normal)
      })
  )
})

class Job extends Actor.Service<Job>()("test/Job", { Finish: {}, Fail: {} }) {}
class Jobs extends Stage.ConsumerSupervisor<Jobs, number>()("test/Jobs", Job) {}

/** Children that wait to be told; `started` gets each with its event. */
const jobs = Effect.map(Queue.unbounded<readonly [number, ActorRef.ActorRef<Job>]>(), (started) => ({
  started,
  JobLive: Job.behavior((n: number) =>
    Effect.gen(function* () {
      Queue.offerUnsafe(started, [n, yield* Job.self])
      return Job.of({ Finish: () => ActorContext.stop, Fail: () => Effect.die("crash") })
    })
  )
}))

describe("a child for each event", () => {
  it.effect("STAGE-11 never more children than demand; a restarted one keeps its place", () =>
    Effect.gen(function* () {
      const { JobLive, started } = yield* jobs
      const Tree = Supervisor.make("work", {
        children: [
          counter({ last: 5 }),
          Jobs.child(JobLive, {
            intensity: { restarts: 10, within: "1 second" },
            subscribeTo: [{ to: Counter, maxDemand: 1 }]
          })
        ]
      })
      yield* Effect.gen(function* () {
        for (let n = 0; n <= 5; n++) {
          const [event, job] = yield* Queue.take(started)
          assert.strictEqual(event, n)
          assert.strictEqual(yield* Jobs.count, 1)
          yield* job.tell.Fail()
          const [again] = yield* Queue.take(started)
          assert.strictEqual(again, n)
          yield* job.tell.Finish()
          yield* job.ended
        }
        yield* (yield* Counter).ask.Sync()
        assert.strictEqual(yield* Jobs.count, 0)
        assert.strictEqual(yield* Queue.size(started), 0)
      }).pipe(Effect.provide(Supervisor.layer(Tree)))
    })
  )

  it.effect("STAGE-11 a place is free when a child that is not restarted crashes, or does not want to start", () =>
    Effect.gen(function* () {
      const { JobLive, started } = yield* jobs
      const Picky = Job.behavior((n: number) =>
        Effect.gen(function* () {
          if (n % 2 === 1) return yield* Actor.ignore
          Queue.offerUnsafe(started, [n, yield* Job.self])
          return Job.of({ Finish: () => ActorContext.stop, Fail: () => Effect.die("crash") })
        })
      )
      for (const [behavior, expected] of [
        [JobLive, range(0, 4)],
        [Picky, [0, 2, 4]]
      ] as const) {
        const options = { restart: "temporary", subscribeTo: [{ to: Counter, maxDemand: 1 }] } as const
        const Tree = Supervisor.make("work", { children: [counter({ last: 4 }), Jobs.child(behavior, options)] })
        yield* Effect.gen(function* () {
          for (const n of expected) {
            const [event, job] = yield* Queue.take(started)
            assert.deepStrictEqual([event, yield* Jobs.count], [n, 1])
            yield* job.tell.Fail()
          }
        }).pipe(Effect.provide(Supervisor.layer(Tree)))
      }
    })
  )

  it.effect("STAGE-12 children outlive the producer", () =>
    Effect.gen(function* () {
      const { JobLive, started } = yield* jobs
      const producer = yield* Actor.spawn(counter({ last: 1 }))
      const Tree = Supervisor.make("work", {
        children: [Jobs.child(JobLive, { subscribeTo: [{ to: Counter, maxDemand: 10 }] })]
      })
      yield* Effect.gen(function* () {
        const [one, two] = (yield* Queue.takeN(started, 2)).map(([, job]) => job)
        yield* Effect.ignore(producer.ask.Crash())
        yield* producer.ended
        yield* Effect.yieldNow
        assert.deepStrictEqual([one!.status, two!.status, yield* Jobs.count], ["running", "running", 2])
      }).pipe(Effect.provide(Supervisor.layer(Tree)), Effect.provideService(Counter, producer))
    })
  )
})

describe("once all is taken", () => {
  class Source extends Stage.Producer<Source>()("test/Source", Schema.Int, {
    Give: { payload: Schema.Array(Schema.Int) }
  }) {}

  const source = (log: Array<string>) =>
    Source.behavior(
      Effect.succeed(
        Source.of({
          Give: (events) =>
            Effect.andThen(
              Source.emit(events),
              Source.whenTaken(Effect.sync(() => void log.push(`taken ${events.join()}`)))
            )
        })
      )
    )

  it.effect("what is given back is not taken", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const giving = yield* Actor.spawn(source(log))
      const stuck = yield* told
      const one = yield* spawnSink(stuck, 2)
      yield* Stage.subscribe(one, { to: giving, delivery: "at-least-once", maxDemand: 5, minDemand: 4 })
      yield* giving.ask.Give([1, 2, 3, 4])
      assert.deepStrictEqual(yield* Queue.takeN(stuck.batches, 2), [[1], [2]])
      yield* giving.ask.Give([])
      assert.deepStrictEqual(log, [])
      yield* Actor.kill(one)
      yield* giving.ask.Give([])
      assert.deepStrictEqual(log, [])
      const rest = yield* Stage.stream(giving).pipe(Stream.take(3), Stream.runCollect)
      assert.deepStrictEqual(rest, [2, 3, 4])
      yield* giving.ask.Give([])
      assert.include(log, "taken 1,2,3,4")
    })
  )

  it.effect("an effect runs when all that was emitted before it is taken", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const giving = yield* Actor.spawn(source(log))
      yield* giving.tell.Give([1, 2, 3])
      yield* giving.tell.Give([4])
      const taken = yield* Stage.stream(giving, { maxDemand: 1 }).pipe(
        Stream.tap((n) => Effect.sync(() => void log.push(`${n}`))),
        Stream.take(4),
        Stream.runCollect
      )
      assert.deepStrictEqual(taken, [1, 2, 3, 4])
      assert.isBelow(log.indexOf("2"), log.indexOf("taken 1,2,3"))
      assert.isBelow(log.indexOf("taken 1,2,3"), log.indexOf("taken 4"))
    })
  )
})
