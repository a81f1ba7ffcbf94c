/**
 * The effects that send: a tell and an ask, as values that the engine recognises.
 *
 * A tell that a handler returns is performed in place, and one that a generator yields is performed by the iterator, so
 * neither needs a trip through a fiber's run loop. Run by anything else they are ordinary effects.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Tracer from "effect/Tracer"
import { DEFAULT_PRIORITY, Envelope, type Receiver } from "../runtime/envelope.ts"
import { ActorContext, type Turn } from "../runtime/incarnation.ts"
import type { Item } from "../runtime/mailbox.ts"
import type { Slot } from "../runtime/slot.ts"
import { InPlace, type Turns } from "../runtime/turns.ts"
import { Ask } from "./request.ts"

/**
 * What a view of a ref adds to each message sent through it. One object for all messages of the view.
 *
 * @internal
 */
export interface SendOptions {
  /** Milliseconds; `undefined`: the system's default. */
  readonly timeout: number | undefined
  /** How long to wait for room in a full mailbox, in milliseconds. */
  readonly mailboxTimeout: number | undefined
  readonly priority: number
  readonly correlationId: string | undefined
}

/** @internal */
export const defaultSendOptions: SendOptions = {
  timeout: undefined,
  mailboxTimeout: undefined,
  priority: DEFAULT_PRIORITY,
  correlationId: undefined
}

const turnOf = (context: Context.Context<never>): Turn | undefined =>
  Context.getOrUndefined(context as Context.Context<never>, ActorContext)

/** A plain tell stays two words unless something has to travel with it. */
const itemOf = (
  tag: number,
  payload: unknown,
  options: SendOptions,
  span: Tracer.AnySpan | undefined,
  current: Item | undefined
): Item => {
  const inherited = current instanceof Envelope ? current.correlationId : undefined
  if (options === defaultSendOptions && span === undefined && inherited === undefined) return tag
  const envelope = new Envelope(tag, payload)
  envelope.priority = options.priority
  envelope.correlationId = options.correlationId ?? inherited
  envelope.span = span
  return envelope
}

/** Sends without waiting, from anywhere. @internal */
export const tellNow = (slot: Slot, tag: number, payload: unknown, options: SendOptions): boolean =>
  slot.offerNow(itemOf(tag, payload, options, undefined, undefined), payload)

// --- Tell ---

interface Tell {
  readonly slot: Slot
  readonly tag: number
  readonly payload: unknown
  readonly options: SendOptions
}

