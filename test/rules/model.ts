/**
 * The rules R1 to R44 as pure functions over plain data: given a tree and what happens to it, what is to be seen.
 *
 * Written from the rules, not from the implementation. Children stop at once and restarts wait for nothing, so that a step is
 * over before the next one begins; delays and time limits have scenarios of their own.
 */
import type { Event, Look, Reason, Seen } from "./history.ts"
import { isSupervisor, type Script, type Spec, type Step, type Supervisor } from "./script.ts"

type ChildState = "running" | "restarting" | "stopped"

/** A child's place. */
interface Place {
  readonly spec: Spec
  readonly state: ChildState
  /** Whether it comes from the supervisor's spec; otherwise it was added, and is gone when the supervisor is restarted. */
  readonly declared: boolean
  /** What a supervisor has while it runs, and keeps to look at when it does not. */
  readonly inside: Inside | undefined
}

interface Inside {
  /** What it starts with (R19); the spec itself, or what it was reconfigured to. */
  readonly spec: Supervisor
  readonly places: ReadonlyArray<Place>
  readonly entries: ReadonlyArray<number>
  /** A configuration for its next start (R44). */
  readonly pending: Supervisor | undefined
}

export interface World {
  readonly now: number
  readonly root: Place
  readonly starts: ReadonlyMap<string, number>
  readonly events: ReadonlyArray<Event>
}

const below = (path: string, id: string): string => (path === "" ? id : `${path}/${id}`)
const tell = (world: World, event: Event): World => ({ ...world, events: [...world.events, event] })

// --- Finding and replacing ---

const inPlaces = (places: ReadonlyArray<Place>, id: string): Place | undefined =>
  places.find(({ spec }) => spec.id === id)

/** The place at a path whose supervisors all run, the path's end excepted. */
const find = (world: World, path: string): Place | undefined => {
  const [first, ...ids] = path.split("/")
  let place: Place | undefined = world.root.spec.id === first ? world.root : undefined
  for (const id of ids) place = place?.state === "running" ? inPlaces(place.inside?.places ?? [], id) : undefined
  return place
}

const replaced = (place: Place, ids: ReadonlyArray<string>, change: (place: Place) => Place): Place => {
  const [id, ...rest] = ids
  if (id === undefined) return change(place)
  const inside = place.inside!
  const places = inside.places.map((each) => (each.spec.id === id ? replaced(each, rest, change) : each))
  return { ...place, inside: { ...inside, places } }
}

const update = (world: World, path: string, change: (place: Place) => Place): World => ({
  ...world,
  root: replaced(world.root, path.split("/").slice(1), change)
})

const within = (world: World, path: string, change: (inside: Inside) => Inside): World =>
  update(world, path, (place) => ({ ...place, inside: change(place.inside!) }))

const placesOf = (world: World, path: string): ReadonlyArray<Place> => find(world, path)!.inside!.places

const setState = (world: World, path: string, state: ChildState): World =>
  update(world, path, (place) => ({ ...place, state }))

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")))
const idOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

// --- Start (R4 to R7) ---

/** Makes the places of a spec, nothing of which runs. */
const placeOf = (spec: Spec): Place => ({
  spec,
  state: "stopped",
  declared: true,
  inside: isSupervisor(spec) ? fresh(spec) : undefined
})

const fresh = (spec: Supervisor): Inside => ({
  spec,
  places: spec.children.map(placeOf),
  entries: [],
  pending: undefined
})

/** Starts what is at a path. After a failed start nothing of it runs (R6). */
const start = (world: World, path: string): readonly [World, boolean] => {
  const { spec } = placeAt(world, path)
  return isSupervisor(spec) ? startSupervisor(world, path) : startActor(world, path, spec.failStarts)
}

const startActor = (world: World, path: string, failStarts: ReadonlyArray<number>): readonly [World, boolean] => {
  const count = (world.starts.get(path) ?? 0) + 1
  const counted = { ...world, starts: new Map(world.starts).set(path, count) }
  if (failStarts.includes(count))
    return [setState(tell(counted, { event: "failed-start", path }), path, "stopped"), false]
  return [setState(tell(counted, { event: "start", path }), path, "running"), true]
}

