/**
 * What can be odd about a supervisor and its children, one pure function per oddity.
 */
import * as Duration from "effect/Duration"
import { implOf, isBehavior } from "../actor/Behavior.ts"
import { isBackoff } from "./Backoff.ts"
import { asNode, type SpecImpl } from "./ChildSpec.ts"
import { dependents, startOrder } from "./graph.ts"
import { defaultIntensity } from "./Intensity.ts"
import { isCutShort, neverGivesUp } from "./lintBackoff.ts"
import type { Finding, FindingCode, FindingSeverity } from "./lintModel.ts"
import { canRestart, EACH, isRestartable, type Place, type Sample } from "./lintPlace.ts"
import { problemOf } from "./validate.ts"

type Check = (place: Place) => ReadonlyArray<Finding>

const finding = (
  severity: FindingSeverity,
  code: FindingCode,
  path: string,
  message: string
): ReadonlyArray<Finding> => [{ path, code, severity, message }]

const NONE: ReadonlyArray<Finding> = []

/** One and the same check for each child. */
const each =
  (check: (sample: Sample, place: Place) => ReadonlyArray<Finding>): Check =>
  (place) =>
    place.samples.flatMap((sample) => check(sample, place))

// --- What does not start ---

/** What is wrong with a spec itself, whatever is below it. @internal */
export const ownProblem = (spec: SpecImpl, parent: Place | undefined): ReadonlyArray<Finding> => {
  const alone = spec?.target?._tag === "supervisor" ? { ...spec, target: { ...spec.target, children: [] } } : spec
  const problem = problemOf(alone, parent?.path ?? "", parent?.target.autoShutdown)
  if (problem === undefined) return NONE
  const code = problem.field === "significant" ? "significant" : "invalid-spec"
  return finding("error", code, problem.path, problem.message.slice(problem.path.length + 2))
}

const childProblems: Check = (place) => {
  const { children, dynamic, provides } = place.target
  const own = dynamic || provides !== undefined ? place.samples.map(({ spec }) => spec) : children
  return own.flatMap((child) => (child?.target?._tag === "supervisor" ? NONE : ownProblem(child, place)))
}

const duplicateId: Check = ({ path, target }) => {
  const ids = target.children.map((child) => child?.id)
  const twice = new Set(ids.filter((id, i) => typeof id === "string" && ids.indexOf(id) !== i))
  return [...twice].flatMap((id) =>
    finding(
      "error",
      "duplicate-id",
      `${path}/${id}`,
      `${ids.filter((other) => other === id).length} children have this id: give each its own, by the option id`
    )
  )
}

const circularNeeds: Check = ({ path, samples, target }) => {
  const ordered = target.graph ? startOrder(samples.map(({ spec }) => asNode(spec))) : []
  if (!("circle" in ordered)) return NONE
  const circle = [...ordered.circle, ordered.circle[0]].join(" needs ")
  return finding("error", "circular-needs", path, `${circle}: let one of them look the other up when it runs`)
}

// --- Budgets ---

const firstFailureEnds: Check = ({ intensity, parent, path, samples }) => {
  const ids = samples.filter(({ spec }) => isRestartable(spec)).map(({ id }) => id)
  if (intensity.restarts !== 0 || ids.length === 0) return NONE
  return finding(
    parent === undefined ? "warning" : "note",
    "first-failure-ends",
    path,
    `no restart is allowed, so the first failure of ${list(ids)} ends it: allow some with intensity, or make them temporary`
  )
}

const intensityUnused: Check = (place) => {
  if (place.target.intensity === defaultIntensity || place.samples.length === 0 || canRestart(place)) return NONE
  return finding(
    "note",
    "intensity-unused",
    place.path,
    "all its children are temporary, so its intensity is never used: leave it out, or let them be restarted"
  )
}

const notRestarted: Check = (place) => {
  const { parent, path, spec, target } = place
  // One that ends by itself, or whose end ends its parent, is meant to.
  const meant = spec.significant || target.autoShutdown !== "never"
  if (parent === undefined || spec.restart === "permanent" || meant || !canRestart(place)) return NONE
  return finding(
    "warning",
    "not-restarted",
    path,
    `giving up is a shutdown, after which a ${spec.restart} supervisor is not started again: its children stay down ` +
      `while ${parent.path} goes on; make it permanent`
  )
}

// --- Significant children ---

const autoShutdownUnused: Check = ({ path, samples, target }) => {
  if (target.autoShutdown === "never" || samples.some(({ spec }) => spec.significant)) return NONE
  return finding(
    "warning",
    "auto-shutdown-unused",
    path,
    `autoShutdown "${target.autoShutdown}" waits for significant children, and there are none: mark them`
  )
}

const autoShutdownRestarted: Check = ({ parent, path, spec, target }) => {
  if (parent === undefined || target.autoShutdown === "never" || spec.restart !== "permanent") return NONE
  return finding(
    "warning",
    "auto-shutdown-restarted",
    path,
    `when it ends by autoShutdown, ${parent.path} starts it again and pays a restart for it: make it transient`
  )
}

// --- Time ---

