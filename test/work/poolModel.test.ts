/**
 * Random lives of pools: whatever happens to members, messages and the pool, nothing is lost silently, nothing is done twice that
 * must not be, keys keep their order, bounds hold, and in the end nothing is counted as pending.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Latch, Option, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorRef, ActorSystem, Pool, type SystemEvent } from "effect-otp"

const Task = { id: Schema.Int, key: Schema.Int, kind: Schema.Literals(["quick", "held", "crash"]) }

class Worker extends Actor.Service<Worker>()("test/Worker", {
  Ask: { payload: Task, success: Schema.Int },
  Tell: { payload: Task },
  Stream: { payload: Task, success: Schema.Int, stream: true }
}) {}

type Kind = "quick" | "held" | "crash"

/** The same numbers for the same seed. */
const chance = (seed: number) => {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296
  }
  const below = (count: number) => Math.floor(next() * count)
  return { below, oneOf: <T>(values: ReadonlyArray<T>): T => values[below(values.length)]! }
}

interface Life {
  readonly seed: number
  readonly route: Pool.Route<Worker>
  readonly retries: number
  readonly concurrency: number
  readonly queue: Pool.QueueOptions | undefined
  readonly steps: number
}

interface Told {
  readonly id: number
  readonly key: number
  readonly kind: Kind
  readonly how: "ask" | "tell" | "stream"
  readonly fiber: Fiber.Fiber<Exit.Exit<unknown, unknown>>
  cancelled: boolean
}

const settle = Effect.gen(function* () {
  for (let i = 0; i < 30; i++) yield* Effect.yieldNow
})

const byKey = ({ payload }: { readonly payload: { readonly key: number } }) => payload.key

const lives = (seed: number): Life => {
  const { below, oneOf } = chance(seed * 7919)
  const overflow = oneOf(["suspend", "drop-newest", "drop-oldest", "reject"] as const)
  return {
    seed,
    route: oneOf<Pool.Route<Worker>>([
      "least-loaded",
      "round-robin",
      "random",
      "shorter-of-two",
      { hash: byKey },
      { sticky: byKey }
    ]),
    retries: oneOf([0, 0, 1, 3]),
    concurrency: 1 + below(3),
    queue: oneOf([undefined, { capacity: 1 + below(4), overflow }]),
    steps: 10 + below(40)
  }
}

const live = (life: Life) =>
  Effect.gen(function* () {
    const { concurrency, queue, retries, route, seed, steps } = life
    const { below, oneOf } = chance(seed)
    const isKeyed = typeof route === "object"
    const begun: Array<number> = []
    const done = new Map<number, number>()
    const gates = new Map<number, Latch.Latch>()
    let open = false
    const work = ({ id, kind }: { readonly id: number; readonly kind: Kind }) => {
      begun.push(id)
      if (kind === "crash") return Effect.die(new Error(`crash ${id}`))
      const finish = Effect.sync(() => {
        done.set(id, (done.get(id) ?? 0) + 1)
        return id
      })
      if (kind === "quick" || open) return finish
      const gate = gates.get(id) ?? Latch.makeUnsafe(false)
      gates.set(id, gate)
      return Effect.andThen(gate.await, finish)
    }
    const behavior = Worker.behavior(
      Effect.succeed(
        Worker.of({
          Ask: work,
          Tell: (task) => Effect.asVoid(work(task)),
          Stream: (task) => Stream.concat(Stream.fromEffect(work(task)), Stream.make(-1))
        })
      )
    )
    const events: Array<SystemEvent.SystemEvent> = []
    yield* ActorSystem.onEvent((event) => void events.push(event))
    const pool = yield* Pool.start(behavior, {
      size: 1 + below(4),
      route,
      retries,
      concurrency,
      intensity: { restarts: 100_000, within: "1 second" },
      ...(queue === undefined ? undefined : { queue })
    })
    const ref = pool.ref.pipe(ActorRef.withTimeout("1 day"))
    const all: Array<Told> = []
    const popped: Array<ActorRef.ActorRef<Worker>> = []
    let isSuspended = false
    const paused = new Set<ActorRef.ActorRef<Worker>>()
    const step = Effect.gen(function* () {
      const dice = below(100)
      const members = yield* pool.members
      if (dice < 55) {
        const task = { id: all.length, key: below(4), kind: oneOf<Kind>(["quick", "quick", "held", "held", "crash"]) }
        const how = oneOf(["ask", "ask", "tell", "tell", "stream"] as const)
        const sent: Effect.Effect<unknown, unknown> =
          how === "ask"
            ? ref.ask.Ask(task)
            : how === "tell"
              ? ref.tell.Tell(task)
              : Stream.runCollect(oneOf([ref.stream.Stream(task), Stream.take(ref.stream.Stream(task), 1)]))
        const fiber = yield* Effect.forkScoped(Effect.exit(sent), { startImmediately: true })
        all.push({ ...task, how, fiber, cancelled: false })
      } else if (dice < 70) {
        const held = [...gates.keys()]
        if (held.length > 0) yield* gates.get(oneOf(held))!.open
      } else if (dice < 76) {
        const given = oneOf(all)
        if (given !== undefined && given.fiber.pollUnsafe() === undefined) {
          given.cancelled = true
          yield* Fiber.interrupt(given.fiber)
        }
      } else if (dice < 80) {
        if (members.length > 0) yield* Actor.kill(oneOf(members))
      } else if (dice < 83) {
        const member = oneOf(members)
        if (member !== undefined) {
          paused.add(member)
          yield* Effect.forkScoped(Actor.suspend(member), { startImmediately: true })
        }
      } else if (dice < 86) {
        for (const member of paused) yield* Actor.resume(member)
        paused.clear()
      } else if (dice < 90) {
        yield* pool.resize({ size: 1 + below(4), reason: "chance" })
      } else if (dice < 92) {
        const idle = yield* pool.pop
        if (Option.isSome(idle)) popped.push(idle.value)
      } else if (dice < 94) {
        const back = popped.pop()
        if (back !== undefined) yield* pool.push(back)
      } else if (dice < 96) {
        isSuspended = !isSuspended
        yield* isSuspended ? Actor.suspend(pool.ref) : Actor.resume(pool.ref)
      } else yield* settle
    })
    const label = JSON.stringify(life)
    for (let i = 0; i < steps; i++) {
      yield* step
      if (below(3) > 0) continue
      yield* settle
      const { free, members, queued, ready } = yield* pool.stats
      if (!isKeyed && !isSuspended && ready > 0 && queued > 0)
        assert.strictEqual(free, 0, `idle while some wait: ${label}`)
      if (!isKeyed)
        assert.isTrue(
          members.every(({ ongoing }) => ongoing <= concurrency),
          `above its limit: ${label}`
        )
    }
    // All goes on, and comes to its end.
    open = true
    for (const member of paused) yield* Actor.resume(member)
    for (const member of popped) if ((yield* pool.stats).size === 0) yield* pool.push(member)
    if (isSuspended) yield* Actor.resume(pool.ref)
    for (let round = 0; round < 20; round++) {
      for (const gate of gates.values()) yield* gate.open
      yield* settle
      yield* TestClock.adjust("1 second")
    }
    const { members, ongoing, queued } = yield* pool.stats
    assert.deepStrictEqual([ongoing, queued, members.map((each) => each.ongoing)], [0, 0, members.map(() => 0)], label)
    check(life, all, begun, done, events, label)
    const reason = yield* Effect.forkScoped(Actor.drain(pool.ref))
    yield* settle
    assert.strictEqual((reason.pollUnsafe() as Exit.Success<{ readonly _tag: string }>).value._tag, "Normal", label)
  }).pipe(Effect.scoped, Effect.provide(ActorSystem.layer()))

