/**
 * Timers of an actor, by key: once, again and again with a pause, or at a steady rate.
 *
 * What a timer does is an effect, which is run in a turn of the actor's own, never beside a message. A tell to itself is
 * handled in that very turn, as a message that came from outside. Starting a timer replaces the one of the same key, and
 * nothing of a timer that was replaced or cancelled comes any more, also when it waits in the mailbox already. A timer
 * belongs to the incarnation that started it: it ends with it, however that ends.
 *
 * **Example** (A session that ends unless it is used)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Actor, ActorContext, Timers } from "effect-otp"
 * import { TestClock } from "effect/testing"
 *
 * class Session extends Actor.Service<Session>()("docs/Session", { Use: {}, Expire: {} }) {}
 * const SessionLive = Session.behavior(Effect.gen(function*() {
 *   const self = yield* Session.self
 *   const expires = Timers.once("expiry", "10 minutes", self.tell.Expire())
 *   yield* expires
 *   return Session.of({ Use: () => expires, Expire: () => ActorContext.stop })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const session = yield* Actor.spawn(SessionLive)
 *   yield* TestClock.adjust("9 minutes")
 *   yield* session.ask.Use()
 *   yield* TestClock.adjust("9 minutes")
 *   const status = session.status
 *   yield* TestClock.adjust("1 minute")
 *   return [status, session.status]
 * })
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(TestClock.layer()))) // => ["running", "stopped"]
 * ```
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import * as Schema from "effect/Schema"
import { ActorContext } from "../runtime/incarnation.ts"
import { inItsTurn } from "./ActorContext.ts"
import { KeyedTimers, type Pace } from "./keyedTimers.ts"
import { parseMillis } from "./limit.ts"
import { describeTell } from "./sending.ts"

/**
 * A timer was started with a time that is none. A defect: it crashes the actor.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidTimer extends Schema.TaggedError<InvalidTimer>()("InvalidTimer", {
  key: Schema.String,
  value: Schema.Unknown,
  problem: Schema.String
}) {
  override get message(): string {
    return `timer ${this.key}: its time ${this.problem}, got ${format(this.value)}`
  }
}

const start = <E, R>(
  kind: Pace["kind"],
  key: PropertyKey,
  time: Duration.Input,
  effect: Effect.Effect<unknown, E, R>
): Effect.Effect<void, never, ActorContext | R> =>
  Effect.contextWith((context: Context.Context<ActorContext | R>) => {
    const millis = parseMillis(time)
    const problem = kind === "once" ? "must be a duration of 0 or more" : "must be a duration above 0"
    if (millis === undefined || (kind !== "once" && millis === 0)) {
      return Effect.die(new InvalidTimer({ key: String(key), value: time, problem }))
    }
    const { incarnation } = Context.get(context, ActorContext)
    const own = describeTell(effect) === undefined ? inItsTurn(() => effect, context) : effect
    KeyedTimers.of(incarnation).start(key, { kind, first: millis, every: millis }, own as Effect.Effect<unknown, E>)
    return Effect.void
  })

const withTimers = <A>(f: (timers: KeyedTimers) => A): Effect.Effect<A, never, ActorContext> =>
  Effect.map(ActorContext, (turn) => f(KeyedTimers.of(turn.incarnation)))

/**
 * Runs an effect once, after a while.
 *
 * @category starting
 * @since 0.1.0
 */
export const once = <E, R>(
  key: PropertyKey,
  after: Duration.Input,
  effect: Effect.Effect<unknown, E, R>
): Effect.Effect<void, never, ActorContext | R> => start("once", key, after, effect)

/**
 * Runs an effect again and again: the next time this long after it was last begun. A busy actor has it less often.
 *
 * @category starting
 * @since 0.1.0
 */
export const fixedDelay = <E, R>(
  key: PropertyKey,
  delay: Duration.Input,
  effect: Effect.Effect<unknown, E, R>
): Effect.Effect<void, never, ActorContext | R> => start("delay", key, delay, effect)

/**
 * Runs an effect at a steady rate: the nth time n periods after the start. What a busy actor has missed it makes up for, one
 * by one.
 *
 * **Example** (Three ticks in three seconds)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Timers } from "effect-otp"
 * import { TestClock } from "effect/testing"
 *
 * class Meter extends Actor.Service<Meter>()("docs/Meter", { Ticks: { success: Schema.Int } }) {}
 * const MeterLive = Meter.behavior(Effect.gen(function*() {
 *   let ticks = 0
 *   yield* Timers.fixedRate("tick", "1 second", Effect.sync(() => ticks++))
 *   return Meter.of({ Ticks: () => ticks })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const meter = yield* Actor.spawn(MeterLive)
 *   yield* TestClock.adjust("3 seconds")
 *   return yield* meter.ask.Ticks()
 * })
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(TestClock.layer()))) // => 3
 * ```
 *
 * @category starting
 * @since 0.1.0
 */
export const fixedRate = <E, R>(
  key: PropertyKey,
  period: Duration.Input,
  effect: Effect.Effect<unknown, E, R>
): Effect.Effect<void, never, ActorContext | R> => start("rate", key, period, effect)

/**
 * Ends a timer: nothing of it comes any more. It need not be there.
 *
 * @category ending
 * @since 0.1.0
 */
export const cancel = (key: PropertyKey): Effect.Effect<void, never, ActorContext> =>
  withTimers((timers) => timers.cancel(key))

/**
 * Ends all timers of this actor.
 *
 * @category ending
 * @since 0.1.0
 */
export const cancelAll: Effect.Effect<void, never, ActorContext> = withTimers((timers) => timers.cancelAll())

/**
 * Whether something of a timer is still to come.
 *
 * @category accessors
 * @since 0.1.0
 */
export const isActive = (key: PropertyKey): Effect.Effect<boolean, never, ActorContext> =>
  withTimers((timers) => timers.has(key))
