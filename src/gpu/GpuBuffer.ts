/**
 * Numbers that stay on the device between calls of kernels: no copy to the host and back. On webasm and cpu, where the
 * device's memory is the host's, they are plain arrays, and everything works the same.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { type Dims, format, sizeOf } from "./dims.ts"
import type { ResidentHandle } from "./engine.ts"
import { Closed, type DeviceLost, type GpuOutOfMemory, InvalidArgument, KernelRunFailed } from "./errors.ts"
import { GpuDevice, implOf } from "./GpuDevice.ts"

type Failure = KernelRunFailed | DeviceLost | GpuOutOfMemory

/**
 * A tensor on the device, freed with the Scope it was made in, so also when its owner crashes. Kernels take it wherever
 * they take a tensor of its shape.
 *
 * @category models
 * @since 0.1.0
 */
export interface GpuBuffer<out D extends Dims = Dims> {
  readonly "~effect-otp/GpuBuffer": D
  /** Its shape, slowest dimension first. */
  readonly dims: D
  /** Its values, flat and row by row, in an array of your own. Fails with `Closed` once it has been freed. */
  readonly read: Effect.Effect<Float32Array<ArrayBuffer>, Failure>
}

/**
 * Invariants: the handle is freed once, when the buffer is closed and no call uses it any more; nobody can begin to use a
 * closed one.
 */
class Impl implements GpuBuffer<Dims> {
  readonly "~effect-otp/GpuBuffer": Dims
  readonly dims: Dims
  readonly device: GpuDevice["Service"]
  readonly handle: ResidentHandle
  private users = 0
  private closed = false

  constructor(device: GpuDevice["Service"], handle: ResidentHandle) {
    this.device = device
    this.handle = handle
    this.dims = handle.dims as Dims
    this["~effect-otp/GpuBuffer"] = this.dims
  }

  get read(): Effect.Effect<Float32Array<ArrayBuffer>, Failure> {
    return using(
      [this],
      Effect.suspend(() => implOf(this.device).gate(this.handle.read))
    )
  }

  /** Whether it could be taken hold of. */
  take(): boolean {
    if (!this.closed) this.users++
    return !this.closed
  }

  drop(): void {
    this.users--
    this.freeIfUnused()
  }

  close(): void {
    this.closed = true
    this.freeIfUnused()
  }

  private freeIfUnused(): void {
    if (this.closed && this.users === 0) this.handle.free()
  }
}

/** The buffer behind the type, if it is one. @internal */
export const bufferOf = (value: unknown): Impl | undefined => (value instanceof Impl ? value : undefined)

/** Keeps buffers from being freed during a call; fails when one has been already. @internal */
export const using = <A, E>(
  buffers: ReadonlyArray<Impl>,
  call: Effect.Effect<A, E>,
  kernel = "GpuBuffer"
): Effect.Effect<A, E | KernelRunFailed> =>
  buffers.length === 0
    ? call
    : Effect.acquireUseRelease(
        Effect.suspend(() => {
          const held = buffers.filter((buffer) => buffer.take())
          if (held.length === buffers.length) return Effect.succeed(held)
          for (const buffer of held) buffer.drop()
          return Effect.fail(new KernelRunFailed({ kernel, reason: new Closed({}) }))
        }),
        () => call,
        (held) => Effect.sync(() => held.forEach((buffer) => buffer.drop()))
      )

/** A handle as a buffer of the scope. @internal */
export const own = <D extends Dims, E, R>(
  device: GpuDevice["Service"],
  handle: Effect.Effect<ResidentHandle, E, R>
): Effect.Effect<GpuBuffer<D>, E, R | Scope.Scope> =>
  Effect.acquireRelease(
    Effect.map(handle, (handle) => new Impl(device, handle)),
    (buffer) => Effect.sync(() => buffer.close()),
    { interruptible: true }
  ) as Effect.Effect<Impl, E, R | Scope.Scope> as never

