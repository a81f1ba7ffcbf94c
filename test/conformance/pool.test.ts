/** Scenarios POOL: pools and routers. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Latch, Option, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorRef, ActorSystem, Pool, Supervisor, type SystemEvent } from "effect-otp"

class Work extends Actor.Service<Work>()("test/Work", {
  /** Answers with who did it. */
  Do: { payload: { job: Schema.Int, key: Schema.optionalKey(Schema.String) }, success: Schema.Int },
  Note: { payload: { job: Schema.Int } },
  /** Answers once it is let go. */
  Hold: { payload: { job: Schema.Int }, success: Schema.Int },
  Sleep: { payload: { job: Schema.Int, millis: Schema.Number }, success: Schema.Int },
  Crash: { payload: { times: Schema.Int }, success: Schema.Int },
  Die: {},
  Leave: {},
  Count: { payload: { to: Schema.Int }, success: Schema.Int, stream: true }
}) {}

/** Members that tell which of them did what. */
const making = Effect.gen(function* () {
  const log: Array<readonly [member: number, job: number]> = []
  const gate = yield* Latch.make(false)
  const crashes = new Map<number, number>()
  let members = 0
  let built = 0
  const behavior = Work.behavior(
    Effect.gen(function* () {
      const ref = yield* Work.self
      const name = Number(ref.path.split("/").at(-1))
      built++
      members = Math.max(members, name)
      const did = (job: number) => {
        log.push([name, job])
        return name
      }
      return Work.of({
        Do: ({ job }) => did(job),
        Note: ({ job }) => void did(job),
        Hold: ({ job }) => Effect.as(gate.await, did(job)),
        Sleep: ({ job, millis }) => Effect.map(Effect.sleep(millis), () => did(job)),
        Crash: ({ times }) => {
          const so = (crashes.get(times) ?? 0) + 1
          crashes.set(times, so)
          if (so <= times) throw new Error(`crash ${so} of member ${name}`)
          return did(times)
        },
        Die: () => Effect.die("die"),
        Leave: () => Actor.stop(ref),
        Count: ({ to }) => Stream.range(1, to)
      })
    })
  )
  return {
    behavior,
    log,
    gate,
    crashes,
    get built() {
      return built
    }
  }
})

const quick = { restarts: 100, within: "1 second" } as const

const settle = Effect.gen(function* () {
  for (let i = 0; i < 20; i++) yield* Effect.yieldNow
})

