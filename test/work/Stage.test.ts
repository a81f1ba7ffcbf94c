/** Stages and streams, shards, what is refused, and what holds for any demand. */
import { assert, describe, it } from "@effect/vitest"
import { Array, Deferred, Effect, Fiber, Option, Queue, Ref, Schema, Stream } from "effect"
import {
  Actor,
  type ActorRef,
  ActorSystem,
  ExitReason,
  Interceptor,
  PartitionSupervisor,
  Stage,
  Supervisor
} from "effect-otp"
import { Counter, counter, range, settle, Sink, sink, spawnSink, subscribed, told } from "./stages.ts"

class Feed extends Stage.Producer<Feed>()("test/Feed", Schema.Int) {}

describe("streams", () => {
  it.effect("a stream's elements are emitted as they are asked for, then the stage ends, and who takes them", () =>
    Effect.gen(function* () {
      const made: Array<number> = []
      const stream = Stream.range(1, 10).pipe(Stream.tap((n) => Effect.sync(() => void made.push(n))))
      const feed = yield* Actor.spawn(Feed.from(stream))
      const log = yield* told
      const consumer = yield* spawnSink(log)
      const subscription = yield* Stage.subscribe(consumer, { to: feed, demand: "manual" })
      yield* Stage.ask(subscription, 1)
      assert.deepStrictEqual(yield* Queue.take(log.batches), [1])
      assert.isAtMost(made.length, 2)
      yield* Stage.ask(subscription, 100)
      assert.deepStrictEqual(yield* consumer.ended, ExitReason.Normal)
      assert.deepStrictEqual((yield* Queue.clear(log.batches)).flat(), range(2, 10))
      assert.deepStrictEqual(yield* feed.ended, ExitReason.Normal)
    })
  )

  it.effect("a slow stream keeps nobody waiting: its elements come one by one, others join meanwhile", () =>
    Effect.gen(function* () {
      const source = yield* Queue.unbounded<number>()
      const feed = yield* Actor.spawn(Feed.from(Stream.fromQueue(source)))
      const taken = yield* Queue.unbounded<number>()
      const take = Stage.stream(feed).pipe(Stream.runForEach((n) => Queue.offer(taken, n)))
      yield* Effect.forkScoped(take)
      yield* Queue.offer(source, 1)
      assert.strictEqual(yield* Queue.take(taken), 1)
      yield* Queue.offer(source, 2)
      assert.strictEqual(yield* Queue.take(taken), 2)
    })
  )

  it.effect("a stream that fails crashes its stage, with its error, and fails who streams it", () =>
    Effect.gen(function* () {
      const feed = yield* Actor.spawn(Feed.from(Stream.concat(Stream.make(1), Stream.fail("broken"))))
      const error = yield* Effect.flip(Stream.runCollect(Stage.stream(feed)))
      assert.strictEqual(error._tag, "ProducerEnded")
      assert.include(error.message, `${feed.path}, which a stream takes events from, crashed: broken`)
    })
  )

  it.effect("through three stages and a stream nothing is lost, doubled or out of order", () =>
    Effect.gen(function* () {
      const feed = yield* Actor.spawn(Feed.from(Stream.range(1, 5_000)))
      const squares = Stage.stream(feed, { maxDemand: 30 }).pipe(Stream.map((n) => n * n))
      const second = yield* Actor.spawn(Feed.from(squares))
      const all = yield* Stream.runCollect(Stage.stream(second, { maxDemand: 7, minDemand: 3 }))
      assert.deepStrictEqual(
        all,
        range(1, 5_000).map((n) => n * n)
      )
    })
  )

  it.effect("a stream that ends early cancels; what was on its way is a dead letter, or is given back", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: 9 }))
      const some = (delivery: "at-most-once" | "at-least-once") =>
        Stage.stream(producer, { maxDemand: 4, minDemand: 3, delivery }).pipe(Stream.take(2), Stream.runCollect)
      assert.deepStrictEqual(yield* some("at-least-once"), [0, 1])
      yield* producer.ask.Sync()
      assert.deepStrictEqual((yield* Stage.status(producer)).consumers, [])
      assert.deepStrictEqual(yield* some("at-most-once"), [1, 2])
      yield* producer.ask.Sync()
      const left = (yield* ActorSystem.deadLetters).filter(({ recipient }) => recipient.includes("Stage/stream"))
      const events = left.flatMap(({ payload }) => (payload as { readonly events: ReadonlyArray<number> }).events)
      assert.isAtLeast(events.length, 2)
      const rest = yield* Stage.stream(producer).pipe(Stream.take(10 - 3 - events.length), Stream.runCollect)
      assert.deepStrictEqual([...events, ...rest], range(3, 9))
    })
  )

  it.effect("R6 the next item is prefetched while the current one is worked on, and not many more", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const gate = yield* Queue.unbounded<void>()
      class Fetcher extends Actor.Service<Fetcher>()("test/Fetcher", {
        Get: { payload: { id: Schema.Int }, success: Schema.Int }
      }) {}
      class Worker extends Actor.Service<Worker>()("test/Worker", {
        Work: { payload: { n: Schema.Int }, success: Schema.Int }
      }) {}
      const fetcher = yield* Actor.spawn(
        Fetcher.behavior(
          Effect.succeed(
            Fetcher.of({
              Get: ({ id }) => {
                log.push(`fetch ${id}`)
                return id
              }
            })
          )
        )
      )
      const worker = yield* Actor.spawn(
        Worker.behavior(
          Effect.succeed(
            Worker.of({
              Work: ({ n }) =>
                Effect.gen(function* () {
                  log.push(`begin ${n}`)
                  yield* Queue.take(gate)
                  log.push(`end ${n}`)
                  return n * 10
                })
            })
          )
        )
      )
      const results = yield* Stream.range(1, 20).pipe(
        Stream.rechunk(1),
        Stage.prefetch((id) => fetcher.ask.Get({ id })),
        Stream.mapEffect((n) => worker.ask.Work({ n })),
        Stream.runCollect,
        Effect.forkScoped
      )
      while (!log.includes("fetch 2")) yield* Effect.yieldNow
      for (let n = 0; n < 100; n++) yield* Effect.yieldNow
      // The first is being worked on, and the next are here.
      assert.include(log, "begin 1")
      assert.notInclude(log, "end 1")
      assert.notInclude(log, "fetch 5")
      yield* Queue.offerAll(
        gate,
        Array.makeBy(20, () => undefined)
      )
      assert.deepStrictEqual(
        yield* Fiber.join(results),
        range(1, 20).map((n) => n * 10)
      )
      assert.isBelow(log.indexOf("fetch 10"), log.indexOf("end 9"))
    })
  )
})

