/** Changing running actors while others suspend, resume, stop and restart them (SYS). */
import { assert, describe, it } from "@effect/vitest"
import { Context, Data, Deferred, Effect, Exit, Fiber, Option, Ref, Schedule, Schema, Stream, Tracer } from "effect"
import { Actor, Control, DynamicSupervisor, Supervisor } from "effect-otp"
import { quiet } from "../support/recording.ts"

class Broken extends Data.TaggedError("Broken") {}

class Tally extends Actor.Service<Tally>()("test/control/Tally", {
  Add: { payload: { n: Schema.Int }, success: Schema.Int },
  Batch: { payload: { n: Schema.Int }, success: Schema.Int },
  Wait: {},
  Fix: { success: Schema.Int },
  Crash: {}
}) {}

const tally = (init: Effect.Effect<unknown, Broken> = Effect.void, released: Effect.Effect<unknown> = Effect.void) => {
  const gate = Deferred.makeUnsafe<void>()
  const done: Array<number> = []
  const behavior = Tally.behavior(
    Effect.gen(function* () {
      yield* init
      yield* Effect.addFinalizer(() => released)
      const sum = yield* Actor.state(0)
      const self = yield* Tally.self
      return Tally.of({
        Add: ({ n }) => (done.push(n), Ref.updateAndGet(sum, (all) => all + n)),
        Batch: Actor.batched({ maxSize: 8, run: (batch) => Effect.succeed(batch.map(({ n }) => n)) }),
        Wait: () => Deferred.await(gate),
        Fix: () => Control.replaceState(self, Schema.Int, (n) => n + 100).pipe(Effect.orDie),
        Crash: () => Effect.fail(new Broken())
      })
    })
  )
  return { behavior, gate, done }
}

const settle = Effect.andThen(Effect.yieldNow, Effect.yieldNow)
const background = Effect.forkChild({ startImmediately: true })

