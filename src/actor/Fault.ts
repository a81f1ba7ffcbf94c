/**
 * Three kinds of failure, with codes: what is wrong with the request (`BusinessError`), what is wrong with the world
 * (`SystemError`, recoverable or not), and what took too long (`TimedOut`).
 *
 * Anything a handler fails with or throws is classified as one of them by a function that can be replaced, `Classify`. What
 * is done about each kind is a table, `Treatments`, put on an actor either as an interceptor (`Fault.handling`) or as the
 * `onFailure` of its spec (`Fault.onFailure`). Unless the table says otherwise, business errors are answered, recoverable ones
 * and those of time are answered and logged, the rest crashes the actor and its supervisor decides. An actor without either is
 * as any other: what a message declares is its reply, anything else crashes.
 *
 * **Example** (A wrong request harms nobody)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Fault, Interceptor } from "effect-otp"
 *
 * class Account extends Actor.Service<Account>()("docs/Account", {
 *   Withdraw: { payload: { amount: Schema.Int }, success: Schema.Int, error: Fault.BusinessError }
 * }) {}
 * const AccountLive = Account.behavior(Account.sync(() => {
 *   let balance = 10
 *   return Account.of({
 *     Withdraw: ({ amount }) => amount > balance
 *       ? Effect.fail(new Fault.BusinessError({ code: "insufficient-funds", message: `only ${balance} left` }))
 *       : Effect.succeed(balance -= amount)
 *   })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const account = yield* Actor.spawn(AccountLive.pipe(Interceptor.apply(Fault.handling())))
 *   const error = yield* Effect.flip(account.ask.Withdraw({ amount: 11 }))
 *   return [error.message, yield* account.ask.Withdraw({ amount: 4 })]
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["only 10 left", 6]
 * ```
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ActorContext, type Turn } from "../runtime/incarnation.ts"
import { AskError } from "./AskError.ts"
import { slotOf } from "./ActorContext.ts"
import { type Call, type Failure, type Interceptor, Refusal } from "./intercepting.ts"
import { limitMillis } from "./limit.ts"
import { makeBeside, type Match, refuseCause } from "./Interceptor.ts"

/**
 * What was asked for cannot be done: whoever asked is told, and may ask for something else. `code` is for programs, `message`
 * for people, `details` for both.
 *
 * @category errors
 * @since 0.1.0
 */
export class BusinessError extends Schema.TaggedError<BusinessError>()("BusinessError", {
  code: Schema.String,
  message: Schema.String,
  details: Schema.optionalKey(Schema.Unknown)
}) {}

/**
 * Something around the actor, or the actor itself, is broken. `recoverable`: it may be well the next time, and the actor is
 * as good as before.
 *
 * @category errors
 * @since 0.1.0
 */
export class SystemError extends Schema.TaggedError<SystemError>()("SystemError", {
  code: Schema.String,
  message: Schema.String,
  recoverable: Schema.Boolean,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/**
 * Something took too long. `after`: how long was waited, where that is known.
 *
 * @category errors
 * @since 0.1.0
 */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", {
  code: Schema.String,
  message: Schema.String,
  after: Schema.optionalKey(Schema.DurationFromMillis),
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/**
 * Any of the three, also as the `error` of a message.
 *
 * @category errors
 * @since 0.1.0
 */
export const Fault = Schema.Union([BusinessError, SystemError, TimedOut])

/**
 * Any of the three.
 *
 * @category errors
 * @since 0.1.0
 */
export type Fault = typeof Fault.Type

/**
 * The four categories that are treated differently.
 *
 * @category models
 * @since 0.1.0
 */
export type Category = "business" | "recoverable" | "fatal" | "timeout"

/**
 * - `reply`: whoever asked gets the fault, as a reply where the message declares it, by `HandlerFailed` otherwise; the actor
 *   goes on. Where nobody asked, it is logged as a warning.
 * - `resume`: the same, and it is logged in any case.
 * - `crash`: the actor ends with what it failed with, and its supervisor decides.
 *
 * @category models
 * @since 0.1.0
 */
export type Treatment = "reply" | "resume" | "crash"

/**
 * What is done about each category.
 *
 * @category models
 * @since 0.1.0
 */
export type Treatments = { readonly [C in Category]: Treatment }

/**
 * Business errors are replies, recoverable ones and those of time are logged, fatal ones crash.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultTreatments: Treatments = {
  business: "reply",
  recoverable: "resume",
  timeout: "resume",
  fatal: "crash"
}

/**
 * Which category a fault is of.
 *
 * @category classifying
 * @since 0.1.0
 */
export const category = (fault: Fault): Category => {
  if (fault._tag === "BusinessError") return "business"
  if (fault._tag === "TimedOut") return "timeout"
  return fault.recoverable ? "recoverable" : "fatal"
}

/** Names that the platform has for a world that may be better soon. */
const RECOVERABLE = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
  "EBUSY",
  "EAGAIN",
  "EMFILE",
  "RateLimiterError",
  "CircuitBreakerError"
])
const TIMES = new Set([
  "TimeoutError",
  "ETIMEDOUT",
  "ESOCKETTIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT"
])
const INVALID = new Set(["SchemaError", "InvalidPayload", "UnknownMessage"])

const nameOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return "defect"
  const { _tag, code, name } = error as { readonly _tag?: unknown; readonly code?: unknown; readonly name?: unknown }
  const found = [_tag, code, name].find((each) => typeof each === "string" && each !== "" && each !== "Error")
  return (found as string | undefined) ?? "defect"
}

/** Not all that is an error has a message. */
const messageOf = (error: unknown): string | undefined => {
  if (!(error instanceof Error)) return format(error)
  return typeof error.message === "string" && error.message !== "" ? error.message : undefined
}

const isFault = (error: unknown): error is Fault =>
  error instanceof BusinessError || error instanceof SystemError || error instanceof TimedOut

const isKnown = (error: unknown): boolean => {
  if (isFault(error) || error instanceof AskError) return true
  const name = nameOf(error)
  return TIMES.has(name) || INVALID.has(name) || RECOVERABLE.has(name)
}

/** What was wrapped on its way, the outermost that says something; or else the error as it is. */
const known = (error: unknown): unknown => {
  const seen = new Set<unknown>()
  for (let each = error; typeof each === "object" && each !== null && !seen.has(each); each = (each as Error).cause) {
    if (isKnown(each)) return each
    seen.add(each)
  }
  return error
}

/**
 * How anything is classified unless `Classify` says otherwise: faults are what they are; time limits of any kind are
 * `TimedOut`; what a schema refuses is a `BusinessError`; actors that did not answer and connections that broke are
 * recoverable; all else, above all what nobody expected, is not. An error is looked into for its `cause`, and an ask whose
 * handler failed for what it failed with, where that is a fault; the crash of another actor is recoverable.
 *
 * **Example** (An exception of the platform)
 *
 * ```ts import.meta.vitest
 * import { Fault } from "effect-otp"
 *
 * const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })
 * Fault.category(Fault.classify(refused)) // => "recoverable"
 * Fault.category(Fault.classify(new TypeError("x is not a function"))) // => "fatal"
 * ```
 *
 * @category classifying
 * @since 0.1.0
 */
export const classify = (error: unknown): Fault => {
  const inner = known(error)
  if (isFault(inner)) return inner
  if (inner instanceof AskError) return ofAsk(inner)
  const code = nameOf(inner)
  const message = messageOf(error) ?? messageOf(inner) ?? code
  if (TIMES.has(code)) return new TimedOut({ code: "timeout", message, cause: error })
  if (INVALID.has(code)) return new BusinessError({ code: "invalid", message })
  return new SystemError({ code, message, recoverable: RECOVERABLE.has(code), cause: error })
}

const ofAsk = (error: AskError): Fault => {
  const { message, reason } = error
  if (reason._tag === "HandlerFailed") {
    const fault = ofCause(classify, reason.cause as Cause.Cause<unknown>)
    if (category(fault) !== "fatal") return fault
  }
  if (reason._tag === "Timeout") return new TimedOut({ code: "timeout", message, after: reason.after, cause: error })
  return new SystemError({ code: reason._tag, message, recoverable: reason._tag !== "AskedItself", cause: error })
}

/**
 * How failures are classified here: provide another function to have it otherwise.
 *
 * @category classifying
 * @since 0.1.0
 */
export const Classify = Context.Reference<(error: unknown) => Fault>("effect-otp/Fault/Classify", {
  defaultValue: () => classify
})

/** The fault of a whole cause: of its defect, or else of its typed error. */
const ofCause = (classifier: (error: unknown) => Fault, cause: Cause.Cause<unknown>): Fault => {
  const died = cause.reasons.find(Cause.isDieReason)
  return classifier(died === undefined ? Cause.squash(cause) : died.defect)
}

// --- As an interceptor ---

interface How {
  readonly treatments: Treatments
  readonly classifier: (error: unknown) => Fault
}

const treat = ({ classifier, treatments }: How, cause: Cause.Cause<unknown>, turn: Turn, call: Call) => {
  const failed = Effect.failCause(cause as Cause.Cause<Failure>)
  if (Cause.hasInterruptsOnly(cause) || cause.reasons.some(isRefusal)) return failed
  if (slotOf(turn).isDeclared(cause, turn.item)) return failed
  const fault = ofCause(classifier, cause)
  const treatment = treatments[category(fault)]
  if (treatment === "crash") return failed
  const refused = refuseCause(Cause.fail(fault))
  if (treatment === "reply" && call.kind !== "tell") return refused
  const { path } = turn.incarnation.host
  const logged = Effect.logWarning(`${fault._tag} ${fault.code}: ${fault.message}`, cause)
  return Effect.andThen(Effect.annotateLogs(logged, { actor: path, code: fault.code }), refused)
}

