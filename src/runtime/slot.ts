/**
 * A slot: the place of an actor, with its mailbox and its name. It outlives the incarnations that run in it, so a ref to
 * it stays good across restarts. This file is its life; its turns are in `turns.ts`, its pauses in `pausing.ts`, its sending side
 * in `inbox.ts`.
 *
 * Invariants:
 * 1. The next incarnation begins only when the one before has ended.
 * 2. The owner decides about a failure from the run queue, never on the stack that failed.
 * 3. `start` calls back exactly once; after a failed start nothing of it is left.
 * 4. Once ended, nothing is queued, nobody waits, and every watcher has been told exactly once.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import type { MailboxOptions } from "./admission.ts"
import { Audience, type Watcher } from "./audience.ts"
import { Task, type Undelivered } from "./envelope.ts"
import * as ExitReason from "./ExitReason.ts"
import { Incarnation } from "./incarnation.ts"
import { keepShape } from "./shapes.ts"
import { Pausing, type Waiting } from "./pausing.ts"
import * as State from "./state.ts"
import type { System } from "./system.ts"
import { type Tap, tapped, tell } from "./taps.ts"
import { type CompiledHandler, NO_HANDLERS, type Program, type Taken } from "./turns.ts"

/**
 * Who decides about a slot: a supervisor, or the scope that spawned it.
 *
 * @internal
 */
export interface Owner {
  /** The first word after a failure. `restart` and `stop` end the incarnation, which `onEnded` is told. */
  onFailure(slot: Slot, cause: Cause.Cause<unknown>): "resume" | "restart" | "stop"
  /** Whether a killed incarnation is followed by another; not, where this is left out. */
  restartsAfterKill?(slot: Slot): boolean
  /** An incarnation has ended. The owner answers with `start` or `finish`, now or later. */
  onEnded(slot: Slot, reason: ExitReason.ExitReason): void
}

type Started = (exit: Exit.Exit<void, unknown>) => void

/** An incarnation on its way out. */
interface Ending {
  reason: ExitReason.ExitReason
  readonly since: number
  abandoned: boolean
  released: boolean
}

/** What few slots have, made when it is needed. */
interface Rare {
  stopReason: ExitReason.ExitReason | undefined
  ending: Ending | undefined
  readonly audience: Audience
  downCallbacks: ReadonlyArray<Watcher>
  releaseCallbacks: ReadonlyArray<() => void>
  /** Those who wait until it takes no message. */
  pausing: ReadonlyArray<Waiting>
  /** Those who look at its messages, and the handlers that they look past. */
  taps: Set<Tap> | undefined
  untapped: ReadonlyArray<CompiledHandler>
  /** What comes in the place of the incarnation that ends, and what to do when it is not to come. */
  replacement: { readonly begin: () => void; readonly cancel: () => void } | undefined
  /** One program makes way for another: it stays as paused as it is. */
  exchanging: boolean
}

const NOBODY: ReadonlyArray<never> = []

const INIT = new Task(() => undefined)

const KEPT_ON_EXCHANGE = State.DrainRequested | State.PauseRequested

/** @internal */
export class Slot extends Pausing {
  /** How many incarnations have been begun. */
  incarnations = 0
  program: Program
  owner: Owner
  context: Context.Context<never>
  /** The ref handed out for it. */
  ref: unknown = undefined
  /** How its last incarnation ended. */
  lastEnd: ExitReason.ExitReason | undefined = undefined
  readonly parentPath: string
  private readonly name: string | number
  private started: Started | undefined = undefined
  private rareOrNone: Rare | undefined = undefined

  constructor(
    system: System,
    program: Program,
    owner: Owner,
    context: Context.Context<never>,
    parentPath: string,
    name: string | number,
    options?: MailboxOptions
  ) {
    super(system, options)
    this.program = program
    this.owner = owner
    this.context = context
    this.parentPath = parentPath
    this.name = name
  }

