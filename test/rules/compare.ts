/**
 * The model and the library side by side: the first thing they differ in, and the smallest script that shows it.
 */
import { Effect } from "effect"
import { play as playActual } from "./actual.ts"
import type { Seen } from "./history.ts"
import { play as playModel } from "./model.ts"
import { isSupervisor, type Script, type Spec, type Supervisor } from "./script.ts"

/** How a script is predicted. */
export type Model = (script: Script) => ReadonlyArray<Seen>

/** The first difference, in words, or nothing. */
export const difference = (script: Script, model: Model = playModel): Effect.Effect<string | undefined> =>
  Effect.map(playActual(script), (actual) => {
    const expected = model(script)
    for (let i = 0; i < Math.max(expected.length, actual.length); i++) {
      const differs = differenceOf(expected[i], actual[i])
      if (differs !== undefined)
        return `${i === 0 ? "at the start" : `step ${i}, ${text(script.steps[i - 1])}`}: ${differs}`
    }
    return undefined
  })

const differenceOf = (expected: Seen | undefined, actual: Seen | undefined): string | undefined => {
  for (const part of ["events", "answer", "look"] as const) {
    const [wanted, got] = [text(expected?.[part]), text(actual?.[part])]
    if (wanted !== got) return `${part}\n  by the rules ${wanted}\n  in fact      ${got}`
  }
  return undefined
}

/** With keys in one order, so that equal things read the same. */
const text = (value: unknown): string =>
  value === undefined
    ? "nothing"
    : JSON.stringify(value, (_, each: unknown) =>
        typeof each === "object" && each !== null && !Array.isArray(each)
          ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
          : each
      )

/** Smaller scripts: without a step, or without a part of the tree. */
const smaller = (script: Script): ReadonlyArray<Script> => [
  ...script.steps.map((_, i) => ({ ...script, steps: script.steps.toSpliced(i, 1) })),
  ...smallerTrees(script.tree).map((tree) => ({ ...script, tree })),
  ...script.steps.flatMap((step, i) =>
    step.do === "reconfigure"
      ? smallerTrees(step.to).map((to) => ({ ...script, steps: script.steps.toSpliced(i, 1, { ...step, to }) }))
      : []
  )
]

const smallerTrees = (tree: Supervisor): ReadonlyArray<Supervisor> =>
  tree.children.flatMap((child, i) => [
    { ...tree, children: tree.children.toSpliced(i, 1) },
    ...smallerSpecs(child).map((less) => ({ ...tree, children: tree.children.toSpliced(i, 1, less) }))
  ])

const smallerSpecs = (spec: Spec): ReadonlyArray<Spec> => {
  if (isSupervisor(spec)) return smallerTrees(spec)
  return spec.failStarts.length === 0 ? [] : [{ ...spec, failStarts: [] }]
}

/** The smallest script that still fails, found by leaving out what is not needed. */
export const shrink = (
  script: Script,
  fails: (script: Script) => Effect.Effect<string | undefined>
): Effect.Effect<{ readonly script: Script; readonly why: string }> =>
  Effect.gen(function* () {
    let smallest = script
    let why = (yield* fails(script)) ?? "it passes when it is played again"
    for (let found = true; found;) {
      found = false
      for (const candidate of smaller(smallest)) {
        const still = yield* fails(candidate)
        if (still === undefined) continue
        smallest = candidate
        why = still
        found = true
        break
      }
    }
    return { script: smallest, why }
  })
