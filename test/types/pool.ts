/**
 * What a pool is made of and what comes out of it; what it refuses.
 */
import { Context, Effect, Schema, type Scope, Stream } from "effect"
import { Actor, type ActorRef, type Autoscale, Behavior, Group, Pool, Router, Supervisor } from "effect-otp"

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false

class Model extends Context.Service<Model, { readonly tokens: number }>()("types/Model") {}
class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}

class Chat extends Actor.Service<Chat>()("types/Chat", {
  Say: { payload: { session: Schema.String, text: Schema.String }, success: Schema.Int },
  Tokens: { payload: { session: Schema.String }, success: Schema.String, stream: true },
  Clear: {}
}) {}
class Other extends Actor.Service<Other>()("types/Other", { Clear: {} }) {}
class Chats extends Group.Service<Chats>()("types/Chats", Chat) {}

const ChatLive = Chat.behavior(
  Effect.gen(function* () {
    const { tokens } = yield* Model
    if (tokens === 0) return yield* new Broken()
    return Chat.of({ Say: () => tokens, Tokens: () => Stream.empty, Clear: () => {} })
  })
)

// --- Starting: what a single actor would provide, fail with and need ---

export const started = Pool.start(ChatLive, { size: 2 })
export const starts: Same<
  typeof started,
  Effect.Effect<Pool.Pool<Chat>, Supervisor.StartFailed<Broken>, Model | Scope.Scope>
> = true

export const layer = Supervisor.layer(Supervisor.make("app", { children: [Pool.child(ChatLive, { size: 2 })] }))
export const said = Effect.provide(
  Chat.use((chat) => chat.ask.Say({ session: "a", text: "b" })),
  layer
)
export const fails: Same<Effect.Error<typeof said>, ActorRef.AskError | Supervisor.StartFailed<Broken>> = true
export const needs: Same<Effect.Services<typeof said>, Model> = true

// --- Options ---

Pool.child(ChatLive, { onFailure: { Broken: "restart" }, size: { min: 0, max: 4 }, killAfter: "1 minute" })
Pool.child(ChatLive, {
  // The messages are those of the actor: told apart by their tags.
  route: { hash: (message) => (message.tag === "Clear" ? "all" : message.payload.session) }
})
// @ts-expect-error a route of the list, or by a key
Pool.child(ChatLive, { route: "fastest" })
// @ts-expect-error a key is a string or a number
Pool.child(ChatLive, { route: { hash: () => ({}) } })
// @ts-expect-error not every message has a session
Pool.child(ChatLive, { route: { sticky: ({ payload }) => payload.session } })
// @ts-expect-error bounds have no default
Pool.child(ChatLive, { size: { min: 1 } })
// @ts-expect-error no failure of that name
Pool.child(ChatLive, { onFailure: { Lost: "restart" } })
// @ts-expect-error members are alike: they are not significant one by one
Pool.child(ChatLive, { significant: true })
// @ts-expect-error a restart of the queue's owner is no option of the queue
Pool.child(ChatLive, { queue: { redeliver: 1 } })

const WithName = Chat.behavior((name: string) =>
  Effect.succeed(Chat.of({ Say: () => name.length, Tokens: () => Stream.empty, Clear: () => {} }))
)
// @ts-expect-error members are made without arguments
Pool.child(WithName)
Pool.child(WithName.pipe(Behavior.withArgs("any")))

// --- A running pool ---

declare const pool: Pool.Pool<Chat>
declare const other: ActorRef.ActorRef<Other>
export const members: Same<typeof pool.members, Effect.Effect<ReadonlyArray<ActorRef.ActorRef<Chat>>>> = true
export const resized = pool.resize({ delta: 1, reason: "more" })
export const refuses: Same<
  Effect.Error<typeof resized>,
  | Autoscale.InvalidScaling
  | Autoscale.ScalingTooSoon
  | Supervisor.StartFailed<unknown>
  | Supervisor.SupervisorNotRunning
> = true
export const pushed = (ref: ActorRef.ActorRef<Chat>) => pool.push(ref)
export const pushes: Same<Effect.Error<ReturnType<typeof pushed>>, Pool.AlreadyMember | Pool.MemberOfItself> = true
// @ts-expect-error an actor of another class
pool.push(other)
// @ts-expect-error not without saying why
pool.resize({ size: 3 })

export const ofActor = Pool.of(Chat)
export const found: Same<typeof ofActor, Effect.Effect<Pool.Pool<Chat>, Pool.NotPooled, Chat>> = true

// --- Work ---

export const mapped = Pool.map(pool, ["a", "b"], (chat, text) => chat.ask.Say({ session: text, text }))
export const results: Same<typeof mapped, Stream.Stream<number, ActorRef.AskError>> = true
export const batches = Pool.mapBatches(pool, [1, 2], (_, batch) => Effect.succeed(batch.map(String)), { size: 2 })
export const flat: Same<typeof batches, Stream.Stream<string>> = true
// @ts-expect-error a batch has a size
Pool.mapBatches(pool, [1, 2], (_, batch) => Effect.succeed(batch))

// --- Routers ---

export const router = Router.behavior(Chat, { group: Chats, key: "all" })
export const routes: Same<typeof router, Behavior.Behavior<Chat, void, never, Chats>> = true
export const ofList = Router.behavior(Chat, { members: [pool.ref], route: "random" })
export const alone: Same<typeof ofList, Behavior.Behavior<Chat, void, never, never>> = true
// @ts-expect-error a list or a group
Router.behavior(Chat, { members: [pool.ref], group: Chats, key: "all" })
// @ts-expect-error others
Router.behavior(Chat, { members: [other] })
