/**
 * Refs and their views are compared message by message: never by how alike two protocols look as data.
 */
import { Schema } from "effect"
import { Actor, type ActorRef } from "effect-otp"

class Late extends Schema.TaggedError<Late>()("Late", {}) {}

class Sure extends Actor.Service<Sure>()("test/Sure", {
  One: { payload: { n: Schema.Int }, success: Schema.Number }
}) {}
class Fails extends Actor.Service<Fails>()("test/Fails", {
  One: { payload: { n: Schema.Int }, success: Schema.Number, error: Late }
}) {}
class Says extends Actor.Service<Says>()("test/Says", {
  One: { payload: { n: Schema.Int }, success: Schema.String }
}) {}
class Takes extends Actor.Service<Takes>()("test/Takes", {
  One: { payload: { n: Schema.String }, success: Schema.Number }
}) {}

type Asks<A> = ActorRef.Ask<ActorRef.ProtocolOf<A>>
type Tells<A> = ActorRef.Tell<ActorRef.ProtocolOf<A>>

declare const sure: ActorRef.ActorRef<Sure>
declare const fails: ActorRef.ActorRef<Fails>

export const handled: Asks<Fails> = sure.ask
export const alike: Tells<Says> = fails.tell
// @ts-expect-error an ask that fails with more is another one
export const forgotten: Asks<Sure> = fails.ask
// @ts-expect-error so is the ref
export const forgottenRef: ActorRef.ActorRef<Sure> = fails
// @ts-expect-error another reply
export const says: Asks<Says> = sure.ask
// @ts-expect-error another payload
export const takes: Tells<Takes> = sure.tell
