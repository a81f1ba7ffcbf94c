/** Operations that members do together: what they give, who fails with whom, and how a new generation comes about. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Option, Schema, Scope } from "effect"
import { Actor, Collective, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import { settle } from "../support/engine.ts"
import { quiet } from "../support/recording.ts"

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** `size` members of a group, each with a Scope of its own. */
const form = (size: number, options: Omit<Collective.Options, "size"> = {}) =>
  Effect.gen(function* () {
    const group = yield* Collective.make("test", { size, ...options })
    const members = yield* Effect.forEach(Array.from({ length: size }), () => joinAlone(group))
    return { group, members, ranks: members.map(({ member }) => member) }
  })

const joinAlone = (group: Collective.Collective, options?: Collective.JoinOptions) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const member = yield* Scope.provide(group.join(options), scope)
    return { member, leave: (exit: Exit.Exit<unknown, unknown> = Exit.void) => Scope.close(scope, exit) }
  })

/** All of them at once, the last rank first. */
const together = <A, E, R>(
  members: ReadonlyArray<Collective.Member>,
  f: (member: Collective.Member) => Effect.Effect<A, E, R>
) =>
  Effect.map(
    Effect.forEach(members.toReversed(), (member) => Effect.exit(f(member)), { concurrency: "unbounded" }),
    (exits) => exits.toReversed()
  )

const values = <A, E>(exits: ReadonlyArray<Exit.Exit<A, E>>) =>
  exits.map((exit) => (Exit.isSuccess(exit) ? exit.value : exit))

const errorOf = (exit: Exit.Exit<unknown, Collective.CollectiveError>) => {
  assert(Exit.isFailure(exit))
  const error = Cause.squash(exit.cause)
  assert(error instanceof Collective.CollectiveError)
  return error
}

const reasons = (exits: ReadonlyArray<Exit.Exit<unknown, Collective.CollectiveError>>) =>
  exits.map((exit) => errorOf(exit).reason)

