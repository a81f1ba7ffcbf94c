/** MBX: mailboxes, priorities, dead letters. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { Actor, ActorRef, ActorSystem, type Behavior, Supervisor, type SystemEvent } from "effect-otp"
import { quiet } from "../support/recording.ts"

class Box extends Actor.Service<Box>()("test/Box", {
  Hold: {},
  Put: {
    payload: { n: Schema.Int, level: Schema.optionalKey(Schema.Int), bytes: Schema.optionalKey(Schema.Uint8Array) }
  },
  Look: { success: Schema.Array(Schema.Int) }
}) {}

/** A box that is held shut until its gate opens, with everything its system tells. */
const box = (mailbox?: Behavior.MailboxOptions) =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const handled: Array<number> = []
    const events: Array<SystemEvent.SystemEvent> = []
    yield* ActorSystem.onEvent((event) => void events.push(event))
    const behavior = Box.behavior(
      Effect.succeed(
        Box.of({
          Hold: () => Deferred.await(gate),
          Put: ({ n }) => void handled.push(n),
          Look: () => [...handled]
        })
      ),
      mailbox === undefined ? {} : { mailbox }
    )
    const ref = yield* Actor.spawn(behavior)
    yield* ref.tell.Hold()
    yield* Effect.yieldNow
    yield* Effect.addFinalizer(() => Deferred.succeed(gate, undefined))
    /** Opens the gate, and tells what has been handled once nothing is queued any more. */
    const open = Effect.gen(function* () {
      yield* Deferred.succeed(gate, undefined)
      do yield* Effect.yieldNow
      while (ref.size > 0)
      return [...handled]
    })
    return { ref, handled, events, open }
  })

const dropped = (events: ReadonlyArray<SystemEvent.SystemEvent>) =>
  events.flatMap((event) => (event._tag === "MessageDropped" ? [[event.payload, event.reason]] : []))

it.effect("MBX-02 bounded with refusal: refused, and the message is in the dead letter", () =>
  Effect.gen(function* () {
    const { open, ref } = yield* box({ capacity: 2, overflow: "reject" })
    assert.deepStrictEqual(
      [1, 2, 3].map((n) => ref.tellUnsafe.Put({ n })),
      [true, true, false]
    )
    const [letter] = yield* ActorSystem.deadLetters
    assert.deepStrictEqual([letter!.payload, letter!.reason], [{ n: 3 }, { _tag: "MailboxFull", capacity: 2 }])
    assert.deepStrictEqual(yield* open, [1, 2])
  })
)

it.effect("MBX-03 bounded dropping the newest or the oldest", () =>
  Effect.gen(function* () {
    for (const [overflow, kept, lost] of [
      ["drop-newest", [1, 2, 3], 4],
      ["drop-oldest", [2, 3, 4], 1]
    ] as const) {
      const { events, open, ref } = yield* box({ capacity: 3, overflow })
      for (const n of [1, 2, 3, 4]) yield* ref.tell.Put({ n })
      assert.strictEqual(ref.size, 3)
      assert.deepStrictEqual(dropped(events), [[{ n: lost }, overflow]])
      assert.deepStrictEqual(yield* open, [...kept])
    }
  })
)

it.effect("a full mailbox that suspends makes the sender wait, in order", () =>
  Effect.gen(function* () {
    const { open, ref } = yield* box({ capacity: 2 })
    let sent = 0
    const sender = yield* Effect.forkChild(
      Effect.forEach([1, 2, 3, 4, 5], (n) =>
        Effect.andThen(
          ref.tell.Put({ n }),
          Effect.sync(() => (sent = n))
        )
      ),
      { startImmediately: true }
    )
    yield* Effect.yieldNow
    assert.deepStrictEqual([sent, ref.size], [2, 2])
    yield* open
    yield* Fiber.join(sender)
    assert.deepStrictEqual(yield* ref.ask.Look(), [1, 2, 3, 4, 5])
    assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
  })
)

