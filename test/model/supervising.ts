/**
 * What a supervisor does: one thing after another, first what is on its agenda, then what waits in its inbox (R4, R6, R12,
 * R15 to R27, R31, R34, R40, R41).
 */
import { handleRequest } from "./requests.ts"
import type { Rules } from "./rules/all.ts"
import type { Directive } from "./spec.ts"
import { ended, finish, forget, started, startPlace, stopPlace, voidPending } from "./runs.ts"
import { type Outcome, supervision } from "./supervision.ts"
import { configure } from "./configuring.ts"
import {
  answer,
  childrenOf,
  emit,
  isDown,
  isSignificant,
  job,
  type Job,
  type Notice,
  type Place,
  placeAt,
  restartOf,
  setTimer,
  shutdownOf,
  supervisorAt,
  wake,
  type World
} from "./world.ts"

/** Goes on until it has to wait for something, or nothing is left. */
export const takeTurn = (w: World, rules: Rules, s: Place): void => {
  const supervising = supervisorAt(s)
  while (true) {
    const next = supervising.agenda[0]
    if (next !== undefined) {
      if (next.begun) return
      next.begun = true
      begin(w, rules, s, next)
      if (next.do === "up") return
      continue
    }
    if (supervising.at !== "up") return
    const notice = supervising.inbox.shift()
    if (notice === undefined) return
    handle(w, rules, s, notice)
  }
}

const begin = (w: World, rules: Rules, s: Place, next: Job): void => {
  const supervising = supervisorAt(s)
  const p = placeAt(w, next.place)
  switch (next.do) {
    case "start":
      return startPlace(w, rules, p)
    case "stop":
      if (stopPlace(w, rules, p, supervising.killed ? "kill" : shutdownOf(p.spec))) stopDone(w, s, p)
      return
    case "stop-together":
      return stopTogether(w, rules, s)
    case "start-group": {
      const group = rules.order.group(strategyOf(s), supervising.children, next.place)
      supervising.agenda.splice(0, 1, ...group.map((member) => job("start", member, { cause: "attempt" })))
      return
    }
    case "terminated":
      supervising.agenda.shift()
      return terminated(w, s, p, next.step)
    case "up":
      supervising.agenda.shift()
      supervising.at = "up"
      if (supervising.inbox.length > 0) {
        // Whoever waits for its start goes on as well.
        if (s.parent !== undefined) w.ambiguous = true
        wake(w, s)
      }
      return started(w, rules, s, "up")
    case "down":
      supervising.agenda.shift()
      return down(w, rules, s)
  }
}

const strategyOf = (s: Place) => {
  const { config } = supervisorAt(s)
  return config.kind === "dynamic" ? "one-for-one" : config.strategy
}

// --- Its own life ---

/** R4, R19: children start in order, from those that are declared and with an empty window. */
export const boot = (w: World, rules: Rules, s: Place): void => {
  const supervising = supervisorAt(s)
  if (supervising.newer && s.spec.kind !== "worker") configure(w, rules, s, s.spec)
  if (s.run > 1) {
    for (const child of childrenOf(w, s)) {
      if (!supervising.declared.includes(child.number)) forget(w, s, child, child.lastEnd ?? "shutdown")
    }
    supervising.children = supervising.declared
  }
  s.life = "init"
  supervising.times = []
  supervising.killed = false
  supervising.at = "booting"
  supervising.agenda = supervising.children.map((child) => job("start", child, { cause: "boot" }))
  supervising.agenda.push(job("up", s.number))
}

/** R6, R18, R31, R41: stops all, last first, then ends. What is under way is given up. */
export const endSupervisor = (w: World, s: Place, reason: string): void => {
  const supervising = supervisorAt(s)
  if (supervising.at === "down") return
  // Asked again it goes on as it does, unless it is killed.
  if (supervising.at === "stopping" && reason !== "killed") return
  for (const { step } of supervising.agenda) answer(w, step, "not-running")
  supervising.endReason = reason
  supervising.at = "stopping"
  supervising.inbox = supervising.inbox.filter(({ about }) => about === "request")
  const together = supervising.config.kind === "dynamic" && !supervising.killed
  supervising.agenda = together
    ? [job("stop-together", s.number)]
    : [...supervising.children].reverse().map((child) => job("stop", child, { loses: comesAndGoes(s) }))
  supervising.agenda.push(job("down", s.number))
  wake(w, s)
}

/** R31: dynamic children are all asked at once, and each is over for good when it has ended: it never comes back. */
const stopTogether = (w: World, rules: Rules, s: Place): void => {
  for (const child of [...childrenOf(w, s)].reverse()) {
    if (stopPlace(w, rules, child, shutdownOf(child.spec))) forget(w, s, child, child.lastEnd ?? "shutdown")
  }
  togetherDone(w, s)
}

const comesAndGoes = (s: Place): boolean => supervisorAt(s).config.kind === "dynamic"

