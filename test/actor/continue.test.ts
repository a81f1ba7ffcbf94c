/** What an actor is to continue with comes before its messages, all of it, in order. */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Actor } from "effect-otp"

class Worker extends Actor.Service<Worker>()("test/Worker", {
  Begin: {},
  Note: { payload: { what: Schema.String } },
  Notes: { success: Schema.Array(Schema.String) }
}) {}

it.effect("several continuations are not interleaved with what is queued", () =>
  Effect.gen(function* () {
    const notes: Array<string> = []
    const note = (what: string) => Effect.sync(() => void notes.push(what))
    const WorkerLive = Worker.behavior(
      Effect.gen(function* () {
        const self = yield* Worker.self
        return Worker.of({
          Begin: () =>
            Effect.gen(function* () {
              yield* self.tell.Note({ what: "message" })
              yield* Actor.continueWith(note("first"))
              yield* Actor.continueWith(Effect.andThen(Effect.yieldNow, note("second")))
              yield* Actor.continueWith(note("third"))
            }),
          Note: ({ what }) => void notes.push(what),
          Notes: () => notes
        })
      })
    )
    const worker = yield* Actor.spawn(WorkerLive)
    yield* worker.tell.Begin()
    yield* worker.ask.Notes()
    assert.deepStrictEqual(notes, ["first", "second", "third", "message"])
  })
)
