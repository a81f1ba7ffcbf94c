/**
 * A stage at work: what it does about each message of the machinery, with the handlers of the run at hand.
 *
 * Invariants:
 * 1. A core belongs to the actor, as its mailbox does: restarts change nothing about who is subscribed, what was asked for
 *    and what is buffered. It ends when the actor ends for good.
 * 2. State changes in plain code; what is to be told then goes out in order, at the end of the turn or, where that crashed,
 *    at the beginning of the next run.
 * 3. A batch is one message and one turn. One that there is no demand for stays a message.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { ActorRef, Endable } from "../actor/ActorRef.ts"
import { slotOf } from "../actor/ActorRef.ts"
import * as Stash from "../actor/Stash.ts"
import type { DeadLetterReason } from "../runtime/DeadLetters.ts"
import { Lasting } from "../runtime/envelope.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import type { Slot } from "../runtime/slot.ts"
import type { BufferOptions } from "./stageBuffer.ts"
import type { Dispatcher } from "./stageDispatchers.ts"
import type { Delivery } from "./stageLine.ts"
import { Outlet } from "./stageOutlet.ts"
import { Source } from "./stageSource.ts"
import { type Subscription, SubscriptionImpl, SubscriptionRefused, type SubscribeOptions } from "./stageSubscription.ts"

type Work = Effect.Effect<void, unknown> | undefined

/** What is done with demand: it reaches the handler, or waits until it does. @internal */
export type DemandMode = "forward" | "accumulate"

/** The handlers of one run, of whatever kind of stage. @internal */
export interface Callbacks {
  readonly demand?: (count: number) => unknown
  readonly events?: (events: ReadonlyArray<unknown>, from: Subscription) => unknown
  readonly subscribed?: (subscription: Subscription) => unknown
  readonly cancelled?: (subscription: Subscription, reason: ExitReason.ExitReason) => unknown
  readonly joined?: (subscription: Subscription) => unknown
  readonly left?: (subscription: Subscription, reason: ExitReason.ExitReason) => unknown
}

/** What a stage is, once for all of its actors. @internal */
export interface Config {
  readonly consumes: boolean
  /** Nothing for one that only consumes. */
  readonly emits: { readonly buffer: BufferOptions; readonly dispatcher: () => Dispatcher } | undefined
  readonly demand: DemandMode
}

/** @internal */
export interface AskMessage {
  readonly subscription: SubscriptionImpl
  readonly count: number
  /** How many events have been handled, ever. */
  readonly handled: number
}

/** @internal */
export interface AttachMessage {
  readonly to: ActorRef<unknown>
  readonly options: SubscribeOptions
  /** What came of it, for whoever gives up waiting. */
  readonly attempt: { subscription: SubscriptionImpl | undefined }
}

/** The end of a subscription, told to one side. It waits for nobody's demand. @internal */
export interface Cancellation {
  readonly subscription: SubscriptionImpl
  readonly reason: ExitReason.ExitReason
  readonly continues: true
  /** The other side has ended, and need not be told. */
  readonly ended: boolean
}

type Tells = Readonly<Record<string, (payload?: unknown) => Effect.Effect<void>>>

const cores = new WeakMap<Slot, Core>()

/** The core of a stage; `undefined` where it is none, or has ended. @internal */
export const coreOf = (slot: Slot): Core | undefined => cores.get(slot)

/** The core of an actor that begins a run; the one of the run before, where there was one. @internal */
export const openCore = (ref: ActorRef<unknown>, config: Config): Core => {
  const slot = slotOf(ref)
  const known = cores.get(slot)
  if (known !== undefined) return known
  const core = new Core(ref, config)
  cores.set(slot, core)
  slot.watch((reason) => {
    cores.delete(slot)
    core.finish(reason)
  })
  if (config.consumes) {
    slot.follow(() => {
      if (slot.isDraining) core.leaveProducers()
    })
  }
  return core
}

