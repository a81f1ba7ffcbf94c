/** REG: registries, names, groups. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Queue, Stream } from "effect"
import { Actor, type ActorRef, Backoff, Group, Registry, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { Child, quiet, Recording } from "../support/recording.ts"

class Names extends Registry.Service<Names, number | undefined>()("test/Names", Child) {}
class Things extends Registry.Service<Things, undefined, unknown>()("test/Things", Child) {}
class Groups extends Group.Service<Groups>()("test/Groups", Child) {}

const withNames = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  program.pipe(Effect.provide(Names.layer), Effect.provide(Things.layer), Effect.provide(Groups.layer))

const spawn = (id: string) => Actor.spawn(new Recording().behavior(id))

/** Collects what a stream tells while `program` runs. */
const collecting = <A, R, R2>(
  stream: Stream.Stream<A, never, R>,
  program: (seen: Queue.Dequeue<A>) => Effect.Effect<void, unknown, R2>
) =>
  Effect.gen(function* () {
    const seen = yield* Queue.unbounded<A>()
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(stream, (event) => Queue.offer(seen, event)),
      {
        startImmediately: true
      }
    )
    yield* program(seen)
    yield* Fiber.interrupt(fiber)
  })

it.effect("REG-02 the end of the holder frees the key", () =>
  Effect.gen(function* () {
    const a = yield* spawn("a")
    yield* Names.registerAs(a, "k1", 1)
    yield* Names.registerAs(a, "k2", 2)
    yield* Actor.kill(a)
    assert.deepStrictEqual(yield* Names.whereIs("k1"), Option.none())
    assert.deepStrictEqual(yield* Names.select(), [])
  }).pipe(withNames)
)

it.effect("REG-03 a dead holder never blocks, and R53 the name is free when the end is told", () =>
  Effect.gen(function* () {
    const [a, b] = [yield* spawn("a"), yield* spawn("b")]
    const taken = yield* Deferred.make<void, Registry.AlreadyRegistered | Registry.HolderEnded>()
    // Told of a's end before the registry is: this waiter came first.
    const waiter = yield* Effect.forkChild(
      Effect.andThen(
        a.ended,
        Effect.flatMap(Effect.exit(Names.registerAs(b, "k", 2)), (exit) => Deferred.done(taken, exit))
      ),
      { startImmediately: true }
    )
    yield* Names.registerAs(a, "k", 1)
    yield* Actor.stop(a)
    yield* Deferred.await(taken)
    yield* Fiber.join(waiter)
    assert.deepStrictEqual(
      (yield* Names.select()).map((entry) => entry.ref.path),
      [b.path]
    )
  }).pipe(withNames)
)

it.effect("REG-05 values: the owner updates, others may not", () =>
  Effect.gen(function* () {
    const results = yield* Queue.unbounded<unknown>()
    const actor = (name: string, register: boolean) =>
      Child.behavior(
        Effect.gen(function* () {
          if (register) yield* Names.register(name, 1)
          yield* Queue.offer(results, yield* Effect.exit(Names.update(name, (n) => (n ?? 0) + 1)))
          return yield* Effect.never
        })
      )
    yield* Effect.forkChild(Actor.spawn(actor("k", true)))
    assert.deepStrictEqual(yield* Queue.take(results), Exit.succeed(1))
    assert.deepStrictEqual(
      (yield* Names.select()).map((entry) => entry.value),
      [2]
    )
    yield* Effect.forkChild(Actor.spawn(actor("k", false)))
    const refused = (yield* Queue.take(results)) as Exit.Exit<number, Registry.AlreadyRegistered>
    assert.strictEqual(Exit.isFailure(refused), true)
    yield* Effect.forkChild(Actor.spawn(actor("unknown", false)))
    assert.strictEqual(Exit.isFailure((yield* Queue.take(results)) as Exit.Exit<unknown>), true)
    assert.deepStrictEqual(
      (yield* Names.select()).map((entry) => entry.value),
      [2]
    )
  }).pipe(withNames)
)

