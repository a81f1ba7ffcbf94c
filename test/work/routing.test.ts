/** Routing: order, bounds and what is kept count of where members come and go, crash, and wait. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Latch, Schema, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorRef, ActorSystem, type Behavior, Pool, Router, Stash } from "effect-otp"
import { slotOf } from "../../src/actor/ActorRef.ts"

class Job extends Actor.Service<Job>()("test/Job", {
  Do: { payload: { n: Schema.Int, key: Schema.optionalKey(Schema.String) }, success: Schema.Int },
  Note: { payload: { n: Schema.Int, key: Schema.optionalKey(Schema.String) } },
  Hold: { payload: { n: Schema.Int, key: Schema.optionalKey(Schema.String) }, success: Schema.Int },
  Crash: { payload: { n: Schema.Int, key: Schema.optionalKey(Schema.String) }, success: Schema.Int },
  Later: { payload: { n: Schema.Int }, success: Schema.Int },
  Pass: { payload: { n: Schema.Int }, success: Schema.Int },
  Count: { payload: { n: Schema.Int }, success: Schema.Int, stream: true }
}) {}

type Ref = ActorRef.ActorRef<Job>

const quick = { restarts: 1_000, within: "1 second" } as const

const settle = Effect.gen(function* () {
  for (let i = 0; i < 40; i++) yield* Effect.yieldNow
})

/** Members that say what they did and in which order; `Hold` and `Crash` wait until they are let go. */
const making = (mailbox?: Behavior.MailboxOptions) =>
  Effect.sync(() => {
    const log: Array<number> = []
    const by: Array<string> = []
    const gate = Latch.makeUnsafe(false)
    const other: { ref: Ref | undefined } = { ref: undefined }
    const behavior = Job.behavior(
      Effect.gen(function* () {
        const { path } = yield* Job.self
        const stash = yield* Stash.make()
        const did = (n: number) => {
          log.push(n)
          by.push(path)
          return n
        }
        return Job.of({
          Do: ({ n }) => did(n),
          Note: ({ n }) => void did(n),
          Hold: ({ n }) => Effect.map(gate.await, () => did(n)),
          Crash: ({ n }) =>
            Effect.andThen(
              gate.await,
              Effect.suspend(() => Effect.die(new Error(`crash ${did(n)}`)))
            ),
          Later: () => stash.keep,
          Pass: ({ n }) => Effect.orDie(Actor.forward(other.ref!.ask.Do({ n }))),
          Count: ({ n }) =>
            n < 0
              ? Stream.concat(Stream.make(1), Stream.die("broken stream"))
              : Stream.concat(Stream.range(1, n), Stream.never)
        })
      }),
      mailbox === undefined ? {} : { mailbox }
    )
    return { log, by, gate, other, behavior }
  })

const byKey: Pool.Route<Job> = { hash: ({ payload }) => ("key" in payload ? (payload.key ?? "none") : "none") }

/** Nothing is pending any more, in no book. */
const balanced = (pool: Pool.Pool<Job>) =>
  Effect.gen(function* () {
    yield* settle
    const { members, ongoing, queued } = yield* pool.stats
    assert.deepStrictEqual([ongoing, queued, members.map((each) => each.ongoing)], [0, 0, members.map(() => 0)])
  })

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) =>
  effect.pipe(Effect.scoped, Effect.provide(ActorSystem.layer()))

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(Effect.exit(effect), { startImmediately: true })

const reasonOf = (exit: Exit.Exit<unknown, unknown>): string | undefined =>
  Exit.isFailure(exit) ? (Cause.squash(exit.cause) as ActorRef.AskError).reason._tag : undefined

