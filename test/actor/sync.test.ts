/** An init of plain code. */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schema } from "effect"
import { Actor, type ActorRef, ExitReason, Supervisor } from "effect-otp"
import { quiet } from "../support/recording.ts"

class Counter extends Actor.Service<Counter>()("test/Counter", {
  Next: { success: Schema.Int },
  Fail: {}
}) {}

it.effect("state is made anew at each start; the ref is the actor's own", () =>
  Effect.gen(function* () {
    const selves: Array<ActorRef.ActorRef<Counter>> = []
    const behavior = Counter.behavior(
      Counter.sync(({ self }) => {
        let count = 0
        selves.push(self)
        return Counter.of({ Next: () => ++count, Fail: () => Effect.fail("broken") })
      })
    )
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [behavior] }))
    const counter = selves[0]!
    assert.deepStrictEqual([yield* counter.ask.Next(), yield* counter.ask.Next()], [1, 2])
    yield* counter.tell.Fail()
    assert.strictEqual(yield* counter.ask.Next(), 1)
    assert.deepStrictEqual([selves.length, selves[1] === counter, counter.path], [2, true, "top/test/Counter"])
    yield* top.stop
  }).pipe(quiet)
)

it.effect("it takes arguments like any init, and is told how each run ends", () =>
  Effect.gen(function* () {
    const ends: Array<string> = []
    const behavior = Counter.behavior((from: number) =>
      Counter.sync(({ onEnd }) => {
        onEnd((reason) => ends.push(`${from} ${reason._tag}`))
        return Counter.of({ Next: () => from, Fail: () => {} })
      })
    )
    const one = yield* Actor.spawn(behavior, 1)
    const two = yield* Actor.spawn(behavior, 2)
    assert.deepStrictEqual([yield* one.ask.Next(), yield* two.ask.Next()], [1, 2])
    yield* Actor.stop(two)
    yield* Actor.kill(one)
    assert.deepStrictEqual(ends, ["2 Shutdown", "1 Killed"])
  })
)

it.effect("what it throws is a failed start, and so is a missing handler", () =>
  Effect.gen(function* () {
    const thrown = new Error("no way")
    const throwing = Counter.behavior(
      Counter.sync(() => {
        throw thrown
      })
    )
    const exit = yield* Effect.exit(Actor.spawn(throwing))
    assert.deepStrictEqual(exit, Exit.die(thrown))
    const incomplete = Counter.behavior(Counter.sync(() => ({ Next: () => 1 }) as never))
    const missing = yield* Effect.exit(Actor.spawn(incomplete))
    assert.include(Exit.isFailure(missing) ? Cause.pretty(missing.cause) : "", "has no handler for Fail")
  })
)

it.effect("inside a larger init it is an effect like any other", () =>
  Effect.gen(function* () {
    const behavior = Counter.behavior(
      Effect.gen(function* () {
        yield* Effect.yieldNow
        const handlers = yield* Counter.sync(({ self }) =>
          Counter.of({ Next: () => self.path.length, Fail: () => Effect.fail("broken") })
        )
        return Counter.of({ ...handlers, Fail: () => {} })
      })
    )
    const counter = yield* Actor.spawn(behavior)
    assert.strictEqual(yield* counter.ask.Next(), counter.path.length)
    yield* counter.tell.Fail()
    yield* Actor.stop(counter)
    assert.deepStrictEqual(yield* counter.ended, ExitReason.Shutdown())
  })
)
