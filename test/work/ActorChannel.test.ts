/** R1, R8, R10, R12: what is put and read, with limits, in batches, cancelled, by bytes; the end; what can be seen. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema, Sink, Stream } from "effect"
import { ActorChannel, ActorSystem } from "effect-otp"
import { TestClock } from "effect/testing"

const numbers = (options?: ActorChannel.Options<number, string>) =>
  ActorChannel.make<number, string>("test/numbers", options)

/** Begins something that is to wait. */
const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** Lets all that can run do so. */
const settle = Effect.gen(function* () {
  for (let i = 0; i < 5; i++) yield* Effect.yieldNow
})

const tagOf = (effect: Effect.Effect<unknown, { readonly _tag: string }>) =>
  Effect.map(Effect.flip(effect), ({ _tag }) => _tag)

describe("putting", () => {
  it.effect("R1 in the order in which it was put", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      yield* channel.put(1)
      yield* channel.putAll([2, 3])
      yield* channel.put(4)
      assert.deepStrictEqual(yield* channel.getBetween(1, 10), [1, 2, 3, 4])
    })
  )

  it.effect("R1 at once, Full says how full", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 1 })
      yield* channel.put(1, { within: 0 })
      const full = yield* Effect.flip(channel.put(2, { within: 0 }))
      assert.deepInclude(full, { _tag: "Full", channel: "test/numbers", wanted: 1, depth: 1, capacity: 1, waited: 0 })
      assert.include(full.message, "try again later")
      assert.strictEqual((yield* channel.stats).depth, 1)
    })
  )

  it.effect("R1 within a limit: in time, or Full", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 1 })
      yield* channel.put(1)
      const late = yield* begin(Effect.flip(channel.put(2, { within: "1 second" })))
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(late.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* Fiber.join(late), { _tag: "Full", waited: 1_000 })
      const inTime = yield* begin(channel.put(3, { within: "1 second" }))
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* channel.get(), 1)
      yield* Fiber.join(inTime)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* channel.getBetween(1, 10), [3])
    })
  )

  it.effect("R1 who waits to put is served first come, first served, and newcomers do not pass", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 2 })
      yield* channel.putAll([1, 2])
      const waiting: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = [
        yield* begin(channel.putAll([3, 4])),
        yield* begin(channel.put(5))
      ]
      assert.strictEqual(yield* channel.get(), 1)
      // There is room for one, but not for the two that came first.
      yield* settle
      assert.strictEqual(yield* tagOf(channel.put(6, { within: 0 })), "Full")
      const seen = [yield* channel.get(), yield* channel.get(), yield* channel.get(), yield* channel.get()]
      assert.deepStrictEqual(seen, [2, 3, 4, 5])
      for (const fiber of waiting) yield* Fiber.join(fiber)
    })
  )

  it.effect("R1 a batch goes in as a whole or not at all", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 3 })
      yield* channel.putAll([1, 2])
      assert.strictEqual(yield* tagOf(channel.putAll([3, 4], { within: 0 })), "Full")
      assert.strictEqual((yield* channel.stats).depth, 2)
      const waiting = yield* begin(channel.putAll([3, 4]))
      yield* settle
      assert.strictEqual((yield* channel.stats).depth, 2)
      assert.strictEqual(yield* channel.get(), 1)
      assert.strictEqual((yield* Fiber.join(waiting)).length, 2)
      assert.deepStrictEqual(yield* channel.getBetween(3, 3), [2, 3, 4])
      assert.deepStrictEqual(yield* channel.putAll([]), [])
    })
  )

  it.effect("R1 a batch that could never fit is refused at once, also behind others", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 2 })
      const tooLarge = yield* Effect.flip(channel.putAll([1, 2, 3]))
      assert.deepInclude(tooLarge, { _tag: "TooLarge", count: 3, capacity: 2 })
      yield* channel.putAll([1, 2])
      yield* begin(channel.put(3))
      assert.strictEqual(yield* tagOf(channel.putAll([4, 5, 6])), "TooLarge")
    })
  )

  it.effect("R10 back-pressure by bytes, which are counted", () =>
    Effect.gen(function* () {
      const words = yield* ActorChannel.make<string>("test/words", { maxBytes: 10, sizeOf: (word) => word.length })
      yield* words.put("12345")
      yield* words.put("1234")
      assert.strictEqual(yield* tagOf(words.put("12", { within: 0 })), "Full")
      const stats = yield* words.stats
      assert.deepInclude(stats, { depth: 2, bytes: 9, maxBytes: 10, utilisation: 0.9 })
      const waiting = yield* begin(words.putAll(["12", "1234"]))
      yield* words.get()
      yield* Fiber.join(waiting)
      assert.strictEqual((yield* words.stats).bytes, 10)
      assert.deepInclude(yield* Effect.flip(words.put("12345678901")), { _tag: "TooLarge", bytes: 11, maxBytes: 10 })
    })
  )

  it.effect("R10 bytes are those of buffers and strings where nobody says how to count them", () =>
    Effect.gen(function* () {
      const channel = yield* ActorChannel.make<{ readonly data: Uint8Array }>("test/frames", { maxBytes: 100 })
      yield* channel.put({ data: new Uint8Array(60) })
      assert.isAtLeast((yield* channel.stats).bytes, 60)
      assert.strictEqual(yield* tagOf(channel.put({ data: new Uint8Array(60) }, { within: 0 })), "Full")
    })
  )

  it.effect("a size that is none is a defect of the put, and nothing is put", () =>
    Effect.gen(function* () {
      const channel = yield* ActorChannel.make<number>("test/sized", { sizeOf: (n) => n })
      const exit = yield* Effect.exit(channel.put(Number.NaN))
      assert.isTrue(Exit.hasDies(exit))
      assert.strictEqual((yield* channel.stats).depth, 0)
    })
  )
})

