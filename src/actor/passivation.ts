/**
 * Ending an actor that nobody has needed for a while.
 *
 * The handlers note the time of each message that counts, and one timer looks whether it has been long enough; behaviors
 * without the option pay nothing.
 */
import * as Duration from "effect/Duration"
import * as ExitReason from "../runtime/ExitReason.ts"
import type { Incarnation } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import { Timer } from "../runtime/timers.ts"
import type { CompiledHandler } from "../runtime/turns.ts"

/**
 * When an actor ends because nobody needs it: `after` this long without a message, not counting those in `ignore`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Idle<Tag extends string = string> {
  readonly after: Duration.Input
  readonly ignore?: ReadonlyArray<Tag>
}

/** Watches over an incarnation, and gives handlers that note their messages. @internal */
export const passivate = (
  incarnation: Incarnation,
  tags: ReadonlyArray<string>,
  handlers: ReadonlyArray<CompiledHandler>,
  idle: Idle
): ReadonlyArray<CompiledHandler> => {
  const slot = incarnation.host as Slot
  const { timers } = slot.system
  const after = Duration.toMillis(idle.after)
  let last = timers.now()
  const look = (): void => {
    const left = after - (timers.now() - last)
    if (left <= 0 && slot.isIdle) slot.stop(ExitReason.Normal)
    else timers.add(timer, left > 0 ? left : after)
  }
  const timer = new Timer(look)
  timers.add(timer, after)
  incarnation.onEnd(() => timers.remove(timer))
  return handlers.map((handler, tag) =>
    idle.ignore?.includes(tags[tag]!) === true
      ? handler
      : (payload) => {
          last = timers.now()
          return handler(payload)
        }
  )
}
