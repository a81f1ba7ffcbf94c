/**
 * What a behavior crashes with and needs is inferred from what its handlers do, whatever operator stands at their end.
 */
import { Context, Data, Effect, Schema, Stream } from "effect"
import { Actor, type Behavior } from "effect-otp"

class Missing extends Data.TaggedError("Missing") {}
class Broken extends Data.TaggedError("Broken") {}
class Store extends Context.Service<Store, { readonly get: Effect.Effect<number, Missing | Broken> }>()("test/Store") {}

class Reader extends Actor.Service<Reader>()("test/Reader", {
  One: { success: Schema.Number },
  Beside: { success: Schema.Number },
  Batch: { success: Schema.Number },
  Many: { success: Schema.Number, stream: true }
}) {}

const get = Effect.flatMap(Store, (store) => store.get)

/** A handler ends with an operator that is generic in what it leaves over. */
export const ReaderLive = Reader.behavior(
  Effect.sync(() =>
    Reader.of({
      One: () => Effect.catchTag(get, "Missing", () => Effect.succeed(0)),
      Beside: Actor.concurrent(() => get.pipe(Effect.catchTag("Missing", Effect.die))),
      Batch: Actor.batched({
        maxSize: 8,
        run: (batch) => Effect.catchTag(Effect.all(batch.map(() => get)), "Missing", () => Effect.die("missing"))
      }),
      Many: () => Stream.catchTag(Stream.fromEffect(get), "Missing", () => Stream.empty)
    })
  )
)

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false
/** Nothing else, and above all not `unknown`. */
export const inferred: Same<typeof ReaderLive, Behavior.Behavior<Reader, void, Broken, Store>> = true
