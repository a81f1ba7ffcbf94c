/**
 * What the GPU benchmark measures, one function for each question. All figures of a comparison are taken in turns, in one
 * run; a run whose numbers are wrong is an error, not a result.
 */
import * as assert from "node:assert/strict"
import { Context, Effect, Fiber, Layer, References, type Scope } from "effect"
import { Actor, Supervisor } from "effect-otp"
import { GpuBuffer, GpuDevice, Kernel, Tensor } from "effect-otp/gpu"
import { Dawn, type RawDevice } from "../../src/gpu/webGpuDevice.ts"
import { busy, matMul, matMulInJs, matVec, numbers, scale, scaleInJs } from "./gpuKernels.ts"

/** A backend to measure; `null` is webgpu on an adapter that computes nothing, for what the way there costs. */
export type Target = GpuDevice.Backend | "null"

export interface Figure {
  readonly measure: string
  readonly backend: string
  readonly case: string
  readonly unit: string
  readonly value: number
  /** What `ratio` is to, and `value / base` where less is better, `base / value` where more is. */
  readonly base?: number
  readonly ratio?: number
}

export interface Effort {
  /** How many rounds a median is taken over. */
  readonly rounds: number
  /** By how much the number of calls in a round is cut. */
  readonly cut: number
}

type Measured = Effect.Effect<ReadonlyArray<Figure>, unknown, GpuDevice.GpuDevice | Scope.Scope>

export const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const seconds = Effect.fnUntraced(function* <E, R>(work: Effect.Effect<unknown, E, R>) {
  globalThis.gc?.()
  const start = performance.now()
  yield* work
  return (performance.now() - start) / 1e3
})

/** The median seconds of each, taken in turns after one round that does not count. */
const inTurns = Effect.fnUntraced(function* <K extends string, E, R>(
  { rounds }: Effort,
  works: Readonly<Record<K, Effect.Effect<unknown, E, R>>>
) {
  const times = new Map<string, Array<number>>(Object.keys(works).map((name) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const [name, work] of Object.entries<Effect.Effect<unknown, E, R>>(works)) {
      const time = yield* seconds(work)
      if (round > 0) times.get(name)!.push(time)
    }
  }
  return Object.fromEntries([...times].map(([name, each]) => [name, median(each)])) as Record<K, number>
})

const repeat = <E, R>(times: number, work: Effect.Effect<unknown, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    for (let i = 0; i < times; i++) yield* work
  })

/** A kernel of gpu.js itself, of the same source. */
const raw = Effect.fnUntraced(function* (definition: {
  readonly body: unknown
  readonly constants: object
  readonly output: ReadonlyArray<number>
}) {
  const { backend } = yield* GpuDevice.GpuDevice
  const { GPU } = ((yield* Effect.promise(() => import("gpu.js"))) as unknown as { readonly default: GpuJs }).default
  return new GPU({ mode: backend }).createKernel(definition.body, {
    constants: definition.constants,
    output: definition.output.toReversed(),
    precision: "single"
  })
})

interface GpuJs {
  readonly GPU: new (settings: object) => {
    readonly createKernel: (body: unknown, settings: object) => (...args: ReadonlyArray<unknown>) => unknown
  }
}

const isClose = (actual: ArrayLike<number>, expected: ArrayLike<number>): void => {
  assert.equal(actual.length, expected.length)
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!) / Math.max(1, Math.abs(expected[i]!))
    assert.ok(error < 1e-3, `element ${i} is ${actual[i]}, it should be ${expected[i]}`)
  }
}

