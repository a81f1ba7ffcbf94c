/**
 * What is inferred of channels: only what has a limit can be too late, only who reads for acknowledgement gets deliveries.
 */
import { Effect, Layer, Schema, Scope, Stream } from "effect"
import { ActorChannel, ChildSpec } from "effect-otp"

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false

class Job extends Schema.Class<Job>("Job")({ id: Schema.Int }) {}
class Jobs extends ActorChannel.Service<Jobs>()("types/Jobs", Job) {}
class Marked extends ActorChannel.Service<Marked>()("types/Marked", Job, { signal: Schema.Literals(["flush"]) }) {}

declare const channel: ActorChannel.ActorChannel<number, "flush">
declare const reader: ActorChannel.Reader<number, "flush">
const job = new Job({ id: 1 })

const limited = channel.put(1, { within: "1 second" })
export const full: Same<
  Effect.Error<typeof limited>,
  ActorChannel.Closed | ActorChannel.TooLarge | ActorChannel.Full
> = true
const unlimited = channel.put(1)
export const notFull: Same<Effect.Error<typeof unlimited>, ActorChannel.Closed | ActorChannel.TooLarge> = true

const got = reader.get()
export const item: Same<typeof got, Effect.Effect<number, ActorChannel.Closed>> = true
const taken = reader.take({ within: 0 })
export const delivery: Same<
  typeof taken,
  Effect.Effect<ActorChannel.Delivery<number>, ActorChannel.Closed | ActorChannel.Empty>
> = true
const received = reader.receive()
export const control: Same<
  Effect.Success<typeof received>,
  ActorChannel.Delivery<number> | ActorChannel.Control<"flush">
> = true

/** All that is received can be told apart. */
export const told = (one: Effect.Success<typeof received>): number | string => {
  switch (one._tag) {
    case "Delivery":
      return one.item
    case "Resize":
      return one.capacity
    case "Signal":
      return one.value
  }
}

declare const checkpoint: ActorChannel.Checkpoint<Job, "flush">
export const held: Same<(typeof checkpoint.entries)[number]["_tag"], "Item" | "Signal"> = true
export const handedOver = Marked.layer({ from: { ...checkpoint, closed: false } })
const putJob = Jobs.put(job)
export const needs: Same<Effect.Services<typeof putJob>, Jobs> = true
const joined = Jobs.reader("a")
export const joins: Same<typeof joined, Effect.Effect<ActorChannel.Reader<Job>, never, Jobs | Scope.Scope>> = true
export const stream: Same<ReturnType<typeof Jobs.stream>, Stream.Stream<Job, never, Jobs>> = true
export const child: Same<ReturnType<typeof Jobs.child>, ChildSpec.ChildSpec<Jobs, never, never>> = true
export const layer: Same<ReturnType<typeof Jobs.layer>, Layer.Layer<Jobs>> = true
const flush = Marked.signal("flush")
export const signals: Same<typeof flush, Effect.Effect<void, never, Marked>> = true
const read = reader.use((n, { deliveries }) =>
  deliveries > 1 ? Effect.fail("again" as const) : Effect.succeed(`${n}`)
)
export const used: Same<typeof read, Effect.Effect<string, "again" | ActorChannel.Closed>> = true

// @ts-expect-error not what this channel is for
Jobs.put(1)
// @ts-expect-error it has no signals
Jobs.signal("flush")
// @ts-expect-error not one of its signals
Marked.signal("flash")
// @ts-expect-error "soon" is no duration
channel.get({ within: "soon" })
// @ts-expect-error no such option
channel.put(1, { timeout: "1 second" })
// @ts-expect-error no such option
Jobs.child({ limit: 10 })
// @ts-expect-error a size is a number
ActorChannel.make<string>("types/words", { sizeOf: (word) => word })
// @ts-expect-error a channel of numbers does not take texts
export const wrong: ActorChannel.ActorChannel<number | string> = channel as ActorChannel.ActorChannel<number>
