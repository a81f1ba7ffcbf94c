/**
 * Children that come and go while the program runs: one per key, found again by it, or as many as are started, or each of a
 * behavior of its own. They are addressed by ref or key, never by id; those that end are forgotten, and all stop at once.
 *
 * Where the children are known when the program is written, use `Supervisor.make`: it keeps an order among them.
 *
 * **Example** (A room for each name)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, DynamicSupervisor, Supervisor } from "effect-otp"
 *
 * class Room extends Actor.Service<Room>()("docs/Room", { Name: { success: Schema.String } }) {}
 * class Rooms extends DynamicSupervisor.Service<Rooms>()("docs/Rooms", Room) {}
 * const RoomLive = Room.behavior((name: string) => Effect.succeed(Room.of({ Name: () => name })))
 *
 * const program = Effect.gen(function*() {
 *   const room = yield* Rooms.at("lobby")
 *   return yield* room.ask.Name()
 * })
 * const Tree = Supervisor.make("chat", { children: [Rooms.child(RoomLive)] })
 * await Effect.runPromise(program.pipe(Effect.provide(Supervisor.layer(Tree)))) // => "lobby"
 * ```
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { ActorRef, Endable } from "../actor/ActorRef.ts"
import type { Behavior } from "../actor/Behavior.ts"
import type { ChildSpec } from "./ChildSpec.ts"
import { DynamicChildren, specOf, templateFlaw } from "./dynamicChildren.ts"
import type { ChildOptions, DynamicOptions, OpenOptions } from "./dynamicOptions.ts"
import { type ChildNotFound, type InvalidSpec, MaxChildrenReached, type StartFailed } from "./errors.ts"
import type { SupervisorNotRunning } from "./errors.ts"
import type { ChildStatus } from "./status.ts"

export type { ChildOptions, DynamicOptions, OpenOptions } from "./dynamicOptions.ts"
export { MaxChildrenReached }

/**
 * Why a child could not be had.
 *
 * @category errors
 * @since 0.1.0
 */
export type AtError = StartFailed<unknown> | MaxChildrenReached | SupervisorNotRunning

/**
 * Running children, each of a behavior of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenShape<Req = never> {
  /** Starts a child of any behavior. Fails, and keeps nothing, when its init does; as little when it is interrupted. */
  readonly startChild: <A, E, R>(
    behavior: Behavior<A, void, E, R>,
    options?: ChildOptions<E>
  ) => Effect.Effect<ActorRef<A>, StartFailed<E> | MaxChildrenReached | SupervisorNotRunning, R | Req>
  /**
   * Stops a child, within its shutdown time, and forgets it. Others go on meanwhile. Fails for a ref that is no child, also
   * for one that was: it has been forgotten.
   */
  readonly terminate: (ref: Endable) => Effect.Effect<void, ChildNotFound | SupervisorNotRunning, Req>
  /** All children in the order of their start, restarting ones among them. Never waits. */
  readonly children: Effect.Effect<ReadonlyArray<ChildStatus>, never, Req>
  /** How many children there are, restarting ones among them. Never waits. */
  readonly count: Effect.Effect<number, never, Req>
}

/**
 * The running children of one behavior, started with arguments or by key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape<A, Args = string, Req = never> extends OpenShape<Req> {
  /** Starts one more child with these arguments. Interrupting it stops a half-started child. */
  readonly start: (args: Args) => Effect.Effect<ActorRef<A>, AtError, Req>
  /** The running child of this key, started first if there is none. Its key is its argument. */
  readonly at: (key: Args & string) => Effect.Effect<ActorRef<A>, AtError, Req>
  /** The child of this key, if there is one. */
  readonly get: (key: string) => Effect.Effect<Option.Option<ActorRef<A>>, never, Req>
  /** Stops the child of this key and forgets it; nothing happens when there is none. */
  readonly stop: (key: string) => Effect.Effect<void, SupervisorNotRunning, Req>
  /** Everyone, in the order of their start. */
  readonly refs: Effect.Effect<ReadonlyArray<ActorRef<A>>, never, Req>
  /**
   * Takes another template and other options, as a whole (R44): the budget holds at once, what is started or restarted from
   * now on follows the new behavior, and running children are not touched.
   */
  readonly reconfigure: <E, R>(
    behavior: Behavior<A, Args, E, R>,
    options?: DynamicOptions<E>
  ) => Effect.Effect<void, InvalidSpec | SupervisorNotRunning, R | Req>
}

/**
 * A dynamic supervisor class: the service key of its children, the same calls on the one in scope, and the maker of its
 * child spec.
 *
 * @category models
 * @since 0.1.0
 */
export interface Class<Self, A, Args = string> extends Context.Key<Self, Shape<A, Args>>, Shape<A, Args, Self> {
  new (_: never): {}
  /** The supervisor as a child of a tree; its children are started with their arguments, or their key. */
  child<E, R>(behavior: Behavior<A, Args, E, R>, options?: DynamicOptions<E>): ChildSpec<Self, E, R>
}

/**
 * A dynamic supervisor class without a template: each child brings its own behavior.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenClass<Self> extends Context.Key<Self, OpenShape>, OpenShape<Self> {
  new (_: never): {}
  /** The supervisor as a child of a tree. */
  child(options?: OpenOptions): ChildSpec<Self, never, never>
}

/**
 * Defines a dynamic supervisor: `class Rooms extends DynamicSupervisor.Service<Rooms>()("app/Rooms", Room) {}`. Children
 * that take something else than a key name its type: `DynamicSupervisor.Service<Jobs, Job>()("app/Jobs", Worker)`. Without an
 * actor each child brings its own behavior.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service = <Self, Args = string>(): {
  <A>(id: string, actor: Context.Key<A, ActorRef<A>>): Class<Self, A, Args>
  (id: string): OpenClass<Self>
} =>
  ((id: string, actor?: unknown) => {
    const base = Context.Service<Self, Shape<unknown, Args>>()(id) as unknown as Context.Key<Self, DynamicChildren>
    const child =
      actor === undefined
        ? (options?: OpenOptions) => specOf(id, undefined, options ?? {})
        : (behavior: unknown, options?: OpenOptions) =>
            specOf(id, behavior as Behavior<unknown, unknown, unknown, unknown>, options ?? {}, templateFlaw(behavior))
    return Object.assign(base, accessors(base), { child })
  }) as never

/** The calls of the service, on the one in scope. */
const accessors = <Self>(key: Context.Key<Self, DynamicChildren>) => {
  const call =
    <Args extends ReadonlyArray<never>, A, E, R>(
      use: (children: DynamicChildren, ...args: Args) => Effect.Effect<A, E, R>
    ) =>
    (...args: Args) =>
      Effect.flatMap(key, (children) => use(children, ...args))
  return {
    startChild: call((children, behavior: never, options: never) => children.startChild(behavior, options)),
    terminate: call((children, ref: never) => children.terminate(ref)),
    children: Effect.flatMap(key, (children) => children.children),
    count: Effect.flatMap(key, (children) => children.count),
    start: call((children, args: never) => children.start(args)),
    at: call((children, name: never) => children.at(name)),
    get: call((children, name: never) => children.get(name)),
    stop: call((children, name: never) => children.stop(name)),
    refs: Effect.flatMap(key, (children) => children.refs),
    reconfigure: call((children, behavior: never, options: never) => children.reconfigure(behavior, options))
  }
}
