/** SIG: significant children and automatic shutdown. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Actor, ExitReason, Supervisor } from "effect-otp"
import { Broken, quiet, Recording, states } from "../support/recording.ts"

type Mode = "never" | "any-significant" | "all-significant"

const significant = { significant: true, restart: "temporary" } as const
const transient = { significant: true, restart: "transient" } as const

/** Waits for the end of what has been decided: the calls of a supervisor are done in turn. */
const settle = <O>(top: Supervisor.SupervisorRef<O>) => Effect.ignore(top.getChild("?"))

/** How a supervisor ended, or that it runs. */
const fate = <O>(top: Supervisor.SupervisorRef<O>) =>
  Effect.gen(function* () {
    for (let i = 0; i < 20; i++) yield* Effect.yieldNow
    return top.status === "stopped" ? ExitReason.format(yield* top.ended) : top.status
  })

/** Ways for a child to end by itself. */
const ends = {
  end: (r: Recording, id: string) => r.ref(id).tell.End(),
  crash: (r: Recording, id: string) => r.ref(id).tell.Fail({ code: 1 }),
  kill: (r: Recording, id: string) => Effect.asVoid(Actor.kill(r.ref(id)))
}

const ended = (r: Recording, id: string, how: keyof typeof ends) => Effect.andThen(ends[how](r, id), Effect.yieldNow)

for (const autoShutdown of ["never", "any-significant", "all-significant"] as ReadonlyArray<Mode>) {
  it.effect(`SIG-01 ${autoShutdown}: a child that is not significant never ends its supervisor`, () =>
    Effect.gen(function* () {
      const r = new Recording()
      const top = yield* r.start([r.child("other")], { autoShutdown })
      const again = () => top.startChild(r.child("a", { restart: "temporary" }))
      yield* again()
      yield* top.terminateChild("a")
      for (const how of ["kill", "crash", "end"] as const) {
        yield* again()
        yield* ended(r, "a", how)
        assert.strictEqual(yield* fate(top), "running", how)
      }
      assert.deepStrictEqual(yield* states(top), { other: "running" })
    }).pipe(quiet)
  )
}

const three = (r: Recording, options = significant as Supervisor.Options<Broken>) => [
  r.child("c1", options),
  r.child("c2", options),
  r.child("c3")
]

it.effect("SIG-03 any: a significant temporary child ends normally, and the supervisor with it", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start(three(r), { autoShutdown: "any-significant" })
    yield* r.ref("c1").tell.End()
    assert.deepStrictEqual(yield* top.ended, ExitReason.Shutdown())
    assert.deepStrictEqual(r.log.slice(3), ["c1 stopped", "c3 stopped", "c2 stopped"])
    assert.include(r.told("top"), "AutoShutdown")
  })
)

for (const how of ["crash", "kill"] as const) {
  it.effect(`SIG-04 any: a significant temporary child ends by ${how}`, () =>
    Effect.gen(function* () {
      const r = new Recording()
      const top = yield* r.start(three(r), { autoShutdown: "any-significant" })
      yield* ends[how](r, "c1")
      assert.deepStrictEqual(yield* top.ended, ExitReason.Shutdown())
    }).pipe(quiet)
  )

  it.effect(`SIG-06 any: a significant transient child ends by ${how}: it is restarted`, () =>
    Effect.gen(function* () {
      const r = new Recording()
      const top = yield* r.start(three(r, transient), { autoShutdown: "any-significant" })
      yield* ended(r, "c1", how)
      assert.strictEqual(yield* r.incarnation("c1"), 2)
      assert.strictEqual(yield* fate(top), "running")
    }).pipe(quiet)
  )
}

it.effect("SIG-07 terminate_child never ends the supervisor", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([...three(r), r.child("t", transient)], { autoShutdown: "any-significant" })
    yield* top.terminateChild("c1")
    yield* top.terminateChild("t")
    assert.strictEqual(yield* fate(top), "running")
  })
)

it.effect("SIG-09 all: one stopped by hand does not hold it back", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start(three(r, transient), { autoShutdown: "all-significant" })
    yield* top.terminateChild("c1")
    yield* r.ref("c2").tell.End()
    assert.deepStrictEqual(yield* top.ended, ExitReason.Shutdown())
  })
)

it.effect("SIG-10 all: stopping the last one by hand does not end it", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start(three(r, transient), { autoShutdown: "all-significant" })
    yield* ended(r, "c1", "end")
    assert.strictEqual(yield* fate(top), "running")
    yield* top.terminateChild("c2")
    assert.strictEqual(yield* fate(top), "running")
  })
)

for (const strategy of ["one-for-one", "one-for-all", "rest-for-one"] as const) {
  for (const autoShutdown of ["any-significant", "all-significant"] as const) {
    it.effect(`SIG-12 ${strategy}, ${autoShutdown}: stops caused by a sibling do not count`, () =>
      Effect.gen(function* () {
        const r = new Recording()
        const children = [r.child("c1", transient), r.child("c2"), r.child("c3", significant)]
        const top = yield* r.start(children, { strategy, autoShutdown })
        yield* Actor.kill(r.ref("c2"))
        assert.strictEqual(yield* r.incarnation("c2"), 2)
        assert.strictEqual(yield* fate(top), "running")
      }).pipe(quiet)
    )
  }
}

