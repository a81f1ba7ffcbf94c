/**
 * The engine without actors on top: a clock and a scheduler moved by hand, programs and owners of slots.
 */
import { Cause, Clock, Context, Effect, Exit, type Scheduler } from "effect"
import type { MailboxOptions } from "../../src/runtime/admission.ts"
import { Dispatcher, defaultSliceLimits, type Runnable, type SliceLimits } from "../../src/runtime/dispatcher.ts"
import { Request, type Undelivered } from "../../src/runtime/envelope.ts"
import type { ExitReason } from "../../src/runtime/ExitReason.ts"
import { type Owner, Slot } from "../../src/runtime/slot.ts"
import { System, type SystemOptions } from "../../src/runtime/system.ts"
import type { SystemEvent } from "../../src/runtime/SystemEvent.ts"
import type { CompiledHandler, Program } from "../../src/runtime/turns.ts"

/** A clock that moves when it is told to, and counts who looks at it. */
export class HandClock implements Clock.Clock {
  millis = 0
  looks = 0
  currentTimeMillisUnsafe(): number {
    return this.millis
  }
  currentTimeNanosUnsafe(): bigint {
    return BigInt(Math.round(this.millis * 1e6))
  }
  monotonicTimeNanosUnsafe(): bigint {
    this.looks++
    return this.currentTimeNanosUnsafe()
  }
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())
  sleep(): Effect.Effect<void> {
    return Effect.never
  }
}

/** Keeps what is scheduled until it is told to run it. */
export class HandScheduler implements Scheduler.SchedulerDispatcher {
  readonly tasks: Array<() => void> = []
  scheduleTask(task: () => void): void {
    this.tasks.push(task)
  }
  /** Runs what is scheduled now; answers whether there was anything. */
  turn(): boolean {
    const tasks = this.tasks.splice(0)
    for (const task of tasks) task()
    return tasks.length > 0
  }
  flush(): void {
    while (this.turn());
  }
}

/** A run queue in the hand of the test. */
export const handDispatcher = (limits: Partial<SliceLimits> = {}) => {
  const clock = new HandClock()
  const scheduler = new HandScheduler()
  return { clock, scheduler, dispatcher: new Dispatcher(scheduler, clock, { ...defaultSliceLimits, ...limits }) }
}

/** Something with this many messages, each of which takes its time. Handles them the way an actor does. */
export class Busy implements Runnable {
  handled = 0
  readonly turns: Array<number> = []
  private readonly name: string
  private readonly dispatcher: Dispatcher
  private readonly work: (name: string) => void
  left: number
  constructor(name: string, dispatcher: Dispatcher, left: number, work: (name: string) => void = () => undefined) {
    this.name = name
    this.dispatcher = dispatcher
    this.left = left
    this.work = work
  }
  run(): number {
    let handled = 0
    let limit = this.dispatcher.turn
    while (this.left > 0) {
      this.left--
      this.handled++
      handled++
      this.work(this.name)
      if (handled < limit) continue
      if (!this.dispatcher.mayContinue(handled)) break
      limit += this.dispatcher.turn
    }
    this.turns.push(handled)
    if (this.left > 0) this.dispatcher.push(this)
    return handled
  }
}

/** A system that shares clock and scheduler with the test, and the events it has told. */
export const makeSystem = (options?: SystemOptions) =>
  Effect.map(Effect.context<never>(), (context) => {
    const system = new System(context, options)
    const events: Array<SystemEvent> = []
    system.listen((event) => events.push(event))
    return { system, events }
  })

/** Lets everything run that can run without time passing. */
export const settle = Effect.repeat(Effect.yieldNow, { times: 20 })

/** What a slot runs: handlers by name. */
export const program = (
  handlers: Readonly<Record<string, CompiledHandler>>,
  init: (
    handlers: ReadonlyArray<CompiledHandler>
  ) => Effect.Effect<ReadonlyArray<CompiledHandler>, unknown> = Exit.succeed
): Program => ({
  name: "test",
  tags: Object.keys(handlers),
  init: () => init(Object.values(handlers)),
  declares: (_tag, error) => error === "declared"
})

/** Decides what it is told to decide, and writes down what it hears. */
export class HandOwner implements Owner {
  directive: "resume" | "restart" | "stop" = "stop"
  /** Whether an ended incarnation is followed by the next one; otherwise the slot is finished. */
  restarts = false
  readonly log: Array<string> = []
  readonly starts: Array<Exit.Exit<void, unknown>> = []
  private readonly name: string
  constructor(name = "owner") {
    this.name = name
  }
  onFailure(_slot: Slot, cause: Cause.Cause<unknown>): "resume" | "restart" | "stop" {
    this.log.push(`${this.name}: failed ${String(Cause.squash(cause))}`)
    return this.directive
  }
  onEnded(slot: Slot, reason: ExitReason): void {
    this.log.push(`${this.name}: ended ${reason._tag}`)
    if (this.restarts) slot.start(this.started)
    else slot.finish(reason)
  }
  readonly started = (exit: Exit.Exit<void, unknown>): void => {
    this.starts.push(exit)
  }
}

/** A slot that has been told to start, with its owner. */
export const startSlot = (system: System, runs: Program, options?: MailboxOptions, owner = new HandOwner()) =>
  Effect.map(Effect.context<never>(), (context) => {
    const slot = new Slot(system, runs, owner, context as Context.Context<never>, "", "slot", options)
    slot.start(owner.started)
    return { slot, owner }
  })

/** A request that keeps its outcome. */
export class HandRequest extends Request {
  settlements = 0
  protected settled(): void {
    this.settlements++
  }
  protected undeliveredExit(why: Undelivered): Exit.Exit<never, unknown> {
    return Exit.fail(why)
  }
  /** The value of the reply, or the tag of why there is none. */
  get outcome(): unknown {
    if (this.exit === undefined) return undefined
    if (Exit.isSuccess(this.exit)) return this.exit.value
    const error = Cause.squash(this.exit.cause)
    return typeof error === "object" && error !== null && "_tag" in error ? error._tag : error
  }
}
