/**
 * How an actor reacts. A behavior is a value: it can be spawned, supervised, pooled or placed elsewhere, any number of
 * times. It is made by `behavior` of an actor class.
 */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Pipeable from "effect/Pipeable"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { MailboxOptions } from "../runtime/admission.ts"
import type { ActorContext, Incarnation } from "../runtime/incarnation.ts"
import { type Owner, Slot } from "../runtime/slot.ts"
import type { System } from "../runtime/system.ts"
import type { CompiledHandler, Init as ProgramInit, Program } from "../runtime/turns.ts"
import type { Key } from "./ActorRef.ts"
import { batchProblem } from "./batching.ts"
import { checkOptions, InvalidOption } from "./behaviorOptions.ts"
import { compileHandler } from "./handlers.ts"
import { addLayer, hasCaller, hasHandler, interceptHandler, isMade, type Layer, makeAll } from "./intercepting.ts"
import { type Idle, passivate } from "./passivation.ts"
import type { Compiled } from "./Protocol.ts"
import type * as P from "./Protocol.ts"
import { watchStuck } from "./stuck.ts"
import { isSyncInit, runSyncInit } from "./syncInit.ts"

export {
  /** An option that no behavior can have. @since 0.1.0 */
  InvalidOption
} from "./behaviorOptions.ts"

export type {
  /** What is done about an actor that nobody needs. @since 0.1.0 */
  Idle,
  /** How an actor's mailbox behaves. @since 0.1.0 */
  MailboxOptions
}

/**
 * How an actor of class `A` reacts; it is started with `Args`, crashes with `E` and needs `R`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Behavior<out A, in Args, out E, out R> extends Pipeable.Pipeable {
  readonly "~A": () => A
  readonly "~Args": (_: Args) => void
  readonly "~E": () => E
  readonly "~R": () => R
  /** The name its actors go by when nothing else names them: the actor's key. */
  readonly name: string
}

/**
 * Any behavior.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any extends Behavior<unknown, never, unknown, unknown> {}

/**
 * What a behavior may say besides its handlers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Tag extends string = string, Bare extends string = Tag> {
  /** How its mailbox behaves. Default: unbounded. */
  readonly mailbox?: MailboxOptions
  /** What is done when nobody has needed it for a while: it ends, gives back memory, or is told. Default: nothing. */
  readonly idle?: Idle<Tag, Bare>
  /**
   * How long one message may take before that is told: by a `HandlerStuck` event, a warning, and `ActorSystem.stuck`. It goes on all
   * the same. Default: it may take for ever.
   */
  readonly stuckAfter?: Duration.Input
  /** Whether a child of this behavior is restarted where its child spec does not say. Default `permanent`. */
  readonly restart?: "permanent" | "transient" | "temporary"
  /** The services it uses, for a `Supervisor.graph` to derive the order from, besides those that its child spec names. */
  readonly needs?: ReadonlyArray<{ readonly key: string }>
}

/**
 * One function per message.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Handlers<Messages> = {
  readonly [K in keyof Messages]: (payload: P.Payload<Messages[K]>) => P.Result<Messages[K]>
}

/** @internal */
export type Returned<H> = H extends (...args: never) => infer Result ? Result : never
/** @internal */
export type FailureOf<Result> =
  Result extends Effect.Effect<infer _A, infer E, infer _R>
    ? E
    : Result extends Stream.Stream<infer _A, infer E, infer _R>
      ? E
      : Result extends Generator<infer Yielded, infer _A, infer _N>
        ? FailureOf<Yielded>
        : never
/** @internal */
export type ServicesOf<Result> =
  Result extends Effect.Effect<infer _A, infer _E, infer R>
    ? R
    : Result extends Stream.Stream<infer _A, infer _E, infer R>
      ? R
      : Result extends Generator<infer Yielded, infer _A, infer _N>
        ? ServicesOf<Yielded>
        : never

/**
 * The errors that end the actor: all that a handler can fail with, less what its message declares as a reply.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Crash<Messages, H> = {
  [K in keyof H]: Exclude<FailureOf<Returned<H[K]>>, K extends keyof Messages ? P.Failure<Messages[K]> : never>
}[keyof H]

/**
 * What init and handlers need besides what every actor has.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Services<H, RX> = Exclude<
  RX | { [K in keyof H]: ServicesOf<Returned<H[K]>> }[keyof H],
  Scope.Scope | ActorContext
>

/**
 * A behavior came without a function for one of its messages. Types refuse it; this is for code without types.
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingHandler extends Schema.TaggedError<MissingHandler>()("MissingHandler", {
  actor: Schema.String,
  missing: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `the behavior of ${this.actor} has no handler for ${this.missing.join(", ")}`
  }
}

const NO_LAYERS: ReadonlyArray<Layer> = []

type Init = Effect.Effect<object, unknown> | ((args: unknown) => Effect.Effect<object, unknown>)

/** @internal */
export class BehaviorImpl extends Pipeable.Class {
  declare readonly "~A": () => never
  declare readonly "~Args": (_: unknown) => void
  declare readonly "~E": () => never
  declare readonly "~R": () => never
  readonly key: Key<unknown>
  readonly compiled: Compiled
  readonly options: Options
  /** Interceptors, the innermost layer first. */
  readonly layers: ReadonlyArray<Layer>
  /** Those of them that do something where messages are sent. */
  readonly around: ReadonlyArray<Layer>
  private readonly source: Init
  private readonly make: Init
  private readonly unbound: Program
  /** The same with what systems add, made when the first of its actors starts there. */
  private extended: WeakMap<Layer, BehaviorImpl> | undefined = undefined