it.effect("an interrupted wait for room sends nothing", () =>
  Effect.gen(function* () {
    const { open, ref } = yield* box({ capacity: 1 })
    yield* ref.tell.Put({ n: 1 })
    const waiting = yield* Effect.forkChild(ref.tell.Put({ n: 2 }), { startImmediately: true })
    yield* Fiber.interrupt(waiting)
    yield* open
    assert.deepStrictEqual(yield* ref.ask.Look(), [1])
  })
)

it.effect("MBX-05 unbounded is the default, with a high-water event", () =>
  Effect.gen(function* () {
    const { events, open, ref } = yield* box()
    for (let n = 0; n < 20_000; n++) assert.isTrue(ref.tellUnsafe.Put({ n }))
    assert.strictEqual(ref.size, 20_000)
    const marks = events.flatMap((event) => (event._tag === "MailboxHighWater" ? [event.size] : []))
    assert.deepStrictEqual(marks, [10_000, 20_000])
    assert.strictEqual((yield* open).length, 20_000)
  })
)

it.effect("MBX-06 priority order, stable within a level", () =>
  Effect.gen(function* () {
    const levels = [10, 128, 200]
    const { open, ref } = yield* box({
      priority: ({ payload }) => (payload as { level?: number } | undefined)?.level ?? 0
    })
    const sent = Array.from({ length: 100 }, (_, i) => ({ n: i + 1, level: levels[(i * 7) % 3]! }))
    for (const message of sent) yield* ref.tell.Put(message)
    const byLevel = [200, 128, 10].flatMap((level) => sent.filter((each) => each.level === level).map((each) => each.n))
    assert.deepStrictEqual(yield* open, byLevel)
  })
)

it.effect("a priority given by the sender needs no option", () =>
  Effect.gen(function* () {
    const { open, ref } = yield* box()
    yield* ref.tell.Put({ n: 1 })
    yield* ActorRef.withPriority(ref, 10).tell.Put({ n: 2 })
    yield* ref.pipe(ActorRef.withPriority(255)).tell.Put({ n: 3 })
    yield* ref.tell.Put({ n: 4 })
    assert.strictEqual(ref.size, 4)
    assert.deepStrictEqual(yield* open, [3, 1, 4, 2])
  })
)

it.effect("bounded by bytes", () =>
  Effect.gen(function* () {
    const { ref } = yield* box({ bytes: 1_000, overflow: "reject" })
    const put = (n: number, size: number) => ref.tellUnsafe.Put({ n, bytes: new Uint8Array(size) })
    assert.deepStrictEqual([put(1, 400), put(2, 400), put(3, 400), put(4, 100)], [true, true, false, true])
  })
)

it.effect("a message larger than the whole bound is still let into an empty mailbox", () =>
  Effect.gen(function* () {
    const { ref } = yield* box({ bytes: 10, overflow: "reject" })
    const huge = { n: 1, bytes: new Uint8Array(1_000) }
    assert.deepStrictEqual([ref.tellUnsafe.Put(huge), ref.tellUnsafe.Put(huge)], [true, false])
  })
)

class Parent extends Actor.Service<Parent>()("test/Parent", { Work: {}, Put: { payload: { n: Schema.Int } } }) {}

/** An actor at work, with a user message and the notice of its child's end queued behind. */
const busyParent = Effect.gen(function* () {
  const log: Array<string> = []
  const gate = yield* Deferred.make<void>()
  const child = yield* Actor.spawn(
    Box.behavior(Effect.succeed(Box.of({ Hold: () => {}, Put: () => {}, Look: () => [] })))
  )
  const parent = yield* Actor.spawn(
    Parent.behavior(
      Effect.gen(function* () {
        yield* Actor.watch(child, () => void log.push("notice"))
        const work = Effect.andThen(
          Deferred.await(gate),
          Effect.sync(() => log.push("work"))
        )
        return Parent.of({
          Work: () => Effect.onInterrupt(work, () => Effect.sync(() => log.push("cut"))),
          Put: ({ n }) => void log.push(`message ${n}`)
        })
      })
    )
  )
  yield* parent.tell.Work()
  yield* Effect.yieldNow
  yield* parent.tell.Put({ n: 1 })
  yield* Actor.kill(child)
  assert.strictEqual(parent.size, 2)
  return { gate, log, parent }
})

