/**
 * What a channel, its readers and what they give look like to whoever uses them.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type { Closed, Empty, Full, TooLarge } from "./channelErrors.ts"

/**
 * How long to wait: `{ within: "1 second" }`. 0 does not wait at all. Without it, one waits as long as it takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limit<L> {
  readonly within: L
}

/**
 * An error that there can only be where there is a limit.
 *
 * @category models
 * @since 0.1.0
 */
export type Limited<L, E> = [L] extends [never] ? never : E

/**
 * An item that was put. As long as it is queued it can be taken out again, in constant time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  /** Takes it out of the queue. `false`: it is not queued, since it was delivered or removed before. */
  readonly remove: Effect.Effect<boolean>
}

/**
 * An item that a reader has and answers for: until it says otherwise, or leaves.
 *
 * @category models
 * @since 0.1.0
 */
export interface Delivery<out A> {
  readonly _tag: "Delivery"
  readonly item: A
  /** How often it was delivered, this time included: 1 the first time. */
  readonly deliveries: number
  /** Milliseconds from when it was put until now that it was delivered. */
  readonly waited: number
  /** It is done. `false`: too late, it was given back, or taken out, before. */
  readonly ack: Effect.Effect<boolean>
  /** Gives it back: it goes to its old place, before all that was put after it. */
  readonly nack: Effect.Effect<boolean>
  /** Nobody can do it: it becomes a dead letter, `Rejected`. */
  readonly reject: Effect.Effect<boolean>
}

/**
 * What travels in band, in order with the items, and is seen by every reader that looks for it with `receive`: new bounds, or
 * a value of your own. Who joins sees those that stand behind anything that is not acknowledged.
 *
 * @category models
 * @since 0.1.0
 */
export type Control<C = never> =
  | { readonly _tag: "Resize"; readonly capacity: number; readonly maxBytes: number }
  | { readonly _tag: "Signal"; readonly value: C }

/**
 * One who reads: each item goes to one reader. When the Scope that it was opened in closes, what it has not acknowledged is
 * given back, in order and before others.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reader<A, C = never> {
  readonly name: string
  readonly node: string
  /** The next item, to be acknowledged. */
  readonly take: <L extends Duration.Input = never>(
    options?: Limit<L>
  ) => Effect.Effect<Delivery<A>, Closed | Limited<L, Empty>>
  /**
   * The next items, to be acknowledged, as soon as there are `min`, and `max` at most. Less only at the end, where a put waits for
   * room, and where `redeliver` is limited: what came back is then delivered alone, so that it alone can be the poison.
   */
  readonly takeBetween: <L extends Duration.Input = never>(
    min: number,
    max: number,
    options?: Limit<L>
  ) => Effect.Effect<ReadonlyArray<Delivery<A>>, Closed | Limited<L, Empty>>
  /** The next item, or the control value whose turn it is. `take` and `get` pass over control values. */
  readonly receive: <L extends Duration.Input = never>(
    options?: Limit<L>
  ) => Effect.Effect<Delivery<A> | Control<C>, Closed | Limited<L, Empty>>
  /** The next item, acknowledged at once. */
  readonly get: <L extends Duration.Input = never>(options?: Limit<L>) => Effect.Effect<A, Closed | Limited<L, Empty>>
  /** The next items, acknowledged at once, as soon as there are `min`, and `max` at most. Less only at the end, or where a put waits. */
  readonly getBetween: <L extends Duration.Input = never>(
    min: number,
    max: number,
    options?: Limit<L>
  ) => Effect.Effect<ReadonlyArray<A>, Closed | Limited<L, Empty>>
  /**
   * Takes one item, does something with it, and acknowledges it. Where that fails or is interrupted the item is given back,
   * with the cause, which stands in its dead letter if it comes to that.
   */
  readonly use: <B, E, R>(
    f: (item: A, delivery: Delivery<A>) => Effect.Effect<B, E, R>
  ) => Effect.Effect<B, E | Closed, R>
  /**
   * The items until the end, one by one. An item is acknowledged when the next one is asked for, or when the stream ends in
   * peace; where it fails or is interrupted, the item is given back. What asks for more than it has dealt with (`buffer`,
   * `mapEffect` with concurrency) acknowledges too early: use `deliveries` there.
   */
  readonly stream: Stream.Stream<A>
  /**
   * The items until the end, to be acknowledged one by one by whoever deals with them. What it gave and nobody has acknowledged
   * does not keep it from ending.
   */
  readonly deliveries: Stream.Stream<Delivery<A>>
}

/**
 * How a reader is known.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReaderOptions {
  /** Where it runs. Default `local`. */
  readonly node?: string
}

/**
 * A reader that is there: all who joined under one name and node together.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReaderInfo {
  readonly name: string
  readonly node: string
  /** How often it has joined, and not left. */
  readonly joins: number
  readonly unacknowledged: number
  readonly delivered: number
  readonly acknowledged: number
}

/**
 * What a channel holds now, and what it has done since it was made. Times are in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** Items queued. What readers have not acknowledged is not queued. */
  readonly depth: number
  readonly capacity: number
  /** Bytes of the items queued; 0 where they are not counted. */
  readonly bytes: number
  readonly maxBytes: number
  /** How full it is, by count or by bytes, whichever is more: 0 to 1, and above where items came back to a full one. */
  readonly utilisation: number
  /** Items that readers have and have not acknowledged. */
  readonly unacknowledged: number
  readonly readers: number
  readonly waitingPuts: number
  readonly waitingTakes: number
  /** From put to delivery: on average, at most, and of the item that is first in the queue until now. */
  readonly latency: { readonly mean: number; readonly max: number; readonly oldest: number }
  /** Items put, in all. */
  readonly put: number
  /** Deliveries in all; an item that was given back is delivered more than once. */
  readonly delivered: number
  readonly acknowledged: number
  /** Given back by readers, to be delivered again. */
  readonly returned: number
  /** Taken out of the queue by whoever put them. */
  readonly removed: number
  readonly deadLetters: number
}

