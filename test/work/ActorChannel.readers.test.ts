/** R8: readers that crash, leave, join twice; poison; a channel in a tree, which outlives the crashes around it. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Option, Schedule, Schema, Scope, Stream } from "effect"
import { Actor, ActorChannel, ActorSystem, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"

const numbers = (options?: ActorChannel.Options<number>) => ActorChannel.make<number>("test/numbers", options)

const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const Letters = Effect.map(ActorSystem.deadLetters, (letters) =>
  letters.map(({ payload, reason }) => [payload, reason._tag])
)

/** Opens a reader in a Scope that the test closes. */
const joined = <A, C>(channel: ActorChannel.ActorChannel<A, C>, name: string, options?: ActorChannel.ReaderOptions) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const reader = yield* Scope.provide(channel.reader(name, options), scope)
    return { reader, leave: (exit: Exit.Exit<unknown, unknown> = Exit.void) => Scope.close(scope, exit) }
  })

describe("a reader that leaves", () => {
  it.effect("R8 gives back what it had, in order and before others, whichever order it took it in", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const a = yield* joined(channel, "a")
      const b = yield* joined(channel, "b")
      yield* channel.putAll([1, 2, 3, 4, 5, 6])
      yield* a.reader.take()
      const two = yield* b.reader.take()
      yield* a.reader.take()
      yield* b.reader.take()
      yield* two.nack
      yield* a.reader.take()
      // a has 1, 3 and then 2; b has 4.
      yield* b.leave()
      yield* a.leave()
      assert.deepStrictEqual(yield* channel.getBetween(6, 6), [1, 2, 3, 4, 5, 6])
    })
  )

  it.effect("R8 what it has acknowledged does not come back", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const { leave, reader } = yield* joined(channel, "a")
      yield* channel.putAll([1, 2, 3])
      const [, two] = yield* reader.takeBetween(3, 3)
      yield* two!.ack
      yield* leave()
      assert.deepStrictEqual(yield* channel.getBetween(1, 3), [1, 3])
    })
  )

  it.effect("its reads fail, also those that wait", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const { leave, reader } = yield* joined(channel, "a")
      const waiting = yield* begin(Effect.flip(reader.take()))
      yield* leave()
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "Closed", by: "left" })
      yield* channel.put(1)
      assert.deepInclude(yield* Effect.flip(reader.takeBetween(1, 2)), { _tag: "Closed", by: "left" })
      assert.deepInclude(yield* Effect.flip(reader.receive()), { _tag: "Closed", by: "left" })
      assert.strictEqual((yield* channel.stats).depth, 1)
    })
  )

  it.effect("R8 readers are known by name and node; who joins twice leaves by leaving twice", () =>
    Effect.gen(function* () {
      const channel = yield* numbers()
      const here = yield* joined(channel, "a")
      const twice = yield* joined(channel, "a")
      const there = yield* joined(channel, "a", { node: "gpu-1" })
      yield* channel.putAll([1, 2, 3])
      yield* here.reader.take()
      yield* twice.reader.get()
      assert.deepStrictEqual(yield* channel.readers, [
        { name: "a", node: "local", joins: 2, unacknowledged: 1, delivered: 2, acknowledged: 1 },
        { name: "a", node: "gpu-1", joins: 1, unacknowledged: 0, delivered: 0, acknowledged: 0 }
      ])
      yield* here.leave()
      // Its own, and not what the other handle has.
      assert.strictEqual((yield* channel.stats).depth, 2)
      const left = (yield* channel.readers).map(({ joins, name, node }) => [name, node, joins])
      assert.deepStrictEqual(left, [
        ["a", "local", 1],
        ["a", "gpu-1", 1]
      ])
      yield* twice.leave()
      yield* there.leave()
      assert.deepStrictEqual(yield* channel.readers, [])
    })
  )

  it.effect("R8 the last one closes the channel, where it is said so: at once", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ capacity: 1, autoClose: 0 })
      yield* channel.put(1)
      const [a, b] = [yield* joined(channel, "a"), yield* joined(channel, "a")]
      const waiting = yield* begin(Effect.flip(channel.put(2)))
      yield* a.leave()
      assert.isUndefined(waiting.pollUnsafe())
      yield* b.leave()
      const closed = yield* Fiber.join(waiting)
      assert.deepInclude(closed, { _tag: "Closed", by: "last-reader" })
      assert.include(closed.message, "last reader")
      // What it had taken in is still there for whoever wants it.
      assert.strictEqual(yield* channel.get(), 1)
    })
  )

  it.effect("R8 the last one closes the channel, unless another comes in time", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ autoClose: "5 seconds" })
      const a = yield* joined(channel, "a")
      yield* a.leave()
      yield* TestClock.adjust("4 seconds")
      const again = yield* joined(channel, "a")
      yield* TestClock.adjust("1 minute")
      yield* channel.put(1)
      yield* again.leave()
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* Effect.flip(channel.put(2)), { _tag: "Closed", by: "last-reader" })
    })
  )
})

