/**
 * Starting one child: asked whether, waited for what its last run still holds, then init within its time.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as ExitReason from "../runtime/ExitReason.ts"
import { Timer } from "../runtime/timers.ts"
import type { Child } from "./child.ts"
import { StartTimeout } from "./errors.ts"
import type { Tree } from "./tree.ts"

/**
 * Starts a child whose init needs no waiting. `undefined`: it cannot be said at once, and nothing has been begun.
 *
 * @internal
 */
export const startNow = (child: Child, tree: Tree): Exit.Exit<boolean, unknown> | undefined => {
  const { slot, spec } = child
  if (spec.when !== undefined || !slot.isReleased || !Exit.isExit(slot.program.init)) return undefined
  slot.context = tree.context
  let exit: Exit.Exit<void, unknown> | undefined
  slot.start((started) => {
    exit = started
  })
  return finished(child, exit!)
}

/**
 * Starts a child. The exit holds `false` when its `when` left it out. Interrupting it stops the half-started child.
 *
 * @internal
 */
export const startChild = (child: Child, tree: Tree): Effect.Effect<Exit.Exit<boolean, unknown>> =>
  Effect.gen(function*() {
    const { slot, spec } = child
    if (spec.when !== undefined) {
      const wanted = yield* Effect.exit(Effect.provideContext(spec.when, tree.context))
      if (Exit.isFailure(wanted)) return wanted
      if (!wanted.value) return leftOut(child)
    }
    child.state = "starting"
    if (!slot.isReleased) yield* awaitRelease(child)
    slot.context = tree.context
    return finished(child, yield* startWithin(child))
  })

const leftOut = (child: Child): Exit.Exit<boolean> => {
  child.state = "stopped"
  return Exit.succeed(false)
}

const finished = (child: Child, exit: Exit.Exit<void, unknown>): Exit.Exit<boolean, unknown> => {
  if (Exit.isSuccess(exit)) {
    child.started()
    return Exit.succeed(true)
  }
  child.state = "stopped"
  return exit as Exit.Exit<never, unknown>
}

/** What a killed run still holds is waited for, but not for ever: after the child's shutdown time it stays a zombie. */
const awaitRelease = (child: Child): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const { timers } = child.slot.system
    const timer = new Timer(() => resume(Effect.void))
    const limit = child.spec.shutdown === "kill" ? 0 : child.spec.shutdown
    timers.add(timer, limit)
    child.slot.whenReleased(() => {
      timers.remove(timer)
      resume(Effect.void)
    })
    return Effect.sync(() => timers.remove(timer))
  })

const startWithin = (child: Child): Effect.Effect<Exit.Exit<void, unknown>> =>
  Effect.callback((resume) => {
    const { slot, spec } = child
    const { timers } = slot.system
    let over = false
    let late = false
    const timer = new Timer(() => {
      late = true
      slot.stop(ExitReason.Shutdown())
      if (over) return
      // An init that cannot be interrupted gets the time to stop that the child has, and no more.
      timers.add(killer, spec.shutdown === "kill" ? 0 : spec.shutdown)
    })
    const killer = new Timer(() => slot.kill())
    slot.start((exit) => {
      over = true
      timers.remove(timer)
      timers.remove(killer)
      resume(Effect.succeed(late ? Exit.fail(new StartTimeout({ path: slot.path, after: spec.startTimeout })) : exit))
    })
    if (!over) timers.add(timer, spec.startTimeout)
  })
