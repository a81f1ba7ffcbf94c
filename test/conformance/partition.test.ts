/** DYN: partitioned supervisors. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import { Actor, ActorContext, PartitionSupervisor, Supervisor } from "effect-otp"
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

it.effect("as many as the machine has cores, and found by its class in any layer", () =>
  Effect.gen(function* () {
    const tree = Supervisor.make("top", { children: [Shards.child(ShardLive)] })
    const count = yield* Effect.provide(Shards.count, Supervisor.layer(tree))
    assert.strictEqual(count, globalThis.navigator.hardwareConcurrency)
  })
)

it.effect("a partition supervisor is not reconfigured into something else", () =>
  Effect.gen(function* () {
    const { top } = yield* started({ partitions: 2 })
    const handle = yield* top.supervisor("test/Shards")
    const error = yield* Effect.flip(handle.reconfigure(Supervisor.make("test/Shards", { children: [] })))
    assert.include(error.message, "configuration can only be changed where it is a plain supervisor's")
  })
)
