/**
 * The address of an actor. It outlives restarts: a ref names the actor's place, never one run of it.
 *
 * `tell` sends and goes on, `ask` waits for the reply, `stream` receives many; `tellUnsafe` is a tell for callbacks outside
 * Effect. What travels is the sender's own object: treat payloads as immutable.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import { dual } from "effect/Function"
import type * as Context from "effect/Context"
import * as Inspectable from "effect/Inspectable"
import * as Pipeable from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { clampPriority } from "../runtime/admission.ts"
import type * as ExitReason from "../runtime/ExitReason.ts"
import { keepShape } from "../runtime/shapes.ts"
import type { Slot } from "../runtime/slot.ts"
import type { AskError } from "./AskError.ts"
import { type Compiled, payloadSchema } from "./Protocol.ts"
import type * as P from "./Protocol.ts"
import { isSurrounded, Surrounded } from "./calling.ts"
import { addLayer, type Layer } from "./intercepting.ts"
import { limitMillis } from "./limit.ts"
import * as Sending from "./sending.ts"
import { stream } from "./streaming.ts"

export {
  /** An ask that got no reply, with the reason. @since 0.1.0 */
  AskedItself,
  AskError,
  HandlerFailed,
  MailboxFull,
  NoMembers,
  NotRunning,
  Restarting,
  Timeout,
  Unreachable
} from "./AskError.ts"

const TypeId = "~effect-otp/ActorRef"

/**
 * The protocol of an actor class.
 *
 * @category type-level
 * @since 0.1.0
 */
export type ProtocolOf<A> = A extends { readonly "~protocol": infer P } ? P : never

// The `-?` below takes nothing away, since no message is optional. It has TypeScript compare two views message by message: by their
// protocols alone, one whose asks can fail would pass for one whose asks cannot.

/**
 * `ref.ask`: send and wait for the reply.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Ask<Messages> = {
  readonly [K in keyof P.Asking<Messages>]-?: (
    ...args: P.Args<Messages[K & keyof Messages]>
  ) => Effect.Effect<P.Success<Messages[K & keyof Messages]>, P.Failure<Messages[K & keyof Messages]> | AskError>
}

/**
 * `ref.tell`: send and go on.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Tell<Messages> = {
  readonly [K in keyof Messages]-?: (...args: P.Args<Messages[K]>) => Effect.Effect<void>
}

/**
 * `ref.tellUnsafe`: send from outside Effect.
 *
 * @category type-level
 * @since 0.1.0
 */
export type TellUnsafe<Messages> = {
  readonly [K in keyof Messages]-?: (...args: P.Args<Messages[K]>) => boolean
}

/**
 * `ref.stream`: send and receive many replies.
 *
 * @category type-level
 * @since 0.1.0
 */
export type StreamOf<Messages> = {
  readonly [K in keyof P.Streaming<Messages>]-?: (
    ...args: P.Args<Messages[K & keyof Messages]>
  ) => Stream.Stream<P.Success<Messages[K & keyof Messages]>, P.Failure<Messages[K & keyof Messages]> | AskError>
}

/**
 * What an actor is doing: `restarting` is the time between two incarnations, `suspended` that between `Actor.suspend` and
 * `Actor.resume`.
 *
 * @category models
 * @since 0.1.0
 */
export type Status = "starting" | "running" | "suspended" | "restarting" | "stopping" | "stopped"

/**
 * The address of an actor of class `A`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ActorRef<A> extends Pipeable.Pipeable, Inspectable.Inspectable {
  readonly [TypeId]: typeof TypeId
  /** Where it stands in its tree, such as `app/frontend/app/Counter`. */
  readonly path: string
  /** What it is doing now. */
  readonly status: Status
  /** How many messages are queued. */
  readonly size: number
  /** Send and wait for the reply. Fails with the declared error, or with `AskError` when no reply comes. */
  readonly ask: Ask<ProtocolOf<A>>
  /** Send and go on. Never fails: what cannot be delivered becomes a dead letter. Waits only for a full `suspend` mailbox. */
  readonly tell: Tell<ProtocolOf<A>>
  /** Send from a callback. `false`: not accepted, and recorded as a dead letter. */
  readonly tellUnsafe: TellUnsafe<ProtocolOf<A>>
  /** Send and receive many replies, as fast as they are consumed. */
  readonly stream: StreamOf<ProtocolOf<A>>
  /** Completes when the actor has ended for good, at once when it has. A restart is no end. */
  readonly ended: Effect.Effect<ExitReason.ExitReason>
}

