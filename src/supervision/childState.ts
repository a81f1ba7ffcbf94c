/**
 * Words for what a child does and has been through.
 */
import type * as ExitReason from "../runtime/ExitReason.ts"

/**
 * What a child is doing (rule R1). `restarting` lasts from its end to the end of the attempt that succeeds.
 *
 * @category models
 * @since 0.1.0
 */
export type ChildState = "starting" | "running" | "restarting" | "stopping" | "stopped"

/**
 * A failure that a child has had.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly reason: ExitReason.ExitReason
}
