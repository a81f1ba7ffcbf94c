/**
 * Interceptors that are ready to be applied: retry, deduplication, rate limit, circuit breaker, logging, metrics.
 *
 * Those that wrap handlers have the messages they match for themselves among what they are applied together with, so apply
 * them one after the other; `logging` and `metrics` look on and go along with any.
 *
 * **Example** (A handler that is tried again)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schedule, Schema } from "effect"
 * import { Actor, Interceptor, Interceptors } from "effect-otp"
 *
 * class Fetcher extends Actor.Service<Fetcher>()("docs/Fetcher", { Get: { success: Schema.Int } }) {}
 * let tries = 0
 * const FetcherLive = Fetcher.behavior(Effect.succeed(Fetcher.of({
 *   Get: () => ++tries < 3 ? Effect.fail("unreachable") : Effect.succeed(tries)
 * })))
 *
 * const program = Effect.gen(function*() {
 *   const patient = FetcherLive.pipe(Interceptor.apply(Interceptors.retry(Schedule.recurs(5))))
 *   const fetcher = yield* Actor.spawn(patient)
 *   return yield* fetcher.ask.Get()
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => 3
 * ```
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import { AskError } from "./AskError.ts"
import type { SentCall } from "./calling.ts"
import { answerOf, type Call, type Failure, type Interceptor, Refusal, type Reply } from "./intercepting.ts"
import * as Make from "./Interceptor.ts"
import { countOf } from "./interceptorOptions.ts"

export {
  /** An option that no interceptor can have. @since 0.1.0 */
  InvalidInterceptor
} from "./interceptorOptions.ts"

export {
  /** Asks nobody who keeps failing. @since 0.1.0 */
  circuitBreaker,
  /** Handles no more than so many messages in a time. @since 0.1.0 */
  rateLimit
} from "./limiting.ts"

export type {
  /** When a circuit opens, and for how long. @since 0.1.0 */
  CircuitBreakerOptions,
  /** How many messages in which time. @since 0.1.0 */
  RateLimitOptions
} from "./limiting.ts"

// --- Retry ---

/**
 * Handles a message again while its handler fails, as often and as late as the schedule says, and as long as somebody waits for
 * the outcome; the actor handles nothing else meanwhile. Defects and refusals are not tried again, nor what `while` is false
 * of. Without it every typed failure is tried again, a declared error too.
 *
 * @category interceptors
 * @since 0.1.0
 */
export const retry = <R = never>(
  schedule: Schedule.Schedule<unknown, unknown, never, R>,
  options: Make.Match & { readonly while?: (error: unknown, call: Call) => boolean } = {}
): Interceptor<never, R> => {
  const { while: holds, ...match } = options
  return Make.make({
    ...match,
    handle: (next, call) =>
      Effect.retry(next, {
        schedule: call.deadline === Infinity ? schedule : inTime(schedule, () => call.remaining),
        while: (error: unknown) => !(error instanceof Refusal) && (holds === undefined || holds(error, call))
      })
  }) as Interceptor<never, R>
}

/** Waits for nothing that would come too late. */
const inTime = <R>(schedule: Schedule.Schedule<unknown, unknown, never, R>, remaining: () => number) =>
  Schedule.while(schedule, ({ duration }: { readonly duration: Duration.Duration }) => {
    return Duration.toMillis(duration) < remaining()
  })

