/** A ledger over a database that loses its connection now and then, and pages that may be corrupt. */
import { Context, Effect, Schema } from "effect"
import { Actor, Backoff, Supervisor } from "effect-otp"

export class ConnectionLost extends Schema.TaggedError<ConnectionLost>()("ConnectionLost", {}) {}
export class Corrupted extends Schema.TaggedError<Corrupted>()("Corrupted", { page: Schema.Int }) {}

/** Where entries end up. */
export class Database extends Context.Service<
  Database,
  { readonly append: (entry: string) => Effect.Effect<void, ConnectionLost | Corrupted> }
>()("example/Database") {}

export class Ledger extends Actor.Service<Ledger>()("example/Ledger", {
  Append: { payload: { entry: Schema.String } },
  Count: { success: Schema.Int }
}) {}

/** Its failures are in its type: `Behavior<Ledger, void, ConnectionLost | Corrupted, Database>`. */
export const LedgerLive = Ledger.behavior(
  Effect.gen(function* () {
    const database = yield* Database
    let count = 0
    return Ledger.of({
      Append: ({ entry }) =>
        Effect.map(database.append(entry), () => {
          count++
        }),
      Count: () => count
    })
  })
)

/** Every failure has to be decided: leave one out, and this does not compile. */
export const Tree = Supervisor.make("books", {
  intensity: { restarts: 3, within: "5 seconds" },
  children: [
    Supervisor.child(LedgerLive, {
      onFailure: {
        ConnectionLost: "restart",
        Corrupted: ({ page }) => (page === 0 ? "escalate" : "resume")
      },
      backoff: Backoff.exponential({ min: "10 millis", max: "1 second" })
    })
  ]
})
