/** What the GPU benchmark computes: the same as a kernel of ours, as a kernel of gpu.js, in plain JavaScript, and in numpy. */
import { execFileSync } from "node:child_process"
import { Kernel } from "effect-otp/gpu"

/** The same numbers each time, between 0 and 1. */
export const numbers = (length: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length }, (_, i) => ((i * 16_807) % 1_009) / 1_009)

export const scale = (n: number) =>
  Kernel.make("Scale", {
    args: [Kernel.tensor(n)],
    output: [n],
    body: function (v) {
      return v[this.thread.x]! * 2 + 1
    }
  })

export const matVec = Kernel.make("MatVec", {
  args: [Kernel.shared(64, 64), Kernel.tensor(64)],
  output: [64],
  constants: { n: 64 },
  body: function (matrix, vector) {
    let sum = 0
    for (let i = 0; i < this.constants.n; i++) sum += matrix[this.thread.x]![i]! * vector[i]!
    return sum
  }
})

export const matMul = (n: number) =>
  Kernel.make("MatMul", {
    args: [Kernel.tensor(n, n), Kernel.tensor(n, n)],
    output: [n, n],
    constants: { n },
    body: function (a, b) {
      let sum = 0
      for (let k = 0; k < this.constants.n; k++) sum += a[this.thread.y]![k]! * b[k]![this.thread.x]!
      return sum
    }
  })

/** Work without memory, by the thousand rounds: some microseconds for each. (A loop to more than 2^24 never ends on webasm.) */
export const busy = (thousands: number) =>
  Kernel.make("Busy", {
    args: ["number"],
    output: [1],
    constants: { thousands },
    body: function (seed) {
      let x = seed
      for (let i = 0; i < this.constants.thousands; i++) {
        for (let j = 0; j < 1000; j++) x = x * 0.999 + 0.5
      }
      return x
    }
  })

export const scaleInJs = (v: Float32Array): Float32Array => {
  const result = new Float32Array(v.length)
  for (let i = 0; i < v.length; i++) result[i] = v[i]! * 2 + 1
  return result
}

export const matMulInJs = (a: Float32Array, b: Float32Array, n: number): Float32Array => {
  const result = new Float32Array(n * n)
  for (let y = 0; y < n; y++) {
    for (let x = 0; x < n; x++) {
      let sum = 0
      for (let k = 0; k < n; k++) sum += a[y * n + k]! * b[k * n + x]!
      result[y * n + x] = sum
    }
  }
  return result
}

/** Seconds of one call in numpy, by `scale N` and `matmul N`; undefined without python3 and numpy. */
export const numpySeconds = (
  scales: ReadonlyArray<number>,
  matMuls: ReadonlyArray<number>
): Readonly<Record<string, number>> | undefined => {
  const script = `
import json, time
import numpy as np
def median(f):
    f(); times = []
    while len(times) < 5 or (sum(times) < 0.3 and len(times) < 1000):
        start = time.perf_counter(); f(); times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
result = {}
for n in ${JSON.stringify(scales)}:
    v = np.random.rand(n).astype(np.float32); two = np.float32(2); one = np.float32(1)
    result[f"scale {n}"] = median(lambda: v * two + one)
for n in ${JSON.stringify(matMuls)}:
    a = np.random.rand(n, n).astype(np.float32); b = np.random.rand(n, n).astype(np.float32)
    result[f"matmul {n}"] = median(lambda: a @ b)
print(json.dumps(result))
`
  try {
    const text = execFileSync("python3", ["-c", script], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
    return JSON.parse(text) as Readonly<Record<string, number>>
  } catch {
    return undefined
  }
}
