/**
 * Makes a failing script as small and as plain as it can be, while it fails in the same way.
 */
import type { Script, SingleStep, Spec, Step, SupervisorSpec, WorkerSpec } from "./spec.ts"

/** How often a script is tried at most. */
const TRIES = 4_000

export const shrink = (script: Script, fails: (candidate: Script) => boolean): Script => {
  let tries = 0
  let smallest = script
  const smaller = (): Script | undefined => {
    for (const candidate of candidates(smallest)) {
      if (++tries > TRIES) return undefined
      if (fails(candidate)) return candidate
    }
    return undefined
  }
  for (let next = smaller(); next !== undefined; next = smaller()) smallest = next
  return smallest
}

/** Simpler scripts, the boldest first. Each is smaller by some measure, so that this comes to an end. */
function* candidates({ steps, tree }: Script): Generator<Script> {
  for (const fewer of fewerOf(steps)) yield { tree, steps: fewer }
  for (const simpler of simplerSupervisors(tree)) yield { tree: simpler, steps }
  for (const [index, step] of steps.entries()) {
    for (const simpler of simplerSteps(step)) yield { tree, steps: steps.with(index, simpler) }
  }
}

/** Without half of them, a quarter of them, and so on down to one. */
function* fewerOf<A>(items: ReadonlyArray<A>): Generator<ReadonlyArray<A>> {
  for (let size = Math.ceil(items.length / 2); size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < items.length; from += size) {
      yield [...items.slice(0, from), ...items.slice(from + size)]
    }
  }
}

function* simplerSteps(step: Step): Generator<Step> {
  if (step.do !== "together") return yield* simplerSingles(step)
  if (step.steps.length === 1) yield step.steps[0]!
  for (const steps of fewerOf(step.steps)) if (steps.length > 0) yield { do: "together", steps }
  for (const [index, single] of step.steps.entries()) {
    for (const simpler of simplerSingles(single)) yield { do: "together", steps: step.steps.with(index, simpler) }
  }
}

function* simplerSingles(step: SingleStep): Generator<SingleStep> {
  switch (step.do) {
    case "advance":
    case "busy":
      for (const ms of simplerNumbers(step.ms)) yield { ...step, ms }
      return
    case "crash":
      if (step.error !== "A") yield { ...step, error: "A" }
      return
    case "start-child":
      for (const child of simplerSpecs(step.child)) yield { ...step, child }
      return
    case "start-dynamic":
      for (const child of simplerWorkers(step.child)) yield { ...step, child }
      return
    case "reconfigure":
      for (const tree of simplerSupervisors(step.tree)) yield { ...step, tree }
  }
}

/** Round ones first. */
function* simplerNumbers(number: number): Generator<number> {
  for (const round of [1_000, 100, 10]) {
    const rounded = Math.ceil(number / round) * round
    if (number % round !== 0) yield rounded
    else if (number > round) yield number - round
  }
}

function* simplerSpecs(spec: Spec): Generator<Spec> {
  switch (spec.kind) {
    case "worker":
      return yield* simplerWorkers(spec)
    case "supervisor":
      return yield* simplerSupervisors(spec)
    case "dynamic":
      if (spec.maxChildren !== null) yield { ...spec, maxChildren: null }
      for (const intensity of simplerIntensities(spec.intensity)) yield { ...spec, intensity }
  }
}

function* simplerWorkers(spec: WorkerSpec): Generator<WorkerSpec> {
  if (spec.backoff !== null) yield { ...spec, backoff: null }
  for (const attempts of fewerOf(spec.attempts)) yield { ...spec, attempts }
  for (const key of Object.keys(spec.onFailure)) {
    yield { ...spec, onFailure: Object.fromEntries(Object.entries(spec.onFailure).filter(([other]) => other !== key)) }
  }
  if (spec.significant) yield { ...spec, significant: false }
  if (spec.restart !== "permanent" && !spec.significant) yield { ...spec, restart: "permanent" }
  if (spec.shutdown !== 5_000) yield { ...spec, shutdown: 5_000 }
  if (spec.startTimeout !== 5_000) yield { ...spec, startTimeout: 5_000 }
  for (const [index, attempt] of spec.attempts.entries()) {
    if (attempt.after > 0) yield { ...spec, attempts: spec.attempts.with(index, { ...attempt, after: 0 }) }
    if (attempt.result !== "ok") yield { ...spec, attempts: spec.attempts.with(index, { ...attempt, result: "ok" }) }
  }
}

function* simplerSupervisors(spec: SupervisorSpec): Generator<SupervisorSpec> {
  for (const children of fewerOf(spec.children)) yield { ...spec, children }
  if (spec.autoShutdown !== "never") yield { ...spec, autoShutdown: "never" }
  if (spec.strategy !== "one-for-one") yield { ...spec, strategy: "one-for-one" }
  if (spec.significant) yield { ...spec, significant: false }
  if (spec.restart !== "permanent" && !spec.significant) yield { ...spec, restart: "permanent" }
  for (const intensity of simplerIntensities(spec.intensity)) yield { ...spec, intensity }
  for (const [index, child] of spec.children.entries()) {
    for (const simpler of simplerSpecs(child)) yield { ...spec, children: spec.children.with(index, simpler) }
  }
}

function* simplerIntensities({ restarts, within }: SupervisorSpec["intensity"]) {
  if (within !== 10_000) yield { restarts, within: 10_000 }
  if (restarts > 0 && restarts < 3) yield { restarts: 3, within }
}
