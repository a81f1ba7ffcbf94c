/**
 * Choosing the member that gets a message.
 *
 * Those that keep messages of one key together choose among all members and let the message wait for its own; the others
 * choose among members that have room.
 */
import * as HashRing from "effect/HashRing"
import * as PrimaryKey from "effect/PrimaryKey"
import type { ProtocolOf } from "../actor/ActorRef.ts"
import type * as P from "../actor/Protocol.ts"
import type { Member, Members } from "./members.ts"

/**
 * A message as a route sees it: its name and its payload.
 *
 * @category type-level
 * @since 0.1.0
 */
export type MessageOf<A> = {
  readonly [K in keyof ProtocolOf<A>]: { readonly tag: K; readonly payload: P.Payload<ProtocolOf<A>[K]> }
}[keyof ProtocolOf<A>]

/**
 * Who gets a message.
 *
 * - `least-loaded`: who has the fewest messages; among equals each in turn.
 * - `round-robin`: each in turn.
 * - `random`: anybody.
 * - `shorter-of-two`: of two at random the one that has fewer. As good as `least-loaded` among many, and cheaper. How many each has is
 *   known here, so there is nothing to cache, and where all are busy a message waits in the queue instead of trying again.
 * - `{ hash }`: messages of one key go to one member, by a consistent hash: when members come or go, few keys move, and none
 *   that has messages pending. In order.
 * - `{ sticky }`: messages of one key go to the member that the first of them went to, the least loaded then, for as long as
 *   it is there. In order. The keys used last are remembered: `keys` of them, 10,000 if it does not say.
 *
 * @category models
 * @since 0.1.0
 */
export type Route<A> =
  | "least-loaded"
  | "round-robin"
  | "random"
  | "shorter-of-two"
  | { readonly hash: (message: MessageOf<A>) => string | number }
  | { readonly sticky: (message: MessageOf<A>) => string | number; readonly keys?: number }

/** The refs that a choice is made among, for routes outside of a router. @internal */
export type AnyRoute = Route<never>

type KeyOf = (message: { readonly tag: string; readonly payload: unknown }) => string | number

/** @internal */
export interface Chooser {
  /** Finds who gets a message; `undefined`: nobody can take it now. */
  choose(members: Members, message: () => { readonly tag: string; readonly payload: unknown }): Member | undefined
  /** The key of the message chosen for last, where messages of one key stay together. */
  readonly key: string | number | undefined
  /** Whether a message waits for its own member rather than for any. */
  readonly isKeyed: boolean
  begun(key: string | number, member: Member): void
  ended(key: string | number, member: Member): void
}

/** @internal */
export const chooserOf = (route: AnyRoute, random: () => number): Chooser => {
  if (typeof route === "object") {
    return "hash" in route
      ? new Hashed(route.hash as KeyOf)
      : new Sticky(route.sticky as KeyOf, route.keys ?? REMEMBERED)
  }
  switch (route) {
    case "least-loaded":
      return new Free(leastLoaded())
    case "round-robin":
      return new Free(inTurn())
    case "random":
      return new Free(anybody(random))
    case "shorter-of-two":
      return new Free(shorterOfTwo(random))
  }
}

const REMEMBERED = 10_000

type Pick = (members: Members) => Member | undefined

/** Anybody may have any message. */
class Free implements Chooser {
  readonly key = undefined
  readonly isKeyed = false
  private readonly pick: Pick
  constructor(pick: Pick) {
    this.pick = pick
  }
  choose(members: Members): Member | undefined {
    return members.hasRoom ? this.pick(members) : undefined
  }
  begun(): void {}
  ended(): void {}
}

/** From the one after the last, so that equals take turns; the first that has nothing to do will do. */
const leastLoaded = (): Pick => {
  let last = -1
  return ({ open }) => {
    let best: Member | undefined
    for (let step = 1; step <= open.length; step++) {
      const at = (last + step) % open.length
      const member = open[at]!
      if (best !== undefined && member.ongoing >= best.ongoing) continue
      best = member
      if (member.ongoing === 0) break
    }
    last = best!.place
    return best
  }
}

const inTurn = (): Pick => {
  let last = -1
  return (members) => {
    const { open } = members
    for (let step = 1; step <= open.length; step++) {
      const member = open[(last + step) % open.length]!
      if (!members.hasRoomAt(member)) continue
      last = member.place
      return member
    }
    return undefined
  }
}

