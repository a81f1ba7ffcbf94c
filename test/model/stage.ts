/**
 * Virtual time without an event loop: a Clock and a Scheduler that stand still until they are told to go on, and then do
 * all that is due, in order, before they return. So a history is played in one go, always in the same way, and nothing
 * moves any more when the next step is done.
 */
import { Clock, Context, Duration, Effect, Exit, type Fiber, References, Scheduler } from "effect"

interface Sleeper {
  readonly at: number
  readonly wake: () => void
}

/** More tasks than any history needs: whoever gets here goes round in circles. */
const ENDLESS = 200_000

export class Stage {
  private now = 0
  private readonly tasks: Array<() => void> = []
  private readonly sleepers: Array<Sleeper> = []
  readonly context: Context.Context<never>
  private readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

  constructor() {
    const dispatcher = { scheduleTask: (task: () => void) => void this.tasks.push(task), flush: () => this.settle() }
    const scheduler: Scheduler.Scheduler = {
      executionMode: "async",
      shouldYield: () => false,
      makeDispatcher: () => dispatcher
    }
    this.context = Context.make(Clock.Clock, this.clock()).pipe(
      Context.add(Scheduler.Scheduler, scheduler),
      Context.add(References.MinimumLogLevel, "None")
    ) as Context.Context<never>
    this.fork = Effect.runForkWith(this.context)
  }

  /** Milliseconds since the beginning. */
  get time(): number {
    return this.now
  }

  /** Begins something; what comes of it is told later, when everything is settled at the latest. */
  begin<A, E>(effect: Effect.Effect<A, E>, onExit: (exit: Exit.Exit<A, E>) => void): void {
    this.fork(effect).addObserver(onExit)
  }

  /** For what ends without waiting. */
  read<A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> {
    const exit = this.fork(effect).pollUnsafe()
    return exit ?? Exit.die("it has to wait")
  }

  /** Goes on until nothing moves. */
  settle(): void {
    let done = 0
    while (this.tasks.length > 0) {
      for (const task of this.tasks.splice(0)) task()
      if (++done > ENDLESS) throw new Error("it goes on for ever without time passing")
    }
  }

  advance(millis: number): void {
    this.settle()
    const until = this.now + millis
    while (this.sleepers.length > 0 && this.sleepers[0]!.at <= until) {
      const { at, wake } = this.sleepers.shift()!
      this.now = at
      wake()
      this.settle()
    }
    this.now = until
  }

  private clock(): Clock.Clock {
    const millis = () => this.now
    const nanos = () => BigInt(Math.round(this.now * 1e6))
    return {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) => this.sleep(Duration.toMillis(duration))
    }
  }

  private sleep(millis: number): Effect.Effect<void> {
    if (millis <= 0) return Effect.void
    return Effect.callback((resume) => {
      const sleeper = { at: this.now + millis, wake: () => resume(Effect.void) }
      const later = this.sleepers.findIndex(({ at }) => at > sleeper.at)
      this.sleepers.splice(later < 0 ? this.sleepers.length : later, 0, sleeper)
      return Effect.sync(() => {
        const index = this.sleepers.indexOf(sleeper)
        if (index >= 0) this.sleepers.splice(index, 1)
      })
    })
  }
}
