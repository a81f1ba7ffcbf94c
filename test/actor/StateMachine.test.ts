/** Machines as parts of a program: with interceptors around them, told to stop, seen from outside, in the way of harm. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Context, Deferred, Effect, Exit, Fiber, Layer, Ref, Schedule, Schema } from "effect"
import {
  Actor,
  ActorContext,
  ActorSystem,
  type Behavior,
  Control,
  Interceptor,
  Interceptors,
  StateMachine,
  Supervisor
} from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"

class Empty extends Schema.TaggedError<Empty>()("Empty", {}) {}

/** Shut, it keeps coins for later; open, it takes them. */
class Box extends StateMachine.Service<Box>()("test/Box", {
  states: { Shut: {}, Open: { coins: Schema.Int } },
  events: {
    Unlock: {},
    Lock: {},
    Put: { payload: { n: Schema.Int } },
    Look: { success: Schema.Int, error: Empty },
    Busy: {},
    Force: { error: Empty }
  },
  internal: { Alarm: {} },
  transitions: { Shut: { Unlock: "Open", Force: "Open" }, Open: { Lock: "Shut", Alarm: "Shut" } }
}) {}

type BoxTable = Parameters<typeof Box.of>[0]
const { event, to } = Box

const boxOf = (
  on: { readonly [State in "Shut" | "Open"]?: object } = {},
  rest: { readonly enter?: BoxTable["enter"]; readonly options?: Behavior.Options } = {}
) => {
  const log: Array<string> = []
  const machine = Box.of({
    initial: to.Shut(),
    on: {
      Shut: { Unlock: to.Open({ coins: 0 }), Force: to.Open({ coins: 0 }), Put: Box.postpone, ...on.Shut },
      Open: {
        Lock: to.Shut(),
        Alarm: to.Shut(),
        Put: ({ n }, { coins }) => {
          log.push(`put ${n}`)
          return to.Open({ coins: coins + n })
        },
        Look: (_, { coins }) => (coins > 0 ? Box.reply(coins) : Box.fail(new Empty())),
        ...on.Open
      }
    },
    any: { Look: Box.fail(new Empty()) },
    ...(rest.enter === undefined ? {} : { enter: rest.enter })
  })
  // What its effects need is not known where they are given as a part of the table.
  const behavior = Box.behavior(machine, rest.options as {}) as Behavior.Behavior<Box, void, unknown, never>
  return { behavior, log, machine }
}

const supervised = (
  behavior: Behavior.Behavior<Box, void, unknown, never>,
  options: Supervisor.Options<unknown> = {}
) =>
  Effect.map(
    Supervisor.start(
      Supervisor.make("app", {
        children: [Supervisor.child(behavior, options)],
        intensity: { restarts: 50, within: "1 minute" }
      })
    ),
    ({ services }) => Context.get(services, Box)
  )

const reasonOf = (exit: Exit.Exit<unknown, unknown>) => {
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit.value
  return (error as { readonly reason?: { readonly _tag: string } }).reason?._tag ?? error
}

/** Inserts an event each time it has handled one. */
const restless = () => {
  const rounds = { count: 0 }
  const next = () => {
    rounds.count++
    return Box.next(event.Busy())
  }
  return { rounds, ...boxOf({ Shut: { Busy: next }, Open: { Busy: next } }) }
}

