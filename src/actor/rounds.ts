/**
 * The messages of one batch, each with what is around it: they run side by side until every one of them waits for the handler
 * or is over, and what waits then is handled as one batch.
 *
 * Invariants:
 * 1. The handler runs only while none of them does anything else, so that it gets all that will come.
 * 2. Whoever waits is resumed once, with its own answer or the failure of the batch it was in; it may wait again.
 * 3. The handler runs in a fiber of its own: one that stops waiting stops nobody else.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ActorContext, Turn } from "../runtime/incarnation.ts"
import type { CompiledHandler, Taken } from "../runtime/turns.ts"

type Handle = (batch: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<unknown> | void, unknown>

interface Waiting {
  readonly payload: unknown
  readonly resume: (outcome: Exit.Exit<unknown, unknown>) => void
}

/** The turn of one message of a batch. */
class Member extends Turn {
  readonly rounds: Rounds
  constructor(turn: Turn, { item, payload }: Taken, rounds: Rounds) {
    super(turn.incarnation, false, item, payload)
    this.rounds = rounds
  }
}

/** What an interceptor of one message of a batch has as its handler. @internal */
export const member: CompiledHandler = (payload) =>
  Effect.withFiber((fiber) => (Context.getUnsafe(fiber.context, ActorContext as never) as Member).rounds.join(payload))

/** Runs each message of a batch through `intercepted`, and tells what came of each. @internal */
export const inRounds = (
  turn: Turn,
  taken: ReadonlyArray<Taken>,
  intercepted: CompiledHandler,
  handle: Handle
): Effect.Effect<ReadonlyArray<Exit.Exit<unknown, unknown>>> =>
  Effect.suspend(() => {
    const rounds = new Rounds(taken.length, handle)
    const each = Effect.forEach(
      taken,
      (one) => {
        const run = intercepted(one.payload) as Effect.Effect<unknown, unknown>
        const own = Effect.provideService(run, ActorContext, new Member(turn, one, rounds))
        return Effect.onExit(Effect.exit(own), () => rounds.leave)
      },
      { concurrency: "unbounded" }
    )
    return Effect.map(Effect.all([each, rounds.run], { concurrency: "unbounded" }), ([exits]) => exits)
  })

class Rounds {
  /** Those that neither wait nor are over. */
  private active: number
  private waiting: ReadonlyArray<Waiting> = []
  private quiet: ((waiting: ReadonlyArray<Waiting>) => void) | undefined = undefined
  private readonly handle: Handle

  constructor(size: number, handle: Handle) {
    this.active = size
    this.handle = handle
  }

  /** One waits for the handler. */
  join(payload: unknown): Effect.Effect<unknown, unknown> {
    return Effect.callback((resume) => {
      const one: Waiting = { payload, resume }
      this.waiting = [...this.waiting, one]
      this.active--
      this.look()
      return Effect.sync(() => {
        if (!this.waiting.includes(one)) return
        this.waiting = this.waiting.filter((each) => each !== one)
        this.active++
      })
    })
  }

  /** One is over. */
  readonly leave: Effect.Effect<void> = Effect.sync(() => {
    this.active--
    this.look()
  })

  /** Handles those that wait, until all are over. */
  readonly run: Effect.Effect<void> = Effect.suspend(() => this.next)

  private get next(): Effect.Effect<void> {
    const gathered = Effect.callback<ReadonlyArray<Waiting>>((resume) => {
      this.quiet = (waiting) => resume(Effect.succeed(waiting))
      this.look()
    })
    return Effect.flatMap(gathered, (waiting) => {
      if (waiting.length === 0) return Effect.void
      const payloads = waiting.map(({ payload }) => payload)
      const handled = Effect.exit(Effect.suspend(() => this.handle(payloads)))
      return Effect.flatMap(handled, (exit) => {
        waiting.forEach(({ resume }, n) => resume(Exit.map(exit, (answers) => answers?.[n])))
        return this.next
      })
    })
  }

  private look(): void {
    const { quiet, waiting } = this
    if (this.active > 0 || quiet === undefined) return
    this.quiet = undefined
    this.waiting = []
    this.active = waiting.length
    quiet(waiting)
  }
}