/**
 * Copies numbers to the device. `data` has exactly as many as `dims` say, row by row, else it fails with `InvalidArgument`.
 * It may be changed once this has ended.
 *
 * **Example** (There and back)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { GpuBuffer, GpuDevice } from "effect-otp/gpu"
 *
 * const program = Effect.gen(function*() {
 *   const buffer = yield* GpuBuffer.from(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3])
 *   return yield* buffer.read
 * })
 * const cpu = GpuDevice.layer({ prefer: ["cpu"] })
 * await Effect.runPromise(Effect.scoped(Effect.provide(program, cpu))) // => Float32Array.of(1, 2, 3, 4, 5, 6)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const from = <const D extends Dims>(
  data: Float32Array,
  dims: D
): Effect.Effect<GpuBuffer<D>, Failure, GpuDevice | Scope.Scope> =>
  Effect.gen(function* () {
    const device = yield* GpuDevice
    const { engine, gate } = implOf(device)
    if (data.length !== sizeOf(dims)) {
      const [expected, actual] = [`${sizeOf(dims)} numbers (${format(dims)})`, `${data.length} numbers`]
      const reason = new InvalidArgument({ index: 0, expected, actual })
      return yield* new KernelRunFailed({ kernel: "GpuBuffer.from", reason })
    }
    return yield* own<D, Failure, never>(device, gate(Effect.suspend(() => engine.upload(data, dims))))
  })

/**
 * State that lives on the device: a cell whose content is a buffer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cell<D extends Dims> {
  readonly dims: D
  /** The values it has now, in an array of your own. */
  readonly read: Effect.Effect<Float32Array<ArrayBuffer>, Failure>
  /** Does something with what is there now; updates wait for it. */
  readonly use: <A, E, R>(f: (current: GpuBuffer<D>) => Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /**
   * Puts the result of a kernel in its place, usually one that was given the current content, and frees what was there.
   * One at a time, in the order they were asked for; when it fails the content stays what it was.
   */
  readonly update: <E, R>(
    next: (current: GpuBuffer<D>) => Effect.Effect<GpuBuffer<D>, E, R>
  ) => Effect.Effect<void, E | KernelRunFailed, Exclude<R, Scope.Scope>>
}

/**
 * Makes a cell with these numbers in it, for state that survives from message to message and dies with its Scope: made in
 * an actor's init, it is freed and made anew when the actor restarts.
 *
 * **Example** (A counter for each of three)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { GpuBuffer, GpuDevice, Kernel } from "effect-otp/gpu"
 *
 * const Add = Kernel.make("Add", {
 *   args: [Kernel.tensor(3), Kernel.tensor(3)],
 *   output: [3],
 *   body: function(a, b) {
 *     return a[this.thread.x]! + b[this.thread.x]!
 *   }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const add = yield* Kernel.compile(Add)
 *   const counts = yield* GpuBuffer.state(new Float32Array(3), [3])
 *   yield* counts.update((current) => add.resident(current, Float32Array.of(1, 0, 2)))
 *   yield* counts.update((current) => add.resident(current, Float32Array.of(1, 1, 1)))
 *   return yield* counts.read
 * })
 * const cpu = GpuDevice.layer({ prefer: ["cpu"] })
 * await Effect.runPromise(Effect.scoped(Effect.provide(program, cpu))) // => Float32Array.of(2, 1, 3)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const state = <const D extends Dims>(
  initial: Float32Array,
  dims: D
): Effect.Effect<Cell<D>, Failure, GpuDevice | Scope.Scope> =>
  Effect.gen(function* () {
    const outer = yield* Effect.scope
    const lock = Semaphore.makeUnsafe(1)
    /** What is made in the scope of an update lives there until the next update has ended. */
    const held = <E, R>(make: Effect.Effect<GpuBuffer<D>, E, R>) =>
      Effect.gen(function* () {
        const scope = yield* Scope.fork(outer)
        const made = Scope.provide(make, scope)
        const buffer = yield* Effect.onError(made, (cause) => Scope.close(scope, Exit.failCause(cause)))
        return { buffer, scope }
      })
    let current = yield* held(from(initial, dims))
    const update: Cell<D>["update"] = (next) => {
      const replace = Effect.gen(function* () {
        const before = current
        const after = yield* held(Effect.flatMap(next(before.buffer), (buffer) => sameShape(buffer, dims)))
        // What the update made is kept with it; a buffer from elsewhere stays its owner's.
        current = after
        if (after.buffer !== before.buffer) yield* Scope.close(before.scope, Exit.void)
      })
      return lock.withPermit(replace) as never
    }
    const use: Cell<D>["use"] = (f) => lock.withPermit(Effect.suspend(() => f(current.buffer)))
    return { dims, read: use((buffer) => buffer.read), use, update }
  })

const sameShape = <D extends Dims>(buffer: GpuBuffer<D>, dims: D): Effect.Effect<GpuBuffer<D>, KernelRunFailed> => {
  if (format(buffer.dims) === format(dims)) return Effect.succeed(buffer)
  const reason = new InvalidArgument({ index: 0, expected: format(dims), actual: format(buffer.dims) })
  return Effect.fail(new KernelRunFailed({ kernel: "GpuBuffer.state", reason }))
}
