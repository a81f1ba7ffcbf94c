/** The app without a network, in virtual time: what is promised of many sessions on few models, and of each answer. */
import { assert, describe, it } from "@effect/vitest"
import { Array, Duration, Effect, Fiber, Layer, Random, Ref, References } from "effect"
import { Actor, Pool, Supervisor } from "effect-otp"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { type Answer, compute, get, post } from "./client.ts"
import { digest } from "./digest.ts"
import { ModelLost, Models } from "./models.ts"
import { Inference, type Options, Sessions, Tree } from "./sessions.ts"
import { Web } from "./web.ts"

/** Answers requests in this process. */
const inMemory = Layer.effect(
  HttpClient.HttpClient,
  Effect.gen(function* () {
    const services = yield* Effect.context<Inference | Sessions | Models>()
    const app = yield* HttpRouter.toHttpEffect(Web)
    const client = HttpClient.make((request) =>
      app.pipe(
        Effect.map((response) => HttpServerResponse.toClientResponse(response, { request })),
        Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromClientRequest(request)),
        Effect.scoped,
        Effect.provideContext(services),
        Effect.orDie
      )
    )
    return HttpClient.mapRequest(client, HttpClientRequest.prependUrl("http://localhost"))
  })
)

type App = Inference | Sessions | Models | HttpClient.HttpClient

const LOAD = 2_000
const INFER = 100

interface Serving extends Options {
  readonly load?: number
  /** Instead of models that wait. */
  readonly models?: Layer.Layer<Models>
}

/** The app, once its models are loaded. It ends with the Scope. */
const started = Effect.fnUntraced(function* ({ load = LOAD, models, ...options }: Serving) {
  const held = models ?? Models.simulated({ load, infer: INFER })
  const layer = inMemory.pipe(Layer.provideMerge(Supervisor.layer(Tree(options))), Layer.provideMerge(held))
  const building = yield* Effect.forkChild(Layer.build(Layer.fresh(layer)), { startImmediately: true })
  yield* TestClock.adjust(load)
  return yield* Fiber.join(building)
})

/** With the app running. */
const serving =
  (options: Serving = {}) =>
  <A, E>(body: Effect.Effect<A, E, App>) =>
    Effect.flatMap(started(options), (app) => Effect.provideContext(body, app)).pipe(
      Effect.scoped,
      Effect.provideService(References.MinimumLogLevel, "None")
    )

/** What it comes to, and the milliseconds it takes. */
const timed = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkChild(Effect.timed(effect), { startImmediately: true })
  yield* TestClock.adjust("10 minutes")
  const [took, result] = yield* Fiber.join(fiber)
  return [Duration.toMillis(took), result] as const
})

/** Lets everything happen that takes no time. */
const settle = TestClock.adjust(0)

const inputs = Array.range(1, 10)
const digested = inputs.reduce((memory, input) => digest(memory, input), 0)

/** A session from its first step to its last. */
const session = (name: string) => Effect.forEach(inputs, (input) => compute(name, input))

const names = (count: number) => Array.makeBy(count, (n) => `session-${n}`)
const together = (count: number) => Effect.forEach(names(count), session, { concurrency: "unbounded" })
const oneByOne = (count: number) => Effect.forEach(names(count), session)

/** Every step was answered, counted once, and computed from the one before. */
const assertComplete = (sessions: ReadonlyArray<ReadonlyArray<Answer>>) => {
  for (const answers of sessions) {
    assert.deepStrictEqual(
      answers.map(({ body, status }) => [status, (body as { readonly steps?: number }).steps]),
      inputs.map((n) => [200, n])
    )
    assert.strictEqual((answers.at(-1)!.body as { readonly memory: number }).memory, digested)
  }
}

const statusesOf = (answers: ReadonlyArray<Answer>) => answers.map(({ status }) => status)

