/**
 * The thread of an isolated engine: an engine in this thread, told what to do by messages. Started by `isolated.ts` as a
 * worker; imported anywhere else it does nothing.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { type MessagePort, parentPort, workerData } from "node:worker_threads"
import type { CompiledKernel, Engine, EngineOptions, KernelSource } from "./engine.ts"
import { type Answer, encodeFailure, type Failure, type Request } from "./isolatedMessages.ts"
import { makeInThread } from "./inThread.ts"

type Failures = typeof Failure.Type

interface Known {
  readonly kernel: CompiledKernel
  readonly source: KernelSource
  readonly scope: Scope.Closeable
}

const brokenBy = (cause: Cause.Cause<unknown>): Answer => ({ _tag: "Broken", detail: Cause.pretty(cause) })

/** Serves one engine until the thread is ended from outside. */
class Server {
  private readonly port: MessagePort
  private readonly engine: Engine
  private readonly kernels = new Map<number, Known>()

  constructor(port: MessagePort, engine: Engine) {
    this.port = port
    this.engine = engine
  }

  readonly handle = (request: Request): void => {
    const answer = this.answerTo(request)
    if (answer === undefined) return
    Effect.runFork(answer).addObserver((exit) => this.post(Exit.isSuccess(exit) ? exit.value : this.failed(exit.cause)))
  }

  private post(answer: Answer): void {
    const isMovable = answer._tag === "Result" && answer.values.buffer instanceof ArrayBuffer
    this.port.postMessage(answer, isMovable ? [answer.values.buffer as ArrayBuffer] : [])
  }

  private failed(cause: Cause.Cause<Failures>): Answer {
    const error = Cause.findError(cause)
    return Result.isSuccess(error) ? { _tag: "Failed", failure: encodeFailure(error.success) } : brokenBy(cause)
  }

  private answerTo(request: Request): Effect.Effect<Answer, Failures> | undefined {
    switch (request._tag) {
      case "Compile":
        return Effect.as(this.learn(request.id, request.source), { _tag: "Compiled" })
      case "Run": {
        const { args, id, source } = request
        const known = this.kernels.get(id)
        if (known !== undefined) return this.run(known, args)
        return Effect.flatMap(this.learn(id, source!), (learnt) => this.run(learnt, args))
      }
      case "Forget": {
        const known = this.kernels.get(request.id)
        this.kernels.delete(request.id)
        if (known !== undefined) Effect.runFork(Scope.close(known.scope, Exit.void))
        return undefined
      }
    }
  }

  private learn(id: number, source: KernelSource): Effect.Effect<Known, Failures> {
    return Effect.gen({ self: this }, function* () {
      const scope = yield* Scope.make()
      // What is resident lives in memory that outlives this thread, see `run`.
      const kernel = yield* Scope.provide(this.engine.compile({ ...source, resident: false }), scope)
      const known = { kernel, source, scope }
      this.kernels.set(id, known)
      return known
    })
  }

  private run({ kernel, source }: Known, args: ReadonlyArray<Float32Array | number>): Effect.Effect<Answer, Failures> {
    return Effect.map(kernel.run(args), (result) => {
      const values = result as Float32Array
      if (!source.resident) return { _tag: "Result", values }
      const shared = new Float32Array(new SharedArrayBuffer(values.byteLength))
      shared.set(values)
      return { _tag: "Result", values: shared }
    })
  }
}

const serve = (port: MessagePort, options: EngineOptions): void => {
  const post = (answer: Answer) => port.postMessage(answer)
  // Never closed: what the engine holds ends with the thread.
  const engine = Scope.provide(makeInThread(options), Scope.makeUnsafe())
  Effect.runFork(engine).addObserver((exit) => {
    if (Exit.isSuccess(exit)) {
      port.on("message", new Server(port, exit.value).handle)
      post({ _tag: "Ready" })
    } else {
      const declined = Cause.findError(exit.cause)
      post(Result.isSuccess(declined) ? { _tag: "Declined", reason: declined.success.reason } : brokenBy(exit.cause))
    }
  })
}

if (parentPort !== null) serve(parentPort, workerData as EngineOptions)
