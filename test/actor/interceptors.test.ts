/** The interceptors that are ready to be applied. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Metric, References, Schedule, Schema, Stream } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { Actor, ActorRef, Interceptor, Interceptors, StateMachine, Supervisor } from "effect-otp"
import { quiet } from "../support/recording.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { n: Schema.Int }) {}

class Work extends Actor.Service<Work>()("test/ready/Work", {
  Do: { payload: { n: Schema.Int }, success: Schema.Int, error: Refused },
  Tell: { payload: { n: Schema.Int } },
  Seen: { success: Schema.Array(Schema.Int) },
  Die: {},
  Many: { success: Schema.Int, stream: true }
}) {}

/** Fails where `fails` says so, and remembers what it did. */
const work = (fails: (n: number, times: number) => unknown = () => undefined) => {
  const done: Array<number> = []
  const behavior = Work.behavior(
    Effect.succeed(
      Work.of({
        Do: ({ n }) =>
          Effect.suspend((): Effect.Effect<number, Refused> => {
            done.push(n)
            const error = fails(n, done.length)
            return error === undefined ? Effect.succeed(n * 10) : Effect.fail(error as Refused)
          }),
        Tell: ({ n }) => void done.push(n),
        Seen: () => done,
        Die: () => Effect.die("dead"),
        Many: () => Stream.make(1, 2)
      })
    )
  )
  return { behavior, done }
}

const silence = {
  Do: () => Effect.succeed(0),
  Tell: () => {},
  Seen: () => [],
  Die: () => {},
  Many: () => Stream.empty
}

describe("retry", () => {
  it.effect("waits as the schedule says, and stops with what `while` is false of", () =>
    Effect.gen(function* () {
      const { behavior, done } = work((n, times) => (n === 9 || times < 3 ? new Refused({ n }) : undefined))
      const Patient = Interceptors.retry(Schedule.spaced("1 second"), {
        while: (error) => (error as Refused).n !== 9
      })
      const ref = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Patient)))
      const asking = yield* Effect.forkChild(ref.ask.Do({ n: 1 }), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([done.length, asking.pollUnsafe()], [2, undefined])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(asking), 10)
      assert.deepStrictEqual(yield* Effect.flip(ref.ask.Do({ n: 9 })), new Refused({ n: 9 }))
    })
  )

  it.effect("stops when nobody waits for the outcome any more; a tell is tried as long as the schedule says", () =>
    Effect.gen(function* () {
      const { behavior, done } = work((n) => (n < 9 ? new Refused({ n }) : undefined))
      const Patient = Interceptors.retry(Schedule.spaced("2 seconds"), { tags: ["Do"] })
      const ref = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Patient)))
      const asking = yield* Effect.forkChild(Effect.flip(ref.ask.Do({ n: 1 })), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([yield* Fiber.join(asking), done], [new Refused({ n: 1 }), [1, 1, 1]])
      const patient = ref.pipe(ActorRef.withTimeout("9 seconds"))
      const longer = yield* Effect.forkChild(Effect.flip(patient.ask.Do({ n: 2 })), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(longer)
      assert.strictEqual(done.length, 3 + 5)
      yield* ref.tell.Do({ n: 3 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(done.length, 3 + 5 + 31)
      yield* Actor.kill(ref)
    })
  )

  it.effect("is not for what crashed by a defect, nor for what was refused", () =>
    Effect.gen(function* () {
      const { behavior } = work()
      let tries = 0
      const Trying = Interceptor.make({
        handle: (next, { tag }) => {
          tries++
          return tag === "Do" ? Interceptor.refuse(new Refused({ n: 0 })) : next
        }
      })
      const top = yield* Supervisor.start(
        Supervisor.make("top", {
          children: [
            behavior.pipe(Interceptor.apply(Trying), Interceptor.apply(Interceptors.retry(Schedule.recurs(5))))
          ]
        })
      )
      const ref = yield* Effect.provide(Work, top.services)
      yield* Effect.flip(ref.ask.Do({ n: 1 }))
      assert.strictEqual(tries, 1)
      yield* Effect.flip(ref.ask.Die())
      assert.strictEqual(tries, 2)
    }).pipe(quiet)
  )

  it.effect("asks again no longer than somebody waits for the asker itself", () =>
    Effect.gen(function* () {
      const silent = yield* Actor.spawn(Work.behavior(Effect.succeed(Work.of({ ...silence, Do: () => Effect.never }))))
      let asked = 0
      const Counting = Interceptor.make({ ask: (next) => (asked++, next) })
      const stubborn = silent.pipe(
        ActorRef.withTimeout("1 second"),
        Interceptor.through(Counting),
        Interceptor.through(Interceptors.retryAsk(Schedule.forever, { reasons: ["Timeout"] }))
      )
      class Asker extends Actor.Service<Asker>()("test/ready/Asker", { Go: {} }) {}
      const asker = yield* Actor.spawn(
        Asker.behavior(Effect.succeed(Asker.of({ Go: () => Effect.ignore(stubborn.ask.Do({ n: 1 })) })))
      )
      const going = yield* Effect.forkChild(Effect.flip(asker.ask.Go()), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(going)).reason._tag, "Timeout")
      assert.strictEqual(asked, 5)
      yield* Actor.kill(silent)
    })
  )

  it.effect("asks again what a restart gave up, with the same id", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      class Slow extends Actor.Service<Slow>()("test/ready/Slow", { Get: { success: Schema.Int } }) {}
      let runs = 0
      const SlowLive = Slow.behavior(
        Effect.sync(() => {
          const run = ++runs
          return Slow.of({
            Get: Actor.concurrent(() => (run === 1 ? Effect.as(Deferred.await(gate), 1) : Effect.succeed(run)))
          })
        })
      )
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [SlowLive] }))
      const slow = (yield* Effect.provide(Slow, top.services)).pipe(
        Interceptor.through(Interceptors.retryAsk(Schedule.recurs(1)))
      )
      const asking = yield* Effect.forkChild(slow.ask.Get(), { startImmediately: true })
      yield* Actor.kill(yield* Effect.provide(Slow, top.services))
      assert.strictEqual(yield* Fiber.join(asking), 2)
    }).pipe(quiet)
  )
})

