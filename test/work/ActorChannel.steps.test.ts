/**
 * R1, R8: interrupted at every step there is, whatever the scheduler does in between: what a put says it has put is there once, what
 * a read did not get is there still.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scheduler, Scope } from "effect"
import { ActorChannel } from "effect-otp"

/** Lets fibers yield wherever chance has it, also where they have just been resumed. */
class Fickle extends Scheduler.MixedScheduler {
  private state: number

  constructor(seed: number) {
    super()
    this.state = seed
  }

  override shouldYield(): boolean {
    this.state = (Math.imul(this.state, 1_664_525) + 1_013_904_223) | 0
    return (this.state >>> 16) % 5 < 2
  }
}

interface Run {
  readonly seed: number
  readonly capacity: number
  /** Who is interrupted, and after how many rounds of the others. */
  readonly who: number
  readonly after: number
}

/** What the fibers know that they have done. */
interface Known {
  readonly put: Array<number>
  readonly got: Array<number>
}

const producers = (channel: ActorChannel.ActorChannel<number>, { put }: Known) => {
  let next = 0
  const one = Effect.suspend(() => {
    const n = next++
    return Effect.map(channel.put(n), () => put.push(n))
  })
  const two = Effect.suspend(() => {
    const pair = [next++, next++]
    return Effect.map(channel.putAll(pair), () => put.push(...pair))
  })
  return [one, two]
}

const consumers = (
  channel: ActorChannel.ActorChannel<number>,
  reader: ActorChannel.Reader<number>,
  { got }: Known
): ReadonlyArray<Effect.Effect<unknown, unknown>> => [
  Effect.map(channel.get(), (n) => got.push(n)),
  Effect.map(channel.getBetween(2, 3), (some) => got.push(...some)),
  Effect.flatMap(reader.take(), ({ ack, item }) => Effect.map(ack, (done) => done && got.push(item))),
  reader.use((item, { ack }) => Effect.map(ack, (done) => done && got.push(item)))
]

const conserves = ({ after, capacity, seed, who }: Run) =>
  Effect.gen(function* () {
    const known: Known = { put: [], got: [] }
    const channel = yield* ActorChannel.make<number>("test/steps", { capacity })
    const scope = yield* Scope.make()
    const reader = yield* Scope.provide(channel.reader("a"), scope)
    const all = [...producers(channel, known), ...consumers(channel, reader, known)]
    const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
    for (const each of all) fibers.push(yield* Effect.forkChild(Effect.forever(each, { disableYield: true })))
    for (let round = 0; round < after; round++) yield* Effect.yieldNow
    yield* Fiber.interrupt(fibers[who]!)
    for (let round = 0; round < 3; round++) yield* Effect.yieldNow
    for (const fiber of fibers.toReversed()) yield* Fiber.interrupt(fiber)
    yield* Scope.close(scope, Exit.void)
    const { entries } = yield* channel.shutdown
    const left = entries.flatMap((entry) => (entry._tag === "Item" ? [entry.item] : []))
    const sorted = (numbers: ReadonlyArray<number>) => numbers.toSorted((a, b) => a - b)
    const where = JSON.stringify({ after, capacity, seed, who })
    assert.deepStrictEqual(sorted([...known.got, ...left]), sorted(known.put), where)
    assert.deepInclude(yield* channel.stats, { waitingPuts: 0, waitingTakes: 0, unacknowledged: 0 }, where)
    return known.got.length
  }).pipe(Effect.scoped, Effect.provideService(Scheduler.Scheduler, new Fickle(seed)))

for (const capacity of [2, 3, 7]) {
  it.effect(`R1 R8 nothing is lost or done twice by whoever is interrupted, in a channel of ${capacity}`, () =>
    Effect.gen(function* () {
      let moved = 0
      for (let seed = 1; seed <= 75; seed++) {
        for (let who = 0; who < 6; who++) moved += yield* conserves({ seed, capacity, who, after: seed % 25 })
      }
      assert.isAbove(moved, 500)
    })
  )
}

it.effect("R1 nobody waits for ever who was passed on the way to its turn", () =>
  Effect.gen(function* () {
    for (let seed = 1; seed <= 50; seed++) {
      const seen: Array<number> = []
      const run = Effect.gen(function* () {
        const channel = yield* ActorChannel.make<number>("test/steps", { capacity: 2 })
        const reader = yield* channel.reader("a")
        const all: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          Effect.forEach([0, 1, 2, 3, 4, 5], (n) => channel.put(n)),
          Effect.forEach([6, 8, 10], (n) => channel.putAll([n, n + 1])),
          Effect.replicateEffect(
            Effect.map(channel.get(), (n) => seen.push(n)),
            4
          ),
          Effect.replicateEffect(
            reader.use((n) => Effect.sync(() => seen.push(n))),
            4
          ),
          Effect.replicateEffect(
            Effect.map(channel.getBetween(1, 1), (some) => seen.push(...some)),
            4
          )
        ]
        yield* Effect.all(all, { concurrency: "unbounded" })
      })
      yield* run.pipe(Effect.scoped, Effect.provideService(Scheduler.Scheduler, new Fickle(seed)))
      assert.deepStrictEqual(
        seen.toSorted((a, b) => a - b),
        Array.from({ length: 12 }, (_, i) => i)
      )
    }
  })
)
