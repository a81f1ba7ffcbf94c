/** The parts of the demo that its proof rests on. */
import { assert, it } from "@effect/vitest"
import { isTorn, loadDigits, PIXELS, scan } from "./digits.ts"
import { balance } from "./ledger.ts"
import { classify, initial, learn } from "./network.ts"
import { bar, treeLines } from "./view.ts"

it("the books hold when each digit was answered once or reported", () => {
  const books = balance(
    [
      { id: 1, answer: 3 },
      { id: 0, reported: "torn" },
      { id: 2, answer: 7 }
    ],
    3
  )
  assert.deepStrictEqual(books, { answered: 2, reported: 1, missing: [], twice: [], holds: true })
})

it("the books do not hold when one is missing, counted twice, or unknown", () => {
  assert.deepStrictEqual(balance([{ id: 0, answer: 1 }], 2).missing, [1])
  const twice = balance(
    [
      { id: 0, answer: 1 },
      { id: 0, reported: "torn" },
      { id: 1, answer: 1 }
    ],
    2
  )
  assert.deepStrictEqual([twice.twice, twice.holds], [[0], false])
  assert.isFalse(
    balance(
      [
        { id: 0, answer: 1 },
        { id: 5, answer: 1 }
      ],
      1
    ).holds
  )
})

it("10,000 real digits, 42 of them torn", () => {
  const digits = loadDigits()
  assert.strictEqual(digits.length, 10_000)
  assert.isTrue(digits.every(({ pixels }) => pixels.length === PIXELS))
  assert.strictEqual(digits.filter(({ id }) => isTorn(id)).length, 42)
  assert.strictEqual(scan(digits[332]!).length, PIXELS / 2)
})

it("the network learns what it is shown", () => {
  let seed = 1
  const parameters = initial(() => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647)
  const digits = loadDigits().slice(0, 20)
  for (let round = 0; round < 30; round++)
    for (const { label, pixels } of digits) learn(parameters, pixels, label, 0.05)
  assert.deepStrictEqual(
    digits.map(({ pixels }) => classify(parameters, pixels)),
    digits.map(({ label }) => label)
  )
})

it("the view draws a tree and a bar", () => {
  const child = {
    path: "",
    kind: "actor",
    restart: "permanent",
    incarnation: 1,
    lastFailure: undefined,
    failures: [],
    significant: false,
    nextAttempt: undefined,
    queued: 0,
    children: []
  } as const
  const lines = treeLines([
    {
      ...child,
      id: "pool",
      state: "running",
      restarts: 2,
      children: [{ ...child, id: "a", state: "restarting", restarts: 0 }]
    }
  ])
  assert.deepStrictEqual(
    lines.map((line) => line.trimEnd()),
    ["└─ ● pool               running  2 restarts", "   └─ ◌ a                  restarting"]
  )
  assert.include(bar({ phase: "learning", done: 1, total: 2, millis: 0 }), "50 %")
})
