/** CFG: changing a running supervisor. */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Actor, DynamicSupervisor, ExitReason, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Child, listed, quiet, Recording, states } from "../support/recording.ts"

const none = { restarts: 0, within: "5 seconds" } as const
const five = { restarts: 5, within: "5 seconds" } as const
const settled = Effect.gen(function* () {
  for (let i = 0; i < 20; i++) yield* Effect.yieldNow
})

it.effect("CFG-01 new settings hold at once, and no child is touched", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const children = [r.child("a"), r.child("b")] as const
    const top = yield* r.start(children, { intensity: none })
    yield* top.reconfigure(Supervisor.make("top", { strategy: "one-for-all", intensity: five, children }))
    assert.deepStrictEqual([yield* r.incarnation("a"), r.log], [1, ["a started", "b started"]])
    yield* r.ref("a").tell.Fail({ code: 1 })
    assert.strictEqual(yield* r.incarnation("a"), 2)
    assert.deepStrictEqual([yield* r.incarnation("b"), (yield* top.budget).left], [2, 4])
  }).pipe(quiet)
)

it.effect("CFG-01 what counts in the window goes on counting, also where that is more than is allowed now", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const children = [r.child("a")] as const
    const top = yield* r.start(children, { intensity: five })
    for (const code of [1, 2, 3]) {
      yield* r.ref("a").tell.Fail({ code })
      yield* r.incarnation("a")
      yield* TestClock.adjust("1 second")
    }
    const narrow = { restarts: 2, within: "4 seconds" } as const
    yield* top.reconfigure(Supervisor.make("top", { intensity: narrow, children }))
    const { expires, left, used } = yield* top.budget
    assert.deepStrictEqual([used, left, expires], [3, 0, [1_000, 2_000, 3_000]])
    yield* r.ref("a").tell.Fail({ code: 4 })
    assert.strictEqual((yield* top.ended)._tag, "Shutdown")
  }).pipe(quiet)
)

const refusals: ReadonlyArray<readonly [string, (r: Recording) => unknown, string]> = [
  [
    "a bad child spec",
    (r) => Supervisor.make("top", { children: [r.child("a", { shutdown: -1 })] }),
    'top/a: shutdown must be a duration of 0 or more, or "kill"'
  ],
  [
    "bad settings",
    (r) => Supervisor.make("top", { intensity: { restarts: -1, within: 1 }, children: [r.child("a")] }),
    "top: intensity.restarts must be a whole number of 0 or more, got -1"
  ],
  ["no configuration at all", () => 5, "the tree: child must be a child spec"],
  ["a child alone", (r) => r.child("top"), 'top: configuration must be Supervisor.make("top", …)'],
  [
    "another supervisor's configuration",
    () => Supervisor.make("other", { children: [] }),
    'top: configuration must be Supervisor.make("top", …), got "other"'
  ],
  [
    "another kind of child under a known id",
    () => Supervisor.make("top", { children: [Supervisor.effect("a", Effect.never)] }),
    'top/a: kind must stay an actor of test/Child: give another kind of child another id, got "of kind effect"'
  ],
  [
    "a significant child under never",
    (r) => Supervisor.make("top", { children: [r.child("a", { significant: true, restart: "transient" })] }),
    'top/a: significant cannot go with autoShutdown "never"'
  ]
]

for (const [what, make, message] of refusals) {
  it.effect(`CFG-02 ${what} changes nothing`, () =>
    Effect.gen(function* () {
      const r = new Recording()
      const top = yield* r.start([r.child("a", { shutdown: "2 seconds" })], { intensity: five })
      const error = (yield* Effect.flip(
        top.reconfigure(make(r) as Supervisor.ChildSpec<never, never, never>)
      )) as Supervisor.InvalidSpec
      assert.strictEqual(error._tag, "InvalidSpec")
      assert.include(error.message, message)
      assert.deepStrictEqual([(yield* top.budget).restarts, (yield* top.getChild("a")).shutdown], [5, 2_000])
      assert.strictEqual(yield* r.incarnation("a"), 1)
    })
  )
}

