/**
 * One run of an actor: the Scope that owns what it acquires, the context its effects run in, and its orderly end.
 *
 * Invariants:
 * 1. Scope and context are made when the first effect needs them; an actor whose handlers are plain code has neither.
 * 2. What belongs to one incarnation never reaches the next: its fiber's exit is ignored once it has ended.
 * 3. `end` runs hooks, then finalizers in reverse order, exactly once, and only after its running handler is over.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { Envelope } from "./envelope.ts"
import * as ExitReason from "./ExitReason.ts"
import type { Item } from "./mailbox.ts"
import { keepShape } from "./shapes.ts"
import type { System } from "./system.ts"

/**
 * What an incarnation sees of the actor it is a run of.
 *
 * @internal
 */
export interface Host {
  readonly system: System
  readonly path: string
  /** The services of the actor's spec: never those of whoever sent a message. */
  readonly context: Context.Context<never>
}

/**
 * What a handler is doing: which message, for which incarnation.
 *
 * @internal
 */
export class Turn {
  readonly incarnation: Incarnation
  /** Handled beside others, so that asking oneself is no deadlock. */
  readonly beside: boolean
  item: Item
  payload: unknown

  constructor(incarnation: Incarnation, beside: boolean, item: Item, payload: unknown) {
    this.incarnation = incarnation
    this.beside = beside
    this.item = item
    this.payload = payload
  }

  /** The envelope of the message; a plain tell gets one when somebody asks for it. */
  envelope(): Envelope {
    if (this.item instanceof Envelope) {
      if (this.item.id === 0) this.item.id = this.incarnation.host.system.nextId()
      return this.item
    }
    const envelope = new Envelope(this.item, this.payload)
    envelope.id = this.incarnation.host.system.nextId()
    this.item = envelope
    return envelope
  }
}

/**
 * Inside a behavior: the actor it belongs to and the message it handles. Provided to every handler and init; it never
 * shows in their requirements.
 *
 * @category services
 * @since 0.1.0
 */
export class ActorContext extends Context.Service<ActorContext, Turn>()("effect-otp/ActorContext") {}

/**
 * An ask that this incarnation waits for.
 *
 * @internal
 */
export interface Outgoing {
  /** Whether the actor asked is between two incarnations. */
  readonly waitsForRestart: boolean
  giveUp(): void
}

/** Told how an incarnation ends, and whether its owner means to start another. */
type EndListener = (reason: ExitReason.ExitReason, restarts: boolean) => void

type Hook = (reason: ExitReason.ExitReason) => Effect.Effect<unknown, unknown>

/** What running an effect takes. */
interface Running {
  readonly turn: Turn
  readonly context: Context.Context<never>
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}

/** What few incarnations have. */
interface Rare {
  asking: Set<Outgoing> | undefined
  /** How much is under way beside its messages: effects, streams that somebody waits for. */
  beside: number
  endListeners: Set<EndListener> | undefined
  restartHooks: ReadonlyArray<Hook>
  stopHooks: ReadonlyArray<Hook>
  states: Map<string, Kept> | undefined
  inside: ReadonlyArray<Inside>
  seeds: ReadonlyMap<string, unknown> | undefined
}

/**
 * State that can be seen from outside, and how much of it is shown.
 *
 * @internal
 */
export interface Kept {
  readonly ref: Ref.Ref<unknown>
  readonly redact: ((state: unknown) => unknown) | undefined
}

/**
 * What is inside of an incarnation besides the state it keeps by name.
 *
 * @internal
 */
export interface Inside {
  /** State of its own, by name. */
  readonly states?: ReadonlyMap<string, Kept>
  /** The messages that it has put aside until later, the oldest first. */
  readonly waiting: ReadonlyArray<string>
}

const NO_STATES: ReadonlyMap<string, Kept> = new Map()

const NO_HOOKS: ReadonlyArray<Hook> = []
const NOTHING: ReadonlyArray<Inside> = []

