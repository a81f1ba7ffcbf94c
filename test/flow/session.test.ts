/** Sessions pushed hard: halts that coincide, steps within steps, interruptions, conditions that throw, very long runs. */
import { inspect } from "node:util"
import { assert, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Option, Queue, Schema, Stream } from "effect"
import { Flow } from "effect-otp/flow"
import { TestClock } from "effect/testing"

const N = Flow.state("test/N", { n: Schema.Int, m: Schema.Int })

const add = N.action("add", { reads: ["n"], writes: ["n"], run: ({ n }) => Effect.succeed({ n: n + 1 }) })

/** Adds until `n` is `limit`. */
const counting = (limit: number) =>
  Flow.make("counting", {
    state: N,
    actions: [add],
    entry: "add",
    transitions: [N.to("add", "add", { reads: ["n"], when: ({ n }) => n < limit })]
  })

/** A flow of one action that is done over and over. */
const over = <const A extends Flow.AnyAction>(action: A) =>
  Flow.make("over", {
    state: N,
    actions: [action],
    entry: action.name,
    transitions: [N.to(action.name, action.name)] as ReadonlyArray<Flow.Transition<A["name"]>>
  })

// --- Halting ---

it.effect("B6 of several conditions that hold at once, after goes before until, and that before before", () =>
  Effect.gen(function* () {
    const [after, until, before] = [{ haltAfter: ["add"] }, { until: () => true }, { haltBefore: ["add"] }] as const
    const session = yield* Flow.start(counting(100), { initial: { n: 0 } })
    const halted = (options: Flow.RunOptions<typeof N.fields, typeof add>) =>
      Effect.map(session.run(options), (outcome) => [outcome.halted, outcome.taken, outcome.state.n])
    assert.deepStrictEqual(yield* halted({ ...before, ...until, ...after }), ["after", 1, 1])
    assert.deepStrictEqual(yield* halted({ ...before, ...until }), ["until", 1, 2])
    assert.deepStrictEqual(yield* halted(before), ["before", 1, 3])
    assert.deepStrictEqual(yield* halted({ ...before, until: ({ n = 0 }) => n > 50 }), ["before", 1, 4])
    assert.deepStrictEqual(yield* halted({ until: ({ n = 0 }) => n > 50 }), ["until", 47, 51])
    // What is never reached does not halt it.
    assert.deepStrictEqual(yield* halted({ haltBefore: [], haltAfter: [] }), ["end", 49, 100])
  })
)

it.effect("B6 a flow may go round for ever, and halts where it is told", () =>
  Effect.gen(function* () {
    const session = yield* Flow.start(over(add), { initial: { n: 0 } })
    assert.strictEqual((yield* session.run({ until: ({ n }) => n === 7 })).taken, 7)
    const steps = yield* Stream.runCollect(Stream.take(session.stream(), 3))
    assert.deepStrictEqual(
      steps.map((each) => each._tag === "Step" && each.step),
      [8, 9, 10]
    )
  })
)

// --- Steps within steps ---

/** A session whose actions know it: its type cannot be inferred from theirs. */
interface Steps {
  step(): Effect.Effect<unknown, unknown>
  run(options?: { readonly until: () => boolean }): Effect.Effect<unknown, unknown>
  stream(): Stream.Stream<unknown, unknown>
}

it.effect("B6 an action that takes a step of its own session is told so at once, and may go on", () =>
  Effect.gen(function* () {
    const refused: Array<unknown> = []
    const own = N.action("own", {
      writes: ["n"],
      run: () =>
        Effect.gen(function* () {
          refused.push(yield* Effect.flip(itself.step()))
          refused.push(yield* Effect.flip(itself.run()))
          refused.push(yield* Effect.flip(Stream.runDrain(itself.stream())))
          refused.push(yield* Effect.flip(Fiber.join(yield* Effect.forkChild(itself.step()))))
          return { n: 1 }
        })
    })
    const session = yield* Flow.start(over(own))
    const itself: Steps = session
    yield* session.step()
    assert.strictEqual(refused.length, 4)
    for (const failure of refused) {
      assert(failure instanceof Flow.StateError)
      assert.strictEqual(failure.reason._tag, "SteppedItself")
      assert.strictEqual(
        failure.message,
        "over: own: it took a step of its own session, which waits until it is done: let a transition lead on"
      )
    }
    assert.deepStrictEqual(yield* session.state, { n: 1 })
    yield* session.step()
  })
)

