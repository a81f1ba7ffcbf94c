/**
 * Arguments checked against their declaration, before anything reaches a device: kind, exact length, the device of buffers.
 */
import type { Kind } from "./definition.ts"
import { format, sizeOf } from "./dims.ts"
import { InvalidArgument } from "./errors.ts"
import { bufferOf } from "./GpuBuffer.ts"
import type { GpuDevice } from "./GpuDevice.ts"

/** The first argument that does not fit, if there is one. */
export const argumentProblem = (
  args: ReadonlyArray<unknown>,
  kinds: ReadonlyArray<Kind>,
  device: GpuDevice["Service"]
): InvalidArgument | undefined => {
  for (const [index, kind] of kinds.entries()) {
    const expected = unfit(args[index], kind, device)
    if (expected === undefined) continue
    return new InvalidArgument({ index, expected, actual: index < args.length ? describe(args[index]) : "missing" })
  }
  const index = kinds.length
  if (args.length === index) return undefined
  return new InvalidArgument({ index, expected: "left out", actual: describe(args[index]) })
}

/** What it should have been, if it is not. */
const unfit = (value: unknown, kind: Kind, device: GpuDevice["Service"]): string | undefined => {
  if (kind === "number") return typeof value === "number" ? undefined : "a number"
  const buffer = bufferOf(value)
  if (buffer !== undefined) {
    if (buffer.device !== device) return "a GpuBuffer of the kernel's own device"
    return format(buffer.dims) === format(kind.dims) ? undefined : `a GpuBuffer of ${format(kind.dims)}`
  }
  const size = sizeOf(kind.dims)
  if (value instanceof Float32Array && value.length === size) return undefined
  return `a Float32Array of ${size} numbers (${format(kind.dims)})`
}

/** A value, for a message. */
export const describe = (value: unknown): string => {
  const buffer = bufferOf(value)
  if (buffer !== undefined) return `a GpuBuffer of ${format(buffer.dims)}`
  if (ArrayBuffer.isView(value)) {
    const name = value.constructor.name
    return "length" in value ? `a ${name} of ${String(value.length)}` : `a ${name}`
  }
  if (Array.isArray(value)) return "an Array"
  return value === null || value === undefined ? String(value) : `a ${typeof value}`
}
