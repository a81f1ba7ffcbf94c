/**
 * The order among children that say what they need from each other, as pure functions.
 *
 * A child needs services by key; all who provide one come before it. Keys that nobody among them provides come from
 * outside and order nothing.
 */

/** What a child says about itself. @internal */
export interface Node {
  readonly id: string
  readonly needs: ReadonlyArray<string>
  readonly provides: ReadonlyArray<string>
}

/** Children that need each other in a circle, by id. @internal */
export interface Circle {
  readonly circle: ReadonlyArray<string>
}

/**
 * Start order: each after all that it needs, otherwise as they are listed.
 *
 * @internal
 */
export const startOrder = <N extends Node>(nodes: ReadonlyArray<N>): ReadonlyArray<N> | Circle => {
  const providers = providersOf(nodes)
  const sorted = new Set<N>()
  const visiting: Array<N> = []
  const visit = (node: N): Circle | undefined => {
    if (sorted.has(node)) return undefined
    const at = visiting.indexOf(node)
    if (at >= 0) return { circle: visiting.slice(at).map(({ id }) => id) }
    visiting.push(node)
    for (const key of node.needs) {
      const known = providers.get(key) ?? []
      // What it provides itself it has.
      if (known.includes(node)) continue
      for (const provider of known) {
        const circle = visit(provider)
        if (circle !== undefined) return circle
      }
    }
    visiting.pop()
    sorted.add(node)
    return undefined
  }
  for (const node of nodes) {
    const circle = visit(node)
    if (circle !== undefined) return circle
  }
  return [...sorted]
}

/** A child and all that need it, directly or through others, in the order given. @internal */
export const dependents = <N extends Node>(nodes: ReadonlyArray<N>, of: N): ReadonlyArray<N> => {
  const affected = new Set([of])
  const keys = new Set(of.provides)
  // In start order whoever needs something comes later, so that one pass finds them all.
  for (const node of nodes) {
    if (affected.has(node) || !node.needs.some((key) => keys.has(key))) continue
    affected.add(node)
    for (const key of node.provides) keys.add(key)
  }
  return nodes.filter((node) => affected.has(node))
}

const providersOf = <N extends Node>(nodes: ReadonlyArray<N>): ReadonlyMap<string, ReadonlyArray<N>> => {
  const providers = new Map<string, Array<N>>()
  for (const node of nodes) {
    for (const key of node.provides) {
      const known = providers.get(key)
      if (known === undefined) providers.set(key, [node])
      else known.push(node)
    }
  }
  return providers
}
