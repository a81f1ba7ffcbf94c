/**
 * An init of plain code, run where the actor is started: no fiber, no Scope, no context.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import type * as ExitReason from "../runtime/ExitReason.ts"
import { ActorContext, type Incarnation } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import { type ActorRef, make as makeRef } from "./ActorRef.ts"
import type { Compiled } from "./Protocol.ts"

/**
 * What plain code may know of the actor that it starts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Own<A> {
  /** Its own ref. */
  readonly self: ActorRef<A>
  /** Runs when this incarnation ends, however it does, before anything it holds is released. It must not throw. */
  readonly onEnd: (listener: (reason: ExitReason.ExitReason) => void) => void
}

class OwnImpl implements Own<unknown> {
  private readonly incarnation: Incarnation
  private readonly compiled: Compiled
  constructor(incarnation: Incarnation, compiled: Compiled) {
    this.incarnation = incarnation
    this.compiled = compiled
  }
  get self(): ActorRef<unknown> {
    return makeRef(this.incarnation.host as Slot, this.compiled)
  }
  /** A property, so that it may be taken out of its object. */
  get onEnd(): Own<unknown>["onEnd"] {
    return (listener) => void this.incarnation.onEnd(listener)
  }
}

const TypeId = "~effect-otp/SyncInit"

interface SyncInit {
  readonly [TypeId]: typeof TypeId
  readonly compiled: Compiled
  readonly make: (own: Own<never>) => object
}

/** @internal */
export const isSyncInit = (init: object): init is SyncInit => TypeId in init

/** Makes the handlers in place. @internal */
export const runSyncInit = (init: SyncInit, incarnation: Incarnation): Exit.Exit<object> => {
  try {
    return Exit.succeed(init.make(new OwnImpl(incarnation, init.compiled) as Own<never>))
  } catch (defect) {
    return Exit.die(defect)
  }
}

/** As part of a larger effect it is an effect like any other. */
const SyncInitProto: object = Object.assign(
  Effectable.Prototype<Effect.Effect<object, never, ActorContext>>({
    label: "effect-otp/sync",
    evaluate(fiber) {
      const turn = Context.get(fiber.context as Context.Context<ActorContext>, ActorContext)
      return runSyncInit(this as unknown as SyncInit, turn.incarnation)
    }
  }),
  { [TypeId]: TypeId }
)

/** @internal */
export const syncInit = (compiled: Compiled, make: (own: Own<never>) => object): SyncInit =>
  Object.assign(Object.create(SyncInitProto), { compiled, make })
