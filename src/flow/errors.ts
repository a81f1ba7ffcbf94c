/**
 * What can go wrong with a flow: how it was made, what an action was given or wrote, that it failed, and that somebody else
 * went on with the same id.
 */
import * as Data from "effect/Data"
import { format } from "effect/Formatter"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

/** What something thrown or failed with says. */
const said = (error: unknown): string => {
  const message = Predicate.hasProperty(error, "message") ? String(error.message) : ""
  return message === "" ? format(error) : message
}

/**
 * Thrown where a flow is made that could not work. `problems` has all that is wrong: `field` says where, such as
 * `transitions[2].to`, `value` what stands there.
 *
 * **Example** (An action that nothing leads to)
 *
 * ```ts import.meta.vitest
 * import { Effect, Result, Schema } from "effect"
 * import { Flow } from "effect-otp/flow"
 *
 * const State = Flow.state("docs/Lost", { n: Schema.Int })
 * const first = State.action("first", { run: () => Effect.void })
 * const lost = State.action("lost", { run: () => Effect.void })
 *
 * const made = Result.try({
 *   try: () => Flow.make("lost", { state: State, actions: [first, lost], entry: "first", transitions: [] }),
 *   catch: (error) => (error as Flow.InvalidFlow).message
 * })
 * Result.merge(made) // => "the flow lost cannot be made: actions[1] is \"lost\", which cannot be reached from first"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidFlow extends Schema.TaggedError<InvalidFlow>()("InvalidFlow", {
  flow: Schema.String,
  problems: Schema.Array(Schema.Struct({ field: Schema.String, value: Schema.Unknown, problem: Schema.String }))
}) {
  override get message(): string {
    const problems = this.problems.map(({ field, problem, value }) => `${field} is ${format(value)}, ${problem}`)
    return `the flow ${this.flow} cannot be made: ${problems.join("; ")}`
  }
}

/**
 * It reads a key that nothing has written yet. Give it in `initial`, or let an action before write it.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotWritten extends Schema.TaggedError<NotWritten>()("NotWritten", { key: Schema.String }) {
  override get message(): string {
    return `it reads ${this.key}, which nothing has written yet: give it in initial, or write it before`
  }
}

/**
 * An input that the caller did not give. Give it to `step`, `run` or `stream`.
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingInput extends Schema.TaggedError<MissingInput>()("MissingInput", { key: Schema.String }) {
  override get message(): string {
    return `the input ${this.key} is missing: give it in inputs`
  }
}

/**
 * A value that is not what its schema says; `issue` tells where.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidValue extends Schema.TaggedError<InvalidValue>()("InvalidValue", {
  key: Schema.String,
  value: Schema.Unknown,
  issue: Schema.String
}) {
  override get message(): string {
    return `${this.key} cannot be ${format(this.value)}: ${this.issue}`
  }
}

/**
 * It wrote a key that it does not declare.
 *
 * @category errors
 * @since 0.1.0
 */
export class UndeclaredWrite extends Schema.TaggedError<UndeclaredWrite>()("UndeclaredWrite", { key: Schema.String }) {
  override get message(): string {
    return `it wrote ${this.key}, which is not among its writes`
  }
}

/**
 * It declares that it writes a key, and did not.
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingWrite extends Schema.TaggedError<MissingWrite>()("MissingWrite", { key: Schema.String }) {
  override get message(): string {
    return `it did not write ${this.key}, which is among its writes`
  }
}

/**
 * A key that the state does not have.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownKey extends Schema.TaggedError<UnknownKey>()("UnknownKey", { key: Schema.String }) {
  override get message(): string {
    return `the state has no key ${this.key}`
  }
}

/**
 * The stream of a streaming action ended without `Flow.done`, so nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotDone extends Schema.TaggedError<NotDone>()("NotDone", {}) {
  override get message(): string {
    return "its stream ended without saying what it writes: end it with Flow.done or Flow.ending"
  }
}

/**
 * An action that the flow does not have; `known` are those it has.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownAction extends Schema.TaggedError<UnknownAction>()("UnknownAction", {
  action: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `there is no action ${this.action}: there are ${this.known.join(", ")}`
  }
}

/**
 * It was given an input that it does not declare.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownInput extends Schema.TaggedError<UnknownInput>()("UnknownInput", { key: Schema.String }) {
  override get message(): string {
    return `it takes no input ${this.key}`
  }
}

/**
 * The condition of a transition threw `cause`. The state is as it was, and so is what comes next.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConditionFailed extends Schema.TaggedError<ConditionFailed>()("ConditionFailed", {
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `its condition threw: ${said(this.cause)}`
  }
}

/**
 * An action took a step of the session that it is done by, which would have waited for itself. Return what it writes, and let
 * a transition lead on.
 *
 * @category errors
 * @since 0.1.0
 */
