/**
 * The turns of an actor: one message at a time, settled in place where no fiber is needed.
 *
 * Invariants:
 * 1. At most one message is handled at a time, apart from those handled beside on purpose.
 * 2. A fiber exists only while an effect of a message runs; `undefined`, plain values, exits and the engine's own effects
 *    need none.
 * 3. Control goes before messages: kill, stop, then what was to be continued.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { isKept, Own, type Receiver, type Request, Task } from "./envelope.ts"
import { Inbox, LONG } from "./inbox.ts"
import type { Incarnation } from "./incarnation.ts"
import type { Item } from "./mailbox.ts"
import * as State from "./state.ts"
import type { Suspect } from "./suspect.ts"

/** A handler as the engine calls it. @internal */
export type CompiledHandler = (payload: unknown) => unknown

/** @internal */
export type Init = Effect.Effect<ReadonlyArray<CompiledHandler>, unknown>

/** @internal */
export const NO_HANDLERS: ReadonlyArray<CompiledHandler> = []

/**
 * What a slot runs: how an incarnation is made, and what its messages are called.
 *
 * @internal
 */
export interface Program {
  readonly name: string
  readonly tags: ReadonlyArray<string>
  /** Makes the handlers of an incarnation, one per tag, in order. An exit where nothing had to be run. It must not throw. */
  init(incarnation: Incarnation): Init
  /** Whether the protocol declares this failure of this message as a reply. */
  declares(tag: number, error: unknown): boolean
  /** What the protocol says about each message. */
  readonly annotations?: ReadonlyArray<Context.Context<never>>
  /** What is around messages where they are sent from; its refs know what it is. */
  readonly around?: unknown
  /** The places of those below it, where it has some of its own. */
  readonly members?: () => ReadonlyArray<Receiver>
  /** A stop interrupts the message at hand instead of waiting for it. */
  readonly stopInterrupts?: boolean
  /** A kill comes while it stops: ends what it waits for, and is not abandoned before. */
  readonly killStopping?: () => void
}

/**
 * The engine's own effects carry a method under this key: a handler that returns one has it performed in place, without
 * a fiber. It answers whether that was possible.
 *
 * @internal
 */
export const InPlace = "~effect-otp/InPlace"

/** @internal */
export interface Performable {
  [InPlace](actor: Turns, item: Item, payload: unknown): boolean
}

/** A message out of the mailbox. @internal */
export interface Taken {
  readonly item: Item
  readonly payload: unknown
}

/** The number of a message. @internal */
export const tagOf = (item: Item | undefined): number | undefined => (typeof item === "object" ? item.tag : item)

/** @internal */
export abstract class Turns extends Inbox implements Receiver {
  handlers: ReadonlyArray<CompiledHandler> = NO_HANDLERS
  inflight: Request | undefined = undefined
  incarnation: Incarnation | undefined = undefined
  protected continuations: Array<() => unknown> | undefined = undefined

  abstract readonly program: Program
  protected abstract failed(cause: Cause.Cause<unknown>): void
  protected abstract killRequested(): void
  protected abstract stopRequested(): void
  protected abstract drained(): void
  protected abstract paused(): void
  abstract kill(): void

  get isIdle(): boolean {
    return this.state === State.Idle
  }

  /** Whether a message is being handled. */
  get isBusy(): boolean {
    return this.state === State.Running || this.state === State.Suspended
  }

  /** Whether it takes messages now, and will go on to. */
  get isOpen(): boolean {
    if (this.state < State.Idle || this.state > State.Suspended || this.state === State.Paused) return false
    return (this.control & ~State.ContinueRequested) === 0
  }

  /** Whether it was told to take no message after the one at hand. */
  get isToPause(): boolean {
    return (this.control & State.PauseRequested) !== 0
  }

  /** Just started: where that happened in somebody's turn, its own first turn is the next. */
  takeFirstTurn(): void {
    const { dispatcher } = this.system
    if (!dispatcher.isActive || this.state !== State.Idle || this.enqueued) return
    this.state = State.Queued
    this.enqueued = true
    dispatcher.pushNewborn(this)
  }

  /** Its entry in the run queue has come up. */
  run(): number {
    this.enqueued = false
    return this.runAhead()
  }

  /** One turn: messages until none is left, one needs a fiber, or others must get theirs. */
  runAhead(): number {
    if (this.state !== State.Queued) return 0
    this.state = State.Running
    const dispatcher = this.system.dispatcher
    let step = dispatcher.turn
    let limit = step
    let handled = 0
    while (true) {
      if (this.control !== 0 && !this.obey()) return handled + 1
      const item = this.next()
      if (item === undefined) break
      handled++
      if (!this.handle(item, this.payload()) || this.state !== State.Running) return handled
      if (handled === limit) {
        if (!dispatcher.mayContinue(handled)) break
        // Fewer looks at the clock the longer it goes well, so that a fast actor does not pay for slow ones before it.
        step *= 2
        limit += step
      }
    }
    this.endTurn()
    return handled
  }

