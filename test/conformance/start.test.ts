/** START: the start of a supervisor, child specs, failing inits. */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Deferred, Duration, Effect, Exit, Fiber, Layer, Option } from "effect"
import { Actor, ActorSystem, Registry, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, Child, listed, quiet, Recording, states } from "../support/recording.ts"

it.effect("START-01 start with no children", () =>
  Effect.gen(function* () {
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [] }))
    assert.strictEqual(top.status, "running")
    assert.strictEqual((yield* top.stop)._tag, "Shutdown")
    assert.strictEqual(top.status, "stopped")
  })
)

it.effect("START-02 children start one after another in listed order", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const slow = (id: string) => {
      const begins = Effect.sync(() => r.write(`${id} begins`))
      return r.child(id, { init: Effect.andThen(begins, Effect.sleep("10 millis")) })
    }
    const start = yield* Effect.forkChild(r.start(["e", "b", "d", "a", "c"].map(slow)))
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(start)
    assert.deepStrictEqual(
      r.log,
      ["e", "b", "d", "a", "c"].flatMap((id) => [`${id} begins`, `${id} started`])
    )
  })
)

it.effect("START-04 a supervisor whose `when` says no is left out", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* Supervisor.start(
      Supervisor.make("top", { when: Effect.succeed(false), children: [r.child("a")] })
    )
    assert.deepStrictEqual(r.log, [])
    assert.deepStrictEqual(yield* states(top), { top: "stopped" })
  })
)

it.effect("START-04 below a parent: nothing is left running, and the id is free where it is not kept", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([])
    const left = Supervisor.make("sub", { restart: "temporary", when: Effect.succeed(false), children: [r.child("a")] })
    yield* top.startChild(left)
    assert.deepStrictEqual(r.log, [])
    assert.deepStrictEqual(yield* top.count, { specs: 0, active: 0, supervisors: 0, workers: 0 })
    yield* top.startChild(Supervisor.make("sub", { children: [r.child("a")] }))
    assert.deepStrictEqual(r.log, ["a started"])
  })
)

it.effect("START-05 a permanent child that is left out keeps its spec", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([])
    yield* top.startChild(r.child("a", { when: Effect.succeed(false) }))
    yield* top.startChild(r.child("b"))
    assert.deepStrictEqual(yield* states(top), { a: "stopped", b: "running" })
    assert.deepStrictEqual(yield* top.count, { specs: 2, active: 1, supervisors: 0, workers: 2 })
  })
)

it.effect("START-07 a temporary child that is left out is forgotten", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([])
    yield* top.startChild(r.child("a", { restart: "temporary", when: Effect.succeed(false) }))
    assert.deepStrictEqual(yield* listed(top), [])
    yield* top.startChild(r.child("a"))
    assert.deepStrictEqual(yield* states(top), { a: "running" })
  })
)

it.effect("START-08 a failing init undoes the start in reverse", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const broken = new Broken({ code: 7 })
    const failing = r.child("c", {
      init: Effect.andThen(
        Effect.sync(() => r.write("c attempted")),
        broken
      )
    })
    const error = yield* Effect.flip(r.start([r.child("a"), r.child("b"), failing, r.child("d")]))
    assert.deepStrictEqual(r.log, ["a started", "b started", "c attempted", "b stopped", "a stopped"])
    assert.strictEqual(error._tag, "StartFailed")
    assert.strictEqual(error.path, "top")
    assert.strictEqual(error.child, "c")
    assert.strictEqual(Cause.squash(error.cause), broken)
    assert.deepStrictEqual([(yield* r.ref("a").ended)._tag, (yield* r.ref("b").ended)._tag], ["Shutdown", "Shutdown"])
    assert.isFalse(r.refs.has("d"))
  }).pipe(quiet)
)

it.effect("START-08 from deep below: everything is undone, and the error names the child that failed", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const broken = new Broken({ code: 7 })
    const inner = Supervisor.make("inner", { children: [r.child("b"), r.child("c", { init: broken })] })
    const error = yield* Effect.flip(r.start([r.child("a"), inner, r.child("d")]))
    assert.deepStrictEqual([error.path, error.child], ["top/inner", "c"])
    assert.strictEqual(Cause.squash(error.cause), broken)
    assert.deepStrictEqual(r.log, ["a started", "b started", "b stopped", "a stopped"])
  }).pipe(quiet)
)

