/**
 * Interceptors over Effect's rate limiter and circuit breaker, which are unstable there: nothing else imports them.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Stream from "effect/Stream"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { AskError } from "./AskError.ts"
import type { Call, Interceptor } from "./intercepting.ts"
import * as Make from "./Interceptor.ts"
import { countOf } from "./interceptorOptions.ts"
import { limitMillis } from "./limit.ts"

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
  /**
   * What is done with one too many: `refuse` it (default), or `delay` it, and all that come after it. What would be delayed for
   * longer than anybody waits is refused.
   */
  readonly onExceeded?: "refuse" | "delay"
  /** Messages of one key share a limit. Default: those of an actor, by its path. */
  readonly key?: (call: Call) => string
}

/**
 * Handles no more than so many messages in a time, by Effect's `RateLimiter`: the one in scope, which may be shared with other
 * processes, or else one in memory that each incarnation has. Whoever asked for one too many gets `HandlerFailed` with
 * Effect's `RateLimiterError`, or that itself where the message declares it; a tell is told as `Unhandled`. The actor lives.
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
  countOf("rateLimit", "limit", limit)
  limitMillis("the window of rateLimit", window)
  const rule = { algorithm, limit, window, onExceeded: onExceeded === "delay" ? "delay" : "fail" } as const
  return Make.unwrap(
    Effect.map(limiter, ({ consume }) => {
      const admitted = (call: Call) =>
        Effect.matchEffect(consume({ ...rule, key: key(call) }), {
          onFailure: Make.refuse,
          onSuccess: ({ delay }) =>
            Duration.toMillis(delay) < call.remaining
              ? Effect.sleep(delay)
              : Make.refuse(exceeded(key(call), limit, delay))
        })
      return Make.make({
        ...match,
        handle: (next, call) => Effect.andThen(admitted(call), next),
        handleStream: (next, call) => Stream.unwrap(Effect.as(admitted(call), next))
      })
    })
  )
}

const exceeded = (key: string, limit: number, retryAfter: Duration.Duration): RateLimiter.RateLimiterError =>
  new RateLimiter.RateLimiterError({
    reason: new RateLimiter.RateLimitExceeded({ key, limit, retryAfter, remaining: 0 })
  })

const inMemory = RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))

const limiter: Effect.Effect<RateLimiter.RateLimiter, never, Scope.Scope> = Effect.flatMap(
  Effect.serviceOption(RateLimiter.RateLimiter),
  Option.match({
    onSome: Effect.succeed,
    onNone: () => Effect.map(Layer.build(inMemory), (built) => Context.get(built, RateLimiter.RateLimiter))
  })
)

/**
 * When a circuit opens, and for how long; or a breaker that has been made already, which tells its state and its transitions.
 *
 * @category models
 * @since 0.1.0
 */
export type CircuitBreakerOptions = Make.Match & {
  /** Messages of one key share a circuit. Default: those to an actor, by its path. */
  readonly key?: (call: Call) => string
} & (
    | {
        /** `CircuitBreaker.consecutive(5)` or `CircuitBreaker.rate(…)` of `effect/persistence`. */
        readonly tripPolicy: CircuitBreaker.TripPolicy
        /** How long it is open; a schedule of how often it has been in a row. */
        readonly openDuration: Duration.Input | Schedule.Schedule<unknown, number, never, never>
      }
    | { readonly breaker: CircuitBreaker.CircuitBreaker }
  )

/**
 * Asks nobody who keeps failing, by Effect's `CircuitBreaker`: with the store in scope, or else one in memory. An ask without
 * a reply counts as a failure, whatever the reason; a declared error is a reply, and an asker that is interrupted says nothing.
 * While the circuit is open, asks fail with `CircuitBreakerError` at once. Tells and streams pass it by. It is for refs, since
 * it adds that error to their asks.
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
  const { key = ({ actor }) => actor, ...rest } = options
  const { annotated, tags, when } = rest as Make.Match
  const match = { annotated, tags, when } as Make.Match
  const around = (breaker: CircuitBreaker.CircuitBreaker) =>
    Make.make({ ...match, ask: (next, call) => breaker.execute(next, { key: key(call), classify: outcomeOf }) })
  if ("breaker" in rest) return Effect.succeed(around(rest.breaker))
  const { openDuration, tripPolicy } = rest
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
    around
  )
}

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): CircuitBreaker.Outcome => {
  if (Exit.isSuccess(exit)) return CircuitBreaker.success
  const error = exit.cause.reasons.length === 1 ? exit.cause.reasons[0]! : undefined
  if (error?._tag !== "Fail") return CircuitBreaker.failure()
  if (!(error.error instanceof AskError)) return CircuitBreaker.success
  return error.error.reason._tag === "AskedItself" ? CircuitBreaker.ignored : CircuitBreaker.failure()
}