  /** Whether an ask may be handled on the asker's stack: idle, so nothing it could overtake. */
  get takesHandOff(): boolean {
    return this.state === State.Idle && this.control === 0 && this.admission === undefined && this.system.mayHandOff()
  }

  /** Handles an ask on the asker's stack. */
  handOff(request: Request): void {
    this.state = State.Running
    this.system.dispatcher.inlined++
    this.system.handoffs++
    const settled = this.handle(request, undefined)
    this.system.handoffs--
    if (settled && (this.control === 0 || this.obey())) this.endTurn()
  }

  /**
   * Takes the next message along with the one at hand, if it is of this kind. What comes of it is the taker's to say.
   * Nothing is taken along with a message that is tried again, nor once there are orders.
   */
  takeAlong(tag: number): Taken | undefined {
    while (this.control === 0 && this.admission?.alone !== true && tagOf(this.peek()) === tag) {
      const item = this.next()!
      const payload = this.payload()
      if (this.admission !== undefined) this.admitWaiters(this.admission, item, payload)
      this.system.dispatcher.inlined++
      if (typeof item === "number") return { item, payload }
      if (item.begin(this)) return { item, payload: item.payload }
    }
    return undefined
  }

  /** Gives messages back that were taken along, in order, where they may be handled again. Whether that is so. */
  giveBack(taken: ReadonlyArray<Taken>): boolean {
    const { admission } = this
    if (admission === undefined || admission.redeliver === 0) return false
    // Alone it has shown itself to be the one.
    admission.takeApart(taken.length === 0 ? 0 : taken.length + 1)
    this.putBack(taken)
    return true
  }

  /** Puts messages that had their turn before all others, in order. Nobody gets what nobody waits for any more. */
  putBack(taken: ReadonlyArray<Taken>): void {
    for (const { item, payload } of taken.toReversed()) {
      if (typeof item !== "number") {
        if (item.isOver) {
          item.forwarded()
          continue
        }
        item.unlink()
      }
      this.unshift(item, payload)
      this.admission?.added(this.describe(item, payload))
    }
  }

  /** Work for the very next turn, before anything queued. */
  continueWith(work: () => unknown): void {
    if (this.state >= State.Failing) return
    ;(this.continuations ??= []).push(work)
    this.control |= State.ContinueRequested
    if (this.state === State.Idle) this.wake()
  }

  /**
   * Something of this incarnation failed beside its messages, as what may have crashed it before. `false`: it is failing, or
   * over, already.
   */
  failBeside(
    incarnation: Incarnation,
    cause: Cause.Cause<unknown>,
    item: Item,
    payload: unknown,
    suspect?: Suspect
  ): boolean {
    if (incarnation !== this.incarnation || this.state >= State.Failing) return false
    const fiber = incarnation.fiber
    incarnation.fiber = undefined
    if (suspect !== undefined) this.admission!.suspect = suspect
    this.fail(cause, item, payload)
    fiber?.interruptUnsafe()
    return true
  }

  /** A message is to be handled later: it is not cleared of having crashed the actor before. */
  putsAside(item: Item, payload: unknown): void {
    this.admission?.putAside(item, payload)
  }

  /** The message at hand has crashed it before: what is known of it. */
  get suspect(): Suspect | undefined {
    const suspect = this.admission?.suspect
    return suspect?.state === "tried" ? suspect : undefined
  }

  /** The protocol's own errors are replies, and only looked for when something failed. */
  isDeclared(cause: Cause.Cause<unknown>, item: Item): boolean {
    const reason = cause.reasons.length === 1 ? cause.reasons[0]! : undefined
    // Whoever sent a message that was set aside is answered later: nothing has failed.
    if (reason === undefined || reason._tag !== "Fail") return isKept(item, cause)
    const tag = typeof item === "number" ? item : item.tag
    return tag >= 0 && this.program.declares(tag, reason.error)
  }

  /** `true`: settled, the next message may come. `false`: it waits for a fiber, failed, or is over. */
  private handle(item: Item, payload: unknown): boolean {
    if (this.admission !== undefined) this.admitWaiters(this.admission, item, payload)
    let result: unknown
    try {
      if (typeof item === "number") {
        const handler = this.handlers[item]!
        result = handler(payload)
        if (result === undefined) return true
      } else result = item.deliver(this)
    } catch (defect) {
      return this.settle(Exit.die(defect), item, payload)
    }
    if (typeof result === "object" && result !== null) return this.settleObject(result, item, payload)
    if (typeof item !== "number") item.succeed(result)
    return true
  }