class Squares extends Stage.ProducerConsumer<Squares>()("test/Squares", { takes: Schema.Int, emits: Schema.Int }) {}

describe("shards", () => {
  it.effect("R11 split by key, worked on in parallel, merged as it comes: in order per key", () =>
    Effect.gen(function* () {
      const dispatcher = { partitions: 3, key: (n: number) => n % 5 }
      const feed = yield* Actor.spawn(Feed.from(Stream.range(1, 300), { dispatcher }))
      const shards = yield* Effect.forEach([0, 1, 2], (partition) =>
        Effect.gen(function* () {
          const shard = yield* Actor.spawn(
            Squares.behavior(
              Effect.gen(function* () {
                yield* Squares.subscribe({ to: feed, partition, maxDemand: 10 })
                return Squares.of({
                  events: (batch) =>
                    Effect.as(
                      Effect.yieldNow,
                      batch.map((n) => n * 10)
                    )
                })
              })
            )
          )
          return shard
        })
      )
      const merged = yield* Stream.mergeAll(
        shards.map((shard) => Stage.stream(shard)),
        { concurrency: "unbounded" }
      ).pipe(Stream.runCollect)
      assert.sameMembers(
        [...merged],
        range(1, 300).map((n) => n * 10)
      )
      for (const key of range(0, 4)) {
        const own = merged.filter((n) => (n / 10) % 5 === key)
        assert.deepStrictEqual(
          own,
          [...own].sort((a, b) => a - b)
        )
      }
    })
  )

  it.effect("R11 stateful shards beside stateless work, merged in order", () =>
    Effect.gen(function* () {
      class Tally extends Actor.Service<Tally>()("test/Tally", {
        Add: { payload: { n: Schema.Int }, success: Schema.Int }
      }) {}
      class Tallies extends PartitionSupervisor.Service<Tallies>()("test/Tallies", Tally) {}
      const TallyLive = Tally.behavior(
        Tally.sync(() => {
          let sum = 0
          return Tally.of({ Add: ({ n }) => (sum += n) })
        })
      )
      const Tree = Supervisor.make("tallies", { children: [Tallies.child(TallyLive, { partitions: 2 })] })
      const sums = yield* Stream.range(1, 6).pipe(
        Stream.mapEffect((n) => Effect.flatMap(Tallies.at(n), (tally) => tally.ask.Add({ n })), { concurrency: 4 }),
        Stream.runCollect,
        Effect.provide(Supervisor.layer(Tree))
      )
      assert.deepStrictEqual(sums, [1, 2, 4, 6, 9, 12])
    })
  )
})

