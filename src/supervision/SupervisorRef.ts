/**
 * The handle of a running supervisor: what its children do, read without blocking, and the calls that manage them
 * (rules R37 to R39).
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"
import type { Behavior } from "../actor/Behavior.ts"
import { parseMillis } from "../actor/limit.ts"
import type { Status } from "../actor/ActorRef.ts"
import { stopSlot } from "../actor/stopping.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import type { Slot } from "../runtime/slot.ts"
import type { Child } from "./child.ts"
import { type ChildSpec, resolved, type Settings, settingsOf, toSpec } from "./ChildSpec.ts"
import { ChildConflict, ChildNotFound, invalid, type InvalidSpec, StartFailed, SupervisorNotRunning } from "./errors.ts"
import { type Budget, budgetOf } from "./Intensity.ts"
import type { SupervisorNode } from "./node.ts"
import { servicesOf } from "./provided.ts"
import { changeProblem } from "./reconfiguring.ts"
import { request, requestStart } from "./request.ts"
import { type ChildStatus, type Counts, countsOf, statusesOf } from "./status.ts"
import type { Tree } from "./tree.ts"
import { problemOf } from "./validate.ts"

/**
 * The handle of a running supervisor whose children provide `Out`.
 *
 * @category models
 * @since 0.1.0
 */
export interface SupervisorRef<in Out> {
  readonly path: string
  readonly status: Status
  /** The refs of its actors and the services of its layers; where several provide the same, that of the last. */
  readonly services: Context.Context<Out>
  /** Completes when it has ended for good. */
  readonly ended: Effect.Effect<ExitReason.ExitReason>
  /** All children in start order. Never waits. */
  readonly children: Effect.Effect<ReadonlyArray<ChildStatus>>
  readonly count: Effect.Effect<Counts>
  /** How many restarts it may still have, and when those before are forgotten. Never waits. */
  readonly budget: Effect.Effect<Budget>
  /**
   * Adds a child behind the others and starts it; gives what it provides. After a failed start, and after one that was
   * interrupted, nothing is kept.
   */
  startChild<O, E, R>(
    spec: ChildSpec<O, E, R> | Behavior<O, void, E, R>
  ): Effect.Effect<Context.Context<O>, StartFailed<E> | ChildConflict | InvalidSpec | SupervisorNotRunning, R>
  /** Stops a child and keeps its spec; a temporary one is forgotten. Voids a pending restart. */
  terminateChild(id: string): Effect.Effect<void, ChildNotFound | SupervisorNotRunning>
  /** Starts a child that is stopped; gives what it provides. */
  restartChild(
    id: string
  ): Effect.Effect<Context.Context<never>, ChildNotFound | ChildConflict | StartFailed<unknown> | SupervisorNotRunning>
  /** Forgets a child that is stopped. */
  deleteChild(id: string): Effect.Effect<void, ChildNotFound | ChildConflict | SupervisorNotRunning>
  /**
   * Takes a new configuration, made by `Supervisor.make` with the same id, as a whole or not at all (R44). Its settings
   * hold at once. Running children are not touched: a known id follows its new spec from its next start or stop on, a new
   * one is added without being started, and one that is left out stays until the supervisor itself is restarted.
   */
  reconfigure<O, E, R>(tree: ChildSpec<O, E, R>): Effect.Effect<void, InvalidSpec | SupervisorNotRunning, R>
  /** The spec of a child with its defaults filled in. */
  getChild(id: string): Effect.Effect<Settings, ChildNotFound>
  /** The handle of a supervisor among the children. */
  supervisor(id: string): Effect.Effect<SupervisorRef<never>, ChildNotFound>
  /** Stops the children in reverse order, then itself; waits until that is done. */
  readonly stop: Effect.Effect<ExitReason.ExitReason, SupervisorNotRunning>
  /** As `stop`, but kills it when the time is up. */
  stopWithin(limit: Duration.Input): Effect.Effect<ExitReason.ExitReason, SupervisorNotRunning | InvalidSpec>
  /** Ends it and everything below it by force. */
  readonly kill: Effect.Effect<ExitReason.ExitReason, SupervisorNotRunning>
}

/** @internal */
export class RefImpl implements SupervisorRef<unknown> {
  private readonly node: SupervisorNode

  constructor(node: SupervisorNode) {
    this.node = node
  }

  get "~slot"(): Slot {
    return this.node.slot
  }

  get path(): string {
    return this.node.path
  }
  get status(): Status {
    return this.node.slot.status
  }
  get services(): Context.Context<unknown> {
    return servicesOf(this.node)
  }
  get ended(): Effect.Effect<ExitReason.ExitReason> {
    return Effect.callback((resume) => Effect.sync(this.node.slot.watch((reason) => resume(Effect.succeed(reason)))))
  }
  readonly children = Effect.sync(() => statusesOf(this.node))
  readonly count = Effect.sync(() => countsOf(this.node))
  readonly budget = Effect.sync(() => budgetOf(this.node.window, this.node.slot.system.timers.now()))

  reconfigure<O, E, R>(next: ChildSpec<O, E, R>) {
    return Effect.contextWith((context: Context.Context<R>) =>
      this.request((): Effect.Effect<void, InvalidSpec> => {
        const { node } = this
        const tree = this.treeWith(context)
        const spec = resolved(toSpec(next), tree.base)
        const problem = changeProblem(node, spec)
        if (problem !== undefined) return Effect.fail(problem)
        return Effect.sync(() => {
          node.configure(spec, tree)
          node.settleStopped()
        })
      })
    ) as never
  }

