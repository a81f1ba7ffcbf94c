/**
 * Several copies of one behavior, each responsible for a share of the keys: more of it can go on at once, and one crash
 * concerns one share.
 *
 * A key always leads to the same partition, whose ref outlives restarts. Whole numbers go by their remainder, without sign;
 * anything else by its hash, so that values that are equal to Effect's `Equal` share a partition.
 *
 * **Example** (Counting words in four places)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, PartitionSupervisor, Supervisor } from "effect-otp"
 *
 * class Counter extends Actor.Service<Counter>()("docs/Counter", { Number: { success: Schema.Int } }) {}
 * class Counters extends PartitionSupervisor.Service<Counters>()("docs/Counters", Counter) {}
 * const CounterLive = Counter.behavior((partition: number) => Counter.sync(() => Counter.of({ Number: () => partition })))
 *
 * const Tree = Supervisor.make("words", { children: [Counters.child(CounterLive, { partitions: 4 })] })
 * const program = Effect.gen(function*() {
 *   const counter = yield* Counters.at(7)
 *   return yield* counter.ask.Number()
 * })
 * await Effect.runPromise(program.pipe(Effect.provide(Supervisor.layer(Tree)))) // => 3
 * ```
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import * as Schema from "effect/Schema"
import type { ActorRef } from "../actor/ActorRef.ts"
import { type Behavior, isBehavior, withArgs } from "../actor/Behavior.ts"
import { type ChildSpec, type Flaw, ofBehavior, ofSupervisor, type Options, type SpecImpl } from "./ChildSpec.ts"
import type { Intensity } from "./Intensity.ts"
import type { SupervisorNode } from "./node.ts"
import type { Strategy } from "./Strategy.ts"

/**
 * There is no partition of this number: they are counted from 0 to `count` - 1.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSuchPartition extends Schema.TaggedError<NoSuchPartition>()("NoSuchPartition", {
  path: Schema.String,
  partition: Schema.Number,
  count: Schema.Int
}) {
  override get message(): string {
    return `${this.path} has partitions 0 to ${this.count - 1}, and no ${this.partition}`
  }
}

/**
 * The partitions of one behavior.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape<A, Req = never> {
  /** The partition that is responsible for a key. */
  readonly at: (key: unknown) => Effect.Effect<ActorRef<A>, never, Req>
  /** The partition of this number, from 0. */
  readonly partition: (partition: number) => Effect.Effect<ActorRef<A>, NoSuchPartition, Req>
  /** All partitions, by number. */
  readonly all: Effect.Effect<ReadonlyArray<ActorRef<A>>, never, Req>
  /** How many partitions there are. */
  readonly count: Effect.Effect<number, never, Req>
}

/**
 * How many partitions there are, and how they are kept alive.
 *
 * @category models
 * @since 0.1.0
 */
export interface PartitionOptions<E> extends Omit<
  Options<E>,
  "id" | "when" | "significant" | "ready" | "needs" | "provides"
> {
  /** Default: as many as the machine has cores. */
  readonly partitions?: number
  /** Default `one-for-one`. */
  readonly strategy?: Strategy
  /** How many restarts, over all partitions, in how much time. Default: 1 within 5 seconds. */
  readonly intensity?: Intensity
}

/**
 * A partition supervisor class: the service key of its partitions, the same calls on the ones in scope, and the maker of its
 * child spec.
 *
 * @category models
 * @since 0.1.0
 */
export interface Class<Self, A> extends Context.Key<Self, Shape<A>>, Shape<A, Self> {
  new (_: never): {}
  /** The supervisor as a child of a tree; each partition is started with its number. */
  child<E, R>(behavior: Behavior<A, number, E, R>, options?: PartitionOptions<E>): ChildSpec<Self, E, R>
}

/**
 * Defines a partition supervisor:
 * `class Shards extends PartitionSupervisor.Service<Shards>()("app/Shards", Counter) {}`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <A>(id: string, _actor: Context.Key<A, ActorRef<A>>): Class<Self, A> => {
    const base = Context.Service<Self, Shape<A>>()(id)
    return Object.assign(base, {
      at: (key: unknown) => Effect.flatMap(base, (partitions) => partitions.at(key)),
      partition: (partition: number) => Effect.flatMap(base, (partitions) => partitions.partition(partition)),
      all: Effect.flatMap(base, (partitions) => partitions.all),
      count: Effect.flatMap(base, (partitions) => partitions.count),
      child: (behavior: Template, options: PartitionOptions<never> = {}) => specOf(id, behavior, options)
    }) as unknown as Class<Self, A>
  }

type Template = Behavior<unknown, number, unknown, unknown>

const specOf = (id: string, behavior: Template, options: PartitionOptions<never>): SpecImpl => {
  const { intensity, partitions = cores(), strategy, ...each } = options
  const flaw = flawOf(behavior, partitions, options)
  const one = (partition: number) => ofBehavior(withArgs(behavior, partition), { ...each, id: `${partition}` }, false)
  const group = {
    ...(strategy === undefined ? undefined : { strategy }),
    ...(intensity === undefined ? undefined : { intensity }),
    children: flaw === undefined ? Array.from({ length: partitions }, (_, partition) => one(partition)) : []
  }
  return ofSupervisor(id, group, { flaw, provides: { key: id, make: (node: SupervisorNode) => new Partitions(node) } })
}

const flawOf = (behavior: unknown, partitions: unknown, options: object): Flaw | undefined => {
  if (!isBehavior(behavior)) return { field: "behavior", value: behavior, problem: "must be a behavior" }
  if (!Number.isInteger(partitions) || (partitions as number) < 1) {
    return { field: "partitions", value: partitions, problem: "must be a whole number of 1 or more" }
  }
  const { autoShutdown = "never", significant = false } = options as Record<string, unknown>
  if (autoShutdown !== "never") {
    return { field: "autoShutdown", value: autoShutdown, problem: 'must be "never" where partitions are equals' }
  }
  if (significant === false) return undefined
  return { field: "significant", value: significant, problem: "must be false where partitions are equals" }
}

const cores = (): number => Math.max(1, globalThis.navigator?.hardwareConcurrency ?? 1)

class Partitions implements Shape<unknown> {
  private readonly node: SupervisorNode
  private readonly refs: ReadonlyArray<ActorRef<unknown>>

  constructor(node: SupervisorNode) {
    this.node = node
    this.refs = Array.from(node.children.values(), (child) => child.slot.ref as ActorRef<unknown>)
  }

  readonly at = (key: unknown) => Effect.sync(() => this.refs[indexOf(key, this.refs.length)]!)

  readonly partition = (partition: number) =>
    Effect.suspend(() => {
      const ref = this.refs[partition]
      if (ref !== undefined) return Effect.succeed(ref)
      return Effect.fail(new NoSuchPartition({ path: this.node.path, partition, count: this.refs.length }))
    })

  readonly all = Effect.sync(() => this.refs)
  readonly count = Effect.sync(() => this.refs.length)
}

/** Which of `count` partitions a key leads to. */
const indexOf = (key: unknown, count: number): number => {
  if (typeof key === "bigint") return Number((key < 0n ? -key : key) % BigInt(count))
  const number = Number.isInteger(key) ? (key as number) : Hash.hash(key)
  return Math.abs(number) % count
}
