/**
 * Who gets which event: the one who has asked for most, everyone, or the one whose partition it is.
 *
 * Invariants:
 * 1. No line is sent more than it has asked for.
 * 2. `wanted` is how many more events can be given out, or set aside for one line, without anything left over.
 * 3. What `dispatch` does not take it gives back, in order.
 */
import * as Hash from "effect/Hash"
import * as Schema from "effect/Schema"
import { format } from "effect/Formatter"
import type { Line } from "./stageLine.ts"
import type { SubscriptionRefused } from "./stageSubscription.ts"

/** @internal */
export interface Dispatcher {
  /** How many events it can take. */
  readonly wanted: number
  /** What subscriptions say besides how much they want. */
  readonly takes: "selector" | "partition" | undefined
  /** A reason where this line cannot be taken. */
  add(line: Line): Pick<SubscriptionRefused, "reason" | "partition"> | undefined
  /** Forgets a line. What comes back, of what it has not handled, is for others. */
  remove(line: Line, unhandled: ReadonlyArray<unknown>): ReadonlyArray<unknown>
  /** A line wants this many more. */
  asked(line: Line, count: number): void
  /** Gives out what it can; the rest comes back. */
  dispatch(events: ReadonlyArray<unknown>): ReadonlyArray<unknown>
  /** What is set aside for single lines. */
  readonly aside: ReadonlyArray<unknown>
  /** Says whether all that is set aside now has been sent since. */
  mark(): () => boolean
}

const NOTHING: ReadonlyArray<unknown> = []
const always = () => true

/** Each event goes to one line: the one that has asked for most. @internal */
export class DemandDispatcher implements Dispatcher {
  /** The one that wants most first; among equals the one that has waited longest. */
  private readonly lines: Array<Line> = []
  wanted = 0
  readonly takes = undefined
  readonly aside = NOTHING
  readonly mark = () => always

  add(line: Line): undefined {
    this.lines.push(line)
  }

  remove(line: Line, unhandled: ReadonlyArray<unknown>): ReadonlyArray<unknown> {
    this.lines.splice(this.lines.indexOf(line), 1)
    this.wanted -= line.pending
    return unhandled
  }

  asked(line: Line, count: number): void {
    line.pending += count
    this.wanted += count
    this.replace(line)
  }

  dispatch(events: ReadonlyArray<unknown>): ReadonlyArray<unknown> {
    let rest = events
    while (rest.length > 0 && this.wanted > 0) {
      const line = this.lines[0]!
      const count = Math.min(line.pending, rest.length)
      this.wanted -= count
      line.send(count === rest.length ? rest : rest.slice(0, count))
      this.replace(line)
      rest = count === rest.length ? NOTHING : rest.slice(count)
    }
    return rest
  }

  /** Gives a line its place after what it wants has changed. */
  private replace(line: Line): void {
    const { lines } = this
    if (lines.length === 1) return
    lines.splice(lines.indexOf(line), 1)
    const at = lines.findIndex(({ pending }) => line.pending > pending)
    lines.splice(at < 0 ? lines.length : at, 0, line)
  }
}

/** Each event goes to all lines, at the pace of the slowest. @internal */
export class BroadcastDispatcher implements Dispatcher {
  private readonly lines: Array<Line> = []
  readonly takes = "selector"
  readonly aside = NOTHING
  readonly mark = () => always

  get wanted(): number {
    let wanted = Infinity
    for (const { isBroken, pending } of this.lines) if (!isBroken && pending < wanted) wanted = pending
    return wanted === Infinity ? 0 : wanted
  }

  add(line: Line) {
    const { consumer } = line.subscription
    if (this.lines.some(({ subscription }) => subscription.consumer === consumer)) {
      return { reason: "subscribed-already" } as const
    }
    this.lines.push(line)
    return undefined
  }

  remove(line: Line): ReadonlyArray<unknown> {
    this.lines.splice(this.lines.indexOf(line), 1)
    return NOTHING
  }

  asked(line: Line, count: number): void {
    line.pending += count
  }

  dispatch(events: ReadonlyArray<unknown>): ReadonlyArray<unknown> {
    let sent = 0
    for (let { wanted } = this; sent < events.length && wanted > 0; { wanted } = this) {
      const some = events.slice(sent, sent + wanted)
      for (const line of this.lines) if (!line.isBroken) sendSelected(line, some)
      sent += some.length
    }
    return sent === 0 ? events : events.slice(sent)
  }
}

/** What a line does not select it has not got: it still wants as many. A selector that throws is nobody's fault but its own. */
const sendSelected = (line: Line, events: ReadonlyArray<unknown>): void => {
  const { selector } = line.subscription
  if (selector === undefined) return line.send(events)
  let selected: ReadonlyArray<unknown>
  try {
    selected = events.filter((event) => selector(event))
  } catch (defect) {
    return line.breaks(defect)
  }
  if (selected.length > 0) line.send(selected)
}

