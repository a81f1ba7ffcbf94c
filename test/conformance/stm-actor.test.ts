/** STM: state machines as actors: their mailbox, their clock, their crashes. */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { Actor, ActorContext, ActorSystem, type Behavior, Registry, StateMachine, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"

class WrongCode extends Schema.TaggedError<WrongCode>()("WrongCode", {}) {}

class Door extends StateMachine.Service<Door>()("test/Door", {
  states: { Locked: {}, Closed: {}, Opened: { by: Schema.String } },
  events: {
    Unlock: { payload: { code: Schema.String }, error: WrongCode },
    Open: { payload: { by: Schema.String } },
    Close: {},
    WhoOpened: { success: Schema.String },
    Work: { payload: { n: Schema.Int } },
    Log: { success: Schema.Array(Schema.String) },
    Crash: {},
    End: { success: Schema.String }
  },
  internal: { Late: {} },
  transitions: { Locked: { Unlock: "Closed" }, Closed: { Open: "Opened" }, Opened: { Close: "Closed", Late: "Closed" } }
}) {}

type DoorTable = Parameters<typeof Door.of>[0]
const { event, stay, to } = Door

const doorOf = (
  on: { readonly [State in "Locked" | "Closed" | "Opened"]?: object } = {},
  enter?: DoorTable["enter"]
) => {
  const log: Array<string> = []
  const writes = (text: string) => {
    log.push(text)
    return stay
  }
  const machine = Door.of({
    initial: to.Locked(),
    on: {
      Locked: {
        Unlock: ({ code }) => (code === "1234" ? to.Closed() : Door.fail(new WrongCode())),
        Open: Door.postpone,
        ...on.Locked
      },
      Closed: { Open: ({ by }) => to.Opened({ by }), ...on.Closed },
      Opened: { Close: to.Closed(), Late: to.Closed(), WhoOpened: (_, { by }) => Door.reply(by), ...on.Opened }
    },
    any: {
      WhoOpened: Door.reply("nobody"),
      Work: ({ n }, _, { state }) => writes(`${n} in ${state}`),
      Late: (_, __, { state }) => writes(`late in ${state}`),
      Log: () => Door.reply([...log]),
      Crash: () => {
        throw new Error("crash")
      },
      End: [Door.stop, Door.reply("bye")]
    },
    ...(enter === undefined ? {} : { enter })
  })
  // What its effects need is not known where they are given as a part of the table.
  const behavior = Door.behavior(machine) as Behavior.Behavior<Door, void, unknown, never>
  return { behavior, log, machine }
}

const spawn = (...args: Parameters<typeof doorOf>) => {
  const { behavior, log } = doorOf(...args)
  return Effect.map(Actor.spawn(behavior), (door) => ({ door, log }))
}

/** A supervised machine. */
const supervised = (...args: Parameters<typeof doorOf>) => {
  const { behavior, log } = doorOf(...args)
  const tree = Supervisor.make("app", {
    children: [behavior],
    intensity: { restarts: 9, within: "1 minute" }
  })
  return Effect.gen(function* () {
    const { services } = yield* Supervisor.start(tree)
    return { door: Context.get(services, Door), log }
  })
}

const reasonOf = (exit: Exit.Exit<unknown, unknown>) => {
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit.value
  return (error as { readonly reason?: { readonly _tag: string } }).reason?._tag ?? error
}

it.effect("STM-01 as an actor: what is postponed is answered when it has been handled at last", () =>
  Effect.gen(function* () {
    const { door } = yield* spawn()
    const opening = yield* Effect.forkChild(Effect.andThen(door.ask.Open({ by: "Ada" }), door.ask.WhoOpened()))
    assert.strictEqual(yield* door.ask.WhoOpened(), "nobody")
    assert.deepStrictEqual(yield* Effect.flip(door.ask.Unlock({ code: "1" })), new WrongCode())
    assert.isUndefined(opening.pollUnsafe())
    yield* door.ask.Unlock({ code: "1234" })
    assert.strictEqual(yield* Fiber.join(opening), "Ada")
  })
)

it.effect("STM-11 as an actor: a limit of 0 comes before what waits in the mailbox", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const { door } = yield* spawn({
      Locked: {
        Close: () =>
          Effect.as(Deferred.await(gate), [Door.stateTimeout(0, event.Late()), Door.next(event.Work({ n: 1 }))])
      }
    })
    yield* door.tell.Close()
    yield* door.tell.Work({ n: 2 })
    yield* Deferred.succeed(gate, undefined)
    assert.deepStrictEqual(yield* door.ask.Log(), ["1 in Locked", "late in Locked", "2 in Locked"])
  })
)

