/**
 * How many restarts a supervisor allows in how much time (rules R15 to R17): a sliding window in milliseconds.
 */
import * as Duration from "effect/Duration"

/**
 * At most `restarts` restarts within `within`. Default: 1 within 5 seconds, as in OTP.
 *
 * @category models
 * @since 0.1.0
 */
export interface Intensity {
  readonly restarts: number
  readonly within: Duration.Input
}

/** @internal */
export const defaultIntensity: Intensity = { restarts: 1, within: "5 seconds" }

/**
 * The restarts of one incarnation of a supervisor. Recording costs O(1): only the entry `restarts` places back decides.
 *
 * @internal
 */
export class Window {
  readonly restarts: number
  readonly within: number
  private readonly times: Array<number> = []
  private next = 0

  constructor(intensity: Intensity) {
    this.restarts = intensity.restarts
    this.within = Duration.toMillis(intensity.within)
  }

  /** Notes a restart; `false` when it is one too many. An entry exactly `within` old still counts. */
  record(now: number): boolean {
    if (this.restarts === 0) return false
    const oldest = this.times[this.next]
    if (oldest !== undefined && oldest >= now - this.within) return false
    this.times[this.next] = now
    this.next = (this.next + 1) % this.restarts
    return true
  }

  /** The restarts that count now, oldest first: when each of them was. */
  counting(now: number): ReadonlyArray<number> {
    return this.times.filter((time) => time >= now - this.within).sort((a, b) => a - b)
  }

  /** A window of another size that goes on with what counts now; only the latest where not all fit. */
  resized(intensity: Intensity, now: number): Window {
    const window = new Window(intensity)
    if (window.restarts === 0) return window
    const kept = this.counting(now).slice(-window.restarts)
    window.times.push(...kept)
    window.next = kept.length % window.restarts
    return window
  }
}

/**
 * How much of its budget a supervisor has used up. All times are in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Budget {
  readonly restarts: number
  readonly within: number
  readonly used: number
  readonly left: number
  /** How long each restart will still count, the one that is forgotten first at the front. */
  readonly expires: ReadonlyArray<number>
}

/** What can be read of a window. @internal */
export const budgetOf = (window: Window, now: number): Budget => {
  const { restarts, within } = window
  const expires = window.counting(now).map((time) => time + within - now)
  return { restarts, within, used: expires.length, left: restarts - expires.length, expires }
}
