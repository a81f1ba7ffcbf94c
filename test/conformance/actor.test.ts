/** ACTOR: life and processing of one actor. */
import { assert, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Ref, Schema } from "effect"
import { Actor, ActorContext, ActorSystem, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, quiet, Recording } from "../support/recording.ts"

class Worker extends Actor.Service<Worker>()("test/Worker", {
  /** Takes 10 ms, and answers how many were at work at once. */
  Work: { payload: { n: Schema.Int }, success: Schema.Int },
  Seen: { success: Schema.Array(Schema.Int) }
}) {}

const WorkerLive = Worker.behavior(
  Effect.sync(() => {
    const seen: Array<number> = []
    let atWork = 0
    return Worker.of({
      *Work({ n }) {
        seen.push(n)
        atWork++
        const busy = atWork
        yield* Effect.sleep("10 millis")
        atWork--
        return busy
      },
      Seen: () => [...seen]
    })
  })
)

it.effect("ACTOR-01 one message at a time", () =>
  Effect.gen(function* () {
    const worker = yield* Actor.spawn(WorkerLive)
    const asks = Array.from({ length: 100 }, (_, n) => worker.ask.Work({ n }))
    const all = yield* Effect.forkChild(Effect.all(asks, { concurrency: 10 }))
    yield* TestClock.adjust("2 seconds")
    assert.deepStrictEqual(yield* Fiber.join(all), new Array(100).fill(1))
  })
)

it.effect("ACTOR-02 order per sender", () =>
  Effect.gen(function* () {
    const worker = yield* Actor.spawn(WorkerLive)
    const numbers = Array.from({ length: 100 }, (_, i) => i + 1)
    for (const n of numbers) yield* worker.tell.Work({ n })
    yield* TestClock.adjust("2 seconds")
    assert.deepStrictEqual(yield* worker.ask.Seen(), numbers)
  })
)

it.effect("ACTOR-04 a failing init is told to the spawner, and nothing is left", () =>
  Effect.gen(function* () {
    const released: Array<string> = []
    const failing = (init: Effect.Effect<never, Broken>) =>
      Worker.behavior(
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.sync(() => released.push("released")))
          return yield* init
        })
      )
    const typed = yield* Effect.flip(Actor.spawn(failing(Effect.fail(new Broken({ code: 1 })))))
    assert.deepStrictEqual(typed, new Broken({ code: 1 }))
    const died = yield* Effect.exit(Actor.spawn(failing(Effect.die("boom"))))
    assert.strictEqual(Exit.isFailure(died) && Cause.squash(died.cause), "boom")
    assert.deepStrictEqual(released, ["released", "released"])
  })
)

it.effect("ACTOR-08 leftovers of a finally dead actor are dead letters, in order, with the reason", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const a = yield* Actor.spawn(r.behavior("a"))
    yield* a.tell.Wait()
    yield* Effect.yieldNow
    for (const n of [1, 2, 3]) yield* a.tell.Add({ n })
    yield* Actor.kill(a)
    const letters = yield* ActorSystem.deadLetters
    assert.deepStrictEqual(
      letters.map((letter) => letter.payload),
      [{ n: 1 }, { n: 2 }, { n: 3 }]
    )
    const reasons = letters.map(({ reason }) => reason._tag === "NotRunning" && reason.exit._tag)
    assert.deepStrictEqual(reasons, ["Killed", "Killed", "Killed"])
  })
)

it.effect("ACTOR-08 also when its budget is exhausted", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")], { intensity: { restarts: 0, within: "1 minute" } })
    const a = r.ref("a")
    yield* a.tell.Throw()
    for (const n of [1, 2]) yield* a.tell.Add({ n })
    yield* top.ended
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map((letter) => letter.payload),
      [{ n: 1 }, { n: 2 }]
    )
  }).pipe(quiet)
)

it.effect("ACTOR-10 leftover asks go back to their callers, not to the dead letters", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const a = yield* Actor.spawn(r.behavior("a"))
    yield* a.tell.Wait()
    yield* Effect.yieldNow
    yield* a.tell.Add({ n: 1 })
    const ask = yield* Effect.forkChild(Effect.flip(a.ask.Add({ n: 2 })), { startImmediately: true })
    yield* Actor.kill(a)
    const error = yield* Fiber.join(ask)
    assert.strictEqual(error.reason._tag, "NotRunning")
    assert.deepStrictEqual(error.payload, { n: 2 })
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map((letter) => letter.payload),
      [{ n: 1 }]
    )
  })
)

