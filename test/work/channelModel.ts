/**
 * What a channel is meant to be, with plain arrays that are looked through each time: items by number, readers by number, and
 * those who wait.
 */

interface Item {
  readonly id: number
  deliveries: number
}

/** One who waits to put, or to get one. */
interface Waiting {
  readonly id: number
  readonly items: ReadonlyArray<number>
}

type Mark = { readonly id: number; readonly mark: true }

export class Model {
  capacity: number
  closed = false
  /** Items and marks, in the order of their numbers. */
  queue: Array<Item | Mark> = []
  readonly held = new Map<number, Array<Item>>()
  /** What each reader has not seen yet. */
  readonly unseen = new Map<number, Array<number>>()
  puts: Array<Waiting> = []
  /** Who waits to get, `min` at least and `max` at most. */
  gets: Array<{ readonly id: number; readonly min: number; readonly max: number }> = []
  dead: Array<number> = []
  /** How waits have ended: by the number of who waited. */
  readonly ended = new Map<number, ReadonlyArray<number> | "Closed" | "TooLarge">()
  private readonly redeliver: number

  constructor(capacity: number, redeliver: number) {
    this.capacity = capacity
    this.redeliver = redeliver
  }

  get items(): Array<Item> {
    return this.queue.filter((each): each is Item => !("mark" in each))
  }

  get unacknowledged(): number {
    return [...this.held.values()].reduce((sum, items) => sum + items.length, 0)
  }

  private insert(each: Item | Mark): void {
    this.queue.push(each)
    this.queue.sort((a, b) => a.id - b.id)
  }

  private hasEnded(reader: number | undefined): boolean {
    const own = reader === undefined ? 0 : this.held.get(reader)!.length
    return this.closed && this.items.length === 0 && this.unacknowledged === own
  }

  // --- What is asked of it; a text is the tag of the error. ---

  put(items: ReadonlyArray<number>, number: (count: number) => number): string | number {
    if (items.length === 0) return 0
    if (this.closed) return "Closed"
    if (items.length > this.capacity) return "TooLarge"
    if (this.puts.length > 0 || this.items.length + items.length > this.capacity) return "Full"
    return this.accept(items, number)
  }

  private accept(items: ReadonlyArray<number>, number: (count: number) => number): number {
    const first = number(items.length)
    for (const [i] of items.entries()) this.insert({ id: first + i, deliveries: 0 })
    return first
  }

  /** Where a put waits for room, more will not come before something is taken. */
  private hasEnough(min: number, keep: boolean): boolean {
    const { length } = this.items
    if (keep && length > 0 && this.items[0]!.deliveries > 0) return true
    return length >= Math.min(min, this.capacity) || (length > 0 && (this.closed || this.puts.length > 0))
  }

  take(reader: number | undefined, min: number, max: number, keep: boolean): string | ReadonlyArray<Item> {
    if (!this.hasEnough(min, keep)) return this.hasEnded(reader) ? "Closed" : "Empty"
    // What came back is given to be acknowledged alone.
    const suspect = keep ? this.items.findIndex(({ deliveries }) => deliveries > 0) : -1
    const taken = this.items.slice(0, suspect < 0 ? max : Math.min(max, Math.max(suspect, 1)))
    for (const item of taken) {
      this.queue.splice(this.queue.indexOf(item), 1)
      item.deliveries++
      if (keep) this.held.get(reader!)!.push(item)
      if (reader === undefined) continue
      const unseen = this.unseen.get(reader)!
      this.unseen.set(
        reader,
        unseen.filter((mark) => mark > item.id)
      )
    }
    return taken.map((item) => ({ ...item }))
  }

  receive(reader: number): string | ReadonlyArray<Item> | number {
    const [mark] = this.unseen.get(reader)!
    const first = this.items[0]
    if (mark !== undefined && (first === undefined || mark < first.id)) {
      this.unseen.get(reader)!.shift()
      return mark
    }
    return this.take(reader, 1, 1, true)
  }

  answer(reader: number, id: number, deliveries: number, how: "ack" | "nack" | "reject"): boolean {
    const held = this.held.get(reader) ?? []
    const at = held.findIndex((item) => item.id === id && item.deliveries === deliveries)
    if (at < 0) return false
    const [item] = held.splice(at, 1)
    if (how === "nack") this.giveBack(item!)
    if (how === "reject") this.dead.push(id)
    return true
  }

  private giveBack(item: Item): void {
    if (item.deliveries > this.redeliver) this.dead.push(item.id)
    else this.insert(item)
  }

  remove(id: number): boolean {
    const at = this.queue.findIndex((each) => each.id === id && !("mark" in each))
    if (at >= 0) this.queue.splice(at, 1)
    return at >= 0
  }

  signal(id: number): void {
    for (const unseen of this.unseen.values()) unseen.push(id)
    this.insert({ id, mark: true })
  }

  join(reader: number): void {
    this.pass()
    this.held.set(reader, [])
    this.unseen.set(
      reader,
      this.queue.filter((each) => "mark" in each).map(({ id }) => id)
    )
  }

  /** Once all before it is done, a mark is nothing to those who come later. */
  private pass(): void {
    const first = Math.min(...[...this.items, ...[...this.held.values()].flat()].map(({ id }) => id))
    this.queue = this.queue.filter((each) => !("mark" in each) || each.id > first)
  }

  leave(reader: number): void {
    const held = this.held.get(reader)!.toSorted((a, b) => a.id - b.id)
    this.held.delete(reader)
    this.unseen.delete(reader)
    for (const item of held) this.giveBack(item)
  }

  // --- What happens by itself ---

  settle(number: (count: number) => number): void {
    for (let moved = true; moved;) {
      moved = false
      const put = this.puts[0]
      if (put !== undefined) {
        const { length } = put.items
        const end = this.closed ? "Closed" : length > this.capacity ? "TooLarge" : undefined
        if (end !== undefined || this.items.length + length <= this.capacity) {
          this.puts.shift()
          this.ended.set(put.id, end ?? [this.accept(put.items, number)])
          moved = true
        }
      }
      const get = this.gets.find(({ min }) => this.hasEnough(min, false) || this.hasEnded(undefined))
      if (get === undefined) continue
      this.gets.splice(this.gets.indexOf(get), 1)
      const taken = this.take(undefined, get.min, get.max, false)
      this.ended.set(get.id, typeof taken === "string" ? "Closed" : taken.map(({ id }) => id))
      moved = true
    }
    this.pass()
  }
}
