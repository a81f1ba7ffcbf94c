/** Holds the repository to the rules of the house, after showing that each of them can be broken. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { copyFileSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { type Files, violations } from "./support/architecture.ts"

const root = dirname(import.meta.dirname)

const header = "/** A file that is here to show what a rule is about. */\n"

/** The files of a small house, each with a good header. */
const house = (files: Files): Files =>
  Object.fromEntries(Object.entries(files).map(([path, text]) => [path, header + text]))

const complaints = (files: Files): string => violations(house(files)).join("\n")

describe("each rule can be broken", () => {
  it("a house in order", () => {
    const files = {
      "src/index.ts": 'export * as Actor from "./actor/Actor.ts"\nexport * as Pool from "./work/Pool.ts"',
      "src/actor/Actor.ts": 'import { a } from "./handlers.ts"\nimport type { B } from "../runtime/slot.ts"',
      "src/actor/handlers.ts": 'import { Effect } from "effect"',
      "src/runtime/slot.ts": "",
      "src/work/Pool.ts": 'import type { A } from "../actor/Actor.ts"',
      "src/work/index.ts": 'export * from "./Pool.ts"'
    }
    assert.strictEqual(complaints(files), "")
  })

  it("imports only go down, whichever way they are written", () => {
    const imports = [
      'import { a } from "../actor/Actor.ts"',
      'import type { A } from "../actor/Actor.ts"',
      'import "../actor/Actor.ts"',
      'export * from "../actor/Actor.ts"',
      'export { a } from "../actor/Actor.ts"',
      'export type A = import("../actor/Actor.ts").A',
      'export const a = () => import("../actor/Actor.ts")'
    ]
    for (const text of imports) {
      assert.strictEqual(
        complaints({ "src/runtime/slot.ts": text }),
        "src/runtime/slot.ts (floor 0) imports src/actor/Actor.ts (floor 1)",
        text
      )
    }
  })

  it("rooms on one floor do not know each other, nobody below knows the index", () => {
    assert.include(
      complaints({ "src/work/Pool.ts": 'import "../gpu/Device.ts"' }),
      "(floor 4) imports src/gpu/Device.ts"
    )
    assert.include(
      complaints({ "src/testing/Probe.ts": 'import "../index.ts"' }),
      "(floor 6) imports src/index.ts (floor 7)"
    )
  })

  it("the library imports itself by relative paths, and nothing from outside src", () => {
    assert.include(complaints({ "src/work/Pool.ts": 'import "effect-otp/Actor"' }), "write a relative path")
    assert.include(complaints({ "src/work/Pool.ts": 'import "../../test/support/a.ts"' }), "not in src")
  })

  it("every file has its place", () => {
    assert.include(complaints({ "src/Actor.ts": "" }), "src/Actor.ts: move it into a room")
    assert.include(complaints({ "src/attic/Actor.ts": "" }), "give the room attic a floor")
    assert.include(complaints({ "src/gpu/kernels/index.ts": "" }), "only rooms have an index")
  })

  it("no circles, in tests and examples neither", () => {
    const files = {
      "test/a.ts": 'import "./b.ts"',
      "test/b.ts": 'import type { C } from "./c.ts"',
      "test/c.ts": 'import "./a.ts"'
    }
    assert.strictEqual(complaints(files), "imports in a circle: test/a.ts -> test/b.ts -> test/c.ts -> test/a.ts")
    assert.include(
      complaints({ "src/gpu/a.ts": 'import "./a.ts"' }),
      "imports in a circle: src/gpu/a.ts -> src/gpu/a.ts"
    )
  })

  it("a file starts by saying what it is for", () => {
    for (const text of [
      "",
      "export const a = 1",
      "/** Short. */",
      "/**\n * @since 0.1.0 and so on and on and on\n */",
      "// A comment of another kind"
    ]) {
      assert.include(violations({ "src/gpu/a.ts": text }).join("\n"), "starts without a comment", text)
    }
  })

  it("files and functions stay small, comments and blank lines do not count", () => {
    const lines = (line: string, times: number) => `${line}\n`.repeat(times)
    assert.strictEqual(complaints({ "src/gpu/a.ts": lines("// word", 500) + lines("a()\n\n/* word */", 400) }), "")
    assert.include(complaints({ "src/gpu/a.ts": lines("a()", 401) }), "401 lines of code, more than 400")
    for (const opening of ["const f = () => {", "function f() {", "const f = function* () {", "class C { m() {"]) {
      const text = (times: number) =>
        `${opening}\n${lines("a()\n// word", times)}}${opening.includes("class") ? "}" : ""}`
      assert.strictEqual(complaints({ "src/gpu/a.ts": text(68) }), "", opening)
      assert.include(complaints({ "src/gpu/a.ts": text(69) }), "src/gpu/a.ts:2: a function of 71 lines", opening)
    }
  })

  it("some words are not used, in names, prose and documents", () => {
    const [later, mend, things, trick] = ["TO" + "DO", "FIX" + "ME", "Util" + "s", "ha" + "ck"]
    assert.include(violations({ "README.md": `one\n// ${later}: two` }).join("\n"), `README.md:2: the word "${later}"`)
    for (const text of [
      `// ${mend}`,
      `const string${things} = 1`,
      `const ${things.toLowerCase()}_of = 1`,
      `a small ${trick}`
    ]) {
      assert.include(violations({ "test/a.md": text }).join("\n"), "the word", text)
    }
    assert.include(violations({ [`test/${things.toLowerCase()}.md`]: "" }).join("\n"), "the word")
    assert.deepStrictEqual(violations({ "test/a.md": 'import "node:util" // a todo list' }), [])
  })
})

describe("the repository", () => {
  it("keeps the rules of the house", () => {
    const patterns = [
      "*.md",
      ".ci/*.mjs",
      "{src,test,examples}/**/*.{ts,js,mjs,md,html,css}",
      "docs-site/src/**/*.{ts,mjs,md,mdx,astro,css}"
    ]
    const paths = globSync(patterns, { cwd: root }).map((path) => path.replaceAll("\\", "/"))
    const files = Object.fromEntries(paths.sort().map((path) => [path, readFileSync(join(root, path), "utf8")]))
    assert.isAbove(paths.filter((path) => path.startsWith("src/")).length, 0)
    assert.deepStrictEqual(violations(files), [])
  })

  it("has a linter that keeps clocks, timers, chance, promises and the console out of src", () => {
    const banned = {
      "Date.now()": "Date",
      "new Date()": "Date",
      "performance.now()": "performance",
      "setTimeout(f, 1)": "setTimeout",
      "setInterval(f, 1)": "setInterval",
      "Math.random()": "Math.random",
      "new Promise(f)": "Promise",
      "async () => 1": "async",
      "process.pid": "process",
      "console.log(1)": "console"
    }
    const folder = mkdtempSync(join(tmpdir(), "effect-otp-lint-"))
    try {
      copyFileSync(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"))
      mkdirSync(join(folder, "src"))
      const lines = Object.keys(banned).map((code, n) => `export const x${n} = (f: () => void) => [f, ${code}]`)
      writeFileSync(join(folder, "src", "a.ts"), lines.join("\n"))
      const oxlint = join(root, "node_modules", "oxlint", "bin", "oxlint")
      const { stdout } = spawnSync(process.execPath, [oxlint, "--format=unix"], { cwd: folder, encoding: "utf8" })
      const reports = stdout.split("\n")
      for (const [n, [code, name]] of Object.entries(banned).entries()) {
        assert.isTrue(
          reports.some((line) => line.startsWith(`src/a.ts:${n + 1}:`) && line.includes(name)),
          code
        )
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
