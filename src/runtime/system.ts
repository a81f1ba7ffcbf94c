/**
 * What the actors of one program share: the run queue, the timers, the dead letters, the events.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import { DeadLetters, type DeadLetterReason, type Recipient } from "./DeadLetters.ts"
import { defaultSliceLimits, Dispatcher, type SliceLimits } from "./dispatcher.ts"
import type { SystemEvent } from "./SystemEvent.ts"
import { Timers } from "./timers.ts"

/**
 * How a system behaves. Everything has a default.
 *
 * @category models
 * @since 0.1.0
 */
export interface SystemOptions {
  /** How long an ask waits when it says nothing else, in milliseconds. Default 5,000. */
  readonly askTimeout?: number
  /** How much work is done before others get their turn. */
  readonly slice?: Partial<SliceLimits>
  /** What is around all messages where they are sent from; refs know what it is. */
  readonly around?: unknown
}

/**
 * An actor that is watched for being busy too long, and what with.
 *
 * @internal
 */
export interface Busy {
  readonly path: string
  readonly tag: string
  readonly since: number
  isStuck(now: number): boolean
}

const HANDOFF_DEPTH = 16

/** @internal */
export class System {
  readonly dispatcher: Dispatcher
  readonly timers: Timers
  readonly context: Context.Context<never>
  readonly askTimeout: number
  readonly around: unknown
  readonly letters = new DeadLetters()
  /** Whether any sender has ever marked a conversation, so that tells need to look for one to carry on. */
  correlates = false
  /** Asks that run on the asker's stack are nested at most this deep. */
  handoffs = 0
  /** Actors that were killed and still hold resources, with the time of the kill. */
  readonly zombies = new Map<object, { readonly path: string; readonly since: number }>()
  /** Those that are watched for being busy too long. */
  readonly busy = new Set<Busy>()
  private lastId = 0
  private listeners: ReadonlyArray<(event: SystemEvent) => void> = []
  private readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

  constructor(context: Context.Context<never>, options: SystemOptions = {}) {
    this.context = context
    this.askTimeout = options.askTimeout ?? 5_000
    this.around = options.around
    const clock = Context.get(context, Clock.Clock)
    const scheduler = Context.get(context, Scheduler.Scheduler)
    this.fork = Effect.runForkWith(context)
    this.dispatcher = new Dispatcher(scheduler.makeDispatcher(), clock, { ...defaultSliceLimits, ...options.slice })
    this.timers = new Timers(clock, this.fork)
  }

  runFork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return this.fork(effect)
  }

  mayHandOff(): boolean {
    return this.handoffs < HANDOFF_DEPTH
  }

  nextId(): number {
    return ++this.lastId
  }

  /** Whether building an event is worth it. */
  get observed(): boolean {
    return this.listeners.length > 0
  }

  emit(event: SystemEvent): void {
    for (const listener of this.listeners) listener(event)
  }

  /** Those who want to know each actor that comes up, and not only its path. */
  readonly arrivals = new Set<(actor: object) => void>()

  /** Returns how to stop listening. */
  listen(listener: (event: SystemEvent) => void): () => void {
    this.listeners = [...this.listeners, listener]
    return () => {
      this.listeners = this.listeners.filter((each) => each !== listener)
    }
  }

  deadLetter(
    place: Recipient,
    recipient: string,
    tag: string,
    payload: unknown,
    sender: string | undefined,
    reason: DeadLetterReason
  ): void {
    const letter = { recipient, tag, payload, sender, reason }
    this.letters.add(letter, place)
    if (this.observed) this.emit({ _tag: "DeadLetter", ...letter })
  }
}