/**
 * An event belongs to a partition that the producer does not have. A defect: it crashes the producer.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownPartition extends Schema.TaggedError<UnknownPartition>()("UnknownPartition", {
  partition: Schema.Unknown,
  event: Schema.Unknown,
  known: Schema.Array(Schema.Union([Schema.String, Schema.Number]))
}) {
  override get message(): string {
    const known = this.known.join(", ")
    return `${format(this.event)} is for partition ${format(this.partition)}, and there are only ${known}`
  }
}

/** @internal */
export interface Partitioning {
  readonly partitions: ReadonlyArray<string | number>
  /** The partition of an event; `undefined`: nobody wants it. */
  readonly of: (event: unknown) => string | number | undefined
}

/** A partition for each event, by the hash of something of it. @internal */
export const byHash = (
  partitions: ReadonlyArray<string | number>,
  key: (event: unknown) => unknown
): Partitioning["of"] => {
  const indexOf = (value: unknown) =>
    Math.abs(Number.isInteger(value) ? (value as number) : Hash.hash(value)) % partitions.length
  return (event) => partitions[indexOf(key(event))]
}

class Partition {
  line: Line | undefined = undefined
  queue: Array<unknown> = []
  /** How many of the queue count against nobody: who should have got them has gone. */
  exempt = 0
  /** How many have ever left the queue. */
  taken = 0

  /** Sends what waits, as far as it is wanted. Says how many of that counted against nobody. */
  flush(): number {
    const { line, queue } = this
    if (line === undefined || line.pending <= 0 || queue.length === 0) return 0
    const events = queue.splice(0, line.pending)
    const exempted = Math.min(this.exempt, events.length)
    this.exempt -= exempted
    this.taken += events.length
    line.send(events)
    return exempted
  }
}

/** Each event goes to the line of its partition; what that does not want yet is set aside for it. @internal */
export class PartitionDispatcher implements Dispatcher {
  private readonly partitioning: Partitioning
  private readonly partitions: ReadonlyMap<unknown, Partition>
  /** Below 0: more is set aside than others may ask for. */
  private waiting = 0
  readonly takes = "partition"

  constructor(partitioning: Partitioning) {
    this.partitioning = partitioning
    this.partitions = new Map(partitioning.partitions.map((name) => [name, new Partition()]))
  }

  get wanted(): number {
    return Math.max(0, this.waiting)
  }

  get aside(): ReadonlyArray<unknown> {
    return [...this.partitions.values()].flatMap(({ queue }) => queue)
  }

  mark(): () => boolean {
    const marks = [...this.partitions.values()].map((each) => [each, each.taken + each.queue.length] as const)
    return () => marks.every(([each, until]) => each.taken >= until)
  }

  add(line: Line) {
    const { partition: name } = line.subscription
    const partition = this.partitions.get(name)
    if (partition === undefined) return { reason: "no-such-partition", partition: name } as const
    if (partition.line !== undefined) return { reason: "partition-taken", partition: name } as const
    partition.line = line
    return undefined
  }

  remove(line: Line, unhandled: ReadonlyArray<unknown>): ReadonlyArray<unknown> {
    const partition = this.partitionOf(line)
    // What waits here must not keep the others from asking.
    this.waiting += partition.queue.length - partition.exempt - line.pending
    partition.line = undefined
    partition.queue = [...unhandled, ...partition.queue]
    partition.exempt = partition.queue.length
    return NOTHING
  }

  asked(line: Line, count: number): void {
    line.pending += count
    this.waiting += count - this.partitionOf(line).flush()
  }

  dispatch(events: ReadonlyArray<unknown>): ReadonlyArray<unknown> {
    // All are found before any is taken: a mistake leaves nothing half done, and nothing wrong in the buffer.
    const placed = events.map((event) => this.find(event))
    const touched = new Set<Partition>()
    let taken = 0
    // Events that nobody wants leave room for others.
    for (; taken < events.length && (placed[taken] === undefined || this.waiting > 0); taken++) {
      const partition = placed[taken]
      if (partition === undefined) continue
      this.waiting--
      partition.queue.push(events[taken])
      touched.add(partition)
    }
    for (const partition of touched) partition.flush()
    return taken === 0 ? events : events.slice(taken)
  }

  private find(event: unknown): Partition | undefined {
    const name = this.partitioning.of(event)
    if (name === undefined) return undefined
    const partition = this.partitions.get(name)
    if (partition !== undefined) return partition
    throw new UnknownPartition({ partition: name, event, known: this.partitioning.partitions })
  }

  private partitionOf(line: Line): Partition {
    return this.partitions.get(line.subscription.partition)!
  }
}
