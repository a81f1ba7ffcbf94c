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

  /** How many restarts count now. */
  used(now: number): number {
    return this.times.filter((time) => time >= now - this.within).length
  }
}
