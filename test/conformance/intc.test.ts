/** INTC: interceptors and hooks (seed rows B3 and B4). */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Option, Ref, Schema, Stream } from "effect"
import { Actor, ActorRef, ActorSystem, Interceptor, Supervisor, type SystemEvent } from "effect-otp"
import { quiet } from "../support/recording.ts"

/** What the tests' messages are annotated with. */
const Remote = Context.Reference<boolean>("test/Remote", { defaultValue: () => false })

class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { limit: Schema.Int }) {}
class Boom extends Schema.TaggedError<Boom>()("Boom", {}) {}

class Store extends Actor.Service<Store>()("test/intc/Store", {
  Put: { payload: { text: Schema.String } },
  Add: { payload: { n: Schema.Int }, success: Schema.Int, error: TooMuch },
  Far: { payload: { n: Schema.Int }, success: Schema.Int, annotations: Context.make(Remote, true) },
  Beside: { success: Schema.Int },
  Batch: { payload: { n: Schema.Int }, success: Schema.Int },
  All: { success: Schema.Array(Schema.String) },
  Numbers: { payload: { to: Schema.Int }, success: Schema.Int, stream: true, error: TooMuch }
}) {}

const released: Array<string> = []

const StoreLive = Store.behavior(
  Effect.gen(function* () {
    const lines = yield* Actor.state<ReadonlyArray<string>>([])
    let sum = 0
    return Store.of({
      Put: ({ text }) => Ref.update(lines, (all) => [...all, text]),
      Add: ({ n }) => (n > 100 ? Effect.fail(new TooMuch({ limit: 100 })) : Effect.succeed((sum += n))),
      Far: ({ n }) => n,
      Beside: Actor.concurrent(() => Effect.succeed(1)),
      Batch: Actor.batched({ maxSize: 8, run: (batch) => Effect.succeed(batch.map(({ n }) => n * 2)) }),
      All: () => Ref.get(lines),
      Numbers: ({ to }) =>
        to > 100
          ? Stream.fail(new TooMuch({ limit: 100 }))
          : Stream.ensuring(
              Stream.range(1, to),
              Effect.sync(() => void released.push("stream"))
            )
    })
  })
)

const log = () => {
  const lines: Array<string> = []
  return { lines, write: (line: string) => Effect.sync(() => void lines.push(line)) }
}

/** Says its name around every handler. */
const named = (name: string, write: (line: string) => Effect.Effect<void>, match: Interceptor.Match = {}) =>
  Interceptor.make({
    ...match,
    handle: (next, call) => Effect.andThen(write(`${name} ${call.tag}`), next)
  })

const replying = (value: number) => Interceptor.make({ handle: () => Effect.succeed(value as never) })

