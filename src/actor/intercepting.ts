/**
 * Code around messages: what an interceptor is made of, and how those of one behavior or one ref are put together.
 *
 * Invariants:
 * 1. A message that no interceptor can match has its handler called as if there were none.
 * 2. Of the replacing interceptors of one layer the first that matches has the message; layers nest, the latest is outermost.
 * 3. A refusal never leaves the handler's side as a failure: whoever asked is told, and the actor lives.
 * 4. What is inside begins when the one outside of it runs it, and as often.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type Envelope, KEPT } from "../runtime/envelope.ts"
import { ActorContext, type Turn } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import type { CompiledHandler } from "../runtime/turns.ts"
import { InvalidInterceptor } from "./interceptorOptions.ts"
import type { Compiled } from "./Protocol.ts"

/** @internal */
export const TypeId = "~effect-otp/Interceptor"

/**
 * Code around messages. At the handler's side it can add failures `E`, which end the actor unless the message declares them,
 * and needs `R`; at the caller's side it can add failures `EC` and needs `RC`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Interceptor<out E = never, out R = never, out EC = never, out RC = never> {
  readonly [TypeId]: {
    readonly E: () => E
    readonly R: () => R
    readonly EC: () => EC
    readonly RC: () => RC
  }
}

declare const Opaque: unique symbol

/**
 * What a handler answers with, whatever that is: an interceptor of many messages does not know.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reply {
  readonly [Opaque]: "Reply"
}

/**
 * What a handler fails with, whatever that is: an interceptor of many messages does not know.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  readonly [Opaque]: "Failure"
}

/**
 * A message on its way, as interceptors see it. At the handler's side everything is known; at the caller's side, `state` is
 * none and `incarnation` the one that runs there now.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call<out Payload = unknown> {
  /** How it was sent. */
  readonly kind: "ask" | "tell" | "stream"
  /** The path of the actor it is for. */
  readonly actor: string
  /** The key of that actor's class. */
  readonly key: string
  readonly tag: string
  readonly payload: Payload
  /** Unique in its system; a message sent again by a caller's side interceptor keeps it. */
  readonly id: number
  readonly correlationId: string | undefined
  /** The path of the actor that sent it, where one did. */
  readonly sender: string | undefined
  readonly priority: number
  /** Monotonic milliseconds until when somebody waits for the outcome; `Infinity` for a tell. */
  readonly deadline: number
  /** Milliseconds until then, from now; below 0 when nobody waits any more. */
  readonly remaining: number
  /** Which run of the actor: 1 for the first. */
  readonly incarnation: number
  /** What the protocol says about the message. */
  readonly annotations: Context.Context<never>
  /** The actor's state, where its behavior keeps it with `Actor.state`. */
  readonly state: Option.Option<unknown>
}

type AnyEffect = Effect.Effect<unknown, unknown>
type AnyStream = Stream.Stream<unknown, unknown>

/** Around something that is answered once. @internal */
export type Around = (next: AnyEffect, call: Call, nextWith: (payload: unknown) => AnyEffect) => AnyEffect
/** Around a stream of replies. @internal */
export type AroundStream = (next: AnyStream, call: Call, nextWith: (payload: unknown) => AnyStream) => AnyStream

/** Code around one side of a message. @internal */
export interface Side {
  readonly once?: Around | undefined
  readonly asked?: Around | undefined
  readonly told?: Around | undefined
  readonly stream?: AroundStream | undefined
  /** Besides the interceptor that has the message, not instead of it. */
  readonly beside: boolean
  /** Known before any message comes. */
  readonly matches: (key: string, tag: string, annotations: Context.Context<never>) => boolean
  readonly when: ((call: Call) => boolean) | undefined
}

/** @internal */
export interface InterceptorImpl {
  readonly handler: Side | undefined
  readonly caller: Side | undefined
  /** Makes the one that handles, for each incarnation anew. */
  readonly make: Effect.Effect<InterceptorImpl, unknown> | undefined
}

