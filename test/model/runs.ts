/**
 * One run of one place: how it starts, stops and ends (R1, R2, R7, R9, R13, R30, R32), told to whoever waits for it.
 */
import type { Rules } from "./rules/all.ts"
import type { Failure, WorkerSpec } from "./spec.ts"
import { type Outcome, supervision } from "./supervision.ts"
import {
  answer,
  appeared,
  childrenOf,
  emit,
  isDown,
  parentOf,
  type Place,
  placeAt,
  setTimer,
  supervisorAt,
  type Timer,
  wake,
  type World
} from "./world.ts"

/** How a start went. */

/** What was pending about a place does not hold any more (R2, R27). */
export const voidPending = (p: Place): void => {
  p.token = 0
  p.next = undefined
}

/** Begins a run. Its supervisor hears of the outcome, at once or later. */
export const startPlace = (w: World, rules: Rules, p: Place): void => {
  voidPending(p)
  p.state = "starting"
  p.run++
  p.final = false
  p.asked = false
  if (p.spec.kind !== "worker") {
    supervision.boot(w, rules, p)
    return supervision.takeTurn(w, rules, p)
  }
  p.life = "init"
  p.busyUntil = 0
  appeared(w, p)
  emit(w, { event: "attempted", path: p.path, run: p.run })
  const { after } = attemptOf(p, p.spec)
  if (after <= 0) return initDone(w, rules, p)
  if (after === p.spec.startTimeout) w.ambiguous = true
  setTimer(w, { at: w.now + Math.min(after, p.spec.startTimeout), what: "init", place: p.number, key: p.run })
}

const attemptOf = (p: Place, { attempts }: WorkerSpec) => attempts[p.run - 1] ?? ({ after: 0, result: "ok" } as const)

/** R9: an init that is not over in time has failed. */
const initDone = (w: World, rules: Rules, p: Place): void => {
  const spec = p.spec as WorkerSpec
  const { after, result } = attemptOf(p, spec)
  if (after > 0 && after > spec.startTimeout) return notUp(w, rules, p, "shutdown", { cause: "start-timeout" })
  if (result === "ok") return started(w, rules, p, "up")
  if (result === "ignore") return notUp(w, rules, p, "normal", "ignored")
  notUp(w, rules, p, `failed(${result satisfies Failure})`, { cause: result })
}

const notUp = (w: World, rules: Rules, p: Place, lastEnd: string, outcome: Outcome): void => {
  p.life = "down"
  p.lastEnd = lastEnd
  started(w, rules, p, outcome)
}

/** R7: a start that was ignored is a success without a run. */
export const started = (w: World, rules: Rules, p: Place, outcome: Outcome): void => {
  if (outcome === "up") {
    p.life = "up"
    p.state = "running"
    p.startedAt = w.now
    appeared(w, p)
    emit(w, { event: "started", path: p.path, run: p.run })
  } else p.state = "stopped"
  // Nobody is there, and nobody will be unless it is asked for.
  if (outcome === "ignored") finish(w, p, "normal")
  const parent = parentOf(w, p)
  if (parent !== undefined) return supervision.childStarted(w, rules, parent, p, outcome)
  if (typeof outcome === "string") return answer(w, 0, "ok")
  rootEnded(w, p, `failed(${outcome.cause})`)
  answer(w, 0, outcome.cause)
}

/** R30: asks for the end of a run. Whether it has ended already. */
export const stopPlace = (w: World, rules: Rules, p: Place, limit: number | "kill"): boolean => {
  voidPending(p)
  if (isDown(p)) {
    p.state = "stopped"
    return true
  }
  const again = p.asked
  p.asked = true
  if (!again) p.limit = limit
  p.state = "stopping"
  if (p.supervising !== undefined) {
    if (limit === "kill") killPlace(w, rules, p)
    else supervision.endSupervisor(w, p, "shutdown")
    supervision.takeTurn(w, rules, p)
    return isDown(p)
  }
  if (p.life === "init") {
    exit(w, rules, p, limit === "kill" ? "killed" : "shutdown")
    return true
  }
  // One that has been asked before has no more time than it had.
  if (again && limit !== "kill") return false
  const { at, reason } = rules.ends.stopped(w.now, p.busyUntil, limit)
  if (at <= w.now) {
    exit(w, rules, p, reason)
    return true
  }
  if (limit !== "kill" && p.busyUntil === w.now + limit) w.ambiguous = true
  if (reason === "killed") setTimer(w, { at, what: "deadline", place: p.number, key: p.run })
  return false
}

