/** The rules of a mailbox, by themselves: bounds, sizes, priorities. */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Admission, clampPriority, type MailboxOptions } from "../../src/runtime/admission.ts"
import { Envelope } from "../../src/runtime/envelope.ts"

const noFault = (rule: string, defect: unknown): void => assert.fail(`${rule}: ${String(defect)}`)

const message = (payload: unknown) => ({ tag: "Put", payload })

it("defaults: unbounded, the sender waits, high water at 10,000, a restart keeps the queue", () => {
  const admission = new Admission({}, noFault)
  assert.deepStrictEqual(
    [admission.capacity, admission.bytes, admission.whileRestarting, admission.overflow, admission.highWater],
    [Infinity, Infinity, Infinity, "suspend", 10_000]
  )
  assert.isFalse(admission.discardOnRestart)
  assert.isFalse(admission.isFull(1_000_000, message("x")))
})

it("only rules about single messages look at each of them", () => {
  const looks = (options: MailboxOptions) => new Admission(options, noFault).looksAtEach
  assert.isFalse(looks({}))
  assert.isFalse(looks({ capacity: 10, overflow: "drop-oldest", highWater: 5, onRestart: "discard" }))
  assert.isTrue(looks({ bytes: 10 }))
  assert.isTrue(looks({ priority: () => 1 }))
  assert.isTrue(looks({ whileRestarting: 10 }))
})

it("bounded by count: full at the capacity, not before", () => {
  const admission = new Admission({ capacity: 3 }, noFault)
  assert.deepStrictEqual(
    [0, 2, 3, 4].map((size) => admission.isFull(size, message(1))),
    [false, false, true, true]
  )
})

it("bounded by bytes: full when the next one would go beyond the bound", () => {
  const admission = new Admission({ bytes: 100, sizeOf: ({ payload }) => payload as number }, noFault)
  admission.added(message(60))
  assert.isFalse(admission.isFull(1, message(40)))
  assert.isTrue(admission.isFull(1, message(41)))
  admission.taken(message(60))
  assert.isFalse(admission.isFull(1, message(100)))
})

it("a message larger than the whole bound is let into an empty mailbox only", () => {
  const admission = new Admission({ bytes: 100, sizeOf: ({ payload }) => payload as number }, noFault)
  assert.isFalse(admission.isFull(0, message(1_000)))
  admission.added(message(1_000))
  assert.isTrue(admission.isFull(1, message(1)))
})

it.effect.prop(
  "what is taken gives back what it took",
  { sizes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))) },
  ({ sizes }) =>
    Effect.sync(() => {
      const admission = new Admission({ bytes: 100, sizeOf: ({ payload }) => payload as number }, noFault)
      for (const size of sizes) admission.added(message(size))
      for (const size of sizes) admission.taken(message(size))
      assert.isFalse(admission.isFull(1, message(100)))
      assert.isTrue(admission.isFull(1, message(101)))
    })
)

it("sizes by default: strings, buffers and numbers of the payload, one level deep", () => {
  const sizeOf = (payload: unknown): number => {
    for (let bytes = 0; ; bytes++) {
      const admission = new Admission({ bytes }, noFault)
      if (!admission.isFull(1, message(payload))) return bytes
    }
  }
  assert.strictEqual(sizeOf("four"), 8)
  assert.strictEqual(sizeOf(new Uint8Array(100)), 100)
  assert.strictEqual(sizeOf(new Float32Array(25)), 100)
  assert.strictEqual(sizeOf(new ArrayBuffer(64)), 64)
  assert.strictEqual(sizeOf(undefined), 8)
  assert.strictEqual(sizeOf({ a: 1, b: "xy", c: new Uint8Array(10) }), 8 + 8 + 4 + 10)
})

it("the mailbox's own priorities go before what the sender says, which goes before the default", () => {
  const urgent = new Envelope(0, undefined)
  urgent.priority = 200
  const plain = new Admission({}, noFault)
  assert.deepStrictEqual([plain.priority(0, message(1)), plain.priority(urgent, message(1))], [128, 200])
  const own = new Admission({ priority: ({ payload }) => payload as number }, noFault)
  assert.deepStrictEqual([own.priority(0, message(7)), own.priority(urgent, message(7))], [7, 7])
})

it("priorities are whole numbers from 0 to 255, whatever comes in", () => {
  const cases: ReadonlyArray<readonly [number, number]> = [
    [0, 0],
    [255, 255],
    [128, 128],
    [-1, 0],
    [256, 255],
    [3.9, 3],
    [0.5, 0],
    [254.9, 254],
    [Infinity, 255],
    [-Infinity, 0],
    [Number.NaN, 0]
  ]
  for (const [given, expected] of cases) assert.strictEqual(clampPriority(given), expected, String(given))
})

it("a function of the options that throws, or gives no number, is told, and the default stands in for it", () => {
  const faults: Array<string> = []
  const admission = new Admission(
    {
      bytes: 20,
      sizeOf: () => {
        throw new Error("no size")
      },
      priority: () => Number.NaN
    },
    (rule, defect) => faults.push(`${rule}: ${(defect as Error).message}`)
  )
  assert.strictEqual(admission.priority(0, message("ab")), 128)
  admission.added(message("ab"))
  assert.isFalse(admission.isFull(1, message("12345678")))
  assert.isTrue(admission.isFull(1, message("123456789")))
  assert.deepStrictEqual([...new Set(faults)], ["priority: priority must give a number, got NaN", "sizeOf: no size"])
})
