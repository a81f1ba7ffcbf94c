/**
 * A card that is lost again and again while it is used in every way: nothing hangs, no answer is wrong, nothing is left over.
 * Needs a card that computes: `npm run test:gpu`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Actor, Supervisor } from "effect-otp"
import { GpuBuffer, GpuDevice, Kernel, Pipeline } from "effect-otp/gpu"
import { Dawn, type RawDevice } from "../../src/gpu/webGpuDevice.ts"
import { quiet } from "../support/recording.ts"
import { backends, deviceOptions } from "./backends.ts"

const N = 128

const Weighted = Kernel.make("Weighted", {
  args: [Kernel.shared(N), Kernel.tensor(N), "number"],
  output: [N],
  constants: { n: N },
  body: function (weights, v, bias) {
    let sum = bias
    for (let i = 0; i < this.constants.n; i++) sum += weights[i]! * v[this.thread.x]!
    return sum
  }
})

const Next = Kernel.make("Next", {
  args: [Kernel.tensor(N)],
  output: [N],
  body: function (v) {
    return v[this.thread.x]! + 1
  }
})

const Fifth = Pipeline.make("Fifth", {
  args: [Kernel.tensor(N)],
  kernels: { next: Next },
  body: ({ next }, v) => next(next(next(next(next(v)))))
})

const weights = new Float32Array(N).fill(1 / N)

/** Answers whether what the card computed is right. */
class Model extends Actor.Service<Model>()("test/Model", {
  Single: { payload: { x: Schema.Int }, success: Schema.Boolean },
  Batch: { payload: { x: Schema.Int }, success: Schema.Boolean },
  State: { payload: { x: Schema.Int }, success: Schema.Boolean },
  Pipeline: { payload: { x: Schema.Int }, success: Schema.Boolean }
}) {}

const modelLive = Model.behavior(
  Effect.gen(function* () {
    const weighted = yield* Kernel.compile(Weighted, { batch: { maxSize: 16 } })
    const next = yield* Kernel.compile(Next)
    const fifth = yield* Pipeline.compile(Fifth)
    const cell = yield* GpuBuffer.state(new Float32Array(N), [N])
    let steps = 0
    const all = (x: number) => new Float32Array(N).fill(x)
    const isAll = (values: Float32Array, x: number) =>
      values.length === N && values.every((value) => Math.abs(value - x) < 1e-3)
    return Model.of({
      Single: ({ x }) => Effect.orDie(Effect.map(weighted.run(weights, all(x), 1), (values) => isAll(values, x + 1))),
      Batch: ({ x }) => {
        const items = Array.from({ length: 1 + (x % 20) }, (_, i) => [weights, all(i), x] as const)
        const run = weighted.runBatch(items as [(typeof items)[0], ...typeof items])
        return Effect.orDie(Effect.map(run, (results) => results.every((values, i) => isAll(values, i + x))))
      },
      State: () =>
        Effect.orDie(
          Effect.andThen(
            cell.update((current) => next.resident(current)),
            Effect.map(cell.read, (values) => isAll(values, ++steps))
          )
        ),
      Pipeline: ({ x }) => Effect.orDie(Effect.map(fifth.run(all(x)), (values) => isAll(values, x + 5)))
    })
  })
)

describe.runIf(backends.includes("webgpu"))("on webgpu", () => {
  it.live(
    "a card that is lost again and again",
    () =>
      Effect.gen(function* () {
        const cards: Array<RawDevice> = []
        const dawn = Layer.succeed(Dawn, { flags: [], opened: (raw) => void cards.push(raw) })
        const tree = Supervisor.make("app", {
          strategy: "rest-for-one",
          intensity: { restarts: 1_000, within: "1 minute" },
          children: [GpuDevice.child({ prefer: ["webgpu"], ...deviceOptions }), modelLive]
        })
        let answers = 0
        const ask = (x: number) =>
          Effect.gen(function* () {
            const { ask } = yield* Model
            const asks = [ask.Single({ x }), ask.Batch({ x }), ask.State({ x }), ask.Pipeline({ x })]
            // A request that meets the loss of the card fails; the next does not.
            const isRight = yield* Effect.eventually(asks[x % 4]!)
            if (++answers % 50 === 0) cards.at(-1)!.destroy()
            return isRight
          })
        const clients = Array.from({ length: 12 }, (_, client) =>
          Effect.forEach(
            Array.from({ length: 50 }, (_, i) => client + 12 * i),
            ask
          )
        )
        const results = yield* Effect.all(clients, { concurrency: "unbounded" }).pipe(
          Effect.provide(Layer.provide(Supervisor.layer(tree), dawn))
        )
        assert.deepStrictEqual(new Set(results.flat()), new Set([true]))
        assert.strictEqual(results.flat().length, 600)
        assert.isAbove(cards.length, 5)
        assert.notProperty(globalThis.navigator, "gpu")
      }).pipe(quiet),
    60_000
  )
})
