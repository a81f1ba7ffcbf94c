/**
 * The app of `examples/08-sessions-http` in a process of its own, for the headline's benchmark; or what it is compared with, an
 * app that loads a model for each request. Says its port to the process that forked it, and ends with it.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Duration, Effect, Layer, Random, References, Semaphore } from "effect"
import { Actor, Backoff, Pool } from "effect-otp"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { digest, effort } from "../../examples/08-sessions-http/digest.ts"
import { Models } from "../../examples/08-sessions-http/models.ts"
import { server } from "../../examples/08-sessions-http/server.ts"
import { Inference } from "../../examples/08-sessions-http/sessions.ts"
import { inThread } from "../../examples/08-sessions-http/threads.ts"

/** What is to be served. Times are milliseconds. */
export interface Config {
  readonly members: number
  /** Models that wait, that compute in threads of their own, or that compute in the thread of the app. */
  readonly models:
    | { readonly kind: "waiting"; readonly load: number; readonly infer: number }
    | { readonly kind: "threads" | "here"; readonly rounds: number }
  /** Instead of a pool: each request loads a model of its own, `members` at a time. */
  readonly perRequest?: boolean
  /** Kills a member at random, this often on average, all the time. */
  readonly killEvery?: number
}

const config = JSON.parse(process.argv[2]!) as Config

const modelsOf = ({ models }: Config): Layer.Layer<Models> => {
  switch (models.kind) {
    case "waiting":
      return Models.simulated(models)
    case "threads":
      return Models.layer(inThread(models))
    case "here":
      return Models.layer(
        Effect.succeed({
          // The result is looked at, or the loop might be optimised away.
          infer: (memory, input) => Effect.sync(() => digest(memory, effort(models.rounds) === 0.5 ? 0 : input))
        })
      )
  }
}

/** A function per request, the way it is without a pool. */
const perRequest = Layer.unwrap(
  Effect.gen(function* () {
    const models = yield* Models
    const places = yield* Semaphore.make(config.members)
    const sessions = new Map<string, { readonly steps: number; readonly memory: number }>()
    const compute = Effect.gen(function* () {
      const body = (yield* (yield* HttpServerRequest.HttpServerRequest).json) as {
        readonly session: string
        readonly input: number
      }
      const { memory, steps } = sessions.get(body.session) ?? { memory: 0, steps: 0 }
      const model = yield* models.load
      const next = { steps: steps + 1, memory: yield* model.infer(memory, body.input) }
      sessions.set(body.session, next)
      return HttpServerResponse.jsonUnsafe({ session: body.session, ...next })
    }).pipe(Effect.scoped, places.withPermit)
    return HttpRouter.serve(HttpRouter.add("POST", "/compute", compute), {
      disableLogger: true,
      disableListenLog: true
    }).pipe(Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })))
  })
)

const app = server(0, {
  members: config.members,
  queue: 10_000,
  retries: Infinity,
  intensity: { restarts: 1_000, within: "1 second" },
  // Those that are killed all the time would otherwise stay away for longer and longer.
  backoff: Backoff.exponential({ min: "10 millis", max: "50 millis" })
})

const kills = (every: number) =>
  Effect.gen(function* () {
    const pool = yield* Pool.of(Inference)
    return yield* Effect.gen(function* () {
      yield* Effect.sleep(Duration.millis(yield* Random.nextBetween(0, 2 * every)))
      const members = yield* pool.members
      yield* Actor.kill(members[yield* Random.nextIntBetween(0, members.length, { halfOpen: true })]!)
    }).pipe(Effect.forever)
  })

const tell = Effect.flatMap(HttpServer.HttpServer, ({ address }) =>
  Effect.sync(() => process.send!({ port: (address as { readonly port: number }).port }))
)

const pooled = Effect.andThen(tell, config.killEvery === undefined ? Effect.never : kills(config.killEvery)).pipe(
  Effect.provide(app)
)
const alone = Effect.andThen(tell, Effect.never).pipe(Effect.provide(perRequest))

process.on("disconnect", () => process.exit())
await (config.perRequest === true ? alone : pooled).pipe(
  Effect.provide(modelsOf(config)),
  Effect.provideService(References.MinimumLogLevel, "None"),
  Effect.runPromise
)