const send = (self: Tell, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> => {
  const { slot, payload } = self
  const turn = turnOf(fiber.context)
  const item = itemOf(self.tag, payload, self.options, fiber.cache.span, turn?.item)
  if (turn !== undefined && typeof item !== "number") item.sender = turn.incarnation.host.path
  if (slot.offer(item, payload) !== "full") return Exit.void
  return Effect.callback<void>((resume) => {
    const stop = slot.waitForRoom({ item, payload, settled: () => resume(Exit.void) })
    return Effect.sync(stop)
  })
}

const TellProto: object = Object.assign(
  Effectable.Prototype<Effect.Effect<void>>({
    label: "effect-otp/tell",
    evaluate(fiber) {
      return send(this as unknown as Tell, fiber)
    }
  }),
  {
    [InPlace](this: Tell, actor: Turns, item: Item, _payload: unknown): boolean {
      const span = typeof item === "number" ? undefined : item.span
      const message = itemOf(this.tag, this.payload, this.options, span, item)
      if (typeof message !== "number") message.sender = actor.path
      if (this.slot.offer(message, this.payload) === "full") return false
      if (typeof item !== "number") item.succeed(undefined)
      return true
    },
    [Symbol.iterator](this: Tell): TellIterator {
      return new TellIterator(this)
    }
  }
)

/** `yield*` performs the tell right here; only one that has to wait is yielded to the fiber. */
class TellIterator {
  private readonly effect: Tell
  private performed = false
  constructor(effect: Tell) {
    this.effect = effect
  }
  next(): IteratorResult<unknown, void> {
    if (this.performed) return DONE
    this.performed = true
    // Now and then a real yield, so that an endless generator cannot starve the others.
    if ((++inPlaceSends & 1023) === 0) return { done: false, value: this.effect }
    const effect = send(this.effect, Fiber.getCurrent()!)
    return effect === Exit.void ? DONE : { done: false, value: effect }
  }
}

const DONE: IteratorResult<never, void> = { done: true, value: undefined }
let inPlaceSends = 0

// A function constructor whose prototype is the effect prototype itself: one hop, as Effect's own primitives.
const TellEffect = function(this: Tell, slot: Slot, tag: number, payload: unknown, options: SendOptions) {
  ;(this as { slot: Slot }).slot = slot
  ;(this as { tag: number }).tag = tag
  ;(this as { payload: unknown }).payload = payload
  ;(this as { options: SendOptions }).options = options
} as unknown as new(slot: Slot, tag: number, payload: unknown, options: SendOptions) => Effect.Effect<void>
TellEffect.prototype = TellProto

/** @internal */
export const tell = (slot: Slot, tag: number, payload: unknown, options: SendOptions): Effect.Effect<void> =>
  new TellEffect(slot, tag, payload, options)

// --- Ask ---

/** What a handler that forwards needs to know of an ask it has not sent. @internal */
export interface AskDescription {
  readonly slot: Slot
  readonly tag: number
  readonly payload: unknown
  readonly options: SendOptions
}

const askFrom = (self: AskDescription, fiber: Fiber.Fiber<unknown, unknown>): Ask => {
  const { options, slot } = self
  const system = slot.system
  const turn = turnOf(fiber.context)
  const ask = new Ask(slot, self.tag, self.payload)
  ask.id = system.nextId()
  ask.priority = options.priority
  ask.span = fiber.cache.span
  ask.correlationId = options.correlationId
  let inherited = Infinity
  if (turn !== undefined) {
    ask.sender = turn.incarnation.host.path
    if (turn.item instanceof Envelope) {
      inherited = turn.item.due
      ask.correlationId ??= turn.item.correlationId
    }
    if (turn.incarnation.host === slot && !turn.beside) {
      ask.undelivered({ _tag: "AskedItself" })
      return ask
    }
  }
  ask.limitTo(options.timeout ?? system.askTimeout, inherited)
  return ask
}

const askWith = (self: AskDescription, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<unknown, unknown> => {
  const ask = askFrom(self, fiber)
  if (ask.exit === undefined) deliver(ask, self)
  if (ask.exit !== undefined) return ask.exit
  return Effect.callback((resume) => {
    ask.wait(turnOf(fiber.context)?.incarnation, resume)
    return Effect.sync(() => ask.withdraw())
  })
}

const deliver = (ask: Ask, self: AskDescription): void => {
  const slot = self.slot
  if (slot.takesHandOff) return slot.handOff(ask)
  if (slot.offer(ask, undefined) !== "full") return
  const { mailboxTimeout } = self.options
  const waitedFrom = slot.system.timers.now()
  let timer: { due: number; index: number; expire(): void } | undefined
  const stop = slot.waitForRoom({
    item: ask,
    payload: undefined,
    settled: () => (timer === undefined ? undefined : slot.system.timers.remove(timer))
  })
  if (mailboxTimeout === undefined) return
  const expire = () => {
    stop()
    ask.undelivered({ _tag: "MailboxFull", capacity: slot.capacity, waited: slot.system.timers.now() - waitedFrom })
  }
  timer = { due: 0, index: -1, expire }
  slot.system.timers.add(timer, mailboxTimeout)
}

const AskProto: object = Effectable.Prototype<Effect.Effect<unknown, unknown>>({
  label: "effect-otp/ask",
  evaluate(fiber) {
    return askWith(this as unknown as AskDescription, fiber)
  }
})

const AskEffect = function(this: AskDescription, slot: Slot, tag: number, payload: unknown, options: SendOptions) {
  ;(this as { slot: Slot }).slot = slot
  ;(this as { tag: number }).tag = tag
  ;(this as { payload: unknown }).payload = payload
  ;(this as { options: SendOptions }).options = options
} as unknown as new(
  slot: Slot,
  tag: number,
  payload: unknown,
  options: SendOptions
) => Effect.Effect<unknown, unknown> & AskDescription
AskEffect.prototype = AskProto

/** @internal */
export const ask = (
  slot: Slot,
  tag: number,
  payload: unknown,
  options: SendOptions
): Effect.Effect<unknown, unknown> => new AskEffect(slot, tag, payload, options)

/** The ask behind an effect, when it is one. @internal */
export const describeAsk = (effect: unknown): AskDescription | undefined =>
  typeof effect === "object" && effect !== null && Object.getPrototypeOf(effect) === AskProto
    ? (effect as AskDescription)
    : undefined

/** Hands a request that is being handled to another actor: its reply goes to whoever asked first. @internal */
export const forward = (request: Envelope, to: AskDescription): void => {
  if (!(request instanceof Ask) || request.exit !== undefined) {
    tellNow(to.slot, to.tag, to.payload, to.options)
    return
  }
  const relay = new Relay(to.slot, to.tag, to.payload, request)
  relay.priority = request.priority
  relay.correlationId = request.correlationId
  relay.span = request.span
  relay.sender = request.sender
  relay.id = request.id
  if (request.target !== undefined) request.unlink()
  to.slot.offerNow(relay, undefined)
}

/** A request taken over from another actor: it settles the first one's. */
class Relay extends Ask {
  private readonly first: Ask
  constructor(slot: Slot, tag: number, payload: unknown, first: Ask) {
    super(slot, tag, payload)
    this.first = first
    this.due = first.due
  }
  override deliver(to: Receiver): unknown {
    return this.first.exit === undefined ? super.deliver(to) : undefined
  }
  protected override settled(): void {
    if (this.first.exit === undefined) this.first.settle(this.exit!)
  }
}
