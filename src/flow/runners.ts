/**
 * Where actions run: each goes through the runners of its session, the first outermost, and ends up in its own function unless
 * a runner takes it elsewhere. Whatever an action is sent to gets what the action reads, and no more.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { AskError } from "../actor/AskError.ts"
import type * as P from "../actor/Protocol.ts"
import type { Action, AnyAction, Declaration, Fields, Flow, ProtocolOf, Tagged, TagsOf } from "./declaration.ts"
import { doneTag, isDone } from "./done.ts"
import type { Bag } from "./values.ts"

/**
 * One action about to be done.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly flow: string
  /** The id of the session, if it has one. */
  readonly id: string | undefined
  readonly action: string
  readonly tags: ReadonlyArray<string>
  /** Which step this is, counted from 1. */
  readonly step: number
  /** What it reads and its inputs. */
  readonly read: Readonly<Record<string, unknown>>
}

/**
 * What actions go through. It takes the actions called `Taken` somewhere else, may fail with `E` besides what they fail
 * with, and needs `R`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runner<out Taken extends string, out E, out R> {
  readonly "~Taken": () => Taken
  readonly "~E": () => E
  readonly "~R": () => R
}

/**
 * Stands for whatever the wrapped action may fail with, which a hook for all of them cannot know.
 *
 * @category type-level
 * @since 0.1.0
 */
export interface OwnFailure {
  readonly "~OwnFailure": never
}

/**
 * What answers the actions with a tag: the ref of an actor, or whatever has the same `ask` and `stream`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Remote<Messages> {
  // Written out, not by the names of ActorRef: compared by name, TypeScript takes any two of them for the same.
  readonly ask: {
    readonly [K in keyof P.Asking<Messages>]: (
      ...args: P.Args<Messages[K & keyof Messages]>
    ) => Effect.Effect<P.Success<Messages[K & keyof Messages]>, P.Failure<Messages[K & keyof Messages]> | AskError>
  }
  readonly stream: {
    readonly [K in keyof P.Streaming<Messages>]: (
      ...args: P.Args<Messages[K & keyof Messages]>
    ) => Stream.Stream<P.Success<Messages[K & keyof Messages]>, P.Failure<Messages[K & keyof Messages]> | AskError>
  }
}

/** What is done with one item of a streaming action. @internal */
export type Emit = (item: unknown) => Effect.Effect<unknown, unknown>

type Next = Effect.Effect<unknown, unknown>

interface RunnerImpl {
  readonly through: (call: Call, next: Next, emit: Emit) => Next
  /** The name of the flow whose actions it takes; none where it takes none. */
  readonly flow: string | undefined
}

const make = (through: RunnerImpl["through"], flow?: string): never => ({ through, flow }) as unknown as never

/** The first of some runners that was made for another flow; the name of that. @internal */
export const otherFlow = (runners: ReadonlyArray<unknown>, name: string): string | undefined =>
  (runners as ReadonlyArray<RunnerImpl>).find(({ flow }) => flow !== undefined && flow !== name)?.flow

/** Stands for what is written by a stream that did not say. @internal */
export const notDone: unique symbol = Symbol("notDone")

/** Hands on the items of a stream; gives what it says it writes. */
const consume = (stream: Stream.Stream<unknown, unknown>, emit: Emit): Next =>
  Effect.suspend(() => {
    let written: unknown = notDone
    const run = Stream.runForEach(Stream.takeUntil(stream, isDone), (element) => {
      if (!isDone(element)) return emit(element)
      written = element.written
      return Effect.void
    })
    return Effect.map(run, () => written)
  })

const local = (action: AnyAction, read: Bag, emit: Emit): Next =>
  Effect.suspend(() => {
    const made = (action as Action<string, Declaration, unknown, never>).run(read as never) as unknown
    return action.kind === "streaming" ? consume(made as Stream.Stream<unknown, unknown>, emit) : (made as Next)
  })

/** Does an action where its runners say. @internal */
export const through = (runners: ReadonlyArray<unknown>, action: AnyAction, call: Call, emit: Emit): Next =>
  (runners as ReadonlyArray<RunnerImpl>).reduceRight(
    (next, runner) => Effect.suspend(() => runner.through(call, next, emit)),
    local(action, call.read, emit)
  )

