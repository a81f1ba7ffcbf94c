/**
 * The heart of a state machine, without an actor around it and without a clock: what happens on an event, in which order.
 *
 * It is stepped by whoever drives it. Where an effect has to be run, the step yields it and gets its exit; all else happens
 * at once.
 *
 * Invariants:
 * 1. One event at a time. After its handler: replies and effects in order, the new state, its enter call, then what is
 *    postponed, inserted and limited (R60).
 * 2. Postponed events are handled again when the state has changed, and only then, the oldest first.
 * 3. A limit that was set again, cancelled, or ended by an event or a change never comes, also when time is up already.
 * 4. An event that fails has changed nothing: state and data are what they were before it.
 */
import type * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { ExitReason } from "../runtime/ExitReason.ts"
import type { TimerNode } from "../runtime/timers.ts"
import {
  type AnyAction,
  type Asker,
  type Event,
  EVENT_LIMIT,
  isAction,
  problemOf,
  STATE_LIMIT,
  type When
} from "./machineActions.ts"
import { type Definition, IllegalTransition, InvalidReaction, type MachineImpl } from "./machineDefinition.ts"
import { parseMillis } from "./limit.ts"

/** An event that has come. @internal */
export interface Occurrence {
  readonly tag: string
  readonly payload: unknown
  readonly asker: Asker
  /** What it is the expiry of. */
  readonly limit: Limit | undefined
}

/** When time is up, in milliseconds: after a while, or at a time of the wall clock. @internal */
export type Time = { readonly after: number } | { readonly at: number }

/** A time limit in force. @internal */
export class Limit implements TimerNode {
  due = 0
  index = -1
  readonly key: string
  readonly time: Time
  event: Event<string>
  private readonly outside: Outside
  constructor(key: string, time: Time, event: Event<string>, outside: Outside) {
    this.key = key
    this.time = time
    this.event = event
    this.outside = outside
  }
  expire(): void {
    this.outside.expired(this)
  }
}

/** Whoever drives the core. @internal */
export interface Outside {
  startClock(limit: Limit): void
  stopClock(limit: Limit): void
  /** Time is up: to be told to `Core.expire` when it is this one's turn. */
  expired(limit: Limit): void
  /** Whether another event may follow the one that has been handled; what waits inside stays there. */
  goesOn(): boolean
  /** An event is put aside until the state changes. */
  putAside(occurrence: Occurrence): void
  /** Nobody waits for an event any more, so it is not handled. */
  forget(occurrence: Occurrence): void
  unhandled(occurrence: Occurrence, state: string): void
}

/** An effect to be run. `refusable`: its declared failure is the answer to the event. @internal */
export interface Wanted {
  readonly effect: Effect.Effect<unknown, unknown>
  readonly refusable: boolean
}

/** @internal */
export type Steps = Generator<Wanted, void, Exit.Exit<unknown, unknown>>

/** @internal */
export const NOBODY: Asker = { isGone: false, answer: () => undefined }

type To = Extract<AnyAction, { readonly _tag: "To" }>
type Order = Extract<AnyAction, { readonly _tag: "Limiting" }>["order"]

/** What a handler and the enter call after it have said. */
class Said {
  to: To | undefined = undefined
  postpone = false
  reenter = false
  stop: ExitReason | undefined = undefined
  inserted: Array<Event<string>> | undefined = undefined
  limits: Map<string, Order> | undefined = undefined
}

/** Where something was said, for those that have to mend it. */
interface Place {
  readonly state: string
  readonly event: string
}

/** The state it is in, and what it knows there. @internal */
export interface Standing {
  readonly state: string
  readonly data: unknown
}

/** @internal */
export class Core {
  state = ""
  data: unknown = undefined
  current: Occurrence | undefined = undefined
  /** Where it stood when the event at hand came. */
  private before: Standing | undefined = undefined
  /** Why it ended itself. */
  stopped: ExitReason | undefined = undefined
  /** What goes before the queue, the next one last. */
  private readonly front: Array<Occurrence> = []
  private readonly queue: Array<Occurrence> = []
  private head = 0
  private postponed: Array<Occurrence> = []
  /** How many are postponed when it is time to look for those that nobody waits for any more. */
  private sweepsAt = SWEEP
  private readonly limits = new Map<string, Limit>()
  private readonly machine: MachineImpl
  private readonly outside: Outside

