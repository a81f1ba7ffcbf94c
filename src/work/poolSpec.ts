/**
 * A pool as a child spec: a supervisor over the members, which come and go, and the router that stands for them.
 */
import * as Context from "effect/Context"
import * as Result from "effect/Result"
import type { ActorRef } from "../actor/ActorRef.ts"
import { type Behavior, type BehaviorImpl, implOf } from "../actor/Behavior.ts"
import { limitMillis } from "../actor/limit.ts"
import { ofBehavior, ofSupervisor, type SpecImpl, type SupervisorTarget } from "../supervision/ChildSpec.ts"
import { DynamicChildren, specOf as membersSpecOf } from "../supervision/dynamicChildren.ts"
import type { DynamicOptions } from "../supervision/dynamicOptions.ts"
import type { SupervisorNode } from "../supervision/node.ts"
import { DefaultPartitions } from "../supervision/PartitionSupervisor.ts"
import * as Autoscale from "./Autoscale.ts"
import { flawOf, type Options } from "./poolOptions.ts"
import { PoolRouter, poolOf } from "./poolRouter.ts"
import { RoutingBehavior } from "./routingBehavior.ts"
import type { RouterSlot } from "./routing.ts"

type Template = Behavior<unknown, unknown, unknown, unknown>
type AnyOptions = Options<never, never>

const MEMBERS = "members"
const ROUTER = "router"

/** @internal */
export const specOf = (behavior: unknown, given: unknown): SpecImpl => {
  const options = (typeof given === "object" && given !== null ? given : {}) as AnyOptions
  const template = behavior as Template
  const flaw = flawOf(behavior, options)
  const id = options.id ?? (flaw?.field === "behavior" ? "pool" : template.name)
  if (flaw !== undefined) return ofSupervisor(id, { children: [] }, { flaw })
  const { size } = options
  if (size !== undefined) return sized(id, template, options, size)
  const resolve = (services: Context.Context<never>) =>
    sized(id, template, options, Context.get(services, DefaultPartitions))
  return sized(id, template, options, 1, resolve)
}

const sized = (
  id: string,
  template: Template,
  options: AnyOptions,
  size: NonNullable<AnyOptions["size"]>,
  resolve?: SupervisorTarget["resolve"]
): SpecImpl => {
  const { concurrency, id: _, killAfter, queue, retries = 0, route = "least-loaded", size: __, ...each } = options
  const isKeyed = typeof route === "object"
  const { intensity, ...every } = each
  const forMembers: DynamicOptions<never> = intensity === undefined ? every : { ...every, intensity }
  const member = isKeyed && queue !== undefined ? queueing(template, queue) : template
  const router = new RoutingBehavior(implOf(template), {
    route,
    queue,
    retries,
    limit: isKeyed ? Infinity : (concurrency ?? 1),
    killAfter: killAfter === undefined ? Infinity : limitMillis("killAfter", killAfter),
    waitsForMembers: true,
    boot: (slot) => poolOf(slot)!.boot
  })
  const make = (node: SupervisorNode): ActorRef<unknown> => {
    const slot = node.children.get(ROUTER)!.slot as RouterSlot
    const members = node.nodeOf(node.children.get(MEMBERS)!)!
    const scaling = typeof size === "number" ? size : Result.getOrThrow(Autoscale.make(size))
    PoolRouter.wire(slot, new DynamicChildren(members, member, forMembers), scaling)
    return slot.ref as ActorRef<unknown>
  }
  return ofSupervisor(
    id,
    {
      children: [membersOf(member, forMembers), routerOf(router)],
      // The members have a budget; when it is used up, that is the end of the pool.
      intensity: { restarts: 0, within: "1 second" },
      autoShutdown: "any-significant",
      ...(options.restart === undefined ? undefined : { restart: options.restart })
    },
    { provides: { key: implOf(template).key.key, make }, resolve }
  )
}

/** Where messages of one key stay together, what waits, waits with its member. */
const queueing = (template: Template, queue: NonNullable<AnyOptions["queue"]>): Template => {
  const behavior: BehaviorImpl = implOf(template)
  const mailbox = { ...behavior.options.mailbox, ...queue }
  return behavior.copy({ options: { ...behavior.options, mailbox } }) as unknown as Template
}

const membersOf = (template: Template, options: DynamicOptions<never>): SpecImpl => {
  const spec = membersSpecOf(MEMBERS, template, options)
  // One that takes long to make must not keep the others from being made anew.
  return { ...spec, target: { ...(spec.target as SupervisorTarget), provides: undefined, together: true } }
}

/** It ends by itself when it is drained, or deserted: that is the end of the pool. */
const routerOf = (behavior: RoutingBehavior): SpecImpl =>
  ofBehavior(behavior as never, { id: ROUTER, restart: "transient", significant: true, startTimeout: Infinity }, false)
