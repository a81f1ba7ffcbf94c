/**
 * Checks a tree before anything of it is started (rules R4 and R5): each problem names path, field and value.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { isBehavior } from "../actor/Behavior.ts"
import type { AutoShutdown } from "./AutoShutdown.ts"
import { isBackoff } from "./Backoff.ts"
import { asNode, type Report, type SpecImpl } from "./ChildSpec.ts"
import { isDirective } from "./Directive.ts"
import { invalid, type InvalidSpec } from "./errors.ts"
import { startOrder } from "./graph.ts"

const RESTARTS = ["permanent", "transient", "temporary"]
const STRATEGIES = ["one-for-one", "one-for-all", "rest-for-one"]
const AUTO_SHUTDOWNS = ["never", "any-significant", "all-significant"]
const KINDS = ["actor", "supervisor", "effect", "service"]
const LEVELS = ["Fatal", "Error", "Warn", "Info", "Debug", "Trace"]

/**
 * The first problem of a tree, or nothing. `mode` is that of the supervisor it is for, if there is one.
 *
 * @internal
 */
export const problemOf = (spec: SpecImpl, parent: string, mode: AutoShutdown = "never"): InvalidSpec | undefined => {
  const where = parent === "" ? "the tree" : parent
  if (typeof spec !== "object" || spec === null) {
    return invalid(where, "child", spec, "must be a child spec or a behavior without arguments")
  }
  const nobody = spec.id === undefined && spec.target?._tag === "actor" && !isBehavior(spec.target.behavior)
  if (nobody) return invalid(where, "child", startedBy(spec), "must be a child spec or a behavior without arguments")
  if (typeof spec.id !== "string" || spec.id === "") return invalid(where, "id", spec.id, "must be a non-empty text")
  const path = parent === "" ? spec.id : `${parent}/${spec.id}`
  return ownProblem(spec, path) ?? significanceProblem(spec, path, mode) ?? supervisorProblem(spec, path)
}

/** Fails with the first problem of a tree. @internal */
export const validate = (spec: SpecImpl, parent = ""): Effect.Effect<void, InvalidSpec> =>
  Effect.suspend(() => {
    const problem = problemOf(spec, parent)
    return problem === undefined ? Effect.void : Effect.fail(problem)
  })

const ownProblem = (spec: SpecImpl, path: string): InvalidSpec | undefined => {
  if (!KINDS.includes(spec.kind)) return invalid(path, "kind", spec.kind, `must be one of ${KINDS.join(", ")}`)
  if (!startable(spec)) {
    return invalid(path, "start", startedBy(spec), "must be a behavior, an effect, a layer or children")
  }
  if (!RESTARTS.includes(spec.restart)) {
    return invalid(path, "restart", spec.restart, `must be one of ${RESTARTS.join(", ")}`)
  }
  if (spec.shutdown !== "kill" && !(spec.shutdown >= 0)) {
    return invalid(path, "shutdown", spec.shutdown, 'must be a duration of 0 or more, or "kill"')
  }
  if (!(spec.startTimeout > 0)) return invalid(path, "startTimeout", spec.startTimeout, "must be a duration above 0")
  if (spec.backoff !== undefined && !isBackoff(spec.backoff)) {
    return invalid(path, "backoff", spec.backoff, "must be a schedule or a Backoff")
  }
  if (spec.when !== undefined && !Effect.isEffect(spec.when)) {
    return invalid(path, "when", spec.when, "must be an effect")
  }
  if (spec.ready !== undefined && !Effect.isEffect(spec.ready)) {
    return invalid(path, "ready", spec.ready, "must be an effect")
  }
  return keysProblem(spec, path) ?? reportProblem(spec.report, path) ?? onFailureProblem(spec.onFailure, path)
}

const keysProblem = (spec: SpecImpl, path: string): InvalidSpec | undefined => {
  for (const field of ["needs", "provides"] as const) {
    const keys: unknown = spec[field]
    if (Array.isArray(keys) && keys.every((key) => typeof key === "string")) continue
    return invalid(path, field, keys, "must be a list of service keys")
  }
  return undefined
}

