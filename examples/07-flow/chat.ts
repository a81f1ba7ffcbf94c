/** A chat of texts and pictures: who asks for a drawing gets one from the actor with the graphics card. */
import { Context, Effect, Schema, Stream } from "effect"
import { Actor, type ActorRef } from "effect-otp"
import { Flow } from "effect-otp/flow"

export class Refused extends Schema.TaggedError<Refused>()("Refused", { prompt: Schema.String }) {}

/** What writes texts, word by word. */
export class Writer extends Context.Service<Writer, { readonly words: (prompt: string) => Stream.Stream<string> }>()(
  "example/Writer"
) {}

/** What makes pictures. */
export class Painter extends Context.Service<
  Painter,
  { readonly paint: (subject: string) => Effect.Effect<string, Refused> }
>()("example/Painter") {}

const Chat = Flow.state("example/Chat", {
  prompt: Schema.String,
  mode: Schema.Literals(["text", "image"]),
  reply: Schema.String,
  log: Schema.Array(Schema.String)
})

const ask = Chat.action("ask", {
  inputs: { text: Schema.String },
  writes: ["prompt"],
  run: ({ text }) => Effect.succeed({ prompt: text })
})

const classify = Chat.action("classify", {
  reads: ["prompt"],
  writes: ["mode"],
  run: ({ prompt }) => Effect.succeed({ mode: prompt.startsWith("draw ") ? "image" : "text" })
})

const draw = Chat.action("draw", {
  reads: ["prompt"],
  writes: ["reply"],
  tags: ["gpu"],
  error: Refused,
  run: Effect.fnUntraced(function* ({ prompt }) {
    const painter = yield* Painter
    return { reply: yield* painter.paint(prompt.slice("draw ".length)) }
  })
})

const answer = Chat.streaming("answer", {
  reads: ["prompt"],
  writes: ["reply"],
  item: Schema.String,
  run: ({ prompt }) =>
    Stream.unwrap(Effect.map(Writer, (writer) => writer.words(prompt))).pipe(
      Flow.ending((words) => ({ reply: words.join(" ") }))
    )
})

const remember = Chat.action("remember", {
  reads: ["prompt", "reply", "log"],
  writes: ["log"],
  run: ({ log, prompt, reply }) => Effect.succeed({ log: [...log, `${prompt}: ${reply}`] })
})

export const ChatFlow = Flow.make("chat", {
  state: Chat,
  actions: [ask, classify, draw, answer, remember],
  entry: "ask",
  transitions: [
    Chat.to("ask", "classify"),
    Chat.to("classify", "draw", { reads: ["mode"], when: ({ mode }) => mode === "image", label: "a picture" }),
    Chat.to("classify", "answer"),
    Chat.to(["draw", "answer"], "remember"),
    Chat.to("remember", "ask", { reads: ["prompt"], when: ({ prompt }) => prompt !== "bye", label: "not bye" })
  ]
})

/** Does what is tagged `gpu`: is sent prompts and nothing else, and alone needs a painter. */
export class Studio extends Actor.Service<Studio>()("example/Studio", Flow.protocol(ChatFlow, "gpu")) {}

export const StudioLive = Studio.behavior(Effect.succeed(Studio.of(Flow.handlers(ChatFlow, "gpu"))))

/** The chat of one person, where it was left. */
export const open = (id: string, studio: ActorRef.ActorRef<Studio>) =>
  Flow.start(ChatFlow, { id, initial: { log: [] }, runners: [Flow.on(ChatFlow, "gpu", studio)] })

/** Models that say the same each time. */
export const fakes = Context.make(
  Writer,
  Writer.of({ words: (prompt) => Stream.make("you", "said", JSON.stringify(prompt)) })
).pipe(
  Context.add(
    Painter,
    Painter.of({
      paint: (subject) =>
        subject.includes("dragon") ? new Refused({ prompt: subject }) : Effect.succeed(`[picture of ${subject}]`)
    })
  )
)
