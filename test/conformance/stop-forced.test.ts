/** STOP: ends by force, and what is asked of a supervisor while it stops. */
import { assert, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Schema } from "effect"
import { Actor, ActorSystem, ExitReason, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet, Recording, states } from "../support/recording.ts"

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

/** Interrupting it has no effect: it takes its time. */
const ignoring = Effect.uninterruptible(Effect.sleep("10 seconds"))

it.effect("STOP-16 no orphans when the supervisor itself is killed", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b", { finalizer: ignoring })])
    assert.deepStrictEqual(yield* top.kill, ExitReason.Killed)
    assert.strictEqual(yield* now, 0)
    assert.deepStrictEqual([r.ref("a").status, r.ref("b").status], ["stopped", "stopped"])
    assert.include(r.log, "a stopped")
    // What refuses to end is reported as left behind, until it does.
    assert.include(
      (yield* ActorSystem.zombies).map((zombie) => zombie.path),
      "top/b"
    )
    yield* TestClock.adjust("10 seconds")
    assert.deepStrictEqual([...r.log].sort(), ["a started", "a stopped", "b started", "b stopped"])
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
  }).pipe(quiet)
)

it.effect("STOP-16 a kill in the middle of a slow stop leaves none either", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b", { shutdown: Duration.infinity, finalizer: ignoring })])
    const stop = yield* Effect.forkChild(top.stop, { startImmediately: true })
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* top.kill, ExitReason.Killed)
    assert.deepStrictEqual(yield* Fiber.join(stop), ExitReason.Killed)
    yield* r.lines(3)
    assert.deepStrictEqual(r.log, ["a started", "b started", "a stopped"])
    assert.include(
      (yield* ActorSystem.zombies).map((zombie) => zombie.path),
      "top/b"
    )
    yield* TestClock.adjust("9 seconds")
    assert.deepStrictEqual(r.log, ["a started", "b started", "a stopped", "b stopped"])
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
  }).pipe(quiet)
)

it.effect("STOP-16 a stop whose limit passes leaves none either", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b", { shutdown: Duration.infinity, finalizer: ignoring })])
    const stop = yield* Effect.forkChild(Effect.zip(top.stopWithin("1 second"), now))
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* Fiber.join(stop), [ExitReason.Killed, 1_000])
    yield* TestClock.adjust("9 seconds")
    assert.deepStrictEqual([...r.log].sort(), ["a started", "a stopped", "b started", "b stopped"])
    assert.deepStrictEqual([r.ref("a").status, r.ref("b").status], ["stopped", "stopped"])
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
  }).pipe(quiet)
)

it.effect("STOP-16 a kill from above leaves none of a subtree that is in the middle of a slow stop", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const slow = r.child("slow", { shutdown: Duration.infinity, finalizer: ignoring })
    const inner = Supervisor.make("inner", { children: [r.child("leaf"), slow] })
    const top = yield* r.start([r.child("a"), inner])
    yield* Effect.forkChild(top.stop, { startImmediately: true })
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* top.kill, ExitReason.Killed)
    yield* r.lines(5)
    assert.deepStrictEqual(r.log.slice(3).sort(), ["a stopped", "leaf stopped"])
    yield* TestClock.adjust("9 seconds")
    assert.strictEqual(r.log.at(-1), "slow stopped")
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
  }).pipe(quiet)
)

it.effect("STOP-21 killing the top reaches the leaves", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const middle = Supervisor.make("middle", { children: [Supervisor.make("low", { children: [r.child("leaf")] })] })
    const top = yield* r.start([middle, r.child("other", { shutdown: Duration.infinity })])
    yield* r.ref("other").tell.Wait()
    assert.deepStrictEqual(yield* top.kill, ExitReason.Killed)
    yield* r.lines(4)
    assert.strictEqual(yield* now, 0)
    for (const id of ["leaf", "other"]) assert.deepStrictEqual(yield* r.ref(id).ended, ExitReason.Killed, id)
    assert.deepStrictEqual([...r.log].sort(), ["leaf started", "leaf stopped", "other started", "other stopped"])
  }).pipe(quiet)
)

it.effect("STOP-21 killing a supervisor in the middle of the tree restarts it, with new leaves", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), Supervisor.make("inner", { children: [r.child("leaf")] })])
    const inner = yield* top.supervisor("inner")
    assert.deepStrictEqual(yield* inner.kill, ExitReason.Killed)
    assert.strictEqual(yield* r.incarnation("leaf"), 2)
    assert.strictEqual(yield* r.incarnation("a"), 1)
    assert.deepStrictEqual(r.log, ["a started", "leaf started", "leaf stopped", "leaf started"])
  }).pipe(quiet)
)

it.effect("R37 what is asked of a supervisor that stops is refused, and starts nothing", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a", { finalizer: Effect.sleep("3 seconds") })])
    const stop = yield* Effect.forkChild(top.stop, { startImmediately: true })
    const again = yield* Effect.forkChild(top.stop, { startImmediately: true })
    const calls = [top.startChild(r.child("b")), top.terminateChild("a"), top.restartChild("a"), top.deleteChild("a")]
    const refused = yield* Effect.forkChild(
      Effect.forEach(calls, (call) => Effect.flip(call as typeof top.stop), { concurrency: "unbounded" })
    )
    yield* TestClock.adjust("3 seconds")
    assert.deepStrictEqual(
      (yield* Fiber.join(refused)).map((error) => error._tag),
      calls.map(() => "SupervisorNotRunning")
    )
    assert.deepStrictEqual(
      [yield* Fiber.join(stop), yield* Fiber.join(again)],
      [ExitReason.Shutdown(), ExitReason.Shutdown()]
    )
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
  })
)

