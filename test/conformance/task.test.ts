/** TASK: supervised tasks. */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Option, Ref, Scope, Stream } from "effect"
import { Actor, ActorSystem, ExitReason, Supervisor, TaskSupervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, quiet } from "../support/recording.ts"

class Jobs extends TaskSupervisor.Service<Jobs>()("test/Jobs") {}

const generous = { restarts: 1_000, within: "1 minute" } as const

const started = (options: TaskSupervisor.TaskOptions = {}) =>
  Effect.gen(function* () {
    const tree = Supervisor.make("top", { children: [Jobs.child({ intensity: generous, ...options })] })
    const top = yield* Supervisor.start(tree)
    return { top, jobs: Context.get(top.services, Jobs) }
  })

const settled = Effect.gen(function* () {
  for (let i = 0; i < 20; i++) yield* Effect.yieldNow
})

/** An effect that never ends, and writes down that it was interrupted. */
const endless = (log: Array<string>, name = "endless") =>
  Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push(`${name} interrupted`)))

/** Seconds that pass one by one, so that what starts late has its time too. */
const pass = (seconds: number) =>
  Effect.repeat(Effect.andThen(TestClock.adjust("1 second"), settled), { times: seconds })

const broken = new Broken({ code: 1 })

it.effect("TASK-01 a linked task: listed while it runs, its result, gone afterwards", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const gate = yield* Deferred.make<number>()
    const task = yield* jobs.async(Deferred.await(gate))
    assert.deepStrictEqual(
      (yield* jobs.children).map(({ id, kind, state }) => [id, kind, state]),
      [["task#1", "effect", "running"]]
    )
    yield* Deferred.succeed(gate, 7)
    assert.strictEqual(yield* task.await, 7)
    yield* settled
    assert.deepStrictEqual([yield* jobs.count, yield* task.await], [0, 7])
  })
)

it.effect("TASK-01 a linked task ends with the Scope it was started in", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const log: Array<string> = []
    const scope = yield* Scope.make()
    const task = yield* Effect.provideService(jobs.async(endless(log)), Scope.Scope, scope)
    yield* settled
    yield* Scope.close(scope, Exit.void)
    assert.deepStrictEqual([log, yield* jobs.count], [["endless interrupted"], 0])
    const error = yield* Effect.flip(task.await)
    assert.strictEqual(error.message, "top/test/Jobs/task#1 ended before it had a result: it was asked to stop")
  })
)

it.effect("TASK-01 a linked task of an actor ends with the actor", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const log: Array<string> = []
    class Owner extends Actor.Service<Owner>()("test/Owner", { Work: {} }) {}
    const owner = yield* Actor.spawn(
      Owner.behavior(Effect.succeed(Owner.of({ Work: () => Effect.asVoid(jobs.async(endless(log))) })))
    )
    yield* owner.tell.Work()
    yield* settled
    assert.strictEqual(yield* jobs.count, 1)
    yield* Actor.stop(owner)
    yield* settled
    assert.deepStrictEqual([log, yield* jobs.count], [["endless interrupted"], 0])
  })
)

it.effect("TASK-02 an unlinked task that crashes: its caller lives, and learns why", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const failing = yield* jobs.asyncUnlinked(Effect.fail(broken))
    const dying = yield* jobs.asyncUnlinked(Effect.die("defect"))
    assert.strictEqual(yield* Effect.flip(failing.await), broken)
    const exit = Option.getOrThrow(yield* dying.yield("1 second"))
    assert.deepStrictEqual(exit, Exit.die("defect"))
    assert.deepStrictEqual(yield* failing.yield(0), Option.some(Exit.fail(broken)))
  }).pipe(quiet)
)

it.effect("TASK-02 an unlinked task outlives whoever started it, and ends with its supervisor", () =>
  Effect.gen(function* () {
    const { jobs, top } = yield* started()
    const log: Array<string> = []
    const starter = yield* Effect.forkChild(Effect.scoped(jobs.asyncUnlinked(endless(log))))
    const task = yield* Fiber.join(starter)
    yield* settled
    assert.deepStrictEqual([log, yield* jobs.count], [[], 1])
    yield* top.stop
    assert.deepStrictEqual(log, ["endless interrupted"])
    const error = yield* Effect.flip(task.await)
    assert.deepStrictEqual([error._tag, error.reason], ["TaskEnded", ExitReason.Shutdown()])
  })
)

