/**
 * Defines actors: a protocol, a name, and the way to give it a behavior; and spawns, stops and watches them.
 *
 * An actor handles one message at a time, so its state needs no locks. It is made of three parts: the class says what may
 * be said to it (`Actor.Service`), a behavior says how it reacts (`Counter.behavior`), a ref is how others reach it. Spawn
 * one for the lifetime of a Scope with `Actor.spawn`; where it should survive its crashes, put it into a tree with
 * `Supervisor`.
 *
 * **Example** (A counter)
 *
 * ```ts import.meta.vitest
 * import { Effect, Ref, Schema } from "effect"
 * import { Actor } from "effect-otp"
 *
 * class Counter extends Actor.Service<Counter>()("docs/Counter", {
 *   Increment: { payload: { by: Schema.Int }, success: Schema.Int },
 *   Reset: {}
 * }) {}
 *
 * const CounterLive = Counter.behavior(Effect.gen(function*() {
 *   const count = yield* Ref.make(0)
 *   return Counter.of({
 *     Increment: ({ by }) => Ref.updateAndGet(count, (n) => n + by),
 *     Reset: () => Ref.set(count, 0)
 *   })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const counter = yield* Actor.spawn(CounterLive)
 *   yield* counter.tell.Increment({ by: 40 })
 *   return yield* counter.ask.Increment({ by: 2 })
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => 42
 * ```
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { Envelope, Request } from "../runtime/envelope.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import { ActorContext } from "../runtime/incarnation.ts"
import type { Item } from "../runtime/mailbox.ts"
import { InPlace, type Turns } from "../runtime/turns.ts"
import { inItsTurn, slotOf as slotOfTurn } from "./ActorContext.ts"
import { type ActorRef, type Endable, make as makeRef, slotOf } from "./ActorRef.ts"
import type { AskError } from "./AskError.ts"
import * as ActorSystem from "./ActorSystem.ts"
import { type Answer, type Batched, type BatchOptions, markBatched } from "./batching.ts"
import {
  type Behavior,
  BehaviorImpl,
  type Crash,
  type Handlers,
  implOf,
  type Options,
  type Services
} from "./Behavior.ts"
import { markConcurrent } from "./handlers.ts"
import { ignore as ignoreStart, isIgnored } from "./ignore.ts"
import { limitMillis } from "./limit.ts"
import { Nursery, SHUTDOWN_MILLIS } from "./nursery.ts"
import { type Bare, Compiled, type Protocol } from "./Protocol.ts"
import { type AskDescription, describeAsk, forward as forwardRequest } from "./sending.ts"
import { awaitDown, stopSlot } from "./stopping.ts"
import { type Own, syncInit } from "./syncInit.ts"

export {
  /** A batch whose answers do not match its messages. @since 0.1.0 */
  BatchMismatch
} from "./batching.ts"

export type {
  /** What one message of a batch is answered with. @since 0.1.0 */
  Answer,
  /** A handler that takes several messages at once. @since 0.1.0 */
  Batched,
  /** How messages are handled in batches. @since 0.1.0 */
  BatchOptions
} from "./batching.ts"

export {
  /** A time limit that is none. @since 0.1.0 */
  InvalidLimit
} from "./limit.ts"

export type { Own } from "./syncInit.ts"

/**
 * An actor class: the service key of its ref, its protocol, and the maker of its behaviors.
 *
 * @category models
 * @since 0.1.0
 */
