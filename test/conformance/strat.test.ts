/** STRAT: who is restarted with whom, and in which order. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { Actor, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, listed, quiet, Recording, states } from "../support/recording.ts"

const incarnations = (r: Recording, ids: ReadonlyArray<string>) => Effect.forEach(ids, (id) => r.incarnation(id))

/** Fails the init of the start number `attempt`. */
const failingOnce = (attempt: number) => {
  let starts = 0
  return Effect.suspend(() => (++starts === attempt ? Effect.fail(new Broken({ code: starts })) : Effect.void))
}

it.effect("STRAT-01 one-for-one: only the crashed one", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b")])
    yield* r.ref("a").tell.Throw()
    assert.deepStrictEqual(yield* incarnations(r, ["a", "b"]), [2, 1])
    assert.deepStrictEqual(yield* listed(top), ["a", "b"])
  }).pipe(quiet)
)

it.effect("STRAT-03 rest-for-one: the crashed one and those after it", () =>
  Effect.gen(function* () {
    const r = new Recording()
    yield* r.start([r.child("a"), r.child("b"), r.child("c")], { strategy: "rest-for-one" })
    r.takeLog()
    yield* r.ref("b").tell.Throw()
    assert.deepStrictEqual(yield* incarnations(r, ["a", "b", "c"]), [1, 2, 2])
    assert.deepStrictEqual(r.log, ["b stopped", "c stopped", "b started", "c started"])
  }).pipe(quiet)
)

it.effect("STRAT-04 rest-for-one: the first takes all along, the last only itself", () =>
  Effect.gen(function* () {
    const r = new Recording()
    yield* r.start([r.child("a"), r.child("b"), r.child("c")], { strategy: "rest-for-one" })
    yield* r.ref("a").tell.Throw()
    assert.deepStrictEqual(yield* incarnations(r, ["a", "b", "c"]), [2, 2, 2])
    yield* r.ref("c").tell.Throw()
    assert.deepStrictEqual(yield* incarnations(r, ["a", "b", "c"]), [2, 2, 3])
  }).pipe(quiet)
)

it.effect("STRAT-06 a temporary child's crash does not trigger the group", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b", { restart: "temporary" })], {
      strategy: "one-for-all",
      intensity: { restarts: 0, within: "1 minute" }
    })
    yield* r.ref("b").tell.Throw()
    yield* r.ref("b").ended
    assert.deepStrictEqual(yield* listed(top), ["a"])
    assert.strictEqual(yield* r.incarnation("a"), 1)
  }).pipe(quiet)
)

it.effect("STRAT-07 a group restart drops temporary siblings", () =>
  Effect.gen(function* () {
    for (const strategy of ["one-for-all", "rest-for-one"] as const) {
      const r = new Recording()
      const top = yield* r.start([r.child("a"), r.child("b", { restart: "temporary" })], { strategy })
      const b = r.ref("b")
      yield* r.ref("a").tell.End()
      assert.strictEqual(yield* r.incarnation("a"), 2)
      assert.strictEqual((yield* b.ended)._tag, "Shutdown")
      assert.deepStrictEqual(yield* listed(top), ["a"])
    }
  }).pipe(quiet)
)

it.effect("STRAT-09 rest-for-one revives a later transient sibling that had ended", () =>
  Effect.gen(function* () {
    const r = new Recording()
    yield* r.start([r.child("a"), r.child("b"), r.child("c", { restart: "transient" })], { strategy: "rest-for-one" })
    yield* r.ref("c").tell.End()
    yield* r.ref("c").ended
    yield* r.ref("b").tell.Throw()
    assert.strictEqual(yield* r.incarnation("b"), 2)
    assert.deepStrictEqual(yield* incarnations(r, ["a", "b", "c"]), [1, 2, 2])
  }).pipe(quiet)
)

it.effect("STRAT-10 a group restart revives a sibling stopped by hand", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b")], { strategy: "one-for-all" })
    yield* top.terminateChild("a")
    assert.deepStrictEqual(yield* states(top), { a: "stopped", b: "running" })
    yield* r.ref("b").tell.Throw()
    assert.deepStrictEqual(yield* incarnations(r, ["b", "a"]), [2, 2])
  }).pipe(quiet)
)

