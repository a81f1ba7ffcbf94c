/**
 * Handlers that take several messages at once.
 *
 * A batch is one message with others taken along: those of the same kind that wait right behind it. So it overtakes nothing,
 * the actor still does one thing at a time, and what comes in meanwhile is the next batch.
 *
 * Invariants:
 * 1. Everyone in a batch gets one outcome, in order: its own answer, or the failure of the batch.
 * 2. Waiting for more ends as soon as no more can come: the batch is full, another kind is next, the mailbox takes no more.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { Envelope, isKept } from "../runtime/envelope.ts"
import { ActorContext, type Turn } from "../runtime/incarnation.ts"
import type { Item } from "../runtime/mailbox.ts"
import type { Slot } from "../runtime/slot.ts"
import { Timer } from "../runtime/timers.ts"
import { type CompiledHandler, type Taken, tagOf } from "../runtime/turns.ts"
import { isWhole, parseMillis } from "./limit.ts"
import { inRounds, member } from "./rounds.ts"

/**
 * How messages are handled in batches.
 *
 * @category models
 * @since 0.1.0
 */
export interface BatchOptions<in Payload, out Answers, out E, out R> {
  /** Messages in a batch at most. */
  readonly maxSize: number
  /** How long a batch that is not full waits for more. Default 0: it takes what waits. */
  readonly maxDelay?: Duration.Input
  /**
   * Sizes that batches should have, such as those that a kernel was compiled for: a batch is cut to the largest that it reaches, and
   * the rest is for the next. One that reaches none waits `maxDelay` for it, and is then handled as it is. Default: any size.
   */
  readonly preferredSizes?: ReadonlyArray<number>
  /**
   * Handles a batch: one answer per message, in their order; nothing where nobody waits for an answer. Its failure is that
   * of all of them.
   */
  readonly run: (batch: NonEmptyReadonlyArray<Payload>) => Effect.Effect<Answers, E, R>
}

/**
 * What one message of a batch is answered with.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Answer<Answers> = Answers extends ReadonlyArray<infer A> ? A : void

/**
 * A handler that takes several messages at once; called by hand it handles a batch of one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Batched<in Payload, out A, out E, out R> {
  (payload: Payload): Effect.Effect<A, E, R>
  readonly "~effect-otp/batched": BatchOptions<never, unknown, unknown, unknown>
}

/**
 * A batch was answered with another number of answers than it had messages. It counts as a crash of the actor.
 *
 * @category errors
 * @since 0.1.0
 */
export class BatchMismatch extends Schema.TaggedError<BatchMismatch>()("BatchMismatch", {
  actor: Schema.String,
  tag: Schema.String,
  messages: Schema.Number,
  answers: Schema.Number
}) {
  override get message(): string {
    const { actor, answers, messages, tag } = this
    return `${actor}: a batch of ${messages} ${tag} got ${answers} answers; run must give one per message, in order`
  }
}

const Options = "~effect-otp/batched"

type AnyOptions = BatchOptions<unknown, ReadonlyArray<unknown> | void, unknown, never>

/** @internal */
export const markBatched = <Payload, Answers extends ReadonlyArray<unknown> | void, E, R>(
  options: BatchOptions<Payload, Answers, E, R>
): Batched<Payload, Answer<Answers>, E, R> =>
  Object.assign(
    (payload: Payload) => Effect.map(options.run([payload]), (answers) => answers?.[0] as Answer<Answers>),
    { [Options]: options as BatchOptions<never, unknown, unknown, unknown> }
  )

/** What is wrong with the options of a batched handler, if anything. @internal */
export const batchProblem = (
  handler: CompiledHandler
): { readonly field: string; readonly value: unknown; readonly problem: string } | undefined => {
  if (!(Options in handler)) return undefined
  const { maxDelay, maxSize, preferredSizes = [], run } = handler[Options] as AnyOptions
  if (!isWhole(maxSize, 1)) {
    return { field: "maxSize", value: maxSize, problem: "must be a whole number of 1 or more" }
  }
  if (!Array.isArray(preferredSizes) || !preferredSizes.every((size) => isWhole(size, 1, maxSize))) {
    return { field: "preferredSizes", value: preferredSizes, problem: `must be whole numbers from 1 to ${maxSize}` }
  }
  if (typeof run !== "function") return { field: "run", value: run, problem: "must be a function" }
  const delay = maxDelay === undefined ? 0 : parseMillis(maxDelay)
  if (delay !== undefined && Number.isFinite(delay)) return undefined
  return { field: "maxDelay", value: maxDelay, problem: "must be a finite duration of 0 or more" }
}

