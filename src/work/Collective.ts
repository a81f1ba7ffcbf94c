/**
 * Operations that n members do together, in MPI's terms: barrier, broadcast, reduce, all-reduce, gather, all-gather, scatter.
 *
 * A group has a fixed size, and each member a rank, from 0. All members call the same operations in the same order; the nth
 * call of each is round n, and nobody gets a result before all have called. Whoever calls something else than the others is
 * told so, and so are they (`Mismatch`).
 *
 * Members fail together. When one leaves (its Scope closes: an actor's when it ends or crashes), is interrupted while it waits,
 * or is late for longer than the group's `timeout`, the **generation** is over: all who wait fail at once with a
 * `CollectiveError` that names the rank and the reason, and so do all later calls of its members. The next generation is formed
 * by who joins (a restarted actor does, in its init) and by the members of before that call `rejoin`; rounds count from 0 again.
 * So no call of before the accident ever meets one of after it. Under `one-for-all` supervision everybody restarts and joins,
 * and there is nothing to catch.
 *
 * **Example** (Three add up)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Collective } from "effect-otp"
 *
 * const program = Effect.gen(function*() {
 *   const group = yield* Collective.make("sums", { size: 3 })
 *   const work = Effect.gen(function*() {
 *     const member = yield* group.join()
 *     const total = yield* member.allReduce(member.rank + 1, Collective.sum)
 *     yield* member.barrier
 *     return total
 *   })
 *   return yield* Effect.all([work, work, work], { concurrency: "unbounded" })
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [6, 6, 6]
 * ```
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { LazyArg } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { isWhole, limitMillis } from "../actor/limit.ts"
import { type ChildSpec, service } from "../supervision/Supervisor.ts"
import { type CollectiveError, InvalidSize, JoinError } from "./collectiveErrors.ts"
import { GroupCore, type Seat } from "./collectiveGroup.ts"
import * as Rounds from "./collectiveRounds.ts"

export {
  /** An operation failed, for all members. @since 0.1.0 */
  CollectiveError,
  /** Combining threw. @since 0.1.0 */
  CombineFailed,
  /** The group is no more. @since 0.1.0 */
  GroupClosed,
  /** All ranks are taken. @since 0.1.0 */
  GroupFull,
  /** A size that no group can have. @since 0.1.0 */
  InvalidSize,
  /** Nobody could be made a member. @since 0.1.0 */
  JoinError,
  /** A member is no longer there. @since 0.1.0 */
  MemberLeft,
  /** The members do not mean the same. @since 0.1.0 */
  Mismatch,
  /** There is no such rank. @since 0.1.0 */
  NoSuchRank,
  /** The rank is another member's. @since 0.1.0 */
  RankTaken,
  /** The member has left for good. @since 0.1.0 */
  ScopeClosed,
  /** Some were late. @since 0.1.0 */
  TimedOut
} from "./collectiveErrors.ts"

/**
 * Combines two values of one type. Called with the values in the order of their ranks; the function of rank 0 is used.
 *
 * @category models
 * @since 0.1.0
 */
export type Combine<A> = Rounds.Combine<A>

/**
 * Arrays of numbers that can be combined element by element.
 *
 * @category models
 * @since 0.1.0
 */
export type NumberArray = Rounds.NumberArray

/**
 * One member of a group. Each operation is done once all members have called it; a call that is interrupted while it waits
 * breaks the generation. Values and results are handed over as they are, not copied: treat them as values.
 *
 * @category models
 * @since 0.1.0
 */
export interface Member {
  /** From 0 to `size` - 1. */
  readonly rank: number
  readonly size: number
  /** The generation it is in, from 1. */
  readonly generation: Effect.Effect<number>
  /** Waits for all. */
  readonly barrier: Effect.Effect<void, CollectiveError>
  /** The value of the root, which alone makes it. */
  readonly broadcast: <A>(root: number, value: LazyArg<A>) => Effect.Effect<A, CollectiveError>
  /** All values combined, for the root; `None` for others. */
  readonly reduce: <A>(root: number, value: A, combine: Combine<A>) => Effect.Effect<Option.Option<A>, CollectiveError>
  /** All values combined, for all. */
  readonly allReduce: <A>(value: A, combine: Combine<A>) => Effect.Effect<A, CollectiveError>
  /** All values by rank, for the root; `None` for others. */
  readonly gather: <A>(root: number, value: A) => Effect.Effect<Option.Option<ReadonlyArray<A>>, CollectiveError>
  /** All values by rank, for all. */
  readonly allGather: <A>(value: A) => Effect.Effect<ReadonlyArray<A>, CollectiveError>
  /** To each its own of the root's values, which alone makes them: one for each rank. */
  readonly scatter: <A>(root: number, values: LazyArg<ReadonlyArray<A>>) => Effect.Effect<A, CollectiveError>
  /** Into the generation that is being formed, when the one it was in is over; nothing when it is not. Does not wait. */
  readonly rejoin: Effect.Effect<void, JoinError>
}

