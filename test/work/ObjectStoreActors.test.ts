/** References in all that actors say and do: asks, tells, streams, pools, channels, trees, and behaviors that were put. */
import { assert, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Schedule, Schema, type Scope, Stream } from "effect"
import { Actor, ActorChannel, ObjectStore, Pool, Protocol, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { settle } from "../support/engine.ts"
import { quiet } from "../support/recording.ts"

const withStore = <A, E>(effect: Effect.Effect<A, E, ObjectStore.ObjectStore | Scope.Scope>) =>
  effect.pipe(Effect.scoped, Effect.provide(ObjectStore.layer({ capacity: 1_000 }), { local: true }))

const usage = Effect.map(ObjectStore.statistics, ({ bytes, references }) => [bytes, references])

const Bytes = ObjectStore.Ref(ObjectStore.View(Uint8Array))

class Reader extends Actor.Service<Reader>()("test/Reader", {
  Sum: { payload: { bytes: Bytes }, success: Schema.Int, error: ObjectStore.ObjectUnavailable },
  Each: { payload: { bytes: Bytes }, success: Bytes, error: ObjectStore.ObjectUnavailable, stream: true },
  Keep: { payload: { bytes: Bytes } },
  Wait: { payload: { bytes: Bytes } },
  Crash: {}
}) {}

const sumOf = (bytes: Uint8Array) => bytes.reduce((a, b) => a + b, 0)

/** Holds what it is told to keep in its own Scope. */
const ReaderLive = Reader.behavior(
  Effect.gen(function* () {
    const store = yield* ObjectStore.ObjectStore
    return Reader.of({
      Sum: ({ bytes }) => Effect.map(store.get(bytes), sumOf),
      Each: ({ bytes }) =>
        Stream.fromEffect(store.get(bytes)).pipe(
          Stream.flatMap((values) => Stream.fromIterable(values)),
          Stream.mapEffect((value) =>
            Effect.scoped(Effect.flatMap(Effect.orDie(store.put(Uint8Array.of(value))), (ref) => store.handOver(ref)))
          )
        ),
      Keep: ({ bytes }) => Effect.orDie(store.hold(bytes)),
      Wait: () => Effect.never,
      Crash: () => Effect.die("crash")
    })
  })
)

/** Made, and no longer held by who made it. */
const sent = (...values: ReadonlyArray<number>) =>
  Effect.scoped(Effect.flatMap(ObjectStore.put(Uint8Array.from(values)), (ref) => ObjectStore.handOver(ref)))

it.effect("B8 a behaviour is put once, and started from its reference by several actors", () =>
  Effect.gen(function* () {
    class Worth extends Actor.Service<Worth>()("test/Worth", {
      Add: { payload: { n: Schema.Int }, success: Schema.Int }
    }) {}
    const WorthLive = Worth.behavior((start: number) =>
      Effect.sync(() => {
        let total = start
        return Worth.of({ Add: ({ n }) => (total += n) })
      })
    )
    class Starter extends Actor.Service<Starter>()("test/Starter", {
      Start: {
        payload: {
          behavior: ObjectStore.Ref(Schema.declare((value): value is typeof WorthLive => value === WorthLive))
        },
        success: Schema.Int
      }
    }) {}
    const StarterLive = Starter.behavior((start: number) =>
      Effect.map(ObjectStore.ObjectStore, (store) =>
        Starter.of({
          Start: ({ behavior }) =>
            Effect.gen(function* () {
              const worth = yield* Actor.spawn(yield* store.get(behavior), start)
              return yield* worth.ask.Add({ n: 1 })
            }).pipe(Effect.scoped, Effect.orDie)
        })
      )
    )
    const behavior = yield* ObjectStore.put(WorthLive, { label: "behavior" })
    const starters = yield* Effect.forEach([10, 20, 30], (start) => Actor.spawn(StarterLive, start))
    const started = yield* Effect.forEach(starters, ({ ask }) => ask.Start({ behavior }), { concurrency: "unbounded" })
    assert.deepStrictEqual(started, [11, 21, 31])
    assert.strictEqual((yield* ObjectStore.statistics).objects.length, 1)
  }).pipe(withStore)
)

it.effect("B8 references in asks and tells: kept by an actor until it ends", () =>
  Effect.gen(function* () {
    const reader = yield* Actor.spawn(ReaderLive)
    const bytes = yield* sent(1, 2, 3)
    yield* reader.tell.Keep({ bytes })
    yield* settle
    yield* TestClock.adjust("1 hour")
    assert.strictEqual(yield* reader.ask.Sum({ bytes }), 6)
    assert.deepStrictEqual(yield* usage, [3, 1])
    yield* reader.tell.Crash()
    yield* reader.ended
    assert.deepStrictEqual(yield* usage, [0, 0])
  }).pipe(withStore, quiet)
)

it.effect("B8 a crash between a message and its hold loses the count only until the time of the hand-over is up", () =>
  Effect.gen(function* () {
    const reader = yield* Actor.spawn(ReaderLive)
    yield* reader.tell.Crash()
    yield* reader.tell.Keep({ bytes: yield* sent(1, 2, 3) })
    yield* reader.ended
    assert.deepStrictEqual(yield* usage, [3, 1])
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(yield* usage, [0, 0])
  }).pipe(withStore, quiet)
)

it.effect("B8 an ask that is interrupted leaves no reference behind", () =>
  Effect.gen(function* () {
    const reader = yield* Actor.spawn(ReaderLive)
    const asking = yield* Effect.forkChild(
      Effect.scoped(Effect.flatMap(ObjectStore.put(Uint8Array.of(1)), (bytes) => reader.ask.Wait({ bytes }))),
      { startImmediately: true }
    )
    yield* settle
    assert.deepStrictEqual(yield* usage, [1, 1])
    yield* Fiber.interrupt(asking)
    assert.deepStrictEqual(yield* usage, [0, 0])
    yield* Actor.kill(reader)
  }).pipe(withStore, quiet)
)

it.effect("B8 references in the elements of a stream, each taken over by who reads it", () =>
  Effect.gen(function* () {
    const reader = yield* Actor.spawn(ReaderLive)
    const bytes = yield* ObjectStore.put(Uint8Array.of(7, 8, 9))
    const values = yield* reader.stream.Each({ bytes }).pipe(
      Stream.mapEffect((ref) =>
        Effect.scoped(
          Effect.andThen(
            ObjectStore.hold(ref),
            Effect.map(ObjectStore.get(ref), ([value]) => value)
          )
        )
      ),
      Stream.runCollect
    )
    assert.deepStrictEqual(values, [7, 8, 9])
    assert.deepStrictEqual(yield* usage, [3, 1])
  }).pipe(withStore)
)

it.effect("B8 one object for all members of a pool", () =>
  Effect.gen(function* () {
    const pool = yield* Pool.start(ReaderLive, { size: 3 })
    const bytes = yield* ObjectStore.put(Uint8Array.of(1, 2, 3))
    const sums = yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => pool.ref.ask.Sum({ bytes }), { concurrency: 6 })
    assert.deepStrictEqual(sums, [6, 6, 6, 6, 6, 6])
    assert.deepStrictEqual(yield* usage, [3, 1])
  }).pipe(withStore)
)