describe("deduplicate", () => {
  it.effect(
    "by key: the second gets the first one's reply, a failed one may come again, the oldest are forgotten",
    () =>
      Effect.gen(function* () {
        const { behavior, done } = work((n, times) => (n === 2 && times === 2 ? new Refused({ n }) : undefined))
        const Once = Interceptors.deduplicate({
          tags: ["Do", "Tell"],
          capacity: 2,
          key: ({ payload }) => (payload as { n: number }).n
        })
        const ref = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Once)))
        assert.deepStrictEqual([yield* ref.ask.Do({ n: 1 }), yield* ref.ask.Do({ n: 1 })], [10, 10])
        yield* Effect.flip(ref.ask.Do({ n: 2 }))
        yield* ref.ask.Do({ n: 2 })
        assert.deepStrictEqual(done, [1, 2, 2])
        yield* ref.tell.Tell({ n: 3 })
        yield* ref.tell.Tell({ n: 3 })
        assert.deepStrictEqual(yield* ref.ask.Seen(), [1, 2, 2, 3])
        yield* ref.ask.Do({ n: 1 })
        assert.deepStrictEqual(done, [1, 2, 2, 3, 1])
      })
  )

  class Twin extends Actor.Service<Twin>()("test/ready/Twin", {
    Get: { payload: { key: Schema.String }, success: Schema.Int },
    Ask: { payload: { key: Schema.String }, success: Schema.Int }
  }) {}
  const byKey = { key: ({ payload }: Interceptor.Call) => (payload as { readonly key: string }).key }

  it.effect("side by side: the second waits for the first; those underway are not forgotten", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      let handled = 0
      const TwinLive = Twin.behavior(
        Effect.succeed(
          Twin.of({
            Get: Actor.concurrent(() =>
              Effect.andThen(
                Deferred.await(gate),
                Effect.sync(() => ++handled)
              )
            ),
            Ask: () => 0
          })
        )
      )
      const Once = Interceptors.deduplicate({ ...byKey, capacity: 1 })
      const ref = yield* Actor.spawn(TwinLive.pipe(Interceptor.apply(Once)))
      const asking = yield* Effect.forkChild(
        Effect.forEach(["a", "b", "a", "b"], (key) => ref.ask.Get({ key }), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* Effect.yieldNow
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual([yield* Fiber.join(asking), handled], [[1, 2, 1, 2], 2])
      // Done, only the last is known.
      assert.deepStrictEqual([yield* ref.ask.Get({ key: "b" }), yield* ref.ask.Get({ key: "a" })], [2, 3])
    })
  )

  it.effect("side by side: where the first is interrupted, the second is handled itself", () =>
    Effect.gen(function* () {
      let handled = 0
      const TwinLive = Twin.behavior(
        Effect.succeed(
          Twin.of({
            Get: Actor.concurrent(() => (++handled === 1 ? Effect.never : Effect.succeed(handled))),
            Ask: () => 0
          })
        )
      )
      const Hasty = Interceptor.message(Twin, "Get", {
        handle: (next) => Effect.timeoutOrElse(next, { duration: "1 second", orElse: () => Effect.succeed(-1) })
      })
      const ref = yield* Actor.spawn(
        TwinLive.pipe(Interceptor.apply(Interceptors.deduplicate(byKey)), Interceptor.apply(Hasty))
      )
      const first = yield* Effect.forkChild(ref.ask.Get({ key: "a" }), { startImmediately: true })
      yield* TestClock.adjust("500 millis")
      const second = yield* Effect.forkChild(ref.ask.Get({ key: "a" }), { startImmediately: true })
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], [-1, 2])
    })
  )

  it.effect("what another actor answers is not known: it is forwarded again, never answered with nothing", () =>
    Effect.gen(function* () {
      const back = yield* Actor.spawn(
        Twin.behavior(Effect.succeed(Twin.of({ Get: ({ key }) => key.length, Ask: () => 0 })))
      )
      const TwinLive = Twin.behavior(
        Effect.succeed(Twin.of({ Get: ({ key }) => Actor.forward(back.ask.Get({ key })), Ask: () => 0 }))
      )
      const ref = yield* Actor.spawn(TwinLive.pipe(Interceptor.apply(Interceptors.deduplicate(byKey))))
      assert.deepStrictEqual([yield* ref.ask.Get({ key: "abc" }), yield* ref.ask.Get({ key: "abc" })], [3, 3])
    })
  )

  it.effect("each message of a batch for itself", () =>
    Effect.gen(function* () {
      const batches: Array<string> = []
      const TwinLive = Twin.behavior(
        Effect.succeed(
          Twin.of({
            Get: Actor.batched({
              maxSize: 8,
              run: (batch) => {
                batches.push(batch.map(({ key }) => key).join(""))
                return Effect.succeed(batch.map(({ key }) => key.charCodeAt(0)))
              }
            }),
            Ask: () => 0
          })
        )
      )
      const ref = yield* Actor.spawn(TwinLive.pipe(Interceptor.apply(Interceptors.deduplicate(byKey))))
      const ask = (keys: string) =>
        Effect.forEach([...keys], (key) => ref.ask.Get({ key }), { concurrency: "unbounded" })
      assert.deepStrictEqual(
        [yield* ask("ab"), yield* ask("bca")],
        [
          [97, 98],
          [98, 99, 97]
        ]
      )
      assert.deepStrictEqual(batches, ["ab", "c"])
    })
  )

  it.effect("a machine: what it answers at once is known, what it answers later is not", () =>
    Effect.gen(function* () {
      class Gate extends StateMachine.Service<Gate>()("test/ready/Gate", {
        states: { Closed: {}, Opened: {} },
        events: { Enter: { payload: { key: Schema.String }, success: Schema.Int }, Open: {} },
        transitions: { Closed: { Open: "Opened" } }
      }) {}
      let entered = 0
      const gate = Gate.of({
        initial: Gate.to.Closed(),
        on: {
          Closed: { Enter: Gate.postpone, Open: Gate.to.Opened() },
          Opened: { Enter: () => Gate.reply(++entered) }
        }
      })
      const Once = Interceptors.deduplicate({ tags: ["Enter"], ...byKey })
      const ref = yield* Actor.spawn(Gate.behavior(gate).pipe(Interceptor.apply(Once)))
      const enter = ref.ask.Enter({ key: "a" })
      const asking = yield* Effect.forkChild(Effect.all([enter, enter], { concurrency: "unbounded" }), {
        startImmediately: true
      })
      yield* ref.ask.Open()
      assert.deepStrictEqual(yield* Fiber.join(asking), [1, 2])
      assert.deepStrictEqual([yield* enter, yield* enter], [3, 3])
    })
  )

  it("a capacity that makes no sense is refused where it is given", () => {
    for (const capacity of [0, -1, NaN, 1.5]) {
      assert.throws(() => Interceptors.deduplicate({ capacity }), /deduplicate: capacity must be a whole number/)
    }
  })

  it.effect("by id: what is asked twice by a caller's retry is handled once", () =>
    Effect.gen(function* () {
      const { behavior, done } = work()
      const Twice = Interceptor.make({ ask: (next) => Effect.andThen(next, next) })
      const ref = (yield* Actor.spawn(behavior.pipe(Interceptor.apply(Interceptors.deduplicate())))).pipe(
        Interceptor.through(Twice)
      )
      assert.strictEqual(yield* ref.ask.Do({ n: 1 }), 10)
      assert.deepStrictEqual(done, [1])
    })
  )
})

