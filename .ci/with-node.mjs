/**
 * Runs a command with a Node that is new enough and with the dependencies installed, so that `npm test` and
 * `npm run demo` work as the first and only command after a clone.
 *
 *     node .ci/with-node.mjs <command> [arguments]
 *
 * - The running Node is used when it is new enough; otherwise the official binary is installed once from npm into the
 *   ignored folder `.tools/`.
 * - `npm ci` runs when node_modules is missing or no longer matches package-lock.json.
 * - That Node and node_modules/.bin come first in PATH; standard streams, exit code and signals are passed through.
 *
 * Plain JavaScript for Node 18 and newer: this file runs before anything is installed.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { installDependencies, npm } from "./dependencies.mjs"

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** The oldest Node that runs everything here, as in the `engines` of package.json. */
const oldest = { major: 22, minor: 19 }

/** What is installed in place of an older one. */
const version = "24.21.0"

const isNewEnough = () => {
  const [major, minor] = process.versions.node.split(".").map(Number)
  return major > oldest.major || (major === oldest.major && minor >= oldest.minor)
}

/** Where a Node that is new enough is, installed first where that is needed. */
const findNode = () => {
  if (isNewEnough()) return process.execPath
  const platform = process.platform === "win32" ? "win" : process.platform
  const name = `node-${platform}-${process.arch}`
  const tools = join(root, ".tools")
  const folder = join(tools, `node-${version}`)
  const binary = join(folder, "node_modules", name, "bin", process.platform === "win32" ? "node.exe" : "node")
  if (existsSync(binary)) return binary

  console.error(`Node ${process.versions.node} is too old: installing Node ${version} into .tools (once)`)
  // Installed aside and renamed when complete, so that an interrupted download is never mistaken for a Node.
  const aside = join(tools, `installing-${process.pid}`)
  mkdirSync(aside, { recursive: true })
  try {
    npm(process.execPath, ["install", "--prefix", aside, "--no-save", "--ignore-scripts", `${name}@${version}`])
    if (!existsSync(folder)) renameSync(aside, folder)
  } catch {
    throw new Error(
      `Node ${version} for ${process.platform} on ${process.arch} could not be installed from npm (${name}@${version}).\n` +
        `Install Node ${oldest.major}.${oldest.minor} or newer yourself, then run the command again.`
    )
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
  return binary
}

/** Runs the command to its end and ends in the same way: same exit code, or the same signal. */
const run = (node, command, args) => {
  const path = [dirname(node), join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter)
  const child = spawn(command === "node" ? node : command, args, {
    stdio: "inherit",
    env: { ...process.env, PATH: path },
    // The commands in node_modules/.bin are .cmd files there, which only a shell can start.
    shell: process.platform === "win32" && command !== "node"
  })
  // A terminal sends Ctrl-C to the child as well; any other signal was meant for this process alone.
  const isSentToBoth = (signal) => signal === "SIGINT" && process.stdin.isTTY === true
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => isSentToBoth(signal) || child.kill(signal))
  }
  child.on("error", (error) => {
    console.error(`${command}: ${error.message}`)
    process.exitCode = 127
  })
  child.on("exit", (code, signal) => {
    if (signal === null) {
      process.exitCode = code
    } else {
      process.removeAllListeners(signal)
      process.kill(process.pid, signal)
    }
  })
}

const [command, ...args] = process.argv.slice(2)
try {
  if (command === undefined) throw new Error("usage: node .ci/with-node.mjs <command> [arguments]")
  const node = findNode()
  installDependencies(node, root)
  run(node, command, args)
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
