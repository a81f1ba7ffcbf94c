/**
 * Whether a running supervisor can take a new configuration (rule R44): checked whole, before anything of it holds.
 */
import { implOf } from "../actor/Behavior.ts"
import type { SpecImpl } from "./ChildSpec.ts"
import { invalid, type InvalidSpec } from "./errors.ts"
import type { SupervisorNode } from "./node.ts"
import { problemOf } from "./validate.ts"

/** The first reason why not, or nothing. @internal */
export const changeProblem = (node: SupervisorNode, next: SpecImpl): InvalidSpec | undefined => {
  const { path, spec } = node
  if (spec.target._tag === "supervisor" && spec.target.provides !== undefined) {
    return invalid(path, "configuration", spec.id, "can only be changed where it is a plain supervisor's")
  }
  // How significant it is itself is its parent's business, and stays.
  const unmarked = typeof next === "object" && next !== null ? ({ ...next, significant: false } as SpecImpl) : next
  const problem = problemOf(unmarked, parentOf(path, spec.id))
  if (problem !== undefined) return problem
  if (next.target._tag !== "supervisor" || next.target.dynamic || next.id !== spec.id) {
    return invalid(path, "configuration", next.id, `must be Supervisor.make("${spec.id}", …)`)
  }
  for (const child of next.target.children) {
    const known = node.children.get(child.id)?.spec
    const different = known === undefined ? undefined : difference(known, child)
    if (different !== undefined) return invalid(`${path}/${child.id}`, "kind", describe(child), different)
  }
  return undefined
}

/** A child's place stays what it is: refs to it are typed by its actor. */
const difference = (known: SpecImpl, next: SpecImpl): string | undefined =>
  describe(known) === describe(next) ? undefined : `must stay ${describe(known)}: give another kind of child another id`

const describe = ({ kind, target }: SpecImpl): string => {
  if (target._tag === "actor") return `an actor of ${implOf(target.behavior).key.key}`
  return kind === "supervisor" && target._tag === "supervisor" && target.dynamic
    ? "a dynamic supervisor"
    : `of kind ${kind}`
}

const parentOf = (path: string, id: string): string => path.slice(0, Math.max(0, path.length - id.length - 1))
