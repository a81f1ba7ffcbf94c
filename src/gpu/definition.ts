/**
 * From a kernel's definition to its source: everything about it that can be refused without compiling anything is refused
 * here, the same for all backends.
 */
import type { ArgumentKind, KernelSource, Limits } from "./engine.ts"
import { type KernelCompileFailed, Limit, NotPlainFunction, Shape } from "./errors.ts"
import { type Dims, problemWith, sizeOf } from "./dims.ts"
import { pitfallIn } from "./pitfalls.ts"
import { helperName, named, withAssignments, withHelperCalls } from "./rewriting.ts"
import { type Parse, type Parsed, paramsOf, parseFunction, problemIn } from "./syntax.ts"

type Reason = KernelCompileFailed["reason"]

/**
 * An argument that is a tensor: a `Float32Array` of exactly as many numbers, or a `GpuBuffer` of that shape.
 *
 * @category models
 * @since 0.1.0
 */
export interface TensorKind<out D extends Dims> {
  readonly _tag: "Tensor"
  readonly dims: D
  /** One for all items of a batch. */
  readonly shared: boolean
}

/**
 * What an argument can be.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = TensorKind<Dims> | "number"

/** A definition without its types. */
export interface AnyDefinition {
  readonly name: string
  readonly args: ReadonlyArray<Kind>
  readonly output: ReadonlyArray<number>
  readonly constants: Readonly<Record<string, unknown>>
  readonly functions: Readonly<Record<string, unknown>>
  readonly loopLimit: number | undefined
  readonly seed: number | undefined
  readonly body: unknown
}

/** A kernel's source with the trees that batching works on. */
export interface Checked {
  readonly source: KernelSource
  readonly body: Parsed
  readonly helpers: ReadonlyArray<Parsed>
}

/** Whether it is one of the reasons, rather than what was asked for. */
export const isReason = (value: object): value is Reason => value instanceof Error

/** The source of a definition, or why there can be none. */
export const check = (definition: AnyDefinition, parse: Parse, limits: Limits): Checked | Reason => {
  const { args, constants, functions, loopLimit, name, output, seed } = definition
  const shape = shapeProblem(definition)
  if (shape !== undefined) return shape

  const reading: Reading = {
    parse,
    helpers: new Set(Object.keys(functions)),
    constants,
    dimensions: output.length,
    limited: loopLimit !== undefined
  }
  const helpers: Array<Parsed> = []
  for (const [name, helper] of Object.entries(functions)) {
    const parsed = plain(reading, `functions.${name}`, helper)
    if (isReason(parsed)) return parsed
    helpers.push(parsed)
  }
  const body = plain(reading, "body", definition.body)
  if (isReason(body)) return body
  const params = paramsOf(body).length
  if (params !== args.length) {
    return new Shape({ field: "args", problem: `are ${args.length}, the body takes ${params}` })
  }

  const source: KernelSource = {
    name,
    body: body.text,
    functions: helpers.map((helper, i) => ({ name: helperName(Object.keys(functions)[i]!), source: helper.text })),
    constants: constants as KernelSource["constants"],
    args: args.map((kind): ArgumentKind => (kind === "number" ? kind : { dims: kind.dims })),
    output,
    loopLimit,
    seed,
    resident: false
  }
  return limitProblem(source, limits) ?? { source, body, helpers }
}

/** What a function of a kernel is read with. */
interface Reading {
  readonly parse: Parse
  readonly helpers: ReadonlySet<string>
  readonly constants: Readonly<Record<string, unknown>>
  /** Of the output. */
  readonly dimensions: number
  /** Whether the kernel says how far its loops may go. */
  readonly limited: boolean
}

/** A function parsed, found fit, and with its helpers called by the names they have for gpu.js. */
const plain = (reading: Reading, where: string, given: unknown): Parsed | Reason => {
  const { constants, dimensions, helpers, limited, parse } = reading
  if (typeof given !== "function") return new NotPlainFunction({ function: where, found: typeof given })
  const parsed = parseFunction(parse, where, given.toString())
  if (isReason(parsed)) return parsed
  const problem = pitfallIn(parsed, constants, limited) ?? problemIn(parsed, helpers, dimensions)
  if (problem !== undefined) return problem
  const called = parseFunction(parse, where, withHelperCalls(parsed, helpers))
  if (isReason(called)) return called
  const rewritten = parseFunction(parse, where, withAssignments(called))
  if (isReason(rewritten) || !where.startsWith("functions.")) return rewritten
  return parseFunction(parse, where, named(rewritten, helperName(where.slice("functions.".length))))
}

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/

const shapeProblem = (definition: AnyDefinition): Shape | undefined => {
  const { args, constants, functions, loopLimit, output, seed } = definition
  const refuse = (field: string, problem: string | undefined) =>
    problem === undefined ? undefined : new Shape({ field, problem })
  const ofArgs = args.map((kind, i) =>
    kind === "number" ? undefined : refuse(`args[${i}]`, problemWith((kind as { dims?: unknown } | undefined)?.dims))
  )
  const ofConstants = Object.entries(constants).map(([name, value]) =>
    refuse(`constants.${name}`, IDENTIFIER.test(name) ? constantProblem(value) : "must have the name of a variable")
  )
  const ofFunctions = Object.keys(functions).map((name) =>
    refuse(`functions.${name}`, IDENTIFIER.test(name) ? undefined : "must have the name of a variable")
  )
  const isLimit = loopLimit === undefined || (Number.isSafeInteger(loopLimit) && loopLimit >= 1 && loopLimit < 2 ** 31)
  const isSeed = seed === undefined || (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)
  return [
    refuse("output", problemWith(output)),
    ...ofArgs,
    ...ofConstants,
    ...ofFunctions,
    refuse("loopLimit", isLimit ? undefined : `must be a whole number of 1 or more, it is ${loopLimit}`),
    refuse("seed", isSeed ? undefined : `must be a whole number from 0 to 2^32 - 1, it is ${seed}`)
  ].find((problem) => problem !== undefined)
}

const constantProblem = (value: unknown): string | undefined => {
  if (value instanceof Float32Array) return value.length > 0 ? undefined : "must have at least one number"
  if (typeof value !== "number") return "must be a number or a Float32Array"
  return Number.isFinite(value) ? undefined : `must be finite, it is ${value}`
}

/** More than the device can hold. */
export const limitProblem = (source: KernelSource, limits: Limits): Limit | undefined => {
  const { args, constants, output } = source
  const tensors = [
    ...args.flatMap((kind) => (kind === "number" ? [] : [sizeOf(kind.dims)])),
    ...Object.values(constants).flatMap((value) => (typeof value === "number" ? [] : [value.length])),
    sizeOf(output)
  ]
  const [columns = 1, rows = 1, depth = 1] = output.toReversed()
  const wide = output.length > 1 ? Math.max(rows, columns) : 1
  const checks: ReadonlyArray<readonly [limit: string, needed: number, allowed: number]> = [
    ["bytes for a tensor", Math.max(...tensors) * 4, limits.maxBufferBytes],
    ["tensors (constants and output included)", tensors.length, limits.maxTensors],
    ["output rows or columns", wide, limits.maxOutputRows],
    ["output layers", depth, limits.maxOutputDepth]
  ]
  const over = checks.find(([, needed, allowed]) => needed > allowed)
  return over === undefined ? undefined : new Limit({ limit: over[0], needed: over[1], allowed: over[2] })
}
