/** ASK: replies, time limits, and what becomes of a request that nobody answers or nobody waits for. */
import { assert, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Queue, Schema } from "effect"
import { Actor, ActorContext, ActorRef, ActorSystem } from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

class Echo extends Actor.Service<Echo>()("test/Echo", {
  Say: { payload: { n: Schema.Int }, success: Schema.Int },
  Slow: { payload: { n: Schema.Int }, success: Schema.Int },
  Refuse: { success: Schema.Int, error: Refused },
  /** Ends the actor, normally, and never replies. */
  Quit: { success: Schema.Int }
}) {}

/** Slow answers take a second. */
const EchoLive = Echo.behavior(
  Effect.succeed(
    Echo.of({
      Say: ({ n }) => n,
      Slow: ({ n }) => Effect.delay(Effect.succeed(n), "1 second"),
      Refuse: () => Effect.fail(new Refused({ why: "no" })),
      Quit: Actor.concurrent(() => Effect.andThen(ActorContext.stop, Effect.never))
    })
  )
)

it.effect("ASK-01 a typed reply", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    assert.strictEqual(yield* echo.ask.Say({ n: 7 }), 7)
  })
)

it.effect("the default limit is 5 seconds; infinity waits for ever", () =>
  Effect.gen(function* () {
    const never = Echo.behavior(
      Effect.succeed(Echo.of({ Say: () => Effect.never, Slow: () => 0, Refuse: () => 0, Quit: () => 0 }))
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

it.effect("ASK-13 a declared error is a reply, and no crash", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    assert.deepStrictEqual(yield* Effect.flip(echo.ask.Refuse()), new Refused({ why: "no" }))
    yield* echo.tell.Refuse()
    assert.strictEqual(yield* echo.ask.Say({ n: 1 }), 1)
  })
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

it.effect("ASK-03 a late reply is dropped: neither the asker nor its next ask sees it", () =>
  Effect.gen(function* () {
    const replied: Array<number> = []
    const slow = Echo.of({
      Say: ({ n }) => n,
      Slow: ({ n }) =>
        Effect.delay(
          Effect.sync(() => (replied.push(n), n)),
          "1 second"
        ),
      Refuse: () => 0,
      Quit: () => 0
    })
    const echo = yield* Actor.spawn(Echo.behavior(Effect.succeed(slow)))
    const late = yield* Effect.forkChild(Effect.flip(ActorRef.withTimeout(echo, "500 millis").ask.Slow({ n: 1 })))
    yield* TestClock.adjust("499 millis")
    assert.strictEqual(late.pollUnsafe(), undefined)
    yield* TestClock.adjust("1 milli")
    const error = yield* Fiber.join(late)
    assert.strictEqual(error.reason._tag === "Timeout" && Duration.toMillis(error.reason.after), 500)
    assert.deepStrictEqual([error.actor, error.request, error.payload], [echo.path, "Slow", { n: 1 }])
    const next = yield* Effect.forkChild(echo.ask.Say({ n: 2 }), { startImmediately: true })
    assert.deepStrictEqual(replied, [])
    yield* TestClock.adjust("500 millis")
    assert.deepStrictEqual(replied, [1])
    assert.strictEqual(yield* Fiber.join(next), 2)
    assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
  })
)

it.effect("ASK-06 an actor that ends normally without a reply says so at once, to all who wait", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    yield* echo.tell.Slow({ n: 0 })
    yield* Effect.yieldNow
    const asks = yield* Effect.forEach([echo.ask.Quit(), echo.ask.Say({ n: 1 })], (ask) =>
      Effect.forkChild(Effect.flip(ask), { startImmediately: true })
    )
    yield* TestClock.adjust("1 second")
    for (const ask of asks) {
      const { reason } = yield* Fiber.join(ask)
      assert.strictEqual(reason._tag === "NotRunning" && reason.exit._tag, "Normal")
    }
    assert.strictEqual((yield* echo.ended)._tag, "Normal")
  })
)

it.effect("ASK-06 one that is killed or crashes in the middle of a request says that", () =>
  Effect.gen(function* () {
    const killed = yield* Actor.spawn(EchoLive)
    const ask = yield* Effect.forkChild(Effect.flip(killed.ask.Slow({ n: 1 })), { startImmediately: true })
    yield* Actor.kill(killed)
    const { reason } = yield* Fiber.join(ask)
    assert.strictEqual(reason._tag === "NotRunning" && reason.exit._tag, "Killed")
    const crash = new Error("crash")
    const crashing = Echo.of({ Say: () => Effect.die(crash), Slow: () => 0, Refuse: () => 0, Quit: () => 0 })
    const crashed = yield* Actor.spawn(Echo.behavior(Effect.succeed(crashing)))
    const failed = (yield* Effect.flip(crashed.ask.Say({ n: 1 }))).reason
    assert.strictEqual(failed._tag === "HandlerFailed" && Cause.squash(failed.cause as Cause.Cause<unknown>), crash)
  }).pipe(quiet)
)

it.effect("ASK-07 telling the dead is harmless for the sender, and recorded", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    yield* Actor.stop(echo)
    yield* echo.tell.Say({ n: 1 })
    assert.isFalse(echo.tellUnsafe.Say({ n: 2 }))
    const reason = { _tag: "NotRunning", exit: { _tag: "Shutdown" } } as const
    assert.deepStrictEqual(
      yield* ActorSystem.deadLetters,
      [1, 2].map((n) => ({ recipient: echo.path, tag: "Say", payload: { n }, sender: undefined, reason }))
    )
  })
)

