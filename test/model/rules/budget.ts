/**
 * How often restarts are allowed: a sliding window (R15 to R19), and how long they wait (R28).
 */
import type { Delays, Intensity } from "../spec.ts"

/** The restarts that count at `now`; one that is exactly as old as the window is long still does. */
export const counting = (times: ReadonlyArray<number>, now: number, { within }: Intensity): ReadonlyArray<number> =>
  times.filter((time) => time >= now - within)

/** R15: every restart that is asked for is an entry, also each new attempt after a failed one. */
export const record = (
  times: ReadonlyArray<number>,
  now: number,
  intensity: Intensity
): { readonly times: ReadonlyArray<number>; readonly allowed: boolean } => {
  const asked = [...counting(times, now, intensity), now]
  return { times: asked, allowed: asked.length <= intensity.restarts }
}

/** R28: the delay before the restart that follows `before` delays in a row. */
export const delayAfter = ({ max, min }: Delays, before: number): number => Math.min(max, min * 2 ** before)

/** R28: whether a child that ran for so long has run well, so that the row starts anew. */
export const ranWell = (backoff: Delays | null, ran: number): boolean => backoff !== null && ran >= backoff.resetAfter
