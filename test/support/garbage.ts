/**
 * Garbage collection on demand, for tests about what is retained.
 */
import { setImmediate } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Effect } from "effect"

setFlagsFromString("--expose-gc")

const collect = runInNewContext("gc") as () => void

const ROUNDS = 30

/** How many of them are alive. */
const alive = (refs: ReadonlyArray<WeakRef<object>>): number => refs.filter((ref) => ref.deref() !== undefined).length

/**
 * Collects garbage until none of them is alive, or it is plain that the rest are held on to; answers how many are. What a
 * weak reference was asked for in one job of the event loop is kept until the next, and code that is being optimized in the
 * background keeps things a little longer: hence the rounds.
 */
export const stillAlive = (refs: ReadonlyArray<WeakRef<object>>): Effect.Effect<number> =>
  Effect.promise(async () => {
    for (let round = 0; round < ROUNDS && alive(refs) > 0; round++) {
      await setImmediate()
      collect()
    }
    return alive(refs)
  })
