/** The model: holds what has been learned, so that it outlives whoever uses it, and the device. */
import { Effect, Ref, Schema } from "effect"
import { Actor } from "effect-otp"
import { Tensor } from "effect-otp/gpu"
import { type Parameters, shapes } from "./network.ts"

/** What has been learned, as it travels in messages. */
export const Learned = Schema.Struct({
  hidden: Tensor.make(...shapes.hidden),
  hiddenBias: Tensor.make(...shapes.hiddenBias),
  output: Tensor.make(...shapes.output),
  outputBias: Tensor.make(...shapes.outputBias)
})

export class Model extends Actor.Service<Model>()("demo/Model", {
  Current: { success: Learned },
  Learned: { payload: Learned }
}) {}

/** The model, beginning with these parameters. */
export const ModelLive = (parameters: Parameters) =>
  Model.behavior(
    Effect.gen(function* () {
      const current = yield* Actor.state(parameters)
      return Model.of({
        Current: () => Ref.get(current),
        Learned: (learned) => Ref.set(current, learned)
      })
    })
  )
