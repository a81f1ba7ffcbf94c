/**
 * What a backoff does to a child that fails again as soon as it is back, found by asking its schedule step by step.
 *
 * A schedule may depend on anything, so it is asked several times: with the least, a middle and the most chance, at another
 * time, and after longer runs. It gets a failure that cannot be looked at. Only what all answers agree on is claimed;
 * a schedule that compares failures by identity alone goes unnoticed.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { Backoff } from "./Backoff.ts"
import { type Intensity, Window } from "./Intensity.ts"

/** The delays of the first steps, in milliseconds. @internal */
export interface Delays {
  readonly least: ReadonlyArray<number>
  readonly most: ReadonlyArray<number>
  /** Whether the schedule ends after these. */
  readonly ends: boolean
}

/** A failure that throws whatever is done with it. */
const UNSEEN: unknown = new Proxy(
  {},
  new Proxy(
    {},
    {
      get: () => () => {
        throw new TypeError("the delays depend on the failure")
      }
    }
  )
)

interface Conditions {
  readonly random: number
  /** When the first failure is. */
  readonly at: number
  /** How long each run takes. */
  readonly ran: number
}

const CONDITIONS: ReadonlyArray<Conditions> = [
  { random: 0, at: 0, ran: 0 },
  { random: 0, at: 1_234_567_891_011, ran: 0 },
  { random: 0, at: 0, ran: 789 },
  { random: 0.5, at: 0, ran: 0 },
  { random: 1 - 2 ** -53, at: 0, ran: 0 }
]

/** The first delays of a schedule; nothing where they depend on more than chance. @internal */
export const delaysOf = ({ schedule }: Backoff<unknown>, count: number): Delays | undefined => {
  const runs: Array<Run> = []
  for (const conditions of CONDITIONS) {
    const exit = Effect.runSyncExit(steps(schedule, count, conditions))
    if (Exit.isFailure(exit)) return undefined
    runs.push(exit.value)
  }
  const [first, later, slower] = runs as unknown as readonly [Run, Run, Run]
  if (runs.some((run) => run.ends !== first.ends || run.delays.length !== first.delays.length)) return undefined
  const timeless = first.delays.every((delay, i) => delay === later.delays[i] && delay === slower.delays[i])
  if (!timeless) return undefined
  const each = (choose: (...delays: ReadonlyArray<number>) => number) =>
    first.delays.map((_, i) => choose(...runs.map(({ delays }) => delays[i]!)))
  return { least: each(Math.min), most: each(Math.max), ends: first.ends }
}

interface Run {
  readonly delays: ReadonlyArray<number>
  readonly ends: boolean
}

const steps = (
  schedule: Schedule.Schedule<unknown, unknown>,
  count: number,
  { at, ran, random }: Conditions
): Effect.Effect<Run, unknown> => {
  let now = at
  const delays: Array<number> = []
  const collected = Effect.gen(function* () {
    const step = yield* Schedule.toStep(schedule)
    while (delays.length < count) {
      const exit = yield* Effect.exit(Effect.suspend(() => step(now, UNSEEN)))
      if (Exit.isFailure(exit)) return yield* ended(exit)
      const millis = Duration.toMillis(exit.value[1])
      delays.push(millis)
      now += millis + ran
    }
    return { delays, ends: false }
  })
  const ended = (exit: Exit.Failure<unknown, unknown>): Effect.Effect<Run, unknown> =>
    Pull.isDoneCause(exit.cause) ? Effect.succeed({ delays, ends: true }) : Effect.failCause(exit.cause)
  return collected.pipe(
    Effect.provideService(Random.Random, { nextDoubleUnsafe: () => random, nextIntUnsafe: () => Math.floor(random) }),
    Effect.provideService(
      Clock.Clock,
      clockAt(() => now)
    )
  )
}

/** Sleeping never ends under it, so that a schedule that does is unknown. */
const clockAt = (now: () => number): Clock.Clock => ({
  currentTimeMillisUnsafe: now,
  currentTimeMillis: Effect.sync(now),
  currentTimeNanosUnsafe: () => BigInt(Math.round(now() * 1e6)),
  currentTimeNanos: Effect.sync(() => BigInt(Math.round(now() * 1e6))),
  monotonicTimeNanosUnsafe: () => BigInt(Math.round(now() * 1e6)),
  monotonicTimeNanos: Effect.sync(() => BigInt(Math.round(now() * 1e6))),
  sleep: () => Effect.never
})

/** The how-manieth failure in a row the budget does not allow any more, or nothing where all these delays are waited for. */
const refusedAt = (intensity: Intensity, delays: ReadonlyArray<number>): number | undefined => {
  const window = new Window(intensity)
  let now = 0
  let failures = 1
  for (const delay of [...delays, 0]) {
    if (!window.record(now)) return failures
    now += delay
    failures++
  }
  return undefined
}

/** Which failure in a row ends the supervisor at the earliest. @internal */
export const givesUpAt = (intensity: Intensity, { ends, least }: Delays): number | undefined =>
  refusedAt(intensity, least) ?? (ends ? least.length + 1 : undefined)

/** Whether the budget is used up, at the latest, while all delays are still as the first, though later ones are longer. @internal */
export const isCutShort = (intensity: Intensity, { least, most }: Delays): boolean => {
  const failures = refusedAt(intensity, most)
  if (failures === undefined || failures < 2) return false
  const used = failures - 1
  const level = least.slice(0, used).every((delay, i) => delay === least[0] && most[i] === most[0])
  return level && least.slice(used).some((delay) => delay > most[0]!)
}

/**
 * Whether no series of failures of one child, however long its runs, ever uses up the budget, as far as its delays are
 * known: with `restarts` restarts in a row the last is more than `within` after the first. A run of `resetAfter` brings back
 * the first delay.
 *
 * @internal
 */
export const neverGivesUp = (
  { restarts, within }: Pick<Window, "restarts" | "within">,
  { ends, least }: Delays,
  resetAfter: number
): boolean => {
  if (ends || restarts === 0 || least.length < restarts) return false
  // The least time that a number of restarts takes, by the delay that the first of them has.
  let time: ReadonlyArray<number> = least.map(() => 0).concat(0)
  for (let n = 0; n < restarts; n++) {
    const before = time
    time = least
      .map((delay, i) => delay + Math.min(before[i + 1] ?? Infinity, resetAfter + before[0]!))
      .concat(Infinity)
  }
  return Math.min(...time) > within
}
