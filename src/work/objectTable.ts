/**
 * The objects of a store and their counts. Plain code: what takes time, fails with a reason or crosses threads is not here.
 *
 * 1. An object is in the table exactly while it has references.
 * 2. What the objects take never exceeds the capacity.
 * 3. Numbers are never given twice, so a reference to what was freed can be told from one to what is here.
 */
import type { Source } from "./objectRef.ts"
import type { Shared } from "./sharedMemory.ts"

/** One object. `value` is absent when another thread put it and nobody here has asked for it yet. */
export interface Entry extends Source {
  readonly object: number
  readonly label: string | undefined
  /** When it was put, in milliseconds. */
  readonly since: number
  /** What it takes, its encoded form included. */
  bytes: number
  references: number
  /** Of these, the ones that are on their way, by number: what to do when one has arrived. */
  readonly transit: Map<number, () => void>
  /** Its bytes in shared memory, where it has been put there. */
  shared: Shared | undefined
}

/** What is put. */
export interface Put {
  readonly bytes: number
  readonly label: string | undefined
  readonly since: number
  readonly value: { readonly it: unknown } | undefined
  readonly shared: Shared | undefined
}

export class ObjectTable {
  readonly capacity: number
  used = 0
  private readonly entries = new Map<number, Entry>()
  private last = 0
  private lastSent = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.entries.size
  }

  get all(): Iterable<Entry> {
    return this.entries.values()
  }

  get(object: number): Entry | undefined {
    return this.entries.get(object)
  }

  fits(bytes: number): boolean {
    return this.used + bytes <= this.capacity
  }

  /** With one reference, which is whoever's who puts it. Only called with what fits. */
  add(put: Put): Entry {
    const entry: Entry = { ...put, object: ++this.last, references: 1, transit: new Map() }
    this.entries.set(entry.object, entry)
    this.used += put.bytes
    return entry
  }

  /** One reference more, or the one that was sent under this number and has not arrived yet. */
  hold(entry: Entry, sent: number | undefined): void {
    entry.references++
    if (sent !== undefined) this.arrive(entry, sent)
  }

  /** One reference that nobody has yet; `onArrival` is called when somebody takes it over. Gives its number. */
  send(entry: Entry, onArrival: () => void): number {
    entry.references++
    entry.transit.set(++this.lastSent, onArrival)
    return this.lastSent
  }

  /** Ends what was sent under this number, which its receiver needs no more; false where that has been done. */
  arrive(entry: Entry, sent: number): boolean {
    const onArrival = entry.transit.get(sent)
    if (onArrival === undefined) return false
    entry.transit.delete(sent)
    onArrival()
    this.release(entry)
    return true
  }

  /** One reference less; each that was taken is given back once. */
  release(entry: Entry): void {
    entry.references--
    if (entry.references > 0 || !this.entries.delete(entry.object)) return
    this.used -= entry.bytes
  }

  /** Its encoded form, beside the value. Only called with what fits. */
  attach(entry: Entry, shared: Shared): void {
    entry.shared = shared
    entry.bytes += shared.bytes
    this.used += shared.bytes
  }

  clear(): void {
    for (const { transit } of this.entries.values()) {
      for (const onArrival of transit.values()) onArrival()
      transit.clear()
    }
    this.entries.clear()
    this.used = 0
  }
}
