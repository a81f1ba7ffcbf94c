/** Handlers that take several messages at once: what is in a batch, when it goes, and who hears what of it. */
import { assert, describe, it } from "@effect/vitest"
import { Array, Cause, Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorRef, ActorSystem, type Behavior, Supervisor } from "effect-otp"
import { quiet } from "../support/recording.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { batch: Schema.Array(Schema.Int) }) {}

class Doubler extends Actor.Service<Doubler>()("test/Doubler", {
  Hold: {},
  Double: { payload: { n: Schema.Int }, success: Schema.Int, error: Refused },
  Note: { payload: { n: Schema.Int } }
}) {}

interface Options {
  readonly maxSize?: number
  readonly maxDelay?: number
  readonly preferredSizes?: ReadonlyArray<number>
  readonly mailbox?: Behavior.MailboxOptions
}

const REFUSED = 13
const POISON = 66
const SHORT = 99

/** An actor that is held until its gate opens, and the batches it has been given. */
const doubler = ({ maxDelay = 0, maxSize = 4, mailbox, preferredSizes = [] }: Options = {}) => {
  const batches: Array<ReadonlyArray<number>> = []
  const gate = Deferred.makeUnsafe<void>()
  const behavior = Doubler.behavior(
    Effect.sync(() =>
      Doubler.of({
        Hold: () => Deferred.await(gate),
        Double: Actor.batched({
          maxSize,
          maxDelay,
          preferredSizes,
          run: (batch) => {
            const numbers = Array.map(batch, ({ n }) => n)
            batches.push(numbers)
            if (numbers.includes(REFUSED)) return Effect.fail(new Refused({ batch: numbers }))
            if (numbers.includes(POISON)) return Effect.die("poison")
            return Effect.succeed(numbers.filter((n) => n !== SHORT).map((n) => n * 2))
          }
        }),
        Note: Actor.batched({ maxSize, run: (batch) => Effect.sync(() => void batches.push(batch.map(({ n }) => -n))) })
      })
    ),
    mailbox === undefined ? {} : { mailbox }
  )
  return { batches, behavior, open: Deferred.succeed(gate, undefined) }
}

const ask = (ref: ActorRef.ActorRef<Doubler>) => (n: number) => Effect.exit(ref.ask.Double({ n }))

/** What the askers heard, in short. */
const outcomes = (exits: ReadonlyArray<Exit.Exit<number, unknown>>) =>
  exits.map((exit) => {
    if (Exit.isSuccess(exit)) return exit.value
    const error = Cause.squash(exit.cause) as { readonly _tag: string; readonly reason?: { readonly _tag: string } }
    return error.reason?._tag ?? error._tag
  })

/** Asks all at once while the actor is held, then opens the gate. */
const askHeld = (numbers: ReadonlyArray<number>, options: Options = {}) =>
  Effect.gen(function* () {
    const { batches, behavior, open } = doubler(options)
    const ref = yield* Actor.spawn(behavior)
    yield* ref.tell.Hold()
    const asking = yield* Effect.forkChild(Effect.forEach(numbers, ask(ref), { concurrency: "unbounded" }))
    yield* Effect.yieldNow
    yield* open
    return { batches, heard: outcomes(yield* Fiber.join(asking)), ref }
  })

