/** Scenarios B9, R4: whatever becomes of the members, a pool that may try again loses no request and answers none twice. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Random, References, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorRef, Pool } from "effect-otp"

class Work extends Actor.Service<Work>()("test/Work", {
  Do: { payload: { job: Schema.Int, millis: Schema.Int }, success: Schema.Int }
}) {}

const HISTORIES = 300
const STEPS = 60

const upTo = (most: number) => Random.nextIntBetween(0, most)
const oneOf = <A>(all: ReadonlyArray<A>) =>
  Effect.map(Random.nextIntBetween(0, all.length, { halfOpen: true }), (index) => all[index])

const routes: ReadonlyArray<Pool.Route<Work>> = [
  "least-loaded",
  "round-robin",
  "random",
  "shorter-of-two",
  { hash: ({ payload }) => payload.job % 5 },
  { sticky: ({ payload }) => payload.job % 5 }
]

/** Members that take `load` milliseconds to make and note what they have done. */
const working = (load: number) => {
  const done = new Map<number, number>()
  const behavior = Work.behavior(
    Effect.gen(function* () {
      if (load > 0) yield* Effect.sleep(load)
      return Work.of({
        Do: Effect.fnUntraced(function* ({ job, millis }) {
          if (millis > 0) yield* Effect.sleep(millis)
          done.set(job, (done.get(job) ?? 0) + 1)
          return job
        })
      })
    })
  )
  return { behavior, done }
}

/** What may happen to a pool, each at some moment of its own. */
const events = (pool: Pool.Pool<Work>): ReadonlyArray<Effect.Effect<unknown>> => {
  const member = Effect.flatMap(pool.members, oneOf)
  const toMember = (act: (ref: ActorRef.ActorRef<Work>) => Effect.Effect<unknown>) =>
    Effect.flatMap(member, (ref) => (ref === undefined ? Effect.void : act(ref)))
  const forAWhile = (ref: ActorRef.ActorRef<Work>) =>
    Effect.andThen(Actor.suspend(ref), Effect.andThen(Effect.sleep(30), Actor.resume(ref)))
  return [
    toMember(Actor.kill),
    toMember(Actor.kill),
    toMember((ref) => Actor.stop(ref, { timeout: "50 millis" })),
    toMember(forAWhile),
    forAWhile(pool.ref),
    Effect.flatMap(upTo(4), (more) => Effect.ignore(pool.resize({ size: 1 + more, reason: "history" }))),
    Effect.flatMap(
      pool.pop,
      Option.match({
        onNone: () => Effect.void,
        onSome: (ref) => Effect.andThen(Effect.sleep(20), Effect.ignore(pool.push(ref)))
      })
    )
  ]
}

const started = Effect.fnUntraced(function* (seed: number) {
  const load = yield* oneOf([0, 60, 200])
  const { behavior, done } = working(load!)
  const starting = yield* Effect.forkChild(
    Pool.start(behavior, {
      size: 1 + (yield* upTo(3)),
      route: routes[seed % routes.length]!,
      concurrency: 1 + (yield* upTo(2)),
      retries: Infinity,
      intensity: { restarts: 10_000, within: "1 second" }
    })
  )
  yield* TestClock.adjust(load!)
  return { done, pool: yield* Fiber.join(starting) }
})

const history = (seed: number) =>
  Effect.gen(function* () {
    const { done, pool } = yield* started(seed)
    const patient = ActorRef.withTimeout(pool.ref, "1 hour")
    const asked: Array<Fiber.Fiber<number, unknown>> = []
    const withdrawn = new Set<number>()
    for (let step = 0; step < STEPS; step++) {
      for (let more = yield* upTo(3); more > 0; more--) {
        const ask = patient.ask.Do({ job: asked.length, millis: 40 * (yield* upTo(3)) })
        asked.push(yield* Effect.forkChild(ask, { startImmediately: (yield* upTo(1)) === 1 }))
      }
      if ((yield* upTo(2)) === 0) yield* Effect.forkChild((yield* oneOf(events(pool)))!)
      if ((yield* upTo(5)) === 0 && asked.length > 0) {
        const job = yield* Random.nextIntBetween(0, asked.length, { halfOpen: true })
        withdrawn.add(job)
        yield* Effect.forkChild(Fiber.interrupt(asked[job]!))
      }
      yield* TestClock.adjust(yield* upTo(60))
    }
    yield* TestClock.adjust("10 minutes")

    for (const [job, fiber] of asked.entries()) {
      const exit = fiber.pollUnsafe()
      if (withdrawn.has(job) && exit !== undefined) continue
      assert.deepStrictEqual([exit, done.get(job)], [Exit.succeed(job), 1], `seed ${seed}, job ${job}`)
    }
    const { crashed, members, ongoing, queued, ready, retried, size } = yield* pool.stats
    assert.deepStrictEqual([ongoing, queued, ready, members.length], [0, 0, size, size], `seed ${seed}`)
    assert.strictEqual(retried, crashed, `seed ${seed}`)
    return crashed
  }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "None"), Random.withSeed(seed))

describe("histories of a pool", () => {
  it.effect(
    `B9 in ${HISTORIES} of them members are killed, stopped, suspended, lent out, hired and dismissed, and no request is lost`,
    () =>
      Effect.gen(function* () {
        const crashed = yield* Effect.forEach(
          Array.from({ length: HISTORIES }, (_, seed) => seed + 1),
          history
        )
        // They are about something.
        assert.isAbove(crashed.filter((count) => count > 0).length, HISTORIES / 2)
      }),
    60_000
  )
})
