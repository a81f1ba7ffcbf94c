/** Bad input: a clear typed error or event at the earliest moment, and nothing left running or lost. */
import { assert, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Schema, Stream } from "effect"
import { Actor, ActorRef, ActorSystem, Behavior, ExitReason, Registry, Supervisor } from "effect-otp"
import { format } from "effect/Formatter"
import { TestClock } from "effect/testing"
import { Child, listed, quiet, Recording } from "../support/recording.ts"

it.effect("an unknown message tag names the actor, the tag and what is known; nothing is sent", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const child = yield* Actor.spawn(r.behavior("a"))
    for (const message of [{ _tag: "Pong" }, { _tag: "toString" }, { _tag: undefined }, {} as never, null as never]) {
      const error = yield* Effect.flip(ActorRef.tellUnknown(child, message))
      assert.strictEqual(error._tag, "UnknownMessage")
      const tag = (message as { readonly _tag?: unknown } | null)?._tag
      const known = "Ping, Add, Fail, Throw, End, Shutdown, Wait"
      assert.strictEqual(error.message, `${child.path} knows no message ${String(tag)}; it knows ${known}`)
    }
    const payloads: ReadonlyArray<readonly [unknown, string]> = [
      [{ n: "one" }, 'Expected number\n  at ["n"]'],
      [{}, 'Missing key\n  at ["n"]'],
      [undefined, "Expected object"],
      [5, "Expected object"]
    ]
    for (const [payload, says] of payloads) {
      const error = yield* Effect.flip(ActorRef.tellUnknown(child, { _tag: "Add", payload }))
      assert.strictEqual(error._tag === "InvalidPayload" && error.issue, says)
      assert.strictEqual(error.message, `${child.path} cannot take Add with ${format(payload)}: ${says}`)
    }
    assert.deepStrictEqual([child.size, yield* ActorSystem.deadLetters], [0, []])
    yield* ActorRef.tellUnknown(child, { _tag: "Add", payload: { n: 2 } })
    assert.strictEqual(yield* child.ask.Add({ n: 0 }), 2)
  })
)

/** Behaviors that lack handlers: at hand when they are defined, and made by an init. */
const incomplete: ReadonlyArray<readonly [string, unknown, string]> = [
  ["a table with one handler", { Ping: () => 1 }, "Add, Fail, Throw, End, Shutdown, Wait"],
  ["a handler that is no function", { ...table(), Add: 5 }, "Add"],
  ["no table at all", undefined, "Ping, Add, Fail, Throw, End, Shutdown, Wait"]
]

function table() {
  const nothing = () => {}
  return { Ping: () => 1, Add: () => 1, Fail: nothing, Throw: nothing, End: nothing, Shutdown: nothing, Wait: nothing }
}

for (const [name, handlers, missing] of incomplete) {
  const given = handlers as Behavior.Handlers<typeof Child.protocol>
  const inits = { "at hand": Effect.succeed(given), "from an init": Effect.suspend(() => Effect.succeed(given)) }
  for (const [where, init] of Object.entries(inits)) {
    it.effect(`${name}, ${where}: what is missing is named, and the start is rolled back`, () =>
      Effect.gen(function* () {
        const r = new Recording()
        const behavior = Child.behavior(init) as Behavior.Behavior<Child, void, never, never>
        const spec = Supervisor.child(behavior, { id: "partial" })
        const error = yield* Effect.flip(r.start([r.child("a"), spec, r.child("b")]))
        const defect = Cause.squash(error.cause) as Behavior.MissingHandler
        assert.strictEqual(defect._tag, "MissingHandler")
        assert.strictEqual(defect.message, `the behavior of test/Child has no handler for ${missing}`)
        assert.include(error.message, `top: child partial failed to start: MissingHandler: ${defect.message}`)
        assert.deepStrictEqual([r.log, r.ref("a").status], [["a started", "a stopped"], "stopped"])
        const spawned = yield* Effect.exit(Actor.spawn(behavior))
        assert.isTrue(Exit.isFailure(spawned) && Cause.squash(spawned.cause) instanceof Behavior.MissingHandler)
      }).pipe(quiet)
    )
  }
}

it.effect("a name already taken names the holder", () =>
  Effect.gen(function* () {
    class Names extends Registry.Service<Names>()("test/Names", Child) {}
    const r = new Recording()
    const program = Effect.gen(function* () {
      const [a, b] = [yield* Actor.spawn(r.behavior("a")), yield* Actor.spawn(r.behavior("b"))]
      yield* Names.registerAs(a, "n")
      const error = yield* Effect.flip(Names.registerAs(b, "n"))
      assert.strictEqual(error.message, `test/Names: the name n belongs to ${a.path}`)
    })
    yield* Effect.provide(program, Names.layer)
  })
)