/**
 * Asks again when no reply came for one of these `reasons`. By default those where the handler has not run: `Restarting`,
 * `MailboxFull`, `Unreachable`. A message sent again has the same id, so that `deduplicate` at the other side knows it. The
 * ref's time limit is that of each try; who handles a request itself asks no longer than somebody waits for that.
 *
 * **Example** (Nothing is added twice)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schedule, Schema } from "effect"
 * import { Actor, ActorRef, Interceptor, Interceptors } from "effect-otp"
 *
 * class Sum extends Actor.Service<Sum>()("docs/Sum", { Add: { payload: { n: Schema.Int }, success: Schema.Int } }) {}
 * const SumLive = Sum.behavior(Sum.sync(() => {
 *   let sum = 0
 *   return Sum.of({ Add: ({ n }) => Effect.delay(Effect.sync(() => (sum += n)), "20 millis") })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const sum = yield* Actor.spawn(SumLive.pipe(Interceptor.apply(Interceptors.deduplicate())))
 *   const hasty = sum.pipe(
 *     ActorRef.withTimeout("5 millis"),
 *     Interceptor.through(Interceptors.retryAsk(Schedule.spaced("5 millis"), { reasons: ["Timeout"] }))
 *   )
 *   return yield* hasty.ask.Add({ n: 1 })
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => 1
 * ```
 *
 * @category interceptors
 * @since 0.1.0
 */
export const retryAsk = <R = never>(
  schedule: Schedule.Schedule<unknown, unknown, never, R>,
  options: Make.Match & { readonly reasons?: ReadonlyArray<AskError["reason"]["_tag"]> } = {}
): Interceptor<never, never, never, R> => {
  const { reasons = ["Restarting", "MailboxFull", "Unreachable"], ...match } = options
  return Make.make({
    ...match,
    ask: (next, call) => {
      const { inherited, slot } = call as SentCall
      return Effect.retry(next, {
        schedule: inherited === Infinity ? schedule : inTime(schedule, () => inherited - slot.system.timers.now()),
        while: (error: unknown) => error instanceof AskError && reasons.includes(error.reason._tag)
      })
    }
  }) as Interceptor<never, never, never, R>
}

// --- Deduplication ---

/**
 * Handles a message once: one with the same key gets the reply of the first, and waits for it where that is still underway. The
 * key is the message's id, or what `key` says (`undefined`: handle it in any case). The last `capacity` keys that were answered
 * (default 1,024) are known, until the actor restarts; a message that failed may come again. Where another actor gives the
 * reply, or this one gives it later, it is not known, and the message is handled again. Streams are not deduplicated.
 *
 * @category interceptors
 * @since 0.1.0
 */
export const deduplicate = (
  options: Make.Match & {
    readonly key?: (call: Call) => string | number | undefined
    readonly capacity?: number
  } = {}
): Interceptor => {
  const { capacity = 1_024, key = ({ id }) => id, ...match } = options
  countOf("deduplicate", "capacity", capacity)
  return Make.unwrap(
    Effect.sync(() => {
      const seen = new Seen(capacity)
      return Make.make({
        ...match,
        handle: (next, call) =>
          Effect.suspend(() => {
            const name = key(call)
            return name === undefined ? next : seen.once(name, next, call)
          })
      })
    })
  )
}

type Answer = Exit.Exit<Reply, Failure>

/** What has been answered, and what is being handled. */
class Seen {
  private readonly answered = new Map<string | number, Answer>()
  private readonly underway = new Map<string | number, Deferred.Deferred<Answer | undefined>>()
  private readonly capacity: number

  constructor(capacity: number) {
    this.capacity = capacity
  }

  once(name: string | number, next: Effect.Effect<Reply, Failure>, call: Call): Effect.Effect<Reply, Failure> {
    const answer = this.answered.get(name)
    if (answer !== undefined) return answer
    const first = this.underway.get(name)
    if (first === undefined) return this.begin(name, next, call)
    return Effect.flatMap(Deferred.await(first), (answer) => answer ?? this.once(name, next, call))
  }

  private begin(name: string | number, next: Effect.Effect<Reply, Failure>, call: Call): Effect.Effect<Reply, Failure> {
    const done = Deferred.makeUnsafe<Answer | undefined>()
    this.underway.set(name, done)
    return Effect.onExit(next, (exit) =>
      Effect.sync(() => {
        this.underway.delete(name)
        const answer = answerOf(call, exit)
        if (answer !== undefined && Exit.isSuccess(answer)) this.remember(name, answer)
        // One that was interrupted says nothing about the others.
        const interrupted = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
        Deferred.doneUnsafe(done, Exit.succeed(interrupted ? undefined : answer))
      })
    )
  }