describe("interceptors around a machine", () => {
  const outcomes = (seen: Array<unknown>) =>
    Interceptor.make({
      handle: (next, call) =>
        Effect.onExit(next, (exit) =>
          Effect.sync(() => void seen.push([call.tag, Exit.isSuccess(exit) ? exit.value : Cause.squash(exit.cause)]))
        )
    })

  it.effect(
    "have the outcome of their own event, not of one that was postponed and crashes in its turn",
    () =>
      Effect.gen(function* () {
        const { behavior } = boxOf({
          Shut: { Look: Box.postpone },
          Open: { Look: () => Effect.andThen(Effect.yieldNow, Effect.die("broken")) }
        })
        const Recovering = Interceptor.make({
          handle: (next) => Effect.catchCause(next, () => Effect.succeed("recovered" as never))
        })
        const box = yield* supervised(behavior.pipe(Interceptor.apply(Recovering)))
        const looks = yield* Effect.forkChild(Effect.exit(box.ask.Look()))
        yield* Effect.yieldNow
        assert.isUndefined(yield* box.ask.Unlock())
        assert.strictEqual(reasonOf(yield* Fiber.join(looks)), "HandlerFailed")
        yield* box.ask.Unlock()
        assert.strictEqual((yield* Control.status(box)).incarnation, 2)
      }).pipe(quiet, Effect.scoped) as Effect.Effect<void>
  )

  it.effect("see each event with its answer, a declared error too; a tell succeeds when it was handled", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const { behavior } = boxOf({ Open: { Lock: () => Effect.as(Effect.yieldNow, to.Shut()) } })
      const box = yield* Actor.spawn(behavior.pipe(Interceptor.apply(outcomes(seen))))
      assert.deepStrictEqual(yield* Effect.flip(box.ask.Look()), new Empty())
      yield* box.ask.Unlock()
      yield* box.tell.Put({ n: 3 })
      assert.strictEqual(yield* box.ask.Look(), 3)
      yield* box.tell.Lock()
      assert.deepStrictEqual(yield* Effect.flip(box.ask.Look()), new Empty())
      assert.deepStrictEqual(seen, [
        ["Look", new Empty()],
        ["Unlock", undefined],
        ["Put", undefined],
        ["Look", 3],
        ["Lock", undefined],
        ["Look", new Empty()]
      ])
    })
  )

  it.effect("may change payload and answer; what was postponed is answered by the machine itself", () =>
    Effect.gen(function* () {
      const { behavior, log } = boxOf()
      const Doubling = Interceptor.message(Box, "Put", {
        handle: (_, { payload }, nextWith) => nextWith({ n: payload.n * 2 })
      })
      const Adding = Interceptor.message(Box, "Look", { handle: (next) => Effect.map(next, (coins) => coins + 1) })
      const box = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Doubling, Adding)))
      const putting = yield* Effect.forkChild(box.ask.Put({ n: 1 }), { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(putting.pollUnsafe())
      yield* box.ask.Unlock()
      yield* Fiber.join(putting)
      assert.strictEqual(yield* box.ask.Look(), 3)
      assert.deepStrictEqual(log, ["put 2"])
    })
  )

  it.effect("see that a message was put aside, as they do where an actor stashes it", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const { behavior, log } = boxOf()
      const box = yield* Actor.spawn(behavior.pipe(Interceptor.apply(outcomes(seen))))
      yield* box.tell.Put({ n: 1 })
      yield* box.ask.Unlock()
      assert.deepStrictEqual(
        seen.map((line) => String((line as ReadonlyArray<unknown>)[1])),
        ["Symbol(effect-otp/kept)", "undefined"]
      )
      assert.deepStrictEqual(log, ["put 1"])
    })
  )

  it.effect("may try again and give up waiting: the machine is as if the event had not come", () =>
    Effect.gen(function* () {
      let looks = 0
      const { behavior } = boxOf({
        Shut: {
          Look: () => (++looks < 3 ? Box.fail(new Empty()) : Box.reply(looks)),
          Unlock: [Box.run(Effect.never), to.Open({ coins: 1 })]
        }
      })
      const Again = Interceptors.retry(Schedule.recurs(5))
      const Impatient = Interceptor.message(Box, "Unlock", {
        handle: (next) => Effect.timeoutOrElse(next, { duration: "1 second", orElse: () => Effect.void })
      })
      const box = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Impatient, Again)))
      const unlocking = yield* Effect.forkChild(box.ask.Unlock(), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(unlocking)
      assert.strictEqual(yield* box.ask.Look(), 3)
      assert.strictEqual(box.status, "running")
    })
  )

  it.effect(
    "hear nothing of the crash of another event, which is that of the actor, and blames the event that crashed",
    () =>
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const { behavior } = boxOf({ Open: { Put: () => Effect.die("slot jammed") } })
        const box = yield* supervised(behavior.pipe(Interceptor.apply(outcomes(seen))))
        const putting = yield* Effect.forkChild(Effect.exit(box.ask.Put({ n: 1 })), { startImmediately: true })
        yield* Effect.yieldNow
        yield* Effect.exit(box.ask.Unlock())
        assert.strictEqual(reasonOf(yield* Fiber.join(putting)), "HandlerFailed")
        assert.deepStrictEqual(seen.at(-1), ["Unlock", undefined])
        assert.deepStrictEqual(yield* Effect.flip(box.ask.Look()), new Empty())
        assert.strictEqual((yield* Control.status(box)).incarnation, 2)
      }).pipe(quiet)
  )
})

