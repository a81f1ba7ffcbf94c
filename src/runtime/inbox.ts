/**
 * The sending side of an actor: what happens to a message until its turn comes.
 *
 * Invariants:
 * 1. A message is either queued, handed to a waiting sender, told as dropped, or a dead letter with a reason. Never less.
 * 2. `Queued` if and only if the actor waits in the run queue with something to do.
 * 3. A mailbox without rules pays one comparison per message.
 */
import { Admission, DEFAULT_HIGH_WATER, type MailboxOptions, type MailboxRule, type Waiter } from "./admission.ts"
import type { DeadLetterReason, Recipient } from "./DeadLetters.ts"
import type { Urgent } from "./dispatcher.ts"
import { DEFAULT_PRIORITY, type Envelope, Lasting, Own, Task, type Undelivered } from "./envelope.ts"
import * as ExitReason from "./ExitReason.ts"
import { type Item, Mailbox } from "./mailbox.ts"
import * as State from "./state.ts"
import type { System } from "./system.ts"

/** Why a mailbox loses a message: all but what only channels and stages know. @internal */
export type LossReason = Exclude<DeadLetterReason, { readonly _tag: "Rejected" | "NotStarted" }>

/**
 * Whether a message was taken in. `full`: the sender may wait for room; nothing has been recorded.
 *
 * @internal
 */
export type Verdict = "accepted" | "lost" | "full"

/** A mailbox of this many messages gets its turn sooner. @internal */
export const LONG = 1_024

/** @internal */
export abstract class Inbox extends Mailbox implements Urgent, Recipient {
  readonly system: System
  /** Why it ended for good. */
  exit: ExitReason.ExitReason | undefined = undefined
  protected state: State.State = State.Down
  protected control = 0
  protected admission: Admission | undefined
  /** Whether the run queue has an entry for it: never more than one. */
  protected enqueued = false
  private highWater: number
  /** Hears of each message that comes in, while somebody waits for more of them; of nothing, when no more can come. */
  private arrived: ((item: Item | undefined) => void) | undefined = undefined

  abstract readonly path: string
  /** Names of the messages, by number. */
  protected abstract readonly tags: ReadonlyArray<string>
  abstract run(): number
  abstract runAhead(): number

  constructor(system: System, options: MailboxOptions | undefined) {
    super()
    this.system = system
    this.admission =
      options === undefined ? undefined : new Admission(options, (rule, defect) => this.ruleFailed(rule, defect))
    this.highWater = this.admission === undefined ? DEFAULT_HIGH_WATER : this.admission.highWater
    this.applyCeiling()
  }

  get capacity(): number {
    return this.admission === undefined ? Infinity : this.admission.capacity
  }

  get isEnded(): boolean {
    return this.state === State.Ended
  }

  /** Whether it takes no more messages for the time being, or will not after the one at hand. */
  get isPausing(): boolean {
    return (this.control & State.PauseRequested) !== 0
  }

  /** Puts a message into the mailbox. */
  offer(item: Item, payload: unknown): Verdict {
    if (this.tail - this.head >= this.limit) return this.offerSlow(item, payload)
    if (typeof item !== "number" && item.priority !== DEFAULT_PRIORITY) return this.offerSlow(item, payload)
    this.push(item, payload)
    if (this.state === State.Idle) this.wake()
    return "accepted"
  }

  /** As `offer`, where nobody can wait: a full mailbox makes it a dead letter. */
  offerNow(item: Item, payload: unknown): boolean {
    const verdict = this.offer(item, payload)
    if (verdict === "full") this.lose(item, payload, this.fullReason())
    return verdict === "accepted"
  }

  /** Work for a turn of its own, in order behind what is queued, whatever the bounds say. */
  post(work: () => unknown): void {
    this.postOwn(new Task(work))
  }

  /** As `post`, for a message that the actor gives itself. */
  postOwn(message: Own): void {
    if (this.state === State.Ended) return
    this.insert(message, undefined, DEFAULT_PRIORITY)
    if (this.state === State.Idle) this.wake()
  }

  /** As `offer`, whatever the bounds say. */
  append(message: Envelope): void {
    this.admission?.added(this.describe(message, undefined))
    this.insert(message, undefined, DEFAULT_PRIORITY)
    if (this.state === State.Idle) this.wake()
  }

  /** Whether it finishes what it has and takes nothing new. */
  get isDraining(): boolean {
    return (this.control & State.DrainRequested) !== 0
  }

  /** Waits for room in a full mailbox. Returns how to stop waiting, which tells whether it still did. */
  waitForRoom(waiter: Waiter): () => boolean {
    const waiters = this.admission!.waiters
    waiters.add(waiter)
    return () => waiters.delete(waiter)
  }

  fullReason(): LossReason {
    return { _tag: "MailboxFull", capacity: this.capacity }
  }

