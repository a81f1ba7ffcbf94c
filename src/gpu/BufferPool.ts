/**
 * A pool of host arrays to stage arguments and results in: acquired by element type and shape, given back when the scope
 * closes, whether what used them succeeded, failed or was interrupted, and handed out again instead of being allocated.
 *
 * What is given back is moved away from whoever held it (its buffer is detached): an array that is used after its release
 * has length 0, its elements read `undefined` and forget what is written to them, its methods throw a TypeError, and a
 * kernel refuses it as an argument. So nobody ever reads or overwrites the numbers of the next holder.
 *
 * **Example** (Staging the arguments of a batch)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { BufferPool } from "effect-otp/gpu"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* BufferPool.make()
 *   const stage = pool.use("float32", [8, 64], (rows) => Effect.sync(() => rows.length))
 *   const lengths = [yield* stage, yield* stage]
 *   return { lengths, allocated: pool.stats.misses }
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => { lengths: [512, 512], allocated: 1 }
 * ```
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * The arrays of a pool, by the name of what they hold.
 *
 * @category models
 * @since 0.1.0
 */
export interface Arrays {
  readonly float32: Float32Array<ArrayBuffer>
  readonly float64: Float64Array<ArrayBuffer>
  readonly int32: Int32Array<ArrayBuffer>
  readonly uint32: Uint32Array<ArrayBuffer>
  readonly uint8: Uint8Array<ArrayBuffer>
}

/**
 * What the numbers of an array are: `"float32"`, `"float64"`, `"int32"`, `"uint32"` or `"uint8"`.
 *
 * @category models
 * @since 0.1.0
 */
export type ElementType = keyof Arrays

/**
 * The length of each dimension, in elements, outermost first: `[rows, columns]`.
 *
 * @category models
 * @since 0.1.0
 */
export type Shape = ReadonlyArray<number>

/**
 * There is no array of this shape: a dimension is not a positive whole number, there is none at all, or the machine has no
 * memory for so many elements (`problem` tells which).
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidShape extends Data.TaggedError("InvalidShape")<{
  readonly elementType: ElementType
  readonly shape: Shape
  readonly problem: "NoDimensions" | "Dimension" | "Memory"
}> {
  override get message(): string {
    const array = `${this.elementType} array of shape [${this.shape.join(", ")}]`
    switch (this.problem) {
      case "NoDimensions":
        return `${array}: give at least one dimension, [1] for a single number`
      case "Dimension":
        return `${array}: every dimension must be a whole number above 0`
      case "Memory":
        return `${array}: there is no memory for so many elements; work on smaller pieces`
    }
  }
}

/**
 * What a pool holds now, and what it has done since it was made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** Arrays acquired and not given back. */
  readonly inUse: number
  /** Bytes of the arrays acquired and not given back. */
  readonly inUseBytes: number
  /** Buffers that wait to be used again. */
  readonly idle: number
  /** Bytes of the buffers that wait; never more than `maxIdleBytes`. */
  readonly idleBytes: number
  /** How often a buffer was used again. */
  readonly hits: number
  /** How often one had to be allocated. */
  readonly misses: number
  /** Buffers dropped, because the limit was reached or the pool was closed. */
  readonly dropped: number
  /** Arrays that did not come back, since their holder transferred the buffer elsewhere (to a worker, say). */
  readonly lost: number
}

/**
 * How much a pool keeps.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Bytes that may wait to be used again, default 64 MiB. What waited longest is dropped first. */
  readonly maxIdleBytes?: number | undefined
}

/**
 * How an array is to be handed out.
 *
 * @category models
 * @since 0.1.0
 */
export interface AcquireOptions {
  /** All zeros (default). With `false` it may hold numbers of an earlier use; right where all are written anyway. */
  readonly zeroed?: boolean | undefined
}

/**
 * A pool of arrays. A buffer is used again for any shape and type of the same number of bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface BufferPool {
  /** An array of this type with one element for each place of the shape, until the scope closes. */
  readonly acquire: <T extends ElementType>(
    elementType: T,
    shape: Shape,
    options?: AcquireOptions
  ) => Effect.Effect<Arrays[T], InvalidShape, Scope.Scope>
  /** An array for the time that an effect takes. */
  readonly use: <T extends ElementType, A, E, R>(
    elementType: T,
    shape: Shape,
    f: (array: Arrays[T]) => Effect.Effect<A, E, R>,
    options?: AcquireOptions
  ) => Effect.Effect<A, E | InvalidShape, R>
  /** What the pool holds at this moment. */
  readonly stats: Stats
}

const defaultMaxIdleBytes = 64 * 1024 * 1024

/**
 * Makes a pool that lives as long as the scope. When that closes, what is idle is dropped; arrays in use stay valid until
 * their own scopes close. A closed pool still hands out arrays, and keeps none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): Effect.Effect<BufferPool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Pool(options?.maxIdleBytes ?? defaultMaxIdleBytes)),
    (pool) => Effect.sync(() => pool.close())
  )

/** In the library of ES2024; all versions of Node that we run on have it. */
interface Movable extends ArrayBuffer {
  transfer(): ArrayBuffer
}

const arrayOver: { readonly [T in ElementType]: (buffer: ArrayBuffer) => Arrays[T] } = {
  float32: (buffer) => new Float32Array(buffer),
  float64: (buffer) => new Float64Array(buffer),
  int32: (buffer) => new Int32Array(buffer),
  uint32: (buffer) => new Uint32Array(buffer),
  uint8: (buffer) => new Uint8Array(buffer)
}

