/**
 * gpu.js as we use it: our own typings of the few names we need, how it is loaded, and how a kernel is built from a
 * `KernelSource`. Everything gpu.js gets wrong in silence is refused here, because both engines build through this file.
 *
 * 1. One `GPU` per kernel: gpu.js's own list of kernels never shrinks for cpu kernels, and helpers are per kernel anyway.
 * 2. Argument kinds are declared, never guessed from the first call.
 * 3. Building never runs the kernel.
 */
import * as Effect from "effect/Effect"
import { sizeOf } from "./dims.ts"
import type { ArgumentKind, KernelSource, PipelineSource } from "./engine.ts"
import { type Backend, Fallback, type KernelCompileFailed, LoopBound, Shape, Syntax } from "./errors.ts"

/** A kernel as gpu.js makes it: a function, with what we read of the machinery behind it. */
export interface GpuJsKernel {
  (...args: ReadonlyArray<unknown>): unknown
  readonly kernel: {
    readonly constructor: { readonly mode: string }
    readonly fallbackReason: string | null
    readonly returnType: string | null
    readonly kernelString?: string
    readonly built: boolean
    readonly build: (...args: ReadonlyArray<unknown>) => unknown
    readonly destroy: () => void
  }
}

/** A pipeline as gpu.js makes it. Calls queue up; what is destroyed rejects them. */
export interface GpuJsPipeline {
  (...args: ReadonlyArray<unknown>): PromiseLike<ReadonlyArray<unknown>>
  readonly destroy: () => PromiseLike<unknown>
  readonly executorKind: string
}

/** The parts of gpu.js that we use. */
export interface GpuJs {
  readonly GPU: new (settings: { readonly mode: Backend }) => {
    readonly createKernel: (source: string, settings: object) => GpuJsKernel
    readonly createPipeline: (
      orchestrate: (...args: ReadonlyArray<unknown>) => unknown,
      settings: { readonly threads: boolean }
    ) => GpuJsPipeline
  }
  readonly input: (value: Float32Array, size: ReadonlyArray<number>) => unknown
  readonly WebGPUContext: { readonly acquire: () => PromiseLike<{ readonly device: unknown }> }
  readonly WebGPUBufferResult: new (settings: {
    readonly buffer: unknown
    readonly output: ReadonlyArray<number>
    readonly context: unknown
  }) => { readonly buffer: unknown; readonly delete: () => void }
}

/** Loads gpu.js; fails with what to do about it. */
export const loadGpuJs: Effect.Effect<GpuJs, string> = Effect.tryPromise({
  try: () => import("gpu.js") as unknown as PromiseLike<{ readonly default: GpuJs }>,
  catch: (cause) => `gpu.js could not be loaded: npm install gpu.js (${messageOf(cause)})`
}).pipe(Effect.map((module) => module.default))

/** The words of anything thrown, without a stack. */
export const messageOf = (cause: unknown): string =>
  (cause instanceof Error ? cause.message || cause.name : String(cause)).trim()

/** Thrown by `build` for a kernel that is unfit; everything else that is thrown is gpu.js's own. */
export class Unfit {
  readonly reason: KernelCompileFailed["reason"]
  constructor(reason: KernelCompileFailed["reason"]) {
    this.reason = reason
  }
}

/** Why a build threw. */
export const reasonOf = (thrown: unknown): KernelCompileFailed["reason"] =>
  thrown instanceof Unfit ? thrown.reason : new Syntax({ detail: firstLine(messageOf(thrown)) })

/** gpu.js appends the whole generated source. */
const firstLine = (text: string): string => text.split("\n--- generated")[0]!.slice(0, 2_000)

/** Sizes the way gpu.js counts: x first. */
export const xyz = (dims: ReadonlyArray<number>): ReadonlyArray<number> => dims.toReversed()

/** What stands for an argument while building. */
const dummy = (gpuJs: GpuJs, kind: ArgumentKind): unknown =>
  kind === "number" ? 0 : gpuJs.input(new Float32Array(sizeOf(kind.dims)), xyz(kind.dims))

