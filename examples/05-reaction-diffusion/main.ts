/**
 * Six specimens grow in three dishes, one of which is broken on the way; the poster has all six. To keep it name a folder:
 * `node --conditions=effect-otp/source main.ts pictures`
 */
import { Console, Context, Effect, Random, References } from "effect"
import { Actor, ActorSystem, Supervisor } from "effect-otp"
import { GpuDevice } from "effect-otp/gpu"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder } from "../support/folder.ts"
import * as Picture from "../support/picture.ts"
import { Dishes, Tree } from "./dish.ts"
import { growAll, sow } from "./grow.ts"
import { poster } from "./poster.ts"
import { specimens } from "./specimens.ts"

const SIDE = 96
const PATCHES = 60
const [ROUNDS, STEPS] = [8, 160]

const program = Effect.gen(function* () {
  const random = yield* Effect.replicateEffect(Random.next, PATCHES * 3)
  let next = 0
  const seed = sow(SIDE, PATCHES, () => random[next++]!)
  yield* ActorSystem.onEvent((event) => {
    if (event._tag === "ChildRestarted") console.log(`${event.path} is back, and empty`)
  })
  const { services } = yield* Supervisor.start(Tree(SIDE, 3))
  yield* Console.log(`three dishes on ${Context.get(services, GpuDevice.GpuDevice).backend}`)

  let broken = false
  const grown = yield* growAll(
    specimens,
    { seed, rounds: ROUNDS, steps: STEPS },
    Effect.fnUntraced(function* ({ name }, number, round) {
      if (round === 0) yield* Console.log(`${name} is sown in dish ${number}`)
      if (broken || name !== "maze" || round < 3) return
      broken = true
      yield* Console.log(`dish ${number} is broken`)
      yield* Actor.kill(yield* Effect.orDie(Dishes.partition(number)))
    })
  ).pipe(Effect.provideContext(services))
  for (const { life, sown, specimen } of grown) {
    const share = life.filter((alive) => alive > 0.1).length / life.length
    yield* Console.log(
      `${specimen.name.padEnd(6)} covers ${(share * 100).toFixed(0).padStart(3)} %${sown > 1 ? ", sown twice" : ""}`
    )
  }

  const path = yield* folder(process.argv[2])
  writeFileSync(join(path, "poster.png"), Picture.png(poster(grown, 300), Picture.plain))
  yield* Console.log(process.argv[2] ? `the poster is in ${path}` : "the poster was painted; name a folder to keep it")
  return grown.length === specimens.length && grown.every(({ life }) => life.some((alive) => alive > 0.1))
})

const complete = await Effect.runPromise(
  Effect.scoped(program).pipe(Random.withSeed("dishes"), Effect.provideService(References.MinimumLogLevel, "None"))
)
process.exitCode = complete ? 0 : 1
