/**
 * What stages look like to those who write them: their classes, their handlers, their options.
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { ActorContext } from "../actor/ActorContext.ts"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Behavior, Crash, Handlers, Options, Services } from "../actor/Behavior.ts"
import type { Bare, EffectOf, Protocol } from "../actor/Protocol.ts"
import type { ExitReason } from "../runtime/ExitReason.ts"
import type { SubscribeOptions, Subscription } from "./stageSubscription.ts"

/**
 * What a handler of a stage may return: a value, an effect or a generator of it.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Reply<A> = A | EffectOf<A> | Generator<unknown, A, never>

/**
 * What a stage that emits may handle.
 *
 * @category models
 * @since 0.1.0
 */
export interface EmittingHandlers<Out> {
  /**
   * Consumers want this many events more. What it returns is emitted; what it has not got it owes, and may emit later, with
   * `emit` from any handler. Nobody asks twice for the same.
   */
  readonly demand?: (count: number) => Reply<ReadonlyArray<Out> | void>
  /** A consumer has subscribed. */
  readonly joined?: (subscription: Subscription) => Reply<unknown>
  /** A consumer has cancelled, or has ended. */
  readonly left?: (subscription: Subscription, reason: ExitReason) => Reply<unknown>
}

/**
 * What a stage that takes events may handle.
 *
 * @category models
 * @since 0.1.0
 */
export interface TakingHandlers {
  /** It has subscribed to a producer, or goes on with a subscription after a restart. */
  readonly subscribed?: (subscription: Subscription) => Reply<unknown>
  /** A subscription has ended. Whether the stage ends with it is said by the subscription's `cancel`. */
  readonly cancelled?: (subscription: Subscription, reason: ExitReason) => Reply<unknown>
}

/**
 * The handlers of a producer, besides those of its messages.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProducerHandlers<Out> extends EmittingHandlers<Out> {}

/**
 * The handlers of a consumer, besides those of its messages.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConsumerHandlers<In> extends TakingHandlers {
  /** Some events, in order; at most `maxDemand - minDemand` of them. It asks for more once this is done. */
  readonly events: (events: ReadonlyArray<In>, from: Subscription) => Reply<unknown>
}

/**
 * The handlers of a producer-consumer, besides those of its messages.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProducerConsumerHandlers<In, Out> extends TakingHandlers, Omit<EmittingHandlers<Out>, "demand"> {
  /** Some events, once somebody wants what is made of them. What it returns is emitted. */
  readonly events: (events: ReadonlyArray<In>, from: Subscription) => Reply<ReadonlyArray<Out> | void>
}

/**
 * Who gets which event.
 *
 * - `demand` (the default): the consumer that has asked for most; each event goes to one.
 * - `broadcast`: every consumer, at the pace of the slowest; a consumer may select.
 * - partitions: the consumer of the event's partition. Their number, with the `key` whose hash says which (default: the
 *   event), or their names, with `by` saying which; `undefined` says that nobody wants it, any other name crashes the stage
 *   with `UnknownPartition`. What a partition does not want yet is set aside for it.
 *
 * @category models
 * @since 0.1.0
 */
export type Dispatching<Out> = "demand" | "broadcast" | ByKey<Out> | ByName<Out>

/**
 * Partitions by the hash of a key.
 *
 * @category models
 * @since 0.1.0
 */
export interface ByKey<in Out> {
  /** How many, numbered from 0; or their names. */
  readonly partitions: number | ReadonlyArray<string | number>
  readonly key?: (event: Out) => unknown
}

/**
 * Partitions by name.
 *
 * @category models
 * @since 0.1.0
 */
export interface ByName<in Out> {
  /** How many, numbered from 0; or their names. */
  readonly partitions: number | ReadonlyArray<string | number>
  readonly by: (event: Out) => string | number | undefined
}

/**
 * What a stage that emits may say besides its handlers.
 *
 * @category models
 * @since 0.1.0
 */
