/**
 * The side of a stage that emits: who has asked for how many, what waits for somebody to ask, what its handler owes.
 *
 * Invariants:
 * 1. Nothing is sent that was not asked for.
 * 2. Something is buffered only while nobody wants more.
 * 3. The handler is asked for what consumers want and it has not been asked for yet, never twice for the same.
 */
import type { ActorRef } from "../actor/ActorRef.ts"
import { type BufferOptions, EventBuffer } from "./stageBuffer.ts"
import type { Dispatcher } from "./stageDispatchers.ts"
import { type Delivery, Line } from "./stageLine.ts"
import { type SubscriptionImpl, SubscriptionRefused } from "./stageSubscription.ts"

/** Something to do once all that was emitted before it has been taken. */
interface Marker {
  readonly hasPassed: () => boolean
  readonly run: () => void
}

/** @internal */
export class Outlet {
  readonly lines = new Map<SubscriptionImpl, Line>()
  readonly buffer: EventBuffer
  private readonly dispatcher: Dispatcher
  private readonly deliver: (delivery: Delivery) => void
  private readonly broken: (line: Line, defect: unknown) => void
  /** What the handler has been asked for and not emitted yet. */
  private owed = 0
  private markers: ReadonlyArray<Marker> = []

  constructor(
    buffer: BufferOptions,
    dispatcher: Dispatcher,
    deliver: (delivery: Delivery) => void,
    broken: (line: Line, defect: unknown) => void
  ) {
    this.buffer = new EventBuffer(buffer)
    this.dispatcher = dispatcher
    this.deliver = deliver
    this.broken = broken
  }

  /** How many more events consumers take at once. */
  get wanted(): number {
    return this.dispatcher.wanted
  }

  /** Another run begins: what the one before owed it does not know of. */
  begin(): void {
    this.owed = 0
    this.markers = []
  }

  subscribe(subscription: SubscriptionImpl, producer: ActorRef<unknown>): SubscriptionRefused | undefined {
    const line = new Line(subscription, this.deliver, this.broken)
    const refused = this.flawOf(subscription) ?? this.dispatcher.add(line)
    if (refused === undefined) {
      this.lines.set(subscription, line)
      return undefined
    }
    const { consumer } = subscription
    return new SubscriptionRefused({ producer: producer.path, consumer: consumer.path, ...refused })
  }

  /** What a subscription says that means nothing here. */
  private flawOf({ partition, selector }: SubscriptionImpl): Pick<SubscriptionRefused, "reason"> | undefined {
    const { takes } = this.dispatcher
    if (selector !== undefined && takes !== "selector") return { reason: "no-broadcast" }
    return partition !== undefined && takes !== "partition" ? { reason: "no-partitions" } : undefined
  }

  /** Forgets a consumer; others get what it gives back. */
  cancel(subscription: SubscriptionImpl): boolean {
    const line = this.lines.get(subscription)
    if (line === undefined) return false
    this.lines.delete(subscription)
    const unhandled = line.unacknowledged.splice(0).flatMap(({ events }) => events)
    this.buffer.unshift(this.dispatcher.remove(line, unhandled))
    this.settle()
    return true
  }

  /** Sends a consumer nothing more, though it is still there: others get what it wanted. */
  leave(subscription: SubscriptionImpl): boolean {
    const line = this.lines.get(subscription)
    if (line === undefined || line.hasLeft) return false
    line.hasLeft = true
    this.dispatcher.asked(line, -line.pending)
    return true
  }

  ask(subscription: SubscriptionImpl, count: number): void {
    const line = this.lines.get(subscription)
    if (line === undefined || count === 0) return
    this.dispatcher.asked(line, count)
    this.settle()
  }

  /** A consumer has handled this many of what it was sent. */
  acknowledge(subscription: SubscriptionImpl, handled: number): void {
    const line = this.lines.get(subscription)
    if (line === undefined || line.unacknowledged.length === 0) return
    line.acknowledge(handled)
    this.settle()
  }

  resume(subscription: SubscriptionImpl, epoch: number): void {
    this.lines.get(subscription)?.resume(epoch)
  }

  /** Gives out events; those there is neither demand nor room for come back. */
  emit(events: ReadonlyArray<unknown>): ReadonlyArray<unknown> {
    this.owed = Math.max(0, this.owed - events.length)
    const rest = this.dispatcher.dispatch(events)
    const dropped = rest.length === 0 ? rest : this.buffer.push(rest)
    this.settle()
    return dropped
  }

  /** How many events the handler is to be asked for now. */
  get missing(): number {
    return Math.max(0, this.dispatcher.wanted - this.owed)
  }

  /** What the handler is asked for it owes from then on. */
  owe(count: number): void {
    this.owed += count
  }

  /** Runs something once all that has been emitted by now is taken. */
  whenTaken(run: () => void): void {
    const place = this.buffer.end
    const until = [...this.lines.values()].map((line) => [line, line.sent] as const)
    const passedAside = this.dispatcher.mark()
    const isHandled = ([{ unacknowledged }, sent]: readonly [Line, number]) =>
      unacknowledged.length === 0 || unacknowledged[0]!.sent >= sent
    const hasPassed = () => this.buffer.hasPassed(place) && passedAside() && until.every(isHandled)
    this.markers = [...this.markers, { hasPassed, run }]
    this.settle()
  }

  /** What consumers were to get once they had handled what they have. */
  get waiting(): ReadonlyArray<Delivery> {
    return [...this.lines.values()].flatMap(({ unacknowledged }) => unacknowledged.slice(1))
  }

  /** What is left when it ends. */
  leftover(): ReadonlyArray<unknown> {
    return [...this.dispatcher.aside, ...this.buffer.take(Infinity)]
  }

  private settle(): void {
    while (this.buffer.size > 0 && this.dispatcher.wanted > 0) {
      this.buffer.unshift(this.dispatcher.dispatch(this.buffer.take(this.dispatcher.wanted)))
    }
    if (this.markers.length === 0) return
    const passed = this.markers.filter(({ hasPassed }) => hasPassed())
    if (passed.length === 0) return
    this.markers = this.markers.filter((marker) => !passed.includes(marker))
    for (const { run } of passed) run()
  }
}
