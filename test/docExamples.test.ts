/** Runs every example of the documentation comments; the first part shows what makes an example fail. */
import { assert, beforeEach, describe, it, vi } from "@effect/vitest"
import { dirname } from "node:path"
import { docExamplesOf, writeDocExamples } from "./support/docExamples.ts"

const commented = (...lines: ReadonlyArray<string>) => {
  const text = ["Adds.", "", "```ts import.meta.vitest", ...lines, "```"]
  return ["/**", ...text.map((line) => ` * ${line}`), " */"].join("\n")
}

const moduleOf = (...lines: ReadonlyArray<string>) => docExamplesOf("src/Sum.ts", commented(...lines))[0]!.module

/** Runs the text of a module; the one type in it is dropped. */
const run = (module: string) =>
  import(`data:text/javascript,${encodeURIComponent(module.replace(/: \(.*?\) => void/, ""))}`)

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => String(error)
  )

describe("the examples' own rules", () => {
  it("a true equation passes, a false one fails", async () => {
    await run(moduleOf("const xs = [1, 2]", "xs.map((x) => ({ x })) // => [{ x: 1 }, { x: 2 }]"))
    assert.include(await failureOf(run(moduleOf("1 + 1 // => 3"))), "AssertionError")
  })

  it("equations hold inside functions, over several lines and for awaited values", async () => {
    const lines = ["function* numbers() {", "  yield 1 // => 7", "}"]
    await run(moduleOf(...lines, "const g = numbers()", "g.next().value // => 1", "g.next(7).done // => true"))
    assert.include(await failureOf(run(moduleOf("await Promise.resolve([", "  1", "]) // => [2]"))), "AssertionError")
  })

  it("an equation that states nothing is refused, with its line", () => {
    assert.throws(() => moduleOf("const x = 1 // => 1"), /src\/Sum\.ts:5: "=>" must follow an expression statement/)
    assert.throws(() => moduleOf("const x = 1", "[x] // => [1]"), /src\/Sum\.ts:6.*semicolon/)
    assert.throws(() => moduleOf("const = 1"), /src\/Sum\.ts:5/)
  })

  it("lines keep their numbers, titles and files tell where an example is from", () => {
    const text = commented("const x = 1", "", "x // => 1").replace("Adds.", "**Example** (Adding)")
    const example = docExamplesOf("src/Sum.ts", text)[0]!
    assert.strictEqual(example.title, "src/Sum.ts:4 Adding")
    assert.strictEqual(example.file, "src/Sum.L4.ts")
    assert.deepStrictEqual(example.module.split("\n").slice(4, 7), ["const x = 1", "", "$equal(x, 1)"])
  })

  it("other fences are left alone, one without end is refused", () => {
    assert.deepStrictEqual(docExamplesOf("src/Sum.ts", commented("1").replace(" import.meta.vitest", "")), [])
    assert.throws(() => docExamplesOf("src/Sum.ts", "/**\n * ```ts import.meta.vitest\n * 1"), /src\/Sum\.ts:2.*no end/)
  })
})

describe("documentation examples", () => {
  // Each starts with the library freshly loaded: what an example prints does not depend on those before it.
  beforeEach(() => void vi.resetModules())

  for (const { file, title } of writeDocExamples(dirname(import.meta.dirname))) {
    it(title, { timeout: 20_000 }, () => import(/* @vite-ignore */ file))
  }
})
