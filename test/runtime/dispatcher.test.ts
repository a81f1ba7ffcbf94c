/** The run queue: order, fair slices, and each invariant that its header states. Clock and scheduler are moved by hand. */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { Dispatcher, Runnable, Urgent } from "../../src/runtime/dispatcher.ts"
import { Busy, handDispatcher } from "../support/engine.ts"

const runnable = (run: () => unknown): Runnable => ({
  run() {
    run()
    return 1
  }
})

const named = (dispatcher: Dispatcher, log: Array<string>) => (name: string) =>
  dispatcher.push(runnable(() => log.push(name)))

it("runs in the order in which work came up, from the scheduler and never on the stack that pushes", () => {
  const { dispatcher, scheduler } = handDispatcher()
  const log: Array<string> = []
  const push = named(dispatcher, log)
  for (const name of ["a", "b", "c"]) push(name)
  assert.deepStrictEqual(log, [])
  scheduler.turn()
  assert.deepStrictEqual(log, ["a", "b", "c"])
})

it.effect.prop(
  "no work is lost or moved, however much is queued while other work runs",
  { bursts: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 300 }))) },
  ({ bursts }) =>
    Effect.sync(() => {
      const { dispatcher, scheduler } = handDispatcher({ sliceMessages: 50 })
      const ran: Array<number> = []
      let pushed = 0
      const burst = (count: number) => {
        for (let i = 0; i < count; i++) {
          const n = pushed++
          dispatcher.push(runnable(() => ran.push(n)))
        }
      }
      for (const count of bursts) {
        burst(count)
        dispatcher.push(runnable(() => burst(count)))
        scheduler.turn()
      }
      scheduler.flush()
      assert.deepStrictEqual(
        ran,
        Array.from({ length: pushed }, (_, n) => n)
      )
    })
)

it("invariant 1: a slice is scheduled once, and again only for what is left over", () => {
  const { dispatcher, scheduler } = handDispatcher({ sliceMessages: 2 })
  const push = named(dispatcher, [])
  for (const name of ["a", "b", "c"]) push(name)
  assert.strictEqual(scheduler.tasks.length, 1)
  scheduler.turn()
  assert.strictEqual(scheduler.tasks.length, 1, "c is left over")
  scheduler.turn()
  assert.strictEqual(scheduler.tasks.length, 0, "nothing is left over")
  push("d")
  assert.strictEqual(scheduler.tasks.length, 1)
})

it("invariant 1: work that throws does not take the rest with it", () => {
  const { dispatcher, scheduler } = handDispatcher()
  const log: Array<string> = []
  dispatcher.push(
    runnable(() => {
      throw new Error("thrown")
    })
  )
  named(dispatcher, log)("after")
  assert.throws(() => scheduler.turn(), "thrown")
  scheduler.flush()
  assert.deepStrictEqual(log, ["after"])
})

it("invariant 2: slices never nest, also when work in a slice asks for one at once", () => {
  const { dispatcher, scheduler } = handDispatcher()
  const log: Array<string> = []
  dispatcher.push(
    runnable(() => {
      log.push("begin")
      dispatcher.resume(runnable(() => log.push("resumed")))
      log.push("end")
    })
  )
  scheduler.turn()
  assert.deepStrictEqual(log, ["begin", "end", "resumed"])
})

it("invariant 2: a scheduled slice that comes up inside another one does nothing", () => {
  const { dispatcher, scheduler } = handDispatcher()
  const log: Array<string> = []
  dispatcher.push(
    runnable(() => {
      log.push("begin")
      scheduler.turn()
      log.push("end")
    })
  )
  dispatcher.resume(runnable(() => log.push("next")))
  assert.deepStrictEqual(log, ["begin", "end", "next"])
})

it("a resume from a plain callback drains the queue right away", () => {
  const { dispatcher, scheduler } = handDispatcher()
  const log: Array<string> = []
  named(dispatcher, log)("queued")
  dispatcher.resume(runnable(() => log.push("resumed")))
  assert.deepStrictEqual(log, ["queued", "resumed"])
  scheduler.flush()
  assert.deepStrictEqual(log, ["queued", "resumed"])
})

it.effect("a resume on a fiber's stack waits for its turn", () =>
  Effect.sync(() => {
    const { dispatcher, scheduler } = handDispatcher()
    const log: Array<string> = []
    dispatcher.resume(runnable(() => log.push("resumed")))
    assert.deepStrictEqual(log, [])
    scheduler.turn()
    assert.deepStrictEqual(log, ["resumed"])
  })
)

it("invariant 3: with a clock that stands still, counts bound turn and slice", () => {
  const { dispatcher, scheduler } = handDispatcher({ turnMessages: 64, sliceMessages: 1_000 })
  const flood = new Busy("flood", dispatcher, 10_000)
  dispatcher.push(flood)
  scheduler.turn()
  assert.isAtLeast(flood.handled, 1_000)
  assert.isBelow(flood.handled, 1_000 + 64)
  assert.isAtMost(Math.max(...flood.turns), 64)
  assert.strictEqual(scheduler.tasks.length, 1)
})

it("invariant 3: the event loop gets its turn after the slice's time", () => {
  const { clock, dispatcher, scheduler } = handDispatcher({ sliceMillis: 2 })
  const flood = new Busy("flood", dispatcher, 1_000_000, () => {
    clock.millis += 0.01
  })
  dispatcher.push(flood)
  let slices = 0
  for (; flood.left > 900_000; slices++) {
    const before = clock.millis
    scheduler.turn()
    assert.isBelow(clock.millis - before, 2.5)
  }
  assert.isAtLeast(slices, 400)
})

