/**
 * A flow under way: does one action after another, each all or nothing.
 *
 * 1. The state changes only when an action is done: it has written what it declares, and that is saved where there is a store.
 * 2. Steps of one session never overlap.
 * 3. Once a conflict is found no further action is done.
 * 4. A step that would wait for itself is refused.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { AnyAction, AnyFlow, Declaration, Fields, InputsOf, Item, Partly, Step } from "./declaration.ts"
import {
  ActionFailed,
  ConditionFailed,
  type FlowConflict,
  type FlowStoreError,
  NotDone,
  StateError,
  SteppedItself
} from "./errors.ts"
import type { FlowStore } from "./FlowStore.ts"
import { leaving } from "./graph.ts"
import { type Emit, notDone, through } from "./runners.ts"
import { type Bag, encode, inputsOf, itemOf, merged, namesOf, pick, readOf, writtenOf } from "./values.ts"

/**
 * When a run halts. All of it is looked at after each step, so every run takes at least one: a session that was halted before
 * an action goes on with it when it is run again. Where several hold, the outcome says `after` rather than `until`, and that
 * rather than `before`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunOptions<F extends Fields, A extends AnyAction> {
  /** Halts where one of these is next. */
  readonly haltBefore?: ReadonlyArray<A["name"]>
  /** Halts when one of these is done. */
  readonly haltAfter?: ReadonlyArray<A["name"]>
  /** Halts when this holds. */
  readonly until?: (state: Partly<F>) => boolean
  /** What the actions are given besides the state, by their names. Given to an action each time this run does it. */
  readonly inputs?: InputsOf<A>
}

/**
 * How a run came to its end: `before` or `after` an action, `until` a condition held, or at the `end` of the flow.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome<F extends Fields, A extends AnyAction> {
  readonly halted: "before" | "after" | "until" | "end"
  readonly state: Partly<F>
  /** The step it took last; none where the flow was at its end already. */
  readonly last: Option.Option<Step<A>>
  /** How many steps it took. */
  readonly taken: number
}

/**
 * A flow under way. What it does can fail with `E`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session<F extends Fields, A extends AnyAction, E> {
  readonly id: string | undefined
  /** The state now. */
  readonly state: Effect.Effect<Partly<F>>
  /** The steps that were taken last, oldest first: 100 of them unless it was started with another `history`. */
  readonly history: Effect.Effect<ReadonlyArray<Step<A>>>
  /** Which action the next step does; none at the end. */
  readonly next: Effect.Effect<Option.Option<A["name"]>, StateError>
  /** Does the next action; none at the end. A failure leaves the state as it was: the next step is the same again. */
  step(options?: Pick<RunOptions<F, A>, "inputs">): Effect.Effect<Option.Option<Step<A>>, E>
  /** Takes steps until it is halted or at the end. */
  run(options?: RunOptions<F, A>): Effect.Effect<Outcome<F, A>, E>
  /**
   * As `run`, told as it goes: each item of a streaming action, and each step. It may be 16 elements ahead of who consumes
   * it; who stops consuming stops the action under way, which has then written nothing. Each consumption is a run of its own.
   */
  stream(options?: RunOptions<F, A>): Stream.Stream<Item<A> | Step<A>, E>
}

/** What a session runs with. @internal */
export interface Settings {
  readonly id: string | undefined
  readonly store: FlowStore["Service"] | undefined
  readonly runners: ReadonlyArray<unknown>
  readonly history: number
  /** The services of the actions; those of who takes the step come first. */
  readonly services: Context.Context<never>
}

/** Where a session begins. @internal */
export interface Start {
  readonly state: Bag
  readonly step: number
  /** The action done last; none at the beginning. */
  readonly last: string | undefined
  /** Of what is kept of it; none where nothing is. */
  readonly version: string | undefined
}

/** A step under way. */
interface Stepping {
  readonly session: object
  readonly action: string
  over: boolean
}

/** The steps that whoever asks is part of. */
const Within = Context.Reference<ReadonlyArray<Stepping>>("effect-otp/Flow/Within", { defaultValue: () => [] })

/** No two saves have the same, of whatever session. */
const newVersion = Effect.map(Effect.all([Random.next, Random.next]), (parts) =>
  parts.map((part) => part.toString(36).slice(2)).join("")
)

