/** What the types of stages infer, and what they refuse. */
import { Context, Effect, Schema, Stream } from "effect"
import { Actor, type Behavior, Stage, Supervisor } from "effect-otp"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_: Equal<A, B>): void => undefined

class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}
class Database extends Context.Service<Database, { readonly ids: Effect.Effect<ReadonlyArray<number>> }>()(
  "test/Database"
) {}

class Ids extends Stage.Producer<Ids>()("test/Ids", Schema.Int, { Skip: { payload: { count: Schema.Int } } }) {}
class Names extends Stage.ProducerConsumer<Names>()("test/Names", { takes: Schema.Int, emits: Schema.String }) {}
class Printer extends Stage.Consumer<Printer>()("test/Printer", Schema.String) {}

const IdsLive = Ids.behavior(
  Effect.succeed(Ids.of({ demand: () => Effect.flatMap(Database, ({ ids }) => ids), Skip: () => new Broken({}) }))
)
same<typeof IdsLive, Behavior.Behavior<Ids, void, Broken, Database>>(true)

const NamesLive = Names.behavior(
  Effect.succeed(Names.of({ events: (batch, { maxDemand }) => batch.map((n) => `${n + maxDemand}`) })),
  { subscribeTo: [{ to: Ids, maxDemand: 10, selector: (n) => n > 1 }] }
)
same<typeof NamesLive, Behavior.Behavior<Names, void, never, Ids>>(true)

const PrinterLive = Printer.behavior(
  Effect.succeed(
    Printer.of({
      *events(batch) {
        if (batch.some((name) => name.length > 3)) yield* new Broken({})
      }
    })
  ),
  { subscribeTo: [Names] }
)
same<typeof PrinterLive, Behavior.Behavior<Printer, void, Broken, Names>>(true)

export const Tree = Supervisor.make("stages", { children: [IdsLive, NamesLive, PrinterLive] })
same<Supervisor.ChildSpec<Ids | Names | Printer, Broken, Database>, typeof Tree>(true)

export const program = Effect.gen(function* () {
  const ids = yield* Ids
  const names = yield* Names
  yield* ids.tell.Skip({ count: 1 })
  yield* Stage.subscribe(names, { to: ids })
  const stream = Stage.stream(names)
  same<typeof stream, Stream.Stream<string, Stage.ProducerEnded>>(true)
  const inScope = Stage.stream(Ids)
  same<typeof inScope, Stream.Stream<number, Stage.ProducerEnded, Ids>>(true)
  // @ts-expect-error the messages of the machinery are not said by hand
  yield* ids.tell.Ask({})
  // @ts-expect-error a printer takes no numbers
  yield* Stage.subscribe(yield* Printer, { to: ids })
  // @ts-expect-error a printer emits nothing
  yield* Stage.subscribe(names, { to: yield* Printer })
})

// --- Refused ---

// @ts-expect-error a producer emits what its class says
Ids.of({ demand: () => ["one"], Skip: () => {} })
// @ts-expect-error its own messages are handled as well
Ids.of({ demand: () => [1] })
// @ts-expect-error a consumer handles events
Printer.of({})
// @ts-expect-error no such handler
Printer.of({ events: () => {}, event: () => {} })
// @ts-expect-error a printer takes texts
Printer.behavior(Effect.succeed(Printer.of({ events: () => {} })), { subscribeTo: [Ids] })
// @ts-expect-error a counter emits nothing
Names.behavior(Effect.succeed(Names.of({ events: () => [] })), { subscribeTo: [Printer] })
// @ts-expect-error who has messages of its own is not fed by a stream alone
Ids.from(Stream.make(1))
// @ts-expect-error a name that stages need
Stage.Producer<Ids>()("test/Bad", Schema.Int, { Ask: {} })
// @ts-expect-error what it needs comes first
Supervisor.layer(Supervisor.make("stages", { children: [NamesLive, IdsLive] })) satisfies import("effect").Layer.Layer<
  Names | Ids,
  unknown,
  Database
>

class Job extends Actor.Service<Job>()("test/Job", {}) {}
class Jobs extends Stage.ConsumerSupervisor<Jobs, number>()("test/Jobs", Job) {}
const JobLive = Job.behavior((n: number) => Effect.as(Effect.log(n), Job.of({})))
const JobsSpec = Jobs.child(JobLive, { subscribeTo: [{ to: Ids, maxDemand: 2 }] })
same<typeof JobsSpec, Supervisor.ChildSpec<Jobs, never, Ids>>(true)
// @ts-expect-error jobs are started with a number
Jobs.child(JobLive, { subscribeTo: [Names] })
// @ts-expect-error a permanent child would never give its place up
Jobs.child(JobLive, { subscribeTo: [Ids], restart: "permanent" })

// --- Stages of one function ---

class Lengths extends Stage.ProducerConsumer<Lengths>()("test/Lengths", { takes: Schema.String, emits: Schema.Int }) {}
class Asked extends Stage.Consumer<Asked>()("test/Asked", Schema.Int, { Ping: {} }) {}

const LengthsLive = Lengths.map((text) => text.length, { subscribeTo: [Names], concurrency: 2 })
same<typeof LengthsLive, Behavior.Behavior<Lengths, void, never, Names>>(true)
const Stored = Printer.forEach((text) => Effect.flatMap(Database, () => (text === "" ? new Broken({}) : Effect.void)), {
  subscribeTo: [Names]
})
same<typeof Stored, Behavior.Behavior<Printer, void, Broken, Database | Names>>(true)
const OneByOne = Supervisor.make("stages", {
  children: [
    IdsLive,
    NamesLive,
    Lengths.map((text) => text.length, { subscribeTo: [Names] }),
    Printer.forEach((text) => void text, { subscribeTo: [Names] })
  ]
})
same<Supervisor.ChildSpec<Ids | Names | Lengths | Printer, Broken, Database>, typeof OneByOne>(true)
// @ts-expect-error it emits numbers
Lengths.map((text) => text, { subscribeTo: [Names] })
// @ts-expect-error it takes texts
Lengths.map((text) => text.length, { subscribeTo: [Ids] })
// @ts-expect-error who has messages of its own handles them
Asked.forEach(() => {})
