/**
 * How many members a pool should have, from what it has to do: decisions only, without a clock and without a pool.
 *
 * Whoever owns the members tells at each tick how many there are and how many requests are in progress or wait, and is told
 * when there should be more or fewer of them, and why (rule R72, after Ray Serve). The load asks for
 * `ongoing / target` members. What it asks for must last: more for `upAfter`, fewer for `downAfter`, and one tick that asks for
 * neither, or for the opposite, starts the wait anew. So a peak that is over at once changes nothing, and a quiet moment
 * between two peaks costs no start.
 *
 * - The new size is the nearest that was asked for during the wait: what the load asked for all that time, and no more.
 * - `min` and `max` hold always; a size that is outside of them is corrected at once.
 * - The last member goes only when it is the only one, and has had nothing to do for `toZeroAfter`.
 * - From 0 the first request makes it grow at once: call `decide` when a request comes and there is nobody.
 *
 * Each decision starts the wait anew, so an increase is never followed by a decrease within `downAfter`.
 *
 * **Example** (Four members, as soon as there is work for four)
 *
 * ```ts import.meta.vitest
 * import { Result } from "effect"
 * import { Autoscale } from "effect-otp"
 *
 * const idle = Result.getOrThrow(Autoscale.make({ min: 1, max: 4, upAfter: "2 seconds" }))
 * const busy = { size: 1, ongoing: 9 }
 *
 * const [first, tooEarly] = Autoscale.decide(idle, busy, 0)
 * tooEarly // => undefined
 * const [second, stillTooEarly] = Autoscale.decide(first, busy, 1_000)
 * stillTooEarly // => undefined
 * const [, decision] = Autoscale.decide(second, busy, 2_000)
 * decision?.size // => 4
 * Autoscale.format(decision!) // => "from 1 to 4 members: 9 requests in progress or waiting, too many for 2s"
 * ```
 */
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isWhole } from "../actor/limit.ts"
import { invalid, type InvalidScaling, type Scaling, type Settings, settingsOf } from "./scaling.ts"

export { InvalidScaling, type Scaling, type Settings } from "./scaling.ts"

/**
 * What a pool has and has to do. `size`: its members, those that are starting or being restarted too, those that are leaving
 * not. `ongoing`: requests that its members are at, and those that wait.
 *
 * @category models
 * @since 0.1.0
 */
export interface Load {
  readonly size: number
  readonly ongoing: number
}

/**
 * What the load has been asking for since `since` (milliseconds, on the clock of `decide`) without a break, and will get if it
 * goes on: `to` members in place of `from`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wish {
  readonly from: number
  readonly to: number
  readonly since: number
}

/**
 * The state of one pool's scaling: immutable, each step gives the next. `settings` are what it was made with; `wish` is what it
 * waits for, `changed` the last change that was decided, for people and inspectors.
 *
 * @category models
 * @since 0.1.0
 */
export interface Autoscale {
  readonly settings: Settings
  readonly wish: Wish | undefined
  readonly changed: { readonly from: number; readonly to: number; readonly at: number } | undefined
}

/**
 * Why the size changes.
 *
 * - `Load`: `ongoing` requests are too many, or too few, and have been for `lasted` milliseconds.
 * - `FromZero`: there are requests and no members.
 * - `ToZero`: there has been nothing to do for `lasted` milliseconds.
 * - `Bounds`: there were fewer than `min` or more than `max`.
 * - `Requested`: somebody wanted `asked` members, and said why.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason =
  | { readonly _tag: "Load"; readonly ongoing: number; readonly lasted: number }
  | { readonly _tag: "FromZero"; readonly ongoing: number }
  | { readonly _tag: "ToZero"; readonly lasted: number }
  | { readonly _tag: "Bounds"; readonly min: number; readonly max: number }
  | { readonly _tag: "Requested"; readonly asked: number; readonly force: boolean; readonly reason: string }

/**
 * There are `from` members and should be `size`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decision {
  readonly from: number
  readonly size: number
  readonly reason: Reason
}

/**
 * What somebody wants, whatever the load: a `size`, or `delta` members more or fewer; `reason` is told on. It is granted within
 * `min` and `max`, with force too. Without `force` (the default) it is refused while a change in the opposite direction is younger
 * than the delay of its own, and it leaves one member while there is more than one or something to do.
 *
 * @category models
 * @since 0.1.0
 */
export type Request = (
  | { readonly size: number; readonly delta?: never }
  | { readonly delta: number; readonly size?: never }
) & { readonly reason: string; readonly force?: boolean }

/**
 * A request for fewer members came right after there had become more, or the other way round: `left` is how many milliseconds
 * such a request is still refused.
 *
 * @category errors
 * @since 0.1.0
 */
