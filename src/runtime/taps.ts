/**
 * Looking at the messages of a running actor: handlers are exchanged for ones that tell, and back again, so that an actor at
 * which nobody looks pays nothing.
 */
import type * as Exit from "effect/Exit"
import type { Receiver, Request } from "./envelope.ts"

/**
 * Hears what an actor is given and what comes of it. It must not throw.
 *
 * @internal
 */
export interface Tap {
  received(tag: number, payload: unknown, request: Request | undefined): void
  /** The outcome of a request, whoever has given it in the end. */
  settled(tag: number, exit: Exit.Exit<unknown, unknown>, request: Request): void
}

type Handlers = Receiver["handlers"]

/** @internal */
export const tapped = (to: Receiver, handlers: Handlers, taps: ReadonlySet<Tap>): Handlers => {
  const known = new WeakSet<Request>()
  return handlers.map((handler, tag) => (payload) => {
    const request = begun(to, tag, payload, known)
    for (const tap of taps) tap.received(tag, payload, request)
    if (request !== undefined) onSettled(request, (exit) => taps.forEach((tap) => tap.settled(tag, exit, request)))
    return handler(payload)
  })
}

/** A handler is not told of what it is called for: a request has just put itself at the front. */
const begun = (to: Receiver, tag: number, payload: unknown, known: WeakSet<Request>): Request | undefined => {
  const first = to.inflight
  if (first === undefined || first.tag !== tag || first.payload !== payload || known.has(first)) return undefined
  known.add(first)
  return first
}

/** A property of this one request, so that requests at which nobody looks have nothing to look for. @internal */
export const onSettled = (request: Request, settled: (exit: Exit.Exit<unknown, unknown>) => void): void => {
  const settle = request.settle.bind(request)
  request.settle = (exit) => {
    settled(exit)
    settle(exit)
  }
}
