/**
 * Reads a tree without starting it: what its supervisors bear, and what in it contradicts itself.
 */
import type { SpecImpl } from "./ChildSpec.ts"
import { givesUpAt } from "./lintBackoff.ts"
import { findingsOf, ownProblem } from "./lintChecks.ts"
import { format } from "./lintFormat.ts"
import type { EndsAt, Finding, Lint, LintedBackoff, LintedSupervisor } from "./lintModel.ts"
import { canRestart, isRestartable, isRestarted, type Place, placeOf, type Sample, sampled } from "./lintPlace.ts"

/** @internal */
export const lint = (root: SpecImpl): Lint => {
  const places = root?.target?._tag === "supervisor" ? placesOf(root, undefined) : []
  const findings = places.length === 0 ? ownProblem(root, undefined) : places.flatMap(findingsOf)
  return new LintImpl(places.map(read), findings)
}

class LintImpl implements Lint {
  readonly supervisors: ReadonlyArray<LintedSupervisor>
  readonly findings: ReadonlyArray<Finding>

  constructor(supervisors: ReadonlyArray<LintedSupervisor>, findings: ReadonlyArray<Finding>) {
    this.supervisors = supervisors
    this.findings = findings
  }

  toString(): string {
    return format(this.supervisors, this.findings)
  }
}

/** Each before those below it. */
const placesOf = (spec: SpecImpl, parent: Place | undefined): ReadonlyArray<Place> => {
  const place = placeOf(spec, parent)
  const inner = place.samples.filter((sample) => sample.spec.target._tag === "supervisor")
  return [place, ...inner.flatMap((sample) => placesOf(sample.spec, place))]
}

const read = (place: Place): LintedSupervisor => {
  const { count, depth, intensity, path, samples, spec, target } = place
  const used = canRestart(place)
  return {
    path,
    depth,
    children: count,
    strategy: target.strategy,
    restart: spec.restart,
    intensity,
    burst: used ? intensity.restarts : Infinity,
    sustained: used ? (intensity.restarts / intensity.within) * 1_000 : Infinity,
    endsAt: used ? endsAtOf(place) : [],
    stopsWithin: stopsWithin(spec),
    backoffs: samples.filter(waits).map((sample) => readBackoff(sample, place))
  }
}

/** With budgets of i and o restarts a supervisor ends at failure (i+1), its parent at (i+1)*(o+1), and so on (R19). */
const endsAtOf = (place: Place): ReadonlyArray<EndsAt> => {
  let failures = place.intensity.restarts + 1
  const ends = [{ path: place.path, failures }]
  let ended = place
  while (ended.parent !== undefined) {
    const { parent } = ended
    if (isRestarted(ended)) failures *= parent.intensity.restarts + 1
    // The end of a significant one is the end of its parent (R43); any other stays down, and there it stops.
    else if (!(ended.spec.significant && parent.target.autoShutdown === "any-significant")) break
    ends.push({ path: parent.path, failures })
    ended = parent
  }
  return ends
}

/** Static children stop one after another, others all at once (R31). */
const stopsWithin = ({ shutdown, target }: SpecImpl): number => {
  if (target._tag !== "supervisor" || shutdown !== Infinity) return shutdown === "kill" ? 0 : shutdown
  const limits = sampled(target).map(([, child]) => stopsWithin(child))
  if (target.dynamic) return limits[0] ?? NaN
  if (target.provides === undefined) return limits.reduce((sum, limit) => sum + limit, 0)
  return target.resolve === undefined ? target.children.length * (limits[0] ?? NaN) : NaN
}

const waits = ({ spec }: Sample): boolean => spec.backoff !== undefined && isRestartable(spec)

const readBackoff = ({ delays, path }: Sample, { intensity }: Place): LintedBackoff => ({
  path,
  delays: delays?.least.map((least, i) => [least, delays.most[i]!]),
  ends: delays?.ends === true,
  givesUpAt: delays === undefined ? undefined : givesUpAt(intensity, delays)
})
