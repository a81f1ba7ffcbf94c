/**
 * Random trees: all strategies, restart types, budgets, directives and ways to start, as far as they are legal together.
 */
import type { Chance } from "./chance.ts"
import type { Attempt, AutoShutdown, DynamicSpec, Intensity, Spec, SupervisorSpec, WorkerSpec } from "./spec.ts"

/** How much a generator may use, so that what does not exist yet, or is looked at alone, can be left out. */
export interface Features {
  readonly significance: boolean
  readonly reconfiguration: boolean
  readonly dynamic: boolean
  /** Things that take time: slow starts, busy workers, delays. */
  readonly time: boolean
}

export const allFeatures: Features = { significance: true, reconfiguration: true, dynamic: true, time: true }

const WORKERS = ["a", "b", "c", "d", "e"]
const SUPERVISORS = ["p", "q", "r"]

/** Makes specs for one history. */
export class Trees {
  private readonly chance: Chance
  private readonly features: Features
  private dynamics = 0

  constructor(chance: Chance, features: Features) {
    this.chance = chance
    this.features = features
  }

  /** The whole tree. Its first start takes no time, so that there is somebody to ask. */
  root(): SupervisorSpec {
    return { ...this.supervisor("top", "never", 1, true), restart: "permanent", significant: false }
  }

  supervisor(id: string, mode: AutoShutdown, depth: number, prompt = false): SupervisorSpec {
    const { chance } = this
    const autoShutdown = this.mode()
    const children = this.children(autoShutdown, depth, prompt)
    return {
      kind: "supervisor",
      id,
      ...this.restart(mode),
      strategy: chance.pick(["one-for-one", "one-for-all", "rest-for-one"]),
      intensity: this.intensity(),
      autoShutdown,
      children
    }
  }

  mode(): AutoShutdown {
    if (!this.features.significance || this.chance.maybe(0.5)) return "never"
    return this.chance.pick(["any-significant", "all-significant"])
  }

  private children(mode: AutoShutdown, depth: number, prompt: boolean): ReadonlyArray<Spec> {
    const { chance } = this
    const count = depth === 1 ? chance.int(1, 5) : chance.int(0, 3)
    const workers = [...WORKERS]
    const supervisors = [...SUPERVISORS]
    return chance
      .list(count, () => {
        if (depth < 3 && chance.maybe(0.3)) return this.supervisor(supervisors.shift() ?? "s", mode, depth + 1, prompt)
        if (this.features.dynamic && chance.maybe(0.15)) return this.dynamic()
        return this.worker(workers.shift()!, mode, prompt)
      })
      .filter(({ id }, index, all) => all.findIndex((other) => other.id === id) === index)
  }

  dynamic(id = `dyn${++this.dynamics}`): DynamicSpec {
    return { kind: "dynamic", id, intensity: this.intensity(), maxChildren: this.chance.maybe(0.3) ? 2 : null }
  }

  intensity(): Intensity {
    return { restarts: this.chance.int(0, 3), within: 1_000 * this.chance.int(1, 10) }
  }

  private restart(mode: AutoShutdown): Pick<WorkerSpec, "restart" | "significant"> {
    const { chance } = this
    const restart = chance.weighted([
      [5, "permanent" as const],
      [3, "transient" as const],
      [2, "temporary" as const]
    ])
    return { restart, significant: mode !== "never" && restart !== "permanent" && chance.maybe(0.6) }
  }

  worker(id: string, mode: AutoShutdown, prompt: boolean): WorkerSpec {
    const { chance, features } = this
    return {
      kind: "worker",
      id,
      ...this.restart(mode),
      shutdown: chance.weighted<number | "kill">([
        [6, 5_000],
        [2, chance.int(20, 900)],
        [1, 0],
        [1, "kill"]
      ]),
      startTimeout: chance.maybe(0.1) ? chance.int(100, 900) : 5_000,
      onFailure: this.directives(),
      backoff: features.time && chance.maybe(0.15) ? this.backoff() : null,
      attempts: this.attempts(prompt)
    }
  }

  private directives(): WorkerSpec["onFailure"] {
    const { chance } = this
    if (chance.maybe(0.6)) return {}
    const directive = () =>
      chance.weighted([
        [3, "restart" as const],
        [2, "resume" as const],
        [2, "stop" as const],
        [1, "escalate" as const]
      ])
    return {
      ...(chance.maybe(0.7) ? { A: directive() } : undefined),
      ...(chance.maybe(0.3) ? { B: directive() } : undefined),
      ...(chance.maybe(0.3) ? { defect: directive() } : undefined)
    }
  }

  private backoff() {
    const min = this.chance.int(3, 700)
    return { min, max: min + this.chance.int(0, 2_000), resetAfter: this.chance.int(50, 3_000) }
  }

  private attempts(prompt: boolean): ReadonlyArray<Attempt> {
    const { chance } = this
    if (chance.maybe(0.5)) return []
    return chance.list(chance.int(1, 4), (index) => ({
      after: this.features.time && chance.maybe(0.15) && !(prompt && index === 0) ? chance.int(1, 1_500) : 0,
      result: chance.weighted<Attempt["result"]>([
        [prompt && index === 0 ? 40 : 4, "ok"],
        [0.6, "ignore"],
        [1, "A"],
        [0.5, "B"],
        [0.5, "defect"]
      ])
    }))
  }
}
