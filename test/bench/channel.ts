/**
 * What a channel costs next to Effect's own `Queue` and `PubSub`, which acknowledge nothing and cancel nothing: one fiber that puts
 * and one that takes, four of each, and batches of a hundred; and whether a queue of ten times the length, a tenth of it cancelled,
 * takes ten times as long.
 *
 *     npm run bench:channel [-- rounds items]
 *
 * All ways are interleaved in one process. Prints the time of a fast round, and the ratio to `Queue`.
 */
import { Effect, Fiber, PubSub, Queue } from "effect"
import { ActorChannel } from "effect-otp"
import { fast, seconds } from "./timing.ts"

const [rounds, items] = [Number(process.argv[2] ?? 30), Number(process.argv[3] ?? 40_000)]
const CAPACITY = 1_024
const BATCH = 100

/** Puts n items, or takes n. */
interface Way {
  readonly put: (n: number) => Effect.Effect<unknown, unknown>
  readonly take: (n: number) => Effect.Effect<unknown, unknown>
}

type Ways = Readonly<Record<string, Effect.Effect<Way, unknown, never>>>

const times = (n: number, each: (i: number) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    for (let i = 0; i < n; i++) yield* each(i)
  })

/** As long as it takes until n have come. */
const until = (n: number, some: Effect.Effect<{ readonly length: number }, unknown>) =>
  Effect.gen(function* () {
    for (let came = 0; came < n;) came += (yield* some).length
  })

const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>) => effect as Effect.Effect<A, E, never>

const single: Ways = {
  "Effect Queue": Effect.map(Queue.bounded<number>(CAPACITY), (queue) => ({
    put: (n) => times(n, (i) => Queue.offer(queue, i)),
    take: (n) => times(n, () => Queue.take(queue))
  })),
  "Effect PubSub": scoped(
    Effect.gen(function* () {
      const pubsub = yield* PubSub.bounded<number>(CAPACITY)
      const subscription = yield* PubSub.subscribe(pubsub)
      return {
        put: (n) => times(n, (i) => PubSub.publish(pubsub, i)),
        take: (n) => times(n, () => PubSub.take(subscription))
      } satisfies Way
    })
  ),
  "ActorChannel, get": scoped(
    Effect.map(ActorChannel.make<number>("bench", { capacity: CAPACITY }), (channel) => ({
      put: (n) => times(n, (i) => channel.put(i)),
      take: (n) => times(n, () => channel.get())
    }))
  ),
  "ActorChannel, take and ack": scoped(
    Effect.gen(function* () {
      const channel = yield* ActorChannel.make<number>("bench", { capacity: CAPACITY })
      const reader = yield* channel.reader("reader")
      return {
        put: (n) => times(n, (i) => channel.put(i)),
        take: (n) =>
          Effect.gen(function* () {
            for (let i = 0; i < n; i++) yield* (yield* reader.take()).ack
          })
      } satisfies Way
    })
  )
}

const numbers = Array.from({ length: BATCH }, (_, i) => i)

const batches: Ways = {
  "Effect Queue": Effect.map(Queue.bounded<number>(CAPACITY), (queue) => ({
    put: (n) => times(n / BATCH, () => Queue.offerAll(queue, numbers)),
    take: (n) => until(n, Queue.takeBetween(queue, 1, BATCH))
  })),
  "Effect PubSub": scoped(
    Effect.gen(function* () {
      const pubsub = yield* PubSub.bounded<number>(CAPACITY)
      const subscription = yield* PubSub.subscribe(pubsub)
      return {
        put: (n) => times(n / BATCH, () => PubSub.publishAll(pubsub, numbers)),
        take: (n) => until(n, PubSub.takeBetween(subscription, 1, BATCH))
      } satisfies Way
    })
  ),
  "ActorChannel, getBetween": scoped(
    Effect.map(ActorChannel.make<number>("bench", { capacity: CAPACITY }), (channel) => ({
      put: (n) => times(n / BATCH, () => channel.putAll(numbers)),
      take: (n) => until(n, channel.getBetween(1, BATCH))
    }))
  )
}

/** A given number of fibers on each side share the items. */
const run = (way: Way, fibers: number) =>
  Effect.gen(function* () {
    const share = items / fibers
    const forks: Array<Fiber.Fiber<unknown, unknown>> = []
    for (let i = 0; i < fibers; i++) {
      forks.push(yield* Effect.forkChild(way.take(share)), yield* Effect.forkChild(way.put(share)))
    }
    for (const fiber of forks) yield* Fiber.join(fiber)
  })

const compare = (title: string, ways: Ways, fibers: number) =>
  Effect.gen(function* () {
    const made = yield* Effect.all(ways)
    const measured = new Map<string, Array<number>>(Object.keys(made).map((name) => [name, []]))
    for (let round = -10; round < rounds; round++) {
      for (const [name, way] of Object.entries(made).toSorted(() => Math.random() - 0.5)) {
        const time = yield* seconds(run(way, fibers))
        if (round >= 0) measured.get(name)!.push(time)
      }
    }
    const [first] = measured.values()
    console.log(`| ${title} | ns each | ratio to Queue |\n| --- | ---: | ---: |`)
    for (const [name, values] of measured) {
      console.log(
        `| ${name} | ${((fast(values) / items) * 1e9).toFixed(0)} | ${(fast(values) / fast(first!)).toFixed(2)} |`
      )
    }
    console.log("")
  })

/** Puts n, cancels a tenth of them, all over the queue, and drains the rest. */
const cancelling = (n: number) =>
  Effect.gen(function* () {
    const channel = yield* ActorChannel.make<number>("bench", { capacity: n })
    const entries: Array<ActorChannel.Entry> = []
    for (let i = 0; i < n; i++) entries.push(yield* channel.put(i))
    for (let i = 5; i < n; i += 10) yield* entries[i]!.remove
    let left = 0
    for (; left < n * 0.9; left++) yield* channel.get()
    if ((yield* channel.stats).depth !== 0) throw new Error(`${left} read, and more is there`)
  })

const linear = Effect.gen(function* () {
  const sizes = [100_000, 1_000_000]
  const each = new Map<number, Array<number>>(sizes.map((n) => [n, []]))
  for (let round = -1; round < 5; round++) {
    for (const n of sizes) {
      const time = yield* seconds(Effect.scoped(cancelling(n)))
      if (round >= 0) each.get(n)!.push(time / n)
    }
  }
  console.log("| put, a tenth cancelled, drained | ns each | ratio |\n| --- | ---: | ---: |")
  const [few] = each.values()
  for (const [n, values] of each) {
    console.log(`| ${n} items | ${(fast(values) * 1e9).toFixed(0)} | ${(fast(values) / fast(few!)).toFixed(2)} |`)
  }
})

const program = Effect.gen(function* () {
  yield* compare("one puts, one takes", single, 1)
  yield* compare(
    "four put, four take",
    Object.fromEntries(Object.entries(single).filter(([name]) => name !== "Effect PubSub")),
    4
  )
  yield* compare(`batches of ${BATCH}`, batches, 1)
  yield* linear
})

await Effect.runPromise(Effect.scoped(program))