const bytesPerElement: { readonly [T in ElementType]: number } = {
  float32: 4,
  float64: 8,
  int32: 4,
  uint32: 4,
  uint8: 1
}

const problemOf = (shape: Shape): InvalidShape["problem"] | undefined => {
  if (shape.length === 0) return "NoDimensions"
  return shape.every((length) => Number.isSafeInteger(length) && length > 0) ? undefined : "Dimension"
}

/** The number of bytes that was acquired is kept beside the array, whose own is 0 when its holder transferred it. */
interface Held<T extends ElementType> {
  readonly array: Arrays[T]
  readonly bytes: number
}

/**
 * Invariants, between any two operations:
 * 1. A buffer is either in `idle` and in the stack of its size, or held by one array. (`transfer` makes a new buffer of the
 *    same memory, in constant time, and leaves the holder's array with none.)
 * 2. `idleBytes` is the sum over `idle`, and not above `maxIdleBytes`; it is 0 when the pool is closed.
 * 3. The stack of a size, and `idle`, list what came back first before what came back last; an empty stack is deleted.
 */
class Pool implements BufferPool {
  private readonly maxIdleBytes: number
  private readonly idle = new Set<ArrayBuffer>()
  private readonly stacks = new Map<number, Array<ArrayBuffer>>()
  private readonly counts = { inUse: 0, inUseBytes: 0, hits: 0, misses: 0, dropped: 0, lost: 0 }
  private idleBytes = 0
  private isClosed = false

  constructor(maxIdleBytes: number) {
    this.maxIdleBytes = maxIdleBytes
  }

  get stats(): Stats {
    return { ...this.counts, idle: this.idle.size, idleBytes: this.idleBytes }
  }

  readonly acquire = <T extends ElementType>(elementType: T, shape: Shape, options?: AcquireOptions) =>
    Effect.map(
      Effect.acquireRelease(this.take(elementType, shape, options), (held) => this.giveBack(held)),
      (held) => held.array
    )

  readonly use = <T extends ElementType, A, E, R>(
    elementType: T,
    shape: Shape,
    f: (array: Arrays[T]) => Effect.Effect<A, E, R>,
    options?: AcquireOptions
  ) =>
    Effect.acquireUseRelease(
      this.take(elementType, shape, options),
      (held) => f(held.array),
      (held) => this.giveBack(held)
    )

  close(): void {
    this.isClosed = true
    this.counts.dropped += this.idle.size
    this.idle.clear()
    this.stacks.clear()
    this.idleBytes = 0
  }

  private take<T extends ElementType>(elementType: T, shape: Shape, options: AcquireOptions | undefined) {
    return Effect.suspend((): Effect.Effect<Held<T>, InvalidShape> => {
      const problem = problemOf(shape)
      if (problem !== undefined) return Effect.fail(new InvalidShape({ elementType, shape, problem }))
      const bytes = shape.reduce((product, length) => product * length, bytesPerElement[elementType])
      const buffer = this.reuse(bytes, options?.zeroed ?? true) ?? this.allocate(bytes)
      if (buffer === undefined) return Effect.fail(new InvalidShape({ elementType, shape, problem: "Memory" }))
      this.counts.inUse++
      this.counts.inUseBytes += bytes
      return Effect.succeed({ array: arrayOver[elementType](buffer), bytes })
    })
  }

  private reuse(bytes: number, zeroed: boolean): ArrayBuffer | undefined {
    const stack = this.stacks.get(bytes)
    const buffer = stack?.pop()
    if (stack === undefined || buffer === undefined) return undefined
    if (stack.length === 0) this.stacks.delete(bytes)
    this.idle.delete(buffer)
    this.idleBytes -= bytes
    this.counts.hits++
    if (zeroed) new Uint8Array(buffer).fill(0)
    return buffer
  }

  private allocate(bytes: number): ArrayBuffer | undefined {
    try {
      const buffer = new ArrayBuffer(bytes)
      this.counts.misses++
      return buffer
    } catch {
      // More than an ArrayBuffer may have, or than there is.
      return undefined
    }
  }

  private giveBack({ array, bytes }: Held<ElementType>) {
    return Effect.sync(() => {
      this.counts.inUse--
      this.counts.inUseBytes -= bytes
      if (array.byteLength !== bytes) {
        this.counts.lost++
        return
      }
      const buffer = (array.buffer as Movable).transfer()
      if (this.isClosed || bytes > this.maxIdleBytes) {
        this.counts.dropped++
        return
      }
      this.idle.add(buffer)
      this.idleBytes += bytes
      const stack = this.stacks.get(bytes)
      if (stack === undefined) this.stacks.set(bytes, [buffer])
      else stack.push(buffer)
      for (const oldest of this.idle) {
        if (this.idleBytes <= this.maxIdleBytes) break
        this.drop(oldest)
      }
    })
  }

  private drop(oldest: ArrayBuffer): void {
    const bytes = oldest.byteLength
    const stack = this.stacks.get(bytes)!
    // Invariant 3: of its size as well it is the first.
    stack.shift()
    if (stack.length === 0) this.stacks.delete(bytes)
    this.idle.delete(oldest)
    this.idleBytes -= bytes
    this.counts.dropped++
  }
}
