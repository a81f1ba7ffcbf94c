/** STOP: stopping a supervisor and its children. */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { Actor, ActorSystem, type ExitReason, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, listed, quiet, Recording, states } from "../support/recording.ts"

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

it.effect("STOP-01 all the time it needs", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const slow = { shutdown: "1 hour" as const, finalizer: Effect.sleep("3 seconds") }
    const top = yield* r.start([r.child("a", slow), r.child("b", slow)])
    const stop = yield* Effect.forkChild(Effect.andThen(top.stop, now))
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual(yield* Fiber.join(stop), 6_000)
    assert.deepStrictEqual(r.log, ["a started", "b started", "b stopped", "a stopped"])
    assert.strictEqual((yield* r.ref("a").ended)._tag, "Shutdown")
  })
)

it.effect("STOP-03 a brutal kill is not waited for", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a", { shutdown: "kill", finalizer: Effect.sleep("10 seconds") })])
    const watched = r.ref("a")
    assert.strictEqual((yield* top.stop)._tag, "Shutdown")
    assert.strictEqual(yield* now, 0)
    assert.strictEqual(watched.status, "stopped")
    assert.deepStrictEqual(
      (yield* ActorSystem.zombies).map((zombie) => zombie.path),
      ["top/a"]
    )
    yield* TestClock.adjust("10 seconds")
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
  })
)

it.effect("STOP-04 reverse start order, each fully ended before the next is asked", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const ids = ["d", "b", "e", "a", "c"]
    const children = ids.map((id) =>
      r.child(id, {
        finalizer: Effect.andThen(
          Effect.sync(() => r.write(`${id} asked`)),
          Effect.sleep("1 second")
        )
      })
    )
    const top = yield* r.start(children)
    r.takeLog()
    const stop = yield* Effect.forkChild(top.stop)
    yield* TestClock.adjust("10 seconds")
    yield* Fiber.join(stop)
    assert.deepStrictEqual(
      r.log,
      [...ids].reverse().flatMap((id) => [`${id} asked`, `${id} stopped`])
    )
  })
)

it.effect("STOP-06 a limit of 0 asks, then kills without waiting", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a", { shutdown: 0, finalizer: Effect.sleep("10 seconds") })])
    yield* top.stop
    assert.strictEqual(yield* now, 0)
    assert.isTrue(r.told("top").includes("ShutdownError"))
  }).pipe(quiet)
)

it.effect("STOP-07 children that end on their own during the stop keep their own reasons", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const ends = ["End", "Shutdown", "Fail", "Throw"] as const
    const restarts = ["permanent", "transient", "temporary"] as const
    const middle = ends.flatMap((end) => restarts.map((restart) => ({ id: `${end} ${restart}`, end, restart })))
    const last = r.child("last", { finalizer: Effect.sleep("1 second") })
    const top = yield* r.start([r.child("first"), ...middle.map(({ id, restart }) => r.child(id, { restart })), last])
    const stop = yield* Effect.forkChild(top.stop, { startImmediately: true })
    const reasons: Array<string> = []
    for (const { end, id } of middle) {
      const { tell } = r.ref(id)
      yield* end === "Shutdown" ? tell.Shutdown({ info: "x" }) : end === "Fail" ? tell.Fail({ code: 1 }) : tell[end]()
    }
    yield* TestClock.adjust("5 seconds")
    yield* Fiber.join(stop)
    for (const { id } of middle) reasons.push((yield* r.ref(id).ended)._tag)
    // The places end with their supervisor; what each run ended with is in the events.
    const failed = r.events.filter((event) => event._tag === "ActorFailed").length
    assert.strictEqual(failed, 6)
    assert.strictEqual(r.log.filter((line) => line.endsWith("started")).length, 14)
    assert.strictEqual(r.log.at(-1), "first stopped")
    assert.strictEqual(reasons.length, 12)
  }).pipe(quiet)
)

it.effect("STOP-09 a child that never answers cannot hang the stop", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a", { shutdown: "1 second" }), r.child("b")])
    yield* r.ref("a").tell.Wait()
    const terminate = yield* Effect.forkChild(Effect.andThen(top.terminateChild("a"), now))
    yield* TestClock.adjust("999 millis")
    assert.strictEqual(terminate.pollUnsafe(), undefined)
    assert.deepStrictEqual(yield* states(top), { a: "stopping", b: "running" })
    yield* TestClock.adjust("1 milli")
    assert.strictEqual(yield* Fiber.join(terminate), 1_000)
    assert.strictEqual(yield* r.incarnation("b"), 1)
  }).pipe(quiet)
)

it.effect("STOP-10 stop during a restart loop", () =>
  Effect.gen(function* () {
    const r = new Recording()
    let starts = 0
    const init = Effect.suspend(() => (++starts === 1 ? Effect.void : Effect.fail(new Broken({ code: starts }))))
    const top = yield* r.start([r.child("a", { init })], { intensity: { restarts: 1_000_000, within: "1 minute" } })
    yield* r.ref("a").tell.Throw()
    while (starts < 20) yield* Effect.yieldNow
    assert.strictEqual((yield* top.stop)._tag, "Shutdown")
    const ended = starts
    yield* TestClock.adjust("1 minute")
    assert.strictEqual(starts, ended)
  }).pipe(quiet)
)

