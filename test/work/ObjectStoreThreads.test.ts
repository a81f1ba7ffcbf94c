/** The object store across real worker threads: nothing large is copied, and the counts are right whatever a thread does. */
import { type MessagePort, Worker } from "node:worker_threads"
import { afterAll, assert, it, vi } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { ObjectStore } from "effect-otp"
import { type Command, Floats, Rows } from "./objectWire.ts"

// Threads take their time to start where much else goes on.
vi.setConfig({ testTimeout: 60_000 })

interface Reply {
  readonly value?: unknown
  readonly error?: readonly [string, string?]
}

/** Threads take long to start: one that has not been terminated serves the next test, which opens its own store in it. */
const idle: Array<Worker> = []
afterAll(() => Promise.all(idle.map((worker) => worker.terminate())))

const makeWorker = () =>
  new Worker(new URL("./objectThread.ts", import.meta.url), {
    execArgv: ["--conditions=effect-otp/source", "--no-warnings"]
  })

/** A thread that has opened the store, its end, and how to talk to it. */
const startThread = Effect.gen(function* () {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const port = yield* Scope.provide(ObjectStore.port, scope)
  let isAlive = true
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() => idle.pop() ?? makeWorker()),
    (worker) => Effect.sync(() => isAlive && idle.push(worker))
  )
  const say = (command: Command, ...transfer: Array<MessagePort>) =>
    Effect.callback<Reply>((resume) => {
      const onError = (error: unknown) => resume(Effect.die(error))
      worker.once("error", onError)
      worker.once("message", (reply: Reply) => {
        worker.off("error", onError)
        resume(Effect.succeed(reply))
      })
      worker.postMessage(command, transfer)
    })
  const ask = (command: Command) =>
    Effect.flatMap(say(command), ({ error, value }) =>
      error === undefined ? Effect.succeed(value) : Effect.die(error)
    )
  yield* say({ _tag: "open", port }, port)
  const disconnect = Scope.close(scope, Exit.void)
  const terminate = Effect.promise(() => {
    isAlive = false
    return worker.terminate()
  })
  return { ask, say, terminate, disconnect }
})

const withStore = <A, E>(effect: Effect.Effect<A, E, ObjectStore.ObjectStore | Scope.Scope>) =>
  effect.pipe(Effect.scoped, Effect.provide(ObjectStore.layer({ capacity: "300 MB", threshold: 100 }), { local: true }))

const encode = Schema.encodeEffect(Floats)

const references = Effect.map(ObjectStore.statistics, (statistics) => statistics.references)

/** Counts go down when the news of it arrives, a turn of the event loop or two later. */
const turns = (condition: Effect.Effect<boolean, ObjectStore.StoreClosed, ObjectStore.ObjectStore>) =>
  Effect.repeat(
    Effect.andThen(
      Effect.promise(() => new Promise((resolve) => setImmediate(resolve))),
      condition
    ),
    { until: (is) => is, times: 10_000 }
  )
const settled = (count: number) => turns(Effect.map(references, (now) => now === count))

const closed = <R>(effect: Effect.Effect<unknown, ObjectStore.ObjectUnavailable, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason._tag)

it.live("B8 100 MB are not copied to a thread: each side sees what the other writes", () =>
  Effect.gen(function* () {
    const thread = yield* startThread
    const ref = yield* ObjectStore.put(new Float32Array(25_000_000))
    assert.strictEqual(ref.bytes, 100_000_000)
    const floats = yield* ObjectStore.get(ref)
    const encoded = yield* encode(ref)
    assert.isBelow(JSON.stringify(encoded).length, 100)
    floats[0] = 42
    assert.strictEqual(yield* thread.ask({ _tag: "write", ref: encoded, at: 24_999_999, value: 7 }), 42)
    assert.strictEqual(floats[24_999_999], 7)
    assert.strictEqual((yield* ObjectStore.get(ref)).buffer, floats.buffer)
  }).pipe(withStore)
)

it.live("B8 what a thread puts is not copied back: it is held there, handed over, and seen here", () =>
  Effect.gen(function* () {
    const thread = yield* startThread
    const sent = yield* thread.ask({ _tag: "put", length: 1_000_000, scope: "a", handOver: true })
    yield* thread.ask({ _tag: "close", scope: "a" })
    const ref = yield* Schema.decodeUnknownEffect(Floats)(sent)
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* ObjectStore.hold(ref)
        yield* settled(1)
        const floats = yield* ObjectStore.get(ref)
        assert.strictEqual(floats[999_999], 3)
        floats[0] = 8
        assert.strictEqual(yield* thread.ask({ _tag: "write", ref: sent, at: 1, value: 9 }), 8)
        assert.strictEqual(floats[1], 9)
      })
    )
    yield* settled(0)
    assert.strictEqual((yield* ObjectStore.statistics).bytes, 0)
    assert.strictEqual(yield* closed(ObjectStore.get(ref)), "Freed")
  }).pipe(withStore)
)

