/**
 * Everything that can be said about the code without running it, one line per step: `npm run check`.
 *
 * Types come first, since they build what is said about the package later. All steps run, whether or not one before
 * them failed; what a failed step printed follows its line.
 */
import { spawnSync } from "node:child_process"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { writeDocExamples } from "../test/support/docExamples.ts"

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Runs a command of node_modules/.bin; throws with what it printed when it fails. */
const command = (line) => () => {
  const { status, stderr, stdout } = spawnSync(line, { cwd: root, shell: true, encoding: "utf8" })
  if (status !== 0) throw new Error(`${stdout}${stderr}`.trim())
}

const steps = {
  // Part of what is typechecked: the examples in documentation comments.
  "doc examples": () => writeDocExamples(root),
  types: command("tsc -b"),
  lint: command("oxlint"),
  format: command("oxfmt --list-different"),
  "unused code": command("knip --no-config-hints"),
  package: command("publint --strict"),
  "package types": command("attw --pack . --profile esm-only --format table-flipped")
}

let failed = 0
for (const [name, run] of Object.entries(steps)) {
  const start = performance.now()
  let problem
  try {
    run()
  } catch (error) {
    problem = error.message
    failed++
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${problem === undefined ? "✓" : "✗"} ${name.padEnd(14)}${seconds.padStart(5)} s`)
  if (problem !== undefined) console.log(`\n${problem}\n`)
}

console.log(`check: ${Object.keys(steps).length - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
