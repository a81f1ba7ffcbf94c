/**
 * A function compiled for the device and freed with the Scope that compiled it.
 *
 * A kernel is a plain `function` that says what one value of the output is; the device runs it once for each, with the
 * position in `this.thread`: `x` is the column, `y` the row, `z` the layer. Its source is translated, so it cannot use
 * anything from outside: values go in `constants`, helpers in `functions`. All shapes are fixed and written slowest dimension
 * first: a tensor of `[rows, columns]` is read `matrix[row][column]`, and results come flat, row by row.
 *
 * **Example** (A matrix times a vector)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { GpuDevice, Kernel } from "effect-otp/gpu"
 *
 * const MatVec = Kernel.make("MatVec", {
 *   args: [Kernel.tensor(2, 3), Kernel.tensor(3)],
 *   output: [2],
 *   constants: { n: 3 },
 *   body: function(matrix, vector) {
 *     let sum = 0
 *     for (let i = 0; i < this.constants.n; i++) sum += matrix[this.thread.x]![i]! * vector[i]!
 *     return sum
 *   }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const kernel = yield* Kernel.compile(MatVec)
 *   return yield* kernel.run(Float32Array.of(1, 2, 3, 4, 5, 6), Float32Array.of(1, 0, 1))
 * })
 * const cpu = GpuDevice.layer({ prefer: ["cpu"] })
 * await Effect.runPromise(Effect.scoped(Effect.provide(program, cpu))) // => Float32Array.of(4, 10)
 * ```
 */
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { batching } from "./batching.ts"
import { check, isReason, type Kind, limitProblem, type TensorKind } from "./definition.ts"
import type { Dims } from "./dims.ts"
import { type DeviceLost, type GpuOutOfMemory, KernelCompileFailed, type KernelRunFailed } from "./errors.ts"
import type { GpuBuffer } from "./GpuBuffer.ts"
import { GpuDevice, implOf } from "./GpuDevice.ts"
import { Runner } from "./runner.ts"

export type { Kind, TensorKind } from "./definition.ts"
export type { Dims } from "./dims.ts"
export {
  Closed,
  Crashed,
  Fallback,
  InvalidArgument,
  KernelCompileFailed,
  KernelRunFailed,
  Limit,
  LoopBound,
  NotBatchable,
  NotPlainFunction,
  Rejected,
  Shape,
  Syntax
} from "./errors.ts"

// --- Definitions ---

/**
 * A position, or lengths along three dimensions.
 *
 * @category models
 * @since 0.1.0
 */
export interface XYZ {
  readonly x: number
  readonly y: number
  readonly z: number
}

/**
 * What a body has as `this`.
 *
 * @category models
 * @since 0.1.0
 */
export interface This<C> {
  /** The position of the value to compute: `x` is the column, `y` the row, `z` the layer. */
  readonly thread: XYZ
  /** How many columns, rows and layers the output has. */
  readonly output: XYZ
  readonly constants: { readonly [K in keyof C]: C[K] extends number ? number : ReadonlyArray<number> }
}

/**
 * What a body finds in an argument: a number, or nested arrays.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Inside<A> =
  A extends TensorKind<infer D>
    ? D["length"] extends 1
      ? ReadonlyArray<number>
      : D["length"] extends 2
        ? ReadonlyArray<ReadonlyArray<number>>
        : ReadonlyArray<ReadonlyArray<ReadonlyArray<number>>>
    : number

/**
 * What a call gives for an argument: a number, or a flat array of exactly as many numbers as the tensor has, or a buffer of
 * its shape.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Outside<A> = A extends TensorKind<infer D> ? Float32Array | GpuBuffer<D> : number

/**
 * What a call gives for all arguments.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Arguments<Args extends ReadonlyArray<Kind>> = { readonly [K in keyof Args]: Outside<Args[K]> }

/**
 * A kernel as data: compile it to run it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Definition<out Args extends ReadonlyArray<Kind>, out D extends Dims> {
  readonly name: string
  readonly args: Args
  readonly output: D
  readonly constants: Readonly<Record<string, number | Float32Array>>
  readonly functions: Readonly<Record<string, (...args: Array<never>) => number>>
  readonly loopLimit: number | undefined
  readonly seed: number | undefined
  readonly body: unknown
}

/**
 * An argument that is a tensor of this shape, slowest dimension first.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tensor = <const D extends Dims>(...dims: D): TensorKind<D> => ({ _tag: "Tensor", dims, shared: false })

/**
 * An argument that is a tensor of this shape and the same for all items of a batch, such as the weights of a layer: it is
 * sent once. For single calls no different from `tensor`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shared = <const D extends Dims>(...dims: D): TensorKind<D> => ({ _tag: "Tensor", dims, shared: true })

/**
 * Defines a kernel. Nothing is checked before `compile`, which knows the device.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Args extends ReadonlyArray<Kind>,
  const D extends Dims,
  const C extends Readonly<Record<string, number | Float32Array>> = {}
>(
  name: string,
  options: {
    /** What its parameters are, in order. */
    readonly args: Args
    /** The shape of the result, slowest dimension first. */
    readonly output: D
    /** What the body has as `this.constants`: numbers, which loops may run to, and arrays. Default: none. */
    readonly constants?: C
    /** Helpers that the body calls, by the name it calls them by; plain functions like itself. Default: none. */
    readonly functions?: Readonly<Record<string, (...args: Array<never>) => number>>
    /** The most rounds of a loop that runs to something else than a literal or a constant. Default: no such loops. */
    readonly loopLimit?: number
    /** Makes `Math.random()` the same at each call, not on cpu. Default: different each time. */
    readonly seed?: number
    readonly body: (this: This<C>, ...args: { readonly [K in keyof Args]: Inside<Args[K]> }) => number
  }
): Definition<Args, D> => ({
  name,
  args: options.args,
  output: options.output,
  constants: options.constants ?? {},
  functions: options.functions ?? {},
  loopLimit: options.loopLimit,
  seed: options.seed,
  body: options.body
})

