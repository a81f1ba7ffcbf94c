/** Stages that tests put together: one that counts, one that doubles, one that hands on all that it gets. */
import { Array, Effect, Queue, Schema } from "effect"
import { Actor, type ActorRef, Stage } from "effect-otp"

export const range = (from: number, to: number): ReadonlyArray<number> => Array.range(from, to)

export class Counter extends Stage.Producer<Counter>()("test/Counter", Schema.Int, {
  /** Emits these now, asked for or not. */
  Queue: { payload: { events: Schema.Array(Schema.Int) }, success: Schema.Int },
  Crash: {},
  Sync: {}
}) {}

/** Emits what is asked for, counting up to `last`; `asked` gets each demand. */
export const counter = (
  options: Parameters<typeof Counter.behavior>[1] & { readonly last?: number; readonly asked?: Array<number> } = {}
) => {
  const { asked = [], last = Infinity, ...rest } = options
  let next = 0
  return Counter.behavior(
    Effect.sync(() =>
      Counter.of({
        demand: (count) => {
          asked.push(count)
          const events = Array.makeBy(Math.max(0, Math.min(count, last - next + 1)), (n) => next + n)
          const made = next > last ? [] : events
          next += made.length
          return made
        },
        Queue: ({ events }) => Effect.as(Counter.emit(events), events.length),
        Crash: () => Effect.die("crash"),
        Sync: () => {}
      })
    ),
    rest
  )
}

export class Doubler extends Stage.ProducerConsumer<Doubler>()(
  "test/Doubler",
  { takes: Schema.Int, emits: Schema.Int },
  { Sync: {} }
) {}

/** Emits everything twice; `got` gets the batches it takes. */
export const doubler = (
  got: Queue.Enqueue<ReadonlyArray<number>>,
  options: Parameters<typeof Doubler.behavior>[1] = {}
) =>
  Doubler.behavior(
    Effect.sync(() =>
      Doubler.of({
        events: (batch) => {
          Queue.offerUnsafe(got, batch)
          return Array.flatMap(batch, (n) => [n, n])
        },
        Sync: () => {}
      })
    ),
    options
  )

export class Sink extends Stage.Consumer<Sink>()("test/Sink", Schema.Int, { Sync: {}, Crash: {} }) {}

export interface Told {
  readonly batches: Queue.Queue<ReadonlyArray<number>>
  readonly subscribed: Array<Stage.Subscription>
  readonly cancelled: Array<string>
}

export const told: Effect.Effect<Told> = Effect.map(Queue.unbounded<ReadonlyArray<number>>(), (batches) => ({
  batches,
  subscribed: [],
  cancelled: []
}))

/** Hands on what it gets; stops taking after `most` batches, in the middle of the last. */
export const sink = (to: Told, most = Infinity) => {
  let count = 0
  return Sink.behavior(
    Effect.sync(() =>
      Sink.of({
        events: (batch) => {
          Queue.offerUnsafe(to.batches, batch)
          return ++count >= most ? Effect.never : undefined
        },
        subscribed: (subscription) => void to.subscribed.push(subscription),
        cancelled: (_, { _tag }) => void to.cancelled.push(_tag),
        Sync: () => {},
        Crash: () => Effect.die("crash")
      })
    )
  )
}

/** A sink that is killed at the end, also in the middle of a batch. */
export const spawnSink = (log: Told, most = Infinity) =>
  Effect.tap(Actor.spawn(sink(log, most)), (ref) => Effect.addFinalizer(() => Actor.kill(ref)))

/** All that these actors have been told by now is done. */
export const settle = (...refs: ReadonlyArray<ActorRef.ActorRef<Counter> | ActorRef.ActorRef<Sink>>) =>
  Effect.gen(function* () {
    // Each round may bring messages for another.
    for (let round = 0; round < 4; round++) {
      for (const ref of refs) if (ref.status === "running") yield* ref.ask.Sync()
    }
  })

/** A sink that has subscribed, and what it is told. */
export const subscribed = (
  producer: ActorRef.ActorRef<Counter>,
  options: Stage.SubscribeOptions<number> = {},
  most = Infinity
) =>
  Effect.gen(function* () {
    const log = yield* told
    const ref = yield* spawnSink(log, most)
    const subscription = yield* Stage.subscribe(ref, { ...options, to: producer })
    return { ...log, ref, subscription }
  })
