/**
 * Options of ready interceptors that make no sense are refused where they are written.
 */
import { format } from "effect/Formatter"
import * as Schema from "effect/Schema"

/**
 * An option that no interceptor can have. Thrown by its maker, so that the stack shows where it was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidInterceptor extends Schema.TaggedError<InvalidInterceptor>()("InvalidInterceptor", {
  interceptor: Schema.String,
  field: Schema.String,
  value: Schema.Unknown,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.interceptor}: ${this.field} ${this.problem}, got ${format(this.value)}`
  }
}

/** A whole number of 1 or more. @internal */
export const countOf = (interceptor: string, field: string, value: number): number => {
  if (Number.isInteger(value) && value >= 1) return value
  throw new InvalidInterceptor({ interceptor, field, value, problem: "must be a whole number of 1 or more" })
}
