/** What the programs of `test/types/programs.ts` do when they run. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import { Actor, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"
import {
  App,
  Billing,
  Chat,
  ConnectionLost,
  Corrupted,
  Counter,
  CounterLive,
  Database,
  Greeter,
  here,
  join,
  Ledger,
  LedgerWithBackoff,
  Overflow,
  program,
  Rooms,
  Tree
} from "../types/programs.ts"

/** A database that does as it is told. */
const database = (append: (entry: string) => Effect.Effect<void, ConnectionLost | Corrupted>) =>
  Layer.succeed(Database, { append })

it.effect("1, 2: a counter is spawned, told, asked and streamed from", () =>
  Effect.gen(function* () {
    const counter = yield* Actor.spawn(CounterLive)
    yield* counter.tell.Reset()
    assert.strictEqual(yield* counter.ask.Increment({ by: 2 }), 2)
    assert.deepStrictEqual(yield* Effect.flip(counter.ask.Increment({ by: 101 })), new Overflow({ limit: 100 }))
    assert.deepStrictEqual(yield* counter.stream.Watch().pipe(Stream.take(1), Stream.runCollect), [2])
    assert.strictEqual(typeof program, "object")
  })
)

it.effect("4: typed errors decide, siblings after the crashed one are restarted with it", () =>
  Effect.gen(function* () {
    const entries: Array<string> = []
    const failing = database((entry) => {
      entries.push(entry)
      if (entry === "lose") return Effect.fail(new ConnectionLost({ retryable: true }))
      return entry === "corrupt" ? Effect.fail(new Corrupted({ page: 0 })) : Effect.void
    })
    const test = Effect.gen(function* () {
      const top = yield* Supervisor.start(Tree)
      const [ledger, counter] = [Context.get(top.services, Ledger), Context.get(top.services, Counter)]
      assert.strictEqual(yield* counter.ask.Increment({ by: 5 }), 5)
      yield* ledger.tell.Append({ entry: "lose" })
      yield* ledger.ask.Append({ entry: "fine" })
      assert.strictEqual(yield* Context.get(top.services, Greeter).ask.Hello(), "hello")
      assert.deepStrictEqual(
        (yield* top.children).map(({ id, incarnation }) => [id, incarnation]),
        [
          ["app/Ledger", 2],
          ["frontend", 2]
        ]
      )
      yield* ledger.tell.Append({ entry: "corrupt" })
      const reason = yield* top.ended
      assert.strictEqual(reason._tag, "Failed")
      assert.deepStrictEqual(entries, ["lose", "fine", "corrupt"])
    })
    yield* Effect.provide(test, failing)
  }).pipe(quiet)
)

it.effect("5: backoff is a schedule over the failure", () =>
  Effect.gen(function* () {
    const tries: Array<number> = []
    const losing = database(() =>
      Effect.flatMap(
        Effect.clockWith((clock) => clock.currentTimeMillis),
        (now) => {
          tries.push(now)
          return Effect.fail(new ConnectionLost({ retryable: true }))
        }
      )
    )
    const tree = Supervisor.make("top", {
      intensity: { restarts: 9, within: "1 minute" },
      children: [LedgerWithBackoff]
    })
    const test = Effect.gen(function* () {
      const top = yield* Supervisor.start(tree)
      const ledger = Context.get(top.services, Ledger)
      yield* ledger.tell.Append({ entry: "a" })
      yield* ledger.tell.Append({ entry: "b" })
      while (ledger.status !== "restarting") yield* Effect.yieldNow
      yield* TestClock.adjust("1 second")
      assert.strictEqual(tries.length, 2)
      // The first delay is 100 ms, jittered by a fifth.
      assert.isTrue(tries[1]! >= 80 && tries[1]! <= 121, String(tries[1]))
    })
    yield* Effect.provide(test, losing)
  }).pipe(quiet)
)

it.effect("6: children on demand, by key, and found by name", () =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* join("lobby", "ada"), ["ada"])
    assert.deepStrictEqual(yield* join("lobby", "bob"), ["ada", "bob"])
    assert.deepStrictEqual(yield* join("attic", "cyd"), ["cyd"])
    assert.strictEqual(yield* Rooms.count, 2)
    yield* Rooms.stop("attic")
    assert.strictEqual(yield* Rooms.count, 1)
  }).pipe(Effect.provide(Supervisor.layer(Chat)))
)

it.effect("12: a tree is a layer", () =>
  Effect.gen(function* () {
    const counter = yield* Counter
    assert.strictEqual(yield* counter.ask.Increment({ by: 1 }), 1)
    assert.strictEqual(counter.path, "here/app/Counter")
  }).pipe(Effect.provide(here))
)

it.effect("14: inside an Effect app", () =>
  Effect.gen(function* () {
    const entries: Array<string> = []
    const test = Effect.gen(function* () {
      const billing = yield* Billing
      assert.strictEqual(yield* billing.charge(40), 40)
      assert.strictEqual(yield* billing.charge(2), 42)
      // A tell is not waited for, and a stop leaves what is queued.
      while (entries.length < 2) yield* Effect.yieldNow
    })
    yield* test.pipe(
      Effect.provide(App),
      Effect.provide(database((entry) => Effect.sync(() => void entries.push(entry))))
    )
    assert.deepStrictEqual(entries, ["charge 40", "charge 2"])
  })
)
