/**
 * What is asked of a supervisor about its children (R37 to R39).
 */
import { configurationProblem, configure } from "./configuring.ts"
import type { Ruling } from "./rules/admin.ts"
import type { Rules } from "./rules/all.ts"
import { forget, stopPlace } from "./runs.ts"
import type { Spec } from "./spec.ts"
import {
  addPlace,
  answer,
  childrenOf,
  isDown,
  type Place,
  placeAt,
  type Request,
  shutdownOf,
  supervisorAt,
  type World,
  job
} from "./world.ts"

export const handleRequest = (w: World, rules: Rules, s: Place, request: Request, step: number): void => {
  switch (request.do) {
    case "start-child":
      return startChild(w, rules, s, request.child, step)
    case "start-dynamic":
      return startDynamic(w, s, request.child, step)
    case "terminate-dynamic":
      return terminateDynamic(w, rules, s, placeAt(w, request.place), step)
    case "reconfigure":
      return reconfigure(w, rules, s, request, step)
    default:
      return aboutChild(w, rules, s, request.do, request.id, step)
  }
}

const startChild = (w: World, rules: Rules, s: Place, child: Spec, step: number): void => {
  const supervising = supervisorAt(s)
  const mode = supervising.config.kind === "dynamic" ? "never" : supervising.config.autoShutdown
  const problem = rules.validity.problemOf(child, mode)
  if (problem !== undefined) return answer(w, step, `invalid(${problem})`)
  const ruling = rules.admin.onStart(childNamed(w, s, child.id)?.state)
  if (ruling !== "go") return answer(w, step, ruling)
  adopt(w, s, child, "start-child", step)
}

/** Behind the others (R22), before it is started. */
const adopt = (w: World, s: Place, child: Spec, cause: "start-child" | "start-dynamic", step: number): void => {
  const supervising = supervisorAt(s)
  const place = addPlace(w, child, s)
  supervising.children = [...supervising.children, place.number]
  supervising.agenda.push(job("start", place.number, { cause, step }))
}

/** Restarting children keep their place, and count (R37). */
const startDynamic = (w: World, s: Place, child: Spec, step: number): void => {
  const supervising = supervisorAt(s)
  if (supervising.config.kind !== "dynamic") return answer(w, step, "not-dynamic")
  const id = `worker#${++supervising.named}`
  const max = supervising.config.maxChildren ?? Infinity
  if (supervising.children.length >= max) return answer(w, step, "max-children")
  adopt(w, s, { ...child, id }, "start-dynamic", step)
}

/** R37: by reference; one that has ended is not found. Only the beginning of the stop keeps others waiting. */
const terminateDynamic = (w: World, rules: Rules, s: Place, p: Place, step: number): void => {
  if (!supervisorAt(s).children.includes(p.number)) return answer(w, step, "not-found")
  if (isDown(p)) {
    forget(w, s, p, p.lastEnd ?? "shutdown")
    return answer(w, step, "ok")
  }
  p.terminating = [...p.terminating, step]
  stopPlace(w, rules, p, shutdownOf(p.spec))
}

const reconfigure = (
  w: World,
  rules: Rules,
  s: Place,
  { tree }: Extract<Request, { do: "reconfigure" }>,
  step: number
): void => {
  const problem = configurationProblem(w, rules, s, tree)
  if (problem !== undefined) return answer(w, step, `invalid(${problem})`)
  configure(w, rules, s, tree)
  answer(w, step, "ok")
}

const aboutChild = (
  w: World,
  rules: Rules,
  s: Place,
  what: "terminate-child" | "restart-child" | "delete-child",
  id: string,
  step: number
): void => {
  const { admin } = rules
  const { agenda, config } = supervisorAt(s)
  // Children that come and go have no ids that anybody knows.
  const p = config.kind === "dynamic" ? undefined : childNamed(w, s, id)
  const table = {
    "terminate-child": admin.onTerminate,
    "restart-child": admin.onRestart,
    "delete-child": admin.onDelete
  }
  const ruling: Ruling = table[what](p?.state)
  if (ruling !== "go" || p === undefined) return answer(w, step, ruling)
  switch (what) {
    case "terminate-child":
      agenda.push(job("stop", p.number), job("terminated", p.number, { step }))
      return
    case "restart-child":
      agenda.push(job("start", p.number, { cause: "restart-child", step }))
      return
    case "delete-child":
      forget(w, s, p, p.lastEnd ?? "shutdown")
      answer(w, step, "ok")
  }
}

const childNamed = (w: World, s: Place, id: string): Place | undefined =>
  childrenOf(w, s).find((child) => child.spec.id === id)
