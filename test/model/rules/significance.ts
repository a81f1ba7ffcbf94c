/**
 * When a supervisor ends because of its significant children (R40).
 */
import type { ChildState } from "../history.ts"
import type { AutoShutdown } from "../spec.ts"

/**
 * Asked when a significant child has ended by itself and is not restarted. `others` are the states of the other significant
 * ones: those that were stopped by hand, or by their siblings, count as gone.
 */
export const endsSupervisor = (mode: AutoShutdown, others: ReadonlyArray<ChildState>): boolean => {
  switch (mode) {
    case "never":
      return false
    case "any-significant":
      return true
    case "all-significant":
      return !others.some((state) => state === "running" || state === "restarting" || state === "starting")
  }
}
