/**
 * Values as bytes in memory that threads share: buffers and views on them are copied there once, and handed out as views
 * of the same kind from then on. Also how large values are that stay where they are.
 */

/** The kinds of views, by the name of their constructor. */
export const kinds = [
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
  // Where the runtime has it.
  "Float16Array",
  "DataView",
  // The whole of the memory, without a view on it.
  "SharedArrayBuffer",
  // A value that is no buffer, as the bytes that its schema makes of it.
  "encoded"
] as const

/** What bytes in shared memory are. */
export type Kind = (typeof kinds)[number]

/** Bytes that all threads see, and what they are. Goes through `postMessage` without being copied. */
export interface Shared {
  readonly kind: Kind
  readonly buffer: SharedArrayBuffer
  readonly offset: number
  readonly bytes: number
}

type View = ArrayBufferView<ArrayBufferLike>
type Constructor = new (
  buffer: ArrayBufferLike,
  offset?: number,
  length?: number
) => View & {
  readonly BYTES_PER_ELEMENT?: number
}

/** Node's Buffer is a Uint8Array by its tag, as it is by its prototype. */
const kindOf = (view: View): Kind =>
  view instanceof DataView ? "DataView" : ((view as unknown as Uint8Array)[Symbol.toStringTag] as Kind)

const isBuffer = (value: unknown): value is ArrayBuffer | SharedArrayBuffer =>
  value instanceof ArrayBuffer || value instanceof SharedArrayBuffer

/** Whether a value is put into shared memory as it is. */
export const isBinary = (value: unknown): value is View | ArrayBuffer | SharedArrayBuffer =>
  isBuffer(value) || (ArrayBuffer.isView(value) && (kinds as ReadonlyArray<string>).includes(kindOf(value)))

/** Bytes in new shared memory. Throws a RangeError when there is none. */
export const shareBytes = (kind: Kind, bytes: Uint8Array): Shared => {
  const buffer = new SharedArrayBuffer(bytes.byteLength)
  new Uint8Array(buffer).set(bytes)
  return { kind, buffer, offset: 0, bytes: bytes.byteLength }
}

/** Whether a buffer, or that of a view, has been given away: to another thread, or to `structuredClone`. */
export const isDetached = (value: View | ArrayBuffer | SharedArrayBuffer): boolean => {
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value
  return (buffer as { readonly detached?: boolean }).detached === true
}

/** What is put as a `constructor`: that itself, or what it extends, as Node's Buffer does. */
export const kindFrom = (constructor: Function): Kind =>
  kinds.find((kind) => {
    const Known = (globalThis as unknown as Record<Kind, Function | undefined>)[kind]
    return Known !== undefined && (constructor === Known || constructor.prototype instanceof Known)
  }) ?? "SharedArrayBuffer"

/** Whether a value is a view of that kind on shared memory, or such memory itself. */
export const isSharedAs = (value: unknown, kind: Kind): boolean => {
  if (kind === "SharedArrayBuffer") return value instanceof SharedArrayBuffer
  return ArrayBuffer.isView(value) && value.buffer instanceof SharedArrayBuffer && kindOf(value) === kind
}

/** A buffer or view in shared memory: copied, unless it is there already. Throws a RangeError when there is no memory. */
export const share = (value: View | ArrayBuffer | SharedArrayBuffer): Shared => {
  if (value instanceof SharedArrayBuffer) {
    return { kind: "SharedArrayBuffer", buffer: value, offset: 0, bytes: value.byteLength }
  }
  if (value instanceof ArrayBuffer) return shareBytes("SharedArrayBuffer", new Uint8Array(value))
  const { buffer, byteLength, byteOffset } = value
  if (buffer instanceof SharedArrayBuffer) {
    return { kind: kindOf(value), buffer, offset: byteOffset, bytes: byteLength }
  }
  return shareBytes(kindOf(value), new Uint8Array(buffer, byteOffset, byteLength))
}

/** The bytes themselves, not copied. */
export const bytesOf = ({ buffer, bytes, offset }: Shared): Uint8Array<SharedArrayBuffer> =>
  new Uint8Array(buffer, offset, bytes)

/** What was put, as a view of the kind that it was; never asked of what is encoded. */
export const viewOf = (shared: Shared): unknown => {
  const { buffer, bytes, kind, offset } = shared
  if (kind === "SharedArrayBuffer") return buffer
  const View = (globalThis as unknown as Record<Kind, Constructor>)[kind]
  const width = (View as unknown as { readonly BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1
  return new View(buffer, offset, bytes / width)
}

const POINTER = 8
const OBJECT = 16

/**
 * About how many bytes data takes: texts, numbers, arrays, maps, sets, buffers, and objects with their own properties, each
 * counted once. What functions and private fields hold cannot be seen, and counts as nothing.
 */
export const measure = (value: unknown): number => {
  const seen = new Set<object>()
  const open: Array<object> = []
  let bytes = 0
  const add = (next: unknown): void => {
    if (typeof next === "string") bytes += 2 * next.length
    else if (typeof next !== "object" || next === null) bytes += POINTER
    else if (!seen.has(next)) {
      seen.add(next)
      open.push(next)
    }
  }
  add(value)
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    bytes += OBJECT
    if (isBinary(next) || ArrayBuffer.isView(next)) bytes += next.byteLength
    else if (Array.isArray(next) || next instanceof Set) for (const each of next) add(each)
    else if (next instanceof Map) {
      for (const [key, each] of next) {
        add(key)
        add(each)
      }
    } else for (const each of Object.values(next)) add(each)
  }
  return bytes
}
