/** ADM: managing children at run time. */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schedule, Scope } from "effect"
import { Actor, ActorRef, Backoff, ExitReason, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, Child, listed, quiet, Recording, states } from "../support/recording.ts"

/** A child whose init fails while `bad` holds. */
const fragile = (r: Recording, id: string, options: Supervisor.Options<Broken> = {}) => {
  const control = { bad: false, attempts: 0 }
  const init = Effect.suspend(() => {
    control.attempts++
    return control.bad ? Effect.fail(new Broken({ code: control.attempts })) : Effect.void
  })
  return { control, spec: r.child(id, { ...options, init }) }
}

/** A child in a loop of restarts that fail, each a second after the other. */
const looping = Effect.gen(function* () {
  const r = new Recording()
  const { control, spec } = fragile(r, "a", { backoff: Backoff.make(Schedule.spaced("1 second")) })
  const top = yield* r.start([spec])
  control.bad = true
  yield* r.ref("a").tell.Fail({ code: 1 })
  yield* TestClock.adjust("3 seconds")
  assert.isAbove(control.attempts, 2)
  return { r, control, spec, top }
})

const kept = { specs: 1, active: 0, supervisors: 0, workers: 1 }

it.effect("ADM-01 start_child on a running id: a conflict that names it, and the child is untouched", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("child1")])
    const error = yield* Effect.flip(top.startChild(r.child("child1")))
    assert.strictEqual(error._tag, "ChildConflict")
    assert.deepStrictEqual(error, new Supervisor.ChildConflict({ path: "top", id: "child1", state: "running" }))
    assert.strictEqual(yield* r.incarnation("child1"), 1)
    assert.deepStrictEqual(yield* listed(top), ["child1"])
  })
)

it.effect("ADM-03 unknown ids: four times not found", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    const errors = [
      yield* Effect.flip(top.terminateChild("x")),
      yield* Effect.flip(top.restartChild("x")),
      yield* Effect.flip(top.deleteChild("x")),
      yield* Effect.flip(top.getChild("x"))
    ]
    assert.deepStrictEqual(
      errors.map((error) => `${error._tag}: ${error.message}`),
      Array.from({ length: 4 }, () => "ChildNotFound: top has no child x")
    )
    assert.deepStrictEqual(yield* states(top), { a: "running" })
  })
)

it.effect("ADM-04 terminate_child stops but remembers", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("child1", { finalizer: Effect.sleep("1 second") })])
    const terminated = yield* Effect.forkChild(top.terminateChild("child1"))
    yield* TestClock.adjust("500 millis")
    assert.deepStrictEqual([terminated.pollUnsafe(), yield* states(top)], [undefined, { child1: "stopping" }])
    yield* TestClock.adjust("500 millis")
    yield* Fiber.join(terminated)
    assert.deepStrictEqual(yield* r.ref("child1").ended, ExitReason.Shutdown())
    assert.deepStrictEqual([yield* states(top), yield* top.count], [{ child1: "stopped" }, kept])
  })
)

it.effect("ADM-06 restart_child and delete_child on a running child: it is running, and goes on", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    for (const call of [top.restartChild("a"), top.deleteChild("a")]) {
      const error = (yield* Effect.flip(call)) as Supervisor.ChildConflict
      assert.deepStrictEqual([error._tag, error.state], ["ChildConflict", "running"])
    }
    assert.strictEqual(yield* r.incarnation("a"), 1)
  })
)

it.effect("ADM-07 restart_child brings it back, behind the same ref", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("child1")])
    yield* top.terminateChild("child1")
    yield* top.restartChild("child1")
    assert.strictEqual(yield* r.incarnation("child1"), 2)
    assert.deepStrictEqual(yield* top.count, { ...kept, active: 1 })
  })
)

it.effect("ADM-09 terminate_child removes a temporary child", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a", { restart: "temporary" }), r.child("b")])
    yield* top.terminateChild("a")
    assert.deepStrictEqual(yield* listed(top), ["b"])
    assert.strictEqual((yield* Effect.flip(top.restartChild("a")))._tag, "ChildNotFound")
  })
)

