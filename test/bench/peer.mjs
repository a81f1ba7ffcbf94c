/**
 * This library, as built, for a side-by-side run with other actor libraries whose harness takes an adapter of this shape.
 */
import { readFileSync } from "node:fs"
import * as library from "../../dist/index.js"
import { makeWorkloads } from "./effectOtp.mjs"

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
const { dynamic: _, latency: __, w2g: ___, ...workloads } = makeWorkloads(library)

export const peer = { name: "effect-otp", version: () => version, missing: {}, scale: {}, workloads }
