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
export const tapped = (to: Receiver, handlers: Handlers, taps: ReadonlySet<Tap>): Handlers =>
  handlers.map((handler, tag) => (payload) => {
    tell(taps, tag, payload, begun(to, tag, payload))
    return handler(payload)
  })

/** A message has been taken. @internal */
export const tell = (taps: ReadonlySet<Tap>, tag: number, payload: unknown, request: Request | undefined): void => {
  for (const tap of taps) tap.received(tag, payload, request)
  if (request !== undefined) listen(request, tag, taps)
}

/** A handler is not told of what it is called for: a request has just put itself at the front. */
const begun = (to: Receiver, tag: number, payload: unknown): Request | undefined => {
  const first = to.inflight
  return first === undefined || first.tag !== tag || first.payload !== payload || first.isHeard ? undefined : first
}

/** Hears of the outcome of a request, once. @internal */
export const onSettled = (request: Request, settled: (exit: Exit.Exit<unknown, unknown>) => void): void => {
  const { settle } = request
  request.settle = (exit) => {
    settled(exit)
    settle.call(request, exit)
  }
}

/** Properties of this one request, so that requests at which nobody looks have nothing to look for. */
const listen = (request: Request, tag: number, taps: ReadonlySet<Tap>): void => {
  const before = Object.hasOwn(request, "isHeard")
  request.isHeard = true
  if (before) return
  onSettled(request, (exit) => {
    for (const tap of taps) tap.settled(tag, exit, request)
  })
  const { unlink } = request
  // Taken again, after a crash or out of a stash, it is a request still.
  request.unlink = () => {
    request.isHeard = false
    unlink.call(request)
  }
}