it.effect("TASK-04 a wait that runs out of time leaves nothing behind, and the task goes on", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const gate = yield* Deferred.make<number>()
    const task = yield* jobs.async(Deferred.await(gate))
    const error = (yield* Effect.flip(task.awaitWithin(0))) as TaskSupervisor.TaskTimeout
    assert.strictEqual(error.message, `${task.path} had no result within 0 ms: wait longer, or shut it down`)
    const late = yield* Effect.forkChild(Effect.flip(task.awaitWithin("5 seconds")))
    yield* TestClock.adjust("5 seconds")
    assert.strictEqual((yield* Fiber.join(late))._tag, "TaskTimeout")
    const waiting = yield* Effect.forkChild(task.await)
    yield* settled
    yield* Fiber.interrupt(waiting)
    yield* Deferred.succeed(gate, 1)
    assert.strictEqual(yield* task.await, 1)
    yield* settled
    assert.deepStrictEqual([yield* jobs.count, yield* ActorSystem.deadLetters], [0, []])
  })
)

it.effect("TASK-05 yield: nothing, then the result, as often as it is asked for", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const task = yield* jobs.async(Effect.delay(Effect.succeed(5), "1 second"))
    const early = yield* Effect.forkChild(task.yield("10 millis"))
    yield* TestClock.adjust("10 millis")
    assert.deepStrictEqual(yield* Fiber.join(early), Option.none())
    yield* TestClock.adjust("1 second")
    for (const limit of [0, "10 millis"] as const) {
      assert.deepStrictEqual(yield* task.yield(limit), Option.some(Exit.succeed(5)))
    }
  })
)

for (const late of ["leave", "shutdown"] as const) {
  it.effect(`TASK-07 many with a limit, ${late} the rest`, () =>
    Effect.gen(function* () {
      const { jobs } = yield* started()
      const seconds = [1, 30, 2]
      const tasks = yield* Effect.forEach(seconds, (n) => jobs.async(Effect.delay(Effect.succeed(n), `${n} seconds`)))
      const many = yield* Effect.forkChild(TaskSupervisor.yieldMany(tasks, { limit: "5 seconds", late }))
      yield* TestClock.adjust("5 seconds")
      const outcomes = yield* Fiber.join(many)
      assert.deepStrictEqual(outcomes, [Option.some(Exit.succeed(1)), Option.none(), Option.some(Exit.succeed(2))])
      yield* settled
      assert.strictEqual(yield* jobs.count, late === "leave" ? 1 : 0)
    })
  )
}

it.effect("TASK-08 shutdown: of a running task nothing, of a finished one its result", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const log: Array<string> = []
    const running = yield* jobs.async(endless(log))
    const done = yield* jobs.async(Effect.succeed("done"))
    const failed = yield* jobs.async(Effect.fail(broken))
    yield* settled
    assert.deepStrictEqual(yield* running.shutdown(), Option.none())
    assert.deepStrictEqual([log, yield* jobs.count], [["endless interrupted"], 0])
    assert.deepStrictEqual(yield* done.shutdown("kill"), Option.some(Exit.succeed("done")))
    assert.deepStrictEqual(yield* failed.shutdown(), Option.some(Exit.fail(broken)))
  }).pipe(quiet)
)

it.effect("TASK-08 a task that ignores the request is killed after the limit; a brutal kill waits for nothing", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const gate = yield* Deferred.make<void>()
    const stubborn = Effect.uninterruptible(Deferred.await(gate))
    const one = yield* jobs.async(stubborn)
    const two = yield* jobs.async(stubborn)
    yield* settled
    const shutdown = yield* Effect.forkChild(one.shutdown("2 seconds"))
    yield* TestClock.adjust("1999 millis")
    assert.isUndefined(shutdown.pollUnsafe())
    yield* TestClock.adjust("1 millis")
    assert.deepStrictEqual(yield* Fiber.join(shutdown), Option.none())
    assert.deepStrictEqual(yield* two.shutdown("kill"), Option.none())
    const reasons = [yield* Effect.flip(one.await), yield* Effect.flip(two.await)].map(({ reason }) => reason)
    assert.deepStrictEqual(reasons, [ExitReason.Killed, ExitReason.Killed])
    assert.strictEqual((yield* ActorSystem.zombies).length, 2)
    yield* Deferred.succeed(gate, undefined)
    yield* settled
    assert.deepStrictEqual(yield* ActorSystem.zombies, [])
  }).pipe(quiet)
)

