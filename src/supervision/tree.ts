/**
 * What all supervisors of one tree share: the system, and the services that its children provide to each other.
 */
import * as Context from "effect/Context"
import type { System } from "../runtime/system.ts"

/** What the children provide, as one table for the whole tree. */
class Provided {
  readonly services = new Map<string, unknown>()
  /** Grows with every change, so that merged contexts know when they are out of date. */
  version = 0

  set(key: string, service: unknown): void {
    this.services.set(key, service)
    this.version++
  }
}

/** @internal */
export class Tree {
  readonly system: System
  /** The services around the tree. */
  readonly base: Context.Context<never>
  private readonly provided: Provided
  private merged: Context.Context<never> | undefined = undefined
  private mergedVersion = 0

  constructor(system: System, base: Context.Context<never>, provided: Provided = new Provided()) {
    this.system = system
    this.base = base
    this.provided = provided
  }

  /** The services around the tree together with those of its children. */
  get context(): Context.Context<never> {
    if (this.merged === undefined || this.mergedVersion !== this.provided.version) {
      this.merged = Context.merge(this.base, this.own)
      this.mergedVersion = this.provided.version
    }
    return this.merged
  }

  /** A child's ref becomes known: it stays good for as long as the tree. */
  provide(key: string, service: unknown): void {
    this.provided.set(key, service)
  }

  /** What a layer child has built replaces what it had built before. */
  merge(services: Context.Context<never>): void {
    for (const [key, service] of services.mapUnsafe) this.provided.set(key, service)
  }

  /** The services of the tree's children alone. */
  get own(): Context.Context<never> {
    return Context.makeUnsafe<never>(new Map(this.provided.services))
  }

  /** The same tree for a child that was started with services of its own. */
  with(context: Context.Context<never>): Tree {
    return new Tree(this.system, Context.merge(this.base, context), this.provided)
  }
}
