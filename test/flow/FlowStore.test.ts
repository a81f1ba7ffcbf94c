/** Sessions that are kept by id: resumed after a crash, refused where two go on, kept in any key-value store. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Actor, Supervisor } from "effect-otp"
import { Flow, FlowStore } from "effect-otp/flow"
import { KeyValueStore } from "effect/persistence"
import { quiet } from "../support/recording.ts"
import { temporaryDatabase } from "./sqlite.ts"

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
  "a key-value store": FlowStore.layerKeyValueStore.pipe(Layer.provide(KeyValueStore.layerMemory)),
  SQL: FlowStore.layerSql().pipe(Layer.provide(temporaryDatabase))
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

  it.effect(`${name}: who goes on with what was removed is told, also when it was begun anew and has come as far`, () =>
    Effect.gen(function* () {
      const flow = tripOf(new World())
      const store = yield* FlowStore.FlowStore
      const old = yield* Flow.start(flow, { id, initial })
      const other = yield* Flow.start(flow, { id: "bob", initial })
      yield* old.step()
      yield* other.step()
      yield* store.remove("trip", "bob")
      const gone = yield* Effect.flip(other.step())
      assert.strictEqual(gone.message, "trip bob: nothing is kept any more, this one is at 1: start it again")
      yield* store.remove("trip", id)
      const anew = yield* Flow.start(flow, { id, initial: { ...initial, booked: ["ferry"] } })
      yield* anew.step()
      assert.strictEqual((yield* Effect.flip(old.step()))._tag, "FlowConflict")
      assert.deepStrictEqual((yield* anew.run()).state.booked, ["ferry", "flight", "hotel"])
    }).pipe(Effect.provide(store))
  )

  it.effect(`${name}: a session that is interrupted at any moment is taken up where it shows it is`, () =>
    Effect.gen(function* () {
      // Each round lets it run a little longer; what was saved is not done again.
      for (let yields = 0; yields < 30; yields++) {
        const world = new World()
        const flow = tripOf(world)
        const first = yield* Flow.start(flow, { id: `${yields}`, initial })
        const running = yield* Effect.forkChild(first.run())
        for (let i = 0; i < yields; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(running)
        const shown = yield* first.state
        const second = yield* Flow.start(flow, { id: `${yields}`, initial })
        assert.deepStrictEqual(yield* second.state, shown)
        assert.deepStrictEqual((yield* second.run()).state, { ...initial, booked: ["flight", "hotel"], paid: true })
        assert.deepStrictEqual(world.begun.slice(-1), ["pay 2031-05-06"])
        // The first was overtaken, unless it had come to the end.
        if (shown.paid === undefined) assert.strictEqual((yield* Effect.flip(first.step()))._tag, "FlowConflict")
      }
    }).pipe(Effect.provide(store))
  )

  it.effect(`${name}: what was kept is frozen as well, and survives odd ids and names`, () =>
    Effect.gen(function* () {
      const flow = tripOf(new World())
      const odd = "a'; DROP TABLE x; -- %/\\ é😀"
      yield* (yield* Flow.start(flow, { id: odd, initial })).step()
      const state = (yield* (yield* Flow.start(flow, { id: odd })).state) as { booked: Array<string> }
      assert.throws(() => state.booked.push("x"), TypeError)
      assert.throws(() => (state.booked = []), TypeError)
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

it.effect("a key-value store is shared: other keys are left alone, and unreadable ones are an error", () =>
  Effect.gen(function* () {
    const shared = yield* KeyValueStore.KeyValueStore
    yield* shared.set("trip/ann", "somebody else's")
    const store = FlowStore.layerKeyValueStore.pipe(Layer.provide(Layer.succeed(KeyValueStore.KeyValueStore, shared)))
    const flow = tripOf(new World())
    yield* Effect.gen(function* () {
      yield* (yield* Flow.start(flow, { id, initial })).step()
      assert.strictEqual(yield* shared.get("trip/ann"), "somebody else's")
      yield* shared.set("effect-otp/flow/trip/ann", "{")
      const unreadable = yield* Effect.flip(Flow.start(flow, { id }))
      assert(unreadable._tag === "FlowStoreError" && unreadable.operation === "load")
    }).pipe(Effect.provide(store))
  }).pipe(Effect.provide(KeyValueStore.layerMemory))
)

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

it.effect("a state that no store can hold is an error that says which key; nothing is kept of it", () =>
  Effect.gen(function* () {
    const Open = Flow.state("test/Open", { file: Schema.Unknown })
    const open = Open.action("open", { writes: ["file"], run: () => Effect.succeed({ file: () => 1 }) })
    const flow = Flow.make("opening", { state: Open, actions: [open], entry: "open", transitions: [] })
    const failure = yield* Effect.flip(Effect.flatMap(Flow.start(flow, { id }), (session) => session.step()))
    assert(failure._tag === "FlowStoreError")
    assert.match(failure.message, /^opening ann: the store could not save it: [^]*"file"/)
    assert.isTrue(Option.isNone(yield* (yield* FlowStore.FlowStore).load("opening", id)))
  }).pipe(Effect.provide(FlowStore.layerMemory))
)

it.effect("what is stored can be migrated: actions that are called otherwise, states that look otherwise", () =>
  Effect.gen(function* () {
    const Old = Flow.state("test/Old", { stops: Schema.String })
    const old = Flow.make("trip", {
      state: Old,
      actions: [Old.action("train", { writes: ["stops"], run: () => Effect.succeed({ stops: "flight" }) })],
      entry: "train",
      transitions: []
    })
    yield* (yield* Flow.start(old, { id })).step()
    const migrate = (saved: FlowStore.Saved): FlowStore.Saved => {
      const { stops } = saved.state as { readonly stops?: string }
      return stops === undefined ? saved : { ...saved, action: "flight", state: { booked: [stops] } }
    }
    const world = new World()
    for (const expected of [2, 0]) {
      const session = yield* Flow.start(tripOf(world), { id, migrate, initial })
      const { state, taken } = yield* session.run()
      assert.deepStrictEqual(state, { ...initial, booked: ["flight", "hotel"], paid: true })
      assert.strictEqual(taken, expected)
    }
    assert.deepStrictEqual(world.begun, ["hotel", "pay 2031-05-06"])
  }).pipe(Effect.provide(FlowStore.layerMemory))
)

it.effect("what is stored goes before initial; a key that the flow has got since is taken from there", () =>
  Effect.gen(function* () {
    const fields = { n: Schema.Int }
    const flowOf = <F extends { readonly n: typeof Schema.Int }>(state: Flow.State<F>) =>
      Flow.make("growing", {
        state,
        actions: [state.action("set", { writes: ["n"], run: () => Effect.succeed({ n: 1 } as never) })],
        entry: "set",
        transitions: []
      })
    yield* (yield* Flow.start(flowOf(Flow.state("test/Small", fields)), { id, initial: { n: 0 } })).step()
    const grown = flowOf(Flow.state("test/Grown", { ...fields, m: Schema.Int }))
    const session = yield* Flow.start(grown, { id, initial: { n: 5, m: 5 } })
    assert.deepStrictEqual(yield* session.state, { n: 1, m: 5 })
    const wrong = yield* Effect.flip(Flow.start(grown, { id, initial: { m: 0.5 } }))
    assert.strictEqual(wrong.message, "growing: initial: m cannot be 0.5: Expected an integer")
  }).pipe(Effect.provide(FlowStore.layerMemory))
)

it.effect(
  "SQL: two processes that save in the same moment: one does, the other is told, and nothing is written twice",
  () =>
    Effect.gen(function* () {
      const results = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) => `${i}`),
        (id) =>
          Effect.gen(function* () {
            const flow = tripOf(new World())
            const begin = Effect.gen(function* () {
              const session = yield* Flow.start(flow, { id, initial })
              return yield* Effect.result(session.run())
            }).pipe(Effect.provide(Layer.fresh(FlowStore.layerSql())))
            const both = yield* Effect.all([begin, begin], { concurrency: 2 })
            return both.map((result) => (result._tag === "Success" ? "done" : result.failure._tag))
          })
      )
      for (const both of results) {
        assert.include(both, "done")
        for (const each of both) assert.include(["done", "FlowConflict"], each)
      }
      assert.isTrue(results.some((both) => both.includes("FlowConflict")))
    }).pipe(Effect.provide(temporaryDatabase))
)

it.effect("SQL: a database that fails is a typed error that says why, and the step can be taken again", () =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const session = yield* Flow.start(tripOf(new World()), { id, initial })
    yield* sql`ALTER TABLE trips RENAME TO gone`
    const failure = yield* Effect.flip(session.step())
    assert(failure._tag === "FlowStoreError")
    assert.match(failure.message, /^trip ann: the store could not save it: .*no such table: trips/)
    yield* sql`ALTER TABLE gone RENAME TO trips`
    assert.strictEqual((yield* session.run()).halted, "end")
    const rows = yield* sql<{ readonly step: number }>`SELECT step FROM trips`
    assert.deepStrictEqual(
      rows.map(({ step }) => step),
      [3]
    )
    yield* sql`ALTER TABLE trips RENAME TO gone`
    const store = yield* FlowStore.FlowStore
    assert.strictEqual((yield* Effect.flip(store.load("trip", id))).operation, "load")
    assert.strictEqual((yield* Effect.flip(store.remove("trip", id))).operation, "remove")
  }).pipe(Effect.provide(FlowStore.layerSql({ table: "trips" }).pipe(Layer.provideMerge(temporaryDatabase))))
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

/** A key-value store whose reads and writes take their time: others come in between. */
const slowStore = FlowStore.layerKeyValueStore.pipe(
  Layer.provide(
    Layer.effect(
      KeyValueStore.KeyValueStore,
      Effect.map(KeyValueStore.KeyValueStore, (memory) => ({
        ...memory,
        get: (key: string) => Effect.tap(memory.get(key), Effect.yieldNow),
        set: (key: string, value: string | Uint8Array) => Effect.andThen(Effect.yieldNow, memory.set(key, value))
      }))
    )
  ),
  Layer.provide(KeyValueStore.layerMemory)
)

