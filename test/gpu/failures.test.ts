/** What can fail on a graphics card, each made to fail on Dawn's null adapter: every mode becomes a typed error. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { GpuBuffer, GpuDevice, Kernel, Pipeline } from "effect-otp/gpu"
import type { RawDevice } from "../../src/gpu/webGpuDevice.ts"
import { nullDevice, onNull } from "./nullAdapter.ts"

const Same = Kernel.make("Same", {
  args: [Kernel.tensor(64)],
  output: [64],
  body: function (v) {
    return v[this.thread.x]!
  }
})

const Thrice = Pipeline.make("Thrice", {
  args: [Kernel.tensor(64)],
  kernels: { same: Same },
  body: ({ same }, v) => same(same(same(v)))
})

const zeros = new Float32Array(64)

const compileError = (
  effect: Effect.Effect<unknown, Kernel.KernelCompileFailed | Kernel.Failure, GpuDevice.GpuDevice | Scope.Scope>
) =>
  Effect.flip(effect).pipe(
    Effect.flatMap((error) => (error._tag === "KernelCompileFailed" ? Effect.succeed(error.reason) : Effect.die(error)))
  )

describe("compile", () => {
  it.live("works, and gives as many numbers as were asked for", () =>
    onNull(() =>
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(Same)
        assert.strictEqual((yield* kernel.run(zeros)).length, 64)
        const results = yield* kernel.runBatch([[zeros], [zeros], [zeros]])
        assert.deepStrictEqual(
          results.map((result) => result.length),
          [64, 64, 64]
        )
        const buffer = yield* kernel.resident(zeros)
        assert.strictEqual((yield* (yield* kernel.resident(buffer)).read).length, 64)
      })
    )
  )

  it.live("takes more tensors than WebGPU allows by default, and refuses more than the adapter allows", () =>
    onNull((raw) =>
      Effect.gen(function* () {
        const allowed = raw.limits.maxStorageBuffersPerShaderStage
        const constants = (count: number) =>
          Object.fromEntries(Array.from({ length: count }, (_, i) => [`c${i}`, Float32Array.of(i)]))
        const options = {
          args: [],
          output: [1],
          body: function () {
            return 1
          }
        } as const
        yield* Kernel.compile(Kernel.make("Many", { ...options, constants: constants(allowed - 1) }))
        const reason = yield* compileError(
          Kernel.compile(Kernel.make("TooMany", { ...options, constants: constants(allowed) }))
        )
        assert.deepInclude(reason, { _tag: "Limit", needed: allowed + 1, allowed })
      })
    )
  )

  it.live("refuses what the shader compiler refuses, with its words", () =>
    onNull(() =>
      Effect.gen(function* () {
        const reason = yield* compileError(
          Kernel.compile(
            Kernel.make("Overflow", {
              args: [],
              output: [1],
              body: function () {
                return Math.exp(1000)
              }
            })
          )
        )
        assert.strictEqual(reason._tag, "Syntax")
        assert.include(reason.message, "cannot be represented")
        yield* Kernel.compile(Same)
      })
    )
  )

  it.live("refuses tensors and outputs beyond the device's limits", () =>
    onNull((raw) =>
      Effect.gen(function* () {
        const { maxComputeWorkgroupsPerDimension, maxStorageBufferBindingSize } = raw.limits
        const sized = (output: Kernel.Dims) =>
          compileError(
            Kernel.compile(
              Kernel.make("Sized", {
                args: [],
                output,
                body: function () {
                  return 1
                }
              })
            )
          )
        const bytes = yield* sized([maxStorageBufferBindingSize / 4 + 1])
        assert.deepInclude(bytes, { _tag: "Limit", allowed: maxStorageBufferBindingSize })
        const rows = yield* sized([maxComputeWorkgroupsPerDimension * 8 + 1, 1])
        assert.deepInclude(rows, { _tag: "Limit", limit: "output rows or columns" })
        const layers = yield* sized([maxComputeWorkgroupsPerDimension + 1, 1, 1])
        assert.deepInclude(layers, { _tag: "Limit", limit: "output layers" })
      })
    )
  )
})

/** What a raw device can be made to do. */
const sabotage = (raw: RawDevice) => {
  const { createBuffer, popErrorScope, pushErrorScope } = raw
  const { createShaderModule } = raw as unknown as { readonly createShaderModule: (descriptor: unknown) => unknown }
  const scopes: Array<string> = []
  const planned = { exhausted: 0, refused: 0, shaders: 0 }
  Object.assign(raw, {
    pushErrorScope: (filter: "validation") => {
      scopes.push(filter)
      pushErrorScope.call(raw, filter)
    },
    popErrorScope: () => {
      const isMemory = scopes.pop() === "out-of-memory"
      const popped = popErrorScope.call(raw)
      return isMemory && planned.exhausted > 0 && planned.exhausted-- > 0
        ? popped.then(() => new Error("no memory left"))
        : popped
    },
    // Larger than any device allows.
    createBuffer: (descriptor: { readonly size: number; readonly usage: number }) =>
      createBuffer.call(
        raw,
        planned.refused > 0 && planned.refused-- > 0 ? { ...descriptor, size: 2 ** 50 } : descriptor
      ),
    createShaderModule: (descriptor: unknown) => {
      planned.shaders++
      return createShaderModule.call(raw, descriptor)
    }
  })
  return planned
}

