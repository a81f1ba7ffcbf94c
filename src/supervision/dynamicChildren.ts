/**
 * The children of a running dynamic supervisor.
 *
 * Invariants:
 * 1. A child is known from before its init until it has ended; one that ended, or never came up, is forgotten at once.
 * 2. Stopping one child keeps nobody else waiting: only the beginning of it is done in the supervisor's turn.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { format } from "effect/Formatter"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Tracer from "effect/Tracer"
import { type ActorRef, type Endable, slotOf } from "../actor/ActorRef.ts"
import { type Behavior, isBehavior, withArgs } from "../actor/Behavior.ts"
import { awaitDown } from "../actor/stopping.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import type { Child } from "./child.ts"
import { type Flaw, limitFlaw, ofBehavior, ofSupervisor, type SpecImpl } from "./ChildSpec.ts"
import type { ChildOptions, DynamicOptions } from "./dynamicOptions.ts"
import {
  ChildNotFound,
  invalid,
  type InvalidSpec,
  MaxChildrenReached,
  StartFailed,
  type SupervisorNotRunning
} from "./errors.ts"
import type { SupervisorNode } from "./node.ts"
import { request, requestStart } from "./request.ts"
import type { Started } from "./starting.ts"
import { type ChildStatus, statusesOf } from "./status.ts"
import type { Tree } from "./tree.ts"
import { problemOf } from "./validate.ts"

type Template = Behavior<unknown, unknown, unknown, unknown>
type Options = DynamicOptions<never>

/** The spec of a dynamic supervisor. Without a template each child brings its own behavior. @internal */
export const specOf = (id: string, template: Template | undefined, options: Options, flaw?: Flaw): SpecImpl =>
  ofSupervisor(
    id,
    { children: [], ...(options.intensity === undefined ? undefined : { intensity: options.intensity }) },
    {
      dynamic: true,
      flaw: flaw ?? limitFlaw("maxChildren", options.maxChildren),
      template: isBehavior(template) ? templateOf(template, options, "*", undefined) : undefined,
      provides: {
        key: id,
        make: (node: SupervisorNode) => new DynamicChildren(node, template, options),
        update: (children: DynamicChildren) => children.take(template, options)
      }
    }
  )

/** What is wrong with what is to be the template. @internal */
export const templateFlaw = (template: unknown): Flaw | undefined =>
  isBehavior(template) ? undefined : { field: "template", value: template, problem: "must be one behavior" }

/** The spec of one child that is started with these arguments. */
const templateOf = (template: Template, options: Options, id: string, args: unknown): SpecImpl => {
  const { intensity: _, maxChildren: __, ...rest } = options
  return ofBehavior(withArgs(template, args as never), { ...rest, id }, false)
}

/** @internal */
export class DynamicChildren {
  private readonly node: SupervisorNode
  private template: Template | undefined
  private options: Options
  private tree: Tree
  /** What children of the template were started with. */
  private readonly argsOf = new WeakMap<Child, unknown>()
  private started = 0

  constructor(node: SupervisorNode, template: Template | undefined, options: Options) {
    this.node = node
    this.template = template
    this.options = options
    this.tree = node.tree
  }

  /** Whether its supervisor is up, and means to stay. */
  get isUp(): boolean {
    return this.node.slot.isUp
  }

  readonly start = (args: unknown): Effect.Effect<ActorRef<unknown>, StartError> =>
    requestStart(this.node, (start) => this.startTemplate(undefined, args, start))

  readonly at = (key: string): Effect.Effect<ActorRef<unknown>, StartError> =>
    Effect.suspend(() => {
      const existing = this.node.children.get(key)
      if (existing === undefined || existing.state === "stopped")
        // One that has a key is found again by it: it goes on when its asker leaves.
        return request(this.node, () => this.startTemplate(key, key, this.begin))
      // One on its way out makes room first.
      if (existing.state === "stopping") return Effect.andThen(awaitDown(existing.slot), this.at(key))
      return Effect.succeed(refOf(existing))
    })

  /** As `at`, beside the supervisor's turns: several of them start at a time. */
  readonly atOnce = (key: string): Effect.Effect<ActorRef<unknown>, StartError> =>
    Effect.flatten(
      request(this.node, () =>
        Effect.sync(() => Fiber.join(this.node.tree.system.runFork(this.startTemplate(key, key, this.begin))))
      )
    )

  readonly startChild = (
    behavior: Behavior<unknown, void, unknown, unknown>,
    options?: ChildOptions<never>
  ): Effect.Effect<ActorRef<unknown>, StartError> =>
    Effect.contextWith((context: Context.Context<never>) =>
      requestStart(this.node, (start) => {
        const id = isBehavior(behavior) ? this.freshId(behavior) : undefined
        const spec = ofBehavior(behavior, { ...options, id: id as string }, false)
        return this.startSpec(spec, this.node.tree.with(servicesOf(context)), undefined, start)
      })
    )

  readonly get = (key: string): Effect.Effect<Option.Option<ActorRef<unknown>>> =>
    Effect.sync(() => Option.map(Option.fromUndefinedOr(this.node.children.get(key)), refOf))

  readonly stop = (key: string): Effect.Effect<void, SupervisorNotRunning> =>
    Effect.flatten(
      request(this.node, () =>
        Effect.sync((): Effect.Effect<void> => {
          const child = this.node.children.get(key)
          return child === undefined ? Effect.void : this.ending(child)
        })
      )
    )