const check = (
  { retries, route }: Life,
  all: ReadonlyArray<Told>,
  begun: ReadonlyArray<number>,
  done: ReadonlyMap<number, number>,
  events: ReadonlyArray<SystemEvent.SystemEvent>,
  label: string
): void => {
  const idOf = (event: { readonly payload: unknown }) => (event.payload as { readonly id: number }).id
  const recorded = new Set(
    events.flatMap((event) => (event._tag === "DeadLetter" || event._tag === "MessageDropped" ? [idOf(event)] : []))
  )
  for (const { cancelled, fiber, how, id, kind } of all) {
    const about = `${how} ${kind} ${id}: ${label}`
    const exit = fiber.pollUnsafe()
    if (exit === undefined) return assert.fail(`never settled: ${about}`)
    const times = begun.filter((each) => each === id).length
    const finished = done.get(id) ?? 0
    if (retries === 0) assert.isTrue(times <= 1, `begun ${times} times: ${about}`)
    assert.isTrue(times <= retries + 1, `begun ${times} times: ${about}`)
    if (cancelled) continue
    if (how === "tell") {
      // A crash takes its message along; what was tried again in vain is a dead letter.
      const crashed = times > 0 && retries === 0
      assert.isTrue(finished > 0 || recorded.has(id) || crashed, `lost: ${about}`)
      assert.isFalse(finished > 0 && recorded.has(id), `done, and recorded as lost: ${about}`)
      continue
    }
    const result = (exit as Exit.Success<Exit.Exit<unknown, unknown>>).value
    if (Exit.isSuccess(result)) assert.isTrue(finished > 0, `answered out of nothing: ${about}`)
    else {
      const { reason } = Cause.squash(result.cause) as ActorRef.AskError
      assert.include(["HandlerFailed", "MailboxFull", "Restarting"], reason._tag, about)
    }
  }
  if (typeof route !== "object") return
  for (let key = 0; key < 4; key++) {
    const order = [...new Set(begun.filter((id) => all[id]!.key === key))]
    assert.deepStrictEqual(
      order,
      order.toSorted((a, b) => a - b),
      `overtaken: ${label}`
    )
  }
}

const SEEDS = Number(process.env["SEEDS"] ?? 300)
const FIRST = Number(process.env["SEED"] ?? 0)

describe("POOL random lives", () => {
  for (let from = FIRST; from < FIRST + SEEDS; from += 50) {
    it.effect(`seeds ${from} to ${Math.min(from + 50, FIRST + SEEDS) - 1}`, () =>
      Effect.gen(function* () {
        for (let seed = from; seed < Math.min(from + 50, FIRST + SEEDS); seed++) yield* live(lives(seed))
      })
    )
  }
})
