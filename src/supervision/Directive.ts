/**
 * What a supervisor does about a failure, chosen by the failure's type.
 */
import * as Cause from "effect/Cause"

/**
 * - `restart`: end the incarnation; restart type, strategy and intensity decide from there.
 * - `resume`: consume the message, keep the state, go on.
 * - `stop`: end the child for good, whatever its restart type.
 * - `escalate`: end the supervisor, which fails with the cause.
 *
 * @category models
 * @since 0.1.0
 */
export type Directive = "restart" | "resume" | "stop" | "escalate"

type Tags<E> = E extends { readonly _tag: infer T extends string } ? T : never

/**
 * One directive per error tag: leaving one out, or naming one that cannot occur, does not compile. `defect` decides about
 * anything that is not a typed error; it restarts when left out.
 *
 * @category models
 * @since 0.1.0
 */
export type ByTag<E> = {
  readonly [T in Tags<E>]: Directive | ((error: Extract<E, { readonly _tag: T }>) => Directive)
} & { readonly defect?: Directive | ((defect: unknown) => Directive) }

/**
 * One decision for all failures, from the whole cause.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decide<in E> {
  (cause: Cause.Cause<E>): Directive
  // A property that no function has keeps misspelt tags from passing as properties of this one.
  readonly "~byTag"?: never
}

/**
 * How failures of a child are decided: by the error's tag, or by a function of the whole cause.
 *
 * @category models
 * @since 0.1.0
 */
export type OnFailure<E> = ByTag<E> | Decide<E>

/** What a spec holds, with its error type forgotten. @internal */
export type AnyOnFailure =
  | Readonly<Record<string, Directive | ((failure: never) => Directive)>>
  | ((cause: never) => Directive)

/**
 * The directive for a cause. Its first typed error decides; without one, `defect` does.
 *
 * @internal
 */
export const decide = (onFailure: AnyOnFailure | undefined, cause: Cause.Cause<unknown>): Directive => {
  if (onFailure === undefined) return "restart"
  if (typeof onFailure === "function") return onFailure(cause as never)
  const failure = cause.reasons.find(Cause.isFailReason)
  if (failure !== undefined && isTagged(failure.error) && Object.hasOwn(onFailure, failure.error._tag)) {
    const chosen = onFailure[failure.error._tag]
    if (chosen !== undefined) return typeof chosen === "function" ? chosen(failure.error as never) : chosen
  }
  const chosen = onFailure.defect ?? "restart"
  return typeof chosen === "function" ? chosen(Cause.squash(cause) as never) : chosen
}

const DIRECTIVES: ReadonlyArray<unknown> = ["restart", "resume", "stop", "escalate"]

/** @internal */
export const isDirective = (u: unknown): u is Directive => DIRECTIVES.includes(u)

/** Untyped code can decide anything: what is no directive is refused. @internal */
export const ensure = (decided: Directive): Directive => {
  if (isDirective(decided)) return decided
  throw new TypeError(`${String(decided)} is no directive; return one of ${DIRECTIVES.join(", ")}`)
}

const isTagged = (error: unknown): error is { readonly _tag: string } =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
