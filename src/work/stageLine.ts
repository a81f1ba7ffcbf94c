/**
 * A subscription as the producer sees it: how many events it may still send there, and what has not been acknowledged.
 */
import type { SubscriptionImpl } from "./stageSubscription.ts"

/** Some events on their way. @internal */
export interface Delivery {
  readonly subscription: SubscriptionImpl
  readonly events: ReadonlyArray<unknown>
  /** How many events were sent on this subscription before these. */
  readonly sent: number
  /** It goes with the one before: both were sent at once. */
  readonly continues: boolean
  /** Which run of the consumer it is for, where what is unhandled is given back. */
  readonly epoch: number
}

/** @internal */
export class Line {
  readonly subscription: SubscriptionImpl
  /** Events asked for and not sent yet. */
  pending = 0
  /** Events sent, ever. */
  sent = 0
  epoch = 0
  /**
   * What is given back when the consumer ends. Only the first is on its way: what comes behind stays here, where it is no
   * dead letter.
   */
  unacknowledged: Array<Delivery> = []
  /** Its selector has thrown: it is to be cancelled, and gets nothing until then. */
  isBroken = false
  /** It takes nothing new any more, and handles what it has. */
  hasLeft = false
  private readonly deliver: (delivery: Delivery) => void
  private readonly broken: (line: Line, defect: unknown) => void

  constructor(
    subscription: SubscriptionImpl,
    deliver: (delivery: Delivery) => void,
    broken: (line: Line, defect: unknown) => void = () => undefined
  ) {
    this.subscription = subscription
    this.deliver = deliver
    this.broken = broken
  }

  /** Nothing can be selected for it. */
  breaks(defect: unknown): void {
    this.isBroken = true
    this.broken(this, defect)
  }

  /** Sends events that were asked for, in messages no larger than a batch. */
  send(events: ReadonlyArray<unknown>): void {
    const { batchSize } = this.subscription
    if (events.length <= batchSize) return this.post(events, false)
    for (let from = 0; from < events.length; from += batchSize) {
      this.post(events.slice(from, from + batchSize), from > 0)
    }
  }

  /** The consumer has handled this many of what was sent. */
  acknowledge(handled: number): void {
    const { unacknowledged } = this
    const open = unacknowledged.findIndex(({ events, sent }) => sent + events.length > handled)
    const done = unacknowledged.splice(0, open < 0 ? unacknowledged.length : open)
    if (done.length > 0 && unacknowledged.length > 0 && !this.hasLeft) this.deliver(unacknowledged[0]!)
  }

  /** Another run of the consumer: it gets again what the one before left unhandled, and else hears how much was sent. */
  resume(epoch: number): void {
    this.epoch = epoch
    this.unacknowledged = this.unacknowledged.map((delivery) => ({ ...delivery, epoch }))
    this.deliver(this.unacknowledged[0] ?? this.delivery([], false))
  }

  private post(events: ReadonlyArray<unknown>, continues: boolean): void {
    const delivery = this.delivery(events, continues)
    this.pending -= events.length
    this.sent += events.length
    if (this.subscription.delivery === "at-least-once") this.unacknowledged.push(delivery)
    if (this.unacknowledged.length <= 1) this.deliver(delivery)
  }

  private delivery(events: ReadonlyArray<unknown>, continues: boolean): Delivery {
    return { subscription: this.subscription, events, sent: this.sent, continues, epoch: this.epoch }
  }
}
