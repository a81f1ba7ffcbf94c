/** Sessions that are kept by id: resumed after a crash, refused where two go on, kept in any key-value store. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Schema } from "effect"
import { Actor, Supervisor } from "effect-otp"
import { Flow, FlowStore } from "effect-otp/flow"
import { KeyValueStore } from "effect/persistence"
import { quiet } from "../support/recording.ts"

const Trip = Flow.state("test/Trip", { day: Schema.Date, booked: Schema.Array(Schema.String), paid: Schema.Boolean })

/** What happens to `pay`; how often each action was begun. */
class World {
  readonly begun: Array<string> = []
  pay: Effect.Effect<unknown, "declined"> = Effect.void

  begin(name: string) {
    return Effect.sync(() => void this.begun.push(name))
  }
}

const tripOf = (world: World) => {
  const book = (name: "flight" | "hotel") =>
    Trip.action(name, {
      reads: ["booked"],
      writes: ["booked"],
      run: ({ booked }) => Effect.as(world.begin(name), { booked: [...booked, name] })
    })
  const pay = Trip.action("pay", {
    reads: ["booked", "day"],
    writes: ["paid"],
    run: ({ day }) =>
      Effect.andThen(
        world.begin(`pay ${day.toISOString().slice(0, 10)}`),
        Effect.suspend(() => Effect.as(world.pay, { paid: true }))
      )
  })
  return Flow.make("trip", {
    state: Trip,
    actions: [book("flight"), book("hotel"), pay],
    entry: "flight",
    transitions: [Trip.to("flight", "hotel"), Trip.to("hotel", "pay")]
  })
}

const initial = { day: new Date("2031-05-06"), booked: [] }
const id = "ann"

const stores = {
  memory: FlowStore.layerMemory,
  "a key-value store": FlowStore.layerKeyValueStore.pipe(Layer.provide(KeyValueStore.layerMemory))
}

for (const [name, store] of Object.entries(stores)) {
  it.effect(`${name}: after a crash in the middle it goes on with the action that was under way`, () =>
    Effect.gen(function* () {
      const world = new World()
      const flow = tripOf(world)
      world.pay = Effect.die("power cut")
      const first = yield* Flow.start(flow, { id, initial })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(first.run())))
      world.pay = Effect.void
      const second = yield* Flow.start(flow, { id, initial: { booked: ["nothing"] } })
      assert.deepStrictEqual(yield* second.state, { ...initial, booked: ["flight", "hotel"] })
      assert.deepStrictEqual(yield* second.next, Option.some("pay"))
      const { halted, state, taken } = yield* second.run()
      assert.deepStrictEqual([halted, state.paid, taken], ["end", true, 1])
      assert.deepStrictEqual(world.begun, ["flight", "hotel", "pay 2031-05-06", "pay 2031-05-06"])
      const third = yield* Flow.start(flow, { id })
      assert.deepStrictEqual([(yield* third.run()).taken, yield* third.next], [0, Option.none()])
    }).pipe(Effect.provide(store))
  )

  it.effect(`${name}: of two that go on with one id, one is told, and stays told`, () =>
    Effect.gen(function* () {
      const world = new World()
      const flow = tripOf(world)
      const gate = yield* Deferred.make<void>()
      world.pay = Deferred.await(gate)
      const first = yield* Flow.start(flow, { id, initial })
      yield* first.run({ haltBefore: ["pay"] })
      const second = yield* Flow.start(flow, { id })
      const both = yield* Effect.forkChild(
        Effect.all([Effect.result(first.run()), Effect.result(second.run())], { concurrency: 2 }),
        { startImmediately: true }
      )
      yield* Deferred.succeed(gate, undefined)
      const [won, lost] = yield* Fiber.join(both)
      assert(won._tag === "Success" && lost._tag === "Failure" && lost.failure._tag === "FlowConflict")
      const { flow: name, found, step } = lost.failure
      assert.deepStrictEqual([name, lost.failure.id, step, found], ["trip", "ann", 2, 3])
      assert.isUndefined((yield* second.state).paid)
      // It does nothing any more.
      const begun = world.begun.length
      assert.strictEqual((yield* Effect.flip(second.step()))._tag, "FlowConflict")
      assert.strictEqual(world.begun.length, begun)
      // And another start finds what the first has done.
      assert.isTrue((yield* (yield* Flow.start(flow, { id })).state).paid)
    }).pipe(Effect.provide(store))
  )

  it.effect(`${name}: ids and flows are kept apart, and can be forgotten`, () =>
    Effect.gen(function* () {
      const flow = tripOf(new World())
      for (const other of ["a", "a/b", "b"]) {
        const session = yield* Flow.start(flow, { id: other, initial })
        yield* session.step()
      }
      const kept = yield* FlowStore.FlowStore
      yield* kept.remove("trip", "a")
      const steps = yield* Effect.forEach(["a", "a/b", "b"], (each) => kept.load("trip", each))
      assert.deepStrictEqual(
        steps.map((saved) => (Option.isSome(saved) ? saved.value.step : 0)),
        [0, 1, 1]
      )
      assert.isTrue(Option.isNone(yield* kept.load("trip/a", "b")))
    }).pipe(Effect.provide(store))
  )
}

