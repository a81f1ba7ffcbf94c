/**
 * Trees and scripts as plain data: what is read from JSON, what the model predicts, and what is played against the library.
 */

export type Restart = "permanent" | "transient" | "temporary"
export type Strategy = "one-for-one" | "one-for-all" | "rest-for-one"
export type AutoShutdown = "never" | "any-significant" | "all-significant"
export type Directive = "restart" | "resume" | "stop" | "escalate"

/** What a failing message, or a failing init, carries: one of two typed errors, or a defect. */
export type Failure = "A" | "B" | "defect"

/** How one attempt to start a worker goes: after so many milliseconds it is up, has nothing to do, or fails. */
export interface Attempt {
  readonly after: number
  readonly result: "ok" | "ignore" | Failure
}

/** Delays of `min`, doubled up to `max`; they start over after `resetAfter` of healthy running. All in milliseconds. */
export interface Delays {
  readonly min: number
  readonly max: number
  readonly resetAfter: number
}

export interface WorkerSpec {
  readonly kind: "worker"
  readonly id: string
  readonly restart: Restart
  readonly significant: boolean
  /** Milliseconds, or not at all. */
  readonly shutdown: number | "kill"
  readonly startTimeout: number
  /** What each kind of failure means; `restart` where nothing is said. */
  readonly onFailure: Readonly<Partial<Record<Failure, Directive>>>
  readonly backoff: Delays | null
  /** How its first, second, … attempt goes. Those that are not listed are up at once. */
  readonly attempts: ReadonlyArray<Attempt>
}

export interface Intensity {
  readonly restarts: number
  /** Milliseconds. */
  readonly within: number
}

export interface SupervisorSpec {
  readonly kind: "supervisor"
  readonly id: string
  readonly restart: Restart
  readonly significant: boolean
  readonly strategy: Strategy
  readonly intensity: Intensity
  readonly autoShutdown: AutoShutdown
  readonly children: ReadonlyArray<Spec>
}

/** Its children are workers that come and go; it is permanent. */
export interface DynamicSpec {
  readonly kind: "dynamic"
  readonly id: string
  readonly intensity: Intensity
  /** `null`: any number. */
  readonly maxChildren: number | null
}

export type Spec = WorkerSpec | SupervisorSpec | DynamicSpec

/** Something that happens to a worker, a supervisor, or the clock. */
export type SingleStep =
  | { readonly do: "advance"; readonly ms: number }
  /** A message whose handler fails. */
  | { readonly do: "crash"; readonly path: string; readonly error: Failure }
  /** A message after which the worker ends: normally, or with a shutdown of its own. */
  | { readonly do: "end"; readonly path: string; readonly reason: "normal" | "shutdown" }
  /** A message that takes so long to handle. */
  | { readonly do: "busy"; readonly path: string; readonly ms: number }
  /** The end by force, of a worker or of a supervisor with all below it. */
  | { readonly do: "kill"; readonly path: string }
  | { readonly do: "stop"; readonly path: string }
  | { readonly do: "start-child"; readonly path: string; readonly child: Spec }
  | { readonly do: "terminate-child"; readonly path: string; readonly id: string }
  | { readonly do: "restart-child"; readonly path: string; readonly id: string }
  | { readonly do: "delete-child"; readonly path: string; readonly id: string }
  | { readonly do: "reconfigure"; readonly path: string; readonly tree: SupervisorSpec }
  /** A child of a dynamic supervisor, whose id is made for it. */
  | { readonly do: "start-dynamic"; readonly path: string; readonly child: WorkerSpec }
  | { readonly do: "terminate-dynamic"; readonly path: string; readonly child: string }

/** `together`: all are done before anything that follows from them. */
export type Step = SingleStep | { readonly do: "together"; readonly steps: ReadonlyArray<SingleStep> }

export interface Script {
  readonly tree: SupervisorSpec
  readonly steps: ReadonlyArray<Step>
}

/** The steps done at once by a step, in order. */
export const singles = (step: Step): ReadonlyArray<SingleStep> => (step.do === "together" ? step.steps : [step])