describe("what is in a batch", () => {
  it.effect("P6 what waits, up to maxSize, each asker with its own answer", () =>
    Effect.gen(function* () {
      const { batches, heard } = yield* askHeld([1, 2, 3, 4, 5, 6])
      assert.deepStrictEqual(batches, [
        [1, 2, 3, 4],
        [5, 6]
      ])
      assert.deepStrictEqual(heard, [2, 4, 6, 8, 10, 12])
    })
  )

  it.effect("those who ask an idle actor at the same time, each fiber by itself", () =>
    Effect.gen(function* () {
      const { batches, behavior } = doubler({ maxSize: 64 })
      const ref = yield* Actor.spawn(behavior)
      const caller = (n: number) => Effect.forEach([n, n + 10], ask(ref))
      yield* Effect.forEach([1, 2, 3], caller, { concurrency: "unbounded" })
      assert.deepStrictEqual(batches, [
        [1, 2, 3],
        [11, 12, 13]
      ])
    })
  )

  it.effect("nothing behind a message of another kind: a batch overtakes nothing", () =>
    Effect.gen(function* () {
      const { batches, behavior, open } = doubler()
      const ref = yield* Actor.spawn(behavior)
      ref.tellUnsafe.Hold()
      for (const n of [1, 2]) ref.tellUnsafe.Double({ n })
      ref.tellUnsafe.Note({ n: 3 })
      ref.tellUnsafe.Double({ n: 4 })
      yield* open
      yield* ask(ref)(5)
      assert.deepStrictEqual(batches, [[1, 2], [-3], [4, 5]])
    })
  )

  it.effect("the most urgent first", () =>
    Effect.gen(function* () {
      const { batches, behavior, open } = doubler({ maxSize: 2 })
      const ref = yield* Actor.spawn(behavior)
      const urgent = ref.pipe(ActorRef.withPriority(200))
      ref.tellUnsafe.Hold()
      yield* Effect.yieldNow
      for (const n of [1, 2, 3]) ref.tellUnsafe.Double({ n })
      for (const n of [4, 5, 6]) urgent.tellUnsafe.Double({ n })
      yield* open
      yield* ask(ref)(7)
      assert.deepStrictEqual(batches, [[4, 5], [6, 1], [2, 3], [7]])
    })
  )

  it.effect("not those whose askers have gone", () =>
    Effect.gen(function* () {
      const { batches, behavior, open } = doubler()
      const ref = yield* Actor.spawn(behavior)
      yield* ref.tell.Hold()
      const [first, second, third] = yield* Effect.forEach([1, 2, 3], (n) => Effect.forkChild(ref.ask.Double({ n })))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(second!)
      yield* open
      assert.deepStrictEqual([yield* Fiber.join(first!), yield* Fiber.join(third!)], [2, 6])
      assert.deepStrictEqual(batches, [[1, 3]])
    })
  )

  it.effect("called by hand, a batch of one", () =>
    Effect.gen(function* () {
      const handler = Actor.batched({
        maxSize: 9,
        run: (batch: ReadonlyArray<number>) => Effect.succeed(batch.map((n) => n + 1))
      })
      assert.strictEqual(yield* handler(1), 2)
    })
  )
})

describe("when it goes", () => {
  /** Asks an idle actor that waits 10 ms for more, then does something, and tells the batches that have gone by then. */
  const afterOneAsk = (
    options: Options,
    then: (ref: ActorRef.ActorRef<Doubler>) => Effect.Effect<unknown>,
    heard: ReadonlyArray<number | string> = [2]
  ) =>
    Effect.gen(function* () {
      const { batches, behavior } = doubler({ maxDelay: 10, ...options })
      const ref = yield* Actor.spawn(behavior)
      const asking = yield* Effect.forkChild(ask(ref)(1))
      yield* TestClock.adjust("9 millis")
      assert.deepStrictEqual(batches, [])
      yield* then(ref)
      assert.deepStrictEqual(outcomes([yield* Fiber.join(asking)]), heard)
      return batches
    })

  it.effect("with maxDelay, when that is over", () =>
    Effect.gen(function* () {
      const batches = yield* afterOneAsk({}, (ref) =>
        Effect.andThen(ref.tell.Double({ n: 2 }), TestClock.adjust("1 millis"))
      )
      assert.deepStrictEqual(batches, [[1, 2]])
    })
  )

  it.effect("at once when it is full", () =>
    Effect.gen(function* () {
      const batches = yield* afterOneAsk({}, (ref) => Effect.forEach([2, 3, 4], ask(ref), { concurrency: "unbounded" }))
      assert.deepStrictEqual(batches, [[1, 2, 3, 4]])
    })
  )

  it.effect("at once when another kind of message is next", () =>
    Effect.gen(function* () {
      const batches = yield* afterOneAsk({}, (ref) => ref.tell.Note({ n: 2 }))
      assert.deepStrictEqual(batches[0], [1])
    })
  )

  it.effect("at once when the actor drains", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* afterOneAsk({}, Actor.drain), [[1]])
    })
  )

  it.effect("never when the actor is killed, and then no message is looked at any more", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* afterOneAsk({}, Actor.kill, ["NotRunning"]), [])
    })
  )

  it.effect("at once when the mailbox takes no more, so that senders who wait for room are let in", () =>
    Effect.gen(function* () {
      const { batches, behavior } = doubler({ maxDelay: 10, maxSize: 8, mailbox: { capacity: 2 } })
      const ref = yield* Actor.spawn(behavior)
      const asking = yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4, 5], ask(ref), { concurrency: "unbounded" }))
      yield* TestClock.adjust("20 millis")
      assert.deepStrictEqual(outcomes(yield* Fiber.join(asking)), [2, 4, 6, 8, 10])
      assert.deepStrictEqual(batches.flat(), [1, 2, 3, 4, 5])
    })
  )

  it.effect("bytes fill a mailbox too", () =>
    Effect.gen(function* () {
      const mailbox = { bytes: 2, sizeOf: () => 1 }
      const { batches, behavior } = doubler({ maxDelay: 10, maxSize: 8, mailbox })
      const ref = yield* Actor.spawn(behavior)
      const asking = yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4, 5], ask(ref), { concurrency: "unbounded" }))
      yield* TestClock.adjust("20 millis")
      assert.deepStrictEqual(outcomes(yield* Fiber.join(asking)), [2, 4, 6, 8, 10])
      assert.deepStrictEqual(batches.flat(), [1, 2, 3, 4, 5])
    })
  )
})

