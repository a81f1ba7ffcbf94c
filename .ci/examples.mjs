/**
 * Runs every numbered example as a user would, `node examples/NN-name/main.ts`, then the tests beside them.
 *
 *     npm run examples              all of them
 *     npm run examples -- 03 07     those whose folder's name starts so
 */
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const wanted = process.argv.slice(2)
const limit = 60_000

const folders = readdirSync(join(root, "examples"))
  .filter((name) => /^\d\d-/.test(name) && existsSync(join(root, "examples", name, "main.ts")))
  .filter((name) => wanted.length === 0 || wanted.some((start) => name.startsWith(start)))
  .sort()

if (folders.length === 0) {
  console.error(`No example's folder starts with ${wanted.join(" or ") || "two digits"}`)
  process.exit(1)
}

let failed = 0
for (const name of folders) {
  const start = performance.now()
  const args = ["--conditions=effect-otp/source", join("examples", name, "main.ts")]
  const { signal, status, stderr, stdout } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    timeout: limit
  })
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${status === 0 ? "✓" : "✗"} ${name.padEnd(28)}${seconds.padStart(5)} s`)
  if (status === 0) continue
  failed++
  console.log(`\n${stdout}${stderr}\nended with ${signal ?? `exit code ${status}`}\n`)
}
console.log(`examples: ${folders.length - failed} passed, ${failed} failed\n`)

const filters = folders.map((name) => `examples/${name}/`)
const tests = spawnSync("vitest", ["run", ...(wanted.length === 0 ? ["examples/"] : filters)], {
  cwd: root,
  stdio: "inherit",
  shell: process.platform === "win32"
})
process.exitCode = failed === 0 && tests.status === 0 ? 0 : 1
