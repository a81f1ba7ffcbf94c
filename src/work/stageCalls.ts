/**
 * What can be said to stages from outside: subscribe, ask, cancel, hold demand back.
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type { ActorRef } from "../actor/ActorRef.ts"
import { slotOf } from "../actor/ActorRef.ts"
import type { AskError } from "../actor/AskError.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import { type AttachMessage, coreOf, type DemandMode, post } from "./stageCore.ts"
import { refusalOf } from "./stageDefinition.ts"
import {
  checkSubscribeOptions,
  InvalidStageOption,
  type SubscribeOptions,
  type Subscription,
  type SubscriptionImpl,
  type SubscriptionRefused
} from "./stageSubscription.ts"
import type { Emitted, Fits, Taken } from "./stageTypes.ts"

interface Asks {
  readonly Attach: (payload: AttachMessage) => Effect.Effect<SubscriptionImpl, AskError>
  readonly Confirm: (payload: unknown) => Effect.Effect<void, AskError | SubscriptionRefused>
}

const asks = (ref: object): Asks => (ref as { readonly ask: Asks }).ask

/**
 * Subscribes a running consumer to a running producer. Completes when the producer has taken the subscription, which then
 * outlives restarts of both. Either may take as long as an ask may; where one does not answer in time, or the caller is
 * interrupted, there is no subscription.
 *
 * **Example** (Subscribed by hand)
 *
 * ```ts import.meta.vitest
 * import { Deferred, Effect, Schema } from "effect"
 * import { Actor, Stage } from "effect-otp"
 *
 * class Numbers extends Stage.Producer<Numbers>()("docs/Numbers", Schema.Int) {}
 * class First extends Stage.Consumer<First>()("docs/First", Schema.Int) {}
 *
 * const program = Effect.gen(function*() {
 *   const first = yield* Deferred.make<ReadonlyArray<number>>()
 *   const numbers = yield* Actor.spawn(Numbers.behavior(Effect.succeed(Numbers.of({
 *     demand: (count) => Array.from({ length: count }, (_, n) => n)
 *   }))))
 *   const consumer = yield* Actor.spawn(First.behavior(Effect.succeed(First.of({
 *     events: (batch) => Deferred.succeed(first, batch)
 *   }))))
 *   const subscription = yield* Stage.subscribe(consumer, { to: numbers, maxDemand: 4, cancel: "temporary" })
 *   const batch = yield* Deferred.await(first)
 *   yield* Stage.cancel(subscription)
 *   return batch
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [0, 1]
 * ```
 *
 * @category subscribing
 * @since 0.1.0
 */
export const subscribe = <C, A>(
  consumer: ActorRef<C>,
  options: SubscribeOptions<Taken<C>> & { readonly to: ActorRef<A> } & Fits<Emitted<A>, Taken<C>>
): Effect.Effect<Subscription, SubscriptionRefused | AskError> =>
  Effect.suspend(() => {
    const { to, ...rest } = options as unknown as SubscribeOptions & { readonly to: ActorRef<unknown> }
    checkSubscribeOptions(consumer.path, rest)
    const attempt: AttachMessage["attempt"] = { subscription: undefined }
    const attached = Effect.flatMap(asks(consumer).Attach({ to, options: rest, attempt }), (subscription) => {
      if (subscription.refusal !== undefined || slotOf(to).isEnded) return Effect.fail(refusalOf(subscription))
      return Effect.as(asks(to).Confirm(subscription), subscription)
    })
    return Effect.onError(attached, (cause) =>
      Effect.sync(() => {
        const isRefused = cause.reasons.some((reason) => reason._tag === "Fail" && reason.error._tag !== "AskError")
        if (attempt.subscription !== undefined && !isRefused) post(slotOf(consumer), "Detach", attempt.subscription)
      })
    )
  })

/**
 * Ends a subscription, for a reason: `ExitReason.Normal` if nothing is said. The consumer gets what is on its way first, and
 * then ends too unless its `cancel` says otherwise. Nothing happens when it is over already.
 *
 * @category subscribing
 * @since 0.1.0
 */
export const cancel = (
  subscription: Subscription,
  reason: ExitReason.ExitReason = ExitReason.Normal
): Effect.Effect<void> =>
  Effect.sync(() =>
    post(slotOf(subscription.producer), "Cancel", { subscription, reason, continues: true, ended: false })
  )

/**
 * Asks for more events on a subscription whose `demand` is `manual`: a whole number of 1 or more. Anything else is a defect,
 * `InvalidStageOption`.
 *
 * @category subscribing
 * @since 0.1.0
 */
export const ask: {
  (count: number): (subscription: Subscription) => Effect.Effect<void>
  (subscription: Subscription, count: number): Effect.Effect<void>
} = dual(2, (subscription: Subscription, count: number): Effect.Effect<void> =>
  Effect.sync(() => {
    const { consumer, demand, producer } = subscription
    const refuse = (field: string, value: unknown, problem: string): never => {
      throw new InvalidStageOption({ stage: consumer.path, field, value, problem })
    }
    if (!Number.isSafeInteger(count) || count < 1) {
      refuse("the count of Stage.ask", count, "must be a whole number of 1 or more")
    }
    if (demand !== "manual") refuse("demand", demand, "must be manual for Stage.ask, else it asks by itself")
    post(slotOf(producer), "Ask", { subscription, count, handled: 0 })
  })
)

/**
 * Holds back what consumers ask for from now on (`accumulate`), or lets all of it reach the producer, in order (`forward`): so
 * that several consumers of a broadcast begin together.
 *
 * @category subscribing
 * @since 0.1.0
 */
export const setDemand = <A extends { readonly "~emits": unknown }>(
  producer: ActorRef<A>,
  mode: "forward" | "accumulate"
): Effect.Effect<void> => Effect.sync(() => post(slotOf(producer), "SetDemand", mode satisfies DemandMode))

/**
 * What can be seen of a running stage.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  /** How many events it has emitted that nobody has asked for. */
  readonly buffered: number
  readonly demand: "forward" | "accumulate"
  /** Who takes its events, and how many more they have asked for. */
  readonly consumers: ReadonlyArray<{ readonly subscription: Subscription; readonly pending: number }>
  /** Whose events it takes, and how many more it has asked for by itself. */
  readonly producers: ReadonlyArray<{ readonly subscription: Subscription; readonly pending: number }>
}

/**
 * What a stage holds and whom it is connected with, as far as it is known now. Never waits.
 *
 * @category inspecting
 * @since 0.1.0
 */
export const status = <A>(stage: ActorRef<A>): Effect.Effect<Status> =>
  Effect.sync(() => {
    const core = coreOf(slotOf(stage))
    const consumers = [...(core?.outlet?.lines ?? [])]
    const producers = [...(core?.sources ?? [])]
    return {
      buffered: core?.outlet?.buffer.size ?? 0,
      demand: core?.mode ?? "forward",
      consumers: consumers.map(([subscription, { pending }]) => ({ subscription, pending })),
      producers: producers.map(([subscription, { expected }]) => ({ subscription, pending: expected }))
    }
  })
