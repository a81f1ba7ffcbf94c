/** R1, R8, R10: where what a channel promises meets its limits: batches that wait for each other, sizes, clocks, hand-overs, logs. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Schema, Scope, Stream } from "effect"
import { ActorChannel, ActorSystem } from "effect-otp"
import { TestClock } from "effect/testing"
import { stillAlive } from "../support/garbage.ts"

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
      yield* channel.resize({ capacity: 4 })
      yield* channel.put(9)
      const small = yield* begin(channel.put(10))
      yield* begin(channel.putAll([11, 12, 13, 14]))
      yield* channel.get()
      const last = yield* begin(channel.getBetween(4, 4))
      // It was about to have its turn; the four behind it find no room.
      yield* Fiber.interrupt(small)
      assert.deepStrictEqual(yield* Fiber.join(last), [7, 8, 9])
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

  it.effect("R8 all are told of the end, however many wait", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const waiting = yield* Effect.forEach(Array.from({ length: 1_000 }), () => begin(Effect.flip(channel.get())))
      yield* settle
      yield* channel.close
      for (const fiber of waiting) assert.strictEqual((yield* Fiber.join(fiber))._tag, "Closed")
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
      assert.include(behind.message, "8 of 10 bytes are queued, and 1 more waits")
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

describe("very much", () => {
  it.effect("R8 a checkpoint of more than fits on a stack, held by one reader", () =>
    Effect.gen(function* () {
      const n = 300_000
      const channel = yield* numbers({ capacity: Infinity })
      const reader = yield* channel.reader("a")
      yield* channel.putAll(Array.from({ length: n }, (_, i) => i))
      yield* reader.takeBetween(n, n)
      const { entries } = yield* channel.shutdown
      assert.strictEqual(entries.length, n)
      assert.isTrue(entries.every((entry, i) => entry._tag === "Item" && entry.item === i))
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

describe("whoever waits when something ends", () => {
  /** All that waits: in a channel of one that is full, or of one that is empty. */
  const puts = (channel: ActorChannel.ActorChannel<number, string>) => ({
    put: channel.put(1),
    putAll: channel.putAll([1]),
    "put with a limit": channel.put(1, { within: "1 hour" }),
    sink: Stream.run(Stream.make(1), channel.sink)
  })
  const reads = (channel: ActorChannel.ActorChannel<number, string>, reader: ActorChannel.Reader<number, string>) => ({
    get: channel.get(),
    getBetween: channel.getBetween(1, 2),
    "reader.get": reader.get({ within: "1 hour" }),
    "reader.getBetween": reader.getBetween(1, 2),
    take: reader.take(),
    takeBetween: reader.takeBetween(1, 2),
    receive: reader.receive(),
    use: reader.use(Effect.succeed),
    stream: Stream.runDrain(reader.stream),
    deliveries: Stream.runDrain(reader.deliveries)
  })
  const nothing = { waitingPuts: 0, waitingTakes: 0, unacknowledged: 0, acknowledged: 0 }

  type End = (channel: ActorChannel.ActorChannel<number, string>, leave: Effect.Effect<void>) => Effect.Effect<unknown>

  const endOf = (
    effect: Effect.Effect<unknown, ActorChannel.Closed | { readonly _tag: "Full" | "Empty" | "TooLarge" }>
  ) =>
    Effect.match(effect, {
      onSuccess: () => "done",
      onFailure: (error) => (error._tag === "Closed" ? error.by : error._tag)
    })

  const waiting = (end: End) =>
    Effect.gen(function* () {
      const outer = yield* Scope.make()
      const channel = yield* Scope.provide(numbers({ capacity: 1 }), outer)
      const full = yield* Scope.provide(numbers({ capacity: 1 }), outer)
      yield* full.put(0)
      const scope = yield* Scope.make()
      const reader = yield* Scope.provide(channel.reader("a"), scope)
      const ends = new Map<string, string>()
      const all = { ...puts(full), ...reads(channel, reader) }
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      for (const [name, effect] of Object.entries(all)) {
        const recorded = Effect.map(endOf(effect), (how) => ends.set(name, how))
        fibers.push(yield* begin(recorded))
      }
      yield* settle
      assert.strictEqual(ends.size, 0)
      yield* end(channel, Scope.close(scope, Exit.void))
      yield* end(full, Effect.void)
      yield* settle
      const result = Object.fromEntries(ends)
      yield* Effect.forEach(fibers, (fiber) => Fiber.interrupt(fiber))
      assert.deepInclude(yield* channel.stats, nothing)
      assert.deepInclude(yield* full.stats, nothing)
      return result
    })

  const same = (names: ReadonlyArray<string>, how: string) => Object.fromEntries(names.map((name) => [name, how]))
  const PUTS = ["put", "putAll", "put with a limit", "sink"]
  const GETS = ["get", "getBetween"]
  const READS = ["reader.get", "reader.getBetween", "take", "takeBetween", "receive", "use"]
  const STREAMS = ["stream", "deliveries"]

  it.effect("R8 a channel that is closed", () =>
    Effect.gen(function* () {
      const expected = { ...same([...PUTS, ...GETS, ...READS], "close"), ...same(STREAMS, "done") }
      assert.deepStrictEqual(yield* waiting((channel) => channel.close), expected)
    })
  )

  it.effect("R8 a channel that is shut down", () =>
    Effect.gen(function* () {
      const expected = { ...same([...PUTS, ...GETS, ...READS], "shutdown"), ...same(STREAMS, "done") }
      assert.deepStrictEqual(yield* waiting((channel) => channel.shutdown), expected)
    })
  )

  it.effect("R8 a reader that leaves", () =>
    Effect.gen(function* () {
      const expected = { ...same(READS, "left"), ...same(STREAMS, "done") }
      assert.deepStrictEqual(yield* waiting((_channel, leave) => leave), expected)
    })
  )

  it.effect("R8 a Scope that closes while another reader has something", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const channel = yield* Scope.provide(numbers(), scope)
      const [a, b] = [yield* channel.reader("a"), yield* channel.reader("b")]
      yield* channel.put(1)
      const one = yield* a.take()
      const reading = yield* begin(Effect.flip(b.take()))
      yield* Scope.close(scope, Exit.void)
      assert.deepInclude(yield* Fiber.join(reading), { _tag: "Closed", by: "shutdown" })
      assert.deepInclude(yield* Effect.flip(b.take()), { _tag: "Closed", by: "shutdown" })
      assert.isTrue(yield* one.ack)
      yield* channel.awaitEmpty
    })
  )
})

