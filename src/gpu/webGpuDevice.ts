/**
 * A graphics card: how it is found, opened, watched and closed. gpu.js takes its device from `navigator.gpu`, once per
 * process, so it is handed ours there, and only one device at a time can be open.
 *
 * 1. gpu.js uses exactly the device that is opened here, with the limits asked for here.
 * 2. A device is destroyed only when nothing is in flight on it: destroying a busy one blocks the event loop until it is done.
 * 3. When a device has been closed, gpu.js has forgotten it.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { DeviceLost, GpuOutOfMemory } from "./errors.ts"
import { type GpuJs, messageOf } from "./gpuJs.ts"

/** The parts of a WebGPU buffer that we use. */
export interface RawBuffer {
  readonly mapAsync: (mode: number) => PromiseLike<void>
  readonly getMappedRange: () => ArrayBuffer
  readonly destroy: () => void
}

/** The parts of a WebGPU device that we use. */
export interface RawDevice {
  readonly limits: {
    readonly maxBufferSize: number
    readonly maxStorageBufferBindingSize: number
    readonly maxStorageBuffersPerShaderStage: number
    readonly maxComputeWorkgroupsPerDimension: number
  }
  readonly lost: PromiseLike<{ readonly reason: string; readonly message: string }>
  onuncapturederror: ((event: { readonly error: Error }) => void) | null
  readonly pushErrorScope: (filter: "validation" | "out-of-memory" | "internal") => void
  readonly popErrorScope: () => PromiseLike<Error | null>
  readonly createBuffer: (descriptor: { readonly size: number; readonly usage: number }) => RawBuffer
  readonly createCommandEncoder: () => {
    readonly copyBufferToBuffer: (from: RawBuffer, at: number, to: RawBuffer, toAt: number, size: number) => void
    readonly finish: () => unknown
  }
  readonly queue: {
    readonly writeBuffer: (buffer: RawBuffer, at: number, data: Float32Array) => void
    readonly submit: (commands: ReadonlyArray<unknown>) => void
    readonly onSubmittedWorkDone: () => PromiseLike<void>
  }
  readonly destroy: () => void
}

interface Adapter {
  readonly limits: RawDevice["limits"]
  readonly info: { readonly architecture: string; readonly description: string; readonly isFallbackAdapter?: boolean }
  readonly requestDevice: (descriptor: object) => PromiseLike<RawDevice>
}

interface Gpu {
  readonly requestAdapter: (options?: object) => PromiseLike<Adapter | null>
}

/** What Dawn is started with, and a look at the raw device, for tests. @internal */
export const Dawn = Context.Reference<{
  readonly flags: ReadonlyArray<string>
  readonly opened: (device: RawDevice) => void
}>("effect-otp/gpu/Dawn", { defaultValue: () => ({ flags: [], opened: () => {} }) })

/** An open device, and what gpu.js knows it by. */
export interface Opened {
  readonly device: RawDevice
  readonly context: unknown
  /** Set from the moment the device is lost. */
  readonly lostWith: () => DeviceLost | undefined
  readonly lost: Deferred.Deferred<never, DeviceLost | GpuOutOfMemory>
}

/** Opens the first adapter; fails with the reason why there is none. */
export const open = (gpuJs: GpuJs, allowSoftware: boolean): Effect.Effect<Opened, string, Scope.Scope> =>
  Effect.gen(function* () {
    const { flags, opened } = yield* Dawn
    const { navigator } = globalThis as { navigator?: { gpu?: Gpu } }
    if (navigator === undefined) return yield* Effect.fail("this runtime has no navigator")
    if (navigator.gpu instanceof Ours) {
      return yield* Effect.fail("another GpuDevice of this process has the card: share its layer")
    }
    const gpu = navigator.gpu ?? (yield* loadDawn(flags))
    const adapter = yield* requestAdapter(gpu, allowSoftware)
    const device = yield* acquireDevice(adapter)
    yield* install(navigator, new Ours(adapter, device))
    const context = yield* attempt("gpu.js could not open the adapter", () => gpuJs.WebGPUContext.acquire())
    if (context.device !== device) return yield* Effect.fail("gpu.js has opened a device of its own in this process")
    const watched = yield* watch(device)
    opened(device)
    return { device, context, ...watched }
  })

