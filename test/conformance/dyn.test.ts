/** DYN: dynamic supervisors. Partitioned ones are in `partition.test.ts`. */
import { assert, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Option, Schedule, Schema } from "effect"
import { Actor, ActorContext, type ActorRef, Backoff, DynamicSupervisor, ExitReason, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { stillAlive } from "../support/garbage.ts"
import { Broken, Child, quiet, Recording } from "../support/recording.ts"

class Unit extends Actor.Service<Unit>()("test/Unit", {
  Says: { success: Schema.String },
  Fail: {},
  End: {}
}) {}

class Units extends DynamicSupervisor.Service<Units>()("test/Units", Unit) {}
class Open extends DynamicSupervisor.Service<Open>()("test/Open") {}

interface Job {
  readonly n: number
  readonly note: string
}
class Jobs extends DynamicSupervisor.Service<Jobs, Job>()("test/Jobs", Unit) {}

/** What a unit does besides answering, by what it is started with. */
interface Plan {
  readonly init?: Effect.Effect<unknown, Broken>
  readonly finalizer?: Effect.Effect<unknown>
}

const unit = (name: string, { finalizer = Effect.void, init = Effect.void }: Plan = {}) =>
  Effect.gen(function* () {
    yield* init
    yield* Effect.addFinalizer(() => finalizer)
    return Unit.of({
      Says: () => name,
      Fail: () => Effect.fail(new Broken({ code: 1 })),
      End: () => ActorContext.stop
    })
  })

const generous = { restarts: 1_000, within: "1 minute" } as const

/** A dynamic supervisor of units as the only child of a tree. */
const started = (options: DynamicSupervisor.DynamicOptions<Broken> = {}, plans: (name: string) => Plan = () => ({})) =>
  Effect.gen(function* () {
    const behavior = Unit.behavior((name: string) => unit(name, plans(name)))
    const spec = Units.child(behavior, { intensity: generous, ...options })
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [spec] }))
    const handle = yield* top.supervisor("test/Units")
    return { units: Context.get(top.services, Units), handle, top }
  })

const settled = Effect.gen(function* () {
  for (let i = 0; i < 20; i++) yield* Effect.yieldNow
})

const now = Effect.clockWith((clock) => clock.currentTimeMillis)
const path = (ref: { readonly path: string }) => ref.path

it.effect("DYN-01 starts empty", () =>
  Effect.gen(function* () {
    const { handle, units } = yield* started()
    assert.deepStrictEqual([yield* units.children, yield* units.refs, yield* units.count], [[], [], 0])
    assert.deepStrictEqual(yield* handle.count, { specs: 0, active: 0, supervisors: 0, workers: 0 })
  })
)

it.effect("DYN-02 children from a template plus arguments of any type", () =>
  Effect.gen(function* () {
    const behavior = Unit.behavior(({ n, note }: Job) => unit(`${n} ${note}`))
    const layer = Supervisor.layer(Supervisor.make("top", { children: [Jobs.child(behavior)] }))
    const said = Effect.gen(function* () {
      const jobs = []
      for (const n of [1, 2, 3]) jobs.push(yield* Jobs.start({ n, note: "job" }))
      const again = yield* Jobs.refs
      assert.deepStrictEqual(again, jobs)
      return yield* Effect.forEach(jobs, (job) => job.ask.Says())
    })
    assert.deepStrictEqual(yield* Effect.provide(said, layer), ["1 job", "2 job", "3 job"])
  })
)

it.effect("DYN-02 a behavior per child, with its own options and the services of whoever starts it", () =>
  Effect.gen(function* () {
    class Name extends Context.Service<Name, string>()("test/Name") {}
    const named = Unit.behavior(Effect.flatMap(Name, (name) => unit(name)))
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [Open.child({ intensity: generous })] }))
    const open = Context.get(top.services, Open)
    const a = yield* Effect.provideService(open.startChild(named), Name, "a")
    const b = yield* Effect.provideService(open.startChild(named, { restart: "temporary" }), Name, "b")
    const r = new Recording()
    const c = yield* open.startChild(r.behavior("c"))
    yield* a.tell.Fail()
    yield* b.tell.Fail()
    assert.deepStrictEqual([yield* a.ask.Says(), yield* c.ask.Ping()], ["a", 1])
    yield* settled
    assert.strictEqual((yield* b.ended)._tag, "Failed")
    assert.deepStrictEqual((yield* open.children).map(path), [a.path, c.path])
  }).pipe(quiet)
)

