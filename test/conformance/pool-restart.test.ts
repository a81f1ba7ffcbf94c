/** Scenario B1: members that take long to make, lost and made anew. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Actor, Pool } from "effect-otp"

class Heavy extends Actor.Service<Heavy>()("test/Heavy", {
  Use: { payload: { millis: Schema.Number }, success: Schema.Void }
}) {}

/** Takes 2 seconds to make, and tells what becomes of it. */
const heavy = () => {
  const log: Array<string> = []
  const behavior = Heavy.behavior(
    Effect.gen(function* () {
      log.push("begun")
      yield* Effect.addFinalizer(() => Effect.sync(() => log.push("released")))
      yield* Effect.sleep("2 seconds")
      log.push("made")
      return Heavy.of({ Use: ({ millis }) => Effect.sleep(millis) })
    })
  )
  const said = () => log.splice(0).toSorted()
  return { behavior, said }
}

const intensity = { restarts: 100, within: "1 second" } as const

/** A pool of members that have been made. */
const pooled = Effect.fnUntraced(function* (behavior: ReturnType<typeof heavy>["behavior"], size: number) {
  const starting = yield* Effect.forkChild(Pool.start(behavior, { size, intensity, retries: 1 }))
  yield* TestClock.adjust("2 seconds")
  return yield* Fiber.join(starting)
})

const loseAll = <A>(pool: Pool.Pool<A>) =>
  Effect.flatMap(pool.members, (members) => Effect.forEach(members, Actor.kill, { discard: true }))

describe("members that take long to make", () => {
  it.effect("B1 those that are lost together are made anew together", () =>
    Effect.gen(function* () {
      const { behavior, said } = heavy()
      const pool = yield* pooled(behavior, 3)
      said()
      yield* loseAll(pool)
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual((yield* pool.stats).ready, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* pool.stats).ready, 3)
      assert.deepStrictEqual(said(), [
        ...["begun", "begun", "begun"],
        ...["made", "made", "made"],
        ...["released", "released", "released"]
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("B1 a pool grows while a member is made anew", () =>
    Effect.gen(function* () {
      const { behavior } = heavy()
      const pool = yield* pooled(behavior, 1)
      yield* loseAll(pool)
      yield* TestClock.adjust("1 second")
      const growing = yield* Effect.forkChild(pool.resize({ size: 2, reason: "more" }))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(growing), 2)
      assert.strictEqual((yield* pool.stats).ready, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("B1 a pool that ends while they are made anew leaves nothing of them", () =>
    Effect.gen(function* () {
      const { behavior, said } = heavy()
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(pooled(behavior, 2), scope)
      said()
      yield* loseAll(pool)
      yield* TestClock.adjust("1 second")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(said(), ["begun", "begun", "released", "released", "released", "released"])
    })
  )

  it.effect("B1 one that leaves while it is made anew is not made", () =>
    Effect.gen(function* () {
      const { behavior, said } = heavy()
      const pool = yield* pooled(behavior, 2)
      said()
      const [one] = yield* pool.members
      yield* Actor.kill(one!)
      yield* TestClock.adjust("1 second")
      yield* pool.resize({ size: 1, reason: "fewer" })
      yield* TestClock.adjust("10 seconds")
      const { members, ready } = yield* pool.stats
      assert.deepStrictEqual([ready, members.length], [1, 1])
      // Both were idle: either may have gone.
      const gone = said().filter((word) => word === "released").length
      assert.strictEqual(gone, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("one that is lost again while it is made anew is made anew again", () =>
    Effect.gen(function* () {
      const { behavior, said } = heavy()
      const pool = yield* pooled(behavior, 1)
      const asked = yield* Effect.forkChild(pool.ref.ask.Use({ millis: 1 }))
      said()
      yield* loseAll(pool)
      yield* TestClock.adjust("1 second")
      yield* loseAll(pool)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(said(), ["begun", "begun", "made", "released", "released"])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(asked)
      assert.strictEqual((yield* pool.stats).ready, 1)
    }).pipe(Effect.scoped)
  )
})
