/** Rooms come and go; their names with them. */
import { assert, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { Supervisor } from "effect-otp"
import { Chat, join, Lobby, Rooms } from "./rooms.ts"

it.effect("a room is started once, and forgotten when it is stopped", () =>
  Effect.gen(function* () {
    yield* join("lobby", "ada")
    assert.deepStrictEqual(yield* join("lobby", "bob"), ["ada", "bob"])
    assert.isTrue(Option.isSome(yield* Lobby.whereIs("lobby")))
    yield* Rooms.stop("lobby")
    assert.isTrue(Option.isNone(yield* Lobby.whereIs("lobby")))
    assert.deepStrictEqual(yield* join("lobby", "cyd"), ["cyd"])
  }).pipe(Effect.provide(Supervisor.layer(Chat)))
)
