/** The parts of the demo that its proof rests on. */
import { assert, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import { Supervisor } from "effect-otp"
import { GpuDevice } from "effect-otp/gpu"
import { ClassifierLive, Classifiers } from "./classifier.ts"
import { type Digit, isTorn, loadDigits, PIXELS, scan } from "./digits.ts"
import { balance } from "./ledger.ts"
import { Model, ModelLive } from "./model.ts"
import { initial, RANDOMS, STEP } from "./network.ts"
import { Trainer, TrainerLive } from "./trainer.ts"
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

it.live("the network learns what it is shown", () =>
  Effect.gen(function* () {
    const digits = loadDigits().slice(0, STEP)
    const random = yield* Effect.replicateEffect(Random.next, RANDOMS)
    let next = 0
    const tree = Supervisor.make("school", {
      children: [
        GpuDevice.child({ prefer: ["cpu"] }),
        ModelLive(initial(() => random[next++]!)),
        TrainerLive(digits),
        Classifiers.child,
        ClassifierLive
      ]
    })
    const school = yield* Supervisor.start(tree)
    const [classifier] = yield* Effect.gen(function* () {
      const [trainer, model] = [yield* Trainer, yield* Model]
      for (let lesson = 0; lesson < 60; lesson++) {
        yield* model.tell.Learned(yield* trainer.ask.Learn({ share: 0, of: 1, rate: 1 }))
      }
      yield* Classifiers.broadcast("ready", (each) => each.ask.Refresh())
      return yield* Classifiers.members("ready")
    }).pipe(Effect.provide(school.services))
    const read = ({ pixels }: Digit) => classifier!.ask.Classify({ pixels })
    assert.deepStrictEqual(
      yield* Effect.forEach(digits, read, { concurrency: "unbounded" }),
      digits.map(({ label }) => label)
    )
  }).pipe(Effect.scoped, Random.withSeed("school"))
)

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
    startedAt: undefined,
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
