/**
 * How collective operations fail: for all members of a generation at once, and with the same reason.
 */
import { format } from "effect/Formatter"
import * as Schema from "effect/Schema"

/**
 * A member is no longer there: its Scope closed (`left`), closed with a failure (`crashed`), or it was interrupted while it
 * waited for the others.
 *
 * @category errors
 * @since 0.1.0
 */
export class MemberLeft extends Schema.TaggedError<MemberLeft>()("MemberLeft", {
  rank: Schema.Int,
  why: Schema.Literals(["left", "crashed", "interrupted"]),
  /** What it crashed with. */
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    const cause = this.cause instanceof Error ? this.cause.message || this.cause.name : format(this.cause)
    if (this.why === "crashed") return `rank ${this.rank} crashed: ${cause}`
    return this.why === "left" ? `rank ${this.rank} has left` : `rank ${this.rank} was interrupted`
  }
}

/**
 * The members do not mean the same: other operations in one round, another root, or values that do not go together.
 *
 * @category errors
 * @since 0.1.0
 */
export class Mismatch extends Schema.TaggedError<Mismatch>()("Mismatch", {
  rank: Schema.Int,
  expected: Schema.String,
  actual: Schema.String
}) {
  override get message(): string {
    return `rank ${this.rank} called ${this.actual} where the others called ${this.expected}: all call the same, in one order`
  }
}

/**
 * Somebody has waited for the group's `timeout`, and these were not there.
 *
 * @category errors
 * @since 0.1.0
 */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", {
  millis: Schema.Number,
  missing: Schema.Array(Schema.Int)
}) {
  override get message(): string {
    return `waited ${this.millis} ms for rank ${this.missing.join(", ")}`
  }
}

/**
 * The function that combines two values has thrown.
 *
 * @category errors
 * @since 0.1.0
 */
export class CombineFailed extends Schema.TaggedError<CombineFailed>()("CombineFailed", { cause: Schema.Defect() }) {
  override get message(): string {
    return `combining the values threw ${this.cause instanceof Error ? this.cause.message : format(this.cause)}`
  }
}

/**
 * The group is no more.
 *
 * @category errors
 * @since 0.1.0
 */
export class GroupClosed extends Schema.TaggedError<GroupClosed>()("GroupClosed", {}) {
  override get message(): string {
    return "the group has been closed"
  }
}

/** Why a generation is over. */
export type Reason = MemberLeft | Mismatch | TimedOut | CombineFailed | GroupClosed

/**
 * A collective operation failed, for all members: the generation is over. To go on in the next one, `rejoin`.
 *
 * @category errors
 * @since 0.1.0
 */
export class CollectiveError extends Schema.TaggedError<CollectiveError>()("CollectiveError", {
  group: Schema.String,
  generation: Schema.Int,
  /** Which operation of the generation it was, from 0. */
  round: Schema.Int,
  operation: Schema.String,
  reason: Schema.Union([MemberLeft, Mismatch, TimedOut, CombineFailed, GroupClosed])
}) {
  override get message(): string {
    const { generation, group, operation, reason, round } = this
    return `${group}: ${operation} in round ${round} of generation ${generation}: ${reason.message}`
  }
}

/**
 * All ranks are taken.
 *
 * @category errors
 * @since 0.1.0
 */
export class GroupFull extends Schema.TaggedError<GroupFull>()("GroupFull", { size: Schema.Int }) {
  override get message(): string {
    return `all ${this.size} ranks are taken; a rank is free again when the Scope of its member has closed`
  }
}

/**
 * The rank asked for is another member's.
 *
 * @category errors
 * @since 0.1.0
 */
export class RankTaken extends Schema.TaggedError<RankTaken>()("RankTaken", { rank: Schema.Int }) {
  override get message(): string {
    return `rank ${this.rank} is another member's; it is free again when the Scope of that member has closed`
  }
}

/**
 * There is no such rank.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSuchRank extends Schema.TaggedError<NoSuchRank>()("NoSuchRank", {
  rank: Schema.Number,
  size: Schema.Int
}) {
  override get message(): string {
    return `ranks are 0 to ${this.size - 1}, and there is no ${this.rank}`
  }
}

/**
 * The member's own Scope has closed: it has left for good.
 *
 * @category errors
 * @since 0.1.0
 */
export class ScopeClosed extends Schema.TaggedError<ScopeClosed>()("ScopeClosed", { rank: Schema.Int }) {
  override get message(): string {
    return `the Scope in which rank ${this.rank} joined has closed: join in another`
  }
}

/**
 * Nobody could be made a member, with the reason.
 *
 * @category errors
 * @since 0.1.0
 */
export class JoinError extends Schema.TaggedError<JoinError>()("JoinError", {
  group: Schema.String,
  reason: Schema.Union([GroupFull, RankTaken, NoSuchRank, GroupClosed, ScopeClosed])
}) {
  override get message(): string {
    return `${this.group}: ${this.reason.message}`
  }
}

/**
 * A size that no group can have. Thrown where it was given.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidSize extends Schema.TaggedError<InvalidSize>()("InvalidSize", {
  group: Schema.String,
  value: Schema.Unknown
}) {
  override get message(): string {
    return `${this.group}: size must be a whole number of 1 or more, got ${format(this.value)}`
  }
}
