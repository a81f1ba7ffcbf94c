/**
 * The behavior of a router: it makes the router's place, finds its members when it starts, and handles nothing.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { BehaviorImpl } from "../actor/Behavior.ts"
import type { MailboxOptions } from "../runtime/admission.ts"
import type { Incarnation } from "../runtime/incarnation.ts"
import type { Owner, Slot } from "../runtime/slot.ts"
import type { System } from "../runtime/system.ts"
import { type Init, NO_HANDLERS } from "../runtime/turns.ts"
import { type AnyRoute, chooserOf } from "./routes.ts"
import { RouterSlot, type Routing } from "./routing.ts"

/** What a router is made of. @internal */
export interface RouterOptions extends Omit<Routing, "chooser"> {
  readonly route: AnyRoute
  readonly queue: MailboxOptions | undefined
  /** Finds its members; run at each start. */
  readonly boot: (router: RouterSlot) => Effect.Effect<unknown, unknown>
}

/** @internal */
export class RoutingBehavior extends BehaviorImpl {
  private readonly router: RouterOptions

  /** `base` says what it is a router for: any behavior of that actor. */
  constructor(base: BehaviorImpl, router: RouterOptions) {
    super(base.key, base.compiled, Effect.succeed({}), {}, base.layers)
    this.router = router
  }

  override copy(changed: { readonly layers?: BehaviorImpl["layers"] }): BehaviorImpl {
    const base = new BehaviorImpl(this.key, this.compiled, Effect.succeed({}), {}, changed.layers ?? this.layers)
    return new RoutingBehavior(base, this.router)
  }

  override place(
    system: System,
    owner: Owner,
    context: Context.Context<never>,
    parentPath: string,
    name: string | number
  ): Slot {
    const program = this.program(undefined)
    const { queue } = this.router
    return new RouterSlot(system, program, owner, context, parentPath, name, queue, this.routing(context))
  }

  /** How a router of this behavior treats its members. */
  routing(context: Context.Context<never>): Routing {
    const { route, ...routing } = this.router
    const random = Context.get(context, Random.Random)
    return { ...routing, chooser: chooserOf(route, () => random.nextDoubleUnsafe()) }
  }

  override init(_: unknown, incarnation: Incarnation): Init {
    return Effect.as(this.router.boot(incarnation.host as RouterSlot), NO_HANDLERS)
  }
}