describe("the device", () => {
  it.live.each(["exhausted", "refused"] as const)(
    "finds fault with a call (%s): it fails, and the kernel is built anew",
    (how) =>
      onNull((raw) =>
        Effect.gen(function* () {
          const planned = sabotage(raw)
          const kernel = yield* Kernel.compile(Same)
          planned[how] = 1
          const error = yield* Effect.flip(kernel.run(zeros))
          assert.strictEqual(error._tag, how === "exhausted" ? "GpuOutOfMemory" : "KernelRunFailed")
          assert.strictEqual(planned.shaders, 1)
          assert.strictEqual((yield* kernel.run(zeros)).length, 64)
          assert.strictEqual((yield* kernel.run(zeros)).length, 64)
          assert.strictEqual(planned.shaders, 2)
        })
      )
  )

  it.live("has no memory for a compilation: it fails, and the next succeeds", () =>
    onNull((raw) =>
      Effect.gen(function* () {
        const planned = sabotage(raw)
        planned.exhausted = 1
        assert.strictEqual((yield* Effect.flip(Kernel.compile(Same)))._tag, "GpuOutOfMemory")
        planned.refused = 1
        assert.strictEqual((yield* Effect.flip(Kernel.compile(Same)))._tag, "KernelCompileFailed")
        const kernel = yield* Kernel.compile(Same)
        assert.strictEqual((yield* kernel.run(zeros)).length, 64)
      })
    )
  )

  it.live("has no memory for a buffer, or for reading one", () =>
    onNull((raw) =>
      Effect.gen(function* () {
        const planned = sabotage(raw)
        planned.exhausted = 1
        assert.strictEqual((yield* Effect.flip(GpuBuffer.from(zeros, [64])))._tag, "GpuOutOfMemory")
        const buffer = yield* GpuBuffer.from(zeros, [64])
        planned.exhausted = 1
        assert.strictEqual((yield* Effect.flip(buffer.read))._tag, "GpuOutOfMemory")
        assert.strictEqual((yield* buffer.read).length, 64)
      })
    )
  )

  it.live("has no memory for a call of a pipeline: it fails, and the next works", () =>
    onNull((raw) =>
      Effect.gen(function* () {
        const planned = sabotage(raw)
        const pipeline = yield* Pipeline.compile(Thrice)
        assert.strictEqual((yield* pipeline.run(zeros)).length, 64)
        planned.exhausted = 1
        assert.strictEqual((yield* Effect.flip(pipeline.run(zeros)))._tag, "GpuOutOfMemory")
        assert.strictEqual((yield* pipeline.run(zeros)).length, 64)
      })
    )
  )

  it.live("finds fault with the first call of a pipeline: it fails, and the next works", () =>
    onNull((raw) =>
      Effect.gen(function* () {
        const planned = sabotage(raw)
        const pipeline = yield* Pipeline.compile(Thrice)
        planned.refused = 1
        const error = yield* Effect.flip(pipeline.run(zeros))
        assert.strictEqual(error._tag, "KernelRunFailed")
        assert.strictEqual((yield* pipeline.run(zeros)).length, 64)
      })
    )
  )

  it.live("runs out of memory where no call can be told: whoever watches is", () =>
    onNull((raw) =>
      Effect.gen(function* () {
        const device = yield* GpuDevice.GpuDevice
        class GPUOutOfMemoryError extends Error {}
        raw.onuncapturederror!({ error: new GPUOutOfMemoryError("no memory left") })
        assert.strictEqual((yield* Effect.flip(device.lost))._tag, "GpuOutOfMemory")
      })
    )
  )
})

