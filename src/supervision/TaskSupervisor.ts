/**
 * Effects that run under supervision and come to a result: awaited, looked at, given up, or mapped over a stream.
 *
 * A task is a child of its supervisor, not of whoever started it, so that it is seen in the tree and stopped with it. `async`
 * ties it to the Scope it was started in as well; `asyncUnlinked` does not; `start` is for work whose result nobody waits
 * for, and which may be restarted.
 *
 * **Example** (Two at once)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Supervisor, TaskSupervisor } from "effect-otp"
 *
 * class Jobs extends TaskSupervisor.Service<Jobs>()("docs/Jobs") {}
 * const Tree = Supervisor.make("app", { children: [Jobs.child({ maxTasks: 100 })] })
 *
 * const program = Effect.gen(function*() {
 *   const one = yield* Jobs.async(Effect.delay(Effect.succeed(1), "10 millis"))
 *   const two = yield* Jobs.async(Effect.succeed(2))
 *   return (yield* one.await) + (yield* two.await)
 * })
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Supervisor.layer(Tree)))) // => 3
 * ```
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ExitReason from "../runtime/ExitReason.ts"
import { ActorContext } from "../runtime/incarnation.ts"
import { type ChildSpec, limitFlaw, ofEffect, ofSupervisor, type SpecImpl } from "./ChildSpec.ts"
import { invalid, StartFailed, type SupervisorNotRunning } from "./errors.ts"
import type { Intensity } from "./Intensity.ts"
import type { SupervisorNode } from "./node.ts"
import type { Restart } from "./Restart.ts"
import { limitMillis } from "./limits.ts"
import { request } from "./request.ts"
import { type ChildStatus, statusesOf } from "./status.ts"
import { type Task, TaskEnded, TaskImpl, TaskTimeout } from "./task.ts"
import { problemOf } from "./validate.ts"

export { type Task, TaskEnded, TaskTimeout }

/**
 * The supervisor has as many tasks as it may have. Wait for one, or allow more with `maxTasks`.
 *
 * @category errors
 * @since 0.1.0
 */
export class MaxTasksReached extends Schema.TaggedError<MaxTasksReached>()("MaxTasksReached", {
  path: Schema.String,
  maxTasks: Schema.Number
}) {
  override get message(): string {
    return `${this.path} runs ${this.maxTasks} tasks and may run no more`
  }
}

/**
 * Why a task could not be started.
 *
 * @category errors
 * @since 0.1.0
 */
export type NotStarted = MaxTasksReached | SupervisorNotRunning

/**
 * What holds for all tasks together.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskOptions {
  /** How many tasks there may be at a time. Default: any number. */
  readonly maxTasks?: number
  /** How long a task may take to stop before it is killed. Default 5 seconds. */
  readonly shutdown?: Duration.Input | "kill"
  /** How many restarts of tasks that are restarted, in how much time. Default: 1 within 5 seconds. */
  readonly intensity?: Intensity
}

/**
 * How a stream is mapped by tasks.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamOptions {
  /** How many tasks run at a time. Default 1. */
  readonly concurrency?: number
  /** Whether results come in the order of their items, or as they are ready. Default `true`. */
  readonly ordered?: boolean
  /** How long each task may take before it is killed. Default: as long as it needs. */
  readonly limit?: Duration.Input
  /** What a task that was killed for being late does to the stream: ends it with `TaskTimeout`, or is left out. Default `fail`. */
  readonly late?: "fail" | "drop"
}

/**
 * The calls of a task supervisor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape<Req = never> {
  /** Starts a task that ends with the Scope it was started in, at the latest. It has the services of whoever started it. */
  readonly async: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<Task<A, E>, NotStarted, Exclude<R, Scope.Scope> | Scope.Scope | Req>
  /** Starts a task that ends with its supervisor, at the latest, whatever becomes of whoever started it. */
  readonly asyncUnlinked: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<Task<A, E>, NotStarted, Exclude<R, Scope.Scope> | Req>
  /** Starts work whose result nobody waits for. It is restarted as it says; default `temporary`: never. */
  readonly start: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options?: { readonly restart?: Restart }
  ) => Effect.Effect<void, NotStarted, Exclude<R, Scope.Scope> | Req>
  /** Maps items by a task each, so many at a time. When the stream ends early, so do the tasks that still run. */
  readonly stream: <Item, A, E2, R2, E1 = never, R1 = never>(
    items: Iterable<Item> | Stream.Stream<Item, E1, R1>,
    map: (item: Item) => Effect.Effect<A, E2, R2>,
    options?: StreamOptions
  ) => Stream.Stream<A, E1 | E2 | TaskEnded | TaskTimeout | NotStarted, R1 | Exclude<R2, Scope.Scope> | Req>
  /** All running tasks in the order of their start. Never waits. */
  readonly children: Effect.Effect<ReadonlyArray<ChildStatus>, never, Req>
  /** How many tasks there are. Never waits. */
  readonly count: Effect.Effect<number, never, Req>
}