it.effect("STRAT-12 a group restart asks a child that was left out again", () =>
  Effect.gen(function* () {
    const r = new Recording()
    let wanted = false
    const when = Effect.sync(() => wanted)
    const top = yield* r.start([r.child("a", { when }), r.child("b")], { strategy: "one-for-all" })
    assert.deepStrictEqual(yield* states(top), { a: "stopped", b: "running" })
    wanted = true
    yield* r.ref("b").tell.Throw()
    assert.strictEqual(yield* r.incarnation("b"), 2)
    assert.deepStrictEqual(yield* states(top), { a: "running", b: "running" })
  }).pipe(quiet)
)

it.effect("STRAT-13 one-for-all: a sibling fails to start during the restart", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const attempted = Effect.sync(() => r.write("b attempted"))
    const b = r.child("b", { init: Effect.andThen(attempted, failingOnce(2)) })
    const top = yield* r.start([r.child("a"), b, r.child("c")], { strategy: "one-for-all" })
    r.takeLog()
    yield* r.ref("a").tell.Throw()
    assert.deepStrictEqual(yield* r.lines(10), [
      "a stopped",
      "c stopped",
      "b stopped",
      "a started",
      "b attempted",
      "a stopped",
      "a started",
      "b attempted",
      "b started",
      "c started"
    ])
    // a crashed once; the second time it was stopped with the group.
    assert.deepStrictEqual(yield* incarnations(r, ["a", "b", "c"]), [3, 3, 2])
    assert.deepStrictEqual(
      (yield* top.children).map((child) => child.restarts),
      [1, 1, 0]
    )
  }).pipe(quiet)
)

it.effect("R26 rest-for-one: the retry begins at the child that failed to start", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const c = r.child("c", { init: failingOnce(2) })
    yield* r.start([r.child("a"), r.child("b"), c, r.child("d")], { strategy: "rest-for-one" })
    r.takeLog()
    yield* r.ref("b").tell.Throw()
    assert.deepStrictEqual(yield* r.lines(6), [
      "b stopped",
      "d stopped",
      "c stopped",
      "b started",
      "c started",
      "d started"
    ])
    assert.strictEqual(yield* r.incarnation("a"), 1)
  }).pipe(quiet)
)

it.effect("STRAT-15 later additions count as last in order", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b")], { strategy: "rest-for-one" })
    yield* top.startChild(r.child("c"))
    yield* r.ref("b").tell.Throw()
    assert.deepStrictEqual(yield* incarnations(r, ["a", "b", "c"]), [1, 2, 2])
    r.takeLog()
    yield* top.stop
    assert.deepStrictEqual(r.log, ["c stopped", "b stopped", "a stopped"])
  }).pipe(quiet)
)

it.effect("STRAT-16 a transient child's normal end triggers no group restart", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a", { restart: "transient" }), r.child("b")], { strategy: "one-for-all" })
    yield* r.ref("a").tell.End()
    yield* r.ref("a").ended
    assert.strictEqual(yield* r.incarnation("b"), 1)
    assert.deepStrictEqual(yield* states(top), { a: "stopped", b: "running" })
  })
)

it.effect("STRAT-18 two siblings dying at once under one-for-all restart the group once", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b")], {
      strategy: "one-for-all",
      intensity: { restarts: 1, within: "1 minute" }
    })
    r.ref("a").tellUnsafe.Throw()
    r.ref("b").tellUnsafe.Throw()
    assert.deepStrictEqual(yield* incarnations(r, ["a", "b"]), [2, 2])
    assert.strictEqual(top.status, "running")
    assert.strictEqual(
      (yield* top.children).reduce((sum, child) => sum + child.restarts, 0),
      1
    )
  }).pipe(quiet)
)

it.effect("STRAT-19 two siblings dying at once under one-for-one are two restarts", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b")], { intensity: { restarts: 1, within: "1 minute" } })
    r.ref("a").tellUnsafe.Throw()
    r.ref("b").tellUnsafe.Throw()
    const reason = yield* top.ended
    assert.strictEqual(reason._tag, "Shutdown")
    assert.isTrue(reason._tag === "Shutdown" && reason.info instanceof Supervisor.RestartIntensityExceeded)
  }).pipe(quiet)
)