describe("rateLimit", () => {
  it.effect("refuses one too many, and the actor lives", () =>
    Effect.gen(function* () {
      const { behavior } = work()
      const ref = yield* Actor.spawn(
        behavior.pipe(Interceptor.apply(Interceptors.rateLimit({ tags: ["Do"], limit: 1, window: "1 minute" })))
      )
      yield* ref.ask.Do({ n: 1 })
      const error = yield* Effect.flip(ref.ask.Do({ n: 2 }))
      assert.strictEqual(error._tag === "AskError" && error.reason._tag, "HandlerFailed")
      assert.deepStrictEqual(yield* ref.ask.Seen(), [1])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* ref.ask.Do({ n: 2 }), 20)
    })
  )

  it.effect("delays one too many, by the limiter in scope that all share", () =>
    Effect.gen(function* () {
      const { behavior, done } = work()
      const Shared = behavior.pipe(
        Interceptor.apply(
          Interceptors.rateLimit({ limit: 1, window: "1 minute", onExceeded: "delay", key: () => "all" })
        )
      )
      const [a, b] = [yield* Actor.spawn(Shared), yield* Actor.spawn(Shared)]
      yield* a.ask.Do({ n: 1 })
      yield* b.tell.Tell({ n: 2 })
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(done, [1])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(done, [1, 2])
    }).pipe(Effect.provide(RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))))
  )
})

