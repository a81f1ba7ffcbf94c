/** Links where it is awkward: the other has ended, is a supervisor, ends while this one starts, is one of thousands. */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, type Exit, Fiber, Schema } from "effect"
import { Actor, ActorContext, type ExitReason, Link, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"

class Peer extends Actor.Service<Peer>()("test/Peer", {
  Do: { payload: { what: Schema.Unknown } },
  Run: { success: Schema.Int }
}) {}

type Init = Effect.Effect<unknown, never, ActorContext.ActorContext>

const peer = (init: Init = Effect.void) =>
  Peer.behavior(
    Effect.as(init, Peer.of({ Do: ({ what }) => what as Effect.Effect<void>, Run: () => ActorContext.incarnation }))
  )

/** An actor that has ended in each way there is. */
const ended = {
  Normal: Effect.tap(Actor.spawn(peer()), Actor.drain),
  Shutdown: Effect.tap(Actor.spawn(peer()), (ref) => Actor.stop(ref)),
  Killed: Effect.tap(Actor.spawn(peer()), Actor.kill),
  Failed: Effect.tap(Actor.spawn(peer()), (ref) => Effect.exit(ref.ask.Do({ what: Effect.die("crash") })))
}

const brokenOf = (reason: ExitReason.ExitReason): Link.LinkBroken =>
  Cause.squash((reason as ExitReason.Failed).cause) as Link.LinkBroken

const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Cause.squash((exit as Exit.Failure<unknown, unknown>).cause)

for (const [how, spawnEnded] of Object.entries(ended)) {
  it.effect(`LINK-05 there is nothing to link to: it crashes, though the other has ended by ${how}`, () =>
    Effect.gen(function* () {
      const other = yield* spawnEnded
      const mine = yield* Actor.spawn(peer())
      yield* Effect.exit(mine.ask.Do({ what: Link.link(other) }))
      const broken = brokenOf(yield* mine.ended)
      assert.deepStrictEqual(
        [broken._tag, broken.actor, (broken.reason as { readonly _tag: string })._tag],
        ["LinkBroken", other.path, how]
      )
      const starting = yield* Effect.exit(Actor.spawn(peer(Link.link(other))))
      assert.propertyVal(failureOf(starting), "_tag", "LinkBroken")
      const told: Array<string> = []
      const trapping = yield* Actor.spawn(
        peer(
          Effect.andThen(
            Link.trap(({ reason }) => void told.push(reason._tag)),
            Link.link(other)
          )
        )
      )
      yield* trapping.ask.Run()
      assert.deepStrictEqual(told, [how])
    }).pipe(quiet)
  )
}

it.effect("LINK-05 a linked actor that ends while this one starts ends the start, at once and once", () =>
  Effect.gen(function* () {
    for (const wait of [Effect.void, Effect.never]) {
      const other = yield* Actor.spawn(peer())
      const init = Effect.gen(function* () {
        yield* Link.link(other)
        yield* Actor.kill(other)
        yield* wait
      })
      const spawned = yield* Effect.exit(Actor.spawn(peer(init)))
      assert.propertyVal(failureOf(spawned), "_tag", "LinkBroken")
    }
    const other = yield* Actor.spawn(peer())
    let decisions = 0
    const onFailure = (): "resume" => {
      decisions++
      return "resume"
    }
    const child = Supervisor.child(peer(Effect.andThen(Link.link(other), Effect.never)), { onFailure })
    const starting = Supervisor.start(Supervisor.make("top", { children: [child] }))
    const fiber = yield* Effect.forkChild(Effect.exit(starting), { startImmediately: true })
    yield* Effect.yieldNow
    yield* Actor.kill(other)
    const error = failureOf(yield* Fiber.join(fiber)) as Supervisor.StartFailed<never>
    assert.deepStrictEqual([error._tag, decisions], ["StartFailed", 0])
    assert.match(String(Cause.squash(error.cause)), /LinkBroken|was linked/)
  }).pipe(quiet)
)

it.effect("LINK-06 after unlinking nothing is told, not even what was on its way", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const told: Array<string> = []
    const [a, b] = [yield* Actor.spawn(peer()), yield* Actor.spawn(peer())]
    const init = Effect.andThen(
      Link.trap(({ path }) => void told.push(path)),
      Effect.andThen(Link.link(a), Link.link(b))
    )
    const mine = yield* Actor.spawn(peer(init))
    const busy = yield* Effect.forkChild(mine.ask.Do({ what: Effect.andThen(Deferred.await(gate), Link.unlink(a)) }))
    yield* Effect.yieldNow
    yield* Effect.andThen(Actor.kill(a), Actor.kill(b))
    assert.strictEqual(mine.size, 2)
    yield* Deferred.succeed(gate, undefined)
    yield* Fiber.join(busy)
    yield* mine.ask.Run()
    assert.deepStrictEqual(told, [b.path])
  })
)

