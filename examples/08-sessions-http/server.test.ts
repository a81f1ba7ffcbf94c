/** The whole app on a real port, in real time, with threads: nothing is lost on any of the ways there. */
import { assert, describe, it } from "@effect/vitest"
import { Array, Effect, Exit, Fiber, Layer, References, Schedule, Scope } from "effect"
import { Actor, Pool } from "effect-otp"
import type { HttpClient } from "effect/http"
import type { Worker } from "node:worker_threads"
import { type Answer, compute, get, overNetwork } from "./client.ts"
import { digest } from "./digest.ts"
import { Models } from "./models.ts"
import { server } from "./server.ts"
import { Inference, type Options, type Sessions } from "./sessions.ts"
import { inThread } from "./threads.ts"

type App = Inference | Sessions | Models | HttpClient.HttpClient

/** With the app on a port of its own, and a client of it. */
const serving =
  (models: Layer.Layer<Models>, options?: Options) =>
  <A, E>(body: Effect.Effect<A, E, App>) =>
    body.pipe(
      Effect.provide(overNetwork.pipe(Layer.provideMerge(server(0, options)), Layer.provideMerge(models)), {
        local: true
      }),
      Effect.provideService(References.MinimumLogLevel, "None")
    )

const lossy: Options = { members: 3, retries: Infinity, intensity: { restarts: 1_000, within: "1 second" } }
const threads = Models.layer(inThread({ rounds: 100_000 }))

const inputs = Array.range(1, 20)

/** Sessions side by side, each from its first step to its last. */
const sessions = (count: number) =>
  Effect.forEach(Array.range(1, count), (n) => Effect.forEach(inputs, (input) => compute(`session-${n}`, input + n)), {
    concurrency: "unbounded"
  })

/** Every step was answered, counted once, and computed from the one before. */
const assertComplete = (all: ReadonlyArray<ReadonlyArray<Answer>>) => {
  for (const [n, answers] of all.entries()) {
    let memory = 0
    const expected = inputs.map((input) => {
      memory = digest(memory, input + n + 1)
      return [200, { session: `session-${n + 1}`, steps: input, memory }]
    })
    assert.deepStrictEqual(
      answers.map(({ body, status }) => [status, body]),
      expected
    )
  }
}

describe("B10 on a real port", () => {
  it.live("B9 while members are killed, each request is answered, once", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.of(Inference)
      const running = yield* Effect.forkChild(sessions(10), { startImmediately: true })
      const members = yield* pool.members
      for (const [n, member] of [...members, ...members].entries()) {
        yield* Effect.repeat(pool.stats, { until: ({ handled }) => handled > 25 * n, schedule: Schedule.spaced(1) })
        yield* Actor.kill(member)
      }
      assertComplete(yield* Fiber.join(running))
      const { crashed, handled, retried } = yield* pool.stats
      assert.isAbove(crashed, 0)
      assert.deepStrictEqual([handled - crashed, retried], [10 * inputs.length, crashed])
    }).pipe(serving(Models.simulated({ load: 5, infer: 5 }), lossy))
  )

  it.live("models in threads of their own; a thread that dies takes no request along", () =>
    Effect.gen(function* () {
      const created: Array<Worker> = []
      const note = (worker: Worker) => void created.push(worker)
      yield* Effect.acquireRelease(
        Effect.sync(() => process.on("worker", note)),
        () => Effect.sync(() => process.off("worker", note))
      )
      yield* Effect.gen(function* () {
        const pool = yield* Pool.of(Inference)
        const { counts } = yield* Models
        const running = yield* Effect.forkChild(sessions(4), { startImmediately: true })
        yield* Effect.repeat(pool.stats, { until: ({ handled }) => handled > 20, schedule: Schedule.spaced(1) })
        yield* Effect.promise(() => created[0]!.terminate())
        assertComplete(yield* Fiber.join(running))
        // Its member notices when it is asked next, and gets another.
        yield* Effect.repeat(Effect.andThen(compute("another", 1), counts), { until: ({ loads }) => loads === 4 })
        assert.deepStrictEqual(yield* counts, { loads: 4, held: 3 })
      }).pipe(serving(threads, lossy))
      assert.deepStrictEqual(
        created.map(({ threadId }) => threadId),
        [-1, -1, -1, -1]
      )
    })
  )

  it.live(
    "it ends after the last request has been answered, and gives the models back",
    () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const layer = overNetwork.pipe(
          Layer.provideMerge(server(0, { members: 1 })),
          Layer.provideMerge(Models.simulated({ load: 1, infer: 50 }))
        )
        const app = yield* Layer.buildWithScope(Layer.fresh(layer), scope)
        const asked = yield* Effect.forkChild(Effect.provideContext(compute("ann", 42), app))
        const { stats } = yield* Effect.provideContext(Pool.of(Inference), app)
        yield* Effect.repeat(stats, { until: ({ ongoing }) => ongoing === 1, schedule: Schedule.spaced(1) })
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual((yield* Fiber.join(asked)).body, { session: "ann", steps: 1, memory: 42 })
        const { counts } = yield* Effect.provideContext(Models, app)
        assert.deepStrictEqual(yield* counts, { loads: 1, held: 0 })
        const refused = yield* Effect.flip(Effect.provideContext(get("/health"), app))
        assert.strictEqual(refused.reason._tag, "TransportError")
      }),
    // A connection that was busy when the port was closed is kept for some seconds by its client.
    20_000
  )
})