describe("partitions", () => {
  it.effect("what is set aside for a consumer that ends waits for the next one, and holds up nobody", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const dispatcher = { partitions: ["even", "odd"], by: (n: number) => (n % 2 === 0 ? "even" : "odd") }
      const producer = yield* Actor.spawn(counter({ dispatcher, asked, last: -1 }))
      const manual = { demand: "manual" } as const
      const even = yield* subscribed(producer, { ...manual, partition: "even" })
      const odd = yield* subscribed(producer, { ...manual, partition: "odd" })
      yield* Stage.ask(even.subscription, 2)
      yield* Stage.ask(odd.subscription, 2)
      yield* producer.ask.Queue({ events: [2, 4, 6, 8] })
      yield* Actor.stop(even.ref)
      yield* Stage.ask(odd.subscription, 1)
      yield* settle(producer)
      // Two were set aside for one that has gone, and must not count against the other.
      assert.deepStrictEqual(asked, [2, 2, 2, 1].slice(0, asked.length))
      yield* producer.ask.Queue({ events: [1, 3] })
      assert.deepStrictEqual(yield* Queue.take(odd.batches), [1, 3])
      const next = yield* subscribed(producer, { partition: "even" })
      assert.deepStrictEqual(yield* Queue.take(next.batches), [6, 8])
    })
  )

  it.effect(
    "at least once: what its consumer left unhandled is for the next one of the partition, before all else",
    () =>
      Effect.gen(function* () {
        const producer = yield* Actor.spawn(counter({ dispatcher: { partitions: 2, key: (n) => n }, last: -1 }))
        const options = { partition: 0, delivery: "at-least-once", maxDemand: 4, minDemand: 2 } as const
        const one = yield* subscribed(producer, options, 1)
        yield* producer.ask.Queue({ events: [0, 2, 4, 6, 8] })
        assert.deepStrictEqual(yield* Queue.take(one.batches), [0, 2])
        yield* Actor.kill(one.ref)
        const two = yield* subscribed(producer, options)
        yield* settle(producer, two.ref)
        yield* settle(producer, two.ref)
        assert.deepStrictEqual((yield* Queue.clear(two.batches)).flat(), [0, 2, 4, 6, 8])
      })
  )

  it.effect("events that belong to no partition are left out", () =>
    Effect.gen(function* () {
      const dispatcher = { partitions: 1, by: (n: number) => (n % 3 === 0 ? 0 : undefined) }
      const producer = yield* Actor.spawn(counter({ dispatcher, last: 99 }))
      const { batches, ref } = yield* subscribed(producer, { partition: 0, maxDemand: 5 })
      const got = yield* Queue.takeN(batches, 10)
      yield* settle(producer, ref)
      const multiples = range(0, 33).map((n) => n * 3)
      assert.deepStrictEqual(got.flat(), multiples.slice(0, got.flat().length))
    })
  )
})

