/**
 * Prints the history of a script, one JSON line per event, so that another implementation of the rules can be compared.
 *
 *     npm run -s trace -- script.json            what the library does
 *     npm run -s trace -- script.json --model    what the rules say
 */
import { Effect } from "effect"
import { readFile } from "node:fs/promises"
import { parseArgs } from "node:util"
import { play as playActual } from "./actual.ts"
import type { Seen } from "./history.ts"
import { play as playModel } from "./model.ts"
import { parse, type Script } from "./script.ts"

/** The lines of a history. Step 0 is the start; `at` is in milliseconds of the script's own time. */
const lines = (script: Script, history: ReadonlyArray<Seen>): ReadonlyArray<string> => {
  let at = 0
  return history.flatMap(({ answer, events }, step) => {
    const what = script.steps[step - 1]
    if (what?.do === "advance") at += what.millis
    const answered = answer === undefined ? [] : [{ event: "answer", do: what?.do, answer }]
    return [...events, ...answered].map((event) => JSON.stringify({ step, at, ...event }))
  })
}

const trace = (file: string, model: boolean): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.gen(function* () {
    const script = yield* parse(yield* Effect.tryPromise(() => readFile(file, "utf8")))
    return lines(script, model ? playModel(script) : yield* playActual(script))
  })

/** What went wrong, in a line or two: which file, which field. */
const explain = (file: string, error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return `${file}: ${cause instanceof Error ? cause.message : String(cause)}`
}

const main = async (): Promise<number> => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { model: { type: "boolean", default: false } }
  })
  const [file] = positionals
  if (file === undefined || positionals.length > 1) {
    console.error("usage: npm run -s trace -- script.json [--model]")
    return 2
  }
  return Effect.runPromise(
    Effect.match(trace(file, values.model), {
      onSuccess: (printed) => {
        for (const line of printed) console.log(line)
        return 0
      },
      onFailure: (error) => {
        console.error(explain(file, error))
        return 1
      }
    })
  )
}

process.exitCode = await main()
