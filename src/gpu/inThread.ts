/**
 * The engine that runs kernels in this thread, on WebAssembly or plain JavaScript. A call blocks the event loop for as long
 * as it takes, except on several threads of WebAssembly; memory is the host's, so what is resident is a plain array.
 */
import * as Effect from "effect/Effect"
import { sizeOf } from "./dims.ts"
import type {
  Argument,
  CompiledKernel,
  CompiledPipeline,
  Engine,
  KernelSource,
  PipelineSource,
  Limits,
  MakeEngine,
  ResidentHandle
} from "./engine.ts"
import { type Backend, Crashed, GpuOutOfMemory, KernelCompileFailed, KernelRunFailed } from "./errors.ts"
import { build, buildPipeline, type Built, flat, type GpuJs, loadGpuJs, messageOf, reasonOf } from "./gpuJs.ts"

/** WebAssembly has 32 bits of memory; one JavaScript array may have a little more. */
export const hostLimits: Limits = {
  maxBufferBytes: 2 ** 32,
  maxTensors: Infinity,
  maxOutputRows: Infinity,
  maxOutputDepth: Infinity
}

/** An array of the host as a resident tensor. @internal */
export const hostHandle = (data: Float32Array<ArrayBuffer>, dims: ReadonlyArray<number>): ResidentHandle => {
  let held: Float32Array<ArrayBuffer> | undefined = data
  return {
    _tag: "ResidentHandle",
    dims,
    read: Effect.sync(() => (held ?? new Float32Array(sizeOf(dims))).slice()),
    free: () => {
      held = undefined
    },
    get held() {
      return held
    }
  }
}

/** The host's arrays behind the arguments. @internal */
export const hostArguments = (args: ReadonlyArray<Argument>): ReadonlyArray<Float32Array | number> =>
  args.map((arg) => (typeof arg === "object" && "_tag" in arg ? (arg.held as Float32Array) : arg))

/** Makes an engine for `webasm` or `cpu` in this thread. */
export const makeInThread: MakeEngine = ({ backend, threads }) =>
  Effect.gen(function* () {
    const declined = (reason: string) => ({ _tag: "Declined" as const, backend, reason })
    if (backend === "webasm" && !("WebAssembly" in globalThis)) {
      return yield* Effect.fail(declined("this runtime has no WebAssembly"))
    }
    const gpuJs = yield* Effect.mapError(loadGpuJs, declined)
    const engine: Engine = {
      backend,
      limits: hostLimits,
      compile: (source) => compile(gpuJs, backend, source, threads),
      // Plain JavaScript gains nothing from it.
      ...(backend === "webasm" ? { pipeline: (source) => pipeline(gpuJs, backend, source) } : undefined),
      upload: (data, dims) => Effect.sync(() => hostHandle(new Float32Array(data), dims)),
      lost: Effect.never
    }
    return engine
  })

const compile = (
  gpuJs: GpuJs,
  backend: Backend,
  source: KernelSource,
  threads: number
): ReturnType<Engine["compile"]> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => build(gpuJs, backend, source, threads),
      catch: (thrown) =>
        isExhausted(thrown)
          ? new GpuOutOfMemory({ backend, kernel: source.name, detail: messageOf(thrown) })
          : new KernelCompileFailed({ kernel: source.name, backend, reason: reasonOf(thrown) })
    }),
    (built) => Effect.sync(built.dispose)
  ).pipe(Effect.map((built): CompiledKernel => ({ run: (args) => run(backend, source, built, args) })))

const run = (
  backend: Backend,
  source: KernelSource,
  built: Built,
  args: ReadonlyArray<Argument>
): ReturnType<CompiledKernel["run"]> => {
  const failed = failureOf(backend, source.name)
  const finish = (result: unknown) => {
    const values = flat(result, source.output)
    return source.resident ? hostHandle(values, source.output) : values
  }
  return Effect.suspend(() => {
    let result: unknown
    // As one step: an Effect for each would cost more than a small kernel.
    try {
      result = built.call(hostArguments(args))
    } catch (thrown) {
      return Effect.fail(failed(thrown))
    }
    if (!isPromise(result)) return Effect.succeed(finish(result))
    return Effect.map(Effect.tryPromise({ try: () => result as never, catch: failed }), finish)
  })
}

const failureOf = (backend: Backend, kernel: string) => (thrown: unknown) =>
  isExhausted(thrown)
    ? new GpuOutOfMemory({ backend, kernel, detail: messageOf(thrown) })
    : new KernelRunFailed({ kernel, reason: new Crashed({ detail: messageOf(thrown) }) })

const pipeline = (gpuJs: GpuJs, backend: Backend, source: PipelineSource) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => buildPipeline(gpuJs, backend, source)),
      (built) => Effect.sync(built.dispose)
    ),
    (built): CompiledPipeline => ({
      run: (args) => Effect.tryPromise({ try: () => built.call(args), catch: failureOf(backend, source.name) })
    })
  )

const isPromise = (value: unknown): boolean =>
  typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"

/** What V8 throws where an array or a WebAssembly memory is too large. */
const isExhausted = (thrown: unknown): boolean =>
  thrown instanceof RangeError && /allocat|array (buffer|length)|memory/i.test(thrown.message)
