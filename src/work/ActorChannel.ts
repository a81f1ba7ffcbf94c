/**
 * A bounded queue between many who put and many who read, in which nothing is lost: what a reader has not acknowledged comes
 * back when it crashes.
 *
 * Each item goes to one reader. Where each reader is to see all of them, take Effect's `PubSub`; where work must outlive the
 * program, its `PersistedQueue`. Effect's `Queue` forgets an item the moment it is taken.
 *
 * **Example** (A reader crashes, another goes on)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { ActorChannel } from "effect-otp"
 *
 * const program = Effect.gen(function*() {
 *   const jobs = yield* ActorChannel.make<string>("docs/jobs", { capacity: 100 })
 *   yield* jobs.putAll(["a", "b", "c"])
 *
 *   const crash = Effect.gen(function*() {
 *     const reader = yield* jobs.reader("first")
 *     yield* reader.take()
 *     return yield* Effect.fail("crashed with a job in hand")
 *   })
 *   yield* Effect.ignore(Effect.scoped(crash))
 *
 *   const reader = yield* jobs.reader("second")
 *   const { ack, deliveries, item } = yield* reader.take()
 *   yield* ack
 *   return { deliveries, item, next: yield* reader.get() }
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => { deliveries: 2, item: "a", next: "b" }
 * ```
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { ActorContext, slotOf } from "../actor/ActorContext.ts"
import * as ActorSystem from "../actor/ActorSystem.ts"
import { isWhole, limitMillis } from "../actor/limit.ts"
import { payloadBytes } from "../runtime/admission.ts"
import type { Slot } from "../runtime/slot.ts"
import { type ChildSpec, service } from "../supervision/Supervisor.ts"
import { Core, type Settings } from "./channelCore.ts"
import { InvalidOption } from "./channelErrors.ts"
import { checkBounds, makeChannel, restore } from "./channelImpl.ts"
import type { ActorChannel, Checkpoint as CheckpointOf, Control, Options } from "./channelTypes.ts"

export { Closed, type ClosedBy, Empty, Full, InvalidOption, TooLarge } from "./channelErrors.ts"
export type {
  ActorChannel,
  Bounds,
  Control,
  Delivery,
  Entry,
  Limit,
  Limited,
  Options,
  Reader,
  ReaderInfo,
  ReaderOptions,
  Stats
} from "./channelTypes.ts"

/**
 * What a channel holds, as a value.
 *
 * @category models
 * @since 0.1.0
 */
export type Checkpoint<A, C = never> = CheckpointOf<A, C>

/**
 * The schema of what a channel holds, for where it leaves the program.
 *
 * **Example** (From one program to another)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { ActorChannel } from "effect-otp"
 *
 * const Codec = Schema.toCodecJson(ActorChannel.Checkpoint(Schema.DateFromString))
 *
 * const program = Effect.gen(function*() {
 *   const days = yield* ActorChannel.make<Date>("docs/days")
 *   yield* days.put(new Date("2026-01-01T00:00:00.000Z"))
 *   const json = yield* Schema.encodeEffect(Codec)(yield* days.shutdown)
 *
 *   const again = yield* ActorChannel.make("docs/days", { from: yield* Schema.decodeEffect(Codec)(json) })
 *   return (yield* again.get()).getUTCFullYear()
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => 2026
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const Checkpoint = <A extends Schema.Top, C extends Schema.Top = Schema.Never>(
  item: A,
  signal?: C
): Schema.Codec<
  CheckpointOf<A["Type"], C["Type"]>,
  unknown,
  A["DecodingServices"] | C["DecodingServices"],
  A["EncodingServices"] | C["EncodingServices"]
> => {
  const Item = Schema.TaggedStruct("Item", { item, deliveries: Schema.Int })
  const Signal = Schema.TaggedStruct("Signal", { value: signal ?? Schema.Never })
  return Schema.Struct({ entries: Schema.Array(Schema.Union([Item, Signal])), closed: Schema.Boolean }) as never
}

const CAPACITY = 1_024

/** Checks the options, and fills in what they leave out. */
const settingsOf = <A, C>(name: string, options: Options<A, C>): Settings<A> => {
  checkBounds(name, options)
  const { autoClose, capacity = CAPACITY, maxBytes, redeliver = Infinity, sizeOf } = options
  if (redeliver !== Infinity && !isWhole(redeliver, 0)) {
    const problem = "must be a whole number of 0 or more, or Infinity"
    throw new InvalidOption({ channel: name, option: "redeliver", value: redeliver, problem })
  }
  return {
    name,
    capacity,
    maxBytes: maxBytes ?? Infinity,
    sizeOf: sizeOf ?? (maxBytes === undefined ? undefined : (payload) => payloadBytes({ payload })),
    redeliver,
    autoClose: autoClose === undefined ? Infinity : limitMillis(`autoClose of ${name}`, autoClose)
  }
}