/**
 * A task supervisor class: its service key, the same calls on the one in scope, and the maker of its child spec.
 *
 * @category models
 * @since 0.1.0
 */
export interface Class<Self> extends Context.Key<Self, Shape>, Shape<Self> {
  new (_: never): {}
  /** The supervisor as a child of a tree. */
  child(options?: TaskOptions): ChildSpec<Self, never, never>
}

/**
 * Defines a task supervisor: `class Jobs extends TaskSupervisor.Service<Jobs>()("app/Jobs") {}`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  (id: string): Class<Self> => {
    const base = Context.Service<Self, Tasks>()(id)
    return Object.assign(base, {
      async: (effect: Effect.Effect<unknown>) => Effect.flatMap(base, (tasks) => tasks.async(effect)),
      asyncUnlinked: (effect: Effect.Effect<unknown>) => Effect.flatMap(base, (tasks) => tasks.asyncUnlinked(effect)),
      start: (effect: Effect.Effect<unknown>, options?: { readonly restart?: Restart }) =>
        Effect.flatMap(base, (tasks) => tasks.start(effect, options)),
      stream: (items: Iterable<unknown>, map: (item: unknown) => Effect.Effect<unknown>, options?: StreamOptions) =>
        Stream.unwrap(Effect.map(base, (tasks) => tasks.stream(items, map, options))),
      children: Effect.flatMap(base, (tasks) => tasks.children),
      count: Effect.flatMap(base, (tasks) => tasks.count),
      child: (options?: TaskOptions) => specOf(id, options ?? {})
    }) as unknown as Class<Self>
  }

const specOf = (id: string, options: TaskOptions): SpecImpl =>
  ofSupervisor(
    id,
    { children: [], ...(options.intensity === undefined ? undefined : { intensity: options.intensity }) },
    {
      dynamic: true,
      flaw: limitFlaw("maxTasks", options.maxTasks),
      template: ofEffect("task", Effect.void, { shutdown: options.shutdown ?? 5_000 }),
      provides: { key: id, make: (node: SupervisorNode) => new Tasks(node, options) }
    }
  )

/**
 * Who started what is running, nearest first: paths of actors and tasks, and of plain fibers their number. Empty outside of
 * tasks.
 *
 * @category accessors
 * @since 0.1.0
 */
export const callers: Effect.Effect<ReadonlyArray<string>> = Effect.contextWith((context: Context.Context<never>) =>
  Effect.succeed(Context.get(context, Callers))
)

const Callers = Context.Reference<ReadonlyArray<string>>("effect-otp/TaskSupervisor/Callers", {
  defaultValue: () => []
})

/**
 * The outcomes of several tasks that are known within this time, in order. Those that are late go on, or are shut down.
 *
 * @category combinators
 * @since 0.1.0
 */
