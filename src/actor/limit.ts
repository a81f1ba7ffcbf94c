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

/** Numbers are looked at first: as durations, those that make no sense count as 0. @internal */
export const limitMillis = (where: string, input: Duration.Input): number => {
  const isNumber = typeof input === "number"
  const limit = isNumber && !(input >= 0) ? Option.none() : Duration.fromInput(input)
  if (Option.isNone(limit)) throw new InvalidLimit({ where, value: input })
  return Duration.toMillis(limit.value)
}
