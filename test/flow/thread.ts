/** A worker thread with the actor that does the actions tagged gpu. */
import { parentPort, threadId } from "node:worker_threads"
import { Effect, Stream } from "effect"
import { Actor, type ActorRef } from "effect-otp"
import { Flow } from "effect-otp/flow"
import { Brush, brush, ChatFlow, Gpu } from "./chat.ts"
import { codecsOf, type Reply, type Request } from "./wire.ts"

const port = parentPort!
const post = (reply: Reply) => Effect.sync(() => port.postMessage(reply))

/** Says in its pictures which thread it is. */
const here = Brush.of({
  draw: (prompt) => Effect.map(brush.draw(prompt), (picture) => `${picture} by ${threadId === 0 ? "main" : "thread"}`)
})

const GpuLive = Gpu.behavior(Effect.succeed(Gpu.of(Flow.handlers(ChatFlow, "gpu"))))

const answer = (gpu: ActorRef.ActorRef<Gpu>, { id, payload, tag }: Request) => {
  const codecs = codecsOf(Gpu.protocol[tag as keyof typeof Gpu.protocol])
  const read = codecs.payload.decode(payload) as Effect.Effect<{ readonly prompt: string }>
  const send = (_tag: "Item" | "Success") => (value: unknown) =>
    Effect.flatMap(codecs.success.encode(value), (text) => post({ id, _tag, value: text }))
  const end = post({ id, _tag: "End" })
  const run =
    tag === "answer"
      ? Effect.flatMap(read, (p) => Effect.andThen(Stream.runForEach(gpu.stream.answer(p), send("Item")), end))
      : Effect.flatMap(
          Effect.flatMap(read, (p) => gpu.ask.draw(p)),
          send("Success")
        )
  return run.pipe(
    Effect.catch((error) => Effect.flatMap(codecs.error.encode(error), (value) => post({ id, _tag: "Failure", value })))
  )
}

await Effect.gen(function* () {
  const gpu = yield* Actor.spawn(GpuLive)
  port.on("message", (request: Request) => {
    // All of it, for whoever wants to know what has crossed.
    port.postMessage({ id: request.id, _tag: "Received", request } satisfies Reply)
    void Effect.runPromise(answer(gpu, request))
  })
  return yield* Effect.never
}).pipe(Effect.scoped, Effect.provideService(Brush, here), Effect.runPromise)
