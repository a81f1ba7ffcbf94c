/**
 * What can go wrong with a flow: how it was made, what an action was given or wrote, that it failed, and that somebody else
 * went on with the same id.
 */
import * as Data from "effect/Data"
import { format } from "effect/Formatter"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

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
 * The state and what was said about it do not go together. The state is that of before. `where` is the name of the action, of
 * the transition (`a -> b`), or `initial`.
 *
 * @category errors
 * @since 0.1.0
 */
export class StateError extends Schema.TaggedError<StateError>()("StateError", {
  flow: Schema.String,
  where: Schema.String,
  reason: Schema.Union([NotWritten, MissingInput, InvalidValue, UndeclaredWrite, MissingWrite, UnknownKey, NotDone])
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
    const { error } = this
    const said = Predicate.hasProperty(error, "message") ? String(error.message) : ""
    return `${this.flow}: ${this.action}, step ${this.step}, failed: ${said === "" ? format(error) : said}`
  }
}

/**
 * Somebody else has gone on with this id: the store holds step `found`, this one is at `step`. Nothing was saved; start
 * a session of the same id to go on from there.
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
    return `${this.flow} ${this.id}: somebody else has gone on to step ${this.found}, this one is at ${this.step}: start it again`
  }
}

/**
 * The store could not be read or written. Nothing was saved.
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
    return `${this.flow} ${this.id}: the store could not ${this.operation} it`
  }
}

/**
 * What is stored under this id is not a state of this flow any more: `problem` says why. Migrate it, or start another id.
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