/**
 * What a channel holds, as a value: what was unacknowledged stands at its place, first of all. Bounds are not in it: they
 * are those of the options of the channel that it goes into.
 *
 * @category models
 * @since 0.1.0
 */
export interface Checkpoint<out A, out C = never> {
  readonly entries: ReadonlyArray<
    | { readonly _tag: "Item"; readonly item: A; readonly deliveries: number }
    | { readonly _tag: "Signal"; readonly value: C }
  >
  /** Whether it had been closed: then a channel made of it takes nothing more either, and its readers get to the end. */
  readonly closed: boolean
}

/**
 * How a channel behaves. Everything has a default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<A, C = never> {
  /** Items queued at most: a whole number of 1 or more, or `Infinity`. Default 1,024. */
  readonly capacity?: number
  /** Bytes queued at most, as counted by `sizeOf`. Default: unbounded. */
  readonly maxBytes?: number
  /** Size of an item in bytes. Default, where `maxBytes` is given: its buffers and strings, one level deep. */
  readonly sizeOf?: (item: A) => number
  /**
   * How often an item that came back is delivered again. Once more, and it is a dead letter, `Poisoned`, with its history.
   * Default: as often as it takes.
   */
  readonly redeliver?: number
  /** How long it stays open without readers once the last one has left: 0 closes at once. Default: for ever. */
  readonly autoClose?: Duration.Input
  /** What it holds at first, whatever its bounds are. */
  readonly from?: Checkpoint<A, C>
}

/**
 * New bounds. What is left out stays as it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bounds {
  readonly capacity?: number
  readonly maxBytes?: number
}

/**
 * A bounded queue between many who put and many who read. `Req` is what its calls need: the class of the channel, where they
 * are called on that.
 *
 * @category models
 * @since 0.1.0
 */
export interface ActorChannel<in out A, in out C = never, out Req = never> {
  /** Puts an item, as soon as there is room and all who came before have put theirs. */
  readonly put: <L extends Duration.Input = never>(
    item: A,
    options?: Limit<L>
  ) => Effect.Effect<Entry, Closed | TooLarge | Limited<L, Full>, Req>
  /** Puts all of them or none, next to each other. What could never fit is `TooLarge` at once. */
  readonly putAll: <L extends Duration.Input = never>(
    items: Iterable<A>,
    options?: Limit<L>
  ) => Effect.Effect<ReadonlyArray<Entry>, Closed | TooLarge | Limited<L, Full>, Req>
  /** The next item, without being a reader: acknowledged at once. */
  readonly get: <L extends Duration.Input = never>(
    options?: Limit<L>
  ) => Effect.Effect<A, Closed | Limited<L, Empty>, Req>
  /**
   * The next items, without being a reader, as soon as there are `min`, and `max` at most. Less only at the end, and where a put
   * waits for room. Who wants less is served meanwhile.
   */
  readonly getBetween: <L extends Duration.Input = never>(
    min: number,
    max: number,
    options?: Limit<L>
  ) => Effect.Effect<ReadonlyArray<A>, Closed | Limited<L, Empty>, Req>
  /** What would be next. It stays where it is. */
  readonly peek: Effect.Effect<A, Empty, Req>
  /**
   * Joins as a reader until the Scope closes. Who joins twice under one name is there until it has left twice; each handle gives
   * back what was taken with it.
   */
  readonly reader: (name: string, options?: ReaderOptions) => Effect.Effect<Reader<A, C>, never, Scope.Scope | Req>
  /** The items, read by a reader of its own: see `Reader.stream`. */
  readonly stream: (name: string, options?: ReaderOptions) => Stream.Stream<A, never, Req>
  /** Puts what it is fed, one by one, as there is room. Its end does not close the channel. */
  readonly sink: Sink.Sink<void, A, never, Closed | TooLarge, Req>
  /** Changes the bounds at once, and tells the readers in band. Nothing queued is dropped. */
  readonly resize: (bounds: Bounds) => Effect.Effect<void, never, Req>
  /** Sends a control value: each reader gets it after all that was put before, and before all that is put later. */
  readonly signal: (value: C) => Effect.Effect<void, never, Req>
  /** Takes nothing more: who waits to put fails with `Closed`. Readers get what is left, and then `Closed`. */
  readonly close: Effect.Effect<void, never, Req>
  /** Waits until nothing is queued, and nothing unacknowledged. */
  readonly awaitEmpty: Effect.Effect<void, never, Req>
  /** Ends it now: all that was queued or unacknowledged is taken out, and readers get `Closed`. */
  readonly shutdown: Effect.Effect<Checkpoint<A, C>, never, Req>
  /** A copy of all that is queued or unacknowledged, for `from` of another channel. */
  readonly checkpoint: Effect.Effect<Checkpoint<A, C>, never, Req>
  /** What it holds now, and has done. */
  readonly stats: Effect.Effect<Stats, never, Req>
  /** Who reads, in the order in which they joined. */
  readonly readers: Effect.Effect<ReadonlyArray<ReaderInfo>, never, Req>
}
