/** The time limits of a system against a sorted list, and each invariant that the header states. */
import { assert, it } from "@effect/vitest"
import { Arbitrary, Clock, Context, Duration, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Timer, Timers, type TimerNode } from "../../src/runtime/timers.ts"

const DAYS = 24 * 3_600_000

/** The sleeps that are armed, in milliseconds, and all that ever were. */
class Sleeps {
  readonly armed = new Set<{ readonly millis: number }>()
  readonly all: Array<number> = []
  get pending(): ReadonlyArray<number> {
    return [...this.armed].map((sleep) => sleep.millis)
  }
}

/** Timers on the test's clock, whose sleeps are watched. */
const makeTimers = Effect.gen(function* () {
  const context = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  const sleeps = new Sleeps()
  const sleep = (duration: Duration.Duration) =>
    Effect.suspend(() => {
      const entry = { millis: Duration.toMillis(duration) }
      sleeps.armed.add(entry)
      sleeps.all.push(entry.millis)
      return Effect.ensuring(
        clock.sleep(duration),
        Effect.sync(() => sleeps.armed.delete(entry))
      )
    })
  const watched: Clock.Clock = Object.assign(Object.create(clock), { sleep })
  const timers = new Timers(watched, Effect.runForkWith(Context.add(context, Clock.Clock, watched)))
  return { timers, sleeps }
})

const heapOf = (timers: Timers): ReadonlyArray<TimerNode> => Reflect.get(timers, "heap")

/** Invariant 1, looked at from outside. */
const assertHeap = (timers: Timers): void => {
  const heap = heapOf(timers)
  const misplaced = heap.filter(
    (node, index) => node.index !== index || (index > 0 && heap[(index - 1) >> 2]!.due > node.due)
  )
  assert.deepStrictEqual(misplaced, [])
}

const millis = Schema.Literals([1, 2, 50, 99, 100, 101, 250, 5_000, 5_000, 60_000, 40 * DAYS])
const Operation = Schema.Union([
  Schema.TaggedStruct("add", { millis }),
  Schema.TaggedStruct("add", { millis: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 })) }),
  Schema.TaggedStruct("remove", { at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000 })) }),
  Schema.TaggedStruct("adjust", { millis: Schema.Literals([1, 10, 99, 100, 1_000, 5_000, 40 * DAYS]) })
])
const operations = Arbitrary.array(Arbitrary.schema(Operation), { minLength: 1, maxLength: 60 })

it.effect.prop(
  "limits expire as in a sorted list: none early, none late, none twice, no removed one",
  { operations },
  ({ operations }) =>
    Effect.gen(function* () {
      const { sleeps, timers } = yield* makeTimers
      const expired: Array<number> = []
      let model: Array<{ readonly due: number; readonly timer: Timer }> = []
      for (const operation of [...operations, { _tag: "adjust", millis: 41 * DAYS } as const]) {
        if (operation._tag === "add") {
          const due = timers.now() + operation.millis
          const timer = new Timer(() => {
            assert.strictEqual(timers.now(), due)
            expired.push(due)
          })
          timers.add(timer, operation.millis)
          model.push({ due, timer })
        } else if (operation._tag === "remove" && model.length > 0) {
          const [removed] = model.splice(operation.at % model.length, 1)
          timers.remove(removed!.timer)
          assert.strictEqual(removed!.timer.index, -1)
          timers.remove(removed!.timer)
        } else if (operation._tag === "adjust") {
          yield* TestClock.adjust(operation.millis)
          const now = timers.now()
          const over = model
            .filter(({ due }) => due <= now)
            .map(({ due }) => due)
            .toSorted((x, y) => x - y)
          model = model.filter(({ due }) => due > now)
          assert.deepStrictEqual(expired.splice(0), over)
        }
        assertHeap(timers)
        assert.isAtMost(sleeps.armed.size, 1)
      }
      assert.strictEqual(heapOf(timers).length, 0)
    }),
  { arbitrary: { runs: 100 } }
)

it.effect("invariant 1: the heap is in order and every node knows its place, also in the middle of removals", () =>
  Effect.gen(function* () {
    const { timers } = yield* makeTimers
    const nodes = Array.from({ length: 200 }, (_, i) => {
      const timer = new Timer(() => undefined)
      timers.add(timer, 1 + ((i * 7_919) % 1_000))
      assertHeap(timers)
      return timer
    })
    for (let i = 0; i < 200; i += 3) {
      timers.remove(nodes[i]!)
      assert.strictEqual(nodes[i]!.index, -1)
      assertHeap(timers)
    }
    assert.strictEqual(heapOf(timers).length, 133)
  })
)

