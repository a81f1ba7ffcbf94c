/**
 * The demo: four actors learn to read handwritten digits, and then read 10,000 of them, some of which are torn.
 *
 * A torn digit crashes the classifier that gets it. Crashes are restarted after a growing delay; a dozen of them exhaust the
 * budget of the pool, which gives up and is started anew by its own supervisor. At the end the books are checked: every digit
 * must have been answered exactly once, or reported. The exit code is 0 only if that holds.
 */
import { Context, Deferred, Effect, Fiber, Random, References } from "effect"
import { ActorSystem, Supervisor } from "effect-otp"
import { GpuDevice } from "effect-otp/gpu"
import { isTorn, loadDigits } from "./digits.ts"
import { balance, type Entry } from "./ledger.ts"
import { initial, RANDOMS } from "./network.ts"
import type { Progress } from "./reader.ts"
import { Tally } from "./tally.ts"
import { LEARNED, tree } from "./tree.ts"
import { bar, treeLines } from "./view.ts"

/** The least part of the held-out digits that must be read right. */
const FLOOR = 0.95

const live = process.stdout.isTTY === true
const say = (line: string) => Effect.sync(() => console.log(line))

/** Draws the tree over itself until it is interrupted. */
const draw = (top: Supervisor.SupervisorRef<Tally>, progress: Progress) => {
  let drawn = 0
  const frame = Effect.map(top.children, (children) => {
    const lines = ["demo", ...treeLines(children), "", bar(progress)]
    const up = drawn === 0 ? "" : `\u001b[${drawn}A`
    drawn = lines.length
    process.stdout.write(`${up}${lines.map((line) => `\u001b[2K${line}`).join("\n")}\n\u001b[J`)
  })
  return Effect.onExit(Effect.forever(Effect.andThen(frame, Effect.sleep("80 millis"))), () => frame)
}

/** Without a terminal: a line for every tenth of the way. */
const lines = (progress: Progress) => {
  let told = ""
  const look = Effect.sync(() => {
    const tenth = progress.total === 0 ? 0 : Math.floor((progress.done / progress.total) * 10)
    const line = `${progress.phase} ${tenth * 10} %`
    if (line !== told && progress.phase !== "done") console.log(line)
    told = line
  })
  return Effect.forever(Effect.andThen(look, Effect.sleep("20 millis")))
}

const program = Effect.gen(function* () {
  const digits = loadDigits()
  const random = yield* Effect.replicateEffect(Random.next, RANDOMS)
  const progress: Progress = { phase: "learning", done: 0, total: 0, millis: 0 }
  const done = yield* Deferred.make<void>()

  let restarts = 0
  let gaveUp = 0
  yield* ActorSystem.onEvent((event) => {
    if (event._tag === "ChildRestarted" && event.path.includes("/classifier-")) restarts++
    if (event._tag !== "GaveUp") return
    gaveUp++
    if (!live) console.log(`${event.path} gave up after ${event.restarts} restarts: its supervisor starts it anew`)
  })

  let next = 0
  const parameters = initial(() => random[next++]!)
  const top = yield* Supervisor.start(tree(digits, parameters, progress, Deferred.succeed(done, undefined)))
  const tally = Context.get(top.services, Tally)
  const view = yield* Effect.forkChild(live ? draw(top, progress) : lines(progress))
  yield* Effect.raceFirst(Deferred.await(done), top.ended)
  yield* Fiber.interrupt(view)

  const entries = (yield* tally.ask.Entries()) as ReadonlyArray<Entry>
  const books = balance(entries, digits.length)
  const heldOut = entries.filter((entry) => entry.id >= LEARNED && "answer" in entry)
  const right = heldOut.filter((entry) => "answer" in entry && entry.answer === digits[entry.id]!.label).length
  const accuracy = right / heldOut.length
  const onlyTorn = entries.every((entry) => "reported" in entry === isTorn(entry.id))
  const letters = yield* ActorSystem.deadLetters

  yield* say("")
  if (!live) for (const line of ["demo", ...treeLines(yield* top.children)]) yield* say(line)
  const { backend, declined } = Context.get(top.services, GpuDevice.GpuDevice)
  yield* say(`device         ${backend}${declined.map((other) => `; ${other.backend}: ${other.reason}`).join("")}`)
  yield* say(`accuracy       ${(accuracy * 100).toFixed(1)} % of ${heldOut.length} held-out digits`)
  yield* say(
    `speed          ${Math.round((digits.length / progress.millis) * 1_000).toLocaleString("en")} digits per second`
  )
  yield* say(`restarts       ${restarts} classifiers, ${gaveUp} times the whole pool`)
  yield* say(`dead letters   ${letters.length}`)
  yield* say(
    `books          ${digits.length} digits = ${books.answered} answered + ${books.reported} reported, ` +
      `${books.missing.length} missing, ${books.twice.length} twice`
  )
  const holds = books.holds && onlyTorn && accuracy >= FLOOR
  yield* say(holds ? "Every digit was answered exactly once, or reported." : "The books do not balance.")
  return holds
})

const holds = await Effect.runPromise(
  Effect.scoped(program).pipe(Random.withSeed("digits"), Effect.provideService(References.MinimumLogLevel, "None"))
)
process.exitCode = holds ? 0 : 1
