/**
 * What the types of state machines know, and machines that must be refused. `tsc` reports an unused `@ts-expect-error`, so
 * each line fails the check on the day it begins to compile.
 */
import { Context, Data, Effect, Schema, Stream } from "effect"
import { Actor, type Behavior, StateMachine } from "effect-otp"

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false

class WrongCode extends Schema.TaggedError<WrongCode>()("WrongCode", {}) {}
class Burnt extends Data.TaggedError("Burnt") {}
class Store extends Context.Service<Store, { readonly save: Effect.Effect<number, Burnt | WrongCode> }>()(
  "test/Store"
) {}
const save = Effect.flatMap(Store, (store) => store.save)

class Door extends StateMachine.Service<Door>()("test/Door", {
  states: { Locked: {}, Closed: {}, Opened: { by: Schema.String, times: Schema.Int } },
  events: {
    Unlock: { payload: { code: Schema.String }, error: WrongCode },
    Open: { payload: { by: Schema.String } },
    Close: {},
    Times: { success: Schema.Int }
  },
  internal: { Left: {} },
  transitions: {
    Locked: { Unlock: "Closed" },
    Closed: { Open: "Opened", Close: ["Locked", "Opened"] },
    Opened: { Close: "Closed", Left: ["Closed", "Locked"] }
  }
}) {}

const Closed = { Open: Door.stay, Close: Door.stay }
const Opened = { Close: Door.stay, Left: Door.stay }
const Locked = { Unlock: Door.stay }

// --- What is known ---

const door = Door.of({
  initial: Door.to.Locked(),
  on: {
    Locked: {
      *Unlock({ code }) {
        yield* Effect.log(code)
        return code === "1" ? [Door.to.Closed(), Door.run(save)] : Door.fail(new WrongCode())
      }
    },
    Closed: {
      Open: ({ by }) => [Door.to.Opened({ by, times: 1 }), Door.timeout("left", "1 minute", Door.event.Left())],
      Close: () => Effect.as(Effect.log("closed"), Door.to.Locked())
    },
    Opened: {
      Close: Door.to.Closed(),
      Left: (_, { by, times }, { state }) => {
        const known: [string, number, "Opened"] = [by, times, state]
        return known[1] > 1 ? Door.to.Locked() : Door.to.Closed()
      },
      Times: (_, { times }, { request }) => [
        Door.replyTo(request, times),
        Door.to.Opened({ by: "me", times: times + 1 })
      ]
    }
  },
  enter: { Closed: () => Effect.asVoid(Store), Opened: ({ by }, from) => (from === by ? undefined : Door.stop) },
  any: { Times: (_, data) => ("times" in data ? Door.reply(data.times) : Door.reply(0)) }
})
export const DoorLive = Door.behavior(door)
export const inferred: Same<typeof DoorLive, Behavior.Behavior<Door, void, Burnt, Store>> = true

export const DoorOf = Door.behavior((_: { readonly code: string }) => Effect.as(Store, door))
export const withArgs: Same<typeof DoorOf, Behavior.Behavior<Door, { readonly code: string }, Burnt, Store>> = true

/** Its ref is one as any other. */
export const program = Effect.gen(function* () {
  const ref = yield* Actor.spawn(DoorLive)
  yield* ref.tell.Open({ by: "me" })
  const times: number = yield* ref.ask.Times()
  // @ts-expect-error Property 'Left' does not exist: it is the machine's own
  yield* ref.tell.Left()
  return times
})

const testing = StateMachine.test(door, (effect) =>
  Effect.runSyncExit(Effect.provideService(effect, Store, {} as never))
)
export const state: "Locked" | "Closed" | "Opened" = testing.state
// @ts-expect-error Expected 2 arguments: its effects need a service
StateMachine.test(door)
// @ts-expect-error Type '"Ajar"' is not assignable
StateMachine.toMermaid(door, { current: "Ajar" })

// --- What must be refused ---

const initial = Door.to.Locked()

