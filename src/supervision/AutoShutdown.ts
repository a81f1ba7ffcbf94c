/**
 * When a supervisor ends because its significant children have (rules R40 to R42), as a pure table.
 */
import type { ChildState } from "./childState.ts"

/**
 * `never`: significant children do not exist. `any-significant`: the first that ends by itself ends the supervisor.
 * `all-significant`: the last one does.
 *
 * @category models
 * @since 0.1.0
 */
export type AutoShutdown = "never" | "any-significant" | "all-significant"

/**
 * Whether the supervisor ends, now that a significant child has ended by itself and is not restarted. `others` are the
 * states of its other significant children; one that was stopped by hand does not hold it back.
 *
 * @category pure
 * @since 0.1.0
 */
export const decide = (mode: AutoShutdown, others: ReadonlyArray<ChildState>): boolean => {
  switch (mode) {
    case "never":
      return false
    case "any-significant":
      return true
    case "all-significant":
      return others.every((state) => state === "stopped" || state === "stopping")
  }
}