/** What one call through a Kernel costs over the same call of gpu.js: one after the other, and on webgpu eight in flight. */
export const overhead = (target: Target, effort: Effort): Measured =>
  Effect.gen(function* () {
    const input = numbers(64)
    const definition = scale(64)
    const kernel = yield* Kernel.compile(definition)
    const theirs = yield* raw(definition)
    const isAsync = target === "webgpu" || target === "null"
    const calls = Math.ceil((isAsync ? 1_000 : 40_000) / effort.cut)
    if (target !== "null") isClose(yield* kernel.run(input), scaleInJs(input))
    const theirCalls = (inFlight: number) =>
      Effect.promise(async () => {
        const lane = async () => {
          for (let i = 0; i < calls / inFlight; i++) await theirs(input)
        }
        await Promise.all(Array.from({ length: inFlight }, lane))
      })
    const synchronous = Effect.sync(() => {
      for (let i = 0; i < calls; i++) theirs(input)
    })
    const ourCalls = (inFlight: number) =>
      Effect.all(
        Array.from({ length: inFlight }, () => repeat(calls / inFlight, kernel.run(input))),
        { concurrency: "unbounded" }
      )
    const figures: Array<Figure> = []
    for (const inFlight of isAsync ? [1, 8] : [1]) {
      const { ours, raw } = yield* inTurns(effort, {
        raw: isAsync ? theirCalls(inFlight) : synchronous,
        ours: ourCalls(inFlight)
      })
      const micros = (time: number) => (time / calls) * 1e6
      figures.push({
        measure: "call overhead",
        backend: target,
        case: `64 numbers, ${inFlight} in flight: kernel.run, base gpu.js`,
        unit: "µs per call",
        value: micros(ours),
        base: micros(raw),
        ratio: ours / raw
      })
    }
    return figures
  })

/** 512 requests at once: one launch for each, and one launch for all. */
export const batches = (target: Target, effort: Effort): Measured =>
  Effect.gen(function* () {
    const kernel = yield* Kernel.compile(matVec, { batch: { maxSize: 512 } })
    const matrix = numbers(64 * 64)
    const items = Array.from({ length: 512 }, (_, i) => [matrix, numbers(64).map((x) => x + i)] as const)
    const [first, ...rest] = items
    const batch = kernel.runBatch([first!, ...rest])
    const single = Effect.forEach(items, ([matrix, vector]) => kernel.run(matrix, vector), { concurrency: "unbounded" })
    if (target !== "null") {
      const [one, all] = [yield* single, yield* batch]
      for (const [i, result] of all.entries()) isClose(result, one[i]!)
    }
    const times = Math.ceil(20 / effort.cut)
    const { batched, unbatched } = yield* inTurns(effort, {
      unbatched: repeat(times, single),
      batched: repeat(times, batch)
    })
    const rate = (time: number) => (512 * times) / time
    return [
      {
        measure: "batching",
        backend: target,
        case: "512 in flight, 64x64 times a vector: runBatch, base run",
        unit: "per second",
        value: rate(batched),
        base: rate(unbatched),
        ratio: unbatched / batched
      }
    ]
  })

/** A chain of 16 steps: to the host and back at each, and on the device until the end. */
export const residence = (target: Target, effort: Effort): Measured =>
  Effect.gen(function* () {
    const n: number = effort.cut > 1 ? 65_536 : 1_048_576
    const kernel = yield* Kernel.compile(scale(n))
    const input = numbers(n).fill(0.001)
    const there = Effect.gen(function* () {
      let values: Float32Array = input
      for (let i = 0; i < 16; i++) values = yield* kernel.run(values)
      return values
    })
    const stay = Effect.scoped(
      Effect.gen(function* () {
        const cell = yield* GpuBuffer.state(input, [n])
        for (let i = 0; i < 16; i++) yield* cell.update((current) => kernel.resident(current))
        return yield* cell.read
      })
    )
    if (target !== "null") isClose(yield* stay, yield* there)
    const { resident, roundTrip } = yield* inTurns(effort, { roundTrip: there, resident: stay })
    return [
      {
        measure: "residence",
        backend: target,
        case: `16 steps over ${n} numbers: resident, base round trips`,
        unit: "ms",
        value: resident * 1e3,
        base: roundTrip * 1e3,
        ratio: resident / roundTrip
      }
    ]
  })