it.effect("ASK-07 a name that nobody knows is an error of the strict variant, which sends nothing", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    const error = yield* Effect.flip(ActorRef.tellUnknown(echo, { _tag: "Shout", payload: { n: 1 } }))
    assert.strictEqual(error._tag === "UnknownMessage" && error.tag, "Shout")
    assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
  })
)

/** An Echo with room for one, busy for `busy`, whose one place is taken. */
const fullEcho = (busy: Duration.Input) =>
  Effect.gen(function* () {
    const handlers = Echo.of({
      Say: ({ n }) => n,
      Slow: ({ n }) => Effect.delay(Effect.succeed(n), busy),
      Refuse: () => 0,
      Quit: () => 0
    })
    const echo = yield* Actor.spawn(Echo.behavior(Effect.succeed(handlers), { mailbox: { capacity: 1 } }))
    yield* Effect.addFinalizer(() => Actor.kill(echo))
    yield* echo.tell.Slow({ n: 0 })
    yield* Effect.yieldNow
    yield* echo.tell.Slow({ n: 0 })
    return echo
  })

it.effect("ASK-15 no room within the mailbox's limit: that kind of error, with the message", () =>
  Effect.gen(function* () {
    const echo = yield* fullEcho("10 seconds")
    const limited = ActorRef.withTimeout(echo, "1 second", { mailbox: "50 millis" })
    const ask = yield* Effect.forkChild(Effect.flip(limited.ask.Say({ n: 5 })))
    yield* TestClock.adjust("49 millis")
    assert.strictEqual(ask.pollUnsafe(), undefined)
    yield* TestClock.adjust("1 milli")
    const { payload, reason } = yield* Fiber.join(ask)
    assert.deepStrictEqual(reason._tag === "MailboxFull" && [reason.capacity, reason.waited], [1, 50])
    assert.deepStrictEqual(payload, { n: 5 })
  })
)

it.effect("ASK-15 room in time but no reply in time: the other kind", () =>
  Effect.gen(function* () {
    const echo = yield* fullEcho("600 millis")
    const limited = ActorRef.withTimeout(echo, "1 second", { mailbox: "700 millis" })
    const ask = yield* Effect.forkChild(Effect.flip(limited.ask.Say({ n: 5 })))
    yield* TestClock.adjust("999 millis")
    assert.strictEqual(ask.pollUnsafe(), undefined)
    yield* TestClock.adjust("1 milli")
    assert.strictEqual((yield* Fiber.join(ask)).reason._tag, "Timeout")
  })
)

it.effect("ASK-19 pending asks as a collection: each answer with its label, in the order of arrival", () =>
  Effect.gen(function* () {
    const answered: Array<number> = []
    const delayed = Echo.of({
      Say: ({ n }) =>
        Effect.delay(
          Effect.sync(() => (answered.push(n), n)),
          `${(5 - n) * 10} millis`
        ),
      Slow: () => 0,
      Refuse: () => 0,
      Quit: () => 0
    })
    const echoes = yield* Effect.all(
      Array.from({ length: 5 }, () => Actor.spawn(Echo.behavior(Effect.succeed(delayed))))
    )
    const arrived = yield* Queue.unbounded<readonly [string, number]>()
    const pending = yield* Effect.forEach(echoes, (echo, n) =>
      Effect.forkChild(Effect.flatMap(echo.ask.Say({ n }), (reply) => Queue.offer(arrived, [`label ${n}`, reply])))
    )
    yield* TestClock.adjust("20 millis")
    assert.deepStrictEqual(yield* Queue.take(arrived), ["label 4", 4])
    assert.deepStrictEqual(yield* Queue.take(arrived), ["label 3", 3])
    yield* Fiber.interruptAll(pending)
    yield* TestClock.adjust("1 second")
    // What had begun is finished, and nobody hears of it.
    assert.deepStrictEqual(answered, [4, 3, 2, 1, 0])
    assert.strictEqual(yield* Queue.size(arrived), 0)
    assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
  })
)

it.effect("ASK-19 an abandoned ask that has not begun is never handled", () =>
  Effect.gen(function* () {
    const echo = yield* Actor.spawn(EchoLive)
    yield* echo.tell.Slow({ n: 0 })
    yield* Effect.yieldNow
    const ask = yield* Effect.forkChild(echo.ask.Quit(), { startImmediately: true })
    assert.strictEqual(echo.size, 1)
    yield* Fiber.interrupt(ask)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* echo.ask.Say({ n: 3 }), 3)
    assert.deepStrictEqual([echo.status, yield* ActorSystem.deadLetters], ["running", []])
  })
)

it.effect("ASK-19 an abandoned ask that waits for room takes none from those behind it", () =>
  Effect.gen(function* () {
    const echo = yield* fullEcho("1 second")
    const asks = yield* Effect.forEach([1, 2, 3], (n) =>
      Effect.forkChild(ActorRef.withTimeout(echo, n === 3 ? "500 millis" : "1 minute").ask.Say({ n }), {
        startImmediately: true
      })
    )
    const tell = yield* Effect.forkChild(echo.tell.Say({ n: 4 }), { startImmediately: true })
    yield* Fiber.interruptAll(asks.slice(0, 2))
    yield* TestClock.adjust("999 millis")
    assert.strictEqual(tell.pollUnsafe(), undefined)
    yield* TestClock.adjust("1 milli")
    assert.isTrue(tell.pollUnsafe() !== undefined && Exit.isSuccess(tell.pollUnsafe()!))
    assert.strictEqual(echo.size, 1)
  })
)
