/** Bad input: specs that contradict themselves are refused by every way in, before anything starts. */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Duration, Effect, Layer } from "effect"
import { ActorSystem, Backoff, DynamicSupervisor, Supervisor } from "effect-otp"
import { Child, listed, quiet, Recording } from "../support/recording.ts"

class Units extends DynamicSupervisor.Service<Units>()("test/Units", Child) {}

type Supervised = ReturnType<Recording["behavior"]>
type Spec = ReturnType<Recording["child"]>

/** A good child with one field that is not, without the help of types. */
const changed = (fields: object) => (r: Recording) => ({ ...r.child("x"), ...fields }) as Spec
const child = (options: object) => (r: Recording) => r.child("x", options)
const supervisor = (options: object) => () => Supervisor.make("x", { children: [], ...options }) as never as Spec

const whole = "must be a whole number of 0 or more"
const finite = "must be a finite duration above 0"
const stop = 'must be a duration of 0 or more, or "kill"'
const directives = "must be one of restart, resume, stop, escalate, or a function"

/** What is wrong, the path and the field that the error names, and what it says about them. */
const bad: ReadonlyArray<readonly [string, (r: Recording) => Spec, string, string, string]> = [
  ["no spec", () => 42 as never, "top", "child", "must be a child spec or a behavior without arguments, got 42"],
  ["nothing", () => undefined as never, "top", "child", "must be a child spec or a behavior without arguments"],
  ["no behavior", () => Supervisor.child(undefined as never) as never, "top", "child", "arguments, got undefined"],
  ["no options", () => Supervisor.make("x", undefined as never) as never, "top/x", "options", "got undefined"],
  ["children that are no list", supervisor({ children: 5 }), "top/x", "children", "must be a list of child specs"],
  ["no template", () => Units.child(undefined as never) as never, "top/test/Units", "template", "got undefined"],
  ["needs that are no list", child({ needs: 5 }), "top/x", "needs", "must be a list of service keys, got 5"],
  ["a key that is none", child({ provides: [{}] }), "top/x", "provides", "must be a list of service keys, got [{}]"],
  ["a level", child({ report: { level: "Wran" } }), "top/x", "report.level", 'got "Wran"'],
  ["no count of failures", child({ report: { raisedAfter: NaN } }), "top/x", "report.raisedAfter", "got NaN"],
  ["no id", changed({ id: undefined }), "top", "id", "must be a non-empty text, got undefined"],
  ["an empty id", changed({ id: "" }), "top", "id", 'must be a non-empty text, got ""'],
  ["a kind", changed({ kind: "robot" }), "top/x", "kind", "must be one of actor, supervisor, effect, service, got "],
  ["no start", changed({ target: undefined }), "top/x", "start", "must be a behavior, an effect, a layer or children"],
  ["no effect", () => Supervisor.effect("x", 5 as never) as never, "top/x", "start", "must be a behavior, an effect"],
  ["no layer", () => Supervisor.service("x", null as never) as never, "top/x", "start", "must be a behavior"],
  [
    "a restart",
    child({ restart: "always" }),
    "top/x",
    "restart",
    'one of permanent, transient, temporary, got "always"'
  ],
  ["a negative shutdown", child({ shutdown: -1 }), "top/x", "shutdown", `${stop}, got -1`],
  ["a shutdown of NaN", child({ shutdown: NaN }), "top/x", "shutdown", `${stop}, got NaN`],
  ["a shutdown in words", child({ shutdown: "soon" }), "top/x", "shutdown", `${stop}, got "soon"`],
  ["no start time", child({ startTimeout: 0 }), "top/x", "startTimeout", "must be a duration above 0, got 0"],
  ["a start time in words", child({ startTimeout: "later" }), "top/x", "startTimeout", 'above 0, got "later"'],
  ["a backoff", child({ backoff: "1 second" }), "top/x", "backoff", 'got "1 second"'],
  [
    "a directive",
    child({ onFailure: { Broken: "restrt" } }),
    "top/x",
    "onFailure.Broken",
    `${directives}, got "restrt"`
  ],
  [
    "a directive for defects",
    child({ onFailure: { Broken: "stop", defect: 1 } }),
    "top/x",
    "onFailure.defect",
    "got 1"
  ],
  ["a decision", child({ onFailure: "restart" }), "top/x", "onFailure", 'got "restart"'],
  ["a condition", child({ when: true }), "top/x", "when", "must be an effect, got true"],
  [
    "a strategy",
    supervisor({ strategy: "one_for_one" }),
    "top/x",
    "strategy",
    "must be one of one-for-one, one-for-all"
  ],
  ["a negative budget", budget(-1, "1 second"), "top/x", "intensity.restarts", `${whole}, got -1`],
  ["half a restart", budget(0.5, "1 second"), "top/x", "intensity.restarts", `${whole}, got 0.5`],
  ["no time for it", budget(1, 0), "top/x", "intensity.within", `${finite}, got 0`],
  ["endless time for it", budget(1, Duration.infinity), "top/x", "intensity.within", finite],
  ["time in words", budget(1, "a while"), "top/x", "intensity.within", `${finite}, got "a while"`],
  ["an id twice", twins, "top/x", "children", 'must have ids of their own, got "a"']
]

function budget(restarts: number, within: unknown) {
  return supervisor({ intensity: { restarts, within } })
}

