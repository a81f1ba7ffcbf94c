/** INT: the restart budget, escalation, decisions by error. */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Logger } from "effect"
import { ExitReason, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, listed, quiet, Recording, states } from "../support/recording.ts"

const within = (restarts: number, time: Supervisor.Intensity["within"] = "1 minute") => ({
  intensity: { restarts, within: time }
})

it.effect("INT-02 intensity n allows exactly n restarts in the window", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b"), r.child("c")], within(2))
    for (const incarnation of [2, 3]) {
      yield* r.ref("a").tell.Throw()
      assert.strictEqual(yield* r.incarnation("a"), incarnation)
    }
    r.takeLog()
    yield* r.ref("a").tell.Throw()
    assert.strictEqual((yield* top.ended)._tag, "Shutdown")
    assert.deepStrictEqual(r.log, ["a stopped", "c stopped", "b stopped"])
    assert.strictEqual((yield* r.ref("a").ended)._tag, "Failed")
    for (const id of ["b", "c"]) assert.deepStrictEqual(yield* r.ref(id).ended, ExitReason.Shutdown(), id)
  }).pipe(quiet)
)

it.effect("INT-03 spaced crashes never exhaust the budget", () =>
  Effect.gen(function* () {
    const r = new Recording()
    yield* r.start([r.child("a")], within(1, "1 second"))
    for (let crash = 1; crash <= 5; crash++) {
      yield* r.ref("a").tell.Throw()
      assert.strictEqual(yield* r.incarnation("a"), crash + 1)
      yield* TestClock.adjust("2100 millis")
    }
  }).pipe(quiet)
)

it.effect("INT-05 the window slides per event, not per block", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")], within(2, "5 seconds"))
    for (const wait of ["3 seconds", "3 seconds", "1 second"] as const) {
      yield* r.ref("a").tell.Throw()
      yield* r.incarnation("a")
      yield* TestClock.adjust(wait)
    }
    assert.strictEqual(top.status, "running")
    yield* r.ref("a").tell.Throw()
    assert.strictEqual((yield* top.ended)._tag, "Shutdown")
  }).pipe(quiet)
)

it.effect("INT-06 failed attempts count", () =>
  Effect.gen(function* () {
    const r = new Recording()
    let starts = 0
    const init = Effect.suspend(() => (++starts === 1 ? Effect.void : Effect.fail(new Broken({ code: starts }))))
    const top = yield* r.start([r.child("a"), r.child("b", { init })], within(3))
    yield* r.ref("b").tell.Throw()
    assert.strictEqual((yield* top.ended)._tag, "Shutdown")
    assert.strictEqual(starts - 1, 3)
    assert.deepStrictEqual(r.log, ["a started", "b started", "b stopped", "a stopped"])
  }).pipe(quiet)
)

it.effect("INT-08 exhaustion is reported with its cause", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")], within(0))
    yield* r.ref("a").tell.Fail({ code: 5 })
    const reason = yield* top.ended
    assert.deepStrictEqual(
      r.events.map((event) => event._tag),
      [
        "ActorStarted",
        "ActorStarted",
        "ActorFailed",
        "ActorExited",
        "GaveUp",
        "ActorExited",
        "ActorEnded",
        "ActorEnded"
      ]
    )
    const gaveUp = r.events[4]!
    assert.deepStrictEqual(gaveUp._tag === "GaveUp" && [gaveUp.path, gaveUp.child, gaveUp.restarts, gaveUp.within], [
      "top",
      "a",
      0,
      60_000
    ])
    const last = gaveUp._tag === "GaveUp" && gaveUp.reason._tag === "Failed" ? gaveUp.reason.cause : Cause.empty
    assert.deepStrictEqual(Cause.squash(last), new Broken({ code: 5 }))
    const error = reason._tag === "Shutdown" ? (reason.info as Supervisor.RestartIntensityExceeded<unknown>) : undefined
    assert.deepStrictEqual([error?._tag, error?.limit], ["RestartIntensityExceeded", "intensity"])
    assert.deepStrictEqual(Cause.squash(error!.cause), new Broken({ code: 5 }))
    assert.include(error!.message, "child a needed more than 0 restarts within 60000 ms")
  }).pipe(quiet)
)

