/**
 * The core of state machines against a second one that is written for the eye: one list of what waits, rules R60 to R62 line by
 * line. Both play the same random scripts; they must handle the same events in the same states at the same times.
 */
import { assert, it } from "@effect/vitest"
import { Schema } from "effect"
import { StateMachine } from "effect-otp"

const STATES = ["A", "B", "C"] as const
const LIMITS = ["state", "event", "x", "y"] as const
type State = (typeof STATES)[number]
type LimitKey = (typeof LIMITS)[number]

/** What an event says is to happen when it is handled. */
type Op =
  | { readonly _tag: "to"; readonly state: State }
  | { readonly _tag: "postpone" }
  | { readonly _tag: "next"; readonly event: Script }
  | { readonly _tag: "set"; readonly key: LimitKey; readonly after: number; readonly event: Script }
  | { readonly _tag: "update"; readonly key: LimitKey; readonly event: Script }
  | { readonly _tag: "cancel"; readonly key: LimitKey }

interface Script {
  readonly id: number
  readonly ops: ReadonlyArray<Op>
}

type Move = { readonly _tag: "send"; readonly event: Script } | { readonly _tag: "advance"; readonly by: number }

/** Chance that is the same each time. */
const chanceOf = (seed: number) => {
  let x = (seed ^ 0x9e3779b9) | 0
  return (below: number): number => {
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d) + 0x297a2d39
    return ((x ^ (x >>> 12)) >>> 0) % below
  }
}

const movesOf = (seed: number): ReadonlyArray<Move> => {
  const chance = chanceOf(seed)
  let ids = 0
  const limitKey = () => LIMITS[chance(4)]!
  const op = (depth: number): Op => {
    const kind = chance(depth > 0 ? 8 : 4)
    if (kind < 2) return { _tag: "to", state: STATES[chance(3)]! }
    if (kind === 2) return { _tag: "postpone" }
    if (kind === 3) return { _tag: "cancel", key: limitKey() }
    if (kind === 4) return { _tag: "next", event: script(depth - 1) }
    if (kind === 5) return { _tag: "update", key: limitKey(), event: script(depth - 1) }
    return { _tag: "set", key: limitKey(), after: chance(4) * 10, event: script(depth - 1) }
  }
  const script = (depth: number): Script => ({
    id: ids++,
    ops: Array.from({ length: chance(4) }, () => op(depth))
  })
  return Array.from({ length: 12 }, () =>
    chance(4) === 0 ? { _tag: "advance", by: chance(4) * 10 } : { _tag: "send", event: script(3) }
  )
}

// --- The one that is tested ---

const AnyScript = Schema.declare((u: unknown): u is Script => typeof u === "object")

class Player extends StateMachine.Service<Player>()("test/Player", {
  states: { A: {}, B: {}, C: {} },
  events: { E: { payload: AnyScript } },
  transitions: { A: { E: STATES }, B: { E: STATES }, C: { E: STATES } }
}) {}

const played = (moves: ReadonlyArray<Move>): ReadonlyArray<string> => {
  const log: Array<string> = []
  const tried = new Set<number>()
  const event = (script: Script) => Player.event.E(script)
  const actionOf = (op: Op, postpones: boolean) => {
    switch (op._tag) {
      case "to":
        return Player.to[op.state]()
      case "postpone":
        return Player.postponeIf(postpones)
      case "next":
        return Player.next(event(op.event))
      case "set":
        if (op.key === "state") return Player.stateTimeout(op.after, event(op.event))
        if (op.key === "event") return Player.eventTimeout(op.after, event(op.event))
        return Player.timeout(op.key, op.after, event(op.event))
      case "update":
        return op.key === "state" || op.key === "event"
          ? Player.updateStateTimeout(event(op.event))
          : Player.updateTimeout(op.key, event(op.event))
      case "cancel":
        return op.key === "state" || op.key === "event" ? Player.cancelStateTimeout : Player.cancelTimeout(op.key)
    }
  }
  const E = (script: Script, _: unknown, here: { readonly state: string }) => {
    log.push(`${script.id} in ${here.state}`)
    const postpones = !tried.has(script.id)
    tried.add(script.id)
    return script.ops.map((op) => actionOf(op, postpones))
  }
  const stepping = StateMachine.test(Player.of({ initial: Player.to.A(), on: { A: { E }, B: { E }, C: { E } } }))
  for (const move of moves) {
    if (move._tag === "send") stepping.send(event(move.event))
    else stepping.advance(move.by)
  }
  return [...log, stepping.state, stepping.postponed.length.toString()]
}

