/**
 * A pool as a queue with members, over virtual time: one line of requests, members that take a while to start, are at one
 * request at a time, and finish it before they leave. Times are seconds.
 */
import { Result } from "effect"
import { Autoscale } from "effect-otp"
import type { Arrival } from "./day.ts"

/** What decides about the size: a fixed number, or options of `Autoscale`. */
export type Size = number | Autoscale.Scaling

export interface Change {
  readonly at: number
  readonly decision: Autoscale.Decision
}

export interface Outcome {
  /** Of each request, in order of arrival: how long it waited for a member. */
  readonly waits: Float64Array
  readonly changes: ReadonlyArray<Change>
  /** Members that there were, those that started or left included, added up over the time. */
  readonly memberHours: number
}

interface Member {
  /** When its start or its request is over; Infinity while it is idle. */
  free: number
  readonly since: number
  state: "starting" | "idle" | "busy"
  leaving: boolean
}

/** Runs the requests through a pool until `end`, and all that came to their end. `start` is what a member's start takes. */
export const run = (
  arrivals: ReadonlyArray<Arrival>,
  size: Size,
  options: { readonly start: number; readonly end: number }
): Outcome => new Queue(arrivals, size, options.start).run(options.end)

class Queue {
  private readonly arrivals: ReadonlyArray<Arrival>
  private readonly start: number
  private readonly waits: Float64Array
  private readonly changes: Array<Change> = []
  private members: Array<Member> = []
  /** The line: requests from `first` that have come, up to `next`. */
  private first = 0
  private next = 0
  private memberSeconds = 0
  private autoscale: Autoscale.Autoscale | undefined

  constructor(arrivals: ReadonlyArray<Arrival>, size: Size, start: number) {
    this.arrivals = arrivals
    this.start = start
    this.waits = new Float64Array(arrivals.length)
    this.autoscale = typeof size === "number" ? undefined : Result.getOrThrow(Autoscale.make(size))
    const first = typeof size === "number" ? size : this.autoscale!.settings.initial
    // They have started before the day begins.
    this.members = Array.from({ length: first }, () => ({ free: Infinity, since: 0, state: "idle", leaving: false }))
  }

  run(end: number): Outcome {
    const every = (this.autoscale?.settings.every ?? Infinity) / 1000
    let tick = every
    while (true) {
      const arrival = this.arrivals[this.next]?.at ?? Infinity
      const member = this.soonest()
      const now = Math.min(arrival, member?.free ?? Infinity, tick)
      // Past the end only what came before it is finished.
      if (now > end && this.first === this.arrivals.length && this.members.every(({ state }) => state !== "busy")) break
      if (now === member?.free) this.freed(member, now)
      else if (now === arrival) this.arrived(now)
      else {
        this.decide(now)
        tick += every
      }
    }
    for (const { since } of this.members) this.memberSeconds += end - since
    return { waits: this.waits, changes: this.changes, memberHours: this.memberSeconds / 3600 }
  }

  private soonest(): Member | undefined {
    let soonest: Member | undefined
    for (const member of this.members) if (member.free < (soonest?.free ?? Infinity)) soonest = member
    return soonest
  }

  private arrived(now: number): void {
    this.next++
    const idle = this.members.find(({ state }) => state === "idle")
    if (idle !== undefined) this.take(idle, now)
    // With nobody there a pool does not wait for the next tick.
    else if (this.members.length === 0) this.decide(now)
  }

  private freed(member: Member, now: number): void {
    member.state = "idle"
    member.free = Infinity
    if (member.leaving) this.remove(member, now)
    else if (this.first < this.next) this.take(member, now)
  }

  private take(member: Member, now: number): void {
    const { at, work } = this.arrivals[this.first]!
    this.waits[this.first++] = now - at
    member.state = "busy"
    member.free = now + work
  }

  private remove(member: Member, now: number): void {
    this.memberSeconds += now - member.since
    this.members = this.members.filter((other) => other !== member)
  }

  private decide(now: number): void {
    if (this.autoscale === undefined) return
    const staying = this.members.filter(({ leaving }) => !leaving)
    const ongoing = staying.filter(({ state }) => state === "busy").length + this.next - this.first
    const load = { size: staying.length, ongoing }
    const [next, decision] = Autoscale.decide(this.autoscale, load, now * 1000)
    this.autoscale = next
    if (decision === undefined) return
    this.changes.push({ at: now, decision })
    for (let i = decision.from; i < decision.size; i++) {
      this.members.push({ free: now + this.start, since: now, state: "starting", leaving: false })
    }
    // Those that start go first, then the idle: they need not finish anything.
    const order = ["starting", "idle", "busy"]
    const leaving = staying.toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state))
    for (const member of leaving.slice(0, Math.max(0, decision.from - decision.size))) {
      if (member.state === "busy") member.leaving = true
      else this.remove(member, now)
    }
  }
}
