/**
 * A child of a running supervisor: its spec, its place, and what the supervisor remembers about it between restarts.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { make as makeRef } from "../actor/ActorRef.ts"
import { implOf } from "../actor/Behavior.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import { type Owner, Slot } from "../runtime/slot.ts"
import { Timer } from "../runtime/timers.ts"
import { NO_HANDLERS, type Program } from "../runtime/turns.ts"
import { Steps } from "./Backoff.ts"
import type { SpecImpl, Target } from "./ChildSpec.ts"
import type { ChildState, Failure } from "./childState.ts"
import type { Directive } from "./Directive.ts"
import type { Tree } from "./tree.ts"

/**
 * What a child tells its supervisor.
 *
 * @internal
 */
export interface Supervising {
  childFailed(child: Child, cause: Cause.Cause<unknown>): "resume" | "restart" | "stop"
  childEnded(child: Child, reason: ExitReason.ExitReason): void
}

/** How many failures of a child are remembered. */
const REMEMBERED = 16

const NONE: ReadonlyArray<Failure> = []

/** @internal */
export class Child implements Owner {
  spec: SpecImpl
  readonly slot: Slot
  /** Where its services come from. */
  readonly tree: Tree
  /** Declared in the tree, not added while it ran. */
  declared: boolean
  state: ChildState = "stopped"
  /** Its end was asked for by the supervisor, so it is no news. */
  asked = false
  /** What was decided about the failure that is ending it. */
  directive: Directive | undefined = undefined
  restarts = 0
  failuresInRow = 0
  /** Its last failures, the latest last; each but the latest led to a restart. */
  failures: ReadonlyArray<Failure> = NONE
  /** Monotonic milliseconds of the attempt it waits for. */
  nextAttempt: number | undefined = undefined
  /** A start that takes its time beside the supervisor's turns. */
  private starting: Fiber.Fiber<unknown> | undefined = undefined
  private steps: Steps | undefined
  /** Monotonic milliseconds. */
  startedAt = 0
  private timer: Timer | undefined = undefined
  /** Changes whenever what was pending no longer holds. */
  private epoch = 0
  private readonly supervisor: Supervising

  constructor(spec: SpecImpl, supervisor: Supervising, tree: Tree, declared: boolean, place: (owner: Owner) => Slot) {
    this.spec = spec
    this.supervisor = supervisor
    this.tree = tree
    this.declared = declared
    this.slot = place(this)
    this.steps = stepsOf(spec)
  }

  /** Takes a new spec, which holds from its next start or stop on. */
  respec(spec: SpecImpl): void {
    this.spec = spec
    this.steps = stepsOf(spec)
    if (spec.kind !== "supervisor") this.slot.program = programOf(spec, this.tree)
  }

  get lastFailure(): ExitReason.ExitReason | undefined {
    return this.failures[this.failures.length - 1]?.reason
  }

  onFailure(_: Slot, cause: Cause.Cause<unknown>): "resume" | "restart" | "stop" {
    return this.supervisor.childFailed(this, cause)
  }

  restartsAfterKill(): boolean {
    return !this.asked && this.spec.restart !== "temporary"
  }

  onEnded(_: Slot, reason: ExitReason.ExitReason): void {
    if (!this.asked) this.supervisor.childEnded(this, reason)
  }

  get delays(): boolean {
    return this.steps !== undefined
  }

  started(): void {
    this.state = "running"
    this.startedAt = this.slot.system.timers.now()
  }

  /** Counts a failure; one after healthy running starts a new row. */
  failed(reason: ExitReason.ExitReason): void {
    const ran = this.slot.system.timers.now() - this.startedAt
    const resetAfter = this.spec.backoff?.resetAfter ?? 30_000
    if (this.state === "running" && ran >= resetAfter) this.failuresInRow = 0
    if (this.state === "running") this.steps?.ranFor(ran)
    this.failuresInRow++
    const at = Context.get(this.tree.base, Clock.Clock).currentTimeMillisUnsafe()
    this.failures = [...this.failures.slice(1 - REMEMBERED), { at, reason }]
  }

