/**
 * Those who look at a slot, and those that it looks at itself: who waits for its end, and who follows whether it takes messages.
 */
import type { ExitReason } from "./ExitReason.ts"

/** Told once how a slot has ended for good. @internal */
export type Watcher = (reason: ExitReason) => void

/** @internal */
export class Audience {
  private watchers: Set<Watcher> | undefined = undefined
  private followers: Set<() => void> | undefined = undefined
  private watched: Map<object, () => void> | undefined = undefined

  watch(watcher: Watcher): () => void {
    const watchers = (this.watchers ??= new Set())
    watchers.add(watcher)
    return () => watchers.delete(watcher)
  }

  follow(follower: () => void): () => void {
    const followers = (this.followers ??= new Set())
    followers.add(follower)
    return () => followers.delete(follower)
  }

  /** Remembers what the slot watches, so that watching again replaces the watch before. */
  remember(target: object, unwatch: () => void): void {
    const watched = (this.watched ??= new Map())
    watched.get(target)?.()
    watched.set(target, unwatch)
  }

  forget(target: object, unwatch: () => void): void {
    if (this.watched?.get(target) === unwatch) this.watched.delete(target)
  }

  tellFollowers(): void {
    if (this.followers !== undefined) for (const follower of this.followers) follower()
  }

  /** The slot watches nobody any more. */
  unwatchAll(): void {
    if (this.watched !== undefined) for (const unwatch of [...this.watched.values()]) unwatch()
  }

  tellWatchers(reason: ExitReason): void {
    const { watchers } = this
    this.watchers = undefined
    if (watchers !== undefined) for (const watcher of watchers) watcher(reason)
  }
}
