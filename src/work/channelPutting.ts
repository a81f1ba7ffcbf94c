/**
 * The writing side of a channel, as effects: one item, or several that go in together or not at all.
 */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { keepShape } from "../runtime/shapes.ts"
import type { Core } from "./channelCore.ts"
import { type Closed, Full, type TooLarge } from "./channelErrors.ts"
import { limitOf, type LimitOption } from "./channelReading.ts"
import type { Entry } from "./channelTypes.ts"
import { Attempt, type Wait } from "./channelWaiting.ts"

type Failure = Closed | TooLarge | Full

/** Why it cannot be put, now or later. */
const refusal = <A, C>(core: Core<A, C>, count: number, bytes: number): Exit.Exit<never, Failure> | undefined => {
  if (core.closed !== undefined) return Exit.fail(core.closedError())
  const impossible = core.impossible(count, bytes)
  return impossible === undefined ? undefined : Exit.fail(impossible)
}

/** Waits for room. `append` is called when it is there, in the step that ends the wait. */
class Room<A, C, B> implements Wait<B, Failure> {
  readonly limit: number | undefined
  readonly amount: number
  private readonly bytes: number
  private readonly core: Core<A, C>
  private readonly append: () => B

  constructor(core: Core<A, C>, limit: number | undefined, amount: number, bytes: number, append: () => B) {
    this.core = core
    this.limit = limit
    this.amount = amount
    this.bytes = bytes
    this.append = append
  }

  ready(): boolean {
    const { amount, bytes, core } = this
    return core.hasRoom(amount, bytes) || refusal(core, amount, bytes) !== undefined
  }

  attempt(): Exit.Exit<B, Failure> | undefined {
    const { amount, bytes, core } = this
    return refusal(core, amount, bytes) ?? (core.hasRoom(amount, bytes) ? Exit.succeed(this.append()) : undefined)
  }

  onLimit(): Exit.Exit<B, Failure> {
    const { bytes, capacity, maxBytes, puts, queue, settings } = this.core
    const state = { depth: queue.length, capacity, bytes, maxBytes, waiting: puts.size }
    const data = { channel: settings.name, wanted: this.amount, ...state, waited: this.limit! }
    return Exit.fail(new Full(data, { disableChecks: true }))
  }
}

/** Whether it can be put without passing over somebody who waits. */
const isFree = <A, C>(core: Core<A, C>, count: number, bytes: number): boolean =>
  core.puts.size === 0 && core.closed === undefined && core.hasRoom(count, bytes)

class PutOne<A, C> extends Attempt<Entry, Failure> {
  private readonly core: Core<A, C>
  private readonly item: A
  private readonly limit: number | undefined

  constructor(core: Core<A, C>, item: A, limit: number | undefined) {
    super()
    this.core = core
    this.item = item
    this.limit = limit
  }

  attempt(): Exit.Exit<Entry, Failure> | undefined {
    const { core, item } = this
    const bytes = core.sizeOf(item)
    return isFree(core, 1, bytes) ? Exit.succeed(core.append(item, bytes)) : refusal(core, 1, bytes)
  }

  wait(): Effect.Effect<Entry, Failure> {
    const { core, item, limit } = this
    const bytes = core.sizeOf(item)
    return core.puts.wait(new Room(core, limit, 1, bytes, () => core.append(item, bytes)))
  }
}

class PutAll<A, C> extends Attempt<ReadonlyArray<Entry>, Failure> {
  private readonly core: Core<A, C>
  private readonly items: ReadonlyArray<A>
  private readonly limit: number | undefined

  constructor(core: Core<A, C>, items: ReadonlyArray<A>, limit: number | undefined) {
    super()
    this.core = core
    this.items = items
    this.limit = limit
  }

  attempt(): Exit.Exit<ReadonlyArray<Entry>, Failure> | undefined {
    const { core, items } = this
    if (items.length === 0) return Exit.succeed([])
    const sizes = core.sizesOf(items)
    const bytes = sum(sizes)
    if (isFree(core, items.length, bytes)) return Exit.succeed(core.appendAll(items, sizes))
    return refusal(core, items.length, bytes)
  }

  wait(): Effect.Effect<ReadonlyArray<Entry>, Failure> {
    const { core, items, limit } = this
    const sizes = core.sizesOf(items)
    return core.puts.wait(new Room(core, limit, items.length, sum(sizes), () => core.appendAll(items, sizes)))
  }
}

const sum = (sizes: ReadonlyArray<number> | undefined): number => {
  let total = 0
  if (sizes !== undefined) for (const size of sizes) total += size
  return total
}

/** @internal */
export const makePuts = <A, C>(core: Core<A, C>) => ({
  put: (item: A, options?: LimitOption) =>
    new PutOne(core, item, limitOf(core, "put", options)) as unknown as Effect.Effect<Entry, Failure>,
  putAll: (items: Iterable<A>, options?: LimitOption) => {
    const effect = new PutAll(core, Array.from(items), limitOf(core, "putAll", options))
    return effect as unknown as Effect.Effect<ReadonlyArray<Entry>, Failure>
  }
})

keepShape(new PutOne(undefined as never, undefined, undefined))
keepShape(new PutAll(undefined as never, [], undefined))
keepShape(new Room(undefined as never, undefined, 0, 0, () => undefined))