const boundedShutdown: Check = ({ path, spec }) => {
  if (spec.shutdown === Infinity) return NONE
  const limit = spec.shutdown === "kill" ? "it is killed" : `it is killed after ${show(spec.shutdown)}`
  return finding(
    "warning",
    "bounded-shutdown",
    path,
    `${limit}, perhaps in the middle of stopping its children: give a supervisor all the time it needs`
  )
}

const boundedStart: Check = ({ path, samples, spec }) => {
  const slow = samples.filter((sample) => sample.spec.startTimeout > spec.startTimeout)
  if (slow.length === 0) return NONE
  return finding(
    "warning",
    "bounded-start",
    path,
    `it may take ${show(spec.startTimeout)} to start, but ${list(slow.map(({ id }) => id))} alone may take ` +
      "longer: give it more time than all of its children together"
  )
}

const idleRestarted = each(({ path, spec }) => {
  if (spec.target._tag !== "actor" || !isBehavior(spec.target.behavior) || spec.restart !== "permanent") return NONE
  if (implOf(spec.target.behavior).options.idle === undefined) return NONE
  return finding(
    "warning",
    "idle-restarted",
    path,
    "whenever it ends because it is idle it is started again, which uses up a restart: make it transient"
  )
})

// --- Backoff ---

const backoffUnused = each(({ path, spec }, { intensity }) => {
  if (spec.backoff === undefined) return NONE
  const never = "its backoff is never used"
  if (!isRestartable(spec)) {
    return finding("note", "backoff-unused", path, `a temporary child is not restarted, so ${never}: leave it out`)
  }
  if (intensity.restarts !== 0) return NONE
  return finding("note", "backoff-unused", path, `no restart is allowed, so ${never}: allow some with intensity`)
})

const backoffBudget = each((sample, { intensity, path: supervisor }) => {
  const { delays, path, spec } = sample
  if (delays === undefined || !isBackoff(spec.backoff) || !isRestartable(spec) || !(intensity.restarts > 0)) return NONE
  const budget = `${times(intensity.restarts, "restart")} within ${show(intensity.within)}`
  if (delays.ends && delays.least.length === 0) {
    const message = `its backoff ends before the first delay, so its first failure ends ${supervisor}: allow some steps`
    return finding("warning", "backoff-empty", path, message)
  }
  if (neverGivesUp(intensity, delays, spec.backoff.resetAfter)) {
    const message =
      `its restarts are too far apart for the budget of ${budget}, which it alone never uses up: a failure that stays is ` +
      `retried for ever; for ${supervisor} to give up at last, allow a longer within, or let the schedule end`
    return finding("warning", "backoff-never-gives-up", path, message)
  }
  if (!isCutShort(intensity, delays)) return NONE
  const message =
    `a failure that stays uses up the budget of ${budget} while the delay is still ${span(delays.least[0]!, delays.most[0]!)}, ` +
    "so longer ones are never waited for: allow more restarts"
  return finding("warning", "backoff-cut-short", path, message)
})

// --- Strategy ---

const strategyUnused: Check = (place) => {
  const { count, path, samples, target } = place
  const { dynamic, graph, provides, strategy } = target
  if (strategy === "one-for-one" || dynamic || graph || count === undefined || samples.length === 0) return NONE
  const alone = provides === undefined ? samples.length < 2 : count < 2
  if (!alone && canRestart(place)) return NONE
  const why = alone ? "there is one child, which shares its fate with nobody" : "temporary children share nobody's fate"
  return finding(
    "note",
    "strategy-unused",
    path,
    `${why}: ${strategy} does here what one-for-one does, so leave it out`
  )
}

const graphWithoutNeeds: Check = ({ path, samples, target }) => {
  const nodes = target.graph ? samples.map(({ spec }) => asNode(spec)) : []
  if (nodes.length < 2 || nodes.some((node) => dependents(nodes, node).length > 1)) return NONE
  return finding(
    "note",
    "graph-without-needs",
    path,
    "no child needs another, so each is on its own: say who does by needs and provides, or use Supervisor.make"
  )
}

const CHECKS: ReadonlyArray<Check> = [
  boundedShutdown,
  boundedStart,
  firstFailureEnds,
  intensityUnused,
  notRestarted,
  autoShutdownUnused,
  autoShutdownRestarted,
  strategyUnused,
  circularNeeds,
  graphWithoutNeeds,
  duplicateId,
  childProblems,
  idleRestarted,
  backoffUnused,
  backoffBudget
]

/** All that is odd about a supervisor and its children, but not about supervisors among them. @internal */
export const findingsOf = (place: Place): ReadonlyArray<Finding> => [
  ...ownProblem(place.spec, place.parent),
  ...(place.target.given ? NONE : CHECKS.flatMap((check) => check(place)))
]

// --- Words ---

const list = (ids: ReadonlyArray<string>): string =>
  ids[0] === EACH
    ? "any child"
    : ids.length > 3
      ? `${ids.slice(0, 2).join(", ")} and ${ids.length - 2} others`
      : ids.join(", ")

/** @internal */
export const times = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

/** A time that chance has a say in. @internal */
export const span = (least: number, most: number): string =>
  least === most ? show(least) : `${show(least)} to ${show(most)}`

/** A time in milliseconds, for people. @internal */
export const show = (millis: number): string => {
  if (Number.isNaN(millis)) return "?"
  return millis === Infinity ? "no limit" : Duration.format(Duration.millis(Math.round(millis)))
}
