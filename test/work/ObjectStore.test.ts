/** The object store within a process: counting, capacity, references in messages, what is refused and why. */
import { assert, it } from "@effect/vitest"
import {
  Cause,
  Clock,
  Context,
  Effect,
  Equal,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  Schema,
  SchemaGetter,
  Scope
} from "effect"
import { Actor, ObjectStore, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { stillAlive } from "../support/garbage.ts"
import { quiet } from "../support/recording.ts"

const Store = ObjectStore.layer({ capacity: 1_000 })

const withStore = <A, E>(effect: Effect.Effect<A, E, ObjectStore.ObjectStore | Scope.Scope>) =>
  effect.pipe(Effect.scoped, Effect.provide(Store, { local: true }))

/** A Scope of its own, closed by hand. */
const open = Effect.map(Scope.make(), (scope) => ({
  in: <A, E, R>(effect: Effect.Effect<A, E, R>) => Scope.provide(effect, scope),
  close: Scope.close(scope, Exit.void)
}))

const usage = Effect.map(ObjectStore.statistics, ({ bytes, objects, references }) => [
  bytes,
  objects.length,
  references
])

const reasonOf = <A, R>(effect: Effect.Effect<A, ObjectStore.ObjectUnavailable, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason._tag)

// --- Values ---

it.effect("B8 a value is handed out as it is, not copied", () =>
  Effect.gen(function* () {
    const value = { text: "abc", deep: [{ n: 1 }] }
    const ref = yield* ObjectStore.put(value)
    assert.strictEqual(yield* ObjectStore.get(ref), value)
    assert.strictEqual(yield* ObjectStore.get(ref), value)
  }).pipe(withStore)
)

it.effect("B8 buffers and views are copied once into shared memory, and seen through views of their kind", () =>
  Effect.gen(function* () {
    const source = Float64Array.of(1, 2, 3)
    const ref = yield* ObjectStore.put(source)
    const view: Float64Array<SharedArrayBuffer> = yield* ObjectStore.get(ref)
    assert.deepStrictEqual([...view], [1, 2, 3])
    assert.instanceOf(view.buffer, SharedArrayBuffer)
    source[0] = 9
    assert.strictEqual(view[0], 1)
    view[1] = 7
    assert.strictEqual((yield* ObjectStore.get(ref))[1], 7)

    const part = yield* ObjectStore.put(Int16Array.of(1, 2, 3, 4).subarray(1, 3))
    assert.deepStrictEqual([...(yield* ObjectStore.get(part))], [2, 3])
    const node = yield* ObjectStore.get(yield* ObjectStore.put(Buffer.from("héllo")))
    assert.deepStrictEqual([node.constructor, node.length], [Uint8Array, 6])
    const whole: SharedArrayBuffer = yield* ObjectStore.get(yield* ObjectStore.put(new ArrayBuffer(4)))
    assert.strictEqual(whole.byteLength, 4)
    const look = yield* ObjectStore.get(yield* ObjectStore.put(new DataView(new ArrayBuffer(8), 2, 4)))
    assert.deepStrictEqual([look.constructor, look.byteLength], [DataView, 4])
    const empty = yield* ObjectStore.get(yield* ObjectStore.put(new BigInt64Array(0)))
    assert.strictEqual(empty.length, 0)
  }).pipe(withStore)
)

it.effect("B8 what is in shared memory already is not copied at all", () =>
  Effect.gen(function* () {
    const mine = new Uint32Array(new SharedArrayBuffer(16), 4, 2)
    const view = yield* ObjectStore.get(yield* ObjectStore.put(mine))
    assert.strictEqual(view.buffer, mine.buffer)
    assert.deepStrictEqual([view.byteOffset, view.length], [4, 2])
  }).pipe(withStore)
)

it.effect(
  "B8 a View is named by what is put: also Node's Buffer, whole buffers, and kinds that only some runtimes have",
  () =>
    Effect.gen(function* () {
      const fits = (kind: never, value: unknown) =>
        Effect.map(Effect.flatMap(ObjectStore.put(value), ObjectStore.get), Schema.is(ObjectStore.View(kind)))
      const { Float16Array } = globalThis as unknown as { readonly Float16Array?: new (length: number) => Uint16Array }
      const all: ReadonlyArray<[unknown, unknown]> = [
        [Buffer, Buffer.from("abc")],
        [Uint8Array, new Uint8Array(3)],
        [ArrayBuffer, new ArrayBuffer(3)],
        [SharedArrayBuffer, new SharedArrayBuffer(3)],
        [DataView, new DataView(new ArrayBuffer(3))],
        ...(Float16Array === undefined ? [] : [[Float16Array, new Float16Array(3)] as [unknown, unknown]])
      ]
      for (const [kind, value] of all) assert.isTrue(yield* fits(kind as never, value), String(kind))
      assert.isFalse(yield* fits(Float32Array as never, new Float64Array(1)))
      assert.isFalse(Schema.is(ObjectStore.View(Float32Array))(new Float32Array(1)))
    }).pipe(withStore)
)

it.effect("B8 a buffer that has been given away is refused by name, not taken for a lack of memory", () =>
  Effect.gen(function* () {
    const view = new Uint8Array(8)
    structuredClone(view.buffer, { transfer: [view.buffer] })
    for (const value of [view, view.buffer]) {
      const exit = yield* Effect.exit(ObjectStore.put(value))
      assert(Exit.isFailure(exit))
      assert.include(String(Cause.squash(exit.cause)), "value must be a buffer that has not been transferred")
    }
    assert.deepStrictEqual(yield* usage, [0, 0, 0])
  }).pipe(withStore)
)

class Echo extends Actor.Service<Echo>()("test/Echo", { Say: { success: Schema.String } }) {}
const EchoLive = Echo.behavior(Effect.succeed(Echo.of({ Say: () => "echo" })))

it.effect("B8 a behaviour is put once and started by whoever gets it", () =>
  Effect.gen(function* () {
    const ref = yield* ObjectStore.put(EchoLive)
    const echo = yield* Actor.spawn(yield* ObjectStore.get(ref))
    assert.strictEqual(yield* echo.ask.Say(), "echo")
  }).pipe(withStore)
)

// --- Counting ---

it.effect("B8 an object is freed when the last reference goes, and not before", () =>
  Effect.gen(function* () {
    const [first, second] = [yield* open, yield* open]
    const ref = yield* first.in(ObjectStore.put(new Uint8Array(100)))
    yield* second.in(ObjectStore.hold(ref))
    yield* second.in(ObjectStore.hold(ref))
    assert.deepStrictEqual(yield* usage, [100, 1, 3])
    yield* first.close
    assert.strictEqual((yield* ObjectStore.get(ref)).length, 100)
    yield* second.close
    assert.deepStrictEqual(yield* usage, [0, 0, 0])
    assert.strictEqual(yield* reasonOf(ObjectStore.get(ref)), "Freed")
    assert.strictEqual(yield* reasonOf(ObjectStore.hold(ref)), "Freed")
    assert.strictEqual(yield* reasonOf(ObjectStore.handOver(ref)), "Freed")
  }).pipe(withStore)
)

it.effect("B8 a freed object is not kept by references to it", () =>
  Effect.gen(function* () {
    const scope = yield* open
    let weak: WeakRef<object> | undefined
    const ref = yield* scope.in(
      Effect.suspend(() => {
        const value = { big: "x".repeat(10) }
        weak = new WeakRef(value)
        return ObjectStore.put(value)
      })
    )
    yield* scope.close
    assert.strictEqual(yield* stillAlive([weak!]), 0)
    assert.strictEqual(yield* reasonOf(ObjectStore.get(ref)), "Freed")
  }).pipe(withStore)
)

it.effect("B8 a put that is interrupted, or fails later on, leaves nothing behind", () =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(
      Effect.scoped(Effect.andThen(ObjectStore.put(new Uint8Array(10)), Effect.never)),
      { startImmediately: true }
    )
    assert.deepStrictEqual(yield* usage, [10, 1, 1])
    yield* Fiber.interrupt(fiber)
    yield* Effect.exit(Effect.scoped(Effect.andThen(ObjectStore.put("x"), Effect.die("crash"))))
    assert.deepStrictEqual(yield* usage, [0, 0, 0])
  }).pipe(withStore)
)

