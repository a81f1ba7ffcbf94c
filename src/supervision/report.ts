/**
 * What a supervisor tells about its children: events for those who listen, log lines for people (rule R11).
 */
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import * as Context from "effect/Context"
import { type ExitReason, format, isAbnormal } from "../runtime/ExitReason.ts"
import type { Slot } from "../runtime/slot.ts"
import type { SystemEvent } from "../runtime/SystemEvent.ts"
import { causeOf, type Child } from "./child.ts"
import type { Window } from "./Intensity.ts"
import type { Decision } from "./Restart.ts"

/** @internal */
export class Reporter {
  private readonly slot: Slot

  constructor(slot: Slot) {
    this.slot = slot
  }

  /** A child ended by itself: worth a line when that was abnormal, or when it should not have ended. */
  ended(child: Child, reason: ExitReason, decision: Decision): void {
    if (!isAbnormal(reason) && decision !== "restart") return
    const next = { restart: "it is restarted", keep: "it stays stopped", forget: "it is not restarted" }
    this.log(child, this.level(child), reason, `child ${child.spec.id} ${ending(reason)}; ${next[decision]}`)
  }

  failed(child: Child, reason: ExitReason, what: string): void {
    this.log(child, this.level(child), reason, `child ${child.spec.id} ${ending(reason)}; ${what}`)
  }

  restarting(child: Child, delay: number, reason: ExitReason): void {
    this.tell(() => ({
      _tag: "ChildRestarting",
      path: child.slot.path,
      attempt: child.failuresInRow,
      delay,
      reason
    }))
  }

  restarted(child: Child): undefined {
    return this.tell(() => ({ _tag: "ChildRestarted", path: child.slot.path, incarnation: child.slot.incarnations }))
  }

  gaveUp(child: Child, reason: ExitReason, limit: "intensity" | "backoff", budget: Window): void {
    const { path } = this.slot
    const { restarts, within } = budget
    this.tell(() => ({ _tag: "GaveUp", path, child: child.spec.id, limit, restarts, within, reason }))
    const { id } = child.spec
    const why =
      limit === "backoff"
        ? `the backoff of child ${id} has ended`
        : `child ${id} needs more than ${restarts} restarts within ${within} ms`
    this.log(child, "Error", reason, `giving up: ${why}`)
  }

  autoShutdown(child: Child): undefined {
    return this.tell(() => ({ _tag: "AutoShutdown", path: this.slot.path, child: child.spec.id }))
  }

  /** A child ended otherwise than asked (R32). */
  stopped(child: Child, reason: ExitReason, limit: number | "kill"): void {
    if (reason._tag === "Failed" || (reason._tag === "Killed" && limit !== "kill")) {
      this.tell(() => ({ _tag: "ShutdownError", path: this.slot.path, child: child.spec.id, reason }))
      this.log(child, "Error", reason, `child ${child.spec.id} did not stop as asked: it ${ending(reason)}`)
    }
  }

  private tell(event: () => SystemEvent): undefined {
    if (this.slot.system.observed) this.slot.system.emit(event())
    return undefined
  }

  private level(child: Child): LogLevel.Severity {
    const { level, raisedAfter, raisedLevel } = child.spec.report
    return child.failuresInRow > raisedAfter ? raisedLevel : level
  }

  private log(child: Child, level: LogLevel.Severity, reason: ExitReason, message: string): void {
    const { context } = this.slot
    if (LogLevel.isLessThan(level, Context.get(context, References.MinimumLogLevel))) return
    const line =
      reason._tag === "Failed"
        ? Effect.logWithLevel(level)(message, causeOf(reason))
        : Effect.logWithLevel(level)(message)
    Effect.runForkWith(context)(Effect.annotateLogs(line, { supervisor: this.slot.path, child: child.slot.path }))
  }
}

/** A failure is logged with its cause beside the message, so the message need not repeat it. */
const ending = (reason: ExitReason): string => (reason._tag === "Failed" ? "crashed" : format(reason))
