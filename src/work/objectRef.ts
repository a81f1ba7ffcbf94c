/**
 * References to objects: what they are in a program, and what they are outside of it.
 *
 * A reference is a small value that says of which store and which object it is. It never holds the object itself, so that
 * only counting decides how long that lives; the exception is one that was decoded of an object small enough to travel with it.
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Inspectable from "effect/Inspectable"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Scope from "effect/Scope"
import type { Covariant } from "effect/Types"
import { ObjectUnavailable, type StoreClosed, type StoreFull, Undecodable } from "./objectErrors.ts"
import type { Statistics } from "./objectMessages.ts"
import { bytesOf, kinds, type Shared, shareBytes, viewOf } from "./sharedMemory.ts"

const TypeId = "~effect-otp/ObjectRef"

/** A reference to an object of type `A`. */
export interface ObjectRef<out A> extends Equal.Equal, Inspectable.Inspectable {
  readonly [TypeId]: { readonly _A: Covariant<A> }
  /** The store and the number of the object in it. Two references with the same id are equal. */
  readonly id: string
  /** How large the object is, as the store counts it. */
  readonly bytes: number
}

/** What the schema of a reference says of the object. */
export type ObjectSchema = Schema.Codec<unknown, unknown>

/** A store as references use it: the one of the process, or a thread's way to it. */
export interface Store {
  readonly id: string
  /** Objects of fewer bytes travel inside their references. */
  readonly threshold: number
  readonly put: (
    value: unknown,
    bytes: number | undefined,
    label: string | undefined
  ) => Effect.Effect<ObjectRef<never>, StoreFull | StoreClosed, Scope.Scope>
  readonly get: (handle: Handle) => Effect.Effect<unknown, ObjectUnavailable>
  readonly hold: (handle: Handle) => Effect.Effect<void, ObjectUnavailable, Scope.Scope>
  readonly handOver: (handle: Handle, millis: number) => Effect.Effect<void, ObjectUnavailable>
  readonly statistics: Effect.Effect<Statistics, StoreClosed>
  /** The bytes of an object that has been put here, as they are to travel: in shared memory unless they are few. */
  readonly publish: (handle: Handle, schema: ObjectSchema) => Effect.Effect<Shared, unknown>
}

/** What a reference knows of its object. */
export interface Handle {
  readonly store: string
  readonly object: number
  readonly bytes: number
  /** Where it was put. Absent in what was decoded, which is encoded again as it came. */
  readonly home?: Store
  /** How to read what another thread has encoded. */
  readonly schema?: ObjectSchema
  /** The object itself, where it travelled with its reference. */
  readonly inline?: Inline
}

interface Inline {
  readonly value: unknown
  readonly encoded: typeof EncodedInline.Type
}

class RefImpl implements ObjectRef<never> {
  declare readonly [TypeId]: { readonly _A: Covariant<never> }
  readonly id: string
  readonly bytes: number
  /** Out of sight for whoever prints, compares or clones it. */
  readonly #handle: Handle

  constructor(handle: Handle) {
    this.id = idOf(handle)
    this.bytes = handle.bytes
    this.#handle = handle
  }

  static handleOf(ref: ObjectRef<unknown>): Handle {
    return (ref as RefImpl).#handle
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return isObjectRef(that) && that.id === this.id
  }

  [Hash.symbol](): number {
    return Hash.string(this.id)
  }

  toJSON() {
    return { _id: "ObjectRef", id: this.id, bytes: this.bytes }
  }

  toString(): string {
    return `ObjectRef(${this.id}, ${this.bytes} bytes)`
  }

  [Inspectable.NodeInspectSymbol]() {
    return this.toJSON()
  }
}

Object.assign(RefImpl.prototype, { [TypeId]: { _A: (_: never) => _ } })

export const isObjectRef = (value: unknown): value is ObjectRef<unknown> => value instanceof RefImpl

export const makeRef = (handle: Handle): ObjectRef<never> => new RefImpl(handle)

export const handleOf = RefImpl.handleOf

export const idOf = ({ object, store }: Pick<Handle, "object" | "store">): string => `${store}/${object}`

/** The object of a reference cannot be had. */
export const unavailable = (handle: Handle, reason: ObjectUnavailable["reason"]): ObjectUnavailable =>
  new ObjectUnavailable({ object: idOf(handle), reason })

/** The bytes of a value that is no buffer, in no shared memory yet. */
export const encodeValue = (schema: ObjectSchema, value: unknown): Effect.Effect<Uint8Array, Schema.SchemaError> =>
  Schema.encodeUnknownEffect(SchemaBinary.toCodec(schema))(value)

