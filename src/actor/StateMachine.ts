/**
 * Defines state machines: actors whose reaction to a message depends on a state with a name, data of its own, and
 * transitions that are declared.
 *
 * The class says which states and events there are and which event may lead where; a table says what each state does about
 * each event, in values such as `Door.to.Opened({ by })` and `Door.reply(1)`. Those do nothing by themselves, so that the
 * same table runs as an actor (`Door.behavior`), is stepped by a test without one (`StateMachine.test`) and is drawn
 * (`StateMachine.toMermaid`). Its ref is a ref as any other: its events are told and asked.
 *
 * What happens on an event, in this order: the handler's replies and effects; the new state; its enter call; a postponed
 * event is put aside, and after a change of state all postponed ones come back, the oldest first; inserted events go before
 * them; time limits are set. Only then the next event is looked at. An event that fails on the way has changed neither state
 * nor data, which counts where its supervisor resumes it.
 *
 * **Example** (A door that locks)
 *
 * ```ts import.meta.vitest
 * import { Effect, Schema } from "effect"
 * import { Actor, StateMachine } from "effect-otp"
 *
 * class WrongCode extends Schema.TaggedError<WrongCode>()("WrongCode", {}) {}
 *
 * class Door extends StateMachine.Service<Door>()("docs/Door", {
 *   states: { Locked: {}, Closed: {}, Opened: { by: Schema.String } },
 *   events: {
 *     Unlock: { payload: { code: Schema.String }, error: WrongCode },
 *     Open: { payload: { by: Schema.String } },
 *     Close: {},
 *     WhoOpened: { success: Schema.String }
 *   },
 *   transitions: {
 *     Locked: { Unlock: "Closed" },
 *     Closed: { Open: "Opened" },
 *     Opened: { Close: "Closed" }
 *   }
 * }) {}
 *
 * const door = Door.of({
 *   initial: Door.to.Locked(),
 *   on: {
 *     Locked: {
 *       Unlock: ({ code }) => (code === "1234" ? Door.to.Closed() : Door.fail(new WrongCode())),
 *       Open: Door.postpone
 *     },
 *     Closed: { Open: ({ by }) => Door.to.Opened({ by }) },
 *     Opened: { Close: Door.to.Closed(), WhoOpened: (_, { by }) => Door.reply(by) }
 *   },
 *   enter: { Opened: Door.stateTimeout("30 seconds", Door.event.Close()) },
 *   any: { WhoOpened: Door.reply("nobody") }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const ref = yield* Actor.spawn(Door.behavior(door))
 *   yield* ref.tell.Open({ by: "Ada" }) // postponed until it is unlocked
 *   const before = yield* ref.ask.WhoOpened()
 *   yield* ref.ask.Unlock({ code: "1234" })
 *   return [before, yield* ref.ask.WhoOpened()]
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => ["nobody", "Ada"]
 * ```
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ExitReason from "../runtime/ExitReason.ts"
import { ActorContext } from "../runtime/incarnation.ts"
import { slotOf as slotOfTurn } from "./ActorContext.ts"
import { type ActorRef, make as makeRef } from "./ActorRef.ts"
import { type Behavior, BehaviorImpl, type Options } from "./Behavior.ts"
import * as actions from "./machineActions.ts"
import type {
  Event,
  Fail,
  Late,
  Limiting,
  Next,
  Postpone,
  Reenter,
  Reply,
  Run,
  Stop,
  To,
  When
} from "./machineActions.ts"
import { checkDesign, checkTable } from "./machineChecks.ts"
import { type AnyTable, type AnyTransitions, Definition, MachineImpl } from "./machineDefinition.ts"
import { drawing } from "./machineDrawing.ts"
import { startMachine } from "./machineRun.ts"
import { Stepper } from "./machineTesting.ts"
import type {
  Crash,
  Data,
  DataArgs,
  Design,
  Events,
  NothingElse,
  Request as MachineRequest,
  Services,
  States,
  Table,
  Transitions
} from "./machineTypes.ts"
import * as P from "./Protocol.ts"

export type {
  Event,
  Fail,
  Late,
  Limiting,
  Next,
  Postpone,
  Reenter,
  Reply,
  Run,
  Stop,
  To,
  When
} from "./machineActions.ts"
export type {
  Crash,
  Data,
  DataArgs,
  Design,
  Entering,
  Events,
  NothingElse,
  Reaction,
  Services,
  States,
  Step,
  Table,
  Transitions
} from "./machineTypes.ts"
export { IllegalTransition, InvalidReaction, UnhandledEvent } from "./machineDefinition.ts"

/**
 * A machine of a class, made by its `of`. A value: it can be run, stepped and drawn any number of times. `E` is what ends
 * it, `R` what its effects need.
 *
 * @category models
 * @since 0.1.0
 */
