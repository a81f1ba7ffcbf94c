/** The web in front of it: three routes, and what each failure is in HTTP. */
import { ByteSize, Effect, Layer, Schema } from "effect"
import { ActorRef, Pool } from "effect-otp"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Models } from "./models.ts"
import { Inference, Sessions } from "./sessions.ts"

/** How long a request may take in all, waiting and computing. */
const LIMIT = "30 seconds"

const Step = Schema.Struct({
  session: Schema.String.check(Schema.isPattern(/^[\w-]{1,64}$/)),
  input: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))
})

const poolStats = Effect.flatMap(Pool.of(Inference), ({ stats }) => stats)

const refuse = (status: number, error: string, headers = {}) =>
  HttpServerResponse.jsonUnsafe({ error }, { status, headers })

/** A 503 with the seconds after which there should be room: what waits, shared out among those who are ready. */
const tryLater = Effect.fnUntraced(function* (error: string) {
  const { queued, ready, run } = yield* poolStats
  const seconds = Math.ceil((queued * run.mean) / Math.max(1, ready) / 1_000)
  return refuse(503, error, { "retry-after": `${Math.min(60, Math.max(1, seconds))}` })
})

/** Nobody answered: the session, or the pool that it asked. Only what is a mistake of ours is a 500. */
const unanswered = ({ reason }: ActorRef.AskError) => {
  switch (reason._tag) {
    case "HandlerFailed":
    case "AskedItself":
      return Effect.succeed(refuse(500, "the request could not be computed: whoever had it has crashed"))
    case "Timeout":
      return Effect.succeed(refuse(504, reason.message))
    default:
      return tryLater(reason.message)
  }
}

const compute = Effect.gen(function* () {
  const { input, session } = yield* HttpServerRequest.schemaBodyJson(Step)
  const progress = yield* Sessions.at(session).pipe(
    Effect.flatMap((ref) => ActorRef.withTimeout(ref, LIMIT).ask.Compute({ input })),
    // A session that nobody used for long may end just when somebody does: it is started anew.
    Effect.retry({ while: (error) => error._tag === "AskError" && error.reason._tag === "NotRunning", times: 1 })
  )
  return HttpServerResponse.jsonUnsafe({ session, ...progress })
}).pipe(
  Effect.catchTags({
    SchemaError: (error) => Effect.succeed(refuse(400, error.message)),
    HttpServerError: () =>
      Effect.succeed(refuse(400, "the body is not JSON, or larger than 4 KiB: send { session, input }")),
    AskError: unanswered,
    MaxChildrenReached: () => tryLater("there are too many sessions"),
    StartFailed: () => tryLater("the session could not be started"),
    SupervisorNotRunning: () => tryLater("the sessions are being started anew")
  }),
  Effect.provideService(HttpServerRequest.MaxBodySize, ByteSize.kibibytes(4))
)

const stats = Effect.gen(function* () {
  const models = yield* Models
  return HttpServerResponse.jsonUnsafe({
    pool: yield* poolStats,
    models: yield* models.counts,
    sessions: yield* Sessions.count
  })
})

/** Whoever sends requests here needs one member that takes them. A pool that has lost some goes on, more slowly. */
const health = Effect.gen(function* () {
  const { ready, size } = yield* poolStats
  const status = ready === 0 ? "unavailable" : ready < size ? "degraded" : "healthy"
  return HttpServerResponse.jsonUnsafe({ status, ready, size }, { status: ready === 0 ? 503 : 200 })
})

/** The routes. Whoever serves them provides the tree and the models. */
export const Web = Layer.mergeAll(
  HttpRouter.add("POST", "/compute", compute),
  HttpRouter.add("GET", "/stats", stats),
  HttpRouter.add("GET", "/health", health)
)
