/**
 * Many actors behind one ref: whoever asks does not see that it is a pool.
 *
 * A pool is a supervisor of its `members`, all of one behavior, and a `router` that stands for them: a message goes to a member
 * that has room for it, or waits in the router's queue until one has. Members are built once and serve everybody, so that
 * what takes long to make, a model, a connection, is made as often as there are members and not as often as it is used. When a
 * member crashes it is restarted as any child is; its message is lost with it, or given to another up to `retries` times.
 *
 * **Example** (Four that share the work)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Pool, Supervisor } from "effect-otp"
 *
 * class Hasher extends Actor.Service<Hasher>()("docs/Hasher", {
 *   Hash: { payload: { text: Schema.String }, success: Schema.Int }
 * }) {}
 * const HasherLive = Hasher.behavior(Effect.succeed(Hasher.of({ Hash: ({ text }) => text.length })))
 *
 * const Tree = Supervisor.make("app", { children: [Pool.child(HasherLive, { size: 4 })] })
 * const program = Effect.gen(function*() {
 *   const hasher = yield* Hasher
 *   const pool = yield* Pool.of(hasher)
 *   const length = yield* hasher.ask.Hash({ text: "seven" })
 *   return [length, (yield* pool.stats).size]
 * })
 * await Effect.runPromise(program.pipe(Effect.provide(Supervisor.layer(Tree)))) // => [5, 4]
 * ```
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ActorRef, isActorRef, type Key, slotOf } from "../actor/ActorRef.ts"
import { type Behavior, implOf } from "../actor/Behavior.ts"
import type { ChildSpec } from "../supervision/ChildSpec.ts"
import type { StartFailed } from "../supervision/errors.ts"
import * as Supervisor from "../supervision/Supervisor.ts"
import { NotPooled, type Pool, PoolHandle } from "./poolHandle.ts"
import type { Options } from "./poolOptions.ts"
import { poolOf } from "./poolRouter.ts"
import { specOf } from "./poolSpec.ts"

export {
  /** It is a member already. @since 0.1.0 */
  AlreadyMember,
  /** It gives its messages to the pool that was to be given it. @since 0.1.0 */
  MemberOfItself,
  /** A ref that is no pool's. @since 0.1.0 */
  NotPooled
} from "./poolHandle.ts"

export {
  /** Submits one by one, takes results when they are wanted. @since 0.1.0 */
  jobs,
  /** Lets a pool work on each input. @since 0.1.0 */
  map,
  /** Lets a pool work on batches of inputs. @since 0.1.0 */
  mapBatches
} from "./poolJobs.ts"

export type {
  /** What has been submitted and not been taken. @since 0.1.0 */
  Jobs,
  /** How many inputs are on their way, and in which order results come. @since 0.1.0 */
  MapOptions
} from "./poolJobs.ts"

export type {
  /** What a member has done so far, and has to do. @since 0.1.0 */
  MemberStats,
  /** What can be asked of a pool. @since 0.1.0 */
  Pool,
  /** How a pool is doing. @since 0.1.0 */
  Stats
} from "./poolHandle.ts"

export type {
  /** How many members there are, who gets what, and how each is kept alive. @since 0.1.0 */
  Options,
  /** What waits for a member. @since 0.1.0 */
  QueueOptions
} from "./poolOptions.ts"

export type {
  /** Milliseconds that something has taken. @since 0.1.0 */
  Latency
} from "./latency.ts"

export type {
  /** A message as a route sees it. @since 0.1.0 */
  MessageOf,
  /** Who gets a message. @since 0.1.0 */
  Route
} from "./routes.ts"

/**
 * A pool as a child of a tree, or a tree of its own. It provides the ref of its actor, as a single one would.
 *
 * @category constructors
 * @since 0.1.0
 */
export const child = <A, E, R>(
  behavior: Behavior<A, void, E, R>,
  options: Options<A, NoInfer<E>> = {}
): ChildSpec<A, E, R> => specOf(behavior, options) as never

/**
 * Starts a pool that lives until the Scope closes. Fails when one of its first members does, and then nothing of it is left.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = <A, E, R>(
  behavior: Behavior<A, void, E, R>,
  options: Options<A, NoInfer<E>> = {}
): Effect.Effect<Pool<A>, StartFailed<E>, R | Scope.Scope> =>
  Effect.flatMap(Supervisor.start(child(behavior, options)), ({ services }) =>
    Effect.orDie(of(Context.getUnsafe(services, implOf(behavior as never).key as never) as ActorRef<A>))
  ) as never

/**
 * The pool behind a ref, or behind an actor's service.
 *
 * @category reading
 * @since 0.1.0
 */
export const of: {
  <A>(ref: ActorRef<A>): Effect.Effect<Pool<A>, NotPooled>
  <A>(actor: Key<A>): Effect.Effect<Pool<A>, NotPooled, A>
} = <A>(refOrKey: ActorRef<A> | Key<A>): Effect.Effect<Pool<A>, NotPooled> => {
  if (!isActorRef(refOrKey)) return Effect.flatMap(refOrKey as unknown as Effect.Effect<ActorRef<A>>, (ref) => of(ref))
  const pool = poolOf(slotOf(refOrKey))
  if (pool === undefined) return Effect.fail(new NotPooled({ actor: refOrKey.path }))
  return Effect.succeed(new PoolHandle(refOrKey, pool) as never)
}