it.effect("STM-08 as an actor: limits go by the Clock, and end with their state", () =>
  Effect.gen(function* () {
    const { door, log } = yield* spawn({}, { Opened: Door.stateTimeout("30 seconds", event.Late()) })
    yield* door.ask.Unlock({ code: "1234" })
    yield* door.ask.Open({ by: "Ada" })
    yield* TestClock.adjust("29 seconds")
    assert.strictEqual(yield* door.ask.WhoOpened(), "Ada")
    yield* door.ask.Close()
    yield* door.ask.Open({ by: "Bob" })
    yield* TestClock.adjust("29 seconds")
    assert.strictEqual(yield* door.ask.WhoOpened(), "Bob")
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* door.ask.WhoOpened(), "nobody")
    assert.deepStrictEqual(log, [])
  })
)

it.effect("STM-14 as an actor: a point in time is one of the wall clock", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(1_000_000)
    const { door, log } = yield* spawn({ Locked: { Close: Door.timeout("x", { at: 1_005_000 }, event.Late()) } })
    yield* door.tell.Close()
    yield* TestClock.adjust(4_999)
    assert.deepStrictEqual(log, [])
    yield* TestClock.adjust(1)
    assert.deepStrictEqual(log, ["late in Locked"])
  })
)

it.effect("STM-09 as an actor: time is up, but an event is before it: the limit for events does not come", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const { door, log } = yield* spawn({
      Locked: {
        Close: [Door.eventTimeout("1 second", event.Late()), Door.timeout("slow", "2 seconds", event.Late())],
        End: () => Effect.as(Deferred.await(gate), Door.reply("slept"))
      }
    })
    yield* door.tell.Close()
    const slow = yield* Effect.forkChild(door.ask.End())
    yield* door.tell.Work({ n: 1 })
    yield* TestClock.adjust("2 seconds")
    yield* Deferred.succeed(gate, undefined)
    assert.strictEqual(yield* Fiber.join(slow), "slept")
    yield* door.ask.Log()
    assert.deepStrictEqual(log, ["1 in Locked", "late in Locked"])
  })
)

it.effect("STM-15 as an actor: it answers, then it ends, and what was postponed is a dead letter", () =>
  Effect.gen(function* () {
    const { door } = yield* spawn()
    yield* door.tell.Open({ by: "Ada" })
    const asking = yield* Effect.forkChild(Effect.exit(door.ask.Open({ by: "Bob" })))
    yield* Effect.yieldNow
    assert.strictEqual(yield* door.ask.End(), "bye")
    assert.deepStrictEqual(yield* door.ended, { _tag: "Normal" })
    assert.strictEqual(reasonOf(yield* Fiber.join(asking)), "NotRunning")
    const letters = yield* ActorSystem.deadLetters
    assert.deepStrictEqual(
      letters.map(({ payload, reason, tag }) => [tag, payload, reason._tag]),
      [["Open", { by: "Ada" }, "NotRunning"]]
    )
  }).pipe(Effect.provide(ActorSystem.layer()))
)

