/** Pools: what goes wrong, what scales, and how many things at once. */
import { assert, describe, it } from "@effect/vitest"
import { Data, Duration, Effect, Exit, Fiber, Latch, Layer, Option, Schema, Scope, Stream } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import {
  Actor,
  ActorRef,
  ActorSystem,
  Interceptor,
  Interceptors,
  PartitionSupervisor,
  Pool,
  Supervisor
} from "effect-otp"

class Broken extends Data.TaggedError("Broken")<{ readonly code: number }> {}

class Unit extends Actor.Service<Unit>()("test/Unit", {
  Square: { payload: { n: Schema.Int }, success: Schema.Int },
  Take: { payload: { n: Schema.Int, millis: Schema.Int }, success: Schema.Int },
  Batch: { payload: { numbers: Schema.Array(Schema.Int) }, success: Schema.Array(Schema.Int) },
  Fail: {}
}) {}

/** Counts what is alive. */
const making = (load: Duration.Input = 0) => {
  const seen = { built: 0, alive: 0, most: 0, busy: 0, mostBusy: 0 }
  const behavior = Unit.behavior(
    Effect.gen(function* () {
      if (Duration.toMillis(load) > 0) yield* Effect.sleep(load)
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          seen.built++
          seen.most = Math.max(seen.most, ++seen.alive)
        }),
        () => Effect.sync(() => seen.alive--)
      )
      return Unit.of({
        Square: ({ n }) => n * n,
        Take: ({ millis, n }) =>
          Effect.gen(function* () {
            seen.mostBusy = Math.max(seen.mostBusy, ++seen.busy)
            yield* Effect.sleep(millis)
            seen.busy--
            return n
          }),
        Batch: ({ numbers }) => numbers.map((n) => n * n),
        Fail: () => Effect.fail(new Broken({ code: 1 }))
      })
    })
  )
  return { seen, behavior }
}

const settle = Effect.gen(function* () {
  for (let i = 0; i < 30; i++) yield* Effect.yieldNow
})

const patient = <A>(ref: ActorRef.ActorRef<A>) => ActorRef.withTimeout(ref, Duration.infinity)

