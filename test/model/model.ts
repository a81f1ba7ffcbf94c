/**
 * The reference model: what a tree does in answer to what happens to it, by the rules alone. `start` and `step` change nothing
 * that they are given.
 */
import type { Event, SupervisorView, View } from "./history.ts"
import { type Rules, rules as theRules } from "./rules/all.ts"
import { counting } from "./rules/budget.ts"
import { exit, expire, finish, killPlace, startPlace } from "./runs.ts"
import { type SingleStep, singles, type Step, type SupervisorSpec } from "./spec.ts"
import { endSupervisor, takeTurn } from "./supervising.ts"
import {
  answer,
  childrenOf,
  copyWorld,
  emit,
  findListed,
  isDown,
  isSignificant,
  type Job,
  makeWorld,
  parentOf,
  type Place,
  placeAt,
  type Request,
  restartOf,
  setTimer,
  supervisorAt,
  type Timer,
  wake,
  type World
} from "./world.ts"

export interface Stepped {
  readonly world: World
  /** What was observed, in order. */
  readonly events: ReadonlyArray<Event>
}

/** Starts a tree at time 0. */
export const start = (tree: SupervisorSpec, rules: Rules = theRules): Stepped => {
  const world = makeWorld(tree)
  const problem = rules.validity.problemOf(tree, "never")
  if (problem === undefined) startPlace(world, rules, placeAt(world, 0))
  else answer(world, 0, `invalid(${problem})`)
  return settled(world, rules)
}

/** Does one step and everything that follows from it until nothing moves. */
export const step = (before: World, what: Step, rules: Rules = theRules): Stepped => {
  const world = copyWorld(before)
  applyStep(world, rules, what)
  return settled(world, rules)
}

const settled = (world: World, rules: Rules): Stepped => {
  run(world, rules)
  const { events } = world
  world.events = []
  return { world, events }
}

/** Supervisors take their turns in the order in which they got something to do. */
const run = (w: World, rules: Rules): void => {
  while (w.ready.length > 0) {
    if (w.ready.filter((number) => hasWork(placeAt(w, number))).length > 1) w.ambiguous = true
    takeTurn(w, rules, placeAt(w, w.ready.shift()!))
  }
  for (const place of w.places) {
    if (standsStill(place) && !comesBack(w, rules, place)) finish(w, place, place.lastEnd ?? "shutdown")
  }
}

const hasWork = (s: Place): boolean => {
  const { agenda, at, inbox } = supervisorAt(s)
  const next = agenda[0]
  return next === undefined ? at === "up" && inbox.length > 0 : !next.begun
}

/** R39: whoever waits for one that stands still, and will not come back after all, is told so. */
const standsStill = (p: Place): boolean => p.state === "stopped" && p.parent !== undefined && !p.final && isDown(p)

/** Starting another child because somebody asked for that brings nobody back. */
const isForAnother = (next: Job, s: Place): boolean =>
  next.do === "start" && next.cause !== "attempt" && next.cause !== "boot" && next.place !== s.number

/** Whether what is under way or pending above will start it again, or end it for good. */
const comesBack = (w: World, rules: Rules, s: Place): boolean => {
  const parent = parentOf(w, s)
  if (parent === undefined) return false
  const { agenda, at, children, config } = supervisorAt(parent)
  if (at === "stopping" || agenda.some((next) => !isForAnother(next, s))) return true
  if (at === "down") return comesBack(w, rules, parent)
  const strategy = config.kind === "dynamic" ? "one-for-one" : config.strategy
  return childrenOf(w, parent).some(
    ({ number, state }) => state === "restarting" && rules.order.group(strategy, children, number).includes(s.number)
  )
}

const applyStep = (w: World, rules: Rules, what: Step): void => {
  const failing: Array<{ readonly place: Place; readonly cause: string }> = []
  const touched = new Set<string>()
  for (const single of singles(what)) {
    w.step++
    applySingle(w, rules, single, touched, failing)
  }
  // Supervisors hear of failures when all of them have happened.
  for (const { cause, place } of failing) failed(w, rules, place, cause)
}

const applySingle = (
  w: World,
  rules: Rules,
  single: SingleStep,
  touched: Set<string>,
  failing: Array<{ readonly place: Place; readonly cause: string }>
): void => {
  switch (single.do) {
    case "advance":
      return advance(w, rules, w.now + single.ms)
    case "crash":
      return withIdle(w, single.path, touched, (place) => {
        emit(w, { event: "failed", path: place.path, cause: single.error })
        failing.push({ place, cause: single.error })
      })
    case "end":
      return withIdle(w, single.path, touched, (place) =>
        exit(w, rules, place, single.reason === "normal" ? "normal" : "shutdown(own)")
      )
    case "busy":
      return withIdle(w, single.path, touched, (place) => {
        place.busyUntil = w.now + single.ms
        setTimer(w, { at: place.busyUntil, what: "idle", place: place.number, key: place.run })
      })
    case "kill":
    case "stop":
      return end(w, rules, single.do, single.path)
    default:
      return ask(w, single)
  }
}