describe("operations", () => {
  it.effect("R7 a barrier lets nobody go before all have come", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(3)
      const passed: Array<number> = []
      const wait = (member: Collective.Member) =>
        fork(
          Effect.andThen(
            member.barrier,
            Effect.sync(() => passed.push(member.rank))
          )
        )
      yield* wait(ranks[2]!)
      yield* wait(ranks[0]!)
      yield* settle
      assert.deepStrictEqual(passed, [])
      yield* wait(ranks[1]!)
      yield* settle
      assert.deepStrictEqual(passed.sort(), [0, 1, 2])
    })
  )

  it.effect("R7 all-reduce, reduce, gather, all-gather, broadcast, scatter", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(3)
      const text = (member: Collective.Member) => `${member.rank}`
      const join = (left: string, right: string) => left + right
      assert.deepStrictEqual(values(yield* together(ranks, (m) => m.allReduce(text(m), join))), ["012", "012", "012"])
      assert.deepStrictEqual(values(yield* together(ranks, (m) => m.reduce(1, text(m), join))), [
        Option.none(),
        Option.some("012"),
        Option.none()
      ])
      assert.deepStrictEqual(values(yield* together(ranks, (m) => m.gather(2, text(m)))), [
        Option.none(),
        Option.none(),
        Option.some(["0", "1", "2"])
      ])
      const all = ["0", "1", "2"]
      assert.deepStrictEqual(values(yield* together(ranks, (m) => m.allGather(text(m)))), [all, all, all])
      let made = 0
      const make = (m: Collective.Member) => () => `${m.rank} made ${++made}`
      const sent = "1 made 1"
      assert.deepStrictEqual(values(yield* together(ranks, (m) => m.broadcast(1, make(m)))), [sent, sent, sent])
      assert.deepStrictEqual(values(yield* together(ranks, (m) => m.scatter(0, () => ["a", "b", "c"]))), [
        "a",
        "b",
        "c"
      ])
    })
  )

  it.effect("R7 a group of one does everything at once", () =>
    Effect.gen(function* () {
      const member = yield* (yield* Collective.make("alone", { size: 1 })).join()
      yield* member.barrier
      assert.strictEqual(yield* member.allReduce(7, Collective.product), 7)
      assert.deepStrictEqual(yield* member.gather(0, "x"), Option.some(["x"]))
    })
  )

  it.effect("R7 values are combined by rank, whoever was late: sums of floats are reproducible", () =>
    Effect.gen(function* () {
      const floats = [1e16, 1, -1e16, 0.1]
      const { ranks } = yield* form(4)
      const sums = new Set<number>()
      for (const order of [ranks, ranks.toReversed(), [ranks[2]!, ranks[0]!, ranks[3]!, ranks[1]!]]) {
        const fibers = yield* Effect.forEach(order, (member) =>
          fork(member.allReduce(floats[member.rank]!, Collective.sum))
        )
        for (const fiber of fibers) sums.add(yield* Fiber.join(fiber))
      }
      assert.deepStrictEqual([...sums], [1e16 + 1 - 1e16 + 0.1])
    })
  )

  it.effect("R7 arrays are combined element by element, in place, for all or for the root alone", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(3)
      const length = 10_001
      const arrays = ranks.map(({ rank }) => Float32Array.from({ length }, (_, i) => i * (rank + 1)))
      const add = Collective.elementwise(Collective.sum)
      const results = values(yield* together(ranks, (m) => m.allReduce(arrays[m.rank]!, add)))
      for (const [rank, array] of arrays.entries()) {
        assert.strictEqual(results[rank], array)
        assert.deepStrictEqual([array[1], array[4_096], array[10_000]], [6, 6 * 4_096, 60_000])
      }
      const ints = ranks.map(({ rank }) => Int32Array.of(rank, 10 - rank))
      yield* together(ranks, (m) => m.reduce(2, ints[m.rank]!, Collective.elementwise(Collective.max)))
      assert.deepStrictEqual(ints, [Int32Array.of(0, 10), Int32Array.of(1, 9), Int32Array.of(2, 10)])
      const mine = Float64Array.of(1)
      assert.strictEqual(add(mine, Float64Array.of(2)), mine)
      assert.strictEqual(mine[0], 3)
    })
  )

  it.effect("R7 each sum is rounded once, not at every member", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(3)
      const parts = [16_777_216, 1, 1]
      const arrays = parts.map((part) => Float32Array.of(part))
      yield* together(ranks, (m) => m.allReduce(arrays[m.rank]!, Collective.elementwise(Collective.sum)))
      assert.deepStrictEqual(
        arrays.map((array) => array[0]),
        [16_777_218, 16_777_218, 16_777_218]
      )
    })
  )

  it.effect("R7 calls are matched by their order, however far one is ahead", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(2)
      const [fast, slow] = [ranks[0]!, ranks[1]!]
      const ahead = yield* Effect.forEach([1, 2, 3], (n) => fork(fast.allReduce(n, Collective.sum)))
      const behind = yield* Effect.forEach([10, 20, 30], (n) => slow.allReduce(n, Collective.sum))
      assert.deepStrictEqual(behind, [11, 22, 33])
      assert.deepStrictEqual(yield* Effect.forEach(ahead, Fiber.join), [11, 22, 33])
    })
  )

  it.effect.prop(
    "R7 whatever the order of arrival, all get the same",
    { order: Schema.Array(Schema.Int), size: Schema.Literals([1, 2, 3, 5, 8]) },
    ({ order, size }) =>
      Effect.gen(function* () {
        const { ranks } = yield* form(size)
        const shuffled = ranks.toSorted((a, b) => (order[a.rank] ?? 0) - (order[b.rank] ?? 0))
        for (const round of [0, 1, 2]) {
          const fibers = yield* Effect.forEach(shuffled, (m) => fork(m.allGather(m.rank * 10 + round)))
          const expected = ranks.map(({ rank }) => rank * 10 + round)
          for (const fiber of fibers) assert.deepStrictEqual(yield* Fiber.join(fiber), expected)
        }
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 30 } }
  )

  it.effect("R7 a hundred fibers meet in ten rounds", () =>
    Effect.gen(function* () {
      const group = yield* Collective.make("many", { size: 100 })
      const one = Effect.gen(function* () {
        const member = yield* group.join()
        let sum = 0
        for (let round = 0; round < 10; round++) sum += yield* member.allReduce(member.rank * round, Collective.sum)
        yield* member.barrier
        return sum
      })
      const sums = yield* Effect.all(
        Array.from({ length: 100 }, () => one),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(new Set(sums), new Set([4_950 * 45]))
    })
  )
})

