/** Structured concurrency with restarts: a tree for the length of an effect. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { Supervisor } from "effect-otp"
import { Broken, Child, quiet, Recording } from "../support/recording.ts"

const tree = (r: Recording, options: Supervisor.Options<Broken> = {}) =>
  Supervisor.make("top", {
    intensity: { restarts: 1, within: "5 seconds" },
    children: [r.child("a"), r.child("b", options)]
  })

it.effect("the tree lives as long as the effect, and ends in order", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const sum = Effect.flatMap(Child, (child) => child.ask.Add({ n: 2 }))
    assert.strictEqual(yield* Supervisor.using(tree(r), sum), 2)
    assert.deepStrictEqual(r.log, ["a started", "b started", "b stopped", "a stopped"])
  })
)

it.effect("its failure and its interruption end the tree in order too", () =>
  Effect.gen(function* () {
    const r = new Recording()
    assert.strictEqual(yield* Effect.flip(Supervisor.using(tree(r), Effect.fail("mine"))), "mine")
    const fiber = yield* Effect.forkChild(Supervisor.using(tree(r), Effect.never))
    yield* r.lines(6)
    yield* Fiber.interrupt(fiber)
    const once = ["a started", "b started", "b stopped", "a stopped"]
    assert.deepStrictEqual(r.log, [...once, ...once])
  })
)

it.effect("a crash is restarted beneath it; one too many is its own failure, and it is interrupted", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const interrupted = yield* Deferred.make<boolean>()
    const work = Effect.gen(function* () {
      const child = yield* Child
      yield* child.tell.Fail({ code: 1 })
      assert.strictEqual(yield* child.ask.Ping(), 2)
      yield* child.tell.Fail({ code: 2 })
      return yield* Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, true))
    })
    const error = yield* Effect.flip(Supervisor.using(tree(r), work))
    assert.instanceOf(error, Supervisor.RestartIntensityExceeded)
    assert.isTrue(yield* Deferred.await(interrupted))
    assert.strictEqual(r.log.at(-1), "a stopped")
  }).pipe(quiet)
)

it.effect("a tree that ends in order before its effect is an error of its own", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const significant = Supervisor.make("top", {
      autoShutdown: "any-significant",
      children: [r.child("a", { significant: true, restart: "transient" })]
    })
    const work = Effect.andThen(
      Effect.flatMap(Child, (child) => child.tell.End()),
      Effect.never
    )
    const error = yield* Effect.flip(Supervisor.using(significant, work))
    assert.deepStrictEqual(error, new Supervisor.TreeEnded({ path: "top" }))
  })
)

it.effect("a failed start runs nothing of the effect", () =>
  Effect.gen(function* () {
    const r = new Recording()
    let ran = false
    const broken = Supervisor.make("top", {
      children: [r.child("a"), r.child("b", { init: Effect.fail(new Broken({ code: 1 })) })]
    })
    const exit = yield* Effect.exit(
      Supervisor.using(
        broken,
        Effect.sync(() => (ran = true))
      )
    )
    assert.deepStrictEqual([Exit.isFailure(exit), ran, r.log], [true, false, ["a started", "a stopped"]])
  })
)
