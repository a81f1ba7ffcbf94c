/** STOP: stopping a supervisor and its children. */
import { assert, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Scope } from "effect"
import { Actor, ActorSystem, Backoff, ExitReason, Registry, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, Child, listed, quiet, Recording, states } from "../support/recording.ts"

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

it.effect("STOP-01 unlimited shutdown: all the time it needs", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const slow = { shutdown: Duration.infinity, finalizer: Effect.sleep("3 seconds") }
    const top = yield* r.start([r.child("a", slow), r.child("b", slow)])
    const stop = yield* Effect.forkChild(Effect.andThen(top.stop, now))
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual(yield* Fiber.join(stop), 6_000)
    assert.deepStrictEqual(r.log, ["a started", "b started", "b stopped", "a stopped"])
    for (const id of ["a", "b"]) assert.deepStrictEqual(yield* r.ref(id).ended, ExitReason.Shutdown())
  })
)

it.effect("STOP-03 a brutal kill is not waited for", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a", { shutdown: "kill", finalizer: Effect.sleep("10 seconds") })])
    assert.strictEqual((yield* top.stop)._tag, "Shutdown")
    assert.strictEqual(yield* now, 0)
    assert.deepStrictEqual([r.ref("a").status, yield* r.ref("a").ended], ["stopped", ExitReason.Killed])
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
    assert.deepStrictEqual(yield* r.ref("a").ended, ExitReason.Killed)
    assert.deepStrictEqual(
      (yield* ActorSystem.zombies).map((zombie) => zombie.path),
      ["top/a"]
    )
    // It was asked as well: what it holds is released as after a stop.
    yield* TestClock.adjust("10 seconds")
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
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
    for (const { end, id } of middle) {
      const { tell } = r.ref(id)
      yield* end === "Shutdown" ? tell.Shutdown({ info: id }) : end === "Fail" ? tell.Fail({ code: 1 }) : tell[end]()
    }
    yield* TestClock.adjust("999 millis")
    assert.strictEqual(stop.pollUnsafe(), undefined)
    assert.strictEqual(r.log.filter((line) => line.endsWith("stopped")).length, 12)
    yield* TestClock.adjust("1 milli")
    assert.deepStrictEqual(yield* Fiber.join(stop), ExitReason.Shutdown())
    for (const { end, id } of middle) {
      const reason = yield* r.ref(id).ended
      const own = { End: ExitReason.Normal, Shutdown: ExitReason.Shutdown(id), Fail: new Broken({ code: 1 }) }
      if (end === "Throw") assert.strictEqual(reason._tag === "Failed" && String(squash(reason)), "Error: thrown", id)
      else assert.deepStrictEqual(end === "Fail" ? squash(reason) : reason, own[end], id)
    }
    assert.strictEqual(r.log.filter((line) => line.endsWith("started")).length, 14)
    assert.deepStrictEqual(r.log.slice(-2), ["last stopped", "first stopped"])
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
    assert.deepStrictEqual(yield* r.ref("a").ended, ExitReason.Killed)
  }).pipe(quiet)
)

it.effect("STOP-09 nor can one that ignores even its kill: it is left behind as a zombie", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const finalizer = Deferred.await(r.gate)
    const top = yield* r.start([r.child("a", { shutdown: "1 second", finalizer }), r.child("b")])
    const terminate = yield* Effect.forkChild(Effect.andThen(top.terminateChild("a"), now))
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* Fiber.join(terminate), 1_000)
    assert.deepStrictEqual(yield* ActorSystem.zombies, [{ path: "top/a", since: 0, outstanding: 1_000 }])
    // The supervisor serves on.
    yield* top.startChild(r.child("c"))
    assert.deepStrictEqual(yield* states(top), { a: "stopped", b: "running", c: "running" })
    yield* Deferred.succeed(r.gate, undefined)
    yield* r.lines(4)
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
    assert.deepStrictEqual(r.log, ["a started", "b started", "c started", "a stopped"])
  }).pipe(quiet)
)

