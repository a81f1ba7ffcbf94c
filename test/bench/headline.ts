/**
 * What a pool of heavy models does for an app: ten sessions on two members against one after the other, n members, a model for
 * each request instead of a pool, and members that are killed all the time. The app, its load and this are processes of their own.
 * Prints medians and ratios; ends with 1 when a request was lost, answered wrongly, or counted twice.
 *
 *     npm run bench:headline                           everything, three rounds
 *     npm run bench:headline -- --rounds 5             more of them
 *     npm run bench:headline -- --only waiting,kills   some of it
 *     npm run bench:headline -- --smoke                tiny, once: only whether all is answered
 *
 * What each way does in a round is in `catalogue`; the ways of a group take turns. Ratios are those of medians.
 */
import { type ChildProcess, fork, spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { availableParallelism, cpus, loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import type { Load, Seen } from "./headlineLoad.ts"
import type { Config } from "./headlineServer.ts"
import { median } from "./timing.ts"

/** An app and what is sent to it. */
interface Way {
  readonly name: string
  readonly config: Config
  readonly load: Omit<Load, "port" | "warm">
  /** What it is compared with: a name of its group. */
  readonly against?: string
}

interface Result extends Seen {
  /** Milliseconds from the start of the app's process to its first answer. */
  readonly start: number
  /** What the app itself has counted; not known of one without a pool. */
  readonly counted?: { readonly handled: number; readonly crashed: number; readonly retried: number }
}

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "waiting,members,cpu,load,kills,references" },
    smoke: { type: "boolean", default: false }
  }
})
const smoke = options.smoke
const size = (full: number, tiny: number): number => (smoke ? tiny : full)

const waiting = { kind: "waiting", load: size(200, 10), infer: size(50, 2) } as const
const longer = { ...waiting, infer: size(100, 2) }
const rounds = size(20_000_000, 100_000)
const heavy = { kind: "waiting", load: size(2_000, 40), infer: size(100, 2) } as const

const membersOf = (members: number): string => (members === 1 ? "1 member" : `${members} members`)

const catalogue: Readonly<Record<string, { readonly title: string; readonly ways: ReadonlyArray<Way> }>> = {
  waiting: {
    title: `10 sessions × 10 requests that wait ${waiting.infer} ms`,
    ways: [
      {
        name: "one after the other, 1 member",
        config: { members: 1, models: waiting },
        load: { sessions: 10, steps: 10, atATime: 1 }
      },
      {
        name: "all at once, 2 members",
        config: { members: 2, models: waiting },
        load: { sessions: 10, steps: 10, atATime: 10 },
        against: "one after the other, 1 member"
      }
    ]
  },
  members: {
    title: `32 sessions × 5 requests that wait ${longer.infer} ms`,
    ways: [1, 2, 4, 8, 16].map((members) => ({
      name: membersOf(members),
      config: { members, models: longer },
      load: { sessions: 32, steps: 5, atATime: 32 },
      against: membersOf(1)
    }))
  },
  cpu: {
    title: "16 sessions × 5 requests that compute",
    ways: [
      ...[1, 2].map((members) => ({
        name: `${membersOf(members)} in the app's thread`,
        config: { members, models: { kind: "here", rounds } as const },
        load: { sessions: 16, steps: 5, atATime: 16 },
        against: "1 member in the app's thread"
      })),
      ...[1, 2, 4].map((members) => ({
        name: `${membersOf(members)} with threads`,
        config: { members, models: { kind: "threads", rounds } as const },
        load: { sessions: 16, steps: 5, atATime: 16 },
        against: "1 member in the app's thread"
      }))
    ]
  },
  load: {
    title: `10 sessions × 2 requests of ${heavy.infer} ms, models that load in ${heavy.load} ms, 2 at a time`,
    ways: [
      {
        name: "a model for each request",
        config: { members: 2, models: heavy, perRequest: true },
        load: { sessions: 10, steps: 2, atATime: 10 }
      },
      {
        name: "a pool of 2",
        config: { members: 2, models: heavy },
        load: { sessions: 10, steps: 2, atATime: 10 },
        against: "a model for each request"
      }
    ]
  },
  kills: {
    title: `20 sessions × ${size(100, 10)} requests of ${size(10, 2)} ms, 4 members`,
    ways: [undefined, 100, 30].map((killEvery) => ({
      name: killEvery === undefined ? "nobody is killed" : `one is killed every ${killEvery} ms`,
      config: {
        members: 4,
        models: { kind: "waiting", load: 50, infer: size(10, 2) } as const,
        ...(killEvery === undefined ? undefined : { killEvery })
      },
      load: { sessions: 20, steps: size(100, 10), atATime: 20 },
      against: "nobody is killed"
    }))
  }
}