const startSupervisor = (world: World, path: string): readonly [World, boolean] => {
  // From the declared children and an empty budget (R19), or from the configuration it was given meanwhile (R44).
  const begun = within(world, path, (inside) => begin(inside))
  let next = setState(begun, path, "running")
  for (const { spec } of placesOf(next, path)) {
    const [after, started] = start(next, below(path, spec.id))
    next = after
    if (!started) return [setState(stopAll(next, path, "shutdown"), path, "stopped"), false]
  }
  return [tell(next, { event: "start", path }), true]
}

/** The places of a supervisor that begins: what was added or left out meanwhile is gone. */
const begin = ({ pending, places, spec }: Inside): Inside => {
  const declared = pending ?? spec
  const again = (child: Spec): Place => {
    const known = inPlaces(places, child.id)
    if (known?.declared !== true) return placeOf(child)
    // What nested ones were told themselves holds until their parent is told otherwise.
    return pending === undefined ? known : respec(known, child)
  }
  return { spec: declared, places: declared.children.map(again), entries: [], pending: undefined }
}

/** A place whose spec is another one from its next start on. */
const respec = (place: Place, spec: Spec): Place => {
  if (!isSupervisor(spec)) return { ...place, spec }
  return { ...place, spec, inside: { ...place.inside!, pending: spec } }
}

/** As `find`, also below supervisors that do not run. */
const placeAt = (world: World, path: string): Place => {
  let place = world.root
  for (const id of path.split("/").slice(1)) place = inPlaces(place.inside!.places, id)!
  return place
}

// --- Stop (R30 to R32) ---

/** Stops all children of a supervisor, the last first. */
const stopAll = (world: World, path: string, reason: Reason): World =>
  placeAt(world, path)
    .inside!.places.toReversed()
    .reduce((next, { spec }) => stop(next, below(path, spec.id), reason), world)

/** Ends what is at a path and all below it. */
const stop = (world: World, path: string, reason: Reason): World => {
  const { inside, state } = placeAt(world, path)
  if (state !== "running") return setState(world, path, "stopped")
  const emptied = inside === undefined ? world : stopAll(world, path, reason)
  return setState(tell(emptied, { event: "exit", path, reason }), path, "stopped")
}

const forget = (world: World, path: string): World =>
  within(world, parentOf(path), (inside) => ({
    ...inside,
    places: inside.places.filter(({ spec }) => spec.id !== idOf(path))
  }))

// --- An end that nobody asked for (R10 to R14) ---

type Decision = "restart" | "keep" | "forget"

const decide = (restart: Spec["restart"], reason: Reason): Decision => {
  if (restart === "permanent") return "restart"
  if (restart === "temporary") return "forget"
  return reason === "failed" || reason === "killed" ? "restart" : "keep"
}

/** An actor fails: its directive decides, and only then the table. */
const crash = (world: World, path: string): World => {
  const { spec } = placeAt(world, path)
  const directive = isSupervisor(spec) ? "restart" : spec.onFailure
  if (directive === "resume") return world
  const down = setState(tell(world, { event: "exit", path, reason: "failed" }), path, "restarting")
  if (directive === "escalate") return endSupervisor(down, parentOf(path), "failed")
  if (directive === "stop") return endedForGood(down, path, spec.restart === "temporary" ? "forget" : "keep")
  return decided(down, path, "failed")
}

/** What has ended with a reason that its supervisor now hears of. */
const ended = (world: World, path: string, reason: Reason): World =>
  decided(setState(tell(world, { event: "exit", path, reason }), path, "restarting"), path, reason)

const decided = (world: World, path: string, reason: Reason): World => {
  // The root has nobody above it.
  if (!path.includes("/")) return setState(world, path, "stopped")
  const decision = decide(placeAt(world, path).spec.restart, reason)
  return decision === "restart" ? restart(world, path) : endedForGood(world, path, decision)
}

/** Not restarted: for a significant child that may be the end of its supervisor (R40 to R43). */
const endedForGood = (world: World, path: string, decision: "keep" | "forget"): World => {
  const parent = parentOf(path)
  const ends = endsSupervisor(world, path)
  const after = decision === "forget" ? forget(world, path) : setState(world, path, "stopped")
  if (!ends) return after
  return endSupervisor(tell(after, { event: "auto-shutdown", path: parent, child: idOf(path) }), parent, "shutdown")
}