describe("starting and stopping", () => {
  it.effect("members are built side by side, not one after the other", () =>
    Effect.gen(function* () {
      const { behavior, seen } = making("2 seconds")
      const starting = yield* Effect.forkScoped(Pool.start(behavior, { size: 10 }))
      yield* settle
      yield* TestClock.adjust("2 seconds")
      const pool = yield* Fiber.join(starting)
      assert.strictEqual((yield* pool.stats).ready, 10)
      assert.strictEqual(seen.built, 10)
    }).pipe(Effect.scoped)
  )

  it.effect("members that take long to start again do so side by side, and can be stopped meanwhile", () =>
    Effect.gen(function* () {
      const { behavior, seen } = making("2 seconds")
      const scope = yield* Scope.make()
      const starting = yield* Effect.forkScoped(
        Scope.provide(Pool.start(behavior, { size: 4, intensity: { restarts: 100, within: "1 minute" } }), scope)
      )
      yield* settle
      yield* TestClock.adjust("2 seconds")
      const pool = yield* Fiber.join(starting)
      const killAll = Effect.flatMap(pool.members, Effect.forEach(Actor.kill))
      yield* killAll
      yield* settle
      assert.strictEqual((yield* pool.stats).ready, 0)
      yield* TestClock.adjust("2 seconds")
      yield* settle
      assert.deepStrictEqual([(yield* pool.stats).ready, seen.built], [4, 8])
      yield* killAll
      yield* settle
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([seen.built, seen.alive], [8, 0])
    }).pipe(Effect.scoped)
  )

  it.effect("a member that cannot start is a failed start of the pool, and leaves nothing", () =>
    Effect.gen(function* () {
      let started = 0
      let alive = 0
      class Plain extends Actor.Service<Plain>()("test/Plain", { Go: {} }) {}
      const behavior = Plain.behavior(
        Effect.gen(function* () {
          yield* Effect.acquireRelease(
            Effect.sync(() => alive++),
            () => Effect.sync(() => alive--)
          )
          if (++started === 3) return yield* new Broken({ code: 7 })
          return Plain.of({ Go: () => {} })
        })
      )
      const error = yield* Effect.flip(Effect.scoped(Pool.start(behavior, { size: 4 })))
      assert.strictEqual(error._tag, "StartFailed")
      assert.include(error.message, "members: child 3")
      assert.strictEqual(alive, 0)
    })
  )

  it.effect("B10 when its Scope closes every member has released what it had", () =>
    Effect.gen(function* () {
      const { behavior, seen } = making()
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(Pool.start(behavior, { size: 3 }), scope)
      yield* Effect.forkChild(pool.ref.ask.Square({ n: 1 }))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([seen.built, seen.alive], [3, 0])
      const error = yield* Effect.flip(pool.ref.ask.Square({ n: 2 }))
      assert.strictEqual(error.reason._tag, "NotRunning")
    })
  )

  it.effect("without a size there are as many members as cores", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.start(making().behavior)
      assert.strictEqual((yield* pool.stats).size, 3)
    }).pipe(Effect.scoped, Effect.provideService(PartitionSupervisor.DefaultPartitions, 3))
  )

  it.effect("members that crash more often than their budget allows end the pool, with the reason", () =>
    Effect.gen(function* () {
      const { behavior, seen } = making()
      const spec = Pool.child(behavior, { size: 2, intensity: { restarts: 1, within: "1 second" }, id: "pool" })
      const asked = Effect.gen(function* () {
        const unit = yield* Unit
        for (let n = 0; n < 2; n++) yield* unit.tell.Fail()
        return yield* Effect.never
      })
      const exit = yield* Effect.exit(Supervisor.using(spec, asked))
      assert.isTrue(Exit.isFailure(exit))
      const error = Option.getOrThrow(Exit.findErrorOption(exit)) as Supervisor.RestartIntensityExceeded<Broken>
      assert.deepStrictEqual([error._tag, error.path, error.child], ["RestartIntensityExceeded", "pool", "members"])
      assert.strictEqual(seen.alive, 0)
    })
  )
})

describe("bad input is refused before anything starts", () => {
  const cases: ReadonlyArray<readonly [options: object, message: string]> = [
    [{ size: 0 }, "size must be a whole number of 1 or more, or { min, max }, got 0"],
    [{ size: { min: 3, max: 2 } }, "size.max must be a whole number of 3 or more, got 2"],
    [{ concurrency: 0.5 }, "concurrency must be a whole number of 1 or more, or Infinity, got 0.5"],
    [{ retries: -1 }, "retries must be a whole number of 0 or more, or Infinity, got -1"],
    [{ killAfter: Number.NaN }, "killAfter must be a duration above 0, got NaN"],
    [{ queue: { capacity: -1 } }, "queue.capacity must be a whole number of 0 or more, or Infinity, got -1"],
    [{ queue: { capacity: 0 } }, "queue.overflow must be another than suspend where nothing may wait, got undefined"],
    [{ route: { sticky: () => "", keys: 0 } }, "route.keys must be a whole number of 1 or more, got 0"]
  ]
  for (const [options, message] of cases) {
    it.effect(message, () =>
      Effect.gen(function* () {
        const { behavior, seen } = making()
        const error = yield* Effect.flip(Effect.scoped(Pool.start(behavior, options)))
        assert.include(error.message, message)
        assert.strictEqual(seen.built, 0)
      })
    )
  }

  it.effect("a ref that is no pool's", () =>
    Effect.gen(function* () {
      const unit = yield* Actor.spawn(making().behavior)
      const error = yield* Effect.flip(Pool.of(unit))
      assert.match(error.message, /^test\/Unit#\d+ is no pool: list it with Pool.child, or start it with Pool.start$/)
    }).pipe(Effect.scoped)
  )

  it.effect("a size that makes no sense", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.start(making().behavior, { size: 2 })
      const error = yield* Effect.flip(pool.resize({ size: 1.5, reason: "half" }))
      assert.strictEqual(error.message, "scaling: size must be a whole number of 0 or more, got 1.5")
      assert.strictEqual(yield* pool.resize({ size: 0, reason: "a fixed pool keeps one" }), 1)
    }).pipe(Effect.scoped)
  )
})

