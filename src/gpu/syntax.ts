/**
 * The source of kernels, read with the parser that gpu.js brings: what is no plain function that stands by itself is refused
 * here.
 *
 * acorn is a dependency of gpu.js and found through it, so that it need not be installed beside it.
 */
import * as Effect from "effect/Effect"
import { type KernelCompileFailed, NotPlainFunction, Syntax } from "./errors.ts"
import { messageOf } from "./gpuJs.ts"

/** A node of the syntax tree, by the names of ESTree. */
export interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [property: string]: unknown
}

/** Parses an expression that is a function; throws at a syntax error. */
export type Parse = (source: string) => Node

/** Loads the parser; fails with what to do about it. */
export const loadParser: Effect.Effect<Parse, string> = Effect.tryPromise({
  try: () => import("node:module"),
  catch: (cause) => messageOf(cause)
}).pipe(
  Effect.flatMap(({ createRequire }) =>
    Effect.try({
      try: () => {
        const gpuJs = createRequire(import.meta.url).resolve("gpu.js")
        const acorn = createRequire(gpuJs)("acorn") as {
          readonly parseExpressionAt: (source: string, at: number, options: object) => Node
        }
        return (source: string) => acorn.parseExpressionAt(source, 0, { ecmaVersion: "latest" })
      },
      catch: (cause) => `gpu.js could not be loaded: npm install gpu.js (${messageOf(cause)})`
    })
  )
)

type Reason = KernelCompileFailed["reason"]

/** A function's text with its tree. `where` is "body" or the name of a helper. */
export interface Parsed {
  readonly where: string
  readonly text: string
  readonly tree: Node
}

/** Edits of a text, none overlapping another. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** The text with the edits made. */
export const edited = (text: string, edits: ReadonlyArray<Edit>): string =>
  edits
    .toSorted((a, b) => b.start - a.start)
    .reduce((done, { end, start, text }) => done.slice(0, start) + text + done.slice(end), text)

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as Node).type === "string"

/** The nodes below, each with the one above it. */
export const descend = (node: Node, visit: (node: Node, parent: Node) => void): void => {
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (!isNode(child)) continue
      visit(child, node)
      descend(child, visit)
    }
  }
}

/** The parameters of a function, by name; other patterns are refused before. */
export const paramsOf = ({ tree }: Parsed): ReadonlyArray<string> =>
  (tree["params"] as ReadonlyArray<Node>).map((param) => String(param["name"]))

/** Whether an identifier is a use of a variable, and no name of a property or label. */
export const isUse = (node: Node, parent: Node): boolean => {
  if (node.type !== "Identifier") return false
  if (parent.type === "MemberExpression") return parent["object"] === node || parent["computed"] === true
  if (parent.type === "Property") return parent["value"] === node || parent["computed"] === true
  return !["LabeledStatement", "BreakStatement", "ContinueStatement"].includes(parent.type)
}

/** The names a function declares anywhere in it, its parameters included. */
export const declaredIn = ({ tree }: Parsed): ReadonlySet<string> => {
  const names = new Set<string>()
  const declare = (pattern: Node): void => {
    if (pattern.type === "Identifier") names.add(String(pattern["name"]))
    descend(pattern, (node, parent) => void (isUse(node, parent) && names.add(String(node["name"]))))
  }
  for (const param of tree["params"] as ReadonlyArray<Node>) declare(param)
  descend(tree, (node) => {
    if (node.type === "VariableDeclarator") declare(node["id"] as Node)
    if (node.type === "FunctionDeclaration") declare(node["id"] as Node)
  })
  return names
}

/** Parses a plain function; says what it is where it is something else. */
export const parseFunction = (parse: Parse, where: string, text: string): Parsed | Reason => {
  const refuse = (found: string) => new NotPlainFunction({ function: where, found })
  if (/\{\s*\[native code\]\s*\}\s*$/.test(text)) return refuse("a native or bound function, without a source")
  let tree: Node
  try {
    tree = parse(text)
  } catch (cause) {
    return new Syntax({ detail: `${where}: ${messageOf(cause)}` })
  }
  if (tree.type === "ArrowFunctionExpression") return refuse("an arrow function")
  if (tree.type === "ClassExpression") return refuse("a class")
  if (tree.type !== "FunctionExpression") return refuse("a method")
  if (tree["async"] === true) return refuse("an async function")
  if (tree["generator"] === true) return refuse("a generator")
  return { where, text, tree }
}

/** Names every kernel may use. */
const GLOBALS = new Set(["Math", "Infinity", "NaN"])

/** What of `this` a kernel may use. */
const MEMBERS = new Set(["thread", "output", "constants"])

/** What gpu.js would misunderstand, often in silence. `dimensions` are the output's. */
export const problemIn = (parsed: Parsed, helpers: ReadonlySet<string>, dimensions: number): Reason | undefined => {
  const { text, tree, where } = parsed
  const strange = (tree["params"] as ReadonlyArray<Node>).find(({ type }) => type !== "Identifier")
  if (strange !== undefined) {
    const param = text.slice(strange.start, strange.end)
    return new Syntax({ detail: `${where}: the parameter ${param} must be a plain name` })
  }
  const declared = declaredIn(parsed)
  let problem: string | undefined
  descend(tree, (node, parent) => {
    if (node.type === "ThisExpression") problem ??= ofThis(parent, text)
    problem ??= ofOutput(node, dimensions)
    if (!isUse(node, parent)) return
    const name = String(node["name"])
    if (declared.has(name) || helpers.has(name) || GLOBALS.has(name) || node === tree["id"]) return
    if (helperOf(parent, node, helpers) !== undefined) return
    problem ??= `it uses ${name} from outside: pass values as constants and functions as functions`
  })
  return problem === undefined ? undefined : new Syntax({ detail: `${where}: ${problem}` })
}

/** `this.thread.y` or the like: what it is of, and along which axis. Computed ones have no axis. */
export const coordinateOf = (node: Node): { readonly of: string; readonly axis: string | undefined } | undefined => {
  if (node.type !== "MemberExpression") return undefined
  const object = node["object"] as Node
  if (object.type !== "MemberExpression" || (object["object"] as Node).type !== "ThisExpression") return undefined
  const [of, axis] = [object, node].map((member) => String((member["property"] as Node)["name"]))
  return { of: of!, axis: node["computed"] === true ? undefined : axis }
}

/** It would be NaN. */
const ofOutput = (node: Node, dimensions: number): string | undefined => {
  const coordinate = coordinateOf(node)
  if (coordinate?.of !== "output") return undefined
  const needed = "xyz".indexOf(coordinate.axis ?? "-") + 1
  if (needed === 0) return "this.output has x, y and z"
  if (needed <= dimensions) return undefined
  return `this.output.${coordinate.axis} is there only with an output of ${needed} dimensions${needed < 3 ? " or more" : ""}`
}

const ofThis = (parent: Node, text: string): string | undefined => {
  const property = parent.type === "MemberExpression" ? (parent["property"] as Node) : undefined
  if (property !== undefined && parent["computed"] !== true && MEMBERS.has(String(property["name"]))) return undefined
  const line = text.slice(parent.start, parent.end)
  return `only this.thread, this.output and this.constants can be used, and not taken apart (${line})`
}

/** `module.helper`, as bundlers and test runners write a name that was imported. */
export const helperOf = (parent: Node, node: Node, helpers: ReadonlySet<string>): string | undefined => {
  if (parent.type !== "MemberExpression" || parent["object"] !== node || parent["computed"] === true) return undefined
  const name = String((parent["property"] as Node)["name"])
  return helpers.has(name) ? name : undefined
}
