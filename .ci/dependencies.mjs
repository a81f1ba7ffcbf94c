/**
 * Installs a folder's npm dependencies, but only when what is installed differs from its lock file.
 *
 * Plain JavaScript for Node 18 and newer: this file runs before anything is installed.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { basename, delimiter, dirname, join } from "node:path"

/** Runs npm with the given Node (npm itself is a script); throws when it fails. */
export const npm = (node, args, cwd = process.cwd()) => {
  const script = process.env.npm_execpath
  const isNpm = script !== undefined && basename(script) === "npm-cli.js"
  const quiet = ["--loglevel=error", "--no-audit", "--no-fund", "--no-update-notifier"]
  const { error, status } = spawnSync(isNpm ? node : "npm", [...(isNpm ? [script] : []), ...args, ...quiet], {
    cwd,
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, PATH: [dirname(node), process.env.PATH].join(delimiter) },
    shell: !isNpm && process.platform === "win32"
  })
  if (error !== undefined || status !== 0) throw new Error(`npm ${args[0]} failed${error ? `: ${error.message}` : ""}`)
}

const packagesOf = (file) => JSON.parse(readFileSync(file, "utf8")).packages

/**
 * Whether node_modules holds what package-lock.json asks for. npm keeps its own record of what it installed in
 * node_modules/.package-lock.json; optional packages (other platforms' binaries) may be missing from it.
 */
const isInstalled = (folder) => {
  const record = join(folder, "node_modules", ".package-lock.json")
  if (!existsSync(record)) return false
  const installed = packagesOf(record)
  const wanted = packagesOf(join(folder, "package-lock.json"))
  const isCurrent = ([path, { optional, version }]) =>
    path === "" || (path in installed ? installed[path].version === version : optional === true)
  return Object.entries(wanted).every(isCurrent)
}

/** `npm ci` in the folder, unless its node_modules is up to date. */
export const installDependencies = (node, folder) => {
  if (isInstalled(folder)) return
  console.error(`Installing the dependencies of ${basename(folder)}`)
  npm(node, ["ci"], folder)
}
