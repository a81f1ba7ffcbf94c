/** TYPE: restart types against the reason of the end. */
import { assert, it } from "@effect/vitest"
import { Cause, Effect } from "effect"
import { Actor, type Supervisor } from "effect-otp"
import { Broken, listed, quiet, Recording, states } from "../support/recording.ts"

type Restart = Supervisor.Restart

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

it.live("TYPE-13 a temporary child's arguments are not retained once it has ended", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([])
    const held: Array<WeakRef<object>> = []
    for (const restart of ["temporary", "permanent"] as const) {
      const started = Effect.gen(function* () {
        const argument = { bytes: new Uint8Array(1_000) }
        held.push(new WeakRef(argument))
        const init = Effect.sync(() => argument.bytes.length)
        yield* top.startChild(r.child(restart, { restart, init }))
      })
      yield* started
      yield* r.ref(restart).tell.End()
      if (restart === "temporary") yield* r.ref(restart).ended
      else assert.strictEqual(yield* r.incarnation(restart), 2)
      r.refs.delete(restart)
    }
    const { gc } = globalThis
    if (gc === undefined) return
    yield* Effect.sleep(1)
    yield* Effect.promise(async () => gc())
    assert.deepStrictEqual(
      held.map((ref) => ref.deref() === undefined),
      [true, false]
    )
  }).pipe(quiet)
)

it.effect("TYPE-14 what is remembered of each restart type after each end", () =>
  Effect.gen(function* () {
    const ends = {
      kill: (r: Recording, id: string) => Actor.kill(r.ref(id)),
      normal: (r: Recording, id: string) => Effect.andThen(r.ref(id).tell.End(), Effect.yieldNow),
      crash: (r: Recording, id: string) => r.ref(id).tell.Throw(),
      terminate: (_r: Recording, id: string, top: Supervisor.SupervisorRef<never>) => top.terminateChild(id)
    }
    const expected: Record<Restart, Record<keyof typeof ends, string>> = {
      permanent: { kill: "running", normal: "running", crash: "running", terminate: "present" },
      transient: { kill: "running", normal: "present", crash: "running", terminate: "present" },
      temporary: { kill: "started", normal: "started", crash: "started", terminate: "started" }
    }
    for (const strategy of ["one-for-one", "one-for-all", "rest-for-one"] as const) {
      for (const restart of ["permanent", "transient", "temporary"] as const) {
        for (const end of ["kill", "normal", "crash", "terminate"] as const) {
          const r = new Recording()
          const spec = r.child("a", { restart })
          const top = yield* r.start([spec], { strategy })
          const { a } = { a: r.ref("a") }
          yield* ends[end](r, "a", top as Supervisor.SupervisorRef<never>)
          const ends1 = restart === "temporary" || (restart === "transient" && end === "normal")
          if (ends1 && end !== "terminate") yield* a.ended
          else if (end !== "terminate") yield* a.ask.Ping()
          const again = yield* Effect.exit(top.startChild(spec))
          const answer =
            again._tag === "Success" ? "started" : (Cause.squash(again.cause) as Supervisor.ChildConflict).state
          assert.strictEqual(answer, expected[restart][end], `${strategy} ${restart} ${end}`)
          yield* top.stop
        }
      }
    }
  }).pipe(quiet)
)

it.effect("TYPE-16 the failure is kept exact, with the child and the attempt", () =>
  Effect.gen(function* () {
    const { a, r, top } = yield* tree("permanent")
    yield* a.tell.Fail({ code: 42 })
    yield* a.ask.Ping()
    const restarting = r.events.find((event) => event._tag === "ChildRestarting")!
    assert.strictEqual(restarting._tag === "ChildRestarting" && restarting.path, "top/a")
    assert.strictEqual(restarting._tag === "ChildRestarting" && restarting.attempt, 1)
    const reason = restarting._tag === "ChildRestarting" ? restarting.reason : undefined
    assert.deepStrictEqual(reason?._tag === "Failed" && Cause.squash(reason.cause), new Broken({ code: 42 }))
    const [status] = yield* top.children
    assert.strictEqual(status!.lastFailure, reason)
    assert.strictEqual(status!.restarts, 1)
  }).pipe(quiet)
)
