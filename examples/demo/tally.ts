/** The tally: who keeps the books. */
import { Effect, Schema } from "effect"
import { Actor } from "effect-otp"
import type { Entry } from "./ledger.ts"

export class Tally extends Actor.Service<Tally>()("demo/Tally", {
  Answered: { payload: { id: Schema.Int, answer: Schema.Int } },
  Reported: { payload: { id: Schema.Int, reported: Schema.String } },
  Entries: { success: Schema.Array(Schema.Unknown) }
}) {}

/** The tally writes down what it is told. */
export const TallyLive = Tally.behavior(
  Effect.sync(() => {
    const entries: Array<Entry> = []
    return Tally.of({
      Answered: (entry) => void entries.push(entry),
      Reported: (entry) => void entries.push(entry),
      Entries: () => entries
    })
  })
)
