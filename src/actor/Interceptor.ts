/**
 * Code around messages: wraps or replaces the handling of those it matches, where the caller is or where the actor is.
 *
 * An interceptor is a value. Applied to a behavior (`Interceptor.apply`) it works for every actor of it; applied to a ref
 * (`Interceptor.through`) or to a system (`ActorSystem.layer({ interceptors })`) it works for what is sent there. Its `handle`
 * and `handleStream` run inside the actor, in the message's turn; its `ask`, `tell` and `stream` run in the fiber of
 * whoever sends. What none matches costs nothing, and without interceptors there is nothing to pay for.
 *
 * **Example** (Counting what is handled, and timing who waits)
 *
 * ```ts import.meta.vitest
 * import { Effect, Metric, Schema } from "effect"
 * import { Actor, Interceptor } from "effect-otp"
 *
 * class Counter extends Actor.Service<Counter>()("docs/Counter", {
 *   Increment: { payload: { by: Schema.Int }, success: Schema.Int }
 * }) {}
 * const CounterLive = Counter.behavior(Counter.sync(() => {
 *   let count = 0
 *   return Counter.of({ Increment: ({ by }) => (count += by) })
 * }))
 *
 * const handled = Metric.counter("docs_messages_handled")
 * const Traced = Interceptor.make({
 *   ask: (next, call) => Effect.withSpan(next, `ask ${call.tag}`),
 *   handle: (next, call) => next.pipe(
 *     Effect.tap(() => Metric.update(handled, 1)),
 *     Effect.annotateLogs({ actor: call.actor, message: call.tag })
 *   )
 * })
 *
 * const program = Effect.gen(function*() {
 *   const counter = yield* Actor.spawn(CounterLive.pipe(Interceptor.apply(Traced)))
 *   yield* counter.ask.Increment({ by: 40 })
 *   return [yield* counter.ask.Increment({ by: 2 }), (yield* Metric.value(handled)).count]
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [42, 2]
 * ```
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Pipeable from "effect/Pipeable"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ActorContext } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import { type ActorRef, type Endable, type ProtocolOf, through as throughRef } from "./ActorRef.ts"
import type { AskError } from "./AskError.ts"
import { type Behavior, implOf } from "./Behavior.ts"
import {
  type Around,
  type AroundStream,
  type Call,
  type Failure,
  type Interceptor,
  type InterceptorImpl,
  isKept as wasKept,
  Refusal,
  type Reply,
  type Side,
  TypeId
} from "./intercepting.ts"
import type * as P from "./Protocol.ts"

export type {
  /** A message on its way. @since 0.1.0 */
  Call,
  /** What a handler fails with, whatever that is. @since 0.1.0 */
  Failure,
  /** Code around messages. @since 0.1.0 */
  Interceptor,
  /** What a handler answers with, whatever that is. @since 0.1.0 */
  Reply
} from "./intercepting.ts"

/**
 * Any interceptor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any extends Interceptor<unknown, unknown, unknown, unknown> {}

/**
 * Which messages are meant: those of which all that is said here is true. Nothing said: every message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Match {
  /** One of these tags. */
  readonly tags?: ReadonlyArray<string>
  /** Annotated with this key in its protocol, with anything but `false`. */
  readonly annotated?: { readonly key: string }
  /** Of the message itself. Asked for each one that the rest is true of; it must not throw. */
  readonly when?: (call: Call) => boolean
}

/** An effect of this, whatever it may fail with and need. */
type Any1<A> = P.EffectOf<A>
type AnyN<A> = P.StreamOf<A>

