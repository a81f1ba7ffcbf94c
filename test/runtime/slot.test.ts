/** The place of an actor: starts, failures, ends. Each invariant that its header states. */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Scope } from "effect"
import * as ExitReason from "../../src/runtime/ExitReason.ts"
import { Slot } from "../../src/runtime/slot.ts"
import type { System } from "../../src/runtime/system.ts"
import type { CompiledHandler } from "../../src/runtime/turns.ts"
import { HandOwner, HandRequest, makeSystem, program, settle, startSlot } from "../support/engine.ts"

type Init = (handlers: ReadonlyArray<CompiledHandler>) => Effect.Effect<ReadonlyArray<CompiledHandler>, unknown>

const noHandlers = (init: Init) => program({}, init)

const newSlot = (system: System, init: Init, owner = new HandOwner()) =>
  new Slot(system, noHandlers(init), owner, Context.empty(), "parent", "name")

/** Acquires something in the incarnation's scope that takes until `gate` to release. */
const slowRelease = (gate: Deferred.Deferred<void>, log: Array<string>) =>
  Effect.addFinalizer(() =>
    Effect.andThen(
      Deferred.await(gate),
      Effect.sync(() => log.push("released"))
    )
  )

/** Inits run in the incarnation's own context, which has the Scope. */
const scoped = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => effect as Effect.Effect<A, E>

it.effect("invariant 1: the next incarnation begins only when the one before has released everything", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const log: Array<string> = []
    const gate = yield* Deferred.make<void>()
    const owner = new HandOwner()
    owner.restarts = true
    owner.directive = "restart"
    const crash = () => {
      throw new Error("crash")
    }
    const init: Init = (handlers) =>
      scoped(
        Effect.as(
          Effect.andThen(
            Effect.sync(() => log.push("init")),
            slowRelease(gate, log)
          ),
          handlers
        )
      )
    const { slot } = yield* startSlot(system, program({ Crash: crash }, init), undefined, owner)
    slot.offer(0, undefined)
    yield* settle
    assert.deepStrictEqual([log, slot.status, slot.incarnations], [["init"], "stopping", 1])
    yield* Deferred.succeed(gate, undefined)
    yield* settle
    assert.deepStrictEqual([log, slot.status, slot.incarnations], [["init", "released", "init"], "running", 2])
  })
)

it.effect("invariant 2: the owner decides in a turn of its own, behind what was queued before", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const owner = new HandOwner()
    const crash = () => {
      owner.log.push("crash")
      system.dispatcher.push({ run: () => owner.log.push("queued before") })
      throw new Error("crash")
    }
    const { slot } = yield* startSlot(system, program({ Crash: crash }), undefined, owner)
    slot.offer(0, undefined)
    yield* settle
    assert.deepStrictEqual(owner.log, ["crash", "queued before", "owner: failed Error: crash", "owner: ended Failed"])
  })
)

it.effect("invariant 2: also when the failing handler runs on the asker's stack", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const { owner, slot } = yield* startSlot(system, program({ Crash: () => Exit.die("crash") }))
    const request = new HandRequest(0, undefined)
    assert.isTrue(slot.takesHandOff)
    slot.handOff(request)
    assert.deepStrictEqual([owner.log, request.outcome], [[], "HandlerFailed"])
    yield* settle
    assert.deepStrictEqual(owner.log, ["owner: failed crash", "owner: ended Failed"])
  })
)

