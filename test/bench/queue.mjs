/** What a user of Effect would write without this library: a Queue, and a fiber that takes from it for ever. */
import { Deferred, Effect, Exit, Queue, Scope } from "effect"

const run = (program) => Effect.runPromise(Effect.scoped(program))

/** A loop in a scope of its own; the handler returns an effect. */
const spawn = (handle, mailbox) =>
  Effect.gen(function* () {
    const queue = mailbox ?? (yield* Queue.unbounded())
    const loop = Effect.forever(Effect.flatMap(Queue.take(queue), handle))
    yield* Effect.forkScoped(loop)
    return queue
  })

const answering = spawn(({ question, reply }) => Deferred.succeed(reply, question + 1))
const ask = Effect.fnUntraced(function* (server, question) {
  const reply = yield* Deferred.make()
  yield* Queue.offer(server, { question, reply })
  return yield* Deferred.await(reply)
})

export const workloads = {
  w1: (n, { start, stop, turn }, { flood }) =>
    run(
      Effect.gen(function* () {
        let count = 0
        const done = yield* Deferred.make()
        const counter = yield* spawn(() => (++count === n ? Deferred.succeed(done, count) : Effect.void))
        start()
        yield* Effect.promise(() => flood(n, turn, (i) => Queue.offerUnsafe(counter, { i })))
        const check = yield* Deferred.await(done)
        stop()
        return { check }
      })
    ),
  w2: (n, { start, stop }) =>
    run(
      Effect.gen(function* () {
        let trips = 0
        const done = yield* Deferred.make()
        const pong = yield* spawn(() => Queue.offer(ping, {}))
        const ping = yield* spawn(() => (++trips === n ? Deferred.succeed(done, trips) : Queue.offer(pong, {})))
        start()
        yield* Queue.offer(pong, {})
        const check = yield* Deferred.await(done)
        stop()
        return { check }
      })
    ),
  w3: (n, { start, stop }, { RING_SIZE }) =>
    run(
      Effect.gen(function* () {
        let hops = 0
        const done = yield* Deferred.make()
        const ring = []
        for (let k = 0; k < RING_SIZE; k++) {
          ring.push(
            yield* spawn(({ left }) => {
              hops++
              return left === 1
                ? Deferred.succeed(done, hops)
                : Queue.offer(ring[(k + 1) % RING_SIZE], { left: left - 1 })
            })
          )
        }
        start()
        yield* Queue.offer(ring[0], { left: n })
        const check = yield* Deferred.await(done)
        stop()
        return { check }
      })
    ),
  w4: (n, { start, stop }, { FAN_IN_PRODUCERS }) =>
    run(
      Effect.gen(function* () {
        let count = 0
        const done = yield* Deferred.make()
        const sink = yield* spawn(() => (++count === n ? Deferred.succeed(done, count) : Effect.void))
        const produce = Effect.fnUntraced(function* ({ send }) {
          for (let i = 0; i < send; i++) yield* Queue.offer(sink, { i })
        })
        const producers = []
        for (let p = 0; p < FAN_IN_PRODUCERS; p++) producers.push(yield* spawn(produce))
        start()
        for (const producer of producers) yield* Queue.offer(producer, { send: n / FAN_IN_PRODUCERS })
        const check = yield* Deferred.await(done)
        stop()
        return { check }
      })
    ),
  w5: (n, { start, stop }) =>
    run(
      Effect.gen(function* () {
        const server = yield* answering
        let check = 0
        start()
        for (let i = 0; i < n; i++) if ((yield* ask(server, i)) === i + 1) check++
        stop()
        return { check }
      })
    ),
  w5c: (n, { start, stop }, { ASKERS }) =>
    run(
      Effect.gen(function* () {
        const server = yield* answering
        let check = 0
        const caller = Effect.gen(function* () {
          for (let i = 0; i < n / ASKERS; i++) if ((yield* ask(server, i)) === i + 1) check++
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
        let check = 0
        start()
        for (let b = 0; b < n; b += BATCH) {
          const batch = []
          for (let i = 0; i < BATCH; i++) {
            const scope = yield* Scope.make()
            const used = yield* Deferred.make()
            const queue = yield* Scope.provide(
              spawn(() => Deferred.succeed(used, undefined)),
              scope
            )
            yield* Queue.offer(queue, {})
            batch.push({ scope, used })
          }
          for (const { scope, used } of batch) {
            yield* Deferred.await(used)
            yield* Scope.close(scope, Exit.void)
            check++
          }
        }
        stop()
        return { check }
      })
    ),
  w10: (n, { start, stop }, { MAILBOX_CAPACITY, work }) =>
    run(
      Effect.gen(function* () {
        let count = 0
        let sink = 0
        const done = yield* Deferred.make()
        const mailbox = yield* Queue.bounded(MAILBOX_CAPACITY)
        yield* spawn(({ i }) => {
          sink ^= work(i)
          return ++count === n ? Deferred.succeed(done, count) : Effect.void
        }, mailbox)
        start()
        for (let i = 0; i < n; i++) yield* Queue.offer(mailbox, { i })
        const check = yield* Deferred.await(done)
        stop()
        return { check, sink }
      })
    )
}
