/** The delays between restarts. */
import { assert, it } from "@effect/vitest"
import { Cause, Data, Duration, Effect, Random, Schedule } from "effect"
import { Backoff } from "effect-otp"
import { isBackoff, Steps } from "../../src/supervision/Backoff.ts"

class Busy extends Data.TaggedError("Busy")<{ readonly retryAfter: number }> {}

const boom = Cause.fail("boom")

/** The next `count` delays. */
const delays = (steps: Steps, count: number) => Effect.replicateEffect(steps.next(0, boom), count)

const steps = (backoff: Backoff.Backoff<never>) => new Steps(backoff as Backoff.Backoff<unknown>)

type Options = Parameters<typeof Backoff.exponential>[0]

// --- exponential ---

it.effect("exponential: doubles from min, capped at max", () =>
  Effect.gen(function* () {
    const backoff = Backoff.exponential({ min: "3 seconds", max: "30 seconds" })
    assert.deepStrictEqual(yield* delays(steps(backoff), 7), [3_000, 6_000, 12_000, 24_000, 30_000, 30_000, 30_000])
  })
)

it.effect("exponential: any factor from 1 on", () =>
  Effect.gen(function* () {
    const of = (factor: number) => delays(steps(Backoff.exponential({ min: 10, max: 1_000, factor })), 5)
    assert.deepStrictEqual(yield* of(1), [10, 10, 10, 10, 10])
    assert.deepStrictEqual(yield* of(1.5), [10, 15, 22.5, 33.75, 50.625])
    assert.deepStrictEqual(yield* of(10), [10, 100, 1_000, 1_000, 1_000])
  })
)

it.effect("exponential: min and max alike are a fixed delay, and both may be 0", () =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* delays(steps(Backoff.exponential({ min: 5, max: 5 })), 3), [5, 5, 5])
    assert.deepStrictEqual(yield* delays(steps(Backoff.exponential({ min: 0, max: 0 })), 3), [0, 0, 0])
  })
)

it.effect("exponential: it never ends", () =>
  Effect.gen(function* () {
    const many = yield* delays(steps(Backoff.exponential({ min: 1, max: 1_000 })), 2_000)
    assert.strictEqual(many.at(-1), 1_000)
  })
)

it.effect("exponential: jitter adds up to its share, and grows with the delay", () =>
  Effect.gen(function* () {
    const some = yield* delays(steps(Backoff.exponential({ min: 100, max: 800, jitter: 0.5 })), 200)
    const bases = some.map((_, i) => Math.min(800, 100 * 2 ** i))
    assert.isTrue(some.every((delay, i) => delay! >= bases[i]! && delay! <= bases[i]! * 1.5))
    const spread = some.slice(3).map((delay) => delay! / 800)
    assert.isBelow(Math.min(...spread), 1.1)
    assert.isAbove(Math.max(...spread), 1.4)
  }).pipe(Random.withSeed("jitter"))
)

it.effect("exponential: jitter is drawn through Random, so a seed repeats it", () =>
  Effect.gen(function* () {
    const drawn = (seed: string) =>
      delays(steps(Backoff.exponential({ min: 100, max: 800, jitter: 0.5 })), 10).pipe(Random.withSeed(seed))
    const first = yield* drawn("one")
    assert.deepStrictEqual(yield* drawn("one"), first)
    assert.notDeepEqual(yield* drawn("two"), first)
  })
)

it("exponential: resetAfter is the mean of min and max unless given", () => {
  assert.strictEqual(Backoff.exponential({ min: "1 second", max: "9 seconds" }).resetAfter, 5_000)
  assert.strictEqual(Backoff.exponential({ min: 1, max: 9, resetAfter: "1 minute" }).resetAfter, 60_000)
  assert.strictEqual(Backoff.exponential({ min: 1, max: 9, resetAfter: 0 }).resetAfter, 0)
})

const refused: ReadonlyArray<readonly [string, Options, unknown]> = [
  ["min", { min: -5, max: 5 }, -5],
  ["min", { min: "soon" as never, max: 5 }, "soon"],
  ["max", { min: 5, max: 4 }, 4],
  ["max", { min: 5, max: "later" as never }, "later"],
  ["factor", { min: 1, max: 5, factor: 0.5 }, 0.5],
  ["factor", { min: 1, max: 5, factor: NaN }, NaN],
  ["jitter", { min: 1, max: 5, jitter: -0.1 }, -0.1],
  ["jitter", { min: 1, max: 5, jitter: NaN }, NaN],
  ["jitter", { min: 1, max: 5, jitter: Infinity }, Infinity],
  ["resetAfter", { min: 1, max: 5, resetAfter: -1 }, -1]
]

