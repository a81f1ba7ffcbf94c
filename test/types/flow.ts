/**
 * What the compiler says about flows: what is inferred, and what must not compile. `tsc` reports an unused
 * `@ts-expect-error`, so each such line fails the check on the day it begins to compile.
 */
import { Context, Effect, type Option, Schema, Stream } from "effect"
import { Actor, type ActorRef } from "effect-otp"
import { Flow, type FlowStore } from "effect-otp/flow"

class Offline extends Schema.TaggedError<Offline>()("Offline", {}) {}
class NoPaint extends Schema.TaggedError<NoPaint>()("NoPaint", {}) {}
class Brush extends Context.Service<Brush, { readonly draw: Effect.Effect<string, NoPaint> }>()("types/Brush") {}
class Model extends Context.Service<Model, { readonly say: Stream.Stream<string, Offline> }>()("types/Model") {}

const Chat = Flow.state("types/Chat", {
  prompt: Schema.String,
  mode: Schema.Literals(["text", "image"]),
  reply: Schema.String,
  day: Schema.DateFromString
})

// --- Inferred ---

const ask = Chat.action("ask", {
  inputs: { text: Schema.String },
  writes: ["prompt"],
  run: ({ text }) => Effect.succeed({ prompt: text })
})
const classify = Chat.action("classify", {
  reads: ["prompt"],
  writes: ["mode"],
  run: ({ prompt }) => Effect.succeed({ mode: prompt.startsWith("draw") ? "image" : "text" })
})
const draw = Chat.action("draw", {
  reads: ["prompt", "day"],
  writes: ["reply"],
  tags: ["gpu"],
  error: NoPaint,
  run: Effect.fnUntraced(function* ({ day, prompt }) {
    void [day.getTime(), prompt.length]
    return { reply: yield* Brush.use((brush) => brush.draw) }
  })
})
const answer = Chat.streaming("answer", {
  reads: ["prompt"],
  writes: ["reply"],
  tags: ["model"],
  item: Schema.String,
  run: () =>
    Stream.unwrap(Effect.map(Model, (model) => model.say)).pipe(Flow.ending((words) => ({ reply: words.join("") })))
})
const nothing = Chat.action("nothing", { reads: ["mode"], run: ({ mode }) => Effect.log(mode) })

// Of several ways to end each says what it writes.
Chat.action("either", {
  reads: ["prompt"],
  writes: ["mode"],
  run: ({ prompt }) =>
    prompt === "" ? Effect.succeed({ mode: "text" }) : Effect.map(Brush, () => ({ mode: "image" as const }))
})
Chat.streaming("ends", {
  writes: ["mode"],
  item: Schema.Int,
  run: () => Stream.make(1, Flow.done({ mode: "text" }), 2, Flow.done({ mode: "image" }))
})

const _asked: Effect.Effect<{ readonly prompt: string }> = ask.run({ text: "" })
const _mode: Effect.Effect<{ readonly mode: "text" | "image" }> = classify.run({ prompt: "" })
const _drawn: Effect.Effect<{ readonly reply: string }, NoPaint, Brush> = draw.run({ prompt: "", day: new Date() })
const _items: Stream.Stream<string | Flow.Done<{ readonly reply: string }>, Offline, Model> = answer.run({ prompt: "" })

const options = {
  state: Chat,
  actions: [ask, classify, draw, answer, nothing],
  entry: "ask",
  transitions: [
    Chat.to("ask", "classify"),
    Chat.to("classify", "draw", { reads: ["mode"], when: ({ mode }) => mode === "image" }),
    Chat.to("classify", "answer"),
    Chat.to(["draw", "answer"], "nothing")
  ]
} as const
const ChatFlow = Flow.make("chat", options)

