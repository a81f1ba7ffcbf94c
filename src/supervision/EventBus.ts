/**
 * Events for whoever wants to hear them: handlers come and go while the bus runs, and one that crashes is dropped without
 * harm to the bus or to the others.
 *
 * Each handler is an actor of its own, so that a slow one holds nobody up, each hears events in the order they were told, one
 * at a time, and what it needs is its own. Nobody waits for handlers, unless told by `publishAndWait`.
 *
 * **Example** (One that fails is gone, the other hears on)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { EventBus } from "effect-otp"
 *
 * const heard: Array<string> = []
 * const program = Effect.gen(function*() {
 *   const bus = yield* EventBus.make<string>("docs/orders")
 *   yield* bus.add("audit", (order) => Effect.sync(() => void heard.push(order)))
 *   yield* bus.add("mail", () => Effect.fail("no network"), {
 *     onEnd: (reason) => Effect.sync(() => void heard.push(`mail ${reason._tag}`))
 *   })
 *   yield* bus.publishAndWait("a")
 *   yield* bus.publishAndWait("b")
 *   return { heard, left: yield* bus.handlers }
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => { heard: ["a", "mail Failed", "b"], left: ["audit"] }
 * ```
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Actor from "../actor/Actor.ts"
import { type ActorRef, make as makeRef, withTimeout } from "../actor/ActorRef.ts"
import * as ActorSystem from "../actor/ActorSystem.ts"
import { implOf, type MailboxOptions } from "../actor/Behavior.ts"
import { checkOptions } from "../actor/behaviorOptions.ts"
import type { EffectOf } from "../actor/Protocol.ts"
import { stopSlot } from "../actor/stopping.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import { ActorContext } from "../runtime/incarnation.ts"
import { type Owner, Slot } from "../runtime/slot.ts"

/**
 * How a handler is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R = never> {
  /** How the events wait that it has not heard yet. Default: unbounded. A full `suspend` mailbox holds up `publish`. */
  readonly mailbox?: Omit<MailboxOptions, "onRestart" | "redeliver" | "whileRestarting">
  /** Told once when it hears no more: it was removed or the bus is over (`Shutdown`), it has crashed (`Failed`). */
  readonly onEnd?: (reason: ExitReason.ExitReason) => Effect.Effect<unknown, never, R>
}

/**
 * A handler of this id is there already. Remove it first, or take another id.
 *
 * @category errors
 * @since 0.1.0
 */
export class HandlerExists extends Schema.TaggedError<HandlerExists>()("HandlerExists", {
  bus: Schema.String,
  id: Schema.String
}) {
  override get message(): string {
    return `${this.bus} has a handler "${this.id}" already: remove it first, or take another id`
  }
}

/**
 * The bus is over, so a handler would hear nothing. Where the bus is a child of a tree, take it from there again: it may have
 * been restarted.
 *
 * @category errors
 * @since 0.1.0
 */
export class BusEnded extends Schema.TaggedError<BusEnded>()("BusEnded", {
  bus: Schema.String,
  id: Schema.String
}) {
  override get message(): string {
    return `${this.bus} has ended, and "${this.id}" would hear nothing: add it to a bus that runs`
  }
}

type ServicesOf<Result> = Result extends Effect.Effect<infer _A, infer _E, infer R> ? R : never

/**
 * A running bus of events of type `Event`.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventBus<in out Event> {
  readonly name: string
  /**
   * Adds a handler, which hears what is published from then on. It is removed when the Scope closes, or when it fails: that is
   * logged as a warning, and told to `onEnd`. What it acquires is released when it is removed.
   */
  readonly add: <Result extends void | EffectOf<unknown>, R = never>(
    id: string,
    handler: (event: Event) => Result,
    options?: Options<R>
  ) => Effect.Effect<void, HandlerExists | BusEnded, Scope.Scope | Exclude<ServicesOf<Result>, ActorContext> | R>
  /** Removes a handler once it is done with the event at hand. `false`: there was none. */
  readonly remove: (id: string) => Effect.Effect<boolean>
  /** Tells all handlers, and does not wait for them. */
  readonly publish: (event: Event) => Effect.Effect<void>
  /** Tells all handlers, and waits until each has heard it or has ended. */
  readonly publishAndWait: (event: Event) => Effect.Effect<void>
  /** The ids of those who hear, in the order in which they were added. */
  readonly handlers: Effect.Effect<ReadonlyArray<string>>
}

/** One handler of a bus. */
class Hearer extends Actor.Service<Hearer>()("effect-otp/EventBus/Handler", {
  Hear: { payload: Schema.Unknown }
}) {}

const SHUTDOWN_MILLIS = 5_000

type Adding = Effect.Effect<void, HandlerExists | BusEnded, Scope.Scope>
type Handler = (event: unknown) => Effect.Effect<void, unknown>

class BusImpl implements Owner {
  readonly name: string
  private readonly slots = new Map<string, Slot>()
  private hasEnded = false

  constructor(name: string) {
    this.name = name
  }

  onFailure(slot: Slot, cause: Cause.Cause<unknown>): "stop" {
    const line = Effect.logWarning("an event handler crashed and is dropped", cause)
    Effect.runForkWith(slot.context)(Effect.annotateLogs(line, { bus: this.name, handler: slot.path }))
    return "stop"
  }

  onEnded(slot: Slot, reason: ExitReason.ExitReason): void {
    slot.finish(reason)
  }

