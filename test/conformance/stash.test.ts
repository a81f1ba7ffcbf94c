/** STASH: messages put aside and handled later, in their order, across crashes and ends. */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Schema } from "effect"
import { Actor, ActorContext, ActorSystem, type Behavior, Control, Stash, Supervisor, Timers } from "effect-otp"
import { TestClock } from "effect/testing"

class Desk extends Actor.Service<Desk>()("test/Desk", {
  Word: { payload: { text: Schema.String } },
  Ask: { success: Schema.String },
  Open: { payload: { count: Schema.Int } },
  Shut: {},
  Held: { success: Schema.Int }
}) {}

interface World {
  readonly log: Array<string>
  readonly hooks: Array<string>
  failingStarts: number
  crashOn: string
  keepAgain: string
}

const worldOf = (): World => ({ log: [], hooks: [], failingStarts: 0, crashOn: "", keepAgain: "" })

/** Keeps what comes while it is shut. `effects`: its handlers are generators, and not plain code. */
const desk = (world: World, { capacity = 10, effects = false }: { capacity?: number; effects?: boolean } = {}) =>
  Effect.gen(function* () {
    if (world.failingStarts > 0) {
      world.failingStarts--
      return yield* Effect.fail("no paper")
    }
    const stash = yield* Stash.make({ capacity })
    let open = false
    yield* ActorContext.onRestart(() => Effect.sync(() => void world.hooks.push(world.log.join())))
    const word = (text: string) => {
      if (!open || text === world.keepAgain) return stash.keep
      if (text === world.crashOn) throw new Error("crash")
      if (text === "stop") return ActorContext.stop
      if (text === "unhandled") return ActorContext.unhandled
      world.log.push(text)
      return undefined
    }
    return Desk.of({
      Word: ({ text }) =>
        effects
          ? Effect.gen(function* () {
              yield* Effect.yieldNow
              const result = word(text)
              if (result !== undefined) yield* result
            })
          : word(text),
      Ask: () => (open ? "answer" : stash.keep),
      Open: ({ count }) => {
        open = true
        return count < 0 ? stash.unstashAll : stash.unstash(count)
      },
      Shut: () => void (open = false),
      Held: () => stash.size
    })
  })

const all = { count: -1 }

for (const effects of [false, true]) {
  const name = effects ? ", kept by an effect" : ""
  const start = (world: World, options = {}) =>
    Actor.spawn(Desk.behavior(Effect.suspend(() => desk(world, { effects, ...options }))))

  it.effect(`STASH-01 what was stashed is handled in order, before what came later${name}`, () =>
    Effect.gen(function* () {
      const world = worldOf()
      const ref = yield* start(world)
      yield* ref.ask.Open(all)
      for (const text of ["a", "b", "c"]) yield* ref.tell.Word({ text })
      yield* ref.ask.Shut()
      for (const text of ["d", "e", "f"]) yield* ref.tell.Word({ text })
      assert.strictEqual(yield* ref.ask.Held(), 3)
      yield* ref.tell.Open(all)
      yield* ref.tell.Word({ text: "g" })
      assert.strictEqual(yield* ref.ask.Held(), 0)
      assert.strictEqual(world.log.join(), "a,b,c,d,e,f,g")
    })
  )

  it.effect(`STASH-02 unstashing a few keeps the order, and leaves the rest${name}`, () =>
    Effect.gen(function* () {
      const world = worldOf()
      const ref = yield* start(world)
      for (const text of ["1", "2", "3", "4", "5", "6"]) yield* ref.tell.Word({ text })
      yield* ref.tell.Open({ count: 2 })
      yield* ref.tell.Word({ text: "g" })
      assert.deepStrictEqual([yield* ref.ask.Held(), world.log.join()], [4, "1,2,g"])
      yield* ref.ask.Open({ count: 0 })
      yield* ref.tell.Open({ count: 3 })
      yield* ref.tell.Word({ text: "h" })
      assert.deepStrictEqual([yield* ref.ask.Held(), world.log.join()], [1, "1,2,g,3,4,5,h"])
    })
  )

  it.effect(`STASH-04 what is stashed again while unstashing waits for the next time${name}`, () =>
    Effect.gen(function* () {
      const world = worldOf()
      world.keepAgain = "m2"
      const ref = yield* start(world)
      for (const text of ["m1", "m2", "m3"]) yield* ref.tell.Word({ text })
      yield* ref.ask.Open(all)
      assert.deepStrictEqual([yield* ref.ask.Held(), world.log.join()], [1, "m1,m3"])
      world.keepAgain = ""
      yield* ref.ask.Open(all)
      assert.deepStrictEqual([yield* ref.ask.Held(), world.log.join()], [0, "m1,m3,m2"])
    })
  )

  it.effect(`STASH-11 a stash that is full says so, and the message is not in it${name}`, () =>
    Effect.gen(function* () {
      const world = worldOf()
      const ref = yield* start(world, { capacity: 2 })
      for (const text of ["1", "2"]) yield* ref.tell.Word({ text })
      const error = yield* Effect.flip(ref.ask.Word({ text: "3" }))
      assert.strictEqual(error.reason._tag, "HandlerFailed")
      const ended = yield* ref.ended
      const cause = ended._tag === "Failed" ? Cause.squash(ended.cause) : undefined
      assert.deepStrictEqual(cause, new Stash.StashOverflow({ actor: ref.path, capacity: 2 }))
      const letters = yield* ActorSystem.deadLetters
      assert.deepStrictEqual(
        letters.map(({ payload }) => payload),
        [{ text: "1" }, { text: "2" }]
      )
    }).pipe(Effect.provide(ActorSystem.layer()))
  )

  it.effect(`STASH-12 who asked goes on waiting, and is answered when its message is handled${name}`, () =>
    Effect.gen(function* () {
      const ref = yield* start(worldOf())
      const asking = yield* Effect.forkChild(ref.ask.Ask())
      const late = yield* Effect.forkChild(Effect.exit(ref.ask.Ask()))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(asking.pollUnsafe())
      yield* Fiber.interrupt(late)
      yield* ref.tell.Open(all)
      assert.strictEqual(yield* Fiber.join(asking), "answer")
    })
  )
}