it.effect("B8 what an actor holds goes with its crash", () =>
  Effect.gen(function* () {
    class Holder extends Actor.Service<Holder>()("test/Holder", {
      Hold: { payload: { ref: ObjectStore.Ref(Schema.String) }, error: ObjectStore.ObjectUnavailable },
      Crash: {}
    }) {}
    const store = yield* ObjectStore.ObjectStore
    const holder = yield* Actor.spawn(
      Holder.behavior(
        Effect.succeed(Holder.of({ Hold: ({ ref }) => store.hold(ref), Crash: () => Effect.die("crash") }))
      )
    )
    const scope = yield* open
    const ref = yield* scope.in(ObjectStore.put("kept"))
    yield* holder.ask.Hold({ ref })
    yield* scope.close
    assert.strictEqual(yield* ObjectStore.get(ref), "kept")
    yield* holder.tell.Crash()
    yield* holder.ended
    assert.deepStrictEqual(yield* usage, [0, 0, 0])
  }).pipe(withStore, quiet)
)

it.effect("B8 what was handed over is kept until somebody holds it", () =>
  Effect.gen(function* () {
    const [sender, receiver] = [yield* open, yield* open]
    const ref = yield* sender.in(Effect.flatMap(ObjectStore.put("a reply"), ObjectStore.handOver))
    yield* sender.close
    assert.deepStrictEqual((yield* usage)[2], 1)
    yield* receiver.in(ObjectStore.hold(ref))
    assert.deepStrictEqual((yield* usage)[2], 1)
    yield* TestClock.adjust("1 hour")
    assert.strictEqual(yield* ObjectStore.get(ref), "a reply")
    yield* receiver.close
    assert.deepStrictEqual(yield* usage, [0, 0, 0])
  }).pipe(withStore)
)

