/** The chat, turn by turn; and its drawing, which the guide shows. */
import { readFileSync } from "node:fs"
import { assert, it } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import { Actor } from "effect-otp"
import { Flow, FlowStore } from "effect-otp/flow"
import { ChatFlow, fakes, open, Painter, StudioLive } from "./chat.ts"

const turn = (text: string) => ({ inputs: { ask: { text } }, haltAfter: ["remember"] as const })

const chat = Effect.gen(function* () {
  const studio = yield* Actor.spawn(StudioLive)
  return { studio, session: yield* open("ann", studio) }
})

it.effect("a text comes word by word", () =>
  Effect.gen(function* () {
    const { session } = yield* chat
    const seen = yield* Stream.runCollect(session.stream(turn("hi")))
    assert.deepStrictEqual(
      seen.flatMap((each) => (each._tag === "Item" ? [each.item] : [])),
      ["you", "said", '"hi"']
    )
    assert.deepStrictEqual((yield* session.state).log, ['hi: you said "hi"'])
  }).pipe(Effect.provide(FlowStore.layerMemory), Effect.provideContext(fakes))
)

it.effect("a picture that is refused can be asked for again, from where it was, by another session", () =>
  Effect.gen(function* () {
    const { session, studio } = yield* chat
    const refused = yield* Effect.flip(session.run(turn("draw a dragon")))
    assert(refused._tag === "ActionFailed" && refused.error._tag === "Refused")
    assert.strictEqual(refused.error.prompt, "a dragon")
    yield* Actor.stop(studio)
    const brave = yield* Actor.spawn(StudioLive).pipe(
      Effect.provideService(Painter, { paint: (subject) => Effect.succeed(`[${subject}]`) })
    )
    const again = yield* open("ann", brave)
    assert.deepStrictEqual(yield* again.next, Option.some("draw"))
    assert.strictEqual((yield* again.run({ haltAfter: ["remember"] })).state.reply, "[a dragon]")
  }).pipe(Effect.provide(FlowStore.layerMemory), Effect.provideContext(fakes))
)

it.effect("it ends with bye", () =>
  Effect.gen(function* () {
    const { session } = yield* chat
    assert.strictEqual((yield* session.run({ inputs: { ask: { text: "bye" } } })).halted, "end")
    assert.deepStrictEqual(yield* session.next, Option.none())
  }).pipe(Effect.provide(FlowStore.layerMemory), Effect.provideContext(fakes))
)

it("the guide shows it as it is", () => {
  const guide = new URL("../../docs-site/src/content/docs/guides/flows.md", import.meta.url)
  assert.include(readFileSync(guide, "utf8"), `\`\`\`mermaid\n${Flow.toMermaid(ChatFlow)}\n\`\`\``)
})
