/**
 * Schemas of numbers in one flat `Float32Array`, for the messages of actors that run kernels. Lengths are checked where a
 * message is checked; between threads the array is copied as it is, and as text it is a list of numbers.
 */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { type Dims, format, problemWith, sizeOf } from "./dims.ts"

/**
 * The schema of a tensor: a `Float32Array` with exactly as many numbers as `dims` say, row by row.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tensor<out D extends Dims> extends Schema.Codec<Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>> {
  readonly dims: D
}

const Numbers = Schema.Array(Schema.Number)

/**
 * A tensor of a shape, slowest dimension first: `Tensor.make(rows, columns)`.
 *
 * **Example** (Exactly six numbers)
 *
 * ```ts import.meta.vitest
 * import { Schema } from "effect"
 * import { Tensor } from "effect-otp/gpu"
 *
 * const Matrix = Tensor.make(2, 3)
 * Schema.is(Matrix)(new Float32Array(6)) // => true
 * Schema.is(Matrix)(new Float32Array(5)) // => false
 *
 * const Text = Schema.toCodecJson(Tensor.vector(2))
 * Schema.encodeSync(Text)(Float32Array.of(1, 0.5)) // => [1, 0.5]
 * Schema.decodeSync(Text)([1, 0.5]) // => Float32Array.of(1, 0.5)
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const make = <const D extends Dims>(...dims: D): Tensor<D> => {
  const problem = problemWith(dims)
  if (problem !== undefined) throw new Error(`Tensor.make: the dimensions ${problem}`)
  const size = sizeOf(dims)
  const expected = `a Float32Array of ${size} numbers (${format(dims)})`
  const schema = Schema.instanceOf(Float32Array<ArrayBuffer>, {
    expected,
    toCodecJson: () =>
      Schema.link<Float32Array<ArrayBuffer>>()(
        Numbers,
        SchemaTransformation.transform({
          decode: (numbers) => Float32Array.from(numbers),
          encode: (tensor) => [...tensor]
        })
      )
  }).check(Schema.makeFilter((tensor) => tensor.length === size, { expected }))
  return Object.assign(schema, { dims }) as unknown as Tensor<D>
}

/**
 * A tensor of one dimension: `Tensor.make(length)`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const vector = (length: number): Tensor<readonly [number]> => make(length)
