/**
 * Plays as many random histories as one likes and compares them with the model.
 *
 *     node --conditions=effect-otp/source test/model/run.ts --histories 200000 --seed 7
 *
 * `--without dynamic,time` leaves features out (also significance, reconfiguration); `--census` counts what the histories
 * are about. Ends with 1 at the first difference, shrunk.
 */
import { parseArgs } from "node:util"
import { census, report, search, smallest } from "./searching.ts"
import { allFeatures } from "./trees.ts"

const { values } = parseArgs({
  options: {
    histories: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    without: { type: "string", default: "" },
    census: { type: "boolean", default: false }
  }
})

const [histories, seed, from] = [Number(values.histories), Number(values.seed), Number(values.from)]
if (![histories, seed, from].every(Number.isInteger)) {
  console.error("--histories, --seed and --from must be whole numbers")
  process.exit(1)
}
const left = values.without.split(",").filter((name) => name !== "")
const unknown = left.filter((name) => !Object.hasOwn(allFeatures, name))
if (unknown.length > 0) {
  console.error(`--without ${unknown.join(",")}: must be some of ${Object.keys(allFeatures).join(", ")}`)
  process.exit(1)
}
const features = { ...allFeatures, ...Object.fromEntries(left.map((name) => [name, false])) }

console.log(`${histories} histories from ${from} of seed ${seed}`)
const begun = performance.now()
const { ambiguous, found, index, played, steps } = search(seed, from, from + histories, { features })
const seconds = (performance.now() - begun) / 1_000
console.log(`${played} played, ${steps} steps, ${Math.round(played / seconds)} per second, ${ambiguous} ambiguous`)
if (values.census) {
  const counts = [...census(seed, from, from + Math.min(histories, 10_000), features)].sort()
  for (const [name, count] of counts) console.log(`${String(count).padStart(8)} ${name}`)
}
if (found !== undefined) {
  console.log(`history ${index} differs: ${report(smallest(found))}`)
  process.exitCode = 1
}
