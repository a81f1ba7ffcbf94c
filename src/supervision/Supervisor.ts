/**
 * Starts, watches, restarts and stops children in order. A tree is a value; running it is a Layer or an Effect.
 *
 * Children start one after another in listed order and stop in reverse. When one fails, its `onFailure` says what the
 * failure means, its `restart` type whether it comes back, the supervisor's `strategy` who else is restarted with it, and
 * `intensity` how often that may happen before the supervisor gives up and leaves it to its own parent.
 *
 * **Example** (A counter that survives its crashes)
 *
 * ```ts import.meta.vitest
 * import { Effect, Ref, Schema } from "effect"
 * import { Actor, Supervisor } from "effect-otp"
 *
 * class Counter extends Actor.Service<Counter>()("docs/Counter", {
 *   Increment: { success: Schema.Int },
 *   Crash: {}
 * }) {}
 *
 * const CounterLive = Counter.behavior(Effect.gen(function*() {
 *   const count = yield* Ref.make(0)
 *   return Counter.of({
 *     Increment: () => Ref.updateAndGet(count, (n) => n + 1),
 *     Crash: () => Effect.die("boom")
 *   })
 * }))
 *
 * const Tree = Supervisor.make("app", { children: [CounterLive] })
 *
 * const program = Effect.gen(function*() {
 *   const counter = yield* Counter
 *   yield* counter.ask.Increment()
 *   yield* counter.tell.Crash()
 *   return yield* counter.ask.Increment()
 * })
 * await Effect.runPromise(program.pipe(Effect.provide(Supervisor.layer(Tree)))) // => 1
 * ```
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as ActorSystem from "../actor/ActorSystem.ts"
import type { Behavior } from "../actor/Behavior.ts"
import { stopSlot } from "../actor/stopping.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import type { Owner, Slot } from "../runtime/slot.ts"
import * as Spec from "./ChildSpec.ts"
import type { ChildSpec, Options, SupervisorOptions } from "./ChildSpec.ts"
import { Escalated, type InvalidSpec, RestartIntensityExceeded, StartFailed, TreeEnded } from "./errors.ts"
import { lint as lintSpec } from "./lint.ts"
import type { Lint } from "./lintModel.ts"
import { SupervisorNode } from "./node.ts"
import { RefImpl, type SupervisorRef } from "./SupervisorRef.ts"
import { Tree } from "./tree.ts"
import { problemOf, validate as validateSpec } from "./validate.ts"

export type { ChildSpec, Options, Report, Settings, SupervisorOptions } from "./ChildSpec.ts"
export type { Directive, OnFailure } from "./Directive.ts"
export {
  ChildConflict,
  ChildNotFound,
  Escalated,
  InvalidSpec,
  RestartIntensityExceeded,
  StartFailed,
  StartTimeout,
  SupervisorNotRunning,
  TreeEnded
} from "./errors.ts"
export type { AutoShutdown } from "./AutoShutdown.ts"
export type { ChildState, Failure } from "./childState.ts"
export type { Budget, Intensity } from "./Intensity.ts"
export type {
  EndsAt,
  Finding,
  FindingCode,
  FindingSeverity,
  Lint,
  LintedBackoff,
  LintedSupervisor
} from "./lintModel.ts"
export type { Restart } from "./Restart.ts"
export type { Strategy } from "./Strategy.ts"
export type { ChildStatus, Counts } from "./status.ts"
export type { SupervisorRef } from "./SupervisorRef.ts"

// --- Specs ---

/**
 * Anything that can stand in a list of children.
 *
 * @category models
 * @since 0.1.0
 */
export type Child = ChildSpec<unknown, unknown, unknown> | Behavior<unknown, void, unknown, unknown>

type Out<C> =
  C extends ChildSpec<infer O, infer _E, infer _R>
    ? O
    : C extends Behavior<infer O, infer _A, infer _E, infer _R>
      ? O
      : never
type Err<C> =
  C extends ChildSpec<infer _O, infer E, infer _R>
    ? E
    : C extends Behavior<infer _O, infer _A, infer E, infer _R>
      ? E
      : never
type Req<C> =
  C extends ChildSpec<infer _O, infer _E, infer R>
    ? R
    : C extends Behavior<infer _O, infer _A, infer _E, infer R>
      ? R
      : never

