/**
 * Runs the tests of src/gpu on a graphics card as well: `npm run test:gpu`.
 *
 * EFFECT_OTP_GPU says which: `webgpu` (the default here) for a real card, `software` for one that is emulated.
 */
import { spawnSync } from "node:child_process"

const { status } = spawnSync("vitest", ["run", "test/gpu", ...process.argv.slice(2)], {
  stdio: "inherit",
  env: { ...process.env, EFFECT_OTP_GPU: process.env.EFFECT_OTP_GPU ?? "webgpu" },
  shell: process.platform === "win32"
})
process.exitCode = status ?? 1
