/**
 * The types of state machines: which handlers a table must and may have, and what each of them may answer.
 */
import type * as Schema from "effect/Schema"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Fail, Late, Limiting, Next, Postpone, Reenter, Reply, Run, Stop, To } from "./machineActions.ts"
import type { FailureOf, Returned, ServicesOf } from "./Behavior.ts"
import type * as P from "./Protocol.ts"

/**
 * The states of a machine, each with the fields of its data.
 *
 * @category models
 * @since 0.1.0
 */
export interface States {
  readonly [state: string]: Schema.Struct.Fields
}

/**
 * The events of a machine, by tag: its messages.
 *
 * @category models
 * @since 0.1.0
 */
export interface Events extends P.Protocol {}

/**
 * Which event may lead from which state to which others. Staying in a state needs no entry.
 *
 * @category models
 * @since 0.1.0
 */
export type Transitions<S, Ev> = {
  readonly [From in keyof S]?: {
    readonly [Tag in keyof Ev]?: (keyof S & string) | ReadonlyArray<keyof S & string>
  }
}

/**
 * What a class of machines is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface Design<in out S = States, in out Ev = Events, in out T = unknown> {
  readonly states: S
  readonly events: Ev
  readonly transitions: T
}

/**
 * The data of a state.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Data<Fields> = Fields extends Schema.Struct.Fields ? Schema.Struct<Fields>["Type"] : never

/**
 * What `to` takes for a state: its data, nothing where it has none.
 *
 * @category type-level
 * @since 0.1.0
 */
export type DataArgs<Fields> = keyof Fields extends never
  ? []
  : Fields extends Schema.Struct.Fields
    ? [data: Schema.Struct<Fields>["~type.make.in"]]
    : never

/**
 * Someone who waits for an answer: `Door.replyTo(request, value)` and `Door.failTo(request, error)` give it, now or later.
 * It can be kept in a state's data, as `StateMachine.Request(success, error)`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request<in A, in E = never> {
  readonly "~A": (_: A) => void
  readonly "~E": (_: E) => void
}

/** What else can happen, whatever the state and the event. */
type Aside = Late | Limiting | Run<P.EffectOf<unknown>> | Stop

/** Where an event may lead from a state. */
type Targets<T, From, Tag> = From extends keyof T
  ? Tag extends keyof T[From]
    ? T[From][Tag] extends ReadonlyArray<infer Many>
      ? Many
      : T[From][Tag]
    : never
  : never

/** What an event is answered with. */
type Answer<M> = M extends { readonly stream: true } ? P.StreamOf<P.Success<M>> : P.Success<M>

/** What answers an event later: a stream then needs nothing more, and fails with nothing else than declared. */
type LateAnswer<M> = M extends { readonly stream: true } ? Stream.Stream<P.Success<M>, P.Failure<M>> : P.Success<M>

type OneOrMore<A> = A | ReadonlyArray<A>

type Answers<A> = OneOrMore<A> | P.EffectOf<OneOrMore<A>> | Generator<unknown, OneOrMore<A>, never>

/**
 * What a handler may answer with.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Step<To_ extends string, M> =
  | To<To_>
  | Reply<Answer<M>>
  | Fail<P.Failure<M>>
  | Postpone
  | Next
  | Reenter
  | Aside

/**
 * What a machine does about an event in a state: always the same, or what a function of the event says.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Reaction<State extends string, D, To_ extends string, M> =
  | OneOrMore<Step<To_, M>>
  | ((
      payload: P.Payload<M>,
      data: D,
      here: { readonly state: State; readonly request: Request<LateAnswer<M>, P.Failure<M>> }
    ) => Answers<Step<To_, M>>)

/**
 * The enter call of a state: it may change the data, set limits, answer kept requests, run effects and stop.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Entering<S, State extends keyof S & string> =
  | OneOrMore<To<State> | Aside>
  | ((data: Data<S[State]>, from: keyof S & string) => EnterAnswers<OneOrMore<To<State> | Aside>>)

type EnterAnswers<A> = void | A | P.EffectOf<void | A> | Generator<unknown, void | A, never>

type ReactionAt<S, Ev, T, State extends keyof S & string, Tag extends keyof Ev> = Reaction<
  State,
  Data<S[State]>,
  State | (Targets<T, State, Tag> & string),
  Ev[Tag]
>

type Declared<T, From> = From extends keyof T ? keyof T[From] : never

/**
 * A machine's behavior as a table: handlers per state, with those that its transitions name.
 *
 * @category type-level
 * @since 0.1.0
 */
