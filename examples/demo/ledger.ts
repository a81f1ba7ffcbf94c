/** The books: what became of each digit, and the proof that nothing is missing and nothing was counted twice. */

/** What became of a digit. */
export type Entry =
  | { readonly id: number; readonly answer: number }
  | { readonly id: number; readonly reported: string }

/** The books closed. */
export interface Balance {
  readonly answered: number
  readonly reported: number
  readonly missing: ReadonlyArray<number>
  readonly twice: ReadonlyArray<number>
  /** Every digit was answered exactly once, or reported once. */
  readonly holds: boolean
}

/** Checks the entries against the ids that were handed out, 0 to `total - 1`. */
export const balance = (entries: ReadonlyArray<Entry>, total: number): Balance => {
  const times = new Uint32Array(total)
  for (const entry of entries) times[entry.id]! += 1
  const ids = Array.from(times.keys())
  const missing = ids.filter((id) => times[id] === 0)
  const twice = ids.filter((id) => times[id]! > 1)
  const answered = entries.filter((entry) => "answer" in entry).length
  const known = entries.every((entry) => entry.id >= 0 && entry.id < total)
  return {
    answered,
    reported: entries.length - answered,
    missing,
    twice,
    holds: known && missing.length === 0 && twice.length === 0
  }
}
