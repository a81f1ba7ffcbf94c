/**
 * The reading side of a channel, as effects: for readers that joined, and for whoever takes without being one.
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Stream from "effect/Stream"
import { isWhole, limitMillis } from "../actor/limit.ts"
import { keepShape } from "../runtime/shapes.ts"
import type { Core, Member } from "./channelCore.ts"
import { type Closed, Empty, InvalidOption } from "./channelErrors.ts"
import { Node } from "./channelList.ts"
import type { Control, Delivery, Limit, Reader } from "./channelTypes.ts"
import { Attempt, step, type Wait } from "./channelWaiting.ts"

/** @internal */
export type LimitOption = Limit<Duration.Input> | undefined

/** Milliseconds; undefined where there is no limit. @internal */
export const limitOf = <A, C>(core: Core<A, C>, call: string, options: LimitOption): number | undefined =>
  options === undefined ? undefined : limitMillis(`within of ${call} of ${core.settings.name}`, options.within)

class Delivered<A> implements Delivery<A> {
  readonly item: A
  readonly deliveries: number
  readonly waited: number
  private readonly core: Core<A, unknown>
  private readonly member: Member<A, unknown>
  private readonly node: Node<A>

  constructor(core: Core<A, unknown>, member: Member<A, unknown>, node: Node<A>) {
    this.item = node.item
    this.deliveries = node.deliveries
    this.waited = core.latency.last
    this.core = core
    this.member = member
    this.node = node
  }

  get _tag(): "Delivery" {
    return "Delivery"
  }

  /** It may have been given back, and delivered to the same reader again. */
  private get isCurrent(): boolean {
    return this.node.list === this.member.held && this.node.deliveries === this.deliveries
  }

  toJSON(): unknown {
    const { _tag, deliveries, item, waited } = this
    return { _tag, item, deliveries, waited }
  }

  [NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  /** Whether the answer counted. */
  answer(answer: "ack" | "reject" | Cause.Cause<unknown>): boolean {
    const { core, isCurrent, member, node } = this
    if (!isCurrent) return false
    if (answer === "ack") core.acknowledge(member, node)
    else if (answer === "reject") core.reject(member, node)
    else core.giveBack(member, node, answer)
    return true
  }

  get ack(): Effect.Effect<boolean> {
    return new Answering(this as never, "ack") as never
  }

  get nack(): Effect.Effect<boolean> {
    return new Answering(this as never, Cause.empty) as never
  }

  get reject(): Effect.Effect<boolean> {
    return new Answering(this as never, "reject") as never
  }

  settle(exit: Exit.Exit<unknown, unknown>): Effect.Effect<boolean> {
    return new Answering(this as never, Exit.isSuccess(exit) ? "ack" : exit.cause) as never
  }
}

const YES = Exit.succeed(true)
const NO = Exit.succeed(false)

/** An answer to a delivery, which is known to count or not in the step in which it is given. */
class Answering extends Attempt<boolean, never> {
  private readonly delivery: Delivered<never>
  private readonly answer: "ack" | "reject" | Cause.Cause<unknown>

  constructor(delivery: Delivered<never>, answer: "ack" | "reject" | Cause.Cause<unknown>) {
    super()
    this.delivery = delivery
    this.answer = answer
  }

  attempt(): Exit.Exit<boolean> {
    return this.delivery.answer(this.answer) ? YES : NO
  }

  wait(): Effect.Effect<never> {
    return Effect.never
  }
}

/** Who takes: a reader, or nobody in particular. @internal */
export class Side<A, C> {
  readonly core: Core<A, C>
  readonly member: Member<A, C> | undefined
  hasLeft = false

  constructor(core: Core<A, C>, member?: Member<A, C>) {
    this.core = core
    this.member = member
  }

  /** Why nothing will come any more, if that is so. */
  get end(): Exit.Exit<never, Closed> | undefined {
    if (this.hasLeft) return Exit.fail(this.core.closedError("left"))
    return this.core.hasEnded(this.member) ? Exit.fail(this.core.closedError()) : undefined
  }