describe("order", () => {
  for (const route of ["least-loaded", byKey] as const) {
    it.effect(`who waits for room does not overtake who is queued (${typeof route})`, () =>
      run(
        Effect.gen(function* () {
          const made = yield* making()
          const pool = yield* Pool.start(made.behavior, { size: 1, queue: { capacity: 1 }, route, concurrency: 2 })
          yield* Actor.suspend(pool.ref)
          const all = yield* Effect.forEach([1, 2, 3], (n) => fork(pool.ref.ask.Do({ n })))
          yield* settle
          yield* Actor.resume(pool.ref)
          assert.deepStrictEqual((yield* Effect.forEach(all, Fiber.join)).map(Exit.isSuccess), [true, true, true])
          assert.deepStrictEqual(made.log, [1, 2, 3])
          yield* balanced(pool)
        })
      )
    )
  }

  it.effect("what a member gives back keeps its order", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, { size: 2, concurrency: 5, intensity: quick })
        const held = yield* Effect.forEach([1, 2], (n) => fork(pool.ref.ask.Hold({ n })))
        for (const n of [3, 4, 5, 6, 7, 8]) yield* pool.ref.tell.Note({ n })
        yield* settle
        yield* Actor.kill((yield* pool.members)[0]!)
        yield* settle
        yield* made.gate.open
        yield* Effect.forEach(held, Fiber.join)
        yield* balanced(pool)
        assert.deepStrictEqual(made.log.toSorted(), [2, 3, 4, 5, 6, 7, 8])
        for (const path of new Set(made.by)) {
          const mine = made.log.filter((_, at) => made.by[at] === path && made.log[at]! % 2 === 1)
          assert.deepStrictEqual(mine, mine.toSorted())
        }
      })
    )
  )

  it.effect("messages of a key whose member has gone keep their order", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, {
          size: { min: 0, max: 1, initial: 1 },
          route: byKey,
          restart: "temporary"
        })
        yield* pool.ref.tell.Hold({ n: 1, key: "k" })
        for (const n of [2, 3, 4]) yield* pool.ref.tell.Note({ n, key: "k" })
        yield* settle
        yield* Actor.kill((yield* pool.members)[0]!)
        yield* settle
        yield* pool.ref.tell.Note({ n: 5, key: "k" })
        yield* TestClock.adjust("1 second")
        yield* balanced(pool)
        assert.deepStrictEqual(made.log, [2, 3, 4, 5])
      })
    )
  )

  it.effect("a message of a key that comes while its member is drained does not overtake", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, { size: 1, route: byKey, intensity: quick })
        yield* pool.ref.tell.Hold({ n: 1, key: "k" })
        for (const n of [2, 3]) yield* pool.ref.tell.Note({ n, key: "k" })
        yield* settle
        yield* Effect.forkChild(Actor.drain((yield* pool.members)[0]!))
        yield* settle
        for (const n of [4, 5]) yield* pool.ref.tell.Note({ n, key: "k" })
        yield* made.gate.open
        yield* balanced(pool)
        assert.deepStrictEqual(made.log, [1, 2, 3, 4, 5])
      })
    )
  )

  it.effect("what is tried again of a key goes before the others of it, also with a member that leaves", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, { size: 2, route: byKey, intensity: quick, retries: 1 })
        yield* pool.ref.tell.Crash({ n: 1, key: "k" })
        for (const n of [2, 3]) yield* pool.ref.tell.Note({ n, key: "k" })
        yield* settle
        const loaded = (yield* pool.stats).members.findIndex(({ ongoing }) => ongoing === 3)
        for (let key = 0; (yield* pool.stats).members.some(({ ongoing }) => ongoing < 4); key++) {
          yield* pool.ref.tell.Hold({ n: 9, key: `${key}` })
          if (key > 200) return assert.fail("nobody else")
        }
        yield* settle
        yield* pool.resize({ size: 1, reason: "test" })
        const leaving = (yield* pool.stats).members.findIndex((each) => each.leaving)
        yield* made.gate.open
        yield* balanced(pool)
        assert.deepStrictEqual(
          made.log.filter((n) => n < 9),
          [1, 1, 2, 3],
          `${loaded} ${leaving}`
        )
      })
    )
  )
})

