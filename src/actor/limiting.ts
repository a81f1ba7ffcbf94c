/**
 * Interceptors over Effect's rate limiter and circuit breaker, which are unstable there: nothing else imports them.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as RateLimiter from "effect/persistence/RateLimiter"
import type * as Duration from "effect/Duration"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { AskError } from "./AskError.ts"
import type { Call, Interceptor } from "./intercepting.ts"
import * as Make from "./Interceptor.ts"

/**
 * How many messages are handled in which time.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateLimitOptions extends Make.Match {
  /** Messages in a window at most. */
  readonly limit: number
  readonly window: Duration.Input
  /** Default `fixed-window`. */
  readonly algorithm?: "fixed-window" | "token-bucket"
  /** What is done with one too many: `refuse` it (default), or `delay` it, and all that come after it. */
  readonly onExceeded?: "refuse" | "delay"
  /** Messages of one key share a limit. Default: those of an actor, by its path. */
  readonly key?: (call: Call) => string
}

/**
 * Handles no more than so many messages in a time, by Effect's `RateLimiter`: the one in scope, which may be shared with other
 * processes, or else one in memory that each incarnation has. Whoever asked for one too many gets `HandlerFailed` with
 * Effect's `RateLimiterError`, or that itself where the message declares it; a tell is gone. The actor lives.
 *
 * **Example** (Two in a minute)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Interceptor, Interceptors } from "effect-otp"
 *
 * class Mailer extends Actor.Service<Mailer>()("docs/Mailer", { Send: { success: Schema.String } }) {}
 * const MailerLive = Mailer.behavior(Effect.succeed(Mailer.of({ Send: () => "sent" })))
 * const Limited = MailerLive.pipe(Interceptor.apply(Interceptors.rateLimit({ limit: 2, window: "1 minute" })))
 *
 * const program = Effect.gen(function*() {
 *   const mailer = yield* Actor.spawn(Limited)
 *   const send = Effect.catch(mailer.ask.Send(), ({ reason }) => Effect.succeed(reason._tag))
 *   return [yield* send, yield* send, yield* send]
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["sent", "sent", "HandlerFailed"]
 * ```
 *
 * @category interceptors
 * @since 0.1.0
 */
export const rateLimit = (options: RateLimitOptions): Interceptor => {
  const { algorithm, key = ({ actor }) => actor, limit, onExceeded = "refuse", window, ...match } = options
  return Make.unwrap(
    Effect.map(limiter, ({ consume }) =>
      Make.make({
        ...match,
        handle: (next, call) =>
          Effect.matchEffect(
            consume({
              algorithm,
              limit,
              window,
              key: key(call),
              onExceeded: onExceeded === "delay" ? "delay" : "fail"
            }),
            { onFailure: Make.refuse, onSuccess: ({ delay }) => Effect.delay(next, delay) }
          )
      })
    )
  )
}

const inMemory = RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))

const limiter: Effect.Effect<RateLimiter.RateLimiter, never, Scope.Scope> = Effect.flatMap(
  Effect.serviceOption(RateLimiter.RateLimiter),
  Option.match({
    onSome: Effect.succeed,
    onNone: () => Effect.map(Layer.build(inMemory), (built) => Context.get(built, RateLimiter.RateLimiter))
  })
)

/**
 * When a circuit opens, and for how long.
 *
 * @category models
 * @since 0.1.0
 */
export interface CircuitBreakerOptions extends Make.Match {
  /** `CircuitBreaker.consecutive(5)` or `CircuitBreaker.rate(…)` of `effect/persistence`. */
  readonly tripPolicy: CircuitBreaker.TripPolicy
  /** How long it is open; a schedule of how often it has been in a row. */
  readonly openDuration: Duration.Input | Schedule.Schedule<unknown, number, never, never>
  /** Messages of one key share a circuit. Default: those to an actor, by its path. */
  readonly key?: (call: Call) => string
}

/**
 * Asks nobody who keeps failing, by Effect's `CircuitBreaker`: with the store in scope, or else one in memory. An ask without
 * a reply counts as a failure, whatever the reason; a declared error is a reply. While the circuit is open, asks fail with
 * `CircuitBreakerError` at once. It is for refs, since it adds that error to their asks.
 *
 * **Example** (Not a third time)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { CircuitBreaker } from "effect/persistence"
 * import { Actor, Interceptor, Interceptors } from "effect-otp"
 *
 * class Gone extends Actor.Service<Gone>()("docs/Gone", { Ping: {} }) {}
 * const program = Effect.gen(function*() {
 *   const gone = yield* Actor.spawn(Gone.behavior(Effect.succeed(Gone.of({ Ping: () => {} }))))
 *   yield* Actor.stop(gone)
 *   const breaker = yield* Interceptors.circuitBreaker({
 *     tripPolicy: CircuitBreaker.consecutive(2),
 *     openDuration: "1 minute"
 *   })
 *   const careful = gone.pipe(Interceptor.through(breaker))
 *   const ping = Effect.map(Effect.flip(careful.ask.Ping()), ({ reason }) => reason._tag)
 *   return [yield* ping, yield* ping, yield* ping]
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["NotRunning", "NotRunning", "CircuitOpen"]
 * ```
 *
 * @category interceptors
 * @since 0.1.0
 */
export const circuitBreaker = (
  options: CircuitBreakerOptions
): Effect.Effect<Interceptor<never, never, CircuitBreaker.CircuitBreakerError>, never, Scope.Scope> => {
  const { key = ({ actor }) => actor, openDuration, tripPolicy, ...match } = options
  const made = CircuitBreaker.make({ openDuration, tripPolicy })
  return Effect.map(
    Effect.flatMap(
      Effect.serviceOption(CircuitBreaker.CircuitBreakerStore),
      Option.match({
        onSome: (store) => Effect.provideService(made, CircuitBreaker.CircuitBreakerStore, store),
        onNone: () =>
          Effect.flatMap(Layer.build(CircuitBreaker.layerStoreMemory()), (built) => Effect.provide(made, built))
      })
    ),
    (breaker) =>
      Make.make({ ...match, ask: (next, call) => breaker.execute(next, { key: key(call), classify: outcomeOf }) })
  )
}

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): CircuitBreaker.Outcome => {
  if (Exit.isSuccess(exit)) return CircuitBreaker.success
  const error = exit.cause.reasons.length === 1 ? exit.cause.reasons[0]! : undefined
  if (error?._tag !== "Fail") return CircuitBreaker.failure()
  if (!(error.error instanceof AskError)) return CircuitBreaker.success
  return error.error.reason._tag === "AskedItself" ? CircuitBreaker.ignored : CircuitBreaker.failure()
}
