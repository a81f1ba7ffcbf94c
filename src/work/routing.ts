/**
 * The place of a router: what is sent to it, it gives to one of its members. It handles nothing itself and has no turns; a
 * message is given away where it is sent, or where a member becomes free.
 *
 * Invariants:
 * 1. While a member has room, nothing is queued here that anybody could have.
 * 2. A message is with one member, or in the queue, or settled. What members give back goes before all that is queued, in order.
 * 3. A member has as many messages as it may, counted until it is done with them, not until their askers are (R71).
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import type { MailboxOptions, Waiter } from "../runtime/admission.ts"
import type { ExitReason } from "../runtime/ExitReason.ts"
import { type Request, Task, type Undelivered } from "../runtime/envelope.ts"
import type { LossReason, Verdict } from "../runtime/inbox.ts"
import type { Item } from "../runtime/mailbox.ts"
import { type Owner, Slot } from "../runtime/slot.ts"
import * as State from "../runtime/state.ts"
import type { Crash } from "../runtime/suspect.ts"
import type { System } from "../runtime/system.ts"
import { onSettled, type Tap } from "../runtime/taps.ts"
import { Timer } from "../runtime/timers.ts"
import type { Program } from "../runtime/turns.ts"
import { Job, type Sender } from "./job.ts"
import { Durations } from "./latency.ts"
import { type Member, Members } from "./members.ts"
import type { Chooser } from "./routes.ts"

/** How a router treats its members. @internal */
export interface Routing {
  readonly chooser: Chooser
  /** How many messages a member may have at a time. */
  readonly limit: number
  /** How often a message that has crashed a member is given to one again. */
  readonly retries: number
  /** Milliseconds that a member may take for a message. */
  readonly killAfter: number
  /** Whether messages wait where there is no member at all, or are undeliverable. */
  readonly waitsForMembers: boolean
}

/** Reading the clock takes longer than choosing a member: after the first few, one message in eight is timed. */
const ALL_TIMED = 64
const TIMED_OF = 8

/** @internal */
export class RouterSlot extends Slot implements Sender {
  readonly members: Members
  /** Messages that members have crashed on and were given again. */
  retried = 0
  readonly waits = new Durations()
  readonly runs = new Durations()
  /** Called when a message comes and there is no member at all. */
  starved: () => void = () => undefined
  /** Called when the last member has ended. */
  deserted: () => void = () => undefined
  private routing: Routing
  private readonly killers = new Map<Job, Timer>()
  /** What members gave back, the last one first, as long as `inOrder`. */
  private returned: Array<Job> = []
  private inOrder = true
  /** How to leave the line of those that wait for room, wherever that is by now. */
  private readonly lines = new WeakMap<Waiter, () => boolean>()
  private serving = false
  private willServe = false
  private readonly taps = new Set<Tap>()
  private readonly tapped = new WeakSet<object>()
  /** How many there have been. */
  private jobs = 0

  constructor(
    system: System,
    program: Program,
    owner: Owner,
    context: Context.Context<never>,
    parentPath: string,
    name: string | number,
    queue: MailboxOptions | undefined,
    routing: Routing
  ) {
    super(system, program, owner, context, parentPath, name, queue)
    this.routing = routing
    this.members = new Members(routing.limit, (member) => this.changed(member))
  }

  /** Treats its members in another way from now on. */
  reroute(routing: Routing): void {
    this.routing = routing
    this.members.allow(routing.limit)
  }

  /** How many messages there are: with members, and queued. */
  get load(): number {
    return this.members.ongoing + this.queued
  }

  /** How many messages wait for a member. */
  get queued(): number {
    return this.size + this.returned.length
  }

  override get isEmpty(): boolean {
    return this.returned.length === 0 && super.isEmpty
  }

  /** Whether what is sent to another may come to this one. */
  isReachedFrom(slot: Slot): boolean {
    if (slot === this) return true
    return (
      slot instanceof RouterSlot && Array.from(slot.members.all.keys()).some((member) => this.isReachedFrom(member))
    )
  }

