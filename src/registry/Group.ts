/**
 * Many actors under one key, found together. Joins are counted: who joins twice leaves by leaving twice. A member that ends
 * for good leaves all its groups; a restart is no end.
 *
 * **Example** (Telling all members)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Group, Supervisor } from "effect-otp"
 *
 * class Lamp extends Actor.Service<Lamp>()("docs/Lamp", { Dim: {} }) {}
 * class Lamps extends Group.Service<Lamps>()("docs/Lamps", Lamp) {}
 *
 * const LampLive = Lamp.behavior((room: string) => Effect.gen(function*() {
 *   yield* Lamps.join(room)
 *   return Lamp.of({ Dim: () => {} })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   yield* Actor.spawn(LampLive, "kitchen")
 *   yield* Actor.spawn(LampLive, "kitchen")
 *   return yield* Lamps.broadcast("kitchen", (lamp) => lamp.tell.Dim())
 * })
 * const App = Supervisor.layer(Supervisor.make("house", { children: [Lamps.child] }))
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(App))) // => 2
 * ```
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Equal from "effect/Equal"
import * as Stream from "effect/Stream"
import { ActorContext, slotOf as slotOfTurn } from "../actor/ActorContext.ts"
import { type ActorRef, slotOf } from "../actor/ActorRef.ts"
import type { Slot } from "../runtime/slot.ts"
import { type ChildSpec, service } from "../supervision/Supervisor.ts"
import { Feed } from "./feed.ts"

/**
 * An actor that has ended for good cannot join.
 *
 * @category errors
 * @since 0.1.0
 */
export class MemberEnded extends Schema.TaggedError<MemberEnded>()("MemberEnded", {
  group: Schema.String,
  member: Schema.String
}) {
  override get message(): string {
    return `${this.group}: ${this.member} has ended and cannot join`
  }
}

/**
 * What a subscriber is told: the members first, then each that joins or leaves. A member is told once however often it
 * joined.
 *
 * @category models
 * @since 0.1.0
 */
export type Change<A, Key = string> =
  | { readonly _tag: "Snapshot"; readonly groups: ReadonlyArray<readonly [Key, ReadonlyArray<ActorRef<A>>]> }
  | { readonly _tag: "Joined"; readonly key: Key; readonly ref: ActorRef<A> }
  | { readonly _tag: "Left"; readonly key: Key; readonly ref: ActorRef<A> }

/**
 * The groups of one kind of actor, by key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape<A, Key = string> {
  /** Lets this actor join. */
  readonly join: (key: Key) => Effect.Effect<void, never, ActorContext>
  /** Lets another actor join. */
  readonly joinAs: (ref: ActorRef<A>, key: Key) => Effect.Effect<void, MemberEnded>
  /** Takes one join of this actor back; `false` when it had none. */
  readonly leave: (key: Key) => Effect.Effect<boolean, never, ActorContext>
  /** Takes one join of another actor back. */
  readonly leaveAs: (ref: ActorRef<A>, key: Key) => Effect.Effect<boolean>
  /** The members, in the order in which they joined. */
  readonly members: (key: Key) => Effect.Effect<ReadonlyArray<ActorRef<A>>>
  /** The keys that have members. */
  readonly keys: Effect.Effect<ReadonlyArray<Key>>
  /** The keys under which an actor stands. */
  readonly keysOf: (ref: ActorRef<A>) => Effect.Effect<ReadonlyArray<Key>>
  /** Does something with each member, one after the other; tells how many there were. */
  readonly broadcast: <E, R>(
    key: Key,
    f: (ref: ActorRef<A>) => Effect.Effect<unknown, E, R>
  ) => Effect.Effect<number, E, R>
  /** Does something once with all members; not at all when there are none. */
  readonly dispatch: <E, R>(
    key: Key,
    f: (members: ReadonlyArray<ActorRef<A>>) => Effect.Effect<unknown, E, R>
  ) => Effect.Effect<void, E, R>
  /** The members first, then each change; of one key, or of all. */
  readonly changes: (key?: Key) => Stream.Stream<Change<A, Key>>
}

/**
 * A group class: the service key of its groups, and the child spec to list in a tree.
 *
 * @category models
 * @since 0.1.0
 */
