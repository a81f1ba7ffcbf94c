/** STM: state machines, stepped without an actor: what happens in which order, which limits come. */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { StateMachine } from "effect-otp"

class Never extends Schema.TaggedError<Never>()("Never", {}) {}

const N = { payload: { n: Schema.Int } }

class M extends StateMachine.Service<M>()("test/M", {
  states: { A: {}, B: { count: Schema.Int }, C: {} },
  events: { Go: {}, Back: {}, E: N, P: N, Ask: { success: Schema.String, error: Never } },
  internal: { I: N, T: N },
  transitions: { A: { Go: "B", E: ["B", "C"] }, B: { Back: "A", Go: "C" }, C: { Back: ["A", "B"] } }
}) {}

type MTable = Parameters<typeof M.of>[0]
const { event, stay, to } = M
const B = to.B({ count: 0 })

/** A machine whose states do what is given, and otherwise write down what comes. */
const machineOf = (
  on: { readonly [State in "A" | "B" | "C"]?: object } = {},
  rest: { readonly initial?: MTable["initial"]; readonly enter?: MTable["enter"] } = {}
) => {
  const log: Array<string> = []
  const writes = (name: string) => (payload: { readonly n: number }, _: unknown, here: { readonly state: string }) => {
    log.push(`${name}${payload.n} in ${here.state}`)
    return stay
  }
  const machine = M.of({
    initial: rest.initial ?? to.A(),
    on: {
      A: { Go: B, E: writes("e"), P: M.postpone, ...on.A },
      B: { Back: to.A(), Go: to.C(), E: writes("e"), P: writes("p"), ...on.B },
      C: { Back: to.A(), E: writes("e"), ...on.C }
    },
    any: { P: writes("p"), I: writes("i"), T: writes("t") },
    ...(rest.enter === undefined ? {} : { enter: rest.enter })
  })
  return { log, machine, stepping: StateMachine.test(machine) }
}

const e = (n: number) => event.E({ n })
const p = (n: number) => event.P({ n })
const i = (n: number) => event.I({ n })
const t = (n: number) => event.T({ n })

const { machine: anyMachine } = machineOf()

// --- Postpone and insert ---

it("STM-01 postponed events come back on a change of state, in their order, before newer ones", () => {
  const { log, stepping } = machineOf({})
  for (const each of [p(1), p(2), e(1), event.Go(), e(2)]) stepping.send(each)
  assert.deepStrictEqual(log, ["e1 in A", "p1 in B", "p2 in B", "e2 in B"])
})

it("STM-02 what is postponed is not tried again as long as the state stays, whatever becomes of its data", () => {
  const { log, stepping } = machineOf({ B: { P: M.postpone, E: () => to.B({ count: 7 }) } }, { initial: B })
  stepping.send(p(1))
  stepping.send(e(1))
  assert.deepStrictEqual(stepping.data, { count: 7 })
  assert.deepStrictEqual([log, stepping.postponed], [[], ["P"]])
  stepping.send(event.Back())
  assert.deepStrictEqual([log, stepping.postponed], [[], ["P"]])
  stepping.send(event.Go())
  assert.deepStrictEqual([stepping.state, stepping.postponed], ["B", ["P"]])
})

it("STM-03 inserted events come first, then the postponed ones", () => {
  const { log, stepping } = machineOf({ A: { Go: [B, M.next(i(1)), M.next(i(2))] } })
  for (const each of [p(1), p(2), event.Go()]) stepping.send(each)
  assert.deepStrictEqual(log, ["i1 in B", "i2 in B", "p1 in B", "p2 in B"])
})

it("STM-04 what an inserted event inserts comes before what was inserted with it", () => {
  const { log, stepping } = machineOf({
    A: {
      Go: [M.next(i(1)), M.next(i(2))],
      I: ({ n }: { n: number }) => {
        log.push(`i${n}`)
        return n === 1 ? [M.next(e(9))] : stay
      }
    }
  })
  stepping.send(event.Go())
  assert.deepStrictEqual(log, ["i1", "e9 in A", "i2"])
})

it("STM-20 a state can wait for one event: all others wait behind it", () => {
  const { log, stepping } = machineOf({ A: { E: M.postpone, P: M.postpone } })
  for (const each of [e(1), p(2), event.Go(), e(3)]) stepping.send(each)
  assert.deepStrictEqual(log, ["e1 in B", "p2 in B", "e3 in B"])
})