/**
 * What a group is doing. `waiting`: for each open round who has called.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  readonly generation: number
  readonly size: number
  readonly joined: ReadonlyArray<number>
  readonly waiting: ReadonlyArray<{
    readonly round: number
    readonly operation: string
    readonly ranks: ReadonlyArray<number>
  }>
}

/**
 * How many are in a group, and how long they wait for each other.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How many members there are: a whole number of 1 or more. */
  readonly size: number
  /** How long one member waits for the others, in any operation, before the generation is over. Default: for ever. */
  readonly timeout?: Duration.Input
}

/**
 * How to join.
 *
 * @category models
 * @since 0.1.0
 */
export interface JoinOptions {
  /** The rank wanted. Default: the lowest that is free, which for a member that was restarted alone is the one it had. */
  readonly rank?: number
}

/**
 * A group of members.
 *
 * @category models
 * @since 0.1.0
 */
export interface Collective<Req = never> {
  /** Becomes a member until the Scope closes, an actor until it ends. Does not wait for the others. */
  readonly join: (options?: JoinOptions) => Effect.Effect<Member, JoinError, Scope.Scope | Req>
  /** Who is in it, and who waits. */
  readonly status: Effect.Effect<Status, never, Req>
}

/**
 * A group that lives until the Scope closes; who waits then is told `GroupClosed`. Throws `InvalidSize` and `InvalidLimit`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, options: Options): Effect.Effect<Collective, never, Scope.Scope> => {
  const { size, timeout = Infinity } = options
  if (!isWhole(size, 1)) throw new InvalidSize({ group: name, value: size })
  const millis = limitMillis("timeout", timeout)
  const core = Effect.acquireRelease(
    Effect.sync(() => new GroupCore(name, size, millis)),
    (core) => Effect.sync(() => core.close())
  )
  return Effect.map(core, (core): Collective => ({
    join: (options) => join(core, options?.rank),
    status: Effect.sync(() => core.status)
  }))
}

const join = (core: GroupCore, rank: number | undefined): Effect.Effect<Member, JoinError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.suspend(() => {
        const seat = core.join(rank)
        return seat instanceof JoinError ? Effect.fail(seat) : Effect.succeed(seat)
      }),
      (seat, exit) => Effect.sync(() => core.leave(seat, exit))
    ),
    (seat) => new MemberImpl(core, seat)
  )

class MemberImpl implements Member {
  readonly rank: number
  readonly size: number
  private readonly core: GroupCore
  private readonly seat: Seat

  constructor(core: GroupCore, seat: Seat) {
    this.core = core
    this.seat = seat
    this.rank = seat.rank
    this.size = core.size
  }

  get generation(): Effect.Effect<number> {
    return Effect.sync(() => this.seat.generation.number)
  }

  get barrier(): Effect.Effect<void, CollectiveError> {
    return this.call("barrier", undefined, () => undefined)
  }

  broadcast<A>(root: number, value: LazyArg<A>): Effect.Effect<A, CollectiveError> {
    return this.call("broadcast", root, () => (root === this.rank ? value() : undefined))
  }

  reduce<A>(root: number, value: A, combine: Combine<A>): Effect.Effect<Option.Option<A>, CollectiveError> {
    return this.call("reduce", root, () => value, combine)
  }

  allReduce<A>(value: A, combine: Combine<A>): Effect.Effect<A, CollectiveError> {
    return this.call("allReduce", undefined, () => value, combine)
  }

  gather<A>(root: number, value: A): Effect.Effect<Option.Option<ReadonlyArray<A>>, CollectiveError> {
    return this.call("gather", root, () => value)
  }

  allGather<A>(value: A): Effect.Effect<ReadonlyArray<A>, CollectiveError> {
    return this.call("allGather", undefined, () => value)
  }

  scatter<A>(root: number, values: LazyArg<ReadonlyArray<A>>): Effect.Effect<A, CollectiveError> {
    return this.call("scatter", root, () => (root === this.rank ? values() : undefined))
  }

  get rejoin(): Effect.Effect<void, JoinError> {
    return Effect.suspend(() => {
      const refused = this.core.rejoin(this.seat)
      return refused === undefined ? Effect.void : Effect.fail(refused)
    })
  }

  private call<A>(
    kind: Rounds.Kind,
    root: number | undefined,
    value: LazyArg<unknown>,
    combine?: (left: never, right: never) => unknown
  ): Effect.Effect<A, CollectiveError> {
    return this.core.call(this.seat, () => ({
      operation: { kind, root },
      value: value(),
      combine: combine as Combine<unknown> | undefined
    })) as Effect.Effect<A, CollectiveError>
  }
}

/**
 * A group class: the service key of a group, and the child spec to list in a tree.
 *
 * @category models
 * @since 0.1.0
 */
