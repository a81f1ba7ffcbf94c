/** The pool of host arrays: what is given back is used again, is out of reach of who held it, and is never too much. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Deferred, Effect, Exit, Fiber, Schema, Scope } from "effect"
import * as BufferPool from "../../src/gpu/BufferPool.ts"

const elementTypes = ["float32", "float64", "int32", "uint32", "uint8"] as const
const bytesPerElement = { float32: 4, float64: 8, int32: 4, uint32: 4, uint8: 1 }

/** Acquires in a scope of its own; the array and what ends its use. */
const hold = Effect.fnUntraced(function* <T extends BufferPool.ElementType>(
  pool: BufferPool.BufferPool,
  elementType: T,
  shape: BufferPool.Shape,
  options?: BufferPool.AcquireOptions
) {
  const scope = yield* Scope.make()
  const array = yield* Scope.provide(pool.acquire(elementType, shape, options), scope)
  return { array, release: Scope.close(scope, Exit.void) }
})

describe("P5 acquire and release by shape and type", () => {
  it.effect("each type gives its kind of array, with an element for each place of the shape", () =>
    Effect.gen(function* () {
      const pool = yield* BufferPool.make()
      const float32: Float32Array<ArrayBuffer> = yield* pool.acquire("float32", [64, 64])
      const float64: Float64Array<ArrayBuffer> = yield* pool.acquire("float64", [3])
      const int32: Int32Array<ArrayBuffer> = yield* pool.acquire("int32", [2, 3, 4])
      const uint32: Uint32Array<ArrayBuffer> = yield* pool.acquire("uint32", [1])
      const uint8: Uint8Array<ArrayBuffer> = yield* pool.acquire("uint8", [5, 1])
      const arrays = [float32, float64, int32, uint32, uint8]
      assert.deepStrictEqual(
        arrays.map((array) => [array.constructor.name, array.length, array.byteOffset, array.buffer.byteLength]),
        [
          ["Float32Array", 4096, 0, 16_384],
          ["Float64Array", 3, 0, 24],
          ["Int32Array", 24, 0, 96],
          ["Uint32Array", 1, 0, 4],
          ["Uint8Array", 5, 0, 5]
        ]
      )
    })
  )

  it.effect("what came back is used again by the next of that size, whatever its type and shape", () =>
    Effect.gen(function* () {
      const pool = yield* BufferPool.make()
      yield* pool.use("float32", [4, 6], () => Effect.void)
      assert.deepStrictEqual([pool.stats.idle, pool.stats.idleBytes], [1, 96])
      yield* pool.use("int32", [24], () => Effect.void)
      yield* pool.use("float64", [3, 4], () => Effect.void)
      assert.deepStrictEqual([pool.stats.hits, pool.stats.misses], [2, 1])
      yield* pool.use("float32", [25], () => Effect.void)
      assert.deepStrictEqual([pool.stats.hits, pool.stats.misses, pool.stats.idle], [2, 2, 2])
    })
  )

  it.effect("zeros, unless what an earlier use left will do", () =>
    Effect.gen(function* () {
      const pool = yield* BufferPool.make()
      const first = yield* hold(pool, "float32", [4])
      assert.deepStrictEqual([...first.array], [0, 0, 0, 0])
      first.array.set([1, 2, 3, 4])
      yield* first.release
      const asItWas = yield* hold(pool, "float32", [4], { zeroed: false })
      assert.deepStrictEqual([...asItWas.array], [1, 2, 3, 4])
      yield* asItWas.release
      const zeroed = yield* hold(pool, "float32", [4])
      assert.deepStrictEqual([...zeroed.array], [0, 0, 0, 0])
      assert.strictEqual(pool.stats.misses, 1)
    })
  )

  it.effect("a shape that no array has is refused, and nothing is counted", () =>
    Effect.gen(function* () {
      const pool = yield* BufferPool.make()
      const shapes = [[], [0], [4, -1], [1.5], [Number.NaN], [Infinity], [2 ** 53], [2 ** 50, 2 ** 50]]
      const problems: Array<string> = []
      for (const shape of shapes) {
        const error = yield* Effect.flip(pool.use("float32", shape, () => Effect.void))
        assert.deepStrictEqual([error._tag, error.shape, error.elementType], ["InvalidShape", shape, "float32"])
        assert.isTrue(error.message.startsWith(`float32 array of shape [${shape.join(", ")}]: `), error.message)
        problems.push(error.problem)
      }
      assert.deepStrictEqual(problems, [
        "NoDimensions",
        ...["Dimension", "Dimension", "Dimension", "Dimension", "Dimension", "Dimension"],
        "Memory"
      ])
      const { hits, inUse, inUseBytes, misses } = pool.stats
      assert.deepStrictEqual([hits, misses, inUse, inUseBytes], [0, 0, 0, 0])
    })
  )
})

