/** Dishes: actors that grow one specimen at a time on the device, and a pool of them. */
import { Effect, Schema } from "effect"
import { Actor, Backoff, PartitionSupervisor, Supervisor } from "effect-otp"
import { GpuBuffer, GpuDevice, Kernel } from "effect-otp/gpu"
import { reaction } from "./reaction.ts"

/** Time between one step and the next. */
const STEP = 1.4

/** Nothing has been sown since the dish was started, or started again. */
export class Empty extends Schema.TaggedError<Empty>()("Empty", { dish: Schema.Int }) {
  override get message(): string {
    return `nothing grows in dish ${this.dish}: sow first`
  }
}

const Floats = Schema.instanceOf(Float32Array<ArrayBuffer>)

export class Dish extends Actor.Service<Dish>()("example/Dish", {
  /** Begins anew, with life where `seed` says. */
  Sow: { payload: { feed: Schema.Number, kill: Schema.Number, seed: Floats } },
  Grow: { payload: { steps: Schema.Int }, error: Empty },
  /** How much life there is at each place. */
  Look: { success: Floats, error: Empty }
}) {}

/** All dishes, by number. */
export class Dishes extends PartitionSupervisor.Service<Dishes>()("example/Dishes", Dish) {}

/** What grows in a dish is on the device only, and gone when the dish is: whoever asks next is told that it is empty. */
const DishLive = (side: number) =>
  Dish.behavior(
    Effect.fnUntraced(function* (number: number) {
      const { Food, Life } = reaction(side)
      const feeding = yield* Kernel.compile(Food)
      const living = yield* Kernel.compile(Life)
      const nothing = new Float32Array(side * side)
      const food = yield* GpuBuffer.state(nothing, [side, side])
      const life = yield* GpuBuffer.state(nothing, [side, side])
      let rates: { readonly feed: number; readonly kill: number } | undefined

      return Dish.of({
        *Sow({ feed, kill, seed }) {
          yield* food.update(() =>
            GpuBuffer.from(
              seed.map((alive) => 1 - alive / 2),
              [side, side]
            )
          )
          yield* life.update(() =>
            GpuBuffer.from(
              seed.map((alive) => alive / 4),
              [side, side]
            )
          )
          rates = { feed, kill }
        },
        *Grow({ steps }) {
          if (rates === undefined) return yield* new Empty({ dish: number })
          const { feed, kill } = rates
          for (let i = 0; i < steps; i++) {
            yield* food.update((before) => life.use((eaters) => feeding.resident(before, eaters, feed, STEP)))
            yield* life.update((before) => food.use((eaten) => living.resident(before, eaten, feed + kill, STEP)))
          }
        },
        *Look() {
          return rates === undefined ? yield* new Empty({ dish: number }) : yield* life.read
        }
      })
    })
  )

/** So many dishes of `side` by `side` places on one device; each is restarted by itself, all of them with the device. */
export const Tree = (side: number, dishes: number, options: GpuDevice.Options = {}) =>
  Supervisor.make("nursery", {
    strategy: "rest-for-one",
    intensity: { restarts: 3, within: "10 seconds" },
    children: [
      GpuDevice.child(options),
      Dishes.child(DishLive(side), {
        partitions: dishes,
        intensity: { restarts: 10, within: "10 seconds" },
        onFailure: {
          KernelRunFailed: "restart",
          DeviceLost: "restart",
          GpuOutOfMemory: "restart",
          // It would fail again.
          KernelCompileFailed: "escalate"
        },
        backoff: Backoff.exponential({ min: "10 millis", max: "1 second" })
      })
    ]
  })
