/**
 * What a device runs its kernels on. Two implementations: `inThread` (this thread) and `isolated` (a worker thread).
 *
 * 1. All dims are row-major, slowest first: `[rows, columns]`, `[depth, rows, columns]`. An engine turns them round for
 *    gpu.js, whose sizes and `this.thread` are x, y, z.
 * 2. Whoever calls has checked kinds, lengths and that the kernel is open; calls at most `concurrency` at a time; compiles one
 *    kernel at a time, uninterruptibly. An engine checks none of this again.
 * 3. An engine answers with numbers it can vouch for, or with an error. Arguments are read before `run` suspends; results are
 *    new arrays that belong to the caller.
 * 4. Functions travel as source text: they may not close over anything anyway.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Backend, Declined, DeviceLost, GpuOutOfMemory, KernelCompileFailed, KernelRunFailed } from "./errors.ts"

/**
 * What a device can hold. Bytes and counts; `Infinity` where there is no such limit.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** The most bytes one argument, constant or output may have. */
  readonly maxBufferBytes: number
  /** The most tensors (arguments, array constants and the output together) one kernel may have. */
  readonly maxTensors: number
  /** The most rows, and the most columns, of an output of two or three dimensions. */
  readonly maxOutputRows: number
  /** The most layers of an output of three dimensions. */
  readonly maxOutputDepth: number
}

/** `dims` of a tensor, or a plain number. */
export type ArgumentKind = { readonly dims: ReadonlyArray<number> } | "number"

/** All there is to know about a kernel, as data that can be sent to another thread. */
export interface KernelSource {
  readonly name: string
  /** The text of a plain function, named or not. */
  readonly body: string
  readonly functions: ReadonlyArray<{ readonly name: string; readonly source: string }>
  readonly constants: Readonly<Record<string, number | Float32Array>>
  readonly args: ReadonlyArray<ArgumentKind>
  readonly output: ReadonlyArray<number>
  /** The most rounds of a loop whose bound is neither literal nor constant; undefined refuses such loops. */
  readonly loopLimit: number | undefined
  readonly seed: number | undefined
  /** Results stay on the device: `run` gives a `ResidentHandle`. */
  readonly resident: boolean
}

/** A tensor that stays on the device; made, read and freed by one engine. Where memory is the host's, `data` is it. */
export interface ResidentHandle {
  readonly _tag: "ResidentHandle"
  readonly dims: ReadonlyArray<number>
  /** The values, flat, in an array of the caller's own. */
  readonly read: Effect.Effect<Float32Array<ArrayBuffer>, KernelRunFailed | DeviceLost | GpuOutOfMemory>
  /** Frees it; twice is once. Calls that were handed it before still get their results. */
  readonly free: () => void
  /** What the engine knows it by: its own business. */
  readonly held: unknown
}

/** A value of an argument, checked against its kind. */
export type Argument = Float32Array | number | ResidentHandle

/** A kernel on its engine. */
export interface CompiledKernel {
  /** One call. A `ResidentHandle` where the source says `resident`, else the flat output. */
  readonly run: (
    args: ReadonlyArray<Argument>
  ) => Effect.Effect<Float32Array<ArrayBuffer> | ResidentHandle, KernelRunFailed | DeviceLost | GpuOutOfMemory>
}

/** Where an argument of a step comes from. */
export type Binding =
  | { readonly _tag: "Argument"; readonly index: number }
  | { readonly _tag: "Step"; readonly index: number }
  | { readonly _tag: "Value"; readonly value: number | Float32Array }

/** Kernels run one after another on each other's results, as data. */
export interface PipelineSource {
  readonly name: string
  readonly kernels: ReadonlyArray<KernelSource>
  readonly args: ReadonlyArray<ArgumentKind>
  readonly steps: ReadonlyArray<{ readonly kernel: number; readonly args: ReadonlyArray<Binding> }>
  /** The steps whose results are the pipeline's. */
  readonly results: ReadonlyArray<number>
}

/** A pipeline on its engine. */
export interface CompiledPipeline {
  readonly run: (
    args: ReadonlyArray<Float32Array | number>
  ) => Effect.Effect<ReadonlyArray<Float32Array<ArrayBuffer>>, KernelRunFailed | DeviceLost | GpuOutOfMemory>
}

/** What a device runs kernels on. */
export interface Engine {
  readonly backend: Backend
  readonly limits: Limits
  /**
   * Compiles eagerly, runs it once on zeros where nothing less shows that it runs, and frees the kernel with the scope.
   * Fails with what makes the definition unfit; never gives a kernel that another backend would run.
   */
  readonly compile: (
    source: KernelSource
  ) => Effect.Effect<CompiledKernel, KernelCompileFailed | DeviceLost | GpuOutOfMemory, Scope.Scope>
  /**
   * Runs a pipeline as one piece, where that is faster than its steps one by one. Every kernel in it has been compiled by
   * itself before, so nothing in it is unfit.
   */
  readonly pipeline?: (source: PipelineSource) => Effect.Effect<CompiledPipeline, never, Scope.Scope>
  /** Puts values on the device. `data` is read before this suspends. */
  readonly upload: (
    data: Float32Array,
    dims: ReadonlyArray<number>
  ) => Effect.Effect<ResidentHandle, KernelRunFailed | DeviceLost | GpuOutOfMemory>
  /** Waits for the device to be lost; never ends before. */
  readonly lost: Effect.Effect<never, DeviceLost | GpuOutOfMemory>
}

/** What an engine needs to know at its making. */
export interface EngineOptions {
  readonly backend: Backend
  /** Calls in flight at a time, for an engine that answers later; the others are called one at a time. */
  readonly concurrency: number
  /** Threads of one webasm kernel, 1 and more. */
  readonly threads: number
  /** Whether a software adapter will do, for webgpu. */
  readonly allowSoftware: boolean
}

/** Makes an engine that lives as long as the scope, or declines with a reason that says what to install or change. */
export type MakeEngine = (options: EngineOptions) => Effect.Effect<Engine, DeclinedError, Scope.Scope>

/** A backend that is not here, as the error of an Effect. */
export interface DeclinedError extends Declined {
  readonly _tag: "Declined"
}
