/**
 * The engine that runs kernels on a graphics card, through WebGPU.
 *
 * 1. Everything that is sent to the device goes between error scopes: the device reports what it refuses only there, and a
 *    result that it found fault with is zeros.
 * 2. A kernel whose buffers could not be made answers zeros for ever, so it is built anew before its next call.
 * 3. A permit is held until the device has done the work, also when whoever asked for it has been interrupted: a call of a
 *    resident kernel ends when it is submitted.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
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
import {
  Closed,
  Crashed,
  DeviceLost,
  GpuOutOfMemory,
  KernelCompileFailed,
  KernelRunFailed,
  Rejected,
  Syntax
} from "./errors.ts"
import {
  build,
  buildPipeline,
  type Built,
  type BuiltPipeline,
  flat,
  type GpuJs,
  loadGpuJs,
  messageOf,
  reasonOf,
  xyz
} from "./gpuJs.ts"
import { open, type Opened, type RawBuffer, type RawDevice } from "./webGpuDevice.ts"

/** Numbers fixed by the WebGPU specification. */
const USAGE = { MAP_READ: 0x01, COPY_SRC: 0x04, COPY_DST: 0x08, STORAGE: 0x80 }
const MAP_READ = 1

type CallError = KernelRunFailed | DeviceLost | GpuOutOfMemory

/** Makes an engine on the first adapter there is. */
export const makeWebGpu: MakeEngine = ({ allowSoftware, concurrency }) =>
  Effect.gen(function* () {
    const gpuJs = yield* loadGpuJs
    const opened = yield* open(gpuJs, allowSoftware)
    const card = new Card(gpuJs, opened, concurrency)
    const engine: Engine = {
      backend: "webgpu",
      limits: limitsOf(opened.device),
      compile: (source) => card.compile(source),
      pipeline: (source) => card.pipeline(source),
      upload: (data, dims) => card.upload(data, dims),
      lost: Deferred.await(opened.lost)
    }
    return engine
  }).pipe(Effect.mapError((reason) => ({ _tag: "Declined", backend: "webgpu", reason }) as const))

const limitsOf = ({ limits }: RawDevice): Limits => ({
  maxBufferBytes: Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize),
  maxTensors: limits.maxStorageBuffersPerShaderStage,
  // gpu.js works on 8 by 8 values at a time.
  maxOutputRows: limits.maxComputeWorkgroupsPerDimension * 8,
  maxOutputDepth: limits.maxComputeWorkgroupsPerDimension
})

/** What the device said to something sent to it. */
interface Outcome<A> {
  readonly value?: A
  /** What was thrown, or with what the promise was rejected. */
  readonly thrown?: { readonly cause: unknown }
  readonly outOfMemory: Error | null
  readonly invalid: Error | null
}

/** A kernel of one scope; `built` is undefined while it has to be built anew. */
interface Held {
  readonly source: KernelSource
  built: Built | undefined
  closed: boolean
}

/** A pipeline of one scope. */
interface HeldPipeline {
  built: BuiltPipeline
  closed: boolean
}

class Card {
  private readonly compiling = Semaphore.makeUnsafe(1)
  private readonly inFlight: Semaphore.Semaphore
  private readonly device: RawDevice
  private readonly gpuJs: GpuJs
  private readonly opened: Opened

  constructor(gpuJs: GpuJs, opened: Opened, concurrency: number) {
    this.gpuJs = gpuJs
    this.opened = opened
    this.device = opened.device
    this.inFlight = Semaphore.makeUnsafe(concurrency)
  }

  compile(source: KernelSource): ReturnType<Engine["compile"]> {
    return Effect.acquireRelease(
      Effect.map(this.build(source), (built): Held => ({ source, built, closed: false })),
      (held) =>
        Effect.sync(() => {
          held.closed = true
          held.built?.dispose()
        })
    ).pipe(
      Effect.map((held): CompiledKernel => ({ run: (args) => this.inFlightOf(this.run(held, args), source.resident) }))
    )
  }

  upload(data: Float32Array, dims: ReadonlyArray<number>): ReturnType<Engine["upload"]> {
    const send = () => {
      const usage = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST
      const buffer = this.device.createBuffer({ size: data.byteLength, usage })
      this.device.queue.writeBuffer(buffer, 0, data)
      const settings = { buffer, output: xyz(dims), context: this.opened.context }
      return new this.gpuJs.WebGPUBufferResult(settings)
    }
    const call = this.sent(send).pipe(
      Effect.flatMap((outcome) => this.judge("GpuBuffer", outcome)),
      Effect.map((result) => this.handle(result as never, dims))
    )
    return this.inFlightOf(call, false)
  }

