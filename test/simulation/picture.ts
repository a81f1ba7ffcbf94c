/** The day that the guide shows, and where its picture is. */
import { dirname, join } from "node:path"
import { chart } from "./chart.ts"
import { arrivals } from "./day.ts"

const root = dirname(dirname(import.meta.dirname))

export const path = join(root, "docs-site", "public", "autoscaling.svg")

export const picture = (): string => chart(arrivals(1))
