/**
 * What can go wrong with a device and its kernels: five errors, each with data to decide by and a message that says what to
 * do next. The two of a kernel keep their cases in a tagged `reason`.
 */
import * as Schema from "effect/Schema"

/** The schema of backends. @internal */
export const Backend = Schema.Literals(["webgpu", "webasm", "cpu"])

/**
 * What kernels run on: a graphics card, WebAssembly, or plain JavaScript.
 *
 * @category models
 * @since 0.1.0
 */
export type Backend = typeof Backend.Type

/** The schema of what is declined. @internal */
export const Declined = Schema.Struct({ backend: Backend, reason: Schema.String })

/**
 * A backend that was asked for and could not be had, and why.
 *
 * @category models
 * @since 0.1.0
 */
export type Declined = typeof Declined.Type

/**
 * None of the backends that were asked for is here. `declined` has the reason of each, in the order they were tried.
 *
 * @category errors
 * @since 0.1.0
 */
export class GpuUnavailable extends Schema.TaggedError<GpuUnavailable>()("GpuUnavailable", {
  declined: Schema.Array(Declined)
}) {
  override get message(): string {
    const reasons = this.declined.map(({ backend, reason }) => `${backend}: ${reason}`)
    return `no device to run kernels on. ${reasons.join("; ")}`
  }
}

/**
 * The device is gone, with every kernel and buffer on it: the driver reset it, it was unplugged, or it was destroyed.
 * Nothing recovers on the old device; restart what holds it, which `GpuDevice.child` in a rest-for-one tree does.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeviceLost extends Schema.TaggedError<DeviceLost>()("DeviceLost", {
  backend: Backend,
  detail: Schema.String
}) {
  override get message(): string {
    return `the ${this.backend} device was lost (${this.detail}): make a new one and compile its kernels again`
  }
}

/**
 * The device had no memory left for what `kernel` needed. The results of calls that were in flight are not to be trusted and
 * were not given out. Smaller batches or fewer resident buffers need less.
 *
 * @category errors
 * @since 0.1.0
 */
