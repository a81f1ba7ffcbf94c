/**
 * Taking a new configuration while running (R44).
 */

/** A child that is known, by its id. */
interface Known {
  readonly id: string
  readonly place: number
}

/**
 * The children in their new order: those of the new list, where `undefined` stands for one that is not known yet, then those
 * that it leaves out, in the order they had.
 */
export const reordered = (
  present: ReadonlyArray<Known>,
  next: ReadonlyArray<string>
): ReadonlyArray<{ readonly id: string; readonly place: number | undefined; readonly listed: boolean }> => [
  ...next.map((id) => ({ id, place: present.find((known) => known.id === id)?.place, listed: true })),
  ...present.filter(({ id }) => !next.includes(id)).map((known) => ({ ...known, listed: false }))
]
