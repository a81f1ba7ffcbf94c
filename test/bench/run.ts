/**
 * `npm run bench`: the workloads for this library, for the loop over Effect's Queue that a user would write instead, and for a
 * hand-written mailbox, interleaved in one run. Prints medians and ratios, and writes every run to `.cache/bench/`.
 *
 *     npm run bench                            everything, five rounds
 *     npm run bench -- --quick                 two rounds of a tenth of the size
 *     npm run bench -- --workloads w1,w5       some of it
 *     npm run bench -- --repeat 9 --core 1     more rounds, pinned to a core (Linux)
 *     npm run bench -- --smoke                 tiny sizes, once: only whether the answers are right
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
// @ts-expect-error plain JavaScript, shared with the contestants
import { WORKLOADS } from "./catalogue.mjs"

interface Run {
  readonly contestant: string
  readonly workload: string
  readonly n?: number
  readonly na?: boolean
  readonly per_second?: number
  readonly bytes_per_item?: number
  readonly p99_ms?: Readonly<Record<string, number>>
  readonly phases_ms?: Readonly<Record<string, number>>
}

const catalogue = WORKLOADS as Readonly<
  Record<string, { readonly title: string; readonly unit: string; readonly n: number }>
>
const contestants = ["effect-otp", "queue", "plain"]

const { values: options } = parseArgs({
  options: {
    workloads: { type: "string", default: Object.keys(catalogue).join(",") },
    repeat: { type: "string", default: "5" },
    core: { type: "string" },
    quick: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false }
  }
})

const sizeOf = (workload: string): number => {
  const { n } = catalogue[workload]!
  if (options.smoke) return workload === "latency" ? 200_000 : workload === "w8" ? 200 : 1_000
  return options.quick ? Math.max(1_000, n / 10) : n
}

/** One run in a process of its own; a wrong answer ends the benchmark. */
const runOne = (contestant: string, workload: string): Run => {
  const script = fileURLToPath(new URL("one.mjs", import.meta.url))
  const node = [process.execPath, "--expose-gc", "--conditions=effect-otp/source", script]
  const command = [...(options.core === undefined ? [] : ["taskset", "-c", options.core]), ...node]
  const child = spawnSync(command[0]!, [...command.slice(1), contestant, workload, String(sizeOf(workload))], {
    encoding: "utf8",
    timeout: 300_000
  })
  if (child.status !== 0) throw new Error(`${contestant} ${workload}: ${child.stderr || child.error}`)
  return JSON.parse(child.stdout.trim().split("\n").at(-1)!) as Run
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const rate = (value: number): string =>
  value >= 1e6 ? `${(value / 1e6).toFixed(2)} M` : value >= 1e3 ? `${Math.round(value / 1e3)} k` : value.toFixed(0)

const chosen = options.workloads.split(",")
for (const workload of chosen)
  if (catalogue[workload] === undefined) throw new Error(`there is no workload ${workload}`)

const runs: Array<Run> = []
for (const workload of chosen) {
  const rounds = options.smoke ? 1 : options.quick ? 2 : Number(options.repeat)
  for (let round = 0; round < rounds; round++) {
    for (const contestant of contestants) runs.push(runOne(contestant, workload))
  }
}

if (options.smoke) console.log(`${runs.filter((run) => !run.na).length} passed, 0 failed`)
else {
  const cell = (workload: string, contestant: string): number | undefined => {
    const rates = runs.flatMap((run) =>
      run.workload === workload && run.contestant === contestant && run.per_second !== undefined ? [run.per_second] : []
    )
    return rates.length === 0 ? undefined : median(rates)
  }
  console.log("| workload | effect-otp, per second | Queue by hand | ratio | hand-written mailbox | ratio |")
  console.log("| --- | ---: | ---: | ---: | ---: | ---: |")
  for (const workload of chosen) {
    const [ours, queue, plain] = contestants.map((contestant) => cell(workload, contestant))
    const ratio = (other: number | undefined) => (other === undefined ? "" : `${(ours! / other).toFixed(2)} x`)
    const shown = (value: number | undefined) => (value === undefined ? "" : rate(value))
    const title = `${workload} ${catalogue[workload]!.title}`
    console.log(`| ${title} | ${shown(ours)} | ${shown(queue)} | ${ratio(queue)} | ${shown(plain)} | ${ratio(plain)} |`)
  }
  for (const run of runs) {
    if (run.bytes_per_item !== undefined) console.log(`idle actor: ${Math.round(run.bytes_per_item)} bytes`)
    if (run.phases_ms !== undefined) {
      const phases = Object.entries(run.phases_ms).map(([phase, millis]) => `${phase} ${millis.toFixed(0)} ms`)
      console.log(`${run.n} children on demand: ${phases.join(", ")}`)
    }
    if (run.p99_ms !== undefined) {
      const { actor, io, timer } = run.p99_ms
      console.log(
        `under flood, p99: actor ${actor!.toFixed(1)} ms, timer ${timer!.toFixed(1)} ms, I/O ${io!.toFixed(1)} ms`
      )
    }
  }
  mkdirSync(".cache/bench", { recursive: true })
  writeFileSync(".cache/bench/runs.json", JSON.stringify(runs, undefined, 2))
  console.log("every run: .cache/bench/runs.json")
}
