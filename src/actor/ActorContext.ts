/**
 * What a behavior may know and do about itself while it runs: its path, the message at hand, its own end.
 *
 * Everything here needs the `ActorContext` service, which every init and handler has; using it elsewhere does not compile.
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as ExitReason from "../runtime/ExitReason.ts"
import { ActorContext, type Turn } from "../runtime/incarnation.ts"
import type { Item } from "../runtime/mailbox.ts"
import type { Slot } from "../runtime/slot.ts"
import { InPlace, type Turns } from "../runtime/turns.ts"

export {
  /**
   * The service that every init and handler has.
   *
   * @category services
   * @since 0.1.0
   */
  ActorContext
}

/**
 * What a sender said about the message at hand. `deadline` is in milliseconds of monotonic time; `Infinity` for a tell.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageInfo {
  readonly id: number
  readonly tag: string
  readonly correlationId: string | undefined
  readonly priority: number
  readonly sender: string | undefined
  readonly deadline: number
}

/** The slot a turn belongs to. @internal */
export const slotOf = (turn: Turn): Slot => turn.incarnation.host as Slot

/**
 * An effect for a turn of its own, later: what it needs is from where it was made, but the turn and the Scope of the run are
 * those that it finds, since the actor may have been restarted meanwhile. Where there is nothing to do it is `undefined`.
 *
 * @internal
 */
export const inItsTurn = <E, R>(
  make: () => Effect.Effect<unknown, E, R> | void,
  made: Context.Context<ActorContext | R>
): Effect.Effect<unknown, E, ActorContext> | undefined => {
  const effect = make()
  if (effect === undefined) return undefined
  return Effect.contextWith((now: Context.Context<ActorContext>) => {
    const here = Context.get(now, ActorContext)
    const turned = Context.add(made, ActorContext, here)
    const scope = Context.getOrUndefined(made as Context.Context<never>, Scope.Scope)
    const isOfRun = scope !== undefined && scope === Context.get(made, ActorContext).incarnation.openScope
    return Effect.provideContext(effect, isOfRun ? Context.add(turned, Scope.Scope, here.incarnation.scope) : turned)
  })
}

const withTurn = <A>(f: (turn: Turn) => A): Effect.Effect<A, never, ActorContext> => Effect.map(ActorContext, f)

interface Stop {
  readonly reason: ExitReason.ExitReason
}

/** A handler that returns it needs no fiber for it. */
const StopProto: object = Object.assign(
  Effectable.Prototype<Effect.Effect<void, never, ActorContext>>({
    label: "effect-otp/stop",
    evaluate(fiber) {
      slotOf(Context.get(fiber.context as Context.Context<ActorContext>, ActorContext)).stop(
        (this as unknown as Stop).reason
      )
      return Effect.void
    }
  }),
  {
    [InPlace](this: Stop, actor: Turns, item: Item): boolean {
      ;(actor as Slot).stop(this.reason)
      if (typeof item !== "number") item.succeed(undefined)
      return true
    }
  }
)

const makeStop = (reason: ExitReason.ExitReason): Effect.Effect<void, never, ActorContext> =>
  Object.assign(Object.create(StopProto), { reason })

/**
 * The path of this actor, such as `app/frontend/app/Counter`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const path: Effect.Effect<string, never, ActorContext> = withTurn((turn) => turn.incarnation.host.path)

/**
 * Which run of this actor it is: 1 for the first, one more after each restart.
 *
 * @category accessors
 * @since 0.1.0
 */
export const incarnation: Effect.Effect<number, never, ActorContext> = withTurn((turn) => turn.incarnation.number)

/**
 * The message at hand: its id, who sent it, how urgent it is, until when somebody waits for the outcome.
 *
 * @category accessors
 * @since 0.1.0
 */
export const message: Effect.Effect<MessageInfo, never, ActorContext> = withTurn((turn) => {
  const envelope = turn.envelope()
  return {
    id: envelope.id,
    tag: slotOf(turn).program.tags[envelope.tag] ?? "",
    correlationId: envelope.correlationId,
    priority: envelope.priority,
    sender: envelope.sender,
    deadline: envelope.deadline()
  }
})

/**
 * Ends this actor normally once the message at hand is handled. What is queued is left over.
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const stop: Effect.Effect<void, never, ActorContext> = makeStop(ExitReason.Normal)

/**
 * Ends this actor with a reason once the message at hand is handled.
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const stopWith = (reason: ExitReason.ExitReason): Effect.Effect<void, never, ActorContext> => makeStop(reason)

/**
 * Declines the message at hand: an `Unhandled` event is told, nothing else happens.
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const unhandled: Effect.Effect<void, never, ActorContext> = withTurn((turn) => {
  const { system } = turn.incarnation.host
  const slot = slotOf(turn)
  if (system.observed) system.emit({ _tag: "Unhandled", path: slot.path, ...slot.describe(turn.item, turn.payload) })
})

const registerHook = <R>(
  register: (turn: Turn, hook: (reason: ExitReason.ExitReason) => Effect.Effect<unknown, unknown>) => void,
  hook: (reason: ExitReason.ExitReason) => Effect.Effect<unknown, unknown, R>
): Effect.Effect<void, never, ActorContext | R> =>
  Effect.contextWith((context: Context.Context<ActorContext | R>) =>
    withTurn((turn) => register(turn, (reason) => Effect.provideContext(hook(reason), context)))
  )

/**
 * Runs when this incarnation has failed and its supervisor is going to start another, before anything is released.
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const onRestart = <R>(
  hook: (cause: Cause.Cause<unknown>) => Effect.Effect<unknown, unknown, R>
): Effect.Effect<void, never, ActorContext | R> =>
  registerHook(
    (turn, run) => turn.incarnation.onRestart(run),
    (reason) => hook(causeOf(reason))
  )

/**
 * Runs when this actor ends without a restart, before anything is released.
 *
 * @category lifecycle
 * @since 0.1.0
 */
export const onStop = <R>(
  hook: (reason: ExitReason.ExitReason) => Effect.Effect<unknown, unknown, R>
): Effect.Effect<void, never, ActorContext | R> => registerHook((turn, run) => turn.incarnation.onStop(run), hook)

const causeOf = (reason: ExitReason.ExitReason): Cause.Cause<unknown> => {
  const exit = ExitReason.toExit(reason)
  return Exit.isFailure(exit) ? exit.cause : interruption
}

const interruption = (Exit.interrupt() as Exit.Failure<never, never>).cause