it.effect("START-10 a start that fails, dies or interrupts itself is a failed start", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("other")])
    const broken = new Broken({ code: 1 })
    const boom = new Error("boom")
    const causeOf = (init: Effect.Effect<never, Broken>) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(top.startChild(r.child("a", { init })))
        assert.strictEqual(error._tag, "StartFailed")
        assert.deepStrictEqual(yield* listed(top), ["other"])
        return error._tag === "StartFailed" ? error.cause : Cause.empty
      })
    assert.strictEqual(Option.getOrUndefined(Cause.findErrorOption(yield* causeOf(Effect.fail(broken)))), broken)
    const [died] = (yield* causeOf(Effect.die(boom))).reasons
    assert.strictEqual(died?._tag === "Die" && died.defect, boom)
    assert.isTrue(Cause.hasInterruptsOnly(yield* causeOf(Effect.interrupt)))
    assert.strictEqual(yield* r.incarnation("other"), 1)
  }).pipe(quiet)
)

it.effect("START-11 duplicate ids are refused before anything starts", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const tree = Supervisor.make("top", { children: [r.child("a"), r.child("a")] })
    const invalid = yield* Effect.flip(Supervisor.validate(tree))
    assert.deepStrictEqual([invalid.path, invalid.field, invalid.value], ["top", "children", "a"])
    const error = yield* Effect.flip(Supervisor.start(tree))
    const refused = Cause.squash(error.cause) as Supervisor.InvalidSpec
    assert.deepStrictEqual([refused._tag, refused.field, refused.value], ["InvalidSpec", "children", "a"])
    assert.deepStrictEqual(r.log, [])
  })
)

it.effect("START-13 an unknown extra option does no harm", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")], { ...({ flavour: "mint" } as object) })
    assert.deepStrictEqual(yield* states(top), { a: "running" })
  })
)

it.effect("START-14 missing id, missing start, and no spec at all are told apart", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const good = r.child("a")
    const starting = (child: unknown) =>
      Effect.gen(function* () {
        const tree = Supervisor.make("top", { children: [r.child("first"), child as typeof good] })
        const error = yield* Effect.flip(Supervisor.start(tree))
        const problem = Cause.squash(error.cause) as Supervisor.InvalidSpec
        return [problem._tag, problem.path, problem.field, problem.value]
      })
    assert.deepStrictEqual(yield* starting({ ...good, id: undefined }), ["InvalidSpec", "top", "id", undefined])
    assert.deepStrictEqual(yield* starting({ ...good, target: undefined }), [
      "InvalidSpec",
      "top/a",
      "start",
      undefined
    ])
    assert.deepStrictEqual(yield* starting(42), ["InvalidSpec", "top", "child", 42])
    assert.deepStrictEqual(r.log, [])
  })
)

it.effect("START-16 every legal combination validates", () =>
  Effect.gen(function* () {
    const r = new Recording()
    for (const restart of ["permanent", "transient", "temporary"] as const) {
      for (const shutdown of [0, "1 second", Duration.infinity, "kill"] as const) {
        yield* Supervisor.validate(r.child("actor", { restart, shutdown }))
        yield* Supervisor.validate(Supervisor.effect("effect", Effect.never, { restart, shutdown }))
        yield* Supervisor.validate(Supervisor.service("service", Layer.empty, { restart, shutdown }))
      }
      yield* Supervisor.validate(Supervisor.make("supervisor", { restart, children: [] }))
    }
  })
)

it.effect("START-17 illegal values are refused one by one, with field and value", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("other")])
    const good = r.child("a")
    const refused = (spec: unknown) =>
      Effect.map(Effect.flip(top.startChild(spec as typeof good)), (error) =>
        error._tag === "InvalidSpec" ? [error.path, error.field, error.value] : error._tag
      )
    const target = { _tag: "effect", effect: "not an effect" }
    assert.deepStrictEqual(yield* refused({ ...good, restart: "permanant" }), ["top/a", "restart", "permanant"])
    assert.deepStrictEqual(yield* refused(r.child("a", { shutdown: -5 })), ["top/a", "shutdown", -5])
    assert.deepStrictEqual(yield* refused({ ...good, kind: "robot" }), ["top/a", "kind", "robot"])
    assert.deepStrictEqual(yield* refused({ ...good, kind: "effect", target }), ["top/a", "start", target.effect])
    assert.deepStrictEqual(yield* listed(top), ["other"])
    assert.strictEqual(yield* r.incarnation("other"), 1)
  })
)

it.effect("START-19 a failed startChild keeps nothing", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([])
    const broken = new Broken({ code: 3 })
    const error = yield* Effect.flip(top.startChild(r.child("a", { init: broken })))
    assert.strictEqual(error._tag === "StartFailed" && error.child, "a")
    assert.strictEqual(error._tag === "StartFailed" && Cause.squash(error.cause), broken)
    assert.deepStrictEqual(yield* listed(top), [])
    yield* top.startChild(r.child("a"))
    assert.deepStrictEqual(yield* listed(top), ["a"])
  }).pipe(quiet)
)