describe("many sessions on few models", () => {
  it.effect("B11 ten sessions on two members take half of what they take one after the other", () =>
    Effect.gen(function* () {
      const [alone, first] = yield* serving({ members: 1 })(timed(oneByOne(10)))
      const [shared, second] = yield* serving({ members: 2 })(timed(together(10)))
      assertComplete(first)
      assertComplete(second)
      assert.deepStrictEqual([alone, shared], [10 * 10 * INFER, (10 * 10 * INFER) / 2])
    })
  )

  it.effect("B11 n members are n times as fast", () =>
    Effect.gen(function* () {
      for (const members of [1, 2, 4, 8, 16]) {
        const [took, answers] = yield* serving({ members })(timed(together(16)))
        assertComplete(answers)
        assert.strictEqual(took, (16 * 10 * INFER) / members)
      }
    })
  )

  it.effect("B11 a model of its own for each request takes 21 times as long as a pool that has loaded them", () =>
    Effect.gen(function* () {
      const each = Effect.scoped(Models.use(({ load }) => Effect.flatMap(load, (model) => model.infer(0, 1))))
      const [perRequest] = yield* serving({})(timed(Effect.all(Array.replicate(each, 20), { concurrency: 2 })))
      const [pooled] = yield* serving({ members: 2 })(timed(together(2)))
      assert.strictEqual(perRequest / pooled, (LOAD + INFER) / INFER)
    })
  )

  it.effect("B1 a model is loaded once for each member, and given back with the app", () =>
    Effect.gen(function* () {
      const [models, stats] = yield* Effect.gen(function* () {
        yield* timed(together(10))
        return [yield* Models, yield* (yield* Pool.of(Inference)).stats] as const
      }).pipe(serving({ members: 2 }))
      assert.deepStrictEqual(yield* models.counts, { loads: 2, held: 0 })
      assert.deepStrictEqual(
        stats.members.map(({ handled }) => handled),
        [50, 50]
      )
    })
  )

  it.effect("B1 a member knows of no session: whoever is free goes on with it", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.of(Inference)
      const handled = Effect.map(pool.stats, ({ members }) => members.map((member) => member.handled))
      const [, ann] = yield* timed(session("ann"))
      assertComplete([ann])
      assert.deepStrictEqual(yield* handled, [5, 5])
    }).pipe(serving({ members: 2 }))
  )

  it.effect("a session takes its requests one after the other, while others go on", () =>
    Effect.gen(function* () {
      const crowd = Effect.forEach(inputs, (input) => compute("ann", input), { concurrency: "unbounded" })
      const [took, [ann, bob]] = yield* timed(Effect.all([crowd, session("bob")], { concurrency: 2 }))
      assertComplete([ann, bob])
      assert.strictEqual(took, 10 * INFER)
    }).pipe(serving({ members: 2 }))
  )
})

