/**
 * Where sessions are kept by id, so that one can go on after a crash, later, or elsewhere.
 *
 * A store keeps the last state of each session with the number of its step. Saving says which step was seen last, and is
 * refused when the store holds another: of two that go on with one id, one is told so.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { FlowConflict, FlowStoreError } from "./errors.ts"

/**
 * A session as it is kept: the number of the step done last, its action, and the state after it as JSON.
 *
 * @category models
 * @since 0.1.0
 */
export const Saved = Schema.Struct({
  flow: Schema.String,
  id: Schema.String,
  step: Schema.Int,
  action: Schema.String,
  state: Schema.Json
})

/**
 * A session as it is kept.
 *
 * @category models
 * @since 0.1.0
 */
export type Saved = typeof Saved.Type

/**
 * The store that sessions with an id are kept in.
 *
 * **Example** (Going on where another left off)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Flow, FlowStore } from "effect-otp/flow"
 *
 * const Count = Flow.state("docs/Kept", { n: Schema.Int })
 * const add = Count.action("add", { reads: ["n"], writes: ["n"], run: ({ n }) => Effect.succeed({ n: n + 1 }) })
 * const Adding = Flow.make("adding", { state: Count, actions: [add], entry: "add", transitions: [Count.to("add", "add")] })
 *
 * const once = Effect.gen(function*() {
 *   const session = yield* Flow.start(Adding, { id: "ann", initial: { n: 0 } })
 *   yield* session.step()
 *   return yield* session.state
 * })
 * await Effect.runPromise(Effect.all([once, once]).pipe(Effect.provide(FlowStore.layerMemory))) // => [{ n: 1 }, { n: 2 }]
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class FlowStore extends Context.Service<
  FlowStore,
  {
    /** The session with this id, if there is one. */
    readonly load: (flow: string, id: string) => Effect.Effect<Option.Option<Saved>, FlowStoreError>
    /** Keeps a session, if what is kept of it until now is step `seen`; 0: nothing. Fails with `FlowConflict` otherwise. */
    readonly save: (saved: Saved, seen: number) => Effect.Effect<void, FlowConflict | FlowStoreError>
    /** Forgets a session. */
    readonly remove: (flow: string, id: string) => Effect.Effect<void, FlowStoreError>
  }
>()("effect-otp/FlowStore") {}

/** Parts are escaped, so that two names never make one key. */
const keyOf = (flow: string, id: string): string => `${encodeURIComponent(flow)}/${encodeURIComponent(id)}`

const compare = ({ flow, id }: Saved, seen: number, found: number): Effect.Effect<void, FlowConflict> =>
  seen === found ? Effect.void : Effect.fail(new FlowConflict({ flow, id, step: seen, found }))

/**
 * Sessions are kept in memory, as long as the layer lives.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<FlowStore> = Layer.sync(FlowStore, () => {
  const kept = new Map<string, Saved>()
  return FlowStore.of({
    load: (flow, id) => Effect.sync(() => Option.fromUndefinedOr(kept.get(keyOf(flow, id)))),
    save: (saved, seen) =>
      Effect.suspend(() => {
        const key = keyOf(saved.flow, saved.id)
        return Effect.map(compare(saved, seen, kept.get(key)?.step ?? 0), () => void kept.set(key, saved))
      }),
    remove: (flow, id) => Effect.sync(() => void kept.delete(keyOf(flow, id)))
  })
})

/** One at a time for each key. */
const exclusive = () => {
  const locks = new Map<string, { readonly semaphore: Semaphore.Semaphore; users: number }>()
  return <A, E>(key: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const lock = locks.get(key) ?? { semaphore: Semaphore.makeUnsafe(1), users: 0 }
        locks.set(key, lock)
        lock.users++
        return lock
      }),
      ({ semaphore }) => semaphore.withPermits(1)(effect),
      (lock) => Effect.sync(() => void (--lock.users === 0 && locks.delete(key)))
    )
}

const Json = Schema.fromJsonString(Saved)

/**
 * Sessions are kept in Effect's `KeyValueStore`: in memory, in files, in a database. A key-value store cannot compare and
 * write at once: within this layer saves of one session wait for each other, so a conflict is always found; two processes
 * that save the same session in the same moment may both succeed.
 *
 * **Example** (Any key-value store will do)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Option } from "effect"
 * import { KeyValueStore } from "effect/persistence"
 * import { FlowStore } from "effect-otp/flow"
 *
 * const Stored = FlowStore.layerKeyValueStore.pipe(Layer.provide(KeyValueStore.layerMemory))
 * const load = FlowStore.FlowStore.use((store) => store.load("chat", "ann"))
 * await Effect.runPromise(load.pipe(Effect.map(Option.isNone), Effect.provide(Stored))) // => true
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerKeyValueStore: Layer.Layer<FlowStore, never, KeyValueStore.KeyValueStore> = Layer.effect(
  FlowStore,
  Effect.map(KeyValueStore.KeyValueStore, (store) => {
    const kept = KeyValueStore.prefix(store, "effect-otp/flow/")
    const lock = exclusive()
    const load = (flow: string, id: string, operation: "load" | "save") =>
      Effect.flatMap(kept.get(keyOf(flow, id)), (text) =>
        text === undefined ? Effect.succeedNone : Effect.asSome(Schema.decodeUnknownEffect(Json)(text))
      ).pipe(Effect.mapError((cause) => new FlowStoreError({ flow, id, operation, cause })))
    return FlowStore.of({
      load: (flow, id) => load(flow, id, "load"),
      save: (saved, seen) => {
        const { flow, id } = saved
        const key = keyOf(flow, id)
        const write = Schema.encodeEffect(Json)(saved).pipe(
          Effect.flatMap((text) => kept.set(key, text)),
          Effect.mapError((cause) => new FlowStoreError({ flow, id, operation: "save", cause }))
        )
        const compared = Effect.flatMap(load(flow, id, "save"), (found) =>
          compare(saved, seen, Option.isSome(found) ? found.value.step : 0)
        )
        return lock(key, Effect.andThen(compared, write))
      },
      remove: (flow, id) =>
        Effect.mapError(
          kept.remove(keyOf(flow, id)),
          (cause) => new FlowStoreError({ flow, id, operation: "remove", cause })
        )
    })
  })
)