it.live("B8 from thread to thread, past the process's own", () =>
  Effect.gen(function* () {
    const [a, b] = [yield* startThread, yield* startThread]
    const sent = yield* a.ask({ _tag: "put", length: 1_000, scope: "a" })
    assert.strictEqual(yield* b.ask({ _tag: "write", ref: sent, at: 0, value: 5 }), 3)
    assert.strictEqual(yield* a.ask({ _tag: "write", ref: sent, at: 0, value: 6 }), 5)
    assert.strictEqual((yield* ObjectStore.statistics).threads, 2)
  }).pipe(withStore)
)

const rows = Array.from({ length: 100 }, (_, n) => ({ name: `räw ${n} ✓`, at: new Date(n), tags: new Set(["x", "y"]) }))

it.live("B8 other values are encoded once by their schema, and decoded in the thread", () =>
  Effect.gen(function* () {
    const thread = yield* startThread
    const ref = yield* ObjectStore.put(rows)
    const encoded = yield* Schema.encodeEffect(Rows)(ref)
    assert.isUndefined(encoded.inline)
    assert.deepStrictEqual(yield* thread.ask({ _tag: "rows", ref: encoded }), rows)
    const back = yield* thread.ask({ _tag: "put-rows", rows, scope: "a" })
    const theirs = yield* Schema.decodeUnknownEffect(Rows)(back)
    assert.deepStrictEqual(yield* ObjectStore.get(theirs), rows)
    assert.strictEqual(yield* ObjectStore.get(theirs), yield* ObjectStore.get(theirs))
  }).pipe(withStore)
)

it.live("B8 below the threshold the object travels inside its reference, and needs no count", () =>
  Effect.gen(function* () {
    const thread = yield* startThread
    const small = yield* Effect.scoped(Effect.flatMap(ObjectStore.put(Float32Array.of(1, 2)), encode))
    assert.strictEqual(yield* thread.ask({ _tag: "get", ref: small }), 2)
    const back = yield* thread.ask({ _tag: "put", length: 3, scope: "a" })
    yield* thread.ask({ _tag: "close", scope: "a" })
    const ref = yield* Schema.decodeUnknownEffect(Floats)(back)
    assert.deepStrictEqual([...(yield* ObjectStore.get(ref))], [3, 3, 3])
  }).pipe(withStore)
)

it.live("B8 a thread that holds an object counts once, and keeps it alive until it lets go", () =>
  Effect.gen(function* () {
    const thread = yield* startThread
    const encoded = yield* Effect.scoped(
      Effect.gen(function* () {
        const ref = yield* ObjectStore.put(new Float32Array(100))
        const encoded = yield* encode(ref)
        yield* thread.ask({ _tag: "hold", ref: encoded, scope: "a" })
        yield* thread.ask({ _tag: "hold", ref: encoded, scope: "a" })
        yield* thread.ask({ _tag: "hold", ref: encoded, scope: "b" })
        yield* thread.ask({ _tag: "get", ref: encoded })
        assert.strictEqual(yield* references, 2)
        return encoded
      })
    )
    assert.strictEqual(yield* references, 1)
    yield* thread.ask({ _tag: "close", scope: "a" })
    assert.strictEqual(yield* thread.ask({ _tag: "get", ref: encoded }), 100)
    yield* thread.ask({ _tag: "close", scope: "b" })
    assert.deepStrictEqual((yield* thread.say({ _tag: "get", ref: encoded })).error, ["ObjectUnavailable", "Freed"])
    assert.strictEqual((yield* ObjectStore.statistics).bytes, 0)
  }).pipe(withStore)
)