  // --- Taking messages ---

  override get takesHandOff(): boolean {
    if (this.state !== State.Idle || this.control !== 0 || !this.isEmpty || !this.system.mayHandOff()) return false
    // Where one waits for a certain member, there may be no room to wait in.
    return this.members.hasRoom && !(this.routing.chooser.isKeyed && this.admission !== undefined)
  }

  override handOff(request: Request): void {
    const member = this.choose(request.tag, request.payload)!
    const job = this.jobOf(request, undefined)
    if (!member.slot.takesHandOff) {
      this.assign(job, member)
      return this.give(job, member)
    }
    const { key } = this.routing.chooser
    job.member = member
    this.members.begun(member)
    member.slot.handOff(job)
    // What is over by now was never pending.
    if (key !== undefined && job.exit === undefined) this.keep(job, key, member)
  }

  override offer(item: Item, payload: unknown): Verdict {
    const job = this.jobOf(item, payload)
    if (this.state !== State.Idle || this.control !== 0 || !this.isEmpty) return super.offer(job, undefined)
    const member = this.choose(job.tag, job.payload)
    if (member === undefined) return this.offerLater(job)
    this.assign(job, member)
    if (!this.routing.chooser.isKeyed) {
      this.give(job, member)
      return "accepted"
    }
    const verdict = member.slot.offer(job, undefined)
    if (verdict === "full") this.unassign(job)
    return verdict
  }

  /** One in so many is timed. */
  private jobOf(item: Item, payload: unknown): Job {
    const job = Job.of(this, item, payload)
    const count = this.jobs++
    job.order = count
    if (count < ALL_TIMED || count % TIMED_OF === 0) job.arrivedAt = this.system.timers.now()
    return job
  }

  private offerLater(job: Job): Verdict {
    if (this.members.isStaffed) return super.offer(job, undefined)
    if (!this.routing.waitsForMembers) return this.lose(job, undefined, { _tag: "NoMembers" })
    const verdict = super.offer(job, undefined)
    this.starved()
    return verdict
  }

  override waitForRoom(waiter: Waiter): () => boolean {
    this.lines.set(waiter, this.lineUp(waiter))
    return () => this.lines.get(waiter)!()
  }

  /** Here, or where messages of one key stay together, with the member. */
  private lineUp(waiter: Waiter): () => boolean {
    const member =
      this.routing.chooser.isKeyed && this.isEmpty ? this.chooseFor(waiter.item, waiter.payload) : undefined
    if (member === undefined) return super.waitForRoom(waiter)
    const job = this.jobOf(waiter.item, waiter.payload)
    this.assign(job, member)
    const leave = member.slot.waitForRoom({ item: job, payload: undefined, settled: waiter.settled })
    return () => {
      if (!leave()) return false
      job.forwarded()
      return true
    }
  }

  // --- Giving them away ---

  private chooseFor(item: Item, payload: unknown): Member | undefined {
    return typeof item === "number" ? this.choose(item, payload) : this.choose(item.tag, item.payload)
  }

  private choose(tag: number, payload: unknown): Member | undefined {
    try {
      return this.routing.chooser.choose(this.members, () => ({ tag: this.tags[tag] ?? "", payload }))
    } catch (defect) {
      // A route that crashes must not take a message along: anybody gets it.
      if (this.system.observed) {
        this.system.emit({ _tag: "MailboxRuleFailed", path: this.path, rule: "route", defect })
      }
      return this.members.open[0]
    }
  }

  private assign(job: Job, member: Member): void {
    job.member = member
    this.members.begun(member)
    const { key } = this.routing.chooser
    if (key !== undefined) this.keep(job, key, member)
  }

  /** Until it is done, messages of its key follow it. */
  private keep(job: Job, key: string | number, member: Member): void {
    job.key = key
    this.routing.chooser.begun(key, member)
  }

  private unassign(job: Job): void {
    const member = job.member!
    job.member = undefined
    if (job.key !== undefined) this.routing.chooser.ended(job.key, member)
    this.members.ended(member)
  }

