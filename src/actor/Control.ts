/**
 * Looking into running actors and changing them: state, status, statistics, traces, another behavior.
 *
 * Nothing here costs an actor anything while it is not used. State is what a behavior keeps with `Actor.state`; since a ref
 * does not say what that is, whoever looks brings its schema, and it is checked. `Actor.suspend` and `Actor.resume` go with
 * these.
 *
 * **Example** (A counter is corrected)
 *
 * ```ts import.meta.vitest
 * import { Effect, Ref, Schema } from "effect"
 * import { Actor, Control } from "effect-otp"
 *
 * class Counter extends Actor.Service<Counter>()("docs/Counter", { Next: { success: Schema.Int } }) {}
 * const CounterLive = Counter.behavior(Effect.gen(function*() {
 *   const count = yield* Actor.state(0)
 *   return Counter.of({ Next: () => Ref.updateAndGet(count, (n) => n + 1) })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const counter = yield* Actor.spawn(CounterLive)
 *   yield* counter.ask.Next()
 *   yield* Control.replaceState(counter, Schema.Int, (n) => n + 40)
 *   return [yield* Control.getState(counter, Schema.Int), yield* counter.ask.Next()]
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [41, 42]
 * ```
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Tracer from "effect/Tracer"
import { ActorContext, type Incarnation, type Kept } from "../runtime/incarnation.ts"
import { moreOf, provideMore } from "../runtime/services.ts"
import type { Slot } from "../runtime/slot.ts"
import type { Tap } from "../runtime/taps.ts"
import type { Program } from "../runtime/turns.ts"
import { type ActorRef, type Endable, renew, slotOf, type Status as Doing } from "./ActorRef.ts"
import { type Behavior, implOf } from "./Behavior.ts"

export { trace } from "./tracing.ts"

export type {
  /** Whose and which value is to be shown. @since 0.1.0 */
  Redacting,
  /** What is traced. @since 0.1.0 */
  TraceOptions,
  /** One thing that an actor did, or that happened to it. @since 0.1.0 */
  TraceEvent
} from "./tracing.ts"

// --- Errors ---

/**
 * The actor is not running now, or another incarnation runs than the one that was to be changed: it restarts, has restarted, or
 * has ended. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class ActorNotRunning extends Schema.TaggedError<ActorNotRunning>()("ActorNotRunning", {
  actor: Schema.String
}) {
  override get message(): string {
    return `${this.actor} is not running, or not the same run any more: it has restarted, or has ended`
  }
}

/**
 * The behavior keeps no state of this name with `Actor.state`; `known` lists what it keeps.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoState extends Schema.TaggedError<NoState>()("NoState", {
  actor: Schema.String,
  name: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const kept = this.known.length === 0 ? "none: keep it with Actor.state" : this.known.join(", ")
    return `${this.actor} keeps no state "${this.name}"; it keeps ${kept}`
  }
}

/**
 * The state, or what was to replace it, is not what the schema says; `issue` tells where. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class StateMismatch extends Schema.TaggedError<StateMismatch>()("StateMismatch", {
  actor: Schema.String,
  name: Schema.String,
  issue: Schema.String
}) {
  override get message(): string {
    return `the state "${this.name}" of ${this.actor} does not fit the schema: ${this.issue}`
  }
}

/**
 * The new behavior did not come up. `rolledBack`: the old one runs again, with the state it had.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotReplaced extends Data.TaggedError("NotReplaced")<{
  readonly actor: string
  readonly cause: Cause.Cause<unknown>
  readonly rolledBack: boolean
}> {
  override get message(): string {
    const now = this.rolledBack ? "the old one runs on" : "the actor has ended"
    return `the new behavior of ${this.actor} did not come up, ${now}: ${Cause.pretty(this.cause)}`
  }
}

// --- Holding ---

/** Those who change an actor do so one after the other. */
const locks = new WeakMap<Slot, Semaphore.Semaphore>()

const lockOf = (slot: Slot): Semaphore.Semaphore => {
  const existing = locks.get(slot)
  if (existing !== undefined) return existing
  const lock = Semaphore.makeUnsafe(1)
  locks.set(slot, lock)
  return lock
}

/** Runs between two messages of an actor; in its own turn, at once. */
const between = <A, E, R>(slot: Slot, change: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const turn = Context.getOrUndefined(fiber.context as Context.Context<never>, ActorContext)
    if (turn?.incarnation.host === slot && !turn.beside) return change
    const held = Effect.callback<void>((resume) => slot.hold(() => resume(Effect.void)))
    const released = Effect.sync(() => slot.release())
    return lockOf(slot).withPermit(Effect.ensuring(Effect.andThen(held, change), released))
  })

