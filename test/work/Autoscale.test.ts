/** What size a pool is to have, tick by tick: rule R72, requests and usage of R3, and what no load can make it do. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Duration, Result, Schema } from "effect"
import { Autoscale } from "effect-otp"

const make = (options: Partial<Autoscale.Scaling> = {}) =>
  Result.getOrThrow(Autoscale.make({ min: 1, max: 10, ...options }))

/** A pool that does what is decided at once: its size after each tick, one a second, with so much to do. */
const sizes = (options: Partial<Autoscale.Scaling>, ongoing: ReadonlyArray<number>, initial?: number) =>
  decisions(options, ongoing, initial).map(({ size }) => size)

const decisions = (options: Partial<Autoscale.Scaling>, ongoing: ReadonlyArray<number>, initial?: number) => {
  let autoscale = make(options)
  let size = initial ?? autoscale.settings.initial
  return ongoing.map((ongoing, second) => {
    const [next, decision] = Autoscale.decide(autoscale, { size, ongoing }, second * 1_000)
    autoscale = next
    size = decision?.size ?? size
    return { size, decision }
  })
}

const times = <A>(count: number, value: A): ReadonlyArray<A> => Array.from({ length: count }, () => value)

describe("delays", () => {
  const options = { upAfter: "3 seconds", downAfter: "5 seconds" } as const

  it("POOL-26 R72: a change must be asked for during the whole delay, a contrary tick starts it anew", () => {
    const high = 8
    const load = [high, high, 2, high, high, high, high, 1, 1, 1, 1, 1, 1]
    assert.deepStrictEqual(sizes(options, load, 2), [2, 2, 2, 2, 2, 2, 8, 8, 8, 8, 8, 8, 1])
  })

  it("POOL-26 R72: asking for the opposite starts it anew as well, in both directions", () => {
    assert.deepStrictEqual(sizes(options, [8, 8, 8, 1, 8, 8, 8, 8], 4), [4, 4, 4, 4, 4, 4, 4, 8])
    assert.deepStrictEqual(
      sizes(options, [1, 1, 1, 1, 1, 9, 1, 1, 1, 1, 1, 1], 4),
      [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 1]
    )
  })

  it("R72: the nearest size of the delay is taken, one tick that is far off decides nothing", () => {
    assert.deepStrictEqual(sizes(options, [4, 9, 5, 10], 2), [2, 2, 2, 4])
    assert.deepStrictEqual(sizes(options, [2, 1, 5, 2, 1, 1], 8), [8, 8, 8, 8, 8, 5])
  })

  it("R72: every change starts the delay anew, so fewer never follow more within downAfter", () => {
    const load = [...times(4, 6), ...times(6, 1)]
    assert.deepStrictEqual(sizes(options, load, 2), [2, 2, 2, 6, 6, 6, 6, 6, 6, 1])
  })

  it("they are times, not ticks: a tick that comes late counts for all the time before it", () => {
    const [waiting] = Autoscale.decide(make(options), { size: 1, ongoing: 4 }, 0)
    assert.deepStrictEqual(waiting.wish, { from: 1, to: 4, since: 0 })
    assert.isUndefined(Autoscale.decide(waiting, { size: 1, ongoing: 4 }, 2_999)[1])
    assert.deepStrictEqual(Autoscale.decide(waiting, { size: 1, ongoing: 4 }, 3_500)[1], {
      from: 1,
      size: 4,
      reason: { _tag: "Load", ongoing: 4, lasted: 3_500 }
    })
  })

  it("a size that changes by itself starts the delay anew: what was asked for was another", () => {
    const [waiting] = Autoscale.decide(make(options), { size: 5, ongoing: 3 }, 0)
    const [next, decision] = Autoscale.decide(waiting, { size: 4, ongoing: 1 }, 60_000)
    assert.isUndefined(decision)
    assert.deepStrictEqual(next.wish, { from: 4, to: 1, since: 60_000 })
  })

  it("without a delay each tick decides; Duration.infinity never does", () => {
    assert.deepStrictEqual(sizes({ upAfter: 0, downAfter: 0 }, [3, 5, 2]), [3, 5, 2])
    assert.deepStrictEqual(sizes({ upAfter: 0, downAfter: Duration.infinity }, [5, ...times(1_000, 0)]).at(-1), 5)
  })

  it("nothing is kept, and no state made, while the load asks for nothing", () => {
    const autoscale = make(options)
    assert.strictEqual(Autoscale.decide(autoscale, { size: 2, ongoing: 2 }, 0)[0], autoscale)
    const [waiting] = Autoscale.decide(autoscale, { size: 2, ongoing: 3 }, 0)
    assert.isUndefined(Autoscale.decide(waiting, { size: 2, ongoing: 2 }, 1_000)[0].wish)
  })
})

