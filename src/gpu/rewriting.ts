/**
 * The source of kernels, put in the form that gpu.js understands on every backend. What is rewritten means the same.
 *
 * 1. Helpers are called by names that are none of gpu.js's own, whatever form a bundler or test runner gave the call.
 * 2. `a++` as a statement is `a += 1`: on webgpu it would make a whole number of `a` for good, and cut off its fractions. So
 *    would `i++` in the head of a loop that changes `i` inside; `i--` there is not known at all.
 */
import { descend, type Edit, edited, helperOf, type Node, type Parsed } from "./syntax.ts"

/** The name of a helper in what gpu.js is given: one that is no name of gpu.js's own. */
export const helperName = (name: string): string => `helper_${name}`

/** The text with each helper called by that name. */
export const withHelperCalls = (parsed: Parsed, helpers: ReadonlySet<string>): string => {
  const edits: Array<Edit> = []
  descend(parsed.tree, (node) => {
    if (node.type !== "CallExpression") return
    const callee = node["callee"] as Node
    // (0, module.helper)(x)
    const inner = callee.type === "SequenceExpression" ? (callee["expressions"] as ReadonlyArray<Node>).at(-1)! : callee
    const name =
      inner.type === "MemberExpression"
        ? helperOf(inner, inner["object"] as Node, helpers)
        : helpers.has(String(inner["name"]))
          ? String(inner["name"])
          : undefined
    if (name === undefined) return
    // From the start of the call up to its first argument, parentheses included.
    const opening = /^\s*\)*\s*\(/.exec(parsed.text.slice(callee.end))![0]
    edits.push({ start: node.start, end: callee.end + opening.length, text: `${helperName(name)}(` })
  })
  return edited(parsed.text, edits)
}

/** The text of a function under another name. */
export const named = (parsed: Parsed, name: string): string => {
  const open = parsed.text.indexOf("(", (parsed.tree["id"] as Node | null)?.end ?? parsed.tree.start)
  return `function ${name}${parsed.text.slice(open)}`
}

/** The edits that make assignments of increments. */
const updateEdits = (tree: Node): ReadonlyArray<Edit> => {
  const edits: Array<Edit> = []
  const rewrite = (update: Node): void => {
    const { argument, end, operator, start } = update as Node & { readonly argument: Node; readonly operator: string }
    if (argument.type === "Identifier") {
      edits.push({ start, end, text: `${String(argument["name"])} ${operator[0]}= 1` })
    }
  }
  descend(tree, (node) => {
    const expression = node.type === "ExpressionStatement" ? (node["expression"] as Node) : undefined
    if (expression?.type === "UpdateExpression") rewrite(expression)
    if (node.type !== "ForStatement" || node["update"] === null) return
    const head = node["update"] as Node
    const changed = assignedIn(node["body"] as Node)
    const parts = head.type === "SequenceExpression" ? (head["expressions"] as ReadonlyArray<Node>) : [head]
    for (const part of parts) {
      if (part.type !== "UpdateExpression") continue
      if (part["operator"] === "--" || changed.has(String((part["argument"] as Node)["name"]))) rewrite(part)
    }
  })
  return edits
}

/** The variables to which something is assigned. */
const assignedIn = (tree: Node): ReadonlySet<string> => {
  const names = new Set<string>()
  descend(tree, (node) => {
    const target = { AssignmentExpression: node["left"], UpdateExpression: node["argument"] }[node.type] as
      | Node
      | undefined
    if (target?.type === "Identifier") names.add(String(target["name"]))
  })
  return names
}

/** The text with increments as assignments. */
export const withAssignments = (parsed: Parsed): string => edited(parsed.text, updateEdits(parsed.tree))
