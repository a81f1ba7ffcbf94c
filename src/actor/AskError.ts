/**
 * Why an ask was not answered: one error for every placement, whose `reason` says what happened and what to do next.
 *
 * A declared error of the protocol is a reply and never one of these.
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import type { Undelivered } from "../runtime/envelope.ts"
import * as ExitReason from "../runtime/ExitReason.ts"

const Reason: Schema.Codec<ExitReason.ExitReason, unknown> = Schema.Union([
  Schema.TaggedStruct("Normal", {}),
  Schema.TaggedStruct("Shutdown", { info: Schema.optionalKey(Schema.Unknown) }),
  Schema.TaggedStruct("Failed", { cause: Schema.Cause(Schema.Defect(), Schema.Defect()) }),
  Schema.TaggedStruct("Killed", {}),
  Schema.TaggedStruct("Interrupted", {})
]) as never

const AnyCause: Schema.Codec<Cause.Cause<unknown>, unknown> = Schema.Cause(Schema.Defect(), Schema.Defect()) as never

/**
 * The actor has ended for good, or ended with the request still queued. `exit` says how. Start it, or look it up again.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotRunning extends Schema.TaggedError<NotRunning>()("NotRunning", { exit: Reason }) {
  override get message(): string {
    return `the actor is not running: it ${ExitReason.format(this.exit)}`
  }
}

/**
 * A restart gave up the request unanswered: its incarnation ended, or the queue is discarded on restart. Ask again.
 *
 * @category errors
 * @since 0.1.0
 */
export class Restarting extends Schema.TaggedError<Restarting>()("Restarting", {}) {
  override get message(): string {
    return "the actor restarts and has given up the request: ask again"
  }
}

/**
 * The handler of this very request failed with something its protocol does not declare. The request is consumed.
 *
 * @category errors
 * @since 0.1.0
 */
export class HandlerFailed extends Schema.TaggedError<HandlerFailed>()("HandlerFailed", { cause: AnyCause }) {
  override get message(): string {
    return `the handler failed: it ${ExitReason.format(ExitReason.Failed(this.cause as Cause.Cause<unknown>))}`
  }
}

/**
 * There was no room for the request, at once or within the time the sender waited (`waited`, milliseconds).
 *
 * @category errors
 * @since 0.1.0
 */
export class MailboxFull extends Schema.TaggedError<MailboxFull>()("MailboxFull", {
  capacity: Schema.Number,
  waited: Schema.optionalKey(Schema.Number)
}) {
  override get message(): string {
    const waited = this.waited === undefined ? "" : ` and none was freed within ${this.waited} ms`
    return `the mailbox holds ${this.capacity} messages, no room is left${waited}`
  }
}

/**
 * No reply came in time. The request is withdrawn; a late reply goes nowhere.
 *
 * @category errors
 * @since 0.1.0
 */
export class Timeout extends Schema.TaggedError<Timeout>()("Timeout", { after: Schema.DurationFromMillis }) {
  override get message(): string {
    return `no reply within ${Duration.format(this.after)}: allow more with ActorRef.withTimeout`
  }
}

/**
 * A handler asked its own actor, which could never answer. Call the function behind the message instead.
 *
 * @category errors
 * @since 0.1.0
 */
export class AskedItself extends Schema.TaggedError<AskedItself>()("AskedItself", {}) {
  override get message(): string {
    return "an actor asked itself while handling a message: the reply could never come"
  }
}

/**
 * A router has nobody to give the request to: no member has joined, or all have ended. Ask again when somebody has.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoMembers extends Schema.TaggedError<NoMembers>()("NoMembers", {}) {
  override get message(): string {
    return "there is no member to give it to: let one join, and ask again"
  }
}

/**
 * The place where the actor lives cannot be reached. Only for actors outside the process.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { cause: Schema.Defect() }) {
  override get message(): string {
    return "the actor's place cannot be reached"
  }
}

/**
 * An ask that got no reply. `actor` is the path asked, `request` the message's tag, `payload` what was sent.
 *
 * **Example** (Handling the reasons one by one)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor } from "effect-otp"
 *
 * class Echo extends Actor.Service<Echo>()("docs/Echo", {
 *   Say: { payload: { text: Schema.String }, success: Schema.String }
 * }) {}
 * const EchoLive = Echo.behavior(Effect.succeed(Echo.of({ Say: ({ text }) => text })))
 *
 * const program = Effect.gen(function*() {
 *   const echo = yield* Actor.spawn(EchoLive)
 *   yield* Actor.stop(echo)
 *   return yield* echo.ask.Say({ text: "anybody?" }).pipe(
 *     Effect.catchReason("AskError", "NotRunning", ({ exit }) => Effect.succeed(exit._tag))
 *   )
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => "Shutdown"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class AskError extends Schema.TaggedError<AskError>()("AskError", {
  actor: Schema.String,
  request: Schema.String,
  payload: Schema.optionalKey(Schema.Unknown),
  reason: Schema.Union([
    NotRunning,
    Restarting,
    HandlerFailed,
    MailboxFull,
    NoMembers,
    Timeout,
    AskedItself,
    Unreachable
  ])
}) {
  override get message(): string {
    return `${this.actor} did not answer ${this.request}: ${this.reason.message}`
  }
}

/** The error for a request the engine could not get answered. @internal */
export const fromUndelivered = (actor: string, request: string, payload: unknown, why: Undelivered): AskError =>
  new AskError(
    { actor, request, ...(payload === undefined ? undefined : { payload }), reason: reasonOf(why) },
    {
      disableChecks: true
    }
  )

const unchecked = { disableChecks: true }

const reasonOf = (why: Undelivered): AskError["reason"] => {
  switch (why._tag) {
    case "NotRunning":
      return new NotRunning({ exit: why.exit }, unchecked)
    case "Restarting":
      return new Restarting({}, unchecked)
    case "HandlerFailed":
      return new HandlerFailed({ cause: why.cause }, unchecked)
    case "MailboxFull":
      return new MailboxFull(
        { capacity: why.capacity, ...(why.waited === undefined ? undefined : { waited: why.waited }) },
        unchecked
      )
    case "NoMembers":
      return new NoMembers({}, unchecked)
    case "Timeout":
      return new Timeout({ after: Duration.millis(why.after) }, unchecked)
    case "AskedItself":
      return new AskedItself({}, unchecked)
  }
}
