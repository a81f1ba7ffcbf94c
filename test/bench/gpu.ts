/**
 * `npm run bench:gpu`: what kernels cost through this library and what they bring, on every backend that is here, with medians
 * and ratios of one run. Prints a table and writes the figures to `.cache/bench/gpu.json`.
 *
 *     npm run bench:gpu                          everything, seven rounds
 *     npm run bench:gpu -- --quick               three rounds of a tenth of the size
 *     npm run bench:gpu -- --backends webgpu     some of it; cpu, webasm, webgpu, null (webgpu without computing)
 *     npm run bench:gpu -- --measures overhead,batches
 *     npm run bench:gpu -- --software            take a card that is emulated in software too
 *     npm run bench:gpu -- --json FILE           write the figures there
 *
 * Where no card is here its place is taken by `null`, Dawn's adapter that computes nothing: it tells what calls cost on their
 * way to a card, and how long a lost one takes to be replaced.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus } from "node:os"
import { dirname } from "node:path"
import { parseArgs } from "node:util"
import { Effect, Layer, Result } from "effect"
import { GpuDevice } from "effect-otp/gpu"
import { Dawn } from "../../src/gpu/webGpuDevice.ts"
import { numpySeconds } from "./gpuKernels.ts"
import {
  batches,
  computing,
  delays,
  type Effort,
  type Figure,
  killing,
  overhead,
  recovery,
  residence,
  type Target
} from "./gpuMeasures.ts"

const measures = ["overhead", "batches", "residence", "delays", "recovery", "computing"]

const { values: options } = parseArgs({
  options: {
    backends: { type: "string" },
    measures: { type: "string", default: measures.join(",") },
    quick: { type: "boolean", default: false },
    software: { type: "boolean", default: false },
    json: { type: "string", default: ".cache/bench/gpu.json" }
  }
})

const effort: Effort = options.quick ? { rounds: 3, cut: 10 } : { rounds: 7, cut: 1 }
const chosen = options.measures.split(",")
for (const measure of chosen) if (!measures.includes(measure)) throw new Error(`there is no measure ${measure}`)

const layerOf = (target: Target, isolated: boolean) =>
  GpuDevice.layer({
    prefer: [target === "null" ? "webgpu" : target],
    allowSoftware: options.software,
    isolated
  }).pipe(Layer.provide(Layer.succeed(Dawn, { flags: target === "null" ? ["backend=null"] : [], opened: () => {} })))

/** Why a backend is not here; undefined when it is. */
const missing = (target: Target) =>
  Effect.map(Effect.result(Effect.scoped(Layer.build(layerOf(target, false)))), (built) =>
    Result.isFailure(built) ? built.failure.message : undefined
  )

const matMuls = (target: Target) => (options.quick ? [128] : target === "webgpu" ? [256, 512, 1024, 2048] : [256, 512])
const scales = options.quick ? [4_096, 65_536] : [4_096, 65_536, 1_048_576]

/** All measures of one backend, each on a device of its own. */
const measure = (target: Target, numpy: ReturnType<typeof numpySeconds>) =>
  Effect.gen(function* () {
    const figures: Array<Figure> = []
    const run = <E, R>(name: string, work: Effect.Effect<ReadonlyArray<Figure>, E, R>) =>
      Effect.suspend((): Effect.Effect<void, E, R> => {
        if (!chosen.includes(name)) return Effect.void
        console.error(`${target}: ${name}`)
        return Effect.map(work, (measured) => void figures.push(...measured))
      })
    const on = (
      name: string,
      work: Effect.Effect<ReadonlyArray<Figure>, unknown, GpuDevice.GpuDevice | Effect.Services<typeof Effect.scope>>,
      isolated = false
    ) => run(name, Effect.scoped(Effect.provide(Effect.scoped(work), layerOf(target, isolated), { local: true })))
    const isHost = target === "cpu" || target === "webasm"
    yield* on("overhead", overhead(target, effort))
    yield* on("batches", batches(target, effort))
    if (target !== "null") {
      yield* on("residence", residence(target, effort))
      yield* on("delays", delays(target, isHost ? "in thread" : "on the card", effort))
      if (isHost) yield* on("delays", delays(target, "isolated", effort), true)
      yield* on("computing", computing(target, { scales, matMuls: matMuls(target) }, numpy, effort))
    }
    if (isHost) yield* on("recovery", killing(target, effort), true)
    else yield* run("recovery", recovery(target, effort))
    return figures
  })

const format = (value: number): string => {
  if (Number.isNaN(value)) return ""
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`
  return value >= 1e4 ? `${Math.round(value / 1e3)} k` : value.toPrecision(3)
}

const program = Effect.gen(function* () {
  const asked = (options.backends?.split(",") ?? ["cpu", "webasm", "webgpu"]) as ReadonlyArray<Target>
  const numpy = chosen.includes("computing") ? numpySeconds(scales, matMuls("webgpu")) : undefined
  const declined: Array<string> = []
  const figures: Array<Figure> = []
  for (const backend of asked) {
    const reason = yield* missing(backend)
    if (reason !== undefined) declined.push(reason)
    if (reason === undefined) figures.push(...(yield* measure(backend, numpy)))
    else if (backend === "webgpu" && options.backends === undefined)
      figures.push(...(yield* measure("null", undefined)))
  }
  return { declined, figures }
})

const { declined, figures } = await Effect.runPromise(program)
// What plain JavaScript and numpy take is measured beside each backend, and said once.
const seen = new Set<string>()
const shown = figures.filter(({ backend, case: name }) => {
  const isNew = !seen.has(`${backend} ${name}`)
  seen.add(`${backend} ${name}`)
  return isNew
})
console.log("| measure | on | case | value | base | ratio |")
console.log("| --- | --- | --- | ---: | ---: | ---: |")
for (const { backend, base, case: name, measure, ratio, unit, value } of shown) {
  const compared = base === undefined || ratio === undefined ? " | " : `${format(base)} | ${format(ratio)}`
  console.log(`| ${measure} | ${backend} | ${name} | ${format(value)} ${unit} | ${compared} |`)
}
for (const reason of declined) console.log(`not here: ${reason}`)

const machine = { node: process.version, cpu: cpus()[0]?.model, cores: availableParallelism() }
mkdirSync(dirname(options.json), { recursive: true })
writeFileSync(options.json, JSON.stringify({ machine, effort, declined, figures: shown }, undefined, 2))
console.log(`figures: ${options.json}`)