export interface EmittingOptions<Out> {
  /** Who gets which event. Default `demand`. */
  readonly dispatcher?: Dispatching<Out>
  /**
   * How many events are kept that nobody has asked for: 10,000 for a producer, all for a producer-consumer. `keep` says which
   * of too many, the `last` by default; the others are dead letters, with reason `BufferFull`.
   */
  readonly buffer?: { readonly size?: number; readonly keep?: "first" | "last" }
  /** `accumulate`: demand waits until `Stage.setDemand` says `forward`. Default `forward`. */
  readonly demand?: "forward" | "accumulate"
}

/**
 * A stage whose events can be taken, as a service key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Emitter<out Out> {
  readonly key: string
  readonly "~emits": () => Out
}

/**
 * Whom to subscribe to: a stage in scope, alone or with options.
 *
 * @category models
 * @since 0.1.0
 */
export type Upstream<In> = Emitter<In> | (SubscribeOptions<In> & { readonly to: Emitter<In> })

/**
 * What a stage that takes events may say besides its handlers.
 *
 * @category models
 * @since 0.1.0
 */
export interface TakingOptions<S> {
  /** The stages it takes events from. They come before it in a tree. */
  readonly subscribeTo?: S
}

type ServiceOf<K> = K extends Context.Key<infer I, infer _S> ? I : never

/**
 * The services that subscriptions need.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Needs<S> =
  S extends ReadonlyArray<infer U> ? (U extends { readonly to: infer K } ? ServiceOf<K> : ServiceOf<U>) : never

/**
 * The events that an actor of class `A` emits.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Emitted<A> = A extends { readonly "~emits": infer Out } ? Out : never

/**
 * The events that an actor of class `A` takes.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Taken<A> = A extends { readonly "~takes": (_: infer In) => void } ? In : never

/** What all stage classes have. */
interface Class<Self> extends Context.Key<Self, ActorRef<Self>> {
  /** Uses the ref in scope. */
  use<A, E, R>(f: (ref: ActorRef<Self>) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Self>
  /** This stage's own ref, inside its behavior. */
  readonly self: Effect.Effect<ActorRef<Self>, never, ActorContext>
}

interface EmittingClass<Out> extends Emitter<Out> {
  /** The schema of what it emits. */
  readonly emits: Schema.Schema<Out>
  /** Emits events, inside its behavior: to those who have asked for them, the others into the buffer. */
  readonly emit: (events: ReadonlyArray<Out>) => Effect.Effect<void, never, ActorContext>
  /** Does something once all that it has emitted by now is taken, inside its behavior, in a turn of its own. */
  readonly whenTaken: <E, R>(effect: Effect.Effect<unknown, E, R>) => Effect.Effect<void, never, ActorContext | R>
  /** Ends it normally once all that it has emitted by now is taken, inside its behavior. */
  readonly end: Effect.Effect<void, never, ActorContext>
}

interface TakingClass<In> {
  /** The schema of what it takes. */
  readonly takes: Schema.Schema<In>
  /**
   * Subscribes to a stage, inside its behavior. A subscription outlives restarts: what an init makes again, with the same
   * options, goes on where it was; what it makes no more is cancelled.
   */
  readonly subscribe: <A>(
    options: SubscribeOptions<In> & { readonly to: ActorRef<A> } & Fits<Emitted<A>, In>
  ) => Effect.Effect<Subscription, never, ActorContext>
}

/** @internal */
export type Fits<Out, In> = [Out] extends [never]
  ? { readonly to: "a stage that emits" }
  : Out extends In
    ? unknown
    : { readonly to: "a stage that emits what this one takes" }

type Init<H, EX, RX, Args> = Effect.Effect<H, EX, RX> | ((args: Args) => Effect.Effect<H, EX, RX>)

/** Handlers without any that nobody calls. */
type Only<H, Known> = H & { readonly [K in Exclude<keyof H, keyof Known>]: never }

/**
 * A producer class: the service key of its ref, and the maker of its behaviors.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProducerClass<Self, Id extends string, Out, P extends Protocol>
  extends Class<Self>, EmittingClass<Out> {
  new (_: never): Context.ServiceClass.Shape<Id, ActorRef<Self>> & { readonly "~protocol": P; readonly "~emits": Out }
  readonly key: Id
  /** Types a table of handlers in place. */
  of<const H extends ProducerHandlers<Out> & Handlers<P>>(handlers: Only<H, ProducerHandlers<Out> & P>): H
  /** How it produces: `init` makes state and handlers, anew at each start and restart. */
  behavior<H extends ProducerHandlers<Out> & Handlers<P>, EX = never, RX = never, Args = void>(
    init: Init<H, EX, RX, Args>,
    options?: Options<keyof P & string, Bare<P>> & EmittingOptions<Out>
  ): Behavior<Self, Args, EX | Crash<P, H>, Services<H, RX>>
}

