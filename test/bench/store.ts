/**
 * What references save: 100 MB given to a worker thread and taken back, and to an actor of this process and back, by reference
 * and as copies, interleaved in one process. Prints the median time, and the median of what a round took times the reference
 * of the same round.
 *
 *     node --expose-gc --conditions=effect-otp/source test/bench/store.ts [megabytes] [rounds]
 *
 * Each way reads the first number and writes the last, there and here, so that nothing is left undone. `put, then by reference`
 * pays for the one copy into the store each time; the others put once.
 */
import { type MessagePort, parentPort, Worker, workerData } from "node:worker_threads"
import { Effect, Layer, Schema, Scope } from "effect"
import { Actor, ObjectStore } from "effect-otp"
import { median, seconds } from "./timing.ts"

const Floats = ObjectStore.Ref(ObjectStore.View(Float32Array))

/** What every holder of the array does with it: cheap, and seen by whoever has it next. */
const touch = (floats: Float32Array): void => {
  floats[floats.length - 1] = floats[0]! + 1
}

// --- The thread ---

const inThread = Effect.gen(function* () {
  const store = yield* ObjectStore.ObjectStore
  const answer = (message: unknown) =>
    message instanceof Float32Array
      ? Effect.sync(() => {
          touch(message)
          parentPort!.postMessage(message)
        })
      : Effect.gen(function* () {
          const ref = yield* Schema.decodeUnknownEffect(Floats)(message)
          touch(yield* store.get(ref))
          parentPort!.postMessage(yield* Schema.encodeEffect(Floats)(ref))
        })
  parentPort!.on("message", (message) => Effect.runFork(Effect.orDie(answer(message))))
  parentPort!.postMessage("ready")
  return yield* Effect.never
})

// --- The process ---

class Toucher extends Actor.Service<Toucher>()("bench/Toucher", {
  Reference: { payload: { floats: Floats }, success: Floats },
  Copy: { payload: { floats: Schema.Unknown }, success: Schema.Unknown }
}) {}

const ToucherLive = Toucher.behavior(
  Effect.map(ObjectStore.ObjectStore, (store) =>
    Toucher.of({
      Reference: ({ floats }) => Effect.as(Effect.map(Effect.orDie(store.get(floats)), touch), floats),
      Copy: ({ floats }) => {
        touch(floats as Float32Array)
        return structuredClone(floats)
      }
    })
  )
)

const inProcess = (megabytes: number, rounds: number) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore.ObjectStore
    const port = yield* store.port
    const worker = yield* Effect.acquireRelease(
      Effect.sync(() => new Worker(new URL(import.meta.url), { workerData: { port }, transferList: [port] })),
      (worker) => Effect.promise(() => worker.terminate())
    )
    const heard = Effect.callback<unknown>((resume) => {
      worker.once("message", (message) => resume(Effect.succeed(message)))
    })
    const send = (message: unknown) =>
      Effect.suspend(() => {
        worker.postMessage(message)
        return heard
      })
    yield* heard
    const toucher = yield* Actor.spawn(ToucherLive)

    const source = new Float32Array((megabytes * 1e6) / 4).fill(1)
    const check = (floats: Float32Array) =>
      floats.at(-1) === 2 ? Effect.sync(() => floats.fill(1, -1)) : Effect.die("it has not been there")
    const byThread = (ref: ObjectStore.ObjectRef<Float32Array<SharedArrayBuffer>>) =>
      Effect.gen(function* () {
        const back = yield* send(yield* Schema.encodeEffect(Floats)(ref))
        yield* check(yield* store.get(yield* Schema.decodeUnknownEffect(Floats)(back)))
      })
    const kept = yield* store.put(source)
    const groups: Readonly<Record<string, Readonly<Record<string, Effect.Effect<unknown, unknown>>>>> = {
      "to a worker thread and back": {
        "by reference": byThread(kept),
        "put, then by reference": Effect.scoped(Effect.flatMap(store.put(source), byThread)),
        "copied (postMessage)": Effect.flatMap(send(source), (back) => check(back as Float32Array))
      },
      "to an actor of this process and back": {
        "by reference": Effect.flatMap(toucher.ask.Reference({ floats: kept }), (ref) =>
          Effect.flatMap(store.get(ref), check)
        ),
        "copied (structuredClone)": Effect.flatMap(
          Effect.suspend(() => toucher.ask.Copy({ floats: structuredClone(source) })),
          (back) => check(back as Float32Array)
        )
      }
    }
    for (const [title, ways] of Object.entries(groups)) {
      const times = new Map(Object.keys(ways).map((name) => [name, [] as Array<number>]))
      for (let round = -5; round < rounds; round++) {
        for (const [name, way] of Object.entries(ways)) {
          const time = yield* seconds(way)
          if (round >= 0) times.get(name)!.push(time)
        }
      }
      const reference = times.get("by reference")!
      console.log(`| ${megabytes} MB ${title} | ms | times a reference |\n| --- | ---: | ---: |`)
      for (const [name, all] of times) {
        const ratio = median(all.map((time, round) => time / reference[round]!))
        console.log(`| ${name} | ${(median(all) * 1e3).toFixed(3)} | ${ratio.toFixed(0)} |`)
      }
      console.log("")
    }
  })

if (parentPort === null) {
  const [megabytes, rounds] = [Number(process.argv[2] ?? 100), Number(process.argv[3] ?? 20)]
  const layer = ObjectStore.layer({ capacity: "4 GB", threshold: 0 })
  await Effect.runPromise(inProcess(megabytes, rounds).pipe(Effect.scoped, Effect.provide(layer)))
} else {
  // The thread lives until it is terminated, and so does its way to the store.
  const layer = ObjectStore.layerPort((workerData as { readonly port: MessagePort }).port)
  const context = await Effect.runPromise(Layer.buildWithScope(layer, Scope.makeUnsafe()))
  await Effect.runPromise(Effect.provideContext(inThread, context))
}
