/** STAGE: producers emit what was asked for, and no more. */
import { assert, describe, it } from "@effect/vitest"
import { Array, Effect, Queue } from "effect"
import { Actor, ActorSystem, Stage } from "effect-otp"
import { counter, doubler, range, settle, spawnSink, subscribed, told } from "../work/stages.ts"

describe("demand", () => {
  it.effect("STAGE-01 by default a consumer asks for 1,000 and again at half of it", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const producer = yield* Actor.spawn(counter({ asked }))
      const { batches } = yield* subscribed(producer, {}, 4)
      assert.deepStrictEqual(yield* Queue.take(batches), range(0, 499))
      assert.deepStrictEqual(yield* Queue.take(batches), range(500, 999))
      assert.deepStrictEqual(yield* Queue.take(batches), range(1000, 1499))
      assert.deepStrictEqual(yield* Queue.take(batches), range(1500, 1999))
      assert.deepStrictEqual(asked.slice(0, 2), [1000, 500])
    })
  )

  it.effect("STAGE-02 at most 100, again at 80: batches of 20", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const producer = yield* Actor.spawn(counter({ asked }))
      const { batches } = yield* subscribed(producer, { maxDemand: 100, minDemand: 80 }, 51)
      for (let from = 0; from <= 1000; from += 20) {
        assert.deepStrictEqual(yield* Queue.take(batches), range(from, from + 19))
      }
      assert.deepStrictEqual(asked.slice(0, 3), [100, 20, 20])
    })
  )

  it.effect("STAGE-02 at most 100, again at 20: batches of 80 and 20", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter())
      const { batches } = yield* subscribed(producer, { maxDemand: 100, minDemand: 20 }, 5)
      assert.deepStrictEqual(yield* Queue.take(batches), range(0, 79))
      assert.deepStrictEqual(yield* Queue.take(batches), range(80, 99))
      assert.deepStrictEqual(yield* Queue.take(batches), range(100, 179))
      assert.deepStrictEqual(yield* Queue.take(batches), range(180, 259))
      assert.deepStrictEqual(yield* Queue.take(batches), range(260, 279))
    })
  )

  it.effect("STAGE-03 one at a time", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const producer = yield* Actor.spawn(counter({ asked }))
      const { batches } = yield* subscribed(producer, { maxDemand: 1, minDemand: 0 }, 3)
      assert.deepStrictEqual(yield* Queue.takeN(batches, 3), [[0], [1], [2]])
      // The third is still being handled.
      assert.deepStrictEqual(asked, [1, 1, 1])
    })
  )

  it.effect("STAGE-04 a producer-consumer takes no more than is wanted of it, and keeps what is too much", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter())
      const got = yield* Queue.unbounded<ReadonlyArray<number>>()
      const middle = yield* Actor.spawn(doubler(got))
      const log = yield* told
      const last = yield* spawnSink(log, 9)
      yield* Stage.subscribe(last, { to: middle, maxDemand: 100, minDemand: 50 })
      yield* Stage.subscribe(middle, { to: producer, maxDemand: 100, minDemand: 80 })
      const twice = (from: number, to: number) => Array.flatMap(range(from, to), (n) => [n, n])
      const batches = yield* Queue.takeN(log.batches, 9)
      assert.deepStrictEqual(batches[0], twice(0, 19))
      assert.deepStrictEqual(batches[1], twice(20, 39))
      assert.deepStrictEqual(batches.flat(), twice(0, 1_000).slice(0, batches.flat().length))
      assert.deepInclude(batches, twice(120, 124))
      assert.deepInclude(batches, twice(125, 139))
      assert.deepStrictEqual((yield* Queue.takeN(got, 6)).flat(), range(0, 119))
    })
  )
})