it.effect("STOP-10 stop during a restart loop", () =>
  Effect.gen(function* () {
    const r = new Recording()
    let starts = 0
    const init = Effect.suspend(() => (++starts === 1 ? Effect.void : Effect.fail(new Broken({ code: starts }))))
    const intensity = { restarts: 1_000_000, within: "1 minute" as const }
    const top = yield* r.start([r.child("z"), r.child("a", { init })], { intensity })
    yield* r.ref("a").tell.Throw()
    while (starts < 20) yield* Effect.yieldNow
    assert.deepStrictEqual(yield* states(top), { z: "running", a: "restarting" })
    assert.deepStrictEqual(yield* top.stop, ExitReason.Shutdown())
    const ended = starts
    yield* TestClock.adjust("1 minute")
    assert.strictEqual(starts, ended)
    assert.strictEqual(r.log.at(-1), "z stopped")
    // The place is free again.
    yield* r.start([r.child("z")])
    assert.strictEqual(yield* r.incarnation("z"), 1)
  }).pipe(
    quiet,
    // The clock of the test stands still, so only counts end a slice.
    Effect.provide(ActorSystem.layer({ slice: { sliceMessages: 10 } }))
  )
)

it.effect("STOP-10 stop while a child waits for its delay is prompt, and the attempt is void", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const backoff = Backoff.exponential({ min: "10 seconds", max: "10 seconds" })
    const top = yield* r.start([r.child("a", { backoff })])
    yield* r.ref("a").tell.Throw()
    yield* r.lines(2)
    assert.deepStrictEqual(yield* top.stop, ExitReason.Shutdown())
    assert.strictEqual(yield* now, 0)
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
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

it.effect("STOP-12 stop is synchronous: afterwards all has ended and the names are free", () =>
  Effect.gen(function* () {
    class Names extends Registry.Service<Names>()("test/Names", Child) {}
    const r = new Recording()
    const program = Effect.gen(function* () {
      const top = yield* r.start([r.child("a")])
      yield* Names.registerAs(r.ref("a"), "n")
      assert.strictEqual((yield* Names.lookup("n")).path, "top/a")
      assert.deepStrictEqual(yield* top.stop, ExitReason.Shutdown())
      assert.deepStrictEqual([top.status, r.ref("a").status, r.log.at(-1)], ["stopped", "stopped", "a stopped"])
      assert.strictEqual((yield* Effect.flip(Names.lookup("n")))._tag, "NotRegistered")
    })
    yield* Effect.provide(program, Names.layer)
  })
)

it.effect("STOP-13 stopping what is not there answers at once", () =>
  Effect.gen(function* () {
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [] }))
    yield* top.stop
    const [stop, kill, within] = [top.stop, top.kill, top.stopWithin("1 second")]
    for (const call of [stop, kill, within, top.terminateChild("a"), top.restartChild("a"), top.deleteChild("a")]) {
      const error = yield* Effect.flip(call as typeof stop)
      assert.deepStrictEqual([error._tag, error.message], ["SupervisorNotRunning", "top is not running"])
    }
    assert.deepStrictEqual(yield* top.ended, ExitReason.Shutdown())
    assert.deepStrictEqual(yield* top.children, [])
  })
)

it.effect("STOP-15 an invalid limit is refused and leaves it running", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    for (const limit of [-1, NaN, "soon" as never]) {
      const error = yield* Effect.flip(top.stopWithin(limit))
      assert.strictEqual(error._tag === "InvalidSpec" && error.field, "limit")
      assert.include(error.message, "top: limit must be a duration of 0 or more, got ")
    }
    assert.deepStrictEqual([top.status, yield* r.incarnation("a")], ["running", 1])
    assert.deepStrictEqual(yield* top.stopWithin("1 second"), ExitReason.Shutdown())
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
  })
)

it.effect("STOP-18 a failing finalizer does not stop the stop, and is reported", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b", { finalizer: Effect.die("finalizer") }), r.child("c")])
    assert.deepStrictEqual(yield* top.stop, ExitReason.Shutdown())
    assert.deepStrictEqual(r.log, ["a started", "b started", "c started", "c stopped", "a stopped"])
    for (const id of ["a", "b", "c"]) assert.strictEqual(r.ref(id).status, "stopped", id)
    assert.strictEqual(squash(yield* r.ref("b").ended), "finalizer")
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

/** What a failure carries. */
const squash = (reason: ExitReason.ExitReason) => (reason._tag === "Failed" ? Cause.squash(reason.cause) : reason)
