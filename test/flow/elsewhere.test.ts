/** Actions that run elsewhere than the flow: in actors, in a worker thread, and through hooks. */
import { Worker } from "node:worker_threads"
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Option, Queue, Schema, Stream } from "effect"
import { Actor, ActorContext, ActorRef } from "effect-otp"
import { Flow } from "effect-otp/flow"
import { GpuDevice, Kernel } from "effect-otp/gpu"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"
import { Brush, brush, Chat, ChatFlow, Gpu, initial, NoPaint, say } from "./chat.ts"
import { codecsOf, type Reply } from "./wire.ts"

const GpuLive = Gpu.behavior(Effect.succeed(Gpu.of(Flow.handlers(ChatFlow, "gpu"))))

/** A session whose tagged actions go to `gpu`: needs no brush. */
const startOn = (gpu: ActorRef.ActorRef<Gpu>) =>
  Flow.start(ChatFlow, { initial, runners: [Flow.on(ChatFlow, "gpu", gpu)] })

// --- Actors ---

it.effect("B5 actions with a tag run in an actor, which alone needs what they need; the others stay local", () =>
  Effect.gen(function* () {
    const gpu = yield* Actor.spawn(GpuLive).pipe(Effect.provideService(Brush, brush))
    const session = yield* startOn(gpu)
    const { state } = yield* session.run({ ...say("draw a cat"), haltAfter: ["count"] })
    assert.deepStrictEqual(state, { user: "ann", prompt: "draw a cat", mode: "image", reply: "<a cat>", turns: 1 })
  })
)

it.effect("B5 a streaming action streams from the actor", () =>
  Effect.gen(function* () {
    const gpu = yield* Actor.spawn(GpuLive).pipe(Effect.provideService(Brush, brush))
    const session = yield* startOn(gpu)
    const seen = yield* Stream.runCollect(session.stream(say("bye")))
    assert.deepStrictEqual(
      seen.flatMap((each) => (each._tag === "Item" ? [each.item] : [])),
      ["you said: ", "bye"]
    )
    assert.strictEqual((yield* session.state).reply, "you said: bye")
  })
)

it.effect("B7 only the keys that an action reads travel to where it runs", () =>
  Effect.gen(function* () {
    const sent: Array<unknown> = []
    const Spying = Gpu.behavior(
      Effect.succeed(
        Gpu.of({
          draw: (read) => Effect.map(ActorContext.message, ({ tag }) => (sent.push([tag, read]), { reply: "spied" })),
          answer: (read) => (sent.push(["answer", read]), Stream.make(Flow.done({ reply: "spied" })))
        })
      )
    )
    const session = yield* startOn(yield* Actor.spawn(Spying))
    yield* session.run({ ...say("draw a cat"), haltAfter: ["count"] })
    yield* session.run(say("bye"))
    assert.deepStrictEqual(sent, [
      ["draw", { prompt: "draw a cat" }],
      ["answer", { prompt: "bye" }]
    ])
    assert.deepStrictEqual(Object.keys(yield* session.state), ["user", "turns", "prompt", "mode", "reply"])
  })
)

it.effect("B7 the same holds for an action that stays: nothing but what it reads can be seen", () =>
  Effect.gen(function* () {
    const seen: Array<unknown> = []
    const look = Chat.action("look", {
      reads: ["user"],
      inputs: { how: Schema.String },
      run: (read) => Effect.sync(() => void seen.push(read))
    })
    const flow = Flow.make("looking", { state: Chat, actions: [look], entry: "look", transitions: [] })
    const session = yield* Flow.start(flow, { initial })
    yield* session.run({ inputs: { look: { how: "closely" } } })
    assert.deepStrictEqual(seen, [{ user: "ann", how: "closely" }])
  })
)

it.effect(
  "a declared error comes back as it was; one of the actor itself is an AskError; the state is that of before",
  () =>
    Effect.gen(function* () {
      const gpu = yield* Actor.spawn(GpuLive).pipe(Effect.provideService(Brush, brush))
      const session = yield* startOn(gpu)
      const declared = yield* Effect.flip(session.run(say("draw a dragon")))
      assert(declared._tag === "ActionFailed" && declared.error._tag === "NoPaint")
      assert.strictEqual(declared.error.prompt, "draw a dragon")
      yield* Actor.stop(gpu)
      const gone = yield* Effect.flip(session.step())
      assert(gone._tag === "ActionFailed" && gone.error._tag === "AskError")
      assert.deepStrictEqual([gone.error.reason._tag, gone.action], ["NotRunning", "draw"])
      assert.deepStrictEqual<unknown>(yield* session.state, { ...initial, prompt: "draw a dragon", mode: "image" })
    })
)

