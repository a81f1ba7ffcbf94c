/**
 * A store for large values: put one once, pass references, and it is freed when the last reference goes.
 *
 * A reference belongs to the Scope in which it was taken: to that of an actor when taken in its init or its handlers, to that
 * of a request inside `Effect.scoped`. References are counted; there is no garbage collector in this, so what is held is
 * known at any time (`statistics`), and a store that is full refuses, with `StoreFull`: it never evicts, and never spills.
 *
 * Buffers and views on them are copied once, when they are put, into memory that all threads see, and `get` gives a view on
 * that memory: no copy inside the process, and none to a worker thread. Other values are handed out as they are, inside the
 * process; for other threads their schema encodes them, once.
 *
 * Treat objects as values: what one user writes into a shared buffer all others see, at once and in any order (use Atomics
 * to agree on it), and an object smaller than the threshold travels as a copy.
 *
 * **Example** (A picture for many)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, ObjectStore } from "effect-otp"
 *
 * const Pixels = ObjectStore.Ref(ObjectStore.View(Float32Array))
 * class Painter extends Actor.Service<Painter>()("docs/Painter", {
 *   Brightness: { payload: { pixels: Pixels }, success: Schema.Finite, error: ObjectStore.ObjectUnavailable }
 * }) {}
 *
 * const PainterLive = Painter.behavior(Effect.succeed(Painter.of({
 *   Brightness: ({ pixels }) =>
 *     Effect.map(ObjectStore.get(pixels), (values) => values.reduce((a, b) => a + b) / values.length)
 * })))
 *
 * const program = Effect.gen(function*() {
 *   const painter = yield* Actor.spawn(PainterLive)
 *   const pixels = yield* ObjectStore.put(Float32Array.of(0, 1, 0.5, 0.5))
 *   return yield* painter.ask.Brightness({ pixels })
 * })
 * const Store = ObjectStore.layer({ capacity: "1 GB" })
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Store))) // => 0.5
 * ```
 */
import * as ByteSize from "effect/ByteSize"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { MessagePort } from "node:worker_threads"
import { limitMillis } from "../actor/limit.ts"
import { type ChildSpec, service } from "../supervision/Supervisor.ts"
import { InsideThread, InvalidOption, type ObjectUnavailable, StoreClosed, type StoreFull } from "./objectErrors.ts"
import { connect } from "./objectGuest.ts"
import { Home } from "./objectHome.ts"
import type { Statistics } from "./objectMessages.ts"
import * as Refs from "./objectRef.ts"
import { isBinary, isDetached, isSharedAs, kindFrom } from "./sharedMemory.ts"

export {
  /** The object of a reference cannot be had. @since 0.1.0 */
  ObjectUnavailable,
  /** A full store refuses. @since 0.1.0 */
  StoreFull,
  /** The store, or the connection to it, is closed. @since 0.1.0 */
  StoreClosed,
  /** A thread cannot pass its store on. @since 0.1.0 */
  InsideThread,
  /** The last reference is gone. @since 0.1.0 */
  Freed,
  /** The object is another store's. @since 0.1.0 */
  Foreign,
  /** The object does not fit the schema of its reference. @since 0.1.0 */
  Undecodable,
  /** An option that no store can have. @since 0.1.0 */
  InvalidOption
} from "./objectErrors.ts"
export type { ObjectStatistics, Statistics } from "./objectMessages.ts"

/**
 * A reference to an object of type `A`. Two are equal when they mean the same object; printed they never show it.
 *
 * @category models
 * @since 0.1.0
 */
export type ObjectRef<A> = Refs.ObjectRef<A>

/**
 * Whether a value is a reference.
 *
 * @category guards
 * @since 0.1.0
 */
export const isObjectRef: (value: unknown) => value is ObjectRef<unknown> = Refs.isObjectRef

