/**
 * Plays one history after another until one goes otherwise than the model says.
 */
import { check, type Difference, kindOf } from "./compare.ts"
import { generate } from "./histories.ts"
import { start, step } from "./model.ts"
import { type Rules, rules as theRules } from "./rules/all.ts"
import { shrink } from "./shrink.ts"
import type { Script } from "./spec.ts"
import { allFeatures, type Features } from "./trees.ts"

/** The seed of one history of many: neighbours have nothing in common. */
export const seedOf = (seed: number, index: number): number => Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) + index

export interface Found {
  readonly script: Script
  readonly difference: Difference
}

export interface Searched {
  readonly played: number
  readonly steps: number
  /** Histories that were not compared to their end, because of things due at the same time. */
  readonly ambiguous: number
  readonly found: Found | undefined
  readonly index: number
}

/** Searches the histories `from` (inclusive) to `to` (exclusive) of a seed. */
export const search = (
  seed: number,
  from: number,
  to: number,
  { features = allFeatures, rules = theRules }: { readonly features?: Features; readonly rules?: Rules } = {}
): Searched => {
  let steps = 0
  let ambiguous = 0
  for (let index = from; index < to; index++) {
    const script = generate(seedOf(seed, index), features)
    const verdict = check(script, rules)
    steps += script.steps.length
    if (verdict.ambiguous) ambiguous++
    if (verdict.difference === undefined) continue
    return { played: index + 1 - from, steps, ambiguous, found: { script, difference: verdict.difference }, index }
  }
  return { played: to - from, steps, ambiguous, found: undefined, index: to }
}

/** The smallest script that differs in the same way. */
export const smallest = ({ difference, script }: Found, rules: Rules = theRules): Found => {
  const kind = kindOf(difference)
  const small = shrink(script, (candidate) => {
    const other = check(candidate, rules).difference
    return other !== undefined && kindOf(other) === kind
  })
  return { script: small, difference: check(small, rules).difference ?? difference }
}

/** For people: what differs, and the script to play it again. */
export const report = ({ difference, script }: Found): string =>
  `step ${difference.step}: ${difference.what}\n\nThe script, for test/model/trace.ts:\n${scriptText(script)}\n`

/** What is left out when it is as `reading.ts` would fill it in. */
const DEFAULTS: Readonly<Record<string, string>> = {
  restart: '"permanent"',
  significant: "false",
  shutdown: "5000",
  startTimeout: "5000",
  onFailure: "{}",
  backoff: "null",
  attempts: "[]",
  strategy: '"one-for-one"',
  autoShutdown: '"never"',
  maxChildren: "null"
}

const text = (value: unknown): string =>
  JSON.stringify(value, (key, each: unknown) => (DEFAULTS[key] === JSON.stringify(each) ? undefined : each))

/** A script as JSON, a step a line. */
export const scriptText = ({ steps, tree }: Script): string => {
  const lines = steps.map((step) => `    ${text(step)}`).join(",\n")
  return `{\n  "tree": ${text(tree)},\n  "steps": [\n${lines}\n  ]\n}`
}

/** How often each kind of event is predicted in these histories: what they are about. */
export const census = (seed: number, from: number, to: number, features: Features = allFeatures) => {
  const counts = new Map<string, number>()
  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1)
  for (let index = from; index < to; index++) {
    const { steps, tree } = generate(seedOf(seed, index), features)
    let stepped = start(tree)
    for (const each of [undefined, ...steps]) {
      if (each !== undefined) {
        stepped = step(stepped.world, each)
        count(`do ${each.do}`)
      }
      for (const event of stepped.events) {
        count(event.event === "answered" ? `answered ${event.answer.split("(")[0]}` : event.event)
      }
    }
  }
  return counts
}
