/** The tree: what runs, and what happens when it does not. */
import { Effect } from "effect"
import { Backoff, Supervisor } from "effect-otp"
import { GpuDevice } from "effect-otp/gpu"
import { ClassifierLive, Classifiers } from "./classifier.ts"
import type { Digit } from "./digits.ts"
import { ModelLive } from "./model.ts"
import type { Parameters } from "./network.ts"
import { type Progress, read } from "./reader.ts"
import { TallyLive } from "./tally.ts"
import { TrainerLive } from "./trainer.ts"

/** Digits that are learned from; the rest is held out. */
export const LEARNED = 8_000
const POOL = 4

/** A torn page crashes its classifier, which is restarted after a moment, unless there have been too many. */
const classifier = (n: number) =>
  Supervisor.child(ClassifierLive, {
    id: `classifier-${n}`,
    onFailure: {
      KernelRunFailed: "restart",
      // Not for a classifier to mend: the device is opened again, and everything that uses it.
      KernelCompileFailed: "escalate",
      DeviceLost: "escalate",
      GpuOutOfMemory: "escalate"
    },
    backoff: Backoff.exponential({ min: "2 millis", max: "20 millis" })
  })

/** What runs on the device goes down and comes back with it. `pool` gives up after dozens of crashes; `device` starts it anew. */
const device = (examples: ReadonlyArray<Digit>) =>
  Supervisor.make("device", {
    strategy: "rest-for-one",
    intensity: { restarts: 6, within: "1 minute" },
    children: [
      GpuDevice.child(),
      TrainerLive(examples),
      Supervisor.make("pool", {
        intensity: { restarts: 40, within: "1 minute" },
        children: Array.from({ length: POOL }, (_, i) => classifier(i + 1))
      })
    ]
  })

/** The demo's tree. What has been learned and counted outlives the device. */
export const tree = (
  digits: ReadonlyArray<Digit>,
  parameters: Parameters,
  progress: Progress,
  done: Effect.Effect<unknown>
) =>
  Supervisor.make("demo", {
    intensity: { restarts: 6, within: "1 minute" },
    children: [
      Classifiers.child,
      ModelLive(parameters),
      TallyLive,
      device(digits.slice(0, LEARNED)),
      Supervisor.effect("reader", Effect.andThen(read(digits, progress), done), { restart: "temporary" })
    ]
  })
