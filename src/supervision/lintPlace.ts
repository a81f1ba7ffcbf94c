/**
 * A tree as lint reads it: each supervisor with its place, its limits as numbers, and what its children are like.
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { isBackoff } from "./Backoff.ts"
import { asNode, type SpecImpl, type SpecNode, type SupervisorTarget } from "./ChildSpec.ts"
import { startOrder } from "./graph.ts"
import type { Intensity } from "./Intensity.ts"
import { type Delays, delaysOf } from "./lintBackoff.ts"

/** The id of any child, where they are alike. @internal */
export const EACH = "*"

/** A child, or what all children of a supervisor are like. @internal */
export interface Sample {
  /** `EACH` where it stands for all. */
  readonly id: string
  readonly spec: SpecImpl
  readonly path: string
  /** Nothing where it has no backoff, or one that cannot be evaluated. */
  readonly delays: Delays | undefined
}

/** A supervisor in its tree. @internal */
export interface Place {
  readonly spec: SpecImpl
  readonly target: SupervisorTarget
  readonly path: string
  readonly depth: number
  readonly parent: Place | undefined
  /** Its limits as numbers; `NaN` for what is none. */
  readonly intensity: { readonly restarts: number; readonly within: number }
  readonly samples: ReadonlyArray<Sample>
  /** How many children there are; `undefined` where only the running system knows. */
  readonly count: number | undefined
}

/** @internal */
export const placeOf = (spec: SpecImpl, parent: Place | undefined): Place => {
  const target = spec.target as SupervisorTarget
  const path = parent === undefined ? spec.id : `${parent.path}/${spec.id}`
  const intensity = numbersOf(target.intensity)
  const samples = sampled(target).map(([id, child]) => ({
    id,
    spec: child,
    path: `${path}/${id}`,
    delays: isBackoff(child.backoff) ? delaysOf(child.backoff, stepsFor(intensity.restarts)) : undefined
  }))
  const count = target.dynamic || target.resolve !== undefined ? undefined : target.children.length
  return { spec, target, path, depth: parent === undefined ? 0 : parent.depth + 1, parent, intensity, samples, count }
}

/** Children that are alike, or that come and go, are looked at once. @internal */
export const sampled = (target: SupervisorTarget): ReadonlyArray<readonly [id: string, child: SpecImpl]> => {
  if (target.dynamic) return target.template === undefined ? [] : [[EACH, target.template]]
  const children = target.children.filter((child) => typeof child?.target === "object" && child.target !== null)
  if (target.provides !== undefined && !target.given) return children.slice(0, 1).map((child) => [EACH, child])
  return inOrder(target, children).map((child) => [child.id, child])
}

/** Start order; the order of the list where there is none. */
const inOrder = ({ graph }: SupervisorTarget, children: ReadonlyArray<SpecImpl>): ReadonlyArray<SpecImpl> => {
  const ordered = graph ? startOrder(children.map(asNode)) : undefined
  return ordered === undefined || "circle" in ordered ? children : ordered.map(({ spec }: SpecNode) => spec)
}

const numbersOf = ({ restarts, within }: Intensity): Place["intensity"] => ({
  restarts: Number.isInteger(restarts) && restarts >= 0 ? restarts : NaN,
  within: Option.getOrElse(Option.map(Duration.fromInput(within), Duration.toMillis), () => NaN)
})

/** Delays are looked at as far as a budget needs them, but not for ever. */
const stepsFor = (restarts: number): number => 16 + 2 * (restarts <= 128 ? restarts : 0)

/** Whether it may be restarted at all. @internal */
export const isRestartable = ({ restart }: SpecImpl): boolean => restart !== "temporary"

/** Whether the budget can be used at all: by a child that is known, or by ones that are not. @internal */
export const canRestart = ({ count, samples }: Place): boolean =>
  samples.some(({ spec }) => isRestartable(spec)) || (samples.length === 0 && count !== 0)

/** Whether its parent starts it again when it has given up. @internal */
export const isRestarted = ({ parent, spec }: Place): boolean => parent !== undefined && spec.restart === "permanent"
