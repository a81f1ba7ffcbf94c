/**
 * The workloads as this library's documentation would write them, supervised and typed. The library comes as a parameter:
 * the sources for `run.ts`, the built package for `peer.mjs`.
 */
import { Context, Deferred, Effect, Logger, Queue, References, Schema } from "effect"

/** Runs a program whose crashes are part of the workload, so nothing is logged. */
const run = (program) =>
  Effect.runPromise(
    Effect.scoped(program).pipe(
      Effect.provideService(References.MinimumLogLevel, "None"),
      Effect.provide(Logger.layer([]))
    )
  )

/** The workloads over a copy of the library. */
export const makeWorkloads = ({ Actor, ActorContext, DynamicSupervisor, Supervisor }) => {
  const supervised = (children, options = {}) => Supervisor.start(Supervisor.make("bench", { ...options, children }))

  /** Starts children of one class under a supervisor and gives their refs in order. */
  const startAll = Effect.fnUntraced(function* (behaviors) {
    const refs = []
    const children = behaviors.map((behavior, i) => Supervisor.child(behavior(refs, i), { id: `child-${i}` }))
    yield* supervised(children)
    return refs
  })

  class Counter extends Actor.Service()("bench/Counter", { Count: { payload: { i: Schema.Int } } }) {}
  class Ball extends Actor.Service()("bench/Ball", { Hit: {} }) {}
  class Ring extends Actor.Service()("bench/Ring", { Token: { payload: { left: Schema.Int } } }) {}
  class Producer extends Actor.Service()("bench/Producer", { Send: { payload: { count: Schema.Int } } }) {}
  class Server extends Actor.Service()("bench/Server", {
    Add: { payload: { question: Schema.Int }, success: Schema.Int },
    Crash: {}
  }) {}
  class Once extends Actor.Service()("bench/Once", { Use: {} }) {}
  class Units extends DynamicSupervisor.Service()("bench/Units", Once) {}
  class Node extends Actor.Service()("bench/Node", { Start: {}, Sum: { payload: { sum: Schema.Int } } }) {}

  const registering = (actor, handlers) => (refs, i) =>
    actor.behavior(
      actor.sync(({ self }) => {
        refs[i] = self
        return actor.of(handlers(refs, i))
      })
    )

  const counting = (n, done) => {
    let count = 0
    return registering(Counter, () => ({
      Count: () => {
        if (++count === n) Deferred.doneUnsafe(done, Effect.succeed(count))
      }
    }))
  }

  const server = registering(Server, () => ({
    Add: ({ question }) => question + 1,
    Crash: () => Effect.fail("crash")
  }))

  /** Two actors, each answering a hit with a hit. `hit` makes the handler of actor `i`. */
  const pingPong =
    (hit) =>
    (n, { start, stop }) =>
      run(
        Effect.gen(function* () {
          const done = yield* Deferred.make()
          let trips = 0
          const arrived = () => ++trips === n
          const finish = () => Deferred.succeed(done, trips)
          const refs = yield* startAll([
            registering(Ball, (refs) => ({ Hit: hit(() => refs[1], arrived, finish) })),
            registering(Ball, (refs) => ({ Hit: hit(() => refs[0]) }))
          ])
          start()
          yield* refs[1].tell.Hit()
          const check = yield* Deferred.await(done)
          stop()
          return { check }
        })
      )

  return {
    w1: (n, { start, stop, turn }, { flood }) =>
      run(
        Effect.gen(function* () {
          const done = yield* Deferred.make()
          const [counter] = yield* startAll([counting(n, done)])
          start()
          yield* Effect.promise(() => flood(n, turn, (i) => counter.tellUnsafe.Count({ i })))
          const check = yield* Deferred.await(done)
          stop()
          return { check }
        })
      ),
    w2: pingPong((other, arrived, finish) =>
      arrived === undefined ? () => other().tell.Hit() : () => (arrived() ? finish() : other().tell.Hit())
    ),
    w3: (n, { start, stop }, { RING_SIZE }) =>
      run(
        Effect.gen(function* () {
          const done = yield* Deferred.make()
          let hops = 0
          const member = registering(Ring, (refs, i) => ({
            Token: ({ left }) => {
              hops++
              return left === 1
                ? Deferred.succeed(done, hops)
                : refs[(i + 1) % RING_SIZE].tell.Token({ left: left - 1 })
            }
          }))
          const refs = yield* startAll(Array.from({ length: RING_SIZE }, () => member))
          start()
          yield* refs[0].tell.Token({ left: n })
          const check = yield* Deferred.await(done)
          stop()
          return { check }
        })
      ),
    w4: (n, { start, stop }, { FAN_IN_PRODUCERS }) =>
      run(
        Effect.gen(function* () {
          const done = yield* Deferred.make()
          const [sink] = yield* startAll([counting(n, done)])
          const producer = registering(Producer, () => ({
            *Send({ count }) {
              for (let i = 0; i < count; i++) yield* sink.tell.Count({ i })
            }
          }))
          const producers = yield* startAll(Array.from({ length: FAN_IN_PRODUCERS }, () => producer))
          start()
          for (const each of producers) yield* each.tell.Send({ count: n / FAN_IN_PRODUCERS })
          const check = yield* Deferred.await(done)
          stop()
          return { check }
        })
      ),
    w5: (n, { start, stop }) =>
      run(
        Effect.gen(function* () {
          const [ref] = yield* startAll([server])
          let check = 0
          start()
          for (let i = 0; i < n; i++) {
            yield* ref.ask.Add({ question: i })
            check++
          }
          stop()
          return { check }
        })
      ),
    w5c: (n, { start, stop }, { ASKERS }) =>
      run(
        Effect.gen(function* () {
          const [ref] = yield* startAll([server])
          let check = 0
          const caller = Effect.gen(function* () {
            for (let i = 0; i < n / ASKERS; i++) {
              yield* ref.ask.Add({ question: i })
              check++
            }
          })
          start()
          yield* Effect.all(
            Array.from({ length: ASKERS }, () => caller),
            { concurrency: "unbounded", discard: true }
          )
          stop()
          return { check }
        })
      ),
    w6: (n, { start, stop }, { BATCH }) =>
      run(
        Effect.gen(function* () {
          let used = 0
          let stopped = 0
          let done
          const OnceLive = Once.behavior(
            Effect.succeed(
              Once.of({
                Use: () => {
                  if (++used % BATCH === 0) Deferred.doneUnsafe(done, Effect.void)
                }
              })
            )
          )
          start()
          for (let b = 0; b < n; b += BATCH) {
            done = yield* Deferred.make()
            const batch = []
            for (let i = 0; i < BATCH; i++) {
              const actor = yield* Actor.spawn(OnceLive)
              batch.push(actor)
              yield* actor.tell.Use()
            }
            yield* Deferred.await(done)
            for (const actor of batch) {
              yield* Actor.stop(actor)
              stopped++
            }
          }
          stop()
          return { check: stopped }
        })
      ),
    w6m: (n, { start, stop, memory }, { perItem }) =>
      run(
        Effect.gen(function* () {
          let used = 0
          const done = yield* Deferred.make()
          const OnceLive = Once.behavior(
            Once.sync(() =>
              Once.of({
                Use: () => {
                  if (++used === n) Deferred.doneUnsafe(done, Effect.void)
                }
              })
            )
          )
          const before = yield* Effect.promise(memory)
          const actors = new Array(n)
          start()
          for (let i = 0; i < n; i++) {
            actors[i] = yield* Actor.spawn(OnceLive)
            yield* actors[i].tell.Use()
          }
          yield* Deferred.await(done)
          stop()
          return { check: actors.length, ...perItem(before, yield* Effect.promise(memory), actors.length) }
        })
      ),
    w7: (n, { start, stop }, { split }) =>
      run(
        Effect.gen(function* () {
          const total = yield* Queue.unbounded()
          const spread = Effect.fnUntraced(function* (self, first, leaves) {
            const report = (sum) => self.tellUnsafe.Sum({ sum })
            for (const [first_, leaves_] of split(first, leaves)) {
              const child = yield* Actor.spawn(NodeLive, { first: first_, leaves: leaves_, report })
              yield* child.tell.Start()
            }
          })
          const NodeLive = Node.behavior(({ first, leaves, report }) =>
            Node.sync(({ self }) => {
              let sum = 0
              let left = 10
              const finish = (sum) => {
                report(sum)
                return ActorContext.stop
              }
              return Node.of({
                Start: () => (leaves === 1 ? finish(first) : spread(self, first, leaves)),
                Sum: (m) => {
                  sum += m.sum
                  if (--left === 0) return finish(sum)
                }
              })
            })
          )
          start()
          const root = yield* Actor.spawn(NodeLive, {
            first: 0,
            leaves: n,
            report: (sum) => Queue.offerUnsafe(total, sum)
          })
          yield* root.tell.Start()
          const check = yield* Queue.take(total)
          stop()
          return { check }
        })
      ),
    w8: (n, { start, stop }) =>
      run(
        Effect.gen(function* () {
          let starts = 0
          let ref
          const Holding = Server.behavior(
            Server.sync(({ self }) => {
              starts++
              ref = self
              return Server.of({ Add: ({ question }) => question + 1, Crash: () => Effect.fail("crash") })
            })
          )
          yield* supervised([Holding], { intensity: { restarts: 1_000_000, within: "5 seconds" } })
          const latencies = new Float64Array(n)
          start()
          for (let i = 0; i < n; i++) {
            const t0 = performance.now()
            ref.tellUnsafe.Crash()
            yield* ref.ask.Add({ question: i })
            latencies[i] = (performance.now() - t0) / 1e3
          }
          stop()
          return { check: starts - 1, latencies }
        })
      ),
    w9: (n, { start, stop }) =>
      run(
        Effect.gen(function* () {
          let started = 0
          let stopped = 0
          const child = Once.behavior(
            Once.sync(({ onEnd }) => {
              started++
              onEnd(() => stopped++)
              return Once.of({ Use: () => {} })
            })
          )
          const children = Array.from({ length: n }, (_, i) => Supervisor.child(child, { id: `child-${i}` }))
          start()
          const t0 = performance.now()
          const tree = yield* supervised(children)
          const t1 = performance.now()
          yield* tree.stop
          const t2 = performance.now()
          stop()
          return { check: started === n ? stopped : 0, start_seconds: (t1 - t0) / 1e3, stop_seconds: (t2 - t1) / 1e3 }
        })
      ),
    w10: (n, { start, stop }, { MAILBOX_CAPACITY, work }) =>
      run(
        Effect.gen(function* () {
          let count = 0
          let sink = 0
          let deepest = 0
          const done = yield* Deferred.make()
          let ref
          const consumer = Counter.behavior(
            Counter.sync(({ self }) => {
              ref = self
              return Counter.of({
                Count: ({ i }) => {
                  sink ^= work(i)
                  if (++count === n) Deferred.doneUnsafe(done, Effect.succeed(count))
                }
              })
            }),
            { mailbox: { capacity: MAILBOX_CAPACITY, overflow: "suspend" } }
          )
          yield* supervised([consumer])
          start()
          for (let i = 0; i < n; i++) {
            yield* ref.tell.Count({ i })
            if (ref.size > deepest) deepest = ref.size
          }
          const check = yield* Deferred.await(done)
          stop()
          return { check, max_depth: deepest, note: "the producer suspends" }
        })
      ),
    /** Children of a dynamic supervisor: started one by one, listed, stopped all at once. */
    dynamic: (n, { start, stop }) =>
      run(
        Effect.gen(function* () {
          const spec = Units.child(Once.behavior(() => Once.sync(() => Once.of({ Use: () => {} }))))
          const top = yield* supervised([spec])
          const units = Context.get(top.services, Units)
          start()
          const t0 = performance.now()
          for (let i = 0; i < n; i++) yield* units.start(`${i}`)
          const t1 = performance.now()
          const listed = yield* units.children
          const t2 = performance.now()
          yield* top.stop
          const t3 = performance.now()
          stop()
          const phases_ms = { start: t1 - t0, list: t2 - t1, stop: t3 - t2 }
          return { check: listed.filter((child) => child.state === "running").length, phases_ms }
        })
      ),
    /** One actor is flooded; how long do a quiet actor, a timer and an I/O callback wait? */
    latency: (n, { start, stop }) =>
      run(
        Effect.gen(function* () {
          const [flooded, quiet] = yield* startAll([
            registering(Counter, () => ({ Count: () => {} })),
            registering(Counter, () => ({ Count: ({ i }) => void answered(i) }))
          ])
          const delays = { actor: [], timer: [], io: [] }
          const answered = (at) => delays.actor.push(performance.now() - at)
          let sent = 0
          const done = yield* Deferred.make()
          const flood = () => {
            for (let i = 0; i < 20_000; i++) flooded.tellUnsafe.Count({ i })
            sent += 20_000
            if (sent < n) return setImmediate(flood)
            clearInterval(timer)
            Deferred.doneUnsafe(done, Effect.void)
          }
          let due = performance.now() + 5
          const timer = setInterval(() => {
            const now = performance.now()
            delays.timer.push(Math.max(0, now - due))
            due = now + 5
            quiet.tellUnsafe.Count({ i: now })
            setImmediate(() => delays.io.push(performance.now() - now))
          }, 5)
          start()
          flood()
          yield* Deferred.await(done)
          stop()
          const p99 = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)]
          return { check: sent, p99_ms: { actor: p99(delays.actor), timer: p99(delays.timer), io: p99(delays.io) } }
        })
      ),
    /** As w2, with handlers written as generators. */
    w2g: pingPong((other, arrived, finish) =>
      arrived === undefined
        ? Effect.fnUntraced(function* () {
            yield* other().tell.Hit()
          })
        : Effect.fnUntraced(function* () {
            yield* arrived() ? finish() : other().tell.Hit()
          })
    )
  }
}