  private remember(name: string | number, answer: Answer): void {
    this.answered.set(name, answer)
    if (this.answered.size > this.capacity) this.answered.delete(this.answered.keys().next().value!)
  }
}

// --- Looking on ---

/** What came of a message, in a word. */
const outcomeOf = (exit: Exit.Exit<unknown, unknown>): "success" | "failure" | "defect" | "interrupted" | "kept" => {
  if (Exit.isSuccess(exit)) return "success"
  if (Make.isKept(exit)) return "kept"
  if (Cause.hasInterruptsOnly(exit.cause)) return "interrupted"
  return Cause.hasDies(exit.cause) ? "defect" : "failure"
}

/** Hooks that know how long it took, in milliseconds. */
const timed = (
  match: Make.Match,
  done: (call: Call, exit: Exit.Exit<unknown, unknown>, millis: number) => Effect.Effect<void>
): Interceptor => {
  const begun = new WeakMap<Call, bigint>()
  const begins = (call: Call) => Effect.map(Clock.currentTimeNanos, (now) => void begun.set(call, now))
  const ends = (call: Call, exit: Exit.Exit<unknown, unknown>) =>
    Effect.flatMap(Clock.currentTimeNanos, (now) => done(call, exit, Number(now - (begun.get(call) ?? now)) / 1e6))
  return Make.hooks({ ...match, handler: { before: begins, after: ends, streamStart: begins, streamEnd: ends } })
}

/**
 * Logs each message when it has been handled: at `level` (default `Debug`), or with its cause at `failureLevel` (default
 * `Warn`), annotated with actor, message, id, and the conversation it belongs to. Payloads are not logged.
 *
 * @category interceptors
 * @since 0.1.0
 */
export const logging = (
  options: Make.Match & { readonly level?: LogLevel.Severity; readonly failureLevel?: LogLevel.Severity } = {}
): Interceptor => {
  const { failureLevel = "Warn", level = "Debug", ...match } = options
  const [usual, failing] = [Effect.logWithLevel(level), Effect.logWithLevel(failureLevel)]
  return timed(match, (call, exit, millis) => {
    const line = `${call.tag}: ${outcomeOf(exit)} after ${millis} ms`
    const written = Exit.isSuccess(exit) || Make.isKept(exit) ? usual(line) : failing(line, causeOf(exit.cause))
    const { actor, correlationId, id, tag } = call
    const notes = { actor, message: tag, id, ...(correlationId === undefined ? undefined : { correlationId }) }
    return Effect.annotateLogs(written, notes)
  })
}

/** A refusal is known by its reason. */
const causeOf = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> => {
  const refusal = cause.reasons.find(Cause.isFailReason)?.error
  return refusal instanceof Refusal ? refusal.cause : cause
}

/**
 * Measures each message: the counter `<prefix>_messages_handled` and the timer `<prefix>_handle_time` (milliseconds), by
 * actor class, message and outcome (`success`, `failure`, `defect`, `interrupted`, `kept`: set aside by a stash). Default prefix `actor`.
 *
 * @category interceptors
 * @since 0.1.0
 */
export const metrics = (options: Make.Match & { readonly prefix?: string } = {}): Interceptor => {
  const { prefix = "actor", ...match } = options
  const handled = Metric.counter(`${prefix}_messages_handled`, { incremental: true })
  const time = Metric.timer(`${prefix}_handle_time`)
  return timed(match, (call, exit, millis) => {
    const attributes = { actor: call.key, message: call.tag, outcome: outcomeOf(exit) }
    return Effect.andThen(
      Metric.update(Metric.withAttributes(handled, attributes), 1),
      Metric.update(Metric.withAttributes(time, attributes), Duration.millis(millis))
    )
  })
}