it.effect("invariant 3: `start` calls back exactly once, after nothing of a failed start is left", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const log: Array<string> = []
    const acquire = scoped(
      Effect.addFinalizer(() =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => log.push("released"))
        )
      )
    )
    const inits: Readonly<Record<string, Init>> = {
      "at once": Exit.succeed,
      "at once, in an effect": (handlers) => Effect.as(acquire, handlers),
      later: (handlers) => Effect.as(Effect.andThen(acquire, Effect.yieldNow), handlers),
      "fails at once": () => Exit.fail("init"),
      "fails in an effect": () => Effect.andThen(acquire, Effect.fail("init")),
      "fails later": () => Effect.andThen(Effect.andThen(acquire, Effect.yieldNow), Effect.die("init"))
    }
    for (const [name, init] of Object.entries(inits)) {
      const slot = newSlot(system, init)
      const started: Array<string> = []
      slot.start((exit) => {
        const failure = Exit.isFailure(exit)
          ? `${String(Cause.squash(exit.cause))} ${slot.status} ${log.splice(0)}`
          : "up"
        started.push(failure.trim())
      })
      yield* settle
      const leaves = name === "fails at once" ? "" : " released"
      assert.deepStrictEqual(started, [name.startsWith("fails") ? `init restarting${leaves}` : "up"], name)
      slot.kill()
      yield* settle
      assert.strictEqual(started.length, 1, name)
      log.length = 0
    }
  })
)

it.effect("invariant 3: a start that is stopped or killed calls back once, and is over", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    for (const how of ["stop", "kill"] as const) {
      const log: Array<string> = []
      const init: Init = (handlers) =>
        scoped(
          Effect.as(
            Effect.andThen(
              Effect.addFinalizer(() => Effect.sync(() => log.push("released"))),
              Effect.never
            ),
            handlers
          )
        )
      const slot = newSlot(system, init)
      const starts: Array<Exit.Exit<void, unknown>> = []
      slot.start((exit) => starts.push(exit))
      yield* settle
      assert.deepStrictEqual([slot.status, starts.length], ["starting", 0])
      if (how === "stop") slot.stop(ExitReason.Shutdown())
      else slot.kill()
      yield* settle
      assert.strictEqual(starts.length, 1)
      assert.isTrue(Exit.isFailure(starts[0]!) && Cause.hasInterruptsOnly(starts[0].cause))
      assert.deepStrictEqual([log, slot.isDown], [["released"], true])
    }
  })
)

it.effect("invariant 4: once ended, nothing is queued, nobody waits, every watcher has been told exactly once", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const { slot } = yield* startSlot(system, program({ Hold: () => Effect.never, Put: () => undefined }), {
      capacity: 3
    })
    const told: Array<string> = []
    slot.watch((reason) => told.push(`first ${reason._tag}`))
    slot.watch(() => told.push("left"))()
    slot.watch(() => slot.watch((reason) => told.push(`watched while told ${reason._tag}`)))
    const asks = [0, 1, 1].map((tag) => new HandRequest(tag, undefined))
    for (const ask of asks) slot.offer(ask, undefined)
    yield* settle
    slot.offer(1, "left over")
    let settled = 0
    slot.waitForRoom({ item: 1, payload: "waiting", settled: () => settled++ })
    slot.kill()
    yield* settle
    assert.deepStrictEqual(told, ["first Killed", "watched while told Killed"])
    assert.deepStrictEqual(
      asks.map((ask) => [ask.outcome, ask.settlements]),
      new Array(3).fill(["NotRunning", 1])
    )
    assert.deepStrictEqual([slot.size, slot.inflight, settled, slot.status], [0, undefined, 1, "stopped"])
    assert.deepStrictEqual(
      system.letters.recent().map((letter) => letter.payload),
      ["left over", "waiting"]
    )
    slot.post(() => told.push("work of an ended actor"))
    assert.strictEqual(slot.size, 0)
    slot.watch((reason) => told.push(`late ${reason._tag}`))
    slot.finish(ExitReason.Normal)
    assert.deepStrictEqual(told.slice(2), ["late Killed"])
    const late = new HandRequest(1, undefined)
    assert.deepStrictEqual(
      [slot.offer(late, undefined), late.outcome, slot.offer(1, "dead")],
      ["lost", "NotRunning", "lost"]
    )
  })
)