/** Whether the end of this child, which is not restarted, is the end of its supervisor. */
const endsSupervisor = (world: World, path: string): boolean => {
  const { places, spec: supervisor } = placeAt(world, parentOf(path)).inside!
  if (!placeAt(world, path).spec.significant) return false
  const others = places.filter(({ spec }) => spec.id !== idOf(path) && spec.significant)
  return (
    supervisor.autoShutdown === "any-significant" ||
    (supervisor.autoShutdown === "all-significant" && others.every(({ state }) => state === "stopped"))
  )
}

/** A supervisor ends by itself: its children first, in reverse order. */
const endSupervisor = (world: World, path: string, reason: Reason): World =>
  ended(stopAll(world, path, "shutdown"), path, reason)

// --- Restart (R15 to R27) ---

/** One entry of the budget for each attempt (R15); one too many, and the supervisor gives up (R18). */
const restart = (world: World, path: string): World => {
  const parent = parentOf(path)
  const { entries, spec } = placeAt(world, parent).inside!
  const counting = [...entries.filter((at) => at >= world.now - spec.within), world.now]
  if (counting.length > spec.restarts) {
    const over = setState(world, path, "stopped")
    return endSupervisor(tell(over, { event: "give-up", path: parent, child: idOf(path) }), parent, "shutdown")
  }
  return attempt(
    within(world, parent, (inside) => ({ ...inside, entries: counting })),
    path
  )
}

/** Starts it and all that share its fate; if one fails, that one is tried again (R24 to R26). */
const attempt = (world: World, path: string): World => {
  const parent = parentOf(path)
  let next = world
  for (const id of fateOf(world, path).toReversed()) {
    const member = below(parent, id)
    next = stop(next, member, "shutdown")
    if (member !== path && placeAt(next, member).spec.restart === "temporary") next = forget(next, member)
  }
  next = setState(next, path, "restarting")
  for (const id of fateOf(next, path)) {
    const member = below(parent, id)
    const [after, started] = start(next, member)
    next = after
    if (started) continue
    if (!isLeftOut(next, member)) return retry(next, member)
    const ends = endsSupervisor(next, member)
    next = endedForGood(next, member, "keep")
    if (ends) return next
  }
  return next
}

/** Whether a start that fails means that it is to stay down: the group goes on without it. */
const isLeftOut = (world: World, path: string): boolean => {
  const { spec } = placeAt(world, path)
  return !isSupervisor(spec) && spec.onFailure === "stop"
}

/** A start that fails within a restart is a failure of that child. */
const retry = (world: World, path: string): World => {
  const { spec } = placeAt(world, path)
  const directive = isSupervisor(spec) || spec.onFailure !== "escalate" ? "restart" : "escalate"
  const down = setState(world, path, "restarting")
  return directive === "escalate" ? endSupervisor(down, parentOf(path), "failed") : restart(down, path)
}

/** The ids that share a child's fate, it among them, in start order (R20 to R22). */
const fateOf = (world: World, path: string): ReadonlyArray<string> => {
  const { places, spec } = placeAt(world, parentOf(path)).inside!
  const ids = places.map((place) => place.spec.id)
  const at = ids.indexOf(idOf(path))
  if (spec.strategy === "one-for-one") return [idOf(path)]
  return spec.strategy === "one-for-all" ? ids : ids.slice(at)
}

// --- Management (B7) ---

type Answered = readonly [World, string]

const manage = (world: World, path: string, call: (world: World, place: Place) => Answered): Answered => {
  const parent = find(world, parentOf(path))
  if (parent?.state !== "running" || parent.inside === undefined) return [world, "not-running"]
  const place = inPlaces(parent.inside.places, idOf(path))
  return place === undefined ? [world, "not-found"] : call(world, place)
}

const terminate = (world: World, path: string): Answered =>
  manage(world, path, (_, { spec }) => {
    const stopped = stop(world, path, "shutdown")
    return [spec.restart === "temporary" ? forget(stopped, path) : stopped, "ok"]
  })

const restartChild = (world: World, path: string): Answered =>
  manage(world, path, (_, { state }) => {
    if (state !== "stopped") return [world, state]
    const [after, started] = start(world, path)
    return [after, started ? "ok" : "failed"]
  })

const deleteChild = (world: World, path: string): Answered =>
  manage(world, path, (_, { state }) => (state === "stopped" ? [forget(world, path), "ok"] : [world, state]))

