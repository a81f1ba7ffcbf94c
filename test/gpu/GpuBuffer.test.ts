/** Buffers: numbers that stay on the device, their lives, and cells of them as an actor's state. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema, Scope } from "effect"
import { Actor, Supervisor } from "effect-otp"
import { GpuBuffer, GpuDevice, Kernel } from "effect-otp/gpu"
import { quiet } from "../support/recording.ts"
import { backends, deviceOf, on } from "./backends.ts"

const f32 = (...values: ReadonlyArray<number>) => Float32Array.from(values)

const Add = Kernel.make("Add", {
  args: [Kernel.tensor(2, 2), Kernel.tensor(2, 2)],
  output: [2, 2],
  body: function (a, b) {
    return a[this.thread.y]![this.thread.x]! + b[this.thread.y]![this.thread.x]!
  }
})

const Double = Kernel.make("Double", {
  args: [Kernel.tensor(2, 2)],
  output: [2, 2],
  body: function (a) {
    return a[this.thread.y]![this.thread.x]! * 2
  }
})

const ones = f32(1, 1, 1, 1)

const runError = <A, R>(run: Effect.Effect<A, Kernel.Failure, R>) =>
  Effect.flip(run).pipe(
    Effect.flatMap((error) => (error._tag === "KernelRunFailed" ? Effect.succeed(error.reason) : Effect.die(error)))
  )

describe.each(backends)("on %s", (backend) => {
  const run = on(backend)

  it.live("goes there and comes back, and is a copy both ways", () =>
    run(
      Effect.gen(function* () {
        const data = f32(1, 2, 3, 4)
        const buffer = yield* GpuBuffer.from(data, [2, 2])
        data.fill(0)
        const read = yield* buffer.read
        assert.deepStrictEqual(read, f32(1, 2, 3, 4))
        read.fill(9)
        assert.deepStrictEqual(yield* buffer.read, f32(1, 2, 3, 4))
        assert.deepStrictEqual(buffer.dims, [2, 2])
      })
    )
  )

  it.live("is taken and given by kernels, one after another, without coming back", () =>
    run(
      Effect.gen(function* () {
        const add = yield* Kernel.compile(Add)
        const double = yield* Kernel.compile(Double)
        let current: GpuBuffer.GpuBuffer<readonly [2, 2]> = yield* double.resident(ones)
        for (let i = 0; i < 20; i++) current = yield* add.resident(current, ones)
        assert.deepStrictEqual(yield* current.read, f32(22, 22, 22, 22))
        assert.deepStrictEqual(yield* add.run(current, current), f32(44, 44, 44, 44))
      })
    )
  )

  it.live("results of calls do not overwrite each other", () =>
    run(
      Effect.gen(function* () {
        const double = yield* Kernel.compile(Double)
        const first = yield* double.resident(ones)
        const second = yield* double.resident(f32(2, 2, 2, 2))
        assert.deepStrictEqual(yield* first.read, f32(2, 2, 2, 2))
        assert.deepStrictEqual(yield* second.read, f32(4, 4, 4, 4))
      })
    )
  )

  it.live("is refused where its shape, its device or its time is wrong", () =>
    run(
      Effect.gen(function* () {
        const double = yield* Kernel.compile(Double)
        const wide = yield* GpuBuffer.from(ones, [1, 4])
        const shape = yield* runError(double.run(wide as never))
        assert.deepInclude(shape, { index: 0, expected: "a GpuBuffer of 2 x 2", actual: "a GpuBuffer of 1 x 4" })
        assert.strictEqual((yield* runError(GpuBuffer.from(ones, [2, 3])))._tag, "InvalidArgument")
        const scope = yield* Scope.make()
        const gone = yield* Scope.provide(GpuBuffer.from(ones, [2, 2]), scope)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* runError(gone.read))._tag, "Closed")
        assert.strictEqual((yield* runError(double.run(gone)))._tag, "Closed")
        if (backend === "webgpu") return
        const foreign = yield* GpuBuffer.from(ones, [2, 2]).pipe(
          Effect.provideService(GpuDevice.GpuDevice, yield* otherDevice(backend))
        )
        const other = yield* runError(double.run(foreign))
        assert.deepInclude(other, { expected: "a GpuBuffer of the kernel's own device" })
      })
    )
  )

  it.live("outlives its scope for the calls that have it already", () =>
    run(
      Effect.gen(function* () {
        const double = yield* Kernel.compile(Double)
        const scope = yield* Scope.make()
        const buffer = yield* Scope.provide(GpuBuffer.from(ones, [2, 2]), scope)
        const calls = yield* Effect.forkChild(
          Effect.all(
            Array.from({ length: 20 }, () => double.run(buffer)),
            { concurrency: "unbounded" }
          ),
          { startImmediately: true }
        )
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(
          yield* Fiber.join(calls),
          Array.from({ length: 20 }, () => f32(2, 2, 2, 2))
        )
      })
    )
  )

  describe("a cell", () => {
    it.live("is updated in order, and keeps its content when an update fails", () =>
      run(
        Effect.gen(function* () {
          const add = yield* Kernel.compile(Add)
          const cell = yield* GpuBuffer.state(new Float32Array(4), [2, 2])
          yield* Effect.all(
            Array.from({ length: 10 }, () => cell.update((current) => add.resident(current, ones))),
            { concurrency: "unbounded" }
          )
          const failing = cell.update((current) =>
            Effect.andThen(add.resident(current, ones), Effect.fail("no" as const))
          )
          assert.strictEqual(yield* Effect.flip(failing), "no")
          yield* cell.update(Effect.succeed)
          assert.deepStrictEqual(yield* cell.read, f32(10, 10, 10, 10))
        })
      )
    )

    it.live("frees what it held before, also when its scope closes", () =>
      run(
        Effect.gen(function* () {
          const double = yield* Kernel.compile(Double)
          const scope = yield* Scope.make()
          const cell = yield* Scope.provide(GpuBuffer.state(ones, [2, 2]), scope)
          const seen: Array<GpuBuffer.GpuBuffer> = []
          for (let i = 0; i < 3; i++) {
            yield* cell.update((current) => {
              seen.push(current)
              return double.resident(current)
            })
          }
          for (const buffer of seen) assert.strictEqual((yield* runError(buffer.read))._tag, "Closed")
          assert.deepStrictEqual(yield* cell.read, f32(8, 8, 8, 8))
          yield* Scope.close(scope, Exit.void)
          assert.strictEqual((yield* runError(cell.read))._tag, "Closed")
        })
      )
    )

    class Counts extends Actor.Service<Counts>()("test/Counts", {
      Add: { payload: { n: Schema.Number } },
      Read: { success: Schema.Array(Schema.Number) },
      Crash: {}
    }) {}

    it.live("dies with the actor that holds it, and is new after the restart", () =>
      Effect.gen(function* () {
        const cells: Array<GpuBuffer.Cell<readonly [2, 2]>> = []
        const started = yield* Deferred.make<void>()
        const CountsLive = Counts.behavior(
          Effect.gen(function* () {
            const add = yield* Kernel.compile(Add)
            const cell = yield* GpuBuffer.state(new Float32Array(4), [2, 2])
            if (cells.push(cell) === 2) yield* Deferred.succeed(started, undefined)
            return Counts.of({
              Add: ({ n }) => Effect.orDie(cell.update((current) => add.resident(current, f32(n, n, n, n)))),
              Read: () => Effect.map(Effect.orDie(cell.read), (values) => [...values]),
              Crash: () => Effect.die("told to")
            })
          })
        )
        const tree = Supervisor.make("app", { children: [Supervisor.service("gpu", deviceOf(backend)), CountsLive] })
        const program = Effect.gen(function* () {
          const counts = yield* Counts
          yield* counts.tell.Add({ n: 2 })
          yield* counts.tell.Add({ n: 3 })
          assert.deepStrictEqual(yield* counts.ask.Read(), [5, 5, 5, 5])
          yield* counts.tell.Crash()
          yield* Deferred.await(started)
          assert.deepStrictEqual(yield* counts.ask.Read(), [0, 0, 0, 0])
          assert.strictEqual((yield* runError(cells[0]!.read))._tag, "Closed")
        })
        yield* Effect.provide(program, Supervisor.layer(tree))
      }).pipe(quiet)
    )
  })
})

const otherDevice = (backend: GpuDevice.Backend) =>
  Effect.provide(GpuDevice.GpuDevice, deviceOf(backend), { local: true })
