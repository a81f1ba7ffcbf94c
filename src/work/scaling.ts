/**
 * How a pool grows and shrinks, as it is declared: every option checked, every time in milliseconds.
 */
import type * as Duration from "effect/Duration"
import { format } from "effect/Formatter"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isWhole, parseMillis } from "../actor/limit.ts"

/**
 * How a pool grows and shrinks. Whoever gives none of the rest has a pool that grows within seconds and shrinks after minutes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scaling {
  /** Members there are at least: a whole number of 0 or more. With 0 a pool that has nothing to do has no members. */
  readonly min: number
  /** Members there are at most: a whole number of 1 or more, and not below `min`. */
  readonly max: number
  /** Members at first, from `min` to `max`. Default: `min`, but at least 1, so that a member that cannot start is found out. */
  readonly initial?: number
  /**
   * Requests in progress or waiting that there should be for each member: a number above 0. Default 1. A little less, such as
   * 0.8, keeps members free for what comes next; more, for members that do several things at once.
   */
  readonly target?: number
  /** How often the load is looked at: a finite duration above 0. Default 1 second. */
  readonly every?: Duration.Input
  /** How long the load must ask for more members before there are more. Default 5 seconds. From 0 there is no delay. */
  readonly upAfter?: Duration.Input
  /** How long the load must ask for fewer before there are fewer. Default 5 minutes; `Duration.infinity` never shrinks. */
  readonly downAfter?: Duration.Input
  /** How long the last member must have nothing to do before it goes too. Default: as `downAfter`. */
  readonly toZeroAfter?: Duration.Input
  /** How much of what is missing is added at once: above 0. Default 1: all of it. Less is slower, more runs ahead of the load. */
  readonly upFactor?: number
  /** How much of what is too much goes at once: above 0, at most 1. Default 1: all of it. At least one member goes. */
  readonly downFactor?: number
}

/**
 * A `Scaling` with its defaults in place; times are milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly min: number
  readonly max: number
  readonly initial: number
  readonly target: number
  readonly every: number
  readonly upAfter: number
  readonly downAfter: number
  readonly toZeroAfter: number
  readonly upFactor: number
  readonly downFactor: number
}

/**
 * An option, or a request for another size, that cannot mean anything: `field` and `value` say which, `problem` what it must be.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidScaling extends Schema.TaggedError<InvalidScaling>()("InvalidScaling", {
  field: Schema.String,
  value: Schema.Unknown,
  problem: Schema.String
}) {
  override get message(): string {
    return `scaling: ${this.field} ${this.problem}, got ${format(this.value)}`
  }
}

/** @internal */
export const invalid = (field: string, value: unknown, problem: string): InvalidScaling =>
  new InvalidScaling({ field, value, problem }, { disableChecks: true })

/** The settings that the options stand for, or the first option that makes no sense. @internal */
export const settingsOf = (options: Scaling): Result.Result<Settings, InvalidScaling> => {
  if (typeof options !== "object" || options === null) {
    return Result.fail(invalid("options", options, "must be an object such as { min: 1, max: 4 }"))
  }
  const { downFactor = 1, max, min, target = 1, upFactor = 1 } = options
  const { initial = Math.max(min, 1) } = options
  const every = parseMillis(options.every ?? "1 second") ?? NaN
  const upAfter = parseMillis(options.upAfter ?? "5 seconds") ?? NaN
  const downAfter = parseMillis(options.downAfter ?? "5 minutes") ?? NaN
  const toZeroAfter = options.toZeroAfter === undefined ? downAfter : (parseMillis(options.toZeroAfter) ?? NaN)
  const lowestMax = Math.max(1, min)
  const checks: ReadonlyArray<readonly [field: keyof Scaling, holds: boolean, problem: string]> = [
    ["min", isWhole(min, 0), "must be a whole number of 0 or more"],
    ["max", isWhole(max, lowestMax), `must be a whole number of ${lowestMax} or more`],
    ["initial", isWhole(initial, min, max), `must be a whole number from ${min} to ${max}`],
    ["target", positive(target), "must be a finite number above 0"],
    ["every", positive(every), "must be a finite duration above 0"],
    ["upAfter", upAfter >= 0, "must be a duration of 0 or more"],
    ["downAfter", downAfter >= 0, "must be a duration of 0 or more"],
    ["toZeroAfter", toZeroAfter >= 0, "must be a duration of 0 or more"],
    ["upFactor", positive(upFactor), "must be a finite number above 0"],
    ["downFactor", positive(downFactor) && downFactor <= 1, "must be a number above 0 and at most 1"]
  ]
  const failed = checks.find(([, holds]) => !holds)
  if (failed !== undefined) return Result.fail(invalid(failed[0], options[failed[0]], failed[2]))
  return Result.succeed({ min, max, initial, target, every, upAfter, downAfter, toZeroAfter, upFactor, downFactor })
}

const positive = (value: unknown): boolean => typeof value === "number" && value > 0 && value < Infinity
