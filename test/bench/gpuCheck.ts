/**
 * Says which graphics card is here, and whether it computes what cpu computes: the largest error of each kernel, relative to
 * the largest value. Ends with 0 when all agree, 1 when one does not, 3 when there is no card.
 *
 *     node --conditions=effect-otp/source test/bench/gpuCheck.ts [--software] [--json FILE]
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { Effect, Result } from "effect"
import { GpuDevice, Kernel } from "effect-otp/gpu"
import { create } from "webgpu"
import { matMul, matVec, numbers, scale } from "./gpuKernels.ts"

const { values: options } = parseArgs({
  options: { json: { type: "string" }, software: { type: "boolean", default: false } }
})

const n = 4_096

const softmax = Kernel.make("Softmax", {
  args: [Kernel.tensor(n)],
  output: [n],
  constants: { n },
  body: function (v) {
    let largest = v[0]!
    for (let i = 1; i < this.constants.n; i++) largest = Math.max(largest, v[i]!)
    let sum = 0
    for (let i = 0; i < this.constants.n; i++) sum += Math.exp(v[i]! - largest)
    return Math.exp(v[this.thread.x]! - largest) / sum
  }
})

const blur = Kernel.make("Blur", {
  args: [Kernel.tensor(8, 32, 64)],
  output: [8, 32, 64],
  body: function (v) {
    let sum = v[this.thread.z]![this.thread.y]![this.thread.x]! * 2
    if (this.thread.x > 0) sum += v[this.thread.z]![this.thread.y]![this.thread.x - 1]!
    if (this.thread.y > 0) sum += v[this.thread.z]![this.thread.y - 1]![this.thread.x]!
    if (this.thread.z > 0) sum += v[this.thread.z - 1]![this.thread.y]![this.thread.x]!
    return sum / 5
  }
})

const noise = Kernel.make("Integers", {
  args: [Kernel.tensor(n)],
  output: [n],
  body: function (v) {
    const whole = Math.floor(v[this.thread.x]! * 1000)
    return ((whole * 7 + this.thread.x) % 13) + Math.sqrt(whole) - Math.sin(whole)
  }
})

const cases = Effect.gen(function* () {
  const results: Record<string, Float32Array> = {}
  results["scale"] = yield* (yield* Kernel.compile(scale(n))).run(numbers(n))
  results["softmax"] = yield* (yield* Kernel.compile(softmax)).run(numbers(n))
  results["integers"] = yield* (yield* Kernel.compile(noise)).run(numbers(n))
  results["blur"] = yield* (yield* Kernel.compile(blur)).run(numbers(8 * 32 * 64))
  const matrices = yield* Kernel.compile(matMul(256))
  const square = numbers(256 * 256)
  results["matrices"] = yield* matrices.run(square, square)
  results["matrices, resident"] = yield* (yield* matrices.resident(yield* matrices.resident(square, square), square))
    .read
  const vectors = yield* Kernel.compile(matVec)
  const matrix = numbers(64 * 64)
  const item = (i: number) => [matrix, numbers(64).map((x) => x * i)] as const
  const batch = yield* vectors.runBatch([item(0), ...Array.from({ length: 99 }, (_, i) => item(i + 1))])
  results["batch of 100"] = Float32Array.from(batch.flatMap((result) => [...result]))
  return results
})

const on = (backend: GpuDevice.Backend) =>
  Effect.scoped(cases).pipe(
    Effect.provide(GpuDevice.layer({ prefer: [backend], allowSoftware: options.software }), { local: true })
  )

const errorOf = (actual: Float32Array, expected: Float32Array): number => {
  const size = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0)
  return actual.length === expected.length
    ? actual.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i]!) / size), 0)
    : Number.NaN
}

// Held until the end: Dawn aborts the process when it is collected too early.
const dawn = create([])
const adapter = await dawn.requestAdapter()
const { architecture, description, device, vendor } = adapter?.info ?? {}
const info = adapter === null ? undefined : { vendor, architecture, device, description }
console.log(info === undefined ? "no adapter" : JSON.stringify(info))

const errors: Record<string, number> = {}
const compare = Effect.gen(function* () {
  const card = yield* on("webgpu")
  const expected = yield* on("cpu")
  for (const [name, values] of Object.entries(card)) {
    const error = errorOf(values, expected[name]!)
    errors[name] = error
    console.log(`${error < 1e-4 ? "right" : "WRONG"}  ${name}: error ${error.toExponential(1)}`)
  }
})
const compared = await Effect.runPromise(Effect.result(compare))
const failure = Result.isFailure(compared) ? compared.failure : undefined
if (failure !== undefined) console.log(failure.message)

const isRight = failure === undefined && Object.values(errors).every((error) => error < 1e-4)
const report = { info, errors, isRight, failure: failure?.message }
if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(report, undefined, 2))
process.exit(isRight ? 0 : failure?._tag === "GpuUnavailable" ? 3 : 1)
