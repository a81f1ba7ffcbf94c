/** Children that say what they need: order, shared fate, readiness gates. */
import { assert, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer } from "effect"

import { Actor, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { dependents, type Node, startOrder } from "../../src/supervision/graph.ts"
import { Broken, quiet, Recording, states } from "../support/recording.ts"

const node = (id: string, needs: ReadonlyArray<string> = []): Node => ({ id, needs, provides: [id] })
const ids = (nodes: ReadonlyArray<Node>) => nodes.map(({ id }) => id)

it("start order: what is needed first, otherwise as listed; needs from outside order nothing", () => {
  const listed = [node("c", ["b"]), node("x"), node("b", ["a", "outside"]), node("a"), node("y", ["x"])]
  assert.deepStrictEqual(ids(startOrder(listed) as ReadonlyArray<Node>), ["a", "b", "c", "x", "y"])
})

it("a circle is named from where it closes; needing oneself is none", () => {
  assert.deepStrictEqual(startOrder([node("a", ["c"]), node("b", ["a"]), node("c", ["b"])]), {
    circle: ["a", "c", "b"]
  })
  assert.deepStrictEqual(ids(startOrder([node("a", ["a"])]) as ReadonlyArray<Node>), ["a"])
})

it("where several provide what is needed, all of them come before; who provides it itself has it", () => {
  const one = { ...node("one"), provides: ["key"] }
  const two = { ...node("two", ["key"]), provides: ["key"] }
  const last = node("last", ["one"])
  const after = { ...node("late"), provides: ["key"] }
  const sorted = startOrder([node("user", ["key"]), one, two, last, after]) as ReadonlyArray<Node>
  assert.deepStrictEqual(ids(sorted), ["one", "two", "late", "user", "last"])
})

it("dependents: the one itself and all that need it, directly or through others", () => {
  const nodes = [node("db"), node("mail"), node("users", ["db"]), node("log"), node("api", ["users", "mail"])]
  assert.deepStrictEqual(ids(dependents(nodes, nodes[0]!)), ["db", "users", "api"])
  assert.deepStrictEqual(ids(dependents(nodes, nodes[1]!)), ["mail", "api"])
  assert.deepStrictEqual(ids(dependents(nodes, nodes[3]!)), ["log"])
})

/** Numbers below `n`, the same each time. */
const numbers = (seed: number) => (n: number) => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return Math.floor((seed / 2 ** 32) * n)
}

it("any acyclic graph, listed in any order: each starts after all it needs, and none is lost", () => {
  const below = numbers(7)
  for (let round = 0; round < 500; round++) {
    const size = 1 + below(12)
    const nodes = Array.from({ length: size }, (_, i) =>
      node(`${i}`, i === 0 ? [] : Array.from({ length: below(4) }, () => `${below(i)}`))
    )
    const listed = nodes.map((each) => [below(1_000), each] as const).sort(([a], [b]) => a - b)
    const sorted = ids(startOrder(listed.map(([, each]) => each)) as ReadonlyArray<Node>)
    assert.deepStrictEqual([...sorted].sort(), [...ids(nodes)].sort())
    for (const { id, needs } of nodes) {
      for (const need of needs) assert.isBelow(sorted.indexOf(need), sorted.indexOf(id))
    }
  }
})

const service = (name: string) => class extends Context.Service<{ readonly name: string }, string>()(name) {}
class Db extends service("test/Db") {}
class Cache extends service("test/Cache") {}

/** A layer that writes down when it is built and released. */
const recorded = <I, S>(r: Recording, key: Context.Key<I, S>, id: string, value: S) =>
  Layer.effect(
    key,
    Effect.acquireRelease(
      Effect.sync(() => {
        r.write(`${id} built`)
        return value
      }),
      () => Effect.sync(() => r.write(`${id} released`))
    )
  )

it.effect("a failing child takes along those that need it, and nobody else", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* Supervisor.start(
      Supervisor.graph("top", {
        children: [
          r.child("api", { needs: [Cache] }),
          r.child("other"),
          Supervisor.service("cache", recorded(r, Cache, "cache", "c"), { needs: [Db], provides: [Cache] }),
          Supervisor.service("db", recorded(r, Db, "db", "d"), { provides: [Db] })
        ]
      })
    )
    assert.deepStrictEqual(r.takeLog(), ["db built", "cache built", "api started", "other started"])
    yield* r.ref("other").tell.Fail({ code: 1 })
    assert.strictEqual(yield* r.incarnation("other"), 2)
    assert.deepStrictEqual(r.takeLog(), ["other stopped", "other started"])
    yield* TestClock.adjust("1 minute")
    yield* r.ref("api").tell.Fail({ code: 1 })
    yield* r.incarnation("api")
    assert.deepStrictEqual(r.takeLog(), ["api stopped", "api started"])
    yield* top.stop
    assert.deepStrictEqual(r.log, ["other stopped", "api stopped", "cache released", "db released"])
  }).pipe(quiet)
)

