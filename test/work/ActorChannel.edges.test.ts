/** R1, R8, R10: where what a channel promises meets its limits: batches that wait for each other, sizes, clocks, hand-overs, logs. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Schema, Scope, Stream } from "effect"
import { ActorChannel, ActorSystem } from "effect-otp"
import { TestClock } from "effect/testing"

const numbers = (options?: ActorChannel.Options<number, string>) =>
  ActorChannel.make<number, string>("test/numbers", options)

const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const settle = Effect.gen(function* () {
  for (let i = 0; i < 5; i++) yield* Effect.yieldNow
})

const tagOf = (effect: Effect.Effect<unknown, { readonly _tag: string }>) =>
  Effect.map(Effect.flip(effect), ({ _tag }) => _tag)

describe("who waits for much", () => {
  it.effect("R1 what is there is had at once, also where others wait for more than that", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const many = yield* begin(channel.getBetween(5, 9))
      yield* channel.putAll([1, 2, 3])
      // All in one step: nobody has had a turn.
      assert.strictEqual(yield* channel.get({ within: 0 }), 1)
      assert.deepStrictEqual(yield* channel.getBetween(2, 2, { within: 0 }), [2, 3])
      yield* channel.putAll([4, 5, 6, 7, 8])
      assert.strictEqual(yield* tagOf(channel.get({ within: 0 })), "Empty")
      assert.deepStrictEqual(yield* Fiber.join(many), [4, 5, 6, 7, 8])
    })
  )

  it.effect("R8 a control value is had at once, whoever waits for items", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const reader = yield* channel.reader("a")
      yield* begin(channel.get())
      yield* channel.signal("now")
      yield* channel.put(1)
      assert.deepStrictEqual(yield* reader.receive({ within: 0 }), { _tag: "Signal", value: "now" })
    })
  )

  it.effect("R1 a batch that waits for items and one that waits for room do not wait for each other", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 4 })
      yield* channel.putAll([1, 2])
      const first = yield* begin(channel.putAll([3, 4, 5]))
      // Three will never be there at a time: there is no room for the batch.
      assert.deepStrictEqual(yield* channel.getBetween(3, 4), [1, 2])
      yield* Fiber.join(first)
      // The other way round: the reader was there before.
      const reading = yield* begin(channel.getBetween(4, 4))
      yield* settle
      assert.isUndefined(reading.pollUnsafe())
      const second = yield* begin(channel.putAll([6, 7]))
      assert.deepStrictEqual(yield* Fiber.join(reading), [3, 4, 5])
      yield* Fiber.join(second)
    })
  )

  it.effect("R1 R10 nor by bytes", () =>
    Effect.gen(function* () {
      const words = yield* ActorChannel.make<string>("test/words", { maxBytes: 10, sizeOf: (word) => word.length })
      const reading = yield* begin(words.getBetween(3, 3))
      const writing = yield* begin(Effect.forEach(["11111", "22222", "33333"], (word) => words.put(word)))
      assert.deepStrictEqual(yield* Fiber.join(reading), ["11111", "22222"])
      yield* Fiber.join(writing)
    })
  )

  it.effect("R1 nor where the one with room was interrupted, or there is less room than there was", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 4 })
      yield* channel.putAll([1, 2, 3])
      const reading = yield* begin(channel.getBetween(4, 4))
      yield* channel.resize({ capacity: 3 })
      assert.deepStrictEqual(yield* Fiber.join(reading), [1, 2, 3])
      yield* channel.putAll([4, 5])
      const large = yield* begin(channel.putAll([6, 7, 8]))
      const again = yield* begin(channel.getBetween(3, 3))
      assert.deepStrictEqual(yield* Fiber.join(again), [4, 5])
      yield* Fiber.join(large)
    })
  )

  it.live("R1 who passes work to each other does not keep all others from running", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      let passed = 0
      const pass = Effect.forever(
        Effect.flatMap(channel.get(), (n) =>
          Effect.suspend(() => (passed++ > 1_000_000 ? Effect.never : channel.put(n)))
        ),
        { disableYield: true }
      )
      yield* begin(pass)
      yield* begin(pass)
      yield* channel.put(1)
      yield* Effect.sleep("1 millis")
      assert.isBelow(passed, 1_000_000)
    })
  )

  it.effect("R8 readers that wait have their turns in order, one item each", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 1 })
      const had = [0, 0, 0, 0]
      for (const [i] of had.entries()) {
        const reader = yield* channel.reader(`${i}`)
        yield* begin(Effect.forever(reader.use(() => Effect.sync(() => had[i]!++))))
      }
      for (let n = 0; n < 400; n++) {
        yield* channel.put(n)
        yield* Effect.yieldNow
      }
      yield* channel.awaitEmpty
      assert.deepStrictEqual(had, [100, 100, 100, 100])
    })
  )
})

describe("sizes", () => {
  it.effect("R10 bytes are none when nothing is queued, whatever they were counted in", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ maxBytes: 100, sizeOf: (n) => n })
      const reader = yield* channel.reader("a")
      yield* channel.putAll([0.1, 0.2, 0.3])
      const [one, two, three] = yield* reader.takeBetween(3, 3)
      assert.strictEqual((yield* channel.stats).bytes, 0)
      yield* two!.nack
      yield* one!.nack
      yield* three!.ack
      assert.closeTo((yield* channel.stats).bytes, 0.3, 1e-9)
      yield* channel.getBetween(2, 2)
      assert.deepInclude(yield* channel.stats, { depth: 0, bytes: 0, utilisation: 0, unacknowledged: 0 })
    })
  )

  it.effect("R10 bytes are those of what is queued: removed, given back, delivered again, dead", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ maxBytes: 10, sizeOf: (n) => n, redeliver: 1 })
      const bytes = Effect.map(channel.stats, (stats) => stats.bytes)
      const reader = yield* channel.reader("a")
      const [entry] = yield* channel.putAll([4, 5])
      assert.strictEqual(yield* bytes, 9)
      yield* entry!.remove
      assert.strictEqual(yield* bytes, 5)
      const five = yield* reader.take()
      assert.strictEqual(yield* bytes, 0)
      yield* channel.put(7)
      yield* five.nack
      // What comes back is let in, and whoever puts waits until there is room again.
      assert.deepInclude(yield* channel.stats, { bytes: 12, utilisation: 1.2 })
      assert.strictEqual(yield* tagOf(channel.put(1, { within: 0 })), "Full")
      yield* (yield* reader.take()).nack
      assert.deepInclude(yield* channel.stats, { bytes: 7, deadLetters: 1 })
      yield* (yield* reader.take()).reject
      assert.deepInclude(yield* channel.stats, { bytes: 0, depth: 0, unacknowledged: 0, deadLetters: 2 })
    }).pipe(Effect.provide(ActorSystem.layer()))
  )

  it.effect("R10 a size without end is none", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ sizeOf: () => Infinity })
      const defect = yield* Effect.catchDefect(channel.put(1), Effect.succeed)
      assert.include(String(defect), "sizeOf must give a number of 0 or more")
      assert.deepInclude(yield* channel.stats, { depth: 0, bytes: 0 })
    })
  )

  it.effect("R10 Full says of which there is not enough, and who else waits", () =>
    Effect.gen(function* () {
      const words = yield* ActorChannel.make<string>("test/words", { maxBytes: 10, sizeOf: (word) => word.length })
      yield* words.put("12345678")
      const full = yield* Effect.flip(words.put("123", { within: 0 }))
      assert.deepInclude(full, { bytes: 8, maxBytes: 10, waiting: 0 })
      assert.strictEqual(
        full.message,
        "test/words has no room for one more after 0 ms (1 of 1024 items and 8 of 10 bytes are queued): try again later, or put without a limit"
      )
      yield* begin(words.put("1234"))
      const behind = yield* Effect.flip(words.put("1", { within: 0 }))
      assert.include(behind.message, "8 of 10 bytes are queued, and 1 others wait")
    })
  )

  it.effect("R1 Empty says when what is there is meant for others", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      yield* begin(channel.get())
      yield* channel.put(1)
      const empty = yield* Effect.flip(channel.get({ within: 0 }))
      assert.strictEqual(
        empty.message,
        "test/numbers had 1, for those who have waited longer, after 0 ms: try again later, or read without a limit"
      )
    })
  )
})

describe("clocks", () => {
  it.effect("R12 a wall clock that jumps does not change how long items have waited", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let jump = 0
      const jumping = new Proxy(clock, {
        get: (target, key) => {
          const value = Reflect.get(target, key)
          if (key === "currentTimeMillisUnsafe") return () => target.currentTimeMillisUnsafe() + jump
          return typeof value === "function" ? value.bind(target) : value
        }
      })
      yield* Effect.gen(function* () {
        const channel = yield* numbers()
        yield* channel.putAll([1, 2])
        jump = 3_600_000
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* channel.stats).latency.oldest, 2_000)
        yield* channel.get()
        jump = -3_600_000
        const reader = yield* channel.reader("a")
        assert.strictEqual((yield* reader.take()).waited, 2_000)
        assert.deepStrictEqual((yield* channel.stats).latency, { mean: 2_000, max: 2_000, oldest: 0 })
      }).pipe(Effect.provide(ActorSystem.layer()), Effect.provideService(Clock.Clock, jumping))
    })
  )
})

describe("handed over", () => {
  const Codec = Schema.fromJsonString(Schema.toCodecJson(ActorChannel.Checkpoint(Schema.Int, Schema.String)))
  const handOver = (checkpoint: ActorChannel.Checkpoint<number, string>) =>
    Effect.flatMap(Schema.encodeEffect(Codec)(checkpoint), Schema.decodeEffect(Codec))

  it.effect("R8 that it was closed goes along; without that, readers would wait for ever", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      yield* channel.putAll([1, 2])
      assert.isFalse((yield* channel.checkpoint).closed)
      yield* channel.close
      const from = yield* handOver(yield* channel.shutdown)
      const again = yield* numbers({ from })
      assert.deepInclude(yield* Effect.flip(again.put(3)), { _tag: "Closed", by: "close" })
      assert.deepStrictEqual(yield* Stream.runCollect(again.stream("a")), [1, 2])
      // Who wants to go on says so.
      const open = yield* numbers({ from: { ...from, closed: false } })
      yield* open.put(3)
      assert.strictEqual((yield* open.stats).depth, 3)
    })
  )

  it.effect("R8 what was shut down while it was open is open", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      yield* channel.put(1)
      const from = yield* handOver(yield* channel.shutdown)
      const again = yield* numbers({ from })
      yield* again.put(2)
      assert.deepStrictEqual(yield* again.getBetween(2, 2), [1, 2])
    })
  )

  it.effect("R8 its bounds are those of its options, and nobody is told otherwise", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 3 })
      yield* channel.put(1)
      yield* channel.resize({ capacity: 5 })
      yield* channel.signal("flush")
      const from = yield* handOver(yield* channel.checkpoint)
      const again = yield* numbers({ capacity: 2, from })
      const reader = yield* again.reader("a")
      yield* reader.take()
      assert.deepStrictEqual(yield* reader.receive(), { _tag: "Signal", value: "flush" })
      assert.strictEqual((yield* again.stats).capacity, 2)
    })
  )

  it.effect("R8 a control value behind what nobody has acknowledged goes along, and so does it to who joins", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const scope = yield* Scope.make()
      const reader = yield* Scope.provide(channel.reader("a"), scope)
      yield* channel.put(1)
      yield* reader.take()
      yield* channel.signal("flush")
      const from = yield* handOver(yield* channel.checkpoint)
      const again = yield* numbers({ from })
      const other = yield* again.reader("b")
      assert.deepInclude(yield* other.receive(), { item: 1, deliveries: 2 })
      assert.deepStrictEqual(yield* other.receive({ within: 0 }), { _tag: "Signal", value: "flush" })
      // The reader crashes, and the next one under its name begins where it was.
      yield* Scope.close(scope, yield* Effect.exit(Effect.die("crash")))
      const next = yield* channel.reader("a")
      const item = yield* next.receive()
      assert.deepInclude(item, { item: 1, deliveries: 2 })
      assert.deepStrictEqual(yield* next.receive({ within: 0 }), { _tag: "Signal", value: "flush" })
      if (item._tag === "Delivery") yield* item.ack
      yield* channel.signal("later")
      const late = yield* channel.reader("late")
      assert.strictEqual(yield* tagOf(late.receive({ within: 0 })), "Empty")
    })
  )
})

describe("seen in logs", () => {
  it.effect("an entry and a delivery show what they are, and not all that is queued", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 10 })
      const reader = yield* channel.reader("a")
      const [first] = yield* channel.putAll([1, 2, 3])
      assert.deepStrictEqual(JSON.parse(JSON.stringify(first)), { _tag: "Entry", item: 1 })
      const delivery = yield* reader.take()
      assert.deepStrictEqual(JSON.parse(JSON.stringify(delivery)), {
        _tag: "Delivery",
        item: 1,
        deliveries: 1,
        waited: 0
      })
    })
  )
})

describe("streams that are left half way", () => {
  const abandoned = (leave: (stream: Stream.Stream<number>) => Effect.Effect<unknown, unknown>) =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      yield* channel.putAll([1, 2, 3])
      yield* Effect.exit(leave(channel.stream("a")))
      const { acknowledged, depth, unacknowledged } = yield* channel.stats
      return { acknowledged, depth, unacknowledged }
    })

  it.effect("R8 what was interrupted in the middle of its work is given back, however the stream ends", () =>
    Effect.gen(function* () {
      const busy = Stream.mapEffect((n: number) => (n === 2 ? Effect.never : Effect.succeed(n)))
      const given = { acknowledged: 1, depth: 2, unacknowledged: 0 }
      const stop = Effect.andThen(settle, Effect.void)
      assert.deepStrictEqual(
        yield* abandoned((s) => Stream.runDrain(Stream.interruptWhen(busy(s), stop))),
        given,
        "interruptWhen"
      )
      const timed = yield* begin(abandoned((s) => Effect.timeout(Stream.runDrain(busy(s)), "1 second")))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(timed), given, "timeout")
      assert.deepStrictEqual(
        yield* abandoned((s) =>
          Stream.runDrain(Stream.merge(busy(s), Stream.fromEffect(stop), { haltStrategy: "right" }))
        ),
        given,
        "merge"
      )
      assert.deepStrictEqual(yield* abandoned((s) => Effect.race(Stream.runDrain(busy(s)), stop)), given, "race")
      assert.deepStrictEqual(
        yield* abandoned((s) => Stream.runForEach(s, (n) => (n === 2 ? Effect.die("crash") : Effect.void))),
        given,
        "defect"
      )
    })
  )
})
