/**
 * The engine that runs kernels of webasm and cpu in a worker thread of its own: a long one leaves this event loop alone, and
 * a call that is interrupted is really stopped, by ending the thread.
 *
 * 1. The thread has at most one request at a time; the others wait here. So ending it hurts nobody but the call that is
 *    interrupted.
 * 2. Whatever must survive the thread is here: the sources of the kernels, and the memory of resident tensors (shared with the
 *    thread, not sent to it). A new thread is told of a kernel by the first call that needs it.
 * 3. There is a thread, or the next request starts one. One that dies on its own takes the request it works on with it.
 * 4. A thread keeps the process alive while it is asked something, and no longer.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Worker, WorkerOptions } from "node:worker_threads"
import type {
  Argument,
  CompiledKernel,
  Engine,
  EngineOptions,
  KernelSource,
  MakeEngine,
  ResidentHandle
} from "./engine.ts"
import { Closed, Crashed, DeviceLost, GpuOutOfMemory, KernelRunFailed, type KernelCompileFailed } from "./errors.ts"
import { messageOf } from "./gpuJs.ts"
import { hostLimits } from "./inThread.ts"
import { type Answer, decodeFailure, type Request } from "./isolatedMessages.ts"

/** In the sources it is `.ts`, built it is `.js`, like this file; both written out, for tools that look for such files. */
const entry = import.meta.url.endsWith(".ts")
  ? new URL("./isolatedThread.ts", import.meta.url)
  : new URL("./isolatedThread.js", import.meta.url)

/** Makes an engine for `webasm` or `cpu` in a thread of its own. */
export const makeIsolated: MakeEngine = (options) =>
  Effect.gen(function* () {
    const declined = (reason: string) => ({ _tag: "Declined" as const, backend: options.backend, reason })
    const start = yield* Effect.mapError(loadThreads, declined)
    const host = yield* Effect.acquireRelease(
      Effect.sync(() => new Host(options, start)),
      (host) => host.close
    )
    yield* Effect.mapError(host.thread, ({ detail }) => declined(detail))
    return host
  })

/** Starts a worker of a file. */
type Start = (options: EngineOptions) => Worker

/** Loaded when it is needed, so that the rest of the library runs where there are no such threads. */
const loadThreads: Effect.Effect<Start, string> = Effect.tryPromise({
  try: () => import("node:worker_threads"),
  catch: () => "this runtime has no worker threads: leave isolated out"
}).pipe(
  Effect.flatMap(({ Worker }) =>
    Effect.map(
      Effect.promise(() => import("node:process")),
      ({ execArgv }) => {
        // The flags of this process, which Node takes over best by itself; but one that is about the text given to
        // `node --eval` it refuses for the file of a thread.
        const isEvaluated = execArgv.some((flag) => flag.startsWith("--input-type"))
        const flags: WorkerOptions = isEvaluated ? { execArgv: [] } : {}
        return (options: EngineOptions) => new Worker(entry, { ...flags, workerData: options })
      }
    )
  )
)

/** The thread is no more. */
interface Gone {
  readonly _tag: "Gone"
  readonly detail: string
  readonly outOfMemory: boolean
}

/** One worker, from its start to its end. */
class Thread {
  /** The kernels it was told of. */
  readonly known = new Set<number>()
  isGone = false
  private readonly worker: Worker
  private onAnswer: ((answer: Answer | Gone) => void) | undefined
  private error: (Error & { readonly code?: string }) | undefined

  constructor(worker: Worker) {
    this.worker = worker
    worker.on("message", (answer: Answer) => this.settle(answer))
    worker.on("error", (error) => {
      this.error = error as Error
    })
    worker.on("exit", (code) => {
      this.isGone = true
      this.settle(this.gone(code))
    })
    // Last: listening for messages undoes it.
    worker.unref()
  }

  /** The answer to a request, or `Gone`; ends the thread when interrupted. Without a request, what it says at its start. */
  ask(request?: Request, moved: ReadonlyArray<ArrayBuffer> = []): Effect.Effect<Answer | Gone> {
    return Effect.callback((resume) => {
      if (this.isGone) return resume(Effect.succeed(this.gone(0)))
      this.onAnswer = (answer) => resume(Effect.succeed(answer))
      this.worker.ref()
      if (request !== undefined) this.worker.postMessage(request, moved)
      return this.end
    })
  }

