/**
 * The rules of a mailbox: bounds by count and by bytes, what happens when it is full, priorities by a function.
 *
 * A mailbox without rules has no `Admission` at all, and pays nothing for it.
 */
import { Envelope } from "./envelope.ts"
import type { Item } from "./mailbox.ts"
import { type Crash, Suspect } from "./suspect.ts"

/**
 * What a full mailbox does with one more message.
 *
 * @category models
 * @since 0.1.0
 */
export type Overflow = "suspend" | "drop-newest" | "drop-oldest" | "reject"

/** @internal */
export const OVERFLOWS: ReadonlyArray<Overflow> = ["suspend", "drop-newest", "drop-oldest", "reject"]

/**
 * A message as the functions of `MailboxOptions` see it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Message {
  readonly tag: string
  readonly payload: unknown
}

/**
 * How an actor's mailbox behaves. Everything has a default; the default mailbox is unbounded.
 *
 * @category models
 * @since 0.1.0
 */
export interface MailboxOptions {
  /** Messages it holds at most. Default: unbounded. */
  readonly capacity?: number
  /** Bytes it holds at most, as counted by `sizeOf`. Default: unbounded. */
  readonly bytes?: number
  /** Size of a message in bytes. Default: buffers and strings of the payload, one level deep. */
  readonly sizeOf?: (message: Message) => number
  /** What happens when it is full. Default `suspend`: the sender waits. */
  readonly overflow?: Overflow
  /** A `MailboxHighWater` event is told at this size, and again at each doubling. Default 10,000. */
  readonly highWater?: number
  /** 0 to 255, 255 first; in order of arrival within one. Default: what the sender says, else 128. */
  readonly priority?: (message: Message) => number
  /** Whether a restart keeps the queued messages. Default `keep`. */
  readonly onRestart?: "keep" | "discard"
  /**
   * How often a message that has crashed the actor is handled again, first of all, by its next run. One crash more, and it is a
   * dead letter, `Poisoned`, with its history. Whoever asked goes on waiting, as long as the ask allows. Default 0: a message
   * that crashes its actor is gone.
   */
  readonly redeliver?: number
  /** Messages kept at most while the actor is down between two incarnations. Default: as `capacity`. */
  readonly whileRestarting?: number
}

/**
 * A function of `MailboxOptions`.
 *
 * @category models
 * @since 0.1.0
 */
export type MailboxRule = "priority" | "sizeOf" | "route"

/** A sender that waits for room. @internal */
export interface Waiter {
  readonly item: Item
  readonly payload: unknown
  /** Called when the message was taken in, or when it never will be. */
  readonly settled: (accepted: boolean) => void
}

/** @internal */
export class Admission {
  readonly capacity: number
  readonly overflow: Overflow
  readonly bytes: number
  readonly highWater: number
  readonly whileRestarting: number
  readonly discardOnRestart: boolean
  readonly redeliver: number
  /** Whether the message at hand is handled alone, because a batch that it was in has crashed the actor. */
  alone = false
  /** Messages at the front that are to be handled alone. */
  private apart = 0
  /** What crashed the actor last, while it may be handled again. */
  suspect: Suspect | undefined = undefined
  readonly waiters = new Set<Waiter>()
  /** Whether each push must be looked at, not only those that meet the ceiling. */
  readonly looksAtEach: boolean
  readonly countsBytes: boolean
  private readonly priorityOf: ((message: Message) => number) | undefined
  private readonly sizeOf: (message: Message) => number
  private readonly failed: (rule: MailboxRule, defect: unknown) => void
  private bytesHeld = 0

