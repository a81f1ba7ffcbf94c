/**
 * The handle of a running pool: how it is doing, and who its members are.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type ActorRef, slotOf } from "../actor/ActorRef.ts"
import type { StartFailed, SupervisorNotRunning } from "../supervision/errors.ts"
import * as Autoscale from "./Autoscale.ts"
import type { Latency } from "./latency.ts"
import type { Member } from "./members.ts"
import type { PoolRouter } from "./poolRouter.ts"

/**
 * What a member has done so far, and has to do.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemberStats {
  readonly path: string
  readonly status: ActorRef<unknown>["status"]
  /** Messages it has. */
  readonly ongoing: number
  /** Messages it has answered, or crashed on. */
  readonly handled: number
  readonly crashed: number
  /** Whether it finishes what it has and gets nothing new. */
  readonly leaving: boolean
}

/**
 * How a pool is doing. `wait` is the time between a message's arrival and the moment when its member begins with it, `run` what the member
 * takes from then on. Of the first 64 messages each is timed, then one in eight.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** Members, without those that leave; those that are starting or restarting count. */
  readonly size: number
  /** Members that take messages now. */
  readonly ready: number
  /** Messages that wait for a member. */
  readonly queued: number
  /** Messages that members have. */
  readonly ongoing: number
  /** Messages more that members that are ready could have at once. */
  readonly free: number
  /** The part of what ready members could have that they do have: 0 to 1. */
  readonly utilisation: number
  readonly handled: number
  readonly crashed: number
  /** Messages that were given to a member again. */
  readonly retried: number
  readonly wait: Latency
  readonly run: Latency
  readonly members: ReadonlyArray<MemberStats>
}

/**
 * A ref that is no pool's, or names a pool in another system.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotPooled extends Schema.TaggedError<NotPooled>()("NotPooled", { actor: Schema.String }) {
  override get message(): string {
    return `${this.actor} is no pool: list it with Pool.child, or start it with Pool.start`
  }
}

/**
 * It is a member already.
 *
 * @category errors
 * @since 0.1.0
 */
export class AlreadyMember extends Schema.TaggedError<AlreadyMember>()("AlreadyMember", {
  pool: Schema.String,
  member: Schema.String
}) {
  override get message(): string {
    return `${this.member} is a member of ${this.pool} already`
  }
}

/**
 * It is the pool itself, or a pool or router that gives messages to it: they would never arrive.
 *
 * @category errors
 * @since 0.1.0
 */
export class MemberOfItself extends Schema.TaggedError<MemberOfItself>()("MemberOfItself", {
  pool: Schema.String,
  member: Schema.String
}) {
  override get message(): string {
    return `${this.member} leads to ${this.pool}: a pool cannot be a member of itself`
  }
}

/**
 * What can be asked of a pool besides what its members answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pool<A> {
  /** Stands for all members. */
  readonly ref: ActorRef<A>
  /** Those that are not leaving, in the order in which they joined: for `Router.broadcast` and the like. */
  readonly members: Effect.Effect<ReadonlyArray<ActorRef<A>>>
  readonly stats: Effect.Effect<Stats>
  /** Messages that its members could have at once, when there are as many as there may be. */
  readonly capacity: Effect.Effect<number>
  /**
   * Changes the size, by hand: `{ size }` or `{ delta }`, and why. New members have been started when this completes; those that
   * leave finish what they have. A pool that scales itself keeps its bounds, and refuses a change against its last one unless
   * told to `force` it. Tells the new size.
   */
  readonly resize: (
    request: Autoscale.Request
  ) => Effect.Effect<
    number,
    Autoscale.InvalidScaling | Autoscale.ScalingTooSoon | StartFailed<unknown> | SupervisorNotRunning
  >
  /** Takes a member out that has nothing to do; it goes on living, and may be pushed again. `None`: all have something to do. */
  readonly pop: Effect.Effect<Option.Option<ActorRef<A>>>
  /**
   * Takes any actor in as a member, a pool too, where that does not lead back to this one. It is not restarted by the pool, and leaves
   * it with its end.
   */
  readonly push: (ref: ActorRef<A>) => Effect.Effect<void, AlreadyMember | MemberOfItself>
}

/** @internal */
export class PoolHandle implements Pool<unknown> {
  readonly ref: ActorRef<unknown>
  private readonly pool: PoolRouter

  constructor(ref: ActorRef<unknown>, pool: PoolRouter) {
    this.ref = ref
    this.pool = pool
  }

  private get all() {
    return this.pool.router.members
  }

  readonly members = Effect.sync(() => this.all.staying.map(({ ref }) => ref))

  readonly stats = Effect.sync((): Stats => {
    const { all, pool } = this
    const { queued, retried, runs, waits } = pool.router
    const ready = all.open.length
    const places = ready * all.limit
    const busy = all.open.reduce((sum, { ongoing }) => sum + ongoing, 0)
    return {
      size: pool.size,
      ready,
      queued,
      ongoing: all.ongoing,
      free: Math.max(0, places - busy),
      utilisation: all.limit === Infinity ? shareOfBusy(all.open) : places === 0 ? 0 : busy / places,
      handled: all.handled,
      crashed: all.crashed,
      retried,
      wait: waits.latency,
      run: runs.latency,
      members: Array.from(all.all.values(), statsOf)
    }
  })

  readonly capacity = Effect.sync(() => this.pool.largest * (this.all.limit === Infinity ? 1 : this.all.limit))

  /** How much of its work may be on its way: for each member the next one too, where that may wait. */
  readonly width = Effect.sync(() => {
    const { largest, router } = this.pool
    const places = Math.max(1, largest * (this.all.limit === Infinity ? 1 : this.all.limit))
    return places + Math.min(places, router.capacity)
  })

  readonly resize = (request: Autoscale.Request) =>
    Effect.suspend(() => {
      const { pool } = this
      return Effect.flatMap(Effect.fromResult(pool.granted(request)), (size) => Effect.as(pool.become(size), size))
    })

  readonly pop = Effect.sync(() => {
    const idle = this.all.open.find(({ ongoing }) => ongoing === 0)
    if (idle === undefined) return Option.none()
    this.all.remove(idle)
    return Option.some(idle.ref)
  })

  readonly push = (ref: ActorRef<unknown>) =>
    Effect.suspend((): Effect.Effect<void, AlreadyMember | MemberOfItself> => {
      const names = { pool: this.ref.path, member: ref.path }
      if (this.pool.router.isReachedFrom(slotOf(ref))) return Effect.fail(new MemberOfItself(names))
      return this.all.add(slotOf(ref)) === undefined ? Effect.fail(new AlreadyMember(names)) : Effect.void
    })
}

const shareOfBusy = (members: ReadonlyArray<Member>): number =>
  members.length === 0 ? 0 : members.filter(({ ongoing }) => ongoing > 0).length / members.length

const statsOf = ({ crashed, handled, leave, ongoing, ref }: Member): MemberStats => ({
  path: ref.path,
  status: ref.status,
  ongoing,
  handled,
  crashed,
  leaving: leave !== undefined
})
