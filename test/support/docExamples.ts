/**
 * Turns the examples in documentation comments into modules that are typechecked and run, so that none can go stale.
 *
 * An example is a fence marked `import.meta.vitest`, in a comment of any file of src, in README.md or in the guides. A comment that
 * starts with `=>` after an expression statement says what the expression is equal to, deeply:
 *
 *     **Example** (Adding)
 *
 *     ```ts import.meta.vitest
 *     import { Effect } from "effect"
 *
 *     const three = Effect.succeed(3)
 *     await Effect.runPromise(three) // => 3
 *     ```
 *
 * Each becomes a file in .cache/doc-examples in which every line keeps the number it has in its source, so that a type
 * error or a stack trace names the line to mend. Examples import from "effect" and "effect-otp", as a user would.
 */
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { parseSync, Visitor } from "oxc-parser"

export interface DocExample {
  /** The source file and the line of the fence, then the title where there is one. */
  readonly title: string
  /** The file that holds the example, below the folder of all examples. */
  readonly file: string
  /** The text of that file. */
  readonly module: string
}

/** On the first line of each module, which is never a line of the example; typed so that it narrows nothing. */
const prelude =
  'import * as $assert from "node:assert/strict"; ' +
  "const $equal: (actual: unknown, expected: unknown) => void = $assert.deepStrictEqual"

/** Makes an assertion of each expression statement that is followed by a `// =>` comment on its last line. */
const withAssertions = (code: string, source: string): string => {
  const { comments, errors, program } = parseSync("example.ts", code)
  const where = (offset: number) => `${source}:${code.slice(0, offset).split("\n").length}`
  for (const { labels, message } of errors) throw new Error(`${where(labels[0]?.start ?? 0)}: ${message}`)

  const statements = new Map<number, { readonly start: number; readonly end: number }>()
  new Visitor({
    ExpressionStatement: ({ expression }) => void statements.set(expression.end, expression)
  }).visit(program)

  let result = code
  for (const comment of comments.toReversed()) {
    const expected = /^\s*=>\s*(.*?)\s*$/.exec(comment.value)?.[1]
    if (expected === undefined) continue
    const statement = statements.get(code.slice(0, comment.start).trimEnd().length)
    if (statement === undefined || code.slice(statement.end, comment.start).includes("\n")) {
      throw new Error(
        `${where(comment.start)}: "=>" must follow an expression statement ` +
          "(a line that starts with [ or ( continues the one before it: start it with a semicolon)"
      )
    }
    const actual = code.slice(statement.start, statement.end)
    result = `${result.slice(0, statement.start)}$equal(${actual}, ${expected})${result.slice(comment.end)}`
  }
  return result
}

/** The examples of one source file; `source` is its path from the root of the repository. */
export const docExamplesOf = (source: string, text: string): ReadonlyArray<DocExample> => {
  const examples: Array<DocExample> = []
  const lines = text.split("\n")
  let title = ""
  for (let n = 0; n < lines.length; n++) {
    title = /\*\*Example\*\* \((.+)\)/.exec(lines[n]!)?.[1] ?? title
    const fence = /^\s*(\* )?```ts import\.meta\.vitest\s*$/.exec(lines[n]!)
    if (fence === null) continue
    const margin = fence[1] === undefined ? "" : /^\s*\* ?/
    const first = n + 1
    const isLast = (line: string) => line.replace(margin, "").trim() === "```"
    while (++n < lines.length && !isLast(lines[n]!));
    if (n === lines.length) throw new Error(`${source}:${first}: this example has no end`)
    const body = lines.slice(first, n).map((line) => line.replace(margin, ""))
    const padded = "\n".repeat(first) + body.join("\n")
    examples.push({
      title: title === "" ? `${source}:${first}` : `${source}:${first} ${title}`,
      file: `${source.replace(/\.\w+$/, "")}.L${first}.ts`,
      module: `${prelude}${withAssertions(padded, source)}\nexport {}\n`
    })
    title = ""
  }
  return examples
}

/**
 * Writes the examples of the whole repository below .cache/doc-examples and returns them, `file` being absolute now.
 * Only what changed is touched: a test run and a type check may do this at the same time.
 */
export const writeDocExamples = (root: string): ReadonlyArray<DocExample> => {
  const folder = join(root, ".cache", "doc-examples")
  const examples = globSync(["README.md", "src/**/*.ts", "docs-site/src/content/docs/{,guides/}*.{md,mdx}"], {
    cwd: root
  })
    .sort()
    .flatMap((source) => docExamplesOf(source.replaceAll("\\", "/"), readFileSync(join(root, source), "utf8")))
    .map((example) => ({ ...example, file: join(folder, example.file) }))
  const current = new Set(examples.map(({ file }) => file))
  for (const name of globSync("**/*.ts", { cwd: folder })) {
    if (!current.has(join(folder, name))) rmSync(join(folder, name))
  }
  for (const { file, module } of examples) {
    if (existsSync(file) && readFileSync(file, "utf8") === module) continue
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, module)
  }
  return examples
}
