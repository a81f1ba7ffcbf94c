/**
 * Waiting in line for a channel: who puts and finds no room, who reads and finds nothing.
 *
 * Invariants:
 * 1. Nobody is resumed from within an operation of somebody else, only from a task of the scheduler: no operation is re-entered.
 * 2. Who waits does what it waits for itself, in the step that ends its wait, and stands in line until then. So an interrupted
 *    one has either done it and knows the result, or leaves nothing behind.
 * 3. Who has a turn and has not taken it yet does not let others pass in a line that is strict.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import type * as Scheduler from "effect/Scheduler"
import { Timer, type Timers } from "../runtime/timers.ts"

const evaluate = `${Effect.TypeId}/evaluate` as const

class Step {
  readonly run: () => Effect.Effect<unknown, unknown>

  constructor(run: () => Effect.Effect<unknown, unknown>) {
    this.run = run
  }
}

Object.setPrototypeOf(
  Step.prototype,
  Effectable.Prototype<Effect.Effect<unknown, unknown>>({
    label: "effect-otp/ActorChannel",
    evaluate(fiber) {
      const next = (this as unknown as Step).run()
      // The result is handed on in this very step, as Effect's Queue does it: an effect that merely returns it can be
      // interrupted in between, and what it had taken would be lost.
      return Exit.isExit(next)
        ? (next as unknown as { readonly [evaluate]: (fiber: unknown) => typeof next })[evaluate](fiber)
        : next
    }
  })
)

/** An effect whose exit, if `run` gives one, reaches whatever comes next in the same step of the fiber. @internal */
export const step = <A, E = never>(run: () => Effect.Effect<A, E>): Effect.Effect<A, E> => new Step(run) as never

/** One who waits. */
interface Waiter {
  /** How many items it waits for, or for room for how many. */
  readonly amount: number
  readonly ready: () => boolean
  readonly woken: boolean
  readonly timer: Timer | undefined
  wake(): void
}

/** What somebody waits for. @internal */
export interface Wait<A, E> {
  readonly amount: number
  /** Whether `attempt` would get anywhere. */
  readonly ready: () => boolean
  /** Undefined where there is nothing to be had yet. */
  readonly attempt: () => Exit.Exit<A, E> | undefined
  /** Milliseconds; undefined: for ever. */
  readonly limit: number | undefined
  /** What it ends with at its limit. */
  readonly onLimit: () => Exit.Exit<A, E>
}

/** @internal */
export class Line {
  /** Those who wait, first come first. */
  private readonly waiters = new Set<Waiter>()
  /** The sum of what they wait for. */
  wanted = 0
  /** Whether somebody is about to have a turn. */
  private scheduled = false
  /** Whether all are to be asked, and not only while there is something for them. */
  private all = false
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  private readonly timers: Timers
  /** Whether one who is not ready stops those behind it. */
  private readonly strict: boolean
  /** Whether it is worth going on to ask who is ready. */
  private readonly open: () => boolean

  constructor(dispatcher: Scheduler.SchedulerDispatcher, timers: Timers, strict: boolean, open: () => boolean) {
    this.dispatcher = dispatcher
    this.timers = timers
    this.strict = strict
    this.open = open
  }

  get size(): number {
    return this.waiters.size
  }

  /** Gives a turn to those who are ready, soon. */
  schedule(): void {
    if (this.scheduled || this.waiters.size === 0) return
    this.scheduled = true
    this.dispatcher.scheduleTask(this.serve, 0)
  }

  /** Asks all of them whether they are ready: something other than an item has come, or gone. */
  scheduleAll(): void {
    if (this.waiters.size === 0) return
    this.all = true
    this.schedule()
  }

  private readonly serve = (): void => {
    const { all } = this
    this.all = false
    for (const waiter of this.waiters) {
      if (!all && !this.open()) break
      if (waiter.woken) {
        if (this.strict) break
      } else if (waiter.ready()) {
        waiter.wake()
      } else if (this.strict) break
    }
    this.scheduled = false
    if (this.all) this.schedule()
    else if (this.open()) this.scheduleNext()
  }

  /** What came meanwhile may be for one who had been asked before. */
  private scheduleNext(): void {
    for (const { ready, woken } of this.waiters) {
      if (!woken && ready()) return this.schedule()
      if (this.strict) return
    }
  }

  /** Waits for a turn. */
  wait<A, E>(wait: Wait<A, E>): Effect.Effect<A, E> {
    const { limit } = wait
    if (limit !== undefined && limit <= 0) return wait.onLimit()
    return Effect.callback<A, E>((resume) => {
      const waiting = new Waiting(this, wait, resume)
      this.enter(waiting)
      if (limit !== undefined && limit !== Infinity) this.timers.add((waiting.timer = new Timer(waiting.expire)), limit)
      return Effect.sync(waiting.leave)
    })
  }

  /** Waits until something is so. */
  until(ready: () => boolean): Effect.Effect<void> {
    const attempt = () => (ready() ? Exit.void : undefined)
    const wait: Wait<void, never> = { amount: 0, ready, attempt, limit: undefined, onLimit: () => Exit.void }
    return step(() => attempt() ?? this.wait(wait))
  }

  private enter(waiter: Waiter): void {
    this.waiters.add(waiter)
    this.wanted += waiter.amount
    // Others may have come between its look and now.
    if (waiter.ready()) this.schedule()
  }

  leave(waiter: Waiter): void {
    if (!this.waiters.delete(waiter)) return
    this.wanted -= waiter.amount
    if (waiter.timer !== undefined) this.timers.remove(waiter.timer)
    // Those behind may fit where this one did not.
    if (this.strict) this.schedule()
  }
}

class Waiting<A, E> implements Waiter {
  readonly amount: number
  readonly ready: () => boolean
  woken = false
  timer: Timer | undefined = undefined
  private expired = false
  private resume: (effect: Effect.Effect<A, E>) => void
  private readonly line: Line
  private readonly goal: Wait<A, E>

  constructor(line: Line, goal: Wait<A, E>, resume: (effect: Effect.Effect<A, E>) => void) {
    this.line = line
    this.goal = goal
    this.resume = resume
    this.amount = goal.amount
    this.ready = goal.ready
  }

  wake(): void {
    this.woken = true
    this.resume(step(this.turn))
  }

  readonly leave = (): void => this.line.leave(this)

  readonly expire = (): void => {
    this.expired = true
    if (this.woken) return
    this.leave()
    this.resume(this.goal.onLimit())
  }

  private readonly turn = (): Effect.Effect<A, E> => {
    const exit = this.goal.attempt() ?? (this.expired ? this.goal.onLimit() : undefined)
    if (exit !== undefined) {
      this.leave()
      return exit
    }
    // It came late to its turn, and somebody else had been there.
    this.woken = false
    return Effect.callback<A, E>((resume) => void (this.resume = resume))
  }
}