/**
 * What a list of children still needs: a child may use the actors listed before it.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Needs<C, Have = never, Missing = never> = C extends readonly [infer Head, ...infer Tail]
  ? Needs<Tail, Have | Out<Head>, Missing | Exclude<Req<Head>, Have>>
  : C extends readonly []
    ? Missing
    : Missing | (C extends ReadonlyArray<infer Item> ? Req<Item> : never)

/**
 * A supervisor and its children. It is a child spec itself, so supervisors nest.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const C extends ReadonlyArray<Child>, R = never>(
  id: string,
  options: SupervisorOptions<C, R>
): ChildSpec<Out<C[number]>, Err<C[number]>, Needs<C> | NoInfer<R>> => Spec.ofSupervisor(id, options as never) as never

/**
 * A supervisor whose children say what they need from each other, by `needs` and `provides`. They start in that order,
 * whatever the order of the list, stop in reverse, and when one fails those that need it, and only those, are restarted
 * with it (strategy `rest-for-one`, the default here). A circle is an `InvalidSpec`.
 *
 * **Example** (The pool needs the database)
 *
 * ```ts import.meta.vitest
 * import { Context, Effect, Layer } from "effect"
 * import { Supervisor } from "effect-otp"
 *
 * const log: Array<string> = []
 * class Db extends Context.Service<Db, string>()("docs/Db") {}
 * class Pool extends Context.Service<Pool, string>()("docs/Pool") {}
 * const DbLive = Layer.effect(Db, Effect.sync(() => (log.push("db"), "db")))
 * const PoolLive = Layer.effect(Pool, Effect.map(Db, (db) => (log.push("pool"), `pool of ${db}`)))
 *
 * const Infra = Supervisor.graph("infra", {
 *   children: [
 *     Supervisor.service("pool", PoolLive, { needs: [Db], provides: [Pool] }),
 *     Supervisor.service("db", DbLive, { provides: [Db] })
 *   ]
 * })
 * await Effect.runPromise(Effect.provide(Pool, Supervisor.layer(Infra))) // => "pool of db"
 * log // => ["db", "pool"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const graph = <const C extends ReadonlyArray<Child>, R = never>(
  id: string,
  options: SupervisorOptions<C, R>
): ChildSpec<Out<C[number]>, Err<C[number]>, Exclude<Req<C[number]>, Out<C[number]>> | NoInfer<R>> =>
  Spec.ofSupervisor(id, { strategy: "rest-for-one", ...options } as never, { graph: true }) as never

/**
 * An actor as a child, with its options. A behavior alone stands for a child with all defaults.
 *
 * @category constructors
 * @since 0.1.0
 */
export const child = <A, E, R, R2 = never>(
  behavior: Behavior<A, void, E, R>,
  options?: Options<E, R2>
): ChildSpec<A, E, R | NoInfer<R2>> => Spec.ofBehavior(behavior as never, (options ?? {}) as never) as never

/**
 * A plain long-running effect as a child. Its success is a normal end, which only a permanent child is restarted after;
 * to stop it, it is interrupted.
 *
 * @category constructors
 * @since 0.1.0
 */
export const effect = <A, E, R, R2 = never>(
  id: string,
  run: Effect.Effect<A, E, R>,
  options?: Omit<Options<E, R2>, "id">
): ChildSpec<never, E, Exclude<R, Scope.Scope> | NoInfer<R2>> =>
  Spec.ofEffect(id, run as never, (options ?? {}) as never) as never

/**
 * A Layer as a child: built anew, with a memo of its own, at each start, and released at each end. Children listed after
 * it may use its services; under `rest-for-one` they are restarted with it and get the new ones. Who takes a service
 * outside the tree keeps the instance of that time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const service = <A, E, R, R2 = never>(
  id: string,
  layer: Layer.Layer<A, E, R>,
  options?: Omit<Options<E, R2>, "id">
): ChildSpec<A, E, R | NoInfer<R2>> => Spec.ofLayer(id, layer as never, (options ?? {}) as never) as never

/**
 * Checks a tree without starting anything: ids, numbers, durations, names of options.
 *
 * @category running
 * @since 0.1.0
 */
export const validate = <O, E, R>(tree: ChildSpec<O, E, R>): Effect.Effect<void, InvalidSpec> =>
  Effect.contextWith((services: Context.Context<never>) => validateSpec(Spec.resolved(Spec.toSpec(tree), services)))