/**
 * Anything that can be watched and linked: an actor's ref, a supervisor's handle.
 *
 * @category models
 * @since 0.1.0
 */
export interface Endable {
  readonly path: string
  readonly ended: Effect.Effect<ExitReason.ExitReason>
}

/**
 * The service key of an actor: its class.
 *
 * @category models
 * @since 0.1.0
 */
export type Key<A> = Context.Key<A, ActorRef<A>>

/**
 * A message from untyped code that the actor does not understand: `known` lists what it does.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownMessage extends Schema.TaggedError<UnknownMessage>()("UnknownMessage", {
  actor: Schema.String,
  tag: Schema.Unknown,
  known: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `${this.actor} knows no message ${String(this.tag)}; it knows ${this.known.join(", ")}`
  }
}

/**
 * A message from untyped code whose payload is not what its schema says; `issue` tells where.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidPayload extends Schema.TaggedError<InvalidPayload>()("InvalidPayload", {
  actor: Schema.String,
  tag: Schema.String,
  payload: Schema.Unknown,
  issue: Schema.String
}) {
  override get message(): string {
    return `${this.actor} cannot take ${this.tag} with ${format(this.payload)}: ${this.issue}`
  }
}

// --- Views ---

interface View {
  readonly "~slot": Slot
  readonly "~options": Sending.SendOptions
}

type ViewConstructor = new (slot: Slot, options: Sending.SendOptions) => View

/** The four views of a protocol, with one method per message on a shared prototype. */
interface Views {
  readonly ask: ViewConstructor
  readonly tell: ViewConstructor
  readonly tellUnsafe: ViewConstructor
  readonly stream: ViewConstructor
}

const viewsOf = new WeakMap<Compiled, Views>()
const viewsAround = new WeakMap<Compiled, Views>()

class Plain implements View {
  readonly "~slot": Slot
  readonly "~options": Sending.SendOptions
  constructor(slot: Slot, options: Sending.SendOptions) {
    this["~slot"] = slot
    this["~options"] = options
  }
}

const makeView = <V extends View>(
  compiled: Compiled,
  Base: new (slot: Slot, options: Sending.SendOptions) => V,
  send: (view: V, tag: number, payload: unknown) => unknown
): ViewConstructor => {
  class ProtocolView extends (Base as typeof Plain) {}
  compiled.tags.forEach((name, tag) => {
    const make = compiled.makes[tag]
    const method =
      make === undefined
        ? function (this: V, payload: unknown) {
            return send(this, tag, payload)
          }
        : function (this: V, payload: unknown) {
            return send(this, tag, make(payload))
          }
    Object.defineProperty(ProtocolView.prototype, name, { value: method, enumerable: true })
  })
  keepShape(new ProtocolView(undefined as never, Sending.defaultSendOptions))
  return ProtocolView
}

const makeViews = (compiled: Compiled): Views => ({
  ask: makeView(compiled, Plain, (view, tag, payload) => Sending.ask(view["~slot"], tag, payload, view["~options"])),
  tell: makeView(compiled, Plain, (view, tag, payload) => Sending.tell(view["~slot"], tag, payload, view["~options"])),
  tellUnsafe: makeView(compiled, Plain, (view, tag, payload) =>
    Sending.tellNow(view["~slot"], tag, payload, view["~options"])
  ),
  stream: makeView(compiled, Plain, (view, tag, payload) => stream(view["~slot"], tag, payload, view["~options"]))
})

/** As the others, for refs that may have interceptors. `tellUnsafe` is outside of Effect, where they are not. */
const makeViewsAround = (compiled: Compiled): Views => ({
  ask: makeView(compiled, Surrounded, (view, tag, payload) => view.ask(compiled, tag, payload)),
  tell: makeView(compiled, Surrounded, (view, tag, payload) => view.tell(compiled, tag, payload)),
  tellUnsafe: makeViews(compiled).tellUnsafe,
  stream: makeView(compiled, Surrounded, (view, tag, payload) => view.stream(compiled, tag, payload))
})

class RefImpl extends Pipeable.Class {
  readonly "~slot": Slot
  readonly "~compiled": Compiled
  readonly "~options": Sending.SendOptions
  private askView: View | undefined = undefined
  private tellView: View | undefined = undefined
  private tellUnsafeView: View | undefined = undefined
  private streamView: View | undefined = undefined

  constructor(slot: Slot, compiled: Compiled, options: Sending.SendOptions) {
    super()
    this["~slot"] = slot
    this["~compiled"] = compiled
    this["~options"] = options
  }

