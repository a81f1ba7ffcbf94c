/**
 * The API reference, generated from the built declarations: one page per public module, grouped by category, with the
 * signatures as they are. An exported thing without a description fails the build.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const out = join(root, "docs-site/src/content/docs/api")

if (!existsSync(join(root, "dist/index.d.ts"))) {
  const built = spawnSync(process.execPath, [join(root, ".ci/build.mjs")], { cwd: root, stdio: "inherit" })
  if (built.status !== 0) process.exit(1)
}

/** Public modules: what the package exports, less the entry point and what is closed. */
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const modules = Object.entries(exports).flatMap(([name, target]) =>
  target?.types !== undefined && name !== "."
    ? inside({ name: name.slice(2), file: join(root, target.types), source: join(root, target["effect-otp/source"]) })
    : []
)

/** An entry that only gathers modules stands for them: `gpu` for `gpu/Kernel` and the others. */
function inside({ file, name, source }) {
  const gathered = [...readFileSync(source, "utf8").matchAll(/^export \* as (\w+) from "\.\/(\w+)\.ts"$/gm)]
  return gathered.length === 0
    ? [{ name, file, source }]
    : gathered.map(([, inner, base]) => ({
        name: `${name}/${inner}`,
        file: join(dirname(file), `${base}.d.ts`),
        source: join(dirname(source), `${base}.ts`)
      }))
}

const DOC = /\/\*\*([\s\S]*?)\*\//y
const DECLARATION = /export (?:declare )?(?:abstract )?(const|class|interface|type|function) (\w+)/y

/** The text of a documentation comment, without its stars. */
const proseOf = (comment) => comment.replace(/^[ \t]*\* ?/gm, "").trim()

/** The end of the declaration that starts at `from`: the first line that closes it at no indentation. */
const endOf = (text, from) => {
  let at = from
  while (true) {
    const end = text.indexOf("\n", at)
    if (end < 0) return text.length
    const next = text.slice(end + 1)
    if (/^(?:\/\*\*|export |declare |\/\/#|type |interface |import |const )/.test(next)) return end
    at = end + 1
  }
}

/** Every documented export of a declaration file, and the names of those that are not. */
const read = (text) => {
  const items = []
  const bare = []
  for (const match of text.matchAll(/export (?:declare )?(?:abstract )?(?:const|class|interface|type|function) \w+/g)) {
    DECLARATION.lastIndex = match.index
    const [, , name] = DECLARATION.exec(text)
    const before = text.slice(0, match.index).trimEnd()
    const start = before.endsWith("*/") ? before.lastIndexOf("/**") : -1
    if (start < 0) {
      bare.push(name)
      continue
    }
    DOC.lastIndex = start
    const prose = proseOf(DOC.exec(text)[1])
    if (prose.includes("@internal")) continue
    const description = prose.replace(/^@\w+.*$/gm, "").trim()
    if (description === "") bare.push(name)
    const category = /@category (.+)/.exec(prose)?.[1] ?? "more"
    const signature = text.slice(match.index, endOf(text, match.index)).trimEnd()
    items.push({ name, category, description, signature })
  }
  return { items, bare }
}

/** What a module passes on from its neighbours, described where it is declared. */
const passedOn = (text, file) =>
  [...text.matchAll(/export (?:type )?\{([^}]*)\} from "([^"]+)\.[jt]s"/g)].flatMap(([, names, from]) => {
    const wanted = names.split(",").map((name) => name.replace("type ", "").trim())
    const { items } = read(readFileSync(join(dirname(file), `${from}.d.ts`), "utf8"))
    return items.filter((item) => wanted.includes(item.name))
  })

const escape = (prose) =>
  prose
    .split(/(```[\s\S]*?```|`[^`\n]*`)/)
    .map((part, i) => (i % 2 === 1 ? part : part.replace(/[<{]/g, (c) => `\\${c}`)))
    .join("")
    .replaceAll("```ts import.meta.vitest", "```ts")

const page = ({ file, name, source }) => {
  const text = readFileSync(file, "utf8")
  DOC.lastIndex = 0
  // Declarations lose a header that stands before an import; the source has it.
  const intro = proseOf(DOC.exec(readFileSync(source, "utf8"))?.[1] ?? "")
  const { bare, items: own } = read(text)
  const items = [...own, ...passedOn(text, file)]
  if (intro === "") bare.unshift(`the module ${name} itself`)
  const categories = [...new Set(items.map((item) => item.category))]
  const body = categories.map((category) => {
    const members = items.filter((item) => item.category === category)
    const entries = members.map(({ description, name, signature }) =>
      [`### ${name}`, "```ts", signature.replaceAll("export declare ", "export "), "```", escape(description)]
        .join("\n\n")
        .replace("```ts\n\n", "```ts\n")
        .replace("\n\n```\n", "\n```\n")
    )
    return [`## ${category}`, ...entries].join("\n\n")
  })
  const head = `---\ntitle: ${name}\ntableOfContents: { maxHeadingLevel: 3 }\n---\n`
  const path = join(out, `${name.toLowerCase()}.md`)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, [head, escape(intro), ...body].join("\n\n"))
  return bare.map((missing) => `${name}: ${missing}`)
}

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
const missing = modules.flatMap(page)
console.log(`api: ${modules.length} modules`)
if (missing.length > 0) {
  console.error(`without a description:\n  ${missing.join("\n  ")}`)
  process.exit(1)
}
