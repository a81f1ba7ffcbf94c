/** TASK: the ends of tasks. Whoever waits is told in time, and nothing that nobody holds goes on. */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Option, Schedule, Scope, Stream } from "effect"
import { ActorSystem, Supervisor, TaskSupervisor } from "effect-otp"
import { Broken, quiet } from "../support/recording.ts"

class Jobs extends TaskSupervisor.Service<Jobs>()("test/Jobs") {}

type Sibling = Supervisor.ChildSpec<never, Broken, never>

const started = (options: TaskSupervisor.TaskOptions = {}, ...besides: ReadonlyArray<Sibling>) =>
  Effect.gen(function* () {
    const tree = Supervisor.make("top", {
      strategy: "one-for-all",
      intensity: { restarts: 1_000, within: "1 minute" },
      children: [Jobs.child(options), ...besides]
    })
    const top = yield* Supervisor.start(tree)
    return { top, jobs: Context.get(top.services, Jobs) }
  })

const settled = Effect.repeat(Effect.yieldNow, { times: 20 })

/** An effect that never ends, and writes down that it was interrupted. */
const endless = (log: Array<string>, name: string) =>
  Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push(`${name} interrupted`)))

it.effect("TASK-01 a Scope that closes at once takes its task along", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const log: Array<string> = []
    yield* Effect.scoped(jobs.async(endless(log, "task")))
    assert.deepStrictEqual([log, yield* jobs.count], [["task interrupted"], 0])
  })
)

it.effect("TASK-01 a task of a Scope that has closed already is ended", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const log: Array<string> = []
    const scope = yield* Scope.make()
    yield* Scope.close(scope, Exit.void)
    const task = yield* Effect.provideService(jobs.async(endless(log, "task")), Scope.Scope, scope)
    assert.deepStrictEqual([log, yield* jobs.count], [["task interrupted"], 0])
    assert.strictEqual((yield* Effect.flip(task.await))._tag, "TaskEnded")
  })
)

it.effect("TASK-10 a result that is known has made room for the next task", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started({ maxTasks: 1 })
    for (let i = 0; i < 5; i++) {
      const task = yield* jobs.async(Effect.as(Effect.yieldNow, i))
      assert.strictEqual(yield* task.await, i)
      assert.strictEqual(yield* jobs.count, 0)
    }
  })
)

it.effect("a result is known once the task's own Scope has closed; a kill meanwhile does not take it away", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const gate = yield* Deferred.make<void>()
    const work = Effect.as(
      Effect.addFinalizer(() => Deferred.await(gate)),
      "done"
    )
    const one = yield* jobs.async(work)
    const two = yield* jobs.async(work)
    yield* settled
    assert.deepStrictEqual([yield* one.yield(0), yield* jobs.count], [Option.none(), 2])
    assert.deepStrictEqual(yield* two.shutdown("kill"), Option.some(Exit.succeed("done")))
    yield* Deferred.succeed(gate, undefined)
    assert.deepStrictEqual([yield* one.await, yield* two.await, yield* jobs.count], ["done", "done", 0])
  }).pipe(quiet)
)

it.effect("what a killed task still comes to changes nothing", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const gate = yield* Deferred.make<void>()
    const task = yield* jobs.async(Effect.uninterruptible(Effect.andThen(Deferred.await(gate), Effect.die("late"))))
    yield* settled
    assert.deepStrictEqual(yield* task.shutdown("kill"), Option.none())
    const outcome = yield* task.yield(0)
    yield* Deferred.succeed(gate, undefined)
    yield* settled
    assert.deepStrictEqual([yield* task.yield(0), yield* task.shutdown()], [outcome, Option.none()])
  }).pipe(quiet)
)

it.effect("a task that holds tasks of the same supervisor does not hold up its stop", () =>
  Effect.gen(function* () {
    const { jobs, top } = yield* started()
    const log: Array<string> = []
    yield* jobs.asyncUnlinked(Effect.andThen(jobs.async(endless(log, "inner")), endless(log, "outer")))
    yield* settled
    const stopping = yield* Effect.forkChild(top.stop)
    yield* settled
    assert.isDefined(stopping.pollUnsafe())
    assert.deepStrictEqual([log.sort(), yield* ActorSystem.zombies], [["inner interrupted", "outer interrupted"], []])
  })
)

it.effect("a task that asks its supervisor for something while it stops is refused, and does not hold it up", () =>
  Effect.gen(function* () {
    const { jobs, top } = yield* started()
    const heard: Array<string> = []
    yield* jobs.asyncUnlinked(
      Effect.andThen(
        Effect.addFinalizer(() =>
          Effect.flatMap(Effect.exit(jobs.start(Effect.void)), (exit) =>
            Effect.sync(() => heard.push(Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "started"))
          )
        ),
        Effect.never
      )
    )
    yield* settled
    const stopping = yield* Effect.forkChild(top.stop)
    yield* settled
    assert.isDefined(stopping.pollUnsafe())
    assert.deepStrictEqual(heard, ["SupervisorNotRunning: top/test/Jobs is not running"])
  })
)

