/**
 * Builds the documentation site, a package of its own in docs-site, into docs-site/dist.
 *
 *     npm run docs [-- arguments of the site's build script]
 */
import { spawnSync } from "node:child_process"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { installDependencies } from "./dependencies.mjs"

const site = join(dirname(dirname(fileURLToPath(import.meta.url))), "docs-site")

installDependencies(process.execPath, site)
const { status } = spawnSync("npm", ["run", "build", "--", ...process.argv.slice(2)], {
  cwd: site,
  stdio: "inherit",
  env: { ...process.env, ASTRO_TELEMETRY_DISABLED: "1" },
  shell: process.platform === "win32"
})
process.exitCode = status ?? 1
