/** Messages with a priority of their own, against a stable sort. */
import { assert, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { Lanes } from "../../src/runtime/lanes.ts"

const priorities = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))), {
  maxLength: 200
})

const fill = (lanes: Lanes, priorities: ReadonlyArray<number>) =>
  priorities.map((priority, item) => {
    lanes.push(item, `payload ${item}`, priority)
    return { item, priority }
  })

it.effect.prop(
  "taken from the highest: by priority, in order of arrival within one",
  { priorities },
  ({ priorities }) =>
    Effect.sync(() => {
      const lanes = new Lanes()
      const sent = fill(lanes, priorities)
      assert.strictEqual(lanes.size, sent.length)
      const expected = sent.toSorted((x, y) => y.priority - x.priority)
      for (const { item, priority } of expected) {
        assert.strictEqual(lanes.highest(), priority)
        assert.deepStrictEqual(lanes.shift(priority), [item, `payload ${item}`])
      }
      assert.strictEqual(lanes.size, 0)
    })
)

it.effect.prop("taken from the lowest: the least urgent, the oldest of them first", { priorities }, ({ priorities }) =>
  Effect.sync(() => {
    const lanes = new Lanes()
    const expected = fill(lanes, priorities).toSorted((x, y) => x.priority - y.priority)
    for (const { item, priority } of expected) {
      assert.strictEqual(lanes.lowest(), priority)
      assert.strictEqual(lanes.shift(lanes.lowest())[0], item)
    }
  })
)

it("arrivals between two takings keep their place, also in a lane that has handed out thousands", () => {
  const lanes = new Lanes()
  const taken: Array<unknown> = []
  for (let n = 0; n < 5_000; n++) {
    lanes.push(n, undefined, 200)
    if (n % 3 > 0) taken.push(lanes.shift(200)[0])
  }
  while (lanes.size > 0) taken.push(lanes.shift(lanes.highest())[0])
  assert.deepStrictEqual(
    taken,
    Array.from({ length: 5_000 }, (_, n) => n)
  )
})

it("a lane handed out to its end takes new messages again", () => {
  const lanes = new Lanes()
  for (const n of [1, 2, 3]) {
    lanes.push(n, n, 7)
    lanes.push(n, n, 9)
    assert.deepStrictEqual([lanes.shift(9), lanes.shift(7), lanes.size], [[n, n], [n, n], 0])
  }
})