it.effect(
  "B6 so are a hook, and two sessions whose actions step each other; what goes on after the action is not",
  () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const late = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
      const sessions: Array<Steps> = []
      const stepOther = (name: "first" | "second", other: number) =>
        N.action(name, {
          writes: ["n"],
          run: () =>
            Effect.as(
              Effect.suspend(() => sessions[other]!.step()),
              { n: 1 }
            )
        })
      sessions.push(yield* Flow.start(over(stepOther("first", 1))), yield* Flow.start(over(stepOther("second", 0))))
      const round = yield* Effect.flip(sessions[0]!.step())
      assert(round instanceof Flow.ActionFailed && round.error instanceof Flow.ActionFailed)
      assert(round.error.error instanceof Flow.StateError)
      assert.deepStrictEqual([round.error.error.where, round.error.error.reason._tag], ["first", "SteppedItself"])

      const hooked: Steps = yield* Flow.start(over(add), {
        initial: { n: 0 },
        runners: [
          Flow.around((_, next) =>
            Effect.andThen(
              Effect.suspend(() => hooked.step()),
              next
            )
          )
        ]
      })
      const inHook = yield* Effect.flip(hooked.step())
      assert(inHook instanceof Flow.ActionFailed && inHook.error instanceof Flow.StateError)

      const behind = N.action("behind", {
        writes: ["n"],
        run: () =>
          Deferred.await(gate).pipe(
            Effect.andThen(Effect.suspend(() => session.run({ until: () => true }))),
            Effect.exit,
            Effect.flatMap((exit) => Deferred.succeed(late, exit)),
            Effect.forkDetach,
            Effect.as({ n: 1 })
          )
      })
      const session: Steps = yield* Flow.start(over(behind))
      yield* session.step()
      yield* Deferred.succeed(gate, undefined)
      assert.isTrue(Exit.isSuccess(yield* Deferred.await(late)))
    })
)

it.effect("steps, runs and streams of one session taken at once wait for each other", () =>
  Effect.gen(function* () {
    let within = 0
    let most = 0
    const slow = N.action("slow", {
      reads: ["n"],
      writes: ["n"],
      run: ({ n }) =>
        Effect.acquireUseRelease(
          Effect.sync(() => (most = Math.max(most, ++within))),
          () => Effect.as(Effect.yieldNow, { n: n + 1 }),
          () => Effect.sync(() => within--)
        )
    })
    const session = yield* Flow.start(over(slow), { initial: { n: 0 } })
    yield* Effect.all(
      [
        session.step(),
        session.run({ until: ({ n = 0 }) => n >= 20 }),
        Stream.runDrain(Stream.take(session.stream(), 10)),
        session.run({ until: ({ n = 0 }) => n >= 20 })
      ],
      { concurrency: "unbounded" }
    )
    assert.strictEqual(most, 1)
    const steps = (yield* session.history).map(({ step, written }) => [step, written.n])
    assert.deepStrictEqual(
      steps,
      steps.map((_, i) => [i + 1, i + 1])
    )
  })
)

// --- Interruption and failure ---

it.effect("B6 an action that never ends can be given up: by a time limit, or by who asked", () =>
  Effect.gen(function* () {
    let released = 0
    let ends = false
    const stuck = N.action("stuck", {
      writes: ["n"],
      run: () =>
        ends ? Effect.succeed({ n: 1 }) : Effect.onInterrupt(Effect.never, () => Effect.sync(() => released++))
    })
    const session = yield* Flow.start(over(stuck))
    const limited = yield* Effect.forkChild(Effect.exit(Effect.timeout(session.step(), "1 minute")), {
      startImmediately: true
    })
    // One that waits for its turn is given up without having been begun.
    const waiting = yield* Effect.forkChild(session.step(), { startImmediately: true })
    yield* Fiber.interrupt(waiting)
    assert.strictEqual(released, 0)
    yield* TestClock.adjust("1 minute")
    assert.isTrue(Exit.isFailure(yield* Fiber.join(limited)))
    assert.deepStrictEqual([released, yield* session.state], [1, {}])
    ends = true
    assert.strictEqual((yield* session.run({ haltAfter: ["stuck"] })).state.n, 1)
  })
)

it.effect("B6 an action that throws before it gives an effect is a defect of the step, and writes nothing", () =>
  Effect.gen(function* () {
    const bug = N.action("bug", {
      writes: ["n"],
      run: (): Effect.Effect<{ n: number }> => {
        throw new Error("bug")
      }
    })
    const session = yield* Flow.start(over(bug))
    assert.isTrue(Exit.hasDies(yield* Effect.exit(session.step())))
    assert.isTrue(Exit.hasDies(yield* Effect.exit(Stream.runDrain(session.stream()))))
    assert.deepStrictEqual([yield* session.state, yield* session.next], [{}, Option.some("bug")])
  })
)