  /** A member with bounds of its own may let it wait, or drop it. */
  private give(job: Job, { slot }: Member): void {
    if (slot.offer(job, undefined) === "full") {
      slot.waitForRoom({ item: job, payload: undefined, settled: () => undefined })
    }
  }

  /** Gives away what is queued, in order, as long as somebody can take it. */
  private serve(): void {
    // A member that takes a message may free another one.
    if (this.serving || this.state !== State.Idle || (this.control & ~State.DrainRequested) !== 0) return
    this.serving = true
    while (this.serveNext());
    this.serving = false
    if (this.isEmpty) this.rewind()
    if (this.isDraining) this.drained()
  }

  /** `false`: nothing is there, or nobody can take it. */
  private serveNext(): boolean {
    const isReturned = this.returned.length > 0
    const item = isReturned ? this.firstReturned() : this.peek()
    if (item === undefined) return false
    const job = item instanceof Job && !item.isOver ? item : undefined
    const member = job === undefined ? undefined : this.choose(job.tag, job.payload)
    if (job !== undefined && member === undefined) {
      if (!this.members.isStaffed) this.starved()
      return false
    }
    if (job !== undefined) this.assign(job, member!)
    if (isReturned) this.returned.pop()
    else this.next()
    const payload = isReturned ? undefined : this.payload()
    if (job !== undefined) this.give(job, member!)
    else if (item instanceof Task) item.deliver(this)
    // Only now: who waited for room goes behind.
    if (this.admission !== undefined && !isReturned) this.admitWaiters(this.admission, item, payload)
    return true
  }

  private firstReturned(): Job {
    if (!this.inOrder) this.returned.sort((one, other) => other.order - one.order)
    this.inOrder = true
    return this.returned.at(-1)!
  }

  /** Behind what is about to be decided, about a member that has failed, say, and once it has given back all that it had. */
  private serveSoon(): void {
    if (this.willServe) return
    this.willServe = true
    this.system.dispatcher.push({
      run: () => {
        this.willServe = false
        this.serve()
        return 1
      }
    })
  }

  /** A member takes messages again, or takes none any more. */
  private changed(member: Member): void {
    if (member.holdsUp) this.reclaim(member)
    this.serveSoon()
    if (member.slot.isEnded && this.members.all.size === 0) this.deserted()
  }

  /** What a member that does not go on has, it gives back: it may be long until it does. Paused it goes on with what it has begun. */
  private reclaim({ slot }: Member): void {
    const isOurs = (item: Item): item is Job => item instanceof Job && item.member?.slot === slot
    let request = slot.isUp ? undefined : slot.inflight
    while (request !== undefined) {
      const next = request.next
      if (isOurs(request)) request.undelivered({ _tag: "Restarting" })
      request = next
    }
    if (this.routing.chooser.isKeyed) return
    for (const job of slot.takeOut(isOurs)) job.undelivered({ _tag: "Restarting" })
  }

  // --- What becomes of them ---

  begun(job: Job): void {
    if (this.taps.size > 0) this.tellTaps(job)
    if (job.arrivedAt >= 0) job.begunAt = this.system.timers.now()
    if (this.routing.killAfter !== Infinity) this.watchTime(job)
  }

  setAside(job: Job): void {
    if (this.routing.killAfter !== Infinity) this.unwatchTime(job)
  }

  done(job: Job): void {
    const { member } = job
    if (member === undefined) return
    if (job.hasBegun) {
      this.members.settled(member)
      this.timed(job)
    }
    this.unassign(job)
    if ((!this.isEmpty || this.control !== 0) && !this.willServe) this.serve()
  }

  private timed(job: Job): void {
    if (this.routing.killAfter !== Infinity) this.unwatchTime(job)
    if (job.begunAt < 0) return
    this.waits.add(job.begunAt - job.arrivedAt)
    this.runs.add(this.system.timers.now() - job.begunAt)
  }

