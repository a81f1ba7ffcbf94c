/** Actors that are busy with one message for too long. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Schema } from "effect"
import { Actor, ActorSystem, type SystemEvent } from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"

class Slow extends Actor.Service<Slow>()("test/Slow", {
  Wait: {},
  /** Waits for the gate in a turn of its own, nine seconds later. */
  Later: {},
  Quick: { success: Schema.Int }
}) {}

const started = Effect.gen(function* () {
  const gate = yield* Deferred.make<void>()
  const events: Array<SystemEvent.SystemEvent> = []
  yield* ActorSystem.onEvent((event) => {
    if (event._tag === "HandlerStuck") events.push(event)
  })
  const behavior = Slow.behavior(
    Slow.sync(() =>
      Slow.of({
        Wait: () => Deferred.await(gate),
        Later: () => Actor.pipeToSelf(Effect.sleep("9 seconds"), () => Deferred.await(gate)),
        Quick: () => 1
      })
    ),
    {
      stuckAfter: "10 seconds"
    }
  )
  return { events, gate, slow: yield* Actor.spawn(behavior) }
})

const settled = Effect.repeat(Effect.yieldNow, { times: 20 })

it.effect("one that is busy for longer than it may is told of once, and listed while it is", () =>
  Effect.gen(function* () {
    const { events, gate, slow } = yield* started
    yield* slow.tell.Wait()
    yield* TestClock.adjust("9 seconds")
    assert.deepStrictEqual([events, yield* ActorSystem.stuck], [[], []])
    yield* TestClock.adjust("1 second")
    const told = { _tag: "HandlerStuck", path: slow.path, tag: "Wait", millis: 10_000 } as const
    assert.deepStrictEqual(events, [told])
    yield* TestClock.adjust("50 seconds")
    assert.deepStrictEqual(events, [told])
    assert.deepStrictEqual(yield* ActorSystem.stuck, [{ path: slow.path, tag: "Wait", millis: 60_000 }])
    yield* Deferred.succeed(gate, undefined)
    yield* settled
    assert.deepStrictEqual(yield* ActorSystem.stuck, [])
  }).pipe(quiet, Effect.provide(ActorSystem.layer()))
)

it.effect("each message has its own time, however many there were before", () =>
  Effect.gen(function* () {
    const { events, gate, slow } = yield* started
    for (let i = 0; i < 5; i++) {
      yield* slow.ask.Quick()
      yield* TestClock.adjust("4 seconds")
    }
    yield* slow.tell.Wait()
    yield* TestClock.adjust("9 seconds")
    assert.deepStrictEqual(events, [])
    yield* TestClock.adjust("1 second")
    assert.strictEqual(events.length, 1)
    yield* Deferred.succeed(gate, undefined)
  }).pipe(quiet, Effect.provide(ActorSystem.layer()))
)

it.effect("work of its own that comes later is not the message before it", () =>
  Effect.gen(function* () {
    const { events, gate, slow } = yield* started
    yield* slow.tell.Later()
    yield* settled
    yield* TestClock.adjust("9 seconds")
    yield* TestClock.adjust("6 seconds")
    assert.deepStrictEqual([events, yield* ActorSystem.stuck], [[], []])
    yield* Deferred.succeed(gate, undefined)
  }).pipe(quiet, Effect.provide(ActorSystem.layer()))
)

it.effect("nothing of the watch is left when the actor has ended", () =>
  Effect.gen(function* () {
    const { events, slow } = yield* started
    yield* slow.tell.Wait()
    yield* settled
    yield* Actor.kill(slow)
    yield* TestClock.adjust("1 hour")
    assert.deepStrictEqual([events, yield* ActorSystem.stuck], [[], []])
  }).pipe(quiet, Effect.provide(ActorSystem.layer()))
)

it.live("code that does not yield is told of when it is over", () =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    yield* ActorSystem.onEvent((event) => {
      if (event._tag === "HandlerStuck") seen.push(event.tag)
    })
    const blocking = Slow.behavior(
      Slow.sync(() =>
        Slow.of({
          Wait: () => {
            const until = performance.now() + 5
            while (performance.now() < until);
          },
          Later: () => {},
          Quick: () => 1
        })
      ),
      { stuckAfter: "2 millis" }
    )
    const slow = yield* Actor.spawn(blocking)
    yield* slow.tell.Wait()
    yield* slow.ask.Quick()
    assert.deepStrictEqual(seen, ["Wait"])
  }).pipe(quiet, Effect.provide(ActorSystem.layer()), Effect.scoped)
)

it("a limit must be a duration above 0", () => {
  const write = () =>
    Slow.behavior(
      Slow.sync(() => Slow.of({ Wait: () => {}, Later: () => {}, Quick: () => 1 })),
      { stuckAfter: 0 }
    )
  assert.throws(write, /stuckAfter must be a duration above 0/)
})
