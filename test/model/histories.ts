/**
 * Random histories: steps that mean something in the state that the model is in, and now and then one that does not.
 */
import { Chance } from "./chance.ts"
import { start, step as modelStep } from "./model.ts"
import type { Script, SingleStep, Spec, Step, SupervisorSpec } from "./spec.ts"
import { allFeatures, type Features, Trees } from "./trees.ts"
import { childrenOf, isDown, type Place, supervisorAt, type World } from "./world.ts"

const LENGTH = 14

export const generate = (seed: number, features: Features = allFeatures): Script => {
  const chance = new Chance(seed)
  const trees = new Trees(chance, features)
  const tree = trees.root()
  const steps: Array<Step> = []
  let { world } = start(tree)
  const length = chance.int(1, LENGTH)
  while (steps.length < length) {
    const step = new Choices(chance, trees, features, world).step()
    steps.push(step)
    world = modelStep(world, step).world
    // A tree that has ended is asked a little more, then left in peace.
    if (isDown(world.places[0]!) && chance.maybe(0.6)) break
  }
  return { tree, steps }
}

/** What can be done next in a world. */
class Choices {
  private readonly chance: Chance
  private readonly trees: Trees
  private readonly features: Features
  private readonly world: World

  constructor(chance: Chance, trees: Trees, features: Features, world: World) {
    this.chance = chance
    this.trees = trees
    this.features = features
    this.world = world
  }

  step(): Step {
    return this.chance.maybe(0.08) ? this.together() : this.single()
  }

  private single(): SingleStep {
    const { reconfiguration, time } = this.features
    const choose = this.chance.weighted<() => SingleStep>([
      [14, () => this.advance()],
      [26, () => this.crash()],
      [9, () => this.end()],
      [time ? 7 : 0, () => this.busy()],
      [4, () => ({ do: "kill", path: this.anyWorker() })],
      [1.5, () => ({ do: "kill", path: this.anySupervisor().path })],
      [2.5, () => ({ do: "stop", path: this.anySupervisor().path })],
      [18, () => this.admin(this.anySupervisor())],
      [reconfiguration ? 4 : 0, () => this.reconfigure()]
    ])
    return choose()
  }

  /** One after another within a kind; which of two kinds is heard of first is nobody's business. */
  private together(): Step {
    const { chance } = this
    const supervisor = this.anySupervisor()
    const workers = childrenOf(this.world, supervisor).filter(({ spec }) => spec.kind === "worker")
    const paths = chance.shuffled(workers.map(({ path }) => path)).slice(0, chance.int(2, 3))
    const kind = chance.int(0, 2)
    if (kind === 2 || paths.length < 2) {
      return { do: "together", steps: chance.list(chance.int(2, 3), () => this.admin(supervisor)) }
    }
    const steps = paths.map((path): SingleStep => {
      if (kind === 0) return { do: "crash", path, error: chance.pick(["A", "B", "defect"]) }
      return { do: "end", path, reason: "normal" }
    })
    return { do: "together", steps }
  }

  private advance(): SingleStep {
    const { chance } = this
    const ms = chance.weighted([
      [3, chance.int(1, 100)],
      [5, chance.int(100, 2_000)],
      [2, 1_000 * chance.int(1, 10)]
    ])
    return { do: "advance", ms }
  }

  private crash(): SingleStep {
    return { do: "crash", path: this.anyWorker(), error: this.chance.pick(["A", "A", "B", "defect"]) }
  }

  private end(): SingleStep {
    return { do: "end", path: this.anyWorker(), reason: this.chance.pick(["normal", "shutdown"]) }
  }

  private busy(): SingleStep {
    return { do: "busy", path: this.anyWorker(), ms: this.chance.int(1, 2_500) }
  }

  private anyWorker(): string {
    const { chance, world } = this
    const alive = world.places.filter(({ life, spec }) => spec.kind === "worker" && life !== "down")
    if (alive.length > 0 && chance.maybe(0.95)) return chance.pick(alive).path
    return chance.pick(world.places).path
  }

