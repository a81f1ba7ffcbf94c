/** TYPE: restart types against the reason of the end. */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { Actor, Supervisor } from "effect-otp"
import { Broken, listed, quiet, Recording, states } from "../support/recording.ts"
import { stillAlive } from "../support/garbage.ts"

type Restart = Supervisor.Restart

/** Starts a child whose argument only its spec holds, and kills it: `restart` says whether it comes back. */
const startAndKill = <O>(
  r: Recording,
  top: Supervisor.SupervisorRef<O>,
  id: string,
  restart: Restart,
  held: Array<WeakRef<object>>
) =>
  Effect.gen(function* () {
    const argument = new Uint8Array(1_000)
    held.push(new WeakRef(argument))
    yield* top.startChild(r.child(id, { restart, init: Effect.sync(() => argument.length) }))
    const ref = r.ref(id)
    yield* Actor.kill(ref)
    if (restart === "temporary") yield* ref.ended
    else assert.strictEqual(yield* ref.ask.Ping(), 2)
  })

const tree = (restart: Restart) =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a", { restart }), r.child("b")])
    return { r, top, a: r.ref("a") }
  })

it.effect("TYPE-01 permanent, normal end: restarted", () =>
  Effect.gen(function* () {
    const { a, top } = yield* tree("permanent")
    yield* a.tell.End()
    assert.strictEqual(yield* a.ask.Ping(), 2)
    assert.deepStrictEqual(yield* top.count, { specs: 2, active: 2, supervisors: 0, workers: 2 })
  }).pipe(quiet)
)

it.effect("TYPE-02 permanent, shutdown with and without a word: restarted", () =>
  Effect.gen(function* () {
    const { a } = yield* tree("permanent")
    yield* Actor.stop(a)
    assert.strictEqual(yield* a.ask.Ping(), 2)
    yield* a.tell.Shutdown({ info: "tired" })
    assert.strictEqual(yield* a.ask.Ping(), 3)
  }).pipe(quiet)
)

it.effect("TYPE-04 permanent, killed: restarted", () =>
  Effect.gen(function* () {
    const { a } = yield* tree("permanent")
    assert.strictEqual((yield* Actor.kill(a))._tag, "Killed")
    assert.strictEqual(yield* a.ask.Ping(), 2)
  }).pipe(quiet)
)

it.effect("TYPE-05 transient, normal end: stays stopped, its spec is kept", () =>
  Effect.gen(function* () {
    const { a, top } = yield* tree("transient")
    yield* a.tell.End()
    assert.strictEqual((yield* a.ended)._tag, "Normal")
    assert.deepStrictEqual(yield* states(top), { a: "stopped", b: "running" })
    assert.strictEqual((yield* top.count).active, 1)
  })
)

it.effect("TYPE-07 transient, crash: restarted", () =>
  Effect.gen(function* () {
    const { a } = yield* tree("transient")
    yield* a.tell.Fail({ code: 1 })
    assert.strictEqual(yield* a.ask.Ping(), 2)
  }).pipe(quiet)
)

it.effect("TYPE-08 transient, killed: restarted", () =>
  Effect.gen(function* () {
    const { a } = yield* tree("transient")
    yield* Actor.kill(a)
    assert.strictEqual(yield* a.ask.Ping(), 2)
  }).pipe(quiet)
)

it.effect("TYPE-10 temporary, crash and kill: gone, nobody else notices", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const spec = r.child("a", { restart: "temporary" })
    const top = yield* r.start([spec, r.child("b")], { intensity: { restarts: 0, within: "1 minute" } })
    yield* r.ref("a").tell.Throw()
    assert.strictEqual((yield* r.ref("a").ended)._tag, "Failed")
    assert.deepStrictEqual(yield* listed(top), ["b"])
    yield* top.startChild(spec)
    const again = r.ref("a")
    yield* Actor.kill(again)
    assert.strictEqual((yield* again.ended)._tag, "Killed")
    assert.deepStrictEqual(yield* listed(top), ["b"])
    assert.strictEqual(yield* r.incarnation("b"), 1)
  }).pipe(quiet)
)

it.effect("TYPE-11 a temporary child that has ended cannot be restarted by hand", () =>
  Effect.gen(function* () {
    const { a, top } = yield* tree("temporary")
    yield* a.tell.End()
    yield* a.ended
    assert.strictEqual((yield* Effect.flip(top.restartChild("a")))._tag, "ChildNotFound")
    assert.strictEqual((yield* Effect.flip(top.deleteChild("a")))._tag, "ChildNotFound")
  })
)