describe("broadcast", () => {
  it.effect("a consumer selects, and goes on when it wants nothing of what there is", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ dispatcher: "broadcast", demand: "accumulate", last: 999 }))
      const all = yield* subscribed(producer, { maxDemand: 50 })
      const hundreds = yield* subscribed(producer, { maxDemand: 10, selector: (n) => n % 100 === 0 })
      yield* Stage.setDemand(producer, "forward")
      const sum = yield* Effect.forEach(range(1, 10), () => Queue.take(hundreds.batches))
      assert.deepStrictEqual(
        sum.flat(),
        range(0, 9).map((n) => n * 100)
      )
      while ((yield* Stage.status(all.ref)).producers[0]!.pending > 50) yield* settle(producer)
      yield* settle(producer, all.ref, hundreds.ref)
      assert.deepStrictEqual((yield* Queue.clear(all.batches)).flat(), range(0, 999))
    })
  )

  it.effect("nobody subscribes twice", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ dispatcher: "broadcast" }))
      const one = yield* subscribed(producer, { demand: "manual" })
      const again = yield* Effect.flip(Stage.subscribe(one.ref, { to: producer, cancel: "temporary" }))
      assert.strictEqual(again._tag === "SubscriptionRefused" && again.reason, "subscribed-already")
    })
  )
})

describe("stages are actors", () => {
  it.effect("interceptors see their messages", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const Watching = Interceptor.make({
        handle: (next, call) => {
          seen.push(call.tag)
          return next
        }
      })
      const log = yield* told
      const producer = yield* Actor.spawn(counter({ last: 0 }))
      const consumer = yield* Actor.spawn(sink(log).pipe(Interceptor.apply(Watching)))
      yield* Stage.subscribe(consumer, { to: producer })
      assert.deepStrictEqual(yield* Queue.take(log.batches), [0])
      assert.deepStrictEqual(seen, ["Attach", "Events"])
    })
  )

  it.effect("events belong to the span they were emitted in, and not to who subscribed", () =>
    Effect.gen(function* () {
      const spans: Array<string> = []
      const SinkLive = Sink.behavior(
        Effect.succeed(
          Sink.of({
            events: (batch) =>
              Effect.map(Effect.option(Effect.currentSpan), (span) => {
                for (const n of batch) spans.push(`${n} ${Option.isSome(span) ? span.value.name : "no span"}`)
              }),
            Sync: () => {},
            Crash: () => {}
          })
        )
      )
      const producer = yield* Actor.spawn(counter({ last: 3 }))
      const consumer = yield* Actor.spawn(SinkLive)
      const subscribing = Stage.subscribe(consumer, { to: producer, maxDemand: 2, minDemand: 1 })
      yield* Effect.withSpan(subscribing, "subscribing")
      while (spans.length < 4) yield* Effect.yieldNow
      yield* Effect.withSpan(producer.ask.Queue({ events: [10] }), "placing")
      yield* producer.ask.Queue({ events: [11] })
      while (spans.length < 6) yield* Effect.yieldNow
      assert.deepStrictEqual(spans, [...range(0, 3).map((n) => `${n} no span`), "10 placing", "11 no span"])
    })
  )

  it.effect("a consumer with a small mailbox holds its producer up, and loses nothing", () =>
    Effect.gen(function* () {
      const got: Array<number> = []
      const all = yield* Deferred.make<void>()
      const SinkLive = Sink.behavior(
        Effect.succeed(
          Sink.of({
            events: (batch) =>
              Effect.gen(function* () {
                yield* Effect.yieldNow
                got.push(...batch)
                if (got.length === 100) yield* Deferred.succeed(all, undefined)
              }),
            Sync: () => {},
            Crash: () => {}
          })
        ),
        { mailbox: { capacity: 1, overflow: "suspend" } }
      )
      const producer = yield* Actor.spawn(counter({ last: 99 }))
      const consumer = yield* Actor.spawn(SinkLive)
      yield* Stage.subscribe(consumer, { to: producer, maxDemand: 20, minDemand: 18 })
      yield* Deferred.await(all)
      assert.deepStrictEqual(got, range(0, 99))
    })
  )

  it.effect("a child that comes before the stage it needs is what subscriptions ask of a tree", () =>
    Effect.gen(function* () {
      const sum = yield* Ref.make(0)
      const done = yield* Deferred.make<number>()
      const SinkLive = Sink.behavior(
        Effect.succeed(
          Sink.of({
            events: (batch) => Ref.update(sum, (n) => n + batch.reduce((a, b) => a + b, 0)),
            cancelled: () => Effect.flatMap(Ref.get(sum), (n) => Deferred.succeed(done, n)),
            Sync: () => {},
            Crash: () => {}
          })
        ),
        { subscribeTo: [{ to: Feed, cancel: "temporary" }] }
      )
      const Tree = Supervisor.make("sum", {
        children: [Supervisor.child(Feed.from(Stream.range(1, 100)), { restart: "transient" }), SinkLive]
      })
      assert.strictEqual(yield* Deferred.await(done).pipe(Effect.provide(Supervisor.layer(Tree))), 5_050)
    })
  )

  it.effect("a graph of stages finds its order by itself", () =>
    Effect.gen(function* () {
      const done = yield* Deferred.make<ReadonlyArray<number>>()
      const SinkLive = Sink.behavior(
        Effect.succeed(Sink.of({ events: (batch) => Deferred.succeed(done, batch), Sync: () => {}, Crash: () => {} })),
        { subscribeTo: [Squares] }
      )
      const SquaresLive = Squares.behavior(Effect.succeed(Squares.of({ events: (batch) => batch.map((n) => n * n) })), {
        subscribeTo: [Feed]
      })
      const Tree = Supervisor.graph("stages", { children: [SinkLive, SquaresLive, Feed.from(Stream.range(1, 3))] })
      const got = yield* Deferred.await(done).pipe(Effect.provide(Supervisor.layer(Tree)))
      assert.deepStrictEqual(got, [1, 4, 9])
    })
  )
})