it.effect("DYN-04 stop by reference", () =>
  Effect.gen(function* () {
    const { units } = yield* started()
    const a = yield* units.start("a")
    const b = yield* units.at("b")
    yield* units.terminate(a)
    assert.deepStrictEqual([a.status, yield* a.ended], ["stopped", ExitReason.Shutdown()])
    assert.deepStrictEqual([yield* units.refs, yield* b.ask.Says()], [[b], "b"])
    assert.strictEqual((yield* Effect.flip(units.terminate(a)))._tag, "ChildNotFound")
  })
)

it.effect("DYN-04 stopping a slow child keeps nobody else waiting, and goes on when its asker leaves", () =>
  Effect.gen(function* () {
    const { units } = yield* started({}, (name) => (name === "slow" ? { finalizer: Effect.sleep("2 seconds") } : {}))
    const slow = yield* units.at("slow")
    const stopping = yield* Effect.forkChild(units.terminate(slow))
    yield* settled
    yield* Fiber.interrupt(stopping)
    yield* units.at("quick")
    assert.deepStrictEqual(
      (yield* units.children).map(({ id, state }) => [id, state]),
      [
        ["slow", "stopping"],
        ["quick", "running"]
      ]
    )
    const again = yield* Effect.forkChild(units.at("slow"))
    yield* TestClock.adjust("2 seconds")
    const next = yield* Fiber.join(again)
    assert.deepStrictEqual([next === slow, slow.status, yield* next.ask.Says()], [false, "stopped", "slow"])
    assert.deepStrictEqual(
      (yield* units.children).map(({ id }) => id),
      ["quick", "slow"]
    )
    yield* Effect.forkChild(units.stop("slow"))
    yield* TestClock.adjust("2 seconds")
    assert.strictEqual(yield* units.count, 1)
  })
)

it.effect("DYN-05 a foreign reference: not found, and unharmed", () =>
  Effect.gen(function* () {
    const { units } = yield* started()
    const stranger = yield* Actor.spawn(Unit.behavior(unit("stranger")))
    const error = yield* Effect.flip(units.terminate(stranger))
    assert.deepStrictEqual(
      [error._tag, error.message],
      ["ChildNotFound", `top/test/Units has no child ${stranger.path}`]
    )
    assert.strictEqual(yield* stranger.ask.Says(), "stranger")
  })
)

it.effect("DYN-07 calls by id are refused, with an error that says so", () =>
  Effect.gen(function* () {
    const { handle, units } = yield* started()
    const a = yield* units.at("a")
    for (const call of [handle.terminateChild("a"), handle.restartChild("a"), handle.deleteChild("a")]) {
      const error = yield* Effect.flip(call)
      assert.strictEqual(error._tag, "ChildNotFound")
      const says = "top/test/Units does not know its children by id: give terminate a ref, or stop a key"
      assert.strictEqual(error.message, says)
    }
    assert.strictEqual(yield* a.ask.Says(), "a")
  })
)

for (const restart of ["permanent", "temporary"] as const) {
  it.effect(`DYN-08 a ${restart} child that ignores its start is not kept`, () =>
    Effect.gen(function* () {
      const { top, units } = yield* started({ restart }, (name) => (name === "no" ? { init: Actor.ignore } : {}))
      const no = yield* units.at("no")
      const yes = yield* units.at("yes")
      assert.deepStrictEqual([no.status, yield* no.ended, yield* units.refs], ["stopped", ExitReason.Normal, [yes]])
      assert.deepStrictEqual(yield* top.stop, ExitReason.Shutdown())
    })
  )
}

