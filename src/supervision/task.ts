/**
 * One task: an effect that runs under a supervisor, and its outcome, which may be waited for, looked at, or given up.
 *
 * Invariants:
 * 1. The outcome is known exactly once, when the task is over and holds nothing any more: what the effect came to, or how the
 *    task was ended before that. Its place is free by then.
 * 2. Waiting changes nothing: a wait that is given up, or runs out of time, leaves the task and nothing of its own behind.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { stopSlot } from "../actor/stopping.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import type { Slot } from "../runtime/slot.ts"
import { limitMillis } from "./limits.ts"

/**
 * The task was ended before it came to a result: stopped by hand, by its supervisor's end, or by the end of its owner.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskEnded extends Schema.TaggedError<TaskEnded>()("TaskEnded", {
  path: Schema.String,
  reason: Schema.Unknown
}) {
  override get message(): string {
    return `${this.path} ended before it had a result: it ${ExitReason.format(this.reason as ExitReason.ExitReason)}`
  }
}

/**
 * The task had no result within `after` milliseconds. It goes on: wait again, or shut it down.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskTimeout extends Schema.TaggedError<TaskTimeout>()("TaskTimeout", {
  path: Schema.String,
  after: Schema.Number
}) {
  override get message(): string {
    return `${this.path} had no result within ${this.after} ms: wait longer, or shut it down`
  }
}

/**
 * A running or finished task.
 *
 * @category models
 * @since 0.1.0
 */
export interface Task<out A, out E> {
  readonly path: string
  /** Its result, once its Scope has closed. Fails with its own failure, or with `TaskEnded` when it was ended before. */
  readonly await: Effect.Effect<A, E | TaskEnded>
  /** As `await`, but not longer than this. The task goes on all the same. */
  awaitWithin(limit: Duration.Input): Effect.Effect<A, E | TaskEnded | TaskTimeout>
  /** Its outcome, if it is known within this time. May be asked again and again. */
  yield(limit: Duration.Input): Effect.Effect<Option.Option<Exit.Exit<A, E | TaskEnded>>>
  /**
   * Ends it: interrupted, and killed when that has taken longer than the limit (default 5 seconds; `kill`: at once). Gives its
   * outcome when it had come to one by itself.
   */
  shutdown(limit?: Duration.Input | "kill"): Effect.Effect<Option.Option<Exit.Exit<A, E>>>
}

/** @internal */
export class TaskImpl<A, E> implements Task<A, E> {
  readonly outcome = Deferred.makeUnsafe<A, E | TaskEnded>()
  private slot: Slot | undefined = undefined
  /** What the effect came to by itself. */
  private result: Exit.Exit<A, E> | undefined = undefined
  /** Whoever asked for it left before it was started. */
  givenUp = false

  /** Notes what the effect comes to. An interruption is no result: how the task ended tells more. */
  observing<R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.onExit(effect, (exit) =>
      Effect.sync(() => {
        if (Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) return
        // What a killed one still comes to is too late: it has been said how it ended.
        if (!Deferred.isDoneUnsafe(this.outcome)) this.result = exit
      })
    )
  }

  /** It runs at this place. */
  placed(slot: Slot): void {
    this.slot = slot
    slot.watch((reason) => {
      const outcome = this.result ?? Exit.fail(new TaskEnded({ path: slot.path, reason }))
      Deferred.doneUnsafe(this.outcome, outcome)
    })
  }

  get path(): string {
    return this.slot!.path
  }

  readonly await: Effect.Effect<A, E | TaskEnded> = Deferred.await(this.outcome)

  awaitWithin(limit: Duration.Input): Effect.Effect<A, E | TaskEnded | TaskTimeout> {
    return Effect.flatMap(this.yield(limit), (exit): Effect.Effect<A, E | TaskEnded | TaskTimeout> =>
      Option.getOrElse(exit, () => Exit.fail(new TaskTimeout({ path: this.path, after: this.millis(limit) })))
    )
  }

  yield(limit: Duration.Input): Effect.Effect<Option.Option<Exit.Exit<A, E | TaskEnded>>> {
    return Effect.suspend(() => {
      const millis = this.millis(limit)
      const exit = Effect.exit(this.await)
      // One that is known already needs no time, and no clock.
      if (Deferred.isDoneUnsafe(this.outcome) || millis > 0) return Effect.timeoutOption(exit, millis)
      return Effect.succeedNone
    })
  }

  shutdown(limit: Duration.Input | "kill" = "5 seconds"): Effect.Effect<Option.Option<Exit.Exit<A, E>>> {
    return Effect.suspend(() => {
      const { slot } = this
      if (slot === undefined) this.givenUp = true
      if (slot === undefined || Deferred.isDoneUnsafe(this.outcome)) {
        return Effect.succeed(Option.fromUndefinedOr(this.result))
      }
      const stopped = stopSlot(slot, ExitReason.Shutdown(), limit === "kill" ? "kill" : this.millis(limit))
      // Down, and forgotten by its supervisor.
      const gone = Effect.andThen(stopped, Effect.exit(this.await))
      return Effect.map(gone, () => Option.fromUndefinedOr(this.result))
    })
  }

  private millis(limit: Duration.Input): number {
    return limitMillis(this.path, "limit", limit)
  }
}
