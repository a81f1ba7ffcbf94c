/**
 * What a channel is made of, without effects: the queue, who holds what, its bounds, its end.
 *
 * Invariants, between any two operations:
 * 1. Each item is in `queue`, or held by one reader, or gone; `unacknowledged` is the sum of what readers hold, and `bytes` that
 *    of the queue.
 * 2. The queue is in the order in which items were put: what comes back stands before all that was put later.
 * 3. Nothing is put over somebody who waits to put.
 * 4. Once closed, nobody waits to put; once shut down, nothing is queued, and nothing comes back.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { hasProperty } from "effect/Predicate"
import type * as Scheduler from "effect/Scheduler"
import type { DeadLetterReason, Recipient } from "../runtime/DeadLetters.ts"
import type { System } from "../runtime/system.ts"
import { Timer } from "../runtime/timers.ts"
import { Closed, type ClosedBy, TooLarge } from "./channelErrors.ts"
import { List, Node } from "./channelList.ts"
import { Line } from "./channelWaiting.ts"

/** The options, with their defaults. @internal */
export interface Settings<A> {
  readonly name: string
  readonly capacity: number
  readonly maxBytes: number
  readonly sizeOf: ((item: A) => number) | undefined
  readonly redeliver: number
  /** Milliseconds. */
  readonly autoClose: number
}

/** What a channel runs on. @internal */
export interface Environment {
  readonly system: System
  readonly dispatcher: Scheduler.SchedulerDispatcher
}

/** A control value at its place; each links to the one that was put after it. @internal */
export class Mark<C> {
  next: Mark<C> | undefined = undefined
  readonly seq: number
  readonly control: C

  constructor(seq: number, control: C) {
    this.seq = seq
    this.control = control
  }
}

/** No control value, and none after it. */
const NONE = new Mark(-1, undefined as unknown)

/** One who joined, with what it has not acknowledged. @internal */
export interface Member<A, C> {
  readonly name: string
  readonly node: string
  readonly held: List<A>
  /** The last control value that it has seen. */
  seen: Mark<C>
  delivered: number
  acknowledged: number
}

/** @internal */
export class Core<A, C> implements Recipient {
  readonly settings: Settings<A>
  readonly system: System
  readonly queue: List<A>
  readonly members = new Set<Member<A, C>>()
  readonly puts: Line
  readonly takes: Line
  readonly empties: Line
  readonly counts = { put: 0, delivered: 0, acknowledged: 0, returned: 0, removed: 0, deadLetters: 0 }
  readonly latency = { last: 0, total: 0, max: 0 }
  capacity: number
  maxBytes: number
  bytes = 0
  unacknowledged = 0
  closed: Exclude<ClosedBy, "left"> | undefined = undefined
  private seq = 0
  /** The last control value that whoever joins now has nothing to do with. */
  private passed: Mark<C>
  private lastMark: Mark<C>
  private alone: Timer | undefined = undefined

  constructor(settings: Settings<A>, { dispatcher, system }: Environment) {
    this.settings = settings
    this.system = system
    this.capacity = settings.capacity
    this.maxBytes = settings.maxBytes
    this.queue = new List<A>((node) => this.remove(node))
    this.passed = this.lastMark = new Mark<C>(-1, undefined as never)
    const isReadable = () => this.queue.length > 0
    this.takes = new Line(dispatcher, system.timers, isReadable)
    // Who waits for more than will ever be there at a time, because a put finds no room, takes what is there.
    const moved = () => this.takes.schedule()
    this.puts = new Line(dispatcher, system.timers, () => this.closed !== undefined || this.hasRoom(1, 0), moved)
    this.empties = new Line(dispatcher, system.timers, () => this.isEmpty)
  }

  get isShutDown(): boolean {
    return this.closed === "shutdown"
  }

  /** Whether nothing is queued, and nothing unacknowledged. */
  get isEmpty(): boolean {
    return this.queue.length === 0 && this.unacknowledged === 0
  }

  /** Monotonic milliseconds: how long something waits must not depend on what the wall clock is set to. */
  now(): number {
    return this.system.timers.now()
  }

  closedError(by: ClosedBy = this.closed!): Closed {
    return new Closed({ channel: this.settings.name, by }, { disableChecks: true })
  }

  // --- Putting ---

  sizeOf(item: A): number {
    const { sizeOf } = this.settings
    if (sizeOf === undefined) return 0
    const bytes = sizeOf(item)
    if (Number.isFinite(bytes) && bytes >= 0) return bytes
    throw new TypeError(`${this.settings.name}: sizeOf must give a number of 0 or more, got ${String(bytes)}`)
  }

  /** What could never be put, whoever reads. */
  impossible(count: number, bytes: number): TooLarge | undefined {
    const { capacity, maxBytes } = this
    if (count <= capacity && bytes <= maxBytes) return undefined
    return new TooLarge({ channel: this.settings.name, count, capacity, bytes, maxBytes }, { disableChecks: true })
  }

  hasRoom(count: number, bytes: number): boolean {
    return this.queue.length + count <= this.capacity && this.bytes + bytes <= this.maxBytes
  }

