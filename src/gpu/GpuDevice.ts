/**
 * The device that kernels run on: the first of the preferred backends that is here, held for as long as its layer lives.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { ActorContext } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import type * as ChildSpec from "../supervision/ChildSpec.ts"
import { service } from "../supervision/Supervisor.ts"
import * as BufferPool from "./BufferPool.ts"
import type { Engine, Limits, MakeEngine } from "./engine.ts"
import {
  type Backend,
  Backend as BackendSchema,
  type Declined,
  type DeviceLost,
  type GpuOutOfMemory,
  GpuUnavailable
} from "./errors.ts"
import { makeInThread } from "./inThread.ts"
import { makeIsolated } from "./isolated.ts"
import { SharedKernels } from "./sharing.ts"
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
  /**
   * Runs kernels of webasm and cpu in a worker thread of the device: the event loop goes on during long ones, and a call that
   * is interrupted is really stopped (the thread is ended, and started again by the next call). Costs about 0.1 ms a call.
   * Default `false`.
   */
  readonly isolated?: boolean
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
  readonly kernels: SharedKernels
  /** Arrays in which batches are gathered. */
  readonly pool: BufferPool.BufferPool
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

const engineFor = (backend: Backend, isolated: boolean): MakeEngine => {
  if (backend === "webgpu") return makeWebGpu
  return isolated ? makeIsolated : makeInThread
}

const make = (options: Options): Effect.Effect<GpuDevice["Service"], GpuUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const { allowSoftware = false, concurrency = 8, isolated = false, threads = 1 } = options
    const { prefer = ["webgpu", "webasm", "cpu"] } = options
    const problem = problemWith({ concurrency, prefer, threads })
    if (problem !== undefined) return yield* Effect.die(new Error(`GpuDevice: ${problem}`))
    const declined: Array<Declined> = []
    for (const backend of prefer) {
      const engine = engineFor(backend, isolated)({ backend, allowSoftware, concurrency, threads })
      const made = yield* Effect.result(Effect.all([owned(engine), parserFor(backend)]))
      if (Result.isSuccess(made)) {
        const [engine, parse] = made.success
        const pool = yield* BufferPool.make()
        return provide({ engine, parse, pool, kernels: yield* SharedKernels.make(engine) }, declined)
      }
      declined.push({ backend, reason: made.failure.reason })
    }
    return yield* new GpuUnavailable({ declined })
  })

const problemWith = ({
  concurrency,
  prefer,
  threads
}: Required<Pick<Options, "concurrency" | "prefer" | "threads">>) => {
  const isCount = (value: number) => Number.isInteger(value) && value >= 1
  if (!isCount(concurrency)) return `concurrency must be a whole number of 1 or more, got ${concurrency}`
  if (!isCount(threads)) return `threads must be a whole number of 1 or more, got ${threads}`
  const isBackend = Schema.is(BackendSchema)
  if (prefer.length > 0 && prefer.every((backend) => isBackend(backend))) return undefined
  return `prefer must be a list of webgpu, webasm and cpu, got [${prefer.join(", ")}]`
}

/** What an engine that then declines has opened is closed before the next is tried. */
const owned = <A, E>(engine: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    return yield* Effect.onError(Scope.provide(engine, scope), (cause) => Scope.close(scope, Exit.failCause(cause)))
  })

const parserFor = (backend: Backend) => Effect.mapError(loadParser, (reason): Declined => ({ backend, reason }))

const provide = (parts: Omit<Impl, "gate">, declined: ReadonlyArray<Declined>): GpuDevice["Service"] => {
  const { backend, limits, lost } = parts.engine
  const device: GpuDevice["Service"] = { backend, declined, limits, lost }
  impls.set(device, { ...parts, gate: backend === "webgpu" ? (call) => call : oneAtATime() })
  return device
}

/**
 * Kernels of the host take the whole event loop, and those who wait for timers and sockets get their turn between calls: once
 * a millisecond, since a turn costs more than a small call.
 */
