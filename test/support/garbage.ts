/**
 * Garbage collection on demand, for tests about what is retained.
 */
import { setImmediate } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Effect } from "effect"

setFlagsFromString("--expose-gc")

const collect = runInNewContext("gc") as () => void

const ROUNDS = 5

/**
 * Collects all garbage. What a weak reference was asked for in one job of the event loop is kept until the next, and code
 * that the engine optimizes in the background may hold on to something a little longer: hence a few rounds.
 */
export const collectGarbage = Effect.promise(async () => {
  for (let round = 0; round < ROUNDS; round++) {
    await setImmediate()
    collect()
  }
})
