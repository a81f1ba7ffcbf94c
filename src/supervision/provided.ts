/**
 * What the children of one supervisor provide: where the same actor stands in several places of a tree, each supervisor knows its
 * own.
 */
import * as Context from "effect/Context"
import { implOf } from "../actor/Behavior.ts"
import type { SupervisorTarget } from "./ChildSpec.ts"
import type { SupervisorNode } from "./node.ts"

/** The services of the tree, as they are seen from this supervisor. @internal */
export const servicesOf = (node: SupervisorNode): Context.Context<unknown> => {
  const services = new Map(node.tree.own.mapUnsafe)
  collect(node, services)
  return Context.makeUnsafe(services)
}

const collect = (node: SupervisorNode, services: Map<string, unknown>): void => {
  // Those that come and go provide nothing, and there may be very many.
  for (const child of node.isDynamic ? [] : node.children.values()) {
    const { target } = child.spec
    const below = node.nodeOf(child)
    if (below !== undefined) collect(below, services)
    else if (target._tag === "actor" && target.provides) services.set(implOf(target.behavior).key.key, child.slot.ref)
  }
  const { provides } = node.spec.target as SupervisorTarget
  if (provides !== undefined) services.set(provides.key, node.service)
}