it.effect("a dead reference: asks say how it ended, tells are dead letters", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const child = yield* Actor.spawn(r.behavior("a"))
    yield* Actor.stop(child, { reason: "closing time" })
    const error = yield* Effect.flip(child.ask.Add({ n: 1 }))
    assert.strictEqual(error.reason._tag, "NotRunning")
    assert.strictEqual(
      error.message,
      `${child.path} did not answer Add: the actor is not running: it was asked to stop: closing time`
    )
    assert.deepStrictEqual(error.payload, { n: 1 })
    yield* child.tell.Add({ n: 2 })
    assert.isFalse(child.tellUnsafe.Add({ n: 3 }))
    yield* ActorRef.tellUnknown(child, { _tag: "Add", payload: { n: 4 } })
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map(({ payload, reason, recipient, tag }) => [recipient, tag, payload, reason]),
      [2, 3, 4].map((n) => [
        child.path,
        "Add",
        { n },
        { _tag: "NotRunning", exit: ExitReason.Shutdown("closing time") }
      ])
    )
    // Ends of the ended are no news.
    assert.deepStrictEqual(yield* Actor.stop(child), ExitReason.Shutdown("closing time"))
    assert.deepStrictEqual(yield* Actor.kill(child), ExitReason.Shutdown("closing time"))
    assert.deepStrictEqual(yield* Actor.drain(child), ExitReason.Shutdown("closing time"))
  })
)

it.effect("a stream from a dead reference fails at once, and says why", () =>
  Effect.gen(function* () {
    class Ticker extends Actor.Service<Ticker>()("test/Ticker", { Ticks: { success: Schema.Int, stream: true } }) {}
    const ticker = yield* Actor.spawn(Ticker.behavior(Effect.succeed(Ticker.of({ Ticks: () => Stream.never }))))
    yield* Actor.kill(ticker)
    const error = yield* Effect.flip(Stream.runDrain(ticker.stream.Ticks()))
    assert.strictEqual(error.message, `${ticker.path} did not answer Ticks: the actor is not running: it was killed`)
  })
)

class Small extends Actor.Service<Small>()("test/Small", { Hold: {}, Say: { payload: { n: Schema.Int } } }) {}

/** An actor that is busy until the gate opens, with one message in a mailbox for one. */
const full = (overflow: "reject" | "suspend", heard: Array<number>) =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const Say = ({ n }: { readonly n: number }) => void heard.push(n)
    const behavior = Small.behavior(Effect.succeed(Small.of({ Hold: () => Deferred.await(gate), Say })), {
      mailbox: { capacity: 1, overflow }
    })
    const small = yield* Actor.spawn(behavior)
    yield* small.tell.Hold()
    yield* Effect.yieldNow
    yield* small.tell.Say({ n: 1 })
    assert.deepStrictEqual([small.status, small.size], ["running", 1])
    return { small, open: Deferred.succeed(gate, undefined) }
  })

it.effect("a full mailbox that rejects: the ask says how large it is, tells are dead letters", () =>
  Effect.gen(function* () {
    const heard: Array<number> = []
    const { open, small } = yield* full("reject", heard)
    const error = yield* Effect.flip(small.ask.Say({ n: 2 }))
    assert.strictEqual(error.reason._tag, "MailboxFull")
    assert.strictEqual(error.message, `${small.path} did not answer Say: the mailbox holds 1 messages, no room is left`)
    yield* small.tell.Say({ n: 3 })
    assert.isFalse(small.tellUnsafe.Say({ n: 4 }))
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map(({ payload, reason, recipient }) => [recipient, payload, reason]),
      [3, 4].map((n) => [small.path, { n }, { _tag: "MailboxFull", capacity: 1 }])
    )
    yield* open
    while (small.size > 0) yield* Effect.yieldNow
    yield* small.ask.Say({ n: 5 })
    assert.deepStrictEqual(heard, [1, 5])
  })
)

it.effect("a full mailbox that suspends: an ask that waited in vain says for how long, and leaves nothing", () =>
  Effect.gen(function* () {
    const heard: Array<number> = []
    const { open, small } = yield* full("suspend", heard)
    const patient = ActorRef.withTimeout(small, "10 seconds", { mailbox: "2 seconds" })
    const ask = yield* Effect.forkChild(Effect.flip(patient.ask.Say({ n: 2 })), { startImmediately: true })
    yield* TestClock.adjust("2 seconds")
    assert.include(
      (yield* Fiber.join(ask)).message,
      "the mailbox holds 1 messages, no room is left and none was freed within 2000 ms"
    )
    assert.isFalse(small.tellUnsafe.Say({ n: 3 }))
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map((letter) => letter.payload),
      [{ n: 3 }]
    )
    yield* open
    yield* small.ask.Say({ n: 4 })
    assert.deepStrictEqual(heard, [1, 4])
  })
)

