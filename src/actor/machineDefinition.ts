/**
 * A state machine as its core uses it: what it is made of, and what may not happen in it.
 */
import * as Schema from "effect/Schema"
import { format } from "effect/Formatter"
import type { Asker, AnyAction, Event } from "./machineActions.ts"
import type { Compiled } from "./Protocol.ts"

/**
 * A machine went to a state that its transitions do not name. Types refuse it; this is for code without types.
 *
 * @category errors
 * @since 0.1.0
 */
export class IllegalTransition extends Schema.TaggedError<IllegalTransition>()("IllegalTransition", {
  machine: Schema.String,
  from: Schema.String,
  to: Schema.String,
  event: Schema.String
}) {
  override get message(): string {
    const { event, from, machine, to } = this
    return `${machine}: ${event} may not lead from ${from} to ${to}; add it to transitions: { ${from}: { ${event}: "${to}" } }`
  }
}

/**
 * A handler or an enter call answered with something that a machine cannot do.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidReaction extends Schema.TaggedError<InvalidReaction>()("InvalidReaction", {
  machine: Schema.String,
  state: Schema.String,
  event: Schema.String,
  value: Schema.Unknown,
  problem: Schema.String
}) {
  override get message(): string {
    const { event, machine, problem, state, value } = this
    return `${machine}, ${event} in ${state}: ${problem}, got ${format(value)}`
  }
}

/**
 * A state has no handler for the event, and nor has the machine for any state. Who asked is told so, as the cause of a
 * `HandlerFailed`; the machine goes on.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnhandledEvent extends Schema.TaggedError<UnhandledEvent>()("UnhandledEvent", {
  machine: Schema.String,
  state: Schema.String,
  event: Schema.String
}) {
  override get message(): string {
    const { event, machine, state } = this
    return `${machine} does not handle ${event} in ${state}: give it a handler there, postpone it, or handle it under any`
  }
}

/** What a machine does about an event. @internal */
export type AnyReaction =
  | AnyAction
  | ReadonlyArray<AnyAction>
  | ((payload: unknown, data: unknown, here: { readonly state: string; readonly request: Asker }) => unknown)

/** @internal */
export type AnyEntering = AnyAction | ReadonlyArray<AnyAction> | ((data: unknown, from: string) => unknown)

/** @internal */
export interface AnyTable {
  readonly initial: AnyAction | ReadonlyArray<AnyAction>
  readonly on: Readonly<Record<string, Readonly<Record<string, AnyReaction | undefined>> | undefined>>
  readonly any?: Readonly<Record<string, AnyReaction | undefined>>
  readonly enter?: Readonly<Record<string, AnyEntering | undefined>>
}

/** @internal */
export type AnyTransitions = Readonly<Record<string, Readonly<Record<string, string | ReadonlyArray<string>>>>>

const mapOf = <A, B>(record: Readonly<Record<string, A>>, f: (a: A) => B): ReadonlyMap<string, B> =>
  new Map(Object.entries(record).map(([key, value]) => [key, f(value)]))

/** What a class of machines has in common. @internal */
export class Definition {
  readonly name: string
  readonly states: ReadonlyArray<string>
  readonly events: Compiled
  readonly transitions: AnyTransitions
  private readonly numbers: ReadonlyMap<string, number>
  private readonly targets: ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>

  constructor(name: string, states: ReadonlyArray<string>, events: Compiled, transitions: AnyTransitions) {
    this.name = name
    this.states = states
    this.events = events
    this.transitions = transitions
    this.numbers = new Map(events.tags.map((tag, number) => [tag, number]))
    this.targets = mapOf(transitions, (events) => mapOf(events, (to) => new Set(typeof to === "string" ? [to] : to)))
  }

  allows(from: string, event: string, to: string): boolean {
    return this.targets.get(from)?.get(event)?.has(to) === true
  }

  hasEvent(event: Event<string>): boolean {
    return this.numbers.has(event?._tag)
  }

  /** An event without a reply of its own is answered when it is handled. */
  answersWhenHandled(tag: string): boolean {
    const event = this.events.protocol[tag]
    return event?.success === undefined && event?.stream !== true
  }

  declares(tag: string, error: unknown): boolean {
    const number = this.numbers.get(tag)
    return number !== undefined && this.events.declares(number, error)
  }
}

/** A machine, ready to run, to be stepped and to be drawn. @internal */
export class MachineImpl {
  declare readonly "~D": never
  declare readonly "~E": () => never
  declare readonly "~R": () => never
  readonly definition: Definition
  readonly table: AnyTable
  constructor(definition: Definition, table: AnyTable) {
    this.definition = definition
    this.table = table
  }
}
