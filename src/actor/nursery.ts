/**
 * The actors spawned into one Scope: they end with it, the last one first, and nobody restarts them.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as ExitReason from "../runtime/ExitReason.ts"
import type { Owner, Slot } from "../runtime/slot.ts"
import { stopSlot } from "./stopping.ts"

/** How long an actor that is to end may take before it is killed. @internal */
export const SHUTDOWN_MILLIS = 5_000

const nurseries = new WeakMap<Scope.Scope, Nursery>()

/** @internal */
export class Nursery implements Owner {
  private readonly slots = new Set<Slot>()
  private readonly scope: Scope.Scope
  private readonly context: Context.Context<never>

  /** The nursery of a scope; made, and tied to the scope's end, when the first actor is spawned into it. */
  static of(scope: Scope.Scope, context: Context.Context<never>): Nursery {
    const existing = nurseries.get(scope)
    if (existing !== undefined) return existing
    const nursery = new Nursery(scope, context)
    nurseries.set(scope, nursery)
    Effect.runSync(Scope.addFinalizer(scope, nursery.stopAll))
    return nursery
  }

  /** The actors that live in a scope. */
  static membersOf(scope: Scope.Scope): ReadonlyArray<Slot> {
    return [...(nurseries.get(scope)?.slots ?? [])]
  }

  constructor(scope: Scope.Scope, context: Context.Context<never>) {
    this.scope = scope
    this.context = context
  }

  /** What is started into a scope that has closed ends at once. */
  get isClosed(): boolean {
    return this.scope.state._tag === "Closed"
  }

  adopt(slot: Slot): void {
    this.slots.add(slot)
  }

  release(slot: Slot): void {
    this.slots.delete(slot)
  }

  onFailure(slot: Slot, cause: Cause.Cause<unknown>): "stop" {
    const path = slot.path
    Effect.runForkWith(this.context)(
      Effect.annotateLogs(Effect.logError("an actor crashed and nobody supervises it", cause), { actor: path })
    )
    return "stop"
  }

  onEnded(slot: Slot, reason: ExitReason.ExitReason): void {
    this.slots.delete(slot)
    slot.finish(reason)
  }

  private readonly stopAll: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach([...this.slots].reverse(), (slot) => stopSlot(slot, ExitReason.Shutdown(), SHUTDOWN_MILLIS), {
      discard: true
    })
  )
}