describe("sizes", () => {
  const atOnce = { upAfter: 0, downAfter: 0, max: 100 } as const
  const after = (options: Partial<Autoscale.Scaling>, size: number, ongoing: number) =>
    sizes({ ...atOnce, ...options }, [ongoing], size)[0]

  it("R72: as many as there is to do, divided by the target, and the rest of the division is one more", () => {
    assert.deepStrictEqual([after({}, 4, 9), after({}, 4, 2), after({}, 4, 4)], [9, 2, 4])
    assert.deepStrictEqual(
      [after({ target: 2 }, 4, 9), after({ target: 2 }, 4, 8), after({ target: 2 }, 4, 3)],
      [5, 4, 2]
    )
    assert.deepStrictEqual([after({ target: 0.8 }, 4, 4), after({ target: 0.8 }, 5, 4)], [5, 5])
  })

  it("R72: targets that are no binary fractions start nobody for an error of rounding", () => {
    for (const target of [0.1, 0.3, 0.7, 1.1]) {
      for (let members = 1; members <= 90; members++) {
        assert.strictEqual(after({ target }, 1, members * target), members, `${members} × ${target}`)
      }
    }
  })

  it("POOL-27 R72: a factor scales the step, upwards beyond what is needed where it is above 1", () => {
    assert.strictEqual(after({ upFactor: 0.5 }, 4, 10), 7)
    assert.strictEqual(after({ upFactor: 2 }, 4, 10), 16)
    assert.strictEqual(after({ downFactor: 0.5 }, 10, 4), 7)
  })

  it("R72: however small a factor, a step is at least one member", () => {
    assert.strictEqual(after({ upFactor: 0.01 }, 4, 5), 5)
    assert.strictEqual(after({ downFactor: 0.01 }, 4, 3), 3)
    assert.strictEqual(after({ downFactor: 0.01, target: 2 }, 4, 7), 4)
  })

  it("a load that is no number asks for nothing", () => {
    assert.deepStrictEqual(sizes({ ...atOnce, min: 0 }, [NaN, NaN], 2), [2, 2])
    assert.deepStrictEqual(Autoscale.decide(make(atOnce), { size: NaN, ongoing: 4 }, 0)[1], undefined)
  })
})