describe("how much at once", () => {
  it.effect("a member has as many messages as it may, over all members", () =>
    Effect.gen(function* () {
      const { behavior, seen } = making()
      const pool = yield* Pool.start(behavior, { size: 3 })
      const all = yield* Effect.forEach(
        Array.from({ length: 9 }, (_, n) => n),
        (n) => Effect.forkChild(patient(pool.ref).ask.Take({ n, millis: 100 }))
      )
      yield* settle
      assert.deepStrictEqual(
        yield* Effect.map(pool.stats, ({ free, ongoing, queued, utilisation }) => [free, ongoing, queued, utilisation]),
        [0, 3, 6, 1]
      )
      for (let round = 0; round < 3; round++) yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(yield* Effect.forEach(all, Fiber.join), [0, 1, 2, 3, 4, 5, 6, 7, 8])
      assert.strictEqual(seen.mostBusy, 3)
    }).pipe(Effect.scoped)
  )

  it.effect("R12 waiting and running times are told", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.start(making().behavior, { size: 1 })
      const all = yield* Effect.forEach([1, 2], (n) => Effect.forkChild(patient(pool.ref).ask.Take({ n, millis: 100 })))
      yield* settle
      for (let round = 0; round < 2; round++) yield* TestClock.adjust("100 millis")
      yield* Effect.forEach(all, Fiber.join)
      const { run, wait } = yield* pool.stats
      assert.deepStrictEqual([run.count, run.mean, run.max], [2, 100, 100])
      assert.deepStrictEqual([wait.count, wait.mean, wait.max], [2, 50, 100])
      assert.strictEqual(wait.p50, 0)
      assert.closeTo(wait.p99, 100, 1)
    }).pipe(Effect.scoped)
  )

  it.effect("POOL-11 with a rate limit some pass, the others wait until there are tokens", () =>
    Effect.gen(function* () {
      const limit = Interceptors.rateLimit({ limit: 5, window: "100 millis", onExceeded: "delay", key: () => "all" })
      // Their interceptors are made by each member: what they share is the limiter.
      const limiter = RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))
      yield* Effect.gen(function* () {
        const pool = yield* Pool.start(making().behavior.pipe(Interceptor.apply(limit)), { size: 4 })
        const all = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, n) => n),
          (n) => Effect.forkChild(patient(pool.ref).ask.Square({ n }))
        )
        yield* settle
        const passed: Array<number> = []
        for (let window = 0; window < 6; window++) {
          passed.push(all.filter((fiber) => fiber.pollUnsafe() !== undefined).length)
          yield* TestClock.adjust("100 millis")
          yield* settle
        }
        assert.strictEqual(passed[0], 5)
        assert.isTrue(
          passed.every((count, window) => count <= 5 * (window + 1)),
          passed.join(" ")
        )
        assert.deepStrictEqual(
          yield* Effect.forEach(all, Fiber.join),
          Array.from({ length: 20 }, (_, n) => n * n)
        )
      }).pipe(Effect.scoped, Effect.provide(limiter))
    })
  )
})

