/**
 * A state machine in an actor: gives the core its events, runs the effects it wants, keeps its time limits.
 *
 * Invariants:
 * 1. What the core does at once needs no fiber; an effect has the actor wait, as a handler's does.
 * 2. The message that the actor is said to handle is the one whose event the core handles: it is to blame for a failure.
 * 3. What was postponed goes back to the front of the mailbox when the incarnation ends: the next one handles it, or it is a
 *    dead letter like all that is left over.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import { Envelope, SET_ASIDE } from "../runtime/envelope.ts"
import { ActorContext, type Incarnation } from "../runtime/incarnation.ts"
import type { Item } from "../runtime/mailbox.ts"
import type { Slot } from "../runtime/slot.ts"
import { type CompiledHandler, InPlace, type Turns } from "../runtime/turns.ts"
import type { Asker } from "./machineActions.ts"
import { Core, type Limit, type Occurrence, type Outside, type Steps, type Wanted } from "./machineCore.ts"
import { type MachineImpl, UnhandledEvent } from "./machineDefinition.ts"

/** A message that has come to the machine. */
class Arrival implements Occurrence, Asker {
  readonly item: Item
  readonly tag: string
  readonly payload: unknown
  readonly limit = undefined
  private answered = false

  constructor(item: Item, tag: string, payload: unknown) {
    this.item = item
    this.tag = tag
    this.payload = payload
  }

  get asker(): Asker {
    return this
  }

  get isGone(): boolean {
    return !this.answered && this.item instanceof Envelope && this.item.asked?.exit !== undefined
  }

  answer(exit: Exit.Exit<unknown, unknown>): void {
    this.answered = true
    if (typeof this.item === "number") return
    if (Exit.isSuccess(exit)) this.item.succeed(exit.value)
    else this.item.fail(exit as Exit.Failure<never, unknown>)
  }
}

/** The core goes on: in place, or as an effect where it wants one run. */
const AdvanceProto: object = Object.assign(
  Effectable.Prototype<Effect.Effect<void, unknown>>({
    label: "effect-otp/StateMachine",
    evaluate() {
      return (this as unknown as Advance).machine.evaluate()
    }
  }),
  {
    [InPlace](this: Advance, _actor: Turns, item: Item): boolean {
      return this.machine.takesTurn(item)
    }
  }
)

interface Advance extends Effect.Effect<void, unknown> {
  readonly machine: MachineRun
}

/** @internal */
export class MachineRun implements Outside {
  private readonly core: Core
  private readonly machine: MachineImpl
  private readonly incarnation: Incarnation
  private readonly slot: Slot
  private readonly advance: Advance
  /** The message of the present turn. */
  private arrival: Arrival | undefined = undefined
  /** What its handler has been called with. */
  private given: unknown = undefined
  private steps: Steps | undefined = undefined
  private wanted: Wanted | undefined = undefined
  /** Whether the turn needs a fiber. */
  private inFiber = false
  private defect: { readonly value: unknown } | undefined = undefined

  constructor(machine: MachineImpl, incarnation: Incarnation) {
    this.machine = machine
    this.incarnation = incarnation
    this.slot = incarnation.host as Slot
    this.core = new Core(machine, this)
    this.advance = Object.assign(Object.create(AdvanceProto) as Effect.Effect<void, unknown>, { machine: this })
    incarnation.onEnd(() => this.end())
  }

  start(): Effect.Effect<ReadonlyArray<CompiledHandler>, unknown> {
    const handler: CompiledHandler = (payload) => {
      this.given = payload
      return this.advance
    }
    const handlers = this.slot.program.tags.map(() => handler)
    this.steps = this.core.start()
    return this.proceed(undefined) ? Exit.succeed(handlers) : Effect.as(this.goOn(), handlers)
  }

  // --- A turn of the actor ---

  /** `true`: done. `false`: `goOn` has to be run. */
  takesTurn(item: Item): boolean {
    this.begins(item)
    this.inFiber = false
    return this.proceed(undefined)
  }

  private begins(item: Item): void {
    const { tags } = this.slot.program
    const tag = typeof item === "number" ? item : item.tag
    // What the handler was called with: an interceptor may have put something else in its place.
    this.arrival = tag < 0 ? undefined : new Arrival(item, tags[tag]!, this.given)
    if (this.arrival !== undefined) this.core.push(this.arrival)
    this.given = undefined
    this.steps = this.core.run()
  }

