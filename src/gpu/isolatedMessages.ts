/**
 * What an isolated engine and its thread say to each other: one request at a time, one answer to each, in order. Memory
 * travels without being copied: of arguments and results by transfer, of resident tensors because it is shared.
 */
import * as Schema from "effect/Schema"
import { DeviceLost, GpuOutOfMemory, KernelCompileFailed, KernelRunFailed } from "./errors.ts"
import type { KernelSource } from "./engine.ts"

/**
 * What a thread is asked. `source` comes with the first call on a thread that does not know the kernel yet. `Forget` is not
 * answered.
 */
export type Request =
  | { readonly _tag: "Compile"; readonly id: number; readonly source: KernelSource }
  | {
      readonly _tag: "Run"
      readonly id: number
      readonly source: KernelSource | undefined
      readonly args: ReadonlyArray<Float32Array | number>
    }
  | { readonly _tag: "Forget"; readonly id: number }

/** What a thread answers: at its start `Ready` or `Declined`, then once to each request. */
export type Answer =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Declined"; readonly reason: string }
  | { readonly _tag: "Compiled" }
  | { readonly _tag: "Result"; readonly values: Float32Array }
  | { readonly _tag: "Failed"; readonly failure: typeof Failure.Encoded }
  | { readonly _tag: "Broken"; readonly detail: string }

/** The errors of an engine. As classes they would arrive as plain objects. */
export const Failure = Schema.Union([KernelCompileFailed, KernelRunFailed, DeviceLost, GpuOutOfMemory])

export const encodeFailure = Schema.encodeSync(Failure)
export const decodeFailure = Schema.decodeSync(Failure)