describe("R2 submissions", () => {
  it.effect("next in order, next in any order, pending, free", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.start(making().behavior, { size: 2 })
      const jobs = yield* Pool.jobs(pool, (unit, [n, millis]: readonly [number, number]) =>
        patient(unit).ask.Take({ n, millis })
      )
      assert.isTrue(yield* jobs.hasFree)
      yield* jobs.submit([1, 300])
      yield* jobs.submit([2, 100])
      yield* jobs.submit([3, 50])
      assert.strictEqual(yield* jobs.pending, 3)
      yield* settle
      assert.isFalse(yield* jobs.hasFree)
      const got = yield* Effect.forkChild(
        Effect.forEach([jobs.nextUnordered, jobs.next, jobs.next, jobs.next], (next) =>
          Effect.map(next, Option.getOrNull)
        )
      )
      yield* settle
      for (let step = 0; step < 6; step++) yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(yield* Fiber.join(got), [2, 1, 3, null])
      assert.strictEqual(yield* jobs.pending, 0)
    }).pipe(Effect.scoped)
  )

  it.effect("a failure is the result of the one that failed; the others go on", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.start(making().behavior, { size: 2 })
      const jobs = yield* Pool.jobs(pool, (unit, n: number) =>
        Effect.gen(function* () {
          if (n === 2) return yield* new Broken({ code: n })
          return yield* unit.ask.Square({ n })
        })
      )
      for (const n of [1, 2, 3]) yield* jobs.submit(n)
      assert.deepStrictEqual(yield* jobs.next, Option.some(1))
      assert.strictEqual((yield* Effect.flip(jobs.next))._tag, "Broken")
      assert.deepStrictEqual(yield* jobs.next, Option.some(9))
      assert.deepStrictEqual(yield* jobs.nextUnordered, Option.none())
    }).pipe(Effect.scoped)
  )

  it.effect("whoever leaves while waiting takes nothing; what is not taken is withdrawn with the Scope", () =>
    Effect.gen(function* () {
      const { behavior, seen } = making()
      const pool = yield* Pool.start(behavior, { size: 1 })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const jobs = yield* Pool.jobs(pool, (unit, n: number) => patient(unit).ask.Take({ n, millis: 100 }))
          yield* jobs.submit(1)
          yield* jobs.submit(2)
          const waits = yield* Effect.forkChild(jobs.next)
          yield* settle
          yield* Fiber.interrupt(waits)
          assert.strictEqual(yield* jobs.pending, 2)
        })
      )
      yield* TestClock.adjust("1 second")
      const { handled, ongoing, queued } = yield* pool.stats
      assert.deepStrictEqual([handled, ongoing, queued, seen.mostBusy], [1, 0, 0, 1])
    }).pipe(Effect.scoped)
  )

  it.effect("R2 map: in order, or as they are ready", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.start(making().behavior, { size: 4 })
      const slowFirst = [40, 30, 20, 10]
      const mapped = (unordered: boolean) =>
        Effect.gen(function* () {
          const results = yield* Effect.forkChild(
            Stream.runCollect(
              Pool.map(pool, slowFirst, (unit, millis) => patient(unit).ask.Take({ n: millis, millis }), { unordered })
            )
          )
          yield* settle
          for (let step = 0; step < 5; step++) yield* TestClock.adjust("10 millis")
          return yield* Fiber.join(results)
        })
      assert.deepStrictEqual(yield* mapped(false), [40, 30, 20, 10])
      assert.deepStrictEqual(yield* mapped(true), [10, 20, 30, 40])
    }).pipe(Effect.scoped)
  )
})

