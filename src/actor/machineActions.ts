/**
 * What a state machine's handlers answer with: values that say what is to happen, and do nothing by themselves.
 *
 * A handler answers with one of them or a list. Of the kinds that can only happen once the last in the list wins; replies,
 * effects and inserted events all happen, in their order.
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ExitReason } from "../runtime/ExitReason.ts"
import type { EffectOf } from "./Protocol.ts"

/** @internal */
export const TypeId = "~effect-otp/StateMachine/Action"

interface Kind<out Tag extends string> {
  readonly [TypeId]: typeof TypeId
  readonly _tag: Tag
}

/**
 * Goes to a state, or stays in it with other data.
 *
 * @category models
 * @since 0.1.0
 */
export interface To<out State extends string> extends Kind<"To"> {
  readonly state: State
  readonly data: unknown
}

/**
 * Answers whoever asked with the event at hand.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reply<out A> extends Kind<"Reply"> {
  readonly value: A
}

/**
 * Answers whoever asked with an error that the event declares.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fail<out E> extends Kind<"Fail"> {
  readonly error: E
}

/**
 * Answers a request that was kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Late extends Kind<"Late"> {
  readonly request: Asker
  readonly exit: Exit.Exit<unknown, unknown>
}

/**
 * Keeps the event at hand for later: it is handled again, before anything newer, once the state has changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Postpone extends Kind<"Postpone"> {
  readonly postpone: boolean
}

/**
 * Inserts an event, before all that wait.
 *
 * @category models
 * @since 0.1.0
 */
export interface Next extends Kind<"Next"> {
  readonly event: Event<string>
}

/**
 * Runs the enter call of the state again although it has not changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reenter extends Kind<"Reenter"> {}

/**
 * Ends the machine, after the replies.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stop extends Kind<"Stop"> {
  readonly reason: ExitReason
}

/**
 * Runs an effect, in order with the replies, before the state changes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Run<out F extends EffectOf<unknown>> extends Kind<"Run"> {
  readonly effect: F
}

/**
 * Sets, changes or removes a time limit.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limiting extends Kind<"Limiting"> {
  readonly key: string
  readonly order:
    | { readonly _tag: "Set"; readonly when: When; readonly event: Event<string> }
    | { readonly _tag: "Update"; readonly event: Event<string> }
    | { readonly _tag: "Cancel" }
}

/** Any of them, as the core sees them. @internal */
export type AnyAction =
  | To<string>
  | Reply<unknown>
  | Fail<unknown>
  | Late
  | Postpone
  | Next
  | Reenter
  | Stop
  | Run<EffectOf<unknown>>
  | Limiting

/**
 * When a time limit is up: after a while, or at a point in time of the wall clock. `0` means: behind the events that wait
 * inside the machine, before any from outside. An infinite one is none.
 *
 * @category models
 * @since 0.1.0
 */
export type When = Duration.Input | { readonly at: DateTime.DateTime.Input }

/**
 * An event as a value: what is inserted, what comes when time is up, what a test sends.
 *
 * @category models
 * @since 0.1.0
 */
export interface Event<out Tag extends string> {
  readonly _tag: Tag
  readonly payload: unknown
}

/**
 * Whoever waits for an answer to an event. @internal
 */
export interface Asker {
  /** Nobody waits any more, though no answer was given. */
  readonly isGone: boolean
  answer(exit: Exit.Exit<unknown, unknown>): void
}

/** Keys of the limits there can be one of; those with a name of their own begin with `named`. @internal */
export const STATE_LIMIT = "state"
/** @internal */
export const EVENT_LIMIT = "event"
/** @internal */
export const named = (name: string): string => `named ${name}`

const action = <const Tag extends string, const Fields extends object>(
  _tag: Tag,
  fields: Fields
): Kind<Tag> & Fields => ({ [TypeId]: TypeId, _tag, ...fields })

/** @internal */
export const isAction = (u: unknown): u is AnyAction => typeof u === "object" && u !== null && TypeId in u

/** What is wrong with something that a handler has answered with, as far as it shows by itself. @internal */
export const problemOf = (u: unknown): string | undefined => {
  if (!isAction(u)) return "this is nothing a machine can do"
  if (u._tag === "Run" && !Effect.isEffect(u.effect)) return "only an effect can be run"
  if (u._tag === "Stop" && !reasons.has(u.reason?._tag)) return "a machine stops with an ExitReason"
  const answers = u._tag !== "Late" || typeof u.request?.answer === "function"
  return answers ? undefined : "a request is what a handler has been given as such"
}

const reasons: ReadonlySet<string> = new Set(["Normal", "Shutdown", "Failed", "Killed", "Interrupted"])

/** @internal */
export const to = <State extends string>(state: State, data: unknown): To<State> => action("To", { state, data })
/** @internal */
export const reply = <A>(value: A): Reply<A> => action("Reply", { value })
/** @internal */
export const fail = <E>(error: E): Fail<E> => action("Fail", { error })
/** @internal */
export const replyTo = (request: unknown, value: unknown): Late =>
  action("Late", { request: request as Asker, exit: Exit.succeed(value) })
/** @internal */
export const failTo = (request: unknown, error: unknown): Late =>
  action("Late", { request: request as Asker, exit: Exit.fail(error) })
/** @internal */
export const postpone: Postpone = action("Postpone", { postpone: true })
/** @internal */
export const handled: Postpone = action("Postpone", { postpone: false })
/** @internal */
export const next = (event: Event<string>): Next => action("Next", { event })
/** @internal */
export const reenter: Reenter = action("Reenter", {})
/** @internal */
export const stop = (reason: ExitReason): Stop => action("Stop", { reason })
/** @internal */
export const run = <F extends EffectOf<unknown>>(effect: F): Run<F> => action("Run", { effect })
/** @internal */
export const set = (key: string, when: When, event: Event<string>): Limiting =>
  action("Limiting", { key, order: { _tag: "Set", when, event } })
/** @internal */
export const update = (key: string, event: Event<string>): Limiting =>
  action("Limiting", { key, order: { _tag: "Update", event } })
/** @internal */
export const cancel = (key: string): Limiting => action("Limiting", { key, order: { _tag: "Cancel" } })
