/**
 * Kernels in a thread of their own: the same numbers and errors as in this thread, an event loop that goes on, calls that are
 * really stopped, and a thread that may die. The tests watch the threads that Node tells of, from outside.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Scope } from "effect"
import { GpuBuffer, GpuDevice, Kernel } from "effect-otp/gpu"
import { TestClock } from "effect/testing"
import { spawnSync } from "node:child_process"
import { setImmediate } from "node:timers/promises"
import type { Worker } from "node:worker_threads"
import type { Backend } from "../../src/gpu/errors.ts"
import type { CompiledKernel, KernelSource, ResidentHandle } from "../../src/gpu/engine.ts"
import { makeInThread } from "../../src/gpu/inThread.ts"
import { makeIsolated } from "../../src/gpu/isolated.ts"

const kernel = (source: Partial<KernelSource> & Pick<KernelSource, "body">): KernelSource => ({
  name: "test",
  functions: [],
  constants: {},
  args: [],
  output: [1],
  loopLimit: undefined,
  seed: undefined,
  resident: false,
  ...source
})

const double = kernel({
  name: "double",
  args: [{ dims: [4] }],
  output: [4],
  body: "function(xs) { return xs[this.thread.x] * 2 }"
})

/** Counts to `rounds` * 10^5; from about a billion on it is a matter of seconds, and 10^9 rounds never end. */
const counting = (rounds: number): KernelSource =>
  kernel({
    name: "counting",
    constants: { rounds },
    body: `function() {
      let sum = 0
      for (let i = 0; i < this.constants.rounds; i++) {
        for (let j = 0; j < 100000; j++) sum += (i * 7 + j) % 3
      }
      return sum
    }`
  })

const endless = counting(1_000_000_000)

const on = (backend: Backend) => ({ backend, threads: 1, concurrency: 1, allowSoftware: false })

const floats = (...values: ReadonlyArray<number>) => new Float32Array(values)

/** Runs a call whose answer is plain numbers. */
const numbers = (compiled: CompiledKernel, ...args: Parameters<CompiledKernel["run"]>[0]) =>
  Effect.map(compiled.run(args), (result) => {
    assert.instanceOf(result, Float32Array)
    return [...(result as Float32Array)]
  })

/** An engine and the threads it has started so far, with whether they have ended. */
const watched = Effect.fnUntraced(function* (backend: Backend = "cpu") {
  const threads: Array<{ readonly worker: Worker; ended: boolean }> = []
  const watch = (worker: Worker) => {
    const thread = { worker, ended: false }
    threads.push(thread)
    worker.on("exit", () => (thread.ended = true))
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => process.on("worker", watch)),
    () => Effect.sync(() => process.off("worker", watch))
  )
  return { engine: yield* makeIsolated(on(backend)), threads }
})

/** Waits until a thread has been busy for a while: a kernel is running on it. */
const untilBusy = (worker: Worker) =>
  Effect.promise(async () => {
    const start = worker.performance.eventLoopUtilization()
    while (worker.performance.eventLoopUtilization(start).active < 20) await setImmediate()
  })

/** What is to be the same in both engines. */
const kernels: ReadonlyArray<readonly [KernelSource, ReadonlyArray<Float32Array | number>]> = [
  [double, [floats(1, 2, 3, 4)]],
  [
    kernel({
      name: "matmul",
      args: [{ dims: [2, 3] }, { dims: [3, 2] }, "number"],
      output: [2, 2],
      constants: { inner: 3 },
      body: `function(a, b, scale) {
        let sum = 0
        for (let k = 0; k < this.constants.inner; k++) sum += a[this.thread.y][k] * b[k][this.thread.x]
        return sum * scale
      }`
    }),
    [floats(1, 2, 3, 4, 5, 6), floats(7, 8, 9, 10, 11, 12), 0.5]
  ],
  [
    kernel({
      name: "cube",
      output: [2, 3, 4],
      constants: { weights: floats(1, 10, 100) },
      functions: [{ name: "place", source: "function place(x, y, z) { return x + y * 4 + z * 12 }" }],
      body: `function() {
        return place(this.thread.x, this.thread.y, this.thread.z) + this.constants.weights[this.thread.y]
      }`
    }),
    []
  ]
]

const unfit: ReadonlyArray<readonly [Backend, KernelSource]> = [
  ["webasm", kernel({ body: "function() { return missing(1) }" })],
  ["cpu", kernel({ body: "function() { return 1", name: "open" })],
  [
    "webasm",
    kernel({ args: ["number"], body: "function(n) { let s = 0; for (let i = 0; i < n; i++) s += i; return s }" })
  ],
  ["cpu", kernel({ seed: 1, body: "function() { return Math.random() }" })]
]

