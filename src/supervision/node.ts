/**
 * A running supervisor: an actor of the engine whose messages are the ends of its children and what is asked of it.
 *
 * Deciding, acting and budgeting are apart: `Restart`, `Strategy`, `Directive` and `Intensity` decide, this file acts.
 *
 * Invariants:
 * 1. One thing at a time: children start, stop and restart in turns of the supervisor's own slot, so nothing interleaves. Only
 *    where children are restarted `together` they take their time beside these turns; what comes of it is decided in one.
 * 2. An end that the supervisor asked for is never looked at as news (R13); neither is one of an earlier run (R2, R3).
 * 3. When it has ended, none of its children runs, however it ended.
 * 4. A pending attempt is void as soon as its child is stopped, tried, or forgotten.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { stopSlot } from "../actor/stopping.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import type { Incarnation } from "../runtime/incarnation.ts"
import { ActorContext } from "../runtime/incarnation.ts"
import { type Owner, Slot } from "../runtime/slot.ts"
import { NO_HANDLERS } from "../runtime/turns.ts"
import * as AutoShutdown from "./AutoShutdown.ts"
import { causeOf, Child, placeOf, type Supervising } from "./child.ts"
import type { ChildState } from "./childState.ts"
import { asNode, type SpecImpl, type SpecNode, type SupervisorTarget } from "./ChildSpec.ts"
import * as Directive from "./Directive.ts"
import { Escalated, RestartIntensityExceeded, StartFailed } from "./errors.ts"
import { dependents, startOrder } from "./graph.ts"
import { Window } from "./Intensity.ts"
import { Reporter } from "./report.ts"
import * as Restart from "./Restart.ts"
import { isNow, start, type Started } from "./starting.ts"
import * as Strategy from "./Strategy.ts"
import type { Tree } from "./tree.ts"

/** What a turn of the supervisor answers: nothing, or an effect that it waits for. */
type Turn = undefined | Effect.Effect<unknown, unknown>

/** A graph has been checked for circles, so that there is an order. */
const inOrder = ({ children, graph }: SupervisorTarget): ReadonlyArray<SpecImpl> =>
  graph ? (startOrder(children.map(asNode)) as ReadonlyArray<SpecNode>).map(({ spec }) => spec) : children

const byId = (children: ReadonlyArray<Child>): Map<string, Child> =>
  new Map(children.map((child) => [child.spec.id, child]))

/** @internal */
export class SupervisorNode implements Supervising {
  spec: SpecImpl
  readonly slot: Slot
  readonly tree: Tree
  /** By id, in start order. */
  children: Map<string, Child>
  window: Window
  private target: SupervisorTarget
  /** Those each incarnation starts with. */
  private declared: ReadonlyArray<Child>
  /** A configuration that its parent was given while it ran: it holds from its next start on. */
  private pending: SpecImpl | undefined = undefined
  private readonly nodes = new Map<Child, SupervisorNode>()
  private readonly reporter: Reporter
  private killed = false
  /** What it provides besides its children. */
  service: unknown = undefined

  constructor(spec: SpecImpl, owner: Owner, parentPath: string, tree: Tree) {
    this.spec = spec
    this.tree = tree
    this.target = spec.target as SupervisorTarget
    this.slot = new Slot(
      tree.system,
      {
        name: spec.id,
        tags: [],
        declares: () => false,
        init: () => this.boot as never,
        members: () => Array.from(this.children.values(), ({ slot }) => slot),
        stopInterrupts: true,
        killStopping: () => this.killChildren()
      },
      owner,
      tree.base,
      parentPath,
      spec.id
    )
    this.reporter = new Reporter(this.slot)
    this.window = new Window(this.target.intensity)
    this.declared = inOrder(this.target).map((child) => this.make(child, tree, true))
    this.children = byId(this.declared)
    const { provides } = this.target
    if (provides === undefined) return
    this.service = provides.make(this as never)
    tree.provide(provides.key, this.service)
  }

  get path(): string {
    return this.slot.path
  }

