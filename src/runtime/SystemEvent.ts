/**
 * What happens in a system, as data: starts, ends, failures, restarts, full mailboxes, lost messages.
 *
 * Events are built only while somebody listens, so they cost nothing otherwise.
 */
import type * as Cause from "effect/Cause"
import type { MailboxRule } from "./admission.ts"
import type { DeadLetter } from "./DeadLetters.ts"
import type { ExitReason } from "./ExitReason.ts"

/**
 * One thing that happened, told by path. `delay` and times are in milliseconds. `ActorExited` is the end of one run, after
 * which another may come; `ActorEnded` is the end for good.
 *
 * @category models
 * @since 0.1.0
 */
export type SystemEvent =
  | { readonly _tag: "ActorStarted"; readonly path: string; readonly incarnation: number }
  | { readonly _tag: "ActorExited"; readonly path: string; readonly incarnation: number; readonly reason: ExitReason }
  | { readonly _tag: "ActorEnded"; readonly path: string; readonly reason: ExitReason }
  | {
      readonly _tag: "ActorFailed"
      readonly path: string
      readonly cause: Cause.Cause<unknown>
      readonly message: string | undefined
    }
  | {
      readonly _tag: "ChildRestarting"
      readonly path: string
      readonly attempt: number
      readonly delay: number
      readonly reason: ExitReason
    }
  | { readonly _tag: "ChildRestarted"; readonly path: string; readonly incarnation: number }
  | {
      readonly _tag: "GaveUp"
      readonly path: string
      readonly child: string
      readonly limit: "intensity" | "backoff"
      readonly restarts: number
      readonly within: number
      readonly reason: ExitReason
    }
  | { readonly _tag: "AutoShutdown"; readonly path: string; readonly child: string }
  | { readonly _tag: "ShutdownError"; readonly path: string; readonly child: string; readonly reason: ExitReason }
  | { readonly _tag: "MailboxHighWater"; readonly path: string; readonly size: number }
  | {
      readonly _tag: "MessageDropped"
      readonly path: string
      readonly tag: string
      readonly payload: unknown
      readonly reason: "drop-newest" | "drop-oldest" | "restarting"
    }
  | {
      readonly _tag: "MailboxRuleFailed"
      readonly path: string
      readonly rule: MailboxRule
      readonly defect: unknown
    }
  | { readonly _tag: "HandlerStuck"; readonly path: string; readonly tag: string; readonly millis: number }
  | { readonly _tag: "Unhandled"; readonly path: string; readonly tag: string; readonly payload: unknown }
  | { readonly _tag: "FinalizerFailed"; readonly path: string; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "ZombieLeft"; readonly path: string; readonly since: number }
  | { readonly _tag: "ZombieReleased"; readonly path: string; readonly after: number }
  | ({ readonly _tag: "DeadLetter" } & DeadLetter)
