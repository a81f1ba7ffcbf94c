/** INT: backoff between restarts. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Random, Schedule } from "effect"
import { Actor, ActorRef, Backoff, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, Child, quiet, Recording, states } from "../support/recording.ts"

/** A child whose init fails from the second start on, and the times of its attempts. */
const failing = (r: Recording, backoff: Backoff.Backoff<unknown>) => {
  const times: Array<number> = []
  const init = Effect.gen(function* () {
    times.push(yield* Effect.clockWith((clock) => clock.currentTimeMillis))
    if (times.length > 1) return yield* new Broken({ code: times.length })
  })
  return { times, spec: r.child("a", { init, backoff }) }
}

/** The delays between attempts. */
const delays = (times: ReadonlyArray<number>) => times.slice(1).map((time, i) => time - times[i]!)

it.effect("INT-17 exponential delay with a cap, also for a failing init", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const { spec, times } = failing(r, Backoff.exponential({ min: "3 seconds", max: "30 seconds" }))
    yield* r.start([spec])
    yield* r.ref("a").tell.Throw()
    yield* r.lines(2)
    yield* TestClock.adjust("106 seconds")
    assert.deepStrictEqual(delays(times), [3_000, 6_000, 12_000, 24_000, 30_000, 30_000])
  }).pipe(quiet)
)

it.effect("INT-18 jitter stays in its band and follows the seed", () =>
  Effect.gen(function* () {
    const series = (seed: string) =>
      Effect.gen(function* () {
        const r = new Recording()
        const { spec, times } = failing(r, Backoff.exponential({ min: "1 second", max: "1 second", jitter: 0.2 }))
        yield* r.start([spec])
        yield* r.ref("a").tell.Throw()
        yield* r.lines(2)
        yield* TestClock.adjust("130 seconds")
        return delays(times).slice(0, 100)
      }).pipe(Effect.scoped, Random.withSeed(seed))
    const [first, again, other] = [yield* series("one"), yield* series("one"), yield* series("two")]
    assert.isAtLeast(first.length, 100)
    assert.isTrue(first.every((delay) => delay >= 1_000 && delay <= 1_201))
    assert.deepStrictEqual(again.map(Math.round), first.map(Math.round))
    assert.notDeepEqual(other, first)
  }).pipe(quiet)
)

it.effect("INT-20 the delay does not start over before the stable time, and does after it", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const backoff = Backoff.exponential({ min: "1 second", max: "10 seconds", resetAfter: "10 seconds" })
    const top = yield* r.start([r.child("a", { backoff })])
    const crash = Effect.gen(function* () {
      yield* r.ref("a").tell.Throw()
      const event = yield* restarting(r)
      yield* TestClock.adjust(event.delay)
      yield* r.incarnation("a")
      return event.delay
    })
    assert.strictEqual(yield* crash, 1_000)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* crash, 2_000)
    yield* TestClock.adjust("11 seconds")
    assert.strictEqual(yield* crash, 1_000)
    assert.strictEqual(top.status, "running")
  }).pipe(quiet)
)

it.effect("INT-21 the default reset time is the mean of min and max", () =>
  Effect.sync(() => {
    assert.strictEqual(Backoff.exponential({ min: "100 millis", max: "1 second" }).resetAfter, 550)
    assert.strictEqual(Backoff.make(Schedule.spaced("1 second")).resetAfter, 30_000)
  })
)

it.effect("INT-23 a schedule that comes to its end gives up with the last cause", () =>
  Effect.gen(function* () {
    const r = new Recording()
    let starts = 0
    const init = Effect.suspend(() => (++starts === 1 ? Effect.void : Effect.fail(new Broken({ code: starts }))))
    const backoff = Schedule.exponential("200 millis").pipe(Schedule.upTo({ times: 2 }))
    const top = yield* r.start([r.child("a", { init, backoff })])
    yield* r.ref("a").tell.Throw()
    yield* r.lines(2)
    yield* TestClock.adjust("10 seconds")
    const reason = yield* top.ended
    assert.strictEqual(starts - 1, 2)
    const error = reason._tag === "Shutdown" ? (reason.info as Supervisor.RestartIntensityExceeded<unknown>) : undefined
    assert.deepStrictEqual(
      error?.cause.reasons.map((each) => each._tag === "Fail" && each.error),
      [new Broken({ code: 3 })]
    )
    assert.include(error!.message, "backoff")
    assert.notInclude(error!.message, "more than 1000 restarts")
    const limits = r.events.map((event) => event._tag === "GaveUp" && event.limit).filter(Boolean)
    assert.deepStrictEqual([limits, error!.limit], [["backoff"], "backoff"])
  }).pipe(quiet)
)

it.effect(
  "INT-24 while it waits the child shows as restarting, with the time of the next attempt, and can be stopped",
  () =>
    Effect.gen(function* () {
      const r = new Recording()
      const backoff = Backoff.exponential({ min: "10 seconds", max: "10 seconds" })
      const top = yield* r.start([r.child("a", { backoff })])
      yield* r.ref("a").tell.Throw()
      yield* restarting(r)
      const [before] = yield* top.children
      assert.deepStrictEqual([before!.state, before!.nextAttempt], ["restarting", 10_000])
      yield* top.terminateChild("a")
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(yield* states(top), { a: "stopped" })
      assert.deepStrictEqual(r.log, ["a started", "a stopped"])
    }).pipe(quiet)
)