for (const [how, busy] of [
  ["is idle", false],
  ["spins in a loop", true]
] as const) {
  it.live(`B8 all that a thread holds is given back when it is terminated while it ${how}`, () =>
    Effect.gen(function* () {
      const thread = yield* startThread
      const ref = yield* ObjectStore.put(new Float32Array(100))
      yield* thread.ask({ _tag: "hold", ref: yield* encode(ref), scope: "a" })
      yield* thread.ask({ _tag: "put", length: 1_000, scope: "a" })
      assert.strictEqual(yield* references, 3)
      if (busy) yield* thread.say({ _tag: "spin" })
      yield* thread.terminate
      yield* settled(1)
      assert.deepInclude(yield* ObjectStore.statistics, { bytes: 400, references: 1, threads: 0 })
    }).pipe(withStore)
  )
}

it.live("B8 a thread that is disconnected is told so, and holds nothing", () =>
  Effect.gen(function* () {
    const thread = yield* startThread
    const ref = yield* ObjectStore.put(new Float32Array(100))
    const encoded = yield* encode(ref)
    yield* thread.ask({ _tag: "hold", ref: encoded, scope: "a" })
    yield* thread.disconnect
    assert.deepInclude(yield* ObjectStore.statistics, { references: 1, threads: 0 })
    // Waits for an answer, so it has heard of the end by then.
    assert.strictEqual((yield* thread.say({ _tag: "put", length: 1_000, scope: "a" })).error?.[0], "StoreClosed")
    const again = yield* thread.say({ _tag: "get", ref: encoded })
    assert.deepStrictEqual(again.error, ["ObjectUnavailable", "StoreClosed"])
  }).pipe(withStore)
)

it.live("B8 a full store refuses a thread too, and a foreign reference", () =>
  Effect.gen(function* () {
    const thread = yield* startThread
    yield* ObjectStore.put(new Uint8Array(1), { bytes: 299_999_000 })
    const refused = yield* thread.say({ _tag: "put", length: 1_000, scope: "a" })
    assert.deepStrictEqual(refused.error, ["StoreFull", "capacity"])
    assert.strictEqual(yield* references, 1)
    const foreign = yield* thread.say({ _tag: "get", ref: { store: "elsewhere", object: 1, bytes: 4 } })
    assert.deepStrictEqual(foreign.error, ["ObjectUnavailable", "Foreign"])
  }).pipe(withStore)
)

it.live("B8 what does not fit the schema of the thread is refused there", () =>
  Effect.gen(function* () {
    const thread = yield* startThread
    const ref = yield* ObjectStore.put(new Int8Array(200))
    const encoded = yield* Schema.encodeEffect(ObjectStore.Ref(ObjectStore.View(Int8Array)))(ref)
    const refused = yield* thread.say({ _tag: "get", ref: encoded })
    assert.deepStrictEqual(refused.error, ["ObjectUnavailable", "Undecodable"])
    assert.deepStrictEqual((yield* thread.say({ _tag: "rows", ref: encoded })).error?.[1], "Undecodable")
    const floats = yield* encode(yield* ObjectStore.put(new Float32Array(100)))
    yield* thread.ask({ _tag: "hold", ref: floats, scope: "a" })
    assert.strictEqual(yield* thread.ask({ _tag: "get", ref: floats }), 100)
    assert.deepStrictEqual((yield* thread.say({ _tag: "rows", ref: floats })).error?.[1], "Undecodable")
  }).pipe(withStore)
)

it.live("B8 so is a view where there is none", () =>
  withGuest((guest) =>
    Effect.gen(function* () {
      const encoded = yield* Schema.encodeEffect(Rows)(yield* ObjectStore.put<Rows>(rows))
      const floats = yield* Schema.decodeEffect(Floats)(encoded)
      assert.strictEqual(yield* closed(guest.get(floats)), "Undecodable")
      yield* guest.statistics
      assert.strictEqual(yield* references, 1)
    })
  )
)

it.live("B8 what was decoded by one schema is not given to who asks by another", () =>
  withGuest((guest) =>
    Effect.gen(function* () {
      const encoded = yield* Schema.encodeEffect(Rows)(yield* guest.put<Rows>(rows))
      const theirs = yield* Schema.decodeEffect(Rows)(encoded)
      assert.deepStrictEqual(yield* ObjectStore.get(theirs), rows)
      const Other = ObjectStore.Ref(Schema.Array(Schema.Struct({ other: Schema.Int })))
      assert.strictEqual(yield* closed(ObjectStore.get(yield* Schema.decodeEffect(Other)(encoded))), "Undecodable")
    })
  )
)