it.effect("an actor that others need: they are stopped first, and started after it", () =>
  Effect.gen(function* () {
    class Base extends Actor.Service<Base>()("test/Base", { Crash: {} }) {}
    const r = new Recording()
    const base = Base.behavior(
      Effect.gen(function* () {
        r.write("base started")
        yield* Effect.addFinalizer(() => Effect.sync(() => r.write("base stopped")))
        return Base.of({ Crash: () => Effect.fail(new Broken({ code: 1 })) })
      })
    )
    const tree = Supervisor.graph("top", { children: [r.child("user", { needs: [Base] }), r.child("other"), base] })
    const top = yield* Supervisor.start(tree)
    assert.deepStrictEqual(r.takeLog(), ["base started", "user started", "other started"])
    yield* Context.get(top.services, Base).tell.Crash()
    yield* r.lines(4)
    assert.deepStrictEqual(r.takeLog(), ["base stopped", "user stopped", "base started", "user started"])
  }).pipe(quiet)
)

it.effect("a circle is refused before anything starts", () =>
  Effect.gen(function* () {
    const tree = Supervisor.graph("top", {
      children: [
        Supervisor.service("db", Layer.empty, { needs: [Cache], provides: [Db] }),
        Supervisor.service("cache", Layer.empty, { needs: [Db], provides: [Cache] })
      ]
    })
    const error = yield* Effect.flip(Supervisor.validate(tree))
    assert.strictEqual(error.message, 'top: needs must not go round in a circle, got ["db","cache","db"]')
  })
)

it.effect("a gate: the next child waits until the one before is ready", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const gate = yield* Deferred.make<void>()
    const warm = r.child("warm", { ready: Deferred.await(gate) })
    const start = yield* Effect.forkChild(r.start([warm, r.child("next")]))
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(r.log, ["warm started"])
    assert.strictEqual(yield* r.ref("warm").ask.Ping(), 1)
    yield* Deferred.succeed(gate, undefined)
    const top = yield* Fiber.join(start)
    assert.deepStrictEqual(
      [r.log, yield* states(top)],
      [["warm started", "next started"], { warm: "running", next: "running" }]
    )
  })
)

const shut: ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown>, string]> = [
  ["fails", Effect.fail(new Broken({ code: 5 })), "Broken"],
  ["does not open in time", Effect.never, "StartTimeout: top/b was not up within 2000 ms"],
  ["dies", Effect.die("bad gate"), "bad gate"],
  ["is interrupted", Effect.interrupt, "it ended, or was interrupted, before it was up"]
]

for (const [what, ready, message] of shut) {
  it.effect(`a gate that ${what} is a failed start: everything is rolled back`, () =>
    Effect.gen(function* () {
      const r = new Recording()
      const children = [r.child("a"), r.child("b", { ready, startTimeout: "2 seconds" }), r.child("c")]
      const start = yield* Effect.forkChild(Effect.flip(r.start(children)))
      yield* TestClock.adjust("3 seconds")
      assert.include((yield* Fiber.join(start)).message, `top: child b failed to start: `)
      assert.include((yield* Fiber.join(start)).message, message)
      assert.deepStrictEqual(r.log, ["a started", "b started", "b stopped", "a stopped"])
    }).pipe(quiet)
  )
}

it.effect("a child that crashes before it is ready has failed to start; at a restart that is one more attempt", () =>
  Effect.gen(function* () {
    const r = new Recording()
    let opens = true
    const ready = Effect.suspend(() =>
      opens ? Effect.void : Effect.andThen(r.ref("a").tell.Fail({ code: 9 }), Effect.never)
    )
    const top = yield* r.start([r.child("a", { ready })], { intensity: { restarts: 3, within: "1 minute" } })
    opens = false
    yield* r.ref("a").tell.Fail({ code: 1 })
    const reason = yield* top.ended
    assert.strictEqual(reason._tag, "Shutdown")
    assert.deepStrictEqual(r.log.filter((line) => line === "a started").length, 4)
  }).pipe(quiet)
)
