/** Bad input: something runs that turns out to be no effect. It is a crash like any other, and nobody waits for ever. */
import { assert, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Schema, Stream } from "effect"
import { Actor, ActorRef, Supervisor } from "effect-otp"
import { quiet, states } from "../support/recording.ts"

class Worker extends Actor.Service<Worker>()("test/Worker", {
  Beside: { success: Schema.Int },
  Numbers: { success: Schema.Int, stream: true },
  Piped: { success: Schema.Int }
}) {}

/** As from a `flatMap` that forgot to return one. */
const none: Effect.Effect<number> = Effect.suspend(() => 7 as never)

const worker = Effect.gen(function* () {
  const piped = yield* Deferred.make<Exit.Exit<number>>()
  const behavior = Worker.behavior(
    Worker.sync(() =>
      Worker.of({
        Beside: Actor.concurrent(() => none),
        Numbers: () => Stream.fromEffect(none),
        Piped: () =>
          Effect.as(
            Actor.pipeToSelf(none, (exit) => Deferred.succeed(piped, exit)),
            1
          )
      })
    )
  )
  const intensity = { restarts: 100, within: "1 minute" } as const
  const top = yield* Supervisor.start(Supervisor.make("top", { intensity, children: [behavior] }))
  return { piped, worker: Context.get(top.services, Worker) }
})

const says = "crashed: Fiber.runLoop: Not a valid effect: 7"

it.effect("a handler beside others, and a stream: the asker is told, and the actor is restarted", () =>
  Effect.gen(function* () {
    const { worker: ref } = yield* worker
    const patient = ActorRef.withTimeout(ref, "1 hour")
    assert.include((yield* Effect.flip(patient.ask.Beside())).message, says)
    assert.include((yield* Effect.flip(Stream.runDrain(patient.stream.Numbers()))).message, says)
    assert.strictEqual(ref.status, "running")
  }).pipe(quiet)
)

it.effect("an effect piped to oneself: the mapping hears of it", () =>
  Effect.gen(function* () {
    const { piped, worker: ref } = yield* worker
    assert.strictEqual(yield* ref.ask.Piped(), 1)
    assert.isTrue(Exit.hasDies(yield* Deferred.await(piped)))
  })
)

it.effect("an effect as a child: it has crashed, as its supervisor sees", () =>
  Effect.gen(function* () {
    const once = Supervisor.effect("once", none, { restart: "temporary" })
    const kept = Supervisor.effect("kept", none, { restart: "transient", onFailure: () => "stop" })
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [once, kept] }))
    yield* Effect.repeat(Effect.yieldNow, { times: 20 })
    assert.deepStrictEqual(yield* states(top), { kept: "stopped" })
  }).pipe(quiet)
)