/** @internal */
export class Incarnation {
  readonly host: Host
  readonly number: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** It has been told to stop once its message is handled. */
  stopping = false
  private scopeOrNone: Scope.Closeable | undefined = undefined
  private runningOrNone: Running | undefined = undefined
  private rareOrNone: Rare | undefined = undefined

  constructor(host: Host, number: number) {
    this.host = host
    this.number = number
  }

  /** The turn of the messages handled one at a time. */
  get turn(): Turn {
    return this.running.turn
  }

  private get running(): Running {
    return (this.runningOrNone ??= this.makeRunning())
  }

  private get rare(): Rare {
    return (this.rareOrNone ??= {
      asking: undefined,
      beside: 0,
      endListeners: undefined,
      restartHooks: NO_HOOKS,
      stopHooks: NO_HOOKS,
      states: undefined,
      inside: NOTHING,
      seeds: undefined
    })
  }

  /** Its Scope, where anything has needed one. */
  get openScope(): Scope.Closeable | undefined {
    return this.scopeOrNone
  }

  get scope(): Scope.Closeable {
    return (this.scopeOrNone ??= Scope.makeUnsafe())
  }

  get context(): Context.Context<never> {
    return this.running.context
  }

  /** Gives back what init needed: an actor of plain handlers may never need it again. */
  settled(): void {
    this.runningOrNone = undefined
  }

  waitsFor(ask: Outgoing): void {
    ;(this.rare.asking ??= new Set()).add(ask)
  }

  waitsNoMore(ask: Outgoing): void {
    this.rareOrNone?.asking?.delete(ask)
  }

  /**
   * It is to stop after the message at hand, whose handler may wait for an actor that cannot come back before this one
   * has stopped. Such asks are given up, so that stopping never waits for a time limit in vain.
   */
  stopsSoon(): void {
    this.stopping = true
    const asking = this.rareOrNone?.asking
    if (asking !== undefined) for (const ask of [...asking]) if (ask.waitsForRestart) ask.giveUp()
  }

  /** Calls back when it ends, before anything is released. Returns how to stop listening. */
  onEnd(listener: EndListener): () => void {
    const endListeners = (this.rare.endListeners ??= new Set())
    endListeners.add(listener)
    return () => endListeners.delete(listener)
  }

  announceEnd(reason: ExitReason.ExitReason, restarts: boolean): void {
    const listeners = this.rareOrNone?.endListeners
    if (listeners === undefined) return
    this.rareOrNone!.endListeners = undefined
    for (const listener of listeners) listener(reason, restarts)
  }

  onRestart(hook: Hook): void {
    this.rare.restartHooks = [...this.rare.restartHooks, hook]
  }

  onStop(hook: Hook): void {
    this.rare.stopHooks = [...this.rare.stopHooks, hook]
  }

  /** Shows a part of its state to those who may look at it; the latest of a name is the one seen. */
  keepState(name: string, kept: Kept): void {
    ;(this.rare.states ??= new Map()).set(name, kept)
  }

  /** State that it begins with instead of its own. */
  seed(seeds: ReadonlyMap<string, unknown>): void {
    this.rare.seeds = seeds
  }

  seedOf<S>(name: string, initial: S): S {
    const seeds = this.rareOrNone?.seeds
    return seeds?.has(name) === true ? (seeds.get(name) as S) : initial
  }

  /** Shows more of itself to those who may look at it. */
  show(inside: Inside): void {
    this.rare.inside = [...this.rare.inside, inside]
  }

  get states(): ReadonlyMap<string, Kept> {
    if (this.rareOrNone === undefined) return NO_STATES
    const { inside, states = NO_STATES } = this.rareOrNone
    const own = inside.flatMap((each) => [...(each.states ?? NO_STATES)])
    return own.length === 0 ? states : new Map([...own, ...states])
  }

