/** A worker thread that uses the object store of the process: does what it is told, one command at a time. */
import { parentPort, workerData } from "node:worker_threads"
import { Cause, Context, Effect, Exit, Layer, Schema, Scope } from "effect"
import { ObjectStore } from "effect-otp"
import { type Command, Floats, Rows } from "./objectWire.ts"

const store = Layer.buildWithScope(ObjectStore.layerPort(workerData.objects), Scope.makeUnsafe())

/** Scopes that stay open from one command to the next. */
const scopes = new Map<string, Scope.Closeable>()
const scopeOf = (name: string) => {
  const scope = scopes.get(name) ?? Scope.makeUnsafe()
  scopes.set(name, scope)
  return scope
}

const floatsOf = (encoded: unknown) => Schema.decodeUnknownEffect(Floats)(encoded)

const perform = (command: Command): Effect.Effect<unknown, unknown, ObjectStore.ObjectStore> =>
  Effect.gen(function* () {
    switch (command._tag) {
      case "write": {
        const floats = yield* ObjectStore.get(yield* floatsOf(command.ref))
        const [before] = floats
        floats[command.at] = command.value
        return before
      }
      case "rows":
        return yield* ObjectStore.get(yield* Schema.decodeUnknownEffect(Rows)(command.ref))
      case "get":
        return (yield* ObjectStore.get(yield* floatsOf(command.ref))).length
      case "hold":
        return yield* Scope.provide(ObjectStore.hold(yield* floatsOf(command.ref)), scopeOf(command.scope))
      case "close":
        return yield* Scope.close(scopeOf(command.scope), Exit.void)
      case "put": {
        const value = new Float32Array(command.length).fill(3)
        const ref = yield* Scope.provide(ObjectStore.put(value), scopeOf(command.scope))
        if (command.handOver) yield* ObjectStore.handOver(ref)
        return yield* Schema.encodeEffect(Floats)(ref)
      }
      case "put-rows": {
        const ref = yield* Scope.provide(ObjectStore.put(command.rows), scopeOf(command.scope))
        return yield* Schema.encodeEffect(Rows)(ref)
      }
      case "statistics":
        return yield* ObjectStore.statistics
      case "spin":
        parentPort!.postMessage({ spinning: true })
        for (;;);
    }
  })

const tagOf = (cause: Cause.Cause<unknown>) => {
  const error = Cause.squash(cause) as { readonly _tag?: string; readonly reason?: { readonly _tag: string } | string }
  const reason = typeof error.reason === "object" ? error.reason._tag : error.reason
  return [error._tag ?? String(error), reason]
}

const services: Context.Context<ObjectStore.ObjectStore> = await Effect.runPromise(store)

parentPort!.on("message", (command: Command) => {
  Effect.runForkWith(services)(perform(command)).addObserver((exit) => {
    parentPort!.postMessage(Exit.isSuccess(exit) ? { value: exit.value } : { error: tagOf(exit.cause) })
  })
})
parentPort!.postMessage({ ready: true })
