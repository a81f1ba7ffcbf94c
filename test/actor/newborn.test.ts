/** Actors that start actors: who has its first turn when. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Schema } from "effect"
import { Actor, ActorContext, type Behavior } from "effect-otp"

class Node extends Actor.Service<Node>()("test/Node", {
  Grow: {},
  Grown: { payload: { leaves: Schema.Int } }
}) {}

interface Seed {
  readonly name: string
  readonly report: (leaves: number) => void
}

it.effect("a tree of actors that end when they are done grows branch by branch, so few are alive at once", () =>
  Effect.gen(function* () {
    const leaves: Array<string> = []
    const living = { now: 0, most: 0 }
    const NodeLive: Behavior.Behavior<Node, Seed, never, never> = Node.behavior(({ name, report }: Seed) =>
      Node.sync(({ onEnd, self }) => {
        living.most = Math.max(living.most, ++living.now)
        onEnd(() => living.now--)
        let left = 3
        let sum = 0
        const finish = (grown: number) => {
          report(grown)
          return ActorContext.stop
        }
        const grow = Effect.gen(function* () {
          for (const child of ["0", "1", "2"]) {
            const report = (grown: number) => self.tellUnsafe.Grown({ leaves: grown })
            const node = yield* Actor.spawn(NodeLive, { name: name + child, report })
            yield* node.tell.Grow()
          }
        })
        return Node.of({
          Grow: () => {
            if (name.length < 5) return grow
            leaves.push(name)
            return finish(1)
          },
          Grown: (message) => {
            sum += message.leaves
            return --left === 0 ? finish(sum) : Effect.void
          }
        })
      })
    )
    const done = yield* Deferred.make<number>()
    const report = (grown: number) => Deferred.doneUnsafe(done, Effect.succeed(grown))
    const root = yield* Actor.spawn(NodeLive, { name: "r", report })
    yield* root.tell.Grow()
    assert.strictEqual(yield* Deferred.await(done), 81)
    assert.deepStrictEqual(leaves, leaves.toSorted(), "the eldest first")
    assert.isBelow(living.most, 3 * 5, "of 121 in all")
  })
)