export class ScalingTooSoon extends Schema.TaggedError<ScalingTooSoon>()("ScalingTooSoon", {
  from: Schema.Number,
  size: Schema.Number,
  left: Schema.Number
}) {
  override get message(): string {
    const { from, left, size } = this
    const [opposite, wait] = [size > from ? "decrease" : "increase", Duration.format(Duration.millis(left))]
    return `from ${from} to ${size} members is too soon after the last ${opposite}: ask again in ${wait}, or with force`
  }
}

/**
 * How much of a pool is in use. `utilisation` is `ongoing` as a part of what there should be for its members at most: above 1
 * there is more. `free` is how many requests more there may be before it wants to grow.
 *
 * @category models
 * @since 0.1.0
 */
export interface Usage {
  readonly ongoing: number
  readonly free: number
  readonly utilisation: number
}

/**
 * The state to start with. `settings.initial` is the size to start with, `settings.every` how often to call `decide`. Fails with
 * the first option that makes no sense.
 *
 * **Example** (A slip is named)
 *
 * ```ts import.meta.vitest
 * import { Result } from "effect"
 * import { Autoscale } from "effect-otp"
 *
 * const made = Autoscale.make({ min: 4, max: 2 })
 * Result.merge(Result.mapError(made, ({ message }) => message)) // => "scaling: max must be a whole number of 4 or more, got 2"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Scaling): Result.Result<Autoscale, InvalidScaling> =>
  Result.map(settingsOf(options), (settings) => ({ settings, wish: undefined, changed: undefined }))

/**
 * One look at the load at the time `now`, in milliseconds on any clock that goes on steadily: the next state, and what to do if
 * anything. A decision is taken as done: the next load has its size. A load that is no number asks for nothing.
 *
 * @category deciding
 * @since 0.1.0
 */
export const decide = (
  autoscale: Autoscale,
  load: Load,
  now: number
): readonly [next: Autoscale, decision: Decision | undefined] => {
  const { settings } = autoscale
  const { ongoing, size } = load
  const { max, min } = settings
  if (size < min || size > max)
    return change(autoscale, size, within(size, min, max), { _tag: "Bounds", min, max }, now)
  const wish = wishOf(autoscale, load, now)
  if (wish === undefined) return [autoscale.wish === undefined ? autoscale : { ...autoscale, wish }, undefined]
  if (size === 0) return change(autoscale, size, wish.to, { _tag: "FromZero", ongoing }, now)
  const lasted = now - wish.since
  if (lasted < delayOf(settings, size, wish.to)) return [{ ...autoscale, wish }, undefined]
  const reason: Reason = wish.to === 0 ? { _tag: "ToZero", lasted } : { _tag: "Load", ongoing, lasted }
  return change(autoscale, size, wish.to, reason, now)
}

/**
 * Grants what somebody wants, or says why not. The delays of the load do not hold for it. Afterwards the load decides on as
 * before: what it does not need goes again after `downAfter`. The size is the old one where the bounds allow no other.
 *
 * **Example** (More for the nightly import, whatever the load)
 *
 * ```ts import.meta.vitest
 * import { Result } from "effect"
 * import { Autoscale } from "effect-otp"
 *
 * const idle = Result.getOrThrow(Autoscale.make({ min: 1, max: 4 }))
 * const load = { size: 2, ongoing: 0 }
 * const [next, decision] = Result.getOrThrow(Autoscale.request(idle, { delta: 8, reason: "nightly import" }, load, 0))
 * Autoscale.format(decision) // => "from 2 to 4 members: nightly import (10 were asked for)"
 *
 * const back = Autoscale.request(next, { size: 1, reason: "import is done" }, { size: 4, ongoing: 0 }, 60_000)
 * const message = Result.merge(Result.mapError(back, ({ message }) => message))
 * message // => "from 4 to 1 members is too soon after the last increase: ask again in 4m, or with force"
 * ```
 *
 * @category deciding
 * @since 0.1.0
 */
export const request = (
  autoscale: Autoscale,
  request: Request,
  load: Load,
  now: number
): Result.Result<readonly [next: Autoscale, decision: Decision], ScalingTooSoon | InvalidScaling> => {
  const problem = problemOf(request)
  if (problem !== undefined) return Result.fail(problem)
  const { settings } = autoscale
  const { force = false, reason } = request
  const from = load.size
  const asked = request.size ?? from + request.delta
  const size = within(asked, force ? settings.min : lowest(settings, load), settings.max)
  const why: Reason = { _tag: "Requested", asked, force, reason }
  if (size === from) return Result.succeed([autoscale, { from, size, reason: why }])
  const left = force ? 0 : opposedFor(autoscale, from, size, now)
  return left > 0
    ? Result.fail(new ScalingTooSoon({ from, size, left }))
    : Result.succeed(change(autoscale, from, size, why, now))
}

