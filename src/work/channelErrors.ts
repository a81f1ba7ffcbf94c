/**
 * What can go wrong with a channel: no room, nothing to read, more than could ever fit, nobody there any more, and options that
 * make no sense.
 */
import { format } from "effect/Formatter"
import * as Schema from "effect/Schema"

/**
 * There was no room within the limit. Nothing was put: try again later, with a longer limit, or put without one, which waits.
 * `wanted` is how many items were to go in, `depth` how many are queued, of how many `bytes` where they are counted (0 where
 * not), `waiting` how many others wait, `waited` how long it was tried, in milliseconds.
 *
 * @category errors
 * @since 0.1.0
 */
export class Full extends Schema.TaggedError<Full>()("Full", {
  channel: Schema.String,
  wanted: Schema.Number,
  depth: Schema.Number,
  capacity: Schema.Number,
  bytes: Schema.Number,
  maxBytes: Schema.Number,
  waiting: Schema.Number,
  waited: Schema.Number
}) {
  override get message(): string {
    const { bytes, capacity, channel, depth, maxBytes, waited, waiting, wanted } = this
    const what = wanted === 1 ? "one more" : `${wanted} more`
    const sizes = maxBytes === Infinity ? "" : ` and ${bytes} of ${maxBytes} bytes`
    const others = waiting === 0 ? "" : `, and ${waiting} more ${waiting === 1 ? "waits" : "wait"}`
    const why = `${depth} of ${capacity} items${sizes} are queued${others}`
    return `${channel} has no room for ${what} after ${waited} ms (${why}): try again later, or put without a limit`
  }
}

/**
 * There was nothing to read within the limit, or less than was wanted, or it was meant for those who had waited longer. Nothing
 * was taken.
 *
 * @category errors
 * @since 0.1.0
 */
export class Empty extends Schema.TaggedError<Empty>()("Empty", {
  channel: Schema.String,
  wanted: Schema.Number,
  depth: Schema.Number,
  waited: Schema.Number
}) {
  override get message(): string {
    const { channel, depth, waited, wanted } = this
    const there = depth < wanted ? `${depth} of ${wanted} wanted` : `${depth}, for those who have waited longer,`
    return `${channel} had ${there} after ${waited} ms: try again later, or read without a limit`
  }
}

/**
 * More than the channel can ever hold at once, by count or by bytes. Nothing was put: put less at a time, or make the channel
 * larger. `bytes` is 0 where the channel does not count them.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooLarge extends Schema.TaggedError<TooLarge>()("TooLarge", {
  channel: Schema.String,
  count: Schema.Number,
  capacity: Schema.Number,
  bytes: Schema.Number,
  maxBytes: Schema.Number
}) {
  override get message(): string {
    const { bytes, capacity, channel, count, maxBytes } = this
    const problem =
      count > capacity
        ? `${count} items never fit into ${channel}, which holds ${capacity}`
        : `${bytes} bytes never fit into ${channel}, which holds ${maxBytes}`
    return `${problem}: put less at once, or resize it`
  }
}

/**
 * Why a channel takes, or gives, nothing more.
 *
 * - `close`: somebody closed it.
 * - `last-reader`: its last reader left, and `autoClose` says that it closes then.
 * - `shutdown`: somebody took out what was left, or its Scope closed.
 * - `left`: the reader that was to read has left.
 *
 * @category errors
 * @since 0.1.0
 */
export type ClosedBy = "close" | "last-reader" | "shutdown" | "left"

/**
 * To whoever puts: the channel takes nothing more, and this was not put. To whoever reads: all that it held has been read and
 * acknowledged, and nothing more will come; this is the end, in order, as every reader sees it.
 *
 * @category errors
 * @since 0.1.0
 */
export class Closed extends Schema.TaggedError<Closed>()("Closed", {
  channel: Schema.String,
  by: Schema.Literals(["close", "last-reader", "shutdown", "left"])
}) {
  override get message(): string {
    switch (this.by) {
      case "close":
        return `${this.channel} is closed: it takes nothing more, and gives only what is left`
      case "last-reader":
        return `${this.channel} is closed: its last reader has left`
      case "shutdown":
        return `${this.channel} is shut down: make another`
      case "left":
        return `this reader of ${this.channel} has left: its Scope is closed, open another`
    }
  }
}

/**
 * An option that makes no sense. Thrown where it was given, so that the stack shows where it was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidOption extends Schema.TaggedError<InvalidOption>()("InvalidOption", {
  channel: Schema.String,
  option: Schema.String,
  value: Schema.Unknown,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.channel}: ${this.option} ${this.problem}, got ${format(this.value)}`
  }
}