it.effect("waits for the actor as long as the ref says", () =>
  Effect.gen(function* () {
    const Slow = Gpu.behavior(
      Effect.succeed(
        Gpu.of({ draw: () => Effect.delay(Effect.succeed({ reply: "late" }), "1 minute"), answer: () => Stream.empty })
      )
    )
    const gpu = yield* Actor.spawn(Slow)
    const session = yield* startOn(gpu.pipe(ActorRef.withTimeout("2 minutes")))
    const run = yield* Effect.forkChild(session.run({ ...say("draw a cat"), haltAfter: ["draw"] }), {
      startImmediately: true
    })
    yield* TestClock.adjust("1 minute")
    assert.strictEqual((yield* Fiber.join(run)).state.reply, "late")
  })
)

it.effect("B5 a pool takes turns, and a session never knows", () =>
  Effect.gen(function* () {
    const painted: Array<number> = []
    const member = (n: number) =>
      Actor.spawn(GpuLive).pipe(
        Effect.provideService(Brush, {
          draw: () => Effect.sync(() => `by ${painted.push(n)}`)
        })
      )
    const members = [yield* member(1), yield* member(2)]
    let turn = 0
    const next = () => members[turn++ % members.length]!
    const pool = {
      ask: { draw: (read: { readonly prompt: string }) => Effect.suspend(() => next().ask.draw(read)) },
      stream: { answer: (read: { readonly prompt: string }) => Stream.suspend(() => next().stream.answer(read)) }
    }
    for (let i = 0; i < 4; i++) {
      const session = yield* Flow.start(ChatFlow, { initial, runners: [Flow.on(ChatFlow, "gpu", pool)] })
      yield* session.run({ ...say("draw a cat"), haltAfter: ["draw"] })
    }
    assert.deepStrictEqual(painted, [1, 2, 1, 2])
  })
)

const Field = Flow.state("test/Field", { heights: Schema.Array(Schema.Finite), steps: Schema.Int })
const Smoothing = Flow.make("smoothing", {
  state: Field,
  actions: [
    Field.action("smooth", {
      reads: ["heights"],
      writes: ["heights"],
      tags: ["gpu"],
      run: () => Effect.die("only on the device")
    }),
    Field.action("count", {
      reads: ["steps"],
      writes: ["steps"],
      run: ({ steps }) => Effect.succeed({ steps: steps + 1 })
    })
  ],
  entry: "smooth",
  transitions: [
    Field.to("smooth", "count"),
    Field.to("count", "smooth", { reads: ["steps"], when: ({ steps }) => steps < 2 })
  ]
})

class Device extends Actor.Service<Device>()("test/Device", Flow.protocol(Smoothing, "gpu")) {}

const smooth = Kernel.make("smooth", {
  args: [Kernel.tensor(4)],
  output: [4],
  body: function (v) {
    return (v[this.thread.x]! + v[(this.thread.x + 1) % 4]!) / 2
  }
})

it.effect("B5 an action runs as a kernel on a device that its actor owns, the next one here", () =>
  Effect.gen(function* () {
    const DeviceLive = Device.behavior(
      Effect.gen(function* () {
        const kernel = yield* Kernel.compile(smooth)
        return Device.of({
          smooth: ({ heights }) =>
            Effect.map(kernel.run(Float32Array.from(heights)), (out) => ({ heights: Array.from(out) }))
        })
      })
    )
    const device = yield* Actor.spawn(DeviceLive)
    const session = yield* Flow.start(Smoothing, {
      initial: { heights: [8, 0, 0, 0], steps: 0 },
      runners: [Flow.on(Smoothing, "gpu", device)]
    })
    const { halted, state } = yield* session.run()
    assert.deepStrictEqual([halted, state], ["end", { heights: [2, 0, 2, 4], steps: 2 }])
  }).pipe(Effect.provide(GpuDevice.layer({ prefer: ["cpu"] })))
)

// --- A worker thread ---

/** The actor here that stands for the one in the thread: everything crosses as text. */
const inThread = Effect.gen(function* () {
  const sent: Array<string> = []
  const thread = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new Worker(new URL("./thread.ts", import.meta.url), {
          execArgv: ["--conditions=effect-otp/source", "--no-warnings"]
        })
    ),
    (worker) => Effect.promise(() => worker.terminate())
  )
  let last = 0
  const request = (tag: keyof typeof Gpu.protocol, read: unknown): Stream.Stream<unknown, unknown> => {
    const codecs = codecsOf(Gpu.protocol[tag])
    const replies = Stream.callback<Reply, Error>((queue) =>
      Effect.gen(function* () {
        const id = ++last
        const onMessage = (reply: Reply) => void (reply.id === id && Queue.offerUnsafe(queue, reply))
        const onError = (error: Error) => void Queue.failCauseUnsafe(queue, Cause.fail(error))
        thread.on("message", onMessage).on("error", onError)
        yield* Effect.addFinalizer(() => Effect.sync(() => void thread.off("message", onMessage).off("error", onError)))
        const payload = yield* codecs.payload.encode(read)
        sent.push(payload)
        thread.postMessage({ id, tag, payload })
      })
    )
    return replies.pipe(
      Stream.takeWhile(({ _tag }) => _tag !== "End"),
      Stream.mapEffect((reply) => {
        if (reply._tag === "End") return Effect.void
        if (reply._tag === "Failure") return Effect.flatMap(codecs.error.decode(reply.value), Effect.fail)
        return codecs.success.decode(reply.value)
      })
    )
  }
  const one = (tag: keyof typeof Gpu.protocol, read: unknown) =>
    Effect.flatMap(Stream.runHead(request(tag, read)), Effect.fromOption)
  const gpu = yield* Actor.spawn(
    Gpu.behavior(
      Effect.succeed(
        Gpu.of({
          draw: (read) => one("draw", read) as Effect.Effect<{ readonly reply: string }, NoPaint>,
          answer: (read) => request("answer", read) as Stream.Stream<string | Flow.Done<{ readonly reply: string }>>
        })
      )
    )
  )
  return { gpu, sent }
})

