/** A counter: what may be said to it, and how it reacts. */
import { Effect, Ref, Schema } from "effect"
import { Actor } from "effect-otp"

/** It counts to a limit; going over is an answer, not a crash. */
export class Overflow extends Schema.TaggedError<Overflow>()("Overflow", { limit: Schema.Int }) {}

/** The protocol: one entry per message. */
export class Counter extends Actor.Service<Counter>()("example/Counter", {
  Increment: { payload: { by: Schema.Int }, success: Schema.Int, error: Overflow },
  Break: {}
}) {}

/** The behavior: state made anew at each start, and a handler for each message. */
export const CounterLive = Counter.behavior(
  Effect.gen(function* () {
    const count = yield* Ref.make(0)

    return Counter.of({
      Increment: ({ by }) =>
        by > 100 ? Effect.fail(new Overflow({ limit: 100 })) : Ref.updateAndGet(count, (n) => n + by),
      Break: () => Effect.die(new Error("a bug in the counter"))
    })
  })
)
