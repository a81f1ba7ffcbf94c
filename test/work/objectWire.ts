/** What the tests of the object store and their worker thread say to each other. */
import type { MessagePort } from "node:worker_threads"
import { Schema } from "effect"
import * as ObjectStore from "effect-otp/ObjectStore"

export const Floats = ObjectStore.Ref(ObjectStore.View(Float32Array))

export const Rows = ObjectStore.Ref(
  Schema.Array(Schema.Struct({ name: Schema.String, at: Schema.Date, tags: Schema.ReadonlySet(Schema.String) }))
)

export type Rows = ReadonlyArray<{ readonly name: string; readonly at: Date; readonly tags: ReadonlySet<string> }>

export type Command =
  | { readonly _tag: "open"; readonly port: MessagePort }
  | { readonly _tag: "write"; readonly ref: unknown; readonly at: number; readonly value: number }
  | { readonly _tag: "rows" | "get"; readonly ref: unknown }
  | { readonly _tag: "hold"; readonly ref: unknown; readonly scope: string }
  | { readonly _tag: "close"; readonly scope: string }
  | { readonly _tag: "put"; readonly length: number; readonly scope: string; readonly handOver?: boolean }
  | { readonly _tag: "put-rows"; readonly rows: Rows; readonly scope: string }
  | { readonly _tag: "statistics" }
  | { readonly _tag: "spin" }
