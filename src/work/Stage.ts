/**
 * Actors that pass events on at the pace of those who take them. A consumer asks for as many events as it can work on, a
 * producer emits what was asked for, and whoever is between the two does both: so a fast producer never floods a slow
 * consumer, and nobody waits for what could have been prepared meanwhile.
 *
 * A stage is an actor: it has a ref, messages of its own, a place in a tree. Its class says what it takes and emits, its
 * behavior what it does about events and demand, and whom it subscribes to, which comes before it in the tree.
 *
 * A restart changes nothing between stages: subscriptions, demand and buffered events belong to the actor, as its mailbox
 * does. A batch that crashes its consumer is lost as any message is, unless `delivery: "at-least-once"` has it given back.
 * When a stage ends for good its consumers end with it, unless their subscription's `cancel` says otherwise. In a tree a stage
 * that ends in order is not restarted, unless its child spec says otherwise: it has given on all there was.
 *
 * **Example** (Numbers, doubled and added up)
 *
 * ```ts import.meta.vitest
 * import { Deferred, Effect, Schema, Stream } from "effect"
 * import { Stage, Supervisor } from "effect-otp"
 *
 * class Numbers extends Stage.Producer<Numbers>()("docs/Numbers", Schema.Int) {}
 * class Doubled extends Stage.ProducerConsumer<Doubled>()("docs/Doubled", { takes: Schema.Int, emits: Schema.Int }) {}
 *
 * const NumbersLive = Numbers.behavior(Effect.sync(() => {
 *   let next = 0
 *   return Numbers.of({ demand: (count) => Array.from({ length: count }, () => next++) })
 * }))
 * const DoubledLive = Doubled.behavior(
 *   Effect.succeed(Doubled.of({ events: (batch) => batch.map((n) => n * 2) })),
 *   { subscribeTo: [{ to: Numbers, maxDemand: 100, minDemand: 80 }] }
 * )
 *
 * const Tree = Supervisor.make("numbers", { children: [NumbersLive, DoubledLive] })
 * const program = Stage.stream(Doubled).pipe(Stream.take(5), Stream.runCollect, Effect.provide(Supervisor.layer(Tree)))
 * await Effect.runPromise(program) // => [0, 2, 4, 6, 8]
 * ```
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type ActorRef, isActorRef } from "../actor/ActorRef.ts"
import type { Protocol } from "../actor/Protocol.ts"
import { defineStage, type machinery } from "./stageDefinition.ts"
import { type ForEach, type MapEach, ofEach } from "./stageEach.ts"
import { fromStream, type ProducerEnded, toStream } from "./stageStreams.ts"
import type { SubscribeOptions } from "./stageSubscription.ts"
import { type ConsumerSupervisorClass, defineConsumerSupervisor } from "./stageSupervisor.ts"
import type {
  ConsumerClass,
  Emitted,
  Emitter,
  EmittingOptions,
  FromStream,
  ProducerClass,
  ProducerConsumerClass
} from "./stageTypes.ts"

export { ask, cancel, setDemand, type Status, status, subscribe } from "./stageCalls.ts"
export { UnknownPartition } from "./stageDispatchers.ts"
export type { EachOptions, ForEach, MapEach } from "./stageEach.ts"
export { prefetch, ProducerEnded } from "./stageStreams.ts"
export {
  InvalidStageOption,
  type SubscribeOptions,
  type Subscription,
  SubscriptionRefused
} from "./stageSubscription.ts"
export type { ChildUpstream, ConsumerSupervisorClass, ConsumerSupervisorOptions } from "./stageSupervisor.ts"
export type {
  ByKey,
  ByName,
  ConsumerClass,
  ConsumerHandlers,
  Dispatching,
  Emitted,
  Emitter,
  EmittingHandlers,
  EmittingOptions,
  FromStream,
  Needs,
  ProducerClass,
  ProducerConsumerClass,
  ProducerConsumerHandlers,
  ProducerHandlers,
  Reply,
  Taken,
  TakingHandlers,
  TakingOptions,
  Upstream
} from "./stageTypes.ts"

/** Messages of its own, none of which is named as one that stages need. */
type Own<P> = P & { readonly [K in keyof P & keyof typeof machinery]: never }

