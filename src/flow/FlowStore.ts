/**
 * Where sessions are kept by id, so that one can go on after a crash, later, or elsewhere.
 *
 * A store keeps the last state of each session, each save under a version that no other has. Saving says which version was seen
 * last, and is refused when the store holds another: of two that go on with one id, one is told so, also when a session was
 * removed and begun anew in between.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import { FlowConflict, FlowStoreError } from "./errors.ts"

/**
 * A session as it is kept: the number of the step done last, its action, and the state after it as JSON. `version` is different
 * for each save.
 *
 * @category models
 * @since 0.1.0
 */
export const Saved = Schema.Struct({
  flow: Schema.String,
  id: Schema.String,
  step: Schema.Int,
  action: Schema.String,
  state: Schema.Json,
  version: Schema.String
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
    /**
     * Keeps a session, if what is kept of it until now is version `seen`; none: nothing. Fails with `FlowConflict` otherwise. It
     * cannot be interrupted: a store that may hang sets a time limit of its own.
     */
    readonly save: (saved: Saved, seen: string | undefined) => Effect.Effect<void, FlowConflict | FlowStoreError>
    /** Forgets a session. */
    readonly remove: (flow: string, id: string) => Effect.Effect<void, FlowStoreError>
  }
>()("effect-otp/FlowStore") {}

/** Parts are escaped, so that two names never make one key. */
const keyOf = (flow: string, id: string): string => `${encodeURIComponent(flow)}/${encodeURIComponent(id)}`

type Found = Pick<Saved, "step" | "version"> | undefined

const conflict = ({ flow, id, step }: Saved, found: Found): FlowConflict =>
  new FlowConflict({ flow, id, step: step - 1, found: found?.step ?? 0 })

const compare = (saved: Saved, seen: string | undefined, found: Found): Effect.Effect<void, FlowConflict> =>
  seen === found?.version ? Effect.void : Effect.fail(conflict(saved, found))

const failing =
  (operation: FlowStoreError["operation"], flow: string, id: string) =>
  <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, FlowStoreError> =>
    Effect.mapError(effect, (cause) => new FlowStoreError({ flow, id, operation, cause }))

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
        return Effect.map(compare(saved, seen, kept.get(key)), () => void kept.set(key, saved))
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
 * Sessions are kept in Effect's `KeyValueStore`: in memory, in files, in the browser. A key-value store cannot compare and
 * write at once: within this layer saves of one session wait for each other, so a conflict is always found; two processes
 * that save the same session in the same moment may both succeed. Where that can happen, take `layerSql`.
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
      ).pipe(failing(operation, flow, id))
    return FlowStore.of({
      load: (flow, id) => load(flow, id, "load"),
      save: (saved, seen) => {
        const { flow, id } = saved
        const key = keyOf(flow, id)
        const write = Effect.flatMap(Schema.encodeEffect(Json)(saved), (text) => kept.set(key, text))
        const compared = Effect.flatMap(load(flow, id, "save"), (found) =>
          compare(saved, seen, Option.getOrUndefined(found))
        )
        return lock(key, Effect.andThen(compared, failing("save", flow, id)(write)))
      },
      remove: (flow, id) => lock(keyOf(flow, id), failing("remove", flow, id)(kept.remove(keyOf(flow, id))))
    })
  })
)

// --- SQL ---

interface Row {
  readonly step: number
  readonly version: string
}

/** Keys are compared byte by byte, whatever the database does with other texts. */
const createTable = (sql: SqlClient.SqlClient, name: string) => {
  const table = sql(name)
  return sql.onDialectOrElse({
    mysql: () => sql`
      CREATE TABLE IF NOT EXISTS ${table} (
        id VARCHAR(700) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
        version VARCHAR(64) NOT NULL,
        step INTEGER NOT NULL,
        saved LONGTEXT NOT NULL
      )`,
    mssql: () => sql`
      IF NOT EXISTS (SELECT * FROM sysobjects WHERE name=${name} AND xtype='U')
      CREATE TABLE ${table} (
        id NVARCHAR(450) COLLATE Latin1_General_100_BIN2 PRIMARY KEY,
        version NVARCHAR(64) NOT NULL,
        step INTEGER NOT NULL,
        saved NVARCHAR(MAX) NOT NULL
      )`,
    orElse: () => sql`
      CREATE TABLE IF NOT EXISTS ${table} (
        id TEXT PRIMARY KEY,
        version TEXT NOT NULL,
        step INTEGER NOT NULL,
        saved TEXT NOT NULL
      )`
  })
}

/**
 * Sessions are kept in a table of the database in scope, `table` (default `effect_otp_flow`), which is made where it is
 * missing; that failing is a defect. Comparing and writing are one statement, so of any number of processes that go on with one
 * session one succeeds. Tested with SQLite; the statements are the same for PostgreSQL, MySQL and SQL Server.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSql = (
  options: { readonly table?: string } = {}
): Layer.Layer<FlowStore, never, SqlClient.SqlClient> =>
  Layer.effect(
    FlowStore,
    Effect.gen(function* () {
      const sql = (yield* SqlClient.SqlClient).withoutTransforms()
      const { table: name = "effect_otp_flow" } = options
      yield* Effect.orDie(createTable(sql, name))
      const table = sql(name)
      const find = (key: string) =>
        Effect.map(sql<Row>`SELECT step, version FROM ${table} WHERE id = ${key}`, (rows) => rows[0])
      return FlowStore.of({
        load: (flow, id) =>
          Effect.flatMap(
            sql<{ readonly saved: string }>`SELECT saved FROM ${table} WHERE id = ${keyOf(flow, id)}`,
            ([row]) => (row === undefined ? Effect.succeedNone : Effect.asSome(Schema.decodeEffect(Json)(row.saved)))
          ).pipe(failing("load", flow, id)),
        save: (saved, seen) => {
          const { flow, id, step, version } = saved
          const key = keyOf(flow, id)
          const write = Effect.flatMap(Schema.encodeEffect(Json)(saved), (text) =>
            seen === undefined
              ? sql`INSERT INTO ${table} (id, version, step, saved) VALUES (${key}, ${version}, ${step}, ${text})`
              : sql`UPDATE ${table} SET version = ${version}, step = ${step}, saved = ${text}
                  WHERE id = ${key} AND version = ${seen}`
          )
          return Effect.gen(function* () {
            const written = yield* Effect.result(write)
            const found = yield* failing("save", flow, id)(find(key))
            if (found?.version === version) return
            // What is there already is why it could not be inserted.
            const told = Result.isFailure(written) && (seen !== undefined || found === undefined)
            return yield* told ? failing("save", flow, id)(Effect.fail(written.failure)) : conflict(saved, found)
          })
        },
        remove: (flow, id) =>
          Effect.asVoid(failing("remove", flow, id)(sql`DELETE FROM ${table} WHERE id = ${keyOf(flow, id)}`))
      })
    })
  )