it.effect("a stream leaves out items that are late themselves, not those that fail because something else was", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const slow = yield* jobs.async(Effect.never)
    const options = { limit: "10 seconds", late: "drop" } as const
    const items = jobs.stream([1], () => slow.awaitWithin(0), options)
    const error = (yield* Effect.flip(Stream.runDrain(items))) as TaskSupervisor.TaskTimeout
    assert.deepStrictEqual([error._tag, error.path], ["TaskTimeout", slow.path])
  })
)

it.effect("whoever waits for a task is told when its supervisor has stopped it, not when all others have", () =>
  Effect.gen(function* () {
    const { jobs, top } = yield* started()
    const inner = yield* jobs.asyncUnlinked(Effect.never)
    const outer = yield* jobs.asyncUnlinked(Effect.uninterruptible(Effect.exit(inner.await)))
    yield* settled
    const stopping = yield* Effect.forkChild(top.stop)
    yield* settled
    assert.isDefined(stopping.pollUnsafe())
    assert.strictEqual((yield* Effect.flip(outer.await))._tag, "TaskEnded")
  })
)

it.effect("the tasks of a supervisor that is down until a sibling is tried again are told at once", () =>
  Effect.gen(function* () {
    const go = yield* Deferred.make<void>()
    const failing = Effect.andThen(Deferred.await(go), Effect.fail(new Broken({ code: 1 })))
    const sibling = Supervisor.effect("sibling", failing, { backoff: Schedule.spaced("1 minute") })
    const { jobs } = yield* started({}, sibling)
    const task = yield* jobs.asyncUnlinked(Effect.never)
    yield* Deferred.succeed(go, undefined)
    yield* settled
    assert.isTrue(Option.isSome(yield* task.yield(0)))
    assert.strictEqual((yield* Effect.flip(jobs.asyncUnlinked(Effect.void)))._tag, "SupervisorNotRunning")
  }).pipe(quiet)
)

it.effect("starting a task while its supervisor is kept waiting can be given up: it never runs", () =>
  Effect.gen(function* () {
    const { jobs, top } = yield* started()
    const handle = yield* top.supervisor("test/Jobs")
    const gate = yield* Deferred.make<boolean>()
    const starting = yield* Effect.forkChild(
      top.startChild(Supervisor.effect("gated", Effect.never, { when: Deferred.await(gate) }))
    )
    yield* settled
    yield* handle.kill
    const log: Array<string> = []
    const write = Effect.sync(() => log.push("ran"))
    const asking = [
      yield* Effect.forkChild(jobs.async(write)),
      yield* Effect.forkChild(jobs.asyncUnlinked(write)),
      yield* Effect.forkChild(Stream.runDrain(jobs.stream([1], () => write)))
    ]
    yield* settled
    yield* Fiber.interruptAll(asking)
    yield* Deferred.succeed(gate, true)
    yield* Fiber.join(starting)
    yield* settled
    assert.deepStrictEqual([log, handle.status, yield* jobs.count], [[], "running", 0])
  }).pipe(quiet)
)

it.effect("what is no effect is refused, by name, where a task should be made of it", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const none = 7 as never as Effect.Effect<void>
    for (const start of [jobs.async(none), jobs.asyncUnlinked(none), jobs.start(none)]) {
      const exit = yield* Effect.exit(start)
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.strictEqual(String(error), "InvalidSpec: top/test/Jobs: task must be an effect, got 7")
    }
    const late = yield* jobs.async(Effect.suspend(() => none))
    const ended = (yield* Effect.flip(late.await)) as TaskSupervisor.TaskEnded
    assert.include(ended.message, "Not a valid effect: 7")
    assert.strictEqual(yield* jobs.count, 0)
  }).pipe(quiet)
)

it.effect("limits of waits and streams that mean nothing are refused by name", () =>
  Effect.gen(function* () {
    const { jobs } = yield* started()
    const task = yield* jobs.async(Effect.never)
    const says = <A, E>(make: () => Effect.Effect<A, E>) =>
      Effect.map(Effect.exit(Effect.suspend(make)), (exit) =>
        Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "no error"
      )
    const limit = "InvalidSpec: top/test/Jobs/task#1: limit must be a duration of 0 or more, got"
    for (const [bad, shown] of [
      [-1, "-1"],
      [NaN, "NaN"],
      ["soon", '"soon"']
    ] as ReadonlyArray<[unknown, string]>) {
      const waits = [
        () => task.awaitWithin(bad as never),
        () => task.yield(bad as never),
        () => task.shutdown(bad as never)
      ]
      for (const wait of waits) assert.strictEqual(yield* says<unknown, unknown>(wait), `${limit} ${shown}`)
    }
    const streamed = (options: object) => says(() => Stream.runDrain(jobs.stream([1], Effect.succeed, options)))
    const whole = "must be a whole number of 1 or more"
    assert.strictEqual(yield* streamed({ concurrency: 0 }), `InvalidSpec: top/test/Jobs: concurrency ${whole}, got 0`)
    assert.strictEqual(
      yield* streamed({ limit: -1 }),
      "InvalidSpec: top/test/Jobs: limit must be a duration of 0 or more, got -1"
    )
    assert.strictEqual(
      yield* streamed({ late: "dorp" }),
      'InvalidSpec: top/test/Jobs: late must be one of fail, drop, got "dorp"'
    )
    assert.strictEqual(yield* jobs.count, 1)
  })
)
