/**
 * Builds src into dist from scratch: JavaScript, declarations and maps.
 *
 * What a module computes while it loads is marked as pure then, so that a bundler drops what a program does not use.
 * Lines stay where they are, so that source maps keep telling the right line.
 */
import { spawnSync } from "node:child_process"
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync } from "oxc-parser"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const pure = "/* @__PURE__ */ "

const runsLater = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"])
const isCall = ({ type }) => type === "CallExpression" || type === "NewExpression"

/**
 * Where the calls start that run while the module loads and whose value is used. A mark counts for a whole chain,
 * `a().b()`, so `isMarked` says that the start of this node is marked already (or must not be).
 */
function* callsIn(node, isMarked = false) {
  if (node === null || typeof node !== "object" || runsLater.has(node.type)) return
  if (node.type === "PropertyDefinition" && !node.static) return
  if (isCall(node) && !isMarked) yield node.start
  for (const [key, child] of Object.entries(node)) {
    const isStatement = node.type === "ExpressionStatement"
    yield* callsIn(child, isStatement || key === "callee" || (isMarked && key === "object"))
  }
}

const withMarks = (file) => {
  const text = readFileSync(file, "utf8")
  const starts = [...callsIn(parseSync(file, text).program)].sort((a, b) => b - a)
  return starts.reduce((marked, start) => marked.slice(0, start) + pure + marked.slice(start), text)
}

rmSync(join(root, "dist"), { recursive: true, force: true })
const { status } = spawnSync("tsc", ["-b", "src"], { cwd: root, stdio: "inherit", shell: process.platform === "win32" })
if (status !== 0) process.exit(status ?? 1)

const files = globSync("dist/**/*.js", { cwd: root }).map((file) => join(root, file))
for (const file of files) writeFileSync(file, withMarks(file))
console.log(`dist: ${files.length} modules`)
