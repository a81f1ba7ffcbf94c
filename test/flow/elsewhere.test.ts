/** Actions that run elsewhere than the flow: in actors, in a worker thread, and through hooks. */
import { Worker } from "node:worker_threads"
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Option, Queue, Schema, Stream } from "effect"
import { Actor, ActorContext, ActorRef, Interceptor, PartitionSupervisor, Pool, Supervisor } from "effect-otp"
import { Flow } from "effect-otp/flow"
import { GpuDevice, Kernel } from "effect-otp/gpu"
import { TestClock } from "effect/testing"
import { quiet } from "../support/recording.ts"
import { Brush, brush, Chat, ChatFlow, Gpu, initial, NoPaint, say } from "./chat.ts"
import { type Answer, codecsOf, type Reply, type Request } from "./wire.ts"

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

// --- Several actors ---

/** Says which of the members drew, and takes a second for it. */
const slowly = (member: number) => Brush.of({ draw: () => Effect.delay(Effect.succeed(`by ${member}`), "1 second") })

it.effect("B2 B5 actions are given to several actors in turn and done at the same time, by who a function says", () =>
  Effect.gen(function* () {
    const spawn = (n: number) => Effect.provideService(Actor.spawn(GpuLive), Brush, slowly(n))
    const members = [yield* spawn(0), yield* spawn(1)]
    let turn = 0
    const calls: Array<Flow.Call> = []
    const pool = (call: Flow.Call) => (calls.push(call), members[turn++ % members.length]!)
    const draw = Effect.gen(function* () {
      const session = yield* Flow.start(ChatFlow, { initial, runners: [Flow.on(ChatFlow, "gpu", pool)] })
      return (yield* session.run({ ...say("draw a cat"), haltAfter: ["draw"] })).state.reply
    })
    const drawing = yield* Effect.forkChild(Effect.all([draw, draw, draw, draw], { concurrency: 4 }), {
      startImmediately: true
    })
    // Four seconds of work for two.
    yield* TestClock.adjust("2 seconds")
    assert.deepStrictEqual(yield* Fiber.join(drawing), ["by 0", "by 1", "by 0", "by 1"])
    // It is asked for the tagged actions only, and told what these are.
    assert.deepStrictEqual(
      calls.map(({ action, flow, id, read, step, tags }) => [flow, id, action, step, tags, read]),
      Array(4).fill(["chat", undefined, "draw", 3, ["gpu"], { prompt: "draw a cat" }])
    )
    const session = yield* Flow.start(ChatFlow, { initial, runners: [Flow.on(ChatFlow, "gpu", pool)] })
    assert.strictEqual((yield* session.run(say("bye"))).state.reply, "you said: bye")
  })
)

it.effect("B1 B5 B11 the ref of a pool does as any other: many sessions over few members, and each built once", () =>
  Effect.gen(function* () {
    let built = 0
    const MemberLive = Gpu.behavior(
      Effect.sync(() => {
        built++
        return Gpu.of({
          draw: ({ prompt }) => Effect.delay(Effect.succeed({ reply: `<${prompt}>` }), "1 second"),
          answer: ({ prompt }) => Stream.make("you said: ", prompt, Flow.done({ reply: prompt }))
        })
      })
    )
    const { services } = yield* Supervisor.start(
      Supervisor.make("app", { children: [Pool.child(MemberLive, { size: 2 })] })
    )
    const gpu = yield* Effect.provideContext(Gpu, services)
    const session = Flow.start(ChatFlow, { initial, runners: [Flow.on(ChatFlow, "gpu", gpu)] })
    const draw = (n: number) =>
      Effect.flatMap(session, (one) => one.run({ ...say(`draw ${n}`), haltAfter: ["draw"] })).pipe(
        Effect.map(({ state }) => state.reply)
      )
    const drawing = yield* Effect.forkChild(
      Effect.forEach(Array.from({ length: 8 }), (_, n) => draw(n), { concurrency: 8 }),
      { startImmediately: true }
    )
    yield* TestClock.adjust("4 seconds")
    assert.deepStrictEqual(
      yield* Fiber.join(drawing),
      Array.from({ length: 8 }, (_, n) => `<draw ${n}>`)
    )
    assert.strictEqual(built, 2)
    const seen = yield* Stream.runCollect((yield* session).stream(say("bye")))
    assert.deepStrictEqual(
      seen.flatMap((each) => (each._tag === "Item" ? [each.item] : [])),
      ["you said: ", "bye"]
    )
  })
)