it.effect("B6 a stream tells what was done before it fails with the same error as a run", () =>
  Effect.gen(function* () {
    const fail = N.streaming("fail", {
      item: Schema.Int,
      run: () => Stream.concat(Stream.make(1, 2), Stream.fail("no more" as const))
    })
    const flow = Flow.make("failing", {
      state: N,
      actions: [add, fail],
      entry: "add",
      transitions: [N.to("add", "fail")]
    })
    const session = yield* Flow.start(flow, { initial: { n: 0 } })
    const seen: Array<string> = []
    const failure = yield* session.stream().pipe(
      Stream.runForEach((each) => Effect.sync(() => seen.push(each._tag === "Item" ? `${each.item}` : each.action))),
      Effect.flip
    )
    assert(failure._tag === "ActionFailed" && failure.error === "no more")
    assert.deepStrictEqual(seen, ["add", "1", "2"])
  })
)

it.effect(
  "B6 a stream that is left half way leaves nothing running: its resources are gone, the next run goes on",
  () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const numbers = N.streaming("numbers", {
        writes: ["n"],
        item: Schema.Int,
        run: () =>
          Stream.unwrap(
            Effect.as(
              Effect.acquireRelease(
                Effect.sync(() => log.push("open")),
                () => Effect.sync(() => log.push("closed"))
              ),
              Stream.range(1, 100)
            )
          ).pipe(Flow.ending((items) => ({ n: items.length })))
      })
      const session = yield* Flow.start(over(numbers))
      const first = yield* Queue.unbounded<number>()
      const reading = yield* session.stream().pipe(
        Stream.runForEach((each) => (each._tag === "Item" ? Queue.offer(first, each.item) : Effect.void)),
        Effect.andThen(Effect.never),
        Effect.forkChild({ startImmediately: true })
      )
      yield* Queue.take(first)
      yield* Fiber.interrupt(reading)
      assert.strictEqual(log.filter((each) => each === "open").length, log.filter((each) => each === "closed").length)
      const before = (yield* session.history).length
      yield* session.run({ haltAfter: ["numbers"] })
      assert.strictEqual((yield* session.history).length, before + 1)
    })
)

it.effect("B6 a streaming action that writes nothing need not say so; what comes after its end is not looked at", () =>
  Effect.gen(function* () {
    const quiet = N.streaming("quiet", { item: Schema.Int, run: () => Stream.make(1, 2) })
    const session = yield* Flow.start(over(quiet))
    assert.strictEqual((yield* session.run({ haltAfter: ["quiet"] })).taken, 1)
    // A stream that was made once ends anew each time it is run.
    const same = Stream.make(1, 2).pipe(Flow.ending((items) => ({ n: items.length })))
    const again = yield* Flow.start(over(N.streaming("again", { writes: ["n"], item: Schema.Int, run: () => same })))
    yield* again.run({ haltAfter: ["again"] })
    assert.strictEqual((yield* again.run({ haltAfter: ["again"] })).state.n, 2)
    const twice = N.streaming("twice", {
      writes: ["n"],
      item: Schema.Int,
      run: () => Stream.make(1, Flow.done({ n: 1 }), 2, Flow.done({ n: 2 }))
    })
    const other = yield* Flow.start(over(twice))
    const seen = yield* Stream.runCollect(other.stream({ haltAfter: ["twice"] }))
    assert.deepStrictEqual(
      seen.map((each) => (each._tag === "Item" ? each.item : each.written.n)),
      [1, 1]
    )
  })
)

it.effect("B6 a condition that throws is an error with the name of its transition; the step before it stands", () =>
  Effect.gen(function* () {
    let throws = true
    const flow = Flow.make("conditions", {
      state: N,
      actions: [add],
      entry: "add",
      transitions: [
        N.to("add", "add", {
          reads: ["n"],
          when: () => {
            if (throws) throw new Error("no such luck")
            return true
          }
        })
      ]
    })
    const session = yield* Flow.start(flow, { initial: { n: 0 } })
    const failures = [
      yield* Effect.flip(session.run()),
      yield* Effect.flip(session.step()),
      yield* Effect.flip(session.next)
    ]
    for (const failure of failures) {
      assert(failure._tag === "StateError" && failure.reason._tag === "ConditionFailed")
      assert.strictEqual(failure.message, "conditions: add -> add: its condition threw: no such luck")
    }
    assert.deepStrictEqual(yield* session.state, { n: 1 })
    throws = false
    assert.strictEqual((yield* session.run({ haltAfter: ["add"] })).state.n, 2)
  })
)