it.effect("a handler that throws crashes the actor with what it threw, and the asker is told", () =>
  Effect.gen(function* () {
    const r = new Recording()
    yield* r.start([r.child("a")])
    const error = yield* Effect.flip(r.ref("a").ask.Throw())
    assert.strictEqual(error.reason._tag, "HandlerFailed")
    assert.strictEqual(error.message, "top/a did not answer Throw: the handler failed: it crashed: Error: thrown")
    assert.strictEqual(yield* r.incarnation("a"), 2)
    assert.deepStrictEqual(r.log, ["a started", "a stopped", "a started"])
    const event = r.events.find((each) => each._tag === "ActorFailed")
    assert.deepStrictEqual(event?._tag === "ActorFailed" && [event.path, event.message], ["top/a", "Throw"])
    assert.strictEqual(event?._tag === "ActorFailed" && String(Cause.squash(event.cause)), "Error: thrown")
  }).pipe(quiet)
)

it.effect("a handler that throws where nobody supervises it ends the actor; what was queued is told", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const child = yield* Actor.spawn(r.behavior("a"))
    child.tellUnsafe.Throw()
    child.tellUnsafe.Add({ n: 1 })
    const reason = yield* child.ended
    assert.strictEqual(reason._tag === "Failed" && String(Cause.squash(reason.cause)), "Error: thrown")
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
    const [letter] = yield* ActorSystem.deadLetters
    assert.deepStrictEqual([letter!.payload, letter!.reason], [{ n: 1 }, { _tag: "NotRunning", exit: reason }])
  }).pipe(quiet)
)

it.effect("a handler that never ends at shutdown is killed after its time, and that is told", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("first"), r.child("a", { shutdown: "2 seconds" })])
    const asked = yield* Effect.forkChild(Effect.flip(ActorRef.withTimeout(r.ref("a"), "1 hour").ask.Wait()), {
      startImmediately: true
    })
    yield* r.ref("a").tell.Add({ n: 1 })
    const stop = yield* Effect.forkChild(top.stop)
    yield* TestClock.adjust("1999 millis")
    assert.deepStrictEqual([stop.pollUnsafe(), r.log], [undefined, ["first started", "a started"]])
    yield* TestClock.adjust("1 milli")
    assert.deepStrictEqual(yield* Fiber.join(stop), ExitReason.Shutdown())
    const events = r.events.filter((each) => each._tag === "ShutdownError")
    assert.deepStrictEqual(events, [{ _tag: "ShutdownError", path: "top", child: "a", reason: ExitReason.Killed }])
    assert.deepStrictEqual(r.log, ["first started", "a started", "a stopped", "first stopped"])
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
    assert.include((yield* Fiber.join(asked)).message, "the actor is not running: it was killed")
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map((letter) => [letter.recipient, letter.payload]),
      [["top/a", { n: 1 }]]
    )
  }).pipe(quiet)
)

it.effect("an init that hangs is a typed failure in time, whoever starts it", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const hanging = (id: string) => r.child(id, { init: Effect.never, startTimeout: "1 second" })
    const start = yield* Effect.forkChild(Effect.flip(r.start([r.child("a"), hanging("b"), r.child("c")])))
    yield* TestClock.adjust("1 second")
    const error = yield* Fiber.join(start)
    const timeout = Cause.squash(error.cause) as Supervisor.StartTimeout
    assert.deepStrictEqual([timeout._tag, timeout.path, timeout.after], ["StartTimeout", "top/b", 1_000])
    assert.include(timeout.message, "allow more with startTimeout, or do slow work in Actor.continueWith")
    assert.deepStrictEqual([r.takeLog(), r.ref("b").status], [["a started", "a stopped"], "stopped"])

    const top = yield* r.start([r.child("a")])
    const late = yield* Effect.forkChild(Effect.flip(top.startChild(hanging("d"))))
    yield* TestClock.adjust("1 second")
    assert.include((yield* Fiber.join(late)).message, "top: child d failed to start: StartTimeout: top/d was not up")
    assert.deepStrictEqual([yield* listed(top), r.log], [["a"], ["a started"]])
  }).pipe(quiet)
)

