/** Bad input: a clear typed error or event at the earliest moment, and nothing left running or lost. */
import { assert, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber, Layer, Schema } from "effect"
import { Actor, ActorRef, ActorSystem, Backoff, type Behavior, Registry, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Child, quiet, Recording } from "../support/recording.ts"

it.effect("an unknown message tag names the tag and what is known", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const child = yield* Actor.spawn(r.behavior("a"))
    const error = yield* Effect.flip(ActorRef.tellUnknown(child, { _tag: "Pong" }))
    assert.strictEqual(error._tag, "UnknownMessage")
    assert.include(error.message, "knows no message Pong; it knows Ping, Add")
    const decoding = yield* Effect.flip(ActorRef.tellUnknown(child, { _tag: "Add", payload: { n: "one" } }))
    assert.strictEqual(decoding._tag, "SchemaError")
    assert.strictEqual(child.size, 0)
  })
)

it.effect("a spec that contradicts itself is refused as a whole, and nothing starts", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const bad = {
      "intensity.restarts": { intensity: { restarts: -1, within: "1 second" } },
      "intensity.within": { intensity: { restarts: 1, within: 0 } },
      strategy: { strategy: "one_for_one" }
    }
    for (const [field, options] of Object.entries(bad)) {
      const inner = Supervisor.make("inner", { children: [], ...(options as object) })
      const error = yield* Effect.flip(Supervisor.start(Supervisor.make("top", { children: [r.child("a"), inner] })))
      const problem = Cause.squash(error.cause) as Supervisor.InvalidSpec
      assert.deepStrictEqual([problem._tag, problem.field, problem.path], ["InvalidSpec", field, "top/inner"])
      assert.match(problem.message, /^top\/inner: .* must be .*, got /)
    }
    const layer = Supervisor.layer(Supervisor.make("top", { children: [r.child("a"), r.child("a")] }))
    const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
    assert.include(error.message, 'top: children must have ids of their own, got "a"')
    assert.deepStrictEqual(r.log, [])
    assert.throws(() => Backoff.exponential({ min: "2 seconds", max: "1 second" }), "Backoff: max cannot be 1 second")
  })
)

it.effect("a behavior without a handler names what is missing, and rolls the start back", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const partial = Child.behavior(
      Effect.succeed({ Ping: () => 1 } as unknown as Behavior.Handlers<typeof Child.protocol>)
    )
    const spec = Supervisor.child(partial, { id: "partial" }) as Supervisor.ChildSpec<Child, unknown, never>
    const error = yield* Effect.flip(r.start([r.child("a"), spec]))
    assert.include(String(Cause.squash(error.cause)), "test/Child has no handler for Add, Fail")
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
  }).pipe(quiet)
)

it.effect("a name already taken names the holder", () =>
  Effect.gen(function* () {
    class Names extends Registry.Service<Names>()("test/Names", Child) {}
    const r = new Recording()
    const program = Effect.gen(function* () {
      const [a, b] = [yield* Actor.spawn(r.behavior("a")), yield* Actor.spawn(r.behavior("b"))]
      yield* Names.registerAs(a, "n")
      const error = yield* Effect.flip(Names.registerAs(b, "n"))
      assert.strictEqual(error.message, `test/Names: the name n belongs to ${a.path}`)
    })
    yield* Effect.provide(program, Names.layer)
  })
)

it.effect("a dead reference: asks say how it ended, tells are dead letters", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const child = yield* Actor.spawn(r.behavior("a"))
    yield* Actor.stop(child, { reason: "closing time" })
    const error = yield* Effect.flip(child.ask.Add({ n: 1 }))
    assert.include(error.message, "did not answer Add: the actor is not running: it was asked to stop: closing time")
    assert.deepStrictEqual(error.payload, { n: 1 })
    yield* child.tell.Add({ n: 2 })
    const [letter] = yield* ActorSystem.deadLetters
    assert.deepStrictEqual([letter!.recipient, letter!.tag, letter!.payload], [child.path, "Add", { n: 2 }])
    assert.strictEqual(letter!.reason._tag, "NotRunning")
  })
)

it.effect("a full mailbox: the ask says how large it is, the tell is a dead letter", () =>
  Effect.gen(function* () {
    class Small extends Actor.Service<Small>()("test/Small", { Hold: {}, Say: { payload: { n: Schema.Int } } }) {}
    const gate = yield* Deferred.make<void>()
    const SmallLive = Small.behavior(Effect.succeed(Small.of({ Hold: () => Deferred.await(gate), Say: () => {} })), {
      mailbox: { capacity: 1, overflow: "reject" }
    })
    const small = yield* Actor.spawn(SmallLive)
    yield* small.tell.Hold()
    yield* Effect.yieldNow
    yield* small.tell.Say({ n: 1 })
    const error = yield* Effect.flip(small.ask.Say({ n: 2 }))
    assert.strictEqual(error.reason._tag, "MailboxFull")
    assert.include(error.message, "the mailbox holds 1 messages, no room is left")
    yield* small.tell.Say({ n: 3 })
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map((letter) => letter.payload),
      [{ n: 3 }]
    )
    yield* Deferred.succeed(gate, undefined)
  })
)

it.effect("a handler that throws crashes the actor with what it threw, and the asker is told", () =>
  Effect.gen(function* () {
    const r = new Recording()
    yield* r.start([r.child("a")])
    const error = yield* Effect.flip(r.ref("a").ask.Throw())
    assert.strictEqual(error.reason._tag, "HandlerFailed")
    assert.include(error.message, "top/a did not answer Throw: the handler failed: it crashed: Error: thrown")
    assert.strictEqual(yield* r.incarnation("a"), 2)
    assert.deepStrictEqual(r.log, ["a started", "a stopped", "a started"])
  }).pipe(quiet)
)

it.effect("a handler that never ends at shutdown is killed after its time, and that is told", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a", { shutdown: "2 seconds" })])
    yield* r.ref("a").tell.Wait()
    const stop = yield* Effect.forkChild(top.stop)
    yield* TestClock.adjust("2 seconds")
    yield* Fiber.join(stop)
    const event = r.events.find((each) => each._tag === "ShutdownError")
    assert.deepStrictEqual(event?._tag === "ShutdownError" && [event.child, event.reason._tag], ["a", "Killed"])
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
  }).pipe(quiet)
)

it.effect("an init that hangs, even uninterruptibly, is a typed failure in time", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const gate = yield* Deferred.make<void>()
    const hanging = r.child("b", {
      init: Effect.uninterruptible(Deferred.await(gate)),
      startTimeout: "1 second",
      shutdown: "1 second"
    })
    const start = yield* Effect.forkChild(Effect.flip(r.start([r.child("a"), hanging])))
    yield* TestClock.adjust("2 seconds")
    const error = yield* Fiber.join(start)
    assert.include(error.message, "child b failed to start: StartTimeout: top/b was not up within 1000 ms")
    assert.deepStrictEqual(
      (yield* ActorSystem.zombies).map((zombie) => zombie.path),
      ["top/b"]
    )
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
    yield* Deferred.succeed(gate, undefined)
    yield* Effect.yieldNow
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
  }).pipe(quiet)
)
