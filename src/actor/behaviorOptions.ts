/**
 * Checks the options of a behavior where they are written, before any actor has them.
 */
import * as Duration from "effect/Duration"
import { format } from "effect/Formatter"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type MailboxOptions, OVERFLOWS } from "../runtime/admission.ts"
import { isWhole } from "./limit.ts"
import type { Idle } from "./passivation.ts"

/**
 * An option that no behavior can have. Thrown by `behavior` itself, so that the stack shows where it was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidOption extends Schema.TaggedError<InvalidOption>()("InvalidOption", {
  actor: Schema.String,
  field: Schema.String,
  value: Schema.Unknown,
  problem: Schema.String
}) {
  override get message(): string {
    return `the behavior of ${this.actor}: ${this.field} ${this.problem}, got ${format(this.value)}`
  }
}

interface Rule {
  readonly holds: (value: never) => boolean
  readonly problem: string
}

const countFrom = (least: number): Rule => ({
  holds: (value: unknown) => value === Infinity || isWhole(value, least),
  problem: `must be a whole number of ${least} or more, or Infinity`
})

const oneOf = (...names: ReadonlyArray<string>): Rule => ({
  holds: (value: string) => names.includes(value),
  problem: `must be one of ${names.join(", ")}`
})

const aFunction: Rule = { holds: (value: unknown) => typeof value === "function", problem: "must be a function" }

const mailboxRules: { readonly [K in keyof Required<MailboxOptions>]: Rule } = {
  capacity: countFrom(1),
  bytes: { holds: (value: number) => value > 0, problem: "must be above 0" },
  sizeOf: aFunction,
  overflow: oneOf(...OVERFLOWS),
  highWater: countFrom(1),
  priority: aFunction,
  onRestart: oneOf("keep", "discard"),
  redeliver: countFrom(0),
  whileRestarting: countFrom(0)
}

const restarts = oneOf("permanent", "transient", "temporary")

const positive: Rule = {
  holds: (value: Duration.Input) =>
    Option.exists(Duration.fromInput(value), (duration) => Duration.toMillis(duration) > 0),
  problem: "must be a duration above 0"
}

const idleRules: { readonly [K in keyof Required<Idle>]: Rule } = {
  after: positive,
  ignore: { holds: (value: unknown) => Array.isArray(value), problem: "must be a list of message names" },
  action: {
    holds: (value: NonNullable<Idle["action"]>) =>
      value === "stop" || value === "hibernate" || (typeof value === "object" && "tell" in value),
    problem: 'must be one of "stop", "hibernate", { tell: a message name }'
  }
}

/** Throws for the first option that no actor could run with. @internal */
export const checkOptions = (
  actor: string,
  tags: ReadonlyArray<string>,
  options: {
    readonly mailbox?: MailboxOptions
    readonly idle?: Idle
    readonly stuckAfter?: Duration.Input
    readonly restart?: string
  }
): void => {
  const { restart, stuckAfter } = options
  if (restart !== undefined && !restarts.holds(restart as never)) {
    throw new InvalidOption({ actor, field: "restart", value: restart, problem: restarts.problem })
  }
  if (stuckAfter !== undefined && !positive.holds(stuckAfter as never)) {
    throw new InvalidOption({ actor, field: "stuckAfter", value: stuckAfter, problem: positive.problem })
  }
  check(actor, "mailbox", options.mailbox, mailboxRules)
  check(actor, "idle", options.idle, idleRules)
  const isUnknown = (tag: string): boolean => !tags.includes(tag)
  const unknown = (field: string, value: string): never => {
    throw new InvalidOption({ actor, field, value, problem: `must be one of ${tags.join(", ")}` })
  }
  const ignored = options.idle?.ignore?.find(isUnknown)
  if (ignored !== undefined) unknown("idle.ignore", ignored)
  const action = options.idle?.action
  if (typeof action === "object" && isUnknown(action.tell)) unknown("idle.action.tell", action.tell)
}

const check = (
  actor: string,
  group: string,
  options: object | undefined,
  rules: { readonly [field: string]: Rule }
): void => {
  if (options === undefined) return
  for (const [field, value] of Object.entries(options)) {
    const rule = rules[field]
    if (value === undefined || rule === undefined || rule.holds(value as never)) continue
    throw new InvalidOption({ actor, field: `${group}.${field}`, value, problem: rule.problem })
  }
}
