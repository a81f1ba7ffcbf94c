/**
 * The services of an actor: those of its spec, which go first, and besides them what a program was given that came later. A
 * restart has both.
 */
import * as Context from "effect/Context"
import type { Slot } from "./slot.ts"

type Services = Context.Context<never>

interface Kept {
  own: Services
  more: Services | undefined
}

/** Of those few whose program has been replaced. */
const replaced = new WeakMap<Slot, Kept>()

const merge = ({ more, own }: Kept): Services => (more === undefined ? own : Context.merge(more, own))

/** What its program was given besides the services of its spec. @internal */
export const moreOf = (slot: Slot): Services | undefined => replaced.get(slot)?.more

/** Gives it the services of its spec, as they are now. @internal */
export const provideOwn = (slot: Slot, own: Services): void => {
  const kept = replaced.get(slot)
  if (kept !== undefined) kept.own = own
  slot.context = kept === undefined ? own : merge(kept)
}

/** Gives its program services besides those. @internal */
export const provideMore = (slot: Slot, more: Services | undefined): void => {
  const kept = { own: replaced.get(slot)?.own ?? slot.context, more }
  replaced.set(slot, kept)
  slot.context = merge(kept)
}
