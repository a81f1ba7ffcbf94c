/** What each workload is, how large, and which answer proves that it really ran. */

const RING_SIZE = 1_000
const FAN_IN_PRODUCERS = 1_000
const ASKERS = 100
const MAILBOX_CAPACITY = 1_000
/** Actors in a batch of w6. */
const BATCH = 1_000

const same = (n) => n

export const WORKLOADS = {
  w1: { title: "tell: one producer, one counting actor", unit: "messages", n: 5_000_000, expect: same },
  w2: { title: "ping-pong between two actors", unit: "round trips", n: 1_000_000, expect: same },
  w2g: { title: "ping-pong, generator handlers", unit: "round trips", n: 500_000, expect: same },
  w3: { title: "one token around 1,000 actors", unit: "hops", n: 1_000_000, expect: same },
  w4: { title: "fan-in: 1,000 producers, one counting actor", unit: "messages", n: 1_000_000, expect: same },
  w5: { title: "ask, one caller at a time", unit: "asks", n: 500_000, expect: same },
  w5c: { title: "ask, 100 callers at once", unit: "asks", n: 500_000, expect: same },
  w6: { title: "spawn, handle one message, stop", unit: "actors", n: 200_000, expect: same },
  w6m: { title: "memory of an idle actor", unit: "actors", n: 100_000, expect: same },
  w7: {
    title: "skynet: sum of n leaves of a 10-ary tree",
    unit: "leaves",
    n: 100_000,
    expect: (n) => (n * (n - 1)) / 2
  },
  w8: { title: "crash, restart, first answer", unit: "restarts", n: 20_000, expect: same },
  w9: { title: "n static children: start and ordered stop", unit: "children", n: 10_000, expect: same },
  w10: { title: "bounded mailbox, producer waits", unit: "messages", n: 500_000, expect: same },
  dynamic: { title: "n children on demand: start, list, stop", unit: "children", n: 100_000, expect: same },
  latency: { title: "one actor flooded: p99 delay of others", unit: "messages", n: 20_000_000, expect: same }
}

/** Sends n messages in bursts of 1,000, giving way in between. */
const flood = async (n, turn, send) => {
  for (let i = 0; i < n;) {
    const end = Math.min(n, i + 1_000)
    for (; i < end; i++) send(i)
    await turn()
  }
}

/** First leaf and number of leaves of each of a node's ten children. */
const split = (first, leaves) => Array.from({ length: 10 }, (_, i) => [first + (i * leaves) / 10, leaves / 10])

/** Bytes per actor from two readings of the heap. */
const perItem = (before, after, n) => ({ bytes_per_item: (after.live - before.live) / n })

/** What a consumer of w10 does for each message. */
const work = (seed) => {
  let x = (seed | 0) + 1
  for (let i = 0; i < 200; i++) x = (Math.imul(x, 31) + i) & 0x7fffffff
  return x
}

/** What every workload is given. */
export const helpers = {
  ASKERS,
  BATCH,
  FAN_IN_PRODUCERS,
  MAILBOX_CAPACITY,
  RING_SIZE,
  flood,
  perItem,
  split,
  work
}
