/**
 * The graph of a flow as data: what is wrong with it, and where it goes next. Pure.
 */
import type { AnyAction, AnyFlow, Fields, Transition } from "./declaration.ts"

/** Something that a flow cannot be made with. */
export interface Problem {
  readonly field: string
  readonly value: unknown
  readonly problem: string
}

type Parts = Pick<AnyFlow, "fields" | "actions" | "entry" | "transitions">

const unknownKeys = (fields: Fields, keys: ReadonlyArray<string>, at: string): ReadonlyArray<Problem> =>
  keys.flatMap((key, i) =>
    Object.hasOwn(fields, key)
      ? []
      : [{ field: `${at}[${i}]`, value: key, problem: `which the state does not have: it has ${listOf(fields)}` }]
  )

const listOf = (fields: Fields): string => Object.keys(fields).join(", ")

const problemsOfAction = (
  { actions, fields }: Parts,
  state: object,
  action: AnyAction,
  i: number
): ReadonlyArray<Problem> => {
  const at = `actions[${i}]`
  const problems: Array<Problem> = []
  const first = actions.findIndex(({ name }) => name === action.name)
  if (action.name === "") problems.push({ field: `${at}.name`, value: "", problem: "which is no name" })
  if (first !== i) problems.push({ field: `${at}.name`, value: action.name, problem: `as actions[${first}] is` })
  if (action["~state"] !== state)
    problems.push({ field: at, value: action.name, problem: "an action of another state" })
  for (const key of Object.keys(action.inputs)) {
    if (!action.reads.includes(key)) continue
    problems.push({ field: `${at}.inputs`, value: key, problem: "which it reads as well: call the input otherwise" })
  }
  return [
    ...problems,
    ...unknownKeys(fields, action.reads, `${at}.reads`),
    ...unknownKeys(fields, action.writes, `${at}.writes`)
  ]
}

/** What cannot be followed, and what will never be, since an earlier one from the same action always is. */
const problemsOfTransition = (
  { fields, transitions }: Parts,
  state: object,
  transition: Transition<string>,
  i: number,
  unknown: (field: string, name: string) => ReadonlyArray<Problem>
): ReadonlyArray<Problem> => {
  const at = `transitions[${i}]`
  const problems: Array<Problem> = []
  if (transition["~state"] !== state) {
    problems.push({ field: at, value: transition.to, problem: "a transition of another state" })
  }
  if (transition.from.length === 0) {
    problems.push({ field: `${at}.from`, value: [], problem: `which leads from nowhere to ${transition.to}` })
  }
  for (const from of transition.from) {
    const sooner = transitions.findIndex((other) => other.when === undefined && other.from.includes(from))
    if (sooner < 0 || sooner >= i) continue
    const problem = `never taken: transitions[${sooner}] always is`
    problems.push({ field: at, value: `${from} -> ${transition.to}`, problem })
  }
  return [
    ...transition.from.flatMap((name, k) => unknown(`${at}.from[${k}]`, name)),
    ...unknown(`${at}.to`, transition.to),
    ...problems,
    ...unknownKeys(fields, transition.reads, `${at}.reads`)
  ]
}

/** The actions that can come to be done. */
const reachable = ({ entry, transitions }: Parts): ReadonlySet<string> => {
  const found = new Set<string>([entry])
  for (const name of found) {
    for (const { from, to } of transitions) if (from.includes(name)) found.add(to)
  }
  return found
}

/** All that is wrong with a graph. @internal */
export const problemsOf = (parts: Parts, state: object): ReadonlyArray<Problem> => {
  const { actions, entry, transitions } = parts
  const names = new Set(actions.map(({ name }) => name))
  const known = actions.length === 0 ? "there are none" : `there are ${[...names].join(", ")}`
  const unknown = (field: string, value: string): ReadonlyArray<Problem> =>
    names.has(value) ? [] : [{ field, value, problem: `which is no action: ${known}` }]
  const problems = [
    ...unknown("entry", entry),
    ...actions.flatMap((action, i) => problemsOfAction(parts, state, action, i)),
    ...transitions.flatMap((transition, i) => problemsOfTransition(parts, state, transition, i, unknown))
  ]
  // What cannot be followed cannot be said to lead nowhere.
  if (problems.length > 0) return problems
  const found = reachable(parts)
  return actions.flatMap(({ name }, i) =>
    found.has(name) ? [] : [{ field: `actions[${i}]`, value: name, problem: `which cannot be reached from ${entry}` }]
  )
}

/** The transitions that leave each action, in order. @internal */
export const leaving = (flow: AnyFlow, name: string): ReadonlyArray<Transition<string>> =>
  flow.transitions.filter(({ from }) => from.includes(name))