export interface Machine<in out D, out E = never, out R = never> {
  readonly "~D": D
  readonly "~E": () => E
  readonly "~R": () => R
}

/**
 * Someone who waits for an answer: `Door.replyTo(request, value)` and `Door.failTo(request, error)` give it, now or later.
 *
 * @category models
 * @since 0.1.0
 */
export type Request<A, E = never> = MachineRequest<A, E>

/**
 * The schema of a kept request, for a state's data. It never leaves the process.
 *
 * **Example** (Answering when the state changes)
 *
 * ```ts import.meta.vitest
 * import { Schema } from "effect"
 * import { StateMachine } from "effect-otp"
 *
 * class Till extends StateMachine.Service<Till>()("docs/Till", {
 *   states: { Empty: {}, Asked: { asker: StateMachine.Request(Schema.Int) } },
 *   events: { Take: { success: Schema.Int }, Put: { payload: { coins: Schema.Int } } },
 *   transitions: { Empty: { Take: "Asked" }, Asked: { Put: "Empty" } }
 * }) {}
 *
 * const till = StateMachine.test(Till.of({
 *   initial: Till.to.Empty(),
 *   on: {
 *     Empty: { Take: (_, __, { request }) => Till.to.Asked({ asker: request }) },
 *     Asked: { Take: Till.postpone, Put: ({ coins }, { asker }) => [Till.to.Empty(), Till.replyTo(asker, coins)] }
 *   }
 * }))
 * const taken = till.send(Till.event.Take())
 * const before = taken.reply
 * till.send(Till.event.Put({ coins: 3 }))
 * const after = String(taken.reply)
 * ;[before, after] // => [undefined, "Success(3)"]
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const Request = <A extends Schema.Top, E extends Schema.Top = Schema.Never>(
  _success: A,
  _error?: E
): Schema.declare<Request<A["Type"], E["Type"]>> =>
  Schema.declare((u): u is Request<A["Type"], E["Type"]> => Predicate.hasProperty(u, "answer"))

/**
 * A class of state machines: an actor class whose behaviors are tables of states.
 *
 * @category models
 * @since 0.1.0
 */
export interface Class<
  Self,
  Id extends string,
  S extends States,
  P extends Events,
  I extends Events,
  T
