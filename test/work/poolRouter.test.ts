/** The members of a pool: how they are hired and dismissed, where some cannot start and nobody waits any more. */
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Exit, Fiber, Latch, Schema, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem, Pool, Supervisor } from "effect-otp"

class NoMemory extends Data.TaggedError("NoMemory")<{ readonly member: number }> {}

class Engine extends Actor.Service<Engine>()("test/Engine", {
  Run: { payload: { n: Schema.Int }, success: Schema.Int },
  Hold: { payload: { n: Schema.Int }, success: Schema.Int }
}) {}

const settle = Effect.gen(function* () {
  for (let i = 0; i < 40; i++) yield* Effect.yieldNow
})

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.forkChild(Effect.exit(effect), { startImmediately: true })

/** Members of which the ones named fail to start; the others take a second. */
const making = (fails: (member: number) => boolean) => {
  const seen = { started: 0, alive: 0 }
  const gate = Latch.makeUnsafe(false)
  const behavior = Engine.behavior(
    Effect.gen(function* () {
      const member = ++seen.started
      if (fails(member)) return yield* new NoMemory({ member })
      yield* Effect.acquireRelease(
        Effect.sync(() => seen.alive++),
        () => Effect.sync(() => seen.alive--)
      )
      if (member > 1) yield* Effect.sleep("1 second")
      return Engine.of({
        Run: ({ n }) => n,
        Hold: ({ n }) => Effect.as(gate.await, n)
      })
    })
  )
  return { seen, gate, behavior }
}

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) =>
  effect.pipe(Effect.scoped, Effect.provide(ActorSystem.layer()))

describe("hiring", () => {
  it.effect("one that cannot start leaves the others members: none lives unseen", () =>
    run(
      Effect.gen(function* () {
        const { behavior, seen } = making((member) => member === 3)
        const pool = yield* Pool.start(behavior, { size: 1 })
        const error = yield* Effect.flip(pool.resize({ size: 4, reason: "more" }))
        assert.strictEqual(error._tag, "StartFailed")
        yield* TestClock.adjust("1 second")
        yield* settle
        const { ready, size } = yield* pool.stats
        assert.deepStrictEqual([size, ready, seen.alive], [3, 3, 3])
      })
    )
  )

  it.effect("whoever gives up waiting for a larger pool leaves no member unseen", () =>
    run(
      Effect.gen(function* () {
        const { behavior, seen } = making(() => false)
        const pool = yield* Pool.start(behavior, { size: 1 })
        const resizing = yield* fork(pool.resize({ size: 3, reason: "more" }))
        yield* settle
        yield* Fiber.interrupt(resizing)
        yield* TestClock.adjust("1 second")
        yield* settle
        const { ready, size } = yield* pool.stats
        assert.deepStrictEqual([size, ready, seen.alive], [3, 3, 3])
      })
    )
  )

  it.effect("R3 a pool that scales goes on trying while members cannot start, and loses nothing that waits", () =>
    run(
      Effect.gen(function* () {
        const { behavior, seen } = making((member) => member >= 2 && member <= 4)
        const pool = yield* Pool.start(behavior, { size: { min: 0, max: 1, downAfter: 0, every: "1 second" } })
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.strictEqual((yield* pool.stats).size, 0)
        const asked = yield* fork(pool.ref.ask.Run({ n: 1 }))
        for (let tries = 0; tries < 4; tries++) {
          yield* settle
          assert.isUndefined(asked.pollUnsafe())
          yield* TestClock.adjust("1 second")
        }
        yield* settle
        assert.deepStrictEqual(yield* Fiber.join(asked), Exit.succeed(1))
        assert.strictEqual(seen.started, 5)
      })
    )
  )

  it.effect("POOL-03 a pool whose last member ends while another starts goes on", () =>
    run(
      Effect.gen(function* () {
        const { behavior } = making(() => false)
        const pool = yield* Pool.start(behavior, { size: 1, restart: "temporary" })
        const resizing = yield* fork(pool.resize({ delta: 1, reason: "more" }))
        yield* settle
        yield* Actor.stop((yield* pool.members)[0]!)
        yield* settle
        const asked = yield* fork(pool.ref.ask.Run({ n: 2 }))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* Fiber.join(asked), Exit.succeed(2))
        assert.deepStrictEqual(yield* Fiber.join(resizing), Exit.succeed(2))
      })
    )
  )
})

it.effect("a parent that restarts a pool gives it as many members as before, behind the same ref", () =>
  run(
    Effect.gen(function* () {
      const { behavior, seen } = making(() => false)
      const root = yield* Effect.forkChild(
        Supervisor.start(
          Supervisor.make("app", {
            strategy: "one-for-all",
            intensity: { restarts: 5, within: "1 second" },
            children: [Pool.child(behavior, { size: 1, id: "pool" })]
          })
        )
      )
      const { services } = yield* Fiber.join(root)
      const pool = yield* Effect.provideContext(Pool.of(Engine), services as never) as Effect.Effect<Pool.Pool<Engine>>
      const before = pool.ref
      yield* Actor.kill(pool.ref)
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.strictEqual(yield* before.ask.Run({ n: 1 }), 1)
      const again = yield* Pool.of(before)
      assert.deepStrictEqual([(yield* again.stats).size, seen.started, seen.alive], [1, 2, 1])
    })
  )
)
