/**
 * Children that write down what happens to them, and the tree around them.
 */
import { Data, Deferred, Effect, References, Schema } from "effect"
import { Actor, ActorContext, type ActorRef, ActorSystem, Supervisor, type SystemEvent } from "effect-otp"

/** A typed failure that no protocol declares. */
export class Broken extends Data.TaggedError("Broken")<{ readonly code: number }> {}

/** Does what it is told, also the wrong thing. */
export class Child extends Actor.Service<Child>()("test/Child", {
  /** Answers which incarnation it is. */
  Ping: { success: Schema.Int },
  /** Adds to the state; answers the sum. */
  Add: { payload: { n: Schema.Int }, success: Schema.Int },
  /** Fails with `Broken`. */
  Fail: { payload: { code: Schema.Int } },
  /** Throws. */
  Throw: {},
  /** Ends normally. */
  End: {},
  /** Ends with a shutdown of its own. */
  Shutdown: { payload: { info: Schema.String } },
  /** Waits for `gate`. */
  Wait: {}
}) {}

/** How a recording child misbehaves. */
export interface Misbehavior {
  /** Runs in init before it counts as started. */
  readonly init?: Effect.Effect<unknown, Broken>
  /** Runs in its finalizer, before `stopped` is written down. */
  readonly finalizer?: Effect.Effect<unknown>
}

type ChildOptions = Supervisor.Options<Broken> & Misbehavior

/** A log, the refs by id, and the makers that use them. */
export class Recording {
  readonly log: Array<string> = []
  readonly refs = new Map<string, ActorRef.ActorRef<Child>>()
  readonly events: Array<SystemEvent.SystemEvent> = []
  private readonly waiting = new Set<() => void>()
  /** What `Wait` waits for. */
  readonly gate = Deferred.makeUnsafe<void>()

  /** A child spec that records `id started` and `id stopped`. */
  child(id: string, options: ChildOptions = {}): Supervisor.ChildSpec<Child, Broken, never> {
    const { finalizer, init, ...rest } = options
    return Supervisor.child(this.behavior(id, init, finalizer), { ...rest, id })
  }

  behavior(
    id: string,
    init: Effect.Effect<unknown, Broken> = Effect.void,
    finalizer: Effect.Effect<unknown> = Effect.void
  ) {
    const { gate, refs } = this
    const write = (line: string) => this.write(line)
    return Child.behavior(
      Effect.gen(function* () {
        let sum = 0
        refs.set(id, yield* Child.self)
        const incarnation = yield* ActorContext.incarnation
        yield* init
        write(`${id} started`)
        yield* Effect.addFinalizer(() =>
          Effect.andThen(
            finalizer,
            Effect.sync(() => write(`${id} stopped`))
          )
        )
        return Child.of({
          Ping: () => incarnation,
          Add: ({ n }) => (sum += n),
          Fail: ({ code }) => Effect.fail(new Broken({ code })),
          Throw: () => {
            throw new Error("thrown")
          },
          End: () => ActorContext.stop,
          Shutdown: ({ info }) => ActorContext.stopWith({ _tag: "Shutdown", info }),
          Wait: () => Deferred.await(gate)
        })
      })
    )
  }

  ref(id: string): ActorRef.ActorRef<Child> {
    const ref = this.refs.get(id)
    if (ref === undefined) throw new Error(`no child ${id} has been started`)
    return ref
  }

  /** Which incarnation answers now: waits for a restart that is under way. */
  incarnation(id: string) {
    return this.ref(id).ask.Ping()
  }

  /** Starts the children under a supervisor with a generous budget, and records the system's events. */
  start<const C extends ReadonlyArray<Supervisor.Child>>(
    children: C,
    options: Partial<Supervisor.SupervisorOptions<C>> = {}
  ) {
    const generous = { restarts: 1_000, within: "1 minute" as const }
    return Effect.andThen(
      ActorSystem.onEvent((event) => void this.events.push(event)),
      Supervisor.start(Supervisor.make("top", { intensity: generous, ...options, children }))
    )
  }

  /** The tags of the events so far about a path. */
  told(path: string): ReadonlyArray<string> {
    return this.events.filter((event) => "path" in event && event.path === path).map((event) => event._tag)
  }

  /** Waits until the log has this many lines. */
  lines(count: number): Effect.Effect<ReadonlyArray<string>> {
    return Effect.callback((resume) => {
      const check = () => {
        if (this.log.length < count) return
        this.waiting.delete(check)
        resume(Effect.succeed(this.log))
      }
      this.waiting.add(check)
      check()
    })
  }

  write(line: string): void {
    this.log.push(line)
    for (const check of this.waiting) check()
  }

  /** What has been recorded since the last look. */
  takeLog(): ReadonlyArray<string> {
    return this.log.splice(0)
  }
}

/** States by id. */
export const states = <O>(supervisor: Supervisor.SupervisorRef<O>) =>
  Effect.map(supervisor.children, (children) => Object.fromEntries(children.map((child) => [child.id, child.state])))

/** The ids that are listed, in order. */
export const listed = <O>(supervisor: Supervisor.SupervisorRef<O>) =>
  Effect.map(supervisor.children, (children) => children.map((child) => child.id))

/** Crashes are part of these tests; nobody wants to read about them. */
export const quiet = Effect.provideService(References.MinimumLogLevel, "None")
