/**
 * The state of the model: places in which workers and supervisors run, what each supervisor is doing and what waits for it,
 * and the timers. Plain data, so that it can be copied and printed.
 */
import type { ChildState, Event, Happening } from "./history.ts"
import type { Directive, DynamicSpec, Spec, SupervisorSpec } from "./spec.ts"

/** Something that a supervisor does before anything else; the first of the list is under way once it has `begun`. */
export interface Job {
  readonly do: "start" | "stop" | "stop-together" | "start-group" | "terminated" | "up" | "down"
  readonly place: number
  /** What a start is for: it decides what its failure means. */
  readonly cause: "boot" | "attempt" | "start-child" | "restart-child" | "start-dynamic" | "none"
  /** Its spec goes with it. */
  readonly loses: boolean
  /** Who asked for it, by step; 0 for nobody. */
  readonly step: number
  begun: boolean
}

/** What waits for a supervisor, in the order in which it came. */
export type Notice =
  /** What a failure means was decided when it happened. */
  | {
      readonly about: "ended"
      readonly place: number
      readonly token: number
      readonly reason: string
      readonly directive: Directive
    }
  /** An attempt to restart has failed: another one is wanted. */
  | { readonly about: "retry"; readonly place: number; readonly token: number; readonly reason: string }
  /** The delay before an attempt is over. */
  | { readonly about: "attempt"; readonly place: number; readonly token: number }
  | { readonly about: "request"; readonly step: number; readonly request: Request }

export type Request =
  | { readonly do: "start-child" | "start-dynamic"; readonly child: Spec }
  | { readonly do: "terminate-child" | "restart-child" | "delete-child"; readonly id: string }
  | { readonly do: "terminate-dynamic"; readonly place: number }
  | { readonly do: "reconfigure"; readonly tree: SupervisorSpec }

export interface Supervising {
  at: "down" | "booting" | "up" | "stopping"
  /** What is in force now. */
  config: SupervisorSpec | DynamicSpec
  /** Its place has a newer spec, which is in force from its next start on. */
  newer: boolean
  /** Those it starts with, and those it has: each in start order. */
  declared: ReadonlyArray<number>
  children: ReadonlyArray<number>
  /** When there were restarts that may still count. */
  times: ReadonlyArray<number>
  agenda: Array<Job>
  inbox: Array<Notice>
  endReason: string
  killed: boolean
  /** The steps that wait for its end. */
  waiting: ReadonlyArray<number>
  /** How many children of a dynamic supervisor have been named. */
  named: number
}

export interface Place {
  readonly number: number
  readonly parent: number | undefined
  readonly path: string
  spec: Spec
  state: ChildState
  /** Whether a run is there, and how far it is. `busyUntil` is in the past when it is idle. */
  run: number
  life: "down" | "init" | "up"
  busyUntil: number
  startedAt: number
  restarts: number
  /** How many delays there have been in a row. */
  row: number
  lastEnd: string | undefined
  /** Has ended for good, unless it is started again. */
  final: boolean
  /** Its end has been asked for, so it is no news; with which limit. */
  asked: boolean
  limit: number | "kill"
  /** The notice about it that still holds; 0: none. */
  token: number
  /** When the attempt it waits for is due. */
  next: number | undefined
  /** The steps that have it stopped and forgotten beside other work. */
  terminating: ReadonlyArray<number>
  supervising: Supervising | undefined
}

export interface Timer {
  readonly at: number
  readonly what: "init" | "idle" | "deadline" | "attempt"
  readonly place: number
  /** The run, or for attempts the token, that it belongs to. */
  readonly key: number
}

export interface World {
  now: number
  readonly places: Array<Place>
  /** The supervisors that may have something to do. */
  readonly ready: Array<number>
  timers: Array<Timer>
  readonly ended: Record<string, string>
  /** Where there has been somebody: the init of a worker has begun, or a supervisor has been up. */
  readonly seen: Record<string, true>
  events: Array<Event>
  tokens: number
  /** The number of the step that was done last. */
  step: number
  /** Two things were due at the same time in different places: nothing says which goes first. */
  ambiguous: boolean
}

export const emit = (w: World, happening: Happening): void => {
  w.events.push({ t: w.now, ...happening })
}

export const answer = (w: World, step: number, text: string): void => {
  if (step >= 0) emit(w, { event: "answered", to: step, answer: text })
}