describe("the same as in this thread", () => {
  for (const backend of ["webasm", "cpu"] as const) {
    it.effect(`numbers, on ${backend}`, () =>
      Effect.gen(function* () {
        const here = yield* makeInThread(on(backend))
        const there = yield* makeIsolated(on(backend))
        assert.deepStrictEqual([there.backend, there.limits], [here.backend, here.limits])
        for (const [source, args] of kernels) {
          const results: Array<ReadonlyArray<number>> = []
          for (const engine of [here, there]) results.push(yield* numbers(yield* engine.compile(source), ...args))
          assert.strictEqual(
            results[1]!.length,
            source.output.reduce((product, dim) => product * dim, 1)
          )
          assert.isTrue(results[1]!.some((value) => value > 0))
          assert.deepStrictEqual(results[1], results[0], source.name)
        }
      })
    )
  }

  it.effect("the errors of definitions that are unfit", () =>
    Effect.gen(function* () {
      for (const [backend, source] of unfit) {
        const [here, there] = [yield* makeInThread(on(backend)), yield* makeIsolated(on(backend))]
        const expected = yield* Effect.flip(here.compile(source))
        const error = yield* Effect.flip(there.compile(source))
        assert.strictEqual(error._tag, "KernelCompileFailed")
        assert.deepStrictEqual([error, error.message], [expected, expected.message])
        // The thread is none the worse for it.
        assert.deepStrictEqual(yield* numbers(yield* there.compile(double), floats(1, 2, 3, 4)), [2, 4, 6, 8])
      }
    })
  )

  it.effect("arguments stay the caller's and are read at the call; results are the caller's", () =>
    Effect.gen(function* () {
      const { engine } = yield* watched()
      const compiled = yield* engine.compile(double)
      const staged = floats(1, 2, 3, 4)
      const [first, second] = [
        yield* Effect.forkChild(compiled.run([staged]), { startImmediately: true }),
        yield* Effect.forkChild(compiled.run([staged]), { startImmediately: true })
      ]
      staged.fill(9)
      const results = [yield* Fiber.join(first), yield* Fiber.join(second)] as ReadonlyArray<Float32Array>
      assert.deepStrictEqual(
        results.map((result) => [...result]),
        [
          [2, 4, 6, 8],
          [2, 4, 6, 8]
        ]
      )
      assert.notStrictEqual(results[0]!.buffer, results[1]!.buffer)
      assert.deepStrictEqual([...staged], [9, 9, 9, 9])
    })
  )
})

describe("the event loop", () => {
  /** How often the event loop went round during one call. */
  const roundsDuring = Effect.fnUntraced(function* (compiled: CompiledKernel) {
    let rounds = 0
    let isOver = false
    const turning = (async () => {
      for (; !isOver; rounds++) await setImmediate()
    })()
    yield* compiled.run([])
    const counted = rounds
    isOver = true
    yield* Effect.promise(() => turning)
    return counted
  })

  it.effect("goes on while a kernel runs, which it does not in this thread", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* makeInThread(on("cpu")), yield* makeIsolated(on("cpu"))]
      const long = counting(1_000)
      assert.strictEqual(yield* roundsDuring(yield* here.compile(long)), 0)
      assert.isAbove(yield* roundsDuring(yield* there.compile(long)), 10)
    })
  )
})

