/**
 * What could not be delivered, with the reason: nothing a sender said is lost silently.
 *
 * The system keeps the last 1,000 and tells whoever listens to its events about each one.
 */
import type * as Cause from "effect/Cause"
import type * as ExitReason from "./ExitReason.ts"
import type { Crash } from "./suspect.ts"

export type { Crash }

/**
 * Why a message could not be delivered.
 *
 * - `NotRunning`: the recipient has ended for good, or ended with the message still queued.
 * - `Draining`: the recipient finishes what it had accepted and takes nothing new.
 * - `MailboxFull`: there was no room and the sender would not or could not wait.
 * - `Restarted`: the recipient restarts without its queue (`onRestart: "discard"`).
 * - `NoMembers`: the recipient is a router with nobody to give it to.
 * - `Poisoned`: it crashed the recipient, or came back to its channel, more often than `redeliver` allows.
 * - `Rejected`: a reader of its channel said that nobody can do it.
 * - `NotStarted`: the child that was to handle it did not start.
 * - `BufferFull`: a stage emitted more than was asked for and more than its buffer holds.
 *
 * @category models
 * @since 0.1.0
 */
export type DeadLetterReason =
  | { readonly _tag: "NotRunning"; readonly exit: ExitReason.ExitReason }
  | { readonly _tag: "Draining" }
  | { readonly _tag: "MailboxFull"; readonly capacity: number }
  | { readonly _tag: "Restarted" }
  | { readonly _tag: "NoMembers" }
  | { readonly _tag: "Poisoned"; readonly crashes: ReadonlyArray<Crash> }
  | { readonly _tag: "Rejected" }
  | { readonly _tag: "NotStarted"; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "BufferFull"; readonly capacity: number }

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
 * Where a message was to go, and may go once more.
 *
 * @internal
 */
export interface Recipient {
  /** Takes a message that it could not be given before. A reason where it cannot; nothing of it is recorded. */
  takeAgain(tag: string, payload: unknown): DeadLetterReason | undefined
}

/**
 * Keeps the most recent dead letters, oldest first, without ever holding more than its bound. Recipients are held weakly: what
 * nobody else knows any more is not kept alive by a letter to it.
 *
 * @internal
 */
export class DeadLetters {
  private readonly letters = new Set<DeadLetter>()
  private readonly recipients = new WeakMap<DeadLetter, WeakRef<Recipient>>()
  private readonly replayed = new WeakSet<DeadLetter>()

  add(letter: DeadLetter, recipient: Recipient): void {
    this.letters.add(letter)
    this.recipients.set(letter, new WeakRef(recipient))
    if (this.letters.size <= KEPT) return
    for (const oldest of this.letters) return void this.letters.delete(oldest)
  }

  recent(): ReadonlyArray<DeadLetter> {
    return [...this.letters]
  }

  clear(): void {
    this.letters.clear()
  }

  /** Sends a letter once more, once, and forgets it; where it cannot be delivered it is kept, and the reason told. */
  replay(letter: DeadLetter): DeadLetterReason | "gone" | "replayed" | undefined {
    if (this.replayed.has(letter)) return "replayed"
    const recipient = this.recipients.get(letter)?.deref()
    if (recipient === undefined) return "gone"
    const reason = recipient.takeAgain(letter.tag, letter.payload)
    if (reason !== undefined) return reason
    this.letters.delete(letter)
    this.replayed.add(letter)
    return undefined
  }
}