  get [TypeId](): typeof TypeId {
    return TypeId
  }
  get path(): string {
    return this["~slot"].path
  }
  get status(): Status {
    return this["~slot"].status
  }
  get size(): number {
    return this["~slot"].size
  }
  get ask(): View {
    return (this.askView ??= this.view("ask"))
  }
  get tell(): View {
    return (this.tellView ??= this.view("tell"))
  }
  get tellUnsafe(): View {
    return (this.tellUnsafeView ??= this.view("tellUnsafe"))
  }
  get stream(): View {
    return (this.streamView ??= this.view("stream"))
  }
  get ended(): Effect.Effect<ExitReason.ExitReason> {
    return Effect.callback((resume) => Effect.sync(this["~slot"].watch((reason) => resume(Effect.succeed(reason)))))
  }
  toJSON(): unknown {
    return { _id: "ActorRef", path: this.path, status: this.status }
  }
  override toString(): string {
    return `ActorRef(${this.path})`
  }
  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  /** Another behavior has come, whose callers may have a side where there was none. */
  renew(): void {
    this.askView = this.tellView = this.tellUnsafeView = this.streamView = undefined
  }

  protected get isSurrounded(): boolean {
    // One with options of its own is not known to its slot, and has to look each time.
    return this["~options"] !== Sending.defaultSendOptions || isSurrounded(this["~slot"])
  }

  private view(kind: keyof Views): View {
    const compiled = this["~compiled"]
    const slot = this["~slot"]
    const around = this.isSurrounded
    const known = around ? viewsAround : viewsOf
    let views = known.get(compiled)
    if (views === undefined) known.set(compiled, (views = (around ? makeViewsAround : makeViews)(compiled)))
    return new views[kind](slot, this["~options"])
  }
}

/** Sends past what is around the messages. */
class PastRef extends RefImpl {
  protected override get isSurrounded(): boolean {
    return false
  }
}

keepShape(new RefImpl(undefined as never, undefined as never, Sending.defaultSendOptions))

/** The ref of a slot; the same one each time. @internal */
export const make = <A>(slot: Slot, compiled: Compiled): ActorRef<A> =>
  (slot.ref ??= new RefImpl(slot, compiled, Sending.defaultSendOptions)) as ActorRef<A>

/** Lets the ref of a slot know that another behavior runs there. @internal */
export const renew = (slot: Slot): void => (slot.ref as RefImpl | undefined)?.renew()

/** The place a ref names. @internal */
export const slotOf = (ref: Endable): Slot => (ref as unknown as { readonly "~slot": Slot })["~slot"]

const derive = <A>(ref: ActorRef<A>, options: Partial<Sending.SendOptions>): ActorRef<A> => {
  const impl = ref as unknown as RefImpl
  const merged = { ...impl["~options"], ...options }
  return new RefImpl(impl["~slot"], impl["~compiled"], merged) as unknown as ActorRef<A>
}

/** The same actor, sent to through interceptors. @internal */
export const through = <A>(ref: ActorRef<A>, layer: Layer): ActorRef<A> =>
  derive(ref, { around: addLayer((ref as unknown as RefImpl)["~options"].around ?? [], layer) })

/**
 * The same actor, sent to past its callers' side: for what brings messages from another place, where that has run.
 *
 * @internal
 */
export const past = <A>(ref: ActorRef<A>): ActorRef<A> => {
  const { "~compiled": compiled, "~options": options, "~slot": slot } = ref as unknown as RefImpl
  return new PastRef(slot, compiled, options) as unknown as ActorRef<A>
}

// --- Public ---

/**
 * Whether a value is a ref.
 *
 * @category guards
 * @since 0.1.0
 */
export const isActorRef = (u: unknown): u is ActorRef<unknown> => Predicate.hasProperty(u, TypeId)

/**
 * The same actor, asked with another time limit. `mailbox` bounds the wait for room in a full mailbox on its own.
 * The default limit is the system's, 5 seconds; `Duration.infinity` waits for ever.
 *
 * **Example** (A patient ask)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, ActorRef } from "effect-otp"
 *
 * class Slow extends Actor.Service<Slow>()("docs/Slow", { Work: { success: Schema.Int } }) {}
 * const SlowLive = Slow.behavior(Effect.succeed(Slow.of({ Work: () => Effect.delay(Effect.succeed(1), "20 millis") })))
 *
 * const program = Effect.gen(function*() {
 *   const slow = yield* Actor.spawn(SlowLive)
 *   const hasty = slow.pipe(ActorRef.withTimeout("1 milli"))
 *   const first = yield* Effect.flip(hasty.ask.Work())
 *   return [first.reason._tag, yield* slow.ask.Work()]
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["Timeout", 1]
 * ```
 *
 * @category options
 * @since 0.1.0
 */
