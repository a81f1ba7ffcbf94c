/** Kinds of failure, and what is done about each (seed rows P3 and U4). */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Effect, Fiber, Logger, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Actor, Fault, Interceptor, Supervisor } from "effect-otp"
import { quiet } from "../support/recording.ts"

class Odd extends Data.TaggedError("Odd") {}

class Bank extends Actor.Service<Bank>()("test/fault/Bank", {
  Pay: { payload: { how: Schema.String }, success: Schema.Int, error: Fault.BusinessError },
  Bare: { payload: { how: Schema.String } },
  Many: { payload: { how: Schema.String }, success: Schema.Int, stream: true },
  Count: { success: Schema.Int }
}) {}

const business = new Fault.BusinessError({ code: "insufficient-funds", message: "no money" })
const offline = new Fault.SystemError({ code: "offline", message: "no network", recoverable: true })
const corrupt = new Fault.SystemError({ code: "corrupt", message: "the ledger is broken", recoverable: false })
const late = new Fault.TimedOut({ code: "timeout", message: "the bank sleeps" })

type Fails = Effect.Effect<never, Fault.Fault | Odd>

const fail = (how: string): Fails => {
  switch (how) {
    case "business":
      return Effect.fail(business)
    case "recoverable":
      return Effect.fail(offline)
    case "fatal":
      return Effect.fail(corrupt)
    case "timeout":
      return Effect.fail(late)
    case "odd":
      return Effect.fail(new Odd())
    default:
      throw Object.assign(new Error(how), { code: how })
  }
}

const BankLive = Bank.behavior(
  Effect.sync(() => {
    let count = 0
    return Bank.of({
      Pay: ({ how }) => (count++, fail(how)),
      Bare: ({ how }) => (count++, fail(how)),
      Many: ({ how }) => Stream.concat(Stream.make(1), Stream.fromEffect(fail(how))),
      Count: () => count
    })
  })
)

/** The bank under a supervisor. */
const bank = (spec: Supervisor.ChildSpec<Bank, unknown, never>) =>
  Effect.gen(function* () {
    const intensity = { restarts: 9, within: "1 minute" } as const
    const top = yield* Supervisor.start(Supervisor.make("top", { intensity, children: [spec] }))
    const incarnation = Effect.map(top.children, ([child]) => child!.incarnation)
    return { ref: yield* Effect.provide(Bank, top.services), incarnation }
  })

/** What whoever asked for a message that declares no error is told. */
const told = (error: { readonly reason: unknown }): unknown => {
  const { _tag, cause } = error.reason as { readonly _tag: string; readonly cause?: Cause.Cause<unknown> }
  return [_tag, cause === undefined ? undefined : Cause.squash(cause)]
}

const Treated = BankLive.pipe(Interceptor.apply(Fault.handling()))