> extends Context.Key<Self, ActorRef<Self>> {
  new (_: never): Context.ServiceClass.Shape<Id, ActorRef<Self>> & { readonly "~protocol": P }
  readonly key: Id
  /** What may be said to it. */
  readonly protocol: P
  /** Uses the ref in scope. */
  use<A, E, R>(f: (ref: ActorRef<Self>) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Self>
  /** This machine's own ref, inside its effects. */
  readonly self: Effect.Effect<ActorRef<Self>, never, ActorContext>

  /** Events as values, for `next`, for time limits and for tests. */
  readonly event: { readonly [Tag in keyof (P & I) & string]: (...args: P.Args<(P & I)[Tag]>) => Event<Tag> }
  /** Goes to a state. To the state it is in: takes other data, which is no change of state. */
  readonly to: { readonly [State in keyof S & string]: (...data: DataArgs<S[State]>) => To<State> }
  /** Nothing is to happen. */
  readonly stay: ReadonlyArray<never>
  /** Runs the enter call of the state again although it has not changed; postponed events stay put. */
  readonly reenter: Reenter
  /**
   * Answers who asked with the event at hand; with a stream, where the event is declared so. An event without `success` is
   * answered when it has been handled.
   */
  readonly reply: <const A>(value: A) => Reply<A>
  /** Answers who asked with an error that the event declares. */
  readonly fail: <E>(error: E) => Fail<E>
  /** Answers a request that was kept. */
  readonly replyTo: <A>(request: Request<A, never>, value: A) => Late
  /** Answers a request that was kept with an error. */
  readonly failTo: <E>(request: Request<never, E>, error: E) => Late
  /** Handles the event at hand again once the state has changed. No bound of the mailbox counts it until then. */
  readonly postpone: Postpone
  /** As `postpone`, where that depends. */
  readonly postponeIf: (postpone: boolean) => Postpone
  /** Inserts an event before all that wait; several keep their order. */
  readonly next: (event: Event<keyof (P & I) & string>) => Next
  /** Ends the machine normally, after its replies. What waits is left over. */
  readonly stop: Stop
  /** Ends the machine with a reason, after its replies. */
  readonly stopWith: (reason: ExitReason.ExitReason) => Stop
  /** Runs an effect, in order with the replies, before the state changes. */
  readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Run<Effect.Effect<A, E, R>>

  /** The event comes when the state has not changed by then. One per machine: setting it again replaces it. */
  readonly stateTimeout: (when: When, event: Event<keyof (P & I) & string>) => Limiting
  /** The event comes when no other has come by then. One per machine. */
  readonly eventTimeout: (when: When, event: Event<keyof (P & I) & string>) => Limiting
  /** The event comes then, whatever happens meanwhile. One per name. */
  readonly timeout: (name: string, when: When, event: Event<keyof (P & I) & string>) => Limiting
  /** Has the state's limit bring another event, also when its time is up already; where there is none, at once. */
  readonly updateStateTimeout: (event: Event<keyof (P & I) & string>) => Limiting
  /** As `updateStateTimeout`, for a limit with a name. */
  readonly updateTimeout: (name: string, event: Event<keyof (P & I) & string>) => Limiting
  readonly cancelStateTimeout: Limiting
  readonly cancelTimeout: (name: string) => Limiting

  /** A machine: what it begins with, and what its states do about events. */
  of<const M extends Table<S, P & I, T>>(
    table: M & NothingElse<M, S, P & I>
  ): Machine<Design<S, P & I, T>, Crash<M, P & I>, Services<M>>
  /**
   * The machine as a behavior for `Actor.spawn` and `Supervisor.child`. An effect gives a machine what it needs from its
   * surroundings, anew at each start and restart; a function makes it from arguments.
   */
  behavior<E, R, EX = never, RX = never, Args = void>(
    machine:
      | Machine<Design<S, P & I, T>, E, R>
      | Effect.Effect<Machine<Design<S, P & I, T>, E, R>, EX, RX>
      | ((
          args: Args
        ) => Machine<Design<S, P & I, T>, E, R> | Effect.Effect<Machine<Design<S, P & I, T>, E, R>, EX, RX>),
    options?: Options<keyof P & string, P.Bare<P>>
  ): Behavior<Self, Args, E | EX, Exclude<R | RX, Scope.Scope | ActorContext>>
}

/** What every class of machines has, whatever its states and events. */
const common = {
  stay: [],
  reenter: actions.reenter,
  reply: actions.reply,
  fail: actions.fail,
  replyTo: actions.replyTo,
  failTo: actions.failTo,
  postpone: actions.postpone,
  postponeIf: (postpone: boolean) => (postpone ? actions.postpone : actions.handled),
  next: actions.next,
  stop: actions.stop(ExitReason.Normal),
  stopWith: actions.stop,
  run: actions.run,
  stateTimeout: (when: When, event: Event<string>) => actions.set(actions.STATE_LIMIT, when, event),
  eventTimeout: (when: When, event: Event<string>) => actions.set(actions.EVENT_LIMIT, when, event),
  timeout: (name: string, when: When, event: Event<string>) => actions.set(actions.named(name), when, event),
  updateStateTimeout: (event: Event<string>) => actions.update(actions.STATE_LIMIT, event),
  updateTimeout: (name: string, event: Event<string>) => actions.update(actions.named(name), event),
  cancelStateTimeout: actions.cancel(actions.STATE_LIMIT),
  cancelTimeout: (name: string) => actions.cancel(actions.named(name))
}

/**
 * Defines a class of state machines: its states with their data, its events, and which event may lead from which state to
 * which others. `internal` events are the machine's own: nobody else can send them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <
    const Id extends string,
    const S extends States,
    const P extends Events,
    const T extends Transitions<S, P & I>,
    const I extends Events = {}
  >(
    id: Id,
    design: {
      readonly states: S
      readonly events: P
      readonly internal?: I & { readonly [Tag in Extract<keyof I, keyof P>]: never }
      readonly transitions: T & {
        readonly [From in keyof T]: From extends keyof S
          ? { readonly [Tag in Exclude<keyof T[From], keyof (P & I)>]: never }
          : never
      }
    }
  ): Class<Self, Id, S, P, I, T> => {
    const events = new P.Compiled({ ...design.events, ...design.internal })
    const states = new P.Compiled(mapRecord(design.states, (payload) => ({ payload })))
    const definition = new Definition(id, states.tags, events, design.transitions as AnyTransitions)
    checkDesign(definition, { events: design.events, internal: design.internal })
    const compiled = new P.Compiled(design.events)
    const base = Context.Service<Self, ActorRef<Self>>()(id)
    const key = base as unknown as Class<Self, Id, S, P, I, T>
    return Object.assign(base, common, {
      protocol: design.events,
      self: Effect.map(ActorContext, (turn) => makeRef(slotOfTurn(turn), compiled)),
      event: makersOf(events, (tag, payload): Event<string> => ({ _tag: tag, payload })),
      to: makersOf(states, (state, data) => actions.to(state, data ?? {})),
      of: (table: AnyTable) => {
        checkTable(definition, table)
        return new MachineImpl(definition, table)
      },
      behavior: (machine: never, options: Options = {}) =>
        new BehaviorImpl(key as never, compiled, initOf(machine) as never, options)
    }) as unknown as Class<Self, Id, S, P, I, T>
  }

const mapRecord = <A, B>(record: Readonly<Record<string, A>>, f: (a: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]))

/** A function per name, which makes something of what its schema makes of the input. */
const makersOf = <A>(compiled: P.Compiled, make: (tag: string, value: unknown) => A) =>
  Object.fromEntries(
    compiled.tags.map((tag, n) => {
      const fillIn = compiled.makes[n]
      return [tag, (input: unknown) => make(tag, fillIn === undefined ? input : fillIn(input))]
    })
  )

type Made = MachineImpl | Effect.Effect<MachineImpl, unknown>

const started = (made: Made): Effect.Effect<object, unknown> =>
  made instanceof MachineImpl ? startMachine(made) : Effect.flatMap(made, startMachine)

const initOf = (machine: Made | ((args: unknown) => Made)) =>
  typeof machine === "function" ? (args: unknown) => started(machine(args)) : started(machine)

// --- Without an actor ---

/**
 * An event that was sent to a machine in a test. `reply` is its answer, once there is one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sent {
  readonly reply: Exit.Exit<unknown, unknown> | undefined
}

/**
 * A machine in the hand of a test.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stepping<S, Ev> {
  readonly state: keyof S & string
  /** The data of the state it is in. */
  readonly data: { [State in keyof S]: Data<S[State]> }[keyof S]
  /** The events that wait for a change of state, the oldest first. */
  readonly postponed: ReadonlyArray<string>
  /** The events that no handler was there for. */
  readonly unhandledEvents: ReadonlyArray<{ readonly state: string; readonly event: string }>
  /** How it ended, if it has. From then on it takes no event. */
  readonly stopped: ExitReason.ExitReason | undefined
  /** Handles an event and all that follows from it. Throws what would have crashed the actor. */
  readonly send: (event: Event<keyof Ev & string>) => Sent
  /** Lets time pass, from 0 at the start; what is due comes in its order. */
  readonly advance: (by: Duration.Input) => void
}