// --- State ---

const keptIn = (slot: Slot, name: string) =>
  Effect.suspend((): Effect.Effect<Kept, ActorNotRunning | NoState> => {
    const { incarnation } = slot
    if (incarnation === undefined || !slot.isUp) return Effect.fail(new ActorNotRunning({ actor: slot.path }))
    const kept = incarnation.states.get(name)
    if (kept !== undefined) return Effect.succeed(kept)
    return Effect.fail(new NoState({ actor: slot.path, name, known: [...incarnation.states.keys()] }))
  })

/** The state itself, when it is what the schema says. */
const checked = <S>(slot: Slot, name: string, schema: Schema.Schema<S>, state: unknown) =>
  Effect.mapError(
    Effect.as(Schema.decodeUnknownEffect(Schema.toType(schema) as Schema.Codec<S, unknown>)(state), state as S),
    ({ message }) => new StateMismatch({ actor: slot.path, name, issue: message })
  )

/**
 * The state of an actor as it is now, also while it is suspended; in the middle of a message it is what the handler has made
 * of it so far. `name`: which, where the behavior keeps several.
 *
 * @category state
 * @since 0.1.0
 */
export const getState = <A, S>(
  ref: ActorRef<A>,
  schema: Schema.Schema<S>,
  options: { readonly name?: string } = {}
): Effect.Effect<S, ActorNotRunning | NoState | StateMismatch> => {
  const { name = "state" } = options
  const slot = slotOf(ref)
  return Effect.flatMap(keptIn(slot, name), (kept) => checked(slot, name, schema, Ref.getUnsafe(kept.ref)))
}

/**
 * Replaces the state of an actor between two of its messages, and gives the new one. A function that fails, throws, or gives
 * what the schema does not allow leaves the state as it was.
 *
 * @category state
 * @since 0.1.0
 */
export const replaceState = <A, S, E = never, R = never>(
  ref: ActorRef<A>,
  schema: Schema.Schema<S>,
  change: (state: S) => S | Effect.Effect<S, E, R>,
  options: { readonly name?: string } = {}
): Effect.Effect<S, E | ActorNotRunning | NoState | StateMismatch, R> => {
  const { name = "state" } = options
  const slot = slotOf(ref)
  return between(
    slot,
    Effect.gen(function* () {
      const { ref: state } = yield* keptIn(slot, name)
      const { incarnation } = slot
      const before = yield* checked(slot, name, schema, Ref.getUnsafe(state))
      const changed = change(before)
      const after = yield* checked(slot, name, schema, Effect.isEffect(changed) ? yield* changed : changed)
      if (slot.incarnation !== incarnation || !slot.isUp) return yield* new ActorNotRunning({ actor: slot.path })
      yield* Ref.set(state, after)
      return after
    })
  )
}

// --- Status ---

/**
 * An actor, or a supervisor, as it is now. `states`: what it keeps with `Actor.state`, by name, as its `redact` shows it; a
 * machine's `"state"` is the `state` it is in, by name, and its `data`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  readonly path: string
  /** The path of what it is below; empty at the top. */
  readonly parent: string
  readonly kind: "actor" | "supervisor"
  readonly status: Doing
  /** Which run it is in, 1 for the first. */
  readonly incarnation: number
  readonly restarts: number
  /** Messages queued. */
  readonly queued: number
  /** Messages put aside until later, the oldest first: postponed by a machine, kept in a stash. */
  readonly postponed: ReadonlyArray<string>
  readonly states: { readonly [name: string]: unknown }
}

/**
 * How an actor or a supervisor is.
 *
 * @category looking
 * @since 0.1.0
 */
export const status = (ref: Endable): Effect.Effect<Status> =>
  Effect.sync(() => {
    const slot = slotOf(ref)
    const { path } = slot
    return {
      path,
      parent: slot.parentPath,
      kind: slot.program.members === undefined ? "actor" : "supervisor",
      status: slot.status,
      incarnation: slot.incarnations,
      restarts: Math.max(0, slot.incarnations - 1),
      queued: slot.size,
      postponed: slot.incarnation?.waiting ?? [],
      states: shown(slot.incarnation)
    }
  })

const shown = (incarnation: Incarnation | undefined): Status["states"] =>
  Object.fromEntries(
    Array.from(incarnation?.states ?? [], ([name, { redact, ref }]) => {
      const state = Ref.getUnsafe(ref)
      return [name, redact === undefined ? state : redact(state)]
    })
  )

