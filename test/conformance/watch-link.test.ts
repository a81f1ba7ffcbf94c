/** WATCH and LINK: being told of an end, and sharing it. */
import { assert, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Queue, Schema } from "effect"
import { Actor, ActorContext, ActorSystem, Backoff, type ExitReason, Link, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, quiet, Recording } from "../support/recording.ts"

/** What a watcher's or a linked actor's body does in its init. */
class Watcher extends Actor.Service<Watcher>()("test/Watcher", {
  Note: { payload: { text: Schema.String } },
  Hold: {},
  Crash: {},
  Incarnation: { success: Schema.Int }
}) {}

const notes = Effect.map(Queue.unbounded<string>(), (queue) => ({
  queue,
  write: (text: string) => Effect.asVoid(Queue.offer(queue, text)),
  take: Queue.take(queue)
}))
type Notes = Effect.Success<typeof notes>

const watcher = <R>(told: Notes, init: Effect.Effect<unknown, never, R>, gate: Effect.Effect<void> = Effect.void) =>
  Watcher.behavior(
    Effect.gen(function* () {
      yield* init
      const incarnation = yield* ActorContext.incarnation
      return Watcher.of({
        Note: ({ text }) => told.write(text),
        Hold: () => gate,
        Crash: () => Effect.die("crash"),
        Incarnation: () => incarnation
      })
    })
  )

const tag = (reason: ExitReason.ExitReason) => reason._tag

it.effect("WATCH-02 watching an ended actor tells at once, with its reason", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const a = yield* Actor.spawn(r.behavior("a"))
    yield* a.tell.End()
    yield* a.ended
    yield* Actor.spawn(
      watcher(
        told,
        Actor.watch(a, (reason) => told.write(tag(reason)))
      )
    )
    assert.strictEqual(yield* told.take, "Normal")
  })
)

it.effect("WATCH-03 all watchers are told once, inside actors and out", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const a = yield* Actor.spawn(r.behavior("a"))
    for (const n of [1, 2, 3])
      yield* Actor.spawn(
        watcher(
          told,
          Actor.watch(a, () => told.write(`watcher ${n}`))
        )
      )
    yield* Actor.stop(a)
    assert.deepStrictEqual(yield* Effect.all([told.take, told.take, told.take]), [
      "watcher 1",
      "watcher 2",
      "watcher 3"
    ])
    assert.strictEqual(yield* Queue.size(told.queue), 0)
    assert.deepStrictEqual([tag(yield* a.ended), tag(yield* a.ended)], ["Shutdown", "Shutdown"])
  })
)

it.effect("WATCH-05 unwatching between the end and its notice: nothing is told", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const gate = yield* Deferred.make<void>()
    const unwatches: Array<Effect.Effect<void>> = []
    const a = yield* Actor.spawn(r.behavior("a"))
    const init = Effect.map(
      Actor.watch(a, () => told.write("notice")),
      (unwatch) => unwatches.push(unwatch)
    )
    const b = yield* Actor.spawn(watcher(told, init, Deferred.await(gate)))
    yield* b.tell.Hold()
    yield* Effect.yieldNow
    yield* Actor.stop(a)
    assert.strictEqual(b.size, 1)
    yield* unwatches[0]!
    yield* Deferred.succeed(gate, undefined)
    yield* b.ask.Incarnation()
    yield* told.write("end")
    assert.strictEqual(yield* told.take, "end")
  })
)

it.effect("WATCH-06 a restart is no end", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    yield* r.start([r.child("a")], { intensity: { restarts: 2, within: "1 minute" } })
    const a = r.ref("a")
    yield* Actor.spawn(
      watcher(
        told,
        Actor.watch(a, (reason) => told.write(tag(reason)))
      )
    )
    for (const incarnation of [2, 3]) {
      yield* a.tell.Throw()
      assert.strictEqual(yield* a.ask.Ping(), incarnation)
    }
    assert.strictEqual(yield* Queue.size(told.queue), 0)
    yield* a.tell.Throw()
    assert.strictEqual(yield* told.take, "Failed")
    assert.strictEqual(yield* Queue.size(told.queue), 0)
  }).pipe(quiet)
)

