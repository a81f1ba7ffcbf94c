/**
 * Whether a child that has ended is started again: OTP's restart types against the reason of its end (rule R10).
 */
import { type ExitReason, isAbnormal } from "../runtime/ExitReason.ts"

/**
 * When a child is restarted: `permanent` always, `transient` after a crash or a kill, `temporary` never.
 *
 * @category models
 * @since 0.1.0
 */
export type Restart = "permanent" | "transient" | "temporary"

/**
 * What is done with a child that has ended: start it again, keep its spec as stopped, or forget it.
 *
 * @category models
 * @since 0.1.0
 */
export type Decision = "restart" | "keep" | "forget"

/**
 * The table of rule R10.
 *
 * | end | permanent | transient | temporary |
 * |---|---|---|---|
 * | normal, shutdown, interrupted | restart | keep | forget |
 * | failed, killed | restart | restart | forget |
 *
 * @category decisions
 * @since 0.1.0
 */
export const decide = (restart: Restart, reason: ExitReason): Decision => {
  switch (restart) {
    case "permanent":
      return "restart"
    case "transient":
      return isAbnormal(reason) ? "restart" : "keep"
    case "temporary":
      return "forget"
  }
}