it.effect("SIG-13 automatic shutdown travels up through significant supervisors", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const inner = Supervisor.make("inner", {
      autoShutdown: "any-significant",
      restart: "transient",
      significant: true,
      children: [r.child("w", significant), r.child("v")]
    })
    const top = yield* r.start([r.child("first"), inner], { autoShutdown: "any-significant" })
    yield* r.ref("w").tell.End()
    assert.deepStrictEqual(yield* top.ended, ExitReason.Shutdown())
    assert.deepStrictEqual(r.log.slice(3), ["w stopped", "v stopped", "first stopped"])
  })
)

it.effect("SIG-13 an inner supervisor that ends itself but is permanent is started again, and pays", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const inner = Supervisor.make("inner", { autoShutdown: "any-significant", children: [r.child("w", significant)] })
    const top = yield* r.start([inner])
    yield* ended(r, "w", "end")
    assert.strictEqual(yield* fate(top), "running")
    assert.deepStrictEqual([(yield* top.budget).used, r.log], [1, ["w started", "w stopped", "w started"]])
  })
)

const illegal: ReadonlyArray<readonly [string, Mode, object, string]> = [
  [
    "permanent and significant",
    "any-significant",
    { significant: true, restart: "permanent" },
    'top/a: significant cannot go with restart "permanent", which never lets it end by itself, got true'
  ],
  [
    "significant under never",
    "never",
    significant,
    'top/a: significant cannot go with autoShutdown "never": set it on the supervisor, got true'
  ],
  [
    "significance that is no boolean",
    "any-significant",
    { significant: 1 },
    "top/a: significant must be true or false, got 1"
  ]
]

for (const [what, autoShutdown, options, message] of illegal) {
  it.effect(`SIG-15 ${what} is refused: by validate, by start, by startChild`, () =>
    Effect.gen(function* () {
      const r = new Recording()
      const bad = r.child("a", options as never)
      const tree = Supervisor.make("top", { autoShutdown, children: [bad] })
      assert.strictEqual((yield* Effect.flip(Supervisor.validate(tree))).message, message)
      const failed = yield* Effect.flip(Effect.scoped(Supervisor.start(tree)))
      assert.include(failed.message, message)
      const top = yield* r.start([r.child("b")], { autoShutdown })
      const refused = (yield* Effect.flip(top.startChild(bad))) as Supervisor.InvalidSpec
      assert.deepStrictEqual([refused._tag, refused.message], ["InvalidSpec", message])
      assert.deepStrictEqual([yield* states(top), r.log], [{ b: "running" }, ["b started"]])
    })
  )
}

it.effect("SIG-15 a mode that does not exist, and a significant root, are refused", () =>
  Effect.gen(function* () {
    const unknown = Supervisor.make("top", { autoShutdown: "some" as never, children: [] })
    const says = "top: autoShutdown must be one of never, any-significant, all-significant"
    assert.include((yield* Effect.flip(Supervisor.validate(unknown))).message, says)
    const r = new Recording()
    const root = Supervisor.make("top", { significant: true, restart: "transient", children: [r.child("a")] })
    assert.include((yield* Effect.flip(Supervisor.validate(root))).message, "top: significant cannot go with")
  })
)

it.effect("SIG-16 order, reason and budget of an automatic shutdown", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const top = yield* r.start([r.child("a"), r.child("b", significant), r.child("c")], {
      autoShutdown: "any-significant"
    })
    const watched = yield* Effect.forkChild(Effect.all([r.ref("a").ended, r.ref("b").ended, r.ref("c").ended]))
    yield* Effect.yieldNow
    yield* r.ref("b").tell.End()
    assert.deepStrictEqual(yield* top.ended, ExitReason.Shutdown())
    assert.deepStrictEqual(r.log.slice(3), ["b stopped", "c stopped", "a stopped"])
    assert.deepStrictEqual(yield* Fiber.join(watched), [
      ExitReason.Shutdown(),
      ExitReason.Normal,
      ExitReason.Shutdown()
    ])
    assert.strictEqual((yield* top.budget).used, 0)
    yield* settle(top)
  })
)

it.effect("a significant child whose failure means stop ends the supervisor: it ended by itself", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const child = r.child("a", { ...transient, onFailure: { Broken: "stop" } })
    const top = yield* r.start([child], { autoShutdown: "any-significant" })
    yield* r.ref("a").tell.Fail({ code: 1 })
    assert.deepStrictEqual(yield* top.ended, ExitReason.Shutdown())
  }).pipe(quiet)
)

it.effect("effects and layers can be significant too: a job that is done ends its tree", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const job = Supervisor.effect(
      "job",
      Effect.sync(() => r.write("job done")),
      significant
    )
    const top = yield* r.start([r.child("a"), job], { autoShutdown: "any-significant" })
    assert.deepStrictEqual(yield* top.ended, ExitReason.Shutdown())
    assert.deepStrictEqual(r.log, ["a started", "job done", "a stopped"])
  })
)
