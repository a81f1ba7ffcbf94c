/**
 * Histories: what can be seen of a tree while a script is played, event by event and step by step.
 */

/** How something ended, as far as the rules tell reasons apart. */
export type Reason = "normal" | "shutdown" | "failed" | "killed"

/** One thing that was seen. */
export type Event =
  | { readonly event: "start"; readonly path: string }
  | { readonly event: "failed-start"; readonly path: string }
  | { readonly event: "exit"; readonly path: string; readonly reason: Reason }
  | { readonly event: "give-up"; readonly path: string; readonly child: string }
  | { readonly event: "auto-shutdown"; readonly path: string; readonly child: string }

/** What a child looks like between two steps. */
export interface Look {
  readonly id: string
  readonly state: string
  readonly children?: ReadonlyArray<Look>
  /** Entries that count, of a supervisor that runs. */
  readonly used?: number
}

/** All that is seen of one step. */
export interface Seen {
  readonly events: ReadonlyArray<Event>
  /** What the call answered, if the step was one. */
  readonly answer: string | undefined
  readonly look: Look
}