describe("a producer-consumer", () => {
  it.effect("STAGE-04 at most 100, again at 20: what is made of a batch of 80 is given out as it is wanted", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter())
      const got = yield* Queue.unbounded<ReadonlyArray<number>>()
      const middle = yield* Actor.spawn(doubler(got))
      const log = yield* told
      const last = yield* spawnSink(log, 9)
      yield* Stage.subscribe(last, { to: middle, maxDemand: 100, minDemand: 50 })
      yield* Stage.subscribe(middle, { to: producer, maxDemand: 100, minDemand: 20 })
      const twice = (from: number, to: number) => Array.flatMap(range(from, to), (n) => [n, n])
      const batches = yield* Queue.takeN(log.batches, 4)
      assert.deepStrictEqual(batches, [twice(0, 24), twice(25, 49), twice(50, 74), twice(75, 99)])
      assert.deepStrictEqual((yield* Queue.takeN(got, 2)).flat(), range(0, 99))
    })
  )

  it.effect("STAGE-04 it stops asking when its consumer stops", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const producer = yield* Actor.spawn(counter({ asked }))
      const got = yield* Queue.unbounded<ReadonlyArray<number>>()
      const middle = yield* Actor.spawn(doubler(got))
      const log = yield* told
      const last = yield* spawnSink(log)
      const subscription = yield* Stage.subscribe(last, { to: middle, demand: "manual" })
      yield* Stage.subscribe(middle, { to: producer, maxDemand: 10, minDemand: 8 })
      yield* settle(producer, last)
      yield* middle.ask.Sync()
      // It has what it asked for, and does nothing about it.
      assert.deepStrictEqual([asked, yield* Queue.size(got)], [[10], 0])
      for (const [count, buffered] of [
        [3, 17],
        [17, 0]
      ] as const) {
        yield* Stage.ask(subscription, count)
        for (let round = 0; round < 3; round++) {
          yield* middle.ask.Sync()
          yield* settle(producer, last)
        }
        // What was sent at once is taken at once, and what is sent next waits until all of that is wanted.
        assert.deepStrictEqual((yield* Queue.clear(got)).flat(), buffered === 17 ? range(0, 9) : [])
        assert.strictEqual((yield* Stage.status(middle)).buffered, buffered)
      }
      assert.deepStrictEqual(
        (yield* Queue.clear(log.batches)).flat(),
        Array.flatMap(range(0, 9), (n) => [n, n])
      )
      assert.strictEqual(
        asked.reduce((sum, count) => sum + count, 0),
        20
      )
    })
  )
})

describe("buffer", () => {
  it.effect("STAGE-06 one without bounds keeps all", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ buffer: { size: Infinity }, last: -1 }))
      yield* producer.ask.Queue({ events: range(1, 20_000) })
      const { batches } = yield* subscribed(producer, { maxDemand: 20_000, minDemand: 0 })
      assert.deepStrictEqual(yield* Queue.take(batches), range(1, 20_000))
      assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
    })
  )

  it.effect("STAGE-06 10,000 are kept where nothing is said", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: -1 }))
      yield* producer.ask.Queue({ events: range(1, 10_003) })
      assert.strictEqual((yield* Stage.status(producer)).buffered, 10_000)
      const letters = yield* ActorSystem.deadLetters
      assert.deepStrictEqual(letters[0]?.payload, { events: [1, 2, 3] })
    })
  )

  it.effect("STAGE-05 what was emitted before anybody asked comes first", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const producer = yield* Actor.spawn(counter({ buffer: { size: 5 }, asked }))
      yield* producer.ask.Queue({ events: [-5, -4, -3] })
      yield* producer.ask.Queue({ events: [-2, -1] })
      assert.strictEqual((yield* Stage.status(producer)).buffered, 5)
      const { batches } = yield* subscribed(producer, { maxDemand: 4, minDemand: 0 }, 4)
      assert.deepStrictEqual(yield* Queue.takeN(batches, 4), [[-5, -4, -3, -2], [-1], [0, 1, 2], [3, 4, 5, 6]])
      assert.strictEqual((yield* Stage.status(producer)).buffered, 0)
      assert.deepStrictEqual(asked, [3, 4])
      assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
    })
  )

  for (const [keep, kept, discarded] of [
    ["first", [1, 2, 3, 4, 5], [6, 7, 8]],
    ["last", [4, 5, 6, 7, 8], [1, 2, 3]]
  ] as const) {
    it.effect(`STAGE-06 a full buffer keeps the ${keep}, and tells of the others`, () =>
      Effect.gen(function* () {
        const buffer = keep === "last" ? { size: 5 } : { size: 5, keep }
        const producer = yield* Actor.spawn(counter({ buffer, last: -1 }))
        yield* producer.ask.Queue({ events: range(1, 5) })
        yield* producer.ask.Queue({ events: range(6, 8) })
        const [letter, ...others] = yield* ActorSystem.deadLetters
        assert.deepStrictEqual(others, [])
        assert.deepInclude(letter, { recipient: producer.path, payload: { events: discarded } })
        assert.deepStrictEqual(letter?.reason, { _tag: "BufferFull", capacity: 5 })
        const { batches, ref } = yield* subscribed(producer, { maxDemand: 4, minDemand: 0 })
        assert.deepStrictEqual(yield* Queue.takeN(batches, 2), [kept.slice(0, 4), kept.slice(4)])
        // What was left over can be had once more.
        yield* ActorSystem.replay(letter!)
        yield* settle(producer, ref)
        assert.deepStrictEqual(yield* Queue.takeN(batches, 1), [discarded])
      })
    )
  }
})

