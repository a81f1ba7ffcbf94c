/**
 * The backends the tests run on: cpu and webasm everywhere, and the graphics card where EFFECT_OTP_GPU says so
 * (`webgpu`, or `software` for one that is emulated).
 */
import { Effect, type Scope } from "effect"
import { GpuDevice } from "effect-otp/gpu"

const card = process.env["EFFECT_OTP_GPU"]

export const backends: ReadonlyArray<GpuDevice.Backend> =
  card === undefined ? ["cpu", "webasm"] : ["cpu", "webasm", "webgpu"]

/** What a device on this machine's card needs to be told. */
export const deviceOptions: GpuDevice.Options = { allowSoftware: card === "software" }

/** A device of exactly this backend. */
export const deviceOf = (backend: GpuDevice.Backend, options: Omit<GpuDevice.Options, "prefer"> = {}) =>
  GpuDevice.layer({ prefer: [backend], ...deviceOptions, ...options })

/** Runs with a device of this backend, and all that was made on it. */
export const on =
  (backend: GpuDevice.Backend) =>
  <A, E>(effect: Effect.Effect<A, E, GpuDevice.GpuDevice | Scope.Scope>) =>
    Effect.scoped(effect).pipe(Effect.provide(deviceOf(backend), { local: true }))
