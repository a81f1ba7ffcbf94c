/**
 * Those that a router sends to.
 *
 * Invariants:
 * 1. `open` holds exactly the members that take messages now: up, not paused, not told to end, not leaving.
 * 2. `full` counts those of them that have as many messages as they may.
 */
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Slot } from "../runtime/slot.ts"

/** @internal */
export class Member {
  readonly slot: Slot
  /** Messages that it has and has not settled. */
  ongoing = 0
  /** Messages that it has settled, and those among them that crashed it. */
  handled = 0
  crashed = 0
  /** It gets nothing new; called once it has nothing left. */
  leave: (() => void) | undefined = undefined
  /** Its place among those that take messages now. */
  place = -1
  unfollow: () => void = () => undefined

  constructor(slot: Slot) {
    this.slot = slot
  }

  get ref(): ActorRef<unknown> {
    return this.slot.ref as ActorRef<unknown>
  }

  get takesMessages(): boolean {
    return this.leave === undefined && this.slot.isOpen
  }

  /** Whether it has messages and does not go on with them. */
  get holdsUp(): boolean {
    return this.ongoing > 0 && (!this.slot.isUp || this.slot.isPausing)
  }
}

/** @internal */
export class Members {
  /** How many messages a member may have at a time. */
  limit: number
  readonly all = new Map<Slot, Member>()
  readonly open: Array<Member> = []
  /** Grows when somebody joins or is to leave. */
  version = 0
  /** Over all members. */
  ongoing = 0
  /** Messages that members have settled, and those among them that crashed one: also of members that have gone. */
  handled = 0
  crashed = 0
  private full = 0
  private leaving = 0
  /** A member takes messages again, or takes none any more, or is gone. */
  private readonly changed: (member: Member) => void

  constructor(limit: number, changed: (member: Member) => void) {
    this.limit = limit
    this.changed = changed
  }

  get hasRoom(): boolean {
    return this.open.length > this.full
  }

  hasRoomAt(member: Member): boolean {
    return member.ongoing < this.limit
  }

  has(member: Member): boolean {
    return member.place >= 0 || this.all.get(member.slot) === member
  }

  /** Whether anybody is not on the way out. */
  get isStaffed(): boolean {
    return this.all.size > this.leaving
  }

  /** The members that are not on their way out. */
  get staying(): ReadonlyArray<Member> {
    return Array.from(this.all.values()).filter(({ leave }) => leave === undefined)
  }

  /** `undefined`: it is one already. */
  add(slot: Slot): Member | undefined {
    if (this.all.has(slot)) return undefined
    const member = new Member(slot)
    this.all.set(slot, member)
    this.version++
    member.unfollow = slot.follow(() => this.look(member))
    this.look(member)
    return member
  }

  remove(member: Member): void {
    if (!this.has(member)) return
    this.all.delete(member.slot)
    if (member.leave !== undefined) this.leaving--
    this.version++
    member.unfollow()
    this.close(member)
    this.changed(member)
  }

  /** As `remove`, for whoever may be one. */
  leave(slot: Slot): void {
    const member = this.all.get(slot)
    if (member !== undefined) this.remove(member)
  }

  /** It gets nothing new from now on, and calls back once it has nothing left. */
  dismiss(member: Member, left: () => void): void {
    member.leave = left
    this.leaving++
    this.version++
    this.look(member)
    if (member.ongoing === 0) left()
  }

  /** From now on a member may have so many. */
  allow(limit: number): void {
    this.limit = limit
    this.full = this.open.filter((member) => !this.hasRoomAt(member)).length
  }

  /** Looks at nobody any more. What they have is theirs to settle. */
  disband(): void {
    for (const member of this.all.values()) {
      member.unfollow()
      this.close(member)
    }
    this.all.clear()
    this.leaving = 0
    this.version++
  }

  /** Looks anew at whether it takes messages. */
  look(member: Member): void {
    if (!this.has(member)) return
    if (member.slot.isEnded) return this.remove(member)
    const isOpen = member.place >= 0
    if (member.takesMessages !== isOpen) {
      if (isOpen) this.close(member)
      else this.admit(member)
    } else if (!member.holdsUp) return
    this.changed(member)
  }

  private admit(member: Member): void {
    member.place = this.open.length
    this.open.push(member)
    if (!this.hasRoomAt(member)) this.full++
  }

  settled(member: Member): void {
    this.handled++
    member.handled++
  }

  crash(member: Member): void {
    this.crashed++
    member.crashed++
  }

  begun(member: Member): void {
    this.ongoing++
    member.ongoing++
    if (member.ongoing === this.limit && member.place >= 0) this.full++
  }

  ended(member: Member): void {
    if (member.ongoing === this.limit && member.place >= 0) this.full--
    this.ongoing--
    member.ongoing--
    if (member.ongoing === 0) member.leave?.()
  }

  private close(member: Member): void {
    const { place } = member
    if (place < 0) return
    if (!this.hasRoomAt(member)) this.full--
    member.place = -1
    const last = this.open.pop()!
    if (last === member) return
    this.open[place] = last
    last.place = place
  }
}