it.effect("INT-09 a permanent sub-supervisor that gave up is restarted", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([Supervisor.make("inner", { ...within(0), children: [r.child("w")] })], within(1))
    yield* r.ref("w").tell.Throw()
    assert.strictEqual(yield* r.incarnation("w"), 2)
    const [inner] = yield* top.children
    assert.deepStrictEqual([inner!.incarnation, inner!.restarts], [2, 1])
    // One unit of the outer budget is gone, and it was the only one.
    yield* r.ref("w").tell.Throw()
    assert.strictEqual((yield* top.ended)._tag, "Shutdown")
  }).pipe(quiet)
)

it.effect("R18 a transient sub-supervisor that gave up stays stopped", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const inner = Supervisor.make("inner", { ...within(0), restart: "transient", children: [r.child("w")] })
    const top = yield* r.start([inner], within(0))
    yield* r.ref("w").tell.Throw()
    assert.strictEqual((yield* r.ref("w").ended)._tag, "Failed")
    assert.deepStrictEqual(yield* states(top), { inner: "stopped" })
  }).pipe(quiet)
)

it.effect("INT-11 a temporary sub-supervisor that gave up is removed", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const inner = Supervisor.make("inner", { ...within(0), restart: "temporary", children: [r.child("w")] })
    const top = yield* r.start([inner, r.child("b")], within(0))
    yield* r.ref("w").tell.Throw()
    yield* r.ref("w").ended
    assert.deepStrictEqual(yield* listed(top), ["b"])
    assert.deepStrictEqual([yield* r.incarnation("b"), top.status], [1, "running"])
    assert.deepStrictEqual(r.log, ["w started", "b started", "w stopped"])
  }).pipe(quiet)
)

it.effect("INT-12 escalation multiplies: (i+1)*(o+1) kills end the outer", () =>
  Effect.gen(function* () {
    for (const [i, o] of [
      [1, 1],
      [2, 1],
      [0, 3]
    ] as const) {
      const r = new Recording()
      const top = yield* r.start([Supervisor.make("inner", { ...within(i), children: [r.child("w")] })], within(o))
      let kills = 0
      while (top.status === "running") {
        kills++
        yield* r.ref("w").tell.Throw()
        yield* Effect.raceFirst(Effect.exit(r.incarnation("w")), top.ended)
      }
      assert.strictEqual(kills, (i + 1) * (o + 1), `${i}, ${o}`)
    }
  }).pipe(quiet)
)

it.effect("INT-14 what does not use budget", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const temporary = r.child("t", { restart: "temporary" })
    const top = yield* r.start([r.child("a", { restart: "transient" }), r.child("b")], within(0))
    for (let round = 0; round < 10; round++) {
      yield* r.ref("a").tell.End()
      yield* r.ref("a").ended
      yield* top.restartChild("a")
      yield* top.startChild(temporary)
      yield* r.ref("t").tell.Throw()
      yield* r.ref("t").ended
      yield* top.terminateChild("b")
      yield* top.restartChild("b")
    }
    assert.deepStrictEqual(yield* states(top), { a: "running", b: "running" })
  }).pipe(quiet)
)

it.effect("INT-15 the budget belongs to the supervisor, not to a child", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b")], within(2))
    for (const id of ["a", "b"]) {
      yield* r.ref(id).tell.Throw()
      assert.strictEqual(yield* r.incarnation(id), 2)
    }
    yield* r.ref("a").tell.Throw()
    assert.strictEqual((yield* top.ended)._tag, "Shutdown")
  }).pipe(quiet)
)

it.effect("INT-29 an actor-level limit of 0 stops it at its first failure", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a", { onFailure: () => "stop" }), r.child("b")], within(0))
    yield* r.ref("a").tell.Throw()
    assert.strictEqual((yield* r.ref("a").ended)._tag, "Failed")
    assert.deepStrictEqual(yield* states(top), { a: "stopped", b: "running" })
    assert.deepStrictEqual(r.log, ["a started", "b started", "a stopped"])
  }).pipe(quiet)
)

