/** ASK: asks, time limits, replies, streams. */
import { assert, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Queue, Schema, Stream } from "effect"
import { Actor, ActorContext, ActorRef, ActorSystem } from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

class Echo extends Actor.Service<Echo>()("test/Echo", {
  Say: { payload: { n: Schema.Int }, success: Schema.Int },
  Slow: { payload: { n: Schema.Int }, success: Schema.Int },
  Refuse: { success: Schema.Int, error: Refused },
  Quit: { success: Schema.Int },
  Remaining: { success: Schema.Number }
}) {}

/** Slow answers take a second. */
const EchoLive = Echo.behavior(
  Effect.succeed(
    Echo.of({
      Say: ({ n }) => n,
      Slow: ({ n }) => Effect.delay(Effect.succeed(n), "1 second"),
      Refuse: () => Effect.fail(new Refused({ why: "no" })),
      Quit: () => Effect.andThen(ActorContext.stop, Effect.never),
      Remaining: () =>
        Effect.gen(function* () {
          const { deadline } = yield* ActorContext.message
          return deadline - Number(yield* Effect.clockWith((clock) => clock.monotonicTimeNanos)) / 1e6
        })
    })
  )
)

/** Asks an Echo in its own handlers. */
class Middle extends Actor.Service<Middle>()("test/Middle", {
  Pass: { payload: { n: Schema.Int }, success: Schema.Int },
  Forward: { payload: { n: Schema.Int }, success: Schema.Int },
  Remaining: { success: Schema.Number },
  Self: { success: Schema.String },
  Busy: { success: Schema.Boolean }
}) {}

const middle = (echo: ActorRef.ActorRef<Echo>) =>
  Middle.behavior(
    Effect.gen(function* () {
      const self = yield* Middle.self
      return Middle.of({
        Pass: ({ n }) => echo.ask.Slow({ n }),
        Forward: ({ n }) => Actor.forward(echo.ask.Slow({ n })),
        Remaining: () => Effect.andThen(Effect.sleep("700 millis"), echo.ask.Remaining()),
        Self: () => Effect.match(self.ask.Busy(), { onSuccess: () => "answered", onFailure: (e) => e.reason._tag }),
        Busy: () => false
      })
    })
  )

it.effect("ASK-01 a typed reply", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    assert.strictEqual(yield* echo.ask.Say({ n: 7 }), 7)
  })
)

it.effect("ASK-03 a late reply is dropped, and the next ask is undisturbed", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    const hasty = ActorRef.withTimeout(echo, "500 millis")
    const late = yield* Effect.forkChild(Effect.flip(hasty.ask.Slow({ n: 1 })))
    yield* TestClock.adjust("500 millis")
    const { reason } = yield* Fiber.join(late)
    assert.strictEqual(reason._tag === "Timeout" && Duration.toMillis(reason.after), 500)
    const next = yield* Effect.forkChild(echo.ask.Say({ n: 2 }), { startImmediately: true })
    yield* TestClock.adjust("500 millis")
    assert.strictEqual(yield* Fiber.join(next), 2)
  })
)

it.effect("the default limit is 5 seconds; infinity waits for ever", () =>
  Effect.gen(function* () {
    const never = Echo.behavior(
      Effect.succeed(
        Echo.of({ Say: () => Effect.never, Slow: () => 0, Refuse: () => 0, Quit: () => 0, Remaining: () => 0 })
      )
    )
    const echo = yield* Actor.spawn(never)
    const limited = yield* Effect.forkChild(Effect.flip(echo.ask.Say({ n: 1 })))
    const patient = yield* Effect.forkChild(ActorRef.withTimeout(echo, Duration.infinity).ask.Say({ n: 1 }))
    yield* TestClock.adjust("4999 millis")
    assert.strictEqual(limited.pollUnsafe(), undefined)
    yield* TestClock.adjust("1 milli")
    assert.strictEqual((yield* Fiber.join(limited)).reason._tag, "Timeout")
    yield* TestClock.adjust("30 days")
    assert.strictEqual(patient.pollUnsafe(), undefined)
    yield* Actor.kill(echo)
  })
)