/** @internal */
export class Core {
  readonly outlet: Outlet | undefined
  readonly sources = new Map<SubscriptionImpl, Source>()
  mode: DemandMode
  private readonly slot: Slot
  private readonly ref: ActorRef<unknown>
  private readonly consumes: boolean
  private readonly unwatchers = new Map<SubscriptionImpl, () => void>()
  private callbacks: Callbacks = {}
  private outbox: Array<Effect.Effect<void>> = []
  /** Asks that came while demand accumulates. */
  private accumulated: Array<AskMessage> = []
  /** Subscriptions that the init of the run before had made. */
  private readonly former = new Set<Source>()
  private announced: ReadonlyArray<SubscriptionImpl> = []
  private initializing = false
  /** Why it ends once what it has made is taken. */
  private ending: ExitReason.ExitReason | undefined = undefined
  private stash = Stash.makeUnsafe({ capacity: Infinity })
  /** The messages in the stash, and the one that was let out of it. */
  private held: Array<Delivery | Cancellation> = []
  private released: Delivery | Cancellation | undefined = undefined

  constructor(ref: ActorRef<unknown>, config: Config) {
    const { emits } = config
    this.ref = ref
    this.slot = slotOf(ref)
    this.mode = config.demand
    this.consumes = config.consumes
    if (emits !== undefined) {
      this.outlet = new Outlet(
        emits.buffer,
        emits.dispatcher(),
        (delivery) => this.tell(delivery.subscription.consumer, "Events", delivery),
        ({ subscription }, defect) => {
          const reason = ExitReason.Failed(Cause.die(defect))
          post(this.slot, "Cancel", { subscription, reason, continues: true, ended: false })
        }
      )
    }
  }

  // --- A run ---

  /** Before init. */
  begin(): void {
    this.initializing = true
    this.announced = []
    this.former.clear()
    for (const source of this.sources.values()) if (source.fromInit) this.former.add(source)
    this.stash = Stash.makeUnsafe({ capacity: Infinity })
    this.held = []
    this.released = undefined
    this.outlet?.begin()
  }

  /** After init. */
  ready(callbacks: Callbacks, restarted: ReadonlyArray<Source>): Work {
    this.callbacks = callbacks
    this.initializing = false
    for (const source of this.former) {
      this.forget(source)
      this.tellCancel(source.subscription, ExitReason.Normal)
    }
    for (const source of restarted) if (!this.former.has(source)) this.resume(source)
    this.former.clear()
    if ((this.outlet?.wanted ?? 0) > 0) post(this.slot, "Pull")
    if (this.ending !== undefined) this.end(this.ending)
    if (callbacks.subscribed !== undefined && this.announced.length > 0) this.slot.continueWith(() => this.announce())
    return this.flush()
  }

  private resume(source: Source): void {
    const { subscription } = source
    const producer = slotOf(subscription.producer)
    post(producer, "Resume", { subscription, epoch: source.resume() })
    const count = source.more()
    if (count > 0) post(producer, "Ask", { subscription, count, handled: 0 })
  }

  private announce(): Work {
    return this.announced.reduce<Work>(
      (before, subscription) => inOrder(before, asEffect(this.callbacks.subscribed!(subscription))),
      undefined
    )
  }

  /** It has ended for good: what nobody has taken is left over. */
  finish(reason: ExitReason.ExitReason): void {
    for (const unwatch of this.unwatchers.values()) unwatch()
    for (const source of this.sources.values()) source.unwatch()
    const { outlet } = this
    if (outlet === undefined) return
    // Before those who take it hear of the end: they watch since later.
    for (const delivery of outlet.waiting) tellNow(delivery.subscription.consumer, "Events", delivery)
    this.lose(outlet.leftover(), { _tag: "NotRunning", exit: reason })
  }

  // --- Emitting ---

  onSubscribe({ count, subscription }: { readonly subscription: SubscriptionImpl; readonly count: number }): Work {
    const refusal = this.outlet!.subscribe(subscription, this.ref)
    if (refusal !== undefined) {
      subscription.refusal = refusal
      this.tellCancelled(subscription, ExitReason.Failed(Cause.fail(refusal)))
      return this.flush()
    }
    const unwatch = slotOf(subscription.consumer).watch((reason) =>
      post(this.slot, "Cancel", { subscription, reason, continues: true, ended: true })
    )
    this.unwatchers.set(subscription, unwatch)
    return chain(this.callbacks.joined?.(subscription), () => this.onAsk({ subscription, count, handled: 0 }))
  }

