/** The web in front of it: three routes, and what each failure is in HTTP. */
import { ByteSize, Effect, Layer, Schema } from "effect"
import type { ActorRef } from "effect-otp"
import { GpuDevice } from "effect-otp/gpu"
import { HttpRouter, type HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Matrix, Stats } from "./matrix.ts"
import { padded, problemWith, Rows, unpadded } from "./rows.ts"

/** A body in KiB at most: two matrices with all digits that numbers can have. */
const LARGEST = 64

const Pair = Schema.Struct({ left: Rows, right: Rows })

const refuse = (status: number, error: string, headers = {}) =>
  HttpServerResponse.jsonUnsafe({ error }, { status, headers })

/** Whether the actor crashed because its device was lost or full: it is on its way back, and the same request may succeed. */
const isLost = (reason: ActorRef.AskError["reason"]): boolean =>
  reason._tag === "HandlerFailed" &&
  reason.cause.reasons.some(
    (part) =>
      part._tag === "Fail" &&
      (part.error instanceof GpuDevice.DeviceLost || part.error instanceof GpuDevice.GpuOutOfMemory)
  )

/** Nobody answered. Only what is a mistake of ours is a 500. */
const unanswered = ({ reason }: ActorRef.AskError) => {
  if (reason._tag === "HandlerFailed" && !isLost(reason)) return refuse(500, reason.message)
  const error = isLost(reason) ? "the device was lost and is opened again: try again" : reason.message
  return refuse(503, error, { "retry-after": "1" })
}

/** A body that could not be read at all. */
const unreadable = ({ reason }: HttpServerError.HttpServerError) =>
  reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
    ? refuse(413, `the body is larger than ${LARGEST} KiB`)
    : refuse(400, "the body is not JSON: send { left, right }, each a list of rows")

const multiply = Effect.gen(function* () {
  const { left, right } = yield* HttpServerRequest.schemaBodyJson(Pair)
  const problem = problemWith(left, right)
  if (problem !== undefined) return refuse(400, problem)
  const matrix = yield* Matrix
  const square = yield* matrix.ask.Multiply({ left: padded(left), right: padded(right) })
  const product = unpadded(square, left.length, right[0].length)
  // JSON has no word for what does not fit into 32 bits.
  if (!product.flat().every(Number.isFinite)) return refuse(400, "the product has numbers too large for 32 bits")
  return HttpServerResponse.jsonUnsafe({ product })
}).pipe(
  Effect.catchTags({
    SchemaError: (error) => Effect.succeed(refuse(400, error.message)),
    HttpServerError: (error) => Effect.succeed(unreadable(error)),
    AskError: (error) => Effect.succeed(unanswered(error))
  }),
  Effect.provideService(HttpServerRequest.MaxBodySize, ByteSize.kibibytes(LARGEST))
)

const stats = Effect.gen(function* () {
  const figures = yield* (yield* Stats).ask.Read()
  return HttpServerResponse.jsonUnsafe({ ...figures, waiting: (yield* Matrix).size })
}).pipe(Effect.catchTag("AskError", (error) => Effect.succeed(unanswered(error))))

const health = Effect.map(Matrix, ({ status }) =>
  HttpServerResponse.jsonUnsafe({ status }, { status: status === "running" ? 200 : 503 })
)

/** The routes. Whoever serves them provides the actors. */
export const Web = Layer.mergeAll(
  HttpRouter.add("POST", "/multiply", multiply),
  HttpRouter.add("GET", "/stats", stats),
  HttpRouter.add("GET", "/health", health)
)