const settingsOf = (source: KernelSource, backend: Backend, threads: number) => ({
  output: xyz(source.output),
  argumentTypes: source.args.map((kind) => (kind === "number" ? "Float" : "Input")),
  constants: source.constants,
  functions: source.functions.map(({ name, source }) => ({ source, settings: { name } })),
  precision: "single",
  ...(source.loopLimit === undefined ? undefined : { loopMaxIterations: source.loopLimit }),
  ...(source.seed === undefined ? undefined : { randomSeed: source.seed }),
  // Without `immutable` a handle would be overwritten by the next call.
  ...(backend === "webgpu" && source.resident ? { pipeline: true, immutable: true } : undefined),
  ...(backend === "webasm" && threads > 1 ? { asyncMode: true, poolSize: threads } : undefined)
})

/** A kernel that is built, or being built. */
export interface Built {
  /** Ends when it is built; undefined when it is already. */
  readonly building: PromiseLike<unknown> | undefined
  /** The kernel's answer, which `flat` makes one array of. May throw, may be a promise. */
  readonly call: (args: ReadonlyArray<unknown>) => unknown
  readonly dispose: () => void
}

/** Builds a kernel for exactly this backend. Throws `Unfit`, or whatever gpu.js throws. */
export const build = (gpuJs: GpuJs, backend: Backend, source: KernelSource, threads: number): Built => {
  refuseSeed(source, backend)
  refuseLoops(gpuJs, source)
  const shortcut = new gpuJs.GPU({ mode: backend }).createKernel(source.body, settingsOf(source, backend, threads))
  const building = shortcut.kernel.build(...source.args.map((kind) => dummy(gpuJs, kind))) as
    | PromiseLike<unknown>
    | undefined
  refuseFallback(shortcut, backend)
  refuseUnbuilt(shortcut, backend)
  refuseReturns(shortcut)
  return {
    building: backend === "webgpu" ? building : undefined,
    call: (args) =>
      shortcut(
        ...source.args.map((kind, i) =>
          kind !== "number" && args[i] instanceof Float32Array ? gpuJs.input(args[i], xyz(kind.dims)) : args[i]
        )
      ),
    dispose: () => shortcut.kernel.destroy()
  }
}

/** The cpu backend ignores seeds, with a line on the console. */
const refuseSeed = (source: KernelSource, backend: Backend): void => {
  if (backend === "cpu" && source.seed !== undefined) {
    throw new Unfit(new Fallback({ detail: "the cpu backend cannot seed Math.random" }))
  }
}

/** gpu.js ends such loops in silence after 1000 rounds. What it does is read off the JavaScript it makes of the kernel. */
const refuseLoops = (gpuJs: GpuJs, source: KernelSource): void => {
  if (source.loopLimit !== undefined) return
  const { seed: _seed, ...unseeded } = source
  const plain = { ...unseeded, seed: undefined, resident: false }
  const { kernel } = new gpuJs.GPU({ mode: "cpu" }).createKernel(source.body, settingsOf(plain, "cpu", 1))
  kernel.build(...source.args.map((kind) => dummy(gpuJs, kind)))
  const mentions = kernel.kernelString?.match(/\bLOOP_MAX\b/g)?.length ?? 0
  // One is its declaration.
  if (mentions > 1) throw new Unfit(new LoopBound({}))
}

/** gpu.js hands a kernel it cannot do to its cpu backend, with a line on the console. */
const refuseFallback = ({ kernel }: GpuJsKernel, backend: Backend): void => {
  if (kernel.constructor.mode === backend) return
  throw new Unfit(new Fallback({ detail: kernel.fallbackReason ?? `it would run on ${kernel.constructor.mode}` }))
}

