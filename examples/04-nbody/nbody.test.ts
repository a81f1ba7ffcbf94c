/** That the numbers are right, and that a crash does not change them. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Random, References } from "effect"
import { ActorSystem, Supervisor } from "effect-otp"
import { PNG } from "pngjs"
import { Dawn } from "../../src/gpu/webGpuDevice.ts"
import * as Picture from "../support/picture.ts"
import { type Bodies, collision, energy, momentum, SOFTNESS } from "./bodies.ts"
import { take } from "./film.ts"
import { render } from "./render.ts"
import { Sky, STEP, Tree } from "./sky.ts"

const quiet = Effect.provideService(References.MinimumLogLevel, "None")

const galaxies = (n: number) =>
  Effect.gen(function* () {
    const random = yield* Effect.replicateEffect(Random.next, n * 3)
    let next = 0
    return collision(n, () => random[next++]!)
  }).pipe(Random.withSeed("test"))

const observatory = (bodies: Bodies) =>
  Effect.map(Supervisor.start(Tree(bodies, { prefer: ["cpu"] })), (top) => top.services)

it.live("two bodies on a circle are back where they were after a turn", () =>
  Effect.gen(function* () {
    const steps = 200
    const turn = steps * STEP
    // Each is pulled to the middle, 1 away, by `4 * m * 2 / (4 + SOFTNESS²) ** 1.5` with these masses: as fast as it turns.
    const speed = (2 * Math.PI) / turn
    const mass = (speed ** 2 * (4 + SOFTNESS ** 2) ** 1.5) / 2
    const services = yield* observatory({
      positions: Float32Array.of(1, -1, 0, 0, 0, 0),
      velocities: Float32Array.of(0, 0, speed, -speed, 0, 0),
      masses: Float32Array.of(mass, mass)
    })
    const sky = Context.get(services, Sky)
    yield* sky.ask.Advance({ steps: steps / 4 })
    const quarter = (yield* sky.ask.Look()).positions
    for (const [i, expected] of [0, 0, 1, -1, 0, 0].entries()) assert.closeTo(quarter[i]!, expected, 1e-3)
    yield* sky.ask.Advance({ steps: (steps * 3) / 4 })
    const whole = (yield* sky.ask.Look()).positions
    for (const [i, expected] of [1, -1, 0, 0, 0, 0].entries()) assert.closeTo(whole[i]!, expected, 2e-3)
  })
)

it.live("a collision keeps energy and momentum", () =>
  Effect.gen(function* () {
    const bodies = yield* galaxies(200)
    const services = yield* observatory(bodies)
    const film = yield* Effect.provideContext(take(2, 60), services)
    const last = { ...bodies, ...film[1]! }
    assert.notDeepEqual(last.positions, bodies.positions)
    assert.closeTo(energy(last) / energy(bodies), 1, 0.01)
    for (const c of [0, 1, 2]) assert.closeTo(momentum(last)[c]!, momentum(bodies)[c]!, 1e-5)
  })
)

it.live("a crash in the middle leaves the same film", () =>
  Effect.gen(function* () {
    const bodies = yield* galaxies(64)
    const undisturbed = yield* Effect.provideContext(take(3, 10), yield* observatory(bodies))
    let restarts = 0
    yield* ActorSystem.onEvent((event) => void (event._tag === "ChildRestarted" && restarts++))
    const services = yield* observatory(bodies)
    const sky = Context.get(services, Sky)
    const steps: Array<number> = []
    const before = (_: number, step: number) => {
      steps.push(step)
      return step === 15 && restarts === 0 ? Effect.ignore(sky.tell.Push({ by: Float32Array.of(1, 0) })) : Effect.void
    }
    const film = yield* Effect.provideContext(take(3, 10, before), services)
    assert.deepStrictEqual([restarts, ...steps], [1, 0, 5, 10, 15, 15])
    assert.deepStrictEqual(film, undisturbed)
  }).pipe(quiet)
)

it.live("a push reaches every body", () =>
  Effect.gen(function* () {
    const bodies = yield* galaxies(10)
    const services = yield* observatory(bodies)
    const sky = Context.get(services, Sky)
    yield* sky.tell.Push({ by: Float32Array.of(1, 2, 3) })
    const { velocities } = yield* sky.ask.Look()
    for (const [i, before] of bodies.velocities.entries()) {
      assert.closeTo(velocities[i]! - before, 1 + Math.floor(i / 10), 1e-6)
    }
  })
)

/** Dawn's null adapter computes nothing, but its shader compiler is that of every card. */
it.live("the kernels are fit for a card", () =>
  Effect.gen(function* () {
    const bodies = yield* galaxies(10)
    const { services } = yield* Supervisor.start(Tree(bodies, { prefer: ["webgpu"] }))
    const sky = Context.get(services, Sky)
    yield* sky.tell.Push({ by: new Float32Array(3) })
    assert.strictEqual(yield* sky.ask.Advance({ steps: 2 }), 2)
    assert.strictEqual((yield* sky.ask.Look()).positions.length, 30)
  }).pipe(Effect.scoped, Effect.provideService(Dawn, { flags: ["backend=null"], opened: () => {} }))
)

it("a star is drawn where the camera sees it, and its glow around it", () => {
  const bodies = {
    positions: new Float32Array(3),
    velocities: new Float32Array(3),
    masses: Float32Array.of(1)
  }
  const picture = render(bodies, 96, 54, { distance: 5, turn: 0 })
  const { data, height, width } = PNG.sync.read(Picture.png(picture, Picture.film))
  const brightness = (x: number, y: number) => data[(y * width + x) * 4]!
  assert.deepStrictEqual([width, height], [96, 54])
  assert.strictEqual(Math.max(...data.filter((_, i) => i % 4 === 0)), brightness(48, 27))
  assert.isAbove(brightness(48, 27), brightness(51, 27))
  assert.isAbove(brightness(51, 27), brightness(60, 27))
  assert.isAbove(brightness(60, 27), 0)
})