describe("removing", () => {
  it.effect("R10 a queued item is taken out, and its room is given to who waits", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 3 })
      const [, second] = yield* channel.putAll([1, 2, 3])
      const waiting = yield* begin(channel.put(4))
      assert.isTrue(yield* second!.remove)
      assert.isFalse(yield* second!.remove)
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(yield* channel.getBetween(3, 3), [1, 3, 4])
      assert.strictEqual((yield* channel.stats).removed, 1)
    })
  )

  it.effect("R10 what was delivered cannot be removed, what came back can", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const reader = yield* channel.reader("a")
      const entry = yield* channel.put(1)
      const delivery = yield* reader.take()
      assert.isFalse(yield* entry.remove)
      yield* delivery.nack
      assert.isTrue(yield* entry.remove)
      assert.isFalse(yield* delivery.ack)
      assert.deepInclude(yield* channel.stats, { depth: 0, unacknowledged: 0 })
    })
  )

  it.effect("R10 peek shows what is next, and leaves it there", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      assert.strictEqual(yield* tagOf(channel.peek), "Empty")
      yield* channel.putAll([1, 2])
      assert.strictEqual(yield* channel.peek, 1)
      assert.strictEqual(yield* channel.get(), 1)
      assert.strictEqual(yield* channel.peek, 2)
    })
  )
})