describe("bounds and zero", () => {
  const options = { min: 0, max: 4, upAfter: "3 seconds", downAfter: "2 seconds", toZeroAfter: "5 seconds" } as const

  it("POOL-27: never above the maximum, however much there is to do", () => {
    assert.deepStrictEqual(sizes(options, times(8, 1_000), 1), [1, 1, 1, 4, 4, 4, 4, 4])
    assert.deepStrictEqual(sizes({ ...options, upFactor: 50 }, times(5, 1_000), 1), [1, 1, 1, 4, 4])
  })

  it("POOL-27 R72: to zero only from one, and after a delay of its own", () => {
    const there = decisions(options, times(10, 0), 4)
    assert.deepStrictEqual(
      there.map(({ size }) => size),
      [4, 4, 1, 1, 1, 1, 1, 1, 0, 0]
    )
    assert.deepStrictEqual(there[8]!.decision?.reason, { _tag: "ToZero", lasted: 5_000 })
  })

  it("POOL-27 R72: one request keeps the last member, and its delay begins anew", () => {
    assert.deepStrictEqual(sizes({ ...options, target: 50 }, times(20, 1), 1), times(20, 1))
    assert.deepStrictEqual(sizes(options, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], 1), [...times(11, 1), 0])
  })

  it("POOL-27: with a minimum the last member stays", () => {
    assert.deepStrictEqual(sizes({ ...options, min: 1 }, times(20, 0), 2).at(-1), 1)
    assert.deepStrictEqual(sizes({ ...options, min: 2 }, times(20, 0), 4).at(-1), 2)
  })

  it("POOL-27 R72: from zero the first request is enough, at once, also right after the last member went", () => {
    const { decision } = decisions(options, [1], 0)[0]!
    assert.deepStrictEqual(decision, { from: 0, size: 1, reason: { _tag: "FromZero", ongoing: 1 } })
    assert.deepStrictEqual(sizes(options, [3], 0), [3])
    assert.deepStrictEqual(sizes({ ...options, upFactor: 0.1 }, [3], 0), [1])
    assert.deepStrictEqual(sizes(options, [0, 0, 0, 0, 0, 0, 1], 1), [1, 1, 1, 1, 1, 0, 1])
  })

  it("POOL-27: what lies outside of the bounds is corrected without a delay", () => {
    const reason: Autoscale.Reason = { _tag: "Bounds", min: 0, max: 4 }
    assert.deepStrictEqual(decisions(options, [9], 6)[0]!.decision, { from: 6, size: 4, reason })
    assert.strictEqual(sizes({ ...options, min: 2 }, [0], 0)[0], 2)
  })
})