// --- Enter ---

it("STM-05 the enter call runs at the start and on each change, before any event, with the state before", () => {
  const entered: Array<string> = []
  const enter = {
    A: (_: unknown, from: string) => void entered.push(`A from ${from}`),
    B: (data: { readonly count: number }, from: string) => {
      entered.push(`B${data.count} from ${from}`)
      return to.B({ count: data.count + 1 })
    }
  }
  const { log, stepping } = machineOf({ A: { Go: [B, M.next(i(1))] } }, { enter })
  stepping.send(event.Go())
  entered.push(...log)
  assert.deepStrictEqual(stepping.data, { count: 1 })
  stepping.send(event.Back())
  assert.deepStrictEqual(entered, ["A from A", "B0 from A", "i1 in B", "A from B"])
})

it("STM-06 reenter runs the enter call again, which is no change of state", () => {
  const entered: Array<string> = []
  const { stepping } = machineOf(
    { A: { E: M.reenter } },
    { enter: { A: (_: unknown, from: string) => void entered.push(from) } }
  )
  stepping.send(p(1))
  stepping.send(e(1))
  assert.deepStrictEqual([entered, stepping.postponed], [["A", "A"], ["P"]])
})

it("STM-07 an enter call may not change the state, reply, postpone or insert", () => {
  for (const wrong of [to.A(), M.postpone, M.next(e(1)), M.reply(""), M.reenter]) {
    const { stepping } = machineOf({}, { enter: { B: (() => wrong) as never } })
    assert.throws(() => stepping.send(event.Go()), /test\/M, \(enter\) in B: an enter call may not/)
  }
})

// --- Time limits ---

it("STM-08 the state's limit ends with the state; one set on the way belongs to the state entered", () => {
  const { log, stepping } = machineOf({
    A: { E: M.stateTimeout("500 millis", t(1)), Go: [M.stateTimeout(200, t(2)), B] }
  })
  stepping.send(e(1))
  stepping.send(event.Go())
  stepping.advance("1 second")
  assert.deepStrictEqual(log, ["t2 in B"])
  stepping.send(event.Back())
  stepping.send(e(1))
  stepping.send(event.Go())
  stepping.send(event.Back())
  stepping.advance("1 second")
  assert.deepStrictEqual(log, ["t2 in B"])
})

it("STM-09 the limit for events ends with any event, handled or not", () => {
  for (const other of [event.Back(), p(1), event.Go()]) {
    const { log, stepping } = machineOf({ A: { E: M.eventTimeout(100, t(1)) } })
    stepping.send(e(1))
    stepping.advance(50)
    stepping.send(other)
    stepping.advance("1 second")
    assert.deepStrictEqual(log, [])
    stepping.send(event.Back())
    stepping.send(e(1))
    stepping.advance(100)
    assert.deepStrictEqual(log, ["t1 in A"])
  }
})

it("STM-10 a limit with a name outlives events and changes; set again it starts over, each name for itself", () => {
  const { log, stepping } = machineOf({
    A: { E: ({ n }: { n: number }) => M.timeout(`limit ${n}`, 100 * n, t(n)) }
  })
  for (const each of [e(1), e(2), e(3)]) stepping.send(each)
  stepping.advance(90)
  stepping.send(e(1))
  stepping.send(event.Go())
  stepping.advance(99)
  assert.deepStrictEqual(log, [])
  stepping.advance(1)
  assert.deepStrictEqual(log, ["t1 in B"])
  stepping.advance(1000)
  assert.deepStrictEqual(log, ["t1 in B", "t2 in B", "t3 in B"])
})

it("STM-11 a limit of 0 comes behind what is inserted; one for events not at all, where another event is before it", () => {
  const { log, stepping } = machineOf({
    A: { E: [M.stateTimeout(0, t(1)), M.next(i(1)), M.eventTimeout(0, t(2))], Go: M.eventTimeout(0, t(3)) }
  })
  stepping.send(e(1))
  assert.deepStrictEqual(log, ["i1 in A", "t1 in A"])
  stepping.send(event.Go())
  assert.deepStrictEqual(log, ["i1 in A", "t1 in A", "t3 in A"])
})

