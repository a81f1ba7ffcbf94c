/** A worker thread that uses the object store of the process: does what it is told, one command at a time. */
import { type MessagePort, parentPort } from "node:worker_threads"
import { Cause, Context, Effect, Exit, Layer, Schema, Scope } from "effect"
// Not all of the library: what a thread loads is most of the time it takes to start.
import * as ObjectStore from "effect-otp/ObjectStore"
import { type Command, Floats, Rows } from "./objectWire.ts"

/** The store that is open, and Scopes that stay open from one command to the next: of one test. */
let services: Context.Context<ObjectStore.ObjectStore>
const scopes = new Map<string, Scope.Closeable>()
const scopeOf = (name: string) => {
  const scope = scopes.get(name) ?? Scope.makeUnsafe()
  scopes.set(name, scope)
  return scope
}

const floatsOf = (encoded: unknown) => Schema.decodeUnknownEffect(Floats)(encoded)

const perform = (
  command: Exclude<Command, { readonly _tag: "open" }>
): Effect.Effect<unknown, unknown, ObjectStore.ObjectStore> =>
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
        return yield* Schema.encodeEffect(Floats)(command.handOver ? yield* ObjectStore.handOver(ref) : ref)
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

const open = async (port: MessagePort) => {
  scopes.clear()
  services = await Effect.runPromise(Layer.buildWithScope(ObjectStore.layerPort(port), Scope.makeUnsafe()))
  parentPort!.postMessage({})
}

parentPort!.on("message", (command: Command) => {
  if (command._tag === "open") return void open(command.port)
  Effect.runForkWith(services)(perform(command)).addObserver((exit) => {
    parentPort!.postMessage(Exit.isSuccess(exit) ? { value: exit.value } : { error: tagOf(exit.cause) })
  })
})
