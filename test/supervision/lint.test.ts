/** What is read from a tree before it runs: each figure against the running engine, each finding from a tree that has it. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Actor, Backoff, DynamicSupervisor, PartitionSupervisor, Supervisor, TaskSupervisor } from "effect-otp"
import { Window } from "../../src/supervision/Intensity.ts"
import { delaysOf, givesUpAt, neverGivesUp } from "../../src/supervision/lintBackoff.ts"
import { quiet, Recording, states } from "../support/recording.ts"

class Counter extends Actor.Service<Counter>()("test/Counter", { Count: { success: Schema.Int } }) {}
class Rooms extends DynamicSupervisor.Service<Rooms>()("Rooms", Counter) {}
class Any extends DynamicSupervisor.Service<Any>()("Any") {}
class Shards extends PartitionSupervisor.Service<Shards>()("Shards", Counter) {}
class Jobs extends TaskSupervisor.Service<Jobs>()("Jobs") {}
class Db extends Context.Service<Db, string>()("test/Db") {}

const CounterLive = Counter.behavior(Effect.succeed(Counter.of({ Count: () => 1 })))
const RoomLive = Counter.behavior((name: string) => Effect.succeed(Counter.of({ Count: () => name.length })))

type Tree = Supervisor.ChildSpec<unknown, unknown, unknown>
type SupervisorOptions = Omit<Supervisor.SupervisorOptions<ReadonlyArray<Tree>>, "children">

const leaf = (id: string, options: Supervisor.Options<never> = {}): Tree => Supervisor.effect(id, Effect.never, options)
const tree = (children: ReadonlyArray<Tree>, options: SupervisorOptions = {}, id = "top"): Tree =>
  Supervisor.make(id, { ...options, children })
const within = (restarts: number, time: `${number} seconds` | number = "5 seconds"): SupervisorOptions => ({
  intensity: { restarts, within: time }
})

/** Path and code of each finding. */
const codes = (spec: Tree) => Supervisor.lint(spec).findings.map(({ code, path }) => `${path}: ${code}`)
const figures = (spec: Tree, path: string) =>
  Supervisor.lint(spec).supervisors.find((supervisor) => supervisor.path === path)!

// --- The whole, as people see it ---

const App = tree(
  [
    leaf("ledger", {
      shutdown: "10 seconds",
      backoff: Backoff.exponential({ min: 100, max: "10 seconds", jitter: 0.2 })
    }),
    tree(
      [
        leaf("page"),
        tree([leaf("a"), leaf("b", { restart: "temporary" })], { restart: "transient", ...within(0) }, "deep"),
        leaf("poll", { backoff: Schedule.spaced("10 seconds") })
      ],
      { strategy: "one-for-all" },
      "frontend"
    ),
    Rooms.child(RoomLive, { restart: "transient", backoff: Schedule.windowed("1 minute") }),
    Shards.child(CounterLive, { partitions: 8, intensity: { restarts: 100, within: "1 hour" } }),
    Jobs.child()
  ],
  { strategy: "rest-for-one", ...within(3) },
  "app"
)

const golden = `
supervisor   children  strategy      restarts       sustained   ends at failure  stops within
app          5         rest-for-one  3 within 5s    < 36/min    4                1m 20s
├─ frontend  3         one-for-all   1 within 5s    < 12/min    2, app at 8      20s
│  └─ deep   2         one-for-one   0 within 5s    none        1, for good      10s
├─ Rooms     any       one-for-one   1 within 5s    < 12/min    2, app at 8      5s
├─ Shards    8         one-for-one   100 within 1h  < 1.67/min  101, app at 404  40s
└─ Jobs      any       one-for-one   1 within 5s    < 12/min    2, app at 8      5s

backoff            delays                                                             ends at failure
app/ledger         100ms to 120ms, 200ms to 240ms, 400ms to 480ms, 800ms to 960ms, …  4
app/frontend/poll  10s each                                                           -
app/Rooms/*        unknown                                                            unknown

warning: app/frontend/poll: backoff-never-gives-up
  its restarts are too far apart for the budget of 1 restart within 5s, which it alone never uses
  up: a failure that stays is retried for ever; for app/frontend to give up at last, allow a longer
  within, or let the schedule end

note: app/frontend/deep: first-failure-ends
  no restart is allowed, so the first failure of a ends it: allow some with intensity, or make them
  temporary

warning: app/frontend/deep: not-restarted
  giving up is a shutdown, after which a transient supervisor is not started again: its children
  stay down while app/frontend goes on; make it permanent

2 warnings, 1 note
`