  /** The messages that it has put aside until later. */
  get waiting(): ReadonlyArray<string> {
    return this.rareOrNone === undefined ? [] : this.rareOrNone.inside.flatMap(({ waiting }) => waiting)
  }

  stateOf(name: string): Option.Option<unknown> {
    const kept = this.states.get(name)
    return kept === undefined ? Option.none() : Option.some(Ref.getUnsafe(kept.ref))
  }

  /** Runs an effect of the message that is being handled. The fiber may have ended when this returns. */
  run(effect: Effect.Effect<unknown, unknown>, item: Item, payload: unknown): Fiber.Fiber<unknown, unknown> {
    const { context, fork, turn } = this.running
    turn.item = item
    turn.payload = payload
    if (item instanceof Envelope && item.span !== undefined) {
      return Effect.runForkWith(Context.add(context, Tracer.ParentSpan, item.span))(effect)
    }
    return fork(effect)
  }

  /** The item of the message that has been handled; an idle actor does not hold on to it. */
  takeItem(): Item {
    const { turn } = this
    const { item } = turn
    turn.item = 0
    turn.payload = undefined
    return item
  }

  /** Runs an effect beside the messages; it is interrupted when the incarnation ends. */
  runBeside(effect: Effect.Effect<unknown, unknown>, item: Item, payload: unknown): Fiber.Fiber<unknown, unknown> {
    const context = this.contextOf(new Turn(this, true, item, payload))
    const fiber = Fiber.runIn(Effect.runForkWith(context)(effect), this.scope)
    fiber.addObserver(this.busyBeside())
    return fiber
  }

  /** Something is under way beside its messages, until what comes back is called. */
  busyBeside(): () => void {
    const { rare } = this
    rare.beside++
    let busy = true
    return () => {
      if (busy) rare.beside--
      busy = false
    }
  }

  /** Whether anything is under way beside its messages. */
  get isBusyBeside(): boolean {
    return this.rareOrNone !== undefined && this.rareOrNone.beside > 0
  }

  /**
   * Ends it: hooks first, then finalizers, once its running handler is over. The effect does that and fails when one of
   * them did; `undefined` when there is nothing to release.
   */
  end(reason: ExitReason.ExitReason, restarts: boolean): Effect.Effect<unknown, unknown> | undefined {
    const hooks = restarts ? this.rareOrNone?.restartHooks : this.rareOrNone?.stopHooks
    const fiber = this.fiber?.pollUnsafe() === undefined ? this.fiber : undefined
    if (fiber !== undefined || (hooks !== undefined && hooks.length > 0))
      return this.ending(reason, hooks ?? NO_HOOKS, fiber)
    const scope = this.scopeOrNone
    return scope === undefined ? undefined : Scope.closeUnsafe(scope, ExitReason.toExit(reason))
  }

  private ending(
    reason: ExitReason.ExitReason,
    hooks: ReadonlyArray<Hook>,
    fiber: Fiber.Fiber<unknown, unknown> | undefined
  ): Effect.Effect<unknown, unknown> {
    const close = Effect.suspend(() => Scope.close(this.scope, ExitReason.toExit(reason)))
    const run = Effect.forEach(hooks, (hook) => Effect.provideContext(hook(reason), this.context), { discard: true })
    const orderly = Effect.onExit(run, () => close)
    return fiber === undefined ? orderly : Effect.andThen(Fiber.await(fiber), orderly)
  }

  private makeRunning(): Running {
    const turn = new Turn(this, false, 0, undefined)
    const context = this.contextOf(turn)
    return { turn, context, fork: Effect.runForkWith(context) }
  }

  private contextOf(turn: Turn): Context.Context<never> {
    const context = Context.add(this.host.context, Scope.Scope, this.scope)
    return Context.add(context, ActorContext, turn) as Context.Context<never>
  }
}

keepShape(new Incarnation(undefined as never, 0))
keepShape(new Turn(undefined as never, false, 0, undefined))