/**
 * A producer without messages of its own can be fed by a stream.
 *
 * @category models
 * @since 0.1.0
 */
export type FromStream<Self, Out, P> = keyof P extends never
  ? {
      /**
       * A behavior that emits a stream's elements, as many as are asked for, and ends with it once all are taken. The stream
       * runs anew at each start and restart; its failure ends the actor.
       */
      readonly from: <E, R>(
        stream: Stream.Stream<Out, E, R>,
        options?: EmittingOptions<Out>
      ) => Behavior<Self, void, E, Exclude<R, Scope.Scope | ActorContext>>
    }
  : unknown

/**
 * A consumer class: the service key of its ref, and the maker of its behaviors.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConsumerClass<Self, Id extends string, In, P extends Protocol> extends Class<Self>, TakingClass<In> {
  new (
    _: never
  ): Context.ServiceClass.Shape<Id, ActorRef<Self>> & { readonly "~protocol": P; readonly "~takes": (_: In) => void }
  readonly key: Id
  /** Types a table of handlers in place. */
  of<const H extends ConsumerHandlers<In> & Handlers<P>>(handlers: Only<H, ConsumerHandlers<In> & P>): H
  /** How it consumes: `init` makes state and handlers, anew at each start and restart. */
  behavior<
    H extends ConsumerHandlers<In> & Handlers<P>,
    EX = never,
    RX = never,
    Args = void,
    const S extends ReadonlyArray<Upstream<In>> = ReadonlyArray<Upstream<In>>
  >(
    init: Init<H, EX, RX, Args>,
    options?: Options<keyof P & string, Bare<P>> & TakingOptions<S>
  ): Behavior<Self, Args, EX | Crash<P, H>, Services<H, RX> | Needs<S>>
}

/**
 * The class of a stage that takes events and emits what it makes of them: the service key of its ref, and the maker of its
 * behaviors.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProducerConsumerClass<Self, Id extends string, In, Out, P extends Protocol>
  extends Class<Self>, TakingClass<In>, EmittingClass<Out> {
  new (_: never): Context.ServiceClass.Shape<Id, ActorRef<Self>> & {
    readonly "~protocol": P
    readonly "~emits": Out
    readonly "~takes": (_: In) => void
  }
  readonly key: Id
  /** Types a table of handlers in place. */
  of<const H extends ProducerConsumerHandlers<In, Out> & Handlers<P>>(
    handlers: Only<H, ProducerConsumerHandlers<In, Out> & P>
  ): H
  /** How it works: `init` makes state and handlers, anew at each start and restart. */
  behavior<
    H extends ProducerConsumerHandlers<In, Out> & Handlers<P>,
    EX = never,
    RX = never,
    Args = void,
    const S extends ReadonlyArray<Upstream<In>> = ReadonlyArray<Upstream<In>>
  >(
    init: Init<H, EX, RX, Args>,
    options?: Options<keyof P & string, Bare<P>> & TakingOptions<S> & EmittingOptions<Out>
  ): Behavior<Self, Args, EX | Crash<P, H>, Services<H, RX> | Needs<S>>
}