export interface Table<S, Ev, T> {
  /** The first state; what else happens at the start comes behind it. */
  readonly initial: To<keyof S & string> | readonly [To<keyof S & string>, ...ReadonlyArray<Next | Aside>]
  /** What each state does about its events. */
  readonly on: {
    readonly [State in keyof S & string]: {
      readonly [Tag in keyof Ev & Declared<T, State>]: ReactionAt<S, Ev, T, State, Tag>
    } & { readonly [Tag in Exclude<keyof Ev, Declared<T, State>>]?: ReactionAt<S, Ev, T, State, Tag> }
  }
  /** What is done about events that the state itself does not handle. It cannot change the state. */
  readonly any?: {
    readonly [Tag in keyof Ev]?: Reaction<keyof S & string, { [K in keyof S]: Data<S[K]> }[keyof S], never, Ev[Tag]>
  }
  /** What happens whenever a state is entered, the first time too. */
  readonly enter?: { readonly [State in keyof S & string]?: Entering<S, State> }
}

/**
 * Names that a table may not have, so that a misspelt one is reported where it stands.
 *
 * @category type-level
 * @since 0.1.0
 */
export type NothingElse<M, S, Ev> = M extends { readonly on: infer On }
  ? {
      readonly on: { readonly [K in Exclude<keyof On, keyof S>]: never } & {
        readonly [K in keyof On]: { readonly [Tag in Exclude<keyof On[K], keyof Ev>]: never }
      }
    }
  : unknown

// --- What it crashes with and needs ---

type Values<A> = A[keyof A]
type Given<V> = V extends (...args: never) => unknown ? Returned<V> : V
type Final<R> =
  R extends Effect.Effect<infer A, infer _E, infer _R> ? A : R extends Generator<infer _Y, infer A, infer _N> ? A : R
type Effects<R> =
  Final<R> extends infer A ? (A extends ReadonlyArray<infer Each> ? EffectIn<Each> : EffectIn<A>) : never
type EffectIn<A> = A extends Run<infer F> ? F : A extends Reply<infer S extends P.StreamOf<unknown>> ? S : never

type Failing<V, Own> = Exclude<FailureOf<Given<V>> | FailureOf<Effects<Given<V>>>, Own>
type Needing<V> = ServicesOf<Given<V>> | ServicesOf<Effects<Given<V>>>

type Failures<Reactions, Ev> = {
  [Tag in keyof Reactions]: Failing<Reactions[Tag], Tag extends keyof Ev ? P.Failure<Ev[Tag]> : never>
}[keyof Reactions]

type On<M> = M extends { readonly on: infer On } ? On : {}
type Any<M> = M extends { readonly any: infer Any } ? Any : {}
type Enter<M> = M extends { readonly enter: infer Enter } ? Enter : {}
type Initial<M> = M extends { readonly initial: infer Initial } ? Initial : never

/**
 * The errors that end the machine: all that its effects can fail with, less what their event declares as a reply.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Crash<M, Ev> =
  | Values<{ [State in keyof On<M>]: Failures<On<M>[State], Ev> }>
  | Failures<Any<M>, Ev>
  | Failures<Enter<M>, {}>
  | Failing<Initial<M>, never>

/**
 * The services that a machine's effects need.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Services<M> =
  | Values<{ [State in keyof On<M>]: Values<{ [Tag in keyof On<M>[State]]: Needing<On<M>[State][Tag]> }> }>
  | Values<{ [Tag in keyof Any<M>]: Needing<Any<M>[Tag]> }>
  | Values<{ [State in keyof Enter<M>]: Needing<Enter<M>[State]> }>
  | Needing<Initial<M>>