describe("R3: requests", () => {
  const options = { min: 0, max: 8, upAfter: "10 seconds", downAfter: "1 minute" } as const
  const start = make(options)
  const load = (size: number, ongoing = 0): Autoscale.Load => ({ size, ongoing })
  const granted = (result: ReturnType<typeof Autoscale.request>) => Result.getOrThrow(result)[1]
  const refused = (result: ReturnType<typeof Autoscale.request>) => Result.getOrThrow(Result.flip(result))

  it("a delta or a size is granted at once, with its reason", () => {
    const reason = "import"
    const [next, decision] = Result.getOrThrow(Autoscale.request(start, { delta: 3, reason }, load(2), 500))
    assert.deepStrictEqual(decision, {
      from: 2,
      size: 5,
      reason: { _tag: "Requested", asked: 5, force: false, reason }
    })
    assert.deepStrictEqual(next.changed, { from: 2, to: 5, at: 500 })
    assert.strictEqual(granted(Autoscale.request(start, { delta: -1, reason }, load(2, 9), 0)).size, 1)
    assert.strictEqual(granted(Autoscale.request(start, { size: 7, reason }, load(2), 0)).size, 7)
  })

  it("the bounds hold, with force too", () => {
    for (const force of [false, true]) {
      assert.strictEqual(granted(Autoscale.request(start, { delta: 50, reason: "", force }, load(2), 0)).size, 8)
      assert.strictEqual(
        granted(Autoscale.request(make({ min: 2 }), { size: 0, reason: "", force }, load(4), 0)).size,
        2
      )
    }
  })

  it("where the bounds leave nothing to change, nothing is changed", () => {
    const [next, decision] = Result.getOrThrow(Autoscale.request(start, { delta: 1, reason: "more" }, load(8), 0))
    assert.strictEqual(next, start)
    assert.deepStrictEqual([decision.from, decision.size], [8, 8])
  })

  it("fewer are refused within downAfter of more, more within upAfter of fewer, and the error says for how long", () => {
    const [grown] = Result.getOrThrow(Autoscale.request(start, { size: 4, reason: "" }, load(2), 1_000))
    const early = refused(Autoscale.request(grown, { delta: -1, reason: "" }, load(4), 21_000))
    assert.deepInclude(early, { _tag: "ScalingTooSoon", from: 4, size: 3, left: 40_000 })
    assert.strictEqual(
      early.message,
      "from 4 to 3 members is too soon after the last increase: ask again in 40s, or with force"
    )
    assert.strictEqual(granted(Autoscale.request(grown, { delta: 1, reason: "" }, load(4), 1_000)).size, 5)
    const [shrunk] = Result.getOrThrow(Autoscale.request(grown, { delta: -1, reason: "" }, load(4), 61_000))
    assert.include(
      refused(Autoscale.request(shrunk, { delta: 1, reason: "" }, load(3), 70_999)).message,
      "last decrease"
    )
    assert.strictEqual(granted(Autoscale.request(shrunk, { delta: 1, reason: "" }, load(3), 71_000)).size, 4)
  })

  it("force knows no delays, those after changes that the load made neither", () => {
    const [waiting] = Autoscale.decide(start, load(2, 6), 0)
    const [grown] = Autoscale.decide(waiting, load(2, 6), 10_000)
    const back = { size: 1, reason: "" }
    assert.deepInclude(refused(Autoscale.request(grown, back, load(6, 6), 10_000)), { left: 60_000 })
    assert.strictEqual(granted(Autoscale.request(grown, { ...back, force: true }, load(6, 6), 10_000)).size, 1)
  })

  it("only force leaves nobody where there is more than one member, or something to do", () => {
    const none = { size: 0, reason: "night" }
    assert.strictEqual(granted(Autoscale.request(start, none, load(3), 0)).size, 1)
    assert.strictEqual(granted(Autoscale.request(start, none, load(1, 1), 0)).size, 1)
    assert.strictEqual(granted(Autoscale.request(start, none, load(1), 0)).size, 0)
    assert.strictEqual(granted(Autoscale.request(start, { ...none, force: true }, load(3, 3), 0)).size, 0)
  })

  it("the load decides on from there, and waits its whole delay first", () => {
    const [waiting] = Autoscale.decide(start, load(2, 1), 0)
    const [grown] = Result.getOrThrow(Autoscale.request(waiting, { delta: 2, reason: "" }, load(2, 1), 59_000))
    const [again, none] = Autoscale.decide(grown, load(4, 1), 60_000)
    assert.isUndefined(none)
    assert.isUndefined(Autoscale.decide(again, load(4, 1), 119_000)[1])
    assert.strictEqual(Autoscale.decide(again, load(4, 1), 120_000)[1]?.size, 1)
  })

  it.each([
    [{ reason: "" }, "request", { size: undefined, delta: undefined }],
    [{ size: 1, delta: 1, reason: "" }, "request", { size: 1, delta: 1 }],
    [{ size: -1, reason: "" }, "size", -1],
    [{ size: 1.5, reason: "" }, "size", 1.5],
    [{ size: Infinity, reason: "" }, "size", Infinity],
    [{ delta: NaN, reason: "" }, "delta", NaN],
    [{ delta: "2", reason: "" }, "delta", "2"],
    [{ delta: 1 }, "reason", undefined],
    [{ delta: 1, reason: "", force: "yes" }, "force", "yes"]
  ])("%o makes no sense", (request, field, value) => {
    const error = refused(Autoscale.request(start, request as never, load(2), 0))
    assert.deepInclude(error, { _tag: "InvalidScaling", field, value })
  })
})

it("R3: in-flight count, free slots and utilisation come from the load", () => {
  const autoscale = make({ target: 2 })
  assert.deepStrictEqual(Autoscale.usage(autoscale, { size: 4, ongoing: 2 }), {
    ongoing: 2,
    free: 6,
    utilisation: 0.25
  })
  assert.deepStrictEqual(Autoscale.usage(autoscale, { size: 4, ongoing: 10 }), {
    ongoing: 10,
    free: 0,
    utilisation: 1.25
  })
  assert.deepStrictEqual(Autoscale.usage(autoscale, { size: 0, ongoing: 0 }), { ongoing: 0, free: 0, utilisation: 0 })
  assert.deepStrictEqual(Autoscale.usage(autoscale, { size: 0, ongoing: 1 }), {
    ongoing: 1,
    free: 0,
    utilisation: Infinity
  })
  assert.strictEqual(Autoscale.usage(make({ target: 0.1 }), { size: 3, ongoing: 0 }).free, 0)
  assert.strictEqual(Autoscale.usage(make({ target: 0.1 }), { size: 30, ongoing: 0 }).free, 3)
})

