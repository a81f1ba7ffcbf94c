/** Stages of one function, with pools as who does the work, and without. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Latch, Queue, Schema, Stream } from "effect"
import { Actor, Pool, Stage, Supervisor } from "effect-otp"
import { range } from "./stages.ts"

class Feed extends Stage.Producer<Feed>()("test/Feed", Schema.Int) {}
class Squares extends Stage.ProducerConsumer<Squares>()("test/Squares", { takes: Schema.Int, emits: Schema.Int }) {}
class Last extends Stage.Consumer<Last>()("test/Last", Schema.Int) {}
class Squarer extends Actor.Service<Squarer>()("test/Squarer", {
  Of: { payload: { n: Schema.Int }, success: Schema.Int }
}) {}

class Beside extends Actor.Service<Beside>()("test/Beside", {}) {}

describe("a stage of one function", () => {
  it.effect("plain functions, effects, and both by turns: each event once, in order", () =>
    Effect.gen(function* () {
      const fs = [
        (n: number) => n * n,
        (n: number) => Effect.as(Effect.yieldNow, n * n),
        function* (n: number) {
          yield* Effect.yieldNow
          return n * n
        },
        (n: number) => (n % 3 === 2 ? Effect.as(Effect.yieldNow, n * n) : n * n)
      ]
      for (const f of fs) {
        const calls: Array<number> = []
        const got: Array<number> = []
        const counted = (n: number) => {
          calls.push(n)
          return f(n)
        }
        const feed = yield* Actor.spawn(Feed.from(Stream.range(1, 100)))
        const squares = yield* Actor.spawn(Squares.map(counted))
        const last = yield* Actor.spawn(Last.forEach((n) => void got.push(n)))
        yield* Stage.subscribe(last, { to: squares, maxDemand: 10 })
        yield* Stage.subscribe(squares, { to: feed, maxDemand: 10 })
        yield* last.ended
        assert.deepStrictEqual(calls, range(1, 100))
        assert.deepStrictEqual(
          got,
          range(1, 100).map((n) => n * n)
        )
      }
    })
  )

  it.effect("in a tree, with all defaults: each event once, and then all stages have ended", () =>
    Effect.gen(function* () {
      const got: Array<number> = []
      const Tree = Supervisor.make("squares", {
        children: [
          Feed.from(Stream.range(1, 5)),
          Squares.map((n) => n * n, { subscribeTo: [Feed] }),
          Last.forEach((n) => void got.push(n), { subscribeTo: [Squares] }),
          Beside.behavior(Effect.succeed(Beside.of({})))
        ]
      })
      yield* Effect.gen(function* () {
        const [feed, last, beside] = [yield* Feed, yield* Last, yield* Beside]
        yield* last.ended
        yield* feed.ended
        for (let n = 0; n < 100; n++) yield* Effect.yieldNow
        assert.deepStrictEqual(got, [1, 4, 9, 16, 25])
        assert.deepStrictEqual([feed.status, last.status, beside.status], ["stopped", "stopped", "running"])
      }).pipe(Effect.provide(Supervisor.layer(Tree)))
    })
  )

  it.effect("R6 as many of a batch at a time as it says, and the next batch is there already", () =>
    Effect.gen(function* () {
      const made: Array<number> = []
      const begun = yield* Queue.unbounded<number>()
      const gate = yield* Latch.make()
      const stream = Stream.range(1, 20).pipe(
        Stream.rechunk(1),
        Stream.tap((n) => Effect.sync(() => void made.push(n)))
      )
      const feed = yield* Actor.spawn(Feed.from(stream))
      const squares = yield* Actor.spawn(
        Squares.map((n) => Effect.andThen(Queue.offer(begun, n), Effect.as(gate.await, n * n)), { concurrency: 2 })
      )
      const got: Array<number> = []
      const last = yield* Actor.spawn(Last.forEach((n) => Effect.sync(() => void got.push(n))))
      yield* Stage.subscribe(last, { to: squares })
      yield* Stage.subscribe(squares, { to: feed, maxDemand: 8, minDemand: 4 })
      yield* Queue.takeN(begun, 1)
      while (made.length < 8) yield* Effect.yieldNow
      for (let n = 0; n < 100; n++) yield* Effect.yieldNow
      // As much as was asked for is here, while the first batch is worked on.
      assert.lengthOf(made, 8)
      assert.isAtMost(yield* Queue.size(begun), 1)
      yield* gate.open
      yield* last.ended
      assert.deepStrictEqual(
        got,
        range(1, 20).map((n) => n * n)
      )
    })
  )

  it.effect("R11 a pool does the work of a stage: one ask per event, or a batch for all members", () =>
    Effect.gen(function* () {
      let busy = 0
      let most = 0
      const SquarerLive = Squarer.behavior(
        Effect.succeed(
          Squarer.of({
            Of: ({ n }) =>
              Effect.gen(function* () {
                most = Math.max(most, ++busy)
                yield* Effect.yieldNow
                busy--
                return n * n
              })
          })
        )
      )
      const ByAsk = Squares.map((n) => Squarer.use((squarer) => squarer.ask.Of({ n })), {
        subscribeTo: [{ to: Feed, maxDemand: 20 }],
        concurrency: 3
      })
      const ByBatch = Squares.behavior(
        Effect.gen(function* () {
          const pool = yield* Pool.of(Squarer)
          return Squares.of({
            events: (batch) => Stream.runCollect(Pool.map(pool, batch, (squarer, n) => squarer.ask.Of({ n })))
          })
        }),
        { subscribeTo: [{ to: Feed, maxDemand: 20 }] }
      )
      for (const SquaresLive of [ByAsk, ByBatch]) {
        most = 0
        const got: Array<number> = []
        const done = yield* Deferred.make<void>()
        const Tree = Supervisor.make("squares", {
          children: [
            Pool.child(SquarerLive, { size: 3 }),
            Supervisor.child(Feed.from(Stream.range(1, 50)), { restart: "transient" }),
            Supervisor.child(SquaresLive, { restart: "transient" }),
            Supervisor.child(
              Last.forEach(
                (n) => {
                  got.push(n)
                  return got.length === 50 ? Deferred.succeed(done, undefined) : undefined
                },
                { subscribeTo: [Squares] }
              ),
              { restart: "transient" }
            )
          ]
        })
        yield* Deferred.await(done).pipe(Effect.provide(Supervisor.layer(Tree)))
        assert.deepStrictEqual(
          got,
          range(1, 50).map((n) => n * n)
        )
        assert.strictEqual(most, 3)
      }
    })
  )

  it.effect("a failure ends the actor, which its supervisor decides about", () =>
    Effect.gen(function* () {
      const got: Array<number> = []
      let fails = true
      const LastLive = Last.forEach(
        (n) => {
          if (n === 5 && fails) {
            fails = false
            return Effect.fail("broken" as const)
          }
          got.push(n)
          return undefined
        },
        { subscribeTo: [{ to: Feed, maxDemand: 2, minDemand: 1, delivery: "at-least-once" }] }
      )
      const feed = yield* Actor.spawn(Feed.from(Stream.range(1, 9)))
      const Tree = Supervisor.make("last", { children: [Supervisor.child(LastLive, { restart: "transient" })] })
      yield* Effect.flatMap(Last, (last) => last.ended).pipe(
        Effect.provide(Supervisor.layer(Tree)),
        Effect.provideService(Feed, feed)
      )
      assert.deepStrictEqual(got, range(1, 9))
    })
  )

  it("a concurrency that is none is refused", () => {
    for (const concurrency of [0, -1, 1.5, Number.NaN]) {
      assert.throws(() => Squares.map((n) => n, { concurrency }), /concurrency must be a whole number/)
    }
  })
})
