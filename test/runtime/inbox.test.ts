/** The sending side of an actor: where every message goes, and each invariant that the header states. */
import { assert, it } from "@effect/vitest"
import { Arbitrary, Deferred, Effect, Schema } from "effect"
import type { MailboxOptions } from "../../src/runtime/admission.ts"
import { Envelope } from "../../src/runtime/envelope.ts"
import { Inbox } from "../../src/runtime/inbox.ts"
import type { Item } from "../../src/runtime/mailbox.ts"
import * as State from "../../src/runtime/state.ts"
import type { System } from "../../src/runtime/system.ts"
import { HandOwner, HandRequest, makeSystem, program, settle, startSlot } from "../support/engine.ts"

const PUT = 0
const HOLD = 1
const CRASH = 2

/** A slot that can be held shut, with everything that becomes of its messages. */
const makeBox = (options: MailboxOptions, owner = new HandOwner()) =>
  Effect.gen(function* () {
    const { events, system } = yield* makeSystem()
    const handled: Array<unknown> = []
    let gate = Deferred.makeUnsafe<void>()
    owner.directive = "restart"
    const handlers = program({
      Put: (id) => void handled.push(id),
      Hold: (id) => {
        handled.push(id)
        gate = Deferred.makeUnsafe()
        return Deferred.await(gate)
      },
      Crash: (id) => {
        handled.push(id)
        throw new Error("crash")
      }
    })
    const { slot } = yield* startSlot(system, handlers, options, owner)
    const open = Effect.andThen(
      Effect.suspend(() => Deferred.succeed(gate, undefined)),
      settle
    )
    const hold = Effect.andThen(
      Effect.sync(() => slot.offer(HOLD, "hold")),
      settle
    )
    const dropped = () => events.flatMap((event) => (event._tag === "MessageDropped" ? [event] : []))
    const letters = () => system.letters.recent()
    return { slot, owner, system, events, handled, open, hold, dropped, letters }
  })

const Operation = Schema.Struct({
  kind: Schema.Literals(["tell", "tell", "tell", "now", "marked", "ask", "hold", "crash", "open", "settle", "drain"]),
  priority: Schema.Literals([0, 128, 255])
})
const operations = Arbitrary.array(Arbitrary.schema(Operation), { minLength: 1, maxLength: 60 })
const options = Arbitrary.schema(
  Schema.Struct({
    overflow: Schema.Literals(["suspend", "drop-newest", "drop-oldest", "reject"]),
    capacity: Schema.Literals([1, 2, 5, 1_000]),
    bytes: Schema.optionalKey(Schema.Literals([10, 35])),
    whileRestarting: Schema.optionalKey(Schema.Literals([0, 2])),
    onRestart: Schema.Literals(["keep", "discard"])
  })
)

it.effect.prop(
  "invariant 1: every message is handled, told as dropped, or a dead letter: exactly one of them, exactly once",
  { operations, options },
  ({ operations, options }) =>
    Effect.gen(function* () {
      const box = yield* makeBox({ ...options, sizeOf: () => 10 }, new HandOwner())
      box.owner.restarts = true
      const { slot } = box
      const asks: Array<HandRequest> = []
      let told = 0
      const tell = (item: Item, payload: unknown) => {
        if (slot.offer(item, payload) === "full") slot.waitForRoom({ item, payload, settled: () => undefined })
      }
      for (const { kind, priority } of operations) {
        if (kind === "open") yield* box.open
        else if (kind === "settle") yield* settle
        else if (kind === "drain") slot.drain()
        else if (kind === "tell") tell(PUT, told++)
        else if (kind === "hold") tell(HOLD, told++)
        else if (kind === "crash") tell(CRASH, told++)
        else if (kind === "now") slot.offerNow(PUT, told++)
        else if (kind === "marked") {
          const envelope = new Envelope(PUT, told++)
          envelope.priority = priority
          tell(envelope, undefined)
        } else {
          const ask = new HandRequest(PUT, "ask")
          asks.push(ask)
          tell(ask, undefined)
        }
      }
      box.owner.restarts = false
      slot.kill()
      yield* settle
      const ends = [
        ...box.handled.filter((id) => id !== "ask"),
        ...box
          .dropped()
          .map((event) => event.payload)
          .filter((id) => id !== "ask"),
        ...box.letters().map((letter) => letter.payload)
      ] as Array<number>
      assert.deepStrictEqual(
        ends.toSorted((x, y) => x - y),
        Array.from({ length: told }, (_, id) => id)
      )
      for (const ask of asks) assert.strictEqual(ask.settlements, 1)
      assert.deepStrictEqual([slot.size, slot.isEnded], [0, true])
    }),
  { arbitrary: { runs: 200 } }
)

