/**
 * The router of a pool, and the members it hires and dismisses.
 *
 * Invariants:
 * 1. `hired` members are up, or are being started, or are being restarted; who leaves finishes what it has first.
 * 2. One change of size at a time: what is asked for meanwhile waits.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import { slotOf } from "../actor/ActorRef.ts"
import type { DynamicChildren } from "../supervision/dynamicChildren.ts"
import type { StartFailed, SupervisorNotRunning } from "../supervision/errors.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import type { Slot } from "../runtime/slot.ts"
import * as Autoscale from "./Autoscale.ts"
import type { Member } from "./members.ts"
import type { RouterSlot } from "./routing.ts"

/** Of a pool that does not scale itself: any size but none. */
const FIXED = Result.getOrThrow(Autoscale.make({ min: 1, max: Number.MAX_SAFE_INTEGER }))

type HireError = StartFailed<unknown> | SupervisorNotRunning

const pools = new WeakMap<Slot, PoolRouter>()

/** @internal */
export const poolOf = (slot: Slot): PoolRouter | undefined => pools.get(slot)

/** @internal */
export class PoolRouter {
  readonly router: RouterSlot
  readonly children: DynamicChildren
  /** How it scales; `undefined`: it has as many members as it is told to. */
  autoscale: Autoscale.Autoscale | undefined
  private initial = 0
  /** Members have numbers, never given twice. */
  private hired = 0
  private starting = 0
  private readonly oneAtATime = Semaphore.makeUnsafe(1)

  /** Gives a router what it needs to have members. */
  static wire(router: RouterSlot, children: DynamicChildren, size: number | Autoscale.Autoscale): void {
    pools.set(router, new PoolRouter(router, children, size))
  }

  constructor(router: RouterSlot, children: DynamicChildren, size: number | Autoscale.Autoscale) {
    this.router = router
    this.children = children
    this.take(size)
    router.starved = () => void (this.autoscale === undefined ? undefined : router.system.runFork(this.look))
    router.deserted = () => (this.autoscale === undefined ? this.giveUp() : undefined)
  }

  /** How many members it has when it starts, and how it scales. */
  take(size: number | Autoscale.Autoscale): void {
    this.autoscale = typeof size === "number" ? undefined : size
    this.initial = typeof size === "number" ? size : size.settings.initial
  }

  /** Members there are or will be, less those that leave. */
  get size(): number {
    return this.router.members.staying.length + this.starting
  }

  /** As many as there may be. */
  get largest(): number {
    return Math.max(this.size, this.autoscale?.settings.max ?? 0)
  }

  get load(): Autoscale.Load {
    return { size: this.size, ongoing: this.router.load }
  }

  /** What the router does when it starts. */
  readonly boot: Effect.Effect<void, unknown> = Effect.gen({ self: this }, function* () {
    yield* this.become(Math.max(this.initial, this.size))
    if (this.autoscale === undefined) return
    const { every } = this.autoscale.settings
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(every), this.look)))
  }) as Effect.Effect<void, unknown>

  /** All members have ended. Where they must, that is not this one's to say, and where one is being started, there will be some. */
  private giveUp(): void {
    if (this.children.isUp && this.starting === 0) this.router.stop(ExitReason.Normal)
  }

  /** One look at the load. A member that cannot be started is reported by its supervisor, and tried again at the next look. */
  private readonly look: Effect.Effect<void> = Effect.suspend(() => {
    const [next, decision] = Autoscale.decide(this.autoscale!, this.load, this.router.system.timers.now())
    this.autoscale = next
    if (decision === undefined) return Effect.void
    return this.scale(decision)
  })

  /** The size that somebody asked for, where it may be had. */
  granted(request: Autoscale.Request): Result.Result<number, Autoscale.ScalingTooSoon | Autoscale.InvalidScaling> {
    const { autoscale } = this
    const scaling = autoscale ?? FIXED
    const now = this.router.system.timers.now()
    return Result.map(Autoscale.request(scaling, request, this.load, now), ([next, decision]) => {
      if (autoscale !== undefined) this.autoscale = next
      return decision.size
    })
  }

  private scale(decision: Autoscale.Decision): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      yield* Effect.logDebug(Autoscale.format(decision))
      yield* this.become(decision.size)
    }).pipe(
      Effect.catchCause((cause) => Effect.logWarning("the pool could not change its size", cause)),
      Effect.annotateLogs({ pool: this.router.path })
    )
  }

  /** Hires or dismisses until there are so many. */
  become(size: number): Effect.Effect<void, HireError> {
    return this.oneAtATime.withPermit(
      Effect.suspend(() => {
        const missing = size - this.size
        if (missing <= 0) return Effect.sync(() => this.dismiss(-missing))
        return Effect.forEach(Array.from({ length: missing }), () => this.hire, {
          concurrency: "unbounded",
          discard: true
        })
      })
    )
  }

  /** Whoever wanted it may give up waiting, and another may fail: a member that is being started comes all the same. */
  private readonly hire: Effect.Effect<void, HireError> = Effect.suspend(() => {
    this.starting++
    const hiring = this.children.atOnce(`${++this.hired}`).pipe(
      Effect.map((ref) => void this.router.members.add(slotOf(ref))),
      Effect.ensuring(Effect.sync(() => this.starting--)),
      // They are as many as there are members.
      Effect.catchTag("MaxChildrenReached", Effect.die)
    )
    return Fiber.join(this.router.system.runFork(hiring))
  })

  /** Those who have least to do go first. */
  private dismiss(count: number): void {
    const { members } = this.router
    const leaving = members.staying.toSorted((one, other) => one.ongoing - other.ongoing).slice(0, count)
    for (const member of leaving) members.dismiss(member, () => this.left(member))
  }

  private left(member: Member): void {
    this.router.members.remove(member)
    this.router.system.runFork(Effect.ignore(this.children.terminate(member.ref)))
  }
}