describe("refused where it is written", () => {
  const refused = (f: () => unknown) => {
    try {
      f()
    } catch (error) {
      return (error as Error).message
    }
    return "not refused"
  }
  const cases: ReadonlyArray<readonly [string, () => unknown, string]> = [
    ["a buffer of half an event", () => counter({ buffer: { size: 0.5 } }), "buffer.size must be a whole number"],
    [
      "a buffer that keeps some",
      () => counter({ buffer: { keep: "some" as never } }),
      "buffer.keep must be first or last"
    ],
    ["no partitions", () => counter({ dispatcher: { partitions: 0 } }), "dispatcher must be demand, broadcast or"],
    ["no such dispatcher", () => counter({ dispatcher: "random" as never }), "dispatcher must be demand, broadcast or"],
    ["no such demand", () => counter({ demand: "some" as never }), "demand must be forward or accumulate"],
    [
      "a message that stages have",
      () => Stage.Producer()("test/Bad", Schema.Int, { Ask: {} } as never),
      "has a name that stages need"
    ],
    [
      "no demand",
      () => Sink.behavior(Effect.never, { subscribeTo: [{ to: Counter, maxDemand: 0 }] }),
      "maxDemand must be a whole number of 1 or more"
    ],
    [
      "a minimum that is none",
      () => Sink.behavior(Effect.never, { subscribeTo: [{ to: Counter, maxDemand: 10, minDemand: 10 }] }),
      "minDemand must be a whole number from 0 to below maxDemand, which is 10"
    ]
  ]
  for (const [title, f, message] of cases) it(title, () => assert.include(refused(f), message))

  it.effect("a subscription to one that emits nothing", () =>
    Effect.gen(function* () {
      const log = yield* told
      const [one, two] = [yield* spawnSink(log), yield* spawnSink(log)]
      const to = two as unknown as ActorRef.ActorRef<Counter>
      const error = yield* Effect.flip(Stage.subscribe(one, { to, cancel: "temporary" }))
      assert.include(error.message, "it emits nothing, subscribe to a producer or a producer-consumer")
    })
  )
})

