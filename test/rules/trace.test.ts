/** The trace as another implementation would read it. */
import { assert, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const trace = (...args: ReadonlyArray<string>) => {
  const script = fileURLToPath(new URL("trace.ts", import.meta.url))
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    ["--no-warnings", "--conditions=effect-otp/source", script, ...args],
    { encoding: "utf8" }
  )
  return { status, stderr, lines: stdout.split("\n").filter((line) => line !== "") }
}

const example = fileURLToPath(new URL("scripts/group-restart.json", import.meta.url))

it("prints one line per event, and the model prints the same", () => {
  const { lines, status } = trace(example)
  assert.strictEqual(status, 0)
  assert.deepStrictEqual(lines.slice(0, 2), [
    '{"step":0,"at":0,"event":"start","path":"top/a"}',
    '{"step":0,"at":0,"event":"start","path":"top/b"}'
  ])
  assert.include(lines, '{"step":4,"at":6000,"event":"start","path":"top/b"}')
  assert.deepStrictEqual(trace(example, "--model").lines, lines)
})

const folder = mkdtempSync(join(tmpdir(), "trace-"))

for (const [what, text, says] of [
  ["no JSON", "{", "JSON"],
  ["a wrong field", '{"tree":{"id":"top"},"steps":[]}', "restart"],
  ["an unknown step", '{"tree":5,"steps":[{"do":"dance"}]}', "tree"]
] as const) {
  it(`${what} is an error that names file and place`, () => {
    const file = join(folder, "script.json")
    writeFileSync(file, text)
    const { lines, status, stderr } = trace(file)
    assert.deepStrictEqual([status, lines], [1, []])
    assert.include(stderr, file)
    assert.include(stderr, says)
  })
}

it("a file that is not there, and no file at all", () => {
  const { status, stderr } = trace(join(folder, "none.json"))
  assert.strictEqual(status, 1)
  assert.include(stderr, "none.json")
  assert.deepStrictEqual([trace().status, trace().stderr.startsWith("usage:")], [2, true])
})
