/**
 * Events that nobody has asked for yet, in order and within bounds.
 */

/** Which events stay when there are too many. @internal */
export interface BufferOptions {
  /** Events at most; `Infinity`: all. */
  readonly size: number
  readonly keep: "first" | "last"
}

const NOTHING: ReadonlyArray<unknown> = []

/** @internal */
export class EventBuffer {
  private readonly options: BufferOptions
  private events: Array<unknown> = []
  private head = 0
  /** The place of the first event among all that ever came. */
  private first = 0

  constructor(options: BufferOptions) {
    this.options = options
  }

  get size(): number {
    return this.events.length - this.head
  }

  get capacity(): number {
    return this.options.size
  }

  /** The place behind the last event. */
  get end(): number {
    return this.first + this.size
  }

  /** Whether all events before this place have left. */
  hasPassed(place: number): boolean {
    return this.first >= place
  }

  /** Adds events; those there is no room for come back. */
  push(events: ReadonlyArray<unknown>): ReadonlyArray<unknown> {
    const excess = this.size + events.length - this.options.size
    if (excess <= 0) {
      this.append(events)
      return NOTHING
    }
    if (this.options.keep === "first") {
      const kept = Math.max(0, events.length - excess)
      this.append(events.slice(0, kept))
      return events.slice(kept)
    }
    const old = this.take(excess)
    const dropped = [...old, ...events.slice(0, excess - old.length)]
    this.append(events.slice(excess - old.length))
    return dropped
  }

  /** Puts events that had left before all others, whatever the bounds say. */
  unshift(events: ReadonlyArray<unknown>): void {
    if (events.length === 0) return
    this.events = [...events, ...this.events.slice(this.head)]
    this.head = 0
    this.first -= events.length
  }

  take(count: number): ReadonlyArray<unknown> {
    const taken = this.events.slice(this.head, this.head + count)
    this.head += taken.length
    this.first += taken.length
    // Moved together once in a while, so that taking is cheap however much there is.
    if (this.head * 2 > this.events.length) {
      this.events = this.events.slice(this.head)
      this.head = 0
    }
    return taken
  }

  private append(events: ReadonlyArray<unknown>): void {
    for (const event of events) this.events.push(event)
  }
}
