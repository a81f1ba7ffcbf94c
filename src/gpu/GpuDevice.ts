/**
 * The device that kernels run on: the first of the preferred backends that is here, held for as long as its layer lives.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Engine, Limits, MakeEngine } from "./engine.ts"
import { type Backend, type Declined, type DeviceLost, type GpuOutOfMemory, GpuUnavailable } from "./errors.ts"
import { makeInThread } from "./inThread.ts"
import { loadParser, type Parse } from "./syntax.ts"
import { makeWebGpu } from "./webGpu.ts"

export type { Backend, Declined } from "./errors.ts"
export { DeviceLost, GpuOutOfMemory, GpuUnavailable } from "./errors.ts"
export type { Limits } from "./engine.ts"

/**
 * Which backend to take, and how hard to drive it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Backends in order of preference; the first that is here is taken. Default `["webgpu", "webasm", "cpu"]`. */
  readonly prefer?: readonly [Backend, ...Array<Backend>]
  /** Calls in flight at a time on webgpu, 1 or more. Default 8. On webasm and cpu it is always one. */
  readonly concurrency?: number
  /** Whether a card that is emulated in software will do for webgpu. Default `false`: webasm is faster than that. */
  readonly allowSoftware?: boolean
  /** Threads of each webasm kernel, 1 or more; with more than 1 large kernels leave the event loop alone. Default 1. */
  readonly threads?: number
}

/**
 * A device, as kernels are compiled for it.
 *
 * @category services
 * @since 0.1.0
 */
export class GpuDevice extends Context.Service<
  GpuDevice,
  {
    /** What its kernels run on. */
    readonly backend: Backend
    /** The backends that were preferred to it, and why each is not here. */
    readonly declined: ReadonlyArray<Declined>
    readonly limits: Limits
    /** Ends, by failing, when the device is lost or has run out of memory where no call could be told. */
    readonly lost: Effect.Effect<never, DeviceLost | GpuOutOfMemory>
  }
>()("effect-otp/GpuDevice") {}

/** What kernels and buffers know of a device. @internal */
export interface Impl {
  readonly engine: Engine
  readonly parse: Parse
  /** One compilation at a time. */
  readonly compiling: Semaphore.Semaphore
  /** A call, at a time when the device can take it. */
  readonly gate: <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

const impls = new WeakMap<GpuDevice["Service"], Impl>()

/** @internal */
export const implOf = (device: GpuDevice["Service"]): Impl => {
  const impl = impls.get(device)
  if (impl === undefined) throw new Error("this GpuDevice was not made by GpuDevice.layer")
  return impl
}

const engineFor = (backend: Backend): MakeEngine => (backend === "webgpu" ? makeWebGpu : makeInThread)

const make = (options: Options): Effect.Effect<GpuDevice["Service"], GpuUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const { allowSoftware = false, concurrency = 8, prefer = ["webgpu", "webasm", "cpu"], threads = 1 } = options
    const declined: Array<Declined> = []
    for (const backend of prefer) {
      const engine = engineFor(backend)({ backend, allowSoftware, concurrency, threads })
      const made = yield* Effect.result(Effect.all([owned(engine), parserFor(backend)]))
      if (Result.isSuccess(made)) return provide(made.success[0], made.success[1], declined)
      declined.push({ backend, reason: made.failure.reason })
    }
    return yield* new GpuUnavailable({ declined })
  })

/** What an engine that then declines has opened is closed before the next is tried. */
const owned = <A, E>(engine: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    return yield* Effect.onError(Scope.provide(engine, scope), (cause) => Scope.close(scope, Exit.failCause(cause)))
  })

const parserFor = (backend: Backend) => Effect.mapError(loadParser, (reason): Declined => ({ backend, reason }))

const provide = (engine: Engine, parse: Parse, declined: ReadonlyArray<Declined>): GpuDevice["Service"] => {
  const { backend, limits, lost } = engine
  const device: GpuDevice["Service"] = { backend, declined, limits, lost }
  const compiling = Semaphore.makeUnsafe(1)
  impls.set(device, { engine, parse, compiling, gate: backend === "webgpu" ? (call) => call : oneAtATime() })
  return device
}

/** Kernels of the host take the whole event loop: after each, others get their turn. */
const oneAtATime = (): Impl["gate"] => {
  const permit = Semaphore.makeUnsafe(1)
  return (call) => permit.withPermit(Effect.ensuring(call, Effect.yieldNow))
}

/**
 * Opens the first of the preferred backends that is here and closes it when the layer is released, after the kernels and
 * buffers on it. Fails with `GpuUnavailable`, which has the reason of each backend, when none is here. Options that make no
 * sense (no backend at all, a concurrency below 1) are defects.
 *
 * **Example** (Whatever there is)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { GpuDevice } from "effect-otp/gpu"
 *
 * const program = Effect.gen(function*() {
 *   const device = yield* GpuDevice.GpuDevice
 *   return device.backend
 * })
 * await Effect.runPromise(Effect.provide(program, GpuDevice.layer({ prefer: ["cpu"] }))) // => "cpu"
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<GpuDevice, GpuUnavailable> =>
  Layer.effect(GpuDevice, make(options))