it.effect("WATCH-08 a failure is told apart from a stop, with the very error", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const reasons = yield* Deferred.make<ExitReason.ExitReason>()
    const told = yield* notes
    const a = yield* Actor.spawn(r.behavior("a"))
    yield* Actor.spawn(
      watcher(
        told,
        Actor.watch(a, (reason) => Deferred.succeed(reasons, reason))
      )
    )
    yield* a.tell.Fail({ code: 3 })
    const reason = yield* Deferred.await(reasons)
    assert.deepStrictEqual(reason._tag === "Failed" && Cause.squash(reason.cause), new Broken({ code: 3 }))
  }).pipe(quiet)
)

it.effect("WATCH-09 a notice in the watcher's own words", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const a = yield* Actor.spawn(r.behavior("a"))
    const init = Effect.gen(function* () {
      const self = yield* Watcher.self
      yield* Actor.watch(a, () => self.tell.Note({ text: "a has gone" }))
    })
    yield* Actor.spawn(watcher(told, init))
    yield* Actor.stop(a)
    assert.strictEqual(yield* told.take, "a has gone")
  })
)

it.effect("WATCH-11 without a callback it is a death pact", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const a = yield* Actor.spawn(r.behavior("a"))
    const b = yield* Actor.spawn(watcher(told, Actor.watch(a)))
    yield* Actor.stop(a)
    const reason = yield* b.ended
    const pact = reason._tag === "Failed" ? (Cause.squash(reason.cause) as Actor.DeathPact) : undefined
    assert.deepStrictEqual([pact?._tag, pact?.actor], ["DeathPact", a.path])
    assert.include(pact!.message, `${a.path}, which this actor cannot live without, was asked to stop`)
  }).pipe(quiet)
)

it.effect("WATCH-12 what was sent before the end arrives before the notice", () =>
  Effect.gen(function* () {
    class Sender extends Actor.Service<Sender>()("test/Sender", { Go: {} }) {}
    const told = yield* notes
    const b = yield* Actor.spawn(watcher(told, Effect.void))
    const sender = yield* Actor.spawn(
      Sender.behavior(
        Effect.succeed(
          Sender.of({
            *Go() {
              for (const text of ["1", "2", "3"]) yield* b.tell.Note({ text })
              yield* ActorContext.stop
            }
          })
        )
      )
    )
    const c = yield* Actor.spawn(
      watcher(
        told,
        Actor.watch(sender, () => b.tell.Note({ text: "notice" }))
      )
    )
    yield* sender.tell.Go()
    yield* sender.ended
    yield* c.ask.Incarnation()
    assert.deepStrictEqual(yield* Effect.all([told.take, told.take, told.take, told.take]), ["1", "2", "3", "notice"])
  })
)

it.effect("WATCH-14 a restart keeps outside watches", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const x = yield* Actor.spawn(r.behavior("x"))
    const init = Effect.gen(function* () {
      const incarnation = yield* ActorContext.incarnation
      if (incarnation === 1) yield* Actor.watch(x, (reason) => told.write(`told ${reason._tag}`))
    })
    const backoff = Backoff.exponential({ min: "1 second", max: "1 second" })
    const top = yield* Supervisor.start(
      Supervisor.make("top", { children: [Supervisor.child(watcher(told, init), { backoff })] })
    )
    const a = yield* Effect.provideContext(Watcher, top.services)
    yield* a.tell.Crash()
    while (a.status !== "restarting") yield* Effect.yieldNow
    yield* Actor.stop(x)
    assert.strictEqual(yield* Queue.size(told.queue), 0)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* told.take, "told Shutdown")
    assert.strictEqual(yield* a.ask.Incarnation(), 2)
  }).pipe(quiet)
)

it.effect("WATCH-15 watches cost nothing after the watcher has ended", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const watched: Array<Effect.Success<ReturnType<typeof spawnChild>>> = []
    const spawnChild = (n: number) => Actor.spawn(r.behavior(`w${n}`))
    for (let n = 0; n < 1_000; n++) watched.push(yield* spawnChild(n))
    const b = yield* Actor.spawn(
      watcher(
        told,
        Effect.forEach(watched, (ref) => Actor.watch(ref, () => told.write("notice")), { discard: true })
      )
    )
    yield* Actor.stop(b)
    for (const ref of watched) yield* Actor.stop(ref)
    assert.strictEqual(yield* Queue.size(told.queue), 0)
    assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
  })
)