describe("who hears what", () => {
  it.effect("a declared failure is the answer to all of the batch, and to nobody else", () =>
    Effect.gen(function* () {
      const { heard, ref } = yield* askHeld([1, REFUSED, 3, 4, 5, 6])
      assert.deepStrictEqual(heard, ["Refused", "Refused", "Refused", "Refused", 10, 12])
      assert.strictEqual(ref.status, "running")
    })
  )

  /** The same under a supervisor that restarts it. */
  const supervised = (numbers: ReadonlyArray<number>, options: Options = {}) =>
    Effect.gen(function* () {
      const { batches, behavior, open } = doubler(options)
      const tree = Supervisor.make("top", { intensity: { restarts: 10, within: "1 minute" }, children: [behavior] })
      const top = yield* Supervisor.start(tree)
      const ref = yield* Doubler.pipe(Effect.provide(top.services))
      yield* ref.tell.Hold()
      const asking = yield* Effect.forkChild(Effect.forEach(numbers, ask(ref), { concurrency: "unbounded" }))
      yield* Effect.yieldNow
      yield* open
      return { batches, heard: outcomes(yield* Fiber.join(asking)) }
    }).pipe(quiet)

  it.effect("a crash is told to all of the batch; what waited is handled by the next run", () =>
    Effect.gen(function* () {
      const { batches, heard } = yield* supervised([1, POISON, 3, 4, 5, 6])
      assert.deepStrictEqual(heard, ["HandlerFailed", "HandlerFailed", "HandlerFailed", "HandlerFailed", 10, 12])
      assert.deepStrictEqual(batches, [
        [1, POISON, 3, 4],
        [5, 6]
      ])
    })
  )

  it.effect("with redelivery, only the message that crashes it is lost", () =>
    Effect.gen(function* () {
      const { batches, heard } = yield* supervised([1, 2, POISON, 4, 5], { maxSize: 8, mailbox: { redeliver: 1 } })
      assert.deepStrictEqual(heard, [2, 4, "HandlerFailed", 8, 10])
      // Taken apart after the first crash, until the one that did it is found; it is tried again once.
      assert.deepStrictEqual(batches, [[1, 2, POISON, 4, 5], [1], [2], [POISON], [POISON], [4, 5]])
    })
  )

  it.effect("another number of answers than messages is a crash that says so", () =>
    Effect.gen(function* () {
      const failures: Array<unknown> = []
      yield* ActorSystem.onEvent((event) => {
        if (event._tag === "ActorFailed") failures.push(Cause.squash(event.cause))
      })
      const { heard } = yield* askHeld([1, SHORT, 3]).pipe(quiet)
      assert.deepStrictEqual(heard, ["HandlerFailed", "HandlerFailed", "HandlerFailed"])
      const [failure] = failures
      assert.instanceOf(failure, Actor.BatchMismatch)
      assert.match(failure.message, /a batch of 3 Double got 2 answers; run must give one per message, in order/)
    })
  )
})