  constructor(machine: MachineImpl, outside: Outside) {
    this.machine = machine
    this.outside = outside
  }

  private get definition(): Definition {
    return this.machine.definition
  }

  get isEmpty(): boolean {
    return this.front.length === 0 && this.head === this.queue.length
  }

  /** The events that wait for a change of state, the oldest first. */
  get waiting(): ReadonlyArray<string> {
    return this.postponed.filter(isWanted).map(({ tag }) => tag)
  }

  /** Enters the first state, or the one that it is to go on in, and goes on with what that inserts. */
  *start(from?: Standing): Steps {
    const { initial } = this.machine.table
    const said = new Said()
    const place = { state: "(initial)", event: "(start)" }
    for (const action of this.actions(initial, place)) {
      if (action._tag === "Run") yield* this.perform(action.effect as Effect.Effect<unknown, unknown>)
      else this.note(action, said, place)
    }
    // Looked for when the machine was made.
    const { data, state } = from ?? said.to!
    this.state = this.known(state, place)
    this.data = data
    if (this.enters(true, said)) yield* this.enter(this.state, said)
    this.conclude(true, said, undefined)
    yield* this.run()
  }

  /** An event from outside; it is handled by `run`. */
  push(occurrence: Occurrence): void {
    this.queue.push(occurrence)
  }

  /** The time of a limit is up and it is its turn. Whether it still is in force. */
  expire(limit: Limit): boolean {
    if (this.limits.get(limit.key) !== limit) return false
    this.queue.push(expiryOf(limit))
    return true
  }

  /** Somebody else puts it into a state: a change as any other, but for the enter call. What follows from it is for `run`. */
  replace({ data, state }: Standing): void {
    const changed = this.known(state, { state: this.state, event: "(replaced)" }) !== this.state
    this.state = state
    this.data = data
    this.conclude(changed, new Said(), undefined)
  }

  /** Handles all that waits inside. */
  *run(): Steps {
    for (let handled = 1; this.stopped === undefined && this.outside.goesOn(); handled++) {
      const occurrence = this.take()
      if (occurrence === undefined) return
      if (handled % BREATH === 0) yield { effect: Effect.yieldNow, refusable: false }
      if (!isWanted(occurrence)) {
        this.outside.forget(occurrence)
        continue
      }
      const { limit } = occurrence
      if (limit !== undefined && this.limits.get(limit.key) !== limit) continue
      if (limit !== undefined) this.limits.delete(limit.key)
      // Any event ends the limit for events.
      this.removeLimit(EVENT_LIMIT)
      // From here on a limit's event is one as any other, which may be postponed.
      this.current = limit === undefined ? occurrence : inserted(limit.event)
      this.before = { state: this.state, data: this.data }
      yield* this.handle(this.current)
      this.current = this.before = undefined
    }
  }

  /** Whether a failure is an answer that the event at hand declares. */
  isAnswer(cause: Cause.Cause<unknown>): boolean {
    const reason = cause.reasons.length === 1 ? cause.reasons[0]! : undefined
    if (this.current === undefined || reason?._tag !== "Fail") return false
    return this.definition.declares(this.current.tag, reason.error)
  }

  /** Gives up the event at hand, which has failed: as if it had not come. */
  abandon(): void {
    const { before } = this
    if (before !== undefined) {
      this.state = before.state
      this.data = before.data
    }
    this.current = this.before = undefined
  }

  /** Ends it: no limit is in force any more. What has come and was not handled, the oldest first. */
  end(): ReadonlyArray<Occurrence> {
    for (const key of [...this.limits.keys()]) this.removeLimit(key)
    const left = [...this.postponed, ...this.front.toReversed(), ...this.queue.slice(this.head)]
    this.postponed = []
    this.front.length = this.queue.length = this.head = 0
    return left
  }

  private take(): Occurrence | undefined {
    const first = this.front.pop()
    if (first !== undefined || this.head === this.queue.length) return first
    const next = this.queue[this.head++]
    if (this.head === this.queue.length) this.queue.length = this.head = 0
    return next
  }

  private putInFront(occurrences: ReadonlyArray<Occurrence>): void {
    for (let i = occurrences.length - 1; i >= 0; i--) this.front.push(occurrences[i]!)
  }

