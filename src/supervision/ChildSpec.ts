/**
 * What to start and how to keep it alive: a value. Actors, plain effects, layers and whole supervisors are child specs
 * alike, so trees are built from one kind of thing.
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import { type Behavior, implOf, isBehavior } from "../actor/Behavior.ts"
import type { AutoShutdown } from "./AutoShutdown.ts"
import { type Backoff, make as makeBackoff } from "./Backoff.ts"
import type { AnyOnFailure, OnFailure } from "./Directive.ts"
import type { Node } from "./graph.ts"
import { defaultIntensity, type Intensity } from "./Intensity.ts"
import type { Restart } from "./Restart.ts"
import type { Strategy } from "./Strategy.ts"
import { isWhole } from "../actor/limit.ts"

/**
 * What to start and how. `Out` are the services it makes reachable, `E` what it can fail with, `R` what it needs.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildSpec<out Out, out E, out R> {
  readonly id: string
  readonly kind: "actor" | "supervisor" | "effect" | "service"
  readonly "~Out": () => Out
  readonly "~E": () => E
  readonly "~R": () => R
}

/**
 * Any child spec.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any extends ChildSpec<unknown, unknown, unknown> {}

/**
 * How loud a child's failures are reported: at `level`, and at `raisedLevel` from the one after `raisedAfter` failures in
 * a row.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly level: LogLevel.Severity
  readonly raisedLevel: LogLevel.Severity
  readonly raisedAfter: number
}

/**
 * The key of any service.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyKey {
  readonly key: string
}

/**
 * How a child is kept alive. Everything has a default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E, R = never> {
  /** Unique among its siblings. Default: the actor's key. */
  readonly id?: string
  /** Default: what its behavior says, else `permanent`. */
  readonly restart?: Restart
  /** How long it may take to stop before it is killed; `kill`: no time at all. Default 5 seconds. */
  readonly shutdown?: Duration.Input | "kill"
  /** How long its init may take. Default 5 seconds; `Duration.infinity` waits for ever. */
  readonly startTimeout?: Duration.Input
  /** What a failure means, by tag or by function. Default: restart. */
  readonly onFailure?: OnFailure<E>
  /** How long to wait before each restart. Default: not at all. */
  readonly backoff?: Schedule.Schedule<unknown, NoInfer<E>> | Backoff<NoInfer<E>>
  /** Asked before each start: `false` leaves it out, which counts as a successful start. */
  readonly when?: Effect.Effect<boolean, never, R>
  /**
   * When it counts as started: once this has succeeded, within its `startTimeout`. Until then the next child is not started.
   * Its failure is a failed start. Default: as soon as its init has ended.
   */
  readonly ready?: Effect.Effect<unknown, unknown, R>
  /** The services it uses, for a `Supervisor.graph` to derive the order from. Default: none. */
  readonly needs?: ReadonlyArray<AnyKey>
  /** The services it provides besides those that are known: an actor provides its ref. Default: none. */
  readonly provides?: ReadonlyArray<AnyKey>
  /**
   * Whether its end by itself may end the supervisor: see `autoShutdown`, without which no child can be significant. Not
   * for `permanent` children, which are restarted instead (R42). Default `false`.
   */
  readonly significant?: boolean
  /** How failures are logged. Default: `Warn`, from the fourth in a row on `Error`. */
  readonly report?: Partial<Report>
}

/**
 * How a supervisor looks after its children, and is itself looked after by its parent. It has all the time it needs to
 * stop: a limit could cut its subtree off in the middle.
 *
 * @category models
 * @since 0.1.0
 */
export interface SupervisorOptions<C extends ReadonlyArray<unknown>, R = never> {
  /** Default `one-for-one`. */
  readonly strategy?: Strategy
  /** Default: 1 restart within 5 seconds. */
  readonly intensity?: Intensity
  /** Whether it ends, in order and with reason shutdown, when significant children have ended. Default `never`. */
  readonly autoShutdown?: AutoShutdown
  /** What its parent does when it ends. Default `permanent`. */
  readonly restart?: Restart
  /** Whether its own end counts for its parent's `autoShutdown`. Default `false`. */
  readonly significant?: boolean
  /** Asked before each start: `false` leaves it out, which counts as a successful start. */
  readonly when?: Effect.Effect<boolean, never, R>
  /** Started in this order, stopped in reverse. */
  readonly children: C
}

/**
 * A spec as the supervisor reads it, with all defaults filled in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly id: string
  readonly kind: "actor" | "supervisor" | "effect" | "service"
  readonly restart: Restart
  readonly significant: boolean
  /** Milliseconds, `Infinity` for all the time it needs. */
  readonly shutdown: number | "kill"
  /** Milliseconds. */
  readonly startTimeout: number
  readonly report: Report
}

/** Something that cannot be started, found when its spec was made and told when the tree is checked. @internal */
export interface Flaw {
  readonly field: string
  readonly value: unknown
  readonly problem: string
}