it.effect("STM-18 as an actor: an answer that means nothing is a crash, told to who asked", () =>
  Effect.gen(function* () {
    const { door } = yield* spawn({ Locked: { WhoOpened: () => "nonsense" } })
    const exit = yield* Effect.exit(door.ask.WhoOpened())
    assert.strictEqual(reasonOf(exit), "HandlerFailed")
    const ended = yield* door.ended
    assert.match(ended._tag === "Failed" ? String(Cause.squash(ended.cause)) : "", /WhoOpened in Locked.*"nonsense"/)
  })
)

it.effect("STM-19 as an actor: who asks for what no state handles is told so, and the machine goes on", () =>
  Effect.gen(function* () {
    const { door } = yield* spawn()
    const error = yield* Effect.flip(door.ask.Close())
    assert.strictEqual(error.reason._tag, "HandlerFailed")
    assert.match(String(error.reason), /test\/Door does not handle Close in Locked/)
    yield* door.tell.Close()
    assert.strictEqual(yield* door.ask.WhoOpened(), "nobody")
  })
)

it.effect("STM-28 a restart begins in the first state; what was postponed is not lost, limits are", () =>
  Effect.gen(function* () {
    const { door, log } = yield* supervised({
      Locked: {
        Work: Door.postpone,
        Close: [Door.timeout("x", "1 second", event.Late()), Door.stateTimeout(1, event.Late())]
      }
    })
    yield* door.tell.Close()
    for (const n of [1, 2]) yield* door.tell.Work({ n })
    const opening = yield* Effect.forkChild(door.ask.Open({ by: "Ada" }))
    yield* Effect.yieldNow
    assert.strictEqual(reasonOf(yield* Effect.exit(door.ask.Crash())), "HandlerFailed")
    yield* TestClock.adjust("2 seconds")
    assert.deepStrictEqual(log, [])
    yield* door.ask.Unlock({ code: "1234" })
    yield* Fiber.join(opening)
    assert.deepStrictEqual(log, ["1 in Closed", "2 in Closed"])
    assert.strictEqual(yield* door.ask.WhoOpened(), "Ada")
  })
)

it.effect("STM-29 a postponed event that crashes the machine is the one that is told and consumed", () =>
  Effect.gen(function* () {
    const { door, log } = yield* supervised({ Locked: { Crash: Door.postpone, Work: Door.postpone } })
    const crashing = yield* Effect.forkChild(Effect.exit(door.ask.Crash()))
    yield* Effect.yieldNow
    yield* door.tell.Work({ n: 1 })
    const unlocked = yield* Effect.exit(door.ask.Unlock({ code: "1234" }))
    assert.strictEqual(reasonOf(yield* Fiber.join(crashing)), "HandlerFailed")
    assert.isTrue(Exit.isSuccess(unlocked))
    yield* door.ask.Unlock({ code: "1234" })
    assert.deepStrictEqual(log, ["1 in Closed"])
  })
)

it.effect("STM-30 a request that was kept is told of a restart, and answered by nobody else", () =>
  Effect.gen(function* () {
    const { door } = yield* supervised({ Locked: { WhoOpened: stay } })
    const asking = yield* Effect.forkChild(Effect.exit(door.ask.WhoOpened()))
    yield* Effect.yieldNow
    assert.isUndefined(asking.pollUnsafe())
    yield* door.tell.Crash()
    assert.strictEqual(reasonOf(yield* Fiber.join(asking)), "Restarting")
  })
)

it.effect("STM-31 who no longer waits is not served: a postponed ask that ran out of time is not handled", () =>
  Effect.gen(function* () {
    const { door } = yield* spawn()
    const opening = yield* Effect.forkChild(Effect.exit(door.ask.Open({ by: "Ada" })))
    yield* TestClock.adjust("1 minute")
    assert.strictEqual(reasonOf(yield* Fiber.join(opening)), "Timeout")
    yield* door.ask.Unlock({ code: "1234" })
    assert.strictEqual(yield* door.ask.WhoOpened(), "nobody")
  })
)

