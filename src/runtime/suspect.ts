/**
 * A message that has crashed its actor and is given to the next incarnation once more, so many times and no more.
 */
import type * as Cause from "effect/Cause"
import type { Item } from "./mailbox.ts"

/**
 * One crash of an actor by a message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Crash {
  /** Monotonic milliseconds. */
  readonly at: number
  readonly cause: Cause.Cause<unknown>
}

/** @internal */
export class Suspect {
  readonly item: Item
  readonly payload: unknown
  readonly crashes: Array<Crash> = []
  /**
   * `held` until it is known whether there is a next incarnation, `queued` for it, then `tried`; `aside` where that put it off
   * until later.
   */
  state: "held" | "queued" | "tried" | "aside" = "held"

  constructor(item: Item, payload: unknown) {
    this.item = item
    this.payload = payload
  }

  is(item: Item, payload: unknown): boolean {
    return this.item === item && this.payload === payload
  }
}
