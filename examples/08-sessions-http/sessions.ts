/**
 * Many sessions on few models. What a session is lives in an actor of its own and travels with each request, so that members of
 * the pool know of nobody: whoever is free goes on with whoever waits.
 */
import { Duration, Effect, Ref, Schema } from "effect"
import { Actor, ActorRef, Backoff, DynamicSupervisor, Pool, Supervisor } from "effect-otp"
import { type ModelLost, Models } from "./models.ts"

/** The pool, for those who ask it: they do not see that it is one. */
export class Inference extends Actor.Service<Inference>()("example/Inference", {
  Infer: { payload: { memory: Schema.Int, input: Schema.Int }, success: Schema.Int }
}) {}

/** A member loads its model when it starts, and gives it back when it ends, however that comes. */
const InferenceLive = Inference.behavior(
  Effect.gen(function* () {
    const models = yield* Models
    const model = yield* models.load
    return Inference.of({ Infer: ({ input, memory }) => model.infer(memory, input) })
  })
)

/** How far a session is. */
export const Progress = Schema.Struct({ steps: Schema.Int, memory: Schema.Int })

/** One for each session: its requests are taken one after the other. What the pool could not answer, it passes on. */
export class Session extends Actor.Service<Session>()("example/Session", {
  Compute: { payload: { input: Schema.Int }, success: Progress, error: ActorRef.AskError }
}) {}

/** Sessions by name, started by their first request. */
export class Sessions extends DynamicSupervisor.Service<Sessions>()("example/Sessions", Session) {}

const SessionLive = Session.behavior(
  Effect.fnUntraced(function* (_name: string) {
    // The time limit is that of whoever asks the session.
    const inference = ActorRef.withTimeout(yield* Inference, Duration.infinity)
    const progress = yield* Actor.state<typeof Progress.Type>({ steps: 0, memory: 0 })
    return Session.of({
      // A step counts when its answer is here. What a killed member had begun is done anew from the same memory.
      Compute: Effect.fnUntraced(function* ({ input }) {
        const { memory, steps } = yield* Ref.get(progress)
        const next = { steps: steps + 1, memory: yield* inference.ask.Infer({ memory, input }) }
        return yield* Ref.setAndGet(progress, next)
      })
    })
  }),
  { mailbox: { capacity: 16, overflow: "reject" }, idle: { after: "30 minutes" } }
)

export interface Options {
  /** How many models are held, and how many requests are computed at a time. Default 2. */
  readonly members?: number
  /** How many requests may wait for a member. One more is refused at once. Default 1,000. */
  readonly queue?: number
  /** How often a request is begun anew after the member that had it was lost. Default 2. */
  readonly retries?: number
  /**
   * How many members may be lost in how much time before the whole pool is started anew. Default 100 within a minute: a request that
   * crashes whoever has it costs three of them, and must not take the pool along.
   */
  readonly intensity?: Supervisor.Intensity
  /** How long a member that was lost stays away before it is made anew. Default 10 ms, longer each time, up to 5 seconds. */
  readonly backoff?: Backoff.Backoff<ModelLost>
}

export const Tree = ({ backoff, intensity, members = 2, queue = 1_000, retries = 2 }: Options = {}) =>
  Supervisor.make("sessions", {
    intensity: { restarts: 3, within: "10 minutes" },
    children: [
      Pool.child(InferenceLive, {
        size: members,
        retries,
        queue: { capacity: queue, overflow: "reject" },
        // A member that hangs is lost like one that crashes.
        killAfter: "20 seconds",
        startTimeout: "1 minute",
        intensity: intensity ?? { restarts: 100, within: "1 minute" },
        backoff: backoff ?? Backoff.exponential({ min: "10 millis", max: "5 seconds" })
      }),
      Sessions.child(SessionLive, { restart: "transient", maxChildren: 10_000 })
    ]
  })
