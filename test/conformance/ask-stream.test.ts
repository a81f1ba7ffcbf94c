/** ASK: replies that are streams. */
import { assert, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber, Queue, Schema, Stream } from "effect"
import { Actor, ActorRef, ActorSystem, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

class Source extends Actor.Service<Source>()("test/Source", {
  /** The numbers from 1; a negative end is refused. */
  Numbers: { payload: { to: Schema.Int }, success: Schema.Int, error: Refused, stream: true },
  /** Two numbers, then a failure that no message declares. */
  Broken: { success: Schema.Int, stream: true },
  Ping: { success: Schema.String },
  Hold: {},
  Crash: {}
}) {}

/** What producers do is written into `log`; `Hold` keeps the actor busy until `gate`. */
const source = (log: Array<string>, gate: Deferred.Deferred<void> = Deferred.makeUnsafe()) =>
  Source.behavior(
    Effect.succeed(
      Source.of({
        Numbers: ({ to }) =>
          to < 0
            ? Stream.fail(new Refused({ why: "negative" }))
            : Stream.range(1, to, 1).pipe(
                Stream.tap((n) => Effect.sync(() => log.push(`made ${n}`))),
                Stream.ensuring(Effect.sync(() => log.push("over")))
              ),
        Broken: () => Stream.concat(Stream.make(1, 2), Stream.fail("broken")),
        Ping: () => "pong",
        Hold: () => Deferred.await(gate),
        Crash: () => Effect.die("crash")
      })
    )
  )

const settle = Effect.repeat(Effect.yieldNow, { times: 50 })

/** Reads a stream one by one, each when it is asked for. */
const reader = <A, E>(stream: Stream.Stream<A, E>) =>
  Effect.gen(function* () {
    const permits = yield* Queue.unbounded<void>()
    const read: Array<A> = []
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(stream, (value) =>
        Effect.andThen(
          Effect.sync(() => read.push(value)),
          Queue.take(permits)
        )
      )
    )
    yield* settle
    const next = Effect.andThen(Queue.offer(permits, undefined), settle)
    return { fiber, next, read }
  })

it.effect("ASK-22 all in order, the producer as slow as the consumer plus the buffer", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const ref = ActorRef.withBuffer(yield* Actor.spawn(source(log)), 2)
    const { fiber, next, read } = yield* reader(ref.stream.Numbers({ to: 98 }))
    // One is read, others are on their way to the reader or buffered, one waits for room.
    assert.deepStrictEqual(read, [1])
    assert.isAtMost(log.length, 6)
    const made = log.length
    // The actor itself is free meanwhile.
    assert.strictEqual(yield* ref.ask.Ping(), "pong")
    yield* next
    assert.deepStrictEqual(read, [1, 2])
    assert.isAtMost(log.length, made + 1)
    for (let n = 0; n < 97; n++) yield* next
    yield* Fiber.join(fiber)
    assert.strictEqual(read.length, 98)
    assert.deepStrictEqual(log.slice(98), ["over"])
  })
)

it.effect("ASK-22 cancelling after two runs the producer's finalizer before it completes", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const ref = ActorRef.withBuffer(yield* Actor.spawn(source(log)), 2)
    assert.deepStrictEqual(yield* ref.stream.Numbers({ to: 1_000 }).pipe(Stream.take(2), Stream.runCollect), [1, 2])
    assert.strictEqual(log.at(-1), "over")
    assert.isBelow(log.length, 8)
    const made = log.length
    assert.strictEqual(yield* ref.ask.Ping(), "pong")
    yield* settle
    assert.strictEqual(log.length, made)
  })
)

it.effect("ASK-22 an interrupted consumer cancels as well, also one whose request is still queued", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const gate = yield* Deferred.make<void>()
    const ref = yield* Actor.spawn(source(log, gate))
    const begun = yield* reader(ref.stream.Numbers({ to: 1_000 }))
    yield* Fiber.interrupt(begun.fiber)
    assert.strictEqual(log.at(-1), "over")
    log.length = 0
    yield* ref.tell.Hold()
    const queued = yield* reader(ref.stream.Numbers({ to: 1_000 }))
    assert.strictEqual(ref.size, 1)
    yield* Fiber.interrupt(queued.fiber)
    yield* Deferred.succeed(gate, undefined)
    assert.strictEqual(yield* ref.ask.Ping(), "pong")
    assert.deepStrictEqual([log, yield* ActorSystem.deadLetters], [[], []])
  })
)

it.effect("ASK-22 a declared error fails the stream and is no crash", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(source([]))
    const refused = yield* Effect.flip(Stream.runDrain(ref.stream.Numbers({ to: -1 })))
    assert.deepStrictEqual(refused, new Refused({ why: "negative" }))
    assert.strictEqual(yield* ref.ask.Ping(), "pong")
  })
)

it.effect("ASK-22 a crash of the actor fails the stream, behind what was made before", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const ref = ActorRef.withBuffer(yield* Actor.spawn(source(log)), 2)
    const { fiber, next, read } = yield* reader(ref.stream.Numbers({ to: 1_000 }))
    yield* ref.tell.Crash()
    yield* ref.ended
    assert.strictEqual(log.at(-1), "over")
    for (let n = 0; n < 5; n++) yield* next
    const error = yield* Effect.flip(Fiber.join(fiber))
    assert.deepStrictEqual(read.slice(0, 3), [1, 2, 3])
    const reason = error._tag === "AskError" ? error.reason : undefined
    assert.strictEqual(reason?._tag, "NotRunning")
    const exit = reason?._tag === "NotRunning" ? reason.exit : undefined
    assert.strictEqual(exit?._tag === "Failed" && Cause.squash(exit.cause), "crash")
  }).pipe(quiet)
)