describe("for any demand", () => {
  const count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
  const demands = Schema.Array(Schema.Struct({ max: count(1, 30), min: count(0, 29) })).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(4)
  )
  const dispatchers = Schema.Literals(["demand", "broadcast", "partitions"])

  it.effect.prop(
    "R73 nothing is emitted that was not asked for, and nothing is lost, doubled or out of order",
    { demands, dispatcher: dispatchers, portion: count(1, 12), crash: count(0, 40) },
    ({ crash, demands, dispatcher, portion }) =>
      Effect.gen(function* () {
        const [asked, emitted] = [{ count: 0 }, { count: 0 }]
        const LAST = 120
        let owed = 0
        let next = 0
        const portionOf = () => {
          const size = Math.max(0, Math.min(owed, portion, LAST - next + 1))
          owed -= size
          next += size
          emitted.count += size
          return globalThis.Array.from({ length: size }, (_, n) => next - size + n)
        }
        class Source extends Stage.Producer<Source>()("test/Source", Schema.Int, { More: {}, Sync: {} }) {}
        const partitions = { partitions: demands.length, key: (n: number) => n % 7 }
        const source = yield* Actor.spawn(
          Source.behavior(
            Effect.map(Source.self, (self) =>
              Source.of({
                // A little at a time, and the rest when there is time.
                demand: (count) => {
                  owed += count
                  asked.count += count
                  return Effect.as(self.tell.More(), portionOf())
                },
                More: () =>
                  owed > 0 && next <= LAST
                    ? Effect.andThen(
                        Effect.suspend(() => Source.emit(portionOf())),
                        self.tell.More()
                      )
                    : undefined,
                Sync: () => {}
              })
            ),
            { dispatcher: dispatcher === "partitions" ? partitions : dispatcher, demand: "accumulate" }
          )
        )
        const got = demands.map((): Array<number> => [])
        const sinkOf = (index: number, max: number, min: number) => {
          let crashes = crash > 0 ? 1 : 0
          const SinkLive = Sink.behavior(
            Effect.gen(function* () {
              const options = { maxDemand: max, minDemand: min, delivery: "at-least-once" } as const
              yield* Sink.subscribe({
                to: source,
                ...options,
                ...(dispatcher === "partitions" ? { partition: index } : {})
              })
              return Sink.of({
                events: (batch) => {
                  assert.isAtMost(batch.length, max - min)
                  if (batch.includes(crash) && crashes-- > 0) return Effect.die("crash")
                  got[index]!.push(...batch)
                  return undefined
                },
                Sync: () => {},
                Crash: () => {}
              })
            })
          )
          return Supervisor.child(SinkLive, { id: `${index}` })
        }
        const children = demands.map(({ max, min }, index) => sinkOf(index, max, Math.min(min, max - 1)))
        yield* Supervisor.start(Supervisor.make("sinks", { intensity: { restarts: 10, within: "1 second" }, children }))
        yield* Stage.setDemand(source, "forward")
        const all = LAST + 1
        const total = () => got.reduce((sum, each) => sum + each.length, 0)
        const expected = dispatcher === "broadcast" ? all * demands.length : all
        for (let n = 0; n < 2_000 && total() < expected; n++) {
          yield* source.ask.Sync()
          assert.isAtMost(emitted.count, asked.count)
          assert.strictEqual((yield* Stage.status(source)).buffered, 0)
          yield* Effect.yieldNow
        }
        for (const each of got)
          assert.deepStrictEqual(
            each,
            [...each].sort((a, b) => a - b)
          )
        if (dispatcher === "broadcast") for (const each of got) assert.deepStrictEqual(each, range(0, LAST))
        else
          assert.deepStrictEqual(
            got.flat().sort((a, b) => a - b),
            range(0, LAST)
          )
        if (dispatcher === "partitions") {
          for (const key of range(0, 6)) {
            assert.lengthOf(
              got.filter((each) => each.some((n) => n % 7 === key)),
              1
            )
          }
        }
      }),
    { arbitrary: { runs: 60 } }
  )
})
