/** The trainer: what it learns stays on the device while it learns, and is handed out at the end of each lesson. */
import { Effect, Random, Schema } from "effect"
import { Actor } from "effect-otp"
import { GpuBuffer, Kernel } from "effect-otp/gpu"
import { type Digit, PIXELS } from "./digits.ts"
import * as Gradient from "./gradient.ts"
import { Learned, Model } from "./model.ts"
import { type Parameters, shapes, STEP } from "./network.ts"

export class Trainer extends Actor.Service<Trainer>()("demo/Trainer", {
  /** Learns from a share of the digits, and answers all that is known then. */
  Learn: { payload: { share: Schema.Int, of: Schema.Int, rate: Schema.Number }, success: Learned }
}) {}

/** All kernels of a step, compiled. */
const kernels = Effect.all({
  pages: Kernel.compile(Gradient.Pages),
  activity: Kernel.compile(Gradient.Activity),
  scores: Kernel.compile(Gradient.StackScores),
  errors: Kernel.compile(Gradient.Errors),
  blame: Kernel.compile(Gradient.Blame),
  hidden: Kernel.compile(Gradient.HiddenStep),
  hiddenBias: Kernel.compile(Gradient.HiddenBiasStep),
  output: Kernel.compile(Gradient.OutputStep),
  outputBias: Kernel.compile(Gradient.OutputBiasStep)
})

const cells = ({ hidden, hiddenBias, output, outputBias }: Parameters) =>
  Effect.all({
    hidden: GpuBuffer.state(hidden, shapes.hidden),
    hiddenBias: GpuBuffer.state(hiddenBias, shapes.hiddenBias),
    output: GpuBuffer.state(output, shapes.output),
    outputBias: GpuBuffer.state(outputBias, shapes.outputBias)
  })

/** A trainer that begins with what the model knows: a crash costs no more than a lesson. */
export const TrainerLive = (examples: ReadonlyArray<Digit>) =>
  Trainer.behavior(
    Effect.gen(function* () {
      const model = yield* Model
      const run = yield* kernels
      const known = yield* cells(yield* Effect.orDie(model.ask.Current()))

      /** One step, for a stack of pages that are all moved the same way. */
      const step = Effect.fnUntraced(function* (stack: ReadonlyArray<Digit>, rate: number) {
        const pages = new Float32Array(STEP * PIXELS)
        for (const [i, { pixels }] of stack.entries()) pages.set(pixels, i * PIXELS)
        const labels = Float32Array.from(stack, ({ label }) => label)
        const small = yield* run.pages.resident(
          pages,
          yield* Random.nextIntBetween(-1, 1),
          yield* Random.nextIntBetween(-1, 1)
        )
        const activity = yield* known.hidden.use((weights) =>
          known.hiddenBias.use((bias) => run.activity.resident(small, weights, bias))
        )
        const scores = yield* known.output.use((weights) =>
          known.outputBias.use((bias) => run.scores.resident(activity, weights, bias))
        )
        const errors = yield* run.errors.resident(scores, labels)
        const blame = yield* known.output.use((weights) => run.blame.resident(activity, errors, weights))
        yield* known.output.update((before) => run.output.resident(before, activity, errors, rate))
        yield* known.outputBias.update((before) => run.outputBias.resident(before, errors, rate))
        yield* known.hidden.update((before) => run.hidden.resident(before, small, blame, rate))
        yield* known.hiddenBias.update((before) => run.hiddenBias.resident(before, blame, rate))
      }, Effect.scoped)

      return Trainer.of({
        *Learn({ of, rate, share }) {
          const size = Math.floor(examples.length / of)
          const mine = yield* Random.shuffle(examples.slice(share * size, (share + 1) * size))
          for (let at = 0; at + STEP <= mine.length; at += STEP) yield* step(mine.slice(at, at + STEP), rate)
          return yield* Effect.all({
            hidden: known.hidden.read,
            hiddenBias: known.hiddenBias.read,
            output: known.output.read,
            outputBias: known.outputBias.read
          })
        }
      })
    })
  )