describe("what an interceptor matches", () => {
  it.effect("B3 by tag, by annotation, by the message itself; others are handled as they are", () =>
    Effect.gen(function* () {
      const { lines, write } = log()
      const store = yield* Actor.spawn(
        StoreLive.pipe(
          Interceptor.apply(
            named("tag", write, { tags: ["Put"] }),
            named("annotation", write, { annotated: Remote }),
            named("predicate", write, { when: (call) => (call.payload as { n?: number } | undefined)?.n === 7 })
          )
        )
      )
      yield* store.ask.Put({ text: "a" })
      yield* store.ask.Far({ n: 1 })
      yield* store.ask.Add({ n: 7 })
      assert.strictEqual(yield* store.ask.Add({ n: 1 }), 8)
      assert.deepStrictEqual(yield* store.ask.All(), ["a"])
      assert.deepStrictEqual(lines, ["tag Put", "annotation Far", "predicate Add"])
    })
  )

  it.effect("INTC-06 B3 of several that match, the first has the message, the others never see it", () =>
    Effect.gen(function* () {
      const first = replying(1)
      const second = replying(2)
      const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(first, second)))
      assert.strictEqual(yield* store.ask.Add({ n: 50 }), 1)
      const sometimes = Interceptor.make({
        when: ({ payload }) => (payload as { n: number }).n > 10,
        handle: () => Effect.succeed(3 as never)
      })
      const other = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(sometimes, second)))
      assert.deepStrictEqual([yield* other.ask.Add({ n: 50 }), yield* other.ask.Add({ n: 1 })], [3, 2])
    })
  )

  it.effect("INTC-02 the same one applied twice works once, where it is outermost", () =>
    Effect.gen(function* () {
      const { lines, write } = log()
      const [a, b] = [named("a", write), named("b", write)]
      const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(a), Interceptor.apply(b), Interceptor.apply(a)))
      yield* store.ask.Add({ n: 1 })
      assert.deepStrictEqual(lines, ["a Add", "b Add"])
    })
  )

  it.effect("B3 it sees the whole envelope and the state", () =>
    Effect.gen(function* () {
      const seen: Array<Interceptor.Call> = []
      const Spy = Interceptor.make({
        tags: ["Add", "Put"],
        handle: (next, call) => {
          seen.push({ ...call, ...pick(call) })
          return next
        }
      })
      class Asker extends Actor.Service<Asker>()("test/intc/Asker", { Go: {} }) {}
      const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(Spy)))
      const asker = yield* Actor.spawn(
        Asker.behavior(Effect.succeed(Asker.of({ Go: () => Effect.orDie(store.ask.Add({ n: 1 })) })))
      )
      yield* store.pipe(ActorRef.withCorrelationId("c1"), ActorRef.withPriority(200)).tell.Put({ text: "x" })
      yield* asker.ask.Go()
      const [put, add] = seen
      assert.deepInclude(put, {
        kind: "tell",
        actor: store.path,
        key: "test/intc/Store",
        tag: "Put",
        payload: { text: "x" },
        correlationId: "c1",
        priority: 200,
        sender: undefined,
        deadline: Infinity,
        incarnation: 1
      })
      assert.deepStrictEqual(put!.state, Option.some([]))
      assert.deepStrictEqual(add!.state, Option.some(["x"]))
      assert.deepInclude(add, { kind: "ask", tag: "Add", sender: asker.path })
      assert.isTrue(Number.isFinite(add!.deadline) && add!.id > 0 && add!.id !== put!.id)
    })
  )

  it.effect("concurrent handlers and batches are intercepted too", () =>
    Effect.gen(function* () {
      const { lines, write } = log()
      const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(named("i", write))))
      assert.deepStrictEqual([yield* store.ask.Beside(), yield* store.ask.Batch({ n: 4 })], [1, 8])
      assert.deepStrictEqual(lines, ["i Beside", "i Batch"])
    })
  )

  it.effect("B3 one message of one class, with that message's types", () =>
    Effect.gen(function* () {
      const Doubled = Interceptor.message(Store, "Add", {
        handle: (next, { payload }, nextWith) =>
          payload.n === 0
            ? Effect.fail(new TooMuch({ limit: 0 }))
            : payload.n > 10
              ? next
              : nextWith({ n: payload.n * 2 })
      })
      const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(Doubled)))
      assert.strictEqual(yield* store.ask.Add({ n: 2 }), 4)
      assert.strictEqual((yield* Effect.flip(store.ask.Add({ n: 0 })))._tag, "TooMuch")
    })
  )
})

const pick = (call: Interceptor.Call) => ({
  kind: call.kind,
  actor: call.actor,
  key: call.key,
  tag: call.tag,
  payload: call.payload,
  id: call.id,
  correlationId: call.correlationId,
  sender: call.sender,
  priority: call.priority,
  deadline: call.deadline,
  incarnation: call.incarnation,
  annotations: call.annotations,
  state: call.state
})