it.effect("DYN-08 a child that ignores a restart is not kept, and takes no place", () =>
  Effect.gen(function* () {
    let starts = 0
    const init = Effect.suspend(() => (++starts === 2 ? Actor.ignore : Effect.void))
    const { units } = yield* started({ maxChildren: 1 }, () => ({ init }))
    const ref = yield* units.at("a")
    yield* ref.tell.Fail()
    yield* settled
    assert.deepStrictEqual([yield* units.count, ref.status], [0, "stopped"])
    assert.strictEqual(yield* (yield* units.at("a")).ask.Says(), "a")
  }).pipe(quiet)
)

it.effect("DYN-10 a failing start gives the plain reason, and lists nothing", () =>
  Effect.gen(function* () {
    const broken = new Broken({ code: 7 })
    const { units } = yield* started({}, () => ({ init: Effect.fail(broken) }))
    for (const start of [units.start("a"), units.at("a")]) {
      const error = yield* Effect.flip(start)
      assert.strictEqual(error._tag, "StartFailed")
      const { cause } = error as Supervisor.StartFailed<Broken>
      assert.deepStrictEqual(
        cause.reasons.map((reason) => reason._tag === "Fail" && reason.error === broken),
        [true]
      )
      assert.strictEqual(yield* units.count, 0)
    }
  })
)

it.effect("DYN-11 children stop all at once: one limit, not the sum", () =>
  Effect.gen(function* () {
    const { top, units } = yield* started({ shutdown: "150 millis" }, () => ({ finalizer: Effect.never }))
    const refs = yield* Effect.forEach(["a", "b", "c"], units.at)
    const stop = yield* Effect.forkChild(Effect.andThen(top.stop, now))
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* Fiber.join(stop), 150)
    for (const ref of refs) assert.deepStrictEqual(yield* ref.ended, ExitReason.Killed)
  }).pipe(quiet)
)

it.effect("DYN-11 children that need 1, 1 and 5 seconds, with a limit of 2", () =>
  Effect.gen(function* () {
    const { top, units } = yield* started({ shutdown: "2 seconds" }, (name) => ({
      finalizer: Effect.sleep(name === "c" ? "5 seconds" : "1 second")
    }))
    const refs = yield* Effect.forEach(["a", "b", "c"], units.at)
    const stop = yield* Effect.forkChild(Effect.andThen(top.stop, now))
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual(yield* Fiber.join(stop), 2_000)
    const reasons = yield* Effect.forEach(refs, (ref) => ref.ended)
    assert.deepStrictEqual(
      reasons.map(({ _tag }) => _tag),
      ["Shutdown", "Shutdown", "Killed"]
    )
  }).pipe(quiet)
)

it.effect("DYN-13 each child has its own time to stop", () =>
  Effect.gen(function* () {
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [Open.child()] }))
    const open = Context.get(top.services, Open)
    const start = (shutdown: Supervisor.Options<never>["shutdown"] & {}, finalizer: Effect.Effect<unknown>) =>
      open.startChild(Unit.behavior(unit("x", { finalizer })), { shutdown })
    const refs = [
      yield* start(Duration.infinity, Effect.sleep("10 seconds")),
      yield* start("kill", Effect.never),
      yield* start("1 millis", Effect.never)
    ]
    const stop = yield* Effect.forkChild(top.stop)
    yield* TestClock.adjust("10 seconds")
    yield* Fiber.join(stop)
    const reasons = yield* Effect.forEach(refs, (ref) => ref.ended)
    assert.deepStrictEqual(
      reasons.map(({ _tag }) => _tag),
      ["Shutdown", "Killed", "Killed"]
    )
  }).pipe(quiet)
)

it.effect("DYN-14 a quick child and one that sleeps on, with a limit of 1 second", () =>
  Effect.gen(function* () {
    const { top, units } = yield* started({ shutdown: "1 second" }, (name) =>
      name === "sleeper" ? { finalizer: Effect.sleep("1 hour") } : {}
    )
    const quick = yield* units.at("quick")
    const sleeper = yield* units.at("sleeper")
    const stop = yield* Effect.forkChild(top.stop)
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(stop)
    assert.deepStrictEqual([yield* quick.ended, yield* sleeper.ended], [ExitReason.Shutdown(), ExitReason.Killed])
  }).pipe(quiet)
)