it.effect("invariant 2: at most one sleep, and it ends no later than the earliest limit", () =>
  Effect.gen(function* () {
    const { sleeps, timers } = yield* makeTimers
    for (const millis of [90_000, 5_000, 60, 70_000, 20, 30]) {
      timers.add(new Timer(() => undefined), millis)
      yield* Effect.yieldNow
      assert.strictEqual(sleeps.armed.size, 1)
      assert.isAtMost(sleeps.pending[0]!, Math.max(100, heapOf(timers)[0]!.due - timers.now()))
    }
    assert.deepStrictEqual(sleeps.pending, [20])
  })
)

it.effect("invariant 3: never early: a fraction of a millisecond is rounded up", () =>
  Effect.gen(function* () {
    const { timers } = yield* makeTimers
    let expired = 0
    timers.add(new Timer(() => expired++), 10.2)
    yield* TestClock.adjust(10)
    assert.strictEqual(expired, 0)
    yield* TestClock.adjust(1)
    assert.strictEqual(expired, 1)
  })
)

it.effect("invariant 3: the first sleep after an idle spell is short, and none follows an answered ask", () =>
  Effect.gen(function* () {
    const { sleeps, timers } = yield* makeTimers
    const timer = new Timer(() => undefined)
    timers.add(timer, 5_000)
    yield* Effect.yieldNow
    assert.deepStrictEqual(sleeps.pending, [100])
    timers.remove(timer)
    yield* TestClock.adjust(100)
    assert.deepStrictEqual(sleeps.pending, [])
    assert.deepStrictEqual(sleeps.all, [100])
  })
)

it.effect("invariant 3: a long sleep is given up when its last limit goes", () =>
  Effect.gen(function* () {
    const { sleeps, timers } = yield* makeTimers
    const timer = new Timer(() => undefined)
    timers.add(timer, 5_000)
    yield* TestClock.adjust(100)
    assert.deepStrictEqual(sleeps.pending, [4_900])
    timers.remove(timer)
    yield* Effect.yieldNow
    assert.deepStrictEqual(sleeps.pending, [])
  })
)

it.effect("forty days are forty days, beside short limits", () =>
  Effect.gen(function* () {
    const { timers } = yield* makeTimers
    const expired: Array<string> = []
    timers.add(new Timer(() => expired.push("late")), 40 * DAYS)
    timers.add(new Timer(() => expired.push("soon")), 1_000)
    yield* TestClock.adjust(40 * DAYS - 1)
    assert.deepStrictEqual(expired, ["soon"])
    yield* TestClock.adjust(1)
    assert.deepStrictEqual(expired, ["soon", "late"])
  })
)

it.effect("a limit of no time is over within a millisecond", () =>
  Effect.gen(function* () {
    const { timers } = yield* makeTimers
    let expired = 0
    timers.add(new Timer(() => expired++), 0)
    yield* TestClock.adjust(1)
    assert.strictEqual(expired, 1)
  })
)

it.effect("an infinite limit is no limit", () =>
  Effect.gen(function* () {
    const { sleeps, timers } = yield* makeTimers
    const timer = new Timer(() => assert.fail("expired"))
    timers.addAt(timer, Infinity)
    yield* TestClock.adjust(400 * DAYS)
    assert.deepStrictEqual([timer.index, heapOf(timers).length, sleeps.all.length], [-1, 0, 0])
    timers.remove(timer)
  })
)

it.effect("a limit that expires may set and remove others", () =>
  Effect.gen(function* () {
    const { timers } = yield* makeTimers
    const log: Array<string> = []
    const doomed = new Timer(() => log.push("doomed"))
    timers.add(
      new Timer(() => {
        log.push(`first at ${timers.now()}`)
        timers.remove(doomed)
        timers.add(new Timer(() => log.push(`second at ${timers.now()}`)), 300)
      }),
      10
    )
    timers.add(doomed, 10)
    timers.add(new Timer(() => log.push(`third at ${timers.now()}`)), 500)
    const start = timers.now()
    assert.strictEqual(start, 0)
    yield* TestClock.adjust(1_000)
    assert.deepStrictEqual(log, ["first at 10", "second at 310", "third at 500"])
  })
)
