/**
 * Random scripts, the same for the same seed.
 */
import type { Actor, Script, Spec, Step, Supervisor } from "./script.ts"
import { isSupervisor } from "./script.ts"

type Pick = <A>(items: ReadonlyArray<A>) => A

/** A generator of whole numbers below a bound (mulberry32). */
const below = (seed: number) => (bound: number) => {
  seed = (seed + 0x6d2b79f5) >>> 0
  let x = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
  return Math.floor((((x ^ (x >>> 14)) >>> 0) / 2 ** 32) * bound)
}

const RESTARTS = ["permanent", "transient", "temporary"] as const
const STRATEGIES = ["one-for-one", "one-for-all", "rest-for-one"] as const
const MODES = ["never", "never", "any-significant", "all-significant"] as const
const DIRECTIVES = ["restart", "restart", "restart", "restart", "resume", "stop", "escalate"] as const

class Random {
  readonly number: (bound: number) => number
  constructor(seed: number) {
    this.number = below(seed)
  }
  readonly pick: Pick = (items) => items[this.number(items.length)]!
  chance(percent: number): boolean {
    return this.number(100) < percent
  }

  actor(id: string, mode: Supervisor["autoShutdown"]): Actor {
    const restart = this.pick(RESTARTS)
    return {
      id,
      restart,
      significant: mode !== "never" && restart !== "permanent" && this.chance(60),
      onFailure: this.pick(DIRECTIVES),
      failStarts: this.chance(20) ? [2 + this.number(3)] : this.chance(3) ? [1] : []
    }
  }

  supervisor(id: string, depth: number, mode: Supervisor["autoShutdown"]): Supervisor {
    const restart = this.pick(RESTARTS)
    const autoShutdown = this.pick(MODES)
    return {
      id,
      restart,
      significant: mode !== "never" && restart !== "permanent" && this.chance(50),
      strategy: this.pick(STRATEGIES),
      autoShutdown,
      restarts: this.number(4),
      within: 1_000 * (1 + this.number(10)),
      children: Array.from({ length: 1 + this.number(4) }, (_, i): Spec => {
        const name = "abcde"[i]!
        return depth > 1 && this.chance(35)
          ? this.supervisor(name, depth - 1, autoShutdown)
          : this.actor(name, autoShutdown)
      })
    }
  }

  step(tree: Supervisor, paths: ReadonlyArray<string>): Step {
    const path = this.pick(paths)
    const supervisors = paths.filter((each) => {
      const spec = specAt(tree, each)
      return spec === undefined || isSupervisor(spec)
    })
    switch (this.number(17)) {
      case 0:
        return { do: "end", path }
      case 1:
        return { do: "shutdown", path }
      case 2:
        return { do: "kill", path }
      case 3:
      case 4:
        return { do: "advance", millis: this.pick([1, 999, 1_000, 1_001, 5_000, 20_000]) }
      case 5:
        return { do: "terminate", path }
      case 6:
        return { do: "restart", path }
      case 7:
        return { do: "delete", path }
      case 8: {
        const to = this.pick(supervisors)
        const spec = specAt(tree, to)
        const mode = spec !== undefined && isSupervisor(spec) ? spec.autoShutdown : "never"
        return {
          do: "add",
          path: to,
          child: this.actor(this.pick(["a", "b", "x", "y"]), this.chance(80) ? mode : "any-significant")
        }
      }
      case 9: {
        const to = this.pick(supervisors)
        const spec = specAt(tree, to)
        if (spec === undefined || !isSupervisor(spec)) return { do: "crash", path }
        return { do: "reconfigure", path: to, to: this.reconfigured(spec) }
      }
      case 10:
        return this.chance(20) ? { do: "stop" } : { do: "crash", path }
      default:
        return { do: "crash", path }
    }
  }

  /** The same supervisor with other settings, some children gone and some new. */
  private reconfigured(spec: Supervisor): Supervisor {
    const next = this.supervisor(spec.id, 1, "never")
    const kept = spec.children.filter(() => this.chance(75))
    const changed = kept.map((child) => (isSupervisor(child) ? child : this.actor(child.id, next.autoShutdown)))
    const legal = changed.filter((child) => !child.significant || next.autoShutdown !== "never")
    return {
      ...next,
      restart: spec.restart,
      significant: spec.significant,
      children: [...legal, this.actor("n", next.autoShutdown)]
    }
  }
}

const specAt = (tree: Supervisor, path: string): Spec | undefined => {
  const [root, ...ids] = path.split("/")
  let spec: Spec | undefined = root === tree.id ? tree : undefined
  for (const id of ids)
    spec = spec !== undefined && isSupervisor(spec) ? spec.children.find((child) => child.id === id) : undefined
  return spec
}

const pathsOf = (spec: Spec, parent: string): ReadonlyArray<string> => {
  const path = parent === "" ? spec.id : `${parent}/${spec.id}`
  return isSupervisor(spec) ? [path, ...spec.children.flatMap((child) => pathsOf(child, path))] : [path]
}

/** The seed of one history among those of a seed. */
export const seedOf = (seed: number, history: number): number => seed * 1_000_003 + history

/** A tree up to three supervisors deep, and up to fourteen things that happen to it. */
export const randomScript = (seed: number): Script => {
  const random = new Random(seed)
  const tree: Supervisor = { ...random.supervisor("top", 3, "never"), restart: "permanent", significant: false }
  const paths = [...pathsOf(tree, ""), "top/x", "top/n"]
  const inner = paths.filter((path) => path !== "top")
  const steps = Array.from({ length: 1 + random.number(14) }, () => {
    const step = random.step(tree, random.chance(90) ? inner : paths)
    // What happens to the root is a stop, and a stop is a step of its own.
    return "path" in step && step.path === "top" && step.do !== "add" && step.do !== "reconfigure"
      ? ({ do: "stop" } as const)
      : step
  })
  return { tree, steps }
}
