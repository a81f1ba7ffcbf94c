/**
 * What an actor understands: one entry per message, described by schemas, with the options of `Rpc.make`.
 *
 * Because messages are schemas, every actor can leave the process: the same protocol is an `RpcGroup` (`toRpcGroup`), and
 * an `RpcGroup` is a protocol (`fromRpcGroup`). Inside the process nothing is encoded, decoded or checked.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type * as Stream from "effect/Stream"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSchema from "effect/rpc/RpcSchema"
import type { Covariant } from "effect/Types"

/**
 * One message. Without `success` the reply is void; without `error` it cannot fail; `stream` replies with many values.
 * `annotations` say something about it to whoever looks, an interceptor say: `Context.make(Remote, true)`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Message {
  readonly payload?: Schema.Top | Schema.Struct.Fields
  readonly success?: Schema.Top
  readonly error?: Schema.Top
  readonly stream?: boolean
  readonly annotations?: Context.Context<never>
}

/**
 * The messages of an actor, by tag.
 *
 * @category models
 * @since 0.1.0
 */
export interface Protocol {
  readonly [tag: string]: Message
}

type PayloadSchema<M> = M extends { readonly payload: infer P }
  ? P extends Schema.Struct.Fields
    ? Schema.Struct<P>
    : P extends Schema.Top
      ? P
      : never
  : Schema.Void
type SuccessSchema<M> = M extends { readonly success: infer S extends Schema.Top } ? S : Schema.Void
type ErrorSchema<M> = M extends { readonly error: infer E extends Schema.Top } ? E : Schema.Never

/**
 * What a handler receives.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Payload<M> = PayloadSchema<M>["Type"]

/**
 * What a sender passes: fields with a constructor default may be left out.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Input<M> = PayloadSchema<M>["~type.make.in"]

/**
 * What a handler replies; each element, for a stream.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Success<M> = SuccessSchema<M>["Type"]

/**
 * The declared error: a reply, not a crash.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Failure<M> = ErrorSchema<M>["Type"]

/**
 * The arguments of `ref.tell.X`, `ref.ask.X` and `ref.stream.X`.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Args<M> = M extends { readonly payload: infer _ } ? [payload: Input<M>] : []

/**
 * The names of the messages without payload.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Bare<P> = { [K in keyof P]: P[K] extends { readonly payload: infer _ } ? never : K }[keyof P] & string

/**
 * The messages answered by a stream.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Streaming<P> = { [K in keyof P as P[K] extends { readonly stream: true } ? K : never]: P[K] }

/**
 * The messages answered once.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Asking<P> = { [K in keyof P as P[K] extends { readonly stream: true } ? never : K]: P[K] }

/**
 * An effect of an `A`, whatever it may fail with and need. It says nothing of those, so that they are inferred from the
 * handler alone: were they `unknown` here, `Effect.catchTag` and its like at a handler's end would take them from here.
 *
 * @category type-level
 * @since 0.1.0
 */
export interface EffectOf<out A> {
  readonly [Effect.TypeId]: { readonly _A: Covariant<A> }
}

/**
 * A stream of `A`s, whatever it may fail with and need.
 *
 * @category type-level
 * @since 0.1.0
 */
export interface StreamOf<out A> {
  readonly [Stream.TypeId]: { readonly _A: Covariant<A> }
}

/**
 * What a handler may return: a value, an effect or a generator of the reply; a stream for streaming messages.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Result<M> = M extends { readonly stream: true }
  ? StreamOf<Success<M>>
  : Success<M> | EffectOf<Success<M>> | Generator<unknown, Success<M>, never>

/**
 * The messages of a protocol as effect/rpc definitions.
 *
 * @category type-level
 * @since 0.1.0
 */
export type ToRpc<P> = {
  [K in keyof P & string]: Rpc.Rpc<
    K,
    PayloadSchema<P[K]>,
    P[K] extends { readonly stream: true }
      ? RpcSchema.Stream<SuccessSchema<P[K]>, ErrorSchema<P[K]>>
      : SuccessSchema<P[K]>,
    P[K] extends { readonly stream: true } ? typeof Schema.Never : ErrorSchema<P[K]>
  >
}[keyof P & string]

/**
 * The protocol of an `RpcGroup`.
 *
 * @category type-level
 * @since 0.1.0
 */
export type FromRpc<R extends Rpc.Any> = {
  readonly [Current in R as Current["_tag"]]: Current extends Rpc.Rpc<
    infer _Tag,
    infer P,
    infer S,
    infer E,
    infer _M,
    infer _R
  >
    ? S extends RpcSchema.Stream<infer A, infer E2>
      ? { readonly payload: P; readonly success: A; readonly error: E2; readonly stream: true }
      : (P extends Schema.Void ? {} : { readonly payload: P }) & { readonly success: S; readonly error: E }
    : never
}