Door.of({
  initial,
  // @ts-expect-error Unlock may not lead from Locked to Opened
  on: { Closed, Opened, Locked: { Unlock: () => Door.to.Opened({ by: "me", times: 1 }) } }
})
Door.of({
  initial,
  // @ts-expect-error nor in a list, nor in an effect
  on: { Closed, Opened, Locked: { Unlock: () => Effect.succeed([Door.stop, Door.to.Opened({ by: "me", times: 1 })]) } }
})
Door.of({
  initial,
  // @ts-expect-error nor as a constant
  on: { Closed, Opened, Locked: { Unlock: Door.to.Locked(), Close: Door.to.Closed() } }
})
Door.of({
  initial,
  // @ts-expect-error Property 'Left' is missing: a declared transition needs its handler
  on: { Locked, Closed, Opened: { Close: Door.stay } }
})
// @ts-expect-error Property 'Locked' is missing
Door.of({ initial, on: { Closed, Opened } })
Door.of({
  initial,
  // @ts-expect-error no such event: Unlok
  on: { Closed, Opened, Locked: { Unlock: Door.stay, Unlok: Door.stay } }
})
// @ts-expect-error no such state: Ajar
Door.of({ initial, on: { Locked, Closed, Opened, Ajar: {} } })
Door.of({
  initial,
  // @ts-expect-error Type 'string' is not assignable to type 'number'
  on: { Locked, Closed, Opened: { ...Opened, Times: Door.reply("many") } }
})
Door.of({
  initial,
  // @ts-expect-error Close declares no error
  on: { Locked, Closed, Opened: { ...Opened, Close: Door.fail(new WrongCode()) } }
})
Door.of({
  initial,
  // @ts-expect-error a request for a number is not answered with a text
  on: { Locked, Closed, Opened: { ...Opened, Times: (_, __, { request }) => Door.replyTo(request, "many") } }
})
Door.of({
  initial,
  // @ts-expect-error Property 'times' does not exist: the data of a closed door
  on: { Locked, Opened, Closed: { ...Closed, Times: (_, data) => Door.reply(data.times) } }
})
// @ts-expect-error an enter call may not change the state
Door.of({ initial, on: { Locked, Closed, Opened }, enter: { Closed: Door.to.Locked() } })
// @ts-expect-error nor postpone
Door.of({ initial, on: { Locked, Closed, Opened }, enter: { Closed: () => Door.postpone } })
// @ts-expect-error nor insert
Door.of({ initial, on: { Locked, Closed, Opened }, enter: { Closed: () => [Door.next(Door.event.Close())] } })
// @ts-expect-error what is handled in any state cannot change it
Door.of({ initial, on: { Locked, Closed, Opened }, any: { Times: () => Door.to.Closed() } })
// @ts-expect-error Expected 1 arguments: a state with data needs them
Door.to.Opened()
// @ts-expect-error Property 'Ajar' does not exist
Door.to.Ajar()
// @ts-expect-error Property 'Ring' does not exist
Door.event.Ring()
// @ts-expect-error not an event of a door
Door.next({ _tag: "Ring", payload: undefined })

// @ts-expect-error Type '"Ajar"' is not assignable: transitions lead to states
StateMachine.Service<Door>()("test/A", { states: { A: {} }, events: { E: {} }, transitions: { A: { E: "Ajar" } } })
// @ts-expect-error and begin at states
StateMachine.Service<Door>()("test/B", { states: { A: {} }, events: { E: {} }, transitions: { B: { E: "A" } } })
// @ts-expect-error and take events
StateMachine.Service<Door>()("test/C", { states: { A: {} }, events: { E: {} }, transitions: { A: { F: "A" } } })
StateMachine.Service<Door>()("test/D", {
  states: { A: {} },
  events: { E: {} },
  // @ts-expect-error Type '{}' is not assignable to type 'never': others can send E already
  internal: { E: {} },
  transitions: {}
})

// --- Streams ---

class Jam extends Data.TaggedError("Jam") {}
class Feed extends StateMachine.Service<Feed>()("test/Feed", {
  states: { Off: {}, On: { from: Schema.Int } },
  events: { Watch: { success: Schema.Int, error: WrongCode, stream: true }, Turn: {} },
  transitions: { Off: { Turn: "On" } }
}) {}

const feed = Feed.of({
  initial: Feed.to.Off(),
  on: {
    Off: { Turn: Feed.to.On({ from: 1 }), Watch: Feed.fail(new WrongCode()) },
    On: {
      Watch: (_, { from }, { request }) =>
        from > 0
          ? Feed.reply(Stream.concat(Stream.make(from), Stream.fromEffect(Effect.andThen(save, new Jam()))))
          : Feed.replyTo(request, Stream.make(1))
    }
  },
  enter: {
    *On({ from }) {
      yield* Store
      return from > 9 ? Feed.stop : undefined
    }
  }
})
export const FeedLive = Feed.behavior(feed)
export const feeding: Same<typeof FeedLive, Behavior.Behavior<Feed, void, Burnt | Jam, Store>> = true

Feed.of({
  initial: Feed.to.Off(),
  // @ts-expect-error a stream is the answer, not one number
  on: { Off: { Turn: Feed.stay, Watch: Feed.reply(1) }, On: {} }
})
Feed.of({
  initial: Feed.to.Off(),
  // @ts-expect-error a stream of numbers
  on: { Off: { Turn: Feed.stay, Watch: Feed.reply(Stream.make("a")) }, On: {} }
})
Feed.of({
  initial: Feed.to.Off(),
  on: {
    Off: {
      Turn: Feed.stay,
      // @ts-expect-error later, nobody knows what it needs
      Watch: (_, __, { request }) => Feed.replyTo(request, Stream.fromEffect(save))
    },
    On: {}
  }
})