  private *handle(occurrence: Occurrence): Steps {
    const { definition, table } = this.machine
    const { asker, payload, tag } = occurrence
    const from = this.state
    const place = { state: from, event: tag }
    const reaction = own(table.on[from], tag) ?? own(table.any, tag)
    if (reaction === undefined) return this.outside.unhandled(occurrence, from)
    let result: unknown = reaction
    if (typeof reaction === "function") result = reaction(payload, this.data, { state: from, request: asker })
    if (isEffectful(result)) {
      const exit = yield { effect: toEffect(result), refusable: true }
      if (Exit.isFailure(exit)) return asker.answer(exit)
      result = exit.value
    }
    const said = new Said()
    for (const action of this.actions(result, place)) {
      if (action._tag === "Reply") asker.answer(Exit.succeed(action.value))
      else if (action._tag === "Fail") asker.answer(Exit.fail(action.error))
      else if (action._tag === "Run") {
        const exit = yield { effect: action.effect as Effect.Effect<unknown, unknown>, refusable: true }
        if (Exit.isFailure(exit)) return asker.answer(exit)
      } else this.note(action, said, place)
    }
    const changed = this.move(said, place)
    if (said.stop === undefined && this.enters(changed, said)) yield* this.enter(from, said)
    this.conclude(changed && said.stop === undefined, said, occurrence)
    if (!said.postpone && definition.answersWhenHandled(tag)) asker.answer(Exit.void)
  }

  /** Takes over the new state and data. Whether the state is another. */
  private move(said: Said, place: Place): boolean {
    const { to } = said
    if (to === undefined) return false
    const changed = this.known(to.state, place) !== this.state
    if (changed && !this.definition.allows(this.state, place.event, to.state)) {
      const { event, state } = place
      throw new IllegalTransition({ machine: this.definition.name, from: state, to: to.state, event })
    }
    this.state = to.state
    this.data = to.data
    return changed
  }

  /** Whether what was said calls for an enter call. */
  private enters(changed: boolean, said: Said): boolean {
    return (changed || said.reenter) && this.machine.table.enter?.[this.state] !== undefined
  }

  /** What follows the enter call: all that was noted. */
  private conclude(changed: boolean, said: Said, occurrence: Occurrence | undefined): void {
    if (said.postpone && occurrence !== undefined) this.postpone(occurrence)
    if (changed) {
      this.putInFront(this.postponed)
      this.postponed = []
      this.removeLimit(STATE_LIMIT)
    }
    if (said.inserted !== undefined) this.putInFront(said.inserted.map(inserted))
    if (said.limits !== undefined) for (const [key, order] of said.limits) this.limit(key, order)
    this.stopped = said.stop
  }

  /** Whoever asks again and again while nothing changes must not fill the memory: now and then those are forgotten that gave up. */
  private postpone(occurrence: Occurrence): void {
    if (this.postponed.length >= this.sweepsAt) {
      for (const each of this.postponed) if (!isWanted(each)) this.outside.forget(each)
      this.postponed = this.postponed.filter(isWanted)
      this.sweepsAt = Math.max(SWEEP, this.postponed.length * 2)
    }
    this.postponed.push(occurrence)
    this.outside.putAside(occurrence)
  }

  private *enter(from: string, said: Said): Steps {
    const { state } = this
    const entering = this.machine.table.enter?.[state]
    if (entering === undefined) return
    const place = { state, event: "(enter)" }
    let result: unknown = typeof entering === "function" ? entering(this.data, from) : entering
    if (isEffectful(result)) result = yield* this.perform(toEffect(result))
    if (result === undefined) return
    for (const action of this.actions(result, place)) {
      if (action._tag === "Run") yield* this.perform(action.effect as Effect.Effect<unknown, unknown>)
      else if (action._tag === "To" && action.state === state) this.data = action.data
      else if (noEntering.has(action._tag)) {
        throw this.invalid(place, action, "an enter call may not change the state, reply, postpone or insert")
      } else this.note(action, said, place)
    }
  }

  /** Runs an effect whose failure is a crash. */
  private *perform(effect: Effect.Effect<unknown, unknown>): Generator<Wanted, unknown, Exit.Exit<unknown, unknown>> {
    const exit = yield { effect, refusable: false }
    return Exit.isSuccess(exit) ? exit.value : undefined
  }

