/**
 * A day as a picture: how many members there were above, how long requests waited below. The same day is the same text.
 */
import { type Arrival, burst, DAY, HOUR } from "./day.ts"
import { dayWith, fixedAsGoodAs, goals, quantile, scaling } from "./measures.ts"
import type { Outcome } from "./queue.ts"

/** Seconds that one point of the curves stands for. */
const STEP = 300

const width = 900
const left = 52
const right = 20
/** One of the two parts: where it is, and the number at its upper edge. */
interface Part {
  readonly top: number
  readonly height: number
  readonly max: number
}

const upper: Part = { top: 58, height: 240, max: scaling.max }
const lower: Part = { top: 372, height: 84, max: 1 }
const height = lower.top + lower.height + 44

const colours = {
  there: "#1d63b8",
  busy: "#bcd4f0",
  fixed: "#b5532a",
  waits: "#5b6b80",
  goal: "#2c7a4b",
  text: "#2b3440",
  faint: "#e4e8ee"
}

/** What is remarkable about an hour. */
const marks: ReadonlyArray<readonly [hour: number, words: string]> = [
  [3.5, "nobody"],
  [12.5, "lunch"],
  [(burst.from + burst.to) / 2 / HOUR, "burst"],
  [19.75, "evening"]
]

const number = (value: number): string => String(Math.round(value * 10) / 10)
const x = (time: number): number => left + ((width - left - right) * time) / DAY
const y = ({ height, max, top }: Part, value: number): number => top + height * (1 - Math.min(value, max) / max)
const point = (part: Part, time: number, value: number): string => `${number(x(time))},${number(y(part, value))}`

/** One value for each step of the day, from the requests that came in it. */
const bySteps = (
  arrivals: ReadonlyArray<Arrival>,
  measure: (indices: ReadonlyArray<number>) => number
): ReadonlyArray<number> => {
  const steps: Array<Array<number>> = Array.from({ length: DAY / STEP }, () => [])
  for (const [i, { at }] of arrivals.entries()) steps[Math.floor(at / STEP)]!.push(i)
  return steps.map(measure)
}

const text = (at: readonly [x: number, y: number], words: string, style = ""): string =>
  `<text x="${number(at[0])}" y="${number(at[1])}"${style === "" ? "" : ` ${style}`}>${words}</text>`

/** Lines across a part, with their numbers at the left. */
const grid = (part: Part, values: ReadonlyArray<number>, unit = ""): string =>
  values
    .flatMap((value) => [
      `<path d="M${left} ${number(y(part, value))}H${width - right}" stroke="${colours.faint}"/>`,
      text([left - 8, y(part, value) + 4], `${value}${unit}`, 'text-anchor="end"')
    ])
    .join("\n")

const hours = (): string =>
  Array.from({ length: 9 }, (_, i) => i * 3)
    .map((hour) => text([x(hour * HOUR), height - 22], `${String(hour).padStart(2, "0")}:00`, 'text-anchor="middle"'))
    .join("\n")

/** What there was to do: the work that came in each step, as members that it would keep busy. */
const busy = (arrivals: ReadonlyArray<Arrival>): string => {
  const values = bySteps(arrivals, (indices) => indices.reduce((sum, i) => sum + arrivals[i]!.work, 0) / STEP)
  const points = values.map((value, step) => point(upper, (step + 0.5) * STEP, value))
  return `<path d="M${[point(upper, 0, 0), ...points, point(upper, DAY, 0)].join("L")}Z" fill="${colours.busy}"/>`
}

/** How many members there were: flat from one change to the next. */
const there = ({ changes }: Outcome): string => {
  const first = changes[0]?.decision.from ?? 0
  const steps = changes.map(({ at, decision }) => `H${number(x(Math.min(at, DAY)))}V${number(y(upper, decision.size))}`)
  const path = `M${left} ${number(y(upper, first))}${steps.join("")}H${width - right}`
  return `<path d="${path}" fill="none" stroke="${colours.there}" stroke-width="2"/>`
}

const waits = (arrivals: ReadonlyArray<Arrival>, outcome: Outcome, share: number): string => {
  const values = bySteps(arrivals, (indices) =>
    quantile(
      Float64Array.from(indices, (i) => outcome.waits[i]!),
      share
    )
  )
  const bar = x(STEP) - x(0) - 0.5
  return values
    .flatMap((value, step) => {
      const tall = lower.top + lower.height - y(lower, value)
      if (tall < 0.5) return []
      // Where the picture ends the number goes on.
      const cut =
        value > lower.max
          ? [text([x((step + 0.5) * STEP), lower.top - 6], `${number(value)} s`, 'text-anchor="middle"')]
          : []
      const place = `x="${number(x(step * STEP))}" y="${number(y(lower, value))}"`
      return [`<rect ${place} width="${number(bar)}" height="${number(tall)}" fill="${colours.waits}"/>`, ...cut]
    })
    .join("\n")
}

/** The whole picture of a day: SVG. */
export const chart = (arrivals: ReadonlyArray<Arrival>): string => {
  const outcome = dayWith(arrivals, scaling)
  const { fixed, members } = fixedAsGoodAs(arrivals, outcome)
  const [share, seconds] = goals[0]!
  const percent = Math.round(share * 100)
  const spent = Math.round(outcome.memberHours)
  const bold = (colour: string, anchor = "start") => `fill="${colour}" font-weight="600" text-anchor="${anchor}"`
  const dashed = (part: Part, value: number, colour: string) =>
    `<path d="M${left} ${number(y(part, value))}H${width - right}" stroke="${colour}" stroke-dasharray="6 4" stroke-width="1.5"/>`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="${colours.text}">`,
    `<rect width="${width}" height="${height}" rx="8" fill="#fff"/>`,
    text([16, 28], "Members", 'font-size="15" font-weight="600"'),
    grid(upper, [0, 10, 20, 30]),
    busy(arrivals),
    there(outcome),
    dashed(upper, members, colours.fixed),
    text(
      [left + 12, y(upper, members) - 7],
      `${members} members all day wait no longer: ${fixed.memberHours} member-hours`,
      bold(colours.fixed)
    ),
    text([left + 12, y(upper, members) + 20], `members there are: ${spent} member-hours`, bold(colours.there)),
    text([left + 12, y(upper, members) + 38], "of which busy", 'fill="#5f87b8" font-weight="600"'),
    ...marks.map(([hour, words]) => text([x(hour * HOUR), y(upper, 0) - 8], words, 'text-anchor="middle"')),
    text(
      [16, lower.top - 28],
      `How long ${percent} % of the requests wait at most, every ${STEP / 60} minutes`,
      'font-size="15" font-weight="600"'
    ),
    grid(lower, [0, 0.5, 1], " s"),
    waits(arrivals, outcome, share),
    dashed(lower, seconds, colours.goal),
    text([width - right - 4, y(lower, seconds) - 6], `goal: ${seconds} s over the day`, bold(colours.goal, "end")),
    hours(),
    "</svg>",
    ""
  ].join("\n")
}
