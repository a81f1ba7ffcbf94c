/** The counting behind stages: who is sent how much, and what is still to come. */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { ActorRef } from "effect-otp"
import { BroadcastDispatcher, DemandDispatcher, PartitionDispatcher } from "../../src/work/stageDispatchers.ts"
import { type Delivery, Line } from "../../src/work/stageLine.ts"
import { Source } from "../../src/work/stageSource.ts"
import { SubscriptionImpl } from "../../src/work/stageSubscription.ts"

const count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const PLACES = 3
const step = Schema.Struct({
  kind: Schema.Literals(["join", "leave", "ask", "dispatch", "dispatch"]),
  place: count(0, PLACES - 1),
  count: count(1, 9)
})

const refOf = (path: string) => ({ path }) as ActorRef.ActorRef<unknown>
const subscriptionOf = (options: ConstructorParameters<typeof SubscriptionImpl>[2] = {}) =>
  new SubscriptionImpl(refOf("consumer"), refOf("producer"), options)

const makes = {
  demand: () => new DemandDispatcher(),
  broadcast: () => new BroadcastDispatcher(),
  partitions: () => new PartitionDispatcher({ partitions: [0, 1, 2], of: (n) => (n as number) % PLACES })
}

for (const [kind, make] of Object.entries(makes)) {
  it.effect.prop(
    `R73 ${kind}: nobody is sent more than was asked for, nothing is lost or doubled, and nobody starves`,
    { steps: Schema.Array(step).check(Schema.isMinLength(40), Schema.isMaxLength(80)) },
    ({ steps }) =>
      Effect.sync(() => {
        const dispatcher = make()
        const lines = new Map<number, Line>()
        const got: Array<number> = []
        let next = 0
        let taken = 0
        const join = (place: number) => {
          const line = new Line(
            new SubscriptionImpl(refOf(`${place}`), refOf("producer"), { partition: place, demand: "manual" }),
            ({ events }) => void got.push(...(events as ReadonlyArray<number>))
          )
          assert.isUndefined(dispatcher.add(line))
          lines.set(place, line)
        }
        for (const { count, kind, place } of steps) {
          const line = lines.get(place)
          if (kind === "join" && line === undefined) join(place)
          else if (line === undefined) continue
          else if (kind === "leave") {
            assert.deepStrictEqual(dispatcher.remove(line, []), [])
            lines.delete(place)
          } else if (kind === "ask") dispatcher.asked(line, count)
          else if (kind === "dispatch") {
            const events = Array.from({ length: count }, () => next++)
            const wanted = dispatcher.wanted
            const rest = dispatcher.dispatch(events)
            assert.strictEqual(rest.length, Math.max(0, count - wanted))
            next -= rest.length
            taken += count - rest.length
          }
          const pendings = [...lines.values()].map(({ pending }) => pending)
          for (const pending of pendings) assert.isAtLeast(pending, 0)
          const all = pendings.reduce((sum, pending) => sum + pending, 0)
          if (make === makes.broadcast) {
            assert.strictEqual(dispatcher.wanted, pendings.length === 0 ? 0 : Math.min(...pendings))
          } else {
            assert.sameMembers(
              [...got, ...dispatcher.aside],
              Array.from({ length: taken }, (_, n) => n)
            )
            // With nothing set aside for single ones, all that is wanted can be had.
            if (dispatcher.aside.length === 0) assert.strictEqual(dispatcher.wanted, all)
            assert.isAtMost(dispatcher.wanted, all + dispatcher.aside.length)
          }
        }
      }),
    { arbitrary: { runs: 200 } }
  )
}

it("what overtakes counts for what comes late", () => {
  const subscription = subscriptionOf({ maxDemand: 10, minDemand: 4 })
  const source = new Source(subscription, false)
  const delivery = (sent: number, length: number): Delivery => ({
    subscription,
    events: Array.from({ length }),
    sent,
    continues: false,
    epoch: 0
  })
  assert.strictEqual(source.more(), 10)
  source.receive(delivery(3, 2))
  assert.strictEqual(source.expected, 5)
  source.receive(delivery(0, 3))
  assert.strictEqual(source.expected, 5)
  source.receive(delivery(5, 1))
  assert.strictEqual(source.more(), 6)
})