it.effect("STRAT-21 a nested tree: giving up below restarts the group above", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const zero = { restarts: 0, within: "1 minute" as const }
    const top = yield* r.start(
      [
        Supervisor.make("sub1", { children: [r.child("a"), r.child("b")] }),
        Supervisor.make("sub2", { intensity: zero, children: [] }),
        Supervisor.make("sub3", { restart: "transient", children: [r.child("c")] })
      ],
      { strategy: "one-for-all" }
    )
    const sub2 = yield* top.supervisor("sub2")
    yield* sub2.startChild(r.child("d"))
    yield* sub2.startChild(r.child("e"))
    yield* top.terminateChild("sub3")
    assert.deepStrictEqual(yield* states(top), { sub1: "running", sub2: "running", sub3: "stopped" })
    r.takeLog()
    yield* r.ref("d").tell.Throw()
    assert.deepStrictEqual(yield* r.lines(7), [
      "d stopped",
      "e stopped",
      "b stopped",
      "a stopped",
      "a started",
      "b started",
      "c started"
    ])
    assert.deepStrictEqual(yield* incarnations(r, ["a", "b", "c"]), [2, 2, 2])
    assert.deepStrictEqual(yield* states(top), { sub1: "running", sub2: "running", sub3: "running" })
    assert.deepStrictEqual(yield* listed(sub2), [])
    assert.strictEqual(r.ref("d").status, "stopped")
  }).pipe(quiet)
)

it.effect("R19 a restarted supervisor starts from what it declares", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const declared = [r.child("a"), r.child("b", { restart: "temporary" }), r.child("c"), r.child("d")]
    const zero = { restarts: 0, within: "1 minute" as const }
    const top = yield* r.start([Supervisor.make("sub", { intensity: zero, children: declared })])
    const sub = yield* top.supervisor("sub")
    yield* r.ref("b").tell.End()
    yield* r.ref("b").ended
    yield* sub.terminateChild("c")
    yield* sub.deleteChild("c")
    yield* sub.startChild(r.child("late"))
    assert.deepStrictEqual(yield* listed(sub), ["a", "d", "late"])
    r.takeLog()
    yield* r.ref("d").tell.Throw()
    assert.deepStrictEqual(yield* r.lines(7), [
      "d stopped",
      "late stopped",
      "a stopped",
      "a started",
      "b started",
      "c started",
      "d started"
    ])
    assert.deepStrictEqual(yield* listed(sub), ["a", "b", "c", "d"])
  }).pipe(quiet)
)

it.effect("STRAT-22 the end of a replaced run that took long to let go is no news", () =>
  Effect.gen(function* () {
    const r = new Recording()
    let ends = 0
    const finalizer = Effect.suspend(() => (++ends === 1 ? Deferred.await(r.gate) : Effect.void))
    const top = yield* r.start([r.child("a", { finalizer, shutdown: "1 second" }), r.child("b")], {
      strategy: "one-for-all",
      intensity: { restarts: 1, within: "1 minute" }
    })
    yield* Actor.kill(r.ref("a"))
    yield* r.lines(3)
    yield* TestClock.adjust("999 millis")
    assert.deepStrictEqual(r.log, ["a started", "b started", "b stopped"])
    yield* TestClock.adjust("1 milli")
    assert.deepStrictEqual(yield* incarnations(r, ["a", "b"]), [2, 2])
    r.takeLog()
    yield* Deferred.succeed(r.gate, undefined)
    assert.deepStrictEqual(yield* r.lines(1), ["a stopped"])
    assert.deepStrictEqual(yield* incarnations(r, ["a", "b"]), [2, 2])
    assert.deepStrictEqual(
      (yield* top.children).map((child) => child.restarts),
      [1, 0]
    )
    // Of the budget of one, one has been used.
    assert.strictEqual(top.status, "running")
  }).pipe(quiet)
)

it.effect("STRAT-22 a late exit notice of a replaced incarnation is ignored", () =>
  Effect.gen(function* () {
    // Both die in one turn: b's notice is queued behind the group restart that replaces b.
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b")], {
      strategy: "one-for-all",
      intensity: { restarts: 2, within: "1 minute" }
    })
    for (let round = 2; round <= 3; round++) {
      r.ref("a").tellUnsafe.Throw()
      r.ref("b").tellUnsafe.Throw()
      assert.deepStrictEqual(yield* incarnations(r, ["a", "b"]), [round, round])
    }
    assert.strictEqual(top.status, "running")
  }).pipe(quiet)
)