/** What a failure means to the worker itself: `resume` is the end of it. */
const failed = (w: World, rules: Rules, place: Place, cause: string): void => {
  if (place.spec.kind !== "worker" || place.life !== "up") return
  if (rules.ends.directiveFor(place.spec, cause) === "resume") return
  exit(w, rules, place, `failed(${cause})`)
}

/** A worker takes part in a step at most once, and only when it has nothing else to do. */
const withIdle = (w: World, path: string, touched: Set<string>, use: (place: Place) => void): void => {
  const place = liveWorker(w, path)
  if (place === undefined || place.life !== "up" || place.busyUntil > w.now || touched.has(path)) {
    return answer(w, w.step, "not-there")
  }
  touched.add(path)
  use(place)
}

const liveWorker = (w: World, path: string): Place | undefined =>
  w.places.find((place) => place.path === path && place.spec.kind === "worker" && place.life !== "down")

const end = (w: World, rules: Rules, how: "kill" | "stop", path: string): void => {
  const worker = liveWorker(w, path)
  if (worker !== undefined && how === "kill") return killPlace(w, rules, worker)
  const s = findSupervisor(w, path)
  if (s?.supervising === undefined) return answer(w, w.step, "not-there")
  if (s.final) return answer(w, w.step, "not-running")
  if (isDown(s)) return answer(w, w.step, s.lastEnd ?? "shutdown")
  s.supervising.waiting = [...s.supervising.waiting, w.step]
  if (how === "kill") return killPlace(w, rules, s)
  endSupervisor(w, s, "shutdown")
}

/** Without a tree that has been up there is nobody to ask. */
const findSupervisor = (w: World, path: string): Place | undefined =>
  w.seen[placeAt(w, 0).path] === true ? findListed(w, path) : undefined

type Asking = Exclude<SingleStep, { do: "advance" | "crash" | "end" | "busy" | "kill" | "stop" }>

/** R39: a supervisor that is gone, or stands still, answers at once; one that is being started answers when it is up. */
const ask = (w: World, asking: Asking): void => {
  const s = findSupervisor(w, asking.path)
  if (s?.supervising === undefined) return answer(w, w.step, "not-there")
  if (s.final || (isDown(s) && s.state === "stopped")) return answer(w, w.step, "not-running")
  const request = requestOf(w, asking)
  if (request === undefined) return answer(w, w.step, "not-there")
  s.supervising.inbox.push({ about: "request", step: w.step, request })
  wake(w, s)
}

const requestOf = (w: World, asking: Asking): Request | undefined => {
  if (asking.do !== "terminate-dynamic") return asking
  // The last that was there: a ref stays good for as long as its place.
  const place = w.places.findLast(({ path, run }) => path === asking.child && run > 0)
  return place === undefined ? undefined : { do: asking.do, place: place.number }
}

// --- Time ---

const advance = (w: World, rules: Rules, until: number): void => {
  run(w, rules)
  while (true) {
    w.timers = w.timers.filter((timer) => isLive(w, timer))
    const at = Math.min(...w.timers.map((timer) => timer.at))
    if (!(at <= until)) break
    const due = w.timers.filter((timer) => timer.at === at)
    if (due.length > 1) w.ambiguous = true
    w.timers = w.timers.filter((timer) => timer !== due[0])
    w.now = at
    expire(w, rules, due[0]!)
    run(w, rules)
  }
  w.now = until
}

const isLive = (w: World, { key, place, what }: Timer): boolean => {
  const p = placeAt(w, place)
  if (what === "attempt") return p.token === key
  return p.run === key && p.life === (what === "init" ? "init" : "up")
}

// --- How it looks ---

export const view = (w: World): View => {
  const root = placeAt(w, 0)
  const alive = w.places.filter((place) => place.spec.kind === "worker" && place.life === "up")
  return {
    t: w.now,
    root: isDown(root) ? "stopped" : "running",
    supervisors: isDown(root) ? [] : supervisorViews(w, root),
    alive: alive.map(({ path }) => path).sort(),
    ended: { ...w.ended }
  }
}

const supervisorViews = (w: World, s: Place): ReadonlyArray<SupervisorView> => {
  const { config, times } = supervisorAt(s)
  const children = childrenOf(w, s)
  const expires = counting(times, w.now, config.intensity)
  const supervisors = children.filter(({ spec }) => spec.kind !== "worker")
  const own: SupervisorView = {
    path: s.path,
    specs: children.length,
    active: children.filter(({ state }) => state === "running").length,
    supervisors: supervisors.length,
    workers: children.length - supervisors.length,
    used: expires.length,
    left: Math.max(0, config.intensity.restarts - expires.length),
    expires: expires.map((time) => time + config.intensity.within - w.now),
    children: children.map((child) => ({
      id: child.spec.id,
      kind: child.spec.kind === "worker" ? "worker" : "supervisor",
      state: child.state,
      restart: restartOf(child.spec),
      significant: isSignificant(child.spec),
      run: child.run,
      restarts: child.restarts,
      next: child.next === undefined ? null : child.next - w.now
    }))
  }
  return [own, ...supervisors.filter((child) => !isDown(child)).flatMap((child) => supervisorViews(w, child))]
}
