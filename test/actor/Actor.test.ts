/** What handlers may be and do, and what travels with a message. */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { Actor, ActorContext, ActorRef, Protocol, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"

class Broke extends Schema.TaggedError<Broke>()("Broke", { why: Schema.String }) {}

class Desk extends Actor.Service<Desk>()("test/Desk", {
  Value: { success: Schema.Int },
  Effect: { success: Schema.Int },
  Method: { payload: { n: Schema.Int }, success: Schema.Int, error: Broke },
  Untraced: { payload: { n: Schema.Int }, success: Schema.Int },
  Beside: { success: Schema.Int },
  Greet: {
    payload: { name: Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed("nobody"))) },
    success: Schema.String
  },
  Info: { success: Schema.Unknown },
  Log: { success: Schema.Array(Schema.String) }
}) {}

const desk = (gate: Deferred.Deferred<void>, crash = false) =>
  Desk.behavior(
    Effect.gen(function* () {
      const log: Array<string> = []
      yield* Actor.continueWith(Effect.sync(() => log.push("continued")))
      return Desk.of({
        Value: () => 1,
        Effect: () => Effect.succeed(2),
        *Method({ n }) {
          if (n < 0) return yield* new Broke({ why: "negative" })
          return n + (yield* Effect.succeed(1))
        },
        Untraced: Effect.fnUntraced(function* ({ n }: { readonly n: number }) {
          return n * (yield* Effect.succeed(2))
        }),
        Beside: Actor.concurrent(() =>
          Effect.andThen(Deferred.await(gate), crash ? Effect.die("beside") : Effect.succeed(3))
        ),
        Greet: ({ name }) => `hello ${name}`,
        Info: () => ActorContext.message,
        Log: () => {
          log.push("asked")
          return log
        }
      })
    })
  )

it.effect("handlers may be plain values, effects, generators and functions of Effect.fnUntraced", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(desk(yield* Deferred.make<void>()))
    const { ask } = ref
    assert.deepStrictEqual(
      [yield* ask.Value(), yield* ask.Effect(), yield* ask.Method({ n: 2 }), yield* ask.Untraced({ n: 2 })],
      [1, 2, 3, 4]
    )
    assert.deepStrictEqual(yield* Effect.flip(ask.Method({ n: -1 })), new Broke({ why: "negative" }))
  })
)

it.effect("a continuation from init goes before the first message", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(desk(yield* Deferred.make<void>()))
    assert.deepStrictEqual(yield* ref.ask.Log(), ["continued", "asked"])
  })
)

it.effect("a concurrent handler runs beside others, and its crash is the actor's", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const [ref, crashing] = [yield* Actor.spawn(desk(gate)), yield* Actor.spawn(desk(gate, true))]
    const asks = yield* Effect.forkChild(Effect.all([ref.ask.Beside(), ref.ask.Beside()], { concurrency: 2 }), {
      startImmediately: true
    })
    const crash = yield* Effect.forkChild(Effect.flip(crashing.ask.Beside()), { startImmediately: true })
    assert.strictEqual(yield* ref.ask.Value(), 1)
    yield* Deferred.succeed(gate, undefined)
    assert.deepStrictEqual(yield* Fiber.join(asks), [3, 3])
    assert.strictEqual((yield* Fiber.join(crash)).reason._tag, "HandlerFailed")
    const reason = yield* crashing.ended
    assert.strictEqual(reason._tag === "Failed" && Cause.squash(reason.cause), "beside")
  }).pipe(quiet)
)

it.effect("defaults of the payload's schema are filled in, for every way of sending", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(desk(yield* Deferred.make<void>()))
    assert.strictEqual(yield* ref.ask.Greet({}), "hello nobody")
    assert.strictEqual(yield* ref.ask.Greet({ name: "ada" }), "hello ada")
  })
)

it.effect("ids, correlation, priority, sender and deadline travel with a message", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(desk(yield* Deferred.make<void>()))
    const marked = ref.pipe(
      ActorRef.withTimeout("2 seconds"),
      ActorRef.withPriority(200),
      ActorRef.withCorrelationId("talk")
    )
    const info = (yield* marked.ask.Info()) as ActorContext.MessageInfo
    assert.deepStrictEqual(
      [info.tag, info.correlationId, info.priority, info.sender, info.deadline],
      ["Info", "talk", 200, undefined, 2_000]
    )
    const next = (yield* marked.ask.Info()) as ActorContext.MessageInfo
    assert.isAbove(next.id, info.id)
    // An actor that asks in turn carries the conversation on, and is known as the sender.
    class Relay extends Actor.Service<Relay>()("test/Relay", { Go: { success: Schema.Unknown } }) {}
    const relay = yield* Actor.spawn(Relay.behavior(Effect.succeed(Relay.of({ Go: () => ref.ask.Info() }))))
    const relayed = (yield* ActorRef.withCorrelationId(relay, "far").ask.Go()) as ActorContext.MessageInfo
    assert.deepStrictEqual([relayed.correlationId, relayed.sender], ["far", relay.path])
  })
)

