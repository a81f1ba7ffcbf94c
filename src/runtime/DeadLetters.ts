/**
 * What could not be delivered, with the reason: nothing a sender said is lost silently.
 *
 * The system keeps the last 1,000 and tells whoever listens to its events about each one.
 */
import type * as ExitReason from "./ExitReason.ts"

/**
 * Why a message could not be delivered.
 *
 * - `NotRunning`: the recipient has ended for good, or ended with the message still queued.
 * - `Draining`: the recipient finishes what it had accepted and takes nothing new.
 * - `MailboxFull`: there was no room and the sender would not or could not wait.
 * - `Restarted`: the recipient restarts without its queue (`onRestart: "discard"`).
 *
 * @category models
 * @since 0.1.0
 */
export type DeadLetterReason =
  | { readonly _tag: "NotRunning"; readonly exit: ExitReason.ExitReason }
  | { readonly _tag: "Draining" }
  | { readonly _tag: "MailboxFull"; readonly capacity: number }
  | { readonly _tag: "Restarted" }

/**
 * An undeliverable message: who should have got it, what it was, who sent it when that is known, and why it failed.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadLetter {
  readonly recipient: string
  readonly tag: string
  readonly payload: unknown
  readonly sender: string | undefined
  readonly reason: DeadLetterReason
}

const KEPT = 1_000

/**
 * Keeps the most recent dead letters, oldest first, without ever holding more than its bound.
 *
 * @internal
 */
export class DeadLetters {
  private readonly letters: Array<DeadLetter> = []
  private next = 0

  add(letter: DeadLetter): void {
    if (this.letters.length < KEPT) this.letters.push(letter)
    else this.letters[this.next] = letter
    this.next = (this.next + 1) % KEPT
  }

  recent(): ReadonlyArray<DeadLetter> {
    if (this.letters.length < KEPT) return this.letters.slice()
    return [...this.letters.slice(this.next), ...this.letters.slice(0, this.next)]
  }
}
