/**
 * Limits that are given while a tree runs: checked where they are used, so that a slip is told by name and place.
 */
import type * as Duration from "effect/Duration"
import { parseMillis } from "../actor/limit.ts"
import { invalid } from "./errors.ts"

/** Milliseconds. Throws `InvalidSpec` for what is no duration of 0 or more. @internal */
export const limitMillis = (path: string, field: string, limit: Duration.Input): number => {
  const millis = parseMillis(limit)
  if (millis === undefined) throw invalid(path, field, limit, "must be a duration of 0 or more")
  return millis
}