  /** Tells without expecting an answer. */
  tell(request: Request): void {
    if (!this.isGone) this.worker.postMessage(request)
  }

  /** Ends the thread, whatever it is doing, and waits until it has ended (7 to 12 ms). */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    this.isGone = true
    return Effect.asVoid(Effect.promise(() => this.worker.terminate()))
  })

  private settle(answer: Answer | Gone): void {
    const onAnswer = this.onAnswer
    if (onAnswer === undefined) return
    this.onAnswer = undefined
    this.worker.unref()
    onAnswer(answer)
  }

  private gone(code: number): Gone {
    const detail = this.error?.message ?? `its thread ended with code ${code}`
    return { _tag: "Gone", detail, outOfMemory: this.error?.code === "ERR_WORKER_OUT_OF_MEMORY" }
  }
}

/** A tensor in memory that this thread and the other share. */
const sharedHandle = (data: Float32Array, dims: ReadonlyArray<number>): ResidentHandle => {
  let held: Float32Array | undefined = data
  return {
    _tag: "ResidentHandle",
    dims,
    // Whoever calls has checked that it is not freed.
    read: Effect.sync(() => new Float32Array(held ?? [])),
    free: () => {
      held = undefined
    },
    get held() {
      return held
    }
  }
}

/** Copies what is the caller's, so that nobody changes it while it waits; shared memory goes as it is. */
const detach = (arg: Argument): Float32Array | number => {
  if (typeof arg === "number") return arg
  return "_tag" in arg ? (arg.held as Float32Array) : new Float32Array(arg)
}

/** What of the arguments moves to the thread. */
const movedOf = (args: ReadonlyArray<Float32Array | number>): ReadonlyArray<ArrayBuffer> =>
  args.flatMap((arg) => (typeof arg === "object" && arg.buffer instanceof ArrayBuffer ? [arg.buffer] : []))

class Host implements Engine {
  readonly backend: Engine["backend"]
  readonly limits = hostLimits
  readonly lost = Effect.never
  private readonly options: EngineOptions
  private readonly start: Start
  private readonly turn = Semaphore.makeUnsafe(1)
  private readonly open = new Set<number>()
  private current: Thread | undefined
  private lastId = 0
  private isClosed = false

  constructor(options: EngineOptions, start: Start) {
    this.backend = options.backend
    this.options = options
    this.start = start
  }