describe("the device is lost", () => {
  it.live("while nothing is in flight: all that is on it fails from then on", () =>
    onNull((raw) =>
      Effect.gen(function* () {
        const device = yield* GpuDevice.GpuDevice
        const kernel = yield* Kernel.compile(Same)
        const buffer = yield* kernel.resident(zeros)
        const pipeline = yield* Pipeline.compile(Thrice)
        yield* pipeline.run(zeros)
        raw.destroy()
        const lost = yield* Effect.flip(device.lost)
        assert.strictEqual(lost._tag, "DeviceLost")
        for (const effect of [
          kernel.run(zeros),
          kernel.runBatch([[zeros]]),
          kernel.resident(zeros),
          buffer.read,
          pipeline.run(zeros),
          GpuBuffer.from(zeros, [64]),
          Kernel.compile(Same)
        ] as ReadonlyArray<
          Effect.Effect<unknown, Kernel.KernelCompileFailed | Kernel.Failure, GpuDevice.GpuDevice | Scope.Scope>
        >) {
          assert.strictEqual((yield* Effect.flip(effect))._tag, "DeviceLost")
        }
      })
    )
  )

  it.live("while calls are in flight: each of them fails", () =>
    onNull((raw) =>
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(Same)
        const calls = yield* Effect.forkChild(
          Effect.all(
            Array.from({ length: 20 }, () => Effect.exit(kernel.run(zeros))),
            { concurrency: "unbounded" }
          ),
          { startImmediately: true }
        )
        raw.destroy()
        const exits = yield* Fiber.join(calls)
        const tags = new Set(
          exits.map((exit) => (Exit.isFailure(exit) ? Effect.runSync(Effect.flip(exit))._tag : "ok"))
        )
        assert.deepStrictEqual([...tags], ["DeviceLost"])
      })
    )
  )

  it.live("and a new layer has a new one", () =>
    Effect.gen(function* () {
      yield* onNull((raw) =>
        Effect.gen(function* () {
          const kernel = yield* Kernel.compile(Same)
          raw.destroy()
          assert.strictEqual((yield* Effect.flip(kernel.run(zeros)))._tag, "DeviceLost")
        })
      )
      yield* onNull(() =>
        Effect.gen(function* () {
          const kernel = yield* Kernel.compile(Same)
          assert.strictEqual((yield* kernel.run(zeros)).length, 64)
        })
      )
    })
  )
})

describe("the layer", () => {
  it.live("leaves navigator.gpu as it was", () =>
    Effect.gen(function* () {
      assert.notProperty(globalThis.navigator, "gpu")
      yield* onNull(() => Effect.sync(() => assert.property(globalThis.navigator, "gpu")))
      assert.notProperty(globalThis.navigator, "gpu")
    })
  )

  it.live("declines the card while another device has it", () =>
    onNull(() =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.provide(GpuDevice.GpuDevice, nullDevice(), { local: true }))
        assert.strictEqual(error._tag, "GpuUnavailable")
        assert.include(error.message, "another GpuDevice")
        const layer = GpuDevice.layer({ prefer: ["webgpu", "cpu"] })
        const device = yield* Effect.provide(GpuDevice.GpuDevice, layer, { local: true })
        assert.strictEqual(device.backend, "cpu")
        assert.deepStrictEqual(
          device.declined.map(({ backend }) => backend),
          ["webgpu"]
        )
      })
    )
  )

  it.live("waits for what is in flight before it closes the device", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      yield* onNull((raw) =>
        Effect.gen(function* () {
          const { destroy } = raw
          const { onSubmittedWorkDone } = raw.queue
          Object.assign(raw.queue, {
            onSubmittedWorkDone: () => {
              order.push("waits")
              return onSubmittedWorkDone.call(raw.queue).then(() => void order.push("done"))
            }
          })
          Object.assign(raw, { destroy: () => void (order.push("closed"), destroy.call(raw)) })
          const kernel = yield* Kernel.compile(Same)
          yield* kernel.run(zeros)
        })
      )
      assert.deepStrictEqual(order, ["waits", "done", "closed"])
    })
  )
})

