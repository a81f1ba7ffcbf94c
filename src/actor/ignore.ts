/**
 * A start that is neither success nor failure: there is nothing to do, so the actor does not come up (rule R7).
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

/** Never an error that anybody sees: whoever starts the actor looks for it. */
class Ignored extends Data.TaggedError("Ignored")<{}> {
  override get message(): string {
    return "Actor.ignore is for an actor's init"
  }
}

const IGNORED = new Ignored()

/** @internal */
export const ignore: Effect.Effect<never> = Effect.die(IGNORED)

/** @internal */
export const isIgnored = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => reason._tag === "Die" && reason.defect === IGNORED)
