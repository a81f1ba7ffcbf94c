/** What is heavy: a model that takes long to load, is quick from then on, and is given back when nobody needs it any more. */
import { Context, type Duration, Effect, Layer, Schema, type Scope } from "effect"
import { digest } from "./digest.ts"

/** The model is gone in the middle of its work, its thread has ended say. Another has to be loaded. */
export class ModelLost extends Schema.TaggedError<ModelLost>()("ModelLost", { reason: Schema.String }) {
  override get message(): string {
    return `the model is lost: ${this.reason}`
  }
}

export interface Model {
  /** The memory of a session after one more input. It depends on nothing else: any model will do for any session. */
  readonly infer: (memory: number, input: number) => Effect.Effect<number, ModelLost>
}

/** How models are loaded, and how many have been: `loads` in all, `held` at the moment. */
export class Models extends Context.Service<
  Models,
  {
    /** A model that belongs to the Scope. */
    readonly load: Effect.Effect<Model, ModelLost, Scope.Scope>
    readonly counts: Effect.Effect<{ readonly loads: number; readonly held: number }>
  }
>()("example/Models") {
  /** Models from anywhere, counted. */
  static readonly layer = (load: Effect.Effect<Model, ModelLost, Scope.Scope>) =>
    Layer.sync(Models, () => {
      const counts = { loads: 0, held: 0 }
      const taken = Effect.sync(() => {
        counts.loads++
        counts.held++
      })
      const given = Effect.sync(() => void counts.held--)
      return Models.of({
        load: Effect.tap(load, () => Effect.acquireRelease(taken, () => given)),
        counts: Effect.sync(() => ({ ...counts }))
      })
    })

  /** Models that take their time and do nothing with it: what a graphics card or a service elsewhere is to those who wait for it. */
  static readonly simulated = (times: { readonly load: Duration.Input; readonly infer: Duration.Input }) =>
    Models.layer(
      Effect.as(Effect.sleep(times.load), {
        infer: (memory, input) => Effect.as(Effect.sleep(times.infer), digest(memory, input))
      })
    )
}