  /** Milliseconds until the next attempt, or `undefined` when its schedule says to give up. */
  nextDelay(reason: ExitReason.ExitReason): Effect.Effect<number | undefined> {
    return Effect.clockWith((clock) => this.steps!.next(clock.currentTimeMillisUnsafe(), causeOf(reason)))
  }

  /** Waits for its start without keeping others waiting; calls back unless the child is stopped, or tried, before. */
  startBeside<A>(start: Effect.Effect<A>, started: (result: A) => void): undefined {
    this.starting = this.tree.system.runFork(Effect.map(start, started))
  }

  /** Calls back after a delay unless the child is stopped, or tried, before. */
  schedule(millis: number, attempt: () => void): void {
    this.cancel()
    this.state = "restarting"
    const { timers } = this.slot.system
    this.timer = new Timer(attempt)
    timers.add(this.timer, millis)
    this.nextAttempt = this.timer.due
  }

  cancel(): void {
    this.epoch++
    this.directive = undefined
    this.nextAttempt = undefined
    if (this.timer !== undefined) this.slot.system.timers.remove(this.timer)
    this.timer = undefined
    this.starting?.interruptUnsafe()
    this.starting = undefined
  }

  /** Whether nothing has changed since it was asked for. */
  unchanged(): () => boolean {
    const { epoch } = this
    const { incarnations } = this.slot
    return () => this.epoch === epoch && this.slot.incarnations === incarnations
  }
}

/** The cause that a failure's reason carries. @internal */
export const causeOf = (reason: ExitReason.ExitReason): Cause.Cause<unknown> => {
  const exit = ExitReason.toExit(reason)
  return Exit.isFailure(exit) ? exit.cause : Cause.empty
}

const stepsOf = ({ backoff }: SpecImpl): Steps | undefined => (backoff === undefined ? undefined : new Steps(backoff))

/** Makes the place of a child that is not a supervisor. @internal */
export const placeOf = (spec: SpecImpl, owner: Owner, path: string, tree: Tree): Slot => {
  const { target } = spec
  if (target._tag !== "actor") return new Slot(tree.system, programOf(spec, tree), owner, tree.base, path, spec.id)
  const behavior = implOf(target.behavior)
  const slot = behavior.place(tree.system, owner, tree.base, path, spec.id)
  const ref = makeRef(slot, behavior.compiled)
  if (target.provides) tree.provide(behavior.key.key, ref)
  return slot
}

const programOf = (spec: SpecImpl, tree: Tree): Program => {
  const target = spec.target as Exclude<Target, { readonly _tag: "supervisor" }>
  switch (target._tag) {
    case "actor":
      return implOf(target.behavior).program(undefined)
    case "service":
      return layerProgram(target.layer, tree)
    case "effect":
      return effectProgram(target.effect)
  }
}

const declaresNothing = { name: "", tags: [], declares: () => false }

/** Runs beside an empty mailbox; its success is a normal end, and a stop interrupts it. */
const effectProgram = (effect: Effect.Effect<unknown, unknown>): Program => ({
  ...declaresNothing,
  init: (incarnation) => {
    const { turn } = incarnation
    const slot = incarnation.host as Slot
    const ended = (exit: Exit.Exit<unknown, unknown>) => {
      if (slot.incarnation !== incarnation) return
      if (Exit.isSuccess(exit)) slot.stop(ExitReason.Normal)
      else slot.failBeside(incarnation, exit.cause, turn.item, undefined)
    }
    slot.continueWith(() => {
      // The fiber's own end: what is no effect ends it without running what was to follow.
      incarnation.runBeside(effect, turn.item, undefined).addObserver(ended)
    })
    return Exit.succeed(NO_HANDLERS)
  }
})

/** Builds the layer in the incarnation's scope, with a memo of its own: a restart must not get the dead one's services. */
const layerProgram = (layer: Layer.Layer<unknown, unknown>, tree: Tree): Program => ({
  ...declaresNothing,
  init: ({ scope }) =>
    Effect.map(Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), scope), (services) => {
      tree.merge(services as Context.Context<never>)
      return NO_HANDLERS
    })
})
