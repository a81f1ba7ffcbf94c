/**
 * An application as a graph of actions over one typed state.
 *
 * An actor is a place that is sent messages; a flow is a course of actions, one at a time, each of which declares what it reads
 * of the state and what it writes. That makes it possible to stop between any two of them, look at the state, keep it, go on
 * elsewhere, and send single actions to other places with exactly what they need.
 *
 * **Example** (A chat of texts and pictures)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema, Stream } from "effect"
 * import { Flow } from "effect-otp/flow"
 *
 * const Chat = Flow.state("docs/Flow", {
 *   prompt: Schema.String,
 *   mode: Schema.Literals(["text", "image"]),
 *   reply: Schema.String
 * })
 *
 * const classify = Chat.action("classify", {
 *   reads: ["prompt"],
 *   writes: ["mode"],
 *   run: ({ prompt }) => Effect.succeed({ mode: prompt.startsWith("draw") ? "image" : "text" })
 * })
 * const draw = Chat.action("draw", {
 *   reads: ["prompt"],
 *   writes: ["reply"],
 *   tags: ["gpu"],
 *   run: ({ prompt }) => Effect.succeed({ reply: `<${prompt.slice(5)}>` })
 * })
 * const answer = Chat.streaming("answer", {
 *   reads: ["prompt"],
 *   writes: ["reply"],
 *   item: Schema.String,
 *   run: ({ prompt }) => Stream.make("you said: ", prompt).pipe(Flow.ending((words) => ({ reply: words.join("") })))
 * })
 *
 * const ChatFlow = Flow.make("chat", {
 *   state: Chat,
 *   actions: [classify, draw, answer],
 *   entry: "classify",
 *   transitions: [
 *     Chat.to("classify", "draw", { reads: ["mode"], when: ({ mode }) => mode === "image" }),
 *     Chat.to("classify", "answer")
 *   ]
 * })
 *
 * const program = Effect.gen(function*() {
 *   const session = yield* Flow.start(ChatFlow, { initial: { prompt: "draw a cat" } })
 *   const { halted, state } = yield* session.run()
 *   return [halted, state.reply]
 * })
 * await Effect.runPromise(program) // => ["end", "<a cat>"]
 * ```
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { AnyAction, AnyFlow, FailureOf, Fields, Flow, Partly, ServicesOf, Transition } from "./declaration.ts"
import {
  type ActionFailed,
  type CannotResume,
  type FlowConflict,
  type FlowStoreError,
  InvalidFlow,
  InvalidValue,
  OtherFlow,
  StateError
} from "./errors.ts"
import { FlowStore, type Saved } from "./FlowStore.ts"
import { problemsOf } from "./graph.ts"
import { otherFlow, type Runner } from "./runners.ts"
import { makeSession, type Session, type Start } from "./session.ts"
import type { State } from "./state.ts"
import { type Bag, decode, initialOf, lastOf, merged } from "./values.ts"

export type {
  Action,
  ActionsOf,
  AnyAction,
  AnyFlow,
  Declaration,
  FailureOf,
  Fields,
  Flow,
  InputsOf,
  Item,
  Partly,
  ProtocolOf,
  Read,
  ServicesOf,
  Step,
  StreamingAction,
  Tagged,
  TagsOf,
  Transition,
  Values,
  Written
} from "./declaration.ts"
export { type Done, done, ending } from "./done.ts"
export {
  ActionFailed,
  CannotResume,
  ConditionFailed,
  FlowConflict,
  FlowStoreError,
  InvalidFlow,
  InvalidValue,
  MissingInput,
  MissingWrite,
  NotDone,
  NotWritten,
  OtherFlow,
  StateError,
  SteppedItself,
  UndeclaredWrite,
  UnknownAction,
  UnknownInput,
  UnknownKey
} from "./errors.ts"
export { toMermaid } from "./mermaid.ts"
export { around, type Call, handlers, on, type OwnFailure, protocol, type Remote, type Runner } from "./runners.ts"
export type { Outcome, RunOptions, Session } from "./session.ts"
export { type ActionOptions, type State, state } from "./state.ts"

/**
 * What a flow consists of.
 *
 * @category models
 * @since 0.1.0
 */
export interface MakeOptions<F extends Fields, A extends ReadonlyArray<AnyAction>> {
  readonly state: State<F>
  readonly actions: A
  /** The action done first. */
  readonly entry: NoInfer<A[number]["name"]>
  /** In the order in which their conditions are asked. An action that no transition leaves ends the flow. */
  readonly transitions: ReadonlyArray<Transition<NoInfer<A[number]["name"]>>>
}

/**
 * Makes a flow. One that could not work is refused at once, by throwing `InvalidFlow`: names that no action has, an action
 * that nothing leads to, a transition that one before it always precedes, keys that the state does not have.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <F extends Fields, const A extends ReadonlyArray<AnyAction>>(
  name: string,
  options: MakeOptions<F, A>
): Flow<F, A[number]> => {
  const { actions, entry, state, transitions } = options
  const flow = { name, fields: state.fields, actions, entry, transitions }
  const problems = problemsOf(flow, state)
  if (problems.length > 0) throw new InvalidFlow({ flow: name, problems })
  return flow
}

/**
 * How a session is started.
 *
 * @category models
 * @since 0.1.0
 */
export interface StartOptions<F extends Fields, Runners> {
  /** The state to begin with; of a session that is resumed, only the keys that are not stored. Default: nothing is written. */
  readonly initial?: Partly<F>
  /** What actions go through, the first outermost. Default: each is done here. */
  readonly runners?: Runners
  /** How many steps `history` remembers: a whole number, or `Infinity`. Default 100. */
  readonly history?: number
}