it.effect("an init that hangs, even uninterruptibly, is a typed failure in time", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const gate = yield* Deferred.make<void>()
    const hanging = r.child("b", {
      init: Effect.uninterruptible(Deferred.await(gate)),
      startTimeout: "1 second",
      shutdown: "1 second"
    })
    const start = yield* Effect.forkChild(Effect.flip(r.start([r.child("a"), hanging])))
    yield* TestClock.adjust("2 seconds")
    const error = yield* Fiber.join(start)
    assert.include(error.message, "child b failed to start: StartTimeout: top/b was not up within 1000 ms")
    assert.deepStrictEqual(
      (yield* ActorSystem.zombies).map((zombie) => zombie.path),
      ["top/b"]
    )
    assert.deepStrictEqual(r.log, ["a started", "a stopped"])
    yield* Deferred.succeed(gate, undefined)
    yield* Effect.yieldNow
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
  }).pipe(quiet)
)

/** Options no actor could run with: field, value, and what the error says. */
const refusedOptions: ReadonlyArray<readonly [string, object, string]> = [
  [
    "capacity 0",
    { mailbox: { capacity: 0 } },
    "mailbox.capacity must be a whole number of 1 or more, or Infinity, got 0"
  ],
  [
    "capacity 1.5",
    { mailbox: { capacity: 1.5 } },
    "mailbox.capacity must be a whole number of 1 or more, or Infinity, got 1.5"
  ],
  ["bytes NaN", { mailbox: { bytes: Number.NaN } }, "mailbox.bytes must be above 0, got NaN"],
  [
    "an unknown overflow",
    { mailbox: { overflow: "drop" } },
    'mailbox.overflow must be one of suspend, drop-newest, drop-oldest, reject, got "drop"'
  ],
  [
    "an unknown onRestart",
    { mailbox: { onRestart: "lose" } },
    'mailbox.onRestart must be one of keep, discard, got "lose"'
  ],
  [
    "high water 0",
    { mailbox: { highWater: 0 } },
    "mailbox.highWater must be a whole number of 1 or more, or Infinity, got 0"
  ],
  [
    "whileRestarting below 0",
    { mailbox: { whileRestarting: -1 } },
    "mailbox.whileRestarting must be a whole number of 0 or more, or Infinity, got -1"
  ],
  ["a priority that is a number", { mailbox: { priority: 5 } }, "mailbox.priority must be a function, got 5"],
  ["a size that is a number", { mailbox: { sizeOf: 5 } }, "mailbox.sizeOf must be a function, got 5"],
  ["idle after nothing", { idle: { after: 0 } }, "idle.after must be a duration above 0, got 0"],
  ["idle after soon", { idle: { after: "soon" } }, 'idle.after must be a duration above 0, got "soon"'],
  [
    "idle ignoring an unknown message",
    { idle: { after: 1, ignore: ["Hush"] } },
    'idle.ignore must be one of Hold, Say, got "Hush"'
  ]
]

for (const [what, options, says] of refusedOptions) {
  it(`${what} is refused where the behavior is written`, () => {
    const write = () => Small.behavior(Effect.succeed(Small.of({ Hold: () => {}, Say: () => {} })), options as never)
    try {
      write()
      assert.fail("it was taken")
    } catch (error) {
      assert.instanceOf(error, Behavior.InvalidOption)
      assert.strictEqual(error.message, `the behavior of test/Small: ${says}`)
    }
  })
}

it.effect("a priority and a size that throw are events; every message arrives all the same", () =>
  Effect.gen(function* () {
    const heard: Array<number> = []
    const events: Array<string> = []
    const throwing = (what: string) => () => {
      throw new Error(what)
    }
    const behavior = Small.behavior(Effect.succeed(Small.of({ Hold: () => {}, Say: ({ n }) => void heard.push(n) })), {
      mailbox: { bytes: 1_000, priority: throwing("which?"), sizeOf: throwing("how large?") }
    })
    yield* Effect.forkChild(
      Stream.runForEach(ActorSystem.events, (event) =>
        Effect.sync(() => {
          if (event._tag === "MailboxRuleFailed") events.push(`${event.path} ${event.rule} ${String(event.defect)}`)
        })
      )
    )
    yield* Effect.yieldNow
    const small = yield* Actor.spawn(behavior)
    for (const n of [1, 2, 3]) yield* small.tell.Say({ n })
    assert.isTrue(small.tellUnsafe.Say({ n: 4 }))
    while (heard.length < 4) yield* Effect.yieldNow
    yield* Effect.yieldNow
    assert.deepStrictEqual(heard, [1, 2, 3, 4])
    assert.deepStrictEqual([...new Set(events)].sort(), [
      `${small.path} priority Error: which?`,
      `${small.path} sizeOf Error: how large?`
    ])
  })
)
