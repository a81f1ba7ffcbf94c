/** Models that compute in threads of their own, so that several compute at a time and none keeps the requests waiting. */
import { Deferred, Effect } from "effect"
import { Worker } from "node:worker_threads"
import { type Model, ModelLost } from "./models.ts"
import type { Answer, Question } from "./thread.ts"

/** A model whose thread lives as long as the Scope. When the thread ends by itself, whoever asks the model is told. */
export const inThread = (options: { readonly rounds: number }) =>
  Effect.gen(function* () {
    const worker = yield* Effect.acquireRelease(
      Effect.sync(() => new Worker(new URL("./thread.ts", import.meta.url), { workerData: options })),
      (thread) => Effect.promise(() => thread.terminate())
    )
    const gone = yield* Deferred.make<never, ModelLost>()
    const lose = (reason: string) => Deferred.doneUnsafe(gone, new ModelLost({ reason }))
    worker.on("error", (error) => lose(String(error)))
    worker.on("exit", (code) => lose(`its thread has ended with ${code}`))
    const orGone = <A>(effect: Effect.Effect<A>) => Effect.raceFirst(effect, Deferred.await(gone))

    yield* orGone(Effect.callback<void>((resume) => void worker.once("message", () => resume(Effect.void))))
    const replies = new Map<number, (reply: Effect.Effect<number>) => void>()
    worker.on("message", ({ id, memory }: Answer) => replies.get(id)?.(Effect.succeed(memory)))

    let count = 0
    const ask = (id: number, memory: number, input: number) =>
      Effect.callback<number>((resume) => {
        replies.set(id, resume)
        worker.postMessage({ id, memory, input } satisfies Question)
      }).pipe(Effect.ensuring(Effect.sync(() => replies.delete(id))))
    return { infer: (memory, input) => Effect.suspend(() => orGone(ask(++count, memory, input))) } satisfies Model
  })
