/**
 * A graphics card that does nothing: Dawn's null adapter, which is there on every machine. Shaders are really checked, limits,
 * error scopes and the loss of the device are real, results are not computed. It serves the tests of what can fail.
 */
import { Effect, Layer, type Scope } from "effect"
import { GpuDevice } from "effect-otp/gpu"
import { Dawn, type RawDevice } from "../../src/gpu/webGpuDevice.ts"

/** A device on the null adapter, and a look at it from behind. */
export const nullDevice = (opened: (device: RawDevice) => void = () => {}, options: GpuDevice.Options = {}) =>
  GpuDevice.layer({ prefer: ["webgpu"], ...options }).pipe(
    Layer.provide(Layer.succeed(Dawn, { flags: ["backend=null"], opened }))
  )

/** Runs with a device on the null adapter. */
export const onNull = <A, E>(
  body: (raw: RawDevice) => Effect.Effect<A, E, GpuDevice.GpuDevice | Scope.Scope>,
  options?: GpuDevice.Options
) =>
  Effect.suspend(() => {
    let raw: RawDevice | undefined
    const layer = nullDevice((device) => void (raw = device), options)
    return Effect.scoped(Effect.suspend(() => body(raw!))).pipe(Effect.provide(layer, { local: true }))
  })