// --- Public ---

/**
 * The messages of an actor that does the actions with a tag: one for each, named as the action is. Its payload is what the
 * action reads and its inputs, its reply what the action writes; all of it has schemas, so the actor may live anywhere.
 *
 * **Example** (An actor for what needs a graphics card)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor } from "effect-otp"
 * import { Flow } from "effect-otp/flow"
 *
 * const Chat = Flow.state("docs/Remote", { prompt: Schema.String, user: Schema.String, picture: Schema.String })
 * const draw = Chat.action("draw", {
 *   reads: ["prompt"],
 *   writes: ["picture"],
 *   tags: ["gpu"],
 *   run: ({ prompt }) => Effect.succeed({ picture: `a drawing of ${prompt}` })
 * })
 * const Drawing = Flow.make("drawing", { state: Chat, actions: [draw], entry: "draw", transitions: [] })
 *
 * class Gpu extends Actor.Service<Gpu>()("docs/Gpu", Flow.protocol(Drawing, "gpu")) {}
 * const GpuLive = Gpu.behavior(Effect.succeed(Gpu.of(Flow.handlers(Drawing, "gpu"))))
 *
 * const program = Effect.gen(function*() {
 *   const gpu = yield* Actor.spawn(GpuLive)
 *   const session = yield* Flow.start(Drawing, {
 *     initial: { prompt: "a cat", user: "ann" },
 *     runners: [Flow.on(Drawing, "gpu", gpu)]
 *   })
 *   return (yield* session.run()).state.picture
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => "a drawing of a cat"
 * ```
 *
 * @category running elsewhere
 * @since 0.1.0
 */
export const protocol = <F extends Fields, A extends AnyAction, const Tag extends TagsOf<A>>(
  flow: Flow<F, A>,
  tag: Tag
): ProtocolOf<A, Tag> =>
  Object.fromEntries(tagged(flow, tag).map((each) => [each.name, messageOf(flow, each)])) as never

/**
 * The actions with a tag as the handlers of an actor with that `protocol`.
 *
 * @category running elsewhere
 * @since 0.1.0
 */
export const handlers = <F extends Fields, A extends AnyAction, const Tag extends TagsOf<A>>(
  flow: Flow<F, A>,
  tag: Tag
): { readonly [Each in Tagged<A, Tag> as Each["name"]]: Each extends { readonly run: infer Run } ? Run : never } =>
  Object.fromEntries(
    tagged(flow, tag).map((action) => [action.name, (action as Action<string, Declaration, never, never>).run])
  ) as never

/**
 * Sends the actions of a flow with this tag to an actor, in this process or elsewhere, instead of doing them here. What they
 * need is needed there only. An ask waits 5 seconds unless the ref says otherwise: see `ActorRef.withTimeout`.
 *
 * The ref of a pool is a ref as any other. Where the flow knows better who does a call, a function says so.
 *
 * **Example** (Two actors, in turn)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor } from "effect-otp"
 * import { Flow } from "effect-otp/flow"
 *
 * const Sums = Flow.state("docs/Sums", { n: Schema.Int, by: Schema.Array(Schema.Int) })
 * const add = Sums.action("add", {
 *   reads: ["n", "by"],
 *   writes: ["n", "by"],
 *   tags: ["pool"],
 *   run: () => Effect.die("done by a member")
 * })
 * const Adding = Flow.make("adding", {
 *   state: Sums,
 *   actions: [add],
 *   entry: "add",
 *   transitions: [Sums.to("add", "add", { reads: ["n"], when: ({ n }) => n < 3 })]
 * })
 *
 * class Member extends Actor.Service<Member>()("docs/Member", Flow.protocol(Adding, "pool")) {}
 * const member = (id: number) =>
 *   Member.behavior(Effect.succeed(Member.of({ add: ({ by, n }) => ({ n: n + 1, by: [...by, id] }) })))
 *
 * const program = Effect.gen(function*() {
 *   const members = [yield* Actor.spawn(member(0)), yield* Actor.spawn(member(1))]
 *   const session = yield* Flow.start(Adding, {
 *     initial: { n: 0, by: [] },
 *     runners: [Flow.on(Adding, "pool", ({ step }) => members[step % 2]!)]
 *   })
 *   return (yield* session.run()).state.by
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [1, 0, 1]
 * ```
 *
 * @category running elsewhere
 * @since 0.1.0
 */
