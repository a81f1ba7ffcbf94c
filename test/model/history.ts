/**
 * What can be observed: a history of events, and how the tree looks after a step. The format is described in README.md.
 *
 * Reasons are texts: `normal`, `shutdown`, `shutdown(…)`, `killed`, `failed(…)`. What stands between the brackets is a cause:
 * `A`, `B`, `defect`, `start-timeout`, `interrupted`, `none`, or the report of a supervisor below.
 */
import type { Restart } from "./spec.ts"

export type Happening =
  /** A worker's init has begun: its attempt number `run`. */
  | { readonly event: "attempted"; readonly path: string; readonly run: number }
  | { readonly event: "started"; readonly path: string; readonly run: number }
  /** A message failed, or a supervisor did by escalation. */
  | { readonly event: "failed"; readonly path: string; readonly cause: string }
  /** A worker that was up has ended. */
  | { readonly event: "exited"; readonly path: string; readonly reason: string }
  | { readonly event: "restarting"; readonly path: string; readonly delay: number; readonly reason: string }
  | { readonly event: "restarted"; readonly path: string; readonly run: number }
  | { readonly event: "gave-up"; readonly path: string; readonly child: string; readonly reason: string }
  | { readonly event: "auto-shutdown"; readonly path: string; readonly child: string }
  | { readonly event: "shutdown-error"; readonly path: string; readonly child: string; readonly reason: string }
  /** The answer to what step number `to` asked for, those done together counted singly; 0 is the start of the tree. */
  | { readonly event: "answered"; readonly to: number; readonly answer: string }
  /** The root has ended. */
  | { readonly event: "ended"; readonly path: string; readonly reason: string }

/** With the virtual time of it, in milliseconds. */
export type Event = { readonly t: number } & Happening

export type ChildState = "starting" | "running" | "restarting" | "stopping" | "stopped"

export interface ChildView {
  readonly id: string
  readonly kind: "worker" | "supervisor"
  readonly state: ChildState
  readonly restart: Restart
  readonly significant: boolean
  readonly run: number
  readonly restarts: number
  /** Milliseconds until the attempt that it waits for. */
  readonly next: number | null
}

export interface SupervisorView {
  readonly path: string
  readonly specs: number
  readonly active: number
  readonly supervisors: number
  readonly workers: number
  readonly used: number
  readonly left: number
  /** How long each restart still counts. */
  readonly expires: ReadonlyArray<number>
  readonly children: ReadonlyArray<ChildView>
}

/** How everything looks when nothing moves any more. */
export interface View {
  readonly t: number
  readonly root: "running" | "stopped"
  /** All supervisors that are up, each before those below it. */
  readonly supervisors: ReadonlyArray<SupervisorView>
  /** The workers that run, by path. */
  readonly alive: ReadonlyArray<string>
  /** How those ended that have ended for good. */
  readonly ended: Readonly<Record<string, string>>
}
