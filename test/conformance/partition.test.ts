/** DYN: partitioned supervisors. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { Actor, ActorContext, PartitionSupervisor, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Broken, quiet } from "../support/recording.ts"

class Shard extends Actor.Service<Shard>()("test/Shard", {
  Number: { success: Schema.Int },
  Run: { success: Schema.Int },
  Fail: {}
}) {}
class Shards extends PartitionSupervisor.Service<Shards>()("test/Shards", Shard) {}

const ShardLive = Shard.behavior((partition: number) =>
  Effect.map(ActorContext.incarnation, (run) =>
    Shard.of({ Number: () => partition, Run: () => run, Fail: () => Effect.fail(new Broken({ code: 1 })) })
  )
)

const started = (options?: PartitionSupervisor.PartitionOptions<Broken>) =>
  Effect.map(Supervisor.start(Supervisor.make("top", { children: [Shards.child(ShardLive, options)] })), (top) => ({
    top,
    shards: Context.get(top.services, Shards)
  }))

const number = (shards: PartitionSupervisor.Shape<Shard>, key: unknown) =>
  Effect.flatMap(shards.at(key), (shard) => shard.ask.Number())

it.effect("DYN-28 routing by key is stable", () =>
  Effect.gen(function* () {
    const { shards } = yield* started({ partitions: 3 })
    const numbers = yield* Effect.forEach([0, 1, 2, 3, -1], (key) => number(shards, key))
    assert.deepStrictEqual(numbers, [0, 1, 2, 0, 1])
    assert.deepStrictEqual(yield* Effect.forEach([0n, 4n, -5n], (key) => number(shards, key)), [0, 1, 2])
    for (const key of ["text", "", 1.5, Number.NaN, undefined, null, true]) {
      assert.strictEqual(yield* shards.at(key), yield* shards.at(key))
    }
    assert.strictEqual(yield* shards.at({ user: 1 }), yield* shards.at({ user: 1 }))
    const used = new Set(
      yield* Effect.forEach(
        Array.from({ length: 100 }, (_, i) => `key ${i}`),
        (key) => shards.at(key)
      )
    )
    assert.strictEqual(used.size, 3)
  })
)

const refused: ReadonlyArray<readonly [string, () => Supervisor.ChildSpec<Shards, Broken, never>, string]> = [
  [
    "no behavior",
    () => Shards.child(undefined as unknown as typeof ShardLive),
    "top/test/Shards: behavior must be a behavior, got undefined"
  ],
  ...[0, -1, 1.5, Number.NaN].map(
    (partitions) =>
      [
        `${partitions} partitions`,
        () => Shards.child(ShardLive, { partitions }),
        `top/test/Shards: partitions must be a whole number of 1 or more, got ${partitions}`
      ] as const
  ),
  [
    "automatic shutdown",
    () => Shards.child(ShardLive, { autoShutdown: "any-significant" } as never),
    'top/test/Shards: autoShutdown must be "never" where partitions are equals, got "any-significant"'
  ],
  [
    "significance",
    () => Shards.child(ShardLive, { significant: true } as never),
    "top/test/Shards: significant must be false where partitions are equals, got true"
  ],
  [
    "a bad option of each",
    () => Shards.child(ShardLive, { partitions: 2, shutdown: -1 }),
    'top/test/Shards/0: shutdown must be a duration of 0 or more, or "kill", got -1'
  ]
]

for (const [what, make, message] of refused) {
  it.effect(`DYN-29 ${what} is refused before anything starts`, () =>
    Effect.gen(function* () {
      const tree = Supervisor.make("top", { children: [make()] })
      assert.strictEqual((yield* Effect.flip(Supervisor.validate(tree))).message, message)
      const error = yield* Effect.flip(Effect.scoped(Supervisor.start(tree)))
      assert.include(error.message, message)
    })
  )
}

it.effect("a crash concerns its partition alone, whose ref and keys stay", () =>
  Effect.gen(function* () {
    const { shards, top } = yield* started({ partitions: 2, intensity: { restarts: 3, within: "5 seconds" } })
    const [zero, one] = yield* shards.all
    yield* zero!.tell.Fail()
    assert.deepStrictEqual([yield* zero!.ask.Run(), yield* one!.ask.Run()], [2, 1])
    assert.strictEqual(yield* shards.at(2), zero)
    const handle = yield* top.supervisor("test/Shards")
    assert.deepStrictEqual(yield* handle.count, { specs: 2, active: 2, supervisors: 0, workers: 2 })
    assert.strictEqual((yield* handle.budget).used, 1)
  }).pipe(quiet)
)

it.effect("the whole group is restarted with its supervisor; refs stay", () =>
  Effect.gen(function* () {
    const { shards, top } = yield* started({ partitions: 2, strategy: "one-for-all" })
    const [zero, one] = yield* shards.all
    yield* zero!.tell.Fail()
    assert.strictEqual(yield* one!.ask.Run(), 1)
    assert.deepStrictEqual([yield* zero!.ask.Run(), yield* one!.ask.Run()], [2, 2])
    const handle = yield* top.supervisor("test/Shards")
    yield* handle.kill
    assert.deepStrictEqual([yield* zero!.ask.Run(), yield* one!.ask.Run()], [3, 3])
    assert.deepStrictEqual(yield* shards.all, [zero!, one!])
  }).pipe(quiet)
)

it.effect("partitions by number; one that does not exist is a typed error", () =>
  Effect.gen(function* () {
    const { shards } = yield* started({ partitions: 2 })
    assert.strictEqual(yield* (yield* shards.partition(1)).ask.Number(), 1)
    for (const partition of [2, -1, 0.5]) {
      const error = yield* Effect.flip(shards.partition(partition))
      assert.strictEqual(error.message, `top/test/Shards has partitions 0 to 1, and no ${partition}`)
    }
  })
)

const fromDefault = Supervisor.make("top", { children: [Shards.child(ShardLive)] })
const withDefault = (partitions: number) => Effect.provideService(PartitionSupervisor.DefaultPartitions, partitions)

it.effect("as many as the machine has cores, and found by its class in any layer", () =>
  Effect.gen(function* () {
    const count = yield* Effect.provide(Shards.count, Supervisor.layer(fromDefault))
    assert.strictEqual(count, globalThis.navigator.hardwareConcurrency)
  })
)

it.effect("as many as the reference says where the tree is started, however it gets there", () =>
  Effect.gen(function* () {
    const numbers = Effect.flatMap(Shards.all, (all) => Effect.forEach(all, (shard) => shard.ask.Number()))
    const embedded = Layer.provide(
      Supervisor.layer(Supervisor.make("app", { children: [fromDefault] })),
      Layer.succeed(PartitionSupervisor.DefaultPartitions)(3)
    )
    assert.deepStrictEqual(yield* Effect.provide(numbers, embedded), [0, 1, 2])
    const used = Supervisor.using(fromDefault, numbers).pipe(withDefault(2))
    assert.deepStrictEqual(yield* used, [0, 1])
    const top = yield* Supervisor.start(Supervisor.make("top", { children: [] }))
    const services = yield* top.startChild(Shards.child(ShardLive)).pipe(withDefault(4))
    assert.strictEqual(yield* Context.get(services, Shards).count, 4)
    const given = Supervisor.make("top", { children: [Shards.child(ShardLive, { partitions: 5 })] })
    assert.strictEqual(yield* Supervisor.using(given, Shards.count).pipe(withDefault(2)), 5)
  })
)

for (const partitions of [0, -1, 1.5, Number.NaN]) {
  it.effect(`DYN-29 ${partitions} partitions by default are refused before anything starts`, () =>
    Effect.gen(function* () {
      const message = `top/test/Shards: partitions must be a whole number of 1 or more, got ${partitions}`
      assert.strictEqual((yield* Effect.flip(Supervisor.validate(fromDefault))).message, message)
      assert.include((yield* Effect.flip(Effect.scoped(Supervisor.start(fromDefault)))).message, message)
      const top = yield* Supervisor.start(Supervisor.make("top", { children: [] })).pipe(withDefault(1))
      assert.strictEqual((yield* Effect.flip(top.startChild(Shards.child(ShardLive)))).message, message)
    }).pipe(withDefault(partitions))
  )
}

it.effect("a behavior without arguments has equal copies", () =>
  Effect.gen(function* () {
    let made = 0
    const live = Shard.behavior(
      Effect.sync(() => {
        const number = made++
        return Shard.of({ Number: () => number, Run: () => 1, Fail: () => {} })
      })
    )
    const tree = Supervisor.make("top", { children: [Shards.child(live, { partitions: 3 })] })
    const numbers = Effect.flatMap(Shards.all, (all) => Effect.forEach(all, (shard) => shard.ask.Number()))
    assert.deepStrictEqual(yield* Supervisor.using(tree, numbers), [0, 1, 2])
  })
)

it.effect("options hold for each: a temporary partition that failed is gone, and keys still lead to it", () =>
  Effect.gen(function* () {
    const { shards, top } = yield* started({ partitions: 2, restart: "temporary" })
    const zero = yield* shards.at(0)
    yield* zero.tell.Fail()
    assert.strictEqual((yield* Effect.flip(zero.ask.Run())).reason._tag, "NotRunning")
    assert.strictEqual(yield* shards.at(2), zero)
    assert.strictEqual(yield* shards.count, 2)
    const handle = yield* top.supervisor("test/Shards")
    assert.deepStrictEqual(
      (yield* handle.children).map(({ id, path }) => [id, path]),
      [["1", "top/test/Shards/1"]]
    )
    yield* handle.kill
    assert.deepStrictEqual([yield* number(shards, 1), yield* number(shards, 2)], [1, 0])
  }).pipe(quiet)
)

it.effect("what no partition can bear ends their supervisor, whose parent starts all of them anew", () =>
  Effect.gen(function* () {
    const { shards, top } = yield* started({ partitions: 2, intensity: { restarts: 0, within: "1 second" } })
    const [zero, one] = yield* shards.all
    yield* one!.tell.Fail()
    assert.deepStrictEqual([yield* one!.ask.Run(), yield* zero!.ask.Run()], [2, 2])
    assert.strictEqual((yield* top.budget).used, 1)
  }).pipe(quiet)
)

it.effect(
  "another number of partitions holds from their supervisor's next start on; those that stay keep their refs",
  () =>
    Effect.gen(function* () {
      const { shards, top } = yield* started({ partitions: 2 })
      const before = yield* shards.all
      const handle = yield* top.supervisor("test/Shards")
      const resized = (partitions: number) =>
        top.reconfigure(Supervisor.make("top", { children: [Shards.child(ShardLive, { partitions })] }))
      yield* resized(3)
      assert.strictEqual(yield* shards.count, 2)
      yield* handle.kill
      assert.deepStrictEqual(yield* Effect.forEach([0, 1, 2, 3], (key) => number(shards, key)), [0, 1, 2, 0])
      assert.deepStrictEqual((yield* shards.all).slice(0, 2), before)
      yield* TestClock.adjust("1 minute")
      yield* resized(1)
      yield* handle.kill
      assert.deepStrictEqual(yield* Effect.forEach([0, 1, 2], (key) => number(shards, key)), [0, 0, 0])
      assert.strictEqual(yield* shards.count, 1)
    }).pipe(quiet)
)

it.effect("a partition supervisor is not reconfigured into something else", () =>
  Effect.gen(function* () {
    const { top } = yield* started({ partitions: 2 })
    const handle = yield* top.supervisor("test/Shards")
    const error = yield* Effect.flip(handle.reconfigure(Supervisor.make("test/Shards", { children: [] })))
    assert.include(error.message, "configuration can only be changed where it is a plain supervisor's")
  })
)
