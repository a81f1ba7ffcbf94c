/**
 * What can be said of a pool before it runs, and what is wrong with it.
 */
import type * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import type { MailboxOptions } from "../actor/Behavior.ts"
import { isBehavior } from "../actor/Behavior.ts"
import { isWhole, parseMillis } from "../actor/limit.ts"
import { OVERFLOWS } from "../runtime/admission.ts"
import type { Flaw, Options as SupervisedOptions } from "../supervision/ChildSpec.ts"
import type { Intensity } from "../supervision/Intensity.ts"
import * as Autoscale from "./Autoscale.ts"
import type { Route } from "./routes.ts"
import type { Scaling } from "./scaling.ts"

/**
 * What waits for a member: bounds, and what happens when they are met, as for a mailbox. Here `capacity` may be 0: what no member
 * can take at once is refused. Where messages of one key stay together, each member has a queue with these bounds.
 *
 * @category models
 * @since 0.1.0
 */
export interface QueueOptions extends Pick<
  MailboxOptions,
  "capacity" | "bytes" | "sizeOf" | "overflow" | "highWater" | "priority"
> {}

/**
 * How many members there are, who gets what, and how each member is kept alive: `restart`, `shutdown`, `startTimeout`,
 * `onFailure`, `backoff` and `report` hold for every member, as for a child of `Supervisor.make`. Everything has a default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<A, E> extends Omit<
  SupervisedOptions<E>,
  "id" | "when" | "significant" | "ready" | "needs" | "provides"
> {
  /** Unique among its siblings. Default: the actor's key. */
  readonly id?: string
  /**
   * How many members: a whole number of 1 or more, or between which bounds and by which load. Default: as many as
   * `PartitionSupervisor.DefaultPartitions`, the machine's cores.
   */
  readonly size?: number | Scaling
  /** Who gets a message. Default `least-loaded`. */
  readonly route?: Route<A>
  /**
   * Messages a member has at a time, at hand and in its mailbox; a whole number of 1 or more, or `Infinity`. More than 1 is for
   * members with concurrent or batched handlers, or a stash. Default 1, and any number where messages of one key stay together.
   */
  readonly concurrency?: number
  /** What waits for a member. Default: any number of messages. */
  readonly queue?: QueueOptions
  /**
   * How often a message whose member crashed or was killed while it had it is given to one again. Whoever asked goes on waiting,
   * as long as the ask allows. What its handler had done by then is done twice. Default 0: the asker is told. A tell that
   * was tried again in vain is a dead letter, `Poisoned`. A stream is never tried again. What a member that crashes has not begun with
   * is not lost, whatever this says.
   */
  readonly retries?: number
  /**
   * How long a member may take for one message before it is killed and started anew, once it has let go of what it holds. Default: as
   * long as it likes.
   */
  readonly killAfter?: Duration.Input
  /** How many restarts, over all members, in how much time. One more, and the pool ends. Default: 1 within 5 seconds. */
  readonly intensity?: Intensity
}

/** What is wrong with options that came from untyped code. @internal */
export const flawOf = (behavior: unknown, options: Options<never, never>): Flaw | undefined => {
  if (!isBehavior(behavior)) return { field: "behavior", value: behavior, problem: "must be a behavior" }
  return sizeFlaw(options.size) ?? routeFlaw(options.route) ?? queueFlaw(options.queue) ?? countFlaw(options)
}

const sizeFlaw = (size: unknown): Flaw | undefined => {
  if (size === undefined || isWhole(size, 1)) return undefined
  if (typeof size !== "object" || size === null) {
    return { field: "size", value: size, problem: "must be a whole number of 1 or more, or { min, max }" }
  }
  const made = Autoscale.make(size as Scaling)
  if (Result.isSuccess(made)) return undefined
  const { field, problem, value } = made.failure
  return { field: `size.${field}`, value, problem }
}

const ROUTES = ["least-loaded", "round-robin", "random", "shorter-of-two"]

/** @internal */
export const routeFlaw = (route: unknown): Flaw | undefined => {
  if (route === undefined || ROUTES.includes(route as string)) return undefined
  const keyed = (typeof route === "object" ? route : null) as { readonly [field: string]: unknown } | null
  if (typeof (keyed?.["hash"] ?? keyed?.["sticky"]) !== "function") {
    return { field: "route", value: route, problem: `must be one of ${ROUTES.join(", ")}, { hash } or { sticky }` }
  }
  const keys = keyed?.["keys"]
  if (keys === undefined || isWhole(keys, 1)) return undefined
  return { field: "route.keys", value: keys, problem: "must be a whole number of 1 or more" }
}

const queueFlaw = (queue: unknown): Flaw | undefined => {
  if (queue === undefined) return undefined
  if (typeof queue !== "object" || queue === null) {
    return { field: "queue", value: queue, problem: "must be an object such as { capacity: 100 }" }
  }
  const { bytes, capacity, overflow } = queue as QueueOptions
  if (capacity !== undefined && capacity !== Infinity && !isWhole(capacity, 0)) {
    return { field: "queue.capacity", value: capacity, problem: "must be a whole number of 0 or more, or Infinity" }
  }
  if (overflow !== undefined && !OVERFLOWS.includes(overflow)) {
    return { field: "queue.overflow", value: overflow, problem: `must be one of ${OVERFLOWS.join(", ")}` }
  }
  if (capacity === 0 && (overflow === undefined || overflow === "suspend")) {
    return { field: "queue.overflow", value: overflow, problem: "must be another than suspend where nothing may wait" }
  }
  if (bytes === undefined || bytes > 0) return undefined
  return { field: "queue.bytes", value: bytes, problem: "must be above 0" }
}

const countFlaw = ({ concurrency, killAfter, retries }: Options<never, never>): Flaw | undefined => {
  if (concurrency !== undefined && concurrency !== Infinity && !isWhole(concurrency, 1)) {
    return { field: "concurrency", value: concurrency, problem: "must be a whole number of 1 or more, or Infinity" }
  }
  if (retries !== undefined && retries !== Infinity && !isWhole(retries, 0)) {
    return { field: "retries", value: retries, problem: "must be a whole number of 0 or more, or Infinity" }
  }
  if (killAfter === undefined || (parseMillis(killAfter) ?? 0) > 0) return undefined
  return { field: "killAfter", value: killAfter, problem: "must be a duration above 0" }
}