it.each(refused)("exponential: a senseless %s is refused at once (%o)", (field, options, value) => {
  try {
    Backoff.exponential(options)
  } catch (error) {
    assert.instanceOf(error, Backoff.InvalidBackoff)
    assert.deepStrictEqual([error.field, error.value], [field, value])
    assert.strictEqual(error.message, `Backoff: ${field} cannot be ${String(value)}`)
    return
  }
  assert.fail("it was accepted")
})

// --- make ---

it("make: keeps the schedule; resetAfter is 30 seconds unless given", () => {
  const schedule = Schedule.spaced("1 second")
  assert.strictEqual(Backoff.make(schedule).schedule, schedule)
  assert.strictEqual(Backoff.make(schedule).resetAfter, 30_000)
  assert.strictEqual(Backoff.make(schedule, { resetAfter: Duration.infinity }).resetAfter, Infinity)
})

it("a schedule is no backoff until it is made one", () => {
  assert.isTrue(isBackoff(Backoff.make(Schedule.forever)))
  assert.isTrue(isBackoff(Backoff.exponential({ min: 1, max: 2 })))
  for (const other of [Schedule.forever, {}, null, undefined, "1 second"]) assert.isFalse(isBackoff(other))
})

// --- step by step ---

it.effect("steps: a schedule that has come to its end gives no delay, then or later", () =>
  Effect.gen(function* () {
    const some = steps(Backoff.make(Schedule.spaced(10).pipe(Schedule.upTo({ times: 2 }))))
    assert.deepStrictEqual(yield* delays(some, 4), [10, 10, undefined, undefined])
  })
)

it.effect("steps: the schedule sees the failure itself", () =>
  Effect.gen(function* () {
    const schedule = Schedule.forever.pipe(
      Schedule.setInputType<Busy>(),
      Schedule.while(({ input }) => input instanceof Busy && input.retryAfter < 100)
    )
    const some = steps(Backoff.make(schedule))
    assert.strictEqual(yield* some.next(0, Cause.fail(new Busy({ retryAfter: 5 }))), 0)
    assert.strictEqual(yield* some.next(0, Cause.fail(new Busy({ retryAfter: 500 }))), undefined)
  })
)

it.effect("steps: the schedule sees the time, so windows of time hold", () =>
  Effect.gen(function* () {
    const some = steps(Backoff.make(Schedule.spaced(10).pipe(Schedule.upTo({ duration: "1 second" }))))
    assert.strictEqual(yield* some.next(5_000, boom), 10)
    assert.strictEqual(yield* some.next(5_900, boom), 10)
    assert.strictEqual(yield* some.next(6_500, boom), undefined)
  })
)

it.effect("steps: they start over after running for resetAfter, and not a millisecond before", () =>
  Effect.gen(function* () {
    const some = steps(Backoff.exponential({ min: 10, max: 1_000, resetAfter: 500 }))
    assert.deepStrictEqual(yield* delays(some, 3), [10, 20, 40])
    some.ranFor(499)
    assert.deepStrictEqual(yield* delays(some, 2), [80, 160])
    some.ranFor(500)
    assert.deepStrictEqual(yield* delays(some, 2), [10, 20])
  })
)

it.effect("steps: starting over revives an exhausted schedule", () =>
  Effect.gen(function* () {
    const some = steps(Backoff.make(Schedule.spaced(10).pipe(Schedule.upTo({ times: 1 })), { resetAfter: 500 }))
    assert.deepStrictEqual(yield* delays(some, 2), [10, undefined])
    some.ranFor(500)
    assert.deepStrictEqual(yield* delays(some, 2), [10, undefined])
  })
)

it.effect("steps: two children with one backoff count for themselves", () =>
  Effect.gen(function* () {
    const backoff = Backoff.exponential({ min: 10, max: 1_000 })
    const [a, b] = [steps(backoff), steps(backoff)]
    assert.deepStrictEqual(yield* delays(a, 3), [10, 20, 40])
    assert.deepStrictEqual(yield* delays(b, 2), [10, 20])
    assert.deepStrictEqual(yield* delays(a, 1), [80])
  })
)
