/**
 * Runs one workload of one contestant in a process of its own, after a warm-up, and prints one line of JSON.
 *
 *     node --expose-gc one.mjs CONTESTANT WORKLOAD N
 */
import { helpers, WORKLOADS } from "./catalogue.mjs"

const [contestant, workload, size] = process.argv.slice(2)
const n = Number(size)
const { expect } = WORKLOADS[workload]

const load = {
  "effect-otp": async () => {
    const { makeWorkloads } = await import("./effectOtp.mjs")
    return makeWorkloads(await import("effect-otp"))
  },
  queue: async () => (await import("./queue.mjs")).workloads,
  plain: async () => (await import("./plain.mjs")).workloads
}

const collect = async () => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const runOnce = async (run, count) => {
  let from
  let seconds
  const context = {
    start: () => (from = process.hrtime.bigint()),
    stop: () => (seconds = Number(process.hrtime.bigint() - from) / 1e9),
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    async memory() {
      await collect()
      const { external, heapUsed } = process.memoryUsage()
      return { live: heapUsed + external }
    }
  }
  const { check, latencies: _, ...details } = await run(count, context, helpers)
  if (check !== expect(count)) throw new Error(`${workload}: the answer is ${check}, it should be ${expect(count)}`)
  return { ...details, seconds, per_second: count / seconds }
}

const run = (await load[contestant]())[workload]
if (run === undefined) console.log(JSON.stringify({ contestant, workload, na: true }))
else {
  // The same size classes as the measured run: w4 and w6 take their batches as they are.
  const warm = Math.min(n, workload === "w7" ? 1_000 : 100_000)
  if (workload !== "w6m" && workload !== "latency") await runOnce(run, warm)
  await collect()
  console.log(JSON.stringify({ contestant, workload, n, ...(await runOnce(run, n)) }))
}
process.exit(0)