const supervised = (world: World, options: Behavior.Options = {}) =>
  Effect.gen(function* () {
    const behavior = Desk.behavior(
      Effect.suspend(() => desk(world)),
      options as {}
    )
    const tree = Supervisor.make("app", { children: [behavior], intensity: { restarts: 3, within: "1 minute" } })
    const app = yield* Supervisor.start(tree)
    return { app, ref: Context.get(app.services, Desk) }
  })

it.effect(
  "STASH-05 a crash while unstashing: the rest is not lost, the stash of the next run is empty, restarts go on",
  () =>
    Effect.gen(function* () {
      const world = worldOf()
      world.crashOn = "bad"
      const { ref } = yield* supervised(world)
      for (const text of ["ok1", "ok2", "bad", "ok3"]) yield* ref.tell.Word({ text })
      yield* ref.tell.Open(all)
      // The next run is shut again: it keeps what was left, and only that.
      assert.strictEqual(yield* ref.ask.Held(), 1)
      assert.deepStrictEqual([world.log.join(), world.hooks], ["ok1,ok2", ["ok1,ok2"]])
      yield* ref.ask.Open(all)
      yield* ref.tell.Word({ text: "bad" })
      assert.strictEqual(yield* ref.ask.Held(), 0)
      assert.strictEqual(world.log.join(), "ok1,ok2,ok3")
      assert.strictEqual(ref.status, "running")
    })
)

it.effect("STASH-06 where a restart gives up the queue, it gives up the stash", () =>
  Effect.gen(function* () {
    const world = worldOf()
    world.crashOn = "bad"
    const { ref } = yield* supervised(world, { mailbox: { onRestart: "discard" } })
    yield* ref.tell.Word({ text: "kept" })
    const asking = yield* Effect.forkChild(Effect.exit(ref.ask.Ask()))
    yield* Effect.yieldNow
    world.keepAgain = "kept"
    yield* ref.ask.Open({ count: 1 })
    yield* Effect.exit(ref.ask.Word({ text: "bad" }))
    const exit = yield* Fiber.join(asking)
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    assert.propertyVal((error as { readonly reason: object }).reason, "_tag", "Restarting")
    assert.strictEqual(yield* ref.ask.Held(), 0)
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map(({ payload, reason }) => [payload, reason._tag]),
      [[{ text: "kept" }, "Restarted"]]
    )
  }).pipe(Effect.provide(ActorSystem.layer()))
)

it.effect("STASH-07 a stop while unstashing: the rest are dead letters", () =>
  Effect.gen(function* () {
    const world = worldOf()
    const ref = yield* Actor.spawn(Desk.behavior(desk(world)))
    for (const text of ["stop", "after"]) yield* ref.tell.Word({ text })
    yield* ref.tell.Open(all)
    assert.deepStrictEqual(yield* ref.ended, { _tag: "Normal" })
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map(({ payload }) => payload),
      [{ text: "after" }]
    )
    assert.deepStrictEqual(world.log, [])
  }).pipe(Effect.provide(ActorSystem.layer()))
)