const start = (script: string, config: object): ChildProcess =>
  fork(fileURLToPath(new URL(script, import.meta.url)), [JSON.stringify(config)], {
    execArgv: ["--conditions=effect-otp/source", "--no-warnings"]
  })

/** The first message of a process; its end before that is an error. */
const heard = <A>(child: ChildProcess): Promise<A> =>
  new Promise((resolve, reject) => {
    child.once("message", (message) => resolve(message as A))
    child.once("exit", (code) => reject(new Error(`${child.spawnargs.at(-1)} ended with ${code}`)))
  })

const run = async ({ config, load }: Way): Promise<Result> => {
  const from = performance.now()
  const app = start("headlineServer.ts", config)
  try {
    const { port } = await heard<{ readonly port: number }>(app)
    const started = performance.now() - from
    const warm = config.perRequest === true ? 1 : load.atATime
    const seen = await heard<Seen>(start("headlineLoad.ts", { ...load, port, warm }))
    if (config.perRequest === true) return { ...seen, start: started }
    const response = await fetch(`http://127.0.0.1:${port}/stats`)
    const { pool } = (await response.json()) as { readonly pool: NonNullable<Result["counted"]> }
    const { crashed, handled, retried } = pool
    return { ...seen, start: started, counted: { crashed, handled: handled - warm, retried } }
  } finally {
    app.disconnect()
  }
}

/** What must never be: requests without the one right answer, or computed another time than it was counted. */
const faults = (way: Way, { counted, right, sent, wrong }: Result): ReadonlyArray<string> => {
  const found = Object.entries(wrong).map(([what, times]) => `${times} × ${what}`)
  if (sent !== way.load.sessions * way.load.steps) found.push(`${sent} sent`)
  if (right !== sent) found.push(`${sent - right} of ${sent} not answered`)
  if (counted === undefined) return found
  const { crashed, handled, retried } = counted
  if (handled - crashed !== sent) found.push(`${handled - crashed} computed, ${sent} sent`)
  if (crashed !== retried) found.push(`${crashed} lost by members, ${retried} begun anew`)
  return found
}

const show = (title: string, ways: ReadonlyArray<Way>, results: ReadonlyMap<Way, ReadonlyArray<Result>>): void => {
  const of = (way: Way, what: (result: Result) => number) => median(results.get(way)!.map(what))
  const seconds = (millis: number) => (millis / 1_000).toFixed(2)
  console.log(`\n| ${title} | s | ratio | p50 ms | p99 ms | started in s | sent | answered | begun anew |`)
  console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
  for (const way of ways) {
    const took = of(way, (result) => result.took)
    const other = ways.find(({ name }) => name === way.against)
    const ratio = other === undefined || other === way ? "" : `${(of(other, (r) => r.took) / took).toFixed(2)} x`
    const latencies = [of(way, ({ p50 }) => p50), of(way, ({ p99 }) => p99)].map((millis) => millis.toFixed(0))
    const all = results.get(way)!
    const total = (what: (result: Result) => number) => all.reduce((sum, result) => sum + what(result), 0)
    const counts = [total(({ sent }) => sent), total(({ right }) => right), total((r) => r.counted?.retried ?? 0)]
    const cells = [way.name, seconds(took), ratio, ...latencies, seconds(of(way, (r) => r.start)), ...counts]
    console.log(`| ${cells.join(" | ")} |`)
  }
}

const chosen = options.only.split(",")
const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim()}), Node ${process.version}`
console.log(`${machine}, load of the machine before the start ${loadavg()[0]!.toFixed(1)}`)

const found: Array<string> = []
for (const [group, { title, ways }] of Object.entries(catalogue)) {
  if (!chosen.includes(group)) continue
  const results = new Map<Way, ReadonlyArray<Result>>()
  for (let round = 0; round < (smoke ? 1 : Number(options.rounds)); round++) {
    for (const way of ways) {
      const result = await run(way)
      found.push(...faults(way, result).map((fault) => `${group}, ${way.name}: ${fault}`))
      results.set(way, [...(results.get(way) ?? []), result])
    }
  }
  show(title, ways, results)
}

// References against copies have a benchmark of their own.
const store = fileURLToPath(new URL("store.ts", import.meta.url))
if (chosen.includes("references") && existsSync(store)) {
  console.log("")
  const args = ["--no-warnings", "--expose-gc", "--conditions=effect-otp/source", store, ...(smoke ? ["1", "1"] : [])]
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" })
  if (status !== 0) found.push(`references: ended with ${status}`)
}

console.log(found.length === 0 ? "\nEvery request was answered once." : `\n${found.join("\n")}`)
process.exitCode = found.length === 0 ? 0 : 1
