/**
 * Children started on demand, one per key, all of one behavior; each is found again by its key, and all stop together.
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
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ActorRef } from "../actor/ActorRef.ts"
import { type Behavior, withArgs } from "../actor/Behavior.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import type { Child } from "./child.ts"
import { type ChildSpec, ofBehavior, ofSupervisor, type Options } from "./ChildSpec.ts"
import { StartFailed, SupervisorNotRunning } from "./errors.ts"
import type { Intensity } from "./Intensity.ts"
import type { SupervisorNode } from "./node.ts"
import { request } from "./request.ts"

/**
 * The supervisor has as many children as it may have. Stop one, or allow more with `maxChildren`.
 *
 * @category errors
 * @since 0.1.0
 */
export class MaxChildrenReached extends Schema.TaggedError<MaxChildrenReached>()("MaxChildrenReached", {
  path: Schema.String,
  maxChildren: Schema.Number
}) {
  override get message(): string {
    return `${this.path} has ${this.maxChildren} children and may have no more`
  }
}

/**
 * Why a child could not be had.
 *
 * @category errors
 * @since 0.1.0
 */
export type AtError = StartFailed<unknown> | MaxChildrenReached | SupervisorNotRunning

/**
 * The running children of one behavior, by key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape<A> {
  /** The running child of this key, started first if there is none. */
  readonly at: (key: string) => Effect.Effect<ActorRef<A>, AtError>
  /** The child of this key, if there is one. */
  readonly get: (key: string) => Effect.Effect<Option.Option<ActorRef<A>>>
  /** Stops the child of this key and forgets it; nothing happens when there is none. */
  readonly stop: (key: string) => Effect.Effect<void, SupervisorNotRunning>
  /** How many children there are, restarting ones among them. */
  readonly count: Effect.Effect<number>
}

/**
 * How the children are kept alive.
 *
 * @category models
 * @since 0.1.0
 */
export interface DynamicOptions<E> extends Omit<Options<E>, "id" | "when"> {
  /** How many children there may be at a time; restarting ones count. Default: any number. */
  readonly maxChildren?: number
  /** How many restarts, over all children, in how much time. Default: 1 within 5 seconds. */
  readonly intensity?: Intensity
}

/**
 * A dynamic supervisor class: the service key of its children, and the maker of its child spec.
 *
 * @category models
 * @since 0.1.0
 */
export interface Class<Self, A> extends Context.Key<Self, Shape<A>> {
  new (_: never): {}
  /** The running child of this key, started first if there is none. */
  readonly at: (key: string) => Effect.Effect<ActorRef<A>, AtError, Self>
  /** The child of this key, if there is one. */
  readonly get: (key: string) => Effect.Effect<Option.Option<ActorRef<A>>, never, Self>
  /** Stops the child of this key and forgets it. */
  readonly stop: (key: string) => Effect.Effect<void, SupervisorNotRunning, Self>
  /** How many children there are. */
  readonly count: Effect.Effect<number, never, Self>
  /** The supervisor as a child of a tree; its children are started with their key. */
  child<E, R>(behavior: Behavior<A, string, E, R>, options?: DynamicOptions<E>): ChildSpec<Self, E, R>
}

/**
 * Defines a dynamic supervisor: `class Rooms extends DynamicSupervisor.Service<Rooms>()("app/Rooms", Room) {}`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <A>(id: string, _actor: Context.Key<A, ActorRef<A>>): Class<Self, A> => {
    const base = Context.Service<Self, Shape<A>>()(id)
    return Object.assign(base, {
      at: (key: string) => Effect.flatMap(base, (children) => children.at(key)),
      get: (key: string) => Effect.flatMap(base, (children) => children.get(key)),
      stop: (key: string) => Effect.flatMap(base, (children) => children.stop(key)),
      count: Effect.flatMap(base, (children) => children.count),
      child: (behavior: Behavior<A, string, unknown, unknown>, options: DynamicOptions<never> = {}) =>
        ofSupervisor(
          id,
          { children: [], ...(options.intensity === undefined ? undefined : { intensity: options.intensity }) },
          { key: id, make: (node: SupervisorNode) => new Children(node, behavior, options) }
        )
    }) as unknown as Class<Self, A>
  }

class Children<A> implements Shape<A> {
  private readonly node: SupervisorNode
  private readonly behavior: Behavior<A, string, unknown, unknown>
  private readonly options: DynamicOptions<never>
  private readonly maxChildren: number

  constructor(node: SupervisorNode, behavior: Behavior<A, string, unknown, unknown>, options: DynamicOptions<never>) {
    this.node = node
    this.behavior = behavior
    this.options = options
    this.maxChildren = options.maxChildren ?? Infinity
  }

  readonly at = (key: string): Effect.Effect<ActorRef<A>, AtError> =>
    Effect.suspend(() => {
      const existing = this.node.children.get(key)
      if (existing !== undefined && existing.state !== "stopped") return Effect.succeed(refOf<A>(existing))
      return request(this.node, () => this.startAt(key))
    })

  readonly get = (key: string): Effect.Effect<Option.Option<ActorRef<A>>> =>
    Effect.sync(() => Option.map(Option.fromUndefinedOr(this.node.children.get(key)), (child) => refOf<A>(child)))

  readonly stop = (key: string): Effect.Effect<void, SupervisorNotRunning> =>
    request(this.node, () => {
      const child = this.node.children.get(key)
      if (child === undefined) return Effect.void
      const stopped = this.node.stop(child) ?? Effect.void
      return Effect.map(stopped, () => this.node.forget(child, ExitReason.Shutdown()))
    })

  readonly count: Effect.Effect<number> = Effect.sync(() => this.node.children.size)

  private startAt(key: string): Effect.Effect<ActorRef<A>, AtError> {
    const { node } = this
    const existing = node.children.get(key)
    if (existing !== undefined) return Effect.succeed(refOf<A>(existing))
    if (node.children.size >= this.maxChildren) {
      return Effect.fail(new MaxChildrenReached({ path: node.path, maxChildren: this.maxChildren }))
    }
    const behavior = withArgs(this.behavior, key) as Behavior<unknown, void, unknown, unknown>
    const child = node.adopt(ofBehavior(behavior, { ...this.options, id: key }, false), node.tree)
    return Effect.flatMap(node.start(child), (exit) => {
      if (Exit.isSuccess(exit)) return Effect.succeed(refOf<A>(child))
      node.forget(child, ExitReason.Failed(exit.cause))
      const cause = exit.cause as Cause.Cause<never>
      return Effect.fail(new StartFailed<unknown>({ path: node.path, child: key, cause }))
    })
  }
}

const refOf = <A>(child: Child): ActorRef<A> => child.slot.ref as ActorRef<A>
