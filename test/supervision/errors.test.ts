/** What a supervisor's errors say to a person, whatever the failure inside them is. */
import { assert, it } from "@effect/vitest"
import { Cause } from "effect"
import { Supervisor } from "effect-otp"

it.each([
  [new Error("no disk"), "Error: no disk"],
  ["no disk", "no disk"],
  [{ code: 7 }, '{"code":7}'],
  [Object.assign(Object.create(null), { code: 7 }), '{"code":7}'],
  [undefined, "undefined"]
])("a failed start is told of with its cause: %o", (failure, said) => {
  const error = new Supervisor.StartFailed({ path: "app", child: "db", cause: Cause.fail(failure) })
  assert.strictEqual(error.message, `app: child db failed to start: ${said}`)
})
