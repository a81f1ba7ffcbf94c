/** The actors: who knows the model, who classifies, who keeps the books. */
import { Data, Effect, Ref, Schema } from "effect"
import { Actor, Group } from "effect-otp"
import { type Digit, type Floats, PIXELS } from "./digits.ts"
import type { Entry } from "./ledger.ts"
import { classify, learn } from "./network.ts"

const Numbers = Schema.instanceOf(Float32Array<ArrayBuffer>)

/** Half a digit: no classifier can work with that, and its supervisor decides what happens. */
export class TornDigit extends Data.TaggedError("TornDigit")<{ readonly id: number; readonly pixels: number }> {
  override get message(): string {
    return `digit ${this.id} has ${this.pixels} of ${PIXELS} pixels`
  }
}

/** Holds what has been learned, so that it outlives whoever uses it. */
export class Model extends Actor.Service<Model>()("demo/Model", {
  Current: { success: Numbers },
  Learned: { payload: { parameters: Numbers } }
}) {}

/** The model, beginning with these parameters. */
export const ModelLive = (parameters: Floats) =>
  Model.behavior(
    Effect.gen(function* () {
      const current = yield* Actor.state(parameters)
      return Model.of({
        Current: () => Ref.get(current),
        Learned: (message) => Ref.set(current, message.parameters)
      })
    })
  )

/** Learns from a share of the digits, and classifies what it is given. */
export class Classifier extends Actor.Service<Classifier>()("demo/Classifier", {
  Learn: { payload: { share: Schema.Int, of: Schema.Int, rate: Schema.Number }, success: Numbers },
  /** Fetches what all have learned together. */
  Refresh: {},
  Classify: { payload: { id: Schema.Int, pixels: Numbers }, success: Schema.Int }
}) {}

/** All classifiers, wherever they run. */
export class Classifiers extends Group.Service<Classifiers>()("demo/Classifiers", Classifier) {}

/** Digits it learns from before it lets others have a turn. */
const AT_ONCE = 100

/** A classifier fetches the model when it starts: after a crash it knows again what had been learned. */
export const ClassifierLive = (examples: ReadonlyArray<Digit>) =>
  Classifier.behavior(
    Effect.gen(function* () {
      const model = yield* Model
      yield* Classifiers.join("ready")
      let known: Floats = yield* Effect.orDie(model.ask.Current())

      return Classifier.of({
        *Learn({ of, rate, share }) {
          const parameters = Float32Array.from(yield* Effect.orDie(model.ask.Current()))
          const size = Math.floor(examples.length / of)
          for (let i = 0; i < size; i++) {
            const { label, pixels } = examples[share * size + i]!
            learn(parameters, pixels, label, rate)
            if (i % AT_ONCE === AT_ONCE - 1) yield* Effect.yieldNow
          }
          return parameters
        },
        Refresh: () => Effect.map(Effect.orDie(model.ask.Current()), (parameters) => void (known = parameters)),
        Classify: ({ id, pixels }) =>
          pixels.length === PIXELS
            ? Effect.succeed(classify(known, pixels))
            : Effect.fail(new TornDigit({ id, pixels: pixels.length }))
      })
    })
  )

/** Keeps the books. */
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