  /** `failed` hears of a function of the options that threw; the default stands in for it. */
  constructor(options: MailboxOptions, failed: (rule: MailboxRule, defect: unknown) => void) {
    this.failed = failed
    this.capacity = options.capacity ?? Infinity
    this.overflow = options.overflow ?? "suspend"
    this.bytes = options.bytes ?? Infinity
    this.highWater = options.highWater ?? DEFAULT_HIGH_WATER
    this.whileRestarting = options.whileRestarting ?? Infinity
    this.discardOnRestart = options.onRestart === "discard"
    this.redeliver = options.redeliver ?? 0
    this.priorityOf =
      options.priority === undefined ? undefined : this.guarded("priority", options.priority, () => DEFAULT)
    this.sizeOf = options.sizeOf === undefined ? payloadBytes : this.guarded("sizeOf", options.sizeOf, payloadBytes)
    this.countsBytes = this.bytes !== Infinity
    this.looksAtEach = this.priorityOf !== undefined || this.countsBytes || this.whileRestarting !== Infinity
  }

  /** A message larger than the whole bound is still let into an empty mailbox: it could never be sent otherwise. */
  isFull(size: number, message: Message): boolean {
    if (size >= this.capacity) return true
    return this.countsBytes && size > 0 && this.bytesHeld + this.sizeOf(message) > this.bytes
  }

  priority(item: Item, message: Message): number {
    if (this.priorityOf !== undefined) return clampPriority(this.priorityOf(message))
    return item instanceof Envelope ? item.priority : DEFAULT
  }

  /** A message must arrive whatever is wrong with what was said about it. */
  private guarded(
    rule: MailboxRule,
    measure: (message: Message) => number,
    standIn: (message: Message) => number
  ): (message: Message) => number {
    return (message) => {
      try {
        const value = measure(message)
        if (typeof value === "number" && !Number.isNaN(value)) return value
        throw new TypeError(`${rule} must give a number, got ${String(value)}`)
      } catch (defect) {
        this.failed(rule, defect)
        return standIn(message)
      }
    }
  }

  /** A batch has crashed the actor: as long as it is not known who did it, nobody is handled with others. */
  takeApart(messages: number): void {
    this.apart = messages
  }

  /** A message is about to be handled: one that comes after a suspect clears it. */
  handling(item: Item, payload: unknown): void {
    this.alone = this.apart > 0
    if (this.alone) this.apart--
    const { suspect } = this
    if (suspect === undefined) return
    if (suspect.state === "tried") this.suspect = undefined
    else if (suspect.state !== "held" && suspect.is(item, payload)) {
      suspect.state = "tried"
      this.alone = true
    }
  }

  /** A message is put aside, stashed or postponed: what is known of it is known when it is handled at last. */
  putAside(item: Item, payload: unknown): void {
    const { suspect } = this
    if (suspect?.state === "tried" && suspect.is(item, payload)) suspect.state = "aside"
  }

  /** A message has crashed the actor, again or for the first time. */
  crashed(item: Item, payload: unknown, crash: Crash): void {
    const again = this.suspect?.is(item, payload) === true
    if (!again) this.suspect = new Suspect(item, payload)
    this.suspect!.crashes.push(crash)
    this.suspect!.state = "held"
  }

  added(message: Message): void {
    if (this.countsBytes) this.bytesHeld += this.sizeOf(message)
  }

  emptied(): void {
    this.bytesHeld = 0
  }

  taken(message: Message): void {
    this.bytesHeld -= this.sizeOf(message)
  }
}

/** @internal */
export const DEFAULT_HIGH_WATER = 10_000
const DEFAULT = 128

/** @internal */
export const clampPriority = (priority: number): number =>
  priority >= 255 ? 255 : priority > 0 ? Math.trunc(priority) : 0

/** Buffers and strings, one level deep. @internal */
export const payloadBytes = ({ payload }: Pick<Message, "payload">): number => {
  let bytes = sizeOfValue(payload)
  if (typeof payload === "object" && payload !== null && !ArrayBuffer.isView(payload)) {
    for (const value of Object.values(payload)) bytes += sizeOfValue(value)
  }
  return bytes
}

const sizeOfValue = (value: unknown): number => {
  if (typeof value === "string") return value.length * 2
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength
  return 8
}