it.effect("STOP-10 stop while a child's init hangs", () =>
  Effect.gen(function* () {
    const r = new Recording()
    let starts = 0
    const init = Effect.suspend(() => (++starts === 1 ? Effect.void : Effect.never))
    const top = yield* r.start([r.child("a", { init, startTimeout: "1 hour" })])
    yield* r.ref("a").tell.Throw()
    while (starts < 2) yield* Effect.yieldNow
    assert.strictEqual((yield* top.stop)._tag, "Shutdown")
    assert.strictEqual(yield* now, 0)
  }).pipe(quiet)
)

it.effect("STOP-12 stop is synchronous", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    yield* top.stop
    assert.deepStrictEqual([top.status, r.ref("a").status, r.log.at(-1)], ["stopped", "stopped", "a stopped"])
  })
)

it.effect("STOP-13 stopping what is not there answers at once", () =>
  Effect.gen(function* () {
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [] }))
    yield* top.stop
    for (const call of [top.stop, top.kill, top.terminateChild("a"), top.restartChild("a"), top.deleteChild("a")]) {
      assert.strictEqual((yield* Effect.flip(call as typeof top.stop))._tag, "SupervisorNotRunning")
    }
  })
)

it.effect("STOP-15 an invalid limit is refused and leaves it running", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    for (const limit of [-1, NaN]) {
      const error = yield* Effect.flip(top.stopWithin(limit))
      assert.strictEqual(error._tag === "InvalidSpec" && error.field, "limit")
    }
    assert.strictEqual(top.status, "running")
    assert.strictEqual((yield* top.stopWithin("1 second"))._tag, "Shutdown")
  })
)

it.effect("STOP-16 no orphans when the supervisor itself is killed", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const ignoring = Effect.uninterruptible(Effect.sleep("10 seconds"))
    const top = yield* r.start([r.child("a"), r.child("b", { finalizer: ignoring })])
    assert.strictEqual((yield* top.kill)._tag, "Killed")
    assert.deepStrictEqual([r.ref("a").status, r.ref("b").status], ["stopped", "stopped"])
    yield* TestClock.adjust("10 seconds")
    assert.deepStrictEqual([...r.log].sort(), ["a started", "a stopped", "b started", "b stopped"])
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
  })
)

it.effect("STOP-18 a failing finalizer does not stop the stop, and is reported", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b", { finalizer: Effect.die("finalizer") }), r.child("c")])
    yield* top.stop
    assert.deepStrictEqual(r.log, ["a started", "b started", "c started", "c stopped", "a stopped"])
    const error = r.events.find((event) => event._tag === "ShutdownError")
    assert.strictEqual(error?._tag === "ShutdownError" && error.child, "b")
    assert.isTrue(r.told("top/b").includes("FinalizerFailed"))
  }).pipe(quiet)
)

it.effect("STOP-19 finalizers run once per incarnation", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    for (const incarnation of [2, 3]) {
      yield* r.ref("a").tell.Throw()
      assert.strictEqual(yield* r.incarnation("a"), incarnation)
    }
    yield* top.stop
    assert.strictEqual(r.log.filter((line) => line === "a stopped").length, 3)
  }).pipe(quiet)
)

it.effect("STOP-21 killing the top reaches the leaves", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const middle = Supervisor.make("middle", { children: [Supervisor.make("low", { children: [r.child("leaf")] })] })
    const top = yield* r.start([middle, r.child("other")])
    yield* top.kill
    assert.deepStrictEqual([r.ref("leaf").status, r.ref("other").status], ["stopped", "stopped"])
    yield* r.lines(4)
  })
)

it.effect("R34 the end of whoever runs a tree ends the tree, in order", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const scope = yield* Scope.make()
    yield* Scope.provide(r.start([r.child("a"), r.child("b")]), scope)
    const run = yield* Effect.forkChild(Supervisor.run(Supervisor.make("other", { children: [r.child("c")] })))
    yield* r.lines(3)
    yield* Fiber.interrupt(run)
    yield* Scope.close(scope, Exit.void)
    assert.deepStrictEqual(r.log.slice(3), ["c stopped", "b stopped", "a stopped"])
  })
)

it.effect("a plain effect is interrupted by a stop, its resources are released", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const effect = Effect.onInterrupt(Effect.never, () => Effect.sync(() => r.write("interrupted")))
    const top = yield* r.start([Supervisor.effect("tick", effect)])
    assert.deepStrictEqual(yield* states(top), { tick: "running" })
    yield* top.stop
    assert.deepStrictEqual(r.log, ["interrupted"])
  })
)

it.effect("terminateChild forgets a temporary child", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a", { restart: "temporary" })])
    yield* top.terminateChild("a")
    assert.deepStrictEqual(yield* listed(top), [])
    const reason: ExitReason.ExitReason = yield* r.ref("a").ended
    assert.strictEqual(reason._tag, "Shutdown")
    assert.strictEqual((yield* Actor.stop(r.ref("a")))._tag, "Shutdown")
  })
)
