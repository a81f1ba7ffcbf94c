/** TIME: the timers of an actor: when they come, and when nothing of them comes any more. */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Fiber, Schema } from "effect"
import { Actor, ActorContext, type ActorRef, ActorSystem, StateMachine, Supervisor, Timers } from "effect-otp"
import { TestClock } from "effect/testing"

type Starting = Effect.Effect<unknown, unknown, ActorContext.ActorContext>

class Clockwork extends Actor.Service<Clockwork>()("test/Clockwork", {
  Tick: { payload: { n: Schema.Int } },
  Do: { payload: { what: Schema.Unknown } },
  Log: { success: Schema.Array(Schema.String) },
  Crash: {}
}) {}

interface World {
  readonly log: Array<string>
  /** What its init does besides. */
  readonly init?: (self: { readonly tick: (n: number) => Effect.Effect<void> }) => Starting
}

const clockwork = ({ init = () => Effect.void, log }: World) =>
  Clockwork.behavior(
    Effect.gen(function* () {
      const self = yield* Clockwork.self
      yield* Effect.orDie(init({ tick: (n) => self.tell.Tick({ n }) }))
      return Clockwork.of({
        Tick: ({ n }) => void log.push(`tick ${n}`),
        Do: ({ what }) => what as Effect.Effect<void>,
        Log: () => [...log],
        Crash: () => Effect.die("crash")
      })
    })
  )

const spawn = (init?: World["init"]) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const ref = yield* Actor.spawn(clockwork(init === undefined ? { log } : { init, log }))
    const tick = (n: number) => ref.tell.Tick({ n })
    /** Runs an effect in a turn of the actor. */
    const act = (what: Starting) => ref.ask.Do({ what })
    return { act, log, ref, tick }
  })

it.effect("TIME-01 a timer for once comes once, at its time", () =>
  Effect.gen(function* () {
    const { act, log, tick } = yield* spawn()
    yield* act(Timers.once("a", "10 millis", tick(1)))
    yield* TestClock.adjust("9 millis")
    assert.deepStrictEqual(log, [])
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(log, ["tick 1"])
  })
)

it.effect("TIME-02 a timer comes again: after a pause, or at a rate that a busy actor makes up for", () =>
  Effect.gen(function* () {
    const { act, log, ref } = yield* spawn(({ tick }) =>
      Effect.andThen(Timers.fixedDelay("delay", "10 millis", tick(1)), Timers.fixedRate("rate", "10 millis", tick(2)))
    )
    yield* TestClock.adjust("30 millis")
    assert.deepStrictEqual([...log].sort(), ["tick 1", "tick 1", "tick 1", "tick 2", "tick 2", "tick 2"])
    log.length = 0
    const busy = yield* Effect.forkChild(act(Effect.sleep("35 millis")))
    yield* TestClock.adjust("35 millis")
    yield* Fiber.join(busy)
    // One tick of each has waited; what the rate has missed it makes up for.
    yield* TestClock.adjust("2 millis")
    assert.deepStrictEqual([...(yield* ref.ask.Log())].sort(), ["tick 1", "tick 2", "tick 2", "tick 2"])
  })
)

it.effect("TIME-03 the same key replaces: the tick that waits in the mailbox is not handled", () =>
  Effect.gen(function* () {
    const { act, log, ref, tick } = yield* spawn()
    const gate = yield* Deferred.make<void>()
    yield* act(Timers.fixedRate("a", "10 millis", tick(1)))
    const busy = yield* Effect.forkChild(
      act(Effect.andThen(Deferred.await(gate), Timers.once("a", "10 millis", tick(2))))
    )
    yield* TestClock.adjust("10 millis")
    assert.strictEqual(ref.size, 1)
    yield* Deferred.succeed(gate, undefined)
    yield* Fiber.join(busy)
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(log, ["tick 2"])
  })
)