describe("POOL: pools", () => {
  it.effect("it stands for its members, each built once (B1)", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 3 })
      const who = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (job) => pool.ref.ask.Do({ job }))
      assert.deepStrictEqual(who, [1, 2, 3, 1, 2, 3])
      assert.strictEqual(made.built, 3)
      const stats = yield* pool.stats
      assert.deepStrictEqual({ ...stats, members: stats.members.map(({ handled, status }) => [handled, status]) }, {
        size: 3,
        ready: 3,
        queued: 0,
        ongoing: 0,
        free: 3,
        utilisation: 0,
        handled: 6,
        crashed: 0,
        retried: 0,
        wait: { count: 6, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 },
        run: { count: 6, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 },
        members: [
          [2, "running"],
          [2, "running"],
          [2, "running"]
        ]
      } as never)
    }).pipe(Effect.scoped)
  )

  it.effect("as a child it provides the ref of its actor; its tree is visible", () =>
    Effect.gen(function* () {
      const made = yield* making
      const root = yield* Supervisor.start(
        Supervisor.make("app", { children: [Pool.child(made.behavior, { size: 2, id: "pool" })] })
      )
      const pool = yield* root.supervisor("pool")
      assert.deepStrictEqual(
        (yield* pool.children).map(({ id, kind }) => [id, kind]),
        [
          ["members", "supervisor"],
          ["router", "actor"]
        ]
      )
      const members = yield* pool.supervisor("members")
      assert.deepStrictEqual(
        (yield* members.children).map(({ id }) => id),
        ["1", "2"]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("tells, streams and time limits go through it", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 2 })
      yield* pool.ref.tell.Note({ job: 1 })
      yield* pool.ref.tell.Note({ job: 2 })
      assert.deepStrictEqual(yield* Stream.runCollect(pool.ref.stream.Count({ to: 3 })), [1, 2, 3])
      assert.deepStrictEqual(made.log.map(([, job]) => job).toSorted(), [1, 2])
      const slow = yield* Effect.forkChild(
        Effect.flip(pool.ref.pipe(ActorRef.withTimeout("1 second")).ask.Hold({ job: 3 }))
      )
      yield* settle
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(slow)).reason._tag, "Timeout")
      // R71: its member is busy still.
      assert.strictEqual((yield* pool.stats).ongoing, 1)
      yield* made.gate.open
      yield* settle
      assert.strictEqual((yield* pool.stats).ongoing, 0)
    }).pipe(Effect.scoped)
  )

  it.effect("POOL-02 a stopped member is replaced, and queued work goes on without a new message", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 4, intensity: quick })
      const held = yield* Effect.forEach([1, 2, 3, 4], (job) => Effect.forkChild(pool.ref.ask.Hold({ job })))
      yield* settle
      const queued = yield* Effect.forEach([5, 6], (job) => Effect.forkChild(pool.ref.ask.Do({ job })))
      yield* settle
      const members = yield* pool.members
      assert.strictEqual((yield* pool.stats).queued, 2)
      yield* Actor.kill(members[0]!)
      yield* Actor.kill(members[1]!)
      yield* settle
      assert.deepStrictEqual(yield* Effect.forEach(queued, Fiber.join), [1, 2])
      assert.strictEqual((yield* pool.stats).size, 4)
      yield* made.gate.open
      assert.deepStrictEqual((yield* Effect.forEach(held, Fiber.await)).map(Exit.isSuccess), [false, false, true, true])
    }).pipe(Effect.scoped)
  )

  it.effect("POOL-02 one that is not replaced gets nothing any more", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 4, restart: "temporary" })
      const [one, two] = yield* pool.members
      yield* Actor.stop(one!)
      yield* Actor.stop(two!)
      yield* settle
      const who = yield* Effect.forEach([1, 2, 3, 4], (job) => pool.ref.ask.Do({ job }))
      assert.deepStrictEqual(new Set(who), new Set([3, 4]))
      assert.strictEqual((yield* pool.stats).size, 2)
    }).pipe(Effect.scoped)
  )

  it.effect(
    "POOL-03 when all members have gone the pool ends, its watchers are told, later messages are dead letters",
    () =>
      Effect.gen(function* () {
        const made = yield* making
        const root = yield* Supervisor.start(
          Supervisor.make("app", { children: [Pool.child(made.behavior, { size: 2, restart: "temporary" })] })
        )
        const pool = yield* Pool.of(Work).pipe(Effect.provideContext(root.services as never)) as Effect.Effect<
          Pool.Pool<Work>
        >
        const ended = yield* Effect.forkChild(pool.ref.ended)
        for (const member of yield* pool.members) yield* Actor.stop(member)
        const reason = yield* Fiber.join(ended)
        assert.strictEqual(reason._tag, "Normal")
        yield* pool.ref.tell.Note({ job: 1 })
        const letters = yield* ActorSystem.deadLetters
        assert.strictEqual(letters.at(-1)?.tag, "Note")
        const error = yield* Effect.flip(pool.ref.ask.Do({ job: 2 }))
        assert.strictEqual(error.reason._tag, "NotRunning")
      }).pipe(Effect.scoped, Effect.provide(ActorSystem.layer()))
  )

  it.effect("POOL-05 the least loaded gets it", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 2, concurrency: 10 })
      yield* Effect.forkChild(pool.ref.ask.Hold({ job: 0 }))
      yield* settle
      const who = yield* Effect.forEach([1, 2], (job) => pool.ref.ask.Do({ job }))
      assert.deepStrictEqual(who, [2, 2])
      yield* made.gate.open
    }).pipe(Effect.scoped)
  )

  it.effect("POOL-06 one key, one member, in order", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, {
        size: 3,
        route: { hash: ({ payload }) => (payload as { readonly key?: string } | undefined)?.key ?? "none" }
      })
      yield* Effect.forEach(
        Array.from({ length: 999 }, (_, job) => job),
        (job) => pool.ref.ask.Do({ job, key: "k" }),
        {
          concurrency: "unbounded"
        }
      )
      assert.strictEqual(new Set(made.log.map(([member]) => member)).size, 1)
      assert.deepStrictEqual(
        made.log.map(([, job]) => job),
        Array.from({ length: 999 }, (_, job) => job)
      )
    }).pipe(Effect.scoped)
  )

  for (const overflow of ["drop-oldest", "drop-newest"] as const) {
    it.effect(`POOL-08 shedding: ${overflow}`, () =>
      Effect.gen(function* () {
        const made = yield* making
        const events: Array<SystemEvent.SystemEvent> = []
        yield* Effect.forkScoped(
          Stream.runForEach(ActorSystem.events, (event) => Effect.sync(() => events.push(event)))
        )
        yield* settle
        const pool = yield* Pool.start(made.behavior, { size: 1, queue: { capacity: 5, overflow } })
        yield* Effect.forkChild(pool.ref.ask.Hold({ job: -1 }))
        yield* settle
        const asks = yield* Effect.forEach(
          Array.from({ length: 10 }, (_, n) => n),
          (job) => Effect.forkChild(Effect.exit(pool.ref.ask.Do({ job })))
        )
        yield* settle
        yield* made.gate.open
        const exits = yield* Effect.forEach(asks, Fiber.join)
        const kept = exits.flatMap((exit, n) => (Exit.isSuccess(exit) ? [n] : []))
        assert.deepStrictEqual(kept, overflow === "drop-oldest" ? [5, 6, 7, 8, 9] : [0, 1, 2, 3, 4])
        const reasons = exits.flatMap((exit) =>
          Exit.isFailure(exit) ? [(Cause.squash(exit.cause) as ActorRef.AskError).reason._tag] : []
        )
        assert.deepStrictEqual(new Set(reasons), new Set(["MailboxFull"]))
        yield* settle
        const dropped = events.filter((event) => event._tag === "MessageDropped")
        assert.deepStrictEqual(
          dropped.map(({ reason, tag }) => [tag, reason]),
          Array.from({ length: 5 }, () => ["Do", overflow])
        )
      }).pipe(Effect.scoped, Effect.provide(ActorSystem.layer()))
    )
  }

  it.effect("POOL-09 a limit of 0 still uses free members", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 1, queue: { capacity: 0, overflow: "reject" } })
      assert.strictEqual(yield* pool.ref.ask.Do({ job: 1 }), 1)
      yield* Effect.forkChild(pool.ref.ask.Hold({ job: 2 }))
      yield* settle
      const error = yield* Effect.flip(pool.ref.ask.Do({ job: 3 }))
      assert.strictEqual(error.reason._tag, "MailboxFull")
      yield* made.gate.open
    }).pipe(Effect.scoped)
  )

  it.effect("POOL-12 a member that hangs is killed and replaced, its job is tried again", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 2, killAfter: "100 millis", retries: 1, intensity: quick })
      const asked = yield* Effect.forkChild(pool.ref.ask.Hold({ job: 1 }))
      yield* settle
      yield* TestClock.adjust("100 millis")
      yield* made.gate.open
      yield* settle
      assert.strictEqual(yield* Fiber.join(asked), 2)
      const stats = yield* pool.stats
      assert.deepStrictEqual([stats.crashed, stats.retried, stats.ready], [1, 1, 2])
    }).pipe(Effect.scoped)
  )

  it.effect("POOL-14 resize keeps keys and work", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, {
        size: 3,
        route: { hash: ({ payload }) => String((payload as { readonly job?: number } | undefined)?.job) }
      })
      const jobs = Array.from({ length: 20 }, (_, job) => job)
      const first = yield* Effect.forEach(jobs, (job) => Effect.forkChild(pool.ref.ask.Hold({ job })))
      yield* settle
      yield* pool.resize({ size: 5, reason: "more" })
      const second = yield* Effect.forEach(jobs, (job) => Effect.forkChild(pool.ref.ask.Do({ job })))
      yield* settle
      yield* pool.resize({ size: 2, reason: "fewer" })
      assert.strictEqual((yield* pool.stats).size, 2)
      const third = yield* Effect.forEach(jobs, (job) => Effect.forkChild(pool.ref.ask.Do({ job })))
      yield* settle
      yield* made.gate.open
      const one = yield* Effect.forEach(first, Fiber.join)
      assert.deepStrictEqual(yield* Effect.forEach(second, Fiber.join), one)
      assert.deepStrictEqual(yield* Effect.forEach(third, Fiber.join), one)
      yield* settle
      const members = yield* pool.members
      assert.strictEqual(members.length, 2)
      const left = yield* Effect.forEach(jobs, (job) => pool.ref.ask.Do({ job }))
      const names = members.map(({ path }) => Number(path.split("/").at(-1)))
      assert.isTrue(left.every((name) => names.includes(name)))
      assert.strictEqual((yield* pool.stats).members.length, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("POOL-17 the first submission runs at once, the others wait, an added member takes one", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 1 })
      for (const job of [1, 2, 3]) yield* Effect.forkChild(pool.ref.ask.Hold({ job }))
      yield* settle
      assert.deepStrictEqual(made.log, [[1, 1]])
      assert.strictEqual((yield* pool.stats).queued, 2)
      yield* pool.resize({ delta: 1, reason: "two wait" })
      yield* settle
      assert.deepStrictEqual(made.log, [
        [1, 1],
        [2, 2]
      ])
      yield* made.gate.open
    }).pipe(Effect.scoped)
  )

  it.effect("POOL-18 an idle member can be taken out, a busy one not, and none added twice", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 1 })
      yield* Effect.forkChild(pool.ref.ask.Hold({ job: 1 }))
      yield* settle
      assert.isTrue(Option.isNone(yield* pool.pop))
      const [member] = yield* pool.members
      assert.strictEqual((yield* Effect.flip(pool.push(member!)))._tag, "AlreadyMember")
      yield* made.gate.open
      yield* settle
      const popped = Option.getOrThrow(yield* pool.pop)
      assert.strictEqual(popped.path, member!.path)
      assert.strictEqual((yield* pool.stats).size, 0)
      const waits = yield* Effect.forkChild(pool.ref.ask.Do({ job: 2 }))
      yield* settle
      yield* pool.push(popped)
      assert.strictEqual(yield* Fiber.join(waits), 1)
    }).pipe(Effect.scoped)
  )
})

