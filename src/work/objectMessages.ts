/**
 * What a thread and the store of its process say to each other. The memory of objects goes along as SharedArrayBuffers, which
 * are not copied.
 */
import * as Schema from "effect/Schema"
import { ObjectUnavailable, StoreClosed, StoreFull } from "./objectErrors.ts"
import type { Shared } from "./sharedMemory.ts"

/** One object in statistics. */
export interface ObjectStatistics {
  readonly object: string
  readonly label: string | undefined
  readonly bytes: number
  readonly references: number
  /** Milliseconds since it was put. */
  readonly age: number
}

/** How full a store is, and of what. */
export interface Statistics {
  readonly capacity: number
  readonly bytes: number
  readonly objects: ReadonlyArray<ObjectStatistics>
  /** All references to all objects; a thread that holds one counts once for it. */
  readonly references: number
  /** The threads that are connected. */
  readonly threads: number
}

/** What a thread asks for. Each is answered once, but for `Arrive` and `Release`, which are not answered. */
export type Request =
  | {
      readonly _tag: "Put"
      readonly bytes: number
      readonly label: string | undefined
      readonly shared: Shared | undefined
    }
  | { readonly _tag: "Attach"; readonly object: number; readonly shared: Shared }
  | { readonly _tag: "Hold"; readonly object: number; readonly sent: number | undefined }
  | { readonly _tag: "Arrive"; readonly object: number; readonly sent: number }
  | { readonly _tag: "HandOver"; readonly object: number; readonly millis: number }
  | { readonly _tag: "Statistics" }
  | { readonly _tag: "Release"; readonly object: number }

/** A request with its number, which comes back with the answer. */
export type Numbered = Request & { readonly request: number }

/** What the store says: a welcome first, then answers. */
export type Answer =
  | { readonly _tag: "Welcome"; readonly store: string; readonly threshold: number }
  | { readonly _tag: "Placed"; readonly request: number; readonly object: number }
  | { readonly _tag: "Held"; readonly request: number; readonly shared: Shared | undefined }
  | { readonly _tag: "Sent"; readonly request: number; readonly sent: number }
  | { readonly _tag: "Done"; readonly request: number }
  | { readonly _tag: "Statistics"; readonly request: number; readonly statistics: Statistics }
  | { readonly _tag: "Refused"; readonly request: number; readonly failure: typeof Failure.Encoded }

/** Why a request is refused. As classes they would arrive as plain objects. */
export const Failure = Schema.Union([StoreFull, StoreClosed, ObjectUnavailable])

export const encodeFailure = Schema.encodeSync(Failure)
export const decodeFailure = Schema.decodeSync(Failure)
