/** Members of every kind behind one ref: batched, concurrent, with rules of their own, that hang, ask and pass on. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Latch, Schema, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorRef, ActorSystem, Backoff, Control, Interceptor, Pool, Supervisor } from "effect-otp"

class Member extends Actor.Service<Member>()("test/Member", {
  Do: { payload: { n: Schema.Int }, success: Schema.Int },
  Note: { payload: { n: Schema.Int } },
  Hold: { payload: { n: Schema.Int }, success: Schema.Int },
  Crash: { payload: { n: Schema.Int }, success: Schema.Int },
  /** Asks its own pool. */
  Nest: { payload: { n: Schema.Int }, success: Schema.Int },
  Throw: { success: Schema.Int, stream: true }
}) {}

const settle = Effect.gen(function* () {
  for (let i = 0; i < 40; i++) yield* Effect.yieldNow
})

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.forkChild(Effect.exit(effect), { startImmediately: true })

const quick = { restarts: 1_000, within: "1 second" } as const

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) =>
  effect.pipe(Effect.scoped, Effect.provide(ActorSystem.layer()))

const reasonOf = (exit: Exit.Exit<unknown, unknown>): string | undefined =>
  Exit.isFailure(exit) ? (Cause.squash(exit.cause) as ActorRef.AskError).reason._tag : undefined

const making = (options: Parameters<typeof Member.behavior>[1] = {}) => {
  const seen = { log: [] as Array<number>, running: 0, most: 0, built: 0, envelopes: [] as Array<unknown> }
  const gate = Latch.makeUnsafe(false)
  const pool: { ref: ActorRef.ActorRef<Member> | undefined } = { ref: undefined }
  const behavior = Member.behavior(
    Effect.sync(() => {
      seen.built++
      const held = Effect.gen(function* () {
        seen.most = Math.max(seen.most, ++seen.running)
        yield* gate.await
        seen.running--
      })
      return Member.of({
        Do: ({ n }) => (seen.log.push(n), n),
        Note: ({ n }) => void seen.log.push(n),
        Hold: Actor.concurrent(({ n }: { readonly n: number }) => Effect.as(held, (seen.log.push(n), n))),
        Crash: ({ n }) =>
          Effect.andThen(
            gate.await,
            Effect.suspend(() => Effect.die(seen.log.push(n)))
          ),
        Nest: ({ n }) => Effect.andThen(Effect.yieldNow, Effect.orDie(pool.ref!.ask.Do({ n }))),
        Throw: () => {
          throw new Error("no stream")
        }
      })
    }),
    options
  )
  return { seen, gate, pool, behavior }
}