/**
 * What an actor did since somebody asked for it: messages taken, asks answered, and those that ended without a reply or with
 * an error. `messages`: taken, by tag. `since` and `until` are monotonic milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Statistics {
  readonly since: number
  readonly until: number
  readonly received: number
  readonly replied: number
  readonly failed: number
  readonly messages: { readonly [tag: string]: number }
}

/**
 * Counts what an actor does from now on until the Scope closes, across restarts; what comes back reads the counts. Nothing is
 * counted where nobody asks for it.
 *
 * **Example** (One ask)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Control } from "effect-otp"
 *
 * class Echo extends Actor.Service<Echo>()("docs/Echo", { Ping: { success: Schema.String } }) {}
 * const program = Effect.gen(function*() {
 *   const echo = yield* Actor.spawn(Echo.behavior(Effect.succeed(Echo.of({ Ping: () => "pong" }))))
 *   const statistics = yield* Control.statistics(echo)
 *   yield* echo.ask.Ping()
 *   const { received, replied } = yield* statistics
 *   return { received, replied }
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => { received: 1, replied: 1 }
 * ```
 *
 * @category looking
 * @since 0.1.0
 */
export const statistics = <A>(ref: ActorRef<A>): Effect.Effect<Effect.Effect<Statistics>, never, Scope.Scope> =>
  Effect.suspend(() => {
    const slot = slotOf(ref)
    const { timers } = slot.system
    const since = timers.now()
    const messages: Record<string, number> = {}
    let [received, replied, failed] = [0, 0, 0]
    const tap: Tap = {
      received: (tag) => {
        const name = slot.program.tags[tag]!
        received++
        messages[name] = (messages[name] ?? 0) + 1
      },
      settled: (_, exit) => void (Exit.isSuccess(exit) ? replied++ : failed++)
    }
    const reading = Effect.sync(() => {
      return { since, until: timers.now(), received, replied, failed, messages: { ...messages } }
    })
    return Effect.as(
      Effect.acquireRelease(
        Effect.sync(() => slot.tap(tap)),
        (untap) => Effect.sync(untap)
      ),
      reading
    )
  })

// --- Behavior ---

/**
 * Gives a running actor another behavior of its class, between two messages. The old incarnation ends and releases what it
 * holds, the new one begins; the mailbox stays, refs stay good, and its supervisor does not count it as a restart. From then
 * on, restarts begin the new behavior. Services that it needs and the actor was not started with are those of whoever replaces.
 *
 * State goes over as it is, by name. `migrate` decodes it on the way: a schema from the old state (its encoded side) to the
 * new one, for the state called `"state"` unless `name` says otherwise; `"discard"` begins with the new behavior's own. When
 * the migration fails nothing has happened; when the new behavior does not come up, or this is interrupted before it has, the
 * old one runs again with its state.
 *
 * **Example** (The state gets another form)
 *
 * ```ts import.meta.vitest
 * import { Effect, Ref, Schema, SchemaTransformation } from "effect"
 * import { Actor, Control } from "effect-otp"
 *
 * class Visits extends Actor.Service<Visits>()("docs/Visits", {
 *   Visit: { payload: { who: Schema.String }, success: Schema.Int }
 * }) {}
 * const Counting = Visits.behavior(Effect.gen(function*() {
 *   const count = yield* Actor.state(0)
 *   return Visits.of({ Visit: () => Ref.updateAndGet(count, (n) => n + 1) })
 * }))
 * const Naming = Visits.behavior(Effect.gen(function*() {
 *   const names = yield* Actor.state<ReadonlyArray<string>>([])
 *   return Visits.of({ Visit: ({ who }) => Effect.map(Ref.updateAndGet(names, (all) => [...all, who]), (all) => all.length) })
 * }))
 * const Unnamed = Schema.Int.pipe(Schema.decodeTo(
 *   Schema.Array(Schema.String),
 *   SchemaTransformation.transform({
 *     decode: (count: number): ReadonlyArray<string> => Array.from({ length: count }, () => "somebody"),
 *     encode: (names) => names.length
 *   })
 * ))
 *
 * const program = Effect.gen(function*() {
 *   const visits = yield* Actor.spawn(Counting)
 *   yield* visits.ask.Visit({ who: "Ada" })
 *   yield* Control.replaceBehavior(visits, Naming, { migrate: Unnamed })
 *   yield* visits.ask.Visit({ who: "Grace" })
 *   return yield* Control.getState(visits, Schema.Array(Schema.String))
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["somebody", "Grace"]
 * ```
 *
 * @category changing
 * @since 0.1.0
 */