  private anySupervisor(): Place {
    const { chance, world } = this
    const all = world.places.filter(({ supervising }) => supervising !== undefined)
    const up = all.filter((place) => !isDown(place))
    return up.length > 0 && chance.maybe(0.93) ? chance.pick(up) : chance.pick(all)
  }

  private admin(supervisor: Place): SingleStep {
    const { chance, trees, world } = this
    const { path } = supervisor
    const { config } = supervisorAt(supervisor)
    const children = childrenOf(world, supervisor)
    if (config.kind === "dynamic" && chance.maybe(0.9)) {
      if (children.length === 0 || chance.maybe(0.6)) {
        return { do: "start-dynamic", path, child: trees.worker("worker", "never", chance.maybe(0.6)) }
      }
      return { do: "terminate-dynamic", path, child: chance.pick(children).path }
    }
    // A dynamic supervisor has a way of its own to start children.
    if (config.kind === "dynamic") {
      return { do: chance.pick(["terminate-child", "restart-child", "delete-child"]), path, id: "worker#1" }
    }
    const id = children.length > 0 && chance.maybe(0.9) ? chance.pick(children).spec.id : "x"
    return chance.weighted<() => SingleStep>([
      [
        4,
        () => ({
          do: "start-child",
          path,
          child: this.child(config.autoShutdown)
        })
      ],
      [5, () => ({ do: "terminate-child", path, id })],
      [5, () => ({ do: "restart-child", path, id })],
      [2, () => ({ do: "delete-child", path, id })]
    ])()
  }

  private child(mode: SupervisorSpec["autoShutdown"]): Spec {
    const { chance, features, trees } = this
    const wild = features.significance && chance.maybe(0.1) ? "any-significant" : mode
    if (chance.maybe(0.15)) return trees.supervisor(chance.pick(["p", "q"]), wild, 3, chance.maybe(0.7))
    if (features.dynamic && chance.maybe(0.05)) return trees.dynamic()
    return trees.worker(chance.pick(["a", "b", "x", "y"]), wild, chance.maybe(0.6))
  }

  /** The configuration that is in force with something changed, legally or not. */
  private reconfigure(): SingleStep {
    const { chance, trees } = this
    const supervisor = this.anySupervisor()
    const { config } = supervisorAt(supervisor)
    const mode = chance.maybe(0.6) && config.kind === "supervisor" ? config.autoShutdown : trees.mode()
    const known = config.kind === "supervisor" ? config.children : []
    const kept = known.filter(() => chance.maybe(0.8)).map((child) => this.changed(child, mode))
    const added = chance.maybe(0.5) ? [this.child(mode)] : []
    const children = chance.maybe(0.3) ? chance.shuffled([...kept, ...added]) : [...kept, ...added]
    const fresh = trees.supervisor(supervisor.spec.id, "never", 3)
    const flags = config.kind === "supervisor" && chance.maybe(0.5) ? config : fresh
    return {
      do: "reconfigure",
      path: supervisor.path,
      tree: { ...flags, significant: false, restart: "permanent", id: supervisor.spec.id, autoShutdown: mode, children }
    }
  }

  private changed(child: Spec, mode: SupervisorSpec["autoShutdown"]): Spec {
    const { chance, trees } = this
    if (chance.maybe(0.5)) return this.legal(child, mode)
    switch (child.kind) {
      case "worker":
        return trees.worker(child.id, mode, chance.maybe(0.6))
      case "supervisor":
        return trees.supervisor(child.id, mode, 3, true)
      case "dynamic":
        return trees.dynamic(child.id)
    }
  }

  /** What is significant must stay legal under another mode, most of the time. */
  private legal(child: Spec, mode: SupervisorSpec["autoShutdown"]): Spec {
    if (child.kind === "dynamic" || mode !== "never" || this.chance.maybe(0.1)) return child
    return { ...child, significant: false }
  }
}