  readonly add = (id: string, handler: Handler, { mailbox, onEnd }: Options = {}) => {
    checkOptions(this.name, [], mailbox === undefined ? {} : { mailbox })
    return Effect.uninterruptible(
      Effect.contextWith((context: Context.Context<Scope.Scope>): Adding => {
        if (this.hasEnded) return Effect.fail(new BusEnded({ bus: this.name, id }))
        if (this.slots.has(id)) return Effect.fail(new HandlerExists({ bus: this.name, id }))
        const own = Context.omit(Tracer.ParentSpan)(context) as Context.Context<never>
        const slot = this.begin(id, handler, own, mailbox)
        slot.watch((reason) => {
          if (this.slots.get(id) === slot) this.slots.delete(id)
          if (onEnd !== undefined) this.tell(slot, onEnd, reason)
        })
        return Effect.addFinalizer(() => this.end(slot))
      })
    )
  }

  /** Its handlers are there at once, so it is up when this returns. */
  private begin(id: string, handler: Handler, own: Context.Context<never>, mailbox: Options["mailbox"]): Slot {
    const impl = implOf(Hearer.behavior(Effect.succeed(Hearer.of({ Hear: handler }))))
    const slot = new Slot(ActorSystem.of(own), impl.program(undefined), this, own, this.name, id, mailbox)
    makeRef(slot, impl.compiled)
    this.slots.set(id, slot)
    slot.start(() => undefined)
    return slot
  }

  private tell(slot: Slot, onEnd: NonNullable<Options["onEnd"]>, reason: ExitReason.ExitReason): void {
    const told = Effect.catchCause(
      Effect.suspend(() => onEnd(reason)),
      (cause) => Effect.logWarning("onEnd of an event handler failed", cause)
    )
    Effect.runForkWith(slot.context)(Effect.annotateLogs(told, { bus: this.name, handler: slot.path }))
  }

  readonly remove = (id: string) =>
    Effect.suspend(() => {
      const slot = this.slots.get(id)
      return slot === undefined ? Effect.succeed(false) : Effect.as(this.end(slot), true)
    })

  /** It hears nothing more from here on; one that removes itself is still busy with that. */
  private end(slot: Slot): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      for (const [id, each] of this.slots) if (each === slot) this.slots.delete(id)
      const turn = Context.getOrUndefined(fiber.context as Context.Context<never>, ActorContext)
      if (turn?.incarnation.host !== slot) {
        return Effect.asVoid(stopSlot(slot, ExitReason.Shutdown(), SHUTDOWN_MILLIS))
      }
      slot.stop(ExitReason.Shutdown())
      return Effect.void
    })
  }

  private get refs(): ReadonlyArray<ActorRef<Hearer>> {
    return Array.from(this.slots.values(), ({ ref }) => ref as ActorRef<Hearer>)
  }

  readonly publish = (event: unknown) =>
    Effect.suspend(() => Effect.forEach(this.refs, (ref) => ref.tell.Hear(event), { discard: true }))

  readonly publishAndWait = (event: unknown) =>
    Effect.suspend(() =>
      Effect.forEach(this.refs, (ref) => heard(ref, event), {
        concurrency: "unbounded",
        discard: true
      })
    )

  readonly handlers = Effect.sync(() => [...this.slots.keys()])

  readonly endAll = Effect.suspend(() => {
    this.hasEnded = true
    return Effect.forEach([...this.slots.values()].reverse(), (slot) => this.end(slot), { discard: true })
  })
}

/** Handlers take the time they need; whoever waits for them may stop to. One that crashes is gone before others go on. */
const heard = (ref: ActorRef<Hearer>, event: unknown): Effect.Effect<void> =>
  patient(ref)
    .ask.Hear(event)
    .pipe(Effect.catch(({ reason }) => (reason._tag === "HandlerFailed" ? Effect.asVoid(ref.ended) : Effect.void)))

const patient = withTimeout(Infinity)

/**
 * A bus that lives until the Scope closes: then its handlers end, the last one added first.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Event>(name: string): Effect.Effect<EventBus<Event>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new BusImpl(name)),
      (bus) => bus.endAll
    ),
    (bus) => bus as unknown as EventBus<Event>
  )

/**
 * A bus class: the service of a bus, and the layer that starts it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Class<Self, Id extends string, Event> extends Context.ServiceClass<Self, Id, EventBus<Event>> {
  /** A bus of this name; as a child of a tree, `Supervisor.service(id, Orders.layer)`. */
  readonly layer: Layer.Layer<Self>
}

/**
 * Defines a bus that others find as a service.
 *
 * **Example** (Orders, for all who provide the layer)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { EventBus } from "effect-otp"
 *
 * class Orders extends EventBus.Service<Orders, { readonly id: number }>()("docs/Orders") {}
 *
 * let sum = 0
 * const program = Effect.gen(function*() {
 *   const orders = yield* Orders
 *   yield* orders.add("sum", ({ id }) => Effect.sync(() => void (sum += id)))
 *   yield* orders.publish({ id: 40 })
 *   yield* orders.publishAndWait({ id: 2 })
 *   return sum
 * })
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Orders.layer))) // => 42
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self, Event>() =>
  <const Id extends string>(id: Id): Class<Self, Id, Event> => {
    const key = Context.Service<Self, EventBus<Event>>()(id)
    return Object.assign(key, { layer: Layer.effect(key, make<Event>(id)) }) as never
  }