describe("crashes", () => {
  it.effect("B9 the request survives the crash of the member that had it, up to a limit", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 2, retries: 2, intensity: quick })
      assert.isNumber(yield* pool.ref.ask.Crash({ times: 2 }))
      const error = yield* Effect.flip(pool.ref.ask.Crash({ times: 3 }))
      assert.strictEqual(error.reason._tag, "HandlerFailed")
      yield* settle
      const stats = yield* pool.stats
      assert.deepStrictEqual([stats.crashed, stats.retried, stats.ready, stats.ongoing], [5, 4, 2, 0])
    }).pipe(Effect.scoped)
  )

  it.effect("without retries the asker is told, and the others go on", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 2, intensity: quick })
      const error = yield* Effect.flip(pool.ref.ask.Crash({ times: 1 }))
      assert.strictEqual(error.reason._tag, "HandlerFailed")
      assert.isNumber(yield* pool.ref.ask.Do({ job: 1 }))
    }).pipe(Effect.scoped)
  )

  it.effect("a tell that was tried in vain is a dead letter with its history", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 2, retries: 1, intensity: quick })
      yield* pool.ref.tell.Die()
      yield* settle
      const letter = (yield* ActorSystem.deadLetters).at(-1)!
      assert.strictEqual(letter.reason._tag, "Poisoned")
      assert.strictEqual((letter.reason as { readonly crashes: ReadonlyArray<unknown> }).crashes.length, 2)
    }).pipe(Effect.scoped, Effect.provide(ActorSystem.layer()))
  )

  it.effect("what waits in the mailbox of a member that is down goes to another", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, {
        size: 2,
        concurrency: 5,
        intensity: quick,
        retries: 0
      })
      const [one] = yield* pool.members
      yield* Effect.forEach([1, 2, 3, 4], (job) => Effect.forkChild(pool.ref.ask.Hold({ job })))
      yield* settle
      yield* Actor.kill(one!)
      yield* made.gate.open
      yield* settle
      assert.strictEqual((yield* pool.stats).ongoing, 0)
      assert.strictEqual(made.log.length, 4)
    }).pipe(Effect.scoped)
  )
})

