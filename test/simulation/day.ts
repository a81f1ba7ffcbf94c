/**
 * A day of requests: a curve with a lunch and an evening peak, noise on it, a sudden burst and a quiet night.
 *
 * Chance comes from a seed, and of mathematics only what is the same on all machines is used, so that a seed means one day.
 */
import { Chance } from "../model/chance.ts"

/** Seconds. */
export const DAY = 86_400
export const HOUR = 3_600
const MINUTE = 60

/** Requests a second at the hour; straight lines between. */
const curve: ReadonlyArray<readonly [hour: number, rate: number]> = [
  [0, 1.2],
  [1, 0.4],
  [1.5, 0],
  [5.25, 0],
  [6, 0.5],
  [7, 2],
  [9, 6],
  [11, 6.5],
  [12.5, 11],
  [14, 6],
  [17, 6.5],
  [19.5, 15],
  [21.5, 9],
  [23, 2.5],
  [24, 1.2]
]

/** From three times the usual load within seconds, and gone ten minutes later. */
export const burst = { from: 15.5 * HOUR, to: 15.5 * HOUR + 10 * MINUTE, factor: 3 }

/** How far each minute draws the load away from the curve, either way, and how much of that the next minute keeps. */
const noise = { step: 0.12, kept: 0.8 }

/** Seconds that a request takes: at least, and what is added on average. */
const work = { least: 0.2, more: 0.8 }

/** Requests a second that are expected, at a second of the day. */
const expectedAt = (time: number): number => {
  const hour = time / HOUR
  const next = curve.findIndex(([at]) => at > hour)
  const [from, before] = curve[next - 1]!
  const [to, after] = curve[next]!
  const rate = before + ((after - before) * (hour - from)) / (to - from)
  return time >= burst.from && time < burst.to ? rate * burst.factor : rate
}

/** When a request comes and how much work it is, in seconds. */
export interface Arrival {
  readonly at: number
  readonly work: number
}

/** All requests of a day, in order. */
export const arrivals = (seed: number): ReadonlyArray<Arrival> => {
  const chance = new Chance(seed)
  const exponential = (mean: number) => -Math.log(1 - chance.next()) * mean
  const all: Array<Arrival> = []
  let drift = 0
  for (let minute = 0; minute < DAY; minute += MINUTE) {
    drift = noise.kept * drift + noise.step * (2 * chance.next() - 1)
    const rate = expectedAt(minute) * Math.max(0, 1 + drift)
    if (rate === 0) continue
    // A gap of memoryless arrivals may begin anywhere, so it begins anew with the rate of each minute.
    for (let at = minute + exponential(1 / rate); at < minute + MINUTE; at += exponential(1 / rate)) {
      all.push({ at, work: work.least + exponential(work.more) })
    }
  }
  return all
}
