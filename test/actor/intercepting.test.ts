/** Interceptors on every kind of handler, and interceptors that misbehave (INTC, seed rows B3 and B4). */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schedule, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  Actor,
  ActorRef,
  ActorSystem,
  Control,
  Interceptor,
  Interceptors,
  Stash,
  StateMachine,
  Supervisor,
  type SystemEvent
} from "effect-otp"
import { quiet } from "../support/recording.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

class Work extends Actor.Service<Work>()("test/intercepting/Work", {
  Do: { payload: { n: Schema.Int }, success: Schema.Int, error: Refused },
  Put: { payload: { n: Schema.Int } },
  Generated: { payload: { n: Schema.Int }, success: Schema.Int },
  Beside: { payload: { n: Schema.Int }, success: Schema.Int },
  Batch: { payload: { n: Schema.Int }, success: Schema.Int, error: Refused },
  Later: { payload: { n: Schema.Int }, success: Schema.Int },
  Open: {},
  Many: { payload: { to: Schema.Int }, success: Schema.Int, stream: true, error: Refused }
}) {}

const work = () => {
  const done: Array<string> = []
  const behavior = Work.behavior(
    Effect.gen(function* () {
      const stash = yield* Stash.make()
      let open = false
      return Work.of({
        Do: ({ n }) => (n < 0 ? Effect.fail(new Refused({ why: "below" })) : (done.push(`Do ${n}`), Effect.succeed(n))),
        Put: ({ n }) => void done.push(`Put ${n}`),
        Generated: function* ({ n }) {
          yield* Effect.yieldNow
          done.push(`Generated ${n}`)
          return n
        },
        Beside: Actor.concurrent(({ n }: { readonly n: number }) => Effect.sync(() => (done.push(`Beside ${n}`), n))),
        Batch: Actor.batched({
          maxSize: 8,
          run: (batch) => {
            const ns = batch.map(({ n }) => n)
            done.push(`Batch ${ns.join()}`)
            return ns.includes(-1) ? Effect.fail(new Refused({ why: "batch" })) : Effect.succeed(ns.map((n) => n * 10))
          }
        }),
        Later: ({ n }) => (open ? Effect.sync(() => (done.push(`Later ${n}`), n)) : stash.keep),
        Open: () => {
          open = true
          return stash.unstashAll
        },
        Many: ({ to }) => Stream.range(1, to)
      })
    })
  )
  return { behavior, done }
}

const lines = () => {
  const all: Array<string> = []
  return { all, write: (line: string) => Effect.sync(() => void all.push(line)) }
}