it.effect("TIME-04 after a cancel nothing comes, not even what waits in the mailbox", () =>
  Effect.gen(function* () {
    const { act, log, ref, tick } = yield* spawn()
    const effect = Effect.sync(() => void log.push("effect"))
    for (const cancel of [Effect.andThen(Timers.cancel("a"), Timers.cancel("b")), Timers.cancelAll]) {
      yield* act(Effect.andThen(Timers.fixedRate("a", 10, tick(1)), Timers.fixedDelay("b", 10, effect)))
      const gate = yield* Deferred.make<void>()
      const busy = yield* Effect.forkChild(act(Effect.andThen(Deferred.await(gate), cancel)))
      yield* TestClock.adjust(10)
      assert.strictEqual(ref.size, 2)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(busy)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(yield* ref.ask.Log(), [])
      yield* act(Timers.cancel("never started"))
    }
  })
)

it.effect("TIME-05 a timer tells whether something of it is still to come", () =>
  Effect.gen(function* () {
    const { act, tick } = yield* spawn()
    const seen: Array<boolean> = []
    const look = Effect.map(Timers.isActive("a"), (active) => void seen.push(active))
    yield* act(look)
    yield* act(Timers.once("a", 10, tick(1)))
    yield* act(look)
    yield* TestClock.adjust(10)
    yield* act(look)
    yield* act(Effect.andThen(Timers.fixedRate("a", 10, tick(1)), look))
    yield* TestClock.adjust(10)
    yield* act(look)
    yield* act(Effect.andThen(Timers.cancel("a"), look))
    assert.deepStrictEqual(seen, [false, true, false, true, true, false])
  })
)

it.effect(
  "TIME-06 timers end with the actor, however it ends: no tick, no dead letter, no timer that keeps the process",
  () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.ActorSystem
      const heap = (system.timers as unknown as { readonly heap: ReadonlyArray<unknown> }).heap
      const ends: ReadonlyArray<(ref: ActorRef.ActorRef<Clockwork>) => Effect.Effect<unknown>> = [
        Actor.stop,
        Actor.kill,
        (ref) => Effect.andThen(Actor.resume(ref), Actor.drain(ref)),
        (ref) => Effect.andThen(Actor.resume(ref), Effect.exit(ref.ask.Crash()))
      ]
      for (const end of ends) {
        const { act, log, ref, tick } = yield* spawn()
        yield* act(Timers.fixedRate("rate", 10, tick(1)))
        yield* act(Timers.fixedDelay("delay", 10, tick(2)))
        yield* act(Timers.once("late", "1 hour", tick(3)))
        yield* Actor.suspend(ref)
        yield* TestClock.adjust(10)
        assert.deepStrictEqual([heap.length, ref.size], [1, 2])
        yield* end(ref)
        yield* ref.ended
        assert.strictEqual(heap.length, 0)
        const { length } = log
        yield* TestClock.adjust("2 hours")
        assert.strictEqual(log.length, length)
      }
      assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
    }).pipe(Effect.provide(ActorSystem.layer()))
)

it.effect("TIME-07 timers go on whatever becomes of the actor's behaviour", () =>
  Effect.gen(function* () {
    class Moods extends StateMachine.Service<Moods>()("test/Moods", {
      states: { Calm: {}, Busy: {} },
      events: { Turn: {}, Tick: {} },
      transitions: { Calm: { Turn: "Busy" }, Busy: { Turn: "Calm" } }
    }) {}
    const log: Array<string> = []
    const writes = (_: unknown, __: unknown, { state }: { readonly state: string }) => {
      log.push(state)
      return Moods.stay
    }
    const moods = Moods.of({
      initial: [
        Moods.to.Calm(),
        Moods.run(Effect.flatMap(Moods.self, (self) => Timers.fixedRate("a", 10, self.tell.Tick())))
      ],
      on: { Calm: { Turn: Moods.to.Busy(), Tick: writes }, Busy: { Turn: Moods.to.Calm(), Tick: writes } }
    })
    const ref = yield* Actor.spawn(Moods.behavior(moods))
    yield* TestClock.adjust(10)
    yield* ref.ask.Turn()
    yield* TestClock.adjust(20)
    assert.deepStrictEqual(log, ["Calm", "Busy", "Busy"])
  })
)