it.effect("LINK-03 what a run was about to be told is not told to the next", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const told: Array<number> = []
    const other = yield* Actor.spawn(peer())
    const init = Effect.gen(function* () {
      const run = yield* ActorContext.incarnation
      yield* Link.trap(() => void told.push(run))
      if (run === 1) yield* Link.link(other)
    })
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [peer(init)] }))
    const mine = Context.get(top.services, Peer)
    const crash = Effect.andThen(Deferred.await(gate), Effect.die("crash"))
    const crashing = yield* Effect.forkChild(Effect.exit(mine.ask.Do({ what: crash })), { startImmediately: true })
    yield* Effect.yieldNow
    yield* Actor.kill(other)
    assert.strictEqual(mine.size, 1)
    yield* Deferred.succeed(gate, undefined)
    yield* Fiber.join(crashing)
    assert.strictEqual(yield* mine.ask.Run(), 2)
    assert.deepStrictEqual(told, [])
  }).pipe(quiet)
)

it.effect("LINK-09 linking to oneself is nothing", () =>
  Effect.gen(function* () {
    const mine = yield* Actor.spawn(peer(Effect.flatMap(Peer.self, Link.link)))
    yield* Effect.exit(mine.ask.Do({ what: Effect.die("crash") }))
    const reason = yield* mine.ended
    assert.strictEqual(reason._tag === "Failed" ? Cause.squash(reason.cause) : undefined, "crash")
  }).pipe(quiet)
)

it.effect("LINK-08 R33 a child that is linked to its supervisor crashes: the supervisor goes on", () =>
  Effect.gen(function* () {
    for (const end of [Effect.die("crash"), ActorContext.stopWith({ _tag: "Shutdown", info: "enough" })]) {
      const top = yield* Supervisor.start(
        Supervisor.make("top", { children: [peer()], intensity: { restarts: 3, within: "1 minute" } })
      )
      const child = Context.get(top.services, Peer)
      yield* Effect.exit(child.ask.Do({ what: Effect.andThen(Link.link(top), end) }))
      assert.strictEqual(yield* child.ask.Run(), 2)
      // The other way round it is a link as any other.
      const mine = yield* Actor.spawn(peer(Link.link(top)))
      yield* top.stop
      assert.strictEqual((yield* mine.ended)._tag, "Shutdown")
    }
  }).pipe(quiet)
)

it.effect("a chain of many links ends, one after the other, without growing the stack", () =>
  Effect.gen(function* () {
    const first = yield* Actor.spawn(peer())
    let last = first
    for (let n = 0; n < 20_000; n++) last = yield* Actor.spawn(peer(Link.link(last)))
    yield* Actor.stop(first)
    assert.strictEqual((yield* last.ended)._tag, "Shutdown")
  })
)

it.effect("a linked peer that is restarted is another: the link was to the run that ended", () =>
  Effect.gen(function* () {
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [peer()] }))
    const other = Context.get(top.services, Peer)
    const told: Array<string> = []
    const mine = yield* Actor.spawn(
      peer(
        Effect.andThen(
          Link.trap(({ reason }) => void told.push(reason._tag)),
          Link.link(other)
        )
      )
    )
    for (let n = 0; n < 2; n++) {
      yield* Effect.exit(other.ask.Do({ what: Effect.die("crash") }))
      assert.strictEqual(yield* other.ask.Run(), 2 + n)
      yield* TestClock.adjust("10 seconds")
    }
    yield* mine.ask.Run()
    assert.deepStrictEqual(told, ["Failed"])
  }).pipe(quiet)
)
