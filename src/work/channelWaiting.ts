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
import { keepShape } from "../runtime/shapes.ts"
import { Timer, type Timers } from "../runtime/timers.ts"

const evaluate = `${Effect.TypeId}/evaluate` as const

interface Evaluated {
  readonly [evaluate]: (fiber: unknown) => Effect.Effect<unknown, unknown>
}

/**
 * An effect that does what it can at once, or else waits. Its exit reaches whatever comes next in the same step of the fiber, as
 * Effect's Queue does it: an effect that merely returns the exit can be interrupted in between, and what it had taken would be
 * lost.
 *
 * @internal
 */
export abstract class Attempt<A, E> {
  /** Undefined where there is nothing to be had yet. */
  abstract attempt(): Exit.Exit<A, E> | undefined
  abstract wait(): Effect.Effect<A, E>
}

Object.setPrototypeOf(
  Attempt.prototype,
  Effectable.Prototype<Effect.Effect<unknown, unknown>>({
    label: "effect-otp/ActorChannel",
    evaluate(fiber) {
      const self = this as unknown as Attempt<unknown, unknown>
      const exit = self.attempt()
      return exit === undefined ? self.wait() : (exit as unknown as Evaluated)[evaluate](fiber)
    }
  })
)

class Step<A, E> extends Attempt<A, E> {
  readonly attempt: () => Exit.Exit<A, E> | undefined
  readonly wait: () => Effect.Effect<A, E>

  constructor(attempt: () => Exit.Exit<A, E> | undefined, wait: () => Effect.Effect<A, E>) {
    super()
    this.attempt = attempt
    this.wait = wait
  }
}

/** An `Attempt` of two functions. @internal */
export const step = <A, E = never>(
  attempt: () => Exit.Exit<A, E> | undefined,
  wait: () => Effect.Effect<A, E>
): Effect.Effect<A, E> => new Step(attempt, wait) as never

/** What somebody waits for. @internal */
export interface Wait<A, E> {
  readonly amount: number
  /** Whether `attempt` would get anywhere. */
  ready(): boolean
  /** Undefined where there is nothing to be had yet. */
  attempt(): Exit.Exit<A, E> | undefined
  /** Milliseconds; undefined: for ever. */
  readonly limit: number | undefined
  /** What it ends with at its limit. */
  onLimit(): Exit.Exit<A, E>
}

/** In one task at most: those who pass work to each other come back to the line at once, and others are to run as well. */
const TURNS = 128

/** @internal */
export class Line {
  /** Those who wait, first come first. */
  private readonly waiters = new Set<Waiting>()
  /** The sum of what they wait for. */
  private wanted = 0
  /** Whether somebody is about to have a turn. */
  private scheduled = false
  /** Whether all are to be asked, and not only while there is something for them. */
  private all = false
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  private readonly timers: Timers
  /** Whether it is worth going on to ask who is ready. */
  private readonly open: () => boolean
  /** Called when another may stand first in a line that is strict. */
  private readonly moved: (() => void) | undefined

  constructor(dispatcher: Scheduler.SchedulerDispatcher, timers: Timers, open: () => boolean, moved?: () => void) {
    this.dispatcher = dispatcher
    this.timers = timers
    this.open = open
    this.moved = moved
  }

  private get strict(): boolean {
    return this.moved !== undefined
  }

  get size(): number {
    return this.waiters.size
  }

  /** Whether who stands first cannot have what it waits for. */
  get isStuck(): boolean {
    for (const { goal, woken } of this.waiters) return !woken && !goal.ready()
    return false
  }

  /** Whether this many of what is there are for nobody who has waited longer and is about to have a turn. */
  spares(there: number, amount: number): boolean {
    if (!this.scheduled || there - this.wanted >= amount) return true
    // Those who want more than there is have no turn now.
    let left = there
    for (const { goal } of this.waiters) {
      if (!goal.ready()) continue
      left -= goal.amount
      if (left < amount) return false
    }
    return true
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
    let turns = 0
    for (const waiter of this.waiters) {
      if (!all && !this.open()) break
      if (waiter.woken) {
        if (this.strict) break
      } else if (waiter.goal.ready()) {
        waiter.wake()
        if (++turns === TURNS) {
          this.all ||= all
          break
        }
      } else if (this.strict) break
    }
    this.scheduled = false
    if (this.all) this.schedule()
    else if (this.open()) this.scheduleNext()
  }

  /** What came meanwhile may be for one who had been asked before. */
  private scheduleNext(): void {
    for (const waiter of this.waiters) {
      if (!waiter.woken && waiter.goal.ready()) return this.schedule()
      if (this.strict) return
    }
  }

  /** Waits for a turn. */
  wait<A, E>(wait: Wait<A, E>): Effect.Effect<A, E> {
    const { limit } = wait
    if (limit !== undefined && limit <= 0) return wait.onLimit()
    return Effect.callback<A, E>((resume) => {
      const waiter = new Waiting(this, wait as Wait<unknown, unknown>, resume as Waiting["resume"])
      this.enter(waiter)
      if (limit !== undefined && limit !== Infinity) {
        waiter.timer = new Timer(() => waiter.expire())
        this.timers.add(waiter.timer, limit)
      }
      return Effect.sync(() => this.leave(waiter))
    })
  }

  /** Waits until something is so. */
  until(ready: () => boolean): Effect.Effect<void> {
    const attempt = () => (ready() ? Exit.void : undefined)
    const wait: Wait<void, never> = { amount: 0, ready, attempt, limit: undefined, onLimit: () => Exit.void }
    return step(attempt, () => this.wait(wait))
  }

  private enter(waiter: Waiting): void {
    this.waiters.add(waiter)
    this.wanted += waiter.goal.amount
    // Others may have come between its look and now.
    if (waiter.goal.ready()) this.schedule()
    this.moved?.()
  }

  leave(waiter: Waiting): void {
    if (!this.waiters.delete(waiter)) return
    this.wanted -= waiter.goal.amount
    if (waiter.timer !== undefined) this.timers.remove(waiter.timer)
    if (this.moved === undefined) return
    // Those behind may fit where this one did not.
    this.schedule()
    this.moved()
  }
}

/** One who waits. What it does when it has its turn is itself an attempt. */
class Waiting extends Attempt<unknown, unknown> {
  woken = false
  timer: Timer | undefined = undefined
  readonly goal: Wait<unknown, unknown>
  private expired = false
  private resume: (effect: Effect.Effect<unknown, unknown>) => void
  private readonly line: Line

  constructor(line: Line, goal: Wait<unknown, unknown>, resume: Waiting["resume"]) {
    super()
    this.line = line
    this.goal = goal
    this.resume = resume
  }

  wake(): void {
    this.woken = true
    this.resume(this as never)
  }

  expire(): void {
    this.expired = true
    if (this.woken) return
    this.line.leave(this)
    this.resume(this.goal.onLimit())
  }

  attempt(): Exit.Exit<unknown, unknown> | undefined {
    const exit = this.goal.attempt()
    if (exit === undefined && !this.expired) return undefined
    this.line.leave(this)
    return exit ?? this.goal.onLimit()
  }

  /** It came late to its turn, and somebody else had been there. Until it waits again it counts as woken. */
  wait(): Effect.Effect<unknown, unknown> {
    return Effect.callback((resume) => {
      this.resume = resume
      this.woken = false
      if (this.expired) this.expire()
      else if (this.goal.ready()) this.line.schedule()
    })
  }
}

keepShape(new Waiting(undefined as never, undefined as never, undefined as never))