describe("what is kept", () => {
  const COUNT = 1_000

  /** Puts objects, keeping the entries, lets them go in some way, and tells how many are alive. */
  const leftOf = (
    go: (
      channel: ActorChannel.ActorChannel<object, object>,
      reader: ActorChannel.Reader<object, object>,
      entries: ReadonlyArray<ActorChannel.Entry>
    ) => Effect.Effect<unknown, unknown, Scope.Scope>
  ) =>
    Effect.gen(function* () {
      const channel = yield* ActorChannel.make<object, object>("test/objects", { capacity: COUNT })
      const reader = yield* channel.reader("a")
      const refs: Array<WeakRef<object>> = []
      const items = () =>
        Array.from({ length: COUNT }, () => {
          const item = {}
          refs.push(new WeakRef(item))
          return item
        })
      const entries = yield* Effect.suspend(() => channel.putAll(items()))
      yield* go(channel, reader, entries)
      const left = yield* stillAlive(refs)
      // They are needed until here.
      assert.strictEqual(entries.length, COUNT)
      assert.strictEqual(reader.name, "a")
      assert.deepInclude(yield* channel.stats, { depth: 0, unacknowledged: 0, bytes: 0 })
      return left
    })

  it.effect("R10 nothing of what was read, acknowledged, removed or taken out, though all entries are kept", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* leftOf((channel) => channel.getBetween(COUNT, COUNT)), 0, "got")
      const used = yield* leftOf((_channel, reader) =>
        Effect.replicateEffect(
          reader.use(() => Effect.void),
          COUNT
        )
      )
      assert.strictEqual(used, 0, "used")
      const acked = yield* leftOf((_channel, reader) =>
        Effect.flatMap(reader.takeBetween(COUNT, COUNT), (all) => Effect.forEach(all.toReversed(), ({ ack }) => ack))
      )
      assert.strictEqual(acked, 0, "acknowledged")
      const removed = yield* leftOf((_channel, _reader, entries) => Effect.forEach(entries, ({ remove }) => remove))
      assert.strictEqual(removed, 0, "removed")
      const nacked = yield* leftOf((channel, reader) =>
        Effect.gen(function* () {
          for (const { nack } of yield* reader.takeBetween(COUNT, COUNT)) yield* nack
          yield* channel.getBetween(COUNT, COUNT)
        })
      )
      assert.strictEqual(nacked, 0, "given back")
      const halved = yield* leftOf((channel, reader) => Effect.andThen(reader.takeBetween(10, 10), channel.shutdown))
      assert.strictEqual(halved, 0, "shut down")
    })
  )

  it.effect("R8 nothing of control values that all have seen, nor for who has left", () =>
    Effect.gen(function* () {
      const channel = yield* ActorChannel.make<object, object>("test/objects")
      const reader = yield* channel.reader("a")
      const gone = yield* Effect.scoped(channel.reader("b"))
      const refs: Array<WeakRef<object>> = []
      const signal = Effect.suspend(() => {
        const value = {}
        refs.push(new WeakRef(value))
        return channel.signal(value)
      })
      for (let i = 0; i < COUNT; i++) yield* signal
      for (let i = 0; i < COUNT; i++) yield* reader.receive({ within: 0 })
      // The last one is where all are.
      assert.isAtMost(yield* stillAlive(refs), 1)
      assert.strictEqual(gone.name, "b")
      assert.strictEqual((yield* channel.readers).length, 1)
    })
  )

  it.effect("R8 whatever is given back in whatever order stands where it stood", () =>
    Effect.gen(function* () {
      const n = 2_000
      const channel = yield* numbers({ capacity: Infinity })
      const reader = yield* channel.reader("a")
      yield* channel.putAll(Array.from({ length: n }, (_, i) => i))
      const all = yield* reader.takeBetween(n, n)
      for (let i = 0; i < n / 2; i++) {
        yield* all[i]!.nack
        yield* all[n - 1 - i]!.nack
      }
      const again = yield* channel.getBetween(n, n)
      assert.isTrue(again.every((item, i) => item === i))
    })
  )
})