const attempt = <A>(what: string, f: () => PromiseLike<A>): Effect.Effect<A, string> =>
  Effect.tryPromise({ try: f, catch: (cause) => `${what}: ${messageOf(cause)}` })

/** Dawn, by its flags, for as long as the process lives: its threads abort the process when it is collected too early. */
const dawns = new Map<string, Gpu>()

const loadDawn = (flags: ReadonlyArray<string>): Effect.Effect<Gpu, string> =>
  attempt(
    "webgpu could not be loaded: npm install webgpu",
    () => import("webgpu") as unknown as PromiseLike<{ readonly create: (flags: ReadonlyArray<string>) => Gpu }>
  ).pipe(
    Effect.flatMap(({ create }) =>
      Effect.try({
        try: () => {
          const dawn = dawns.get(flags.join()) ?? create(flags)
          dawns.set(flags.join(), dawn)
          return dawn
        },
        catch: (cause) => `webgpu could not start: ${messageOf(cause)}`
      })
    )
  )

const requestAdapter = (gpu: Gpu, allowSoftware: boolean): Effect.Effect<Adapter, string> =>
  Effect.flatMap(
    attempt("the adapter could not be had", () => gpu.requestAdapter()),
    (adapter) => {
      if (adapter === null)
        return Effect.fail("there is no adapter: no graphics card, or no Vulkan, Metal or D3D driver")
      const { architecture, description, isFallbackAdapter } = adapter.info
      const software = isFallbackAdapter === true || ["software", "swiftshader"].includes(architecture)
      if (!software || allowSoftware) return Effect.succeed(adapter)
      return Effect.fail(`the only adapter is emulated in software (${description}): allowSoftware takes it anyway`)
    }
  )

/** The limits that WebGPU keeps low unless asked. */
const acquireDevice = (adapter: Adapter): Effect.Effect<RawDevice, string, Scope.Scope> => {
  const { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage } = adapter.limits
  const requiredLimits = { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage }
  return Effect.acquireRelease(
    attempt("the device could not be opened", () => adapter.requestDevice({ requiredLimits })),
    close
  )
}

const close = (device: RawDevice): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* Effect.ignore(attempt("", () => device.queue.onSubmittedWorkDone()))
    device.destroy()
    // gpu.js asked for the same promise earlier, so it has been told when this ends.
    yield* Effect.ignore(attempt("", () => device.lost))
  })

/** What stands as `navigator.gpu`: it gives out one device, the one that is open. */
class Ours implements Gpu {
  readonly requestAdapter: Gpu["requestAdapter"]
  constructor({ info, limits }: Adapter, device: RawDevice) {
    const adapter: Adapter = { info, limits, requestDevice: () => Effect.runPromise(Effect.succeed(device)) }
    this.requestAdapter = () => Effect.runPromise(Effect.succeed(adapter))
  }
}

const install = (navigator: object, gpu: Gpu): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = Object.getOwnPropertyDescriptor(navigator, "gpu")
      Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true })
      return before
    }),
    (before) =>
      Effect.sync(() => {
        if (before === undefined) Reflect.deleteProperty(navigator, "gpu")
        else Object.defineProperty(navigator, "gpu", before)
      })
  )

/** Tells when the device is lost, or has run out of memory where no call can be blamed. */
const watch = (device: RawDevice): Effect.Effect<Omit<Opened, "device" | "context">, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const lost = yield* Deferred.make<never, DeviceLost | GpuOutOfMemory>()
    let lostWith: DeviceLost | undefined
    let closed = false
    yield* Effect.addFinalizer(() => Effect.sync(() => void (closed = true)))
    device.lost.then(({ message, reason }) => {
      const detail = message.trim() === "" ? reason : message.trim()
      lostWith = new DeviceLost({ backend: "webgpu", detail })
      if (!closed) Deferred.doneUnsafe(lost, lostWith)
    })
    // gpu.js has put a handler here that writes to the console.
    device.onuncapturederror = ({ error }) => {
      const detail = messageOf(error)
      if (error.constructor.name === "GPUOutOfMemoryError") {
        Deferred.doneUnsafe(lost, new GpuOutOfMemory({ backend: "webgpu", kernel: "the device", detail }))
      } else fork(Effect.logWarning(`webgpu: ${detail}`))
    }
    return { lostWith: () => lostWith, lost }
  })
