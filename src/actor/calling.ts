/**
 * Sending through interceptors: what a ref does that has, or may get, some around its messages. A plain ref never comes here.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Envelope } from "../runtime/envelope.ts"
import type { Turn } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import type { Program } from "../runtime/turns.ts"
import {
  addLayer,
  aroundCall,
  aroundStream,
  type Call,
  hasCaller,
  type Layer,
  type Place,
  type Run,
  type RunStream
} from "./intercepting.ts"
import type { Compiled } from "./Protocol.ts"
import * as Sending from "./sending.ts"
import { stream } from "./streaming.ts"

const NONE: ReadonlyArray<never> = []

/** What is around the messages to an actor: its behavior's, outside of it its system's, outside of those what a ref adds. */
const layersOf = (slot: Slot, added: ReadonlyArray<Layer>): ReadonlyArray<Layer> => {
  const own = (slot.program.around as ReadonlyArray<Layer> | undefined) ?? NONE
  const shared = slot.system.around as Layer | undefined
  if (added.length === 0 && shared === undefined) return own
  return [...(shared === undefined || !hasCaller(shared) ? NONE : [shared]), ...added].reduce(addLayer, own)
}

/** Whether anything is around all messages to an actor, whoever sends them. @internal */
export const isSurrounded = (slot: Slot): boolean => layersOf(slot, NONE).length > 0

/** @internal */
export class SentCall implements Call {
  readonly kind: Call["kind"]
  readonly payload: unknown
  readonly id: number
  readonly deadline: number
  readonly incarnation: number
  readonly slot: Slot
  private readonly place: Place
  readonly number: number
  readonly options: Sending.SendOptions
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
  /** Until when somebody waits for the message that the sender handles itself. */
  get inherited(): number {
    return this.handling?.deadline() ?? Infinity
  }
  get remaining(): number {
    return this.deadline - this.slot.system.timers.now()
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

/**
 * A view of a ref that may have something around what it sends. That is put together once for each message and behavior.
 *
 * @internal
 */
export class Surrounded {
  readonly "~slot": Slot
  readonly "~options": Sending.SendOptions
  private program: Program | undefined = undefined
  private place: Place | undefined = undefined
  private layers: ReadonlyArray<Layer> = NONE
  private runs: Array<Run | RunStream | undefined> = []

  constructor(slot: Slot, options: Sending.SendOptions) {
    this["~slot"] = slot
    this["~options"] = options
  }

  ask(compiled: Compiled, tag: number, payload: unknown): Effect.Effect<unknown, unknown> {
    const { "~options": options, "~slot": slot } = this
    if (!this.surrounds(compiled)) return Sending.ask(slot, tag, payload, options)
    const run = (this.runs[tag] ??= aroundCall(this.layers, this.place!, tag, "ask", bareAsk)) as Run
    if (run === bareAsk) return Sending.ask(slot, tag, payload, options)
    const effect = Effect.withFiber((fiber) => run(payload, this.call("ask", tag, payload, fiber)))
    return Sending.standsFor(effect, { slot, tag, payload, options })
  }

  tell(compiled: Compiled, tag: number, payload: unknown): Effect.Effect<void> {
    const { "~options": options, "~slot": slot } = this
    if (!this.surrounds(compiled)) return Sending.tell(slot, tag, payload, options)
    const run = (this.runs[tag] ??= aroundCall(this.layers, this.place!, tag, "tell", bareTell)) as Run
    if (run === bareTell) return Sending.tell(slot, tag, payload, options)
    return Effect.withFiber((fiber) => run(payload, this.call("tell", tag, payload, fiber))) as Effect.Effect<void>
  }

  stream(compiled: Compiled, tag: number, payload: unknown): Stream.Stream<unknown, unknown> {
    const { "~options": options, "~slot": slot } = this
    if (!this.surrounds(compiled)) return stream(slot, tag, payload, options)
    const run = (this.runs[tag] ??= aroundStream(this.layers, this.place!, tag, bareStream)) as RunStream
    if (run === bareStream) return stream(slot, tag, payload, options)
    return Stream.unwrap(
      Effect.withFiber((fiber) => Effect.succeed(run(payload, this.call("stream", tag, payload, fiber))))
    )
  }

  /** Another behavior may have come, with another side of its callers. */
  private surrounds(compiled: Compiled): boolean {
    const slot = this["~slot"]
    const { program } = slot
    if (program !== this.program) {
      this.program = program
      this.layers = layersOf(slot, this["~options"].around ?? NONE)
      this.place = { key: program.name, compiled }
      this.runs = []
    }
    return this.layers.length > 0
  }

  /** Each run is a message of its own, whose id stays the same however often it is sent. */
  private call(kind: Call["kind"], tag: number, payload: unknown, fiber: Fiber.Fiber<unknown, unknown>): SentCall {
    const slot = this["~slot"]
    const options = { ...this["~options"], id: slot.system.nextId() }
    return new SentCall(kind, this.place!, slot, tag, payload, options, Sending.turnOf(fiber.context))
  }
}

const bareAsk: Run = (payload, call) => {
  const { number, options, slot } = call as SentCall
  return Sending.ask(slot, number, payload, options)
}

const bareTell: Run = (payload, call) => {
  const { number, options, slot } = call as SentCall
  return Sending.tell(slot, number, payload, options)
}

const bareStream: RunStream = (payload, call) => {
  const { number, options, slot } = call as SentCall
  return stream(slot, number, payload, options)
}