describe("a machine that keeps itself busy", () => {
  it.effect("stops after the event at hand", () =>
    Effect.gen(function* () {
      const { behavior, rounds } = restless()
      const box = yield* Actor.spawn(behavior)
      yield* box.tell.Busy()
      yield* Effect.repeat(Effect.yieldNow, { until: () => rounds.count > 0 })
      assert.strictEqual((yield* Actor.stop(box))._tag, "Shutdown")
    })
  )

  it.effect("stops itself with the first word", () =>
    Effect.gen(function* () {
      const { behavior, log } = boxOf({
        Shut: { Busy: [Box.run(ActorContext.stop), Box.next(event.Unlock()), Box.next(event.Put({ n: 1 }))] }
      })
      const box = yield* Actor.spawn(behavior)
      yield* box.tell.Busy()
      yield* box.ended
      assert.deepStrictEqual(log, [])
    })
  )

  it.effect("is suspended after the event at hand, can be looked into, and goes on with what it had inserted", () =>
    Effect.gen(function* () {
      const { behavior, rounds } = restless()
      const box = yield* Actor.spawn(behavior)
      yield* box.tell.Busy()
      yield* Effect.repeat(Effect.yieldNow, { until: () => rounds.count > 0 })
      yield* Actor.suspend(box)
      const then = rounds.count
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      assert.deepStrictEqual([rounds.count, box.status], [then, "suspended"])
      yield* Actor.resume(box)
      yield* Effect.repeat(Effect.yieldNow, { until: () => rounds.count > then })
      yield* Actor.kill(box)
    })
  )
})

describe("a machine that fails and is resumed", () => {
  for (const [where, on, enter] of [
    ["enter call", {}, true],
    ["effect", { Shut: { Unlock: [to.Open({ coins: 1 }), Box.run(Effect.die("jammed"))] } }, false]
  ] as const) {
    it.effect(`is where it was before the event whose ${where} failed`, () =>
      Effect.gen(function* () {
        let jams = true
        const entering = () => Effect.suspend(() => (jams ? Effect.die("jammed") : Effect.void))
        const { behavior, log } = boxOf(on, enter ? { enter: { Open: entering } } : {})
        const box = yield* supervised(behavior, { onFailure: () => "resume" })
        yield* box.tell.Put({ n: 1 })
        assert.strictEqual(reasonOf(yield* Effect.exit(box.ask.Unlock())), "HandlerFailed")
        const { incarnation, postponed, states } = yield* Control.status(box)
        assert.deepStrictEqual([incarnation, postponed, states["state"]], [1, ["Put"], { state: "Shut", data: {} }])
        jams = false
        yield* Effect.exit(box.ask.Unlock())
        assert.deepStrictEqual(log, enter ? ["put 1"] : [])
      }).pipe(quiet)
    )
  }

  it.effect("goes on with what waits inside, though nothing else comes", () =>
    Effect.gen(function* () {
      const jams = () => {
        throw new Error("jammed")
      }
      const { behavior, log } = boxOf({
        Open: { Lock: [Box.next(event.Busy()), Box.next(event.Put({ n: 1 }))], Busy: jams }
      })
      const box = yield* supervised(behavior, { onFailure: () => "resume" })
      yield* box.ask.Unlock()
      yield* box.tell.Lock()
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      assert.deepStrictEqual(log, ["put 1"])
    }).pipe(quiet)
  )

  it("is where it was in a test, too", () => {
    let jams = true
    const entering = () => {
      if (jams) throw new Error("jammed")
    }
    const stepping = StateMachine.test(boxOf({}, { enter: { Open: entering } }).machine)
    stepping.send(event.Put({ n: 1 }))
    assert.throws(() => stepping.send(event.Unlock()), /jammed/)
    assert.deepStrictEqual([stepping.state, stepping.postponed], ["Shut", ["Put"]])
    jams = false
    stepping.send(event.Unlock())
    assert.deepStrictEqual([stepping.state, stepping.data], ["Open", { coins: 1 }])
  })
})

it.effect(
  "an enter call that fails with what the event declares is a crash all the same: only handlers can refuse",
  () =>
    Effect.gen(function* () {
      const box = yield* Actor.spawn(boxOf({}, { enter: { Open: () => Effect.fail(new Empty()) } }).behavior)
      assert.strictEqual(reasonOf(yield* Effect.exit(box.ask.Force())), "HandlerFailed")
      assert.strictEqual((yield* box.ended)._tag, "Failed")
    }).pipe(quiet)
)

