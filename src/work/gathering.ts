/**
 * Asking several actors the same.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import type { ActorRef } from "../actor/ActorRef.ts"

/**
 * Of `asked` actors, `needed` should have replied. `failures` are those that came until that could not be reached any more.
 *
 * @category errors
 * @since 0.1.0
 */
export class QuorumNotReached<E> extends Data.TaggedError("QuorumNotReached")<{
  readonly asked: number
  readonly needed: number
  readonly failures: ReadonlyArray<Cause.Cause<E>>
}> {
  override get message(): string {
    const { asked, failures, needed } = this
    if (asked === 0) return "a reply was needed, and there was nobody to ask: the list of refs is empty"
    if (asked < needed) return `${needed} replies were needed, and only ${asked} could be asked`
    const last = failures.at(-1)
    const why = last === undefined ? "" : `, the last with ${Cause.pretty(last).split("\n")[0]}`
    return `${needed} of ${asked} replies were needed, and ${failures.length} failed${why}`
  }
}

/**
 * Tells each of them, one after the other; tells how many there are.
 *
 * **Example** (All members of a pool)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Actor, Pool, Router } from "effect-otp"
 *
 * class Cache extends Actor.Service<Cache>()("docs/Cache", { Clear: {} }) {}
 * const CacheLive = Cache.behavior(Effect.succeed(Cache.of({ Clear: () => {} })))
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.start(CacheLive, { size: 3 })
 *   return yield* Router.broadcast(yield* pool.members, (cache) => cache.tell.Clear())
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => 3
 * ```
 *
 * @category several
 * @since 0.1.0
 */
export const broadcast = <A, X, E, R>(
  refs: ReadonlyArray<ActorRef<A>>,
  f: (ref: ActorRef<A>) => Effect.Effect<X, E, R>
): Effect.Effect<number, E, R> => Effect.as(Effect.forEach(refs, f, { discard: true }), refs.length)

/**
 * Asks all at once and takes the first `needed` replies, in the order in which they come; the other requests are withdrawn.
 * Fails as soon as too many have failed.
 *
 * **Example** (Two of three)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Router } from "effect-otp"
 *
 * class Replica extends Actor.Service<Replica>()("docs/Replica", { Read: { success: Schema.Int } }) {}
 * const ReplicaLive = Replica.behavior((version: number) =>
 *   Effect.succeed(Replica.of({ Read: () => version === 2 ? Effect.die("disk") : version }))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const replicas = yield* Effect.forEach([1, 2, 3], (version) => Actor.spawn(ReplicaLive, version))
 *   return Math.max(...yield* Router.quorum(replicas, 2, (replica) => replica.ask.Read()))
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => 3
 * ```
 *
 * @category several
 * @since 0.1.0
 */
export const quorum = <A, X, E, R>(
  refs: ReadonlyArray<ActorRef<A>>,
  needed: number,
  f: (ref: ActorRef<A>) => Effect.Effect<X, E, R>
): Effect.Effect<ReadonlyArray<X>, QuorumNotReached<E>, R> => firstOf(refs, needed, f)

const firstOf = <A, X, E, R>(
  refs: ReadonlyArray<ActorRef<A>>,
  needed: number,
  f: (ref: ActorRef<A>, place: number) => Effect.Effect<X, E, R>
): Effect.Effect<ReadonlyArray<X>, QuorumNotReached<E>, R> =>
  Effect.gen(function* () {
    const asked = refs.length
    const replies: Array<X> = []
    const failures: Array<Cause.Cause<E>> = []
    const exits = yield* Queue.unbounded<Exit.Exit<X, E>>()
    for (const [place, ref] of asked < needed ? [] : refs.entries()) {
      yield* Effect.forkScoped(
        Effect.flatMap(Effect.exit(Effect.suspend(() => f(ref, place))), (exit) => Queue.offer(exits, exit))
      )
    }
    while (replies.length < needed) {
      if (asked - failures.length < needed) return yield* new QuorumNotReached({ asked, needed, failures })
      const exit = yield* Queue.take(exits)
      if (Exit.isSuccess(exit)) replies.push(exit.value)
      else failures.push(exit.cause)
    }
    return replies
  }).pipe(Effect.scoped) as Effect.Effect<ReadonlyArray<X>, QuorumNotReached<E>, R>

/**
 * Asks all at once and takes the first reply; the other requests are withdrawn. Fails when all have failed.
 *
 * @category several
 * @since 0.1.0
 */
export const first = <A, X, E, R>(
  refs: ReadonlyArray<ActorRef<A>>,
  f: (ref: ActorRef<A>) => Effect.Effect<X, E, R>
): Effect.Effect<X, QuorumNotReached<E>, R> => Effect.map(quorum(refs, 1, f), ([reply]) => reply!)

/**
 * Asks the first, and whenever `after` has gone by without a reply, or one has failed, the next one too; takes the first reply
 * and withdraws the other requests. Fails when all have failed.
 *
 * **Example** (A slow one does not hold up)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Router } from "effect-otp"
 *
 * class Mirror extends Actor.Service<Mirror>()("docs/Mirror", { Get: { success: Schema.String } }) {}
 * const MirrorLive = Mirror.behavior((name: string) =>
 *   Effect.succeed(Mirror.of({ Get: () => name === "far" ? Effect.never : Effect.succeed(name) }))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const mirrors = [yield* Actor.spawn(MirrorLive, "far"), yield* Actor.spawn(MirrorLive, "near")]
 *   const got = yield* Router.hedged(mirrors, { after: "5 millis" }, (mirror) => mirror.ask.Get())
 *   yield* Actor.kill(mirrors[0]!)
 *   return got
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => "near"
 * ```
 *
 * @category several
 * @since 0.1.0
 */
export const hedged = <A, X, E, R>(
  refs: ReadonlyArray<ActorRef<A>>,
  { after }: { readonly after: Duration.Input },
  f: (ref: ActorRef<A>) => Effect.Effect<X, E, R>
): Effect.Effect<X, QuorumNotReached<E>, R> =>
  Effect.suspend(() => {
    const failed = refs.map(() => Deferred.makeUnsafe<void>())
    // By their places: a pool may be asked twice.
    return firstOf(refs, 1, (ref, turn) => {
      const before = failed.slice(0, turn).map((each) => Effect.raceFirst(Effect.sleep(after), Deferred.await(each)))
      const asked = Effect.onError(
        Effect.suspend(() => f(ref)),
        () => Deferred.succeed(failed[turn]!, undefined)
      )
      return Effect.andThen(Effect.all(before, { discard: true }), asked)
    })
  }).pipe(Effect.map(([reply]) => reply!))
