/**
 * Why an actor ended, in OTP's words.
 *
 * A supervisor reads only the kind: `Normal` and `Shutdown` are orderly ends, `Failed` and `Killed` are abnormal ones
 * (rules R10 to R13). The typed cause of a failure is kept whole, never turned into a string.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"

/**
 * Completed its work and ended by itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface Normal {
  readonly _tag: "Normal"
}

/**
 * Was asked to stop by its owner; `info` says why, when the asker did.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shutdown {
  readonly _tag: "Shutdown"
  readonly info?: unknown
}

/**
 * Crashed: an error its protocol does not declare, or a defect.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failed {
  readonly _tag: "Failed"
  readonly cause: Cause.Cause<unknown>
}

/**
 * Was ended by force. What it held may still be on its way to be released.
 *
 * @category models
 * @since 0.1.0
 */
export interface Killed {
  readonly _tag: "Killed"
}

/**
 * Its fiber was interrupted by somebody who is not its owner. Counts as an orderly end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Interrupted {
  readonly _tag: "Interrupted"
}

/**
 * Why an actor ended.
 *
 * @category models
 * @since 0.1.0
 */
export type ExitReason = Normal | Shutdown | Failed | Killed | Interrupted

/**
 * The actor completed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Normal: Normal = { _tag: "Normal" }

/**
 * The actor was ended by force.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Killed: Killed = { _tag: "Killed" }

/**
 * The actor was interrupted from outside its supervision.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Interrupted: Interrupted = { _tag: "Interrupted" }

const plainShutdown: Shutdown = { _tag: "Shutdown" }

/**
 * The actor was asked to stop, with or without a word why.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Shutdown = (info?: unknown): Shutdown => (info === undefined ? plainShutdown : { _tag: "Shutdown", info })

/**
 * The actor crashed with this cause.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Failed = (cause: Cause.Cause<unknown>): Failed => ({ _tag: "Failed", cause })

/**
 * Classifies the exit of a child's effect: a success is `Normal`, interruption alone is `Interrupted`, anything else is
 * `Failed`. A cause that holds an interruption beside a failure is a failure.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromExit = (exit: Exit.Exit<unknown, unknown>): ExitReason => {
  if (Exit.isSuccess(exit)) return Normal
  return Cause.hasInterruptsOnly(exit.cause) ? Interrupted : Failed(exit.cause)
}

/**
 * The exit that resources see when the incarnation that acquired them ends for this reason.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toExit = (reason: ExitReason): Exit.Exit<void, unknown> => {
  switch (reason._tag) {
    case "Normal":
      return Exit.void
    case "Failed":
      return Exit.failCause(reason.cause)
    default:
      return Exit.interrupt()
  }
}

/**
 * `true` for the ends that a transient child is restarted after: `Failed` and `Killed`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isAbnormal = (reason: ExitReason): reason is Failed | Killed =>
  reason._tag === "Failed" || reason._tag === "Killed"

/**
 * One line for people and logs.
 *
 * @category conversions
 * @since 0.1.0
 */
export const format = (reason: ExitReason): string => {
  switch (reason._tag) {
    case "Normal":
      return "ended normally"
    case "Shutdown":
      return reason.info === undefined ? "was asked to stop" : `was asked to stop: ${describe(reason.info)}`
    case "Failed":
      return `crashed: ${describe(Cause.squash(reason.cause))}`
    case "Killed":
      return "was killed"
    case "Interrupted":
      return "was interrupted"
  }
}

const describe = (value: unknown): string => {
  if (value instanceof Error) return value.message === "" ? value.name : `${value.name}: ${value.message}`
  if (typeof value === "object" && value !== null && "_tag" in value) return String(value._tag)
  return String(value)
}
