/** Schemas of tensors: exact lengths, as they are and as text, in the messages of an actor. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Actor } from "effect-otp"
import { Tensor } from "effect-otp/gpu"

describe("a tensor", () => {
  const Matrix = Tensor.make(2, 3)

  it.each([
    [new Float32Array(6), true],
    [new Float32Array(5), false],
    [new Float32Array(8).subarray(1, 7), true],
    [new Float64Array(6), false],
    [[1, 2, 3, 4, 5, 6], false],
    [undefined, false]
  ])("is a Float32Array of exactly its size: %s", (value, is) => {
    assert.strictEqual(Schema.is(Matrix)(value), is)
  })

  it("keeps its shape", () => {
    assert.deepStrictEqual(Matrix.dims, [2, 3])
    assert.deepStrictEqual(Tensor.vector(4).dims, [4])
  })

  it("is a list of numbers as text, also when they are no numbers JSON knows", () => {
    const Text = Schema.fromJsonString(Schema.toCodecJson(Tensor.vector(3)))
    const values = Float32Array.of(1, Number.NaN, -Infinity)
    assert.deepStrictEqual(Schema.decodeSync(Text)(Schema.encodeSync(Text)(values)), values)
    assert.throws(() => Schema.decodeSync(Text)("[1, 2]"), /a Float32Array of 3 numbers/)
  })

  it("cannot have a shape that there is not", () => {
    assert.throws(() => Tensor.vector(0), /whole lengths of 1 or more, dimension 0 is 0/)
    assert.throws(() => Tensor.make(2, 1.5), /dimension 1 is 1.5/)
  })

  class Echo extends Actor.Service<Echo>()("test/Echo", {
    Say: { payload: { vector: Tensor.vector(2) }, success: Tensor.vector(2) }
  }) {}

  it.effect("goes to an actor and back as the array it is", () =>
    Effect.gen(function* () {
      const echo = yield* Actor.spawn(Echo.behavior(Effect.succeed(Echo.of({ Say: ({ vector }) => vector }))))
      const vector = Float32Array.of(1, 2)
      assert.strictEqual(yield* echo.ask.Say({ vector }), vector)
    })
  )
})
