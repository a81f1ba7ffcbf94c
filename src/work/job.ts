/**
 * A message on its way through a router: in the router's queue, or with a member. It stands for the message that it is made of,
 * and knows when the member is done with it, however that ends and whether or not somebody still waits for the reply.
 *
 * Invariants:
 * 1. A member has it from `begun` of its members until exactly one of: answered, given back, told why not.
 * 2. It is given to one member only. What is tried again is another job with the same source.
 * 3. Through routers that are members of routers it is a job of a job: what happens to the inner one happens to the outer one.
 */
import * as Exit from "effect/Exit"
import { StreamRequest } from "../actor/streaming.ts"
import { DEFAULT_PRIORITY, Envelope, type Receiver, Request, type Undelivered } from "../runtime/envelope.ts"
import type { Item } from "../runtime/mailbox.ts"
import { keepShape } from "../runtime/shapes.ts"
import type { Crash } from "../runtime/suspect.ts"
import type { Member } from "./members.ts"

/** Who sends jobs. @internal */
export interface Sender {
  /** A member begins with it. */
  begun(job: Job): void
  /** The member has put it back, and may begin with it once more. */
  setAside(job: Job): void
  /** The member that had it is done with it. */
  done(job: Job): void
  /** A member could not, or did not, do it. `true`: it is taken back, to be given to somebody. */
  takeBack(job: Job, why: Undelivered): boolean
  /** It was not taken back, and nobody was told. `true`: that it is lost has been recorded. */
  giveUp(job: Job, why: Undelivered): boolean
}

const NEVER = -1
const CLOSED: Exit.Exit<never> = Exit.interrupt()
const NO_CRASHES: ReadonlyArray<Crash> = []

/** @internal */
export class Job extends Request {
  /** Which message of its sender it is: those that are given back are given on in this order. */
  order = 0
  /** Who has it. */
  member: Member | undefined = undefined
  /** Monotonic milliseconds: when it came, and when a member began with it. */
  arrivedAt = NEVER
  begunAt = NEVER
  hasBegun = false
  /** Where messages of one key stay together: that key. */
  key: string | number | undefined = undefined
  /** Members that it has crashed. */
  crashes: ReadonlyArray<Crash> = NO_CRASHES
  protected source: Envelope | undefined
  private readonly from: Sender

  constructor(from: Sender, tag: number, payload: unknown, source: Envelope | undefined) {
    super(tag, payload)
    this.from = from
    this.source = source
  }

  static of(from: Sender, item: Item, payload: unknown): Job {
    if (typeof item === "number") return new Job(from, item, payload, undefined)
    if (item instanceof StreamRequest) return new StreamJob(from, item, item)
    return item instanceof StreamJob
      ? new StreamJob(from, item, item.stream)
      : new Job(from, item.tag, item.payload, item)
  }

  /** The same message, to be given to somebody once more. */
  again(crashes: ReadonlyArray<Crash>): Job {
    const job = Job.of(this.from, this.source ?? this.tag, this.payload)
    job.crashes = crashes
    job.key = this.key
    job.order = this.order
    job.arrivedAt = this.arrivedAt
    return job
  }

  /** Whether it can be done again after it was begun. */
  get isRepeatable(): boolean {
    return true
  }

  /** What is the same however often it is given to somebody; a plain tell that is given again is not. */
  get message(): object {
    return this.source ?? this
  }

  override get asked(): Request | undefined {
    return this.source?.asked
  }

  /** Whether this is what its member has crashed on. */
  isCrash(why: Undelivered): boolean {
    return this.hasBegun || why._tag === "HandlerFailed"
  }

  override get isOver(): boolean {
    return this.exit !== undefined || this.source?.isOver === true
  }

  override deadline(): number {
    return this.source === undefined ? Infinity : this.source.deadline()
  }

  override begin(to: Receiver): boolean {
    if (this.exit !== undefined) return false
    if (this.isOver) {
      this.forwarded()
      return false
    }
    if (!this.hasBegun) this.started()
    return super.begin(to)
  }

  private started(): void {
    this.hasBegun = true
    this.from.begun(this)
    if (this.source instanceof Job && !this.source.hasBegun) this.source.started()
  }

  /** A member that puts it back, to go on with it later, has not begun with it. */
  override unlink(): void {
    super.unlink()
    if (this.exit === undefined) this.setAside()
  }

  private setAside(): void {
    this.hasBegun = false
    this.from.setAside(this)
    if (this.source instanceof Job) this.source.setAside()
  }

  /** Another actor answers it, or nobody waits for it: this member is done. */
  override forwarded(): void {
    if (this.exit !== undefined) return
    this.close()
    this.source?.forwarded()
  }

  override undelivered(why: Undelivered): boolean {
    if (this.exit !== undefined) return true
    const told = this.from.takeBack(this, why) || this.source?.undelivered(why) === true || this.from.giveUp(this, why)
    if (this.exit === undefined) this.close()
    return told
  }

  /** No member has it any more. */
  private close(): void {
    this.exit = CLOSED
    this.unlink()
    this.from.done(this)
  }

  protected settled(): void {
    const { source } = this
    if (source instanceof Request && source.exit === undefined) source.settle(this.exit!)
    this.from.done(this)
  }

  protected undeliveredExit(): Exit.Exit<never, unknown> {
    return CLOSED
  }

  static {
    // What a message is marked with, it is marked with as a job: read through, since most have no marks to copy.
    const mark = (name: "priority" | "correlationId" | "span" | "sender", none: unknown): PropertyDescriptor => ({
      get(this: Job) {
        return this.source === undefined ? none : this.source[name]
      }
    })
    Object.defineProperties(this.prototype, {
      priority: mark("priority", DEFAULT_PRIORITY),
      correlationId: mark("correlationId", undefined),
      span: mark("span", undefined),
      sender: mark("sender", undefined),
      id: {
        get(this: Job) {
          return this.source === undefined ? 0 : this.source.id
        },
        set(this: Job, id: number) {
          this.source ??= new Envelope(this.tag, this.payload)
          this.source.id = id
        }
      }
    })
  }
}

/** A member has it until its last reply. */
class StreamJob extends Job {
  readonly stream: StreamRequest

  constructor(from: Sender, source: Envelope, stream: StreamRequest) {
    super(from, source.tag, source.payload, source)
    this.stream = stream
  }

  override get isRepeatable(): boolean {
    return false
  }

  override deliver(to: Receiver): unknown {
    if (!this.begin(to)) return undefined
    this.stream.onOver = (why) => (why === undefined ? this.forwarded() : this.undelivered(why))
    return this.stream.deliver(to)
  }

  override unlink(): void {
    super.unlink()
    this.stream.unlink()
  }

  // What its handler comes to is the stream, not the end of it.
  override succeed(stream: unknown): void {
    this.source!.succeed(stream)
  }

  override fail(exit: Exit.Exit<never, unknown>): void {
    this.source!.fail(exit)
  }
}

keepShape(new Job(undefined as never, 0, undefined, undefined))
