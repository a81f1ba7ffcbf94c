/** ACTOR: ending after having been idle. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { Actor, ActorSystem, type Behavior, Stash } from "effect-otp"
import { TestClock } from "effect/testing"
import { slotOf } from "../../src/actor/ActorRef.ts"

class Session extends Actor.Service<Session>()("test/Session", {
  Use: { success: Schema.Int },
  Tick: {}
}) {}

const session = (idle: Behavior.Idle<"Use" | "Tick">) => {
  let uses = 0
  return Actor.spawn(
    Session.behavior(
      Effect.sync(() => Session.of({ Use: () => ++uses, Tick: () => {} })),
      { idle }
    )
  )
}

it.effect("ACTOR-34 it ends when it has been idle for long enough, counted from the last message", () =>
  Effect.gen(function* () {
    const ref = yield* session({ after: "1 second" })
    yield* ref.ask.Use()
    yield* TestClock.adjust("900 millis")
    assert.strictEqual(yield* ref.ask.Use(), 2)
    yield* TestClock.adjust("999 millis")
    assert.strictEqual(ref.status, "running")
    yield* TestClock.adjust("1 milli")
    assert.strictEqual((yield* ref.ended)._tag, "Normal")
  })
)

it.effect("ACTOR-35 messages that are marked so do not count", () =>
  Effect.gen(function* () {
    const ref = yield* session({ after: "1 second", ignore: ["Tick"] })
    for (let tick = 0; tick < 3; tick++) {
      yield* TestClock.adjust("300 millis")
      yield* ref.tell.Tick()
    }
    assert.strictEqual(ref.status, "running")
    yield* TestClock.adjust("100 millis")
    assert.strictEqual((yield* ref.ended)._tag, "Normal")
  })
)

// --- What else can be done about it ---

class Phone extends Actor.Service<Phone>()("test/Phone", {
  Say: { payload: { text: Schema.String } },
  Quiet: {},
  Heard: { success: Schema.Array(Schema.String) }
}) {}

const phone = (action: NonNullable<Behavior.Idle<"Say" | "Quiet" | "Heard", "Quiet" | "Heard">["action"]>) => {
  const heard: Array<string> = []
  const behavior = Phone.behavior(
    Effect.sync(() =>
      Phone.of({
        Say: ({ text }) => Effect.sync(() => void heard.push(text)),
        Quiet: () => void heard.push("quiet"),
        Heard: () => [...heard]
      })
    ),
    { idle: { after: "1 second", action } }
  )
  return Effect.map(Actor.spawn(behavior), (ref) => ({ heard, ref }))
}

it.effect("ACTOR-36 it can be told that it has been idle, each time anew, counted from the last message", () =>
  Effect.gen(function* () {
    const { heard, ref } = yield* phone({ tell: "Quiet" })
    yield* TestClock.adjust("900 millis")
    yield* ref.ask.Say({ text: "a" })
    yield* TestClock.adjust("999 millis")
    assert.deepStrictEqual(heard, ["a"])
    yield* TestClock.adjust("1 milli")
    assert.deepStrictEqual(heard, ["a", "quiet"])
    yield* TestClock.adjust("2 seconds")
    assert.deepStrictEqual(heard, ["a", "quiet", "quiet", "quiet"])
    assert.strictEqual(ref.status, "running")
  })
)

it.effect("ACTOR-37 a hibernating actor has given back its mailbox's room, and goes on with the next message", () =>
  Effect.gen(function* () {
    const { heard, ref } = yield* phone("hibernate")
    const slot = slotOf(ref) as unknown as { readonly buffer: ReadonlyArray<unknown>; readonly size: number }
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 1_000; n++) yield* ref.tell.Say({ text: "b" })
      yield* ref.ask.Heard()
      assert.isAbove(slot.buffer.length, 1_000)
      yield* TestClock.adjust("999 millis")
      assert.isAbove(slot.buffer.length, 1_000)
      yield* TestClock.adjust("1 milli")
      assert.deepStrictEqual([slot.buffer.length, ref.status], [0, "running"])
      yield* TestClock.adjust("1 hour")
    }
    assert.strictEqual(heard.length, 3_000)
  })
)

// --- What somebody still needs ---

class Desk extends Actor.Service<Desk>()("test/Desk", {
  Work: {},
  Watch: { success: Schema.Int, stream: true },
  Get: { success: Schema.Int }
}) {}

const desk = (done: Array<string>) =>
  Actor.spawn(
    Desk.behavior(
      Effect.gen(function* () {
        const stash = yield* Stash.make()
        return Desk.of({
          Work: Actor.concurrent(() =>
            Effect.andThen(
              Effect.sleep("3 seconds"),
              Effect.sync(() => void done.push("work"))
            )
          ),
          Watch: () => Stream.concat(Stream.make(1), Stream.never),
          Get: () => stash.keep
        })
      }),
      { idle: { after: "1 second" } }
    )
  )

it.effect("ACTOR-39 it does not end while something runs beside its messages, a stream is read, an asker waits", () =>
  Effect.gen(function* () {
    const done: Array<string> = []
    const worker = yield* desk(done)
    yield* worker.tell.Work()
    yield* TestClock.adjust("3 seconds")
    assert.deepStrictEqual(done, ["work"])
    yield* TestClock.adjust("1 second")
    assert.strictEqual(worker.status, "stopped")

    const streaming = yield* desk(done)
    const reading = yield* Effect.forkChild(Stream.runDrain(streaming.stream.Watch()), { startImmediately: true })
    yield* TestClock.adjust("1 hour")
    assert.strictEqual(streaming.status, "running")
    yield* Fiber.interrupt(reading)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(streaming.status, "stopped")

    const asked = yield* desk(done)
    const asking = yield* Effect.forkChild(Effect.exit(asked.ask.Get()), { startImmediately: true })
    yield* TestClock.adjust("4 seconds")
    assert.strictEqual(asked.status, "running")
    yield* Fiber.interrupt(asking)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(asked.status, "stopped")
  })
)

it.effect("ACTOR-40 a message that takes longer than that is finished first", () =>
  Effect.gen(function* () {
    class Slow extends Actor.Service<Slow>()("test/Slow", { Work: {}, Quiet: {} }) {}
    const done: Array<string> = []
    const handlers = Slow.of({
      Work: () =>
        Effect.andThen(
          Effect.sleep("2500 millis"),
          Effect.sync(() => void done.push("work"))
        ),
      Quiet: () => void done.push("quiet")
    })
    for (const action of ["stop", { tell: "Quiet" }] as const) {
      const ref = yield* Actor.spawn(Slow.behavior(Effect.succeed(handlers), { idle: { after: "1 second", action } }))
      yield* ref.tell.Work()
      yield* TestClock.adjust("2900 millis")
      assert.deepStrictEqual([done.splice(0), ref.status], [["work"], "running"])
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual([done.splice(0), ref.status], action === "stop" ? [[], "stopped"] : [["quiet"], "running"])
    }
  })
)

it.effect("ACTOR-36 it is told, too, while somebody waits for its answer", () =>
  Effect.gen(function* () {
    class Patient extends Actor.Service<Patient>()("test/Patient", { Get: { success: Schema.String }, Quiet: {} }) {}
    const behavior = Patient.behavior(
      Effect.gen(function* () {
        const stash = yield* Stash.make()
        let quiet = false
        return Patient.of({
          Get: () => (quiet ? "nothing came" : stash.keep),
          Quiet: () => {
            quiet = true
            return stash.unstashAll
          }
        })
      }),
      { idle: { after: "1 second", action: { tell: "Quiet" } } }
    )
    const ref = yield* Actor.spawn(behavior)
    const asking = yield* Effect.forkChild(ref.ask.Get(), { startImmediately: true })
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* Fiber.join(asking), "nothing came")
  })
)

it.effect("ACTOR-34 nothing of it is left when the actor ends before", () =>
  Effect.gen(function* () {
    const { timers } = yield* ActorSystem.ActorSystem
    const ref = yield* session({ after: "1 hour" })
    const { heap } = timers as unknown as { readonly heap: ReadonlyArray<unknown> }
    assert.strictEqual(heap.length, 1)
    yield* Actor.stop(ref)
    assert.strictEqual(heap.length, 0)
  }).pipe(Effect.provide(ActorSystem.layer()))
)

it("ACTOR-38 an idle option that makes no sense is refused where it is written", () => {
  const having = (idle: object) => () => Phone.behavior(Effect.never, { idle: { after: 1, ...idle } as never })
  assert.throws(having({ action: "sleep" }), /idle.action must be one of "stop", "hibernate"/)
  assert.throws(having({ action: { tell: "Ring" } }), /idle.action.tell must be one of Say, Quiet, Heard, got "Ring"/)
})
