/** R55: an actor that tells itself to stop, with nothing left to do. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Actor, ActorContext, ActorSystem } from "effect-otp"
import { Recording } from "../support/recording.ts"

class Quitter extends Actor.Service<Quitter>()("test/Quitter", { Quit: {}, QuitLater: {} }) {}

const quit = Actor.continueWith(ActorContext.stop)

const quitter = Quitter.behavior(
  Effect.succeed(
    Quitter.of({
      Quit: () => quit,
      QuitLater: () => Effect.andThen(Effect.yieldNow, quit)
    })
  )
)

// The first turn takes 16 messages; with this limit none takes more.
it.effect.each([14, 15, 16])("a stop in the last message that fits into a turn is obeyed (%i before it)", (before) =>
  Effect.gen(function* () {
    const r = new Recording()
    const ref = yield* Actor.spawn(r.behavior("a"))
    for (let i = 0; i < before; i++) ref.tellUnsafe.Add({ n: 1 })
    ref.tellUnsafe.End()
    assert.strictEqual((yield* ref.ended)._tag, "Normal")
  }).pipe(Effect.provide(ActorSystem.layer({ slice: { turnMessages: 1 } })))
)

it.effect("a stop in a continuation of init is obeyed", () =>
  Effect.gen(function* () {
    const quits = Quitter.behavior(Effect.as(quit, Quitter.of({ Quit: () => {}, QuitLater: () => {} })))
    const ref = yield* Actor.spawn(quits)
    assert.strictEqual((yield* ref.ended)._tag, "Normal")
  })
)

it.effect("a stop in a continuation of a handler is obeyed", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(quitter)
    yield* ref.tell.Quit()
    assert.strictEqual((yield* ref.ended)._tag, "Normal")
  })
)

it.effect("a stop in a continuation of a handler that had to wait is obeyed", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(quitter)
    yield* ref.tell.QuitLater()
    assert.strictEqual((yield* ref.ended)._tag, "Normal")
  })
)