describe("joining", () => {
  it.effect("R7 ranks are given from 0 up, or as asked for", () =>
    Effect.gen(function* () {
      const group = yield* Collective.make("g", { size: 3 })
      const third = yield* joinAlone(group, { rank: 2 })
      const first = yield* joinAlone(group)
      const second = yield* joinAlone(group)
      assert.deepStrictEqual(
        [third, first, second].map(({ member }) => [member.rank, member.size]),
        [
          [2, 3],
          [0, 3],
          [1, 3]
        ]
      )
    })
  )

  it.effect("R7 a full group, a taken rank and a rank that is none are refused", () =>
    Effect.gen(function* () {
      const group = yield* Collective.make("g", { size: 2 })
      yield* group.join({ rank: 1 })
      const refused = (options: Collective.JoinOptions) =>
        Effect.map(Effect.flip(group.join(options)), ({ message, reason }) => [reason._tag, message.slice(0, 3)])
      assert.deepStrictEqual(yield* refused({ rank: 1 }), ["RankTaken", "g: "])
      for (const rank of [2, -1, 0.5, NaN]) assert.strictEqual((yield* refused({ rank }))[0], "NoSuchRank")
      yield* group.join()
      assert.deepStrictEqual(yield* refused({}), ["GroupFull", "g: "])
    })
  )

  it("R7 a size that is none is refused where it is given", () => {
    for (const size of [0, -1, 1.5, NaN, Infinity]) {
      assert.throws(() => Collective.make("g", { size }), /g: size must be a whole number of 1 or more/)
    }
    assert.throws(() => Collective.make("g", { size: 1, timeout: -1 }), /timeout must be a duration/)
  })

  it.effect("R7 who comes early waits for those who have not joined yet", () =>
    Effect.gen(function* () {
      const group = yield* Collective.make("g", { size: 2 })
      const early = yield* group.join()
      const waiting = yield* fork(early.allReduce(1, Collective.sum))
      assert.deepStrictEqual(yield* group.status, {
        generation: 1,
        size: 2,
        joined: [0],
        waiting: [{ round: 0, operation: "allReduce", ranks: [0] }]
      })
      const late = yield* group.join()
      assert.strictEqual(yield* late.allReduce(2, Collective.sum), 3)
      assert.strictEqual(yield* Fiber.join(waiting), 3)
      assert.deepStrictEqual((yield* group.status).waiting, [])
    })
  )
})