describe("kinds of handlers", () => {
  it.effect("a generator is run anew each time", () =>
    Effect.gen(function* () {
      const { behavior, done } = work()
      const Twice = Interceptor.make({ handle: (next) => Effect.andThen(next, next) })
      const ref = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Twice)))
      assert.strictEqual(yield* ref.ask.Generated({ n: 3 }), 3)
      assert.deepStrictEqual(done, ["Generated 3", "Generated 3"])
    })
  )

  it.effect("a state machine: its events are intercepted, with another payload too", () =>
    Effect.gen(function* () {
      class Light extends StateMachine.Service<Light>()("test/intercepting/Light", {
        states: { Off: {}, On: { level: Schema.Int } },
        events: {
          Turn: { payload: { level: Schema.Int }, success: Schema.Int },
          Level: { success: Schema.Int },
          Effectful: { success: Schema.Int }
        },
        transitions: { Off: { Turn: "On" }, On: { Turn: "On" } }
      }) {}
      const light = Light.of({
        initial: Light.to.Off(),
        any: { Effectful: () => Effect.as(Effect.yieldNow, Light.reply(7)) },
        on: {
          Off: { Turn: ({ level }) => [Light.to.On({ level }), Light.reply(level)], Level: Light.postpone },
          On: {
            Turn: ({ level }) => [Light.to.On({ level }), Light.reply(level)],
            Level: (_, { level }) => Light.reply(level)
          }
        }
      })
      const { all, write } = lines()
      const Double = Interceptor.make({
        handle: (next, { payload, tag }, nextWith) =>
          Effect.andThen(
            write(tag),
            tag === "Turn" ? nextWith({ level: (payload as { level: number }).level * 2 }) : next
          )
      })
      const ref = yield* Actor.spawn(Light.behavior(light).pipe(Interceptor.apply(Double)))
      const waiting = yield* Effect.forkChild(ref.ask.Level(), { startImmediately: true })
      assert.strictEqual(yield* ref.ask.Effectful(), 7)
      assert.strictEqual(yield* ref.ask.Turn({ level: 2 }), 4)
      assert.strictEqual(yield* Fiber.join(waiting), 4)
      assert.deepStrictEqual(all, ["Level", "Effectful", "Turn"])
    })
  )

  it.effect("a state machine whose effect an interceptor gives up goes on with the next event", () =>
    Effect.gen(function* () {
      class Sleeper extends StateMachine.Service<Sleeper>()("test/intercepting/Sleeper", {
        states: { Awake: {} },
        events: { Sleep: { success: Schema.Int }, Look: { success: Schema.Int } },
        transitions: {}
      }) {}
      let sleeps = 0
      const sleeper = Sleeper.of({
        initial: Sleeper.to.Awake(),
        on: {
          Awake: {
            Sleep: () => Effect.as(++sleeps === 1 ? Effect.never : Effect.void, Sleeper.reply(sleeps)),
            Look: () => Sleeper.reply(2)
          }
        }
      })
      const Hasty = Interceptor.make({
        tags: ["Sleep"],
        handle: (next) =>
          Effect.timeoutOrElse(next, {
            duration: "1 second",
            orElse: () => Interceptor.refuse(new Refused({ why: "late" }))
          })
      })
      const ref = yield* Actor.spawn(Sleeper.behavior(sleeper).pipe(Interceptor.apply(Hasty)))
      const sleeping = yield* Effect.forkChild(Effect.flip(ref.ask.Sleep()), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(sleeping)).reason._tag, "HandlerFailed")
      assert.deepStrictEqual([yield* ref.ask.Sleep(), yield* ref.ask.Look()], [2, 2])
    })
  )

  it.effect("a message that is stashed: nothing has failed, and its hooks say so", () =>
    Effect.gen(function* () {
      const { behavior, done } = work()
      const { all, write } = lines()
      const Watching = Interceptor.hooks({
        tags: ["Later"],
        handler: {
          before: () => write("before"),
          after: (_, exit) => write(Interceptor.isKept(exit) ? "kept" : exit._tag)
        }
      })
      const ref = yield* Actor.spawn(
        behavior.pipe(Interceptor.apply(Interceptors.retry(Schedule.recurs(3))), Interceptor.apply(Watching))
      )
      const later = yield* Effect.forkChild(ref.ask.Later({ n: 1 }), { startImmediately: true })
      yield* ref.ask.Open()
      assert.strictEqual(yield* Fiber.join(later), 1)
      assert.deepStrictEqual([all, done], [["before", "kept", "before", "Success"], ["Later 1"]])
    })
  )
})

describe("layers", () => {
  it.effect("what is inside begins only when the outer one runs it, and as often", () =>
    Effect.gen(function* () {
      const { behavior } = work()
      const seen: Array<unknown> = []
      const inner = Interceptor.make({
        handle: (next, { payload }) => {
          seen.push(payload)
          return next
        }
      })
      const Never = Interceptor.make({ tags: ["Do"], handle: () => Effect.succeed(7 as never) })
      const Twice = Interceptor.make({ tags: ["Generated"], handle: (next) => Effect.andThen(next, next) })
      const Other = Interceptor.make({ tags: ["Beside"], handle: (_, __, nextWith) => nextWith({ n: 9 }) })
      const ref = yield* Actor.spawn(behavior.pipe(Interceptor.apply(inner), Interceptor.apply(Never, Twice, Other)))
      assert.strictEqual(yield* ref.ask.Do({ n: 1 }), 7)
      assert.deepStrictEqual(seen, [])
      yield* ref.ask.Generated({ n: 2 })
      yield* ref.ask.Beside({ n: 3 })
      assert.deepStrictEqual(seen, [{ n: 2 }, { n: 2 }, { n: 9 }])
    })
  )

  it.effect("one that throws fails the message for those outside of it", () =>
    Effect.gen(function* () {
      const { behavior } = work()
      const { all, write } = lines()
      const Throws = Interceptor.make({
        handle: () => {
          throw new Error("thrown")
        }
      })
      const Hooked = Interceptor.hooks({ handler: { after: (_, exit) => write(exit._tag) } })
      const Saves = Interceptor.make({ handle: (next) => Effect.catchDefect(next, () => Effect.succeed(5 as never)) })
      const ref = yield* Actor.spawn(
        behavior.pipe(Interceptor.apply(Throws), Interceptor.apply(Hooked), Interceptor.apply(Saves))
      )
      assert.strictEqual(yield* ref.ask.Do({ n: 1 }), 5)
      assert.deepStrictEqual(all, ["Failure"])
    })
  )

  it.effect("INTC-02 the same one on a behavior, its system and a ref works once at the caller's side", () => {
    const { all, write } = lines()
    const Once = Interceptor.make({ ask: (next) => Effect.andThen(write("once"), next) })
    return Effect.gen(function* () {
      const ref = yield* Actor.spawn(work().behavior.pipe(Interceptor.apply(Once)))
      yield* ref.ask.Do({ n: 1 })
      assert.deepStrictEqual(all, ["once"])
      yield* ref.pipe(Interceptor.through(Once)).ask.Do({ n: 1 })
      assert.deepStrictEqual(all, ["once", "once"])
    }).pipe(Effect.provide(ActorSystem.layer({ interceptors: [Once] })))
  })

  it.effect("those of a system handle too: outside of what the behavior has, each once", () => {
    const { all, write } = lines()
    const named = (name: string) =>
      Interceptor.make({ tags: ["Do"], handle: (next) => Effect.andThen(write(name), next) })
    const [both, system] = [named("both"), named("system")]
    return Effect.gen(function* () {
      const ref = yield* Actor.spawn(work().behavior.pipe(Interceptor.apply(named("own")), Interceptor.apply(both)))
      yield* ref.ask.Do({ n: 1 })
      assert.deepStrictEqual(all, ["both", "own"])
      const other = yield* Actor.spawn(work().behavior)
      yield* other.ask.Do({ n: 1 })
      assert.deepStrictEqual(all, ["both", "own", "both"])
    }).pipe(Effect.provide(ActorSystem.layer({ interceptors: [both, system] })))
  })
})

