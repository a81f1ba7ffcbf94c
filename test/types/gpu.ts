/**
 * What the types of kernels, buffers and pipelines know, and programs that must be refused. `tsc` reports an unused
 * `@ts-expect-error`, so each line fails the check on the day it begins to compile.
 */
import { Effect, Scope } from "effect"
import { GpuBuffer, GpuDevice, Kernel, Pipeline } from "effect-otp/gpu"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_: Equal<A, B>) => {}

const MatVec = Kernel.make("MatVec", {
  args: [Kernel.tensor(2, 3), Kernel.tensor(3), "number"],
  output: [2],
  constants: { n: 3, table: new Float32Array(4) },
  body: function (matrix, vector, scale) {
    same<typeof matrix, ReadonlyArray<ReadonlyArray<number>>>(true)
    same<typeof vector, ReadonlyArray<number>>(true)
    same<typeof scale, number>(true)
    same<typeof this.constants.n, number>(true)
    same<typeof this.constants.table, ReadonlyArray<number>>(true)
    // @ts-expect-error Property 'm' does not exist
    void this.constants.m
    // @ts-expect-error Property 'w' does not exist
    void this.thread.w
    return matrix[this.thread.x]![0]! * scale
  }
})

export const program = Effect.gen(function* () {
  const kernel = yield* Kernel.compile(MatVec)
  const m = new Float32Array(6)
  const v = new Float32Array(3)
  same<Effect.Success<ReturnType<typeof kernel.run>>, Float32Array<ArrayBuffer>>(true)
  same<Effect.Error<ReturnType<typeof kernel.run>>, Kernel.Failure>(true)
  same<Effect.Services<ReturnType<typeof kernel.run>>, never>(true)
  same<Effect.Services<ReturnType<typeof kernel.resident>>, Scope.Scope>(true)
  yield* kernel.run(m, v, 1)
  // @ts-expect-error Expected 3 arguments
  kernel.run(m, v)
  // @ts-expect-error Argument of type 'number[]' is not assignable
  kernel.run(m, [1, 2, 3], 1)
  // @ts-expect-error Argument of type 'Float64Array' is not assignable
  kernel.run(m, new Float64Array(3), 1)
  // @ts-expect-error Argument of type 'string' is not assignable
  kernel.run(m, v, "1")
  // @ts-expect-error Argument of type 'never[]' is not assignable: a batch has at least one item
  kernel.runBatch([])

  const fits = yield* GpuBuffer.from(v, [3])
  same<typeof fits, GpuBuffer.GpuBuffer<readonly [3]>>(true)
  yield* kernel.run(m, fits, 1)
  const long = yield* GpuBuffer.from(v, [4])
  // @ts-expect-error Type '4' is not assignable to type '3'
  kernel.run(m, long, 1)
  const result = yield* kernel.resident(m, fits, 1)
  same<typeof result.dims, readonly [2]>(true)

  const cell = yield* GpuBuffer.state(v, [3])
  // @ts-expect-error Type '2' is not assignable to type '3'
  cell.update((current) => kernel.resident(m, current, 1))

  const pipeline = yield* Pipeline.compile(
    Pipeline.make("P", {
      args: [Kernel.tensor(2, 3), "number"],
      kernels: { matVec: MatVec },
      body: ({ matVec }, matrix, scale) => {
        const once = matVec(matrix, v, scale)
        // @ts-expect-error Type '2' is not assignable to type '3'
        matVec(matrix, once, scale)
        // @ts-expect-error a tensor is no number
        matVec(matrix, v, once)
        return { once }
      }
    })
  )
  const { once } = yield* pipeline.run(m, 2)
  same<typeof once, Float32Array<ArrayBuffer>>(true)
  // @ts-expect-error Expected 2 arguments
  pipeline.run(m)
})

same<Effect.Services<typeof program>, GpuDevice.GpuDevice | Scope.Scope>(true)

// @ts-expect-error Property 'Scope' is missing: whoever compiles says how long the kernel lives
export const unscoped: Effect.Effect<unknown, unknown, GpuDevice.GpuDevice> = Kernel.compile(MatVec)

// @ts-expect-error Type 'string' is not assignable to type 'number': a body returns a number
Kernel.make("Text", { args: [], output: [1], body: () => "1" })
// @ts-expect-error Source has 4 element(s) but target allows only 3
Kernel.tensor(1, 2, 3, 4)
// @ts-expect-error Type '"opengl"' is not assignable to type 'Backend'
GpuDevice.layer({ prefer: ["opengl"] })
// @ts-expect-error Source has 0 element(s) but target requires 1
GpuDevice.layer({ prefer: [] })
