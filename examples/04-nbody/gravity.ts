/** Gravity as kernels. One launch computes all pairs: each body looks at all the others. */
import { Kernel } from "effect-otp/gpu"
import { SOFTNESS } from "./bodies.ts"

/** The kernels for `n` bodies. */
export const gravity = (n: number) => {
  const vectors = Kernel.tensor(3, n)

  /** Velocities after everything has pulled at everything for a time. */
  const Kick = Kernel.make("Kick", {
    args: [vectors, vectors, Kernel.tensor(n), "number"],
    output: [3, n],
    constants: { n, soft: SOFTNESS * SOFTNESS },
    body: function (velocities, positions, masses, time) {
      const x = positions[0]![this.thread.x]!
      const y = positions[1]![this.thread.x]!
      const z = positions[2]![this.thread.x]!
      const own = positions[this.thread.y]![this.thread.x]!
      let pull = 0
      for (let j = 0; j < this.constants.n; j++) {
        const dx = positions[0]![j]! - x
        const dy = positions[1]![j]! - y
        const dz = positions[2]![j]! - z
        const square = dx * dx + dy * dy + dz * dz + this.constants.soft
        pull += (masses[j]! * (positions[this.thread.y]![j]! - own)) / (square * Math.sqrt(square))
      }
      return velocities[this.thread.y]![this.thread.x]! + pull * time
    }
  })

  /** Positions after everything has moved on for a time. */
  const Drift = Kernel.make("Drift", {
    args: [vectors, vectors, "number"],
    output: [3, n],
    body: function (positions, velocities, time) {
      return positions[this.thread.y]![this.thread.x]! + velocities[this.thread.y]![this.thread.x]! * time
    }
  })

  /** Velocities with the same one added to each. */
  const Push = Kernel.make("Push", {
    args: [vectors, Kernel.tensor(3)],
    output: [3, n],
    body: function (velocities, by) {
      return velocities[this.thread.y]![this.thread.x]! + by[this.thread.y]!
    }
  })

  return { Kick, Drift, Push }
}
