/** SYS: what can be read of a tree, and how traces follow messages through it. */
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Exit, Layer, Option, Schema, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorRef, Supervisor } from "effect-otp"
import { quiet } from "../support/recording.ts"

class Broken extends Data.TaggedError("Broken") {}

class Leaf extends Actor.Service<Leaf>()("test/tree/Leaf", {
  Ping: { success: Schema.Int },
  Crash: {},
  End: {}
}) {}
const LeafLive = Leaf.behavior(
  Effect.succeed(Leaf.of({ Ping: () => 1, Crash: () => Effect.fail(new Broken()), End: () => {} }))
)

class Passing extends Actor.Service<Passing>()("test/tree/Passing", { Ping: {} }) {}
const PassingLive = Passing.behavior(Effect.succeed(Passing.of({ Ping: () => {} })))

describe("a tree, read", () => {
  it.effect(
    "SYS-09 every node of three levels, with its restarts, last cause, queue and start; ended ones disappear",
    () =>
      Effect.gen(function* () {
        const children = [
          Supervisor.child(LeafLive, { id: "a" }),
          Supervisor.child(PassingLive, { id: "b", restart: "temporary" })
        ] as const
        const top = yield* Supervisor.start(
          Supervisor.make("top", { children: [Supervisor.make("inner", { children })] })
        )
        const inner = yield* top.supervisor("inner")
        const a = yield* Effect.provide(Leaf, top.services)
        const start = yield* Effect.map(top.children, ([node]) => node!.startedAt)
        yield* TestClock.adjust("1 second")
        const snapshot = Effect.map(top.children, ([node]) => node!)
        const before = yield* snapshot
        assert.deepStrictEqual(
          before.children.map(({ id, incarnation, kind, restarts, state }) => [id, kind, state, restarts, incarnation]),
          [
            ["a", "actor", "running", 0, 1],
            ["b", "actor", "running", 0, 1]
          ]
        )
        yield* a.tell.Crash()
        yield* a.ask.Ping()
        yield* Actor.suspend(a)
        yield* a.tell.Ping()
        const { children: later, kind, path } = yield* snapshot
        assert.deepStrictEqual([kind, path], ["supervisor", "top/inner"])
        const crashed = later[0]!
        assert.deepInclude(crashed, {
          state: "running",
          incarnation: 2,
          restarts: 1,
          queued: 1,
          startedAt: start! + 1_000
        })
        assert.strictEqual(crashed.lastFailure?._tag, "Failed")
        yield* inner.terminateChild("b")
        assert.isFalse((yield* snapshot).children.some(({ id }) => id === "b"))
      }).pipe(quiet)
  )

  it.effect("SYS-11 the budget: used two of three, and until when each counts", () =>
    Effect.gen(function* () {
      const top = yield* Supervisor.start(
        Supervisor.make("top", { intensity: { restarts: 3, within: "60 seconds" }, children: [LeafLive] })
      )
      const leaf = yield* Effect.provide(Leaf, top.services)
      for (let i = 0; i < 2; i++) {
        yield* leaf.tell.Crash()
        yield* leaf.ask.Ping()
        yield* TestClock.adjust("10 seconds")
      }
      assert.deepInclude(yield* top.budget, { restarts: 3, used: 2, left: 1, expires: [40_000, 50_000] })
      yield* TestClock.adjust("45 seconds")
      assert.deepInclude(yield* top.budget, { used: 1, left: 2, expires: [5_000] })
    }).pipe(quiet)
  )
})

describe("SYS-12 trace context", () => {
  class Hop extends Actor.Service<Hop>()("test/tree/Hop", {
    Do: { success: Schema.Int },
    Loop: { payload: { left: Schema.Int } }
  }) {}

  /** Spans by name, and the names from each to its root. */
  const recording = () => {
    const spans: Array<Tracer.NativeSpan> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    const pathOf = (span: Tracer.AnySpan): string => {
      const parent = span._tag === "Span" ? Option.getOrUndefined(span.parent) : undefined
      const name = span._tag === "Span" ? span.name : "external"
      return parent === undefined ? name : `${pathOf(parent)}>${name}`
    }
    return { paths: () => spans.map(pathOf), layer: Layer.succeed(Tracer.Tracer, tracer) }
  }

  const hop = (name: string, next?: ActorRef.ActorRef<Hop>) =>
    Hop.behavior(
      Effect.gen(function* () {
        const self = yield* Hop.self
        return Hop.of({
          Do: () => Effect.withSpan(next === undefined ? Effect.succeed(1) : Effect.orDie(next.ask.Do()), name),
          Loop: ({ left }) => Effect.withSpan(left === 0 ? Effect.void : self.tell.Loop({ left: left - 1 }), name)
        })
      })
    )

  it.effect("SYS-12 the handler's span is below the sender's: tell, ask, ask of an ask, after a restart", () => {
    const { layer, paths } = recording()
    return Effect.gen(function* () {
      const last = yield* Actor.spawn(hop("last"))
      const first = yield* Actor.spawn(hop("first", last))
      yield* Effect.withSpan(first.ask.Do(), "sender")
      yield* Effect.withSpan(last.tell.Loop({ left: 0 }), "teller")
      yield* last.ask.Do()
      assert.deepStrictEqual(
        paths().filter((path) => path.includes(">")),
        ["sender>first", "sender>first>last", "teller>last"]
      )
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [hop("restarted")] }))
      const ref = yield* Effect.provide(Hop, top.services)
      yield* Actor.kill(ref)
      yield* Effect.withSpan(ref.ask.Do(), "again")
      assert.strictEqual(paths().at(-1), "again>restarted")
    }).pipe(Effect.provide(layer))
  })

  it.effect("SYS-12 what is handed on keeps its trace; what an actor tells itself does not nest without end", () => {
    const { layer, paths } = recording()
    return Effect.gen(function* () {
      const last = yield* Actor.spawn(hop("last"))
      const Front = Hop.behavior(Effect.succeed(Hop.of({ Do: () => Actor.forward(last.ask.Do()), Loop: () => {} })))
      const front = yield* Actor.spawn(Front)
      yield* Effect.withSpan(front.ask.Do(), "sender")
      assert.strictEqual(paths().at(-1), "sender>last")
      yield* Effect.withSpan(last.tell.Loop({ left: 3 }), "teller")
      yield* last.ask.Do()
      yield* last.ask.Do()
      assert.deepStrictEqual(
        paths().filter((path) => path.startsWith("teller>")),
        ["teller>last", "teller>last", "teller>last", "teller>last"]
      )
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(last.ask.Do())))
    }).pipe(Effect.provide(layer))
  })
})
