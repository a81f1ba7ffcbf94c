/**
 * Programs that must be refused, each with the error a user sees. `tsc` reports an unused `@ts-expect-error`, so each line
 * fails the check on the day it begins to compile.
 */
import { Effect, Schema, Stream } from "effect"
import { Actor, ActorContext, ActorRef, Behavior, PartitionSupervisor, Supervisor } from "effect-otp"
import { Counter, CounterLive, Database, LedgerLive, Lobby, type Room, RoomLive, Rooms, Tree } from "./programs.ts"

// --- Messages ---

// @ts-expect-error Property 'by' is missing
Counter.use((c) => c.ask.Increment({}))
// @ts-expect-error Did you mean 'Increment'?
Counter.use((c) => c.ask.Incremant({ by: 1 }))
// @ts-expect-error a stream is not asked
Counter.use((c) => c.ask.Watch())
// @ts-expect-error and an ask is not streamed
Counter.use((c) => Stream.runDrain(c.stream.Reset()))
// @ts-expect-error Type 'string' is not assignable to type 'number'
Counter.use((c) => c.tell.Increment({ by: "1" }))
// @ts-expect-error Expected 0 arguments
Counter.use((c) => c.tell.Reset({}))

// --- Behaviors ---

// @ts-expect-error Property 'Watch' is missing
Counter.of({ Increment: ({ by }) => Effect.succeed(by), Reset: () => Effect.void })
// @ts-expect-error Type 'void' is not assignable to type 'number'
Counter.of({ Increment: () => Effect.void, Reset: () => Effect.void, Watch: () => Stream.empty })
Counter.of({
  Increment: ({ by }) => Effect.succeed(by),
  Reset: () => Effect.void,
  Watch: () => Stream.empty,
  // @ts-expect-error no such message
  Restet: () => Effect.void
})
// @ts-expect-error a streaming message is answered by a stream
Counter.of({ Increment: ({ by }) => by, Reset: () => {}, Watch: () => Effect.succeed(1) })
Counter.of({
  // @ts-expect-error a batch of asks is answered, one by one
  Increment: Actor.batched({ maxSize: 8, run: () => Effect.void }),
  Reset: Actor.batched({ maxSize: 8, run: () => Effect.void }),
  Watch: () => Stream.empty
})
// @ts-expect-error with what the protocol says
Counter.of({ Increment: Actor.batched({ maxSize: 8, run: () => Effect.succeed(["1"]) }) })
// @ts-expect-error RoomLive is started with a name
Actor.spawn(RoomLive, 1)
// @ts-expect-error and cannot be spawned without one
Actor.spawn(RoomLive).pipe(Effect.scoped, Effect.runPromise)
// @ts-expect-error nor given another kind of argument
Behavior.withArgs(RoomLive, 1)
// @ts-expect-error the context of an actor is there only inside one
Effect.runPromise(ActorContext.path)
// @ts-expect-error a spawned actor needs a Scope to live in
Effect.runPromise(Actor.spawn(CounterLive))

// --- Failures ---

// @ts-expect-error Corrupted is undecided
Supervisor.child(LedgerLive, { onFailure: { ConnectionLost: "restart" } })
// @ts-expect-error Did you mean to write 'Corrupted'?
Supervisor.child(LedgerLive, { onFailure: { ConnectionLost: "restart", Corrupted: "stop", Currupted: "stop" } })
// @ts-expect-error no such directive
Supervisor.child(LedgerLive, { onFailure: { ConnectionLost: "retry", Corrupted: "stop" } })
Supervisor.child(LedgerLive, {
  onFailure: {
    ConnectionLost: "restart",
    // @ts-expect-error no such field in Corrupted
    Corrupted: ({ pages }) => (pages ? "stop" : "restart")
  }
})

// --- Trees ---

// @ts-expect-error unknown strategy
Supervisor.make("x", { strategy: "one_for_one", children: [] })
// @ts-expect-error RoomLive wants a name
Supervisor.make("x", { children: [RoomLive] })
// @ts-expect-error a supervisor takes the time it needs to stop
Supervisor.make("x", { children: [], shutdown: "1 second" })
// @ts-expect-error unknown restart type
Supervisor.child(CounterLive, { restart: "always" })
// @ts-expect-error an actor outside the tree is a missing service
export const outside: Effect.Effect<number, any> = Rooms.at("x").pipe(
  Effect.as(1),
  Effect.provide(Supervisor.layer(Tree)),
  Effect.provideService(Database, null!)
)
// @ts-expect-error Rooms uses Lobby, which starts after it: Lobby stays a requirement of the tree
export const wrongOrder: Supervisor.ChildSpec<Lobby | Rooms, any, never> = Supervisor.make("x", {
  children: [Rooms.child(RoomLive), Lobby.child]
})

// --- Partitions ---

class Counters extends PartitionSupervisor.Service<Counters>()("app/Counters", Counter) {}
const PartLive = Counter.behavior((partition: number) =>
  Effect.as(
    partition < 0 ? Effect.fail("negative" as const) : Effect.void,
    Counter.of({
      Increment: () => partition,
      Reset: () => {},
      Watch: () => Stream.empty
    })
  )
)

const NamedLive = Counter.behavior((name: string) =>
  Effect.succeed(Counter.of({ Increment: () => name.length, Reset: () => {}, Watch: () => Stream.empty }))
)

// @ts-expect-error RoomLive is another actor's
Counters.child(RoomLive)
// @ts-expect-error a partition is started with its number
Counters.child(NamedLive)
// @ts-expect-error how many, not which
Counters.child(PartLive, { partitions: "8" })
// @ts-expect-error partitions have their numbers as ids
Counters.child(PartLive, { id: "counters" })
// @ts-expect-error one partition is as good as another
Counters.child(PartLive, { significant: true })
// @ts-expect-error so none of them ends the others
Counters.child(PartLive, { autoShutdown: "any-significant" })
// @ts-expect-error partitions go by number
Counters.partition("1")
// @ts-expect-error which may not exist
export const surely: Effect.Effect<ActorRef.ActorRef<Counter>, never, Counters> = Counters.partition(1)
// @ts-expect-error a key leads to an actor of the class
export const room: Effect.Effect<ActorRef.ActorRef<Room>, never, Counters> = Counters.at("key")

// --- Fine ---

export const partitioned: Supervisor.ChildSpec<Counters, "negative", never> = Counters.child(PartLive, {
  partitions: 2
})
export const alike: Supervisor.ChildSpec<Counters, never, never> = Counters.child(CounterLive)
export const counter: Effect.Effect<ActorRef.ActorRef<Counter>, never, Counters> = Counters.at({ user: 1n })

export const ordered: Supervisor.ChildSpec<Lobby | Rooms, any, never> = Supervisor.make("x", {
  children: [Lobby.child, Rooms.child(RoomLive)]
})
export const reasons = Counter.use((c) => c.ask.Increment({ by: 1 })).pipe(
  Effect.catchReasons("AskError", { Timeout: () => Effect.succeed(0), Restarting: () => Effect.succeed(1) })
)
void [Schema, ActorRef]

// --- Idle ---

// @ts-expect-error Type '"Increment"' is not assignable: it has a payload
Counter.behavior(Effect.never, { idle: { after: "1 second", action: { tell: "Increment" } } })
Counter.behavior(Effect.never, { idle: { after: "1 second", action: { tell: "Reset" } } })
