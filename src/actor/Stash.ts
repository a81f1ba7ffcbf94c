/**
 * Messages put aside by a handler that cannot handle them yet, to be handled later in their order.
 *
 * A stash belongs to one incarnation. What it holds when that ends goes back to the front of the mailbox: after a restart it
 * is handled before what is queued, and where there is no restart it is left over like the queue. So a crash loses the message
 * that crashed, and nothing else. State machines postpone instead.
 *
 * **Example** (Nothing is answered before it is loaded)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Stash } from "effect-otp"
 *
 * class Cache extends Actor.Service<Cache>()("docs/Cache", {
 *   Load: { payload: { value: Schema.Int } },
 *   Get: { success: Schema.Int }
 * }) {}
 * const CacheLive = Cache.behavior(Effect.gen(function*() {
 *   const stash = yield* Stash.make({ capacity: 100 })
 *   let loaded: number | undefined
 *   return Cache.of({
 *     Load: ({ value }) => {
 *       loaded = value
 *       return stash.unstashAll
 *     },
 *     Get: () => loaded ?? stash.keep
 *   })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const cache = yield* Actor.spawn(CacheLive)
 *   const load = Effect.delay(cache.tell.Load({ value: 42 }), "1 millis")
 *   const [value] = yield* Effect.all([cache.ask.Get(), load], { concurrency: "unbounded" })
 *   return value
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => 42
 * ```
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import { format } from "effect/Formatter"
import * as Schema from "effect/Schema"
import { KEPT, SET_ASIDE, Task } from "../runtime/envelope.ts"
import { ActorContext, type Incarnation, type Inside } from "../runtime/incarnation.ts"
import type { Item } from "../runtime/mailbox.ts"
import type { Slot } from "../runtime/slot.ts"
import { InPlace, type Taken, type Turns } from "../runtime/turns.ts"
import { takenAlong } from "./batching.ts"
import { Tick } from "./keyedTimers.ts"

/**
 * A stash that can hold no more. The message at hand is not in it: handle it, or let the actor crash.
 *
 * @category errors
 * @since 0.1.0
 */
export class StashOverflow extends Schema.TaggedError<StashOverflow>()("StashOverflow", {
  actor: Schema.String,
  capacity: Schema.Number
}) {
  override get message(): string {
    return `the stash of ${this.actor} holds ${this.capacity} messages, no room is left: unstash sooner, or give it more`
  }
}

/**
 * A capacity that no stash can have. A defect, told where the stash is made.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidCapacity extends Schema.TaggedError<InvalidCapacity>()("InvalidCapacity", {
  value: Schema.Unknown
}) {
  override get message(): string {
    return `the capacity of a stash must be a whole number of 1 or more, or Infinity, got ${format(this.value)}`
  }
}

/**
 * A stash was used where there is no message to keep, or by another actor than the one it was made for. A defect: it
 * crashes the actor.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotStashable extends Schema.TaggedError<NotStashable>()("NotStashable", {
  actor: Schema.String,
  problem: Schema.Literals(["no-message", "beside", "foreign"])
}) {
  override get message(): string {
    switch (this.problem) {
      case "no-message":
        return `${this.actor} handles no message that could be kept: it starts, or does work of its own`
      case "beside":
        return `${this.actor} handles this message beside others, which cannot be kept: leave out Actor.concurrent`
      case "foreign":
        return `${this.actor} used a stash of another run or actor: make one in each init`
    }
  }
}

/**
 * Messages that wait to be handled.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stash {
  /** How many it holds. */
  readonly size: number
  /** How many it can hold. */
  readonly capacity: number
  /**
   * Keeps the message at hand, or all of a batch, and ends its handler; who asked goes on waiting. Fails with `StashOverflow`
   * when it is full.
   */
  readonly keep: Effect.Effect<never, StashOverflow, ActorContext>
  /**
   * Has the oldest messages handled next, in their order, before all that is queued. What is kept again waits for the next
   * time.
   */
  readonly unstash: (count: number) => Effect.Effect<void, never, ActorContext>
  /** Has all of them handled next, in their order. */
  readonly unstashAll: Effect.Effect<void, never, ActorContext>
}

/**
 * How much a stash holds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Messages at most. Default 1,000. */
  readonly capacity?: number
}

