/**
 * Which trees are refused before anything of them is started (R4, R5, R42).
 */
import type { AutoShutdown, Intensity, Spec } from "../spec.ts"

/** The field that is wrong, the first one in the order of the tree. `mode` is that of the supervisor it is for. */
export const problemOf = (spec: Spec, mode: AutoShutdown): string | undefined => {
  switch (spec.kind) {
    case "worker":
      return limitsProblem(spec.shutdown, spec.startTimeout) ?? significanceProblem(spec, mode)
    case "dynamic":
      return intensityProblem(spec.intensity)
    case "supervisor":
      return (
        significanceProblem(spec, mode) ??
        intensityProblem(spec.intensity) ??
        childrenProblem(spec.children, spec.autoShutdown)
      )
  }
}

const limitsProblem = (shutdown: number | "kill", startTimeout: number): string | undefined => {
  if (shutdown !== "kill" && !(shutdown >= 0)) return "shutdown"
  return startTimeout > 0 ? undefined : "startTimeout"
}

/** R42: a significant child must be able to end by itself, and its end must be able to mean something. */
const significanceProblem = (spec: Extract<Spec, { significant: boolean }>, mode: AutoShutdown): string | undefined =>
  spec.significant && (spec.restart === "permanent" || mode === "never") ? "significant" : undefined

const intensityProblem = ({ restarts, within }: Intensity): string | undefined => {
  if (!Number.isInteger(restarts) || restarts < 0) return "intensity.restarts"
  return within > 0 && Number.isFinite(within) ? undefined : "intensity.within"
}

const childrenProblem = (children: ReadonlyArray<Spec>, mode: AutoShutdown): string | undefined => {
  const ids = new Set<string>()
  for (const child of children) {
    const problem = problemOf(child, mode)
    if (problem !== undefined) return problem
    if (ids.has(child.id)) return "children"
    ids.add(child.id)
  }
  return undefined
}