/** The end by force: it cannot be refused, and nothing below is left (R35). */
export const killPlace = (w: World, rules: Rules, p: Place): void => {
  if (isDown(p)) return
  if (p.supervising === undefined) return exit(w, rules, p, "killed")
  p.supervising.killed = true
  supervision.endSupervisor(w, p, "killed")
  supervision.takeTurn(w, rules, p)
}

/** A worker is gone. */
export const exit = (w: World, rules: Rules, p: Place, reason: string): void => {
  const wasUp = p.life === "up"
  p.life = "down"
  if (wasUp) emit(w, { event: "exited", path: p.path, reason })
  ended(w, rules, p, reason, wasUp)
}

/** A run is over: told to whoever asked for it, or else to its supervisor as news (R13). */
export const ended = (w: World, rules: Rules, p: Place, reason: string, wasUp: boolean): void => {
  p.lastEnd = reason
  p.life = "down"
  const waiting = p.supervising?.waiting ?? []
  if (p.supervising !== undefined) p.supervising.waiting = []
  const parent = parentOf(w, p)
  if (parent === undefined) {
    if (wasUp) rootEnded(w, p, reason)
    else started(w, rules, p, { cause: rules.ends.causeOf(reason) })
  } else if (p.asked) askedEnd(w, rules, parent, p, reason)
  else if (wasUp) supervision.childEnded(w, rules, parent, p, reason)
  else started(w, rules, p, { cause: rules.ends.causeOf(reason) })
  for (const step of waiting) answer(w, step, reason)
}

const askedEnd = (w: World, rules: Rules, parent: Place, p: Place, reason: string): void => {
  p.asked = false
  p.state = "stopped"
  if (rules.ends.isShutdownError(reason, p.limit)) {
    emit(w, { event: "shutdown-error", path: parent.path, child: p.spec.id, reason })
  }
  if (p.terminating.length > 0) {
    forget(w, parent, p, reason)
    for (const step of p.terminating) answer(w, step, "ok")
    p.terminating = []
  }
  supervision.stopDone(w, parent, p)
}

/** Its place is over for good, with all that is below it; requests that wait there are refused (R39). */
export const finish = (w: World, p: Place, reason: string): void => {
  p.state = "stopped"
  if (p.final) return
  const { supervising } = p
  if (supervising !== undefined) {
    for (const child of childrenOf(w, p)) finish(w, child, child.lastEnd ?? reason)
    for (const notice of supervising.inbox) if (notice.about === "request") answer(w, notice.step, "not-running")
    supervising.inbox = []
  }
  p.final = true
  if ((p.run > 0 && w.seen[p.path] === true) || p.parent === undefined) w.ended[p.path] = reason
}

/** Its spec goes as well. One that is declared comes back with its supervisor, as it was declared. */
export const forget = (w: World, parent: Place, p: Place, reason: string): void => {
  voidPending(p)
  if (p.supervising !== undefined) p.supervising.newer = true
  const supervising = supervisorAt(parent)
  supervising.children = supervising.children.filter((number) => number !== p.number)
  finish(w, p, reason)
}

const rootEnded = (w: World, root: Place, reason: string): void => {
  finish(w, root, reason)
  emit(w, { event: "ended", path: root.path, reason })
}

/** A timer is due; it may belong to something that is over. */
export const expire = (w: World, rules: Rules, { at, key, place, what }: Timer): void => {
  const p = placeAt(w, place)
  switch (what) {
    case "init":
      if (p.run === key && p.life === "init") initDone(w, rules, p)
      return
    case "idle":
      if (p.run === key && p.life === "up" && p.busyUntil === at && p.asked) exit(w, rules, p, "shutdown")
      return
    case "deadline":
      if (p.run === key && p.life === "up" && p.asked) exit(w, rules, p, "killed")
      return
    case "attempt": {
      if (p.token !== key || p.parent === undefined) return
      const parent = placeAt(w, p.parent)
      supervisorAt(parent).inbox.push({ about: "attempt", place, token: key })
      wake(w, parent)
    }
  }
}