  pipeline(source: PipelineSource): Effect.Effect<CompiledPipeline, never, Scope.Scope> {
    const make = () => buildPipeline(this.gpuJs, "webgpu", source)
    return Effect.acquireRelease(
      Effect.sync((): HeldPipeline => ({ built: make(), closed: false })),
      (held) =>
        Effect.sync(() => {
          held.closed = true
          held.built.dispose()
        })
    ).pipe(
      Effect.map((held) => ({
        run: (args) => this.inFlightOf(this.runPipeline(held, source.name, args, make), false)
      }))
    )
  }

  /** A call suspends between what it sends, so it is alone between its scopes, as a compilation is. */
  private runPipeline(
    held: HeldPipeline,
    name: string,
    args: ReadonlyArray<Float32Array | number>,
    make: () => BuiltPipeline
  ): ReturnType<CompiledPipeline["run"]> {
    const call = Effect.gen({ self: this }, function* () {
      if (held.closed) return yield* failed(name, new Closed({}))
      const settled = yield* this.started(() => held.built.call(args))
      const outcome = { ...settled, ...(yield* this.popped()) }
      if (held.closed && outcome.thrown !== undefined) return yield* failed(name, new Closed({}))
      if (isFault(outcome) && !held.closed) {
        held.built.dispose()
        held.built = make()
      }
      return yield* this.judge(name, outcome)
    })
    return this.compiling.withPermit(call)
  }

  /** Sends something off; its scopes are popped before anybody else can push. */
  private sent<A>(f: () => PromiseLike<A> | A): Effect.Effect<Outcome<A>> {
    return Effect.suspend(() => {
      const started = this.started(f)
      const faults = this.popped()
      return Effect.flatMap(started, (settled) => Effect.map(faults, (errors) => ({ ...settled, ...errors })))
    })
  }

  /** Pushes the scopes and calls; `popped` has to follow. */
  private started<A>(f: () => PromiseLike<A> | A): Effect.Effect<Pick<Outcome<A>, "value" | "thrown">> {
    this.device.pushErrorScope("validation")
    this.device.pushErrorScope("out-of-memory")
    try {
      const result = f()
      return Effect.tryPromise({ try: () => settledOf(result), catch: (cause) => cause }).pipe(
        Effect.match({ onFailure: (cause) => ({ thrown: { cause } }), onSuccess: (value) => ({ value: value as A }) })
      )
    } catch (cause) {
      return Effect.succeed({ thrown: { cause } })
    }
  }

  private popped(): Effect.Effect<Pick<Outcome<unknown>, "outOfMemory" | "invalid">> {
    const outOfMemory = faultOf(this.device.popErrorScope())
    const invalid = faultOf(this.device.popErrorScope())
    return Effect.flatMap(outOfMemory, (outOfMemory) => Effect.map(invalid, (invalid) => ({ outOfMemory, invalid })))
  }

  /** Builds go on after their first suspension, so one at a time: scopes are a stack, and calls leave it as it was. */
  private build(source: KernelSource): Effect.Effect<Built, KernelCompileFailed | DeviceLost | GpuOutOfMemory> {
    const { gpuJs } = this
    const kernel = source.name
    const unfit = (reason: KernelCompileFailed["reason"]) =>
      new KernelCompileFailed({ kernel, backend: "webgpu", reason })
    const attempt = Effect.gen({ self: this }, function* () {
      const lost = this.opened.lostWith()
      if (lost !== undefined) return yield* lost
      let built: Built | undefined
      const settled = yield* this.started(() => {
        built = build(gpuJs, "webgpu", source, 1)
        return built.building!
      })
      const { invalid, outOfMemory } = yield* this.popped()
      if (built !== undefined && settled.thrown === undefined && outOfMemory === null && invalid === null) return built
      built?.dispose()
      const died = this.opened.lostWith()
      if (died !== undefined) return yield* died
      if (outOfMemory !== null) return yield* exhausted(kernel, outOfMemory)
      if (settled.thrown !== undefined) return yield* unfit(reasonOf(settled.thrown.cause))
      return yield* unfit(new Syntax({ detail: messageOf(invalid) }))
    })
    return this.compiling.withPermit(Effect.uninterruptible(attempt))
  }

  private run(held: Held, args: ReadonlyArray<Argument>): ReturnType<CompiledKernel["run"]> {
    const { source } = held
    return Effect.gen({ self: this }, function* () {
      if (held.closed) return yield* failed(source.name, new Closed({}))
      const built = held.built ?? (yield* this.rebuild(held))
      const values = args.map((arg) => (typeof arg === "object" && "_tag" in arg ? arg.held : arg))
      const outcome = yield* this.sent(() => built.call(values) as PromiseLike<unknown>)
      if (isAbort(outcome)) {
        if (held.closed) return yield* failed(source.name, new Closed({}))
        // Its buffers went with those of a call that failed.
        if (held.built !== built)
          return yield* failed(source.name, new Crashed({ detail: "the call before it failed" }))
      } else if (isFault(outcome) && held.built === built && !held.closed) {
        built.dispose()
        held.built = undefined
      }
      const result = yield* this.judge(source.name, outcome)
      return source.resident ? this.handle(result as never, source.output) : flat(result, source.output)
    })
  }

