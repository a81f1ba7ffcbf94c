/**
 * Looks over a machine where it is written, before anything of it runs. Types refuse all of this; it is for code without types.
 */
import { InvalidOption } from "./behaviorOptions.ts"
import { isAction } from "./machineActions.ts"
import type { AnyTable, AnyTransitions, Definition } from "./machineDefinition.ts"

type Refuse = (field: string, value: unknown, problem: string) => never

const refuserOf =
  (actor: string): Refuse =>
  (field, value, problem) => {
    throw new InvalidOption({ actor, field, value, problem })
  }

/** The names that are none of those known. */
const checkNames = (
  refuse: Refuse,
  field: string,
  record: object | undefined,
  known: ReadonlyArray<string>,
  problem = "must name one of"
): void => {
  const unknown = Object.keys(record ?? {}).find((name) => !known.includes(name))
  if (unknown !== undefined) refuse(field, unknown, `${problem} ${known.join(", ")}`)
}

const isRecord = (u: unknown): u is object => typeof u === "object" && u !== null

/** Throws for states, events and transitions that do not fit each other. @internal */
export const checkDesign = (
  { events, name, states, transitions }: Definition,
  declared: { readonly events: object; readonly internal: object | undefined }
): void => {
  const refuse = refuserOf(name)
  const twice = Object.keys(declared.internal ?? {}).find((tag) => Object.hasOwn(declared.events, tag))
  if (twice !== undefined) refuse("internal", twice, "must not be among the events that others can send")
  checkTransitions(refuse, transitions, states, events.tags)
}

const checkTransitions = (
  refuse: Refuse,
  transitions: AnyTransitions,
  states: ReadonlyArray<string>,
  tags: ReadonlyArray<string>
): void => {
  checkNames(refuse, "transitions", transitions, states, "must begin at one of")
  for (const [from, events] of Object.entries(transitions)) {
    checkNames(refuse, `transitions.${from}`, events, tags)
    for (const [event, to] of Object.entries(events)) {
      const unknown = (Array.isArray(to) ? to : [to]).find((state) => !states.includes(state))
      if (unknown !== undefined) refuse(`transitions.${from}.${event}`, unknown, `must be one of ${states.join(", ")}`)
    }
  }
}

/** Throws for a table that names what its machine does not have. @internal */
export const checkTable = ({ events, name, states }: Definition, table: AnyTable): void => {
  const refuse = refuserOf(name)
  const { any, enter, initial, on } = table
  const first = Array.isArray(initial) ? initial : [initial]
  if (!first.some((each) => isAction(each) && each._tag === "To")) {
    refuse("initial", initial, "must say with which state the machine starts")
  }
  if (!isRecord(on)) refuse("on", on, "must have the handlers of each state")
  checkNames(refuse, "on", on, states)
  for (const [state, reactions] of Object.entries(on)) checkNames(refuse, `on.${state}`, reactions, events.tags)
  checkNames(refuse, "any", any, events.tags)
  checkNames(refuse, "enter", enter, states)
}
