/**
 * References to objects: what they are in a program, and what they are outside of it.
 *
 * A reference is a small value that says of which store and which object it is. It never holds the object itself, so that
 * only counting decides how long that lives. The exceptions: one that was decoded of an object small enough to travel with
 * it, and one that a thread hands over, for as long as it has not left the thread.
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
  readonly handOver: (handle: Handle, millis: number) => Effect.Effect<ObjectRef<never>, ObjectUnavailable>
  /** Ends the hand-over that a reference came by, which its receiver does not need. */
  readonly arrive: (handle: Handle) => void
  readonly statistics: Effect.Effect<Statistics, StoreClosed>
  /** The bytes of an object that has been put here, as they are to travel: in shared memory unless they are few. */
  readonly publish: (handle: Handle, schema: ObjectSchema) => Effect.Effect<Shared, unknown>
}

/** What a reference knows of its object. */
export interface Handle {
  readonly store: string
  readonly object: number
  readonly bytes: number
  /** The number of the hand-over that it came by: of the counted reference that is the first holder's. */
  readonly sent?: number
  /** Where it was put. Absent in what was decoded, which is encoded again as it came. */
  readonly home?: Store
  /** The object where a thread has handed it over, which lets go of it before it is encoded. */
  readonly source?: Source
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
export const encodeValue = (schema: ObjectSchema, value: unknown): Effect.Effect<Uint8Array, Error> =>
  Effect.flatMap(codecOf(schema), (codec) => Schema.encodeUnknownEffect(codec)(value))

const decodeValue = (schema: ObjectSchema, bytes: Uint8Array): Effect.Effect<unknown, Error> =>
  Effect.flatMap(codecOf(schema), (codec) => Schema.decodeUnknownEffect(codec)(bytes))

/** A schema may say what a value is and not how to write it: a view on shared memory, or what only this program knows. */
const codecOf = (schema: ObjectSchema) =>
  Effect.try({
    try: () => SchemaBinary.toCodec(schema),
    catch: (error) => new Error(`the schema of the reference has no encoding (${messageOf(error)})`)
  })

/** An object where it is used. */
export interface Source {
  /** As it was put here, or as it was read: with the schema it was decoded by, where it was. */
  value: { readonly it: unknown; readonly schema?: ObjectSchema } | undefined
  shared: Shared | undefined
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

/** A reference outside of its program. `sent`: by which hand-over. `inline`: the object itself, in Base64, where it is small. */
export const Encoded = Schema.Struct({
  store: Schema.String,
  object: Schema.Int,
  bytes: Schema.Finite,
  sent: Schema.optionalKey(Schema.Int),
  inline: Schema.optionalKey(EncodedInline)
})

type Encoded = typeof Encoded.Type

const issue = (message: string): SchemaIssue.Issue => new SchemaIssue.InvalidValue({ message })

const messageOf = (error: unknown): string => (Predicate.isError(error) ? error.message : String(error))

const encodeRef = (ref: ObjectRef<unknown>, schema: ObjectSchema): Effect.Effect<Encoded, SchemaIssue.Issue> => {
  const handle = handleOf(ref)
  const { bytes, home, inline, object, sent, store } = handle
  const encoded: Encoded = { store, object, bytes, ...(sent === undefined ? {} : { sent }) }
  if (inline !== undefined) return Effect.succeed({ ...encoded, inline: inline.encoded })
  if (home === undefined) return Effect.succeed(encoded)
  return Effect.mapBoth(home.publish(handle, schema), {
    onFailure: (error) => issue(messageOf(error)),
    onSuccess: (shared): Encoded =>
      shared.bytes >= home.threshold
        ? encoded
        : { ...encoded, inline: { kind: shared.kind, data: Base64.encode(bytesOf(shared)) } }
  })
}

const decodeRef = (encoded: Encoded, schema: ObjectSchema): Effect.Effect<ObjectRef<never>, SchemaIssue.Issue> => {
  const { inline, ...handle } = encoded
  if (inline === undefined) return Effect.succeed(makeRef({ ...handle, schema }))
  const data = Base64.decode(inline.data)
  if (Result.isFailure(data)) return Effect.fail(issue(data.failure.message))
  return Effect.mapBoth(
    Effect.suspend(() => read({ value: undefined, shared: shareBytes(inline.kind, data.success) }, schema)),
    {
      onFailure: (error) => issue(error.message),
      onSuccess: (value) => makeRef({ ...handle, inline: { value, encoded: inline } })
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
