/** SYS-03: suspending an actor, and what else may happen to it meanwhile. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { Actor, Supervisor } from "effect-otp"
import { quiet } from "../support/recording.ts"

class Worker extends Actor.Service<Worker>()("test/Worker", {
  Work: { payload: { n: Schema.Int } },
  Wait: {},
  Count: { success: Schema.Int },
  Rest: {}
}) {}

const worker = (options: { readonly born?: "suspended" } = {}) => {
  const done: Array<number> = []
  const gate = Deferred.makeUnsafe<void>()
  const behavior = Worker.behavior(
    Effect.gen(function* () {
      const self = yield* Worker.self
      if (options.born !== undefined) yield* Actor.suspend(self)
      return Worker.of({
        Work: ({ n }) => void done.push(n),
        Wait: () => Deferred.await(gate),
        Count: () => done.length,
        Rest: () => Actor.suspend(self)
      })
    })
  )
  return { behavior, done, open: Deferred.succeed(gate, undefined) }
}

const spawned = (options: { readonly born?: "suspended" } = {}) =>
  Effect.gen(function* () {
    const made = worker(options)
    return { ...made, ref: yield* Actor.spawn(made.behavior) }
  })

const settle = Effect.andThen(Effect.yieldNow, Effect.yieldNow)

describe("SYS-03 suspend and resume", () => {
  it.effect("messages wait, are handled afterwards in order, and twice is no error", () =>
    Effect.gen(function* () {
      const { done, ref } = yield* spawned()
      yield* Actor.suspend(ref)
      yield* Actor.suspend(ref)
      for (const n of [1, 2, 3]) yield* ref.tell.Work({ n })
      const asking = yield* Effect.forkChild(ref.ask.Count())
      yield* settle
      assert.deepStrictEqual([ref.status, ref.size, done.length], ["suspended", 4, 0])
      yield* Actor.resume(ref)
      yield* Actor.resume(ref)
      assert.strictEqual(yield* Fiber.join(asking), 3)
      assert.deepStrictEqual(done, [1, 2, 3])
      assert.strictEqual(ref.status, "running")
    })
  )

  it.effect("the message at hand is finished first, and suspending waits for it", () =>
    Effect.gen(function* () {
      const { done, open, ref } = yield* spawned()
      yield* ref.tell.Wait()
      yield* ref.tell.Work({ n: 1 })
      yield* settle
      const suspending = yield* Effect.forkChild(Actor.suspend(ref))
      yield* settle
      assert.isUndefined(suspending.pollUnsafe())
      yield* open
      yield* Fiber.join(suspending)
      assert.deepStrictEqual([ref.status, done.length], ["suspended", 0])
    })
  )

  it.effect("an actor that suspends itself goes on with what it does, in a handler and in its init", () =>
    Effect.gen(function* () {
      const { ref } = yield* spawned({ born: "suspended" })
      assert.strictEqual(ref.status, "suspended")
      yield* ref.tell.Rest()
      yield* ref.tell.Work({ n: 1 })
      yield* Actor.resume(ref)
      yield* settle
      assert.deepStrictEqual([ref.status, ref.size], ["suspended", 1])
    })
  )

  it.effect("resumed before it was suspended, it goes on", () =>
    Effect.gen(function* () {
      const { open, ref } = yield* spawned()
      yield* ref.tell.Wait()
      yield* settle
      const suspending = yield* Effect.forkChild(Actor.suspend(ref))
      yield* settle
      yield* Actor.resume(ref)
      yield* Fiber.join(suspending)
      yield* open
      assert.strictEqual(yield* ref.ask.Count(), 0)
    })
  )
})

describe("a suspended actor", () => {
  const suspended = Effect.gen(function* () {
    const made = yield* spawned()
    yield* Actor.suspend(made.ref)
    const asking = yield* Effect.forkChild(Effect.exit(made.ref.ask.Count()))
    yield* settle
    return { ...made, asking }
  })

  const reason = (exit: Exit.Exit<number, unknown>): unknown =>
    Exit.isSuccess(exit) ? exit.value : (exit.cause.reasons[0] as { readonly error?: unknown }).error

  for (const [how, end] of [
    ["stopped", Actor.stop],
    ["killed", Actor.kill]
  ] as const) {
    it.effect(`can be ${how}: whoever waits is told`, () =>
      Effect.gen(function* () {
        const { asking, ref } = yield* suspended
        yield* end(ref)
        assert.match(String(reason(yield* Fiber.join(asking))), /has ended|not running|NotRunning/i)
        yield* Actor.suspend(ref)
        assert.strictEqual(ref.status, "stopped")
      })
    )
  }

  it.effect("drains once it is resumed", () =>
    Effect.gen(function* () {
      const { asking, ref } = yield* suspended
      const draining = yield* Effect.forkChild(Actor.drain(ref))
      yield* settle
      assert.isUndefined(draining.pollUnsafe())
      yield* Actor.resume(ref)
      assert.deepStrictEqual(yield* Fiber.join(asking), Exit.succeed(0))
      assert.strictEqual((yield* Fiber.join(draining))._tag, "Normal")
    })
  )

  it.effect("begins afresh when it is restarted", () =>
    Effect.gen(function* () {
      const { behavior } = worker()
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [behavior] }))
      const ref = yield* Worker.pipe(Effect.provide(top.services))
      yield* Actor.suspend(ref)
      yield* Actor.kill(ref)
      assert.strictEqual(yield* ref.ask.Count(), 0)
    }).pipe(quiet)
  )
})
