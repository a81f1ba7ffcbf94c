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
import { Timer } from "../runtime/timers.ts"
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

/** The turn that an effect runs in. The context asked about last is remembered: senders mostly send more than once. */
const turnOf = (context: Context.Context<never>): Turn | undefined => {
  if (context !== lastContext) {
    lastContext = context
    lastTurn = Context.getOrUndefined(context, ActorContext)
  }
  return lastTurn
}
let lastContext: Context.Context<never> | undefined
let lastTurn: Turn | undefined

/** A plain tell stays two words unless something has to travel with it. */
const itemOf = (
  tag: number,
  payload: unknown,
  options: SendOptions,
  span: Tracer.AnySpan | undefined,
  correlationId: string | undefined
): Item => {
  if (options === defaultSendOptions && span === undefined && correlationId === undefined) return tag
  const envelope = new Envelope(tag, payload)
  envelope.priority = options.priority
  envelope.correlationId = options.correlationId ?? correlationId
  if (span !== undefined) envelope.span = span
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
  const { options, payload, slot, tag } = self
  const span = fiber.cache.span
  let item: Item = tag
  if (span !== undefined || options !== defaultSendOptions || slot.system.correlates) {
    const turn = turnOf(fiber.context)
    item = itemOf(tag, payload, options, span, turn?.item instanceof Envelope ? turn.item.correlationId : undefined)
    if (turn !== undefined && typeof item !== "number") item.sender = turn.incarnation.host.path
  }
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
      const marks = typeof item === "number" ? undefined : item
      const message = itemOf(this.tag, this.payload, this.options, marks?.span, marks?.correlationId)
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
  const limit = options.timeout ?? slot.system.askTimeout
  const turn = turnOf(fiber.context)
  if (turn === undefined) return marked(new Ask(slot, self.tag, self.payload, limit, Infinity), options, fiber)
  const handling = turn.item instanceof Envelope ? turn.item : undefined
  const inherited = handling === undefined ? Infinity : handling.deadline()
  const ask = marked(new Ask(slot, self.tag, self.payload, limit, inherited), options, fiber)
  ask.sender = turn.incarnation.host.path
  if (handling?.correlationId !== undefined) ask.correlationId ??= handling.correlationId
  if (turn.incarnation.host === slot && !turn.beside) ask.undelivered({ _tag: "AskedItself" })
  return ask
}

const marked = (ask: Ask, options: SendOptions, fiber: Fiber.Fiber<unknown, unknown>): Ask => {
  const { span } = fiber.cache
  if (span !== undefined) ask.span = span
  if (options === defaultSendOptions) return ask
  ask.priority = options.priority
  ask.correlationId = options.correlationId
  return ask
}

const askWith = (self: AskDescription, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<unknown, unknown> => {
  const ask = askFrom(self, fiber)
  if (ask.exit === undefined) deliver(ask, self)
  if (ask.exit !== undefined) return ask.exit
  ask.startTimer()
  const asker = turnOf(fiber.context)?.incarnation
  return Effect.callback((resume) => {
    ask.wait(asker, resume)
    return Effect.sync(() => ask.withdraw())
  })
}

const deliver = (ask: Ask, self: AskDescription): void => {
  const { options, slot } = self
  if (slot.takesHandOff) slot.handOff(ask)
  else if (slot.offer(ask, undefined) === "full") waitForRoom(ask, slot, options.mailboxTimeout)
}

const waitForRoom = (ask: Ask, slot: Slot, limit: number | undefined): void => {
  const { timers } = slot.system
  const waitedFrom = timers.now()
  const timer = new Timer(() => {
    stopWaiting()
    ask.undelivered({ _tag: "MailboxFull", capacity: slot.capacity, waited: timers.now() - waitedFrom })
  })
  const stopWaiting = slot.waitForRoom({ item: ask, payload: undefined, settled: () => timers.remove(timer) })
  if (limit !== undefined) timers.add(timer, limit)
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
  relay.id = request.id
  relay.priority = request.priority
  relay.correlationId = request.correlationId
  relay.span = request.span
  relay.sender = request.sender
  if (request.target !== undefined) request.unlink()
  to.slot.offerNow(relay, undefined)
}

/** A request taken over from another actor: it settles the first one's. */
class Relay extends Ask {
  private readonly first: Ask
  constructor(slot: Slot, tag: number, payload: unknown, first: Ask) {
    super(slot, tag, payload, Infinity, first.deadline())
    this.first = first
  }
  override deliver(to: Receiver): unknown {
    return this.first.exit === undefined ? super.deliver(to) : undefined
  }
  protected override settled(): void {
    if (this.first.exit === undefined) this.first.settle(this.exit!)
  }
}
