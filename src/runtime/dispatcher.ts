/**
 * The run queue of a system: who has something to do, in the order in which it came up.
 *
 * It is drained through the Scheduler of the fiber that made the system, so a test or seeded scheduler controls it, in
 * slices bounded by messages and by time, after which the event loop gets its turn.
 *
 * Invariants:
 * 1. Whenever the queue is not empty, a slice is running or scheduled.
 * 2. Slices never nest.
 * 3. What is started in a turn has its own first turn before anything that waits, in the order in which it was started, and
 *    so on down: a tree of actors that come and go grows branch by branch, instead of a whole generation being alive at
 *    once. Every other turn still belongs to the queue.
 * 4. `turn`, the messages one actor may handle before others get theirs, follows the cost of handlers: the clock is read
 *    about every `checkMillis`. When the Clock stands still, as in tests, only counts bound a slice.
 */
import type * as Clock from "effect/Clock"
import * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"

/**
 * Anything that waits for its turn. `run` returns how many messages it handled.
 *
 * @internal
 */
export interface Runnable {
  run(): number
}

/**
 * What may also go before its turn, while it keeps its place in the queue.
 *
 * @internal
 */
export interface Urgent extends Runnable {
  runAhead(): number
}

/**
 * How much work is done before others get their turn.
 *
 * @category models
 * @since 0.1.0
 */
export interface SliceLimits {
  /** Messages one actor may handle in a turn, which takes 0.1 ms at most all the same. Default 1,024. */
  readonly turnMessages: number
  /** Messages handled before the event loop gets control back. Default 100,000. */
  readonly sliceMessages: number
  /** Milliseconds after which the event loop gets control back. Default 2. */
  readonly sliceMillis: number
}

/** @internal */
export const defaultSliceLimits: SliceLimits = { turnMessages: 1_024, sliceMessages: 100_000, sliceMillis: 2 }

const CHECK_MILLIS = 0.1
const FIRST_TURN = 16

/** @internal */
export class Dispatcher {
  /** Messages the running actor may handle now. */
  turn = FIRST_TURN
  /** Messages handled inside other actors' turns, charged to the slice. */
  inlined = 0

  private queue: Array<Runnable | undefined> = new Array(64).fill(undefined)
  private mask = 63
  private head = 0
  private tail = 0
  /** Whether somebody need not wait in the queue. */
  private ahead = false
  private urgent: Urgent | undefined = undefined
  /** What is to have its first turn; the next one is the last, but what was started since is in the order of its start. */
  private readonly newborn: Array<Runnable> = []
  private inOrder = 0
  private active = false
  private scheduled = false
  private turnStart = 0
  private readonly clock: Clock.Clock
  private readonly limits: SliceLimits
  private readonly scheduler: Scheduler.SchedulerDispatcher

  constructor(scheduler: Scheduler.SchedulerDispatcher, clock: Clock.Clock, limits: SliceLimits) {
    this.scheduler = scheduler
    this.clock = clock
    this.limits = limits
  }

  push(runnable: Runnable): void {
    if (this.tail - this.head > this.mask) this.grow()
    this.queue[this.tail++ & this.mask] = runnable
    if (!this.active && !this.scheduled) this.schedule()
  }

  /**
   * Lets one that is queued already go next: its mailbox has grown long, and the longer it gets the more everything costs.
   * Every other turn still belongs to the queue.
   */
  urge(runnable: Urgent): void {
    this.urgent = runnable
    this.ahead = true
  }

  /** Whether a turn is being taken, so that what is started now is started by it. */
  get isActive(): boolean {
    return this.active
  }

  /** The first turn of what the present turn has started. */
  pushNewborn(runnable: Runnable): void {
    this.newborn.push(runnable)
    this.ahead = true
  }

  /**
   * As `push`, but when nothing of Effect is on the stack, as in a timer's or an I/O callback, the queue is drained right
   * away instead of paying another turn of the event loop.
   */
  resume(runnable: Runnable): void {
    this.push(runnable)
    if (!this.active && Fiber.getCurrent() === undefined) this.slice()
  }

  /** Whether the running actor may go on although its `turn` is used up: only while time remains in it. */
  mayContinue(handled: number): boolean {
    return handled < this.limits.turnMessages && this.nowMillis() - this.turnStart < CHECK_MILLIS
  }

  private schedule(): void {
    this.scheduled = true
    this.scheduler.scheduleTask(this.scheduledSlice, 0)
  }

  private readonly scheduledSlice = (): void => {
    this.scheduled = false
    this.slice()
  }

  private slice(): void {
    if (this.active) return
    this.active = true
    let left = this.limits.sliceMessages
    let sinceCheck = 0
    this.turnStart = this.nowMillis()
    const end = this.turnStart + this.limits.sliceMillis
    try {
      while (left > 0) {
        let used = 0
        if (this.ahead) used = this.goAhead()
        else if (this.head === this.tail) break
        if (this.head !== this.tail) used += this.shift().run()
        used += this.inlined
        this.inlined = 0
        left -= used
        sinceCheck += used
        if (sinceCheck >= this.turn) {
          const now = this.nowMillis()
          this.adapt(sinceCheck, now - this.turnStart)
          sinceCheck = 0
          this.turnStart = now
          if (now >= end) break
        }
      }
    } finally {
      this.active = false
      this.endSlice()
    }
  }

  /** The turns of those that need not wait. */
  private goAhead(): number {
    const { newborn, urgent } = this
    this.urgent = undefined
    // One newborn at most is taken here, and an urgent one may say so again.
    this.ahead = newborn.length > 1
    let used = urgent === undefined ? 0 : urgent.runAhead()
    this.eldestLast()
    const young = newborn.pop()
    this.inOrder = newborn.length
    if (young !== undefined) used += young.run()
    return used
  }

  /** Turns around what was started since. */
  private eldestLast(): void {
    const { newborn } = this
    for (let low = this.inOrder, high = newborn.length - 1; low < high; low++, high--) {
      const young = newborn[low]!
      newborn[low] = newborn[high]!
      newborn[high] = young
    }
  }

  private shift(): Runnable {
    const index = this.head++ & this.mask
    const runnable = this.queue[index]!
    this.queue[index] = undefined
    return runnable
  }

  /** Messages that fit into one check, at most doubling, so that a slow actor after fast ones costs little. */
  private adapt(handled: number, millis: number): void {
    const fit = Math.floor((handled * CHECK_MILLIS) / (millis + 1e-6))
    this.turn = Math.max(1, Math.min(fit, this.turn * 2, this.limits.turnMessages))
  }

  private endSlice(): void {
    if (this.head === this.tail) this.head = this.tail = 0
    else if (this.head > 0x3fffffff) {
      const size = this.tail - this.head
      this.head &= this.mask
      this.tail = this.head + size
    }
    if ((this.ahead || this.head !== this.tail) && !this.scheduled) this.schedule()
  }

  private grow(): void {
    const old = this.queue
    const size = this.tail - this.head
    const queue = new Array<Runnable | undefined>(old.length * 2).fill(undefined)
    for (let i = 0; i < size; i++) queue[i] = old[(this.head + i) & this.mask]
    this.queue = queue
    this.mask = queue.length - 1
    this.head = 0
    this.tail = size
  }

  private nowMillis(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1e6
  }
}
