/**
 * Whether a script goes as the model says, and if not, the first difference in plain words.
 */
import type { Event, View } from "./history.ts"
import { start, step as modelStep, view, type Stepped } from "./model.ts"
import { Play } from "./play.ts"
import { type Rules, rules as theRules } from "./rules/all.ts"
import type { Script, Step } from "./spec.ts"

export interface Difference {
  /** 0: the start of the tree. */
  readonly step: number
  readonly what: string
}

export interface Verdict {
  readonly difference: Difference | undefined
  /** Two timers were due at once: what follows was not compared. */
  readonly ambiguous: boolean
}

/** Plays a script step by step, until the first difference. */
export const check = (script: Script, rules: Rules = theRules): Verdict => {
  const play = new Play(script.tree)
  let predicted = start(script.tree, rules)
  let seen = seenBy(play, () => play.start())
  for (let number = 0; ; number++) {
    if (predicted.world.ambiguous) return { difference: undefined, ambiguous: true }
    const what = differenceIn(predicted, seen, play)
    if (what !== undefined) return { difference: { step: number, what }, ambiguous: false }
    const next: Step | undefined = script.steps[number]
    if (next === undefined) break
    predicted = modelStep(predicted.world, next, rules)
    seen = seenBy(play, () => play.step(next))
  }
  const left = play.end()
  if (left.length === 0) return { difference: undefined, ambiguous: false }
  const what = `after the tree was stopped nothing should run, but there is ${left.join(", ")}`
  return { difference: { step: script.steps.length, what }, ambiguous: false }
}

/** Differences that look alike, but for names and numbers, have the same cause more often than not. */
export const kindOf = ({ what }: Difference): string =>
  what
    .split("\n")[0]!
    .replace(/top[\w/#]*/g, "…")
    .replace(/"?-?\d+"?/g, "#")
    .replace(/"child":"[^"]*"/g, "")

interface Seen {
  readonly events: ReadonlyArray<Event>
  readonly error: string | undefined
}

const seenBy = (_: Play, run: () => ReadonlyArray<Event>): Seen => {
  try {
    return { events: run(), error: undefined }
  } catch (error) {
    return { events: [], error: String(error) }
  }
}

const differenceIn = ({ events, world }: Stepped, seen: Seen, play: Play): string | undefined => {
  if (seen.error !== undefined) return `it threw: ${seen.error}`
  return (
    differentEvents(inOrder(events), inOrder(seen.events)) ??
    differentAnswers(events, seen.events) ??
    differentViews(view(world), play.view())
  )
}

/**
 * What has an order. That a supervisor is back is told beside what it does then. When callers hear of their answers is their own affair, so these are compared apart; children that come
 * and go are stopped together, in no order (R31).
 */
const inOrder = (events: ReadonlyArray<Event>): ReadonlyArray<Event> => {
  const ordered: Array<Event> = []
  const beside: Array<Event> = []
  let together: Array<Event> = []
  for (const event of events) {
    if (event.event === "answered") continue
    if (event.event === "restarted") {
      beside.push(event)
      continue
    }
    if (isOfDynamicChild(event)) together.push(event)
    else {
      ordered.push(...together.sort(byText), event)
      together = []
    }
  }
  return [...ordered, ...together.sort(byText), ...beside.sort(byText)]
}

const isOfDynamicChild = (event: Event): boolean =>
  (event.event === "exited" && /#\d+$/.test(event.path)) ||
  (event.event === "shutdown-error" && /#\d+$/.test(event.child))

const byText = (a: Event, b: Event): number => (lineOf(a) < lineOf(b) ? -1 : 1)

/** The events of a step in an order that says no more than is determined, the answers last. */
export const tidy = (events: ReadonlyArray<Event>): ReadonlyArray<Event> => {
  const answers = events.flatMap((event) => (event.event === "answered" ? [event] : []))
  return [...inOrder(events), ...answers.sort((a, b) => a.to - b.to)]
}

const differentEvents = (expected: ReadonlyArray<Event>, got: ReadonlyArray<Event>): string | undefined => {
  const length = Math.max(expected.length, got.length)
  for (let i = 0; i < length; i++) {
    const [should, is] = [lineOf(expected[i]), lineOf(got[i])]
    if (should === is) continue
    const before = expected.slice(Math.max(0, i - 3), i).map((event) => `\n    after ${lineOf(event)}`)
    return `event ${i + 1}: expected ${should}, got ${is}${before.join("")}`
  }
  return undefined
}

const lineOf = (event: Event | undefined): string => (event === undefined ? "nothing more" : JSON.stringify(event))

const differentAnswers = (expected: ReadonlyArray<Event>, got: ReadonlyArray<Event>): string | undefined => {
  const [should, is] = [answersIn(expected), answersIn(got)]
  const steps = [...new Set([...should.keys(), ...is.keys()])].sort((a, b) => a - b)
  const step = steps.find((step) => should.get(step) !== is.get(step))
  if (step === undefined) return undefined
  return `answer to step ${step}: expected ${should.get(step) ?? "none yet"}, got ${is.get(step) ?? "none yet"}`
}

const answersIn = (events: ReadonlyArray<Event>): ReadonlyMap<number, string> =>
  new Map(events.flatMap((event) => (event.event === "answered" ? [[event.to, `${event.answer} at ${event.t}`]] : [])))

const differentViews = (expected: View, got: View): string | undefined => firstDifference("", expected, got)

/** The first place, by path, at which two values differ. */
const firstDifference = (path: string, expected: unknown, got: unknown): string | undefined => {
  if (Object.is(expected, got)) return undefined
  if (!isObject(expected) || !isObject(got)) {
    return `${path.slice(1)}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`
  }
  for (const key of new Set([...Object.keys(expected), ...Object.keys(got)])) {
    const difference = firstDifference(`${path}.${nameOf(key, expected[key])}`, expected[key], got[key])
    if (difference !== undefined) return difference
  }
  return undefined
}

/** Supervisors and children go by their names, not by their numbers. */
const nameOf = (key: string, value: unknown): string => {
  if (!isObject(value)) return key
  const name = value["path"] ?? value["id"]
  return typeof name === "string" ? `[${name}]` : key
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null