export const on = <F extends Fields, A extends AnyAction, const Tag extends TagsOf<A>>(
  flow: Flow<F, A>,
  tag: Tag,
  to: Remote<ProtocolOf<A, Tag>> | ((call: Call) => Remote<ProtocolOf<A, Tag>>)
): Runner<Tagged<A, Tag>["name"], AskError | P.Failure<ProtocolOf<A, Tag>[keyof ProtocolOf<A, Tag>]>, never> => {
  const kinds = new Map(tagged(flow, tag).map(({ kind, name }) => [name, kind]))
  return make((call, next, emit) => {
    const { action, read } = call
    const kind = kinds.get(action)
    if (kind === undefined) return next
    const { ask, stream } = (typeof to === "function" ? to(call) : to) as unknown as AnyRemote
    return kind === "action" ? ask[action]!(read) : consume(stream[action]!(read), emit)
  }, flow.name)
}

interface AnyRemote {
  readonly ask: Record<string, (read: unknown) => Next>
  readonly stream: Record<string, (read: unknown) => Stream.Stream<unknown, unknown>>
}

/**
 * Wraps every action that comes through: `next` does it. What a hook gives instead of what the action wrote is checked as if
 * the action had written it. A streaming action that is done again gives its items again.
 *
 * **Example** (Once more, when it fails)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Flow } from "effect-otp/flow"
 *
 * let calls = 0
 * const Count = Flow.state("docs/Retry", { calls: Schema.Int })
 * const flaky = Count.action("flaky", {
 *   writes: ["calls"],
 *   run: () => Effect.suspend(() => ++calls < 3 ? Effect.fail("busy") : Effect.succeed({ calls }))
 * })
 * const Flaky = Flow.make("flaky", { state: Count, actions: [flaky], entry: "flaky", transitions: [] })
 *
 * const program = Effect.gen(function*() {
 *   const session = yield* Flow.start(Flaky, {
 *     runners: [Flow.around((_, next) => Effect.retry(next, { times: 5 }))]
 *   })
 *   return (yield* session.run()).state
 * })
 * await Effect.runPromise(program) // => { calls: 3 }
 * ```
 *
 * @category running elsewhere
 * @since 0.1.0
 */
export const around = <Wrapped extends Effect.Effect<Readonly<Record<string, unknown>>, unknown, unknown>>(
  hook: (call: Call, next: Effect.Effect<Readonly<Record<string, unknown>>, OwnFailure>) => Wrapped
): Runner<never, Exclude<Effect.Error<Wrapped>, OwnFailure>, Effect.Services<Wrapped>> =>
  make((call, next) => hook(call, next as never) as unknown as Next)

// --- Messages ---

const tagged = (flow: Flow<Fields, AnyAction>, tag: string): ReadonlyArray<AnyAction> =>
  flow.actions.filter(({ tags }) => tags.includes(tag))

const fieldsOf = (fields: Fields, keys: ReadonlyArray<string>): Record<string, Schema.Codec<unknown, unknown>> =>
  Object.fromEntries(keys.map((key) => [key, fields[key]!]))

const messageOf = ({ fields }: Flow<Fields, AnyAction>, action: AnyAction): P.Message => {
  const written = Schema.Struct(fieldsOf(fields, action.writes))
  const shared = {
    payload: { ...fieldsOf(fields, action.reads), ...action.inputs },
    error: action.error ?? Schema.Never
  }
  if (action.kind === "action") return { ...shared, success: written }
  // The end comes first: an item may be anything.
  const end = Schema.Struct({ _tag: Schema.Literal(doneTag), written })
  return { ...shared, success: Schema.Union([end, action.item!]), stream: true }
}