it.effect("two that begin one id in the same moment, in a store that takes its time: one does, one is told", () =>
  Effect.gen(function* () {
    const flow = tripOf(new World())
    const begin = Effect.flatMap(Flow.start(flow, { id, initial }), (session) => Effect.result(session.step()))
    const results = yield* Effect.all([begin, begin, begin], { concurrency: 3 }).pipe(Effect.provide(slowStore))
    assert.deepStrictEqual(results.map((result) => (result._tag === "Success" ? "done" : result.failure._tag)).sort(), [
      "FlowConflict",
      "FlowConflict",
      "done"
    ])
  })
)

for (const [name, slowly] of Object.entries({ "a slow key-value store": true, SQL: false })) {
  it.effect(`${name}: however many save at once, and whenever they come, no version is gone on from twice`, () =>
    Effect.gen(function* () {
      const store = yield* FlowStore.FlowStore
      const from: Array<string | undefined> = []
      const saver = (n: number) =>
        Effect.gen(function* () {
          for (let round = 0; round < 10; round++) {
            for (let i = 0; i < (n * 7 + round * 5) % 11; i++) yield* Effect.yieldNow
            const found = Option.getOrUndefined(yield* store.load("trip", id))
            const version = `${n}/${round}`
            const saved = { flow: "trip", id, step: (found?.step ?? 0) + 1, action: "flight", state: {}, version }
            const result = yield* Effect.result(store.save(saved, found?.version))
            if (result._tag === "Success") from.push(found?.version)
          }
        })
      yield* Effect.all(
        Array.from({ length: 8 }, (_, n) => saver(n)),
        { concurrency: "unbounded" }
      )
      assert.isAbove(from.length, 9)
      assert.strictEqual(new Set(from).size, from.length)
      const last = Option.getOrThrow(yield* store.load("trip", id))
      assert.strictEqual(last.step, from.length)
    }).pipe(Effect.provide(slowly ? slowStore : stores.SQL))
  )
}

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