  /** Records a message that nobody will handle; a request is told why instead. */
  lose(item: Item, payload: unknown, reason: LossReason): "lost" {
    if (typeof item !== "number" && item.undelivered(undeliveredBecause(reason))) return "lost"
    const message = this.describe(item, payload)
    const sender = typeof item === "number" ? undefined : item.sender
    this.system.deadLetter(this, this.path, message.tag, message.payload, sender, reason)
    return "lost"
  }

  /** As `offer`, for a message that is a dead letter already: where it is not taken, why. */
  takeAgain(tag: string, payload: unknown): DeadLetterReason | undefined {
    const number = this.tags.indexOf(tag)
    if (this.state === State.Ended || number < 0) return { _tag: "NotRunning", exit: this.exit ?? ExitReason.Normal }
    if (this.isDraining) return { _tag: "Draining" }
    const admission = this.admission
    if (admission?.isFull(this.size, { tag, payload }) === true) return this.fullReason()
    return this.offer(number, payload) === "accepted" ? undefined : this.fullReason()
  }

  /** Looks at each message that comes in, before it is taken; `undefined` ends that. */
  onArrival(arrived: ((item: Item | undefined) => void) | undefined): void {
    this.arrived = arrived
    if (this.state !== State.Ended && !this.isDraining) this.applyCeiling()
  }

  /** A message as people and rules see it. */
  describe(item: Item, payload: unknown): { readonly tag: string; readonly payload: unknown } {
    if (typeof item === "number") return { tag: this.tags[item] ?? "", payload }
    return { tag: this.tags[item.tag] ?? "", payload: item.payload }
  }

  /** Takes out of the queue, and of the line of those that wait for room in it, what is wanted of them, in order. */
  takeOut<Wanted extends Item>(wanted: (item: Item) => item is Wanted): ReadonlyArray<Wanted> {
    const out: Array<Wanted> = []
    const kept: Array<readonly [Item, unknown]> = []
    for (let item = this.next(); item !== undefined; item = this.next()) {
      const payload = this.payload()
      if (!wanted(item)) kept.push([item, payload])
      else {
        if (this.admission?.countsBytes === true) this.admission.taken(this.describe(item, payload))
        out.push(item)
      }
    }
    this.rewind()
    for (const [item, payload] of kept) this.insert(item, payload, this.priorityOf(item, payload))
    if (this.admission !== undefined) {
      for (const waiter of this.admission.waiters) {
        if (!wanted(waiter.item)) continue
        this.admission.waiters.delete(waiter)
        out.push(waiter.item)
        waiter.settled(true)
      }
      this.admit(this.admission)
    }
    return out
  }

  private priorityOf(item: Item, payload: unknown): number {
    if (this.admission !== undefined) return this.admission.priority(item, this.describe(item, payload))
    return typeof item === "number" ? DEFAULT_PRIORITY : item.priority
  }

  protected wake(): void {
    this.state = State.Queued
    if (this.enqueued) return
    this.enqueued = true
    this.system.dispatcher.push(this)
  }

  /** Takes everything that is queued or waits for room, in order. */
  protected loseAll(reason: LossReason): void {
    this.admission?.emptied()
    const kept: Array<Lasting> = []
    for (let item = this.next(); item !== undefined; item = this.next()) {
      const payload = this.payload()
      // A restart gives up messages, not the actor's own work: its watches outlive incarnations.
      if (item instanceof Lasting && reason._tag === "Restarted") kept.push(item)
      else this.lose(item, payload, reason)
    }
    this.rewind()
    for (const lasting of kept) this.insert(lasting, undefined, DEFAULT_PRIORITY)
    const waiters = this.admission?.waiters
    if (waiters === undefined || waiters.size === 0) return
    const waiting = [...waiters]
    waiters.clear()
    for (const waiter of waiting) {
      this.lose(waiter.item, waiter.payload, reason)
      waiter.settled(false)
    }
  }

  /** Gives what crashed the last incarnation to the next one, or gives it up when it has done so too often. */
  protected redeliver(admission: Admission): void {
    const { suspect } = admission
    if (suspect?.state !== "held") return
    const { crashes, item, payload } = suspect
    if (crashes.length > admission.redeliver) {
      admission.suspect = undefined
      this.lose(item, payload, { _tag: "Poisoned", crashes })
      return
    }
    suspect.state = "queued"
    this.unshift(item, payload)
    admission.added(this.describe(item, payload))
  }

  /** There is no next incarnation for what crashed the last one. */
  protected giveUpSuspect(admission: Admission): void {
    const { suspect } = admission
    if (suspect?.state !== "held") return
    admission.suspect = undefined
    const { crashes, item } = suspect
    if (typeof item !== "number") item.undelivered({ _tag: "HandlerFailed", cause: crashes[crashes.length - 1]!.cause })
  }

  /** Nothing passes without being looked at. */
  protected closeDoor(): void {
    this.setCeiling(0)
    this.arrived?.(undefined)
  }

  protected openDoor(): void {
    this.applyCeiling()
  }

  /** The mailbox has run empty. */
  protected emptied(): void {
    this.rewind()
    const configured = this.admission === undefined ? DEFAULT_HIGH_WATER : this.admission.highWater
    if (this.highWater === configured) return
    this.highWater = configured
    this.applyCeiling()
  }