it.effect("DYN-16 one budget for all children: used up, it ends them all", () =>
  Effect.gen(function* () {
    const { handle, units } = yield* started({ intensity: { restarts: 2, within: "5 seconds" } })
    const a = yield* units.at("a")
    const b = yield* units.at("b")
    const ended = yield* Effect.forkChild(Effect.all([a.ended, b.ended]))
    for (const ref of [a, b]) {
      yield* ref.tell.Fail()
      yield* ref.ask.Says()
    }
    assert.deepStrictEqual([(yield* handle.budget).left, yield* units.count], [0, 2])
    yield* a.tell.Fail()
    const [, second] = yield* Fiber.join(ended)
    assert.deepStrictEqual(second, ExitReason.Shutdown())
  }).pipe(quiet)
)

/** Units that cannot start while the gate is closed, after their first start. */
const gated = () => {
  const gate = { closed: false }
  const init = Effect.suspend(() => (gate.closed ? Effect.fail(new Broken({ code: 2 })) : Effect.void))
  return { gate, init }
}

const backoff = Backoff.make(Schedule.spaced("1 second"))

it.effect("DYN-17 counting with some restarting", () =>
  Effect.gen(function* () {
    const { gate, init } = gated()
    const { handle, units } = yield* started({ backoff }, () => ({ init }))
    const [a, b] = yield* Effect.forEach(["a", "b", "c"], units.at)
    gate.closed = true
    yield* a!.tell.Fail()
    yield* b!.tell.Fail()
    yield* TestClock.adjust("5 seconds")
    assert.deepStrictEqual(yield* handle.count, { specs: 3, active: 1, supervisors: 0, workers: 3 })
    gate.closed = false
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* handle.count, { specs: 3, active: 3, supervisors: 0, workers: 3 })
  }).pipe(quiet)
)

it.effect("DYN-19 nothing of a temporary child is retained: neither its argument nor its behavior", () =>
  Effect.gen(function* () {
    class Blobs extends DynamicSupervisor.Service<Blobs, { readonly blob: object }>()("test/Blobs", Unit) {}
    const spec = Blobs.child(
      Unit.behavior(({ blob }: { readonly blob: object }) => unit(String(typeof blob))),
      { restart: "temporary" }
    )
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [spec] }))
    const blobs = Context.get(top.services, Blobs)
    const dead = yield* blobs.start({ blob: {} })
    yield* dead.tell.End()
    yield* dead.ended
    const weak = yield* Effect.gen(function* () {
      const blob = { large: new Array(1_000).fill(0) }
      const ref = yield* blobs.start({ blob })
      yield* blobs.terminate(ref)
      return new WeakRef<object>(blob)
    })
    assert.strictEqual(yield* stillAlive([weak]), 0)
    assert.strictEqual(yield* blobs.count, 0)
  })
)

it.effect("DYN-20 10,000 temporary children: the work per child does not grow with their number", () =>
  Effect.gen(function* () {
    const { units } = yield* started({ restart: "temporary" })
    const refs: Array<ActorRef.ActorRef<Unit>> = []
    for (let i = 0; i < 10_000; i++) refs.push(yield* units.start(`${i}`))
    assert.strictEqual(yield* units.count, 10_000)
    for (const ref of refs) yield* units.terminate(ref)
    assert.deepStrictEqual([yield* units.count, refs.every(({ status }) => status === "stopped")], [0, true])
  })
)

it.effect("DYN-22 restarting children occupy a place", () =>
  Effect.gen(function* () {
    const { gate, init } = gated()
    const { units } = yield* started({ backoff, maxChildren: 1 }, () => ({ init }))
    const a = yield* units.at("a")
    gate.closed = true
    yield* a.tell.Fail()
    yield* TestClock.adjust("3 seconds")
    for (const start of [units.at("b"), units.start("b")]) {
      const error = yield* Effect.flip(start)
      assert.strictEqual(error._tag, "MaxChildrenReached")
      assert.strictEqual(error.message, "top/test/Units has 1 children and may have no more")
    }
    gate.closed = false
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual([yield* a.ask.Says(), (yield* Effect.flip(units.at("b")))._tag], ["a", "MaxChildrenReached"])
  }).pipe(quiet)
)

