/**
 * A consumer that starts a child for each event: as many run at once as it may have asked for.
 */
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Actor from "../actor/Actor.ts"
import { ActorContext, slotOf } from "../actor/ActorContext.ts"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Behavior } from "../actor/Behavior.ts"
import * as DynamicSupervisor from "../supervision/DynamicSupervisor.ts"
import * as Supervisor from "../supervision/Supervisor.ts"
import { ask } from "./stageCalls.ts"
import { defineStage } from "./stageDefinition.ts"
import type { SubscribeOptions, Subscription } from "./stageSubscription.ts"
import type { ConsumerClass, Emitter, Needs } from "./stageTypes.ts"

/**
 * Whom to take events from: `maxDemand` is how many children may run for them at a time, restarting ones among them.
 *
 * @category models
 * @since 0.1.0
 */
export type ChildUpstream<In> =
  | Emitter<In>
  | (Omit<SubscribeOptions<In>, "demand" | "cancel" | "delivery"> & { readonly to: Emitter<In> })

/**
 * How children are kept alive, and where their events come from. A child holds its place until it has ended for good, so a
 * `permanent` one is not possible. Default `transient`: restarted when it fails.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConsumerSupervisorOptions<E, S> extends Omit<
  DynamicSupervisor.DynamicOptions<E>,
  "restart" | "maxChildren"
> {
  readonly subscribeTo: S
  readonly restart?: "transient" | "temporary"
}

/**
 * A consumer supervisor class: the service key of its children, the same calls as a dynamic supervisor's, and the maker of its
 * child spec.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConsumerSupervisorClass<Self, A, In>
  extends Context.Key<Self, DynamicSupervisor.Shape<A, In>>, DynamicSupervisor.Shape<A, In, Self> {
  new (_: never): {}
  /** The supervisor as a child of a tree; its children are started with their event. */
  child<E, R, const S extends ReadonlyArray<ChildUpstream<In>>>(
    behavior: Behavior<A, In, E, R>,
    options: ConsumerSupervisorOptions<E, S>
  ): Supervisor.ChildSpec<Self, E, R | Needs<S>>
}

/** What is known of a subscription beyond the runs of the intake. */
interface Places {
  /** Children that have ended and were not replaced. */
  free: number
}

interface Children {
  readonly start: (event: unknown) => Effect.Effect<ActorRef<unknown>, Error>
}

class Intake {}

/** @internal */
export const defineConsumerSupervisor = (id: string, actor: Context.Key<unknown, ActorRef<unknown>>): unknown => {
  const base = DynamicSupervisor.Service<Children, unknown>()(id, actor)
  const ofTemplate = base.child
  const IntakeStage = defineStage(`${id}/intake`, { consumes: true, emits: false }, {}, {}) as ConsumerClass<
    Intake,
    string,
    unknown,
    {}
  >
  const child = (
    behavior: Behavior<unknown, unknown, unknown, unknown>,
    options: ConsumerSupervisorOptions<unknown, ReadonlyArray<ChildUpstream<unknown>>>
  ) => {
    const { subscribeTo, ...each } = options
    const intake = IntakeStage.behavior(Effect.map(base as unknown as Effect.Effect<Children>, takeIn), {
      subscribeTo: subscribeTo.map(asManual)
    })
    return Supervisor.make(id, {
      children: [ofTemplate(behavior, { restart: "transient", ...each }), Supervisor.child(intake)]
    } as never)
  }
  return Object.assign(base, { child })
}

/** Children outlive the producer, so the intake does. */
const asManual = (upstream: ChildUpstream<unknown>) => {
  const options = "to" in upstream ? upstream : { to: upstream }
  return { ...options, demand: "manual", cancel: "temporary" } as const
}

/** Subscriptions outlive runs of the intake, and so does what is known of them. */
const known = new WeakMap<Subscription, Places>()

const placesOf = (subscription: Subscription): Places | undefined => known.get(subscription)

const takeIn = (children: Children) => {
  const freed = (subscription: Subscription) =>
    Effect.suspend(() => {
      const places = placesOf(subscription)!
      if (++places.free < subscription.maxDemand - subscription.minDemand) return Effect.void
      const { free } = places
      places.free = 0
      return ask(subscription, free)
    })
  const leftOver = (event: unknown, cause: Cause.Cause<unknown>) =>
    Effect.map(ActorContext, (turn) => {
      const slot = slotOf(turn)
      slot.system.deadLetter(slot, slot.path, "Emit", { events: [event] }, undefined, { _tag: "NotStarted", cause })
    })
  const begin = (event: unknown, subscription: Subscription | undefined) => {
    const over = subscription === undefined ? Effect.void : freed(subscription)
    return Effect.matchCauseEffect(children.start(event), {
      onSuccess: (ref) => Actor.watch(ref, () => over),
      onFailure: (cause) => Effect.andThen(leftOver(event, cause), over)
    })
  }
  return {
    subscribed: (subscription: Subscription) => {
      if (placesOf(subscription) !== undefined) return undefined
      known.set(subscription, { free: 0 })
      return ask(subscription, subscription.maxDemand)
    },
    // From nobody: dead letters that are replayed, which nobody's demand counts.
    events: (events: ReadonlyArray<unknown>, subscription: Subscription | undefined) =>
      Effect.forEach(events, (event) => begin(event, subscription), { discard: true })
  }
}