it.effect("B8 what was handed over is its receiver's: nobody else who holds or reads the object takes it", () =>
  Effect.gen(function* () {
    const [sender, stranger, receiver, late] = [yield* open, yield* open, yield* open, yield* open]
    const ref = yield* sender.in(ObjectStore.put("for one"))
    const [sent, other] = [yield* ObjectStore.handOver(ref), yield* ObjectStore.handOver(ref)]
    assert.isTrue(Equal.equals(sent, ref))
    yield* stranger.in(ObjectStore.hold(ref))
    yield* ObjectStore.get(sent)
    yield* sender.close
    yield* stranger.close
    assert.deepStrictEqual((yield* usage)[2], 2)
    yield* receiver.in(ObjectStore.hold(sent))
    yield* receiver.in(ObjectStore.hold(sent))
    assert.deepStrictEqual((yield* usage)[2], 3)
    yield* receiver.close
    assert.strictEqual(yield* ObjectStore.get(other), "for one")
    yield* late.in(ObjectStore.hold(other))
    yield* late.close
    assert.strictEqual(yield* reasonOf(ObjectStore.hold(other)), "Freed")
    assert.deepStrictEqual(yield* usage, [0, 0, 0])
  }).pipe(withStore)
)

it.effect(
  "B8 a receiver that crashes with what it took over gives it back; one that never held it, when the time is up",
  () =>
    Effect.gen(function* () {
      const send = Effect.scoped(
        Effect.flatMap(ObjectStore.put(new Uint8Array(10)), (ref) => ObjectStore.handOver(ref))
      )
      const held = yield* send
      yield* Effect.exit(Effect.scoped(Effect.andThen(ObjectStore.hold(held), Effect.die("crash"))))
      assert.deepStrictEqual(yield* usage, [0, 0, 0])
      const unheld = yield* send
      yield* Effect.exit(Effect.scoped(Effect.andThen(ObjectStore.get(unheld), Effect.die("crash"))))
      assert.deepStrictEqual(yield* usage, [10, 1, 1])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* usage, [0, 0, 0])
    }).pipe(withStore, quiet)
)

