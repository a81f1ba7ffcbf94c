/** Devices: which backend is taken and why the others are not, and a device as a child of a supervisor. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Schema } from "effect"
import { Actor, Supervisor } from "effect-otp"
import { GpuDevice, Kernel, Tensor } from "effect-otp/gpu"
import { Dawn, type RawDevice } from "../../src/gpu/webGpuDevice.ts"
import { quiet } from "../support/recording.ts"

const deviceWith = (options?: GpuDevice.Options) =>
  Effect.provide(GpuDevice.GpuDevice, GpuDevice.layer(options), { local: true })

describe("the first backend that is here is taken", () => {
  it.live("in the order asked for, with the reasons of those that are not", () =>
    Effect.gen(function* () {
      const cpu = yield* deviceWith({ prefer: ["cpu", "webasm"] })
      assert.deepStrictEqual([cpu.backend, cpu.declined], ["cpu", []])
      const webasm = yield* deviceWith({ prefer: ["webasm", "cpu"] })
      assert.deepStrictEqual([webasm.backend, webasm.declined], ["webasm", []])
    })
  )

  it.live("also when one of them is not built for this machine", () =>
    Effect.gen(function* () {
      const { navigator } = globalThis as unknown as { navigator: object }
      const none = { requestAdapter: () => Effect.runPromise(Effect.succeed(null)) }
      Object.defineProperty(navigator, "gpu", { value: none, configurable: true })
      const [device, error] = yield* Effect.all([deviceWith(), Effect.flip(deviceWith({ prefer: ["webgpu"] }))])
      assert.strictEqual((navigator as { gpu?: unknown }).gpu, none)
      Reflect.deleteProperty(navigator, "gpu")
      assert.strictEqual(device.backend, "webasm")
      assert.strictEqual(device.declined[0]!.backend, "webgpu")
      assert.include(device.declined[0]!.reason, "no adapter")
      assert.strictEqual(error._tag, "GpuUnavailable")
      assert.include(error.message, "no device to run kernels on. webgpu: there is no adapter")
    })
  )

  it.live.each([
    { info: { architecture: "software", description: "llvmpipe" } },
    { info: { architecture: "", description: "SwiftShader", isFallbackAdapter: true } }
  ])("an adapter that is software is declined unless allowed: %j", (adapter) =>
    Effect.gen(function* () {
      const { navigator } = globalThis as unknown as { navigator: object }
      const software = {
        ...adapter,
        limits: {},
        requestDevice: () => Effect.runPromise(Effect.fail(new Error("asked for a device")))
      }
      const gpu = { requestAdapter: () => Effect.runPromise(Effect.succeed(software)) }
      Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true })
      const declined = yield* Effect.flip(deviceWith({ prefer: ["webgpu"] }))
      const allowed = yield* Effect.flip(deviceWith({ prefer: ["webgpu"], allowSoftware: true }))
      Reflect.deleteProperty(navigator, "gpu")
      assert.include(declined.message, "emulated in software")
      assert.include(allowed.message, "asked for a device")
    })
  )

  it.live("options that make no sense are defects", () =>
    Effect.gen(function* () {
      for (const wrong of [
        { concurrency: 0 },
        { concurrency: 1.5 },
        { threads: 0 },
        { prefer: [] },
        { prefer: ["gl"] }
      ]) {
        const exit = yield* Effect.exit(deviceWith(wrong as never))
        assert.isTrue(Exit.hasDies(exit), JSON.stringify(wrong))
      }
    })
  )

  it.live("large kernels of webasm can take several threads", () =>
    Effect.gen(function* () {
      const kernel = yield* Kernel.compile(
        Kernel.make("Squares", {
          args: [Kernel.tensor(20_000)],
          output: [20_000],
          body: function (v) {
            return v[this.thread.x]! * v[this.thread.x]!
          }
        })
      )
      const values = Float32Array.from({ length: 20_000 }, (_, i) => i % 100)
      const expected = values.map((x) => x * x)
      const results = yield* Effect.all([kernel.run(values), kernel.run(values)], { concurrency: "unbounded" })
      assert.deepStrictEqual(results, [expected, expected])
    }).pipe(Effect.scoped, Effect.provide(GpuDevice.layer({ prefer: ["webasm"], threads: 2 }), { local: true }))
  )
})

describe("a device as a child", () => {
  const Same = Kernel.make("Same", {
    args: [Kernel.tensor(4)],
    output: [4],
    body: function (v) {
      return v[this.thread.x]!
    }
  })

  class Before extends Actor.Service<Before>()("test/Before", { Which: { success: Schema.Int } }) {}
  class Model extends Actor.Service<Model>()("test/Model", {
    Run: { payload: { vector: Tensor.vector(4) }, success: Tensor.vector(4), error: Kernel.KernelRunFailed }
  }) {}
  class User extends Actor.Service<User>()("test/User", { Which: { success: Schema.Int } }) {}

  it.live("under rest-for-one, when the card is lost, is opened again with everything after it", () =>
    Effect.gen(function* () {
      const cards: Array<RawDevice> = []
      const starts = { before: 0, model: 0, user: 0 }
      const again = yield* Deferred.make<void>()
      const beforeLive = Before.behavior(
        Effect.sync(() => (starts.before++, Before.of({ Which: () => starts.before })))
      )
      const modelLive = Model.behavior(
        Effect.gen(function* () {
          starts.model++
          const same = yield* Kernel.compile(Same)
          return Model.of({
            Run: ({ vector }) =>
              same.run(vector).pipe(Effect.catchTag(["DeviceLost", "GpuOutOfMemory"], (lost) => Effect.die(lost)))
          })
        })
      )
      const userLive = User.behavior(
        Effect.gen(function* () {
          if (++starts.user === 2) yield* Deferred.succeed(again, undefined)
          return User.of({ Which: () => starts.user })
        })
      )
      const tree = Supervisor.make("app", {
        strategy: "rest-for-one",
        children: [beforeLive, GpuDevice.child({ prefer: ["webgpu"] }), modelLive, userLive]
      })
      const dawn = Layer.succeed(Dawn, { flags: ["backend=null"], opened: (raw) => void cards.push(raw) })
      const program = Effect.gen(function* () {
        const model = yield* Model
        const vector = Float32Array.of(1, 2, 3, 4)
        assert.strictEqual((yield* model.ask.Run({ vector })).length, 4)
        assert.deepStrictEqual(starts, { before: 1, model: 1, user: 1 })

        cards[0]!.destroy()
        yield* Deferred.await(again)
        assert.strictEqual((yield* model.ask.Run({ vector })).length, 4)
        assert.strictEqual(yield* (yield* User).ask.Which(), 2)
        assert.deepStrictEqual(starts, { before: 1, model: 2, user: 2 })
        assert.strictEqual(cards.length, 2)
      })
      yield* Effect.provide(program, Layer.provide(Supervisor.layer(tree), dawn))
      assert.notProperty(globalThis.navigator, "gpu")
    }).pipe(quiet)
  )

  it.live("a tree without any backend does not start, and says why", () =>
    Effect.gen(function* () {
      const { navigator } = globalThis as unknown as { navigator: object }
      const none = { requestAdapter: () => Effect.runPromise(Effect.succeed(null)) }
      Object.defineProperty(navigator, "gpu", { value: none, configurable: true })
      const tree = Supervisor.make("app", { children: [GpuDevice.child({ prefer: ["webgpu"] })] })
      const error = yield* Effect.flip(Effect.scoped(Supervisor.start(tree)))
      Reflect.deleteProperty(navigator, "gpu")
      assert.include(error.message, "no adapter")
    })
  )
})
