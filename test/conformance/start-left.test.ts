/** START, R9: whoever asked for a start leaves before it is done. It is as if nobody had asked. */
import { assert, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber } from "effect"
import { Actor, DynamicSupervisor, Supervisor } from "effect-otp"
import { listed, quiet, Recording } from "../support/recording.ts"

class Unit extends Actor.Service<Unit>()("test/Unit", { Nothing: {} }) {}
class Units extends DynamicSupervisor.Service<Units>()("test/Units", Unit) {}

const settled = Effect.repeat(Effect.yieldNow, { times: 20 })

/** Asks for something, and leaves once it has begun. */
const leave = <A, E>(start: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const asking = yield* Effect.forkChild(start)
    yield* settled
    yield* Fiber.interrupt(asking)
    yield* settled
  })

const units = Effect.gen(function* () {
  const log: Array<string> = []
  const gate = yield* Deferred.make<void>()
  const behavior = Unit.behavior((name: string) =>
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.sync(() => log.push(`${name} released`)))
      yield* name === "quick" ? Effect.void : Deferred.await(gate)
      return Unit.of({ Nothing: () => {} })
    })
  )
  const top = yield* Supervisor.start(Supervisor.make("top", { children: [Units.child(behavior)] }))
  return { gate, log, units: Context.get(top.services, Units) }
})

it.effect("a child of a dynamic supervisor is stopped half-way, and others get their turn", () =>
  Effect.gen(function* () {
    const { log, units: some } = yield* units
    yield* leave(some.start("slow"))
    assert.deepStrictEqual([log, yield* some.count], [["slow released"], 0])
    yield* some.start("quick")
    assert.strictEqual(yield* some.count, 1)
  })
)

it.effect("one that waits for its turn is never started", () =>
  Effect.gen(function* () {
    const { gate, log, units: some } = yield* units
    const first = yield* Effect.forkChild(some.start("first"))
    yield* settled
    yield* leave(some.start("second"))
    yield* Deferred.succeed(gate, undefined)
    yield* Fiber.join(first)
    yield* settled
    assert.deepStrictEqual([log, yield* some.count], [[], 1])
  })
)

it.effect("one that has a key goes on: whoever asks for it next finds it", () =>
  Effect.gen(function* () {
    const { gate, log, units: some } = yield* units
    yield* leave(some.at("slow"))
    yield* Deferred.succeed(gate, undefined)
    assert.strictEqual((yield* some.at("slow")).status, "running")
    assert.deepStrictEqual([log, yield* some.count], [[], 1])
  })
)

for (const stage of ["init", "when", "ready"] as const) {
  it.effect(`a child added to a static supervisor is not kept when its ${stage} is left`, () =>
    Effect.gen(function* () {
      const r = new Recording()
      const top = yield* r.start([r.child("first")])
      const gate = yield* Deferred.make<boolean>()
      const wait = Deferred.await(gate)
      yield* leave(top.startChild(r.child("added", stage === "init" ? { init: wait } : { [stage]: wait })))
      yield* Deferred.succeed(gate, true)
      yield* settled
      assert.deepStrictEqual([yield* listed(top), top.status], [["first"], "running"])
      assert.deepStrictEqual(
        r.log.filter((line) => line.endsWith("started")).length,
        r.log.filter((line) => line.endsWith("stopped")).length + 1
      )
      yield* top.startChild(r.child("added"))
      assert.deepStrictEqual(yield* listed(top), ["first", "added"])
    }).pipe(quiet)
  )
}
