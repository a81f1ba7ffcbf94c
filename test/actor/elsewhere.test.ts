/** A behavior that runs in a worker thread takes the handler's side of its interceptors along, and only that. */
import { Worker } from "node:worker_threads"
import { assert, it } from "@effect/vitest"
import { Effect, Queue, Stream } from "effect"
import { Actor, ActorRef, Interceptor } from "effect-otp"
import { lines, type Reply, type Request, Sums, Tiers, TooMuch } from "./tiers.ts"

/** The actor here that stands for the one in the thread. */
const inThread = Effect.gen(function* () {
  const said: Array<string> = []
  const execArgv = ["--conditions=effect-otp/source", "--no-warnings"]
  const thread = yield* Effect.acquireRelease(
    Effect.sync(() => new Worker(new URL("./tiersThread.ts", import.meta.url), { execArgv })),
    (worker) => Effect.promise(() => worker.terminate())
  )
  let last = 0
  const request = (tag: Request["tag"], n: number): Stream.Stream<number | string, TooMuch> => {
    const id = ++last
    const replies = Stream.callback<number | string, TooMuch>((queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const listener = (reply: Reply) => {
            if (reply.id !== id) return
            if (reply._tag === "Item") return Queue.offerUnsafe(queue, reply.value)
            said.push(...reply.lines)
            if (reply.limit === undefined) return Queue.endUnsafe(queue)
            return Queue.failCauseUnsafe(queue, failure(new TooMuch({ limit: reply.limit })))
          }
          thread.on("message", listener)
          thread.postMessage({ id, tag, n } satisfies Request)
          return listener
        }),
        (listener) => Effect.sync(() => thread.off("message", listener))
      )
    )
    return replies
  }
  const one = (tag: Request["tag"], n: number) =>
    Effect.map(Stream.runCollect(request(tag, n)), ([value]) => value as never)
  const standIn = yield* Actor.spawn(
    Sums.behavior(
      Effect.succeed(
        Sums.of({
          Add: ({ n }) => one("Add", n) as Effect.Effect<number, TooMuch>,
          CountTo: ({ n }) => Stream.orDie(request("CountTo", n)) as Stream.Stream<number>,
          Where: () => Effect.orDie(one("Where", 0)) as Effect.Effect<string>
        })
      )
    )
  )
  return { sums: standIn.pipe(ActorRef.withTimeout("30 seconds"), Interceptor.through(Tiers)), said }
})

const failure = (error: TooMuch) => {
  const exit = Effect.runSyncExit(Effect.fail(error))
  if (exit._tag === "Success") throw new Error("it did not fail")
  return exit.cause
}

it.live("INTC-08 B4 in a worker thread: the caller's hooks run here for every message, the handler's there", () =>
  Effect.gen(function* () {
    const { said, sums } = yield* inThread
    lines.length = 0
    assert.strictEqual(yield* sums.ask.Where(), "thread")
    assert.deepStrictEqual(said.splice(0), [])
    assert.deepStrictEqual(lines.splice(0), ["main: caller before Where", "main: caller after Where success"])

    assert.strictEqual(yield* sums.ask.Add({ n: 2 }), 2)
    assert.deepStrictEqual(said.splice(0), ["thread: handler before Add", "thread: handler after Add success"])
    assert.deepStrictEqual(lines.splice(0), ["main: caller before Add", "main: caller after Add success"])

    assert.deepStrictEqual(yield* Effect.flip(sums.ask.Add({ n: 101 })), new TooMuch({ limit: 100 }))
    assert.deepStrictEqual(said.splice(0), ["thread: handler before Add", "thread: handler after Add TooMuch"])
    assert.deepStrictEqual(lines.splice(0), ["main: caller before Add", "main: caller after Add TooMuch"])

    assert.deepStrictEqual(yield* Stream.runCollect(sums.stream.CountTo({ n: 2 })), [1, 2])
    const steps = ["start CountTo", "item 1", "item 2", "end CountTo success"]
    assert.deepStrictEqual(
      said,
      steps.map((step) => `thread: handler ${step}`)
    )
    assert.deepStrictEqual(
      lines,
      steps.map((step) => `main: caller ${step}`)
    )
  })
)