it.effect("B8 references through a channel: what a crashed reader has not held is there for the next", () =>
  Effect.gen(function* () {
    const jobs = yield* ActorChannel.make<ObjectStore.ObjectRef<Uint8Array>>("test/jobs")
    yield* jobs.put(yield* sent(1, 2, 3))
    const crash = Effect.gen(function* () {
      const first = yield* jobs.reader("first")
      assert.strictEqual(sumOf(yield* ObjectStore.get((yield* first.take()).item)), 6)
      return yield* Effect.die("crash")
    })
    yield* Effect.exit(Effect.scoped(crash))
    yield* Effect.scoped(
      Effect.gen(function* () {
        const second = yield* jobs.reader("second")
        const { ack, item } = yield* second.take()
        yield* ObjectStore.hold(item)
        yield* ack
        assert.strictEqual(sumOf(yield* ObjectStore.get(item)), 6)
        assert.deepStrictEqual(yield* usage, [3, 1])
      })
    )
    assert.deepStrictEqual(yield* usage, [0, 0])
  }).pipe(withStore)
)

it.effect("B8 under rest-for-one those who use a store restart with it, and have nothing of the old one", () =>
  Effect.gen(function* () {
    class Fuse extends Actor.Service<Fuse>()("test/Fuse", { Blow: {} }) {}
    const FuseLive = Fuse.behavior(Effect.succeed(Fuse.of({ Blow: () => Effect.die("blown") })))
    const root = yield* Supervisor.start(
      Supervisor.make("app", {
        strategy: "rest-for-one",
        children: [FuseLive, ObjectStore.child({ capacity: 1_000 }), ReaderLive]
      })
    )
    const store = Effect.sync(() => Context.get(root.services, ObjectStore.ObjectStore))
    const reader = Context.get(root.services, Reader)
    const before = yield* store
    const old = yield* before.put(Uint8Array.of(1))
    assert.strictEqual(yield* reader.ask.Sum({ bytes: old }), 1)
    yield* Context.get(root.services, Fuse).tell.Blow()
    yield* settle
    const after = yield* store
    assert.notStrictEqual(after.id, before.id)
    assert.strictEqual((yield* Effect.flip(reader.ask.Sum({ bytes: old })))._tag, "ObjectUnavailable")
    assert.strictEqual(yield* reader.ask.Sum({ bytes: yield* after.put(Uint8Array.of(2)) }), 2)
  }).pipe(Effect.scoped, quiet)
)

it.effect("B8 who would rather wait for room retries: each hold that ends makes some", () =>
  Effect.gen(function* () {
    const done = yield* Deferred.make<void>()
    yield* Effect.forkChild(Effect.scoped(Effect.andThen(ObjectStore.put(new Uint8Array(900)), Deferred.await(done))), {
      startImmediately: true
    })
    const put = Effect.retry(ObjectStore.put(new Uint8Array(200)), {
      while: ({ _tag }) => _tag === "StoreFull",
      schedule: Schedule.spaced("1 second")
    })
    const waiting = yield* Effect.forkChild(put, { startImmediately: true })
    yield* TestClock.adjust("1 minute")
    assert.isUndefined(waiting.pollUnsafe())
    yield* Deferred.succeed(done, undefined)
    yield* TestClock.adjust("1 second")
    assert.strictEqual((yield* Fiber.join(waiting)).bytes, 200)
  }).pipe(withStore)
)

it("B8 a reference in a payload is passed as it is: nothing is made of it", () => {
  class Row extends Schema.Class<Row>("Row")({ n: Schema.Int }) {}
  const makes = (payload: Schema.Struct.Fields) => Protocol.makeOf({ payload }) !== undefined
  assert.isFalse(makes({ bytes: Bytes, at: Schema.DateFromString }))
  assert.isTrue(makes({ row: Row }))
  assert.isTrue(makes({ row: Schema.Option(Row) }))
  assert.isTrue(makes({ n: Schema.Int.pipe(Schema.withConstructorDefault(Effect.succeed(1))) }))
})