it.effect("what is stored and does not fit the flow any more is refused, and says why", () =>
  Effect.gen(function* () {
    const store = yield* FlowStore.FlowStore
    const saved = { flow: "trip", id, step: 1, action: "flight", state: { booked: [] }, version: "1" }
    const flow = tripOf(new World())
    yield* store.save({ ...saved, action: "train" }, undefined)
    const renamed = yield* Effect.flip(Flow.start(flow, { id }))
    assert(renamed._tag === "CannotResume")
    assert.strictEqual(renamed.problem, "its last action was train, which the flow does not have")
    yield* store.save({ ...saved, step: 2, state: { booked: "flight" }, version: "2" }, "1")
    const changed = yield* Effect.flip(Flow.start(flow, { id }))
    assert(changed._tag === "CannotResume")
    assert.include(changed.problem, "booked")
  }).pipe(Effect.provide(FlowStore.layerMemory))
)

it.effect("a store that fails is a typed error; the state is that of before, and the step can be taken again", () =>
  Effect.gen(function* () {
    let broken = false
    const memory = yield* Effect.provide(KeyValueStore.KeyValueStore, KeyValueStore.layerMemory)
    const flaky: KeyValueStore.KeyValueStore = {
      ...memory,
      set: (key, value) =>
        broken
          ? Effect.fail(new KeyValueStore.KeyValueStoreError({ message: "disk full", method: "set", key }))
          : memory.set(key, value)
    }
    const store = FlowStore.layerKeyValueStore.pipe(Layer.provide(Layer.succeed(KeyValueStore.KeyValueStore, flaky)))
    const session = yield* Flow.start(tripOf(new World()), { id, initial }).pipe(Effect.provide(store))
    yield* session.step()
    broken = true
    const failure = yield* Effect.flip(session.step())
    assert(failure._tag === "FlowStoreError" && failure.operation === "save")
    assert.deepStrictEqual((yield* session.state).booked, ["flight"])
    broken = false
    assert.deepStrictEqual((yield* session.run()).state.booked, ["flight", "hotel"])
  })
)

it.effect("two that begin one id in the same moment, in a store that takes its time: one does, one is told", () =>
  Effect.gen(function* () {
    const memory = yield* Effect.provide(KeyValueStore.KeyValueStore, KeyValueStore.layerMemory)
    const slow: KeyValueStore.KeyValueStore = {
      ...memory,
      get: (key) => Effect.tap(memory.get(key), Effect.yieldNow),
      set: (key, value) => Effect.andThen(Effect.yieldNow, memory.set(key, value))
    }
    const store = FlowStore.layerKeyValueStore.pipe(Layer.provide(Layer.succeed(KeyValueStore.KeyValueStore, slow)))
    const flow = tripOf(new World())
    const begin = Effect.flatMap(Flow.start(flow, { id, initial }), (session) => Effect.result(session.step()))
    const results = yield* Effect.all([begin, begin, begin], { concurrency: 3 }).pipe(Effect.provide(store))
    assert.deepStrictEqual(results.map((result) => (result._tag === "Success" ? "done" : result.failure._tag)).sort(), [
      "FlowConflict",
      "FlowConflict",
      "done"
    ])
  })
)

// --- Supervision ---

it.effect("a supervised session goes on from the store after a crash", () =>
  Effect.gen(function* () {
    const world = new World()
    let cuts = 2
    world.pay = Effect.suspend(() => (cuts-- > 0 ? Effect.die("power cut") : Effect.void))
    const done = yield* Deferred.make<unknown>()
    const trip = Effect.gen(function* () {
      const session = yield* Flow.start(tripOf(world), { id, initial })
      const { state } = yield* session.run()
      yield* Deferred.succeed(done, state)
    })
    const tree = Supervisor.make("trips", {
      intensity: { restarts: 3, within: "1 minute" },
      children: [Supervisor.effect("trip", trip, { restart: "transient" })]
    })
    yield* Supervisor.start(tree)
    assert.deepStrictEqual(yield* Deferred.await(done), { ...initial, booked: ["flight", "hotel"], paid: true })
    assert.deepStrictEqual(world.begun, ["flight", "hotel", ...Array(3).fill("pay 2031-05-06")])
  }).pipe(Effect.provide(FlowStore.layerMemory), quiet)
)

class Clerk extends Actor.Service<Clerk>()("test/Clerk", {
  Next: { success: Schema.String },
  Booked: { success: Schema.Array(Schema.String) }
}) {}

it.effect("a session in an actor is taken up by its next incarnation", () =>
  Effect.gen(function* () {
    const world = new World()
    let crashes = 1
    const flow = tripOf(world)
    const ClerkLive = Clerk.behavior(
      Effect.gen(function* () {
        const session = yield* Flow.start(flow, { id, initial })
        return Clerk.of({
          *Next() {
            const step = yield* session.step()
            if (Option.isSome(step) && step.value.step === 2 && crashes-- > 0) return yield* Effect.die("crash")
            return Option.isSome(step) ? step.value.action : "none"
          },
          Booked: () => Effect.map(session.state, ({ booked = [] }) => booked)
        })
      })
    )
    const app = yield* Supervisor.start(Supervisor.make("app", { children: [ClerkLive] }))
    const clerk = yield* Effect.provideContext(Clerk, app.services)
    assert.strictEqual(yield* clerk.ask.Next(), "flight")
    const crashed = yield* Effect.flip(clerk.ask.Next())
    assert(crashed._tag === "AskError" && crashed.reason._tag === "HandlerFailed")
    assert.strictEqual(yield* clerk.ask.Next(), "pay")
    assert.deepStrictEqual(yield* clerk.ask.Booked(), ["flight", "hotel"])
  }).pipe(Effect.provide(FlowStore.layerMemory), quiet)
)