describe("SYS-03 suspended by some, held by others", () => {
  /** A change that waits for `gate`. */
  const slowly = (gate: Deferred.Deferred<void>) => (n: number) => Effect.as(Deferred.await(gate), n + 1)

  it.effect("SYS-03 suspended while its state is replaced, it stays suspended", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      const gate = yield* Deferred.make<void>()
      const replacing = yield* background(Control.replaceState(ref, Schema.Int, slowly(gate)))
      yield* settle
      yield* Actor.suspend(ref)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(replacing)
      yield* ref.tell.Add({ n: 10 })
      yield* settle
      assert.deepStrictEqual([ref.status, ref.size, yield* Control.getState(ref, Schema.Int)], ["suspended", 1, 1])
      yield* Actor.resume(ref)
      assert.strictEqual(yield* ref.ask.Add({ n: 0 }), 11)
    })
  )

  it.effect("SYS-03 resumed while its state is replaced, it takes no message before that is done", () =>
    Effect.gen(function* () {
      const { behavior, done } = tally()
      const ref = yield* Actor.spawn(behavior)
      yield* Actor.suspend(ref)
      const gate = yield* Deferred.make<void>()
      const replacing = yield* background(Control.replaceState(ref, Schema.Int, slowly(gate)))
      yield* settle
      yield* ref.tell.Add({ n: 10 })
      yield* Actor.resume(ref)
      yield* settle
      assert.deepStrictEqual(done, [])
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(replacing), 1)
      assert.strictEqual(yield* ref.ask.Add({ n: 0 }), 11)
    })
  )

  it.effect("SYS-03 held to be changed it is not shown as suspended", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      const gate = yield* Deferred.make<void>()
      const replacing = yield* background(Control.replaceState(ref, Schema.Int, slowly(gate)))
      yield* settle
      assert.strictEqual(ref.status, "running")
      yield* Fiber.interrupt(replacing)
      assert.strictEqual(yield* ref.ask.Add({ n: 1 }), 1)
    })
  )

  it.effect("interrupted while it waits for the handler at hand, a change or a suspension leaves nothing behind", () =>
    Effect.gen(function* () {
      const { behavior, gate } = tally()
      const ref = yield* Actor.spawn(behavior)
      yield* ref.tell.Wait()
      yield* settle
      const replacing = yield* background(Control.replaceState(ref, Schema.Int, () => 7))
      yield* Fiber.interrupt(replacing)
      const suspending = yield* background(Actor.suspend(ref))
      yield* Fiber.interrupt(suspending)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* ref.ask.Add({ n: 1 }), 1)
    })
  )

  it.effect("SYS-03 resuming does not let a change begin in the middle of a message", () =>
    Effect.gen(function* () {
      const { behavior, gate } = tally()
      const ref = yield* Actor.spawn(behavior)
      yield* ref.tell.Wait()
      yield* settle
      const replacing = yield* background(Control.replaceState(ref, Schema.Int, () => 7))
      const suspending = yield* background(Actor.suspend(ref))
      yield* settle
      yield* Actor.resume(ref)
      yield* Fiber.join(suspending)
      yield* settle
      assert.strictEqual(yield* Control.getState(ref, Schema.Int), 0)
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual([yield* Fiber.join(replacing), yield* ref.ask.Add({ n: 1 })], [7, 8])
    })
  )

  it.effect("one of two who suspend goes away: it is suspended for the other", () =>
    Effect.gen(function* () {
      const { behavior, gate } = tally()
      const ref = yield* Actor.spawn(behavior)
      yield* ref.tell.Wait()
      yield* settle
      const [first, second] = [yield* background(Actor.suspend(ref)), yield* background(Actor.suspend(ref))]
      yield* settle
      yield* Fiber.interrupt(first)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(second)
      assert.strictEqual(ref.status, "suspended")
    })
  )

  it.effect("SYS-03 who suspends an actor that never comes back is not left waiting", () =>
    Effect.gen(function* () {
      const { behavior } = tally()
      const top = yield* Supervisor.start(
        Supervisor.make("top", {
          children: [Supervisor.child(behavior, { id: "a", backoff: Schedule.spaced("1 minute") })]
        })
      )
      const ref = yield* Effect.provide(Tally, top.services)
      yield* ref.tell.Crash()
      yield* settle
      assert.strictEqual(ref.status, "restarting")
      const suspending = yield* background(Actor.suspend(ref))
      yield* top.terminateChild("a")
      yield* Fiber.join(suspending)
      assert.strictEqual(ref.status, "stopped")
    }).pipe(quiet)
  )

  it.effect("SYS-03 an actor that has ended: suspending and resuming do nothing", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      yield* Actor.resume(ref)
      assert.strictEqual(ref.status, "running")
      yield* Actor.stop(ref)
      yield* Actor.suspend(ref)
      yield* Actor.resume(ref)
      assert.strictEqual(ref.status, "stopped")
    })
  )

  it.effect("SYS-02 a handler may replace its own actor's state", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      assert.strictEqual(yield* ref.ask.Fix(), 100)
      assert.strictEqual(yield* ref.ask.Add({ n: 1 }), 101)
    })
  )

  it.effect("SYS-02 restarted while its state is replaced: whoever replaces is told that nothing was", () =>
    Effect.gen(function* () {
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [tally().behavior] }))
      const ref = yield* Effect.provide(Tally, top.services)
      const gate = yield* Deferred.make<void>()
      const replacing = yield* background(Effect.flip(Control.replaceState(ref, Schema.Int, slowly(gate))))
      yield* settle
      yield* Actor.kill(ref)
      assert.strictEqual(yield* ref.ask.Add({ n: 5 }), 5)
      yield* Actor.suspend(ref)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(replacing))._tag, "ActorNotRunning")
      assert.deepStrictEqual([ref.status, yield* Control.getState(ref, Schema.Int)], ["suspended", 5])
    })
  )
})

describe("another behavior, and suspension", () => {
  it.effect("suspended, it stays so where the new one does not come up", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      yield* Actor.suspend(ref)
      yield* ref.tell.Add({ n: 1 })
      const failing = tally(Effect.fail(new Broken())).behavior
      assert.strictEqual((yield* Effect.flip(Control.replaceBehavior(ref, failing)))._tag, "NotReplaced")
      yield* settle
      assert.deepStrictEqual([ref.status, ref.size], ["suspended", 1])
      yield* Actor.resume(ref)
      assert.strictEqual(yield* ref.ask.Add({ n: 0 }), 1)
    })
  )

  it.effect("where the old one does not come up either its supervisor restarts it, and it begins afresh", () =>
    Effect.gen(function* () {
      let starts = 0
      const { behavior } = tally(Effect.suspend(() => (++starts === 2 ? Effect.fail(new Broken()) : Effect.void)))
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [behavior] }))
      const ref = yield* Effect.provide(Tally, top.services)
      yield* Actor.suspend(ref)
      yield* ref.tell.Add({ n: 1 })
      const error = yield* Effect.flip(Control.replaceBehavior(ref, tally(Effect.fail(new Broken())).behavior))
      assert.strictEqual(error._tag === "NotReplaced" && error.rolledBack, false)
      assert.deepStrictEqual([yield* ref.ask.Add({ n: 0 }), starts], [1, 3])
    }).pipe(quiet)
  )

  it.effect("suspended or resumed while the one goes and the other comes, it is so afterwards", () =>
    Effect.gen(function* () {
      const released = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      const { behavior, done } = tally(Deferred.await(started))
      const ref = yield* Actor.spawn(tally(Effect.void, Deferred.await(released)).behavior)
      const replacing = yield* background(Control.replaceBehavior(ref, behavior))
      yield* settle
      yield* Actor.suspend(ref)
      yield* ref.tell.Add({ n: 1 })
      yield* Deferred.succeed(released, undefined)
      yield* settle
      yield* Deferred.succeed(started, undefined)
      yield* Fiber.join(replacing)
      yield* settle
      assert.deepStrictEqual([ref.status, ref.size, done], ["suspended", 1, []])
      const again = yield* background(Control.replaceBehavior(ref, tally(Effect.yieldNow).behavior))
      yield* Actor.resume(ref)
      yield* Fiber.join(again)
      assert.strictEqual(yield* ref.ask.Add({ n: 0 }), 1)
    })
  )
})

