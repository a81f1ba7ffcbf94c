/**
 * The writing side of a channel, as effects: one item, or several that go in together or not at all.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Core } from "./channelCore.ts"
import { type Closed, Full, type TooLarge } from "./channelErrors.ts"
import { limitOf, type LimitOption } from "./channelReading.ts"
import type { Entry } from "./channelTypes.ts"
import { step } from "./channelWaiting.ts"

type Failure = Closed | TooLarge | Full

/** Puts at once, unless others wait; or waits. `append` is called when there is room, in the step that ends the wait. */
const putOrWait = <A, C, B>(
  core: Core<A, C>,
  limit: number | undefined,
  count: number,
  bytes: number,
  append: () => B
): Effect.Effect<B, Failure> => {
  const attempt = (): Exit.Exit<B, Failure> | undefined => {
    if (core.closed !== undefined) return Exit.fail(core.closedError())
    const impossible = core.impossible(count, bytes)
    if (impossible !== undefined) return Exit.fail(impossible)
    return core.hasRoom(count, bytes) ? Exit.succeed(append()) : undefined
  }
  const now = core.puts.size === 0 || core.closed !== undefined ? attempt() : undefined
  if (now !== undefined) return now
  // Waiting for others to go first does not make it possible.
  const impossible = core.impossible(count, bytes)
  if (impossible !== undefined) return Exit.fail(impossible)
  return core.puts.wait({
    amount: count,
    ready: () => core.closed !== undefined || core.hasRoom(count, bytes) || core.impossible(count, bytes) !== undefined,
    attempt,
    limit,
    onLimit: () => {
      const { capacity, queue, settings } = core
      const data = { channel: settings.name, wanted: count, depth: queue.length, capacity, waited: limit! }
      return Exit.fail(new Full(data, { disableChecks: true }))
    }
  })
}

/** @internal */
export const makePuts = <A, C>(core: Core<A, C>) => ({
  put: (item: A, options?: LimitOption): Effect.Effect<Entry, Failure> => {
    const limit = limitOf(core, "put", options)
    return step(() => {
      const bytes = core.sizeOf(item)
      // The common case, without a closure.
      if (core.puts.size === 0 && core.closed === undefined && bytes <= core.maxBytes && core.hasRoom(1, bytes)) {
        return Exit.succeed(core.append(item, bytes))
      }
      return putOrWait(core, limit, 1, bytes, () => core.append(item, bytes))
    })
  },
  putAll: (items: Iterable<A>, options?: LimitOption): Effect.Effect<ReadonlyArray<Entry>, Failure> => {
    const limit = limitOf(core, "putAll", options)
    return step(() => {
      const batch = Array.from(items, (item) => ({ item, bytes: core.sizeOf(item) }))
      if (batch.length === 0) return Exit.succeed([])
      const bytes = batch.reduce((sum, each) => sum + each.bytes, 0)
      return putOrWait(core, limit, batch.length, bytes, () => batch.map((each) => core.append(each.item, each.bytes)))
    })
  }
})
