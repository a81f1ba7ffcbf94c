/**
 * Stages and streams: a producer fed by a stream, and a stream of what a stage emits. Either side goes at the pace of the
 * other.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Actor from "../actor/Actor.ts"
import type { ActorContext } from "../actor/ActorContext.ts"
import type { ActorRef } from "../actor/ActorRef.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import { defineStage } from "./stageDefinition.ts"
import { checkSubscribeOptions, type SubscribeOptions } from "./stageSubscription.ts"
import type { ConsumerClass, EmittingOptions, ProducerClass } from "./stageTypes.ts"

/**
 * A stage whose events a stream took has ended, and not in order; or did not take the subscription.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProducerEnded extends Schema.TaggedError<ProducerEnded>()("ProducerEnded", {
  producer: Schema.String,
  reason: Schema.Unknown
}) {
  override get message(): string {
    return `${this.producer}, which a stream takes events from, ${ExitReason.format(this.reason as ExitReason.ExitReason)}`
  }
}

// --- From a stream ---

/** A behavior that emits a stream's elements, as many as are asked for, and ends with it. @internal */
export const fromStream = <Self, A, E, R>(
  stage: ProducerClass<Self, string, A, {}>,
  stream: Stream.Stream<A, E, R>,
  options: EmittingOptions<A> | undefined
) =>
  stage.behavior(
    Effect.gen(function* () {
      const pull = yield* Stream.toPull(stream)
      let owed = 0
      let pulling = false
      let rest: ReadonlyArray<A> = []
      const take = (): ReadonlyArray<A> => {
        const taken = rest.slice(0, owed)
        rest = rest.slice(taken.length)
        owed -= taken.length
        return taken
      }
      // Beside the messages, so that a slow stream keeps nobody from subscribing or leaving.
      const goOn: Effect.Effect<void, E, ActorContext | R> = Effect.suspend(() => {
        if (pulling || owed === 0) return Effect.void
        pulling = true
        return Actor.pipeToSelf(pull, (exit): Effect.Effect<unknown, E, ActorContext | R> => {
          pulling = false
          if (Exit.isFailure(exit)) {
            return Pull.isDoneCause(exit.cause) ? stage.end : Effect.failCause(exit.cause as Cause.Cause<E>)
          }
          rest = exit.value
          return Effect.andThen(stage.emit(take()), goOn)
        })
      })
      return {
        demand: (count: number) => {
          owed += count
          const ready = take()
          return Effect.as(goOn, ready)
        }
      }
    }),
    options
  )

// --- To a stream ---

interface Batch {
  readonly events: ReadonlyArray<unknown>
}

class Collector {}

/** Hands over one batch at a time, and is done with it when the next one is wanted. */
const CollectorStage = defineStage(
  "effect-otp/Stage/stream",
  { consumes: true, emits: false },
  {},
  {}
) as ConsumerClass<Collector, string, unknown, {}>

const collector = (batches: Queue.Queue<Batch, ProducerEnded | Cause.Done>, done: Queue.Dequeue<void>) =>
  CollectorStage.behavior(
    Effect.succeed({
      events: (events: ReadonlyArray<unknown>) => {
        Queue.offerUnsafe(batches, { events })
        return Queue.take(done)
      },
      cancelled: ({ producer }: { readonly producer: ActorRef<unknown> }, reason: ExitReason.ExitReason) =>
        ExitReason.isAbnormal(reason)
          ? Queue.fail(batches, new ProducerEnded({ producer: producer.path, reason }))
          : Queue.end(batches)
    })
  )

/** @internal */
export const toStream = (
  producer: ActorRef<unknown>,
  options: SubscribeOptions
): Stream.Stream<unknown, ProducerEnded> =>
  Stream.unwrap(
    Effect.gen(function* () {
      checkSubscribeOptions("a stream of a stage", options)
      const batches = yield* Queue.unbounded<Batch, ProducerEnded | Cause.Done>()
      const done = yield* Queue.unbounded<void>()
      const ref = yield* Actor.spawn(collector(batches, done))
      // What it has not handed over it must not wait for.
      yield* Effect.addFinalizer(() => Actor.kill(ref))
      const attach = ref as unknown as {
        readonly ask: { readonly Attach: (payload: unknown) => Effect.Effect<unknown> }
      }
      yield* attach.ask.Attach({
        to: producer,
        options: { ...options, demand: "automatic", cancel: "temporary" },
        attempt: {}
      })
      let open = false
      const pull = Effect.suspend(() => {
        if (open) Queue.offerUnsafe(done, undefined)
        open = true
        return Effect.map(Queue.take(batches), ({ events }) => events as [unknown, ...ReadonlyArray<unknown>])
      })
      return Stream.fromPull(Effect.succeed(pull))
    })
  )

/**
 * Maps with an effect, one after the other, and has the next results ready while one is worked on: a chain of asks in which
 * nobody waits for what could have been fetched meanwhile. `ahead` results wait at most, 1 if nothing is said.
 *
 * **Example** (Fetched while the one before is parsed)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema, Stream } from "effect"
 * import { Actor, Stage } from "effect-otp"
 *
 * class Fetcher extends Actor.Service<Fetcher>()("docs/Fetcher", { Get: { payload: { id: Schema.Int }, success: Schema.String } }) {}
 * class Parser extends Actor.Service<Parser>()("docs/Parser", { Size: { payload: { text: Schema.String }, success: Schema.Int } }) {}
 *
 * const program = Effect.gen(function*() {
 *   const fetcher = yield* Actor.spawn(Fetcher.behavior(Effect.succeed(Fetcher.of({ Get: ({ id }) => "x".repeat(id) }))))
 *   const parser = yield* Actor.spawn(Parser.behavior(Effect.succeed(Parser.of({ Size: ({ text }) => text.length }))))
 *   return yield* Stream.range(1, 4).pipe(
 *     Stage.prefetch((id) => fetcher.ask.Get({ id })),
 *     Stage.prefetch((text) => parser.ask.Size({ text })),
 *     Stream.runCollect
 *   )
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [1, 2, 3, 4]
 * ```
 *
 * @category streams
 * @since 0.1.0
 */
export const prefetch =
  <A, B, E2, R2>(f: (a: A) => Effect.Effect<B, E2, R2>, options: { readonly ahead?: number } = {}) =>
  <E, R>(stream: Stream.Stream<A, E, R>): Stream.Stream<B, E | E2, R | R2> =>
    stream.pipe(Stream.mapEffect(f), Stream.buffer({ capacity: options.ahead ?? 1 }))
