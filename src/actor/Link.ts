/**
 * Shared fate: two linked actors end together unless one of them says that it wants to be told instead.
 *
 * A link joins two incarnations, not two places: when one ends, also to be restarted, the other is signalled and the link
 * is gone; link again in init to keep it across restarts. To be told of another's final end without sharing its fate, use
 * `Actor.watch`; to restart actors together, use a supervisor's strategy.
 *
 * **Example** (Trapping the end of a linked actor)
 *
 * ```ts import.meta.vitest
 * import { Deferred, Effect } from "effect"
 * import { Actor, Link } from "effect-otp"
 *
 * class Worker extends Actor.Service<Worker>()("docs/Worker", { Crash: {} }) {}
 * class Owner extends Actor.Service<Owner>()("docs/Owner", {}) {}
 * const WorkerLive = Worker.behavior(Effect.succeed(Worker.of({ Crash: () => Effect.die("boom") })))
 *
 * const program = Effect.gen(function*() {
 *   const told = yield* Deferred.make<string>()
 *   const worker = yield* Actor.spawn(WorkerLive)
 *   yield* Actor.spawn(Owner.behavior(Effect.gen(function*() {
 *     yield* Link.trap(({ reason }) => Deferred.succeed(told, reason._tag))
 *     yield* Link.link(worker)
 *     return Owner.of({})
 *   })))
 *   yield* worker.tell.Crash()
 *   return yield* Deferred.await(told)
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => "Failed"
 * ```
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as ExitReason from "../runtime/ExitReason.ts"
import { ActorContext, type Incarnation } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import { slotOf as slotOfTurn } from "./ActorContext.ts"
import { type Endable, slotOf } from "./ActorRef.ts"

/**
 * What a trapping actor is told: which linked actor ended, and why.
 *
 * @category models
 * @since 0.1.0
 */
export interface Signal {
  readonly path: string
  readonly reason: ExitReason.ExitReason
}

/**
 * Why an actor ended whose linked peer did: `actor` is the peer's path, `reason` how the peer ended.
 *
 * @category errors
 * @since 0.1.0
 */
export class LinkBroken extends Schema.TaggedError<LinkBroken>()("LinkBroken", {
  actor: Schema.String,
  reason: Schema.Unknown
}) {
  override get message(): string {
    return `${this.actor}, to which this actor was linked, ${ExitReason.format(this.reason as ExitReason.ExitReason)}`
  }
}

/** The links of one incarnation. */
interface Links {
  readonly peers: Map<Incarnation, () => void>
  trap: ((signal: Signal) => unknown) | undefined
}

const tables = new WeakMap<Incarnation, Links>()

const linksOf = (incarnation: Incarnation): Links => {
  let links = tables.get(incarnation)
  if (links === undefined) tables.set(incarnation, (links = { peers: new Map(), trap: undefined }))
  return links
}

/** Tells one side that the other has ended: as a message if it traps, else as its own end. */
const signal = (to: Incarnation, path: string, reason: ExitReason.ExitReason): void => {
  const slot = to.host as Slot
  if (slot.incarnation !== to) return
  const { trap } = linksOf(to)
  if (trap !== undefined) slot.post(() => (slot.incarnation === to ? trap({ path, reason }) : undefined))
  else if (ExitReason.isAbnormal(reason)) {
    slot.failBeside(to, Cause.die(new LinkBroken({ actor: path, reason })), to.turn.item, undefined)
  } else if (reason._tag !== "Normal") slot.stop(ExitReason.Shutdown(new LinkBroken({ actor: path, reason })))
}

const join = (mine: Incarnation, theirs: Incarnation): void => {
  if (mine === theirs || linksOf(mine).peers.has(theirs)) return
  const part = (): void => {
    unlistenMine()
    unlistenTheirs()
    linksOf(mine).peers.delete(theirs)
    linksOf(theirs).peers.delete(mine)
  }
  const unlistenMine = mine.onEnd((reason) => {
    part()
    signal(theirs, mine.host.path, reason)
  })
  const unlistenTheirs = theirs.onEnd((reason) => {
    part()
    signal(mine, theirs.host.path, reason)
  })
  linksOf(mine).peers.set(theirs, part)
  linksOf(theirs).peers.set(mine, part)
}

/**
 * Links this actor to another. Linking twice is one link; one that has ended signals at once.
 *
 * @category linking
 * @since 0.1.0
 */
export const link = (ref: Endable): Effect.Effect<void, never, ActorContext> =>
  Effect.map(ActorContext, ({ incarnation }) => {
    const target = slotOf(ref)
    const theirs = target.incarnation
    if (theirs !== undefined) return join(incarnation, theirs)
    signal(incarnation, target.path, target.exit ?? target.lastEnd ?? ExitReason.Interrupted)
  })

/**
 * Takes a link back: nothing is told any more.
 *
 * @category linking
 * @since 0.1.0
 */
export const unlink = (ref: Endable): Effect.Effect<void, never, ActorContext> =>
  Effect.map(ActorContext, ({ incarnation }) => {
    const theirs = slotOf(ref).incarnation
    if (theirs !== undefined) linksOf(incarnation).peers.get(theirs)?.()
  })

/**
 * From now on this incarnation is told of the end of linked actors, in turns of its own, instead of ending with them.
 *
 * @category linking
 * @since 0.1.0
 */
export const trap = <E = never, R = never>(
  onSignal: (signal: Signal) => Effect.Effect<unknown, E, R> | void
): Effect.Effect<void, never, ActorContext | R> =>
  Effect.contextWith((context: Context.Context<ActorContext | R>) =>
    Effect.map(ActorContext, (turn) => {
      linksOf(slotOfTurn(turn).incarnation ?? turn.incarnation).trap = (told) => {
        const handled = onSignal(told)
        return handled === undefined ? undefined : Effect.provideContext(handled, context)
      }
    })
  )