export interface Class<Self, A, Key> extends Context.Key<Self, Shape<A, Key>> {
  new (_: never): {}
  /** Lets this actor join. */
  readonly join: (key: Key) => Effect.Effect<void, never, ActorContext | Self>
  /** Lets another actor join. */
  readonly joinAs: (ref: ActorRef<A>, key: Key) => Effect.Effect<void, MemberEnded, Self>
  /** Takes one join of this actor back. */
  readonly leave: (key: Key) => Effect.Effect<boolean, never, ActorContext | Self>
  /** Takes one join of another actor back. */
  readonly leaveAs: (ref: ActorRef<A>, key: Key) => Effect.Effect<boolean, never, Self>
  /** The members, in the order in which they joined. */
  readonly members: (key: Key) => Effect.Effect<ReadonlyArray<ActorRef<A>>, never, Self>
  /** The keys that have members. */
  readonly keys: Effect.Effect<ReadonlyArray<Key>, never, Self>
  /** The keys under which an actor stands. */
  readonly keysOf: (ref: ActorRef<A>) => Effect.Effect<ReadonlyArray<Key>, never, Self>
  /** Does something with each member. */
  readonly broadcast: <E, R>(
    key: Key,
    f: (ref: ActorRef<A>) => Effect.Effect<unknown, E, R>
  ) => Effect.Effect<number, E, R | Self>
  /** Does something once with all members. */
  readonly dispatch: <E, R>(
    key: Key,
    f: (members: ReadonlyArray<ActorRef<A>>) => Effect.Effect<unknown, E, R>
  ) => Effect.Effect<void, E, R | Self>
  /** The members first, then each change. */
  readonly changes: (key?: Key) => Stream.Stream<Change<A, Key>, never, Self>
  /** The groups as a child. When it restarts, all groups are empty. */
  readonly child: ChildSpec<Self, never, never>
  /** The groups outside a tree. */
  readonly layer: Layer.Layer<Self>
}

/**
 * Defines groups of actors of one class: `class Lamps extends Group.Service<Lamps>()("app/Lamps", Lamp) {}`. Keys are texts
 * unless the second type parameter says otherwise, and compared structurally.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self, Key = string>() =>
  <A>(id: string, _actor: Context.Key<A, ActorRef<A>>): Class<Self, A, Key> => {
    type S = Shape<A, Key>
    const key = Context.Service<Self, S>()(id)
    const layer = Layer.effect(
      key,
      Effect.flatMap(Effect.serviceOption(key), (existing) => openGroups<A, Key>(id, existing))
    )
    const call =
      <K extends Exclude<keyof S, "keys" | "changes">>(name: K) =>
      (...args: ReadonlyArray<never>) =>
        Effect.flatMap(key, (shape) =>
          (shape[name] as (...args: ReadonlyArray<never>) => Effect.Effect<unknown>)(...args)
        )
    return Object.assign(key, {
      join: call("join"),
      joinAs: call("joinAs"),
      leave: call("leave"),
      leaveAs: call("leaveAs"),
      members: call("members"),
      keys: Effect.flatMap(key, (shape) => shape.keys),
      keysOf: call("keysOf"),
      broadcast: call("broadcast"),
      dispatch: call("dispatch"),
      changes: (of?: Key) => Stream.unwrap(Effect.map(key, (shape) => shape.changes(of))),
      child: service(id, layer),
      layer
    }) as unknown as Class<Self, A, Key>
  }

const openGroups = <A, Key>(id: string, existing: Option.Option<Shape<A, Key>>) => {
  const before = Option.getOrUndefined(existing)
  const groups =
    before instanceof Groups && before.closed ? (before as unknown as Groups<A, Key>) : new Groups<A, Key>(id)
  return Effect.as(
    Effect.acquireRelease(
      Effect.sync(() => groups.open()),
      () => Effect.sync(() => groups.close())
    ),
    groups as Shape<A, Key>
  )
}

/** One actor under one key. */
interface Membership<A> {
  readonly ref: ActorRef<A>
  readonly unwatch: () => void
  joins: number
}

class Groups<A, Key> implements Shape<A, Key> {
  closed = true
  private readonly id: string
  private readonly groups = MutableHashMap.empty<Key, Map<Slot, Membership<A>>>()
  private readonly feed = new Feed<Change<A, Key>>()

  constructor(id: string) {
    this.id = id
  }

