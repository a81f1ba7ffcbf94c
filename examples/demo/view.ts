/** What the terminal shows: the tree as it is now, and how far the reader has come. */
import type { Supervisor } from "effect-otp"
import type { Progress } from "./reader.ts"

const MARKS = { running: "●", starting: "◐", restarting: "◌", stopping: "◑", stopped: "○" }
const WIDTH = 40

/** One line per child, indented as the tree is. */
export const treeLines = (children: ReadonlyArray<Supervisor.ChildStatus>, indent = ""): ReadonlyArray<string> =>
  children.flatMap((child, i) => {
    const last = i === children.length - 1
    const restarts = child.restarts === 0 ? "" : `  ${child.restarts} restarts`
    const line = `${indent}${last ? "└─" : "├─"} ${MARKS[child.state]} ${child.id.padEnd(18)} ${child.state}${restarts}`
    return [line, ...treeLines(child.children, `${indent}${last ? "   " : "│  "}`)]
  })

/** A progress bar. */
export const bar = ({ done, phase, total }: Progress): string => {
  const part = total === 0 ? 0 : done / total
  const full = Math.round(part * WIDTH)
  return `${phase.padEnd(12)} ${"█".repeat(full)}${"░".repeat(WIDTH - full)} ${Math.floor(part * 100)} %`
}
