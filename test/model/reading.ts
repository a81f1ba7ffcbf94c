/**
 * Reads scripts from JSON: what is left out gets its default, what is wrong is named with what was expected instead.
 */
import { Effect, Schema } from "effect"
import type { Script, Spec } from "./spec.ts"

const orElse = <S extends Schema.Constraint>(schema: S, value: S["Encoded"]) =>
  Schema.withDecodingDefaultKey<S>(Effect.succeed(value))(schema)

/** Paths are ids joined by `/`. */
const Id = Schema.NonEmptyString.check(Schema.isPattern(/^[^/]*$/))
const Millis = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Positive = Schema.Int.check(Schema.isGreaterThan(0))
const Restart = Schema.Literals(["permanent", "transient", "temporary"])
const Directive = Schema.Literals(["restart", "resume", "stop", "escalate"])
const Failure = Schema.Literals(["A", "B", "defect"])

const Intensity = Schema.Struct({ restarts: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)), within: Positive })
const intensity = orElse(Intensity, { restarts: 1, within: 5_000 })

const Attempt = Schema.Struct({
  after: orElse(Millis, 0),
  result: orElse(Schema.Literals(["ok", "ignore", "A", "B", "defect"]), "ok")
})

/** A delay has a length, so that a row of them gets longer. */
const Delays = Schema.Struct({ min: Positive, max: Positive, resetAfter: Millis })

const Worker = Schema.Struct({
  kind: Schema.Literal("worker"),
  id: Id,
  restart: orElse(Restart, "permanent"),
  significant: orElse(Schema.Boolean, false),
  shutdown: orElse(Schema.Union([Millis, Schema.Literal("kill")]), 5_000),
  startTimeout: orElse(Positive, 5_000),
  onFailure: orElse(
    Schema.Struct({
      A: Schema.optionalKey(Directive),
      B: Schema.optionalKey(Directive),
      defect: Schema.optionalKey(Directive)
    }),
    {}
  ),
  backoff: orElse(Schema.NullOr(Delays), null),
  attempts: orElse(Schema.Array(Attempt), [])
})

const Dynamic = Schema.Struct({
  kind: Schema.Literal("dynamic"),
  id: Id,
  intensity,
  maxChildren: orElse(Schema.NullOr(Positive), null)
})

const AnySpec = Schema.suspend((): Schema.Codec<Spec, unknown> => Schema.Union([Worker, Supervisor, Dynamic]))

const Supervisor = Schema.Struct({
  kind: Schema.Literal("supervisor"),
  id: Id,
  restart: orElse(Restart, "permanent"),
  significant: orElse(Schema.Boolean, false),
  strategy: orElse(Schema.Literals(["one-for-one", "one-for-all", "rest-for-one"]), "one-for-one"),
  intensity,
  autoShutdown: orElse(Schema.Literals(["never", "any-significant", "all-significant"]), "never"),
  children: orElse(Schema.Array(AnySpec), [])
})

const path = Schema.String

const singles = [
  Schema.Struct({ do: Schema.Literal("advance"), ms: Millis }),
  Schema.Struct({ do: Schema.Literal("crash"), path, error: orElse(Failure, "A") }),
  Schema.Struct({ do: Schema.Literal("end"), path, reason: orElse(Schema.Literals(["normal", "shutdown"]), "normal") }),
  Schema.Struct({ do: Schema.Literal("busy"), path, ms: Positive }),
  Schema.Struct({ do: Schema.Literal("kill"), path }),
  Schema.Struct({ do: Schema.Literal("stop"), path }),
  Schema.Struct({ do: Schema.Literal("start-child"), path, child: AnySpec }),
  Schema.Struct({ do: Schema.Literal("terminate-child"), path, id: Schema.String }),
  Schema.Struct({ do: Schema.Literal("restart-child"), path, id: Schema.String }),
  Schema.Struct({ do: Schema.Literal("delete-child"), path, id: Schema.String }),
  Schema.Struct({ do: Schema.Literal("reconfigure"), path, tree: Supervisor }),
  Schema.Struct({ do: Schema.Literal("start-dynamic"), path, child: Worker }),
  Schema.Struct({ do: Schema.Literal("terminate-dynamic"), path, child: Schema.String })
] as const

const together = Schema.Struct({ do: Schema.Literal("together"), steps: Schema.Array(Schema.Union(singles)) })

const ScriptSchema = Schema.Struct({
  tree: Supervisor,
  steps: orElse(Schema.Array(Schema.Union([...singles, together])), [])
})

/** A script from JSON. The error says where it is wrong, and what was expected there. */
export const readScript: (text: string) => Effect.Effect<Script, Schema.SchemaError> = Schema.decodeUnknownEffect(
  Schema.fromJsonString(ScriptSchema),
  { onExcessProperty: "error" }
)
