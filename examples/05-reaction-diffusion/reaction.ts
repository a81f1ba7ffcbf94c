/**
 * Gray and Scott's reaction as kernels: food is spread and fed, life eats it, spreads half as fast, and dies. Dishes have no
 * rim: what leaves on one side comes in on the other.
 */
import { Kernel } from "effect-otp/gpu"

/** The kernels for a dish of `side` by `side` places. */
export const reaction = (side: number) => {
  const field = Kernel.tensor(side, side)
  const options = {
    args: [field, field, "number", "number"],
    output: [side, side],
    constants: { last: side - 1 }
  } as const

  const Food = Kernel.make("Food", {
    ...options,
    body: function (food, life, feed, time) {
      const x = this.thread.x
      const y = this.thread.y
      const left = x === 0 ? this.constants.last : x - 1
      const right = x === this.constants.last ? 0 : x + 1
      const up = y === 0 ? this.constants.last : y - 1
      const down = y === this.constants.last ? 0 : y + 1
      const here = food[y]![x]!
      const alive = life[y]![x]!
      const around = food[y]![left]! + food[y]![right]! + food[up]![x]! + food[down]![x]!
      return here + time * (0.1 * (around - 4 * here) - here * alive * alive + feed * (1 - here))
    }
  })

  const Life = Kernel.make("Life", {
    ...options,
    body: function (life, food, death, time) {
      const x = this.thread.x
      const y = this.thread.y
      const left = x === 0 ? this.constants.last : x - 1
      const right = x === this.constants.last ? 0 : x + 1
      const up = y === 0 ? this.constants.last : y - 1
      const down = y === this.constants.last ? 0 : y + 1
      const here = life[y]![x]!
      const around = life[y]![left]! + life[y]![right]! + life[up]![x]! + life[down]![x]!
      return here + time * (0.05 * (around - 4 * here) + food[y]![x]! * here * here - death * here)
    }
  })

  return { Food, Life }
}
