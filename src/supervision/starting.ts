/**
 * Starting one child: asked whether, waited for what its last run still holds, then init within its time.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { isIgnored } from "../actor/ignore.ts"
import { awaitDown, stopSlot } from "../actor/stopping.ts"
import * as ExitReason from "../runtime/ExitReason.ts"
import { provideOwn } from "../runtime/services.ts"
import type { Slot } from "../runtime/slot.ts"
import { Timer } from "../runtime/timers.ts"
import type { Child } from "./child.ts"
import { StartTimeout } from "./errors.ts"

/** How a start went: `true` when the child is up, `false` when its `when`, or its init, left it out. @internal */
export type Started = Exit.Exit<boolean, unknown>

/**
 * Starts a child. An exit comes back where nothing had to be waited for, else an effect that waits; interrupting that
 * stops the half-started child.
 *
 * @internal
 */
export const start = (child: Child): Started | Effect.Effect<Started> => {
  const { ready, when } = child.spec
  if (ready !== undefined) return untilReady(child, ready)
  return when === undefined && child.slot.isReleased ? startWithin(child) : startAfter(child)
}

/** Its end before the gate opens is a failed start, not news. */
const untilReady = (child: Child, ready: Effect.Effect<unknown, unknown>): Effect.Effect<Started> =>
  Effect.gen(function* () {
    const { slot, spec } = child
    const begun = slot.system.timers.now()
    const started = yield* startAfter(child)
    if (Exit.isFailure(started) || !started.value) return started
    child.state = "starting"
    child.asked = true
    const left = Math.max(0, spec.startTimeout - (slot.system.timers.now() - begun))
    const late = Effect.fail(new StartTimeout({ path: slot.path, after: spec.startTimeout }))
    const gate = Effect.provideContext(ready, child.tree.context)
    const opened = Effect.timeoutOrElse(gate, { duration: left, orElse: () => late })
    const exit = yield* Effect.exit(Effect.raceFirst(opened, endedEarly(slot)))
    if (Exit.isSuccess(exit)) {
      child.asked = false
      child.started()
      return Exit.succeed(true)
    }
    yield* stopSlot(slot, ExitReason.Shutdown(), spec.shutdown)
    child.asked = false
    child.state = "stopped"
    return exit as Exit.Exit<never, unknown>
  })

const endedEarly = (slot: Slot): Effect.Effect<never, unknown> =>
  Effect.flatMap(awaitDown(slot), (reason) => {
    const exit = ExitReason.toExit(reason)
    return Exit.isFailure(exit) ? Effect.failCause(exit.cause) : Effect.interrupt
  })

const startAfter = (child: Child): Effect.Effect<Started> =>
  Effect.gen(function* () {
    const { when } = child.spec
    if (when !== undefined) {
      const wanted = yield* Effect.exit(Effect.provideContext(when, child.tree.context))
      if (Exit.isFailure(wanted)) return wanted
      if (!wanted.value) return leftOut(child)
    }
    if (!child.slot.isReleased) yield* awaitRelease(child)
    const started = startWithin(child)
    return isNow(started) ? started : yield* started
  })

/** Whether nothing has to be waited for. @internal */
export const isNow = (started: Started | Effect.Effect<Started>): started is Started => Exit.isExit(started)

const leftOut = (child: Child): Exit.Exit<boolean> => {
  child.state = "stopped"
  // Whoever asks it is told at once that it does not run.
  child.slot.finish(ExitReason.Normal)
  return Exit.succeed(false)
}

const finished = (child: Child, exit: Exit.Exit<void, unknown>): Exit.Exit<boolean, unknown> => {
  if (Exit.isSuccess(exit)) {
    // It may have done its first turn, and ended in it, by the time this is heard.
    if (child.slot.isUp) child.started()
    return Exit.succeed(true)
  }
  if (isIgnored(exit.cause)) return leftOut(child)
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

const startWithin = (child: Child): Started | Effect.Effect<Started> => {
  const { slot } = child
  let exit: Exit.Exit<void, unknown> | undefined
  let tell = (started: Exit.Exit<void, unknown>): void => {
    exit = started
  }
  child.state = "starting"
  provideOwn(slot, child.tree.context)
  slot.start((started) => tell(started))
  if (exit !== undefined) return finished(child, exit)
  return Effect.callback<Started>((resume) => {
    if (exit !== undefined) return resume(Effect.succeed(finished(child, exit)))
    const limits = limitStart(child)
    tell = (started) => resume(Effect.succeed(finished(child, limits.over(started))))
  })
}

/** Stops an init that takes too long; one that does not even stop is killed after the child's time to stop. */
const limitStart = (child: Child): { readonly over: (exit: Exit.Exit<void, unknown>) => Exit.Exit<void, unknown> } => {
  const { slot, spec } = child
  const { timers } = slot.system
  let late = false
  const killer = new Timer(() => slot.kill())
  const timer = new Timer(() => {
    late = true
    timers.add(killer, spec.shutdown === "kill" ? 0 : spec.shutdown)
    slot.stop(ExitReason.Shutdown())
  })
  timers.add(timer, spec.startTimeout)
  return {
    over: (exit) => {
      timers.remove(timer)
      timers.remove(killer)
      return late ? Exit.fail(new StartTimeout({ path: slot.path, after: spec.startTimeout })) : exit
    }
  }
}