/**
 * What an interceptor does, and with which messages. `next` is the handling or sending of the message as it is, to be run
 * never, once, or as often as it pays; `nextWith` is that of another payload in its place.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Match {
  /** Around an ask, in the fiber of whoever asks. */
  readonly ask?: (
    next: Effect.Effect<Reply, Failure | AskError>,
    call: Call,
    nextWith: (payload: unknown) => Effect.Effect<Reply, Failure | AskError>
  ) => Any1<Reply>
  /** Around a tell, in the fiber of whoever tells. */
  readonly tell?: (
    next: Effect.Effect<void>,
    call: Call,
    nextWith: (payload: unknown) => Effect.Effect<void>
  ) => Any1<void>
  /** Around a stream of replies, where it is consumed. */
  readonly stream?: (
    next: Stream.Stream<Reply, Failure | AskError>,
    call: Call,
    nextWith: (payload: unknown) => Stream.Stream<Reply, Failure | AskError>
  ) => AnyN<Reply>
  /** Around the handler of a message that is answered once or not at all, in the actor. */
  readonly handle?: (
    next: Effect.Effect<Reply, Failure>,
    call: Call,
    nextWith: (payload: unknown) => Effect.Effect<Reply, Failure>
  ) => Any1<Reply>
  /** Around the handler of a message that is answered by a stream, in the actor. */
  readonly handleStream?: (
    next: Stream.Stream<Reply, Failure>,
    call: Call,
    nextWith: (payload: unknown) => Stream.Stream<Reply, Failure>
  ) => AnyN<Reply>
}

type ResultOf<F> = F extends (...args: never) => infer Result ? Result : never
type ErrorOf<Result> =
  Result extends Effect.Effect<infer _A, infer E, infer _R>
    ? E
    : Result extends Stream.Stream<infer _A, infer E, infer _R>
      ? E
      : never
type NeedOf<Result> =
  Result extends Effect.Effect<infer _A, infer _E, infer R>
    ? R
    : Result extends Stream.Stream<infer _A, infer _E, infer R>
      ? R
      : never
type Get<O, K extends string> = K extends keyof O ? ResultOf<O[K]> : never
type HandlerResult<O> = Get<O, "handle" | "handleStream">
type CallerResult<O> = Get<O, "ask" | "tell" | "stream">
/** Every handler has these. */
type Own = Scope.Scope | ActorContext

/**
 * The interceptor that options make.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Made<O> = Interceptor<
  Exclude<ErrorOf<HandlerResult<O>>, Failure>,
  Exclude<NeedOf<HandlerResult<O>>, Own>,
  Exclude<ErrorOf<CallerResult<O>>, Failure | AskError>,
  NeedOf<CallerResult<O>>
>

const asInterceptor = (impl: Omit<InterceptorImpl, "make"> & Partial<InterceptorImpl>): never =>
  ({ [TypeId]: TypeId, make: undefined, ...impl }) as never

type Matches = Side["matches"]

const matchesOf = ({ annotated, tags }: Match): Matches => {
  if (tags === undefined && annotated === undefined) return everything
  return (_key, tag, annotations) => {
    if (tags !== undefined && !tags.includes(tag)) return false
    return annotated === undefined || (annotations.mapUnsafe.get(annotated.key) ?? false) !== false
  }
}

const everything: Matches = () => true

/**
 * An interceptor that wraps or replaces: it has the messages it matches for itself among those it is applied together with.
 *
 * **Example** (Asks answered from memory)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Interceptor } from "effect-otp"
 *
 * class Lookup extends Actor.Service<Lookup>()("docs/Lookup", {
 *   Of: { payload: { word: Schema.String }, success: Schema.Int },
 *   Forget: {}
 * }) {}
 * let looked = 0
 * const LookupLive = Lookup.behavior(Effect.succeed(Lookup.of({
 *   Of: ({ word }) => (looked++, word.length),
 *   Forget: () => {}
 * })))
 *
 * const known = new Map<string, Interceptor.Reply>()
 * const Remembering = Interceptor.make({
 *   tags: ["Of"],
 *   handle: (next, call) => {
 *     const key = JSON.stringify(call.payload)
 *     const reply = known.get(key)
 *     if (reply !== undefined) return Effect.succeed(reply)
 *     return Effect.tap(next, (reply) => Effect.sync(() => known.set(key, reply)))
 *   }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const lookup = yield* Actor.spawn(LookupLive.pipe(Interceptor.apply(Remembering)))
 *   return [yield* lookup.ask.Of({ word: "once" }), yield* lookup.ask.Of({ word: "once" }), looked]
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [4, 4, 1]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const O extends Options>(options: O): Made<O> => {
  const { ask, handle, handleStream, stream, tell, when } = options
  const shared = { beside: false, matches: matchesOf(options), when }
  return asInterceptor({
    handler:
      handle === undefined && handleStream === undefined
        ? undefined
        : { ...shared, once: handle as never, stream: handleStream as never },
    caller:
      ask === undefined && tell === undefined && stream === undefined
        ? undefined
        : { ...shared, asked: ask as never, told: tell as never, stream: stream as never }
  })
}

/** As `make`, for one that takes no message from another. @internal */
export const makeBeside = <const O extends Pick<Options, keyof Match | "handle" | "handleStream">>(
  options: O
): Made<O> => {
  const { handle, handleStream, when } = options
  const matches = matchesOf(options)
  const handler = { beside: true, matches, when, once: handle as never, stream: handleStream as never }
  return asInterceptor({ handler, caller: undefined })
}

