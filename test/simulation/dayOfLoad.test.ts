/**
 * A day's load on a pool that scales itself (rule R72): it does not flap, requests hardly wait, and it takes three
 * fifths of what a fixed pool takes. Everything is virtual and from a seed.
 */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { arrivals, DAY, HOUR } from "./day.ts"
import { dayWith, fixedAsGoodAs, goals, quality, quantile, scaling, START, turns, turnsInAnHour } from "./measures.ts"
import { path, picture } from "./picture.ts"
import { type Outcome, run } from "./queue.ts"

const holdsGoals = (outcome: Outcome): boolean => quality(outcome).every((seconds, i) => seconds <= goals[i]![1])

describe.each([1, 2, 3])("R72 R3: a day of load, seed %i", (seed) => {
  const day = arrivals(seed)
  const outcome = dayWith(day, scaling)

  it("does not flap: it seldom turns round, and never within the delays", () => {
    assert.isAbove(outcome.changes.length, 20)
    assert.isAtMost(turnsInAnHour(outcome.changes), 3)
    for (const { change, gap } of turns(outcome.changes)) {
      const { from, reason, size } = change.decision
      if (from === 0) continue
      assert.isAtLeast(gap, size > from ? 5 : size === 0 ? 900 : 300, `at ${change.at}`)
      assert.include(["Load", "ToZero"], reason._tag)
    }
  })

  it("holds the goals for how long requests wait, over the day and after the morning's first start in each hour", () => {
    assert.isTrue(holdsGoals(outcome), String(quality(outcome)))
    assert.isAtMost(quantile(outcome.waits, 1), START + 1)
    for (let hour = 6; hour < 24; hour++) {
      const waits = outcome.waits.filter((_, i) => Math.floor(day[i]!.at / HOUR) === hour)
      assert.isAtMost(quantile(waits, 0.95), 0.5, `from ${hour}:00`)
    }
  })

  it("has nobody in the quiet of the night, and somebody for its first request", () => {
    const toZero = outcome.changes.filter(({ decision }) => decision.size === 0)
    const fromZero = outcome.changes.filter(({ decision }) => decision.from === 0)
    assert.strictEqual(toZero.length, 1)
    assert.strictEqual(fromZero.length, 1)
    assert.strictEqual(toZero[0]!.decision.from, 1)
    assert.isAbove(fromZero[0]!.at - toZero[0]!.at, 2 * HOUR)
    assert.strictEqual(fromZero[0]!.at, day.find(({ at }) => at > toZero[0]!.at)!.at)
  })

  it("takes less than two thirds of the member-hours of the smallest fixed pool with waits as short", () => {
    const { fixed, members } = fixedAsGoodAs(day, outcome)
    assert.isBelow(members, scaling.max)
    assert.isBelow(outcome.memberHours, 0.65 * fixed.memberHours)
  })

  it("holds the goals with nothing but defaults", () => {
    const plain = dayWith(day, { min: 0, max: 30 })
    assert.isTrue(holdsGoals(plain), String(quality(plain)))
    assert.isAtMost(turnsInAnHour(plain.changes), 4)
  })
})

describe("what is measured would be seen", () => {
  const day = arrivals(1)

  it("without delays the same pool flaps, and misses the goals", () => {
    const hasty = dayWith(day, { ...scaling, upAfter: 0, downAfter: 0, toZeroAfter: 0 })
    assert.isAbove(turnsInAnHour(hasty.changes), 100)
    assert.isFalse(holdsGoals(hasty))
  })

  it("a pool of as many as are busy on average misses the goals", () => {
    const mean = Math.ceil(day.reduce((sum, { work }) => sum + work, 0) / DAY)
    assert.isFalse(holdsGoals(dayWith(day, mean)))
  })

  it("a seed means one day, another seed another", () => {
    assert.deepStrictEqual(arrivals(1).slice(0, 100), day.slice(0, 100))
    assert.notDeepEqual(arrivals(2).slice(0, 100), day.slice(0, 100))
  })
})

describe("the queue", () => {
  const at = (...requests: ReadonlyArray<readonly [at: number, work: number]>) =>
    requests.map(([at, work]) => ({ at, work }))

  it("serves in order, each member one request at a time", () => {
    const requests = at([1, 10], [2, 10], [3, 1], [4, 1])
    const outcome = run(requests, 2, { start: 5, end: 3_600 })
    assert.deepStrictEqual([...outcome.waits], [0, 0, 8, 8])
    assert.strictEqual(outcome.memberHours, 2)
  })

  it("a member that starts takes requests after its start, one that leaves finishes what it is at", () => {
    const requests = at([0.5, 100], [0.6, 1])
    const options = { min: 0, max: 2, upAfter: 0, downAfter: 0, toZeroAfter: 0 }
    const outcome = run(requests, options, { start: 5, end: 3_600 })
    // The second member is started at the first tick, and is there five seconds later.
    assert.deepStrictEqual([...outcome.waits], [0, 5.4])
    assert.deepStrictEqual(
      outcome.changes.map(({ at, decision }) => [at, decision.size]),
      [
        [1, 2],
        [7, 1],
        [101, 0]
      ]
    )
    assert.closeTo(outcome.memberHours * 3_600, 101 + 6, 1e-9)
  })

  it("with nobody there the first request starts a member at once", () => {
    const outcome = run(at([10.25, 1]), { min: 0, max: 2, initial: 0 }, { start: 5, end: 60 })
    assert.deepStrictEqual([...outcome.waits], [5])
    assert.strictEqual(outcome.changes[0]!.at, 10.25)
  })
})

it("the picture in the guide shows this day: draw it anew with npm run charts", () => {
  assert.strictEqual(readFileSync(path, "utf8").replaceAll("\r\n", "\n"), picture())
})