it.effect("REG-06 keys are compared structurally, and by type", () =>
  Effect.gen(function* () {
    const [a, b] = [yield* spawn("a"), yield* spawn("b")]
    yield* Things.registerAs(a, 1)
    yield* Things.registerAs(b, "1")
    yield* Things.registerAs(a, { a: 1 })
    const collision = yield* Effect.flip(Things.registerAs(b, { a: 1 }))
    assert.strictEqual(collision._tag, "AlreadyRegistered")
    assert.strictEqual((yield* Things.lookup("1")).path, b.path)
  }).pipe(withNames)
)

it.effect("REG-08 dispatch to the entries of a key", () =>
  Effect.gen(function* () {
    const [a, b, c] = [yield* spawn("a"), yield* spawn("b"), yield* spawn("c")]
    yield* Groups.joinAs(a, "hello")
    yield* Groups.joinAs(b, "hello")
    yield* Groups.joinAs(c, "world")
    const calls: Array<ReadonlyArray<string>> = []
    const note = (members: ReadonlyArray<ActorRef.ActorRef<Child>>) =>
      Effect.sync(() => calls.push(members.map((m) => m.path)))
    yield* Groups.dispatch("hello", note)
    yield* Groups.dispatch("nobody", note)
    assert.deepStrictEqual(calls, [[a.path, b.path]])
  }).pipe(withNames)
)

it.effect("REG-09 listeners see register, unregister and the crash of a holder in order", () =>
  Effect.gen(function* () {
    const [a, b] = [yield* spawn("a"), yield* spawn("b")]
    yield* collecting(Names.changes, (seen) =>
      Effect.gen(function* () {
        const take = Effect.map(Queue.take(seen), (change) =>
          change._tag === "Snapshot" ? [change._tag] : [change._tag, change.name, change.ref.path, change.value]
        )
        assert.deepStrictEqual(yield* take, ["Snapshot"])
        yield* Names.registerAs(a, "x", 1)
        yield* Names.registerAs(b, "y", 2)
        assert.isTrue(yield* Names.unregister("x"))
        assert.isFalse(yield* Names.unregister("x"))
        yield* b.tell.Throw()
        assert.deepStrictEqual(yield* take, ["Registered", "x", a.path, 1])
        assert.deepStrictEqual(yield* take, ["Registered", "y", b.path, 2])
        assert.deepStrictEqual(yield* take, ["Unregistered", "x", a.path, 1])
        assert.deepStrictEqual(yield* take, ["Unregistered", "y", b.path, 2])
      })
    )
  }).pipe(withNames, quiet)
)

it.effect("REG-11 a lock per key, released on failure and interruption", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const hold = (who: string, key: string, end: Effect.Effect<void, string>) =>
      Names.withLock(key)(
        Effect.andThen(
          Effect.sync(() => log.push(who)),
          end
        )
      )
    const gate = yield* Deferred.make<void, string>()
    const first = yield* Effect.forkChild(Effect.exit(hold("f1", "k", Deferred.await(gate))), {
      startImmediately: true
    })
    const waiting = yield* Effect.forkChild(hold("killed", "k", Effect.void), { startImmediately: true })
    const second = yield* Effect.forkChild(hold("f2", "k", Effect.void), { startImmediately: true })
    yield* hold("f3", "other", Effect.void)
    yield* Fiber.interrupt(waiting)
    assert.deepStrictEqual(log, ["f1", "f3"])
    yield* Deferred.fail(gate, "failed inside")
    yield* Fiber.join(first)
    yield* Fiber.join(second)
    assert.deepStrictEqual(log, ["f1", "f3", "f2"])
  }).pipe(withNames)
)

it.effect("REG-12 an unknown name, and a registry that has gone, answer at once", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Names.lookup("nobody"))
    assert.strictEqual(error.message, "test/Names knows nobody called nobody")
  }).pipe(withNames)
)

