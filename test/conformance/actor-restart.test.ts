/** ACTOR: what a restart keeps, and what it ends. */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Ref, Schema } from "effect"
import { Actor, ActorContext, ActorSystem, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, Child, quiet, Recording } from "../support/recording.ts"

class Keeper extends Actor.Service<Keeper>()("test/Keeper", {
  Put: { payload: { n: Schema.Int }, success: Schema.Array(Schema.Int) },
  Bad: { success: Schema.Int }
}) {}

const keeper = (onRestart: "keep" | "discard" = "keep") => {
  const handled: Array<string> = []
  const behavior = Keeper.behavior(
    Effect.gen(function* () {
      const incarnation = yield* ActorContext.incarnation
      return Keeper.of({
        Put: ({ n }) => {
          handled.push(`${incarnation}: ${n}`)
          return [n]
        },
        Bad: () => Effect.fail(new Broken({ code: 0 }))
      })
    }),
    { mailbox: { onRestart } }
  )
  return { handled, behavior }
}

const startKeeper = (onRestart?: "keep" | "discard") =>
  Effect.gen(function* () {
    const { behavior, handled } = keeper(onRestart)
    const intensity = { restarts: 10, within: "1 minute" } as const
    const top = yield* Supervisor.start(Supervisor.make("top", { intensity, children: [behavior] }))
    return { handled, top, ref: yield* Effect.provideContext(Keeper, top.services) }
  })

it.effect("ACTOR-05 queued messages survive a restart, the failed one is not retried", () =>
  Effect.gen(function* () {
    const { handled, ref } = yield* startKeeper()
    ref.tellUnsafe.Bad()
    ref.tellUnsafe.Put({ n: 0 })
    ref.tellUnsafe.Put({ n: 1 })
    yield* ref.ask.Put({ n: 2 })
    assert.deepStrictEqual(handled, ["2: 0", "2: 1", "2: 2"])
  }).pipe(quiet)
)

it.effect("ACTOR-05 with `discard` the queue is lost as in OTP, as dead letters", () =>
  Effect.gen(function* () {
    const { handled, ref } = yield* startKeeper("discard")
    ref.tellUnsafe.Bad()
    ref.tellUnsafe.Put({ n: 0 })
    const waiting = yield* Effect.forkChild(Effect.flip(ref.ask.Put({ n: 1 })), { startImmediately: true })
    assert.strictEqual((yield* Fiber.join(waiting)).reason._tag, "Restarting")
    yield* ref.ask.Put({ n: 2 })
    assert.deepStrictEqual(handled, ["2: 2"])
    const [letter] = yield* ActorSystem.deadLetters
    assert.deepStrictEqual([letter!.payload, letter!.reason._tag], [{ n: 0 }, "Restarted"])
  }).pipe(quiet)
)

it.effect("ACTOR-07 asks queued behind a crash are answered by the next incarnation", () =>
  Effect.gen(function* () {
    const { handled, ref } = yield* startKeeper()
    const bad = yield* Effect.forkChild(Effect.flip(ref.ask.Bad()), { startImmediately: true })
    const ask = yield* Effect.forkChild(ref.ask.Put({ n: 99 }), { startImmediately: true })
    yield* ref.tell.Put({ n: 0 })
    assert.strictEqual((yield* Fiber.join(bad)).reason._tag, "HandlerFailed")
    assert.deepStrictEqual(yield* Fiber.join(ask), [99])
    yield* ref.ask.Put({ n: 1 })
    assert.deepStrictEqual(handled, ["2: 99", "2: 0", "2: 1"])
  }).pipe(quiet)
)

it.effect("ACTOR-19 the restart hook sees the old state; the stop hook runs at the end only", () =>
  Effect.gen(function* () {
    const hooks: Array<unknown> = []
    const behavior = Keeper.behavior(
      Effect.gen(function* () {
        const state = yield* Ref.make(0)
        yield* ActorContext.onRestart((cause) =>
          Effect.map(Ref.get(state), (n) => hooks.push(["restart", n, Cause.squash(cause)]))
        )
        yield* ActorContext.onStop((reason) => Effect.map(Ref.get(state), (n) => hooks.push(["stop", n, reason._tag])))
        return Keeper.of({
          Put: ({ n }) => Effect.as(Ref.set(state, n), [n]),
          Bad: () => Effect.fail(new Broken({ code: 7 }))
        })
      })
    )
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [behavior] }))
    const ref = yield* Effect.provideContext(Keeper, top.services)
    yield* ref.ask.Put({ n: 1 })
    yield* ref.tell.Bad()
    yield* ref.ask.Put({ n: 2 })
    yield* top.stop
    assert.deepStrictEqual(hooks, [
      ["restart", 1, new Broken({ code: 7 })],
      ["stop", 2, "Shutdown"]
    ])
  }).pipe(quiet)
)

