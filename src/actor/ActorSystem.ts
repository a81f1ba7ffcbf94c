/**
 * What the actors of one program share: who runs next, time limits, dead letters, events.
 *
 * A program needs no system of its own: actors started under the same Clock and Scheduler share one. Give a `layer` where
 * limits should differ or where events of one part should stay apart.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Queue from "effect/Queue"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { DeadLetter, DeadLetterReason } from "../runtime/DeadLetters.ts"
import type { SliceLimits } from "../runtime/dispatcher.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import { ActorContext } from "../runtime/incarnation.ts"
import { System } from "../runtime/system.ts"
import type { SystemEvent } from "../runtime/SystemEvent.ts"
import type { Interceptor } from "./intercepting.ts"
import { limitMillis } from "./limit.ts"

/**
 * The system that actors started here belong to.
 *
 * @category services
 * @since 0.1.0
 */
export class ActorSystem extends Context.Service<ActorSystem, System>()("effect-otp/ActorSystem") {}

/**
 * How a system behaves. Everything has a default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How long an ask waits when it says nothing else. Default 5 seconds. */
  readonly askTimeout?: Duration.Input
  /** How much work is done before others, timers and I/O get their turn. */
  readonly slice?: Partial<SliceLimits>
  /**
   * Around the messages to all actors of the system, outside of what behaviors have. They can add no failures and no needs of
   * their own: nobody would know of them.
   */
  readonly interceptors?: ReadonlyArray<Interceptor>
}

/** Systems nobody made by hand: one for each Clock and Scheduler, gone with them. */
const ambient = new WeakMap<Clock.Clock, WeakMap<Scheduler.Scheduler, System>>()

/** The system that belongs to a context. @internal */
export const of = (context: Context.Context<never>): System => {
  const turn = Context.getOrUndefined(context as Context.Context<never>, ActorContext)
  if (turn !== undefined) return turn.incarnation.host.system
  const given = Context.getOrUndefined(context as Context.Context<never>, ActorSystem)
  if (given !== undefined) return given
  const clock = Context.get(context, Clock.Clock)
  const scheduler = Context.get(context, Scheduler.Scheduler)
  let systems = ambient.get(clock)
  if (systems === undefined) ambient.set(clock, (systems = new WeakMap()))
  let system = systems.get(scheduler)
  if (system === undefined) {
    const shared = Context.make(Clock.Clock, clock).pipe(Context.add(Scheduler.Scheduler, scheduler))
    systems.set(scheduler, (system = new System(shared as Context.Context<never>)))
  }
  return system
}

/**
 * A system of its own for the actors started below this layer.
 *
 * **Example** (Asks wait for one second unless they say otherwise)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { ActorSystem } from "effect-otp"
 *
 * const Patient = ActorSystem.layer({ askTimeout: "1 second" })
 * await Effect.runPromise(ActorSystem.deadLetters.pipe(Effect.provide(Patient))) // => []
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<ActorSystem> =>
  Layer.effect(
    ActorSystem,
    Effect.withFiber((fiber) => {
      const { askTimeout, interceptors: around, slice } = options
      return Effect.succeed(
        new System(fiber.context, {
          ...(askTimeout === undefined
            ? undefined
            : { askTimeout: limitMillis("askTimeout of ActorSystem.layer", askTimeout) }),
          ...(slice === undefined ? undefined : { slice }),
          ...(around === undefined ? undefined : { around })
        })
      )
    })
  )

const withSystem = <A>(f: (system: System) => A): Effect.Effect<A> =>
  Effect.withFiber((fiber) => Effect.succeed(f(of(fiber.context))))

/**
 * The last 1,000 messages that could not be delivered, oldest first, each with its reason.
 *
 * @category observing
 * @since 0.1.0
 */
export const deadLetters: Effect.Effect<ReadonlyArray<DeadLetter>> = withSystem((system) => system.letters.recent())

