/** The budget of restarts: a sliding window in milliseconds (rules R15 to R17). */
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import { defaultIntensity, Window } from "../../src/supervision/Intensity.ts"

const answers = (window: Window, times: ReadonlyArray<number>) => times.map((time) => window.record(time))

it("default: 1 restart within 5 seconds", () => {
  assert.deepStrictEqual(defaultIntensity, { restarts: 1, within: "5 seconds" })
  const window = new Window(defaultIntensity)
  assert.deepStrictEqual([window.restarts, window.within], [1, 5_000])
})

it("0 restarts: the first one is one too many", () => {
  assert.isFalse(new Window({ restarts: 0, within: "1 second" }).record(0))
})

it("n restarts: n go through, the next one does not", () => {
  assert.deepStrictEqual(answers(new Window({ restarts: 1, within: 100 }), [0, 0]), [true, false])
  assert.deepStrictEqual(answers(new Window({ restarts: 3, within: 100 }), [0, 1, 2, 3]), [true, true, true, false])
})

it("an entry exactly as old as the window still counts", () => {
  assert.deepStrictEqual(answers(new Window({ restarts: 1, within: 100 }), [0, 100]), [true, false])
})

it("an entry a millisecond older does not", () => {
  assert.deepStrictEqual(answers(new Window({ restarts: 1, within: 100 }), [0, 101]), [true, true])
})

it("it slides: what matters is the time since the restart `restarts` places back", () => {
  const window = new Window({ restarts: 2, within: 100 })
  assert.deepStrictEqual(answers(window, [0, 90, 101, 191, 200]), [true, true, true, true, false])
})

it("restarts spread wider than the window go on for ever", () => {
  const times = Array.from({ length: 1_000 }, (_, i) => i * 51)
  assert.isTrue(answers(new Window({ restarts: 2, within: 100 }), times).every(Boolean))
})

it("any duration will do", () => {
  for (const within of [60_000, "1 minute", Duration.minutes(1)] as const) {
    assert.strictEqual(new Window({ restarts: 1, within }).within, 60_000)
  }
})

it("used: how many count now", () => {
  const window = new Window({ restarts: 3, within: 100 })
  assert.strictEqual(window.counting(0).length, 0)
  answers(window, [0, 50])
  assert.deepStrictEqual(
    [50, 100, 101, 150, 151].map((now) => window.counting(now).length),
    [2, 2, 1, 1, 0]
  )
})

it("used: never more than there may be", () => {
  const window = new Window({ restarts: 2, within: 100 })
  answers(window, [0, 1, 2, 3])
  assert.strictEqual(window.counting(3).length, 2)
})

const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))

it.effect.prop(
  "it agrees with a list of all restarts, up to the one that is too many",
  { restarts: Small, within: Small, gaps: Schema.Array(Small) },
  ({ gaps, restarts, within }) =>
    Effect.sync(() => {
      const window = new Window({ restarts, within: within + 1 })
      const all: Array<number> = []
      let now = 0
      for (const gap of gaps) {
        now += gap
        all.push(now)
        const allowed = all.filter((time) => time >= now - (within + 1)).length <= restarts
        assert.strictEqual(window.record(now), allowed)
        if (!allowed) return
      }
    })
)