class Gpus extends PartitionSupervisor.Service<Gpus>()("test/Gpus", Gpu) {}

it.effect("B2 B5 a session keeps to one of several supervised actors, which a crash of that one does not change", () =>
  Effect.gen(function* () {
    let crashes = 1
    const MemberLive = Gpu.behavior((partition: number) =>
      Effect.succeed(
        Gpu.of({
          draw: ({ prompt }) => {
            if (prompt === "draw a crash" && crashes-- > 0) return Effect.die("out of memory")
            return Effect.succeed({ reply: `by ${partition}` })
          },
          answer: () => Stream.make(Flow.done({ reply: `by ${partition}` }))
        })
      )
    )
    const tree = Supervisor.make("app", { children: [Gpus.child(MemberLive, { partitions: 3 })] })
    const { services } = yield* Supervisor.start(tree)
    const gpus = yield* Effect.provideContext(Gpus, services)
    const members = yield* gpus.all
    const replies: Array<unknown> = []
    for (const id of [1, 2, 4]) {
      const gpu = yield* gpus.at(id)
      const session = yield* Flow.start(ChatFlow, { initial, runners: [Flow.on(ChatFlow, "gpu", gpu)] })
      const turn = (text: string) => session.run({ ...say(text), haltAfter: ["count"] })
      replies.push((yield* turn("draw a cat")).state.reply, (yield* turn("hi")).state.reply)
    }
    assert.deepStrictEqual(replies, ["by 1", "by 1", "by 2", "by 2", "by 1", "by 1"])

    const session = yield* Flow.start(ChatFlow, { initial, runners: [Flow.on(ChatFlow, "gpu", members[0]!)] })
    const crashed = yield* Effect.flip(session.run({ ...say("draw a crash"), haltAfter: ["count"] }))
    assert(crashed._tag === "ActionFailed" && crashed.error._tag === "AskError")
    assert.strictEqual(crashed.error.reason._tag, "HandlerFailed")
    // The state is that of before, and so the restarted member can be asked again.
    assert.strictEqual((yield* session.run({ haltAfter: ["draw"] })).state.reply, "by 0")
  }).pipe(quiet)
)

it.effect("B4 B5 what looks on at messages looks on at actions, where they are sent from and where they run", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const looking = (name: string): Interceptor.Hooks => ({
      before: (call) => Effect.sync(() => log.push(`${name} ${call.tag} ${JSON.stringify(call.payload)}`))
    })
    const gpu = yield* Actor.spawn(
      GpuLive.pipe(Interceptor.apply(Interceptor.hooks({ handler: looking("there") })))
    ).pipe(Effect.provideService(Brush, brush))
    const session = yield* startOn(gpu.pipe(Interceptor.through(Interceptor.hooks({ caller: looking("here") }))))
    yield* session.run({ ...say("draw a cat"), haltAfter: ["count"] })
    assert.deepStrictEqual(log, ['here draw {"prompt":"draw a cat"}', 'there draw {"prompt":"draw a cat"}'])
  })
)

it.effect("of two runners that take an action the outer one does it", () =>
  Effect.gen(function* () {
    const painting = (reply: string) =>
      Actor.spawn(
        Gpu.behavior(
          Effect.succeed(Gpu.of({ draw: () => ({ reply }), answer: () => Stream.make(Flow.done({ reply })) }))
        )
      )
    const [outer, inner] = [yield* painting("outer"), yield* painting("inner")]
    const session = yield* Flow.start(ChatFlow, {
      initial,
      runners: [Flow.on(ChatFlow, "model", outer), Flow.on(ChatFlow, "gpu", inner)]
    })
    assert.strictEqual((yield* session.run({ ...say("draw a cat"), haltAfter: ["draw"] })).state.reply, "inner")
    const other = yield* Flow.start(ChatFlow, {
      initial,
      runners: [Flow.on(ChatFlow, "model", outer), Flow.on(ChatFlow, "gpu", inner)]
    })
    assert.strictEqual((yield* other.run(say("bye"))).state.reply, "outer")
  })
)

