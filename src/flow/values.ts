/**
 * The values of a state against its schemas: what an action is given, what it wrote, what goes to a store and comes from it.
 *
 * What enters a state is what its schema makes of it, and arrays and records in it are frozen: nobody who has read a state, or
 * has kept what it wrote, can change one.
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
  UnknownAction,
  UnknownInput,
  UnknownKey
} from "./errors.ts"

/** Values by key. A session replaces it at each step, and changes none. */
export interface Bag {
  readonly [key: string]: unknown
}

type Reason = StateError["reason"]

const failed = (flow: AnyFlow, where: string, reason: Reason): Effect.Effect<never, StateError> =>
  Effect.fail(new StateError({ flow: flow.name, where, reason }))

type Check = (value: unknown) => Result.Result<unknown, Schema.SchemaError>

const checks = new WeakMap<object, Check>()

const checkOf = (schema: Schema.Codec<unknown, unknown>): Check => {
  let check = checks.get(schema)
  if (check === undefined) checks.set(schema, (check = Schema.decodeUnknownResult(Schema.toType(schema))))
  return check
}

const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value)
  return Array.isArray(value) || prototype === Object.prototype || prototype === null
}

/** Frozen as deep as it is made of arrays and records. What is frozen already has been here. */
const frozen = <A>(value: A): A => {
  if (typeof value !== "object" || value === null || Object.isFrozen(value) || !isPlain(value)) return value
  Object.freeze(value)
  for (const each of Object.values(value)) frozen(each)
  return value
}

/** A value as a state holds it, or why it cannot. */
const owned = (
  schema: Schema.Codec<unknown, unknown>,
  key: string,
  value: unknown
): Result.Result<unknown, InvalidValue> =>
  Result.mapBoth(checkOf(schema)(value), {
    onFailure: ({ message }) => new InvalidValue({ key, value, issue: message }),
    onSuccess: frozen
  })

/** Takes over values by key, up to the first that cannot be. */
const takeOver = (
  keys: ReadonlyArray<string>,
  take: (key: string) => Result.Result<unknown, Reason>
): Result.Result<Bag, Reason> => {
  const bag: Record<string, unknown> = {}
  for (const key of keys) {
    const taken = take(key)
    if (Result.isFailure(taken)) return Result.fail(taken.failure)
    bag[key] = taken.success
  }
  return Result.succeed(Object.freeze(bag))
}

const settle = (flow: AnyFlow, where: string, bag: Result.Result<Bag, Reason>): Effect.Effect<Bag, StateError> =>
  Result.isSuccess(bag) ? Effect.succeed(bag.success) : failed(flow, where, bag.failure)

/** What one state is after another has been written into it. @internal */
export const merged = (state: Bag, written: Bag): Bag => Object.freeze({ ...state, ...written })

/** Some keys of a state, each of which must have been written. @internal */
export const pick = (
  flow: AnyFlow,
  where: string,
  keys: ReadonlyArray<string>,
  state: Bag
): Effect.Effect<Bag, StateError> =>
  settle(
    flow,
    where,
    takeOver(keys, (key) =>
      Object.hasOwn(state, key) ? Result.succeed(state[key]) : Result.fail(new NotWritten({ key }))
    )
  )

/** What an action is given: the keys it reads and its inputs, and nothing else. @internal */
export const readOf = (
  flow: AnyFlow,
  action: AnyAction,
  state: Bag,
  inputs: Bag | undefined
): Effect.Effect<Bag, StateError> =>
  Effect.flatMap(pick(flow, action.name, action.reads, state), (read) => {
    const keys = Object.keys(action.inputs)
    if (keys.length === 0) return Effect.succeed(read)
    const given = takeOver(keys, (key) =>
      inputs !== undefined && Object.hasOwn(inputs, key)
        ? owned(action.inputs[key]!, key, inputs[key])
        : Result.fail(new MissingInput({ key }))
    )
    return Effect.map(settle(flow, action.name, given), (bag) => merged(read, bag))
  })

/** What an action wrote: all that it declares, nothing else, each as its schema says. @internal */
export const writtenOf = (flow: AnyFlow, action: AnyAction, written: unknown): Effect.Effect<Bag, StateError> => {
  const bag = Object(written ?? {}) as Bag
  const undeclared = Reflect.ownKeys(bag).find((key) => typeof key === "symbol" || !action.writes.includes(key))
  if (undeclared !== undefined) return failed(flow, action.name, new UndeclaredWrite({ key: String(undeclared) }))
  const taken = takeOver(action.writes, (key) =>
    Object.hasOwn(bag, key) ? owned(flow.fields[key]!, key, bag[key]) : Result.fail(new MissingWrite({ key }))
  )
  return settle(flow, action.name, taken)
}

/** An item of a streaming action, as its schema says. @internal */
export const itemOf = (flow: AnyFlow, { item, name }: AnyAction, value: unknown): Result.Result<unknown, StateError> =>
  Result.mapError(
    Result.mapError(checkOf(item!)(value), ({ message }) => new InvalidValue({ key: "item", value, issue: message })),
    (reason) => new StateError({ flow: flow.name, where: name, reason })
  )

/** A state to begin with. @internal */
export const initialOf = (flow: AnyFlow, initial: Bag): Effect.Effect<Bag, StateError> =>
  settle(
    flow,
    "initial",
    takeOver(Object.keys(initial), (key) =>
      Object.hasOwn(flow.fields, key)
        ? owned(flow.fields[key]!, key, initial[key])
        : Result.fail(new UnknownKey({ key }))
    )
  )

// --- Names given to a run ---

/** Of some names, each must be that of an action. @internal */
export const namesOf = (
  flow: AnyFlow,
  where: string,
  names: ReadonlyArray<string> | undefined
): Effect.Effect<void, StateError> => {
  const known = flow.actions.map(({ name }) => name)
  const action = names?.find((name) => !known.includes(name))
  return action === undefined ? Effect.void : failed(flow, where, new UnknownAction({ action, known }))
}

/** Inputs are given to actions that there are, and are those that they take. @internal */
export const inputsOf = (
  flow: AnyFlow,
  inputs: { readonly [action: string]: Bag | undefined } | undefined
): Effect.Effect<void, StateError> => {
  if (inputs === undefined) return Effect.void
  return Effect.andThen(namesOf(flow, "inputs", Object.keys(inputs)), () => {
    for (const { inputs: taken, name } of flow.actions) {
      const key = Object.keys(inputs[name] ?? {}).find((each) => !Object.hasOwn(taken, each))
      if (key !== undefined) return failed(flow, name, new UnknownInput({ key }))
    }
    return Effect.void
  })
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
  Effect.mapBoth(Schema.decodeUnknownEffect(codecOf(flow.fields))(stored), {
    onFailure: ({ message }) => new CannotResume({ flow: flow.name, id, problem: message }),
    onSuccess: frozen
  })

/** The action a stored session did last. @internal */
export const lastOf = (flow: AnyFlow, id: string, last: string): Effect.Effect<AnyAction, CannotResume> =>
  Option.match(Option.fromUndefinedOr(flow.actions.find(({ name }) => name === last)), {
    onNone: () =>
      Effect.fail(
        new CannotResume({ flow: flow.name, id, problem: `its last action was ${last}, which the flow does not have` })
      ),
    onSome: Effect.succeed
  })