const oneAtATime = (): Impl["gate"] => {
  const permit = Semaphore.makeUnsafe(1)
  let turn = 0
  const rest = <A>(result: A): Effect.Effect<A> =>
    Effect.clockWith((clock) => {
      const now = clock.currentTimeMillisUnsafe()
      if (now === turn) return Effect.succeed(result)
      turn = now
      return Effect.as(Effect.yieldNow, result)
    })
  return (call) => permit.withPermit(Effect.flatMap(call, rest))
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

/**
 * A device as a child of a supervisor: it provides `GpuDevice` to the children after it, and crashes with `DeviceLost` when the
 * card is lost (with `GpuOutOfMemory` when it runs out of memory where no call could be told). Under `rest-for-one`, or in a
 * `Supervisor.graph`, it is then opened again, and everything that holds kernels or buffers on it is restarted after it.
 *
 * Its id is `gpu` unless `options` say otherwise; they take what other children take. For a card that takes a while to come
 * back give it a `backoff`.
 *
 * **Example** (A model on the card)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Actor, Supervisor } from "effect-otp"
 * import { GpuDevice, Kernel, Tensor } from "effect-otp/gpu"
 *
 * const Twice = Kernel.make("Twice", {
 *   args: [Kernel.tensor(2)],
 *   output: [2],
 *   body: function(v) {
 *     return v[this.thread.x]! * 2
 *   }
 * })
 *
 * class Model extends Actor.Service<Model>()("docs/Model", {
 *   Double: { payload: { vector: Tensor.vector(2) }, success: Tensor.vector(2) }
 * }) {}
 *
 * const ModelLive = Model.behavior(Effect.gen(function*() {
 *   const twice = yield* Kernel.compile(Twice) // anew at each restart
 *   return Model.of({ Double: ({ vector }) => Effect.orDie(twice.run(vector)) })
 * }))
 *
 * const Tree = Supervisor.make("app", {
 *   strategy: "rest-for-one",
 *   children: [GpuDevice.child({ prefer: ["cpu"] }), ModelLive]
 * })
 *
 * const program = Effect.gen(function*() {
 *   const model = yield* Model
 *   return yield* model.ask.Double({ vector: Float32Array.of(1, 2) })
 * })
 * await Effect.runPromise(Effect.provide(program, Supervisor.layer(Tree))) // => Float32Array.of(2, 4)
 * ```
 *
 * @category supervision
 * @since 0.1.0
 */
export const child = <R = never>(
  options: Options & ChildSpec.Options<ChildError, R> = {}
): ChildSpec.ChildSpec<GpuDevice, ChildError, NoInfer<R>> => {
  const { id = "gpu", ...rest } = options
  const layer = Layer.effect(GpuDevice, Effect.tap(make(options), crashWhenLost))
  // The context of a child's start has its ActorContext.
  return service(id, layer as Layer.Layer<GpuDevice, ChildError>, { provides: [GpuDevice], ...rest } as object) as never
}

/** What a device that is a child can end with. */
type ChildError = GpuUnavailable | DeviceLost | GpuOutOfMemory

/** Nobody calls a device that is a child: it watches itself, beside its empty mailbox. */
const crashWhenLost = ({ lost }: GpuDevice["Service"]): Effect.Effect<void, never, ActorContext> =>
  Effect.map(ActorContext, ({ incarnation, item }) => {
    const slot = incarnation.host as Slot
    const crash = (exit: Exit.Exit<never, DeviceLost | GpuOutOfMemory>) => {
      if (slot.incarnation === incarnation && Exit.isFailure(exit)) {
        slot.failBeside(incarnation, exit.cause, item, undefined)
      }
    }
    const watch = Effect.onExit(lost, (exit) => Effect.sync(() => crash(exit)))
    slot.continueWith(() => void incarnation.runBeside(watch, item, undefined))
  })