describe("release", () => {
  it.effect("an array is out of reach after its release, and what is written to it reaches nobody", () =>
    Effect.gen(function* () {
      const pool = yield* BufferPool.make()
      const first = yield* hold(pool, "float32", [4])
      first.array.set([1, 2, 3, 4])
      yield* first.release
      assert.deepStrictEqual([first.array.length, first.array[0]], [0, undefined])

      const second = yield* hold(pool, "float32", [4])
      first.array[0] = 7
      assert.deepStrictEqual([...second.array], [0, 0, 0, 0])
      assert.throws(() => first.array.set([7]), TypeError)
      assert.strictEqual(pool.stats.hits, 1)
    })
  )

  it.effect("whether the use succeeds, fails, dies or is interrupted", () =>
    Effect.gen(function* () {
      const pool = yield* BufferPool.make()
      const held = yield* Deferred.make<void>()
      yield* pool.use("uint8", [8], () => Effect.succeed(1))
      assert.strictEqual(yield* Effect.flip(pool.use("uint8", [8], () => Effect.fail("no"))), "no")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(pool.use("uint8", [8], () => Effect.die("broken")))))
      const fiber = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            yield* pool.acquire("uint8", [8])
            yield* Deferred.succeed(held, undefined)
            return yield* Effect.never
          })
        )
      )
      yield* Deferred.await(held)
      assert.strictEqual(pool.stats.inUse, 1)
      yield* Fiber.interrupt(fiber)
      const { hits, idle, inUse, misses } = pool.stats
      assert.deepStrictEqual({ hits, idle, inUse, misses }, { hits: 3, idle: 1, inUse: 0, misses: 1 })
    })
  )

  it.effect("a buffer that its holder transferred elsewhere is not expected back", () =>
    Effect.gen(function* () {
      const pool = yield* BufferPool.make()
      const away = yield* pool.use("float32", [4], (array) =>
        Effect.sync(() => structuredClone(array, { transfer: [array.buffer] }))
      )
      assert.strictEqual(away.length, 4)
      const { idle, inUse, inUseBytes, lost } = pool.stats
      assert.deepStrictEqual({ idle, inUse, inUseBytes, lost }, { idle: 0, inUse: 0, inUseBytes: 0, lost: 1 })
    })
  )
})

describe("limits", () => {
  it.effect("of what is idle, what waited longest is dropped first; what is too large by itself is not kept", () =>
    Effect.gen(function* () {
      const pool = yield* BufferPool.make({ maxIdleBytes: 100 })
      const [a, b, c] = [
        yield* hold(pool, "uint8", [40]),
        yield* hold(pool, "uint8", [50]),
        yield* hold(pool, "uint8", [40])
      ]
      yield* a.release
      yield* b.release
      assert.deepStrictEqual([pool.stats.idleBytes, pool.stats.dropped], [90, 0])
      yield* c.release
      assert.deepStrictEqual([pool.stats.idleBytes, pool.stats.idle, pool.stats.dropped], [90, 2, 1])
      yield* pool.use("uint8", [101], () => Effect.void)
      assert.deepStrictEqual([pool.stats.idleBytes, pool.stats.idle, pool.stats.dropped], [90, 2, 2])
    })
  )

  it.effect("0 keeps nothing", () =>
    Effect.gen(function* () {
      const pool = yield* BufferPool.make({ maxIdleBytes: 0 })
      yield* pool.use("uint8", [1], () => Effect.void)
      assert.deepStrictEqual([pool.stats.idle, pool.stats.dropped], [0, 1])
    })
  )

  it.effect("closing drops what is idle; what is in use stays valid until its own scope closes, and is dropped", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(BufferPool.make(), scope)
      const held = yield* hold(pool, "float32", [4])
      yield* pool.use("float32", [4], () => Effect.void)
      held.array[0] = 1
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([pool.stats.idle, pool.stats.idleBytes, pool.stats.inUse], [0, 0, 1])
      assert.deepStrictEqual([...held.array], [1, 0, 0, 0])
      yield* held.release
      yield* pool.use("float32", [4], () => Effect.void)
      const { dropped, idle, inUse, misses } = pool.stats
      assert.deepStrictEqual({ dropped, idle, inUse, misses }, { dropped: 3, idle: 0, inUse: 0, misses: 3 })
    })
  )

  /** Each number is one operation: which array is given back (while any is held), or which type and length is acquired. */
  const operations = Arbitrary.array(
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 119 }))),
    {
      maxLength: 60
    }
  )

  it.effect.prop("whatever the order: no memory has two holders, and the counts are right", { operations }, (input) =>
    Effect.gen(function* () {
      const maxIdleBytes = 40
      const pool = yield* BufferPool.make({ maxIdleBytes })
      const held: Array<Effect.Success<ReturnType<typeof hold>>> = []
      let acquired = 0
      for (const operation of input.operations) {
        if (operation >= 60 && held.length > 0) {
          const [given] = held.splice(operation % held.length, 1)
          yield* given!.release
          assert.strictEqual(given!.array.length, 0)
        } else {
          const elementType = elementTypes[operation % 5]!
          const length = 1 + (operation % 3)
          const next = yield* hold(pool, elementType, [length])
          assert.strictEqual(next.array.byteLength, length * bytesPerElement[elementType])
          assert.isTrue(next.array.every((element) => element === 0))
          next.array.fill(++acquired % 200)
          held.push(next)
        }
        const marks = held.map(({ array }) => array[0])
        assert.isTrue(held.every(({ array }, n) => array.every((element) => element === marks[n])))
        assert.strictEqual(new Set(held.map(({ array }) => array.buffer)).size, held.length)
        const { dropped, hits, idle, idleBytes, inUse, inUseBytes, misses } = pool.stats
        assert.deepStrictEqual(
          [inUse, inUseBytes, hits + misses, misses],
          [held.length, held.reduce((sum, { array }) => sum + array.byteLength, 0), acquired, inUse + idle + dropped]
        )
        assert.isAtMost(idleBytes, maxIdleBytes)
      }
      for (const { release } of held) yield* release
      assert.deepStrictEqual([pool.stats.inUse, pool.stats.inUseBytes], [0, 0])
    })
  )
})