it.effect("B8 what nobody takes over is freed when its time is up, and that is told", () => {
  const warnings: Array<unknown> = []
  return Effect.gen(function* () {
    const sender = yield* open
    const ref = yield* sender.in(
      Effect.flatMap(ObjectStore.put("lost"), (ref) => ObjectStore.handOver(ref, { within: "10 seconds" }))
    )
    yield* sender.close
    yield* TestClock.adjust("9 seconds")
    assert.strictEqual(yield* ObjectStore.get(ref), "lost")
    assert.deepStrictEqual(warnings, [])
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* reasonOf(ObjectStore.get(ref)), "Freed")
    assert.deepStrictEqual(yield* usage, [0, 0, 0])
    assert.include(String(warnings), `nobody has held object ${ref.id}`)
  }).pipe(withStore, Effect.provide(Logger.layer([Logger.make(({ message }) => warnings.push(message))])))
})

it.effect.prop(
  "B8 however holds and releases mix, an object lives exactly as long as it has references",
  { steps: Schema.Array(Schema.Literals(["hold", "close-first", "close-last", "hand-over", "take"])) },
  ({ steps }) =>
    Effect.gen(function* () {
      const first = yield* open
      const ref = yield* first.in(ObjectStore.put(new Uint8Array(8)))
      const holders = [first]
      const sent: Array<ObjectStore.ObjectRef<unknown>> = []
      for (const step of steps) {
        const alive = holders.length + sent.length > 0
        if (step === "hold" || step === "take") {
          const scope = yield* open
          const taken = step === "take" ? (sent.shift() ?? ref) : ref
          const held = yield* Effect.exit(scope.in(ObjectStore.hold(taken)))
          assert.strictEqual(Exit.isSuccess(held), alive)
          if (alive) holders.push(scope)
        } else if (step === "hand-over") {
          const done = yield* Effect.exit(ObjectStore.handOver(ref, { within: Infinity }))
          assert.strictEqual(Exit.isSuccess(done), alive)
          if (Exit.isSuccess(done)) sent.push(done.value)
        } else {
          const scope = step === "close-first" ? holders.shift() : holders.pop()
          if (scope !== undefined) yield* scope.close
        }
        const count = holders.length + sent.length
        assert.deepStrictEqual(yield* usage, count > 0 ? [8, 1, count] : [0, 0, 0])
      }
    }).pipe(withStore),
  { arbitrary: { runs: 100 } }
)

// --- Capacity ---

it.effect("B8 a full store refuses, says how full it is, and evicts nothing", () =>
  Effect.gen(function* () {
    const kept = yield* ObjectStore.put(new Uint8Array(700))
    const error = yield* Effect.flip(ObjectStore.put(new Uint8Array(301)))
    assert(error._tag === "StoreFull")
    assert.deepInclude(error, { bytes: 301, capacity: 1_000, used: 700, objects: 1, reason: "capacity" })
    assert.strictEqual(error.free, 300)
    assert.include(error.message, "1 objects hold 700 B of 1 kB")
    assert.strictEqual((yield* ObjectStore.get(kept)).length, 700)
    yield* ObjectStore.put(new Uint8Array(300))
    assert.deepStrictEqual(yield* usage, [1_000, 2, 2])
  }).pipe(withStore)
)

it.effect("B8 room is there again as soon as something is freed", () =>
  Effect.gen(function* () {
    yield* Effect.scoped(ObjectStore.put(new Uint8Array(1_000)))
    yield* Effect.scoped(ObjectStore.put(new Uint8Array(1_000)))
    yield* ObjectStore.put(new Uint8Array(1_000))
  }).pipe(withStore)
)

