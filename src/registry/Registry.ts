/**
 * Typed names. A name belongs to at most one actor, follows it across restarts, and is free again the moment that actor has
 * ended for good.
 *
 * Names are compared structurally, as `Equal` does. Where many actors may stand under one key, use `Group`.
 *
 * **Example** (Finding an actor by name)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Registry, Supervisor } from "effect-otp"
 *
 * class Room extends Actor.Service<Room>()("docs/Room", { Topic: { success: Schema.String } }) {}
 * class Lobby extends Registry.Service<Lobby>()("docs/Lobby", Room) {}
 *
 * const RoomLive = Room.behavior(Effect.gen(function*() {
 *   yield* Lobby.register("effect")
 *   return Room.of({ Topic: () => "Effect and actors" })
 * }))
 * const Tree = Supervisor.make("chat", { children: [Lobby.child, RoomLive] })
 *
 * const program = Effect.gen(function*() {
 *   const room = yield* Lobby.lookup("effect")
 *   return yield* room.ask.Topic()
 * })
 * await Effect.runPromise(program.pipe(Effect.provide(Supervisor.layer(Tree)))) // => "Effect and actors"
 * ```
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { ActorContext, slotOf as slotOfTurn } from "../actor/ActorContext.ts"
import { type ActorRef, slotOf } from "../actor/ActorRef.ts"
import type { Slot } from "../runtime/slot.ts"
import { type ChildSpec, service } from "../supervision/Supervisor.ts"
import { Feed } from "./feed.ts"

/**
 * Nobody running has this name.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotRegistered extends Schema.TaggedError<NotRegistered>()("NotRegistered", {
  registry: Schema.String,
  name: Schema.Unknown
}) {
  override get message(): string {
    return `${this.registry} knows nobody called ${String(this.name)}`
  }
}

/**
 * Another running actor has this name: `holder` is its path.
 *
 * @category errors
 * @since 0.1.0
 */
export class AlreadyRegistered extends Schema.TaggedError<AlreadyRegistered>()("AlreadyRegistered", {
  registry: Schema.String,
  name: Schema.Unknown,
  holder: Schema.String
}) {
  override get message(): string {
    return `${this.registry}: the name ${String(this.name)} belongs to ${this.holder}`
  }
}

/**
 * An actor that has ended for good cannot have a name.
 *
 * @category errors
 * @since 0.1.0
 */
export class HolderEnded extends Schema.TaggedError<HolderEnded>()("HolderEnded", {
  registry: Schema.String,
  name: Schema.Unknown,
  holder: Schema.String
}) {
  override get message(): string {
    return `${this.registry}: ${this.holder} has ended and cannot be called ${String(this.name)}`
  }
}

/**
 * A name, who has it, and what was registered with it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry<A, Value = undefined, Name = string> {
  readonly name: Name
  readonly ref: ActorRef<A>
  readonly value: Value
}

/**
 * What a subscriber is told: all entries first, then each change.
 *
 * @category models
 * @since 0.1.0
 */
export type Change<A, Value = undefined, Name = string> =
  | { readonly _tag: "Snapshot"; readonly entries: ReadonlyArray<Entry<A, Value, Name>> }
  | ({ readonly _tag: "Registered" } & Entry<A, Value, Name>)
  | ({ readonly _tag: "Unregistered" } & Entry<A, Value, Name>)

type RegisterArgs<Name, Value> = [Value] extends [undefined] ? [name: Name, value?: Value] : [name: Name, value: Value]

/**
 * The names of one registry.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape<A, Value = undefined, Name = string> {
  /** Gives this actor a name. Registering again changes the value. */
  readonly register: (...args: RegisterArgs<Name, Value>) => Effect.Effect<void, AlreadyRegistered, ActorContext>
  /** Gives another actor a name. */
  readonly registerAs: (
    ref: ActorRef<A>,
    ...args: RegisterArgs<Name, Value>
  ) => Effect.Effect<void, AlreadyRegistered | HolderEnded>
  /** Takes a name back from whoever has it; `false` when nobody had. */
  readonly unregister: (name: Name) => Effect.Effect<boolean>
  /** Takes back this actor's own names that fit; tells how many. */
  readonly unregisterWhere: (
    fits: (entry: Entry<A, Value, Name>) => boolean
  ) => Effect.Effect<number, never, ActorContext>
  /** Changes the value that this actor registered; tells the old one. Only the holder may. */
  readonly update: (
    name: Name,
    f: (value: Value) => Value
  ) => Effect.Effect<Value, NotRegistered | AlreadyRegistered, ActorContext>
  /** Who has the name. */
  readonly lookup: (name: Name) => Effect.Effect<ActorRef<A>, NotRegistered>
  /** Who has the name, if anybody. */
  readonly whereIs: (name: Name) => Effect.Effect<Option.Option<ActorRef<A>>>
  /** All entries that fit, or all. */
  readonly select: (
    fits?: (entry: Entry<A, Value, Name>) => boolean
  ) => Effect.Effect<ReadonlyArray<Entry<A, Value, Name>>>
  /** The set of names, now and after each change. */
  readonly names: Stream.Stream<ReadonlySet<Name>>
  /** All entries first, then each change. */
  readonly changes: Stream.Stream<Change<A, Value, Name>>
  /** Runs an effect while nobody else holds the lock of this name. */
  readonly withLock: (name: Name) => <B, E, R>(effect: Effect.Effect<B, E, R>) => Effect.Effect<B, E, R>
}

