/**
 * The values of a state against its schemas: what an action is given, what it wrote, what goes to a store and comes from it.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { AnyAction, AnyFlow, Fields } from "./declaration.ts"
import {
  CannotResume,
  FlowStoreError,
  InvalidValue,
  MissingInput,
  MissingWrite,
  NotWritten,
  StateError,
  UndeclaredWrite,
  UnknownKey
} from "./errors.ts"

/** Values by key. A session replaces it at each step, and changes none. */
export interface Bag {
  readonly [key: string]: unknown
}

type Reason = StateError["reason"]

const failed = (flow: AnyFlow, where: string, reason: Reason): Effect.Effect<never, StateError> =>
  Effect.fail(new StateError({ flow: flow.name, where, reason }))

const settle = (flow: AnyFlow, where: string, reason: Reason | undefined, bag: Bag): Effect.Effect<Bag, StateError> =>
  reason === undefined ? Effect.succeed(bag) : failed(flow, where, reason)

type Check = (value: unknown) => Result.Result<unknown, Schema.SchemaError>

const checks = new WeakMap<object, Check>()

const checkOf = (schema: Schema.Codec<unknown, unknown>): Check => {
  let check = checks.get(schema)
  if (check === undefined) checks.set(schema, (check = Schema.decodeUnknownResult(Schema.toType(schema))))
  return check
}

/** Whether a value is what its schema says. It stays the sender's own. */
const invalid = (fields: Fields, key: string, value: unknown): InvalidValue | undefined => {
  const checked = checkOf(fields[key]!)(value)
  return Result.isSuccess(checked) ? undefined : new InvalidValue({ key, value, issue: checked.failure.message })
}

/** Some keys of a state, each of which must have been written. @internal */
export const pick = (
  flow: AnyFlow,
  where: string,
  keys: ReadonlyArray<string>,
  state: Bag
): Effect.Effect<Bag, StateError> => {
  const picked: Record<string, unknown> = {}
  for (const key of keys) {
    if (!Object.hasOwn(state, key)) return failed(flow, where, new NotWritten({ key }))
    picked[key] = state[key]
  }
  return Effect.succeed(picked)
}

/** What an action is given: the keys it reads and its inputs, and nothing else. @internal */
export const readOf = (
  flow: AnyFlow,
  action: AnyAction,
  state: Bag,
  inputs: Bag | undefined
): Effect.Effect<Bag, StateError> =>
  Effect.flatMap(pick(flow, action.name, action.reads, state), (read) => {
    const given: Record<string, unknown> = { ...read }
    for (const key of Object.keys(action.inputs)) {
      if (inputs === undefined || !Object.hasOwn(inputs, key)) {
        return failed(flow, action.name, new MissingInput({ key }))
      }
      const problem = invalid(action.inputs, key, inputs[key])
      if (problem !== undefined) return failed(flow, action.name, problem)
      given[key] = inputs[key]
    }
    return Effect.succeed<Bag>(given)
  })

/** What an action wrote: all that it declares, nothing else, each as its schema says. @internal */
export const writtenOf = (flow: AnyFlow, action: AnyAction, written: unknown): Effect.Effect<Bag, StateError> => {
  const bag = (written ?? {}) as Bag
  return settle(flow, action.name, writeProblem(flow.fields, action, bag), bag)
}

const writeProblem = (fields: Fields, { writes }: AnyAction, bag: Bag): Reason | undefined => {
  for (const key of Object.keys(bag)) if (!writes.includes(key)) return new UndeclaredWrite({ key })
  for (const key of writes) {
    if (!Object.hasOwn(bag, key)) return new MissingWrite({ key })
    const problem = invalid(fields, key, bag[key])
    if (problem !== undefined) return problem
  }
  return undefined
}

/** A state to begin with. @internal */
export const initialOf = (flow: AnyFlow, initial: Bag): Effect.Effect<Bag, StateError> => {
  const problem = Object.keys(initial)
    .map((key): Reason | undefined =>
      Object.hasOwn(flow.fields, key) ? invalid(flow.fields, key, initial[key]) : new UnknownKey({ key })
    )
    .find((reason) => reason !== undefined)
  return settle(flow, "initial", problem, { ...initial })
}

// --- Stores ---

const codecs = new WeakMap<object, Schema.Codec<Bag, Schema.Json>>()

/** A state as JSON, in which any key may be absent. */
const codecOf = (fields: Fields): Schema.Codec<Bag, Schema.Json> => {
  let codec = codecs.get(fields)
  if (codec === undefined) {
    const partial = Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, Schema.optionalKey(field)]))
    codec = Schema.toCodecJson(Schema.Struct(partial)) as unknown as Schema.Codec<Bag, Schema.Json>
    codecs.set(fields, codec)
  }
  return codec
}

/** @internal */
export const encode = (flow: AnyFlow, id: string, state: Bag): Effect.Effect<Schema.Json, FlowStoreError> =>
  Effect.mapError(
    Schema.encodeEffect(codecOf(flow.fields))(state),
    (cause) => new FlowStoreError({ flow: flow.name, id, operation: "save", cause })
  )

/** @internal */
export const decode = (flow: AnyFlow, id: string, stored: unknown): Effect.Effect<Bag, CannotResume> =>
  Effect.mapError(
    Schema.decodeUnknownEffect(codecOf(flow.fields))(stored),
    ({ message }) => new CannotResume({ flow: flow.name, id, problem: message })
  )

/** The action a stored session did last. @internal */
export const lastOf = (flow: AnyFlow, id: string, last: string): Effect.Effect<AnyAction, CannotResume> =>
  Option.match(Option.fromUndefinedOr(flow.actions.find(({ name }) => name === last)), {
    onNone: () =>
      Effect.fail(
        new CannotResume({ flow: flow.name, id, problem: `its last action was ${last}, which the flow does not have` })
      ),
    onSome: Effect.succeed
  })