describe("a call that is interrupted", () => {
  for (const backend of ["webasm", "cpu"] as const) {
    it.effect(`is stopped, by ending its thread; the next call is answered by another, on ${backend}`, () =>
      Effect.gen(function* () {
        const { engine, threads } = yield* watched(backend)
        const [long, short] = [yield* engine.compile(endless), yield* engine.compile(double)]
        const fiber = yield* Effect.forkChild(long.run([]), { startImmediately: true })
        yield* untilBusy(threads[0]!.worker)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(
          threads.map(({ ended }) => ended),
          [true]
        )
        assert.deepStrictEqual(yield* numbers(short, floats(1, 2, 3, 4)), [2, 4, 6, 8])
        assert.deepStrictEqual(yield* numbers(short, floats(1, 1, 1, 1)), [2, 2, 2, 2])
        assert.deepStrictEqual(
          threads.map(({ ended }) => ended),
          [true, false]
        )
      })
    )
  }

  it.effect("hurts no call but itself: those that wait are answered", () =>
    Effect.gen(function* () {
      const { engine, threads } = yield* watched()
      const [long, short] = [yield* engine.compile(endless), yield* engine.compile(double)]
      const running = yield* Effect.forkChild(long.run([]), { startImmediately: true })
      const waiting = yield* Effect.forkChild(numbers(short, floats(1, 2, 3, 4)), { startImmediately: true })
      yield* untilBusy(threads[0]!.worker)
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual(yield* Fiber.join(waiting), [2, 4, 6, 8])
    })
  )

  it.effect("leaves the thread alone when it was still waiting", () =>
    Effect.gen(function* () {
      const { engine, threads } = yield* watched()
      const [long, short] = [yield* engine.compile(counting(1_000)), yield* engine.compile(double)]
      const running = yield* Effect.forkChild(long.run([]), { startImmediately: true })
      const waiting = yield* Effect.forkChild(short.run([floats(1, 2, 3, 4)]), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      assert.instanceOf(yield* Fiber.join(running), Float32Array)
      assert.deepStrictEqual(yield* numbers(short, floats(1, 2, 3, 4)), [2, 4, 6, 8])
      assert.strictEqual(threads.length, 1)
    })
  )
})

describe("a thread that dies on its own", () => {
  /** Ends a thread behind the engine's back. */
  const kill = (worker: Worker) => Effect.promise(() => worker.terminate())

  it.effect("takes the call it works on with it, and no other", () =>
    Effect.gen(function* () {
      const { engine, threads } = yield* watched()
      const [long, short] = [yield* engine.compile(endless), yield* engine.compile(double)]
      const running = yield* Effect.forkChild(Effect.flip(long.run([])), { startImmediately: true })
      const waiting = yield* Effect.forkChild(numbers(short, floats(1, 2, 3, 4)), { startImmediately: true })
      yield* untilBusy(threads[0]!.worker)
      yield* kill(threads[0]!.worker)
      const error = yield* Fiber.join(running)
      assert.strictEqual(error.message, "counting: the call crashed: its thread ended with code 1")
      assert.deepStrictEqual(yield* Fiber.join(waiting), [2, 4, 6, 8])
    })
  )

  it.effect("goes unnoticed when it had nothing to do", () =>
    Effect.gen(function* () {
      const { engine, threads } = yield* watched()
      const short = yield* engine.compile(double)
      yield* kill(threads[0]!.worker)
      assert.deepStrictEqual(yield* numbers(short, floats(1, 2, 3, 4)), [2, 4, 6, 8])
      assert.strictEqual(threads.length, 2)
    })
  )

  /** Ends every thread that is started within the scope as soon as it is. */
  const killAtStart = Effect.acquireRelease(
    Effect.sync(() => {
      const end = (worker: Worker) => void worker.terminate()
      process.on("worker", end)
      return end
    }),
    (end) => Effect.sync(() => process.off("worker", end))
  )

  it.effect("at its start: no engine, no kernel, no result, and each says so", () =>
    Effect.gen(function* () {
      const { engine, threads } = yield* watched()
      const short = yield* engine.compile(double)
      yield* kill(threads[0]!.worker)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* killAtStart
          const declined = yield* Effect.flip(makeIsolated(on("cpu")))
          assert.match(declined.reason, /^its thread ended with code \d; a bundle must leave effect-otp out/)
          const crashed = yield* Effect.flip(short.run([floats(1, 2, 3, 4)]))
          assert.match(crashed.message, /^double: the call crashed: its thread ended with code \d/)
          const lost = yield* Effect.flip(engine.compile(double))
          assert.strictEqual(lost._tag, "DeviceLost")
        })
      )
      assert.deepStrictEqual(yield* numbers(short, floats(1, 2, 3, 4)), [2, 4, 6, 8])
      assert.strictEqual(threads.length, 5)
    })
  )
})

describe("resident tensors", () => {
  it.effect("are passed on, read and freed, and outlive the thread", () =>
    Effect.gen(function* () {
      const { engine, threads } = yield* watched("webasm")
      const [stay, come] = [yield* engine.compile({ ...double, resident: true }), yield* engine.compile(double)]
      const given = floats(1, 2, 3, 4)
      const uploaded = yield* engine.upload(given, [4])
      given.fill(9)
      const doubled = (yield* stay.run([uploaded])) as ResidentHandle
      assert.deepStrictEqual([doubled._tag, doubled.dims], ["ResidentHandle", [4]])
      yield* Effect.promise(() => threads[0]!.worker.terminate())
      assert.deepStrictEqual(yield* numbers(come, doubled), [4, 8, 12, 16])
      const read = yield* doubled.read
      assert.deepStrictEqual([...read], [2, 4, 6, 8])
      assert.instanceOf(read.buffer, ArrayBuffer)
      read.fill(0)
      assert.deepStrictEqual([...(yield* doubled.read)], [2, 4, 6, 8])

      const running = yield* Effect.forkChild(numbers(come, doubled), { startImmediately: true })
      doubled.free()
      doubled.free()
      assert.deepStrictEqual(yield* Fiber.join(running), [4, 8, 12, 16])
    })
  )
})

