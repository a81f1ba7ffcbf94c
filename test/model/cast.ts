/**
 * The real tree of a script: workers that do as their spec says and write down what happens to them.
 */
import { Cause, Data, Effect, Schema } from "effect"
import { Actor, ActorContext, type ActorRef, Backoff, DynamicSupervisor, type ExitReason, Supervisor } from "effect-otp"
import { causeText, reasonText } from "./reasons.ts"
import type { Failure, Spec, SupervisorSpec, WorkerSpec } from "./spec.ts"

export class A extends Data.TaggedError("A")<{}> {}
export class B extends Data.TaggedError("B")<{}> {}

const failures = { A: Effect.fail(new A()), B: Effect.fail(new B()), defect: Effect.die("defect") }
const FailureSchema = Schema.Literals(["A", "B", "defect"])

/** Ends, fails or takes its time, as it is told. */
export class Worker extends Actor.Service<Worker>()("worker", {
  Crash: { payload: { error: FailureSchema } },
  End: { payload: { reason: Schema.Literals(["normal", "shutdown"]) } },
  Busy: { payload: { ms: Schema.Number } }
}) {}

/** One run of a worker. */
export interface Run {
  readonly path: string
  readonly ref: ActorRef.ActorRef<Worker>
  life: "init" | "up" | "down"
  busy: boolean
}

/** What workers tell. */
export interface Audience {
  attempted(run: Run, number: number): void
  exited(run: Run, reason: string): void
}

const ownShutdown: ExitReason.ExitReason = { _tag: "Shutdown", info: "own" }

const behaviorOf = ({ attempts }: WorkerSpec, audience: Audience) =>
  Worker.behavior(
    Effect.gen(function* () {
      const number = yield* ActorContext.incarnation
      const run: Run = { path: yield* ActorContext.path, ref: yield* Worker.self, life: "init", busy: false }
      audience.attempted(run, number)
      let reason = "unknown"
      yield* Effect.addFinalizer(() => {
        if (run.life === "up") audience.exited(run, reason)
        run.life = "down"
        return Effect.void
      })
      const { after, result } = attempts[number - 1] ?? { after: 0, result: "ok" }
      if (after > 0) yield* Effect.sleep(after)
      if (result === "ignore") return yield* Actor.ignore
      if (result !== "ok") return yield* failures[result]
      run.life = "up"
      yield* ActorContext.onStop((exit) => Effect.sync(() => (reason = reasonText(exit))))
      // Only failures and kills are followed by a restart without more words.
      yield* ActorContext.onRestart((cause) =>
        Effect.sync(() => (reason = Cause.hasInterruptsOnly(cause) ? "killed" : `failed(${causeText(cause)})`))
      )
      return Worker.of({
        Crash: ({ error }: { readonly error: Failure }) => failures[error],
        End: ({ reason }) => (reason === "normal" ? ActorContext.stop : ActorContext.stopWith(ownShutdown)),
        Busy: ({ ms }) =>
          Effect.map(Effect.sleep(ms), () => {
            run.busy = false
          })
      })
    })
  )

type AnySpec = Supervisor.ChildSpec<never, A | B, never>

/** How a worker is kept alive. */
const optionsOf = ({ backoff, onFailure, restart, shutdown, startTimeout }: WorkerSpec) => ({
  restart,
  shutdown,
  startTimeout,
  onFailure: { A: "restart" as const, B: "restart" as const, ...onFailure },
  ...(backoff === null ? undefined : { backoff: Backoff.exponential(backoff) })
})

const workerOf = (spec: WorkerSpec, audience: Audience): AnySpec =>
  Supervisor.child(behaviorOf(spec, audience), {
    ...optionsOf(spec),
    id: spec.id,
    significant: spec.significant
  }) as unknown as AnySpec

export const supervisorOf = (spec: SupervisorSpec, audience: Audience): AnySpec =>
  Supervisor.make(spec.id, {
    strategy: spec.strategy,
    intensity: spec.intensity,
    autoShutdown: spec.autoShutdown,
    restart: spec.restart,
    significant: spec.significant,
    children: spec.children.map((child) => specOf(child, audience))
  })

interface Open {
  readonly open: unique symbol
}

/** The class of a dynamic supervisor is its id, so that any number of them can be in one tree. */
export const dynamicClass = (id: string) => DynamicSupervisor.Service<Open>()(id)

export const specOf = (spec: Spec, audience: Audience): AnySpec => {
  switch (spec.kind) {
    case "worker":
      return workerOf(spec, audience)
    case "supervisor":
      return supervisorOf(spec, audience)
    case "dynamic":
      return dynamicClass(spec.id).child({
        intensity: spec.intensity,
        ...(spec.maxChildren === null ? undefined : { maxChildren: spec.maxChildren })
      }) as unknown as AnySpec
  }
}

/** Starts a child of the dynamic supervisor `id`. */
export const startDynamic = (
  ref: Supervisor.SupervisorRef<never>,
  id: string,
  spec: WorkerSpec,
  audience: Audience
) => {
  const children = servicesOf(ref).mapUnsafe.get(id) as DynamicSupervisor.OpenShape
  return children.startChild(behaviorOf(spec, audience), optionsOf(spec) as DynamicSupervisor.ChildOptions<A | B>)
}

export const terminateDynamic = (ref: Supervisor.SupervisorRef<never>, id: string, child: ActorRef.ActorRef<Worker>) =>
  (servicesOf(ref).mapUnsafe.get(id) as DynamicSupervisor.OpenShape).terminate(child)

const servicesOf = (ref: Supervisor.SupervisorRef<never>) => ref.services