  onAsk(message: AskMessage): Work {
    const { count, handled, subscription } = message
    this.outlet!.acknowledge(subscription, handled)
    if (this.mode === "accumulate") {
      if (count > 0) this.accumulated.push({ ...message, handled: 0 })
      return this.flush()
    }
    this.outlet!.ask(subscription, count)
    return this.pull()
  }

  onResume({ epoch, subscription }: { readonly subscription: SubscriptionImpl; readonly epoch: number }): Work {
    this.outlet!.resume(subscription, epoch)
    return this.flush()
  }

  onCancel({ ended, reason, subscription }: Cancellation): Work {
    if (this.outlet?.cancel(subscription) !== true) return undefined
    this.unwatchers.get(subscription)?.()
    this.unwatchers.delete(subscription)
    if (!ended) this.tellCancelled(subscription, reason)
    return chain(this.callbacks.left?.(subscription, reason), () => this.pull())
  }

  onSetDemand(mode: DemandMode): Work {
    this.mode = mode
    if (mode === "accumulate") return undefined
    // Each as it came, so that the handler sees the demands of single consumers.
    for (const message of this.accumulated) post(this.slot, "Ask", message)
    this.accumulated = []
    return this.flush()
  }

  /** Has the handler asked for what consumers still want. */
  pull(): Work {
    if (this.consumes) {
      this.release()
      return this.flush()
    }
    const outlet = this.outlet!
    const { demand } = this.callbacks
    const count = demand === undefined ? 0 : outlet.missing
    if (count === 0) return this.flush()
    outlet.owe(count)
    const made = demand!(count)
    const before = this.flush()
    return inOrder(
      before,
      chain(made, (events) => this.emit(events))
    )
  }

  /** Gives out what a handler has made. What there is neither demand nor room for is a dead letter. */
  emit(events: unknown): Work {
    if (Array.isArray(events) && events.length > 0) this.give(events)
    return this.flush()
  }

  /** Events that were dead letters: of a stage that emits they are its own, else it handles them, counted by nobody. */
  onEmit(events: ReadonlyArray<unknown>): unknown {
    return this.outlet === undefined ? this.callbacks.events!(events, undefined as never) : this.emit(events)
  }

  /** Does something in a turn of its own, once all that has been emitted is taken. */
  whenTaken(work: () => unknown): Work {
    this.outlet!.whenTaken(() => this.slot.post(work))
    return this.flush()
  }

  private give(events: ReadonlyArray<unknown>): void {
    const outlet = this.outlet!
    const dropped = outlet.emit(events)
    this.lose(dropped, { _tag: "BufferFull", capacity: outlet.buffer.capacity })
    // In a turn of its own, so that a handler whose events nobody selects keeps nobody else waiting.
    if (this.callbacks.demand !== undefined && outlet.missing > 0) post(this.slot, "Pull")
  }

  private lose(events: ReadonlyArray<unknown>, reason: DeadLetterReason): void {
    if (events.length === 0) return
    const { slot } = this
    slot.system.deadLetter(slot, slot.path, "Emit", { events }, undefined, reason)
  }

  // --- Taking ---

  /** Subscribes to a producer. What init subscribes to again after a restart goes on. */
  subscribe(producer: ActorRef<unknown>, options: SubscribeOptions): SubscriptionImpl {
    const subscription = new SubscriptionImpl(this.ref, producer, options)
    const same = [...this.former].find((source) => source.subscription.isLike(subscription))
    if (same !== undefined) {
      this.former.delete(same)
      same.subscription.selector = subscription.selector
      this.announced = [...this.announced, same.subscription]
      return same.subscription
    }
    const source = new Source(subscription, this.initializing)
    this.sources.set(subscription, source)
    if (this.initializing) this.announced = [...this.announced, subscription]
    const target = slotOf(producer)
    if (!target.isEnded && coreOf(target)?.outlet === undefined) this.refuse(subscription)
    else {
      post(target, "Subscribe", { subscription, count: source.more() })
      source.unwatch = this.watchProducer(producer, subscription)
    }
    return subscription
  }