/**
 * Reads a tree without starting it, and tells what its supervisors bear, and what in it contradicts itself or is likely to
 * surprise: `supervisors` by path with their figures, `findings` by path with a code and what to do. As a text it is a table
 * for people. Never fails: what `validate` refuses is among the findings, all of it at once.
 *
 * The figures are for failures that are answered by a restart. Where each of them comes one right after the other, the
 * budgets of supervisors above multiply (R19). Schedules of backoffs are asked for their first delays, with time and chance
 * held still; where these depend on the failure or on the time they are unknown, and nothing is said about them.
 *
 * **Example** (A budget that ends before the delays grow)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Backoff, Supervisor } from "effect-otp"
 *
 * const backoff = Backoff.exponential({ min: "1 second", max: "1 minute" })
 * const Tree = Supervisor.make("app", {
 *   intensity: { restarts: 3, within: "1 minute" },
 *   children: [Supervisor.make("feeds", { children: [Supervisor.effect("news", Effect.never, { backoff })] })]
 * })
 *
 * const lint = Supervisor.lint(Tree)
 * lint.findings.map(({ code, path }) => `${path}: ${code}`) // => ["app/feeds/news: backoff-cut-short"]
 * lint.supervisors[1]!.endsAt // => [{ path: "app/feeds", failures: 2 }, { path: "app", failures: 8 }]
 * const [header, app, feeds] = `${lint}`.split("\n")
 * header // => "supervisor  children  strategy     restarts     sustained  ends at failure  stops within"
 * app // => "app         1         one-for-one  3 within 1m  < 3/min    4                5s"
 * feeds // => "└─ feeds    1         one-for-one  1 within 5s  < 12/min   2, app at 8      5s"
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const lint = <O, E, R>(tree: ChildSpec<O, E, R>): Lint => {
  const given = Spec.toSpec(tree)
  return lintSpec(typeof given === "object" && given !== null ? rooted(given) : given)
}

// --- Running ---

/** The root's owner: nobody above decides, so every end is for good. */
class Root implements Owner {
  node!: SupervisorNode
  onFailure(): "stop" {
    return "stop"
  }
  onEnded(slot: Slot, reason: ExitReason.ExitReason): void {
    this.node.finishChildren(reason)
    slot.finish(reason)
  }
}

/** A tree that is one child alone, or that may be left out, is looked after by a supervisor of its own. */
const rooted = (spec: Spec.SpecImpl): Spec.SpecImpl =>
  spec.kind === "supervisor" && spec.when === undefined ? spec : Spec.ofSupervisor(spec.id, { children: [spec] })

/** Makes the places of a tree, without starting anything. */
const prepare = <O, E, R>(tree: ChildSpec<O, E, R>): Effect.Effect<SupervisorNode, StartFailed<E>, R> =>
  Effect.withFiber((fiber): Effect.Effect<SupervisorNode, StartFailed<E>> => {
    const base = Context.omit(Tracer.ParentSpan)(fiber.context) as Context.Context<never>
    const given = Spec.resolved(Spec.toSpec(tree), base)
    const problem = problemOf(given, "")
    if (problem !== undefined) {
      return Effect.fail(new StartFailed<E>({ path: "", child: problem.path, cause: Cause.fail(problem) }))
    }
    const root = new Root()
    root.node = new SupervisorNode(rooted(given), root, "", new Tree(ActorSystem.of(base), base))
    return Effect.succeed(root.node)
  })

const startRoot = <E>(node: SupervisorNode): Effect.Effect<void, StartFailed<E>> =>
  Effect.callback((resume) => {
    node.slot.start((exit) => {
      if (Exit.isFailure(exit)) node.slot.owner.onEnded(node.slot, ExitReason.fromExit(exit))
      resume(exit as Exit.Exit<void, StartFailed<E>>)
    })
    return Effect.asVoid(stopRoot(node))
  })

const stopRoot = (node: SupervisorNode): Effect.Effect<ExitReason.ExitReason> =>
  stopSlot(node.slot, ExitReason.Shutdown(), Infinity)

/** The scope is told how to stop the tree before it starts: interrupting the start leaves nothing running. */
const acquire = <O, E, R>(tree: ChildSpec<O, E, R>): Effect.Effect<SupervisorNode, StartFailed<E>, R | Scope.Scope> =>
  Effect.gen(function* () {
    const node = yield* prepare(tree)
    yield* Effect.addFinalizer(() => stopRoot(node))
    yield* startRoot<E>(node)
    return node
  })

/**
 * Starts a tree for the lifetime of the Scope, and gives a handle to it.
 *
 * @category running
 * @since 0.1.0
 */