it("STM-12 several limits of 0 come in the order in which they were set", () => {
  const { log, stepping } = machineOf({
    A: { E: [M.timeout("x", 0, t(1)), M.stateTimeout(0, t(2)), M.timeout("y", 0, t(3)), M.timeout("x", 0, t(4))] }
  })
  stepping.send(e(1))
  assert.deepStrictEqual(log, ["t2 in A", "t3 in A", "t4 in A"])
})

it("STM-13 a limit can be cancelled, made infinite and changed, also when its time is up", () => {
  const { log, stepping } = machineOf({
    A: {
      Go: [M.timeout("x", 100, t(1)), M.timeout("y", 100, t(2)), M.timeout("z", 0, t(3)), M.next(i(1))],
      I: [M.cancelTimeout("x"), M.timeout("y", Infinity, t(2)), M.updateTimeout("z", t(4))],
      E: ({ n }: { n: number }) => (n === 1 ? M.updateTimeout("y", t(5)) : [M.stateTimeout(10, t(6)), M.next(p(0))]),
      P: ({ n }: { n: number }) => (n === 0 ? M.updateStateTimeout(t(7)) : M.cancelStateTimeout)
    }
  })
  stepping.send(event.Go())
  stepping.advance(1000)
  assert.deepStrictEqual(log, ["t4 in A"])
  // Where there is none, the change is a limit of 0; one that was made infinite is none.
  stepping.send(e(1))
  assert.deepStrictEqual(log, ["t4 in A", "t5 in A"])
  stepping.send(e(2))
  stepping.advance(10)
  assert.deepStrictEqual(log, ["t4 in A", "t5 in A", "t7 in A"])
  stepping.send(e(2))
  stepping.send(p(1))
  stepping.advance(10)
  assert.strictEqual(log.length, 3)
})

it("STM-14 a limit can be a point in time", () => {
  const { log, stepping } = machineOf({ A: { E: M.timeout("x", { at: 5_000 }, t(1)) } })
  stepping.advance(1_000)
  stepping.send(e(1))
  stepping.advance(3_999)
  assert.deepStrictEqual(log, [])
  stepping.advance(1)
  assert.deepStrictEqual(log, ["t1 in A"])
})

// --- Replies, ends, mistakes ---

it("STM-15 the machine answers before it stops, also those it has kept waiting, and handles nothing after", () => {
  let kept: StateMachine.Request<string, Never> | undefined
  const { log, stepping } = machineOf({
    A: {
      Ask: (_: unknown, __: unknown, { request }: { request: StateMachine.Request<string, Never> }) => {
        if (kept !== undefined) return [M.stop, M.replyTo(kept, "late"), M.next(i(1)), M.fail(new Never())]
        kept = request
        return stay
      }
    }
  })
  const first = stepping.send(event.Ask())
  assert.isUndefined(first.reply)
  const second = stepping.send(event.Ask())
  assert.deepStrictEqual([first.reply, second.reply], [Exit.succeed("late"), Exit.fail(new Never())])
  assert.deepStrictEqual(stepping.stopped, { _tag: "Normal" })
  stepping.send(e(1))
  assert.deepStrictEqual(log, [])
})

it("STM-15 a machine that stops enters no other state, and handles nothing that it had postponed", () => {
  const entered: Array<string> = []
  const enter = { B: () => void entered.push("B") }
  const { log, stepping } = machineOf({ A: { Go: [B, M.stop] } }, { enter })
  stepping.send(p(1))
  stepping.send(event.Go())
  assert.deepStrictEqual([entered, log, stepping.postponed], [[], [], ["P"]])
  const stopping = machineOf({}, { enter: { B: M.stop } })
  stopping.stepping.send(p(1))
  stopping.stepping.send(event.Go())
  assert.deepStrictEqual([stopping.log, stopping.stepping.stopped], [[], { _tag: "Normal" }])
})

it("STM-16 an event without a reply of its own is answered when it has been handled, not while it is postponed", () => {
  const { stepping } = machineOf({ A: { E: M.postpone } })
  const sent = stepping.send(e(1))
  assert.isUndefined(sent.reply)
  const go = stepping.send(event.Go())
  assert.deepStrictEqual([sent.reply, go.reply], [Exit.void, Exit.void])
})

it("STM-16 an event is answered once, by what is said first", () => {
  const { stepping } = machineOf({ A: { Ask: [M.reply("first"), M.reply("second"), M.fail(new Never())] } })
  assert.deepStrictEqual(stepping.send(event.Ask()).reply, Exit.succeed("first"))
})