/**
 * Defines a producer: `class Numbers extends Stage.Producer<Numbers>()("app/Numbers", Schema.Int) {}`. Messages of its own are
 * given as to `Actor.Service`; their handlers may `Numbers.emit` too.
 *
 * **Example** (Events that come when they come)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema, Stream } from "effect"
 * import { Actor, Stage } from "effect-otp"
 *
 * class Orders extends Stage.Producer<Orders>()("docs/Orders", Schema.String, {
 *   Place: { payload: { item: Schema.String } }
 * }) {}
 * const OrdersLive = Orders.behavior(Effect.succeed(Orders.of({ Place: ({ item }) => Orders.emit([item]) })))
 *
 * const program = Effect.gen(function*() {
 *   const orders = yield* Actor.spawn(OrdersLive)
 *   yield* orders.tell.Place({ item: "tea" })
 *   yield* orders.tell.Place({ item: "milk" })
 *   return yield* Stage.stream(orders).pipe(Stream.take(2), Stream.runCollect)
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["tea", "milk"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Producer =
  <Self>() =>
  <const Id extends string, S extends Schema.Top, const P extends Protocol = {}>(
    id: Id,
    emits: S,
    messages?: Own<P>
  ): ProducerClass<Self, Id, S["Type"], P> & FromStream<Self, S["Type"], P> => {
    const stage = defineStage(id, { consumes: false, emits: true }, { emits }, messages ?? {}) as ProducerClass<
      Self,
      Id,
      S["Type"],
      {}
    >
    const from = <E, R>(stream: Stream.Stream<S["Type"], E, R>, options?: EmittingOptions<S["Type"]>) =>
      fromStream(stage, stream, options)
    return Object.assign(stage, { from }) as never
  }

/**
 * Defines a consumer: `class Printer extends Stage.Consumer<Printer>()("app/Printer", Schema.Int) {}`. One without messages of its
 * own can be a function: `Printer.forEach((n) => Console.log(n), { subscribeTo: [Numbers] })`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Consumer =
  <Self>() =>
  <const Id extends string, S extends Schema.Top, const P extends Protocol = {}>(
    id: Id,
    takes: S,
    messages?: Own<P>
  ): ConsumerClass<Self, Id, S["Type"], P> & ForEach<Self, S["Type"], P> => {
    const stage = defineStage(id, { consumes: true, emits: false }, { takes }, messages ?? {})
    return Object.assign(stage as object, { forEach: ofEach(stage as never) }) as never
  }

/**
 * Defines a stage that takes events and emits what it makes of them:
 * `class Doubled extends Stage.ProducerConsumer<Doubled>()("app/Doubled", { takes: Schema.Int, emits: Schema.Int }) {}`.
 *
 * It handles events only while somebody wants what it makes of them. Where that is more than was asked for, the rest is
 * buffered.
 *
 * One without messages of its own can be a function: `Doubled.map((n) => n * 2, { subscribeTo: [Numbers] })`. It may be an effect,
 * several of which run at a time.
 *
 * **Example** (Read ahead, worked on by a pool, written down)
 *
 * ```ts import.meta.vitest
 * import { Effect, Queue, Schema, Stream } from "effect"
 * import { Actor, Pool, Stage, Supervisor } from "effect-otp"
 *
 * class Counter extends Actor.Service<Counter>()("docs/Counter", {
 *   Letters: { payload: { text: Schema.String }, success: Schema.Int }
 * }) {}
 * const CounterLive = Counter.behavior(Effect.succeed(Counter.of({ Letters: ({ text }) => text.length })))
 *
 * class Texts extends Stage.Producer<Texts>()("docs/Texts", Schema.String) {}
 * class Sizes extends Stage.ProducerConsumer<Sizes>()("docs/Sizes", { takes: Schema.String, emits: Schema.Int }) {}
 * class Written extends Stage.Consumer<Written>()("docs/Written", Schema.Int) {}
 *
 * const program = Effect.gen(function*() {
 *   const written = yield* Queue.unbounded<number>()
 *   const Tree = Supervisor.make("texts", { children: [
 *     Pool.child(CounterLive, { size: 2 }),
 *     Texts.from(Stream.make("one", "three", "nineteen")),
 *     Sizes.map((text) => Counter.use((counter) => counter.ask.Letters({ text })), { subscribeTo: [Texts], concurrency: 4 }),
 *     Written.forEach((size) => Queue.offer(written, size), { subscribeTo: [Sizes] })
 *   ] })
 *   return yield* Queue.takeN(written, 3).pipe(Effect.provide(Supervisor.layer(Tree)))
 * })
 * await Effect.runPromise(program) // => [3, 5, 8]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const ProducerConsumer =
  <Self>() =>
  <const Id extends string, I extends Schema.Top, O extends Schema.Top, const P extends Protocol = {}>(
    id: Id,
    schemas: { readonly takes: I; readonly emits: O },
    messages?: Own<P>
  ): ProducerConsumerClass<Self, Id, I["Type"], O["Type"], P> & MapEach<Self, I["Type"], O["Type"], P> => {
    const stage = defineStage(id, { consumes: true, emits: true }, schemas, messages ?? {})
    return Object.assign(stage as object, { map: ofEach(stage as never) }) as never
  }

/**
 * Defines a consumer that starts a child for each event:
 * `class Jobs extends Stage.ConsumerSupervisor<Jobs, Order>()("app/Jobs", Job) {}`. As many run at a time as its subscription's
 * `maxDemand` says; one that is restarted keeps its place. Children go on when the producer ends.
 *
 * **Example** (Two at a time)
 *
 * ```ts import.meta.vitest
 * import { Effect, Queue, Schema, Stream } from "effect"
 * import { Actor, ActorContext, Stage, Supervisor } from "effect-otp"
 *
 * class Numbers extends Stage.Producer<Numbers>()("docs/Numbers", Schema.Int) {}
 * class Job extends Actor.Service<Job>()("docs/Job", {}) {}
 * class Jobs extends Stage.ConsumerSupervisor<Jobs, number>()("docs/Jobs", Job) {}
 *
 * const program = Effect.gen(function*() {
 *   const done = yield* Queue.unbounded<number>()
 *   const JobLive = Job.behavior((n: number) => Effect.gen(function*() {
 *     yield* Actor.continueWith(Effect.andThen(Queue.offer(done, n * n), ActorContext.stop))
 *     return Job.of({})
 *   }))
 *   const Tree = Supervisor.make("squares", { children: [
 *     Numbers.from(Stream.range(1, 5)),
 *     Jobs.child(JobLive, { subscribeTo: [{ to: Numbers, maxDemand: 2 }] })
 *   ] })
 *   return yield* Queue.takeN(done, 5).pipe(Effect.provide(Supervisor.layer(Tree)))
 * })
 * await Effect.runPromise(program) // => [1, 4, 9, 16, 25]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const ConsumerSupervisor =
  <Self, In>() =>
  <A>(id: string, actor: Context.Key<A, ActorRef<A>>): ConsumerSupervisorClass<Self, A, In> =>
    defineConsumerSupervisor(id, actor as never) as never

/** How a stream takes events. */
type StreamOptions<Out> = Omit<SubscribeOptions<Out>, "demand" | "cancel">

/**
 * What a stage emits, as a stream: of the one in scope, or of a ref. It asks for more as it is consumed, and cancels when it
 * ends. It ends when the stage ends in order, and fails with `ProducerEnded` when that fails. What was on its way to it
 * when it ends is a dead letter, or is given back with `delivery: "at-least-once"`.
 *
 * @category streams
 * @since 0.1.0
 */
export const stream: {
  <A>(producer: ActorRef<A>, options?: StreamOptions<Emitted<A>>): Stream.Stream<Emitted<A>, ProducerEnded>
  <I, Out>(
    producer: Context.Key<I, ActorRef<I>> & Emitter<Out>,
    options?: StreamOptions<Out>
  ): Stream.Stream<Out, ProducerEnded, I>
} = (producer: unknown, options: StreamOptions<unknown> = {}) =>
  (isActorRef(producer)
    ? toStream(producer, options)
    : Stream.unwrap(
        Effect.map(producer as Effect.Effect<ActorRef<unknown>>, (ref) => toStream(ref, options))
      )) as Stream.Stream<never, ProducerEnded>
