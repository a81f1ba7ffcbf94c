/**
 * Tells when an actor has been busy with one message for too long.
 *
 * Each message notes when it began, and one timer looks whether it is still at it; behaviors without the option pay nothing.
 * Code that never yields cannot be seen while it runs, since nothing else does: it is told of when it is over.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Task } from "../runtime/envelope.ts"
import type { Incarnation } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import type { Busy } from "../runtime/system.ts"
import { Timer } from "../runtime/timers.ts"
import type { CompiledHandler } from "../runtime/turns.ts"

/** Gives handlers that note when they began. @internal */
export const watchStuck = (
  incarnation: Incarnation,
  tags: ReadonlyArray<string>,
  handlers: ReadonlyArray<CompiledHandler>,
  limit: Duration.Input
): ReadonlyArray<CompiledHandler> => {
  const watch = new StuckWatch(incarnation, Duration.toMillis(limit))
  return handlers.map((handler, tag) => (payload) => {
    watch.begins(tags[tag]!)
    const result = handler(payload)
    watch.returned()
    return result
  })
}

class StuckWatch implements Busy {
  tag = ""
  since = 0
  private told = true
  private armed = false
  private readonly incarnation: Incarnation
  private readonly slot: Slot
  private readonly limit: number
  private readonly timer = new Timer(() => this.look())

  constructor(incarnation: Incarnation, limit: number) {
    this.incarnation = incarnation
    this.slot = incarnation.host as Slot
    this.limit = limit
    const { busy, timers } = this.slot.system
    busy.add(this)
    incarnation.onEnd(() => {
      busy.delete(this)
      timers.remove(this.timer)
    })
  }

  get path(): string {
    return this.slot.path
  }

  isStuck(now: number): boolean {
    return this.isAtIt && now - this.since >= this.limit
  }

  /** Busy, and with a message, not with work of its own that came after it. */
  private get isAtIt(): boolean {
    return this.slot.isBusy && !(this.incarnation.turn.item instanceof Task)
  }

  begins(tag: string): void {
    const { timers } = this.slot.system
    this.tag = tag
    this.since = timers.now()
    this.told = false
    if (this.armed) return
    this.armed = true
    timers.add(this.timer, this.limit)
  }

  /** The handler has returned, though its effect may go on. */
  returned(): void {
    if (!this.told && this.slot.system.timers.now() - this.since >= this.limit) this.tell()
  }

  private look(): void {
    const { timers } = this.slot.system
    this.armed = false
    if (!this.isAtIt || this.told) return
    const left = this.limit - (timers.now() - this.since)
    if (left <= 0) return this.tell()
    this.armed = true
    timers.add(this.timer, left)
  }

  private tell(): void {
    const { path, slot, tag } = this
    const { system } = slot
    this.told = true
    const millis = system.timers.now() - this.since
    if (system.observed) system.emit({ _tag: "HandlerStuck", path, tag, millis })
    const line = Effect.logWarning(`busy with ${tag} for ${Math.round(millis)} ms`)
    Effect.runForkWith(slot.context)(Effect.annotateLogs(line, { actor: path }))
  }
}