it.effect("ASK-04 asking an ended actor fails at once, whatever the limit", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    yield* Actor.stop(echo)
    const error = yield* Effect.flip(ActorRef.withTimeout(echo, "10 seconds").ask.Say({ n: 1 }))
    assert.strictEqual(error.reason._tag === "NotRunning" && error.reason.exit._tag, "Shutdown")
  })
)

it.effect("ASK-06 an actor that ends without a reply says how it ended", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    const ask = yield* Effect.forkChild(Effect.flip(echo.ask.Quit()))
    yield* Effect.yieldNow
    yield* Actor.kill(echo)
    const error = yield* Fiber.join(ask)
    assert.strictEqual(error.reason._tag === "NotRunning" && error.reason.exit._tag, "Killed")
  })
)

it.effect("ASK-07 telling the dead is harmless for the sender", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    yield* Actor.stop(echo)
    yield* echo.tell.Say({ n: 1 })
    assert.isFalse(echo.tellUnsafe.Say({ n: 2 }))
    assert.strictEqual((yield* ActorSystem.deadLetters).length, 2)
  })
)

it.effect("ASK-09 an answer from someone else; the one in between is free at once", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    const between = yield* Actor.spawn(middle(echo))
    const ask = yield* Effect.forkChild(between.ask.Forward({ n: 9 }), { startImmediately: true })
    assert.isFalse(yield* between.ask.Busy())
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* Fiber.join(ask), 9)
  })
)

it.effect("ASK-10 asking oneself is refused at once", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    const self = yield* Actor.spawn(middle(echo))
    assert.strictEqual(yield* self.ask.Self(), "AskedItself")
  })
)

it.effect("ASK-12 replies come in the order of the asks", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    const order: Array<number> = []
    const ask = (n: number) => Effect.map(echo.ask.Say({ n }), (reply) => order.push(reply))
    yield* Effect.all(
      Array.from({ length: 100 }, (_, n) => ask(n)),
      { concurrency: "unbounded" }
    )
    assert.deepStrictEqual(
      order,
      Array.from({ length: 100 }, (_, n) => n)
    )
  })
)

it.effect("ASK-13 a declared error is a reply, and no crash", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    assert.deepStrictEqual(yield* Effect.flip(echo.ask.Refuse()), new Refused({ why: "no" }))
    yield* echo.tell.Refuse()
    assert.strictEqual(yield* echo.ask.Say({ n: 1 }), 1)
  })
)

it.effect("ASK-15 waiting for room and waiting for the reply are two limits", () =>
  Effect.gen(function* () {
    const small = Echo.behavior(
      Effect.succeed(
        Echo.of({
          Say: ({ n }) => n,
          Slow: ({ n }) => Effect.delay(Effect.succeed(n), "10 seconds"),
          Refuse: () => 0,
          Quit: () => 0,
          Remaining: () => 0
        })
      ),
      { mailbox: { capacity: 1 } }
    )
    const echo = yield* Actor.spawn(small)
    yield* echo.tell.Slow({ n: 0 })
    yield* Effect.yieldNow
    yield* echo.tell.Say({ n: 0 })
    const limited = ActorRef.withTimeout(echo, "1 second", { mailbox: "50 millis" })
    const ask = yield* Effect.forkChild(Effect.flip(limited.ask.Say({ n: 5 })))
    yield* TestClock.adjust("49 millis")
    assert.strictEqual(ask.pollUnsafe(), undefined)
    yield* TestClock.adjust("1 milli")
    const error = yield* Fiber.join(ask)
    assert.deepStrictEqual(error.reason._tag === "MailboxFull" && error.reason.waited, 50)
    assert.deepStrictEqual(error.payload, { n: 5 })
    yield* TestClock.adjust("20 seconds")
  })
)