export const replaceBehavior = <A, E, R, Old = never, New = never>(
  ref: ActorRef<A>,
  behavior: Behavior<A, void, E, R>,
  options: { readonly migrate?: Schema.Codec<New, Old> | "discard"; readonly name?: string } = {}
): Effect.Effect<void, ActorNotRunning | NoState | StateMismatch | NotReplaced, R> =>
  Effect.contextWith((context: Context.Context<R>) => {
    const slot = slotOf(ref)
    const { migrate, name = "state" } = options
    const migrated = (states: ReadonlyMap<string, unknown>) => {
      if (migrate === "discard") return Effect.succeed(new Map<string, unknown>())
      if (migrate === undefined) return Effect.succeed(states)
      const codec = migrate as unknown as Schema.Codec<unknown, unknown>
      return Effect.map(
        Effect.mapError(
          Schema.decodeUnknownEffect(codec)(states.get(name)),
          ({ message }) => new StateMismatch({ actor: slot.path, name, issue: message })
        ),
        (state) => new Map(states).set(name, state)
      )
    }
    const change = Effect.gen(function* () {
      if (slot.incarnation === undefined || !slot.isUp) return yield* new ActorNotRunning({ actor: slot.path })
      if (migrate !== undefined && migrate !== "discard") yield* keptIn(slot, name)
      const states = new Map(Array.from(slot.incarnation.states, ([key, kept]) => [key, Ref.getUnsafe(kept.ref)]))
      const seeds = yield* migrated(states)
      const services = Context.omit(Tracer.ParentSpan)(context) as Context.Context<never>
      const next = { program: implOf(behavior as never).program(undefined), states: seeds, services }
      const before = { program: slot.program, states, services: moreOf(slot) }
      const failed = yield* Effect.interruptible(exchange(slot, next, before))
      if (failed !== undefined) return yield* new NotReplaced({ actor: slot.path, ...failed })
    })
    return replacing(slot, Effect.uninterruptible(change))
  })

/** Nobody can end an incarnation whose message is waiting for that. */
const replacing = <E, R>(slot: Slot, change: Effect.Effect<void, E, R>): Effect.Effect<void, E | NotReplaced, R> =>
  Effect.withFiber((fiber): Effect.Effect<void, E | NotReplaced, R> => {
    const turn = Context.getOrUndefined(fiber.context as Context.Context<never>, ActorContext)
    if (turn?.incarnation.host !== slot) return between(slot, change)
    const cause = Cause.die(new Error("an actor cannot replace its own behavior while it handles a message"))
    return Effect.fail(new NotReplaced({ actor: slot.path, cause, rolledBack: true }))
  })

interface Failed {
  readonly cause: Cause.Cause<unknown>
  readonly rolledBack: boolean
}

/** What an actor runs. */
interface Version {
  readonly program: Program
  readonly states: ReadonlyMap<string, unknown>
  /** Those besides the services of the actor's spec, which go first. */
  readonly services: Context.Context<never> | undefined
}

/** Begins one version in place of another; where that fails, or is given up, the other one again with its state. */
const exchange = (slot: Slot, next: Version, before: Version): Effect.Effect<Failed | undefined> =>
  Effect.callback((resume) => {
    let outcome: { readonly failed: Failed | undefined } | undefined
    let givenUp: (() => void) | undefined
    const over = (runs: boolean, failed: Failed | undefined) => {
      slot.exchanged(runs)
      outcome = { failed }
      resume(Effect.succeed(failed))
      givenUp?.()
    }
    const take = ({ program, services, states }: Version) => {
      slot.program = program
      provideMore(slot, services)
      return states
    }
    const rollBack = (cause: Cause.Cause<unknown>) => {
      const states = take(before)
      const ended = () => {
        over(false, { cause, rolledBack: false })
        slot.owner.onEnded(slot, slot.lastEnd!)
      }
      if (slot.lastEnd!._tag !== "Failed") return ended()
      slot.start((again) => (Exit.isSuccess(again) ? over(true, { cause, rolledBack: true }) : ended()), states)
    }
    const begin = () => take(givenUp === undefined ? next : before)
    slot.replace(begin, (exit) => {
      if (Exit.isSuccess(exit)) {
        renew(slot)
        over(true, undefined)
      }
      // Told to end meanwhile: its owner hears of that when it has.
      else if (!slot.isDown) over(false, { cause: exit.cause, rolledBack: false })
      else rollBack(exit.cause)
    })
    return Effect.callback<void>((done) => {
      if (outcome !== undefined) return done(Effect.void)
      givenUp = () => done(Effect.void)
      slot.giveUpStart()
    })
  })
