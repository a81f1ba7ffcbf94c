/** Dead letters that are read, sent once more, forgotten. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Schema } from "effect"
import { Actor, type ActorRef, ActorSystem, ExitReason, Supervisor } from "effect-otp"
import { stillAlive } from "../support/garbage.ts"
import { Recording } from "../support/recording.ts"

const letters = ActorSystem.deadLetters

it.effect("a letter to a stopped child is delivered once the child runs again, and leaves the list", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a")])
    yield* top.terminateChild("a")
    yield* r.ref("a").tell.Add({ n: 3 })
    const [letter] = yield* letters
    const error = yield* Effect.flip(ActorSystem.replay(letter!))
    assert.deepStrictEqual(error.reason, { _tag: "NotRunning", exit: ExitReason.Shutdown() })
    assert.strictEqual(
      error.message,
      "Add to top/a cannot be delivered: the actor is not running: it was asked to stop"
    )
    assert.deepStrictEqual(yield* letters, [letter!])
    yield* top.restartChild("a")
    yield* ActorSystem.replay(letter!)
    // Once, however often it is replayed.
    const again = yield* Effect.flip(ActorSystem.replay(letter!))
    assert.strictEqual(again.message, "Add to top/a cannot be delivered: it has been replayed already")
    assert.deepStrictEqual([yield* letters, yield* r.ref("a").ask.Add({ n: 0 })], [[], 3])
  }).pipe(Effect.provide(ActorSystem.layer()))
)

class Small extends Actor.Service<Small>()("test/Small", { Hold: {}, Say: { payload: { n: Schema.Int } } }) {}

it.effect("a full mailbox refuses it again, without a second letter; with room it is taken in order", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const heard: Array<number> = []
    const behavior = Small.behavior(
      Small.sync(() => Small.of({ Hold: () => Deferred.await(gate), Say: ({ n }) => void heard.push(n) })),
      { mailbox: { capacity: 1, overflow: "reject" } }
    )
    const small = yield* Actor.spawn(behavior)
    yield* small.tell.Hold()
    yield* Effect.yieldNow
    for (const n of [1, 2, 3]) yield* small.tell.Say({ n })
    const [two, three] = yield* letters
    const error = yield* Effect.flip(ActorSystem.replay(two!))
    assert.include(error.message, "its mailbox holds 1 messages, no room is left")
    assert.deepStrictEqual(yield* letters, [two!, three!])
    yield* Deferred.succeed(gate, undefined)
    while (heard.length < 1) yield* Effect.yieldNow
    yield* ActorSystem.replay(three!)
    while (heard.length < 2) yield* Effect.yieldNow
    yield* ActorSystem.replay(two!)
    while (heard.length < 3) yield* Effect.yieldNow
    assert.deepStrictEqual([heard, yield* letters], [[1, 3, 2], []])
  }).pipe(Effect.provide(ActorSystem.layer()))
)

it.effect("to an actor that nobody knows any more there is no way back; the letter does not keep it alive", () =>
  Effect.gen(function* () {
    const gone = yield* Effect.scoped(
      Effect.gen(function* () {
        const behavior = Small.behavior(Small.sync(() => Small.of({ Hold: () => {}, Say: () => {} })))
        const actor: ActorRef.ActorRef<Small> = yield* Actor.spawn(behavior)
        yield* Actor.stop(actor)
        yield* actor.tell.Say({ n: 1 })
        return new WeakRef<object>(actor)
      })
    )
    assert.strictEqual(yield* stillAlive([gone]), 0)
    const [letter] = yield* letters
    assert.strictEqual((yield* Effect.flip(ActorSystem.replay(letter!))).reason, "gone")
    yield* ActorSystem.clearDeadLetters
    assert.deepStrictEqual(yield* letters, [])
    const forged = { ...letter! }
    assert.include((yield* Effect.flip(ActorSystem.replay(forged))).message, "there is no such actor any more")
  }).pipe(Effect.provide(ActorSystem.layer()))
)

it.effect("the last 1,000 are kept, oldest first", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [r.child("a")] }))
    yield* top.terminateChild("a")
    for (let n = 0; n < 1_010; n++) yield* r.ref("a").tell.Add({ n })
    const kept = (yield* letters).map(({ payload }) => (payload as { readonly n: number }).n)
    assert.deepStrictEqual([kept.length, kept[0], kept[999]], [1_000, 10, 1_009])
  }).pipe(Effect.provide(ActorSystem.layer()))
)
