/** One chat of three turns, the last of them refused, taken up by a second session as after a crash. */
import { Console, Effect, Layer, Stream } from "effect"
import { Pool, Supervisor } from "effect-otp"
import { Flow, FlowStore } from "effect-otp/flow"
import { KeyValueStore } from "effect/persistence"
import { ChatFlow, fakes, open, Studio, StudioLive } from "./chat.ts"

const Stored = FlowStore.layerKeyValueStore.pipe(Layer.provide(KeyValueStore.layerMemory))

const turn = (text: string) => ({ inputs: { ask: { text } }, haltAfter: ["remember"] as const })

const program = Effect.gen(function* () {
  yield* Console.log(Flow.toMermaid(ChatFlow))

  const app = yield* Supervisor.start(Supervisor.make("app", { children: [Pool.child(StudioLive, { size: 2 })] }))
  const studio = yield* Effect.provideContext(Studio, app.services)

  const first = yield* open("ann", studio)
  yield* first
    .stream(turn("hello there"))
    .pipe(
      Stream.runForEach((each) => Console.log(each._tag === "Item" ? `  ${each.item}` : `${each.step} ${each.action}`))
    )
  yield* Console.log("drawn in a studio:", (yield* first.run(turn("draw a cat"))).state.reply)

  const refused = yield* Effect.flip(first.run(turn("draw a dragon")))
  yield* Console.log(refused.message)

  const second = yield* open("ann", studio)
  yield* Console.log("a second session goes on with:", yield* second.next, "knowing", (yield* second.state).log)
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Stored), Effect.provideContext(fakes)))
