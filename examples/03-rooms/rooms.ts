/** Chat rooms that are started when somebody joins, and found by name. */
import { Effect, Ref, Schema } from "effect"
import { Actor, DynamicSupervisor, Registry, Supervisor } from "effect-otp"

export class Room extends Actor.Service<Room>()("example/Room", {
  Join: { payload: { user: Schema.String }, success: Schema.Array(Schema.String) }
}) {}

/** A room for each key, started on demand. */
export class Rooms extends DynamicSupervisor.Service<Rooms>()("example/Rooms", Room) {}

/** The names under which rooms are listed. */
export class Lobby extends Registry.Service<Lobby>()("example/Lobby", Room) {}

const RoomLive = Room.behavior(
  Effect.fnUntraced(function* (name: string) {
    const users = yield* Ref.make<ReadonlyArray<string>>([])
    yield* Lobby.register(name)
    return Room.of({ Join: ({ user }) => Ref.updateAndGet(users, (all) => [...all, user]) })
  })
)

/** A child may use what is listed before it: swap these two, and `Lobby` becomes a missing requirement of the tree. */
export const Chat = Supervisor.make("chat", {
  children: [Lobby.child, Rooms.child(RoomLive, { restart: "transient", maxChildren: 100 })]
})

/** Joins a room, which is there from then on. */
export const join = Effect.fn("join")(function* (name: string, user: string) {
  const room = yield* Rooms.at(name)
  return yield* room.ask.Join({ user })
})
