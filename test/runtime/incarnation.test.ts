/** One run of an actor: what it makes, what it hears, how it ends. Each invariant that the header states. */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { Envelope } from "../../src/runtime/envelope.ts"
import * as ExitReason from "../../src/runtime/ExitReason.ts"
import { ActorContext, Incarnation, type Outgoing } from "../../src/runtime/incarnation.ts"
import { HandOwner, HandRequest, makeSystem, program, settle, startSlot } from "../support/engine.ts"

class Color extends Context.Service<Color, string>()("test/Color") {}

const makeIncarnation = Effect.map(makeSystem(), ({ system }) => {
  const context = Context.make(Color, "red") as Context.Context<never>
  return new Incarnation({ system, path: "host", context }, 1)
})

const made = (incarnation: Incarnation) => ({
  scope: Reflect.get(incarnation, "scopeOrNone") !== undefined,
  running: Reflect.get(incarnation, "runningOrNone") !== undefined,
  rare: Reflect.get(incarnation, "rareOrNone") !== undefined
})

const end = (incarnation: Incarnation, reason: ExitReason.ExitReason, restarts = false) =>
  incarnation.end(reason, restarts) ?? Effect.void

it.effect("invariant 1: plain handlers need neither scope nor context; the first effect makes them", () =>
  Effect.gen(function* () {
    const { system } = yield* makeSystem()
    const handlers = program({ Plain: () => undefined, Exit: () => Exit.succeed(1), Effect: () => Effect.yieldNow })
    const { slot } = yield* startSlot(system, handlers)
    const incarnation = slot.incarnation!
    slot.offer(0, undefined)
    slot.offer(1, undefined)
    yield* settle
    assert.deepStrictEqual(made(incarnation), { scope: false, running: false, rare: false })
    slot.offer(2, undefined)
    yield* settle
    assert.deepStrictEqual(made(incarnation), { scope: true, running: true, rare: false })
  })
)

it.effect("invariant 1: nothing made, nothing to release", () =>
  Effect.gen(function* () {
    const incarnation = yield* makeIncarnation
    incarnation.announceEnd(ExitReason.Normal, false)
    assert.strictEqual(incarnation.end(ExitReason.Normal, false), undefined)
    assert.deepStrictEqual(made(incarnation), { scope: false, running: false, rare: false })
  })
)

it.effect("effects run with the spec's services, the incarnation's scope and the turn at hand", () =>
  Effect.gen(function* () {
    const incarnation = yield* makeIncarnation
    const seen: Array<unknown> = []
    const look = Effect.gen(function* () {
      seen.push(yield* Color, (yield* Scope.Scope) === incarnation.scope)
      const turn = yield* ActorContext
      seen.push(turn.beside, turn.item, turn.payload)
    }) as Effect.Effect<unknown, unknown, unknown> as Effect.Effect<unknown, unknown>
    yield* Fiber.join(incarnation.run(look, 3, "payload"))
    assert.deepStrictEqual(seen.splice(0), ["red", true, false, 3, "payload"])
    yield* Fiber.join(incarnation.runBeside(look, 4, "other"))
    assert.deepStrictEqual(seen, ["red", true, true, 4, "other"])
  })
)

it.effect("a plain tell gets an envelope with an id when somebody asks for it, and keeps it", () =>
  Effect.gen(function* () {
    const incarnation = yield* makeIncarnation
    yield* Fiber.join(incarnation.run(Effect.void, 5, "payload"))
    const envelope = incarnation.turn.envelope()
    assert.deepStrictEqual([envelope.tag, envelope.payload, envelope.id], [5, "payload", 1])
    assert.strictEqual(incarnation.turn.envelope(), envelope)
    const given = new Envelope(6, "given")
    yield* Fiber.join(incarnation.run(Effect.void, given, undefined))
    assert.strictEqual(incarnation.turn.envelope(), given)
    assert.strictEqual(given.id, 2)
  })
)

it.effect("invariant 2: the late end of an old incarnation's handler does not reach the next one", () =>
  Effect.gen(function* () {
    const { events, system } = yield* makeSystem()
    const gate = yield* Deferred.make<void>()
    const owner = new HandOwner()
    owner.restarts = true
    const handled: Array<unknown> = []
    const stubborn = Effect.uninterruptible(Effect.andThen(Deferred.await(gate), Effect.die("late")))
    const { slot } = yield* startSlot(
      system,
      program({ Stubborn: () => stubborn, Put: (n) => void handled.push(n) }),
      undefined,
      owner
    )
    const request = new HandRequest(0, undefined)
    slot.offer(request, undefined)
    yield* settle
    slot.kill()
    yield* settle
    assert.deepStrictEqual([slot.incarnations, slot.status, system.zombies.size], [2, "running", 1])
    slot.offer(1, "before")
    yield* settle
    yield* Deferred.succeed(gate, undefined)
    slot.offer(1, "after")
    yield* settle
    assert.deepStrictEqual([slot.incarnations, slot.status, system.zombies.size], [2, "running", 0])
    assert.deepStrictEqual(handled, ["before", "after"])
    assert.deepStrictEqual([request.outcome, request.settlements], ["Restarting", 1])
    assert.notInclude(
      events.map((event) => event._tag),
      "ActorFailed"
    )
  })
)

