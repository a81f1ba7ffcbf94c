/**
 * Who is restarted with whom, and in which order (R20 to R27, R31).
 */
import type { Restart, Strategy } from "../spec.ts"

/** R20 to R22: those that share the fate of the child `of`, it among them, in start order. */
export const group = (strategy: Strategy, order: ReadonlyArray<number>, of: number): ReadonlyArray<number> => {
  switch (strategy) {
    case "one-for-one":
      return [of]
    case "one-for-all":
      return order
    case "rest-for-one":
      return order.slice(order.indexOf(of))
  }
}

/** R21, R22, R31: the last that was started is stopped first. */
export const stopOrder = (members: ReadonlyArray<number>): ReadonlyArray<number> => [...members].reverse()

/** R21: a temporary child that is stopped with its group loses its spec. */
export const losesSpec = (restart: Restart): boolean => restart === "temporary"