describe("what is postponed", () => {
  it.effect("is left over by a drain: a dead letter, NotRunning for who asked", () =>
    Effect.gen(function* () {
      const box = yield* Actor.spawn(boxOf().behavior)
      yield* box.tell.Put({ n: 1 })
      const asking = yield* Effect.forkChild(Effect.exit(box.ask.Put({ n: 2 })), { startImmediately: true })
      yield* Effect.yieldNow
      assert.strictEqual((yield* Actor.drain(box))._tag, "Normal")
      assert.strictEqual(reasonOf(yield* Fiber.join(asking)), "NotRunning")
      assert.deepStrictEqual(
        (yield* ActorSystem.deadLetters).map(({ payload, reason, tag }) => [tag, payload, reason._tag]),
        [["Put", { n: 1 }, "NotRunning"]]
      )
    }).pipe(Effect.provide(ActorSystem.layer()))
  )

  it.effect("leaves its place in a bounded mailbox, and is back in its order after a crash", () =>
    Effect.gen(function* () {
      const { behavior, log } = boxOf(
        { Shut: { Busy: () => Effect.die("crash") } },
        { options: { mailbox: { capacity: 2, overflow: "reject" } } }
      )
      const box = yield* supervised(behavior)
      for (let n = 0; n < 10; n++) {
        yield* box.tell.Put({ n })
        yield* Effect.yieldNow
      }
      yield* Effect.exit(box.ask.Busy())
      yield* box.ask.Unlock()
      yield* box.ask.Look()
      assert.deepStrictEqual(
        log,
        Array.from({ length: 10 }, (_, n) => `put ${n}`)
      )
      assert.deepStrictEqual(yield* ActorSystem.deadLetters, [])
    }).pipe(Effect.provide(ActorSystem.layer()), quiet)
  )

  it.effect("is handled by the next run in its order, also where some of it had come back already", () =>
    Effect.gen(function* () {
      const tried: Array<number> = []
      const { behavior } = boxOf({
        Open: {
          Put: ({ n }: { readonly n: number }) => {
            tried.push(n)
            if (n === 2 && tried.length === 2) throw new Error("jammed")
            return tried.length === 1 ? Box.postpone : Box.stay
          }
        }
      })
      const box = yield* supervised(behavior)
      for (const n of [1, 2, 3]) yield* box.tell.Put({ n })
      yield* Effect.exit(box.ask.Unlock())
      yield* box.ask.Unlock()
      yield* Effect.exit(box.ask.Look())
      assert.deepStrictEqual(tried, [1, 2, 1, 3])
    }).pipe(quiet)
  )

  it.effect("is handled although it was answered already, also by the next run", () =>
    Effect.gen(function* () {
      const { behavior, log } = boxOf({
        Shut: {
          Put: (_: unknown, __: unknown, { request }: { request: StateMachine.Request<void> }) => [
            Box.replyTo(request, undefined),
            Box.postpone
          ],
          Busy: () => Effect.die("crash")
        }
      })
      const box = yield* supervised(behavior)
      for (const n of [1, 2]) {
        yield* box.ask.Put({ n })
        if (n === 2) yield* Effect.exit(box.ask.Busy())
        yield* box.ask.Unlock()
        yield* box.ask.Look()
        yield* box.ask.Lock()
      }
      assert.deepStrictEqual(log, ["put 1", "put 2"])
    }).pipe(quiet)
  )

  it.effect("is given up when it crashes the machine too often, though it is postponed in between", () =>
    Effect.gen(function* () {
      let crashes = 0
      const crash = () => {
        crashes++
        throw new Error("jammed")
      }
      const { behavior } = boxOf({ Open: { Put: crash } }, { options: { mailbox: { redeliver: 1 } } })
      const box = yield* supervised(behavior)
      yield* box.tell.Put({ n: 1 })
      for (let n = 0; n < 4; n++) yield* Effect.exit(box.ask.Unlock())
      assert.deepStrictEqual(
        [crashes, (yield* ActorSystem.deadLetters).map(({ reason, tag }) => [tag, reason._tag])],
        [2, [["Put", "Poisoned"]]]
      )
    }).pipe(Effect.provide(ActorSystem.layer()), quiet)
  )

  it.effect("is forgotten when nobody waits for it any more, however often somebody asks", () =>
    Effect.gen(function* () {
      const box = yield* Actor.spawn(boxOf().behavior)
      for (let n = 0; n < 500; n++) {
        const asking = yield* Effect.forkChild(box.ask.Put({ n }), { startImmediately: true })
        yield* Effect.yieldNow
        yield* Fiber.interrupt(asking)
      }
      assert.deepStrictEqual((yield* Control.status(box)).postponed, [])
      const [machine] = (yield* kept(box)) as [{ readonly core: { readonly postponed: ReadonlyArray<unknown> } }]
      assert.isBelow(machine.core.postponed.length, 100)
    })
  )
})