describe("another behavior that is given up", () => {
  it.effect("interrupted while the new one comes up, the old one runs on with its state", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      yield* ref.ask.Add({ n: 5 })
      const never = tally(Effect.never).behavior
      const replacing = yield* background(Control.replaceBehavior(ref, never))
      yield* settle
      assert.strictEqual(ref.status, "starting")
      yield* Fiber.interrupt(replacing)
      assert.strictEqual(ref.status, "running")
      assert.strictEqual(yield* ref.ask.Add({ n: 1 }), 6)
      // What is replaced later is not held up by it.
      yield* Control.replaceBehavior(ref, tally().behavior)
      assert.strictEqual(yield* ref.ask.Add({ n: 1 }), 7)
    })
  )

  it.effect("interrupted while the old one is released, the new one never begins", () =>
    Effect.gen(function* () {
      const released = yield* Deferred.make<void>()
      let began = false
      const ref = yield* Actor.spawn(tally(Effect.void, Deferred.await(released)).behavior)
      yield* ref.ask.Add({ n: 5 })
      const other = tally(Effect.sync(() => (began = true))).behavior
      const replacing = yield* background(Control.replaceBehavior(ref, other))
      yield* settle
      const giving = yield* background(Fiber.interrupt(replacing))
      yield* Deferred.succeed(released, undefined)
      yield* Fiber.join(giving)
      assert.deepStrictEqual([yield* ref.ask.Add({ n: 1 }), began], [6, false])
    })
  )

  it.effect("services that the new one was given are there after a restart too", () =>
    Effect.gen(function* () {
      class Greeting extends Context.Service<Greeting, string>()("test/control/Greeting") {}
      class Greeter extends Actor.Service<Greeter>()("test/control/Greeter", {
        Greet: { success: Schema.String },
        Crash: {}
      }) {}
      const Crash = () => Effect.fail(new Broken())
      const plain = Greeter.behavior(Effect.succeed(Greeter.of({ Greet: () => "plain", Crash })))
      const greeting = Greeter.behavior(Effect.map(Greeting, (text) => Greeter.of({ Greet: () => text, Crash })))
      const top = yield* Supervisor.start(
        Supervisor.make("top", { intensity: { restarts: 9, within: "1 minute" }, children: [plain] })
      )
      const ref = yield* Effect.provide(Greeter, top.services)
      yield* Effect.provideService(Control.replaceBehavior(ref, greeting), Greeting, "hello")
      assert.strictEqual(yield* ref.ask.Greet(), "hello")
      yield* ref.tell.Crash()
      assert.strictEqual(yield* ref.ask.Greet(), "hello")
      yield* Control.replaceBehavior(ref, plain)
      yield* ref.tell.Crash()
      assert.strictEqual(yield* ref.ask.Greet(), "plain")
    }).pipe(quiet)
  )

  it.effect("who replaces is no parent of what the actor does from then on", () =>
    Effect.gen(function* () {
      class Spans extends Actor.Service<Spans>()("test/control/Spans", { Parent: { success: Schema.String } }) {}
      const SpansLive = Spans.behavior(
        Effect.succeed(
          Spans.of({
            Parent: () =>
              Effect.map(Effect.serviceOption(Tracer.ParentSpan), (span) =>
                span._tag === "Some" && span.value._tag === "Span" ? span.value.name : "none"
              )
          })
        )
      )
      const ref = yield* Actor.spawn(SpansLive)
      yield* Effect.withSpan(Control.replaceBehavior(ref, SpansLive), "replacing")
      assert.strictEqual(yield* ref.ask.Parent(), "none")
    })
  )
})

