/** What enters the state of a flow and what does not; and that nobody changes it from outside. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option, Schema, Stream } from "effect"
import { Flow } from "effect-otp/flow"

const Item = Schema.Struct({ name: Schema.String })
const Cart = Flow.state("test/Cart", {
  items: Schema.Array(Item),
  notes: Schema.Unknown,
  total: Schema.Int
})

/** A flow of one action that is done once. */
const single = <const A extends Flow.AnyAction>(action: A) =>
  Flow.make("cart", { state: Cart, actions: [action], entry: action.name, transitions: [] })

/** An action whose types were cast away. */
const writing = (written: unknown) =>
  single(Cart.action("write", { writes: ["total"], run: () => Effect.succeed(written as { total: number }) }))

it.effect("B6 an action that changes what it reads is stopped, and the state is that of before", () =>
  Effect.gen(function* () {
    const initial = { items: [{ name: "pen" }], notes: { by: ["ann"] } }
    /** What it reads, as code without types has it. */
    interface Loose {
      items: Array<{ name: string }>
      notes: { by: Array<string> }
    }
    const changes: ReadonlyArray<(read: Loose) => void> = [
      (read) => (read.items = []),
      (read) => read.items.push({ name: "ink" }),
      (read) => (read.items[0]!.name = "ink"),
      (read) => read.notes.by.pop()
    ]
    for (const change of changes) {
      const shop = Cart.action("shop", {
        reads: ["items", "notes"],
        writes: ["total"],
        run: (read) => Effect.sync(() => (change(read as unknown as Loose), { total: 1 }))
      })
      const session = yield* Flow.start(single(shop), { initial: structuredClone(initial) })
      const defect = yield* session.step().pipe(Effect.catchDefect(Effect.succeed))
      assert.instanceOf(defect, TypeError)
      assert.deepStrictEqual<unknown>(yield* session.state, initial)
    }
  })
)

it.effect("B6 who has given or has been given a value cannot change the state by it", () =>
  Effect.gen(function* () {
    const mine = [{ name: "pen" }]
    const pack = Cart.action("pack", {
      reads: ["items"],
      writes: ["items"],
      run: () => Effect.succeed({ items: mine })
    })
    const session = yield* Flow.start(single(pack), { initial: { items: mine } })
    mine.push({ name: "ink" })
    assert.deepStrictEqual(yield* session.state, { items: [{ name: "pen" }] })
    const step = Option.getOrThrow(yield* session.step())
    mine.push({ name: "cap" })
    const state = (yield* session.state) as { items: Array<unknown> }
    assert.throws(() => state.items.pop(), TypeError)
    assert.throws(() => (state.items = []), TypeError)
    assert.throws(() => (step.written.items as Array<unknown>).pop(), TypeError)
    assert.throws(() => Object.assign(step.read, { items: [] }), TypeError)
    assert.deepStrictEqual(yield* session.state, { items: [{ name: "pen" }, { name: "ink" }] })
    const history = (yield* session.history) as Array<unknown>
    history.pop()
    assert.strictEqual((yield* session.history).length, 1)
  })
)

it.effect("a state holds what its schemas say and instances as they are: the same before and after it was kept", () =>
  Effect.gen(function* () {
    class Stamp {
      count = 0
    }
    const Office = Flow.state("test/Office", { letter: Item, stamp: Schema.instanceOf(Stamp) })
    const stamp = new Stamp()
    const send = Office.action("send", {
      writes: ["letter", "stamp"],
      run: () => Effect.succeed({ letter: { name: "a", secret: 1 }, stamp })
    })
    const session = yield* Flow.start(
      Flow.make("office", { state: Office, actions: [send], entry: "send", transitions: [] })
    )
    yield* session.step()
    const state = yield* session.state
    assert.deepStrictEqual(state.letter, { name: "a" })
    assert.strictEqual(state.stamp, stamp)
    stamp.count++
  })
)

it.effect("B6 whatever an action without types gives is checked: symbols, texts, lists, numbers", () =>
  Effect.gen(function* () {
    const outcomes: Array<unknown> = []
    const secret = Symbol("secret")
    for (const written of [{ total: 1, [secret]: 1 }, "abc", [1], 5, null]) {
      const session = yield* Flow.start(writing(written))
      const failure = yield* Effect.flip(session.step())
      assert(failure._tag === "StateError" && "key" in failure.reason)
      outcomes.push(`${failure.reason._tag} ${failure.reason.key}`)
      assert.deepStrictEqual(Reflect.ownKeys(yield* session.state), [])
    }
    assert.deepStrictEqual(outcomes, [
      "UndeclaredWrite Symbol(secret)",
      "UndeclaredWrite 0",
      "UndeclaredWrite 0",
      "MissingWrite total",
      "MissingWrite total"
    ])
  })
)

it.effect("B6 an item that is not what its schema says is an error, also in a run that shows no items", () =>
  Effect.gen(function* () {
    const count = Cart.streaming("count", {
      writes: ["total"],
      item: Schema.Int,
      run: () => Stream.make(1, "two" as never as number, Flow.done({ total: 2 }))
    })
    const session = yield* Flow.start(single(count))
    const seen: Array<unknown> = []
    const streamed = yield* session.stream().pipe(
      Stream.runForEach((each) => Effect.sync(() => seen.push(each._tag === "Item" && each.item))),
      Effect.flip
    )
    for (const failure of [streamed, yield* Effect.flip(session.run())]) {
      assert(failure._tag === "StateError")
      assert.strictEqual(failure.message, 'cart: count: item cannot be "two": Expected number')
    }
    assert.deepStrictEqual(seen, [1])
    assert.deepStrictEqual(yield* session.state, {})
  })
)

it.effect("what a run is given is looked at before anything is done: names of actions and of inputs", () =>
  Effect.gen(function* () {
    const begun: Array<string> = []
    const add = Cart.action("add", {
      inputs: { by: Schema.Int },
      writes: ["total"],
      run: ({ by }) => Effect.sync(() => (begun.push("add"), { total: by }))
    })
    const session = yield* Flow.start(single(add))
    const said = (options: object) => Effect.map(Effect.flip(session.run(options)), ({ message }) => message)
    const inputs = { add: { by: 1 } }
    assert.deepStrictEqual(
      [
        yield* said({ inputs, haltAfter: ["ad"] }),
        yield* said({ inputs, haltBefore: ["add", "sub"] }),
        yield* said({ inputs: { ad: { by: 1 } } }),
        yield* said({ inputs: { add: { by: 1, to: 2 } } })
      ],
      [
        "cart: haltAfter: there is no action ad: there are add",
        "cart: haltBefore: there is no action sub: there are add",
        "cart: inputs: there is no action ad: there are add",
        "cart: add: it takes no input to"
      ]
    )
    assert.deepStrictEqual(begun, [])
    assert.strictEqual((yield* session.run({ inputs })).state.total, 1)
  })
)

it.effect("inputs belong to the session as well: who gave them cannot change them under way", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const add = Cart.action("add", {
      inputs: { items: Schema.Array(Item) },
      writes: ["total"],
      run: ({ items }) => Effect.map(Deferred.await(gate), () => ({ total: items.length }))
    })
    const session = yield* Flow.start(single(add))
    const items = [{ name: "pen" }]
    const running = yield* Effect.forkChild(session.run({ inputs: { add: { items } } }), { startImmediately: true })
    items.push({ name: "ink" })
    yield* Deferred.succeed(gate, undefined)
    assert.strictEqual((yield* Fiber.join(running)).state.total, 1)
  })
)
