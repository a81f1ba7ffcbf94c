/** A client of the service: what it sends, and what came back. */
import { Effect } from "effect"
import { HttpBody, HttpClient, HttpServer } from "effect/http"

/** A status and the JSON that came with it. */
export interface Answer {
  readonly status: number
  readonly body: unknown
}

const url = (path: string) => HttpServer.addressFormattedWith((address) => Effect.succeed(`${address}${path}`))

export const get = Effect.fnUntraced(function* (path: string) {
  const response = yield* HttpClient.get(yield* url(path))
  return { status: response.status, body: yield* response.json } satisfies Answer
})

/** Sends text that claims to be JSON. */
export const post = Effect.fnUntraced(function* (path: string, text: string) {
  const body = HttpBody.text(text, "application/json")
  const response = yield* HttpClient.post(yield* url(path), { body })
  return { status: response.status, body: yield* response.json } satisfies Answer
})

type Rows = ReadonlyArray<ReadonlyArray<number>>

/** Asks for a product. */
export const multiply = (left: Rows, right: Rows) => post("/multiply", JSON.stringify({ left, right }))