/**
 * The schema of references to what `schema` describes, for the messages of an actor. Outside of the process a reference is
 * small plain data, JSON too: the store, the number of the object, and the object itself where that is smaller than the
 * threshold. Encoding one puts values that are no buffers into shared memory, once, which counts and may find the store full.
 *
 * **Example** (A reference outside of the process)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { ObjectStore } from "effect-otp"
 *
 * const Model = ObjectStore.Ref(ObjectStore.View(Float32Array))
 * const program = Effect.gen(function*() {
 *   const ref = yield* ObjectStore.put(new Float32Array(50_000))
 *   const { bytes, object } = yield* Schema.encodeEffect(Model)(ref)
 *   return { bytes, object }
 * })
 * const Store = ObjectStore.layer({ capacity: "1 MB" })
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Store))) // => { bytes: 200_000, object: 1 }
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const Ref: <S extends ObjectSchema>(schema: S) => Refs.Ref<S> = Refs.Ref

/**
 * What references may lead to: any schema that needs no services.
 *
 * @category schemas
 * @since 0.1.0
 */
export type ObjectSchema = Refs.ObjectSchema

/**
 * The schema of buffers as they are in a store, by what is put: `View(Float32Array)`, `View(ArrayBuffer)`. A Node `Buffer` is a
 * `Uint8Array` there.
 *
 * @category schemas
 * @since 0.1.0
 */
export const View = <A extends ArrayBufferView | ArrayBufferLike>(
  kind: new (...args: never) => A
): Schema.declare<Shared<A>> => {
  const name = kindFrom(kind)
  const is = (value: unknown): value is Shared<A> => isSharedAs(value, name)
  return Schema.declare(is, { expected: `a shared ${name}` })
}

/**
 * What an object is once it is in the store: buffers, and views on them, are in shared memory; all else is what it was.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Shared<A> = A extends ArrayBuffer
  ? SharedArrayBuffer
  : A extends Int8Array
    ? Int8Array<SharedArrayBuffer>
    : A extends Uint8Array
      ? Uint8Array<SharedArrayBuffer>
      : A extends Uint8ClampedArray
        ? Uint8ClampedArray<SharedArrayBuffer>
        : A extends Int16Array
          ? Int16Array<SharedArrayBuffer>
          : A extends Uint16Array
            ? Uint16Array<SharedArrayBuffer>
            : A extends Int32Array
              ? Int32Array<SharedArrayBuffer>
              : A extends Uint32Array
                ? Uint32Array<SharedArrayBuffer>
                : A extends Float32Array
                  ? Float32Array<SharedArrayBuffer>
                  : A extends Float64Array
                    ? Float64Array<SharedArrayBuffer>
                    : A extends BigInt64Array
                      ? BigInt64Array<SharedArrayBuffer>
                      : A extends BigUint64Array
                        ? BigUint64Array<SharedArrayBuffer>
                        : A extends DataView
                          ? DataView<SharedArrayBuffer>
                          : A

/**
 * How large a store may get.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What all objects together may take: bytes, or a text such as "2 GB". */
  readonly capacity: ByteSize.Input
  /**
   * Objects of fewer bytes travel to other threads inside their references, as copies; 0: none does. Inside the process
   * nothing is copied in either case. Default 100,000.
   */
  readonly threshold?: ByteSize.Input
}

/**
 * What may be said of an object that is put.
 *
 * @category models
 * @since 0.1.0
 */
export interface PutOptions {
  /**
   * What it counts as. Default: its length for buffers and views; a measure of its texts, numbers, arrays, objects, maps and
   * sets otherwise, in which functions and private fields count as nothing, so say it where those hold much.
   */
  readonly bytes?: ByteSize.Input
  /** What it is called in statistics. */
  readonly label?: string
}

/**
 * A store of large values.
 *
 * @category services
 * @since 0.1.0
 */
export class ObjectStore extends Context.Service<
  ObjectStore,
  {
    /** The id of the store: the same in all threads that use it. */
    readonly id: string
    /** Puts a value; the reference is the Scope's. */
    readonly put: <A>(
      value: A,
      options?: PutOptions
    ) => Effect.Effect<ObjectRef<Shared<A>>, StoreFull | StoreClosed, Scope.Scope>
    /** The object of a reference, not copied. */
    readonly get: <A>(ref: ObjectRef<A>) => Effect.Effect<A, ObjectUnavailable>
    /** Counts one reference more until the Scope closes. */
    readonly hold: <A>(ref: ObjectRef<A>) => Effect.Effect<void, ObjectUnavailable, Scope.Scope>
    /** A reference to send, which keeps the object until its receiver holds it, for as long as `within`. */
    readonly handOver: <A>(
      ref: ObjectRef<A>,
      options?: { readonly within?: Duration.Input }
    ) => Effect.Effect<ObjectRef<A>, ObjectUnavailable>
    /** How full it is, and of what. */
    readonly statistics: Effect.Effect<Statistics, StoreClosed>
    /** A port by which one thread uses this store. */
    readonly port: Effect.Effect<MessagePort, StoreClosed | InsideThread, Scope.Scope>
  }