it.effect("INT-30 different decisions per error", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const spec = r.child("a", {
      onFailure: { Broken: ({ code }) => (code === 1 ? "resume" : code === 2 ? "restart" : "stop") }
    })
    yield* r.start([spec])
    const a = r.ref("a")
    yield* a.ask.Add({ n: 1 })
    yield* a.tell.Fail({ code: 1 })
    assert.strictEqual(yield* a.ask.Add({ n: 0 }), 1)
    yield* a.tell.Fail({ code: 2 })
    assert.strictEqual(yield* a.ask.Add({ n: 0 }), 0)
    yield* a.tell.Fail({ code: 3 })
    assert.strictEqual((yield* a.ended)._tag, "Failed")
  }).pipe(quiet)
)

it.effect("a decision to escalate ends the supervisor with the typed cause", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const tree = Supervisor.make("top", {
      children: [r.child("a"), r.child("b", { onFailure: { Broken: "escalate" } })]
    })
    const run = yield* Effect.forkChild(Supervisor.run(tree))
    yield* r.lines(2)
    yield* r.ref("b").tell.Fail({ code: 9 })
    const exit = yield* Effect.exit(Effect.fromOption(yield* Effect.map(fiberExit(run), Exit.findErrorOption)))
    const error = Exit.isSuccess(exit) ? (exit.value as Supervisor.Escalated<Broken>) : undefined
    assert.deepStrictEqual([error?._tag, error?.path, error?.child], ["Escalated", "top", "b"])
    assert.deepStrictEqual(Cause.squash(error!.cause), new Broken({ code: 9 }))
    assert.deepStrictEqual(r.log, ["a started", "b started", "b stopped", "a stopped"])
  }).pipe(quiet)
)

it.effect("a decision that itself crashes escalates", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const spec = r.child("a", {
      onFailure: () => {
        throw new Error("undecided")
      }
    })
    const top = yield* r.start([spec, r.child("b")])
    yield* r.ref("a").tell.Throw()
    const reason = yield* top.ended
    const error = reason._tag === "Failed" ? (Cause.squash(reason.cause) as Supervisor.Escalated<unknown>) : undefined
    assert.deepStrictEqual([error?._tag, error?.child], ["Escalated", "a"])
    assert.strictEqual(String(Cause.squash(error!.cause)), "Error: thrown")
    assert.deepStrictEqual(r.log, ["a started", "b started", "a stopped", "b stopped"])
  }).pipe(quiet)
)

it.effect("a decision that is no directive escalates as well: nothing is guessed", () =>
  Effect.gen(function* () {
    for (const answer of [undefined, "restrt", 5]) {
      const r = new Recording()
      const top = yield* r.start([r.child("a", { onFailure: () => answer as never }), r.child("b")])
      yield* r.ref("a").tell.Throw()
      yield* Effect.exit(r.incarnation("a"))
      assert.strictEqual(top.status, "stopped", String(answer))
      const reason = yield* top.ended
      const error = reason._tag === "Failed" ? (Cause.squash(reason.cause) as Supervisor.Escalated<unknown>) : undefined
      assert.strictEqual(error?._tag, "Escalated", String(answer))
      assert.deepStrictEqual(r.log, ["a started", "b started", "a stopped", "b stopped"])
    }
  }).pipe(quiet)
)

it.effect("INT-32 reports get louder after failures in a row", () =>
  Effect.gen(function* () {
    const levels: Array<string> = []
    const logger = Logger.layer([Logger.make(({ logLevel }) => void levels.push(logLevel))])
    const r = new Recording()
    const child = r.child("a", { report: { level: "Info", raisedLevel: "Error", raisedAfter: 3 } })
    const program = Effect.gen(function* () {
      yield* r.start([child])
      for (let crash = 0; crash < 5; crash++) {
        yield* r.ref("a").tell.Throw()
        yield* r.incarnation("a")
      }
      yield* TestClock.adjust("31 seconds")
      yield* r.ref("a").tell.Throw()
      yield* r.incarnation("a")
    })
    yield* Effect.scoped(program).pipe(Effect.provide(Layer.fresh(logger)))
    assert.deepStrictEqual(levels, ["Info", "Info", "Info", "Error", "Error", "Info"])
  })
)

/** The exit of a fiber, once it has ended. */
const fiberExit = <A, E>(fiber: { addObserver(observer: (exit: Exit.Exit<A, E>) => void): () => void }) =>
  Effect.callback<Exit.Exit<A, E>>((resume) => {
    fiber.addObserver((exit) => resume(Effect.succeed(exit)))
  })