describe("rateLimit, at its edges", () => {
  it.effect("streams count too", () =>
    Effect.gen(function* () {
      const Limited = Interceptors.rateLimit({ tags: ["Many"], limit: 1, window: "1 minute" })
      const ref = yield* Actor.spawn(work().behavior.pipe(Interceptor.apply(Limited)))
      assert.deepStrictEqual(yield* Stream.runCollect(ref.stream.Many()), [1, 2])
      const error = yield* Effect.flip(Stream.runDrain(ref.stream.Many()))
      assert.strictEqual(error._tag === "AskError" && error.reason._tag, "HandlerFailed")
    })
  )

  it.effect("what would be delayed for longer than anybody waits is refused, and holds nobody up", () =>
    Effect.gen(function* () {
      const { behavior, done } = work()
      const ref = yield* Actor.spawn(
        behavior.pipe(
          Interceptor.apply(Interceptors.rateLimit({ tags: ["Do"], limit: 1, window: "1 minute", onExceeded: "delay" }))
        )
      )
      yield* ref.ask.Do({ n: 1 })
      const error = yield* Effect.flip(ref.ask.Do({ n: 2 }))
      assert.strictEqual(error._tag === "AskError" && error.reason._tag, "HandlerFailed")
      assert.deepStrictEqual(yield* ref.ask.Seen(), [1])
      const patient = ref.pipe(ActorRef.withTimeout("5 minutes"))
      const asking = yield* Effect.forkChild(patient.ask.Do({ n: 3 }), { startImmediately: true })
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* Fiber.join(asking), 30)
      assert.deepStrictEqual(done, [1, 3])
    })
  )

  it.effect("an asker that goes while its message is delayed leaves the actor as it was", () =>
    Effect.gen(function* () {
      const { behavior, done } = work()
      const Limited = Interceptors.rateLimit({ tags: ["Do"], limit: 1, window: "1 second", onExceeded: "delay" })
      const ref = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Limited)))
      yield* ref.ask.Do({ n: 1 })
      const asking = yield* Effect.forkChild(ref.ask.Do({ n: 2 }), { startImmediately: true })
      yield* Fiber.interrupt(asking)
      const next = yield* Effect.forkChild(ref.ask.Do({ n: 3 }), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(next), 30)
      assert.deepStrictEqual(done, [1, 2, 3])
    })
  )

  it("options that make no sense are refused where they are given", () => {
    assert.throws(
      () => Interceptors.rateLimit({ limit: 0, window: "1 second" }),
      /rateLimit: limit must be a whole number/
    )
    assert.throws(() => Interceptors.rateLimit({ limit: 1, window: "soon" as never }), /window of rateLimit must be/)
  })
})