class Parent extends Actor.Service<Parent>()("test/Parent", {
  Crash: {},
  Children: { success: Schema.Int }
}) {}

it.effect("ACTOR-20 children of an actor stop before it restarts", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const slow = Effect.sleep("1 second")
    const behavior = Parent.behavior(
      Effect.gen(function* () {
        const incarnation = yield* ActorContext.incarnation
        r.write(`parent ${incarnation}`)
        if (incarnation === 1) {
          yield* Actor.spawn(r.behavior("x", Effect.void, slow))
          yield* Actor.spawn(r.behavior("y", Effect.void, slow))
        }
        return Parent.of({ Crash: () => Effect.die("boom"), Children: () => incarnation })
      })
    )
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [behavior] }))
    const parent = yield* Effect.provideContext(Parent, top.services)
    yield* parent.tell.Crash()
    const query = yield* Effect.forkChild(parent.ask.Children(), { startImmediately: true })
    yield* TestClock.adjust("1999 millis")
    assert.strictEqual(query.pollUnsafe(), undefined)
    yield* TestClock.adjust("1 milli")
    assert.strictEqual(yield* Fiber.join(query), 2)
    assert.deepStrictEqual(r.log, ["parent 1", "x started", "y started", "y stopped", "x stopped", "parent 2"])
  }).pipe(quiet)
)

it.effect("ACTOR-22 children started by a failing init are stopped", () =>
  Effect.gen(function* () {
    const r = new Recording()
    let starts = 0
    const behavior = Parent.behavior(
      Effect.gen(function* () {
        starts++
        yield* Actor.spawn(r.behavior("child1"))
        if (starts === 2) return yield* new Broken({ code: 1 })
        return Parent.of({ Crash: () => Effect.die("boom"), Children: () => starts })
      })
    )
    const intensity = { restarts: 5, within: "1 minute" } as const
    const top = yield* Supervisor.start(Supervisor.make("top", { intensity, children: [behavior] }))
    const parent = yield* Effect.provideContext(Parent, top.services)
    yield* parent.tell.Crash()
    assert.strictEqual(yield* parent.ask.Children(), 3)
    assert.deepStrictEqual(r.log, [
      "child1 started",
      "child1 stopped",
      "child1 started",
      "child1 stopped",
      "child1 started"
    ])
  }).pipe(quiet)
)

it.effect("ACTOR-23 resume keeps the state and drops the message", () =>
  Effect.gen(function* () {
    const r = new Recording()
    yield* r.start([r.child("a", { onFailure: () => "resume" })])
    const a = r.ref("a")
    yield* a.ask.Add({ n: 1 })
    yield* a.tell.Fail({ code: 1 })
    assert.strictEqual(yield* a.ask.Add({ n: 1 }), 2)
    assert.strictEqual(yield* a.ask.Ping(), 1)
  }).pipe(quiet)
)

it.effect("ACTOR-31 a child can be started again at its place after its end, and watched anew", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("n", { restart: "temporary" })])
    const first = r.ref("n")
    yield* first.tell.End()
    assert.strictEqual((yield* first.ended)._tag, "Normal")
    yield* top.startChild(r.child("n", { restart: "temporary" }))
    const second = r.ref("n")
    assert.notStrictEqual(second, first)
    assert.strictEqual(yield* second.ask.Ping(), 1)
    yield* second.tell.Throw()
    assert.strictEqual((yield* second.ended)._tag, "Failed")
    assert.strictEqual((yield* first.ended)._tag, "Normal")
  }).pipe(quiet)
)

it.effect("rest-for-one: a dependent in the middle of an ask to the crashed one does not hold the restart up", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const slow = Child.behavior(
      Effect.gen(function* () {
        const a = yield* Parent
        return Child.of({
          Ping: () => Effect.orDie(a.ask.Children()),
          Add: ({ n }) => n,
          Fail: () => {},
          Throw: () => {},
          End: () => {},
          Shutdown: () => {},
          Wait: () => {}
        })
      })
    )
    const parent = Parent.behavior(
      Effect.gen(function* () {
        r.write("parent started")
        const incarnation = yield* ActorContext.incarnation
        return Parent.of({ Crash: () => Effect.die("boom"), Children: () => incarnation })
      })
    )
    const top = yield* Supervisor.start(Supervisor.make("top", { strategy: "rest-for-one", children: [parent, slow] }))
    const ref = yield* Effect.provideContext(Parent, top.services)
    const dependent = yield* Effect.provideContext(Child, top.services)
    ref.tellUnsafe.Crash()
    const failed = yield* Effect.flip(dependent.ask.Ping())
    assert.strictEqual(failed.reason._tag, "HandlerFailed")
    // No time has passed: nobody waited for a limit.
    yield* r.lines(2)
    assert.strictEqual(yield* dependent.ask.Ping(), 2)
    assert.strictEqual(yield* Effect.clockWith((clock) => clock.currentTimeMillis), 0)
  }).pipe(quiet)
)
