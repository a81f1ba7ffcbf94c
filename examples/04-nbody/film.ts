/** Takes the film: has the sky go on from frame to frame, and archives each. */
import { Effect } from "effect"
import { Archive, Sky, type Snapshot } from "./sky.ts"

/** Steps asked for in one message. */
const AT_ONCE = 5

/**
 * Snapshots, `steps` apart. After a crash the sky is where the archive was: it says at which step it is, and makes up for
 * what was lost. `before` is told what comes next: the number of the frame and the step.
 */
export const take = Effect.fnUntraced(function* (
  frames: number,
  steps: number,
  before: (frame: number, step: number) => Effect.Effect<void> = () => Effect.void
) {
  const [archive, sky] = [yield* Archive, yield* Sky]
  const film: Array<Snapshot> = []
  for (let frame = 0; frame < frames; frame++) {
    let step = (yield* archive.ask.Last()).step
    while (step < frame * steps) {
      yield* before(frame, step)
      // A crash in the middle of it is an answer too: asked again, the sky begins where the archive is.
      step = yield* Effect.retry(sky.ask.Advance({ steps: Math.min(AT_ONCE, frame * steps - step) }), { times: 3 })
    }
    film.push(yield* sky.ask.Look())
    yield* archive.tell.Keep(film[frame]!)
  }
  return film
})