it("the whole, as people see it", () => {
  assert.strictEqual(`${Supervisor.lint(App)}`, golden.trim())
})

it("a tree that nothing is odd about", () => {
  const text = `
supervisor  children  strategy     restarts     sustained  ends at failure  stops within
top         2         one-for-one  1 within 5s  < 12/min   2                7s

nothing is odd
`
  const quietTree = tree([leaf("a"), leaf("b", { shutdown: "2 seconds" })])
  assert.strictEqual(Supervisor.lint(quietTree).toString(), text.trim())
})

it("lines lead from each supervisor to those below it", () => {
  const inner = (id: string, ...below: ReadonlyArray<Tree>) => tree(below, {}, id)
  const deep = inner("a", inner("b", inner("c"), inner("d", inner("e"))), inner("f", inner("g")))
  const [first] = Supervisor.lint(deep).toString().split("\n\n")
  const names = first!.split("\n").map((line) => line.slice(0, line.indexOf("  ", 10)).trimEnd())
  const drawn = ["supervisor", "a", "├─ b", "│  ├─ c", "│  └─ d", "│     └─ e", "└─ f", "   └─ g"]
  assert.deepStrictEqual(names, drawn)
})

it("reading a tree starts nothing", () => {
  let started = 0
  const spec = Supervisor.service("layer", Layer.effectDiscard(Effect.sync(() => started++)), {
    when: Effect.sync(() => ++started > 0)
  })
  Supervisor.lint(
    tree([
      spec,
      Supervisor.effect(
        "e",
        Effect.sync(() => started++)
      )
    ])
  )
  assert.strictEqual(started, 0)
})

it("the figures of a supervisor", () => {
  const { backoffs, ...rest } = figures(App, "app/frontend")
  assert.deepStrictEqual(rest, {
    path: "app/frontend",
    depth: 1,
    children: 3,
    strategy: "one-for-all",
    restart: "permanent",
    intensity: { restarts: 1, within: 5_000 },
    burst: 1,
    sustained: 0.2,
    endsAt: [
      { path: "app/frontend", failures: 2 },
      { path: "app", failures: 8 }
    ],
    stopsWithin: 20_000
  })
  assert.deepStrictEqual(backoffs, [
    {
      path: "app/frontend/poll",
      delays: Array.from({ length: 18 }, () => [10_000, 10_000] as const),
      ends: false,
      givesUpAt: undefined
    }
  ])
})

it("one child alone is read under the supervisor it gets", () => {
  const lint = Supervisor.lint(leaf("only"))
  assert.deepStrictEqual(
    lint.supervisors.map(({ children, path }) => [path, children]),
    [["only", 1]]
  )
})

// --- Figures against the running engine ---

/** How many failures of the child, each after it is back, the tree survives before its root has ended. */
const failuresUntilEnd = (make: (child: Tree) => Tree) =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* Supervisor.start(make(r.child("x")) as Supervisor.ChildSpec<never, never, never>)
    let failures = 0
    while (top.status !== "stopped" && failures < 100) {
      failures++
      yield* r.ref("x").tell.Fail({ code: failures })
      yield* Effect.race(Effect.ignore(r.incarnation("x")), top.ended)
      yield* TestClock.adjust(0)
    }
    return failures
  }).pipe(Effect.scoped, quiet)

const nested: ReadonlyArray<readonly [string, (child: Tree) => Tree]> = [
  ["one supervisor", (child) => tree([child], within(3))],
  ["no restart at all", (child) => tree([child], within(0))],
  ["two supervisors", (child) => tree([tree([child], within(1), "inner")], within(1))],
  ["two unlike ones", (child) => tree([tree([child], within(2), "inner")], within(3))],
  ["three", (child) => tree([tree([tree([child], within(1), "c")], within(0), "b")], within(2))],
  [
    "one whose end ends its parent",
    (child) =>
      tree([tree([child], { restart: "transient", significant: true, ...within(2) }, "inner")], {
        autoShutdown: "any-significant",
        ...within(3)
      })
  ]
]