/**
 * Steps a machine without running it: no actor, no fibers, time moved by hand. Effects of handlers, enter calls and `run`
 * are performed where they are wanted, by `Effect.runSyncExit` unless `perform` does it otherwise: machines that need services
 * need it.
 *
 * **Example** (Time in a test)
 *
 * ```ts import.meta.vitest
 * import { StateMachine } from "effect-otp"
 *
 * class Lamp extends StateMachine.Service<Lamp>()("docs/Lamp", {
 *   states: { Off: {}, On: {} },
 *   events: { Press: {} },
 *   internal: { Timeout: {} },
 *   transitions: { Off: { Press: "On" }, On: { Press: "Off", Timeout: "Off" } }
 * }) {}
 *
 * const lamp = StateMachine.test(Lamp.of({
 *   initial: Lamp.to.Off(),
 *   on: {
 *     Off: { Press: [Lamp.to.On(), Lamp.stateTimeout("1 minute", Lamp.event.Timeout())] },
 *     On: { Press: Lamp.to.Off(), Timeout: Lamp.to.Off() }
 *   }
 * }))
 * lamp.send(Lamp.event.Press())
 * lamp.advance("59 seconds")
 * const before = lamp.state
 * lamp.advance("1 second")
 * ;[before, lamp.state] // => ["On", "Off"]
 * ```
 *
 * @category testing
 * @since 0.1.0
 */
