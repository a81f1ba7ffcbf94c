/**
 * Models in which one rule is wrong. A comparison that cannot tell them from the right one proves nothing.
 */
import { type Rules, rules } from "./rules/all.ts"

const { admin, budget, ends, order, reconfiguration, significance, validity } = rules

export const wrong: Readonly<Record<string, Rules>> = {
  "R10 a transient child comes back after a normal end": {
    ...rules,
    ends: { ...ends, afterEnd: (restart) => (restart === "transient" ? "restart" : ends.afterEnd(restart, "normal")) }
  },
  "R10 a killed transient child stays down": {
    ...rules,
    ends: { ...ends, afterEnd: (restart, reason) => ends.afterEnd(restart, reason === "killed" ? "normal" : reason) }
  },
  "R10 a temporary child is kept": {
    ...rules,
    ends: {
      ...ends,
      afterEnd: (restart, reason) => (restart === "temporary" ? "keep" : ends.afterEnd(restart, reason))
    }
  },
  "directives: resume restarts": {
    ...rules,
    ends: {
      ...ends,
      directiveFor: (spec, cause) => {
        const directive = ends.directiveFor(spec, cause)
        return directive === "resume" ? "restart" : directive
      }
    }
  },
  "R15 an entry as old as the window does not count": {
    ...rules,
    budget: {
      ...budget,
      record: (times, now, intensity) => budget.record(times, now, { ...intensity, within: intensity.within - 1 })
    }
  },
  "R15 one restart more is allowed": {
    ...rules,
    budget: {
      ...budget,
      record: (times, now, intensity) => budget.record(times, now, { ...intensity, restarts: intensity.restarts + 1 })
    }
  },
  "R17 a restart costs nothing": {
    ...rules,
    budget: { ...budget, record: (times) => ({ times, allowed: true }) }
  },
  "R21 one-for-all stops only those after it": {
    ...rules,
    order: {
      ...order,
      group: (strategy, all, of) => order.group(strategy === "one-for-all" ? "rest-for-one" : strategy, all, of)
    }
  },
  "R21 a temporary member comes back with its group": { ...rules, order: { ...order, losesSpec: () => false } },
  "R22 the rest is stopped in the order of its start": {
    ...rules,
    order: { ...order, stopOrder: (members) => members }
  },
  "R22 the crashed child alone is restarted": {
    ...rules,
    order: { ...order, group: (_, __, of) => [of] }
  },
  "R28 delays do not grow": {
    ...rules,
    budget: { ...budget, delayAfter: (delays) => delays.min }
  },
  "R28 running well changes nothing": { ...rules, budget: { ...budget, ranWell: () => false } },
  "R30 a stop waits as long as it takes": {
    ...rules,
    ends: { ...ends, stopped: (now, busyUntil) => ends.stopped(now, busyUntil, Infinity) }
  },
  "R32 a brutal kill is an error": {
    ...rules,
    ends: { ...ends, isShutdownError: (reason) => reason === "killed" }
  },
  "R37 a running child is started again": {
    ...rules,
    admin: { ...admin, onRestart: (state) => (state === "running" ? "restarting" : admin.onRestart(state)) }
  },
  "R37 a stopped child cannot be terminated": {
    ...rules,
    admin: { ...admin, onTerminate: (state) => (state === "stopped" ? "not-found" : admin.onTerminate(state)) }
  },
  "R37 what is known can be added again": {
    ...rules,
    admin: { ...admin, onStart: (state) => (state === "stopped" ? "running" : admin.onStart(state)) }
  },
  "R40 any goes like all": {
    ...rules,
    significance: {
      endsSupervisor: (mode, others) =>
        significance.endsSupervisor(mode === "any-significant" ? "all-significant" : mode, others)
    }
  },
  "R40 all goes like any": {
    ...rules,
    significance: {
      endsSupervisor: (mode, others) =>
        significance.endsSupervisor(mode === "all-significant" ? "any-significant" : mode, others)
    }
  },
  "R42 everything is legal": { ...rules, validity: { ...validity, problemOf: () => undefined } },
  "R44 those that are left out are gone": {
    ...rules,
    reconfiguration: {
      reordered: (present, next) => reconfiguration.reordered(present, next).filter(({ listed }) => listed)
    }
  },
  "R44 new children come last": {
    ...rules,
    reconfiguration: {
      reordered: (present, next) =>
        reconfiguration
          .reordered(present, next)
          .toSorted((a, b) => Number(a.place === undefined) - Number(b.place === undefined))
    }
  }
}
