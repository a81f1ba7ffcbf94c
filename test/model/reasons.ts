/**
 * Reasons, causes and errors of the library in the words of the model.
 */
import { Cause } from "effect"
import { DynamicSupervisor, type ExitReason, Supervisor } from "effect-otp"

export const reasonText = (reason: ExitReason.ExitReason): string => {
  switch (reason._tag) {
    case "Normal":
      return "normal"
    case "Shutdown":
      if (reason.info === undefined) return "shutdown"
      return `shutdown(${reason.info instanceof Error ? errorText(reason.info) : String(reason.info)})`
    case "Failed":
      return `failed(${causeText(reason.cause)})`
    case "Killed":
      return "killed"
    case "Interrupted":
      return "interrupted"
  }
}

/** Its first typed error; without one, its defect. */
export const causeText = (cause: Cause.Cause<unknown>): string => {
  const failure = cause.reasons.find(Cause.isFailReason)
  if (failure !== undefined) return errorText(failure.error)
  const death = cause.reasons.find(Cause.isDieReason)
  if (death !== undefined) return death.defect === "defect" ? "defect" : `defect: ${String(death.defect)}`
  return cause.reasons.length === 0 ? "none" : "interrupted"
}

/** What a call failed with, in one word where one is enough. */
export const errorText = (error: unknown): string => {
  if (error instanceof Supervisor.StartFailed) return startText(error)
  if (error instanceof Supervisor.RestartIntensityExceeded) return `gave-up(${where(error)}: ${causeText(error.cause)})`
  if (error instanceof Supervisor.Escalated) return `escalated(${where(error)}: ${causeText(error.cause)})`
  if (error instanceof Supervisor.StartTimeout) return "start-timeout"
  if (error instanceof Supervisor.InvalidSpec) return `invalid(${error.field})`
  if (error instanceof Supervisor.ChildConflict) return error.state
  if (error instanceof Supervisor.ChildNotFound) return "not-found"
  if (error instanceof Supervisor.SupervisorNotRunning) return "not-running"
  if (error instanceof DynamicSupervisor.MaxChildrenReached) return "max-children"
  if (typeof error === "object" && error !== null && "_tag" in error) return String(error._tag)
  return String(error)
}

/** A tree that was refused has not failed to start: it has not been tried. */
const startText = (error: Supervisor.StartFailed<unknown>): string => {
  const cause = causeText(error.cause)
  return error.path === "" && cause.startsWith("invalid(") ? cause : `start-failed(${where(error)}: ${cause})`
}

const where = ({ child, path }: { readonly path: string; readonly child: string }): string => `${path}/${child}`