const togetherDone = (w: World, s: Place): void => {
  const { agenda } = supervisorAt(s)
  if (agenda[0]?.do !== "stop-together" || !childrenOf(w, s).every(isDown)) return
  agenda.shift()
  wake(w, s)
}

const down = (w: World, rules: Rules, s: Place): void => {
  const supervising = supervisorAt(s)
  const wasUp = s.life === "up"
  supervising.at = "down"
  ended(w, rules, s, supervising.endReason, wasUp)
}

/** A child that was to be stopped has ended. */
export const stopDone = (w: World, s: Place, p: Place): void => {
  const { agenda } = supervisorAt(s)
  const first = agenda[0]
  if (first?.do === "stop" && first.begun && first.place === p.number) {
    agenda.shift()
    if (first.loses) forget(w, s, p, p.lastEnd ?? "shutdown")
    wake(w, s)
    return
  }
  if (first?.do === "stop-together") forget(w, s, p, p.lastEnd ?? "shutdown")
  togetherDone(w, s)
}

const terminated = (w: World, s: Place, p: Place, step: number): void => {
  const reason = p.lastEnd ?? "shutdown"
  if (restartOf(p.spec) === "temporary") forget(w, s, p, reason)
  else finish(w, p, reason)
  answer(w, step, "ok")
}

// --- What children tell ---

/** R12, R13: a child has ended by itself. Decided in its turn, unless nobody decides any more. */
export const childEnded = (w: World, rules: Rules, s: Place, p: Place, reason: string): void => {
  const supervising = supervisorAt(s)
  if (supervising.at !== "up" && supervising.at !== "booting") {
    p.state = "stopped"
    return
  }
  if (p.spec.kind === "worker" && rules.budget.ranWell(p.spec.backoff, w.now - p.startedAt)) p.row = 0
  p.state = "restarting"
  p.token = ++w.tokens
  const directive = directiveFor(rules, p, reason)
  supervising.inbox.push({ about: "ended", place: p.number, token: p.token, reason, directive })
  wake(w, s)
}

const handle = (w: World, rules: Rules, s: Place, notice: Notice): void => {
  if (notice.about === "request") return handleRequest(w, rules, s, notice.request, notice.step)
  const p = placeAt(w, notice.place)
  // R2, R3, R16: what is about an earlier run, or about a child that has been stopped since, is no news.
  if (p.token !== notice.token) return
  switch (notice.about) {
    case "ended":
      return decide(w, rules, s, p, notice)
    case "retry":
      return restart(w, rules, s, p, notice.reason)
    case "attempt":
      return attempt(w, rules, s, p)
  }
}

const directiveFor = (rules: Rules, p: Place, reason: string): Directive => {
  if (p.spec.kind !== "worker" || !reason.startsWith("failed(")) return "restart"
  return rules.ends.directiveFor(p.spec, rules.ends.causeOf(reason))
}

/** R10, and the directive that goes before it. */
const decide = (
  w: World,
  rules: Rules,
  s: Place,
  p: Place,
  { directive, reason }: Extract<Notice, { about: "ended" }>
): void => {
  if (directive === "escalate") return escalate(w, s, p, rules.ends.causeOf(reason))
  const decision = directive === "stop" ? "keep" : rules.ends.afterEnd(restartOf(p.spec), reason)
  if (decision === "restart") return restart(w, rules, s, p, reason)
  endedForGood(w, rules, s, p, reason)
}

/** R12: not restarted. Its spec stays, unless it is temporary or one of those that come and go; then R40. */
const endedForGood = (w: World, rules: Rules, s: Place, p: Place, reason: string): void => {
  const { config } = supervisorAt(s)
  voidPending(p)
  const forgets = config.kind === "dynamic" || rules.ends.afterEnd(restartOf(p.spec), reason) === "forget"
  if (forgets) forget(w, s, p, reason)
  else finish(w, p, reason)
  if (config.kind === "dynamic" || !isSignificant(p.spec)) return
  const others = childrenOf(w, s).filter((other) => other !== p && isSignificant(other.spec))
  const states = others.map(({ state }) => state)
  if (!rules.significance.endsSupervisor(config.autoShutdown, states)) return
  emit(w, { event: "auto-shutdown", path: s.path, child: p.spec.id })
  endSupervisor(w, s, "shutdown")
}

const escalate = (w: World, s: Place, p: Place, cause: string): void => {
  const escalated = `escalated(${p.path}: ${cause})`
  emit(w, { event: "failed", path: s.path, cause: escalated })
  endSupervisor(w, s, `failed(${escalated})`)
}

// --- Restart ---