it.effect("LINK-02 a crash takes the linked peer along, a normal end does not", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const quietly = yield* Actor.spawn(r.behavior("quietly"))
    const a = yield* Actor.spawn(r.behavior("a"))
    const b = yield* Actor.spawn(watcher(told, Effect.andThen(Link.link(quietly), Link.link(a))))
    yield* quietly.tell.End()
    yield* quietly.ended
    assert.strictEqual(yield* b.ask.Incarnation(), 1)
    yield* a.tell.Fail({ code: 1 })
    const reason = yield* b.ended
    const broken = reason._tag === "Failed" ? (Cause.squash(reason.cause) as Link.LinkBroken) : undefined
    assert.deepStrictEqual([broken?._tag, broken?.actor], ["LinkBroken", a.path])
    const theirs = broken!.reason as ExitReason.ExitReason
    assert.deepStrictEqual(theirs._tag === "Failed" && Cause.squash(theirs.cause), new Broken({ code: 1 }))
  }).pipe(quiet)
)

it.effect("LINK-03 trapping turns it into one message", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const a = yield* Actor.spawn(r.behavior("a"))
    const trap = Link.trap(({ path, reason }) => told.write(`${path} ${reason._tag}`))
    const b = yield* Actor.spawn(watcher(told, Effect.andThen(trap, Link.link(a))))
    yield* a.tell.Throw()
    assert.strictEqual(yield* told.take, `${a.path} Failed`)
    assert.strictEqual(yield* b.ask.Incarnation(), 1)
    assert.strictEqual(yield* Queue.size(told.queue), 0)
  }).pipe(quiet)
)

it.effect("LINK-05 linking to an ended actor signals at once", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const a = yield* Actor.spawn(r.behavior("a"))
    yield* Actor.kill(a)
    const trap = Link.trap(({ reason }) => told.write(reason._tag))
    yield* Actor.spawn(watcher(told, Effect.andThen(trap, Link.link(a))))
    assert.strictEqual(yield* told.take, "Killed")
    const self = yield* Actor.spawn(watcher(told, Effect.void))
    const linking = yield* Actor.spawn(watcher(told, Actor.continueWith(Link.link(a))))
    assert.strictEqual((yield* linking.ended)._tag, "Failed")
    assert.strictEqual(yield* self.ask.Incarnation(), 1)
  }).pipe(quiet)
)

it.effect("LINK-06 after unlinking nothing is heard", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const a = yield* Actor.spawn(r.behavior("a"))
    const b = yield* Actor.spawn(watcher(told, Effect.andThen(Link.link(a), Link.unlink(a))))
    yield* a.tell.Throw()
    yield* a.ended
    assert.strictEqual(yield* b.ask.Incarnation(), 1)
  }).pipe(quiet)
)

it.effect("LINK-08 a link to a supervisor hears of its end, not of its children's", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const top = yield* r.start([r.child("a", { restart: "temporary" })])
    const trap = Link.trap(({ path, reason }) => told.write(`${path} ${reason._tag}`))
    const b = yield* Actor.spawn(watcher(told, Effect.andThen(trap, Link.link(top))))
    yield* r.ref("a").tell.Throw()
    yield* r.ref("a").ended
    yield* b.ask.Incarnation()
    assert.strictEqual(yield* Queue.size(told.queue), 0)
    yield* top.stop
    assert.strictEqual(yield* told.take, "top Shutdown")
    assert.strictEqual(yield* Queue.size(told.queue), 0)
  }).pipe(quiet)
)

it.effect("LINK-09 linking twice is one link", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const told = yield* notes
    const a = yield* Actor.spawn(r.behavior("a"))
    const trap = Link.trap(() => told.write("signal"))
    const links = Effect.andThen(Link.link(a), Link.link(a))
    const b = yield* Actor.spawn(watcher(told, Effect.andThen(trap, links)))
    yield* a.tell.Throw()
    assert.strictEqual(yield* told.take, "signal")
    yield* b.ask.Incarnation()
    assert.strictEqual(yield* Queue.size(told.queue), 0)
  }).pipe(quiet)
)