it.effect("invariant 1: a bound by bytes is whole again after the queue was discarded", () =>
  Effect.gen(function* () {
    const box = yield* makeBox({ bytes: 100, sizeOf: () => 10, overflow: "reject", onRestart: "discard" })
    box.owner.restarts = true
    yield* box.hold
    box.slot.offer(CRASH, "crash")
    for (let n = 0; n < 9; n++) assert.strictEqual(box.slot.offer(PUT, n), "accepted")
    yield* box.open
    assert.strictEqual(box.letters().length, 9)
    yield* box.hold
    const verdicts = Array.from({ length: 11 }, (_, n) => box.slot.offer(PUT, n))
    assert.deepStrictEqual(verdicts, [...new Array<string>(10).fill("accepted"), "lost"])
    yield* box.open
  })
)

it.effect("invariant 1: work of the actor's own takes no bytes and gives none back", () =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const sizeOf = ({ tag }: { readonly tag: string }) => {
      asked.push(tag)
      return 10
    }
    const box = yield* makeBox({ bytes: 30, sizeOf, overflow: "reject" })
    yield* box.hold
    for (let i = 0; i < 3; i++) box.slot.post(() => undefined)
    yield* box.open
    yield* box.hold
    const verdicts = [1, 2, 3, 4].map((n) => box.slot.offer(PUT, n))
    assert.deepStrictEqual(verdicts, ["accepted", "accepted", "accepted", "lost"])
    assert.notInclude(asked, "")
    yield* box.open
  })
)

it.effect("a drained actor stays closed, however long its queue had been", () =>
  Effect.gen(function* () {
    const box = yield* makeBox({ highWater: 4 })
    yield* box.hold
    for (let n = 0; n < 20; n++) box.slot.offer(PUT, n)
    box.slot.drain()
    assert.strictEqual(box.slot.offer(PUT, 99), "lost")
    yield* box.open
    assert.strictEqual(box.handled.length, 21)
    assert.deepStrictEqual(
      box.letters().map((letter) => [letter.payload, letter.reason]),
      [[99, { _tag: "Draining" }]]
    )
    assert.deepStrictEqual(box.owner.log, ["owner: ended Normal"])
  })
)

it.effect("a sender that waits gets room in the order in which they came, and stops waiting when it wants to", () =>
  Effect.gen(function* () {
    const box = yield* makeBox({ capacity: 1 })
    yield* box.hold
    const settled: Array<string> = []
    assert.strictEqual(box.slot.offer(PUT, 0), "accepted")
    const stops = [1, 2, 3].map((n) => {
      assert.strictEqual(box.slot.offer(PUT, n), "full")
      return box.slot.waitForRoom({ item: PUT, payload: n, settled: (ok) => settled.push(`${n} ${ok}`) })
    })
    stops[1]!()
    assert.deepStrictEqual(settled, [])
    yield* box.open
    assert.deepStrictEqual(box.handled, ["hold", 0, 1, 3])
    assert.deepStrictEqual(settled, ["1 true", "3 true"])
  })
)

it.effect("senders that wait for room in an actor that ends are told, and their messages are dead letters", () =>
  Effect.gen(function* () {
    const box = yield* makeBox({ capacity: 1 })
    yield* box.hold
    const settled: Array<boolean> = []
    box.slot.offer(PUT, 0)
    box.slot.waitForRoom({ item: PUT, payload: 1, settled: (accepted) => settled.push(accepted) })
    box.slot.kill()
    yield* settle
    assert.deepStrictEqual(settled, [false])
    assert.deepStrictEqual(
      box.letters().map((letter) => letter.payload),
      [0, 1]
    )
  })
)