/** What is wrong with a limit on how many there may be. @internal */
export const limitFlaw = (field: string, value: number | undefined): Flaw | undefined =>
  value === undefined || value === Infinity || isWhole(value, 1)
    ? undefined
    : { field, value, problem: "must be a whole number of 1 or more" }

/** What a spec starts. @internal */
export type Target =
  | {
      readonly _tag: "actor"
      readonly behavior: Behavior<unknown, void, unknown, unknown>
      /** Whether its ref is a service of the tree. */
      readonly provides: boolean
    }
  | { readonly _tag: "effect"; readonly effect: Effect.Effect<unknown, unknown> }
  | { readonly _tag: "service"; readonly layer: Layer.Layer<unknown, unknown> }
  | {
      readonly _tag: "supervisor"
      readonly strategy: Strategy
      readonly intensity: Intensity
      readonly autoShutdown: AutoShutdown
      readonly children: ReadonlyArray<SpecImpl>
      /** Children come and go while it runs: ended ones are forgotten, and all stop together. */
      readonly dynamic: boolean
      /** Children that come and go are restarted beside each other, instead of one after the other. */
      readonly together: boolean
      /** Children are in the order of what they need, and share the fate of what they need. */
      readonly graph: boolean
      /** What is wrong with how it was asked for. */
      readonly flaw: Flaw | undefined
      /** A service made of the running supervisor. */
      readonly provides:
        | {
            readonly key: string
            readonly make: (node: never) => unknown
            /** Hands a new configuration to the service made before. */
            readonly update?: (service: never) => void
          }
        | undefined
      /** What each child is like, where they come and go. */
      readonly template: SpecImpl | undefined
      /** The spec as it is where these services are; until then one child stands for all. */
      readonly resolve: ((services: Context.Context<never>) => SpecImpl) | undefined
      /** Its children and what becomes of it are the library's choice, so that there is nothing to say about them. */
      readonly given: boolean
    }

/** @internal */
export interface SpecImpl extends ChildSpec<unknown, unknown, unknown>, Settings {
  readonly target: Target
  readonly onFailure: AnyOnFailure | undefined
  readonly backoff: Backoff<unknown> | undefined
  readonly when: Effect.Effect<boolean> | undefined
  readonly ready: Effect.Effect<unknown, unknown> | undefined
  readonly needs: ReadonlyArray<string>
  readonly provides: ReadonlyArray<string>
}

const defaultReport: Report = { level: "Warn", raisedLevel: "Error", raisedAfter: 3 }

const SHUTDOWN: Duration.Input = 5_000
const START_TIMEOUT: Duration.Input = 5_000

const build = (
  id: string,
  target: Target,
  options: Options<never, unknown>,
  shutdown: Duration.Input | "kill",
  startTimeout: Duration.Input
): SpecImpl =>
  ({
    id,
    kind: target._tag,
    target,
    restart: options.restart ?? "permanent",
    significant: options.significant ?? false,
    shutdown: shutdown === "kill" ? "kill" : toMillis(shutdown),
    startTimeout: toMillis(startTimeout),
    report: options.report === undefined ? defaultReport : { ...defaultReport, ...options.report },
    onFailure: options.onFailure as AnyOnFailure | undefined,
    backoff:
      options.backoff === undefined
        ? undefined
        : Schedule.isSchedule(options.backoff)
          ? (makeBackoff(options.backoff) as Backoff<unknown>)
          : (options.backoff as unknown as Backoff<unknown>),
    when: options.when as Effect.Effect<boolean> | undefined,
    ready: options.ready as Effect.Effect<unknown, unknown> | undefined,
    needs: keysOf(options.needs),
    provides: keysOf(options.provides)
  }) as unknown as SpecImpl

/** What is no list of keys stays as it is, for `validate` to refuse. */
const keysOf = (keys: ReadonlyArray<AnyKey> | undefined): ReadonlyArray<string> => {
  if (keys === undefined) return NO_KEYS
  if (!Array.isArray(keys) || keys.some((each: Partial<AnyKey> | null | undefined) => typeof each?.key !== "string")) {
    return keys as never
  }
  return keys.length === 0 ? NO_KEYS : keys.map(({ key }) => key)
}

const NO_KEYS: ReadonlyArray<string> = []

/** A spec with all that it provides, as a part of a graph. @internal */
export interface SpecNode extends Node {
  readonly spec: SpecImpl
}

/** @internal */
export const asNode = (spec: SpecImpl): SpecNode => ({
  spec,
  id: spec.id,
  needs: listOf(spec.needs),
  provides: providedBy(spec)
})

/** A spec may be looked at before it is checked. */
const listOf = (keys: ReadonlyArray<string>): ReadonlyArray<string> => (Array.isArray(keys) ? keys : NO_KEYS)

const providedBy = ({ provides: given, target }: SpecImpl): ReadonlyArray<string> => {
  const provides = listOf(given)
  if (target._tag === "actor") return target.provides ? [implOf(target.behavior).key.key, ...provides] : provides
  if (target._tag !== "supervisor") return provides
  const own = target.provides === undefined ? [] : [target.provides.key]
  return [...own, ...provides, ...target.children.flatMap(providedBy)]
}