  /** In a fiber: what the turn has left, or all of it where the message comes through an interceptor. */
  evaluate(): Effect.Effect<void, unknown> {
    if (this.steps !== undefined) return this.goOn()
    this.begins(this.incarnation.turn.item)
    this.inFiber = true
    if (this.proceed(undefined)) return Effect.void
    return Effect.onInterrupt(this.goOn(), () => Effect.sync(() => void this.fails(Cause.empty)))
  }

  goOn(): Effect.Effect<void, unknown> {
    const { defect, wanted } = this
    this.inFiber = true
    this.blame()
    if (defect !== undefined) return this.fails(Cause.die(defect.value))
    const { effect, refusable } = wanted!
    return Effect.flatMap(Effect.exit(effect), (exit) => {
      if (Exit.isFailure(exit) && !(refusable && this.core.isAnswer(exit.cause))) return this.fails(exit.cause)
      return this.proceed(exit) ? Effect.void : this.goOn()
    })
  }

  /** Steps the core until it wants something. `true`: it has handled all there is. */
  private proceed(exit: Exit.Exit<unknown, unknown> | undefined): boolean {
    try {
      const { done, value } = this.steps!.next(exit as Exit.Exit<unknown, unknown>)
      this.wanted = value as Wanted | undefined
      if (done !== true) return false
    } catch (defect) {
      this.defect = { value: defect }
      return false
    }
    this.over()
    return true
  }

  private over(): void {
    const { stopped } = this.core
    // What its fiber ends with is nobody's answer.
    if (this.inFiber) this.incarnation.turn.item = SET_ASIDE
    this.steps = this.arrival = undefined
    if (stopped === undefined) return
    // One that stops as it starts has started.
    if (this.slot.status === "starting") this.slot.continueWith(() => this.slot.stop(stopped))
    else this.slot.stop(stopped)
  }

  private fails(cause: Cause.Cause<unknown>): Effect.Effect<never, unknown> {
    this.defect = this.steps = this.arrival = undefined
    this.core.abandon()
    // Where it is resumed, what waits inside is handled all the same.
    if (!this.core.isEmpty) this.postAdvance(() => true)
    return Effect.failCause(cause)
  }

  /** Has the actor handle the message of the event that the core handles. */
  private blame(): void {
    const { current } = this.core
    if (current === undefined) return
    const { turn } = this.incarnation
    if (!(current instanceof Arrival)) turn.item = SET_ASIDE
    else if (current === this.arrival || typeof current.item !== "number") turn.item = current.item
    else turn.item = new Envelope(current.item, current.payload)
    turn.payload = current.payload
  }

  private postAdvance(goesOn: () => boolean): void {
    const { incarnation, slot } = this
    slot.post(() => (slot.incarnation === incarnation && goesOn() ? this.advance : undefined))
  }

  private end(): void {
    const left = this.core.end()
    this.slot.putBack(left.filter((occurrence) => occurrence instanceof Arrival))
  }

  // --- What the core needs ---

  startClock(limit: Limit): void {
    const { timers } = this.slot.system
    const { time } = limit
    if ("after" in time) return timers.add(limit, time.after)
    const clock = Context.get(this.slot.system.context as Context.Context<never>, Clock.Clock)
    timers.add(limit, Math.max(0, time.at - clock.currentTimeMillisUnsafe()))
  }

  stopClock(limit: Limit): void {
    this.slot.system.timers.remove(limit)
  }

  expired(limit: Limit): void {
    this.postAdvance(() => this.core.expire(limit))
  }

  unhandled(occurrence: Occurrence, state: string): void {
    const { path, system } = this.slot
    const { payload, tag } = occurrence
    if (system.observed) system.emit({ _tag: "Unhandled", path, tag, payload })
    if (!(occurrence instanceof Arrival) || typeof occurrence.item === "number") return
    const error = new UnhandledEvent({ machine: this.machine.definition.name, state, event: tag })
    occurrence.item.undelivered({ _tag: "HandlerFailed", cause: Cause.die(error) })
  }
}

/** What a behavior runs as its init. @internal */
export const startMachine = (machine: MachineImpl): Effect.Effect<ReadonlyArray<CompiledHandler>, unknown> =>
  Effect.withFiber((fiber) => {
    const turn = Context.getUnsafe(fiber.context as Context.Context<ActorContext>, ActorContext)
    return new MachineRun(machine, turn.incarnation).start()
  })