it.effect("a stop waits for the handler, goes before the queue, and is overtaken by a kill", () =>
  Effect.gen(function* () {
    for (const killed of [false, true]) {
      const { system } = yield* makeSystem()
      const log: Array<unknown> = []
      const gate = yield* Deferred.make<void>()
      const hold = Effect.onInterrupt(
        Effect.andThen(
          Deferred.await(gate),
          Effect.sync(() => log.push("handled"))
        ),
        () => Effect.sync(() => log.push("cut"))
      )
      const { owner, slot } = yield* startSlot(system, program({ Hold: () => hold, Put: (n) => void log.push(n) }))
      slot.offer(0, undefined)
      slot.offer(1, "queued")
      yield* settle
      slot.stop(ExitReason.Shutdown("why"))
      slot.stop(ExitReason.Normal)
      yield* settle
      assert.deepStrictEqual(log, [])
      if (killed) slot.kill()
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepStrictEqual(log, [killed ? "cut" : "handled"])
      assert.deepStrictEqual(owner.log, [killed ? "owner: ended Killed" : "owner: ended Shutdown"])
      assert.deepStrictEqual(slot.exit, killed ? ExitReason.Killed : ExitReason.Shutdown("why"))
      assert.deepStrictEqual(
        system.letters.recent().map((letter) => letter.payload),
        ["queued"]
      )
    }
  })
)

it.effect("a kill from the handler's own stack takes effect right after it", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const log: Array<unknown> = []
    const ref: { slot?: Slot } = {}
    const die = () => {
      ref.slot!.kill()
      log.push("still here")
    }
    const { owner, slot } = yield* startSlot(system, program({ Die: die, Put: (n) => void log.push(n) }))
    ref.slot = slot
    slot.offer(0, undefined)
    slot.offer(1, "queued")
    yield* settle
    assert.deepStrictEqual([log, owner.log], [["still here"], ["owner: ended Killed"]])
  })
)

it.effect("a resumed actor keeps its state and goes on with the next message", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const owner = new HandOwner()
    owner.directive = "resume"
    let sum = 0
    const add = (n: unknown) => {
      if (n === 0) throw new Error("zero")
      return (sum += n as number)
    }
    const { slot } = yield* startSlot(system, program({ Add: add }), undefined, owner)
    for (const n of [1, 0, 2]) slot.offer(0, n)
    yield* settle
    assert.deepStrictEqual([sum, slot.incarnations, owner.log], [3, 1, ["owner: failed Error: zero"]])
  })
)

it.effect("a stop that comes while the owner decides is obeyed without asking it", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const ref: { slot?: Slot } = {}
    const crash = () => {
      system.dispatcher.push({ run: () => (ref.slot!.stop(ExitReason.Shutdown()), 1) })
      throw new Error("crash")
    }
    const { owner, slot } = yield* startSlot(system, program({ Crash: crash }))
    ref.slot = slot
    slot.offer(0, undefined)
    yield* settle
    assert.deepStrictEqual(owner.log, ["owner: ended Shutdown"])
  })
)

it.effect("a drain ends with the incarnation that it has emptied: the next one is open", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const handled: Array<unknown> = []
    const owner = new HandOwner()
    const { slot } = yield* startSlot(system, program({ Put: (n) => void handled.push(n) }), undefined, owner)
    for (const n of [1, 2, 3]) slot.offer(0, n)
    slot.drain()
    assert.strictEqual(slot.offer(0, 4), "lost")
    // Restarted by hand, once, so that a drain which never ends cannot run away with the test.
    owner.onEnded = (slot, reason) => {
      owner.log.push(`owner: ended ${reason._tag}`)
      owner.onEnded = HandOwner.prototype.onEnded
      slot.start(owner.started)
    }
    yield* settle
    assert.deepStrictEqual([handled, owner.log], [[1, 2, 3], ["owner: ended Normal"]])
    assert.deepStrictEqual([slot.incarnations, slot.status], [2, "running"])
    assert.strictEqual(slot.offer(0, 5), "accepted")
    yield* settle
    assert.deepStrictEqual(handled, [1, 2, 3, 5])
  })
)