/** An inbox whose turns are the test's. */
class TestInbox extends Inbox {
  readonly path = "box"
  protected readonly tags = ["Put"]
  turns = 0
  run(): number {
    this.enqueued = false
    return this.runAhead()
  }
  runAhead(): number {
    if (this.state !== State.Queued) return 0
    this.turns++
    while (this.next() !== undefined) this.payload()
    this.emptied()
    this.state = State.Idle
    return 1
  }
  up(): this {
    this.state = State.Idle
    return this
  }
  get isQueued(): boolean {
    return this.state === State.Queued
  }
}

const makeInbox = (system: System, options?: MailboxOptions) => new TestInbox(system, options).up()

it.effect("invariant 2: queued once for its turn, however many messages come; not queued when nothing has come", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const inbox = makeInbox(system)
    yield* settle
    assert.deepStrictEqual([inbox.isQueued, inbox.turns], [false, 0])
    for (let n = 0; n < 100; n++) {
      inbox.offer(PUT, n)
      assert.isTrue(inbox.isQueued)
    }
    yield* settle
    assert.deepStrictEqual([inbox.isQueued, inbox.turns, inbox.size], [false, 1, 0])
    inbox.post(() => undefined)
    assert.isTrue(inbox.isQueued)
    yield* settle
    assert.deepStrictEqual([inbox.isQueued, inbox.turns], [false, 2])
  })
)

it.effect("invariant 3: without rules only growing and the high-water mark take the slow path", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const inbox = makeInbox(system)
    let slow = 0
    const offerSlow: (item: Item, payload: unknown) => unknown = Reflect.get(inbox, "offerSlow")
    Object.assign(inbox, {
      offerSlow(item: Item, payload: unknown) {
        slow++
        return offerSlow.call(inbox, item, payload)
      }
    })
    for (let n = 0; n < 100_000; n++) inbox.offer(PUT, n)
    assert.strictEqual(inbox.size, 100_000)
    assert.isAtLeast(slow, 10)
    assert.isAtMost(slow, 40)
  })
)

it.effect("the high-water mark is told at its size and at each doubling, and anew once the queue has run empty", () =>
  Effect.gen(function* () {
    const { events, system } = yield* makeSystem()
    const inbox = makeInbox(system, { highWater: 10 })
    const marks = () => events.splice(0).flatMap((event) => (event._tag === "MailboxHighWater" ? [event.size] : []))
    const fill = (count: number) => {
      for (let n = 0; n < count; n++) inbox.offer(PUT, n)
    }
    fill(9)
    assert.deepStrictEqual(marks(), [])
    fill(71)
    assert.deepStrictEqual(marks(), [10, 20, 40, 80])
    yield* settle
    fill(10)
    assert.deepStrictEqual(marks(), [10])
  })
)

it.effect("what is kept while it is down has a bound of its own", () =>
  Effect.gen(function* () {
    const { events, system } = yield* makeSystem()
    const inbox = new TestInbox(system, { whileRestarting: 2 })
    const verdicts = [1, 2, 3].map((n) => inbox.offer(PUT, n))
    assert.deepStrictEqual(verdicts, ["accepted", "accepted", "lost"])
    assert.deepStrictEqual(events, [
      { _tag: "MessageDropped", path: "box", tag: "Put", payload: 3, reason: "restarting" }
    ])
    inbox.up()
    assert.strictEqual(inbox.offer(PUT, 4), "accepted")
  })
)

it.effect("a request that finds no room is told so, by the bound it met", () =>
  Effect.gen(function* () {
    for (const overflow of ["reject", "drop-newest"] as const) {
      const box = yield* makeBox({ capacity: 1, overflow })
      yield* box.hold
      const asks = [1, 2].map(() => new HandRequest(PUT, "ask"))
      assert.deepStrictEqual(
        asks.map((ask) => box.slot.offer(ask, undefined)),
        ["accepted", "lost"]
      )
      assert.deepStrictEqual(
        asks.map((ask) => ask.outcome),
        [undefined, "MailboxFull"]
      )
      assert.deepStrictEqual(box.letters(), [])
      yield* box.open
      assert.deepStrictEqual(asks[0]!.settlements, 1)
    }
  })
)

