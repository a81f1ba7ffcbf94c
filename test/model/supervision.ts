/**
 * What a run tells its supervisor. Runs and supervisors call each other; here is the side that runs see, filled in by
 * `supervising.ts`.
 */
import type { Rules } from "./rules/all.ts"
import type { Place, World } from "./world.ts"

export type Outcome = "up" | "ignored" | { readonly cause: string }

interface Supervision {
  boot: (w: World, rules: Rules, s: Place) => void
  takeTurn: (w: World, rules: Rules, s: Place) => void
  endSupervisor: (w: World, s: Place, reason: string) => void
  stopDone: (w: World, s: Place, p: Place) => void
  childEnded: (w: World, rules: Rules, s: Place, p: Place, reason: string) => void
  childStarted: (w: World, rules: Rules, s: Place, p: Place, outcome: Outcome) => void
}

export const supervision = {} as Supervision