it.effect("MBX-08 precedence: stop goes before the message and the notice queued earlier", () =>
  Effect.gen(function* () {
    const { gate, log, parent } = yield* busyParent
    const stop = yield* Effect.forkChild(Actor.stop(parent), { startImmediately: true })
    yield* Deferred.succeed(gate, undefined)
    assert.strictEqual((yield* Fiber.join(stop))._tag, "Shutdown")
    assert.deepStrictEqual(log, ["work"])
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map((letter) => letter.payload),
      [{ n: 1 }]
    )
  })
)

it.effect("MBX-08 precedence: a kill cuts the running handler, also when a stop waits for it", () =>
  Effect.gen(function* () {
    for (const stopped of [false, true]) {
      const { log, parent } = yield* busyParent
      if (stopped) yield* Effect.forkChild(Actor.stop(parent), { startImmediately: true })
      assert.strictEqual((yield* Actor.kill(parent))._tag, "Killed")
      assert.deepStrictEqual(log, ["cut"])
    }
  })
)

it.effect("MBX-08 without either of them, message and notice are handled in their order", () =>
  Effect.gen(function* () {
    const { gate, log, parent } = yield* busyParent
    yield* Deferred.succeed(gate, undefined)
    yield* Actor.drain(parent)
    assert.deepStrictEqual(log, ["work", "message 1", "notice"])
  })
)

it.effect("MBX-09 no loss with many senders, order kept per sender", () =>
  Effect.gen(function* () {
    const { open, ref } = yield* box({ capacity: 1_000 })
    const sender = (s: number) =>
      Effect.forEach(
        Array.from({ length: 1_000 }, (_, i) => s * 1_000 + i),
        (n) => ref.tell.Put({ n }),
        { discard: true }
      )
    const senders = yield* Effect.forkChild(
      Effect.all(
        Array.from({ length: 10 }, (_, s) => sender(s)),
        { concurrency: "unbounded" }
      )
    )
    yield* open
    yield* Fiber.join(senders)
    const handled = yield* ref.ask.Look()
    assert.strictEqual(handled.length, 10_000)
    for (let s = 0; s < 10; s++) {
      const own = handled.filter((n) => Math.floor(n / 1_000) === s)
      assert.deepStrictEqual(
        own,
        [...own].sort((x, y) => x - y)
      )
      assert.strictEqual(own.length, 1_000)
    }
  })
)

it.effect("MBX-11 a dead letter has message, recipient, sender and reason", () =>
  Effect.gen(function* () {
    class Teller extends Actor.Service<Teller>()("test/Teller", { Go: {} }) {}
    const { events, ref } = yield* box()
    yield* Actor.kill(ref)
    const marked = ActorRef.withCorrelationId(ref, "talk")
    const teller = yield* Actor.spawn(
      Teller.behavior(Effect.succeed(Teller.of({ Go: () => marked.tell.Put({ n: 7 }) })))
    )
    yield* teller.ask.Go()
    const letters = yield* ActorSystem.deadLetters
    const letter = letters.at(-1)!
    assert.deepStrictEqual(letter, {
      recipient: ref.path,
      tag: "Put",
      payload: { n: 7 },
      sender: teller.path,
      reason: { _tag: "NotRunning", exit: { _tag: "Killed" } }
    })
    assert.deepStrictEqual(events.filter((event) => event._tag === "DeadLetter").at(-1), {
      _tag: "DeadLetter",
      ...letter
    })
  })
)

