/**
 * Programs as a user would write them: what they infer is asserted here, what they do in `test/api/programs.test.ts`.
 */
import { Context, Effect, Layer, Ref, Schedule, Schema, Stream, SubscriptionRef } from "effect"
import { Actor, type ActorRef, type Behavior, DynamicSupervisor, Registry, Supervisor } from "effect-otp"

// ── 1. A protocol and a behavior ─────────────────────────────────────────────────────────────────────────────────────

export class Overflow extends Schema.TaggedError<Overflow>()("Overflow", { limit: Schema.Int }) {}

export class Counter extends Actor.Service<Counter>()("app/Counter", {
  Increment: { payload: { by: Schema.Int }, success: Schema.Int, error: Overflow },
  Reset: {},
  Watch: { success: Schema.Int, stream: true }
}) {}

export const CounterLive = Counter.behavior(
  Effect.gen(function* () {
    const count = yield* SubscriptionRef.make(0)

    return Counter.of({
      Increment: ({ by }) =>
        by > 100 ? Effect.fail(new Overflow({ limit: 100 })) : SubscriptionRef.updateAndGet(count, (n) => n + by),
      Reset: () => SubscriptionRef.set(count, 0),
      Watch: () => SubscriptionRef.changes(count)
    })
  })
)

// ── 2. Spawn, 3. tell / ask / stream ─────────────────────────────────────────────────────────────────────────────────

export const program = Effect.gen(function* () {
  const counter = yield* Actor.spawn(CounterLive)

  yield* counter.tell.Reset()
  const total = yield* counter.ask
    .Increment({ by: 2 })
    .pipe(Effect.catchTag("Overflow", ({ limit }) => Effect.succeed(limit)))
  yield* counter.stream.Watch().pipe(Stream.take(3), Stream.runForEach(Effect.log))

  return total
}).pipe(Effect.scoped)

const _program: Effect.Effect<number, ActorRef.AskError> = program

// ── 4. A supervision tree; typed errors decide ───────────────────────────────────────────────────────────────────────

export class ConnectionLost extends Schema.TaggedError<ConnectionLost>()("ConnectionLost", {
  retryable: Schema.Boolean
}) {}
export class Corrupted extends Schema.TaggedError<Corrupted>()("Corrupted", { page: Schema.Int }) {}

export class Database extends Context.Service<
  Database,
  {
    readonly append: (entry: string) => Effect.Effect<void, ConnectionLost | Corrupted>
  }
>()("app/Database") {}

export class Ledger extends Actor.Service<Ledger>()("app/Ledger", {
  Append: { payload: { entry: Schema.String } }
}) {}

export const LedgerLive = Ledger.behavior(
  Effect.gen(function* () {
    const database = yield* Database
    return Ledger.of({ Append: ({ entry }) => database.append(entry) })
  })
)

const _ledger: Behavior.Behavior<Ledger, void, ConnectionLost | Corrupted, Database> = LedgerLive

export class Greeter extends Actor.Service<Greeter>()("app/Greeter", { Hello: { success: Schema.String } }) {}

export const GreeterLive = Greeter.behavior(Effect.succeed(Greeter.of({ Hello: () => Effect.succeed("hello") })))

export const Tree = Supervisor.make("app", {
  strategy: "rest-for-one",
  intensity: { restarts: 3, within: "5 seconds" },
  children: [
    Supervisor.child(LedgerLive, {
      shutdown: "10 seconds",
      onFailure: {
        ConnectionLost: "restart",
        Corrupted: ({ page }) => (page === 0 ? "escalate" : "restart")
      }
    }),
    Supervisor.make("frontend", {
      strategy: "one-for-all",
      children: [CounterLive, Supervisor.child(GreeterLive, { restart: "transient" })]
    })
  ]
})

// ── 5. Backoff is a Schedule ─────────────────────────────────────────────────────────────────────────────────────────

export const LedgerWithBackoff = Supervisor.child(LedgerLive, {
  onFailure: { ConnectionLost: "restart", Corrupted: "stop" },
  backoff: Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")]).pipe(
    Schedule.jittered,
    Schedule.setInputType<ConnectionLost | Corrupted>(),
    Schedule.while(({ input }) => input._tag === "Corrupted" || input.retryable)
  )
})

// ── 6. Children on demand, names ─────────────────────────────────────────────────────────────────────────────────────

export class Room extends Actor.Service<Room>()("app/Room", {
  Join: { payload: { user: Schema.String }, success: Schema.Array(Schema.String) }
}) {}

export class Rooms extends DynamicSupervisor.Service<Rooms>()("app/Rooms", Room) {}
export class Lobby extends Registry.Service<Lobby>()("app/Lobby", Room) {}

export const RoomLive = Room.behavior(
  Effect.fnUntraced(function* (name: string) {
    const users = yield* Ref.make<ReadonlyArray<string>>([])
    yield* Lobby.register(name)
    return Room.of({ Join: ({ user }) => Ref.updateAndGet(users, (all) => [...all, user]) })
  })
)

export const join = Effect.fn("join")(function* (name: string, user: string) {
  const room = yield* Rooms.at(name)
  return yield* room.ask.Join({ user })
})

export const Chat = Supervisor.make("chat", {
  // A child may use the actors listed before it: swap these two and `Lobby` becomes a missing requirement of the tree.
  children: [Lobby.child, Rooms.child(RoomLive, { restart: "transient", maxChildren: 10_000 })]
})

const _chat: Layer.Layer<Lobby | Rooms, Supervisor.StartFailed<Registry.AlreadyRegistered>> = Supervisor.layer(Chat)

// ── 12. Placement: the same actor as a fiber, a pool, a thread, a cluster entity ─────────────────────────────────────

export const here = Supervisor.layer(Supervisor.make("here", { children: [CounterLive] }))
const _here: Layer.Layer<Counter, Supervisor.StartFailed<never>> = here

// ── 14. Inside an Effect app ─────────────────────────────────────────────────────────────────────────────────────────

export class Billing extends Context.Service<
  Billing,
  { readonly charge: (cents: number) => Effect.Effect<number, Overflow | ActorRef.AskError> }
>()("app/Billing") {
  static readonly layer = Layer.effect(
    Billing,
    Effect.gen(function* () {
      const counter = yield* Counter
      const ledger = yield* Ledger
      return Billing.of({
        charge: Effect.fn("Billing.charge")(function* (cents) {
          yield* ledger.tell.Append({ entry: `charge ${cents}` })
          return yield* counter.ask.Increment({ by: cents })
        })
      })
    })
  )
}

export const App = Billing.layer.pipe(Layer.provide(Supervisor.layer(Tree)))
const _app: Layer.Layer<Billing, Supervisor.StartFailed<ConnectionLost | Corrupted>, Database> = App

void [_program, _ledger, _chat, _here, _app]