/** The members of a shape, with the registry itself as a requirement. */
type Accessors<Self, S> = {
  readonly [K in keyof S]: S[K] extends (...args: infer Args) => Effect.Effect<infer B, infer E, infer R>
    ? (...args: Args) => Effect.Effect<B, E, R | Self>
    : S[K] extends Stream.Stream<infer B, infer E, infer R>
      ? Stream.Stream<B, E, R | Self>
      : never
}

/**
 * A registry class: the service key of its names, and the child spec to list in a tree.
 *
 * @category models
 * @since 0.1.0
 */
export interface Class<Self, A, Value, Name>
  extends Context.Key<Self, Shape<A, Value, Name>>, Omit<Accessors<Self, Shape<A, Value, Name>>, "withLock"> {
  new (_: never): {}
  /** Runs an effect while nobody else holds the lock of this name. */
  readonly withLock: (name: Name) => <B, E, R>(effect: Effect.Effect<B, E, R>) => Effect.Effect<B, E, R | Self>
  /** The registry as a child. List it before the actors that use it; when it restarts, it starts empty. */
  readonly child: ChildSpec<Self, never, never>
  /** The registry outside a tree. */
  readonly layer: Layer.Layer<Self>
}

/**
 * Defines a registry of actors of one class: `class Lobby extends Registry.Service<Lobby>()("app/Lobby", Room) {}`. The
 * further type parameters say what may be registered with a name, and what names are: `Registry.Service<Lobby, Topic>()`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self, Value = undefined, Name = string>() =>
  <A>(id: string, _actor: Context.Key<A, ActorRef<A>>): Class<Self, A, Value, Name> => {
    type S = Shape<A, Value, Name>
    const key = Context.Service<Self, S>()(id)
    const layer = Layer.effect(
      key,
      Effect.flatMap(Effect.serviceOption(key), (existing) => openNames<A, Value, Name>(id, existing))
    )
    const call =
      <K extends keyof S>(name: K) =>
      (...args: ReadonlyArray<never>) =>
        Effect.flatMap(key, (shape) =>
          (shape[name] as (...args: ReadonlyArray<never>) => Effect.Effect<unknown>)(...args)
        )
    return Object.assign(key, {
      register: call("register"),
      registerAs: call("registerAs"),
      unregister: call("unregister"),
      unregisterWhere: call("unregisterWhere"),
      update: call("update"),
      lookup: call("lookup"),
      whereIs: call("whereIs"),
      select: call("select"),
      names: Stream.unwrap(Effect.map(key, (shape) => shape.names)),
      changes: Stream.unwrap(Effect.map(key, (shape) => shape.changes)),
      withLock: (name: Name) => (effect: Effect.Effect<unknown>) =>
        Effect.flatMap(key, (shape) => shape.withLock(name)(effect)),
      child: service(id, layer),
      layer
    }) as unknown as Class<Self, A, Value, Name>
  }

/** Opens the names of a tree again where its registry restarts, so that whoever holds on to them sees the new ones. */
const openNames = <A, Value, Name>(id: string, existing: Option.Option<Shape<A, Value, Name>>) =>
  Effect.gen(function* () {
    const locks = yield* RcMap.make({ lookup: (_name: Name) => Semaphore.make(1) })
    const before = Option.getOrUndefined(existing)
    const names =
      before instanceof Names && before.closed
        ? (before as unknown as Names<A, Value, Name>)
        : new Names<A, Value, Name>(id)
    yield* Effect.acquireRelease(
      Effect.sync(() => names.open(locks)),
      () => Effect.sync(() => names.close())
    )
    return names as Shape<A, Value, Name>
  })

interface Held<A, Value, Name> extends Entry<A, Value, Name> {
  readonly unwatch: () => void
}

class Names<A, Value, Name> implements Shape<A, Value, Name> {
  closed = true
  private readonly id: string
  private readonly held = MutableHashMap.empty<Name, Held<A, Value, Name>>()
  private readonly feed = new Feed<Change<A, Value, Name>>()
  private locks: RcMap.RcMap<Name, Semaphore.Semaphore> | undefined = undefined

  constructor(id: string) {
    this.id = id
  }

  open(locks: RcMap.RcMap<Name, Semaphore.Semaphore>): void {
    this.closed = false
    this.locks = locks
  }

  close(): void {
    this.closed = true
    for (const entry of this.entries()) this.release(entry.name)
  }