describe("failing together", () => {
  it.effect("R7 when a member leaves all who wait fail at once, and all later calls, with its rank", () =>
    Effect.gen(function* () {
      const { members, ranks } = yield* form(4)
      const waiting = yield* Effect.forEach([0, 1], (rank) => fork(Effect.exit(ranks[rank]!.barrier)))
      yield* members[3]!.leave()
      const failed = yield* Effect.forEach(waiting, Fiber.join)
      const later = [yield* Effect.exit(ranks[2]!.allReduce(1, Collective.sum)), yield* Effect.exit(ranks[0]!.barrier)]
      for (const reason of reasons([...failed, ...later])) {
        assert.deepInclude(reason, { _tag: "MemberLeft", rank: 3, why: "left" })
      }
      assert.strictEqual(errorOf(failed[0]!).message, "test: barrier in round 0 of generation 1: rank 3 has left")
      assert.deepInclude(errorOf(later[1]!), { generation: 1, round: 1, operation: "barrier" })
    })
  )

  it.effect("R7 a crash is told with its cause", () =>
    Effect.gen(function* () {
      const { members, ranks } = yield* form(2)
      const waiting = yield* fork(Effect.exit(ranks[0]!.barrier))
      yield* members[1]!.leave(Exit.die(new Error("out of luck")))
      const [reason] = reasons([yield* Fiber.join(waiting)])
      assert.deepInclude(reason, { _tag: "MemberLeft", rank: 1, why: "crashed" })
      assert.strictEqual(reason!.message, "rank 1 crashed: out of luck")
    })
  )

  it.effect("R7 who is interrupted while it waits has left", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(3)
      const first = yield* fork(Effect.exit(ranks[0]!.barrier))
      const second = yield* fork(ranks[1]!.barrier)
      yield* Fiber.interrupt(second)
      const failed = [
        yield* Fiber.join(first),
        yield* Effect.exit(ranks[2]!.barrier),
        yield* Effect.exit(ranks[1]!.barrier)
      ]
      for (const reason of reasons(failed)) assert.deepInclude(reason, { rank: 1, why: "interrupted" })
    })
  )

  it.effect("R7 a member that gives up in time has left, and the others need not wait for their own limit", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(3)
      const patient = yield* fork(Effect.exit(ranks[0]!.barrier))
      const hasty = yield* fork(Effect.exit(Effect.timeout(ranks[1]!.barrier, "1 second")))
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(hasty)))
      assert.deepInclude(reasons([yield* Fiber.join(patient)])[0], { rank: 1, why: "interrupted" })
    })
  )

  it.effect("R7 a result that has been reached is not taken back by who leaves right after it", () =>
    Effect.gen(function* () {
      const { members } = yield* form(3)
      const exits = yield* Effect.forEach(
        members,
        ({ leave, member }) => Effect.exit(Effect.tap(member.allReduce(1, Collective.sum), () => leave())),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(values(exits), [3, 3, 3])
    })
  )

  it.effect("R7 who calls something else than the others is told so, and so are they", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(3)
      const exits = yield* together(ranks, (m) => (m.rank === 0 ? m.barrier : m.allReduce(1, Collective.sum)))
      for (const reason of reasons(exits)) {
        assert.deepInclude(reason, { _tag: "Mismatch", rank: 0, expected: "allReduce", actual: "barrier" })
      }
    })
  )

  it.effect("R7 so is who names another root, or one that is none", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(2)
      const [a, b] = reasons(yield* together(ranks, (m) => m.gather(m.rank, 1)))
      assert.strictEqual(a, b)
      assert.deepInclude(a, { rank: 0, expected: "gather with root 1", actual: "gather with root 0" })
      for (const { rejoin } of ranks) yield* rejoin
      const [none] = reasons(yield* together(ranks, (m) => m.broadcast(2, () => 1)))
      assert.strictEqual(none!._tag, "Mismatch")
    })
  )

  it.effect("R7 so is who brings an array of another length or kind, and no array has changed", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(3)
      const arrays = [Float32Array.of(1, 2), Float32Array.of(1, 2), Float32Array.of(1, 2, 3)]
      const exits = yield* together(ranks, (m) => m.allReduce(arrays[m.rank]!, Collective.elementwise(Collective.sum)))
      for (const reason of reasons(exits)) assert.deepInclude(reason, { _tag: "Mismatch", rank: 2 })
      assert.deepStrictEqual(arrays[0], Float32Array.of(1, 2))
    })
  )

  it.effect("R7 when combining throws in the middle of an array, no array has changed", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(2)
      const arrays = ranks.map(() => new Float32Array(10_000).fill(1))
      let calls = 0
      const add = Collective.elementwise((left, right) => {
        if (++calls === 9_000) throw new Error("no sum")
        return left + right
      })
      const failed = reasons(yield* together(ranks, (m) => m.allReduce(arrays[m.rank]!, add)))
      for (const reason of failed) assert.strictEqual(reason._tag, "CombineFailed")
      for (const array of arrays) assert.isTrue(array.every((value) => value === 1))
    })
  )

  it.effect("R7 arrays that overlap in memory are all read before one is written", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(2)
      const memory = Float64Array.from({ length: 10_001 }, (_, i) => i)
      const arrays = [memory.subarray(1), memory.subarray(0, 10_000)]
      yield* together(ranks, (m) => m.reduce(0, arrays[m.rank]!, Collective.elementwise(Collective.sum)))
      for (const i of [0, 4_095, 4_096, 9_999]) assert.strictEqual(arrays[0]![i], 2 * i + 1)
    })
  )

  it.effect("R7 what is no number stays none, arrays may be empty, and integers wrap as they do", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(2)
      for (const combine of [Collective.sum, Collective.product, Collective.min, Collective.max]) {
        const [a, b] = values(yield* together(ranks, (m) => m.allReduce(m.rank === 0 ? NaN : 1, combine)))
        assert.isTrue(Number.isNaN(a) && Number.isNaN(b))
        const arrays = [Float32Array.of(NaN, 1), Float32Array.of(1, 1)]
        yield* together(ranks, (m) => m.allReduce(arrays[m.rank]!, Collective.elementwise(combine)))
        assert.isTrue(arrays.every(([first, second]) => Number.isNaN(first) && !Number.isNaN(second)))
      }
      const add = Collective.elementwise(Collective.sum)
      const none = ranks.map(() => new Float32Array(0))
      assert.deepStrictEqual(values(yield* together(ranks, (m) => m.allReduce(none[m.rank]!, add))), none)
      const bytes = ranks.map(() => Uint8Array.of(200))
      yield* together(ranks, (m) => m.allReduce(bytes[m.rank]!, add))
      assert.deepStrictEqual(bytes[0], Uint8Array.of(144))
    })
  )

  it.effect("R7 so is the root that scatters too few", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(2)
      const exits = yield* together(ranks, (m) => m.scatter(1, () => ["only one"]))
      for (const reason of reasons(exits)) assert.deepInclude(reason, { _tag: "Mismatch", rank: 1 })
    })
  )

  it.effect("R7 when combining throws all are told", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(2)
      const combine = (): number => {
        throw new Error("no sum")
      }
      const failed = reasons(yield* together(ranks, (m) => m.allReduce(1, combine)))
      for (const reason of failed) {
        assert.strictEqual(reason._tag, "CombineFailed")
        assert.include(reason.message, "no sum")
      }
    })
  )

  it.effect("R7 a value that cannot be made is its maker's crash, and the round is still to come", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(2)
      const waiting = yield* fork(ranks[1]!.broadcast(0, () => "never made here"))
      const broken = (): string => {
        throw new Error("no value")
      }
      assert.isTrue(Exit.hasDies(yield* Effect.exit(ranks[0]!.broadcast(0, broken))))
      assert.strictEqual(yield* ranks[0]!.broadcast(0, () => "made"), "made")
      assert.strictEqual(yield* Fiber.join(waiting), "made")
    })
  )

  it.effect("R7 a member whose Scope closes while it waits itself fails with the others", () =>
    Effect.gen(function* () {
      const { members, ranks } = yield* form(3)
      const waiting = yield* Effect.forEach([0, 1], (rank) => fork(Effect.exit(ranks[rank]!.barrier)))
      yield* members[1]!.leave()
      for (const reason of reasons(yield* Effect.forEach(waiting, Fiber.join))) assert.deepInclude(reason, { rank: 1 })
    })
  )

  it.effect("R7 whoever is late breaks the generation, and is named", () =>
    Effect.gen(function* () {
      const { ranks } = yield* form(4, { timeout: "10 seconds" })
      const first = yield* fork(Effect.exit(ranks[3]!.barrier))
      yield* TestClock.adjust("4 seconds")
      const second = yield* fork(Effect.exit(ranks[1]!.barrier))
      yield* TestClock.adjust("6 seconds")
      const failed = [yield* Fiber.join(first), yield* Fiber.join(second), yield* Effect.exit(ranks[0]!.barrier)]
      for (const reason of reasons(failed)) {
        assert.deepInclude(reason, { _tag: "TimedOut", millis: 10_000 })
        assert.deepStrictEqual((reason as Collective.TimedOut).missing, [0, 2])
      }
      for (const { rejoin } of ranks) yield* rejoin
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(values(yield* together(ranks, (m) => m.allReduce(1, Collective.sum))), [4, 4, 4, 4])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(values(yield* together(ranks, (m) => m.allReduce(1, Collective.sum))), [4, 4, 4, 4])
    })
  )

  it.effect("R7 when the group is closed all who wait are told, and nobody joins", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const group = yield* Scope.provide(Collective.make("g", { size: 2 }), scope)
      const member = yield* group.join()
      const waiting = yield* fork(Effect.exit(member.barrier))
      yield* Scope.close(scope, Exit.void)
      const failed = [yield* Fiber.join(waiting), yield* Effect.exit(member.barrier)]
      for (const reason of reasons(failed)) assert.strictEqual(reason._tag, "GroupClosed")
      assert.strictEqual((yield* Effect.flip(group.join())).reason._tag, "GroupClosed")
      assert.strictEqual((yield* Effect.flip(member.rejoin)).reason._tag, "GroupClosed")
    })
  )
})

