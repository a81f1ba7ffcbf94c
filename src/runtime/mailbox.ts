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

/** @internal */
export class Mailbox {
  head = 0
  tail = 0
  limit = 0
  /** The message taken last by `next`. */
  item: Item = 0
  payload: unknown = undefined
  lanes: Lanes | undefined = undefined

  private buffer: Array<unknown> = EMPTY
  private mask = -1
  /** Words allowed by the owner's bounds, or 0 when closed. */
  private ceiling = Infinity

  get size(): number {
    return (this.tail - this.head) / 2 + (this.lanes === undefined ? 0 : this.lanes.size)
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

  /** Takes the next message into `item` and `payload`. */
  next(): boolean {
    if (this.lanes !== undefined && this.lanes.size > 0 && this.nextOfLanes()) return true
    if (this.head === this.tail) return false
    const index = this.head & this.mask
    const buffer = this.buffer
    this.item = buffer[index] as Item
    this.payload = buffer[index + 1]
    buffer[index] = buffer[index + 1] = undefined
    this.head += 2
    return true
  }

  /** The oldest message of the lowest priority: what `drop-oldest` gives up. */
  shiftOldest(): boolean {
    const lanes = this.lanes
    const ringIsEmpty = this.head === this.tail
    if (lanes !== undefined && lanes.size > 0 && (ringIsEmpty || lanes.lowest() < DEFAULT_PRIORITY)) {
      return this.take(lanes.shift(lanes.lowest()))
    }
    if (ringIsEmpty) return false
    const held = this.lanes
    this.lanes = undefined
    this.next()
    this.lanes = held
    return true
  }

  /** Forgets the message taken last, so that an idle actor does not hold on to it. */
  release(): void {
    this.item = 0
    this.payload = undefined
  }

  /** Bounds the ring. `words` of 0 closes it: every push asks the slow path. */
  setCeiling(words: number): void {
    this.ceiling = words
    this.limit = Math.min(this.buffer.length, words)
  }

  /** Called when it runs empty: starts over at the front, gives back a ring that had grown large. */
  rewind(): void {
    this.head = this.tail = 0
    this.release()
    if (this.buffer.length > KEPT_WORDS) this.setBuffer(EMPTY)
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
    const buffer = new Array<unknown>(old.length === 0 ? 8 : old.length * 2).fill(undefined)
    for (let i = 0; i < words; i++) buffer[i] = old[(this.head + i) & this.mask]
    this.head = 0
    this.tail = words
    this.setBuffer(buffer)
  }

  private setBuffer(buffer: Array<unknown>): void {
    this.buffer = buffer
    this.mask = buffer.length - 1
    this.limit = Math.min(buffer.length, this.ceiling)
  }

  private nextOfLanes(): boolean {
    const lanes = this.lanes!
    const highest = lanes.highest()
    if (highest < DEFAULT_PRIORITY && this.head !== this.tail) return false
    return this.take(lanes.shift(highest))
  }

  private take(entry: readonly [Item, unknown]): boolean {
    this.item = entry[0]
    this.payload = entry[1]
    return true
  }
}
