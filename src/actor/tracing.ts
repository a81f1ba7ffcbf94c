/**
 * What one actor, or all below it, is given and answers, as a stream: taps at those that are there, and at those that come.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Request } from "../runtime/envelope.ts"
import type { Slot } from "../runtime/slot.ts"
import type { SystemEvent } from "../runtime/SystemEvent.ts"
import type { Tap } from "../runtime/taps.ts"
import { type Endable, slotOf } from "./ActorRef.ts"
import { Nursery } from "./nursery.ts"

/**
 * One thing that an actor did, or that happened to it: a message it took, a request that was settled, or an event of the
 * system that is about it. `at` is in monotonic milliseconds. A request has an `id` where its sender, or somebody since, gave
 * it one; otherwise 0.
 *
 * @category models
 * @since 0.1.0
 */
export type TraceEvent =
  | {
      readonly _tag: "Received"
      readonly path: string
      readonly at: number
      readonly tag: string
      readonly payload: unknown
      readonly kind: "ask" | "other"
      readonly id: number
      readonly sender: string | undefined
    }
  | {
      readonly _tag: "Replied"
      readonly path: string
      readonly at: number
      readonly tag: string
      readonly id: number
      readonly exit: Exit.Exit<unknown, unknown>
    }
  | SystemEvent

/**
 * What is traced. `redact` says what is shown in the place of a payload, a reply, or the error that an ask ended with; what an
 * actor crashed with is shown as it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface TraceOptions {
  /** All below it too. Default: the actor alone. */
  readonly subtree?: boolean
  readonly redact?: (value: unknown, about: Redacting) => unknown
}

/**
 * Whose and which value is to be shown.
 *
 * @category models
 * @since 0.1.0
 */
export interface Redacting {
  readonly path: string
  readonly tag: string
  readonly is: "payload" | "reply" | "error"
}

const redacted =
  (redact: NonNullable<TraceOptions["redact"]>) =>
  (event: TraceEvent): TraceEvent => {
    if (event._tag === "Replied") {
      const { exit, path, tag } = event
      const shown = Exit.mapBoth(exit, {
        onSuccess: (reply) => redact(reply, { path, tag, is: "reply" }),
        onFailure: (error) => redact(error, { path, tag, is: "error" })
      })
      return { ...event, exit: shown }
    }
    if (!("payload" in event)) return event
    const path = event._tag === "DeadLetter" ? event.recipient : event.path
    return { ...event, payload: redact(event.payload, { path, tag: event.tag, is: "payload" }) }
  }

class TraceTap implements Tap {
  private readonly slot: Slot
  private readonly emit: (event: TraceEvent) => void
  constructor(slot: Slot, emit: (event: TraceEvent) => void) {
    this.slot = slot
    this.emit = emit
  }

  received(tag: number, payload: unknown, request: Request | undefined): void {
    const kind = request === undefined ? "other" : "ask"
    this.emit({ _tag: "Received", ...this.about(tag, request), payload, kind, sender: request?.sender })
  }

  settled(tag: number, exit: Exit.Exit<unknown, unknown>, request: Request): void {
    this.emit({ _tag: "Replied", ...this.about(tag, request), exit })
  }

  private about(tag: number, request: Request | undefined) {
    const { path, program, system } = this.slot
    return { path, at: system.timers.now(), tag: program.tags[tag]!, id: request?.id ?? 0 }
  }
}

/** Those directly below a place: a supervisor's children, or what an actor has spawned for itself. */
const membersOf = ({ incarnation, program }: Slot): ReadonlyArray<Slot> => {
  if (program.members !== undefined) return program.members() as ReadonlyArray<Slot>
  const scope = incarnation?.openScope
  return scope === undefined ? [] : Nursery.membersOf(scope)
}

/** Taps what is there, and says how to end that. */
const attach = (root: Slot, subtree: boolean, emit: (event: TraceEvent) => void): (() => void) => {
  const { system } = root
  const inside = (path: string) => path === root.path || (subtree && path.startsWith(`${root.path}/`))
  const taps = new Map<Slot, () => void>()
  const visit = (slot: Slot): void => {
    if (!taps.has(slot)) taps.set(slot, slot.tap(new TraceTap(slot, emit)))
    if (subtree) membersOf(slot).forEach(visit)
  }
  const arrived = (actor: object): void => {
    if (inside((actor as Slot).path)) visit(actor as Slot)
  }
  const unlisten = system.listen((event) => {
    const path = event._tag === "DeadLetter" ? event.recipient : event.path
    if (!inside(path)) return
    emit(event)
    if (event._tag !== "ActorEnded") return
    for (const [slot, untap] of taps) {
      if (slot.path !== path || !slot.isEnded) continue
      untap()
      taps.delete(slot)
    }
  })
  system.arrivals.add(arrived)
  visit(root)
  return () => {
    unlisten()
    system.arrivals.delete(arrived)
    for (const untap of taps.values()) untap()
  }
}

/**
 * What an actor does and what happens to it, from now on; with `subtree` also all below it, those that come later too: a
 * supervisor's children, what an actor has spawned. Replies are told for asks, whoever gives them in the end. Where nobody
 * traces, nothing is told. A reader that falls behind by more than 4,096 events loses the oldest.
 *
 * **Example** (An ask, seen from inside)
 *
 * ```ts import.meta.vitest
 * import { Effect, Fiber, Schema, Stream } from "effect"
 * import { Actor, Control } from "effect-otp"
 *
 * class Echo extends Actor.Service<Echo>()("docs/Echo", { Ping: { success: Schema.String } }) {}
 * const program = Effect.gen(function*() {
 *   const echo = yield* Actor.spawn(Echo.behavior(Effect.succeed(Echo.of({ Ping: () => "pong" }))))
 *   const tracing = yield* Control.trace(echo).pipe(
 *     Stream.take(2),
 *     Stream.runCollect,
 *     Effect.forkChild({ startImmediately: true })
 *   )
 *   yield* Effect.yieldNow
 *   yield* echo.ask.Ping()
 *   return (yield* Fiber.join(tracing)).map(({ _tag }) => _tag)
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["Received", "Replied"]
 * ```
 *
 * @category looking
 * @since 0.1.0
 */
export const trace = (ref: Endable, options: TraceOptions = {}): Stream.Stream<TraceEvent> => {
  const { redact, subtree = false } = options
  const events = Stream.callback<TraceEvent>(
    (queue) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => attach(slotOf(ref), subtree, (event) => void Queue.offerUnsafe(queue, event))),
          (detach) => Effect.sync(detach)
        )
      ),
    { bufferSize: 4_096, strategy: "sliding" }
  )
  return redact === undefined ? events : Stream.map(events, redacted(redact))
}
