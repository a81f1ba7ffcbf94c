/** The gardener: shares specimens out among the dishes, and sows again what a dish has lost. */
import { Effect } from "effect"
import { Dishes } from "./dish.ts"
import type { Specimen } from "./specimens.ts"

/** How a specimen is grown. */
export interface Plan {
  readonly seed: Float32Array<ArrayBuffer>
  /** How many times a dish is asked to go on, and by how many steps. */
  readonly rounds: number
  readonly steps: number
}

/** A fully grown one. `sown` says how often it took. */
export interface Grown {
  readonly specimen: Specimen
  readonly life: Float32Array<ArrayBuffer>
  readonly sown: number
}

/**
 * Grows all of them, one at a time in each dish, and gives them in their order. `before` is told what comes next: which
 * specimen, in which dish, and which round.
 */
export const growAll = Effect.fnUntraced(function* (
  specimens: ReadonlyArray<Specimen>,
  { rounds, seed, steps }: Plan,
  before: (specimen: Specimen, dish: number, round: number) => Effect.Effect<unknown, never, Dishes> = () => Effect.void
) {
  const dishes = yield* Dishes.all
  const waiting = [...specimens.entries()]
  const grown: Array<Grown> = []

  const grow = Effect.fnUntraced(function* (specimen: Specimen, number: number) {
    const dish = dishes[number]!
    let sown = 0
    const attempt = Effect.gen(function* () {
      sown++
      yield* dish.tell.Sow({ ...specimen, seed })
      for (let round = 0; round < rounds; round++) {
        yield* before(specimen, number, round)
        yield* dish.ask.Grow({ steps })
      }
      return yield* dish.ask.Look()
    })
    // Empty, or gone in the middle of it: whichever way the dish was lost, it is sown again.
    const life = yield* Effect.retry(attempt, { times: 3 })
    return { specimen, life, sown }
  })

  const tend = Effect.fnUntraced(function* (number: number) {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [place, specimen] = next
      grown[place] = yield* grow(specimen, number)
    }
  })
  yield* Effect.forEach(dishes.keys(), tend, { concurrency: "unbounded", discard: true })
  return grown
})

/** Life in round patches all over a dish of `side` by `side`; `random` gives numbers from 0 to 1, `patches * 3` of them. */
export const sow = (side: number, patches: number, random: () => number): Float32Array<ArrayBuffer> => {
  const seed = new Float32Array(side * side)
  for (let patch = 0; patch < patches; patch++) {
    const [x, y, radius] = [random() * side, random() * side, 1.5 + random() * 2]
    for (let dy = -4; dy <= 4; dy++) {
      for (let dx = -4; dx <= 4; dx++) {
        if (dx * dx + dy * dy > radius * radius) continue
        const [column, row] = [(Math.floor(x) + dx + side) % side, (Math.floor(y) + dy + side) % side]
        seed[row * side + column] = 1
      }
    }
  }
  return seed
}