/**
 * A dead letter that cannot be delivered now either: `reason` says why, and `gone` that nobody is there to take it. The letter
 * is kept. `replayed`: it has been delivered before, by an earlier `replay`.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotReplayable extends Data.TaggedError("NotReplayable")<{
  readonly letter: DeadLetter
  readonly reason: DeadLetterReason | "gone" | "replayed"
}> {
  override get message(): string {
    if (!Predicate.isObject(this.letter)) return `${format(this.letter)} is no dead letter`
    const why = whyNot(this.reason)
    return `${this.letter.tag} to ${this.letter.recipient} cannot be delivered: ${why}`
  }
}

const whyNot = (reason: DeadLetterReason | "gone" | "replayed"): string => {
  if (reason === "gone") return "there is no such actor any more"
  if (reason === "replayed") return "it has been replayed already"
  switch (reason._tag) {
    case "NotRunning":
      return `the actor is not running: it ${ExitReason.format(reason.exit)}`
    case "Draining":
      return "the actor takes nothing new"
    case "MailboxFull":
      return `its mailbox holds ${reason.capacity} messages, no room is left`
    case "Poisoned":
      return "it crashes the actor"
    case "NoMembers":
      return "there is no member to give it to"
    case "Restarted":
      return "the actor restarts without its queue"
    case "Rejected":
      return "nobody there can do it"
    case "NotStarted":
      return "its child does not start"
    case "BufferFull":
      return `its buffer holds ${reason.capacity} events, no room is left`
  }
}

/**
 * Sends a dead letter once more, to the place it was meant for: after a restart, by hand too, it is the actor that runs there
 * now. A letter that is delivered leaves the list, and is not delivered twice; its handler's answer goes to nobody.
 *
 * **Example** (What came too early)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, ActorSystem, Supervisor } from "effect-otp"
 *
 * class Log extends Actor.Service<Log>()("docs/Log", { Line: { payload: { text: Schema.String } }, Lines: { success: Schema.Int } }) {}
 * const LogLive = Log.behavior(Log.sync(() => {
 *   let lines = 0
 *   return Log.of({ Line: () => void lines++, Lines: () => lines })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   const app = yield* Supervisor.start(Supervisor.make("app", { children: [LogLive] }))
 *   const log = yield* Effect.provide(Log, app.services)
 *   yield* app.terminateChild("docs/Log")
 *   yield* log.tell.Line({ text: "lost?" })
 *   yield* app.restartChild("docs/Log")
 *   for (const letter of yield* ActorSystem.deadLetters) yield* ActorSystem.replay(letter)
 *   return [yield* log.ask.Lines(), (yield* ActorSystem.deadLetters).length]
 * })
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(ActorSystem.layer()))) // => [1, 0]
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const replay = (letter: DeadLetter): Effect.Effect<void, NotReplayable> =>
  Effect.flatMap(
    withSystem((system) => system.letters.replay(letter)),
    (reason) => (reason === undefined ? Effect.void : Effect.fail(new NotReplayable({ letter, reason })))
  )

/**
 * Forgets all dead letters so far.
 *
 * @category observing
 * @since 0.1.0
 */
export const clearDeadLetters: Effect.Effect<void> = withSystem((system) => system.letters.clear())

/**
 * An actor that was killed and still holds resources. All times are in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Zombie {
  readonly path: string
  /** When it was killed, by the monotonic clock. */
  readonly since: number
  /** How long that is ago. */
  readonly outstanding: number
}

/**
 * Actors that were killed and still hold resources, the oldest first, and for how long they have.
 *
 * @category observing
 * @since 0.1.0
 */
export const zombies: Effect.Effect<ReadonlyArray<Zombie>> = withSystem((system) => {
  const now = system.timers.now()
  return Array.from(system.zombies.values(), ({ path, since }) => ({ path, since, outstanding: now - since }))
})

/**
 * An actor that has been busy with one message for longer than its `stuckAfter`. `millis`: for how long.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stuck {
  readonly path: string
  readonly tag: string
  readonly millis: number
}

/**
 * Actors whose behavior says `stuckAfter`, and that have been busy with one message for longer than that.
 *
 * @category observing
 * @since 0.1.0
 */
export const stuck: Effect.Effect<ReadonlyArray<Stuck>> = withSystem((system) => {
  const now = system.timers.now()
  return Array.from(system.busy)
    .filter((actor) => actor.isStuck(now))
    .map(({ path, since, tag }) => ({ path, tag, millis: now - since }))
})

/**
 * Calls `listener` synchronously for every event of the system until the Scope closes. It must not block or throw.
 *
 * @category observing
 * @since 0.1.0
 */
export const onEvent = (listener: (event: SystemEvent) => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      withSystem((system) => system.listen(listener)),
      (unlisten) => Effect.sync(unlisten)
    )
  )

/**
 * What happens in the system from now on. A reader that falls behind by more than 4,096 events loses the oldest.
 *
 * @category observing
 * @since 0.1.0
 */
export const events: Stream.Stream<SystemEvent> = Stream.callback<SystemEvent>(
  (queue) => onEvent((event) => void Queue.offerUnsafe(queue, event)),
  { bufferSize: 4_096, strategy: "sliding" }
)
