/**
 * The library does what the rules say: random trees with random histories, compared event by event with the model.
 *
 * Here are 10,000 of them; `npm run model -- --histories 200000 --seed 7` plays as many as you like.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { difference, type Model, shrink } from "./compare.ts"
import { play } from "./model.ts"
import { randomScript, seedOf } from "./random.ts"
import { parse, type Script } from "./script.ts"

const HISTORIES = 10_000
const SEED = 1

/** How many histories are played in one test. */
const PART = 2_500

/** Fails with the smallest script that shows a difference. */
const check = (script: Script, about: string) =>
  Effect.gen(function* () {
    if ((yield* difference(script)) === undefined) return
    const { script: smallest, why } = yield* shrink(script, difference)
    assert.fail(
      `${about}: ${why}\n\nplay it with npm run -s trace -- script.json:\n${JSON.stringify(smallest, null, 2)}\n`
    )
  })

for (let from = 0; from < HISTORIES; from += PART) {
  const to = Math.min(HISTORIES, from + PART)
  it.live(
    `histories ${from + 1} to ${to} of seed ${SEED} go by the rules`,
    () =>
      Effect.gen(function* () {
        for (let i = from; i < to; i++) yield* check(randomScript(seedOf(SEED, i)), `history ${i + 1} of seed ${SEED}`)
      }),
    120_000
  )
}

const folder = new URL("scripts/", import.meta.url)

for (const name of readdirSync(folder)) {
  it.live(`script ${name} goes by the rules`, () =>
    Effect.flatMap(parse(readFileSync(new URL(name, folder), "utf8")), (script) => check(script, name))
  )
}

/** Models with one rule wrong, by what they get wrong. */
const wrong: Readonly<Record<string, Model>> = {
  "a transient child is restarted after a normal end": (script) => play(withRestart(script, "transient", "permanent")),
  "a temporary child is kept": (script) => play(withRestart(script, "temporary", "transient")),
  "one-for-all goes like rest-for-one": (script) => play(withStrategy(script, "one-for-all", "rest-for-one")),
  "rest-for-one goes like one-for-one": (script) => play(withStrategy(script, "rest-for-one", "one-for-one")),
  "the budget is one larger": (script) => play(changed(script, { restarts: (n) => (n as number) + 1 })),
  "the window is one millisecond shorter": (script) => play(changed(script, { within: (n) => (n as number) - 1 })),
  "any goes like all": (script) =>
    play(changed(script, { autoShutdown: (mode) => (mode === "any-significant" ? "all-significant" : mode) }))
}

for (const [rule, model] of Object.entries(wrong)) {
  it.live(
    `a model that is wrong is found out: ${rule}`,
    () =>
      Effect.gen(function* () {
        for (let seed = 1; seed <= 2_000; seed++) {
          const script = randomScript(seed)
          const differs = (each: Script) => difference(each, model)
          if ((yield* differs(script)) === undefined) continue
          const { script: smallest, why } = yield* shrink(script, differs)
          assert.include(why, "by the rules")
          assert.isAtMost(smallest.steps.length, 4, JSON.stringify(smallest))
          return
        }
        assert.fail("2,000 histories did not tell it from the right one")
      }),
    60_000
  )
}

/** A script with some fields changed, wherever they stand. */
function changed(script: Script, change: Readonly<Record<string, (value: unknown) => unknown>>): Script {
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk)
    if (typeof value !== "object" || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, key in change ? change[key]!(each) : walk(each)])
    )
  }
  return walk(script) as Script
}

function withRestart(script: Script, from: string, to: string): Script {
  return changed(script, { restart: (restart) => (restart === from ? to : restart) })
}

function withStrategy(script: Script, from: string, to: string): Script {
  return changed(script, { strategy: (strategy) => (strategy === from ? to : strategy) })
}