it.effect("STM-32 effects of handlers, enter calls and run are the actor's own: they wait, they know the message", () =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    const note = Effect.map(ActorContext.message, ({ tag }) => void seen.push(tag))
    const { door } = yield* spawn(
      {
        Locked: {
          *Unlock() {
            yield* Effect.sleep("1 second")
            yield* note
            return to.Closed()
          }
        },
        Closed: { Open: ({ by }: { by: string }) => [Door.run(Effect.delay(note, "1 second")), to.Opened({ by })] }
      },
      { Closed: () => Effect.delay(note, "1 second") }
    )
    yield* door.tell.Open({ by: "Ada" })
    const unlocking = yield* Effect.forkChild(door.ask.Unlock({ code: "" }))
    const asking = yield* Effect.forkChild(door.ask.WhoOpened())
    for (let seconds = 0; seconds < 3; seconds++) {
      assert.strictEqual(seen.length, seconds)
      assert.isUndefined(asking.pollUnsafe())
      yield* TestClock.adjust("1 second")
    }
    yield* Fiber.join(unlocking)
    assert.deepStrictEqual([seen, yield* Fiber.join(asking)], [["Unlock", "Unlock", "Open"], "Ada"])
  })
)

it.effect("STM-33 an ask whose handling takes an effect is answered by the machine, and once", () =>
  Effect.gen(function* () {
    const { door } = yield* spawn({
      Locked: {
        WhoOpened: () => Effect.succeed(Door.reply("at once")),
        Log: () => Effect.as(Effect.yieldNow, stay),
        End: () => Effect.as(Effect.yieldNow, Door.reply("soon")),
        Unlock: () => Effect.andThen(Effect.yieldNow, Effect.fail(new WrongCode()))
      }
    })
    assert.strictEqual(yield* door.ask.WhoOpened(), "at once")
    assert.strictEqual(yield* door.ask.End(), "soon")
    assert.deepStrictEqual(yield* Effect.flip(door.ask.Unlock({ code: "" })), new WrongCode())
    const never = yield* Effect.forkChild(Effect.exit(door.ask.Log()))
    yield* TestClock.adjust("5 seconds")
    assert.strictEqual(reasonOf(yield* Fiber.join(never)), "Timeout")
  })
)

it.effect("STM-34 a machine that resumes after a failure is where it was, and goes on with what waits inside", () =>
  Effect.gen(function* () {
    const { behavior, log } = doorOf({
      Locked: { Close: [Door.next(event.Crash()), Door.next(event.Work({ n: 1 }))] },
      Closed: { Open: () => Effect.andThen(Effect.yieldNow, Effect.die("no")) }
    })
    const resuming = Supervisor.make("app", {
      children: [Supervisor.child(behavior, { onFailure: () => "resume" })]
    })
    const { services } = yield* Supervisor.start(resuming)
    const door = Context.get(services, Door)
    yield* door.tell.Close()
    yield* door.ask.Unlock({ code: "1234" })
    assert.strictEqual(reasonOf(yield* Effect.exit(door.ask.Open({ by: "Ada" }))), "HandlerFailed")
    yield* door.tell.Work({ n: 2 })
    assert.deepStrictEqual([yield* door.ask.Log(), log.length], [["1 in Locked", "2 in Closed"], 2])
  })
)

it.effect("STM-35 an enter call at the start is part of the start: its failure is that of the start", () =>
  Effect.gen(function* () {
    const failing = doorOf({}, { Locked: () => Effect.fail("no lock") as never })
    const exit = yield* Effect.exit(Actor.spawn(failing.behavior))
    assert.strictEqual(reasonOf(exit), "no lock")
    const slow = doorOf({}, { Locked: () => Effect.sleep("1 second") })
    const spawning = yield* Effect.forkChild(Actor.spawn(slow.behavior))
    yield* TestClock.adjust("999 millis")
    assert.isUndefined(spawning.pollUnsafe())
    yield* TestClock.adjust("1 milli")
    assert.strictEqual((yield* Fiber.join(spawning)).status, "running")
  })
)