/** Applied together, in order. @internal */
export type Layer = ReadonlyArray<InterceptorImpl>

/** Another layer outside of the others; what is in both stays where it is outermost. @internal */
export const addLayer = (layers: ReadonlyArray<Layer>, layer: Layer): ReadonlyArray<Layer> => [
  ...layers.map((inner) => inner.filter((each) => !layer.includes(each))).filter((inner) => inner.length > 0),
  layer
]

/** The handlers' sides, where all of them are there without running anything. @internal */
export const isMade = (layers: ReadonlyArray<Layer>): boolean =>
  layers.every((layer) => layer.every(({ make }) => make === undefined))

/** Makes those that each incarnation has of its own. @internal */
export const makeAll = (layers: ReadonlyArray<Layer>): Effect.Effect<ReadonlyArray<Layer>, unknown> =>
  Effect.forEach(layers, (layer) => Effect.forEach(layer, (each) => made(each)))

const made = (interceptor: InterceptorImpl): Effect.Effect<InterceptorImpl, unknown> => {
  if (interceptor.make === undefined) return Effect.succeed(interceptor)
  return Effect.flatMap(interceptor.make, (own) => (own.caller === undefined ? made(own) : Effect.die(outOfReach)))
}

const outOfReach = new InvalidInterceptor({
  interceptor: "unwrap",
  field: "caller",
  value: undefined,
  problem: "is out of an incarnation's reach: make one that handles, and apply the caller's side on its own"
})

// --- Refusal ---

/** Why a message is not handled: a failure that ends no actor. @internal */
export class Refusal {
  readonly cause: Cause.Cause<unknown>
  /** It is told as unhandled, also where somebody asked and is told. */
  readonly dropped: boolean
  constructor(cause: Cause.Cause<unknown>, dropped: boolean) {
    this.cause = cause
    this.dropped = dropped
  }
}

/** The declared error of a message is its reply; of anything else whoever asked is told, and where nobody did, the system. */
const settleRefusal = (
  { cause, dropped }: Refusal,
  { envelope, payload, slot, tag }: HandledCall
): Exit.Exit<undefined> => {
  const declared = envelope.asked !== undefined && slot.isDeclared(cause, envelope)
  if (declared) envelope.fail(Exit.failCause(cause))
  const told = declared || envelope.undelivered({ _tag: "HandlerFailed", cause })
  if ((dropped || !told) && slot.system.observed) slot.system.emit({ _tag: "Unhandled", path: slot.path, tag, payload })
  return Exit.succeed(undefined)
}

/** Whether a message was set aside, to be handled later: nothing of it has failed. @internal */
export const isKept = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && exit.cause.reasons.every((reason) => Cause.isDieReason(reason) && reason.defect === KEPT)

// --- Putting together ---

/** @internal */
export type Run = (payload: unknown, call: Call) => AnyEffect
/** @internal */
export type RunStream = (payload: unknown, call: Call) => AnyStream

const withPayload = (call: Call, payload: unknown): Call =>
  payload === call.payload ? call : Object.create(call, { payload: { value: payload, enumerable: true } })

/** What can be put around: effects and streams, and how each is begun only when it is run. */
interface Kind<Next> {
  readonly suspend: (next: () => Next) => Next
}

const effects: Kind<AnyEffect> = { suspend: Effect.suspend }
const streams: Kind<AnyStream> = { suspend: Stream.suspend }

type Around1<Next> = (next: Next, call: Call, nextWith: (payload: unknown) => Next) => Next

const wrap = <Next>(
  inner: (payload: unknown, call: Call) => Next,
  { when }: Side,
  around: Around1<Next>,
  { suspend }: Kind<Next>
) => {
  return (payload: unknown, call: Call): Next => {
    if (when !== undefined && !when(call)) return inner(payload, call)
    const nextWith = (other: unknown) => suspend(() => inner(other, withPayload(call, other)))
    return around(
      suspend(() => inner(payload, call)),
      call,
      nextWith
    )
  }
}