describe("reading", () => {
  it.effect("R1 at once, Empty says so", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const empty = yield* Effect.flip(channel.get({ within: 0 }))
      assert.deepInclude(empty, { _tag: "Empty", channel: "test/numbers", wanted: 1, depth: 0 })
      yield* channel.put(1)
      assert.strictEqual(yield* channel.get({ within: 0 }), 1)
    })
  )

  it.effect("R1 within a limit: in time, or Empty", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const reader = yield* channel.reader("a")
      const late = yield* begin(Effect.flip(reader.take({ within: "1 second" })))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(late), { _tag: "Empty", waited: 1_000 })
      const inTime = yield* begin(channel.get({ within: "1 second" }))
      yield* TestClock.adjust("500 millis")
      yield* channel.put(1)
      assert.strictEqual(yield* Fiber.join(inTime), 1)
    })
  )

  it.effect("R1 a batch waits for its minimum, and is no longer than its maximum", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const waiting = yield* begin(channel.getBetween(3, 4))
      yield* channel.putAll([1, 2])
      yield* settle
      assert.isUndefined(waiting.pollUnsafe())
      assert.deepInclude(yield* Effect.flip(channel.getBetween(5, 9, { within: 0 })), { _tag: "Empty", wanted: 5 })
      yield* channel.putAll([3, 4, 5])
      assert.deepStrictEqual(yield* Fiber.join(waiting), [1, 2, 3, 4])
      assert.strictEqual((yield* channel.stats).depth, 1)
    })
  )

  it.effect("a minimum that is more than the channel holds is no deadlock", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 2 })
      yield* channel.putAll([1, 2])
      assert.deepStrictEqual(yield* channel.getBetween(3, 5), [1, 2])
    })
  )

  it.effect("R8 each item goes to one reader; who has waited longer is not passed", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const [a, b] = [yield* channel.reader("a"), yield* channel.reader("b")]
      const first = yield* begin(a.get())
      const second = yield* begin(b.get())
      yield* channel.putAll([1, 2, 3])
      // Two of the three are for those who wait.
      assert.strictEqual(yield* channel.get({ within: 0 }), 1)
      assert.strictEqual(yield* tagOf(channel.get({ within: 0 })), "Empty")
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], [2, 3])
    })
  )

  it.effect("R8 an item that nobody acknowledges counts as unacknowledged, and is nobody else's", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 1 })
      const reader = yield* channel.reader("a")
      yield* channel.put(1)
      yield* TestClock.adjust("2 seconds")
      const delivery = yield* reader.take()
      assert.deepInclude(delivery, { item: 1, deliveries: 1, waited: 2_000 })
      assert.strictEqual(delivery._tag, "Delivery")
      // What a reader has takes no room.
      yield* channel.put(2, { within: 0 })
      assert.deepInclude(yield* channel.stats, { depth: 1, unacknowledged: 1 })
      assert.isTrue(yield* delivery.ack)
      assert.isFalse(yield* delivery.ack)
      assert.isFalse(yield* delivery.nack)
      assert.deepInclude(yield* channel.stats, { depth: 1, unacknowledged: 0, acknowledged: 1 })
    })
  )

  it.effect("R8 nack gives back to the old place, and counts", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const reader = yield* channel.reader("a")
      yield* channel.putAll([1, 2, 3, 4])
      const [one, two, three] = yield* reader.takeBetween(3, 3)
      yield* three!.nack
      yield* one!.nack
      yield* two!.nack
      const again = yield* reader.takeBetween(4, 4)
      assert.deepStrictEqual(
        again.map(({ deliveries, item }) => [item, deliveries]),
        [
          [1, 2],
          [2, 2],
          [3, 2],
          [4, 1]
        ]
      )
      // The answer to the first delivery comes too late for the second.
      assert.isFalse(yield* one!.ack)
      assert.strictEqual((yield* channel.stats).unacknowledged, 4)
    })
  )

  it.effect("use acknowledges on success, and gives back on failure and interruption", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const reader = yield* channel.reader("a")
      yield* channel.putAll([1, 2])
      assert.strictEqual(yield* reader.use((n) => Effect.succeed(n * 10)), 10)
      assert.strictEqual(yield* Effect.flip(reader.use((n) => Effect.fail(`no ${n}`))), "no 2")
      const busy = yield* begin(reader.use(() => Effect.never))
      assert.strictEqual((yield* channel.stats).unacknowledged, 1)
      yield* Fiber.interrupt(busy)
      const seen = yield* reader.use((item, { deliveries }) => Effect.succeed([item, deliveries]))
      assert.deepStrictEqual(seen, [2, 3])
      assert.deepInclude(yield* channel.stats, { depth: 0, unacknowledged: 0, acknowledged: 2, returned: 2 })
    })
  )
})

describe("interrupted", () => {
  it.effect("R1 a put that waited leaves nothing, and lets those behind it pass", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 2 })
      yield* channel.put(1)
      const large = yield* begin(channel.putAll([2, 3]))
      const small = yield* begin(channel.put(4))
      yield* settle
      assert.isUndefined(small.pollUnsafe())
      yield* Fiber.interrupt(large)
      yield* Fiber.join(small)
      assert.deepStrictEqual(yield* channel.getBetween(1, 9), [1, 4])
      assert.deepInclude(yield* channel.stats, { waitingPuts: 0, put: 2 })
    })
  )

  it.effect("R1 a read that waited takes nothing, and what came is for the next", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const reader = yield* channel.reader("a")
      const fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = [
        yield* begin(channel.get()),
        yield* begin(reader.take()),
        yield* begin(reader.receive()),
        yield* begin(reader.takeBetween(2, 3))
      ]
      const last = yield* begin(channel.get())
      yield* channel.put(1)
      // They have been chosen, and not been there yet.
      for (const fiber of fibers) yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* Fiber.join(last), 1)
      assert.deepInclude(yield* channel.stats, { waitingTakes: 0, unacknowledged: 0, delivered: 1 })
    })
  )

  it.effect("waiting for all to be done", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      yield* channel.put(1)
      yield* Effect.flatMap(begin(channel.awaitEmpty), Fiber.interrupt)
      const waiting = yield* begin(channel.awaitEmpty)
      yield* channel.get()
      yield* Fiber.join(waiting)
    })
  )
})

