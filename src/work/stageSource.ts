/**
 * The side of a stage that takes events: from whom, how many are still to come, when to ask for more.
 *
 * It belongs to the actor, as its mailbox does, and not to one of its runs: a restart changes nothing about what is still to
 * come.
 */
import type { Delivery } from "./stageLine.ts"
import type { SubscriptionImpl } from "./stageSubscription.ts"

/** A subscription as the consumer sees it. @internal */
export class Source {
  readonly subscription: SubscriptionImpl
  /** Made by an init, which makes it again in the next run. */
  fromInit: boolean
  unwatch: () => void = () => undefined
  epoch = 0
  /** Asked for and not received. */
  private pending = 0
  private received = 0
  private handled = 0

  constructor(subscription: SubscriptionImpl, fromInit: boolean) {
    this.subscription = subscription
    this.fromInit = fromInit
  }

  /** How many are still to come, of those it has asked for by itself. */
  get expected(): number {
    return Math.max(0, this.pending)
  }

  /** What was lost on the way is not to come any more; what comes twice counts once. */
  receive({ events, sent }: Delivery): void {
    const end = sent + events.length
    if (end <= this.received) return
    this.pending -= end - this.received
    this.received = end
  }

  /** What to say once these have been handled, if anything. */
  done({ events, sent }: Delivery): { readonly count: number; readonly handled: number } | undefined {
    this.handled = Math.max(this.handled, sent + events.length)
    const { delivery } = this.subscription
    const count = this.more()
    if (count === 0 && (delivery === "at-most-once" || events.length === 0)) return undefined
    return { count, handled: this.handled }
  }

  /** How many more to ask for now; they are to come from then on. */
  more(): number {
    const { demand, maxDemand, minDemand } = this.subscription
    if (demand === "manual" || this.pending > minDemand) return 0
    const count = maxDemand - this.pending
    this.pending = maxDemand
    return count
  }

  /** Another run begins: what the one before did not handle comes again, where that was agreed. */
  resume(): number {
    if (this.subscription.delivery === "at-most-once") return this.epoch
    this.pending += this.received - this.handled
    this.received = this.handled
    return ++this.epoch
  }
}