  onAttach({ attempt, options, to }: AttachMessage): unknown {
    const subscription = this.subscribe(to, options)
    attempt.subscription = subscription
    const announced = asEffect(this.callbacks.subscribed?.(subscription))
    const work = inOrder(this.flush(), announced)
    return work === undefined ? subscription : Effect.as(work, subscription)
  }

  /** Whoever subscribed it has given up before it was known to be taken: as if nothing had been. */
  onDetach(subscription: SubscriptionImpl): void {
    const source = this.sources.get(subscription)
    if (source === undefined) return
    this.forget(source)
    this.tellCancel(subscription, ExitReason.Normal)
  }

  /** Takes no more, and lets others have what it has asked for and not got. */
  leaveProducers(): void {
    for (const { subscription } of this.sources.values()) coreOf(slotOf(subscription.producer))?.leave(subscription)
  }

  /** A consumer goes: nothing more is sent there, from now on. */
  private leave(subscription: SubscriptionImpl): void {
    if (this.outlet?.leave(subscription) === true) post(this.slot, "Pull")
  }

  onEvents(delivery: Delivery): unknown {
    const source = this.sources.get(delivery.subscription)
    if (source === undefined || source.epoch !== delivery.epoch) return undefined
    if (this.holds(delivery)) return this.stash.keep
    source.receive(delivery)
    if (delivery.events.length === 0) return this.handled(source, delivery)
    const result = this.callbacks.events!(delivery.events, delivery.subscription)
    return chain(result, (made) => {
      if (this.outlet !== undefined && Array.isArray(made) && made.length > 0) this.give(made)
      return this.handled(source, delivery)
    })
  }

  onCancelled(cancellation: Cancellation): unknown {
    const { reason, subscription } = cancellation
    const source = this.sources.get(subscription)
    if (source === undefined) return undefined
    if (this.holds(cancellation)) return this.stash.keep
    this.forget(source)
    return chain(this.callbacks.cancelled?.(subscription, reason), () => {
      if (endsWith(subscription, reason) && !this.hasOther(reason)) this.end(reason)
      else this.release()
      return this.flush()
    })
  }

  private handled(source: Source, delivery: Delivery): Work {
    const { subscription } = source
    const more = source.done(delivery)
    if (more !== undefined) this.ask(subscription, more)
    this.release()
    return this.flush()
  }

  private ask(
    subscription: SubscriptionImpl,
    { count, handled }: { readonly count: number; readonly handled: number }
  ): void {
    const asked = this.slot.isDraining ? 0 : count
    post(slotOf(subscription.producer), "Ask", { subscription, count: asked, handled })
  }

  /** Whether an orderly end is that of one producer among several, and the others go on. */
  private hasOther(reason: ExitReason.ExitReason): boolean {
    if (ExitReason.isAbnormal(reason)) return false
    for (const { subscription } of this.sources.values()) if (subscription.cancel === "permanent") return true
    return false
  }

  private refuse(subscription: SubscriptionImpl): void {
    const { consumer, producer } = subscription
    const reason = "no-producer"
    subscription.refusal = new SubscriptionRefused({ producer: producer.path, consumer: consumer.path, reason })
    this.postCancelled(subscription, ExitReason.Failed(Cause.fail(subscription.refusal)))
  }

  private forget(source: Source): void {
    source.unwatch()
    this.sources.delete(source.subscription)
  }

  /** What it has taken in and made something of is given on first, where the end is an orderly one. */
  private end(reason: ExitReason.ExitReason): void {
    const { outlet, slot } = this
    this.ending = reason
    if (outlet === undefined || outlet.lines.size === 0 || ExitReason.isAbnormal(reason)) slot.stop(reason)
    else outlet.whenTaken(() => slot.stop(reason))
  }

  // --- Waiting for demand ---