describe("interceptors that misbehave", () => {
  it.effect("one that never ends is interrupted when the actor is killed, and holds nobody's time limit up", () =>
    Effect.gen(function* () {
      const { all, write } = lines()
      const Never = Interceptor.make({ handle: () => Effect.onInterrupt(Effect.never, () => write("interrupted")) })
      const ref = yield* Actor.spawn(work().behavior.pipe(Interceptor.apply(Never)))
      const asking = yield* Effect.forkChild(Effect.flip(ref.ask.Do({ n: 1 })), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      const late = yield* Fiber.join(asking)
      assert.strictEqual(late._tag === "AskError" && late.reason._tag, "Timeout")
      yield* Actor.kill(ref)
      assert.deepStrictEqual(all, ["interrupted"])
    })
  )

  it.effect("one that runs the handler after the asker has gone harms nobody", () =>
    Effect.gen(function* () {
      const { behavior, done } = work()
      const gate = yield* Deferred.make<void>()
      const Late = Interceptor.make({ tags: ["Do"], handle: (next) => Effect.andThen(Deferred.await(gate), next) })
      const ref = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Late)))
      const asking = yield* Effect.forkChild(ref.ask.Do({ n: 1 }), { startImmediately: true })
      yield* Fiber.interrupt(asking)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* ref.ask.Do({ n: 2 }), 2)
      assert.deepStrictEqual(done, ["Do 1", "Do 2"])
    })
  )

  it.effect("one that dies is the actor's crash, and its supervisor restarts with the interceptor", () =>
    Effect.gen(function* () {
      let times = 0
      const Dies = Interceptor.make({
        tags: ["Do"],
        handle: (next) => (++times === 1 ? Effect.die("interceptor") : next)
      })
      const top = yield* Supervisor.start(
        Supervisor.make("top", { children: [work().behavior.pipe(Interceptor.apply(Dies))] })
      )
      const ref = yield* Effect.provide(Work, top.services)
      const error = yield* Effect.flip(ref.ask.Do({ n: 1 }))
      assert.strictEqual(error._tag === "AskError" && error.reason._tag, "HandlerFailed")
      assert.strictEqual(yield* ref.ask.Do({ n: 2 }), 2)
      assert.deepStrictEqual([times, yield* Effect.map(top.children, ([child]) => child!.incarnation)], [2, 2])
    }).pipe(quiet)
  )

  it.effect("a hook that fails fails the message; what is before fails without the handler", () =>
    Effect.gen(function* () {
      const { behavior, done } = work()
      const Before = Interceptor.hooks({
        tags: ["Do"],
        handler: { before: () => Effect.fail(new Refused({ why: "no" })) }
      })
      const After = Interceptor.hooks({ tags: ["Beside"], handler: { after: () => Effect.die("after") } })
      const ref = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Before, After)))
      assert.deepStrictEqual(yield* Effect.flip(ref.ask.Do({ n: 1 })), new Refused({ why: "no" }))
      assert.deepStrictEqual(done, [])
      const error = yield* Effect.flip(ref.ask.Beside({ n: 1 }))
      assert.strictEqual(error.reason._tag, "HandlerFailed")
      assert.deepStrictEqual(done, ["Beside 1"])
    }).pipe(quiet)
  )

  it.effect("a stream refused with an error that the message declares fails with it", () =>
    Effect.gen(function* () {
      const Refusing = Interceptor.make({
        tags: ["Many"],
        handleStream: (next) =>
          Stream.concat(next, Stream.fromEffect(Interceptor.refuse(new Refused({ why: "enough" }))))
      })
      const ref = yield* Actor.spawn(work().behavior.pipe(Interceptor.apply(Refusing)))
      const got: Array<number> = []
      const error = yield* Effect.flip(
        Stream.runForEach(ref.stream.Many({ to: 2 }), (n) => Effect.sync(() => got.push(n)))
      )
      assert.deepStrictEqual([got, error], [[1, 2], new Refused({ why: "enough" })])
    })
  )

  it.effect("what is refused to nobody is told as unhandled", () =>
    Effect.gen(function* () {
      const events: Array<SystemEvent.SystemEvent> = []
      yield* ActorSystem.onEvent((event) => void events.push(event))
      const Refusing = Interceptor.make({ tags: ["Put"], handle: () => Interceptor.refuse(new Refused({ why: "no" })) })
      const ref = yield* Actor.spawn(work().behavior.pipe(Interceptor.apply(Refusing)))
      yield* ref.tell.Put({ n: 1 })
      yield* ref.ask.Do({ n: 1 })
      assert.deepStrictEqual(
        events.filter(({ _tag }) => _tag === "Unhandled"),
        [{ _tag: "Unhandled", path: ref.path, tag: "Put", payload: { n: 1 } }]
      )
    })
  )
})

