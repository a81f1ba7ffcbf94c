/**
 * `npm run gpu:bundle`: everything that has to travel to a machine with a graphics card, but with neither Node nor a network,
 * to test and measure kernels there. Writes the folder `.cache/gpu-bundle`: an archive, the packages of the Vulkan loader
 * where apt-get can fetch them, and `run.sh`, which does the rest:
 *
 *     OUT=results bash run.sh            what the card is, whether it computes what cpu computes, tests, figures
 *     OUT=results bash run.sh --quick    with the small benchmark
 *
 * Made on Linux on x64 for the same.
 */
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const out = join(root, ".cache", "gpu-bundle")
const stage = join(out, "stage")

/** What the tests and the benchmark import; what these need comes with them. */
const packages = ["effect", "gpu.js", "webgpu", "vitest", "@effect/vitest"]

/** What vitest reads. */
const settings = ["package.json", "vitest.config.ts", "tsconfig.base.json", "tsconfig.json", "test/tsconfig.json"]

/** The loader: most images with a driver have none. */
const loader = ["libvulkan1", "libegl1", "libglvnd0", "libopengl0", "libgl1", "libglx0", "libgles2"]

/** The most that may travel, in bytes. */
const limit = 64 * 1024 * 1024

const run = (command, args, options = {}) => {
  const { error, status } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"], ...options })
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? `ended with ${status}`}`)
}

const readPackage = (name) => JSON.parse(readFileSync(join(root, "node_modules", name, "package.json"), "utf8"))

/** The packages and all they depend on, as far as they are installed (binaries of other platforms are not). */
const withDependencies = (names) => {
  const found = new Set()
  const visit = (name) => {
    if (found.has(name) || !existsSync(join(root, "node_modules", name))) return
    found.add(name)
    const { dependencies, optionalDependencies, peerDependencies } = readPackage(name)
    for (const each of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) visit(each)
  }
  for (const name of names) visit(name)
  return [...found].filter((name) => !isTool(name)).sort()
}

/** What vitest asks for but does not need to run tests. */
const isTool = (name) =>
  /^(@types\/.*|typescript|@typescript\/.*|@webgpu\/types|@vitest\/coverage-v8|lightningcss.*|postcss)$/.test(name)

/** Leaves out what nobody reads there: types, source maps, other platforms, unminified copies for browsers. */
const isNeeded = (path) => {
  if (/\.(d\.[cm]?ts|map|md|flow)$/.test(path) || /\/(README|CHANGELOG)[^/]*$/i.test(path)) return false
  if (/node_modules\/effect\/(src|ai-docs)(\/|$)/.test(path) || /node_modules\/gpu\.js\/dist(\/|$)/.test(path))
    return false
  const platform = /node_modules\/webgpu\/(?:dist|build)\/([^/]+)/.exec(path)?.[1]
  return platform === undefined || platform === "linux-x64"
}

const copy = (path) =>
  cpSync(join(root, path), join(stage, path), {
    recursive: true,
    dereference: true,
    filter: (source) => isNeeded(source)
  })

const check = () => {
  if (process.platform !== "linux" || process.arch !== "x64") throw new Error("make the bundle on Linux on x64")
  for (const name of packages) {
    if (!existsSync(join(root, "node_modules", name))) throw new Error(`${name} is not installed: npm ci`)
  }
}

/** The loader's packages for this release of Debian or Ubuntu; the machine may have the loader, so none is no failure. */
const downloadLoader = () => {
  const folder = join(out, "debs")
  mkdirSync(folder, { recursive: true })
  const { status } = spawnSync("apt-get", ["download", ...loader], { cwd: folder, stdio: "ignore" })
  if (status !== 0)
    console.log("the Vulkan loader could not be fetched (apt-get download): the machine has to have one")
}

check()
rmSync(out, { recursive: true, force: true })
mkdirSync(join(stage, "bin"), { recursive: true })
run(process.execPath, [join(root, ".ci", "build.mjs")])

for (const path of ["src", "dist", "test/gpu", "test/bench", "test/support", ...settings]) copy(path)
const all = withDependencies(packages)
for (const name of all) copy(join("node_modules", name))
cpSync(process.execPath, join(stage, "bin", "node"))
cpSync(join(root, ".ci", "gpu-run.sh"), join(out, "run.sh"))
downloadLoader()

const archive = join(out, "bundle.tar.xz")
run("tar", ["-C", stage, "-cf", archive, "-I", "xz -T0 -6", "."])
rmSync(stage, { recursive: true, force: true })

const bytes = statSync(archive).size
const mebibytes = (bytes / 1024 / 1024).toFixed(1)
writeFileSync(join(out, "contents.json"), JSON.stringify({ node: process.version, packages: all, bytes }, undefined, 2))
if (bytes > limit) throw new Error(`${basename(archive)} has ${mebibytes} MiB, more than ${limit / 1024 / 1024}`)
console.log(`.cache/gpu-bundle: ${mebibytes} MiB, Node ${process.version}, ${all.length} packages. There: bash run.sh`)
