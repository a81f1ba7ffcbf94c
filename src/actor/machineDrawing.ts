/**
 * A state machine as a drawing: its first state, its states, and which event leads where.
 */
import { isAction } from "./machineActions.ts"
import type { MachineImpl } from "./machineDefinition.ts"

/** Text that Mermaid takes as it is, wherever it stands. */
const plain = (text: string): string => text.replace(/[^\p{L}\p{N} _./-]/gu, (sign) => `#${sign.codePointAt(0)};`)

/** @internal */
export const drawing = (machine: MachineImpl, options: { readonly current?: string } = {}): string => {
  const { name, states, transitions } = machine.definition
  const { initial } = machine.table
  const ids = new Map(states.map((state, n) => [state, /^\w+$/.test(state) ? state : `state${n}`]))
  const id = (state: string): string => ids.get(state) ?? plain(state)
  const lines = ["---", `title: ${JSON.stringify(name)}`, "---", "stateDiagram-v2"]
  for (const [state, short] of ids) lines.push(state === short ? `  ${short}` : `  state "${plain(state)}" as ${short}`)
  const first = (Array.isArray(initial) ? initial : [initial]).findLast((each) => isAction(each) && each._tag === "To")
  if (first !== undefined) lines.push(`  [*] --> ${id(first.state)}`)
  for (const [from, events] of Object.entries(transitions)) {
    const labels = new Map<string, Array<string>>()
    for (const [event, targets] of Object.entries(events)) {
      for (const to of typeof targets === "string" ? [targets] : targets) {
        labels.set(to, [...(labels.get(to) ?? []), plain(event)])
      }
    }
    for (const [to, events] of labels) lines.push(`  ${id(from)} --> ${id(to)} : ${events.join(", ")}`)
  }
  if (options.current !== undefined) {
    lines.push("  classDef current font-weight:bold,stroke-width:3px", `  class ${id(options.current)} current`)
  }
  return lines.join("\n")
}
