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
import { DEFAULT_PRIORITY, Envelope, type Receiver, type Request } from "../runtime/envelope.ts"
import { ActorContext, type Turn } from "../runtime/incarnation.ts"
import type { Item } from "../runtime/mailbox.ts"
import { keepShape } from "../runtime/shapes.ts"
import type { Slot } from "../runtime/slot.ts"
import { Timer } from "../runtime/timers.ts"
import { InPlace, type Turns } from "../runtime/turns.ts"
import type { Layer } from "./intercepting.ts"
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
  /** How many elements a stream's producer may be ahead of its consumer. */
  readonly buffer: number
  /** Given where it was known before sending; 0: none yet. */
  readonly id: number
  /** What the ref adds to what is around each message. */
  readonly around: Layers | undefined
}

/** Interceptors, the innermost layer first. @internal */
export type Layers = ReadonlyArray<Layer>

/** @internal */
export const defaultSendOptions: SendOptions = {
  timeout: undefined,
  mailboxTimeout: undefined,
  priority: DEFAULT_PRIORITY,
  correlationId: undefined,
  buffer: 16,
  id: 0,
  around: undefined
}

/**
 * The turn that an effect runs in. The context asked about last is remembered: senders mostly send more than once.
 *
 * @internal
 */
export const turnOf = (context: Context.Context<never>): Turn | undefined => {
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
  if (options.id !== 0) envelope.id = options.id
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
  step: 0 | 1 | 2
}

const send = (self: Tell, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> => {
  const { options, payload, slot, tag } = self
  const span = fiber.cache.span
  let item: Item = tag
  if (span !== undefined || options !== defaultSendOptions || slot.system.correlates) {
    const turn = turnOf(fiber.context)
    // What an actor tells itself belongs to what it was told: a loop of it must not nest without end.
    const cause = turn?.incarnation.host === slot ? (turn.item as Partial<Envelope>).span : span
    item = itemOf(tag, payload, options, cause, turn?.item instanceof Envelope ? turn.item.correlationId : undefined)
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
    options: defaultSendOptions,
    [InPlace](this: Tell, actor: Turns, item: Item, _payload: unknown): boolean {
      const marks = typeof item === "number" ? undefined : item
      const message = itemOf(this.tag, this.payload, this.options, marks?.span, marks?.correlationId)
      if (typeof message !== "number") message.sender = actor.path
      if (this.slot.offer(message, this.payload) === "full") return false
      if (typeof item !== "number") item.succeed(undefined)
      return true
    },
    // An effect is mostly iterated once, so it is its own first iterator; run again, it gets others.
    [Symbol.iterator](this: Tell): Iterator<unknown, void> {
      if (this.step !== FRESH) return new TellIterator(this)
      this.step = ITERATED
      return this as unknown as Iterator<unknown, void>
    },
    next(this: Tell): IteratorResult<unknown, void> {
      if (this.step === PERFORMED) return DONE
      this.step = PERFORMED
      return perform(this)
    }
  }
)

/** `yield*` performs the tell right here; only one that has to wait is yielded to the fiber. */
const perform = (tell: Tell): IteratorResult<unknown, void> => {
  if (yieldsNow())
    return { done: false, value: Effect.andThen(Effect.yieldNow, tell as unknown as Effect.Effect<void>) }
  const effect = send(tell, Fiber.getCurrent()!)
  return effect === Exit.void ? DONE : { done: false, value: effect }
}

class TellIterator {
  private readonly effect: Tell
  private performed = false
  constructor(effect: Tell) {
    this.effect = effect
  }
  next(): IteratorResult<unknown, void> {
    if (this.performed) return DONE
    this.performed = true
    return perform(this.effect)
  }
}

const FRESH = 0
const ITERATED = 1
const PERFORMED = 2
const DONE: IteratorResult<never, void> = { done: true, value: undefined }

/** Now and then a real yield, so that an endless generator starves nobody: as often as a fiber's run loop would. */
const yieldsNow = (): boolean => (++inPlaceSends & 2047) === 0
let inPlaceSends = 0

// A function constructor whose prototype is the effect prototype itself: one hop, as Effect's own primitives.
const TellEffect = function (this: Tell, slot: Slot, tag: number, payload: unknown, options: SendOptions) {
  ;(this as { slot: Slot }).slot = slot
  ;(this as { tag: number }).tag = tag
  ;(this as { payload: unknown }).payload = payload
  this.step = FRESH
  // Nearly all have the default ones, which stand on the prototype: a tell is as small as it can be.
  if (options !== defaultSendOptions) (this as { options: SendOptions }).options = options
} as unknown as new (slot: Slot, tag: number, payload: unknown, options: SendOptions) => Effect.Effect<void>
TellEffect.prototype = TellProto

/** @internal */
export const tell = (slot: Slot, tag: number, payload: unknown, options: SendOptions): Effect.Effect<void> =>
  new TellEffect(slot, tag, payload, options)

// --- Ask ---

/** What can be known of a tell or an ask that has not been sent. @internal */
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
  return options === defaultSendOptions ? ask : withOptions(ask, options)
}