  /** Undefined where bytes are not counted. */
  sizesOf(items: ReadonlyArray<A>): ReadonlyArray<number> | undefined {
    return this.settings.sizeOf === undefined ? undefined : items.map((item) => this.sizeOf(item))
  }

  append(item: A, bytes: number): Node<A> {
    const node = this.add(item, bytes, this.now())
    this.takes.schedule()
    return node
  }

  appendAll(items: ReadonlyArray<A>, sizes: ReadonlyArray<number> | undefined): ReadonlyArray<Node<A>> {
    const now = this.now()
    const nodes = items.map((item, i) => this.add(item, sizes === undefined ? 0 : sizes[i]!, now))
    this.takes.schedule()
    return nodes
  }

  private add(item: A, bytes: number, now: number): Node<A> {
    const node = new Node(item, this.seq++, bytes, now)
    this.queue.push(node)
    this.bytes += bytes
    this.counts.put++
    return node
  }

  /** Puts back what a checkpoint holds, whatever the bounds say. */
  restore(item: A, deliveries: number): void {
    this.append(item, this.sizeOf(item)).deliveries = deliveries
  }

  private remove(node: Node<A>): void {
    this.queue.remove(node)
    this.counts.removed++
    this.forget(node)
    this.left(node)
  }

  // --- Reading ---

  /** The first in the queue, for a reader to acknowledge; where there is none, it is acknowledged at once. */
  shift(member: Member<A, C> | undefined, acknowledged: boolean, now: number): Node<A> {
    const node = this.queue.shift()!
    const waited = now - node.at
    const { latency } = this
    latency.last = waited
    latency.total += waited
    if (waited > latency.max) latency.max = waited
    this.counts.delivered++
    node.deliveries++
    if (member !== undefined) {
      member.delivered++
      this.passOver(member, node)
    }
    if (member === undefined || acknowledged) {
      if (member !== undefined) member.acknowledged++
      this.counts.acknowledged++
    } else {
      member.held.push(node)
      this.unacknowledged++
    }
    this.left(node)
    return node
  }

  /** A node has left the queue. */
  private left(node: Node<A>): void {
    this.bytes -= node.bytes
    this.puts.schedule()
    if (this.queue.length > 0) return
    // Sums of fractions do not come back to where they began.
    this.bytes = 0
    // The turn of control values, or the end, may have come.
    if (this.closed !== undefined || this.lastMark.seq > node.seq) this.takes.scheduleAll()
    if (this.unacknowledged === 0) this.empties.schedule()
  }

  /**
   * Whether the next item may be what ended a reader before: it is delivered alone, so that those that were delivered with it do
   * not become dead letters as well.
   */
  get isSuspect(): boolean {
    const { head } = this.queue
    return this.settings.redeliver !== Infinity && head !== undefined && head.deliveries > 0
  }

  /** Whether nothing more will come for a reader. What others have not acknowledged may. */
  hasEnded(member: Member<A, C> | undefined): boolean {
    if (this.closed === undefined || this.queue.length > 0) return false
    return this.isShutDown || this.unacknowledged === (member?.held.length ?? 0)
  }

  acknowledge(member: Member<A, C>, node: Node<A>): void {
    this.release(member, node)
    member.acknowledged++
    this.counts.acknowledged++
    this.forget(node)
    this.settled()
  }

  /** Not needed any more; whoever still has its entry need not keep what was put. */
  private forget(node: Node<A>): void {
    node.item = undefined as never
  }

  private forgetAll(list: List<A>): void {
    for (let node = list.shift(); node !== undefined; node = list.shift()) this.forget(node)
  }

  private release(member: Member<A, C>, node: Node<A>): void {
    member.held.remove(node)
    this.unacknowledged--
  }

  private settled(): void {
    if (this.queue.length > 0) return
    if (this.closed !== undefined) this.takes.scheduleAll()
    if (this.unacknowledged === 0) this.empties.schedule()
  }

  /** Gives back what a reader had: to its place in the queue, or, delivered too often, to the dead letters. */
  giveBack(member: Member<A, C>, node: Node<A>, cause: Cause.Cause<unknown>): void {
    this.release(member, node)
    const { redeliver } = this.settings
    if (redeliver !== Infinity) (node.crashes ??= []).push({ at: this.system.timers.now(), cause })
    if (this.isShutDown) this.lose(node, NOT_RUNNING)
    else if (node.deliveries > redeliver) this.lose(node, { _tag: "Poisoned", crashes: node.crashes ?? [] })
    else {
      this.queue.insert(node)
      this.bytes += node.bytes
      this.counts.returned++
      this.takes.schedule()
    }
    this.settled()
  }

  reject(member: Member<A, C>, node: Node<A>): void {
    this.release(member, node)
    this.lose(node, { _tag: "Rejected" })
    this.settled()
  }

  // --- Control values ---

  signal(control: C): void {
    const mark = new Mark(this.seq++, control)
    this.lastMark.next = mark
    this.lastMark = mark
    this.passMarks()
    if (this.queue.length === 0) this.takes.scheduleAll()
  }