describe("a device that is isolated", () => {
  const Counting = Kernel.make("Counting", {
    args: ["number"],
    output: [1],
    loopLimit: 1_000_000_000,
    body: function (rounds) {
      let sum = 0
      for (let i = 0; i < rounds; i++) {
        for (let j = 0; j < 100000; j++) sum += (i * 7 + j) % 3
      }
      return sum
    }
  })

  for (const backend of ["webasm", "cpu"] as const) {
    it.effect(`a call that takes too long is stopped, and the kernel answers again, on ${backend}`, () =>
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(Counting)
        const expected = yield* kernel.run(2)
        assert.strictEqual(expected.length, 1)
        const stopped = yield* TestClock.withLive(Effect.timeoutOption(kernel.run(1_000_000_000), "100 millis"))
        assert.isTrue(Option.isNone(stopped))
        assert.deepStrictEqual(yield* kernel.run(2), expected)
      }).pipe(Effect.provide(GpuDevice.layer({ prefer: [backend], isolated: true }), { local: true }))
    )
  }

  it.effect("batches, resident results and buffers work as on any device", () =>
    Effect.gen(function* () {
      const Scale = Kernel.make("Scale", {
        args: [Kernel.tensor(3), "number"],
        output: [3],
        body: function (xs, factor) {
          return xs[this.thread.x]! * factor
        }
      })
      const kernel = yield* Kernel.compile(Scale)
      const batch = yield* kernel.runBatch([
        [floats(1, 2, 3), 2],
        [floats(4, 5, 6), 3]
      ])
      assert.deepStrictEqual(batch, [floats(2, 4, 6), floats(12, 15, 18)])
      const buffer = yield* GpuBuffer.from(floats(1, 2, 3), [3])
      const twice = yield* kernel.resident(yield* kernel.resident(buffer, 2), 2)
      assert.deepStrictEqual(yield* twice.read, floats(4, 8, 12))
    }).pipe(Effect.provide(GpuDevice.layer({ prefer: ["webasm"], isolated: true }), { local: true }))
  )
})

describe("closing", () => {
  it.effect("ends the thread, and the call on it, and those that wait", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { engine, threads } = yield* Scope.provide(watched(), scope)
      const [long, short] = [
        yield* Scope.provide(engine.compile(endless), scope),
        yield* Scope.provide(engine.compile(double), scope)
      ]
      const running = yield* Effect.forkChild(Effect.flip(long.run([])), { startImmediately: true })
      const waiting = yield* Effect.forkChild(Effect.flip(short.run([floats(1, 2, 3, 4)])), { startImmediately: true })
      yield* untilBusy(threads[0]!.worker)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(threads[0]!.ended)
      for (const fiber of [running, waiting]) {
        const error = yield* Fiber.join(fiber)
        assert.deepStrictEqual(error._tag === "KernelRunFailed" && error.reason._tag, "Closed")
      }
      const refused = [yield* Effect.flip(short.run([floats(1, 2, 3, 4)])), yield* Effect.flip(engine.compile(double))]
      assert.deepStrictEqual(
        refused.map(({ _tag }) => _tag),
        ["KernelRunFailed", "DeviceLost"]
      )
      assert.strictEqual(threads.length, 1)
    })
  )

  it.effect("a kernel that is closed is forgotten by the thread, the others stay", () =>
    Effect.gen(function* () {
      const { engine } = yield* watched()
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(engine.compile(double), scope)
      const second = yield* engine.compile(double)
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.flip(first.run([floats(1, 2, 3, 4)]))
      assert.strictEqual(error._tag === "KernelRunFailed" && error.reason._tag, "Closed")
      assert.deepStrictEqual(yield* numbers(second, floats(1, 2, 3, 4)), [2, 4, 6, 8])
    })
  )

  // Node refuses threads flags of V8, and files the type of what is evaluated.
  it.each([
    ["--expose-gc", "--max-old-space-size=500"],
    ["--expose-gc", "--input-type=module"]
  ])(
    "a thread that nobody closed keeps the process alive while it is asked something, no longer (%s %s)",
    (...flags) => {
      const script = `(async () => {
      const [Effect, Scope] = [await import("effect/Effect"), await import("effect/Scope")]
      const { makeIsolated } = await import("./src/gpu/isolated.ts")
      const program = Effect.gen(function*() {
        const engine = yield* makeIsolated(${JSON.stringify(on("webasm"))})
        const kernel = yield* engine.compile(${JSON.stringify(double)})
        return yield* kernel.run([new Float32Array([1, 2, 3, 4])])
      })
      console.log(await Effect.runPromise(Scope.provide(program, Scope.makeUnsafe())))
    })()`
      const options = { cwd: new URL("../..", import.meta.url), encoding: "utf8", timeout: 30_000 } as const
      const { status, stderr, stdout } = spawnSync(process.execPath, [...flags, "--eval", script], options)
      assert.deepStrictEqual([status, stderr, stdout], [0, "", "Float32Array(4) [ 2, 4, 6, 8 ]\n"])
    }
  )
})
