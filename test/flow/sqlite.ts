/** A SQLite database as Effect's SqlClient, over what comes with Node: enough of one for a store. */
import { DatabaseSync, type SQLInputValue } from "node:sqlite"
import { Effect, Layer, Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"

const connectionTo = (database: DatabaseSync): SqlConnection.Connection => {
  /** Each statement takes its time, as it would over a network: others come in between. */
  const run = <A>(query: () => A) =>
    Effect.andThen(
      Effect.yieldNow,
      Effect.try({
        try: query,
        catch: (cause) =>
          new SqlError.SqlError({ reason: new SqlError.UnknownError({ cause, message: String(cause) }) })
      })
    )
  const all = (sql: string, params: ReadonlyArray<unknown>) =>
    run(() => database.prepare(sql).all(...(params as ReadonlyArray<SQLInputValue>)))
  const values = (sql: string, params: ReadonlyArray<unknown>) =>
    Effect.map(all(sql, params), (rows) => rows.map((row) => Object.values(row)))
  return {
    execute: all,
    executeRaw: all,
    executeStream: () => Stream.die("not needed here"),
    executeValues: values,
    executeValuesUnprepared: values,
    executeUnprepared: all
  }
}

/** A database in memory that is gone with its layer. */
export const temporaryDatabase = Layer.effect(
  SqlClient.SqlClient,
  Effect.gen(function* () {
    const database = yield* Effect.acquireRelease(
      Effect.sync(() => new DatabaseSync(":memory:")),
      (open) => Effect.sync(() => open.close())
    )
    return yield* SqlClient.make({
      acquirer: Effect.succeed(connectionTo(database)),
      compiler: Statement.makeCompilerSqlite(),
      driver: "node",
      spanAttributes: []
    })
  })
).pipe(Layer.provide(Reactivity.layer))