describe("back-pressure and withdrawal", () => {
  it.effect("senders wait for room in the queue, in order", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 1, queue: { capacity: 1 } })
      const all = yield* Effect.forEach([1, 2, 3, 4], (job) => Effect.forkChild(pool.ref.ask.Hold({ job })))
      yield* settle
      assert.strictEqual((yield* pool.stats).queued, 1)
      yield* made.gate.open
      yield* Effect.forEach(all, Fiber.join)
      assert.deepStrictEqual(
        made.log.map(([, job]) => job),
        [1, 2, 3, 4]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("R10 an asker that leaves takes its request out of the queue", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 1 })
      const all = yield* Effect.forEach([1, 2, 3], (job) => Effect.forkChild(pool.ref.ask.Hold({ job })))
      yield* settle
      yield* Fiber.interrupt(all[1]!)
      yield* made.gate.open
      yield* Fiber.join(all[2]!)
      assert.deepStrictEqual(
        made.log.map(([, job]) => job),
        [1, 3]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("a pool that is suspended keeps what comes; drained, it finishes and ends", () =>
    Effect.gen(function* () {
      const made = yield* making
      const pool = yield* Pool.start(made.behavior, { size: 2, restart: "temporary" })
      yield* Actor.suspend(pool.ref)
      const waits = yield* Effect.forEach([1, 2, 3], (job) => Effect.forkChild(pool.ref.ask.Hold({ job })))
      yield* settle
      assert.deepStrictEqual(made.log, [])
      yield* Actor.resume(pool.ref)
      yield* settle
      assert.strictEqual(made.log.length, 2)
      const drained = yield* Effect.forkChild(Actor.drain(pool.ref))
      yield* settle
      const refused = yield* Effect.flip(pool.ref.ask.Do({ job: 9 }))
      assert.strictEqual(refused.reason._tag, "NotRunning")
      yield* made.gate.open
      yield* Effect.forEach(waits, Fiber.join)
      yield* Fiber.join(drained)
      assert.strictEqual(made.log.length, 3)
    }).pipe(Effect.scoped)
  )
})
