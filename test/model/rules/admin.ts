/**
 * What may be asked of a supervisor about a child in which state: the table of R37.
 */
import type { ChildState } from "../history.ts"

/** `go`: it is done. Everything else is the answer. */
export type Ruling = "go" | "not-found" | "running" | "restarting" | "present"

const isUp = (state: ChildState): boolean => state === "running" || state === "starting" || state === "stopping"

/** `present`, or `restarting`, is what OTP calls already-present; `running` is its already-started. */
export const onStart = (state: ChildState | undefined): Ruling => {
  if (state === undefined) return "go"
  if (state === "restarting") return "restarting"
  return isUp(state) ? "running" : "present"
}

export const onRestart = (state: ChildState | undefined): Ruling => {
  if (state === undefined) return "not-found"
  if (state === "restarting") return "restarting"
  return isUp(state) ? "running" : "go"
}

/** Stopped, running or waiting for its next attempt: in each case it is stopped afterwards. */
export const onTerminate = (state: ChildState | undefined): Ruling => (state === undefined ? "not-found" : "go")

export const onDelete = (state: ChildState | undefined): Ruling => onRestart(state)