// --- Running ---

/**
 * What a call may fail with.
 *
 * @category models
 * @since 0.1.0
 */
export type Failure = KernelRunFailed | DeviceLost | GpuOutOfMemory

/**
 * A compiled kernel. Arguments are read when the device takes the call up: leave arrays alone until it has ended. Results are
 * new arrays and belong to the caller.
 *
 * @category models
 * @since 0.1.0
 */
export interface Kernel<Args extends ReadonlyArray<Kind>, D extends Dims> {
  readonly name: string
  /** One call: the output flat, row by row. */
  readonly run: (...args: Arguments<Args>) => Effect.Effect<Float32Array<ArrayBuffer>, Failure>
  /**
   * Many calls in one launch, an output for each in order. Fails as a whole: with `InvalidArgument` when one item is unfit, with
   * `NotBatchable` when the kernel cannot be rewritten for it, which the option `batch` of `compile` tells at once. Buffers
   * can be given for `shared` arguments only. More items than `maxSize` take several launches.
   */
  readonly runBatch: (
    items: Arr.NonEmptyReadonlyArray<Arguments<Args>>
  ) => Effect.Effect<Arr.NonEmptyReadonlyArray<Float32Array<ArrayBuffer>>, Failure>
  /** One call whose result stays on the device, freed with the Scope. On webgpu it ends when the device has the call. */
  readonly resident: (...args: Arguments<Args>) => Effect.Effect<GpuBuffer<D>, Failure, Scope.Scope>
}

/**
 * How a kernel is compiled.
 *
 * @category models
 * @since 0.1.0
 */
export interface CompileOptions {
  /**
   * Makes sure at once that the kernel can run batches, and how large one launch may be. Sizes are rounded up to powers of
   * two, each compiled when it is first needed. Default: told at the first batch, launches of up to 256 items.
   */
  readonly batch?: { readonly maxSize: number }
}

/**
 * Compiles a kernel for the device, now and not at its first call, and frees it with the Scope. Those who compile the same
 * definition on the same device share what is compiled; it is freed when the last of them has ended.
 *
 * Fails with `KernelCompileFailed` for everything that the device could not run, and for what it would run with wrong results
 * in silence: the `reason` says what to change. A definition that failed once always will.
 *
 * @category constructors
 * @since 0.1.0
 */
export const compile = <const Args extends ReadonlyArray<Kind>, D extends Dims>(
  definition: Definition<Args, D>,
  options: CompileOptions = {}
): Effect.Effect<Kernel<Args, D>, KernelCompileFailed | DeviceLost | GpuOutOfMemory, GpuDevice | Scope.Scope> =>
  Effect.gen(function* () {
    const device = yield* GpuDevice
    const { backend, limits } = device
    const { name } = definition
    const refuse = (reason: KernelCompileFailed["reason"]) => new KernelCompileFailed({ kernel: name, backend, reason })
    const checked = check(definition, implOf(device).parse, limits)
    if (isReason(checked)) return yield* refuse(checked)

    const batched = batching(checked, definition.args)
    const maxSize = options.batch?.maxSize ?? DEFAULT_BATCH
    if (options.batch !== undefined) {
      if (isReason(batched)) return yield* refuse(batched)
      const problem = limitProblem(batched(maxSize), limits)
      if (problem !== undefined) return yield* refuse(problem)
    }
    const runner = yield* Runner.make(device, definition, checked.source, definition.args, batched, maxSize)
    if (options.batch !== undefined) yield* runner.compileBatch(maxSize)
    return runner.kernel as Kernel<Args, D>
  })

const DEFAULT_BATCH = 256