describe("what is kept count of", () => {
  it.effect("a tell given up while it waits in a full queue of its key leaves nothing behind", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, { size: 1, queue: { capacity: 1 }, route: byKey })
        yield* pool.ref.tell.Hold({ n: 1, key: "k" })
        yield* settle
        yield* pool.ref.tell.Note({ n: 2, key: "k" })
        const waits = yield* Effect.forkChild(pool.ref.tell.Note({ n: 3, key: "k" }))
        yield* settle
        assert.isUndefined(waits.pollUnsafe())
        yield* Fiber.interrupt(waits)
        yield* made.gate.open
        yield* balanced(pool)
        assert.deepStrictEqual(made.log, [1, 2])
      })
    )
  )

  it.effect("a key that moved with its messages is pending where they are (R71)", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, { size: 2, route: byKey, restart: "temporary" })
        for (const n of [1, 2, 3, 4]) yield* pool.ref.tell.Hold({ n, key: "k" })
        yield* settle
        const { members } = yield* pool.stats
        const refs = yield* pool.members
        yield* Actor.kill(refs[members.findIndex(({ ongoing }) => ongoing === 4)]!)
        yield* settle
        // Three moved to the one that is left; whoever joins takes the key only when nothing of it is pending.
        const [left] = yield* pool.members
        for (let more = 0; more < 6; more++) yield* pool.push(yield* Actor.spawn(made.behavior))
        yield* pool.ref.tell.Note({ n: 5, key: "k" })
        yield* made.gate.open
        yield* balanced(pool)
        assert.deepStrictEqual(made.log, [2, 3, 4, 5])
        assert.deepStrictEqual(new Set(made.by), new Set([left!.path]))
      })
    )
  )

  it.effect("a route that throws for one message does not move the key of another", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, {
          size: 4,
          route: {
            sticky: ({ payload }) => {
              if ("key" in payload) return payload.key!
              throw new Error("no key")
            }
          }
        })
        yield* pool.ref.tell.Note({ n: 0, key: "first" })
        yield* pool.ref.tell.Hold({ n: 1, key: "k" })
        yield* settle
        yield* pool.ref.tell.Hold({ n: 2 } as never)
        yield* settle
        yield* pool.ref.tell.Note({ n: 3, key: "k" })
        yield* settle
        // It waits behind the one of its key.
        assert.deepStrictEqual(made.log, [0])
        yield* made.gate.open
        yield* balanced(pool)
        const member = (n: number) => made.by[made.log.indexOf(n)]
        assert.strictEqual(member(3), member(1))
        assert.notStrictEqual(member(2), member(1))
      })
    )
  )

  it.effect("a stream that breaks is a crash of its member, no dead letter, and not tried again", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, { size: 1, intensity: quick, retries: 3 })
        const exit = yield* Effect.exit(Stream.runCollect(pool.ref.stream.Count({ n: -1 })))
        assert.strictEqual(reasonOf(exit), "HandlerFailed")
        yield* balanced(pool)
        const { crashed, handled, retried } = yield* pool.stats
        assert.deepStrictEqual([crashed, handled, retried], [1, 1, 0])
        const killed = yield* fork(Stream.runCollect(pool.ref.stream.Count({ n: 1 })))
        yield* settle
        yield* Actor.kill((yield* pool.members)[0]!)
        assert.strictEqual(reasonOf(yield* Fiber.join(killed)), "Restarting")
        yield* balanced(pool)
        assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
      })
    )
  )

  it.effect("a stream left half way frees its member, and one left before it began is skipped", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, { size: 1, queue: { capacity: 1 } })
        const taken = yield* fork(Stream.runDrain(pool.ref.stream.Count({ n: 2 })))
        yield* settle
        const queued = yield* fork(Stream.runDrain(pool.ref.stream.Count({ n: 2 })))
        yield* settle
        assert.deepStrictEqual(yield* Effect.map(pool.stats, ({ ongoing, queued }) => [ongoing, queued]), [1, 1])
        yield* Fiber.interrupt(queued)
        yield* Fiber.interrupt(taken)
        yield* balanced(pool)
        assert.strictEqual(yield* pool.ref.ask.Do({ n: 1 }), 1)
        assert.strictEqual((yield* pool.stats).handled, 2)
      })
    )
  )

  it.effect("what a member has stashed is not lost with it", () =>
    run(
      Effect.gen(function* () {
        for (const route of ["least-loaded", byKey] as const) {
          const made = yield* making()
          const pool = yield* Pool.start(made.behavior, {
            size: 1,
            concurrency: 10,
            intensity: quick,
            killAfter: "1 minute",
            route
          })
          const kept = yield* fork(pool.ref.pipe(ActorRef.withTimeout("1 hour")).ask.Later({ n: 1 }))
          yield* settle
          yield* Actor.kill((yield* pool.members)[0]!)
          yield* settle
          assert.isUndefined(kept.pollUnsafe())
          assert.strictEqual((yield* pool.stats).crashed, 0)
          yield* Fiber.interrupt(kept)
        }
      })
    )
  )

  it.effect("a request whose first asker has gone is not handled after it was forwarded to a pool", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, { size: 1 })
        const front = yield* making()
        front.other.ref = pool.ref
        const sender = yield* Actor.spawn(front.behavior)
        yield* pool.ref.tell.Hold({ n: 1 })
        const asked = yield* fork(sender.ask.Pass({ n: 2 }))
        yield* settle
        assert.strictEqual((yield* pool.stats).queued, 1)
        yield* Fiber.interrupt(asked)
        yield* made.gate.open
        yield* balanced(pool)
        assert.deepStrictEqual(made.log, [1])
        assert.strictEqual(yield* sender.ask.Pass({ n: 3 }), 3)
      })
    )
  )
})