describe("handlers", () => {
  it.effect("R5 concurrent ones: as many at a time as a member may have", () =>
    run(
      Effect.gen(function* () {
        const { behavior, gate, seen } = making()
        const pool = yield* Pool.start(behavior, { size: 2, concurrency: 3 })
        const all = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], (n) => fork(pool.ref.ask.Hold({ n })))
        yield* settle
        assert.strictEqual(seen.most, 6)
        assert.strictEqual((yield* pool.stats).queued, 2)
        yield* gate.open
        assert.isTrue((yield* Effect.forEach(all, Fiber.join)).every(Exit.isSuccess))
        assert.strictEqual((yield* pool.stats).ongoing, 0)
      })
    )
  )

  it.effect(
    "POOL-24 batched ones: each asker gets its own answer, and batches are no larger than the room of a member",
    () =>
      run(
        Effect.gen(function* () {
          class Model extends Actor.Service<Model>()("test/Model", {
            Infer: { payload: { n: Schema.Int }, success: Schema.Int }
          }) {}
          const batches: Array<ReadonlyArray<number>> = []
          const behavior = Model.behavior(
            Effect.sync(() =>
              Model.of({
                Infer: Actor.batched({
                  maxSize: 4,
                  maxDelay: "100 millis",
                  run: (batch) =>
                    Effect.gen(function* () {
                      batches.push(batch.map(({ n }) => n))
                      if (batch.some(({ n }) => n === 99)) return yield* Effect.die("bad input")
                      return batch.map(({ n }) => n * 10)
                    })
                })
              })
            )
          )
          const pool = yield* Pool.start(behavior, { size: 2, concurrency: 4, intensity: quick, retries: 1 })
          const all = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (n) => fork(pool.ref.ask.Infer({ n })))
          yield* settle
          yield* TestClock.adjust("100 millis")
          assert.deepStrictEqual(
            (yield* Effect.forEach(all, Fiber.join)).map((exit) => Exit.getSuccess(exit)._tag),
            all.map(() => "Some")
          )
          assert.isTrue(batches.every(({ length }) => length <= 4))
          assert.deepStrictEqual(batches.flat().toSorted(), [1, 2, 3, 4, 5, 6])
          // One that spoils its batch: the others of it are tried again, and so is it.
          const spoilt = yield* Effect.forEach([1, 2, 99, 4], (n) => fork(pool.ref.ask.Infer({ n })))
          for (let round = 0; round < 4; round++) {
            yield* settle
            yield* TestClock.adjust("100 millis")
          }
          const exits = yield* Effect.forEach(spoilt, Fiber.join)
          assert.strictEqual(reasonOf(exits[2]!), "HandlerFailed")
          assert.strictEqual((yield* pool.stats).ongoing, 0)
        })
      )
  )

  it.effect("a stream whose handler throws is a failure of its member, counted once", () =>
    run(
      Effect.gen(function* () {
        const { behavior } = making()
        const pool = yield* Pool.start(behavior, { size: 1, intensity: quick, retries: 1 })
        assert.strictEqual(reasonOf(yield* Effect.exit(Stream.runDrain(pool.ref.stream.Throw()))), "HandlerFailed")
        yield* settle
        const { crashed, handled, ongoing } = yield* pool.stats
        assert.deepStrictEqual([crashed, handled, ongoing], [1, 1, 0])
        assert.strictEqual(yield* pool.ref.ask.Do({ n: 1 }), 1)
      })
    )
  )

  it.effect("R71 what waits behind a crash does not wait for the backoff", () =>
    run(
      Effect.gen(function* () {
        const { behavior, gate, seen } = making()
        const pool = yield* Pool.start(behavior, {
          size: 2,
          concurrency: 3,
          intensity: quick,
          backoff: Backoff.exponential({ min: "1 hour", max: "1 hour" })
        })
        const crashing = yield* fork(pool.ref.ask.Crash({ n: 0 }))
        yield* settle
        for (const n of [1, 2, 3, 4]) yield* pool.ref.tell.Note({ n })
        yield* gate.open
        yield* settle
        assert.strictEqual(reasonOf(yield* Fiber.join(crashing)), "HandlerFailed")
        assert.deepStrictEqual(seen.log.toSorted(), [0, 1, 2, 3, 4])
        const { ongoing, ready, size } = yield* pool.stats
        assert.deepStrictEqual([ready, size, ongoing], [1, 2, 0])
      })
    )
  )

  it.effect("B9 a member with redeliver tries first itself, then another does", () =>
    run(
      Effect.gen(function* () {
        const { behavior, gate, seen } = making({ mailbox: { redeliver: 1 } })
        yield* gate.open
        const pool = yield* Pool.start(behavior, { size: 2, intensity: quick, retries: 1, killAfter: "1 second" })
        const exit = yield* fork(pool.ref.ask.Crash({ n: 7 }))
        yield* settle
        assert.strictEqual(reasonOf(yield* Fiber.join(exit)), "HandlerFailed")
        assert.deepStrictEqual(seen.log, [7, 7, 7, 7])
        const { crashed, ongoing, retried } = yield* pool.stats
        assert.deepStrictEqual([crashed, retried, ongoing], [2, 1, 0])
        // Nobody is killed for a message that is over.
        const { built } = seen
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(seen.built, built)
      })
    )
  )
})