/** One layer around what is inside of it; the same function where no interceptor of it can match. */
const layered = <Next>(
  inner: (payload: unknown, call: Call) => Next,
  sides: ReadonlyArray<Side>,
  aroundOf: (side: Side) => Around1<Next> | undefined,
  kind: Kind<Next>
): ((payload: unknown, call: Call) => Next) => {
  const able = sides.filter((side) => aroundOf(side) !== undefined)
  const choices = able.filter(({ beside }) => !beside)
  const certain = choices.findIndex(({ when }) => when === undefined)
  let run = inner
  if (choices.length === 1 || certain === 0) run = wrap(inner, choices[0]!, aroundOf(choices[0]!)!, kind)
  else if (choices.length > 1) {
    const wrapped = choices.map((side) => wrap(inner, { ...side, when: undefined }, aroundOf(side)!, kind))
    run = (payload, call) => {
      const first = choices.findIndex(({ when }) => when === undefined || when(call))
      return first < 0 ? inner(payload, call) : wrapped[first]!(payload, call)
    }
  }
  for (const side of able.filter(({ beside }) => beside).toReversed()) run = wrap(run, side, aroundOf(side)!, kind)
  return run
}

// --- The handler's side ---

/** Which message of which actor. @internal */
export interface Place {
  readonly key: string
  readonly compiled: Compiled
}

const sidesFor = (
  layer: Layer,
  { compiled, key }: Place,
  tag: number,
  which: "handler" | "caller"
): ReadonlyArray<Side> =>
  layer.flatMap((interceptor) => {
    const side = interceptor[which]
    return side?.matches(key, compiled.tags[tag]!, compiled.annotations[tag]!) === true ? [side] : []
  })

class HandledCall implements Call {
  readonly payload: unknown
  readonly envelope: Envelope
  readonly key: string
  readonly turn: Turn
  private readonly streams: boolean

  constructor(turn: Turn, key: string, payload: unknown, streams: boolean) {
    this.turn = turn
    this.key = key
    this.payload = payload
    this.streams = streams
    // Kept, since the turn goes on to other messages.
    this.envelope = turn.envelope()
  }

  get slot(): Slot {
    return this.turn.incarnation.host as Slot
  }
  get kind(): Call["kind"] {
    return this.streams ? "stream" : this.envelope.asked === undefined ? "tell" : "ask"
  }
  get actor(): string {
    return this.slot.path
  }
  get tag(): string {
    return this.slot.program.tags[this.envelope.tag] ?? ""
  }
  get id(): number {
    return this.envelope.id
  }
  get correlationId(): string | undefined {
    return this.envelope.correlationId
  }
  get sender(): string | undefined {
    return this.envelope.sender
  }
  get priority(): number {
    return this.envelope.priority
  }
  get deadline(): number {
    return this.envelope.deadline()
  }
  get remaining(): number {
    return this.deadline - this.slot.system.timers.now()
  }
  get incarnation(): number {
    return this.turn.incarnation.number
  }
  get annotations(): Context.Context<never> {
    return this.slot.program.annotations![this.envelope.tag]!
  }
  get state(): Option.Option<unknown> {
    return this.turn.incarnation.stateOf("state")
  }
}

/**
 * What whoever sent a message is answered with, as far as that is known when its handler is done: not where another actor
 * answers, or this one later.
 *
 * @internal
 */
export const answerOf = <A, E>(call: Call, exit: Exit.Exit<A, E>): Exit.Exit<A, E> | undefined => {
  const { envelope, turn } = call as HandledCall
  const { asked } = envelope
  if (asked === undefined || Exit.isFailure(exit)) return exit
  if (asked.isHandedOn) return undefined
  if (asked.exit?._tag === "Success") return asked.exit as Exit.Exit<A, E>
  return turn.item === envelope ? exit : undefined
}

