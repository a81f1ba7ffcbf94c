/**
 * Stages of one function: what is made of each event, or done about it. All else is as for a behavior written out.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ActorContext } from "../actor/ActorContext.ts"
import type { Behavior, FailureOf, Options, ServicesOf } from "../actor/Behavior.ts"
import type { Protocol } from "../actor/Protocol.ts"
import { asEffect } from "./stageCore.ts"
import { InvalidStageOption } from "./stageSubscription.ts"
import type { EmittingOptions, Needs, Reply, TakingOptions, Upstream } from "./stageTypes.ts"

/**
 * How the events of a batch are worked on: one after the other unless `concurrency` says otherwise. A batch has
 * `maxDemand - minDemand` events at most, and the next one is there already when it is done.
 *
 * @category models
 * @since 0.1.0
 */
export interface EachOptions {
  readonly concurrency?: number | "unbounded"
}

/** Read off what the function returns: what else a context expects of the behavior is no candidate for it. */
type Services<A, S> = Exclude<ServicesOf<A>, Scope.Scope | ActorContext> | Needs<S>

/**
 * A producer-consumer without messages of its own can be one function.
 *
 * @category type-level
 * @since 0.1.0
 */
export type MapEach<Self, In, Out, P extends Protocol> = keyof P extends never
  ? {
      /** A behavior that emits what `f` makes of each event, in the order of the events. A failure of `f` ends the actor. */
      readonly map: <A extends Reply<Out>, const S extends ReadonlyArray<Upstream<In>> = ReadonlyArray<Upstream<In>>>(
        f: (event: In) => A,
        options?: Options<never> & TakingOptions<S> & EmittingOptions<Out> & EachOptions
      ) => Behavior<Self, void, FailureOf<A>, Services<A, S>>
    }
  : unknown

/**
 * A consumer without messages of its own can be one function.
 *
 * @category type-level
 * @since 0.1.0
 */
export type ForEach<Self, In, P extends Protocol> = keyof P extends never
  ? {
      /** A behavior that does something about each event, in order. A failure of `f` ends the actor. */
      readonly forEach: <A, const S extends ReadonlyArray<Upstream<In>> = ReadonlyArray<Upstream<In>>>(
        f: (event: In) => A,
        options?: Options<never> & TakingOptions<S> & EachOptions
      ) => Behavior<Self, void, FailureOf<A>, Services<A, S>>
    }
  : unknown

interface Stage {
  readonly key: string
  behavior(init: Effect.Effect<unknown>, options: object): unknown
}

/** The behavior of one function. @internal */
export const ofEach =
  (stage: Stage) =>
  (f: (event: unknown) => unknown, options: EachOptions & object = {}): unknown => {
    const { concurrency = 1, ...rest } = options
    if (concurrency !== "unbounded" && !(Number.isSafeInteger(concurrency) && concurrency >= 1)) {
      const problem = "must be a whole number of 1 or more, or unbounded"
      throw new InvalidStageOption({ stage: stage.key, field: "concurrency", value: concurrency, problem })
    }
    return stage.behavior(Effect.succeed({ events: each(f, concurrency) }), rest)
  }

/** In place as long as results are plain values. */
const each =
  (f: (event: unknown) => unknown, concurrency: number | "unbounded") =>
  (events: ReadonlyArray<unknown>): unknown => {
    const done: Array<unknown> = []
    for (const [n, event] of events.entries()) {
      const result = f(event)
      const effect = asEffect(result)
      if (effect !== undefined) {
        const left = Effect.forEach(events.slice(n), (next, m) => (m === 0 ? effect : lift(f(next))), { concurrency })
        return Effect.map(left, (others) => [...done, ...others])
      }
      done.push(result)
    }
    return done
  }

const lift = (result: unknown): Effect.Effect<unknown, unknown> => asEffect(result) ?? Effect.succeed(result)
