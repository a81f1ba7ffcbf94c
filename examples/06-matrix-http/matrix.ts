/** The service behind the web: an actor that multiplies all pairs of matrices that wait for it in one launch on the device. */
import { Array, Effect, Ref, Schema } from "effect"
import { Actor, Backoff, Supervisor } from "effect-otp"
import { GpuDevice, Kernel, Tensor } from "effect-otp/gpu"

/** Rows and columns of a matrix at most. Kernels have one shape: smaller ones are sent with zeros around them. */
export const SIDE = 32
/** Pairs in one launch at most. */
const AT_ONCE = 64

const Square = Tensor.make(SIDE, SIDE)

export class Matrix extends Actor.Service<Matrix>()("example/Matrix", {
  Multiply: { payload: { left: Square, right: Square }, success: Square }
}) {}

/** What has been done so far. */
export const Figures = Schema.Struct({
  backend: Schema.String,
  products: Schema.Int,
  launches: Schema.Int,
  largest: Schema.Int,
  restarts: Schema.Int
})

/** Keeps count, and outlives the device and whoever computes on it. */
export class Stats extends Actor.Service<Stats>()("example/Stats", {
  Started: { payload: { backend: Schema.String } },
  Launched: { payload: { products: Schema.Int } },
  Read: { success: Figures }
}) {}

const StatsLive = Stats.behavior(
  Effect.gen(function* () {
    const figures = yield* Actor.state({ backend: "none", products: 0, launches: 0, largest: 0, restarts: -1 })
    return Stats.of({
      Started: ({ backend }) => Ref.update(figures, (all) => ({ ...all, backend, restarts: all.restarts + 1 })),
      Launched: ({ products }) =>
        Ref.update(figures, (all) => ({
          ...all,
          products: all.products + products,
          launches: all.launches + 1,
          largest: Math.max(all.largest, products)
        })),
      Read: () => Ref.get(figures)
    })
  })
)

const Product = Kernel.make("Product", {
  args: [Kernel.tensor(SIDE, SIDE), Kernel.tensor(SIDE, SIDE)],
  output: [SIDE, SIDE],
  constants: { side: SIDE },
  body: function (left, right) {
    let sum = 0
    for (let i = 0; i < this.constants.side; i++) sum += left[this.thread.y]![i]! * right[i]![this.thread.x]!
    return sum
  }
})

/** What waits beyond `capacity` is refused at once, so that nobody waits for long. */
const MatrixLive = (capacity: number) =>
  Matrix.behavior(
    Effect.gen(function* () {
      const stats = yield* Stats
      const { backend } = yield* GpuDevice.GpuDevice
      const product = yield* Kernel.compile(Product, { batch: { maxSize: AT_ONCE } })
      yield* stats.tell.Started({ backend })

      return Matrix.of({
        Multiply: Actor.batched({
          maxSize: AT_ONCE,
          // A moment for those who come at the same time: requests arrive one by one.
          maxDelay: "1 millis",
          run: Effect.fnUntraced(function* (pairs) {
            const products = yield* product.runBatch(Array.map(pairs, ({ left, right }) => [left, right] as const))
            yield* stats.tell.Launched({ products: products.length })
            return products
          })
        })
      })
    }),
    { mailbox: { capacity, overflow: "reject" } }
  )

/** A card that is lost crashes whoever computes on it, then is opened again, and they are started on it anew. */
export const Tree = (options: GpuDevice.Options & { readonly capacity?: number } = {}) =>
  Supervisor.make("matrices", {
    strategy: "rest-for-one",
    intensity: { restarts: 10, within: "1 minute" },
    children: [
      StatsLive,
      GpuDevice.child({ ...options, backoff: Backoff.exponential({ min: "10 millis", max: "1 second" }) }),
      Supervisor.child(MatrixLive(options.capacity ?? 256), {
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