it.effect("TIME-08 ticks of an old run never come to the new one", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    let runs = 0
    const init: World["init"] = ({ tick }) => {
      runs++
      return runs === 1
        ? Effect.andThen(
            Timers.fixedRate("a", 10, tick(1)),
            Timers.once(
              "b",
              10,
              Effect.sync(() => log.push("old"))
            )
          )
        : Timers.once("a", 30, tick(2))
    }
    const app = yield* Supervisor.start(Supervisor.make("app", { children: [clockwork({ init, log })] }))
    const ref = Context.get(app.services, Clockwork)
    const busy = yield* Effect.forkChild(
      Effect.exit(ref.ask.Do({ what: Effect.andThen(Effect.sleep(10), Effect.die("crash")) }))
    )
    yield* TestClock.adjust(10)
    yield* Fiber.join(busy)
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual([runs, log], [2, ["tick 2"]])
  })
)

it.effect("TIME-09 the test's clock drives them all, in the order of their times, within one step", () =>
  Effect.gen(function* () {
    const { act, log, tick } = yield* spawn()
    const hours = [3, 1, 2, 5, 4]
    yield* act(Effect.forEach(hours, (n) => Timers.once(n, `${n} hours`, tick(n))))
    yield* act(Timers.fixedRate("rate", "70 minutes", tick(0)))
    yield* TestClock.adjust("5 hours")
    assert.deepStrictEqual(
      log,
      [1, 0, 2, 0, 3, 0, 4, 0, 5].map((n) => `tick ${n}`)
    )
  })
)

it.effect("TIME-10 forty days are forty days", () =>
  Effect.gen(function* () {
    const { act, log, tick } = yield* spawn()
    yield* act(Timers.once("a", "40 days", tick(1)))
    yield* TestClock.adjust("39 days")
    assert.deepStrictEqual(log, [])
    yield* TestClock.adjust("2 days")
    assert.deepStrictEqual(log, ["tick 1"])
  })
)

it.effect("TIME-11 what a timer runs is a turn of the actor's own: one at a time, its failure is the actor's", () =>
  Effect.gen(function* () {
    const { act, log, ref } = yield* spawn()
    const slow = Effect.andThen(
      Effect.sleep(10),
      Effect.sync(() => log.push("slow"))
    )
    yield* act(Timers.once("a", 10, slow))
    yield* TestClock.adjust(10)
    const asking = yield* Effect.forkChild(ref.ask.Log())
    yield* Effect.yieldNow
    assert.isUndefined(asking.pollUnsafe())
    yield* TestClock.adjust(10)
    assert.deepStrictEqual(yield* Fiber.join(asking), ["slow"])
    yield* act(Timers.once("a", 10, Effect.die("by timer")))
    yield* TestClock.adjust(10)
    const ended = yield* ref.ended
    assert.strictEqual(ended._tag === "Failed" ? Cause.squash(ended.cause) : undefined, "by timer")
  })
)

it.effect("TIME-12 a tell to another actor is a tell; a tick tells the actor which message it is", () =>
  Effect.gen(function* () {
    const other = yield* spawn()
    const seen: Array<string> = []
    const look = Effect.map(ActorContext.message, ({ tag }) => void seen.push(tag))
    // What was started in init knows the turn that it runs in, and not that of init.
    const { act, ref } = yield* spawn(() => Timers.once("init", 5, look))
    yield* act(Timers.once("a", 10, other.tick(7)))
    yield* act(Timers.once("b", 10, ref.tell.Do({ what: look })))
    yield* act(Timers.once("c", 20, look))
    yield* TestClock.adjust(20)
    assert.deepStrictEqual([other.log, seen], [["tick 7"], ["", "Do", ""]])
  })
)

it.effect("TIME-13 a time that is none is refused, with its key", () =>
  Effect.gen(function* () {
    const never = Effect.void
    const wrong = [
      Timers.once("a", -1, never),
      Timers.once("a", Number.NaN, never),
      Timers.once("a", "soon" as never, never),
      Timers.fixedDelay("a", 0, never),
      Timers.fixedRate("a", "0 millis", never)
    ]
    for (const start of wrong) {
      const { act } = yield* spawn()
      const error = yield* Effect.flip(act(start))
      assert.match(String(error.reason), /timer a: its time must be a duration/)
    }
    const { act, log, tick } = yield* spawn()
    yield* act(Timers.once("a", Infinity, tick(1)))
    yield* TestClock.adjust("400 days")
    assert.deepStrictEqual(log, [])
  })
)