describe("generations", () => {
  it.effect("R7 the next generation is formed by who joins and who rejoins, and counts its rounds anew", () =>
    Effect.gen(function* () {
      const { group, members, ranks } = yield* form(3)
      yield* together(ranks, (m) => m.barrier)
      yield* members[1]!.leave()
      const fresh = yield* joinAlone(group)
      assert.strictEqual(fresh.member.rank, 1)
      assert.deepInclude(yield* group.status, { generation: 2, joined: [1] })
      const waiting = yield* fork(fresh.member.allReduce(1, Collective.sum))
      assert.strictEqual(reasons([yield* Effect.exit(ranks[0]!.barrier)])[0]!._tag, "MemberLeft")
      yield* ranks[0]!.rejoin
      yield* ranks[2]!.rejoin
      assert.strictEqual(yield* ranks[0]!.generation, 2)
      const others = yield* together([ranks[0]!, ranks[2]!], (m) => m.allReduce(1, Collective.sum))
      assert.deepStrictEqual(values(others), [3, 3])
      assert.strictEqual(yield* Fiber.join(waiting), 3)
    })
  )

  it.effect("R7 a call of before an accident is never matched with one of after it", () =>
    Effect.gen(function* () {
      const { group, members, ranks } = yield* form(2)
      const busy = ranks[0]!
      yield* members[1]!.leave()
      const fresh = yield* joinAlone(group)
      const waiting = yield* fork(fresh.member.allReduce("new", (a, b) => a + b))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(busy.allReduce("old", (a, b) => a + b))))
      assert.isUndefined(waiting.pollUnsafe())
      yield* busy.rejoin
      assert.strictEqual(yield* busy.allReduce("mine ", (a, b) => a + b), "mine new")
    })
  )

  it.effect("R7 rejoining is nothing where the generation is whole, and refused after one's Scope has closed", () =>
    Effect.gen(function* () {
      const { members, ranks } = yield* form(2)
      yield* ranks[0]!.rejoin
      assert.strictEqual(yield* ranks[0]!.generation, 1)
      assert.deepStrictEqual(values(yield* together(ranks, (m) => m.allReduce(1, Collective.sum))), [2, 2])
      yield* members[1]!.leave()
      assert.strictEqual((yield* Effect.flip(ranks[1]!.rejoin)).reason._tag, "ScopeClosed")
    })
  )

  it.effect("R7 a rank belongs to a member of before until its Scope closes, rejoined or not", () =>
    Effect.gen(function* () {
      const { group, members } = yield* form(2)
      yield* members[1]!.leave()
      yield* joinAlone(group)
      assert.strictEqual((yield* Effect.flip(group.join())).reason._tag, "GroupFull")
      yield* members[0]!.leave()
      assert.strictEqual((yield* joinAlone(group)).member.rank, 0)
      assert.deepInclude(yield* group.status, { generation: 2, joined: [0, 1] })
    })
  )

  it.effect("R7 several accidents in a row are several generations", () =>
    Effect.gen(function* () {
      const { group, members, ranks } = yield* form(2)
      yield* members[1]!.leave()
      for (const generation of [2, 3, 4]) {
        yield* ranks[0]!.rejoin
        const other = yield* joinAlone(group)
        assert.strictEqual(yield* other.member.generation, generation)
        yield* other.leave()
        assert.deepInclude(errorOf(yield* Effect.exit(ranks[0]!.barrier)), { generation })
      }
    })
  )

  it.effect.prop(
    "R7 whatever happens in whatever order: a round has one outcome for all, and a generation one reason",
    {
      steps: Schema.Array(
        Schema.Struct({
          rank: Schema.Literals([0, 1, 2]),
          what: Schema.Literals(["call", "call", "leave", "interrupt", "rejoin"])
        })
      )
    },
    ({ steps }) =>
      Effect.gen(function* () {
        const { group, members } = yield* form(3)
        const calls: Array<{
          readonly rank: number
          readonly fiber: Fiber.Fiber<unknown, Collective.CollectiveError>
        }> = []
        const results = new Map<unknown, number>()
        const failures = new Map<number, Collective.CollectiveError["reason"]>()
        for (const { rank, what } of steps) {
          const { leave, member } = members[rank]!
          if (what === "leave") {
            yield* leave()
            members[rank] = yield* joinAlone(group)
            assert.strictEqual(members[rank].member.rank, rank)
          } else if (what === "rejoin") yield* member.rejoin
          else if (what === "interrupt") {
            const waiting = calls.filter((call) => call.rank === rank && call.fiber.pollUnsafe() === undefined).pop()
            if (waiting !== undefined) yield* Fiber.interrupt(waiting.fiber)
          } else {
            const generation = yield* member.generation
            const call = member.allGather(`${generation}`).pipe(
              Effect.tap((all) =>
                Effect.sync(() => {
                  assert.deepStrictEqual(all, [`${generation}`, `${generation}`, `${generation}`])
                  results.set(all, (results.get(all) ?? 0) + 1)
                })
              ),
              Effect.tapError(({ generation: failed, reason }) =>
                Effect.sync(() => {
                  assert.strictEqual(failed, generation)
                  assert.strictEqual(failures.get(failed) ?? reason, reason)
                  failures.set(failed, reason)
                })
              )
            )
            calls.push({ rank, fiber: yield* fork(call) })
          }
        }
        for (const { leave } of members) yield* leave()
        for (const { fiber } of calls) assert.isFalse(Exit.hasDies(yield* Fiber.await(fiber)))
        for (const count of results.values()) assert.strictEqual(count, 3)
        assert.deepStrictEqual((yield* group.status).waiting, [])
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 200 } }
  )
})