  /** The control value whose turn it is for a reader. */
  markFor(member: Member<A, C>): Mark<C> | undefined {
    const mark = member.seen.next
    return mark !== undefined && mark.seq < this.frontier ? mark : undefined
  }

  /** What is before it has been read. */
  private get frontier(): number {
    return this.queue.head?.seq ?? Infinity
  }

  private passOver(member: Member<A, C>, node: Node<A>): void {
    while (member.seen.next !== undefined && member.seen.next.seq < node.seq) member.seen = member.seen.next
  }

  /** A control value is past once all that was put before it is done; what is not may come back, to whoever joins then. */
  private passMarks(): void {
    let { frontier } = this
    if (this.passed.next === undefined || this.passed.next.seq > frontier) return
    for (const { held } of this.members) {
      for (let node = held.head; node !== undefined; node = node.next) if (node.seq < frontier) frontier = node.seq
    }
    while (this.passed.next !== undefined && this.passed.next.seq < frontier) this.passed = this.passed.next
  }

  /** All that is queued or unacknowledged, and the control values that stand between, in order. */
  content(): Array<Node<A> | Mark<C>> {
    const nodes: Array<Node<A> | Mark<C>> = this.queue.toArray()
    for (const { held } of this.members) for (const node of held.toArray()) nodes.push(node)
    this.passMarks()
    for (let mark = this.passed.next; mark !== undefined; mark = mark.next) nodes.push(mark)
    return nodes.sort((a, b) => a.seq - b.seq)
  }

  // --- Readers ---

  join(name: string, node: string): Member<A, C> {
    this.passMarks()
    const member = { name, node, held: new List<A>(), seen: this.passed, delivered: 0, acknowledged: 0 }
    this.members.add(member)
    if (this.alone !== undefined) this.system.timers.remove(this.alone)
    this.alone = undefined
    return member
  }

  leave(member: Member<A, C>, cause: Cause.Cause<unknown>): void {
    const held = member.held.toArray().sort((a, b) => a.seq - b.seq)
    for (const node of held) this.giveBack(member, node, cause)
    this.members.delete(member)
    // Whoever still has the reader need not keep all control values to come.
    member.seen = NONE as Mark<C>
    this.takes.scheduleAll()
    const { autoClose } = this.settings
    if (this.members.size > 0 || this.closed !== undefined || autoClose === Infinity) return
    if (autoClose === 0) return this.close("last-reader")
    this.alone = new Timer(() => this.close("last-reader"))
    this.system.timers.add(this.alone, autoClose)
  }

  // --- Its bounds and its end ---

  resize(capacity: number, maxBytes: number): void {
    this.capacity = capacity
    this.maxBytes = maxBytes
    this.puts.scheduleAll()
    // As many as somebody waits for may be more than it holds now.
    this.takes.scheduleAll()
  }

  close(by: "close" | "last-reader"): void {
    if (this.closed !== undefined) return
    this.closed = by
    this.puts.scheduleAll()
    this.takes.scheduleAll()
  }

  /** Takes everything out. Readers' answers come too late from now on. */
  shutdown(): void {
    this.closed = "shutdown"
    for (const { held } of this.members) this.forgetAll(held)
    this.forgetAll(this.queue)
    this.unacknowledged = 0
    this.bytes = 0
    this.stopWaiting()
  }

  /** Ends with what is queued: dead letters. Who holds something may still acknowledge it. */
  end(): void {
    if (this.isShutDown) return
    this.closed = "shutdown"
    for (let node = this.queue.shift(); node !== undefined; node = this.queue.shift()) this.lose(node, NOT_RUNNING)
    this.bytes = 0
    this.stopWaiting()
  }

  private stopWaiting(): void {
    if (this.alone !== undefined) this.system.timers.remove(this.alone)
    this.puts.scheduleAll()
    this.takes.scheduleAll()
    this.empties.scheduleAll()
  }

  // --- Dead letters ---

  private lose(node: Node<A>, reason: DeadLetterReason): void {
    const { item } = node
    const tag = hasProperty(item, "_tag") && typeof item._tag === "string" ? item._tag : "item"
    this.counts.deadLetters++
    this.forget(node)
    this.system.deadLetter(this, this.settings.name, tag, item, undefined, reason)
  }

  /** A dead letter is replayed. */
  takeAgain(_tag: string, item: unknown): DeadLetterReason | undefined {
    const bytes = this.sizeOf(item as A)
    if (this.closed !== undefined) return NOT_RUNNING
    if (this.puts.size > 0 || !this.hasRoom(1, bytes)) return { _tag: "MailboxFull", capacity: this.capacity }
    this.append(item as A, bytes)
    return undefined
  }
}

const NOT_RUNNING: DeadLetterReason = { _tag: "NotRunning", exit: { _tag: "Shutdown" } }

/** The cause that a reader left with. @internal */
export const causeOf = (exit: Exit.Exit<unknown, unknown>): Cause.Cause<unknown> =>
  Exit.isFailure(exit) ? exit.cause : Cause.empty
