/**
 * Asking a supervisor for something: done in a turn of its own, refused at once when it has ended.
 */
import * as Effect from "effect/Effect"
import { Envelope } from "../runtime/envelope.ts"
import type { Slot } from "../runtime/slot.ts"
import { Child } from "./child.ts"
import { SupervisorNotRunning } from "./errors.ts"
import type { SupervisorNode } from "./node.ts"

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

/**
 * Does something in a turn of the supervisor's. Whoever asked may leave: the work goes on.
 *
 * @internal
 */
export const request = <A, E>(
  node: SupervisorNode,
  work: () => Effect.Effect<A, E>
): Effect.Effect<A, E | SupervisorNotRunning> =>
  Effect.callback((resume) => {
    const { slot } = node
    const refuse = () => resume(Effect.fail(new SupervisorNotRunning({ path: node.path })))
    if (slot.isEnded || staysDown(slot)) return refuse()
    const answered = Effect.flatMap(Effect.exit(Effect.suspend(work)), (exit) => Effect.sync(() => resume(exit)))
    slot.offer(new Request(() => Effect.onInterrupt(answered, () => Effect.sync(refuse)), refuse), undefined)
  })