describe("calls in flight", () => {
  it.live("are never more than the device's concurrency, also when those who asked are interrupted", () =>
    onNull(
      (raw) =>
        Effect.gen(function* () {
          let [inFlight, most] = [0, 0]
          const { submit } = raw.queue
          const maps = raw.createBuffer
          Object.assign(raw.queue, {
            submit: (commands: ReadonlyArray<unknown>) => {
              most = Math.max(most, ++inFlight)
              submit.call(raw.queue, commands)
            }
          })
          Object.assign(raw, {
            createBuffer(descriptor: { size: number; usage: number }) {
              const buffer = maps.call(raw, descriptor)
              const { mapAsync } = buffer
              Object.assign(buffer, {
                mapAsync: (mode: number) => mapAsync.call(buffer, mode).then(() => void inFlight--)
              })
              return buffer
            }
          })
          const kernel = yield* Kernel.compile(Same)
          const run = Effect.exit(kernel.run(zeros))
          const calls = yield* Effect.forkChild(
            Effect.all(
              Array.from({ length: 12 }, () => run),
              { concurrency: "unbounded" }
            ),
            { startImmediately: true }
          )
          yield* Fiber.interrupt(calls)
          yield* Effect.all(
            Array.from({ length: 12 }, () => run),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(most, 3)
        }),
      { prefer: ["webgpu"], concurrency: 3 }
    )
  )

  it.live("free a result that stays on the device when nobody waits for it any more", () =>
    onNull((raw) =>
      Effect.gen(function* () {
        let [made, destroyed] = [0, 0]
        const { createBuffer } = raw
        Object.assign(raw, {
          createBuffer(descriptor: { readonly size: number; readonly usage: number }) {
            const buffer = createBuffer.call(raw, descriptor)
            const { destroy } = buffer
            made++
            return Object.assign(buffer, { destroy: () => void (destroyed++, destroy.call(buffer)) })
          }
        })
        const calls = 10
        yield* Effect.scoped(
          Effect.gen(function* () {
            const kernel = yield* Kernel.compile(Same)
            yield* kernel.resident(zeros)
            for (let i = 0; i < calls; i++) {
              const call = yield* Effect.forkChild(kernel.resident(zeros), { startImmediately: true })
              yield* Fiber.interrupt(call)
            }
            const upload = yield* Effect.forkChild(GpuBuffer.from(zeros, [64]), { startImmediately: true })
            yield* Fiber.interrupt(upload)
            yield* kernel.resident(zeros)
            // What is in flight is in order, so the others have ended with this one.
            yield* (yield* kernel.resident(zeros)).read
          })
        )
        assert.isAbove(made, calls)
        assert.strictEqual(destroyed, made)
      })
    )
  )

  it.live("a closed kernel's fail with Closed", () =>
    onNull(() =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const kernel = yield* Scope.provide(Kernel.compile(Same), scope)
        const call = yield* Effect.forkChild(kernel.run(zeros), { startImmediately: true })
        yield* Scope.close(scope, Exit.void)
        const error = yield* Effect.flip(Fiber.join(call))
        assert.strictEqual(error._tag, "KernelRunFailed")
        if (error._tag === "KernelRunFailed") assert.strictEqual(error.reason._tag, "Closed")
      })
    )
  )
})