it.effect("ASK-22 a failure that is not declared fails the stream and crashes the actor", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(source([]))
    const { fiber, next, read } = yield* reader(ref.stream.Broken())
    yield* next
    yield* next
    const { reason } = yield* Effect.flip(Fiber.join(fiber))
    assert.deepStrictEqual(read, [1, 2])
    assert.strictEqual(reason._tag === "HandlerFailed" && Cause.squash(reason.cause as Cause.Cause<unknown>), "broken")
    const ended = yield* ref.ended
    assert.strictEqual(ended._tag === "Failed" && Cause.squash(ended.cause), "broken")
  }).pipe(quiet)
)

it.effect("ASK-22 a stream that a restart cuts off says so, and can be asked for again", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const tree = Supervisor.make("top", { children: [source(log)] })
    const supervisor = yield* Supervisor.start(tree)
    const ref = yield* Effect.provideContext(Source, supervisor.services)
    const stream = ref.pipe(ActorRef.withBuffer(1)).stream.Numbers({ to: 100 })
    const { fiber, next } = yield* reader(stream)
    yield* ref.tell.Crash()
    assert.strictEqual(yield* ref.ask.Ping(), "pong")
    assert.strictEqual(log.at(-1), "over")
    for (let n = 0; n < 4; n++) yield* next
    const error = yield* Effect.flip(Fiber.join(fiber))
    assert.strictEqual(error._tag === "AskError" && error.reason._tag, "Restarting")
    assert.deepStrictEqual(yield* stream.pipe(Stream.take(2), Stream.runCollect), [1, 2])
  }).pipe(quiet)
)

/** How a stream fails whose producer's actor is ended by `end`. */
const failureAfter = <E>(ref: ActorRef.ActorRef<Source>, end: Effect.Effect<unknown, E>) =>
  Effect.gen(function* () {
    const { fiber, next } = yield* reader(ref.pipe(ActorRef.withBuffer(1)).stream.Numbers({ to: 1_000 }))
    yield* end
    for (let n = 0; n < 4; n++) yield* next
    const error = yield* Effect.flip(Fiber.join(fiber))
    const reason = error._tag === "AskError" ? error.reason : undefined
    return reason?._tag === "NotRunning" ? `ended: ${reason.exit._tag}` : reason?._tag
  })

it.effect("ASK-22 a stop or a kill in the middle of a stream fails it with the reason of the end", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const stopped = yield* Actor.spawn(source(log))
    assert.strictEqual(yield* failureAfter(stopped, Actor.stop(stopped)), "ended: Shutdown")
    assert.strictEqual(log.at(-1), "over")
    const killed = yield* Actor.spawn(source(log))
    assert.strictEqual(yield* failureAfter(killed, Actor.kill(killed)), "ended: Killed")
  })
)

it.effect("ASK-22 a crash that no restart follows fails the stream with the end, also under a supervisor", () =>
  Effect.gen(function* () {
    const child = Supervisor.child(source([]), { restart: "temporary" })
    const supervisor = yield* Supervisor.start(Supervisor.make("top", { children: [child] }))
    const ref = yield* Effect.provideContext(Source, supervisor.services)
    assert.strictEqual(yield* failureAfter(ref, Effect.andThen(ref.tell.Crash(), ref.ended)), "ended: Failed")
  }).pipe(quiet)
)

it.effect("ASK-22 an ended actor and a full mailbox fail the stream at once", () =>
  Effect.gen(function* () {
    const ended = yield* Actor.spawn(source([]))
    yield* Actor.stop(ended)
    const gone = yield* Effect.flip(Stream.runDrain(ended.stream.Numbers({ to: 1 })))
    assert.strictEqual(gone._tag === "AskError" && gone.reason._tag, "NotRunning")
    const gate = yield* Deferred.make<void>()
    const handlers = Source.of({
      Numbers: () => Stream.empty,
      Broken: () => Stream.empty,
      Ping: () => "pong",
      Hold: () => Deferred.await(gate),
      Crash: () => {}
    })
    const mailbox = { capacity: 1, overflow: "reject" } as const
    const full = yield* Actor.spawn(Source.behavior(Effect.succeed(handlers), { mailbox }))
    yield* full.tell.Hold()
    yield* Effect.yieldNow
    yield* full.tell.Hold()
    const refused = yield* Effect.flip(Stream.runDrain(full.stream.Numbers({ to: 1 })))
    assert.strictEqual(refused._tag === "AskError" && refused.reason._tag, "MailboxFull")
    yield* Deferred.succeed(gate, undefined)
  })
)

it.effect("ASK-22 each run of a stream asks anew, and runs do not disturb each other", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(source([]))
    const stream = ref.stream.Numbers({ to: 3 })
    const both = yield* Effect.all([Stream.runCollect(stream), Stream.runCollect(stream)], { concurrency: 2 })
    assert.deepStrictEqual(both, [
      [1, 2, 3],
      [1, 2, 3]
    ])
  })
)

it.effect("ASK-22 a stream has no time limit of its own", () =>
  Effect.gen(function* () {
    const slow = Source.of({
      Numbers: ({ to }) => Stream.range(1, to).pipe(Stream.mapEffect((n) => Effect.delay(Effect.succeed(n), "1 hour"))),
      Broken: () => Stream.empty,
      Ping: () => "pong",
      Hold: () => {},
      Crash: () => {}
    })
    const ref = yield* Actor.spawn(Source.behavior(Effect.succeed(slow)))
    const all = yield* Effect.forkChild(Stream.runCollect(ref.stream.Numbers({ to: 3 })))
    yield* TestClock.adjust("3 hours")
    assert.deepStrictEqual(yield* Fiber.join(all), [1, 2, 3])
  })
)
