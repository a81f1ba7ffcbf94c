/**
 * What it costs to pass events through three stages, a producer, one that maps and one that adds up, next to an Effect Stream
 * that does the same: as one fiber, and with its three parts in fibers of their own, as stages are. In one process,
 * interleaved; prints the median time per event, and the median of each round's ratio to the stream of three fibers. Every sum
 * is checked.
 *
 *     node --expose-gc --conditions=effect-otp/source test/bench/stages.ts [rounds]
 */
import { Cause, Deferred, Effect, Schema, Stream } from "effect"
import { Actor, Stage } from "effect-otp"
import { median } from "./timing.ts"

class Numbers extends Stage.Producer<Numbers>()("bench/Numbers", Schema.Int) {}
class Doubled extends Stage.ProducerConsumer<Doubled>()("bench/Doubled", { takes: Schema.Int, emits: Schema.Int }) {}
class Sum extends Stage.Consumer<Sum>()("bench/Sum", Schema.Int) {}

const rounds = Number(process.argv[2] ?? 40)

/** The next numbers up to `last`, at most so many at a time. */
const countTo = (last: number) => {
  let next = 1
  return (most: number): ReadonlyArray<number> => {
    const size = Math.min(most, last - next + 1)
    const events = new Array<number>(size)
    for (let n = 0; n < size; n++) events[n] = next + n
    next += size
    return events
  }
}

const double = (batch: ReadonlyArray<number>): ReadonlyArray<number> => batch.map((n) => n * 2)

const adder = () => {
  let sum = 0
  return (batch: ReadonlyArray<number>) => {
    for (const n of batch) sum += n
    return sum
  }
}

const stages = (events: number, maxDemand: number, delivery: "at-most-once" | "at-least-once" = "at-most-once") =>
  Effect.scoped(
    Effect.gen(function* () {
      const done = yield* Deferred.make<number>()
      const expected = events * (events + 1)
      const numbers = yield* Actor.spawn(Numbers.behavior(Effect.sync(() => Numbers.of({ demand: countTo(events) }))))
      const doubled = yield* Actor.spawn(Doubled.behavior(Effect.succeed(Doubled.of({ events: double }))))
      const sum = yield* Actor.spawn(
        Sum.behavior(
          Effect.sync(() => {
            const add = adder()
            return Sum.of({
              events: (batch) => {
                const total = add(batch)
                return total === expected ? Deferred.succeed(done, total) : undefined
              }
            })
          })
        )
      )
      yield* Stage.subscribe(sum, { to: doubled, maxDemand, minDemand: Math.trunc(maxDemand / 2), delivery })
      yield* Stage.subscribe(doubled, { to: numbers, maxDemand, minDemand: Math.trunc(maxDemand / 2), delivery })
      return yield* Deferred.await(done)
    })
  ).pipe(Effect.orDie)

const stream = (events: number, size: number, fibers: boolean) =>
  Effect.suspend(() => {
    const next = countTo(events)
    const add = adder()
    let total = 0
    const pull = Effect.suspend(() => {
      const batch = next(size)
      return batch.length === 0 ? Cause.done() : Effect.succeed(batch as [number, ...ReadonlyArray<number>])
    })
    const apart = <A>(self: Stream.Stream<A>) => (fibers ? Stream.bufferArray(self, { capacity: 2 }) : self)
    return Stream.fromPull(Effect.succeed(pull)).pipe(
      apart,
      Stream.mapArray((batch) => double(batch) as [number, ...ReadonlyArray<number>]),
      apart,
      Stream.runForEachArray((batch) => Effect.sync(() => void (total = add(batch)))),
      Effect.map(() => total)
    )
  })

const MILLION = 1_000_000

const ways: Readonly<Record<string, readonly [events: number, run: Effect.Effect<number>]>> = {
  "stream, three fibers, 500 at a time": [MILLION, stream(MILLION, 500, true)],
  "stream, one fiber, 500 at a time": [MILLION, stream(MILLION, 500, false)],
  "stages, demand of 1,000": [MILLION, stages(MILLION, 1_000)],
  "stages, demand of 1,000, at least once": [MILLION, stages(MILLION, 1_000, "at-least-once")],
  "stream, three fibers, one at a time": [MILLION / 50, stream(MILLION / 50, 1, true)],
  "stages, demand of 1": [MILLION / 50, stages(MILLION / 50, 1)]
}

const nanos = (events: number, run: Effect.Effect<number>) =>
  Effect.gen(function* () {
    globalThis.gc?.()
    const from = performance.now()
    const sum = yield* run
    if (sum !== events * (events + 1)) return yield* Effect.die(`${sum} is a wrong sum`)
    return ((performance.now() - from) / events) * 1e6
  })

const BATCHES = "stream, three fibers, 500 at a time"
const SINGLE = "stream, three fibers, one at a time"

const program = Effect.gen(function* () {
  const names = Object.keys(ways)
  const times: Array<ReadonlyMap<string, number>> = []
  for (let round = -5; round < rounds; round++) {
    const measured = new Map<string, number>()
    // In another order each round: what one leaves behind is not always the same one's burden.
    for (const [name, [events, run]] of Object.entries(ways).toSorted(() => Math.random() - 0.5)) {
      measured.set(name, yield* nanos(events, run))
    }
    if (round >= 0) times.push(measured)
  }
  console.log("| | ns per event | ratio |\n| --- | ---: | ---: |")
  for (const name of names) {
    const bare = ways[name]![0] === MILLION ? BATCHES : SINGLE
    // Within a round, so that what else the machine does is much the same for both.
    const ratio = median(times.map((round) => round.get(name)! / round.get(bare)!))
    console.log(`| ${name} | ${median(times.map((round) => round.get(name)!)).toFixed(1)} | ${ratio.toFixed(2)} |`)
  }
})

await Effect.runPromise(program)
