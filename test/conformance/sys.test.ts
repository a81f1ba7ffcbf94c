/** SYS: looking into actors at run time and changing them. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Data, Deferred, Effect, Exit, Fiber, Ref, Schema, SchemaTransformation, Stream } from "effect"
import { Actor, Control, Supervisor } from "effect-otp"
import { quiet } from "../support/recording.ts"

class Broken extends Data.TaggedError("Broken") {}

class Tally extends Actor.Service<Tally>()("test/sys/Tally", {
  Add: { payload: { n: Schema.Int }, success: Schema.Int },
  Get: { success: Schema.Unknown },
  Wait: { success: Schema.Int },
  Crash: {}
}) {}

const tally = () => {
  const log: Array<string> = []
  const gate = Deferred.makeUnsafe<void>()
  const behavior = Tally.behavior(
    Effect.gen(function* () {
      const sum = yield* Actor.state(0)
      const secret = yield* Actor.state("password", { name: "secret", redact: () => "***" })
      yield* Effect.addFinalizer(() => Effect.sync(() => void log.push("released")))
      return Tally.of({
        Add: ({ n }) => Ref.updateAndGet(sum, (all) => all + n),
        Get: () => Effect.all([Ref.get(sum), Ref.get(secret)]),
        Wait: () => Effect.andThen(Deferred.await(gate), Ref.get(sum)),
        Crash: () => Effect.fail(new Broken())
      })
    })
  )
  return { behavior, gate, log }
}

const settle = Effect.andThen(Effect.yieldNow, Effect.yieldNow)

describe("SYS-02 state is seen and replaced", () => {
  it.effect("SYS-02 by a function; by one that fails, throws or gives nonsense it stays as it was", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      yield* ref.ask.Add({ n: 1 })
      assert.strictEqual(yield* Control.replaceState(ref, Schema.Int, (n) => n + 41), 42)
      assert.strictEqual(yield* Control.getState(ref, Schema.Int), 42)
      assert.deepStrictEqual(
        yield* Effect.flip(Control.replaceState(ref, Schema.Int, () => Effect.fail(new Broken()))),
        new Broken()
      )
      const thrown = yield* Effect.exit(
        Control.replaceState(ref, Schema.Int, () => {
          throw new Error("no")
        })
      )
      assert.strictEqual(Exit.isFailure(thrown) && (Cause.squash(thrown.cause) as Error).message, "no")
      const nonsense = yield* Effect.flip(Control.replaceState(ref, Schema.Int, (n) => n + 0.5))
      assert.strictEqual(nonsense._tag, "StateMismatch")
      assert.strictEqual(yield* ref.ask.Add({ n: 0 }), 42)
    })
  )

  it.effect("SYS-02 between two messages, never in the middle of one", () =>
    Effect.gen(function* () {
      const { behavior, gate } = tally()
      const ref = yield* Actor.spawn(behavior)
      const waiting = yield* Effect.forkChild(ref.ask.Wait(), { startImmediately: true })
      const replacing = yield* Effect.forkChild(
        Control.replaceState(ref, Schema.Int, () => 7),
        { startImmediately: true }
      )
      yield* settle
      assert.strictEqual(yield* Control.getState(ref, Schema.Int), 0)
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual([yield* Fiber.join(waiting), yield* Fiber.join(replacing)], [0, 7])
      assert.strictEqual(ref.status, "running")
    })
  )

  it.effect("several at once go one after the other; a suspended actor stays suspended", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      const add = Control.replaceState(ref, Schema.Int, (n) => Effect.as(Effect.yieldNow, n + 1))
      yield* Effect.all([add, add, add], { concurrency: "unbounded" })
      yield* Actor.suspend(ref)
      yield* ref.tell.Add({ n: 10 })
      yield* add
      assert.deepStrictEqual([yield* Control.getState(ref, Schema.Int), ref.status, ref.size], [4, "suspended", 1])
      yield* Actor.resume(ref)
      assert.strictEqual(yield* ref.ask.Add({ n: 0 }), 14)
    })
  )

  it.effect("says what is missing: no such state, another type, no actor", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      const none = yield* Effect.flip(Control.getState(ref, Schema.Int, { name: "other" }))
      assert.match(none.message, /keeps no state "other"; it keeps state, secret/)
      assert.strictEqual((yield* Effect.flip(Control.getState(ref, Schema.String)))._tag, "StateMismatch")
      assert.strictEqual(yield* Control.getState(ref, Schema.String, { name: "secret" }), "password")
      yield* Actor.stop(ref)
      assert.strictEqual((yield* Effect.flip(Control.getState(ref, Schema.Int)))._tag, "ActorNotRunning")
      assert.strictEqual((yield* Effect.flip(Control.replaceState(ref, Schema.Int, (n) => n)))._tag, "ActorNotRunning")
    })
  )

  it.effect("the state that is seen is that of the present incarnation", () =>
    Effect.gen(function* () {
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [tally().behavior] }))
      const ref = yield* Effect.provide(Tally, top.services)
      yield* ref.ask.Add({ n: 5 })
      yield* ref.tell.Crash()
      yield* ref.ask.Add({ n: 1 })
      assert.strictEqual(yield* Control.getState(ref, Schema.Int), 1)
    }).pipe(quiet)
  )
})

describe("SYS-05 statistics", () => {
  it.effect("SYS-05 on: one in, one out; off: nothing is counted, the handlers are as they were", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      yield* ref.ask.Add({ n: 1 })
      const counted = yield* Effect.scoped(
        Effect.gen(function* () {
          const statistics = yield* Control.statistics(ref)
          yield* ref.ask.Add({ n: 1 })
          yield* ref.tell.Add({ n: 1 })
          yield* settle
          assert.deepInclude(yield* statistics, { received: 2, replied: 1, failed: 0, messages: { Add: 2 } })
          return statistics
        })
      )
      yield* ref.ask.Add({ n: 1 })
      assert.deepInclude(yield* counted, { received: 2, replied: 1 })
    })
  )

  it.effect("they go on across a restart, and count what failed", () =>
    Effect.gen(function* () {
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [tally().behavior] }))
      const ref = yield* Effect.provide(Tally, top.services)
      const statistics = yield* Control.statistics(ref)
      yield* Effect.flip(ref.ask.Crash())
      yield* ref.ask.Add({ n: 1 })
      assert.deepInclude(yield* statistics, { received: 2, replied: 1, failed: 1 })
    }).pipe(quiet)
  )
})

describe("SYS-06 trace", () => {
  const traced = (ref: Parameters<typeof Control.trace>[0], options: { readonly subtree?: boolean } = {}) =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(Control.trace(ref, options), (event) =>
          Effect.sync(() => {
            const path = event._tag === "DeadLetter" ? event.recipient : event.path
            events.push([event._tag, path.split("/").at(-1), "tag" in event ? event.tag : ""].join(" ").trim())
          })
        ),
        { startImmediately: true }
      )
      yield* settle
      return { events, stop: Fiber.interrupt(fiber) }
    })

  it.effect("SYS-06 on: two events of one ask, got and replied; off: none", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      const { events, stop } = yield* traced(ref)
      yield* ref.ask.Add({ n: 1 })
      yield* settle
      const name = ref.path.split("/").at(-1)!
      assert.deepStrictEqual(events, [`Received ${name} Add`, `Replied ${name} Add`])
      yield* stop
      yield* ref.ask.Add({ n: 1 })
      yield* settle
      assert.strictEqual(events.length, 2)
    })
  )

  it.effect("SYS-06 a subtree: children that are there and those that come, crashes and restarts", () =>
    Effect.gen(function* () {
      const { behavior } = tally()
      const child = (id: string) => Supervisor.child(behavior, { id })
      const top = yield* Supervisor.start(
        Supervisor.make("top", { children: [Supervisor.make("inner", { children: [child("a")] }), child("b")] })
      )
      const inner = yield* top.supervisor("inner")
      const b = yield* Effect.provide(Tally, top.services)
      const { events } = yield* traced(inner, { subtree: true })
      yield* b.ask.Add({ n: 1 })
      const later = yield* inner.startChild(child("c"))
      const c = Context.get(later, Tally)
      yield* c.ask.Add({ n: 1 })
      yield* c.tell.Crash()
      yield* c.ask.Add({ n: 1 })
      yield* settle
      assert.deepStrictEqual(events, [
        "ActorStarted c",
        "Received c Add",
        "Replied c Add",
        "Received c Crash",
        "ActorFailed c",
        "ActorExited c",
        "ChildRestarting c",
        "ActorStarted c",
        "ChildRestarted c",
        "Received c Add",
        "Replied c Add"
      ])
    }).pipe(quiet)
  )

  it.effect("what an actor has spawned for itself is below it", () =>
    Effect.gen(function* () {
      class Boss extends Actor.Service<Boss>()("test/sys/Boss", { Delegate: { success: Schema.Int } }) {}
      const boss = yield* Actor.spawn(
        Boss.behavior(
          Effect.gen(function* () {
            const clerk = yield* Actor.spawn(tally().behavior)
            return Boss.of({ Delegate: () => Effect.orDie(clerk.ask.Add({ n: 1 })) })
          })
        )
      )
      const { events } = yield* traced(boss, { subtree: true })
      yield* boss.ask.Delegate()
      yield* settle
      assert.deepStrictEqual(
        events.map((line) => line.replace(/#\d+/, "")),
        ["Received Boss Delegate", "Received Tally Add", "Replied Tally Add", "Replied Boss Delegate"]
      )
    })
  )
})

describe("SYS-08 status", () => {
  it.effect(
    "SYS-08 of an actor: kind, parent, running or suspended, state as far as it is shown, queue, restarts",
    () =>
      Effect.gen(function* () {
        const top = yield* Supervisor.start(Supervisor.make("top", { children: [tally().behavior] }))
        const ref = yield* Effect.provide(Tally, top.services)
        yield* ref.tell.Crash()
        yield* ref.ask.Add({ n: 3 })
        yield* Actor.suspend(ref)
        yield* ref.tell.Add({ n: 1 })
        assert.deepStrictEqual(yield* Control.status(ref), {
          path: "top/test/sys/Tally",
          parent: "top",
          kind: "actor",
          status: "suspended",
          incarnation: 2,
          restarts: 1,
          queued: 1,
          postponed: [],
          states: { state: 3, secret: "***" }
        })
        assert.deepInclude(yield* Control.status(top), {
          kind: "supervisor",
          parent: "",
          status: "running",
          states: {}
        })
      }).pipe(quiet)
  )
})

describe("another behavior at run time", () => {
  const texts = (log: Array<string> = []) =>
    Tally.behavior(
      Effect.gen(function* () {
        const all = yield* Actor.state<ReadonlyArray<string>>(["fresh"])
        log.push("new began")
        return Tally.of({
          Add: ({ n }) =>
            Effect.map(
              Ref.updateAndGet(all, (texts) => [...texts, `${n}`]),
              (texts) => texts.length
            ),
          Get: () => Ref.get(all),
          Wait: () => 0,
          Crash: () => Effect.fail(new Broken())
        })
      })
    )
  const ToTexts = Schema.Int.pipe(
    Schema.decodeTo(
      Schema.Array(Schema.String),
      SchemaTransformation.transform({
        decode: (n: number): ReadonlyArray<string> => [`${n}`],
        encode: (all) => all.length
      })
    )
  )

  it.effect("the old one is released, the state migrated, the mailbox kept, nothing counted as a restart", () =>
    Effect.gen(function* () {
      const { behavior, log } = tally()
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [behavior] }))
      const ref = yield* Effect.provide(Tally, top.services)
      yield* ref.ask.Add({ n: 5 })
      yield* Actor.suspend(ref)
      yield* ref.tell.Add({ n: 6 })
      yield* Control.replaceBehavior(ref, texts(log), { migrate: ToTexts })
      assert.deepStrictEqual([ref.status, ref.size, log], ["suspended", 1, ["released", "new began"]])
      yield* Actor.resume(ref)
      assert.deepStrictEqual(yield* ref.ask.Get(), ["5", "6"])
      const [child] = yield* top.children
      assert.deepInclude(child, { state: "running", restarts: 0, incarnation: 2 })
      yield* ref.tell.Crash()
      assert.deepStrictEqual(yield* ref.ask.Get(), ["fresh"])
    }).pipe(quiet)
  )

  it.effect("without a migration state goes over by name; discarded, it begins anew", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      yield* ref.ask.Add({ n: 5 })
      yield* Control.replaceBehavior(ref, tally().behavior)
      assert.strictEqual(yield* ref.ask.Add({ n: 1 }), 6)
      yield* Control.replaceBehavior(ref, texts(), { migrate: "discard" })
      assert.deepStrictEqual(yield* ref.ask.Get(), ["fresh"])
    })
  )

  it.effect("a migration that fails changes nothing; a behavior that does not come up is rolled back", () =>
    Effect.gen(function* () {
      const { behavior, log } = tally()
      const ref = yield* Actor.spawn(behavior)
      yield* ref.ask.Add({ n: 5 })
      const Positive = Schema.String.pipe(
        Schema.decodeTo(Schema.String, SchemaTransformation.transform({ decode: (s: string) => s, encode: (s) => s }))
      )
      const refused = yield* Effect.flip(Control.replaceBehavior(ref, texts(), { migrate: Positive as never }))
      assert.deepStrictEqual([refused._tag, log], ["StateMismatch", []])
      const failing = Tally.behavior(Effect.fail(new Broken()) as Effect.Effect<never, Broken>)
      const error = yield* Effect.flip(Control.replaceBehavior(ref, failing))
      assert.strictEqual(error._tag === "NotReplaced" && error.rolledBack, true)
      assert.match(error.message, /did not come up, the old one runs on/)
      assert.strictEqual(yield* ref.ask.Add({ n: 1 }), 6)
      assert.strictEqual(ref.status, "running")
    })
  )

  it.effect("services that the new one needs are those of whoever replaces", () =>
    Effect.gen(function* () {
      class Greeting extends Context.Service<Greeting, string>()("test/sys/Greeting") {}
      const greeting = Tally.behavior(
        Effect.succeed(
          Tally.of({
            Add: () => 0,
            Get: () => Effect.map(Greeting, (text) => `${text}!`),
            Wait: () => 0,
            Crash: () => {}
          })
        )
      )
      const ref = yield* Actor.spawn(tally().behavior)
      yield* Effect.provideService(Control.replaceBehavior(ref, greeting), Greeting, "hello")
      assert.strictEqual(yield* ref.ask.Get(), "hello!")
      // Not those of whoever has replaced before.
      yield* Effect.provideService(Control.replaceBehavior(ref, greeting), Greeting, "bye")
      assert.strictEqual(yield* ref.ask.Get(), "bye!")
    })
  )

  it.effect("told to stop while the new one comes up, it stops, and whoever replaces is told", () =>
    Effect.gen(function* () {
      const { behavior } = tally()
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [behavior] }))
      const ref = yield* Effect.provide(Tally, top.services)
      const never = Tally.behavior(Effect.never as Effect.Effect<never>)
      const replacing = yield* Effect.forkChild(Effect.flip(Control.replaceBehavior(ref, never)), {
        startImmediately: true
      })
      yield* settle
      assert.strictEqual(ref.status, "starting")
      yield* top.stop
      const error = yield* Fiber.join(replacing)
      assert.deepStrictEqual([error._tag, ref.status], ["NotReplaced", "stopped"])
    })
  )

  it.effect("told to stop while the old one is released, the new one never begins", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const log: Array<string> = []
      const slow = Tally.behavior(
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Deferred.await(gate))
          return Tally.of({ Add: () => 0, Get: () => 0, Wait: () => 0, Crash: () => {} })
        })
      )
      const ref = yield* Actor.spawn(slow)
      const replacing = yield* Effect.forkChild(Effect.flip(Control.replaceBehavior(ref, texts(log))), {
        startImmediately: true
      })
      yield* settle
      const stopping = yield* Effect.forkChild(Actor.stop(ref), { startImmediately: true })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(stopping)
      assert.strictEqual((yield* Fiber.join(replacing))._tag, "NotReplaced")
      assert.deepStrictEqual([ref.status, log], ["stopped", []])
    })
  )
})