/**
 * Makes a stash for this actor, in its init.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<Stash, never, ActorContext> =>
  Effect.map(ActorContext, () => makeUnsafe(options))

/**
 * As `make`, for an init of plain code. It belongs to the incarnation that uses it first.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = ({ capacity = 1_000 }: Options = {}): Stash => {
  if (capacity === Infinity || (Number.isInteger(capacity) && capacity > 0)) return new StashImpl(capacity)
  throw new InvalidCapacity({ value: capacity })
}

class StashImpl implements Stash, Inside {
  readonly capacity: number
  readonly keep: Stash["keep"]
  readonly unstashAll: Stash["unstashAll"]
  private owner: Incarnation | undefined = undefined
  private held: Array<Taken> = []

  constructor(capacity: number) {
    this.capacity = capacity
    this.keep = Object.assign(Object.create(KeepProto), { stash: this })
    this.unstashAll = this.unstash(Infinity)
  }

  get size(): number {
    return this.held.length
  }

  get waiting(): ReadonlyArray<string> {
    return this.held.map(({ item, payload }) => (this.owner!.host as Slot).describe(item, payload).tag)
  }

  unstash(count: number): Effect.Effect<void, never, ActorContext> {
    return Object.assign(Object.create(UnstashProto), { stash: this, count })
  }

  /** What speaks against keeping this message, if anything. */
  problem(incarnation: Incarnation, item: Item, beside: boolean, along = 0): StashOverflow | NotStashable | undefined {
    const actor = incarnation.host.path
    if (this.isForeign(incarnation)) return new NotStashable({ actor, problem: "foreign" })
    if (item instanceof Task) return new NotStashable({ actor, problem: "no-message" })
    if (beside) return new NotStashable({ actor, problem: "beside" })
    const { capacity } = this
    return this.held.length + along >= capacity ? new StashOverflow({ actor, capacity }) : undefined
  }

  add(incarnation: Incarnation, item: Item, payload: unknown): void {
    if (this.owner === undefined) {
      this.owner = incarnation
      incarnation.onEnd(() => this.release(incarnation.host as Slot, Infinity))
      incarnation.show(this)
    }
    ;(incarnation.host as Slot).putsAside(item, payload)
    // A tick counts when it comes, so it counts later.
    this.held.push(item instanceof Tick ? { item: item.tag, payload: item.payload } : { item, payload })
  }

  isForeign(incarnation: Incarnation): boolean {
    return this.owner !== undefined && this.owner !== incarnation
  }

  release(slot: Turns, count: number): void {
    const released = this.held.slice(0, count > 0 ? count : 0)
    this.held = this.held.slice(released.length)
    slot.putBack(released)
  }
}

const kept: Exit.Exit<never> = Exit.die(KEPT)

const turnOf = (context: Context.Context<never>) =>
  Context.getUnsafe(context as Context.Context<ActorContext>, ActorContext)

const KeepProto: object = Object.assign(
  Effectable.Prototype<Effect.Effect<never, StashOverflow, ActorContext>>({
    label: "effect-otp/stash",
    evaluate(fiber) {
      const { stash } = this as unknown as { readonly stash: StashImpl }
      const { beside, incarnation } = turnOf(fiber.context)
      const { turn } = incarnation
      const along = takenAlong(turn)
      const problem = stash.problem(incarnation, turn.item, beside, along.length)
      if (problem !== undefined) return problem._tag === "StashOverflow" ? Exit.fail(problem) : Exit.die(problem)
      stash.add(incarnation, turn.item, turn.payload)
      for (const { item, payload } of along) stash.add(incarnation, item, payload)
      turn.item = SET_ASIDE
      return kept
    }
  }),
  {
    [InPlace](this: { readonly stash: StashImpl }, actor: Turns, item: Item, payload: unknown): boolean {
      const incarnation = actor.incarnation!
      if (this.stash.problem(incarnation, item, false) !== undefined) return false
      this.stash.add(incarnation, item, payload)
      return true
    }
  }
)

interface Unstash {
  readonly stash: StashImpl
  readonly count: number
}

const UnstashProto: object = Object.assign(
  Effectable.Prototype<Effect.Effect<void, never, ActorContext>>({
    label: "effect-otp/unstash",
    evaluate(fiber) {
      const { count, stash } = this as unknown as Unstash
      const { incarnation } = turnOf(fiber.context)
      if (stash.isForeign(incarnation)) {
        return Exit.die(new NotStashable({ actor: incarnation.host.path, problem: "foreign" }))
      }
      stash.release(incarnation.host as Slot, count)
      return Exit.void
    }
  }),
  {
    [InPlace](this: Unstash, actor: Turns, item: Item): boolean {
      if (this.stash.isForeign(actor.incarnation!)) return false
      this.stash.release(actor, this.count)
      if (typeof item !== "number") item.succeed(undefined)
      return true
    }
  }
)
