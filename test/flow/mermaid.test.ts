/** The drawing of a flow, with names that mean something to Mermaid. What is expected here its parser (11.12) takes. */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Flow } from "effect-otp/flow"

const N = Flow.state("test/N", { n: Schema.Int })

/** How the box of an action with this name is drawn. */
const drawn = (name: string, tags: ReadonlyArray<string> = []) => {
  const action = N.action(name, { tags, run: () => Effect.void })
  const flow = Flow.make("drawn", { state: N, actions: [action], entry: name, transitions: [] })
  return Flow.toMermaid(flow).split("\n")[2]!.trim()
}

it("B6 names are shown as they are, whatever they mean to Mermaid", () => {
  assert.deepStrictEqual(
    [
      drawn("my_name x.y a-b"),
      drawn('say "hi" <b>&amp; #1;'),
      drawn("two\r\nlines"),
      drawn("`code` *em* __x__ 1. one"),
      drawn("%%{init}%% [b]|"),
      drawn("日本語 😀", ["<gpu>", "a"])
    ],
    [
      'a0["my_name x.y a-b"]',
      'a0["say #34;hi#34; #60;b#62;#38;amp#59; #35;1#59;"]',
      'a0["two<br/>lines"]',
      'a0["#96;code#96; #42;em#42; #95;#95;x#95;#95; 1#46; one"]',
      'a0["#37;#37;#123;init#125;#37;#37; #91;b#93;#124;"]',
      'a0["日本語 #128512;<br/>#60;gpu#62;, a"]'
    ]
  )
})

it("B6 a condition that reads nothing and has no label is drawn as one all the same", () => {
  const action = N.action("a", { run: () => Effect.void })
  const to = (condition: object) => N.to("a", "a", { reads: [], when: () => false, ...condition })
  const transitions = [to({}), to({ label: "" }), to({ label: 'n is "1"' }), to({ reads: ["n"] }), N.to("a", "a")]
  const lines = Flow.toMermaid(Flow.make("drawn", { state: N, actions: [action], entry: "a", transitions })).split("\n")
  assert.deepStrictEqual(lines.slice(3), [
    '  a0 -->|"?"| a0',
    '  a0 -->|"?"| a0',
    '  a0 -->|"n is #34;1#34;"| a0',
    '  a0 -->|"n"| a0',
    "  a0 --> a0"
  ])
})
