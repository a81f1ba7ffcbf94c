/** The classifiers: actors that read all the pages that wait for them in one go on the device. */
import { Array, Effect, Schema } from "effect"
import { Actor, Group } from "effect-otp"
import { Kernel } from "effect-otp/gpu"
import { Model } from "./model.ts"
import { best, Hidden, Scores, Shrink } from "./network.ts"

/** Pages that one classifier reads in one go, at most. */
const AT_ONCE = 32

export class Classifier extends Actor.Service<Classifier>()("demo/Classifier", {
  /** Fetches what has been learned. */
  Refresh: {},
  Classify: { payload: { pixels: Schema.instanceOf(Float32Array<ArrayBuffer>) }, success: Schema.Int }
}) {}

/** All classifiers, wherever they run. */
export class Classifiers extends Group.Service<Classifiers>()("demo/Classifiers", Classifier) {}

/**
 * A torn page does not fit the kernel, which refuses the whole batch, and the classifier crashes. Its next run compiles the
 * kernels anew, takes that batch page by page until it knows the torn one, and gives it up after one more try.
 */
export const ClassifierLive = Classifier.behavior(
  Effect.gen(function* () {
    const batch = { batch: { maxSize: AT_ONCE } }
    const shrink = yield* Kernel.compile(Shrink, batch)
    const hidden = yield* Kernel.compile(Hidden, batch)
    const scores = yield* Kernel.compile(Scores, batch)
    const model = yield* Model
    yield* Classifiers.join("ready")
    let known = yield* Effect.orDie(model.ask.Current())

    return Classifier.of({
      Refresh: () => Effect.map(Effect.orDie(model.ask.Current()), (learned) => void (known = learned)),
      Classify: Actor.batched({
        maxSize: AT_ONCE,
        run: Effect.fnUntraced(function* (pages) {
          const small = yield* shrink.runBatch(Array.map(pages, ({ pixels }) => [pixels, 0, 0] as const))
          const active = yield* hidden.runBatch(
            Array.map(small, (page) => [page, known.hidden, known.hiddenBias] as const)
          )
          const all = yield* scores.runBatch(
            Array.map(active, (page) => [page, known.output, known.outputBias] as const)
          )
          return all.map(best)
        })
      })
    })
  }),
  { mailbox: { redeliver: 1 } }
)