describe("members that are lost", () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    it.effect(`B9 while members are killed all the time, each request is answered, once (seed ${seed})`, () =>
      Effect.gen(function* () {
        const pool = yield* Pool.of(Inference)
        const killing = Effect.gen(function* () {
          yield* Effect.sleep(yield* Random.nextIntBetween(1, 300))
          const members = yield* pool.members
          yield* Actor.kill(members[yield* Random.nextIntBetween(0, members.length, { halfOpen: true })]!)
        })
        const [, answers] = yield* timed(Effect.raceFirst(together(20), Effect.forever(killing)))
        assertComplete(answers)
        const { crashed, ongoing, queued, retried } = yield* pool.stats
        assert.isAbove(crashed, 5)
        assert.deepStrictEqual([ongoing, queued, retried], [0, 0, crashed])
      }).pipe(
        serving({ members: 4, load: 200, retries: Infinity, intensity: { restarts: 100, within: "1 second" } }),
        Random.withSeed(seed)
      )
    )
  }

  it.effect("a request that is lost more often than it may be is a 503, and its session is as before", () =>
    Effect.gen(function* () {
      yield* timed(compute("ann", 1))
      const asked = yield* Effect.forkChild(compute("ann", 2), { startImmediately: true })
      for (let loss = 0; loss < 2; loss++) {
        yield* TestClock.adjust(INFER / 2)
        const [member] = yield* (yield* Pool.of(Inference)).members
        yield* Actor.kill(member!)
        yield* TestClock.adjust(LOAD + 20)
      }
      assert.strictEqual((yield* Fiber.join(asked)).status, 503)
      const [, next] = yield* timed(compute("ann", 2))
      assert.deepStrictEqual(next.body, { session: "ann", steps: 2, memory: digest(digest(0, 1), 2) })
    }).pipe(serving({ members: 1, retries: 1 }))
  )

  /** Models that the input 7 breaks. */
  const brittle = Models.layer(
    Effect.succeed({
      infer: (memory, input) =>
        input === 7 ? Effect.fail(new ModelLost({ reason: "seven" })) : Effect.succeed(digest(memory, input))
    })
  )

  it.effect("a request that crashes whoever has it is a 500, and others are answered all the same", () =>
    Effect.gen(function* () {
      const crowd = Effect.forEach(inputs, (input) => compute(`session-${input}`, input), { concurrency: "unbounded" })
      const [, answers] = yield* timed(crowd)
      assert.deepStrictEqual(
        statusesOf(answers),
        inputs.map((input) => (input === 7 ? 500 : 200))
      )
      const { crashed, retried } = yield* (yield* Pool.of(Inference)).stats
      assert.deepStrictEqual([crashed, retried], [3, 2])
    }).pipe(serving({ models: brittle }))
  )

  it.effect("ten of them do not take the pool along", () =>
    Effect.gen(function* () {
      const [, bad] = yield* timed(Effect.all(Array.replicate(compute("bad", 7), 10)))
      assert.deepStrictEqual(statusesOf(bad), Array.replicate(500, 10))
      assert.strictEqual((yield* timed(compute("ann", 1)))[1].status, 200)
      // One for each of 30 crashes, besides the first two: none was lost with a pool.
      assert.deepStrictEqual(yield* (yield* Models).counts, { loads: 32, held: 2 })
    }).pipe(serving({ models: brittle }))
  )

  it.effect("a member that hangs is killed, and its request is begun anew", () =>
    Effect.gen(function* () {
      const [took, answer] = yield* timed(compute("ann", 42))
      assert.deepInclude(answer.body, { steps: 1, memory: 42 })
      assert.strictEqual(took, 20_000)
    }).pipe(
      serving({
        members: 2,
        models: Layer.unwrap(
          Effect.map(Ref.make(true), (hangs) =>
            Models.layer(
              Effect.succeed({
                infer: (memory, input) =>
                  Effect.flatMap(Ref.getAndSet(hangs, false), (first) =>
                    first ? Effect.never : Effect.succeed(digest(memory, input))
                  )
              })
            )
          )
        )
      })
    )
  )

  it.effect("a pool that has lost too many is started anew, and what waited is answered", () =>
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(together(10), { startImmediately: true })
      yield* TestClock.adjust(INFER / 2)
      for (const member of yield* (yield* Pool.of(Inference)).members) yield* Actor.kill(member)
      yield* TestClock.adjust("10 minutes")
      const answers = Array.flatten(yield* Fiber.join(running))
      assert.deepStrictEqual(new Set(statusesOf(answers)), new Set([200]))
    }).pipe(serving({ members: 2, intensity: { restarts: 1, within: "1 minute" } }))
  )
})

describe("GET /health", () => {
  it.effect("tells a pool without ready members from one that has lost some", () =>
    Effect.gen(function* () {
      const health = Effect.map(get("/health"), ({ body, status }) => [status, body])
      assert.deepStrictEqual(yield* health, [200, { status: "healthy", ready: 2, size: 2 }])
      const [one, other] = yield* (yield* Pool.of(Inference)).members
      yield* Actor.kill(one!)
      yield* settle
      assert.deepStrictEqual(yield* health, [200, { status: "degraded", ready: 1, size: 2 }])
      yield* Actor.kill(other!)
      yield* settle
      assert.deepStrictEqual(yield* health, [503, { status: "unavailable", ready: 0, size: 2 }])
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* health, [200, { status: "healthy", ready: 2, size: 2 }])
    }).pipe(serving({ members: 2 }))
  )
})

