/**
 * A reply of many values: a bounded queue between the handler's stream, which runs beside the actor's messages, and the
 * consumer. Either side may end it; the producer waits when the consumer is slow.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { Envelope, type Receiver, type Undelivered } from "../runtime/envelope.ts"
import { ActorContext } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import { fromUndelivered } from "./AskError.ts"
import type { SendOptions } from "./sending.ts"

/** @internal */
export class StreamRequest extends Envelope {
  /** Hears when nothing of it goes on any more, and why, where it has crashed its actor. */
  onOver: ((why: Undelivered | undefined) => void) | undefined = undefined
  private readonly slot: Slot
  private readonly queue: Queue.Queue<unknown, unknown>
  private pump: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private over = false

  constructor(slot: Slot, tag: number, payload: unknown, queue: Queue.Queue<unknown, unknown>) {
    super(tag, payload)
    this.slot = slot
    this.queue = queue
  }

  override deliver(to: Receiver): unknown {
    if (this.over) {
      this.tellOver(undefined)
      return undefined
    }
    const stream = to.handlers[this.tag]!(this.payload) as Stream.Stream<unknown, unknown>
    const { queue } = this
    // Not always the one it was sent to: that may have given it to another.
    const slot = to as Slot
    const incarnation = slot.incarnation!
    const unlisten = incarnation.onEnd((exit, restarts) =>
      this.finish(restarts ? { _tag: "Restarting" } : { _tag: "NotRunning", exit })
    )
    const pumping = Stream.runForEach(stream, (value) => Queue.offer(queue, value))
    this.pump = incarnation.runBeside(pumping, this, undefined)
    this.pump.addObserver((exit) => {
      unlisten()
      if (!this.over && Exit.isFailure(exit) && !slot.isDeclared(exit.cause, this)) {
        const why = { _tag: "HandlerFailed", cause: exit.cause } as const
        this.tellOver(why)
        this.finish(why)
        slot.failBeside(incarnation, exit.cause, this, undefined)
        return
      }
      this.tellOver(undefined)
      if (this.over) return
      this.over = true
      if (Exit.isSuccess(exit)) Queue.endUnsafe(queue as never)
      else Queue.failCauseUnsafe(queue, exit.cause as never)
    })
    return undefined
  }

  override get isWithdrawn(): boolean {
    return this.over
  }

  override undelivered(why: Undelivered): boolean {
    this.finish(why)
    return true
  }

  /** The consumer has gone: the producer is interrupted, and its finalizers run before this completes. */
  readonly cancel: Effect.Effect<void> = Effect.suspend(() => {
    this.over = true
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
    this.over = true
    const error = fromUndelivered(this.slot.path, this.slot.program.tags[this.tag]!, this.payload, why)
    Queue.failCauseUnsafe(this.queue, (Exit.fail(error) as Exit.Failure<never, unknown>).cause)
    if (this.pump === undefined) this.tellOver(undefined)
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
