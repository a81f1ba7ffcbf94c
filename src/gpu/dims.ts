/**
 * The shapes of tensors: one to three dimensions, slowest first, so `[rows, columns]` and `[depth, rows, columns]`.
 */

/**
 * Lengths along one, two or three dimensions, slowest first: `[n]`, `[rows, columns]`, `[depth, rows, columns]`.
 *
 * @category models
 * @since 0.1.0
 */
export type Dims =
  | readonly [length: number]
  | readonly [rows: number, columns: number]
  | readonly [depth: number, rows: number, columns: number]

/** How many numbers a tensor of these dims has. */
export const sizeOf = (dims: ReadonlyArray<number>): number => dims.reduce((product, dim) => product * dim, 1)

/** What is wrong with dims, for a sentence that starts with what they are of. */
export const problemWith = (dims: unknown): string | undefined => {
  if (!Array.isArray(dims)) return "must be a list of lengths"
  if (dims.length < 1 || dims.length > 3) return `must have 1 to 3 dimensions, it has ${dims.length}`
  const bad = dims.findIndex((dim) => !Number.isSafeInteger(dim) || dim < 1)
  return bad === -1 ? undefined : `must have whole lengths of 1 or more, dimension ${bad} is ${String(dims[bad])}`
}

/** As people write them. */
export const format = (dims: ReadonlyArray<number>): string => dims.join(" x ")