const withOptions = (ask: Ask, options: SendOptions): Ask => {
  ask.priority = options.priority
  ask.correlationId = options.correlationId
  if (options.id !== 0) ask.id = options.id
  return ask
}

const askWith = (self: AskDescription, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<unknown, unknown> => {
  const ask = askFrom(self, fiber)
  if (ask.exit === undefined) deliver(ask, self)
  return ask.exit ?? awaitReply(ask, fiber)
}

const awaitReply = (ask: Ask, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<unknown, unknown> => {
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
  const timer = new Timer(() =>
    ask.undelivered({ _tag: "MailboxFull", capacity: slot.capacity, waited: timers.now() - waitedFrom })
  )
  const stopWaiting = slot.waitForRoom({ item: ask, payload: undefined, settled: () => timers.remove(timer) })
  ask.leaveLine = () => {
    stopWaiting()
    timers.remove(timer)
  }
  if (limit !== undefined) timers.add(timer, limit)
}

const AskProto: object = Object.assign(
  Effectable.Prototype<Effect.Effect<unknown, unknown>>({
    label: "effect-otp/ask",
    evaluate(fiber) {
      return askWith(this as unknown as AskDescription, fiber)
    }
  }),
  {
    [Symbol.iterator](this: AskDescription): Iterator<unknown, unknown, unknown> {
      return new AskIterator(this)
    }
  }
)

/** `yield*` asks right here: a reply that comes at once, from an idle actor, needs no trip through the fiber. */
class AskIterator {
  private readonly effect: AskDescription
  private asked = false
  constructor(effect: AskDescription) {
    this.effect = effect
  }
  next(reply: unknown): IteratorResult<unknown, unknown> {
    if (this.asked) return { done: true, value: reply }
    this.asked = true
    const exit = askWith(this.effect, Fiber.getCurrent()!)
    if (!Exit.isExit(exit) || exit._tag === "Failure") return { done: false, value: exit }
    return yieldsNow()
      ? { done: false, value: Effect.as(Effect.yieldNow, exit.value) }
      : { done: true, value: exit.value }
  }
}

const AskEffect = function (this: AskDescription, slot: Slot, tag: number, payload: unknown, options: SendOptions) {
  ;(this as { slot: Slot }).slot = slot
  ;(this as { tag: number }).tag = tag
  ;(this as { payload: unknown }).payload = payload
  ;(this as { options: SendOptions }).options = options
} as unknown as new (
  slot: Slot,
  tag: number,
  payload: unknown,
  options: SendOptions
) => Effect.Effect<unknown, unknown> & AskDescription
AskEffect.prototype = AskProto

/** @internal */
export const ask = (slot: Slot, tag: number, payload: unknown, options: SendOptions): Effect.Effect<unknown, unknown> =>
  new AskEffect(slot, tag, payload, options)

/** The ask behind an effect, when it is one, without what is around it. @internal */
export const describeAsk = (effect: unknown): AskDescription | undefined => {
  if (typeof effect !== "object" || effect === null) return undefined
  return Object.getPrototypeOf(effect) === AskProto ? (effect as AskDescription) : asksWithin.get(effect)
}

const asksWithin = new WeakMap<object, AskDescription>()

/** An ask with something around it is an ask still. @internal */
export const standsFor = <T extends object>(effect: T, ask: AskDescription): T => {
  asksWithin.set(effect, ask)
  return effect
}

/** The tell behind an effect, when it is one. @internal */
export const describeTell = (effect: unknown): AskDescription | undefined =>
  typeof effect === "object" && effect !== null && Object.getPrototypeOf(effect) === TellProto
    ? (effect as AskDescription)
    : undefined

/** Hands a request that is being handled to another actor: its reply goes to whoever asked first. @internal */
export const forward = (request: Envelope, to: AskDescription): void => {
  const { asked } = request
  if (asked === undefined || asked.exit !== undefined) {
    tellNow(to.slot, to.tag, to.payload, to.options)
    request.forwarded()
    return
  }
  const relay = new Relay(to.slot, to.tag, to.payload, asked)
  relay.id = request.id
  relay.priority = request.priority
  relay.correlationId = request.correlationId
  relay.span = request.span
  relay.sender = request.sender
  asked.unlink()
  to.slot.offerNow(relay, undefined)
  request.forwarded()
}

/** A request taken over from another actor: it settles the first one's. */
class Relay extends Ask {
  private readonly first: Request
  constructor(slot: Slot, tag: number, payload: unknown, first: Request) {
    super(slot, tag, payload, Infinity, first.deadline())
    this.first = first
  }
  override get isOver(): boolean {
    return this.exit !== undefined || this.first.isOver
  }
  override deliver(to: Receiver): unknown {
    return this.isOver ? undefined : super.deliver(to)
  }
  protected override settled(): void {
    if (this.first.exit === undefined) this.first.settle(this.exit!)
  }
}

keepShape(new TellEffect(undefined as never, 0, undefined, defaultSendOptions))
keepShape(new AskEffect(undefined as never, 0, undefined, defaultSendOptions))
keepShape(new AskIterator(undefined as never))