it.effect("REG-14 match and select", () =>
  Effect.gen(function* () {
    const [a, b] = [yield* spawn("a"), yield* spawn("b")]
    for (const [ref, name, value] of [
      [a, "a1", 1],
      [a, "a2", 2],
      [b, "b2", 2]
    ] as const) {
      yield* Names.registerAs(ref, name, value)
    }
    assert.deepStrictEqual(
      (yield* Names.select(({ value }) => value === 2)).map(({ name }) => name),
      ["a2", "b2"]
    )
    const removed = yield* Deferred.make<number>()
    yield* Effect.forkChild(
      Actor.spawn(
        Child.behavior(
          Effect.gen(function* () {
            yield* Names.register("own", 2)
            yield* Deferred.succeed(removed, yield* Names.unregisterWhere(({ value }) => value === 2))
            return yield* Effect.never
          })
        )
      )
    )
    assert.strictEqual(yield* Deferred.await(removed), 1)
    assert.deepStrictEqual(
      (yield* Names.select()).map(({ name }) => name),
      ["a1", "a2", "b2"]
    )
  }).pipe(withNames)
)

it.effect("REG-15 a name follows the restart, and never leads to the dead one", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const named = r.child("n", { backoff: Backoff.exponential({ min: "1 second", max: "1 second" }) })
    const tree = Supervisor.make("top", { children: [Names.child, named] })
    const program = Effect.gen(function* () {
      const ref = r.ref("n")
      yield* Names.registerAs(ref, "n", 0)
      yield* ref.tell.Throw()
      while (ref.status !== "restarting") yield* Effect.yieldNow
      const found = yield* Names.lookup("n")
      const answer = yield* Effect.forkChild(found.ask.Ping())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(answer), 2)
    })
    yield* Effect.provide(program, Supervisor.layer(tree))
  }).pipe(quiet)
)

it.effect("a registry that is restarted with its group is the same service, and empty", () =>
  Effect.gen(function* () {
    const r = new Recording()
    const tree = Supervisor.make("top", { strategy: "one-for-all", children: [Names.child, r.child("a")] })
    const program = Effect.gen(function* () {
      const names = yield* Names
      yield* names.registerAs(r.ref("a"), "a", 1)
      yield* r.ref("a").tell.Throw()
      assert.strictEqual(yield* r.incarnation("a"), 2)
      assert.deepStrictEqual(yield* names.select(), [])
      yield* names.registerAs(r.ref("a"), "a", 2)
      assert.strictEqual(names, yield* Names)
      assert.strictEqual((yield* Names.lookup("a")).path, r.ref("a").path)
    })
    yield* Effect.provide(program, Supervisor.layer(tree))
  }).pipe(quiet)
)

it.effect("REG-17 the end of a member leaves all groups; empty groups are not listed", () =>
  Effect.gen(function* () {
    const [a, b] = [yield* spawn("a"), yield* spawn("b")]
    for (const key of ["g1", "g2"]) yield* Groups.joinAs(a, key)
    yield* Groups.joinAs(b, "g2")
    assert.deepStrictEqual(yield* Groups.keysOf(a), ["g1", "g2"])
    yield* Actor.kill(a)
    assert.deepStrictEqual(yield* Groups.keys, ["g2"])
    assert.deepStrictEqual(
      (yield* Groups.members("g2")).map((ref) => ref.path),
      [b.path]
    )
  }).pipe(withNames)
)

it.effect("joins are counted", () =>
  Effect.gen(function* () {
    const a = yield* spawn("a")
    yield* Groups.joinAs(a, "g")
    yield* Groups.joinAs(a, "g")
    assert.isTrue(yield* Groups.leaveAs(a, "g"))
    assert.strictEqual((yield* Groups.members("g")).length, 1)
    assert.isTrue(yield* Groups.leaveAs(a, "g"))
    assert.isFalse(yield* Groups.leaveAs(a, "g"))
    assert.deepStrictEqual(yield* Groups.keys, [])
  }).pipe(withNames)
)

