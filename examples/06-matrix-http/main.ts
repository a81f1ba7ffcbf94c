/**
 * A matrix service on a free port, and a client that tries it: many products at once, a bad one, too many, and a crash.
 * With a port, `main.ts 8080`, it serves there until it is stopped.
 */
import { Array, Console, Effect, Fiber, Latch, Layer, References } from "effect"
import { Actor } from "effect-otp"
import { FetchHttpClient, HttpServer } from "effect/http"
import { type Answer, get, multiply } from "./client.ts"
import { Matrix } from "./matrix.ts"
import { server } from "./server.ts"

const CAPACITY = 100
const EXTRA = 20
const turn = (angle: number) => [
  [Math.cos(angle), -Math.sin(angle)],
  [Math.sin(angle), Math.cos(angle)]
]

const show = ({ body, status }: Answer) => `${status} ${JSON.stringify(body)}`
const statuses = (answers: ReadonlyArray<Answer>) =>
  Object.entries(Array.groupBy(answers, ({ status }) => `${status}`)).map(
    ([status, all]) => `${all.length} × ${status}`
  )
/** So many products at once; `answered` sees each answer as it comes. */
const many = (count: number, answered: (answer: Answer) => Effect.Effect<unknown> = () => Effect.void) =>
  Effect.forEach(Array.range(1, count), (i) => Effect.tap(multiply(turn(i), turn(-i)), answered), {
    concurrency: "unbounded"
  })

const program = Effect.gen(function* () {
  yield* HttpServer.addressFormattedWith((address) => Console.log(`listening on ${address}`))
  const matrix = yield* Matrix
  yield* Console.log("a product:      ", show(yield* multiply([[1, 2, 3]], [[4], [5], [6]])))
  yield* Console.log("a bad one:      ", show(yield* multiply([[1, 2, 3]], [[4], [5]])))
  yield* Console.log("50 at once:     ", ...statuses(yield* many(50)))

  // Nothing is taken up while it is suspended, so that the mailbox fills: whoever comes then is told at once.
  yield* Actor.suspend(matrix)
  const refused = yield* Latch.make()
  let full = 0
  const count = ({ status }: Answer) => (status === 503 && ++full === EXTRA ? refused.open : Effect.void)
  const crowd = yield* Effect.forkChild(many(CAPACITY + EXTRA, count))
  yield* refused.await
  yield* Actor.resume(matrix)
  yield* Console.log(`${CAPACITY + EXTRA} at once:    `, ...statuses(yield* Fiber.join(crowd)))

  yield* Actor.kill(matrix)
  yield* Console.log("after a crash:  ", show(yield* multiply([[2]], [[21]])))
  yield* Console.log("health:         ", show(yield* get("/health")))
  yield* Console.log("stats:          ", show(yield* get("/stats")))
})

const port = process.argv[2]
const app =
  port === undefined
    ? Effect.provide(program, Layer.merge(server(0, { capacity: CAPACITY }), FetchHttpClient.layer))
    : Layer.launch(server(Number(port)))
await Effect.runPromise(Effect.provideService(app, References.MinimumLogLevel, "None"))
