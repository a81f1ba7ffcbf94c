/** ACTOR: ending after having been idle. */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Actor, type Behavior } from "effect-otp"
import { TestClock } from "effect/testing"

class Session extends Actor.Service<Session>()("test/Session", {
  Use: { success: Schema.Int },
  Tick: {}
}) {}

const session = (idle: Behavior.Idle<"Use" | "Tick">) => {
  let uses = 0
  return Actor.spawn(
    Session.behavior(
      Effect.sync(() => Session.of({ Use: () => ++uses, Tick: () => {} })),
      { idle }
    )
  )
}

it.effect("ACTOR-34 it ends when it has been idle for long enough, counted from the last message", () =>
  Effect.gen(function* () {
    const ref = yield* session({ after: "1 second" })
    yield* ref.ask.Use()
    yield* TestClock.adjust("900 millis")
    assert.strictEqual(yield* ref.ask.Use(), 2)
    yield* TestClock.adjust("999 millis")
    assert.strictEqual(ref.status, "running")
    yield* TestClock.adjust("1 milli")
    assert.strictEqual((yield* ref.ended)._tag, "Normal")
  })
)

it.effect("ACTOR-35 messages that are marked so do not count", () =>
  Effect.gen(function* () {
    const ref = yield* session({ after: "1 second", ignore: ["Tick"] })
    for (let tick = 0; tick < 3; tick++) {
      yield* TestClock.adjust("300 millis")
      yield* ref.tell.Tick()
    }
    assert.strictEqual(ref.status, "running")
    yield* TestClock.adjust("100 millis")
    assert.strictEqual((yield* ref.ended)._tag, "Normal")
  })
)