it.live("B8 a thread sees the same statistics", () =>
  Effect.gen(function* () {
    const thread = yield* startThread
    yield* ObjectStore.put(new Float32Array(100), { label: "picture" })
    const theirs = (yield* thread.ask({ _tag: "statistics" })) as ObjectStore.Statistics
    assert.deepInclude(theirs, { bytes: 400, references: 1, threads: 1 })
    assert.strictEqual(theirs.objects[0]?.label, "picture")
  }).pipe(withStore)
)

it.live("B8 a port that leads nowhere opens no store", () =>
  Effect.gen(function* () {
    const { port1, port2 } = new MessageChannel()
    port2.close()
    const opened = yield* Effect.flip(Effect.provide(ObjectStore.statistics, ObjectStore.layerPort(port1)))
    assert.strictEqual(opened._tag, "StoreClosed")
  })
)

it.live("B8 a store that is opened by its port cannot be passed on", () =>
  Effect.gen(function* () {
    const port = yield* ObjectStore.port
    const opened = yield* Effect.flip(Effect.provide(ObjectStore.port, ObjectStore.layerPort(port), { local: true }))
    assert.strictEqual(opened._tag, "InsideThread")
  }).pipe(withStore)
)

// --- What is on its way when it is given up. Both ends in this thread: what goes through the port is the same. ---

const withGuest = <A, E>(
  f: (guest: ObjectStore.ObjectStore["Service"]) => Effect.Effect<A, E, ObjectStore.ObjectStore | Scope.Scope>
) =>
  Effect.gen(function* () {
    const port = yield* ObjectStore.port
    const context = yield* Layer.buildWithScope(ObjectStore.layerPort(port), yield* Effect.scope)
    return yield* f(Context.get(context, ObjectStore.ObjectStore))
  }).pipe(withStore)

const interrupted = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.scoped(effect), { startImmediately: true })
    assert.isUndefined(fiber.pollUnsafe())
    yield* Fiber.interrupt(fiber)
  })

it.live("B8 a thread that gives up before the answer comes leaves nothing behind", () =>
  withGuest((guest) =>
    Effect.gen(function* () {
      yield* interrupted(guest.put(new Float32Array(1_000)))
      const ref = yield* ObjectStore.put(new Float32Array(100))
      const theirs = yield* Schema.decodeEffect(Floats)(yield* encode(ref))
      yield* interrupted(guest.hold(theirs))
      yield* interrupted(guest.get(theirs))
      // Answered after all that was sent before it.
      yield* guest.statistics
      yield* guest.statistics
      assert.deepInclude(yield* ObjectStore.statistics, { bytes: 400, references: 1 })
      // Also where the Scope goes on.
      for (const given of [guest.put(new Float32Array(1_000)), guest.hold(theirs)]) {
        const fiber = yield* Effect.forkChild(given, { startImmediately: true })
        yield* Fiber.interrupt(fiber)
      }
      yield* guest.statistics
      yield* guest.statistics
      assert.deepInclude(yield* ObjectStore.statistics, { bytes: 400, references: 1 })
    })
  )
)

it.live("B8 users in one thread share one loan, also while it is on its way and when one of them gives up", () =>
  withGuest((guest) =>
    Effect.gen(function* () {
      const ref = yield* ObjectStore.put(new Float32Array(100))
      const theirs = yield* Schema.decodeEffect(Floats)(yield* encode(ref))
      const patient = yield* Effect.forkChild(guest.hold(theirs), { startImmediately: true })
      yield* interrupted(guest.hold(theirs))
      yield* Fiber.join(patient)
      const [a, b] = yield* Effect.all([guest.get(theirs), guest.get(theirs)], { concurrency: 2 })
      assert.strictEqual(a, b)
      assert.strictEqual(yield* references, 2)
    })
  )
)

/** Put here and handed over, as a thread receives it. */
const handedOver = (bytes: number) =>
  Effect.gen(function* () {
    const ref = yield* Effect.scoped(
      Effect.flatMap(ObjectStore.put(new Float32Array(bytes / 4)), (ref) => ObjectStore.handOver(ref))
    )
    return yield* Schema.decodeEffect(Floats)(yield* encode(ref))
  })

it.live("B8 to read in a thread what was handed over to it does not use it up", () =>
  withGuest((guest) =>
    Effect.gen(function* () {
      const theirs = yield* handedOver(400)
      for (const _ of [1, 2]) assert.strictEqual((yield* guest.get(theirs)).length, 100)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* guest.hold(theirs)
          assert.strictEqual(yield* references, 1)
        })
      )
      yield* guest.statistics
      assert.strictEqual(yield* references, 0)
    })
  )
)

