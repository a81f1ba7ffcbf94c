/** Who shares the fate of a child (rules R20 to R22). */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { range, type Strategy } from "../../src/supervision/Strategy.ts"

const ids = ["a", "b", "c", "d"]

/** The ones restarted with a child, by name. */
const group = (strategy: Strategy, id: string) => {
  const { from, to } = range(strategy, ids.indexOf(id), ids.length)
  return ids.slice(from, to).join("")
}

it("one-for-one: only the child", () => {
  assert.deepStrictEqual(
    ids.map((id) => group("one-for-one", id)),
    ["a", "b", "c", "d"]
  )
})

it("one-for-all: everyone, whoever it was", () => {
  assert.deepStrictEqual(
    ids.map((id) => group("one-for-all", id)),
    ["abcd", "abcd", "abcd", "abcd"]
  )
})

it("rest-for-one: the child and those after it", () => {
  assert.deepStrictEqual(
    ids.map((id) => group("rest-for-one", id)),
    ["abcd", "bcd", "cd", "d"]
  )
})

it("an only child is alone under every strategy", () => {
  for (const strategy of ["one-for-one", "one-for-all", "rest-for-one"] as const) {
    assert.deepStrictEqual(range(strategy, 0, 1), { from: 0, to: 1 })
  }
})

const Index = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))

it.effect.prop(
  "a group has its child in it, and one-for-all has every group in it",
  { index: Index, after: Index },
  ({ after, index }) =>
    Effect.sync(() => {
      const count = index + 1 + after
      for (const strategy of ["one-for-one", "one-for-all", "rest-for-one"] as const) {
        const { from, to } = range(strategy, index, count)
        assert.isTrue(0 <= from && from <= index && index < to && to <= count)
      }
      assert.deepStrictEqual(range("one-for-all", index, count), { from: 0, to: count })
    })
)
