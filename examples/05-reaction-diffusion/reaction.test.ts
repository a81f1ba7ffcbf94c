/** That dishes grow what they should, and that a broken one is made up for. */
import { assert, it } from "@effect/vitest"
import { Effect, Random, References } from "effect"
import { Actor, ActorSystem, Supervisor } from "effect-otp"
import { PNG } from "pngjs"
import { Dawn } from "../../src/gpu/webGpuDevice.ts"
import * as Picture from "../support/picture.ts"
import { Dishes, Tree } from "./dish.ts"
import { growAll, sow } from "./grow.ts"
import { poster } from "./poster.ts"
import { specimens } from "./specimens.ts"

const SIDE = 24

const nursery = (dishes: number) =>
  Effect.map(Supervisor.start(Tree(SIDE, dishes, { prefer: ["cpu"] })), ({ services }) => services)

const seed = Effect.gen(function* () {
  const random = yield* Effect.replicateEffect(Random.next, 15)
  let next = 0
  return sow(SIDE, 5, () => random[next++]!)
}).pipe(Random.withSeed("test"))

/** The same reaction once more, in plain code and double precision. */
const inPlainCode = (seed: Float32Array, feed: number, kill: number, steps: number) => {
  const around = (field: ReadonlyArray<number>, at: number) => {
    const [x, y] = [at % SIDE, Math.floor(at / SIDE)]
    const of = (column: number, row: number) => field[((row + SIDE) % SIDE) * SIDE + ((column + SIDE) % SIDE)]!
    return of(x - 1, y) + of(x + 1, y) + of(x, y - 1) + of(x, y + 1) - 4 * field[at]!
  }
  let food = Array.from(seed, (alive) => 1 - alive / 2)
  let life = Array.from(seed, (alive) => alive / 4)
  for (let step = 0; step < steps; step++) {
    const [before, eaters] = [food, life]
    food = before.map((f, i) => f + 1.4 * (0.1 * around(before, i) - f * eaters[i]! ** 2 + feed * (1 - f)))
    life = eaters.map((l, i) => l + 1.4 * (0.05 * around(eaters, i) + food[i]! * l ** 2 - (feed + kill) * l))
  }
  return life
}

it.live("a dish grows what the reaction says, over its edges too", () =>
  Effect.gen(function* () {
    const sown = yield* seed
    const [coral] = specimens
    const grown = yield* growAll([coral!], { seed: sown, rounds: 3, steps: 10 }).pipe(
      Effect.provideContext(yield* nursery(1))
    )
    const expected = inPlainCode(sown, coral!.feed, coral!.kill, 30)
    assert.isAbove(Math.max(...expected), 0.2)
    for (const [i, alive] of grown[0]!.life.entries()) assert.closeTo(alive, expected[i]!, 1e-4)
  })
)

it.live("a dish that is killed is sown again, and all specimens are as they would have been", () =>
  Effect.gen(function* () {
    const plan = { seed: yield* seed, rounds: 3, steps: 4 }
    const undisturbed = yield* Effect.provideContext(growAll(specimens, plan), yield* nursery(2))
    const restarted: Array<string> = []
    yield* ActorSystem.onEvent((event) => void (event._tag === "ChildRestarted" && restarted.push(event.path)))
    let killed = false
    const before = Effect.fnUntraced(function* ({ name }: { readonly name: string }, number: number, round: number) {
      if (killed || name !== "maze" || round !== 2) return
      killed = true
      yield* Actor.kill(yield* Effect.orDie(Dishes.partition(number)))
    })
    const grown = yield* Effect.provideContext(growAll(specimens, plan, before), yield* nursery(2))
    assert.deepStrictEqual(restarted, ["nursery/example/Dishes/1"])
    assert.deepStrictEqual(
      grown.map(({ sown, specimen }) => [specimen.name, sown]),
      specimens.map(({ name }) => [name, name === "maze" ? 2 : 1])
    )
    assert.deepStrictEqual(
      grown.map(({ life }) => life),
      undisturbed.map(({ life }) => life)
    )
  }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
)

it.live("an empty dish says that it is", () =>
  Effect.gen(function* () {
    const dish = yield* Effect.provideContext(Dishes.partition(1), yield* nursery(2))
    const error = yield* Effect.flip(dish.ask.Grow({ steps: 1 }))
    assert.strictEqual(error.message, "nothing grows in dish 1: sow first")
    assert.strictEqual((yield* Effect.flip(dish.ask.Look()))._tag, "Empty")
  })
)

/** Dawn's null adapter computes nothing, but its shader compiler is that of every card. */
it.live("the kernels are fit for a card", () =>
  Effect.gen(function* () {
    const { services } = yield* Supervisor.start(Tree(SIDE, 2, { prefer: ["webgpu"] }))
    const plan = { seed: yield* seed, rounds: 2, steps: 2 }
    const grown = yield* Effect.provideContext(growAll(specimens, plan), services)
    assert.deepStrictEqual(
      grown.map(({ life }) => life.length),
      specimens.map(() => SIDE * SIDE)
    )
  }).pipe(Effect.scoped, Effect.provideService(Dawn, { flags: ["backend=null"], opened: () => {} }))
)

it("the poster has every dish in its own colours, on paper", () => {
  const dishes = specimens.map((specimen) => ({ specimen, life: new Float32Array(16).fill(0.36) }))
  const { data, height, width } = PNG.sync.read(Picture.png(poster(dishes, 40), Picture.plain))
  const pixel = (x: number, y: number) => [...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 3)]
  assert.deepStrictEqual([width, height], [140, 95])
  assert.deepStrictEqual(pixel(0, 0), [236, 229, 214])
  const middles = dishes.map((_, i) => pixel(25 + (i % 3) * 45, 25 + Math.floor(i / 3) * 45).join())
  assert.strictEqual(new Set([pixel(0, 0).join(), ...middles]).size, 7)
})
