/** Pipelines: kernels on each other's results in one call, on each backend. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { GpuBuffer, Kernel, Pipeline } from "effect-otp/gpu"
import { backends, deviceOf, on } from "./backends.ts"

const f32 = (...values: ReadonlyArray<number>) => Float32Array.from(values)

const Shift = Kernel.make("Shift", {
  args: [Kernel.tensor(2, 3), "number"],
  output: [2, 3],
  body: function (m, by) {
    return m[this.thread.y]![(this.thread.x + 1) % 3]! + by
  }
})

const Rows = Kernel.make("Rows", {
  args: [Kernel.tensor(2, 3), Kernel.tensor(3)],
  output: [2],
  constants: { n: 3 },
  body: function (m, weights) {
    let sum = 0
    for (let i = 0; i < this.constants.n; i++) sum += m[this.thread.x]![i]! * weights[i]!
    return sum
  }
})

const weights = f32(1, 10, 100)

const Whole = Pipeline.make("Whole", {
  args: [Kernel.tensor(2, 3), "number"],
  kernels: { shift: Shift, rows: Rows },
  body: ({ rows, shift }, matrix, by) => {
    const once = shift(matrix, by)
    let current = once
    for (let i = 0; i < 4; i++) current = shift(current, 0.5)
    return { once, last: current, rows: rows(current, weights) }
  }
})

const shift = (m: Float32Array, by: number) => m.map((_, i) => m[Math.floor(i / 3) * 3 + ((i + 1) % 3)]! + by)

const runError = <A>(run: Effect.Effect<A, Kernel.Failure>) =>
  Effect.flip(run).pipe(
    Effect.flatMap((error) => (error._tag === "KernelRunFailed" ? Effect.succeed(error.reason) : Effect.die(error)))
  )

describe.each(backends)("on %s", (backend) => {
  const run = on(backend)

  it.live("does what its kernels do one by one, call after call", () =>
    run(
      Effect.gen(function* () {
        const pipeline = yield* Pipeline.compile(Whole)
        for (const [first, by] of [
          [1, 2],
          [5, 0.25],
          [-3, 7]
        ] as const) {
          const matrix = Float32Array.from({ length: 6 }, (_, i) => first * i)
          const once = shift(matrix, by)
          let last = once
          for (let i = 0; i < 4; i++) last = shift(last, 0.5)
          const rows = f32(last[0]! + 10 * last[1]! + 100 * last[2]!, last[3]! + 10 * last[4]! + 100 * last[5]!)
          assert.deepStrictEqual(yield* pipeline.run(matrix, by), { once, last, rows })
        }
      })
    )
  )

  it.live("answers with one array when its body returns one handle, and with copies of what is the same", () =>
    run(
      Effect.gen(function* () {
        const one = yield* Pipeline.compile(
          Pipeline.make("One", {
            args: [Kernel.tensor(2, 3)],
            kernels: { shift: Shift },
            body: ({ shift }, m) => shift(shift(m, 1), 1)
          })
        )
        const twice = yield* Pipeline.compile(
          Pipeline.make("Twice", {
            args: [Kernel.tensor(2, 3)],
            kernels: { shift: Shift },
            body: ({ shift }, m) => {
              const a = shift(m, 1)
              return { a, b: a }
            }
          })
        )
        assert.deepStrictEqual(yield* one.run(f32(1, 2, 3, 4, 5, 6)), f32(5, 3, 4, 8, 6, 7))
        const { a, b } = yield* twice.run(f32(1, 2, 3, 4, 5, 6))
        a.fill(0)
        assert.deepStrictEqual(b, f32(3, 4, 2, 6, 7, 5))
      })
    )
  )

  it.live("many calls at a time each get their own answer", () =>
    run(
      Effect.gen(function* () {
        const pipeline = yield* Pipeline.compile(Whole)
        const results = yield* Effect.all(
          Array.from({ length: 20 }, (_, i) => pipeline.run(new Float32Array(6).fill(i), i)),
          { concurrency: "unbounded" }
        )
        for (const [i, { last }] of results.entries()) assert.deepStrictEqual(last, new Float32Array(6).fill(2 * i + 2))
      })
    )
  )

  it.live("refuses what does not fit, at compile and at run time", () =>
    run(
      Effect.gen(function* () {
        const refused = (body: (kernels: never, m: never) => unknown) =>
          Effect.map(
            Effect.flip(
              Pipeline.compile(
                Pipeline.make("Wrong", {
                  args: [Kernel.tensor(2, 3)],
                  kernels: { shift: Shift, rows: Rows },
                  body: body as never
                })
              )
            ),
            ({ message }) => message
          )
        type Loose = Record<"shift" | "rows", (...args: ReadonlyArray<unknown>) => unknown>
        assert.include(yield* refused(({ rows }: Loose, m) => rows(m, m)), "rows args[1] must be a tensor of 3")
        assert.include(yield* refused(({ shift }: Loose, m) => shift(m)), "shift takes 2 arguments, it is given 1")
        assert.include(yield* refused(({ shift }: Loose, m) => shift(m, m)), "shift args[1] must be a number")
        assert.include(yield* refused((_: Loose, m) => m), "must return the result of a kernel")
        assert.include(yield* refused(() => ({})), "must return the result of a kernel")
        const pipeline = yield* Pipeline.compile(Whole)
        assert.strictEqual((yield* runError(pipeline.run(f32(1), 1)))._tag, "InvalidArgument")
        const buffer = yield* GpuBuffer.from(new Float32Array(6), [2, 3])
        const reason = yield* runError(pipeline.run(buffer as never, 1))
        assert.deepInclude(reason, { _tag: "InvalidArgument", actual: "a GpuBuffer" })
      })
    )
  )

  it.live("refuses a kernel that is unfit, by its name", () =>
    run(
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          Pipeline.compile(
            Pipeline.make("Unfit", {
              args: [Kernel.tensor(2, 3)],
              kernels: { bad: { ...Shift, name: "Bad", loopLimit: -1 } },
              body: ({ bad }, m) => bad(m, 1)
            })
          )
        )
        assert.strictEqual(error._tag, "KernelCompileFailed")
        assert.include(error.message, "Bad cannot be compiled")
      })
    )
  )

  it.live("does not run when its scope has closed", () =>
    run(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const pipeline = yield* Scope.provide(Pipeline.compile(Whole), scope)
        yield* pipeline.run(new Float32Array(6), 1)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* runError(pipeline.run(new Float32Array(6), 1)))._tag, "Closed")
      })
    )
  )
})

it.live("in a worker thread, where its steps are run one by one", () =>
  Effect.gen(function* () {
    const pipeline = yield* Pipeline.compile(Whole)
    const { last } = yield* pipeline.run(new Float32Array(6).fill(3), 2)
    assert.deepStrictEqual(last, new Float32Array(6).fill(7))
  }).pipe(Effect.scoped, Effect.provide(deviceOf("webasm", { isolated: true }), { local: true }))
)
