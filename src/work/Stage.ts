/**
 * Actors that pass events on at the pace of those who take them: a producer emits only what was asked for.
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Schema from "effect/Schema"
import type { ActorRef } from "../actor/ActorRef.ts"
import { slotOf } from "../actor/ActorRef.ts"
import type { AskError } from "../actor/AskError.ts"
import type { Protocol } from "../actor/Protocol.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import { coreOf, type DemandMode } from "./stageCore.ts"
import { defineStage, type machinery, refusalOf } from "./stageDefinition.ts"
import {
  checkSubscribeOptions,
  type SubscribeOptions,
  type Subscription,
  type SubscriptionImpl,
  SubscriptionRefused
} from "./stageSubscription.ts"
import type { ConsumerClass, Emitted, Fits, ProducerClass, ProducerConsumerClass, Taken } from "./stageTypes.ts"

/** Messages of its own, none of which is named as one that stages need. */
type Own<P> = P & { readonly [K in keyof P & keyof typeof machinery]: never }

export const Producer =
  <Self>() =>
  <const Id extends string, S extends Schema.Top, const P extends Protocol = {}>(
    id: Id,
    emits: S,
    messages?: Own<P>
  ): ProducerClass<Self, Id, S["Type"], P> =>
    defineStage(id, { consumes: false, emits: true }, { emits }, messages ?? {}) as never

export const Consumer =
  <Self>() =>
  <const Id extends string, S extends Schema.Top, const P extends Protocol = {}>(
    id: Id,
    takes: S,
    messages?: Own<P>
  ): ConsumerClass<Self, Id, S["Type"], P> =>
    defineStage(id, { consumes: true, emits: false }, { takes }, messages ?? {}) as never

export const ProducerConsumer =
  <Self>() =>
  <const Id extends string, I extends Schema.Top, O extends Schema.Top, const P extends Protocol = {}>(
    id: Id,
    schemas: { readonly takes: I; readonly emits: O },
    messages?: Own<P>
  ): ProducerConsumerClass<Self, Id, I["Type"], O["Type"], P> =>
    defineStage(id, { consumes: true, emits: true }, schemas, messages ?? {}) as never

interface Asks {
  readonly Attach: (payload: unknown) => Effect.Effect<SubscriptionImpl, AskError>
  readonly Confirm: (payload: unknown) => Effect.Effect<void, AskError | SubscriptionRefused>
}

interface Tells {
  readonly Ask: (payload: unknown) => Effect.Effect<void>
  readonly Cancel: (payload: unknown) => Effect.Effect<void>
  readonly SetDemand: (payload: DemandMode) => Effect.Effect<void>
}

const asks = (ref: ActorRef<never>): Asks => (ref as unknown as { readonly ask: Asks }).ask
const tells = (ref: ActorRef<never>): Tells => (ref as unknown as { readonly tell: Tells }).tell

export const subscribe = <C, A>(
  consumer: ActorRef<C>,
  options: SubscribeOptions<Taken<C>> & { readonly to: ActorRef<A> } & Fits<Emitted<A>, Taken<C>>
): Effect.Effect<Subscription, SubscriptionRefused | AskError> =>
  Effect.suspend(() => {
    const { to, ...rest } = options as SubscribeOptions & { readonly to: ActorRef<A> }
    checkSubscribeOptions(consumer.path, rest)
    return Effect.flatMap(asks(consumer as never).Attach({ to, options: rest }), (subscription) => {
      if (subscription.refusal !== undefined || slotOf(to).isEnded) return Effect.fail(refusalOf(subscription))
      return Effect.as(asks(to as never).Confirm(subscription), subscription)
    })
  })

export const cancel = (
  subscription: Subscription,
  reason: ExitReason.ExitReason = ExitReason.Normal
): Effect.Effect<void> =>
  Effect.suspend(() =>
    tells(subscription.producer as never).Cancel({ subscription, reason, continues: true, ended: false })
  )

export const ask: {
  (count: number): (subscription: Subscription) => Effect.Effect<void>
  (subscription: Subscription, count: number): Effect.Effect<void>
} = dual(
  2,
  (subscription: Subscription, count: number): Effect.Effect<void> =>
    Effect.suspend(() => tells(subscription.producer as never).Ask({ subscription, count, handled: 0 }))
)

export const setDemand = <A>(producer: ActorRef<A>, mode: "forward" | "accumulate"): Effect.Effect<void> =>
  Effect.suspend(() => tells(producer as never).SetDemand(mode))

export const buffered = <A>(producer: ActorRef<A>): Effect.Effect<number> =>
  Effect.sync(() => coreOf(slotOf(producer))?.outlet?.buffer.size ?? 0)