/**
 * What an interceptor of one message does: payload, reply and declared error are those of the protocol.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageOptions<M> {
  /** Around its handler; for messages that are answered once. */
  readonly handle?: (
    next: Effect.Effect<P.Success<M>, P.Failure<M> | Failure>,
    call: Call<P.Payload<M>>,
    nextWith: (payload: P.Payload<M>) => Effect.Effect<P.Success<M>, P.Failure<M> | Failure>
  ) => Any1<P.Success<M>>
  /** Around its handler; for messages that are answered by a stream. */
  readonly handleStream?: (
    next: Stream.Stream<P.Success<M>, P.Failure<M> | Failure>,
    call: Call<P.Payload<M>>,
    nextWith: (payload: P.Payload<M>) => Stream.Stream<P.Success<M>, P.Failure<M> | Failure>
  ) => AnyN<P.Success<M>>
}

/**
 * An interceptor of one message of one actor class, typed as that message is. Other actors' messages are none of its
 * business, whatever they are called.
 *
 * **Example** (A reply that is never negative)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Interceptor } from "effect-otp"
 *
 * class Thermometer extends Actor.Service<Thermometer>()("docs/Thermometer", {
 *   Read: { payload: { at: Schema.String }, success: Schema.Int }
 * }) {}
 * const ThermometerLive = Thermometer.behavior(Effect.succeed(Thermometer.of({ Read: ({ at }) => -at.length })))
 *
 * const Clamped = Interceptor.message(Thermometer, "Read", {
 *   handle: (next, call) => call.payload.at === "attic" ? Effect.succeed(30) : Effect.map(next, (n) => Math.max(0, n))
 * })
 * const program = Effect.gen(function*() {
 *   const thermometer = yield* Actor.spawn(ThermometerLive.pipe(Interceptor.apply(Clamped)))
 *   return [yield* thermometer.ask.Read({ at: "cellar" }), yield* thermometer.ask.Read({ at: "attic" })]
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [0, 30]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const message = <A, K extends keyof ProtocolOf<A> & string, const O extends MessageOptions<ProtocolOf<A>[K]>>(
  actor: Context.Key<A, ActorRef<A>>,
  tag: K,
  options: O
): Interceptor<
  Exclude<ErrorOf<HandlerResult<O>>, Failure | P.Failure<ProtocolOf<A>[K]>>,
  Exclude<NeedOf<HandlerResult<O>>, Own>
> =>
  asInterceptor({
    handler: {
      beside: false,
      matches: (key, name) => key === actor.key && name === tag,
      when: undefined,
      once: options.handle as never,
      stream: options.handleStream as never
    },
    caller: undefined
  })

// --- Hooks ---

/**
 * What is done besides, around messages. `after` and `streamEnd` get the outcome, whatever it is. A hook that fails fails the
 * message; for `streamEnd` that is a defect.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hooks {
  readonly before?: (call: Call) => Any1<unknown>
  readonly after?: (call: Call, exit: Exit.Exit<unknown, unknown>) => Any1<unknown>
  readonly streamStart?: (call: Call) => Any1<unknown>
  readonly item?: (call: Call, value: unknown) => Any1<unknown>
  readonly streamEnd?: (call: Call, exit: Exit.Exit<unknown, unknown>) => Any1<unknown>
}

type HookResult<O, K extends string> = K extends keyof O
  ? O[K] extends object
    ? Get<O[K], keyof Hooks>
    : never
  : never

type AnyHook = (call: Call, value?: unknown) => Effect.Effect<unknown, unknown>
type AnyHooks = { readonly [K in keyof Hooks]: AnyHook | undefined }

const aroundOnce =
  ({ after, before }: AnyHooks): Around =>
  (next, call) => {
    const done = after === undefined ? next : Effect.onExit(next, (exit) => after(call, exit))
    return before === undefined ? done : Effect.andThen(before(call), done)
  }

const aroundMany =
  ({ item, streamEnd, streamStart }: AnyHooks): AroundStream =>
  (next, call) => {
    let stream = next
    if (item !== undefined) stream = Stream.tap(stream, (value) => item(call, value))
    if (streamEnd !== undefined) stream = Stream.onExit(stream, (exit) => Effect.orDie(streamEnd(call, exit)))
    return streamStart === undefined ? stream : Stream.unwrap(Effect.as(streamStart(call), stream))
  }

const sideOf = (hooks: Hooks | undefined, match: Pick<Side, "matches" | "when">): Side | undefined => {
  if (hooks === undefined) return undefined
  const once = aroundOnce(hooks as AnyHooks)
  const answered = hooks.before === undefined && hooks.after === undefined ? undefined : once
  const streams = hooks.streamStart !== undefined || hooks.item !== undefined || hooks.streamEnd !== undefined
  const stream = streams ? aroundMany(hooks as AnyHooks) : undefined
  return { ...match, beside: true, once: answered, asked: answered, told: answered, stream }
}

/**
 * An interceptor that looks on, in two tiers: `caller` hooks run where the sender is, for every message; `handler` hooks run
 * where the handler does, for those that match. It takes no message from another.
 *
 * **Example** (Both tiers of one ask)
 *
 * ```ts import.meta.vitest
 * import { Effect, Exit, Schema } from "effect"
 * import { Actor, Interceptor } from "effect-otp"
 *
 * class Echo extends Actor.Service<Echo>()("docs/Echo", {
 *   Say: { payload: { text: Schema.String }, success: Schema.String }
 * }) {}
 * const EchoLive = Echo.behavior(Effect.succeed(Echo.of({ Say: ({ text }) => text })))
 *
 * const lines: Array<string> = []
 * const write = (line: string) => Effect.sync(() => void lines.push(line))
 * const Watched = Interceptor.hooks({
 *   caller: { before: () => write("caller before"), after: () => write("caller after") },
 *   handler: { before: () => write("handler before"), after: (_, exit) => write(`handler ${exit._tag}`) }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const echo = yield* Actor.spawn(EchoLive.pipe(Interceptor.apply(Watched)))
 *   yield* echo.ask.Say({ text: "hello" })
 *   return lines
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["caller before", "handler before", "handler Success", "caller after"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const hooks = <const O extends Match & { readonly caller?: Hooks; readonly handler?: Hooks }>(
  options: O
): Interceptor<
  ErrorOf<HookResult<O, "handler">>,
  Exclude<NeedOf<HookResult<O, "handler">>, Own>,
  ErrorOf<HookResult<O, "caller">>,
  NeedOf<HookResult<O, "caller">>
> =>
  asInterceptor({
    handler: sideOf(options.handler, { matches: matchesOf(options), when: options.when }),
    caller: sideOf(options.caller, { matches: everything, when: undefined })
  })

/**
 * An interceptor of handlers that each incarnation makes for itself, in its own Scope: for one that keeps something. One that
 * does something at the caller's side too is a defect of the init: callers are not part of an incarnation.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unwrap = <E2, R2, E, R>(
  make: Effect.Effect<Interceptor<E2, R2>, E, R>
): Interceptor<E | E2, R2 | Exclude<R, Own>> =>
  asInterceptor({ handler: undefined, caller: undefined, make: make as Effect.Effect<never, unknown> })

/**
 * Whether what came of a message is that its handler has set it aside (`Stash`): nothing has failed, and it is handled again.
 *
 * @category guards
 * @since 0.1.0
 */
