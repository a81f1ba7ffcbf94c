/**
 * How long something takes: counts in classes that grow by an eighth, so that any share of the cases can be read to within that,
 * in constant space.
 */

/**
 * Milliseconds that something has taken, over all cases so far.
 *
 * @category models
 * @since 0.1.0
 */
export interface Latency {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/** The finest that is told apart, in milliseconds. */
const FINEST = 0.001
const GROWTH = Math.log(9 / 8)
const CLASSES = 240

/** @internal */
export class Durations {
  private readonly classes = new Float64Array(CLASSES)
  private count = 0
  private sum = 0
  private max = 0

  add(millis: number): void {
    this.count++
    if (millis <= 0) {
      this.classes[0]!++
      return
    }
    this.sum += millis
    if (millis > this.max) this.max = millis
    this.classes[classOf(millis)]!++
  }

  get latency(): Latency {
    const { count, max } = this
    const mean = count === 0 ? 0 : this.sum / count
    return { count, mean, p50: this.share(0.5), p95: this.share(0.95), p99: this.share(0.99), max }
  }

  /** What a share of the cases does not exceed. */
  private share(share: number): number {
    let left = Math.ceil(this.count * share)
    for (let at = 0; at < CLASSES && left > 0; at++) {
      left -= this.classes[at]!
      if (left <= 0) return Math.min(this.max, upperOf(at))
    }
    return 0
  }
}

const classOf = (millis: number): number =>
  Math.min(CLASSES - 1, Math.max(0, Math.ceil(Math.log(millis / FINEST) / GROWTH)))

const upperOf = (at: number): number => (at === 0 ? 0 : FINEST * Math.exp(at * GROWTH))
