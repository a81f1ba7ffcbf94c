/**
 * The rules of the house: which folder may import which, how large things may get, and the words we do without.
 *
 * `violations` is a function from the files' texts to complaints, so that each rule can be shown to fail on a house of
 * two or three lines. Rules on the library apply to src, the others to all files given. Calls that are banned in src
 * (clocks, timers, chance, promises) are the linter's, see .oxlintrc.json.
 */
import { posix } from "node:path"
import { parseSync, Visitor } from "oxc-parser"

/** Paths from the root of the repository, with their texts. */
export type Files = Readonly<Record<string, string>>

/** The folders of src, lowest floor first. Imports go to the same folder or to a lower floor. */
const floors: ReadonlyArray<ReadonlyArray<string>> = [
  ["runtime"],
  ["actor"],
  ["supervision"],
  ["registry"],
  ["work", "flow", "persistence", "gpu"],
  ["thread", "cluster"],
  ["inspect", "testing"]
]

/** Lines of code, comments and blank lines not counted; characters of prose in a header. */
const limits = { file: 400, function: 70, header: 20 }

/** Put together from halves, or this file would have to be an exception. */
const bannedWords = [/TO(?:DO)|FIX(?:ME)/, /\bhac(?:k)\b|\butil(?:s)\b/i]

interface Source {
  readonly path: string
  readonly text: string
  /** For each line whether there is code on it. */
  readonly isCode: ReadonlyArray<boolean>
  readonly imports: ReadonlyArray<string>
  /** First and last line of each function, counted from 0. */
  readonly functions: ReadonlyArray<readonly [first: number, last: number]>
}

interface Span {
  readonly start: number
  readonly end: number
}

const parse = (path: string, text: string): Source => {
  const { comments, program } = parseSync(path, text)
  const lineOf = (offset: number) => text.slice(0, offset).split("\n").length - 1
  const imports: Array<string> = []
  const functions: Array<readonly [number, number]> = []
  const onImport = ({ source }: { readonly source: { readonly type: string; readonly value?: unknown } | null }) => {
    if (typeof source?.value === "string") imports.push(source.value)
  }
  const onFunction = ({ end, start }: Span) => void functions.push([lineOf(start), lineOf(end)])
  new Visitor({
    ImportDeclaration: onImport,
    ImportExpression: onImport,
    TSImportType: onImport,
    ExportAllDeclaration: onImport,
    ExportNamedDeclaration: onImport,
    FunctionDeclaration: onFunction,
    FunctionExpression: onFunction,
    ArrowFunctionExpression: onFunction
  }).visit(program)
  const blank = (code: string, { end, start }: Span) =>
    code.slice(0, start) + code.slice(start, end).replace(/\S/g, " ") + code.slice(end)
  const isCode = comments
    .reduce(blank, text)
    .split("\n")
    .map((line) => line.trim() !== "")
  return { path, text, isCode, imports, functions }
}

/** The file that a relative import means; undefined for a package. */
const targetOf = (path: string, specifier: string): string | undefined =>
  specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier.replace(/\?.*$/, "")) : undefined

const isLibrary = (path: string): boolean => path.startsWith("src/") && path.endsWith(".ts")

/** src/actor/Actor.ts is in the room "actor"; src/index.ts, above all floors, is in none. */
const roomOf = (path: string): string | undefined => /^src\/([^/]+)\//.exec(path)?.[1]

const floorOf = (path: string): number => {
  const room = roomOf(path)
  return room === undefined ? floors.length : floors.findIndex((rooms) => rooms.includes(room))
}

const imports = ({ imports, path }: Source): ReadonlyArray<string> =>
  imports.flatMap((specifier) => {
    if (/^effect-otp(\/|$)/.test(specifier)) return [`${path}: imports ${specifier}, write a relative path`]
    const target = targetOf(path, specifier)
    if (target === undefined) return []
    if (!target.startsWith("src/")) return [`${path}: imports ${target}, which is not in src`]
    if (roomOf(target) === roomOf(path) || floorOf(target) < floorOf(path)) return []
    return [`${path} (floor ${floorOf(path)}) imports ${target} (floor ${floorOf(target)})`]
  })

const places = ({ path }: Source): ReadonlyArray<string> => {
  const complaints: Array<string> = []
  if (path === "src/index.ts") return complaints
  if (roomOf(path) === undefined) complaints.push(`${path}: move it into a room`)
  else if (floorOf(path) === -1) complaints.push(`${path}: give the room ${roomOf(path)} a floor`)
  if (/^src\/[^/]+\/.+\/index\.ts$/.test(path)) complaints.push(`${path}: only rooms have an index`)
  return complaints
}

const headers = ({ path, text }: Source): ReadonlyArray<string> => {
  const header = /^\/\*\*(.*?)\*\//s.exec(text)?.[1] ?? ""
  const prose = header.replace(/^\s*\*? ?(@.*)?/gm, "").trim()
  return prose.length >= limits.header ? [] : [`${path}: starts without a comment that says what it is for`]
}

const sizes = ({ functions, isCode, path }: Source): ReadonlyArray<string> => {
  const count = (first: number, last: number) => isCode.slice(first, last + 1).filter(Boolean).length
  const total = count(0, isCode.length)
  const complaints = functions
    .filter(([first, last]) => count(first, last) > limits.function)
    .map(
      ([first, last]) => `${path}:${first + 1}: a function of ${count(first, last)} lines, more than ${limits.function}`
    )
  return total > limits.file ? [`${path}: ${total} lines of code, more than ${limits.file}`, ...complaints] : complaints
}

const words = ([path, text]: readonly [string, string]): ReadonlyArray<string> =>
  `${path}\n${text}`.split("\n").flatMap((line, n) => {
    // The words of an identifier count as well: stringThings is "string things".
    const spaced = line.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replaceAll("_", " ")
    return bannedWords.flatMap((word) => {
      const found = word.exec(spaced)?.[0]
      return found === undefined ? [] : [`${path}:${Math.max(n, 1)}: the word "${found}"`]
    })
  })

/** One complaint for each import, type-only ones too, that closes a circle of files. */
const cycles = (sources: ReadonlyArray<Source>): ReadonlyArray<string> => {
  const complaints: Array<string> = []
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const done = new Set<string>()
  const visit = (path: string, trail: ReadonlyArray<string>): void => {
    if (trail.includes(path)) {
      complaints.push(`imports in a circle: ${[...trail.slice(trail.indexOf(path)), path].join(" -> ")}`)
    } else if (!done.has(path)) {
      for (const specifier of byPath.get(path)?.imports ?? []) {
        const target = targetOf(path, specifier)
        if (target !== undefined) visit(target, [...trail, path])
      }
      done.add(path)
    }
  }
  for (const { path } of sources) visit(path, [])
  return complaints
}

/** Everything in the files that is against the rules, in the order of the files. */
export const violations = (files: Files): ReadonlyArray<string> => {
  const sources = Object.entries(files)
    .filter(([path]) => /\.[cm]?[jt]s$/.test(path))
    .map(([path, text]) => parse(path, text))
  const library = sources.filter(({ path }) => isLibrary(path))
  return [
    ...[places, imports, headers, sizes].flatMap((rule) => library.flatMap(rule)),
    ...cycles(sources),
    ...Object.entries(files).flatMap(words)
  ]
}
