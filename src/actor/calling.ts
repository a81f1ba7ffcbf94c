/**
 * Sending through interceptors: what a ref does that has some around its messages. Any other ref never comes here.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Envelope } from "../runtime/envelope.ts"
import type { Turn } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import { aroundCall, aroundStream, type Call, type Layer, type Place } from "./intercepting.ts"
import * as Sending from "./sending.ts"
import { stream } from "./streaming.ts"

/** What is around the messages to an actor, besides what a ref adds: its behavior's, and outside of it its system's. @internal */
export const layersOf = (slot: Slot): ReadonlyArray<Layer> => {
  const own = (slot.program.around as ReadonlyArray<Layer> | undefined) ?? NONE
  const shared = (slot.system.around as Layer | undefined) ?? NONE
  return [...own, shared].filter((layer) => layer.some(({ caller }) => caller !== undefined))
}

const NONE: Layer & ReadonlyArray<never> = []

class SentCall implements Call {
  readonly kind: Call["kind"]
  readonly payload: unknown
  readonly id: number
  readonly deadline: number
  readonly incarnation: number
  private readonly slot: Slot
  private readonly place: Place
  private readonly number: number
  private readonly options: Sending.SendOptions
  private readonly turn: Turn | undefined

  constructor(
    kind: Call["kind"],
    place: Place,
    slot: Slot,
    tag: number,
    payload: unknown,
    options: Sending.SendOptions,
    turn: Turn | undefined
  ) {
    this.kind = kind
    this.place = place
    this.slot = slot
    this.number = tag
    this.payload = payload
    this.options = options
    this.turn = turn
    this.id = options.id
    this.incarnation = slot.incarnations
    const limit = options.timeout ?? slot.system.askTimeout
    this.deadline = kind === "ask" ? Math.min(Math.ceil(slot.system.timers.now() + limit), this.inherited) : Infinity
  }

  private get handling(): Envelope | undefined {
    return this.turn?.item instanceof Envelope ? this.turn.item : undefined
  }
  private get inherited(): number {
    return this.handling?.deadline() ?? Infinity
  }
  get actor(): string {
    return this.slot.path
  }
  get key(): string {
    return this.place.key
  }
  get tag(): string {
    return this.place.compiled.tags[this.number]!
  }
  get correlationId(): string | undefined {
    return this.options.correlationId ?? this.handling?.correlationId
  }
  get sender(): string | undefined {
    return this.turn?.incarnation.host.path
  }
  get priority(): number {
    return this.options.priority
  }
  get annotations(): Context.Context<never> {
    return this.place.compiled.annotations[this.number]!
  }
  get state(): Option.Option<unknown> {
    return Option.none()
  }
}

interface Sent {
  readonly place: Place
  readonly slot: Slot
  readonly tag: number
  readonly payload: unknown
  readonly options: Sending.SendOptions
}

/** Each run is a message of its own, whose id stays the same however often it is sent. */
const begin = (kind: Call["kind"], sent: Sent, fiber: Fiber.Fiber<unknown, unknown>) => {
  const { options, payload, place, slot, tag } = sent
  const own = { ...options, id: slot.system.nextId() }
  return { own, call: new SentCall(kind, place, slot, tag, payload, own, Sending.turnOf(fiber.context)) }
}

/** @internal */
export const askThrough = (sent: Sent): Effect.Effect<unknown, unknown> => {
  const { options, payload, place, slot, tag } = sent
  const effect = Effect.withFiber((fiber) => {
    const { call, own } = begin("ask", sent, fiber)
    const bare = (other: unknown) => Sending.ask(slot, tag, other, own)
    return aroundCall(options.around!, place, tag, "ask", bare)(payload, call)
  })
  return Sending.standsFor(effect, { slot, tag, payload, options })
}

/** @internal */
export const tellThrough = (sent: Sent): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const { options, payload, place, slot, tag } = sent
    const { call, own } = begin("tell", sent, fiber)
    const bare = (other: unknown) => Sending.tell(slot, tag, other, own)
    return aroundCall(options.around!, place, tag, "tell", bare)(payload, call) as Effect.Effect<void>
  })

/** @internal */
export const streamThrough = (sent: Sent): Stream.Stream<unknown, unknown> =>
  Stream.unwrap(
    Effect.withFiber((fiber) => {
      const { options, payload, place, slot, tag } = sent
      const { call, own } = begin("stream", sent, fiber)
      const bare = (other: unknown) => stream(slot, tag, other, own)
      return Effect.succeed(aroundStream(options.around!, place, tag, bare)(payload, call))
    })
  )