const decodeValue = (schema: ObjectSchema, bytes: Uint8Array): Effect.Effect<unknown, Schema.SchemaError> =>
  Schema.decodeUnknownEffect(SchemaBinary.toCodec(schema))(bytes)

/** An object where it is used. */
export interface Source {
  /** As it was put here, or as it was read: with the schema it was decoded by, where it was. */
  value: { readonly it: unknown; readonly schema?: ObjectSchema } | undefined
  readonly shared: Shared | undefined
}

/** The object: as it was put here, a view on its memory, or decoded from there, once for a schema. */
export const read = (source: Source, schema: ObjectSchema | undefined): Effect.Effect<unknown, Undecodable> => {
  const { shared, value } = source
  if (value !== undefined && (schema === undefined || shared === undefined)) return Effect.succeed(value.it)
  if (shared === undefined) return Effect.fail(new Undecodable({ detail: "it was never encoded" }))
  if (shared.kind !== "encoded") {
    const view = (source.value ??= { it: viewOf(shared) })
    if (schema === undefined || Schema.is(schema)(view.it)) return Effect.succeed(view.it)
    return Effect.fail(new Undecodable({ detail: `it is a ${shared.kind}` }))
  }
  if (value !== undefined && (value.schema === undefined || value.schema === schema)) return Effect.succeed(value.it)
  if (schema === undefined) return Effect.fail(new Undecodable({ detail: "it was decoded without one" }))
  return Effect.mapBoth(decodeValue(schema, bytesOf(shared)), {
    onFailure: (error) => new Undecodable({ detail: error.message }),
    onSuccess: (it) => (source.value = { it, schema }).it
  })
}

const EncodedInline = Schema.Struct({ kind: Schema.Literals(kinds), data: Schema.String })

/** A reference outside of its program. `inline` is the object itself, in Base64, where it is small. */
export const Encoded = Schema.Struct({
  store: Schema.String,
  object: Schema.Int,
  bytes: Schema.Finite,
  inline: Schema.optionalKey(EncodedInline)
})

type Encoded = typeof Encoded.Type

const issue = (message: string): SchemaIssue.Issue => new SchemaIssue.InvalidValue({ message })

const messageOf = (error: unknown): string => (Predicate.isError(error) ? error.message : String(error))

const encodeRef = (ref: ObjectRef<unknown>, schema: ObjectSchema): Effect.Effect<Encoded, SchemaIssue.Issue> => {
  const handle = handleOf(ref)
  const { bytes, home, inline, object, store } = handle
  if (inline !== undefined) return Effect.succeed({ store, object, bytes, inline: inline.encoded })
  if (home === undefined) return Effect.succeed({ store, object, bytes })
  return Effect.mapBoth(home.publish(handle, schema), {
    onFailure: (error) => issue(messageOf(error)),
    onSuccess: (shared): Encoded =>
      shared.bytes >= home.threshold
        ? { store, object, bytes }
        : { store, object, bytes, inline: { kind: shared.kind, data: Base64.encode(bytesOf(shared)) } }
  })
}

const decodeRef = (encoded: Encoded, schema: ObjectSchema): Effect.Effect<ObjectRef<never>, SchemaIssue.Issue> => {
  const { bytes, inline, object, store } = encoded
  if (inline === undefined) return Effect.succeed(makeRef({ store, object, bytes, schema }))
  const data = Base64.decode(inline.data)
  if (Result.isFailure(data)) return Effect.fail(issue(data.failure.message))
  return Effect.mapBoth(
    Effect.suspend(() => read({ value: undefined, shared: shareBytes(inline.kind, data.success) }, schema)),
    {
      onFailure: (error) => issue(error.message),
      onSuccess: (value) => makeRef({ store, object, bytes, inline: { value, encoded: inline } })
    }
  )
}

/** The schema of references to what `schema` describes. */
export interface Ref<S extends ObjectSchema> extends Schema.decodeTo<
  Schema.declare<ObjectRef<S["Type"]>>,
  typeof Encoded
> {}

export const Ref = <S extends ObjectSchema>(schema: S): Ref<S> =>
  Schema.declare((value): value is ObjectRef<S["Type"]> => isObjectRef(value), { expected: "ObjectRef" }).pipe(
    Schema.encodeTo(Encoded, {
      decode: SchemaGetter.transformEffect((encoded: Encoded) => decodeRef(encoded, schema)),
      encode: SchemaGetter.transformEffect((ref: ObjectRef<S["Type"]>) => encodeRef(ref, schema))
    })
  )
