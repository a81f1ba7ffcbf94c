/**
 * The same function as JavaScript and as a kernel on each backend: what is not refused means the same everywhere. Values are
 * compared as 32-bit floats, to five digits.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Kernel } from "effect-otp/gpu"
import { backends, on } from "./backends.ts"

type This = Kernel.This<{ readonly n: number; readonly table: Float32Array }>
type V = ReadonlyArray<number>

function inc(x: number) {
  return x + 1
}

function factorial(last: number) {
  let product = 1
  for (let i = 1; i <= 5; i++) {
    if (i <= last) product *= i
  }
  return product
}

const constants = { n: 7, table: Float32Array.of(5, 6, 7, 8) }
const vector = Float32Array.of(1, 2, 3, 4)

const bodies: Readonly<Record<string, (this: This, v: V, s: number) => number>> = {
  "whole numbers divide to fractions": function (v) {
    const seven = 7
    const two = 2
    return 7 / 2 + seven / two + this.thread.x / 4 + this.constants.n / 2 + 1 / this.output.x + v[0]!
  },
  "a variable that starts whole takes fractions": function (v, s) {
    let a = 1
    a += 0.5
    let b = this.thread.x
    b = b / 4
    let c = 0
    c = v[1]! / 4
    return a + b * 10 + c * 100 + s
  },
  "remainders have the sign of the dividend": function (v) {
    return (-7 % 3) + ((this.thread.x - 3) % 2) * 10 + (5.5 % 2) * 100 + ((v[3]! * 10) % v[2]!)
  },
  "rounding goes up at a half, also below zero": function (v) {
    const below = Math.round(-2.5) + Math.round(2.5) * 10
    return below + Math.floor(-1.5) * 100 + Math.ceil(-1.5) * 1000 + Math.trunc(-1.7) * 10_000 + v[0]!
  },
  "bits of whole numbers": function (v) {
    return ((this.thread.x << 2) | 1) + (-5 >> 1) * 10 + ((7 & 3) + (5 ^ 1)) * 100 + ~5 * 1000 + (v[3]! & 6)
  },
  "powers, roots and their like": function (v) {
    return v[this.thread.x]! ** 2 + Math.pow(-2, 3) + Math.sqrt(v[3]!) + Math.cbrt(27) + Math.abs(-2.5) + Math.sign(-3)
  },
  "angles and logarithms": function (v) {
    const angles = Math.sin(v[0]!) + Math.cos(v[1]!) + Math.tan(v[2]!) + Math.atan2(1, -1) + Math.tanh(0.5)
    return angles + Math.log(2) + Math.log2(8) + Math.exp(1.5)
  },
  "constants of mathematics": function (v) {
    return Math.PI + Math.E + Math.SQRT2 + Math.LN2 + v[0]!
  },
  "the least and the most, of whole and broken numbers": function (v) {
    return Math.min(v[1]!, 1.5) + Math.max(this.thread.x, 1.5) * 10 + Math.max(1, 2) * 100
  },
  conditions: function (v, s) {
    const isBig = v[this.thread.x]! > 2
    const chained = v[0]! > 5 || (v[1]! > 1 && s > 0)
    return (isBig ? 1 : 0.5) + (chained ? 10 : 20) + (!(v[0]! > 0) ? 100 : 200) + (this.thread.x === 1 ? 0.25 : 0)
  },
  "nested choices": function (v) {
    return v[this.thread.x]! > 2 ? 1 : v[this.thread.x]! > 1 ? 2.5 : 3
  },
  "if and else if": function (v) {
    if (v[this.thread.x]! < 2) return 1
    else if (v[this.thread.x]! < 3) return 2.5
    return 3
  },
  "cases, also two for one and with a return": function () {
    switch (this.thread.x) {
      case 0:
      case 1:
        return 2.5
      case 2:
        return 5
      default:
        return 9
    }
  },
  "break and continue": function (v) {
    let sum = 0
    for (let i = 0; i < 4; i++) {
      if (i === 1) continue
      if (i === 3) break
      sum += v[i]!
    }
    return sum
  },
  "a return from a loop": function (v, s) {
    for (let i = 0; i < 4; i++) {
      if (v[i]! > s) return i
    }
    return -1
  },
  "loops one after another and inside another, with the same names": function (v) {
    let sum = 0
    for (let i = 0; i < 3; i++) {
      const part = i * 2
      for (let j = 0; j < i; j++) sum += v[j]! + part
    }
    for (let i = 0; i < 2; i++) {
      const part = v[i]! / 8
      sum += part
    }
    return sum
  },
  "variables of a round start anew in each": function (v) {
    let sum = 0
    for (let i = 0; i < 3; i++) {
      let once = 0
      once += v[i]!
      sum += once
    }
    return sum
  },
  "loops longer than a thousand rounds": function () {
    let sum = 0
    for (let i = 0; i < 3000; i += 2) sum += 1
    for (let i = 1; i <= 1500; i++) sum += 1
    return sum
  },
  "loops to constants, to the output and to fractions": function (v) {
    let sum = 0
    for (let i = 0; i < this.constants.n; i++) sum += 1
    for (let i = 0; i < 1; i += 0.25) sum += 10
    for (let i = 0; i < 2.5; i++) sum += 100
    return sum + v[0]!
  },
  "a counter that is changed inside the loop": function (v) {
    let sum = 0
    for (let i = 0; i < 10; i++) {
      sum += v[0]!
      i += 1
    }
    return sum
  },
  "calls of helpers, with whole and broken numbers": function (v) {
    return inc(inc(v[0]!)) + inc(1) * 10 + inc(0.5) * 100 + factorial(this.thread.x) * 1000
  },
  "helpers have variables of their own": function (v) {
    const product = 7
    const x = 3
    return factorial(3) + product + inc(2) + x + v[0]!
  },
  "tables and indices": function (v) {
    const own = [1.5, 2.5, 3.5]
    return this.constants.table[this.thread.x]! + own[this.thread.x % 3]! * 10 + v[Math.floor(this.thread.x / 2)]! * 100
  },
  "swapping, and several declarations at once": function (v) {
    let a = v[0]!,
      b = v[1]!
    const t = a
    a = b
    b = t
    return a * 10 + b
  },
  "every way to assign": function (v) {
    let a = 10
    a -= 3
    a *= 2.5
    a /= 5
    a %= 3
    a += v[0]!
    a++
    return a
  },
  "what is counted up and down takes fractions": function (v) {
    let a = 7
    a++
    a *= 0.5
    let b = this.thread.x
    ++b
    b = v[0]! / 4 + b / 8
    let c = v[1]! / 4
    c--
    let d = 0
    for (let i = 0; i < 3; i++) {
      d += v[i]! / 8
      if (v[i]! > 1) d++
    }
    return a + b * 10 + c * 100 + d * 1000
  },
  "loops that count down, and counters that take fractions": function (v) {
    let sum = 0
    for (let i = 4; i > 0; i--) sum += v[i - 1]!
    for (let i = 9; i >= 0; i--) {
      if (i > 5) continue
      sum += i
    }
    for (let i = 0; i < 9; i++) {
      if (i > 2) i *= 1.5
      sum += 100
    }
    return sum
  },
  "small, large and odd ways to write numbers": function (v) {
    return 1e-7 * 1e7 + 1e3 + 0xff + 0b11 + -v[this.thread.x]! + -(-1)
  },
  "a least value that starts at infinity": function (v) {
    let most = -Infinity
    for (let i = 0; i < 4; i++) if (v[i]! > most) most = v[i]!
    return most
  }
}

const digits = (values: Iterable<number>) => Array.from(values, (value) => Math.fround(value).toPrecision(5))

describe.each(backends)("on %s", (backend) => {
  it.live.each(Object.entries(bodies))("%s", ([name, body]) =>
    Effect.gen(function* () {
      const [args, values] = [[Kernel.tensor(4), "number"] as const, [vector, 2.5] as const]
      const kernel: Kernel.Kernel<ReadonlyArray<Kernel.Kind>, readonly [4]> = yield* Kernel.compile(
        Kernel.make(name, {
          args: args.slice(0, body.length) as ReadonlyArray<Kernel.Kind>,
          output: [4],
          constants,
          functions: { inc, factorial },
          body: body as never
        })
      )
      const expected = Array.from({ length: 4 }, (_, x) => {
        const self = {
          thread: { x, y: 0, z: 0 },
          output: { x: 4, y: 1, z: 1 },
          constants: { n: 7, table: [...constants.table] }
        }
        return body.call(self, [...vector], 2.5)
      })
      assert.deepStrictEqual(digits(yield* kernel.run(...values.slice(0, body.length))), digits(expected))
    }).pipe(on(backend))
  )
})
