/** The table of rule R10, clause by clause. */
import { assert, it } from "@effect/vitest"
import { Cause } from "effect"
import * as ExitReason from "../../src/runtime/ExitReason.ts"
import { decide } from "../../src/supervision/Restart.ts"

const orderly = [
  ExitReason.Normal,
  ExitReason.Shutdown(),
  ExitReason.Shutdown("with a word"),
  ExitReason.Shutdown(new Error("as a word")),
  ExitReason.Interrupted
]

const abnormal = [
  ExitReason.Failed(Cause.fail("typed")),
  ExitReason.Failed(Cause.die("defect")),
  ExitReason.Failed(Cause.combine(Cause.interrupt(1), Cause.fail("beside an interruption"))),
  ExitReason.Killed
]

it.each([...orderly, ...abnormal])("permanent: restarted after %o", (reason) => {
  assert.strictEqual(decide("permanent", reason), "restart")
})

it.each(orderly)("transient: kept after %o", (reason) => {
  assert.strictEqual(decide("transient", reason), "keep")
})

it.each(abnormal)("transient: restarted after %o", (reason) => {
  assert.strictEqual(decide("transient", reason), "restart")
})

it.each([...orderly, ...abnormal])("temporary: forgotten after %o", (reason) => {
  assert.strictEqual(decide("temporary", reason), "forget")
})
