/** What is refused before anything starts (rules R4 and R5), clause by clause. */
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { Supervisor } from "effect-otp"
import { settingsOf, type SpecImpl } from "../../src/supervision/ChildSpec.ts"
import { problemOf, validate } from "../../src/supervision/validate.ts"
import { Child, Recording } from "../support/recording.ts"

const r = new Recording()
const impl = (spec: unknown) => spec as SpecImpl

const actor = (options: object = {}) => impl(r.child("a", options))
const supervisor = (options: object = {}) => impl(Supervisor.make("top", { children: [], ...options }))

/** Path, field and value of the first problem. */
const found = (spec: unknown, parent = "") => {
  const problem = problemOf(impl(spec), parent)
  return problem === undefined ? "valid" : [problem.path, problem.field, problem.value]
}

// --- Something to look at ---

it.each([42, "a", null, undefined, true])("%o is no child spec", (spec) => {
  assert.deepStrictEqual(found(spec), ["the tree", "child", spec])
  assert.deepStrictEqual(found(spec, "top"), ["top", "child", spec])
  assert.deepStrictEqual(found(supervisor({ children: [spec] })), ["top", "child", spec])
})

it.each([undefined, null, "", 5])("%o is no id", (id) => {
  assert.deepStrictEqual(found({ ...actor(), id }), ["the tree", "id", id])
  assert.deepStrictEqual(found({ ...actor(), id }, "top"), ["top", "id", id])
})

it.each(["robot", "", undefined, "Actor"])("%o is no kind", (kind) => {
  assert.deepStrictEqual(found({ ...actor(), kind }), ["a", "kind", kind])
})

// --- Something to start ---

it("a behavior, an effect, a layer and children can be started", () => {
  assert.strictEqual(found(actor()), "valid")
  assert.strictEqual(found(Supervisor.effect("e", Effect.never)), "valid")
  assert.strictEqual(found(Supervisor.service("s", Layer.empty)), "valid")
  assert.strictEqual(found(supervisor()), "valid")
})

/** A target, and what of it the problem shows: what its maker was given. */
const unstartable: ReadonlyArray<readonly [kind: string, target: unknown, shown: unknown]> = [
  ["actor", undefined, undefined],
  ["actor", null, null],
  ["actor", { _tag: "robot" }, { _tag: "robot" }],
  ["actor", { _tag: "actor", behavior: "none" }, "none"],
  ["actor", { _tag: "actor", behavior: null }, null],
  ["effect", { _tag: "effect", effect: 1 }, 1],
  ["effect", { _tag: "effect", effect: undefined }, undefined],
  ["service", { _tag: "service", layer: undefined }, undefined],
  ["service", { _tag: "service", layer: {} }, {}]
]

it.each(unstartable)("nothing can be started of %s %o", (kind, target, shown) => {
  assert.deepStrictEqual(found({ ...actor(), kind, target }), ["a", "start", shown])
})

it("what is started is of the kind that the spec says", () => {
  const spec = actor()
  assert.deepStrictEqual(found({ ...spec, kind: "supervisor" }), ["a", "start", spec.target])
})

// --- How it is kept alive ---

it.each(["permanent", "transient", "temporary"] as const)("%s is a restart type, of any kind of child", (restart) => {
  assert.strictEqual(found(actor({ restart })), "valid")
  assert.strictEqual(found(Supervisor.effect("e", Effect.never, { restart })), "valid")
  assert.strictEqual(found(Supervisor.service("s", Layer.empty, { restart })), "valid")
  assert.strictEqual(found(supervisor({ restart })), "valid")
})

it.each(["always", "Permanent", "", 1])("%o is no restart type", (restart) => {
  assert.deepStrictEqual(found(actor({ restart })), ["a", "restart", restart])
  assert.deepStrictEqual(found(supervisor({ restart })), ["top", "restart", restart])
})

it.each([0, 1, "1 second", Duration.seconds(1), Duration.infinity, Infinity, "kill"])(
  "%o is a time to stop",
  (limit) => {
    assert.strictEqual(found(actor({ shutdown: limit })), "valid")
  }
)

it.each([-1, -Infinity, NaN, "soon"])("%o is no time to stop", (limit) => {
  assert.deepStrictEqual(found(actor({ shutdown: limit })), ["a", "shutdown", limit])
})

it.each([1, "1 second", Duration.infinity, Infinity])("%o is a time to start", (limit) => {
  assert.strictEqual(found(actor({ startTimeout: limit })), "valid")
})

it.each([0, -1, NaN, "soon", "kill"])("%o is no time to start", (limit) => {
  assert.deepStrictEqual(found(actor({ startTimeout: limit })), ["a", "startTimeout", limit])
})

// --- What a supervisor adds ---

it.each(["one-for-one", "one-for-all", "rest-for-one"])("%s is a strategy", (strategy) => {
  assert.strictEqual(found(supervisor({ strategy })), "valid")
})

it.each(["all-for-one", "one_for_one", "", 1])("%o is no strategy", (strategy) => {
  assert.deepStrictEqual(found(supervisor({ strategy })), ["top", "strategy", strategy])
})