  /** Whether a message has to wait: nobody wants what would be made of it, or others wait already. */
  private holds(message: Delivery | Cancellation): boolean {
    if (message === this.released) {
      this.released = undefined
      return false
    }
    if (this.held.length === 0 && this.mayTake(message)) return false
    this.held.push(message)
    return true
  }

  /** What was sent at once is taken at once. */
  private mayTake(message: Delivery | Cancellation): boolean {
    return this.outlet === undefined || message.continues || this.outlet.wanted > 0
  }

  private release(): void {
    const [next] = this.held
    if (next === undefined || this.released !== undefined || !this.mayTake(next)) return
    this.held.shift()
    this.released = next
    this.outbox.push(this.stash.unstash(1) as Effect.Effect<void>)
  }

  // --- Telling ---

  /** What is to be told now, in order; nothing where there is nothing. */
  flush(): Effect.Effect<void> | undefined {
    const { outbox } = this
    if (outbox.length === 0) return undefined
    this.outbox = []
    if (outbox.length === 1) return outbox[0]
    return Effect.gen(function* () {
      for (const each of outbox) yield* each
    })
  }

  private tell(to: ActorRef<unknown>, tag: string, payload?: unknown): void {
    this.outbox.push((to.tell as unknown as Tells)[tag]!(payload))
  }

  private tellCancel(subscription: SubscriptionImpl, reason: ExitReason.ExitReason): void {
    post(slotOf(subscription.producer), "Cancel", { subscription, reason, continues: true, ended: false })
  }

  /** Behind all events that are still to be told. */
  private tellCancelled(subscription: SubscriptionImpl, reason: ExitReason.ExitReason): void {
    const cancellation = { subscription, reason, continues: true, ended: false }
    this.outbox.push(Effect.sync(() => post(slotOf(subscription.consumer), "Cancelled", cancellation)))
  }

  private watchProducer(producer: Endable, subscription: SubscriptionImpl): () => void {
    return slotOf(producer).watch((reason) => this.postCancelled(subscription, reason))
  }

  private postCancelled(subscription: SubscriptionImpl, reason: ExitReason.ExitReason): void {
    post(this.slot, "Cancelled", { subscription, reason, continues: true, ended: true })
  }
}

/**
 * What stages say to each other about demand. No bound of a mailbox and no restart keeps it out, so that nobody waits for what was
 * dropped, nor for room where another waits for room with him. It has no span: what is made of it is no part of what was handled.
 *
 * @internal
 */
export const post = (to: Slot, tag: string, payload?: unknown): void =>
  to.postOwn(new Lasting(to.program.tags.indexOf(tag), payload))

/** For where there is no turn to tell something in. */
const tellNow = ({ tellUnsafe }: ActorRef<unknown>, tag: string, payload: unknown): void =>
  void (tellUnsafe as unknown as Readonly<Record<string, (payload: unknown) => boolean>>)[tag]!(payload)

const endsWith = ({ cancel }: SubscriptionImpl, reason: ExitReason.ExitReason): boolean =>
  cancel === "permanent" || (cancel === "transient" && ExitReason.isAbnormal(reason))

/** What a handler returned, where it is more than a value. @internal */
export const asEffect = (result: unknown): Effect.Effect<unknown, unknown> | undefined => {
  if (typeof result !== "object" || result === null) return undefined
  if (Effect.isEffect(result)) return result as Effect.Effect<unknown, unknown>
  return isGenerator(result) ? Effect.gen(() => result) : undefined
}

const isGenerator = (value: object): value is Generator<Effect.Effect<unknown, unknown>, unknown, never> =>
  Symbol.iterator in value && "next" in value && typeof value.next === "function"

/** Goes on with what a handler returned, in place where that is a plain value. */
const chain = (result: unknown, next: (value: unknown) => Work): Work => {
  const effect = asEffect(result)
  return effect === undefined ? next(result) : Effect.flatMap(effect, (value) => next(value) ?? Effect.void)
}

const inOrder = (
  first: Effect.Effect<unknown, unknown> | undefined,
  second: Effect.Effect<unknown, unknown> | undefined
): Work => {
  if (first === undefined || second === undefined) return (first ?? second) as Work
  return Effect.andThen(first, second) as Work
}
