/**
 * The compiled kernels of one device: whoever compiles the same definition gets the same kernel, freed when the last of them
 * lets it go. So a pool of actors compiles once, and one of them that restarts finds its kernels ready.
 *
 * 1. A kernel is the same when it comes from the same definition, not when its source reads the same.
 * 2. One compilation at a time, and none is broken off half-way.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as RcMap from "effect/RcMap"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { CompiledKernel, Engine, KernelSource } from "./engine.ts"
import type { DeviceLost, GpuOutOfMemory, KernelCompileFailed } from "./errors.ts"

type CompileFailure = KernelCompileFailed | DeviceLost | GpuOutOfMemory

/** One variant of a definition: as it is, resident, or for a size of batches. */
interface Variant {
  readonly source: KernelSource
}

/** @internal */
export class SharedKernels {
  private readonly variants = new WeakMap<object, Map<string, Variant>>()
  private readonly kernels: RcMap.RcMap<Variant, CompiledKernel, CompileFailure>
  /** Why nothing on the device runs any more. */
  private over: DeviceLost | GpuOutOfMemory | undefined = undefined

  private constructor(kernels: RcMap.RcMap<Variant, CompiledKernel, CompileFailure>) {
    this.kernels = kernels
  }

  static make(engine: Engine): Effect.Effect<SharedKernels, never, Scope.Scope> {
    const compiling = Semaphore.makeUnsafe(1)
    const lookup = ({ source }: Variant) => compiling.withPermit(Effect.uninterruptible(engine.compile(source)))
    return Effect.gen(function* () {
      // In nobody's scope: where the device goes first, calls in flight still have to hear why.
      const kernels = yield* Scope.provide(RcMap.make({ lookup }), yield* Scope.make())
      const shared = new SharedKernels(kernels)
      yield* Effect.forkScoped(engine.lost.pipe(Effect.catch((why) => Effect.sync(() => void (shared.over = why)))))
      return shared
    })
  }

  /** The kernel for a variant of a definition, kept for the Scope. */
  get(
    definition: object,
    variant: string,
    source: KernelSource
  ): Effect.Effect<CompiledKernel, CompileFailure, Scope.Scope> {
    return Effect.suspend(() => {
      if (this.over !== undefined) return Effect.fail(this.over)
      const key = this.variantOf(definition, variant, source)
      // One that failed for want of memory may do better the next time.
      return Effect.onError(RcMap.get(this.kernels, key), () => RcMap.invalidate(this.kernels, key))
    })
  }

  private variantOf(definition: object, name: string, source: KernelSource): Variant {
    let variants = this.variants.get(definition)
    if (variants === undefined) this.variants.set(definition, (variants = new Map()))
    let variant = variants.get(name)
    if (variant === undefined) variants.set(name, (variant = Equal.byReferenceUnsafe({ source })))
    return variant
  }
}