  constructor(
    key: Key<unknown>,
    compiled: Compiled,
    init: Init,
    options: Options,
    layers: ReadonlyArray<Layer> = NO_LAYERS
  ) {
    super()
    checkOptions(key.key, compiled.tags, options)
    this.key = key
    this.compiled = compiled
    this.options = options
    this.layers = layers
    this.around = layers.length === 0 ? layers : layers.filter(hasCaller)
    this.source = init
    this.make = typeof init === "function" ? init : this.prepared(init)
    this.unbound = new BoundProgram(this, undefined)
  }

  get name(): string {
    return this.key.key
  }

  bind(args: unknown): BehaviorImpl {
    const { source } = this
    return this.copy({ source: typeof source === "function" ? () => source(args) : source })
  }

  /** The same with something changed. */
  copy(changed: {
    readonly source?: Init
    readonly options?: Options
    readonly layers?: ReadonlyArray<Layer>
  }): BehaviorImpl {
    const { layers = this.layers, options = this.options, source = this.source } = changed
    return new BehaviorImpl(this.key, this.compiled, source, options, layers)
  }

  /** The same with another layer of interceptors outside of those it has. */
  intercepted(layer: Layer): BehaviorImpl {
    if (layer.length === 0) return this
    return this.copy({ layers: addLayer(this.layers, layer) })
  }

  /** What a slot runs. Without arguments all its actors run the same. */
  program(args: unknown): Program {
    return typeof this.make === "function" ? new BoundProgram(this, args) : this.unbound
  }

  /** Makes the place of an actor of this behavior. */
  place(
    system: System,
    owner: Owner,
    context: Context.Context<never>,
    parentPath: string,
    name: string | number,
    args?: unknown
  ): Slot {
    return new Slot(system, this.program(args), owner, context, parentPath, name, this.options.mailbox)
  }

  /** Makes the handlers of one incarnation, with what is around all handlers of its system. */
  init(args: unknown, incarnation: Incarnation): ProgramInit {
    const shared = incarnation.host.system.around as Layer | undefined
    if (shared === undefined || !hasHandler(shared)) return this.begin(args, incarnation)
    const extended = (this.extended ??= new WeakMap())
    let behavior = extended.get(shared)
    if (behavior === undefined) extended.set(shared, (behavior = this.intercepted(shared)))
    return behavior.begin(args, incarnation)
  }

  private begin(args: unknown, incarnation: Incarnation): ProgramInit {
    const made = this.made(args)
    const compiled = isSyncInit(made) ? this.afterwards(runSyncInit(made, incarnation)) : made
    const { idle, stuckAfter } = this.options
    if (idle === undefined && stuckAfter === undefined) return compiled as ProgramInit
    const watched = (handlers: ReadonlyArray<CompiledHandler>) => this.watched(handlers, incarnation)
    return Exit.isExit(compiled)
      ? Exit.map(compiled as Exit.Exit<ReadonlyArray<CompiledHandler>, unknown>, watched)
      : Effect.map(compiled as ProgramInit, watched)
  }

  private watched(handlers: ReadonlyArray<CompiledHandler>, incarnation: Incarnation): ReadonlyArray<CompiledHandler> {
    const { idle, stuckAfter } = this.options
    const { tags } = this.compiled
    const used = idle === undefined ? handlers : passivate(incarnation, tags, handlers, idle)
    return stuckAfter === undefined ? used : watchStuck(incarnation, tags, used, stuckAfter)
  }

  private made(args: unknown): Effect.Effect<object, unknown> {
    const { make } = this
    if (typeof make !== "function") return make
    try {
      return this.prepared(make(args))
    } catch (defect) {
      return Exit.die(defect)
    }
  }

  /** What can be compiled before an actor starts is compiled once, for all actors of the behavior. */
  private prepared(init: Effect.Effect<object, unknown>): Effect.Effect<object, unknown> {
    if (Exit.isExit(init) && isMade(this.layers)) return this.afterwards(init as Exit.Exit<object, unknown>)
    if (!isMade(this.layers)) {
      return Effect.flatMap(init, (handlers) =>
        Effect.flatMap(makeAll(this.layers), (layers) => this.compileAll(handlers, layers))
      )
    }
    return isSyncInit(init) ? init : Effect.flatMap(init, (handlers) => this.compileAll(handlers, this.layers))
  }

