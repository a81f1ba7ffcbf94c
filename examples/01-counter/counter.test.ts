/** What the counter promises. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, References } from "effect"
import { Supervisor } from "effect-otp"
import { Counter, CounterLive, Overflow } from "./counter.ts"

const start = Effect.map(Supervisor.start(Supervisor.make("app", { children: [CounterLive] })), (app) =>
  Context.get(app.services, Counter)
)

it.effect("counts, and answers what is too much", () =>
  Effect.gen(function* () {
    const counter = yield* start
    assert.strictEqual(yield* counter.ask.Increment({ by: 2 }), 2)
    assert.deepStrictEqual(yield* Effect.flip(counter.ask.Increment({ by: 101 })), new Overflow({ limit: 100 }))
    assert.strictEqual(yield* counter.ask.Increment({ by: 40 }), 42)
  })
)

it.effect("starts over after a crash, at the same ref", () =>
  Effect.gen(function* () {
    const counter = yield* start
    yield* counter.ask.Increment({ by: 41 })
    yield* counter.tell.Break()
    assert.strictEqual(yield* counter.ask.Increment({ by: 1 }), 1)
  }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
)