/** As the engine calls it; what `around` puts around it is around each message of a batch for itself. @internal */
export const compileBatched = (
  handler: CompiledHandler,
  around?: (handler: CompiledHandler) => CompiledHandler
): CompiledHandler => {
  if (!(Options in handler)) return around === undefined ? handler : around(handler)
  const { maxDelay = 0, maxSize, preferredSizes = [], run } = handler[Options] as AnyOptions
  const sizes = [...preferredSizes, maxSize].toSorted((one, other) => other - one)
  const delay = Duration.toMillis(maxDelay)
  const intercepted = around === undefined ? member : around(member)
  return (payload) =>
    Effect.withFiber((fiber) => {
      const batch = new Batch(
        Context.getUnsafe(fiber.context, ActorContext as never),
        payload,
        preferredSizes.length === 0 ? [maxSize] : sizes
      )
      const complete = batch.complete(delay)
      const handled = intercepted === member ? batch.handle(run) : batch.handleEach(intercepted, run)
      return complete === undefined ? handled : Effect.andThen(complete, handled)
    })
}

const batches = new WeakMap<Turn, Batch>()

/** The messages that are handled along with the one at hand, in their order. @internal */
export const takenAlong = (turn: Turn): ReadonlyArray<Taken> => batches.get(turn)?.others ?? []

class Batch {
  private readonly turn: Turn
  private readonly slot: Slot
  private readonly tag: number
  private readonly taken: [Taken, ...Array<Taken>]
  /** The sizes it should have, the largest first: that is the most it may have. */
  private readonly sizes: ReadonlyArray<number>

  constructor(turn: Turn, payload: unknown, sizes: ReadonlyArray<number>) {
    this.turn = turn
    this.slot = turn.incarnation.host as Slot
    this.tag = tagOf(turn.item)!
    this.taken = [{ item: turn.item, payload }]
    this.sizes = sizes
  }

  get others(): ReadonlyArray<Taken> {
    return this.taken.slice(1)
  }

  private get isFull(): boolean {
    return this.taken.length >= this.sizes[0]!
  }

  /** Whether it has one of the sizes that it should have, or more. */
  private get isEnough(): boolean {
    return this.taken.length >= this.sizes[this.sizes.length - 1]!
  }

  /** Takes what waits; an effect where there may be more later. */
  complete(delay: number): Effect.Effect<void> | undefined {
    // On an asker's stack there is nothing to take yet: whoever else is about to ask goes first.
    if (this.slot.system.handoffs > 0 && !this.isFull) {
      return Effect.andThen(
        Effect.yieldNow,
        Effect.suspend(() => this.completeLater(delay) ?? Effect.void)
      )
    }
    return this.completeLater(delay)
  }

  private completeLater(delay: number): Effect.Effect<void> | undefined {
    this.fill()
    if (delay <= 0 || this.isEnough || !this.slot.isEmpty) return undefined
    return Effect.andThen(
      this.moreOf(delay),
      Effect.sync(() => this.fill())
    )
  }

  private fill(): void {
    while (!this.isFull) {
      const taken = this.slot.takeAlong(this.tag)
      if (taken === undefined) break
      this.taken.push(taken)
    }
    const size = this.sizes.find((size) => size <= this.taken.length)
    if (size !== undefined && size < this.taken.length) this.slot.putBack(this.taken.splice(size))
  }

  /** Waits until the batch could be filled, or will not be. */
  private moreOf(delay: number): Effect.Effect<void> {
    const { slot, tag } = this
    const { dispatcher, timers } = slot.system
    return Effect.callback((resume) => {
      let missing = this.sizes[this.sizes.length - 1]! - this.taken.length
      const stop = () => {
        slot.onArrival(undefined)
        timers.remove(timer)
      }
      const enough = () => {
        stop()
        // Not on the stack of the sender, who may still have to get in line.
        dispatcher.push({ run: () => (resume(Effect.void), 1) })
      }
      const timer = new Timer(enough)
      timers.add(timer, delay)
      slot.onArrival((item: Item | undefined) => {
        if (tagOf(item) !== tag || --missing === 0 || slot.size >= slot.capacity) enough()
      })
      return Effect.sync(stop)
    })
  }