  private get rare(): Rare {
    return (this.rareOrNone ??= {
      stopReason: undefined,
      ending: undefined,
      audience: new Audience(),
      downCallbacks: NOBODY,
      releaseCallbacks: NOBODY,
      pausing: NOBODY,
      taps: undefined,
      untapped: NO_HANDLERS,
      replacement: undefined,
      exchanging: false
    })
  }

  get path(): string {
    // Actors nobody named go by their program's name and a number.
    const name = typeof this.name === "number" ? `${this.program.name}#${this.name}` : this.name
    return this.parentPath === "" ? name : `${this.parentPath}/${name}`
  }

  protected get tags(): ReadonlyArray<string> {
    return this.program.tags
  }

  /** Whether no incarnation is there, now. */
  get isDown(): boolean {
    return this.state === State.Down || this.state === State.Ended
  }

  get isUp(): boolean {
    return this.state >= State.Starting && this.state <= State.Failing
  }

  get status(): "starting" | "running" | "suspended" | "restarting" | "stopping" | "stopped" {
    if (this.state === State.Paused) return (this.control & State.PauseRequested) === 0 ? "running" : "suspended"
    if (this.state === State.Ended) return "stopped"
    if (this.state === State.Stopping) return "stopping"
    if (this.state === State.Starting) return "starting"
    return this.state === State.Down ? "restarting" : "running"
  }

  // --- Start ---

  /** Begins an incarnation. Calls back when it is up, or when its start failed and nothing of it is left. */
  start(started: Started, seeds?: ReadonlyMap<string, unknown>): void {
    // A drain ends with the normal end it leads to; after a crash it goes on.
    if (this.state === State.Ended || (this.control !== 0 && this.lastEnd?._tag === "Normal")) this.reopen()
    if (this.incarnations > 0) this.leaveBehind()
    const incarnation = new Incarnation(this, ++this.incarnations)
    if (seeds !== undefined) incarnation.seed(seeds)
    this.incarnation = incarnation
    this.state = State.Starting
    this.started = started
    const init = this.program.init(incarnation)
    if (Exit.isExit(init)) return this.onInit(incarnation, init as Exit.Exit<ReadonlyArray<CompiledHandler>, unknown>)
    const fiber = incarnation.run(init, INIT, undefined)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return this.onInit(incarnation, exit as Exit.Exit<ReadonlyArray<CompiledHandler>, unknown>)
    incarnation.fiber = fiber
    fiber.addObserver((exit) => this.onInit(incarnation, exit as Exit.Exit<ReadonlyArray<CompiledHandler>, unknown>))
    if ((this.control & (State.KillRequested | State.StopRequested)) !== 0 || this.isFailing) fiber.interruptUnsafe()
  }

  /** It failed beside its messages, and its owner is about to hear of it. */
  private get isFailing(): boolean {
    return this.state === State.Failing
  }

  private onInit(incarnation: Incarnation, exit: Exit.Exit<ReadonlyArray<CompiledHandler>, unknown>): void {
    if (incarnation !== this.incarnation) return
    incarnation.fiber = undefined
    if (this.isFailing) return
    if (exit._tag === "Failure") {
      const reason = this.rareOrNone?.stopReason ?? ExitReason.Failed(exit.cause)
      return this.endIncarnation(reason, false)
    }
    this.handlers = exit.value
    if (this.rareOrNone?.taps !== undefined) this.rewire(exit.value)
    incarnation.settled()
    if (this.system.observed) {
      this.system.emit({ _tag: "ActorStarted", path: this.path, incarnation: incarnation.number })
      for (const arrived of this.system.arrivals) arrived(this)
    }
    const started = this.started!
    this.started = undefined
    this.state = State.Running
    if (this.control === 0 || this.obey()) this.endTurn()
    started(Exit.void)
    this.tellFollowers()
  }

  /** What the incarnation before has left: requests it never answered, and the queue where a restart discards it. */
  private leaveBehind(): void {
    this.failInflight({ _tag: "Restarting" })
    if (this.admission === undefined) return
    if (this.admission.discardOnRestart) this.loseAll({ _tag: "Restarted" })
    this.redeliver(this.admission)
  }

