/**
 * What a consumer and a producer have agreed on: who takes from whom, how much at a time, and what its end means.
 */
import { format } from "effect/Formatter"
import * as Inspectable from "effect/Inspectable"
import * as Schema from "effect/Schema"
import type { ActorRef } from "../actor/ActorRef.ts"
import { isWhole } from "../actor/limit.ts"

/**
 * How a consumer takes events from a producer.
 *
 * @category models
 * @since 0.1.0
 */
export interface SubscribeOptions<in Out = never> {
  /** How many events it has asked for and not handled, at most: a whole number of 1 or more. Default 1,000. */
  readonly maxDemand?: number
  /**
   * It asks again once no more than this many are left to come: from 0, below `maxDemand`. A batch has at most
   * `maxDemand - minDemand` events. Default: half of `maxDemand`.
   */
  readonly minDemand?: number
  /** `manual`: it asks with `Stage.ask`, and gets what is sent as it is sent. Default `automatic`. */
  readonly demand?: "automatic" | "manual"
  /**
   * Whether it ends with the subscription, with the same reason: always (`permanent`, the default), when that was a failure
   * or a kill (`transient`), never (`temporary`). Where a consumer has several that are `permanent`, the orderly end of one is
   * not its own: it takes what the others still have, and ends with the last. A restart of the producer is no end.
   */
  readonly cancel?: "permanent" | "transient" | "temporary"
  /**
   * `at-least-once`: what it has not handled to the end is given back when it crashes or ends, to its next run or to the
   * other consumers; it gets a batch when it has handled the one before. Default `at-most-once`: a batch that crashes it is
   * lost with the message, as any message is.
   */
  readonly delivery?: "at-most-once" | "at-least-once"
  /** The partition to take, where the producer has partitions. */
  readonly partition?: string | number
  /** The events to take, where the producer broadcasts. Default: all. One that throws ends the subscription with that. */
  readonly selector?: (event: Out) => boolean
}

/**
 * Why a producer does not take a subscription.
 *
 * @category errors
 * @since 0.1.0
 */
export class SubscriptionRefused extends Schema.TaggedError<SubscriptionRefused>()("SubscriptionRefused", {
  producer: Schema.String,
  consumer: Schema.String,
  reason: Schema.Literals([
    "no-producer",
    "not-running",
    "subscribed-already",
    "no-broadcast",
    "no-partitions",
    "no-such-partition",
    "partition-taken"
  ]),
  partition: Schema.optionalKey(Schema.Unknown)
}) {
  override get message(): string {
    const who = `${this.consumer} cannot subscribe to ${this.producer}`
    switch (this.reason) {
      case "no-producer":
        return `${who}: it emits nothing, subscribe to a producer or a producer-consumer`
      case "not-running":
        return `${who}: it has ended, or cancelled at once`
      case "subscribed-already":
        return `${who} once more: who broadcasts gives every event to each consumer once`
      case "no-broadcast":
        return `${who} with a selector: it does not broadcast, leave the option selector out or give it dispatcher "broadcast"`
      case "no-partitions":
        return `${who} for one partition: it has no partitions, leave the option partition out or give it a dispatcher with some`
      case "no-such-partition":
        return `${who}: it has no partition ${format(this.partition)}, say which with the option partition`
      case "partition-taken":
        return `${who}: partition ${format(this.partition)} is taken by another consumer`
    }
  }
}

/**
 * A running agreement between a consumer and a producer. It outlives restarts of both.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subscription extends Inspectable.Inspectable {
  readonly producer: ActorRef<unknown>
  readonly consumer: ActorRef<unknown>
  readonly maxDemand: number
  readonly minDemand: number
  readonly demand: "automatic" | "manual"
  readonly cancel: "permanent" | "transient" | "temporary"
  readonly delivery: "at-most-once" | "at-least-once"
  readonly partition: string | number | undefined
}

/** @internal */
export class SubscriptionImpl extends Inspectable.Class implements Subscription {
  readonly producer: ActorRef<unknown>
  readonly consumer: ActorRef<unknown>
  readonly maxDemand: number
  readonly minDemand: number
  readonly demand: "automatic" | "manual"
  readonly cancel: "permanent" | "transient" | "temporary"
  readonly delivery: "at-most-once" | "at-least-once"
  readonly partition: string | number | undefined
  /** That of the run at hand. */
  selector: ((event: unknown) => boolean) | undefined
  /** Why it never came about. */
  refusal: SubscriptionRefused | undefined = undefined

  constructor(consumer: ActorRef<unknown>, producer: ActorRef<unknown>, options: SubscribeOptions) {
    super()
    this.consumer = consumer
    this.producer = producer
    this.maxDemand = options.maxDemand ?? 1_000
    this.minDemand = options.minDemand ?? Math.trunc(this.maxDemand / 2)
    this.demand = options.demand ?? "automatic"
    this.cancel = options.cancel ?? "permanent"
    this.delivery = options.delivery ?? "at-most-once"
    this.partition = options.partition
    this.selector = options.selector as ((event: unknown) => boolean) | undefined
  }

  /** How many events one message may carry. */
  get batchSize(): number {
    return this.demand === "manual" ? Infinity : this.maxDemand - this.minDemand
  }

  /** Whether another one would be the same. */
  isLike(other: SubscriptionImpl): boolean {
    const fields = ["producer", "maxDemand", "minDemand", "demand", "cancel", "delivery", "partition"] as const
    return fields.every((field) => this[field] === other[field])
  }

  toJSON(): unknown {
    const { cancel, consumer, delivery, demand, maxDemand, minDemand, partition, producer } = this
    const ends = { producer: producer.path, consumer: consumer.path }
    return { _id: "Subscription", ...ends, maxDemand, minDemand, demand, cancel, delivery, partition }
  }
}

/**
 * An option of a stage or a subscription that makes no sense. Thrown where it is given; a defect where that is an effect.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidStageOption extends Schema.TaggedError<InvalidStageOption>()("InvalidStageOption", {
  stage: Schema.String,
  field: Schema.String,
  value: Schema.Unknown,
  problem: Schema.String
}) {
  override get message(): string {
    return `the stage ${this.stage}: ${this.field} ${this.problem}, got ${format(this.value)}`
  }
}

const choices = {
  demand: ["automatic", "manual"],
  cancel: ["permanent", "transient", "temporary"],
  delivery: ["at-most-once", "at-least-once"]
} as const

/** Throws for options that no subscription can have. @internal */
export const checkSubscribeOptions = (stage: string, options: SubscribeOptions): void => {
  const { maxDemand = 1_000, minDemand = Math.trunc(maxDemand / 2) } = options
  const refuse = (field: string, value: unknown, problem: string): never => {
    throw new InvalidStageOption({ stage, field, value, problem })
  }
  if (!isWhole(maxDemand, 1)) {
    refuse("maxDemand", maxDemand, "must be a whole number of 1 or more")
  }
  if (!isWhole(minDemand, 0, maxDemand - 1)) {
    refuse("minDemand", minDemand, `must be a whole number from 0 to below maxDemand, which is ${maxDemand}`)
  }
  for (const [field, known] of Object.entries(choices)) {
    const value = options[field as keyof typeof choices]
    if (value !== undefined && !(known as ReadonlyArray<string>).includes(value)) {
      refuse(field, value, `must be one of ${known.join(", ")}`)
    }
  }
  const { selector } = options
  if (selector !== undefined && typeof selector !== "function") refuse("selector", selector, "must be a function")
}