  /** The thread, started first where there is none. Only called by whoever has the turn. */
  readonly thread: Effect.Effect<Thread, Gone> = Effect.suspend(() => {
    const { current } = this
    if (current !== undefined && !current.isGone) return Effect.succeed(current)
    const gone = (detail: string): Gone => ({ _tag: "Gone", detail, outOfMemory: false })
    if (this.isClosed) return Effect.fail(gone("the device was closed"))
    return Effect.flatMap(
      Effect.try({ try: () => this.start(this.options), catch: (thrown) => gone(messageOf(thrown)) }),
      (worker) => {
        const thread = new Thread(worker)
        this.current = thread
        return Effect.flatMap(thread.ask(), (answer): Effect.Effect<Thread, Gone> => {
          if (answer._tag === "Ready") return Effect.succeed(thread)
          // Gone at its very start: the file of the thread was not found, most of the time.
          const detail = answer._tag === "Declined" ? answer.reason : `${detailOf(answer)}; ${remedy}`
          return Effect.andThen(thread.end, Effect.fail(gone(detail)))
        })
      }
    )
  })

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.isClosed = true
    return this.current === undefined ? Effect.void : this.current.end
  })

  readonly upload: Engine["upload"] = (data, dims) =>
    Effect.sync(() => {
      const shared = new Float32Array(new SharedArrayBuffer(data.byteLength))
      shared.set(data)
      return sharedHandle(shared, dims)
    })

  readonly compile: Engine["compile"] = (source) =>
    Effect.acquireRelease(
      Effect.suspend(() => {
        const id = ++this.lastId
        return Effect.as(
          this.turn.withPermit(
            Effect.matchEffect(this.thread, {
              onFailure: (gone) => this.failedToCompile(source, gone),
              onSuccess: (thread) => this.compileOn(thread, id, source)
            })
          ),
          id
        )
      }),
      (id) => Effect.sync(() => this.forget(id))
    ).pipe(Effect.map((id): CompiledKernel => ({ run: (args) => this.run(id, source, args) })))

  private compileOn(thread: Thread, id: number, source: KernelSource) {
    return Effect.flatMap(thread.ask({ _tag: "Compile", id, source }), (answer) => {
      if (answer._tag !== "Compiled") return this.failedToCompile(source, answer)
      thread.known.add(id)
      this.open.add(id)
      return Effect.void
    })
  }

  private failedToCompile(
    { name }: KernelSource,
    answer: Answer | Gone
  ): Effect.Effect<never, KernelCompileFailed | DeviceLost | GpuOutOfMemory> {
    if (answer._tag === "Failed") {
      const error = decodeFailure(answer.failure)
      if (error._tag !== "KernelRunFailed") return Effect.fail(error)
    }
    const detail = detailOf(answer)
    return isOutOfMemory(answer)
      ? Effect.fail(new GpuOutOfMemory({ backend: this.backend, kernel: name, detail }))
      : Effect.fail(new DeviceLost({ backend: this.backend, detail: `while compiling ${name}: ${detail}` }))
  }

  private forget(id: number): void {
    this.open.delete(id)
    if (this.current?.known.delete(id)) this.current.tell({ _tag: "Forget", id })
  }

  private run(id: number, source: KernelSource, given: ReadonlyArray<Argument>): ReturnType<CompiledKernel["run"]> {
    return Effect.suspend(() => {
      const args = given.map(detach)
      const turn = Effect.matchEffect(this.thread, {
        onFailure: (gone) => this.failedToRun(source, gone),
        onSuccess: (thread) => this.runOn(thread, id, source, args)
      })
      return this.turn.withPermit(turn)
    })
  }

  private runOn(thread: Thread, id: number, source: KernelSource, args: ReadonlyArray<Float32Array | number>) {
    // Closed while this call waited for its turn.
    if (!this.open.has(id)) return Effect.fail(new KernelRunFailed({ kernel: source.name, reason: new Closed({}) }))
    const told = thread.known.has(id) ? undefined : source
    const answered = thread.ask({ _tag: "Run", id, source: told, args }, movedOf(args))
    return Effect.flatMap(answered, (answer): ReturnType<CompiledKernel["run"]> => {
      if (answer._tag !== "Result") return this.failedToRun(source, answer)
      thread.known.add(id)
      return Effect.succeed(
        source.resident ? sharedHandle(answer.values, source.output) : (answer.values as Float32Array<ArrayBuffer>)
      )
    })
  }

  private failedToRun(
    { name }: KernelSource,
    answer: Answer | Gone
  ): Effect.Effect<never, KernelRunFailed | DeviceLost | GpuOutOfMemory> {
    if (answer._tag === "Failed") {
      const error = decodeFailure(answer.failure)
      if (error._tag !== "KernelCompileFailed") return Effect.fail(error)
    }
    const detail = detailOf(answer)
    if (isOutOfMemory(answer)) return Effect.fail(new GpuOutOfMemory({ backend: this.backend, kernel: name, detail }))
    const reason = this.isClosed ? new Closed({}) : new Crashed({ detail })
    return Effect.fail(new KernelRunFailed({ kernel: name, reason }))
  }
}

const remedy = "a bundle must leave effect-otp out, or the device be made without isolated"

const isOutOfMemory = (answer: Answer | Gone): boolean => answer._tag === "Gone" && answer.outOfMemory

const detailOf = (answer: Answer | Gone): string => {
  switch (answer._tag) {
    case "Gone":
    case "Broken":
      return answer.detail
    case "Declined":
      return answer.reason
    case "Failed":
      return decodeFailure(answer.failure).message
    default:
      return `its thread answered ${answer._tag} out of turn`
  }
}
