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
import { keepShape } from "../runtime/shapes.ts"
import type { Slot } from "../runtime/slot.ts"
import type { TimerNode } from "../runtime/timers.ts"
import { fromUndelivered } from "./AskError.ts"

/** Not asked for yet. */
const UNSET = -1

/** @internal */
export class Ask extends Request implements TimerNode, Outgoing {
  index = -1
  /** When time is up; known once somebody has to wait, or asks. */
  due = UNSET
  protected readonly slot: Slot
  /** How long the asker waits in all, in milliseconds. */
  private readonly limit: number
  /** When the time of the request is up that the asker is handling itself. */
  private readonly inherited: number
  /** How long that was, in milliseconds, from the moment the clock started. */
  private waited = 0
  /** Leaves the line of those that wait for room. */
  leaveLine: (() => void) | undefined = undefined
  private asker: Incarnation | undefined = undefined
  private resume: ((effect: Effect.Effect<unknown, unknown>) => void) | undefined = undefined

  constructor(slot: Slot, tag: number, payload: unknown, limit: number, inherited: number) {
    super(tag, payload)
    this.slot = slot
    this.limit = limit
    this.inherited = inherited
  }

  override deadline(): number {
    if (this.due === UNSET) {
      const own = this.limit === Infinity ? Infinity : Math.ceil(this.slot.system.timers.now() + this.limit)
      this.due = Math.min(own, this.inherited)
    }
    return this.due
  }

  /** Starts the clock: the reply did not come at once. */
  startTimer(): void {
    const due = this.deadline()
    if (due === Infinity) return
    const { timers } = this.slot.system
    this.waited = this.inherited === Infinity ? this.limit : Math.max(0, due - timers.now())
    timers.addAt(this, due)
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
    if (this.exit === undefined) this.settle(this.undeliveredExit({ _tag: "Restarting" }))
  }

  /** Nobody waits any more: an actor that has not begun with it skips it. */
  withdraw(): void {
    this.resume = undefined
    if (this.exit === undefined) this.settle(WITHDRAWN)
  }

  expire(): void {
    if (this.exit !== undefined) return
    this.settle(this.undeliveredExit({ _tag: "Timeout", after: this.waited }))
  }

  run(): number {
    const resume = this.resume
    this.resume = undefined
    if (resume !== undefined) resume(this.exit!)
    return 1
  }

  protected settled(): void {
    if (this.leaveLine !== undefined) this.leaveLine()
    if (this.asker !== undefined) this.asker.waitsNoMore(this)
    if (this.index >= 0) this.slot.system.timers.remove(this)
    if (this.resume !== undefined) this.slot.system.dispatcher.push(this)
  }

  protected undeliveredExit(why: Undelivered): Exit.Exit<never, unknown> {
    return Exit.fail(fromUndelivered(this.slot.path, this.slot.program.tags[this.tag]!, this.payload, why))
  }
}

const WITHDRAWN: Exit.Exit<never> = Exit.interrupt()

keepShape(new Ask(undefined as never, 0, undefined, 0, 0))