/** What an incarnation shows of itself. */
const kept = (ref: object) =>
  Effect.sync(() => {
    const { incarnation } = (ref as { readonly "~slot": { readonly incarnation: object } })["~slot"]
    return (incarnation as { readonly rareOrNone: { readonly inside: ReadonlyArray<unknown> } }).rareOrNone.inside
  })

describe("a machine seen from outside", () => {
  const Open = Schema.Struct({ state: Schema.Literal("Open"), data: Schema.Struct({ coins: Schema.Int }) })
  const AnyState = Schema.Struct({ state: Schema.String, data: Schema.Unknown })

  it.effect("shows its state, its data, and what it has postponed", () =>
    Effect.gen(function* () {
      const box = yield* Actor.spawn(boxOf().behavior)
      yield* box.tell.Put({ n: 1 })
      yield* box.tell.Put({ n: 2 })
      yield* Effect.flip(box.ask.Look())
      const shut = yield* Control.status(box)
      assert.deepStrictEqual([shut.states, shut.postponed], [{ state: { state: "Shut", data: {} } }, ["Put", "Put"]])
      yield* box.ask.Unlock()
      const open = yield* Control.status(box)
      assert.deepStrictEqual([open.states, open.postponed], [{ state: { state: "Open", data: { coins: 3 } } }, []])
      assert.deepStrictEqual(yield* Control.getState(box, Open), { state: "Open", data: { coins: 3 } })
    })
  )

  it.effect("can be put into another state: what was postponed comes back, limits of the state end", () =>
    Effect.gen(function* () {
      const { behavior, log } = boxOf({ Shut: { Busy: Box.stateTimeout("1 second", event.Unlock()) } })
      const box = yield* Actor.spawn(behavior)
      yield* box.tell.Put({ n: 1 })
      yield* box.ask.Busy()
      yield* Control.replaceState(box, AnyState, () => ({ state: "Open", data: { coins: 40 } }))
      assert.strictEqual(yield* box.ask.Look(), 41)
      assert.deepStrictEqual(log, ["put 1"])
      yield* box.ask.Lock()
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Control.getState(box, AnyState)).state, "Shut")
      const unknown = Control.replaceState(box, AnyState, () => ({ state: "Ajar", data: {} }))
      assert.match(String(Cause.squash((yield* Effect.flip(Effect.sandbox(unknown))) as never)), /one of Shut, Open/)
      assert.strictEqual((yield* Control.getState(box, AnyState)).state, "Shut")
    })
  )

  it.effect("keeps its state when its behavior is replaced, also where the new one does not come up", () =>
    Effect.gen(function* () {
      const { behavior } = boxOf({}, { enter: { Open: Box.stateTimeout("1 second", event.Alarm()) } })
      const box = yield* Actor.spawn(behavior)
      yield* box.ask.Unlock()
      yield* box.ask.Put({ n: 5 })
      yield* Control.replaceBehavior(box, boxOf({ Open: { Busy: Box.stay } }).behavior)
      assert.strictEqual(yield* box.ask.Look(), 5)
      yield* box.ask.Busy()
      const failing = boxOf({}, { enter: { Open: () => Effect.die("no") } }).behavior
      const { rolledBack } = (yield* Effect.flip(Control.replaceBehavior(box, failing))) as Control.NotReplaced
      assert.deepStrictEqual([rolledBack, yield* box.ask.Look()], [true, 5])
      yield* Control.replaceBehavior(box, behavior)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Effect.flip(box.ask.Look()), new Empty())
    })
  )

  it.effect("shows what its behavior keeps besides", () =>
    Effect.gen(function* () {
      const { machine } = boxOf()
      const behavior = Box.behavior(Effect.as(Actor.state(7, { name: "besides" }), machine))
      const box = yield* Actor.spawn(behavior as Behavior.Behavior<Box, void, unknown, never>)
      const { states } = yield* Control.status(box)
      assert.deepStrictEqual(states, { state: { state: "Shut", data: {} }, besides: 7 })
    })
  )
})

