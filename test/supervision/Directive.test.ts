/** What a failure means, clause by clause. */
import { assert, it } from "@effect/vitest"
import { Cause, Data } from "effect"
import { type AnyOnFailure, decide, type Directive, type OnFailure } from "../../src/supervision/Directive.ts"

class Lost extends Data.TaggedError("Lost")<{ readonly host: string }> {}
class Corrupt extends Data.TaggedError("Corrupt")<{ readonly page: number }> {}

const lost = new Lost({ host: "a" })
const corrupt = new Corrupt({ page: 7 })

const asked = (onFailure: OnFailure<Lost | Corrupt> | undefined, cause: Cause.Cause<unknown>) =>
  decide(onFailure as AnyOnFailure | undefined, cause)

/** Answers always the same, and keeps what it was asked about. */
const recorder = (answer: Directive) => {
  const seen: Array<unknown> = []
  return { seen, decide: (failure: unknown) => (seen.push(failure), answer) }
}

it("left out: restart, whatever it was", () => {
  for (const cause of [Cause.fail(lost), Cause.die("defect"), Cause.interrupt(1)]) {
    assert.strictEqual(asked(undefined, cause), "restart")
  }
})

it("a function decides from the whole cause", () => {
  const cause = Cause.combine(Cause.fail(lost), Cause.die("defect"))
  const { decide, seen } = recorder("escalate")
  assert.strictEqual(asked(decide, cause), "escalate")
  assert.lengthOf(seen, 1)
  assert.strictEqual(seen[0], cause)
})

it.each(["restart", "resume", "stop", "escalate"] as const)("by tag: %s", (directive) => {
  const other = directive === "stop" ? "restart" : "stop"
  assert.strictEqual(asked({ Lost: directive, Corrupt: other }, Cause.fail(lost)), directive)
  assert.strictEqual(asked({ Lost: directive, Corrupt: other }, Cause.fail(corrupt)), other)
})

it("by tag: a function gets the very error", () => {
  const { decide, seen } = recorder("stop")
  assert.strictEqual(asked({ Lost: "restart", Corrupt: decide }, Cause.fail(corrupt)), "stop")
  assert.lengthOf(seen, 1)
  assert.strictEqual(seen[0], corrupt)
})

it("by tag: the first typed error of several decides", () => {
  const both = Cause.combine(Cause.fail(lost), Cause.fail(corrupt))
  assert.strictEqual(asked({ Lost: "resume", Corrupt: "stop" }, both), "resume")
})

it("by tag: a typed error decides also behind a defect or an interruption", () => {
  const table = { Lost: "resume", Corrupt: "stop", defect: "escalate" } as const
  assert.strictEqual(asked(table, Cause.combine(Cause.die("defect"), Cause.fail(lost))), "resume")
  assert.strictEqual(asked(table, Cause.combine(Cause.interrupt(1), Cause.fail(corrupt))), "stop")
})

it("a defect: its own directive", () => {
  assert.strictEqual(asked({ Lost: "stop", Corrupt: "stop", defect: "resume" }, Cause.die("defect")), "resume")
})

it("a defect: a function gets the very defect", () => {
  const defect = new Error("boom")
  const { decide, seen } = recorder("stop")
  assert.strictEqual(asked({ Lost: "restart", Corrupt: "restart", defect: decide }, Cause.die(defect)), "stop")
  assert.lengthOf(seen, 1)
  assert.strictEqual(seen[0], defect)
})

it("a defect, with none said: restart", () => {
  assert.strictEqual(asked({ Lost: "stop", Corrupt: "stop" }, Cause.die("defect")), "restart")
})

it("a defect that looks like a typed error is a defect all the same", () => {
  assert.strictEqual(asked({ Lost: "stop", Corrupt: "stop", defect: "resume" }, Cause.die(lost)), "resume")
})

it.each(["text", 7, undefined, null, { tag: "Lost" }, { _tag: 7 }])(
  "an error without a tag: as a defect (%o)",
  (error) => {
    const { decide, seen } = recorder("escalate")
    assert.strictEqual(asked({ Lost: "stop", Corrupt: "stop", defect: decide }, Cause.fail(error)), "escalate")
    assert.deepStrictEqual(seen, [error])
  }
)

it.each(["Unheard", "toString", "constructor", "__proto__"])("a tag that nobody named: as a defect (%s)", (_tag) => {
  const error = { _tag }
  const { decide, seen } = recorder("escalate")
  assert.strictEqual(asked({ Lost: "stop", Corrupt: "stop", defect: decide }, Cause.fail(error)), "escalate")
  assert.lengthOf(seen, 1)
  assert.strictEqual(seen[0], error)
})