for (const [what, make] of nested) {
  it.effect(`R19 so many failures end the root: ${what}`, () =>
    Effect.gen(function* () {
      const { endsAt } = Supervisor.lint(make(leaf("x"))).supervisors.at(-1)!
      assert.strictEqual(endsAt.at(-1)!.path, "top")
      assert.strictEqual(yield* failuresUntilEnd(make), endsAt.at(-1)!.failures)
    })
  )
}

it("the product ends where nobody starts a supervisor again", () => {
  const inner = (restart: "transient" | "temporary") => tree([leaf("x")], { restart, ...within(1) }, "inner")
  const paths = (spec: Tree) => figures(spec, "top/inner").endsAt.map(({ failures, path }) => [path, failures])
  assert.deepStrictEqual(paths(tree([inner("transient")])), [["top/inner", 2]])
  assert.deepStrictEqual(paths(tree([inner("temporary")])), [["top/inner", 2]])
  const all = tree([tree([leaf("x")], { restart: "transient", significant: true }, "inner")], {
    autoShutdown: "all-significant"
  })
  assert.deepStrictEqual(paths(all), [["top/inner", 2]])
})

it("children that are never restarted never end their supervisor", () => {
  const { burst, endsAt, sustained } = figures(tree([leaf("x", { restart: "temporary" })]), "top")
  assert.deepStrictEqual([burst, sustained, endsAt], [Infinity, Infinity, []])
})

it("restarts spread just below the sustained rate are survived, at the rate they are not", () => {
  for (const [restarts, time] of [
    [1, 5_000],
    [3, 5_000],
    [7, 60_000]
  ] as const) {
    const { burst, sustained } = figures(tree([leaf("x")], within(restarts, time)), "top")
    const survives = (every: number, count: number) => {
      const window = new Window({ restarts, within: time })
      return Array.from({ length: count }, (_, i) => window.record(i * every)).every((allowed) => allowed)
    }
    assert.isTrue(survives(1_000 / sustained + 1, 1_000))
    assert.isFalse(survives(1_000 / sustained, 1_000))
    assert.isTrue(survives(0, burst))
    assert.isFalse(survives(0, burst + 1))
  }
})

it("how long a stop can take: static children add up, others stop together", () => {
  const time = (spec: Tree, path = "top") => figures(spec, path).stopsWithin
  const two = [leaf("a", { shutdown: "1 second" }), leaf("b", { shutdown: "2 seconds" })]
  assert.strictEqual(time(tree([])), 0)
  assert.strictEqual(time(tree([...two, leaf("c", { shutdown: "kill" })])), 3_000)
  assert.strictEqual(time(tree([tree(two, {}, "inner"), leaf("c")])), 8_000)
  assert.strictEqual(time(tree([...two, leaf("c", { shutdown: Infinity })])), Infinity)
  assert.strictEqual(time(tree([Rooms.child(RoomLive, { shutdown: "3 seconds" })])), 3_000)
  assert.strictEqual(time(tree([Shards.child(CounterLive, { partitions: 3, shutdown: 100 })])), 300)
  assert.isNaN(time(tree([Shards.child(CounterLive)])))
  assert.isNaN(time(tree([Any.child()])))
})

// --- Delays ---

const delays = (backoff: Supervisor.Options<never>["backoff"]) =>
  figures(tree([leaf("x", { backoff: backoff! })]), "top").backoffs[0]!.delays?.slice(0, 3)

it("the first delays of a schedule, with what chance may make of them", () => {
  const same = (...millis: ReadonlyArray<number>) => millis.map((delay) => [delay, delay] as const)
  assert.deepStrictEqual(delays(Schedule.spaced(10)), same(10, 10, 10))
  assert.deepStrictEqual(delays(Schedule.exponential(100)), same(100, 200, 400))
  assert.deepStrictEqual(delays(Backoff.exponential({ min: 3, max: 5 })), same(3, 5, 5))
  const jittered = delays(Backoff.exponential({ min: 100, max: 200, jitter: 0.5 }))!
  assert.deepStrictEqual(
    jittered.map(([least, most]) => [least, Math.round(most)]),
    [
      [100, 150],
      [200, 300],
      [200, 300]
    ]
  )
})

