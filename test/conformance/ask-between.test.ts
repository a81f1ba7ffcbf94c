/** ASK: actors that ask others while they handle a request themselves. */
import { assert, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { Actor, ActorContext, ActorRef } from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

class Store extends Actor.Service<Store>()("test/Store", {
  Get: { payload: { n: Schema.Int }, success: Schema.Int, error: Refused },
  /** Milliseconds that are left of the request's time. */
  Remaining: { success: Schema.Number },
  Never: { success: Schema.Int },
  Crash: { success: Schema.Int }
}) {}

const remaining = Effect.gen(function* () {
  const { deadline } = yield* ActorContext.message
  return deadline - Number(yield* Effect.clockWith((clock) => clock.monotonicTimeNanos)) / 1e6
})

/** Takes a second for each number, and does not take negative ones. */
const StoreLive = Store.behavior(
  Effect.succeed(
    Store.of({
      Get: ({ n }) =>
        n < 0 ? Effect.fail(new Refused({ why: "negative" })) : Effect.delay(Effect.succeed(n), "1 second"),
      Remaining: () => remaining,
      Never: () => Effect.never,
      Crash: () => Effect.die("crash")
    })
  )
)

class Front extends Actor.Service<Front>()("test/Front", {
  Forward: { payload: { n: Schema.Int }, success: Schema.Int, error: Refused },
  ForwardCrash: { success: Schema.Int },
  ForwardLater: { payload: { n: Schema.Int }, success: Schema.Int, error: Refused },
  ForwardBeside: { payload: { n: Schema.Int }, success: Schema.Int, error: Refused },
  Remaining: { payload: { limit: Schema.optionalKey(Schema.Int) }, success: Schema.Number },
  Wait: { success: Schema.Int },
  Hundred: { success: Schema.Array(Schema.Int) },
  Self: { success: Schema.String },
  SelfBeside: { success: Schema.String },
  Ping: { success: Schema.String }
}) {}

const front = (store: ActorRef.ActorRef<Store>) =>
  Front.behavior(
    Effect.gen(function* () {
      const self = yield* Front.self
      const askSelf = Effect.match(self.ask.Ping(), {
        onSuccess: (reply) => reply,
        onFailure: ({ reason }) => reason._tag
      })
      return Front.of({
        Forward: ({ n }) => Actor.forward(store.ask.Get({ n })),
        ForwardCrash: () => Actor.forward(store.ask.Crash()),
        ForwardLater: ({ n }) => Effect.andThen(Effect.yieldNow, Actor.forward(store.ask.Get({ n }))),
        ForwardBeside: Actor.concurrent(({ n }) =>
          Effect.andThen(Effect.yieldNow, Actor.forward(store.ask.Get({ n })))
        ),
        *Remaining({ limit }) {
          yield* Effect.sleep("700 millis")
          const asked = limit === undefined ? store : ActorRef.withTimeout(store, limit)
          return yield* asked.ask.Remaining()
        },
        Wait: () => store.ask.Never(),
        Hundred: () =>
          Effect.gen(function* () {
            const order: Array<number> = []
            const patient = ActorRef.withTimeout(store, "10 minutes")
            yield* Effect.forEach(
              Array.from({ length: 100 }, (_, n) => n),
              (n) => Effect.map(patient.ask.Get({ n }), (reply) => order.push(reply)),
              { concurrency: "unbounded", discard: true }
            )
            return order
          }),
        Self: () => askSelf,
        SelfBeside: Actor.concurrent(() => askSelf),
        Ping: () => "pong"
      })
    })
  )

/** A store, an actor in front of it, both gone at the end however busy they are. */
const makeFront = Effect.gen(function* () {
  const store = yield* Actor.spawn(StoreLive)
  const between = yield* Actor.spawn(front(store))
  yield* Effect.addFinalizer(() => Effect.andThen(Actor.kill(store), Actor.kill(between)))
  return { store, between }
})

it.effect("ASK-09 an answer from someone else; the one in between is free at once", () =>
  Effect.gen(function* () {
    const { between } = yield* makeFront
    const ask = yield* Effect.forkChild(between.ask.Forward({ n: 9 }), { startImmediately: true })
    assert.strictEqual(yield* between.ask.Ping(), "pong")
    yield* TestClock.adjust("999 millis")
    assert.strictEqual(ask.pollUnsafe(), undefined)
    yield* TestClock.adjust("1 milli")
    assert.strictEqual(yield* Fiber.join(ask), 9)
  })
)

it.effect("ASK-09 a handler that forwards after other work, or beside others, answers nothing itself", () =>
  Effect.gen(function* () {
    const { between } = yield* makeFront
    for (const ask of [between.ask.ForwardLater({ n: 7 }), between.ask.ForwardBeside({ n: 7 })]) {
      const asking = yield* Effect.forkChild(ask, { startImmediately: true })
      assert.strictEqual(yield* between.ask.Ping(), "pong")
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(asking.pollUnsafe())
      yield* TestClock.adjust("1 milli")
      assert.strictEqual(yield* Fiber.join(asking), 7)
    }
  })
)

it.effect("ASK-09 errors, crashes and the end of the one that answers reach the asker as well", () =>
  Effect.gen(function* () {
    const { between, store } = yield* makeFront
    assert.deepStrictEqual(yield* Effect.flip(between.ask.Forward({ n: -1 })), new Refused({ why: "negative" }))
    const { reason } = yield* Effect.flip(between.ask.ForwardCrash())
    assert.strictEqual(reason._tag === "HandlerFailed" && Cause.squash(reason.cause as Cause.Cause<unknown>), "crash")
    yield* store.ended
    const gone = yield* Effect.flip(between.ask.Forward({ n: 1 }))
    assert.strictEqual(gone._tag === "AskError" && gone.reason._tag, "NotRunning")
    assert.strictEqual(yield* between.ask.Ping(), "pong")
  }).pipe(quiet)
)

it.effect("ASK-09 the asker's limit stays, and the end of the one in between does not matter any more", () =>
  Effect.gen(function* () {
    const { between } = yield* makeFront
    const hasty = ActorRef.withTimeout(between, "300 millis")
    const late = yield* Effect.forkChild(Effect.flip(hasty.ask.Forward({ n: 1 })), { startImmediately: true })
    yield* TestClock.adjust("300 millis")
    const error = yield* Fiber.join(late)
    assert.strictEqual(error._tag === "AskError" && error.reason._tag, "Timeout")
    const ask = yield* Effect.forkChild(between.ask.Forward({ n: 2 }), { startImmediately: true })
    yield* Effect.yieldNow
    yield* Actor.kill(between)
    yield* TestClock.adjust("2 seconds")
    assert.strictEqual(yield* Fiber.join(ask), 2)
  })
)

it.effect("ASK-10 asking oneself is refused at once", () =>
  Effect.gen(function* () {
    const { between } = yield* makeFront
    assert.strictEqual(yield* between.ask.Self(), "AskedItself")
    // The message was not sent either.
    assert.strictEqual(between.size, 0)
  })
)

it.effect("ASK-10 a handler that runs beside the others may ask its own actor", () =>
  Effect.gen(function* () {
    const { between } = yield* makeFront
    assert.strictEqual(yield* between.ask.SelfBeside(), "pong")
  })
)

it.effect("ASK-12 a hundred asks from one actor are answered in the order in which they were sent", () =>
  Effect.gen(function* () {
    const { between } = yield* makeFront
    const patient = ActorRef.withTimeout(between, "10 minutes")
    const ask = yield* Effect.forkChild(
      Effect.map(patient.ask.Hundred(), (order) =>
        assert.deepStrictEqual(
          order,
          Array.from({ length: 100 }, (_, n) => n)
        )
      )
    )
    yield* TestClock.adjust("100 seconds")
    yield* Fiber.join(ask)
  })
)

it.effect("ASK-21 the deadline travels along: what is left of the asker's time, or less", () =>
  Effect.gen(function* () {
    const { between } = yield* makeFront
    const limited = ActorRef.withTimeout(between, "1 second")
    for (const [payload, left] of [
      [{}, 300],
      [{ limit: 100 }, 100],
      [{ limit: 9_000 }, 300]
    ] as const) {
      const ask = yield* Effect.forkChild(limited.ask.Remaining(payload))
      yield* TestClock.adjust("700 millis")
      assert.strictEqual(yield* Fiber.join(ask), left)
    }
  })
)

it.effect("ASK-21 a tell has no deadline, so what it asks has only its own", () =>
  Effect.gen(function* () {
    const { store } = yield* makeFront
    assert.strictEqual(yield* store.ask.Remaining(), 5_000)
  })
)

it.effect("ASK-21 time that is up anywhere is one deadline error for the asker", () =>
  Effect.gen(function* () {
    const { between } = yield* makeFront
    const limited = ActorRef.withTimeout(between, "400 millis")
    const errors: Array<string> = []
    const ask = yield* Effect.forkChild(
      Effect.map(Effect.flip(limited.ask.Wait()), (error) => errors.push(`${error.actor} ${error.reason._tag}`))
    )
    yield* TestClock.adjust("399 millis")
    assert.deepStrictEqual(errors, [])
    yield* TestClock.adjust("1 milli")
    yield* Fiber.join(ask)
    assert.deepStrictEqual(errors, [`${between.path} Timeout`])
  }).pipe(quiet)
)

class Loader extends Actor.Service<Loader>()("test/Loader", {
  Load: {},
  Hold: {},
  Log: { success: Schema.Array(Schema.String) }
}) {}

/** Asks the store beside its messages, and maps the outcome in a turn of its own. */
const loader = (store: ActorRef.ActorRef<Store>, gate: Deferred.Deferred<void>, mapping: Effect.Effect<void>) =>
  Loader.behavior(
    Effect.sync(() => {
      const log: Array<string> = []
      const write = (line: string) => Effect.sync(() => log.push(line))
      return Loader.of({
        Load: () =>
          Actor.pipeToSelf(store.ask.Get({ n: 7 }), (exit) =>
            Effect.gen(function* () {
              yield* write(Exit.isSuccess(exit) ? `loaded ${exit.value}` : "failed")
              yield* mapping
              yield* write("mapped")
            })
          ),
        Hold: () => Effect.andThen(Effect.andThen(write("hold"), Deferred.await(gate)), write("held")),
        Log: () => [...log]
      })
    })
  )

it.effect("ASK-16 what was asked for is mapped in the actor's own turn, never beside a handler", () =>
  Effect.gen(function* () {
    const { store } = yield* makeFront
    const gate = yield* Deferred.make<void>()
    const ref = yield* Actor.spawn(loader(store, gate, Effect.yieldNow))
    yield* ref.tell.Load()
    yield* ref.tell.Hold()
    yield* Effect.yieldNow
    // The actor is not kept busy by the ask; the reply comes while it handles something else, and has to wait.
    yield* TestClock.adjust("1 second")
    assert.strictEqual(ref.size, 1)
    yield* ref.tell.Hold()
    yield* Deferred.succeed(gate, undefined)
    assert.deepStrictEqual(yield* ref.ask.Log(), ["hold", "held", "loaded 7", "mapped", "hold", "held"])
  })
)

it.effect("ASK-16 a failed ask is the mapping's input; a failing mapping fails the actor", () =>
  Effect.gen(function* () {
    const { store } = yield* makeFront
    const gate = yield* Deferred.make<void>()
    yield* Actor.kill(store)
    const patient = yield* Actor.spawn(loader(store, gate, Effect.void))
    yield* patient.tell.Load()
    yield* Effect.yieldNow
    assert.deepStrictEqual(yield* patient.ask.Log(), ["failed", "mapped"])
    const crashing = yield* Actor.spawn(loader(store, gate, Effect.die("mapping")))
    yield* crashing.tell.Load()
    const reason = yield* crashing.ended
    assert.strictEqual(reason._tag === "Failed" && Cause.squash(reason.cause), "mapping")
  }).pipe(quiet)
)