/** The cpu backend only writes to the console when the JavaScript it made does not compile. */
const refuseUnbuilt = ({ kernel }: GpuJsKernel, backend: Backend): void => {
  if (backend !== "cpu" || Object.hasOwn(kernel, "run")) return
  throw new Unfit(new Syntax({ detail: "the JavaScript that gpu.js makes of it does not compile" }))
}

const NUMBERS = ["Number", "Float", "Integer", "LiteralInteger"]

const refuseReturns = ({ kernel }: GpuJsKernel): void => {
  if (NUMBERS.includes(kernel.returnType ?? "")) return
  const problem = `must return a number, it returns ${kernel.returnType ?? "nothing"}`
  throw new Unfit(new Shape({ field: "body", problem }))
}

/**
 * The result as one array that is the caller's: gpu.js gives rows, and rows of rows, which are views on one buffer or, on
 * cpu, arrays of their own.
 */
export const flat = (result: unknown, output: ReadonlyArray<number>): Float32Array<ArrayBuffer> => {
  const size = sizeOf(output)
  const rows: Array<Float32Array<ArrayBuffer>> = []
  const gather = (part: unknown): void => {
    if (part instanceof Float32Array) rows.push(part as Float32Array<ArrayBuffer>)
    else for (const inner of part as ReadonlyArray<unknown>) gather(inner)
  }
  gather(result)
  const first = rows[0]!
  if (first.buffer.byteLength === size * 4) return new Float32Array(first.buffer)
  const all = new Float32Array(size)
  let offset = 0
  for (const row of rows) {
    all.set(row, offset)
    offset += row.length
  }
  return all
}

/** A pipeline that gpu.js compiles at its first call. */
export interface BuiltPipeline {
  readonly call: (args: ReadonlyArray<unknown>) => PromiseLike<ReadonlyArray<Float32Array<ArrayBuffer>>>
  /** How gpu.js runs it, known after the first call: as one piece (`fused-…`) or step by step (`generic`). */
  readonly kind: () => string
  readonly dispose: () => void
}

/**
 * Makes a pipeline of kernels that have been found fit. gpu.js records the steps once, when it is first called; the kinds of
 * arguments are left to it, because what is an `Input` for the first step is the result of another for the next.
 */
export const buildPipeline = (gpuJs: GpuJs, backend: Backend, source: PipelineSource): BuiltPipeline => {
  const gpu = new gpuJs.GPU({ mode: backend })
  const kernels = source.kernels.map((kernel) => {
    const { argumentTypes: _, ...settings } = settingsOf(kernel, backend, 1)
    return gpu.createKernel(kernel.body, settings)
  })
  const tensor = (value: unknown, kind: ArgumentKind): unknown =>
    kind !== "number" && value instanceof Float32Array ? gpuJs.input(value, xyz(kind.dims)) : value
  const orchestrate = (...args: ReadonlyArray<unknown>): unknown => {
    const results: Array<unknown> = []
    for (const { args: bindings, kernel } of source.steps) {
      const kinds = source.kernels[kernel]!.args
      const values = bindings.map((binding, i) => {
        if (binding._tag === "Argument") return args[binding.index]
        return binding._tag === "Step" ? results[binding.index] : tensor(binding.value, kinds[i]!)
      })
      results.push(kernels[kernel]!(...values))
    }
    return source.results.map((step) => results[step])
  }
  // gpu.js counts the parameters.
  Object.defineProperty(orchestrate, "length", { value: source.args.length })
  // With threads it would take as many as there are cores, and a pool of its own for each pipeline.
  const pipeline = gpu.createPipeline(orchestrate, { threads: false })
  const outputs = source.results.map((step) => source.kernels[source.steps[step]!.kernel]!.output)
  return {
    call: (args) =>
      pipeline(...source.args.map((kind, i) => tensor(args[i], kind))).then((results) =>
        results.map((result, i) => flat(result, outputs[i]!))
      ),
    kind: () => pipeline.executorKind,
    dispose: () => void pipeline.destroy().then(undefined, () => {})
  }
}
