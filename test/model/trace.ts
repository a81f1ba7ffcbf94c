/**
 * Prints the history of a script, one event as one line of JSON, so that two implementations can be compared with `diff`.
 *
 *     node --conditions=effect-otp/source test/model/trace.ts script.json            what the library does
 *     node --conditions=effect-otp/source test/model/trace.ts script.json --model    what the rules say
 *
 * Scripts and events are described in README.md.
 */
import { Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { tidy } from "./compare.ts"
import type { Event } from "./history.ts"
import { start, step } from "./model.ts"
import { Play } from "./play.ts"
import { readScript } from "./reading.ts"
import type { Script } from "./spec.ts"

class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.file}: ${this.problem}`
  }
}

class Usage extends Schema.TaggedError<Usage>()("Usage", {}) {
  override get message(): string {
    return "usage: node --conditions=effect-otp/source test/model/trace.ts script.json [--model]"
  }
}

const read = (file: string): Effect.Effect<Script, Unreadable> =>
  Effect.try({
    try: () => readFileSync(file, "utf8"),
    catch: (error) => new Unreadable({ file, problem: String(error) })
  }).pipe(
    Effect.flatMap((text) =>
      Effect.mapError(readScript(text), (error) => new Unreadable({ file, problem: error.message }))
    )
  )

/** The events of each step, that of the start first. */
const predicted = ({ steps, tree }: Script): ReadonlyArray<ReadonlyArray<Event>> => {
  let stepped = start(tree)
  const all = [stepped.events]
  for (const each of steps) {
    stepped = step(stepped.world, each)
    all.push(stepped.events)
  }
  if (stepped.world.ambiguous)
    console.error("in this script things are due at the same time in no order that is determined")
  return all
}

const played = ({ steps, tree }: Script): ReadonlyArray<ReadonlyArray<Event>> => {
  const play = new Play(tree)
  return [play.start(), ...steps.map((each) => play.step(each))]
}

const linesOf = (history: ReadonlyArray<ReadonlyArray<Event>>): ReadonlyArray<string> =>
  history.flatMap((events, step) => tidy(events).map((event) => JSON.stringify({ step, ...event })))

const program = Effect.gen(function* () {
  const { positionals, values } = yield* Effect.try({
    try: () => parseArgs({ allowPositionals: true, options: { model: { type: "boolean", default: false } } }),
    catch: () => new Usage()
  })
  const [file, ...more] = positionals
  if (file === undefined || more.length > 0) return yield* new Usage()
  const script = yield* read(file)
  for (const line of linesOf(values.model ? predicted(script) : played(script))) console.log(line)
})

await Effect.runPromise(
  Effect.match(program, {
    onSuccess: () => undefined,
    onFailure: ({ message }) => {
      console.error(message)
      process.exitCode = 1
    }
  })
)