// --- The one for the eye ---

interface Limit {
  readonly due: number
  readonly set: number
  event: Script
}

const expected = (moves: ReadonlyArray<Move>): ReadonlyArray<string> => {
  const log: Array<string> = []
  const tried = new Set<number>()
  let state: State = "A"
  let queue: ReadonlyArray<{ readonly script?: Script; readonly key?: LimitKey; readonly limit?: Limit }> = []
  let postponed: typeof queue = []
  const limits = new Map<LimitKey, Limit>()
  let now = 0
  let sets = 0

  const handle = (entry: (typeof queue)[number]) => {
    const { key, limit } = entry
    if (key !== undefined && limits.get(key) !== limit) return
    if (key !== undefined) limits.delete(key)
    limits.delete("event")
    const { id, ops } = entry.script ?? limit!.event
    log.push(`${id} in ${state}`)
    const first = !tried.has(id)
    tried.add(id)
    const before = state
    const inserted: Array<{ readonly script: Script }> = []
    let orders: ReadonlyArray<Extract<Op, { readonly key: LimitKey }>> = []
    for (const op of ops) {
      if (op._tag === "to") state = op.state
      else if (op._tag === "next") inserted.push({ script: op.event })
      else if (op._tag !== "postpone") {
        const on = op._tag !== "set" && op.key === "event" ? ({ ...op, key: "state" } as const) : op
        orders = [...orders.filter((each) => each.key !== on.key), on]
      }
    }
    if (first && ops.some((op) => op._tag === "postpone")) {
      postponed = [...postponed, key === undefined ? entry : { script: limit!.event }]
    }
    if (state !== before) {
      queue = [...postponed, ...queue]
      postponed = []
      limits.delete("state")
    }
    queue = [...inserted, ...queue]
    for (const order of orders) {
      const running = limits.get(order.key)
      if (order._tag === "update" && running !== undefined) {
        running.event = order.event
        continue
      }
      limits.delete(order.key)
      if (order._tag === "cancel") continue
      const after = order._tag === "set" ? order.after : 0
      const set = { due: after === 0 ? Infinity : now + after, event: order.event, set: sets++ }
      limits.set(order.key, set)
      if (after === 0) queue = [...queue, { key: order.key, limit: set }]
    }
  }
  const handleAll = () => {
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      queue = queue.slice(1)
      handle(next)
    }
  }
  for (const move of moves) {
    if (move._tag === "send") {
      queue = [...queue, { script: move.event }]
      handleAll()
      continue
    }
    const until = now + move.by
    while (true) {
      const due = [...limits].filter(([, limit]) => limit.due <= until)
      if (due.length === 0) break
      const [key, limit] = due.sort(([, a], [, b]) => a.due - b.due || a.set - b.set)[0]!
      now = Math.max(now, limit.due)
      queue = [...queue, { key, limit }]
      handleAll()
    }
    now = until
  }
  return [...log, state, postponed.length.toString()]
}

it.prop("R60 to R62: it does what the rules say, whatever it is told", { seed: Schema.Int }, ({ seed }) => {
  for (let n = 0; n < 20; n++) {
    const moves = movesOf(seed + n * 7919)
    assert.deepStrictEqual(played(moves), expected(moves))
  }
})

it("the scripts are worth playing: they change states, postpone, insert, and have limits come", () => {
  const lines = Array.from({ length: 200 }, (_, seed) => expected(movesOf(seed)))
  const handled = lines.flatMap((log) => log.slice(0, -2))
  assert.isAbove(handled.length, 3_000)
  for (const state of STATES) assert.isAbove(handled.filter((line) => line.endsWith(state)).length, 500)
  const again = lines.filter((log) => {
    const ids = log.slice(0, -2).map((line) => line.split(" ")[0])
    return new Set(ids).size < ids.length
  })
  assert.isAbove(again.length, 50)
})
