/**
 * What each collective operation makes of the values of all ranks. Plain code; values are combined by rank, from 0 up, so that
 * sums of floating point numbers come out the same whoever was late.
 */
import * as Option from "effect/Option"
import { CombineFailed, Mismatch } from "./collectiveErrors.ts"

/** Arrays of numbers that can be combined element by element. */
export type NumberArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array

/** Combines two values of one type. */
export type Combine<A> = (left: A, right: A) => A

export type Kind = "barrier" | "allReduce" | "reduce" | "broadcast" | "gather" | "allGather" | "scatter"

/** What a member calls: the same for all in one round. */
export interface Operation {
  readonly kind: Kind
  readonly root: number | undefined
}

export const describe = ({ kind, root }: Operation): string => (root === undefined ? kind : `${kind} with root ${root}`)

const Elementwise = Symbol.for("~effect-otp/Collective/elementwise")

/** A function on arrays that is known to work on each element alone. */
export const elementwise = (f: Combine<number>): (<A extends NumberArray>(left: A, right: A) => A) => {
  const combine = <A extends NumberArray>(left: A, right: A): A => {
    for (let i = 0; i < left.length; i++) left[i] = f(left[i]!, right[i]!)
    return left
  }
  return Object.assign(combine, { [Elementwise]: f })
}

const BLOCK = 4_096

/**
 * In one pass over the arrays, block by block: in double precision, and rounded once to what the arrays hold. Written to the
 * targets when all of it is there, since the function may throw, and arrays may overlap in memory.
 */
const combineInto = (
  targets: ReadonlyArray<NumberArray>,
  arrays: ReadonlyArray<NumberArray>,
  f: Combine<number>
): void => {
  const [first] = arrays as readonly [NumberArray]
  const result = first.slice()
  const block = new Float64Array(Math.min(BLOCK, first.length))
  for (let start = 0; start < first.length; start += BLOCK) {
    const end = Math.min(start + BLOCK, first.length)
    block.set(first.subarray(start, end))
    for (let rank = 1; rank < arrays.length; rank++) {
      const array = arrays[rank]!
      for (let i = start; i < end; i++) block[i - start] = f(block[i - start]!, array[i]!)
    }
    result.set(end - start === block.length ? block : block.subarray(0, end - start), start)
  }
  for (const target of targets) target.set(result)
}

/** Whoever's array is not like that of rank 0. */
const unlike = (values: ReadonlyArray<unknown>): Mismatch | undefined => {
  const shape = (value: unknown) =>
    ArrayBuffer.isView(value) && !(value instanceof DataView)
      ? `an array of ${(value as NumberArray).length} (${(value as NumberArray)[Symbol.toStringTag]})`
      : "no array"
  const expected = shape(values[0])
  const rank = values.findIndex((value) => shape(value) !== expected)
  return rank === -1 ? undefined : new Mismatch({ rank, expected, actual: shape(values[rank]) })
}

/** What each rank gets. Arrays combined element by element are overwritten, those of `targets`. */
const combineAll = (
  values: ReadonlyArray<unknown>,
  combine: Combine<unknown>,
  targets: ReadonlyArray<number>
): ReadonlyArray<unknown> | Mismatch | CombineFailed => {
  const f = (combine as { readonly [Elementwise]?: Combine<number> })[Elementwise]
  try {
    if (f === undefined) {
      const combined = values.reduce(combine)
      return values.map(() => combined)
    }
    const mismatch = unlike(values)
    if (mismatch !== undefined) return mismatch
    const arrays = values as ReadonlyArray<NumberArray>
    combineInto(
      targets.map((rank) => arrays[rank]!),
      arrays,
      f
    )
    return values
  } catch (cause) {
    return new CombineFailed({ cause })
  }
}

const scatter = (values: ReadonlyArray<unknown>, root: number): ReadonlyArray<unknown> | Mismatch => {
  const parts = values[root]
  const count = Array.isArray(parts) ? parts.length : 0
  if (count === values.length) return parts as ReadonlyArray<unknown>
  return new Mismatch({
    rank: root,
    expected: `scatter of ${values.length} values`,
    actual: `scatter of ${count} values`
  })
}

/** The results by rank of a round that all have reached, or why there are none. */
export const resultsOf = (
  { kind, root = 0 }: Operation,
  values: ReadonlyArray<unknown>,
  combine: Combine<unknown> | undefined
): ReadonlyArray<unknown> | Mismatch | CombineFailed => {
  const atRoot = (result: unknown) => values.map((_, rank) => (rank === root ? Option.some(result) : Option.none()))
  switch (kind) {
    case "barrier":
      return values.map(() => undefined)
    case "broadcast":
      return values.map(() => values[root])
    case "allGather":
      return values.map(() => values)
    case "gather":
      return atRoot(values)
    case "scatter":
      return scatter(values, root)
    case "allReduce":
      return combineAll(values, combine!, [...values.keys()])
    case "reduce": {
      const results = combineAll(values, combine!, [root])
      return Array.isArray(results) ? atRoot(results[root]) : results
    }
  }
}