/** Limits that are no durations stay as they are, for `validate` to refuse. */
const toMillis = (input: Duration.Input): number => {
  if (typeof input === "number") return input
  const parsed = Duration.fromInput(input)
  return parsed._tag === "Some" ? Duration.toMillis(parsed.value) : (input as never)
}

/** @internal */
export const ofBehavior = (
  behavior: Behavior<unknown, void, unknown, unknown>,
  options: Options<never, unknown>,
  provides = true
): SpecImpl =>
  build(
    // What is no behavior has no name: `validate` refuses it.
    options.id ?? (isBehavior(behavior) ? implOf(behavior as never).name : (undefined as never)),
    { _tag: "actor", behavior, provides },
    withThoseOf(behavior, options),
    options.shutdown ?? SHUTDOWN,
    options.startTimeout ?? START_TIMEOUT
  )

/** What a behavior needs its child does, besides what its spec names; and how it is restarted, where that does not say. */
const withThoseOf = (behavior: unknown, given: Options<never, unknown>): Options<never, unknown> => {
  if (!isBehavior(behavior)) return given
  const { needs, restart } = implOf(behavior as never).options
  const options = restart === undefined || given.restart !== undefined ? given : { ...given, restart }
  if (needs === undefined || (options.needs !== undefined && !Array.isArray(options.needs))) return options
  return { ...options, needs: [...needs, ...(options.needs ?? [])] }
}

/** @internal */
export const ofEffect = (id: string, effect: Effect.Effect<unknown, unknown>, options: Options<never, unknown>) =>
  build(id, { _tag: "effect", effect }, options, options.shutdown ?? SHUTDOWN, options.startTimeout ?? START_TIMEOUT)

/** @internal */
export const ofLayer = (id: string, layer: Layer.Layer<unknown, unknown>, options: Options<never, unknown>) =>
  build(id, { _tag: "service", layer }, options, options.shutdown ?? SHUTDOWN, options.startTimeout ?? START_TIMEOUT)

/** What makes a supervisor other than plain. */
interface Variety {
  readonly dynamic?: boolean
  readonly graph?: boolean
  readonly flaw?: Flaw | undefined
  readonly provides?: SupervisorTarget["provides"]
  readonly template?: SpecImpl | undefined
  readonly resolve?: SupervisorTarget["resolve"]
  readonly given?: boolean
}

/** @internal */
export type SupervisorTarget = Extract<Target, { readonly _tag: "supervisor" }>

/** Options of a supervisor that it could not even be described by. */
const supervisorFlaw = (options: unknown): Flaw | undefined => {
  if (typeof options !== "object" || options === null) {
    return { field: "options", value: options, problem: "must be an object such as { children: [] }" }
  }
  const { children } = options as { readonly children?: unknown }
  if (children === undefined || Array.isArray(children)) return undefined
  return { field: "children", value: children, problem: "must be a list of child specs and behaviors" }
}

/** @internal */
export const ofSupervisor = (
  id: string,
  given: SupervisorOptions<ReadonlyArray<unknown>, unknown>,
  { dynamic = false, flaw: known, given: isGiven = false, graph = false, provides, resolve, template }: Variety = {}
): SpecImpl => {
  const flaw = known ?? supervisorFlaw(given)
  const options = flaw === undefined || flaw === known ? given : { children: [] }
  return build(
    id,
    {
      _tag: "supervisor",
      strategy: options.strategy ?? "one-for-one",
      intensity: options.intensity ?? defaultIntensity,
      autoShutdown: options.autoShutdown ?? "never",
      children: (options.children ?? []).map(toSpec),
      dynamic,
      together: false,
      graph,
      flaw,
      provides,
      template,
      resolve,
      given: isGiven
    },
    {
      ...(options.restart === undefined ? undefined : { restart: options.restart }),
      ...(options.significant === undefined ? undefined : { significant: options.significant }),
      ...(options.when === undefined ? undefined : { when: options.when })
    },
    Duration.infinity,
    Duration.infinity
  )
}

/** A behavior alone is a child with all defaults. @internal */
export const toSpec = (child: unknown): SpecImpl =>
  isBehavior(child) ? ofBehavior(child as never, {}) : (child as SpecImpl)

/** A tree with all that depends on the services around it settled. @internal */
export const resolved = (spec: SpecImpl, services: Context.Context<never>): SpecImpl => {
  // Called before the tree is checked, so it may be anything.
  const target = (spec as SpecImpl | null | undefined)?.target
  if (target?._tag !== "supervisor") return spec
  if (target.resolve !== undefined) return target.resolve(services)
  if (target.children.every((child) => resolved(child, services) === child)) return spec
  return { ...spec, target: { ...target, children: target.children.map((child) => resolved(child, services)) } }
}

/** What can be read of a spec. @internal */
export const settingsOf = (spec: SpecImpl): Settings => ({
  id: spec.id,
  kind: spec.kind,
  restart: spec.restart,
  significant: spec.significant,
  shutdown: spec.shutdown,
  startTimeout: spec.startTimeout,
  report: spec.report
})