export const isKept = (exit: Exit.Exit<unknown, unknown>): boolean => wasKept(exit)

// --- Instead of handling ---

/**
 * The message was not handled because an interceptor said so.
 *
 * @category errors
 * @since 0.1.0
 */
export class Dropped extends Schema.TaggedError<Dropped>()("Dropped", {
  actor: Schema.String,
  tag: Schema.String
}) {
  override get message(): string {
    return `${this.actor} does not handle this ${this.tag}: an interceptor has dropped it`
  }
}

/**
 * Does not handle the message, and lets the actor live: an error that the message declares is its reply, of any other whoever
 * asked is told by `HandlerFailed`; where nobody asked, an `Unhandled` event is told. At the handler's side only.
 *
 * @category handling
 * @since 0.1.0
 */
export const refuse = (error: unknown): Effect.Effect<never, Failure, ActorContext> => refuseCause(Cause.fail(error))

/**
 * As `refuse`, for a failure that has happened already.
 *
 * @category handling
 * @since 0.1.0
 */
export const refuseCause = (cause: Cause.Cause<unknown>): Effect.Effect<never, Failure, ActorContext> =>
  refusal(cause, false)

const refusal = (cause: Cause.Cause<unknown>, dropped: boolean): Effect.Effect<never, Failure, ActorContext> =>
  Effect.fail(new Refusal(cause, dropped)) as Effect.Effect<never, never>

