/** Messages that crash their actor, and are handled again so often and no more. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Fiber, Schedule, Schema } from "effect"
import { Actor, ActorRef, ActorSystem, type Behavior, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, quiet } from "../support/recording.ts"

class Worker extends Actor.Service<Worker>()("test/Worker", {
  /** Fails so many times, counted over all runs, and then answers. */
  Work: { payload: { name: Schema.String, failures: Schema.Int }, success: Schema.String },
  Nothing: {}
}) {}

const generous = { restarts: 100, within: "1 minute" } as const

const started = (mailbox: Behavior.MailboxOptions, options: Supervisor.Options<Broken> = {}) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const failed = new Map<string, number>()
    const behavior = Worker.behavior(
      Worker.sync(() =>
        Worker.of({
          Work: ({ failures, name }) => {
            const before = failed.get(name) ?? 0
            log.push(`${name} ${before + 1}`)
            failed.set(name, before + 1)
            return before < failures ? Effect.fail(new Broken({ code: before + 1 })) : Effect.succeed(`${name} done`)
          },
          Nothing: () => void log.push("nothing")
        })
      ),
      { mailbox }
    )
    const tree = Supervisor.make("top", { intensity: generous, children: [Supervisor.child(behavior, options)] })
    const top = yield* Supervisor.start(tree)
    return { log, top, worker: Context.get(top.services, Worker) }
  })

const settled = Effect.gen(function* () {
  for (let i = 0; i < 40; i++) yield* Effect.yieldNow
})

it.effect("MBX-17 three attempts, then it is a dead letter with its causes, and the next message is handled", () =>
  Effect.gen(function* () {
    const { log, top, worker } = yield* started({ redeliver: 2 })
    yield* worker.tell.Work({ name: "bad", failures: 9 })
    yield* worker.tell.Work({ name: "good", failures: 0 })
    yield* settled
    assert.deepStrictEqual(log, ["bad 1", "bad 2", "bad 3", "good 1"])
    const [letter, ...rest] = yield* ActorSystem.deadLetters
    assert.deepStrictEqual([letter!.tag, letter!.payload, rest], ["Work", { name: "bad", failures: 9 }, []])
    const { reason } = letter!
    const codes = reason._tag === "Poisoned" ? reason.crashes.map(({ cause }) => cause.reasons[0]) : []
    assert.deepStrictEqual(
      codes.map((each) => each?._tag === "Fail" && (each.error as Broken).code),
      [1, 2, 3]
    )
    assert.deepStrictEqual([(yield* top.budget).used, worker.status], [3, "running"])
  }).pipe(quiet, Effect.provide(ActorSystem.layer()))
)

it.effect("one that succeeds at last is forgotten: a later failure of its like starts from the beginning", () =>
  Effect.gen(function* () {
    const { log, worker } = yield* started({ redeliver: 2 })
    const payload = { name: "shaky", failures: 2 }
    yield* worker.tell.Work(payload)
    yield* worker.tell.Work({ name: "other", failures: 2 })
    yield* settled
    assert.deepStrictEqual(log, ["shaky 1", "shaky 2", "shaky 3", "other 1", "other 2", "other 3"])
    assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
  }).pipe(quiet, Effect.provide(ActorSystem.layer()))
)

it.effect("whoever asked goes on waiting, and gets the answer, or the last failure", () =>
  Effect.gen(function* () {
    const { worker } = yield* started({ redeliver: 2 })
    assert.strictEqual(yield* worker.ask.Work({ name: "shaky", failures: 2 }), "shaky done")
    const error = yield* Effect.flip(worker.ask.Work({ name: "bad", failures: 9 }))
    assert.strictEqual(error.reason._tag, "HandlerFailed")
    assert.include(error.message, "Broken")
    // It was answered, so that it is no dead letter.
    assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
  }).pipe(quiet, Effect.provide(ActorSystem.layer()))
)

it.effect("an ask that nobody waits for any more is not handled again", () =>
  Effect.gen(function* () {
    const { log, worker } = yield* started({ redeliver: 5 }, { backoff: Schedule.spaced("1 second") })
    const asking = yield* Effect.forkChild(
      Effect.flip(ActorRef.withTimeout(worker, "500 millis").ask.Work({ name: "bad", failures: 9 }))
    )
    yield* TestClock.adjust("500 millis")
    assert.strictEqual((yield* Fiber.join(asking)).reason._tag, "Timeout")
    yield* TestClock.adjust("1 minute")
    yield* settled
    assert.deepStrictEqual([log, worker.status], [["bad 1"], "running"])
  }).pipe(quiet)
)