function twins(r: Recording): Spec {
  return Supervisor.make("x", { children: [r.child("a"), r.child("b"), r.child("a")] }) as never
}

const causeOf = (error: Supervisor.StartFailed<unknown>) => Cause.squash(error.cause) as Supervisor.InvalidSpec

for (const [name, make, path, field, says] of bad) {
  it.effect(`${name}: refused by every way in, and nothing starts`, () =>
    Effect.gen(function* () {
      const r = new Recording()
      const tree = Supervisor.make("top", { children: [r.child("first"), make(r)] })
      const refused = [
        yield* Effect.flip(Supervisor.validate(tree)),
        causeOf(yield* Effect.flip(r.start([r.child("first"), make(r)]))),
        causeOf(yield* Effect.flip(Effect.scoped(Layer.build(Supervisor.layer(tree))))),
        causeOf((yield* Effect.flip(Supervisor.run(tree))) as Supervisor.StartFailed<unknown>)
      ]
      for (const problem of refused) {
        assert.deepStrictEqual([problem._tag, problem.path, problem.field], ["InvalidSpec", path, field])
        assert.isTrue(problem.message.startsWith(`${path}: ${field} must `), problem.message)
        assert.include(problem.message, says)
      }
      assert.deepStrictEqual([r.log, r.events], [[], []])
    }).pipe(quiet)
  )

  it.effect(`${name}: refused by a running supervisor, which goes on without it`, () =>
    Effect.gen(function* () {
      const r = new Recording()
      const top = yield* r.start([r.child("first")])
      const problem = yield* Effect.flip(top.startChild(make(r)))
      assert.deepStrictEqual(problem._tag === "InvalidSpec" && [problem.path, problem.field], [path, field])
      assert.deepStrictEqual([top.status, yield* listed(top), r.log], ["running", ["first"], ["first started"]])
      assert.strictEqual(yield* r.incarnation("first"), 1)
    }).pipe(quiet)
  )
}

it.effect("a refused tree says where in it the problem is, in the error that start fails with", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const inner = Supervisor.make("inner", { children: [r.child("a", { shutdown: -5 })] })
    const error = yield* Effect.flip(r.start([r.child("first"), inner]))
    assert.strictEqual(error._tag, "StartFailed")
    assert.include(
      error.message,
      'InvalidSpec: top/inner/a: shutdown must be a duration of 0 or more, or "kill", got -5'
    )
    assert.deepStrictEqual([r.log, r.events], [[], []])
  })
)

it.effect("a refused root is named as what failed to start", () =>
  Effect.gen(function* () {
    const says = (tree: unknown) => Effect.map(Effect.flip(Supervisor.run(tree as Spec)), ({ message }) => message)
    assert.strictEqual(
      yield* says(Supervisor.make("top", { strategy: "all" as never, children: [] })),
      `top failed to start: InvalidSpec: top: strategy must be one of one-for-one, one-for-all, rest-for-one, got "all"`
    )
    assert.strictEqual(
      yield* says(undefined),
      "the tree failed to start: InvalidSpec: the tree: child must be a child spec or a behavior without arguments, got undefined"
    )
  })
)

it.effect("what is no child, no ref and no letter is told as such by a running supervisor", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const template = Child.behavior((name: string) => Effect.die(`${name} is never started`))
    const top = yield* r.start([Units.child(template)])
    const units = Context.get(top.services, Units)
    const none = undefined as never
    assert.strictEqual(
      (yield* Effect.flip(units.startChild(undefined as never as Supervised))).message,
      "top/test/Units: child undefined failed to start: InvalidSpec: top/test/Units: child must be a child spec or a behavior without arguments, got undefined"
    )
    assert.strictEqual((yield* Effect.flip(units.terminate(none))).message, "top/test/Units has no child undefined")
    assert.strictEqual((yield* Effect.flip(ActorSystem.replay(none))).message, "undefined is no dead letter")
  })
)

it.effect("an id that is taken names it, and the one who has it is not touched", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b")])
    const running = yield* Effect.flip(top.startChild(r.child("a")))
    assert.strictEqual(running.message, "top: child a is running: terminate it first")
    yield* top.terminateChild("b")
    const present = yield* Effect.flip(top.startChild(r.child("b")))
    assert.strictEqual(present.message, "top: child b is known and stopped: use restartChild, or deleteChild first")
    const unknown = yield* Effect.flip(top.terminateChild("c"))
    assert.deepStrictEqual([unknown._tag, unknown.message], ["ChildNotFound", "top has no child c"])
    assert.strictEqual(yield* r.incarnation("a"), 1)
    assert.deepStrictEqual(r.log, ["a started", "b started", "b stopped"])
  })
)

it("a backoff that cannot mean anything is refused where it is made", () => {
  const refused = (options: object) => () => Backoff.exponential({ min: "1 second", max: "2 seconds", ...options })
  assert.throws(refused({ min: -1 }), "Backoff: min cannot be -1")
  assert.throws(refused({ max: "500 millis" }), "Backoff: max cannot be 500 millis")
  assert.throws(refused({ factor: 0.5 }), "Backoff: factor cannot be 0.5")
  assert.throws(refused({ jitter: -0.1 }), "Backoff: jitter cannot be -0.1")
  assert.throws(refused({ resetAfter: NaN }), "Backoff: resetAfter cannot be NaN")
})
