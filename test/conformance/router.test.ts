/** Scenarios POOL: routers over groups and lists, asking several. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem, Backoff, Behavior, Group, Pool, Router, StateMachine, Supervisor } from "effect-otp"

class Lamp extends Actor.Service<Lamp>()("test/Lamp", {
  Dim: { payload: { to: Schema.Int } },
  Name: { payload: { key: Schema.optionalKey(Schema.String) }, success: Schema.String },
  Wait: { success: Schema.String }
}) {}

class Lamps extends Group.Service<Lamps>()("test/Lamps", Lamp) {}

class Gate extends StateMachine.Service<Gate>()("test/Gate", {
  states: { Shut: {}, Open: {} },
  events: { Push: { success: Schema.String } },
  transitions: { Shut: { Push: "Open" } }
}) {}

const never = Latch.makeUnsafe(false)

const lampLive = (dimmed: Array<string> = []) =>
  Lamp.behavior((name: string) =>
    Effect.gen(function* () {
      yield* Lamps.join("room")
      return Lamp.of({
        Dim: ({ to }) => void dimmed.push(`${name} ${to}`),
        Name: () => name,
        Wait: () => (name === "slow" ? Effect.as(never.await, name) : Effect.succeed(name))
      })
    })
  )

const settle = Effect.gen(function* () {
  for (let i = 0; i < 20; i++) yield* Effect.yieldNow
})

const house = Supervisor.layer(Supervisor.make("house", { children: [Lamps.child] }))
const run = <A, E>(effect: Effect.Effect<A, E, Lamps | import("effect").Scope.Scope>) =>
  effect.pipe(Effect.scoped, Effect.provide(house), Effect.provide(ActorSystem.layer()))

const room = (route: Router.Route<Lamp> = "round-robin") =>
  Actor.spawn(Router.behavior(Lamp, { group: Lamps, key: "room", route }))

it.effect("POOL-20 a router follows its group: nothing is lost to one that has stopped", () =>
  run(
    Effect.gen(function* () {
      const live = lampLive()
      const one = yield* Actor.spawn(live, "one")
      yield* Actor.spawn(live, "two")
      const router = yield* room()
      yield* Actor.spawn(live, "three")
      yield* settle
      const names = Effect.forEach([1, 2, 3, 4], () => router.ask.Name({}))
      assert.deepStrictEqual(new Set(yield* names), new Set(["one", "two", "three"]))
      yield* Actor.stop(one)
      assert.deepStrictEqual(new Set(yield* names), new Set(["two", "three"]))
    })
  )
)

it.effect("POOL-20 whoever leaves the group gets nothing any more", () =>
  run(
    Effect.gen(function* () {
      const live = lampLive()
      const one = yield* Actor.spawn(live, "one")
      yield* Actor.spawn(live, "two")
      const router = yield* room()
      yield* settle
      yield* Lamps.leaveAs(one, "room")
      yield* settle
      assert.deepStrictEqual(yield* Effect.forEach([1, 2, 3], () => router.ask.Name({})), ["two", "two", "two"])
    })
  )
)

it.effect("POOL-20 who has left while the router was down is none of its members when it is back", () =>
  run(
    Effect.gen(function* () {
      const live = lampLive()
      const one = yield* Actor.spawn(live, "one")
      yield* Actor.spawn(live, "two")
      const root = yield* Supervisor.start(
        Supervisor.make("hall", {
          children: [
            Supervisor.child(Router.behavior(Lamp, { group: Lamps, key: "room" }), {
              backoff: Backoff.exponential({ min: "1 second", max: "1 second" })
            })
          ]
        })
      )
      const router = yield* Lamp.pipe(Effect.provideContext(root.services))
      yield* Actor.kill(router)
      yield* Lamps.leaveAs(one, "room")
      yield* settle
      yield* TestClock.adjust("2 seconds")
      yield* settle
      assert.deepStrictEqual(yield* Effect.forEach([1, 2, 3], () => router.ask.Name({})), ["two", "two", "two"])
    })
  )
)

it.effect("POOL-20 a router in its own group gives nothing to itself", () =>
  run(
    Effect.gen(function* () {
      yield* Actor.spawn(lampLive(), "one")
      const router = yield* room()
      yield* Lamps.joinAs(router, "room")
      yield* settle
      assert.deepStrictEqual(yield* Effect.forEach([1, 2, 3], () => router.ask.Name({})), ["one", "one", "one"])
    })
  )
)

it.effect("R71 a key whose member left with messages of it is pending with the next one, until that is done", () =>
  run(
    Effect.gen(function* () {
      const gates = new Map<string, Latch.Latch>()
      const live = Lamp.behavior((name: string) =>
        Effect.gen(function* () {
          yield* Lamps.join("room")
          const gate = Latch.makeUnsafe(false)
          gates.set(name, gate)
          return Lamp.of({
            Dim: () => {},
            Name: () => name,
            Wait: () => Effect.as(gate.await, name)
          })
        })
      )
      const one = yield* Actor.spawn(live, "one")
      const router = yield* room({ hash: () => "key" })
      const first = yield* Effect.forkChild(router.ask.Wait())
      yield* settle
      yield* Lamps.leaveAs(one, "room")
      yield* Actor.spawn(live, "two")
      yield* settle
      const second = yield* Effect.forkChild(router.ask.Wait())
      yield* settle
      yield* gates.get("one")!.open
      assert.strictEqual(yield* Fiber.join(first), "one")
      // However many come: the key stays where it is pending.
      for (const name of ["a", "b", "c", "d", "e", "f", "g", "h"]) yield* Actor.spawn(live, name)
      yield* settle
      const third = yield* Effect.forkChild(router.ask.Name({}))
      yield* settle
      yield* gates.get("two")!.open
      assert.deepStrictEqual([yield* Fiber.join(second), yield* Fiber.join(third)], ["two", "two"])
    })
  )
)

it.effect("POOL-21 nobody there: tells are dead letters, asks fail at once", () =>
  run(
    Effect.gen(function* () {
      const router = yield* room()
      for (const to of [1, 2, 3, 4]) yield* router.tell.Dim({ to })
      const letters = yield* ActorSystem.deadLetters
      assert.deepStrictEqual(
        letters.map(({ payload, reason, tag }) => [tag, payload, reason._tag]),
        [1, 2, 3, 4].map((to) => ["Dim", { to }, "NoMembers"])
      )
      const error = yield* Effect.flip(router.ask.Name({}))
      assert.strictEqual(error.reason._tag, "NoMembers")
      assert.include(error.message, "there is no member to give it to")
    })
  )
)

describe("asking several", () => {
  const spawned = (names: ReadonlyArray<string>, dimmed?: Array<string>) => {
    const live = lampLive(dimmed)
    return Effect.forEach(names, (name) => Actor.spawn(live, name))
  }

  it.effect("POOL-23 hedged: the second is asked after 50 ms, the total limit is kept", () =>
    run(
      Effect.gen(function* () {
        const lamps = yield* spawned(["slow", "quick"])
        const asked = yield* Effect.forkChild(
          Router.hedged(lamps, { after: "50 millis" }, (lamp) => lamp.ask.Wait()).pipe(Effect.timeout("1 second"))
        )
        yield* settle
        yield* TestClock.adjust("49 millis")
        assert.isUndefined(asked.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* Fiber.join(asked), "quick")
        const silent = yield* spawned(["slow"])
        const late = yield* Effect.forkChild(
          Effect.flip(
            Router.hedged(silent, { after: "50 millis" }, (lamp) => lamp.ask.Wait()).pipe(Effect.timeout("1 second"))
          )
        )
        yield* settle
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(late))._tag, "TimeoutError")
        yield* Effect.forEach([...lamps, ...silent], Actor.kill)
      })
    )
  )

  it.effect("POOL-23 hedged: a pool may be asked twice, and gives the second to another member", () =>
    run(
      Effect.gen(function* () {
        let member = 0
        const live = Lamp.behavior(
          Effect.sync(() => {
            const name = `${++member}`
            return Lamp.of({
              Dim: () => {},
              Name: () => name,
              Wait: () => (name === "1" ? Effect.as(never.await, name) : Effect.succeed(name))
            })
          })
        )
        const pool = yield* Pool.start(live, { size: 2, shutdown: 0 })
        const asked = yield* Effect.forkChild(
          Router.hedged([pool.ref, pool.ref], { after: "50 millis" }, (lamp) => lamp.ask.Wait())
        )
        yield* settle
        assert.strictEqual((yield* pool.stats).ongoing, 1)
        assert.isUndefined(asked.pollUnsafe())
        yield* TestClock.adjust("50 millis")
        assert.strictEqual(yield* Fiber.join(asked), "2")
      })
    )
  )

  it.effect("hedged: one that fails hands over at once", () =>
    run(
      Effect.gen(function* () {
        const lamps = yield* spawned(["one", "two"])
        yield* Actor.stop(lamps[0]!)
        assert.strictEqual(yield* Router.hedged(lamps, { after: "1 hour" }, (lamp) => lamp.ask.Wait()), "two")
      })
    )
  )

  it.effect("first and quorum take the first replies, and withdraw the others", () =>
    run(
      Effect.gen(function* () {
        const lamps = yield* spawned(["slow", "one", "two"])
        assert.strictEqual(yield* Router.first(lamps, (lamp) => lamp.ask.Wait()), "one")
        assert.deepStrictEqual(yield* Router.quorum(lamps, 2, (lamp) => lamp.ask.Wait()), ["one", "two"])
        yield* Actor.stop(lamps[1]!)
        yield* Actor.stop(lamps[2]!)
        const error = yield* Effect.flip(Router.quorum(lamps, 2, (lamp) => lamp.ask.Wait()))
        assert.deepStrictEqual([error.asked, error.needed, error.failures.length], [3, 2, 2])
        assert.match(error.message, /^2 of 3 replies were needed, and 2 failed, the last with/)
        yield* Actor.kill(lamps[0]!)
      })
    )
  )

  it.effect("nobody to ask is an error that says so", () =>
    run(
      Effect.gen(function* () {
        const none: ReadonlyArray<never> = []
        const error = yield* Effect.flip(Router.first(none, () => Effect.succeed(1)))
        assert.strictEqual(error.message, "a reply was needed, and there was nobody to ask: the list of refs is empty")
        assert.strictEqual(yield* Router.broadcast(none, () => Effect.void), 0)
      })
    )
  )

  it.effect("broadcast reaches each once", () =>
    run(
      Effect.gen(function* () {
        const dimmed: Array<string> = []
        const lamps = yield* spawned(["one", "two"], dimmed)
        assert.strictEqual(yield* Router.broadcast(lamps, (lamp) => lamp.tell.Dim({ to: 3 })), 2)
        yield* settle
        assert.deepStrictEqual(dimmed, ["one 3", "two 3"])
      })
    )
  )
})

describe("routes (B2)", () => {
  const names = ["a", "b", "c", "d"]
  const routed = (route: Router.Route<Lamp>) =>
    Effect.gen(function* () {
      const live = lampLive()
      for (const name of names) yield* Actor.spawn(live, name)
      return yield* room(route)
    })

  it.effect("round-robin: each in turn", () =>
    run(
      Effect.gen(function* () {
        const router = yield* routed("round-robin")
        const got = yield* Effect.forEach([1, 2, 3, 4, 5], () => router.ask.Name({}))
        assert.deepStrictEqual(got, ["a", "b", "c", "d", "a"])
      })
    )
  )

  for (const route of ["random", "shorter-of-two"] as const) {
    it.effect(`${route}: everybody gets some`, () =>
      run(
        Effect.gen(function* () {
          const router = yield* routed(route)
          const got = yield* Effect.forEach(Array.from({ length: 200 }), () => router.ask.Name({}))
          const counts = names.map((name) => got.filter((each) => each === name).length)
          assert.isTrue(
            counts.every((count) => count > 20),
            counts.join(" ")
          )
        })
      )
    )
  }

  it.effect("hash: a key has its own, and few keys move when one comes", () =>
    run(
      Effect.gen(function* () {
        const router = yield* routed({
          hash: (message) => (message.tag === "Name" ? (message.payload.key ?? "") : "")
        })
        const keys = Array.from({ length: 400 }, (_, key) => `session-${key}`)
        const owners = Effect.forEach(keys, (key) => router.ask.Name({ key }))
        const before = yield* owners
        assert.deepStrictEqual(yield* owners, before)
        const shares = names.map((name) => before.filter((each) => each === name).length)
        assert.isTrue(
          shares.every((share) => share > 40),
          shares.join(" ")
        )
        yield* Actor.spawn(lampLive(), "e")
        yield* settle
        const after = yield* owners
        const moved = after.filter((name, key) => name !== before[key])
        assert.isTrue(moved.length > 0 && moved.length < 160, `${moved.length} moved`)
        assert.deepStrictEqual(new Set(moved), new Set(["e"]))
      })
    )
  )

  it.effect("sticky: a key stays where it went first, also when others come", () =>
    run(
      Effect.gen(function* () {
        const router = yield* routed({
          sticky: (message) => (message.tag === "Name" ? (message.payload.key ?? "") : "")
        })
        const keys = ["k1", "k2", "k3", "k4", "k5"]
        const owners = Effect.forEach(keys, (key) => router.ask.Name({ key }))
        const before = yield* owners
        assert.deepStrictEqual(before, ["a", "b", "c", "d", "a"])
        yield* Actor.spawn(lampLive(), "e")
        yield* settle
        assert.deepStrictEqual(yield* owners, before)
      })
    )
  )

  it.effect("sticky: as many keys are remembered as it says, those that were used last", () =>
    run(
      Effect.gen(function* () {
        const router = yield* routed({
          sticky: (message) => (message.tag === "Name" ? (message.payload.key ?? "") : ""),
          keys: 3
        })
        const names = yield* Effect.forEach(["k1", "k2", "k3", "k1", "k4", "k1", "k2"], (key) =>
          router.ask.Name({ key })
        )
        // The fourth has taken the place of k2, which was not used as lately as k1, and goes elsewhere when it comes again.
        assert.deepStrictEqual(names, ["a", "b", "c", "a", "d", "a", "a"])
      })
    )
  )

  it.effect("a route that throws loses no message", () =>
    run(
      Effect.gen(function* () {
        const router = yield* routed({
          hash: () => {
            throw new Error("no key")
          }
        })
        assert.strictEqual(yield* router.ask.Name({}), "a")
      })
    )
  )

  it.effect("a router and a pool give events to machines", () =>
    Effect.gen(function* () {
      const behavior = Gate.behavior(
        Gate.of({
          initial: Gate.to.Shut(),
          on: { Shut: { Push: [Gate.to.Open(), Gate.reply("opened")] }, Open: { Push: Gate.reply("was open") } }
        })
      )
      const members = yield* Effect.forEach([1, 2], () => Actor.spawn(behavior))
      const router = yield* Actor.spawn(Router.behavior(Gate, { members, route: "round-robin" }))
      const pool = yield* Pool.start(behavior, { size: 2, route: "round-robin" })
      for (const ref of [router, pool.ref]) {
        const pushed = yield* Effect.forEach([1, 2, 3, 4], () => ref.ask.Push())
        assert.deepStrictEqual(pushed, ["opened", "opened", "was open", "was open"])
      }
    }).pipe(Effect.scoped)
  )

  it("nonsense is refused where it is written", () => {
    assert.throws(
      () => Router.behavior(Lamp, { members: [], route: "best" as never }),
      "a router for test/Lamp: route must be one of least-loaded, round-robin, random, shorter-of-two, { hash } or { sticky }"
    )
  })
})

it.effect("a pool keeps its order through Pool.map (POOL-15), and its bounds", () =>
  run(
    Effect.gen(function* () {
      const pool = yield* Pool.start(lampLive().pipe(Behavior.withArgs("any")), { size: 4 })
      const results = yield* Stream.runCollect(
        Pool.map(
          pool,
          Array.from({ length: 10 }, (_, n) => n),
          (lamp, n) => Effect.as(lamp.ask.Name({}), n)
        )
      )
      assert.deepStrictEqual(results, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    })
  )
)