  private reopen(): void {
    this.exit = undefined
    this.control = 0
    this.openDoor()
  }

  // --- Stop ---

  /** Ends after the message that is being handled; queued ones are left over. */
  stop(reason: ExitReason.ExitReason): void {
    this.cancelReplacement()
    if (this.state === State.Down || this.state >= State.Stopping || (this.control & State.StopRequested) !== 0) return
    if (this.state >= State.Idle && this.state <= State.Paused) return this.endIncarnation(reason, false)
    this.rare.stopReason = reason
    this.control |= State.StopRequested
    this.tellFollowers()
    if (this.state === State.Starting || this.program.stopInterrupts === true) {
      this.incarnation!.fiber?.interruptUnsafe()
    } else this.incarnation!.stopsSoon()
  }

  /** Finishes what is queued, takes nothing new, then ends normally. */
  drain(): void {
    if (this.state >= State.Stopping) return
    this.control |= State.DrainRequested
    this.closeDoor()
    this.tellFollowers()
    if (this.state === State.Idle) this.drained()
  }

  /** Ends now: interrupts the handler and does not wait for what it holds. */
  kill(): void {
    this.cancelReplacement()
    if (this.state === State.Down || this.state === State.Ended) return
    // Code cannot be stopped while it is on the stack; it ends right after.
    if (this.state === State.Running) this.control |= State.KillRequested
    else if (this.state === State.Stopping) this.killStopping()
    else this.killRequested()
  }

  // --- Pause ---

  protected get pausing(): ReadonlyArray<Waiting> {
    return this.rareOrNone?.pausing ?? NOBODY
  }

  protected set pausing(pausing: ReadonlyArray<Waiting>) {
    this.rare.pausing = pausing
  }

  protected get isExchanging(): boolean {
    return this.rareOrNone?.exchanging === true
  }

  /** Gives back what it can do without until its next message; only while it has nothing to do. */
  hibernate(): void {
    if (this.state !== State.Idle) return
    this.incarnation!.settled()
    this.shrink()
  }

  /** Whether nothing of a killed incarnation is held any more. */
  get isReleased(): boolean {
    return this.rareOrNone?.ending === undefined || this.rareOrNone.ending.released
  }

  /** Calls back once nothing of killed incarnations is held any more. */
  whenReleased(callback: () => void): void {
    if (this.isReleased) callback()
    else this.rare.releaseCallbacks = [...this.rare.releaseCallbacks, callback]
  }

  protected killRequested(): void {
    this.endIncarnation(ExitReason.Killed, this.owner.restartsAfterKill?.(this) === true)
  }

  protected stopRequested(): void {
    this.endIncarnation(this.rare.stopReason!, false)
  }

  protected drained(): void {
    this.endIncarnation(ExitReason.Normal, false)
  }

  /** The owner hears of a failure in a turn of the run queue. */
  protected failed(cause: Cause.Cause<unknown>): void {
    const incarnation = this.incarnation
    this.tellFollowers()
    this.system.dispatcher.push({
      run: () => {
        if (incarnation === this.incarnation && this.state === State.Failing) this.decide(cause)
        return 1
      }
    })
  }

  private decide(cause: Cause.Cause<unknown>): void {
    if ((this.control & State.StopRequested) !== 0) return this.stopRequested()
    if (Cause.hasInterruptsOnly(cause)) return this.endIncarnation(ExitReason.Interrupted, false)
    // It has not come up: that is a failed start, and nothing to decide about.
    if (this.started !== undefined) return this.endIncarnation(ExitReason.Failed(cause), false)
    const directive = this.owner.onFailure(this, cause)
    if (directive !== "resume") return this.endIncarnation(ExitReason.Failed(cause), directive === "restart")
    if (this.admission !== undefined) this.giveUpSuspect(this.admission)
    this.state = State.Running
    if (this.control === 0 || this.obey()) this.endTurn()
    this.tellFollowers()
  }