it.effect("MBX-12 dropped is not dead", () =>
  Effect.gen(function* () {
    const { events, ref } = yield* box({ capacity: 1, overflow: "drop-newest" })
    yield* ref.tell.Put({ n: 1 })
    yield* ref.tell.Put({ n: 2 })
    assert.deepStrictEqual(dropped(events), [[{ n: 2 }, "drop-newest"]])
    assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
  })
)

it.effect("MBX-14 the size can be read", () =>
  Effect.gen(function* () {
    const { open, ref } = yield* box()
    for (let n = 0; n < 5; n++) yield* ref.tell.Put({ n })
    assert.strictEqual(ref.size, 5)
    yield* open
    assert.strictEqual(ref.size, 0)
  })
)

it.effect("a permanent child that has been drained is restarted once, and takes messages again", () =>
  Effect.gen(function* () {
    const handled: Array<number> = []
    const behavior = Box.behavior(
      Effect.succeed(
        Box.of({ Hold: () => Effect.yieldNow, Put: ({ n }) => void handled.push(n), Look: () => [...handled] })
      )
    )
    const supervisor = yield* Supervisor.start(Supervisor.make("top", { children: [behavior] }))
    const ref = yield* Effect.provideContext(Box, supervisor.services)
    yield* ref.tell.Hold()
    yield* ref.tell.Put({ n: 1 })
    const drained = yield* Effect.forkChild(Actor.drain(ref), { startImmediately: true })
    assert.isFalse(ref.tellUnsafe.Put({ n: 2 }))
    assert.strictEqual((yield* Fiber.join(drained))._tag, "Normal")
    assert.deepStrictEqual(yield* ref.ask.Look(), [1])
    yield* ref.tell.Put({ n: 3 })
    assert.deepStrictEqual(yield* ref.ask.Look(), [1, 3])
    const [child] = yield* supervisor.children
    assert.deepStrictEqual([child!.state, child!.incarnation], ["running", 2])
  })
)

class Pair extends Actor.Service<Pair>()("test/Pair", {
  Echo: { payload: { n: Schema.Int }, success: Schema.Int },
  Ask: { payload: { times: Schema.Int }, success: Schema.Int },
  Noise: {}
}) {}

/** Counts how often the mailboxes are asked for their next message. */
class Takes {
  count = 0
  watch(ref: ActorRef.ActorRef<Pair>): void {
    const slot: { next: () => unknown } = Reflect.get(ref, "~slot")
    const { next } = slot
    slot.next = () => {
      this.count++
      return next.call(slot)
    }
  }
}

it.effect("MBX-15 a deep queue does not slow an ask: as much is looked at as with an empty one", () =>
  Effect.gen(function* () {
    const takes = new Takes()
    const counted: Array<number> = []
    const pair = (echo: ActorRef.ActorRef<Pair> | undefined) =>
      Pair.behavior(
        Effect.succeed(
          Pair.of({
            // Now and then the reply takes a fiber, so that the asker has to wait.
            Echo: ({ n }) => (n % 10 === 0 ? Effect.as(Effect.yieldNow, n) : n),
            *Ask({ times }) {
              const before = takes.count
              let sum = 0
              for (let n = 0; n < times; n++) sum += yield* echo!.ask.Echo({ n })
              counted.push(takes.count - before)
              return sum
            },
            Noise: () => {}
          })
        )
      )
    const echo = yield* Actor.spawn(pair(undefined))
    takes.watch(echo)
    for (const queued of [0, 500_000]) {
      const busy = yield* Actor.spawn(pair(echo))
      takes.watch(busy)
      const run = yield* Effect.forkChild(busy.ask.Ask({ times: 10_000 }), { startImmediately: true })
      for (let n = 0; n < queued; n++) busy.tellUnsafe.Noise()
      assert.strictEqual(yield* Fiber.join(run), 49_995_000)
      yield* Actor.stop(busy)
    }
    assert.strictEqual(counted[0], counted[1])
  }).pipe(quiet)
)
