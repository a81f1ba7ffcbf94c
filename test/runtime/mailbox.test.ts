/** The ring against a plain array, and each invariant that its header states. */
import { assert, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { DEFAULT_PRIORITY } from "../../src/runtime/envelope.ts"
import { Mailbox } from "../../src/runtime/mailbox.ts"

interface Entry {
  readonly item: number
  readonly payload: unknown
  readonly priority: number
}

/** What a mailbox is meant to be: a list, looked through each time. */
class Model {
  entries: Array<Entry> = []
  private takeFirst(priority: number): Entry | undefined {
    const at = this.entries.findIndex((entry) => entry.priority === priority)
    return at < 0 ? undefined : this.entries.splice(at, 1)[0]
  }
  next(): Entry | undefined {
    return this.takeFirst(Math.max(...this.entries.map((entry) => entry.priority)))
  }
  nextToDrop(): Entry | undefined {
    return this.takeFirst(Math.min(...this.entries.map((entry) => entry.priority)))
  }
}

const Operation = Schema.Union([
  Schema.TaggedStruct("insert", { priority: Schema.Literals([0, 100, 127, 128, 128, 128, 128, 129, 255]) }),
  Schema.TaggedStruct("burst", { count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 })) }),
  Schema.TaggedStruct("next", {}),
  Schema.TaggedStruct("takeSome", { count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 })) }),
  Schema.TaggedStruct("nextToDrop", {}),
  Schema.TaggedStruct("rebase", {}),
  Schema.TaggedStruct("far", {})
])

const operations = Arbitrary.array(Arbitrary.schema(Operation), { minLength: 1, maxLength: 120 })

/** Both sides do the same and have to look the same. */
class Pair {
  readonly mailbox = new Mailbox()
  readonly model = new Model()
  private sent = 0

  insert(priority: number): void {
    const item = this.sent++
    this.mailbox.insert(item, { item }, priority)
    this.model.entries.push({ item, payload: { item }, priority })
  }

  take(how: "next" | "nextToDrop"): void {
    const expected = this.model[how]()
    const item = this.mailbox[how]()
    assert.strictEqual(item, expected?.item)
    if (item !== undefined) assert.deepStrictEqual(this.mailbox.payload(), expected!.payload)
    if (this.mailbox.isEmpty) this.mailbox.rewind()
  }

  run(operation: typeof Operation.Type): void {
    if (operation._tag === "insert") this.insert(operation.priority)
    else if (operation._tag === "burst") for (let i = 0; i < operation.count; i++) this.insert(DEFAULT_PRIORITY)
    else if (operation._tag === "takeSome") for (let i = 0; i < operation.count; i++) this.take("next")
    else if (operation._tag === "rebase") this.mailbox.rebase()
    else if (operation._tag === "far") this.goFar()
    else this.take(operation._tag)
    assert.strictEqual(this.mailbox.size, this.model.entries.length)
    assert.strictEqual(this.mailbox.isEmpty, this.model.entries.length === 0)
  }

  /** As if a thousand million messages had passed: the indexes are large, the places in the ring the same. */
  private goFar(): void {
    if (this.mailbox.head > 0x3fffffff) return
    this.mailbox.head += 0x40000000
    this.mailbox.tail += 0x40000000
  }

  drain(): void {
    while (this.model.entries.length > 0) this.take("next")
    assert.strictEqual(this.mailbox.next(), undefined)
  }
}

it.effect.prop(
  "behaves as a list ordered by priority, then by arrival",
  { operations },
  ({ operations }) =>
    Effect.sync(() => {
      const pair = new Pair()
      for (const operation of operations) pair.run(operation)
      pair.drain()
    }),
  { arbitrary: { runs: 300 } }
)

/** Fills a mailbox of default priority with 0, 1, 2, … */
const filled = (count: number) => {
  const mailbox = new Mailbox()
  mailbox.setCeiling(Infinity)
  for (let n = 0; n < count; n++) mailbox.insert(n, `payload ${n}`, DEFAULT_PRIORITY)
  return mailbox
}

const takeOne = (mailbox: Mailbox) => [mailbox.next(), mailbox.payload()]

const takeAll = (mailbox: Mailbox) => {
  const taken: Array<unknown> = []
  for (let item = mailbox.next(); item !== undefined; item = mailbox.next()) taken.push([item, mailbox.payload()])
  return taken
}

const expectedFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => [first + i, `payload ${first + i}`])