  /** Whoever takes too long for a message is killed: JavaScript that runs cannot be, but what waits can. */
  private watchTime(job: Job): void {
    const { slot } = job.member!
    const killer = new Timer(() => {
      this.killers.delete(job)
      slot.kill()
    })
    this.killers.set(job, killer)
    this.system.timers.add(killer, this.routing.killAfter)
  }

  private unwatchTime(job: Job): void {
    const killer = this.killers.get(job)
    this.killers.delete(job)
    if (killer !== undefined) this.system.timers.remove(killer)
  }

  takeBack(job: Job, why: Undelivered): boolean {
    const { member } = job
    if (member === undefined || this.isEnded || why._tag === "MailboxFull") return false
    const crashed = job.isCrash(why)
    if (crashed) this.crashed(job, member)
    // What the rules of a member's own mailbox give up is lost.
    if (crashed ? !this.mayRepeat(job) : job.key !== undefined && why._tag === "Restarting") return false
    const again = job.again(crashed ? [...job.crashes, this.crashOf(why)] : job.crashes)
    if (crashed) this.retried++
    if (job.key !== undefined && !member.slot.isEnded && this.members.has(member)) {
      this.keepWith(again, member, job.key, crashed)
    } else {
      this.returned.push(again)
      this.inOrder = false
      this.serveSoon()
    }
    return true
  }

  /** Messages of one key stay in order, with their member: before what it has, or behind that, where it came last. */
  private keepWith(job: Job, member: Member, key: string | number, first: boolean): void {
    job.member = member
    this.members.begun(member)
    this.keep(job, key, member)
    if (first) member.slot.putBack([{ item: job, payload: undefined }])
    // It finishes what it has, and this is what it has.
    else member.slot.append(job)
  }

  private crashed(job: Job, member: Member): void {
    this.members.crash(member)
    job.hasBegun = true
  }

  private mayRepeat(job: Job): boolean {
    return job.isRepeatable && job.crashes.length < this.routing.retries
  }

  /** A tell has nobody to tell: where it was tried more than once, it leaves a dead letter with its history. */
  giveUp(job: Job, why: Undelivered): boolean {
    if (!job.isCrash(why) || job.member === undefined || this.routing.retries === 0) return false
    const reason = { _tag: "Poisoned", crashes: [...job.crashes, this.crashOf(why)] } as const
    this.system.deadLetter(this, this.path, this.tags[job.tag]!, job.payload, job.sender, reason)
    return true
  }

  private crashOf(why: Undelivered): Crash {
    const cause = why._tag === "HandlerFailed" ? why.cause : Cause.interrupt()
    return { at: this.system.timers.now(), cause }
  }

  /** It handles nothing itself: looking at its messages is looking at what its members begin with, once for each message. */
  override tap(tap: Tap): () => void {
    this.taps.add(tap)
    return () => this.taps.delete(tap)
  }

  private tellTaps(job: Job): void {
    const { asked, message, payload, tag } = job
    if (job.crashes.length > 0 || this.tapped.has(message)) return
    this.tapped.add(message)
    for (const tap of this.taps) tap.received(tag, payload, asked)
    if (asked !== undefined) onSettled(asked, (exit) => this.taps.forEach((tap) => tap.settled(tag, exit, asked)))
  }

  // --- Its own life ---

  override run(): number {
    this.enqueued = false
    return this.runAhead()
  }

  /** It has come up, or goes on, with messages that came before. */
  override runAhead(): number {
    if (this.state !== State.Queued) return 0
    this.state = State.Idle
    this.serve()
    return 1
  }

  /** What is queued waits for a member, not for a turn. */
  protected override wake(): void {
    if (this.peek() instanceof Task) super.wake()
  }

  /** What its members have is not finished before they are done. */
  protected override drained(): void {
    if (this.load === 0) super.drained()
  }

  protected override loseAll(reason: LossReason): void {
    const { returned } = this
    this.returned = []
    for (const job of returned.sort((one, other) => one.order - other.order)) this.lose(job, undefined, reason)
    super.loseAll(reason)
  }

  override finish(reason: ExitReason): void {
    super.finish(reason)
    this.members.disband()
  }
}
