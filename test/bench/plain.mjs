/** The ceiling: the smallest mailbox that can be written by hand. No types, no isolation, no supervision. */

class Mailbox {
  constructor(handle) {
    this.handle = handle
    this.queue = []
    this.scheduled = false
  }
  tell(message) {
    this.queue.push(message)
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => this.drain())
  }
  drain() {
    while (this.queue.length > 0) {
      const batch = this.queue
      this.queue = []
      for (const message of batch) this.handle(message)
    }
    this.scheduled = false
  }
  ask(question) {
    return new Promise((reply) => this.tell({ question, reply }))
  }
}

const until = (start) => new Promise((resolve) => start(resolve))
const server = () => new Mailbox(({ question, reply }) => reply(question + 1))

/** Workloads without supervision; the others have no meaning for a mailbox alone. */
export const workloads = {
  async w1(n, { start, stop, turn }, { flood }) {
    let count = 0
    let finish
    const done = until((resolve) => (finish = resolve))
    const counter = new Mailbox(() => ++count === n && finish())
    start()
    await flood(n, turn, (i) => counter.tell({ i }))
    await done
    stop()
    return { check: count }
  },
  async w2(n, { start, stop }) {
    let trips = 0
    await until((finish) => {
      const pong = new Mailbox(() => ping.tell({}))
      const ping = new Mailbox(() => (++trips === n ? finish() : pong.tell({})))
      start()
      pong.tell({})
    })
    stop()
    return { check: trips }
  },
  async w3(n, { start, stop }, { RING_SIZE }) {
    let hops = 0
    await until((finish) => {
      const ring = Array.from(
        { length: RING_SIZE },
        (_, k) =>
          new Mailbox(({ left }) => {
            hops++
            if (left === 1) finish()
            else ring[(k + 1) % RING_SIZE].tell({ left: left - 1 })
          })
      )
      start()
      ring[0].tell({ left: n })
    })
    stop()
    return { check: hops }
  },
  async w4(n, { start, stop }, { FAN_IN_PRODUCERS }) {
    let count = 0
    await until((finish) => {
      const sink = new Mailbox(() => ++count === n && finish())
      const producers = Array.from(
        { length: FAN_IN_PRODUCERS },
        () =>
          new Mailbox(({ send }) => {
            for (let i = 0; i < send; i++) sink.tell({ i })
          })
      )
      start()
      for (const producer of producers) producer.tell({ send: n / FAN_IN_PRODUCERS })
    })
    stop()
    return { check: count }
  },
  async w5(n, { start, stop }) {
    const ref = server()
    let check = 0
    start()
    for (let i = 0; i < n; i++) if ((await ref.ask(i)) === i + 1) check++
    stop()
    return { check }
  },
  async w5c(n, { start, stop }, { ASKERS }) {
    const ref = server()
    let check = 0
    const caller = async () => {
      for (let i = 0; i < n / ASKERS; i++) if ((await ref.ask(i)) === i + 1) check++
    }
    start()
    await Promise.all(Array.from({ length: ASKERS }, caller))
    stop()
    return { check }
  }
}