export const start = <O, E, R>(
  tree: ChildSpec<O, E, R>
): Effect.Effect<SupervisorRef<O>, StartFailed<E>, R | Scope.Scope> =>
  Effect.map(acquire(tree), (node) => new RefImpl(node) as SupervisorRef<O>)

/**
 * Embeds a tree in an Effect app: its actors are services, it starts with the layer and is stopped in reverse order when
 * the layer is released.
 *
 * @category running
 * @since 0.1.0
 */
export const layer = <O, E, R>(tree: ChildSpec<O, E, R>): Layer.Layer<O, StartFailed<E>, Exclude<R, Scope.Scope>> =>
  Layer.effectContext(Effect.map(acquire(tree), (node) => node.tree.own as Context.Context<O>)) as never

type Escalation<E> = RestartIntensityExceeded<E> | Escalated<E>

/** How a root's end looks to whoever runs it. */
const outcome = <E>(reason: ExitReason.ExitReason): Effect.Effect<void, Escalation<E>> => {
  if (reason._tag === "Shutdown" && reason.info instanceof RestartIntensityExceeded) return Effect.fail(reason.info)
  if (reason._tag === "Failed") return Effect.failCause(reason.cause as Cause.Cause<Escalation<E>>)
  return Effect.void
}

const awaitEnd = <E>(node: SupervisorNode): Effect.Effect<void, Escalation<E>> =>
  Effect.flatMap(
    Effect.callback<ExitReason.ExitReason>((resume) =>
      Effect.sync(node.slot.watch((reason) => resume(Effect.succeed(reason))))
    ),
    outcome<E>
  )

/**
 * Owns a tree: runs until it ends, and fails with the reason when it gave up or escalated. Interrupting it stops the tree
 * in order.
 *
 * @category running
 * @since 0.1.0
 */
export const run = <O, E, R>(
  tree: ChildSpec<O, E, R>
): Effect.Effect<void, StartFailed<E> | Escalation<E>, Exclude<R, Scope.Scope>> =>
  Effect.scoped(Effect.flatMap(acquire(tree), awaitEnd<E>)) as never

/**
 * For main programs: keeps an app alive on top of a tree, and ends with the tree. Fails with the tree's reason when it
 * gives up, so that the program ends with it instead of going on without its actors.
 *
 * @category running
 * @since 0.1.0
 */
export const launch = <O, E, R, A, E2, R2>(
  tree: ChildSpec<O, E, R>,
  app: Layer.Layer<A, E2, R2>
): Effect.Effect<void, StartFailed<E> | Escalation<E> | E2, Exclude<R, Scope.Scope> | Exclude<R2, O>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const node = yield* acquire(tree)
      yield* Effect.provideContext(Layer.build(app), node.tree.own as never)
      yield* awaitEnd<E>(node)
    })
  ) as never

/**
 * Structured concurrency with restarts: runs an effect with the services of a tree, whose life is the effect's. When the
 * effect ends, however it does, the tree is stopped in order; when the tree gives up or escalates, the effect is
 * interrupted and the failure is its own.
 *
 * **Example** (A counter for the length of a computation)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Supervisor } from "effect-otp"
 *
 * class Counter extends Actor.Service<Counter>()("docs/Counter", { Next: { success: Schema.Int } }) {}
 * const CounterLive = Counter.behavior(Effect.sync(() => {
 *   let count = 0
 *   return Counter.of({ Next: () => ++count })
 * }))
 * const Tree = Supervisor.make("counting", { children: [CounterLive] })
 *
 * const program = Effect.gen(function*() {
 *   const counter = yield* Counter
 *   yield* counter.ask.Next()
 *   return yield* counter.ask.Next()
 * })
 * await Effect.runPromise(Supervisor.using(Tree, program)) // => 2
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const using = <O, E, R, A, E2, R2>(
  tree: ChildSpec<O, E, R>,
  effect: Effect.Effect<A, E2, R2>
): Effect.Effect<A, StartFailed<E> | Escalation<E> | TreeEnded | E2, Exclude<R, Scope.Scope> | Exclude<R2, O>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const node = yield* acquire(tree)
      const ended = Effect.andThen(awaitEnd<E>(node), Effect.fail(new TreeEnded({ path: node.path })))
      return yield* Effect.raceFirst(Effect.provideContext(effect, node.tree.own as never), ended)
    })
  ) as never
