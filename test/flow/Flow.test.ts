/** Flows: step by step, until they halt, and as streams; what happens when an action fails or says too much. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Schema, Stream } from "effect"
import { Flow } from "effect-otp/flow"
import { Brush, brush, Chat, ChatFlow, initial, NoPaint, say } from "./chat.ts"

const start = Flow.start(ChatFlow, { initial }).pipe(Effect.provideService(Brush, brush))

const namesOf = (steps: Iterable<{ readonly action: string }>) => Array.from(steps, ({ action }) => action)

const N = Flow.state("test/N", { n: Schema.Int, m: Schema.Int })

/** A flow of one action that is done once. */
const single = <const A extends Flow.AnyAction>(action: A) =>
  Flow.make("single", { state: N, actions: [action], entry: action.name, transitions: [] })

// --- Steps ---

it.effect("B6 step by step: each action is given what it reads and changes what it writes", () =>
  Effect.gen(function* () {
    const session = yield* start
    assert.deepStrictEqual(yield* session.next, Option.some("ask"))
    assert.deepStrictEqual(
      yield* session.step(say("draw a cat")),
      Option.some({
        _tag: "Step",
        step: 1,
        action: "ask",
        read: { text: "draw a cat" },
        written: { prompt: "draw a cat" }
      })
    )
    assert.deepStrictEqual(yield* session.state, { ...initial, prompt: "draw a cat" })
    assert.deepStrictEqual(
      yield* session.step(),
      Option.some({
        _tag: "Step",
        step: 2,
        action: "classify",
        read: { prompt: "draw a cat" },
        written: { mode: "image" }
      })
    )
    assert.deepStrictEqual(yield* session.next, Option.some("draw"))
    yield* session.step()
    assert.deepStrictEqual(yield* session.state, { ...initial, prompt: "draw a cat", mode: "image", reply: "<a cat>" })
    assert.deepStrictEqual(namesOf(yield* session.history), ["ask", "classify", "draw"])
  })
)

it.effect("B6 the first transition whose condition holds is taken; where none does the flow is at its end", () =>
  Effect.gen(function* () {
    const session = yield* start
    const outcome = yield* session.run(say("bye"))
    assert.deepStrictEqual(namesOf(yield* session.history), ["ask", "classify", "answer", "count"])
    assert.strictEqual(outcome.halted, "end")
    assert.strictEqual(outcome.taken, 4)
    assert.deepStrictEqual(yield* session.next, Option.none())
    assert.deepStrictEqual(yield* session.step(), Option.none())
    const again = yield* session.run()
    assert.deepStrictEqual([again.halted, again.taken, again.last], ["end", 0, Option.none()])
  })
)

it.effect("B6 runs until it halts: after an action, before one, and when a condition holds", () =>
  Effect.gen(function* () {
    const session = yield* start
    const after = yield* session.run({ ...say("draw a cat"), haltAfter: ["classify"] })
    assert.deepStrictEqual([after.halted, after.taken, after.state.mode], ["after", 2, "image"])
    const before = yield* session.run({ haltBefore: ["count"] })
    assert.deepStrictEqual([before.halted, before.taken, before.state.reply], ["before", 1, "<a cat>"])
    // The one it was halted before is what the next run does first.
    const until = yield* session.run({ haltBefore: ["count"], until: ({ turns }) => turns === 1 })
    assert.deepStrictEqual([until.halted, until.taken], ["until", 1])
    assert.strictEqual(Option.getOrThrow(until.last).action, "count")
  })
)

it.effect("B6 streams a result: items of a streaming action as they come, and every step", () =>
  Effect.gen(function* () {
    const session = yield* start
    const seen = yield* Stream.runCollect(session.stream(say("bye")))
    assert.deepStrictEqual(
      seen.map((each) => (each._tag === "Item" ? `${each.action}: ${each.item}` : each.action)),
      ["ask", "classify", "answer: you said: ", "answer: bye", "answer", "count"]
    )
    assert.strictEqual((yield* session.state).reply, "you said: bye")
  })
)

it.effect("a stream is no further ahead than its buffer, and who stops reading stops the action", () =>
  Effect.gen(function* () {
    let made = 0
    const numbers = N.streaming("numbers", {
      writes: ["n"],
      item: Schema.Int,
      run: () =>
        Stream.range(1, 1000).pipe(
          Stream.rechunk(1),
          Stream.tap(() => Effect.sync(() => made++)),
          Flow.ending((items) => ({ n: items.length }))
        )
    })
    const session = yield* Flow.start(single(numbers))
    const some = yield* Stream.runCollect(Stream.take(session.stream(), 3))
    assert.deepStrictEqual(
      some.map((each) => each._tag === "Item" && each.item),
      [1, 2, 3]
    )
    assert.isBelow(made, 40)
    assert.deepStrictEqual(yield* session.state, {})
    assert.strictEqual((yield* session.run()).state.n, 1000)
  })
)