it.effect("ASK-16 the outcome of something started beside is handled in a turn of its own", () =>
  Effect.gen(function* () {
    class Loader extends Actor.Service<Loader>()("test/Loader", {
      Load: {},
      Hold: {},
      Log: { success: Schema.String }
    }) {}
    const log: Array<string> = []
    const load = yield* Deferred.make<string, "broken">()
    const gate = yield* Deferred.make<void>()
    const loader = yield* Actor.spawn(
      Loader.behavior(
        Effect.succeed(
          Loader.of({
            Load: () =>
              Actor.pipeToSelf(Deferred.await(load), (exit) => {
                if (Exit.isFailure(exit)) return Effect.die("mapping")
                return Effect.sync(() => log.push(exit.value))
              }),
            Hold: () =>
              Effect.andThen(
                Deferred.await(gate),
                Effect.sync(() => log.push("held"))
              ),
            Log: () => log.join()
          })
        )
      )
    )
    yield* loader.ask.Load()
    yield* loader.tell.Hold()
    yield* Effect.yieldNow
    yield* Deferred.succeed(load, "loaded")
    assert.deepStrictEqual(log, [])
    yield* Deferred.succeed(gate, undefined)
    assert.strictEqual(yield* loader.ask.Log(), "held,loaded")
    const failing = yield* Deferred.make<string, "broken">()
    yield* Deferred.fail(failing, "broken")
    const crashing = yield* Actor.spawn(
      Loader.behavior(
        Effect.succeed(
          Loader.of({
            Load: () => Actor.pipeToSelf(Deferred.await(failing), () => Effect.die("mapping")),
            Hold: () => {},
            Log: () => ""
          })
        )
      )
    )
    yield* crashing.tell.Load()
    const reason = yield* crashing.ended
    assert.strictEqual(reason._tag === "Failed" && Cause.squash(reason.cause), "mapping")
  }).pipe(quiet)
)

it.effect("ASK-18 many recipients: the answers, and who failed why", () =>
  Effect.gen(function* () {
    const [good, ended, slow] = [
      yield* Actor.spawn(EchoLive),
      yield* Actor.spawn(EchoLive),
      yield* Actor.spawn(EchoLive)
    ]
    yield* Actor.stop(ended)
    const asks = [
      good.ask.Say({ n: 1 }),
      ended.ask.Say({ n: 2 }),
      ActorRef.withTimeout(slow, "100 millis").ask.Slow({ n: 3 })
    ]
    const all = yield* Effect.forkChild(
      Effect.all(
        asks.map((ask) => Effect.match(ask, { onSuccess: (n) => n, onFailure: (e) => e.reason._tag })),
        {
          concurrency: "unbounded"
        }
      )
    )
    yield* TestClock.adjust("100 millis")
    assert.deepStrictEqual(yield* Fiber.join(all), [1, "NotRunning", "Timeout"])
    yield* TestClock.adjust("1 second")
  })
)

it.effect("ASK-19 pending asks as a collection, in the order of arrival; the rest is abandoned", () =>
  Effect.gen(function* () {
    const echoes = yield* Effect.all(Array.from({ length: 5 }, () => Actor.spawn(EchoLive)))
    const arrived = yield* Queue.unbounded<readonly [string, number]>()
    const pending = yield* Effect.forEach(echoes, (echo, i) => {
      const ask = Effect.delay(echo.ask.Say({ n: i }), `${(5 - i) * 10} millis`)
      return Effect.forkChild(Effect.flatMap(ask, (n) => Queue.offer(arrived, [`label ${i}`, n])))
    })
    yield* TestClock.adjust("20 millis")
    assert.deepStrictEqual(yield* Queue.take(arrived), ["label 4", 4])
    assert.deepStrictEqual(yield* Queue.take(arrived), ["label 3", 3])
    yield* Fiber.interruptAll(pending)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* Queue.size(arrived), 0)
  })
)

it.effect("an interrupted asker withdraws its request", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    yield* echo.tell.Slow({ n: 0 })
    yield* Effect.yieldNow
    let handled = 0
    const counting = yield* ActorSystem.onEvent((event) => {
      if (event._tag === "DeadLetter") handled++
    })
    const ask = yield* Effect.forkChild(echo.ask.Quit(), { startImmediately: true })
    yield* Fiber.interrupt(ask)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* echo.ask.Say({ n: 3 }), 3)
    assert.deepStrictEqual([counting, handled], [undefined, 0])
  })
)

