/**
 * Plays a script against the library, through what it exports and under virtual time, and writes down what can be observed.
 */
import { Effect, Exit, Scope } from "effect"
import { Actor, ActorSystem, type ExitReason, Supervisor, type SystemEvent } from "effect-otp"
import { type Audience, type Run, specOf, startDynamic, supervisorOf, terminateDynamic } from "./cast.ts"
import type { Event, Happening, SupervisorView, View } from "./history.ts"
import { causeText, errorText, reasonText } from "./reasons.ts"
import { type SingleStep, singles, type Step, type SupervisorSpec } from "./spec.ts"
import { Stage } from "./stage.ts"

type Ref = Supervisor.SupervisorRef<never>

const STATUSES: ReadonlyArray<string> = ["starting", "running", "stopping"]

export class Play implements Audience {
  private readonly stage = new Stage()
  private readonly scope = Scope.makeUnsafe()
  private readonly runs = new Map<string, Run>()
  private readonly ended = new Map<string, string>()
  private readonly seen = new Set<string>()
  private readonly tree: SupervisorSpec
  private events: Array<Event> = []
  private root: Ref | undefined = undefined
  private steps = 0

  constructor(tree: SupervisorSpec) {
    this.tree = tree
  }

  /** Starts the tree. */
  start(): ReadonlyArray<Event> {
    const { scope, stage } = this
    const listening = ActorSystem.onEvent((event) => this.onEvent(event))
    stage.begin(Scope.provide(listening, scope), () => undefined)
    const started = Supervisor.start(supervisorOf(this.tree, this)) as Effect.Effect<Ref, unknown, Scope.Scope>
    stage.begin(Scope.provide(started, scope), (exit) => {
      if (Exit.isSuccess(exit)) this.root = exit.value
      this.answer(0, Exit.isSuccess(exit) ? "ok" : causeText(exit.cause))
    })
    return this.settled()
  }

  step(step: Step): ReadonlyArray<Event> {
    const touched = new Set<string>()
    for (const single of singles(step)) {
      this.steps++
      this.do(single, touched)
    }
    return this.settled()
  }

  /** Stops what is left. Nothing may run afterwards. */
  end(): ReadonlyArray<string> {
    this.stage.begin(Scope.close(this.scope, Exit.void), () => undefined)
    this.stage.settle()
    this.stage.advance(3_600_000)
    return [...this.runs.values()].filter(({ life }) => life !== "down").map(({ path }) => path)
  }

  private settled(): ReadonlyArray<Event> {
    this.stage.settle()
    return this.events.splice(0)
  }

  // --- What happens ---

  attempted(run: Run, number: number): void {
    this.runs.set(run.path, run)
    this.returned(run.path)
    this.write({ event: "attempted", path: run.path, run: number })
  }

  exited({ path }: Run, reason: string): void {
    this.write({ event: "exited", path, reason })
  }

  private returned(path: string): void {
    this.seen.add(path)
    this.ended.delete(path)
  }

  private onEvent(event: SystemEvent.SystemEvent): void {
    switch (event._tag) {
      case "ActorStarted":
        this.returned(event.path)
        return this.write({ event: "started", path: event.path, run: event.incarnation })
      case "ActorFailed":
        return this.write({ event: "failed", path: event.path, cause: causeText(event.cause) })
      case "ActorEnded":
        return this.onEnded(event.path, event.reason)
      case "ChildRestarting": {
        const { delay, path, reason } = event
        return this.write({ event: "restarting", path, delay, reason: reasonText(reason) })
      }
      case "ChildRestarted":
        return this.write({ event: "restarted", path: event.path, run: event.incarnation })
      case "GaveUp": {
        const { child, path, reason } = event
        return this.write({ event: "gave-up", path, child, reason: reasonText(reason) })
      }
      case "AutoShutdown":
        return this.write({ event: "auto-shutdown", path: event.path, child: event.child })
      case "ShutdownError": {
        const { child, path, reason } = event
        return this.write({ event: "shutdown-error", path, child, reason: reasonText(reason) })
      }
    }
  }

  private onEnded(path: string, reason: ExitReason.ExitReason): void {
    const isRoot = path === this.tree.id
    // What was never there has not ended.
    if (isRoot || this.seen.has(path)) this.ended.set(path, reasonText(reason))
    if (isRoot) this.write({ event: "ended", path, reason: reasonText(reason) })
  }

  private write(happening: Happening): void {
    this.events.push({ t: this.stage.time, ...happening })
  }

  private answer(to: number, answer: string): void {
    this.write({ event: "answered", to, answer })
  }

  // --- Steps ---