it.effect("REG-18 a subscription gives the members first, then the changes, then nothing", () =>
  Effect.gen(function* () {
    const [a, b] = [yield* spawn("a"), yield* spawn("b")]
    yield* Groups.joinAs(a, "g")
    const after: Array<string> = []
    yield* collecting(Groups.changes("g"), (seen) =>
      Effect.gen(function* () {
        const first = yield* Queue.take(seen)
        assert.deepStrictEqual(
          first._tag === "Snapshot" && first.groups.map(([key, members]) => [key, members.map((m) => m.path)]),
          [["g", [a.path]]]
        )
        yield* Groups.joinAs(b, "g")
        yield* Groups.joinAs(b, "elsewhere")
        yield* Groups.leaveAs(b, "g")
        for (let i = 0; i < 2; i++) after.push((yield* Queue.take(seen))._tag)
        assert.strictEqual(yield* Queue.size(seen), 0)
      })
    )
    yield* Groups.joinAs(b, "g")
    assert.deepStrictEqual(after, ["Joined", "Left"])
  }).pipe(withNames)
)

it.effect("REG-20 several subscriptions get each event once", () =>
  Effect.gen(function* () {
    const a = yield* spawn("a")
    yield* collecting(Groups.changes("g1"), (one) =>
      collecting(Groups.changes(), (all) =>
        Effect.gen(function* () {
          yield* Effect.andThen(Queue.take(one), Queue.take(all))
          yield* Groups.joinAs(a, "g1")
          yield* Groups.joinAs(a, "g2")
          yield* Actor.kill(a)
          const tags = (queue: typeof one, count: number) =>
            Effect.all(Array.from({ length: count }, () => Effect.map(Queue.take(queue), (change) => change._tag)))
          assert.deepStrictEqual(yield* tags(one, 2), ["Joined", "Left"])
          assert.deepStrictEqual(yield* tags(all, 4), ["Joined", "Joined", "Left", "Left"])
          assert.deepStrictEqual([yield* Queue.size(one), yield* Queue.size(all)], [0, 0])
        })
      )
    )
  }).pipe(withNames)
)

it.effect("REG-21 an ended actor cannot join or be named", () =>
  Effect.gen(function* () {
    const a = yield* spawn("a")
    yield* Actor.stop(a)
    assert.strictEqual((yield* Effect.flip(Groups.joinAs(a, "g")))._tag, "MemberEnded")
    assert.strictEqual((yield* Effect.flip(Names.registerAs(a, "n", 1)))._tag, "HolderEnded")
    assert.deepStrictEqual([yield* Groups.keys, yield* Names.select()], [[], []])
  }).pipe(withNames)
)

it.effect("REG-23 leaving is per key, and can be undone", () =>
  Effect.gen(function* () {
    const s = yield* spawn("s")
    for (const key of ["K1", "K2"]) yield* Groups.joinAs(s, key)
    yield* Groups.leaveAs(s, "K1")
    assert.deepStrictEqual(yield* Groups.keysOf(s), ["K2"])
    yield* Groups.joinAs(s, "K1")
    assert.deepStrictEqual([...(yield* Groups.keysOf(s))].sort(), ["K1", "K2"])
  }).pipe(withNames)
)

it.effect("REG-24 registering a member that is stopping is refused or cleaned up, never left", () =>
  Effect.gen(function* () {
    for (let yields = 0; yields < 20; yields++) {
      const r = new Recording()
      const a = yield* Actor.spawn(r.behavior("a", Effect.void, Effect.yieldNow))
      const stop = yield* Effect.forkChild(Actor.stop(a), { startImmediately: true })
      for (let i = 0; i < yields % 5; i++) yield* Effect.yieldNow
      yield* Effect.exit(Groups.joinAs(a, "g"))
      yield* Effect.exit(Names.registerAs(a, "n", 1))
      yield* Fiber.join(stop)
      assert.deepStrictEqual([yield* Groups.keys, yield* Names.select()], [[], []])
    }
  }).pipe(withNames)
)

it.effect("the set of names, now and after each change", () =>
  Effect.gen(function* () {
    const a = yield* spawn("a")
    yield* collecting(Names.names, (seen) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* Queue.take(seen), new Set())
        yield* Names.registerAs(a, "x", 1)
        assert.deepStrictEqual(yield* Queue.take(seen), new Set(["x"]))
      })
    )
  }).pipe(withNames)
)
