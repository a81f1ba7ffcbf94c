/**
 * The queue of one actor: a ring of two words per message, empty until the first one comes.
 *
 * Invariants:
 * 1. `head` and `tail` only grow within a burst; a message is at `head & mask` and `head + 1 & mask`.
 * 2. `tail - head >= limit` means: ask the slow path. It covers growing, bounds, the high-water mark and being closed.
 * 3. Messages of the default priority are in the ring, all others in `lanes`, which exists only once there was one.
 */
import { Lanes } from "./lanes.ts"
import { DEFAULT_PRIORITY, type Envelope } from "./envelope.ts"

/**
 * A plain tell is its message number, anything else an envelope.
 *
 * @internal
 */
export type Item = number | Envelope

const EMPTY: Array<unknown> = []
/** Rings longer than this many words are given back when they run empty. */
const KEPT_WORDS = 2_048

/**
 * An actor's inbox extends it, so that the words that every message touches lie side by side.
 *
 * @internal
 */
export class Mailbox {
  head = 0
  tail = 0
  limit = 0
  private mask = -1
  private buffer: Array<unknown> = EMPTY
  private lanes: Lanes | undefined = undefined
  /** Words allowed by the owner's bounds, or 0 when closed. */
  private ceiling = 0
  /** Where the payload of the message taken last is. */
  private at = 0
  private fromLane: readonly [Item, unknown] | undefined = undefined

  get size(): number {
    return ((this.tail - this.head) >> 1) + (this.lanes === undefined ? 0 : this.lanes.size)
  }

  get isEmpty(): boolean {
    return this.head === this.tail && (this.lanes === undefined || this.lanes.size === 0)
  }

  /** Stores one message; the caller has checked `limit`. */
  push(item: Item, payload: unknown): void {
    const index = this.tail & this.mask
    this.buffer[index] = item
    this.buffer[index + 1] = payload
    this.tail += 2
  }

  /** Stores one message whatever the bounds say, and wherever its priority puts it. */
  insert(item: Item, payload: unknown, priority: number): void {
    if (priority !== DEFAULT_PRIORITY) {
      ;(this.lanes ??= new Lanes()).push(item, payload, priority)
      return
    }
    if (this.tail - this.head >= this.buffer.length) this.grow()
    this.push(item, payload)
  }

  /** Puts a message before all others of the default priority, whatever the bounds say. */
  unshift(item: Item, payload: unknown): void {
    if (this.tail - this.head >= this.buffer.length) this.grow()
    this.head -= 2
    const index = this.head & this.mask
    this.buffer[index] = item
    this.buffer[index + 1] = payload
  }

  /** Takes the next message; its payload is fetched by `payload`, which must follow. */
  next(): Item | undefined {
    if (this.lanes !== undefined && this.lanes.size > 0 && this.laneGoesFirst(this.lanes)) {
      return this.takeFrom(this.lanes, this.lanes.highest())
    }
    return this.head === this.tail ? undefined : this.take()
  }

  /** What `next` would take. */
  peek(): Item | undefined {
    const lanes = this.lanes
    if (lanes !== undefined && lanes.size > 0 && this.laneGoesFirst(lanes)) return lanes.first(lanes.highest())
    return this.head === this.tail ? undefined : (this.buffer[this.head & this.mask] as Item)
  }

  /** The payload of the message taken last. */
  payload(): unknown {
    const entry = this.fromLane
    if (entry !== undefined) {
      this.fromLane = undefined
      return entry[1]
    }
    const payload = this.buffer[this.at]
    this.buffer[this.at] = undefined
    return payload
  }

  /** Takes the oldest message of the lowest priority: what `drop-oldest` gives up. */
  nextToDrop(): Item | undefined {
    const lanes = this.lanes
    const ringIsEmpty = this.head === this.tail
    if (lanes !== undefined && lanes.size > 0 && (ringIsEmpty || lanes.lowest() < DEFAULT_PRIORITY)) {
      return this.takeFrom(lanes, lanes.lowest())
    }
    return ringIsEmpty ? undefined : this.take()
  }

  /** Bounds the ring. `words` of 0 closes it: every push asks the slow path. */
  setCeiling(words: number): void {
    this.ceiling = words
    this.limit = Math.min(this.buffer.length, words)
  }

  /** Called when it runs empty: starts over at the front, gives back a ring that had grown large. */
  rewind(): void {
    this.head = this.tail = 0
    if (this.buffer.length > KEPT_WORDS) this.setBuffer(EMPTY)
  }

  /** Gives back its ring; only while it is empty. */
  shrink(): void {
    this.head = this.tail = 0
    this.setBuffer(EMPTY)
  }

  /** Keeps indexes small in a mailbox that never runs empty. */
  rebase(): void {
    if (this.head < 0x3fffffff) return
    const words = this.tail - this.head
    this.head &= this.mask
    this.tail = this.head + words
  }

  grow(): void {
    const old = this.buffer
    const words = this.tail - this.head
    const start = this.head & this.mask
    if (old.length === 0) this.setBuffer([undefined, undefined, undefined, undefined])
    else if (start === 0) this.setBuffer(old.concat(new Array(old.length)))
    else this.setBuffer([...old.slice(start), ...old.slice(0, start)].concat(new Array(old.length)))
    this.head = 0
    this.tail = words
  }

  private setBuffer(buffer: Array<unknown>): void {
    this.buffer = buffer
    this.mask = buffer.length - 1
    this.limit = Math.min(buffer.length, this.ceiling)
  }

  private take(): Item {
    const index = this.head & this.mask
    const item = this.buffer[index] as Item
    this.buffer[index] = undefined
    this.at = index + 1
    this.head += 2
    return item
  }

  private laneGoesFirst(lanes: Lanes): boolean {
    return lanes.highest() > DEFAULT_PRIORITY || this.head === this.tail
  }

  private takeFrom(lanes: Lanes, priority: number): Item {
    this.fromLane = lanes.shift(priority)
    return this.fromLane[0]
  }
}
