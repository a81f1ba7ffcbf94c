/**
 * Plays a script against the library, through its public interface alone, and writes down what is to be seen.
 */
import { Effect, Exit, References } from "effect"
import {
  Actor,
  ActorContext,
  type ActorRef,
  ActorSystem,
  type ExitReason,
  Supervisor,
  type SystemEvent
} from "effect-otp"
import { TestClock } from "effect/testing"
import type { Event, Look, Reason, Seen } from "./history.ts"
import { isSupervisor, type Script, type Spec, type Step } from "./script.ts"

class Puppet extends Actor.Service<Puppet>()("model/Puppet", { Crash: {}, End: {}, Shutdown: {} }) {}

type Handle = Supervisor.SupervisorRef<never>
type AnySpec = Supervisor.ChildSpec<never, string, never>

/** Everything that is known of one play. */
class Stage {
  readonly refs = new Map<string, ActorRef.ActorRef<Puppet>>()
  private readonly starts = new Map<string, number>()
  private events: Array<Event> = []

  hear(event: SystemEvent.SystemEvent): void {
    switch (event._tag) {
      case "ActorStarted":
        return this.write({ event: "start", path: event.path })
      case "ActorExited":
        return this.write({ event: "exit", path: event.path, reason: reasonOf(event.reason) })
      case "GaveUp":
        return this.write({ event: "give-up", path: event.path, child: event.child })
      case "AutoShutdown":
        return this.write({ event: "auto-shutdown", path: event.path, child: event.child })
    }
  }

  write(event: Event): void {
    this.events.push(event)
  }

  get written(): number {
    return this.events.length
  }

  take(): ReadonlyArray<Event> {
    return this.events.splice(0)
  }

  spec(spec: Spec, parent: string): AnySpec {
    const path = parent === "" ? spec.id : `${parent}/${spec.id}`
    if (!isSupervisor(spec)) {
      const { failStarts, ...options } = spec
      return Supervisor.child(this.behavior(path, failStarts), {
        ...options,
        onFailure: () => spec.onFailure
      }) as unknown as AnySpec
    }
    const { children, restarts, within, id, ...options } = spec
    return Supervisor.make(id, {
      ...options,
      intensity: { restarts, within },
      children: children.map((child) => this.spec(child, path))
    }) as unknown as AnySpec
  }

  private behavior(path: string, failStarts: ReadonlyArray<number>) {
    return Puppet.behavior(
      Effect.gen({ self: this }, function* () {
        this.refs.set(path, yield* Puppet.self)
        const count = (this.starts.get(path) ?? 0) + 1
        this.starts.set(path, count)
        if (failStarts.includes(count)) {
          this.write({ event: "failed-start", path })
          return yield* Effect.fail("start")
        }
        return Puppet.of({
          Crash: () => Effect.fail("crash"),
          End: () => ActorContext.stop,
          Shutdown: () => ActorContext.stopWith({ _tag: "Shutdown", info: "by itself" })
        })
      })
    )
  }
}

const reasonOf = (reason: ExitReason.ExitReason): Reason => {
  switch (reason._tag) {
    case "Normal":
      return "normal"
    case "Failed":
      return "failed"
    case "Killed":
      return "killed"
    default:
      return "shutdown"
  }
}

/** Lets everything happen that can without time passing. */
const settle = (stage: Stage): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let quiet = 0, seen = -1; quiet < 4; quiet++) {
      for (let i = 0; i < 3; i++) yield* Effect.yieldNow
      if (stage.written !== seen) quiet = 0
      seen = stage.written
    }
  })

/** The handle of the supervisor at a path, if it and all above it run. */
const handleAt = (top: Handle, path: string): Effect.Effect<Handle | undefined> =>
  Effect.gen(function* () {
    let handle: Handle | undefined = top
    for (const id of path.split("/").slice(1)) {
      if (handle?.status !== "running") return undefined
      handle = yield* Effect.orElseSucceed(handle.supervisor(id), () => undefined)
    }
    return handle?.status === "running" ? handle : undefined
  })

type Refusal =
  | Supervisor.ChildConflict
  | Supervisor.ChildNotFound
  | Supervisor.InvalidSpec
  | Supervisor.StartFailed<unknown>
  | Supervisor.SupervisorNotRunning

