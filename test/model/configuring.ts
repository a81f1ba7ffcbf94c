/**
 * Taking a new configuration (R44): as a whole or not at all, without touching what runs.
 */
import type { Rules } from "./rules/all.ts"
import { finish } from "./runs.ts"
import type { Spec } from "./spec.ts"
import { addPlace, childrenOf, type Place, placeAt, supervisorAt, type World } from "./world.ts"

/** Why it cannot be taken: a field that is wrong, or a known child that would become something else. */
export const configurationProblem = (w: World, rules: Rules, s: Place, next: Spec): string | undefined => {
  if (next.kind !== "supervisor" || supervisorAt(s).config.kind !== "supervisor") return "configuration"
  const problem = rules.validity.problemOf({ ...next, significant: false }, "never")
  if (problem !== undefined) return problem
  const changes = next.children.some((child) => {
    const known = childrenOf(w, s).find(({ spec }) => spec.id === child.id)
    return known !== undefined && known.spec.kind !== child.kind
  })
  return changes ? "kind" : undefined
}

/** Flags hold at once; known children follow their new spec from their next start or stop on; new ones are stopped. */
export const configure = (w: World, rules: Rules, s: Place, next: Exclude<Spec, { kind: "worker" }>): void => {
  const supervising = supervisorAt(s)
  supervising.times = rules.budget.counting(supervising.times, w.now, supervising.config.intensity)
  supervising.config = next
  // The latest holds, whoever it was given to.
  supervising.newer = false
  const present = childrenOf(w, s).map(({ number, spec }) => ({ id: spec.id, place: number }))
  const specs = next.kind === "dynamic" ? [] : next.children
  const order = rules.reconfiguration.reordered(
    present,
    specs.map(({ id }) => id)
  )
  const children = order.map(({ id, listed, place }) => {
    const spec = specs.find((spec) => spec.id === id)!
    if (place === undefined) return { listed, place: addStopped(w, spec, s).number }
    if (listed) respec(placeAt(w, place), spec)
    return { listed, place }
  })
  supervising.children = children.map(({ place }) => place)
  supervising.declared = children.filter(({ listed }) => listed).map(({ place }) => place)
}

/** Nobody is there until somebody starts it. */
const addStopped = (w: World, spec: Spec, s: Place): Place => {
  const place = addPlace(w, spec, s)
  finish(w, place, "shutdown")
  return place
}

/** A supervisor goes by its new configuration from its own next start on. */
const respec = (p: Place, spec: Spec): void => {
  p.spec = spec
  p.row = 0
  if (p.supervising !== undefined) p.supervising.newer = true
}