/**
 * Does not handle the message: an `Unhandled` event is told, and whoever asked gets `HandlerFailed` with `Dropped`.
 *
 * **Example** (Nothing but good words)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Interceptor } from "effect-otp"
 *
 * class Log extends Actor.Service<Log>()("docs/Log", {
 *   Line: { payload: { text: Schema.String } },
 *   Lines: { success: Schema.Array(Schema.String) }
 * }) {}
 * const LogLive = Log.behavior(Log.sync(() => {
 *   const lines: Array<string> = []
 *   return Log.of({ Line: ({ text }) => void lines.push(text), Lines: () => lines })
 * }))
 *
 * const Polite = Interceptor.message(Log, "Line", {
 *   handle: (next, { payload: { text } }, nextWith) =>
 *     text === "damn" ? Interceptor.drop : nextWith({ text: text.toUpperCase() })
 * })
 * const program = Effect.gen(function*() {
 *   const log = yield* Actor.spawn(LogLive.pipe(Interceptor.apply(Polite)))
 *   for (const text of ["good", "damn"]) yield* log.tell.Line({ text })
 *   return yield* log.ask.Lines()
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["GOOD"]
 * ```
 *
 * @category handling
 * @since 0.1.0
 */
export const drop: Effect.Effect<never, Failure, ActorContext> = Effect.flatMap(ActorContext, (turn) => {
  const slot = turn.incarnation.host as Slot
  const { tag } = slot.describe(turn.item, turn.payload)
  return refusal(Cause.fail(new Dropped({ actor: slot.path, tag })), true)
})

// --- Applying ---

type ErrorsOf<I> = I extends Interceptor<infer E, infer _R, infer _EC, infer _RC> ? E : never
type NeedsOf<I> = I extends Interceptor<infer _E, infer R, infer _EC, infer _RC> ? R : never
type CallErrorsOf<I> = I extends Interceptor<infer _E, infer _R, infer EC, infer _RC> ? EC : never
type CallNeedsOf<I> = I extends Interceptor<infer _E, infer _R, infer _EC, infer RC> ? RC : never

/** What adds nothing to what an ask can fail with, so that a ref stays a ref. */
type Quiet = Interceptor<unknown, unknown>