describe("poison", () => {
  it.effect("R8 what comes back more often than redeliver allows is a dead letter with its history", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ redeliver: 1 })
      yield* channel.putAll([1, 2])
      const crash = Effect.exit(
        Effect.scoped(Effect.flatMap(channel.reader("a"), (r) => Effect.andThen(r.take(), Effect.fail("crash"))))
      )
      yield* crash
      assert.deepInclude(yield* channel.stats, { depth: 2, returned: 1, deadLetters: 0 })
      const reader = yield* channel.reader("b")
      yield* Effect.flip(reader.use((n) => Effect.fail(`no ${n}`)))
      assert.deepInclude(yield* channel.stats, { depth: 1, deadLetters: 1 })
      const [letter] = yield* ActorSystem.deadLetters
      assert.deepInclude(letter, { recipient: "test/numbers", tag: "item", payload: 1, sender: undefined })
      const { reason } = letter!
      if (reason._tag !== "Poisoned") return assert.fail(reason._tag)
      assert.deepStrictEqual(
        reason.crashes.map(({ cause }) => Cause.squash(cause)),
        ["crash", "no 1"]
      )
      assert.strictEqual(yield* channel.peek, 2)
    }).pipe(Effect.provide(ActorSystem.layer()))
  )

  it.effect("R8 a batch that crashes its reader is told apart: only the poison is a dead letter", () =>
    Effect.gen(function* () {
      const channel = yield* numbers({ redeliver: 2 })
      yield* channel.putAll([1, 2, 3, 4, 5])
      const done: Array<number> = []
      const crash = Effect.scoped(
        Effect.flatMap(channel.reader("a"), (reader) =>
          Effect.forever(
            Effect.gen(function* () {
              for (const { ack, item } of yield* reader.takeBetween(1, 10)) {
                if (item === 3) return yield* Effect.die("poison")
                yield* ack
                done.push(item)
              }
            })
          )
        )
      )
      for (let run = 0; run < 3; run++) yield* Effect.exit(crash)
      assert.deepStrictEqual(yield* Letters, [[3, "Poisoned"]])
      yield* channel.put(6)
      yield* channel.close
      assert.strictEqual((yield* Effect.flip(crash))._tag, "Closed")
      assert.deepStrictEqual(done, [1, 2, 4, 5, 6])
    }).pipe(Effect.provide(ActorSystem.layer()))
  )

  it.effect("R8 what came back is given alone where redeliver has a limit, whatever the batch is to be", () =>
    Effect.gen(function* () {
      const sizes = (channel: ActorChannel.ActorChannel<number>) =>
        Effect.scoped(
          Effect.gen(function* () {
            yield* channel.putAll([1, 2, 3, 4])
            const reader = yield* channel.reader("a")
            const [, two] = yield* reader.takeBetween(2, 2)
            yield* two!.nack
            const all: Array<ReadonlyArray<number>> = []
            for (let some: ReadonlyArray<ActorChannel.Delivery<number>> = []; ;) {
              some = yield* Effect.orElseSucceed(reader.takeBetween(2, 4, { within: 0 }), () => [])
              if (some.length === 0) return all
              all.push(some.map(({ item }) => item))
            }
          })
        )
      assert.deepStrictEqual(yield* sizes(yield* numbers({ redeliver: 3 })), [[2], [3, 4]])
      assert.deepStrictEqual(yield* sizes(yield* numbers()), [[2, 3, 4]])
      const channel = yield* numbers({ redeliver: 3 })
      const reader = yield* channel.reader("a")
      const nackAll = Effect.flatMap(reader.takeBetween(1, 9), (all) => Effect.forEach(all, ({ nack }) => nack))
      yield* channel.putAll([1, 2])
      const waiting = yield* begin(reader.takeBetween(3, 3))
      yield* nackAll
      // It does not wait for others.
      assert.deepStrictEqual(
        (yield* Fiber.join(waiting)).map(({ item }) => item),
        [1]
      )
      // Who acknowledges at once answers for nothing.
      yield* channel.put(3)
      assert.deepStrictEqual(yield* channel.getBetween(2, 2), [2, 3])
    })
  )

  it.effect("R8 rejected items are dead letters, and can be put again", () =>
    Effect.gen(function* () {
      const channel = yield* ActorChannel.make<{ readonly _tag: "Job"; readonly id: number }>("test/jobs", {
        capacity: 1
      })
      const reader = yield* channel.reader("a")
      const job = { _tag: "Job", id: 1 } as const
      yield* channel.put(job)
      const delivery = yield* reader.take()
      assert.isTrue(yield* delivery.reject)
      assert.isFalse(yield* delivery.ack)
      yield* channel.awaitEmpty
      const [letter] = yield* ActorSystem.deadLetters
      assert.deepInclude(letter, { tag: "Job", payload: job, reason: { _tag: "Rejected" } })
      yield* channel.put({ _tag: "Job", id: 2 })
      const refused = yield* Effect.flip(ActorSystem.replay(letter!))
      assert.deepStrictEqual(refused.reason, { _tag: "MailboxFull", capacity: 1 })
      yield* channel.resize({ capacity: 2 })
      const pair = [3, 4].map((id) => ({ _tag: "Job", id }) as const)
      const waiting = yield* begin(channel.putAll(pair))
      // There is room for one, and two who have waited for it.
      const behind = yield* Effect.flip(ActorSystem.replay(letter!))
      assert.deepStrictEqual(behind.reason, { _tag: "MailboxFull", capacity: 2 })
      yield* channel.get()
      yield* Fiber.join(waiting)
      assert.strictEqual((yield* channel.getBetween(2, 2)).length, 2)
      yield* ActorSystem.replay(letter!)
      assert.deepStrictEqual(yield* channel.get(), job)
    }).pipe(Effect.provide(ActorSystem.layer()))
  )
})