describe("the end", () => {
  it.effect("R8 close: waiting puts fail, the rest is drained, then every reader gets the end", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 2 })
      const [a, b] = [yield* channel.reader("a"), yield* channel.reader("b")]
      yield* channel.putAll([1, 2])
      const waiting = yield* begin(channel.put(3))
      yield* channel.close
      assert.deepInclude(yield* Effect.flip(Fiber.join(waiting)), { _tag: "Closed", by: "close" })
      assert.strictEqual(yield* tagOf(channel.put(4)), "Closed")
      assert.strictEqual(yield* a.get(), 1)
      // Less than its minimum, since no more will come.
      assert.deepStrictEqual(yield* b.getBetween(5, 9), [2])
      assert.strictEqual(yield* tagOf(a.get()), "Closed")
      assert.strictEqual(yield* tagOf(b.receive()), "Closed")
      assert.strictEqual(yield* tagOf(channel.getBetween(1, 2)), "Closed")
      yield* channel.close
    })
  )

  it.effect("R8 the end comes to a reader only when what others have is acknowledged", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const [a, b] = [yield* channel.reader("a"), yield* channel.reader("b")]
      yield* channel.putAll([1, 2])
      yield* channel.close
      const [one, two] = yield* a.takeBetween(2, 2)
      // It has them itself, so nothing else can come to it.
      assert.strictEqual(yield* tagOf(a.take()), "Closed")
      const waiting = yield* begin(Effect.forever(b.get()).pipe(Effect.flip))
      yield* one!.ack
      yield* settle
      assert.isUndefined(waiting.pollUnsafe())
      yield* two!.nack
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "Closed")
      assert.deepInclude(yield* channel.stats, { acknowledged: 2, depth: 0 })
    })
  )

  it.effect("R8 close with drain", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      yield* channel.putAll([1, 2, 3])
      const seen: Array<number> = []
      const worker = yield* begin(Stream.runForEach(channel.stream("a"), (n) => Effect.sync(() => seen.push(n))))
      yield* Effect.andThen(channel.close, channel.awaitEmpty)
      assert.deepStrictEqual(seen, [1, 2, 3])
      yield* Fiber.join(worker)
    })
  )

  it.effect("shutdown gives what was left, the unacknowledged first, and ends everybody", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 3 })
      const reader = yield* channel.reader("a")
      yield* channel.putAll([1, 2, 3])
      const delivery = yield* reader.take()
      const put = yield* begin(channel.putAll([4, 5]))
      const left = yield* channel.shutdown
      assert.deepStrictEqual(left.entries, [
        { _tag: "Item", item: 1, deliveries: 1 },
        { _tag: "Item", item: 2, deliveries: 0 },
        { _tag: "Item", item: 3, deliveries: 0 }
      ])
      assert.deepInclude(yield* Effect.flip(Fiber.join(put)), { _tag: "Closed", by: "shutdown" })
      assert.isFalse(yield* delivery.ack)
      assert.deepInclude(yield* Effect.flip(reader.take()), { _tag: "Closed", by: "shutdown" })
      yield* channel.awaitEmpty
      assert.deepStrictEqual(yield* channel.shutdown, { entries: [], closed: false })
      assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
    }).pipe(Effect.provide(ActorSystem.layer()))
  )

  it.effect("what is queued when its Scope closes are dead letters, and so is what comes back after that", () =>
    Effect.gen(function* () {
      const reading = yield* Effect.scoped(
        Effect.gen(function* () {
          const channel = yield* numbers()
          yield* channel.putAll([1, 2])
          yield* begin(Effect.never)
          const waiting = yield* Effect.forkDetach(
            Effect.scoped(Effect.flatMap(channel.reader("a"), (reader) => reader.use(() => Effect.never))),
            {
              startImmediately: true
            }
          )
          return waiting
        })
      )
      const reason = { _tag: "NotRunning", exit: { _tag: "Shutdown" } }
      const letter = { recipient: "test/numbers", tag: "item", sender: undefined, reason }
      assert.deepStrictEqual(yield* ActorSystem.deadLetters, [{ ...letter, payload: 2 } as never])
      yield* Fiber.interrupt(reading)
      assert.deepStrictEqual(
        (yield* ActorSystem.deadLetters).map(({ payload }) => payload),
        [2, 1]
      )
    }).pipe(Effect.provide(ActorSystem.layer()))
  )
})