it.effect("ASK-21 the deadline travels along", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    const between = yield* Actor.spawn(middle(echo))
    const limited = ActorRef.withTimeout(between, "1 second")
    const remaining = yield* Effect.forkChild(limited.ask.Remaining())
    yield* TestClock.adjust("700 millis")
    assert.strictEqual(yield* Fiber.join(remaining), 300)
    const late = yield* Effect.forkChild(Effect.flip(ActorRef.withTimeout(between, "400 millis").ask.Pass({ n: 1 })))
    yield* TestClock.adjust("400 millis")
    assert.strictEqual((yield* Fiber.join(late)).reason._tag, "Timeout")
    yield* TestClock.adjust("1 second")
  }).pipe(quiet)
)

class Source extends Actor.Service<Source>()("test/Source", {
  Numbers: { payload: { to: Schema.Int }, success: Schema.Int, error: Refused, stream: true },
  Ping: { success: Schema.String },
  Crash: {}
}) {}

const source = (log: Array<string>) =>
  Source.behavior(
    Effect.succeed(
      Source.of({
        Numbers: ({ to }) =>
          to < 0
            ? Stream.fail(new Refused({ why: "negative" }))
            : Stream.range(1, to).pipe(
                Stream.tap((n) => Effect.sync(() => log.push(`made ${n}`))),
                Stream.ensuring(Effect.sync(() => log.push("over")))
              ),
        Ping: () => "pong",
        Crash: () => Effect.die("crash")
      })
    )
  )

it.effect("ASK-22 a streaming reply, in order, as fast as it is consumed", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const ref = ActorRef.withBuffer(yield* Actor.spawn(source(log)), 2)
    assert.deepStrictEqual(yield* Stream.runCollect(ref.stream.Numbers({ to: 5 })), [1, 2, 3, 4, 5])
    log.length = 0
    const gate = yield* Deferred.make<void>()
    const slow = yield* Effect.forkChild(Stream.runForEach(ref.stream.Numbers({ to: 100 }), () => Deferred.await(gate)))
    for (let i = 0; i < 20; i++) yield* Effect.yieldNow
    assert.isAtMost(log.length, 6)
    // The actor itself is free meanwhile.
    assert.strictEqual(yield* ref.ask.Ping(), "pong")
    yield* Fiber.interrupt(slow)
    assert.strictEqual(log.at(-1), "over")
  })
)

it.effect("ASK-22 cancelling runs the producer's finalizer before it completes", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const ref = yield* Actor.spawn(source(log))
    assert.deepStrictEqual(yield* ref.stream.Numbers({ to: 1_000 }).pipe(Stream.take(2), Stream.runCollect), [1, 2])
    assert.strictEqual(log.at(-1), "over")
  })
)

it.effect("ASK-22 a declared error fails the stream, a crash of the actor does too", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(source([]))
    const refused = yield* Effect.flip(Stream.runDrain(ref.stream.Numbers({ to: -1 })))
    assert.deepStrictEqual(refused, new Refused({ why: "negative" }))
    assert.strictEqual(yield* ref.ask.Ping(), "pong")
    const gate = yield* Deferred.make<void>()
    const reading = yield* Effect.forkChild(
      Effect.flip(Stream.runForEach(ref.stream.Numbers({ to: 1_000 }), () => Deferred.await(gate)))
    )
    yield* Effect.yieldNow
    yield* Effect.yieldNow
    yield* ref.tell.Crash()
    yield* ref.ended
    yield* Deferred.succeed(gate, undefined)
    const error = yield* Fiber.join(reading)
    assert.strictEqual(error._tag === "AskError" && error.reason._tag, "NotRunning")
    const gone = yield* Effect.flip(Stream.runDrain(ref.stream.Numbers({ to: 1 })))
    assert.strictEqual(gone._tag, "AskError")
  }).pipe(quiet)
)