  /** Keeps what is to happen later; of what can only happen once, the last. */
  private note(action: AnyAction, said: Said, place: Place): void {
    switch (action._tag) {
      case "To":
        said.to = action
        return
      case "Late":
        return action.request.answer(action.exit)
      case "Postpone":
        said.postpone = action.postpone
        return
      case "Next":
        ;(said.inserted ??= []).push(this.knownEvent(action.event, place))
        return
      case "Reenter":
        said.reenter = true
        return
      case "Stop":
        said.stop = action.reason
        return
      case "Limiting":
        said.limits ??= new Map()
        said.limits.delete(action.key)
        said.limits.set(action.key, this.checked(action.order, place))
        return
      default:
        throw this.invalid(place, action, "this is nothing a machine can do here")
    }
  }

  private limit(key: string, order: Order): void {
    if (order._tag === "Cancel") return this.removeLimit(key)
    const running = this.limits.get(key)
    if (order._tag === "Update" && running !== undefined) {
      running.event = order.event
      return
    }
    this.removeLimit(key)
    const time = order._tag === "Update" ? NOW : timeOf(order.when)!
    if ("after" in time && time.after === Infinity) return
    const limit = new Limit(key, time, order.event, this.outside)
    this.limits.set(key, limit)
    if ("after" in time && time.after === 0) this.queue.push(expiryOf(limit))
    else this.outside.startClock(limit)
  }

  private removeLimit(key: string): void {
    const limit = this.limits.get(key)
    if (limit === undefined) return
    this.limits.delete(key)
    this.outside.stopClock(limit)
  }

  private checked(order: Order, place: Place): Order {
    if (order._tag === "Cancel") return order
    this.knownEvent(order.event, place)
    if (order._tag === "Set" && timeOf(order.when) === undefined) {
      throw this.invalid(place, order.when, "a time limit is a duration of 0 or more, or { at: a point in time }")
    }
    return order
  }

  private known(state: string, place: Place): string {
    if (this.definition.states.includes(state)) return state
    throw this.invalid(place, state, `a state is one of ${this.definition.states.join(", ")}`)
  }

  private knownEvent(event: Event<string>, place: Place): Event<string> {
    if (this.definition.hasEvent(event)) return event
    throw this.invalid(place, event, `an event is one of ${this.definition.events.tags.join(", ")}`)
  }

  private actions(result: unknown, place: Place): ReadonlyArray<AnyAction> {
    const list = isAction(result) ? [result] : result
    if (Array.isArray(list)) {
      for (const each of list) {
        const problem = problemOf(each)
        if (problem !== undefined) throw this.invalid(place, each, problem)
      }
      return list
    }
    throw this.invalid(place, result, "answer with what is to happen, or with stay")
  }

  private invalid(place: Place, value: unknown, problem: string): InvalidReaction {
    return new InvalidReaction({ machine: this.definition.name, ...place, value, problem })
  }
}

/** Events handled without a pause, so that a machine that keeps itself busy lets others in. */
const BREATH = 1_024
const SWEEP = 64
const NOW: Time = { after: 0 }

const isWanted = ({ asker }: Occurrence): boolean => !asker.isGone
const noEntering: ReadonlySet<string> = new Set(["To", "Reply", "Fail", "Postpone", "Next", "Reenter"])

/** Every object has a `constructor`, which is nobody's handler. */
const own = <A>(record: Readonly<Record<string, A>> | undefined, key: string): A | undefined =>
  record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined

const inserted = (event: Event<string>): Occurrence => ({
  tag: event._tag,
  payload: event.payload,
  asker: NOBODY,
  limit: undefined
})

const expiryOf = (limit: Limit): Occurrence => ({ ...inserted(limit.event), limit })

const timeOf = (when: When): Time | undefined => {
  if (typeof when === "object" && when !== null && "at" in when && typeof when.at !== "function") {
    const at = Option.map(DateTime.make(when.at), DateTime.toEpochMillis)
    return Option.isSome(at) ? { at: at.value } : undefined
  }
  const after = parseMillis(when as Duration.Input)
  return after === undefined ? undefined : { after }
}

const isEffectful = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !isAction(value) && (Effect.isEffect(value) || isGenerator(value))

const toEffect = (value: object): Effect.Effect<unknown, unknown> =>
  Effect.isEffect(value)
    ? (value as Effect.Effect<unknown, unknown>)
    : Effect.gen(() => value as Generator<Effect.Effect<unknown, unknown>, unknown, never>)

const isGenerator = (value: object): boolean =>
  Symbol.iterator in value && "next" in value && typeof value.next === "function"