  startChild<O, E, R>(child: ChildSpec<O, E, R> | Behavior<O, void, E, R>) {
    return Effect.contextWith((context: Context.Context<R>) =>
      requestStart(
        this.node,
        (start): Effect.Effect<Context.Context<O>, StartFailed<E> | ChildConflict | InvalidSpec> => {
          const { node } = this
          const tree = this.treeWith(context)
          const spec = resolved(toSpec(child), tree.base)
          const problem = node.isDynamic ? notById(node.path, spec) : problemOf(spec, node.path, node.autoShutdown)
          if (problem !== undefined) return Effect.fail(problem)
          const existing = node.children.get(spec.id)
          if (existing !== undefined) return Effect.fail(this.conflict(existing))
          const added = node.adopt(spec, tree)
          return Effect.flatMap(start(added), (exit) => {
            if (Exit.isFailure(exit)) {
              node.forget(added, added.slot.lastEnd ?? ExitReason.fromExit(exit))
              return Effect.fail(
                new StartFailed<E>({ path: node.path, child: spec.id, cause: exit.cause as Cause.Cause<E> })
              )
            }
            if (!exit.value && spec.restart === "temporary") node.forget(added, ExitReason.Normal)
            return Effect.succeed(node.tree.own as Context.Context<O>)
          })
        }
      )
    ) as never
  }

  terminateChild(id: string) {
    return this.withChild(id, (child) =>
      Effect.map(this.node.stop(child) ?? Effect.void, () => {
        const reason = child.slot.lastEnd ?? ExitReason.Shutdown()
        if (child.spec.restart === "temporary") this.node.forget(child, reason)
        else this.node.finish(child, reason)
        this.node.settleStopped()
      })
    )
  }

  restartChild(id: string) {
    return this.withChild(id, (child): Effect.Effect<Context.Context<never>, ChildConflict | StartFailed<unknown>> => {
      if (child.state !== "stopped") return Effect.fail(this.conflict(child))
      return Effect.flatMap(this.node.start(child), (exit) => {
        if (Exit.isSuccess(exit)) return Effect.succeed(this.node.tree.own)
        this.node.finish(child, child.slot.lastEnd ?? ExitReason.fromExit(exit))
        return Effect.fail(new StartFailed({ path: this.path, child: id, cause: exit.cause as Cause.Cause<unknown> }))
      })
    })
  }

  deleteChild(id: string) {
    return this.withChild(id, (child): Effect.Effect<void, ChildConflict> => {
      if (child.state !== "stopped") return Effect.fail(this.conflict(child))
      return Effect.sync(() => this.node.forget(child))
    })
  }

  getChild(id: string): Effect.Effect<Settings, ChildNotFound> {
    return Effect.map(this.find(id), (child) => settingsOf(child.spec))
  }

  supervisor(id: string): Effect.Effect<SupervisorRef<never>, ChildNotFound> {
    return Effect.flatMap(this.find(id), (child) => {
      const node = this.node.nodeOf(child)
      if (node === undefined) return Effect.fail(new ChildNotFound({ path: this.path, id, dynamic: false }))
      return Effect.succeed(new RefImpl(node) as unknown as SupervisorRef<never>)
    })
  }

  readonly stop = Effect.suspend(() => this.stopBy(Infinity))
  readonly kill = Effect.suspend(() => this.stopBy("kill"))

  stopWithin(limit: Duration.Input): Effect.Effect<ExitReason.ExitReason, SupervisorNotRunning | InvalidSpec> {
    const millis = parseMillis(limit)
    if (millis !== undefined) return this.stopBy(millis)
    return Effect.fail(invalid(this.path, "limit", limit, "must be a duration of 0 or more"))
  }

  private stopBy(limit: number | "kill"): Effect.Effect<ExitReason.ExitReason, SupervisorNotRunning> {
    const { slot } = this.node
    if (slot.isEnded) return Effect.fail(new SupervisorNotRunning({ path: this.path }))
    return stopSlot(slot, ExitReason.Shutdown(), limit)
  }

  private find(id: string): Effect.Effect<Child, ChildNotFound> {
    return Effect.suspend(() => {
      const { isDynamic: dynamic } = this.node
      const child = dynamic ? undefined : this.node.children.get(id)
      if (child !== undefined) return Effect.succeed(child)
      return Effect.fail(new ChildNotFound({ path: this.path, id: String(id), dynamic }))
    })
  }

  private treeWith<R>(context: Context.Context<R>): Tree {
    return this.node.tree.with(Context.omit(Tracer.ParentSpan)(context) as Context.Context<never>)
  }

  private conflict(child: Child): ChildConflict {
    const state = child.state === "stopped" ? "present" : child.state === "restarting" ? "restarting" : "running"
    return new ChildConflict({ path: this.path, id: child.spec.id, state })
  }

  private withChild<A, E>(
    id: string,
    use: (child: Child) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | ChildNotFound | SupervisorNotRunning> {
    return this.request(() => Effect.flatMap(this.find(id), use))
  }

  private request<A, E>(work: () => Effect.Effect<A, E>): Effect.Effect<A, E | SupervisorNotRunning> {
    return request(this.node, work)
  }
}

/** Children of a dynamic supervisor are started by its own service, which counts them. */
const notById = (path: string, spec: { readonly id: string }): InvalidSpec =>
  invalid(path, "child", spec.id, "must be started by the supervisor's own class")