it.effect("B8 plain data is measured, and anybody may know better", () =>
  Effect.gen(function* () {
    const cyclic: { text: string; self?: unknown } = { text: "x".repeat(100) }
    cyclic.self = cyclic
    const measured = yield* ObjectStore.put(cyclic)
    assert.isAtLeast(measured.bytes, 200)
    assert.isBelow(measured.bytes, 400)
    assert.strictEqual((yield* ObjectStore.put(EchoLive, { bytes: 5 })).bytes, 5)
    const error = yield* Effect.flip(ObjectStore.put(new Map([["k", ["x".repeat(1_000)]]])))
    assert.strictEqual(error._tag, "StoreFull")
    class Row extends Schema.Class<Row>("Row")({ text: Schema.String }) {}
    for (const value of [Option.some("x".repeat(200)), new Row({ text: "x".repeat(200) })]) {
      assert.isAtLeast((yield* Effect.scoped(ObjectStore.put<unknown>(value))).bytes, 400)
    }
  }).pipe(withStore)
)

it("B8 sizes that are none are refused where they are given", () => {
  for (const capacity of [-1, NaN, 1.5, "many" as never]) {
    assert.throws(() => ObjectStore.layer({ capacity }), /capacity must be a size in bytes/)
  }
  assert.throws(() => ObjectStore.layer({ capacity: 1, threshold: -1 }), /threshold must be/)
})

it.effect("B8 an object that counts as no size is refused, and leaves nothing", () =>
  Effect.gen(function* () {
    for (const bytes of [-1, NaN, Infinity]) {
      const exit = yield* Effect.exit(ObjectStore.put("x", { bytes }))
      assert(Exit.isFailure(exit))
      assert.instanceOf(Cause.squash(exit.cause), ObjectStore.InvalidOption)
    }
    assert.deepStrictEqual(yield* usage, [0, 0, 0])
  }).pipe(withStore)
)

it.effect("B8 memory that the machine does not have is a refusal too", () =>
  Effect.gen(function* () {
    class Huge extends Uint8Array {
      override get byteLength() {
        return 2 ** 60
      }
    }
    const error = yield* Effect.flip(ObjectStore.put(new Huge(1)))
    assert(error._tag === "StoreFull")
    assert.strictEqual(error.reason, "memory")
  }).pipe(Effect.scoped, Effect.provide(ObjectStore.layer({ capacity: Infinity })))
)

it.effect("B8 statistics: how old each object is, what it is called, and who counts", () =>
  Effect.gen(function* () {
    const ref = yield* ObjectStore.put(new Uint8Array(100), { label: "picture" })
    yield* TestClock.adjust("3 seconds")
    yield* ObjectStore.put(new Uint8Array(50))
    yield* ObjectStore.hold(ref)
    const { objects, ...sums } = yield* ObjectStore.statistics
    assert.deepStrictEqual(sums, { capacity: 1_000, bytes: 150, references: 3, threads: 0 })
    assert.deepStrictEqual(
      objects.map(({ age, bytes, label, references }) => [label, bytes, references, age]),
      [
        ["picture", 100, 2, 3_000],
        [undefined, 50, 1, 0]
      ]
    )
    assert.strictEqual(objects[0]!.object, ref.id)
  }).pipe(withStore)
)

// --- Stores ---

it.effect("B8 an object of another store is foreign", () =>
  Effect.gen(function* () {
    const ref = yield* ObjectStore.put("mine")
    const error = yield* Effect.flip(withStore(ObjectStore.get(ref)))
    assert.strictEqual(error.reason._tag, "Foreign")
    assert.include(error.message, ref.id)
    assert.strictEqual(yield* reasonOf(withStore(ObjectStore.hold(ref))), "Foreign")
  }).pipe(withStore)
)

it.effect("B8 a store that is closed has nothing, and takes nothing", () =>
  Effect.gen(function* () {
    const store = yield* withStore(ObjectStore.ObjectStore)
    const error = yield* Effect.flip(store.put("late"))
    assert.strictEqual(error._tag, "StoreClosed")
    assert.strictEqual((yield* Effect.flip(store.port))._tag, "StoreClosed")
    assert.deepInclude(yield* store.statistics, { bytes: 0, references: 0, threads: 0 })
  }).pipe(Effect.scoped)
)

