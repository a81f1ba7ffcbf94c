/**
 * Limits that are given while a tree runs: checked where they are used, so that a slip is told by name and place.
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { invalid } from "./errors.ts"

/** Milliseconds; `undefined` for what is no duration of 0 or more. @internal */
export const parseMillis = (limit: Duration.Input): number | undefined => {
  const given: unknown = limit
  const millis =
    typeof given === "number" ? given : Option.getOrUndefined(Option.map(Duration.fromInput(limit), Duration.toMillis))
  return millis !== undefined && millis >= 0 ? millis : undefined
}

/** Milliseconds. Throws `InvalidSpec` for what is no duration of 0 or more. @internal */
export const limitMillis = (path: string, field: string, limit: Duration.Input): number => {
  const millis = parseMillis(limit)
  if (millis === undefined) throw invalid(path, field, limit, "must be a duration of 0 or more")
  return millis
}