describe("members that do not end", () => {
  it.effect(
    "a killed member whose handler cannot be interrupted is a zombie: its asker is told, and others go on",
    () =>
      run(
        Effect.gen(function* () {
          const gate = yield* Deferred.make<void>()
          yield* Effect.addFinalizer(() => Deferred.succeed(gate, undefined))
          const behavior = Member.behavior(
            Effect.sync(() =>
              Member.of({
                Do: ({ n }) => n,
                Note: () => {},
                Hold: ({ n }) => Effect.uninterruptible(Effect.as(Deferred.await(gate), n)),
                Crash: ({ n }) => n,
                Nest: ({ n }) => n,
                Throw: () => Stream.empty
              })
            )
          )
          const pool = yield* Pool.start(behavior, { size: 2, concurrency: 2, intensity: quick, killAfter: "1 second" })
          const held = yield* fork(pool.ref.ask.Hold({ n: 1 }))
          yield* fork(pool.ref.ask.Hold({ n: 1 }))
          // Behind the one, and behind the other.
          const behind = yield* Effect.forEach([2, 3], (n) =>
            fork(pool.ref.pipe(ActorRef.withTimeout("1 hour")).ask.Do({ n }))
          )
          yield* settle
          yield* TestClock.adjust("1 second")
          yield* settle
          assert.strictEqual(reasonOf(yield* Fiber.join(held)), "Restarting")
          // A member is restarted once it has let go of what it had: until then what waited with it waits in the queue.
          assert.strictEqual((yield* ActorSystem.zombies).length, 2)
          assert.deepStrictEqual(yield* Effect.map(pool.stats, ({ queued, ready }) => [queued, ready]), [2, 0])
          yield* Deferred.succeed(gate, undefined)
          assert.deepStrictEqual(yield* Effect.forEach(behind, Fiber.join), [Exit.succeed(2), Exit.succeed(3)])
          assert.strictEqual((yield* ActorSystem.zombies).length, 0)
          const { handled, ongoing } = yield* pool.stats
          assert.deepStrictEqual([handled, ongoing], [4, 0])
        })
      )
  )

  it.effect("members that all ask their own pool are ended by the time limit of their asks", () =>
    run(
      Effect.gen(function* () {
        const made = making()
        const pool = yield* Pool.start(made.behavior, { size: 2, intensity: quick })
        made.pool.ref = pool.ref
        assert.strictEqual(yield* pool.ref.ask.Nest({ n: 1 }), 1)
        const all = yield* Effect.forEach([1, 2], (n) => fork(pool.ref.ask.Nest({ n })))
        yield* settle
        yield* TestClock.adjust("5 seconds")
        const reasons = (yield* Effect.forEach(all, Fiber.join)).map(reasonOf)
        assert.isTrue(
          reasons.every((reason) => reason === "Timeout" || reason === "HandlerFailed"),
          reasons.join(" ")
        )
        yield* settle
        const { ongoing, queued } = yield* pool.stats
        assert.deepStrictEqual([ongoing, queued], [0, 0])
        assert.strictEqual(yield* pool.ref.ask.Nest({ n: 3 }), 3)
      })
    )
  )
})

describe("marks", () => {
  it.effect("P2 priority: what is more urgent leaves the queue first", () =>
    run(
      Effect.gen(function* () {
        const { behavior, gate, seen } = making()
        const pool = yield* Pool.start(behavior, { size: 1 })
        yield* fork(pool.ref.ask.Hold({ n: 0 }))
        yield* settle
        yield* pool.ref.tell.Note({ n: 1 })
        yield* ActorRef.withPriority(pool.ref, 0).tell.Note({ n: 2 })
        yield* ActorRef.withPriority(pool.ref, 255).tell.Note({ n: 3 })
        yield* fork(ActorRef.withPriority(pool.ref, 200).ask.Do({ n: 4 }))
        yield* gate.open
        yield* settle
        assert.deepStrictEqual(seen.log, [0, 3, 4, 1, 2])
      })
    )
  )

  it.effect("B4 an interceptor's caller side runs once at the caller, its handler side once in the member", () =>
    run(
      Effect.gen(function* () {
        const { behavior } = making()
        const calls: Array<readonly [side: string, actor: string, correlation: string | undefined, id: number]> = []
        const note = (side: string) => ({
          before: ({ actor, correlationId, id }: Interceptor.Call) =>
            Effect.sync(() => void calls.push([side, actor, correlationId, id]))
        })
        const hooks = Interceptor.hooks({ caller: note("caller"), handler: note("handler") })
        const pool = yield* Pool.start(behavior.pipe(Interceptor.apply(hooks)), { size: 1 })
        assert.strictEqual(yield* pool.ref.pipe(ActorRef.withCorrelationId("order-7")).ask.Do({ n: 1 }), 1)
        const { path } = (yield* pool.members)[0]!
        assert.deepStrictEqual(
          calls.map(([side, actor, correlation]) => [side, actor, correlation]),
          [
            ["caller", pool.ref.path, "order-7"],
            ["handler", path, "order-7"]
          ]
        )
        assert.strictEqual(calls[0]![3], calls[1]![3])
      })
    )
  )
})

