/** A client of the app: what it sends, and what comes back. Where the app is, its `HttpClient` knows. */
import { Effect, Layer } from "effect"
import { FetchHttpClient, HttpBody, HttpClient, HttpServer } from "effect/http"

/** A status, the headers and the JSON that came with it. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

export const get = Effect.fnUntraced(function* (path: string) {
  const response = yield* HttpClient.get(path)
  return { status: response.status, headers: response.headers, body: yield* response.json } satisfies Answer
})

/** Sends text that claims to be JSON. */
export const post = Effect.fnUntraced(function* (path: string, text: string) {
  const response = yield* HttpClient.post(path, { body: HttpBody.text(text, "application/json") })
  return { status: response.status, headers: response.headers, body: yield* response.json } satisfies Answer
})

/** One more step of a session. */
export const compute = (session: string, input: number) => post("/compute", JSON.stringify({ session, input }))

/** Asks the server that is there, over the network. */
export const overNetwork = HttpServer.layerTestClient.pipe(Layer.provide(FetchHttpClient.layer))