export const program = Effect.gen(function* () {
  const session = yield* Flow.start(ChatFlow)
  const { mode, reply } = yield* session.state
  const partly: ["text" | "image" | undefined, string | undefined] = [mode, reply]
  const next: Option.Option<"ask" | "classify" | "draw" | "answer" | "nothing"> = yield* session.next
  const { last } = yield* session.run({ haltAfter: ["draw"], until: ({ day }) => day === undefined })
  if (last._tag === "Some" && last.value.action === "classify") {
    const written: { readonly mode: "text" | "image" } = last.value.written
    const read: { readonly prompt: string } = last.value.read
    void [partly, next, written, read]
  }
  yield* session.stream({ inputs: { ask: { text: "" } } }).pipe(
    Stream.runForEach((each) => {
      if (each._tag === "Step") return Effect.log(each.step)
      const item: { readonly action: "answer"; readonly item: string } = each
      return Effect.log(item)
    })
  )
})
const _program: Effect.Effect<void, Flow.ActionFailed<NoPaint | Offline> | Flow.StateError, Brush | Model> = program

// With an id there is a store, and somebody else may have gone on.
const kept = Effect.flatMap(Flow.start(ChatFlow, { id: "ann" }), (session) => session.run())
const _kept: Effect.Effect<
  Flow.Outcome<typeof Chat.fields, Flow.ActionsOf<typeof ChatFlow>>,
  Flow.ActionFailed<NoPaint | Offline> | Flow.StateError | Flow.CannotResume | Flow.FlowConflict | Flow.FlowStoreError,
  Brush | Model | FlowStore.FlowStore
> = kept

// What runs elsewhere needs nothing here; there it needs what it needs.
class Gpu extends Actor.Service<Gpu>()("types/Gpu", Flow.protocol(ChatFlow, "gpu")) {}
class Llm extends Actor.Service<Llm>()("types/Llm", Flow.protocol(ChatFlow, "model")) {}
const GpuLive = Gpu.behavior(Effect.succeed(Gpu.of(Flow.handlers(ChatFlow, "gpu"))))
const _spawned: Effect.Effect<ActorRef.ActorRef<Gpu>, never, Brush | import("effect").Scope.Scope> = Actor.spawn(
  GpuLive
)
declare const gpu: ActorRef.ActorRef<Gpu>
declare const llm: ActorRef.ActorRef<Llm>
const elsewhere = Effect.flatMap(Flow.start(ChatFlow, { runners: [Flow.on(ChatFlow, "gpu", gpu)] }), (s) => s.step())
const _elsewhere: Effect.Effect<
  unknown,
  Flow.ActionFailed<NoPaint | Offline | ActorRef.AskError> | Flow.StateError,
  Model
> = elsewhere
const both = Flow.start(ChatFlow, { runners: [Flow.on(ChatFlow, "gpu", gpu), Flow.on(ChatFlow, "model", llm)] })
const _both: Effect.Effect<unknown, Flow.StateError> = both
const hooked = Flow.start(ChatFlow, {
  runners: [Flow.around((_, next) => Effect.flatMap(Brush, () => Effect.timeout(next, "1 second")))]
})
type Hooked = import("effect").Cause.TimeoutError
const _hooked: Effect.Effect<
  Flow.Session<
    typeof Chat.fields,
    Flow.ActionsOf<typeof ChatFlow>,
    Flow.ActionFailed<NoPaint | Offline | Hooked> | Flow.StateError
  >,
  Flow.StateError,
  Brush | Model
> = hooked

void [_asked, _mode, _drawn, _items, _program, _kept, _spawned, _elsewhere, _both, _hooked]

// --- Actions that must not compile ---