const isGenerator = (value: unknown): value is Generator<AnyEffect, unknown, never> =>
  typeof value === "object" && value !== null && Symbol.iterator in value && "next" in value

const effectOf = (handler: CompiledHandler, payload: unknown): AnyEffect =>
  Effect.suspend(() => {
    const result = handler(payload)
    if (Effect.isEffect(result)) return result as AnyEffect
    return isGenerator(result) ? Effect.gen(() => result) : Effect.succeed(result)
  })

const onceIntercepted = (key: string, run: Run): CompiledHandler => {
  return (payload) =>
    Effect.withFiber((fiber) => {
      const turn = Context.getUnsafe(fiber.context, ActorContext as never) as Turn
      const call = new HandledCall(turn, key, payload, false)
      return run(payload, call).pipe(
        Effect.catch((error) => (error instanceof Refusal ? settleRefusal(error, call) : Exit.fail(error)))
      )
    })
}

const streamIntercepted = (key: string, run: RunStream): CompiledHandler => {
  return (payload) =>
    Stream.unwrap(
      Effect.withFiber((fiber) => {
        const turn = Context.getUnsafe(fiber.context, ActorContext as never) as Turn
        const call = new HandledCall(turn, key, payload, true)
        // A declared error ends the stream as one of the handler does; of any other whoever asked is told.
        const refused = (refusal: Refusal): AnyStream =>
          call.slot.isDeclared(refusal.cause, call.envelope)
            ? Stream.failCause(refusal.cause)
            : Stream.fromEffectDrain(Effect.suspend(() => settleRefusal(refusal, call)))
        const guarded = run(payload, call).pipe(
          Stream.catch((error) => (error instanceof Refusal ? refused(error) : Stream.fail(error)))
        )
        return Effect.succeed(guarded)
      })
    )
}

/** A handler with all that is around it; the handler itself where nothing is. @internal */
export const interceptHandler = (
  layers: ReadonlyArray<Layer>,
  place: Place,
  tag: number,
  handler: CompiledHandler
): CompiledHandler => {
  if (place.compiled.streams[tag] === true) {
    const bare: RunStream = (payload) => Stream.suspend(() => handler(payload) as AnyStream)
    let run = bare
    for (const layer of layers)
      run = layered(run, sidesFor(layer, place, tag, "handler"), ({ stream }) => stream, streams)
    return run === bare ? handler : streamIntercepted(place.key, run)
  }
  const bare: Run = (payload) => effectOf(handler, payload)
  let run = bare
  for (const layer of layers) run = layered(run, sidesFor(layer, place, tag, "handler"), ({ once }) => once, effects)
  return run === bare ? handler : onceIntercepted(place.key, run)
}

// --- The caller's side ---

/** Whether any of them does something where messages are sent. @internal */
export const hasCaller = (layer: Layer): boolean => layer.some(({ caller }) => caller !== undefined)

/** Whether any of them does something where messages are handled. @internal */
export const hasHandler = (layer: Layer): boolean =>
  layer.some(({ handler, make }) => handler !== undefined || make !== undefined)

/** What is around an ask or a tell of one message, for a caller; `bare` itself where nothing is. @internal */
export const aroundCall = (
  layers: ReadonlyArray<Layer>,
  place: Place,
  tag: number,
  kind: "ask" | "tell",
  bare: Run
): Run => {
  const aroundOf = ({ asked, told }: Side) => (kind === "ask" ? asked : told)
  let run = bare
  for (const layer of layers) run = layered(run, sidesFor(layer, place, tag, "caller"), aroundOf, effects)
  return run
}

/** As `aroundCall`, for a stream of replies. @internal */
export const aroundStream = (layers: ReadonlyArray<Layer>, place: Place, tag: number, bare: RunStream): RunStream => {
  let run = bare
  for (const layer of layers) run = layered(run, sidesFor(layer, place, tag, "caller"), ({ stream }) => stream, streams)
  return run
}
