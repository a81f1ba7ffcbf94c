/**
 * One launch for many calls: a kernel rewritten to have one dimension more, along which the items of a batch lie.
 *
 * With an output of `[n]` the items lie along y, with `[rows, columns]` along z. Every use of an argument that each item has
 * its own of is rewritten: `vector[i]` becomes `vector[this.thread.y][i]`, a number `scale` becomes `scale[this.thread.y]`.
 * What cannot be rewritten in this way is refused.
 */
import type { Kind, Checked } from "./definition.ts"
import { type ArgumentKind, type KernelSource } from "./engine.ts"
import { NotBatchable } from "./errors.ts"
import { coordinateOf, descend, type Edit, edited, isUse, type Node, type Parsed, paramsOf } from "./syntax.ts"

/** Makes the source for batches of a size. */
export type Batched = (size: number) => KernelSource

/** How to make the source for batches, or why it cannot be made. */
export const batching = ({ body, helpers, source }: Checked, kinds: ReadonlyArray<Kind>): Batched | NotBatchable => {
  const { output } = source
  if (output.length === 3) return refuse("its output has three dimensions, there is none left for the items")
  const axis = output.length === 1 ? "y" : "z"
  const own = new Map<string, Kind>()
  for (const [i, name] of paramsOf(body).entries()) {
    const kind = kinds[i]!
    if (kind !== "number" && kind.shared) continue
    if (kind !== "number" && kind.dims.length === 3) {
      return refuse(`argument ${i} has three dimensions: make it Kernel.shared, or give it fewer`)
    }
    own.set(name, kind)
  }
  const problem = [body, ...helpers].map((parsed) => axisProblem(parsed, axis)).find((found) => found !== undefined)
  if (problem !== undefined) return refuse(problem)
  const edits = rewrite(body, own, axis)
  if (typeof edits === "string") return refuse(edits)
  const text = edited(body.text, edits)
  return (size) => ({
    ...source,
    body: text,
    args: kinds.map((kind): ArgumentKind => {
      if (kind === "number") return { dims: [size] }
      return { dims: kind.shared ? kind.dims : [size, ...kind.dims] }
    }),
    output: [size, ...output]
  })
}

const refuse = (problem: string): NotBatchable => new NotBatchable({ problem })

/** What is 0 and 1 for one item is something else for many. */
const axisProblem = ({ text, tree, where }: Parsed, axis: string): string | undefined => {
  let problem: string | undefined
  descend(tree, (node) => {
    const coordinate = coordinateOf(node)
    if (coordinate === undefined || coordinate.of === "constants") return
    if (coordinate.axis === undefined || coordinate.axis === axis) {
      problem ??= `${where} uses ${text.slice(node.start, node.end)}, along which the items of a batch lie`
    }
  })
  return problem
}

/** The edits, or what cannot be edited. */
const rewrite = (body: Parsed, own: ReadonlyMap<string, Kind>, axis: string): ReadonlyArray<Edit> | string => {
  const edits: Array<Edit> = []
  let problem: string | undefined
  const params = body.tree["params"] as ReadonlyArray<Node>
  descend(body.tree, (node, parent) => {
    if (!isUse(node, parent) || params.includes(node)) return
    const name = String(node["name"])
    const kind = own.get(name)
    if (kind === undefined) return
    if (kind === "number") {
      const isWritten = parent.type === "AssignmentExpression" && parent["left"] === node
      if (isWritten || parent.type === "UpdateExpression") problem ??= `it changes its argument ${name}: copy it first`
      edits.push({ start: node.end, end: node.end, text: `[this.thread.${axis}]` })
    } else if (parent.type === "MemberExpression" && parent["object"] === node && parent["computed"] === true) {
      edits.push({ start: node.end, end: node.end, text: `[this.thread.${axis}]` })
    } else {
      problem ??= `it passes its argument ${name} on as a whole: make it Kernel.shared, or index it where it is used`
    }
  })
  return problem ?? edits
}

/** How large a launch is made for so many items: powers of two, so that few sizes are ever compiled. */
export const bucketFor = (items: number, maxSize: number): number =>
  Math.min(maxSize, 2 ** Math.ceil(Math.log2(Math.max(items, 1))))