it.live(
  "B8 a thread takes over what it is sent also when it holds the object already, or got it with its reference",
  () =>
    withGuest((guest) =>
      Effect.gen(function* () {
        const ref = yield* ObjectStore.put(new Float32Array(100))
        yield* guest.hold(yield* Schema.decodeEffect(Floats)(yield* encode(ref)))
        const again = yield* ObjectStore.handOver(ref)
        assert.strictEqual(yield* references, 3)
        yield* guest.hold(yield* Schema.decodeEffect(Floats)(yield* encode(again)))
        yield* guest.statistics
        assert.strictEqual(yield* references, 2)
        const small = yield* handedOver(8)
        assert.strictEqual(yield* references, 3)
        yield* guest.hold(small)
        yield* guest.statistics
        assert.strictEqual(yield* references, 2)
        assert.strictEqual((yield* guest.get(small)).length, 2)
      })
    )
)

it.live("B8 what a thread hands over is the receiver's here, and no other's", () =>
  withGuest((guest) =>
    Effect.gen(function* () {
      const ref = yield* Effect.scoped(Effect.flatMap(guest.put(new Float32Array(100)), (ref) => guest.handOver(ref)))
      yield* guest.statistics
      const ours = yield* encode(ref)
      const { sent, ...plain } = ours
      assert.isDefined(sent)
      yield* Effect.scoped(ObjectStore.hold(yield* Schema.decodeEffect(Floats)(plain)))
      assert.strictEqual(yield* references, 1)
      yield* Effect.scoped(ObjectStore.hold(yield* Schema.decodeEffect(Floats)(ours)))
      assert.strictEqual(yield* references, 0)
    })
  )
)

it.live("B8 what a thread hands over may be encoded after it has let go of it, as a reply is", () =>
  withGuest((guest) =>
    Effect.gen(function* () {
      const ref = yield* Effect.scoped(
        Effect.flatMap(guest.put<Rows>(rows, { bytes: 10_000 }), (ref) => guest.handOver(ref))
      )
      assert.deepStrictEqual(yield* guest.get(ref), rows)
      const ours = yield* Schema.decodeEffect(Rows)(yield* Schema.encodeEffect(Rows)(ref))
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* ObjectStore.hold(ours)
          assert.deepStrictEqual(yield* ObjectStore.get(ours), rows)
        })
      )
      assert.strictEqual(yield* references, 0)
      assert.strictEqual(yield* closed(guest.get(ref)), "Freed")
    })
  )
)

it.live("B8 thousands of objects of a thread are given back one by one, or all at once when its port closes", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const port = yield* Scope.provide(ObjectStore.port, scope)
    const opened = yield* Layer.buildWithScope(ObjectStore.layerPort(port), yield* Effect.scope)
    const guest = Context.get(opened, ObjectStore.ObjectStore)
    const ref = yield* ObjectStore.put(new Float32Array(100))
    const theirs = yield* Schema.decodeEffect(Floats)(yield* encode(ref))
    const many = Effect.forEach(Array.from({ length: 2_000 }), () =>
      Effect.andThen(guest.put(new Uint8Array(10)), guest.hold(theirs))
    )
    yield* Effect.scoped(many)
    yield* guest.statistics
    assert.deepInclude(yield* ObjectStore.statistics, { bytes: 400, references: 1 })
    yield* many
    assert.deepInclude(yield* ObjectStore.statistics, { bytes: 20_400, references: 2_002, threads: 1 })
    yield* Scope.close(scope, Exit.void)
    assert.deepInclude(yield* ObjectStore.statistics, { bytes: 400, references: 1, threads: 0 })
  }).pipe(withStore)
)

it.live("B8 what waits for a store that closes is told so", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const built = yield* Layer.buildWithScope(Layer.fresh(ObjectStore.layer({ capacity: 1_000 })), scope)
    const port = yield* Effect.provide(ObjectStore.port, built)
    const opened = yield* Layer.buildWithScope(ObjectStore.layerPort(port), yield* Effect.scope)
    const guest = Context.get(opened, ObjectStore.ObjectStore)
    const waiting = yield* Effect.forkChild(Effect.flip(guest.put(new Uint8Array(8))), { startImmediately: true })
    yield* Scope.close(scope, Exit.void)
    assert.strictEqual((yield* Fiber.join(waiting))._tag, "StoreClosed")
    assert.strictEqual((yield* Effect.flip(guest.statistics))._tag, "StoreClosed")
  }).pipe(Effect.scoped)
)