it.effect("START-20 an init that takes too long is stopped, and releases what it had", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const hanging = Child.behavior(
      Effect.gen(function* () {
        yield* Effect.addFinalizer(() => Effect.sync(() => r.log.push("released")))
        yield* Effect.sleep("1 second")
        r.write("up")
        return yield* Effect.never
      })
    )
    const start = yield* Effect.forkChild(
      Effect.flip(r.start([Supervisor.child(hanging, { id: "slow", startTimeout: "100 millis" })]))
    )
    yield* TestClock.adjust("99 millis")
    assert.strictEqual(start.pollUnsafe(), undefined)
    yield* TestClock.adjust("1 milli")
    const error = yield* Fiber.join(start)
    const timeout = Cause.squash(error.cause) as Supervisor.StartTimeout
    assert.deepStrictEqual([timeout._tag, timeout.path, timeout.after], ["StartTimeout", "top/slow", 100])
    assert.deepStrictEqual(r.log, ["released"])
    yield* TestClock.adjust("10 seconds")
    assert.deepStrictEqual(r.log, ["released"])
  }).pipe(quiet)
)

it.effect("START-22 what a start gives comes back from startChild and restartChild", () =>
  Effect.gen(function* () {
    class Info extends Context.Service<Info, { readonly run: number }>()("test/Info") {}
    let runs = 0
    const r = new Recording()
    const top = yield* r.start([r.child("a")], { strategy: "one-for-all" })
    const spec = Supervisor.service(
      "info",
      Layer.sync(Info, () => ({ run: ++runs }))
    )
    const given = yield* top.startChild(spec)
    assert.strictEqual(Context.get(given, Info).run, 1)
    yield* top.terminateChild("info")
    const again = (yield* top.restartChild("info")) as Context.Context<Info>
    assert.strictEqual(Context.get(again, Info).run, 2)
    // A layer that is up cannot crash: its sibling takes it along.
    yield* r.ref("a").tell.Throw()
    assert.strictEqual(yield* r.incarnation("a"), 2)
    yield* Effect.flip(top.restartChild("info"))
    assert.deepStrictEqual(yield* states(top), { a: "running", info: "running" })
    assert.strictEqual(runs, 3)
  }).pipe(quiet)
)

it.effect("START-22 the ref that a start gives stays good over a restart by hand and after a crash", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([])
    const ref = Context.get(yield* top.startChild(r.child("a")), Child)
    assert.strictEqual(yield* ref.ask.Ping(), 1)
    yield* top.terminateChild("a")
    const again = Context.get((yield* top.restartChild("a")) as Context.Context<Child>, Child)
    assert.strictEqual(again, ref)
    assert.strictEqual(yield* again.ask.Ping(), 2)
    yield* ref.tell.Throw()
    assert.strictEqual(yield* ref.ask.Ping(), 3)
  }).pipe(quiet)
)

it.effect("START-23 a name held outside the tree makes the start fail, and harms nobody", () =>
  Effect.gen(function* () {
    class Names extends Registry.Service<Names>()("test/Names", Child) {}
    const r = new Recording()
    const test = Effect.gen(function* () {
      const outsider = yield* Actor.spawn(r.behavior("outsider"))
      yield* Names.registerAs(outsider, "n")
      const top = yield* r.start([])
      const taking = Child.behavior(
        Effect.andThen(
          Names.register("n"),
          Effect.flatMap(Child.self, () => Effect.never)
        )
      )
      const error = yield* Effect.flip(top.startChild(Supervisor.child(taking, { id: "taking" })))
      const cause = error._tag === "StartFailed" ? (Cause.squash(error.cause) as Registry.AlreadyRegistered) : undefined
      assert.deepStrictEqual([cause?._tag, cause?.holder], ["AlreadyRegistered", outsider.path])
      assert.deepStrictEqual(yield* listed(top), [])
      assert.strictEqual(yield* outsider.ask.Ping(), 1)
      assert.strictEqual((yield* top.stop)._tag, "Shutdown")
    })
    yield* Effect.provide(test, Names.layer)
  }).pipe(quiet)
)

it.effect("R9 interrupting a start stops the half-started tree", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const reached = yield* Deferred.make<void>()
    const hanging = r.child("b", { init: Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) })
    const start = yield* Effect.forkChild(r.start([r.child("a"), hanging]))
    yield* Deferred.await(reached)
    const exit = yield* Effect.andThen(Fiber.interrupt(start), Fiber.await(start))
    assert.isTrue(Exit.isFailure(exit))
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
  })
)
