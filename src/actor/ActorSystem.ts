/**
 * What the actors of one program share: who runs next, time limits, dead letters, events.
 *
 * A program needs no system of its own: actors started under the same Clock and Scheduler share one. Give a `layer` where
 * limits should differ or where events of one part should stay apart.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { DeadLetter } from "../runtime/DeadLetters.ts"
import type { SliceLimits } from "../runtime/dispatcher.ts"
import { ActorContext } from "../runtime/incarnation.ts"
import { System } from "../runtime/system.ts"
import type { SystemEvent } from "../runtime/SystemEvent.ts"

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
      const { askTimeout, slice } = options
      return Effect.succeed(
        new System(fiber.context, {
          ...(askTimeout === undefined ? undefined : { askTimeout: Duration.toMillis(askTimeout) }),
          ...(slice === undefined ? undefined : { slice })
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
 * Actors that were killed and still hold resources, and since when (monotonic milliseconds).
 *
 * @category observing
 * @since 0.1.0
 */
export const zombies: Effect.Effect<ReadonlyArray<{ readonly path: string; readonly since: number }>> = withSystem(
  (system) => [...system.zombies.values()]
)

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