/** One at random that has room: the next that has, after the one that chance has named. */
const roomFrom = (members: Members, at: number): Member => {
  const { open } = members
  let index = at
  while (!members.hasRoomAt(open[index]!)) index = (index + 1) % open.length
  return open[index]!
}

const anybody =
  (random: () => number): Pick =>
  (members) =>
    roomFrom(members, Math.floor(random() * members.open.length))

const shorterOfTwo =
  (random: () => number): Pick =>
  (members) => {
    const count = members.open.length
    const first = Math.floor(random() * count)
    const one = roomFrom(members, first)
    if (count === 1) return one
    const other = roomFrom(members, (first + 1 + Math.floor(random() * (count - 1))) % count)
    return other.ongoing < one.ongoing ? other : one
  }

/** A key with messages that are not settled, and the member that has them, or had the last. */
interface Pending {
  member: Member
  count: number
}

/** Keys come again: those of no more than so many are kept without a message, so that each message need not enter its own anew. */
const KEPT = 256

/** While a message of a key is pending, others of that key follow it (R71). */
abstract class Keyed implements Chooser {
  key: string | number | undefined = undefined
  readonly isKeyed = true
  private readonly pending = new Map<string | number, Pending>()
  private readonly keyOf: KeyOf
  constructor(keyOf: KeyOf) {
    this.keyOf = keyOf
  }

  protected abstract assign(members: Members, key: string | number): Member | undefined

  choose(members: Members, message: () => { readonly tag: string; readonly payload: unknown }): Member | undefined {
    // Of no key, where the function throws.
    this.key = undefined
    const key = this.keyOf(message())
    this.key = key
    const pending = this.pending.get(key)
    const isPending = pending !== undefined && pending.count > 0 && members.has(pending.member)
    return isPending ? pending.member : this.assign(members, key)
  }

  begun(key: string | number, member: Member): void {
    const pending = this.pending.get(key)
    if (pending === undefined) this.pending.set(key, { member, count: 1 })
    else if (pending.member === member) pending.count++
    else {
      pending.member = member
      pending.count = 1
    }
  }

  ended(key: string | number, member: Member): void {
    const pending = this.pending.get(key)
    // The key may have moved on, and what is left of it ends with the member before.
    if (pending?.member !== member || pending.count === 0) return
    pending.count--
    if (pending.count === 0 && this.pending.size > KEPT) this.pending.delete(key)
  }
}

class Node implements PrimaryKey.PrimaryKey {
  readonly member: Member
  constructor(member: Member) {
    this.member = member
  }
  [PrimaryKey.symbol](): string {
    return this.member.slot.path
  }
}

class Hashed extends Keyed {
  private ring = HashRing.make<Node>()
  /** Of the members that the ring is made of. */
  private version = 0
  /** Where the ring leads, for keys that were asked for lately. */
  private readonly known = new Map<string | number, Member>()

  protected assign(members: Members, key: string | number): Member | undefined {
    if (this.version !== members.version) this.renew(members)
    const known = this.known.get(key)
    if (known !== undefined) return known
    const member = HashRing.get(this.ring, String(key))?.member
    if (this.known.size >= REMEMBERED) this.known.clear()
    if (member !== undefined) this.known.set(key, member)
    return member
  }

  private renew(members: Members): void {
    this.version = members.version
    this.known.clear()
    this.ring = HashRing.addMany(
      HashRing.make<Node>(),
      members.staying.map((member) => new Node(member))
    )
  }
}

class Sticky extends Keyed {
  private readonly assigned = new Map<string | number, Member>()
  private readonly capacity: number
  private readonly pick = leastLoaded()
  constructor(keyOf: KeyOf, capacity: number) {
    super(keyOf)
    this.capacity = capacity
  }

  protected assign(members: Members, key: string | number): Member | undefined {
    const known = this.assigned.get(key)
    const stays = known !== undefined && known.leave === undefined && members.has(known)
    // As long as half of it is free, it does not matter which was used last.
    if (stays && this.assigned.size * 2 < this.capacity) return known
    this.assigned.delete(key)
    const member = stays ? known : members.open.length > 0 ? this.pick(members) : members.staying[0]
    if (member === undefined) return undefined
    // The one used last is the last of the map.
    this.assigned.set(key, member)
    if (this.assigned.size > this.capacity) this.assigned.delete(this.assigned.keys().next().value!)
    return member
  }
}
