/** What the model computes, for whoever does it: this thread or another. */

/**
 * A session's memory after one more input. Order, omission and repetition all show in it, so that anybody can check that each
 * input was taken, once.
 */
export const digest = (memory: number, input: number): number => (memory * 31 + input) % 1_000_003

/** Keeps the processor busy, as a real model would: a million rounds are about a millisecond. Its result means nothing. */
export const effort = (rounds: number): number => {
  let noise = 1
  for (let round = 0; round < rounds; round++) noise = Math.imul(noise ^ round, 0x9e3779b1)
  return noise
}