describe("SYS-05 statistics of what is taken in another way", () => {
  it.effect("SYS-05 each message of a batch counts", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      const statistics = yield* Control.statistics(ref)
      yield* Effect.forEach([1, 2, 3], (n) => ref.ask.Batch({ n }), { concurrency: "unbounded" })
      assert.deepInclude(yield* statistics, { received: 3, replied: 3, messages: { Batch: 3 } })
    })
  )

  it.effect("SYS-05 a message that is tried again after a crash is taken twice and answered once", () =>
    Effect.gen(function* () {
      class Shaky extends Actor.Service<Shaky>()("test/control/Shaky", { Get: { success: Schema.Int } }) {}
      let runs = 0
      const ShakyLive = Shaky.behavior(
        Effect.sync(() => {
          const run = ++runs
          return Shaky.of({ Get: () => (run === 1 ? Effect.die("first") : Effect.succeed(run)) })
        }),
        { mailbox: { redeliver: 1 } }
      )
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [ShakyLive] }))
      const ref = yield* Effect.provide(Shaky, top.services)
      const statistics = yield* Control.statistics(ref)
      const kinds: Array<string> = []
      yield* Control.trace(ref).pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => void (event._tag === "Received" && kinds.push(`${event.kind} ${event.tag}`)))
        ),
        background
      )
      yield* settle
      assert.strictEqual(yield* ref.ask.Get(), 2)
      assert.deepInclude(yield* statistics, { received: 2, replied: 1, failed: 0 })
      yield* settle
      assert.deepStrictEqual(kinds, ["ask Get", "ask Get"])
    }).pipe(quiet)
  )
})

describe("SYS-06 trace of what comes and goes", () => {
  it.effect("SYS-06 payloads and replies are shown as `redact` shows them", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      const tracing = yield* Control.trace(ref, { redact: (value, { tag }) => `${tag} ${typeof value}` }).pipe(
        Stream.take(2),
        Stream.runCollect,
        background
      )
      yield* settle
      yield* ref.ask.Add({ n: 4 })
      const [received, replied] = yield* Fiber.join(tracing)
      assert(received?._tag === "Received" && replied?._tag === "Replied" && replied.exit._tag === "Success")
      assert.deepStrictEqual([received.payload, replied.exit.value], ["Add object", "Add number"])
    })
  )

  it.effect("SYS-06 an error says the payload too, so it is redacted as well", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(tally().behavior)
      const tracing = yield* Control.trace(ref, { redact: (_, { is, path }) => [is, path === ref.path] }).pipe(
        Stream.filter(({ _tag }) => _tag === "Replied"),
        Stream.runHead,
        background
      )
      yield* settle
      yield* Effect.flip(ref.ask.Crash())
      const replied = Option.getOrThrow(yield* Fiber.join(tracing))
      assert(replied._tag === "Replied")
      assert.deepStrictEqual(replied.exit, Exit.fail(["error", true]))
    }).pipe(quiet)
  )

  it.effect("SYS-06 a subtree is not one whose name only begins alike", () =>
    Effect.gen(function* () {
      const { behavior } = tally()
      const child = (id: string) => Supervisor.make(id, { children: [] })
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [child("a"), child("ab")] }))
      const paths: Array<string> = []
      yield* Control.trace(yield* top.supervisor("a"), { subtree: true }).pipe(
        Stream.runForEach((event) => Effect.sync(() => void ("path" in event && paths.push(event.path)))),
        background
      )
      yield* settle
      for (const id of ["a", "ab"]) {
        const below = yield* top.supervisor(id)
        const ref = Context.get(yield* below.startChild(Supervisor.child(behavior, { id: "x" })), Tally)
        yield* Effect.flip(ref.ask.Crash())
        yield* ref.ask.Add({ n: 1 })
      }
      yield* settle
      assert.isAbove(paths.length, 3)
      assert.deepStrictEqual(
        paths.filter((path) => !path.startsWith("top/a/")),
        []
      )
    }).pipe(quiet)
  )

  it.effect("SYS-06 dynamic children are traced from when they come, and let go of when they have gone", () =>
    Effect.gen(function* () {
      const { behavior } = tally()
      class Pool extends DynamicSupervisor.Service<Pool>()("test/control/Pool") {}
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [Pool.child()] }))
      const pool = yield* Effect.provide(Pool, top.services)
      const before = yield* pool.startChild(behavior, { restart: "temporary" })
      const events: Array<string> = []
      const tracing = yield* Control.trace(top, { subtree: true }).pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => void ("path" in event && events.push(`${event._tag} ${event.path.split("/").at(-1)}`)))
        ),
        background
      )
      yield* settle
      const after = yield* pool.startChild(behavior, { restart: "temporary" })
      yield* before.ask.Add({ n: 1 })
      yield* after.ask.Add({ n: 1 })
      yield* Actor.stop(after)
      yield* settle
      const received = events.filter((line) => line.startsWith("Received"))
      assert.strictEqual(received.length, 2)
      assert.strictEqual(events.filter((line) => line.startsWith("ActorEnded")).length, 1)
      yield* Fiber.interrupt(tracing)
      yield* before.ask.Add({ n: 1 })
      assert.strictEqual(events.filter((line) => line.startsWith("Received")).length, 2)
    }).pipe(quiet)
  )
})
