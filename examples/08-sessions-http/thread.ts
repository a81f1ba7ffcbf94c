/** A worker thread with a model in it: answers each input with the session's next memory. */
import { parentPort, workerData } from "node:worker_threads"
import { digest, effort } from "./digest.ts"

export interface Question {
  readonly id: number
  readonly memory: number
  readonly input: number
}

export interface Answer {
  readonly id: number
  readonly memory: number
  readonly noise: number
}

const { rounds } = workerData as { readonly rounds: number }

parentPort!.on("message", ({ id, input, memory }: Question) => {
  const noise = effort(rounds)
  parentPort!.postMessage({ id, memory: digest(memory, input), noise } satisfies Answer)
})
parentPort!.postMessage("ready")
