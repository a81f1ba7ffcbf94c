/**
 * What scaling is declared with, and what may be asked of it.
 */
import { Result } from "effect"
import { Autoscale } from "effect-otp"

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false

export const made = Autoscale.make({ min: 0, max: 4, upAfter: "3 seconds" })
export const typed: Same<typeof made, Result.Result<Autoscale.Autoscale, Autoscale.InvalidScaling>> = true

const autoscale = Result.getOrThrow(made)
const load = { size: 1, ongoing: 2 }
const [next, decision] = Autoscale.decide(autoscale, load, 0)
export const state: Same<typeof next, Autoscale.Autoscale> = true
export const decided: Same<typeof decision, Autoscale.Decision | undefined> = true

export const granted = Autoscale.request(autoscale, { delta: 2, reason: "import" }, load, 0)
export const refusals: Same<
  Result.Result.Failure<typeof granted>,
  Autoscale.ScalingTooSoon | Autoscale.InvalidScaling
> = true

/** Every reason can be told apart. */
export const lasted = ({ reason }: Autoscale.Decision): number =>
  reason._tag === "Load" || reason._tag === "ToZero" ? reason.lasted : 0

// @ts-expect-error bounds have no default: how much a pool may take is for its owner to say
Autoscale.make({ min: 0 })
// @ts-expect-error no such option
Autoscale.make({ min: 0, max: 4, upDelay: "3 seconds" })
// @ts-expect-error "soon" is no duration
Autoscale.make({ min: 0, max: 4, upAfter: "soon" })
// @ts-expect-error a size or a delta, not both
Autoscale.request(autoscale, { size: 2, delta: 1, reason: "" }, load, 0)
// @ts-expect-error one of them
Autoscale.request(autoscale, { reason: "" }, load, 0)
// @ts-expect-error with a reason
Autoscale.request(autoscale, { size: 2 }, load, 0)