describe("those that each incarnation makes", () => {
  it.effect("what cannot be made fails the start; a caller's side is refused, since nobody could have it", () =>
    Effect.gen(function* () {
      const Failing = Interceptor.unwrap(Effect.as(Effect.fail(new Refused({ why: "no" })), Interceptors.logging()))
      const failed = yield* Effect.flip(Actor.spawn(work().behavior.pipe(Interceptor.apply(Failing))))
      assert.deepStrictEqual(failed, new Refused({ why: "no" }))
      const Both = Interceptor.unwrap(Effect.succeed(Interceptor.make({ ask: (next) => next })))
      const exit = yield* Effect.exit(Actor.spawn(work().behavior.pipe(Interceptor.apply(Both))))
      assert.match(String(Exit.isFailure(exit) && exit.cause), /unwrap: caller is out of an incarnation's reach/)
    })
  )
})

describe("the caller's side and what goes past it", () => {
  it.effect("tellUnsafe and what is forwarded pass no caller's side", () =>
    Effect.gen(function* () {
      const { all, write } = lines()
      const { behavior, done } = work()
      const Caller = Interceptor.hooks({ caller: { before: ({ tag }) => write(tag) } })
      const ref = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Caller)))
      assert.isTrue(ref.tellUnsafe.Put({ n: 1 }))
      class Front extends Actor.Service<Front>()("test/intercepting/Front", {
        Do: { payload: { n: Schema.Int }, success: Schema.Int, error: Refused }
      }) {}
      const front = yield* Actor.spawn(
        Front.behavior(Effect.succeed(Front.of({ Do: ({ n }) => Actor.forward(ref.ask.Do({ n })) })))
      )
      assert.strictEqual(yield* front.ask.Do({ n: 2 }), 2)
      assert.deepStrictEqual([done, all], [["Put 1", "Do 2"], []])
      yield* ref.ask.Do({ n: 3 })
      assert.deepStrictEqual(all, ["Do"])
    })
  )

  it.effect("a caller that handles a message itself waits no longer than somebody waits for that", () =>
    Effect.gen(function* () {
      const deadlines: Array<number> = []
      const Spy = Interceptor.make({ ask: (next, { deadline }) => (deadlines.push(deadline), next) })
      const ref = (yield* Actor.spawn(work().behavior)).pipe(ActorRef.withTimeout("1 hour"), Interceptor.through(Spy))
      class Asker extends Actor.Service<Asker>()("test/intercepting/Asker", { Go: {} }) {}
      const asker = yield* Actor.spawn(
        Asker.behavior(Effect.succeed(Asker.of({ Go: () => Effect.ignore(ref.ask.Do({ n: 1 })) })))
      )
      yield* asker.ask.Go()
      yield* ref.ask.Do({ n: 1 })
      assert.deepStrictEqual(deadlines, [5_000, 3_600_000])
    })
  )

  it.effect("after another behavior has come, refs have its caller's side", () =>
    Effect.gen(function* () {
      const { all, write } = lines()
      const side = (name: string) => Interceptor.hooks({ caller: { before: () => write(name) } })
      const ref = yield* Actor.spawn(work().behavior)
      const patient = ref.pipe(ActorRef.withTimeout("1 minute"))
      const mine = ref.pipe(Interceptor.through(side("mine")))
      const all3 = Effect.all([ref.ask.Do({ n: 1 }), patient.ask.Do({ n: 1 }), mine.ask.Do({ n: 1 })])
      yield* all3
      assert.deepStrictEqual(all.splice(0), ["mine"])
      yield* Control.replaceBehavior(ref, work().behavior.pipe(Interceptor.apply(side("new"))))
      yield* Effect.all([ref.ask.Do({ n: 1 }), patient.ask.Do({ n: 1 }), mine.ask.Do({ n: 1 })])
      assert.deepStrictEqual(all.splice(0), ["new", "new", "mine", "new"])
      yield* Control.replaceBehavior(ref, work().behavior)
      yield* Effect.all([ref.ask.Do({ n: 1 }), patient.ask.Do({ n: 1 }), mine.ask.Do({ n: 1 })])
      assert.deepStrictEqual(all, ["mine"])
    })
  )
})