/** Any action with a declaration, whatever it is. */
type Loose = AnyAction & { readonly "~D": () => Declaration }
type AnyStep = Step<Loose>
type AnyError = ActionFailed<unknown> | StateError | FlowConflict | FlowStoreError
type AnyRunOptions = RunOptions<Fields, Loose>
type AnyOutcome = Outcome<Fields, Loose>
type Inputs = { readonly [action: string]: Bag } | undefined

const BUFFER = 16

/** What is done with each item and step. */
type Tell = (element: unknown) => Effect.Effect<unknown>

const tellNobody: Tell = () => Effect.void

class SessionImpl implements Session<Fields, Loose, AnyError> {
  private readonly flow: AnyFlow
  private readonly settings: Settings
  private readonly turn = Semaphore.makeUnsafe(1)
  private at: Start
  private overtaken: FlowConflict | undefined = undefined
  /** The last steps; at times more of them than are shown, so that few are moved. */
  private readonly done: Array<AnyStep> = []

  constructor(flow: AnyFlow, settings: Settings, start: Start) {
    this.flow = flow
    this.settings = settings
    this.at = start
  }

  /** Shown as what it is, without the services of its actions. */
  toJSON(): unknown {
    const { last, state, step } = this.at
    return { _id: "Session", flow: this.flow.name, id: this.id, step, last, state }
  }
  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  get id(): string | undefined {
    return this.settings.id
  }
  get state(): Effect.Effect<Bag> {
    return Effect.sync(() => this.at.state)
  }
  get history(): Effect.Effect<ReadonlyArray<AnyStep>> {
    return Effect.sync(() => this.done.slice(Math.max(0, this.done.length - this.settings.history)))
  }
  get next(): Effect.Effect<Option.Option<string>, StateError> {
    return Effect.suspend(() => Effect.map(this.following(), Option.fromUndefinedOr))
  }

  step({ inputs }: Pick<AnyRunOptions, "inputs"> = {}): Effect.Effect<Option.Option<AnyStep>, AnyError> {
    return this.take(inputs as Inputs, tellNobody)
  }

  run(options: AnyRunOptions = {}): Effect.Effect<AnyOutcome, AnyError> {
    return this.advance(options, tellNobody, tellNobody)
  }

  stream(options: AnyRunOptions = {}): Stream.Stream<never, AnyError> {
    return Stream.callback<unknown, AnyError>(
      (queue) => {
        const offer: Tell = (element) => Queue.offer(queue, element)
        return Effect.andThen(this.advance(options, offer, offer), Queue.end(queue))
      },
      { bufferSize: BUFFER }
    ) as Stream.Stream<never, AnyError>
  }

  /** Steps until something halts it. */
  private advance(options: AnyRunOptions, onItem: Tell, onStep: Tell): Effect.Effect<AnyOutcome, AnyError> {
    const { haltAfter, haltBefore, inputs, until } = options
    return Effect.gen({ self: this }, function* () {
      yield* namesOf(this.flow, "haltBefore", haltBefore)
      yield* namesOf(this.flow, "haltAfter", haltAfter)
      let last = Option.none<AnyStep>()
      let taken = 0
      const outcome = (halted: AnyOutcome["halted"]): AnyOutcome => ({ halted, state: this.at.state, last, taken })
      while (true) {
        const step = yield* this.take(inputs as Inputs, onItem)
        if (Option.isNone(step)) return outcome("end")
        last = step
        taken++
        yield* onStep(step.value)
        if (haltAfter?.includes(step.value.action) === true) return outcome("after")
        if (until?.(this.at.state) === true) return outcome("until")
        if (haltBefore === undefined) continue
        const next = yield* this.following()
        if (next !== undefined && haltBefore.includes(next)) return outcome("before")
      }
    })
  }

  /** The action that comes now: of the transitions from the one before, the first whose condition holds. */
  private following(): Effect.Effect<string | undefined, StateError> {
    const { last, state } = this.at
    if (last === undefined) return Effect.succeed(this.flow.entry)
    return Effect.gen({ self: this }, function* () {
      for (const { reads, to, when } of leaving(this.flow, last)) {
        if (when === undefined) return to
        const where = `${last} -> ${to}`
        const read = yield* pick(this.flow, where, reads, state)
        const holds = Effect.try({
          try: () => when(read as never),
          catch: (cause) => this.wrong(where, new ConditionFailed({ cause }))
        })
        if (yield* holds) return to
      }
      return undefined
    })
  }