it("STM-17 of what can happen only once the last one said wins", () => {
  const { log, stepping } = machineOf({
    A: {
      P: [M.postpone, M.postponeIf(false)],
      E: [to.C(), B, M.stateTimeout(10, t(1)), M.stateTimeout(20, t(2))]
    }
  })
  stepping.send(p(1))
  assert.deepStrictEqual(stepping.postponed, [])
  stepping.send(e(1))
  assert.strictEqual(stepping.state, "B")
  stepping.advance(10)
  assert.deepStrictEqual(log, [])
  stepping.advance(10)
  assert.deepStrictEqual(log, ["t2 in B"])
})

it("STM-18 an answer that means nothing, an action or a limit that is none: the machine says what was wrong", () => {
  const wrong: ReadonlyArray<readonly [unknown, RegExp]> = [
    ["nonsense", /test\/M, E in A: answer with what is to happen, or with stay, got "nonsense"/],
    [undefined, /got undefined/],
    [[to.C(), { _tag: "Jump" }], /nothing a machine can do, got .*Jump/],
    [{ ...M.stay, ...to.C(), _tag: "Jump" }, /nothing a machine can do here, got .*Jump/],
    [M.stateTimeout("soon" as never, t(1)), /a time limit is a duration.*got "soon"/],
    [M.stateTimeout(-1, t(1)), /a time limit is a duration.*got -1/],
    [M.stateTimeout(Number.NaN, t(1)), /a time limit is a duration.*got NaN/],
    [M.timeout("x", { at: "tomorrow" }, t(1)), /a time limit is a duration.*tomorrow/],
    [M.run("soon" as never), /only an effect can be run, got .*soon/],
    [M.stopWith(undefined as never), /a machine stops with an ExitReason/],
    [M.stopWith("now" as never), /a machine stops with an ExitReason, got .*now/],
    [M.replyTo(undefined as never, 1), /a request is what a handler has been given as such/],
    [[M.stay], /this is nothing a machine can do, got \[\]/],
    [M.next({ _tag: "Ring", payload: undefined } as never), /an event is one of Go, Back, E, P, Ask, I, T, got .*Ring/],
    [{ ...to.C(), state: "Ajar" }, /a state is one of A, B, C, got "Ajar"/]
  ]
  for (const [answer, message] of wrong) {
    const { stepping } = machineOf({ A: { E: () => answer } })
    assert.throws(() => stepping.send(e(1)), message)
    assert.strictEqual(stepping.state, "A")
  }
  assert.throws(() => machineOf({}, { initial: [M.next(e(1))] as never }), /initial must say with which state/)
  assert.throws(() => machineOf({}, { initial: { ...to.A(), state: "Ajar" } as never }), /a state is one of A, B, C/)
})

it("STM-19 an event that no handler is there for is told, and changes nothing", () => {
  const { stepping } = machineOf({})
  const sent = stepping.send(event.Back())
  assert.deepStrictEqual(stepping.unhandledEvents, [{ state: "A", event: "Back" }])
  assert.deepStrictEqual([stepping.state, sent.reply], ["A", undefined])
})

it("STM-19 a name that every object has is nobody's handler", () => {
  class Odd extends StateMachine.Service<Odd>()("test/Odd", {
    states: { constructor: {} },
    events: { hasOwnProperty: { success: Schema.Int }, isPrototypeOf: {} },
    transitions: {}
  }) {}
  const on: object = { constructor: { hasOwnProperty: Odd.reply(1) } }
  const stepping = StateMachine.test(
    Odd.of({ initial: Odd.to.constructor(), on } as never) as unknown as typeof anyMachine
  )
  const send = (_tag: string) => stepping.send({ _tag, payload: undefined } as never)
  assert.deepStrictEqual(send("hasOwnProperty").reply, Exit.succeed(1))
  send("isPrototypeOf")
  assert.deepStrictEqual(stepping.unhandledEvents, [{ state: "constructor", event: "isPrototypeOf" }])
})

it("STM-21 a transition that is not declared is refused, with both states", () => {
  const { stepping } = machineOf({ A: { Go: to.C() } })
  assert.throws(() => stepping.send(event.Go()), /test\/M: Go may not lead from A to C.*A: \{ Go: "C" \}/)
  const inAny = machineOf({ B: { Back: to.C() } }, { initial: B })
  assert.throws(() => inAny.stepping.send(event.Back()), /Back may not lead from B to C/)
})

