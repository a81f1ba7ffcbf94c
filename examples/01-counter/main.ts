/** A counter that survives its crashes: run it with `node --conditions=effect-otp/source main.ts`. */
import { Console, Effect } from "effect"
import { Supervisor } from "effect-otp"
import { Counter, CounterLive } from "./counter.ts"

/** The tree: a value that says what runs, and what happens when it does not. */
const Tree = Supervisor.make("app", {
  intensity: { restarts: 3, within: "5 seconds" },
  children: [CounterLive]
})

const program = Effect.gen(function* () {
  const counter = yield* Counter

  yield* counter.tell.Increment({ by: 40 })
  yield* Console.log("counted to", yield* counter.ask.Increment({ by: 2 }))

  const answer = yield* Effect.flip(counter.ask.Increment({ by: 1_000 }))
  yield* Console.log("too much:", answer._tag)

  yield* counter.tell.Break()
  yield* Console.log("after the crash it starts over:", yield* counter.ask.Increment({ by: 1 }))
})

await Effect.runPromise(program.pipe(Effect.provide(Supervisor.layer(Tree))))
