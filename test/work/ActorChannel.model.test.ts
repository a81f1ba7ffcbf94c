/** R1, R8, R10: a channel and a model of plain arrays live through the same random histories, and look the same after each step. */
import { assert, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Fiber, Schema, Scope } from "effect"
import { ActorChannel, ActorSystem } from "effect-otp"
import { Model } from "./channelModel.ts"

const upTo = (maximum: number, minimum = 0) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const reader = upTo(2)

const Step = Schema.Union([
  Schema.TaggedStruct("put", { count: upTo(4, 1) }),
  Schema.TaggedStruct("waitPut", { count: upTo(4, 1) }),
  Schema.TaggedStruct("waitGet", { min: upTo(4, 1), more: upTo(2) }),
  Schema.TaggedStruct("interrupt", { which: upTo(3) }),
  Schema.TaggedStruct("get", { min: upTo(3, 1), more: upTo(2) }),
  Schema.TaggedStruct("take", { reader, min: upTo(3, 1), more: upTo(2) }),
  Schema.TaggedStruct("receive", { reader }),
  Schema.TaggedStruct("answer", { which: upTo(4), how: Schema.Literals(["ack", "nack", "reject"]) }),
  Schema.TaggedStruct("remove", { which: upTo(8) }),
  Schema.TaggedStruct("signal", {}),
  Schema.TaggedStruct("leave", { reader }),
  Schema.TaggedStruct("resize", { capacity: upTo(6, 1) }),
  Schema.TaggedStruct("recover", {}),
  // Rare: it is the last thing of interest.
  Schema.TaggedStruct("close", { really: upTo(4) })
])
type Step = typeof Step.Type

const history = Arbitrary.array(Arbitrary.schema(Step), { minLength: 1, maxLength: 90 })
const NAMES = [0, 1, 2]
const CAPACITY = 4
const REDELIVER = 2
const SIZE = 3

interface Given {
  readonly reader: number
  readonly delivery: ActorChannel.Delivery<number>
  readonly id: number
}

type Channel = ActorChannel.ActorChannel<number, number>
type Joined = { readonly reader: ActorChannel.Reader<number, number>; readonly scope: Scope.Closeable }

/** The tag of its error, or its result. */
const outcome = <A>(effect: Effect.Effect<A, { readonly _tag: string }>): Effect.Effect<A | string> =>
  effect.pipe(Effect.catch(({ _tag }) => Effect.succeed(_tag)))

/** Both do the same. An item is the number that it has in the order of all that was put and signalled. */
class Pair {
  readonly model = new Model(CAPACITY, REDELIVER)
  private readonly open: (from?: ActorChannel.Checkpoint<number, number>) => Effect.Effect<Channel>
  private channel!: Channel
  private numbered = 0
  private readonly readers = new Map<number, Joined>()
  private given: Array<Given> = []
  private entries: Array<{ readonly entry: ActorChannel.Entry; readonly id: number }> = []
  private waiting: Array<{ readonly id: number; readonly fiber: Fiber.Fiber<unknown, { readonly _tag: string }> }> = []
  private waits = 0
  private readonly resizes = new Set<number>()

  constructor(open: Pair["open"]) {
    this.open = open
  }

  private readonly number = (count: number): number => {
    const first = this.numbered
    this.numbered += count
    return first
  }

  begin() {
    return Effect.gen({ self: this }, function* () {
      this.channel = yield* this.open()
      for (const name of NAMES) yield* this.join(name)
    })
  }

  private join(name: number) {
    return Effect.gen({ self: this }, function* () {
      this.model.join(name)
      const scope = yield* Scope.make()
      this.readers.set(name, { reader: yield* Scope.provide(this.channel.reader(`${name}`), scope), scope })
    })
  }