describe("dispatchers", () => {
  it.effect("STAGE-07 each event goes to the consumer that has asked for most", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: -1 }))
      const manual = { demand: "manual" } as const
      const one = yield* subscribed(producer, manual)
      const two = yield* subscribed(producer, manual)
      const three = yield* subscribed(producer, manual)
      yield* Stage.ask(one.subscription, 4)
      yield* Stage.ask(two.subscription, 2)
      yield* Stage.ask(three.subscription, 3)
      for (const n of range(1, 9)) yield* producer.ask.Queue({ events: [n] })
      yield* settle(one.ref, two.ref, three.ref)
      assert.deepStrictEqual(yield* Queue.takeAll(one.batches), [[1], [3], [6], [9]])
      assert.deepStrictEqual(yield* Queue.takeAll(three.batches), [[2], [5], [8]])
      assert.deepStrictEqual(yield* Queue.takeAll(two.batches), [[4], [7]])
    })
  )

  it.effect("STAGE-07 one that takes twice from a producer gets each event once; what it leaves goes to others", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ last: -1 }))
      const manual = { demand: "manual", cancel: "temporary" } as const
      const one = yield* subscribed(producer, manual)
      const again = yield* Stage.subscribe(one.ref, { ...manual, to: producer })
      yield* Stage.ask(one.subscription, 2)
      yield* Stage.ask(again, 3)
      yield* producer.ask.Queue({ events: [1, 2, 3, 4] })
      yield* settle(one.ref)
      assert.deepStrictEqual(yield* Queue.takeAll(one.batches), [[1, 2, 3], [4]])
      yield* Stage.cancel(one.subscription)
      yield* producer.ask.Queue({ events: [5] })
      const other = yield* subscribed(producer, manual)
      yield* Stage.ask(other.subscription, 1)
      assert.deepStrictEqual(yield* Queue.take(other.batches), [5])
    })
  )

  it.effect("STAGE-08 a broadcast goes at the pace of the slowest", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const producer = yield* Actor.spawn(counter({ dispatcher: "broadcast", demand: "accumulate", asked }))
      const one = yield* subscribed(producer, { maxDemand: 10, minDemand: 0 }, 1)
      const two = yield* subscribed(producer, { maxDemand: 20, minDemand: 0 })
      assert.deepStrictEqual(asked, [])
      yield* Stage.setDemand(producer, "forward")
      assert.deepStrictEqual(yield* Queue.take(one.batches), range(0, 9))
      assert.deepStrictEqual(yield* Queue.take(two.batches), range(0, 9))
      yield* settle(producer, two.ref)
      assert.deepStrictEqual(asked, [10])
    })
  )

  it.effect("STAGE-08 who joins without asking holds the others up, until it leaves", () =>
    Effect.gen(function* () {
      const producer = yield* Actor.spawn(counter({ dispatcher: "broadcast" }))
      const silent = yield* subscribed(producer, { demand: "manual", cancel: "temporary" })
      const one = yield* subscribed(producer, { maxDemand: 10, minDemand: 0 }, 1)
      const two = yield* subscribed(producer, { maxDemand: 20, minDemand: 0 }, 1)
      yield* settle(producer)
      assert.strictEqual(yield* Queue.size(one.batches), 0)
      yield* Stage.cancel(silent.subscription)
      assert.deepStrictEqual(yield* Queue.take(one.batches), range(0, 9))
      assert.deepStrictEqual(yield* Queue.take(two.batches), range(0, 9))
    })
  )

  it.effect("STAGE-09 each event goes to its partition, a full one holds up nobody", () =>
    Effect.gen(function* () {
      const dispatcher = { partitions: 4, by: (n: number) => n % 4 }
      const producer = yield* Actor.spawn(counter({ dispatcher, last: -1 }))
      const sinks = yield* Effect.forEach([0, 1, 2, 3], (partition) =>
        subscribed(producer, { partition, demand: "manual" })
      )
      for (const { subscription } of sinks.slice(1)) yield* Stage.ask(subscription, 10)
      yield* producer.ask.Queue({ events: range(0, 7) })
      yield* settle(...sinks.map(({ ref }) => ref))
      const got = yield* Effect.forEach(sinks, ({ batches }) => Queue.clear(batches))
      assert.deepStrictEqual(got, [[], [[1, 5]], [[2, 6]], [[3, 7]]])
      yield* Stage.ask(sinks[0]!.subscription, 1)
      assert.deepStrictEqual(yield* Queue.take(sinks[0]!.batches), [0])
      yield* Stage.ask(sinks[0]!.subscription, 10)
      assert.deepStrictEqual(yield* Queue.take(sinks[0]!.batches), [4])
    })
  )

  it.effect("STAGE-09 what comes before its partition is taken waits for it", () =>
    Effect.gen(function* () {
      const dispatcher = { partitions: 2, key: (n: number) => n }
      const producer = yield* Actor.spawn(counter({ dispatcher, last: -1 }))
      yield* producer.ask.Queue({ events: range(0, 5) })
      const odd = yield* subscribed(producer, { partition: 1, maxDemand: 10, minDemand: 0 })
      assert.deepStrictEqual((yield* Queue.take(odd.batches)).concat(), [1, 3, 5])
      const even = yield* subscribed(producer, { partition: 0, maxDemand: 10, minDemand: 0 })
      assert.deepStrictEqual(yield* Queue.take(even.batches), [0, 2, 4])
    })
  )

  it.effect("STAGE-09 a partition that there is not is an error, on both sides", () =>
    Effect.gen(function* () {
      const dispatcher = {
        partitions: ["even", "odd"],
        by: (n: number) => (n % 2 === 0 ? "even" : n < 5 ? "odd" : "prime")
      }
      const producer = yield* Actor.spawn(counter({ dispatcher, last: -1 }))
      const even = yield* subscribed(producer, { partition: "even", cancel: "temporary" })
      const refused = (partition: string) => Effect.flip(subscribed(producer, { partition, cancel: "temporary" }))
      const taken = yield* refused("even")
      const unknown = yield* refused("third")
      assert.strictEqual(taken._tag === "SubscriptionRefused" && taken.reason, "partition-taken")
      assert.strictEqual(unknown._tag === "SubscriptionRefused" && unknown.reason, "no-such-partition")
      yield* producer.ask.Queue({ events: [2] })
      assert.deepStrictEqual(yield* Queue.take(even.batches), [2])
      const error = yield* Effect.flip(producer.ask.Queue({ events: [4, 7] }))
      assert.strictEqual(error.reason._tag, "HandlerFailed")
      const ended = yield* producer.ended
      assert.include(JSON.stringify(ended), "UnknownPartition")
    })
  )
})