const open = <A, C>(settings: Settings<A>, from: CheckpointOf<A, C> | undefined) =>
  Effect.withFiber((fiber) => {
    const { context, currentDispatcher: dispatcher } = fiber
    const core = new Core<A, Control<C>>(settings, { system: ActorSystem.of(context), dispatcher })
    if (from !== undefined) restore(core, from)
    return Effect.succeed(core)
  })

/** Ends for good when its Scope closes. */
const openScoped = <A, C>(settings: Settings<A>, from: CheckpointOf<A, C> | undefined) =>
  Effect.map(
    Effect.acquireRelease(open(settings, from), (core) => Effect.sync(() => core.end())),
    makeChannel
  )

/**
 * Makes a channel that lives until the Scope closes. What is queued then becomes dead letters of the system in scope:
 * `ActorSystem.deadLetters`. Throws `InvalidOption` for options that make no sense.
 *
 * **Example** (Not more than it can hold, and not longer than one wants to wait)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { ActorChannel } from "effect-otp"
 *
 * const program = Effect.gen(function*() {
 *   const words = yield* ActorChannel.make<string>("docs/words", { maxBytes: 10, sizeOf: (word) => word.length })
 *   const hello = yield* words.put("hello")
 *   yield* words.put("world")
 *   const full = yield* Effect.flip(words.put("again", { within: "10 millis" }))
 *   yield* hello.remove
 *   yield* words.put("there")
 *   return [full._tag, ...(yield* words.getBetween(1, 10))]
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["Full", "world", "there"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, C = never>(
  name: string,
  options: Options<A, C> = {}
): Effect.Effect<ActorChannel<A, C>, never, Scope.Scope> => openScoped(settingsOf(name, options), options.from)

/**
 * A channel class: the service key of a channel, the same calls on the one in scope, and the makers of its child spec and layer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Class<Self, A, C, RD = never, RE = never>
  extends Context.Key<Self, ActorChannel<A, C>>, ActorChannel<A, C, Self> {
  new (_: never): {}
  /** The schema of what it holds. */
  readonly Checkpoint: Schema.Codec<CheckpointOf<A, C>, unknown, RD, RE>
  /**
   * The channel as a child: list it before those who use it. What it holds outlives all restarts, its own too, and becomes dead
   * letters when the tree ends.
   */
  readonly child: (options?: Options<A, C>) => ChildSpec<Self, never, never>
  /** The channel outside a tree. What it holds when the layer ends becomes dead letters. */
  readonly layer: (options?: Options<A, C>) => Layer.Layer<Self>
}