it.effect("the same tell, run twice, is sent twice", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(desk(yield* Deferred.make<void>()))
    const tell = ref.tell.Log()
    yield* tell
    yield* tell
    yield* Effect.all([tell, tell])
    assert.strictEqual((yield* ref.ask.Log()).length, 6)
  })
)

it.live("a tell from a callback outside Effect", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(desk(yield* Deferred.make<void>()))
    const accepted = yield* Effect.callback<boolean>((resume) => {
      setTimeout(() => resume(Effect.succeed(ref.tellUnsafe.Log())), 1)
    })
    assert.isTrue(accepted)
    assert.strictEqual((yield* ref.ask.Log()).length, 3)
  })
)

it.effect("a protocol is an RpcGroup, and the other way round", () =>
  Effect.gen(function* () {
    class Talker extends Actor.Service<Talker>()("test/Talker", {
      Say: { payload: { n: Schema.Int }, success: Schema.String, error: Broke },
      Hush: {},
      Count: { success: Schema.Int, stream: true }
    }) {}
    const group = Protocol.toRpcGroup(Talker.protocol)
    assert.deepStrictEqual([...group.requests.keys()], ["Say", "Hush", "Count"])
    class Again extends Actor.Service<Again>()("test/Again", Protocol.fromRpcGroup(group)) {}
    const again = yield* Actor.spawn(
      Again.behavior(
        Effect.succeed(
          Again.of({
            Say: ({ n }) => (n < 0 ? Effect.fail(new Broke({ why: "negative" })) : Effect.succeed(String(n))),
            Hush: () => {},
            Count: () => Stream.make(1, 2)
          })
        )
      )
    )
    assert.strictEqual(yield* again.ask.Say({ n: 4 }), "4")
    assert.strictEqual((yield* Effect.flip(again.ask.Say({ n: -4 })))._tag, "Broke")
    assert.deepStrictEqual(yield* Stream.runCollect(again.stream.Count()), [1, 2])
    yield* again.ask.Hush()
  })
)

it.effect("a layer child is built anew at each restart, and released before it", () =>
  Effect.gen(function* () {
    class Resource extends Context.Service<Resource, { readonly run: number }>()("test/Resource") {}
    const log: Array<string> = []
    let run = 0
    const ResourceLive = Layer.effect(
      Resource,
      Effect.acquireRelease(
        Effect.sync(() => {
          log.push(`acquired ${++run}`)
          return { run }
        }),
        (resource) => Effect.sync(() => log.push(`released ${resource.run}`))
      )
    )
    const user = Desk.behavior(
      Effect.gen(function* () {
        const resource = yield* Resource
        return Desk.of({
          Value: () => resource.run,
          Effect: () => Effect.die("crash"),
          Method: () => 0,
          Untraced: () => 0,
          Beside: () => 0,
          Greet: () => "",
          Info: () => 0,
          Log: () => []
        })
      })
    )
    const top = yield* Supervisor.start(
      Supervisor.make("top", {
        strategy: "one-for-all",
        children: [Supervisor.service("resource", ResourceLive), user]
      })
    )
    const ref = Context.get(top.services, Desk)
    assert.strictEqual(yield* ref.ask.Value(), 1)
    yield* ref.tell.Effect()
    assert.strictEqual(yield* ref.ask.Value(), 2)
    assert.deepStrictEqual(log, ["acquired 1", "released 1", "acquired 2"])
  }).pipe(quiet)
)

it.effect("launch keeps an app alive on its tree, and ends with the tree's reason", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const App = Layer.effectDiscard(
      Effect.gen(function* () {
        const ref = yield* Desk
        log.push(`app ${yield* ref.ask.Value()}`)
        yield* Effect.addFinalizer(() => Effect.sync(() => log.push("app released")))
        yield* Effect.forkScoped(Effect.delay(ref.tell.Beside(), "1 second"))
      })
    )
    const gate = yield* Deferred.make<void>()
    yield* Deferred.succeed(gate, undefined)
    const tree = Supervisor.make("top", {
      intensity: { restarts: 0, within: "1 minute" },
      children: [desk(gate, true)]
    })
    const launched = yield* Effect.forkChild(Effect.flip(Supervisor.launch(tree, App)))
    yield* TestClock.adjust("1 second")
    const error = yield* Fiber.join(launched)
    assert.strictEqual((error as Supervisor.RestartIntensityExceeded<unknown>)._tag, "RestartIntensityExceeded")
    assert.deepStrictEqual(log, ["app 1", "app released"])
  }).pipe(quiet)
)