it.effect("a stop while startChild waits for an init undoes it, and is no failure", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    const hanging = r.child("b", { init: Effect.never, startTimeout: "1 hour" })
    const start = yield* Effect.forkChild(Effect.flip(top.startChild(hanging)), { startImmediately: true })
    const behind = yield* Effect.forkChild(Effect.flip(top.startChild(r.child("c"))), { startImmediately: true })
    while (!r.refs.has("b")) yield* Effect.yieldNow
    assert.deepStrictEqual(yield* states(top), { a: "running", b: "starting" })
    assert.deepStrictEqual(yield* top.stop, ExitReason.Shutdown())
    assert.strictEqual(yield* now, 0)
    for (const call of [start, behind]) assert.strictEqual((yield* Fiber.join(call))._tag, "SupervisorNotRunning")
    assert.deepStrictEqual([r.ref("b").status, r.log], ["stopped", ["a started", "a stopped"]])
    assert.notInclude(r.told("top"), "ActorFailed")
  }).pipe(quiet)
)

it.effect("a child that kills its own supervisor ends with it, by whatever way its handler runs", () =>
  Effect.gen(function* () {
    class Fuse extends Actor.Service<Fuse>()("test/Fuse", { Now: {}, Later: {}, Say: {} }) {}
    for (const how of ["Now", "Later"] as const) {
      const r = new Recording()
      const blow = Effect.suspend(() => Effect.exit(top.kill))
      const hang = Effect.onInterrupt(Effect.never, () => Effect.sync(() => r.write("interrupted")))
      const behavior = Fuse.behavior(
        Effect.as(
          Effect.addFinalizer(() => Effect.sync(() => r.write("fuse stopped"))),
          Fuse.of({
            Now: () => Effect.andThen(blow, hang),
            Later: () => Effect.andThen(Effect.andThen(Effect.yieldNow, blow), hang),
            Say: () => {}
          })
        )
      )
      const children = [r.child("a"), Supervisor.child(behavior, { id: "fuse" }), r.child("b")] as const
      const top: Supervisor.SupervisorRef<Fuse> = yield* r.start(children)
      const fuse = yield* Effect.provideContext(Fuse, top.services)
      yield* fuse.tell[how]()
      yield* fuse.tell.Say()
      assert.deepStrictEqual(yield* top.ended, ExitReason.Killed)
      assert.deepStrictEqual(yield* fuse.ended, ExitReason.Killed)
      yield* r.lines(how === "Now" ? 6 : 5)
      assert.includeMembers([...r.log], ["a stopped", "b stopped", "fuse stopped"])
      const letter = (yield* ActorSystem.deadLetters).at(-1)!
      assert.deepStrictEqual([letter.tag, letter.reason], ["Say", { _tag: "NotRunning", exit: ExitReason.Killed }])
      while ((yield* ActorSystem.zombies).length > 0) yield* Effect.yieldNow
    }
  }).pipe(quiet)
)

it.effect("a child that stops its own supervisor and waits for it is killed after its time", () =>
  Effect.gen(function* () {
    class Suicidal extends Actor.Service<Suicidal>()("test/Suicidal", { Go: { success: Schema.Void } }) {}
    const r = new Recording()
    const behavior = Suicidal.behavior(
      Effect.succeed(Suicidal.of({ Go: () => Effect.asVoid(Effect.exit(Effect.suspend(() => top.stop))) }))
    )
    const top: Supervisor.SupervisorRef<Suicidal> = yield* r.start([
      r.child("a"),
      Supervisor.child(behavior, { id: "s", shutdown: "2 seconds" })
    ])
    const suicidal = yield* Effect.provideContext(Suicidal, top.services)
    yield* suicidal.tell.Go()
    yield* TestClock.adjust("2 seconds")
    assert.deepStrictEqual(yield* suicidal.ended, ExitReason.Killed)
    assert.deepStrictEqual(yield* top.ended, ExitReason.Shutdown())
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
  }).pipe(quiet)
)

it.effect("a stop lets the running handler finish; what is queued behind it is left over, and told", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    const a = r.ref("a")
    const running = yield* Effect.forkChild(a.ask.Wait(), { startImmediately: true })
    yield* a.tell.Add({ n: 1 })
    const queued = yield* Effect.forkChild(Effect.flip(a.ask.Add({ n: 2 })), { startImmediately: true })
    const stop = yield* Effect.forkChild(top.stop, { startImmediately: true })
    yield* Deferred.succeed(r.gate, undefined)
    yield* Fiber.join(running)
    assert.deepStrictEqual(yield* Fiber.join(stop), ExitReason.Shutdown())
    const { reason } = yield* Fiber.join(queued)
    assert.deepStrictEqual(reason._tag === "NotRunning" && reason.exit, ExitReason.Shutdown())
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map(({ payload, reason, recipient }) => [recipient, payload, reason]),
      [["top/a", { n: 1 }, { _tag: "NotRunning", exit: ExitReason.Shutdown() }]]
    )
  })
)