describe("bounds", () => {
  it.effect("POOL-09 a limit of 0 that drops the oldest drops what comes", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, { size: 1, queue: { capacity: 0, overflow: "drop-oldest" } })
        yield* pool.ref.tell.Hold({ n: 1 })
        assert.strictEqual((yield* Effect.flip(pool.ref.ask.Do({ n: 2 }))).reason._tag, "MailboxFull")
        yield* made.gate.open
        yield* balanced(pool)
      })
    )
  )

  it.effect("who waits for room with a member that crashes goes to another, or on with the next", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making({ capacity: 1 })
        const pool = yield* Pool.start(made.behavior, { size: 1, concurrency: 4, intensity: quick })
        const all = yield* Effect.forEach([1, 2, 3, 4], (n) => fork(pool.ref.ask.Hold({ n })))
        yield* settle
        yield* Actor.kill((yield* pool.members)[0]!)
        yield* made.gate.open
        yield* settle
        assert.deepStrictEqual(
          all.map((fiber) => fiber.pollUnsafe() !== undefined),
          [true, true, true, true]
        )
        yield* balanced(pool)
        assert.deepStrictEqual(made.log, [2, 3, 4])
      })
    )
  )

  it.effect("members that discard their mailbox when they restart tell those who waited in it", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making({ onRestart: "discard" })
        const pool = yield* Pool.start(made.behavior, { size: 1, route: byKey, intensity: quick })
        const all = yield* Effect.forEach([1, 2], (n) => fork(pool.ref.ask.Hold({ n, key: "k" })))
        yield* pool.ref.tell.Note({ n: 3, key: "k" })
        yield* settle
        yield* Actor.kill((yield* pool.members)[0]!)
        yield* settle
        assert.deepStrictEqual((yield* Effect.forEach(all, Fiber.join)).map(reasonOf), ["Restarting", "Restarting"])
        yield* balanced(pool)
        assert.deepStrictEqual(
          (yield* ActorSystem.deadLetters).map(({ reason, tag }) => [tag, reason._tag]),
          [["Note", "Restarted"]]
        )
      })
    )
  )

  it.effect("a mailbox limit holds where an ask waits for room with the member of its key", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        for (const queue of [{ capacity: 1 }, { bytes: 1 }]) {
          const pool = yield* Pool.start(made.behavior, { size: 1, route: byKey, queue })
          const ref = pool.ref.pipe(ActorRef.withTimeout("1 second", { mailbox: "50 millis" }))
          yield* Effect.forEach([1, 2], (n) => fork(ref.ask.Hold({ n, key: "k" })))
          yield* settle
          const waits = yield* fork(ref.ask.Do({ n: 3, key: "k" }))
          yield* settle
          yield* TestClock.adjust("50 millis")
          assert.strictEqual(reasonOf(yield* Fiber.join(waits)), "MailboxFull")
          yield* made.gate.open
          yield* balanced(pool)
          yield* made.gate.close
        }
      })
    )
  )

  it.effect("R2 map gives a pool no more than it has room for", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, { size: 2, queue: { capacity: 0, overflow: "reject" } })
        const mapped = yield* Effect.forkChild(
          Stream.runCollect(Pool.map(pool, [1, 2, 3, 4, 5], (ref, n) => ref.ask.Hold({ n })))
        )
        yield* settle
        yield* made.gate.open
        assert.deepStrictEqual(yield* Fiber.join(mapped), [1, 2, 3, 4, 5])
      })
    )
  )
})