describe("what each category does", () => {
  it.effect("P3 a business error is replied, the actor lives", () =>
    Effect.gen(function* () {
      const { incarnation, ref } = yield* bank(Supervisor.child(Treated))
      assert.deepStrictEqual(yield* Effect.flip(ref.ask.Pay({ how: "business" })), business)
      assert.deepStrictEqual(told(yield* Effect.flip(ref.ask.Bare({ how: "business" }))), ["HandlerFailed", business])
      assert.deepStrictEqual([yield* ref.ask.Count(), yield* incarnation], [2, 1])
    })
  )

  it.effect("P3 an infrastructure error is logged, the actor goes on; so for time", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      lines.push(`${logLevel} ${String(Array.isArray(message) ? message[0] : message)}`)
    })
    return Effect.gen(function* () {
      const { incarnation, ref } = yield* bank(Supervisor.child(Treated))
      yield* ref.tell.Bare({ how: "recoverable" })
      assert.deepStrictEqual(told(yield* Effect.flip(ref.ask.Bare({ how: "timeout" }))), ["HandlerFailed", late])
      assert.deepStrictEqual([yield* ref.ask.Count(), yield* incarnation], [2, 1])
      assert.deepStrictEqual(lines, ["Warn SystemError offline: no network", "Warn TimedOut timeout: the bank sleeps"])
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("P3 a fatal error crashes the actor, and its supervisor decides", () =>
    Effect.gen(function* () {
      const { incarnation, ref } = yield* bank(
        Supervisor.child(Treated, {
          onFailure: { SystemError: "restart", BusinessError: "stop", TimedOut: "stop", Odd: "restart" }
        })
      )
      assert.deepStrictEqual(told(yield* Effect.flip(ref.ask.Bare({ how: "fatal" }))), ["HandlerFailed", corrupt])
      assert.deepStrictEqual([yield* ref.ask.Count(), yield* incarnation], [0, 2])
      yield* ref.tell.Bare({ how: "odd" })
      assert.deepStrictEqual([yield* ref.ask.Count(), yield* incarnation], [0, 3])
    }).pipe(quiet)
  )

  it.effect("P3 the same as the decision of a supervisor, for a behavior as it is", () =>
    Effect.gen(function* () {
      const { incarnation, ref } = yield* bank(Supervisor.child(BankLive, { onFailure: Fault.onFailure() }))
      for (const how of ["business", "recoverable", "timeout", "ECONNRESET"]) yield* ref.tell.Bare({ how })
      assert.deepStrictEqual([yield* ref.ask.Count(), yield* incarnation], [4, 1])
      yield* ref.tell.Bare({ how: "fatal" })
      assert.deepStrictEqual([yield* ref.ask.Count(), yield* incarnation], [0, 2])
    }).pipe(quiet)
  )

  it.effect("P3 treatments of one's own, per message", () =>
    Effect.gen(function* () {
      const { incarnation, ref } = yield* bank(
        Supervisor.child(
          BankLive.pipe(
            Interceptor.apply(Fault.handling({ tags: ["Bare"], treatments: { business: "crash", fatal: "resume" } }))
          )
        )
      )
      yield* ref.tell.Bare({ how: "fatal" })
      assert.deepStrictEqual([yield* ref.ask.Count(), yield* incarnation], [1, 1])
      yield* ref.tell.Bare({ how: "business" })
      assert.deepStrictEqual([yield* ref.ask.Count(), yield* incarnation], [0, 2])
    }).pipe(quiet)
  )

  it.effect("a stream that fails is treated the same, and what it had given counts", () =>
    Effect.gen(function* () {
      const { incarnation, ref } = yield* bank(Supervisor.child(Treated))
      const got: Array<number> = []
      const error = yield* Effect.flip(
        Stream.runForEach(ref.stream.Many({ how: "business" }), (n) => Effect.sync(() => got.push(n)))
      )
      assert.deepStrictEqual(told(error), ["HandlerFailed", business])
      assert.deepStrictEqual([got, yield* incarnation], [[1], 1])
    })
  )
})

describe("what each category does, at its edges", () => {
  it.effect("P3 without any of this a declared error is the reply, and anything else ends the actor", () =>
    Effect.gen(function* () {
      const { incarnation, ref } = yield* bank(Supervisor.child(BankLive))
      assert.deepStrictEqual(yield* Effect.flip(ref.ask.Pay({ how: "business" })), business)
      assert.strictEqual(yield* incarnation, 1)
      yield* Effect.flip(ref.ask.Bare({ how: "business" }))
      assert.deepStrictEqual([yield* ref.ask.Count(), yield* incarnation], [0, 2])
    }).pipe(quiet)
  )

  it.effect("P3 a business error that nobody asked for is logged, since nobody can be told", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => {
      lines.push(String(Array.isArray(message) ? message[0] : message))
    })
    return Effect.gen(function* () {
      const { ref } = yield* bank(Supervisor.child(Treated))
      yield* ref.tell.Bare({ how: "business" })
      assert.strictEqual(yield* ref.ask.Count(), 1)
      assert.deepStrictEqual(lines, ["BusinessError insufficient-funds: no money"])
      yield* Effect.flip(ref.ask.Bare({ how: "business" }))
      assert.strictEqual(lines.length, 1)
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("P3 the decision of a supervisor logs what it resumes after", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel }) => void lines.push(logLevel))
    return Effect.gen(function* () {
      const { ref } = yield* bank(Supervisor.child(BankLive, { onFailure: Fault.onFailure() }))
      yield* ref.tell.Bare({ how: "recoverable" })
      assert.strictEqual(yield* ref.ask.Count(), 1)
      assert.isAbove(lines.length, 0)
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("a stream that is classified as an error its message declares fails with that", () =>
    Effect.gen(function* () {
      class Lines extends Actor.Service<Lines>()("test/fault/Lines", {
        Parse: { payload: { json: Schema.String }, success: Schema.Unknown, stream: true, error: Fault.BusinessError }
      }) {}
      const LinesLive = Lines.behavior(
        Effect.succeed(Lines.of({ Parse: ({ json }) => Stream.map(Stream.make(json), (text) => JSON.parse(text)) }))
      )
      const ref = yield* Actor.spawn(LinesLive.pipe(Interceptor.apply(Fault.handling())))
      const error = yield* Effect.flip(Stream.runDrain(ref.stream.Parse({ json: "{" })))
      assert.deepInclude(error, { _tag: "BusinessError", code: "syntax" })
    }).pipe(
      Effect.provideService(Fault.Classify, (error) =>
        error instanceof SyntaxError
          ? new Fault.BusinessError({ code: "syntax", message: error.message })
          : Fault.classify(error)
      )
    )
  )

  it.effect("a declared error of any class, what an interceptor refuses and what is dropped are left as they are", () =>
    Effect.gen(function* () {
      class Full extends Schema.TaggedError<Full>()("Full", {}) {}
      class Box extends Actor.Service<Box>()("test/fault/Box", {
        Put: { error: Full },
        Refuse: {},
        Drop: {},
        Count: { success: Schema.Int }
      }) {}
      let count = 0
      const BoxLive = Box.behavior(
        Effect.succeed(
          Box.of({ Put: () => Effect.fail(new Full()), Refuse: () => {}, Drop: () => {}, Count: () => ++count })
        )
      )
      const Refusing = Interceptor.make({
        handle: (next, { tag }) =>
          tag === "Refuse" ? Interceptor.refuse(corrupt) : tag === "Drop" ? Interceptor.drop : next
      })
      const handled = BoxLive.pipe(Interceptor.apply(Refusing), Interceptor.apply(Fault.handling()))
      const ref = yield* Actor.spawn(handled)
      assert.deepStrictEqual(yield* Effect.flip(ref.ask.Put()), new Full())
      assert.deepStrictEqual(told(yield* Effect.flip(ref.ask.Refuse())), ["HandlerFailed", corrupt])
      const [, dropped] = told(yield* Effect.flip(ref.ask.Drop())) as [string, Interceptor.Dropped]
      assert.strictEqual(dropped._tag, "Dropped")
      assert.strictEqual(yield* ref.ask.Count(), 1)
    }).pipe(Effect.provideService(Fault.Classify, () => business))
  )

  it.effect("a defect beside a typed error is what counts", () =>
    Effect.gen(function* () {
      const cause = Cause.combine(Cause.fail(business), Cause.die(new TypeError("a bug")))
      assert.strictEqual(Fault.onFailure()(cause), "restart")
      assert.strictEqual(Fault.onFailure()(Cause.fail(business)), "resume")
    })
  )
})

describe("classification, at its edges", () => {
  it("U4 what was wrapped on its way is what it was", () => {
    const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })
    const fetchFailed = new TypeError("fetch failed", { cause: refused })
    const wrapped = new Cause.UnknownError(fetchFailed)
    for (const error of [refused, fetchFailed, wrapped]) {
      const fault = Fault.classify(error)
      assert.deepInclude(fault, { _tag: "SystemError", code: "ECONNREFUSED", recoverable: true })
    }
    assert.deepStrictEqual(
      [fetchFailed, wrapped, new Error("")].map((error) => Fault.classify(error).message),
      ["fetch failed", "connect ECONNREFUSED", "defect"]
    )
    assert.strictEqual(Fault.classify(new Error("odd", { cause: late })), late)
    const circular = new Error("round")
    circular.cause = circular
    assert.strictEqual(Fault.category(Fault.classify(circular)), "fatal")
  })

  it.effect("U4 what another actor said is wrong with the request is what it said; its crash may be better soon", () =>
    Effect.gen(function* () {
      const { ref } = yield* bank(Supervisor.child(Treated))
      assert.strictEqual(Fault.classify(yield* Effect.flip(ref.ask.Bare({ how: "business" }))), business)
      const crash = Fault.classify(yield* Effect.flip(ref.ask.Bare({ how: "fatal" })))
      assert.deepInclude(crash, { _tag: "SystemError", code: "HandlerFailed", recoverable: true })
    }).pipe(quiet)
  )

  it("a limit that makes no sense is refused where it is given", () => {
    assert.throws(() => Fault.timeout("the transfer", "soon" as never), /the limit of Fault.timeout must be a duration/)
  })
})

describe("classification", () => {
  it.effect("U4 ordinary exceptions are classified, and replied where the message declares that", () =>
    Effect.gen(function* () {
      const { incarnation, ref } = yield* bank(Supervisor.child(Treated))
      const error = yield* Effect.flip(ref.ask.Bare({ how: "ECONNREFUSED" }))
      const [, fault] = told(error) as [string, Fault.SystemError]
      assert.deepInclude(fault, { _tag: "SystemError", code: "ECONNREFUSED", recoverable: true })
      assert.strictEqual(yield* incarnation, 1)
      yield* ref.tell.Bare({ how: "unheard of" })
      assert.strictEqual(yield* ref.ask.Count(), 0)
    }).pipe(quiet)
  )

  it.effect("U4 the function is replaceable", () =>
    Effect.gen(function* () {
      const { ref } = yield* bank(Supervisor.child(Treated))
      const error = yield* Effect.flip(ref.ask.Pay({ how: "unheard of" }))
      assert.deepStrictEqual(error, new Fault.BusinessError({ code: "mine", message: "unheard of" }))
    }).pipe(
      Effect.provideService(
        Fault.Classify,
        (error) => new Fault.BusinessError({ code: "mine", message: (error as Error).message })
      )
    )
  )

  it.effect("U4 business, system recoverable or not, and timeout", () =>
    Effect.gen(function* () {
      const schemaError = yield* Effect.flip(Schema.decodeUnknownEffect(Schema.Int)("one"))
      const waiting = yield* Effect.forkChild(Effect.flip(Effect.timeout(Effect.never, "1 second")), {
        startImmediately: true
      })
      yield* TestClock.adjust("1 second")
      const timeout = yield* Fiber.join(waiting)
      const kinds = [business, offline, corrupt, late, schemaError, timeout, new TypeError("x"), "a string", undefined]
      assert.deepStrictEqual(
        kinds.map((error) => Fault.category(Fault.classify(error))),
        ["business", "recoverable", "fatal", "timeout", "business", "timeout", "fatal", "fatal", "fatal"]
      )
    })
  )

  it.effect("U4 asks without a reply: too late is timeout, nobody there may be better soon", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn(BankLive)
      yield* Actor.stop(ref)
      const gone = Fault.classify(yield* Effect.flip(ref.ask.Count()))
      assert.deepInclude(gone, { _tag: "SystemError", code: "NotRunning", recoverable: true })
      const slow = yield* Effect.forkChild(Effect.flip(Effect.never.pipe(Fault.timeout("the transfer", "2 seconds"))), {
        startImmediately: true
      })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(slow)).message, "the transfer took longer than 2s")
    })
  )
})