const addChild = (world: World, path: string, spec: Spec): Answered => {
  const place = find(world, path)
  if (place?.state !== "running" || place.inside === undefined) return [world, "not-running"]
  if (isIllegal(spec, place.inside.spec.autoShutdown)) return [world, "invalid"]
  const known = inPlaces(place.inside.places, spec.id)
  if (known !== undefined) return [world, known.state === "stopped" ? "present" : known.state]
  const added = within(world, path, (inside) => ({
    ...inside,
    places: [...inside.places, { ...placeOf(spec), declared: false }]
  }))
  const [after, started] = start(added, below(path, spec.id))
  return started ? [after, "ok"] : [forget(after, below(path, spec.id)), "failed"]
}

/** R42. */
const isIllegal = (spec: Spec, mode: Supervisor["autoShutdown"]): boolean =>
  spec.significant && (spec.restart === "permanent" || mode === "never")

// --- Reconfiguration (R44) ---

const reconfigure = (world: World, path: string, to: Supervisor): Answered => {
  const place = find(world, path)
  if (place?.state !== "running" || place.inside === undefined) return [world, "not-running"]
  const { places } = place.inside
  const clashes = to.children.some((child) => {
    const known = inPlaces(places, child.id)
    return known !== undefined && isSupervisor(known.spec) !== isSupervisor(child)
  })
  if (clashes || to.children.some((child) => isIllegal(child, to.autoShutdown))) return [world, "invalid"]
  const changed = within(world, path, (inside) => ({
    spec: to,
    places: [
      ...to.children.map((child) => {
        const known = inPlaces(inside.places, child.id)
        return known === undefined ? placeOf(child) : { ...respec(known, child), declared: true }
      }),
      ...inside.places
        .filter(({ spec }) => to.children.every(({ id }) => id !== spec.id))
        .map((place) => ({ ...place, declared: false }))
    ],
    // What is forgotten stays so, also under a longer window.
    entries: inside.entries.filter((at) => at >= world.now - Math.min(to.within, inside.spec.within)),
    pending: undefined
  }))
  return [changed, "ok"]
}

// --- Playing ---

/** Whether something runs at a path, and an actor or a supervisor at that. */
const runs = (world: World, path: string, supervisor: boolean): boolean => {
  const place = find(world, path)
  return place?.state === "running" && isSupervisor(place.spec) === supervisor
}

const kill = (world: World, path: string): World => {
  if (runs(world, path, false)) return ended(world, path, "killed")
  if (runs(world, path, true)) return ended(stopAll(world, path, "killed"), path, "killed")
  return world
}

const step = (world: World, what: Step): readonly [World, string | undefined] => {
  switch (what.do) {
    case "crash":
      return [runs(world, what.path, false) ? crash(world, what.path) : world, undefined]
    case "end":
      return [runs(world, what.path, false) ? ended(world, what.path, "normal") : world, undefined]
    case "shutdown":
      return [runs(world, what.path, false) ? ended(world, what.path, "shutdown") : world, undefined]
    case "kill":
      return [kill(world, what.path), undefined]
    case "advance":
      return [{ ...world, now: world.now + what.millis }, undefined]
    case "terminate":
      return terminate(world, what.path)
    case "restart":
      return restartChild(world, what.path)
    case "delete":
      return deleteChild(world, what.path)
    case "add":
      return addChild(world, what.path, what.child)
    case "reconfigure":
      return reconfigure(world, what.path, what.to)
    case "stop":
      return [stop(world, world.root.spec.id, "shutdown"), undefined]
  }
}

/** What is to be seen of the start, and of each step. */
export const play = ({ steps, tree }: Script): ReadonlyArray<Seen> => {
  const world: World = { now: 0, root: placeOf(tree), starts: new Map(), events: [] }
  let [next] = start(world, tree.id)
  const seen = [see(next, undefined)]
  // Where the root ends nothing is left to be seen, nor to be done.
  for (const what of steps) {
    if (next.root.state !== "running") break
    const [after, answer] = step({ ...next, events: [] }, what)
    next = after
    seen.push(see(next, answer))
  }
  return seen
}

const see = (world: World, answer: string | undefined): Seen => ({
  events: world.events,
  answer,
  look: look(world, world.root)
})

const look = (world: World, { inside, spec, state }: Place): Look => {
  if (inside === undefined) return { id: spec.id, state }
  const { entries, places } = inside
  if (state !== "running") return { id: spec.id, state }
  const used = entries.filter((at) => at >= world.now - inside.spec.within).length
  return { id: spec.id, state, used, children: places.map((place) => look(world, place)) }
}
