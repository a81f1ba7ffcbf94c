/** A bus whose handlers come and go, and crash without harm. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Data, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { EventBus, Supervisor } from "effect-otp"
import { quiet } from "../support/recording.ts"

class Broken extends Data.TaggedError("Broken") {}
class Sink extends Context.Service<Sink, Array<string>>()("test/Sink") {}

const settle = Effect.andThen(Effect.yieldNow, Effect.yieldNow)

/** A bus, and a handler that writes down what it hears. */
const recorded = Effect.gen(function* () {
  const bus = yield* EventBus.make<string>("bus")
  const heard: Array<string> = []
  const hears = (name: string) => (event: string) => Effect.sync(() => void heard.push(`${name} ${event}`))
  return { bus, heard, hears }
})

describe("handlers of a bus", () => {
  it.effect("hear what is published while they are there, each in order, and nothing after they are removed", () =>
    Effect.gen(function* () {
      const { bus, heard, hears } = yield* recorded
      yield* bus.publishAndWait("0")
      yield* bus.add("a", hears("a"))
      yield* bus.publishAndWait("1")
      yield* bus.add("b", hears("b"))
      yield* bus.publish("2")
      yield* bus.publishAndWait("3")
      assert.deepStrictEqual(
        heard.filter((line) => line.startsWith("a")),
        ["a 1", "a 2", "a 3"]
      )
      assert.deepStrictEqual(
        heard.filter((line) => line.startsWith("b")),
        ["b 2", "b 3"]
      )
      assert.deepStrictEqual([yield* bus.remove("a"), yield* bus.remove("a")], [true, false])
      yield* bus.publishAndWait("4")
      assert.deepStrictEqual([heard.at(-1), heard.includes("a 4"), yield* bus.handlers], ["b 4", false, ["b"]])
    })
  )

  it.effect("one that fails, dies or throws is dropped and its owner told; the others and the bus do not notice", () =>
    Effect.gen(function* () {
      const { bus, heard, hears } = yield* recorded
      const ended: Array<string> = []
      const onEnd = (id: string) => ({
        onEnd: ({ _tag }: { readonly _tag: string }) => Effect.sync(() => void ended.push(`${id} ${_tag}`))
      })
      yield* bus.add("first", hears("first"))
      yield* bus.add("fails", () => Effect.fail(new Broken()), onEnd("fails"))
      yield* bus.add("dies", () => Effect.die("dead"), onEnd("dies"))
      yield* bus.add(
        "throws",
        () => {
          throw new Error("thrown")
        },
        onEnd("throws")
      )
      yield* bus.add("last", hears("last"))
      yield* bus.publishAndWait("1")
      assert.deepStrictEqual(yield* bus.handlers, ["first", "last"])
      assert.deepStrictEqual(ended.toSorted(), ["dies Failed", "fails Failed", "throws Failed"])
      yield* bus.publishAndWait("2")
      assert.deepStrictEqual(heard, ["first 1", "last 1", "first 2", "last 2"])
      yield* bus.add("fails", hears("again"))
      yield* bus.publishAndWait("3")
      assert.isTrue(heard.includes("again 3"))
    }).pipe(quiet)
  )

  it.effect("a slow one holds nobody up", () =>
    Effect.gen(function* () {
      const { bus, heard, hears } = yield* recorded
      const gate = yield* Deferred.make<void>()
      yield* bus.add("slow", (event) => Effect.andThen(Deferred.await(gate), hears("slow")(event)))
      yield* bus.add("fast", hears("fast"))
      yield* bus.publish("1")
      const waiting = yield* Effect.forkChild(bus.publishAndWait("2"), { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([heard, waiting.pollUnsafe()], [["fast 1", "fast 2"], undefined])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(heard.slice(2), ["slow 1", "slow 2"])
    })
  )

  it.effect("ids are unique; what a handler needs is that of whoever added it; its place ends with that Scope", () =>
    Effect.gen(function* () {
      const { bus } = yield* recorded
      const scope = yield* Scope.make()
      const sink: Array<string> = []
      const add = bus
        .add("sink", (event) => Effect.map(Sink, (lines) => void lines.push(event)))
        .pipe(Effect.provideService(Sink, sink), Scope.provide(scope))
      yield* add
      const exists = yield* Effect.flip(add)
      assert.match(exists.message, /has a handler "sink" already/)
      yield* bus.publishAndWait("1")
      yield* Scope.close(scope, Exit.void)
      yield* bus.publishAndWait("2")
      assert.deepStrictEqual([sink, yield* bus.handlers], [["1"], []])
    })
  )

  it.effect("one may remove itself, and publish to the bus it hears", () =>
    Effect.gen(function* () {
      const { bus, heard, hears } = yield* recorded
      yield* bus.add("all", hears("all"))
      yield* bus.add("once", () => Effect.andThen(bus.remove("once"), bus.publishAndWait("echo")))
      yield* bus.publishAndWait("1")
      yield* bus.publishAndWait("2")
      assert.deepStrictEqual([heard, yield* bus.handlers], [["all 1", "all echo", "all 2"], ["all"]])
    })
  )

  it.effect("a bus is a child like any other: when it ends, its handlers do", () =>
    Effect.gen(function* () {
      class Orders extends EventBus.Service<Orders, string>()("test/Orders") {}
      const ended: Array<string> = []
      const onEnd = (id: string) => ({
        onEnd: ({ _tag }: { readonly _tag: string }) => Effect.sync(() => void ended.push(`${id} ${_tag}`))
      })
      const top = yield* Supervisor.start(
        Supervisor.make("top", { children: [Supervisor.service("orders", Orders.layer)] })
      )
      const orders = yield* Effect.provide(Orders, top.services)
      yield* orders.add("a", () => {}, onEnd("a"))
      yield* orders.add("b", () => {}, onEnd("b"))
      yield* top.stop
      yield* settle
      assert.deepStrictEqual([ended, yield* orders.handlers], [["b Shutdown", "a Shutdown"], []])
    })
  )

  it.effect("one whose onEnd throws or fails harms nobody", () =>
    Effect.gen(function* () {
      const { bus, heard, hears } = yield* recorded
      const onEnd = (): never => {
        throw new Error("onEnd")
      }
      yield* bus.add("throws", () => Effect.die("dead"), { onEnd })
      yield* bus.add("dies", () => Effect.die("dead"), { onEnd: () => Effect.die("onEnd") })
      yield* bus.add("last", hears("last"))
      yield* bus.publishAndWait("1")
      yield* bus.publishAndWait("2")
      assert.deepStrictEqual([heard, yield* bus.handlers], [["last 1", "last 2"], ["last"]])
    }).pipe(quiet)
  )

  it.effect("that come and go while an event is on its way: it goes to those that were there, and still are", () =>
    Effect.gen(function* () {
      const { bus, heard, hears } = yield* recorded
      const gate = yield* Deferred.make<void>()
      const mailbox = { capacity: 1 }
      yield* bus.add("slow", (event) => Effect.andThen(Deferred.await(gate), hears("slow")(event)), { mailbox })
      yield* bus.add("leaves", hears("leaves"))
      for (const event of ["1", "2"]) yield* bus.publish(event)
      yield* settle
      // The slow one has no room for it, so it waits for that before it goes to the next.
      const publishing = yield* Effect.forkChild(bus.publish("3"), { startImmediately: true })
      yield* settle
      yield* bus.remove("leaves")
      yield* bus.add("comes", hears("comes"))
      assert.isUndefined(publishing.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(publishing)
      yield* bus.publishAndWait("4")
      assert.deepStrictEqual(
        heard.filter((line) => !line.startsWith("slow")),
        ["leaves 1", "leaves 2", "comes 4"]
      )
      assert.deepStrictEqual(
        heard.filter((line) => line.startsWith("slow")),
        ["slow 1", "slow 2", "slow 3", "slow 4"]
      )
    })
  )

  it.effect("one that hangs is given time, then killed; its owner is told", () =>
    Effect.gen(function* () {
      const { bus } = yield* recorded
      const ended: Array<string> = []
      yield* bus.add("hangs", () => Effect.never, { onEnd: ({ _tag }) => Effect.sync(() => void ended.push(_tag)) })
      const waiting = yield* Effect.forkChild(bus.publishAndWait("1"), { startImmediately: true })
      const removing = yield* Effect.forkChild(bus.remove("hangs"), { startImmediately: true })
      yield* settle
      assert.deepStrictEqual(yield* bus.handlers, [])
      // Its id is free at once, and stays the other's when it is gone at last.
      yield* bus.add("hangs", () => {})
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(removing.pollUnsafe())
      yield* TestClock.adjust("1 milli")
      assert.isTrue(yield* Fiber.join(removing))
      yield* Fiber.join(waiting)
      assert.deepStrictEqual([ended, yield* bus.handlers], [["Killed"], ["hangs"]])
    })
  )

  it.effect("cannot be added to a bus that is over: after a restart there is another", () =>
    Effect.gen(function* () {
      class Orders extends EventBus.Service<Orders, string>()("test/Orders") {}
      const scope = yield* Scope.make()
      const orders = Context.get(yield* Layer.buildWithScope(Layer.fresh(Orders.layer), scope), Orders)
      yield* orders.add("a", () => {})
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.flip(orders.add("b", () => {}))
      assert.deepStrictEqual(error, new EventBus.BusEnded({ bus: "test/Orders", id: "b" }))
      assert.match(error.message, /test\/Orders has ended, and "b" would hear nothing/)
      yield* orders.publishAndWait("into the void")
    })
  )

  it.effect("have mailboxes that make sense", () =>
    Effect.gen(function* () {
      const { bus, hears } = yield* recorded
      const add = () => bus.add("a", hears("a"), { mailbox: { capacity: Number.NaN } })
      assert.throws(add, /mailbox.capacity must be a whole number of 1 or more, or Infinity, got NaN/)
      assert.deepStrictEqual(yield* bus.handlers, [])
    })
  )
})
