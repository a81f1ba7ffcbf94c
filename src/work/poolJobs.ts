/**
 * Giving a pool many things to do, and taking the results.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Pool, PoolHandle } from "./poolHandle.ts"

/**
 * How many inputs are on their way at a time (default: what all members could have at once, when it has grown as large as it may, and
 * as many again as far as the queue has room), and whether results come in the order in which they are ready (default: in the order of the inputs).
 *
 * @category models
 * @since 0.1.0
 */
export interface MapOptions {
  readonly concurrency?: number
  readonly unordered?: boolean
}

/** Not so many that they run out of time in the queue. */
const widthOf = <A>(pool: Pool<A>, { concurrency }: MapOptions): Effect.Effect<number> =>
  concurrency === undefined ? (pool as unknown as PoolHandle).width : Effect.succeed(concurrency)

/**
 * Lets a pool work on each input: results come as they are taken, in order, and no more inputs are taken than are worked on or
 * are next. The first failure ends it, and withdraws what is on its way.
 *
 * **Example** (In the order of the inputs)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema, Stream } from "effect"
 * import { Actor, Pool } from "effect-otp"
 *
 * class Squares extends Actor.Service<Squares>()("docs/Squares", {
 *   Of: { payload: { n: Schema.Int }, success: Schema.Int }
 * }) {}
 * const SquaresLive = Squares.behavior(Effect.succeed(Squares.of({ Of: ({ n }) => n * n })))
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.start(SquaresLive, { size: 2 })
 *   return yield* Stream.runCollect(Pool.map(pool, [1, 2, 3], (squares, n) => squares.ask.Of({ n })))
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [1, 4, 9]
 * ```
 *
 * @category distributing
 * @since 0.1.0
 */
export const map = <A, In, Out, E, R, E2 = never, R2 = never>(
  pool: Pool<A>,
  inputs: Iterable<In> | Stream.Stream<In, E2, R2>,
  f: (ref: ActorRef<A>, input: In) => Effect.Effect<Out, E, R>,
  options: MapOptions = {}
): Stream.Stream<Out, E | E2, R | R2> =>
  Stream.unwrap(
    Effect.map(widthOf(pool, options), (concurrency) =>
      Stream.mapEffect(streamOf(inputs), (input) => f(pool.ref, input), {
        concurrency,
        unordered: options.unordered ?? false
      })
    )
  )

const streamOf = <In, E, R>(inputs: Iterable<In> | Stream.Stream<In, E, R>): Stream.Stream<In, E, R> =>
  Stream.isStream(inputs) ? (inputs as Stream.Stream<In, E, R>) : Stream.fromIterable(inputs as Iterable<In>)

/**
 * Splits the inputs into batches of `size`, lets a pool work on each, and merges the results: one for each input, or as many as
 * the batch gives. A pool that scales itself grows with the batches that wait.
 *
 * **Example** (Three at a time)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema, Stream } from "effect"
 * import { Actor, Pool } from "effect-otp"
 *
 * class Sorter extends Actor.Service<Sorter>()("docs/Sorter", {
 *   Sort: { payload: { numbers: Schema.Array(Schema.Int) }, success: Schema.Array(Schema.Int) }
 * }) {}
 * const SorterLive = Sorter.behavior(Effect.succeed(Sorter.of({ Sort: ({ numbers }) => numbers.toSorted() })))
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.start(SorterLive, { size: 2 })
 *   const sorted = Pool.mapBatches(pool, [3, 1, 2, 5, 4], (sorter, numbers) => sorter.ask.Sort({ numbers }), { size: 3 })
 *   return yield* Stream.runCollect(sorted)
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [1, 2, 3, 4, 5]
 * ```
 *
 * @category distributing
 * @since 0.1.0
 */
export const mapBatches = <A, In, Out, E, R, E2 = never, R2 = never>(
  pool: Pool<A>,
  inputs: Iterable<In> | Stream.Stream<In, E2, R2>,
  f: (ref: ActorRef<A>, batch: NonEmptyReadonlyArray<In>) => Effect.Effect<ReadonlyArray<Out>, E, R>,
  options: MapOptions & { readonly size: number }
): Stream.Stream<Out, E | E2, R | R2> =>
  Stream.flattenIterable(map(pool, Stream.grouped(streamOf(inputs), options.size), f, options))

