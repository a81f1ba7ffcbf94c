/**
 * The library does what the rules say: random trees with random histories, compared with the model after every step.
 *
 * More of them: `HISTORIES=200000 SEED=7 npx vitest run test/model`, or `run.ts`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { check } from "./compare.ts"
import { generate } from "./histories.ts"
import { readScript } from "./reading.ts"
import { report, scriptText, search, seedOf, smallest } from "./searching.ts"
import { wrong } from "./wrong.ts"

const HISTORIES = Number(process.env["HISTORIES"] ?? 10_000)
const SEED = Number(process.env["SEED"] ?? 1)
const PARTS = 4
const PATIENCE = Math.max(60_000, HISTORIES * 5)

describe(`${HISTORIES} histories of seed ${SEED} go as the rules say`, () => {
  for (let part = 0; part < PARTS; part++) {
    const [from, to] = [part, part + 1].map((n) => Math.floor((n * HISTORIES) / PARTS)) as [number, number]
    it(
      `${from} to ${to}`,
      () => {
        const { found, index } = search(SEED, from, to)
        if (found !== undefined) assert.fail(`history ${index} of seed ${SEED}: ${report(smallest(found))}`)
      },
      PATIENCE
    )
  }
})

it("the same seed makes the same histories", () => {
  assert.deepStrictEqual(generate(seedOf(3, 5)), generate(seedOf(3, 5)))
  assert.notDeepEqual(generate(seedOf(3, 5)), generate(seedOf(3, 6)))
})

describe("a model with a wrong rule is caught", () => {
  for (const [name, rules] of Object.entries(wrong)) {
    it(
      name,
      () => {
        for (let index = 0; index < 5_000; index++) {
          const script = generate(seedOf(1, index))
          const { difference } = check(script, rules)
          // Where the right model is contradicted as well, it is not the wrong rule that shows.
          if (difference === undefined || check(script).difference !== undefined) continue
          const { script: small } = smallest({ script, difference }, rules)
          assert.isAtMost(small.steps.length, 5, JSON.stringify(small))
          return
        }
        assert.fail("5,000 histories do not tell it from the right one")
      },
      60_000
    )
  }
})

const scripts = new URL("scripts/", import.meta.url)

describe("scripts", () => {
  it.effect("what is printed is read again as it was", () =>
    Effect.gen(function* () {
      for (let index = 0; index < 200; index++) {
        const script = generate(seedOf(5, index))
        assert.deepStrictEqual(yield* readScript(scriptText(script)), script)
      }
    })
  )

  for (const name of ["escalation.json", "rest-for-one.json", "stopping.json"]) {
    it.effect(`${name} goes as the model says`, () =>
      Effect.gen(function* () {
        const script = yield* readScript(readFileSync(new URL(name, scripts), "utf8"))
        assert.deepStrictEqual(check(script), { difference: undefined, ambiguous: false })
      })
    )
  }

  const problems: Readonly<Record<string, string>> = {
    "{": "JSON",
    '{ "tree": { "kind": "supervisor", "id": "t", "strategy": "all" } }': '["tree"]["strategy"]',
    '{ "tree": { "kind": "supervisor", "id": "t", "childs": [] } }': '["tree"]["childs"]',
    '{ "tree": { "kind": "supervisor", "id": "t" }, "steps": [{ "do": "crash" }] }': '["steps"][0]["path"]'
  }
  for (const [text, where] of Object.entries(problems)) {
    it.effect(`a wrong one is refused, naming ${where}`, () =>
      Effect.map(Effect.flip(readScript(text)), ({ message }) => assert.include(message, where))
    )
  }
})

describe("trace.ts", () => {
  const trace = (...args: ReadonlyArray<string>) =>
    spawnSync(process.execPath, ["--no-warnings", "--conditions=effect-otp/source", "test/model/trace.ts", ...args], {
      encoding: "utf8"
    })

  it("prints what happens, and the model's prediction in the same words", () => {
    const name = "test/model/scripts/rest-for-one.json"
    const [played, predicted] = [trace(name), trace(name, "--model")]
    assert.strictEqual(played.stderr, "")
    assert.include(played.stdout, '{"step":1,"t":0,"event":"exited","path":"top/b","reason":"failed(A)"}\n')
    assert.strictEqual(predicted.stdout, played.stdout)
  })

  it("ends with 1 for what it cannot read", () => {
    const { status, stderr } = trace("test/model/scripts/missing.json")
    assert.deepStrictEqual([status, stderr.startsWith("test/model/scripts/missing.json: ")], [1, true])
    assert.strictEqual(trace().status, 1)
  })
})