  readonly terminate = (ref: Endable): Effect.Effect<void, ChildNotFound | SupervisorNotRunning> =>
    Effect.flatten(
      request(this.node, () =>
        Effect.suspend((): Effect.Effect<Effect.Effect<void>, ChildNotFound> => {
          const slot = Predicate.hasProperty(ref, "~slot") ? slotOf(ref) : undefined
          const child = slot === undefined ? undefined : this.node.childOf(slot)
          if (child !== undefined) return Effect.succeed(this.ending(child))
          const id = slot === undefined ? format(ref) : slot.path
          return Effect.fail(new ChildNotFound({ path: this.node.path, id, dynamic: false }))
        })
      )
    )

  readonly children: Effect.Effect<ReadonlyArray<ChildStatus>> = Effect.sync(() => statusesOf(this.node))
  readonly refs: Effect.Effect<ReadonlyArray<ActorRef<unknown>>> = Effect.sync(() =>
    Array.from(this.node.children.values(), refOf)
  )
  readonly count: Effect.Effect<number> = Effect.sync(() => this.node.children.size)

  readonly reconfigure = (
    template: Template,
    given?: Options
  ): Effect.Effect<void, InvalidSpec | SupervisorNotRunning> =>
    Effect.contextWith((context: Context.Context<never>) =>
      request(this.node, () => {
        const { node } = this
        const options = given ?? {}
        const spec = specOf(node.spec.id, template, options)
        const problem = isBehavior(template)
          ? (problemOf(spec, "") ?? problemOf(templateOf(template, options, "template", undefined), node.path))
          : invalid(node.path, "template", template, "must be one behavior")
        if (problem !== undefined) return Effect.fail(problem)
        return Effect.sync(() => this.configure(template, options, spec, this.node.tree.with(servicesOf(context))))
      })
    )

  /** What is started from now on follows another template. */
  take(template: Template | undefined, options: Options): void {
    this.template = template
    this.options = options
  }

  private configure(template: Template, options: Options, spec: SpecImpl, tree: Tree): void {
    this.take(template, options)
    this.tree = tree
    const { node } = this
    node.configure({ ...spec, restart: node.spec.restart } as SpecImpl, node.tree)
    for (const child of node.children.values()) {
      if (this.argsOf.has(child)) child.respec(templateOf(template, options, child.spec.id, this.argsOf.get(child)))
    }
  }

  private readonly begin: Begin = (child) => this.node.start(child)

  private startTemplate(
    key: string | undefined,
    args: unknown,
    start: Begin
  ): Effect.Effect<ActorRef<unknown>, StartError> {
    const { node, template } = this
    const existing = key === undefined ? undefined : node.children.get(key)
    if (existing !== undefined && existing.state !== "stopped") return Effect.succeed(refOf(existing))
    // Ended, and about to be forgotten.
    if (existing !== undefined) node.forget(existing)
    const spec = templateOf(template!, this.options, key ?? this.freshId(template!), args)
    return this.startSpec(spec, this.tree, { args }, start)
  }

  private startSpec(
    spec: SpecImpl,
    tree: Tree,
    template: { readonly args: unknown } | undefined,
    start: Begin
  ): Effect.Effect<ActorRef<unknown>, StartError> {
    const { node } = this
    const maxChildren = this.options.maxChildren ?? Infinity
    if (node.children.size >= maxChildren) {
      return Effect.fail(new MaxChildrenReached({ path: node.path, maxChildren }))
    }
    const problem = problemOf(spec, node.path)
    if (problem !== undefined) return Effect.fail(startFailed(node, spec, problem))
    const child = node.adopt(spec, tree)
    if (template !== undefined) this.argsOf.set(child, template.args)
    return Effect.flatMap(start(child), (exit) => {
      const ref = refOf(child)
      if (Exit.isSuccess(exit)) {
        // Left out: there is nothing to keep (R37).
        if (!exit.value) node.forget(child, ExitReason.Normal)
        return Effect.succeed(ref)
      }
      node.forget(child, child.slot.lastEnd ?? ExitReason.fromExit(exit))
      return Effect.fail(
        new StartFailed<unknown>({ path: node.path, child: spec.id, cause: exit.cause as Cause.Cause<never> })
      )
    })
  }

  /** Begins to stop a child. The effect waits until it has ended, and may be given up: the rest happens all the same. */
  private ending(child: Child): Effect.Effect<void> {
    const { node } = this
    const forget = () => node.forget(child)
    const stopping = node.stop(child)
    if (stopping === undefined) {
      forget()
      return Effect.void
    }
    return Fiber.join(node.tree.system.runFork(Effect.andThen(stopping, Effect.sync(forget))))
  }

  private freshId(behavior: { readonly name: string }): string {
    let id: string
    do id = `${behavior.name}#${++this.started}`
    while (this.node.children.has(id))
    return id
  }
}

type Begin = (child: Child) => Effect.Effect<Started>

type StartError = StartFailed<unknown> | MaxChildrenReached | SupervisorNotRunning

const refOf = (child: Child): ActorRef<unknown> => child.slot.ref as ActorRef<unknown>

const servicesOf = (context: Context.Context<never>): Context.Context<never> => Context.omit(Tracer.ParentSpan)(context)

const startFailed = (node: SupervisorNode, spec: SpecImpl, problem: InvalidSpec): StartFailed<unknown> =>
  new StartFailed<unknown>({ path: node.path, child: String(spec.id), cause: Cause.fail(problem) })