it.effect.each([
  [{ maxSize: 0 }, /test\/Doubler: Double\.maxSize must be a whole number of 1 or more, got 0/],
  [{ maxSize: 2.5 }, /Double\.maxSize/],
  [{ maxDelay: Number.NaN }, /Double\.maxDelay must be a finite duration/],
  [{ maxDelay: Infinity }, /Double\.maxDelay must be a finite duration/]
] as const)("options that make no sense fail the start: %o", ([options, message]) =>
  Effect.gen(function* () {
    const exit = yield* Effect.exit(Actor.spawn(doubler(options).behavior))
    assert.isTrue(Exit.isFailure(exit))
    if (Exit.isFailure(exit)) assert.match(String(Cause.squash(exit.cause)), message)
  })
)

describe("preferred sizes", () => {
  const sized = (preferredSizes: ReadonlyArray<number>, numbers: ReadonlyArray<number>, maxDelay = 0) =>
    Effect.gen(function* () {
      const { batches, behavior, open } = doubler({ maxSize: 8, maxDelay, preferredSizes })
      const ref = yield* Actor.spawn(behavior)
      yield* ref.tell.Hold()
      const asking = yield* Effect.forkChild(Effect.forEach(numbers, ask(ref), { concurrency: "unbounded" }))
      yield* Effect.yieldNow
      yield* open
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        outcomes(yield* Fiber.join(asking)),
        numbers.map((n) => n * 2)
      )
      return batches
    }).pipe(Effect.scoped)

  it.effect("a batch is cut to the largest that it reaches, the rest is for the next, in order", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sized([2, 4], [1, 2, 3, 4, 5, 6, 7]), [[1, 2, 3, 4], [5, 6], [7]])
      assert.deepStrictEqual(yield* sized([4], [1, 2, 3, 4, 5, 6, 7, 8, 9]), [[1, 2, 3, 4, 5, 6, 7, 8], [9]])
    })
  )

  it.effect("one that reaches none waits for it, then is handled as it is", () =>
    Effect.gen(function* () {
      const { batches, behavior } = doubler({ maxSize: 8, maxDelay: 100, preferredSizes: [2, 4] })
      const ref = yield* Actor.spawn(behavior)
      const one = yield* Effect.forkChild(ask(ref)(1))
      yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(batches, [])
      const two = yield* Effect.forkChild(ask(ref)(2))
      yield* TestClock.adjust("0 millis")
      assert.deepStrictEqual(batches, [[1, 2]])
      const three = yield* Effect.forkChild(ask(ref)(3))
      yield* TestClock.adjust("99 millis")
      assert.deepStrictEqual(batches, [[1, 2]])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(batches, [[1, 2], [3]])
      yield* Effect.forEach([one, two, three], Fiber.join)
    }).pipe(Effect.scoped)
  )

  it.effect("sizes that no batch can have", () =>
    Effect.gen(function* () {
      const { behavior } = doubler({ maxSize: 8, preferredSizes: [16] })
      const exit = yield* Effect.exit(Effect.scoped(Actor.spawn(behavior)))
      assert.isTrue(Exit.isFailure(exit))
      const error = Cause.squash((exit as Exit.Failure<unknown, unknown>).cause) as Error
      assert.include(error.message, "Double.preferredSizes must be whole numbers from 1 to 8, got [16]")
    })
  )
})

it.effect("POOL-24 batching by size or time: one of 4 at once, one of 2 after 100 ms, each its own answer", () =>
  Effect.gen(function* () {
    const { batches, behavior } = doubler({ maxSize: 4, maxDelay: 100 })
    const ref = yield* Actor.spawn(behavior)
    const asking = yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4, 5, 6], ask(ref), { concurrency: "unbounded" }))
    yield* TestClock.adjust("0 millis")
    assert.deepStrictEqual(batches, [[1, 2, 3, 4]])
    yield* TestClock.adjust("99 millis")
    assert.deepStrictEqual(batches, [[1, 2, 3, 4]])
    yield* TestClock.adjust("1 millis")
    assert.deepStrictEqual(batches, [
      [1, 2, 3, 4],
      [5, 6]
    ])
    assert.deepStrictEqual(outcomes(yield* Fiber.join(asking)), [2, 4, 6, 8, 10, 12])
  }).pipe(Effect.scoped)
)
