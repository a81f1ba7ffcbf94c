/**
 * Several copies of one behavior, each responsible for a share of the keys: more of it can go on at once, and one crash
 * concerns one share.
 *
 * A key always leads to the same partition, whose ref outlives restarts. Whole numbers go by their remainder, without sign;
 * anything else by its hash, so that values that are equal to Effect's `Equal` share a partition. Texts, numbers, and plain
 * data made of them lead to the same place in every run of the program; instances of classes and functions need not.
 *
 * The partitions are the children "0", "1" and so on of a supervisor that has the id of the service: they are counted, read
 * and managed through its handle, `root.supervisor(id)`, as any others. One is as good as another, so none is significant.
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
import type { ChildSpec, Flaw, Options, SpecImpl, SupervisorTarget } from "./ChildSpec.ts"
import { ofBehavior, ofSupervisor } from "./ChildSpec.ts"
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
  /** The partition that is responsible for a key: any value. It is given also while it is restarted, or stopped. */
  readonly at: (key: unknown) => Effect.Effect<ActorRef<A>, never, Req>
  /** The partition of this number, from 0. Fails where there is none. */
  readonly partition: (partition: number) => Effect.Effect<ActorRef<A>, NoSuchPartition, Req>
  /** All partitions, by number. */
  readonly all: Effect.Effect<ReadonlyArray<ActorRef<A>>, never, Req>
  /** How many partitions there are. */
  readonly count: Effect.Effect<number, never, Req>
}

/**
 * How many partitions there are where their supervisor does not say: a whole number of 1 or more. Default: as many as the
 * machine has cores. It is read where the tree is started.
 *
 * **Example** (Two of each)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, PartitionSupervisor, Supervisor } from "effect-otp"
 *
 * class Cache extends Actor.Service<Cache>()("docs/Cache", { Size: { success: Schema.Int } }) {}
 * class Caches extends PartitionSupervisor.Service<Caches>()("docs/Caches", Cache) {}
 * const CacheLive = Cache.behavior(Effect.sync(() => Cache.of({ Size: () => 0 })))
 * const Tree = Supervisor.make("app", { children: [Caches.child(CacheLive)] })
 *
 * const program = Caches.count.pipe(
 *   Effect.provide(Supervisor.layer(Tree)),
 *   Effect.provideService(PartitionSupervisor.DefaultPartitions, 2)
 * )
 * await Effect.runPromise(program) // => 2
 * ```
 *
 * @category references
 * @since 0.1.0
 */
export const DefaultPartitions: Context.Reference<number> = Context.Reference<number>(
  "effect-otp/PartitionSupervisor/DefaultPartitions",
  { defaultValue: () => Math.max(1, globalThis.navigator?.hardwareConcurrency ?? 1) }
)

/**
 * How many partitions there are, and how each is kept alive: `restart`, `shutdown`, `startTimeout`, `onFailure`, `backoff`
 * and `report` hold for every one of them, as for a child of `Supervisor.make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface PartitionOptions<E> extends Omit<
  Options<E>,
  "id" | "when" | "significant" | "ready" | "needs" | "provides"
> {
  /** A whole number of 1 or more. Default: `DefaultPartitions`, as many as the machine has cores. */
  readonly partitions?: number
  /** Who is restarted with a partition that failed. Default `one-for-one`: nobody. */
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
  /**
   * The supervisor as a child of a tree. Each partition is started with its number, if it takes an argument. Options that
   * make no sense are an `InvalidSpec` before anything of the tree is started.
   */
  child<E, R>(
    behavior: Behavior<A, number, E, R> | Behavior<A, void, E, R>,
    options?: PartitionOptions<E>
  ): ChildSpec<Self, E, R>
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
  const { partitions } = options
  if (partitions !== undefined) return sized(id, behavior, options, partitions)
  const resolve = (services: Context.Context<never>) =>
    sized(id, behavior, options, Context.get(services, DefaultPartitions))
  return sized(id, behavior, options, 1, resolve)
}

const sized = (
  id: string,
  behavior: Template,
  options: PartitionOptions<never>,
  count: number,
  resolve?: SupervisorTarget["resolve"]
): SpecImpl => {
  const { intensity, partitions: _, strategy, ...each } = options
  const flaw = flawOf(behavior, count, options)
  const one = (partition: number) => ofBehavior(withArgs(behavior, partition), { ...each, id: `${partition}` }, false)
  const group = {
    ...(strategy === undefined ? undefined : { strategy }),
    ...(intensity === undefined ? undefined : { intensity }),
    children: flaw === undefined ? Array.from({ length: count }, (_, partition) => one(partition)) : []
  }
  const make = (node: SupervisorNode) => new Partitions(node)
  return ofSupervisor(id, group, { flaw, provides: { key: id, make }, resolve })
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

class Partitions implements Shape<unknown> {
  private readonly node: SupervisorNode
  /** What the refs were made of: a new configuration is another spec. */
  private spec: SpecImpl
  private known: ReadonlyArray<ActorRef<unknown>>

  constructor(node: SupervisorNode) {
    this.node = node
    this.spec = node.spec
    this.known = refsOf(node)
  }

  private get refs(): ReadonlyArray<ActorRef<unknown>> {
    if (this.node.spec === this.spec) return this.known
    this.spec = this.node.spec
    this.known = refsOf(this.node)
    return this.known
  }

  readonly at = (key: unknown) =>
    Effect.sync(() => {
      const { refs } = this
      return refs[indexOf(key, refs.length)]!
    })

  readonly partition = (partition: number) =>
    Effect.suspend(() => {
      const { refs } = this
      const ref = Number.isInteger(partition) ? refs[partition] : undefined
      if (ref !== undefined) return Effect.succeed(ref)
      return Effect.fail(new NoSuchPartition({ path: this.node.path, partition, count: refs.length }))
    })

  readonly all = Effect.sync(() => this.refs)
  readonly count = Effect.sync(() => this.refs.length)
}

/** Kept from then on: the place of a partition is its own also where it has ended and been forgotten. */
const refsOf = ({ children, spec }: SupervisorNode): ReadonlyArray<ActorRef<unknown>> =>
  (spec.target as SupervisorTarget).children.flatMap(
    ({ id }) => (children.get(id)?.slot.ref as ActorRef<unknown>) ?? []
  )

/** Which of `count` partitions a key leads to. */
const indexOf = (key: unknown, count: number): number => {
  if (typeof key === "bigint") return Number((key < 0n ? -key : key) % BigInt(count))
  const number = Number.isInteger(key) ? (key as number) : Hash.hash(key)
  return Math.abs(number) % count
}
