/**
 * The timers of one incarnation, by key.
 *
 * Invariants:
 * 1. One timer per key. What a timer that was replaced, cancelled or outlived has put into the mailbox is not handled.
 * 2. At most one tick of a timer waits in the mailbox: the next is timed when that one is handled.
 */
import type * as Effect from "effect/Effect"
import { Own, type Receiver, Task } from "../runtime/envelope.ts"
import type { Incarnation } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import type { TimerNode } from "../runtime/timers.ts"
import { describeTell } from "./sending.ts"

/** Milliseconds, and from when they count: never again, from when a tick is handled, from when it was due. @internal */
export interface Pace {
  readonly kind: "once" | "delay" | "rate"
  readonly first: number
  readonly every: number
}

/** @internal */
export class KeyedTimers {
  private static readonly all = new WeakMap<Incarnation, KeyedTimers>()
  readonly slot: Slot
  private readonly incarnation: Incarnation
  private readonly byKey = new Map<unknown, KeyedTimer>()

  private constructor(incarnation: Incarnation) {
    this.slot = incarnation.host as Slot
    this.incarnation = incarnation
    incarnation.onEnd(() => this.cancelAll())
  }

  static of(incarnation: Incarnation): KeyedTimers {
    let timers = this.all.get(incarnation)
    if (timers === undefined) this.all.set(incarnation, (timers = new KeyedTimers(incarnation)))
    return timers
  }

  start(key: unknown, pace: Pace, effect: Effect.Effect<unknown, unknown>): void {
    this.cancel(key)
    // Work beside the messages may come to it when all is over.
    if (this.slot.incarnation !== this.incarnation) return
    const timer = new KeyedTimer(this, key, pace, effect)
    // One that never comes is none.
    if (pace.first === Infinity) return
    this.byKey.set(key, timer)
    this.slot.system.timers.add(timer, pace.first)
  }

  cancel(key: unknown): void {
    const timer = this.byKey.get(key)
    if (timer === undefined) return
    this.byKey.delete(key)
    this.slot.system.timers.remove(timer)
  }

  cancelAll(): void {
    for (const key of [...this.byKey.keys()]) this.cancel(key)
  }

  has(key: unknown): boolean {
    return this.byKey.has(key)
  }

  isCurrent(timer: KeyedTimer): boolean {
    return this.byKey.get(timer.key) === timer
  }
}

class KeyedTimer implements TimerNode {
  due = 0
  index = -1
  readonly key: unknown
  private readonly owner: KeyedTimers
  private readonly pace: Pace
  private readonly effect: Effect.Effect<unknown, unknown>

  constructor(owner: KeyedTimers, key: unknown, pace: Pace, effect: Effect.Effect<unknown, unknown>) {
    this.owner = owner
    this.key = key
    this.pace = pace
    this.effect = effect
  }

  expire(): void {
    const { slot } = this.owner
    const tell = describeTell(this.effect)
    slot.postOwn(
      tell?.slot === slot
        ? new Tick(this, tell.tag, tell.payload)
        : new Task(() => (this.begins() ? this.effect : undefined))
    )
  }

  /** A tick is about to be handled. Whether it still counts. */
  begins(): boolean {
    const { owner, pace } = this
    if (!owner.isCurrent(this)) return false
    const { timers } = owner.slot.system
    if (pace.kind === "once") owner.cancel(this.key)
    else if (pace.kind === "delay") timers.add(this, pace.every)
    else timers.addAt(this, this.due + pace.every)
    return true
  }
}

/** A message that an actor sends itself by timer: handled as one from outside, if its timer still is the one of its key. */
export class Tick extends Own {
  private readonly timer: KeyedTimer
  constructor(timer: KeyedTimer, tag: number, payload: unknown) {
    super(tag, payload)
    this.timer = timer
  }
  override deliver(to: Receiver): unknown {
    return this.timer.begins() ? to.handlers[this.tag]!(this.payload) : undefined
  }
}
