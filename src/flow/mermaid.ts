/**
 * A flow as a drawing: the text of a Mermaid flowchart.
 */
import type { AnyFlow } from "./declaration.ts"
import { leaving } from "./graph.ts"

/**
 * Text as Mermaid shows it as it is. Whatever could mean something to it (quotes, markup, markdown, directives) becomes an
 * entity, which it writes with # instead of &. What joins the letters of a word stays, for names to be read in the source.
 */
const shown = (text: string): string =>
  text
    .replace(
      /(?<![\p{L}\p{N}])[._-]|[._-](?![\p{L}\p{N}])|[^\p{L}\p{N}._ ,()?!'\r\n-]/gu,
      (sign) => `#${sign.codePointAt(0)};`
    )
    .replace(/\r?\n/g, "<br/>")

/**
 * The flow as a Mermaid flowchart. Streaming actions have doubled sides, tags stand below the name, conditions at their
 * arrows; a dotted arrow to the end is taken where no condition holds.
 *
 * **Example** (Drawn)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Flow } from "effect-otp/flow"
 *
 * const Count = Flow.state("docs/Drawn", { n: Schema.Int })
 * const add = Count.action("add", { reads: ["n"], writes: ["n"], run: ({ n }) => Effect.succeed({ n: n + 1 }) })
 * const Adding = Flow.make("adding", {
 *   state: Count,
 *   actions: [add],
 *   entry: "add",
 *   transitions: [Count.to("add", "add", { reads: ["n"], when: ({ n }) => n < 3, label: "n below 3" })]
 * })
 * Flow.toMermaid(Adding).split("\n").slice(-2) // => ['  a0 -->|"n below 3"| a0', "  a0 -.-> done"]
 * ```
 *
 * @category drawing
 * @since 0.1.0
 */
export const toMermaid = (flow: AnyFlow): string => {
  const ids = new Map(flow.actions.map(({ name }, i) => [name, `a${i}`]))
  const lines = flow.actions.map(({ kind, name, tags }) => {
    const text = shown(name) + (tags.length === 0 ? "" : `<br/>${shown(tags.join(", "))}`)
    return kind === "streaming" ? `${ids.get(name)}[["${text}"]]` : `${ids.get(name)}["${text}"]`
  })
  const arrows = flow.actions.flatMap(({ name }) => {
    const ways = leaving(flow, name)
    const from = ids.get(name)
    const drawn = ways.map(({ label, to, when }) =>
      when === undefined
        ? `${from} --> ${ids.get(to)}`
        : `${from} -->|"${shown(label === undefined || label === "" ? "?" : label)}"| ${ids.get(to)}`
    )
    if (ways.length === 0) return [`${from} --> done`]
    return ways.some(({ when }) => when === undefined) ? drawn : [...drawn, `${from} -.-> done`]
  })
  const ends = arrows.some((arrow) => arrow.endsWith(" done")) ? ["done(((end)))"] : []
  const all = [`start((start)) --> ${ids.get(flow.entry)}`, ...lines, ...ends, ...arrows]
  return ["flowchart TD", ...all.map((line) => `  ${line}`)].join("\n")
}