it.effect("ACTOR-11 drain finishes what was accepted and refuses the rest", () =>
  Effect.gen(function* () {
    const worker = yield* Actor.spawn(WorkerLive)
    for (const n of [1, 2, 3]) yield* worker.tell.Work({ n })
    yield* Effect.yieldNow
    const drain = yield* Effect.forkChild(Actor.drain(worker), { startImmediately: true })
    yield* worker.tell.Work({ n: 4 })
    const refused = yield* Effect.flip(worker.ask.Work({ n: 5 }))
    assert.strictEqual(refused.reason._tag, "NotRunning")
    const [letter] = yield* ActorSystem.deadLetters
    assert.deepStrictEqual([letter!.payload, letter!.reason._tag], [{ n: 4 }, "Draining"])
    yield* TestClock.adjust("29 millis")
    assert.strictEqual(drain.pollUnsafe(), undefined)
    yield* TestClock.adjust("1 milli")
    assert.strictEqual((yield* Fiber.join(drain))._tag, "Normal")
  })
)

it.effect("ACTOR-13 a stop goes before queued messages", () =>
  Effect.gen(function* () {
    const worker = yield* Actor.spawn(WorkerLive)
    for (let n = 1; n <= 10; n++) yield* worker.tell.Work({ n })
    yield* Effect.yieldNow
    const stop = yield* Effect.forkChild(Actor.stop(worker), { startImmediately: true })
    yield* TestClock.adjust("10 millis")
    assert.strictEqual((yield* Fiber.join(stop))._tag, "Shutdown")
    const left = (yield* ActorSystem.deadLetters).map((letter) => (letter.payload as { n: number }).n)
    assert.deepStrictEqual(left, [2, 3, 4, 5, 6, 7, 8, 9, 10])
  })
)

it.effect("ACTOR-14 a stop does not interrupt the running handler", () =>
  Effect.gen(function* () {
    const worker = yield* Actor.spawn(WorkerLive)
    const ask = yield* Effect.forkChild(worker.ask.Work({ n: 1 }), { startImmediately: true })
    const stop = yield* Effect.forkChild(Actor.stop(worker), { startImmediately: true })
    yield* TestClock.adjust("9 millis")
    assert.strictEqual(worker.status, "running")
    yield* TestClock.adjust("1 milli")
    assert.strictEqual(yield* Fiber.join(ask), 1)
    assert.strictEqual((yield* Fiber.join(stop))._tag, "Shutdown")
  })
)

it.effect("ACTOR-16 a kill interrupts init, handler and finalizer alike", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([])
    const start = yield* Effect.forkChild(
      Effect.flip(top.startChild(r.child("init", { init: Effect.never, startTimeout: "1 hour" }))),
      { startImmediately: true }
    )
    while (!r.refs.has("init")) yield* Effect.yieldNow
    yield* Actor.kill(r.ref("init"))
    assert.strictEqual((yield* Fiber.join(start))._tag, "StartFailed")

    const handler = yield* Actor.spawn(r.behavior("handler"))
    yield* handler.tell.Wait()
    yield* Effect.yieldNow
    assert.strictEqual((yield* Actor.kill(handler))._tag, "Killed")
    assert.isTrue(r.log.includes("handler stopped"))

    const finalizer = yield* Actor.spawn(r.behavior("finalizer", Effect.void, Effect.never))
    const stop = yield* Effect.forkChild(Actor.stop(finalizer), { startImmediately: true })
    assert.strictEqual(finalizer.status, "stopping")
    yield* Actor.kill(finalizer)
    assert.strictEqual((yield* Fiber.join(stop))._tag, "Killed")
    assert.strictEqual((yield* ActorSystem.zombies).length, 1)
  })
)

it.effect("ACTOR-17 stop from inside: the reply arrives, the rest is left over", () =>
  Effect.gen(function* () {
    class Quitter extends Actor.Service<Quitter>()("test/Quitter", { Quit: { success: Schema.String } }) {}
    const QuitterLive = Quitter.behavior(
      Effect.succeed(Quitter.of({ Quit: () => Effect.as(ActorContext.stop, "bye") }))
    )
    const quitter = yield* Actor.spawn(QuitterLive)
    const asks = yield* Effect.all([Effect.exit(quitter.ask.Quit()), Effect.exit(quitter.ask.Quit())], {
      concurrency: "unbounded"
    })
    assert.deepStrictEqual(asks[0], Exit.succeed("bye"))
    assert.isTrue(Exit.isFailure(asks[1]!))
    assert.strictEqual((yield* quitter.ended)._tag, "Normal")
  })
)