describe("bounds and control values", () => {
  it.effect("R8 control values come in order with the items, to every reader, once", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const [a, b] = [yield* channel.reader("a"), yield* channel.reader("b")]
      yield* channel.putAll([1, 2])
      yield* channel.signal("flush")
      yield* channel.put(3)
      yield* channel.resize({ capacity: 5 })
      const flush = { _tag: "Signal", value: "flush" } as const
      const resize = { _tag: "Resize", capacity: 5, maxBytes: Infinity } as const
      assert.deepInclude(yield* a.receive(), { item: 1 })
      assert.deepInclude(yield* b.receive(), { item: 2 })
      assert.deepStrictEqual(yield* b.receive(), flush)
      assert.deepInclude(yield* b.receive(), { item: 3 })
      assert.deepStrictEqual(yield* b.receive(), resize)
      assert.strictEqual(yield* tagOf(b.receive({ within: 0 })), "Empty")
      assert.deepStrictEqual(yield* a.receive(), flush)
      assert.deepStrictEqual(yield* a.receive(), resize)
      yield* channel.close
      const c = yield* channel.reader("c")
      // What others have may come back, to it as well, and what stands behind that; the end waits for it.
      assert.deepStrictEqual(yield* c.receive(), flush)
      assert.deepStrictEqual(yield* c.receive(), resize)
      assert.strictEqual(yield* tagOf(c.receive({ within: 0 })), "Empty")
    })
  )

  it.effect("R8 who waits to receive gets a control value at once, who takes passes over it", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const [a, b] = [yield* channel.reader("a"), yield* channel.reader("b")]
      const receiving = yield* begin(a.receive())
      const taking = yield* begin(b.get())
      yield* channel.signal("now")
      assert.deepStrictEqual(yield* Fiber.join(receiving), { _tag: "Signal", value: "now" })
      yield* channel.put(1)
      assert.strictEqual(yield* Fiber.join(taking), 1)
      // It has taken what came after: the value is behind it.
      assert.strictEqual(yield* tagOf(b.receive({ within: 0 })), "Empty")
    })
  )

  it.effect("R8 a control value comes also where what was before it is removed", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const reader = yield* channel.reader("a")
      yield* begin(channel.get())
      const waiting = yield* begin(reader.receive())
      const entry = yield* channel.put(1)
      yield* channel.signal("flush")
      yield* entry.remove
      assert.deepStrictEqual(yield* Fiber.join(waiting), { _tag: "Signal", value: "flush" })
    })
  )

  it.effect("R8 a reader that joins gets control values whose turn has not come", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      yield* channel.signal("before")
      yield* channel.put(1)
      yield* channel.signal("after")
      const reader = yield* channel.reader("late")
      assert.deepInclude(yield* reader.receive(), { item: 1 })
      assert.deepStrictEqual(yield* reader.receive(), { _tag: "Signal", value: "after" })
      assert.strictEqual(yield* tagOf(reader.receive({ within: 0 })), "Empty")
    })
  )

  it.effect("R8 resize lets in who waits, drops nothing, and refuses what fits no more", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 3 })
      yield* channel.putAll([1, 2, 3])
      const waiting = yield* begin(channel.putAll([4, 5]))
      yield* channel.resize({ capacity: 5 })
      yield* Fiber.join(waiting)
      const large = yield* begin(channel.putAll([6, 7, 8]))
      const small = yield* begin(channel.put(9))
      yield* channel.resize({ capacity: 2 })
      assert.deepInclude(yield* Effect.flip(Fiber.join(large)), { _tag: "TooLarge", count: 3, capacity: 2 })
      assert.deepInclude(yield* channel.stats, { depth: 5, capacity: 2, utilisation: 2.5 })
      assert.deepStrictEqual(yield* channel.getBetween(4, 4), [1, 2, 3, 4])
      yield* Fiber.join(small)
      assert.deepStrictEqual(yield* channel.getBetween(1, 4), [5, 9])
    })
  )
})