it.effect("TASK-10 as many tasks as there may be, and no more", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started({ maxTasks: 1 })
    const gate = yield* Deferred.make<void>()
    const first = yield* jobs.async(Deferred.await(gate))
    for (const start of [jobs.async(Effect.void), jobs.asyncUnlinked(Effect.void), jobs.start(Effect.void)]) {
      const error = yield* Effect.flip(start)
      assert.strictEqual(error._tag, "MaxTasksReached")
      assert.strictEqual(error.message, "top/test/Jobs runs 1 tasks and may run no more")
    }
    yield* Deferred.succeed(gate, undefined)
    yield* first.await
    yield* settled
    yield* jobs.async(Effect.void)
  })
)

it.effect("TASK-11 work that is restarted: permanent whenever it ends, transient when it fails, temporary never", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const runs = { permanent: 0, transient: 0, temporary: 0, failing: 0 }
    yield* jobs.start(
      Effect.suspend(() => (++runs.permanent < 3 ? Effect.void : Effect.never)),
      { restart: "permanent" }
    )
    yield* jobs.start(
      Effect.sync(() => ++runs.transient),
      { restart: "transient" }
    )
    yield* jobs.start(
      Effect.suspend(() => (++runs.failing < 4 ? Effect.fail(broken) : Effect.never)),
      { restart: "transient" }
    )
    yield* jobs.start(
      Effect.suspend(() => {
        runs.temporary++
        return Effect.fail(broken)
      })
    )
    yield* settled
    yield* settled
    assert.deepStrictEqual(runs, { permanent: 3, transient: 1, temporary: 1, failing: 4 })
    assert.strictEqual(yield* jobs.count, 2)
  }).pipe(quiet)
)

/** Maps seconds by tasks that take so long, and counts how many run at once. */
const timed = (log: Array<string>) => {
  const running = { now: 0, most: 0 }
  const map = (seconds: number) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        running.most = Math.max(running.most, ++running.now)
      }),
      () => Effect.delay(Effect.succeed(`after ${seconds}`), `${seconds} seconds`),
      () =>
        Effect.sync(() => {
          running.now--
          log.push(`${seconds} ended`)
        })
    )
  return { running, map }
}

it.effect("TASK-13 an ordered bounded stream", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const { map, running } = timed([])
    const collect = yield* Effect.forkChild(Stream.runCollect(jobs.stream([4, 3, 2, 1], map, { concurrency: 2 })))
    yield* pass(20)
    assert.deepStrictEqual(yield* Fiber.join(collect), ["after 4", "after 3", "after 2", "after 1"])
    assert.deepStrictEqual([running.most, yield* jobs.count], [2, 0])
  })
)

it.effect("TASK-14 an unordered one: by completion", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const { map, running } = timed([])
    const options = { concurrency: 2, ordered: false }
    const collect = yield* Effect.forkChild(Stream.runCollect(jobs.stream(Stream.make(4, 3, 2, 1), map, options)))
    yield* pass(20)
    assert.deepStrictEqual(yield* Fiber.join(collect), ["after 3", "after 4", "after 2", "after 1"])
    assert.strictEqual(running.most, 2)
  })
)

it.effect("TASK-16 an early end of the stream releases the rest", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const log: Array<string> = []
    const map = (name: string) => (name === "quick" ? Effect.succeed(name) : endless(log, name))
    const items = ["quick", "a", "b", "c"]
    const first = Stream.take(jobs.stream(items, map, { concurrency: 4, ordered: false }), 1)
    assert.deepStrictEqual(yield* Stream.runCollect(first), ["quick"])
    yield* settled
    assert.deepStrictEqual([log.every((line) => line.endsWith("interrupted")), yield* jobs.count], [true, 0])
  })
)