it("invariant 1: head and tail only grow within a burst, by two words a message", () => {
  const mailbox = filled(8)
  assert.deepStrictEqual([mailbox.head, mailbox.tail], [0, 16])
  takeOne(mailbox)
  mailbox.insert(8, "payload 8", DEFAULT_PRIORITY)
  assert.deepStrictEqual([mailbox.head, mailbox.tail], [2, 18])
  assert.deepStrictEqual(takeAll(mailbox), expectedFrom(1, 8))
  assert.deepStrictEqual([mailbox.head, mailbox.tail], [18, 18])
  mailbox.rewind()
  assert.deepStrictEqual([mailbox.head, mailbox.tail], [0, 0])
})

it("invariant 1: growing in the middle of the ring keeps the order", () => {
  for (const taken of [0, 1, 3, 7]) {
    const mailbox = filled(8)
    for (let n = 0; n < taken; n++) takeOne(mailbox)
    for (let n = 8; n < 40; n++) mailbox.insert(n, `payload ${n}`, DEFAULT_PRIORITY)
    assert.deepStrictEqual(takeAll(mailbox), expectedFrom(taken, 40 - taken))
  }
})

it("invariant 2: up to `limit` a push needs no look; a full ring, a bound and a closed mailbox ask for one", () => {
  const mayPush = (mailbox: Mailbox) => mailbox.tail - mailbox.head < mailbox.limit
  const mailbox = new Mailbox()
  mailbox.setCeiling(6)
  assert.isFalse(mayPush(mailbox), "nothing has been allocated yet")
  mailbox.insert(0, "payload 0", DEFAULT_PRIORITY)
  assert.isTrue(mayPush(mailbox))
  mailbox.push(1, "payload 1")
  assert.isFalse(mayPush(mailbox), "the ring of four words is full")
  mailbox.insert(2, "payload 2", DEFAULT_PRIORITY)
  assert.isFalse(mayPush(mailbox), "three messages are the bound, although the ring has room for four")
  mailbox.setCeiling(8)
  assert.isTrue(mayPush(mailbox))
  mailbox.setCeiling(0)
  assert.isFalse(mayPush(mailbox), "closed")
  assert.deepStrictEqual(takeAll(mailbox), expectedFrom(0, 3))
  assert.isFalse(mayPush(mailbox), "an empty mailbox stays closed")
})

it("invariant 3: only a message of another priority leaves the ring", () => {
  const mailbox = filled(2)
  mailbox.insert(10, "urgent", 200)
  mailbox.insert(11, "idle", 3)
  assert.deepStrictEqual([mailbox.tail - mailbox.head, mailbox.size], [4, 4])
  assert.deepStrictEqual(takeAll(mailbox), [[10, "urgent"], ...expectedFrom(0, 2), [11, "idle"]])
})

it("drop-oldest gives up the oldest of the lowest priority", () => {
  const mailbox = filled(2)
  mailbox.insert(10, "urgent", 200)
  mailbox.insert(11, "idle", 3)
  mailbox.insert(12, "idle too", 3)
  const dropped: Array<unknown> = []
  for (let item = mailbox.nextToDrop(); item !== undefined; item = mailbox.nextToDrop()) {
    dropped.push([item, mailbox.payload()])
  }
  assert.deepStrictEqual(dropped, [[11, "idle"], [12, "idle too"], ...expectedFrom(0, 2), [10, "urgent"]])
})

it("a ring that had grown large is given back when it runs empty, a small one is kept", () => {
  const large = filled(2_000)
  assert.isAtLeast(large.limit, 4_000)
  takeAll(large)
  large.rewind()
  assert.strictEqual(large.limit, 0)
  const small = filled(1_000)
  takeAll(small)
  small.rewind()
  assert.strictEqual(small.limit, 2_048)
})

it("indexes are made small again in a mailbox that never runs empty", () => {
  const mailbox = filled(6)
  mailbox.head += 0x40000000
  mailbox.tail += 0x40000000
  takeOne(mailbox)
  mailbox.rebase()
  assert.isBelow(mailbox.tail, 100)
  assert.deepStrictEqual(takeAll(mailbox), expectedFrom(1, 5))
})

it("nothing that has been taken is held on to", () => {
  const mailbox = filled(3)
  mailbox.insert(9, { large: true }, 200)
  takeAll(mailbox)
  const held: unknown = Reflect.get(mailbox, "buffer")
  assert.isArray(held)
  assert.isTrue((held as Array<unknown>).every((word) => word === undefined))
  assert.strictEqual(Reflect.get(mailbox, "fromLane"), undefined)
})