describe("options", () => {
  it("defaults: grow after 5 seconds, shrink after 5 minutes, one request for each member, one member at first", () => {
    assert.deepStrictEqual(Result.getOrThrow(Autoscale.make({ min: 0, max: 4 })).settings, {
      min: 0,
      max: 4,
      initial: 1,
      target: 1,
      every: 1_000,
      upAfter: 5_000,
      downAfter: 300_000,
      toZeroAfter: 300_000,
      upFactor: 1,
      downFactor: 1
    })
    const { settings } = make({ min: 3, downAfter: "2 minutes" })
    assert.deepStrictEqual([settings.initial, settings.toZeroAfter], [3, 120_000])
    assert.strictEqual(make({ min: 0, initial: 0 }).settings.initial, 0)
  })

  const nonsense: ReadonlyArray<readonly [field: string, values: ReadonlyArray<unknown>]> = [
    ["min", [-1, 0.5, NaN, Infinity, "1", null, undefined]],
    ["max", [0, 4, 5.5, NaN, Infinity, "9", null, undefined]],
    ["initial", [4, 11, 6.5, NaN, "6"]],
    ["target", [0, -1, NaN, Infinity, "1"]],
    ["every", [0, -1, NaN, Infinity, "soon", Duration.infinity]],
    ["upAfter", [-1, NaN, "later"]],
    ["downAfter", [-1, NaN, "later"]],
    ["toZeroAfter", [-1, NaN, "later"]],
    ["upFactor", [0, -1, NaN, Infinity, "2"]],
    ["downFactor", [0, -1, 1.1, NaN, "1"]]
  ]

  it.each(nonsense)("%s: what makes no sense is named, with what it must be", (field, values) => {
    for (const value of values) {
      const made = Autoscale.make({ min: 5, max: 10, [field]: value } as never)
      const error = Result.getOrThrow(Result.flip(made))
      assert.deepInclude(error, { _tag: "InvalidScaling", field, value })
      assert.match(error.message, new RegExp(`^scaling: ${field} must be a .*, got `))
    }
  })

  it.each([undefined, null, 4, "many"])("%o is no options", (options) => {
    assert.deepInclude(Result.getOrThrow(Result.flip(Autoscale.make(options as never))), { field: "options" })
  })

  it("min above max is told at max, the one that is too small", () => {
    const error = Result.getOrThrow(Result.flip(Autoscale.make({ min: 4, max: 2 })))
    assert.strictEqual(error.message, "scaling: max must be a whole number of 4 or more, got 2")
  })
})

describe("a decision in words", () => {
  const line = (from: number, size: number, reason: Autoscale.Reason) => Autoscale.format({ from, size, reason })

  it("says from where to where, and why", () => {
    assert.deepStrictEqual(
      [
        line(2, 4, { _tag: "Load", ongoing: 4, lasted: 5_000 }),
        line(4, 1, { _tag: "Load", ongoing: 1, lasted: 300_000 }),
        line(0, 1, { _tag: "FromZero", ongoing: 1 }),
        line(1, 0, { _tag: "ToZero", lasted: 600_000 }),
        line(1, 2, { _tag: "Bounds", min: 2, max: 4 }),
        line(6, 4, { _tag: "Bounds", min: 2, max: 4 }),
        line(2, 4, { _tag: "Requested", asked: 4, force: false, reason: "import" }),
        line(2, 4, { _tag: "Requested", asked: 9, force: true, reason: "import" })
      ],
      [
        "from 2 to 4 members: 4 requests in progress or waiting, too many for 5s",
        "from 4 to 1 members: 1 request in progress or waiting, too few for 5m",
        "from 0 to 1 members: 1 request and nobody there",
        "from 1 to 0 members: nothing to do for 10m",
        "from 1 to 2 members: there are 2 at least",
        "from 6 to 4 members: there are 4 at most",
        "from 2 to 4 members: import",
        "from 2 to 4 members: import (9 were asked for)"
      ]
    )
  })
})