it.effect("INT-26 rest-for-one with delay: later siblings wait, earlier ones go on, an earlier crash merges", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const backoff = Backoff.exponential({ min: "5 seconds", max: "5 seconds" })
    const top = yield* r.start([r.child("a"), r.child("b", { backoff }), r.child("c")], { strategy: "rest-for-one" })
    yield* r.ref("b").tell.Throw()
    yield* r.lines(5)
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* states(top), { a: "running", b: "restarting", c: "stopped" })
    assert.deepStrictEqual(r.takeLog().slice(3), ["b stopped", "c stopped"])
    yield* TestClock.adjust("1 second")
    yield* r.ref("a").tell.Throw()
    assert.deepStrictEqual(yield* r.lines(4), ["a stopped", "a started", "b started", "c started"])
    yield* TestClock.adjust("60 seconds")
    assert.deepStrictEqual(yield* states(top), { a: "running", b: "running", c: "running" })
    assert.strictEqual(r.log.length, 4)
  }).pipe(quiet)
)

it.effect("INT-27 what is sent during the delay is kept up to a bound, then reported as dropped", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const seen: Array<number> = []
    const behavior = Child.behavior(
      Effect.succeed(
        Child.of({
          Ping: () => 0,
          Add: ({ n }) => {
            seen.push(n)
            return n
          },
          Fail: ({ code }) => Effect.fail(new Broken({ code })),
          Throw: () => Effect.die("thrown"),
          End: () => {},
          Shutdown: () => {},
          Wait: () => {}
        })
      ),
      { mailbox: { whileRestarting: 2 } }
    )
    const backoff = Backoff.exponential({ min: "1 second", max: "1 second" })
    const top = yield* r.start([Supervisor.child(behavior, { id: "a", backoff })])
    const ref = yield* Effect.provideContext(Child, top.services)
    yield* ref.tell.Throw()
    yield* restarting(r)
    for (const n of [1, 2, 3, 4]) yield* ref.tell.Add({ n })
    yield* TestClock.adjust("1 second")
    yield* ref.ask.Ping()
    assert.deepStrictEqual(seen, [1, 2])
    const dropped = r.events.filter((event) => event._tag === "MessageDropped")
    assert.deepStrictEqual(
      dropped.map((event) => event._tag === "MessageDropped" && [event.path, event.tag, event.payload, event.reason]),
      [3, 4].map((n) => ["top/a", "Add", { n }, "restarting"])
    )
  }).pipe(quiet)
)

it.effect("INT-26 the delay of the crashed one ends the wait of all that wait with it", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const backoff = Backoff.exponential({ min: "5 seconds", max: "5 seconds" })
    const top = yield* r.start([r.child("a"), r.child("b", { backoff }), r.child("c")], { strategy: "rest-for-one" })
    yield* r.ref("b").tell.Throw()
    yield* r.lines(5)
    // What is sent to one that waits is kept for its next run.
    const waiting = yield* Effect.forkChild(ActorRef.withTimeout(r.ref("c"), "1 hour").ask.Ping())
    yield* TestClock.adjust("4999 millis")
    assert.deepStrictEqual([waiting.pollUnsafe(), r.log.length], [undefined, 5])
    yield* TestClock.adjust("1 milli")
    assert.strictEqual(yield* Fiber.join(waiting), 2)
    assert.deepStrictEqual(r.log.slice(5), ["b started", "c started"])
    assert.deepStrictEqual(yield* states(top), { a: "running", b: "running", c: "running" })
    assert.strictEqual(yield* r.incarnation("a"), 1)
  }).pipe(quiet)
)

it.effect("INT-06 an attempt after a delay costs one entry of the budget too", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const { spec, times } = failing(r, Backoff.exponential({ min: "1 second", max: "1 second" }))
    const top = yield* r.start([spec], { intensity: { restarts: 3, within: "1 minute" } })
    yield* r.ref("a").tell.Throw()
    yield* r.lines(2)
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(delays(times), [1_000, 1_000, 1_000])
    const reason = yield* top.ended
    const error = reason._tag === "Shutdown" ? (reason.info as Supervisor.RestartIntensityExceeded<unknown>) : undefined
    assert.include(error?.message, "child a needed more than 3 restarts within 60000 ms, the last after Broken")
  }).pipe(quiet)
)

it.effect("a child stopped by hand during its delay can be started again at once", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const backoff = Backoff.exponential({ min: "1 hour", max: "1 hour" })
    const top = yield* r.start([r.child("a", { backoff })])
    yield* Actor.kill(r.ref("a"))
    yield* restarting(r)
    const refused = yield* Effect.flip(top.restartChild("a"))
    assert.strictEqual(refused._tag === "ChildConflict" && refused.state, "restarting")
    yield* top.terminateChild("a")
    yield* top.restartChild("a")
    assert.strictEqual(yield* r.incarnation("a"), 2)
  }).pipe(quiet)
)

/** The latest restart that has been announced; waits for one that has not been seen yet. */
const restarting = (r: Recording) =>
  Effect.gen(function* () {
    while (true) {
      const at = r.events.findIndex((event) => event._tag === "ChildRestarting")
      const event = at < 0 ? undefined : r.events.splice(at, 1)[0]
      if (event?._tag === "ChildRestarting") return event
      yield* Effect.yieldNow
    }
  })
