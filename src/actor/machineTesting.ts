/**
 * A state machine in the hand of a test: no actor, no fibers, a clock that is moved by hand.
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ExitReason } from "../runtime/ExitReason.ts"
import { limitMillis } from "./limit.ts"
import type { Asker, Event } from "./machineActions.ts"
import { Core, type Limit, type Occurrence, type Outside, type Steps } from "./machineCore.ts"
import type { MachineImpl } from "./machineDefinition.ts"

/** An event that a test has sent: its outcome, once there is one. @internal */
export class Sent implements Occurrence, Asker {
  readonly tag: string
  readonly payload: unknown
  readonly limit = undefined
  reply: Exit.Exit<unknown, unknown> | undefined = undefined
  constructor(event: Event<string>) {
    this.tag = event._tag
    this.payload = event.payload
  }
  get asker(): Asker {
    return this
  }
  get isGone(): boolean {
    return false
  }
  answer(exit: Exit.Exit<unknown, unknown>): void {
    this.reply ??= exit
  }
}

/** @internal */
export class Stepper implements Outside {
  /** What the machine has refused, having no handler for it. */
  readonly unhandledEvents: Array<{ readonly state: string; readonly event: string }> = []
  private now = 0
  private clocks: ReadonlyArray<Limit> = []
  private readonly core: Core
  private readonly perform: (effect: Effect.Effect<unknown, unknown>) => Exit.Exit<unknown, unknown>

  constructor(
    machine: MachineImpl,
    perform: (effect: Effect.Effect<unknown, unknown>) => Exit.Exit<unknown, unknown> = Effect.runSyncExit
  ) {
    this.perform = perform
    this.core = new Core(machine, this)
    this.drive(this.core.start())
  }

  get state(): string {
    return this.core.state
  }
  get data(): unknown {
    return this.core.data
  }
  get stopped(): ExitReason | undefined {
    return this.core.stopped
  }
  /** The events that wait for a change of state, the oldest first. */
  get postponed(): ReadonlyArray<string> {
    return this.core.waiting
  }

  send(event: Event<string>): Sent {
    const sent = new Sent(event)
    if (this.stopped !== undefined) return sent
    this.core.push(sent)
    this.drive(this.core.run())
    return sent
  }

  advance(by: Duration.Input): void {
    const until = this.now + limitMillis("the time to advance a machine by", by)
    for (let first = this.earliest(until); first !== undefined; first = this.earliest(until)) {
      this.now = Math.max(this.now, first.due)
      this.stopClock(first)
      first.expire()
    }
    this.now = until
  }

  goesOn(): boolean {
    return true
  }

  putAside(): void {}
  forget(): void {}

  startClock(limit: Limit): void {
    limit.due = "after" in limit.time ? this.now + limit.time.after : limit.time.at
    this.clocks = [...this.clocks, limit]
  }

  stopClock(limit: Limit): void {
    this.clocks = this.clocks.filter((each) => each !== limit)
  }

  expired(limit: Limit): void {
    if (this.core.expire(limit)) this.drive(this.core.run())
  }

  unhandled(occurrence: Occurrence, state: string): void {
    this.unhandledEvents.push({ state, event: occurrence.tag })
  }

  private earliest(until: number): Limit | undefined {
    return this.clocks.reduce<Limit | undefined>(
      (first, each) => (each.due <= until && (first === undefined || each.due < first.due) ? each : first),
      undefined
    )
  }

  private drive(steps: Steps): void {
    try {
      let step = steps.next(Exit.void)
      while (step.done !== true) {
        const { effect, refusable } = step.value
        const exit = this.perform(effect)
        if (Exit.isFailure(exit) && !(refusable && this.core.isAnswer(exit.cause))) throw Cause.squash(exit.cause)
        step = steps.next(exit)
      }
    } catch (failure) {
      this.core.abandon()
      throw failure
    }
  }
}