it.effect("invariant 2: what runs beside is interrupted with its incarnation", () =>
  Effect.gen(function* () {
    const incarnation = yield* makeIncarnation
    const beside = incarnation.runBeside(Effect.never, 0, undefined)
    yield* settle
    yield* end(incarnation, ExitReason.Shutdown())
    const exit = yield* Fiber.await(beside)
    assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
  })
)

it.effect("invariant 3: the handler is over first, then hooks in order, then finalizers in reverse", () =>
  Effect.gen(function* () {
    const incarnation = yield* makeIncarnation
    const log: Array<string> = []
    const write = (line: string) => Effect.sync(() => log.push(line))
    const gate = yield* Deferred.make<void>()
    for (const n of [1, 2]) {
      yield* Scope.addFinalizer(incarnation.scope, write(`finalizer ${n}`))
      incarnation.onStop((reason) => write(`stop hook ${n} ${reason._tag}`))
      incarnation.onRestart((reason) => write(`restart hook ${n} ${reason._tag}`))
    }
    incarnation.fiber = incarnation.run(Effect.andThen(Deferred.await(gate), write("handler over")), 0, undefined)
    const ending = yield* Effect.forkChild(end(incarnation, ExitReason.Normal), { startImmediately: true })
    yield* settle
    assert.deepStrictEqual(log, [])
    yield* Deferred.succeed(gate, undefined)
    yield* Fiber.join(ending)
    assert.deepStrictEqual(log, [
      "handler over",
      "stop hook 1 Normal",
      "stop hook 2 Normal",
      "finalizer 2",
      "finalizer 1"
    ])
  })
)

it.effect("invariant 3: a restart has hooks of its own", () =>
  Effect.gen(function* () {
    const incarnation = yield* makeIncarnation
    const log: Array<string> = []
    incarnation.onStop(() => Effect.sync(() => log.push("stop")))
    incarnation.onRestart((reason) => Effect.sync(() => log.push(`restart ${reason._tag}`)))
    yield* end(incarnation, ExitReason.Failed(Cause.die("crash")), true)
    assert.deepStrictEqual(log, ["restart Failed"])
  })
)

it.effect("invariant 3: neither a failing hook nor a finalizer that dies keeps other finalizers from running", () =>
  Effect.gen(function* () {
    const incarnation = yield* makeIncarnation
    const log: Array<string> = []
    yield* Scope.addFinalizer(
      incarnation.scope,
      Effect.sync(() => log.push("first"))
    )
    yield* Scope.addFinalizer(incarnation.scope, Effect.die("finalizer"))
    yield* Scope.addFinalizer(
      incarnation.scope,
      Effect.sync(() => log.push("last"))
    )
    incarnation.onStop(() => Effect.fail("hook"))
    const exit = yield* Effect.exit(end(incarnation, ExitReason.Normal))
    assert.deepStrictEqual(log, ["last", "first"])
    assert.isTrue(Exit.isFailure(exit))
  })
)

it.effect("invariant 3: finalizers see how it ended", () =>
  Effect.gen(function* () {
    const exits: Array<Exit.Exit<unknown, unknown>> = []
    const crash = Cause.fail("crash")
    for (const reason of [ExitReason.Normal, ExitReason.Failed(crash), ExitReason.Shutdown()]) {
      const incarnation = yield* makeIncarnation
      yield* Scope.addFinalizerExit(incarnation.scope, (exit) => Effect.sync(() => exits.push(exit)))
      yield* Effect.exit(end(incarnation, reason))
    }
    assert.isTrue(Exit.isSuccess(exits[0]!))
    assert.deepStrictEqual(exits[1], Exit.failCause(crash))
    assert.isTrue(Exit.isFailure(exits[2]!) && Cause.hasInterruptsOnly(exits[2].cause))
  })
)

it.effect("end listeners hear of the end once, before anything is released, unless they have left", () =>
  Effect.gen(function* () {
    const incarnation = yield* makeIncarnation
    const log: Array<string> = []
    yield* Scope.addFinalizer(
      incarnation.scope,
      Effect.sync(() => log.push("released"))
    )
    incarnation.onEnd((reason, restarts) => log.push(`heard ${reason._tag} ${restarts}`))
    incarnation.onEnd(() => log.push("left"))()
    incarnation.announceEnd(ExitReason.Normal, false)
    incarnation.announceEnd(ExitReason.Normal, false)
    yield* end(incarnation, ExitReason.Normal)
    assert.deepStrictEqual(log, ["heard Normal false", "released"])
  })
)

it.effect("one that stops soon gives up asks to actors that are between two incarnations, and only those", () =>
  Effect.gen(function* () {
    const incarnation = yield* makeIncarnation
    const log: Array<string> = []
    const ask = (name: string, waitsForRestart: boolean): Outgoing => ({
      waitsForRestart,
      giveUp: () => void log.push(name)
    })
    const answered = ask("answered", true)
    for (const each of [ask("down", true), ask("up", false), answered]) incarnation.waitsFor(each)
    incarnation.waitsNoMore(answered)
    incarnation.stopsSoon()
    assert.deepStrictEqual([incarnation.stopping, log], [true, ["down"]])
  })
)
