/** The reader: hands the digits out, first to learn from, then to classify. */
import { Effect } from "effect"
import { Classifiers, Model, Tally } from "./actors.ts"
import { type Digit, scan } from "./digits.ts"
import { average } from "./network.ts"

/** How far it has come. */
export interface Progress {
  phase: "learning" | "classifying" | "done"
  done: number
  total: number
  /** Milliseconds that classifying took. */
  millis: number
}

const EPOCHS = 20
/** Digits that are out at a time. */
const IN_FLIGHT = 32

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

/** Lets each classifier learn from its share, and puts together what they have learned, some times over. */
const teach = Effect.fnUntraced(function* (progress: Progress) {
  const model = yield* Model
  const pupils = yield* Classifiers.members("ready")
  Object.assign(progress, { phase: "learning", done: 0, total: EPOCHS * pupils.length })
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    const rate = 0.08 * 0.94 ** epoch
    const learned = yield* Effect.forEach(
      pupils,
      (pupil, share) =>
        Effect.tap(pupil.ask.Learn({ share, of: pupils.length, rate }), () => Effect.sync(() => progress.done++)),
      { concurrency: "unbounded" }
    )
    yield* model.tell.Learned({ parameters: average(learned) })
  }
})

/** Has every digit classified; one that no classifier could stand is reported with the reason. */
const hand = Effect.fnUntraced(function* (digits: ReadonlyArray<Digit>, progress: Progress) {
  const tally = yield* Tally
  const classifiers = yield* Classifiers.members("ready")
  Object.assign(progress, { phase: "classifying", done: 0, total: digits.length })
  const start = yield* now
  yield* Effect.forEach(
    digits,
    (digit) => {
      const classifier = classifiers[digit.id % classifiers.length]!
      return classifier.ask.Classify({ id: digit.id, pixels: scan(digit) }).pipe(
        Effect.matchEffect({
          onSuccess: (answer) => tally.tell.Answered({ id: digit.id, answer }),
          onFailure: (error) => tally.tell.Reported({ id: digit.id, reported: error.message })
        }),
        Effect.tap(() => Effect.sync(() => progress.done++))
      )
    },
    { concurrency: IN_FLIGHT, discard: true }
  )
  progress.millis = (yield* now) - start
})

/** The reader's whole work. */
export const read = (digits: ReadonlyArray<Digit>, progress: Progress) =>
  Effect.gen(function* () {
    yield* teach(progress)
    yield* Classifiers.broadcast("ready", (classifier) => classifier.ask.Refresh())
    yield* hand(digits, progress)
    progress.phase = "done"
  })
