/** One lost connection, one corrupt page, and a corrupt first page: three failures, three decisions. */
import { Console, Effect, References } from "effect"
import { Supervisor } from "effect-otp"
import { ConnectionLost, Corrupted, Database, Ledger, Tree } from "./ledger.ts"

/** A database that does what the entry says. */
const database = Database.of({
  append: (entry) => {
    if (entry === "lose") return Effect.fail(new ConnectionLost())
    if (entry === "corrupt") return Effect.fail(new Corrupted({ page: 7 }))
    if (entry === "corrupt first page") return Effect.fail(new Corrupted({ page: 0 }))
    return Effect.void
  }
})

const program = Effect.gen(function* () {
  const books = yield* Supervisor.start(Tree)
  const ledger = yield* Effect.provideContext(Ledger, books.services)
  for (const entry of ["a", "b", "corrupt", "c"]) yield* ledger.tell.Append({ entry })
  yield* Console.log("a corrupt page is skipped, the count goes on:", yield* ledger.ask.Count())

  yield* ledger.tell.Append({ entry: "lose" })
  yield* Console.log("a lost connection restarts it, the count starts over:", yield* ledger.ask.Count())

  yield* ledger.tell.Append({ entry: "corrupt first page" })
  const reason = yield* books.ended
  yield* Console.log("a corrupt first page is for somebody else to decide: the tree", reason._tag)
})

await Effect.runPromise(
  Effect.scoped(program).pipe(
    Effect.provideService(Database, database),
    Effect.provideService(References.MinimumLogLevel, "None")
  )
)