it.effect("steps of one session never overlap", () =>
  Effect.gen(function* () {
    const add = N.action("add", {
      reads: ["n"],
      writes: ["n"],
      run: ({ n }) => Effect.as(Effect.yieldNow, { n: n + 1 })
    })
    const Adding = Flow.make("adding", { state: N, actions: [add], entry: "add", transitions: [N.to("add", "add")] })
    const session = yield* Flow.start(Adding, { initial: { n: 0 }, history: 2 })
    yield* Effect.all(
      Array.from({ length: 5 }, () => session.step()),
      { concurrency: "unbounded" }
    )
    assert.deepStrictEqual(yield* session.state, { n: 5 })
    assert.deepStrictEqual(
      (yield* session.history).map(({ step }) => step),
      [4, 5]
    )
  })
)

// --- Failures ---

it.effect("a failed action is told with its name and the state before it, writes nothing, and can be done again", () =>
  Effect.gen(function* () {
    let paint = false
    const session = yield* Flow.start(ChatFlow, { initial }).pipe(
      Effect.provideService(Brush, {
        draw: (prompt) => (paint ? Effect.succeed("done") : Effect.fail(new NoPaint({ prompt })))
      })
    )
    const failure = yield* Effect.flip(session.run(say("draw a cat")))
    assert(failure._tag === "ActionFailed")
    assert.deepStrictEqual(failure.error, new NoPaint({ prompt: "draw a cat" }))
    const before = { ...initial, prompt: "draw a cat", mode: "image" }
    assert.deepStrictEqual([failure.flow, failure.action, failure.step, failure.state], ["chat", "draw", 3, before])
    assert.deepStrictEqual<unknown>(yield* session.state, before)
    assert.deepStrictEqual(yield* session.next, Option.some("draw"))
    paint = true
    assert.strictEqual((yield* session.run({ haltAfter: ["draw"] })).state.reply, "done")
  })
)

it.effect("a failure says what the error says, whatever that is", () =>
  Effect.gen(function* () {
    const messages: Array<string> = []
    const errors = [
      new NoPaint({ prompt: "a cat" }),
      new Error("disk full"),
      "busy",
      new Error(""),
      { code: 5 },
      undefined
    ]
    for (const error of errors) {
      const session = yield* Flow.start(single(N.action("fail", { run: () => Effect.fail(error) })))
      messages.push((yield* Effect.flip(session.step())).message)
    }
    assert.deepStrictEqual(
      messages.map((message) => message.replace("single: fail, step 1, failed: ", "")),
      ["NoPaint", "disk full", '"busy"', "Error", '{"code":5}', "undefined"]
    )
  })
)

it.effect("an action that dies or is interrupted writes nothing either", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    let dies = true
    const add = N.action("add", {
      writes: ["n"],
      run: () => (dies ? Effect.die("bug") : Effect.as(Deferred.await(gate), { n: 1 }))
    })
    const session = yield* Flow.start(single(add))
    assert.isTrue(Exit.hasDies(yield* Effect.exit(session.step())))
    dies = false
    const fiber = yield* Effect.forkChild(session.step(), { startImmediately: true })
    yield* Fiber.interrupt(fiber)
    assert.deepStrictEqual([yield* session.state, (yield* session.history).length], [{}, 0])
    yield* Deferred.succeed(gate, undefined)
    yield* session.step()
    assert.deepStrictEqual(yield* session.state, { n: 1 })
  })
)

/** An action whose types were cast away. */
const untyped = (written: unknown) =>
  single(N.action("write", { writes: ["n"], run: () => Effect.succeed(written as { n: number }) }))

it.effect("B6 undeclared writes are an error, and so are missing and invalid ones", () =>
  Effect.gen(function* () {
    const reasons: Array<unknown> = []
    for (const written of [{ n: 1, m: 2 }, {}, undefined, { n: "1" }]) {
      const session = yield* Flow.start(untyped(written))
      const failure = yield* Effect.flip(session.step())
      assert(failure._tag === "StateError")
      assert.strictEqual(failure.where, "write")
      reasons.push([failure.reason._tag, "key" in failure.reason && failure.reason.key])
      assert.deepStrictEqual(yield* session.state, {})
    }
    assert.deepStrictEqual(reasons, [
      ["UndeclaredWrite", "m"],
      ["MissingWrite", "n"],
      ["MissingWrite", "n"],
      ["InvalidValue", "n"]
    ])
  })
)

it.effect(
  "reads that nothing has written, inputs that are missing or wrong, and a wrong beginning are typed errors",
  () =>
    Effect.gen(function* () {
      const add = N.action("add", {
        reads: ["n"],
        writes: ["n"],
        inputs: { by: Schema.Int },
        run: ({ by, n }) => Effect.succeed({ n: n + by })
      })
      const flow = Flow.make("adding", {
        state: N,
        actions: [add],
        entry: "add",
        transitions: [N.to("add", "add", { reads: ["m"], when: ({ m }) => m > 0 })]
      })
      const why = (failure: { readonly _tag: string }) => {
        assert(failure instanceof Flow.StateError)
        return failure.message
      }
      const unwritten = yield* Flow.start(flow)
      const session = yield* Flow.start(flow, { initial: { n: 1 } })
      assert.deepStrictEqual(
        [
          why(yield* Effect.flip(unwritten.step())),
          why(yield* Effect.flip(session.step())),
          why(yield* Effect.flip(session.step({ inputs: { add: { by: "1" as never } } }))),
          why(yield* Effect.flip(session.run({ inputs: { add: { by: 1 } } }))),
          why(yield* Effect.flip(Flow.start(flow, { initial: { n: 0.5 } }))),
          why(yield* Effect.flip(Flow.start(flow, { initial: { k: 1 } as never })))
        ],
        [
          "adding: add: it reads n, which nothing has written yet: give it in initial, or write it before",
          "adding: add: the input by is missing: give it in inputs",
          'adding: add: by cannot be "1": Expected number',
          "adding: add -> add: it reads m, which nothing has written yet: give it in initial, or write it before",
          "adding: initial: n cannot be 0.5: Expected an integer",
          "adding: initial: the state has no key k"
        ]
      )
    })
)