const reportProblem = (report: Report, path: string): InvalidSpec | undefined => {
  for (const field of ["level", "raisedLevel"] as const) {
    if (LEVELS.includes(report[field])) continue
    return invalid(path, `report.${field}`, report[field], `must be one of ${LEVELS.join(", ")}`)
  }
  const { raisedAfter } = report
  if (raisedAfter >= 0) return undefined
  return invalid(path, "report.raisedAfter", raisedAfter, "must be a number of 0 or more")
}

const significanceProblem = (spec: SpecImpl, path: string, mode: AutoShutdown): InvalidSpec | undefined => {
  const { restart, significant } = spec
  if (typeof significant !== "boolean") return invalid(path, "significant", significant, "must be true or false")
  if (!significant) return undefined
  if (restart === "permanent") {
    return invalid(path, "significant", true, 'cannot go with restart "permanent", which never lets it end by itself')
  }
  if (mode === "never") {
    return invalid(path, "significant", true, 'cannot go with autoShutdown "never": set it on the supervisor')
  }
  return undefined
}

const onFailureProblem = (onFailure: unknown, path: string): InvalidSpec | undefined => {
  if (onFailure === undefined || typeof onFailure === "function") return undefined
  if (typeof onFailure !== "object" || onFailure === null) {
    return invalid(path, "onFailure", onFailure, "must be a function, or directives by error tag")
  }
  for (const [tag, chosen] of Object.entries(onFailure)) {
    if (typeof chosen === "function" || isDirective(chosen)) continue
    return invalid(path, `onFailure.${tag}`, chosen, "must be one of restart, resume, stop, escalate, or a function")
  }
  return undefined
}

const startable = (spec: SpecImpl): boolean => {
  const target = spec.target
  if (target?._tag !== spec.kind) return false
  switch (target._tag) {
    case "actor":
      return isBehavior(target.behavior)
    case "effect":
      return Effect.isEffect(target.effect)
    case "service":
      return Layer.isLayer(target.layer)
    case "supervisor":
      return true
    default:
      return false
  }
}

/** What its maker was given to start. */
const startedBy = ({ kind, target }: SpecImpl): unknown => {
  if (target?._tag !== kind) return target
  switch (target._tag) {
    case "actor":
      return target.behavior
    case "effect":
      return target.effect
    case "service":
      return target.layer
    default:
      return target
  }
}

const supervisorProblem = (spec: SpecImpl, path: string): InvalidSpec | undefined => {
  const target = spec.target
  if (target._tag !== "supervisor") return undefined
  const { flaw } = target
  if (flaw !== undefined) return invalid(path, flaw.field, flaw.value, flaw.problem)
  if (!STRATEGIES.includes(target.strategy)) {
    return invalid(path, "strategy", target.strategy, `must be one of ${STRATEGIES.join(", ")}`)
  }
  if (!AUTO_SHUTDOWNS.includes(target.autoShutdown)) {
    return invalid(path, "autoShutdown", target.autoShutdown, `must be one of ${AUTO_SHUTDOWNS.join(", ")}`)
  }
  if (target.dynamic && target.autoShutdown !== "never") {
    return invalid(path, "autoShutdown", target.autoShutdown, 'must be "never" where children come and go')
  }
  const { restarts, within } = target.intensity
  if (!Number.isInteger(restarts) || restarts < 0) {
    return invalid(path, "intensity.restarts", restarts, "must be a whole number of 0 or more")
  }
  const millis = Option.map(Duration.fromInput(within), Duration.toMillis)
  if (!Option.exists(millis, (value) => value > 0 && Number.isFinite(value))) {
    return invalid(path, "intensity.within", within, "must be a finite duration above 0")
  }
  const ids = new Set<string>()
  for (const child of target.children) {
    const problem = problemOf(child, path, target.autoShutdown)
    if (problem !== undefined) return problem
    if (ids.has(child.id)) return invalid(path, "children", child.id, "must have ids of their own")
    ids.add(child.id)
  }
  // What each child of a dynamic supervisor will be like: its id is made when it starts.
  const template = target.template === undefined ? undefined : ownProblem(target.template, `${path}/*`)
  if (template !== undefined) return template
  const ordered = target.graph ? startOrder(target.children.map(asNode)) : []
  if (!("circle" in ordered)) return undefined
  return invalid(path, "needs", [...ordered.circle, ordered.circle[0]], "must not go round in a circle")
}