it.effect("TASK-16 interrupting whoever reads the stream stops its tasks", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const log: Array<string> = []
    const reader = yield* Effect.forkChild(
      Stream.runDrain(jobs.stream(["a", "b"], (name) => endless(log, name), { concurrency: 2 }))
    )
    yield* settled
    assert.strictEqual(yield* jobs.count, 2)
    yield* Fiber.interrupt(reader)
    assert.deepStrictEqual([log.sort(), yield* jobs.count], [["a interrupted", "b interrupted"], 0])
  })
)

it.effect("a late task of a stream ends it, or is left out: either way it is killed", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    for (const late of ["fail", "drop"] as const) {
      const log: Array<string> = []
      const { map } = timed(log)
      const options = { concurrency: 3, limit: "5 seconds", late } as const
      const collect = yield* Effect.forkChild(Effect.exit(Stream.runCollect(jobs.stream([1, 30, 2], map, options))))
      yield* pass(10)
      const exit = yield* Fiber.join(collect)
      if (late === "drop") assert.deepStrictEqual(exit, Exit.succeed(["after 1", "after 2"]))
      else assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof TaskSupervisor.TaskTimeout)
      yield* settled
      assert.deepStrictEqual([log.sort(), yield* jobs.count], [["1 ended", "2 ended", "30 ended"], 0])
    }
  })
)

it.effect("a failing item, or a failing source, ends the stream and the tasks that still run", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const log: Array<string> = []
    const map = (name: string) =>
      name === "good" ? Effect.succeed(name) : name === "bad" ? Effect.fail(broken) : endless(log, name)
    const failed = yield* Effect.flip(Stream.runDrain(jobs.stream(["a", "bad"], map, { concurrency: 2 })))
    assert.strictEqual(failed, broken)
    // In order: what the source has given before it failed comes first.
    const source = Stream.concat(Stream.make("good"), Stream.fail("source"))
    assert.strictEqual(yield* Effect.flip(Stream.runDrain(jobs.stream(source, map, { concurrency: 2 }))), "source")
    yield* settled
    assert.deepStrictEqual([yield* Stream.runCollect(jobs.stream([], map)), yield* jobs.count], [[], 0])
    assert.isTrue(log.every((line) => line.endsWith("interrupted")))
  }).pipe(quiet)
)

it.effect("TASK-17 the chain of callers is known, nearest first", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const inner = Effect.flatMap(jobs.async(TaskSupervisor.callers), (task) => task.await)
    const outer = yield* jobs.async(inner)
    const [nearest, next, ...rest] = yield* outer.await
    assert.strictEqual(nearest, outer.path)
    assert.match(next!, /^fiber #\d+$/)
    assert.deepStrictEqual([rest, yield* TaskSupervisor.callers], [[], []])
  })
)

it.effect("a task has the services of whoever started it, and a Scope of its own", () =>
  Effect.gen(function* () {
    class Name extends Context.Service<Name, string>()("test/Name") {}
    const { jobs } = yield* started()
    const released = yield* Ref.make(false)
    const work = Effect.andThen(
      Effect.addFinalizer(() => Ref.set(released, true)),
      Name
    )
    const task = yield* Effect.provideService(jobs.async(work), Name, "me")
    assert.strictEqual(yield* task.await, "me")
    yield* settled
    assert.isTrue(yield* Ref.get(released))
  })
)

it.effect("a bad limit, and a bad time to stop, are refused before anything starts", () =>
  Effect.gen(function* () {
    const says = (options: TaskSupervisor.TaskOptions) =>
      Effect.map(
        Effect.flip(Supervisor.validate(Supervisor.make("top", { children: [Jobs.child(options)] }))),
        (error) => error.message
      )
    assert.strictEqual(
      yield* says({ maxTasks: 0 }),
      "top/test/Jobs: maxTasks must be a whole number of 1 or more, got 0"
    )
    assert.strictEqual(
      yield* says({ shutdown: -1 }),
      'top/test/Jobs/*: shutdown must be a duration of 0 or more, or "kill", got -1'
    )
  })
)

it.effect("a supervisor that has ended refuses, at once", () =>
  Effect.gen(function* () {
    const { jobs, top } = yield* started()
    yield* top.stop
    for (const start of [jobs.async(Effect.void), jobs.asyncUnlinked(Effect.void), jobs.start(Effect.void)]) {
      assert.strictEqual((yield* Effect.flip(start))._tag, "SupervisorNotRunning")
    }
  })
)
