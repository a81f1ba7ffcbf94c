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
  private times: Array<number> = []
  /** Where those that may still count begin. */
  private first = 0

  constructor(intensity: Intensity) {
    this.restarts = intensity.restarts
    this.within = Duration.toMillis(intensity.within)
  }

  /** Notes a restart; `false` when it is one too many. An entry exactly `within` old still counts. */
  record(now: number): boolean {
    this.forget(now)
    if (this.times.length - this.first >= this.restarts) return false
    this.times.push(now)
    return true
  }

  /** The restarts that count now, oldest first: when each of them was. */
  counting(now: number): ReadonlyArray<number> {
    this.forget(now)
    return this.times.slice(this.first)
  }

  /** A window of another size that goes on with what counts now, also where that is more than it allows. */
  resized(intensity: Intensity, now: number): Window {
    const window = new Window(intensity)
    window.times = [...this.counting(now)]
    return window
  }

  private forget(now: number): void {
    while (this.first < this.times.length && this.times[this.first]! < now - this.within) this.first++
    if (this.first < 1_024) return
    this.times = this.times.slice(this.first)
    this.first = 0
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
  return { restarts, within, used: expires.length, left: Math.max(0, restarts - expires.length), expires }
}