describe("batches", () => {
  it.effect("each message of a batch is intercepted for itself", () =>
    Effect.gen(function* () {
      const { behavior, done } = work()
      const { all, write } = lines()
      const Each = Interceptor.make({
        tags: ["Batch"],
        handle: (next, { payload }, nextWith) => {
          const { n } = payload as { readonly n: number }
          if (n === 2) return Interceptor.refuse(new Refused({ why: "two" }))
          if (n === 3) return Effect.succeed(33 as never)
          return n === 4 ? nextWith({ n: 40 }) : Effect.tap(next, (reply) => write(`${n}: ${String(reply)}`))
        }
      })
      const ref = yield* Actor.spawn(behavior.pipe(Interceptor.apply(Each)))
      const replies = yield* Effect.forEach([1, 2, 3, 4], (n) => Effect.exit(ref.ask.Batch({ n })), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(replies, [
        Exit.succeed(10),
        Exit.fail(new Refused({ why: "two" })),
        Exit.succeed(33),
        Exit.succeed(400)
      ])
      assert.deepStrictEqual([done, all], [["Batch 1,40"], ["1: 10"]])
    })
  )

  it.effect("a batch that fails is tried again, and everybody is answered", () =>
    Effect.gen(function* () {
      let fails = 1
      class Flaky extends Actor.Service<Flaky>()("test/intercepting/Flaky", {
        Get: { payload: { n: Schema.Int }, success: Schema.Int, error: Refused }
      }) {}
      const sizes: Array<number> = []
      const FlakyLive = Flaky.behavior(
        Effect.succeed(
          Flaky.of({
            Get: Actor.batched({
              maxSize: 8,
              run: (batch) => {
                sizes.push(batch.length)
                return fails-- > 0
                  ? Effect.fail(new Refused({ why: "flaky" }))
                  : Effect.succeed(batch.map(({ n }) => n))
              }
            })
          })
        )
      )
      const ref = yield* Actor.spawn(FlakyLive.pipe(Interceptor.apply(Interceptors.retry(Schedule.recurs(2)))))
      const replies = yield* Effect.forEach([1, 2, 3], (n) => ref.ask.Get({ n }), { concurrency: "unbounded" })
      assert.deepStrictEqual(
        [replies, sizes],
        [
          [1, 2, 3],
          [3, 3]
        ]
      )
    })
  )

  class Slow extends Actor.Service<Slow>()("test/intercepting/Slow", {
    Get: { payload: { n: Schema.Int }, success: Schema.Int },
    Ping: {}
  }) {}
  const slow = (run: (ns: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<number>>) =>
    Slow.behavior(
      Effect.succeed(
        Slow.of({ Get: Actor.batched({ maxSize: 8, run: (batch) => run(batch.map(({ n }) => n)) }), Ping: () => {} })
      )
    )

  it.effect("one that stops waiting for its batch stops nobody else, and may wait for the next", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      const SlowLive = slow((ns) => Effect.delay(Effect.succeed(ns), sizes.push(ns.length) === 1 ? "10 seconds" : 0))
      const Hasty = Interceptor.message(Slow, "Get", {
        handle: (next, { payload }) =>
          payload.n === 1 ? Effect.timeoutOrElse(next, { duration: "1 second", orElse: () => next }) : next
      })
      const ref = (yield* Actor.spawn(SlowLive.pipe(Interceptor.apply(Hasty)))).pipe(ActorRef.withTimeout("1 minute"))
      const asking = yield* Effect.forkChild(
        Effect.forEach([1, 2], (n) => ref.ask.Get({ n }), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(
        [yield* Fiber.join(asking), sizes],
        [
          [1, 2],
          [2, 1]
        ]
      )
    })
  )

  it.effect("a batch that crashes is everybody's, unless an interceptor saves its message", () =>
    Effect.gen(function* () {
      const Saving = Interceptor.message(Slow, "Get", {
        handle: (next, { payload }) => (payload.n === 1 ? Effect.catchDefect(next, () => Effect.succeed(100)) : next)
      })
      const SlowLive = slow(() => Effect.die("no")).pipe(Interceptor.apply(Saving))
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [SlowLive] }))
      const ref = yield* Effect.provide(Slow, top.services)
      const outcomes = yield* Effect.forEach(
        [1, 2, 3],
        (n) =>
          Effect.map(Effect.result(ref.ask.Get({ n })), (result) =>
            result._tag === "Success" ? result.success : result.failure.reason._tag
          ),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(outcomes, [100, "HandlerFailed", "HandlerFailed"])
      yield* ref.ask.Ping()
      assert.deepStrictEqual(yield* Effect.map(top.children, ([child]) => child!.incarnation), 2)
    }).pipe(quiet)
  )

  it.effect("one that gives up before its batch begins is not in it", () =>
    Effect.gen(function* () {
      const batches: Array<string> = []
      const SlowLive = slow((ns) => (batches.push(ns.join()), Effect.succeed(ns)))
      const Apart = Interceptor.message(Slow, "Get", {
        handle: (next, { payload }) =>
          payload.n === 1
            ? Effect.timeoutOrElse(next, { duration: "1 second", orElse: () => Effect.succeed(-1) })
            : Effect.delay(next, "2 seconds")
      })
      const ref = yield* Actor.spawn(SlowLive.pipe(Interceptor.apply(Apart)))
      const asking = yield* Effect.forkChild(
        Effect.forEach([1, 2], (n) => ref.ask.Get({ n }), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([yield* Fiber.join(asking), batches], [[-1, 2], ["2"]])
    })
  )

  it.effect("a batch that crashes is taken apart where messages are tried again", () =>
    Effect.gen(function* () {
      const batches: Array<string> = []
      const SlowLive = Slow.behavior(
        Effect.succeed(
          Slow.of({
            Get: Actor.batched({
              maxSize: 8,
              run: (batch) => {
                batches.push(batch.map(({ n }) => n).join())
                return batches.length === 1 ? Effect.die("at first") : Effect.succeed(batch.map(({ n }) => n))
              }
            }),
            Ping: () => {}
          })
        ),
        { mailbox: { redeliver: 1 } }
      ).pipe(Interceptor.apply(Interceptors.logging()))
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [SlowLive] }))
      const ref = yield* Effect.provide(Slow, top.services)
      const replies = yield* Effect.forEach([1, 2, 3], (n) => ref.ask.Get({ n }), { concurrency: "unbounded" })
      assert.deepStrictEqual(replies, [1, 2, 3])
      assert.deepStrictEqual(batches.slice(0, 2), ["1,2,3", "1"])
    }).pipe(quiet)
  )

  it.effect("killed, nobody of a batch is left waiting", () =>
    Effect.gen(function* () {
      const SlowLive = slow(() => Effect.never).pipe(Interceptor.apply(Interceptors.logging()))
      const ref = yield* Actor.spawn(SlowLive)
      const asking = yield* Effect.forkChild(
        Effect.forEach([1, 2], (n) => Effect.flip(ref.ask.Get({ n })), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      yield* Actor.kill(ref)
      assert.deepStrictEqual(
        (yield* Fiber.join(asking)).map(({ reason }) => reason._tag),
        ["NotRunning", "NotRunning"]
      )
    })
  )
})