const hidden: ReadonlyArray<readonly [string, Schedule.Schedule<unknown, never>]> = [
  ["the failure", Schedule.spaced(10).pipe(Schedule.while(({ input }) => (input as Error).message !== "fatal"))],
  [
    "the kind of failure",
    Schedule.spaced(10).pipe(Schedule.while(({ input }) => !((input as unknown) instanceof Error)))
  ],
  ["how long it ran", Schedule.windowed("1 second")],
  ["something to wait for", Schedule.spaced(10).pipe(Schedule.tap(() => Effect.sleep(1)))],
  ["what crashes", Schedule.spaced(10).pipe(Schedule.tap(() => Effect.die("boom")))]
]

for (const [what, schedule] of hidden) {
  it(`delays that depend on ${what} are unknown, and nothing is said about them`, () => {
    assert.isUndefined(delays(schedule))
    const lint = Supervisor.lint(tree([leaf("x", { backoff: schedule })]))
    assert.deepStrictEqual(lint.findings, [])
    assert.include(`${lint}`, "top/x    unknown  unknown")
  })
}

it("which failure in a row ends the supervisor: the budget's or the schedule's last", () => {
  const at = (backoff: Schedule.Schedule<unknown>, options: SupervisorOptions) =>
    figures(tree([leaf("x", { backoff })], options), "top").backoffs[0]!.givesUpAt
  assert.strictEqual(at(Schedule.spaced(10), within(3)), 4)
  assert.strictEqual(at(Schedule.spaced("2 seconds"), within(2)), 3)
  assert.strictEqual(at(Schedule.spaced("3 seconds"), within(2)), undefined)
  assert.strictEqual(at(Schedule.recurs(2), within(9)), 3)
  assert.strictEqual(at(Schedule.recurs(20), within(9)), 10)
})

it.effect("and the engine gives up at that failure", () =>
  Effect.gen(function* () {
    for (const [schedule, restarts] of [
      [Schedule.spaced("1 second"), 3],
      [Schedule.recurs(2), 9],
      [Schedule.exponential("1 second"), 2]
    ] as const) {
      const backoff = schedule as Schedule.Schedule<unknown>
      let failures = 0
      const failing = Effect.suspend(() => Effect.fail(++failures))
      const spec = Supervisor.effect("x", failing, { backoff })
      const top = Supervisor.make("top", { intensity: { restarts, within: "5 seconds" }, children: [spec] })
      const running = yield* Effect.forkChild(Effect.exit(Supervisor.run(top)))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(running.pollUnsafe()?._tag, "Success")
      assert.strictEqual(failures, figures(top, "top").backoffs[0]!.givesUpAt)
    }
  }).pipe(quiet)
)

it("never gives up: whatever the runs between the failures", () => {
  const spaced = (millis: number) => delaysOf(Backoff.make(Schedule.spaced(millis)), 24)!
  const never = (restarts: number, delay: number, resetAfter = 30_000) =>
    neverGivesUp({ restarts, within: 5_000 }, spaced(delay), resetAfter)
  // The window is inclusive: a restart exactly 5 seconds old still counts.
  assert.deepStrictEqual([never(1, 5_000), never(1, 5_001)], [false, true])
  assert.deepStrictEqual([never(2, 2_500), never(2, 2_501)], [false, true])
  assert.deepStrictEqual([never(0, 9_000), never(30, 9_000)], [false, false])
  // Its third delay is long enough, but a healthy run of 1 second brings back the first, which is not.
  const growing = Backoff.make(Schedule.exponential(2_000))
  assert.isFalse(neverGivesUp({ restarts: 1, within: 5_000 }, delaysOf(growing, 24)!, 1_000))
  assert.strictEqual(givesUpAt({ restarts: 1, within: "5 seconds" }, spaced(5_001)), undefined)
})

/** Numbers below `n`, the same each time. */
const numbers = (seed: number) => (n: number) => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return Math.floor((seed / 2 ** 32) * n)
}

