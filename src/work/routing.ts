/**
 * The place of a router: what is sent to it, it gives to one of its members. It handles nothing itself and has no turns; a
 * message is given away where it is sent, or where a member becomes free.
 *
 * Invariants:
 * 1. While a member has room, nothing is queued here that anybody could have.
 * 2. A message is with one member, or in the queue, or settled. What a member gives back goes before all that is queued.
 * 3. A member has as many messages as it may, counted until it is done with them, not until their askers are (R71).
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import type { MailboxOptions, Waiter } from "../runtime/admission.ts"
import { type Request, Task, type Undelivered } from "../runtime/envelope.ts"
import type { Verdict } from "../runtime/inbox.ts"
import type { Item } from "../runtime/mailbox.ts"
import { type Owner, Slot } from "../runtime/slot.ts"
import * as State from "../runtime/state.ts"
import type { Crash } from "../runtime/suspect.ts"
import type { System } from "../runtime/system.ts"
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
  private readonly routing: Routing
  private readonly killers = new Map<Job, Timer>()
  private serving = false
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

  /** How many messages there are: with members, and queued. */
  get load(): number {
    return this.members.ongoing + this.size
  }

  // --- Taking messages ---

  override get takesHandOff(): boolean {
    if (this.state !== State.Idle || this.control !== 0 || !this.isEmpty || !this.system.mayHandOff()) return false
    // Where one waits for a certain member, there may be no room to wait in.
    return this.routing.chooser.isKeyed ? this.members.all.size > 0 && this.capacity === Infinity : this.members.hasRoom
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
    if (count < ALL_TIMED || count % TIMED_OF === 0) job.arrivedAt = this.system.timers.now()
    return job
  }

  private offerLater(job: Job): Verdict {
    if (this.members.all.size === 0) {
      if (!this.routing.waitsForMembers) return this.lose(job, undefined, { _tag: "NoMembers" })
      const verdict = super.offer(job, undefined)
      this.starved()
      return verdict
    }
    return super.offer(job, undefined)
  }

  override waitForRoom(waiter: Waiter): () => void {
    const member =
      this.routing.chooser.isKeyed && this.isEmpty ? this.chooseFor(waiter.item, waiter.payload) : undefined
    if (member === undefined) return super.waitForRoom(waiter)
    const job = Job.of(this, waiter.item, waiter.payload)
    this.assign(job, member)
    const stop = member.slot.waitForRoom({ item: job, payload: undefined, settled: waiter.settled })
    return () => {
      stop()
      if (!job.hasBegun && job.exit === undefined && job.isWithdrawn) job.forwarded()
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
    if (job.key !== undefined) this.routing.chooser.ended(job.key)
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
    while (!this.isEmpty) {
      const item = this.peek()!
      if (item instanceof Job && !item.isWithdrawn) {
        const member = this.choose(item.tag, item.payload)
        if (member === undefined) break
        this.assign(item, member)
        this.leaveQueue()
        this.give(item, member)
      } else {
        this.leaveQueue()
        if (item instanceof Task) item.deliver(this)
      }
    }
    this.serving = false
    if (this.isEmpty) this.rewind()
    if ((this.control & State.DrainRequested) !== 0 && this.load === 0) super.drain()
  }

  /** The first of the queue leaves it: senders that wait for room get it. */
  private leaveQueue(): void {
    const item = this.next()!
    const payload = this.payload()
    if (this.admission !== undefined) this.admitWaiters(this.admission, item, payload)
  }

  /** Behind what is about to be decided: about a member that has failed, say. */
  serveSoon(): void {
    this.system.dispatcher.push({
      run: () => {
        this.serve()
        return 1
      }
    })
  }

  /** A member takes messages again, or takes none any more. */
  private changed(member: Member): void {
    if (!member.slot.isUp && member.ongoing > 0) this.reclaim(member)
    this.serveSoon()
    if (member.slot.isEnded && this.members.all.size === 0) this.deserted()
  }

  /** What a member that is down has, it gives back: it may be long until it is up again. */
  private reclaim({ slot }: Member): void {
    const isOurs = (item: Item): item is Job => item instanceof Job && item.member?.slot === slot
    let request = slot.inflight
    while (request !== undefined) {
      const next = request.next
      if (isOurs(request)) request.undelivered({ _tag: "Restarting" })
      request = next
    }
    if (this.routing.chooser.isKeyed) return
    for (const job of slot.takeOut(isOurs).toReversed()) job.undelivered({ _tag: "Restarting" })
  }

  // --- What becomes of them ---

  begun(job: Job): void {
    if (job.arrivedAt >= 0) job.begunAt = this.system.timers.now()
    if (this.routing.killAfter !== Infinity) this.watchTime(job)
  }

  done(job: Job): void {
    const { member } = job
    if (member === undefined) return
    if (job.hasBegun) {
      this.members.settled(member)
      this.timed(job)
    }
    this.unassign(job)
    if (!this.isEmpty || this.control !== 0) this.serve()
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
    const crashed = job.hasBegun
    if (crashed) this.members.crash(member)
    if (crashed && !this.mayRepeat(job)) {
      this.givenUp(job, why)
      return false
    }
    const again = job.again(crashed ? [...job.crashes, this.crashOf(why)] : job.crashes)
    if (crashed) this.retried++
    this.members.look(member)
    // Messages of one key stay in order: with their member, before what it has.
    if (job.key !== undefined && !member.slot.isEnded && member.leave === undefined) {
      this.assignAgain(again, member, job.key)
      member.slot.putBack([{ item: again, payload: undefined }])
      return true
    }
    this.unshift(again, undefined)
    this.admission?.added(this.describe(again, undefined))
    this.serveSoon()
    return true
  }

  private assignAgain(job: Job, member: Member, key: string | number): void {
    job.member = member
    this.members.begun(member)
    this.keep(job, key, member)
  }

  private mayRepeat(job: Job): boolean {
    return job.isRepeatable && job.crashes.length < this.routing.retries
  }

  /** A tell has nobody to tell: where it was tried more than once, it leaves a dead letter with its history. */
  private givenUp(job: Job, why: Undelivered): void {
    if (job.asked !== undefined || this.routing.retries === 0) return
    const reason = { _tag: "Poisoned", crashes: [...job.crashes, this.crashOf(why)] } as const
    this.system.deadLetter(this, this.path, this.tags[job.tag]!, job.payload, job.sender, reason)
  }

  private crashOf(why: Undelivered): Crash {
    const cause = why._tag === "HandlerFailed" ? why.cause : Cause.interrupt()
    return { at: this.system.timers.now(), cause }
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

  override drain(): void {
    if (this.state !== State.Idle || this.load === 0) return super.drain()
    this.control |= State.DrainRequested
    this.closeDoor()
  }
}