export interface Class<Self, Id extends string, P extends Protocol> extends Context.Key<Self, ActorRef<Self>> {
  new (_: never): Context.ServiceClass.Shape<Id, ActorRef<Self>> & { readonly "~protocol": P }
  readonly key: Id
  /** What may be said to it. */
  readonly protocol: P
  /** Uses the ref in scope. */
  use<A, E, R>(f: (ref: ActorRef<Self>) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Self>
  /** This actor's own ref, inside its behavior. */
  readonly self: Effect.Effect<ActorRef<Self>, never, ActorContext>
  /** Types a table of handlers in place, so that a mistake is reported on the handler that has it. */
  of<const H extends Handlers<P>>(handlers: H & { readonly [K in Exclude<keyof H, keyof P>]: never }): H
  /**
   * An init of plain code, run where the actor is started: cheaper than an effect, and no less safe, since what it throws is
   * a failed start.
   *
   * **Example** (A counter without effects)
   *
   * ```ts import.meta.vitest
   * import { Effect, Schema } from "effect"
   * import { Actor } from "effect-otp"
   *
   * class Counter extends Actor.Service<Counter>()("docs/Counter", { Next: { success: Schema.Int } }) {}
   * const CounterLive = Counter.behavior(Counter.sync(() => {
   *   let count = 0
   *   return Counter.of({ Next: () => ++count })
   * }))
   *
   * const program = Effect.gen(function*() {
   *   const counter = yield* Actor.spawn(CounterLive)
   *   return [yield* counter.ask.Next(), yield* counter.ask.Next()]
   * })
   * await Effect.runPromise(Effect.scoped(program)) // => [1, 2]
   * ```
   */
  sync<H extends Handlers<P>>(make: (own: Own<Self>) => H): Effect.Effect<H, never, ActorContext>
  /**
   * How it reacts: `init` makes state and handlers, anew at each start and restart, in a Scope of its own. A handler's
   * failure that its message declares is the asker's reply; any other ends the actor.
   */
  behavior<H extends Handlers<P>, EX = never, RX = never, Args = void>(
    init: Effect.Effect<H, EX, RX> | ((args: Args) => Effect.Effect<H, EX, RX>),
    options?: Options<keyof P & string, Bare<P>>
  ): Behavior<Self, Args, EX | Crash<P, H>, Services<H, RX>>
}

/**
 * Defines an actor: `class Counter extends Actor.Service<Counter>()("app/Counter", { Increment: { … } }) {}`.
 *
 * The key names the actor in paths and as a service, so it carries the package's name; the record says what may be said
 * to it, with the options of `Rpc.make` per message: `payload`, `success`, `error`, `stream`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string, const P extends Protocol>(id: Id, protocol: P): Class<Self, Id, P> => {
    const compiled = new Compiled(protocol)
    const base = Context.Service<Self, ActorRef<Self>>()(id)
    const key = base as unknown as Class<Self, Id, P>
    return Object.assign(base, {
      protocol,
      of: (handlers: object) => handlers,
      self: Effect.map(ActorContext, (turn) => makeRef(slotOfTurn(turn), compiled)),
      sync: (make: (own: Own<never>) => object) => syncInit(compiled, make),
      behavior: (init: never, options: Options = {}) => new BehaviorImpl(key as never, compiled, init, options)
    }) as unknown as Class<Self, Id, P>
  }

// --- Spawn ---

/** What spawning in one context has in common; remembered for the context used last, since one spawns many. */
interface Birthplace {
  readonly context: Context.Context<never>
  readonly system: ActorSystem.ActorSystem["Service"]
  readonly nursery: Nursery
  readonly path: string
}

let lastContext: Context.Context<never> | undefined
let lastBirthplace: Birthplace | undefined
let spawned = 0

const birthplaceOf = (context: Context.Context<never>): Birthplace => {
  if (context === lastContext) return lastBirthplace!
  const own = Context.omit(Tracer.ParentSpan)(context) as Context.Context<never>
  const scope = Context.getUnsafe(context, Scope.Scope)
  const parent = Context.getOrUndefined(context, ActorContext)
  const birthplace = {
    context: own,
    system: ActorSystem.of(context),
    nursery: Nursery.of(scope, own),
    path: parent === undefined ? "" : parent.incarnation.host.path
  }
  lastContext = context
  lastBirthplace = birthplace
  return birthplace
}

/**
 * Starts an actor that lives until the Scope closes: then it is asked to stop and, after 5 seconds, killed. Completes
 * when its init has; fails with init's own error, and then nothing of it is left. Inside a behavior the Scope is the
 * incarnation's, so the actor is a child of the one that spawned it.
 *
 * Nobody restarts it: a crash is logged and told to its watchers. Use `Supervisor.child` to survive crashes.
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const spawn: {
  <A, E, R>(behavior: Behavior<A, void, E, R>): Effect.Effect<ActorRef<A>, E, R | Scope.Scope>
  <A, Args, E, R>(
    behavior: Behavior<A, Args, E, R>,
    args: NoInfer<Args>
  ): Effect.Effect<ActorRef<A>, E, R | Scope.Scope>
} = <A, E, R>(behavior: Behavior<A, never, E, R>, args?: unknown): Effect.Effect<ActorRef<A>, E, R | Scope.Scope> =>
  Effect.withFiber((fiber): Effect.Effect<ActorRef<A>, E> => {
    const impl = implOf(behavior as never)
    const { context, nursery, path, system } = birthplaceOf(fiber.context)
    const slot = impl.place(system, nursery, context, path, ++spawned, args)
    nursery.adopt(slot)
    const ref = makeRef<A>(slot, impl.compiled)
    let exit: Exit.Exit<void, unknown> | undefined
    let resume: ((effect: Effect.Effect<ActorRef<A>, E>) => void) | undefined
    slot.start((started) => {
      const ignored = Exit.isFailure(started) && isIgnored(started.cause)
      exit = ignored ? Exit.void : started
      if (ignored) {
        nursery.release(slot)
        slot.finish(ExitReason.Normal)
      } else if (Exit.isFailure(started)) {
        nursery.release(slot)
        slot.finish(ExitReason.fromExit(started))
      } else if (nursery.isClosed) slot.stop(ExitReason.Shutdown())
      resume?.(Exit.isSuccess(exit) ? Effect.succeed(ref) : Effect.failCause(exit.cause as Cause.Cause<E>))
    })
    if (exit !== undefined) {
      slot.takeFirstTurn()
      return Exit.isSuccess(exit) ? Exit.succeed(ref) : (exit as Exit.Exit<never, E>)
    }
    return Effect.callback((resumeSpawn) => {
      resume = resumeSpawn
      return Effect.asVoid(stopSlot(slot, ExitReason.Interrupted, Infinity))
    })
  }) as Effect.Effect<ActorRef<A>, E, R | Scope.Scope>

/**
 * What an init says instead of handlers when there is nothing to do: the actor does not come up, which is no failure. Its
 * supervisor keeps the spec as stopped, unless it is temporary or dynamic (R7); the ref of a spawned one names an actor
 * that has ended normally.
 *
 * **Example** (No work on Sundays)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Actor } from "effect-otp"
 *
 * class Courier extends Actor.Service<Courier>()("docs/Courier", { Deliver: {} }) {}
 * const CourierLive = Courier.behavior((day: string) =>
 *   day === "Sunday" ? Actor.ignore : Effect.succeed(Courier.of({ Deliver: () => {} }))
 * )
 *
 * const program = Effect.map(Actor.spawn(CourierLive, "Sunday"), (courier) => courier.status)
 * await Effect.runPromise(Effect.scoped(program)) // => "stopped"
 * ```
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const ignore: Effect.Effect<never> = ignoreStart

// --- Ends ---

/**
 * Ends an actor after the message it handles, waits until it has ended, and tells how. Messages still queued are left
 * over: dead letters, and `NotRunning` for those who asked. After `timeout` (default 5 seconds) it is killed. A permanent
 * child of a supervisor is then restarted: to keep it down, use its supervisor's `terminateChild`.
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const stop = <A>(
  ref: ActorRef<A>,
  options?: { readonly timeout?: Duration.Input; readonly reason?: unknown }
): Effect.Effect<ExitReason.ExitReason> =>
  stopSlot(
    slotOf(ref),
    ExitReason.Shutdown(options?.reason),
    options?.timeout === undefined ? SHUTDOWN_MILLIS : limitMillis("the timeout of Actor.stop", options.timeout)
  )

/**
 * Lets an actor finish what it has accepted, refuses anything new, and waits until it has ended, normally.
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const drain = <A>(ref: ActorRef<A>): Effect.Effect<ExitReason.ExitReason> =>
  Effect.suspend(() => {
    const slot = slotOf(ref)
    slot.drain()
    return awaitDown(slot)
  })

/**
 * Ends an actor now: its handler is interrupted, and what it holds is released behind its back. Until that is done it
 * shows among `ActorSystem.zombies`.
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const kill = <A>(ref: ActorRef<A>): Effect.Effect<ExitReason.ExitReason> =>
  stopSlot(slotOf(ref), ExitReason.Killed, "kill")

/**
 * Lets an actor take no message after the one at hand: what comes in waits, until `resume` or a restart, which begins
 * afresh. Completes when it is so; twice is as good as once; interrupted before, it leaves the actor as it was. An actor that suspends itself, in its init say, is suspended
 * once it is done with what it does. It can still be stopped, drained (which waits for `resume`) and killed.
 *
 * **Example** (Nothing is lost meanwhile)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor } from "effect-otp"
 *
 * class Tally extends Actor.Service<Tally>()("docs/Tally", { Count: { success: Schema.Int } }) {}
 * const TallyLive = Tally.behavior(Effect.sync(() => {
 *   let count = 0
 *   return Tally.of({ Count: () => ++count })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const tally = yield* Actor.spawn(TallyLive)
 *   yield* Actor.suspend(tally)
 *   yield* tally.tell.Count()
 *   const waiting = [tally.status, tally.size]
 *   yield* Actor.resume(tally)
 *   return [...waiting, yield* tally.ask.Count()]
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["suspended", 1, 2]
 * ```
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const suspend = <A>(ref: ActorRef<A>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const slot = slotOf(ref)
    const turn = Context.getOrUndefined(fiber.context, ActorContext)
    if (turn !== undefined && !turn.beside && slotOfTurn(turn) === slot) {
      slot.pause(() => undefined)
      return Effect.void
    }
    return Effect.callback((resume) => Effect.sync(slot.pause(() => resume(Effect.void))))
  })

/**
 * Lets a suspended actor go on with what has come in since.
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const resume = <A>(ref: ActorRef<A>): Effect.Effect<void> => Effect.sync(() => slotOf(ref).unpause())

// --- Inside a behavior ---

/**
 * Marks a handler whose messages are handled beside others instead of one at a time. Its effect runs in a fiber of the
 * incarnation, and is interrupted when that ends.
 *
 * @category handlers
 * @since 0.1.0
 */
export const concurrent = <F extends (payload: never) => unknown>(handler: F): F => markConcurrent(handler)

/**
 * A handler that takes several messages at once: those that wait right behind the one whose turn it is, up to `maxSize`,
 * and with `maxDelay` those that come within that time. It overtakes nothing. `run` gets their payloads and gives one
 * answer per message, in order; when it fails, all of the batch fail, and nobody else. A batch that crashes the actor in a
 * mailbox with `redeliver` is taken apart: the first is tried again alone, the others come after it.
 *
 * **Example** (One round trip for many lookups)
 *
 * ```ts import.meta.vitest
 * import { Array, Effect, Schema } from "effect"
 * import { Actor } from "effect-otp"
 *
 * class Squares extends Actor.Service<Squares>()("docs/Squares", {
 *   Of: { payload: { n: Schema.Int }, success: Schema.Int }
 * }) {}
 *
 * const sizes: Array<number> = []
 * const SquaresLive = Squares.behavior(Effect.succeed(Squares.of({
 *   Of: Actor.batched({
 *     maxSize: 64,
 *     run: (batch) => {
 *       sizes.push(batch.length)
 *       return Effect.succeed(Array.map(batch, ({ n }) => n * n))
 *     }
 *   })
 * })))
 *
 * const program = Effect.gen(function*() {
 *   const squares = yield* Actor.spawn(SquaresLive)
 *   const ask = (n: number) => squares.ask.Of({ n })
 *   const answers = yield* Effect.forEach([1, 2, 3, 4], ask, { concurrency: "unbounded" })
 *   return { answers, sizes }
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => { answers: [1, 4, 9, 16], sizes: [4] }
 * ```
 *
 * @category handlers
 * @since 0.1.0
 */
export const batched = <Payload, Answers extends ReadonlyArray<unknown> | void, E, R>(
  options: BatchOptions<Payload, Answers, E, R>
): Batched<Payload, Answer<Answers>, E, R> => markBatched(options)

interface Forward {
  readonly to: AskDescription
}

const ForwardProto: object = Object.assign(
  Effectable.Prototype<Effect.Effect<void>>({
    label: "effect-otp/forward",
    evaluate(fiber) {
      const turn = Context.getUnsafe(fiber.context, ActorContext as never) as ActorContext["Service"]
      const envelope = turn.envelope()
      forwardRequest(envelope, (this as unknown as Forward).to)
      if (envelope instanceof Request) envelope.handedOn()
      return Exit.void
    }
  }),
  {
    [InPlace](this: Forward, _actor: Turns, item: Item, payload: unknown): boolean {
      forwardRequest(typeof item === "number" ? new Envelope(item, payload) : item, this.to)
      return true
    }
  }
)

/**
 * Lets another actor answer whoever asked: `Find: ({ id }) => Actor.forward(store.ask.Get({ id }))`. The asker gets the
 * other's reply, and this actor is free at once. Takes an ask that has not been changed by other operators; interceptors of its
 * callers' side are passed by, since nobody here waits for the reply.
 *
 * @category handlers
 * @since 0.1.0
 */
export const forward = <A, E>(ask: Effect.Effect<A, E>): Effect.Effect<A, Exclude<E, AskError>, ActorContext> => {
  const to = describeAsk(ask)
  if (to === undefined) return Effect.die(new NotAnAsk())
  return Object.assign(Object.create(ForwardProto), { to })
}

/**
 * `Actor.forward` was given an effect that is no plain ask.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotAnAsk extends Schema.TaggedError<NotAnAsk>()("NotAnAsk", {}) {
  override get message(): string {
    return "Actor.forward takes an ask as it is, such as Actor.forward(store.ask.Get({ id })), with nothing piped to it"
  }
}

/**
 * Runs an effect beside the messages and handles its outcome in a turn of this actor's own, in order behind what is
 * queued by then. A failing mapping crashes the actor; the effect's own failure is the mapping's input.
 *
 * @category handlers
 * @since 0.1.0
 */
export const pipeToSelf = <A, E, R, E2 = never, R2 = never>(
  effect: Effect.Effect<A, E, R>,
  onExit: (exit: Exit.Exit<A, E>) => Effect.Effect<unknown, E2, R2> | void
): Effect.Effect<void, never, ActorContext | R | R2> =>
  Effect.contextWith((context: Context.Context<ActorContext | R | R2>) => {
    const turn = Context.get(context, ActorContext)
    const slot = slotOfTurn(turn)
    const { incarnation } = turn
    const map = (exit: Exit.Exit<A, E>) => inItsTurn(() => onExit(exit), context)
    const deliver = (exit: Exit.Exit<A, E>) => {
      if (slot.incarnation === incarnation) slot.post(() => (slot.incarnation === incarnation ? map(exit) : undefined))
    }
    incarnation
      .runBeside(Effect.provideContext(effect, context), turn.item, turn.payload)
      .addObserver((exit) => deliver(exit as Exit.Exit<A, E>))
    return Effect.void
  })

/**
 * Runs as the very next turn of this actor, before anything that is queued: from init, to do slow work after the start
 * has been reported.
 *
 * @category handlers
 * @since 0.1.0
 */
export const continueWith = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<void, never, ActorContext | R> =>
  Effect.contextWith((context: Context.Context<ActorContext | R>) => {
    slotOfTurn(Context.get(context, ActorContext)).continueWith(() => inItsTurn(() => effect, context))
    return Effect.void
  })

/**
 * A `Ref` for an actor's state, made in init. State kept in it can be seen and replaced from outside (`Control`), and is what
 * interceptors see as `call.state`; a behavior with several gives each a `name` (default `"state"`). `redact` says what of it
 * `Control.status` shows.
 *
 * @category handlers
 * @since 0.1.0
 */
export const state = <S>(
  initial: S,
  options: { readonly name?: string; readonly redact?: (state: S) => unknown } = {}
): Effect.Effect<Ref.Ref<S>, never, ActorContext> =>
  Effect.map(ActorContext, ({ incarnation }) => {
    const { name = "state", redact } = options
    const ref = Ref.makeUnsafe(incarnation.seedOf(name, initial))
    incarnation.keepState(name, {
      ref: ref as Ref.Ref<unknown>,
      redact: redact as ((state: unknown) => unknown) | undefined
    })
    return ref
  })

// --- Watch ---

/**
 * The defect of an actor whose pact partner has ended.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeathPact extends Schema.TaggedError<DeathPact>()("DeathPact", {
  actor: Schema.String,
  reason: Schema.Unknown
}) {
  override get message(): string {
    return `${this.actor}, which this actor cannot live without, ${ExitReason.format(this.reason as ExitReason.ExitReason)}`
  }
}

/**
 * Tells this actor when another has ended for good, once, at once when it has. The callback runs in a turn of its own,
 * behind what the other had sent before. Without a callback this actor crashes with `DeathPact`.
 *
 * The watch belongs to the actor, not to one incarnation: it survives a restart, and watching the same actor again
 * replaces it. The effect that comes back ends the watch; after it nothing is told any more.
 *
 * @category watching
 * @since 0.1.0
 */
export const watch = <E = never, R = never>(
  ref: Endable,
  onEnd?: (reason: ExitReason.ExitReason) => Effect.Effect<unknown, E, R> | void
): Effect.Effect<Effect.Effect<void>, never, ActorContext | R> =>
  Effect.contextWith((context: Context.Context<ActorContext | R>) => {
    const watcher = slotOfTurn(Context.get(context, ActorContext))
    const target = slotOf(ref)
    let active = true
    let unlisten: () => void = () => undefined
    const unwatch = () => {
      active = false
      unlisten()
      watcher.audience.forget(target, unwatch)
    }
    const notice = (reason: ExitReason.ExitReason) => {
      if (!active) return undefined
      watcher.audience.forget(target, unwatch)
      return onEnd === undefined
        ? Exit.die(new DeathPact({ actor: ref.path, reason }))
        : inItsTurn(() => onEnd(reason), context)
    }
    watcher.audience.remember(target, unwatch)
    unlisten = target.watch((reason) => watcher.post(() => notice(reason)))
    return Effect.succeed(Effect.sync(unwatch))
  })