/** The longest time that the event loop stood still meanwhile, in milliseconds. */
const longestGap = Effect.fnUntraced(function* <E, R>(work: Effect.Effect<unknown, E, R>) {
  let [isOver, last, longest] = [false, performance.now(), 0]
  const look = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (!isOver) setImmediate(look)
  }
  setImmediate(look)
  yield* work
  look()
  isOver = true
  return longest
})

/** How long timers and I/O wait while kernels run: 100 short ones one after the other, and one long one. */
export const delays = (target: Target, where: string, effort: Effort): Measured =>
  Effect.gen(function* () {
    const [short, long] = [yield* Kernel.compile(busy(200)), yield* Kernel.compile(busy(50_000))]
    const [many, one] = [repeat(Math.ceil(200 / effort.cut), short.run(0.1)), long.run(0.1)]
    yield* many
    const figures: Array<Figure> = []
    const report = (name: string, gaps: ReadonlyArray<number>) =>
      figures.push({
        measure: "event loop",
        backend: target,
        case: `${name}, ${where}`,
        unit: "ms, longest stop",
        value: median(gaps)
      })
    if (where === "in thread") {
      const theirs = yield* raw(busy(200))
      const calls = Effect.promise(async () => {
        for (let i = 0; i < Math.ceil(200 / effort.cut); i++) await theirs(0.1)
      })
      report("gpu.js, short kernels one after the other", [yield* longestGap(calls), yield* longestGap(calls)])
    }
    for (const [name, work] of [
      ["short kernels one after the other", many],
      ["one long kernel", one]
    ] as const) {
      const gaps: Array<number> = []
      for (let round = 0; round < effort.rounds; round++) gaps.push(yield* longestGap(work))
      report(name, gaps)
    }
    return figures
  })

/** From the interruption of a call that would never end to the end of its thread, and to the answer of the next call. */
export const killing = (target: Target, effort: Effort): Measured =>
  Effect.gen(function* () {
    const [endless, short] = [yield* Kernel.compile(busy(16_000_000)), yield* Kernel.compile(scale(64))]
    const [ends, answers]: [Array<number>, Array<number>] = [[], []]
    for (let round = 0; round < effort.rounds; round++) {
      yield* short.run(numbers(64))
      const fiber = yield* Effect.forkChild(endless.run(0.1), { startImmediately: true })
      yield* Effect.sleep("50 millis")
      const start = performance.now()
      yield* Fiber.interrupt(fiber)
      ends.push(performance.now() - start)
      yield* short.run(numbers(64))
      answers.push(performance.now() - start)
    }
    const figure = (name: string, values: ReadonlyArray<number>): Figure => ({
      measure: "recovery",
      backend: target,
      case: name,
      unit: "ms",
      value: median(values)
    })
    return [
      figure("isolated: an interrupted call is stopped", ends),
      figure("isolated: the next call has its answer", answers)
    ]
  })

class Model extends Actor.Service<Model>()("bench/Model", {
  Scale: { payload: { vector: Tensor.vector(64) }, success: Tensor.vector(64) }
}) {}

const ModelLive = Model.behavior(
  Effect.gen(function* () {
    const kernel = yield* Kernel.compile(scale(64))
    return Model.of({ Scale: ({ vector }) => Effect.orDie(kernel.run(vector)) })
  })
)

/** From the loss of the card to the first answer of an actor that computes on it, restarted by its supervisor. */
export const recovery = (target: Target, effort: Effort) => {
  let card: RawDevice | undefined
  const flags = target === "null" ? ["backend=null"] : []
  const opened = Layer.succeed(Dawn, { flags, opened: (device) => void (card = device) })
  const tree = Supervisor.make("bench", {
    strategy: "rest-for-one",
    intensity: { restarts: 1_000, within: "1 minute" },
    children: [GpuDevice.child({ prefer: ["webgpu"], allowSoftware: true }), ModelLive]
  })
  const program = Effect.gen(function* () {
    const model = Context.get((yield* Supervisor.start(tree)).services, Model)
    const vector = numbers(64)
    const times: Array<number> = []
    for (let round = 0; round < effort.rounds; round++) {
      yield* model.ask.Scale({ vector })
      const lost = card!
      const start = performance.now()
      lost.destroy()
      // Asked until the answer is one of the next device.
      while (card === lost) yield* Effect.exit(model.ask.Scale({ vector }))
      yield* Effect.retry(model.ask.Scale({ vector }), { times: 1_000 })
      times.push(performance.now() - start)
    }
    const figure: Figure = {
      measure: "recovery",
      backend: target,
      case: "the card is lost: restarted, compiled, answered",
      unit: "ms",
      value: median(times)
    }
    return [figure]
  })
  // That the device was lost is no news here.
  return Effect.scoped(program).pipe(
    Effect.provide(opened),
    Effect.provideService(References.MinimumLogLevel, "None" as const)
  )
}

