/** The messages of an actor as JSON texts: what a thread is sent and answers with. */
import { Effect, Schema } from "effect"
import type { Protocol } from "effect-otp"

export interface Request {
  readonly id: number
  readonly tag: string
  readonly payload: string
}

export type Answer =
  | { readonly id: number; readonly _tag: "Item" | "Success" | "Failure"; readonly value: string }
  | { readonly id: number; readonly _tag: "End" }

export type Reply = Answer | { readonly id: number; readonly _tag: "Received"; readonly request: Request }

/** Both directions of each part of a message. */
export const codecsOf = (message: Protocol.Message) => {
  const text = (schema: Schema.Top) => {
    const codec = Schema.fromJsonString(Schema.toCodecJson(schema as Schema.Codec<unknown, unknown>))
    return {
      encode: (value: unknown) => Effect.orDie(Schema.encodeEffect(codec)(value)),
      decode: (value: string) => Effect.orDie(Schema.decodeEffect(codec)(value))
    }
  }
  return {
    payload: text(Schema.Struct(message.payload as Schema.Struct.Fields)),
    success: text(message.success ?? Schema.Void),
    error: text(message.error ?? Schema.Never)
  }
}