class Job extends Schema.Class<Job>("Job")({ id: Schema.Int }) {}
class Jobs extends ActorChannel.Service<Jobs>()("test/Jobs", Job) {}

class Painter extends Actor.Service<Painter>()("test/Painter", {
  /** Takes one, and keeps it. */
  Take: { success: Schema.Int },
  /** Is done with all it has. */
  Done: {},
  Crash: {}
}) {}

const PainterLive = Painter.behavior(
  Effect.gen(function* () {
    const reader = yield* Jobs.reader("painter")
    const jobs: Array<ActorChannel.Delivery<Job>> = []
    return Painter.of({
      Take: () =>
        Effect.gen(function* () {
          const delivery = yield* Effect.orDie(reader.take())
          jobs.push(delivery)
          return delivery.item.id
        }),
      Done: () => Effect.forEach(jobs.splice(0), ({ ack }) => ack, { discard: true }),
      Crash: () => Effect.die("crash")
    })
  })
)

const putJobs = (...ids: ReadonlyArray<number>) => Jobs.putAll(ids.map((id) => new Job({ id })))

describe("in a tree", () => {
  it.effect("R8 an actor that crashes gives back what it had, and gets it again after its restart", () =>
    Effect.gen(function* () {
      const painter = yield* Painter
      yield* putJobs(1, 2, 3)
      assert.strictEqual(yield* painter.ask.Take(), 1)
      yield* painter.tell.Done()
      assert.strictEqual(yield* painter.ask.Take(), 2)
      yield* painter.tell.Crash()
      assert.strictEqual(yield* painter.ask.Take(), 2)
      assert.strictEqual(yield* painter.ask.Take(), 3)
      assert.deepInclude(yield* Jobs.stats, { depth: 0, unacknowledged: 2, returned: 1, readers: 1 })
    }).pipe(Effect.provide(Supervisor.layer(Supervisor.make("app", { children: [Jobs.child(), PainterLive] }))), quiet)
  )

  it.effect("R8 what it holds outlives its own restart, and so do those who wait to put", () =>
    Effect.gen(function* () {
      const painter = yield* Painter
      yield* putJobs(1, 2)
      const waiting = yield* begin(putJobs(3))
      assert.strictEqual(yield* painter.ask.Take(), 1)
      yield* Fiber.join(waiting)
      // All three are restarted.
      yield* painter.tell.Crash()
      assert.strictEqual(yield* painter.ask.Take(), 1)
      assert.strictEqual(yield* painter.ask.Take(), 2)
      assert.strictEqual(yield* painter.ask.Take(), 3)
    }).pipe(
      Effect.provide(
        Supervisor.layer(
          Supervisor.make("app", { strategy: "one-for-all", children: [Jobs.child({ capacity: 2 }), PainterLive] })
        )
      ),
      quiet
    )
  )

  it.effect("R8 a channel that closes without readers stays open for those who are restarted in time", () =>
    Effect.gen(function* () {
      const app = yield* Supervisor.start(
        Supervisor.make("app", {
          children: [
            Jobs.child({ autoClose: "10 seconds" }),
            Supervisor.child(PainterLive, { backoff: Schedule.spaced("5 seconds") })
          ]
        })
      )
      const jobs = Context.get(app.services, Jobs)
      const painter = Context.get(app.services, Painter)
      yield* jobs.put(new Job({ id: 1 }))
      assert.strictEqual(yield* painter.ask.Take(), 1)
      yield* painter.tell.Crash()
      yield* TestClock.adjust("4 seconds")
      assert.deepInclude(yield* jobs.stats, { readers: 0, depth: 1 })
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* painter.ask.Take(), 1)
      yield* app.terminateChild("test/Painter")
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* Effect.flip(jobs.put(new Job({ id: 2 }))), { _tag: "Closed", by: "last-reader" })
      assert.strictEqual((yield* jobs.get()).id, 1)
    }).pipe(Effect.provide(ActorSystem.layer()), quiet)
  )

  it.effect("R8 at the end of the tree what is left is dead letters, and who waits is told", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const app = yield* Scope.provide(
        Supervisor.start(Supervisor.make("app", { children: [Jobs.child({ capacity: 2 }), PainterLive] })),
        scope
      )
      const jobs = Context.get(app.services, Jobs)
      const painter = Context.get(app.services, Painter)
      yield* jobs.putAll([new Job({ id: 1 }), new Job({ id: 2 })])
      yield* painter.ask.Take()
      yield* jobs.put(new Job({ id: 3 }))
      const waiting = yield* begin(Effect.flip(jobs.put(new Job({ id: 4 }))))
      yield* Scope.close(scope, Exit.void)
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "Closed", by: "shutdown" })
      const job = (id: number) => [new Job({ id }), "NotRunning"]
      assert.deepStrictEqual(yield* Letters, [job(1), job(2), job(3)])
    }).pipe(Effect.provide(ActorSystem.layer()))
  )

  it.effect("R8 a child that was terminated and started again is a new channel, which does not begin anew", () =>
    Effect.gen(function* () {
      const from = { entries: [{ _tag: "Item", item: new Job({ id: 1 }), deliveries: 0 }], closed: false } as const
      const app = yield* Supervisor.start(Supervisor.make("app", { children: [Jobs.child({ from })] }))
      const before = Context.get(app.services, Jobs)
      assert.strictEqual((yield* before.get()).id, 1)
      yield* app.terminateChild("test/Jobs")
      assert.strictEqual((yield* Effect.flip(before.put(new Job({ id: 2 }))))._tag, "Closed")
      yield* app.restartChild("test/Jobs")
      assert.strictEqual((yield* Effect.provide(Jobs.stats, app.services)).depth, 0)
    }).pipe(Effect.provide(ActorSystem.layer()))
  )

  it.effect("R8 what it holds outlives the restart of its supervisor", () =>
    Effect.gen(function* () {
      const painter = yield* Painter
      yield* putJobs(1, 2)
      assert.strictEqual(yield* painter.ask.Take(), 1)
      yield* painter.tell.Crash()
      assert.strictEqual(yield* painter.ask.Take(), 1)
      assert.deepInclude(yield* Jobs.stats, { depth: 1, put: 2, returned: 1, deadLetters: 0 })
    }).pipe(
      Effect.provide(
        Supervisor.layer(
          Supervisor.make("app", {
            children: [
              Supervisor.make("inner", {
                intensity: { restarts: 0, within: "1 second" },
                children: [Jobs.child(), PainterLive]
              })
            ]
          })
        )
      ),
      quiet
    )
  )

  it.effect("the calls of the class are those of the channel in scope", () =>
    Effect.gen(function* () {
      yield* Stream.run(Stream.make(new Job({ id: 1 }), new Job({ id: 2 })), Jobs.sink)
      assert.strictEqual((yield* Jobs.peek).id, 1)
      yield* Jobs.resize({ capacity: 7 })
      assert.strictEqual((yield* Jobs.get()).id, 1)
      assert.strictEqual((yield* Jobs.getBetween(1, 2, { within: 0 })).length, 1)
      yield* Jobs.put(new Job({ id: 3 }), { within: 0 })
      const checkpoint = yield* Schema.encodeEffect(Schema.toCodecJson(Jobs.Checkpoint))(yield* Jobs.checkpoint)
      assert.deepStrictEqual(checkpoint, { entries: [{ _tag: "Item", item: { id: 3 }, deliveries: 0 }], closed: false })
      yield* Jobs.close
      const rest = yield* Jobs.stream("a").pipe(Stream.runCollect)
      assert.deepStrictEqual(
        rest.map(({ id }) => id),
        [3]
      )
      yield* Jobs.awaitEmpty
      assert.deepStrictEqual(yield* Jobs.readers, [])
      assert.deepStrictEqual((yield* Jobs.shutdown).entries, [])
      assert.isTrue(Option.isNone(yield* Effect.option(Jobs.put(new Job({ id: 4 })))))
    }).pipe(Effect.provide(Jobs.layer({ capacity: 2 })))
  )

  it.effect("a layer begins with what it is given, and ends with dead letters", () =>
    Effect.gen(function* () {
      const from = { entries: [{ _tag: "Item", item: new Job({ id: 1 }), deliveries: 3 }], closed: false } as const
      const deliveries = Effect.scoped(Effect.flatMap(Jobs.reader("a"), (reader) => reader.take()))
      const seen = yield* Effect.provide(deliveries, Jobs.layer({ from }))
      assert.strictEqual(seen.deliveries, 4)
      assert.deepStrictEqual(yield* Letters, [[new Job({ id: 1 }), "NotRunning"]])
    }).pipe(Effect.provide(ActorSystem.layer()))
  )
})
