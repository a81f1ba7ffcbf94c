/**
 * Where an actor is in its life. Ordered: below `Idle` it is not up, from `Failing` on it handles nothing any more.
 */

/** No incarnation; its owner decides what is next. @internal */
export const Down = 0
/** Its init runs. @internal */
export const Starting = 1
/** Up, nothing to do. @internal */
export const Idle = 2
/** Up, waits in the run queue. @internal */
export const Queued = 3
/** Up, but told to take no message. @internal */
export const Paused = 4
/** Up, its turn is on the stack. @internal */
export const Running = 5
/** Up, a fiber runs the effect of its message. @internal */
export const Suspended = 6
/** A message failed; the owner has not decided yet. @internal */
export const Failing = 7
/** Its incarnation releases what it holds. @internal */
export const Stopping = 8
/** Over for good. @internal */
export const Ended = 9

/** @internal */
export type State = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9

/** Bits of what an actor has been told to do before its next message; a lower bit goes first. @internal */
export const KillRequested = 1
/** @internal */
export const StopRequested = 2
/** @internal */
export const ContinueRequested = 4
/** @internal */
export const DrainRequested = 8
/** @internal */
export const PauseRequested = 16
/** As a pause, for as long as somebody changes it. @internal */
export const HoldRequested = 32
/** It takes no message. @internal */
export const Pauses = PauseRequested | HoldRequested
/** What has to be done before the next message, and before being idle. @internal */
export const Orders = KillRequested | StopRequested | ContinueRequested | Pauses
