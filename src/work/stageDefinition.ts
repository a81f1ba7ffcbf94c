/**
 * Makes stage classes: each is an actor class whose behaviors carry the machinery of demand beside the user's messages.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Actor from "../actor/Actor.ts"
import { ActorContext, slotOf as slotOfTurn } from "../actor/ActorContext.ts"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Protocol } from "../actor/Protocol.ts"
import type { MailboxOptions } from "../runtime/admission.ts"
import type { BufferOptions } from "./stageBuffer.ts"
import {
  type AskMessage,
  type AttachMessage,
  type Callbacks,
  type Cancellation,
  type Config,
  type Core,
  coreOf,
  type DemandMode,
  openCore
} from "./stageCore.ts"
import {
  BroadcastDispatcher,
  byHash,
  DemandDispatcher,
  type Dispatcher,
  PartitionDispatcher
} from "./stageDispatchers.ts"
import type { Delivery } from "./stageLine.ts"
import {
  checkSubscribeOptions,
  InvalidStageOption,
  type SubscribeOptions,
  type SubscriptionImpl,
  SubscriptionRefused
} from "./stageSubscription.ts"
import type { ByKey, ByName, EmittingOptions } from "./stageTypes.ts"
import { isWhole } from "../actor/limit.ts"

/** What stages say to each other. It carries refs, so it stays in the program. @internal */
export const machinery = {
  Subscribe: { payload: Schema.Unknown },
  Ask: { payload: Schema.Unknown },
  Cancel: { payload: Schema.Unknown },
  Resume: { payload: Schema.Unknown },
  Events: { payload: Schema.Unknown },
  Cancelled: { payload: Schema.Unknown },
  /** Events from elsewhere: dead letters that are replayed. */
  Emit: { payload: Schema.Unknown },
  Pull: {},
  Attach: { payload: Schema.Unknown, success: Schema.Unknown },
  Detach: { payload: Schema.Unknown },
  Confirm: { payload: Schema.Unknown, error: SubscriptionRefused },
  SetDemand: { payload: Schema.Unknown }
} as const satisfies Protocol

type Handle = (payload: never) => unknown

const machineryOf = (core: Core): Readonly<Record<keyof typeof machinery, Handle>> => ({
  Subscribe: (message: { readonly subscription: SubscriptionImpl; readonly count: number }) =>
    core.onSubscribe(message),
  Ask: (message: AskMessage) => core.onAsk(message),
  Cancel: (message: Cancellation) => core.onCancel(message),
  Resume: (message: { readonly subscription: SubscriptionImpl; readonly epoch: number }) => core.onResume(message),
  Events: (message: Delivery) => core.onEvents(message),
  Cancelled: (message: Cancellation) => core.onCancelled(message),
  Emit: ({ events }: { readonly events: ReadonlyArray<unknown> }) => core.onEmit(events),
  Pull: () => core.pull(),
  Attach: (message: AttachMessage) => core.onAttach(message),
  Detach: (subscription: SubscriptionImpl) => core.onDetach(subscription),
  Confirm: (subscription: SubscriptionImpl) =>
    core.outlet?.lines.has(subscription) === true ? undefined : Effect.fail(refusalOf(subscription)),
  SetDemand: (mode: DemandMode) => core.onSetDemand(mode)
})

/** Why a subscription is not there. @internal */
export const refusalOf = (subscription: SubscriptionImpl): SubscriptionRefused =>
  subscription.refusal ??
  new SubscriptionRefused({
    producer: subscription.producer.path,
    consumer: subscription.consumer.path,
    reason: "not-running"
  })

interface Kind {
  readonly consumes: boolean
  readonly emits: boolean
}

interface StageOptions extends EmittingOptions<never> {
  readonly mailbox?: MailboxOptions
  readonly subscribeTo?: ReadonlyArray<UpstreamKey | (SubscribeOptions & { readonly to: UpstreamKey })>
}

type UpstreamKey = Context.Key<unknown, ActorRef<unknown>>

type Init = Effect.Effect<Callbacks, unknown> | ((args: unknown) => Effect.Effect<Callbacks, unknown>)

/** The core of the stage whose handler runs. */
const ownCore = Effect.map(ActorContext, (turn) => coreOf(slotOfTurn(turn))!)

