/** Machines that answer with streams: at once, when the state has changed, later. */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Queue, Schema, Stream } from "effect"
import {
  Actor,
  type ActorRef,
  ActorSystem,
  type Behavior,
  Control,
  Interceptor,
  StateMachine,
  Supervisor
} from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"

class NoSignal extends Schema.TaggedError<NoSignal>()("NoSignal", {}) {}

/** Off, it has whoever wants to watch wait; broken, it tells them so. */
class Feed extends StateMachine.Service<Feed>()("test/Feed", {
  states: {
    Off: {},
    On: { from: Schema.Int },
    Asked: {},
    Broken: {}
  },
  events: {
    Watch: { success: Schema.Int, error: NoSignal, stream: true },
    Turn: { payload: { from: Schema.Int } },
    Ask: {},
    Break: {},
    Crash: {}
  },
  transitions: {
    Off: { Turn: "On", Ask: "Asked", Break: "Broken" },
    On: {},
    Asked: { Turn: "On" },
    Broken: { Turn: "Off" }
  }
}) {}

const { to } = Feed
type Viewer = StateMachine.Request<Stream.Stream<number, NoSignal>, NoSignal>
let viewer: Viewer | undefined

const feedOf = (on: object = {}) =>
  Feed.of({
    initial: to.Off(),
    on: {
      Off: {
        Watch: Feed.postpone,
        Turn: ({ from }) => to.On({ from }),
        Ask: to.Asked(),
        Break: to.Broken()
      },
      On: { Watch: (_, { from }) => Feed.reply(Stream.range(from, from + 2)), ...on },
      Asked: {
        Watch: (_, __, { request }) => {
          viewer = request
          return Feed.stay
        },
        Turn: ({ from }) => [Feed.replyTo(viewer!, Stream.make(from, from)), to.On({ from })]
      },
      Broken: { Watch: Feed.fail(new NoSignal()), Turn: to.Off() }
    },
    any: {
      Crash: () => {
        throw new Error("crash")
      }
    }
  })

const behaviorOf = (on?: object) => Feed.behavior(feedOf(on)) as Behavior.Behavior<Feed, void, unknown, never>

const watch = (feed: ActorRef.ActorRef<Feed>) =>
  Effect.forkChild(Effect.exit(Stream.runCollect(feed.stream.Watch())), { startImmediately: true })

const failureOf = (exit: Exit.Exit<unknown, unknown>) => {
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  return (error as { readonly reason?: { readonly _tag: string } } | undefined)?.reason?._tag ?? error
}

it.effect("a stream is the answer: at once, and once the state has changed", () =>
  Effect.gen(function* () {
    const feed = yield* Actor.spawn(behaviorOf())
    const waiting = yield* watch(feed)
    yield* Effect.yieldNow
    assert.deepStrictEqual((yield* Control.status(feed)).postponed, ["Watch"])
    yield* feed.ask.Turn({ from: 5 })
    assert.deepStrictEqual(yield* Fiber.join(waiting), Exit.succeed([5, 6, 7]))
    assert.deepStrictEqual(yield* Stream.runCollect(feed.stream.Watch()), [5, 6, 7])
  })
)

it.effect("a request for a stream is kept, and answered later", () =>
  Effect.gen(function* () {
    const feed = yield* Actor.spawn(behaviorOf())
    yield* feed.ask.Ask()
    const waiting = yield* watch(feed)
    yield* Effect.yieldNow
    assert.isUndefined(waiting.pollUnsafe())
    yield* feed.ask.Turn({ from: 4 })
    assert.deepStrictEqual(yield* Fiber.join(waiting), Exit.succeed([4, 4]))
  })
)

it.effect("a machine that somebody waits for a stream of is not idle", () =>
  Effect.gen(function* () {
    const behavior = Feed.behavior(feedOf(), { idle: { after: "1 second" } })
    for (const ask of [false, true]) {
      const feed = yield* Actor.spawn(behavior as Behavior.Behavior<Feed, void, unknown, never>)
      if (ask) yield* feed.ask.Ask()
      const waiting = yield* watch(feed)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(feed.status, "running")
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(feed.status, "stopped")
    }
  })
)

it.effect("a declared error is the answer, and the machine goes on", () =>
  Effect.gen(function* () {
    const feed = yield* Actor.spawn(behaviorOf())
    yield* feed.ask.Break()
    assert.deepStrictEqual(failureOf(yield* Fiber.join(yield* watch(feed))), new NoSignal())
    const failing = yield* Actor.spawn(behaviorOf({ Watch: Feed.reply(Stream.fail(new NoSignal())) }))
    yield* failing.ask.Turn({ from: 1 })
    assert.deepStrictEqual(failureOf(yield* Fiber.join(yield* watch(failing))), new NoSignal())
    assert.deepStrictEqual([feed.status, failing.status], ["running", "running"])
  })
)

it.effect("after a crash who was put off is served by the next run; who was kept waiting is told", () =>
  Effect.gen(function* () {
    const tree = Supervisor.make("app", { children: [behaviorOf()], intensity: { restarts: 9, within: "1 minute" } })
    const { services } = yield* Supervisor.start(tree)
    const feed = Context.get(services, Feed)
    const postponed = yield* watch(feed)
    yield* Effect.exit(feed.ask.Crash())
    yield* feed.ask.Turn({ from: 1 })
    assert.deepStrictEqual(yield* Fiber.join(postponed), Exit.succeed([1, 2, 3]))
    yield* Effect.exit(feed.ask.Crash())
    yield* feed.ask.Ask()
    const kept = yield* watch(feed)
    yield* Effect.exit(feed.ask.Crash())
    assert.strictEqual(failureOf(yield* Fiber.join(kept)), "Restarting")
    const left = yield* watch(feed)
    yield* Effect.yieldNow
    yield* Actor.kill(feed)
    yield* feed.ask.Turn({ from: 1 })
    assert.deepStrictEqual(yield* Fiber.join(left), Exit.succeed([1, 2, 3]))
  }).pipe(quiet)
)

