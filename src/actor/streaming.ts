/**
 * A reply of many values: a bounded queue between the handler's stream, which runs beside the actor's messages, and the
 * consumer. Either side may end it; the producer waits when the consumer is slow.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { format } from "effect/Formatter"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Envelope, type Receiver, type Undelivered } from "../runtime/envelope.ts"
import { ActorContext } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import { fromUndelivered } from "./AskError.ts"
import type { SendOptions } from "./sending.ts"

/** A message that is answered by a stream was answered by something else. Types refuse it; this is for code without types. */
class NotAStream extends Schema.TaggedError<NotAStream>()("NotAStream", {
  actor: Schema.String,
  tag: Schema.String,
  value: Schema.Unknown
}) {
  override get message(): string {
    return `${this.actor} must answer ${this.tag} with a stream, got ${format(this.value)}`
  }
}

/** @internal */
export class StreamRequest extends Envelope {
  /** Hears when nothing of it goes on any more, and why, where it has crashed its actor. */
  onOver: ((why: Undelivered | undefined) => void) | undefined = undefined
  /** Who has it: not always the one it was sent to, which may have given it to another. */
  private taker: Slot | undefined = undefined
  private readonly slot: Slot
  private readonly queue: Queue.Queue<unknown, unknown>
  private pump: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private over = false
  private unlisten: () => void = () => undefined

  constructor(slot: Slot, tag: number, payload: unknown, queue: Queue.Queue<unknown, unknown>) {
    super(tag, payload)
    this.slot = slot
    this.queue = queue
  }

  override get isOver(): boolean {
    return this.over
  }

  override unlink(): void {
    this.unlisten()
  }

  /** A stream is the answer. What else a handler comes to is a machine's turn, which answers now or later. */
  override deliver(to: Receiver): unknown {
    if (this.over) {
      this.tellOver(undefined)
      return undefined
    }
    this.taker = to as Slot
    const incarnation = this.taker.incarnation!
    const isServed = incarnation.busyBeside()
    const unlisten = incarnation.onEnd((exit, restarts) =>
      this.finish(restarts ? { _tag: "Restarting" } : { _tag: "NotRunning", exit })
    )
    this.unlisten = () => {
      unlisten()
      isServed()
    }
    const result = to.handlers[this.tag]!(this.payload)
    if (!Stream.isStream(result)) return result
    this.succeed(result)
    return undefined
  }

  override succeed(stream: unknown): void {
    if (this.over || this.pump !== undefined) return
    const { queue } = this
    const slot = this.taker!
    const incarnation = slot.incarnation!
    if (!Stream.isStream(stream)) {
      const wrong = new NotAStream({ actor: slot.path, tag: slot.program.tags[this.tag]!, value: stream })
      return void slot.failBeside(incarnation, Cause.die(wrong), this, undefined)
    }
    const pumping = Stream.runForEach(stream as Stream.Stream<unknown, unknown>, (value) => Queue.offer(queue, value))
    this.pump = incarnation.runBeside(pumping, this, undefined)
    this.pump.addObserver((exit) => {
      this.unlink()
      if (!this.over && Exit.isFailure(exit) && !slot.isDeclared(exit.cause, this)) {
        const why = { _tag: "HandlerFailed", cause: exit.cause } as const
        this.tellOver(why)
        this.finish(why)
        slot.failBeside(incarnation, exit.cause, this, undefined)
        return
      }
      this.tellOver(undefined)
      if (this.over) return
      if (Exit.isFailure(exit)) return this.fail(Exit.failCause(exit.cause))
      this.over = true
      Queue.endUnsafe(queue as never)
    })
  }

  override fail(exit: Exit.Exit<never, unknown>): void {
    if (this.over) return
    this.over = true
    this.unlink()
    Queue.failCauseUnsafe(this.queue, (exit as Exit.Failure<never, never>).cause)
    if (this.pump === undefined) this.tellOver(undefined)
  }

  override undelivered(why: Undelivered): boolean {
    this.finish(why)
    return true
  }

  /** The consumer has gone: the producer is interrupted, and its finalizers run before this completes. */
  readonly cancel: Effect.Effect<void> = Effect.suspend(() => {
    this.over = true
    this.unlink()
    if (this.pump !== undefined) return Fiber.interrupt(this.pump)
    this.tellOver(undefined)
    return Effect.void
  })

  private tellOver(why: Undelivered | undefined): void {
    const over = this.onOver
    this.onOver = undefined
    over?.(why)
  }

  private finish(why: Undelivered): void {
    if (this.over) return
    this.fail(Exit.fail(fromUndelivered(this.slot.path, this.slot.program.tags[this.tag]!, this.payload, why)))
  }
}

/** A stream of replies; each run of it sends the message anew. @internal */
export const stream = (
  slot: Slot,
  tag: number,
  payload: unknown,
  options: SendOptions
): Stream.Stream<unknown, unknown> =>
  Stream.unwrap(
    Effect.withFiber((fiber) =>
      Effect.gen(function* () {
        const queue = yield* Queue.bounded<unknown, unknown>(options.buffer)
        const request = new StreamRequest(slot, tag, payload, queue)
        request.id = options.id === 0 ? slot.system.nextId() : options.id
        request.priority = options.priority
        request.span = fiber.cache.span
        const turn = Context.getOrUndefined(fiber.context as Context.Context<never>, ActorContext)
        request.sender = turn?.incarnation.host.path
        request.correlationId = options.correlationId
        yield* Effect.addFinalizer(() => request.cancel)
        if (slot.offer(request, undefined) === "full") {
          yield* Effect.callback<void>((resume) =>
            Effect.sync(slot.waitForRoom({ item: request, payload: undefined, settled: () => resume(Effect.void) }))
          )
        }
        return Stream.fromQueue(queue)
      })
    )
  ) as Stream.Stream<unknown, unknown>
