/**
 * A state machine in an actor: gives the core its events, runs the effects it wants, keeps its time limits.
 *
 * Invariants:
 * 1. What the core does at once needs no fiber; an effect has the actor wait, as a handler's does.
 * 2. The message that the actor is said to handle is the one whose event the core handles: it is to blame for a failure.
 * 3. What was postponed goes back to the front of the mailbox when the incarnation ends: the next one handles it, or it is a
 *    dead letter like all that is left over.
 * 4. An order to stop or to pause is obeyed after the event at hand, also where others wait inside.
 * 5. What an interceptor is around has its outcome as its exit, unless it is answered later.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Ref from "effect/Ref"
import { Envelope, KEPT, Request, SET_ASIDE } from "../runtime/envelope.ts"
import { ActorContext, type Incarnation, type Inside, type Kept } from "../runtime/incarnation.ts"
import type { Item } from "../runtime/mailbox.ts"
import type { Slot } from "../runtime/slot.ts"
import { type CompiledHandler, InPlace, type Taken, type Turns } from "../runtime/turns.ts"
import type { Asker } from "./machineActions.ts"
import {
  Core,
  type Limit,
  type Occurrence,
  type Outside,
  type Standing,
  type Steps,
  type Wanted
} from "./machineCore.ts"
import { type MachineImpl, UnhandledEvent } from "./machineDefinition.ts"

/** A message that has come to the machine. */
class Arrival implements Occurrence, Asker {
  readonly item: Item
  readonly tag: string
  readonly payload: unknown
  readonly limit = undefined
  isPostponed = false
  private answered = false
  /** Its answer is its exit: others that are around it come first. */
  private outcome: Exit.Exit<unknown, unknown> | undefined = undefined
  private withheld = false

  constructor(item: Item, tag: string, payload: unknown) {
    this.item = item
    this.tag = tag
    this.payload = payload
  }

  get asker(): Asker {
    return this
  }

  get isGone(): boolean {
    return !this.answered && typeof this.item !== "number" && this.item.isOver
  }

  answer(exit: Exit.Exit<unknown, unknown>): void {
    this.answered = true
    if (this.withheld) {
      this.outcome ??= exit
      return
    }
    if (typeof this.item === "number") return
    if (Exit.isSuccess(exit)) this.item.succeed(exit.value)
    else this.item.fail(exit as Exit.Failure<never, unknown>)
  }

  /** For whoever handles it next: a request that was answered is one that nobody waits for, and is to be handled all the same. */
  toTake(): Taken {
    const { item, payload } = this
    return this.answered && typeof item !== "number" ? { item: item.tag, payload } : { item, payload }
  }

  withhold(): void {
    this.withheld = true
  }

  get isWithheld(): boolean {
    return this.withheld
  }

  /** The answer, if it was given; one that comes later goes to whoever asked. */
  release(): Exit.Exit<unknown, unknown> | undefined {
    this.withheld = false
    return this.outcome
  }
}

/** Under which name its state is seen from outside. */
const STATE = "state"

const KEPT_ASIDE: Exit.Exit<never> = Exit.die(KEPT)

/** The core goes on: in place, or as an effect where it wants one run. */
const AdvanceProto: object = Object.assign(
  Effectable.Prototype<Effect.Effect<void, unknown>>({
    label: "effect-otp/StateMachine",
    evaluate() {
      return (this as unknown as Advance).machine.evaluate()
    }
  }),
  {
    [InPlace](this: Advance, _actor: Turns, item: Item, payload: unknown): boolean {
      return this.machine.takesTurn(item, payload)
    }
  }
)

interface Advance extends Effect.Effect<void, unknown> {
  readonly machine: MachineRun
}

/** @internal */
export class MachineRun implements Outside, Inside {
  private readonly core: Core
  private readonly machine: MachineImpl
  private readonly incarnation: Incarnation
  private readonly slot: Slot
  private readonly advance: Advance
  /** The message of the present turn. */
  private arrival: Arrival | undefined = undefined
  private steps: Steps | undefined = undefined
  private wanted: Wanted | undefined = undefined
  /** Whether the turn needs a fiber. */
  private inFiber = false
  private defect: { readonly value: unknown } | undefined = undefined
  /** What the handler was called with last. */
  private payload: unknown = undefined

  constructor(machine: MachineImpl, incarnation: Incarnation) {
    this.machine = machine
    this.incarnation = incarnation
    this.slot = incarnation.host as Slot
    this.core = new Core(machine, this)
    this.advance = Object.assign(Object.create(AdvanceProto) as Effect.Effect<void, unknown>, { machine: this })
    incarnation.onEnd(() => this.end())
    incarnation.show(this)
  }

  start(): Effect.Effect<ReadonlyArray<CompiledHandler>, unknown> {
    const handler: CompiledHandler = (payload) => {
      this.payload = payload
      return this.advance
    }
    const handlers = this.slot.program.tags.map(() => handler)
    this.steps = this.core.start(this.incarnation.seedOf<Standing | undefined>(STATE, undefined))
    return this.proceed(undefined) ? Exit.succeed(handlers) : Effect.as(this.goOn(), handlers)
  }

  // --- A turn of the actor ---