  readonly register = (...[name, value]: RegisterArgs<Name, Value>) =>
    Effect.flatMap(ActorContext, (turn) => this.take(slotOfTurn(turn), name, value as Value))

  readonly registerAs = (
    ref: ActorRef<A>,
    ...[name, value]: RegisterArgs<Name, Value>
  ): Effect.Effect<void, AlreadyRegistered | HolderEnded> =>
    Effect.suspend((): Effect.Effect<void, AlreadyRegistered | HolderEnded> => {
      const slot = slotOf(ref)
      if (slot.isEnded) return Effect.fail(new HolderEnded({ registry: this.id, name, holder: ref.path }))
      return this.take(slot, name, value as Value)
    })

  readonly unregister = (name: Name) => Effect.sync(() => this.release(name))

  readonly unregisterWhere = (fits: (entry: Entry<A, Value, Name>) => boolean) =>
    Effect.map(ActorContext, (turn) => {
      const own = this.entries().filter((entry) => slotOf(entry.ref) === slotOfTurn(turn) && fits(entry))
      for (const entry of own) this.release(entry.name)
      return own.length
    })

  readonly update = (name: Name, f: (value: Value) => Value) =>
    Effect.flatMap(ActorContext, (turn): Effect.Effect<Value, NotRegistered | AlreadyRegistered> => {
      const held = this.find(name)
      if (held === undefined) return Effect.fail(new NotRegistered({ registry: this.id, name }))
      return Effect.as(this.take(slotOfTurn(turn), name, f(held.value)), held.value)
    })

  readonly lookup = (name: Name): Effect.Effect<ActorRef<A>, NotRegistered> =>
    Effect.suspend(() => {
      const held = this.find(name)
      return held === undefined ? Effect.fail(new NotRegistered({ registry: this.id, name })) : Effect.succeed(held.ref)
    })

  readonly whereIs = (name: Name) =>
    Effect.sync(() => Option.map(Option.fromUndefinedOr(this.find(name)), (held) => held.ref))

  readonly select = (fits: (entry: Entry<A, Value, Name>) => boolean = () => true) =>
    Effect.sync((): ReadonlyArray<Entry<A, Value, Name>> => this.entries().filter(fits))

  readonly changes: Stream.Stream<Change<A, Value, Name>> = Stream.suspend(() =>
    this.feed.stream(() => ({ _tag: "Snapshot", entries: this.entries() }))
  )

  readonly names: Stream.Stream<ReadonlySet<Name>> = Stream.suspend(() =>
    Stream.map(this.changes, () => new Set(this.entries().map((entry) => entry.name)))
  )

  readonly withLock =
    (name: Name) =>
    <B, E, R>(effect: Effect.Effect<B, E, R>): Effect.Effect<B, E, R> =>
      Effect.scoped(
        Effect.flatMap(RcMap.get(this.locks!, name), (lock) => Semaphore.withPermit(lock, effect))
      ) as Effect.Effect<B, E, Exclude<R, Scope.Scope>> as Effect.Effect<B, E, R>

  private take(slot: Slot, name: Name, value: Value): Effect.Effect<void, AlreadyRegistered> {
    return Effect.suspend(() => {
      const held = this.find(name)
      if (held !== undefined && slotOf(held.ref) !== slot) {
        return Effect.fail(new AlreadyRegistered({ registry: this.id, name, holder: held.ref.path }))
      }
      if (this.closed) return Effect.die(new NotRegistered({ registry: this.id, name }))
      held?.unwatch()
      const entry = { name, ref: slot.ref as ActorRef<A>, value }
      const unwatch = slot.watch(() => {
        // Another may have taken the name of one that has ended before this is told.
        if (this.heldBy(slot, name)) this.release(name)
      })
      MutableHashMap.set(this.held, name, { ...entry, unwatch })
      if (held === undefined) this.feed.publish({ _tag: "Registered", ...entry })
      return Effect.void
    })
  }

  /** A holder that has ended never blocks, whether or not the registry has been told yet. */
  private find(name: Name): Held<A, Value, Name> | undefined {
    const held = Option.getOrUndefined(MutableHashMap.get(this.held, name))
    if (held === undefined || !slotOf(held.ref).isEnded) return held
    this.release(name)
    return undefined
  }

  private heldBy(slot: Slot, name: Name): boolean {
    return Option.exists(MutableHashMap.get(this.held, name), (held) => slotOf(held.ref) === slot)
  }

  private release(name: Name): boolean {
    const held = Option.getOrUndefined(MutableHashMap.get(this.held, name))
    if (held === undefined) return false
    held.unwatch()
    MutableHashMap.remove(this.held, name)
    this.feed.publish({ _tag: "Unregistered", name: held.name, ref: held.ref, value: held.value })
    return true
  }

  private entries(): ReadonlyArray<Entry<A, Value, Name>> {
    const all = Array.from(MutableHashMap.values(this.held), ({ name, ref, value }) => ({ name, ref, value }))
    return all.filter((entry) => !slotOf(entry.ref).isEnded)
  }
}
