/** A small neural network as kernels: a page is made smaller, then one hidden layer, then a score for each digit. */
import { Kernel } from "effect-otp/gpu"
import { type Floats, PIXELS } from "./digits.ts"

/** A page is 28 pixels wide and high, and half of that once it is small. */
const SIDE = 28
const SMALL = 14
const INPUT = SMALL * SMALL
const HIDDEN = 96
const OUT = 10

/** Digits that are learned from in one step. */
export const STEP = 40

/** All that is learned: the weights and biases of the hidden layer, then of the output. */
export interface Parameters {
  readonly hidden: Floats
  readonly hiddenBias: Floats
  readonly output: Floats
  readonly outputBias: Floats
}

/** The shape of each of them. */
export const shapes = {
  hidden: [INPUT, HIDDEN],
  hiddenBias: [HIDDEN],
  output: [HIDDEN, OUT],
  outputBias: [OUT]
} as const

/** How many random numbers `initial` takes. */
export const RANDOMS = INPUT * HIDDEN + HIDDEN * OUT

/** Parameters to begin with, drawn from `random` (0 to 1). */
export const initial = (random: () => number): Parameters => {
  const draw = (from: number, to: number) =>
    Float32Array.from({ length: from * to }, () => (random() * 2 - 1) * Math.sqrt(6 / (from + to)))
  return {
    hidden: draw(INPUT, HIDDEN),
    hiddenBias: new Float32Array(HIDDEN),
    output: draw(HIDDEN, OUT),
    outputBias: new Float32Array(OUT)
  }
}

/** The digit with the highest score. */
export const best = (scores: Floats): number => scores.indexOf(Math.max(...scores))

// --- Reading one page ---

/** Each four pixels become one, and the page may be moved a little. */
export const Shrink = Kernel.make("Shrink", {
  args: [Kernel.tensor(PIXELS), "number", "number"],
  output: [INPUT],
  constants: { side: SIDE, small: SMALL },
  body: function (page, right, down) {
    let sum = 0
    for (let i = 0; i < 4; i++) {
      const x = (this.thread.x % this.constants.small) * 2 + (i % 2) - right
      const y = Math.floor(this.thread.x / this.constants.small) * 2 + Math.floor(i / 2) - down
      if (x >= 0 && x < this.constants.side && y >= 0 && y < this.constants.side)
        sum += page[y * this.constants.side + x]!
    }
    return sum / 4
  }
})

/** The hidden layer: a weighted sum of the page, nothing below zero. */
export const Hidden = Kernel.make("Hidden", {
  args: [Kernel.tensor(INPUT), Kernel.shared(...shapes.hidden), Kernel.shared(HIDDEN)],
  output: [HIDDEN],
  constants: { input: INPUT },
  body: function (page, weights, bias) {
    let sum = bias[this.thread.x]!
    for (let i = 0; i < this.constants.input; i++) sum += page[i]! * weights[i]![this.thread.x]!
    return Math.max(sum, 0)
  }
})

/** A score for each digit. */
export const Scores = Kernel.make("Scores", {
  args: [Kernel.tensor(HIDDEN), Kernel.shared(...shapes.output), Kernel.shared(OUT)],
  output: [OUT],
  constants: { size: HIDDEN },
  body: function (hidden, weights, bias) {
    let sum = bias[this.thread.x]!
    for (let i = 0; i < this.constants.size; i++) sum += hidden[i]! * weights[i]![this.thread.x]!
    return sum
  }
})
