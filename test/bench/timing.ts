/** How the benchmarks in one process take the time. */
import { Effect } from "effect"

/** Seconds of one run, after a collection: none of what was before is its burden. */
export const seconds = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    globalThis.gc?.()
    const from = performance.now()
    yield* effect
    return (performance.now() - from) / 1_000
  })

/** Seconds of processor time of one run. Collections come when they come: a forced one costs what follows. */
export const processorSeconds = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    const from = process.cpuUsage()
    yield* effect
    const { system, user } = process.cpuUsage(from)
    return (system + user) / 1e6
  })

/** The time of one of the fastest tenth: whatever else the machine does only ever adds to it. */
export const fast = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)]!

export const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