describe("seen from outside", () => {
  it.effect("R12 depth, utilisation and latency at any time", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 4 })
      yield* channel.put(1)
      yield* TestClock.adjust("1 second")
      yield* channel.put(2)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual((yield* channel.stats).latency, { mean: 0, max: 0, oldest: 3_000 })
      yield* channel.get()
      assert.deepStrictEqual((yield* channel.stats).latency, { mean: 3_000, max: 3_000, oldest: 2_000 })
      yield* channel.get()
      yield* begin(channel.get())
      assert.deepStrictEqual(yield* channel.stats, {
        depth: 0,
        capacity: 4,
        bytes: 0,
        maxBytes: Infinity,
        utilisation: 0,
        unacknowledged: 0,
        readers: 0,
        waitingPuts: 0,
        waitingTakes: 1,
        latency: { mean: 2_500, max: 3_000, oldest: 0 },
        put: 2,
        delivered: 2,
        acknowledged: 2,
        returned: 0,
        removed: 0,
        deadLetters: 0
      })
    })
  )
})

describe("streams and sinks", () => {
  it.effect("R8 a stream acknowledges what has been dealt with, and gives back where it failed", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      yield* channel.putAll([1, 2, 3, 4])
      const unacknowledged: Array<number> = []
      const failing = channel.stream("a").pipe(
        Stream.mapEffect((n) =>
          Effect.gen(function* () {
            unacknowledged.push((yield* channel.stats).unacknowledged)
            return n === 3 ? yield* Effect.fail("three") : n
          })
        ),
        Stream.runDrain
      )
      assert.strictEqual(yield* Effect.flip(failing), "three")
      assert.deepStrictEqual(unacknowledged, [1, 1, 1])
      assert.deepInclude(yield* channel.stats, { depth: 2, acknowledged: 2, readers: 0 })
      const two = yield* channel.stream("a").pipe(Stream.take(2), Stream.runCollect)
      assert.deepStrictEqual(two, [3, 4])
      assert.deepInclude(yield* channel.stats, { depth: 0, unacknowledged: 0, acknowledged: 4 })
    })
  )

  it.effect("an interrupted stream gives back what was being dealt with", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      yield* channel.putAll([1, 2])
      const busy = yield* begin(Stream.runForEach(channel.stream("a"), () => Effect.never))
      assert.deepInclude(yield* channel.stats, { depth: 1, unacknowledged: 1 })
      yield* Fiber.interrupt(busy)
      assert.deepInclude(yield* channel.stats, { depth: 2, unacknowledged: 0, readers: 0 })
      assert.strictEqual(yield* channel.get(), 1)
    })
  )

  it.effect("deliveries are acknowledged by whoever deals with them, also several at a time", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const reader = yield* channel.reader("a")
      yield* channel.putAll([1, 2, 3])
      yield* channel.close
      const seen = yield* reader.deliveries.pipe(
        Stream.mapEffect(({ ack, item }) => Effect.as(ack, item), { concurrency: 3 }),
        Stream.runCollect
      )
      assert.deepStrictEqual(seen, [1, 2, 3])
      assert.deepInclude(yield* channel.stats, { unacknowledged: 0, acknowledged: 3 })
    })
  )

  it.effect("a sink puts with back-pressure, and does not close the channel", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 2 })
      const feeding = yield* begin(Stream.run(Stream.range(1, 5), channel.sink))
      yield* settle
      assert.strictEqual((yield* channel.stats).depth, 2)
      const seen = yield* channel.stream("a").pipe(Stream.take(5), Stream.run(Sink.collect()))
      assert.deepStrictEqual(seen, [1, 2, 3, 4, 5])
      yield* Fiber.join(feeding)
      yield* channel.put(6)
      yield* channel.close
      assert.strictEqual(
        yield* Effect.flip(Stream.run(Stream.make(7), channel.sink)).pipe(Effect.map((e) => e._tag)),
        "Closed"
      )
    })
  )
})

