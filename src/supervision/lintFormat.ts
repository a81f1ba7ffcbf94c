/**
 * What lint has found, as a table for people: the tree with its figures, the delays, then what is odd.
 */
import { show, span, times } from "./lintChecks.ts"
import type { Finding, LintedBackoff, LintedSupervisor } from "./lintModel.ts"

/** @internal */
export const format = (supervisors: ReadonlyArray<LintedSupervisor>, findings: ReadonlyArray<Finding>): string => {
  const backoffs = supervisors.flatMap((supervisor) => supervisor.backoffs)
  const sections = [
    supervisors.length === 0 ? "" : table([HEADER, ...supervisors.map((_, i) => row(supervisors, i))]),
    backoffs.length === 0 ? "" : table([["backoff", "delays", "ends at failure"], ...backoffs.map(backoffRow)]),
    ...findings.map(findingText),
    summary(findings)
  ]
  return sections.filter((section) => section !== "").join("\n\n")
}

const HEADER = ["supervisor", "children", "strategy", "restarts", "sustained", "ends at failure", "stops within"]

const row = (all: ReadonlyArray<LintedSupervisor>, index: number): ReadonlyArray<string> => {
  const { children, depth, endsAt, intensity, stopsWithin, strategy, sustained } = all[index]!
  return [
    `${branches(all, index)}${idOf(all, index)}`,
    children === undefined ? "any" : String(children),
    strategy,
    `${intensity.restarts} within ${show(intensity.within)}`,
    rate(sustained),
    ends(all, endsAt, depth),
    show(stopsWithin)
  ]
}

/** `2, app at 8`: itself, then those above it; `for good` where nobody starts it again. */
const ends = (all: ReadonlyArray<LintedSupervisor>, endsAt: LintedSupervisor["endsAt"], depth: number): string => {
  const named = (path: string) =>
    idOf(
      all,
      all.findIndex((supervisor) => supervisor.path === path)
    )

  const [own, ...above] = endsAt
  if (own === undefined) return "never"
  const parts = [String(own.failures), ...above.map(({ failures, path }) => `${named(path)} at ${failures}`)]
  return parts.join(", ") + (endsAt.length <= depth ? ", for good" : "")
}

const backoffRow = ({ delays, ends, givesUpAt, path }: LintedBackoff): ReadonlyArray<string> => {
  if (delays === undefined) return [path, "unknown", "unknown"]
  const shown = delays.map(([least, most]) => span(least, most))
  const constant = !ends && shown.every((delay) => delay === shown[0])
  const first = constant ? `${shown[0]} each` : shown.slice(0, 4).join(", ")
  const rest = constant || (ends && shown.length <= 4) ? "" : ", …"
  return [path, shown.length === 0 ? "none" : first + rest, givesUpAt === undefined ? "-" : String(givesUpAt)]
}

const findingText = ({ code, message, path, severity }: Finding): string =>
  `${severity}: ${path}: ${code}\n${wrap(message, 2)}`

const summary = (findings: ReadonlyArray<Finding>): string => {
  const counts = (["error", "warning", "note"] as const).map((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length
    return count === 0 ? "" : times(count, severity)
  })
  const some = counts.filter((count) => count !== "")
  return some.length === 0 ? "nothing is odd" : some.join(", ")
}

// --- Layout ---

/** The lines that lead from the root to a supervisor. */
const branches = (all: ReadonlyArray<LintedSupervisor>, index: number): string => {
  const { depth } = all[index]!
  let drawn = ""
  for (let level = 1; level <= depth; level++) {
    const after = all.slice(index + 1)
    const leaves = after.findIndex((other) => other.depth < level)
    const continues = after.slice(0, leaves === -1 ? undefined : leaves).some((other) => other.depth === level)
    if (level === depth) drawn += continues ? "├─ " : "└─ "
    else drawn += continues ? "│  " : "   "
  }
  return drawn
}

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)))
  const line = (cells: ReadonlyArray<string>) => cells.map((cell, column) => cell.padEnd(widths[column]!)).join("  ")
  return rows.map((cells) => line(cells).trimEnd()).join("\n")
}

const WIDTH = 100

const wrap = (text: string, indent: number): string => {
  const lines = [""]
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1]!
    if (last === "") lines[lines.length - 1] = word
    else if (indent + last.length + 1 + word.length <= WIDTH) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines.map((line) => " ".repeat(indent) + line).join("\n")
}

/** Restarts per second, minute or hour, whichever gives a number of 1 or more. */
const rate = (perSecond: number): string => {
  if (Number.isNaN(perSecond)) return "?"
  if (perSecond === Infinity) return "-"
  if (perSecond === 0) return "none"
  const [unit, value] =
    perSecond >= 1
      ? (["s", perSecond] as const)
      : perSecond * 60 >= 1
        ? (["min", perSecond * 60] as const)
        : (["h", perSecond * 3_600] as const)
  return `< ${Number(value.toPrecision(3))}/${unit}`
}

/** The id at the end of a supervisor's path, which may hold slashes of its own. */
const idOf = (all: ReadonlyArray<LintedSupervisor>, index: number): string => {
  const { depth, path } = all[index]!
  const parent = all.slice(0, index).findLast((other) => other.depth === depth - 1)
  return parent === undefined ? path : path.slice(parent.path.length + 1)
}