  /** A message leaves a mailbox with rules: senders that wait for room get it. */
  protected admitWaiters(admission: Admission, item: Item, payload: unknown): void {
    if (admission.redeliver > 0 && !(item instanceof Own)) admission.handling(item, payload)
    if (admission.countsBytes && !(item instanceof Own)) admission.taken(this.describe(item, payload))
    if (admission.waiters.size > 0) this.admit(admission)
  }

  /** Lets senders in as long as there is room. */
  private admit(admission: Admission): void {
    for (const waiter of admission.waiters) {
      if (admission.isFull(this.size, this.describe(waiter.item, waiter.payload))) return
      admission.waiters.delete(waiter)
      const verdict = this.offer(waiter.item, waiter.payload)
      // There is room here, and none where it goes from here.
      if (verdict === "full") this.waitForRoom(waiter)
      else this.system.dispatcher.push({ run: () => (waiter.settled(verdict === "accepted"), 1) })
    }
  }

  private offerSlow(item: Item, payload: unknown): Verdict {
    if (this.state === State.Ended) return this.lose(item, payload, { _tag: "NotRunning", exit: this.exit! })
    if (this.isDraining) return this.lose(item, payload, { _tag: "Draining" })
    const admission = this.admission
    if (admission === undefined)
      return this.accept(item, payload, typeof item === "number" ? DEFAULT_PRIORITY : item.priority)
    const message = this.describe(item, payload)
    if (this.state <= State.Starting && this.size >= admission.whileRestarting) {
      return this.dropped(item, payload, "restarting")
    }
    while (admission.isFull(this.size, message)) {
      if (admission.overflow === "suspend") {
        this.arrived?.(undefined)
        return "full"
      }
      if (admission.overflow === "drop-newest") return this.dropped(item, payload, "drop-newest")
      if (admission.overflow === "reject") return this.lose(item, payload, this.fullReason())
      if (this.dropOldest(admission)) continue
      if (admission.capacity === 0) return this.dropped(item, payload, "drop-oldest")
      // Its own work does not count: where there is nothing else, there is room.
      break
    }
    admission.added(message)
    return this.accept(item, payload, admission.priority(item, message))
  }

  /** Gives up the oldest message, if there is one; the actor's own work goes behind what is left instead. */
  private dropOldest(admission: Admission): boolean {
    const kept: Array<Own> = []
    let item = this.nextToDrop()
    while (item instanceof Own) {
      this.payload()
      kept.push(item)
      item = this.nextToDrop()
    }
    if (item !== undefined) {
      const payload = this.payload()
      if (admission.countsBytes) admission.taken(this.describe(item, payload))
      this.dropped(item, payload, "drop-oldest")
    }
    for (const own of kept) this.insert(own, undefined, DEFAULT_PRIORITY)
    return item !== undefined
  }

  private accept(item: Item, payload: unknown, priority: number): Verdict {
    this.insert(item, payload, priority)
    if (this.size >= this.highWater) {
      if (this.system.observed) this.system.emit({ _tag: "MailboxHighWater", path: this.path, size: this.size })
      this.highWater *= 2
      this.applyCeiling()
    }
    if (this.state === State.Idle) this.wake()
    else if (this.state === State.Queued && this.size >= LONG) this.system.dispatcher.urge(this)
    this.arrived?.(item)
    return "accepted"
  }

  private dropped(item: Item, payload: unknown, reason: "drop-newest" | "drop-oldest" | "restarting"): "lost" {
    if (typeof item !== "number") {
      item.undelivered(
        reason === "restarting"
          ? { _tag: "Restarting" }
          : { _tag: "MailboxFull", capacity: this.capacity, waited: undefined }
      )
    }
    if (this.system.observed) {
      this.system.emit({ _tag: "MessageDropped", path: this.path, ...this.describe(item, payload), reason })
    }
    return "lost"
  }

  private ruleFailed(rule: MailboxRule, defect: unknown): void {
    if (this.system.observed) this.system.emit({ _tag: "MailboxRuleFailed", path: this.path, rule, defect })
  }

  private applyCeiling(): void {
    const admission = this.admission
    const messages = admission === undefined ? this.highWater - 1 : Math.min(this.highWater - 1, admission.capacity)
    this.setCeiling(this.arrived !== undefined || admission?.looksAtEach === true ? 0 : messages * 2)
  }
}

const undeliveredBecause = (reason: LossReason): Undelivered => {
  switch (reason._tag) {
    case "NotRunning":
    case "NoMembers":
      return reason
    case "MailboxFull":
    case "BufferFull":
      return { _tag: "MailboxFull", capacity: reason.capacity, waited: undefined }
    case "Draining":
      return { _tag: "NotRunning", exit: ExitReason.Normal }
    case "Restarted":
      return { _tag: "Restarting" }
    case "Poisoned":
      return { _tag: "HandlerFailed", cause: reason.crashes[reason.crashes.length - 1]!.cause }
  }
}
