/**
 * The options of children that come and go.
 */
import type { Options } from "./ChildSpec.ts"
import type { Intensity } from "./Intensity.ts"

/**
 * How one child is kept alive. Its id is made for it, and it cannot be significant: nobody waits for it in particular.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildOptions<E> extends Omit<Options<E>, "id" | "when" | "significant"> {}

/**
 * How the children are kept alive, all of them and each.
 *
 * @category models
 * @since 0.1.0
 */
export interface DynamicOptions<E> extends ChildOptions<E>, OpenOptions {}

/**
 * What holds for all children together.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenOptions {
  /** How many children there may be at a time; restarting ones count. Default: any number. */
  readonly maxChildren?: number
  /** How many restarts, over all children, in how much time. Default: 1 within 5 seconds. */
  readonly intensity?: Intensity
}