export class GpuOutOfMemory extends Schema.TaggedError<GpuOutOfMemory>()("GpuOutOfMemory", {
  backend: Backend,
  kernel: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.kernel}: out of memory on ${this.backend} (${this.detail}): use smaller batches or free resident buffers`
  }
}

/**
 * The kernel's source, or that of one of its helpers, cannot be translated, or the device refused the translation.
 *
 * @category errors
 * @since 0.1.0
 */
export class Syntax extends Schema.TaggedError<Syntax>()("Syntax", { detail: Schema.String }) {
  override get message(): string {
    return `its source cannot be translated: ${this.detail}`
  }
}

/**
 * A body or helper that is not a plain `function`: an arrow, a method, an async function, or one without source text.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotPlainFunction extends Schema.TaggedError<NotPlainFunction>()("NotPlainFunction", {
  function: Schema.String,
  found: Schema.String
}) {
  override get message(): string {
    return `${this.function} is ${this.found}: write "function(…) { … }", values go in constants and helpers in functions`
  }
}

/**
 * The backend cannot run this kernel itself and would have handed it to plain JavaScript without saying so.
 *
 * @category errors
 * @since 0.1.0
 */
export class Fallback extends Schema.TaggedError<Fallback>()("Fallback", { detail: Schema.String }) {
  override get message(): string {
    return `this backend cannot run it: ${this.detail}. Choose another backend, or rewrite the kernel without that`
  }
}

/**
 * A loop starts or ends at what is known only at the call, and would silently end after 1000 rounds.
 *
 * @category errors
 * @since 0.1.0
 */
export class LoopBound extends Schema.TaggedError<LoopBound>()("LoopBound", {}) {
  override get message(): string {
    return "a loop does not run from a literal to a literal or constant: make it, or give the most rounds it may take as loopLimit"
  }
}

/**
 * A shape with which no kernel can be made. `field` is `output`, `constants.x` or `args[i]`.
 *
 * @category errors
 * @since 0.1.0
 */
export class Shape extends Schema.TaggedError<Shape>()("Shape", { field: Schema.String, problem: Schema.String }) {
  override get message(): string {
    return `${this.field} ${this.problem}`
  }
}

/**
 * More than the device allows. `limit` names what, `needed` and `allowed` are in bytes or counts.
 *
 * @category errors
 * @since 0.1.0
 */
export class Limit extends Schema.TaggedError<Limit>()("Limit", {
  limit: Schema.String,
  needed: Schema.Number,
  allowed: Schema.Number
}) {
  override get message(): string {
    return `it needs ${this.needed} ${this.limit}, this device allows ${this.allowed}: split the work over several kernels`
  }
}

/**
 * The kernel cannot be made to work on many items in one launch.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotBatchable extends Schema.TaggedError<NotBatchable>()("NotBatchable", { problem: Schema.String }) {
  override get message(): string {
    return `it cannot run batches: ${this.problem}`
  }
}

/**
 * A kernel that this device will never run. Permanent: restarting does not help, the definition has to change.
 *
 * **Example** (Handling one reason)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { GpuDevice, Kernel } from "effect-otp/gpu"
 *
 * const Sum = Kernel.make("Sum", {
 *   args: [Kernel.tensor(8), "number"],
 *   output: [1],
 *   body: function(values, count) {
 *     let sum = 0
 *     for (let i = 0; i < count; i++) sum += values[i]!
 *     return sum
 *   }
 * })
 *
 * const program = Kernel.compile(Sum).pipe(
 *   Effect.as("compiled"),
 *   Effect.catchReason("KernelCompileFailed", "LoopBound", () => Effect.succeed("say how far the loop may go"))
 * )
 * const cpu = GpuDevice.layer({ prefer: ["cpu"] })
 * await Effect.runPromise(Effect.scoped(Effect.provide(program, cpu))) // => "say how far the loop may go"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class KernelCompileFailed extends Schema.TaggedError<KernelCompileFailed>()("KernelCompileFailed", {
  kernel: Schema.String,
  backend: Backend,
  reason: Schema.Union([Syntax, NotPlainFunction, Fallback, LoopBound, Shape, Limit, NotBatchable])
}) {
  override get message(): string {
    return `${this.kernel} cannot be compiled for ${this.backend}: ${this.reason.message}`
  }
}

/**
 * An argument that does not fit its declaration; `index` counts from 0, `expected` and `actual` say what. In a batch `item` is
 * the position of the item.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidArgument extends Schema.TaggedError<InvalidArgument>()("InvalidArgument", {
  index: Schema.Number,
  item: Schema.optionalKey(Schema.Number),
  expected: Schema.String,
  actual: Schema.String
}) {
  override get message(): string {
    const item = this.item === undefined ? "" : ` of item ${this.item}`
    return `argument ${this.index}${item} must be ${this.expected}, it is ${this.actual}`
  }
}

/**
 * The scope in which the kernel was compiled, or the buffer made, has closed.
 *
 * @category errors
 * @since 0.1.0
 */
export class Closed extends Schema.TaggedError<Closed>()("Closed", {}) {
  override get message(): string {
    return "its scope has closed: compile it in the scope of what uses it"
  }
}

/**
 * The call ended without a result: the kernel threw, or the thread it ran on died. The next call may succeed.
 *
 * @category errors
 * @since 0.1.0
 */
export class Crashed extends Schema.TaggedError<Crashed>()("Crashed", { detail: Schema.String }) {
  override get message(): string {
    return `the call crashed: ${this.detail}`
  }
}

/**
 * The device found fault with the call. Its result was not given out.
 *
 * @category errors
 * @since 0.1.0
 */
export class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { detail: Schema.String }) {
  override get message(): string {
    return `the device rejected the call: ${this.detail}`
  }
}

/**
 * A call of a kernel that brought no result.
 *
 * @category errors
 * @since 0.1.0
 */
export class KernelRunFailed extends Schema.TaggedError<KernelRunFailed>()("KernelRunFailed", {
  kernel: Schema.String,
  reason: Schema.Union([InvalidArgument, NotBatchable, Closed, Crashed, Rejected])
}) {
  override get message(): string {
    return `${this.kernel}: ${this.reason.message}`
  }
}
