/** What an effect finds in its context that was given to an actor for later: the turn and the run that it is in then. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Schema, Scope } from "effect"
import { Actor, ActorContext, Link, Supervisor, Timers } from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"

class Later extends Actor.Service<Later>()("test/Later", {
  Go: {},
  Beside: {},
  Crash: {},
  Seen: { success: Schema.Array(Schema.String) }
}) {}
class Other extends Actor.Service<Other>()("test/Other", {}) {}

const other = Actor.spawn(Other.behavior(Effect.succeed(Other.of({}))))

it.effect(
  "no message is at hand in what was to be done later; the effect that is waited for has that of its maker",
  () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const note = (what: string) => Effect.map(ActorContext.message, ({ tag }) => void seen.push(`${what}:${tag}`))
      const ending = yield* other
      const later = yield* Actor.spawn(
        Later.behavior(
          Effect.gen(function* () {
            yield* Actor.pipeToSelf(Effect.void, () => note("init"))
            yield* Actor.continueWith(note("next"))
            yield* Link.trap(() => note("trap"))
            return Later.of({
              Go: () =>
                Effect.gen(function* () {
                  yield* Actor.pipeToSelf(Effect.andThen(note("during"), Effect.sleep(10)), () => note("after"))
                  yield* Actor.continueWith(note("next"))
                  yield* Actor.watch(ending, () => note("watch"))
                  yield* Link.link(ending)
                  yield* Timers.once("a", 10, note("timer"))
                }),
              Beside: Actor.concurrent(() =>
                Effect.andThen(
                  Actor.continueWith(note("next")),
                  Actor.pipeToSelf(Effect.void, () => note("after"))
                )
              ),
              Crash: () => Effect.die("crash"),
              Seen: () => seen
            })
          })
        )
      )
      assert.deepStrictEqual(yield* later.ask.Seen(), ["next:", "init:"])
      seen.length = 0
      yield* later.ask.Go()
      yield* Actor.stop(ending)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual([...(yield* later.ask.Seen())].sort(), [
        "after:",
        "during:Go",
        "next:",
        "timer:",
        "trap:",
        "watch:"
      ])
      seen.length = 0
      yield* later.ask.Beside()
      assert.deepStrictEqual(yield* later.ask.Seen(), ["next:", "after:"])
    })
)

it.effect("a watch that has outlived a restart runs in the present run: its number, its Scope, its timers", () =>
  Effect.gen(function* () {
    const ending = yield* other
    const seen: Array<unknown> = []
    const notice = Effect.gen(function* () {
      seen.push(yield* ActorContext.incarnation)
      yield* Timers.once(
        "a",
        10,
        Effect.sync(() => void seen.push("timer"))
      )
      seen.push((yield* other).status)
      yield* Effect.addFinalizer(() => Effect.sync(() => void seen.push("released")))
    })
    const behavior = Later.behavior(
      Effect.gen(function* () {
        if ((yield* ActorContext.incarnation) === 1) yield* Actor.watch(ending, () => notice)
        return Later.of({ Go: () => {}, Beside: () => {}, Crash: () => Effect.die("crash"), Seen: () => [] })
      })
    )
    const app = yield* Supervisor.start(Supervisor.make("app", { children: [behavior] }))
    const later = Context.get(app.services, Later)
    yield* later.tell.Crash()
    yield* later.ask.Go()
    yield* Actor.stop(ending)
    yield* TestClock.adjust(10)
    assert.deepStrictEqual(seen, [2, "running", "timer"])
    yield* app.stop
    assert.deepStrictEqual(seen, [2, "running", "timer", "released"])
  }).pipe(quiet)
)

it.effect("a Scope that somebody else gave is the one that counts", () =>
  Effect.gen(function* () {
    const theirs = yield* Scope.make()
    const found: Array<boolean> = []
    const look = Effect.map(Effect.scope, (scope) => void found.push(scope === theirs))
    const later = yield* Actor.spawn(
      Later.behavior(
        Effect.as(
          Scope.provide(Actor.continueWith(look), theirs),
          Later.of({ Go: () => {}, Beside: () => {}, Crash: () => {}, Seen: () => [] })
        )
      )
    )
    yield* later.ask.Go()
    assert.deepStrictEqual(found, [true])
  })
)