it.effect("where the machine ends, whoever waits for a stream is told; nothing is a dead letter", () =>
  Effect.gen(function* () {
    const feed = yield* Actor.spawn(behaviorOf())
    const waiting = yield* watch(feed)
    yield* Effect.yieldNow
    yield* Actor.stop(feed)
    assert.strictEqual(failureOf(yield* Fiber.join(waiting)), "NotRunning")
    assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
  }).pipe(Effect.provide(ActorSystem.layer()))
)

it.effect("who no longer waits for a stream is not served", () =>
  Effect.gen(function* () {
    let served = 0
    const serves = () => {
      served++
      return Feed.reply(Stream.never)
    }
    const feed = yield* Actor.spawn(behaviorOf({ Watch: serves }))
    yield* Fiber.interrupt(yield* watch(feed))
    const postponed = yield* watch(feed)
    yield* Effect.repeat(Control.status(feed), { until: ({ postponed }) => postponed.length > 0 })
    yield* Fiber.interrupt(postponed)
    yield* feed.ask.Turn({ from: 1 })
    assert.strictEqual(served, 0)
    const watching = yield* watch(feed)
    yield* Effect.repeat(Effect.yieldNow, { until: () => served > 0 })
    yield* Fiber.interrupt(watching)
    yield* feed.ask.Turn({ from: 2 }).pipe(Effect.exit)
    assert.deepStrictEqual([served, feed.status], [1, "running"])
  })
)

it.effect("a stream runs beside the events, and its crash is that of the machine", () =>
  Effect.gen(function* () {
    const queue = yield* Queue.unbounded<number>()
    const feed = yield* Actor.spawn(behaviorOf({ Watch: Feed.reply(Stream.fromQueue(queue)) }))
    yield* feed.ask.Turn({ from: 1 })
    const waiting = yield* watch(feed)
    yield* Queue.offer(queue, 1)
    assert.strictEqual(failureOf(yield* Effect.exit(feed.ask.Ask())), "HandlerFailed")
    yield* Queue.failCause(queue as never, Cause.die("no film"))
    assert.strictEqual(failureOf(yield* Fiber.join(waiting)), "HandlerFailed")
    assert.strictEqual((yield* feed.ended)._tag, "Failed")
  }).pipe(quiet)
)

it.effect("what is no stream is a crash that says so", () =>
  Effect.gen(function* () {
    const feed = yield* Actor.spawn(behaviorOf({ Watch: Feed.reply(3 as never) }))
    yield* feed.ask.Turn({ from: 1 })
    assert.strictEqual(failureOf(yield* Fiber.join(yield* watch(feed))), "HandlerFailed")
    const ended = yield* feed.ended
    assert.match(
      ended._tag === "Failed" ? String(Cause.squash(ended.cause)) : "",
      /must answer Watch with a stream, got 3/
    )
  }).pipe(quiet)
)

it.effect("interceptors cannot be around a machine's stream at the handler's side, and say so at the start", () =>
  Effect.gen(function* () {
    const Slow = Interceptor.make({ handleStream: (next) => next })
    const exit = yield* Effect.exit(Actor.spawn(behaviorOf().pipe(Interceptor.apply(Slow))))
    assert.match(String(failureOf(exit)), /Watch is answered by a machine, so no interceptor/)
    const Fine = Interceptor.make({ handle: (next) => next })
    const feed = yield* Actor.spawn(behaviorOf().pipe(Interceptor.apply(Fine)))
    yield* feed.ask.Turn({ from: 1 })
    assert.deepStrictEqual(yield* Stream.runCollect(feed.stream.Watch()), [1, 2, 3])
  })
)

it("in a test the stream is the answer", () => {
  const stepping = StateMachine.test(feedOf())
  const sent = stepping.send(Feed.event.Watch())
  const before = sent.reply
  stepping.send(Feed.event.Turn({ from: 1 }))
  const after = sent.reply
  assert.isUndefined(before)
  assert.isTrue(after !== undefined && Exit.isSuccess(after) && Stream.isStream(after.value))
})

it.effect("a stream of nothing in particular is answered with a stream, too, and not by being handled", () =>
  Effect.gen(function* () {
    class Pulse extends StateMachine.Service<Pulse>()("test/Pulse", {
      states: { Still: {} },
      events: { Beats: { stream: true }, Go: {} },
      transitions: {}
    }) {}
    let asked: StateMachine.Request<Stream.Stream<void>> | undefined
    const pulse = yield* Actor.spawn(
      Pulse.behavior(
        Pulse.of({
          initial: Pulse.to.Still(),
          on: {
            Still: {
              Beats: (_, __, { request }) => {
                asked = request
                return Pulse.stay
              },
              Go: () => Pulse.replyTo(asked!, Stream.make(undefined, undefined))
            }
          }
        })
      )
    )
    const beats = yield* Effect.forkChild(Stream.runCount(pulse.stream.Beats()), { startImmediately: true })
    yield* Effect.repeat(Effect.yieldNow, { until: () => asked !== undefined })
    yield* pulse.ask.Go()
    assert.strictEqual(yield* Fiber.join(beats), 2)
  })
)
