/** The interceptors that are ready to be applied. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Metric, References, Schedule, Schema, Stream } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { Actor, Interceptor, Interceptors, Supervisor } from "effect-otp"
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