  protected endIncarnation(reason: ExitReason.ExitReason, restarts: boolean): void {
    const incarnation = this.incarnation!
    this.state = State.Stopping
    this.control &= this.isExchanging ? KEPT_ON_EXCHANGE : State.DrainRequested
    if (this.rareOrNone !== undefined) this.rareOrNone.stopReason = undefined
    this.incarnation = undefined
    this.handlers = NO_HANDLERS
    this.continuations = undefined
    if (!restarts && this.admission !== undefined) this.giveUpSuspect(this.admission)
    incarnation.announceEnd(reason, restarts)
    this.tellFollowers()
    const killed = reason._tag === "Killed"
    if (killed) incarnation.fiber?.interruptUnsafe()
    const releasing = incarnation.end(reason, restarts)
    if (releasing === undefined) return this.ended(reason)
    const ending: Ending = { reason, since: this.system.timers.now(), abandoned: false, released: false }
    this.rare.ending = ending
    this.system.runFork(releasing).addObserver((exit) => this.onReleased(ending, exit))
    if (killed && !ending.released) this.abandon()
  }

  private killStopping(): void {
    const { killStopping } = this.program
    if (killStopping === undefined) return this.abandon()
    this.rare.ending!.reason = ExitReason.Killed
    killStopping()
  }

  /** Stops waiting for an incarnation to release what it holds: it goes on as a zombie. */
  private abandon(): void {
    const ending = this.rare.ending!
    ending.abandoned = true
    this.system.zombies.set(ending, { path: this.path, since: ending.since })
    if (this.system.observed) this.system.emit({ _tag: "ZombieLeft", path: this.path, since: ending.since })
    this.ended(ExitReason.Killed)
  }

  private onReleased(ending: Ending, exit: Exit.Exit<unknown, unknown>): void {
    ending.released = true
    let reason = ending.reason
    if (Exit.isFailure(exit)) {
      if (this.system.observed) this.system.emit({ _tag: "FinalizerFailed", path: this.path, cause: exit.cause })
      if (reason._tag !== "Failed") reason = ExitReason.Failed(exit.cause)
    }
    if (ending.abandoned) return this.zombieReleased(ending)
    this.ended(reason)
  }

  private zombieReleased(ending: Ending): void {
    this.system.zombies.delete(ending)
    const after = this.system.timers.now() - ending.since
    if (this.system.observed) this.system.emit({ _tag: "ZombieReleased", path: this.path, after })
    const callbacks = this.rare.releaseCallbacks
    this.rare.releaseCallbacks = NOBODY
    for (const callback of callbacks) callback()
  }

  private ended(reason: ExitReason.ExitReason): void {
    this.state = State.Down
    this.lastEnd = reason
    if (reason._tag === "Normal" && this.isDraining) this.drainEnded()
    const started = this.started
    if (started === undefined && this.system.observed) {
      this.system.emit({ _tag: "ActorExited", path: this.path, incarnation: this.incarnations, reason })
    }
    this.tellPaused(State.Pauses)
    const downCallbacks = this.rareOrNone?.downCallbacks
    if (this.rareOrNone !== undefined) this.rareOrNone.downCallbacks = NOBODY
    this.started = undefined
    const replacement = this.rareOrNone?.replacement
    if (replacement !== undefined) replacement.begin()
    else if (started === undefined) this.owner.onEnded(this, reason)
    else started(reason._tag === "Failed" ? Exit.failCause(reason.cause) : Exit.interrupt())
    if (downCallbacks !== undefined) for (const callback of downCallbacks) callback(reason)
  }

  /** What comes from here on is for the next incarnation; if there is none, `finish` gives it up. */
  private drainEnded(): void {
    this.control = 0
    this.openDoor()
  }

  /** Calls back when the present incarnation has ended, whatever comes after it; at once when there is none. */
  onceDown(callback: Watcher): void {
    if (this.state === State.Ended) callback(this.exit!)
    else if (this.state === State.Down) callback(this.lastEnd ?? ExitReason.Shutdown())
    else this.rare.downCallbacks = [...this.rare.downCallbacks, callback]
  }