/**
 * The same protocol as an `RpcGroup`: what worker threads and cluster entities consume.
 *
 * **Example** (An actor's messages as remote procedures)
 *
 * ```ts import.meta.vitest
 * import { Schema } from "effect"
 * import { Actor, Protocol } from "effect-otp"
 *
 * class Greeter extends Actor.Service<Greeter>()("docs/Greeter", {
 *   Hello: { payload: { name: Schema.String }, success: Schema.String }
 * }) {}
 *
 * const group = Protocol.toRpcGroup(Greeter.protocol)
 * Array.from(group.requests.keys()) // => ["Hello"]
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const toRpcGroup = <const P extends Protocol>(protocol: P): RpcGroup.RpcGroup<ToRpc<P>> => {
  const rpcs = Object.entries(protocol).map(([tag, { annotations, ...message }]) => {
    const rpc = Rpc.make(tag, message)
    return annotations === undefined ? rpc : rpc.annotateMerge(annotations as Context.Context<unknown>)
  })
  return RpcGroup.make(...rpcs) as unknown as RpcGroup.RpcGroup<ToRpc<P>>
}

/**
 * The protocol of an existing `RpcGroup`, for `Actor.Service`.
 *
 * **Example** (An actor that speaks an existing group)
 *
 * ```ts import.meta.vitest
 * import { Schema } from "effect"
 * import { Rpc, RpcGroup } from "effect/rpc"
 * import { Protocol } from "effect-otp"
 *
 * const Api = RpcGroup.make(Rpc.make("Double", { payload: { n: Schema.Int }, success: Schema.Int }))
 * Object.keys(Protocol.fromRpcGroup(Api)) // => ["Double"]
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromRpcGroup = <R extends Rpc.Any>(group: RpcGroup.RpcGroup<R>): FromRpc<R> => {
  const protocol: Record<string, Message> = {}
  for (const [tag, any] of group.requests) {
    const rpc = any as unknown as Rpc.AnyWithProps
    const streamed = RpcSchema.isStreamSchema(rpc.successSchema) ? rpc.successSchema : undefined
    const annotations = rpc.annotations as Context.Context<never>
    const replies =
      streamed === undefined
        ? { success: rpc.successSchema, error: rpc.errorSchema, annotations }
        : { success: streamed.success, error: streamed.error, stream: true, annotations }
    protocol[tag] = isVoid(rpc.payloadSchema) ? replies : { payload: rpc.payloadSchema, ...replies }
  }
  return protocol as FromRpc<R>
}

const isVoid = (schema: Schema.Top): boolean => schema.ast._tag === "Void"

/**
 * A protocol as the engine uses it: messages by number.
 *
 * @internal
 */
export class Compiled {
  readonly protocol: Protocol
  readonly tags: ReadonlyArray<string>
  readonly streams: ReadonlyArray<boolean>
  readonly annotations: ReadonlyArray<Context.Context<never>>
  /** Makes the payload where its schema fills something in; `undefined` where the sender's object is the payload. */
  readonly makes: ReadonlyArray<((input: unknown) => unknown) | undefined>
  private readonly declared: ReadonlyArray<((error: unknown) => boolean) | undefined>

  constructor(protocol: Protocol) {
    const messages = Object.values(protocol)
    this.protocol = protocol
    this.tags = Object.keys(protocol)
    this.streams = messages.map((message) => message.stream === true)
    this.annotations = messages.map((message) => message.annotations ?? Context.empty())
    this.declared = messages.map((message) => (message.error === undefined ? undefined : Schema.is(message.error)))
    this.makes = messages.map(makeOf)
  }

  declares(tag: number, error: unknown): boolean {
    const test = this.declared[tag]
    return test !== undefined && test(error)
  }
}

/** The schema of a message's payload. @internal */
export const payloadSchema = (message: Message): Schema.Top => {
  const payload = message.payload
  if (payload === undefined) return Schema.Void
  return Schema.isSchema(payload) ? payload : Schema.Struct(payload as Schema.Struct.Fields)
}

/** How a payload is made, where that is more than taking it. @internal */
export const makeOf = (message: Message): ((input: unknown) => unknown) | undefined => {
  const schema = payloadSchema(message)
  if (!fillsIn(schema.ast)) return undefined
  return (input) => schema.make(input as never, { disableChecks: true })
}

/**
 * Whether making a value of this schema can differ from the input: classes, and defaults anywhere inside. A class is declared
 * over the schema of its fields; what is declared over nothing, as references and dates are, is made of nothing but itself.
 */
const fillsIn = (ast: SchemaAST.AST): boolean => {
  if (ast.context?.constructorDefault !== undefined) return true
  if (ast._tag === "Declaration") return ast.typeParameters.some((each) => ast.encoding !== undefined || fillsIn(each))
  if (ast._tag === "Objects") return ast.propertySignatures.some((property) => fillsIn(property.type))
  return false
}