const answerOf = (call: Effect.Effect<unknown, Refusal>): Effect.Effect<string> =>
  Effect.matchEffect(call, {
    onSuccess: () => Effect.succeed("ok"),
    onFailure: (error) => {
      switch (error._tag) {
        case "ChildConflict":
          return Effect.succeed(error.state)
        case "ChildNotFound":
          return Effect.succeed("not-found")
        case "InvalidSpec":
          return Effect.succeed("invalid")
        case "StartFailed":
          return Effect.succeed("failed")
        case "SupervisorNotRunning":
          return Effect.succeed("not-running")
      }
    }
  })

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")))
const idOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

const managed = (
  top: Handle,
  path: string,
  call: (handle: Handle) => Effect.Effect<unknown, Refusal>
): Effect.Effect<string> =>
  Effect.flatMap(handleAt(top, path), (handle) =>
    handle === undefined ? Effect.succeed("not-running") : answerOf(call(handle))
  )

const perform = (stage: Stage, top: Handle, step: Step): Effect.Effect<string | undefined> => {
  const quietly = (effect: Effect.Effect<unknown, unknown> | undefined) =>
    Effect.as(Effect.ignore(effect ?? Effect.void), undefined)
  switch (step.do) {
    case "crash":
      return quietly(stage.refs.get(step.path)?.tell.Crash())
    case "end":
      return quietly(stage.refs.get(step.path)?.tell.End())
    case "shutdown":
      return quietly(stage.refs.get(step.path)?.tell.Shutdown())
    case "kill":
      return Effect.flatMap(handleAt(top, step.path), (handle) => {
        const ref = stage.refs.get(step.path)
        return quietly(handle === undefined ? (ref === undefined ? undefined : Actor.kill(ref)) : handle.kill)
      })
    case "advance":
      return quietly(TestClock.adjust(step.millis))
    case "terminate":
      return managed(top, parentOf(step.path), (handle) => handle.terminateChild(idOf(step.path)))
    case "restart":
      return managed(top, parentOf(step.path), (handle) => handle.restartChild(idOf(step.path)))
    case "delete":
      return managed(top, parentOf(step.path), (handle) => handle.deleteChild(idOf(step.path)))
    case "add":
      return managed(top, step.path, (handle) => handle.startChild(stage.spec(step.child, step.path)))
    case "reconfigure":
      return managed(top, step.path, (handle) => handle.reconfigure(stage.spec(step.to, parentOf(step.path))))
    case "stop":
      return quietly(top.stop)
  }
}

const see = (stage: Stage, top: Handle, answer: string | undefined): Effect.Effect<Seen> =>
  Effect.map(look(top, top.path), (seen) => ({ events: stage.take(), answer, look: seen }))

const look = (handle: Handle, id: string): Effect.Effect<Look> =>
  Effect.gen(function* () {
    if (handle.status !== "running") return { id, state: "stopped" }
    const children: Array<Look> = []
    for (const child of yield* handle.children) {
      const inner = child.kind === "supervisor" ? yield* Effect.orDie(handle.supervisor(child.id)) : undefined
      if (inner === undefined || child.state !== "running") children.push({ id: child.id, state: child.state })
      else children.push(yield* look(inner, child.id))
    }
    return { id, state: "running", used: (yield* handle.budget).used, children }
  })

/** What is seen of the start, and of each step, under virtual time. */
export const play = ({ steps, tree }: Script): Effect.Effect<ReadonlyArray<Seen>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const stage = new Stage()
      yield* ActorSystem.onEvent((event) => stage.hear(event))
      const started = yield* Effect.exit(Supervisor.start(stage.spec(tree, "")))
      yield* settle(stage)
      if (Exit.isFailure(started)) {
        return [{ events: stage.take(), answer: undefined, look: { id: tree.id, state: "stopped" } }]
      }
      const top = started.value as Handle
      const seen = [yield* see(stage, top, undefined)]
      for (const step of steps) {
        if (top.status !== "running") break
        const answer = yield* perform(stage, top, step)
        yield* settle(stage)
        seen.push(yield* see(stage, top, answer))
      }
      return seen
    })
  ).pipe(
    Effect.provide(ActorSystem.layer()),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provide(TestClock.layer())
  )