it("invariant 3: a turn shrinks as messages get slow and grows as they get fast", () => {
  const { clock, dispatcher, scheduler } = handDispatcher({ sliceMillis: 1_000, sliceMessages: 100_000 })
  let cost = 1
  const work = new Busy("work", dispatcher, 200, () => {
    clock.millis += cost
  })
  dispatcher.push(work)
  scheduler.turn()
  assert.strictEqual(dispatcher.turn, 1)
  cost = 0
  work.left = 100_000
  dispatcher.push(work)
  scheduler.flush()
  assert.strictEqual(dispatcher.turn, 1_024)
})

it("invariant 3: fast messages share looks at the clock", () => {
  const { clock, dispatcher, scheduler } = handDispatcher()
  const work = new Busy("work", dispatcher, 100_000, () => {
    clock.millis += 0.0001
  })
  dispatcher.push(work)
  scheduler.flush()
  assert.strictEqual(work.handled, 100_000)
  assert.isBelow(clock.looks, 2_000)
})

it("a flood on one does not keep another from its turn", () => {
  const { clock, dispatcher, scheduler } = handDispatcher()
  const log: Array<string> = []
  const work = (name: string) => {
    clock.millis += 0.01
    log.push(name)
  }
  dispatcher.push(new Busy("flood", dispatcher, 50_000, work))
  for (let i = 0; i < 10; i++) dispatcher.push(new Busy(`quiet ${i}`, dispatcher, 1, work))
  scheduler.turn()
  for (let i = 0; i < 10; i++) assert.isBelow(log.indexOf(`quiet ${i}`), 40)
  // One that comes later does not wait for the flood's end either.
  const late = log.length
  dispatcher.push(new Busy("late", dispatcher, 1, work))
  scheduler.turn()
  assert.isAbove(log.indexOf("late"), -1)
  assert.isBelow(log.indexOf("late") - late, 40)
})

it("two floods take turns", () => {
  const { clock, dispatcher, scheduler } = handDispatcher()
  const handled = { a: 0, b: 0 }
  let largestLead = 0
  const work = (name: string) => {
    clock.millis += 0.01
    handled[name as "a" | "b"]++
    largestLead = Math.max(largestLead, Math.abs(handled.a - handled.b))
  }
  dispatcher.push(new Busy("a", dispatcher, 5_000, work))
  dispatcher.push(new Busy("b", dispatcher, 5_000, work))
  scheduler.flush()
  assert.deepStrictEqual(handled, { a: 5_000, b: 5_000 })
  assert.isBelow(largestLead, 64)
})

it("an urgent one goes ahead of its place, but every other turn still belongs to the queue", () => {
  const { dispatcher, scheduler } = handDispatcher()
  const log: Array<string> = []
  const urgent: Urgent = {
    run: () => log.push("its turn"),
    runAhead: () => {
      log.push("ahead")
      if (log.length < 8) dispatcher.urge(urgent)
      return 1
    }
  }
  for (const name of ["a", "b", "c", "d"]) named(dispatcher, log)(name)
  dispatcher.push(urgent)
  dispatcher.urge(urgent)
  scheduler.turn()
  assert.deepStrictEqual(log, ["ahead", "a", "ahead", "b", "ahead", "c", "ahead", "d", "ahead", "its turn"])
})

it("messages handled inside other turns are charged to the slice", () => {
  const { dispatcher, scheduler } = handDispatcher({ sliceMessages: 100 })
  let turns = 0
  for (let i = 0; i < 10; i++) {
    dispatcher.push(
      runnable(() => {
        turns++
        dispatcher.inlined += 49
      })
    )
  }
  scheduler.turn()
  assert.strictEqual(turns, 2)
  scheduler.flush()
  assert.strictEqual(turns, 10)
})

it("invariant 3: what is started in a turn goes next, eldest first, branch by branch", () => {
  const { dispatcher, scheduler } = handDispatcher()
  const log: Array<string> = []
  const node = (name: string, depth: number): Runnable =>
    runnable(() => {
      log.push(name)
      for (const child of depth === 0 ? [] : ["1", "2"]) dispatcher.pushNewborn(node(name + child, depth - 1))
    })
  dispatcher.push(node("a", 2))
  scheduler.turn()
  assert.deepStrictEqual(log, ["a", "a1", "a11", "a12", "a2", "a21", "a22"])
})

it("invariant 3: every other turn belongs to the queue, however many are started", () => {
  const { dispatcher, scheduler } = handDispatcher()
  const log: Array<string> = []
  const chain = (left: number): Runnable =>
    runnable(() => {
      log.push("young")
      if (left > 1) dispatcher.pushNewborn(chain(left - 1))
    })
  dispatcher.push(chain(4))
  for (const name of ["a", "b"]) named(dispatcher, log)(name)
  scheduler.turn()
  assert.deepStrictEqual(log, ["young", "young", "a", "young", "b", "young"])
})

it("invariant 3: newborns left over by a slice are a reason for the next one", () => {
  const { dispatcher, scheduler } = handDispatcher({ sliceMessages: 1 })
  const log: Array<string> = []
  dispatcher.push(runnable(() => dispatcher.pushNewborn(runnable(() => log.push("young")))))
  scheduler.turn()
  assert.deepStrictEqual(log, [])
  scheduler.turn()
  assert.deepStrictEqual(log, ["young"])
  assert.strictEqual(scheduler.tasks.length, 0)
})
