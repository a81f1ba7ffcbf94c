/** Actors that answer by a kernel: batches, one init for each run, fair turns on one device, and what a crash leaves behind. */
import { assert, describe, it } from "@effect/vitest"
import { Array, Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { Actor, type ActorRef, Supervisor } from "effect-otp"
import { GpuBuffer, GpuDevice, Kernel, Tensor } from "effect-otp/gpu"
import { quiet } from "../support/recording.ts"
import { backends, on } from "./backends.ts"

const Scale = Kernel.make("Scale", {
  args: [Kernel.tensor(3), Kernel.shared(3)],
  output: [3],
  body: function (vector, factors) {
    return vector[this.thread.x]! * factors[this.thread.x]!
  }
})

const Add = Kernel.make("Add", {
  args: [Kernel.tensor(3), Kernel.tensor(3)],
  output: [3],
  body: function (a, b) {
    return a[this.thread.x]! + b[this.thread.x]!
  }
})

class Scaler extends Actor.Service<Scaler>()("test/Scaler", {
  Hold: {},
  Scale: { payload: { vector: Tensor.vector(3) }, success: Tensor.vector(3), error: Kernel.KernelRunFailed },
  Crash: {}
}) {}

class Sum extends Actor.Service<Sum>()("test/Sum", {
  Add: { payload: { vector: Tensor.vector(3) } },
  Total: { success: Tensor.vector(3) },
  Crash: {}
}) {}

const factors = Float32Array.of(1, 10, 100)

/** A scaler that can be held, and what it does written down. */
const scaler = (log: Array<string> = [], name = "scaler") => {
  const gate = Deferred.makeUnsafe<void>()
  const behavior = Scaler.behavior(
    Effect.gen(function* () {
      const kernel = yield* Kernel.compile(Scale, { batch: { maxSize: 8 } })
      log.push(`${name} init`)
      return Scaler.of({
        Hold: () => Deferred.await(gate),
        Scale: Actor.batched({
          maxSize: 8,
          run: (batch) => {
            log.push(`${name} ${batch.length}`)
            const run = kernel.runBatch(Array.map(batch, ({ vector }) => [vector, factors] as const))
            return Effect.catchTag(run, ["DeviceLost", "GpuOutOfMemory"], Effect.die)
          }
        }),
        Crash: () => Effect.die("crash")
      })
    })
  )
  return { behavior, open: Deferred.succeed(gate, undefined) }
}

const ask = (ref: ActorRef.ActorRef<Scaler>) => (n: number) => ref.ask.Scale({ vector: Float32Array.of(n, n, n) })
const scaled = (n: number) => Float32Array.of(n, n * 10, n * 100)

describe.each(backends)("on %s", (backend) => {
  const run = on(backend)

  it.live("what waits in the mailbox is one launch, each asker with its own answer", () =>
    run(
      Effect.gen(function* () {
        const log: Array<string> = []
        const { behavior, open } = scaler(log)
        const ref = yield* Actor.spawn(behavior)
        yield* ref.tell.Hold()
        const numbers = Array.range(1, 20)
        const asking = yield* Effect.forkChild(Effect.forEach(numbers, ask(ref), { concurrency: "unbounded" }))
        yield* Effect.yieldNow
        yield* open
        assert.deepStrictEqual(yield* Fiber.join(asking), numbers.map(scaled))
        assert.deepStrictEqual(log, ["scaler init", "scaler 8", "scaler 8", "scaler 4"])
      })
    )
  )

  it.live("an item that does not fit fails its own batch and no other, and the actor goes on", () =>
    run(
      Effect.gen(function* () {
        const { behavior, open } = scaler()
        const ref = yield* Actor.spawn(behavior)
        yield* ref.tell.Hold()
        const vectors = Array.makeBy(10, (i) => new Float32Array(i === 2 ? 4 : 3).fill(i))
        const asking = yield* Effect.forkChild(
          Effect.forEach(vectors, (vector) => Effect.exit(ref.ask.Scale({ vector })), { concurrency: "unbounded" })
        )
        yield* Effect.yieldNow
        yield* open
        const exits = yield* Fiber.join(asking)
        const refused = (exit: Exit.Exit<unknown, unknown>) =>
          Exit.isFailure(exit) && /of item 2.*3 numbers/.test(String(exit.cause.reasons[0]))
        assert.deepStrictEqual(
          exits.map((exit) => Exit.isSuccess(exit)),
          [...Array.makeBy(8, () => false), true, true]
        )
        assert.isTrue(
          exits.slice(0, 8).every((exit) => refused(exit)),
          String(exits[0])
        )
        assert.deepStrictEqual(yield* ask(ref)(5), scaled(5))
      })
    )
  )

  it.live("P1 deactivated it keeps what it has built, and messages wait until it is activated again", () =>
    run(
      Effect.gen(function* () {
        const log: Array<string> = []
        const ref = yield* Actor.spawn(scaler(log).behavior)
        yield* ask(ref)(1)
        yield* Actor.suspend(ref)
        const asking = yield* Effect.forkChild(Effect.forEach([2, 3], ask(ref), { concurrency: "unbounded" }))
        yield* Effect.yieldNow
        assert.deepStrictEqual([ref.status, ref.size, log.length], ["suspended", 2, 2])
        yield* Actor.resume(ref)
        assert.deepStrictEqual(yield* Fiber.join(asking), [scaled(2), scaled(3)])
        assert.deepStrictEqual(log, ["scaler init", "scaler 1", "scaler 2"], "one init")
        yield* Actor.stop(ref)
        assert.strictEqual(ref.status, "stopped")
      })
    )
  )

  it.live("several actors on one device take turns", () =>
    run(
      Effect.gen(function* () {
        const log: Array<string> = []
        const [one, two] = [scaler(log, "one"), scaler(log, "two")]
        const [first, second] = [yield* Actor.spawn(one.behavior), yield* Actor.spawn(two.behavior)]
        for (const ref of [first, second]) yield* ref.tell.Hold()
        const flood = (ref: ActorRef.ActorRef<Scaler>) =>
          Effect.forEach(Array.range(1, 32), ask(ref), { concurrency: "unbounded" })
        const asking = yield* Effect.forkChild(Effect.all([flood(first), flood(second)], { concurrency: 2 }))
        yield* Effect.yieldNow
        yield* Effect.andThen(one.open, two.open)
        yield* Fiber.join(asking)
        const turns = log.slice(2).map((line) => line.split(" ")[0])
        assert.deepStrictEqual(turns, ["one", "two", "one", "two", "one", "two", "one", "two"])
      })
    )
  )

  it.live("C3 a crash frees what is resident, and the next run begins afresh", () =>
    run(
      Effect.gen(function* () {
        const freed: Array<string> = []
        const SumLive = Sum.behavior(
          Effect.gen(function* () {
            const add = yield* Kernel.compile(Add)
            const total = yield* GpuBuffer.state(new Float32Array(3), [3])
            const buffer = yield* GpuBuffer.from(factors, [3])
            yield* Effect.addFinalizer(() => Effect.sync(() => void freed.push("finalizer")))
            return Sum.of({
              Add: ({ vector }) => total.update((current) => add.resident(current, vector)),
              Total: () => Effect.orDie(total.read),
              Crash: () => Effect.sync(() => (leaked = buffer)).pipe(Effect.andThen(Effect.die("crash")))
            })
          })
        )
        let leaked: GpuBuffer.GpuBuffer | undefined
        const tree = Supervisor.make("top", {
          children: [Supervisor.child(SumLive, { onFailure: () => "restart" })]
        })
        const top = yield* Supervisor.start(tree)
        const sum = yield* Sum.pipe(Effect.provide(top.services))
        for (const n of [1, 2]) yield* sum.tell.Add({ vector: Float32Array.of(n, n, n) })
        assert.deepStrictEqual(yield* sum.ask.Total(), Float32Array.of(3, 3, 3))
        yield* sum.tell.Crash()
        assert.deepStrictEqual(yield* sum.ask.Total(), new Float32Array(3))
        assert.deepStrictEqual(freed, ["finalizer"])
        const error = yield* Effect.flip(leaked!.read)
        assert.strictEqual(error._tag === "KernelRunFailed" && error.reason._tag, "Closed")
      }).pipe(quiet)
    )
  )
})

it.live("a device, and what uses it, as one tree: the program of the first page", () =>
  Effect.gen(function* () {
    const tree = Supervisor.make("app", {
      strategy: "rest-for-one",
      children: [GpuDevice.child({ prefer: ["cpu"] }), scaler().behavior]
    })
    const top = yield* Supervisor.start(tree)
    const ref = yield* Scaler.pipe(Effect.provide(top.services))
    assert.deepStrictEqual(yield* ask(ref)(7), scaled(7))
    yield* top.stop
    const exit = yield* Effect.exit(ask(ref)(7))
    assert.isTrue(Exit.isFailure(exit))
    assert.isTrue(Schema.is(Schema.String)(ref.path))
  })
)