it.effect("without the option a message that crashes is gone; with no next run it is as well", () =>
  Effect.gen(function* () {
    const plain = yield* started({})
    yield* plain.worker.tell.Work({ name: "bad", failures: 1 })
    yield* settled
    assert.deepStrictEqual(plain.log, ["bad 1"])
    const resumed = yield* started({ redeliver: 3 }, { onFailure: { Broken: "resume" } })
    const error = yield* Effect.flip(resumed.worker.ask.Work({ name: "bad", failures: 9 }))
    assert.deepStrictEqual([error.reason._tag, resumed.log], ["HandlerFailed", ["bad 1"]])
    const stopped = yield* started({ redeliver: 3 }, { onFailure: { Broken: "stop" } })
    const ended = yield* Effect.flip(stopped.worker.ask.Work({ name: "bad", failures: 9 }))
    assert.deepStrictEqual([ended.reason._tag, stopped.log], ["HandlerFailed", ["bad 1"]])
  }).pipe(quiet)
)

it.effect("a full mailbox, and one that discards at a restart, keep what is handled again", () =>
  Effect.gen(function* () {
    const full = yield* started({ redeliver: 1, capacity: 1, overflow: "reject" })
    yield* full.worker.tell.Work({ name: "a", failures: 1 })
    yield* full.worker.tell.Work({ name: "b", failures: 0 })
    yield* settled
    assert.include(full.log.join(), "a 1,a 2")
    const discarding = yield* started({ redeliver: 1, onRestart: "discard" })
    yield* discarding.worker.tell.Work({ name: "a", failures: 1 })
    yield* discarding.worker.tell.Work({ name: "b", failures: 0 })
    yield* settled
    assert.deepStrictEqual(discarding.log, ["a 1", "a 2"])
  }).pipe(quiet)
)

it.effect("when the supervisor gives up, the message is a dead letter: nothing is lost", () =>
  Effect.gen(function* () {
    const { top, worker } = yield* started({ redeliver: 500 })
    yield* worker.tell.Work({ name: "bad", failures: 1_000 })
    assert.strictEqual((yield* top.ended)._tag, "Shutdown")
    yield* settled
    const letters = (yield* ActorSystem.deadLetters).map(({ reason, tag }) => [tag, reason._tag])
    assert.deepStrictEqual([letters, worker.status], [[["Work", "NotRunning"]], "stopped"])
  }).pipe(quiet, Effect.provide(ActorSystem.layer()))
)

class Beside extends Actor.Service<Beside>()("test/Beside", {
  /** Takes a second, fails so many times, counted over all runs, and then answers. */
  Work: { payload: { failures: Schema.Int }, success: Schema.Int },
  Nothing: {}
}) {}

const besides = (redeliver: number) =>
  Effect.gen(function* () {
    let runs = 0
    const work = (failures: number) =>
      Effect.suspend(() => (++runs <= failures ? Effect.fail(new Broken({ code: runs })) : Effect.succeed(runs)))
    const behavior = Beside.behavior(
      Beside.sync(() =>
        Beside.of({
          Work: Actor.concurrent(({ failures }) => Effect.delay(work(failures), "1 second")),
          Nothing: () => {}
        })
      ),
      { mailbox: { redeliver } }
    )
    const top = yield* Supervisor.start(Supervisor.make("top", { intensity: generous, children: [behavior] }))
    return { ref: Context.get(top.services, Beside), runs: () => runs }
  })

it.effect("one handled beside others counts its crashes as well, however many messages come between", () =>
  Effect.gen(function* () {
    const { ref, runs } = yield* besides(2)
    yield* ref.tell.Work({ failures: 9 })
    for (let i = 0; i < 6; i++) {
      yield* settled
      yield* ref.tell.Nothing()
      yield* TestClock.adjust("1 second")
    }
    const reasons = (yield* ActorSystem.deadLetters).map(({ reason }) => reason)
    const crashes = reasons.map((reason) => (reason._tag === "Poisoned" ? reason.crashes.length : reason._tag))
    assert.deepStrictEqual([runs(), crashes], [3, [3]])
  }).pipe(quiet, Effect.provide(ActorSystem.layer()))
)

it.effect("whoever asked for what is handled beside others goes on waiting too", () =>
  Effect.gen(function* () {
    const { ref } = yield* besides(2)
    const asking = yield* Effect.forkChild(ref.ask.Work({ failures: 2 }))
    for (let i = 0; i < 3; i++) {
      yield* settled
      yield* TestClock.adjust("1 second")
    }
    assert.strictEqual(yield* Fiber.join(asking), 3)
  }).pipe(quiet)
)

it("how often is a whole number", () => {
  const write = () =>
    Worker.behavior(
      Worker.sync(() => Worker.of({ Work: () => "", Nothing: () => {} })),
      { mailbox: { redeliver: 1.5 } }
    )
  assert.throws(write, /mailbox.redeliver must be a whole number of 0 or more/)
})
