/**
 * What becomes of an actor that nobody has needed for a while: it ends, gives back memory, or is told so.
 *
 * The handlers note the time of each message that counts, and one timer looks whether it has been long enough; behaviors
 * without the option pay nothing.
 */
import * as Duration from "effect/Duration"
import { Own } from "../runtime/envelope.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import type { Incarnation } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import { Timer } from "../runtime/timers.ts"
import type { CompiledHandler } from "../runtime/turns.ts"

/**
 * What is done about an actor that nobody needs: `after` this long without a message, not counting those in `ignore`.
 *
 * - `action: "stop"`, the default: it ends, normally. Not while anybody waits for its answer, reads a stream of it, or something
 *   runs beside its messages: then it is looked at again after as long.
 * - `action: "hibernate"`: it gives back what it can do without until its next message, such as the room its mailbox has grown
 *   to. It stays up, and costs its next message a little time.
 * - `action: { tell: "Quiet" }`: it gets this message, of its own protocol and without payload, and again after as long
 *   without another. Its handler may stop, set a timer, do what it likes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Idle<Tag extends string = string, Bare extends string = Tag> {
  readonly after: Duration.Input
  readonly ignore?: ReadonlyArray<Tag>
  readonly action?: "stop" | "hibernate" | { readonly tell: Bare }
}

/** Watches over an incarnation, and gives handlers that note their messages. @internal */
export const passivate = (
  incarnation: Incarnation,
  tags: ReadonlyArray<string>,
  handlers: ReadonlyArray<CompiledHandler>,
  idle: Idle
): ReadonlyArray<CompiledHandler> => {
  const watch = new IdleWatch(incarnation, tags, idle)
  return handlers.map((handler, tag) =>
    idle.ignore?.includes(tags[tag]!) === true
      ? handler
      : (payload) => {
          watch.used()
          return handler(payload)
        }
  )
}

class IdleWatch {
  private last: number
  private sleeping = false
  private readonly after: number
  private readonly slot: Slot
  private readonly idle: Idle
  private readonly tags: ReadonlyArray<string>
  private readonly timer = new Timer(() => this.look())

  constructor(incarnation: Incarnation, tags: ReadonlyArray<string>, idle: Idle) {
    this.slot = incarnation.host as Slot
    this.tags = tags
    this.idle = idle
    this.after = Duration.toMillis(idle.after)
    const { timers } = this.slot.system
    this.last = timers.now()
    timers.add(this.timer, this.after)
    incarnation.onEnd(() => timers.remove(this.timer))
  }

  used(): void {
    const { timers } = this.slot.system
    this.last = timers.now()
    if (!this.sleeping) return
    this.sleeping = false
    timers.add(this.timer, this.after)
  }

  private look(): void {
    const { slot } = this
    const left = this.after - (slot.system.timers.now() - this.last)
    if (left > 0) return slot.system.timers.add(this.timer, left)
    if (slot.isIdle && !this.isNeeded && !this.act()) return
    slot.system.timers.add(this.timer, this.after)
  }

  /** Whether ending it would take something from somebody. */
  private get isNeeded(): boolean {
    const { action = "stop" } = this.idle
    const { incarnation, inflight } = this.slot
    return action === "stop" && (inflight !== undefined || incarnation?.isBusyBeside === true)
  }

  /** Whether to look again although nothing comes. */
  private act(): boolean {
    const { slot } = this
    const { action = "stop" } = this.idle
    if (action === "stop") {
      slot.stop(ExitReason.Normal)
      return false
    }
    if (action === "hibernate") {
      slot.hibernate()
      this.sleeping = true
      return false
    }
    slot.postOwn(new Own(this.tags.indexOf(action.tell), undefined))
    return true
  }
}
