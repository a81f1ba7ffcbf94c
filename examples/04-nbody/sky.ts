/** The sky: an actor whose bodies live on the device, and an archive that has them as they were at the last frame. */
import { Effect, Ref, Schema } from "effect"
import { Actor, Backoff, Supervisor } from "effect-otp"
import { GpuBuffer, GpuDevice, Kernel } from "effect-otp/gpu"
import type { Bodies } from "./bodies.ts"
import { gravity } from "./gravity.ts"

/** Time between one step and the next. */
export const STEP = 0.05

const Floats = Schema.instanceOf(Float32Array<ArrayBuffer>)

/** The bodies after so many steps, copied from the device. */
export const Snapshot = Schema.Struct({ step: Schema.Int, positions: Floats, velocities: Floats })
export type Snapshot = typeof Snapshot.Type

/** Keeps the last snapshot in the memory of the host, where neither the sky's crashes nor the device's reach it. */
export class Archive extends Actor.Service<Archive>()("example/Archive", {
  Keep: { payload: Snapshot },
  Last: { success: Snapshot }
}) {}

export class Sky extends Actor.Service<Sky>()("example/Sky", {
  /** Goes on by so many steps; answers how many there have been since the beginning. */
  Advance: { payload: { steps: Schema.Int }, success: Schema.Int },
  Look: { success: Snapshot },
  /** Adds a velocity to all bodies: x, y and z. */
  Push: { payload: { by: Floats } }
}) {}

const ArchiveLive = (bodies: Bodies) =>
  Archive.behavior(
    Effect.gen(function* () {
      const last = yield* Actor.state<Snapshot>({ step: 0, ...bodies })
      return Archive.of({ Keep: (snapshot) => Ref.set(last, snapshot), Last: () => Ref.get(last) })
    })
  )

/** Begins, at each start, with what the archive has. Nothing of the bodies leaves the device between one look and the next. */
const SkyLive = (masses: Bodies["masses"]) =>
  Sky.behavior(
    Effect.gen(function* () {
      const archive = yield* Archive
      const n = masses.length
      const { Drift, Kick, Push } = gravity(n)
      const kernels = yield* Effect.all({
        kick: Kernel.compile(Kick),
        drift: Kernel.compile(Drift),
        push: Kernel.compile(Push)
      })
      const begin = yield* Effect.orDie(archive.ask.Last())
      const weights = yield* GpuBuffer.from(masses, [n])
      const positions = yield* GpuBuffer.state(begin.positions, [3, n])
      const velocities = yield* GpuBuffer.state(begin.velocities, [3, n])
      let step = begin.step

      const kick = (time: number) =>
        velocities.update((before) => positions.use((at) => kernels.kick.resident(before, at, weights, time)))
      const drift = positions.update((before) => velocities.use((by) => kernels.drift.resident(before, by, STEP)))

      return Sky.of({
        /** Leapfrog: half a kick, then drifts and kicks in turn, and half a kick again. It keeps energy for a long time. */
        *Advance({ steps }) {
          yield* kick(STEP / 2)
          for (let i = 1; i <= steps; i++) {
            yield* drift
            yield* kick(i < steps ? STEP : STEP / 2)
          }
          return (step += steps)
        },
        *Look() {
          return { step, positions: yield* positions.read, velocities: yield* velocities.read }
        },
        /** What does not fit the kernel is no answer that anybody declared: it crashes the sky. */
        Push: ({ by }) => velocities.update((before) => kernels.push.resident(before, by))
      })
    })
  )

/** What is on the device goes down and comes back with it; the archive, before it in the list, stays. */
export const Tree = (bodies: Bodies, options: GpuDevice.Options = {}) =>
  Supervisor.make("observatory", {
    strategy: "rest-for-one",
    intensity: { restarts: 5, within: "10 seconds" },
    children: [
      ArchiveLive(bodies),
      GpuDevice.child(options),
      Supervisor.child(SkyLive(bodies.masses), {
        onFailure: {
          KernelRunFailed: "restart",
          DeviceLost: "restart",
          GpuOutOfMemory: "restart",
          // It would fail again.
          KernelCompileFailed: "escalate"
        },
        // A card that was lost takes a moment to be seen and opened again.
        backoff: Backoff.exponential({ min: "10 millis", max: "1 second" })
      })
    ]
  })
