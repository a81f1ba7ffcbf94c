/**
 * What can be said of a tree before it runs: the figures of its supervisors, and what is odd about them.
 */
import type { Restart } from "./Restart.ts"
import type { Strategy } from "./Strategy.ts"

/**
 * How bad a finding is. `error`: the tree does not start. `warning`: it starts, and does other than its options seem to say.
 * `note`: an option that changes nothing.
 *
 * @category models
 * @since 0.1.0
 */
export type FindingSeverity = "error" | "warning" | "note"

/**
 * What is odd.
 *
 * - `invalid-spec`, `duplicate-id`, `circular-needs`: as `Supervisor.validate`, but all of them at once (R5).
 * - `significant`: a significant child that is permanent, or has no `autoShutdown` to count for (R42).
 * - `first-failure-ends`: intensity 0 over children that want to be restarted (R15).
 * - `not-restarted`: a nested supervisor that its parent does not start again once it has given up (R18).
 * - `auto-shutdown-restarted`: a permanent one that ends by itself, only to be started again (R43).
 * - `auto-shutdown-unused`: `autoShutdown` without a significant child (R40).
 * - `bounded-shutdown`: a supervisor that may be killed in the middle of its own stop (R36).
 * - `bounded-start`: a supervisor that may take less time to start than one of its children.
 * - `idle-restarted`: a permanent actor with `idle`, whose every end costs a restart (R10).
 * - `backoff-never-gives-up`: delays so long that one child alone never uses up the budget (R15, R28).
 * - `backoff-cut-short`: a budget used up before the delays have begun to grow.
 * - `backoff-unused`: delays before restarts that never happen.
 * - `backoff-empty`: a schedule without a step, which ends the supervisor at the first failure.
 * - `intensity-unused`: a budget for children that are never restarted (R17).
 * - `strategy-unused`: a strategy where nobody shares anybody's fate (R20 to R23).
 * - `graph-without-needs`: a `Supervisor.graph` whose children do not need each other.
 *
 * @category models
 * @since 0.1.0
 */
export type FindingCode =
  | "invalid-spec"
  | "duplicate-id"
  | "circular-needs"
  | "significant"
  | "first-failure-ends"
  | "not-restarted"
  | "auto-shutdown-restarted"
  | "auto-shutdown-unused"
  | "bounded-shutdown"
  | "bounded-start"
  | "idle-restarted"
  | "backoff-never-gives-up"
  | "backoff-cut-short"
  | "backoff-unused"
  | "backoff-empty"
  | "intensity-unused"
  | "strategy-unused"
  | "graph-without-needs"

/**
 * Something odd about the supervisor or child at `path`, and what to do about it. Where children are alike, as partitions
 * are, or come and go, `*` stands for each of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Finding {
  readonly path: string
  readonly code: FindingCode
  readonly severity: FindingSeverity
  readonly message: string
}

/**
 * A supervisor that is ended by the failures of one child, one right after the other.
 *
 * @category models
 * @since 0.1.0
 */
export interface EndsAt {
  readonly path: string
  /** The how-manieth failure of the child ends it. */
  readonly failures: number
}

/**
 * The delays before the restarts of a child that fails again as soon as it is back.
 *
 * @category models
 * @since 0.1.0
 */
export interface LintedBackoff {
  readonly path: string
  /**
   * Milliseconds, the least and the most where chance has a say: the first ones, as many as the budget can need.
   * `undefined`: unknown, since they depend on the failure, on the time, or on something that has to be waited for.
   */
  readonly delays: ReadonlyArray<readonly [least: number, most: number]> | undefined
  /** Whether the schedule comes to its end after these, which means: give up. */
  readonly ends: boolean
  /** The how-manieth failure in a row ends the supervisor at the earliest. `undefined`: unknown, or none of those looked at. */
  readonly givesUpAt: number | undefined
}

/**
 * The figures of one supervisor. They are about failures that are answered by a restart; one that is escalated ends it at
 * once. All times are in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface LintedSupervisor {
  readonly path: string
  /** How many supervisors are above it. */
  readonly depth: number
  /** `undefined`: only known when it runs. */
  readonly children: number | undefined
  readonly strategy: Strategy
  readonly restart: Restart
  /** As many restarts are allowed within so much time. */
  readonly intensity: { readonly restarts: number; readonly within: number }
  /** How many restarts at once it survives; `Infinity` where no child is ever restarted. */
  readonly burst: number
  /** Restarts per second: evenly spread, any number below it is survived for ever. `Infinity` as for `burst`. */
  readonly sustained: number
  /**
   * Which failure of one child, all at once, ends it, then its parent, and so on as far as ends lead to ends: with budgets
   * of i and o restarts, (i+1) and (i+1)*(o+1) (R19). The last is the root, unless one on the way is not restarted by its
   * parent after giving up (R18). Empty where no child is ever restarted.
   */
  readonly endsAt: ReadonlyArray<EndsAt>
  /** How long its stop can take: the limits of its children add up, unless they stop all at once (R31). `NaN`: unknown. */
  readonly stopsWithin: number
  /** Those of its children that wait before they are restarted. */
  readonly backoffs: ReadonlyArray<LintedBackoff>
}

/**
 * What can be said of a tree before it runs. `toString` and template texts show it as a table for people.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lint {
  /** From the root down, each before those below it, in start order. */
  readonly supervisors: ReadonlyArray<LintedSupervisor>
  /** In the order of the tree. Empty: nothing is odd. */
  readonly findings: ReadonlyArray<Finding>
  toString(): string
}
