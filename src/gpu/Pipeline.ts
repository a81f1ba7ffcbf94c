/**
 * Kernels run one after another on each other's results, as one call: what lies between them never leaves the device. For
 * iterations and networks of layers; a single step at a time, with the state kept on the device, is what `GpuBuffer.state` is for.
 *
 * Its body is run once, when it is compiled, on handles that stand for tensors; the calls of kernels it makes become the steps.
 * Loops are thereby unrolled, and conditions can depend on nothing that is computed.
 *
 * **Example** (Several steps, several results)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { GpuDevice, Kernel, Pipeline } from "effect-otp/gpu"
 *
 * const Smooth = Kernel.make("Smooth", {
 *   args: [Kernel.tensor(4)],
 *   output: [4],
 *   body: function(v) {
 *     const left = v[Math.max(this.thread.x - 1, 0)]!
 *     const right = v[Math.min(this.thread.x + 1, 3)]!
 *     return (left + right) / 2
 *   }
 * })
 * const Sum = Kernel.make("Sum", {
 *   args: [Kernel.tensor(4)],
 *   output: [1],
 *   body: function(v) {
 *     return v[0]! + v[1]! + v[2]! + v[3]!
 *   }
 * })
 *
 * const Smoothed = Pipeline.make("Smoothed", {
 *   args: [Kernel.tensor(4)],
 *   kernels: { smooth: Smooth, sum: Sum },
 *   body: ({ smooth, sum }, values) => {
 *     let current = smooth(values)
 *     for (let i = 1; i < 3; i++) current = smooth(current)
 *     return { values: current, sum: sum(current) }
 *   }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const smoothed = yield* Pipeline.compile(Smoothed)
 *   return yield* smoothed.run(Float32Array.of(8, 0, 0, 0))
 * })
 * const cpu = GpuDevice.layer({ prefer: ["cpu"] })
 * const { sum, values } = await Effect.runPromise(Effect.scoped(Effect.provide(program, cpu)))
 * values // => Float32Array.of(3, 3, 1, 1)
 * sum // => Float32Array.of(8)
 * ```
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { argumentProblem } from "./arguments.ts"
import { check, isReason, type Kind, type TensorKind } from "./definition.ts"
import { type Dims, format, sizeOf } from "./dims.ts"
import type { Argument, Binding, CompiledKernel, CompiledPipeline, KernelSource, PipelineSource } from "./engine.ts"
import {
  Closed,
  type DeviceLost,
  type GpuOutOfMemory,
  InvalidArgument,
  KernelCompileFailed,
  KernelRunFailed,
  Shape
} from "./errors.ts"
import { GpuDevice, implOf } from "./GpuDevice.ts"
import type { Definition, Failure } from "./Kernel.ts"

// --- Definitions ---

/**
 * A tensor of a pipeline, before there are any numbers: an argument, or what a kernel will compute.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handle<out D extends Dims> {
  readonly "~effect-otp/Pipeline": D
}

/**
 * A number that is an argument of a pipeline.
 *
 * @category models
 * @since 0.1.0
 */
export interface NumberHandle {
  readonly "~effect-otp/Pipeline": "number"
}

/**
 * What a body can give a kernel for an argument; an array is copied, and the same at each call.
 *
 * @category type-level
 * @since 0.1.0
 */
export type StepArgument<A> = A extends TensorKind<infer D> ? Handle<D> | Float32Array : NumberHandle | number

/**
 * The kernels of a pipeline, as its body calls them.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Steps<K> = {
  readonly [Name in keyof K]: K[Name] extends Definition<infer Args, infer D>
    ? (...args: { readonly [I in keyof Args]: StepArgument<Args[I]> }) => Handle<D>
    : never
}

/**
 * What a body has for its arguments.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Handles<Args> = {
  readonly [I in keyof Args]: Args[I] extends TensorKind<infer D> ? Handle<D> : NumberHandle
}

/**
 * What a call gives for all arguments: flat arrays of exactly the right length, and numbers.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Arguments<Args> = {
  readonly [I in keyof Args]: Args[I] extends TensorKind<Dims> ? Float32Array : number
}

/**
 * What a call answers: the values of one handle, or of each of several.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Results<Out> =
  Out extends Handle<Dims> ? Float32Array<ArrayBuffer> : { readonly [Name in keyof Out]: Float32Array<ArrayBuffer> }

/** One result, or several by name. */
type AnyOut = Handle<Dims> | Readonly<Record<string, Handle<Dims>>>

