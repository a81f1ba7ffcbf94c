/** A worker thread that runs the actor with hooks of both tiers; its callers are elsewhere. */
import { parentPort } from "node:worker_threads"
import { Effect, Stream } from "effect"
import { Actor, type ActorRef } from "effect-otp"
import { past } from "../../src/actor/ActorRef.ts"
import { lines, type Reply, type Request, type Sums, SumsLive } from "./tiers.ts"

const port = parentPort!
const post = (reply: Reply) => Effect.sync(() => port.postMessage(reply))

const answer = (sums: ActorRef.ActorRef<Sums>, { id, n, tag }: Request) => {
  const item = (value: number | string) => post({ id, _tag: "Item", value })
  const end = (limit: number | undefined) =>
    Effect.suspend(() => post({ id, _tag: "End", limit, lines: lines.splice(0) }))
  const run =
    tag === "CountTo"
      ? Stream.runForEach(sums.stream.CountTo({ n }), item)
      : Effect.flatMap(tag === "Add" ? sums.ask.Add({ n }) : sums.ask.Where(), item)
  return Effect.matchEffect(run, {
    onFailure: (error) => (error._tag === "TooMuch" ? end(error.limit) : Effect.die(error)),
    onSuccess: () => end(undefined)
  })
}

await Effect.gen(function* () {
  const sums = past(yield* Actor.spawn(SumsLive))
  port.on("message", (request: Request) => void Effect.runPromise(answer(sums, request)))
  return yield* Effect.never
}).pipe(Effect.scoped, Effect.runPromise)
