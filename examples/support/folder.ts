/** Where an example leaves its pictures: the folder that it was given, or one that is gone when it ends. */
import { Effect } from "effect"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** The folder `given`, made if need be; without one a new folder that is removed with the Scope. */
export const folder = (given: string | undefined) =>
  given === undefined
    ? Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-otp-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
    : Effect.sync(() => (mkdirSync(given, { recursive: true }), given))
