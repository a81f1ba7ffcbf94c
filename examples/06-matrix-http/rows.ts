/** Matrices as people write them, rows of numbers, and as the device takes them. */
import { Schema } from "effect"
import { SIDE } from "./matrix.ts"

/** A matrix as it is sent: rows, all of one length. */
export const Rows = Schema.NonEmptyArray(Schema.NonEmptyArray(Schema.Finite))
export type Rows = typeof Rows.Type

const sizeOf = (rows: Rows): string => `${rows.length} × ${rows[0].length}`

/** What is wrong with one of them, if anything. */
const unfit = (name: string, rows: Rows): string | undefined => {
  const [first] = rows
  const odd = rows.findIndex((row) => row.length !== first.length)
  if (odd >= 0) return `${name}: row 0 is ${first.length} long, row ${odd} is ${rows[odd]!.length} long`
  if (Math.max(rows.length, first.length) > SIDE) {
    return `${name} is ${sizeOf(rows)}, at most ${SIDE} × ${SIDE} are allowed`
  }
  const huge = rows.flat().find((number) => !Number.isFinite(Math.fround(number)))
  return huge === undefined ? undefined : `${name} has the number ${huge}, which is too large for 32 bits`
}

/** Why there is no product of the two, if so. */
export const problemWith = (left: Rows, right: Rows): string | undefined => {
  const problem = unfit("left", left) ?? unfit("right", right)
  if (problem !== undefined || left[0].length === right.length) return problem
  return `left is ${sizeOf(left)} and right ${sizeOf(right)}: left must have as many columns as right has rows`
}

/** With zeros around it. */
export const padded = (rows: Rows): Float32Array<ArrayBuffer> => {
  const square = new Float32Array(SIDE * SIDE)
  for (const [y, row] of rows.entries()) square.set(row, y * SIDE)
  return square
}

/** Without what is around it. */
export const unpadded = (square: Float32Array, rows: number, columns: number): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from({ length: rows }, (_, y) => [...square.subarray(y * SIDE, y * SIDE + columns)])