it.effect("a point in time is not before its time, where the wall clock is set back", () =>
  Effect.gen(function* () {
    const back = Ref.makeUnsafe(0)
    const clock = yield* Clock.Clock
    const setBack: Clock.Clock = {
      ...clock,
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() - Ref.getUnsafe(back),
      sleep: (duration) => clock.sleep(duration),
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe()
    } as Clock.Clock
    const { behavior } = boxOf({ Shut: { Busy: Box.timeout("noon", { at: 1_000 }, event.Unlock()) } })
    yield* Effect.gen(function* () {
      const box = yield* Actor.spawn(behavior)
      const state = Effect.map(Control.status(box), ({ states }) => (states["state"] as { state: string }).state)
      yield* box.ask.Busy()
      yield* Ref.set(back, 600)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* state, "Shut")
      yield* TestClock.adjust(600)
      assert.strictEqual(yield* state, "Open")
    }).pipe(Effect.provide(Layer.fresh(ActorSystem.layer())), Effect.provideService(Clock.Clock, setBack))
  })
)

it.effect("TIME-06 no limit of a machine is left when it has ended, however that was", () =>
  Effect.gen(function* () {
    const { timers } = yield* ActorSystem.ActorSystem
    const { heap } = timers as unknown as { readonly heap: ReadonlyArray<unknown> }
    const limits = [
      Box.stateTimeout("1 hour", event.Unlock()),
      Box.eventTimeout("1 hour", event.Unlock()),
      Box.timeout("noon", { at: 1e9 }, event.Unlock())
    ]
    for (const end of [Actor.stop, Actor.kill, Actor.drain]) {
      const box = yield* Actor.spawn(boxOf({ Shut: { Busy: limits } }).behavior)
      yield* box.ask.Busy()
      assert.strictEqual(heap.length, 3)
      yield* end(box)
      assert.strictEqual(heap.length, 0)
    }
  }).pipe(Effect.provide(ActorSystem.layer()))
)

it.effect("an asker that gives up while its event is handled does not disturb the machine", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const { behavior } = boxOf({ Shut: { Unlock: () => Effect.as(Deferred.await(gate), to.Open({ coins: 2 })) } })
    const box = yield* Actor.spawn(behavior)
    const unlocking = yield* Effect.forkChild(box.ask.Unlock(), { startImmediately: true })
    yield* Effect.yieldNow
    yield* Fiber.interrupt(unlocking)
    yield* Deferred.succeed(gate, undefined)
    assert.strictEqual(yield* box.ask.Look(), 2)
  })
)

it.effect("STM-19 an event that nobody handles is told to whoever listens", () =>
  Effect.gen(function* () {
    const told: Array<unknown> = []
    yield* ActorSystem.onEvent((happened) => {
      if (happened._tag === "Unhandled") told.push([happened.path, happened.tag, happened.payload])
    })
    const box = yield* Actor.spawn(boxOf().behavior)
    yield* box.tell.Lock()
    yield* Effect.exit(box.ask.Look())
    assert.deepStrictEqual(told, [[box.path, "Lock", undefined]])
  })
)

it("a machine that names what it does not have is refused where it is written", () => {
  const table = (rest: object) => () =>
    Box.of({ initial: to.Shut(), on: { Shut: { Unlock: Box.stay, Force: Box.stay }, Open: {} }, ...rest } as never)
  assert.doesNotThrow(table({}))
  assert.throws(table({ on: undefined }), /on must have the handlers of each state, got undefined/)
  assert.throws(table({ on: { Ajar: {} } }), /on must name one of Shut, Open, got "Ajar"/)
  assert.throws(table({ on: { Shut: { Ring: Box.stay } } }), /on.Shut must name one of Unlock.*got "Ring"/)
  assert.throws(table({ any: { Ring: Box.stay } }), /any must name one of Unlock.*got "Ring"/)
  assert.throws(table({ enter: { Ajar: Box.stay } }), /enter must name one of Shut, Open, got "Ajar"/)
  assert.throws(table({ initial: Box.stay }), /initial must say with which state the machine starts/)
  const twice = () =>
    StateMachine.Service<Box>()("test/Twice", {
      states: { A: {} },
      events: { E: {} },
      internal: { E: {} } as never,
      transitions: {}
    })
  assert.throws(twice, /internal must not be among the events that others can send, got "E"/)
})

it("time that is none is refused by the test's clock", () => {
  const stepping = StateMachine.test(boxOf().machine)
  for (const wrong of [-1, Number.NaN, "soon" as never]) {
    assert.throws(() => stepping.advance(wrong), /the time to advance a machine by must be a duration/)
  }
})