>()("effect-otp/ObjectStore") {}

const bytesOf = (option: string, input: unknown): number => {
  if (input === Infinity && option !== "bytes") return Infinity
  const bytes = ByteSize.fromInput(input as number)
  if (Option.isSome(bytes)) return Number(bytes.value)
  throw new InvalidOption({ option, value: input, problem: 'must be a size in bytes, such as 1_000_000 or "2 GB"' })
}

const serviceOf = (store: Refs.Store, port: ObjectStore["Service"]["port"]): ObjectStore["Service"] =>
  ObjectStore.of({
    id: store.id,
    put: (value, options = {}) =>
      Effect.suspend(() => {
        if (isBinary(value) && isDetached(value)) {
          throw new InvalidOption({ option: "value", value, problem: "must be a buffer that has not been transferred" })
        }
        const bytes = options.bytes === undefined ? undefined : bytesOf("bytes", options.bytes)
        return store.put(value, bytes, options.label)
      }),
    get: <A>(ref: ObjectRef<A>) =>
      Effect.suspend(() => {
        const handle = Refs.handleOf(ref)
        return handle.inline === undefined ? store.get(handle) : Effect.succeed(handle.inline.value)
      }) as Effect.Effect<A, ObjectUnavailable>,
    hold: (ref) =>
      Effect.suspend(() => {
        const handle = Refs.handleOf(ref)
        return handle.inline === undefined ? store.hold(handle) : Effect.sync(() => store.arrive(handle))
      }),
    handOver: (ref, { within = "1 minute" } = {}) =>
      Effect.suspend(() => {
        const handle = Refs.handleOf(ref)
        const millis = limitMillis("within", within)
        return handle.inline === undefined ? store.handOver(handle, millis) : Effect.succeed(ref)
      }),
    statistics: store.statistics,
    port
  })

/**
 * A store that lives as long as the layer. Throws `InvalidOption` for sizes that are none.
 *
 * **Example** (A full store refuses)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { ObjectStore } from "effect-otp"
 *
 * const program = Effect.gen(function*() {
 *   yield* ObjectStore.put(new Uint8Array(600), { label: "a picture" })
 *   const more = ObjectStore.put(new Uint8Array(600))
 *   return yield* Effect.as(more, "it fits").pipe(Effect.catchTag("StoreFull", ({ free }) => Effect.succeed(free)))
 * })
 * const Small = ObjectStore.layer({ capacity: "1 kB" })
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Small))) // => 400
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<ObjectStore> => {
  const capacity = bytesOf("capacity", options.capacity)
  const threshold = options.threshold === undefined ? 100_000 : bytesOf("threshold", options.threshold)
  const make = Effect.gen(function* () {
    const parts = [yield* Random.nextInt, yield* Random.nextInt]
    const id = parts.map((part) => Math.abs(part).toString(36)).join("")
    const context = yield* Effect.context<never>()
    const home = yield* Effect.acquireRelease(
      Effect.sync(() => new Home(id, capacity, threshold, context)),
      (home) => Effect.sync(() => home.close())
    )
    return serviceOf(home, home.port)
  })
  return Layer.effect(ObjectStore, make)
}

/**
 * The store as a child of a tree: list it before those who use it. When it restarts it is another store, and empty.
 *
 * @category layers
 * @since 0.1.0
 */
export const child = (options: Options): ChildSpec<ObjectStore, never, never> =>
  service("effect-otp/ObjectStore", layer(options))

