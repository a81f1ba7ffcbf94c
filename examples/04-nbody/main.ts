/**
 * Two galaxies collide on the device, and the film of it survives a crash: `node --conditions=effect-otp/source main.ts film`
 * leaves six frames and a strip of them in the folder `film`.
 */
import { Console, Context, Effect, Random, References } from "effect"
import { ActorSystem, Supervisor } from "effect-otp"
import { GpuDevice } from "effect-otp/gpu"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder } from "../support/folder.ts"
import * as Picture from "../support/picture.ts"
import { type Bodies, collision, energy, momentum } from "./bodies.ts"
import { take } from "./film.ts"
import { render } from "./render.ts"
import { Sky, Tree } from "./sky.ts"

const BODIES = 2_048
const FRAMES = 6
const STEPS = 14
const [WIDTH, HEIGHT, GAP] = [480, 270, 6]

/** The frames and the strip, as files. */
const develop = (film: ReadonlyArray<Bodies>, path: string) => {
  const place = (i: number) => (i + 1) * GAP
  const strip = Picture.make(place(3) + 3 * WIDTH, place(2) + 2 * HEIGHT)
  for (const [i, bodies] of film.entries()) {
    const frame = render(bodies, WIDTH, HEIGHT, { distance: 4.9 + i * 0.3, turn: i * 0.05 })
    writeFileSync(join(path, `frame-${i + 1}.png`), Picture.png(frame, Picture.film))
    const [column, row] = [i % 3, Math.floor(i / 3)]
    Picture.paste(strip, frame, place(column) + column * WIDTH, place(row) + row * HEIGHT)
  }
  writeFileSync(join(path, "film.png"), Picture.png(strip, Picture.film))
}

const program = Effect.gen(function* () {
  const random = yield* Effect.replicateEffect(Random.next, BODIES * 3)
  let next = 0
  const bodies = collision(BODIES, () => random[next++]!)
  yield* ActorSystem.onEvent((event) => {
    if (event._tag === "ChildRestarted") console.log(`${event.path} is back, at the last frame in the archive`)
  })
  const { services } = yield* Supervisor.start(Tree(bodies))
  const { backend } = Context.get(services, GpuDevice.GpuDevice)
  yield* Console.log(`${BODIES} bodies on ${backend}: ${(BODIES ** 2).toLocaleString("en")} pulls a step`)

  /** Somebody thinks that the sky is flat, and pushes it by x and y alone: ten steps are lost. */
  const sky = Context.get(services, Sky)
  let pushed = false
  const before = (frame: number, step: number) => {
    if (pushed || frame !== 3 || step < 2 * STEPS + 10) return Effect.void
    pushed = true
    const push = Effect.ignore(sky.tell.Push({ by: Float32Array.of(1, 0) }))
    return Effect.andThen(Console.log(`frame ${frame + 1}, step ${step}: a push that does not fit`), push)
  }
  const film = yield* Effect.provideContext(take(FRAMES, STEPS, before), services)

  const last = { ...bodies, ...film.at(-1)! }
  const drift = Math.abs(energy(last) / energy(bodies) - 1)
  const moved = Math.hypot(...momentum(last).map((along, c) => along - momentum(bodies)[c]!))
  yield* Console.log(
    `after step ${film.at(-1)!.step}: energy off by ${(drift * 100).toFixed(3)} %, momentum by ${moved.toExponential(0)}`
  )

  const path = yield* folder(process.argv[2])
  develop(
    film.map((snapshot) => ({ ...bodies, ...snapshot })),
    path
  )
  yield* Console.log(process.argv[2] ? `the film is in ${path}` : "the film was developed; name a folder to keep it")
  return drift < 0.005 && moved < 1e-4
})

const holds = await Effect.runPromise(
  Effect.scoped(program).pipe(Random.withSeed("galaxies"), Effect.provideService(References.MinimumLogLevel, "None"))
)
process.exitCode = holds ? 0 : 1