export const yieldMany = <A, E>(
  tasks: ReadonlyArray<Task<A, E>>,
  options: { readonly limit: Duration.Input; readonly late?: "leave" | "shutdown" }
): Effect.Effect<ReadonlyArray<Option.Option<Exit.Exit<A, E | TaskEnded>>>> => {
  const each = (task: Task<A, E>) =>
    Effect.tap(task.yield(options.limit), (exit) =>
      options.late === "shutdown" && Option.isNone(exit) ? task.shutdown() : Effect.void
    )
  return Effect.forEach(tasks, each, { concurrency: "unbounded" })
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

class Tasks implements Shape {
  private readonly node: SupervisorNode
  private readonly options: TaskOptions
  private started = 0

  constructor(node: SupervisorNode, options: TaskOptions) {
    this.node = node
    this.options = options
  }

  readonly async = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(this.begin(effect, restore), (task) => Effect.as(this.link(task), task))
    )

  readonly asyncUnlinked = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.uninterruptibleMask((restore) => this.begin(effect, restore))

  readonly start = <A, E, R>(effect: Effect.Effect<A, E, R>, options: { readonly restart?: Restart } = {}) =>
    this.launch(effect, options.restart ?? "temporary", undefined)

  readonly stream = <Item, A, E2, R2, E1 = never, R1 = never>(
    items: Iterable<Item> | Stream.Stream<Item, E1, R1>,
    map: (item: Item) => Effect.Effect<A, E2, R2>,
    { concurrency = 1, late = "fail", limit, ordered = true }: StreamOptions = {}
  ): Stream.Stream<A, E1 | E2 | TaskEnded | TaskTimeout | NotStarted, R1 | Exclude<R2, Scope.Scope>> => {
    const after = checkStream(this.node.path, concurrency, late, limit)
    const source = (Stream.isStream(items) ? items : Stream.fromIterable(items)) as Stream.Stream<Item, E1, R1>
    const timely = (task: Task<A, E2>): Effect.Effect<Option.Option<A>, E2 | TaskEnded | TaskTimeout> => {
      if (limit === undefined) return Effect.asSome(task.await)
      // Its own lateness, not a `TaskTimeout` that it failed with.
      return Effect.flatMap(
        task.yield(limit),
        (exit): Effect.Effect<Option.Option<A>, E2 | TaskEnded | TaskTimeout> => {
          if (Option.isSome(exit)) return Effect.asSome(exit.value)
          const outcome =
            late === "drop" ? Effect.succeedNone : Effect.fail(new TaskTimeout({ path: task.path, after }))
          return Effect.andThen(task.shutdown("kill"), outcome)
        }
      )
    }
    const run = (item: Item) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          this.begin(
            Effect.suspend(() => map(item)),
            restore
          ),
          (task) => Effect.onInterrupt(restore(timely(task)), () => task.shutdown(this.options.shutdown))
        )
      )
    const mapped = Stream.mapEffect(source, run, { concurrency, unordered: !ordered })
    return Stream.map(Stream.filter(mapped, Option.isSome), ({ value }) => value)
  }

  readonly children = Effect.sync(() => statusesOf(this.node))
  readonly count = Effect.sync(() => this.node.children.size)

  /** Starts a task of whoever asks; where that is interrupted before it runs, it never does. */
  private begin<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    restore: Restore
  ): Effect.Effect<Task<A, E>, NotStarted, Exclude<R, Scope.Scope>> {
    return Effect.suspend(() => {
      const task = new TaskImpl<A, E>()
      const launched = restore(this.launch(effect, "temporary", task))
      return Effect.as(
        Effect.onInterrupt(launched, () => task.shutdown(this.options.shutdown)),
        task
      )
    })
  }

  /** Ends a task with the Scope it was started in, also where that has been closed by now. */
  private link<A, E>(task: Task<A, E>): Effect.Effect<unknown, never, Scope.Scope> {
    const shutdown = task.shutdown(this.options.shutdown)
    // A fiber in the Scope, not a finalizer: it is gone when the task is.
    const guard = Effect.interruptible(Effect.onInterrupt(Effect.exit(task.await), () => shutdown))
    return Effect.flatMap(Effect.scope, (scope): Effect.Effect<unknown> => {
      if (scope.state._tag === "Closed") return shutdown
      // At once: what is interrupted before it has begun would not shut anything down.
      return Effect.forkIn(guard, scope, { startImmediately: true })
    })
  }

  private launch<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    restart: Restart,
    task: TaskImpl<A, E> | undefined
  ): Effect.Effect<void, NotStarted, Exclude<R, Scope.Scope>> {
    return Effect.withFiber((fiber) => {
      if (!Effect.isEffect(effect)) return Effect.die(invalid(this.node.path, "task", effect, "must be an effect"))
      const watched = task === undefined ? effect : task.observing(effect)
      const provided = Effect.provideContext(watched, inherited(fiber)) as Effect.Effect<A, E>
      return request(this.node, () => this.adopt(provided, restart, task))
    }) as Effect.Effect<void, NotStarted, Exclude<R, Scope.Scope>>
  }

  private adopt<A, E>(
    effect: Effect.Effect<A, E>,
    restart: Restart,
    task: TaskImpl<A, E> | undefined
  ): Effect.Effect<void, NotStarted> {
    const { node, options } = this
    const { maxTasks = Infinity, shutdown = "5 seconds" } = options
    if (task?.givenUp === true) return Effect.void
    if (node.children.size >= maxTasks) return Effect.fail(new MaxTasksReached({ path: node.path, maxTasks }))
    const spec = ofEffect(`task#${++this.started}`, effect, { restart, shutdown })
    const problem = problemOf(spec, node.path)
    if (problem !== undefined) {
      return Effect.die(new StartFailed({ path: node.path, child: spec.id, cause: Cause.fail(problem) }))
    }
    const child = node.adopt(spec, node.tree)
    task?.placed(child.slot)
    return Effect.flatMap(node.start(child), (exit) => {
      if (Exit.isSuccess(exit)) return Effect.void
      node.forget(child, child.slot.lastEnd ?? ExitReason.fromExit(exit))
      return Effect.failCause(exit.cause as Cause.Cause<never>)
    })
  }
}

/** Throws `InvalidSpec` for options that no stream could run with. Gives the limit in milliseconds. */
const checkStream = (path: string, concurrency: number, late: string, limit: Duration.Input | undefined): number => {
  const flaw = limitFlaw("concurrency", concurrency)
  if (flaw !== undefined) throw invalid(path, flaw.field, flaw.value, flaw.problem)
  if (late !== "fail" && late !== "drop") throw invalid(path, "late", late, "must be one of fail, drop")
  return limit === undefined ? Infinity : limitMillis(path, "limit", limit)
}

/** The caller's services are the task's, but not its place in the tree, nor its Scope. */
const inherited = (fiber: Fiber.Fiber<unknown, unknown>): Context.Context<never> => {
  const { context } = fiber
  const turn = Context.getOrUndefined(context, ActorContext)
  const caller = turn === undefined ? `fiber #${fiber.id}` : turn.incarnation.host.path
  const services = Context.omit(ActorContext, Scope.Scope)(context as Context.Context<ActorContext | Scope.Scope>)
  return Context.add(services, Callers, [caller, ...Context.get(context, Callers)]) as Context.Context<never>
}
