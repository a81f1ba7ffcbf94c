/** A chat of texts and pictures: the flow that the tests run, here and in a worker thread. */
import { Context, Effect, Schema, Stream } from "effect"
import { Actor } from "effect-otp"
import { Flow } from "effect-otp/flow"

export class NoPaint extends Schema.TaggedError<NoPaint>()("NoPaint", { prompt: Schema.String }) {}

/** What drawing needs, where it is done. */
export class Brush extends Context.Service<
  Brush,
  { readonly draw: (prompt: string) => Effect.Effect<string, NoPaint> }
>()("test/Brush") {}

export const Chat = Flow.state("test/Chat", {
  user: Schema.String,
  prompt: Schema.String,
  mode: Schema.Literals(["text", "image"]),
  reply: Schema.String,
  turns: Schema.Int
})

export const ask = Chat.action("ask", {
  inputs: { text: Schema.String },
  writes: ["prompt"],
  run: ({ text }) => Effect.succeed({ prompt: text })
})

export const classify = Chat.action("classify", {
  reads: ["prompt"],
  writes: ["mode"],
  run: ({ prompt }) => Effect.succeed({ mode: prompt.startsWith("draw ") ? "image" : "text" })
})

export const draw = Chat.action("draw", {
  reads: ["prompt"],
  writes: ["reply"],
  tags: ["gpu"],
  error: NoPaint,
  run: ({ prompt }) =>
    Effect.map(
      Brush.use((brush) => brush.draw(prompt)),
      (reply) => ({ reply })
    )
})

export const answer = Chat.streaming("answer", {
  reads: ["prompt"],
  writes: ["reply"],
  tags: ["gpu", "model"],
  item: Schema.String,
  run: ({ prompt }) => Stream.make("you said: ", prompt).pipe(Flow.ending((tokens) => ({ reply: tokens.join("") })))
})

export const count = Chat.action("count", {
  reads: ["turns"],
  writes: ["turns"],
  run: ({ turns }) => Effect.succeed({ turns: turns + 1 })
})

/** Asks again after each reply, until somebody says bye. */
export const ChatFlow = Flow.make("chat", {
  state: Chat,
  actions: [ask, classify, draw, answer, count],
  entry: "ask",
  transitions: [
    Chat.to("ask", "classify"),
    Chat.to("classify", "draw", { reads: ["mode"], when: ({ mode }) => mode === "image", label: "a picture" }),
    Chat.to("classify", "answer"),
    Chat.to(["draw", "answer"], "count"),
    Chat.to("count", "ask", { reads: ["prompt"], when: ({ prompt }) => prompt !== "bye" })
  ]
})

export class Gpu extends Actor.Service<Gpu>()("test/Gpu", Flow.protocol(ChatFlow, "gpu")) {}

export const initial = { user: "ann", turns: 0 } as const

/** A brush that paints, but no dragons. */
export const brush = Brush.of({
  draw: (prompt) =>
    prompt.includes("dragon") ? Effect.fail(new NoPaint({ prompt })) : Effect.succeed(`<${prompt.slice(5)}>`)
})

/** What to say, for `inputs`. */
export const say = (text: string) => ({ inputs: { ask: { text } } })