it("never gives up: no history of runs contradicts it, and one shows each time that it does give up", () => {
  const below = numbers(11)
  let [never, sometimes] = [0, 0]
  for (let round = 0; round < 300; round++) {
    const restarts = 1 + below(3)
    const within = 20
    const resetAfter = 1 + below(30)
    const tail = 1 + below(25)
    const all = Array.from({ length: 12 }, (_, i) => (i < 3 ? 1 + below(25) : tail))
    /** Each failure comes at once, or after a run that is just long enough to bring back the first delay. */
    const givesUp = (window: Window, now: number, step: number, left: number): boolean => {
      if (!window.record(now)) return true
      if (left === 0 || step >= all.length) return false
      const back = now + all[step]!
      const copy = () => window.resized({ restarts, within }, now)
      return givesUp(copy(), back, step + 1, left - 1) || givesUp(copy(), back + resetAfter, 0, left - 1)
    }
    const found = givesUp(new Window({ restarts, within }), 0, 0, restarts + 4)
    const claimed = neverGivesUp({ restarts, within }, { least: all, most: all, ends: false }, resetAfter)
    assert.strictEqual(claimed, !found, JSON.stringify({ restarts, resetAfter, all }))
    if (claimed) never++
    else sometimes++
  }
  assert.isAbove(never, 30)
  assert.isAbove(sometimes, 30)
})

// --- Findings ---

const slow = Schedule.spaced("10 seconds")
const growing = Schedule.exponential("1 second")
const idle = Counter.behavior(Effect.succeed(Counter.of({ Count: () => 1 })), { idle: { after: "1 minute" } })
const provider = Supervisor.service("db", Layer.succeed(Db)("db"), { provides: [Db] })
const forged = (fields: object): Tree => ({ ...tree([leaf("x")], {}, "inner"), ...fields }) as Tree
const graph = (...children: ReadonlyArray<Tree>): Tree => Supervisor.graph("top", { children })
const temporary = (id: string) => leaf(id, { restart: "temporary" })