export const wake = (w: World, s: Place): void => {
  if (!w.ready.includes(s.number)) w.ready.push(s.number)
}

export const setTimer = (w: World, timer: Timer): void => {
  if (timer.at !== Infinity) w.timers.push(timer)
}

export const placeAt = (w: World, number: number): Place => w.places[number]!

/** The supervisor of a place that is one. */
export const supervisorAt = (s: Place): Supervising => s.supervising!

export const childrenOf = (w: World, s: Place): ReadonlyArray<Place> =>
  supervisorAt(s).children.map((number) => placeAt(w, number))

export const parentOf = (w: World, p: Place): Place | undefined =>
  p.parent === undefined ? undefined : placeAt(w, p.parent)

export const isDown = (p: Place): boolean =>
  p.supervising === undefined ? p.life === "down" : p.supervising.at === "down"

/** The options that only workers and plain supervisors have. */
export const restartOf = (spec: Spec) => (spec.kind === "dynamic" ? "permanent" : spec.restart)
export const isSignificant = (spec: Spec): boolean => spec.kind !== "dynamic" && spec.significant
export const shutdownOf = (spec: Spec): number | "kill" => (spec.kind === "worker" ? spec.shutdown : Infinity)

/** Adds a place, and those below it, with nothing in it. */
export const addPlace = (w: World, spec: Spec, parent: Place | undefined): Place => {
  const place: Place = {
    number: w.places.length,
    parent: parent?.number,
    path: parent === undefined ? spec.id : `${parent.path}/${spec.id}`,
    spec,
    state: "stopped",
    run: 0,
    life: "down",
    busyUntil: 0,
    startedAt: 0,
    restarts: 0,
    row: 0,
    lastEnd: undefined,
    final: false,
    asked: false,
    limit: 0,
    token: 0,
    next: undefined,
    terminating: [],
    supervising: undefined
  }
  w.places.push(place)
  if (spec.kind === "worker") return place
  const supervising: Supervising = {
    at: "down",
    config: spec,
    newer: false,
    declared: [],
    children: [],
    times: [],
    agenda: [],
    inbox: [],
    endReason: "shutdown",
    killed: false,
    waiting: [],
    named: 0
  }
  place.supervising = supervising
  supervising.declared = spec.kind === "dynamic" ? [] : spec.children.map((child) => addPlace(w, child, place).number)
  supervising.children = supervising.declared
  return place
}

/** A world in which nothing has happened yet. Place 0 is the root. */
export const makeWorld = (tree: SupervisorSpec): World => {
  const w: World = {
    now: 0,
    places: [],
    ready: [],
    timers: [],
    ended: {},
    seen: {},
    events: [],
    tokens: 0,
    step: 0,
    ambiguous: false
  }
  addPlace(w, tree, undefined)
  return w
}

/** The supervisor that is found by walking down the lists of children from the root, as a client would. */
export const findListed = (w: World, path: string): Place | undefined => {
  let place = placeAt(w, 0)
  while (place.path !== path) {
    if (place.supervising === undefined) return undefined
    const next = childrenOf(w, place).find((child) => path === child.path || path.startsWith(`${child.path}/`))
    if (next === undefined) return undefined
    place = next
  }
  return place
}

/** A copy that can be changed. Specs never change, so that they are shared. */
export const copyWorld = (w: World): World => ({
  ...w,
  places: w.places.map((place) => ({
    ...place,
    supervising: place.supervising === undefined ? undefined : copySupervising(place.supervising)
  })),
  ready: [...w.ready],
  timers: [...w.timers],
  ended: { ...w.ended },
  seen: { ...w.seen },
  events: [...w.events]
})

const copySupervising = (supervising: Supervising): Supervising => ({
  ...supervising,
  agenda: supervising.agenda.map((job) => ({ ...job })),
  inbox: [...supervising.inbox]
})

/** Somebody is there, so that nobody has ended. */
export const appeared = (w: World, p: Place): void => {
  w.seen[p.path] = true
  delete w.ended[p.path]
}

/** One thing on a supervisor's agenda. */
export const job = (what: Job["do"], place: number, more: Partial<Job> = {}): Job => ({
  do: what,
  place,
  cause: "none",
  loses: false,
  step: -1,
  begun: false,
  ...more
})
