/** The tree: what runs, and what happens when it does not. */
import { Effect } from "effect"
import { Backoff, Supervisor } from "effect-otp"
import { ClassifierLive, Classifiers, ModelLive, TallyLive } from "./actors.ts"
import type { Digit, Floats } from "./digits.ts"
import { type Progress, read } from "./reader.ts"

/** Digits that are learned from; the rest is held out. */
export const LEARNED = 8_000
const POOL = 4

/** A torn digit crashes its classifier, which is restarted after a moment, unless there have been too many. */
const classifier = (n: number, examples: ReadonlyArray<Digit>) =>
  Supervisor.child(ClassifierLive(examples), {
    id: `classifier-${n}`,
    onFailure: { TornDigit: "restart" },
    backoff: Backoff.exponential({ min: "2 millis", max: "20 millis" })
  })

/** The demo's tree. `pool` gives up after a dozen crashes, and `demo` starts it anew. */
export const tree = (
  digits: ReadonlyArray<Digit>,
  parameters: Floats,
  progress: Progress,
  done: Effect.Effect<unknown>
) => {
  const examples = digits.slice(0, LEARNED)
  const pool = Array.from({ length: POOL }, (_, i) => classifier(i + 1, examples))
  return Supervisor.make("demo", {
    intensity: { restarts: 6, within: "1 minute" },
    children: [
      Classifiers.child,
      ModelLive(parameters),
      TallyLive,
      Supervisor.make("pool", {
        intensity: { restarts: 12, within: "1 minute" },
        children: pool
      }),
      Supervisor.effect("reader", Effect.andThen(read(digits, progress), done), { restart: "temporary" })
    ]
  })
}