  get isDynamic(): boolean {
    return this.target.dynamic
  }

  get autoShutdown(): AutoShutdown.AutoShutdown {
    return this.target.autoShutdown
  }

  /** The child that lives at this place, if it is one of these. */
  childOf({ owner }: Slot): Child | undefined {
    return owner instanceof Child && this.children.get(owner.spec.id) === owner ? owner : undefined
  }

  nodeOf(child: Child): SupervisorNode | undefined {
    return this.nodes.get(child)
  }

  /** Takes in a child behind the others, without starting it. */
  adopt(spec: SpecImpl, tree: Tree): Child {
    const child = this.make(spec, tree, false)
    this.children.set(spec.id, child)
    return child
  }

  private make(spec: SpecImpl, tree: Tree, declared: boolean): Child {
    if (spec.kind !== "supervisor") {
      return new Child(spec, this, tree, declared, (owner) => placeOf(spec, owner, this.path, tree))
    }
    let node: SupervisorNode | undefined
    const child = new Child(spec, this, tree, declared, (owner) => {
      node = new SupervisorNode(spec, owner, this.path, tree)
      return node.slot
    })
    this.nodes.set(child, node!)
    return child
  }

  /** Forgets a child that has ended: its place is over for good. */
  forget(child: Child, reason: ExitReason.ExitReason = child.slot.lastEnd ?? ExitReason.Shutdown()): void {
    child.cancel()
    // Out of the list before anybody is told of its end.
    if (this.children.get(child.spec.id) === child) this.children.delete(child.spec.id)
    this.finish(child, reason)
    const node = this.nodes.get(child)
    if (!child.declared) this.nodes.delete(child)
    // What it was told while it ran is forgotten with it: should it start again, then as it was declared.
    else if (node !== undefined) node.pending = child.spec
  }

  /** Ends the places of a child, and of everything below it, for good. */
  finish(child: Child, reason: ExitReason.ExitReason): void {
    if (!child.slot.isDown) return this.killThenFinish(child)
    child.state = "stopped"
    this.nodes.get(child)?.finishChildren(reason)
    child.slot.finish(reason)
  }

  /** A supervisor that is killed in the middle of its own stop leaves children that still run. */
  private killThenFinish(child: Child): void {
    child.asked = true
    child.slot.onceDown((reason) => this.finish(child, reason))
    child.slot.kill()
  }

  /** It is killed in the middle of its own stop: what it waits for is killed, and what comes after. */
  private killChildren(): void {
    this.killed = true
    const running = Array.from(this.children.values(), (child) => ({ child, run: child.slot.incarnations })).reverse()
    for (const { child, run } of running) {
      // With the last of them the stop is over, and the next run may have begun.
      if (child.slot.isDown || child.slot.incarnations !== run) continue
      child.asked = true
      child.slot.kill()
    }
  }

  /** Those that no pending attempt will start any more stay down: whoever waits for them is told so. */
  settleStopped(): void {
    const coming = new Set<Child>()
    for (const child of this.children.values()) {
      if (child.state === "restarting") for (const member of this.groupOf(child)) coming.add(member)
    }
    for (const child of this.children.values()) {
      if (child.state !== "stopped" || child.slot.isEnded || coming.has(child)) continue
      this.finish(child, child.slot.lastEnd ?? ExitReason.Shutdown())
    }
  }

  /** All that are left end for good, each with the reason of its own last end. */
  finishChildren(reason: ExitReason.ExitReason): void {
    for (const child of this.children.values()) this.finish(child, child.slot.lastEnd ?? reason)
  }

  // --- Its own life ---

  private readonly boot = Effect.gen({ self: this }, function* () {
    const { incarnation } = yield* ActorContext
    this.begin(incarnation)
    yield* Effect.addFinalizer(() => this.stopAll)
    for (const child of this.children.values()) {
      const started = start(child)
      const exit = isNow(started) ? started : yield* started
      if (Exit.isFailure(exit)) return yield* this.startFailed(child, exit.cause)
      if (!exit.value && child.spec.restart === "temporary") this.forget(child, ExitReason.Normal)
    }
    return NO_HANDLERS
  })