it.effect("a stream that ends without saying what it writes is an error; an action without writes says nothing", () =>
  Effect.gen(function* () {
    const unending = N.streaming("unending", { writes: ["n"], item: Schema.Int, run: () => Stream.make(1, 2) })
    const session = yield* Flow.start(single(unending))
    const failure = yield* Effect.flip(session.run())
    assert(failure._tag === "StateError" && failure.reason._tag === "NotDone")
    const quiet = yield* Flow.start(single(N.action("quiet", { run: () => Effect.void })))
    assert.deepStrictEqual((yield* quiet.run()).taken, 1)
  })
)

// --- Making ---

const first = N.action("first", { run: () => Effect.void })
const second = N.action("second", { run: () => Effect.void })

const problems = (make: () => unknown): ReadonlyArray<string> => {
  try {
    make()
  } catch (error) {
    assert(error instanceof Flow.InvalidFlow)
    return error.problems.map(({ field, problem, value }) => `${field} ${String(value)} ${problem}`)
  }
  return []
}

it("a flow that could not work is refused where it is made, with all that is wrong", () => {
  const make = (options: object) =>
    problems(() =>
      Flow.make("f", {
        state: N,
        actions: [first, second],
        entry: "first",
        transitions: [N.to("first", "second")],
        ...options
      })
    )
  assert.deepStrictEqual(make({}), [])
  assert.deepStrictEqual(make({ entry: "frist", transitions: [N.to("first", "secnd"), N.to("third", "first")] }), [
    "entry frist which is no action: there are first, second",
    "transitions[0].to secnd which is no action: there are first, second",
    "transitions[1].from[0] third which is no action: there are first, second"
  ])
  assert.deepStrictEqual(make({ entry: undefined, actions: [] }).slice(0, 1), [
    "entry undefined which is no action: there are none"
  ])
  assert.deepStrictEqual(make({ transitions: [] }), ["actions[1] second which cannot be reached from first"])
  assert.deepStrictEqual(make({ transitions: [N.to("first", "second"), N.to("first", "first")] }), [
    "transitions[1] first -> first never taken: transitions[0] always is"
  ])
  assert.deepStrictEqual(make({ actions: [first, second, first] }), ["actions[2].name first as actions[0] is"])
  assert.deepStrictEqual(make({ actions: [first, second, Chat.action("other", { run: () => Effect.void })] }), [
    "actions[2] other an action of another state"
  ])
  assert.deepStrictEqual(make({ transitions: [N.to("first", "second"), Chat.to("second", "first")] }), [
    "transitions[1] first a transition of another state"
  ])
  assert.deepStrictEqual(make({ transitions: [N.to([], "second"), N.to("first", "second")] }), [
    "transitions[0].from  which leads from nowhere to second"
  ])
  const unknownRead = { reads: ["x"], when: () => true } as never
  assert.deepStrictEqual(make({ transitions: [N.to("first", "second", unknownRead)] }), [
    "transitions[0].reads[0] x which the state does not have: it has n, m"
  ])
  assert.deepStrictEqual(make({ actions: [first, second, N.action("", { run: () => Effect.void })] }), [
    "actions[2].name  which is no name"
  ])
  const keys = { reads: ["x"], writes: ["y"], inputs: { x: Schema.Int } } as never
  assert.deepStrictEqual(
    make({ actions: [N.action("first", { ...(keys as object), run: () => Effect.void }), second] }),
    [
      "actions[0].inputs x which it reads as well: call the input otherwise",
      "actions[0].reads[0] x which the state does not have: it has n, m",
      "actions[0].writes[0] y which the state does not have: it has n, m"
    ]
  )
})

it("is drawn as a Mermaid flowchart", () => {
  assert.deepStrictEqual(Flow.toMermaid(ChatFlow).split("\n"), [
    "flowchart TD",
    "  start((start)) --> a0",
    '  a0["ask"]',
    '  a1["classify"]',
    '  a2["draw<br/>gpu"]',
    '  a3[["answer<br/>gpu, model"]]',
    '  a4["count"]',
    "  done(((end)))",
    "  a0 --> a1",
    '  a1 -->|"a picture"| a2',
    "  a1 --> a3",
    "  a2 --> a4",
    "  a3 --> a4",
    '  a4 -->|"prompt"| a0',
    "  a4 -.-> done"
  ])
})
