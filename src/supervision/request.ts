/**
 * Asking a supervisor for something: done in a turn of its own, refused at once when it has ended.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { Envelope } from "../runtime/envelope.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import { ActorContext } from "../runtime/incarnation.ts"
import type { Slot } from "../runtime/slot.ts"
import { Child } from "./child.ts"
import { SupervisorNotRunning } from "./errors.ts"
import type { SupervisorNode } from "./node.ts"
import type { Started } from "./starting.ts"

class Request extends Envelope {
  private readonly work: () => Effect.Effect<unknown, unknown>
  private readonly refuse: () => void

  constructor(work: () => Effect.Effect<unknown, unknown>, refuse: () => void) {
    super(-1, undefined)
    this.work = work
    this.refuse = refuse
  }

  override deliver(): unknown {
    return this.work()
  }

  override undelivered(): boolean {
    this.refuse()
    return true
  }
}

/** It stands still, and its own supervisor does not mean to start it. */
const staysDown = ({ isDown, owner }: Slot): boolean => isDown && owner instanceof Child && owner.state === "stopped"

/** Asked from below while it stops: it would wait for whoever waits for it. */
const holdsUp = (fiber: Fiber.Fiber<unknown, unknown>, { path, slot }: SupervisorNode): boolean => {
  if (slot.status !== "stopping") return false
  const turn = Context.getOrUndefined(fiber.context as Context.Context<ActorContext>, ActorContext)
  return turn?.incarnation.host.path.startsWith(`${path}/`) === true
}

/** A start that somebody asked for, and may leave before it is done: then it is as if it had never been asked for (R9). */
class Asked {
  private left = false
  private child: Child | undefined = undefined
  private readonly node: SupervisorNode

  constructor(node: SupervisorNode) {
    this.node = node
  }

  readonly start = (child: Child): Effect.Effect<Started> =>
    Effect.suspend(() => {
      if (this.left) return Effect.succeed(Exit.interrupt())
      this.child = child
      return Effect.flatMap(this.node.start(child), (started) => {
        if (!this.left || Exit.isFailure(started)) return Effect.succeed(started)
        return Effect.as(this.node.stop(child) ?? Effect.void, Exit.interrupt())
      })
    })

  leave(): void {
    this.left = true
    if (this.child?.state === "starting") this.child.slot.stop(ExitReason.Shutdown())
  }
}

/**
 * Starts something in a turn of the supervisor's. Where whoever asked leaves, the half-started child is stopped.
 *
 * @internal
 */
export const requestStart = <A, E>(
  node: SupervisorNode,
  work: (start: (child: Child) => Effect.Effect<Started>) => Effect.Effect<A, E>
): Effect.Effect<A, E | SupervisorNotRunning> =>
  Effect.suspend(() => {
    const asked = new Asked(node)
    return Effect.onInterrupt(
      request(node, () => work(asked.start)),
      () => Effect.sync(() => asked.leave())
    )
  })

/**
 * Does something in a turn of the supervisor's. Whoever asked may leave: the work goes on.
 *
 * @internal
 */
export const request = <A, E>(
  node: SupervisorNode,
  work: () => Effect.Effect<A, E>
): Effect.Effect<A, E | SupervisorNotRunning> =>
  Effect.withFiber((fiber) => {
    if (holdsUp(fiber, node)) return Effect.fail(new SupervisorNotRunning({ path: node.path }))
    return Effect.callback((resume) => {
      const { slot } = node
      const refuse = () => resume(Effect.fail(new SupervisorNotRunning({ path: node.path })))
      if (slot.isEnded || staysDown(slot)) return refuse()
      const answered = Effect.flatMap(Effect.exit(Effect.suspend(work)), (exit) => Effect.sync(() => resume(exit)))
      slot.offer(new Request(() => Effect.onInterrupt(answered, () => Effect.sync(refuse)), refuse), undefined)
    })
  })