it.effect("DYN-23 a place becomes free when a child ends, and when it is stopped", () =>
  Effect.gen(function* () {
    const { units } = yield* started({ maxChildren: 1, restart: "temporary" })
    const a = yield* units.at("a")
    yield* a.tell.End()
    yield* settled
    const b = yield* units.at("b")
    yield* units.terminate(b)
    assert.strictEqual(yield* (yield* units.at("c")).ask.Says(), "c")
  })
)

it.effect("DYN-25 a restart that fails once is tried again: two units of the budget", () =>
  Effect.gen(function* () {
    let starts = 0
    const init = Effect.suspend(() => (++starts === 2 ? Effect.fail(new Broken({ code: 2 })) : Effect.void))
    const { handle, units } = yield* started({ intensity: { restarts: 2, within: "5 seconds" } }, () => ({ init }))
    const a = yield* units.at("a")
    yield* a.tell.Fail()
    assert.strictEqual(yield* a.ask.Says(), "a")
    assert.deepStrictEqual([starts, (yield* handle.count).active, (yield* handle.budget).used], [3, 1, 2])
  }).pipe(quiet)
)

it.effect("DYN-26 ids are made, so that none can clash: the same arguments twice are two children", () =>
  Effect.gen(function* () {
    const { units } = yield* started()
    const a = yield* units.start("same")
    const b = yield* units.start("same")
    assert.deepStrictEqual([a === b, a.path === b.path, yield* units.count], [false, false, 2])
    // @ts-expect-error a child of a dynamic supervisor has no id of its own
    yield* units.startChild(Unit.behavior(unit("c")), { id: "c" })
    assert.deepStrictEqual(
      (yield* units.children).map(({ id }) => id),
      ["test/Unit#1", "test/Unit#2", "test/Unit#3"]
    )
  })
)

it.effect("children by key: found again, stopped, started anew", () =>
  Effect.gen(function* () {
    const { units } = yield* started()
    const a = yield* units.at("a")
    assert.strictEqual(yield* units.at("a"), a)
    assert.deepStrictEqual([yield* units.get("a"), yield* units.get("b")], [Option.some(a), Option.none()])
    yield* units.stop("a")
    yield* units.stop("a")
    assert.deepStrictEqual(yield* units.get("a"), Option.none())
    assert.notStrictEqual(yield* units.at("a"), a)
  })
)

it.effect("a bad option of one child is refused when it is started", () =>
  Effect.gen(function* () {
    const { units } = yield* started()
    const error = yield* Effect.flip(units.startChild(Child.behavior(Effect.die("never run")), { shutdown: -1 }))
    assert.strictEqual(error._tag, "StartFailed")
    assert.include(error.message, "shutdown must be a duration of 0 or more")
    assert.strictEqual(yield* units.count, 0)
  })
)

for (const maxChildren of [0, -1, 1.5, Number.NaN]) {
  it.effect(`room for ${maxChildren} children is refused`, () =>
    Effect.gen(function* () {
      const spec = Units.child(
        Unit.behavior((name: string) => unit(name)),
        { maxChildren }
      )
      const error = yield* Effect.flip(Supervisor.validate(Supervisor.make("top", { children: [spec] })))
      const says = `top/test/Units: maxChildren must be a whole number of 1 or more, got ${maxChildren}`
      assert.strictEqual(error.message, says)
    })
  )
}

it.effect("a bad option of the template is refused before anything starts", () =>
  Effect.gen(function* () {
    const spec = Units.child(
      Unit.behavior((name: string) => unit(name)),
      { shutdown: -1 }
    )
    const error = yield* Effect.flip(Supervisor.validate(Supervisor.make("top", { children: [spec] })))
    assert.strictEqual(error.message, 'top/test/Units/*: shutdown must be a duration of 0 or more, or "kill", got -1')
  })
)
