/**
 * The items of a channel: each stands in one list, the queue or what a reader holds, and leaves it in constant time.
 *
 * Invariants:
 * 1. `node.list` is the list that the node is linked into, or undefined.
 * 2. A list filled by `insert` alone is in the order of `seq`, the order in which the items were put.
 */
import * as Effect from "effect/Effect"
import { NodeInspectSymbol } from "effect/Inspectable"
import type { Crash } from "../runtime/DeadLetters.ts"
import { keepShape } from "../runtime/shapes.ts"

/** An item, from when it was put until nobody needs it any more. @internal */
export class Node<A> {
  list: List<A> | undefined = undefined
  next: Node<A> | undefined = undefined
  prev: Node<A> | undefined = undefined
  deliveries = 0
  /** How its deliveries ended, kept while their number is limited. */
  crashes: Array<Crash> | undefined = undefined
  item: A
  readonly seq: number
  readonly bytes: number
  /** When it was put, in milliseconds. */
  readonly at: number

  constructor(item: A, seq: number, bytes: number, at: number) {
    this.item = item
    this.seq = seq
    this.bytes = bytes
    this.at = at
  }

  /** Takes it out of the queue, if it is still there. */
  get remove(): Effect.Effect<boolean> {
    return Effect.sync(() => {
      const withdraw = this.list?.withdraw
      if (withdraw === undefined) return false
      withdraw(this)
      return true
    })
  }

  toJSON(): unknown {
    return { _tag: "Entry", item: this.item }
  }

  [NodeInspectSymbol](): unknown {
    return this.toJSON()
  }
}

/** @internal */
export class List<A> {
  head: Node<A> | undefined = undefined
  tail: Node<A> | undefined = undefined
  length = 0
  /** How a node of this list is cancelled; none where it cannot be. */
  readonly withdraw: ((node: Node<A>) => void) | undefined
  /** Where something was inserted last: what comes back in one go comes to neighbouring places. */
  private finger: Node<A> | undefined = undefined

  constructor(withdraw?: (node: Node<A>) => void) {
    this.withdraw = withdraw
  }

  push(node: Node<A>): void {
    node.list = this
    node.prev = this.tail
    if (this.tail === undefined) this.head = node
    else this.tail.next = node
    this.tail = node
    this.length++
  }

  /** To its place by `seq`. */
  insert(node: Node<A>): void {
    let after = this.finger?.list === this ? this.finger : undefined
    if (after === undefined) after = this.head !== undefined && this.head.seq < node.seq ? this.head : undefined
    while (after !== undefined && after.seq > node.seq) after = after.prev
    if (after !== undefined) while (after.next !== undefined && after.next.seq < node.seq) after = after.next
    const before: Node<A> | undefined = after === undefined ? this.head : after.next
    node.list = this
    node.prev = after
    node.next = before
    if (after === undefined) this.head = node
    else after.next = node
    if (before === undefined) this.tail = node
    else before.prev = node
    this.length++
    this.finger = node
  }

  remove(node: Node<A>): void {
    const { next, prev } = node
    if (prev === undefined) this.head = next
    else prev.next = next
    if (next === undefined) this.tail = prev
    else next.prev = prev
    node.list = undefined
    node.next = undefined
    node.prev = undefined
    this.length--
  }

  shift(): Node<A> | undefined {
    const node = this.head
    if (node === undefined) return undefined
    const { next } = node
    this.head = next
    if (next === undefined) this.tail = undefined
    else next.prev = undefined
    node.list = undefined
    node.next = undefined
    this.length--
    return node
  }

  toArray(): Array<Node<A>> {
    const nodes: Array<Node<A>> = []
    for (let node = this.head; node !== undefined; node = node.next) nodes.push(node)
    return nodes
  }
}

keepShape(new Node(undefined, 0, 0, 0))
keepShape(new List())