Chat.action("reads", {
  // @ts-expect-error Did you mean "prompt"?
  reads: ["promt"],
  run: () => Effect.void
})
Chat.action("touches", {
  reads: ["prompt"],
  // @ts-expect-error Property 'mode' does not exist: it does not read it
  run: ({ mode }) => Effect.log(mode)
})
Chat.action("writes", {
  // @ts-expect-error the state has no such key
  writes: ["replay"],
  run: () => Effect.void as never
})
Chat.action("more", {
  writes: ["mode"],
  // @ts-expect-error it does not say that it writes reply
  run: () => Effect.succeed({ mode: "text" as const, reply: "" })
})
Chat.action("less", {
  writes: ["mode", "reply"],
  // @ts-expect-error Property 'reply' is missing
  run: () => Effect.succeed({ mode: "text" as const })
})
Chat.action("other", {
  writes: ["mode"],
  // @ts-expect-error Type '"video"' is not assignable to type '"text" | "image"'
  run: () => Effect.succeed({ mode: "video" as const })
})
Chat.action("undeclared", {
  // @ts-expect-error it says that it writes nothing
  run: () => Effect.succeed({ mode: "text" as const })
})
Chat.streaming("items", {
  writes: ["reply"],
  item: Schema.String,
  // @ts-expect-error Type 'number' is not assignable to type 'string'
  run: () => Stream.make(1, 2).pipe(Flow.ending(() => ({ reply: "" })))
})
Chat.streaming("ends", {
  writes: ["reply"],
  item: Schema.String,
  // @ts-expect-error it ends with what it does not declare
  run: () => Stream.make("a", Flow.done({ reply: "", mode: "text" }))
})

Chat.streaming("one of the ends", {
  writes: ["mode"],
  item: Schema.Int,
  // @ts-expect-error one of its ends has what it does not declare
  run: () => Stream.make(1, Flow.done({ mode: "text" }), Flow.done({ mode: "text", reply: "" }))
})
Chat.streaming("a wrong end", {
  writes: ["mode"],
  item: Schema.Int,
  // @ts-expect-error Type '"video"' is not assignable to type '"text" | "image"'
  run: () => Stream.make(1, Flow.done({ mode: "text" }), Flow.done({ mode: "video" }))
})
Chat.action("one of the ways", {
  reads: ["prompt"],
  writes: ["mode"],
  run: ({ prompt }) =>
    // @ts-expect-error one of its ways writes what it does not declare
    prompt === "" ? Effect.succeed({ mode: "text" as const }) : Effect.succeed({ mode: "image" as const, reply: "" })
})

// --- Transitions and flows that must not compile ---

// @ts-expect-error the condition is given mode only
Chat.to("classify", "draw", { reads: ["mode"], when: ({ prompt }) => prompt === "" })
// @ts-expect-error no overlap between "text" | "image" and "video"
Chat.to("classify", "draw", { reads: ["mode"], when: ({ mode }) => mode === "video" })
Flow.make("chat", {
  ...options,
  // @ts-expect-error Type '"drew"' is not assignable
  transitions: [Chat.to("classify", "drew")]
})
Flow.make("chat", {
  ...options,
  // @ts-expect-error Type '"aks"' is not assignable
  entry: "aks"
})

// --- Sessions that must not compile ---

// @ts-expect-error Type 'number' is not assignable to type 'string'
Flow.start(ChatFlow, { initial: { prompt: 1 } })
// @ts-expect-error the state has no such key
Flow.start(ChatFlow, { initial: { promt: "" } })
Flow.start(ChatFlow).pipe(
  Effect.map((session) => [
    // @ts-expect-error no such action
    session.run({ haltAfter: ["drew"] }),
    // @ts-expect-error Property 'text' is missing
    session.step({ inputs: { ask: {} } }),
    // @ts-expect-error classify takes no inputs
    session.step({ inputs: { classify: {} } })
  ])
)
// @ts-expect-error a session that is kept needs a store
Effect.runPromise(Effect.provideService(Flow.start(ChatFlow, { id: "ann" }), Brush, Brush.of({ draw: Effect.never })))
// @ts-expect-error there is nothing to migrate where nothing is kept
Flow.start(ChatFlow, { migrate: (saved: FlowStore.Saved) => saved })
// @ts-expect-error a function that says where a call goes gives what answers the actions with the tag
Flow.on(ChatFlow, "gpu", (_call: Flow.Call) => llm)
// @ts-expect-error no action has this tag
Flow.protocol(ChatFlow, "tpu")
// @ts-expect-error this actor answers other actions
Flow.on(ChatFlow, "gpu", llm)