describe("R3 autoscaling", () => {
  it.effect("R11 mapBatches over a pool that grows with what waits and shrinks afterwards", () =>
    Effect.gen(function* () {
      const { behavior, seen } = making("1 second")
      const starting = yield* Effect.forkScoped(
        Pool.start(behavior, { size: { min: 1, max: 4, upAfter: "2 seconds", downAfter: "10 seconds" } })
      )
      yield* settle
      yield* TestClock.adjust("1 second")
      const pool = yield* Fiber.join(starting)
      assert.strictEqual((yield* pool.stats).size, 1)
      const inputs = Array.from({ length: 64 }, (_, n) => n)
      const collected = yield* Effect.forkChild(
        Stream.runCollect(
          Pool.mapBatches(
            pool,
            inputs,
            (unit, batch) =>
              Effect.as(
                patient(unit).ask.Take({ n: 0, millis: 1_000 }),
                batch.map((n) => n * n)
              ),
            { size: 2 }
          )
        )
      )
      yield* settle
      const sizes: Array<number> = []
      for (let second = 0; second < 30; second++) {
        yield* TestClock.adjust("1 second")
        yield* settle
        sizes.push((yield* pool.stats).size)
      }
      assert.deepStrictEqual(
        yield* Fiber.join(collected),
        inputs.map((n) => n * n)
      )
      assert.strictEqual(Math.max(...sizes), 4)
      assert.strictEqual(sizes.at(-1), 1)
      assert.deepStrictEqual([seen.most, seen.alive], [4, 1])
    }).pipe(Effect.scoped)
  )

  it.effect("POOL-27 to zero, and from zero with the first request", () =>
    Effect.gen(function* () {
      const { behavior, seen } = making()
      const pool = yield* Pool.start(behavior, { size: { min: 0, max: 2, downAfter: "5 seconds" } })
      assert.strictEqual((yield* pool.stats).size, 1)
      for (let second = 0; second < 7; second++) {
        yield* TestClock.adjust("1 second")
        yield* settle
      }
      assert.deepStrictEqual([(yield* pool.stats).size, seen.alive], [0, 0])
      assert.strictEqual(yield* pool.ref.ask.Square({ n: 5 }), 25)
      assert.deepStrictEqual([(yield* pool.stats).size, seen.alive], [1, 1])
    }).pipe(Effect.scoped)
  )

  it.effect("by hand: within bounds, with a reason, and not against the last change unless forced", () =>
    Effect.gen(function* () {
      const { behavior } = making()
      const pool = yield* Pool.start(behavior, { size: { min: 1, max: 3 } })
      assert.strictEqual(yield* pool.resize({ delta: 5, reason: "campaign" }), 3)
      const refused = yield* Effect.flip(pool.resize({ size: 1, reason: "over" }))
      assert.strictEqual(refused._tag, "ScalingTooSoon")
      assert.strictEqual(yield* pool.resize({ size: 1, reason: "over", force: true }), 1)
      yield* settle
      assert.strictEqual((yield* pool.members).length, 1)
    }).pipe(Effect.scoped)
  )
})

it.effect("two pools of one actor under different ids, and their dead letters", () =>
  Effect.gen(function* () {
    const { behavior } = making()
    const one = yield* Pool.start(behavior, { size: 1, id: "one" })
    const two = yield* Pool.start(behavior, { size: 1, id: "two" })
    assert.notStrictEqual(one.ref.path, two.ref.path)
    yield* Actor.kill((yield* one.members)[0]!)
    assert.strictEqual(yield* two.ref.ask.Square({ n: 2 }), 4)
    yield* settle
    assert.strictEqual(yield* one.ref.ask.Square({ n: 2 }), 4)
  }).pipe(Effect.scoped, Effect.provide(ActorSystem.layer()))
)

it.effect("interrupted while it waits in a full queue, a sender leaves nothing behind", () =>
  Effect.gen(function* () {
    const gate = yield* Latch.make()
    class Gate extends Actor.Service<Gate>()("test/Gate", {
      Pass: { payload: { n: Schema.Int }, success: Schema.Int }
    }) {}
    const passed: Array<number> = []
    const behavior = Gate.behavior(
      Effect.succeed(Gate.of({ Pass: ({ n }) => Effect.as(gate.await, (passed.push(n), n)) }))
    )
    for (const route of [undefined, { hash: () => "one" }] as const) {
      const pool = yield* Pool.start(behavior, {
        size: 1,
        queue: { capacity: 1 },
        ...(route === undefined ? undefined : { route })
      })
      yield* gate.close
      passed.length = 0
      const all = yield* Effect.forEach([1, 2, 3, 4], (n) => Effect.forkChild(patient(pool.ref).ask.Pass({ n })))
      yield* settle
      yield* Fiber.interrupt(all[2]!)
      yield* gate.open
      yield* Effect.forEach([all[0]!, all[1]!, all[3]!], Fiber.join)
      yield* settle
      assert.deepStrictEqual(passed, [1, 2, 4])
      const { ongoing, queued } = yield* pool.stats
      assert.deepStrictEqual([ongoing, queued], [0, 0])
    }
  }).pipe(Effect.scoped)
)