/**
 * How much of the pool is in use.
 *
 * **Example** (Three members that may each be at two things)
 *
 * ```ts import.meta.vitest
 * import { Result } from "effect"
 * import { Autoscale } from "effect-otp"
 *
 * const autoscale = Result.getOrThrow(Autoscale.make({ min: 1, max: 8, target: 2 }))
 * Autoscale.usage(autoscale, { size: 3, ongoing: 3 }) // => { ongoing: 3, free: 3, utilisation: 0.5 }
 * ```
 *
 * @category reading
 * @since 0.1.0
 */
export const usage = ({ settings }: Autoscale, { ongoing, size }: Load): Usage => {
  const slots = size * settings.target
  const free = Math.max(0, Math.floor(slots - ongoing + ROUNDING))
  return { ongoing, free, utilisation: ongoing === 0 ? 0 : ongoing / slots }
}

/**
 * One line for people and logs.
 *
 * @category reading
 * @since 0.1.0
 */
export const format = ({ from, reason, size }: Decision): string =>
  `from ${from} to ${size} members: ${because(from, size, reason)}`

const because = (from: number, size: number, reason: Reason): string => {
  switch (reason._tag) {
    case "Load":
      return `${requests(reason.ongoing)} in progress or waiting, too ${size > from ? "many" : "few"} for ${time(reason.lasted)}`
    case "FromZero":
      return `${requests(reason.ongoing)} and nobody there`
    case "ToZero":
      return `nothing to do for ${time(reason.lasted)}`
    case "Bounds":
      return size > from ? `there are ${reason.min} at least` : `there are ${reason.max} at most`
    case "Requested":
      return reason.asked === size ? reason.reason : `${reason.reason} (${reason.asked} were asked for)`
  }
}

const requests = (count: number): string => (count === 1 ? "1 request" : `${count} requests`)

const time = (millis: number): string => Duration.format(Duration.millis(millis))

/** What 3 / 0.1 and the like are off by at most: no member is started for it. */
const ROUNDING = 1e-9

/** The size that the load asks for, in one step: never fewer than it needs, never 0 but from 1 with nothing to do. */
const wantedBy = (settings: Settings, load: Load): number => {
  const needed = load.ongoing / settings.target
  const gap = needed - load.size
  const step = gap * (gap > 0 ? settings.upFactor : settings.downFactor)
  const scaled = Math.ceil(load.size + step - ROUNDING)
  // However small the factor, one member goes when there is one too many.
  const moving = Math.ceil(needed - ROUNDING) < load.size ? Math.min(scaled, load.size - 1) : scaled
  return within(moving, lowest(settings, load), settings.max)
}

/**
 * The wish of before where it goes on, a new one where the load asks for something else, none where it asks for nothing. The
 * mildest of a wait counts: if the last did, one tick would decide on a size, and a size that follows the load would swing
 * around it (test/simulation).
 */
const wishOf = ({ settings, wish }: Autoscale, load: Load, now: number): Wish | undefined => {
  const from = load.size
  const to = wantedBy(settings, load)
  if (to === from || Number.isNaN(to)) return undefined
  if (wish === undefined || wish.from !== from || wish.to > from !== to > from) return { from, to, since: now }
  const mildest = to > from ? Math.min(wish.to, to) : Math.max(wish.to, to)
  return { from, to: mildest, since: wish.since }
}

const lowest = ({ min }: Settings, { ongoing, size }: Load): number =>
  size > 1 || ongoing > 0 ? Math.max(min, 1) : min

const within = (size: number, min: number, max: number): number => Math.min(max, Math.max(min, size))

const delayOf = (settings: Settings, from: number, to: number): number => {
  if (to > from) return settings.upAfter
  return to === 0 ? settings.toZeroAfter : settings.downAfter
}

/** For how long yet the last change keeps one in the other direction from being made. */
const opposedFor = ({ changed, settings }: Autoscale, from: number, to: number, now: number): number => {
  if (changed === undefined || changed.to > changed.from === to > from) return 0
  return changed.at + delayOf(settings, from, to) - now
}

const change = (
  { settings }: Autoscale,
  from: number,
  size: number,
  reason: Reason,
  now: number
): readonly [Autoscale, Decision] => [
  { settings, wish: undefined, changed: { from, to: size, at: now } },
  { from, size, reason }
]

const problemOf = ({ delta, force, reason, size }: Request): InvalidScaling | undefined => {
  if ((size === undefined) === (delta === undefined)) {
    return invalid("request", { size, delta }, "must have either a size or a delta")
  }
  if (size !== undefined && !isWhole(size, 0)) {
    return invalid("size", size, "must be a whole number of 0 or more")
  }
  if (delta !== undefined && !Number.isInteger(delta)) return invalid("delta", delta, "must be a whole number")
  if (typeof reason !== "string") return invalid("reason", reason, "must be a text")
  if (force !== undefined && typeof force !== "boolean") return invalid("force", force, "must be true or false")
  return undefined
}