describe("what an interceptor does", () => {
  it.effect("INTC-03 drops a message, which is told as unhandled, and changes another", () =>
    Effect.gen(function* () {
      const events: Array<SystemEvent.SystemEvent> = []
      yield* ActorSystem.onEvent((event) => void events.push(event))
      const Filter = Interceptor.message(Store, "Put", {
        handle: (_, { payload: { text } }, nextWith) =>
          text === "a" ? Interceptor.drop : nextWith({ text: `${text}!` })
      })
      const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(Filter)))
      yield* store.tell.Put({ text: "a" })
      yield* store.tell.Put({ text: "b" })
      assert.deepStrictEqual(yield* store.ask.All(), ["b!"])
      assert.deepStrictEqual(
        events.filter(({ _tag }) => _tag === "Unhandled"),
        [{ _tag: "Unhandled", path: store.path, tag: "Put", payload: { text: "a" } }]
      )
      const error = yield* Effect.flip(store.ask.Put({ text: "a" }))
      assert.strictEqual(error.reason._tag, "HandlerFailed")
      assert.match(error.message, /an interceptor has dropped it/)
      assert.strictEqual(store.status, "running")
    })
  )

  it.effect("INTC-05 its failure is the actor's failure: the supervisor restarts", () =>
    Effect.gen(function* () {
      const Failing = Interceptor.make({ tags: ["Put"], handle: () => Effect.fail(new Boom()) })
      const top = yield* Supervisor.start(
        Supervisor.make("top", {
          children: [Supervisor.child(StoreLive.pipe(Interceptor.apply(Failing)), { onFailure: { Boom: "restart" } })]
        })
      )
      const store = yield* Effect.provide(Store, top.services)
      yield* store.ask.Add({ n: 5 })
      const error = yield* Effect.flip(store.ask.Put({ text: "a" }))
      assert.strictEqual(error.reason._tag, "HandlerFailed")
      assert.strictEqual(yield* store.ask.Add({ n: 1 }), 1)
      assert.deepStrictEqual(
        (yield* top.children).map(({ incarnation }) => incarnation),
        [2]
      )
    }).pipe(quiet)
  )

  it.effect("refusing answers with a declared error, or tells why, and the actor lives", () =>
    Effect.gen(function* () {
      const Refusing = Interceptor.make({
        handle: (next, { tag }) =>
          tag === "Add"
            ? Interceptor.refuse(new TooMuch({ limit: 1 }))
            : tag === "Far"
              ? Interceptor.refuse(new Boom())
              : next,
        handleStream: () => Stream.fromEffect(Interceptor.refuse(new Boom()))
      })
      const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(Refusing)))
      assert.deepStrictEqual(yield* Effect.flip(store.ask.Add({ n: 5 })), new TooMuch({ limit: 1 }))
      const error = yield* Effect.flip(store.ask.Far({ n: 1 }))
      assert.strictEqual(error.reason._tag, "HandlerFailed")
      const failed = yield* Effect.flip(Stream.runDrain(store.stream.Numbers({ to: 3 })))
      assert.strictEqual(failed._tag, "AskError")
      assert.deepStrictEqual(yield* store.ask.All(), [])
    })
  )

  it.effect("one that is made for each incarnation keeps what it has until that ends", () =>
    Effect.gen(function* () {
      const { lines, write } = log()
      const Counting = Interceptor.unwrap(
        Effect.gen(function* () {
          let n = 0
          yield* Effect.addFinalizer(() => write("released"))
          return Interceptor.make({ tags: ["Add"], handle: (next) => Effect.andThen(write(`${++n}`), next) })
        })
      )
      const behavior = StoreLive.pipe(Interceptor.apply(Counting))
      const store = yield* Actor.spawn(behavior)
      yield* store.ask.Add({ n: 1 })
      yield* store.ask.Add({ n: 1 })
      yield* Actor.stop(store)
      const other = yield* Actor.spawn(behavior)
      yield* other.ask.Add({ n: 1 })
      assert.deepStrictEqual(lines, ["1", "2", "released", "1"])
    })
  )
})