it.live(
  "B5 B7 tagged actions run in a worker thread, with what they read as text, in one program with local ones",
  () =>
    Effect.gen(function* () {
      const { gpu, sent } = yield* inThread
      const session = yield* startOn(gpu.pipe(ActorRef.withTimeout("30 seconds")))
      const drawn = yield* session.run({ ...say("draw a cat"), haltAfter: ["count"] })
      assert.strictEqual(drawn.state.reply, "<a cat> by thread")
      const dragon = yield* Effect.flip(session.run({ ...say("draw a dragon"), haltAfter: ["count"] }))
      assert(dragon._tag === "ActionFailed")
      assert.deepStrictEqual(dragon.error, new NoPaint({ prompt: "draw a dragon" }))
      const other = yield* startOn(gpu)
      const seen = yield* Stream.runCollect(other.stream(say("bye")))
      assert.deepStrictEqual(
        seen.flatMap((each) => (each._tag === "Item" ? [each.item] : [])),
        ["you said: ", "bye"]
      )
      assert.deepStrictEqual(sent, ['{"prompt":"draw a cat"}', '{"prompt":"draw a dragon"}', '{"prompt":"bye"}'])
    }).pipe(quiet)
)

// --- Hooks ---

it.effect("hooks wrap every action, the first outermost, wherever it runs; one after a runner sees what stays", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const hook = (name: string) =>
      Flow.around((call, next) => {
        log.push(`${name} > ${call.step} ${call.action} ${Object.keys(call.read)}`)
        return Effect.tap(next, (written) => Effect.sync(() => log.push(`${name} < ${Object.keys(written)}`)))
      })
    const gpu = yield* Actor.spawn(GpuLive).pipe(Effect.provideService(Brush, brush))
    const session = yield* Flow.start(ChatFlow, {
      initial,
      runners: [hook("out"), Flow.on(ChatFlow, "gpu", gpu), hook("in")]
    })
    yield* session.run({ ...say("draw a cat"), haltAfter: ["draw"] })
    assert.deepStrictEqual(log, [
      "out > 1 ask text",
      "in > 1 ask text",
      "in < prompt",
      "out < prompt",
      "out > 2 classify prompt",
      "in > 2 classify prompt",
      "in < mode",
      "out < mode",
      "out > 3 draw prompt",
      "out < reply"
    ])
  })
)

class Denied extends Schema.TaggedError<Denied>()("Denied", { action: Schema.String }) {}

it.effect("a hook may refuse with an error of its own, do it again, or write something else, which is checked", () =>
  Effect.gen(function* () {
    const denies = yield* Flow.start(ChatFlow, {
      initial,
      runners: [Flow.around((call, next) => (call.tags.includes("gpu") ? new Denied({ action: call.action }) : next))]
    }).pipe(Effect.provideService(Brush, brush))
    const denied = yield* Effect.flip(denies.run(say("draw a cat")))
    assert(denied._tag === "ActionFailed" && denied.error._tag === "Denied")
    assert.strictEqual(denied.error.action, "draw")

    const replaces = yield* Flow.start(ChatFlow, {
      initial,
      runners: [
        Flow.around((call, next) => (call.action === "draw" ? Effect.succeed({ reply: "kept from before" }) : next)),
        Flow.around((call, next) => (call.action === "count" ? Effect.succeed({ turns: "many" }) : next))
      ]
    }).pipe(Effect.provideService(Brush, brush))
    const wrong = yield* Effect.flip(replaces.run(say("draw a cat")))
    assert.strictEqual((yield* replaces.state).reply, "kept from before")
    assert(wrong._tag === "StateError" && wrong.reason._tag === "InvalidValue")
    assert.deepStrictEqual([wrong.where, wrong.reason.key], ["count", "turns"])
    assert.deepStrictEqual(yield* replaces.next, Option.some("count"))
  })
)
