/**
 * Telling listeners what changes, beginning with what there is: snapshot and changes join without gap or overlap, since
 * both are taken in one synchronous step.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

/** @internal */
export class Feed<Event> {
  private readonly listeners = new Set<(event: Event) => void>()

  publish(event: Event): void {
    for (const listener of [...this.listeners]) listener(event)
  }

  /** Listens from now on. The function that comes back stops it, and says whether it was still listening. */
  listen(listener: (event: Event) => void): () => boolean {
    // A listener of its own, so that one function may listen twice.
    const own = (event: Event): void => listener(event)
    this.listeners.add(own)
    return () => this.listeners.delete(own)
  }

  /** The snapshot as the first element, then every change that `keep` lets through. */
  stream(snapshot: () => Event, keep: (event: Event) => boolean = () => true): Stream.Stream<Event> {
    return Stream.callback<Event>((queue) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => {
            Queue.offerUnsafe(queue, snapshot())
            return this.listen((event) => {
              if (keep(event)) Queue.offerUnsafe(queue, event)
            })
          }),
          (stop) => Effect.sync(stop)
        )
      )
    )
  }
}