  /** All that will be in it is. */
  private begin(): void {
    for (const one of this.taken.slice(1)) this.slot.tookAlong(this.tag, one)
  }

  handle(run: AnyOptions["run"]): Effect.Effect<unknown, unknown> {
    return Effect.suspend(() => {
      this.begin()
      const batch = [this.taken[0].payload, ...this.others.map(({ payload }) => payload)] as const
      if (this.taken.length > 1) batches.set(this.turn, this)
      const running = Effect.ensuring(
        Effect.suspend(() => run(batch)),
        Effect.sync(() => batches.delete(this.turn))
      )
      return Effect.matchCauseEffect(running, {
        onSuccess: (answers) => this.answered(answers),
        onFailure: (cause) => this.failed(cause)
      })
    })
  }

  /** As `handle`, each message with what is around it. */
  handleEach(intercepted: CompiledHandler, run: AnyOptions["run"]): Effect.Effect<unknown, unknown> {
    const handle = (batch: ReadonlyArray<unknown>) =>
      Effect.tap(run(batch as NonEmptyReadonlyArray<unknown>), (answers) => {
        const mismatch = this.mismatch(batch.length, answers)
        return mismatch === undefined ? Effect.void : Effect.die(mismatch)
      })
    return Effect.suspend(() => {
      this.begin()
      return Effect.flatMap(inRounds(this.turn, this.taken, intercepted, handle), (exits) => this.settleEach(exits))
    })
  }

  private settleEach(exits: ReadonlyArray<Exit.Exit<unknown, unknown>>): Effect.Effect<void, unknown> {
    const crashed: Array<Taken & { readonly cause: Cause.Cause<unknown> }> = []
    this.taken.forEach(({ item, payload }, n) => {
      const exit = exits[n]!
      if (Exit.isFailure(exit) && !this.slot.isDeclared(exit.cause, this.tag)) {
        crashed.push({ item, payload, cause: exit.cause })
      } else if (typeof item !== "number") {
        if (Exit.isSuccess(exit)) item.succeed(exit.value)
        else item.fail(Exit.failCause(exit.cause))
      }
    })
    const [first, ...others] = crashed
    if (first === undefined) return Effect.void
    // The engine blames the message at hand.
    this.turn.item = typeof first.item === "number" ? new Envelope(first.item, first.payload) : first.item
    const ending = Cause.hasInterruptsOnly(first.cause)
    if (!ending && !this.slot.giveBack(others)) {
      for (const { cause, item } of others) {
        if (typeof item !== "number") item.undelivered({ _tag: "HandlerFailed", cause })
      }
    }
    return Exit.failCause(first.cause)
  }

  private mismatch(messages: number, answers: ReadonlyArray<unknown> | void): BatchMismatch | undefined {
    if (answers === undefined || answers.length === messages) return undefined
    const tag = this.slot.program.tags[this.tag]!
    return new BatchMismatch({ actor: this.slot.path, tag, messages, answers: answers.length })
  }

  private answered(answers: ReadonlyArray<unknown> | void): Effect.Effect<unknown> {
    const mismatch = this.mismatch(this.taken.length, answers)
    if (mismatch !== undefined) return this.failed(Cause.die(mismatch)) as Effect.Effect<never>
    this.taken.forEach(({ item }, i) => {
      if (typeof item !== "number") item.succeed(answers?.[i])
    })
    return Effect.void
  }

  private failed(cause: Cause.Cause<unknown>): Effect.Effect<never, unknown> {
    const exit = Exit.failCause(cause)
    // Interrupted: the actor is ending, and whoever asked is told so.
    if (Cause.hasInterruptsOnly(cause)) return exit
    // Stashed, all of it.
    if (isKept(this.turn.item, cause)) return exit
    const declared = this.slot.isDeclared(cause, this.tag)
    // The first is the message at hand, and the engine's to blame.
    const { others } = this
    if (!declared && this.slot.giveBack(others)) return exit
    for (const { item } of declared ? this.taken : others) {
      if (typeof item === "number") continue
      if (declared) item.fail(exit)
      else item.undelivered({ _tag: "HandlerFailed", cause })
    }
    return exit
  }
}
