/**
 * What waits in a mailbox besides plain tells.
 *
 * A plain tell is stored as two words, its message number and its payload, and allocates nothing. Whatever needs more, a
 * reply, a span, a priority, an id, is an `Envelope`: one object that knows how it is delivered and how it is answered.
 */
import type * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import type { ExitReason } from "./ExitReason.ts"

/** Priority of a message that names none. @internal */
export const DEFAULT_PRIORITY = 128

/**
 * The side of an actor that an envelope sees.
 *
 * @internal
 */
export interface Receiver {
  readonly path: string
  readonly handlers: ReadonlyArray<(payload: unknown) => unknown>
  /** Asks taken by this incarnation and not answered yet, as an intrusive list. */
  inflight: Request | undefined
}

/**
 * Why a request will never be answered.
 *
 * @internal
 */
export type Undelivered =
  | { readonly _tag: "NotRunning"; readonly exit: ExitReason }
  | { readonly _tag: "Restarting" }
  | { readonly _tag: "HandlerFailed"; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "MailboxFull"; readonly capacity: number; readonly waited: number | undefined }
  | { readonly _tag: "NoMembers" }
  | { readonly _tag: "Timeout"; readonly after: number }
  | { readonly _tag: "AskedItself" }

/**
 * What a sender says about a message besides its payload.
 *
 * @internal
 */
export interface Marks {
  readonly priority: number
  readonly correlationId: string | undefined
  readonly span: Tracer.AnySpan | undefined
  readonly sender: string | undefined
}

/**
 * Marks are rare, so they stand on the prototype until one is set: an envelope without them is small.
 *
 * @internal
 */
export class Envelope implements Marks {
  readonly tag: number
  readonly payload: unknown
  declare id: number
  declare priority: number
  declare correlationId: string | undefined
  declare span: Tracer.AnySpan | undefined
  declare sender: string | undefined

  static {
    Object.assign(this.prototype, {
      id: 0,
      priority: DEFAULT_PRIORITY,
      correlationId: undefined,
      span: undefined,
      sender: undefined
    })
  }

  constructor(tag: number, payload: unknown) {
    this.tag = tag
    this.payload = payload
  }

  /** What is to be answered; `undefined`: it was told. */
  get asked(): Request | undefined {
    return undefined
  }

  /** Monotonic milliseconds at which nobody waits for the outcome any more. */
  deadline(): number {
    return Infinity
  }

  /** Nobody waits for the outcome any more, or it is known. A tell has none. */
  get isOver(): boolean {
    return false
  }

  /** Leaves the actor that has it: it is answered, or handled by another run or actor. */
  unlink(): void {}

  /** The actor takes it: from here on it is answered, or told why not. `false`: nobody waits for it any more. */
  begin(_to: Receiver): boolean {
    return true
  }

  /** Gives the message to the actor; the result is settled by the caller. `undefined`: nothing to do. */
  deliver(to: Receiver): unknown {
    return to.handlers[this.tag]!(this.payload)
  }

  /** The handler's answer; a tell has nobody to give it to. */
  succeed(_value: unknown): void {}

  /** The actor that has it is done with it without an answer: it gave it to another, or nobody waits any more. */
  forwarded(): void {}

  /** A failure that the protocol declares as a reply. */
  fail(_exit: Exit.Exit<never, unknown>): void {}

  /** Nobody will answer. `true` when this told somebody, so that it is no dead letter. */
  undelivered(_why: Undelivered): boolean {
    return false
  }
}

/**
 * A message that is answered. Settles once: reply, declared error, or the reason why no reply will come.
 *
 * @internal
 */
export abstract class Request extends Envelope {
  target: Receiver | undefined = undefined
  exit: Exit.Exit<unknown, unknown> | undefined = undefined
  /** Somebody is told of its outcome, and it is with an actor. As marks, on the prototype until it is so. */
  declare isHeard: boolean
  private before: Request | undefined = undefined
  private after: Request | undefined = undefined

  static {
    Object.assign(this.prototype, { isHeard: false })
  }

  override get asked(): Request | undefined {
    return this
  }

  /** The one that the same actor took before it, and has not answered either. */
  get next(): Request | undefined {
    return this.after
  }

  /** Called once, when the outcome is known. */
  protected abstract settled(): void
  protected abstract undeliveredExit(why: Undelivered): Exit.Exit<never, unknown>

  override get isOver(): boolean {
    return this.exit !== undefined
  }

  override begin(to: Receiver): boolean {
    if (this.exit !== undefined) return false
    this.link(to)
    return true
  }

  override deliver(to: Receiver): unknown {
    return this.begin(to) ? to.handlers[this.tag]!(this.payload) : undefined
  }

  override succeed(value: unknown): void {
    if (this.exit === undefined) this.settle(Exit.succeed(value))
  }

  override fail(exit: Exit.Exit<never, unknown>): void {
    if (this.exit === undefined) this.settle(exit)
  }

  /** Another actor answers it: what its handler comes to is no answer. Properties of this one, so that others need not look. */
  handedOn(): void {
    this.succeed = this.fail = () => undefined
    this.undelivered = () => true
  }

  /** Whether another actor answers it. */
  get isHandedOn(): boolean {
    return Object.hasOwn(this, "undelivered")
  }

  override undelivered(why: Undelivered): boolean {
    if (this.exit === undefined) this.settle(this.undeliveredExit(why))
    return true
  }

  settle(exit: Exit.Exit<unknown, unknown>): void {
    this.exit = exit
    this.unlink()
    this.settled()
  }

  private link(to: Receiver): void {
    this.target = to
    this.after = to.inflight
    if (this.after !== undefined) this.after.before = this
    to.inflight = this
  }

  override unlink(): void {
    if (this.target === undefined) return
    if (this.before !== undefined) this.before.after = this.after
    else this.target.inflight = this.after
    if (this.after !== undefined) this.after.before = this.before
    this.before = this.after = this.target = undefined
  }
}

/**
 * What an actor gives itself. Nobody sent it: the rules of the mailbox do not count it, it is never given up for another, and
 * it is no dead letter.
 *
 * @internal
 */
export class Own extends Envelope {
  override undelivered(): boolean {
    return true
  }
}

/**
 * What concerns the actor and not one of its runs: a restart that gives up messages keeps it.
 *
 * @internal
 */
export class Lasting extends Own {}

/**
 * Work that the actor does in a turn of its own: a notice, the outcome of something started beside.
 *
 * @internal
 */
export class Task extends Lasting {
  private readonly work: () => unknown
  constructor(work: () => unknown) {
    super(-1, undefined)
    this.work = work
  }
  override deliver(_to: Receiver): unknown {
    return this.work()
  }
}

/**
 * Stands for a message that is no longer the one at hand: it has been kept, or what is done now is nobody's message.
 *
 * @internal
 */
export const SET_ASIDE: Task = new Task(() => undefined)

/**
 * The defect that ends the handler of a message that was set aside: nothing of it is to be settled.
 *
 * @internal
 */
export const KEPT: unique symbol = Symbol("effect-otp/kept")

/** Whether a message was set aside by its handler, which did nothing wrong besides. @internal */
export const isKept = (item: unknown, cause: Cause.Cause<unknown>): boolean =>
  item === SET_ASIDE && cause.reasons.every((reason) => reason._tag === "Die" && reason.defect === KEPT)
