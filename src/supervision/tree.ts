/**
 * What all supervisors of one tree share: the system, and the services that its children provide to each other.
 */
import * as Context from "effect/Context"
import type { System } from "../runtime/system.ts"

/** @internal */
export class Tree {
  readonly system: System
  private base: Context.Context<never>
  private services = new Map<string, unknown>()
  private merged: Context.Context<never> | undefined = undefined

  constructor(system: System, base: Context.Context<never>) {
    this.system = system
    this.base = base
  }

  /** The services around the tree together with those of its children. */
  get context(): Context.Context<never> {
    if (this.merged === undefined) {
      this.merged = Context.merge(this.base, Context.makeUnsafe<never>(new Map(this.services)))
    }
    return this.merged
  }

  /** A child's ref becomes known: it stays good for as long as the tree. */
  provide(key: string, service: unknown): void {
    this.services.set(key, service)
    this.merged = undefined
  }

  /** What a layer child has built replaces what it had built before. */
  merge(services: Context.Context<never>): void {
    for (const [key, service] of services.mapUnsafe) this.services.set(key, service)
    this.merged = undefined
  }

  /** The services of the tree's children alone. */
  get own(): Context.Context<never> {
    return Context.makeUnsafe<never>(new Map(this.services))
  }

  /** The same tree for a child that was started with services of its own. */
  with(context: Context.Context<never>): Tree {
    const tree = new Tree(this.system, Context.merge(context, this.base))
    tree.services = this.services
    return tree
  }
}