/** What is in a tree, and all that is found in it. */
const odd: ReadonlyArray<readonly [string, Tree, ReadonlyArray<string>]> = [
  ["no restart for those who want one", tree([leaf("x")], within(0)), ["top: first-failure-ends"]],
  ["no restart for those who want none", tree([temporary("x")], within(0)), ["top: intensity-unused"]],
  ["a budget that nobody uses", tree([temporary("x")], within(3)), ["top: intensity-unused"]],
  ["the default one that nobody uses", tree([temporary("x")]), []],
  ["a budget for children to come", tree([], within(3)), []],
  [
    "a budget for a temporary template",
    tree([Rooms.child(RoomLive, { restart: "temporary", intensity: { restarts: 3, within: 1 } })]),
    ["top/Rooms: intensity-unused"]
  ],
  ["a budget for children of any kind", tree([Any.child({ intensity: { restarts: 3, within: 1 } }), Jobs.child()]), []],
  [
    "a transient supervisor",
    tree([tree([leaf("x")], { restart: "transient" }, "inner")]),
    ["top/inner: not-restarted"]
  ],
  ["a temporary one", tree([tree([leaf("x")], { restart: "temporary" }, "inner")]), ["top/inner: not-restarted"]],
  ["a transient one that never gives up", tree([tree([temporary("x")], { restart: "transient" }, "inner")]), []],
  ["a transient root", tree([leaf("x")], { restart: "transient" }), []],
  [
    "a significant one, which is meant to end its parent",
    tree([tree([leaf("x")], { restart: "transient", significant: true }, "inner")], {
      autoShutdown: "any-significant"
    }),
    []
  ],
  [
    "automatic shutdown that nothing sets off",
    tree([leaf("x")], { autoShutdown: "all-significant" }),
    ["top: auto-shutdown-unused"]
  ],
  [
    "automatic shutdown of one that is started again",
    tree([
      tree([leaf("x", { restart: "transient", significant: true })], { autoShutdown: "any-significant" }, "inner")
    ]),
    ["top/inner: auto-shutdown-restarted"]
  ],
  [
    "automatic shutdown of one that is not",
    tree([
      tree(
        [leaf("x", { restart: "transient", significant: true })],
        { autoShutdown: "any-significant", restart: "transient" },
        "inner"
      )
    ]),
    []
  ],
  ["a limit to the stop of a supervisor", tree([forged({ shutdown: 100 })]), ["top/inner: bounded-shutdown"]],
  ["a supervisor that is killed", tree([forged({ shutdown: "kill" })]), ["top/inner: bounded-shutdown"]],
  ["less time to start than its child", tree([forged({ startTimeout: 100 })]), ["top/inner: bounded-start"]],
  ["an idle actor that is started again", tree([Supervisor.child(idle)]), ["top/test/Counter: idle-restarted"]],
  ["an idle actor that is not", tree([Supervisor.child(idle, { restart: "transient" })]), []],
  ["delays longer than the budget", tree([leaf("x", { backoff: slow })]), ["top/x: backoff-never-gives-up"]],
  ["delays within it", tree([leaf("x", { backoff: slow })], within(3, "60 seconds")), []],
  ["a budget before delays grow", tree([leaf("x", { backoff: growing })]), ["top/x: backoff-cut-short"]],
  ["a budget after they have grown", tree([leaf("x", { backoff: growing })], within(2)), []],
  ["delays that never grow", tree([leaf("x", { backoff: Schedule.spaced(10) })]), []],
  [
    "delays that nobody waits for",
    tree([leaf("x", { backoff: slow, restart: "temporary" })]),
    ["top/x: backoff-unused"]
  ],
  [
    "delays before no restart",
    tree([leaf("x", { backoff: slow })], within(0)),
    ["top: first-failure-ends", "top/x: backoff-unused"]
  ],
  ["a schedule without a step", tree([leaf("x", { backoff: Schedule.recurs(0) })]), ["top/x: backoff-empty"]],
  ["a schedule that ends", tree([leaf("x", { backoff: Schedule.recurs(3) })]), []],
  [
    "delays of each partition, and of a template",
    tree([
      Shards.child(CounterLive, { partitions: 8, backoff: slow }),
      Rooms.child(RoomLive, { backoff: Schedule.recurs(0) })
    ]),
    ["top/Shards/*: backoff-never-gives-up", "top/Rooms/*: backoff-empty"]
  ],
  ["a strategy for one child", tree([leaf("x")], { strategy: "one-for-all" }), ["top: strategy-unused"]],
  ["a strategy for children to come", tree([], { strategy: "one-for-all" }), []],
  [
    "a strategy for temporary children",
    tree([temporary("x"), temporary("y")], { strategy: "rest-for-one" }),
    ["top: strategy-unused"]
  ],
  [
    "a strategy for one partition",
    tree([Shards.child(CounterLive, { partitions: 1, strategy: "one-for-all" })]),
    ["top/Shards: strategy-unused"]
  ],
  ["a strategy for two", tree([Shards.child(CounterLive, { partitions: 2, strategy: "one-for-all" })]), []],
  ["a strategy for as many as there are cores", tree([Shards.child(CounterLive, { strategy: "one-for-all" })]), []],
  ["a graph without needs", graph(provider, leaf("x")), ["top: graph-without-needs"]],
  ["a graph with needs", graph(leaf("x", { needs: [Db] }), provider), []],
  [
    "a circle",
    graph(leaf("x", { needs: [Db], provides: [Counter] }), leaf("y", { needs: [Counter], provides: [Db] })),
    ["top: circular-needs"]
  ],
  ["ids that are not unique", tree([leaf("x"), leaf("y"), leaf("x")]), ["top/x: duplicate-id"]],
  [
    "a permanent significant child",
    tree([leaf("x", { significant: true })], { autoShutdown: "any-significant" }),
    ["top/x: significant"]
  ],
  [
    "a significant child of no account",
    tree([leaf("x", { restart: "transient", significant: true })]),
    ["top/x: significant"]
  ],
  [
    "all that is refused, at once",
    tree([
      leaf("a", { shutdown: -1 }),
      tree([leaf("b", { startTimeout: 0 })], { intensity: { restarts: 1.5, within: 0 } }, "inner"),
      42 as never,
      null as never,
      Shards.child(CounterLive, { partitions: 0 })
    ]),
    [
      "top/a: invalid-spec",
      "top: invalid-spec",
      "top: invalid-spec",
      "top/inner: invalid-spec",
      "top/inner/b: invalid-spec",
      "top/Shards: invalid-spec"
    ]
  ],
  ["no tree", 42 as never, ["the tree: invalid-spec"]],
  ["nothing", undefined as never, ["the tree: invalid-spec"]]
]

for (const [what, spec, expected] of odd) {
  it(`finds: ${what}`, () => {
    assert.deepStrictEqual(codes(spec), expected)
  })
}