it.effect("a crash in the middle of a drain that is restarted goes on draining", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const handled: Array<unknown> = []
    const owner = new HandOwner()
    owner.directive = "restart"
    const put = (n: unknown) => {
      handled.push(n)
      if (n === 2) throw new Error("two")
    }
    const { slot } = yield* startSlot(system, program({ Put: put }), undefined, owner)
    for (const n of [1, 2, 3]) slot.offer(0, n)
    slot.drain()
    owner.onEnded = (slot, reason) => {
      owner.log.push(`owner: ended ${reason._tag}`)
      if (reason._tag === "Failed") slot.start(owner.started)
      else slot.finish(reason)
    }
    yield* settle
    assert.deepStrictEqual(handled, [1, 2, 3])
    assert.deepStrictEqual(owner.log, ["owner: failed Error: two", "owner: ended Failed", "owner: ended Normal"])
  })
)

it.effect("a killed actor that still holds resources is a zombie until they are released", () =>
  Effect.gen(function* () {
    const { events, system } = yield* makeSystem()
    const log: Array<string> = []
    const gate = yield* Deferred.make<void>()
    const { owner, slot } = yield* startSlot(
      system,
      noHandlers((handlers) => scoped(Effect.as(slowRelease(gate, log), handlers)))
    )
    slot.kill()
    slot.whenReleased(() => log.push("told"))
    assert.deepStrictEqual([owner.log, slot.isReleased, log], [["owner: ended Killed"], false, []])
    assert.deepStrictEqual(
      [...system.zombies.values()].map((zombie) => zombie.path),
      ["slot"]
    )
    yield* Deferred.succeed(gate, undefined)
    yield* settle
    assert.deepStrictEqual([slot.isReleased, system.zombies.size, log], [true, 0, ["released", "told"]])
    assert.includeMembers(
      events.map((event) => event._tag),
      ["ZombieLeft", "ZombieReleased"]
    )
  })
)

it.effect("a kill gives up waiting for a slow stop, and the end is told once", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const gate = yield* Deferred.make<void>()
    const { owner, slot } = yield* startSlot(
      system,
      noHandlers((handlers) => scoped(Effect.as(slowRelease(gate, []), handlers)))
    )
    const down: Array<string> = []
    slot.onceDown((reason) => down.push(reason._tag))
    slot.stop(ExitReason.Shutdown())
    assert.deepStrictEqual([slot.status, owner.log], ["stopping", []])
    slot.kill()
    slot.kill()
    yield* Deferred.succeed(gate, undefined)
    yield* settle
    assert.deepStrictEqual([owner.log, down], [["owner: ended Killed"], ["Killed"]])
  })
)

it.effect("a finalizer that fails turns an orderly end into a failed one, and is told", () =>
  Effect.gen(function* () {
    const { events, system } = yield* makeSystem()
    const { owner, slot } = yield* startSlot(
      system,
      noHandlers((handlers) =>
        scoped(
          Effect.as(
            Effect.addFinalizer(() => Effect.die("finalizer")),
            handlers
          )
        )
      )
    )
    slot.stop(ExitReason.Shutdown())
    yield* settle
    assert.deepStrictEqual(owner.log, ["owner: ended Failed"])
    const failed = events.flatMap((event) => (event._tag === "FinalizerFailed" ? [Cause.squash(event.cause)] : []))
    assert.deepStrictEqual(failed, ["finalizer"])
  })
)

it.effect("watching again replaces the watch before, and the watches of an actor end with it", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const { slot: watcher } = yield* startSlot(system, program({}))
    const { slot: target } = yield* startSlot(system, program({}))
    const ended: Array<number> = []
    for (const n of [1, 2]) watcher.audience.remember(target, () => ended.push(n))
    assert.deepStrictEqual(ended, [1])
    watcher.kill()
    assert.deepStrictEqual(ended, [1, 2])
  })
)