/**
 * In a worker thread: the store that `port` was made by. What was put in one thread is not copied to another. Waits until
 * the store answers; fails with `StoreClosed` when the port is closed before.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPort = (port: MessagePort): Layer.Layer<ObjectStore, StoreClosed> =>
  Layer.effect(
    ObjectStore,
    Effect.map(connect(port), (guest) => serviceOf(guest, Effect.fail(new InsideThread({}))))
  )

/**
 * Puts a value into the store. The reference counts until the Scope closes.
 *
 * @category objects
 * @since 0.1.0
 */
export const put = <A>(
  value: A,
  options?: PutOptions
): Effect.Effect<ObjectRef<Shared<A>>, StoreFull | StoreClosed, ObjectStore | Scope.Scope> =>
  Effect.flatMap(ObjectStore, (store) => store.put(value, options))

/**
 * The object of a reference, not copied: fails with `ObjectUnavailable` when its last reference is gone, it is another
 * store's, or does not fit its schema. What is given stays usable for as long as you have it, but counts as freed once
 * nobody holds a reference: `hold` it if you need it for long.
 *
 * @category objects
 * @since 0.1.0
 */
export const get = <A>(ref: ObjectRef<A>): Effect.Effect<A, ObjectUnavailable, ObjectStore> =>
  Effect.flatMap(ObjectStore, (store) => store.get(ref))

/**
 * Keeps the object for as long as the Scope is open, whatever becomes of the Scope in which it was put.
 *
 * **Example** (Longer than its sender)
 *
 * ```ts import.meta.vitest
 * import { Effect, Scope } from "effect"
 * import { ObjectStore } from "effect-otp"
 *
 * const program = Effect.gen(function*() {
 *   const mine = yield* Effect.scope
 *   const ref = yield* Effect.scoped(Effect.gen(function*() {
 *     const ref = yield* ObjectStore.put("a long story")
 *     yield* Scope.provide(ObjectStore.hold(ref), mine)
 *     return ref
 *   }))
 *   return yield* ObjectStore.get(ref)
 * })
 * const Store = ObjectStore.layer({ capacity: "1 MB" })
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Store))) // => "a long story"
 * ```
 *
 * @category objects
 * @since 0.1.0
 */
export const hold = <A>(ref: ObjectRef<A>): Effect.Effect<void, ObjectUnavailable, ObjectStore | Scope.Scope> =>
  Effect.flatMap(ObjectStore, (store) => store.hold(ref))

/**
 * A reference to send where the sender will not wait, in a reply or a tell: it keeps the object until its receiver holds it,
 * and `within` this time (default 1 minute) if nobody does, which is logged as a warning. It is for one receiver: make one for
 * each. Reading the object, or holding it by another reference, leaves it be.
 *
 * **Example** (A reply that outlives who made it)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { ObjectStore } from "effect-otp"
 *
 * const make = Effect.scoped(Effect.flatMap(ObjectStore.put("a picture"), ObjectStore.handOver))
 * const program = Effect.gen(function*() {
 *   const picture = yield* make
 *   yield* ObjectStore.hold(picture)
 *   return yield* ObjectStore.get(picture)
 * })
 * const Store = ObjectStore.layer({ capacity: "1 MB" })
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Store))) // => "a picture"
 * ```
 *
 * @category objects
 * @since 0.1.0
 */
export const handOver = <A>(
  ref: ObjectRef<A>,
  options?: { readonly within?: Duration.Input }
): Effect.Effect<ObjectRef<A>, ObjectUnavailable, ObjectStore> =>
  Effect.flatMap(ObjectStore, (store) => store.handOver(ref, options))

/**
 * What the store holds: bytes, objects, references, and for each object how old it is, in milliseconds.
 *
 * @category statistics
 * @since 0.1.0
 */
export const statistics: Effect.Effect<Statistics, StoreClosed, ObjectStore> = Effect.flatMap(
  ObjectStore,
  (store) => store.statistics
)

/**
 * A port for one worker thread, which opens it with `layerPort`: pass it as `workerData`, and in the `transferList`. What the
 * thread holds counts as one reference for each object, and is given back when the thread ends, however it does, or
 * the Scope closes.
 *
 * @category threads
 * @since 0.1.0
 */
export const port: Effect.Effect<MessagePort, StoreClosed | InsideThread, ObjectStore | Scope.Scope> = Effect.flatMap(
  ObjectStore,
  (store) => store.port
)