it.effect("STM-36 a machine is made from arguments and services, anew at each start", () =>
  Effect.gen(function* () {
    let made = 0
    const behavior = Door.behavior((by: string) =>
      Effect.sync(() => {
        made++
        return doorOf({ Locked: { WhoOpened: Door.reply(by) } }).machine
      })
    ) as Behavior.Behavior<Door, string, unknown, never>
    const doors = yield* Effect.forEach(["Ada", "Bob"], (by) => Actor.spawn(behavior, by))
    assert.deepStrictEqual(yield* Effect.forEach(doors, (door) => door.ask.WhoOpened()), ["Ada", "Bob"])
    assert.strictEqual(made, 2)
  })
)

it.effect("STM-37 a machine that keeps itself busy lets others live, and can be killed", () =>
  Effect.gen(function* () {
    let rounds = 0
    const { door } = yield* spawn({
      Locked: {
        Close: () => {
          rounds++
          return Door.next(event.Close())
        }
      }
    })
    yield* door.tell.Close()
    yield* Effect.repeat(Effect.yieldNow, { until: () => rounds > 5_000 })
    yield* Actor.kill(door)
    const then = rounds
    yield* Effect.repeat(Effect.yieldNow, { times: 20 })
    assert.strictEqual(rounds, then)
  })
)

it.effect("STM-38 where messages are redelivered, the event that crashed is handled again, then given up", () =>
  Effect.gen(function* () {
    let crashes = 0
    const crash = () => {
      if (++crashes < 5) throw new Error("crash")
      return stay
    }
    const { machine } = doorOf({ Locked: { Close: crash, Work: Door.postpone } })
    const behavior = Door.behavior(machine, { mailbox: { redeliver: 1 } }) as Behavior.Behavior<
      Door,
      void,
      unknown,
      never
    >
    const tree = Supervisor.make("app", { children: [behavior], intensity: { restarts: 9, within: "1 minute" } })
    const { services } = yield* Supervisor.start(tree)
    const door = Context.get(services, Door)
    yield* door.tell.Work({ n: 1 })
    yield* door.tell.Close()
    yield* door.ask.Unlock({ code: "1234" })
    assert.deepStrictEqual([crashes, yield* door.ask.Log()], [2, ["1 in Closed"]])
    assert.deepStrictEqual(
      (yield* ActorSystem.deadLetters).map(({ reason, tag }) => [tag, reason._tag]),
      [["Close", "Poisoned"]]
    )
  }).pipe(Effect.provide(ActorSystem.layer()))
)

it.effect("STM-39 a machine has a name like any other actor, and ends when it has been idle", () =>
  Effect.gen(function* () {
    class Doors extends Registry.Service<Doors>()("test/Doors", Door) {}
    const { machine } = doorOf()
    const named = Door.behavior(Effect.as(Doors.register("front"), machine), {
      idle: { after: "1 minute", ignore: ["Work"] }
    }) as Behavior.Behavior<Door, void, unknown, Doors>
    const tree = Supervisor.make("app", { children: [Doors.child, Supervisor.child(named, { restart: "transient" })] })
    const { services } = yield* Supervisor.start(tree)
    const door = yield* Effect.provideContext(Doors.lookup("front"), services)
    assert.strictEqual(yield* door.ask.WhoOpened(), "nobody")
    yield* TestClock.adjust("59 seconds")
    yield* door.tell.Work({ n: 1 })
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* door.ended, { _tag: "Normal" })
  })
)

it.effect("STM-40 a machine that stops as it starts has started, and ended with its reason", () =>
  Effect.gen(function* () {
    for (const enter of [Door.stop, () => Effect.as(Effect.yieldNow, Door.stop)]) {
      const { door } = yield* spawn({}, { Locked: enter })
      assert.deepStrictEqual(yield* door.ended, { _tag: "Normal" })
    }
  })
)