it.effect("CFG-04 a changed spec keeps the running child; its new values hold from now on", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("child1", { shutdown: "2 seconds" })])
    const next = r.child("child1", { shutdown: "1 second", restart: "transient" })
    yield* top.reconfigure(Supervisor.make("top", { children: [next] }))
    const { restart, shutdown } = yield* top.getChild("child1")
    assert.deepStrictEqual([shutdown, restart, yield* r.incarnation("child1")], [1_000, "transient", 1])
    yield* r.ref("child1").tell.End()
    yield* settled
    assert.deepStrictEqual(yield* states(top), { child1: "stopped" })
  })
)

it.effect("CFG-04 a changed behavior runs from the next start on, behind the same ref", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    const before = r.ref("a")
    const loud = Child.behavior(
      Effect.sync(() => Child.of({ ...quietHandlers, Ping: () => 100, Add: ({ n }) => n * 10 }))
    )
    yield* top.reconfigure(Supervisor.make("top", { children: [Supervisor.child(loud, { id: "a" })] }))
    assert.strictEqual(yield* before.ask.Add({ n: 1 }), 1)
    yield* before.tell.Fail({ code: 1 })
    assert.strictEqual(yield* before.ask.Add({ n: 1 }), 10)
  }).pipe(quiet)
)

it.effect("CFG-05 a child that is left out stays, until the supervisor itself is restarted", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const inner = (ids: ReadonlyArray<string>) => Supervisor.make("inner", { children: ids.map((id) => r.child(id)) })
    const top = yield* r.start([inner(["child1", "child2"])])
    const handle = yield* top.supervisor("inner")
    yield* handle.reconfigure(inner(["child1"]))
    assert.deepStrictEqual(yield* states(handle), { child1: "running", child2: "running" })
    assert.strictEqual(yield* r.incarnation("child2"), 1)
    yield* r.ref("child2").tell.Fail({ code: 1 })
    assert.strictEqual(yield* r.incarnation("child2"), 2)
    yield* handle.kill
    yield* settled
    assert.deepStrictEqual(yield* listed(handle), ["child1"])
  }).pipe(quiet)
)

it.effect("CFG-05 new ids are added in their order, without being started", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("c"), r.child("gone")])
    yield* top.reconfigure(Supervisor.make("top", { children: [r.child("a"), r.child("b"), r.child("c")] }))
    assert.deepStrictEqual(yield* states(top), { a: "running", b: "stopped", c: "running", gone: "running" })
    assert.deepStrictEqual(yield* listed(top), ["a", "b", "c", "gone"])
    yield* top.restartChild("b")
    assert.strictEqual(yield* r.incarnation("b"), 1)
  })
)

it.effect("CFG-05 a nested supervisor takes its new configuration when it is started again", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const tree = (...ids: ReadonlyArray<string>) =>
      Supervisor.make("inner", { intensity: five, children: ids.map((id) => r.child(id)) })
    const top = yield* r.start([tree("a")])
    yield* top.reconfigure(Supervisor.make("top", { intensity: five, children: [tree("b", "a")] }))
    const inner = yield* top.supervisor("inner")
    assert.deepStrictEqual(yield* states(inner), { a: "running" })
    yield* inner.kill
    yield* settled
    assert.deepStrictEqual(yield* states(inner), { b: "running", a: "running" })
  }).pipe(quiet)
)

class Room extends Actor.Service<Room>()("test/Room", { Name: { success: Schema.String }, Crash: {} }) {}
class Rooms extends DynamicSupervisor.Service<Rooms>()("test/Rooms", Room) {}

const naming = (mark: string) =>
  Room.behavior((name: string) =>
    Effect.sync(() => Room.of({ Name: () => `${name}${mark}`, Crash: () => Effect.die("crash") }))
  )