it.effect("ADM-10 restart_child with a failing start: the reason, and nothing else changes", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const { control, spec } = fragile(r, "a")
    const top = yield* r.start([spec], { intensity: { restarts: 0, within: "5 seconds" } })
    yield* top.terminateChild("a")
    control.bad = true
    const error = (yield* Effect.flip(top.restartChild("a"))) as Supervisor.StartFailed<unknown>
    assert.strictEqual(error._tag, "StartFailed")
    assert.include(error.message, "top: child a failed to start")
    assert.deepStrictEqual([yield* states(top), top.status], [{ a: "stopped" }, "running"])
    assert.strictEqual((yield* top.budget).used, 0)
    control.bad = false
    yield* top.restartChild("a")
    assert.deepStrictEqual(yield* states(top), { a: "running" })
  })
)

it.effect("ADM-12 requests while a child is restarting", () =>
  Effect.gen(function* () {
    const { r, top } = yield* looping
    const conflicts = [
      yield* Effect.flip(top.startChild(r.child("a"))),
      yield* Effect.flip(top.restartChild("a")),
      yield* Effect.flip(top.deleteChild("a"))
    ]
    assert.deepStrictEqual(
      conflicts.map((error) => [error._tag, (error as Supervisor.ChildConflict).state]),
      Array.from({ length: 3 }, () => ["ChildConflict", "restarting"])
    )
    assert.deepStrictEqual([yield* states(top), yield* top.count], [{ a: "restarting" }, kept])
  }).pipe(quiet)
)

it.effect("ADM-13 terminate_child cancels a pending restart", () =>
  Effect.gen(function* () {
    const { control, r, top } = yield* looping
    yield* top.terminateChild("a")
    const { attempts } = control
    yield* TestClock.adjust("1 minute")
    assert.strictEqual(control.attempts, attempts)
    assert.deepStrictEqual([yield* states(top), yield* top.count], [{ a: "stopped" }, kept])
    control.bad = false
    yield* top.restartChild("a")
    assert.deepStrictEqual(yield* states(top), { a: "running" })
    assert.strictEqual(yield* r.ref("a").ask.Add({ n: 1 }), 1)
  }).pipe(quiet)
)

it.effect("ADM-15 requests to a supervisor that is gone: not running, at once", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    yield* top.stop
    const tree = Supervisor.make("top", { children: [] })
    const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
      top.startChild(r.child("b")),
      top.terminateChild("a"),
      top.restartChild("a"),
      top.deleteChild("a"),
      top.reconfigure(tree),
      top.stop,
      top.stopWithin("1 second"),
      top.kill
    ]
    for (const call of calls) {
      const error = (yield* Effect.flip(call)) as Supervisor.SupervisorNotRunning
      assert.deepStrictEqual([error._tag, error.path], ["SupervisorNotRunning", "top"])
    }
  })
)

it.effect("ADM-15 a call that waits for its turn when the supervisor ends is told so", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const scope = yield* Scope.make()
    const slow = r.child("a", { finalizer: Effect.sleep("2 seconds") })
    const top = yield* Effect.provideService(r.start([slow]), Scope.Scope, scope)
    const first = yield* Effect.forkChild(Effect.exit(top.terminateChild("a")))
    yield* Effect.yieldNow
    const second = yield* Effect.forkChild(Effect.flip(top.startChild(r.child("b"))))
    yield* Effect.yieldNow
    yield* Effect.forkChild(Scope.close(scope, Exit.void))
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual((yield* Fiber.join(second))._tag, "SupervisorNotRunning")
    yield* Fiber.join(first)
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
  })
)

it.effect("ADM-16 a static supervisor is addressed by id: a ref in its place does not compile, and finds nothing", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("child3")])
    // @ts-expect-error an id is text, not a ref
    const error = yield* Effect.flip(top.terminateChild(r.ref("child3")))
    assert.strictEqual(error._tag, "ChildNotFound")
    assert.strictEqual(yield* r.incarnation("child3"), 1)
  })
)

it.effect("ADM-18 children are listed in start order, those added later at the end", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("b"), r.child("a")])
    yield* top.startChild(r.child("c"))
    assert.deepStrictEqual(yield* listed(top), ["b", "a", "c"])
  })
)

