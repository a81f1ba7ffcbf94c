/**
 * What can be seen of a running supervisor without asking it (rules R1 and R38).
 */
import type * as ExitReason from "../runtime/ExitReason.ts"
import type { Child } from "./child.ts"
import type { ChildState, Failure } from "./childState.ts"
import type { Settings } from "./ChildSpec.ts"
import type { SupervisorNode } from "./node.ts"

/**
 * A child as it is now. Times are monotonic milliseconds of the system's Clock.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildStatus {
  readonly id: string
  readonly path: string
  readonly kind: Settings["kind"]
  readonly restart: Settings["restart"]
  readonly significant: boolean
  readonly state: ChildState
  /** Which run it is in, 1 for the first, 0 before it. */
  readonly incarnation: number
  /** When that began; undefined where it is not running. */
  readonly startedAt: number | undefined
  /** How often this supervisor has asked for a restart of it. */
  readonly restarts: number
  readonly lastFailure: ExitReason.ExitReason | undefined
  /** Its last 16 failures, the latest last: what led to each restart. */
  readonly failures: ReadonlyArray<Failure>
  /** When the attempt it waits for will be made. */
  readonly nextAttempt: number | undefined
  /** Messages queued. */
  readonly queued: number
  /** The children of a supervisor. */
  readonly children: ReadonlyArray<ChildStatus>
}

/**
 * How many children there are (rule R38): known, running, and by kind.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  readonly specs: number
  readonly active: number
  readonly supervisors: number
  readonly workers: number
}

/** @internal */
export const statusesOf = (node: SupervisorNode): ReadonlyArray<ChildStatus> =>
  Array.from(node.children.values(), (child) => statusOf(node, child))

const statusOf = (node: SupervisorNode, child: Child): ChildStatus => {
  const inner = node.nodeOf(child)
  return {
    id: child.spec.id,
    path: child.slot.path,
    kind: child.spec.kind,
    restart: child.spec.restart,
    significant: child.spec.significant,
    state: child.state,
    incarnation: child.slot.incarnations,
    startedAt: child.state === "running" ? child.startedAt : undefined,
    restarts: child.restarts,
    lastFailure: child.lastFailure,
    failures: child.failures,
    nextAttempt: child.nextAttempt,
    queued: child.slot.size,
    children: inner === undefined ? [] : statusesOf(inner)
  }
}

/** @internal */
export const countsOf = (node: SupervisorNode): Counts => {
  let active = 0
  let supervisors = 0
  for (const child of node.children.values()) {
    if (child.state === "running") active++
    if (child.spec.kind === "supervisor") supervisors++
  }
  const specs = node.children.size
  return { specs, active, supervisors, workers: specs - supervisors }
}
