/**
 * A load generator in a process of its own: sessions that each send their next request when they have the answer to the last, over
 * connections that are kept. Checks every answer, and sends what it has seen to the process that forked it.
 */
import { Agent, request } from "node:http"
import { digest } from "../../examples/08-sessions-http/digest.ts"

/** What is to be sent where. */
export interface Load {
  readonly port: number
  readonly sessions: number
  /** Requests of each session. */
  readonly steps: number
  /** Sessions at a time: all of them, or one after the other. */
  readonly atATime: number
  /** Requests before time is taken, for connections and code to be warm. */
  readonly warm: number
}

/** What came back. Times are milliseconds. */
export interface Seen {
  readonly sent: number
  /** Answers of status 200 with the step and the memory that they should have. */
  readonly right: number
  /** Anything else, and how often. */
  readonly wrong: Readonly<Record<string, number>>
  readonly took: number
  readonly p50: number
  readonly p99: number
}

const load = JSON.parse(process.argv[2]!) as Load
const agent = new Agent({ keepAlive: true })

interface Answer {
  readonly status: number
  readonly body: { readonly steps?: number; readonly memory?: number }
}

const post = (body: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
    const options = { agent, host: "127.0.0.1", port: load.port, path: "/compute", method: "POST", headers }
    const sending = request(options, (response) => {
      const parts: Array<Buffer> = []
      response.on("data", (part: Buffer) => parts.push(part))
      response.on("error", reject)
      response.on("end", () => {
        resolve({ status: response.statusCode!, body: JSON.parse(Buffer.concat(parts).toString()) as Answer["body"] })
      })
    })
    sending.on("error", reject)
    sending.end(body)
  })

const wrong: Record<string, number> = {}
const times: Array<number> = []
let sent = 0
let right = 0

const session = async (name: string): Promise<void> => {
  let memory = 0
  for (let step = 1; step <= load.steps; step++) {
    const input = (step * 7_919) % 1_000
    memory = digest(memory, input)
    sent++
    const from = performance.now()
    const seen = await post(JSON.stringify({ session: name, input })).then(
      ({ body, status }) => {
        if (status !== 200) return `status ${status}`
        return body.steps === step && body.memory === memory ? "right" : "another answer"
      },
      (error: NodeJS.ErrnoException) => error.code ?? "error"
    )
    times.push(performance.now() - from)
    if (seen === "right") right++
    else wrong[seen] = (wrong[seen] ?? 0) + 1
  }
}

const queue = Array.from({ length: load.sessions }, (_, n) => `session-${n}`)
const next = async (): Promise<void> => {
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) await session(name)
}

await Promise.all(Array.from({ length: load.warm }, (_, n) => post(`{"session":"warm-${n}","input":1}`)))

const from = performance.now()
await Promise.all(Array.from({ length: load.atATime }, next))
const took = performance.now() - from

times.sort((one, other) => one - other)
const share = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))]!
process.send!({ sent, right, wrong, took, p50: share(0.5), p99: share(0.99) } satisfies Seen)
agent.destroy()
process.disconnect()