// --- Starting ---

class Rate extends Context.Service<Rate, number>()("test/Rate") {}

it.effect("what actions need is taken from where the session is started, unless whoever takes the step has it", () =>
  Effect.gen(function* () {
    const rate = N.action("rate", { writes: ["n"], run: () => Effect.map(Rate, (n) => ({ n })) })
    const session = yield* Flow.start(over(rate)).pipe(Effect.provideService(Rate, 1))
    const step = Effect.andThen(
      session.step(),
      Effect.map(session.state, ({ n }) => n)
    )
    assert.deepStrictEqual([yield* step, yield* Effect.provideService(step, Rate, 2), yield* step], [1, 2, 1])
  })
)

it.effect("a session is printed as what it is; the services of its actions are not", () =>
  Effect.gen(function* () {
    const session = yield* Flow.start(counting(3), { initial: { n: 0 } }).pipe(Effect.provideService(Rate, 123_456))
    yield* session.step()
    const expected = { _id: "Session", flow: "counting", id: undefined, step: 1, last: "add", state: { n: 1 } }
    assert.strictEqual(inspect(session), inspect(expected))
    assert.strictEqual(JSON.stringify(session), JSON.stringify(expected))
  })
)

it.effect("an action's spans belong to who takes the step, not to who started the session", () =>
  Effect.gen(function* () {
    const parents: Array<string> = []
    const traced = N.action("traced", {
      writes: ["n"],
      run: () =>
        Effect.map(Effect.option(Effect.currentParentSpan), (span) => {
          parents.push(Option.match(span, { onNone: () => "none", onSome: (s) => (s._tag === "Span" ? s.name : "") }))
          return { n: 1 }
        })
    })
    const session = yield* Flow.start(over(traced)).pipe(Effect.withSpan("start"))
    yield* session.step()
    yield* session.step().pipe(Effect.withSpan("step"))
    assert.deepStrictEqual(parents, ["none", "step"])
  })
)

it.effect("options that make no sense and runners of another flow are refused before anything is done", () =>
  Effect.gen(function* () {
    const flow = over(add)
    const other = Flow.make("other", {
      state: N,
      actions: [N.action("add", { tags: ["far"], run: () => Effect.void })],
      entry: "add",
      transitions: []
    })
    const nobody = { ask: { add: () => Effect.succeed({}) }, stream: {} }
    const said = <A>(start: Effect.Effect<A, Flow.StateError>) =>
      Effect.map(Effect.flip(start), ({ message }) => message)
    const expected = "Expected a whole number of 0 or more, or Infinity"
    assert.deepStrictEqual(
      [
        yield* said(Flow.start(flow, { history: -1 })),
        yield* said(Flow.start(flow, { history: 0.5 })),
        yield* said(Flow.start(flow, { history: NaN })),
        yield* said(Flow.start(flow, { runners: [Flow.on(other, "far", nobody)] }))
      ],
      [
        `over: options: history cannot be -1: ${expected}`,
        `over: options: history cannot be 0.5: ${expected}`,
        `over: options: history cannot be NaN: ${expected}`,
        "over: runners: it was made for the flow other: give Flow.on the flow that is started"
      ]
    )
  })
)

it.effect("the history is as long as it was asked to be: nothing, the last ones, or all", () =>
  Effect.gen(function* () {
    for (const [history, expected] of [
      [0, []],
      [3, [18, 19, 20]],
      [Infinity, Array.from({ length: 20 }, (_, i) => i + 1)]
    ] as const) {
      const session = yield* Flow.start(counting(20), { initial: { n: 0 }, history })
      yield* session.run()
      assert.deepStrictEqual(
        (yield* session.history).map(({ step }) => step),
        expected
      )
    }
  })
)

// --- Length ---

it.effect(
  "100,000 steps in one run, and as a stream: no stack is used up, and no more is remembered than was asked for",
  () =>
    Effect.gen(function* () {
      const flow = counting(100_000)
      const session = yield* Flow.start(flow, { initial: { n: 0 } })
      const { halted, state, taken } = yield* session.run()
      assert.deepStrictEqual([halted, state, taken], ["end", { n: 100_000 }, 100_000])
      assert.strictEqual((yield* session.history).length, 100)
      const kept = yield* Flow.start(flow, { initial: { n: 0 }, history: Infinity })
      assert.strictEqual(yield* Stream.runCount(kept.stream()), 100_000)
      assert.strictEqual((yield* kept.history).length, 100_000)
    }),
  30_000
)