const isRefusal = (reason: Cause.Reason<unknown>): boolean =>
  Cause.isFailReason(reason) && reason.error instanceof Refusal

/**
 * An interceptor that treats what handlers fail with by category; what `treatments` leaves out is as in `defaultTreatments`. It takes
 * no message from another. The function used is that of `Classify` where the actor was started.
 *
 * **Example** (Classified by hand)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Fault, Interceptor } from "effect-otp"
 *
 * class Parser extends Actor.Service<Parser>()("docs/Parser", {
 *   Parse: { payload: { json: Schema.String }, success: Schema.Unknown, error: Fault.BusinessError }
 * }) {}
 * const ParserLive = Parser.behavior(Effect.succeed(Parser.of({ Parse: ({ json }) => JSON.parse(json) as unknown })))
 *
 * const program = Effect.gen(function*() {
 *   const parser = yield* Actor.spawn(ParserLive.pipe(Interceptor.apply(Fault.handling())))
 *   const error = yield* Effect.flip(parser.ask.Parse({ json: "{" }))
 *   return error._tag === "BusinessError" && error.code
 * }).pipe(
 *   Effect.provideService(Fault.Classify, (error) =>
 *     error instanceof SyntaxError
 *       ? new Fault.BusinessError({ code: "syntax", message: error.message })
 *       : Fault.classify(error))
 * )
 * await Effect.runPromise(Effect.scoped(program)) // => "syntax"
 * ```
 *
 * @category treating
 * @since 0.1.0
 */
export const handling = (options: Match & { readonly treatments?: Partial<Treatments> } = {}): Interceptor => {
  const { treatments: given, ...match } = options
  const treatments = { ...defaultTreatments, ...given }
  const treated = (cause: Cause.Cause<unknown>, call: Call) =>
    Effect.flatMap(Classify, (classifier) =>
      Effect.flatMap(ActorContext, (turn) => treat({ treatments, classifier }, cause, turn, call))
    )
  return makeBeside({
    ...match,
    handle: (next, call) => Effect.catchCause(next, (cause) => treated(cause, call)),
    handleStream: (next, call) => Stream.catchCause(next, (cause) => Stream.fromEffect(treated(cause, call)))
  })
}

// --- As a supervisor's decision ---

/**
 * The same as the `onFailure` of a child's spec, for actors that are left as they are: `reply` and `resume` let the child go
 * on (whoever asked has been told by `HandlerFailed`), `crash` is what `crash` says, `restart` unless it says otherwise.
 *
 * **Example** (A connection that broke is no reason to restart)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Fault, Supervisor } from "effect-otp"
 *
 * class Counter extends Actor.Service<Counter>()("docs/Counter", { Next: { success: Schema.Int }, Sync: {} }) {}
 * const CounterLive = Counter.behavior(Counter.sync(() => {
 *   let count = 0
 *   return Counter.of({
 *     Next: () => ++count,
 *     Sync: () => Effect.fail(new Fault.SystemError({ code: "offline", message: "no network", recoverable: true }))
 *   })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const app = yield* Supervisor.start(
 *     Supervisor.make("app", { children: [Supervisor.child(CounterLive, { onFailure: Fault.onFailure() })] })
 *   )
 *   const counter = yield* Effect.provide(Counter, app.services)
 *   yield* counter.ask.Next()
 *   yield* counter.tell.Sync()
 *   return yield* counter.ask.Next()
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => 2
 * ```
 *
 * @category treating
 * @since 0.1.0
 */
export const onFailure = (
  options: {
    readonly treatments?: Partial<Treatments>
    readonly classify?: (error: unknown) => Fault
    readonly crash?: "restart" | "stop" | "escalate"
  } = {}
): ((cause: Cause.Cause<unknown>) => "restart" | "resume" | "stop" | "escalate") => {
  const { classify: classifier = classify, crash = "restart" } = options
  const treatments = { ...defaultTreatments, ...options.treatments }
  return (cause) => (treatments[category(ofCause(classifier, cause))] === "crash" ? crash : "resume")
}

/**
 * A time limit that fails with `TimedOut`, which says what took too long.
 *
 * @category combinators
 * @since 0.1.0
 */
export const timeout = (
  operation: string,
  after: Duration.Input
): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | TimedOut, R>) => {
  const limit = Duration.millis(limitMillis("the limit of Fault.timeout", after))
  const message = `${operation} took longer than ${Duration.format(limit)}`
  const orElse = () => Effect.fail(new TimedOut({ code: "timeout", message, after: limit }))
  return (effect) => Effect.timeoutOrElse(effect, { duration: limit, orElse })
}
