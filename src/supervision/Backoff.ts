/**
 * How long a supervisor waits before it restarts a child.
 *
 * Any `Schedule` over the failure will do; `exponential` makes the usual one. The schedule starts over once the child has
 * run well for `resetAfter`. A schedule that comes to its end means: give up.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"

const TypeId = "~effect-otp/Backoff"

/**
 * A schedule of delays, and how long a child must run before it starts over.
 *
 * @category models
 * @since 0.1.0
 */
export interface Backoff<in E> {
  readonly [TypeId]: typeof TypeId
  readonly schedule: Schedule.Schedule<unknown, E>
  /** Milliseconds. */
  readonly resetAfter: number
}

/**
 * Options that cannot mean anything: `field` and `value` say which.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidBackoff extends Data.TaggedError("InvalidBackoff")<{
  readonly field: string
  readonly value: unknown
}> {
  override get message(): string {
    return `Backoff: ${this.field} cannot be ${String(this.value)}`
  }
}

/**
 * A backoff from any schedule. `resetAfter` defaults to 30 seconds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E>(
  schedule: Schedule.Schedule<unknown, E>,
  options?: { readonly resetAfter?: Duration.Input }
): Backoff<E> => ({ [TypeId]: TypeId, schedule, resetAfter: Duration.toMillis(options?.resetAfter ?? "30 seconds") })

/**
 * Delays of `min`, `min * factor`, `min * factor²` and so on, at most `max`. With `jitter` each is drawn, through Random,
 * between itself and `1 + jitter` times itself. Defaults: factor 2, jitter 0, `resetAfter` the mean of `min` and `max`.
 *
 * **Example** (3, 6, 12, 24, then always 30 seconds)
 *
 * ```ts import.meta.vitest
 * import { Backoff } from "effect-otp"
 *
 * const backoff = Backoff.exponential({ min: "3 seconds", max: "30 seconds" })
 * backoff.resetAfter // => 16500
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const exponential = (options: {
  readonly min: Duration.Input
  readonly max: Duration.Input
  readonly factor?: number
  readonly jitter?: number
  readonly resetAfter?: Duration.Input
}): Backoff<unknown> => {
  const min = millisOf(options.min)
  const max = millisOf(options.max)
  const factor = options.factor ?? 2
  const jitter = options.jitter ?? 0
  if (!(min >= 0)) throw new InvalidBackoff({ field: "min", value: options.min })
  if (!(max >= min)) throw new InvalidBackoff({ field: "max", value: options.max })
  if (!(factor >= 1)) throw new InvalidBackoff({ field: "factor", value: factor })
  if (!(jitter >= 0 && jitter < Infinity)) throw new InvalidBackoff({ field: "jitter", value: jitter })
  const resetAfter = options.resetAfter === undefined ? (min + max) / 2 : millisOf(options.resetAfter)
  if (!(resetAfter >= 0)) throw new InvalidBackoff({ field: "resetAfter", value: options.resetAfter })
  const schedule = Schedule.fromStep(
    Effect.sync(() => {
      let next = min
      return () => {
        const base = next
        next = Math.min(max, next * factor)
        const drawn = jitter === 0 ? Effect.succeed(base) : Effect.map(Random.next, (r) => base * (1 + jitter * r))
        return Effect.map(drawn, (millis): [number, Duration.Duration] => [millis, Duration.millis(millis)])
      }
    })
  )
  return make(schedule, { resetAfter })
}

/** Milliseconds, or NaN for what is no duration. */
const millisOf = (input: Duration.Input): number =>
  typeof input === "number"
    ? input
    : Option.match(Duration.fromInput(input), { onNone: () => NaN, onSome: Duration.toMillis })

/** @internal */
export const isBackoff = (u: unknown): u is Backoff<never> => typeof u === "object" && u !== null && TypeId in u

/**
 * The delays of one child, step by step.
 *
 * @internal
 */
export class Steps {
  private readonly backoff: Backoff<unknown>
  private step: ((now: number, input: unknown) => Effect.Effect<[unknown, Duration.Duration], unknown>) | undefined

  constructor(backoff: Backoff<unknown>) {
    this.backoff = backoff
  }

  /** Starts over when the child had run well before it failed. */
  ranFor(millis: number): void {
    if (millis >= this.backoff.resetAfter) this.step = undefined
  }

  /** The next delay in milliseconds, or `undefined` when the schedule has come to its end. */
  readonly next = (now: number, cause: Cause.Cause<unknown>): Effect.Effect<number | undefined> =>
    Effect.gen({ self: this }, function* () {
      this.step ??= (yield* Schedule.toStep(this.backoff.schedule)) as never
      const exit = yield* Effect.exit(Effect.suspend(() => this.step!(now, Cause.squash(cause))))
      return Exit.isSuccess(exit) ? Duration.toMillis(exit.value[1]) : undefined
    })
}