describe("circuitBreaker, at its edges", () => {
  it.effect("BRK-04 BRK-07 half open, one is let through; its failure opens again; all of it can be watched", () =>
    Effect.gen(function* () {
      const made = yield* CircuitBreaker.make({ tripPolicy: CircuitBreaker.consecutive(1), openDuration: "1 minute" })
      const breaker = yield* Interceptors.circuitBreaker({ breaker: made })
      const transitions: Array<string> = []
      yield* Effect.forkChild(
        Stream.runForEach(made.transitions, ({ to }) => Effect.sync(() => void transitions.push(to))),
        { startImmediately: true }
      )
      const gate = yield* Deferred.make<void>()
      let handled = 0
      const GateLive = Work.behavior(
        Effect.succeed(
          Work.of({
            ...silence,
            Do: Actor.concurrent(({ n }: { readonly n: number }) =>
              Effect.suspend(() => {
                handled++
                return n === 0 ? Effect.as(Deferred.await(gate), 5) : Effect.die("down")
              })
            )
          })
        )
      )
      const top = yield* Supervisor.start(
        Supervisor.make("top", { intensity: { restarts: 9, within: "1 minute" }, children: [GateLive] })
      )
      const ref = (yield* Effect.provide(Work, top.services)).pipe(Interceptor.through(breaker))
      const reason = (n: number) =>
        Effect.map(Effect.flip(ref.ask.Do({ n })), (error) => ("reason" in error ? error.reason._tag : error._tag))
      assert.deepStrictEqual([yield* reason(1), yield* reason(1)], ["HandlerFailed", "CircuitOpen"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([yield* reason(1), yield* reason(1)], ["HandlerFailed", "CircuitOpen"])
      yield* TestClock.adjust("1 minute")
      const probe = yield* Effect.forkChild(ref.ask.Do({ n: 0 }), { startImmediately: true })
      yield* Effect.yieldNow
      assert.strictEqual(yield* reason(0), "CircuitHalfOpen")
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual([yield* Fiber.join(probe), handled], [5, 3])
      assert.strictEqual(yield* ref.ask.Do({ n: 0 }), 5)
      yield* Effect.yieldNow
      assert.deepStrictEqual(transitions, ["Open", "HalfOpen", "Open", "HalfOpen", "Closed"])
    }).pipe(quiet, Effect.provide(CircuitBreaker.layerStoreMemory()))
  )

  it.effect("an asker that goes says nothing about the actor", () =>
    Effect.gen(function* () {
      const breaker = yield* Interceptors.circuitBreaker({
        tripPolicy: CircuitBreaker.consecutive(1),
        openDuration: "1 minute"
      })
      const gate = yield* Deferred.make<void>()
      const ref = (yield* Actor.spawn(
        Work.behavior(
          Effect.succeed(Work.of({ ...silence, Do: Actor.concurrent(() => Effect.as(Deferred.await(gate), 1)) }))
        )
      )).pipe(Interceptor.through(breaker))
      const asking = yield* Effect.forkChild(ref.ask.Do({ n: 1 }), { startImmediately: true })
      yield* Fiber.interrupt(asking)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* ref.ask.Do({ n: 1 }), 1)
    })
  )

  it.effect("an actor that asks itself has not found out anything about itself", () =>
    Effect.gen(function* () {
      const breaker = yield* Interceptors.circuitBreaker({
        tripPolicy: CircuitBreaker.consecutive(1),
        openDuration: "1 minute"
      })
      const reasons: Array<string> = []
      class Loop extends Actor.Service<Loop>()("test/ready/Loop", { Go: { success: Schema.Int }, Ping: {} }) {}
      const ref = yield* Actor.spawn(
        Loop.behavior(
          Effect.map(Loop.self, (self) =>
            Loop.of({
              Go: () =>
                Effect.matchEffect(self.pipe(Interceptor.through(breaker)).ask.Ping(), {
                  onFailure: ({ reason }) => Effect.sync(() => reasons.push(reason._tag)),
                  onSuccess: () => Effect.succeed(0)
                }),
              Ping: () => {}
            })
          )
        )
      )
      yield* ref.ask.Go()
      yield* ref.ask.Go()
      assert.deepStrictEqual(reasons, ["AskedItself", "AskedItself"])
    })
  )

  it.effect("a retry outside of it asks again what it let through, and gives up while it is open", () =>
    Effect.gen(function* () {
      const breaker = yield* Interceptors.circuitBreaker({
        tripPolicy: CircuitBreaker.consecutive(2),
        openDuration: "1 minute"
      })
      let asked = 0
      const Counting = Interceptor.make({ ask: (next) => (asked++, next) })
      const gone = yield* Actor.spawn(work().behavior)
      yield* Actor.stop(gone)
      const ref = gone.pipe(
        Interceptor.through(Counting),
        Interceptor.through(breaker),
        Interceptor.through(Interceptors.retryAsk(Schedule.recurs(5), { reasons: ["NotRunning"] }))
      )
      const error = yield* Effect.flip(ref.ask.Do({ n: 1 }))
      assert.deepStrictEqual([error._tag, asked], ["CircuitBreakerError", 2])
    })
  )
})

describe("circuitBreaker", () => {
  it.effect("opens after failures, lets one through when its time is up, and closes with a reply", () =>
    Effect.gen(function* () {
      const { behavior } = work((n) => (n < 0 ? new Refused({ n }) : undefined))
      const breaker = yield* Interceptors.circuitBreaker({
        tripPolicy: CircuitBreaker.consecutive(2),
        openDuration: "1 minute"
      })
      const top = yield* Supervisor.start(
        Supervisor.make("top", { intensity: { restarts: 9, within: "1 minute" }, children: [behavior] })
      )
      const ref = (yield* Effect.provide(Work, top.services)).pipe(Interceptor.through(breaker))
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* Effect.flip(ref.ask.Do({ n: -1 })))._tag, "Refused")
      const die = Effect.map(Effect.flip(ref.ask.Die()), (error) => error.reason._tag)
      assert.deepStrictEqual([yield* die, yield* die, yield* die], ["HandlerFailed", "HandlerFailed", "CircuitOpen"])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* ref.ask.Do({ n: 1 }), 10)
      assert.strictEqual(yield* die, "HandlerFailed")
    }).pipe(quiet)
  )
})