it("STM-22 effects and replies happen in order, before the state changes; a declared failure is the answer instead", () => {
  const seen: Array<string> = []
  const note = (text: string) => Effect.sync(() => void seen.push(`${text} in ${stepping.state}`))
  const { stepping } = machineOf({
    A: {
      Go: () => Effect.as(note("handler"), [M.run(note("first")), B, M.run(note("second"))]),
      *Ask() {
        yield* note("asked")
        return yield* Effect.fail(new Never())
      }
    },
    B: { Ask: [M.run(Effect.fail(new Never())), M.reply("never")], Back: () => Effect.fail("crash") }
  })
  assert.deepStrictEqual(stepping.send(event.Ask()).reply, Exit.fail(new Never()))
  stepping.send(event.Go())
  assert.deepStrictEqual(seen, ["asked in A", "handler in A", "first in A", "second in A"])
  assert.deepStrictEqual(stepping.send(event.Ask()).reply, Exit.fail(new Never()))
  assert.throws(() => stepping.send(event.Back()), /crash/)
})

it("STM-23 a machine begins with what its first state brings: enter call, inserted events, limits", () => {
  const entered: Array<string> = []
  const { log, stepping } = machineOf(
    {},
    {
      initial: [B, M.next(i(1)), M.timeout("x", 10, t(1))],
      enter: {
        B: (_: unknown, from: string) => [M.run(Effect.sync(() => entered.push(from))), M.stateTimeout(0, t(2))]
      }
    }
  )
  stepping.advance(10)
  assert.deepStrictEqual([entered, log], [["B"], ["i1 in B", "t2 in B", "t1 in B"]])
})

it("STM-24 it is drawn: every state, the first one, every event that leads somewhere", () => {
  const { machine } = machineOf({})
  assert.deepStrictEqual(StateMachine.toMermaid(machine, { current: "B" }).split("\n"), [
    "---",
    'title: "test/M"',
    "---",
    "stateDiagram-v2",
    "  A",
    "  B",
    "  C",
    "  [*] --> A",
    "  A --> B : Go, E",
    "  A --> C : E",
    "  B --> A : Back",
    "  B --> C : Go",
    "  C --> A : Back",
    "  C --> B : Back",
    "  classDef current font-weight:bold,stroke-width:3px",
    "  class B current"
  ])
})

it("STM-25 names that Mermaid would trip over are written so that it does not", () => {
  class Odd extends StateMachine.Service<Odd>()("test/Odd", {
    states: { "wait: for it": {}, 'a "b"': {} },
    events: { "x;y": {} },
    transitions: { "wait: for it": { "x;y": 'a "b"' } }
  }) {}
  const machine = Odd.of({
    initial: Odd.to["wait: for it"](),
    on: { "wait: for it": { "x;y": Odd.to['a "b"']() }, 'a "b"': {} }
  })
  assert.deepStrictEqual(StateMachine.toMermaid(machine).split("\n").slice(4), [
    '  state "wait#58; for it" as state0',
    '  state "a #34;b#34;" as state1',
    "  [*] --> state0",
    "  state0 --> state1 : x#59;y"
  ])
})

it("STM-26 a design that no machine could have is refused where it is written", () => {
  const design = (rest: object) => () =>
    StateMachine.Service<M>()("test/Wrong", { states: { A: {} }, events: { E: {} }, transitions: {}, ...rest })
  assert.throws(design({ transitions: { Z: { E: "A" } } }), /transitions must begin at one of A, got "Z"/)
  assert.throws(design({ transitions: { A: { F: "A" } } }), /transitions.A must name one of E, got "F"/)
  assert.throws(design({ transitions: { A: { E: ["A", "Z"] } } }), /transitions.A.E must be one of A, got "Z"/)
})

it("STM-27 a hundred thousand postponed events come back in order, without growing the stack", () => {
  const { log, stepping } = machineOf({})
  for (let n = 0; n < 100_000; n++) stepping.send(p(n))
  stepping.send(event.Go())
  assert.strictEqual(log.length, 100_000)
  assert.isTrue(log.every((line, n) => line === `p${n} in B`))
})