describe("members that come and go", () => {
  for (const route of ["least-loaded", byKey] as const) {
    it.effect(`POOL-27 what comes while the last member leaves has a new one at once (${typeof route})`, () =>
      run(
        Effect.gen(function* () {
          const made = yield* making()
          const pool = yield* Pool.start(made.behavior, { size: { min: 0, max: 1, every: "1 hour" }, route })
          const held = yield* fork(pool.ref.ask.Hold({ n: 1, key: "a" }))
          yield* settle
          assert.strictEqual(yield* pool.resize({ size: 0, reason: "night", force: true }), 0)
          assert.strictEqual(yield* pool.ref.ask.Do({ n: 2, key: "b" }), 2)
          assert.deepStrictEqual(
            (yield* pool.stats).members.map(({ leaving, ongoing }) => [leaving, ongoing]),
            [
              [true, 1],
              [false, 0]
            ]
          )
          yield* made.gate.open
          assert.deepStrictEqual(yield* Fiber.join(held), Exit.succeed(1))
          yield* balanced(pool)
          assert.strictEqual((yield* pool.stats).members.length, 1)
        })
      )
    )
  }

  it.effect("R3 what waited for a last member that has ended has a new one at once", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, {
          size: { min: 0, max: 1, every: "1 hour" },
          restart: "temporary"
        })
        yield* pool.ref.tell.Hold({ n: 1 })
        const waits = yield* fork(pool.ref.ask.Do({ n: 2 }))
        yield* settle
        yield* Actor.kill((yield* pool.members)[0]!)
        yield* settle
        assert.deepStrictEqual(yield* Fiber.join(waits), Exit.succeed(2))
        yield* balanced(pool)
      })
    )
  )

  it.effect("a pool of temporary members that all ended while it started has ended too", () =>
    run(
      Effect.gen(function* () {
        const behavior = Job.behavior(
          Effect.gen(function* () {
            yield* Actor.continueWith(Effect.die("at once"))
            return Job.of({
              Do: ({ n }) => n,
              Note: () => {},
              Hold: ({ n }) => n,
              Crash: ({ n }) => n,
              Later: ({ n }) => n,
              Pass: ({ n }) => n,
              Count: () => Stream.empty
            })
          })
        )
        const pool = yield* Pool.start(behavior, { size: 2, restart: "temporary" })
        const asked = yield* fork(pool.ref.ask.Do({ n: 1 }))
        yield* settle
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(reasonOf(yield* Fiber.join(asked)), "NotRunning")
      })
    )
  )

  it.effect("who was a member of a router that has ended knows nothing of it", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const member = yield* Actor.spawn(made.behavior)
        const router = yield* Actor.spawn(Router.behavior(Job, { members: [member] }))
        assert.strictEqual(yield* router.ask.Do({ n: 1 }), 1)
        const held = yield* fork(router.ask.Hold({ n: 2 }))
        yield* settle
        yield* Actor.stop(router)
        const { followers } = slotOf(member).audience as unknown as { readonly followers: ReadonlySet<unknown> }
        assert.strictEqual(followers.size, 0)
        // What it was given, it does.
        yield* made.gate.open
        assert.deepStrictEqual(yield* Fiber.join(held), Exit.succeed(2))
      })
    )
  )

  it.effect("a paused member gives back what it has not begun", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, { size: 2, concurrency: 3 })
        for (const n of [1, 2]) yield* pool.ref.tell.Hold({ n })
        for (const n of [3, 4]) yield* pool.ref.tell.Note({ n })
        yield* settle
        const [one] = yield* pool.members
        yield* Effect.forkChild(Actor.suspend(one!))
        yield* settle
        yield* made.gate.open
        yield* settle
        assert.deepStrictEqual(made.log.toSorted(), [1, 2, 3, 4])
        yield* Actor.resume(one!)
        yield* balanced(pool)
      })
    )
  )

  it.effect("what is queued when a pool ends is a dead letter, wherever it was", () =>
    Effect.gen(function* () {
      for (const route of ["least-loaded", byKey] as const) {
        const made = yield* making()
        yield* Effect.scoped(
          Effect.gen(function* () {
            const pool = yield* Pool.start(made.behavior, { size: 1, concurrency: 3, route, shutdown: 0 })
            yield* pool.ref.tell.Hold({ n: 1 })
            for (const n of [2, 3, 4, 5]) yield* pool.ref.tell.Note({ n })
            yield* settle
          })
        )
        const letters = yield* ActorSystem.deadLetters
        assert.deepStrictEqual(
          letters.map(({ payload }) => (payload as { readonly n: number }).n).toSorted(),
          [2, 3, 4, 5]
        )
        yield* ActorSystem.clearDeadLetters
      }
    }).pipe(Effect.provide(ActorSystem.layer()))
  )

  it.effect("a pool that is drained while it is suspended finishes what its members have", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const pool = yield* Pool.start(made.behavior, { size: 1, concurrency: 3 })
        const all = yield* Effect.forEach([1, 2, 3], (n) => fork(pool.ref.ask.Hold({ n })))
        yield* settle
        yield* Actor.suspend(pool.ref)
        const drained = yield* Effect.forkChild(Actor.drain(pool.ref))
        yield* settle
        yield* Actor.resume(pool.ref)
        yield* settle
        assert.isUndefined(drained.pollUnsafe())
        yield* made.gate.open
        assert.deepStrictEqual((yield* Effect.forEach(all, Fiber.join)).map(Exit.isSuccess), [true, true, true])
        assert.strictEqual((yield* Fiber.join(drained))._tag, "Normal")
      })
    )
  )
})

