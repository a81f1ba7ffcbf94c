/** An actor with hooks of both tiers, which say in which thread they run. */
import { Cause, Effect, Exit, Schema, Stream } from "effect"
import { threadId } from "node:worker_threads"
import { Actor, Interceptor } from "effect-otp"

export class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { limit: Schema.Int }) {}

export class Sums extends Actor.Service<Sums>()("test/tiers/Sums", {
  Add: { payload: { n: Schema.Int }, success: Schema.Int, error: TooMuch },
  CountTo: { payload: { n: Schema.Int }, success: Schema.Int, stream: true },
  Where: { success: Schema.String }
}) {}

const here = threadId === 0 ? "main" : "thread"

/** What hooks of this thread have said. */
export const lines: Array<string> = []

const write = (line: string) => Effect.sync(() => void lines.push(`${here}: ${line}`))

const outcome = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit) ? "success" : (Cause.squash(exit.cause) as TooMuch)._tag

type Call = Interceptor.Call
type Ended = Exit.Exit<unknown, unknown>

const tier = (name: string) => ({
  before: ({ tag }: Call) => write(`${name} before ${tag}`),
  after: ({ tag }: Call, exit: Ended) => write(`${name} after ${tag} ${outcome(exit)}`),
  streamStart: ({ tag }: Call) => write(`${name} start ${tag}`),
  item: (_: Call, value: unknown) => write(`${name} item ${value}`),
  streamEnd: ({ tag }: Call, exit: Ended) => write(`${name} end ${tag} ${outcome(exit)}`)
})

export const Tiers = Interceptor.hooks({
  tags: ["Add", "CountTo"],
  caller: tier("caller"),
  handler: tier("handler")
})

export const SumsLive = Sums.behavior(
  Sums.sync(() => {
    let sum = 0
    return Sums.of({
      Add: ({ n }) => (n > 100 ? Effect.fail(new TooMuch({ limit: 100 })) : Effect.succeed((sum += n))),
      CountTo: ({ n }) => Stream.range(1, n),
      Where: () => here
    })
  })
).pipe(Interceptor.apply(Tiers))

/** What a thread is asked. */
export interface Request {
  readonly id: number
  readonly tag: "Add" | "CountTo" | "Where"
  readonly n: number
}

/** What it answers: replies, then how it ended, with what its hooks have said. */
export type Reply =
  | { readonly id: number; readonly _tag: "Item"; readonly value: number | string }
  | {
      readonly id: number
      readonly _tag: "End"
      readonly limit: number | undefined
      readonly lines: ReadonlyArray<string>
    }