it.effect("STASH-08 a stashed message that is unhandled is told as any other, the others are handled", () =>
  Effect.gen(function* () {
    const world = worldOf()
    const ref = yield* Actor.spawn(Desk.behavior(desk(world)))
    const unhandled: Array<unknown> = []
    yield* ActorSystem.onEvent((event) => {
      if (event._tag === "Unhandled") unhandled.push([event.tag, event.payload])
    })
    for (const text of ["a", "unhandled", "b"]) yield* ref.tell.Word({ text })
    yield* ref.ask.Open(all)
    assert.strictEqual(yield* ref.ask.Held(), 0)
    assert.deepStrictEqual([world.log.join(), unhandled], ["a,b", [["Word", { text: "unhandled" }]]])
  })
)

it.effect("STASH-10 what is stashed and queued outlives starts that fail, in order, none lost", () =>
  Effect.gen(function* () {
    const world = worldOf()
    world.crashOn = "bad"
    const { ref } = yield* supervised(world)
    for (const text of ["1", "2"]) yield* ref.tell.Word({ text })
    yield* ref.ask.Open({ count: 0 })
    world.failingStarts = 2
    yield* ref.tell.Word({ text: "bad" })
    yield* Effect.repeat(Effect.yieldNow, { until: () => world.failingStarts < 2 })
    for (const text of ["3", "4"]) yield* ref.tell.Word({ text })
    yield* TestClock.adjust("1 minute")
    yield* ref.ask.Open(all)
    assert.strictEqual(yield* ref.ask.Held(), 0)
    assert.strictEqual(world.log.join(), "1,2,3,4")
  })
)

it.effect("STASH-13 only messages can be kept, by the run that the stash was made for, one at a time", () =>
  Effect.gen(function* () {
    const foreign = Stash.makeUnsafe()
    const problems: Array<string> = []
    const trying = (effect: Effect.Effect<unknown, unknown, ActorContext.ActorContext>) =>
      Effect.catchDefect(effect, (defect) => Effect.sync(() => problems.push((defect as Stash.NotStashable).problem)))
    const behavior = Desk.behavior(
      Effect.gen(function* () {
        const stash = yield* Stash.make()
        yield* trying(stash.keep)
        return Desk.of({
          Word: () => Effect.asVoid(trying(foreign.keep)),
          Ask: Actor.concurrent(() => Effect.as(trying(stash.keep), "done")),
          Open: () => Effect.asVoid(trying(foreign.unstashAll)),
          Shut: () => foreign.keep,
          Held: () => foreign.size
        })
      })
    )
    const ours = yield* Actor.spawn(behavior)
    const theirs = yield* Actor.spawn(behavior)
    yield* ours.tell.Shut()
    yield* ours.ask.Ask()
    yield* theirs.ask.Word({ text: "a" })
    yield* theirs.ask.Open(all)
    assert.deepStrictEqual(problems, ["no-message", "no-message", "beside", "foreign", "foreign"])
    assert.strictEqual(yield* theirs.ask.Held(), 1)
    assert.strictEqual((yield* Effect.flip(theirs.ask.Shut())).reason._tag, "HandlerFailed")
  })
)

class Batches extends Actor.Service<Batches>()("test/Batches", {
  Put: { payload: { n: Schema.Int }, success: Schema.Int },
  Open: {},
  Shut: {}
}) {}

const batches = (capacity: number) =>
  Actor.spawn(
    Batches.behavior(
      Effect.gen(function* () {
        const stash = yield* Stash.make({ capacity })
        let open = false
        return Batches.of({
          Put: Actor.batched({
            maxSize: 10,
            run: (batch) => (open ? Effect.succeed(batch.map(({ n }) => n)) : stash.keep)
          }),
          Open: () => {
            open = true
            return stash.unstashAll
          },
          Shut: () => void (open = false)
        })
      })
    )
  )

const putAll = (ref: Effect.Success<ReturnType<typeof batches>>) =>
  Effect.forEach([1, 2, 3], (n) => Effect.forkChild(Effect.exit(ref.ask.Put({ n })), { startImmediately: true }))

it.effect("STASH-14 a batch is kept as a whole, and comes back in its order", () =>
  Effect.gen(function* () {
    const ref = yield* batches(3)
    const putting = yield* putAll(ref)
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual((yield* Control.status(ref)).postponed, ["Put", "Put", "Put"])
    yield* ref.ask.Open()
    assert.deepStrictEqual(
      yield* Effect.forEach(putting, Fiber.join),
      [1, 2, 3].map((n) => Exit.succeed(n))
    )
  })
)

it.effect("STASH-14 a batch that has no room as a whole is not kept at all", () =>
  Effect.gen(function* () {
    const ref = yield* batches(2)
    const putting = yield* putAll(ref)
    const exits = yield* Effect.forEach(putting, Fiber.join)
    const reasons = exits.map((exit) => {
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      return (error as { readonly reason: { readonly _tag: string } }).reason._tag
    })
    assert.deepStrictEqual(reasons, ["HandlerFailed", "HandlerFailed", "HandlerFailed"])
    assert.strictEqual((yield* ref.ended)._tag, "Failed")
  }).pipe(Effect.provide(ActorSystem.layer()))
)

