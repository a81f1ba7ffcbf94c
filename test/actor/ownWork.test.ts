/** What an actor gives itself, in a mailbox with rules: it is not counted, and not given up for a message. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { Actor, ActorSystem, type Behavior, Timers } from "effect-otp"
import { TestClock } from "effect/testing"

class Meter extends Actor.Service<Meter>()("test/Meter", {
  Tick: {},
  Fill: {},
  Hold: {},
  Piped: {},
  Log: { success: Schema.Array(Schema.String) }
}) {}

const meter = (options: Behavior.Options<"Tick", "Tick">, timers: boolean) =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const log: Array<string> = []
    const write = (line: string) => () => void log.push(line)
    const behavior = Meter.behavior(
      Effect.gen(function* () {
        const self = yield* Meter.self
        if (timers) yield* Timers.fixedRate("rate", 10, self.tell.Tick())
        return Meter.of({
          Tick: write("tick"),
          Fill: write("fill"),
          Hold: () => Deferred.await(gate),
          Piped: () => Effect.andThen(Actor.pipeToSelf(Effect.void, write("piped")), Deferred.await(gate)),
          Log: () => [...log]
        })
      }),
      options
    )
    return { gate, log, ref: yield* Actor.spawn(behavior) }
  })

it.effect("TIME-14 a mailbox that drops the oldest does not drop ticks: the timer goes on", () =>
  Effect.gen(function* () {
    const { gate, log, ref } = yield* meter({ mailbox: { capacity: 2, overflow: "drop-oldest" } }, true)
    yield* ref.tell.Hold()
    yield* TestClock.adjust(10)
    for (let n = 0; n < 4; n++) yield* ref.tell.Fill()
    yield* Deferred.succeed(gate, undefined)
    yield* TestClock.adjust(30)
    assert.deepStrictEqual([...log].sort(), ["fill", "tick", "tick", "tick", "tick"])
  })
)

it.effect("MBX a mailbox that holds nothing but the actor's own work has room, whatever its bound", () =>
  Effect.gen(function* () {
    const { gate, log, ref } = yield* meter({ mailbox: { capacity: 1, overflow: "drop-oldest" } }, false)
    const piping = yield* Effect.forkChild(ref.ask.Piped(), { startImmediately: true })
    yield* Effect.yieldNow
    assert.strictEqual(ref.size, 1)
    yield* ref.tell.Fill()
    yield* Deferred.succeed(gate, undefined)
    yield* Fiber.join(piping)
    yield* Effect.repeat(Effect.yieldNow, { until: () => log.length > 1 })
    assert.deepStrictEqual(log, ["piped", "fill"])
  })
)

it.effect("MBX ticks neither take nor give back bytes of a bound", () =>
  Effect.gen(function* () {
    const mailbox = { bytes: 100, sizeOf: () => 50, overflow: "reject" } as const
    const { gate, ref } = yield* meter({ mailbox }, true)
    yield* TestClock.adjust(1_000)
    yield* ref.tell.Hold()
    yield* TestClock.adjust(10)
    for (let n = 0; n < 5; n++) yield* ref.tell.Fill()
    // Two messages and a tick.
    assert.strictEqual(ref.size, 3)
    yield* Deferred.succeed(gate, undefined)
  })
)

it.effect("TIME-05 a timer that never comes is none", () =>
  Effect.gen(function* () {
    const seen: Array<boolean> = []
    yield* Actor.spawn(
      Meter.behavior(
        Effect.gen(function* () {
          yield* Timers.once("a", 10, Effect.void)
          yield* Timers.once("a", Infinity, Effect.void)
          seen.push(yield* Timers.isActive("a"))
          return Meter.of({ Tick: () => {}, Fill: () => {}, Hold: () => {}, Piped: () => {}, Log: () => [] })
        })
      )
    )
    assert.deepStrictEqual(seen, [false])
  })
)

it.effect("TIME-06 work that ends after the actor starts no timer any more", () =>
  Effect.gen(function* () {
    const { timers } = yield* ActorSystem.ActorSystem
    const { heap } = timers as unknown as { readonly heap: ReadonlyArray<unknown> }
    const gate = yield* Deferred.make<void>()
    const over = yield* Deferred.make<void>()
    const starting = Effect.andThen(Deferred.await(gate), Timers.once("late", "1 hour", Effect.void))
    const ref = yield* Actor.spawn(
      Meter.behavior(
        Effect.sync(() =>
          Meter.of({
            Tick: () => Effect.uninterruptible(Effect.andThen(starting, Deferred.succeed(over, undefined))),
            Fill: () => {},
            Hold: () => {},
            Piped: () => {},
            Log: () => []
          })
        )
      )
    )
    yield* ref.tell.Tick()
    yield* Effect.yieldNow
    yield* Actor.kill(ref)
    yield* Deferred.succeed(gate, undefined)
    yield* Deferred.await(over)
    assert.strictEqual(heap.length, 0)
  }).pipe(Effect.provide(ActorSystem.layer()))
)

it.effect("TIME-03 a timer may start itself anew, or end itself, in its own tick", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const write = (line: string) => Effect.sync(() => void log.push(line))
    yield* Actor.spawn(
      Meter.behavior(
        Effect.gen(function* () {
          yield* Timers.fixedRate(
            "a",
            10,
            Effect.andThen(
              write("first"),
              Timers.fixedDelay("a", 20, Effect.andThen(write("second"), Timers.cancel("a")))
            )
          )
          return Meter.of({ Tick: () => {}, Fill: () => {}, Hold: () => {}, Piped: () => {}, Log: () => [] })
        })
      )
    )
    yield* TestClock.adjust(29)
    assert.deepStrictEqual(log, ["first"])
    yield* TestClock.adjust(100)
    assert.deepStrictEqual(log, ["first", "second"])
  })
)
