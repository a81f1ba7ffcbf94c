/**
 * Time limits as people give them.
 */
import * as Duration from "effect/Duration"
import { format } from "effect/Formatter"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/**
 * A time limit that is none: NaN, below 0, or a text that says no duration. Thrown where it was given, so that the stack shows
 * where it was written. `where` says for what.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidLimit extends Schema.TaggedError<InvalidLimit>()("InvalidLimit", {
  where: Schema.String,
  value: Schema.Unknown
}) {
  override get message(): string {
    return `${this.where} must be a duration of 0 or more, such as "5 seconds" or Duration.infinity, got ${format(this.value)}`
  }
}

/** Whether a value from anywhere is a whole number from `least` to `most`. @internal */
export const isWhole = (value: unknown, least: number, most = Infinity): value is number =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most

/**
 * Milliseconds; `undefined` for what is no duration of 0 or more. Numbers are looked at first: as durations, those that make
 * no sense count as 0.
 *
 * @internal
 */
export const parseMillis = (input: Duration.Input): number | undefined => {
  const millis =
    typeof input === "number" ? input : Option.getOrUndefined(Option.map(Duration.fromInput(input), Duration.toMillis))
  return millis !== undefined && millis >= 0 ? millis : undefined
}

/** Milliseconds. Throws `InvalidLimit` for what is no duration of 0 or more. @internal */
export const limitMillis = (where: string, input: Duration.Input): number => {
  const millis = parseMillis(input)
  if (millis === undefined) throw new InvalidLimit({ where, value: input })
  return millis
}