  /** Each incarnation starts from the declared children and an empty window (R19). */
  private begin(incarnation: Incarnation): void {
    this.killed = false
    if (this.pending !== undefined) this.configure(this.pending, this.tree)
    incarnation.onEnd((reason) => {
      this.killed = reason._tag === "Killed"
    })
    if (incarnation.number > 1) {
      for (const child of this.children.values()) {
        if (!child.declared) this.forget(child)
      }
      this.children = byId(this.declared)
    }
    this.window = new Window(this.target.intensity)
  }

  private startFailed(child: Child, cause: Cause.Cause<unknown>): Effect.Effect<never, StartFailed<unknown>> {
    const inner = cause.reasons.find(Cause.isFailReason)?.error
    // The innermost failure already says where and why.
    if (inner instanceof StartFailed) return Effect.fail(inner)
    return Effect.fail(new StartFailed({ path: this.path, child: child.spec.id, cause: cause as Cause.Cause<never> }))
  }

  /** Static children stop one after another, the last first; dynamic ones all at once (R31). */
  private readonly stopAll: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    const together: Array<Effect.Effect<void>> = []
    for (const child of [...this.children.values()].reverse()) {
      const stopping = this.stop(child) ?? Effect.void
      // These never come back: whoever waits for one is told when it ends, not when all have.
      if (this.target.dynamic) together.push(Effect.map(stopping, () => this.forget(child)))
      else yield* stopping
    }
    yield* Effect.all(together, { concurrency: "unbounded", discard: true })
  })

  // --- What children tell ---

  childFailed(child: Child, cause: Cause.Cause<unknown>): "resume" | "restart" | "stop" {
    const directive = this.directive(child, cause)
    if (directive === "resume") {
      this.reporter.failed(child, ExitReason.Failed(cause), "resumed")
      return "resume"
    }
    child.directive = directive
    return directive === "restart" && child.spec.restart !== "temporary" ? "restart" : "stop"
  }

  private directive(child: Child, cause: Cause.Cause<unknown>): Directive.Directive {
    try {
      return Directive.ensure(Directive.decide(child.spec.onFailure, cause))
    } catch (defect) {
      // A decision that crashes must not take the system along: it counts as "do not know", so upwards it goes.
      this.reporter.failed(child, ExitReason.Failed(Cause.die(defect)), "its onFailure crashed")
      return "escalate"
    }
  }

  childEnded(child: Child, reason: ExitReason.ExitReason): void {
    if (!this.slot.isUp) {
      child.state = "stopped"
      return
    }
    child.failed(reason)
    child.state = "restarting"
    this.inTurn(child, () => this.ended(child, reason))
  }

  /** Does something in a turn of its own, unless the child has moved on by then. */
  private inTurn(child: Child, work: () => Turn): void {
    const { incarnation } = this.slot
    const unchanged = child.unchanged()
    this.slot.post(() => (this.slot.incarnation === incarnation && unchanged() ? work() : undefined))
  }

  private ended(child: Child, reason: ExitReason.ExitReason): Turn {
    const { directive } = child
    child.directive = undefined
    if (directive === "escalate") return this.escalate(child, causeOf(reason))
    const decided = directive === "stop" ? "keep" : Restart.decide(child.spec.restart, reason)
    const forgets = this.target.dynamic || child.spec.restart === "temporary"
    const decision = decided === "keep" && forgets ? "forget" : decided
    this.reporter.ended(child, reason, decision)
    switch (decision) {
      case "restart":
        return this.restart(child, reason)
      case "keep":
        this.finish(child, reason)
        break
      case "forget":
        this.forget(child, reason)
    }
    // Those that only its restart would have started have nobody left to wait for.
    if (this.target.strategy !== "one-for-one") this.settleStopped()
    return this.endedForGood(child)
  }

  /** Ended by itself and not restarted: for a significant child that may be the end of the supervisor (R40). */
  private endedForGood(child: Child): undefined {
    if (!child.spec.significant) return
    const others: Array<ChildState> = []
    for (const other of this.children.values()) {
      if (other !== child && other.spec.significant) others.push(other.state)
    }
    if (!AutoShutdown.decide(this.target.autoShutdown, others)) return
    this.reporter.autoShutdown(child)
    this.slot.stop(ExitReason.Shutdown())
  }

  private escalate(child: Child, cause: Cause.Cause<unknown>): Turn {
    this.reporter.failed(child, ExitReason.Failed(cause), "escalated")
    return Exit.fail(new Escalated({ path: this.path, child: child.spec.id, cause }))
  }

  // --- Restart ---

  /** One entry of the budget for each attempt that is asked for (R15). */
  private restart(child: Child, reason: ExitReason.ExitReason): Turn {
    if (!this.window.record(this.slot.system.timers.now())) return this.giveUp(child, reason, "intensity")
    child.restarts++
    if (!child.delays) {
      this.reporter.restarting(child, 0, reason)
      return this.attempt(child)
    }
    return Effect.flatMap(child.nextDelay(reason), (delay) => this.restartAfter(child, reason, delay))
  }

  private restartAfter(child: Child, reason: ExitReason.ExitReason, delay: number | undefined) {
    if (delay === undefined) return this.giveUp(child, reason, "backoff") ?? Effect.void
    this.reporter.restarting(child, delay, reason)
    child.schedule(delay, () => this.inTurn(child, () => this.attempt(child)))
    return this.stopGroup(child)
  }

  private giveUp(child: Child, reason: ExitReason.ExitReason, limit: "intensity" | "backoff"): Turn {
    const { restarts, within } = this.window
    child.state = "stopped"
    this.reporter.gaveUp(child, reason, limit, this.window)
    const error = new RestartIntensityExceeded({
      path: this.path,
      child: child.spec.id,
      limit,
      restarts,
      within,
      cause: causeOf(reason)
    })
    this.slot.stop(ExitReason.Shutdown(error))
    return undefined
  }

  /** Starts a child again and, by strategy, those that share its fate. */
  private attempt(child: Child): Turn {
    child.cancel()
    if (this.target.strategy !== "one-for-one") return this.attemptGroup(child)
    const started = start(child)
    if (isNow(started)) return this.attempted(child, started)
    const over = (exit: Started) => this.inTurn(child, () => this.attempted(child, exit))
    if (this.target.together) return child.startBeside(started, over)
    return Effect.flatMap(started, (exit) => this.attempted(child, exit) ?? Effect.void)
  }

  private attemptGroup(child: Child): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function* () {
      yield* this.stopGroup(child)
      for (const member of this.groupOf(child)) {
        member.cancel()
        const exit = yield* this.start(member)
        const next = this.attempted(member, exit)
        if (next !== undefined) yield* next
        if (Exit.isSuccess(exit)) continue
        // One that is tried again begins the rest of the group anew; one that is told to stop is left out.
        if (member.state !== "stopped") break
        // Its end may be the supervisor's, which interrupts here.
        yield* Effect.yieldNow
      }
    })
  }

  private attempted(child: Child, exit: Started): Turn {
    if (Exit.isSuccess(exit)) return this.restarted(child)
    const reason = ExitReason.Failed(exit.cause)
    child.failed(reason)
    const directive = this.directive(child, exit.cause)
    if (directive === "escalate") return this.escalate(child, exit.cause)
    if (directive === "stop") {
      if (this.target.dynamic) this.forget(child, reason)
      else this.finish(child, reason)
      return this.endedForGood(child)
    }
    child.state = "restarting"
    // Behind whatever waits: a child that cannot start must not keep the supervisor from anything else (R24).
    this.inTurn(child, () => this.restart(child, reason))
    return undefined
  }

  private restarted(child: Child): undefined {
    // Left out: one that comes and goes is not kept (R7).
    if (child.state === "stopped" && this.target.dynamic) this.forget(child)
    return child.state === "running" ? this.reporter.restarted(child) : undefined
  }

  /** All that share the child's fate, it among them, in start order. */
  private groupOf(child: Child): ReadonlyArray<Child> {
    const children = [...this.children.values()]
    if (this.target.graph && this.target.strategy === "rest-for-one") {
      const nodes = children.map(({ spec }) => asNode(spec))
      const affected = new Set(dependents(nodes, nodes[children.indexOf(child)]!).map(({ spec }) => spec))
      return children.filter(({ spec }) => affected.has(spec))
    }
    const { from, to } = Strategy.range(this.target.strategy, children.indexOf(child), children.length)
    return children.slice(from, to)
  }

  /** Stops, last first, all that share the child's fate; temporary ones are forgotten (R21, R22). */
  private stopGroup(child: Child): Effect.Effect<void> {
    if (this.target.strategy === "one-for-one") return Effect.void
    return Effect.gen({ self: this }, function* () {
      for (const member of [...this.groupOf(child)].reverse()) {
        if (member === child && member.slot.isDown) continue
        const stopping = this.stop(member)
        if (stopping !== undefined) yield* stopping
        if (member.spec.restart !== "temporary" || member === child) continue
        this.forget(member)
      }
    })
  }

  // --- Configuration ---

  /** Takes a new configuration, checked before. What runs is not touched; new children are added without being started. */
  configure(spec: SpecImpl, tree: Tree): void {
    this.pending = undefined
    this.spec = spec
    this.target = spec.target as SupervisorTarget
    this.window = this.window.resized(this.target.intensity, this.slot.system.timers.now())
    const undeclared = new Map(this.children)
    this.declared = inOrder(this.target).map((next) => {
      const known = this.children.get(next.id)
      undeclared.delete(next.id)
      return known === undefined ? this.makeStopped(next, tree) : this.respec(known, next)
    })
    for (const child of undeclared.values()) child.declared = false
    this.children = byId([...this.declared, ...undeclared.values()])
    if (this.service !== undefined) this.target.provides?.update?.(this.service as never)
  }

  /** A place that nothing runs in until somebody starts it. */
  private makeStopped(spec: SpecImpl, tree: Tree): Child {
    const child = this.make(spec, tree, true)
    this.finish(child, ExitReason.Shutdown())
    return child
  }

  private respec(child: Child, spec: SpecImpl): Child {
    child.respec(spec)
    child.declared = true
    const node = this.nodes.get(child)
    if (node !== undefined) node.pending = spec
    return child
  }

  // --- Starting and stopping one child ---

  /** Starts a child; `false` when its `when` left it out. */
  start(child: Child): Effect.Effect<Started> {
    const started = start(child)
    return isNow(started) ? Exit.succeed(started) : started
  }

  /** Asks a child to stop and kills it when its time is up (R30). `undefined`: it has ended already. */
  stop(child: Child): Effect.Effect<void> | undefined {
    child.cancel()
    const { slot, spec } = child
    if (slot.isDown) {
      child.state = "stopped"
      return undefined
    }
    const limit = this.killed ? "kill" : spec.shutdown
    // Asked already, and reported by whoever asked first.
    if (child.state === "stopping") return Effect.asVoid(stopSlot(slot, ExitReason.Shutdown(), limit))
    child.asked = true
    child.state = "stopping"
    if (limit !== "kill") slot.stop(ExitReason.Shutdown())
    // Most are idle and hold nothing, so that they have ended by now.
    if (slot.isDown) {
      this.stopped(child, slot.lastEnd!, limit)
      return undefined
    }
    slot.onceDown((reason) => this.stopped(child, reason, limit))
    return Effect.asVoid(stopSlot(slot, ExitReason.Shutdown(), limit))
  }

  private stopped(child: Child, reason: ExitReason.ExitReason, limit: number | "kill"): void {
    child.asked = false
    child.state = "stopped"
    this.reporter.stopped(child, reason, limit)
  }
}