describe("POST /compute", () => {
  it.effect("refuses at once what there is no room for, and says when there will be", () =>
    Effect.gen(function* () {
      yield* timed(compute("first", 1))
      const crowd = yield* Effect.forkChild(
        Effect.forEach(names(30), (name) => compute(name, 1), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* settle
      assert.deepInclude(yield* Effect.map(stats, ({ pool }) => pool), { ongoing: 1, queued: 25 })
      const refused = yield* compute("late", 1)
      assert.strictEqual(refused.status, 503)
      // 25 wait, each takes 0.1 s.
      assert.strictEqual(refused.headers["retry-after"], "3")
      assert.include((refused.body as { readonly error: string }).error, "holds 25 messages")
      yield* TestClock.adjust("3 seconds")
      const all = statusesOf(yield* Fiber.join(crowd))
      assert.deepStrictEqual([all.filter((status) => status === 200).length, all.length], [26, 30])
      assert.strictEqual((yield* Effect.map(timed(compute("late", 1)), ([, answer]) => answer)).status, 200)
    }).pipe(serving({ members: 1, queue: 25 }))
  )

  it.effect("what takes too long is a 504, and does not count", () =>
    Effect.gen(function* () {
      const members = yield* (yield* Pool.of(Inference)).members
      for (const member of members) yield* Actor.suspend(member)
      const asked = yield* Effect.forkChild(compute("ann", 1), { startImmediately: true })
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Fiber.join(asked)).status, 504)
      for (const member of members) yield* Actor.resume(member)
      const [, next] = yield* timed(compute("ann", 2))
      assert.deepInclude(next.body, { steps: 1, memory: digest(0, 2) })
    }).pipe(serving({ members: 2 }))
  )

  it.effect("a session that nobody used for half an hour is forgotten", () =>
    Effect.gen(function* () {
      yield* timed(compute("ann", 1))
      assert.strictEqual(yield* Sessions.count, 1)
      yield* TestClock.adjust("31 minutes")
      assert.strictEqual(yield* Sessions.count, 0)
      assert.deepInclude((yield* timed(compute("ann", 1)))[1].body, { steps: 1 })
    }).pipe(serving())
  )

  it.effect("says what is wrong with what it cannot take", () =>
    Effect.gen(function* () {
      const bad: ReadonlyArray<readonly [body: string, error: string]> = [
        ["{", "the body is not JSON"],
        ['{ "session": "ann" }', 'Missing key\n  at ["input"]'],
        ['{ "session": "a b", "input": 1 }', 'at ["session"]'],
        ['{ "session": "ann", "input": -1 }', 'at ["input"]'],
        ['{ "session": "ann", "input": 0.5 }', 'at ["input"]']
      ]
      for (const [body, error] of bad) {
        const answer = yield* post("/compute", body)
        assert.strictEqual(answer.status, 400, body)
        assert.include((answer.body as { readonly error: string }).error, error, body)
      }
      assert.strictEqual(yield* Sessions.count, 0)
    }).pipe(serving())
  )
})

const stats = Effect.map(
  get("/stats"),
  ({ body }) => body as never as { readonly pool: Pool.Stats; readonly models: object; readonly sessions: number }
)

describe("GET /stats", () => {
  it.effect("B1 tells of the pool, its models and the sessions", () =>
    Effect.gen(function* () {
      yield* timed(together(3))
      const { models, pool, sessions } = yield* stats
      assert.deepStrictEqual(models, { loads: 2, held: 2 })
      assert.strictEqual(sessions, 3)
      assert.deepInclude(pool, { size: 2, ready: 2, handled: 30, queued: 0, crashed: 0 })
      assert.deepInclude(pool.run, { count: 30, mean: INFER })
    }).pipe(serving({ members: 2 }))
  )
})