it.effect("one entry in the run queue, also for an actor with a long queue that goes ahead of others", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const order: Array<string> = []
    const { slot: flooded } = yield* startSlot(system, program({ Put: () => void order.push("flooded") }))
    const { slot: quiet } = yield* startSlot(system, program({ Put: () => void order.push("quiet") }))
    const { dispatcher } = system
    const entries = () => {
      const queue: ReadonlyArray<unknown> = Reflect.get(dispatcher, "queue")
      return queue.filter((entry) => entry === flooded).length
    }
    let most = 0
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 3_000; n++) flooded.offer(PUT, n)
      quiet.offer(PUT, round)
      most = Math.max(most, entries())
      yield* Effect.yieldNow
      most = Math.max(most, entries())
    }
    yield* settle
    assert.strictEqual(most, 1)
    assert.strictEqual(order.filter((name) => name === "quiet").length, 20)
    assert.strictEqual(order.length, 20 + 60_000)
  })
)

it.effect("drop-oldest never gives up work of the actor's own", () =>
  Effect.gen(function* () {
    const box = yield* makeBox({ capacity: 2, overflow: "drop-oldest" })
    yield* box.hold
    box.slot.post(() => void box.handled.push("notice"))
    for (let n = 0; n < 5; n++) box.slot.offer(PUT, n)
    yield* box.open
    assert.includeMembers(box.handled, ["notice", 4])
    assert.notInclude(
      box.dropped().map((event) => event.tag),
      ""
    )
  })
)

it.effect("drop-oldest gives up what comes where nothing may wait", () =>
  Effect.gen(function* () {
    const box = yield* makeBox({ capacity: 0, overflow: "drop-oldest" })
    const other = yield* makeBox({})
    box.slot.post(() => void box.handled.push("notice"))
    for (let n = 0; n < 3; n++) assert.strictEqual(box.slot.offer(PUT, n), "lost")
    yield* box.open
    assert.deepStrictEqual(box.handled, ["notice"])
    assert.strictEqual(box.dropped().length, 3)
    // Nobody else's mailbox has anything of it.
    other.slot.offer(PUT, "mine")
    yield* box.open
    assert.deepStrictEqual(other.handled, ["mine"])
  })
)

it.effect("who waits for room gets what was taken out, and what was taken out keeps its priority", () =>
  Effect.gen(function* () {
    const box = yield* makeBox({ capacity: 2, priority: ({ payload }) => (payload === "first" ? 255 : 128) })
    yield* box.hold
    const wanted = new Envelope(PUT, "wanted")
    for (const item of [wanted, new Envelope(PUT, "first")]) box.slot.offer(item, undefined)
    const late = new Envelope(PUT, "late")
    assert.strictEqual(box.slot.offer(late, undefined), "full")
    box.slot.waitForRoom({ item: late, payload: undefined, settled: () => undefined })
    const taken = box.slot.takeOut((item): item is Envelope => item === wanted)
    assert.deepStrictEqual(taken, [wanted])
    box.slot.offer(new Envelope(PUT, "last"), undefined)
    yield* box.open
    assert.deepStrictEqual(box.handled, ["hold", "first", "late"])
  })
)

it.effect("where all that was queued is taken out, who waited for room is let in at once", () =>
  Effect.gen(function* () {
    const box = yield* makeBox({ capacity: 1 })
    yield* box.hold
    const wanted = [new Envelope(PUT, 1), new Envelope(PUT, 2)]
    const late = new Envelope(PUT, "late")
    const settled: Array<boolean> = []
    box.slot.offer(wanted[0]!, undefined)
    for (const item of [wanted[1]!, late]) {
      box.slot.waitForRoom({ item, payload: undefined, settled: (accepted) => settled.push(accepted) })
    }
    assert.deepStrictEqual(
      box.slot.takeOut((item): item is Envelope => wanted.includes(item as Envelope)),
      wanted
    )
    assert.strictEqual(box.slot.size, 1)
    yield* box.open
    assert.deepStrictEqual(settled, [true, true])
    assert.deepStrictEqual(box.handled, ["hold", "late"])
  })
)

it.effect("a discarded queue keeps the actor's own work", () =>
  Effect.gen(function* () {
    const box = yield* makeBox({ onRestart: "discard" })
    box.owner.restarts = true
    yield* box.hold
    box.slot.offer(CRASH, "crash")
    box.slot.offer(PUT, 1)
    box.slot.post(() => void box.handled.push("notice"))
    yield* box.open
    assert.deepStrictEqual(box.handled, ["hold", "crash", "notice"])
    assert.deepStrictEqual(
      box.letters().map((letter) => letter.payload),
      [1]
    )
  })
)