  private do(step: SingleStep, touched: Set<string>): void {
    switch (step.do) {
      case "advance":
        return this.stage.advance(step.ms)
      case "crash":
        return this.withIdle(step.path, touched, ({ ref }) => ref.tellUnsafe.Crash({ error: step.error }))
      case "end":
        return this.withIdle(step.path, touched, ({ ref }) => ref.tellUnsafe.End({ reason: step.reason }))
      case "busy":
        return this.withIdle(step.path, touched, (run) => {
          run.busy = true
          run.ref.tellUnsafe.Busy({ ms: step.ms })
        })
      case "kill":
      case "stop":
        return this.stop(step.do, step.path)
      default:
        return this.ask(step)
    }
  }

  private withIdle(path: string, touched: Set<string>, use: (run: Run) => void): void {
    const run = this.runs.get(path)
    if (run?.life !== "up" || run.busy || touched.has(path)) return this.answer(this.steps, "not-there")
    touched.add(path)
    use(run)
  }

  private stop(how: "kill" | "stop", path: string): void {
    const run = this.runs.get(path)
    if (how === "kill" && run !== undefined && run.life !== "down") {
      return this.stage.begin(Actor.kill(run.ref), () => undefined)
    }
    const ref = this.find(path)
    if (ref === undefined) return this.answer(this.steps, "not-there")
    this.call(ref[how], reasonText)
  }

  private ask(step: Exclude<SingleStep, { do: "advance" | "crash" | "end" | "busy" | "kill" | "stop" }>): void {
    const ref = this.find(step.path)
    if (ref === undefined) return this.answer(this.steps, "not-there")
    const id = step.path.slice(step.path.lastIndexOf("/") + 1)
    switch (step.do) {
      case "start-child":
        return this.call(ref.startChild(specOf(step.child, this)), ok)
      case "terminate-child":
        return this.call(ref.terminateChild(step.id), ok)
      case "restart-child":
        return this.call(ref.restartChild(step.id), ok)
      case "delete-child":
        return this.call(ref.deleteChild(step.id), ok)
      case "reconfigure":
        return this.call(ref.reconfigure(supervisorOf(step.tree, this)), ok)
      case "start-dynamic":
        return this.call(startDynamic(ref, id, step.child, this), ok)
      case "terminate-dynamic": {
        const run = this.runs.get(step.child)
        if (run === undefined) return this.answer(this.steps, "not-there")
        return this.call(terminateDynamic(ref, id, run.ref), ok)
      }
    }
  }

  private call<A, E>(effect: Effect.Effect<A, E>, describe: (value: A) => string): void {
    const number = this.steps
    this.stage.begin(effect, (exit) => {
      this.answer(number, Exit.isSuccess(exit) ? describe(exit.value) : causeText(exit.cause))
    })
  }

  /** Found by walking down from the root. */
  private find(path: string): Ref | undefined {
    const [rootId, ...ids] = path.split("/")
    let ref = rootId === this.tree.id ? this.root : undefined
    for (const id of ids) {
      if (ref === undefined) return undefined
      const found: Exit.Exit<Ref, unknown> = this.stage.read(ref.supervisor(id))
      ref = Exit.isSuccess(found) ? found.value : undefined
    }
    return ref
  }

  // --- How it looks ---

  view(): View {
    const running = this.root !== undefined && STATUSES.includes(this.root.status)
    const alive = [...this.runs.values()].filter(({ life }) => life === "up")
    return {
      t: this.stage.time,
      root: running ? "running" : "stopped",
      supervisors: running ? this.supervisorViews(this.root!) : [],
      alive: alive.map(({ path }) => path).sort(),
      ended: Object.fromEntries(this.ended)
    }
  }

  private supervisorViews(ref: Ref): ReadonlyArray<SupervisorView> {
    const { stage } = this
    const children = value(stage.read(ref.children))
    const counts = value(stage.read(ref.count))
    const { expires, left, used } = value(stage.read(ref.budget))
    const own: SupervisorView = {
      path: ref.path,
      ...counts,
      used,
      left,
      expires,
      children: children.map(({ id, incarnation, kind, nextAttempt, restart, restarts, significant, state }) => ({
        id,
        kind: kind === "supervisor" ? kind : "worker",
        state,
        restart,
        significant,
        run: incarnation,
        restarts,
        next: nextAttempt === undefined ? null : nextAttempt - stage.time
      }))
    }
    const below = children.flatMap(({ id, kind }) => {
      if (kind !== "supervisor") return []
      const inner = value(stage.read(ref.supervisor(id)))
      return STATUSES.includes(inner.status) ? this.supervisorViews(inner) : []
    })
    return [own, ...below]
  }
}

const ok = (): string => "ok"

const value = <A, E>(exit: Exit.Exit<A, E>): A => {
  if (Exit.isFailure(exit)) throw new Error(`it cannot be read: ${errorText(causeText(exit.cause))}`)
  return exit.value
}