// --- The GPU ---

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

// --- Messages ---

const Log = Flow.state("test/Log", { day: Schema.Date, secret: Schema.String, lines: Schema.Int })
const Reading = Flow.make("reading", {
  state: Log,
  actions: [
    Log.streaming("read", {
      reads: ["day"],
      inputs: { since: Schema.Date },
      writes: ["day", "lines"],
      tags: ["far"],
      item: Schema.Json,
      run: ({ day, since }) => Stream.make(since.toISOString(), Flow.done({ day, lines: 1 }))
    })
  ],
  entry: "read",
  transitions: []
})

it.effect(
  "B7 a message has the keys read and the inputs, and no others; whatever items are, the end is told from them",
  () =>
    Effect.gen(function* () {
      const day = new Date("2031-05-06")
      const message = Flow.protocol(Reading, "far").read
      const { payload, success } = codecsOf(message)
      assert.deepStrictEqual(Object.keys(message.payload), ["day", "since"])
      const since = new Date("2031-05-01")
      const sent = yield* payload.encode({ day, since, secret: "hush" })
      assert.notInclude(sent, "hush")
      assert.deepStrictEqual(yield* payload.decode(sent), { day, since })
      const end = Flow.done({ day, lines: 1 })
      assert.deepStrictEqual<unknown>(yield* success.decode(yield* success.encode(end)), end)
      assert.deepStrictEqual(yield* success.decode(yield* success.encode({ written: {} })), { written: {} })

      class Reader extends Actor.Service<Reader>()("test/Reader", Flow.protocol(Reading, "far")) {}
      const reader = yield* Actor.spawn(Reader.behavior(Effect.succeed(Reader.of(Flow.handlers(Reading, "far")))))
      const session = yield* Flow.start(Reading, {
        initial: { day, secret: "hush" },
        runners: [Flow.on(Reading, "far", reader)]
      })
      const seen = yield* Stream.runCollect(session.stream({ inputs: { read: { since } } }))
      assert.deepStrictEqual(
        seen.map((each) => (each._tag === "Item" ? each.item : each.read)),
        [since.toISOString(), { day, since }]
      )
    })
)

// --- A worker thread ---

/** The actor here that stands for the one in the thread: everything crosses as text. `received` is what the thread says it got. */
const inThread = Effect.gen(function* () {
  const received: Array<Request> = []
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
    const replies = Stream.callback<Answer, Error>((queue) =>
      Effect.gen(function* () {
        const id = ++last
        const onMessage = (reply: Reply) => {
          if (reply.id !== id) return
          if (reply._tag === "Received") received.push(reply.request)
          else Queue.offerUnsafe(queue, reply)
        }
        const onError = (error: Error) => void Queue.failCauseUnsafe(queue, Cause.fail(error))
        thread.on("message", onMessage).on("error", onError)
        yield* Effect.addFinalizer(() => Effect.sync(() => void thread.off("message", onMessage).off("error", onError)))
        const payload = yield* codecs.payload.encode(read)
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
  return { gpu, received }
})

it.live(
  "B5 B7 tagged actions run in a worker thread, with what they read as text, in one program with local ones",
  () =>
    Effect.gen(function* () {
      const { gpu, received } = yield* inThread
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
      assert.deepStrictEqual(received, [
        { id: 1, tag: "draw", payload: '{"prompt":"draw a cat"}' },
        { id: 2, tag: "draw", payload: '{"prompt":"draw a dragon"}' },
        { id: 3, tag: "answer", payload: '{"prompt":"bye"}' }
      ])
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