describe("looking on", () => {
  it.effect("logging says what was handled, and how it went", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message, fiber }) => {
      const notes = fiber.getRef(References.CurrentLogAnnotations)
      lines.push(`${logLevel} ${String(Array.isArray(message) ? message[0] : message)} ${String(notes["message"])}`)
    })
    return Effect.gen(function* () {
      const { behavior } = work((n) => (n < 0 ? new Refused({ n }) : undefined))
      const ref = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Interceptors.logging({ level: "Info" }))))
      yield* ref.ask.Do({ n: 1 })
      yield* Effect.flip(ref.ask.Do({ n: -1 }))
      yield* Stream.runDrain(ref.stream.Many())
      assert.deepStrictEqual(lines, [
        "Info Do: success after 0 ms Do",
        "Warn Do: failure after 0 ms Do",
        "Info Many: success after 0 ms Many"
      ])
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("metrics count by class, message and outcome", () =>
    Effect.gen(function* () {
      const { behavior } = work((n) => (n < 0 ? new Refused({ n }) : undefined))
      const ref = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Interceptors.metrics({ prefix: "test" }))))
      yield* ref.ask.Do({ n: 1 })
      yield* ref.ask.Do({ n: 2 })
      yield* Effect.flip(ref.ask.Do({ n: -1 }))
      const count = (outcome: string) =>
        Metric.value(
          Metric.withAttributes(Metric.counter("test_messages_handled", { incremental: true }), {
            actor: "test/ready/Work",
            message: "Do",
            outcome
          })
        )
      assert.deepStrictEqual([(yield* count("success")).count, (yield* count("failure")).count], [2, 1])
    })
  )
})