it.effect("B8 a store that closes, and a hand-over that has arrived, leave no timer behind", () =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    let sleeping = 0
    const sleep = () =>
      Effect.suspend(() => {
        sleeping++
        return Effect.onInterrupt(Effect.never, () => Effect.sync(() => sleeping--))
      })
    const counting: Clock.Clock = Object.assign(Object.create(clock), { sleep })
    yield* Effect.gen(function* () {
      const ref = yield* ObjectStore.put("x")
      const sent = yield* ObjectStore.handOver(ref)
      yield* ObjectStore.handOver(ref)
      yield* turn
      assert.strictEqual(sleeping, 2)
      yield* ObjectStore.hold(sent)
      yield* turn
      assert.strictEqual(sleeping, 1)
    }).pipe(withStore, Effect.provideService(Clock.Clock, counting))
    yield* turn
    assert.strictEqual(sleeping, 0)
  })
)

it.effect("B8 as a child of a tree it serves those after it, and restarts empty", () =>
  Effect.gen(function* () {
    const Tree = Supervisor.make("app", { children: [ObjectStore.child({ capacity: 1_000 })] })
    const root = yield* Supervisor.start(Tree)
    const before = Context.get(root.services, ObjectStore.ObjectStore)
    const ref = yield* before.put("before")
    assert.strictEqual(yield* before.get(ref), "before")
    yield* root.terminateChild("effect-otp/ObjectStore")
    assert.strictEqual(yield* reasonOf(before.get(ref)), "StoreClosed")
    yield* root.restartChild("effect-otp/ObjectStore")
    const after = Context.get(root.services, ObjectStore.ObjectStore)
    assert.strictEqual(yield* reasonOf(after.get(ref)), "Foreign")
    assert.strictEqual(yield* after.get(yield* after.put("after")), "after")
  }).pipe(quiet)
)

// --- References ---

const Numbers = ObjectStore.Ref(Schema.Array(Schema.Finite))
const Bytes = ObjectStore.Ref(Schema.Uint8Array)

it.effect("B8 references are values: equal when they mean the same, and they never show the object", () =>
  Effect.gen(function* () {
    const ref = yield* ObjectStore.put(["secret"])
    const again = yield* Schema.decodeEffect(Numbers)({ ...split(ref.id), bytes: ref.bytes })
    assert.isTrue(Equal.equals(ref, again))
    assert.isFalse(Equal.equals(ref, yield* ObjectStore.put(["secret"])))
    assert.isTrue(ObjectStore.isObjectRef(ref))
    assert.isFalse(ObjectStore.isObjectRef({ id: ref.id, bytes: 1 }))
    assert.deepStrictEqual(JSON.parse(JSON.stringify(ref)), { _id: "ObjectRef", id: ref.id, bytes: ref.bytes })
    assert.notInclude(`${String(ref)} ${JSON.stringify(structuredClone(ref))}`, "secret")
  }).pipe(withStore)
)

const split = (id: string) => {
  const [store = "", object] = id.split("/")
  return { store, object: Number(object) }
}

it.effect("B8 outside the process a reference is small plain data; below the threshold the object goes with it", () =>
  Effect.gen(function* () {
    const large = yield* ObjectStore.put(new Uint8Array(64))
    const small = yield* ObjectStore.put(new Uint8Array(63))
    const [a, b] = [yield* Schema.encodeEffect(Bytes)(large), yield* Schema.encodeEffect(Bytes)(small)]
    assert.deepStrictEqual(a, { ...split(large.id), bytes: 64 })
    assert.strictEqual(b.inline?.kind, "Uint8Array")
    for (const each of [a, b]) assert.deepStrictEqual(JSON.parse(JSON.stringify(each)), each)
    const back = yield* Schema.decodeEffect(Bytes)(a)
    assert.strictEqual(yield* ObjectStore.get(back), yield* ObjectStore.get(large))
    const copy = yield* Schema.decodeEffect(Bytes)(b)
    assert.deepStrictEqual(yield* ObjectStore.get(copy), yield* ObjectStore.get(small))
    assert.deepStrictEqual(yield* Schema.encodeEffect(Bytes)(copy), b)
    assert.deepStrictEqual(yield* Schema.encodeEffect(Bytes)(back), a)
  }).pipe(Effect.scoped, Effect.provide(ObjectStore.layer({ capacity: 1_000, threshold: 64 })))
)

