/**
 * The day that is simulated, and what is read off it: how long requests waited, how often the size turned round, and what a
 * fixed number of members would have to be to do as well.
 */
import type { Autoscale } from "effect-otp"
import { type Arrival, DAY, HOUR } from "./day.ts"
import { type Change, type Outcome, run, type Size } from "./queue.ts"

/**
 * As it is by default, but for `target`: a fifth of each member's time is left free for what comes next. Only the
 * burst meets `max`.
 */
export const scaling = {
  min: 0,
  max: 30,
  initial: 2,
  target: 0.8,
  toZeroAfter: "15 minutes"
} satisfies Autoscale.Scaling

/** Seconds that a member takes to start. */
export const START = 15

/** Seconds that so large a share of the requests waits at most. */
export const goals: ReadonlyArray<readonly [share: number, seconds: number]> = [
  [0.95, 0.25],
  [0.99, 1]
]

export const dayWith = (arrivals: ReadonlyArray<Arrival>, size: Size): Outcome =>
  run(arrivals, size, { start: START, end: DAY })

/** Not exceeded by this share of the values. */
export const quantile = (values: Float64Array, share: number): number =>
  values.length === 0 ? 0 : values.toSorted()[Math.ceil(values.length * share) - 1]!

/** Quantiles of the same values, for all goals. */
export const quality = ({ waits }: Outcome): ReadonlyArray<number> => goals.map(([share]) => quantile(waits, share))

/** The smallest number of members, always there, with which requests wait no longer than in this outcome. */
export const fixedAsGoodAs = (
  arrivals: ReadonlyArray<Arrival>,
  outcome: Outcome
): { readonly members: number; readonly fixed: Outcome } => {
  const wanted = quality(outcome)
  let [tooFew, enough] = [0, scaling.max]
  while (enough - tooFew > 1) {
    const members = Math.floor((tooFew + enough) / 2)
    const asGood = quality(dayWith(arrivals, members)).every((seconds, i) => seconds <= wanted[i]!)
    if (asGood) enough = members
    else tooFew = members
  }
  return { members: enough, fixed: dayWith(arrivals, enough) }
}

const grows = ({ decision }: Change): boolean => decision.size > decision.from

/** Changes in the opposite direction to the one before, with the seconds between the two. */
export const turns = (
  changes: ReadonlyArray<Change>
): ReadonlyArray<{ readonly change: Change; readonly gap: number }> =>
  changes.flatMap((change, i) => {
    const last = changes[i - 1]
    return last === undefined || grows(last) === grows(change) ? [] : [{ change, gap: change.at - last.at }]
  })

/** The most turns within any hour. */
export const turnsInAnHour = (changes: ReadonlyArray<Change>): number => {
  const times = turns(changes).map(({ change }) => change.at)
  let [most, first] = [0, 0]
  for (let last = 0; last < times.length; last++) {
    while (times[last]! - times[first]! > HOUR) first++
    most = Math.max(most, last - first + 1)
  }
  return most
}