/**
 * How a session is started that is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeptOptions<F extends Fields, Runners> extends StartOptions<F, Runners> {
  /** Under which name it is kept. One id of two flows is two sessions. */
  readonly id: string
  /**
   * Makes what this flow can go on from of what is stored, before it is looked at: for actions that are called otherwise, and for
   * states that look otherwise, by now. Default: as it is stored.
   */
  readonly migrate?: (saved: Saved) => Saved
}

type AnyRunners = ReadonlyArray<Runner<string, unknown, unknown>>
type Taken<R> = R extends Runner<infer Names, infer _E, infer _R> ? Names : never
type RunnerFailure<R> = R extends Runner<infer _Names, infer E, infer _R> ? E : never
type RunnerServices<R> = R extends Runner<infer _Names, infer _E, infer R2> ? R2 : never

/** The actions that are done here. */
type Local<A, Runners extends AnyRunners> = Exclude<A, { readonly name: Taken<Runners[number]> }>

/**
 * What a session's steps can fail with: a failed action, or a state that is not as declared.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Failure<A, Runners extends AnyRunners> = Failed<A, Runners> | StateError

// A conditional type, so that it is shown as what it comes to.
type Failed<A, Runners extends AnyRunners> = [A] extends [infer Actions]
  ? ActionFailed<FailureOf<Local<Actions, Runners>> | RunnerFailure<Runners[number]>>
  : never

/**
 * Starts a session. With an `id` it is kept in the `FlowStore` after each step, and goes on from there when it was kept
 * before: with the action that comes next, which is done again if it was under way. What is stored goes before `initial`.
 *
 * What the actions need is taken from where the session is started.
 *
 * **Example** (Halting for a person to look)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Flow } from "effect-otp/flow"
 *
 * const Mail = Flow.state("docs/Mail", { draft: Schema.String, sent: Schema.Boolean })
 * const write = Mail.action("write", { writes: ["draft"], run: () => Effect.succeed({ draft: "Dear all" }) })
 * const send = Mail.action("send", { reads: ["draft"], writes: ["sent"], run: () => Effect.succeed({ sent: true }) })
 * const Mailing = Flow.make("mailing", {
 *   state: Mail,
 *   actions: [write, send],
 *   entry: "write",
 *   transitions: [Mail.to("write", "send")]
 * })
 *
 * const program = Effect.gen(function*() {
 *   const session = yield* Flow.start(Mailing)
 *   const looked = yield* session.run({ haltBefore: ["send"] })
 *   const sent = yield* session.run()
 *   return [looked.halted, looked.state.draft, sent.state.sent]
 * })
 * await Effect.runPromise(program) // => ["before", "Dear all", true]
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const start: {
  <F extends Fields, A extends AnyAction, const Runners extends AnyRunners = []>(
    flow: Flow<F, A>,
    options: KeptOptions<F, Runners>
  ): Effect.Effect<
    Session<F, A, Failed<A, Runners> | StateError | FlowConflict | FlowStoreError>,
    StateError | CannotResume | FlowStoreError,
    FlowStore | ServicesOf<Local<A, Runners>> | RunnerServices<Runners[number]>
  >
  <F extends Fields, A extends AnyAction, const Runners extends AnyRunners = []>(
    flow: Flow<F, A>,
    options?: StartOptions<F, Runners> & { readonly id?: undefined; readonly migrate?: undefined }
  ): Effect.Effect<
    Session<F, A, Failed<A, Runners> | StateError>,
    StateError,
    ServicesOf<Local<A, Runners>> | RunnerServices<Runners[number]>
  >
} = ((flow: AnyFlow, options: StartOptions<Fields, AnyRunners> & Partial<KeptOptions<Fields, AnyRunners>> = {}) =>
  Effect.gen(function* () {
    const { history = 100, id, initial = {}, migrate = identity, runners = [] } = options
    const problem = problemOf(flow, history, runners)
    if (problem !== undefined) return yield* new StateError({ flow: flow.name, ...problem })
    const begin = { state: yield* initialOf(flow, initial), step: 0, last: undefined, version: undefined }
    const store = id === undefined ? undefined : yield* FlowStore
    // A span that has ended by then is nobody's parent.
    const services = Context.omit(Tracer.ParentSpan)(yield* Effect.context<never>()) as Context.Context<never>
    const resumed = id === undefined || store === undefined ? undefined : yield* stored(flow, store, id, migrate)
    const from = resumed === undefined ? begin : { ...resumed, state: merged(begin.state, resumed.state) }
    return makeSession(flow, { id, store, runners, history, services }, from)
  })) as never

/** What a session cannot be started with. */
const problemOf = (
  flow: AnyFlow,
  history: number,
  runners: AnyRunners
): Pick<StateError, "where" | "reason"> | undefined => {
  if (!(history >= 0 && (Number.isInteger(history) || history === Infinity))) {
    const issue = "Expected a whole number of 0 or more, or Infinity"
    return { where: "options", reason: new InvalidValue({ key: "history", value: history, issue }) }
  }
  const other = otherFlow(runners, flow.name)
  return other === undefined ? undefined : { where: "runners", reason: new OtherFlow({ flow: other }) }
}

/** What is kept of a session, as it goes on from. */
const stored = (
  flow: AnyFlow,
  store: FlowStore["Service"],
  id: string,
  migrate: (saved: Saved) => Saved
): Effect.Effect<Start | undefined, CannotResume | FlowStoreError> =>
  Effect.flatMap(store.load(flow.name, id), (found) =>
    Option.isNone(found)
      ? Effect.undefined
      : Effect.gen(function* () {
          const { step, version } = found.value
          const { action, state } = migrate(found.value)
          const last = yield* lastOf(flow, id, action)
          const values: Bag = yield* decode(flow, id, state)
          return { state: values, step, last: last.name, version }
        })
  )