it.effect("B8 a reference that carries its object outlives the store's count", () =>
  Effect.gen(function* () {
    const encoded = yield* Effect.scoped(
      Effect.flatMap(ObjectStore.put([1, 2]), (ref) => Schema.encodeEffect(Numbers)(ref))
    )
    const copy = yield* Schema.decodeEffect(Numbers)(encoded)
    yield* ObjectStore.hold(copy)
    assert.strictEqual(yield* ObjectStore.handOver(copy), copy)
    assert.deepStrictEqual(yield* ObjectStore.get(copy), [1, 2])
  }).pipe(withStore)
)

it.effect("B8 a value is encoded once for others, which counts, and may not fit", () =>
  Effect.gen(function* () {
    const ref = yield* ObjectStore.put(
      Array.from({ length: 50 }, (_, n) => n + 0.5),
      { bytes: 500 }
    )
    const before = (yield* usage)[0]!
    const encoded = yield* Schema.encodeEffect(Numbers)(ref)
    assert.isUndefined(encoded.inline)
    const after = (yield* usage)[0]!
    assert.isAbove(after, before)
    yield* Schema.encodeEffect(Numbers)(ref)
    assert.strictEqual((yield* usage)[0], after)
    const other = yield* ObjectStore.put(
      Array.from({ length: 1_000 }, (_, n) => n + 0.5),
      { bytes: 1 }
    )
    const error = yield* Effect.flip(Schema.encodeEffect(Numbers)(other))
    assert.include(error.message, "no room for an object")
  }).pipe(Effect.scoped, Effect.provide(ObjectStore.layer({ capacity: 1_000, threshold: 0 })))
)

it.effect("B8 so it is where two encode it at once, and not at all where it is freed meanwhile", () =>
  Effect.gen(function* () {
    const Slow = ObjectStore.Ref(
      Schema.String.pipe(
        Schema.decodeTo(Schema.String, {
          decode: SchemaGetter.passthrough(),
          encode: SchemaGetter.transformEffect((text: string) => Effect.as(Effect.sleep("1 second"), text))
        })
      )
    )
    const scope = yield* open
    const ref = yield* scope.in(ObjectStore.put("x".repeat(100), { bytes: 200 }))
    const encode = Effect.forkChild(Effect.exit(Schema.encodeEffect(Slow)(ref)), { startImmediately: true })
    const both = [yield* encode, yield* encode]
    yield* TestClock.adjust("1 second")
    for (const fiber of both) assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
    assert.isBelow((yield* usage)[0]!, 350)
    yield* scope.close
    const again = yield* open
    const other = yield* again.in(ObjectStore.put("y".repeat(100), { bytes: 200 }))
    const late = yield* Effect.forkChild(Effect.exit(Schema.encodeEffect(Slow)(other)), { startImmediately: true })
    yield* again.close
    yield* TestClock.adjust("1 second")
    assert.isTrue(Exit.isFailure(yield* Fiber.join(late)))
    assert.deepStrictEqual(yield* usage, [0, 0, 0])
  }).pipe(Effect.scoped, Effect.provide(ObjectStore.layer({ capacity: 1_000, threshold: 0 })))
)

it.effect("B8 encoding a reference to what is freed, or does not fit its schema, is refused", () =>
  Effect.gen(function* () {
    const freed = yield* Effect.scoped(ObjectStore.put(new Uint8Array(1)))
    assert.include((yield* Effect.flip(Schema.encodeEffect(Bytes)(freed))).message, "its last reference is gone")
    const wrong = (yield* ObjectStore.put("text")) as ObjectStore.ObjectRef<never>
    assert.isTrue(Schema.isSchemaError(yield* Effect.flip(Schema.encodeEffect(Numbers)(wrong))))
    // What only this program knows has no bytes.
    const Behaviors = ObjectStore.Ref(Schema.declare((value): value is typeof EchoLive => value === EchoLive))
    const behavior = yield* Effect.flip(Schema.encodeEffect(Behaviors)(yield* ObjectStore.put(EchoLive)))
    assert.isTrue(Schema.isSchemaError(behavior))
    assert.include(behavior.message, "the schema of the reference has no encoding")
  }).pipe(withStore)
)