  private afterwards(made: Exit.Exit<object, unknown>): Exit.Exit<object, unknown> {
    return Exit.isSuccess(made) ? this.compileAll(made.value, this.layers) : made
  }

  private compileAll(
    handlers: object,
    layers: ReadonlyArray<Layer>
  ): Exit.Exit<ReadonlyArray<CompiledHandler>, unknown> {
    const { tags } = this.compiled
    // Those of a machine come in the order of the protocol.
    const named = Array.isArray(handlers) ? Object.fromEntries(tags.map((tag, n) => [tag, handlers[n]])) : handlers
    const table = (named ?? {}) as Record<string, CompiledHandler>
    const isMissing = (tag: string) => typeof table[tag] !== "function"
    if (tags.some(isMissing)) return Exit.die(new MissingHandler({ actor: this.name, missing: tags.filter(isMissing) }))
    for (const tag of tags) {
      const flaw = batchProblem(table[tag]!)
      if (flaw !== undefined) {
        return Exit.die(new InvalidOption({ actor: this.name, ...flaw, field: `${tag}.${flaw.field}` }))
      }
    }
    if (layers.length === 0) return Exit.succeed(tags.map((tag) => compileHandler(table[tag]!)))
    const place = { key: this.name, compiled: this.compiled }
    const around = (n: number) => (handler: CompiledHandler) => interceptHandler(layers, place, n, handler)
    const { streams } = this.compiled
    // A machine answers in a turn of its own, and a stream's interceptors run beside the turns.
    const streaming = tags.find(
      (tag, n) => Array.isArray(handlers) && streams[n] && around(n)(table[tag]!) !== table[tag]
    )
    if (streaming !== undefined) {
      const problem = "is answered by a machine, so no interceptor can be around it at the handler's side"
      return Exit.die(new InvalidOption({ actor: this.name, field: streaming, value: "a stream", problem }))
    }
    return Exit.succeed(tags.map((tag, n) => compileHandler(table[tag]!, around(n))))
  }
}

/** A behavior with its arguments: two words per actor. */
class BoundProgram implements Program {
  private readonly behavior: BehaviorImpl
  private readonly args: unknown

  constructor(behavior: BehaviorImpl, args: unknown) {
    this.behavior = behavior
    this.args = args
  }

  get name(): string {
    return this.behavior.name
  }
  get tags(): ReadonlyArray<string> {
    return this.behavior.compiled.tags
  }
  get annotations(): Compiled["annotations"] {
    return this.behavior.compiled.annotations
  }
  get around(): ReadonlyArray<Layer> {
    return this.behavior.around
  }
  declares(tag: number, error: unknown): boolean {
    return this.behavior.compiled.declares(tag, error)
  }
  init(incarnation: Incarnation): ProgramInit {
    return this.behavior.init(this.args, incarnation)
  }
}

/**
 * The behavior started with these arguments: what a supervisor needs, whose children take none.
 *
 * **Example** (Two rooms of one behavior)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Behavior, Supervisor } from "effect-otp"
 *
 * class Room extends Actor.Service<Room>()("docs/Room", { Name: { success: Schema.String } }) {}
 * const RoomLive = Room.behavior((name: string) => Effect.succeed(Room.of({ Name: () => name })))
 *
 * const Tree = Supervisor.make("rooms", {
 *   children: [
 *     Supervisor.child(RoomLive.pipe(Behavior.withArgs("red")), { id: "red" }),
 *     Supervisor.child(RoomLive.pipe(Behavior.withArgs("blue")), { id: "blue" })
 *   ]
 * })
 * const program = Effect.flatMap(Supervisor.start(Tree), (rooms) => rooms.count)
 * await Effect.runPromise(Effect.scoped(program)) // => { specs: 2, active: 2, supervisors: 0, workers: 2 }
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const withArgs: {
  <Args>(args: Args): <A, E, R>(behavior: Behavior<A, Args, E, R>) => Behavior<A, void, E, R>
  <A, Args, E, R>(behavior: Behavior<A, Args, E, R>, args: NoInfer<Args>): Behavior<A, void, E, R>
} = dual(2, (behavior: Any, args: unknown): Any => implOf(behavior).bind(args) as unknown as Any)

/** The machinery behind a behavior. @internal */
export const implOf = (behavior: Any): BehaviorImpl => behavior as unknown as BehaviorImpl

/**
 * Whether a value is a behavior.
 *
 * @category guards
 * @since 0.1.0
 */
export const isBehavior = (u: unknown): u is Any => u instanceof BehaviorImpl