export const withTimeout: {
  (limit: Duration.Input, options?: { readonly mailbox?: Duration.Input }): <A>(ref: ActorRef<A>) => ActorRef<A>
  <A>(ref: ActorRef<A>, limit: Duration.Input, options?: { readonly mailbox?: Duration.Input }): ActorRef<A>
} = dual(
  (args) => isActorRef(args[0]),
  <A>(ref: ActorRef<A>, limit: Duration.Input, options?: { readonly mailbox?: Duration.Input }): ActorRef<A> =>
    derive(ref, {
      timeout: limitMillis("the limit of withTimeout", limit),
      ...(options?.mailbox === undefined
        ? undefined
        : { mailboxTimeout: limitMillis("the mailbox limit of withTimeout", options.mailbox) })
    })
)

/**
 * The same actor, sent to with a priority from 0 to 255, 255 first. Messages without one have 128.
 *
 * @category options
 * @since 0.1.0
 */
export const withPriority: {
  (priority: number): <A>(ref: ActorRef<A>) => ActorRef<A>
  <A>(ref: ActorRef<A>, priority: number): ActorRef<A>
} = dual(2, <A>(ref: ActorRef<A>, priority: number): ActorRef<A> => derive(ref, { priority: clampPriority(priority) }))

/**
 * The same actor, with every message marked as part of one conversation. What its handler sends in turn carries the mark
 * on.
 *
 * @category options
 * @since 0.1.0
 */
export const withCorrelationId: {
  (correlationId: string): <A>(ref: ActorRef<A>) => ActorRef<A>
  <A>(ref: ActorRef<A>, correlationId: string): ActorRef<A>
} = dual(2, <A>(ref: ActorRef<A>, correlationId: string): ActorRef<A> => {
  slotOf(ref).system.correlates = true
  return derive(ref, { correlationId })
})

/**
 * The same actor, with streams that let the producer be `size` elements ahead of the consumer. Default 16.
 *
 * @category options
 * @since 0.1.0
 */
export const withBuffer: {
  (size: number): <A>(ref: ActorRef<A>) => ActorRef<A>
  <A>(ref: ActorRef<A>, size: number): ActorRef<A>
} = dual(2, <A>(ref: ActorRef<A>, size: number): ActorRef<A> => derive(ref, { buffer: Math.max(1, Math.trunc(size)) }))

/**
 * A tell from untyped code: the tag is looked up and the payload decoded by its schema before anything is sent.
 *
 * **Example** (A message from a wire)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, ActorRef } from "effect-otp"
 *
 * class Log extends Actor.Service<Log>()("docs/Log", { Line: { payload: { text: Schema.String } } }) {}
 * const LogLive = Log.behavior(Effect.succeed(Log.of({ Line: () => {} })))
 *
 * const program = Effect.gen(function*() {
 *   const log = yield* Actor.spawn(LogLive)
 *   yield* ActorRef.tellUnknown(log, { _tag: "Line", payload: { text: "hello" } })
 *   return (yield* Effect.flip(ActorRef.tellUnknown(log, { _tag: "Lime" }))).message
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => "docs/Log#1 knows no message Lime; it knows Line"
 * ```
 *
 * @category sending
 * @since 0.1.0
 */
export const tellUnknown = <A>(
  ref: ActorRef<A>,
  message: { readonly _tag: unknown; readonly payload?: unknown }
): Effect.Effect<void, UnknownMessage | InvalidPayload> =>
  Effect.suspend((): Effect.Effect<void, UnknownMessage | InvalidPayload> => {
    const impl = ref as unknown as RefImpl
    const tag = impl["~compiled"].tags.indexOf(message?._tag as string)
    if (tag < 0) {
      return Effect.fail(new UnknownMessage({ actor: ref.path, tag: message?._tag, known: impl["~compiled"].tags }))
    }
    const name = impl["~compiled"].tags[tag]!
    const schema = payloadSchema(impl["~compiled"].protocol[name]!) as Schema.Codec<unknown, unknown>
    const decoded = Effect.mapError(
      Schema.decodeUnknownEffect(schema)(message.payload),
      ({ message: issue }) => new InvalidPayload({ actor: ref.path, tag: name, payload: message.payload, issue })
    )
    return Effect.flatMap(decoded, (payload) =>
      (impl.tell as unknown as Readonly<Record<string, (payload: unknown) => Effect.Effect<void>>>)[name]!(payload)
    )
  })
