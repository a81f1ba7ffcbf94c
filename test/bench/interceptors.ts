/**
 * What interceptors, statistics and traces cost: tells and asks of one actor without any, with some that match other messages,
 * with some that match, and looked at from outside, interleaved in one process. Prints the times of fast rounds, and the ratio to the actor
 * without any.
 *
 *     node --expose-gc --conditions=effect-otp/source test/bench/interceptors.ts [rounds] [messages]
 *
 * Each way is warmed up for 20 rounds. What is compared with nothing, `none again`, shows how
 * much two runs of the same thing differ.
 */
import { Effect, Schema } from "effect"
import { Actor, type ActorRef, Control, Interceptor } from "effect-otp"
import { fast, seconds } from "./timing.ts"

class Counter extends Actor.Service<Counter>()("bench/Counter", {
  Count: {},
  Next: { success: Schema.Int },
  Other: {}
}) {}

const CounterLive = Counter.behavior(
  Counter.sync(() => {
    let count = 0
    return Counter.of({ Count: () => void count++, Next: () => ++count, Other: () => {} })
  })
)

const EffectLive = Counter.behavior(
  Effect.sync(() => {
    let count = 0
    return Counter.of({
      Count: () => Effect.sync(() => void count++),
      Next: () => Effect.sync(() => ++count),
      Other: () => {}
    })
  })
)

const Hooks = Interceptor.hooks({ handler: { before: () => Effect.void } })
const elsewhere = Interceptor.make({ tags: ["Other"], handle: (next) => next })
const matching = Interceptor.make({ tags: ["Count", "Next"], handle: (next) => next })
const caller = Interceptor.make({ ask: (next) => next, tell: (next) => next })

const ways: Readonly<Record<string, Effect.Effect<ActorRef.ActorRef<Counter>, never, never>>> = Object.fromEntries(
  Object.entries({
    none: Actor.spawn(CounterLive),
    "none again": Actor.spawn(CounterLive),
    "matches other messages": Actor.spawn(CounterLive.pipe(Interceptor.apply(elsewhere))),
    "none, handlers are effects": Actor.spawn(EffectLive),
    "statistics, switched off again": Effect.tap(Actor.spawn(CounterLive), (ref) =>
      Effect.scoped(Effect.asVoid(Control.statistics(ref)))
    ),
    "statistics on": Effect.tap(Actor.spawn(CounterLive), Control.statistics),
    "handler's side": Actor.spawn(CounterLive.pipe(Interceptor.apply(matching))),
    "handler's side, hooks": Actor.spawn(CounterLive.pipe(Interceptor.apply(Hooks))),
    "caller's side": Effect.map(Actor.spawn(CounterLive), Interceptor.through(caller))
  }).map(([name, spawn]) => [name, spawn as Effect.Effect<ActorRef.ActorRef<Counter>, never, never>])
)

const [rounds, messages] = [Number(process.argv[2] ?? 60), Number(process.argv[3] ?? 20_000)]

const tells = (ref: ActorRef.ActorRef<Counter>, n: number) =>
  Effect.gen(function* () {
    for (let i = 0; i < n; i++) {
      yield* ref.tell.Count()
      // In bursts, as anybody's mailbox sees them.
      if (i % 1_000 === 999) yield* ref.ask.Next()
    }
  })

const asks = (ref: ActorRef.ActorRef<Counter>, n: number) =>
  Effect.gen(function* () {
    for (let i = 0; i < n; i++) yield* ref.ask.Next()
  })

const program = Effect.gen(function* () {
  for (const [kind, run] of Object.entries({ tells, asks })) {
    const refs = new Map<string, ActorRef.ActorRef<Counter>>()
    for (const [name, spawn] of Object.entries(ways)) refs.set(name, yield* spawn)
    const times = new Map<string, Array<number>>()
    for (let round = -20; round < rounds; round++) {
      // In another order each round: what one leaves behind is not always the same one's burden.
      const order = [...refs].toSorted(() => Math.random() - 0.5)
      for (const [name, ref] of order) {
        const time = yield* seconds(run(ref, messages))
        if (round >= 0) times.set(name, [...(times.get(name) ?? []), time])
      }
    }
    const bare = fast(times.get("none")!)
    console.log(`| ${kind} | ns each | ratio |\n| --- | ---: | ---: |`)
    for (const name of refs.keys()) {
      const time = fast(times.get(name)!)
      console.log(`| ${name} | ${((time / messages) * 1e9).toFixed(0)} | ${(time / bare).toFixed(2)} |`)
    }
    console.log("")
  }
})

await Effect.runPromise(Effect.scoped(program))
