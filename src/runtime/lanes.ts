/**
 * Messages with a priority of their own, 0 to 255, 255 first; in order of arrival within a priority.
 *
 * Exists only in mailboxes that have seen such a message, so it favours being small over being fast.
 */
import type { Envelope } from "./envelope.ts"

type Entry = readonly [item: number | Envelope, payload: unknown]

interface Lane {
  readonly priority: number
  entries: Array<Entry>
  head: number
}

/** @internal */
export class Lanes {
  size = 0
  /** Lanes that hold something, ascending by priority. */
  private readonly lanes: Array<Lane> = []

  push(item: number | Envelope, payload: unknown, priority: number): void {
    const lanes = this.lanes
    let at = lanes.length
    while (at > 0 && lanes[at - 1]!.priority > priority) at--
    const found = at > 0 && lanes[at - 1]!.priority === priority ? lanes[at - 1] : undefined
    if (found === undefined) lanes.splice(at, 0, { priority, entries: [[item, payload]], head: 0 })
    else found.entries.push([item, payload])
    this.size++
  }

  highest(): number {
    return this.lanes[this.lanes.length - 1]!.priority
  }

  lowest(): number {
    return this.lanes[0]!.priority
  }

  first(priority: number): number | Envelope {
    const lane = this.lanes.find((lane) => lane.priority === priority)!
    return lane.entries[lane.head]![0]
  }

  shift(priority: number): Entry {
    const at = this.lanes.findIndex((lane) => lane.priority === priority)
    const lane = this.lanes[at]!
    const entry = lane.entries[lane.head]!
    lane.head++
    this.size--
    if (lane.head === lane.entries.length) this.lanes.splice(at, 1)
    else if (lane.head > 1_024) {
      lane.entries = lane.entries.slice(lane.head)
      lane.head = 0
    }
    return entry
  }
}