it.effect("B8 what does not fit the schema of a reference is refused when it is asked for", () =>
  Effect.gen(function* () {
    const ref = yield* ObjectStore.put(new Float32Array(100))
    const Floats = ObjectStore.Ref(ObjectStore.View(Float32Array))
    const encoded = yield* Schema.encodeEffect(Floats)(ref)
    assert.isTrue(Exit.isFailure(yield* Effect.exit(Schema.decodeEffect(Bytes)({ ...encoded, inline: bad }))))
    assert.isTrue(Exit.isFailure(yield* Effect.exit(Schema.decodeUnknownEffect(Bytes)({ store: "x" }))))
    const nowhere = yield* Schema.decodeEffect(Bytes)({ store: "elsewhere", object: 1, bytes: 4 })
    assert.strictEqual(yield* reasonOf(ObjectStore.get(nowhere)), "Foreign")
  }).pipe(withStore)
)

it.effect("B8 each schema that a reference is decoded with holds", () =>
  Effect.gen(function* () {
    const bytes = yield* Schema.encodeEffect(Bytes)(yield* ObjectStore.put(new Uint8Array(10)))
    const floats = yield* Schema.decodeEffect(ObjectStore.Ref(ObjectStore.View(Float32Array)))(bytes)
    assert.strictEqual(yield* reasonOf(ObjectStore.get(floats)), "Undecodable")
    assert.strictEqual((yield* ObjectStore.get(yield* Schema.decodeEffect(Bytes)(bytes))).length, 10)
  }).pipe(Effect.scoped, Effect.provide(ObjectStore.layer({ capacity: 1_000, threshold: 0 })))
)

const bad = { kind: "Uint8Array", data: "no base 64!" } as const

// --- Actors ---

class Summer extends Actor.Service<Summer>()("test/Summer", {
  Sum: { payload: { bytes: Bytes }, success: Schema.Int, error: ObjectStore.ObjectUnavailable },
  Make: { payload: { length: Schema.Int }, success: Bytes }
}) {}

const SummerLive = Summer.behavior(
  Effect.gen(function* () {
    const store = yield* ObjectStore.ObjectStore
    return Summer.of({
      Sum: ({ bytes }) => Effect.map(store.get(bytes), (values) => values.reduce((a, b) => a + b, 0)),
      Make: ({ length }) =>
        Effect.scoped(
          Effect.orDie(Effect.flatMap(store.put(new Uint8Array(length).fill(1)), (ref) => store.handOver(ref)))
        )
    })
  })
)

it.effect("B8 a reference stands in an actor's message, and comes back in a reply", () =>
  Effect.gen(function* () {
    const summer = yield* Actor.spawn(SummerLive)
    const bytes = yield* ObjectStore.put(Uint8Array.of(1, 2, 3))
    assert.strictEqual(yield* summer.ask.Sum({ bytes }), 6)
    const made = yield* summer.ask.Make({ length: 10 })
    yield* ObjectStore.hold(made)
    assert.strictEqual(yield* summer.ask.Sum({ bytes: made }), 10)
    assert.deepStrictEqual((yield* ObjectStore.statistics).references, 2)
    const gone = yield* Effect.scoped(ObjectStore.put(Uint8Array.of(1)))
    const error = yield* Effect.flip(summer.ask.Sum({ bytes: gone }))
    assert.strictEqual(error._tag, "ObjectUnavailable")
  }).pipe(withStore)
)

it.effect("B8 two layers are two stores", () =>
  Effect.gen(function* () {
    const other = Layer.fresh(Store)
    const a = yield* Effect.map(ObjectStore.ObjectStore, ({ id }) => id)
    const b = yield* Effect.provide(
      Effect.map(ObjectStore.ObjectStore, ({ id }) => id),
      other
    )
    assert.notStrictEqual(a, b)
  }).pipe(withStore)
)