/**
 * A behavior with interceptors on both of its sides. Those applied together are a choice: of the ones that wrap, the first
 * that matches has the message. Applied one after the other they nest, the last outermost; one applied twice is applied once,
 * where it is outermost. What they fail with and need joins the behavior's own.
 *
 * Each message of a batch is intercepted for itself; those whose interceptors want the handler at the same time are handled as
 * one batch. What a handler forwards is answered elsewhere: its interceptors see no reply. What is sent by `tellUnsafe`, outside
 * of Effect, and what is forwarded passes no caller's side.
 *
 * @category combinators
 * @since 0.1.0
 */
export const apply =
  <const I extends ReadonlyArray<Quiet>>(...interceptors: I) =>
  <A, Args, E, R>(
    behavior: Behavior<A, Args, E, R>
  ): Behavior<A, Args, E | ErrorsOf<I[number]>, R | NeedsOf<I[number]>> =>
    implOf(behavior).intercepted(interceptors as unknown as ReadonlyArray<InterceptorImpl>) as never

/**
 * Whether a value is an interceptor.
 *
 * @category guards
 * @since 0.1.0
 */
export const isInterceptor = (u: unknown): u is Any => typeof u === "object" && u !== null && TypeId in u

/**
 * A ref whose asks and streams can fail with more than the protocol and `AskError` say, or need services.
 *
 * @category models
 * @since 0.1.0
 */
export interface Caller<A, E, R> extends Endable, Pipeable.Pipeable {
  readonly ask: {
    readonly [K in keyof P.Asking<ProtocolOf<A>>]: (
      ...args: P.Args<ProtocolOf<A>[K & keyof ProtocolOf<A>]>
    ) => Effect.Effect<
      P.Success<ProtocolOf<A>[K & keyof ProtocolOf<A>]>,
      P.Failure<ProtocolOf<A>[K & keyof ProtocolOf<A>]> | AskError | E,
      R
    >
  }
  readonly tell: {
    readonly [K in keyof ProtocolOf<A>]: (...args: P.Args<ProtocolOf<A>[K]>) => Effect.Effect<void, E, R>
  }
  readonly stream: {
    readonly [K in keyof P.Streaming<ProtocolOf<A>>]: (
      ...args: P.Args<ProtocolOf<A>[K & keyof ProtocolOf<A>]>
    ) => Stream.Stream<
      P.Success<ProtocolOf<A>[K & keyof ProtocolOf<A>]>,
      P.Failure<ProtocolOf<A>[K & keyof ProtocolOf<A>]> | AskError | E,
      R
    >
  }
}

/**
 * The same actor, sent to through interceptors: their caller's side is around every message sent by this ref. Where they add
 * failures or needs to an ask, what comes back says so.
 *
 * **Example** (Asking again what a restart gave up)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Interceptor } from "effect-otp"
 *
 * class Echo extends Actor.Service<Echo>()("docs/Echo", {
 *   Say: { payload: { text: Schema.String }, success: Schema.String }
 * }) {}
 * const EchoLive = Echo.behavior(Effect.succeed(Echo.of({ Say: ({ text }) => text })))
 *
 * const Loud = Interceptor.make({
 *   ask: (next, call, nextWith) => nextWith({ text: (call.payload as { text: string }).text.toUpperCase() })
 * })
 * const program = Effect.gen(function*() {
 *   const echo = yield* Actor.spawn(EchoLive)
 *   const loud = echo.pipe(Interceptor.through(Loud))
 *   return [yield* echo.ask.Say({ text: "hello" }), yield* loud.ask.Say({ text: "hello" })]
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["hello", "HELLO"]
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const through =
  <const I extends ReadonlyArray<Any>>(...interceptors: I) =>
  <Ref extends Endable & { readonly ask: object }>(
    ref: Ref
  ): Through<Ref, CallErrorsOf<I[number]>, CallNeedsOf<I[number]>> =>
    throughRef(ref as never, interceptors as never) as never

/**
 * A ref, or one that has something around it already, with these failures and needs added.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Through<Ref, E, R> =
  Ref extends ActorRef<infer A>
    ? [E | R] extends [never]
      ? Ref
      : Caller<A, E, R>
    : Ref extends Caller<infer A, infer E0, infer R0>
      ? Caller<A, E0 | E, R0 | R>
      : never
