/**
 * A channel made of its parts: what is put, what is read, its bounds, its end, and what can be seen of it.
 */
import * as Effect from "effect/Effect"
import type { Scope } from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { causeOf, type Core, Mark } from "./channelCore.ts"
import { Empty, InvalidOption } from "./channelErrors.ts"
import { makePuts } from "./channelPutting.ts"
import { makeGets, makeReader, Side } from "./channelReading.ts"
import type {
  ActorChannel,
  Bounds,
  Checkpoint,
  Control,
  Reader,
  ReaderInfo,
  ReaderOptions,
  Stats
} from "./channelTypes.ts"
import { isWhole } from "../actor/limit.ts"

/** Throws what is wrong with a bound. @internal */
export const checkBounds = (channel: string, { capacity, maxBytes }: Bounds): void => {
  const invalid = (option: string, value: unknown, problem: string) =>
    new InvalidOption({ channel, option, value, problem })
  if (capacity !== undefined && capacity !== Infinity && !isWhole(capacity, 1)) {
    throw invalid("capacity", capacity, "must be a whole number of 1 or more, or Infinity")
  }
  if (maxBytes !== undefined && !(typeof maxBytes === "number" && maxBytes > 0)) {
    throw invalid("maxBytes", maxBytes, "must be a number above 0")
  }
}

const checkpointOf = <A, C>(core: Core<A, Control<C>>): Checkpoint<A, C> => ({
  entries: core.content().flatMap((each): Checkpoint<A, C>["entries"] => {
    if (!(each instanceof Mark)) return [{ _tag: "Item", item: each.item, deliveries: each.deliveries }]
    // Bounds are those of the channel that it will be.
    return each.control._tag === "Signal" ? [each.control] : []
  }),
  closed: core.closed !== undefined && !core.isShutDown
})

/** Puts what a checkpoint holds into a channel that nobody knows yet. @internal */
export const restore = <A, C>(core: Core<A, Control<C>>, { closed, entries }: Checkpoint<A, C>): void => {
  for (const entry of entries) {
    if (entry._tag === "Item") core.restore(entry.item, entry.deliveries)
    else core.signal(entry)
  }
  if (closed) core.close("close")
}

const statsOf = <A, C>(core: Core<A, C>): Stats => {
  const { bytes, capacity, counts, latency, maxBytes, members, puts, queue, takes, unacknowledged } = core
  const head = queue.head
  return {
    depth: queue.length,
    capacity,
    bytes,
    maxBytes,
    utilisation: Math.max(queue.length / capacity, bytes / maxBytes),
    unacknowledged,
    readers: members.size,
    waitingPuts: puts.size,
    waitingTakes: takes.size,
    latency: {
      mean: counts.delivered === 0 ? 0 : latency.total / counts.delivered,
      max: latency.max,
      oldest: head === undefined ? 0 : Math.max(0, core.now() - head.at)
    },
    ...counts
  }
}

const readersOf = <A, C>({ members }: Core<A, C>): ReadonlyArray<ReaderInfo> => {
  const known = new Map<string, ReaderInfo>()
  for (const { acknowledged, delivered, held, name, node } of members) {
    const key = JSON.stringify([name, node])
    const before = known.get(key)
    known.set(key, {
      name,
      node,
      joins: (before?.joins ?? 0) + 1,
      unacknowledged: (before?.unacknowledged ?? 0) + held.length,
      delivered: (before?.delivered ?? 0) + delivered,
      acknowledged: (before?.acknowledged ?? 0) + acknowledged
    })
  }
  return [...known.values()]
}

/** @internal */
export const makeChannel = <A, C>(core: Core<A, Control<C>>): ActorChannel<A, C> => {
  const { empties, settings } = core
  const puts = makePuts(core)
  const reader = (name: string, { node = "local" }: ReaderOptions = {}): Effect.Effect<Reader<A, C>, never, Scope> =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new Side(core, core.join(name, node))),
        (side, exit) =>
          Effect.sync(() => {
            side.hasLeft = true
            core.leave(side.member!, causeOf(exit))
          })
      ),
      (side) => makeReader(side, side.member!)
    )
  const channel = {
    ...puts,
    ...makeGets(new Side(core)),
    peek: Effect.suspend((): Effect.Effect<A, Empty> => {
      const { head } = core.queue
      if (head !== undefined) return Effect.succeed(head.item)
      return Effect.fail(new Empty({ channel: settings.name, wanted: 1, depth: 0, waited: 0 }))
    }),
    reader,
    stream: (name: string, options?: ReaderOptions) =>
      Stream.unwrap(Effect.map(reader(name, options), (each) => each.stream)),
    sink: Sink.forEach((item: A) => puts.put(item)),
    resize: (bounds: Bounds) => {
      checkBounds(settings.name, bounds)
      if (bounds.maxBytes !== undefined && settings.sizeOf === undefined) {
        const problem = "needs a channel that counts bytes: make it with sizeOf or maxBytes"
        throw new InvalidOption({ channel: settings.name, option: "maxBytes", value: bounds.maxBytes, problem })
      }
      return Effect.sync(() => {
        const { capacity = core.capacity, maxBytes = core.maxBytes } = bounds
        core.resize(capacity, maxBytes)
        core.signal({ _tag: "Resize", capacity, maxBytes })
      })
    },
    signal: (value: C) => Effect.sync(() => core.signal({ _tag: "Signal", value })),
    close: Effect.sync(() => core.close("close")),
    awaitEmpty: empties.until(() => core.isEmpty),
    shutdown: Effect.sync(() => {
      const left = checkpointOf(core)
      core.shutdown()
      return left
    }),
    checkpoint: Effect.sync(() => checkpointOf(core)),
    stats: Effect.sync(() => statsOf(core)),
    readers: Effect.sync(() => readersOf(core))
  }
  // A call without a limit never fails for want of time.
  return channel as never
}
