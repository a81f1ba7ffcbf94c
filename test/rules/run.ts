/**
 * Plays any number of histories: `npm run model -- --histories 200000 --seed 7`.
 */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import { difference, shrink } from "./compare.ts"
import { randomScript, seedOf } from "./random.ts"

const { values } = parseArgs({
  options: { histories: { type: "string", default: "10000" }, seed: { type: "string", default: "1" } }
})
const histories = Number(values.histories)
const seed = Number(values.seed)
if (!(Number.isInteger(histories) && histories > 0 && Number.isInteger(seed))) {
  console.error("--histories takes a whole number above 0, --seed a whole number")
  process.exit(2)
}

const program = Effect.gen(function* () {
  for (let i = 0; i < histories; i++) {
    const script = randomScript(seedOf(seed, i))
    if ((yield* difference(script)) === undefined) continue
    const { script: smallest, why } = yield* shrink(script, difference)
    console.error(`history ${i + 1} of seed ${seed}: ${why}\n`)
    console.log(JSON.stringify(smallest, null, 2))
    return 1
  }
  console.log(`${histories} histories of seed ${seed} go by the rules`)
  return 0
})

process.exitCode = await Effect.runPromise(program)
