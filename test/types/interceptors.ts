/**
 * What interceptors fail with and need joins what the behavior does, and nothing else does.
 */
import { Context, Data, Effect, Schema, Stream } from "effect"
import { Actor, type ActorRef, type Behavior, Interceptor, Supervisor } from "effect-otp"

class Broken extends Data.TaggedError("Broken") {}
class Refused extends Data.TaggedError("Refused") {}
class Late extends Data.TaggedError("Late") {}
class Store extends Context.Service<Store, { readonly get: Effect.Effect<number, Broken> }>()("test/Store") {}

class Reader extends Actor.Service<Reader>()("test/Reader", {
  One: { payload: { n: Schema.Int }, success: Schema.Number },
  Many: { success: Schema.Number, stream: true }
}) {}
export const ReaderLive = Reader.behavior(
  Effect.sync(() => Reader.of({ One: ({ n }) => n, Many: () => Stream.fail(new Broken()) }))
)

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false

export const Plain = Interceptor.make({
  ask: (next, call) => Effect.withSpan(next, call.tag),
  handle: (next, call) => Effect.annotateLogs(next, { actor: call.actor })
})
export const plain: Same<typeof Plain, Interceptor.Interceptor> = true

export const Checked = Interceptor.make({
  handle: (next) =>
    Effect.andThen(
      Effect.flatMap(Store, (store) => store.get),
      next
    ),
  handleStream: (next) => Stream.concat(next, Stream.fail(new Refused()))
})
export const checked: Same<typeof Checked, Interceptor.Interceptor<Broken | Refused, Store>> = true

const Hasty = Interceptor.make({
  ask: (next) => Effect.timeoutOrElse(next, { duration: 1, orElse: () => Effect.fail(new Late()) })
})
export const hasty: Same<typeof Hasty, Interceptor.Interceptor<never, never, Late>> = true

const Hooked = Interceptor.hooks({
  caller: { before: () => Effect.flatMap(Store, () => Effect.void) },
  handler: { after: () => Effect.fail(new Refused()) }
})
export const hooked: Same<typeof Hooked, Interceptor.Interceptor<Refused, never, never, Store>> = true

export const CheckedLive = ReaderLive.pipe(Interceptor.apply(Plain, Checked))
export const piped: Same<typeof CheckedLive, Behavior.Behavior<Reader, void, Broken | Refused, Store>> = true

declare const reader: ActorRef.ActorRef<Reader>
export const same: Same<ReturnType<typeof viaPlain>, ActorRef.ActorRef<Reader>> = true
const viaPlain = () => reader.pipe(Interceptor.through(Plain))
export const late = () => reader.pipe(Interceptor.through(Hasty)).ask.One({ n: 1 })
export const fails: Same<ReturnType<typeof late>, Effect.Effect<number, ActorRef.AskError | Late>> = true

// @ts-expect-error what fails at the caller's side changes refs, so no behavior can have it
ReaderLive.pipe(Interceptor.apply(Hasty))
// @ts-expect-error no such message
Interceptor.message(Reader, "Two", {})
// @ts-expect-error the reply is a number
Interceptor.message(Reader, "One", { handle: () => Effect.succeed("one") })
// @ts-expect-error the payload has no such field
Interceptor.message(Reader, "One", { handle: (next, call) => Effect.as(next, call.payload.m) })
// @ts-expect-error a handler is left or replaced, not forgotten
Interceptor.make({ handle: () => undefined })

/** As part of a spec it is as good as anywhere. */
export const child = Supervisor.child(ReaderLive.pipe(Interceptor.apply(Checked)), {
  onFailure: { Broken: "restart", Refused: "stop" }
})
