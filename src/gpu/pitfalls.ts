/**
 * JavaScript that gpu.js translates into something else, without a word: each kind was found by running the same kernel as
 * JavaScript and on every backend. All are refused on all backends, so that a kernel means the same wherever it runs.
 *
 * 1. A name declared again in an inner block is the same variable on webasm.
 * 2. A case that falls through to the next ends instead.
 * 3. What is written to an argument is written to the caller's array on cpu.
 * 4. `continue` skips the update of a loop with a limit, and the condition of a do-while.
 * 5. A loop that does not start at a literal ends after 1000 rounds on webasm, on cpu it does not.
 * 6. A function inside a function does not see the variables around it.
 * 7. A parameter with the name of a constant is the constant on cpu.
 */
import { type KernelCompileFailed, LoopBound, Syntax } from "./errors.ts"
import { descend, type Node, type Parsed, paramsOf } from "./syntax.ts"

/** What would come out wrong, if anything would. `limited` kernels say how far their loops may go. */
export const pitfallIn = (
  parsed: Parsed,
  constants: Readonly<Record<string, unknown>>,
  limited: boolean
): KernelCompileFailed["reason"] | undefined => {
  const { tree, where } = parsed
  const params = new Set(paramsOf(parsed))
  const problem =
    innerFunction(tree) ??
    first([...params], (name) =>
      Object.hasOwn(constants, name)
        ? `its parameter ${name} has the name of a constant: rename one of them`
        : undefined
    ) ??
    declaredTwice(tree["body"] as Node, [new Set(params)]) ??
    fallsThrough(tree) ??
    writesOutside(tree, params) ??
    skips(tree["body"] as Node, undefined)
  if (problem !== undefined) return new Syntax({ detail: `${where}: ${problem}` })
  return !limited && hasLateStart(tree) ? new LoopBound({}) : undefined
}

/** The nodes right below. */
const childrenOf = (node: Node): ReadonlyArray<Node> => {
  const children: Array<Node> = []
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child === "object" && child !== null && typeof (child as Node).type === "string") children.push(child)
    }
  }
  return children
}

/** The first answer that is one. */
const first = <A, B>(values: ReadonlyArray<A>, f: (value: A) => B | undefined): B | undefined => {
  for (const value of values) {
    const found = f(value)
    if (found !== undefined) return found
  }
  return undefined
}

const innerFunction = (tree: Node): string | undefined => {
  let found = false
  descend(tree, ({ type }) => void (found ||= type.includes("Function") || type.startsWith("Class")))
  return found ? "it has a function inside: give that as one of its functions" : undefined
}

const BLOCKS = ["BlockStatement", "ForStatement", "SwitchStatement"]

const declaredTwice = (node: Node, scopes: ReadonlyArray<Set<string>>): string | undefined => {
  const inner = BLOCKS.includes(node.type) ? [...scopes, new Set<string>()] : scopes
  const id = node.type === "VariableDeclarator" ? (node["id"] as Node) : undefined
  if (id?.type === "Identifier") {
    const name = String(id["name"])
    if (inner.slice(0, -1).some((outer) => outer.has(name))) {
      return `it declares another ${name} inside a block: give it a name of its own`
    }
    inner.at(-1)!.add(name)
  }
  return first(childrenOf(node), (child) => declaredTwice(child, inner))
}

const ENDS = ["BreakStatement", "ReturnStatement", "ContinueStatement"]

const fallsThrough = (tree: Node): string | undefined => {
  let problem: string | undefined
  descend(tree, (node) => {
    if (node.type !== "SwitchStatement") return
    for (const { consequent } of (node["cases"] as ReadonlyArray<Node>).slice(0, -1)) {
      const last = (consequent as ReadonlyArray<Node>).at(-1)
      const end = last?.type === "BlockStatement" ? (last["body"] as ReadonlyArray<Node>).at(-1) : last
      if (last !== undefined && !ENDS.includes(end?.type ?? "")) {
        problem ??= "a case of a switch falls through to the next: end it with break, or write if"
      }
    }
  })
  return problem
}

const writesOutside = (tree: Node, params: ReadonlySet<string>): string | undefined => {
  let problem: string | undefined
  descend(tree, (node) => {
    const target = { AssignmentExpression: node["left"], UpdateExpression: node["argument"] }[node.type] as
      | Node
      | undefined
    if (target?.type !== "MemberExpression") return
    let root = target
    while (root.type === "MemberExpression") root = root["object"] as Node
    const isOutside = root.type === "ThisExpression" || params.has(String(root["name"]))
    if (isOutside) problem ??= "it writes to what it was given: copy it to a variable first"
  })
  return problem
}

/** Looks for a `continue` that means another loop than `loop`, the nearest around it, lets it. */
const skips = (node: Node, loop: Node | undefined): string | undefined => {
  if (node.type === "ContinueStatement" && loop !== undefined) {
    if (loop.type === "DoWhileStatement") return "continue in a do-while skips its condition: write while"
    if (loop.type === "ForStatement" && !isCounted(loop)) {
      return "continue in a for that does not run from a literal to a literal or constant skips its update: write if"
    }
  }
  const isLoop = ["ForStatement", "WhileStatement", "DoWhileStatement"].includes(node.type)
  return first(childrenOf(node), (child) => skips(child, isLoop ? node : loop))
}

/** `for (let i = 0; i < 8; i++)`, or up to a constant. */
const isCounted = (loop: Node): boolean => {
  const test = loop["test"] as Node | null
  if (test?.type !== "BinaryExpression" || !startsAtLiteral(loop)) return false
  const bound = test["right"] as Node
  const object = bound["object"] as Node | undefined
  const isConstant =
    object?.type === "MemberExpression" &&
    (object["object"] as Node).type === "ThisExpression" &&
    (object["property"] as Node)["name"] === "constants"
  return (test["left"] as Node).type === "Identifier" && (bound.type === "Literal" || isConstant)
}

const startsAtLiteral = (loop: Node): boolean => {
  const declarations = (loop["init"] as Node | null)?.["declarations"] as ReadonlyArray<Node> | undefined
  return declarations?.length === 1 && (declarations[0]!["init"] as Node | null)?.type === "Literal"
}

const hasLateStart = (tree: Node): boolean => {
  let found = false
  descend(tree, (node) => void (found ||= node.type === "ForStatement" && !startsAtLiteral(node)))
  return found
}
