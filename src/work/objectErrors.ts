/**
 * What can go wrong with objects of a store, each as an error that says what to do next.
 */
import * as ByteSize from "effect/ByteSize"
import { format } from "effect/Formatter"
import * as Schema from "effect/Schema"

const sizeOf = (bytes: number): string =>
  Number.isFinite(bytes) ? ByteSize.format(ByteSize.bytes(bytes), { system: "decimal" }) : "unlimited"

/**
 * An object did not fit: `bytes` were asked for, `used` of `capacity` are in use by `objects` objects. Nothing was evicted
 * and nothing spilled. `memory` as the reason: the machine had none to give, whatever the capacity says.
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreFull extends Schema.TaggedError<StoreFull>()("StoreFull", {
  bytes: Schema.Number,
  capacity: Schema.Number,
  used: Schema.Number,
  objects: Schema.Int,
  reason: Schema.Literals(["capacity", "memory"])
}) {
  /** How many bytes were still free. */
  get free(): number {
    return this.capacity - this.used
  }

  override get message(): string {
    const asked = `no room for an object of ${sizeOf(this.bytes)}`
    const held = `${this.objects} objects hold ${sizeOf(this.used)} of ${sizeOf(this.capacity)}`
    return this.reason === "capacity"
      ? `${asked}: ${held}. Close Scopes that hold references, or give the store a larger capacity`
      : `${asked}: the machine has no memory for it, and ${held}. Close Scopes that hold references`
  }
}

/**
 * The store has been closed, or the connection of this thread to it.
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreClosed extends Schema.TaggedError<StoreClosed>()("StoreClosed", {}) {
  override get message(): string {
    return "the store has been closed, or the connection of this thread to it"
  }
}

/**
 * The last reference went, and the object with it.
 *
 * @category errors
 * @since 0.1.0
 */
export class Freed extends Schema.TaggedError<Freed>()("Freed", {}) {
  override get message(): string {
    return "its last reference is gone. Who is to use it longer than its sender holds it, or handOver it"
  }
}

/**
 * The object is another store's: `store` is the id of the store that was asked.
 *
 * @category errors
 * @since 0.1.0
 */
export class Foreign extends Schema.TaggedError<Foreign>()("Foreign", { store: Schema.String }) {
  override get message(): string {
    return `it belongs to another store than ${this.store}. Stores do not share objects`
  }
}

/**
 * What is in the store does not fit the schema that its reference was decoded with.
 *
 * @category errors
 * @since 0.1.0
 */
export class Undecodable extends Schema.TaggedError<Undecodable>()("Undecodable", { detail: Schema.String }) {
  override get message(): string {
    return `it does not fit the schema of the reference: ${this.detail}`
  }
}

/**
 * A port was asked for inside of a thread that uses the store by a port itself.
 *
 * @category errors
 * @since 0.1.0
 */
export class InsideThread extends Schema.TaggedError<InsideThread>()("InsideThread", {}) {
  override get message(): string {
    return "a thread cannot pass its store on: make the port where the layer of the store is, and send it along"
  }
}

/**
 * An object cannot be had, with the reason.
 *
 * @category errors
 * @since 0.1.0
 */
export class ObjectUnavailable extends Schema.TaggedError<ObjectUnavailable>()("ObjectUnavailable", {
  object: Schema.String,
  reason: Schema.Union([Freed, Foreign, StoreClosed, Undecodable])
}) {
  override get message(): string {
    return `object ${this.object}: ${this.reason.message}`
  }
}

/**
 * An option of a store that makes no sense. Thrown where it was given.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidOption extends Schema.TaggedError<InvalidOption>()("InvalidOption", {
  option: Schema.String,
  value: Schema.Unknown,
  problem: Schema.String
}) {
  override get message(): string {
    return `ObjectStore: ${this.option} ${this.problem}, got ${format(this.value)}`
  }
}
