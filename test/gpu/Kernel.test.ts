/** Kernels on each backend: what they compute, how they are called, what is refused at compile and at run time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { GpuDevice, Kernel } from "effect-otp/gpu"
import { implOf } from "../../src/gpu/GpuDevice.ts"
import { backends, on } from "./backends.ts"

const f32 = (...values: ReadonlyArray<number>) => Float32Array.from(values)

const MatVec = Kernel.make("MatVec", {
  args: [Kernel.tensor(2, 3), Kernel.tensor(3)],
  output: [2],
  constants: { n: 3 },
  body: function (matrix, vector) {
    let sum = 0
    for (let i = 0; i < this.constants.n; i++) sum += matrix[this.thread.x]![i]! * vector[i]!
    return sum
  }
})

const compileError = <const A extends ReadonlyArray<Kernel.Kind>, D extends Kernel.Dims>(
  definition: Kernel.Definition<A, D>,
  options?: Kernel.CompileOptions
) =>
  Effect.flip(Kernel.compile(definition, options)).pipe(
    Effect.flatMap((error) => (error._tag === "KernelCompileFailed" ? Effect.succeed(error.reason) : Effect.die(error)))
  )

const runError = <A>(run: Effect.Effect<A, Kernel.Failure>) =>
  Effect.flip(run).pipe(
    Effect.flatMap((error) => (error._tag === "KernelRunFailed" ? Effect.succeed(error.reason) : Effect.die(error)))
  )

function halved(x: number) {
  return x / 2
}

describe.each(backends)("on %s", (backend) => {
  const run = on(backend)

  it.live("is the backend that was asked for", () =>
    run(Effect.map(GpuDevice.GpuDevice, (device) => assert.strictEqual(device.backend, backend)))
  )

  it.live("multiplies a matrix by a vector", () =>
    run(
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(MatVec)
        assert.deepStrictEqual(yield* kernel.run(f32(1, 2, 3, 4, 5, 6), f32(1, 0, 1)), f32(4, 10))
        assert.deepStrictEqual(yield* kernel.run(f32(1, 1, 1, 0, 0, 0), f32(2, 3, 4)), f32(9, 0))
      })
    )
  )

  it.live("shapes are rows first, in arguments and results of two and three dimensions", () =>
    run(
      Effect.gen(function* () {
        const two = yield* Kernel.compile(
          Kernel.make("Two", {
            args: [Kernel.tensor(2, 3)],
            output: [2, 3],
            body: function (m) {
              return m[this.thread.y]![this.thread.x]! * 10 + this.output.x
            }
          })
        )
        assert.deepStrictEqual(yield* two.run(f32(1, 2, 3, 4, 5, 6)), f32(13, 23, 33, 43, 53, 63))
        const three = yield* Kernel.compile(
          Kernel.make("Three", {
            args: [Kernel.tensor(2, 3, 4)],
            output: [2, 3, 4],
            body: function (t) {
              return t[this.thread.z]![this.thread.y]![this.thread.x]! + 100 * this.thread.z + 10 * this.thread.y
            }
          })
        )
        const values = Float32Array.from({ length: 24 }, (_, i) => i)
        const expected = values.map((i) => i + 100 * Math.floor(i / 12) + 10 * (Math.floor(i / 4) % 3))
        assert.deepStrictEqual(yield* three.run(values), expected)
      })
    )
  )

  it.live("numbers stay the numbers they are, also when the first was whole", () =>
    run(
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(
          Kernel.make("Scale", {
            args: [Kernel.tensor(2), "number"],
            output: [2],
            constants: { offsets: f32(0, 100) },
            functions: { halved },
            body: function (v, scale) {
              return halved(v[this.thread.x]! * scale) + this.constants.offsets[this.thread.x]!
            }
          })
        )
        assert.deepStrictEqual(yield* kernel.run(f32(1, 2), 1), f32(0.5, 101))
        assert.deepStrictEqual(yield* kernel.run(f32(1, 2), 0.5), f32(0.25, 100.5))
        assert.deepStrictEqual(yield* kernel.run(f32(1, 2), -3), f32(-1.5, 97))
      })
    )
  )

  it.live("results belong to the caller, arguments stay what they are", () =>
    run(
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(MatVec)
        const [matrix, vector] = [f32(1, 2, 3, 4, 5, 6), f32(1, 0, 1)]
        const first = yield* kernel.run(matrix, vector)
        const second = yield* kernel.run(matrix, f32(0, 1, 0))
        assert.deepStrictEqual([first, second], [f32(4, 10), f32(2, 5)])
        assert.strictEqual(first.buffer.byteLength, 8)
        assert.deepStrictEqual([matrix, vector], [f32(1, 2, 3, 4, 5, 6), f32(1, 0, 1)])
      })
    )
  )

  it.live("many calls at a time each get their own answer", () =>
    run(
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(MatVec)
        const calls = Array.from({ length: 40 }, (_, i) => kernel.run(f32(i, 0, 0, 0, i, 0), f32(1, 2, 0)))
        const results = yield* Effect.all(calls, { concurrency: "unbounded" })
        assert.deepStrictEqual(
          results,
          results.map((_, i) => f32(i, 2 * i))
        )
      })
    )
  )

  it.live("an array that is a view, or of shared memory, is read where it lies", () =>
    run(
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(MatVec)
        const view = f32(9, 1, 0, 1, 9).subarray(1, 4)
        const memory = new Float32Array(new SharedArrayBuffer(24))
        memory.set([1, 2, 3, 4, 5, 6])
        assert.deepStrictEqual(yield* kernel.run(memory, view), f32(4, 10))
      })
    )
  )

  if (backend !== "cpu") {
    it.live("a seed makes chance the same at each call", () =>
      run(
        Effect.gen(function* () {
          const options = {
            args: [],
            output: [4],
            body: function () {
              return Math.random()
            }
          } as const
          const seeded = yield* Kernel.compile(Kernel.make("Seeded", { ...options, seed: 7 }))
          const first = yield* seeded.run()
          assert.deepStrictEqual(yield* seeded.run(), first)
          assert.isTrue(first.every((x) => x >= 0 && x < 1))
          const free = yield* Kernel.compile(Kernel.make("Free", options))
          assert.notDeepEqual(yield* free.run(), yield* free.run())
        })
      )
    )
  }

  describe("compile refuses", () => {
    const body = function (this: Kernel.This<{}>, v: ReadonlyArray<number>) {
      return v[this.thread.x]!
    }
    const withBody = (body: unknown) =>
      Kernel.make("Odd", { args: [Kernel.tensor(2)], output: [2], body: body as never })
    const outside = 3

    it.live.each([
      ["an arrow function", withBody((v: ReadonlyArray<number>) => v[0])],
      [
        "a method",
        withBody(
          {
            body(v: ReadonlyArray<number>) {
              return v[0]
            }
          }.body
        )
      ],
      [
        "an async function",
        withBody(async function (v: ReadonlyArray<number>) {
          return v[0]
        })
      ],
      [
        "a generator",
        withBody(function* (v: ReadonlyArray<number>) {
          yield v[0]
        })
      ],
      ["a class", withBody(class {})],
      ["a native or bound function, without a source", withBody(body.bind(undefined as never))],
      ["string", withBody("function(v) { return v[0] }")]
    ] as const)("%s", ([found, definition]) =>
      run(
        Effect.map(compileError(definition), (reason) => {
          assert.strictEqual(reason._tag, "NotPlainFunction")
          assert.propertyVal(reason, "found", found)
        })
      )
    )

    it.live.each([
      [
        "a value from outside",
        "outside",
        function (v: ReadonlyArray<number>) {
          return v[0]! * outside
        }
      ],
      [
        "a function from outside",
        "halved",
        function (v: ReadonlyArray<number>) {
          return halved(v[0]!)
        }
      ],
      [
        "a global",
        "console",
        function (v: ReadonlyArray<number>) {
          console.log(v)
          return 1
        }
      ],
      [
        "this taken apart",
        "taken apart",
        function (this: Kernel.This<{}>, v: ReadonlyArray<number>) {
          const { thread } = this
          return v[thread.x]
        }
      ],
      [
        "a parameter with a default",
        "plain name",
        function (v = [1]) {
          return v[0]
        }
      ],
      [
        "syntax it does not know",
        "Syntax",
        function (v: ReadonlyArray<number>) {
          try {
            return v[0]
          } catch {
            return 1
          }
        }
      ]
    ] as const)("%s", ([, words, body]) =>
      run(
        Effect.map(compileError(withBody(body)), (reason) => {
          assert.strictEqual(reason._tag, "Syntax")
          assert.isTrue(words === "Syntax" || reason.message.includes(words), reason.message)
        })
      )
    )

    type V = ReadonlyArray<number>
    type T = Kernel.This<{}>
    it.live.each([
      [
        "declares another a inside a block",
        function (v: V) {
          const a = 1
          for (let i = 0; i < 2; i++) {
            const a = v[i]!
            if (a > 5) return a
          }
          return a
        }
      ],
      [
        "declares another v inside a block",
        function (v: V) {
          for (let v = 0; v < 2; v++) if (v > 2) return v
          return v[0]
        }
      ],
      [
        "falls through",
        function (this: T, v: V) {
          let r = 0
          switch (this.thread.x) {
            // @ts-expect-error TypeScript refuses it too, where it is asked to
            case 0:
              r += v[0]!
            case 1:
              r += 2
              break
            default:
              r = 9
          }
          return r
        }
      ],
      [
        "writes to what it was given",
        function (v: Array<number>) {
          v[0] = 9
          return v[0]
        }
      ],
      [
        "writes to what it was given",
        function (v: Array<number>) {
          return v[0]!++
        }
      ],
      [
        "continue in a do-while",
        function (v: V) {
          let [i, sum] = [0, 0]
          do {
            i++
            if (i === 1) continue
            sum += v[i]!
          } while (i < 1)
          return sum
        }
      ],
      [
        "continue in a for",
        function (this: T, v: V) {
          let sum = 0
          for (let i = this.thread.x; i < 2; i++) {
            if (i === 1) continue
            sum += v[i]!
          }
          return sum
        }
      ],
      [
        "a function inside",
        function (v: V) {
          const twice = (x: number) => x * 2
          return twice(v[0]!)
        }
      ]
    ] as const)("what gpu.js would translate wrongly: %s", ([words, body]) =>
      run(
        Effect.map(compileError({ ...withBody(body), loopLimit: 10 }), (reason) => {
          assert.strictEqual(reason._tag, "Syntax")
          assert.include(reason.message, words)
        })
      )
    )

    it.live("a parameter with the name of a constant, also a helper's", () =>
      run(
        Effect.gen(function* () {
          const own = compileError({ ...withBody((v: V) => v), body, constants: { v: 1 } })
          const helpers = { ...withBody(body), functions: { halved }, constants: { x: 1 } }
          assert.include((yield* own).message, "its parameter v has the name of a constant")
          assert.include((yield* compileError(helpers)).message, "functions.halved: its parameter x")
        })
      )
    )

    it.live("but not what only looks like it", () =>
      run(
        Effect.gen(function* () {
          const kernel = yield* Kernel.compile(
            Kernel.make("Fine", {
              args: [Kernel.tensor(4)],
              output: [4],
              constants: { n: 4 },
              body: function (v) {
                let sum = 0
                for (let i = 0; i < 4; i++) {
                  if (i === 1) continue
                  const part = v[i]!
                  sum += part
                }
                for (let i = 0; i < this.constants.n; i++) {
                  if (i === 2) continue
                  const part = v[i]! / 2
                  sum += part
                }
                switch (this.thread.x) {
                  case 0:
                  case 1:
                    sum += 100
                    break
                  default:
                    sum += 200
                }
                return sum
              }
            })
          )
          assert.deepStrictEqual(yield* kernel.run(f32(1, 2, 3, 4)), f32(111.5, 111.5, 211.5, 211.5))
        })
      )
    )

    it.live("a loop that starts at what is known only at the call, unless its limit is given", () =>
      run(
        Effect.gen(function* () {
          const definition = withBody(function (this: T, v: V) {
            let sum = v[0]!
            for (let i = this.thread.x; i < 3000; i++) sum += 1
            return sum
          })
          assert.strictEqual((yield* compileError(definition))._tag, "LoopBound")
          // WebGPU cannot count on from there.
          if (backend === "webgpu") return
          const kernel = yield* Kernel.compile({ ...definition, loopLimit: 3000 })
          assert.deepStrictEqual(yield* kernel.run(f32(0, 0)), f32(3000, 2999))
        })
      )
    )

    it.live("a length of the output along a dimension that it has not", () =>
      run(
        Effect.gen(function* () {
          const definition = withBody(function (this: Kernel.This<{}>) {
            return this.output.y
          })
          const reason = yield* compileError({ ...definition, args: [] })
          assert.strictEqual(reason._tag, "Syntax")
          assert.include(reason.message, "this.output.y is there only with an output of 2 dimensions or more")
        })
      )
    )

    it.live("a loop whose bound is known only at the call, unless its limit is given", () =>
      run(
        Effect.gen(function* () {
          const options = {
            args: ["number"],
            output: [1],
            body: function (count: number) {
              let rounds = 0
              for (let i = 0; i < count; i++) rounds += 1
              return rounds
            }
          } as const
          assert.strictEqual((yield* compileError(Kernel.make("Count", options)))._tag, "LoopBound")
          const kernel = yield* Kernel.compile(Kernel.make("Count", { ...options, loopLimit: 5000 }))
          assert.deepStrictEqual(yield* kernel.run(3000), f32(3000))
        })
      )
    )

    it.live.each([
      ["output", { output: [0] }],
      ["output", { output: [1.5] }],
      ["output", { output: [Number.NaN] }],
      ["output", { output: [2, 2, 2, 2] }],
      ["output", { output: [] }],
      ["args[0]", { args: [Kernel.tensor(-1)] }],
      ["args", { args: [] }],
      ["args", { args: [Kernel.tensor(2), "number"] }],
      ["constants.a", { constants: { a: Number.NaN } }],
      ["constants.b", { constants: { b: new Float32Array(0) } }],
      ["constants.c", { constants: { c: [1, 2] } }],
      ["constants.x-y", { constants: { "x-y": 1 } }],
      ["loopLimit", { loopLimit: 0 }],
      ["seed", { seed: -1 }]
    ])("a wrong %s: %j", ([field, wrong]) => {
      const definition = Kernel.make("Wrong", {
        args: [Kernel.tensor(2)],
        output: [2],
        body,
        ...(wrong as object)
      } as never)
      return run(
        Effect.map(compileError(definition), (reason) => {
          assert.strictEqual(reason._tag, "Shape")
          assert.propertyVal(reason, "field", field)
        })
      )
    })

    it.live("a body that returns an array", () =>
      run(
        Effect.map(
          compileError(
            withBody(function (v: ReadonlyArray<number>) {
              return [v[0], v[1]]
            })
          ),
          (reason) => assert.include(["Shape", "Syntax", "Fallback"], reason._tag)
        )
      )
    )

    it.live("more than the device can hold", () =>
      run(
        Effect.gen(function* () {
          const definition = Kernel.make("Huge", {
            args: [Kernel.tensor(2)],
            output: [2 ** 20, 2 ** 20],
            body
          })
          const reason = yield* compileError(definition)
          assert.strictEqual(reason._tag, "Limit")
          assert.propertyVal(reason, "needed", 2 ** 42)
        })
      )
    )

    if (backend === "cpu") {
      it.live("a seed, which cpu would ignore", () =>
        run(
          Effect.map(
            compileError(Kernel.make("Seeded", { args: [Kernel.tensor(2)], output: [2], body, seed: 1 })),
            (reason) => assert.strictEqual(reason._tag, "Fallback")
          )
        )
      )
    }
  })

  describe("run refuses", () => {
    const good = f32(1, 2, 3)
    const detached = f32(1, 2, 3)
    structuredClone(detached, { transfer: [detached.buffer] })
    it.live.each([
      ["too few", f32(1, 2), "a Float32Array of 2"],
      ["too many", f32(1, 2, 3, 4), "a Float32Array of 4"],
      ["detached", detached, "a Float32Array of 0"],
      ["an Array", [1, 2, 3], "an Array"],
      ["another kind of array", Float64Array.of(1, 2, 3), "a Float64Array of 3"],
      ["a DataView", new DataView(new ArrayBuffer(12)), "a DataView"],
      ["null", null, "null"],
      ["undefined", undefined, "undefined"],
      ["a string", "123", "a string"],
      ["a bigint", 3n, "a bigint"],
      ["an object", {}, "a object"],
      ["a number", 1, "a number"]
    ])("%s where a tensor is wanted", ([, value, actual]) =>
      run(
        Effect.gen(function* () {
          const kernel = yield* Kernel.compile(MatVec)
          const reason = yield* runError(kernel.run(new Float32Array(6), value as never))
          assert.strictEqual(reason._tag, "InvalidArgument")
          assert.propertyVal(reason, "index", 1)
          assert.propertyVal(reason, "actual", actual)
          assert.propertyVal(reason, "expected", "a Float32Array of 3 numbers (3)")
          assert.deepStrictEqual(yield* kernel.run(f32(1, 0, 0, 0, 1, 0), good), f32(1, 2))
        })
      )
    )

    it.live("something else where a number is wanted, and a wrong count of arguments", () =>
      run(
        Effect.gen(function* () {
          const kernel = yield* Kernel.compile(
            Kernel.make("Same", {
              args: ["number"],
              output: [1],
              body: function (x) {
                return x
              }
            })
          )
          for (const value of ["1", f32(1), null, 1n]) {
            assert.strictEqual((yield* runError(kernel.run(value as never)))._tag, "InvalidArgument")
          }
          const loose = kernel.run as (...args: ReadonlyArray<unknown>) => ReturnType<typeof kernel.run>
          assert.include((yield* runError(loose())).message, "argument 0 must be a number, it is missing")
          assert.include((yield* runError(loose(1, 2))).message, "argument 1 must be left out, it is a number")
        })
      )
    )

    it.live("a kernel whose scope has closed", () =>
      run(
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const kernel = yield* Scope.provide(Kernel.compile(MatVec), scope)
          yield* kernel.run(new Float32Array(6), good)
          yield* Scope.close(scope, Exit.void)
          const args = [new Float32Array(6), good] as const
          assert.strictEqual((yield* runError(kernel.run(...args)))._tag, "Closed")
          assert.strictEqual((yield* runError(kernel.runBatch([args])))._tag, "Closed")
          assert.strictEqual((yield* runError(Effect.scoped(kernel.resident(...args))))._tag, "Closed")
        })
      )
    )
  })

  it.live("others get their turn between calls that take a while", () =>
    run(
      Effect.gen(function* () {
        const Long = Kernel.make("Long", {
          args: ["number"],
          output: [1],
          body: function (start) {
            let x = start
            for (let i = 0; i < 2000000; i++) x = x * 0.999 + 0.5
            return x
          }
        })
        const kernel = yield* Kernel.compile(Long)
        let turns = 0
        const other = yield* Effect.forkChild(
          Effect.forever(
            Effect.andThen(
              Effect.sync(() => turns++),
              Effect.yieldNow
            )
          )
        )
        for (let i = 0; i < 20; i++) yield* kernel.run(0.1)
        yield* Fiber.interrupt(other)
        assert.isAtLeast(turns, 10)
      })
    )
  )
})

describe("kernels that several use", () => {
  const Sum = Kernel.make("Sum", {
    args: [Kernel.tensor(2)],
    output: [1],
    body: function (v) {
      return v[0]! + v[1]!
    }
  })

  it.live("are compiled once for a device, and freed with the last of them", () =>
    on("cpu")(
      Effect.gen(function* () {
        const { engine } = implOf(yield* GpuDevice.GpuDevice)
        const compile = engine.compile
        let alive = 0
        let compiled = 0
        const counted: typeof compile = (source) =>
          Effect.acquireRelease(
            Effect.tap(compile(source), () => Effect.sync(() => (alive++, compiled++))),
            () => Effect.sync(() => alive--)
          )
        Object.assign(engine, { compile: counted })
        const [first, second] = [yield* Scope.make(), yield* Scope.make()]
        const one = yield* Scope.provide(Kernel.compile(Sum), first)
        const two = yield* Scope.provide(Kernel.compile(Sum, { batch: { maxSize: 4 } }), second)
        assert.deepStrictEqual([compiled, alive], [2, 2], "the plain one, and one for batches")
        yield* Scope.close(first, Exit.void)
        assert.deepStrictEqual(yield* two.run(Float32Array.of(1, 2)), Float32Array.of(3))
        const closed = yield* Effect.flip(one.run(Float32Array.of(1, 2)))
        assert.strictEqual(closed._tag === "KernelRunFailed" && closed.reason._tag, "Closed")
        assert.strictEqual(alive, 2)
        yield* Scope.close(second, Exit.void)
        assert.strictEqual(alive, 0)
      })
    )
  )

  it.live("two definitions of the same text are two kernels", () =>
    on("cpu")(
      Effect.gen(function* () {
        const times = (factor: number) =>
          Kernel.make("Times", {
            args: [Kernel.tensor(1)],
            output: [1],
            constants: { factor },
            body: function (v) {
              return v[0]! * this.constants.factor
            }
          })
        const [double, triple] = [yield* Kernel.compile(times(2)), yield* Kernel.compile(times(3))]
        const results = [yield* double.run(Float32Array.of(5)), yield* triple.run(Float32Array.of(5))]
        assert.deepStrictEqual(results, [Float32Array.of(10), Float32Array.of(15)])
      })
    )
  )
})
