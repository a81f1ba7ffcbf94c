/**
 * What a pool costs: asks and tells of one actor, of pools of four by each route, and of a router, interleaved in one process; and a queue
 * of many asks of which every tenth is withdrawn, at two sizes.
 *
 *     node --expose-gc --conditions=effect-otp/source test/bench/pool.ts [rounds] [messages]
 *
 * Prints the processor time of fast rounds, and what they are above those of the one actor. `one actor again` shows how much two runs of the same
 * thing differ.
 */
import { Duration, Effect, Fiber, Latch, Schema } from "effect"
import { Actor, ActorRef, Pool, Router } from "effect-otp"
import { fast, processorSeconds } from "./timing.ts"

class Echo extends Actor.Service<Echo>()("bench/Echo", {
  Next: { payload: { key: Schema.Int }, success: Schema.Int },
  Effectful: { payload: { key: Schema.Int }, success: Schema.Int },
  Note: { payload: { key: Schema.Int } }
}) {}

const EchoLive = Echo.behavior(
  Echo.sync(() => {
    let count = 0
    return Echo.of({
      Next: () => ++count,
      Effectful: () =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => ++count)
        ),
      Note: () => void count++
    })
  })
)

const pooled = (options: Pool.Options<Echo, never>) =>
  Effect.map(Effect.orDie(Pool.start(EchoLive, { size: 4, ...options })), ({ ref }) => ref)

const ways = {
  "one actor": Actor.spawn(EchoLive),
  "one actor again": Actor.spawn(EchoLive),
  "least-loaded": pooled({}),
  "round-robin": pooled({ route: "round-robin" }),
  random: pooled({ route: "random" }),
  "shorter-of-two": pooled({ route: "shorter-of-two" }),
  hash: pooled({ route: { hash: ({ payload }) => payload.key } }),
  sticky: pooled({ route: { sticky: ({ payload }) => payload.key } }),
  "router over four": Effect.flatMap(
    Effect.forEach([1, 2, 3, 4], () => Actor.spawn(EchoLive)),
    (members) => Actor.spawn(Router.behavior(Echo, { members }))
  )
}

const [rounds, messages] = [Number(process.argv[2] ?? 30), Number(process.argv[3] ?? 50_000)]

const kinds: Readonly<Record<string, (ref: ActorRef.ActorRef<Echo>, n: number) => Effect.Effect<unknown, unknown>>> = {
  "ask, answered at once": (ref, n) =>
    Effect.gen(function* () {
      for (let key = 0; key < n; key++) yield* ref.ask.Next({ key: key & 15 })
    }),
  "ask, answered by an effect": (ref, n) =>
    Effect.gen(function* () {
      for (let key = 0; key < n; key++) yield* ref.ask.Effectful({ key: key & 15 })
    }),
  "ask, from 100 callers": (ref, n) =>
    Effect.forEach(
      Array.from({ length: 100 }),
      () =>
        Effect.gen(function* () {
          for (let key = 0; key < n / 100; key++) yield* ref.ask.Effectful({ key: key & 15 })
        }),
      { concurrency: "unbounded", discard: true }
    ),
  tell: (ref, n) =>
    Effect.gen(function* () {
      for (let key = 0; key < n; key++) {
        yield* ref.tell.Note({ key: key & 15 })
        if (key % 1_000 === 999) yield* ref.ask.Next({ key })
      }
    })
}

const overhead = Effect.gen(function* () {
  for (const [kind, run] of Object.entries(kinds)) {
    const refs = new Map<string, ActorRef.ActorRef<Echo>>()
    for (const [name, start] of Object.entries(ways)) refs.set(name, yield* start)
    const times = new Map<string, Array<number>>()
    for (let round = -10; round < rounds; round++) {
      // In another order each round: what one leaves behind is not always the same one's burden.
      for (const [name, ref] of [...refs].toSorted(() => Math.random() - 0.5)) {
        const time = yield* processorSeconds(run(ref, messages))
        if (round >= 0) times.set(name, [...(times.get(name) ?? []), time])
      }
    }
    const bare = (fast(times.get("one actor")!) / messages) * 1e9
    console.log(`| ${kind} | ns each | more than one actor, ns |\n| --- | ---: | ---: |`)
    for (const name of refs.keys()) {
      const each = (fast(times.get(name)!) / messages) * 1e9
      console.log(`| ${name} | ${each.toFixed(0)} | ${(each - bare).toFixed(0)} |`)
    }
    console.log("")
  }
})

class Gated extends Actor.Service<Gated>()("bench/Gated", {
  Hold: {},
  Do: { success: Schema.Int }
}) {}

/** How long it takes to work through a queue, each tenth of which nobody waits for any more. */
const drain = (queued: number) =>
  Effect.gen(function* () {
    const gate = yield* Latch.make()
    const GatedLive = Gated.behavior(
      Gated.sync(() => {
        let done = 0
        return Gated.of({ Hold: () => gate.await, Do: () => ++done })
      })
    )
    const pool = yield* Effect.orDie(Pool.start(GatedLive, { size: 1 }))
    const patient = pool.ref.pipe(ActorRef.withTimeout(Duration.infinity))
    yield* pool.ref.tell.Hold()
    const asks: Array<Fiber.Fiber<number, unknown>> = []
    for (let n = 0; n < queued; n++) {
      asks.push(yield* Effect.forkChild(patient.ask.Do(), { startImmediately: true }))
    }
    for (let n = 0; n < queued; n += 10) asks[n]!.interruptUnsafe()
    globalThis.gc?.()
    const from = performance.now()
    yield* gate.open
    for (let n = 0; n < queued; n++) if (n % 10 !== 0) yield* Fiber.join(asks[n]!)
    const millis = performance.now() - from
    const { handled } = yield* pool.stats
    if (handled !== queued - queued / 10 + 1) throw new Error(`${handled} of ${queued} handled`)
    return millis
  }).pipe(Effect.scoped)

const linear = Effect.gen(function* () {
  const sizes = [100_000, 1_000_000]
  const times = new Map<number, Array<number>>(sizes.map((size) => [size, []]))
  for (let round = 0; round < 4; round++) {
    for (const size of sizes) {
      const time = yield* drain(size)
      if (round > 0) times.get(size)!.push(time)
    }
  }
  console.log("| queued, every tenth withdrawn | ms | ns each |\n| --- | ---: | ---: |")
  for (const [size, all] of times) {
    const millis = all.toSorted((a, b) => a - b)[1]!
    console.log(`| ${size.toLocaleString("en")} | ${millis.toFixed(0)} | ${((millis / size) * 1e6).toFixed(0)} |`)
  }
})

await Effect.runPromise(Effect.scoped(overhead))
await Effect.runPromise(linear as Effect.Effect<void>)