it.live("TYPE-13 the arguments of temporary children are not retained once they have ended", () =>
  Effect.gen(function* () {
    const retained = (restart: Restart) =>
      Effect.gen(function* () {
        const r = new Recording()
        const top = yield* r.start([])
        const held: Array<WeakRef<object>> = []
        for (let i = 0; i < 100; i++) yield* startAndKill(r, top, `child ${i}`, restart, held)
        // The tree goes on to provide the ref of the last one that was started under the actor's key.
        yield* top.startChild(r.child("last"))
        r.refs.clear()
        r.events.length = 0
        const retained = yield* stillAlive(held)
        return { specs: (yield* listed(top)).length - 1, held: retained }
      })
    assert.deepStrictEqual(yield* retained("permanent"), { specs: 100, held: 100 })
    assert.deepStrictEqual(yield* retained("temporary"), { specs: 0, held: 0 })
  }).pipe(quiet)
)

const strategies = ["one-for-one", "one-for-all", "rest-for-one"] as const

/** What `startChild` with a spec of the same id answers after each end. */
const memory = {
  permanent: { kill: "running", normal: "running", crash: "running", terminate: "present" },
  transient: { kill: "running", normal: "present", crash: "running", terminate: "present" },
  temporary: { kill: "started", normal: "started", crash: "started", terminate: "started" }
} as const

it.effect.each(
  strategies.flatMap((strategy) =>
    (["permanent", "transient", "temporary"] as const).flatMap((restart) =>
      (["kill", "normal", "crash", "terminate"] as const).map((end) => ({ strategy, restart, end }))
    )
  )
)("TYPE-14 what is remembered: $strategy, $restart, $end", ({ end, restart, strategy }) =>
  Effect.gen(function* () {
    const r = new Recording()
    const spec = r.child("a", { restart })
    const top = yield* r.start([spec], { strategy })
    const a = r.ref("a")
    const ends = {
      kill: Actor.kill(a),
      normal: a.tell.End(),
      crash: a.tell.Throw(),
      terminate: top.terminateChild("a")
    }
    yield* ends[end]
    const expected = memory[restart][end]
    // Either it comes back, which an answer shows, or it has ended for good.
    if (expected === "running") assert.strictEqual(yield* a.ask.Ping(), 2)
    else yield* a.ended
    const again = yield* Effect.exit(top.startChild(spec))
    const answer = Exit.isSuccess(again) ? "started" : (Cause.squash(again.cause) as Supervisor.ChildConflict).state
    assert.strictEqual(answer, expected)
  }).pipe(quiet)
)

it.effect("a child stopped by decision: a permanent child keeps its spec, a temporary one is forgotten", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const stops = { onFailure: { Broken: "stop" } } as const
    const top = yield* r.start([r.child("a", stops), r.child("b", { ...stops, restart: "temporary" })])
    yield* r.ref("a").tell.Fail({ code: 1 })
    yield* r.ref("b").tell.Fail({ code: 2 })
    assert.deepStrictEqual([(yield* r.ref("a").ended)._tag, (yield* r.ref("b").ended)._tag], ["Failed", "Failed"])
    assert.deepStrictEqual(yield* states(top), { a: "stopped" })
  }).pipe(quiet)
)

it.effect("TYPE-16 the failure is kept exact, with the child and the attempt", () =>
  Effect.gen(function* () {
    const broken = new Broken({ code: 42 })
    const r = new Recording()
    const run = Effect.suspend(() => (++runs <= 2 ? Effect.fail(broken) : Effect.never))
    let runs = 0
    const top = yield* r.start([Supervisor.effect("a", run)])
    yield* Effect.yieldNow
    const restarting = r.events.flatMap((event) => (event._tag === "ChildRestarting" ? [event] : []))
    assert.deepStrictEqual(
      restarting.map((event) => [event.path, event.attempt]),
      [
        ["top/a", 1],
        ["top/a", 2]
      ]
    )
    for (const { reason } of restarting) {
      assert.strictEqual(reason._tag === "Failed" && Cause.squash(reason.cause), broken)
    }
    const [status] = yield* top.children
    assert.strictEqual(status!.lastFailure, restarting[1]!.reason)
    assert.strictEqual(status!.restarts, 2)
  }).pipe(quiet)
)
