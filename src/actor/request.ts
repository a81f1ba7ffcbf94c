/**
 * An ask on its way: envelope, reply handle and timer in one object.
 *
 * Invariants:
 * 1. It settles once: reply, declared error, reason why no reply comes, or withdrawal by the asker.
 * 2. Its limit is the smaller of its own and what remains of the request that its asker is handling.
 */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Request, type Undelivered } from "../runtime/envelope.ts"
import type { Incarnation, Outgoing } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import type { TimerNode } from "../runtime/timers.ts"
import { fromUndelivered } from "./AskError.ts"

/** @internal */
export class Ask extends Request implements TimerNode, Outgoing {
  index = -1
  /** How long the asker waits in all, in milliseconds. */
  limit = Infinity
  private readonly slot: Slot
  private readonly tagName: string
  private asker: Incarnation | undefined = undefined
  private resume: ((effect: Effect.Effect<unknown, unknown>) => void) | undefined = undefined

  constructor(slot: Slot, tag: number, payload: unknown) {
    super(tag, payload)
    this.slot = slot
    this.tagName = slot.program.tags[tag]!
  }

  /** Resumes the asker from the run queue when the outcome is known. */
  wait(asker: Incarnation | undefined, resume: (effect: Effect.Effect<unknown, unknown>) => void): void {
    if (asker !== undefined) {
      if (asker.stopping && this.waitsForRestart) this.giveUp()
      asker.waitsFor(this)
      this.asker = asker
    }
    if (this.exit !== undefined) return resume(this.exit)
    this.resume = resume
  }

  get waitsForRestart(): boolean {
    return this.slot.isDown
  }

  giveUp(): void {
    this.undelivered({ _tag: "Restarting" })
  }

  /** Nobody waits any more: an actor that has not begun with it skips it. */
  withdraw(): void {
    this.resume = undefined
    if (this.exit === undefined) this.settle(WITHDRAWN)
  }

  expire(): void {
    if (this.exit === undefined) this.settle(this.undeliveredExit({ _tag: "Timeout", after: this.limit }))
  }

  run(): number {
    const resume = this.resume
    this.resume = undefined
    if (resume !== undefined) resume(this.exit!)
    return 1
  }

  /** Starts the clock at `now`: `due` says when the asker's own time is up. */
  limitTo(limit: number, inherited: number): void {
    const timers = this.slot.system.timers
    this.limit = limit
    if (limit === Infinity && inherited === Infinity) return
    const now = timers.now()
    const own = now + limit
    if (inherited < own) this.limit = Math.max(0, inherited - now)
    timers.addAt(this, Math.min(own, inherited))
  }

  protected settled(): void {
    if (this.asker !== undefined) this.asker.waitsNoMore(this)
    if (this.index >= 0) this.slot.system.timers.remove(this)
    if (this.resume !== undefined) this.slot.system.dispatcher.push(this)
  }

  protected undeliveredExit(why: Undelivered): Exit.Exit<never, unknown> {
    return Exit.fail(fromUndelivered(this.slot.path, this.tagName, this.payload, why))
  }
}

const WITHDRAWN: Exit.Exit<never> = Exit.interrupt()
