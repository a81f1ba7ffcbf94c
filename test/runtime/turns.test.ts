/** The turns of an actor: what is handled when, and what needs a fiber. Each invariant that the header states. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Schema } from "effect"
import type { Incarnation } from "../../src/runtime/incarnation.ts"
import * as ExitReason from "../../src/runtime/ExitReason.ts"
import type { CompiledHandler } from "../../src/runtime/turns.ts"
import { HandOwner, HandRequest, makeSystem, program, settle, startSlot } from "../support/engine.ts"

type Waiting = Generator<Effect.Effect<void>, number>

const kinds: Readonly<Record<string, CompiledHandler>> = {
  nothing: () => undefined,
  value: () => 1,
  exit: () => Exit.succeed(2),
  sync: () => Effect.succeed(3),
  generator: function* () {
    yield* Effect.yieldNow
    return 4
  },
  waits: () => Effect.as(Effect.yieldNow, 5),
  declared: () => Effect.fail("declared"),
  declaredLater: () => Effect.andThen(Effect.yieldNow, Exit.fail("declared"))
}
const names = ["nothing", "value", "exit", "sync", "generator", "waits", "declared", "declaredLater"] as const

it.effect.prop(
  "invariant 1: one message at a time, in order, each answered once, whatever kind its handler is of",
  { sent: Schema.Array(Schema.Literals(names)) },
  ({ sent }) =>
    Effect.gen(function* () {
      const { system } = yield* makeSystem()
      const log: Array<string> = []
      let running = 0
      const around =
        (name: string): CompiledHandler =>
        (payload) => {
          assert.strictEqual(running++, 0)
          const over = () => {
            running--
            log.push(name)
          }
          const result = kinds[name]!(payload)
          const effect = name === "generator" ? Effect.gen(() => result as Waiting) : result
          if (Effect.isEffect(effect) && !Exit.isExit(effect)) {
            return Effect.ensuring(effect as Effect.Effect<unknown>, Effect.sync(over))
          }
          over()
          return result
        }
      const { slot } = yield* startSlot(system, program(Object.fromEntries(names.map((name) => [name, around(name)]))))
      const asks = sent.map((name) => new HandRequest(names.indexOf(name), undefined))
      for (const ask of asks) slot.offer(ask, undefined)
      while (slot.size > 0 || slot.inflight !== undefined) yield* Effect.yieldNow
      assert.deepStrictEqual(log, [...sent])
      const replies = [undefined, 1, 2, 3, 4, 5, "declared", "declared"]
      assert.deepStrictEqual(
        asks.map((ask) => [ask.outcome, ask.settlements]),
        sent.map((name) => [replies[names.indexOf(name)], 1])
      )
    })
)

/** Counts how many fibers an incarnation has been asked for. */
const countFibers = (incarnation: Incarnation) => {
  const counter = { fibers: 0 }
  const run = incarnation.run
  incarnation.run = function (this: Incarnation, ...args) {
    counter.fibers++
    return run.apply(this, args)
  }
  return counter
}

it.effect("invariant 2: nothing, values and exits need no fiber; an effect has one while it runs", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const gate = yield* Deferred.make<void>()
    const { slot } = yield* startSlot(system, program({ ...kinds, hold: () => Deferred.await(gate) }))
    const incarnation = slot.incarnation!
    const counter = countFibers(incarnation)
    for (const name of ["nothing", "value", "exit"] as const) slot.offer(names.indexOf(name), undefined)
    yield* settle
    assert.strictEqual(counter.fibers, 0)
    slot.offer(names.length, undefined)
    yield* settle
    assert.deepStrictEqual([counter.fibers, incarnation.fiber !== undefined], [1, true])
    yield* Deferred.succeed(gate, undefined)
    yield* settle
    assert.strictEqual(incarnation.fiber, undefined)
  })
)

it.effect("invariant 3: a kill goes before a stop, a stop before what was to be continued, that before messages", () =>
  Effect.gen(function* () {
    for (const [orders, expected] of [
      [["continue"], ["handled", "continued", "next message"]],
      [
        ["continue", "stop"],
        ["handled", "ended Shutdown"]
      ],
      [
        ["continue", "stop", "kill"],
        ["handled", "ended Killed"]
      ]
    ] as const) {
      const { system } = yield* makeSystem()
      const log: Array<string> = []
      const owner = new HandOwner()
      owner.onEnded = (slot, reason) => {
        log.push(`ended ${reason._tag}`)
        slot.finish(reason)
      }
      const order: Readonly<Record<string, () => void>> = {
        continue: () => slot.continueWith(() => void log.push("continued")),
        stop: () => slot.stop(ExitReason.Shutdown()),
        kill: () => slot.kill()
      }
      const handle = () => {
        for (const name of orders) order[name]!()
        log.push("handled")
      }
      const { slot } = yield* startSlot(
        system,
        program({ Handle: handle, Put: () => void log.push("next message") }),
        undefined,
        owner
      )
      slot.offer(0, undefined)
      slot.offer(1, undefined)
      yield* settle
      assert.deepStrictEqual(log, [...expected])
    }
  })
)

it.effect("several continuations run one after the other, also those that need a fiber", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const log: Array<string> = []
    const later = (name: string) => () =>
      Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => log.push(name))
      )
    const { slot } = yield* startSlot(system, program({ Put: (n) => void log.push(`message ${n as number}`) }))
    slot.offer(0, 1)
    slot.continueWith(later("first"))
    slot.continueWith(() => void log.push("second"))
    slot.continueWith(later("third"))
    yield* settle
    assert.deepStrictEqual(log, ["first", "second", "third", "message 1"])
  })
)

it.effect("an ask is handled on the asker's stack only by an idle actor, and only so deep", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const { slot: idle } = yield* startSlot(system, program(kinds))
    assert.isTrue(idle.takesHandOff)
    idle.offer(0, undefined)
    assert.isFalse(idle.takesHandOff, "it has something queued")
    yield* settle
    assert.isTrue(idle.takesHandOff)
    const { slot: bounded } = yield* startSlot(system, program(kinds), { capacity: 10 })
    assert.isFalse(bounded.takesHandOff, "its mailbox has rules")
    let depth = 0
    let deepest = 0
    const slots: Array<{ readonly takesHandOff: boolean; handOff(request: HandRequest): void }> = []
    const nest: CompiledHandler = (payload) => {
      const n = payload as number
      deepest = Math.max(deepest, ++depth)
      const next = slots[n + 1]
      if (next?.takesHandOff === true) next.handOff(new HandRequest(0, n + 1))
      depth--
    }
    for (let i = 0; i < 50; i++) slots.push((yield* startSlot(system, program({ Nest: nest }))).slot)
    slots[0]!.handOff(new HandRequest(0, 0))
    assert.strictEqual(deepest, 16)
    assert.strictEqual(system.handoffs, 0)
  })
)

it.effect("a request handed off that needs a fiber is answered when that is over", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const { slot } = yield* startSlot(system, program(kinds))
    const [now, later] = [
      new HandRequest(names.indexOf("value"), undefined),
      new HandRequest(names.indexOf("waits"), undefined)
    ]
    slot.handOff(now)
    assert.strictEqual(now.outcome, 1)
    slot.handOff(later)
    assert.deepStrictEqual([later.outcome, slot.takesHandOff], [undefined, false])
    yield* settle
    assert.deepStrictEqual([later.outcome, slot.takesHandOff], [5, true])
  })
)