/** Calls per second of something in plain JavaScript, for at least 0.2 s. */
const inJs = (work: () => unknown): number => {
  work()
  const times: Array<number> = []
  while (times.length < 3 || (times.reduce((sum, time) => sum + time, 0) < 0.2 && times.length < 1_000)) {
    const start = performance.now()
    work()
    times.push((performance.now() - start) / 1e3)
  }
  return median(times)
}

const perCall = Effect.fnUntraced(function* <E, R>(effort: Effort, times: number, work: Effect.Effect<unknown, E, R>) {
  const { work: total } = yield* inTurns(effort, { work: repeat(times, work) })
  return total / times
})

/** Whole calls, arguments and results copied, next to plain JavaScript and numpy. */
export const computing = (
  target: Target,
  sizes: { readonly scales: ReadonlyArray<number>; readonly matMuls: ReadonlyArray<number> },
  numpy: Readonly<Record<string, number>> | undefined,
  effort: Effort
): Measured =>
  Effect.gen(function* () {
    const figures: Array<Figure> = []
    const report = (name: string, key: string, time: number, js: number, work: number, unit: string) => {
      const rate = (time: number) => work / time / 1e9
      const each = [[target, time], ["js", js], ...(numpy?.[key] === undefined ? [] : [["numpy", numpy[key]]])] as const
      for (const [backend, time] of each as ReadonlyArray<readonly [string, number]>) {
        const figure = { measure: "computing", backend, case: name, unit, value: rate(time) }
        figures.push(backend === "js" ? figure : { ...figure, base: rate(js), ratio: js / time })
      }
    }
    for (const n of sizes.scales) {
      const kernel = yield* Kernel.compile(scale(n))
      const input = numbers(n)
      isClose(yield* kernel.run(input), scaleInJs(input))
      const time = yield* perCall(effort, Math.ceil(2_000_000 / n / effort.cut), kernel.run(input))
      const js = inJs(() => scaleInJs(input))
      report(`a * 2 + 1 over ${n}, base js`, `scale ${n}`, time, js, n, "G elements per second")
    }
    for (const n of sizes.matMuls) {
      const kernel = yield* Kernel.compile(matMul(n))
      const [a, b] = [numbers(n * n), numbers(n * n)]
      if (n <= 512) isClose(yield* kernel.run(a, b), matMulInJs(a, b, n))
      const times = Math.max(1, Math.ceil(5e7 / n ** 3 / effort.cut))
      const time = yield* perCall(effort, times, kernel.run(a, b))
      const js = n <= 512 ? inJs(() => matMulInJs(a, b, n)) : Number.NaN
      report(`${n}x${n} matrices, base js`, `matmul ${n}`, time, js, 2 * n ** 3, "GFLOP/s")
      const [onA, onB] = [yield* GpuBuffer.from(a, [n, n]), yield* GpuBuffer.from(b, [n, n])]
      const resident = yield* perCall(effort, times, kernel.run(onA, onB))
      figures.push({
        measure: "computing",
        backend: target,
        case: `${n}x${n} matrices that are on the device, base sent each time`,
        unit: "GFLOP/s",
        value: (2 * n ** 3) / resident / 1e9,
        base: (2 * n ** 3) / time / 1e9,
        ratio: time / resident
      })
    }
    return figures
  })
