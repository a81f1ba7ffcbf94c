/**
 * What the end of a child means: restart types and reasons (R10, R13), failures and their directives, how long a stop takes.
 */
import type { Directive, Failure, Restart, WorkerSpec } from "../spec.ts"

/** A crash or a kill; every other end is orderly. */
export const isAbnormal = (reason: string): boolean => reason === "killed" || reason.startsWith("failed(")

/** R10: the table. `keep`: its spec stays, as stopped; `forget`: its spec goes as well. */
export const afterEnd = (restart: Restart, reason: string): "restart" | "keep" | "forget" => {
  switch (restart) {
    case "permanent":
      return "restart"
    case "transient":
      return isAbnormal(reason) ? "restart" : "keep"
    case "temporary":
      return "forget"
  }
}

const FAILURES: ReadonlyArray<string> = ["A", "B", "defect"] satisfies ReadonlyArray<Failure>

/**
 * What a failure means before its restart type is looked at: `resume` consumes the message, `stop` ends the child for good,
 * `escalate` ends the supervisor. What nobody declares, such as a start that takes too long, is decided as a defect is.
 */
export const directiveFor = ({ onFailure }: WorkerSpec, cause: string): Directive =>
  onFailure[FAILURES.includes(cause) ? (cause as Failure) : "defect"] ?? "restart"

/** The cause that a reason carries upwards. */
export const causeOf = (reason: string): string => {
  if (reason === "normal") return "none"
  return reason.startsWith("failed(") ? reason.slice("failed(".length, -1) : "interrupted"
}

/**
 * R30: when, and how, a worker ends that is asked to stop at `now` while it is busy until `busyUntil`. Brutal: at once; a
 * limit: asked, then killed when it is over, so that 0 does not wait.
 */
export const stopped = (
  now: number,
  busyUntil: number,
  shutdown: number | "kill"
): { readonly at: number; readonly reason: "shutdown" | "killed" } => {
  if (shutdown === "kill") return { at: now, reason: "killed" }
  if (busyUntil <= now) return { at: now, reason: "shutdown" }
  return busyUntil < now + shutdown ? { at: busyUntil, reason: "shutdown" } : { at: now + shutdown, reason: "killed" }
}

/** R32: an end in answer to a stop that is worth a report. It never keeps the stop from going on. */
export const isShutdownError = (reason: string, shutdown: number | "kill"): boolean =>
  reason.startsWith("failed(") || (reason === "killed" && shutdown !== "kill")
