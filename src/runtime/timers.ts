/**
 * All time limits of a system in one place, driven by its Clock.
 *
 * Invariants:
 * 1. `heap` is a 4-ary min-heap by `due`; `node.index` is the node's place in it, or -1.
 * 2. At most one sleep is armed, and it ends no later than the earliest `due`.
 * 3. A limit never expires early; an idle system keeps no sleep that would hold the process open for longer than `HOP`.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/**
 * Something with a time limit. `due` is in milliseconds of the system's monotonic time.
 *
 * @internal
 */
export interface TimerNode {
  due: number
  index: number
  expire(): void
}

/** The first sleep after an idle spell is short: most asks are answered long before their limit. */
const HOP = 100

/** @internal */
export class Timers {
  private readonly heap: Array<TimerNode> = []
  private armedAt = Infinity
  private longSleep = false
  private sleeper: Fiber.Fiber<void> | undefined = undefined
  private readonly clock: Clock.Clock
  private readonly runFork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>

  constructor(clock: Clock.Clock, runFork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.clock = clock
    this.runFork = runFork
  }

  /** Monotonic milliseconds: immune to jumps of the wall clock. */
  now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  add(node: TimerNode, millis: number): void {
    this.addAt(node, Math.ceil(this.now() + millis))
  }

  addAt(node: TimerNode, due: number): void {
    if (due === Infinity) return
    const heap = this.heap
    node.due = due
    node.index = heap.length
    heap.push(node)
    this.up(node)
    if (due < this.armedAt) this.arm()
  }

  remove(node: TimerNode): void {
    const index = node.index
    if (index < 0) return
    node.index = -1
    const heap = this.heap
    const last = heap.pop()!
    if (last !== node) {
      heap[index] = last
      last.index = index
      this.up(last)
      this.down(last)
    } else if (heap.length === 0 && this.longSleep) this.disarm()
  }

  private up(node: TimerNode): void {
    const heap = this.heap
    let index = node.index
    while (index > 0) {
      const above = (index - 1) >> 2
      const parent = heap[above]!
      if (parent.due <= node.due) break
      heap[index] = parent
      parent.index = index
      index = above
    }
    heap[index] = node
    node.index = index
  }

  private down(node: TimerNode): void {
    const heap = this.heap
    const length = heap.length
    let index = node.index
    while (true) {
      const first = index * 4 + 1
      if (first >= length) break
      let best = first
      for (let i = first + 1; i < first + 4 && i < length; i++) if (heap[i]!.due < heap[best]!.due) best = i
      const child = heap[best]!
      if (child.due >= node.due) break
      heap[index] = child
      child.index = index
      index = best
    }
    heap[index] = node
    node.index = index
  }

  private arm(): void {
    const first = this.heap[0]!
    const wasIdle = this.armedAt === Infinity
    const millis = Math.max(0, first.due - this.now())
    const hop = wasIdle && millis > HOP
    this.sleep(hop ? HOP : millis, !hop)
  }

  private sleep(millis: number, long: boolean): void {
    this.disarm()
    this.longSleep = long
    this.armedAt = this.now() + millis
    // Whole milliseconds, rounded up: the platform's timers would otherwise wake a moment early and spin.
    this.sleeper = this.runFork(
      Effect.flatMap(this.clock.sleep(Duration.millis(Math.max(1, Math.ceil(millis)))), () => Effect.sync(this.fire))
    )
  }

  private disarm(): void {
    const sleeper = this.sleeper
    this.armedAt = Infinity
    this.longSleep = false
    this.sleeper = undefined
    if (sleeper !== undefined) sleeper.interruptUnsafe()
  }

  private readonly fire = (): void => {
    this.armedAt = Infinity
    this.sleeper = undefined
    const heap = this.heap
    const now = this.now()
    while (heap.length > 0 && heap[0]!.due <= now) {
      const node = heap[0]!
      this.remove(node)
      node.expire()
    }
    if (heap.length > 0 && this.armedAt === Infinity) {
      this.sleep(Math.max(0, heap[0]!.due - now), true)
    }
  }
}

/**
 * A time limit that calls back.
 *
 * @internal
 */
export class Timer implements TimerNode {
  due = 0
  index = -1
  readonly expire: () => void
  constructor(expire: () => void) {
    this.expire = expire
  }
}