type Kernels = Readonly<Record<string, Definition<ReadonlyArray<Kind>, Dims>>>

/**
 * A pipeline as data: compile it to run it.
 *
 * @category models
 * @since 0.1.0
 */
export interface PipelineDefinition<out Args extends ReadonlyArray<Kind>, out Out extends AnyOut> {
  readonly name: string
  readonly args: Args
  readonly kernels: Kernels
  readonly body: (kernels: never, ...args: Array<never>) => Out
}

/**
 * Defines a pipeline: its body calls kernels on its arguments and on each other's results, and returns the result, or several
 * by name. Nothing is run or checked before `compile`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Args extends ReadonlyArray<Kind>, const K extends Kernels, const Out extends AnyOut>(
  name: string,
  options: {
    /** What the arguments of a call are, in order. */
    readonly args: Args
    readonly kernels: K
    readonly body: (kernels: Steps<K>, ...args: Handles<Args>) => Out
  }
): PipelineDefinition<Args, Out> => ({ name, ...options }) as PipelineDefinition<Args, Out>

// --- Running ---

/**
 * A compiled pipeline. Arguments are read when the device takes the call up; results are new arrays and belong to the caller.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pipeline<Args extends ReadonlyArray<Kind>, Out extends AnyOut> {
  readonly name: string
  /** One call. Counts as one of the calls that the device has in flight, however many steps it has. */
  readonly run: (...args: Arguments<Args>) => Effect.Effect<Results<Out>, Failure>
}

/**
 * Compiles a pipeline, with all its kernels, and frees it with the Scope. Fails for a kernel that is unfit, and with `Shape` for
 * one that is called with something that does not fit: `field` is then the name of the kernel and the argument.
 *
 * On webgpu and webasm the steps are run as one piece, on cpu and in a worker thread one by one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const compile = <const Args extends ReadonlyArray<Kind>, Out extends AnyOut>(
  definition: PipelineDefinition<Args, Out>
): Effect.Effect<Pipeline<Args, Out>, KernelCompileFailed | DeviceLost | GpuOutOfMemory, GpuDevice | Scope.Scope> =>
  Effect.gen(function* () {
    const device = yield* GpuDevice
    const { engine, gate, kernels: shared, parse } = implOf(device)
    const { args, kernels, name } = definition
    const refuse = (kernel: string, reason: KernelCompileFailed["reason"]) =>
      new KernelCompileFailed({ kernel, backend: device.backend, reason })

    const parts = Object.values(kernels)
    const sources: Array<KernelSource> = []
    for (const kernel of parts) {
      const checked = check(kernel, parse, device.limits)
      if (isReason(checked)) return yield* refuse(kernel.name, checked)
      sources.push(checked.source)
    }
    const trace = traced(definition, sources)
    if (trace instanceof Shape) return yield* refuse(name, trace)
    const { names, source } = trace

    const compileAll = Effect.forEach(sources, (source, i) => shared.get(parts[i]!, "plain", source))
    const whole = engine.pipeline
    const compiled =
      whole === undefined
        ? stepwise(source, yield* compileAll)
        : // Compiled one by one only to find those that are unfit.
          yield* Effect.andThen(Effect.scoped(compileAll), whole(source))

    let closed = false
    yield* Effect.addFinalizer(() => Effect.sync(() => void (closed = true)))
    const fail = (reason: KernelRunFailed["reason"]) => Effect.fail(new KernelRunFailed({ kernel: name, reason }))
    const run = (...values: ReadonlyArray<unknown>) =>
      Effect.suspend(() => {
        const problem = argumentProblem(values, args, device) ?? bufferProblem(values)
        if (problem !== undefined) return fail(problem)
        const launch = Effect.suspend(() =>
          closed ? fail(new Closed({})) : compiled.run(values as ReadonlyArray<Float32Array | number>)
        )
        return Effect.map(gate(launch), (results) =>
          names === undefined ? results[0] : Object.fromEntries(names.map((name, i) => [name, results[i]]))
        )
      })
    return { name, run } as unknown as Pipeline<Args, Out>
  })

const bufferProblem = (values: ReadonlyArray<unknown>): InvalidArgument | undefined => {
  const index = values.findIndex((value) => typeof value === "object" && !(value instanceof Float32Array))
  return index === -1 ? undefined : new InvalidArgument({ index, expected: "a Float32Array", actual: "a GpuBuffer" })
}

// --- Recording ---

/** A handle, from behind. */
class Recorded {
  readonly binding: Binding
  /** Undefined for a number. */
  readonly dims: ReadonlyArray<number> | undefined
  constructor(binding: Binding, dims: ReadonlyArray<number> | undefined) {
    this.binding = binding
    this.dims = dims
  }
}

