/**
 * A compiled kernel with its variants: the plain one, the one whose results stay on the device, and one for each size of
 * batches. They share a scope; the last two are compiled when they are first needed.
 *
 * 1. Nothing reaches an engine whose kind and length has not been checked.
 * 2. Nothing runs once the scope has closed.
 * 3. Each variant is asked for once, whoever needs it first; the device has one for all that compile the same definition.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { argumentProblem, describe } from "./arguments.ts"
import { type Batched, bucketFor } from "./batching.ts"
import { isReason, type Kind, limitProblem } from "./definition.ts"
import { type Dims, sizeOf } from "./dims.ts"
import type { Argument, CompiledKernel, KernelSource, ResidentHandle } from "./engine.ts"
import {
  Closed,
  Crashed,
  type DeviceLost,
  GpuOutOfMemory,
  InvalidArgument,
  KernelCompileFailed,
  KernelRunFailed,
  type NotBatchable
} from "./errors.ts"
import { bufferOf, type GpuBuffer, own, using } from "./GpuBuffer.ts"
import { type GpuDevice, implOf } from "./GpuDevice.ts"

type Failure = KernelRunFailed | DeviceLost | GpuOutOfMemory
type CompileFailure = KernelCompileFailed | DeviceLost | GpuOutOfMemory
type Result = Float32Array<ArrayBuffer>
type Values = ReadonlyArray<unknown>

export class Runner {
  private readonly variants = new Map<string, CompiledKernel>()
  private readonly compiling = Semaphore.makeUnsafe(1)
  private closed = false
  private readonly device: GpuDevice["Service"]
  private readonly definition: object
  private readonly source: KernelSource
  private readonly kinds: ReadonlyArray<Kind>
  private readonly batched: Batched | NotBatchable
  private readonly maxSize: number
  private readonly scope: Scope.Scope

  private constructor(
    device: GpuDevice["Service"],
    definition: object,
    source: KernelSource,
    kinds: ReadonlyArray<Kind>,
    batched: Batched | NotBatchable,
    maxSize: number,
    scope: Scope.Scope
  ) {
    this.device = device
    this.definition = definition
    this.source = source
    this.kinds = kinds
    this.batched = batched
    this.maxSize = maxSize
    this.scope = scope
  }

  static make(
    device: GpuDevice["Service"],
    definition: object,
    source: KernelSource,
    kinds: ReadonlyArray<Kind>,
    batched: Batched | NotBatchable,
    maxSize: number
  ): Effect.Effect<Runner, CompileFailure, Scope.Scope> {
    return Effect.gen(function* () {
      const runner = new Runner(device, definition, source, kinds, batched, maxSize, yield* Effect.scope)
      yield* runner.variant("plain", source)
      yield* Effect.addFinalizer(() => Effect.sync(() => void (runner.closed = true)))
      return runner
    })
  }

  /** What a user holds. */
  get kernel(): object {
    return {
      name: this.source.name,
      run: (...args: Values) => this.run(args),
      runBatch: (items: ReadonlyArray<Values>) => this.runBatch(items),
      resident: (...args: Values) => this.resident(args)
    }
  }

  compileBatch(size: number): Effect.Effect<void, CompileFailure> {
    const { batched } = this
    return isReason(batched) ? Effect.void : Effect.asVoid(this.variant(`batch ${size}`, batched(size)))
  }

  private variant(key: string, source: KernelSource): Effect.Effect<CompiledKernel, CompileFailure> {
    const known = this.variants.get(key)
    if (known !== undefined) return Effect.succeed(known)
    const shared = implOf(this.device).kernels.get(this.definition, key, source)
    const compile = Effect.suspend(() => {
      const made = this.variants.get(key)
      if (made !== undefined) return Effect.succeed(made)
      return Effect.tap(Scope.provide(shared, this.scope), (kernel) =>
        Effect.sync(() => this.variants.set(key, kernel))
      )
    })
    return this.compiling.withPermit(compile)
  }

  /** A variant that is needed for a call: why there is none is why the call fails. */
  private needed(key: string, source: KernelSource): Effect.Effect<CompiledKernel, Failure> {
    return Effect.catchTag(this.variant(key, source), "KernelCompileFailed", ({ reason }) =>
      this.fail(isNotBatchable(reason) ? reason : new Crashed({ detail: reason.message }))
    )
  }

  private fail(reason: KernelRunFailed["reason"]): Effect.Effect<never, KernelRunFailed> {
    return Effect.fail(new KernelRunFailed({ kernel: this.source.name, reason }))
  }

  private run(args: Values): Effect.Effect<Result, Failure> {
    return Effect.suspend(() => this.call(this.variants.get("plain")!, args)) as Effect.Effect<Result, Failure>
  }

  private resident(args: Values): Effect.Effect<GpuBuffer<Dims>, Failure, Scope.Scope> {
    const call = Effect.suspend(() => {
      if (this.closed) return this.fail(new Closed({}))
      const source = { ...this.source, resident: true }
      return Effect.flatMap(this.needed("resident", source), (kernel) => this.call(kernel, args))
    })
    return own(this.device, call as Effect.Effect<ResidentHandle, Failure>)
  }

  private call(kernel: CompiledKernel, args: Values): Effect.Effect<Result | ResidentHandle, Failure> {
    const problem = argumentProblem(args, this.kinds, this.device)
    if (problem !== undefined) return this.fail(problem)
    return this.launch(kernel, args)
  }

  private launch(kernel: CompiledKernel, args: Values): Effect.Effect<Result | ResidentHandle, Failure> {
    const launch = (values: ReadonlyArray<Argument>) =>
      implOf(this.device).gate(Effect.suspend(() => (this.closed ? this.fail(new Closed({})) : kernel.run(values))))
    if (!args.some((arg) => bufferOf(arg) !== undefined)) return launch(args as ReadonlyArray<Argument>)
    const buffers = args.flatMap((arg) => bufferOf(arg) ?? [])
    const values = args.map((arg) => bufferOf(arg)?.handle ?? arg) as ReadonlyArray<Argument>
    return using(buffers, launch(values), this.source.name)
  }

  private runBatch(items: ReadonlyArray<Values>): Effect.Effect<ReadonlyArray<Result>, Failure> {
    return Effect.gen({ self: this }, function* () {
      const { batched } = this
      if (isReason(batched)) return yield* this.fail(batched)
      const problem = this.batchProblem(items)
      if (problem !== undefined) return yield* this.fail(problem)
      const results: Array<Result> = []
      for (let from = 0; from < items.length; from += this.maxSize) {
        results.push(...(yield* this.batch(items.slice(from, from + this.maxSize), batched)))
      }
      return results
    })
  }

  private batch(items: ReadonlyArray<Values>, batched: Batched): Effect.Effect<ReadonlyArray<Result>, Failure> {
    return Effect.gen({ self: this }, function* () {
      if (this.closed) return yield* this.fail(new Closed({}))
      const size = bucketFor(items.length, this.maxSize)
      const source = batched(size)
      const tooLarge = limitProblem(source, this.device.limits)
      if (tooLarge !== undefined) return yield* this.fail(new Crashed({ detail: tooLarge.message }))
      const kernel = yield* this.needed(`batch ${size}`, source)
      const staged: Array<unknown> = []
      for (const [i, kind] of this.kinds.entries()) staged.push(yield* this.gather(items, kind, i, size))
      const all = yield* this.launch(kernel, staged) as Effect.Effect<Result, Failure>
      const length = sizeOf(this.source.output)
      return items.map((_, i) => all.slice(i * length, (i + 1) * length))
    }).pipe(Effect.scoped)
  }

  /** One argument of all items, one after the other. What follows the last item is anything: nobody sees its results. */
  private gather(
    items: ReadonlyArray<Values>,
    kind: Kind,
    index: number,
    size: number
  ): Effect.Effect<unknown, GpuOutOfMemory, Scope.Scope> {
    if (kind !== "number" && kind.shared) return Effect.succeed(items[0]![index])
    const length = kind === "number" ? 1 : sizeOf(kind.dims)
    return implOf(this.device)
      .pool.acquire("float32", [size, length], { zeroed: false })
      .pipe(
        Effect.mapError(
          ({ message }) =>
            new GpuOutOfMemory({ backend: this.device.backend, kernel: this.source.name, detail: message })
        ),
        Effect.tap((all) =>
          Effect.sync(() => {
            for (const [i, item] of items.entries()) {
              if (kind === "number") all[i] = item[index] as number
              else all.set(item[index] as Float32Array, i * length)
            }
          })
        )
      )
  }

  private batchProblem(items: ReadonlyArray<Values>): InvalidArgument | undefined {
    for (const [item, args] of items.entries()) {
      const problem = argumentProblem(args, this.kinds, this.device)
      if (problem !== undefined) return new InvalidArgument({ ...dataOf(problem), item })
      for (const [index, kind] of this.kinds.entries()) {
        const isShared = kind !== "number" && kind.shared
        if (isShared && args[index] !== items[0]![index]) {
          const expected = "the same array as in item 0, because it is shared"
          return new InvalidArgument({ index, item, expected, actual: "another one" })
        }
        if (!isShared && bufferOf(args[index]) !== undefined) {
          const expected = "a Float32Array, because the items of a batch are gathered on the host"
          return new InvalidArgument({ index, item, expected, actual: describe(args[index]) })
        }
      }
    }
    return undefined
  }
}

const dataOf = ({ actual, expected, index }: InvalidArgument) => ({ actual, expected, index })

const isNotBatchable = (reason: KernelCompileFailed["reason"]): reason is NotBatchable => reason._tag === "NotBatchable"