  private rebuild(held: Held): Effect.Effect<Built, CallError> {
    const { name } = held.source
    return Effect.map(this.build(held.source), (built) => {
      if (held.closed) built.dispose()
      else held.built = built
      return built
    }).pipe(
      Effect.catchTag("KernelCompileFailed", ({ reason }) => failed(name, new Crashed({ detail: reason.message })))
    )
  }

  /** The value, if the device has found no fault. */
  private judge<A>(kernel: string, outcome: Outcome<A>): Effect.Effect<A, CallError> {
    const lost = this.opened.lostWith()
    if (lost !== undefined) return Effect.fail(lost)
    if (outcome.outOfMemory !== null) return Effect.fail(exhausted(kernel, outcome.outOfMemory))
    if (outcome.invalid !== null) return failed(kernel, new Rejected({ detail: messageOf(outcome.invalid) }))
    if (outcome.thrown === undefined) return Effect.succeed(outcome.value as A)
    // The device says that it is lost after its calls do.
    if (isAbort(outcome))
      return Effect.fail(new DeviceLost({ backend: "webgpu", detail: "calls in flight were aborted" }))
    return failed(kernel, new Crashed({ detail: messageOf(outcome.thrown.cause) }))
  }

  /** Bounds what is in flight: the permit comes back when the device is done. */
  private inFlightOf<A>(call: Effect.Effect<A, CallError>, resident: boolean): Effect.Effect<A, CallError> {
    const { device, inFlight } = this
    const release = inFlight.release(1)
    const done = Effect.ignore(Effect.tryPromise(() => device.queue.onSubmittedWorkDone()))
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        yield* restore(inFlight.take(1))
        const fiber = yield* Effect.forkDetach(call, { startImmediately: true })
        fiber.addObserver(() => void Effect.runFork(resident ? Effect.andThen(done, release) : release))
        const unwanted = Effect.sync(() => void fiber.addObserver(freeResult))
        return yield* Effect.onInterrupt(restore(Fiber.join(fiber)), () => unwanted)
      })
    )
  }

  private handle(
    result: { readonly buffer: RawBuffer; readonly delete: () => void },
    dims: ReadonlyArray<number>
  ): ResidentHandle {
    return {
      _tag: "ResidentHandle",
      dims,
      held: result,
      free: () => result.delete(),
      read: this.read(result.buffer, dims)
    }
  }

  private read(buffer: RawBuffer, dims: ReadonlyArray<number>): ResidentHandle["read"] {
    const size = sizeOf(dims) * 4
    const { device } = this
    const send = () => {
      const staging = device.createBuffer({ size, usage: USAGE.MAP_READ | USAGE.COPY_DST })
      const encoder = device.createCommandEncoder()
      encoder.copyBufferToBuffer(buffer, 0, staging, 0, size)
      device.queue.submit([encoder.finish()])
      return staging.mapAsync(MAP_READ).then(() => {
        const values = new Float32Array(staging.getMappedRange().slice(0))
        staging.destroy()
        return values
      })
    }
    const call = Effect.flatMap(this.sent(send), (outcome) => this.judge("GpuBuffer", outcome))
    return this.inFlightOf(call, false)
  }
}

/** Frees a result for which nobody waits any more. */
const freeResult = (exit: Exit.Exit<unknown, unknown>): void => {
  const result = Exit.isSuccess(exit) ? (exit.value as Partial<ResidentHandle> | undefined) : undefined
  if (result?._tag === "ResidentHandle") result.free?.()
}

const exhausted = (kernel: string, error: Error): GpuOutOfMemory =>
  new GpuOutOfMemory({ backend: "webgpu", kernel, detail: messageOf(error) })

const failed = (kernel: string, reason: KernelRunFailed["reason"]): Effect.Effect<never, KernelRunFailed> =>
  Effect.fail(new KernelRunFailed({ kernel, reason }))

const isAbort = ({ thrown }: Outcome<unknown>): boolean => (thrown?.cause as Error | undefined)?.name === "AbortError"

const isFault = ({ invalid, outOfMemory, thrown }: Outcome<unknown>): boolean =>
  thrown !== undefined || outOfMemory !== null || invalid !== null

/** A promise of the result, which may be here already. */
const settledOf = (result: unknown): PromiseLike<unknown> =>
  isThenable(result) ? result : Effect.runPromise(Effect.succeed(result))

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as { readonly then?: unknown } | null)?.then === "function"

/** What an error scope caught; a lost device answers nothing. */
const faultOf = (popped: PromiseLike<Error | null>): Effect.Effect<Error | null> =>
  Effect.orElseSucceed(
    Effect.tryPromise(() => popped),
    () => null
  )