it.each([0, 1, 1_000_000])("%o restarts may be allowed", (restarts) => {
  assert.strictEqual(found(supervisor({ intensity: { restarts, within: 1 } })), "valid")
})

it.each([-1, 1.5, NaN, Infinity, "1", undefined])("%o restarts may not", (restarts) => {
  assert.deepStrictEqual(found(supervisor({ intensity: { restarts, within: 1 } })), [
    "top",
    "intensity.restarts",
    restarts
  ])
})

it.each([1, 0.5, "1 second", Duration.days(30)])("%o is a window of time", (within) => {
  assert.strictEqual(found(supervisor({ intensity: { restarts: 1, within } })), "valid")
})

it.each([0, -1, NaN, Infinity, Duration.infinity, "soon", undefined])("%o is no window of time", (within) => {
  assert.deepStrictEqual(found(supervisor({ intensity: { restarts: 1, within } })), ["top", "intensity.within", within])
})

it("siblings have ids of their own; cousins, parents and children may share theirs", () => {
  const [a, b] = [r.child("a"), r.child("b")]
  assert.deepStrictEqual(found(supervisor({ children: [a, b, a] })), ["top", "children", "a"])
  const cousins = [Supervisor.make("x", { children: [a, b] }), Supervisor.make("y", { children: [a] })]
  assert.strictEqual(found(supervisor({ children: cousins })), "valid")
  assert.strictEqual(found(supervisor({ children: [Supervisor.make("top", { children: [] })] })), "valid")
})

it("a behavior alone is a child by the name of its actor, so two of them collide", () => {
  const behavior = r.behavior("a")
  assert.strictEqual(found(supervisor({ children: [behavior] })), "valid")
  assert.deepStrictEqual(found(supervisor({ children: [behavior, behavior] })), ["top", "children", Child.key])
})

// --- Where and in which order ---

it("the path leads to the problem, however deep", () => {
  const bad = r.child("bad", { shutdown: -1 })
  const deep = Supervisor.make("inner", { children: [r.child("good"), Supervisor.make("deep", { children: [bad] })] })
  assert.deepStrictEqual(found(supervisor({ children: [deep] })), ["top/inner/deep/bad", "shutdown", -1])
  assert.deepStrictEqual(found(bad, "top/late"), ["top/late/bad", "shutdown", -1])
})

it("flags come before children, and children in their order", () => {
  const [first, second] = [r.child("first", { shutdown: -1 }), r.child("second", { shutdown: -2 })]
  assert.deepStrictEqual(found(supervisor({ strategy: "none", children: [first] })), ["top", "strategy", "none"])
  assert.deepStrictEqual(found(supervisor({ children: [first, second] })), ["top/first", "shutdown", -1])
})

it.effect("validate fails with the problem, or says nothing", () =>
  Effect.gen(function* () {
    yield* validate(actor())
    const problem = yield* Effect.flip(validate(actor({ restart: "always" }), "top"))
    assert.instanceOf(problem, Supervisor.InvalidSpec)
    assert.strictEqual(problem.message, 'top/a: restart must be one of permanent, transient, temporary, got "always"')
  })
)

it.each([
  [NaN, "NaN"],
  [-Infinity, "-Infinity"],
  [-5, "-5"],
  ["soon", '"soon"']
])("the message shows the value as it was given: %o", (shutdown, shown) => {
  const problem = problemOf(actor({ shutdown }), "")
  assert.strictEqual(problem?.message, `a: shutdown must be a duration of 0 or more, or "kill", got ${shown}`)
})

// --- Defaults ---

it("defaults of a child: permanent, 5 seconds to start and to stop, reported at Warn and from the fourth on at Error", () => {
  const report = { level: "Warn", raisedLevel: "Error", raisedAfter: 3 }
  const rest = { restart: "permanent", significant: false, shutdown: 5_000, startTimeout: 5_000, report }
  assert.deepStrictEqual(settingsOf(actor()), { id: "a", kind: "actor", ...rest } as never)
  const effect = impl(Supervisor.effect("e", Effect.never))
  assert.deepStrictEqual(settingsOf(effect), { id: "e", kind: "effect", ...rest } as never)
  const service = impl(Supervisor.service("s", Layer.empty))
  assert.deepStrictEqual(settingsOf(service), { id: "s", kind: "service", ...rest } as never)
})

it("defaults of a supervisor: one-for-one, 1 restart in 5 seconds, permanent, all the time it needs", () => {
  const spec = supervisor()
  const { kind, restart, shutdown, startTimeout } = settingsOf(spec)
  assert.deepStrictEqual([kind, restart, shutdown, startTimeout], ["supervisor", "permanent", Infinity, Infinity])
  const target = spec.target
  assert.strictEqual(target._tag === "supervisor" && target.strategy, "one-for-one")
  assert.deepStrictEqual(target._tag === "supervisor" && target.intensity, { restarts: 1, within: "5 seconds" })
})
