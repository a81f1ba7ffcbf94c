/** Machines as members of a router: what they put off, answer by a stream, or drop because nobody waits, is counted until then. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { Actor, type ActorRef, Control, Router, StateMachine } from "effect-otp"
import { slotOf } from "../../src/actor/ActorRef.ts"
import type { RouterSlot } from "../../src/work/routing.ts"

class Kiosk extends StateMachine.Service<Kiosk>()("test/Kiosk", {
  states: { Closed: {}, Open: {} },
  events: { Open: {}, Buy: { success: Schema.Int }, Watch: { success: Schema.Int, stream: true } },
  transitions: { Closed: { Open: "Open" } }
}) {}

/** A kiosk as the only member of a router. */
const routed = Effect.gen(function* () {
  const sold: Array<string> = []
  const kiosk = Kiosk.of({
    initial: Kiosk.to.Closed(),
    on: {
      Closed: { Open: Kiosk.to.Open(), Buy: Kiosk.postpone, Watch: Kiosk.postpone },
      Open: {
        Buy: () => {
          sold.push("ticket")
          return Kiosk.reply(7)
        },
        Watch: () => {
          sold.push("show")
          return Kiosk.reply(Stream.make(1, 2))
        }
      }
    }
  })
  const member = yield* Actor.spawn(Kiosk.behavior(kiosk))
  const behavior = Router.behavior(Kiosk as never, { members: [member] as never })
  const router = (yield* Actor.spawn(behavior)) as unknown as ActorRef.ActorRef<Kiosk>
  const { members } = slotOf(router) as unknown as RouterSlot
  return { member, members, router, sold }
})

it.effect("postponed asks and streams are with the member until they are answered, or nobody waits any more", () =>
  Effect.gen(function* () {
    const { member, members, router, sold } = yield* routed
    const buying = yield* Effect.forkChild(router.ask.Buy(), { startImmediately: true })
    const leaving = yield* Effect.forkChild(router.ask.Buy(), { startImmediately: true })
    const watching = yield* Effect.forkChild(Stream.runCollect(router.stream.Watch()), { startImmediately: true })
    const turning = yield* Effect.forkChild(Stream.runCollect(router.stream.Watch()), { startImmediately: true })
    yield* Effect.repeat(Control.status(member), { until: ({ postponed }) => postponed.length === 4 })
    assert.strictEqual(members.ongoing, 4)
    yield* Effect.andThen(Fiber.interrupt(leaving), Fiber.interrupt(turning))
    yield* member.ask.Open()
    assert.deepStrictEqual([yield* Fiber.join(buying), yield* Fiber.join(watching)], [7, [1, 2]])
    yield* Effect.repeat(Effect.yieldNow, { times: 5 })
    assert.deepStrictEqual([members.ongoing, sold], [0, ["ticket", "show"]])
  })
)

it.effect("what nobody waits for any more is off the count when the member ends", () =>
  Effect.gen(function* () {
    const { member, members, router } = yield* routed
    const leaving = yield* Effect.forkChild(router.ask.Buy(), { startImmediately: true })
    yield* Effect.repeat(Control.status(member), { until: ({ postponed }) => postponed.length === 1 })
    yield* Fiber.interrupt(leaving)
    yield* Actor.stop(member)
    assert.strictEqual(members.ongoing, 0)
  })
)