it.effect("ACTOR-25 a failing stop hook does not block waiters, and shows", () =>
  Effect.gen(function* () {
    const behavior = Worker.behavior(
      Effect.gen(function* () {
        yield* ActorContext.onStop(() => Effect.die("hook"))
        return Worker.of({ Work: () => 0, Seen: () => [] })
      })
    )
    const worker = yield* Actor.spawn(behavior)
    const reason = yield* Actor.stop(worker)
    assert.strictEqual(reason._tag === "Failed" && Cause.squash(reason.cause), "hook")
  }).pipe(quiet)
)

it.effect("ACTOR-26 the wait for the end returns after the stop hook", () =>
  Effect.gen(function* () {
    let flag = false
    const behavior = Worker.behavior(
      Effect.gen(function* () {
        yield* ActorContext.onStop(() =>
          Effect.delay(
            Effect.sync(() => (flag = true)),
            "100 millis"
          )
        )
        return Worker.of({ Work: () => 0, Seen: () => [] })
      })
    )
    const worker = yield* Actor.spawn(behavior)
    const stop = yield* Effect.forkChild(Actor.stop(worker))
    yield* TestClock.adjust("100 millis")
    yield* Fiber.join(stop)
    assert.isTrue(flag)
  })
)

it.effect("ACTOR-28 a change of behaviour is a change of state", () =>
  Effect.gen(function* () {
    class Chameleon extends Actor.Service<Chameleon>()("test/Chameleon", {
      Ask: { success: Schema.String },
      Become: { payload: { color: Schema.String } }
    }) {}
    const ChameleonLive = Chameleon.behavior(
      Effect.gen(function* () {
        const answer = yield* Ref.make((): string => "green")
        return Chameleon.of({
          Ask: () => Effect.map(Ref.get(answer), (say) => say()),
          Become: ({ color }) => Ref.set(answer, () => color)
        })
      })
    )
    const chameleon = yield* Actor.spawn(ChameleonLive)
    const answers: Array<string> = []
    for (const color of ["red", "green"]) {
      answers.push(yield* chameleon.ask.Ask())
      yield* chameleon.tell.Become({ color })
    }
    answers.push(yield* chameleon.ask.Ask())
    assert.deepStrictEqual(answers, ["green", "red", "green"])
  })
)

it.effect("ACTOR-29 unhandled messages are observable and harmless", () =>
  Effect.gen(function* () {
    class Picky extends Actor.Service<Picky>()("test/Picky", {
      Eat: { payload: { what: Schema.String }, success: Schema.String }
    }) {}
    const PickyLive = Picky.behavior(
      Effect.succeed(
        Picky.of({
          Eat: ({ what }) => (what === "soup" ? Effect.as(ActorContext.unhandled, "no") : Effect.succeed("yum"))
        })
      )
    )
    const unhandled: Array<unknown> = []
    yield* ActorSystem.onEvent((event) => {
      if (event._tag === "Unhandled") unhandled.push([event.path, event.tag, event.payload])
    })
    const picky = yield* Actor.spawn(PickyLive)
    assert.strictEqual(yield* picky.ask.Eat({ what: "soup" }), "no")
    assert.strictEqual(yield* picky.ask.Eat({ what: "cake" }), "yum")
    assert.deepStrictEqual(unhandled, [[picky.path, "Eat", { what: "soup" }]])
  })
)

it.effect("ACTOR-32 no deadlock: a child asks its supervisor's handle while that is stopping", () =>
  Effect.gen(function* () {
    class Nosy extends Actor.Service<Nosy>()("test/Nosy", { Look: {} }) {}
    const handle = yield* Deferred.make<Supervisor.SupervisorRef<Nosy>>()
    const asked = yield* Deferred.make<void>()
    const NosyLive = Nosy.behavior(
      Effect.succeed(
        Nosy.of({
          *Look() {
            const top = yield* Deferred.await(handle)
            yield* Deferred.succeed(asked, undefined)
            yield* Effect.exit(top.restartChild("test/Nosy"))
          }
        })
      )
    )
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [NosyLive] }))
    const nosy = yield* Effect.provideContext(Nosy, top.services)
    yield* nosy.tell.Look()
    const stop = yield* Effect.forkChild(Effect.andThen(Deferred.succeed(handle, top), top.stop))
    yield* Deferred.await(asked)
    yield* TestClock.adjust("5 seconds")
    assert.strictEqual((yield* Fiber.join(stop))._tag, "Shutdown")
    assert.strictEqual(nosy.status, "stopped")
  }).pipe(quiet)
)
