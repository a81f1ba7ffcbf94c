/**
 * What is said about a flow: its state, its actions with what they read and write, and the transitions between them. Data
 * and types only; nothing here runs.
 */
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Simplify } from "effect/Types"
import type { Done } from "./done.ts"

/**
 * The keys of a state, or the inputs of an action, each with its schema. Schemas need no services, so that a state can be
 * stored and sent anywhere.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fields {
  readonly [key: string]: Schema.Codec<unknown, unknown>
}

/**
 * The values of some fields.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Values<F extends Fields, K extends keyof F = keyof F> = { readonly [Key in K]: F[Key]["Type"] }

/**
 * A state on its way: a key that nothing has written yet is absent.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Partly<F extends Fields> = { readonly [Key in keyof F]?: F[Key]["Type"] }

/**
 * What an action says about itself, for types.
 *
 * @category type-level
 * @since 0.1.0
 */
export interface Declaration {
  readonly state: Fields
  readonly reads: string
  readonly writes: string
  readonly inputs: Fields
  readonly tags: string
  /** The schema of the items of a streaming action. */
  readonly item: Schema.Codec<unknown, unknown>
  /** The schema of the error that it keeps also outside the process. */
  readonly error: Schema.Codec<unknown, unknown>
}

/**
 * What an action is given: the keys it reads, and its inputs.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Read<D extends Declaration> = Simplify<Values<D["state"], D["reads"]> & Values<D["inputs"]>>

/**
 * What an action writes.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Written<D extends Declaration> = Simplify<Values<D["state"], D["writes"]>>

/**
 * What every action is, whether it answers once or streams.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyAction {
  readonly name: string
  readonly kind: "action" | "streaming"
  /** The keys of the state it is given. */
  readonly reads: ReadonlyArray<string>
  /** The keys of the state it writes, all of them each time. */
  readonly writes: ReadonlyArray<string>
  /** What the caller gives it, besides the state. */
  readonly inputs: Fields
  /** By what `Flow.on` and hooks tell it from others. */
  readonly tags: ReadonlyArray<string>
  readonly item: Schema.Codec<unknown, unknown> | undefined
  readonly error: Schema.Codec<unknown, unknown> | undefined
  readonly "~state": object
  // No more is said here, or it would be taken for what an action written in the list of a flow leaves out.
  readonly "~D": () => unknown
}

/**
 * A node of a flow: takes what it reads, gives what it writes, may fail with `E` and needs `R`. `run` is the plain function, to be
 * tested by itself or used as a handler of an actor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Action<out Name extends string, D extends Declaration, out E, out R> extends AnyAction {
  readonly name: Name
  readonly kind: "action"
  readonly "~D": () => D
  run(read: Read<D>): Effect.Effect<Written<D>, E, R>
}

/**
 * An action that gives items on the way and ends with what it writes.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamingAction<out Name extends string, D extends Declaration, out E, out R> extends AnyAction {
  readonly name: Name
  readonly kind: "streaming"
  readonly "~D": () => D
  run(read: Read<D>): Stream.Stream<D["item"]["Type"] | Done<Written<D>>, E, R>
}

/**
 * A way from one action to another. It is taken when its condition holds, or always without one. Made by `to` of a state.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transition<out Names extends string> {
  readonly from: ReadonlyArray<Names>
  readonly to: Names
  /** The keys its condition is given; empty without a condition. */
  readonly reads: ReadonlyArray<string>
  /** How it is drawn. */
  readonly label: string | undefined
  readonly when: ((read: never) => boolean) | undefined
  readonly "~state": object
}

/**
 * An application as a graph of actions over one state. Made by `Flow.make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flow<out F extends Fields, out A extends AnyAction> {
  readonly name: string
  readonly fields: F
  readonly actions: ReadonlyArray<A>
  readonly entry: A["name"]
  readonly transitions: ReadonlyArray<Transition<A["name"]>>
}

/**
 * Any flow.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyFlow extends Flow<Fields, AnyAction> {}

// --- Reading types of a flow ---

type DeclarationOf<A> = A extends { readonly "~D": () => infer D extends Declaration } ? D : never

/**
 * What an action, one of several or all of them, can fail with.
 *
 * @category type-level
 * @since 0.1.0
 */
export type FailureOf<A> =
  A extends Action<infer _Name, infer _D, infer E, infer _R>
    ? E
    : A extends StreamingAction<infer _Name, infer _D, infer E, infer _R>
      ? E
      : never

/**
 * What actions need.
 *
 * @category type-level
 * @since 0.1.0
 */
export type ServicesOf<A> =
  A extends Action<infer _Name, infer _D, infer _E, infer R>
    ? R
    : A extends StreamingAction<infer _Name, infer _D, infer _E, infer R>
      ? R
      : never

/**
 * The actions of a flow.
 *
 * @category type-level
 * @since 0.1.0
 */
export type ActionsOf<FL extends AnyFlow> = FL["actions"][number]

/**
 * The tags that the actions of a flow have.
 *
 * @category type-level
 * @since 0.1.0
 */
export type TagsOf<A> = DeclarationOf<A>["tags"]

/**
 * The actions that have a tag.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Tagged<A, Tag extends string> = A extends unknown ? (Tag extends TagsOf<A> ? A : never) : never

/**
 * Inputs by action: those of actions that take any.
 *
 * @category type-level
 * @since 0.1.0
 */
export type InputsOf<A extends AnyAction> = {
  readonly [Each in A as keyof DeclarationOf<Each>["inputs"] extends never ? never : Each["name"]]?: Values<
    DeclarationOf<Each>["inputs"]
  >
}

/**
 * One item of a streaming action, with the action's name.
 *
 * @category models
 * @since 0.1.0
 */
export type Item<A> =
  A extends StreamingAction<infer Name, infer D, infer _E, infer _R>
    ? { readonly _tag: "Item"; readonly action: Name; readonly item: D["item"]["Type"] }
    : never

/**
 * One action that was done: the `step` it was, counted from 1, what it was given, and what it wrote.
 *
 * @category models
 * @since 0.1.0
 */
export type Step<A> = A extends {
  readonly name: infer Name
  readonly "~D": () => infer D extends Declaration
}
  ? {
      readonly _tag: "Step"
      readonly step: number
      readonly action: Name
      readonly read: Read<D>
      readonly written: Written<D>
    }
  : never

type MessageOf<A, D extends Declaration> = A extends { readonly kind: "streaming" }
  ? {
      readonly payload: Simplify<Pick<D["state"], D["reads"]> & D["inputs"]>
      readonly success: Schema.Codec<D["item"]["Type"] | Done<Written<D>>, unknown>
      readonly error: D["error"]
      readonly stream: true
    }
  : {
      readonly payload: Simplify<Pick<D["state"], D["reads"]> & D["inputs"]>
      readonly success: Schema.Codec<Written<D>, unknown>
      readonly error: D["error"]
    }

/**
 * One message for each action with a tag, called as the action is: what it reads is the payload, what it writes the reply.
 *
 * @category type-level
 * @since 0.1.0
 */
export type ProtocolOf<A extends AnyAction, Tag extends string> = {
  readonly [Each in Tagged<A, Tag> as Each["name"]]: MessageOf<Each, DeclarationOf<Each>>
}