  private settleObject(result: object, item: Item, payload: unknown): boolean {
    if (InPlace in result) {
      if ((result as Performable)[InPlace](this, item, payload)) return true
    } else if (Exit.isExit(result)) return this.settle(result, item, payload)
    else if (isGenerator(result))
      return this.runEffect(
        Effect.gen(() => result),
        item,
        payload
      )
    if (Effect.isEffect(result)) return this.runEffect(result as Effect.Effect<unknown, unknown>, item, payload)
    if (typeof item !== "number") item.succeed(result)
    return true
  }

  private runEffect(effect: Effect.Effect<unknown, unknown>, item: Item, payload: unknown): boolean {
    const incarnation = this.incarnation!
    const fiber = incarnation.run(effect, item, payload)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return this.settleTurn(exit, incarnation)
    this.state = State.Suspended
    incarnation.fiber = fiber
    fiber.addObserver((exit) => this.onFiberExit(incarnation, fiber, exit))
    if ((this.control & State.KillRequested) !== 0) this.kill()
    else if ((this.control & State.StopRequested) !== 0 && this.program.stopInterrupts === true) fiber.interruptUnsafe()
    return false
  }

  private onFiberExit(incarnation: Incarnation, fiber: object, exit: Exit.Exit<unknown, unknown>): void {
    if (incarnation !== this.incarnation || incarnation.fiber !== fiber) return
    incarnation.fiber = undefined
    this.state = State.Running
    if (!this.settleTurn(exit, incarnation)) return
    if (this.control !== 0 && !this.obey()) return
    this.endTurn()
  }

  /** Settles the message that the turn has come to, which need not be the one that it began with. */
  private settleTurn(exit: Exit.Exit<unknown, unknown>, incarnation: Incarnation): boolean {
    const { payload } = incarnation.turn
    return this.settle(exit, incarnation.takeItem(), payload)
  }

  private settle(exit: Exit.Exit<unknown, unknown>, item: Item, payload: unknown): boolean {
    if (exit._tag === "Success") {
      if (typeof item !== "number") item.succeed(exit.value)
      return true
    }
    if (this.isDeclared(exit.cause, item)) {
      if (typeof item !== "number") item.fail(exit as Exit.Exit<never, unknown>)
      return true
    }
    this.fail(exit.cause, item, payload)
    return false
  }

  private fail(cause: Cause.Cause<unknown>, item: Item, payload: unknown): void {
    this.state = State.Failing
    if (!this.holdSuspect(cause, item, payload) && typeof item !== "number") {
      item.undelivered({ _tag: "HandlerFailed", cause })
    }
    const asked = (this.control & State.StopRequested) !== 0 && Cause.hasInterruptsOnly(cause)
    if (this.system.observed && !asked) {
      const { tag } = this.describe(item, payload)
      this.system.emit({ _tag: "ActorFailed", path: this.path, cause, message: tag === "" ? undefined : tag })
    }
    this.failed(cause)
  }

  /** Keeps what crashed the actor for its next incarnation, where that is wanted. */
  private holdSuspect(cause: Cause.Cause<unknown>, item: Item, payload: unknown): boolean {
    const { admission } = this
    if (admission === undefined || admission.redeliver === 0 || item instanceof Own) return false
    if (typeof item !== "number") item.unlink()
    admission.crashed(item, payload, { at: this.system.timers.now(), cause })
    return true
  }

  /** The turn is over: next in line again, or idle. */
  protected endTurn(): void {
    if (this.state !== State.Running) return
    if (!this.isEmpty || (this.control & State.Orders) !== 0) {
      this.rebase()
      this.state = State.Queued
      if (this.size >= LONG) this.system.dispatcher.urge(this)
      if (this.enqueued) return
      this.enqueued = true
      return this.system.dispatcher.resume(this)
    }
    this.emptied()
    this.state = State.Idle
    if (this.isDraining) this.drained()
  }

  /** Whether it was told to take no message from here on. */
  private pauses(): boolean {
    if ((this.control & State.Pauses) === 0) return false
    this.paused()
    return true
  }

  /** Does what it was told to do before its next message. `false`: the turn is over. */
  protected obey(): boolean {
    if ((this.control & State.KillRequested) !== 0) {
      this.killRequested()
      return false
    }
    if ((this.control & State.StopRequested) !== 0) {
      this.stopRequested()
      return false
    }
    const continuations = this.continuations
    if (continuations === undefined) return !this.pauses()
    const next = continuations.shift()!
    if (continuations.length === 0) {
      this.continuations = undefined
      this.control &= ~State.ContinueRequested
    }
    if (!this.handle(new Task(next), undefined) || this.state !== State.Running) return false
    // What was told meanwhile, and what else is to be continued, still goes first.
    return this.control === 0 || this.obey()
  }
}

const isGenerator = (value: object): value is Generator<Effect.Effect<unknown, unknown>, unknown, never> =>
  Symbol.iterator in value && "next" in value && typeof value.next === "function" && !Effect.isEffect(value)
