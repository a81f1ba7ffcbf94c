/** What a supervisor's handle gives, where the same actor stands in several places. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import { Actor, Pool, Supervisor } from "effect-otp"

class Desk extends Actor.Service<Desk>()("test/Desk", { Where: { success: Schema.String } }) {}

const DeskLive = Desk.behavior(
  Effect.gen(function* () {
    const { path } = yield* Desk.self
    return Desk.of({ Where: () => path })
  })
)

it.effect("each supervisor knows its own; where one has several, the last of them", () =>
  Effect.gen(function* () {
    const office = (id: string) => Supervisor.make(id, { children: [DeskLive] })
    const house = yield* Supervisor.start(
      Supervisor.make("house", {
        children: [office("left"), office("right"), Pool.child(DeskLive, { id: "shared", size: 1 })]
      })
    )
    const paths = yield* Effect.forEach(["left", "right", "shared"], (id) =>
      Effect.gen(function* () {
        const { services } = yield* house.supervisor(id)
        return yield* Context.get(services as Context.Context<Desk>, Desk).ask.Where()
      })
    )
    assert.deepStrictEqual(paths, ["house/left/test/Desk", "house/right/test/Desk", "house/shared/members/1"])
    assert.strictEqual(Context.get(house.services, Desk).path, "house/shared/router")
  }).pipe(Effect.scoped)
)
