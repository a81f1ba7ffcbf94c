/**
 * Handlers that are special: those that run beside others, or take several messages at once. Special handlers stay
 * functions, branded, so that a table of handlers reads and types as one of plain functions.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Item } from "../runtime/mailbox.ts"
import { type CompiledHandler, InPlace, type Performable, type Turns } from "../runtime/turns.ts"
import { compileBatched } from "./batching.ts"

const Concurrent = "~effect-otp/concurrent"

/** @internal */
export const markConcurrent = <F extends (payload: never) => unknown>(handler: F): F =>
  Object.assign((payload: never) => handler(payload), { [Concurrent]: true }) as unknown as F

/** A handler as the engine calls it, with what `around` puts around it. @internal */
export const compileHandler = (
  handler: CompiledHandler,
  around?: (handler: CompiledHandler) => CompiledHandler
): CompiledHandler => {
  if (Concurrent in handler) {
    const run = around === undefined ? handler : around(handler)
    return (payload) => new Beside(run(payload))
  }
  return compileBatched(handler, around)
}

/** The result of a concurrent handler: settled when its effect is, while the actor goes on. */
class Beside implements Performable {
  private readonly result: unknown
  constructor(result: unknown) {
    this.result = result
  }

  [InPlace](actor: Turns, item: Item, payload: unknown): boolean {
    const { result } = this
    const incarnation = actor.incarnation!
    const effect = Effect.isEffect(result)
      ? (result as Effect.Effect<unknown, unknown>)
      : isGenerator(result)
        ? Effect.gen(() => result)
        : Effect.succeed(result)
    const settle = (exit: Exit.Exit<unknown, unknown>): void => {
      if (actor.incarnation !== incarnation) return
      if (Exit.isSuccess(exit)) {
        if (typeof item !== "number") item.succeed(exit.value)
      } else if (actor.isDeclared(exit.cause, item)) {
        if (typeof item !== "number") item.fail(exit as Exit.Exit<never, unknown>)
      } else crash(exit.cause)
    }
    const { suspect } = actor
    const crash = (cause: Cause.Cause<unknown>): void => {
      if (actor.failBeside(incarnation, cause, item, payload, suspect) || typeof item === "number") return
      item.undelivered({ _tag: "HandlerFailed", cause })
    }
    // The fiber's own end: what is no effect ends it without running what was to follow.
    incarnation.runBeside(effect, item, payload).addObserver(settle)
    return true
  }
}

const isGenerator = (value: unknown): value is Generator<Effect.Effect<unknown, unknown>, unknown, never> =>
  typeof value === "object" && value !== null && Symbol.iterator in value && "next" in value