/**
 * What has been submitted to a pool and not been taken yet.
 *
 * @category models
 * @since 0.1.0
 */
export interface Jobs<in In, out Out, out E> {
  /** Begins at once, with the next member that is free: never waits. */
  readonly submit: (input: In) => Effect.Effect<void>
  /** The result of the one submitted first of those not taken yet; waits for it. `None`: all have been taken. */
  readonly next: Effect.Effect<Option.Option<Out>, E>
  /** The result of the one that is ready first of those not taken yet; waits for it. `None`: all have been taken. */
  readonly nextUnordered: Effect.Effect<Option.Option<Out>, E>
  /** How many have been submitted and not been taken. */
  readonly pending: Effect.Effect<number>
  /** Whether a member is free, so that one more would not have to wait. */
  readonly hasFree: Effect.Effect<boolean>
}

/**
 * Submits to a pool one by one, and takes results when they are wanted: in the order of submission, or of completion, even by turns.
 * What nobody has taken when the Scope closes is withdrawn.
 *
 * **Example** (Whichever is ready)
 *
 * ```ts import.meta.vitest
 * import { Effect, Option, Schema } from "effect"
 * import { Actor, Pool } from "effect-otp"
 *
 * class Cook extends Actor.Service<Cook>()("docs/Cook", {
 *   Boil: { payload: { millis: Schema.Int }, success: Schema.Int }
 * }) {}
 * const CookLive = Cook.behavior(Effect.succeed(Cook.of({ Boil: ({ millis }) => Effect.delay(Effect.succeed(millis), millis) })))
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.start(CookLive, { size: 3 })
 *   const eggs = yield* Pool.jobs(pool, (cook, millis: number) => cook.ask.Boil({ millis }))
 *   for (const millis of [60, 1, 30]) yield* eggs.submit(millis)
 *   const ready = [yield* eggs.nextUnordered, yield* eggs.next, yield* eggs.next, yield* eggs.next]
 *   return ready.map(Option.getOrNull)
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [1, 60, 30, null]
 * ```
 *
 * @category distributing
 * @since 0.1.0
 */
export const jobs = <A, In, Out, E, R>(
  pool: Pool<A>,
  f: (ref: ActorRef<A>, input: In) => Effect.Effect<Out, E, R>
): Effect.Effect<Jobs<In, Out, E>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<R | Scope.Scope>()
    /** In the order of submission. */
    const pending = new Set<Fiber.Fiber<Out, E>>()
    /** Those of them that are, in the order in which they came to be. */
    const ready = new Set<Fiber.Fiber<Out, E>>()
    const more = Latch.makeUnsafe(false)
    const oneTaker = Semaphore.makeUnsafe(1)
    const take = (fiber: Fiber.Fiber<Out, E>) =>
      Effect.flatMap(Fiber.await(fiber), (exit) => {
        pending.delete(fiber)
        ready.delete(fiber)
        return Effect.asSome(exit)
      })
    const first = Effect.suspend(() => {
      const [fiber] = pending
      return fiber === undefined ? Effect.succeedNone : take(fiber)
    })
    const firstReady: Effect.Effect<Option.Option<Out>, E> = Effect.suspend(() => {
      if (pending.size === 0) return Effect.succeedNone
      const [fiber] = ready
      if (fiber !== undefined) return take(fiber)
      more.closeUnsafe()
      return Effect.andThen(more.await, firstReady)
    })
    const submit = (input: In) =>
      Effect.map(
        Effect.forkScoped(
          Effect.suspend(() => f(pool.ref, input)),
          { startImmediately: true }
        ),
        (fiber) => {
          pending.add(fiber)
          fiber.addObserver(() => {
            ready.add(fiber)
            more.openUnsafe()
          })
        }
      )
    return {
      submit: (input: In) => Effect.provideContext(submit(input), context),
      next: oneTaker.withPermit(first),
      nextUnordered: oneTaker.withPermit(firstReady),
      pending: Effect.sync(() => pending.size),
      hasFree: Effect.map(pool.stats, ({ free, queued }) => free > 0 && queued === 0)
    }
  })