/** R15: every attempt that is asked for is paid for; R18: when nothing is left, it gives up. */
const restart = (w: World, rules: Rules, s: Place, p: Place, reason: string): void => {
  const supervising = supervisorAt(s)
  const recorded = rules.budget.record(supervising.times, w.now, supervising.config.intensity)
  if (!recorded.allowed) return giveUp(w, rules, s, p, reason)
  supervising.times = recorded.times
  p.restarts++
  const backoff = p.spec.kind === "worker" ? p.spec.backoff : null
  if (backoff === null) {
    emit(w, { event: "restarting", path: p.path, delay: 0, reason })
    return attempt(w, rules, s, p)
  }
  const delay = rules.budget.delayAfter(backoff, p.row++)
  emit(w, { event: "restarting", path: p.path, delay, reason })
  // The group is stopped at once, and comes back together.
  p.token = ++w.tokens
  p.next = w.now + delay
  p.state = "restarting"
  setTimer(w, { at: p.next, what: "attempt", place: p.number, key: p.token })
  supervising.agenda.push(...stopGroup(w, rules, s, p))
}

const giveUp = (w: World, rules: Rules, s: Place, p: Place, reason: string): void => {
  voidPending(p)
  p.state = "stopped"
  emit(w, { event: "gave-up", path: s.path, child: p.spec.id, reason })
  endSupervisor(w, s, `shutdown(gave-up(${p.path}: ${rules.ends.causeOf(reason)}))`)
}

/** R20 to R22: stops the others of the group, last first, then starts all of it in order. */
const attempt = (w: World, rules: Rules, s: Place, p: Place): void => {
  voidPending(p)
  supervisorAt(s).agenda.push(...stopGroup(w, rules, s, p), job("start-group", p.number))
}

const stopGroup = (w: World, rules: Rules, s: Place, p: Place): ReadonlyArray<Job> => {
  const group = rules.order.group(strategyOf(s), supervisorAt(s).children, p.number)
  return rules.order
    .stopOrder(group)
    .filter((member) => member !== p.number || !isDown(p))
    .map((member) =>
      job("stop", member, {
        loses: member !== p.number && rules.order.losesSpec(restartOf(placeAt(w, member).spec))
      })
    )
}

/** A start is over: what that means depends on what it was for. */
export const childStarted = (w: World, rules: Rules, s: Place, p: Place, outcome: Outcome): void => {
  const { agenda } = supervisorAt(s)
  const first = agenda[0]
  // Nobody waits for it when the supervisor is on its way out.
  if (first?.do !== "start" || !first.begun || first.place !== p.number) return
  agenda.shift()
  wake(w, s)
  switch (first.cause) {
    case "boot":
      return booted(w, s, p, outcome)
    case "attempt":
      return attempted(w, rules, s, p, outcome)
    default:
      return startedOnRequest(w, s, p, outcome, first)
  }
}

/** R6: the first start of a child has failed, so that of its supervisor has. R7: an ignored temporary child is dropped. */
const booted = (w: World, s: Place, p: Place, outcome: Outcome): void => {
  if (outcome === "up") return
  if (outcome !== "ignored") return endSupervisor(w, s, `failed(${startFailed(s, p, outcome.cause)})`)
  if (restartOf(p.spec) === "temporary") forget(w, s, p, "normal")
}

/** The innermost failure already says where and why. */
const startFailed = (s: Place, p: Place, cause: string): string =>
  cause.startsWith("start-failed(") ? cause : `start-failed(${s.path}/${p.spec.id}: ${cause})`

/** R24 to R26: a failed attempt is tried again, behind what waits; what comes after it in its group is left stopped. */
const attempted = (w: World, rules: Rules, s: Place, p: Place, outcome: Outcome): void => {
  if (outcome === "up") return emit(w, { event: "restarted", path: p.path, run: p.run })
  if (outcome === "ignored") {
    // R7: one that comes and goes is not kept.
    if (comesAndGoes(s)) forget(w, s, p, "normal")
    return
  }
  const reason = `failed(${outcome.cause})`
  const directive = directiveFor(rules, p, reason)
  if (directive === "escalate") return escalate(w, s, p, outcome.cause)
  if (directive === "stop") return endedForGood(w, rules, s, p, reason)
  const supervising = supervisorAt(s)
  supervising.agenda = []
  p.state = "restarting"
  p.token = ++w.tokens
  supervising.inbox.push({ about: "retry", place: p.number, token: p.token, reason })
}

const startedOnRequest = (w: World, s: Place, p: Place, outcome: Outcome, { cause, step }: Job): void => {
  if (outcome === "up") return answer(w, step, "ok")
  if (outcome === "ignored") {
    // R7, R37: only a permanent or transient child of a plain supervisor is kept.
    if (cause === "start-dynamic" || (cause === "start-child" && restartOf(p.spec) === "temporary")) {
      forget(w, s, p, "normal")
    }
    return answer(w, step, "ok")
  }
  const reason = p.lastEnd ?? `failed(${outcome.cause})`
  if (cause === "restart-child") finish(w, p, reason)
  else forget(w, s, p, reason)
  answer(w, step, `start-failed(${s.path}/${p.spec.id}: ${outcome.cause})`)
}

Object.assign(supervision, { boot, childEnded, childStarted, endSupervisor, stopDone, takeTurn })
