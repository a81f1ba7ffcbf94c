/**
 * Which children a restart touches (rules R20 to R22).
 */

/**
 * Who is restarted with a child: only it, all children, or it and those started after it.
 *
 * @category models
 * @since 0.1.0
 */
export type Strategy = "one-for-one" | "one-for-all" | "rest-for-one"

/**
 * The places `from` (inclusive) to `to` (exclusive), in start order, that are restarted with the child at `index`.
 *
 * @category decisions
 * @since 0.1.0
 */
export const range = (
  strategy: Strategy,
  index: number,
  count: number
): { readonly from: number; readonly to: number } => {
  switch (strategy) {
    case "one-for-one":
      return { from: index, to: index + 1 }
    case "one-for-all":
      return { from: 0, to: count }
    case "rest-for-one":
      return { from: index, to: count }
  }
}