/** @internal */
export const defineStage = (
  id: string,
  kind: Kind,
  schemas: { readonly takes?: Schema.Top; readonly emits?: Schema.Top },
  messages: Protocol
): unknown => {
  for (const tag of Object.keys(messages)) {
    if (tag in machinery) {
      throw new InvalidStageOption({ stage: id, field: "message", value: tag, problem: "has a name that stages need" })
    }
  }
  const base = Actor.Service<unknown>()(id, { ...machinery, ...messages })
  const self = base.self as unknown as Effect.Effect<ActorRef<unknown>, never, ActorContext>
  const { behavior } = base
  return Object.assign(base, schemas, {
    behavior: (init: Init, options: StageOptions & object = {}) => {
      const { buffer: _b, demand: _d, dispatcher: _p, subscribeTo, ...own } = options
      const config = configOf(id, kind, options)
      const upstreams = upstreamsOf(id, subscribeTo ?? [])
      const run = (handlers: Effect.Effect<Callbacks, unknown>) => runInit(self, config, upstreams, handlers)
      const wrapped = typeof init === "function" ? (args: unknown) => run(init(args)) : run(init)
      const needs = upstreams.map(({ to }) => to)
      return (behavior as (init: unknown, options: unknown) => unknown)(wrapped, {
        needs,
        // One that has ended in order has taken, and given on, all there was.
        restart: "transient",
        ...own
      })
    },
    emit: (events: ReadonlyArray<unknown>) => Effect.flatMap(ownCore, (core) => core.emit(events) ?? Effect.void),
    whenTaken,
    end: Effect.flatMap(ActorContext, (turn) => {
      const slot = slotOfTurn(turn)
      return whenTaken(Effect.sync(() => slot.stop({ _tag: "Normal" })))
    }),
    subscribe: ({ to, ...options }: SubscribeOptions & { readonly to: ActorRef<unknown> }) =>
      Effect.flatMap(ownCore, (core) => {
        checkSubscribeOptions(id, options)
        const subscription = core.subscribe(to, options)
        return Effect.as(core.flush() ?? Effect.void, subscription)
      })
  })
}

const whenTaken = <E, R>(effect: Effect.Effect<unknown, E, R>): Effect.Effect<void, never, ActorContext | R> =>
  Effect.contextWith((context: Context.Context<ActorContext | R>) => {
    const core = coreOf(slotOfTurn(Context.get(context, ActorContext)))!
    const work = core.whenTaken(() => Effect.provideContext(effect, context))
    return (work ?? Effect.void) as Effect.Effect<void>
  })

/** The init of a run: what the user's makes, with the machinery around it. */
const runInit = (
  self: Effect.Effect<ActorRef<unknown>, never, ActorContext>,
  config: Config,
  upstreams: ReadonlyArray<SubscribeOptions & { readonly to: UpstreamKey }>,
  init: Effect.Effect<Callbacks, unknown>
) =>
  Effect.gen(function* () {
    const core = openCore(yield* self, config)
    const restarted = [...core.sources.values()]
    core.begin()
    const handlers = yield* init
    for (const { to, ...options } of upstreams) core.subscribe(yield* to, options)
    const work = core.ready(handlers, restarted)
    if (work !== undefined) yield* work
    return { ...handlers, ...machineryOf(core) } as never
  })

const upstreamsOf = (stage: string, subscribeTo: NonNullable<StageOptions["subscribeTo"]>) =>
  subscribeTo.map((each) => {
    const upstream = "to" in each ? each : { to: each }
    checkSubscribeOptions(stage, upstream)
    return upstream
  })

const configOf = (stage: string, kind: Kind, options: StageOptions): Config => {
  const { buffer = {}, demand = "forward", dispatcher = "demand" } = options
  const refuse = (field: string, value: unknown, problem: string): never => {
    throw new InvalidStageOption({ stage, field, value, problem })
  }
  if (kind.consumes) checkMailbox(options.mailbox, refuse)
  if (demand !== "forward" && demand !== "accumulate") refuse("demand", demand, "must be forward or accumulate")
  if (!kind.emits) return { consumes: true, emits: undefined, demand }
  const { keep = "last", size = kind.consumes ? Infinity : 10_000 } = buffer
  if (size !== Infinity && !isWhole(size, 0)) {
    refuse("buffer.size", size, "must be a whole number of 0 or more, or Infinity")
  }
  if (keep !== "first" && keep !== "last") refuse("buffer.keep", keep, "must be first or last")
  const made: BufferOptions = { size, keep }
  return { consumes: kind.consumes, demand, emits: { buffer: made, dispatcher: dispatcherOf(dispatcher, refuse) } }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) < 2 ** 32

/** Events that were asked for are to be taken: one that is dropped would be waited for. */
const checkMailbox = (
  { bytes, capacity, overflow = "suspend", whileRestarting }: MailboxOptions = {},
  refuse: (field: string, value: unknown, problem: string) => never
): void => {
  if (overflow !== "suspend" && (capacity !== undefined || bytes !== undefined)) {
    refuse(
      "mailbox.overflow",
      overflow,
      "must be suspend where it takes events: how many there are is said by maxDemand"
    )
  }
  if (whileRestarting !== undefined) {
    const problem = "cannot be said where it takes events: how many there are is said by maxDemand"
    refuse("mailbox.whileRestarting", whileRestarting, problem)
  }
}

const dispatcherOf = (
  dispatching: NonNullable<StageOptions["dispatcher"]>,
  refuse: (field: string, value: unknown, problem: string) => never
): (() => Dispatcher) => {
  if (dispatching === "demand") return () => new DemandDispatcher()
  if (dispatching === "broadcast") return () => new BroadcastDispatcher()
  const { by, key = (event: unknown) => event, partitions } = dispatching as ByKey<unknown> & Partial<ByName<unknown>>
  const names = isCount(partitions) ? Array.from({ length: partitions }, (_, n) => n) : partitions
  if (!Array.isArray(names) || names.length === 0 || new Set(names).size < names.length) {
    const problem = "must be demand, broadcast or have a number of partitions, or their names, each once"
    return refuse("dispatcher", dispatching, problem)
  }
  const of = by ?? byHash(names, key)
  return () => new PartitionDispatcher({ partitions: names, of })
}