describe("pools of pools", () => {
  it.effect("a pool can be a member of another", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const inner = yield* Pool.start(made.behavior, { size: 2, id: "inner", intensity: quick })
        const outer = yield* Pool.start(made.behavior, {
          size: 1,
          id: "outer",
          concurrency: 2,
          retries: 1,
          intensity: quick
        })
        yield* pool1(outer, inner)
        const all = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (n) => fork(outer.ref.ask.Hold({ n })))
        const taken = yield* fork(Stream.runCollect(Stream.take(outer.ref.stream.Count({ n: 2 }), 2)))
        yield* settle
        assert.strictEqual((yield* outer.stats).ongoing, 2)
        assert.strictEqual((yield* inner.stats).ongoing, 2)
        yield* made.gate.open
        assert.deepStrictEqual(
          (yield* Effect.forEach(all, Fiber.join)).map(Exit.isSuccess),
          all.map(() => true)
        )
        assert.deepStrictEqual(yield* Fiber.join(taken), Exit.succeed([1, 2]))
        // What crashes a member of the one is tried again by the other.
        assert.strictEqual(reasonOf(yield* Effect.exit(outer.ref.ask.Crash({ n: 7 }))), "HandlerFailed")
        assert.deepStrictEqual(
          made.log.filter((n) => n === 7),
          [7, 7]
        )
        for (const n of [8, 9]) yield* outer.ref.tell.Note({ n })
        yield* balanced(outer)
        yield* balanced(inner)
        assert.deepStrictEqual(
          made.log.toSorted((a, b) => a - b),
          [1, 2, 3, 4, 5, 6, 7, 7, 8, 9]
        )
        assert.strictEqual((yield* outer.stats).handled, 11)
      })
    )
  )

  it.effect("none is a member of itself, not even by way of others", () =>
    run(
      Effect.gen(function* () {
        const made = yield* making()
        const one = yield* Pool.start(made.behavior, { size: 1, id: "one" })
        const two = yield* Pool.start(made.behavior, { size: 1, id: "two" })
        yield* one.push(two.ref)
        for (const [pool, member] of [
          [one, one],
          [two, one]
        ] as const) {
          const error = yield* Effect.flip(pool.push(member.ref))
          assert.strictEqual(
            error.message,
            `${member.ref.path} leads to ${pool.ref.path}: a pool cannot be a member of itself`
          )
        }
        assert.strictEqual(yield* one.ref.ask.Do({ n: 1 }), 1)
      })
    )
  )
})

/** `outer` has nobody but `inner`. */
const pool1 = (outer: Pool.Pool<Job>, inner: Pool.Pool<Job>) =>
  Effect.gen(function* () {
    yield* outer.pop
    yield* outer.push(inner.ref)
  })