it.effect("an error is what is refused, anything else is started", () =>
  Effect.gen(function* () {
    for (const [what, spec] of odd) {
      const refused = (yield* Effect.exit(Supervisor.validate(spec)))._tag === "Failure"
      const errors = Supervisor.lint(spec).findings.filter(({ severity }) => severity === "error")
      assert.strictEqual(errors.length > 0, refused, what)
    }
  })
)

it("each finding says what to do", () => {
  const messages = new Map(
    odd.flatMap(([, spec]) => Supervisor.lint(spec).findings.map(({ code, message }) => [code, message] as const))
  )
  assert.deepStrictEqual(Object.fromEntries(messages), {
    "auto-shutdown-restarted":
      "when it ends by autoShutdown, top starts it again and pays a restart for it: make it transient",
    "auto-shutdown-unused":
      'autoShutdown "all-significant" waits for significant children, and there are none: mark them',
    "backoff-cut-short":
      "a failure that stays uses up the budget of 1 restart within 5s while the delay is still 1s, so longer ones are never " +
      "waited for: allow more restarts",
    "backoff-empty": "its backoff ends before the first delay, so its first failure ends top/Rooms: allow some steps",
    "backoff-never-gives-up":
      "its restarts are too far apart for the budget of 1 restart within 5s, which it alone never uses up: a failure that " +
      "stays is retried for ever; for top/Shards to give up at last, allow a longer within, or let the schedule end",
    "backoff-unused": "no restart is allowed, so its backoff is never used: allow some with intensity",
    "bounded-shutdown":
      "it is killed, perhaps in the middle of stopping its children: give a supervisor all the time it needs",
    "bounded-start":
      "it may take 100ms to start, but x alone may take longer: give it more time than all of its children together",
    "circular-needs": "x needs y needs x: let one of them look the other up when it runs",
    "duplicate-id": "2 children have this id: give each its own, by the option id",
    "first-failure-ends":
      "no restart is allowed, so the first failure of x ends it: allow some with intensity, or make them temporary",
    "graph-without-needs":
      "no child needs another, so each is on its own: say who does by needs and provides, or use Supervisor.make",
    "idle-restarted":
      "whenever it ends because it is idle it is started again, which uses up a restart: make it transient",
    "intensity-unused":
      "all its children are temporary, so its intensity is never used: leave it out, or let them be restarted",
    "invalid-spec": "child must be a child spec or a behavior without arguments, got undefined",
    "not-restarted":
      "giving up is a shutdown, after which a temporary supervisor is not started again: its children stay down while top " +
      "goes on; make it permanent",
    significant: 'significant cannot go with autoShutdown "never": set it on the supervisor, got true',
    "strategy-unused":
      "there is one child, which shares its fate with nobody: one-for-all does here what one-for-one does, so leave it out"
  })
})

it.effect("an idle permanent actor does use up restarts", () =>
  Effect.gen(function* () {
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [Supervisor.child(idle)] }))
    yield* TestClock.adjust("1 minute")
    assert.strictEqual((yield* top.budget).used, 1)
    assert.strictEqual((yield* top.children)[0]!.state, "running")
  })
)

it.effect("a transient supervisor that has given up does stay down", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const inner = Supervisor.make("inner", {
      restart: "transient",
      intensity: { restarts: 0, within: "1 second" },
      children: [r.child("x")]
    })
    const top = yield* r.start([inner])
    yield* r.ref("x").tell.Fail({ code: 1 })
    yield* Effect.flip(r.incarnation("x"))
    assert.deepStrictEqual([yield* states(top), (yield* top.budget).used], [{ inner: "stopped" }, 0])
  }).pipe(quiet)
)

it("what is no spec at all is among the findings, wherever it stands", () => {
  const none = undefined as never
  const strange: ReadonlyArray<readonly [Supervisor.ChildSpec<unknown, unknown, unknown>, string]> = [
    [Supervisor.make("top", { children: 5 as never }), "children must be a list"],
    [Supervisor.make("top", none), "options must be an object"],
    [Supervisor.make("top", { children: [Supervisor.child(none)] }), "child must be a child spec"],
    [
      Supervisor.graph("top", { children: [Supervisor.effect("e", Effect.void, { needs: 5 as never })] }),
      "needs must be"
    ]
  ]
  for (const [tree, says] of strange) assert.include(Supervisor.lint(tree).findings[0]?.message, says)
})
