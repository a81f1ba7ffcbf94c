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
import { inItsTurn } from "./ActorContext.ts"
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
  /** Ends of others that it is still to be told of. */
  readonly untold: Set<Untold>
  trap: ((signal: Signal) => unknown) | undefined
}

interface Untold {
  readonly of: Slot
}

const tables = new WeakMap<Incarnation, Links>()

const linksOf = (incarnation: Incarnation): Links => {
  let links = tables.get(incarnation)
  if (links === undefined) tables.set(incarnation, (links = { peers: new Map(), untold: new Set(), trap: undefined }))
  return links
}

/** Tells one side that the other has ended: in a turn of its own if it traps, else as its own end. */
const signal = (to: Incarnation, of: Slot, reason: ExitReason.ExitReason): void => {
  const slot = to.host as Slot
  // A supervisor shares the fate of nobody: it looks after its children, and has others do as they like.
  if (slot.incarnation !== to || slot.program.members !== undefined) return
  const links = linksOf(to)
  if (links.trap !== undefined) return tell(slot, links, of, reason)
  if (reason._tag === "Normal") return
  const broken = new LinkBroken({ actor: of.path, reason })
  if (ExitReason.isAbnormal(reason)) slot.failBeside(to, Cause.die(broken), to.turn.item, undefined)
  // From the run queue, so that a long chain of links does not end on one stack.
  else
    slot.system.dispatcher.push({
      run: () => (slot.incarnation === to ? slot.stop(ExitReason.Shutdown(broken)) : undefined, 1)
    })
}

const tell = (slot: Slot, links: Links, of: Slot, reason: ExitReason.ExitReason): void => {
  const untold: Untold = { of }
  links.untold.add(untold)
  const { incarnation } = slot
  slot.post(() => {
    if (slot.incarnation !== incarnation || !links.untold.delete(untold)) return undefined
    return links.trap?.({ path: of.path, reason })
  })
}

const join = (mine: Incarnation, theirs: Incarnation): void => {
  if (linksOf(mine).peers.has(theirs)) return
  const part = (): void => {
    unlistenMine()
    unlistenTheirs()
    linksOf(mine).peers.delete(theirs)
    linksOf(theirs).peers.delete(mine)
  }
  const unlistenMine = mine.onEnd((reason) => {
    part()
    signal(theirs, mine.host as Slot, reason)
  })
  const unlistenTheirs = theirs.onEnd((reason) => {
    part()
    signal(mine, theirs.host as Slot, reason)
  })
  linksOf(mine).peers.set(theirs, part)
  linksOf(theirs).peers.set(mine, part)
}

/**
 * Links this actor to another. Linking twice is one link. Where there is nothing to link to, because the other has ended or
 * is between two runs, this actor is told at once if it traps; else it crashes with `LinkBroken`, however the other ended.
 *
 * A supervisor can be linked to, and takes no notice of how those end that are.
 *
 * @category linking
 * @since 0.1.0
 */
export const link = (ref: Endable): Effect.Effect<void, never, ActorContext> =>
  Effect.flatMap(ActorContext, ({ incarnation }) => {
    const target = slotOf(ref)
    const theirs = target.incarnation
    if (theirs !== undefined) return Effect.sync(() => join(incarnation, theirs))
    const reason = target.exit ?? target.lastEnd ?? ExitReason.Interrupted
    const links = linksOf(incarnation)
    if (links.trap === undefined) return Effect.die(new LinkBroken({ actor: target.path, reason }))
    return Effect.sync(() => tell(incarnation.host as Slot, links, target, reason))
  })

/**
 * Takes a link back: nothing is told any more, not even what this actor was about to be told.
 *
 * @category linking
 * @since 0.1.0
 */
export const unlink = (ref: Endable): Effect.Effect<void, never, ActorContext> =>
  Effect.map(ActorContext, ({ incarnation }) => {
    const { peers, untold } = linksOf(incarnation)
    const target = slotOf(ref)
    for (const each of untold) if (each.of === target) untold.delete(each)
    if (target.incarnation !== undefined) peers.get(target.incarnation)?.()
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
    Effect.map(ActorContext, ({ incarnation }) => {
      linksOf(incarnation).trap = (told) => inItsTurn(() => onSignal(told), context)
    })
  )