describe("actors", () => {
  class Ring extends Collective.Service<Ring>()("test/Ring", { size: 2 }) {}
  const messages = {
    Add: { payload: { n: Schema.Int }, success: Schema.Int, error: Collective.CollectiveError },
    Rejoin: { error: Collective.JoinError },
    Crash: {}
  }
  class Ann extends Actor.Service<Ann>()("test/Ann", messages) {}
  class Bob extends Actor.Service<Bob>()("test/Bob", messages) {}
  const handlers = Effect.map(Ring.join(), (member) => ({
    Add: ({ n }: { readonly n: number }) => member.allReduce(n, Collective.sum),
    Rejoin: () => member.rejoin,
    Crash: () => Effect.die(new Error("crash"))
  }))
  const AnnLive = Ann.behavior(Effect.orDie(handlers))
  const BobLive = Bob.behavior(Effect.orDie(handlers))

  const tree = (strategy: "one-for-one" | "one-for-all") =>
    Supervisor.layer(
      Supervisor.make("app", {
        children: [Ring.child, Supervisor.make("ring", { strategy, children: [AnnLive, BobLive] })]
      })
    )

  const program = (rejoin: boolean) =>
    Effect.gen(function* () {
      const [ann, bob] = [yield* Ann, yield* Bob]
      const add = Effect.all([ann.ask.Add({ n: 1 }), bob.ask.Add({ n: 2 })], { concurrency: 2 })
      assert.deepStrictEqual(yield* add, [3, 3])
      const waiting = yield* fork(Effect.exit(ann.ask.Add({ n: 10 })))
      yield* settle
      yield* bob.tell.Crash()
      const failed = yield* Fiber.join(waiting)
      yield* settle
      if (rejoin) yield* ann.ask.Rejoin()
      assert.deepStrictEqual(yield* add, [3, 3])
      return failed
    })

  it.effect("R7 one-for-one: the others are told whose crash it was, and rejoin when the crashed one is back", () =>
    Effect.gen(function* () {
      const failed = yield* program(true).pipe(Effect.provide(tree("one-for-one")))
      const error = Exit.isFailure(failed) ? Cause.squash(failed.cause) : undefined
      assert(error instanceof Collective.CollectiveError)
      assert.deepInclude(error.reason, { _tag: "MemberLeft", rank: 1, why: "crashed" })
    }).pipe(quiet)
  )

  it.effect("R7 a tree that is stopped while members wait does not wait for them", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(tree("one-for-one"), scope)
      const waiting = yield* fork(Effect.exit(Context.get(services, Ann).ask.Add({ n: 1 })))
      yield* settle
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)))
    })
  )

  it.effect("R7 who asked a member may give up: the member has not, and the operation is not broken", () =>
    Effect.gen(function* () {
      const [ann, bob] = [yield* Ann, yield* Bob]
      const hasty = yield* fork(Effect.exit(ann.ask.Add({ n: 1 })))
      yield* settle
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(hasty)))
      assert.deepInclude(yield* Ring.status, { generation: 1, joined: [0, 1] })
      assert.strictEqual(yield* bob.ask.Add({ n: 2 }), 3)
    }).pipe(Effect.provide(tree("one-for-one")), quiet)
  )

  it.effect("R7 one-for-all: everybody restarts and joins, nobody needs to rejoin", () =>
    Effect.gen(function* () {
      assert.isTrue(Exit.isFailure(yield* program(false).pipe(Effect.provide(tree("one-for-all")))))
    }).pipe(quiet)
  )
})