describe("two tiers", () => {
  const tiers = (write: (line: string) => Effect.Effect<void>) =>
    Interceptor.hooks({
      tags: ["Add", "Numbers"],
      caller: {
        before: ({ tag }) => write(`caller before ${tag}`),
        after: ({ tag }, exit) => write(`caller after ${tag} ${describeExit(exit)}`),
        streamStart: ({ tag }) => write(`caller start ${tag}`),
        item: (_, value) => write(`caller item ${value}`),
        streamEnd: (_, exit) => write(`caller end ${describeExit(exit)}`)
      },
      handler: {
        before: ({ tag }) => write(`handler before ${tag}`),
        after: ({ tag }, exit) => write(`handler after ${tag} ${describeExit(exit)}`),
        streamStart: ({ tag }) => write(`handler start ${tag}`),
        item: (_, value) => write(`handler item ${value}`),
        streamEnd: (_, exit) => write(`handler end ${describeExit(exit)}`)
      }
    })

  const describeExit = (exit: Exit.Exit<unknown, unknown>): string =>
    Exit.isSuccess(exit)
      ? `ok`
      : Cause.hasInterruptsOnly(exit.cause)
        ? "interrupted"
        : ((Cause.squash(exit.cause) as { _tag?: string })._tag ?? "defect")

  it.effect("INTC-08 B4 caller hooks for every message, handler hooks for those that match, nested between them", () =>
    Effect.gen(function* () {
      const { lines, write } = log()
      const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(tiers(write))))
      yield* store.ask.Add({ n: 1 })
      yield* store.tell.Put({ text: "a" })
      yield* store.ask.All()
      assert.deepStrictEqual(lines, [
        "caller before Add",
        "handler before Add",
        "handler after Add ok",
        "caller after Add ok",
        "caller before Put",
        "caller after Put ok",
        "caller before All",
        "caller after All ok"
      ])
    })
  )

  it.effect(
    "INTC-08 B4 on failure the after hooks see the cause; hooks take no message from a replacing interceptor",
    () =>
      Effect.gen(function* () {
        const { lines, write } = log()
        const Failing = Interceptor.make({ tags: ["Add"], handle: () => Effect.fail(new Boom()) })
        const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(Failing, tiers(write))))
        const error = yield* Effect.flip(store.ask.Add({ n: 1 }))
        assert.strictEqual(error._tag, "AskError")
        assert.deepStrictEqual(lines, [
          "caller before Add",
          "handler before Add",
          "handler after Add Boom",
          "caller after Add AskError"
        ])
      }).pipe(quiet)
  )

  it.effect("INTC-08 what only sends does not run the handler's hooks", () =>
    Effect.gen(function* () {
      const { lines, write } = log()
      const store = yield* Actor.spawn(StoreLive)
      const watched = store.pipe(Interceptor.through(tiers(write)))
      yield* watched.ask.Add({ n: 1 })
      yield* store.ask.Add({ n: 1 })
      assert.deepStrictEqual(lines, ["caller before Add", "caller after Add ok"])
    })
  )

  it.effect("INTC-09 B3 a stream passes item by item, its state is applied once", () =>
    Effect.gen(function* () {
      const { lines, write } = log()
      const Tenfold = Interceptor.message(Store, "Numbers", {
        handleStream: (next) => Stream.map(next, (n) => n * 10)
      })
      const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(Tenfold, tiers(write))))
      assert.deepStrictEqual(yield* Stream.runCollect(store.stream.Numbers({ to: 2 })), [10, 20])
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("handler")),
        ["handler start Numbers", "handler item 10", "handler item 20", "handler end ok"]
      )
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("caller")),
        ["caller start Numbers", "caller item 10", "caller item 20", "caller end ok"]
      )
      const error = yield* Effect.flip(Stream.runDrain(store.stream.Numbers({ to: 101 })))
      assert.deepStrictEqual(error, new TooMuch({ limit: 100 }))
    })
  )

  it.effect("INTC-09 cancelled midway, the handler's finalizer and its hook at the end run", () =>
    Effect.gen(function* () {
      const { lines, write } = log()
      released.length = 0
      const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(tiers(write))))
      const few = store.pipe(ActorRef.withBuffer(1)).stream.Numbers({ to: 100 })
      assert.deepStrictEqual(yield* few.pipe(Stream.take(1), Stream.runCollect), [1])
      assert.deepStrictEqual(released, ["stream"])
      assert.strictEqual(lines.filter((line) => line === "handler end interrupted").length, 1)
    })
  )
})

