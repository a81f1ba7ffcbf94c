/**
 * What can go wrong with a supervisor, each with the path of where it did and the typed cause.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import { format } from "effect/Formatter"
import * as Schema from "effect/Schema"

const causeLine = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  if (error instanceof Error) return `${error.name}: ${error.message}`
  return typeof error === "string" ? error : format(error)
}

/**
 * A spec that contradicts itself or its neighbours. Found before anything is started: `path`, `field` and `value` say what
 * and where.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidSpec extends Schema.TaggedError<InvalidSpec>()("InvalidSpec", {
  path: Schema.String,
  field: Schema.String,
  value: Schema.Unknown,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.path}: ${this.field} ${this.problem}, got ${format(this.value)}`
  }
}

/** @internal */
export const invalid = (path: string, field: string, value: unknown, problem: string): InvalidSpec =>
  new InvalidSpec({ path, field, value, problem }, { disableChecks: true })

/**
 * A child's init did not end within its `startTimeout` (`after`, milliseconds). It has been stopped again.
 *
 * @category errors
 * @since 0.1.0
 */
export class StartTimeout extends Schema.TaggedError<StartTimeout>()("StartTimeout", {
  path: Schema.String,
  after: Schema.Number
}) {
  override get message(): string {
    return `${this.path} was not up within ${this.after} ms: allow more with startTimeout, or do slow work in Actor.continueWith`
  }
}

/**
 * A child could not be started; everything started before it has been stopped again. `path` is its supervisor's; it is empty
 * where a whole tree was refused before anything of it was started, `child` then being the path of what is wrong.
 *
 * @category errors
 * @since 0.1.0
 */
export class StartFailed<E> extends Data.TaggedError("StartFailed")<{
  readonly path: string
  readonly child: string
  readonly cause: Cause.Cause<E | StartTimeout | InvalidSpec>
}> {
  override get message(): string {
    const why = Cause.hasInterruptsOnly(this.cause)
      ? "it ended, or was interrupted, before it was up"
      : causeLine(this.cause)
    // A tree that is refused as a whole has no supervisor yet.
    return `${this.path === "" ? "" : `${this.path}: child `}${this.child} failed to start: ${why}`
  }
}

/**
 * No restart is left: the supervisor has stopped its children and given up. `limit` says what ran out, the intensity
 * (`restarts` within `within` milliseconds) or the schedule of the child's `backoff`. `cause` is the last failure of `child`.
 *
 * @category errors
 * @since 0.1.0
 */
export class RestartIntensityExceeded<E> extends Data.TaggedError("RestartIntensityExceeded")<{
  readonly path: string
  readonly child: string
  readonly limit: "intensity" | "backoff"
  readonly restarts: number
  readonly within: number
  readonly cause: Cause.Cause<E>
}> {
  override get message(): string {
    const { child, limit, path, restarts, within } = this
    const why =
      limit === "backoff"
        ? `the backoff of child ${child} has ended`
        : `child ${child} needed more than ${restarts} restarts within ${within} ms`
    return `${path} gave up: ${why}, the last after ${causeLine(this.cause)}`
  }
}

/**
 * A child's failure was to be decided further up: the supervisor has stopped its children and failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class Escalated<E> extends Data.TaggedError("Escalated")<{
  readonly path: string
  readonly child: string
  readonly cause: Cause.Cause<E>
}> {
  override get message(): string {
    return `${this.path}: child ${this.child} escalated: ${causeLine(this.cause)}`
  }
}

/**
 * The supervisor has ended: it answers no request any more.
 *
 * @category errors
 * @since 0.1.0
 */
export class SupervisorNotRunning extends Schema.TaggedError<SupervisorNotRunning>()("SupervisorNotRunning", {
  path: Schema.String
}) {
  override get message(): string {
    return `${this.path} is not running`
  }
}

/**
 * The supervisor has as many children as it may have. Stop one, or allow more with `maxChildren`.
 *
 * @category errors
 * @since 0.1.0
 */
export class MaxChildrenReached extends Schema.TaggedError<MaxChildrenReached>()("MaxChildrenReached", {
  path: Schema.String,
  maxChildren: Schema.Number
}) {
  override get message(): string {
    return `${this.path} has ${this.maxChildren} children and may have no more`
  }
}

/**
 * The supervisor knows no such child. `dynamic`: it was asked by id, but its children have none.
 *
 * @category errors
 * @since 0.1.0
 */
export class ChildNotFound extends Schema.TaggedError<ChildNotFound>()("ChildNotFound", {
  path: Schema.String,
  id: Schema.String,
  dynamic: Schema.Boolean
}) {
  override get message(): string {
    return this.dynamic
      ? `${this.path} does not know its children by id: give terminate a ref, or stop a key`
      : `${this.path} has no child ${this.id}`
  }
}

/**
 * The child's present state does not allow what was asked: `state` says which it is.
 *
 * @category errors
 * @since 0.1.0
 */
export class ChildConflict extends Schema.TaggedError<ChildConflict>()("ChildConflict", {
  path: Schema.String,
  id: Schema.String,
  state: Schema.Literals(["running", "restarting", "present"])
}) {
  override get message(): string {
    const why = {
      running: "is running: terminate it first",
      restarting: "is being restarted: terminate it first",
      present: "is known and stopped: use restartChild, or deleteChild first"
    }
    return `${this.path}: child ${this.id} ${why[this.state]}`
  }
}

/**
 * A tree ended, in order, before the effect that was using it: its significant children have, or it was stopped.
 *
 * @category errors
 * @since 0.1.0
 */
export class TreeEnded extends Schema.TaggedError<TreeEnded>()("TreeEnded", { path: Schema.String }) {
  override get message(): string {
    return `${this.path} has ended while it was in use`
  }
}