interface Trace {
  readonly source: PipelineSource
  /** Undefined where there is one result. */
  readonly names: ReadonlyArray<string> | undefined
}

/** Runs the body on handles. */
const traced = (
  definition: PipelineDefinition<ReadonlyArray<Kind>, AnyOut>,
  sources: ReadonlyArray<KernelSource>
): Trace | Shape => {
  const steps: Array<PipelineSource["steps"][number]> = []
  let problem: Shape | undefined
  const call = (kernel: number, name: string, values: ReadonlyArray<unknown>): Recorded => {
    const { args, output } = sources[kernel]!
    if (values.length !== args.length) {
      problem ??= new Shape({ field: name, problem: `takes ${args.length} arguments, it is given ${values.length}` })
    }
    const bindings = args.map((kind, i) => {
      const fits = bindingOf(values[i], kind === "number" ? undefined : kind.dims)
      if (typeof fits !== "string") return fits
      problem ??= new Shape({ field: `${name} args[${i}]`, problem: fits })
      return { _tag: "Value", value: 0 } as const
    })
    steps.push({ kernel, args: bindings })
    return new Recorded({ _tag: "Step", index: steps.length - 1 }, output)
  }
  const kernels = Object.fromEntries(
    Object.keys(definition.kernels).map((name, i) => [
      name,
      (...values: ReadonlyArray<unknown>) => call(i, name, values)
    ])
  )
  const handles = definition.args.map(
    (kind, index) => new Recorded({ _tag: "Argument", index }, kind === "number" ? undefined : kind.dims)
  )
  const out = (definition.body as (...args: ReadonlyArray<unknown>) => unknown)(kernels, ...handles)
  const single = out instanceof Recorded
  const results = single ? [out] : Object.values(out ?? {})
  const indexes = results.map((result) => stepOf(result))
  if (problem !== undefined) return problem
  if (indexes.length === 0 || indexes.includes(-1)) {
    return new Shape({ field: "body", problem: "must return the result of a kernel, or several by name" })
  }
  const { args, name } = definition
  const kinds = args.map((kind) => (kind === "number" ? kind : { dims: kind.dims }))
  const source = { name, kernels: sources, args: kinds, steps, results: indexes }
  return { source, names: single ? undefined : Object.keys(out as object) }
}

const stepOf = (result: unknown): number =>
  result instanceof Recorded && result.binding._tag === "Step" ? result.binding.index : -1

/** What a step is given, or what it should have been. */
const bindingOf = (value: unknown, dims: ReadonlyArray<number> | undefined): Binding | string => {
  if (dims === undefined) {
    if (typeof value === "number") return { _tag: "Value", value }
    return value instanceof Recorded && value.dims === undefined ? value.binding : "must be a number"
  }
  if (value instanceof Float32Array && value.length === sizeOf(dims)) return { _tag: "Value", value: value.slice() }
  if (value instanceof Recorded && value.dims !== undefined && format(value.dims) === format(dims)) return value.binding
  return `must be a tensor of ${format(dims)}`
}

/** The steps one by one, for an engine that has nothing better. */
const stepwise = (source: PipelineSource, kernels: ReadonlyArray<CompiledKernel>): CompiledPipeline => ({
  run: (args) =>
    Effect.gen(function* () {
      const results: Array<Float32Array<ArrayBuffer>> = []
      for (const { args: bindings, kernel } of source.steps) {
        const values = bindings.map((binding): Argument => {
          if (binding._tag === "Value") return binding.value
          return binding._tag === "Step" ? results[binding.index]! : args[binding.index]!
        })
        results.push((yield* kernels[kernel]!.run(values)) as Float32Array<ArrayBuffer>)
      }
      // Two results may be one and the same.
      const given = new Set<number>()
      return source.results.map((step) => {
        const again = given.has(step)
        given.add(step)
        return again ? results[step]!.slice() : results[step]!
      })
    })
})
