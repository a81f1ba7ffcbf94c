/** Time limits that make no sense are refused where they are given. */
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer } from "effect"
import { Actor, ActorRef, ActorSystem } from "effect-otp"

class Quiet extends Actor.Service<Quiet>()("test/Quiet", { Say: {} }) {}
const QuietLive = Quiet.behavior(Effect.succeed(Quiet.of({ Say: () => {} })))

for (const wrong of [Number.NaN, -1, "soon"]) {
  const value = wrong as never
  it.effect(`${wrong} is no limit`, () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(QuietLive)
      assert.throws(() => Actor.stop(ref, { timeout: value }), /the timeout of Actor\.stop must be a duration/)
      assert.throws(() => ActorRef.withTimeout(ref, value), /the limit of withTimeout must be a duration/)
      assert.throws(() => ActorRef.withTimeout(ref, 1, { mailbox: value }), /the mailbox limit of withTimeout/)
      const system = yield* Effect.exit(Effect.scoped(Layer.build(ActorSystem.layer({ askTimeout: value }))))
      assert.isTrue(Exit.hasDies(system))
    })
  )
}

it.effect("0, texts and no limit at all are limits", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(QuietLive)
    for (const limit of [0, "1 second", Duration.infinity] as const) ActorRef.withTimeout(ref, limit)
    assert.strictEqual((yield* Actor.stop(ref, { timeout: Duration.infinity }))._tag, "Shutdown")
  })
)