  /** `true`: done. `false`: `goOn` has to be run. */
  takesTurn(item: Item, payload: unknown): boolean {
    return this.begin(this.arrivalOf(item, typeof item === "number" ? payload : item.payload))
  }

  /** Run by a fiber: to go on with the turn, or, where interceptors are around, to take it. */
  evaluate(): Effect.Effect<unknown, unknown> {
    return this.steps === undefined ? this.intercepted() : this.goOn()
  }

  private intercepted(): Effect.Effect<unknown, unknown> {
    const { turn } = this.incarnation
    const { item } = turn
    const arrival = this.arrivalOf(item, this.payload)
    arrival?.withhold()
    const taken = Effect.suspend(() => (this.begin(arrival) ? Effect.void : this.goOn()))
    const over = Effect.flatMap(taken, () => {
      const outcome = arrival?.release()
      // A tell has no answer to wait for, unless it has not been handled yet.
      const exit = outcome ?? (item instanceof Request || arrival?.isPostponed === true ? KEPT_ASIDE : Exit.void)
      turn.item = exit === KEPT_ASIDE ? SET_ASIDE : item
      return exit
    })
    // Those around it may give up waiting: then it has not happened.
    return Effect.onInterrupt(over, () => Effect.sync(() => this.giveUp()))
  }

  private arrivalOf(item: Item, payload: unknown): Arrival | undefined {
    const tag = typeof item === "number" ? item : item.tag
    return tag < 0 ? undefined : new Arrival(item, this.slot.program.tags[tag]!, payload)
  }

  private begin(arrival: Arrival | undefined): boolean {
    this.inFiber = false
    this.arrival = arrival
    if (arrival !== undefined) this.core.push(arrival)
    this.steps = this.core.run()
    return this.proceed(undefined)
  }

  private goOn(): Effect.Effect<void, unknown> {
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
    const { isEmpty, stopped } = this.core
    // What its fiber ends with is nobody's answer.
    if (this.inFiber) this.incarnation.turn.item = SET_ASIDE
    this.steps = this.arrival = this.payload = undefined
    // Told to pause: it goes on when the actor does.
    if (stopped === undefined) return isEmpty ? undefined : this.postAdvance(() => true)
    // One that stops as it starts has started.
    if (this.slot.status === "starting") this.slot.continueWith(() => this.slot.stop(stopped))
    else this.slot.stop(stopped)
  }

  private fails(cause: Cause.Cause<unknown>): Effect.Effect<void, unknown> {
    const isDeclared = this.core.isAnswer(cause)
    const isOthers = this.arrival?.isWithheld === true && this.core.current !== this.arrival
    this.giveUp()
    if (!isDeclared && !isOthers) return Effect.failCause(cause)
    const { incarnation, slot } = this
    const { item, payload } = incarnation.turn
    incarnation.turn.item = SET_ASIDE
    const fail = () => void slot.failBeside(incarnation, cause, item, payload)
    // Those around the event of this turn have its outcome first, which is not that of another.
    if (isOthers) slot.continueWith(fail)
    // As the exit of the turn it would be taken for the answer, which an enter call cannot give.
    else fail()
    return Effect.void
  }

  /** The event at hand is given up. Where the actor lives on, what waits inside is handled all the same. */
  private giveUp(): void {
    this.defect = this.steps = this.arrival = undefined
    this.core.abandon()
    if (!this.core.isEmpty) this.postAdvance(() => true)
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
    const left = this.core.end().filter((occurrence) => occurrence instanceof Arrival)
    this.slot.putBack(left.map((arrival) => arrival.toTake()))
  }

  // --- Looking on ---

  get states(): ReadonlyMap<string, Kept> {
    const { core } = this
    const ref = Ref.makeUnsafe<unknown>(undefined)
    Object.defineProperty(ref.ref, "current", {
      get: () => ({ state: core.state, data: core.data }),
      set: (standing: Standing) => {
        core.replace(standing)
        this.postAdvance(() => true)
      }
    })
    return new Map([[STATE, { ref, redact: undefined }]])
  }

  get waiting(): ReadonlyArray<string> {
    return this.core.waiting
  }

  // --- What the core needs ---

  goesOn(): boolean {
    return !this.incarnation.stopping && !this.slot.isToPause
  }

  forget(occurrence: Occurrence): void {
    if (occurrence instanceof Arrival && typeof occurrence.item !== "number") occurrence.item.forwarded()
  }

  putAside(occurrence: Occurrence): void {
    if (!(occurrence instanceof Arrival)) return
    occurrence.isPostponed = true
    this.slot.putsAside(occurrence.item, occurrence.payload)
  }

  startClock(limit: Limit): void {
    const { timers } = this.slot.system
    const { time } = limit
    timers.add(limit, "after" in time ? time.after : Math.max(0, this.untilThen(time.at)))
  }

  /** Milliseconds until a time of the wall clock. */
  private untilThen(at: number): number {
    const clock = Context.get(this.slot.system.context as Context.Context<never>, Clock.Clock)
    return at - clock.currentTimeMillisUnsafe()
  }

  stopClock(limit: Limit): void {
    this.slot.system.timers.remove(limit)
  }

  expired(limit: Limit): void {
    // The wall clock may have been set back meanwhile.
    if ("at" in limit.time && this.untilThen(limit.time.at) > 0) return this.startClock(limit)
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