  private take(inputs: Inputs, tell: Tell): Effect.Effect<Option.Option<AnyStep>, AnyError> {
    const step = Effect.gen({ self: this }, function* () {
      if (this.overtaken !== undefined) return yield* this.overtaken
      yield* inputsOf(this.flow, inputs)
      const name = yield* this.following()
      if (name === undefined) return Option.none<AnyStep>()
      const action = this.flow.actions.find((each) => each.name === name)!
      const read = yield* readOf(this.flow, action, this.at.state, inputs?.[name])
      const written = yield* this.perform(action, read, tell)
      return Option.some(yield* Effect.uninterruptible(this.commit(action, read, written)))
    })
    return Effect.flatMap(Within, (within) => {
      const own = within.find(({ over, session }) => session === this && !over)
      return own === undefined
        ? this.turn.withPermits(1)(step)
        : Effect.fail(this.wrong(own.action, new SteppedItself()))
    })
  }

  private perform(action: AnyAction, read: Bag, tell: Tell): Effect.Effect<Bag, AnyError> {
    const { flow } = this
    const { id, runners, services } = this.settings
    const { state } = this.at
    const { name, tags } = action
    const step = this.at.step + 1
    const call = { flow: flow.name, id, action: name, tags, step, read }
    const stepping: Stepping = { session: this, action: name, over: false }
    let wrong: StateError | undefined
    const checked: Emit = (value) => {
      const item = itemOf(flow, action, value)
      return Result.isSuccess(item)
        ? tell({ _tag: "Item", action: name, item: item.success })
        : Effect.fail((wrong = item.failure))
    }
    return through(runners, action, call, checked).pipe(
      Effect.updateContext((callers: Context.Context<never>) => {
        const within = [...Context.get(callers, Within), stepping]
        return Context.add(Context.merge(services, callers), Within, within)
      }),
      Effect.mapError((error) =>
        wrong !== undefined && error === wrong
          ? wrong
          : new ActionFailed({ flow: flow.name, action: name, step, state, error })
      ),
      Effect.flatMap((written): Effect.Effect<Bag, StateError> => {
        if (written !== notDone) return writtenOf(flow, action, written)
        // Who writes nothing need not say so.
        return action.writes.length === 0 ? writtenOf(flow, action, undefined) : this.wrong(name, new NotDone())
      }),
      Effect.ensuring(Effect.sync(() => void (stepping.over = true)))
    )
  }

  /** Saved first: what it shows has been kept. */
  private commit(action: AnyAction, read: Bag, written: Bag): Effect.Effect<AnyStep, AnyError> {
    return Effect.gen({ self: this }, function* () {
      const state = merged(this.at.state, written)
      const step = this.at.step + 1
      const version = yield* this.save(state, step, action.name)
      const taken = { _tag: "Step", step, action: action.name, read, written } as unknown as AnyStep
      this.at = { state, step, last: action.name, version }
      this.remember(taken)
      return taken
    })
  }

  private remember(taken: AnyStep): void {
    const { history } = this.settings
    this.done.push(taken)
    if (this.done.length >= 2 * history) this.done.splice(0, this.done.length - history)
  }

  /** Gives the version under which it is kept. */
  private save(
    state: Bag,
    step: number,
    action: string
  ): Effect.Effect<string | undefined, FlowConflict | FlowStoreError> {
    const { id, store } = this.settings
    if (store === undefined || id === undefined) return Effect.undefined
    const flow = this.flow.name
    return Effect.gen({ self: this }, function* () {
      const json = yield* encode(this.flow, id, state)
      const version = yield* newVersion
      yield* store.save({ flow, id, step, action, state: json, version }, this.at.version)
      return version
    }).pipe(
      Effect.tapErrorTag("FlowConflict", (conflict) => {
        this.overtaken = conflict
        return Effect.void
      })
    )
  }

  private wrong(where: string, reason: StateError["reason"]): StateError {
    return new StateError({ flow: this.flow.name, where, reason })
  }
}

/** @internal */
export const makeSession = (flow: AnyFlow, settings: Settings, start: Start): Session<never, never, never> =>
  new SessionImpl(flow, settings, start) as never