it.effect("STASH-15 what is in a stash is seen from outside", () =>
  Effect.gen(function* () {
    const ref = yield* Actor.spawn(Desk.behavior(Effect.suspend(() => desk(worldOf()))))
    yield* ref.tell.Word({ text: "a" })
    const asking = yield* Effect.forkChild(Effect.exit(ref.ask.Ask()), { startImmediately: true })
    yield* ref.ask.Held()
    assert.deepStrictEqual((yield* Control.status(ref)).postponed, ["Word", "Ask"])
    yield* Fiber.interrupt(asking)
  })
)

it.effect("STASH-16 a message that crashes the actor too often is given up, though it was stashed in between", () =>
  Effect.gen(function* () {
    const world = worldOf()
    world.crashOn = "bad"
    const { ref } = yield* supervised(world, { mailbox: { redeliver: 1 } })
    yield* ref.tell.Word({ text: "bad" })
    for (let n = 0; n < 3; n++) yield* ref.ask.Open(all)
    assert.strictEqual(yield* ref.ask.Held(), 0)
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map(({ payload, reason }) => [payload, reason._tag]),
      [[{ text: "bad" }, "Poisoned"]]
    )
  }).pipe(Effect.provide(ActorSystem.layer()))
)

it.effect("STASH-14 what is kept after a batch is that message alone", () =>
  Effect.gen(function* () {
    const ref = yield* batches(10)
    yield* ref.ask.Open()
    yield* Effect.forEach(yield* putAll(ref), Fiber.join)
    yield* ref.ask.Shut()
    const asking = yield* Effect.forkChild(Effect.exit(ref.ask.Put({ n: 4 })), { startImmediately: true })
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual((yield* Control.status(ref)).postponed, ["Put"])
    yield* Fiber.interrupt(asking)
  })
)

it.effect("STASH-02 a count that is none lets nothing go", () =>
  Effect.gen(function* () {
    const world = worldOf()
    const ref = yield* Actor.spawn(
      Desk.behavior(
        Effect.gen(function* () {
          const stash = yield* Stash.make()
          let tries = 0
          return Desk.of({
            Word: ({ text }) => (++tries < 3 ? stash.keep : void world.log.push(text)),
            Ask: () => "",
            Open: ({ count }) => stash.unstash(count),
            Shut: () => stash.unstash(Number.NaN),
            Held: () => stash.size
          })
        })
      )
    )
    for (const text of ["a", "b"]) yield* ref.tell.Word({ text })
    yield* ref.ask.Open({ count: -1 })
    yield* ref.ask.Shut()
    assert.strictEqual(yield* ref.ask.Held(), 2)
    yield* ref.ask.Open({ count: 5 })
    assert.deepStrictEqual([yield* ref.ask.Held(), world.log], [0, ["a", "b"]])
  })
)

it.effect("STASH-13 R54 TIME-03 a tick that was kept has come, whatever becomes of its timer", () =>
  Effect.gen(function* () {
    const world = worldOf()
    const stash = Stash.makeUnsafe()
    const theirs = yield* Actor.spawn(
      Desk.behavior(
        Effect.gen(function* () {
          const self = yield* Desk.self
          yield* Timers.once("word", 10, self.tell.Word({ text: "tick" }))
          let open = false
          return Desk.of({
            Word: ({ text }) => (open ? void world.log.push(text) : stash.keep),
            Ask: () => "",
            Open: () => {
              open = true
              return Effect.andThen(Timers.cancelAll, stash.unstashAll)
            },
            Shut: () => {},
            Held: () => stash.size
          })
        })
      )
    )
    yield* TestClock.adjust(10)
    yield* theirs.ask.Open(all)
    yield* theirs.ask.Held()
    assert.deepStrictEqual(world.log, ["tick"])
    const foreign = yield* Actor.spawn(
      Desk.behavior(
        Effect.succeed(
          Desk.of({ Word: () => {}, Ask: () => "", Open: () => stash.unstashAll, Shut: () => {}, Held: () => 0 })
        )
      )
    )
    assert.strictEqual((yield* Effect.flip(foreign.ask.Open(all))).reason._tag, "HandlerFailed")
  })
)

it("STASH-17 a capacity that is none is refused where the stash is made", () => {
  for (const capacity of [0, -1, 1.5, Number.NaN, "many" as never]) {
    assert.throws(() => Stash.makeUnsafe({ capacity }), /the capacity of a stash must be a whole number of 1 or more/)
  }
  assert.strictEqual(Stash.makeUnsafe({ capacity: Infinity }).capacity, Infinity)
})