export const test = <S extends States, Ev extends Events, T, E, R>(
  machine: Machine<Design<S, Ev, T>, E, R>,
  ...[perform]: [R] extends [never]
    ? [perform?: (effect: Effect.Effect<unknown, unknown>) => Exit.Exit<unknown, unknown>]
    : [perform: (effect: Effect.Effect<unknown, unknown, R>) => Exit.Exit<unknown, unknown>]
): Stepping<S, Ev> => new Stepper(machine as unknown as MachineImpl, perform as never) as unknown as Stepping<S, Ev>

/**
 * A machine as a Mermaid state diagram: its first state, its states, and the events that lead from one to another. `current`
 * is set off.
 *
 * **Example** (A lamp)
 *
 * ```ts import.meta.vitest
 * import { StateMachine } from "effect-otp"
 *
 * class Switch extends StateMachine.Service<Switch>()("docs/Switch", {
 *   states: { Off: {}, On: {} },
 *   events: { Press: {} },
 *   transitions: { Off: { Press: "On" }, On: { Press: "Off" } }
 * }) {}
 * const machine = Switch.of({
 *   initial: Switch.to.Off(),
 *   on: { Off: { Press: Switch.to.On() }, On: { Press: Switch.to.Off() } }
 * })
 *
 * StateMachine.toMermaid(machine).split("\n").slice(-3) // => ["  [*] --> Off", "  Off --> On : Press", "  On --> Off : Press"]
 * ```
 *
 * @category drawing
 * @since 0.1.0
 */
export const toMermaid = <S, Ev, T, E, R>(
  machine: Machine<Design<S, Ev, T>, E, R>,
  options?: { readonly current?: keyof S & string }
): string => drawing(machine as unknown as MachineImpl, options)
