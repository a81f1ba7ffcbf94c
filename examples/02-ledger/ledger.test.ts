/** Which failure means what. */
import { assert, it } from "@effect/vitest"
import { Effect, References } from "effect"
import { Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { ConnectionLost, Corrupted, Database, Ledger, Tree } from "./ledger.ts"

const failing = (failures: ReadonlyArray<ConnectionLost | Corrupted>) => {
  let next = 0
  return Database.of({
    append: () => (next < failures.length ? Effect.fail(failures[next++]!) : Effect.void)
  })
}

const start = Effect.gen(function* () {
  const books = yield* Supervisor.start(Tree)
  return { books, ledger: yield* Effect.provideContext(Ledger, books.services) }
})

const quiet = Effect.provideService(References.MinimumLogLevel, "None")

it.effect("a corrupt page is skipped", () =>
  Effect.gen(function* () {
    const { ledger } = yield* start
    for (const entry of ["a", "b"]) yield* ledger.tell.Append({ entry })
    assert.strictEqual(yield* ledger.ask.Count(), 1)
  }).pipe(Effect.provideService(Database, failing([new Corrupted({ page: 3 })])), quiet)
)

it.effect("a lost connection restarts it after 10 ms", () =>
  Effect.gen(function* () {
    const { books, ledger } = yield* start
    yield* ledger.tell.Append({ entry: "a" })
    while (ledger.status !== "restarting") yield* Effect.yieldNow
    yield* TestClock.adjust("9 millis")
    assert.strictEqual((yield* books.children)[0]!.state, "restarting")
    yield* TestClock.adjust("1 milli")
    assert.strictEqual((yield* books.children)[0]!.state, "running")
  }).pipe(Effect.provideService(Database, failing([new ConnectionLost()])), quiet)
)

it.effect("a corrupt first page ends the tree with the cause", () =>
  Effect.gen(function* () {
    const { books, ledger } = yield* start
    yield* ledger.tell.Append({ entry: "a" })
    assert.strictEqual((yield* books.ended)._tag, "Failed")
  }).pipe(Effect.provideService(Database, failing([new Corrupted({ page: 0 })])), quiet)
)