  /** Ends for good: leftovers become dead letters, waiting askers and watchers are told. Only while down. */
  finish(reason: ExitReason.ExitReason): void {
    if (this.state === State.Ended) return
    this.exit = reason
    this.state = State.Ended
    this.control = 0
    this.closeDoor()
    this.failInflight({ _tag: "NotRunning", exit: reason })
    const suspect = this.admission?.suspect
    if (suspect?.state === "held") this.lose(suspect.item, suspect.payload, { _tag: "NotRunning", exit: reason })
    if (suspect !== undefined) this.admission!.suspect = undefined
    this.loseAll({ _tag: "NotRunning", exit: reason })
    this.tellPaused(State.Pauses)
    const audience = this.rareOrNone?.audience
    audience?.unwatchAll()
    if (this.system.observed && this.incarnations > 0) {
      this.system.emit({ _tag: "ActorEnded", path: this.path, reason })
    }
    audience?.tellFollowers()
    audience?.tellWatchers(reason)
  }

  private failInflight(why: Undelivered): void {
    while (this.inflight !== undefined) this.inflight.undelivered(why)
  }

  // --- Replacing ---

  /**
   * Ends this incarnation and begins the next one, which `begin` chooses once that is over: it sets the program, and gives the
   * state to begin with; its owner hears nothing of it. Only between two messages. Calls back as `start` does; with an
   * interruption when it was told to end meanwhile, which its owner then hears of. What follows ends with `exchanged`.
   */
  replace(begin: () => ReadonlyMap<string, unknown>, started: Started): void {
    this.rare.exchanging = true
    this.rare.replacement = {
      begin: () => {
        this.rare.replacement = undefined
        this.start(started, begin())
      },
      cancel: () => started(Exit.interrupt())
    }
    this.endIncarnation(ExitReason.Shutdown("replaced"), true)
  }

  /** What comes up is not wanted any more. */
  giveUpStart(): void {
    if (this.state === State.Starting) this.incarnation!.fiber?.interruptUnsafe()
  }

  /** One program runs again; or, where none does, the next one begins afresh. */
  exchanged(runs: boolean): void {
    this.rare.exchanging = false
    if (!runs) this.control &= ~State.PauseRequested
  }

  private cancelReplacement(): void {
    const replacement = this.rareOrNone?.replacement
    if (replacement === undefined) return
    this.rare.replacement = undefined
    replacement.cancel()
  }

  // --- Looking on ---

  /** Tells of its messages from now on. Returns how to end that. */
  tap(tap: Tap): () => void {
    const taps = (this.rare.taps ??= new Set())
    taps.add(tap)
    if (taps.size === 1) this.rewire(this.handlers)
    return () => {
      if (!taps.delete(tap) || taps.size > 0) return
      this.rare.taps = undefined
      if (this.handlers !== NO_HANDLERS) this.handlers = this.rare.untapped
    }
  }

  /** A message is handled without its handler being called for it. */
  tookAlong(tag: number, { item, payload }: Taken): void {
    const taps = this.rareOrNone?.taps
    if (taps !== undefined) tell(taps, tag, payload, typeof item === "number" ? undefined : item.asked)
  }

  private rewire(handlers: ReadonlyArray<CompiledHandler>): void {
    this.rare.untapped = handlers
    this.handlers = handlers === NO_HANDLERS ? handlers : tapped(this, handlers, this.rare.taps!)
  }

  // --- Watching ---

  /** Tells once when it ends for good, at once when it has. Returns how to stop watching. */
  watch(watcher: Watcher): () => void {
    if (this.state === State.Ended) {
      watcher(this.exit!)
      return () => undefined
    }
    return this.rare.audience.watch(watcher)
  }

  /** Tells whenever it may have begun, or ceased, to take messages. Returns how to stop following. */
  follow(follower: () => void): () => void {
    return this.rare.audience.follow(follower)
  }

  protected tellFollowers(): void {
    this.rareOrNone?.audience.tellFollowers()
  }

  /** Who looks at it, and whom it looks at. */
  get audience(): Audience {
    return this.rare.audience
  }
}

keepShape(new Slot(undefined as never, undefined as never, undefined as never, undefined as never, "", ""))