it.effect("ADM-19 the spec can be read back with its defaults filled in", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b", { restart: "transient", shutdown: "kill" })])
    const report = { level: "Warn", raisedLevel: "Error", raisedAfter: 3 } as const
    assert.deepStrictEqual(yield* top.getChild("a"), {
      id: "a",
      kind: "actor",
      restart: "permanent",
      significant: false,
      shutdown: 5_000,
      startTimeout: 5_000,
      report
    })
    const { restart, shutdown } = yield* top.getChild("b")
    assert.deepStrictEqual([restart, shutdown], ["transient", "kill"])
    assert.strictEqual((yield* Effect.flip(top.getChild("c")))._tag, "ChildNotFound")
  })
)

it.effect("ADM-21 terminate_child triggers neither strategy nor budget", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b")], {
      strategy: "one-for-all",
      intensity: { restarts: 0, within: "5 seconds" }
    })
    yield* top.terminateChild("a")
    assert.deepStrictEqual([yield* r.incarnation("b"), top.status], [1, "running"])
    assert.deepStrictEqual(yield* states(top), { a: "stopped", b: "running" })
  })
)

it.effect("ADM-22 a slow stop keeps nobody from looking: the child is shown as stopping", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("slow", { finalizer: Effect.sleep("300 millis") }), r.child("b")])
    const terminated = yield* Effect.forkChild(top.terminateChild("slow"))
    yield* TestClock.adjust("20 millis")
    assert.deepStrictEqual(yield* states(top), { slow: "stopping", b: "running" })
    assert.strictEqual((yield* top.count).active, 1)
    const again = yield* Effect.forkChild(top.restartChild("slow"))
    yield* TestClock.adjust("279 millis")
    assert.deepStrictEqual([terminated.pollUnsafe(), again.pollUnsafe()], [undefined, undefined])
    yield* TestClock.adjust("1 millis")
    yield* Fiber.join(terminated)
    // A request that conflicts has waited for the one before, and then does what it was asked.
    yield* Fiber.join(again)
    assert.deepStrictEqual(yield* states(top), { slow: "running", b: "running" })
    yield* Effect.forkChild(top.stop)
    yield* TestClock.adjust("1 second")
  })
)

it.effect("ADM-24 junk does not hurt: the end of an unrelated actor is nothing to it", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    const stranger = yield* Actor.spawn(Child.behavior(Effect.succeed(table())))
    yield* Actor.kill(stranger)
    assert.isFalse(ActorRef.isActorRef(top))
    assert.deepStrictEqual([yield* r.incarnation("a"), top.status], [1, "running"])
  })
)

it.effect("the budget can be read: used, left, and when each entry is forgotten", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")], { intensity: { restarts: 3, within: "10 seconds" } })
    assert.deepStrictEqual(yield* top.budget, { restarts: 3, within: 10_000, used: 0, left: 3, expires: [] })
    for (const code of [1, 2]) {
      yield* r.ref("a").tell.Fail({ code })
      yield* r.incarnation("a")
      yield* TestClock.adjust("2 seconds")
    }
    const budget = yield* top.budget
    assert.deepStrictEqual([budget.used, budget.left, budget.expires], [2, 1, [6_000, 8_000]])
    yield* TestClock.adjust("7 seconds")
    assert.deepStrictEqual((yield* top.budget).expires, [1_000])
  }).pipe(quiet)
)

it.effect("the failures that led to restarts are kept, with their times, the last 16 of them", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    for (let code = 1; code <= 20; code++) {
      yield* r.ref("a").tell.Fail({ code })
      yield* r.incarnation("a")
      yield* TestClock.adjust("1 second")
    }
    const [a] = yield* top.children
    const codes = a!.failures.map(({ reason }) => (reason._tag === "Failed" ? ExitReason.format(reason) : ""))
    assert.deepStrictEqual([a!.failures.length, a!.restarts, a!.incarnation], [16, 20, 21])
    assert.deepStrictEqual([a!.failures[0]!.at, a!.failures[15]!.at], [4_000, 19_000])
    assert.deepStrictEqual(a!.lastFailure, a!.failures[15]!.reason)
    assert.strictEqual(new Set(a!.failures.map(({ reason }) => reason)).size, 16)
    assert.isTrue(codes.every((code) => code.includes("Broken")))
  }).pipe(quiet)
)

function table() {
  const nothing = () => {}
  return { Ping: () => 1, Add: () => 1, Fail: nothing, Throw: nothing, End: nothing, Shutdown: nothing, Wait: nothing }
}