describe("checkpoints", () => {
  const Codec = Schema.toCodecJson(ActorChannel.Checkpoint(Schema.Int, Schema.String))

  it.effect("R8 what is queued and unacknowledged goes into a value, and from there into a channel", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 3 })
      const reader = yield* channel.reader("a")
      yield* channel.putAll([1, 2, 3])
      yield* reader.take()
      const second = yield* reader.take()
      yield* second.ack
      yield* channel.signal("flush")
      yield* channel.resize({ capacity: Infinity })
      yield* channel.put(4)
      const json = JSON.stringify(yield* Schema.encodeEffect(Codec)(yield* channel.checkpoint))
      // A copy: the channel goes on.
      assert.deepInclude(yield* channel.stats, { depth: 2, unacknowledged: 1 })

      const from = yield* Schema.decodeUnknownEffect(Codec)(JSON.parse(json))
      const again = yield* numbers({ capacity: 1, from })
      assert.deepInclude(yield* again.stats, { depth: 3, capacity: 1 })
      const other = yield* again.reader("b")
      const first = yield* other.take()
      assert.deepInclude(first, { item: 1, deliveries: 2 })
      assert.deepInclude(yield* other.receive(), { item: 3, deliveries: 1 })
      assert.deepStrictEqual(yield* other.receive(), { _tag: "Signal", value: "flush" })
      assert.deepInclude(yield* other.receive(), { item: 4 })
    })
  )
})

describe("bad input", () => {
  it.effect("options that make no sense are refused where they are written", () =>
    Effect.gen(function* () {
      const invalid = (options: ActorChannel.Options<number, string>, option: string) => {
        const message = new RegExp(`^test/numbers: ${option} .*got`)
        assert.throws(() => numbers(options), message)
      }
      invalid({ capacity: 0 }, "capacity")
      invalid({ capacity: 1.5 }, "capacity")
      invalid({ capacity: Number.NaN }, "capacity")
      invalid({ maxBytes: 0 }, "maxBytes")
      invalid({ redeliver: -1 }, "redeliver")
      assert.throws(() => numbers({ autoClose: "soon" as never }), /autoClose of test\/numbers must be a duration/)
      const channel = yield* numbers()
      assert.throws(() => channel.put(1, { within: Number.NaN }), /within of put of test\/numbers must be a duration/)
      assert.throws(() => channel.resize({ capacity: -1 }), /capacity must be a whole number/)
      assert.throws(() => channel.resize({ maxBytes: 10 }), /maxBytes needs a channel that counts bytes/)
      assert.throws(() => channel.getBetween(0, 1), /min of getBetween must be a whole number of 1 or more/)
      assert.throws(() => channel.getBetween(2, 1), /max of getBetween must be a whole number of 2 or more/)
      assert.throws(() => channel.getBetween(1.5, 2), /min of getBetween must be a whole number/)
      assert.throws(() => channel.getBetween(1, 1.5), /max of getBetween must be a whole number/)
      assert.deepStrictEqual(
        yield* Effect.flip(channel.getBetween(1, Infinity, { within: 0 })).pipe(Effect.map((e) => e._tag)),
        "Empty"
      )
    })
  )

  it.effect("errors say what is the matter, and what to do", () =>
    Effect.gen(function* () {
      const message = (effect: Effect.Effect<unknown, Error>) =>
        Effect.map(Effect.flip(effect), (error) => error.message)
      const channel = yield* numbers({ capacity: 2, maxBytes: 8, sizeOf: (n) => n })
      yield* channel.put(1)
      const reader = yield* Effect.scoped(channel.reader("a"))
      const messages = [
        yield* message(channel.putAll([1, 1], { within: 0 })),
        yield* message(channel.getBetween(2, 2, { within: 0 })),
        yield* message(channel.putAll([1, 1, 1])),
        yield* message(channel.put(9)),
        yield* message(reader.take())
      ]
      yield* channel.close
      messages.push(yield* message(channel.put(1)))
      yield* channel.shutdown
      messages.push(yield* message(channel.get()))
      assert.deepStrictEqual(messages, [
        "test/numbers has no room for 2 more after 0 ms (1 of 2 items and 1 of 8 bytes are queued): try again later, or put without a limit",
        "test/numbers had 1 of 2 wanted after 0 ms: try again later, or read without a limit",
        "3 items never fit into test/numbers, which holds 2: put less at once, or resize it",
        "9 bytes never fit into test/numbers, which holds 8: put less at once, or resize it",
        "this reader of test/numbers has left: its Scope is closed, open another",
        "test/numbers is closed: it takes nothing more, and gives only what is left",
        "test/numbers is shut down: make another"
      ])
    })
  )
})
