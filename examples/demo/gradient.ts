/** Learning as kernels: what one step down the gradient does to the parameters, for a whole stack of pages at a time. */
import { Kernel } from "effect-otp/gpu"
import { PIXELS } from "./digits.ts"
import { shapes, STEP } from "./network.ts"

const [INPUT, HIDDEN] = shapes.hidden
const [OUT] = shapes.outputBias

/** The small pages of a stack, all moved the same way. */
export const Pages = Kernel.make("Pages", {
  args: [Kernel.tensor(STEP, PIXELS), "number", "number"],
  output: [STEP, INPUT],
  constants: { side: Math.sqrt(PIXELS), small: Math.sqrt(INPUT) },
  body: function (pages, right, down) {
    let sum = 0
    for (let i = 0; i < 4; i++) {
      const x = (this.thread.x % this.constants.small) * 2 + (i % 2) - right
      const y = Math.floor(this.thread.x / this.constants.small) * 2 + Math.floor(i / 2) - down
      if (x >= 0 && x < this.constants.side && y >= 0 && y < this.constants.side) {
        sum += pages[this.thread.y]![y * this.constants.side + x]!
      }
    }
    return sum / 4
  }
})

/** The hidden layer for each page. */
export const Activity = Kernel.make("Activity", {
  args: [Kernel.tensor(STEP, INPUT), Kernel.tensor(...shapes.hidden), Kernel.tensor(HIDDEN)],
  output: [STEP, HIDDEN],
  constants: { input: INPUT },
  body: function (pages, weights, bias) {
    let sum = bias[this.thread.x]!
    for (let i = 0; i < this.constants.input; i++) sum += pages[this.thread.y]![i]! * weights[i]![this.thread.x]!
    return Math.max(sum, 0)
  }
})

/** A score for each digit, for each page. */
export const StackScores = Kernel.make("StackScores", {
  args: [Kernel.tensor(STEP, HIDDEN), Kernel.tensor(...shapes.output), Kernel.tensor(OUT)],
  output: [STEP, OUT],
  constants: { hidden: HIDDEN },
  body: function (activity, weights, bias) {
    let sum = bias[this.thread.x]!
    for (let i = 0; i < this.constants.hidden; i++) sum += activity[this.thread.y]![i]! * weights[i]![this.thread.x]!
    return sum
  }
})

/** How far each score's share of certainty is from what the label says. */
export const Errors = Kernel.make("Errors", {
  args: [Kernel.tensor(STEP, OUT), Kernel.tensor(STEP)],
  output: [STEP, OUT],
  constants: { out: OUT },
  body: function (scores, labels) {
    let largest = scores[this.thread.y]![0]!
    for (let o = 1; o < this.constants.out; o++) largest = Math.max(largest, scores[this.thread.y]![o]!)
    let sum = 0
    for (let o = 0; o < this.constants.out; o++) sum += Math.exp(scores[this.thread.y]![o]! - largest)
    const share = Math.exp(scores[this.thread.y]![this.thread.x]! - largest) / sum
    return labels[this.thread.y]! === this.thread.x ? share - 1 : share
  }
})

/** What the hidden layer had to do with the errors. */
export const Blame = Kernel.make("Blame", {
  args: [Kernel.tensor(STEP, HIDDEN), Kernel.tensor(STEP, OUT), Kernel.tensor(...shapes.output)],
  output: [STEP, HIDDEN],
  constants: { out: OUT },
  body: function (activity, errors, weights) {
    let sum = 0
    for (let o = 0; o < this.constants.out; o++) sum += errors[this.thread.y]![o]! * weights[this.thread.x]![o]!
    return activity[this.thread.y]![this.thread.x]! > 0 ? sum : 0
  }
})

/** The weights of a layer after a step, from what went in and the errors of what came out. */
const weights = <const Rows extends number, const Columns extends number>(name: string, rows: Rows, columns: Columns) =>
  Kernel.make(name, {
    args: [Kernel.tensor(rows, columns), Kernel.tensor(STEP, rows), Kernel.tensor(STEP, columns), "number"],
    output: [rows, columns],
    constants: { step: STEP },
    body: function (before, input, errors, rate) {
      let sum = 0
      for (let i = 0; i < this.constants.step; i++) sum += input[i]![this.thread.y]! * errors[i]![this.thread.x]!
      return before[this.thread.y]![this.thread.x]! - (rate * sum) / this.constants.step
    }
  })

/** The biases of a layer after a step. */
const biases = <const Columns extends number>(name: string, columns: Columns) =>
  Kernel.make(name, {
    args: [Kernel.tensor(columns), Kernel.tensor(STEP, columns), "number"],
    output: [columns],
    constants: { step: STEP },
    body: function (before, errors, rate) {
      let sum = 0
      for (let i = 0; i < this.constants.step; i++) sum += errors[i]![this.thread.x]!
      return before[this.thread.x]! - (rate * sum) / this.constants.step
    }
  })

export const HiddenStep = weights("HiddenStep", INPUT, HIDDEN)
export const HiddenBiasStep = biases("HiddenBiasStep", HIDDEN)
export const OutputStep = weights("OutputStep", HIDDEN, OUT)
export const OutputBiasStep = biases("OutputBiasStep", OUT)
