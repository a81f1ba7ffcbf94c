/** Batches: many calls in one launch, by rewriting the kernel's own source. */
import { assert, describe, it } from "@effect/vitest"
import { Array, Effect } from "effect"
import { GpuBuffer, Kernel } from "effect-otp/gpu"
import { backends, on } from "./backends.ts"

const f32 = (...values: ReadonlyArray<number>) => Float32Array.from(values)

const Layer = Kernel.make("Layer", {
  args: [Kernel.shared(2, 3), Kernel.tensor(3), "number"],
  output: [2],
  constants: { n: 3 },
  body: function (weights, vector, bias) {
    let sum = bias
    for (let i = 0; i < this.constants.n; i++) sum += weights[this.thread.x]![i]! * vector[i]!
    return sum
  }
})

function mixed(a: number, b: number) {
  return a * 10 + b
}

const runError = <A>(run: Effect.Effect<A, Kernel.Failure>) =>
  Effect.flip(run).pipe(
    Effect.flatMap((error) => (error._tag === "KernelRunFailed" ? Effect.succeed(error.reason) : Effect.die(error)))
  )

describe.each(backends)("on %s", (backend) => {
  const run = on(backend)

  it.live("answers as single calls do, for every number of items", () =>
    run(
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(Layer, { batch: { maxSize: 6 } })
        const weights = f32(1, 2, 3, 4, 5, 6)
        for (const count of [1, 2, 3, 4, 5, 6, 7, 13]) {
          const items = Array.makeBy(count, (i) => [weights, f32(i, 1, -i), i / 2] as const)
          const single = yield* Effect.forEach(items, (item) => kernel.run(...item))
          assert.deepStrictEqual(yield* kernel.runBatch(items), single, `${count} items`)
        }
      })
    )
  )

  it.live("works for matrices, numbers passed on to helpers, and views", () =>
    run(
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(
          Kernel.make("Matrices", {
            args: [Kernel.tensor(2, 2), "number"],
            output: [2, 2],
            functions: { mixed },
            body: function (m, scale) {
              const own = m[this.thread.y]![this.thread.x]!
              return mixed(own * scale, m[this.thread.x]![this.thread.y]!)
            }
          })
        )
        const items = Array.makeBy(5, (i) => [f32(0, i, 1, 2, 3 * i, 9).subarray(1, 5), i] as const)
        const single = yield* Effect.forEach(items, (item) => kernel.run(...item))
        assert.deepStrictEqual(yield* kernel.runBatch(items), single)
      })
    )
  )

  it.live("results are arrays of their own, and batches at the same time do not mix", () =>
    run(
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(Layer)
        const weights = f32(1, 0, 0, 0, 1, 0)
        const batches = Array.makeBy(8, (b) => Array.makeBy(3, (i) => [weights, f32(b, i, 0), 0] as const))
        const results = yield* Effect.all(
          batches.map((items) => kernel.runBatch(items)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual<unknown>(
          results,
          batches.map((items, b) => items.map((_, i) => f32(b, i)))
        )
        assert.strictEqual(results[0]![0]!.buffer.byteLength, 8)
      })
    )
  )

  it.live("a buffer can be shared by all items, but not be one's own", () =>
    run(
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(Layer)
        const weights = yield* GpuBuffer.from(f32(1, 2, 3, 4, 5, 6), [2, 3])
        const [first, second] = yield* kernel.runBatch([
          [weights, f32(1, 0, 0), 0],
          [weights, f32(0, 1, 0), 1]
        ])
        assert.deepStrictEqual([first, second], [f32(1, 4), f32(3, 6)])
        const vector = yield* GpuBuffer.from(f32(1, 0, 0), [3])
        const reason = yield* runError(kernel.runBatch([[weights, vector, 0]]))
        assert.strictEqual(reason._tag, "InvalidArgument")
        assert.include(reason.message, "gathered on the host")
      })
    )
  )

  it.live("one unfit item fails the batch, and says which it was", () =>
    run(
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(Layer)
        const weights = new Float32Array(6)
        const fit = [weights, f32(1, 2, 3), 0] as const
        const short = yield* runError(kernel.runBatch([fit, fit, [weights, f32(1), 0]]))
        assert.strictEqual(short._tag, "InvalidArgument")
        assert.deepInclude(short, { index: 1, item: 2, actual: "a Float32Array of 1" })
        const other = yield* runError(kernel.runBatch([fit, [new Float32Array(6), f32(1, 2, 3), 0]]))
        assert.deepInclude(other, { index: 0, item: 1, actual: "another one" })
      })
    )
  )

  describe("what cannot be rewritten is refused", () => {
    const one = { args: [Kernel.tensor(3)], output: [3] } as const
    function first(v: ReadonlyArray<number>) {
      return v[0]!
    }
    function row() {
      // @ts-expect-error a kernel's helper has the kernel's `this`
      return this.thread.y as number
    }

    it.live.each([
      [
        "three dimensions, there is none left",
        Kernel.make("Deep", {
          args: [],
          output: [1, 1, 1],
          body: function () {
            return 1
          }
        })
      ],
      [
        "argument 0 has three dimensions",
        Kernel.make("DeepArgument", {
          args: [Kernel.tensor(1, 1, 1)],
          output: [1],
          body: function (t) {
            return t[0]![0]![0]!
          }
        })
      ],
      [
        "passes its argument v on as a whole",
        Kernel.make("Passed", {
          ...one,
          functions: { first },
          body: function (v) {
            return first(v)
          }
        })
      ],
      [
        "body uses this.thread.y",
        Kernel.make("Rows", {
          ...one,
          body: function (v) {
            return v[0]! * this.thread.y
          }
        })
      ],
      [
        "functions.row uses this.thread.y",
        Kernel.make("Helper", {
          ...one,
          functions: { row },
          body: function (v) {
            return v[0]! + row()
          }
        })
      ],
      [
        "changes its argument x",
        Kernel.make("Changed", {
          args: ["number"],
          output: [1],
          body: function (x) {
            x += 1
            return x
          }
        })
      ]
    ] as ReadonlyArray<readonly [string, Kernel.Definition<ReadonlyArray<Kernel.Kind>, Kernel.Dims>]>)(
      "%s",
      ([words, definition]) =>
        run(
          Effect.gen(function* () {
            const error = yield* Effect.flip(Kernel.compile(definition, { batch: { maxSize: 4 } }))
            assert.strictEqual(error._tag, "KernelCompileFailed")
            if (error._tag !== "KernelCompileFailed") return
            assert.strictEqual(error.reason._tag, "NotBatchable")
            assert.include(error.message, words)
          })
        )
    )

    it.live("at the first batch, where compile was not asked", () =>
      run(
        Effect.gen(function* () {
          const kernel = yield* Kernel.compile(
            Kernel.make("Rows", {
              args: ["number"],
              output: [1],
              body: function (x) {
                return x + this.thread.y
              }
            })
          )
          assert.deepStrictEqual(yield* kernel.run(3), f32(3))
          assert.strictEqual((yield* runError(kernel.runBatch([[3]])))._tag, "NotBatchable")
        })
      )
    )
  })
})
