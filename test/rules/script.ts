/**
 * Scripts: a tree and what happens to it, as data that any implementation of the rules can read.
 */
import { Effect, Schema } from "effect"

const Restart = Schema.Literals(["permanent", "transient", "temporary"])

/** A child that does what it is told. */
export const Actor = Schema.Struct({
  id: Schema.NonEmptyString,
  restart: Restart,
  significant: Schema.Boolean,
  /** What its failures mean. */
  onFailure: Schema.Literals(["restart", "resume", "stop", "escalate"]),
  /** Which of its starts fail, counted from 1 over the whole script. */
  failStarts: Schema.Array(Schema.Int)
})
export type Actor = typeof Actor.Type

export interface Supervisor {
  readonly id: string
  readonly restart: typeof Restart.Type
  readonly significant: boolean
  readonly strategy: "one-for-one" | "one-for-all" | "rest-for-one"
  readonly autoShutdown: "never" | "any-significant" | "all-significant"
  readonly restarts: number
  /** Milliseconds. */
  readonly within: number
  readonly children: ReadonlyArray<Actor | Supervisor>
}
export type Spec = Actor | Supervisor

export const isSupervisor = (spec: Spec): spec is Supervisor => "children" in spec

export const Supervisor: Schema.Codec<Supervisor> = Schema.Struct({
  id: Schema.NonEmptyString,
  restart: Restart,
  significant: Schema.Boolean,
  strategy: Schema.Literals(["one-for-one", "one-for-all", "rest-for-one"]),
  autoShutdown: Schema.Literals(["never", "any-significant", "all-significant"]),
  restarts: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  within: Schema.Int.check(Schema.isGreaterThan(0)),
  children: Schema.Array(Schema.Union([Actor, Schema.suspend((): Schema.Codec<Supervisor> => Supervisor)]))
})

const path = { path: Schema.String }

/** One thing that happens. Paths are ids joined by `/`, the root's first. */
export const Step = Schema.Union([
  /** An actor fails while it handles a message. */
  Schema.Struct({ do: Schema.Literal("crash"), ...path }),
  /** An actor ends by itself, with reason normal or shutdown. */
  Schema.Struct({ do: Schema.Literal("end"), ...path }),
  Schema.Struct({ do: Schema.Literal("shutdown"), ...path }),
  /** An actor or supervisor is killed from outside. */
  Schema.Struct({ do: Schema.Literal("kill"), ...path }),
  /** Milliseconds pass. */
  Schema.Struct({ do: Schema.Literal("advance"), millis: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)) }),
  /** Calls of the supervisor above `path`. */
  Schema.Struct({ do: Schema.Literal("terminate"), ...path }),
  Schema.Struct({ do: Schema.Literal("restart"), ...path }),
  Schema.Struct({ do: Schema.Literal("delete"), ...path }),
  /** The supervisor at `path` gets one more child. */
  Schema.Struct({ do: Schema.Literal("add"), ...path, child: Actor }),
  /** The supervisor at `path` takes another configuration. */
  Schema.Struct({ do: Schema.Literal("reconfigure"), ...path, to: Supervisor }),
  /** The whole tree is stopped from outside. */
  Schema.Struct({ do: Schema.Literal("stop") })
])
export type Step = typeof Step.Type

export const Script = Schema.Struct({ tree: Supervisor, steps: Schema.Array(Step) })
export type Script = typeof Script.Type

/** Reads a script; the error says which field is wrong, and what was expected. */
export const parse = (text: string): Effect.Effect<Script, Schema.SchemaError> =>
  Schema.decodeUnknownEffect(Schema.fromJsonString(Script))(text)