it.effect("CFG-07 a dynamic supervisor takes another template; two or none are refused", () =>
  Effect.gen(function* () {
    const tree = Supervisor.make("chat", { children: [Rooms.child(naming("."))] })
    yield* Effect.gen(function* () {
      const lobby = yield* Rooms.at("lobby")
      yield* Rooms.reconfigure(naming("!"), { intensity: five, maxChildren: 2 })
      assert.strictEqual(yield* lobby.ask.Name(), "lobby.")
      assert.strictEqual(yield* (yield* Rooms.at("attic")).ask.Name(), "attic!")
      yield* lobby.tell.Crash()
      assert.strictEqual(yield* lobby.ask.Name(), "lobby!")
      assert.strictEqual((yield* Effect.flip(Rooms.at("cellar")))._tag, "MaxChildrenReached")
      for (const bad of [undefined, [naming("1"), naming("2")]]) {
        const error = (yield* Effect.flip(
          Rooms.reconfigure(bad as unknown as ReturnType<typeof naming>)
        )) as Supervisor.InvalidSpec
        assert.strictEqual(error._tag, "InvalidSpec")
        assert.include(error.message, "chat/test/Rooms: template must be one behavior")
      }
      const bad = yield* Effect.flip(Rooms.reconfigure(naming("?"), { shutdown: -1 }))
      assert.include(bad.message, "shutdown must be a duration of 0 or more")
      yield* lobby.tell.Crash()
      assert.strictEqual(yield* lobby.ask.Name(), "lobby!")
    }).pipe(Effect.provide(Supervisor.layer(tree)))
  }).pipe(quiet)
)

const two = (r: Recording) => ["x", "y"].map((id) => r.child(id, { significant: true, restart: "temporary" }))

for (const mode of ["any-significant", "all-significant"] as const) {
  it.effect(`CFG-08 from never to ${mode}: significant children are accepted from then on, and count`, () =>
    Effect.gen(function* () {
      const r = new Recording()
      const children = [r.child("a")] as const
      const top = yield* r.start(children)
      const [x, y] = two(r)
      assert.strictEqual((yield* Effect.flip(top.startChild(x!)))._tag, "InvalidSpec")
      yield* top.reconfigure(Supervisor.make("top", { autoShutdown: mode, children }))
      yield* top.startChild(x!)
      yield* top.startChild(y!)
      yield* r.ref("x").tell.End()
      yield* settled
      if (mode === "all-significant") {
        assert.strictEqual(top.status, "running")
        yield* r.ref("y").tell.End()
      }
      assert.deepStrictEqual(yield* top.ended, ExitReason.Shutdown())
    })
  )
}

for (const [from, to] of [
  ["any-significant", "all-significant"],
  ["all-significant", "any-significant"]
] as const) {
  it.effect(`CFG-10 from ${from} to ${to}: the end of one follows the new mode`, () =>
    Effect.gen(function* () {
      const r = new Recording()
      const children = two(r)
      const top = yield* r.start(children, { autoShutdown: from })
      yield* top.reconfigure(Supervisor.make("top", { autoShutdown: to, children }))
      yield* r.ref("x").tell.End()
      yield* settled
      assert.strictEqual(top.status, to === "any-significant" ? "stopped" : "running")
    })
  )
}

it.effect("CFG-11 a child can become significant; under never that is refused", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const plain = r.child("a", { restart: "transient" })
    const marked = r.child("a", { restart: "transient", significant: true })
    const top = yield* r.start([plain], { autoShutdown: "any-significant" })
    const never = yield* Effect.flip(top.reconfigure(Supervisor.make("top", { children: [marked] })))
    assert.strictEqual(never._tag, "InvalidSpec")
    yield* top.reconfigure(Supervisor.make("top", { autoShutdown: "any-significant", children: [marked] }))
    assert.isTrue((yield* top.getChild("a")).significant)
    yield* r.ref("a").tell.End()
    assert.deepStrictEqual(yield* top.ended, ExitReason.Shutdown())
  })
)

const nothing = () => {}
const quietHandlers = { Fail: nothing, Throw: nothing, End: nothing, Shutdown: nothing, Wait: nothing }
