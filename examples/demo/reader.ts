/** The reader: hands the digits out, first to learn from, then to classify. */
import { Effect } from "effect"
import { ActorRef } from "effect-otp"
import { Classifiers } from "./classifier.ts"
import { type Digit, scan } from "./digits.ts"
import { Model } from "./model.ts"
import { Tally } from "./tally.ts"
import { Trainer } from "./trainer.ts"

/** How far it has come. */
export interface Progress {
  phase: "learning" | "classifying" | "done"
  done: number
  total: number
  /** Milliseconds that classifying took. */
  millis: number
}

/** How often each digit is learned from. */
const EPOCHS = 12
/** Lessons in an epoch. */
const LESSONS = 8
/** Digits that are out at a time. */
const IN_FLIGHT = 128

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

/** Has the trainer learn, share by share, and keeps what it knows after each. */
const teach = Effect.fnUntraced(function* (progress: Progress) {
  const model = yield* Model
  const trainer = (yield* Trainer).pipe(ActorRef.withTimeout("1 minute"))
  Object.assign(progress, { phase: "learning", done: 0, total: EPOCHS * LESSONS })
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    const rate = 0.87 ** epoch
    for (let share = 0; share < LESSONS; share++) {
      yield* model.tell.Learned(yield* trainer.ask.Learn({ share, of: LESSONS, rate }))
      progress.done++
    }
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
      return classifier.ask.Classify({ pixels: scan(digit) }).pipe(
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
