/**
 * Ending an actor and waiting for it: asked first, killed when its time is up.
 */
import * as Effect from "effect/Effect"
import * as ExitReason from "../runtime/ExitReason.ts"
import type { Slot } from "../runtime/slot.ts"
import { Timer } from "../runtime/timers.ts"

/** Waits until the present incarnation has ended. @internal */
export const awaitDown = (slot: Slot): Effect.Effect<ExitReason.ExitReason> =>
  Effect.callback((resume) => slot.onceDown((reason) => resume(Effect.succeed(reason))))

/**
 * Asks, waits at most `limit` milliseconds (`Infinity`: as long as it takes, `"kill"`: not at all), then kills.
 *
 * @internal
 */
export const stopSlot = (
  slot: Slot,
  reason: ExitReason.ExitReason,
  limit: number | "kill"
): Effect.Effect<ExitReason.ExitReason> =>
  Effect.suspend(() => {
    if (!slot.isDown) {
      if (limit === "kill") return killed(slot)
      slot.stop(reason)
    }
    if (slot.isDown) return Effect.succeed(slot.exit ?? slot.lastEnd ?? reason)
    return limit === "kill" || limit === Infinity ? awaitDown(slot) : awaitWithin(slot, limit)
  })

/** How this run ends: by the time the kill returns, the next one may be up, or over. */
const killed = (slot: Slot): Effect.Effect<ExitReason.ExitReason> =>
  Effect.callback((resume) => {
    slot.onceDown((reason) => resume(Effect.succeed(reason)))
    slot.kill()
  })

const awaitWithin = (slot: Slot, limit: number): Effect.Effect<ExitReason.ExitReason> =>
  Effect.callback((resume) => {
    const { timers } = slot.system
    const timer = new Timer(() => slot.kill())
    slot.onceDown((ended) => {
      timers.remove(timer)
      resume(Effect.succeed(ended))
    })
    if (limit <= 0) slot.kill()
    else timers.add(timer, limit)
  })
