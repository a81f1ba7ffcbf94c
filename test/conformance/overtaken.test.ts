/** What happens while something else is under way: news that came too late, a kill in the middle of a stop, calls in between. */
import { assert, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Schedule, Schema } from "effect"
import { Actor, Backoff, DynamicSupervisor, ExitReason, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, quiet, Recording, states } from "../support/recording.ts"

const settled = Effect.gen(function* () {
  for (let i = 0; i < 30; i++) yield* Effect.yieldNow
})

it.effect("what was decided about a failure that a group restart overtook is void", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = r.child("b", { onFailure: { Broken: "stop" } })
    const top = yield* r.start([r.child("a"), told], { strategy: "one-for-all" })
    // Both in one turn: the first restarts the group, the second is no news any more.
    r.ref("a").tellUnsafe.Fail({ code: 1 })
    r.ref("b").tellUnsafe.Fail({ code: 2 })
    yield* settled
    assert.deepStrictEqual(yield* states(top), { a: "running", b: "running" })
    yield* Actor.kill(r.ref("b"))
    yield* settled
    assert.deepStrictEqual(yield* states(top), { a: "running", b: "running" })
    assert.strictEqual(yield* r.incarnation("b"), 3)
  }).pipe(quiet)
)

it.effect("a supervisor that is killed while it stops ends what it waits for, and is back at once", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const inner = Supervisor.make("inner", {
      children: [r.child("a", { shutdown: "1 hour" }), r.child("b")]
    })
    const top = yield* r.start([inner])
    yield* r.ref("a").tell.Wait()
    yield* settled
    const handle = yield* top.supervisor("inner")
    const stop = yield* Effect.forkChild(handle.stop)
    yield* settled
    assert.deepStrictEqual(yield* states(top), { inner: "running" })
    yield* handle.kill
    yield* settled
    assert.deepStrictEqual([yield* Fiber.join(stop), yield* states(top)], [ExitReason.Killed, { inner: "running" }])
    assert.deepStrictEqual(yield* states(handle), { a: "running", b: "running" })
    yield* Deferred.succeed(r.gate, undefined)
  }).pipe(quiet)
)

it.effect("ADM-15 a supervisor that stays down answers at once: nobody means to start it", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const inner = Supervisor.make("inner", { children: [r.child("c")] })
    const waits = r.child("a", { backoff: Backoff.make(Schedule.spaced("1 minute")) })
    const top = yield* r.start([waits, inner], { strategy: "rest-for-one" })
    const handle = yield* top.supervisor("inner")
    yield* r.ref("a").tell.Fail({ code: 1 })
    yield* settled
    assert.deepStrictEqual(yield* states(top), { a: "restarting", inner: "stopped" })
    yield* top.terminateChild("a")
    const error = yield* Effect.flip(handle.terminateChild("c"))
    assert.strictEqual(error._tag, "SupervisorNotRunning")
    yield* top.restartChild("inner")
    assert.deepStrictEqual(yield* states(handle), { c: "running" })
  }).pipe(quiet)
)

class Unit extends Actor.Service<Unit>()("test/Unit", { Fail: {}, Says: { success: Schema.Int } }) {}
class Units extends DynamicSupervisor.Service<Units>()("test/Units", Unit) {}

it.effect("DYN-23 a child whose restart fails, and that is told to stop then, gives its place back", () =>
  Effect.gen(function* () {
    let starts = 0
    const behavior = Unit.behavior((key: string) =>
      Effect.suspend(() =>
        ++starts === 2
          ? Effect.fail(new Broken({ code: key.length }))
          : Effect.succeed(Unit.of({ Fail: () => Effect.die("crash"), Says: () => starts }))
      )
    )
    const spec = Units.child(behavior, { maxChildren: 1, onFailure: { Broken: "stop" } })
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [spec] }))
    const units = Context.get(top.services, Units)
    yield* (yield* units.at("a")).tell.Fail()
    yield* settled
    assert.strictEqual(yield* units.count, 0)
    assert.strictEqual(yield* (yield* units.at("b")).ask.Says(), 3)
  }).pipe(quiet)
)

it.effect("a child that is asked to stop twice is reported once", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const slow = r.child("slow", { shutdown: "5 seconds", finalizer: Effect.never })
    const top = yield* r.start([r.child("a"), slow], { strategy: "one-for-all" })
    yield* r.ref("a").tell.Fail({ code: 1 })
    yield* TestClock.adjust("1 second")
    const stop = yield* Effect.forkChild(top.stop)
    yield* TestClock.adjust("1 minute")
    yield* Fiber.join(stop)
    const reports = r.events.filter((event) => event._tag === "ShutdownError")
    assert.deepStrictEqual(
      reports.map((event) => event._tag === "ShutdownError" && event.child),
      ["slow"]
    )
  }).pipe(quiet)
)

it.effect("STOP-07 a member that was killed with its group has ended killed", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const brutal = r.child("t", { restart: "temporary", shutdown: "kill" })
    yield* r.start([r.child("a"), brutal], { strategy: "one-for-all" })
    const t = r.ref("t")
    yield* r.ref("a").tell.Fail({ code: 1 })
    assert.deepStrictEqual(yield* t.ended, ExitReason.Killed)
  }).pipe(quiet)
)