describe("the caller's side", () => {
  const wrapped = (name: string, write: (line: string) => Effect.Effect<void>) =>
    Interceptor.make({
      ask: (next, call) => Effect.andThen(write(`${name} ask ${call.tag}`), next),
      tell: (next, call) => Effect.andThen(write(`${name} tell ${call.tag}`), next),
      stream: (next, call) => Stream.unwrap(Effect.as(write(`${name} stream ${call.tag}`), next))
    })

  it.effect(
    "a ref, a behavior and a system: the ref's is outside of the system's, the system's of the behavior's",
    () => {
      const { lines, write } = log()
      const System = ActorSystem.layer({ interceptors: [wrapped("system", write)] })
      return Effect.gen(function* () {
        const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(wrapped("behavior", write))))
        const ref = store.pipe(Interceptor.through(wrapped("ref", write)))
        yield* ref.ask.Add({ n: 1 })
        yield* store.tell.Put({ text: "a" })
        yield* Stream.runDrain(ref.stream.Numbers({ to: 1 }))
        assert.deepStrictEqual(lines, [
          "ref ask Add",
          "system ask Add",
          "behavior ask Add",
          "system tell Put",
          "behavior tell Put",
          "ref stream Numbers",
          "system stream Numbers",
          "behavior stream Numbers"
        ])
      }).pipe(Effect.provide(System))
    }
  )

  it.effect("an ask with something around it can be forwarded", () =>
    Effect.gen(function* () {
      class Front extends Actor.Service<Front>()("test/intc/Front", {
        Add: { payload: { n: Schema.Int }, success: Schema.Int, error: TooMuch },
        Later: { payload: { n: Schema.Int }, success: Schema.Int, error: TooMuch },
        Beside: { payload: { n: Schema.Int }, success: Schema.Int, error: TooMuch }
      }) {}
      const { write } = log()
      const store = (yield* Actor.spawn(StoreLive)).pipe(Interceptor.through(wrapped("ref", write)))
      const FrontLive = Front.behavior(
        Effect.succeed(
          Front.of({
            Add: ({ n }) => Actor.forward(store.ask.Add({ n })),
            Later: ({ n }) => Effect.andThen(Effect.yieldNow, Actor.forward(store.ask.Add({ n }))),
            Beside: Actor.concurrent(({ n }: { readonly n: number }) => Actor.forward(store.ask.Add({ n })))
          })
        )
      )
      const front = yield* Actor.spawn(FrontLive)
      assert.strictEqual(yield* front.ask.Add({ n: 3 }), 3)
      assert.strictEqual(yield* front.ask.Later({ n: 3 }), 6)
      assert.strictEqual(yield* front.ask.Beside({ n: 0 }), 6)
      const watched = yield* Actor.spawn(FrontLive.pipe(Interceptor.apply(named("i", write))))
      assert.strictEqual(yield* watched.ask.Add({ n: 1 }), 7)
    })
  )

  it.effect("sent again, a message keeps its id", () =>
    Effect.gen(function* () {
      const ids: Array<number> = []
      const Spy = Interceptor.make({
        handle: (next, { id }) =>
          Effect.andThen(
            Effect.sync(() => ids.push(id)),
            next
          )
      })
      const Twice = Interceptor.make({ ask: (next) => Effect.andThen(next, next) })
      const store = yield* Actor.spawn(StoreLive.pipe(Interceptor.apply(Spy)))
      yield* store.pipe(Interceptor.through(Twice)).ask.Add({ n: 1 })
      yield* store.ask.Add({ n: 1 })
      assert.strictEqual(ids.length, 3)
      assert.strictEqual(ids[0], ids[1])
      assert.notStrictEqual(ids[1], ids[2])
    })
  )

  it.effect("what waits at the caller's side is interrupted with the caller", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const Gated = Interceptor.make({ ask: (next) => Effect.andThen(Deferred.await(gate), next) })
      const store = (yield* Actor.spawn(StoreLive)).pipe(Interceptor.through(Gated))
      const asking = yield* Effect.forkChild(store.ask.Add({ n: 1 }), { startImmediately: true })
      yield* Fiber.interrupt(asking)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* store.ask.Add({ n: 1 }), 1)
    })
  )
})