  /** The numbers that items get must be known before they are put, so the model goes first. */
  step(step: Step): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      yield* this.act(step)
      for (let i = 0; i < 4; i++) yield* Effect.yieldNow
      this.model.settle(this.number)
      yield* this.compare()
    })
  }

  private act(step: Step): Effect.Effect<void> {
    switch (step._tag) {
      case "put":
        return this.put(step.count)
      case "waitPut":
        return this.waitPut(step.count)
      case "waitGet":
        return this.waitGet(step.min, step.min + step.more)
      case "interrupt":
        return this.interrupt(step.which)
      case "get":
        return this.get(step.min, step.min + step.more)
      case "take":
        return this.take(step.reader, step.min, step.min + step.more)
      case "receive":
        return this.receive(step.reader)
      case "answer":
        return this.answer(step.which, step.how)
      case "remove":
        return this.remove(step.which)
      case "signal":
        return Effect.suspend(() => {
          const id = this.number(1)
          this.model.signal(id)
          return this.channel.signal(id)
        })
      case "leave":
        return this.leave(step.reader)
      case "resize":
        return this.resize(step.capacity)
      case "recover":
        return this.recover()
      case "close":
        return step.really > 0
          ? Effect.void
          : Effect.andThen(
              Effect.sync(() => (this.model.closed = true)),
              this.channel.close
            )
    }
  }

  private readonly blank = (count: number): ReadonlyArray<number> => Array.from({ length: count }, () => 0)

  private put(count: number) {
    return Effect.gen({ self: this }, function* () {
      const first = this.numbered
      const expected = this.model.put(this.blank(count), this.number)
      const items = Array.from({ length: count }, (_, i) => first + i)
      const put = yield* outcome(this.channel.putAll(items, { within: 0 }))
      if (typeof put === "string") return assert.strictEqual(put, expected)
      assert.strictEqual(expected, first)
      for (const [i, entry] of put.entries()) this.entries.push({ entry, id: first + i })
    })
  }

  /** What waits is put later, under another number: the channel gets an item that stands for whatever number that will be. */
  private waitPut(count: number) {
    return Effect.suspend(() => {
      const { model } = this
      if (model.closed || count > model.capacity) return this.put(count)
      if (model.puts.length === 0 && model.items.length + count <= model.capacity) return this.put(count)
      const put = this.channel.putAll(this.blank(count).map(() => -1))
      return this.wait(put, (id) => model.puts.push({ id, items: this.blank(count) }))
    })
  }

  private wait(effect: Effect.Effect<unknown, { readonly _tag: string }>, enter: (id: number) => void) {
    return Effect.gen({ self: this }, function* () {
      const id = this.waits++
      enter(id)
      this.waiting.push({ id, fiber: yield* Effect.forkDetach(effect, { startImmediately: true }) })
    })
  }

  private waitGet(min: number, max: number) {
    return this.wait(this.channel.getBetween(min, max), (id) => this.model.gets.push({ id, min, max }))
  }

  private interrupt(which: number) {
    return Effect.suspend((): Effect.Effect<void> => {
      const [one] = this.waiting.splice(which, 1)
      if (one === undefined) return Effect.void
      this.model.puts = this.model.puts.filter(({ id }) => id !== one.id)
      this.model.gets = this.model.gets.filter(({ id }) => id !== one.id)
      return Fiber.interrupt(one.fiber)
    })
  }

  private get(min: number, max: number) {
    return Effect.gen({ self: this }, function* () {
      const expected = this.model.take(undefined, min, max, false)
      const got = yield* outcome(this.channel.getBetween(min, max, { within: 0 }))
      this.sameItems(got, typeof expected === "string" ? expected : expected.map(({ id }) => id))
    })
  }

  /** What waited to be put is known by -1. */
  private sameItems(got: ReadonlyArray<number> | string, expected: ReadonlyArray<number> | string): void {
    if (typeof got === "string" || typeof expected === "string") return assert.strictEqual(got, expected)
    const known = got.map((item, i) => (item === -1 ? expected[i] : item))
    assert.deepStrictEqual<ReadonlyArray<number | undefined>>(known, expected)
  }

  private take(name: number, min: number, max: number) {
    return Effect.gen({ self: this }, function* () {
      const expected = this.model.take(name, min, max, true)
      const got = yield* outcome(this.readers.get(name)!.reader.takeBetween(min, max, { within: 0 }))
      this.sameDeliveries(name, got, expected)
    })
  }

  private sameDeliveries(
    name: number,
    got: ReadonlyArray<ActorChannel.Delivery<number>> | string,
    expected: ReadonlyArray<{ readonly id: number; readonly deliveries: number }> | string
  ): void {
    if (typeof got === "string" || typeof expected === "string") return assert.strictEqual<unknown>(got, expected)
    this.sameItems(
      got.map(({ item }) => item),
      expected.map(({ id }) => id)
    )
    assert.deepStrictEqual(
      got.map(({ deliveries }) => deliveries),
      expected.map(({ deliveries }) => deliveries)
    )
    for (const [i, delivery] of got.entries()) this.given.push({ reader: name, delivery, id: expected[i]!.id })
  }

  private receive(name: number) {
    return Effect.gen({ self: this }, function* () {
      const expected = this.model.receive(name)
      const got = yield* outcome(this.readers.get(name)!.reader.receive({ within: 0 }))
      if (typeof got === "string" || got._tag === "Delivery") {
        if (typeof expected === "number") return assert.fail(`control value ${expected} did not come`)
        return this.sameDeliveries(name, typeof got === "string" ? got : [got], expected)
      }
      if (got._tag === "Resize") return assert.isTrue(this.resizes.has(expected as number))
      assert.strictEqual(got.value, expected)
    })
  }

  private answer(which: number, how: "ack" | "nack" | "reject") {
    return Effect.gen({ self: this }, function* () {
      // Some are answered twice, and too late.
      const one = this.given.at(-1 - which)
      if (one === undefined) return
      const expected = this.model.answer(one.reader, one.id, one.delivery.deliveries, how)
      assert.strictEqual(yield* one.delivery[how], expected)
    })
  }

  private remove(which: number) {
    return Effect.gen({ self: this }, function* () {
      const one = this.entries.at(-1 - which)
      if (one === undefined) return
      assert.strictEqual(yield* one.entry.remove, this.model.remove(one.id))
    })
  }

  private leave(name: number) {
    return Effect.gen({ self: this }, function* () {
      this.model.leave(name)
      yield* Scope.close(this.readers.get(name)!.scope, Exit.void)
      this.given = this.given.filter((each) => each.reader !== name)
      for (let i = 0; i < 4; i++) yield* Effect.yieldNow
      this.model.settle(this.number)
      yield* this.join(name)
    })
  }

  private resize(capacity: number) {
    return Effect.suspend(() => {
      const id = this.number(1)
      this.model.capacity = capacity
      this.model.signal(id)
      this.resizes.add(id)
      return this.channel.resize({ capacity })
    })
  }

  /** A channel made of what another one holds is as good as that one, but for who reads and waits. */
  private recover() {
    return Effect.gen({ self: this }, function* () {
      const other = yield* this.open(yield* this.channel.checkpoint)
      assert.deepStrictEqual(yield* other.checkpoint, yield* this.channel.checkpoint)
    })
  }

  private compare() {
    return Effect.gen({ self: this }, function* () {
      const { model } = this
      const { entries } = yield* this.channel.checkpoint
      const items = entries.flatMap((entry) => (entry._tag === "Item" ? [entry] : []))
      const expected = [...model.items, ...[...model.held.values()].flat()].sort((a, b) => a.id - b.id)
      this.sameItems(
        items.map(({ item }) => item),
        expected.map(({ id }) => id)
      )
      assert.deepStrictEqual(
        items.map(({ deliveries }) => deliveries),
        expected.map(({ deliveries }) => deliveries)
      )
      const stats = yield* this.channel.stats
      assert.deepInclude(stats, {
        depth: model.items.length,
        capacity: model.capacity,
        unacknowledged: model.unacknowledged,
        waitingPuts: model.puts.length,
        waitingTakes: model.gets.length,
        deadLetters: model.dead.length,
        bytes: SIZE * model.items.length
      })
      this.addsUp(stats)
      const joined = yield* this.channel.readers
      assert.deepStrictEqual(
        joined.map(({ name, unacknowledged }) => [Number(name), unacknowledged]).toSorted(),
        [...model.held].map(([name, items]) => [name, items.length]).toSorted()
      )
      const done = this.waiting.filter(({ fiber }) => fiber.pollUnsafe() !== undefined)
      assert.deepStrictEqual(
        done.map(({ id }) => id).toSorted((a, b) => a - b),
        this.waiting.flatMap(({ id }) => (model.ended.has(id) ? [id] : [])).toSorted((a, b) => a - b)
      )
      for (const { fiber, id } of done) yield* this.compareEnd(id, yield* Fiber.await(fiber))
      this.waiting = this.waiting.filter((each) => !done.includes(each))
    })
  }

  /** Each item that was put, and each delivery, is somewhere. */
  private addsUp(stats: ActorChannel.Stats): void {
    const { acknowledged, deadLetters, delivered, depth, put, removed, returned, unacknowledged } = stats
    assert.strictEqual(put, depth + unacknowledged + acknowledged + removed + deadLetters)
    assert.strictEqual(delivered, unacknowledged + acknowledged + returned + deadLetters)
  }

  private compareEnd(id: number, exit: Exit.Exit<unknown, { readonly _tag: string }>) {
    return Effect.gen({ self: this }, function* () {
      const expected = this.model.ended.get(id)!
      const got = yield* outcome(exit)
      if (typeof expected === "string") return assert.strictEqual(got, expected)
      const [first] = got as ReadonlyArray<unknown>
      if (typeof first === "number") return this.sameItems(got as ReadonlyArray<number>, expected)
      for (const [i, entry] of (got as ReadonlyArray<ActorChannel.Entry>).entries()) {
        this.entries.push({ entry, id: expected[0]! + i })
      }
    })
  }

  end() {
    return Effect.forEach(this.waiting, ({ fiber }) => Fiber.interrupt(fiber), { discard: true })
  }
}

it.effect.prop(
  "R1 R8 R10 a channel behaves as its model",
  { history },
  ({ history }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const scope = yield* Effect.scope
        const pair = new Pair((from) =>
          Scope.provide(
            ActorChannel.make<number, number>("test/model", {
              capacity: CAPACITY,
              redeliver: REDELIVER,
              sizeOf: () => SIZE,
              ...(from === undefined ? undefined : { from })
            }),
            scope
          )
        )
        yield* pair.begin()
        for (const step of history) yield* pair.step(step)
        yield* pair.end()
      })
    ).pipe(Effect.provide(ActorSystem.layer())),
  { arbitrary: { runs: Number(process.env["HISTORIES"] ?? 1_500) } }
)