/**
 * Defines a channel that others find as a service: `class Jobs extends ActorChannel.Service<Jobs>()("app/Jobs", Job) {}`. The
 * schemas of items and, if there are any, signals are for checkpoints that leave the program; what is put is not checked.
 *
 * **Example** (A channel in a tree, and one who reads it)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema, Stream } from "effect"
 * import { ActorChannel, Supervisor } from "effect-otp"
 *
 * class Jobs extends ActorChannel.Service<Jobs>()("docs/Jobs", Schema.Struct({ id: Schema.Int })) {}
 *
 * const done: Array<number> = []
 * const work = Jobs.stream("painter").pipe(Stream.runForEach(({ id }) => Effect.sync(() => done.push(id))))
 * const Tree = Supervisor.make("app", { children: [Jobs.child({ capacity: 10 }), Supervisor.effect("painter", work)] })
 *
 * const program = Effect.gen(function*() {
 *   yield* Jobs.put({ id: 1 })
 *   yield* Jobs.put({ id: 2 })
 *   yield* Jobs.awaitEmpty
 *   return done
 * })
 * await Effect.runPromise(program.pipe(Effect.provide(Supervisor.layer(Tree)))) // => [1, 2]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <Item extends Schema.Top, Signal extends Schema.Top = Schema.Never>(
    id: string,
    item: Item,
    options?: { readonly signal: Signal }
  ): Class<
    Self,
    Item["Type"],
    Signal["Type"],
    Item["DecodingServices"] | Signal["DecodingServices"],
    Item["EncodingServices"] | Signal["EncodingServices"]
  > => {
    type Channel = ActorChannel<Item["Type"], Signal["Type"]>
    const key = Context.Service<Self, Channel>()(id)
    return Object.assign(key, {
      ...accessors(key as never),
      Checkpoint: Checkpoint(item, options?.signal),
      child: (given: Options<Item["Type"], Signal["Type"]> = {}) => {
        const settings = settingsOf(id, given)
        return service(id, Layer.effect(key, openInSlot(settings, given.from)))
      },
      layer: (given: Options<Item["Type"], Signal["Type"]> = {}) =>
        Layer.effect(key, openScoped(settingsOf(id, given), given.from))
    }) as never
  }

/** The calls of a channel, on the one in scope. */
const accessors = (key: Effect.Effect<ActorChannel<unknown, unknown>>) => {
  const call =
    <K extends "put" | "putAll" | "get" | "getBetween" | "reader" | "resize" | "signal">(name: K) =>
    (...args: ReadonlyArray<never>) =>
      Effect.flatMap(key, (channel) =>
        (channel[name] as (...args: ReadonlyArray<never>) => Effect.Effect<unknown>)(...args)
      )
  const value = <K extends "peek" | "close" | "awaitEmpty" | "shutdown" | "checkpoint" | "stats" | "readers">(
    name: K
  ) => Effect.flatMap(key, (channel) => channel[name] as Effect.Effect<unknown>)
  return {
    put: call("put"),
    putAll: call("putAll"),
    get: call("get"),
    getBetween: call("getBetween"),
    reader: call("reader"),
    resize: call("resize"),
    signal: call("signal"),
    stream: (...args: Parameters<ActorChannel<unknown>["stream"]>) =>
      Stream.unwrap(Effect.map(key, (channel) => channel.stream(...args))),
    sink: Sink.unwrap(Effect.map(key, (channel) => channel.sink)),
    peek: value("peek"),
    close: value("close"),
    awaitEmpty: value("awaitEmpty"),
    shutdown: value("shutdown"),
    checkpoint: value("checkpoint"),
    stats: value("stats"),
    readers: value("readers")
  }
}

/**
 * The channel of a child belongs to its place in the tree, as a mailbox does: the next incarnation finds it there. What it is to
 * begin with it gets once, and not again where it is started after an end for good.
 */
const openInSlot = <A, C>(settings: Settings<A>, from: CheckpointOf<A, C> | undefined) => {
  const channels = new WeakMap<Slot, ActorChannel<A, C> | undefined>()
  return Effect.flatMap(Effect.serviceOption(ActorContext), (turn) => {
    const slot = slotOf(Option.getOrThrow(turn))
    const before = channels.get(slot)
    if (before !== undefined) return Effect.succeed(before)
    return Effect.map(open(settings, channels.has(slot) ? undefined : from), (core) => {
      const channel = makeChannel(core)
      channels.set(slot, channel)
      slot.watch(() => {
        channels.set(slot, undefined)
        core.end()
      })
      return channel
    })
  })
}
