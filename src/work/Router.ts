/**
 * Choosing among actors: a router stands for others, which come and go, and gives each message to one of them. It keeps none
 * alive and queues nothing; what does both is a `Pool`.
 *
 * A router is a behavior, so it is spawned or supervised as any other, and its ref is asked as any other. Its members are a list of
 * refs, or whoever is in a group. What is sent while there are none is a dead letter, `NoMembers`, and an ask fails at once.
 *
 * The functions below ask several at a time: all, the first that answers, a quorum, or one more whenever it takes too long.
 *
 * **Example** (Whoever is in the group)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, Group, Router, Supervisor } from "effect-otp"
 *
 * class Printer extends Actor.Service<Printer>()("docs/Printer", { Print: { success: Schema.String } }) {}
 * class Printers extends Group.Service<Printers>()("docs/Printers", Printer) {}
 *
 * const PrinterLive = Printer.behavior((floor: number) => Effect.gen(function*() {
 *   yield* Printers.join("colour")
 *   return Printer.of({ Print: () => `floor ${floor}` })
 * }))
 *
 * const program = Effect.gen(function*() {
 *   yield* Actor.spawn(PrinterLive, 1)
 *   yield* Actor.spawn(PrinterLive, 2)
 *   const printer = yield* Actor.spawn(Router.behavior(Printer, { group: Printers, key: "colour", route: "round-robin" }))
 *   return [yield* printer.ask.Print(), yield* printer.ask.Print(), yield* printer.ask.Print()]
 * })
 * const App = Supervisor.layer(Supervisor.make("office", { children: [Printers.child] }))
 * await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(App))) // => ["floor 1", "floor 2", "floor 1"]
 * ```
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Compiled, type Protocol } from "../actor/Protocol.ts"
import { type ActorRef, type Key as ActorKey, slotOf } from "../actor/ActorRef.ts"
import { type Behavior, BehaviorImpl, InvalidOption } from "../actor/Behavior.ts"
import type * as Group from "../registry/Group.ts"
import { routeFlaw } from "./poolOptions.ts"
import type { Route } from "./routes.ts"
import { RoutingBehavior } from "./routingBehavior.ts"
import type { RouterSlot } from "./routing.ts"

export {
  /** Tells each of them. @since 0.1.0 */
  broadcast,
  /** Asks all, takes the first reply. @since 0.1.0 */
  first,
  /** Asks one more whenever it takes too long. @since 0.1.0 */
  hedged,
  /** Asks all, takes the first replies. @since 0.1.0 */
  quorum,
  /** Fewer replied than were needed. @since 0.1.0 */
  QuorumNotReached
} from "./gathering.ts"

export type {
  /** A message as a route sees it. @since 0.1.0 */
  MessageOf,
  /** Who gets a message. @since 0.1.0 */
  Route
} from "./routes.ts"

/**
 * Who the members are, and who of them gets a message (default `least-loaded`, counted by what this router has sent).
 *
 * @category models
 * @since 0.1.0
 */
export type Options<A, Self = never, Key = never> = { readonly route?: Route<A> } & (
  | { readonly members: ReadonlyArray<ActorRef<A>>; readonly group?: never; readonly key?: never }
  | { readonly group: Group.Class<Self, A, Key>; readonly key: Key; readonly members?: never }
)

/**
 * The behavior of a router for actors, or machines, of this class. Members that end leave it; those of a group follow the group. Options that make no
 * sense throw `InvalidOption` here.
 *
 * @category constructors
 * @since 0.1.0
 */
export const behavior = <A, Self = never, Key = never>(
  actor: ActorKey<A> & { readonly protocol: Protocol },
  options: Options<A, Self, Key>
): Behavior<A, void, never, Self> => {
  const base = new BehaviorImpl(
    actor as unknown as ActorKey<unknown>,
    new Compiled(actor.protocol),
    Effect.succeed({}),
    {}
  )
  const route = options.route ?? "least-loaded"
  const flaw = routeFlaw(route)
  if (flaw !== undefined) throw new InvalidOption({ actor: `a router for ${base.name}`, ...flaw })
  return new RoutingBehavior(base, {
    route: route as Route<never>,
    queue: undefined,
    limit: Infinity,
    retries: 0,
    killAfter: Infinity,
    waitsForMembers: false,
    boot: (router) => follow(router, options as unknown as Options<unknown, unknown, unknown>) as Effect.Effect<unknown>
  }) as never
}

const follow = (router: RouterSlot, options: Options<unknown, unknown, unknown>) => {
  // One that is in its own group, or gives to one that is, would give messages to itself.
  const add = (refs: ReadonlyArray<ActorRef<unknown>>): void => {
    for (const slot of refs.map(slotOf)) if (!router.isReachedFrom(slot)) router.members.add(slot)
  }
  const { group, key, members } = options
  if (group === undefined) return Effect.sync(() => add(members))
  return Effect.gen(function* () {
    const groups: Context.Service.Shape<typeof group> = yield* group
    const present = yield* groups.members(key)
    const places = new Set(present.map(slotOf))
    // Who has left while it was down.
    for (const slot of router.members.all.keys()) if (!places.has(slot)) router.members.leave(slot)
    add(present)
    yield* Effect.forkScoped(
      Stream.runForEach(groups.changes(key), (change) =>
        Effect.sync(() => {
          if (change._tag === "Joined") add([change.ref])
          else if (change._tag === "Snapshot") add(change.groups.flatMap(([, refs]) => refs))
          else router.members.leave(slotOf(change.ref))
        })
      )
    )
  })
}
