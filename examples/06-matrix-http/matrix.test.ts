/** What the service answers, over real HTTP: products, mistakes, too many at once, and a card that is lost. */
import { assert, describe, it } from "@effect/vitest"
import { Array, Effect, Fiber, Layer, Queue, References } from "effect"
import { Actor } from "effect-otp"
import { FetchHttpClient, type HttpClient, type HttpServer } from "effect/http"
import { Dawn, type RawDevice } from "../../src/gpu/webGpuDevice.ts"
import { type Answer, get, multiply, post } from "./client.ts"
import { Matrix } from "./matrix.ts"
import { server } from "./server.ts"

/** Runs with a server on a port of its own. */
const serving =
  (options: Parameters<typeof server>[1]) =>
  <A, E>(body: Effect.Effect<A, E, HttpServer.HttpServer | HttpClient.HttpClient | Matrix>) =>
    body.pipe(
      Effect.provide(Layer.merge(server(0, options), FetchHttpClient.layer), { local: true }),
      Effect.provideService(References.MinimumLogLevel, "None")
    )

const onCpu = serving({ prefer: ["cpu"], capacity: 4 })

const ones = (rows: number, columns: number) => Array.makeBy(rows, () => Array.makeBy(columns, () => 1))

describe("POST /multiply", () => {
  it.live("multiplies matrices that fit each other, of any size up to 32", () =>
    onCpu(
      Effect.gen(function* () {
        const left = [
          [1, 2, 3],
          [4, 5, 6]
        ]
        const right = [
          [1, -1],
          [0, 0.5],
          [2, 0]
        ]
        const product = [
          [7, 0],
          [16, -1.5]
        ]
        assert.deepStrictEqual(yield* multiply(left, right), { status: 200, body: { product } })
        const largest = yield* multiply(ones(32, 32), ones(32, 32))
        assert.deepStrictEqual(largest.body, { product: ones(32, 32).map((row) => row.map(() => 32)) })
        assert.deepStrictEqual(yield* multiply([[2]], [[21]]), { status: 200, body: { product: [[42]] } })
      })
    )
  )

  const bad: ReadonlyArray<readonly [what: string, body: string, status: number, error: string]> = [
    ["no JSON", "{", 400, "the body is not JSON"],
    ["a part that is missing", '{ "left": [[1]] }', 400, 'Missing key\n  at ["right"]'],
    ["a text", '{ "left": [[1]], "right": [["2"]] }', 400, 'at ["right"][0][0]'],
    ["an empty row", '{ "left": [[]], "right": [[1]] }', 400, 'at ["left"][0][0]'],
    [
      "rows of two lengths",
      '{ "left": [[1, 2], [3]], "right": [[1], [1]] }',
      400,
      "left: row 0 is 2 long, row 1 is 1 long"
    ],
    [
      "matrices that do not fit",
      '{ "left": [[1, 2]], "right": [[1]] }',
      400,
      "left is 1 × 2 and right 1 × 1: left must"
    ],
    [
      "too many columns",
      JSON.stringify({ left: [[1]], right: [ones(1, 33)[0]] }),
      400,
      "right is 1 × 33, at most 32 × 32"
    ],
    ["a number too large", '{ "left": [[1e39]], "right": [[1]] }', 400, "1e+39, which is too large for 32 bits"],
    ["a product too large", '{ "left": [[1e30]], "right": [[1e30]] }', 400, "the product has numbers too large"],
    ["a body too large", JSON.stringify({ left: [["x".repeat(70_000)]] }), 413, "larger than 64 KiB"]
  ]
  it.live("says what is wrong with what it cannot multiply", () =>
    onCpu(
      Effect.gen(function* () {
        for (const [what, body, status, error] of bad) {
          const answer = yield* post("/multiply", body)
          assert.strictEqual(answer.status, status, what)
          assert.include((answer.body as { readonly error: string }).error, error, what)
        }
        assert.deepInclude((yield* get("/stats")).body, { restarts: 0 })
      })
    )
  )

  it.live("takes what waits in one launch, and refuses at once what there is no room for", () =>
    onCpu(
      Effect.gen(function* () {
        const matrix = yield* Matrix
        const answers = yield* Queue.unbounded<Answer>()
        yield* Actor.suspend(matrix)
        assert.deepStrictEqual(yield* get("/health"), { status: 503, body: { status: "suspended" } })
        const ask = (n: number) => Effect.flatMap(multiply([[n]], [[n]]), (answer) => Queue.offer(answers, answer))
        const asking = yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4, 5], ask, { concurrency: "unbounded" }))

        const refused = yield* Queue.take(answers)
        assert.strictEqual(refused.status, 503)
        assert.include((refused.body as { readonly error: string }).error, "the mailbox holds 4 messages")
        assert.deepInclude((yield* get("/stats")).body, { waiting: 4, launches: 0 })

        yield* Actor.resume(matrix)
        yield* Fiber.join(asking)
        const others = yield* Queue.takeAll(answers)
        assert.deepStrictEqual(
          others.map(({ status }) => status),
          [200, 200, 200, 200]
        )
        assert.deepInclude((yield* get("/stats")).body, { waiting: 0, launches: 1, products: 4, largest: 4 })
        assert.deepStrictEqual(yield* get("/health"), { status: 200, body: { status: "running" } })
      })
    )
  )
})

/** Dawn's null adapter: nothing is computed, and what is read back need not be a number; but losing it is real. */
it.live("a card that is lost is a 503, and the next request has a new card", () =>
  Effect.gen(function* () {
    const cards: Array<RawDevice> = []
    const dawn = { flags: ["backend=null"], opened: (card: RawDevice) => void cards.push(card) }
    yield* Effect.gen(function* () {
      assert.isBelow((yield* multiply([[1]], [[1]])).status, 500)
      const [card] = cards
      const { submit } = card!.queue
      Object.assign(card!.queue, {
        submit: (commands: ReadonlyArray<unknown>) => {
          submit.call(card!.queue, commands)
          card!.destroy()
        }
      })
      assert.deepStrictEqual(yield* multiply([[1]], [[1]]), {
        status: 503,
        body: { error: "the device was lost and is opened again: try again" }
      })
      assert.isBelow((yield* multiply([[1]], [[1]])).status, 500)
      assert.strictEqual(cards.length, 2)
      assert.strictEqual((yield* get("/health")).status, 200)
      assert.deepInclude((yield* get("/stats")).body, { backend: "webgpu", products: 2 })
    }).pipe(serving({ prefer: ["webgpu"] }), Effect.provideService(Dawn, dawn))
  })
)