export interface Class<Self> extends Context.Key<Self, Collective>, Collective<Self> {
  new (_: never): {}
  /** The group as a child: list it before its members, under `rest-for-one`. When it restarts, it is another group. */
  readonly child: ChildSpec<Self, never, never>
  /** The group outside a tree. */
  readonly layer: Layer.Layer<Self>
}

/**
 * Defines a group that members find as a service: `class Ring extends Collective.Service<Ring>()("app/Ring", { size: 4 }) {}`.
 *
 * **Example** (Actors that agree on a maximum)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Collective, Supervisor } from "effect-otp"
 *
 * class Judges extends Collective.Service<Judges>()("docs/Judges", { size: 2 }) {}
 * class Judge extends Actor.Service<Judge>()("docs/Judge", {
 *   Agree: { payload: { mark: Schema.Finite }, success: Schema.Finite, error: Collective.CollectiveError }
 * }) {}
 *
 * const JudgeLive = Judge.behavior(Effect.gen(function*() {
 *   const member = yield* Judges.join()
 *   return Judge.of({ Agree: ({ mark }) => member.allReduce(mark, Collective.max) })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const [ann, bob] = [yield* Actor.spawn(JudgeLive), yield* Actor.spawn(JudgeLive)]
 *   return yield* Effect.all([ann.ask.Agree({ mark: 7 }), bob.ask.Agree({ mark: 9 })], { concurrency: 2 })
 * })
 * const App = Supervisor.layer(Supervisor.make("contest", { children: [Judges.child] }))
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(App))) // => [9, 9]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  (id: string, options: Options): Class<Self> => {
    const key = Context.Service<Self, Collective>()(id)
    const layer = Layer.effect(key, make(id, options))
    return Object.assign(key, {
      join: (options?: JoinOptions) => Effect.flatMap(key, (group) => group.join(options)),
      status: Effect.flatMap(key, (group) => group.status),
      child: service(id, layer),
      layer
    }) as unknown as Class<Self>
  }

/**
 * Adds two numbers.
 *
 * @category combining
 * @since 0.1.0
 */
export const sum: Combine<number> = (left, right) => left + right

/**
 * Multiplies two numbers.
 *
 * @category combining
 * @since 0.1.0
 */
export const product: Combine<number> = (left, right) => left * right

/**
 * The lesser of two numbers; NaN if one of them is.
 *
 * @category combining
 * @since 0.1.0
 */
export const min: Combine<number> = (left, right) => Math.min(left, right)

/**
 * The greater of two numbers; NaN if one of them is.
 *
 * @category combining
 * @since 0.1.0
 */
export const max: Combine<number> = (left, right) => Math.max(left, right)

/**
 * Combines arrays element by element, in place: with `allReduce` the array of each member becomes the result, with `reduce`
 * that of the root. One pass over the arrays; in double precision, rounded once. Arrays of different kinds
 * or lengths are a `Mismatch`. Leave the array alone while you wait; where the operation fails it is what it was. All of it is
 * done in one go, by whoever comes last, and the event loop waits for it.
 *
 * **Example** (The mean of gradients)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Collective } from "effect-otp"
 *
 * const program = Effect.gen(function*() {
 *   const group = yield* Collective.make("training", { size: 2 })
 *   const step = Effect.gen(function*() {
 *     const member = yield* group.join()
 *     const gradients = Float32Array.of(1, 2, member.rank)
 *     yield* member.allReduce(gradients, Collective.elementwise(Collective.sum))
 *     return Array.from(gradients, (sum) => sum / member.size)
 *   })
 *   return yield* Effect.all([step, step], { concurrency: "unbounded" })
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [[1, 2, 0.5], [1, 2, 0.5]]
 * ```
 *
 * @category combining
 * @since 0.1.0
 */
export const elementwise: (f: Combine<number>) => <A extends NumberArray>(left: A, right: A) => A = Rounds.elementwise