export class SteppedItself extends Schema.TaggedError<SteppedItself>()("SteppedItself", {}) {
  override get message(): string {
    return "it took a step of its own session, which waits until it is done: let a transition lead on"
  }
}

/**
 * A runner made for another flow, whose actions this one does not have.
 *
 * @category errors
 * @since 0.1.0
 */
export class OtherFlow extends Schema.TaggedError<OtherFlow>()("OtherFlow", { flow: Schema.String }) {
  override get message(): string {
    return `it was made for the flow ${this.flow}: give Flow.on the flow that is started`
  }
}

/**
 * What was done or asked for does not go with what the flow declares. The state is that of before. `where` is the name of the
 * action, of the transition (`a -> b`), or of the option, such as `initial`.
 *
 * @category errors
 * @since 0.1.0
 */
export class StateError extends Schema.TaggedError<StateError>()("StateError", {
  flow: Schema.String,
  where: Schema.String,
  reason: Schema.Union([
    NotWritten,
    MissingInput,
    InvalidValue,
    UndeclaredWrite,
    MissingWrite,
    UnknownKey,
    UnknownAction,
    UnknownInput,
    NotDone,
    ConditionFailed,
    SteppedItself,
    OtherFlow
  ])
}) {
  override get message(): string {
    return `${this.flow}: ${this.where}: ${this.reason.message}`
  }
}

/**
 * An action failed with `error`. Nothing was written: `state` is what the state was before and still is, and the next step
 * is this `action` again. `step` is the number it would have had.
 *
 * @category errors
 * @since 0.1.0
 */
export class ActionFailed<E> extends Data.TaggedError("ActionFailed")<{
  readonly flow: string
  readonly action: string
  readonly step: number
  readonly state: { readonly [key: string]: unknown }
  readonly error: E
}> {
  override get message(): string {
    return `${this.flow}: ${this.action}, step ${this.step}, failed: ${said(this.error)}`
  }
}

/**
 * Somebody else has gone on with this id, or has begun it anew: the store holds step `found`, this one is at `step`; 0 is
 * nothing. Nothing was saved; start a session of the same id to go on from what the store holds.
 *
 * @category errors
 * @since 0.1.0
 */
export class FlowConflict extends Schema.TaggedError<FlowConflict>()("FlowConflict", {
  flow: Schema.String,
  id: Schema.String,
  step: Schema.Number,
  found: Schema.Number
}) {
  override get message(): string {
    const instead = this.found === 0 ? "nothing is kept any more" : `somebody else has gone on to step ${this.found}`
    return `${this.flow} ${this.id}: ${instead}, this one is at ${this.step}: start it again`
  }
}

/**
 * The store could not be read or written; `cause` says why. The session is where it was, and the step can be taken again.
 * Where the store had saved it all the same, that is a `FlowConflict`.
 *
 * @category errors
 * @since 0.1.0
 */
export class FlowStoreError extends Schema.TaggedError<FlowStoreError>()("FlowStoreError", {
  flow: Schema.String,
  id: Schema.String,
  operation: Schema.Literals(["load", "save", "remove"]),
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `${this.flow} ${this.id}: the store could not ${this.operation} it: ${said(this.cause)}`
  }
}

/**
 * What is stored under this id is not a state of this flow any more: `problem` says why. Give `Flow.start` a `migrate`, or start
 * another id.
 *
 * @category errors
 * @since 0.1.0
 */
export class CannotResume extends Schema.TaggedError<CannotResume>()("CannotResume", {
  flow: Schema.String,
  id: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.flow} ${this.id} cannot go on from what is stored: ${this.problem}`
  }
}