  open(): void {
    this.closed = false
  }

  close(): void {
    this.closed = true
    for (const [key, members] of this.groups) for (const slot of [...members.keys()]) this.remove(slot, key)
  }

  readonly join = (key: Key) => Effect.map(ActorContext, (turn) => this.add(slotOfTurn(turn), key))

  readonly joinAs = (ref: ActorRef<A>, key: Key): Effect.Effect<void, MemberEnded> =>
    Effect.suspend(() => {
      const slot = slotOf(ref)
      if (slot.isEnded) return Effect.fail(new MemberEnded({ group: this.id, member: ref.path }))
      return Effect.sync(() => this.add(slot, key))
    })

  readonly leave = (key: Key) => Effect.map(ActorContext, (turn) => this.takeBack(slotOfTurn(turn), key))

  readonly leaveAs = (ref: ActorRef<A>, key: Key) => Effect.sync(() => this.takeBack(slotOf(ref), key))

  readonly members = (key: Key) => Effect.sync(() => this.refsOf(key))

  readonly keys = Effect.sync((): ReadonlyArray<Key> => Array.from(MutableHashMap.keys(this.groups)))

  readonly keysOf = (ref: ActorRef<A>) =>
    Effect.sync((): ReadonlyArray<Key> => {
      const slot = slotOf(ref)
      return Array.from(this.groups)
        .filter(([, members]) => members.has(slot))
        .map(([key]) => key)
    })

  readonly broadcast = <E, R>(key: Key, f: (ref: ActorRef<A>) => Effect.Effect<unknown, E, R>) =>
    Effect.suspend(() => {
      const members = this.refsOf(key)
      return Effect.as(Effect.forEach(members, f, { discard: true }), members.length)
    })

  readonly dispatch = <E, R>(key: Key, f: (members: ReadonlyArray<ActorRef<A>>) => Effect.Effect<unknown, E, R>) =>
    Effect.suspend((): Effect.Effect<void, E, R> => {
      const members = this.refsOf(key)
      return members.length === 0 ? Effect.void : Effect.asVoid(f(members))
    })

  readonly changes = (key?: Key): Stream.Stream<Change<A, Key>> =>
    Stream.suspend(() =>
      this.feed.stream(
        () => ({ _tag: "Snapshot", groups: this.snapshot(key) }),
        (change) => key === undefined || change._tag === "Snapshot" || Equal.equals(change.key, key)
      )
    )

  private snapshot(key: Key | undefined): ReadonlyArray<readonly [Key, ReadonlyArray<ActorRef<A>>]> {
    const keys = key === undefined ? Array.from(MutableHashMap.keys(this.groups)) : [key]
    return keys.map((each) => [each, this.refsOf(each)] as const).filter(([, members]) => members.length > 0)
  }

  private refsOf(key: Key): ReadonlyArray<ActorRef<A>> {
    const members = this.groupOf(key)
    if (members === undefined) return []
    return Array.from(members)
      .filter(([slot]) => !slot.isEnded)
      .map(([, member]) => member.ref)
  }

  private groupOf(key: Key): Map<Slot, Membership<A>> | undefined {
    return Option.getOrUndefined(MutableHashMap.get(this.groups, key))
  }

  private add(slot: Slot, key: Key): void {
    let members = this.groupOf(key)
    if (members === undefined) MutableHashMap.set(this.groups, key, (members = new Map()))
    const member = members.get(slot)
    if (member !== undefined) {
      member.joins++
      return
    }
    const ref = slot.ref as ActorRef<A>
    members.set(slot, { ref, unwatch: slot.watch(() => void this.remove(slot, key)), joins: 1 })
    this.feed.publish({ _tag: "Joined", key, ref })
  }

  private takeBack(slot: Slot, key: Key): boolean {
    const member = this.groupOf(key)?.get(slot)
    if (member === undefined) return false
    member.joins--
    if (member.joins === 0) this.remove(slot, key)
    return true
  }

  private remove(slot: Slot, key: Key): void {
    const members = this.groupOf(key)
    const member = members?.get(slot)
    if (members === undefined || member === undefined) return
    member.unwatch()
    members.delete(slot)
    if (members.size === 0) MutableHashMap.remove(this.groups, key)
    this.feed.publish({ _tag: "Left", key, ref: member.ref })
  }
}
