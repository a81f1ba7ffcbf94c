/**
 * The app on a free port, and a client that tries it: ten sessions at once, a member that is killed under load, a queue that is
 * full, and the end. With a port, `main.ts 8080`, it serves there until it is stopped, each member with a thread of its own.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Array, Console, Duration, Effect, Fiber, Layer, References } from "effect"
import { Actor, Pool } from "effect-otp"
import { type Answer, compute, get, overNetwork, post } from "./client.ts"
import { Models } from "./models.ts"
import { server } from "./server.ts"
import { Inference } from "./sessions.ts"
import { inThread } from "./threads.ts"

const show = ({ body, status }: Answer) => `${status} ${JSON.stringify(body)}`
const statuses = (answers: ReadonlyArray<Answer>) =>
  Object.entries(Array.groupBy(answers, ({ status }) => `${status}`)).map(
    ([status, all]) => `${all.length} × ${status}`
  )

/** Ten sessions at once, each of which sends the next input when it has its answer. */
const tenSessions = (steps: number) =>
  Effect.forEach(
    Array.range(1, 10),
    (n) => Effect.forEach(Array.range(1, steps), (input) => compute(`session-${n}`, input)),
    { concurrency: "unbounded" }
  ).pipe(Effect.map(Array.flatten))

const program = Effect.gen(function* () {
  yield* Console.log("health:           ", show(yield* get("/health")))
  yield* Console.log("a step:           ", show(yield* compute("ann", 42)))
  yield* Console.log("a bad one:        ", show(yield* post("/compute", '{ "session": "ann" }')))

  const [took, answers] = yield* Effect.timed(tenSessions(5))
  yield* Console.log("10 sessions:      ", ...statuses(answers), `in ${Math.round(Duration.toMillis(took))} ms`)

  // Two members, one of which is killed in the middle: its request is begun anew by the other, or by itself once it is back.
  const busy = yield* Effect.forkChild(tenSessions(5), { startImmediately: true })
  yield* Effect.sleep("50 millis")
  const pool = yield* Pool.of(Inference)
  const [victim] = yield* pool.members
  yield* Actor.kill(victim!)
  yield* Console.log("one is killed:    ", show(yield* get("/health")))
  yield* Console.log("and nothing lost: ", ...statuses(yield* Fiber.join(busy)))

  const crowd = yield* Effect.forEach(Array.range(1, 100), (n) => compute(`visitor-${n}`, n), {
    concurrency: "unbounded"
  })
  yield* Console.log("100 at once:      ", ...statuses(crowd))
  const { crashed, handled, retried } = yield* pool.stats
  yield* Console.log("stats:            ", { handled, crashed, retried, ...(yield* (yield* Models).counts) })
})

const simulated = Models.simulated({ load: "200 millis", infer: "20 millis" })
const port = process.argv[2]
const app =
  port === undefined
    ? Effect.provide(
        program,
        overNetwork.pipe(Layer.provideMerge(server(0, { queue: 50 })), Layer.provideMerge(simulated))
      )
    : Layer.launch(server(Number(port)).pipe(Layer.provide(Models.layer(inThread({ rounds: 1_000_000 })))))
// A signal to stop ends it in order: what has been accepted is answered, and the models are given back.
NodeRuntime.runMain(Effect.provideService(app, References.MinimumLogLevel, "None"))