  get hasItems(): boolean {
    return this.core.queue.length > 0 && !this.hasLeft
  }
}

/** What a take hands out of the node that it took, and whether that is acknowledged with it. */
interface Give<A, C, B> {
  readonly acknowledged: boolean
  readonly of: (side: Side<A, C>, node: Node<A>) => B
}

const asItem: Give<unknown, unknown, unknown> = {
  acknowledged: true,
  of: (_side, node) => {
    const { item } = node
    // Nobody comes back to it: whoever still has its entry need not keep it.
    node.item = undefined
    return item
  }
}

const asDelivery: Give<unknown, unknown, Delivered<unknown>> = {
  acknowledged: false,
  of: ({ core, member }, node) => new Delivered(core, member!, node)
}

const takeFrom = <A, C, B>(side: Side<A, C>, give: Give<A, C, B>, now: number): B =>
  give.of(side, side.core.shift(side.member, give.acknowledged, now))

/** Takes at once, unless what is there is meant for those who have waited longer, and is not its own; or waits. */
const takeOrWait = <A, C, B>(
  side: Side<A, C>,
  limit: number | undefined,
  amount: number,
  available: () => boolean,
  attempt: () => Exit.Exit<B, Closed> | undefined,
  isOwn?: () => boolean
): Effect.Effect<B, Closed | Empty> => {
  const { core } = side
  const { queue, takes } = core
  const onLimit = () => {
    const data = { channel: core.settings.name, wanted: amount, depth: queue.length, waited: limit! }
    return Exit.fail(new Empty(data, { disableChecks: true }))
  }
  const ready = () => side.hasLeft || available() || core.hasEnded(side.member)
  const wait: Wait<B, Closed | Empty> = { amount, ready, attempt, limit, onLimit }
  return step(
    () => (queue.length === 0 || takes.spares(queue.length, amount) || isOwn?.() ? attempt() : undefined),
    () => takes.wait(wait)
  )
}

const takeOne = <A, C, B>(side: Side<A, C>, give: Give<A, C, B>, limit: number | undefined) =>
  takeOrWait(
    side,
    limit,
    1,
    () => side.hasItems,
    () => (side.hasItems ? Exit.succeed(takeFrom(side, give, side.core.now())) : side.end)
  )

const takeMany = <A, C, B>(
  side: Side<A, C>,
  give: Give<A, C, B>,
  call: string,
  min: number,
  max: number,
  options: LimitOption
): Effect.Effect<ReadonlyArray<B>, Closed | Empty> => {
  const { core } = side
  const limit = limitOf(core, call, options)
  const invalid = (option: string, value: number, problem: string) =>
    new InvalidOption({ channel: core.settings.name, option: `${option} of ${call}`, value, problem })
  if (!isWhole(min, 1)) throw invalid("min", min, "must be a whole number of 1 or more")
  if (!((Number.isInteger(max) || max === Infinity) && max >= min)) {
    throw invalid("max", max, `must be a whole number of ${min} or more, as min is, or Infinity`)
  }
  // What came back stands before all that has not been delivered.
  const isAlone = () => !give.acknowledged && core.isSuspect
  const enough = () => {
    const { length } = core.queue
    if (length >= Math.min(min, core.capacity) || isAlone()) return true
    return length > 0 && (core.closed !== undefined || core.puts.isStuck)
  }
  return takeOrWait(side, limit, min, enough, () => {
    if (side.hasLeft || !enough()) return side.end
    const taken: Array<B> = []
    const now = core.now()
    const most = isAlone() ? 1 : max
    while (taken.length < most && core.queue.length > 0) taken.push(takeFrom(side, give, now))
    return Exit.succeed(taken)
  })
}

/** The calls that read and acknowledge in one go. @internal */
export const makeGets = <A, C>(side: Side<A, C>) => {
  const give = asItem as Give<A, C, A>
  const get = takeOne(side, give, undefined)
  return {
    get: (options?: LimitOption) =>
      options === undefined ? get : takeOne(side, give, limitOf(side.core, "get", options)),
    getBetween: (min: number, max: number, options?: LimitOption) =>
      takeMany(side, give, "getBetween", min, max, options)
  }
}

const receiveFrom = <A, C>(side: Side<A, Control<C>>, limit: number | undefined) => {
  const { core } = side
  const member = side.member!
  const isMarked = () => core.markFor(member) !== undefined
  const available = () => side.hasItems || isMarked()
  const attempt = (): Exit.Exit<Delivery<A> | Control<C>, Closed> | undefined => {
    const mark = side.hasLeft ? undefined : core.markFor(member)
    if (mark !== undefined) {
      member.seen = mark
      return Exit.succeed(mark.control)
    }
    if (!side.hasItems) return side.end
    return Exit.succeed(takeFrom(side, asDelivery as Give<A, Control<C>, Delivery<A>>, core.now()))
  }
  return takeOrWait(side, limit, 1, available, attempt, isMarked)
}

/** One by one, until the end. */
const streamOf = <A, B>(take: Effect.Effect<B, Closed>, give: (taken: B) => A) =>
  Stream.fromPull(
    Effect.succeed(
      Effect.matchEffect(take, {
        onSuccess: (taken): Effect.Effect<[A]> => Effect.succeed([give(taken)]),
        onFailure: () => Cause.done()
      })
    )
  )

/** @internal */
export const makeReader = <A, C>(side: Side<A, Control<C>>, member: Member<A, Control<C>>): Reader<A, C> => {
  const give = asDelivery as Give<A, Control<C>, Delivered<A>>
  const { core } = side
  const take = takeOne(side, give, undefined) as Effect.Effect<Delivered<A>, Closed>
  const reader = {
    name: member.name,
    node: member.node,
    ...makeGets(side),
    take: (options?: LimitOption) =>
      options === undefined ? take : takeOne(side, give, limitOf(core, "take", options)),
    takeBetween: (min: number, max: number, options?: LimitOption) =>
      takeMany(side, give, "takeBetween", min, max, options),
    receive: (options?: LimitOption) => receiveFrom(side, limitOf(core, "receive", options)),
    use: <B, E, R>(f: (item: A, delivery: Delivery<A>) => Effect.Effect<B, E, R>) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(take), (delivery) =>
          Effect.onExit(restore(Effect.suspend(() => f(delivery.item, delivery))), (exit) => delivery.settle(exit))
        )
      ),
    stream: Stream.unwrap(processed(take)),
    deliveries: streamOf(take, (delivery): Delivery<A> => delivery)
  }
  // A call without a limit never fails for want of time.
  return reader as never
}

/** The items one by one, each acknowledged when the next is asked for. */
const processed = Effect.fnUntraced(function* <A>(take: Effect.Effect<Delivered<A>, Closed>) {
  let current: Delivered<A> | undefined
  yield* Effect.addFinalizer((exit) => (current === undefined ? Effect.void : current.settle(exit)))
  const acknowledge = Effect.suspend(() => {
    const before = current
    current = undefined
    return before === undefined ? Effect.void : before.ack
  })
  const next = Effect.map(Effect.andThen(acknowledge, take), (delivery) => (current = delivery))
  return streamOf(next, ({ item }) => item)
})

keepShape(new Answering(undefined as never, "ack"))
keepShape(new Delivered({ latency: { last: 0 } } as never, undefined as never, new Node(undefined, 0, 0, 0)))
