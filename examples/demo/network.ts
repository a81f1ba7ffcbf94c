/** A small neural network in plain TypeScript: one hidden layer, learned by stochastic gradient descent. */
import { type Floats, PIXELS } from "./digits.ts"

const HIDDEN = 48
const OUT = 10
const W2 = PIXELS * HIDDEN + HIDDEN
const B2 = W2 + HIDDEN * OUT

/** All parameters in one array: weights and biases of the hidden layer, then of the output. */
export const PARAMETERS = B2 + OUT

/** Parameters to begin with, drawn from `random` (0 to 1). */
export const initial = (random: () => number): Floats => {
  const parameters = new Float32Array(PARAMETERS)
  const fill = (from: number, to: number, scale: number) => {
    for (let i = from; i < to; i++) parameters[i] = (random() * 2 - 1) * scale
  }
  fill(0, PIXELS * HIDDEN, Math.sqrt(6 / (PIXELS + HIDDEN)))
  fill(W2, B2, Math.sqrt(6 / (HIDDEN + OUT)))
  return parameters
}

const hidden = new Float32Array(HIDDEN)
const output = new Float32Array(OUT)
const back = new Float32Array(HIDDEN)

const forward = (parameters: Floats, pixels: Floats): void => {
  hidden.set(parameters.subarray(PIXELS * HIDDEN, W2))
  for (let p = 0; p < PIXELS; p++) {
    const x = pixels[p]!
    // Most of a page is white.
    if (x === 0) continue
    const row = p * HIDDEN
    for (let h = 0; h < HIDDEN; h++) hidden[h]! += x * parameters[row + h]!
  }
  for (let h = 0; h < HIDDEN; h++) if (hidden[h]! < 0) hidden[h] = 0
  let largest = -Infinity
  for (let o = 0; o < OUT; o++) {
    let z = parameters[B2 + o]!
    for (let h = 0; h < HIDDEN; h++) z += hidden[h]! * parameters[W2 + h * OUT + o]!
    output[o] = z
    if (z > largest) largest = z
  }
  let sum = 0
  for (let o = 0; o < OUT; o++) sum += output[o] = Math.exp(output[o]! - largest)
  for (let o = 0; o < OUT; o++) output[o]! /= sum
}

/** What the digit shows. */
export const classify = (parameters: Floats, pixels: Floats): number => {
  forward(parameters, pixels)
  let best = 0
  for (let o = 1; o < OUT; o++) if (output[o]! > output[best]!) best = o
  return best
}

/** One step down the gradient for one digit. */
export const learn = (parameters: Floats, pixels: Floats, label: number, rate: number): void => {
  forward(parameters, pixels)
  back.fill(0)
  for (let o = 0; o < OUT; o++) {
    const error = rate * (output[o]! - (o === label ? 1 : 0))
    parameters[B2 + o]! -= error
    for (let h = 0; h < HIDDEN; h++) {
      const at = W2 + h * OUT + o
      back[h]! += error * parameters[at]!
      parameters[at]! -= error * hidden[h]!
    }
  }
  for (let h = 0; h < HIDDEN; h++) {
    if (hidden[h] === 0) back[h] = 0
    else parameters[PIXELS * HIDDEN + h]! -= back[h]!
  }
  for (let p = 0; p < PIXELS; p++) {
    const x = pixels[p]!
    if (x === 0) continue
    const row = p * HIDDEN
    for (let h = 0; h < HIDDEN; h++) parameters[row + h]! -= x * back[h]!
  }
}

/** The mean of what several have learned. */
export const average = (all: ReadonlyArray<Floats>): Floats => {
  const mean = new Float32Array(PARAMETERS)
  for (const parameters of all) for (let i = 0; i < PARAMETERS; i++) mean[i]! += parameters[i]! / all.length
  return mean
}
