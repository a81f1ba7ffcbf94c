/**
 * How the stream of a streaming action ends: after its items with what it writes. A plain value that can leave the process.
 */
import { dual } from "effect/Function"
import * as Stream from "effect/Stream"

const TAG = "effect-otp/Flow/Done"

/**
 * The end of a streaming action: what it writes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Done<out W> {
  readonly _tag: typeof TAG
  readonly written: W
}

/** The tag, for its schema. @internal */
export const doneTag = TAG

/** @internal */
export const isDone = (u: unknown): u is Done<unknown> => (u as Partial<Done<unknown>> | null | undefined)?._tag === TAG

/**
 * The last element of a streaming action's stream: what it writes. `Flow.ending` adds it where it is made of the items.
 *
 * **Example** (A stream that says itself what it writes)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema, Stream } from "effect"
 * import { Flow } from "effect-otp/flow"
 *
 * const Count = Flow.state("docs/Count", { count: Schema.Int })
 * const countdown = Count.streaming("countdown", {
 *   writes: ["count"],
 *   item: Schema.Int,
 *   run: () => Stream.make(3, 2, 1, Flow.done({ count: 0 }))
 * })
 * const Countdown = Flow.make("countdown", { state: Count, actions: [countdown], entry: "countdown", transitions: [] })
 *
 * const program = Effect.gen(function*() {
 *   const session = yield* Flow.start(Countdown)
 *   return (yield* session.run()).state
 * })
 * await Effect.runPromise(program) // => { count: 0 }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const done = <const W>(written: W): Done<W> => ({ _tag: TAG, written })

/**
 * Ends a stream of items with what is made of all of them.
 *
 * **Example** (A reply, token by token)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema, Stream } from "effect"
 * import { Flow } from "effect-otp/flow"
 *
 * const Chat = Flow.state("docs/Tokens", { prompt: Schema.String, reply: Schema.String })
 * const answer = Chat.streaming("answer", {
 *   reads: ["prompt"],
 *   writes: ["reply"],
 *   item: Schema.String,
 *   run: ({ prompt }) => Stream.make("you said ", prompt).pipe(Flow.ending((tokens) => ({ reply: tokens.join("") })))
 * })
 * await Effect.runPromise(Stream.runCollect(answer.run({ prompt: "hi" }))) // => ["you said ", "hi", Flow.done({ reply: "you said hi" })]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const ending: {
  <I, W>(
    write: (items: ReadonlyArray<I>) => W
  ): <E, R>(items: Stream.Stream<I, E, R>) => Stream.Stream<I | Done<W>, E, R>
  <I, E, R, W>(items: Stream.Stream<I, E, R>, write: (items: ReadonlyArray<I>) => W): Stream.Stream<I | Done<W>, E, R>
} = dual(
  2,
  <I, E, R, W>(
    items: Stream.Stream<I, E, R>,
    write: (items: ReadonlyArray<I>) => W
  ): Stream.Stream<I | Done<W>, E, R> =>
    Stream.suspend(() => {
      const seen: Array<I> = []
      const kept = Stream.map(items, (item) => {
        seen.push(item)
        return item
      })
      return Stream.concat(
        kept,
        Stream.suspend(() => Stream.succeed<Done<W>>({ _tag: TAG, written: write(seen) }))
      )
    })
)