describe("whatever the load", () => {
  const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
  const anyOptions = {
    min: int(0, 4),
    spare: int(0, 12),
    target: Schema.Literals([0.1, 0.7, 1, 3]),
    up: int(0, 3),
    down: int(0, 4),
    toZero: int(0, 5),
    upFactor: Schema.Literals([0.2, 1, 3]),
    downFactor: Schema.Literals([0.1, 0.5, 1])
  }
  const optionsOf = (any: {
    readonly [K in keyof typeof anyOptions]: (typeof anyOptions)[K]["Type"]
  }): Autoscale.Scaling => ({
    min: any.min,
    max: Math.max(1, any.min) + any.spare,
    target: any.target,
    upAfter: any.up * 1_000,
    downAfter: any.down * 1_000,
    toZeroAfter: any.toZero * 1_000,
    upFactor: any.upFactor,
    downFactor: any.downFactor
  })
  const loads = Arbitrary.array(Arbitrary.schema(int(0, 30)), { maxLength: 60 })

  it.prop("never outside of the bounds, never to 0 but from 1 with nothing to do", { ...anyOptions, loads }, (any) => {
    const options = optionsOf(any)
    let before = make(options).settings.initial
    for (const [i, { size }] of decisions(options, any.loads).entries()) {
      assert.isTrue(size >= options.min && size <= options.max)
      if (size === 0) assert.isTrue(before === 0 || (before === 1 && any.loads[i] === 0))
      before = size
    }
  })

  it.prop("never fewer than the load needs, never fewer while it needs more", { ...anyOptions, loads }, (any) => {
    const options = optionsOf(any)
    for (const [i, { decision }] of decisions(options, any.loads).entries()) {
      if (decision === undefined) continue
      const needed = any.loads[i]! / any.target
      if (decision.size < decision.from) assert.isTrue(decision.size + 1e-6 >= needed)
      else assert.isTrue(decision.from < needed)
    }
  })

  it.prop(
    "fewer come at least downAfter after more, more at least upAfter after fewer",
    { ...anyOptions, loads },
    (any) => {
      const options = optionsOf(any)
      const changes = decisions(options, any.loads).flatMap(({ decision }, second) =>
        decision === undefined ? [] : [{ second, decision }]
      )
      for (const [i, { decision, second }] of changes.entries()) {
        const last = changes[i - 1]
        if (last === undefined || decision.from === 0) continue
        const grows = decision.size > decision.from
        if (grows !== last.decision.size > last.decision.from) {
          const least = grows ? any.up : decision.size === 0 ? any.toZero : any.down
          assert.isAtLeast(second - last.second, least)
        }
      }
    }
  )

  it.prop("a load that stays settles: one direction, then no change", { ...anyOptions, load: int(0, 30) }, (any) => {
    const options = optionsOf(any)
    const all = decisions(options, times(400, any.load), any.min + any.spare)
    const settled = all.at(-1)!.size
    assert.isTrue(all.slice(-100).every(({ decision }) => decision === undefined))
    // From above it comes down to just what is needed; a factor above 1 may have gone beyond that, but only once.
    const turns = all.flatMap(({ decision }) => (decision === undefined ? [] : [decision.size > decision.from]))
    assert.isAtMost(turns.filter((grows, i) => i > 0 && grows !== turns[i - 1]).length, 1)
    const needed = Math.ceil(any.load / any.target - 1e-9)
    assert.strictEqual(settled, Math.min(options.max, Math.max(options.min, needed)))
  })

  it.prop("more to do never makes fewer members", { ...anyOptions, size: int(0, 16), ongoing: int(0, 30) }, (any) => {
    const options = { ...optionsOf(any), upAfter: 0, downAfter: 0, toZeroAfter: 0 }
    const [less, more] = [any.ongoing, any.ongoing + 1].map((ongoing) => sizes(options, [ongoing], any.size)[0]!)
    assert.isAtLeast(more!, less!)
  })
})