describe("as part of a tree", () => {
  it("Supervisor.lint has nothing to say about a pool", () => {
    const { behavior } = making()
    for (const options of [{}, { size: 3 }, { size: { min: 0, max: 3 } }, { restart: "temporary" }] as const) {
      const { findings } = Supervisor.lint(Supervisor.make("app", { children: [Pool.child(behavior, options)] }))
      assert.deepStrictEqual(findings, [], JSON.stringify(options))
    }
  })

  it.effect("a new configuration holds from the next start of the pool on: members, sizes, routes, bounds", () =>
    run(
      Effect.gen(function* () {
        const [before, after] = [making(), making()]
        const tree = ({ behavior }: typeof before, options: Pool.Options<Member, never>) =>
          Supervisor.make("app", {
            intensity: { restarts: 5, within: "1 second" },
            children: [Pool.child(behavior, { ...options, id: "pool" })]
          })
        const root = yield* Supervisor.start(tree(before, { size: 1 }))
        const pool = yield* Effect.provideContext(Pool.of(Member), root.services as never) as Effect.Effect<
          Pool.Pool<Member>
        >
        // One of its own is busy, and one that it was given.
        const guest = yield* Actor.spawn(before.behavior)
        yield* pool.push(guest)
        const held = yield* Effect.forEach([1, 2], (n) => fork(pool.ref.ask.Hold({ n })))
        yield* settle
        const route = { hash: () => "one" }
        yield* root.reconfigure(tree(after, { size: 3, concurrency: 2 }))
        assert.strictEqual((yield* pool.stats).size, 2)
        yield* Actor.kill(pool.ref)
        yield* settle
        const now = yield* Pool.of(pool.ref)
        const { free, ongoing, size } = yield* now.stats
        assert.deepStrictEqual([size, ongoing, free, after.seen.built], [3, 1, 5, 2])
        // As many as there is room for, the guest among them.
        for (const n of [3, 4, 5, 6, 7, 8]) yield* fork(pool.ref.ask.Hold({ n }))
        yield* settle
        assert.deepStrictEqual(
          yield* Effect.map(now.stats, (stats) => [stats.ongoing, stats.queued, stats.free]),
          [6, 1, 0]
        )
        yield* Effect.all([before.gate.open, after.gate.open])
        yield* Effect.forEach(held, Fiber.await)
        yield* settle
        yield* root.reconfigure(tree(after, { size: 3, route }))
        yield* Actor.kill(pool.ref)
        yield* settle
        for (const n of [1, 2, 3, 4]) yield* pool.ref.ask.Do({ n })
        const { members } = yield* (yield* Pool.of(pool.ref)).stats
        assert.strictEqual(members.filter(({ path, handled }) => path !== guest.path && handled > 0).length, 1)
      })
    )
  )

  it.effect("R12 Control tells how a pool's ref is", () =>
    run(
      Effect.gen(function* () {
        const { behavior, gate } = making()
        const pool = yield* Pool.start(behavior, { size: 1, retries: 2, intensity: quick })
        const statistics = yield* Control.statistics(pool.ref)
        for (const n of [1, 2]) yield* fork(pool.ref.ask.Hold({ n }))
        yield* settle
        const { kind, queued, status } = yield* Control.status(pool.ref)
        assert.deepStrictEqual([kind, queued, status], ["actor", 1, "running"])
        yield* gate.open
        yield* settle
        const { received, replied } = yield* statistics
        assert.deepStrictEqual([received, replied], [2, 2])
        // However often it is tried, it is one message.
        yield* Effect.exit(pool.ref.ask.Crash({ n: 3 }))
        yield* pool.ref.tell.Note({ n: 4 })
        yield* settle
        const { failed, messages } = yield* statistics
        assert.deepStrictEqual([failed, messages], [1, { Hold: 2, Crash: 1, Note: 1 }])
      })
    )
  )
})
