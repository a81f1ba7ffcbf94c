/** Three people, two rooms. */
import { Console, Effect } from "effect"
import { Supervisor } from "effect-otp"
import { Chat, join, Lobby } from "./rooms.ts"

const program = Effect.gen(function* () {
  yield* Console.log("lobby:", yield* join("lobby", "ada"))
  yield* Console.log("lobby:", yield* join("lobby", "bob"))
  yield* Console.log("attic:", yield* join("attic", "cyd"))
  const rooms = yield* Lobby.select()
  yield* Console.log(
    "rooms:",
    rooms.map(({ name }) => name)
  )
})

await Effect.runPromise(program.pipe(Effect.provide(Supervisor.layer(Chat))))
